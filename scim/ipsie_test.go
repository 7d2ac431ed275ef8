package scim

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// OpenID IPSIE AL SCIM profile (draft-openid-ipsie-al-scim-profile-00), AL1 and AL2,
// against a directory in strict mode. docs/scim/profiles.md names these tests, and
// those elsewhere that prove the rest.

// §4.1: with oauthOnly nothing but a client's access token opens the directory, and
// its scope is scim and nothing more.
func TestIPSIEAccess(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Mode: "strict", Quirks: store.JSON(`{"oauthOnly":true}`)})
		d.refused(401, "", "OAuth", "GET", "/Users", "")
		c, text := d.client("")
		got := d.ask(credentialsForm(), basic(string(c.ID), text))
		if got.code != 200 || got.Scope != "scim" || got.Life == 0 || got.Life > 3600 {
			t.Fatalf("access token: %d %s", got.code, got.raw)
		}
		d.with(got.Token).must(200, "GET", "/Users", "")
		if more := d.ask(url.Values{"grant_type": {"client_credentials"}, "scope": {"scim admin"}}, basic(string(c.ID), text)); more.code != 400 || more.Error != "invalid_scope" {
			t.Errorf("a broader scope: %d %s", more.code, more.raw)
		}
		if config := d.with(got.Token).must(200, "GET", "/ServiceProviderConfig", ""); config.json[claim] != true || strings.Contains(config.raw, `"oauthbearertoken"`) {
			t.Errorf("configuration: %s", config.raw)
		}
	})
}

// §5.4 and §6.2.5: the filters by which people and groups are found.
func TestIPSIEFilters(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		id := d.user("jane", `"externalId":"E1"`, `"emails":[{"value":"j@x.example","type":"work"},{"value":"h@x.example","type":"home"}]`)
		d.user("joe", `"externalId":"E2"`, `"emails":[{"value":"joe@x.example","type":"work"}]`)
		g := d.must(201, "POST", "/Groups", groupBody("Staff", `"externalId":"G1"`, `"members":`+memberJSON(id))).str("id")
		d.group("Empty")
		for _, c := range []struct{ path, filter, id string }{
			{"/Users", `userName eq "JANE"`, id}, {"/Users", `username eq "jane"`, id}, {"/Users", `externalId eq "E1"`, id},
			{"/Users", `emails[value eq "j@x.example"]`, id}, {"/Users", `emails[type eq "work" and value eq "j@x.example"]`, id},
			{"/Users", `emails[type eq "work" and value eq "h@x.example"]`, ""},
			{"/Groups", `displayName eq "staff"`, g}, {"/Groups", `externalId eq "G1"`, g}, {"/Groups", `members[value eq "` + id + `"]`, g},
		} {
			got := d.must(200, "GET", c.path+"?filter="+url.QueryEscape(c.filter), "")
			list := got.json["Resources"].([]any)
			if want := min(len(c.id), 1); len(list) != want || want == 1 && list[0].(map[string]any)["id"] != c.id {
				t.Errorf("%s?filter=%s: %s", c.path, c.filter, got.raw)
			}
		}
	})
}

// §6.1: the attributes of a user, no password, POST, PATCH of several attributes, GET.
func TestIPSIEUsers(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		schema := d.must(200, "GET", "/Schemas/"+userURN, "").raw
		for _, name := range []string{"userName", "displayName", "active", "emails"} {
			if !strings.Contains(schema, `"name":"`+name+`"`) {
				t.Errorf("the User schema has no %s", name)
			}
		}
		made := d.must(201, "POST", "/Users", userBody("jane", `"displayName":"Jane"`, `"externalId":"E1"`, `"active":true`, `"emails":[{"value":"j@x.example","primary":true}]`))
		id := made.str("id")
		got := d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"displayName","value":"Jane D."},{"op":"add","path":"title","value":"Boss"},{"op":"replace","path":"active","value":false}`))
		if got.str("displayName") != "Jane D." || got.str("title") != "Boss" || got.json["active"] != false || got.str("externalId") != "E1" {
			t.Errorf("after PATCH: %s", got.raw)
		}
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/Users", userBody("x", `"password":"a long enough one"`)},
			{"PUT", "/Users/" + id, userBody("jane", `"password":"a long enough one"`)},
			{"PATCH", "/Users/" + id, patchBody(`{"op":"add","path":"password","value":"a long enough one"}`)},
		} {
			d.refused(400, "invalidSyntax", "password", c.method, c.path, c.body)
		}
		d.refused(400, "invalidFilter", "", "GET", "/Users?filter="+url.QueryEscape(`password eq "x"`), "")
	})
}

// §6.2: groups without members, and 50 and more member operations in one PATCH.
func TestIPSIEGroups(t *testing.T) {
	strictly(t, func(t *testing.T, d *door) {
		schema := d.must(200, "GET", "/Schemas/"+groupURN, "").raw
		for _, name := range []string{"displayName", "members"} {
			if !strings.Contains(schema, `"name":"`+name+`"`) {
				t.Errorf("the Group schema has no %s", name)
			}
		}
		g := d.must(201, "POST", "/Groups", groupBody("Staff", `"externalId":"G1"`)).str("id")
		const n = 60
		var ids, in, out []string
		for i := range n {
			ids = append(ids, d.user(fmt.Sprintf("u%02d", i)))
			in = append(in, `{"op":"add","path":"members","value":[{"value":"`+ids[i]+`"}]}`)
			out = append(out, `{"op":"remove","path":"members[value eq \"`+ids[i]+`\"]"}`)
		}
		d.must(204, "PATCH", "/Groups/"+g, patchBody(strings.Join(in, ",")))
		if got := len(d.memberIDs(g)); got != n {
			t.Errorf("%d members after %d additions", got, n)
		}
		d.must(204, "PATCH", "/Groups/"+g, patchBody(strings.Join(out[:n-1], ",")))
		if got := d.memberIDs(g); len(got) != 1 || !got[ids[n-1]] {
			t.Errorf("members after %d removals: %v", n-1, got)
		}
		if got := d.must(200, "GET", "/Groups/"+g+"?excludedAttributes=members", ""); got.json["members"] != nil || got.str("externalId") != "G1" {
			t.Errorf("without members: %s", got.raw)
		}
	})
}

// §4.3: rate limits on every endpoint, with 429 and Retry-After, and never below 25.
func TestIPSIERates(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{Mode: "strict", Quirks: store.JSON(`{"requestsPerSecond":25}`)})
		paths := []string{"/Users", "/Groups", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Users/x", "/Me"}
		for i := range 50 {
			if got := d.do("GET", paths[i%len(paths)], ""); got.code == 429 {
				t.Fatalf("request %d was refused", i+1)
			}
		}
		for _, path := range paths {
			if got := d.refused(429, "", "", "GET", path, ""); got.header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", path)
			}
		}
		_, _, err := Create(nil, NewDirectory{Mode: "strict", Quirks: store.JSON(`{"requestsPerSecond":24}`)})
		if err == nil {
			t.Error("a rate below the floor was taken")
		}
	})
}
