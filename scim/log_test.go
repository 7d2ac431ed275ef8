package scim

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// logged gives the directory's rows, newest first.
func (d *door) logged(q logQuery) []logRow {
	d.t.Helper()
	if err := d.log.Flush(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	q.directory = d.directory.ID
	if q.limit == 0 {
		q.limit = 1000
	}
	var rows []logRow
	err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) (err error) {
		rows, err = logRows(tx, q)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return rows
}

// last is the newest row.
func (d *door) last() logRow {
	d.t.Helper()
	rows := d.logged(logQuery{limit: 1})
	if len(rows) == 0 {
		d.t.Fatal("the log is empty")
	}
	return rows[0]
}

func TestEachKindOfRequestLeavesARow(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{Vendor: "okta"})
		jane := d.user("jane@acme.example", `"name":{"givenName":"Jane","familyName":"Doe"}`)
		group := d.group("Sales", jane)
		for _, c := range []struct {
			method, path, body         string
			status                     int
			resource, target, targetID string
			scimType, refusal          string
			changes                    int
		}{
			{"POST", "/Users", userBody("joe@acme.example"), 201, "Users", "joe@acme.example", "*", "", "", 1},
			{"GET", "/Users/" + jane, "", 200, "Users", "", jane, "", "", 0},
			{"GET", `/Users?filter=userName+eq+%22jane@acme.example%22`, "", 200, "Users", "jane@acme.example", "", "", "", 0},
			{"PATCH", "/Users/" + jane, patchBody(`{"op":"replace","path":"title","value":"Head"}`), 200, "Users", "", jane, "", "", 1},
			{"PATCH", "/Users/" + jane, patchBody(`{"op":"replace","path":"title","value":"Head"}`), 200, "Users", "", jane, "", "", 0},
			{"PUT", "/Users/" + jane, userBody("jane2@acme.example"), 200, "Users", "jane2@acme.example", jane, "", "", 1},
			{"PATCH", "/Groups/" + group, patchBody(`{"op":"remove","path":"members"}`), 204, "Groups", "Sales", group, "", "", 1},
			{"DELETE", "/Groups/" + group, "", 204, "Groups", "Sales", group, "", "", 1},
			{"POST", "/Users", userBody("JOE@acme.example"), 409, "Users", "JOE@acme.example", "", "uniqueness", refusedTaken, 0},
			{"POST", "/Users", `{"schemas":["` + userURN + `"],"userName":"x","active":7}`, 400, "Users", "x", "", "invalidValue", refusedValue, 0},
			{"POST", "/Users", `{"schemas`, 400, "Users", "", "", "invalidSyntax", refusedFormat, 0},
			{"PATCH", "/Users/" + jane, patchBody(`{"op":"replace","path":"groups","value":[]}`), 400, "Users", "", jane, "mutability", refusedPath, 0},
			{"POST", "/Groups", groupBody("G", `"members":`+memberJSON(group)), 400, "Groups", "G", "", "invalidValue", refusedMembers, 0},
			{"GET", `/Users?filter=userName+like+%22x%22`, "", 400, "Users", "", "", "invalidFilter", refusedFilter, 0},
			{"GET", "/Users/" + group, "", 404, "Users", "", group, "", refusedMissing, 0},
			{"GET", "/Nothing", "", 404, "", "", "", "", refusedURL, 0},
			{"DELETE", "/Users", "", 405, "Users", "", "", "", refusedURL, 0},
			{"GET", "/Me", "", 501, "Me", "", "", "", refusedUnsupported, 0},
			{"GET", "/ServiceProviderConfig", "", 200, "ServiceProviderConfig", "", "", "", "", 0},
			{"DELETE", "/Users/" + jane, "", 204, "Users", "*", jane, "", "", 1},
		} {
			clock.Pass(time.Second)
			got := d.must(c.status, c.method, c.path, c.body, "User-Agent: Okta SCIM Client 1.0.0", "X-Request-Id: request-0001")
			row := d.last()
			name := c.method + " " + c.path
			if row.Method != c.method || row.Status != c.status || row.Resource != c.resource || row.ScimType != c.scimType || row.Refusal != c.refusal || row.Changes != c.changes || len(row.Activities) != c.changes {
				t.Errorf("%s\n got %+v\nwant %+v", name, row, c)
			}
			if c.targetID != "*" && row.TargetID != c.targetID || c.target != "" && c.target != "*" && row.Target != c.target {
				t.Errorf("%s: about %q (%s), want %q (%s)", name, row.Target, row.TargetID, c.target, c.targetID)
			}
			if row.Reason != got.str("detail") || (row.Reason == "") != (c.status < 400) {
				t.Errorf("%s: reason %q, answered %q", name, row.Reason, got.str("detail"))
			}
			if row.Agent != "Okta SCIM Client 1.0.0" || row.IP != "192.0.2.1" || row.Request != "request-0001" || row.At != store.TimeOf(clock.Now()) || row.Took < 0 {
				t.Errorf("%s: from %q, %q, %q at %d, took %d", name, row.Agent, row.IP, row.Request, row.At, row.Took)
			}
			if (row.Body != "") != (c.status >= 400 && c.body != "" && c.status != 405) {
				t.Errorf("%s: body kept: %q", name, row.Body)
			}
		}
	})
}

// What changed is the activity row's own word.
func TestTheLogSaysWhatChanged(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		id := d.user("jane", `"title":"Agent"`)
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"title","value":"Head"}`))
		var lines []logLine
		rows := d.logged(logQuery{limit: 1})
		err := db.Read(context.Background(), d.admin, func(tx *store.Tx) (err error) {
			lines, err = logLines(tx, rows, "okta", "/console/acme")
			return err
		})
		want := []store.AttributeChange{{Name: "title", Before: "Agent", After: "Head"}}
		if err != nil || len(lines) != 1 || len(lines[0].Done) != 1 || !slices.Equal(lines[0].Done[0].Changes, want) || lines[0].Done[0].Action != "user.update" {
			t.Fatalf("%v %+v, want %v", err, lines, want)
		}
	})
}

// Who has no token is refused where the administrator looks, but cannot fill the log.
func TestStrangersInTheLog(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		d.refused(401, "", "token", "GET", "/Users", "", "Authorization: Bearer wrongwrongwrong")
		if row := d.last(); row.Status != 401 || row.Refusal != refusedToken || row.Reason == "" {
			t.Errorf("a wrong token: %+v", row)
		}
		d.refused(404, "", "base URL", "GET", "/Users", "", "Authorization: Bearer "+other.token)
		if row := d.last(); row.Status != 404 || row.Refusal != refusedURL {
			t.Errorf("another directory's token: %+v", row)
		}
		for range 3 * strangersPerMinute {
			d.do("GET", "/Users", "", "Authorization: Basic YTpi")
		}
		if n := len(d.logged(logQuery{})); n != strangersPerMinute || d.log.Dropped() == 0 {
			t.Errorf("%d rows of strangers, %d left out; want %d rows", n, d.log.Dropped(), strangersPerMinute)
		}
		if rows := other.logged(logQuery{}); len(rows) != 1 || rows[0].Status != 404 || rows[0].Path != "/scim/v2/"+string(d.directory.ID)+"/Users" || rows[0].Refusal != refusedURL {
			t.Errorf("the directory whose token was used at another's address: %+v", rows)
		}
		r := httptest.NewRequest("GET", testURL+"/scim/v2/"+string(store.NewID[store.Directory]())+"/Users", nil)
		if got := d.serve(r); got.code != 401 {
			t.Errorf("a directory that is not there: %d", got.code)
		}
		clock.Pass(2 * time.Minute)
		d.do("GET", "/Users", "", "Authorization: Basic YTpi")
		rows := d.logged(logQuery{})
		if len(rows) != strangersPerMinute+2 || rows[1].Repeats != 2*strangersPerMinute+2 || rows[1].Status != 401 || !strings.Contains(rows[1].Reason, "42 more requests") {
			t.Errorf("%d rows a minute later, want one more and one that counts those without: %+v", len(rows), rows[1])
		}
	})
}

func TestTheLogIsNewestFirstAndFiltered(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		start := clock.Now()
		jane := d.user("jane")
		for range 5 {
			clock.Pass(24 * time.Hour)
			d.must(200, "GET", "/Users/"+jane, "")
			d.must(409, "POST", "/Users", userBody("Jane"))
		}
		d.user("janet")
		all := d.logged(logQuery{})
		if len(all) != 12 || !slices.IsSortedFunc(all, func(a, b logRow) int {
			return strings.Compare(logCursor{b.At, b.ID}.String(), logCursor{a.At, a.ID}.String())
		}) {
			t.Fatalf("not newest first, or not 12: %+v", all)
		}
		var paged []logRow
		var before logCursor
		for range 10 {
			rows := d.logged(logQuery{limit: 5, before: before})
			if len(rows) == 0 {
				break
			}
			paged = append(paged, rows...)
			last := rows[len(rows)-1]
			c, err := parseLogCursor(logCursor{last.At, last.ID}.String())
			if err != nil {
				t.Fatal(err)
			}
			before = c
		}
		if !slices.EqualFunc(all, paged, func(a, b logRow) bool { return a.ID == b.ID }) {
			t.Errorf("paged: %d rows, want the same %d", len(paged), len(all))
		}
		for _, c := range []struct {
			name string
			q    logQuery
			want int
		}{
			{"refused", logQuery{refused: true}, 5},
			{"operation", logQuery{method: "GET", resource: "Users"}, 5},
			{"by id", logQuery{target: jane}, 6},
			{"by userName: the id, and the name that requests had", logQuery{target: "JANE"}, 11},
			{"by the start of a name", logQuery{target: "jan"}, 7},
			{"nobody", logQuery{target: "zoe"}, 0},
			{"from", logQuery{from: store.TimeOf(start.Add(4 * 24 * time.Hour))}, 5},
			{"to", logQuery{to: store.TimeOf(start.Add(time.Hour))}, 1},
			{"refused of one target", logQuery{refused: true, target: "jane", from: store.TimeOf(start.Add(4 * 24 * time.Hour))}, 2},
		} {
			if rows := d.logged(c.q); len(rows) != c.want {
				t.Errorf("%s: %d rows, want %d", c.name, len(rows), c.want)
			}
		}
	})
}

func TestTheLogIsKeptByAgeAndSize(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		d.log.opt.LogRows = 10
		other.user("old")
		clock.Pass(29 * 24 * time.Hour)
		for range 25 {
			clock.Pass(time.Minute)
			d.must(200, "GET", "/Users", "")
		}
		newest := d.logged(logQuery{limit: 10})
		sweep := func() {
			t.Helper()
			if err := d.log.Sweep(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		sweep()
		if rows := d.logged(logQuery{}); !slices.EqualFunc(rows, newest, func(a, b logRow) bool { return a.ID == b.ID }) {
			t.Errorf("%d rows are kept, want the newest 10", len(rows))
		}
		if n := len(other.logged(logQuery{})); n != 1 {
			t.Errorf("the other directory has %d rows, want 1", n)
		}
		clock.Pass(2 * 24 * time.Hour)
		sweep()
		if n := len(other.logged(logQuery{})); n != 0 {
			t.Errorf("%d rows are older than 30 days", n)
		}
		if n := len(d.logged(logQuery{})); n != 10 {
			t.Errorf("%d rows, want 10", n)
		}
	})
}

// When too much comes at once, reads go first; changes and refusals are written
// while their request waits.
func TestAFullQueue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.log.limit, d.log.share = 4, 4
		for range 10 {
			d.must(200, "GET", "/Users", "")
		}
		if len(d.log.reads) != 4 || d.log.Dropped() != 6 {
			t.Fatalf("%d reads wait, %d were left out; want 4 and 6", len(d.log.reads), d.log.Dropped())
		}
		for i := range 4 {
			d.user("u" + itoa(i))
		}
		if len(d.log.reads) != 0 || len(d.log.changes) != 4 || d.log.Dropped() != 10 {
			t.Fatalf("%d reads and %d changes wait, %d were left out; want 0, 4 and 10", len(d.log.reads), len(d.log.changes), d.log.Dropped())
		}
		d.refused(409, "uniqueness", "", "POST", "/Users", userBody("u0")) // the queue is full of changes
		if len(d.log.changes) != 0 {
			t.Errorf("%d rows still wait", len(d.log.changes))
		}
		if n := len(d.logged(logQuery{})); n != 5 {
			t.Errorf("%d rows, want the 4 changes and the refusal", n)
		}
		d.log.share = 2
		for range 3 {
			d.must(200, "GET", "/Users", "")
		}
		if len(d.log.reads) != 2 || d.log.Dropped() != 11 {
			t.Errorf("%d reads wait, %d were left out; want their share of 2, and 11", len(d.log.reads), d.log.Dropped())
		}
	})
}

// A stopped server has written everything; a database that does not answer loses no change.
func TestTheQueueOutlivesTroubles(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.user("jane")
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if err := d.log.Flush(gone); err == nil {
			t.Error("a cancelled flush says that it wrote")
		}
		if len(d.log.changes) != 1 {
			t.Fatalf("%d changes wait after a failed flush, want 1", len(d.log.changes))
		}
		if err := d.log.Run(gone); err != nil {
			t.Fatal(err)
		}
		if len(d.log.changes) != 0 || len(d.logged(logQuery{})) != 1 {
			t.Error("Run ended and left the queue")
		}
	})
}

func TestStates(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		silent := d.another(NewDirectory{Name: "Silent"})
		state := func() map[store.DirectoryID]State {
			d.logged(logQuery{limit: 1})
			of := map[store.DirectoryID]State{}
			err := db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
				list, err := d.log.States(tx, []store.DirectoryID{d.directory.ID, silent.directory.ID})
				for _, s := range list {
					of[s.Directory] = s
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return of
		}
		at := func() store.Time { clock.Pass(time.Minute); return store.TimeOf(clock.Now()) }
		good := at()
		d.must(200, "GET", "/Users", "")
		at()
		missing := at()
		d.must(404, "GET", "/Users/"+strings.Repeat("0", 32), "")
		if s := state(); s[d.directory.ID] != (State{d.directory.ID, missing, good, 0}) || s[silent.directory.ID] != (State{Directory: silent.directory.ID}) {
			t.Errorf("not found is no failure: %+v", s)
		}
		for range 2 {
			at()
			d.must(400, "POST", "/Users", "{}")
		}
		if s := state()[d.directory.ID]; s.Failing != 0 {
			t.Errorf("two people were refused, the connection works: %+v", s)
		}
		at()
		d.must(200, "GET", "/Users", "")
		three := at()
		for range 3 {
			d.must(400, "POST", "/Users", "{}")
			at()
		}
		if s := state()[d.directory.ID]; s.Failing != three {
			t.Errorf("nothing but refusals: %+v", s)
		}
		good = at()
		d.must(200, "GET", "/Users", "")
		since := at()
		d.must(401, "GET", "/Users", "", "Authorization: Bearer wrongwrongwrong")
		last := at()
		d.must(401, "GET", "/Users", "", "Authorization: Bearer wrongwrongwrong")
		if s := state()[d.directory.ID]; s != (State{d.directory.ID, last, good, since}) {
			t.Errorf("failing: %+v", s)
		}
		again := at()
		d.must(200, "GET", "/Users", "")
		if s := state()[d.directory.ID]; s != (State{d.directory.ID, again, again, 0}) {
			t.Errorf("it works again: %+v", s)
		}
		err := db.Read(context.Background(), access.Actor{Kind: access.Person, Org: d.admin.Org, Roles: []string{access.Viewer}}, func(tx *store.Tx) error {
			_, err := d.log.States(tx, nil)
			return err
		})
		if !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer sees states: %v", err)
		}
	})
}

// PostgreSQL finds what is rare by the same indexes, among many rows.
func TestTheLogIsIndexedOnPostgres(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if !strings.HasSuffix(t.Name(), "postgres") {
			return // TestTheLogIsIndexed looks at SQLite
		}
		d := openDoor(t, db, NewDirectory{})
		rows := make([]logRow, 12_000)
		var others [6]store.DirectoryID
		for i := range others {
			others[i] = store.NewID[store.Directory]()
		}
		for i := range rows {
			rows[i] = logRow{Org: store.OrgID(d.admin.Org), Directory: d.directory.ID, At: store.Time(i + 1), ID: store.NewID[logRow](), Status: 200, Method: "GET", Resource: "Users",
				Request: "request-" + itoa(i), TargetID: string(store.NewID[store.User]()), Target: "user" + itoa(i), TargetKey: "user" + itoa(i), Activities: []store.ActivityID{}}
			if i%6 != 0 {
				rows[i].Directory = others[i%6] // time alone tells nothing
			}
			if i%600 == 0 {
				rows[i].Method, rows[i].Status, rows[i].Refusal = "PATCH", 400+i/600, "value"
			}
		}
		for at := 0; at < len(rows); at += batchRows {
			if err := d.log.insert(t.Context(), rows[at:min(at+batchRows, len(rows))]); err != nil {
				t.Fatal(err)
			}
		}
		d.write(func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE scim_log"); return err })
		for _, c := range []struct {
			name, index string
			q           logQuery
		}{
			{"newest", "scim_log_pkey", logQuery{}}, {"refused", "scim_log_refused", logQuery{refused: true}}, {"a status", "scim_log_status", logQuery{status: 404}},
			{"a request", "scim_log_request", logQuery{request: "request-18"}}, {"an operation", "scim_log_change", logQuery{method: "PATCH", resource: "Users"}},
			{"about an id", "scim_log_target", logQuery{target: rows[18].TargetID}}, {"about a name", "scim_log_target_key", logQuery{target: "user1800"}},
		} {
			var plan string
			d.write(func(tx *store.Tx) error {
				c.q.directory, c.q.limit = d.directory.ID, 50
				query, args, err := c.q.sql(tx)
				if err != nil {
					return err
				}
				plan, err = storetest.Plan(tx, query, args...)
				return err
			})
			if !strings.Contains(plan, c.index) || strings.Contains(plan, "Seq Scan on scim_log") {
				t.Errorf("%s: %s, want %s", c.name, plan, c.index)
			}
		}
	})
}

// Every question to the log has an index.
func TestTheLogIsIndexed(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	jane := d.user("jane")
	for _, c := range []struct {
		name, index string
		q           logQuery
	}{
		{"newest", "sqlite_autoindex_scim_log_1", logQuery{}},
		{"a page further", "sqlite_autoindex_scim_log_1", logQuery{before: logCursor{1, store.NewID[logRow]()}}},
		{"refused", "scim_log_refused", logQuery{refused: true}},
		{"a status", "scim_log_status", logQuery{status: 409}},
		{"a request", "scim_log_request", logQuery{request: "request-0001"}},
		{"an operation that changes", "scim_log_change", logQuery{method: "PATCH", resource: "Users"}},
		{"an operation that reads", "sqlite_autoindex_scim_log_1", logQuery{method: "GET", resource: "Users"}},
		{"one entry", "sqlite_autoindex_scim_log_1", logQuery{only: logCursor{1, store.NewID[logRow]()}}},
		{"about an id", "scim_log_target ", logQuery{target: jane}},
		{"about a name", "scim_log_target_key", logQuery{target: "nobody"}},
	} {
		var plan string
		err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
			c.q.directory, c.q.limit = d.directory.ID, 50
			query, args, err := c.q.sql(tx)
			if err != nil {
				return err
			}
			plan, err = storetest.Plan(tx, query, args...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, c.index) || strings.Contains(plan, "SCAN scim_log") || c.q.target == "" && strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s, want %s", c.name, plan, c.index)
		}
	}
}
