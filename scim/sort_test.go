package scim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// sortValue is what RFC 7644 §3.4.2.3 says a resource is sorted by: of lists the
// primary element, else the first; false when there is nothing.
func sortValue(doc map[string]any, path string, exact bool) (string, bool) {
	var v any = doc
	if rest, ok := strings.CutPrefix(path, enterpriseURN+":"); ok {
		v, path = doc[enterpriseURN], rest
	}
	for name := range strings.SplitSeq(path, ".") {
		if list, ok := v.([]any); ok {
			i := slices.IndexFunc(list, func(e any) bool { return e.(map[string]any)["primary"] == true })
			v = list[max(i, 0)]
		}
		m, _ := v.(map[string]any)
		v = m[name]
	}
	if b, ok := v.(bool); ok {
		return fmt.Sprint(b), true
	}
	s, _ := v.(string)
	if !exact {
		s = strings.ToLower(s)
	}
	return s, s != ""
}

// sorted are the ids of resources in the order that they must come in.
func sorted(resources []any, path string, exact, descending bool) []string {
	list := slices.Clone(resources)
	slices.SortFunc(list, func(a, b any) int {
		x, y := a.(map[string]any), b.(map[string]any)
		s, hasS := sortValue(x, path, exact)
		t, hasT := sortValue(y, path, exact)
		order := strings.Compare(s, t)
		if hasS != hasT {
			order = cmp.Compare(b2i(hasT), b2i(hasS)) // the missing one is the greater one
		}
		order = cmp.Or(order, strings.Compare(x["id"].(string), y["id"].(string)))
		if descending {
			return -order
		}
		return order
	})
	return idsOf(list)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func idsOf(list []any) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.(map[string]any)["id"].(string)
	}
	return out
}

// randomPeople creates users of whom many share values and many have none.
func (d *door) randomPeople(n int, rng *rand.Rand) {
	d.t.Helper()
	some := func(name string, values ...string) string {
		v := values[rng.IntN(len(values))]
		if v == "" {
			return `"` + name + `":null`
		}
		return `"` + name + `":` + v
	}
	for i := range n {
		d.user([]string{"Anna", "bert", "CARL", "dora"}[i%4]+itoa(i*7919%n),
			some("externalId", "", `"E`+itoa(i)+`"`, `"e`+itoa(i)+`"`),
			some("displayName", "", `"Zoe"`, `"adam"`, `"Bob"`),
			some("title", "", `"boss"`, `"Boss"`, `"Chef"`),
			some("active", "true", "false"),
			some("name", "", `{"familyName":"Kent"}`, `{"familyName":"kent","givenName":"C"}`, `{"givenName":"Only"}`),
			some("emails", "", `[{"value":"b@x.example","type":"work"},{"value":"a@x.example","type":"home","primary":true}]`,
				`[{"value":"c@x.example","type":"work"},{"value":"a@x.example"}]`, `[{"value":"A@x.example","primary":true},{"value":"z@x.example","type":"other"}]`),
			some(enterpriseURN, "", `{"department":"Labs"}`, `{"department":"arts","manager":{"value":"M1"}}`, `{"manager":{"value":"m1"}}`))
	}
}

func TestSorting(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		rng := rand.New(rand.NewPCG(7, 11))
		d.randomPeople(60, rng)
		users := d.must(200, "GET", "/Users", "").json["Resources"].([]any)
		bosses := slices.DeleteFunc(slices.Clone(users), func(e any) bool { v, _ := sortValue(e.(map[string]any), "title", false); return v != "boss" })
		ids := idsOf(users)
		early := d.group("early", ids[0])
		clock.Pass(time.Second)
		for i, name := range []string{"b", "A", "c", "a2", "B2"} {
			d.must(201, "POST", "/Groups", groupBody(name, `"externalId":`+[]string{"null", `"x"`, `"X"`, "null", `"a"`}[i]))
		}
		clock.Pass(time.Second)
		d.must(204, "PATCH", "/Groups/"+early, patchBody(`{"op":"add","path":"members","value":[{"value":"`+ids[1]+`"}]}`))
		groups := d.must(200, "GET", "/Groups", "").json["Resources"].([]any)
		for _, c := range []struct {
			path, by string
			exact    bool
		}{
			{"/Users", "userName", false}, {"/Users", "externalId", true}, {"/Users", "id", true}, {"/Users", "meta.created", true}, {"/Users", "meta.lastModified", true},
			{"/Users", "displayName", false}, {"/Users", "name.familyName", false}, {"/Users", "title", false}, {"/Users", "active", true},
			{"/Users", "emails.value", false}, {"/Users", "emails.type", false}, {"/Users", enterpriseURN + ":department", false},
			{"/Users", enterpriseURN + ":manager.value", true}, {"/Users", "meta.location", true}, {"/Users", "phoneNumbers.value", false},
			{"/Groups", "displayName", false}, {"/Groups", "externalId", true}, {"/Groups", "meta.created", true}, {"/Groups", "meta.lastModified", true},
		} {
			for _, order := range []string{"ascending", "Descending"} {
				all, filter := users, ""
				if c.path == "/Groups" {
					all = groups
				} else if rng.IntN(2) == 0 {
					all, filter = bosses, `title eq "boss"`
				}
				want := sorted(all, c.by, c.exact, order != "ascending")
				for _, size := range []int{100, 7, 1 + rng.IntN(20)} {
					got := []string{}
					for start := 1; start <= len(want); start += size {
						page := d.must(200, "GET", fmt.Sprintf("%s?sortBy=%s&sortOrder=%s&startIndex=%d&count=%d&filter=%s", c.path, c.by, order, start, size, esc(filter)), "")
						if page.json["totalResults"] != float64(len(want)) {
							t.Errorf("%s %s: total %v, want %d", c.by, order, page.json["totalResults"], len(want))
						}
						got = append(got, idsOf(page.json["Resources"].([]any))...)
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s sorted by %s %s in pages of %d\n got %v\nwant %v", c.path, c.by, order, size, got, want)
					}
				}
			}
		}
		for by, same := range map[string]string{"EMAILS": "emails.value", enterpriseURN + ":manager": enterpriseURN + ":manager.value", userURN + ":userName": "username"} {
			if got, want := d.get("/Users", "sortBy", by), d.get("/Users", "sortBy", same); got.raw != want.raw {
				t.Errorf("%s is not %s", by, same)
			}
		}
		viaPost := d.must(200, "POST", "/Users/.search", searchBody(`"sortBy":"title"`, `"sortOrder":"descending"`))
		if want := d.get("/Users", "sortBy", "title", "sortOrder", "descending"); viaPost.raw != want.raw {
			t.Errorf("a sorted search\n got %s\nwant %s", viaPost.raw, want.raw)
		}
	})
}

func TestRefusedSorting(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	for _, by := range []string{"shoeSize", "name", "password", "groups", "groups.display", "meta", "meta.version", "schemas", "emails.primary", `emails[type eq "work"]`,
		"userName,title", "user name", "x509Certificates", strings.Repeat("a", 9000)} {
		d.refused(400, "invalidValue", "", "GET", "/Users?sortBy="+esc(by), "")
	}
	for _, by := range []string{"members", "members.value", "userName"} {
		d.refused(400, "invalidValue", "", "GET", "/Groups?sortBy="+by, "")
	}
	d.refused(400, "invalidValue", "sortOrder", "GET", "/Users?sortBy=userName&sortOrder=up", "")
	d.refused(400, "invalidValue", "sorted together", "GET", "?sortBy=id", "")
	d.must(200, "GET", "/Users?sortOrder=descending", "")
}

// Thousands of users come in chunks, each read behind the last.
func TestLongSortedLists(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		for i := range 450 {
			more := `"externalId":"` + fmt.Sprint(i*7919%450) + `"`
			if i%3 == 0 {
				more = `"title":"x"`
			}
			d.user("u"+itoa(i), more)
		}
		users := d.get("/Users", "count", "1000").json["Resources"].([]any)
		for _, by := range []string{"externalId", "userName", "title"} {
			for _, order := range []string{"ascending", "descending"} {
				want := sorted(users, by, by == "externalId", order == "descending")
				for _, start := range []int{1, 2, 130, 160, 320, 449, 451} {
					got := d.get("/Users", "count", "1000", "sortBy", by, "sortOrder", order, "startIndex", itoa(start))
					if ids := idsOf(got.json["Resources"].([]any)); !slices.Equal(ids, want[min(start-1, 450):]) || got.json["totalResults"] != 450.0 {
						t.Errorf("%s %s from %d: %d of %v are wrong", by, order, start, len(ids), got.json["totalResults"])
					}
				}
			}
		}
	})
}

// Each group has its own members, in whatever order groups are listed.
func TestSortedGroupsHaveTheirMembers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		want := map[string]string{}
		for i, name := range []string{"c", "a", "d", "b", "e"} {
			var ids []string
			for j := range i % 3 {
				ids = append(ids, d.user(name+itoa(j)))
			}
			d.group(name, ids...)
			want[name] = strings.Join(ids, " ")
		}
		for _, query := range []string{"sortBy=displayName", "sortBy=displayName&sortOrder=descending", "sortBy=id&sortOrder=descending", "sortBy=displayName&count=2&startIndex=2"} {
			list := d.must(200, "GET", "/Groups?"+query, "").json["Resources"].([]any)
			for _, e := range list {
				g := e.(map[string]any)
				var ids []string
				for _, m := range g["members"].([]any) {
					ids = append(ids, m.(map[string]any)["value"].(string))
				}
				if name := g["displayName"].(string); strings.Join(ids, " ") != want[name] {
					t.Errorf("%s: %s has the members %v, want %v", query, name, ids, want[name])
				}
			}
		}
	})
}
