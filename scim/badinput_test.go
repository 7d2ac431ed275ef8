package scim

import (
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// entrance is an endpoint that takes a body, with one that it accepts.
type entrance struct {
	method, path, body string
	ok                 int
	limit              int64
}

// entrances are all endpoints of the door that take a body.
func entrances(user, group string) []entrance {
	op := func(path, value string) string {
		return patchBody(`{"op":"replace","path":"` + path + `","value":` + value + `}`)
	}
	search := `{"schemas":["` + searchURN + `"],"filter":"id pr"}`
	return []entrance{
		{"POST", "/Users", userBody("new", `"title":"x"`), 201, maxUserBody},
		{"PUT", "/Users/" + user, userBody("jane", `"title":"x"`), 200, maxUserBody},
		{"PATCH", "/Users/" + user, op("title", `"x"`), 200, maxUserBody},
		{"POST", "/Groups", groupBody("New", `"externalId":"x"`), 201, maxGroupBody},
		{"PUT", "/Groups/" + group, groupBody("Sales", `"externalId":"y"`), 200, maxGroupBody},
		{"PATCH", "/Groups/" + group, op("externalId", `"z"`), 204, maxGroupBody},
		{"POST", "/Bulk", bulkBody(bulkPost("/Users", "1", userBody("bulk"))), 200, maxPayload},
		{"POST", "/.search", search, 200, maxSearchBody},
		{"POST", "/Users/.search", search, 200, maxSearchBody},
		{"POST", "/Groups/.search", search, 200, maxSearchBody},
	}
}

// untouched runs f and then looks at every table: nothing but the provisioning log
// may have changed.
func (d *door) untouched(f func()) {
	d.t.Helper()
	d.must(200, "GET", "/Users", "") // notes the token's use
	before := storetest.Dump(d.t, d.db, "scim_log")
	f()
	after := storetest.Dump(d.t, d.db, "scim_log")
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] {
			d.t.Errorf("the table %s has changed\nfrom %s\nto   %s", name, before[name], after[name])
		}
	}
}

// with adds a member to the object that a body is.
func with(body, member string) string { return strings.TrimSuffix(body, "}") + "," + member + "}" }

// What is no JSON object, or none that means one thing, is invalidSyntax with its
// place, at every endpoint, and changes nothing.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	broken := []struct {
		name string
		make func(valid string) string
		part string
	}{
		{"blank", func(string) string { return " " }, "not a JSON object"},
		{"array", func(v string) string { return "[" + v + "]" }, "not a JSON object"},
		{"text", func(string) string { return `"x"` }, "not a JSON object"},
		{"null", func(string) string { return "null" }, "not a JSON object"},
		{"a form", func(string) string { return "userName=x" }, "not a JSON object"},
		{"half", func(v string) string { return v[:len(v)/2] }, "ends too early"},
		{"without the last brace", func(v string) string { return v[:len(v)-1] }, "ends too early"},
		{"garbage behind", func(v string) string { return v + "x" }, "nothing after the end"},
		{"two objects", func(v string) string { return v + v }, "nothing after the end"},
		{"NUL", func(v string) string { return with(v, `"nickName":"a\u0000b"`) }, "NUL"},
		{"raw NUL", func(v string) string { return with(v, "\"nickName\":\"a\x00b\"") }, "at byte"},
		{"NUL in a name", func(v string) string { return with(v, `"a\u0000":1`) }, "NUL"},
		{"NUL behind", func(v string) string { return v + "\x00" }, "at byte"},
		{"broken UTF-8", func(v string) string { return with(v, "\"nickName\":\"\xc3\"") }, "UTF-8"},
		{"overlong UTF-8", func(v string) string { return with(v, "\"nickName\":\"\xc0\x80\"") }, "UTF-8"},
		{"UTF-16", func(v string) string { return "\xff\xfe" + strings.Join(strings.Split(v, ""), "\x00") }, "UTF-8"},
		{"high surrogate alone", func(v string) string { return with(v, `"nickName":"\ud83d"`) }, "d83d"},
		{"low surrogate alone", func(v string) string { return with(v, `"nickName":"\ude00x"`) }, "de00"},
		{"a name twice", func(v string) string { return with(v, `"schemas":["x"]`) }, `"schemas"`},
		{"a name in two cases", func(v string) string { return with(v, `"SCHEMAS":["x"]`) }, `"SCHEMAS"`},
		{"a name twice inside", func(v string) string { return with(v, `"name":{"a":1,"A":2}`) }, `"A"`},
		{"a name twice by escapes", func(v string) string { return with(v, `"sch\u0065mas":["x"]`) }, `"schemas"`},
		{"deep", func(v string) string {
			return with(v, `"x":`+strings.Repeat("[", maxDepth)+strings.Repeat("]", maxDepth))
		}, "deeper than 64"},
		{"very deep", func(v string) string { return with(v, `"x":`+strings.Repeat(`{"a":`, 40_000)) }, "deeper than 64"},
		{"bad number", func(v string) string { return with(v, `"x":01`) }, "at byte"},
		{"infinite", func(v string) string { return with(v, `"x":-Infinity`) }, "at byte"},
		{"comment", func(v string) string { return "/**/" + v }, "not a JSON object"},
		{"no schemas", func(v string) string { return strings.Replace(v, `"schemas"`, `"schema"`, 1) }, "schemas"},
		{"schemas of numbers", func(v string) string { return strings.Replace(v, `"schemas":[`, `"schemas":[5,`, 1) }, "schemas"},
		{"schemas is an object", func(v string) string { return strings.Replace(v, `"schemas":[`, `"schemas":{},"x":[`, 1) }, "schemas"},
	}
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		user := d.user("jane")
		all := entrances(user, d.group("Sales", user))
		d.untouched(func() {
			for _, e := range all {
				d.refused(400, "invalidSyntax", "", e.method, e.path, "", "Content-Type: application/scim+json")
				for _, c := range broken {
					got := d.do(e.method, e.path, c.make(e.body))
					if got.code != 400 || got.str("scimType") != "invalidSyntax" || !strings.Contains(got.str("detail"), c.part) {
						t.Errorf("%s %s, %s: got %d %s, want invalidSyntax with %q", e.method, e.path, c.name, got.code, got.raw, c.part)
					}
				}
			}
		})
		for _, e := range all { // else none of it shows anything
			d.must(e.ok, e.method, e.path, e.body)
		}
	})
}

// What is not announced as JSON is 415, and what is too large 413, with or without
// a length, before it is looked at.
func TestBodiesOfTheWrongKind(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		user := d.user("jane")
		all := entrances(user, d.group("Sales", user))
		d.untouched(func() {
			for _, e := range all {
				for _, head := range []string{"Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/xml",
					"Content-Type: application/json; charset=utf-16", "Content-Type: ;;", "Content-Type: multipart/form-data; boundary=x",
					"Content-Encoding: gzip", "Content-Encoding: deflate", "Content-Encoding: br, gzip"} {
					name, _, _ := strings.Cut(head, ":")
					d.refused(415, "", name, e.method, e.path, e.body, head)
				}
				for _, length := range []int64{e.limit + 1, -1, 1 << 50} {
					r := httptest.NewRequest(e.method, BaseURL(testURL, d.directory.ID)+e.path, &spaces{left: e.limit + 1})
					r.Header.Set("Authorization", "Bearer "+d.token)
					r.Header.Set("Content-Type", contentType)
					r.ContentLength = length
					if got := d.serve(r); got.code != 413 || !strings.Contains(got.str("detail"), fmt.Sprint(e.limit)) {
						t.Errorf("%s %s with %d bytes: %d %s", e.method, e.path, length, got.code, got.raw)
					}
				}
			}
		})
		for _, e := range all { // chunked, without a length, is as good
			r := httptest.NewRequest(e.method, BaseURL(testURL, d.directory.ID)+e.path, struct{ io.Reader }{strings.NewReader(e.body)})
			r.Header.Set("Authorization", "Bearer "+d.token)
			r.Header.Set("Content-Type", contentType)
			if got := d.serve(r); r.ContentLength != -1 || got.code != e.ok {
				t.Errorf("%s %s in chunks: %d %s", e.method, e.path, got.code, got.raw)
			}
		}
	})
}

// spaces is a body of blanks.
type spaces struct{ left int64 }

func (s *spaces) Read(b []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), s.left))
	for i := range n {
		b[i] = ' '
	}
	s.left -= int64(n)
	return n, nil
}

// Values that do not fit are named, at every endpoint, and none of the rest of the
// request is done.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		user := d.user("jane", `"title":"first"`)
		group := d.group("Sales", user)
		d.another(NewDirectory{Name: "Other"})
		users := map[string]string{ // member of the body -> what the refusal names
			`"userName":5`: "userName", `"userName":[]`: "userName", `"userName":{"value":"x"}`: "userName", `"userName":null`: "userName", `"userName":"  "`: "userName",
			`"userName":"` + long + `"`: "userName", `"externalId":"` + long + `"`: "externalId", `"title":["x"]`: "title", `"title":1e400`: "title",
			`"active":"maybe"`: "active", `"active":1`: "active", `"active":[true]`: "active", `"name":"Jane"`: "name", `"name":{"givenName":{}}`: "name.givenName",
			`"emails":5`: "emails", `"emails":[5]`: "emails", `"emails":[{"value":{}}]`: "emails.value", `"emails":[{"value":"` + long + `"}]`: "emails.value",
			`"emails":[{"value":"a","primary":true},{"value":"b","primary":true}]`: "emails", `"emails":[` + strings.Repeat(`{"value":"a"},`, maxValues) + `{"value":"b"}]`: "emails",
			`"x509Certificates":[{"value":"***"}]`: "x509Certificates", `"` + enterpriseURN + `":5`: enterpriseURN, `"` + enterpriseURN + `":{"manager":5}`: "manager",
			`"` + enterpriseURN + `":{"department":{}}`: "department",
		}
		groups := map[string]string{
			`"displayName":5`: "displayName", `"displayName":null`: "displayName", `"displayName":"` + long + `"`: "displayName", `"members":5`: "members", `"members":[5]`: "members",
			`"members":{"value":5}`: "members", `"members":[{"value":"nobody"}]`: "nobody", `"members":[{}]`: "members", `"members":[{"value":"` + group + "0" + `"}]`: group + "0",
			`"externalId":{}`: "externalId",
		}
		d.untouched(func() {
			for _, e := range []struct {
				method, path string
				body         func(string) string
				wrong        map[string]string
			}{
				{"POST", "/Users", func(m string) string { return person(m) }, users},
				{"PUT", "/Users/" + user, func(m string) string { return person(m) }, users},
				{"PATCH", "/Users/" + user, func(m string) string {
					return patchBody(`{"op":"add","path":"nickName","value":"done first"},{"op":"replace","value":{` + m + `}}`)
				}, users},
				{"POST", "/Groups", func(m string) string { return team(m) }, groups},
				{"PUT", "/Groups/" + group, func(m string) string { return team(m) }, groups},
				{"PATCH", "/Groups/" + group, func(m string) string {
					return patchBody(`{"op":"replace","path":"externalId","value":"done first"},{"op":"replace","value":{` + m + `}}`)
				}, groups},
			} {
				for member, place := range e.wrong {
					got := d.do(e.method, e.path, e.body(member))
					named := strings.Contains(got.str("detail"), place)
					if kind := got.str("scimType"); got.code != 400 || kind != "invalidValue" && kind != "mutability" || !named || len(got.raw) > 2000 {
						t.Errorf("%s %s %.80s: got %d %.300s, want a refusal naming %s", e.method, e.path, member, got.code, got.raw, place)
					}
				}
				for member, place := range e.wrong {
					op := fmt.Sprintf(`{"method":%q,"path":%q,"bulkId":"1","data":%s}`, e.method, e.path, e.body(member))
					got := d.must(200, "POST", "/Bulk", bulkBody(op))
					if !strings.Contains(got.raw, `"status":"400"`) || !strings.Contains(got.raw, place) {
						t.Errorf("in a Bulk %s %s %.80s: got %.300s, want a refusal naming %s", e.method, e.path, member, got.raw, place)
					}
				}
			}
		})
	})
}

// person is a user with one member of the body changed.
func person(member string) string {
	if strings.HasPrefix(member, `"userName"`) {
		return `{"schemas":["` + userURN + `"],` + member + `}`
	}
	return userBody("jane2", member)
}

func team(member string) string {
	if strings.HasPrefix(member, `"displayName"`) {
		return `{"schemas":["` + groupURN + `"],` + member + `}`
	}
	return groupBody("Team", member)
}

// What stands in a query is refused as in a body, and a broken filter never finds
// everybody.
func TestBrokenQueries(t *testing.T) {
	t.Parallel()
	filters := []string{"userName", "userName eq", `userName eq "a\u0000b"`, "userName eq \"\x00\"", "userName eq \"\xff\"", `userName eq "\ud83d"`, `userName eq "x`, `userName eq 'x'`,
		strings.Repeat("(", 40) + "title pr" + strings.Repeat(")", 40), strings.Repeat("(", 4000), strings.Repeat(`title eq "x" or `, 300) + "title pr",
		`userName eq "` + strings.Repeat("x", 9000) + `"`, `emails[type eq "x"`, `emails[emails[type pr]]`, "not title pr", `title eq "x" title eq "y"`, `shoeSize eq "x"`,
		`active gt true`, `meta.created gt "yesterday"`, `userName eq 1e999999999999999999 and`, "\u202euserName pr"}
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		d.group("Sales", d.user("jane"))
		d.untouched(func() {
			for _, path := range []string{"/Users", ""} {
				for _, f := range filters {
					d.refused(400, "invalidFilter", "", "GET", path+"?filter="+url.QueryEscape(f), "")
					if body := fmt.Sprintf(`{"schemas":[%q],"filter":%s}`, searchURN, appendJSON(nil, f)); utf8.ValidString(f) && !strings.Contains(f, "\x00") {
						d.refused(400, "invalidFilter", "", "POST", path+"/.search", body)
					}
				}
			}
			for query, want := range map[string]string{
				"count=x": "count", "count=1e3": "count", "startIndex=1.5": "startIndex", "startIndex=%00": "startIndex", "count=1&count=2": "count", "Count=1&count=2": "ount",
				"sortBy=%00": "sortBy", "sortBy=" + strings.Repeat("a", 20_000): "sortBy", "sortBy=name": "name", "sortBy=shoeSize": "shoeSize", "sortOrder=up": "sortOrder",
				"attributes=id&excludedAttributes=id": "excludedAttributes", "attributes=" + strings.Repeat("a,", 9000): "attributes", "cursor=x": "cursor", "cursor=%00": "cursor",
				"cursor=&count=0": "count", "cursor=&startIndex=1": "cursor", "%zz": "query", "filter=%ff%zz": "query",
			} {
				got := d.do("GET", "/Users?"+query, "")
				if got.code != 400 || got.str("scimType") == "" || !strings.Contains(got.str("detail"), want) {
					t.Errorf("?%.60s: %d %s, want a refusal naming %s", query, got.code, got.raw, want)
				}
			}
			for field, value := range map[string]string{"count": `"x"`, "startIndex": "1.5", "attributes": "5", "excludedAttributes": "[5]", "filter": "{}", "sortBy": "[]", "sortOrder": "true", "cursor": "0", "shoeSize": "1"} {
				got := d.do("POST", "/Users/.search", fmt.Sprintf(`{"schemas":[%q],%q:%s}`, searchURN, field, value))
				if got.code != 400 || got.str("scimType") == "" || !strings.Contains(got.str("detail"), field) {
					t.Errorf("search with %s %s: %d %s", field, value, got.code, got.raw)
				}
			}
		})
	})
}

// A PATCH that makes no sense says which part, and does none of it.
func TestBrokenPatches(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		user := d.user("jane", `"emails":[{"value":"a@x.example","type":"work"}]`)
		group := d.group("Sales", user)
		first := `{"op":"add","path":"externalId","value":"done first"},`
		d.untouched(func() {
			for op, want := range map[string]string{
				`5`: "invalidSyntax", `[]`: "invalidSyntax", `{}`: "invalidSyntax", `{"op":5}`: "invalidSyntax", `{"op":"move","path":"title"}`: "invalidSyntax", `{"op":"add","path":5,"value":1}`: "invalidPath",
				`{"op":"add","path":"","value":5}`: "invalidValue", `{"op":"add","path":"title"}`: "invalidValue", `{"op":"remove"}`: "noTarget", `{"op":"replace","path":"id","value":"x"}`: "mutability",
				`{"op":"add","path":"title[","value":"x"}`: "invalidFilter", `{"op":"add","path":"emails[type eq]","value":"x"}`: "invalidFilter", `{"op":"add","path":".","value":"x"}`: "invalidPath",
				`{"op":"add","path":"emails[shoeSize eq 1].value","value":"x"}`: "invalidFilter", `{"op":"add","path":"` + strings.Repeat("a", 9000) + `","value":"x"}`: "invalidPath",
				`{"op":"add","path":"emails[` + strings.Repeat("(", 4000) + `].value","value":"x"}`: "invalidFilter", `{"op":"replace","path":"emails[type ne \"work\"].value","value":"x"}`: "noTarget",
				`{"op":"remove","path":"userName"}`: "mutability", `{"op":"replace","path":"emails","value":{"value":{}}}`: "invalidValue",
			} {
				for _, end := range []string{op, op + `,{"op":"add","path":"title","value":"done last"}`} {
					got := d.do("PATCH", "/Users/"+user, patchBody(first+end))
					if got.code != 400 || got.str("scimType") != want || got.str("detail") == "" {
						t.Errorf("%.90s: %d %.300s, want %s", op, got.code, got.raw, want)
					}
				}
			}
			for op, want := range map[string]string{
				`{"op":"add","path":"members","value":[{"value":"nobody"}]}`: "invalidValue", `{"op":"remove","path":"members[value co \"a\"]"}`: "invalidFilter",
				`{"op":"replace","path":"members.value","value":"x"}`: "mutability", `{"op":"add","path":"members[value eq \"x\"]","value":"x"}`: "invalidPath",
				`{"op":"remove","path":"displayName"}`: "mutability", `{"op":"add","path":"members","value":{"value":["x"]}}`: "invalidValue",
			} {
				got := d.do("PATCH", "/Groups/"+group, patchBody(first+op))
				if got.code != 400 || got.str("scimType") != want || got.str("detail") == "" {
					t.Errorf("%s: %d %s, want %s", op, got.code, got.raw, want)
				}
			}
		})
	})
}

// What another directory has is not found, by whatever request, and a token request
// that makes no sense gives none.
func TestOthersIDsAndBrokenTokenRequests(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		user := other.user("jane")
		group := other.group("Sales", user)
		d.user("mine")
		d.untouched(func() {
			for _, e := range entrances(user, group) {
				if strings.Count(e.path, "/") < 2 || strings.Contains(e.path, "search") {
					continue
				}
				d.refused(404, "", "not found", e.method, e.path, e.body)
				d.refused(404, "", "not found", "GET", e.path, "")
				d.refused(404, "", "not found", "DELETE", e.path, "")
				got := d.must(200, "POST", "/Bulk", bulkBody(fmt.Sprintf(`{"method":%q,"path":%q,"data":%s}`, e.method, e.path, e.body), `{"method":"DELETE","path":"`+e.path+`"}`))
				if strings.Count(got.raw, `"status":"404"`) != 4 { // of the operation and in its error
					t.Errorf("in a Bulk %s %s: %s", e.method, e.path, got.raw)
				}
			}
			for i, c := range []struct{ kind, body string }{
				{"application/x-www-form-urlencoded", ""}, {"application/x-www-form-urlencoded", "grant_type=%zz"}, {"application/x-www-form-urlencoded", "grant_type=%00&client_id=%ff"},
				{"application/x-www-form-urlencoded", "grant_type=client_credentials&grant_type=client_credentials"}, {"application/json", `{"grant_type":"client_credentials"}`},
				{"application/x-www-form-urlencoded", "grant_type=client_credentials&client_id=" + strings.Repeat("a", 2<<20)}, {"text/plain", "x"},
				{"application/x-www-form-urlencoded", "grant_type=client_credentials&client_id=a&client_secret=\x00"},
			} {
				r := httptest.NewRequest("POST", testURL+"/oauth/token", strings.NewReader(c.body))
				r.Header.Set("Content-Type", c.kind)
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i+1)
				begun := time.Now()
				got := d.serve(r)
				if got.code < 400 || got.code > 499 || !strings.Contains(got.raw, `"error"`) || time.Since(begun) > 5*time.Second {
					t.Errorf("%s %.60s: %d %s", c.kind, c.body, got.code, got.raw)
				}
			}
		})
	})
}
