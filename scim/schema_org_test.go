package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const (
	ownURN  = "urn:muster:params:scim:schemas:extension:acme:2.0:User"
	teamURN = "urn:example:params:acme:2.0:Group"
)

// everyType is a schema with attributes of every type and multiplicity.
const everyType = `{"id":"` + ownURN + `","name":"Acme","attributes":[
	{"name":"costCenter"},
	{"name":"badge","caseExact":true,"uniqueness":"server"},
	{"name":"floor","type":"integer"},
	{"name":"rate","type":"decimal"},
	{"name":"remote","type":"boolean"},
	{"name":"since","type":"dateTime"},
	{"name":"photo","type":"binary"},
	{"name":"page","type":"reference","referenceTypes":["external"]},
	{"name":"tags","multiValued":true},
	{"name":"skills","type":"complex","multiValued":true,"subAttributes":[{"name":"value"},{"name":"type"},{"name":"years","type":"integer"},{"name":"primary","type":"boolean"}]},
	{"name":"desk","type":"complex","subAttributes":[{"name":"room"},{"name":"number","type":"integer"}]},
	{"name":"hired","mutability":"immutable"},
	{"name":"level","mutability":"readOnly"},
	{"name":"pin","mutability":"writeOnly","returned":"never"},
	{"name":"notes","returned":"request"}]}`

// define puts a schema of the organization.
func (d *door) define(text string) {
	d.t.Helper()
	if err := d.tryDefine(text, false); err != nil {
		d.t.Fatalf("define %s: %v", text, err)
	}
}

func (d *door) tryDefine(text string, confirmed bool) error {
	d.t.Helper()
	var s store.Schema
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		d.t.Fatal(err)
	}
	return d.db.Write(context.Background(), d.admin, func(tx *store.Tx) error {
		_, err := tx.PutSchema(s, confirmed)
		return err
	})
}

// own is the value under the organization's URN.
func (r reply) own() map[string]any {
	in, _ := r.json[ownURN].(map[string]any)
	return in
}

func asJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func eachMode(t *testing.T, f func(t *testing.T, d *door, clock *storetest.Clock)) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		f(t, d, clock)
	})
}

const fullOwn = `"` + ownURN + `":{"costCenter":"Zürich-1","badge":"B1","floor":3,"rate":1.5,"remote":true,"since":"2026-01-31T10:00:00+02:00","photo":"aGVsbG8=",` +
	`"page":"https://example.com/x","tags":["a","B"],"skills":[{"value":"go","type":"work","years":7,"primary":true},{"value":"sql","years":3}],"desk":{"room":"R","number":4},` +
	`"hired":"2020","level":"5","pin":"geheim","notes":"n"}`

// What was sent is shown as the schema says: with POST, GET, PUT and projection.
func TestOwnAttributesAreKeptAndShown(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, _ *storetest.Clock) {
		d.define(everyType)
		got := d.must(201, "POST", "/Users", userBody("jane", fullOwn))
		want := `{"badge":"B1","costCenter":"Zürich-1","desk":{"number":4,"room":"R"},"floor":3,"hired":"2020","notes":"n","page":"https://example.com/x","photo":"aGVsbG8=",` +
			`"rate":1.5,"remote":true,"since":"2026-01-31T08:00:00Z","skills":[{"primary":true,"type":"work","value":"go","years":7},{"value":"sql","years":3}],"tags":["a","B"]}`
		if asJSON(got.own()) != want || !strings.Contains(asJSON(got.json["schemas"]), ownURN) {
			t.Fatalf("POST shows %s\nwant %s", got.raw, want)
		}
		id := got.str("id")
		want = strings.Replace(want, `"notes":"n",`, "", 1) // returned on request
		for _, path := range []string{"/Users/" + id, "/Users/" + id + "?excludedAttributes=title"} {
			if got := d.must(200, "GET", path, ""); asJSON(got.own()) != want || strings.Contains(got.raw, "geheim") {
				t.Errorf("GET %s shows %s", path, got.raw)
			}
		}
		list := d.must(200, "GET", "/Users?filter="+esc(`userName eq "jane"`), "")
		if strings.Contains(list.raw, "geheim") || !strings.Contains(list.raw, "Zürich-1") || strings.Contains(list.raw, `"notes"`) {
			t.Errorf("the list shows %s", list.raw)
		}
		for query, want := range map[string]string{
			"attributes=" + ownURN + ":costCenter":          `{"costCenter":"Zürich-1"}`,
			"attributes=" + strings.ToUpper(ownURN):         "notes",
			"attributes=" + ownURN + ":notes":               `{"notes":"n"}`,
			"attributes=" + ownURN + ":skills.value":        `{"skills":[{"value":"go"},{"value":"sql"}]}`,
			"attributes=userName":                           "null",
			"excludedAttributes=" + ownURN:                  "null",
			"attributes=" + ownURN + ":pin":                 "null",
			"excludedAttributes=" + ownURN + ":desk.number": `"desk":{"room":"R"}`,
		} {
			got := asJSON(d.must(200, "GET", "/Users/"+id+"?"+query, "").own())
			if got != want && (want == "null" || !strings.Contains(got, want)) {
				t.Errorf("%s shows %s, want %s", query, got, want)
			}
		}
		// A PUT without them clears all but what the directory may not change.
		got = d.must(200, "PUT", "/Users/"+id, userBody("jane", `"`+ownURN+`":{"tags":["c"],"level":"9"}`))
		if asJSON(got.own()) != `{"hired":"2020","tags":["c"]}` {
			t.Errorf("PUT leaves %s", asJSON(got.own()))
		}
		d.refused(400, "mutability", "hired", "PUT", "/Users/"+id, userBody("jane", `"`+ownURN+`":{"hired":"2021"}`))
		got = d.must(200, "GET", "/Users/"+id, "")
		if asJSON(got.own()) != `{"hired":"2020","tags":["c"]}` {
			t.Errorf("afterwards there is %s", asJSON(got.own()))
		}
		if d.must(201, "POST", "/Users", userBody("joe")).own() != nil {
			t.Error("a user without them shows some")
		}
	})
}

func TestOwnAttributesAreChecked(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, _ *storetest.Clock) {
		d.define(everyType)
		for _, v := range []string{`"costCenter":1`, `"floor":"3"`, `"floor":1.5`, `"rate":"x"`, `"remote":"maybe"`, `"since":"yesterday"`, `"photo":"*"`, `"page":7`, `"tags":[1]`,
			`"skills":[{"years":"x"}]`, `"desk":"x"`, `"skills":[{"value":"a","primary":true},{"value":"b","primary":true}]`} {
			name, _, _ := strings.Cut(strings.Trim(v, `"`), `"`)
			got := d.refused(400, "invalidValue", name, "POST", "/Users", userBody("jane", `"`+ownURN+`":{`+v+`}`))
			if !strings.Contains(got.str("detail"), ownURN+":"+name) {
				t.Errorf("%s: %s does not name the attribute", v, got.raw)
			}
		}
		strict := d.another(NewDirectory{Name: "Strict", Mode: "strict"})
		strict.must(201, "POST", "/Users", `{"schemas":["`+userURN+`","`+ownURN+`"],"userName":"s","`+ownURN+`":{"costCenter":"x"}}`)
		strict.refused(400, "invalidSyntax", "nothing", "POST", "/Users", userBody("t", `"`+ownURN+`":{"nothing":"x"}`))
	})
}

func TestOwnAttributesArePatched(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, _ *storetest.Clock) {
		d.define(everyType)
		id := d.user("jane", fullOwn)
		at := ownURN + ":"
		for _, c := range []struct {
			name, ops, path, want string
		}{
			{"path", `{"op":"replace","path":"` + at + `costCenter","value":"new"}`, "costCenter", `"new"`},
			{"path in capitals", `{"op":"Replace","path":"` + strings.ToUpper(at) + `COSTCENTER","value":"caps"}`, "costCenter", `"caps"`},
			{"no path, URN key", `{"op":"replace","value":{"` + at + `floor":9}}`, "floor", `9`},
			{"no path, nested", `{"op":"add","value":{"` + ownURN + `":{"rate":2.25,"remote":false}}}`, "rate", `2.25`},
			{"no path, dotted", `{"op":"replace","value":{"` + at + `desk.room":"Q"}}`, "desk", `{"number":4,"room":"Q"}`},
			{"sub-attribute", `{"op":"replace","path":"` + at + `desk.number","value":8}`, "desk", `{"number":8,"room":"Q"}`},
			{"add to a list", `{"op":"add","path":"` + at + `tags","value":["z"]}`, "tags", `["a","B","z"]`},
			{"element of a simple list", `{"op":"remove","path":"` + at + `tags[value eq \"b\"]"}`, "tags", `["a","z"]`},
			{"no such element", `{"op":"remove","path":"` + at + `tags[value eq \"b\"]"}`, "tags", `["a","z"]`},
			{"value filter", `{"op":"replace","path":"` + at + `skills[value eq \"sql\"].years","value":4}`, "skills", `[{"primary":true,"type":"work","value":"go","years":7},{"value":"sql","years":4}]`},
			{"number in a filter", `{"op":"remove","path":"` + at + `skills[years gt 5]"}`, "skills", `[{"value":"sql","years":4}]`},
			{"time", `{"op":"replace","path":"` + at + `since","value":"2026-02-01T00:00:00.500Z"}`, "since", `"2026-02-01T00:00:00.5Z"`},
			{"remove", `{"op":"remove","path":"` + at + `photo"}`, "photo", "null"},
		} {
			d.must(200, "PATCH", "/Users/"+id, patchBody(c.ops))
			if got := asJSON(d.must(200, "GET", "/Users/"+id, "").own()[c.path]); got != c.want {
				t.Errorf("%s: %s is %s, want %s", c.name, c.path, got, c.want)
			}
		}
		for _, op := range []string{"replace", "add"} {
			path := at + `tags[value sw \"z\"]`
			d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"`+op+`","path":"`+path+`","value":"z`+op+`"}`))
			if got := asJSON(d.must(200, "GET", "/Users/"+id, "").own()["tags"]); got != `["a","z`+op+`"]` {
				t.Errorf("%s an element of a simple list: %s", op, got)
			}
			d.refused(400, "noTarget", "no element", "PATCH", "/Users/"+id, patchBody(`{"op":"`+op+`","path":"`+at+`tags[value eq \"none\"]","value":"x"}`))
			d.refused(400, "invalidValue", "string", "PATCH", "/Users/"+id, patchBody(`{"op":"`+op+`","path":"`+path+`","value":5}`))
		}
		d.refused(400, "invalidFilter", "not a sub-attribute", "PATCH", "/Users/"+id, patchBody(`{"op":"remove","path":"`+at+`tags[kind eq \"x\"]"}`))
		before := d.must(200, "GET", "/Users/"+id, "")
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+at+`since","value":"2026-02-01T01:00:00.500+01:00"}`))
		if after := d.must(200, "GET", "/Users/"+id, ""); after.raw != before.raw {
			t.Errorf("the same moment is a change: %s, was %s", after.raw, before.raw)
		}
		d.refused(400, "mutability", "read-only", "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+at+`level","value":"1"}`))
		d.refused(400, "mutability", "hired", "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+at+`hired","value":"1"}`))
		d.refused(400, "mutability", "hired", "PATCH", "/Users/"+id, patchBody(`{"op":"remove","path":"`+ownURN+`"}`))
		other := d.user("joe", `"`+ownURN+`":{"tags":["x"],"costCenter":"1"}`)
		d.must(200, "PATCH", "/Users/"+other, patchBody(`{"op":"remove","path":"`+ownURN+`"}`))
		if got := d.must(200, "GET", "/Users/"+other, ""); got.own() != nil || strings.Contains(asJSON(got.json["schemas"]), ownURN) {
			t.Errorf("the extension is still there: %s", got.raw)
		}
	})
}

// Filters and sorting mean the same with rows, when the index is ready, and without.
func TestOwnAttributesAreFoundAndSorted(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, clock *storetest.Clock) {
		d.define(everyType)
		d.user("a", `"`+ownURN+`":{"costCenter":"Ärger","badge":"b1","floor":-3,"rate":0.5,"remote":true,"since":"2026-01-01T00:00:00Z","page":"https://a","tags":["One","two"],"skills":[{"value":"go","years":7},{"value":"sql","years":1}],"desk":{"room":"x","number":10}}`)
		d.user("b", `"`+ownURN+`":{"costCenter":"ärger2","badge":"B1","floor":20,"rate":10,"remote":false,"since":"2026-01-01T00:00:00.25Z","page":"https://A","tags":["three"],"skills":[{"value":"go","years":1,"primary":true},{"value":"sql","years":7}],"desk":{"room":"y","number":9}}`)
		d.user("c", `"`+ownURN+`":{"costCenter":"zzz","floor":100,"rate":-7.25,"since":"2025-12-31T23:59:59Z"}`)
		d.user("d")
		queries := map[string]string{
			`costCenter eq "äRGER"`: "a", `costCenter sw "ÄRG"`: "ab", `costCenter co "RGER2"`: "b", `costCenter ne "zzz"`: "abd", `costCenter pr`: "abc", `costCenter eq null`: "d",
			`costCenter ge "zz"`: "abc", `badge eq "b1"`: "a", `badge sw "B"`: "b", `badge gt "B"`: "ab", `badge le "B1"`: "b",
			`floor eq 20`: "b", `floor eq 20.0`: "b", `floor gt -4`: "abc", `floor lt 20`: "a", `floor ge 20`: "bc", `floor le 1e2`: "abc", `floor ne 20`: "acd", `floor gt 99.5`: "c",
			`rate eq 0.50`: "a", `rate lt 0`: "c", `rate ge 0.5`: "ab", `rate gt 9`: "b", `rate le -7.25`: "c",
			`remote eq true`: "a", `remote eq false`: "b", `remote ne true`: "bcd",
			`since eq "2026-01-01T01:00:00+01:00"`: "a", `since gt "2026-01-01T00:00:00Z"`: "b", `since ge "2026-01-01T00:00:00Z"`: "ab", `since lt "2026-01-01T00:00:00Z"`: "c", `since le "2026-01-01T00:00:00.2Z"`: "ac",
			`page eq "https://a"`: "a", `tags eq "ONE"`: "a", `tags sw "t"`: "ab", `tags pr`: "ab", `tags ne "one"`: "abcd", `tags ne "three"`: "acd", `tags[value eq "two"]`: "a",
			`skills.value ne "go"`: "abcd", `skills[value eq "go" and primary eq false]`: "a", `skills[value eq "go" and primary ne false]`: "b", `skills.primary eq false`: "ab",
			`skills.years ge 7`: "ab", `skills eq "GO"`: "ab", `desk.number lt 10`: "b", `desk.room eq "X"`: "a",
		}
		plain := map[string]string{`@skills[value eq "go" and years gt 5]`: "a", `@costCenter sw "är" and @floor gt 0 and userName eq "b"`: "b", `@badge eq "B1" or @floor eq 100`: "bc",
			`not (@costCenter pr)`: "d", `not (@tags eq "one")`: "bcd", `schemas eq "` + ownURN + `"`: "abc", `urn:muster:params:scim:schemas:extension:acme:2.0:User.costCenter eq "zzz"`: "c"}
		for q, want := range queries {
			plain["@"+q] = want
		}
		check := func(when string) {
			t.Helper()
			for q, want := range plain {
				q = strings.ReplaceAll(strings.ReplaceAll(q, "@", ownURN+":"), "+", "%2B")
				got := d.must(200, "GET", "/Users?attributes=userName&filter="+esc(q), "")
				if names := userNames(got); names != want {
					t.Errorf("%s, %s: found %q, want %q", when, q, names, want)
				}
			}
			for by, want := range map[string]string{"costCenter": "cabd", "floor": "abcd", "rate": "cabd", "since": "cabd", "remote": "bacd", "tags": "abcd", "desk.number": "bacd", "skills.years": "bacd", "badge": "bacd"} {
				var walked string
				cursor := ""
				for range 5 {
					got := d.must(200, "GET", "/Users?count=1&sortBy="+esc(ownURN+":"+by)+"&cursor="+esc(cursor), "")
					walked += userNames(got)
					if cursor = got.str("nextCursor"); cursor == "" {
						break
					}
				}
				all := userNames(d.must(200, "GET", "/Users?sortBy="+esc(ownURN+":"+by), ""))
				if all != walked || all != want {
					t.Errorf("%s, sorted by %s: %q, by cursor %q, want %q", when, by, all, walked, want)
				}
			}
			d.refused(400, "invalidFilter", "never be read", "GET", "/Users?filter="+esc(ownURN+`:pin eq "1"`), "")
		}
		check("without index")
		indexed := everyType
		for _, name := range []string{"costCenter", "floor", "rate", "since", "page", "tags"} {
			indexed = strings.Replace(indexed, `"name":"`+name+`"`, `"name":"`+name+`","indexed":true`, 1)
		}
		indexed = strings.Replace(indexed, `{"name":"years"`, `{"indexed":true,"name":"years"`, 1)
		indexed = strings.Replace(indexed, `{"name":"number"`, `{"indexed":true,"name":"number"`, 1)
		d.define(indexed)
		check("while it is built")
		clock.Pass(time.Minute)
		if err := d.db.TendSchemas(context.Background()); err != nil {
			t.Fatal(err)
		}
		defs, err := d.db.Definitions(context.Background(), store.OrgID(d.admin.Org))
		if s, _ := defs.Find(ownURN); err != nil || s.Attributes[0].State != store.Ready {
			t.Fatalf("the index is %+v, %v", s.Attributes[0], err)
		}
		check("with index")
		d.define(everyType)
		check("while it is removed")
		for range 2 {
			clock.Pass(time.Minute)
			if err := d.db.TendSchemas(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		check("without index again")
	})
}

// userNames are the names of a list, which are one letter each.
func userNames(r reply) string {
	var out string
	list, _ := r.json["Resources"].([]any)
	for _, u := range list {
		out += u.(map[string]any)["userName"].(string)
	}
	return out
}

func TestUniqueOwnAttributes(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, _ *storetest.Clock) {
		d.define(everyType)
		other := d.another(NewDirectory{Name: "Other"})
		badge := func(v string) string { return `"` + ownURN + `":{"badge":"` + v + `"}` }
		id := d.user("jane", badge("B1"))
		joe := other.user("joe", badge("b1")) // exact
		other.refused(409, "uniqueness", ownURN+":badge", "POST", "/Users", userBody("x", badge("B1")))
		other.refused(409, "uniqueness", ownURN+":badge", "PUT", "/Users/"+joe, userBody("joe", badge("B1")))
		other.refused(409, "uniqueness", ownURN+":badge", "PATCH", "/Users/"+joe, patchBody(`{"op":"replace","path":"`+ownURN+`:badge","value":"B1"}`))
		d.must(200, "PUT", "/Users/"+id, userBody("jane", badge("B1")))
		d.must(200, "PUT", "/Users/"+id, userBody("jane"))
		other.must(201, "POST", "/Users", userBody("x", badge("B1")))
		d.refused(400, "invalidValue", "badge", "POST", "/Users", userBody("long", badge(strings.Repeat("x", 1001))))

		// Of many at once one wins.
		codes := make(chan int, 8)
		for i := range cap(codes) {
			go func() { codes <- d.do("POST", "/Users", userBody("n"+itoa(i), badge("same"))).code }()
		}
		count := map[int]int{}
		for range cap(codes) {
			count[<-codes]++
		}
		if count[201] != 1 || count[409] != cap(codes)-1 {
			t.Errorf("of %d at once: %v", cap(codes), count)
		}
		d.must(204, "DELETE", "/Users/"+d.user("gone", badge("free")), "")
		d.user("again", badge("free"))
	})
}

// A required attribute is asked of who creates and replaces; who was there before goes on.
func TestRequiredOwnAttribute(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, _ *storetest.Clock) {
		id := d.user("old")
		d.define(`{"id":"` + ownURN + `","attributes":[{"name":"code","required":true},{"name":"other"}]}`)
		d.refused(400, "invalidValue", ownURN+":code is required", "POST", "/Users", userBody("new"))
		d.refused(400, "invalidValue", "code is required", "PUT", "/Users/"+id, userBody("old"))
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"title","value":"x"}`))
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+ownURN+`:other","value":"x"}`))
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+ownURN+`:code","value":"x"}`))
		d.refused(400, "mutability", "required", "PATCH", "/Users/"+id, patchBody(`{"op":"remove","path":"`+ownURN+`:code"}`))
		d.refused(400, "mutability", "required", "PATCH", "/Users/"+id, patchBody(`{"op":"remove","path":"`+ownURN+`"}`))
		got := d.must(200, "GET", "/ResourceTypes/User", "")
		if !strings.Contains(got.raw, `{"required":true,"schema":"`+ownURN+`"}`) {
			t.Errorf("the resource type is %s", got.raw)
		}
	})
}

// Each organization has its own schemas, and nothing of another's.
func TestSchemasAreSealed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.define(everyType)
		_, admin := storetest.Org(t, db, "rival")
		rival := *d
		rival.admin = admin
		theirs := rival.another(NewDirectory{})
		has := func(d *door, path string) bool { return strings.Contains(d.must(200, "GET", path, "").raw, ownURN) }
		if !has(d, "/Schemas") || !has(d, "/ResourceTypes") || has(theirs, "/Schemas") || has(theirs, "/ResourceTypes") {
			t.Error("the schema is not where it belongs")
		}
		d.must(200, "GET", "/Schemas/"+ownURN, "")
		theirs.refused(404, "", "not found", "GET", "/Schemas/"+ownURN, "")
		theirs.refused(400, "invalidFilter", "not an attribute", "GET", "/Users?filter="+esc(ownURN+`:badge eq "B1"`), "")
		d.user("jane", fullOwn)
		if got := theirs.must(201, "POST", "/Users", userBody("jane", fullOwn)); got.own() != nil {
			t.Errorf("the other organization keeps %s", got.raw)
		}
		theirs.define(`{"id":"` + ownURN + `","attributes":[{"name":"badge","uniqueness":"server"}]}`)
		theirs.must(201, "POST", "/Users", userBody("joe", `"`+ownURN+`":{"badge":"B1"}`))
		if got := d.must(200, "GET", "/Schemas/"+ownURN, ""); len(got.json["attributes"].([]any)) != 15 {
			t.Errorf("the schema is %s", got.raw)
		}
	})
}

func TestOwnAttributesOfGroupsAndBulk(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, clock *storetest.Clock) {
		d.define(`{"id":"` + teamURN + `","attributes":[{"name":"code","uniqueness":"server"},{"name":"size","type":"integer","indexed":true},{"name":"tags","multiValued":true},
			{"name":"links","type":"complex","multiValued":true,"subAttributes":[{"name":"value"},{"name":"kind"}]},{"name":"made","mutability":"immutable"},{"name":"pin","mutability":"writeOnly"}]}`)
		d.define(everyType)
		own := func(v string) string { return `"` + teamURN + `":{` + v + `}` }
		got := d.must(201, "POST", "/Groups", groupBody("a", own(`"code":"X","size":3,"tags":["t"],"links":[{"value":"l","kind":"k"}],"made":"1","pin":"geheim"`)))
		if strings.Contains(got.raw, "geheim") || !strings.Contains(got.raw, `"size":3`) {
			t.Errorf("POST shows %s", got.raw)
		}
		id := got.str("id")
		d.group("b")
		d.refused(409, "uniqueness", "code", "POST", "/Groups", groupBody("c", own(`"code":"x"`)))
		d.must(204, "PATCH", "/Groups/"+id, patchBody(`{"op":"replace","path":"`+teamURN+`:size","value":30},{"op":"add","path":"`+teamURN+`:tags","value":"u"}`))
		d.refused(400, "mutability", "made", "PATCH", "/Groups/"+id, patchBody(`{"op":"remove","path":"`+teamURN+`:made"}`))
		for i := range 2 {
			for q, want := range map[string]int{`size eq 30`: 1, `size gt 30`: 0, `tags eq "U"`: 1, `links.value eq "l"`: 1, `links[value eq "l" and kind eq "x"]`: 0, `code sw "X"`: 1, `size pr`: 1, `size ne 30`: 1} {
				if got := d.must(200, "GET", "/Groups?filter="+esc(teamURN+":"+q), ""); got.json["totalResults"] != float64(want) {
					t.Errorf("%d: %s finds %s, want %d", i, q, got.raw, want)
				}
			}
			for by, want := range map[string]string{"size": "a", "tags": "a", "links": "a"} {
				got := d.must(200, "GET", "/Groups?sortBy="+teamURN+":"+by, "")
				if first := got.json["Resources"].([]any)[0].(map[string]any)["displayName"]; first != want {
					t.Errorf("sorted by %s: %v is first", by, first)
				}
			}
			clock.Pass(time.Minute)
			if err := d.db.TendSchemas(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if got := d.must(200, "PUT", "/Groups/"+id, groupBody("a")); asJSON(got.json[teamURN]) != `{"made":"1"}` {
			t.Errorf("PUT leaves %s", got.raw)
		}
		bulk := d.must(200, "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
			{"method":"POST","path":"/Users","bulkId":"u","data":`+userBody("bulk", `"`+ownURN+`":{"badge":"K","page":"https://x"}`)+`},
			{"method":"POST","path":"/Users","bulkId":"v","data":`+userBody("bulk2", `"`+ownURN+`":{"badge":"K"}`)+`},
			{"method":"PATCH","path":"/Users/bulkId:u","data":[{"op":"replace","path":"`+ownURN+`:floor","value":2}]}]}`)
		var codes []string
		for _, o := range bulk.json["Operations"].([]any) {
			codes = append(codes, o.(map[string]any)["status"].(string))
		}
		slices.Sort(codes)
		if !reflect.DeepEqual(codes, []string{"200", "201", "409"}) {
			t.Errorf("the bulk gave %s", bulk.raw)
		}
	})
}

// Deleting asks first, hides at once, and then takes the values away with an activity.
func TestDeletedAttributeTakesItsValues(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, clock *storetest.Clock) {
		d.define(`{"id":"` + ownURN + `","attributes":[{"name":"a","indexed":true},{"name":"b"}]}`)
		id := d.user("jane", `"`+ownURN+`":{"a":"1","b":"2"}`)
		d.user("joe", `"`+ownURN+`":{"b":"2"}`)
		less := `{"id":"` + ownURN + `","attributes":[{"name":"b"}]}`
		if err := d.tryDefine(less, false); !fault.Is(err, fault.Conflict) || fault.Field(err) != "confirm" || !strings.Contains(fmt.Sprint(fault.Public(err)), "1 user") {
			t.Fatalf("deleting without confirmation: %v", err)
		}
		if err := d.tryDefine(less, true); err != nil {
			t.Fatal(err)
		}
		if got := d.must(200, "GET", "/Users/"+id, ""); asJSON(got.own()) != `{"b":"2"}` {
			t.Errorf("at once there is %s", asJSON(got.own()))
		}
		d.refused(400, "invalidFilter", "not an attribute", "GET", "/Users?filter="+esc(ownURN+`:a pr`), "")
		if err := d.tryDefine(`{"id":"`+ownURN+`","attributes":[{"name":"a"},{"name":"b"}]}`, false); !fault.Is(err, fault.Conflict) {
			t.Errorf("defined anew before it is gone: %v", err)
		}
		clock.Pass(time.Minute)
		if err := d.db.TendSchemas(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := d.activities(id); got[0] != "user.update" || len(got) < 2 {
			t.Errorf("activities %v", got)
		}
		d.define(`{"id":"` + ownURN + `","attributes":[{"name":"a"},{"name":"b"}]}`)
		if got := d.must(200, "GET", "/Users/"+id, ""); asJSON(got.own()) != `{"b":"2"}` {
			t.Errorf("afterwards there is %s", asJSON(got.own()))
		}
		if err := d.db.Write(context.Background(), d.admin, func(tx *store.Tx) error { _, err := tx.DeleteSchema(ownURN, true); return err }); err != nil {
			t.Fatal(err)
		}
		if got := d.must(200, "GET", "/Users/"+id, ""); got.own() != nil {
			t.Errorf("the deleted schema shows %s", got.raw)
		}
		clock.Pass(time.Minute)
		if err := d.db.TendSchemas(context.Background()); err != nil {
			t.Fatal(err)
		}
		if defs, err := d.db.Definitions(context.Background(), store.OrgID(d.admin.Org)); err != nil || len(defs.Schemas) != 0 {
			t.Errorf("there still is %+v, %v", defs.Schemas, err)
		}
		if got := d.must(200, "GET", "/Users/"+id, ""); strings.Contains(got.raw, ownURN) {
			t.Errorf("the document still has %s", got.raw)
		}
	})
}

// What is never returned stands in no activity either.
func TestSecretOwnAttributesAreInNoLog(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, _ *storetest.Clock) {
		d.define(everyType)
		id := d.user("jane", `"`+ownURN+`":{"pin":"geheim","tags":["x"]}`)
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+ownURN+`:pin","value":"geheimer"}`))
		d.must(200, "PUT", "/Users/"+id, userBody("jane", `"`+ownURN+`":{"pin":"amgeheimsten"}`))
		d.do("PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+ownURN+`:pin","value":["geheim"]}`))
		d.do("POST", "/Users", userBody("jane", `"`+ownURN+`":{"pin":"geheim"}`))
		d.do("GET", "/Users?filter="+esc(ownURN+`:pin eq "geheim"`), "")
		if rows := asJSON(d.logged(logQuery{limit: 100})); strings.Contains(rows, "geheim") || !strings.Contains(rows, "[redacted]") {
			t.Errorf("the provisioning log says %s", rows)
		}
		err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
			list, err := tx.Activities(store.ActivityQuery{Limit: 100})
			if text := asJSON(list); strings.Contains(text, "geheim") || !strings.Contains(text, "(not shown)") {
				t.Errorf("the activities say %s", text)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Without an index a search is bounded as any other, and says what to do; with one it
// finds in a directory of any size.
func TestSearchesByOwnAttributesAreBounded(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, d *door, clock *storetest.Clock) {
		m := web.NewMux(web.Options{PublicURL: testURL})
		Mount(m, d.db, Options{PublicURL: testURL, ScanRows: 5})
		d.mux = m
		schema := `{"id":"` + ownURN + `","attributes":[{"name":"code"},{"name":"list","multiValued":true}]}`
		d.define(schema)
		for i := range 6 {
			d.user("u"+itoa(i), `"`+ownURN+`":{"code":"c`+itoa(i)+`","list":["l`+itoa(i)+`"]}`)
		}
		query := func(name, value string) string { return "/Users?filter=" + esc(ownURN+":"+name+` eq "`+value+`"`) }
		d.refused(400, "tooMany", "on the console's page Attributes", "GET", query("code", "c1"), "")
		d.define(strings.ReplaceAll(strings.Replace(schema, `"name":"code"`, `"name":"code","indexed":true`, 1), `"multiValued":true`, `"multiValued":true,"indexed":true`))
		d.refused(400, "tooMany", ownURN+":code", "GET", query("code", "c1"), "")
		clock.Pass(time.Minute)
		if err := d.db.TendSchemas(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{query("code", "C1"), query("list", "L1"), "/Users?filter=" + esc(ownURN+`:code sw "C1" and title eq null`)} {
			if got := d.must(200, "GET", q, ""); got.json["totalResults"] != 1.0 {
				t.Errorf("%s finds %s", q, got.raw)
			}
		}
	})
}
