package store_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// wire stands between a server and its PostgreSQL.
type wire struct {
	mu   sync.Mutex
	open []net.Conn
}

// cut ends all connections without a word, as a firewall does, and tells how many.
func (w *wire) cut() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		c.Close()
	}
	n, w.open = len(w.open)/2, nil
	return n
}

// between gives the URL of the database behind the wire.
func (w *wire) between(t *testing.T, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	host := u.Host
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); w.cut() })
	go func() {
		for {
			from, err := in.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", host)
			if err != nil {
				from.Close()
				continue
			}
			w.mu.Lock()
			w.open = append(w.open, from, to)
			w.mu.Unlock()
			go io.Copy(to, from)
			go io.Copy(from, to)
		}
	}()
	u.Host = in.Addr().String()
	return u.String()
}

// Connections that were cut while nobody used them are nobody's trouble: others take their
// place, for transactions, for single commands and for what is read.
func TestConnectionsThatWereCut(t *testing.T) {
	t.Parallel()
	var w wire
	const most = 6
	db, err := store.Open(ctx, store.Options{URL: w.between(t, storetest.PostgresURL(t)), MaxConns: most})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	_, admin := storetest.Org(t, db, "acme")
	touch := func(tx *store.Tx) error {
		_, err := tx.Exec("UPDATE orgs SET name = name WHERE id = ?", tx.Org())
		return err
	}
	for name, do := range map[string]func() error{
		"a transaction": func() error { return db.Write(ctx, admin, touch) },
		"a command":     func() error { return db.Command(ctx, admin, touch) },
		"a read": func() error {
			return db.Read(ctx, admin, func(tx *store.Tx) error { _, err := tx.Seats(); return err })
		},
	} {
		var busy, done sync.WaitGroup // each connection has one
		busy.Add(most)
		for range most {
			done.Go(func() {
				here := sync.OnceFunc(busy.Done)
				err := db.Write(ctx, admin, func(tx *store.Tx) error {
					here()
					busy.Wait()
					return nil
				})
				if here(); err != nil {
					t.Error(err)
				}
			})
		}
		done.Wait()
		if n := w.cut(); n != most {
			t.Errorf("%d connections were cut, not %d", n, most)
		}
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
