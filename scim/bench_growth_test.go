package scim

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
)

var growTo = flag.Int("growth", benchAll, "people in the largest organization of BenchmarkGrowth; 1000000 takes a few minutes to fill")

// BenchmarkGrowth reads from organizations of 1,000 people and of many, each in a
// database of its own, in turns. "x-growth" is the processor time of a request, of
// ours and PostgreSQL's, in the largest over that in the smallest. It asks for 1,000
// people that lie evenly in the table, so that what is read is in memory: a cold
// disk is another thing to measure. An operation is a round of 1,000 requests of four
// clients (50 for pages).
func BenchmarkGrowth(b *testing.B) {
	const smallest = 1000
	var all []*bench
	sizes := []int{smallest, *growTo}
	for _, n := range sizes {
		all = append(all, openBenchOf(b, n, ""))
	}
	pages, pagers := make([]string, len(all)), make([]*bench, len(all))
	for i, x := range all {
		pages[i], pagers[i] = x.pageBehind(sizes[i] / 2)
	}
	for _, c := range []struct {
		name  string
		doors []*bench
		times int
		path  func(which, person int) string
	}{
		{"get", all, smallest, func(_, n int) string { return "/Users/" + userID(n) + "?excludedAttributes=groups" }},
		{"get-with-groups", all, smallest, func(_, n int) string { return "/Users/" + userID(n) }},
		{"userName-eq", all, smallest, func(_, n int) string { return fmt.Sprintf("/Users?filter=userName+eq+%%22user%d@example.com%%22", n) }},
		{"externalId-eq", all, smallest, func(_, n int) string { return fmt.Sprintf("/Users?filter=externalId+eq+%%22e%d%%22", n) }},
		{"page-100-by-cursor", pagers, 50, func(which, _ int) string { return pages[which] }},
	} {
		b.Run(c.name, func(b *testing.B) {
			cpu := make([][]float64, len(all))
			round := func(which int) float64 {
				x := all[which]
				busy, _ := x.cpu()
				var next atomic.Int64
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						for i := next.Add(1); i <= int64(c.times); i = next.Add(1) {
							c.doors[which].send(200, "GET", c.path(which, int(i*7919)%smallest*(sizes[which]/smallest)), "")
						}
					})
				}
				wg.Wait()
				now, _ := x.cpu()
				return float64((now - busy).Nanoseconds()) / float64(c.times)
			}
			for which := range all {
				round(which) // to warm up
			}
			b.ResetTimer()
			for range b.N {
				for which := range all {
					cpu[which] = append(cpu[which], round(which))
				}
			}
			b.ReportMetric(median(cpu[0]), "cpu-ns/op")
			b.ReportMetric(median(cpu[1])/median(cpu[0]), "x-growth")
			b.ReportMetric(float64(sizes[1]), "people")
		})
	}
}

// pageBehind is the path of the page behind a person, and the door that takes it.
func (x *bench) pageBehind(person int) (string, *bench) {
	x.t.Helper()
	h, y := x.withKey()
	c, err := h.newCursor(dirctx{directory: x.directory}, map[string]string{"cursor": "", "count": "100"}, []*Compiled{UserSchema()})
	x.check(err)
	c.last = position{Place: store.Place{ID: userID(person)}}
	text, err := c.next(time.Now())
	x.check(err)
	return "/Users?count=100&excludedAttributes=groups&cursor=" + text, y
}

// BenchmarkWalk reads all 100,000 people in pages of 1,000 by cursor; an operation is
// the whole walk. "peak-MiB" is the most heap that it adds, what waits for the
// garbage collector included.
func BenchmarkWalk(b *testing.B) {
	b.Run("postgres", func(b *testing.B) { openBench(b).walk(b) })
	b.Run("sqlite", func(b *testing.B) {
		x := openSQLiteBench(b)
		x.fillSQLite(b)
		x.walk(b)
	})
}

func (x *bench) walk(b *testing.B) {
	b.Helper()
	var peak uint64
	defer tight()()
	b.ResetTimer()
	for range b.N {
		before := inUse()
		people, cursor := 0, ""
		for more := true; more; more = cursor != "" {
			g := &page{gauge: gauge{header: http.Header{}}}
			r := httptest.NewRequest("GET", BaseURL(testURL, x.directory.ID)+"/Users?count=1000&excludedAttributes=groups&cursor="+cursor, nil)
			r.Header.Set("Authorization", "Bearer "+x.token)
			x.mux.ServeHTTP(g, r)
			n, next := g.read(b)
			people, cursor = people+n, next
			peak = max(peak, g.peak-min(g.peak, before))
		}
		if people != benchAll {
			b.Fatalf("%d people were shown, want %d", people, benchAll)
		}
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}

// page is a gauge that keeps the end of the answer, where the cursor is.
type page struct {
	gauge
	end []byte
}

func (p *page) Write(b []byte) (int, error) {
	p.end = append(p.end[:0], b[max(0, len(b)-1000):]...)
	return p.gauge.Write(b)
}

// read finds what stands behind the resources.
func (p *page) read(b *testing.B) (items int, cursor string) {
	b.Helper()
	at := len(p.end) - 1
	for ; at > 0 && string(p.end[at-1:at+1]) != "],"; at-- {
	}
	var tail struct {
		ItemsPerPage int
		NextCursor   string
	}
	if err := json.Unmarshal(append([]byte("{"), p.end[min(at+1, len(p.end)):]...), &tail); err != nil {
		b.Fatalf("the end of the page is %s: %v", p.end, err)
	}
	return tail.ItemsPerPage, tail.NextCursor
}

// fillSQLite puts the people of openBench into an SQLite database.
func (x *bench) fillSQLite(b *testing.B) {
	b.Helper()
	err := x.db.Write(context.Background(), x.admin, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO users (org_id, id, directory_id, source, status, break_glass, user_name, user_name_key, external_id, email, email_key,
			display_name, sort_key, search_key, doc, version, created_at, updated_at)
			WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?),
			p(i, name) AS (SELECT i, 'user' || i || '@example.com' FROM n)
			SELECT o.id, ? || printf('%08x', i), ?, 'scim', 'active', 0, name, name, 'e' || i, name, name, name, name, name,
			json_patch('{`+benchMore+`}', json_object('userName', name, 'externalId', 'e' || i, 'displayName', 'User ' || i, 'title', 'Engineer', 'locale', 'en-US',
			'name', json_object('givenName', 'User', 'familyName', 'No ' || i), 'emails', json_array(json_object('value', name, 'type', 'work')),
			?, json_object('department', 'R&D', 'costCenter', '4711', 'employeeNumber', CAST(i AS text)))), 1, 0, 0
			FROM p, (SELECT ? AS id) AS o`, benchAll, benchID, string(x.directory.ID), enterpriseURN, tx.Org())
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}
