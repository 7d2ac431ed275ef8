package scim

import (
	"encoding/json"
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
