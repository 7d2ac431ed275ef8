package scim

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// api asks the REST API as somebody and reads the answer into v.
func (s *logSite) api(who, path string, want int, v any) string {
	s.t.Helper()
	w := s.get(who, path)
	if w.Code != want {
		s.t.Fatalf("GET %s by %s: %d %s, want %d", path, who, w.Code, w.Body, want)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		s.t.Fatalf("GET %s: %v: %s", path, err, w.Body)
	}
	return w.Body.String()
}

func TestTheLogAPI(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newLogSite(t, db, NewDirectory{Vendor: "okta"})
		s.people["ops"] = access.Actor{Kind: access.Key, ID: "k", Name: "Ops", Operator: true}
		start := clock.Now()
		jane := s.user("jane", `"title":"Agent"`, `"externalId":"E-77"`)
		joe := s.user("joe", `"displayName":"Joe Doe"`)
		group := s.group("Sales")
		step := func() { clock.Pass(time.Minute) }
		step()
		s.must(200, "PATCH", "/Users/"+jane, patchBody(`{"op":"replace","path":"title","value":"Head"}`))
		step()
		s.must(204, "PATCH", "/Groups/"+group, patchBody(`{"op":"add","path":"members","value":`+memberJSON(joe)+`}`))
		step()
		s.refused(409, "uniqueness", "", "POST", "/Users", userBody("Jane", `"password":"Hunter22x"`), "X-Request-Id: request-0042")
		step()
		s.must(200, "GET", "/Users/"+jane, "")
		at := "/api/v1/directories/" + string(s.directory.ID) + "/log"
		for _, c := range []struct {
			query string
			want  int
		}{
			{"", 7}, {"?refused=true", 1}, {"?status=409", 1}, {"?status=201", 3}, {"?operation=PATCH+Users", 1}, {"?operation=GET+Users", 1}, {"?target=" + jane, 3}, {"?target=jane", 4},
			{"?target=E-77", 3}, {"?target=e-77", 0}, {"?request=request-0042", 1}, {"?q=HUNTER22x", 0}, {"?q=uniqueness", 1}, {"?q=sales", 2}, {"?q=%00nothing%ff", 0},
			{"?since=90s", 2}, {"?since=3m30s&refused=true", 1}, {"?until=" + url.QueryEscape(start.UTC().Format(time.RFC3339)), 0}, {"?until=" + start.UTC().Format(time.DateOnly), 7},
			{"?limit=3", 3}, {"?target=jane&refused=true&status=409&operation=POST+Users&request=request-0042&q=jane", 1},
		} {
			var page LogPage
			if text := s.api("boss", at+c.query, 200, &page); len(page.Entries) != c.want || strings.Contains(text, "Hunter22x") {
				t.Errorf("%s: %d entries, want %d: %s", c.query, len(page.Entries), c.want, text)
			}
		}
		var seen []string
		for cursor, n := "", 0; n < 10; n++ {
			var page LogPage
			s.api("ops", at+"?org=acme&limit=2&cursor="+cursor, 200, &page)
			for _, e := range page.Entries {
				seen = append(seen, e.Method+" "+e.Resource)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if got := strings.Join(seen, ", "); got != "GET Users, POST Users, PATCH Groups, PATCH Users, POST Groups, POST Users, POST Users" {
			t.Errorf("page by page: %s", got)
		}

		var page LogPage
		s.api("boss", at+"?refused=true", 200, &page)
		e := page.Entries[0]
		if e.Reason == "" || e.Kind != refusedTaken || !strings.HasPrefix(e.Remedy, "In Okta") || e.ScimType != "uniqueness" || e.Target != "Jane" || e.RequestID != "request-0042" || e.IP != "192.0.2.1" {
			t.Errorf("the refused one: %+v", e)
		}
		var one LogEntry
		s.api("boss", at+"/"+e.ID, 200, &one)
		if one.ID != e.ID || !strings.Contains(one.Body, `"password":"[redacted]"`) || len(one.Changed) != 0 {
			t.Errorf("its entry: %+v", one)
		}
		for query, want := range map[string]LogChange{
			"?operation=PATCH+Users":  {"user.update", jane, "jane", []LogAttribute{{"title", "Agent", "Head"}}},
			"?operation=PATCH+Groups": {"group.member.add", group, "Sales", []LogAttribute{{"members", "", "Joe Doe"}}},
		} {
			s.api("boss", at+query, 200, &page)
			s.api("boss", at+"/"+page.Entries[0].ID, 200, &one)
			if len(one.Changed) != 1 || one.Changed[0].Action != want.Action || one.Changed[0].TargetID != want.TargetID || len(one.Changed[0].Changes) != 1 || one.Changed[0].Changes[0] != want.Changes[0] {
				t.Errorf("%s changed %+v, want %+v", query, one.Changed, want)
			}
		}
	})
}

func TestTheLogAPIIsForAdmins(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newLogSite(t, db, NewDirectory{})
		s.people["ops"] = access.Actor{Kind: access.Key, ID: "k", Name: "Ops", Operator: true}
		s.user("jane")
		entry := s.last().cursor()
		at := "/api/v1/directories/" + string(s.directory.ID) + "/log"
		none := "/api/v1/directories/" + string(store.NewID[store.Directory]()) + "/log"
		for _, c := range []struct {
			who, path string
			want      int
		}{
			{"boss", at, 200}, {"boss", at + "/" + entry, 200}, {"viewer", at, 403}, {"viewer", at + "/" + entry, 403}, {"stranger", at, 404}, {"stranger", at + "/" + entry, 404},
			{"nobody", at, 401}, {"boss", at + "?org=other", 404}, {"ops", at, 400}, {"ops", at + "?org=acme", 200}, {"ops", at + "?org=other", 404}, {"boss", none, 404},
			{"boss", none + "/" + entry, 404}, {"boss", at + "/x", 404}, {"boss", at + "/1-" + strings.Repeat("0", 32), 404}, {"boss", "/api/v1/directories/x/log", 404},
			{"boss", at + "?color=red", 400}, {"boss", at + "?limit=0", 400}, {"boss", at + "?limit=501", 400}, {"boss", at + "?limit=x", 400}, {"boss", at + "?status=four", 400},
			{"boss", at + "?since=yesterday", 400}, {"boss", at + "?until=-1h", 400}, {"boss", at + "?operation=PATCH", 400}, {"boss", at + "?refused=perhaps", 400}, {"boss", at + "?refused=1", 400}, {"boss", at + "?refused=false", 200},
			{"boss", at + "?q=a&q=b", 400}, {"boss", at + "?cursor=x", 404},
		} {
			w := s.get(c.who, c.path)
			if w.Code != c.want || c.want != 200 && (strings.Contains(w.Body.String(), "jane") || w.Header().Get("Content-Type") != "application/problem+json") {
				t.Errorf("%s at %s: %d %s, want %d", c.who, c.path, w.Code, w.Body, c.want)
			}
		}
	})
}

// Each operation of a Bulk is found like a request: by whom it is about, and when it
// was refused.
func TestABulkInTheLog(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newLogSite(t, db, NewDirectory{Vendor: "entra"})
		jane := s.user("jane", `"title":"Agent"`)
		gone := strings.Repeat("0", 32)
		s.must(200, "POST", "/Bulk", bulkBody(
			`{"method":"PATCH","path":"/Users/`+jane+`","data":{"schemas":["`+patchURN+`"],"Operations":[{"op":"replace","path":"title","value":"Head"}]}}`,
			`{"method":"POST","path":"/Users","bulkId":"a","data":`+userBody("Jane", `"password":"Pl4nted-S3cret"`)+`}`,
			`{"method":"DELETE","path":"/Users/`+gone+`"}`,
			`{"method":"POST","path":"/Groups","bulkId":"g","data":`+groupBody("Round", `"members":[{"value":"bulkId:n"}]`)+`}`,
			`{"method":"POST","path":"/Users","bulkId":"n","data":`+userBody("newcomer")+`}`,
			`{"method":"POST","path":"/Nothing","bulkId":"x","data":{}}`,
		), "X-Request-Id: bulk-request-1")
		rows := s.logged(logQuery{request: "bulk-request-1"})
		if len(rows) != 7 || rows[0].Resource != "Bulk" || rows[0].Part != 0 || rows[0].Changes != 3 || !strings.Contains(rows[0].Reason, "3 of 6") {
			t.Fatalf("%d rows, want one for the Bulk and 6: %+v", len(rows), rows)
		}
		got := map[int]logRow{}
		for _, r := range rows[1:] {
			got[r.Part] = r
		}
		for part, want := range map[int]logRow{
			1: {Method: "PATCH", Resource: "Users", Status: 200, TargetID: jane, Target: "jane", Changes: 1},
			2: {Method: "POST", Resource: "Users", Status: 409, Target: "Jane", Refusal: refusedTaken, ScimType: "uniqueness"},
			3: {Method: "DELETE", Resource: "Users", Status: 404, TargetID: gone, Refusal: refusedMissing},
			4: {Method: "POST", Resource: "Groups", Status: 201, Target: "Round", Changes: 1},
			5: {Method: "POST", Resource: "Users", Status: 201, Target: "newcomer", Changes: 1},
			6: {Method: "POST", Status: 404, Refusal: refusedURL},
		} {
			r := got[part]
			if r.Method != want.Method || r.Resource != want.Resource || r.Status != want.Status || want.TargetID != "" && r.TargetID != want.TargetID || r.Target != want.Target ||
				r.Changes != want.Changes || len(r.Activities) != want.Changes || r.Refusal != want.Refusal || r.ScimType != want.ScimType || (r.Reason == "") != (r.Status < 400) {
				t.Errorf("operation %d\n got %+v\nwant %+v", part, r, want)
			}
		}
		for name, c := range map[string]struct {
			q    logQuery
			want int
		}{
			"refused": {logQuery{refused: true}, 3}, "refused of one": {logQuery{refused: true, target: "jane"}, 1}, "about somebody new": {logQuery{target: "newcomer"}, 1},
			"about one": {logQuery{target: jane}, 2}, "creations": {logQuery{method: "POST", resource: "Users"}, 3}, "by status": {logQuery{status: 404}, 2},
		} {
			if rows := s.logged(c.q); len(rows) != c.want {
				t.Errorf("%s: %d rows, want %d", name, len(rows), c.want)
			}
		}
		text := s.page("?request=bulk-request-1")
		s.has(text, "operation 1 of a Bulk", "title Agent → Head", "409 uniqueness", "members", "newcomer")
		if strings.Contains(text, "Pl4nted") {
			t.Error("the page shows a password")
		}
		s.must(200, "POST", "/Bulk", strings.Replace(bulkBody(
			`{"method":"DELETE","path":"/Users/`+gone+`"}`, `{"method":"POST","path":"/Users","bulkId":"a","data":`+userBody("late")+`}`), `"Operations"`, `"failOnErrors":1,"Operations"`, 1))
		if r := s.last(); !strings.Contains(r.Reason, "1 were not begun") {
			t.Errorf("failOnErrors: %+v", r)
		}
		if rows := s.logged(logQuery{target: "late"}); len(rows) != 0 {
			t.Errorf("an operation that was not begun has a row: %+v", rows)
		}
	})
}

// What is refused before a token opened the door stands where it will be looked for.
func TestRefusalsAtTheDoorInTheLog(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{Quirks: store.JSON(`{"requestsPerSecond":25}`)})
		short, _ := d.newToken(NewToken{Name: "Short", Expires: time.Hour})
		held, _ := d.newToken(NewToken{Name: "Held", Allow: "203.0.113.0/24"})
		is := func(what string, status int, refusal string) {
			t.Helper()
			if r := d.last(); r.Status != status || r.Refusal != refusal || r.Reason == "" || remedyOf("okta", refusal) == "" {
				t.Errorf("%s: %+v, want %d %s", what, r, status, refusal)
			}
			clock.Pass(time.Second)
		}
		held.refused(403, "", "allow-list", "GET", "/Users", "")
		is("a wrong address", 403, refusedAddress)
		clock.Pass(time.Hour)
		short.refused(401, "", "ended", "GET", "/Users", "")
		is("an expired token", 401, refusedToken)
		d.refused(415, "", "", "POST", "/Users", userBody("a"), "Content-Type: text/plain")
		is("a media type", 415, refusedFormat)
		d.refused(413, "", "", "POST", "/Users", userBody("a", `"title":"`+strings.Repeat("x", maxUserBody)+`"`))
		is("a large body", 413, refusedSize)
		d.refused(413, "", "", "POST", "/Bulk", bulkBody(strings.Repeat(`{},`, maxOperations)+"{}"))
		is("a large Bulk", 413, refusedSize)

		// Over the rate: a row, and one that counts the others.
		before := len(d.logged(logQuery{}))
		clock.Pass(10 * time.Minute)
		for range 50 {
			d.must(200, "GET", "/ServiceProviderConfig", "")
		}
		for range 30 {
			d.refused(429, "", "", "GET", "/Users", "")
		}
		if rows := d.logged(logQuery{status: 429}); len(rows) != 1 || rows[0].Refusal != refusedLimit {
			t.Errorf("30 requests over the rate leave %d rows at once, want 1", len(rows))
		}
		clock.Pass(2 * time.Minute)
		rows := d.logged(logQuery{status: 429})
		if len(rows) != 2 || rows[0].Repeats != 29 {
			t.Errorf("a minute later: %+v, want a row that counts 29", rows)
		}
		if n := len(d.logged(logQuery{})); n != before+52 {
			t.Errorf("%d rows, want %d", n, before+52)
		}
	})
}

// A refused token request stands in its client's directory, without what it brought.
func TestTokenRequestsInTheLog(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		c, text := d.client("")
		signer, _ := d.client(jwksOf(t, public("ec", "ES256")))
		id := string(c.ID)
		signedBy := signed(t, "RS256", testKeys()["other"], map[string]any{"iss": string(signer.ID), "sub": string(signer.ID), "jti": "1"}, nil)
		for _, x := range []struct {
			name   string
			form   url.Values
			head   string
			status int
			code   string
			about  string
		}{
			{"wrong secret", credentialsForm(), basic(id, "Wr0ng-secret-of-the-client"), 401, "invalid_client", id},
			{"wrong scope", credentialsForm("scope", "admin "+text), basic(id, text), 400, "invalid_scope", id},
			{"wrong grant", credentialsForm("grant_type", "password", "password", "Hunter22x"), basic(id, text), 400, "unsupported_grant_type", id},
			{"in the body", credentialsForm("client_id", id, "client_secret", "Wr0ng-secret-in-the-body"), "X: y", 401, "invalid_client", id},
			{"twice", url.Values{"grant_type": {"client_credentials", "x"}}, basic(id, text), 400, "invalid_request", id},
			{"assertion", credentialsForm("client_assertion_type", assertionType, "client_assertion", signedBy), "X: y", 401, "invalid_client", string(signer.ID)},
		} {
			clock.Pass(time.Second)
			if got := d.ask(x.form, x.head); got.code != x.status || got.Error != x.code {
				t.Errorf("%s: %d %s", x.name, got.code, got.raw)
			}
			if r := d.last(); r.Method != "POST" || r.Resource != "Token" || r.Path != "/oauth/token" || r.Status != x.status || r.ScimType != x.code || r.TargetID != x.about || r.Target != "Client" ||
				r.Refusal != refusedClient || r.Reason == "" || r.Body != "" {
				t.Errorf("%s: %+v", x.name, r)
			}
		}
		n := len(d.logged(logQuery{}))
		d.ask(credentialsForm(), basic(strings.Repeat("0", 32), text)) // nobody's
		good := d.ask(credentialsForm(), basic(id, text))
		if rows := d.logged(logQuery{}); len(rows) != n+1 || rows[0].Status != 200 || rows[0].TargetID != id || operationOf(rows[0]) != "Fetch an access token (OAuth)" {
			t.Errorf("a good one: %+v", rows[0])
		}
		if rows := d.logged(logQuery{target: id, refused: true}); len(rows) != 5 {
			t.Errorf("%d refused requests of the client, want 5", len(rows))
		}
		if n := len(other.logged(logQuery{})); n != 0 {
			t.Errorf("the other directory has %d rows", n)
		}
		all := d.everything()
		for _, s := range []string{text, good.Token, "Wr0ng-secret", "Hunter22x", signedBy, signedBy[:40]} {
			if strings.Contains(all, s) {
				t.Errorf("%q stands in the log", s)
			}
		}
		for range 2 * strangersPerMinute {
			d.ask(credentialsForm(), basic(id, "wrong"))
		}
		if n := len(d.logged(logQuery{status: 401})); n > strangersPerMinute {
			t.Errorf("%d rows of guesses", n)
		}
	})
}

// Free text is looked for in so many rows at a time, and the next page goes on.
func TestSearchInTheLogIsBounded(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	rows := make([]logRow, searchRows+10)
	for i := range rows {
		rows[i] = logRow{Org: store.OrgID(d.admin.Org), Directory: d.directory.ID, At: store.Time(i + 1), ID: store.NewID[logRow](), Status: 200, Method: "GET", Activities: []store.ActivityID{}}
	}
	rows[3].Target, rows[3].Refusal = "needle", "x"
	for at := 0; at < len(rows); at += batchRows {
		if err := d.log.insert(t.Context(), rows[at:min(at+batchRows, len(rows))]); err != nil {
			t.Fatal(err)
		}
	}
	var found []logRow
	cursor, pages := "", 0
	for {
		q, err := LogFilter{Text: "NEEDLE", Cursor: cursor}.query(d.db.Now())
		if err != nil {
			t.Fatal(err)
		}
		q.directory = d.directory.ID
		d.write(func(tx *store.Tx) error {
			some, next, err := logPageOf(tx, q)
			found, cursor = append(found, some...), next
			return err
		})
		if pages++; cursor == "" || pages > 5 {
			break
		}
	}
	if len(found) != 1 || pages != 2 {
		t.Errorf("%d found on %d pages, want 1 on 2", len(found), pages)
	}
}

func TestForeignURLsAreCutInTheLog(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	r := httptest.NewRequest("GET", testURL+"/scim/v2/"+strings.Repeat("x", 3000)+"/Users?access_token=Pl4nted-S3cret", nil)
	r.Header.Set("Authorization", "Bearer "+d.token)
	if got := d.serve(r); got.code != 404 {
		t.Fatalf("%d %s", got.code, got.raw)
	}
	if row := d.last(); row.Status != 404 || len(row.Path) > 510 || strings.Contains(row.Path, "Pl4nted") {
		t.Errorf("%+v", row)
	}
}
