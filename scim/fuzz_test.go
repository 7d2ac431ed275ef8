package scim

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/store/storetest"
)

// Whatever stands in a body, the answer is a resource or a 4xx, and what GET
// shows afterwards is a whole resource.
func FuzzPatch(f *testing.F) {
	for _, c := range append(compatPatches, strictPatches...) {
		f.Add(patchBody(c.ops))
	}
	f.Add(patchBody(`{"op":"add","path":"members","value":[{"value":"x"}]}`))
	f.Add(patchBody(`{"op":"replace","path":"userName","value":"\ud83d\ude00"}`))
	f.Add(userBody("x", `"emails":[{"value":"\u007f"}]`))
	f.Add(groupBody("x", `"members":[null]`))
	d := openDoor(f, storetest.SQLite(f), NewDirectory{})
	user := d.user("jane", `"emails":[{"type":"work","value":"j@work.example","primary":true}]`)
	group := d.group("Sales", user)
	f.Fuzz(func(t *testing.T, body string) {
		d := *d
		d.t = t
		for _, c := range []struct{ method, path string }{
			{"PATCH", "/Users/" + user}, {"PATCH", "/Groups/" + group}, {"PUT", "/Users/" + user}, {"PUT", "/Groups/" + group}, {"POST", "/Users"}, {"POST", "/Groups"},
		} {
			got := d.do(c.method, c.path, body)
			if got.code >= 500 {
				t.Fatalf("%s %s %q: %d %s", c.method, c.path, body, got.code, got.raw)
			}
			if got.code == 201 {
				d.must(200, "GET", c.path+"/"+got.str("id"), "")
				d.must(204, "DELETE", c.path+"/"+got.str("id"), "")
			}
		}
		for _, path := range []string{"/Users/" + user, "/Groups/" + group} {
			if got := d.must(200, "GET", path, ""); !json.Valid([]byte(got.raw)) || got.str("id") == "" {
				t.Fatalf("after %q, GET %s: %s", body, path, got.raw)
			}
		}
	})
}

// Whatever stands in a Bulk, the answer is a BulkResponse or a 4xx, no operation in
// it is an internal error, and nothing that is kept has a reference in it.
func FuzzBulk(f *testing.F) {
	d := openDoor(f, storetest.SQLite(f), NewDirectory{})
	user := d.user("jane")
	group := d.group("Sales", user)
	f.Add(bulkBody(bulkPost("/Users", "a", managed("a", "bulkId:b")), bulkPost("/Users", "b", managed("b", "bulkId:a")), bulkPost("/Groups", "g", groupBody("g", `"members":[{"value":"bulkId:a"}]`))))
	f.Add(bulkBody(`{"method":"PATCH","path":"/Groups/`+group+`","data":[{"op":"remove","path":"members[value eq \"bulkId:a\"]"},{"op":"add","value":{"members[x eq bulkId:a]":"bulkId:a"}}]}`, bulkPost("/Users", "a", userBody("a"))))
	f.Add(bulkBody(`{"method":"PUT","path":"/Users/bulkId:a","version":"W/\"1\"","data":{"$ref":"/x/bulkId:a"}}`, `{"method":"DELETE","path":"/Groups/bulkId:"}`, `null`))
	f.Add(`{"failOnErrors":1,` + bulkSchema + `,"Operations":[{},[]]}`)
	f.Fuzz(func(t *testing.T, body string) {
		d := *d
		d.t = t
		got := d.do("POST", "/Bulk", body, "Content-Type: "+contentType)
		if got.code >= 500 || got.code != 200 && got.code/100 != 4 {
			t.Fatalf("%q: %d %s", body, got.code, got.raw)
		}
		list, _ := got.json["Operations"].([]any)
		for _, e := range list {
			o := reply{json: e.(map[string]any)}
			if s := o.str("status"); s >= "500" || s < "200" {
				t.Fatalf("%q: %v", body, e)
			}
			if o.str("status") != "201" {
				continue
			}
			path := strings.TrimPrefix(o.str("location"), BaseURL(testURL, d.directory.ID))
			if now := d.do("GET", path, ""); now.code == 200 && hasReference(now.json) {
				t.Fatalf("after %q, GET %s: %s", body, path, now.raw)
			}
			d.do("DELETE", path, "")
		}
	})
}

func hasReference(v any) bool {
	switch v := v.(type) {
	case string:
		_, ok := bulkRef(v)
		return ok
	case []any:
		return slices.ContainsFunc(v, hasReference)
	case map[string]any:
		for _, e := range v {
			if hasReference(e) {
				return true
			}
		}
	}
	return false
}
