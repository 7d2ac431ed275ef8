package importer_test

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// many is a file of n people.
func many(n int) string {
	var file strings.Builder
	file.WriteString("email,first\n")
	for i := range n {
		fmt.Fprintf(&file, "p%d@example.com,P%d\n", i, i)
	}
	return file.String()
}

func (s *stage) readings() {
	s.t.Helper()
	if err := s.door.Readings(ctx); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) again(run importer.Run) importer.Run {
	s.t.Helper()
	run, err := s.door.Get(ctx, s.admin, run.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

func TestALargeFileIsReadLater(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		w := s.uploadFile("admin", strings.NewReader(many(1500)))
		s.want(w, 303)
		page := w.Header().Get("Location")
		columns := url.Values{"column-0": {"email"}, "column-1": {"given_name"}, "key": {"email"}, "new": {"active"}, "missing": {"keep"}}
		s.want(s.do("admin", "POST", page+"/columns", columns), 303)
		w = s.do("admin", "GET", page, nil)
		if body := s.want(w, 200); !strings.Contains(body, "0 of 1501 lines") || w.Header().Get("Refresh") == "" {
			t.Errorf("while it waits: %s %s", w.Header(), body)
		}
		id := importer.ID(page[strings.LastIndexByte(page, '/')+1:])
		run := s.again(importer.Run{ID: id})

		claim := func(turn string, until time.Time) { // what a server that reads has written
			s.must(func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE import_runs SET turn = ?, turn_until = ?, lines = 500 WHERE org_id = ? AND id = ?", turn, store.TimeOf(until), tx.Org(), id)
				return err
			})
		}
		claim("dead", clock.Now().Add(time.Minute))
		if s.readings(); s.again(run).State != importer.Reading {
			t.Error("two servers read one file")
		}
		if body := s.want(s.do("admin", "GET", page, nil), 200); !strings.Contains(body, "500 of 1501 lines") {
			t.Errorf("progress: %s", body)
		}
		clock.Pass(2 * time.Minute) // the server has died
		if s.readings(); s.again(run).Counts[importer.Create] != 1500 {
			t.Errorf("after a crash: %+v", s.again(run))
		}
		if body := s.want(s.do("admin", "GET", page, nil), 200); !strings.Contains(body, "Import 1\u202f500 lines") {
			t.Errorf("the preview: %s", body)
		}

		s.want(s.do("admin", "POST", page+"/columns", columns), 303)
		s.want(s.do("admin", "POST", page+"/stop", nil), 303)
		if s.readings(); s.again(run).State != importer.Uploaded {
			t.Errorf("stopped: %s", s.again(run).State)
		}
		if _, err := s.door.Begin(ctx, s.admin, id, run.Settings); err != nil {
			t.Fatal(err)
		}
		s.lost = true
		s.readings()
		if body := s.want(s.do("admin", "GET", page, nil), 200); s.again(run).State != importer.Uploaded || !strings.Contains(body, "may not do this any more") {
			t.Errorf("without the right: %s", body)
		}
		s.lost = false
		broken := s.send("admin", "POST", "/api/v1/imports?new=active", "text/csv", strings.NewReader(many(1200)+"\"open,x\n"))
		if body := s.want(broken, 201); !strings.Contains(body, `"state":"reading"`) || !strings.Contains(body, `"lines":1202`) {
			t.Errorf("by the API: %s", body)
		}
		s.readings()
		list := s.want(s.do("admin", "GET", "/api/v1/imports", nil), 200)
		if !strings.Contains(list, `"problem":"Line 1202 cannot be read: a quote is never closed.`) {
			t.Errorf("a broken file: %.500s", list)
		}
	})
}

// TestAServerThatStopsLeavesTheFile: another one begins anew, at once.
func TestAServerThatStopsLeavesTheFile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		run, err := s.door.Upload(ctx, s.admin, "people.csv", strings.NewReader(many(1500)))
		if err != nil {
			t.Fatal(err)
		}
		if run, err = s.door.Begin(ctx, s.admin, run.ID, run.Settings); err != nil || run.State != importer.Reading {
			t.Fatalf("%s %v", run.State, err)
		}
		stopping, stop := context.WithCancel(ctx)
		s.atAddress = func(n int) {
			if n == 1000 {
				stop()
			}
		}
		if err := s.door.Readings(stopping); err != nil {
			t.Fatal(err)
		}
		if got := s.again(run); got.State != importer.Reading || got.Read < 100 {
			t.Fatalf("stopped: %s, %d lines", got.State, got.Read)
		}
		s.readings()
		if got := s.again(run); got.State != importer.Ready || got.Counts[importer.Create] != 1500 {
			t.Errorf("by the other: %s %v", got.State, got.Counts)
		}
	})
}

func TestOldImportsAreSwept(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		settle(t, filepath.Join(s.folder, "acme", "a.csv"), many(3)) // too many for the guards: it waits
		s.look(s.feed(importer.NewFeed{Kind: importer.Folder, Name: "HR", Settings: importer.FeedSettings{New: importer.NewActive}}).ID)
		done := s.read(many(2), nil)
		s.start(done)
		s.read(many(7000), nil)
		rows := func() (n int) {
			s.must(func(tx *store.Tx) error {
				return tx.Get(&n, "SELECT COUNT(*) FROM import_rows WHERE org_id = ?", tx.Org())
			})
			return n
		}
		pieces := func() (n int) {
			s.must(func(tx *store.Tx) error {
				return tx.Get(&n, "SELECT COUNT(*) FROM import_pieces WHERE org_id = ?", tx.Org())
			})
			return n
		}
		sweep := func(wait time.Duration, wantRows, wantPieces int) {
			t.Helper()
			clock.Pass(wait)
			if err := s.jobs.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
			if err := s.door.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
			if got, file := rows(), pieces(); got != wantRows || file != wantPieces {
				t.Errorf("%d rows and %d pieces, want %d and %d", got, file, wantRows, wantPieces)
			}
		}
		sweep(23*time.Hour, 7005, 3)
		sweep(2*time.Hour, 5, 2) // what was imported stays, and what a feed brought waits
		sweep(28*24*time.Hour, 5, 2)
		sweep(2*24*time.Hour, 0, 0)
		if _, err := s.door.Get(ctx, s.admin, done.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("an import of a month ago: %v", err)
		}
	})
}
