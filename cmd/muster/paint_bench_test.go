package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// BenchmarkFirstPaint opens Manage users with 100,000 people in Chromium, with nothing in
// its cache: "first-paint-ms" is when it paints the page's first words, "load-ms" when all
// is there, from the beginning of the navigation, medians; server, database and browser
// share the processors.
func BenchmarkFirstPaint(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLiteURL, "postgres": storetest.PostgresURL} {
		b.Run(name, func(b *testing.B) {
			admin := newBrowser(b).visit("admin", 1280, 800)
			users := crowdedServer(b, url(b), admin)
			admin.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				_, err := cdp.Call(ctx, t, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
				return err
			}))
			var paint, load []float64
			for b.Loop() {
				admin.open(users)
				times, err := chromedp.Run(admin.ctx, chromedp.Evaluate[[]float64](painted, chromedp.EvalAwaitPromise))
				if err != nil {
					b.Fatal(err)
				}
				paint, load = append(paint, times[0]), append(load, times[1])
			}
			admin.sees("000 people")
			slices.Sort(paint)
			slices.Sort(load)
			b.ReportMetric(paint[len(paint)/2], "first-paint-ms")
			b.ReportMetric(load[len(load)/2], "load-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// painted waits for the first paint of words, which may come after the page is loaded.
const painted = `new Promise(done => new PerformanceObserver(list => {
	for (const e of list.getEntries()) if (e.name === "first-contentful-paint")
		done([e.startTime, performance.getEntriesByType("navigation")[0].loadEventEnd]);
}).observe({type: "paint", buffered: true}))`

// crowdedServer has 100,000 people; admin is signed in. It tells the address of their list.
func crowdedServer(b *testing.B, address string, admin *person) string {
	db, err := store.Open(context.Background(), store.Options{URL: address, Log: slog.New(slog.DiscardHandler), NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	srv := httptest.NewUnstartedServer(nil)
	at := "http://" + srv.Listener.Addr().String()
	cfg, err := config.Load(config.Input{Env: []string{"MUSTER_PUBLIC_URL=" + at}})
	if err != nil {
		b.Fatal(err)
	}
	s, err := build(cfg, db, secret.NewKey(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	srv.Config.Handler = s.mux
	srv.Start()
	b.Cleanup(srv.Close)
	_, acme := storetest.Org(b, db, "acme")
	hash, err := s.passwords.Hash(context.Background(), goodPassword)
	if err != nil {
		b.Fatal(err)
	}
	for from := 0; from < 100_000; from += 2000 {
		err := db.Write(context.Background(), acme, func(tx *store.Tx) error {
			list := make([]store.NewUser, 2000)
			for i := range list {
				list[i] = newcomer(fmt.Sprintf("p%d@example.com", from+i))
			}
			if from == 0 {
				list[0].Roles, list[0].Reason = []string{access.Admin}, store.Manual
			}
			made, err := tx.CreateUsers(list)
			if err == nil && from == 0 {
				err = s.passwords.Set(tx, made[0].ID, hash)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Write(context.Background(), acme, func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE"); return err }); err != nil {
		b.Fatal(err)
	}
	admin.open(at + "/login?with=password")
	admin.signIn("p0@example.com", goodPassword)
	return at + "/console/acme/users"
}
