package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// BenchmarkOrganizations is the operator's list with 10,000 organizations, each with a person
// and a directory, as pages and as JSON with all that is known of each. The goal is 50 ms.
func BenchmarkOrganizations(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLiteURL, "postgres": storetest.PostgresURL} {
		b.Run(name, func(b *testing.B) {
			at := url(b)
			s, cookie, middle := manyOrganizations(b, at)
			cpu := storetest.CPU(b, at)
			for view, path := range map[string]string{"first": "/console/-/organizations", "behind": "/console/-/organizations?cursor=" + string(middle),
				"one": "/console/-/organizations?q=org-05000", "quarter": "/console/-/organizations?q=north", "nobody": "/console/-/organizations?q=zzz",
				"suspended": "/console/-/organizations?state=suspended", "api": "/api/v1/organizations?limit=200"} {
				b.Run(view, func(b *testing.B) {
					var took []time.Duration
					n, size, spent := 0, 0, cpu()
					for b.Loop() {
						n++
						r, w := httptest.NewRequest("GET", s.url+path, nil), httptest.NewRecorder()
						r.AddCookie(cookie)
						begun := time.Now()
						s.mux.ServeHTTP(w, r)
						took = append(took, time.Since(begun))
						if size = w.Body.Len(); w.Code != http.StatusOK {
							b.Fatalf("%d %s", w.Code, w.Body)
						}
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
					b.ReportMetric(float64((cpu()-spent).Microseconds())/1000/float64(n), "cpu-ms")
					b.ReportMetric(float64(size), "bytes")
				})
			}
		})
	}
}

// manyOrganizations makes them and an operator, who is signed in.
func manyOrganizations(b *testing.B, at string) (s *system, cookie *http.Cookie, middle store.OrgID) {
	b.Helper()
	db, err := store.Open(b.Context(), store.Options{URL: at, MaxConns: 8, NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	cfg, err := config.Load(config.Input{})
	if err != nil {
		b.Fatal(err)
	}
	if s, err = build(cfg, db, secret.NewKey(), slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	for i := range 10_000 {
		var org store.Org
		err := db.Write(b.Context(), access.Muster(""), func(tx *store.Tx) error {
			org, err = tx.CreateOrg(fmt.Sprintf("org-%05d", i), fmt.Sprintf("Customer %05d of the %s", i*7919%10_000, []string{"north", "south", "east", "west"}[i%4]))
			return err
		})
		if err == nil {
			err = db.Write(b.Context(), access.Muster(string(org.ID)), func(tx *store.Tx) error {
				_, err := tx.CreateUser(newcomer(fmt.Sprintf("p%d@example.com", i)))
				if err == nil {
					_, _, err = scim.Create(tx, scim.NewDirectory{Name: "Okta", Vendor: "okta", Mode: "compat"})
				}
				return err
			})
		}
		if err != nil {
			b.Fatal(err)
		}
		if i == 5000 {
			middle = org.ID
		}
	}
	_, home := storetest.Org(b, db, "home")
	err = db.Write(b.Context(), access.Muster(home.Org), func(tx *store.Tx) error {
		u, err := tx.CreateUser(newcomer("olga@example.com"))
		if err == nil {
			err = s.sessions.MakeOperator(tx, u.ID)
		}
		if err != nil {
			return err
		}
		token, _, err := s.sessions.Start(tx, session.In{User: u.ID, Method: "password"})
		cookie = &http.Cookie{Name: "muster", Value: token}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return s, cookie, middle
}
