package review

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// BenchmarkReview starts a review of 25,000 people with two rows each, and turns its pages.
func BenchmarkReview(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.DB{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			org, _ := storetest.Org(b, db, "acme")
			ctx, muster := context.Background(), access.Muster(string(org))
			must := func(err error) {
				if err != nil {
					b.Fatal(err)
				}
			}
			var boss store.UserID
			const batch = 500
			for i := 0; i < 25_000; i += batch {
				must(db.Write(ctx, muster, func(tx *store.Tx) error {
					for j := range batch {
						u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: fmt.Sprint("u", i+j)}.Doc(), Status: store.Active, Source: store.FromAPI})
						if err != nil {
							return err
						}
						if boss = u.ID; j%2 == 0 {
							err = tx.Grant(u.ID, access.Viewer, store.Manual)
						}
						if err != nil {
							return err
						}
					}
					return nil
				}))
			}
			must(db.Write(ctx, muster, func(tx *store.Tx) error {
				if err := tx.Grant(boss, access.Admin, store.Manual); err != nil {
					return err
				}
				g, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "All"}})
				if err != nil {
					return err
				}
				_, err = tx.Exec("INSERT INTO members (org_id, group_id, user_id, since) SELECT u.org_id, {{as_id}}, u.id, 1 FROM users u WHERE u.org_id = ?", g.ID, tx.Org())
				return err
			}))
			must(db.Write(ctx, muster, func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE"); return err })) // as PostgreSQL does by itself, a minute later
			s := New(Options{DB: db})
			var r Review
			var began, longest, prepared, turned time.Duration
			for b.Loop() {
				at := time.Now()
				must(db.Write(ctx, muster, func(tx *store.Tx) (err error) {
					r, err = s.Start(tx, In{Name: "x", Scope: Everybody, Reviewers: []store.UserID{boss}, Due: tx.Now().Add(time.Hour)})
					return err
				}))
				began += time.Since(at)
				for r.State == Preparing {
					at = time.Now()
					must(s.step(ctx, dueOne{Org: org, ID: r.ID}))
					longest, prepared = max(longest, time.Since(at)), prepared+time.Since(at)
					must(db.Read(ctx, muster, func(tx *store.Tx) (err error) { r, err = s.Get(tx, r.ID); return err }))
				}
				at = time.Now()
				for _, after := range []int{0, 25_000, 49_000} {
					must(db.Read(ctx, muster, func(tx *store.Tx) error {
						list, err := rowsOf(tx, r.ID, Filter{Decision: NoDecision}, after, 0, pageSize)
						if err == nil {
							_, err = goneOf(tx, list)
						}
						if err == nil {
							_, err = countRows(tx, r.ID)
						}
						return err
					}))
				}
				turned += time.Since(at) / 3
				must(db.Write(ctx, muster, func(tx *store.Tx) error { _, err := s.Finish(tx, r.ID); return err }))
			}
			b.ReportMetric(float64(r.Total), "rows")
			b.ReportMetric(float64(began.Milliseconds())/float64(b.N), "ms/start")
			b.ReportMetric(float64(prepared.Milliseconds())/float64(b.N), "ms/prepare")
			b.ReportMetric(float64(longest.Milliseconds()), "ms/longest-step")
			b.ReportMetric(float64(turned.Microseconds())/1000/float64(b.N), "ms/page")
		})
	}
}
