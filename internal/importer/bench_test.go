package importer_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// people is a file of n people with ten columns, made as it is read.
type people struct {
	n, at int
	rest  []byte
}

func (p *people) Read(into []byte) (int, error) {
	if len(p.rest) == 0 {
		if p.at > p.n {
			return 0, io.EOF
		}
		line := "email,user_name,given_name,family_name,role,title,department,employee_number,manager,phone\n"
		if p.at > 0 {
			line = fmt.Sprintf("person%d@example.com,person%d,Given%d,Family%d,agent,Engineer,Department %d,E%d,person%d@example.com,+49 30 %d\n",
				p.at, p.at, p.at, p.at, p.at%50, p.at, max(p.at/10, 1), p.at)
			if p.at == 1 {
				line = strings.Replace(line, "person1@example.com,+49", ",+49", 1)
			}
		}
		p.at++
		p.rest = []byte(line)
	}
	n := copy(into, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// peak follows the heap that is in use, until stop is called.
func peak() (stop func() uint64) {
	runtime.GC()
	debug.FreeOSMemory()
	before, most, done, over := resident(), uint64(0), make(chan bool), make(chan bool)
	go func() {
		defer close(over)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				most = max(most, resident())
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-over
		return max(most, before) - before
	}
}

// resident is the memory of this process.
func resident() uint64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := bytes.CutPrefix(lines.Bytes(), []byte("VmRSS:")); ok {
			kb, _ := strconv.ParseUint(strings.Fields(string(rest))[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// BenchmarkImport imports 50,000 people into an organization that has none, beside the
// raw loop of reference/performance.md 1: users alone, in one transaction, row by row on
// SQLite and by multi-row INSERT on PostgreSQL.
func BenchmarkImport(b *testing.B) {
	const n = 50_000
	for name, url := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + t.TempDir() + "/bench.db" },
		"postgres": storetest.DurablePostgresURL,
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				at := url(b)
				db, err := store.Open(ctx, store.Options{URL: at, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					b.Fatal(err)
				}
				if err := db.Migrate(ctx); err != nil {
					b.Fatal(err)
				}
				cpu := storetest.CPU(b, at)
				s := benchStage(b, db)
				begun, spent := time.Now(), cpu()
				lap := func(what string) {
					took, used := time.Since(begun), cpu()-spent
					b.ReportMetric(n/took.Seconds(), what+"-rows/s")
					b.ReportMetric(float64(used.Microseconds())/n, what+"-cpu-us/row")
					begun, spent = time.Now(), cpu()
				}
				rawImport(b, db, n) // fills the database's caches, too
				lap("raw")
				memory := peak()
				begun, spent = time.Now(), cpu()
				run, err := s.door.Upload(ctx, s.admin, "people.csv", &people{n: n})
				if err != nil {
					b.Fatal(err)
				}
				run.Settings.New = importer.NewActive
				if run, err = s.door.Read(ctx, s.admin, run.ID, run.Settings); err != nil || run.Good() != n {
					b.Fatalf("%v: %v", run.Counts, err)
				}
				lap("preview")
				job, err := s.door.Start(ctx, s.admin, run.ID, 0)
				if err != nil {
					b.Fatal(err)
				}
				if job = s.end(job); job.Counts.Did["created"] != n {
					b.Fatal(did(job))
				}
				lap("import")
				b.ReportMetric(float64(memory())/(1<<20), "MiB-more")
				db.Close()
			}
		})
	}
}

func benchStage(b *testing.B, db *store.DB) *stage {
	s := newStage(b, db)
	quiet := slog.New(slog.DiscardHandler)
	s.jobs = jobs.New(jobs.Options{DB: db, Log: quiet, Actor: func(_ *store.Tx, who jobs.Starter) (access.Actor, error) {
		return access.Actor{Kind: who.Kind, ID: who.ID, Name: who.Name, Roles: []string{access.Admin}}, nil
	}})
	s.door = importer.New(importer.Options{DB: db, Jobs: s.jobs, Log: quiet, Address: invite.Address})
	return s
}

// rawImport is the prepared loop: users alone, without roles, values and activity.
func rawImport(b *testing.B, db *store.DB, n int) {
	org, _ := storetest.Org(b, db, "raw")
	const row = "(?, ?, 'csv', 'active', FALSE, ?, ?, ?, ?, ?, ?, ?, {{as_json}}, 1, ?, ?)"
	size := 1
	if db.Dialect() == "postgres" {
		size = 100
	}
	query := "INSERT INTO users (org_id, id, source, status, break_glass, user_name, user_name_key, email, email_key, display_name, sort_key, search_key, doc, version, created_at, updated_at) VALUES " +
		strings.Repeat(row+", ", size-1) + row
	err := db.Write(ctx, access.Muster(string(org)), func(tx *store.Tx) error {
		for at := 0; at < n; at += size {
			args := make([]any, 0, size*11)
			for i := at; i < at+size; i++ {
				name := fmt.Sprintf("raw%d", i)
				doc := fmt.Sprintf(`{"emails":[{"primary":true,"type":"work","value":"%s@example.com"}],"name":{"familyName":"Family","givenName":"Given"},"title":"Engineer","userName":"%s"}`, name, name)
				args = append(args, org, store.NewID[store.User](), name, name, name+"@example.com", name+"@example.com", name, name, name, doc, tx.Now(), tx.Now())
			}
			if _, err := tx.Exec(query, args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
