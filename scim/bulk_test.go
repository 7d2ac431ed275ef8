package scim

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const bulkSchema = `"schemas":["` + bulkRequestURN + `"]`

func bulkBody(ops ...string) string {
	return `{` + bulkSchema + `,"Operations":[` + strings.Join(ops, ",") + `]}`
}

func bulkPost(path, bulkID, body string) string {
	return `{"method":"POST","path":"` + path + `","bulkId":"` + bulkID + `","data":` + body + `}`
}

func managed(name, by string) string {
	return userBody(name, `"`+ext+`":{"manager":{"value":"`+by+`","$ref":"/Users/`+by+`"}}`)
}

// outcome is one operation of a BulkResponse.
type outcome struct {
	status, location, method, bulkID, version, scimType, detail string
}

func (o outcome) id() string { return o.location[strings.LastIndexByte(o.location, '/')+1:] }

// bulk sends a Bulk, checks the form of the answer and each status, and gives the
// outcomes.
func (d *door) bulk(body string, statuses ...string) []outcome {
	d.t.Helper()
	got := d.must(200, "POST", "/Bulk", body)
	list, ok := got.json["Operations"].([]any)
	if !ok || fmt.Sprint(got.json["schemas"]) != "["+bulkResponseURN+"]" {
		d.t.Fatalf("not a BulkResponse: %s", got.raw)
	}
	if strings.Contains(got.raw, `"location":""`) || len(list) != len(statuses) {
		d.t.Fatalf("%d outcomes, want %d: %s", len(list), len(statuses), got.raw)
	}
	var out []outcome
	for i, e := range list {
		m := reply{json: e.(map[string]any)}
		o := outcome{m.str("status"), m.str("location"), m.str("method"), m.str("bulkId"), m.str("version"), "", ""}
		if body, ok := m.json["response"].(map[string]any); ok {
			inner := reply{json: body}
			o.scimType, o.detail = inner.str("scimType"), inner.str("detail")
			if inner.str("status") != o.status || o.version != "" {
				d.t.Errorf("operation %d: the error does not agree: %v", i+1, e)
			}
		}
		if o.status != statuses[i] {
			d.t.Fatalf("operation %d is %s, want %s: %v", i+1, o.status, statuses[i], e)
		}
		if o.status < "300" && o.location != "" && o.method != "DELETE" {
			path := strings.TrimPrefix(o.location, BaseURL(testURL, d.directory.ID))
			if now := d.do("GET", path, ""); now.code != 200 && now.code != 404 || strings.Contains(strings.ToLower(now.raw), "bulkid:") {
				d.t.Errorf("what was stored: %d %s", now.code, now.raw)
			}
		}
		out = append(out, o)
	}
	return out
}

func (o outcome) is(t *testing.T, scimType, part string) {
	t.Helper()
	if o.scimType != scimType || !strings.Contains(o.detail, part) {
		t.Errorf("got %+v, want scimType %q and %q", o, scimType, part)
	}
}

func (d *door) managerOf(id string) string {
	d.t.Helper()
	in, _ := d.must(200, "GET", "/Users/"+id, "").json[ext].(map[string]any)
	manager, _ := in["manager"].(map[string]any)
	if ref, ok := manager["$ref"].(string); ok && ref != "/Users/"+manager["value"].(string) {
		d.t.Errorf("$ref is %s beside %v", ref, manager["value"])
	}
	v, _ := manager["value"].(string)
	return v
}

// RFC 7644 §3.7.3: one of each method, PATCH with a bare list.
func TestBulkEachMethod(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		first := openDoor(t, db, NewDirectory{})
		for _, mode := range []string{"compat", "strict"} {
			d := first.another(NewDirectory{Name: mode, Mode: mode})
			put, patch, gone := d.user(mode+"put"), d.user(mode+"patch"), d.user(mode+"gone")
			group := d.group(mode+"Sales", put)
			out := d.bulk(bulkBody(
				bulkPost("/Users", "qwerty", userBody(mode+"Alice")),
				`{"method":"PUT","path":"/Users/`+put+`","version":"W/\"1\"","data":`+userBody(mode+"Bob")+`}`,
				`{"method":"PATCH","path":"/Users/`+patch+`","version":"W/\"1\"","data":[{"op":"add","path":"nickName","value":"Dave"}]}`,
				`{"method":"DELETE","path":"/Users/`+gone+`","version":"W/\"1\""}`,
				`{"method":"PATCH","path":"/Groups/`+group+`","bulkId":"echo","data":`+patchBody(`{"op":"remove","path":"members[value eq \"`+put+`\"]"}`)+`}`,
				bulkPost("/Groups", "g", groupBody(mode+"Tour")),
				`{"method":"DELETE","path":"/Groups/bulkId:g"}`,
			), "201", "200", "200", "204", "204", "201", "204")
			base := BaseURL(testURL, d.directory.ID)
			want := []outcome{{"201", base + "/Users/" + out[0].id(), "POST", "qwerty", `W/"1"`, "", ""}, {"200", base + "/Users/" + put, "PUT", "", `W/"2"`, "", ""},
				{"200", base + "/Users/" + patch, "PATCH", "", `W/"2"`, "", ""}, {"204", base + "/Users/" + gone, "DELETE", "", "", "", ""},
				{"204", base + "/Groups/" + group, "PATCH", "echo", `W/"1.1"`, "", ""}}
			for i := range want {
				if out[i] != want[i] {
					t.Errorf("%s, operation %d: got %+v, want %+v", mode, i+1, out[i], want[i])
				}
			}
			d.refused(404, "", "", "GET", "/Users/"+gone, "")
			d.refused(404, "", "", "GET", "/Groups/"+out[5].id(), "")
			if got := d.must(200, "GET", "/Users/"+patch, ""); got.str("nickName") != "Dave" {
				t.Errorf("after the Bulk: %s", got.raw)
			}
			if len(d.memberIDs(group)) != 0 {
				t.Error("the member is still there")
			}
		}
	})
}

func TestBulkReferences(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		old := d.group("Old", d.user("stays"))
		leaver := d.user("leaver")
		out := d.bulk(bulkBody(
			// Forward: the group, and the manager, come before whom they name.
			bulkPost("/Groups", "tour", groupBody("Tour", `"members":[{"type":"User","value":"bulkId:a"},{"value":"bulkId:b","$ref":"../Users/bulkId:b"}]`)),
			bulkPost("/Users", "a", managed("Alice", "bulkId:b")),
			bulkPost("/Users", "b", userBody("Bob")),
			// Backward, in values, filters and paths.
			`{"method":"PATCH","path":"/Groups/`+old+`","data":[{"op":"add","path":"members","value":[{"value":"bulkId:a"},{"value":"bulkId:b"}]}]}`,
			`{"method":"PATCH","path":"/Groups/`+old+`","data":[{"op":"remove","path":"members[value eq \"bulkId:a\"]"}]}`,
			`{"method":"PATCH","path":"/Users/bulkId:b","data":[{"op":"replace","path":"`+ext+`:manager","value":{"value":"bulkId:a"}}]}`,
			`{"method":"PUT","path":"/Groups/bulkId:tour","data":`+groupBody("Tour 2", `"members":[{"value":"BULKID:b"}]`)+`}`,
			// A path may come before what it names; the name is free once its holder went.
			`{"method":"PATCH","path":"/Users/bulkId:c","data":[{"op":"add","path":"title","value":"New"}]}`,
			`{"method":"DELETE","path":"/Users/`+leaver+`"}`,
			bulkPost("/Users", "c", userBody("leaver")),
		), "201", "201", "201", "204", "204", "200", "200", "200", "204", "201")
		a, b, c := out[1].id(), out[2].id(), out[9].id()
		if got := d.managerOf(a); got != b {
			t.Errorf("Alice's manager is %q, want %q", got, b)
		}
		if got := d.managerOf(b); got != a {
			t.Errorf("Bob's manager is %q, want %q", got, a)
		}
		if m := d.memberIDs(out[0].id()); len(m) != 1 || !m[b] {
			t.Errorf("members of Tour: %v, want %s", m, b)
		}
		if m := d.memberIDs(old); len(m) != 2 || m[a] || !m[b] {
			t.Errorf("members of Old: %v, want %s without %s", m, b, a)
		}
		if got := d.must(200, "GET", "/Users/"+c, ""); got.str("title") != "New" {
			t.Errorf("the later POST: %s", got.raw)
		}
	})
}

func TestBulkCircles(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		// Two who manage each other, one who manages herself, and a group whose member
		// names it (read-only, so it counts for nothing).
		out := d.bulk(bulkBody(
			bulkPost("/Users", "a", managed("Alice", "bulkId:b")),
			bulkPost("/Users", "b", managed("Bob", "bulkId:a")),
			bulkPost("/Users", "me", managed("Eve", "bulkId:me")),
			bulkPost("/Groups", "g", groupBody("Tour", `"members":[{"value":"bulkId:m"}]`)),
			bulkPost("/Users", "m", userBody("Mel", `"groups":[{"value":"bulkId:g"}]`)),
		), "201", "201", "201", "201", "201")
		a, b := out[0].id(), out[1].id()
		if d.managerOf(a) != b || d.managerOf(b) != a || d.managerOf(out[2].id()) != out[2].id() {
			t.Errorf("managers: %s of %s, %s of %s, %s of %s", d.managerOf(a), a, d.managerOf(b), b, d.managerOf(out[2].id()), out[2].id())
		}
		if m := d.memberIDs(out[3].id()); len(m) != 1 || !m[out[4].id()] {
			t.Errorf("members: %v", m)
		}
		if out[0].version != `W/"1"` {
			t.Errorf("Alice has the version %s", out[0].version)
		}

		// One of a circle cannot be: none is, and who needs one of them is not either.
		out = d.bulk(bulkBody(
			bulkPost("/Users", "x", managed("Xena", "bulkId:y")),
			bulkPost("/Users", "y", managed("Alice", "bulkId:x")),
			bulkPost("/Groups", "g", groupBody("Crew", `"members":[{"value":"bulkId:x"}]`)),
		), "409", "409", "409")
		out[0].is(t, "", `"y"`)
		out[1].is(t, "uniqueness", "Alice")
		out[2].is(t, "", `"x"`)
		if got := d.get("/Users", "filter", `userName eq "Xena"`); got.json["totalResults"] != 0.0 {
			t.Errorf("half of a circle was kept: %s", got.raw)
		}

		// RFC 7644 §3.7.1: two groups in each other.
		out = d.bulk(bulkBody(
			bulkPost("/Groups", "qwerty", groupBody("Group A", `"members":[{"type":"Group","value":"bulkId:ytrewq"}]`)),
			bulkPost("/Groups", "ytrewq", groupBody("Group B", `"members":[{"type":"Group","value":"bulkId:qwerty"}]`)),
		), "409", "400")
		out[0].is(t, "", `"ytrewq"`)
		out[1].is(t, "invalidValue", `"Group A" contains the group "Group B" already`)
		if got := d.get("/Groups", "filter", `displayName sw "Group"`); got.json["totalResults"] != 0.0 {
			t.Errorf("a refused group was kept: %s", got.raw)
		}
	})
}

func TestBulkFailures(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		jane, theirs := d.user("jane"), other.user("theirs")
		for _, c := range []struct{ op, status, scimType, part string }{
			{`7`, "400", "invalidSyntax", "Operation 1"},
			{`{"method":7,"path":"/Users"}`, "400", "invalidSyntax", "method"},
			{bulkPost("/Users", "", userBody("x")), "400", "invalidValue", "bulkId"},
			{bulkPost("/Nothing", "x", userBody("x")), "404", "", "/Nothing"},
			{bulkPost("Users", "x", userBody("x")), "404", "", "/Users"},
			{bulkPost("/Users/"+jane, "x", userBody("x")), "405", "", "DELETE, PATCH, PUT"},
			{`{"method":"GET","path":"/Users/` + jane + `"}`, "405", "", "GET"},
			{`{"method":"DELETE","path":"/Users"}`, "405", "", "POST"},
			{`{"method":"POST","path":"/Users","bulkId":"x"}`, "400", "invalidValue", "data"},
			{`{"method":"POST","path":"/Users","bulkId":"x","data":[]}`, "400", "invalidSyntax", "data"},
			{bulkPost("/Users", "x", userBody("JANE")), "409", "uniqueness", "userName"},
			{bulkPost("/Users", "x", managed("x", "bulkId:none")), "400", "invalidValue", `"none"`},
			{bulkPost("/Users", "x", userBody("bulkId:none")), "400", "invalidValue", `"none"`},
			{bulkPost("/Groups", "x", groupBody("x", `"members":[{"value":"`+theirs+`"}]`)), "400", "invalidValue", theirs},
			{`{"method":"DELETE","path":"/Users/bulkId:none"}`, "400", "invalidValue", `"none"`},
			{`{"method":"DELETE","path":"/Users/` + theirs + `"}`, "404", "", "not found"},
			{`{"method":"PATCH","path":"/Users/` + jane + `","version":"W/\"9\"","data":[{"op":"add","path":"title","value":"x"}]}`, "412", "", `W/"1"`},
			{`{"method":"PUT","path":"/Users/` + jane + `","version":"W/\"9\"","data":` + userBody("x") + `}`, "412", "", `W/"1"`},
			{`{"method":"DELETE","path":"/Users/` + jane + `","version":"W/\"9\""}`, "412", "", `W/"1"`},
			{`{"method":"PATCH","path":"/Users/` + jane + `","data":[{"op":"add","path":"groups[value eq \"bulkId:none\"]","value":"x"}]}`, "400", "invalidValue", `"none"`},
			{`{"method":"PATCH","path":"/Users/` + jane + `","data":[]}`, "400", "invalidSyntax", "Operations"},
		} {
			// What stands beside it is done all the same.
			out := d.bulk(bulkBody(c.op, bulkPost("/Users", "ok", userBody("ok"))), c.status, "201")
			out[0].is(t, c.scimType, c.part)
			if strings.Contains(c.op, jane) && c.status == "412" && !strings.HasSuffix(out[0].location, "/Users/"+jane) {
				t.Errorf("%s: the location is %q", c.op, out[0].location)
			}
			d.must(204, "DELETE", "/Users/"+out[1].id(), "")
		}
		out := d.bulk(bulkBody(
			bulkPost("/Users", "x", userBody("one")), bulkPost("/Users", "x", userBody("two")),
			bulkPost("/Groups", "g", groupBody("g", `"members":[{"value":"bulkId:x"}]`)),
			`{"method":"PATCH","path":"/Groups/bulkId:g","data":[{"op":"add","path":"externalId","value":"x"}]}`,
			`{"method":"PATCH","path":"/Users/bulkId:g","data":[{"op":"add","path":"externalId","value":"x"}]}`,
		), "400", "400", "409", "409", "400")
		out[0].is(t, "invalidValue", "operations 1 and 2")
		out[3].is(t, "", `"g"`)
		out[4].is(t, "invalidValue", "/Groups/bulkId:g")
		if got := d.must(200, "GET", "/Users", ""); got.json["totalResults"] != 1.0 || len(d.activities(jane)) != 1 {
			t.Errorf("something was kept of refused operations: %s", got.raw)
		}
	})
}

func TestBulkFailOnErrors(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.user("taken")
		var ops []string
		for i := range 40 {
			name := fmt.Sprintf("new%d", i)
			if i%10 == 9 {
				name = "taken"
			}
			ops = append(ops, bulkPost("/Users", name+itoa(i), userBody(name)))
		}
		for limit, done := range map[int]int{1: 10, 2: 20, 4: 40, 9: 40} {
			d := d.another(NewDirectory{Name: "D" + itoa(limit)})
			body := strings.Replace(bulkBody(ops...), `{`, fmt.Sprintf(`{"failOnErrors":%d,`, limit), 1)
			body = strings.ReplaceAll(body, `"new`, `"l`+itoa(limit)+`new`)
			var want []string
			for i := range done {
				want = append(want, map[bool]string{true: "409", false: "201"}[i%10 == 9])
			}
			d.bulk(body, want...)
			if got := d.must(200, "GET", "/Users", ""); got.json["totalResults"] != float64(done-done/10) {
				t.Errorf("failOnErrors %d: %v users, want %d", limit, got.json["totalResults"], done-done/10)
			}
		}
	})
}

func TestBulkLimits(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		var ops, want []string
		for i := range maxOperations + 1 {
			ops, want = append(ops, bulkPost("/Users", itoa(i), userBody("u"+itoa(i)))), append(want, "201")
		}
		d.refused(413, "", "1000", "POST", "/Bulk", bulkBody(ops...))
		d.refused(413, "", "4194304 bytes", "POST", "/Bulk", bulkBody(bulkPost("/Users", "1", userBody("u", `"title":"`+strings.Repeat("x", 5<<20)+`"`))))
		for _, c := range []struct{ body, scimType, part string }{
			{``, "invalidSyntax", "empty"}, {`{"schemas":[],"Operations":[{}]}`, "invalidSyntax", bulkRequestURN}, {bulkBody(), "invalidSyntax", "Operations"},
			{`{` + bulkSchema + `,"Operations":{}}`, "invalidSyntax", "Operations"},
			{`{` + bulkSchema + `,"failOnErrors":0,"Operations":[{}]}`, "invalidValue", "failOnErrors"},
			{`{` + bulkSchema + `,"failOnErrors":"1","Operations":[{}]}`, "invalidValue", "failOnErrors"},
		} {
			d.refused(400, c.scimType, c.part, "POST", "/Bulk", c.body, "Content-Type: "+contentType)
		}
		d.refused(415, "", "text/plain", "POST", "/Bulk", bulkBody(ops[0]), "Content-Type: text/plain")
		d.refused(405, "", "POST", "GET", "/Bulk", "")
		d.refused(404, "", "", "POST", "/Bulk/1", bulkBody(ops[0]))
		if got := d.must(200, "GET", "/Users", ""); got.json["totalResults"] != 0.0 {
			t.Errorf("something was kept of a refused Bulk: %s", got.raw)
		}
		bulk, _ := d.must(200, "GET", "/ServiceProviderConfig", "").json["bulk"].(map[string]any)
		if bulk["supported"] != true || bulk["maxOperations"] != float64(maxOperations) || bulk["maxPayloadSize"] != float64(maxPayload) {
			t.Errorf("announced: %v", bulk)
		}
		r := d.must(200, "POST", "/Bulk", bulkBody(ops[:maxOperations]...))
		for i, o := range r.json["Operations"].([]any) {
			if m := o.(map[string]any); m["status"] != want[i] || m["bulkId"] != itoa(i) {
				t.Fatalf("operation %d: %v", i+1, m)
			}
		}
		if got := d.must(200, "GET", "/Users?count=1", ""); got.json["totalResults"] != float64(maxOperations) {
			t.Errorf("%v users after a full Bulk", got.json["totalResults"])
		}
	})
}

// Many at once that share names, members and groups: each answer is true.
func TestBulkAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		group := d.group("All")
		const n = 6
		replies := atOnce(n, func(i int) reply {
			var ops []string
			for j := range 12 {
				ops = append(ops, bulkPost("/Users", itoa(j), userBody(fmt.Sprintf("u%d", (i*5+j)%30))),
					fmt.Sprintf(`{"method":"PATCH","path":"/Groups/%s","data":[{"op":"add","path":"members","value":[{"value":"bulkId:%d"}]}]}`, group, j))
			}
			return d.do("POST", "/Bulk", bulkBody(ops...))
		})
		won := map[string]bool{}
		for _, r := range replies {
			if r.code != http.StatusOK {
				t.Fatalf("%d %s", r.code, r.raw)
			}
			list := r.json["Operations"].([]any)
			for i := 0; i < len(list); i += 2 {
				made, put := list[i].(map[string]any), list[i+1].(map[string]any)
				switch fmt.Sprintf("%v %v", made["status"], put["status"]) {
				case "201 204":
					won[outcome{location: made["location"].(string)}.id()] = true
				case "409 409":
				default:
					t.Errorf("operations %d: %v, %v", i, made, put)
				}
			}
		}
		if m := d.memberIDs(group); len(m) != 30 || len(won) != 30 {
			t.Errorf("%d members and %d users made, want 30", len(m), len(won))
		}
	})
}

// The log tells what was refused inside a Bulk that was answered with 200.
func TestBulkInTheLog(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.bulk(bulkBody(bulkPost("/Users", "1", userBody("jane")), bulkPost("/Groups", "2", groupBody("Sales"))), "201", "201")
		row := d.firstBulk()
		if row.Changes != 2 || row.Reason != "" || row.Body != "" {
			t.Errorf("nothing was refused: %+v", row)
		}
		ops := []string{bulkPost("/Users", "1", userBody("joe", `"password":"s3cret-of-joe"`))}
		for range 7 {
			ops = append(ops, bulkPost("/Users", "x", userBody("JANE")))
		}
		ops[1] = bulkPost("/Users", "taken", userBody("JANE"))
		d.bulk(bulkBody(ops...), "201", "409", "400", "400", "400", "400", "400", "400")
		row = d.firstBulk()
		if row.Status != 200 || row.Changes != 1 || !strings.HasPrefix(row.Reason, "7 of 8 operations failed. Operation 2, POST /Users: 409, userName: ") ||
			strings.Contains(row.Reason, "Operation 7,") || !strings.Contains(row.Body, "joe") || strings.Contains(row.Body, "s3cret") {
			t.Errorf("got %+v", row)
		}
	})
}

// firstBulk is the newest row of a Bulk.
func (d *door) firstBulk() logRow {
	d.t.Helper()
	for _, row := range d.logged(logQuery{}) {
		if row.Resource == "Bulk" {
			return row
		}
	}
	d.t.Fatal("no Bulk in the log")
	return logRow{}
}

// All Bulks together have a bounded number of operations running. One that gets no
// turn in its time says so for each operation, and does nothing.
func TestBulkNoTurn(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	h := &handler{db: d.db, lanes: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	op := readBulkOp(0, map[string]any{"method": "POST", "path": "/Users", "bulkId": "1", "data": map[string]any{"userName": "x"}})
	wrong := readBulkOp(1, nil)
	h.perform(ctx, []*bulkOp{op})
	h.perform(ctx, []*bulkOp{wrong})
	if a, b := op.answer(""), wrong.answer(""); a.Status != "503" || b.Status != "400" {
		t.Errorf("got %+v and %+v, want 503 and 400", a, b)
	}
}
