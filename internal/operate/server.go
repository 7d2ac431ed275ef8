package operate

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Loop is a background loop of a server.
type Loop struct {
	Name    string     `json:"name"`
	Started store.Time `json:"started"`
	Round   store.Time `json:"round"`  // when it last came round
	Failed  store.Time `json:"failed"` // 0: never
	Error   string     `json:"error"`
}

// Server is a process that runs over this database.
type Server struct {
	ID      store.ID[Server] `db:"id"`
	Host    string           `db:"host"`
	Version string           `db:"version"`
	Started store.Time       `db:"started_at"`
	Seen    store.Time       `db:"seen_at"`
	Found   store.JSON       `db:"loops"`
	Loops   []Loop           `db:"-"`
	Silent  bool             `db:"-"` // has not been heard of lately
}

const (
	beatEvery = time.Minute
	silent    = 3 * beatEvery
	forget    = 24 * time.Hour
)

// Appear notes this server before it answers anybody, and Leave forgets it when it has stored
// its last: so whoever seals anew knows of each that may seal.
func (d *Door) Appear(ctx context.Context) error {
	d.me = Server{ID: store.NewID[Server](), Host: d.opt.Host, Version: d.opt.Version, Started: store.TimeOf(d.opt.DB.Now())}
	return d.Beat(ctx, d.me)
}

// Run notes each minute that this server, which has appeared, lives and how its loops do,
// until ctx is done.
func (d *Door) Run(ctx context.Context) error {
	store.Every(ctx, d.opt.Log, beatEvery, nil, "note that the server lives", func(ctx context.Context) error { return d.Beat(ctx, d.me) })
	return nil
}

// Beat notes it once, and forgets servers that are long gone.
func (d *Door) Beat(ctx context.Context, me Server) error {
	loops, err := json.Marshal(d.opt.Loops())
	if err != nil {
		return err
	}
	return d.opt.DB.Write(ctx, access.Muster(string(store.NoOrg)), func(tx *store.Tx) error {
		if _, err := tx.Exec(`INSERT INTO servers (id, host, version, started_at, seen_at, loops) VALUES (?, ?, ?, ?, ?, {{as_json}})
			ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, loops = excluded.loops`, me.ID, me.Host, me.Version, me.Started, tx.Now(), string(loops)); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO server_keys (server_id, prints) VALUES (?, ?) ON CONFLICT (server_id) DO NOTHING", me.ID, strings.Join(d.opt.Key.Prints(), " ")); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM servers WHERE seen_at < ?", tx.Now().Add(-forget)); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM server_keys WHERE server_id NOT IN (SELECT id FROM servers)")
		return err
	})
}

// Leave forgets this server.
func (d *Door) Leave(ctx context.Context) error {
	return d.opt.DB.Write(ctx, access.Muster(string(store.NoOrg)), func(tx *store.Tx) error {
		if _, err := tx.Exec("DELETE FROM server_keys WHERE server_id = ?", d.me.ID); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM servers WHERE id = ?", d.me.ID)
		return err
	})
}

// Servers are those that were heard of in the last day, the newest first.
func (d *Door) Servers(ctx context.Context) ([]Server, error) {
	var list []Server
	if err := d.opt.DB.LookupAll(ctx, &list, "SELECT id, host, version, started_at, seen_at, loops FROM servers ORDER BY id DESC LIMIT 100"); err != nil {
		return nil, err
	}
	for i := range list {
		s := &list[i]
		if err := json.Unmarshal(s.Found, &s.Loops); err != nil {
			return nil, err
		}
		s.Silent = s.Seen < store.TimeOf(d.opt.DB.Now().Add(-silent))
		slices.SortFunc(s.Loops, func(a, b Loop) int { return cmp.Compare(a.Name, b.Name) })
	}
	return list, nil
}

type serverPage struct {
	Version  string
	Database string
	Size     string
	Changes  int // migrations
	Servers  []Server
}

func (d *Door) showServer(w http.ResponseWriter, r *http.Request) error {
	p := serverPage{Version: d.opt.Version, Database: "SQLite"}
	if d.opt.DB.Dialect() == "postgres" {
		p.Database = "PostgreSQL"
	}
	size, changes, err := d.opt.DB.Measure(r.Context())
	if err != nil {
		return err
	}
	p.Size, p.Changes = bytesInWords(size), changes
	if p.Servers, err = d.Servers(r.Context()); err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "server", p)
}

// bytesInWords is a size as people read it.
func bytesInWords(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	unit := 0
	for n /= 1000; n >= 10_000 && unit < len(units)-1; n /= 1000 {
		unit++
	}
	return web.Number(int(n)) + " " + units[unit]
}
