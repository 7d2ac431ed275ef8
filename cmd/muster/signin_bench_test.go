package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/heap"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// BenchmarkSignIns signs people in with their passwords, as fast as all cores allow, while
// a directory gets a user every few milliseconds. "of-hash" is the rate of sign-ins over
// the rate of argon2id alone, "cpu-of-hash" the same of processor time, which a busy
// machine changes less; "get-p99-ms" how long a get takes in 99 of 100 cases meanwhile, and
// "get-alone-p99-ms" when nobody signs in. "more" has the processors that muster serve adds
// for the Go scheduler, "plain" has not.
func BenchmarkSignIns(b *testing.B) {
	for _, d := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", storetest.SQLiteURL}, {"postgres", storetest.PostgresURL}} {
		for _, more := range []bool{true, false} {
			name := d.name + "/plain"
			if more {
				name = d.name + "/more"
			}
			b.Run(name, func(b *testing.B) { signInRate(b, d.url(b), more) })
		}
	}
}

// busyServer is the whole program with people who have passwords, and a directory's token.
type busyServer struct {
	*system
	b           *testing.B
	token, user string // the directory's, and whom it gets
}

const benchPeople = 100

func newBusyServer(b *testing.B, db *store.DB) *busyServer {
	cfg, err := config.Load(config.Input{})
	if err != nil {
		b.Fatal(err)
	}
	s := &busyServer{b: b}
	if s.system, err = build(cfg, db, secret.NewKey(), slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	_, acme := storetest.Org(b, db, "acme")
	hash, err := s.passwords.Hash(context.Background(), goodPassword)
	if err != nil {
		b.Fatal(err)
	}
	err = db.Write(context.Background(), acme, func(tx *store.Tx) error {
		d, token, err := scim.Create(tx, scim.NewDirectory{Name: "Okta", Vendor: "custom", Mode: "compat"})
		s.token = "Bearer " + token
		for i := 0; i < benchPeople && err == nil; i++ {
			var u store.User
			if u, err = tx.CreateUser(newcomer(fmt.Sprintf("p%d@example.com", i))); err == nil {
				err = s.passwords.Set(tx, u.ID, hash)
			}
			s.user = "/scim/v2/" + string(d.ID) + "/Users/" + string(u.ID)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (s *busyServer) do(r *http.Request, want int) {
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	if w.Code != want {
		s.b.Errorf("%s %s: %d %s", r.Method, r.URL.Path, w.Code, w.Body)
	}
}

func (s *busyServer) signIn(i int) {
	form := url.Values{"email": {fmt.Sprintf("p%d@example.com", i%benchPeople)}, "password": {goodPassword}}
	r := httptest.NewRequest("POST", s.url+"/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: "muster-device", Value: strings.Repeat("A", 50) + string([]byte{byte('A' + i%benchPeople/10), byte('A' + i%10)})}) // a browser that was used before
	r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1234", i%250)
	s.do(r, http.StatusSeeOther)
}

// gets has the directory get a user until it is stopped, and tells the milliseconds of 99
// in 100.
func (s *busyServer) gets() (stop func() float64) {
	done, all := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var took []time.Duration
		for tick := time.NewTicker(4 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				all <- took
				return
			case <-tick.C:
			}
			r := httptest.NewRequest("GET", s.url+s.user, nil)
			r.Header.Set("Authorization", s.token)
			start := time.Now()
			s.do(r, http.StatusOK)
			took = append(took, time.Since(start))
		}
	}()
	return func() float64 {
		close(done)
		took := <-all
		slices.Sort(took)
		return float64(took[len(took)*99/100].Microseconds()) / 1000
	}
}

// side runs n times what is to be done, twice as many at a time as there are slots for a hash.
func (s *busyServer) side(n int, do func(i int)) time.Duration {
	var wg sync.WaitGroup
	start, next := time.Now(), make(chan int)
	for range 2 * s.passwords.Slots() {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return time.Since(start)
}

func signInRate(b *testing.B, address string, more bool) {
	heap.Roomy()
	db, err := store.Open(context.Background(), store.Options{URL: address, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	s := newBusyServer(b, db)
	if more {
		before := runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(before + s.passwords.Slots())
		defer runtime.GOMAXPROCS(before)
	}
	clock := storetest.CPU(b, address)
	hash := func(int) {
		if _, err := s.passwords.Hash(context.Background(), goodPassword); err != nil {
			b.Error(err)
		}
	}
	s.side(benchPeople, s.signIn) // each browser is known from here on
	const rounds = 5
	n := max(8, b.N/rounds)
	var rate, cpu, beside, alone []float64
	for range rounds { // by turns, so that a busy machine is busy for both
		stop := s.gets()
		time.Sleep(200 * time.Millisecond)
		alone = append(alone, stop())
		stop = s.gets() // they cost the same in both
		from := clock()
		hashes := s.side(n, hash)
		hashCPU := clock() - from
		stop()
		stop, from = s.gets(), clock()
		signIns := s.side(n, s.signIn)
		cpu = append(cpu, float64(hashCPU)/float64(clock()-from))
		beside = append(beside, stop())
		rate = append(rate, float64(hashes)/float64(signIns))
	}
	median := func(list []float64) float64 { slices.Sort(list); return list[len(list)/2] }
	b.ReportMetric(median(rate), "of-hash")
	b.ReportMetric(median(cpu), "cpu-of-hash")
	b.ReportMetric(median(beside), "get-p99-ms")
	b.ReportMetric(median(alone), "get-alone-p99-ms")
	b.ReportMetric(0, "ns/op")
}
