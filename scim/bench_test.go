package scim

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/heap"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Each benchmark runs the door (handler and database, no network) and, in turns
// with it on the same database, a loop of prepared statements: those of reads read the
// same rows, those of writes are rawWrites. Nothing else: no token, no check. All figures are medians of the rounds. "x-raw"
// is our rate over the loop's: 1.0 would be free. "cpu-ns/op" is our process and the PostgreSQL behind our
// connections, which is steadier than a rate on a busy machine; "db-cpu-ns/op" is PostgreSQL's part of it.
//
// Commits wait for the disk. The loop has a connection for each client, the door
// what store takes by itself. Set MUSTER_TEST_PG_DSN to measure another server.

const (
	rounds   = 5
	benchAll = 100_000 // people in the organization, all in one group
)

// bench is a directory with many people, and prepared statements beside it.
type bench struct {
	*door
	raw        *sql.DB
	org        string
	small, big string // groups of 10 and of benchAll
	backends   string // the query for the ids of PostgreSQL's processes
}

func openBench(b *testing.B) *bench { return openBenchOf(b, benchAll, benchMore) }

func openBenchOf(b *testing.B, people int, more string) *bench {
	b.Helper()
	heap.Roomy()
	url := storetest.DurablePostgresURL(b)
	db, err := store.Open(context.Background(), store.Options{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	raw, err := sql.Open("postgres", url+"&application_name=raw")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { raw.Close() })
	x := &bench{door: openDoor(b, db, NewDirectory{}), raw: raw,
		backends: "SELECT COALESCE(string_agg(pid::text, ' '), '') FROM pg_stat_activity WHERE datname = current_database()"}
	ctx, stop := context.WithCancel(context.Background())
	var logging sync.WaitGroup
	logging.Go(func() { x.log.Run(ctx) })
	b.Cleanup(func() { stop(); logging.Wait() })
	x.org = x.admin.Org
	x.small, x.big = x.group("Small"), x.group("Big")
	x.exec(`INSERT INTO users (org_id, id, directory_id, source, status, break_glass, user_name, user_name_key, external_id, email, email_key,
		display_name, sort_key, search_key, doc, version, created_at, updated_at)
		SELECT $1, CAST($3 || lpad(to_hex(i), 8, '0') AS uuid), $2, 'scim', 'active', false, 'user' || i || '@example.com', 'user' || i || '@example.com', 'e' || i,
		'user' || i || '@example.com', 'user' || i || '@example.com', 'User ' || i, 'user ' || i, 'user ' || i, jsonb_build_object('userName', 'user' || i || '@example.com',
		'externalId', 'e' || i, 'displayName', 'User ' || i, 'title', 'Engineer', 'locale', 'en-US', 'name', jsonb_build_object('givenName', 'User', 'familyName', 'No ' || i),
		'emails', jsonb_build_array(jsonb_build_object('value', 'user' || i || '@example.com', 'type', 'work', 'primary', true)),
		'`+enterpriseURN+`', jsonb_build_object('department', 'R&D', 'costCenter', '4711', 'employeeNumber', i::text, 'organization', 'Universal Studios', 'division', 'Theme Park')) ||
		'{`+more+`}', 1, 0, 0
		FROM generate_series(0, $4::int - 1) AS i`, x.org, string(x.directory.ID), benchID, people)
	for id, size := range map[string]int{x.small: 10, x.big: min(people, benchAll)} {
		x.exec(`INSERT INTO members (org_id, group_id, user_id, since) SELECT org_id, $2, id, 0 FROM users WHERE org_id = $1 ORDER BY id LIMIT $3`, x.org, id, size)
	}
	x.exec("VACUUM ANALYZE") // as PostgreSQL does by itself within a minute
	return x
}

// benchMore is what makes a person as large as those whom directories push, about 1.1 KB.
const benchMore = `"nickName":"Bobby","profileUrl":"https://people.example.com/profiles/bobby","userType":"Employee","preferredLanguage":"en-US","timezone":"America/Los_Angeles",
	"phoneNumbers":[{"value":"+1 555 0100 42","type":"work","primary":true}],"addresses":[{"type":"work","streetAddress":"100 Universal City Plaza, Building 7, Floor 12",
	"locality":"Hollywood","region":"CA","postalCode":"91608","country":"US","formatted":"100 Universal City Plaza, Building 7, Floor 12\nHollywood, CA 91608 USA","primary":true}]`

// benchID are the first 24 digits of the ids of the people.
const benchID = "019000000000700080000000"

func userID(i int) string { return fmt.Sprintf("%s%08x", benchID, i) }

func (x *bench) exec(query string, args ...any) {
	x.t.Helper()
	if _, err := x.raw.Exec(query, args...); err != nil {
		x.t.Fatalf("%.60s: %v", query, err)
	}
}

func (x *bench) prepare(query string) *sql.Stmt {
	x.t.Helper()
	st, err := x.raw.Prepare(query)
	if err != nil {
		x.t.Fatalf("%.60s: %v", query, err)
	}
	x.t.Cleanup(func() { st.Close() })
	return st
}

// clients is how many requests are under way at once.
var clients = []int{8, 32}

// versus runs ours and raw b.N times each, in turns, and reports both.
func (x *bench) versus(b *testing.B, ours, raw func(i int)) {
	b.Helper()
	for _, n := range clients {
		warm := false
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			if x.raw != nil {
				x.raw.SetMaxOpenConns(n)
				x.raw.SetMaxIdleConns(n) // equal: else connections are dropped and statements prepared again
			}
			if !warm { // PostgreSQL plans a statement five times on each connection before it keeps the plan
				for _, f := range []func(int){ours, raw} {
					shared(n, 64*n, new(atomic.Int64), f)
				}
				warm = true
			}
			x.race(b, n, ours, raw)
		})
	}
}

func (x *bench) race(b *testing.B, clients int, ours, raw func(i int)) {
	b.Helper()
	var next [2]atomic.Int64
	var took, cpu, db [2][]float64 // nanoseconds for one, of each round
	var ratios []float64
	b.ResetTimer()
	for round := range rounds {
		n := max(1, b.N/rounds+min(1, b.N%rounds/(round+1)))
		for which, f := range []func(int){ours, raw} {
			busy, busyDB := x.cpu()
			start := time.Now()
			shared(clients, n, &next[which], f)
			took[which] = append(took[which], float64(time.Since(start).Nanoseconds())/float64(n))
			all, ofDB := x.cpu()
			cpu[which] = append(cpu[which], float64((all-busy).Nanoseconds())/float64(n))
			db[which] = append(db[which], float64((ofDB-busyDB).Nanoseconds())/float64(n))
		}
		ratios = append(ratios, took[1][round]/took[0][round])
	}
	b.StopTimer()
	b.ReportMetric(median(took[0]), "ns/op")
	b.ReportMetric(median(took[1]), "raw-ns/op")
	b.ReportMetric(median(ratios), "x-raw")
	b.ReportMetric(median(cpu[0]), "cpu-ns/op")
	b.ReportMetric(median(cpu[1]), "raw-cpu-ns/op")
	if x.backends != "" {
		b.ReportMetric(median(db[0]), "db-cpu-ns/op")
		b.ReportMetric(median(db[1]), "raw-db-cpu-ns/op")
	}
}

// shared does f n times, by as many clients, numbered from next on.
func shared(clients, n int, next *atomic.Int64, f func(i int)) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				f(int(next.Add(1) - 1))
			}
		})
	}
	wg.Wait()
}

// median is what one round out of the ordinary does not move.
func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// cpu is what this process and the PostgreSQL processes that serve it have used, and
// the part of the latter. Those of a server on another machine are not seen.
func (x *bench) cpu() (all, db time.Duration) {
	x.t.Helper()
	var own syscall.Rusage
	x.check(syscall.Getrusage(syscall.RUSAGE_SELF, &own))
	all = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	if x.backends == "" {
		return all, 0
	}
	var pids string
	x.check(x.raw.QueryRow(x.backends).Scan(&pids))
	for pid := range strings.SplitSeq(pids, " ") {
		stat, _ := os.ReadFile("/proc/" + pid + "/schedstat")
		on, _, _ := strings.Cut(string(stat), " ")
		n, _ := strconv.ParseInt(on, 10, 64)
		db += time.Duration(n)
	}
	return all + db, db
}

// send is do by a client that throws the answer away: keeping it would cost as much
// as a third of making it.
func (x *bench) send(want int, method, path, body string) {
	r, err := http.NewRequest(method, BaseURL(testURL, x.directory.ID)+path, strings.NewReader(body)) // httptest's writes a request out and reads it again
	if err != nil {
		x.t.Error(err)
		return
	}
	r.RemoteAddr = "192.0.2.1:1234"
	r.Header.Set("Authorization", "Bearer "+x.token)
	w := sink{header: http.Header{}}
	x.mux.ServeHTTP(&w, r)
	if w.code != want {
		x.t.Errorf("%s %s: %d %s", method, path, w.code, w.head)
	}
}

// sink keeps the status and the start of a refusal.
type sink struct {
	header http.Header
	code   int
	head   []byte
}

func (w *sink) Header() http.Header  { return w.header }
func (w *sink) WriteHeader(code int) { w.code = cmp.Or(w.code, code) }
func (w *sink) Write(p []byte) (int, error) {
	if w.WriteHeader(http.StatusOK); w.code >= 400 && w.head == nil {
		w.head = append(w.head, p[:min(len(p), 500)]...)
	}
	return len(p), nil
}

func (x *bench) check(err error) {
	if err != nil {
		x.t.Error(err)
	}
}

const rawColumns = "id, directory_id, source, status, user_name, external_id, email, display_name, doc, version, created_at, updated_at"

// scan reads rows as bytes, which is the least that any program does with them.
func (x *bench) scan(rows *sql.Rows, err error) {
	if err != nil {
		x.t.Error(err)
		return
	}
	defer rows.Close()
	names, err := rows.Columns()
	x.check(err)
	row := make([]sql.RawBytes, len(names))
	dest := make([]any, len(row))
	for i := range row {
		dest[i] = &row[i]
	}
	for rows.Next() {
		x.check(rows.Scan(dest...))
	}
	x.check(rows.Err())
}

func BenchmarkDoor(b *testing.B) {
	x := openBench(b)
	dir := string(x.directory.ID)

	b.Run("get", func(b *testing.B) {
		st := x.prepare("SELECT " + rawColumns + " FROM users WHERE org_id = $1 AND id = $2 AND deleted_at = 0")
		x.versus(b, func(i int) { x.send(200, "GET", "/Users/"+userID(i*7919%benchAll)+"?excludedAttributes=groups", "") },
			func(i int) { x.scan(st.Query(x.org, userID(i*7919%benchAll))) })
	})
	b.Run("get-with-groups", func(b *testing.B) {
		st := x.prepare("SELECT " + rawColumns + `, (SELECT jsonb_agg(jsonb_build_array(g.id, g.name)) FROM members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id
			WHERE m.org_id = u.org_id AND m.user_id = u.id) FROM users u WHERE org_id = $1 AND id = $2 AND deleted_at = 0`)
		x.versus(b, func(i int) { x.send(200, "GET", "/Users/"+userID(i*7919%benchAll), "") },
			func(i int) { x.scan(st.Query(x.org, userID(i*7919%benchAll))) })
	})
	b.Run("userName-eq", func(b *testing.B) {
		st := x.prepare("SELECT " + rawColumns + " FROM users WHERE org_id = $1 AND user_name_key = $2 AND deleted_at = 0")
		x.versus(b, func(i int) {
			x.send(200, "GET", fmt.Sprintf("/Users?filter=userName+eq+%%22user%d@example.com%%22", i*7919%benchAll), "")
		}, func(i int) { x.scan(st.Query(x.org, fmt.Sprintf("user%d@example.com", i*7919%benchAll))) })
	})
	b.Run("get-group-without-members", func(b *testing.B) {
		st := x.prepare("SELECT id, directory_id, name, external_id, doc, version, created_at, updated_at FROM groups WHERE org_id = $1 AND id = $2")
		x.versus(b, func(int) { x.send(200, "GET", "/Groups/"+x.big+"?excludedAttributes=members", "") },
			func(int) { x.scan(st.Query(x.org, x.big)) })
	})
	b.Run("page-100", func(b *testing.B) {
		st := x.prepare("SELECT " + rawColumns + " FROM users WHERE org_id = $1 AND (directory_id = $2 OR directory_id IS NULL) AND deleted_at = 0 ORDER BY id LIMIT 100")
		x.versus(b, func(int) { x.send(200, "GET", "/Users?startIndex=1&count=100&excludedAttributes=groups", "") },
			func(int) { x.scan(st.Query(x.org, dir)) })
	})
	b.Run("page-100-by-cursor", x.pagesByCursor)
	b.Run("create", x.create)
	b.Run("patch-user", x.patchUser)
	b.Run("patch-active", x.patchActive)
	for _, g := range []struct{ size, id, name string }{{"10", x.small, "Small"}, {"100000", x.big, "Big"}} {
		b.Run("patch-member-of-"+g.size, func(b *testing.B) { x.patchMember(b, g.id, g.name) })
	}
	b.Run("read-group-of-100000", x.readGroup)
}

// withKey is the door again, with a key by which cursors can be made.
func (x *bench) withKey() (*handler, *bench) {
	h := &handler{db: x.db, opt: Options{Key: secret.NewKey()}}
	m := web.NewMux(web.Options{PublicURL: testURL, Log: slog.New(slog.DiscardHandler)})
	Mount(m, x.db, h.opt)
	beside := *x.door
	beside.mux = m
	return h, &bench{door: &beside}
}

// pagesByCursor reads one page at several depths, in the order of creation and of
// an index, beside the statement that reads the rows behind the same place.
func (x *bench) pagesByCursor(b *testing.B) {
	const seen = "SELECT " + rawColumns + " FROM users WHERE org_id = $1 AND (directory_id = $2 OR directory_id IS NULL) AND deleted_at = 0 AND "
	byID := x.prepare(seen + "id > $3 ORDER BY id LIMIT 100")
	byName := x.prepare(seen + "user_name_key > $3 ORDER BY user_name_key LIMIT 100")
	h, y := x.withKey()
	for _, depth := range []int{0, benchAll / 2, benchAll - 200} {
		for _, by := range []string{"", "userName"} {
			name, place := fmt.Sprintf("user%d@example.com", depth), store.Place{ID: userID(depth)}
			st, behind := byID, userID(depth)
			if by != "" {
				place.Key, st, behind = name, byName, name
			}
			params := map[string]string{"cursor": "", "count": "100", "sortby": by}
			c, err := h.newCursor(dirctx{directory: x.directory}, params, []*Compiled{UserSchema()})
			x.check(err)
			c.last = position{Place: place}
			text, err := c.next(time.Now())
			x.check(err)
			b.Run(fmt.Sprintf("%s-%d", cmp.Or(by, "created"), depth), func(b *testing.B) {
				x.versus(b, func(int) {
					y.send(200, "GET", "/Users?count=100&excludedAttributes=groups&sortBy="+by+"&cursor="+text, "")
				}, func(int) { x.scan(st.Query(x.org, string(x.directory.ID), behind)) })
			})
		}
	}
}

// gauge is a client that throws the answer away and looks at the heap meanwhile.
type gauge struct {
	header http.Header
	bytes  int
	peak   uint64
}

func (g *gauge) Header() http.Header { return g.header }
func (g *gauge) WriteHeader(int)     {}
func (g *gauge) Write(p []byte) (int, error) {
	if g.bytes += len(p); g.bytes/(1<<20) > (g.bytes-len(p))/(1<<20) { // looking stops the program, so at each MiB
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		g.peak = max(g.peak, m.HeapAlloc)
	}
	return len(p), nil
}

// tight has garbage collected at every few MiB, where what is kept is measured.
func tight() (loose func()) {
	was := debug.SetGCPercent(10)
	return func() { debug.SetGCPercent(was) }
}

// inUse is the heap without garbage.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// readGroup reports the most heap that one reader of all members adds.
func (x *bench) readGroup(b *testing.B) {
	st := x.prepare("SELECT user_id, since FROM members WHERE org_id = $1 AND group_id = $2 ORDER BY user_id")
	var took, raw time.Duration
	var peak uint64
	read := func() (kept uint64, took time.Duration) {
		before := inUse()
		g := &gauge{header: http.Header{}}
		r := httptest.NewRequest("GET", BaseURL(testURL, x.directory.ID)+"/Groups/"+x.big, nil)
		r.Header.Set("Authorization", "Bearer "+x.token)
		start := time.Now()
		x.mux.ServeHTTP(g, r)
		took = time.Since(start)
		if g.bytes < 100*benchAll {
			b.Fatalf("the answer has %d bytes", g.bytes)
		}
		return g.peak - min(g.peak, before), took
	}
	for range b.N {
		loose := tight()
		kept, _ := read()
		peak = max(peak, kept)
		loose()

		_, once := read()
		took += once
		start := time.Now()
		rows, err := st.Query(x.org, x.big)
		if err != nil {
			b.Fatal(err)
		}
		var id, since sql.RawBytes
		for rows.Next() {
			x.check(rows.Scan(&id, &since))
		}
		x.check(rows.Close())
		raw += time.Since(start)
	}
	n := float64(b.N)
	b.ReportMetric(float64(took.Nanoseconds())/n, "ns/op")
	b.ReportMetric(float64(raw.Nanoseconds())/n, "raw-ns/op")
	b.ReportMetric(raw.Seconds()/took.Seconds(), "x-raw")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}

// BenchmarkBulk is 1,000 creations in one Bulk beside 1,000 single requests of one
// client, one after the other, and of eight at once. "x-single" is how many times
// faster the Bulk is than the former, "x-eight" than the latter. SQLite waits for
// the disk at each commit; a PostgreSQL that does is named in MUSTER_TEST_PG_DSN.
func BenchmarkBulk(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchBulk(b, "sqlite:"+b.TempDir()+"/bulk.db") })
	b.Run("postgres", func(b *testing.B) { benchBulk(b, storetest.DurablePostgresURL(b)) })
}

func benchBulk(b *testing.B, url string) {
	heap.Roomy()
	db, err := store.Open(context.Background(), store.Options{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Migrate(context.Background()); err != nil {
		b.Fatal(err)
	}
	x := &bench{door: openDoor(b, db, NewDirectory{})}
	ctx, stop := context.WithCancel(context.Background())
	var logging sync.WaitGroup
	logging.Go(func() { x.log.Run(ctx) }) // as a server does: rows do not wait for a full queue
	b.Cleanup(func() { stop(); logging.Wait() })
	people := func() []string {
		list := make([]string, maxOperations)
		for i := range list {
			list[i] = newcomer(fmt.Sprintf("bulk%d@example.com", created.Add(1)))
		}
		return list
	}
	singles := func(clients int) time.Duration {
		list := people()
		var next atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		for range clients {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
					x.send(201, "POST", "/Users", list[i])
				}
			})
		}
		wg.Wait()
		return time.Since(start)
	}
	var bulk, overOne, overEight []float64
	for range b.N {
		list := people()
		for i, body := range list {
			list[i] = bulkPost("/Users", itoa(i), body)
		}
		body := bulkBody(list...)
		start := time.Now()
		x.send(200, "POST", "/Bulk", body)
		took := time.Since(start)
		bulk = append(bulk, float64(took.Nanoseconds()))
		overOne = append(overOne, singles(1).Seconds()/took.Seconds())
		overEight = append(overEight, singles(8).Seconds()/took.Seconds())
	}
	b.ReportMetric(median(bulk), "ns/op")
	b.ReportMetric(median(overOne), "x-single")
	b.ReportMetric(median(overEight), "x-eight")
}
