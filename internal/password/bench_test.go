package password_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// BenchmarkVerify signs in with real hashes, as many people at a time as there are
// processors, beside what argon2id alone does there: "of_hash" is the part of the one
// that the other reaches. others_p99_ms is how long somebody else's read of the database
// takes meanwhile, in 99 of 100 cases, and others_alone_p99_ms without the sign-ins.
func BenchmarkVerify(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *store.DB{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) { verifyRate(b, open(b)) })
	}
}

func verifyRate(b *testing.B, db *store.DB) {
	ctx := context.Background()
	s := password.New(password.Options{DB: db})
	before := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(before + s.Slots()) // as the server does
	defer runtime.GOMAXPROCS(before)
	_, acme := storetest.Org(b, db, "acme")
	h, err := s.Hash(ctx, good)
	if err != nil {
		b.Fatal(err)
	}
	const people = 200
	err = db.Write(ctx, acme, func(tx *store.Tx) error {
		for i := range people {
			name := fmt.Sprintf("p%d@example.com", i)
			u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: name}.Doc(), Source: store.FromAPI})
			if err == nil {
				err = s.Set(tx, u.ID, h)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	hashes := rate(b.N, func(int) error { _, err := s.Hash(ctx, good); return err }, b)
	quiet := readers(b, db, acme)
	time.Sleep(time.Second)
	alone := quiet()
	busy := readers(b, db, acme)
	b.ResetTimer()
	signIns := rate(b.N, func(i int) error {
		_, err := s.Verify(ctx, password.Try{Address: fmt.Sprintf("p%d@example.com", i%people), Password: good})
		return err
	}, b)
	b.StopTimer()
	beside := busy()
	b.ReportMetric(signIns, "sign-ins/s")
	b.ReportMetric(signIns/hashes, "of_hash")
	b.ReportMetric(alone, "others_alone_p99_ms")
	b.ReportMetric(beside, "others_p99_ms")
}

// readers reads a person every two milliseconds until it is stopped, and tells then how
// many milliseconds that took in 99 of 100 cases.
func readers(b *testing.B, db *store.DB, actor access.Actor) (stop func() float64) {
	done, all := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var took []time.Duration
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				all <- took
				return
			case <-tick.C:
			}
			start := time.Now()
			if err := db.Read(context.Background(), actor, func(tx *store.Tx) error { _, err := tx.UserByName("p1@example.com"); return err }); err != nil {
				b.Error(err)
			}
			took = append(took, time.Since(start))
		}
	}()
	return func() float64 {
		close(done)
		took := <-all
		slices.Sort(took)
		if len(took) == 0 {
			return 0
		}
		return float64(took[len(took)*99/100].Microseconds()) / 1000
	}
}

// rate runs n times what is to be done, on all processors, and says how often in a second.
func rate(n int, do func(i int) error, b *testing.B) float64 {
	var wg sync.WaitGroup
	start, next := time.Now(), make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return float64(n) / time.Since(start).Seconds()
}
