package scim

import (
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func searchBody(fields ...string) string {
	return `{"schemas":["` + searchURN + `"]` + strings.Join(append([]string{""}, fields...), ",") + `}`
}

// A search answers as the GET with the same parameters does.
func TestSearchIsAGetWithABody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		var ids []string
		for i := range 5 {
			ids = append(ids, d.user("u"+itoa(i), `"displayName":"U `+itoa(i)+`"`))
		}
		d.group("Staff", ids...)
		d.group("Empty")
		for _, c := range []struct{ path, query, body string }{
			{"/Users", "", searchBody()},
			{"/Users", "?startIndex=2&count=2", searchBody(`"startIndex":2`, `"count":2`)},
			{"/Users", "?count=0", searchBody(`"count":0`)},
			{"/Users", "?filter=" + esc(`userName eq "U3"`), searchBody(`"Filter":"userName eq \"U3\""`)},
			{"/Users", "?attributes=userName,displayName", searchBody(`"attributes":["userName","displayName"]`, `"filter":null`)},
			{"/Groups", "?excludedAttributes=members", searchBody(`"excludedAttributes":["members"]`)},
			{"/Groups", "?filter=" + esc(`displayName sw "st"`), searchBody(`"filter":"displayName sw \"st\""`)},
			{"", "?startIndex=5&count=2&attributes=userName,displayName", searchBody(`"startIndex":5`, `"count":2`, `"attributes":["userName","displayName"]`)},
		} {
			want := d.must(200, "GET", c.path+c.query, "")
			if got := d.must(200, "POST", c.path+"/.search", c.body); got.raw != want.raw || len(got.raw) < 50 {
				t.Errorf("%s %s\n got %s\nwant %s", c.path, c.body, got.raw, want.raw)
			}
		}
	})
}

func TestRefusedSearches(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	d.user("jane")
	for _, path := range []string{"/.search", "/Users/.search", "/Groups/.search"} {
		for body, scimType := range map[string]string{
			`{}`:                                       "invalidSyntax",
			`{"schemas":["` + patchURN + `"]}`:         "invalidSyntax",
			`[]`:                                       "invalidSyntax",
			searchBody(`"filters":"id pr"`):            "invalidSyntax",
			searchBody(`"count":1`, `"COUNT":2`):       "invalidSyntax",
			searchBody(`"filter":["id pr"]`):           "invalidValue",
			searchBody(`"filter":7`):                   "invalidValue",
			searchBody(`"count":true`):                 "invalidValue",
			searchBody(`"count":1.5`):                  "invalidValue",
			searchBody(`"attributes":[1]`):             "invalidSyntax",
			searchBody(`"filter":"shoeSize eq 1"`):     "invalidFilter",
			searchBody(`"filter":"(((("`):              "invalidFilter",
			searchBody(`"filter":"password eq \"x\""`): "invalidFilter",
			searchBody(`"attributes":["a"]`, `"excludedAttributes":["b"]`): "invalidValue",
		} {
			if path == "/Groups/.search" || !strings.Contains(body, "password") {
				d.refused(400, scimType, "", "POST", path, body)
			}
		}
		d.refused(400, "invalidSyntax", "URL", "POST", path+"?Filter="+esc(`id eq "x"`), searchBody())
		d.must(200, "POST", path+"?aadOptscim062020", searchBody())
		d.refused(413, "", "", "POST", path, searchBody(`"filter":"`+strings.Repeat("x", maxSearchBody)+`"`))
		d.refused(415, "", "", "POST", path, searchBody(), "Content-Type: text/plain")
		if got := d.refused(405, "", "", "GET", path, ""); got.header.Get("Allow") != "POST" {
			t.Errorf("GET %s: Allow is %q", path, got.header.Get("Allow"))
		}
	}
	d.refused(404, "", "", "POST", "/Schemas/x/.search", searchBody())
	d.refused(405, "", "", "POST", "/", userBody("joe"))
}

// The root has users and groups. An attribute that one of them does not have is
// missing there, and one that neither has is an error (RFC 7644 §3.4.2.1).
func TestRootQueries(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		jane := d.user("jane", `"displayName":"Same"`)
		d.user("joe", `"title":"Boss"`)
		staff := d.group("Staff", jane)
		d.group("Same")
		foreign := d.another(NewDirectory{Name: "Other"})
		foreign.user("stranger")
		for filter, want := range map[string]string{
			"":                                     "jane joe Staff Same",
			`id eq "` + jane + `"`:                 "jane",
			`id eq "` + staff + `"`:                "Staff",
			`displayName eq "same"`:                "jane Same",
			`userName eq "JOE"`:                    "joe",
			`userName pr`:                          "jane joe",
			`not (userName pr)`:                    "Staff Same",
			`userName eq null`:                     "Staff Same",
			`userName ne null`:                     "jane joe",
			`title ne "boss"`:                      "jane Staff Same",
			`members pr`:                           "Staff",
			`members[value eq "` + jane + `"]`:     "Staff",
			`title eq "boss" or members pr`:        "joe Staff",
			`title eq "boss" and members pr`:       "",
			`emails[type eq "work"] or members pr`: "Staff",
			`meta.resourceType eq "Group"`:         "Staff Same",
			`meta.resourceType eq "User" and not (title pr)`:   "jane",
			userURN + `:userName sw "j"`:                       "jane joe",
			`schemas eq "` + groupURN + `"`:                    "Staff Same",
			enterpriseURN + `:department pr or members eq "x"`: "",
		} {
			got := d.get("", "filter", filter)
			if names := d.rootNames(got); names != want || got.json["totalResults"] != float64(len(strings.Fields(want))) {
				t.Errorf("%s: %q of %v, want %q", filter, names, got.json["totalResults"], want)
			}
		}
		for filter, scimType := range map[string]string{
			`shoeSize eq 1`: "invalidFilter", `members.shoe pr`: "invalidFilter", `password pr`: "invalidFilter", `userName gt null`: "invalidFilter", `active gt true or members pr`: "invalidFilter",
		} {
			d.refused(400, scimType, "", "GET", "?filter="+esc(filter), "")
			d.refused(400, scimType, "", "POST", "/.search", searchBody(`"filter":"`+filter+`"`))
		}
		all := strings.Fields("jane joe Staff Same")
		for start := 1; start <= 6; start++ {
			for count := 0; count <= 5; count++ {
				first := min(start-1, 4)
				want := all[first:min(first+count, 4)]
				got := d.get("/", "startIndex", itoa(start), "count", itoa(count))
				if names := strings.Fields(d.rootNames(got)); !slices.Equal(names, want) || got.json["totalResults"] != 4.0 {
					t.Errorf("from %d, %d: %v of %v, want %v of 4", start, count, names, got.json["totalResults"], want)
				}
			}
		}
		got := d.get("/", "attributes", "userName,members")
		for _, e := range got.json["Resources"].([]any) {
			m := e.(map[string]any)
			if m["meta"] != nil || m["displayName"] != nil || m["userName"] == nil && m["members"] == nil {
				t.Errorf("asked for userName and members: %v", m)
			}
		}
	})
}

// rootNames are the names of a list of users and groups.
func (d *door) rootNames(r reply) string {
	d.t.Helper()
	d.names(r)
	var out []string
	for _, e := range r.json["Resources"].([]any) {
		m := e.(map[string]any)
		name := m["displayName"]
		if m["userName"] != nil {
			name = m["userName"]
		}
		out = append(out, name.(string))
	}
	return strings.Join(out, " ")
}
