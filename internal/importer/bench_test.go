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
	"github.com/muster-id/muster/internal/heap"
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
// raw loop of reference/performance.md 1 and 8 (see rawPostgres and rawSQLite), for which
// the goal is twice its time. The loop reads no file and looks at nothing, so reading the
// file with the preview of every line is told apart. The memory is that of one more
// import, during which garbage is collected at every few MiB: servers let more of it grow.
func BenchmarkImport(b *testing.B) {
	heap.Roomy() // as servers do
	for name, url := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + t.TempDir() + "/bench.db" },
		"postgres": storetest.DurablePostgresURL,
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				at := url(b)
				w := &watch{b: b, cpu: storetest.CPU(b, at)}
				s := openStage(b, at)
				w.start()
				raw(b, at, benchPeople)
				loop := w.lap("raw")
				run := s.preview()
				preview := w.lap("preview")
				s.importAll(run)
				imported := w.lap("import")
				b.ReportMetric(loop.Seconds()/imported.Seconds(), "of-raw")
				b.ReportMetric(loop.Seconds()/(preview+imported).Seconds(), "with-preview-of-raw")

				s = openStage(b, url(b))
				was := debug.SetGCPercent(10)
				memory := peak()
				s.importAll(s.preview())
				b.ReportMetric(float64(memory())/(1<<20), "MiB-more")
				debug.SetGCPercent(was)
			}
		})
	}
}

const benchPeople = 50_000

// watch tells what the people of the benchmark took, one after the other.
type watch struct {
	b     *testing.B
	cpu   func() time.Duration
	begun time.Time
	spent time.Duration
}

func (w *watch) start() { w.begun, w.spent = time.Now(), w.cpu() }

func (w *watch) lap(what string) time.Duration {
	took, used := time.Since(w.begun), w.cpu()-w.spent
	w.b.ReportMetric(benchPeople/took.Seconds(), what+"-rows/s")
	w.b.ReportMetric(float64(used.Microseconds())/benchPeople, what+"-cpu-us/row")
	w.start()
	return took
}

func openStage(b *testing.B, url string) *stage {
	db, err := store.Open(ctx, store.Options{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Migrate(ctx); err != nil {
		b.Fatal(err)
	}
	return benchStage(b, db)
}

func (s *stage) preview() importer.Run {
	run, err := s.door.Upload(ctx, s.admin, "people.csv", &people{n: benchPeople})
	if err != nil {
		s.t.Fatal(err)
	}
	run.Settings.New = importer.NewActive
	if run, err = s.door.Read(ctx, s.admin, run.ID, run.Settings); err != nil || run.Good() != benchPeople {
		s.t.Fatalf("%v: %v", run.Counts, err)
	}
	return run
}

func (s *stage) importAll(run importer.Run) {
	job, err := s.door.Start(ctx, s.admin, run.ID, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if job = s.end(job); job.Counts.Did["created"] != benchPeople {
		s.t.Fatal(did(job))
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
