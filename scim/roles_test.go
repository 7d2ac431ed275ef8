package scim

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func ids(r reply) string {
	list, _ := r.json["Resources"].([]any)
	return strings.Join(idsOf(list), " ")
}

// The catalogues answer like every list, and are only read.
func TestCatalogues(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.mapRole(store.RoleMapping{Attr: "entitlements", Value: "EU/Sales", Display: "Sales in Europe", Kind: "License", Role: "viewer"})
		d.mapRole(store.RoleMapping{Attr: "entitlements", Value: "basic", Role: ""})
		d.mapRole(store.RoleMapping{Attr: "entitlements", Value: "Crew", Kind: "Profile", Role: "agent"})
		d.mapRole(store.RoleMapping{Attr: "roles", Value: "not an entitlement", Role: "agent"})
		for path, want := range map[string]string{
			"/Roles":                                                          "admin agent viewer",
			"/Entitlements":                                                   "Crew EU/Sales basic",
			"/Entitlements?count=0":                                           "",
			"/Entitlements?startIndex=2&count=1":                              "EU/Sales",
			"/Entitlements?startIndex=9":                                      "",
			"/Entitlements?sortBy=displayName":                                "basic Crew EU/Sales",
			"/Entitlements?sortBy=type":                                       "EU/Sales Crew basic",
			"/Entitlements?sortBy=type&sortOrder=descending":                  "basic Crew EU/Sales",
			"/Entitlements?filter=displayName+eq+%22SALES+in+europe%22":       "EU/Sales",
			"/Entitlements?filter=type+pr+and+not+(id+eq+%22Crew%22)":         "EU/Sales",
			"/Entitlements?filter=meta.resourceType+eq+%22Entitlement%22":     "Crew EU/Sales basic",
			"/Roles?filter=id+sw+%22a%22&sortBy=id&sortOrder=descending":      "agent admin",
			"/Roles?filter=urn:okta:scim:schemas:core:1.0:Role:id+eq+%22x%22": "",
		} {
			got := d.must(200, "GET", path, "")
			if ids(got) != want {
				t.Errorf("%s: %q, want %q", path, ids(got), want)
			}
		}
		if total := d.must(200, "GET", "/Roles?count=1", "").json["totalResults"]; total != 3.0 {
			t.Errorf("totalResults is %v", total)
		}
		d.refused(400, "invalidFilter", "", "GET", "/Entitlements?filter=userName+eq+%22x%22", "")
		d.refused(400, "invalidValue", "", "GET", "/Roles?sortBy=shoeSize", "")

		// One: by its own address, with an entity tag, projected.
		one := d.must(200, "GET", "/Entitlements/EU%2FSales", "")
		at := BaseURL(testURL, d.directory.ID) + "/Entitlements/EU%2FSales"
		if one.str("id") != "EU/Sales" || one.str("type") != "License" || one.str("displayName") != "Sales in Europe" || one.header.Get("Content-Location") != at ||
			one.json["meta"].(map[string]any)["location"] != at {
			t.Errorf("%s", one.raw)
		}
		d.must(304, "GET", "/Entitlements/EU%2FSales", "", "If-None-Match: "+one.header.Get("ETag"))
		if short := d.must(200, "GET", "/Roles/admin?attributes=displayName", ""); short.str("description") != "" || short.str("displayName") != "Admin" || short.str("id") != "admin" {
			t.Errorf("%s", short.raw)
		}
		if head := d.must(200, "HEAD", "/Roles/admin", ""); head.header.Get("ETag") == "" {
			t.Errorf("HEAD has no ETag: %v", head.header)
		}
		for _, path := range []string{"/Roles/king", "/Roles/Admin", "/Entitlements/admin"} {
			d.refused(404, "", "not found", "GET", path, "")
		}
		d.mapRole(store.RoleMapping{Attr: "entitlements", Value: "EU/Sales", Display: "Sales", Role: "viewer"})
		d.must(200, "GET", "/Entitlements/EU%2FSales", "", "If-None-Match: "+one.header.Get("ETag")) // changed

		for _, path := range []string{"/Roles", "/Roles/admin", "/Entitlements", "/Entitlements/Crew"} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				if got := d.refused(405, "", "", method, path, "{}"); got.header.Get("Allow") != "GET" {
					t.Errorf("%s %s: Allow is %q", method, path, got.header.Get("Allow"))
				}
			}
		}
		bulk := d.must(200, "POST", "/Bulk", `{"schemas":["`+bulkRequestURN+`"],"Operations":[{"method":"POST","path":"/Roles","bulkId":"a","data":{}},{"method":"DELETE","path":"/Entitlements/Crew"}]}`)
		for _, op := range bulk.json["Operations"].([]any) {
			if op.(map[string]any)["status"] != "405" {
				t.Errorf("in a Bulk: %v", op)
			}
		}
	})
}

func TestSearchesOfCatalogues(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	d.user("jane")
	search := func(rest string) string { return `{"schemas":["` + searchURN + `"]` + rest + `}` }
	if got := ids(d.must(200, "POST", "/Roles/.search", search(`,"filter":"displayName co \"e\"","sortBy":"displayName","sortOrder":"descending"`))); got != "viewer agent" {
		t.Errorf("search found %q", got)
	}
	if got := ids(d.must(200, "POST", "/Entitlements/.search", search(""))); got != "" {
		t.Errorf("search found %q", got)
	}
	// From the root it is about people and groups.
	if got := d.must(200, "GET", "/", ""); got.json["totalResults"] != 1.0 {
		t.Errorf("the root has %s", got.raw)
	}
	// A walk by cursor.
	walk, cursor := "", ""
	for range 4 {
		got := d.must(200, "GET", "/Roles?count=1&sortBy=displayName&sortOrder=descending&cursor="+cursor, "")
		walk += ids(got) + " "
		if cursor = got.str("nextCursor"); cursor == "" {
			break
		}
	}
	if walk != "viewer agent admin " {
		t.Errorf("the walk met %q", walk)
	}
	d.refused(400, "invalidCursor", "", "GET", "/Entitlements?count=1&cursor=abc", "")
}

// A directory sees its own mapping alone, and nobody else's sends give roles by it.
func TestMappingsAreSealed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		d.mapRole(store.RoleMapping{Attr: "entitlements", Value: "gold", Role: "admin"})
		if got := ids(other.must(200, "GET", "/Entitlements", "")); got != "" {
			t.Errorf("the other directory sees %q", got)
		}
		other.refused(404, "", "", "GET", "/Entitlements/gold", "")
		gold := `"entitlements":[{"value":"gold"}]`
		if got := d.rolesOf(other.user("theirs", gold)); got != "" {
			t.Errorf("the other directory gave %q", got)
		}
		if got := d.rolesOf(d.user("ours", gold)); got != `admin: entitlements "gold"` {
			t.Errorf("the directory gave %q", got)
		}
	})
}

// In either mode a value that nobody mapped is kept and shown, and gives nothing.
func TestUnmappedValuesAreKept(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"compat", "strict"} {
		d := openDoor(t, storetest.SQLite(t), NewDirectory{Mode: mode})
		id := d.user("jane", `"roles":[{"value":"chief","display":"Chief"},{"value":"admin"}]`)
		if got := d.must(200, "GET", "/Users/"+id, ""); !strings.Contains(got.raw, `"chief"`) {
			t.Errorf("%s: %s", mode, got.raw)
		}
		if got := d.rolesOf(id); got != "" {
			t.Errorf("%s: gave %q", mode, got)
		}
		long := strings.Repeat("x", 5000)
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"add","path":"roles","value":[{"value":"`+long+`"}]}`))
		if got := d.must(200, "GET", `/Users?filter=roles.value+eq+%22`+long[:3000]+`%22`, ""); got.json["totalResults"] != 0.0 {
			t.Errorf("%s: %s", mode, got.raw)
		}
	}
}

// Eight writers of one user's roles: what is left is what one of them, or several in
// some order, would leave, and the roles are those of the values that are left.
func TestParallelRolePatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		gives := []string{"agent", "viewer", "admin", ""}
		for i := range 8 {
			d.mapRole(store.RoleMapping{Attr: "roles", Value: fmt.Sprint("v", i), Role: gives[i%len(gives)]})
		}
		id := d.user("jane", `"roles":[{"value":"v0"},{"value":"v1"},{"value":"v2"},{"value":"v3"}]`)
		replies := atOnce(8, func(i int) reply {
			if i < 4 {
				return d.do("PATCH", "/Users/"+id, patchBody(fmt.Sprintf(`{"op":"remove","path":"roles[value eq \"v%d\"]"}`, i)))
			}
			return d.do("PATCH", "/Users/"+id, patchBody(fmt.Sprintf(`{"op":"add","path":"roles","value":[{"value":"v%d"}]}`, i)))
		})
		for i, r := range replies {
			if r.code != http.StatusOK {
				t.Errorf("request %d: %d %s", i, r.code, r.raw)
			}
		}
		var have []string
		for _, e := range d.must(200, "GET", "/Users/"+id, "").json["roles"].([]any) {
			have = append(have, e.(map[string]any)["value"].(string))
		}
		slices.Sort(have)
		if strings.Join(have, " ") != "v4 v5 v6 v7" {
			t.Errorf("the values are %v", have)
		}
		if got := d.rolesOf(id); got != `admin: roles "v6", agent: roles "v4", viewer: roles "v5"` {
			t.Errorf("the roles are %s", got)
		}
	})
}

// Each change of roles is on record, and in the provisioning log under the user's name.
func TestRolesInTheProvisioningLog(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	id := d.user("jane@acme.example", `"displayName":"Jane","roles":[{"value":"viewer"}]`)
	d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"remove","path":"roles"}`))
	if got := strings.Join(d.activities(id), " "); got != "user.role.revoke user.update user.role.grant user.create" {
		t.Errorf("activity: %s", got)
	}
	if err := d.log.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	var rows []logRow
	if err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
		return tx.Select(&rows, "SELECT method, target_name, changes FROM scim_log WHERE org_id = ? AND directory_id = ? ORDER BY at, id", tx.Org(), d.directory.ID)
	}); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Method == "POST" && r.Target != "jane@acme.example" || r.Changes != 2 {
			t.Errorf("%s is logged as %+v", r.Method, r)
		}
	}
	if len(rows) != 2 {
		t.Errorf("%d rows, want 2", len(rows))
	}
}
