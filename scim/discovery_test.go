package scim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/elimity-com/scim"
	scimerr "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// What a directory's mode refuses, its schema does not offer.
func TestStrictOffersNoPassword(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]bool{"compat": true, "strict": false} {
		d := openDoor(t, storetest.SQLite(t), NewDirectory{Name: mode, Mode: mode})
		if got := strings.Contains(d.must(200, "GET", "/Schemas/"+userURN, "").raw, `"password"`); got != want {
			t.Errorf("%s: the schema has a password: %v, want %v", mode, got, want)
		}
	}
}

// RFC 7643 §8.7.2.
func TestTheSchemaOfResourceTypes(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	got := map[string]string{}
	for _, a := range d.must(200, "GET", "/Schemas/"+resourceTypeURN, "").json["attributes"].([]any) {
		a := a.(map[string]any)
		got[a["name"].(string)] = fmt.Sprintf("%v %v %v %v %v", a["type"], a["required"], a["multiValued"], a["mutability"], a["referenceTypes"])
	}
	want := map[string]string{"id": "string false false readOnly <nil>", "name": "string true false readOnly <nil>", "description": "string false false readOnly <nil>",
		"endpoint": "reference true false readOnly [uri]", "schema": "reference true false readOnly [uri]", "schemaExtensions": "complex true true readOnly <nil>"}
	if asJSON(got) != asJSON(want) {
		t.Errorf("got %s\nwant %s", asJSON(got), asJSON(want))
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	base := BaseURL(testURL, d.directory.ID)
	config := d.must(200, "GET", "/ServiceProviderConfig", "")
	for _, want := range []string{`"maxResults":1000`, `"defaultPageSize":100`, `"maxPageSize":1000`, `"bulk":{"maxOperations":1000,"maxPayloadSize":4194304,"supported":true}`, `"etag":{"supported":true}`, `"patch":{"supported":true}`, `"sort":{"supported":true}`,
		`"cursor":true`, `"index":true`, `"defaultPaginationMethod":"index"`, `"cursorTimeout":3600`,
		`"location":"` + base + `/ServiceProviderConfig"`, `"oauthbearertoken"`, `"oauth2"`} {
		if !strings.Contains(config.raw, want) {
			t.Errorf("ServiceProviderConfig has no %s: %s", want, config.raw)
		}
	}
	for path, ids := range map[string][]string{
		"/Schemas":       {userURN, enterpriseURN, groupURN, roleURN, entitlementURN, configURN, resourceTypeURN, schemaURN},
		"/ResourceTypes": {"User", "Group", "Role", "Entitlement"},
	} {
		list := d.must(200, "GET", path, "")
		resources := list.json["Resources"].([]any)
		if list.json["totalResults"] != float64(len(ids)) || len(resources) != len(ids) {
			t.Errorf("%s: %v", path, list.json["totalResults"])
		}
		for i, e := range resources {
			m := e.(map[string]any)
			meta := m["meta"].(map[string]any)
			if m["id"] != ids[i] || meta["location"] != base+path+"/"+ids[i] || meta["resourceType"] != strings.TrimSuffix(path[1:], "s") {
				t.Errorf("%s: resource %d is %v with meta %v", path, i, m["id"], meta)
			}
			one := d.must(200, "GET", path+"/"+ids[i], "")
			if !reflect.DeepEqual(one.json, m) {
				t.Errorf("%s/%s differs from the list", path, ids[i])
			}
			if again := d.do("GET", path+"/"+ids[i], "", "If-None-Match: "+one.header.Get("ETag")); again.code != 304 || again.raw != "" {
				t.Errorf("%s/%s again: %d", path, ids[i], again.code)
			}
		}
		d.refused(404, "", "", "GET", path+"/nonsense", "")
		d.refused(403, "", "cannot be filtered", "GET", path+`?filter=id%20eq%20%22x%22`, "")
	}
	d.refused(403, "", "cannot be filtered", "GET", `/ServiceProviderConfig?filter=a%20pr`, "")
	for _, path := range []string{"/Schemas", "/Schemas/" + userURN, "/ResourceTypes", "/ResourceTypes/User", "/ServiceProviderConfig"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			if got := d.refused(405, "", "", method, path, ""); got.header.Get("Allow") != "GET" {
				t.Errorf("%s %s: Allow is %q", method, path, got.header.Get("Allow"))
			}
		}
	}
}

// What is answered must fit what /Schemas says: no attribute that is not declared,
// none of another type, nothing missing that is required.
func TestAnswersFitTheSchemas(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	manager := d.user("boss")
	user := d.user("jane", `"externalId":"x"`, `"name":{"givenName":"J"}`, `"emails":[{"value":"a@b.example","type":"work","primary":true}]`,
		`"`+enterpriseURN+`":{"department":"Labs","manager":{"value":"`+manager+`"}}`)
	group := d.group("Staff", user)
	d.mapRole(store.RoleMapping{Attr: "entitlements", Value: "gold", Kind: "License"})
	declared := map[string]map[string]any{}
	for _, e := range d.must(200, "GET", "/Schemas", "").json["Resources"].([]any) {
		m := e.(map[string]any)
		declared[m["id"].(string)] = m
	}
	for _, path := range []string{"/Users/" + user, "/Groups/" + group, "/Roles/admin", "/Entitlements/gold", "/ServiceProviderConfig", "/ResourceTypes/User", "/Schemas/" + userURN} {
		doc := d.must(200, "GET", path, "").json
		for _, urn := range doc["schemas"].([]any) {
			s := declared[urn.(string)]
			if s == nil {
				t.Fatalf("%s: schema %s is not served", path, urn)
			}
			part := doc
			if in, ok := doc[urn.(string)].(map[string]any); ok {
				part = in
			}
			fits(t, path, s["attributes"].([]any), part)
		}
	}
}

func fits(t *testing.T, at string, attributes []any, doc map[string]any) {
	t.Helper()
	known := map[string]map[string]any{"schemas": nil, "id": nil, "externalId": nil, "meta": nil}
	for _, a := range attributes {
		m := a.(map[string]any)
		known[m["name"].(string)] = m
		if v, there := doc[m["name"].(string)]; m["required"] == true && !there {
			t.Errorf("%s: %s is required and missing (%v)", at, m["name"], v)
		}
	}
	for name, v := range doc {
		a, ok := known[name]
		if !ok && !strings.HasPrefix(name, "urn:") {
			t.Errorf("%s: %s is not declared", at, name)
		}
		if a == nil {
			continue
		}
		list := []any{v}
		if a["multiValued"] == true {
			if list, ok = v.([]any); !ok {
				t.Errorf("%s.%s is no array", at, name)
			}
		}
		for _, e := range list {
			switch want := a["type"]; e := e.(type) {
			case map[string]any:
				subs, _ := a["subAttributes"].([]any)
				if want != "complex" {
					t.Errorf("%s.%s is an object, declared %s", at, name, want)
				}
				if at == "/Schemas/"+userURN && name == "subAttributes" {
					continue
				}
				fits(t, at+"."+name, subs, e)
			case string:
				if want != "string" && want != "reference" && want != "dateTime" && want != "binary" {
					t.Errorf("%s.%s is text, declared %s", at, name, want)
				}
			case bool:
				if want != "boolean" {
					t.Errorf("%s.%s is a boolean, declared %s", at, name, want)
				}
			case float64:
				if want != "integer" && want != "decimal" {
					t.Errorf("%s.%s is a number, declared %s", at, name, want)
				}
			}
		}
	}
}

// mirror is the library's server over the same people, who are read from ours.
type mirror struct {
	d    *door
	path string
}

func (o mirror) all() []scim.Resource {
	var out []scim.Resource
	for _, e := range o.d.must(200, "GET", o.path+"?count=1000", "").json["Resources"].([]any) {
		m := e.(map[string]any)
		r := scim.Resource{ID: m["id"].(string), Attributes: m}
		if x, ok := m["externalId"].(string); ok {
			r.ExternalID = optional.NewString(x)
		}
		delete(m, "meta")
		out = append(out, r)
	}
	return out
}

func (o mirror) Get(_ *http.Request, id string) (scim.Resource, error) {
	for _, r := range o.all() {
		if r.ID == id {
			return r, nil
		}
	}
	return scim.Resource{}, scimerr.ScimErrorResourceNotFound(id)
}

func (o mirror) GetAll(_ *http.Request, p scim.ListRequestParams) (scim.Page, error) {
	page := scim.Page{Resources: []scim.Resource{}}
	for _, r := range o.all() {
		if p.FilterValidator != nil && p.FilterValidator.PassesFilter(r.Attributes) != nil {
			continue
		}
		page.TotalResults++
		if i := page.TotalResults; i >= p.StartIndex && len(page.Resources) < p.Count {
			page.Resources = append(page.Resources, r)
		}
	}
	return page, nil
}

func (mirror) Create(*http.Request, scim.ResourceAttributes) (scim.Resource, error) {
	panic("reads only")
}
func (mirror) Replace(*http.Request, string, scim.ResourceAttributes) (scim.Resource, error) {
	panic("reads only")
}
func (mirror) Delete(*http.Request, string) error { panic("reads only") }
func (mirror) Patch(*http.Request, string, []scim.PatchOperation) (scim.Resource, error) {
	panic("reads only")
}

// Where the library's server is right, ours answers the same: discovery, lists,
// pages, simple filters, single resources, what is not there. What is left out is
// known to be wrong there: extensions, id, meta, emails.value and value paths in
// filters; ne on missing values; projection; meta and locations.
func TestAnswersAsTheLibraryAnswers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		jane := d.user("jane@example.com", `"title":"Boss"`, `"name":{"givenName":"Jane"}`, `"active":true`)
		d.user("joe@example.com", `"title":"boss","active":false,"displayName":"Joe"`, `"`+enterpriseURN+`":{"department":"Labs"}`)
		d.user("jim@example.com", `"nickName":"J"`)
		group := d.group("Staff", jane)
		d.group("Empty")
		users, groups, roles, entitlements := UserSchema().Schemas(), GroupSchema().Schemas(), RoleSchema().Schemas()[0], EntitlementSchema().Schemas()[0]
		d.mapRole(store.RoleMapping{Attr: "entitlements", Value: "gold", Kind: "License"})
		server, err := scim.NewServer(&scim.ServerArgs{
			ServiceProviderConfig: &scim.ServiceProviderConfig{MaxResults: maxCount, SupportFiltering: true, SupportPatch: true},
			ResourceTypes: []scim.ResourceType{
				{ID: optional.NewString("User"), Name: "User", Endpoint: "/Users", Description: users[0].Description, Schema: users[0],
					SchemaExtensions: []scim.SchemaExtension{{Schema: users[1]}}, Handler: mirror{d, "/Users"}},
				{ID: optional.NewString("Group"), Name: "Group", Endpoint: "/Groups", Description: groups[0].Description, Schema: groups[0], Handler: mirror{d, "/Groups"}},
				{ID: optional.NewString("Role"), Name: "Role", Endpoint: "/Roles", Description: roles.Description, Schema: roles, Handler: mirror{d, "/Roles"}},
				{ID: optional.NewString("Entitlement"), Name: "Entitlement", Endpoint: "/Entitlements", Description: entitlements.Description, Schema: entitlements, Handler: mirror{d, "/Entitlements"}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{
			"/Users?count=100", "/Users?startIndex=2&count=1", "/Users?startIndex=0&count=2", "/Users?count=0", "/Users?startIndex=100&count=5",
			"/Users?count=9&filter=" + esc(`userName eq "JANE@example.com"`), "/Users?count=9&filter=" + esc(`userName eq "nobody"`),
			"/Users?count=9&filter=" + esc(`userName sw "j" and not (title eq "BOSS")`), "/Users?count=9&filter=" + esc(`title co "OS" or nickName pr`),
			"/Users?count=9&filter=" + esc(`active eq false`), "/Users?count=9&filter=" + esc(`name.givenName ew "ne"`), "/Users?count=9&filter=" + esc(`displayName ge "joe"`),
			"/Users?count=9&filter=" + esc(`title gt "a" and (title lt "c" or userName pr)`),
			"/Groups?count=9", "/Groups?count=9&filter=" + esc(`displayName eq "staff"`), "/Groups?count=9&filter=" + esc(`displayName ne "staff"`),
			"/Roles?count=9", "/Roles?count=9&filter=" + esc(`displayName sw "A" and not (description co "x")`), "/Roles?startIndex=2&count=1", "/Entitlements?count=9&filter=" + esc(`type eq "license"`), "/Roles/agent", "/Roles/king",
			"/Users/" + jane, "/Groups/" + group, "/Users/nobody", "/Groups/" + jane,
			"/Users?filter=" + esc(`userName eq`), "/Users?filter=" + esc(`shoeSize eq 1`), "/Users?count=ten",
			"/ResourceTypes", "/ResourceTypes/User", "/ResourceTypes/Nothing", "/Schemas/" + userURN, "/Schemas/" + enterpriseURN, "/Schemas/" + groupURN,
			"/Schemas/" + resourceTypeURN[:20],
		} {
			w := httptest.NewRecorder()
			server.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			var theirs map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &theirs); err != nil {
				t.Fatalf("%s: the library answers %s", path, w.Body)
			}
			ours := d.do("GET", path, "")
			if ours.code != w.Code {
				t.Errorf("%s: %d, the library %d", path, ours.code, w.Code)
			}
			if got, want := alike(ours.json), alike(theirs); !reflect.DeepEqual(got, want) {
				t.Errorf("%s\n   ours %s\nlibrary %s", path, appendJSON(nil, got), appendJSON(nil, want))
			}
		}
	})
}

func esc(s string) string { return strings.NewReplacer(" ", "%20", `"`, "%22").Replace(s) }

// alike leaves out where the library is wrong or free: meta; all extensions in
// schemas; itemsPerPage, where it gives what was asked for and not what is there;
// the words and missing types of its errors.
func alike(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			switch name {
			case "meta", "itemsPerPage", "detail", "scimType":
			case "schemas":
				if list, ok := e.([]any); ok && len(list) > 0 {
					out[name] = list[0]
				}
			default:
				out[name] = alike(e)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, alike(e))
		}
		return out
	}
	return v
}

// The library's own values are not changed by being served from here.
func TestSchemasAreShared(t *testing.T) {
	t.Parallel()
	before, err := json.Marshal(UserSchema().Schemas()[0])
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	for range 4 {
		go func() {
			defer func() { done <- true }()
			for range 50 {
				s := UserSchema().Schemas()[0]
				s.Attributes = append(s.Attributes, schema.SimpleCoreAttribute(schema.SimpleStringParams(schema.StringParams{Name: "more"})))
				UserSchema().Find("", "emails", "VALUE")
			}
		}()
	}
	for range 4 {
		<-done
	}
	if after, _ := json.Marshal(UserSchema().Schemas()[0]); string(after) != string(before) {
		t.Error("the schema changed while others appended to it")
	}
}
