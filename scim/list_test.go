package scim

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// get sends a GET with query parameters as name, value, name, value ...
func (d *door) get(path string, params ...string) reply {
	d.t.Helper()
	q := url.Values{}
	for i := 0; i < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	return d.do("GET", path+"?"+q.Encode(), "")
}

// names are the userNames or displayNames of a list.
func (d *door) names(r reply) []string {
	d.t.Helper()
	list, ok := r.json["Resources"].([]any)
	if r.code != 200 || !ok || r.json["itemsPerPage"] != float64(len(list)) {
		d.t.Fatalf("not a list: %d %s", r.code, r.raw)
	}
	out := []string{}
	for _, e := range list {
		m := e.(map[string]any)
		name, ok := m["userName"].(string)
		if !ok {
			name, _ = m["displayName"].(string)
		}
		out = append(out, name)
	}
	return out
}

func TestPaging(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		var all []string
		for i := range 7 {
			all = append(all, "u"+strconv.Itoa(i))
			d.user(all[i])
		}
		for _, c := range []struct {
			name   string
			params []string
			start  float64
			want   []string
		}{
			{"nothing said", nil, 1, all},
			{"first two, as Okta", []string{"startIndex", "1", "count", "2"}, 1, all[:2]},
			{"next", []string{"startIndex", "3", "count", "3"}, 3, all[2:5]},
			{"lower case, as Entra ID", []string{"startindex", "3", "COUNT", "3"}, 3, all[2:5]},
			{"last", []string{"startIndex", "7", "count", "3"}, 7, all[6:]},
			{"behind the last", []string{"startIndex", "8", "count", "3"}, 8, nil},
			{"far behind", []string{"startIndex", "99999999999999999999"}, 2147483647, nil},
			{"zero", []string{"startIndex", "0"}, 1, all},
			{"negative", []string{"startIndex", "-5", "count", "1"}, 1, all[:1]},
			{"count zero", []string{"count", "0"}, 1, nil},
			{"count negative", []string{"count", "-1"}, 1, nil},
			{"count too large", []string{"count", "100000"}, 1, all},
			{"empty", []string{"count", "", "filter", " "}, 1, all},
		} {
			got := d.get("/Users", c.params...)
			if names := d.names(got); !slices.Equal(names, c.want) || got.json["totalResults"] != 7.0 || got.json["startIndex"] != c.start {
				t.Errorf("%s: %v of %v from %v; want %v of 7 from %v", c.name, names, got.json["totalResults"], got.json["startIndex"], c.want, c.start)
			}
		}
		for query, scimType := range map[string]string{
			"count=ten": "invalidValue", "startIndex=1.5": "invalidValue", "count=1&count=2": "invalidValue", "count=1&Count=2": "invalidValue",
			"filter=%zz": "invalidFilter", "filter=userName": "invalidFilter", "filter=shoeSize+eq+1": "invalidFilter",
			"attributes=a&excludedAttributes=b": "invalidValue",
		} {
			d.refused(400, scimType, "", "GET", "/Users?"+query, "")
		}
	})
}

func TestFilteredLists(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		jane := d.user("jane@example.com", `"externalId":"x1","active":false,"emails":[{"value":"jane@work.example","type":"work"},{"value":"jane@home.example","type":"home"}]`,
			`"`+enterpriseURN+`":{"department":"Labs"}`)
		joe := d.user("joe@example.com", `"title":"50%"`, `"`+enterpriseURN+`":{"manager":{"value":"`+jane+`"}}`)
		staff := d.group("Staff", jane, joe)
		d.group("Empty")
		for filter, want := range map[string]string{
			`userName eq "JANE@example.com"`:      "jane@example.com",
			`userName eq "nobody"`:                "",
			`externalId eq "x1"`:                  "jane@example.com",
			`externalId eq x1`:                    "jane@example.com", // compat
			`externalId eq "X1"`:                  "",
			`id eq "` + joe + `"`:                 "joe@example.com",
			`id eq "not an id"`:                   "",
			`active eq false`:                     "jane@example.com",
			`active eq "False"`:                   "jane@example.com",
			`emails eq "jane@home.example"`:       "jane@example.com",
			`emails.value eq "JANE@home.example"`: "jane@example.com",
			`emails[type eq "work" and value eq "jane@home.example"]`: "",
			`emails[type eq "work"].value eq "jane@work.example"`:     "jane@example.com",
			`title co "%"`:                                 "joe@example.com",
			`title co "_"`:                                 "",
			enterpriseURN + `:department eq "labs"`:        "jane@example.com",
			enterpriseURN + `:manager eq "` + jane + `"`:   "joe@example.com",
			`groups.value eq "` + staff + `"`:              "jane@example.com joe@example.com",
			`groups.display eq "staff" and not (title pr)`: "jane@example.com",
			`meta.lastModified gt "2020-01-01T00:00:00Z"`:  "jane@example.com joe@example.com",
			`meta.location eq "` + BaseURL(testURL, d.directory.ID) + `/Users/` + joe + `"`: "joe@example.com",
			`schemas eq "` + enterpriseURN + `" and schemas eq "` + userURN + `"`:           "jane@example.com joe@example.com",
			`userName eq "x' OR 1=1 --"`: "",
		} {
			got := d.get("/Users", "filter", filter)
			if names := strings.Join(d.names(got), " "); names != want || got.json["totalResults"] != float64(len(strings.Fields(want))) {
				t.Errorf("%s: %q of %v, want %q", filter, names, got.json["totalResults"], want)
			}
		}
		for filter, want := range map[string]string{
			`displayName eq "STAFF"`:                               "Staff",
			`members eq "` + joe + `"`:                             "Staff",
			`members[value eq "` + joe + `"]`:                      "Staff",
			`id eq "` + staff + `" and members eq "` + joe + `"`:   "Staff",
			`id eq "` + staff + `" and members eq "` + staff + `"`: "",
			`not (members pr)`:                                     "Empty",
			`members.display eq "joe@example.com"`:                 "Staff",
		} {
			got := d.get("/Groups", "filter", filter, "excludedAttributes", "members")
			if names := strings.Join(d.names(got), " "); names != want {
				t.Errorf("%s: %q, want %q", filter, names, want)
			}
		}
	})
}

// Members come with a list of groups in order, or not at all.
func TestGroupListsHaveTheirMembers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		var ids []string
		for i := range 5 {
			ids = append(ids, d.user("u"+strconv.Itoa(i)))
		}
		want := map[string]int{"none": 0, "two": 2, "empty": 0, "all": 5, "one": 1, "last": 0}
		for _, name := range []string{"none", "two", "empty", "all", "one", "last"} {
			d.group(name, ids[:want[name]]...)
		}
		got := d.get("/Groups")
		if names := d.names(got); len(names) != 6 {
			t.Fatalf("groups %v", names)
		}
		for _, e := range got.json["Resources"].([]any) {
			g := e.(map[string]any)
			members := g["members"].([]any)
			if len(members) != want[g["displayName"].(string)] {
				t.Errorf("%v has %d members", g["displayName"], len(members))
			}
			alone := d.must(200, "GET", "/Groups/"+g["id"].(string), "")
			if n, _ := alone.json["members"].([]any); len(n) != len(members) || alone.header.Get("ETag") != g["meta"].(map[string]any)["version"] {
				t.Errorf("%v alone: %s", g["displayName"], alone.raw)
			}
		}
		for _, params := range [][]string{{"excludedAttributes", "members"}, {"attributes", "displayName"}} {
			if got := d.get("/Groups", params...); strings.Contains(got.raw, "members") || len(d.names(got)) != 6 {
				t.Errorf("%v: %s", params, got.raw)
			}
		}
		if got := d.get("/Groups", "attributes", "members.display,displayName", "filter", `displayName eq "one"`); !strings.Contains(got.raw, `"members":[{"display":"u0"}]`) {
			t.Errorf("asked for the names of members: %s", got.raw)
		}
	})
}

func TestProjection(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		id := d.user("jane", `"displayName":"Jane","name":{"givenName":"J","familyName":"D"},"emails":[{"value":"a@b.example","type":"work"}]`,
			`"`+enterpriseURN+`":{"department":"Labs","costCenter":"7"}`)
		d.group("Staff", id)
		for _, c := range []struct {
			param, list, want string // names that are shown, sub-attributes with a dot
		}{
			{"attributes", "userName", "id schemas userName"},
			{"attributes", "USERNAME, displayname", "displayName id schemas userName"},
			{"attributes", "name.givenName", "id name name.givenName schemas"},
			{"attributes", "name", "id name name.familyName name.givenName schemas"},
			{"attributes", `emails[type eq "work"]`, "emails emails.type emails.value id schemas"},
			{"attributes", `emails[type eq "a,b"].value,userName`, "emails emails.value id schemas userName"},
			{"attributes", enterpriseURN + ":department", "ext ext.department id schemas"},
			{"attributes", enterpriseURN, "ext ext.costCenter ext.department id schemas"},
			{"attributes", userURN + ":userName", "id schemas userName"},
			{"attributes", "groups.display", "groups groups.display id schemas"},
			{"attributes", "meta.version", "id meta meta.version schemas"},
			{"attributes", "nonsense", "id schemas"},
			{"attributes", "password,id", "id schemas"},
			{"excludedAttributes", "emails,name,groups,meta," + enterpriseURN, "active displayName id schemas userName"},
			{"excludedAttributes", "id,schemas,name.givenName,emails,groups,meta,active," + enterpriseURN + ":costCenter",
				"displayName ext ext.department id name name.familyName schemas userName"},
		} {
			for _, got := range []reply{d.get("/Users/"+id, c.param, c.list), d.get("/Users", c.param, c.list)} {
				one := got.json
				if list, ok := got.json["Resources"].([]any); ok {
					one = list[0].(map[string]any)
				}
				if shown := strings.Join(shownNames(one), " "); got.code != 200 || shown != c.want {
					t.Errorf("%s=%s: %d %s\nwant %s", c.param, c.list, got.code, shown, c.want)
				}
			}
		}
	})
}

// shownNames are the attributes of a resource and the sub-attributes of its first elements.
func shownNames(m map[string]any) []string {
	var out []string
	for name, v := range m {
		if strings.HasPrefix(name, "urn:") {
			name = "ext"
		}
		out = append(out, name)
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		if in, ok := v.(map[string]any); ok {
			for sub := range maps.Keys(in) {
				out = append(out, name+"."+sub)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Every page of a crawl together is everybody once, while others are added behind.
func TestCrawling(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		for i := range 25 {
			d.user("u" + strconv.Itoa(i))
		}
		seen := map[string]int{}
		for start := 1; ; start += 10 {
			page := d.names(d.get("/Users", "startIndex", strconv.Itoa(start), "count", "10"))
			for _, n := range page {
				seen[n]++
			}
			if len(page) < 10 {
				break
			}
			d.user("late" + strconv.Itoa(start))
		}
		for i := range 25 {
			if seen["u"+strconv.Itoa(i)] != 1 {
				t.Errorf("u%d was seen %d times", i, seen["u"+strconv.Itoa(i)])
			}
		}
	})
}

// The parameter of a filter is read as one whole, however it is encoded.
func TestFilterEncodings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.user("a+b@example.com")
		for _, query := range []string{
			`filter=userName+eq+"a%2Bb@example.com"`, `filter=userName%20eq%20%22a%2Bb%40example.com%22`, `FILTER=userName%20eq%20%22a%2Bb@example.com%22`,
		} {
			r := httptest.NewRequest("GET", BaseURL(testURL, d.directory.ID)+"/Users", nil)
			r.URL.RawQuery = query
			r.Header.Set("Authorization", "Bearer "+d.token)
			if names := d.names(d.serve(r)); len(names) != 1 {
				t.Errorf("%s: %v", query, names)
			}
		}
	})
}

// A search that takes too long is 400 tooMany, not a rate limit.
func TestTooLongSearch(t *testing.T) {
	t.Parallel()
	l := &list{stream: newStream(httptest.NewRecorder(), 200)}
	got := toScim(l.finish(time.Time{}, fault.TooMany.Say("The search looked at too many entries.")))
	if got.Status != 400 || got.ScimType != "tooMany" || got.Detail != "The search looked at too many entries." {
		t.Errorf("got %+v", got)
	}
}

// An answer that cannot be finished is not taken for a finished one: before
// anything is sent there is an error, afterwards the connection breaks.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	w := httptest.NewRecorder()
	s := newStream(w, 200)
	s.buf = append(s.buf, '{')
	if err := s.end(broken); err != broken || w.Body.Len() > 0 {
		t.Errorf("before anything was sent: %v, %d bytes sent", err, w.Body.Len())
	}
	s.buf = make([]byte, flushAt)
	if err := s.more(); err != nil || w.Body.Len() != flushAt {
		t.Errorf("more: %v, %d bytes sent", err, w.Body.Len())
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("after something was sent: %v, want the connection to break", p)
		}
	}()
	s.end(broken)
}

// A buffer that was given back twice would be two answers' at the same time.
func TestABufferIsOneAnswers(t *testing.T) {
	for range 20 { // the race detector has the pool drop some
		s := newStream(httptest.NewRecorder(), 200)
		for range 2 {
			s.end(errors.New("broken"))
		}
		one, other := newStream(httptest.NewRecorder(), 200), newStream(httptest.NewRecorder(), 200)
		if one.box == other.box {
			t.Fatal("two answers have one buffer")
		}
	}
}

// The longest and deepest filters that are read can also be searched by.
func TestFiltersAtTheBoundsAreFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.user("jane", `"title":"x"`)
		for name, filter := range map[string]string{
			"or":       `title pr` + strings.Repeat(` or title pr`, maxFilterTerms-1),
			"and":      `title pr` + strings.Repeat(` and title pr`, maxFilterTerms-1),
			"equal":    `title eq "x"` + strings.Repeat(` or userName eq "y"`, maxFilterTerms-1),
			"elements": `title pr` + strings.Repeat(` or emails[type eq "work"].value pr`, 100),
			"mail":     `title pr` + strings.Repeat(` or emails eq "a@b.example"`, 250),
			"not":      strings.Repeat(`not (`, maxFilterDepth) + `title pr` + strings.Repeat(`)`, maxFilterDepth),
			"mixed":    strings.Repeat(`title pr and not (name.givenName pr or `, maxFilterDepth-1) + `active eq false` + strings.Repeat(`)`, maxFilterDepth-1),
			"presence": `title pr` + strings.Repeat(` or addresses pr`, 200),
			"letters":  `title pr or title co "` + strings.Repeat("éÉßäöüñ", 12) + `АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩ"`,
		} {
			got := d.get("/Users", "filter", filter)
			if names := d.names(got); len(names) != 1 {
				t.Errorf("%s: %v", name, names)
			}
		}
	})
}

// A filter or an order without an index is refused at once where it would look at
// too many, by name; what an index finds is found, in a directory of any size.
func TestSearchesWithoutIndexAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		m := web.NewMux(web.Options{PublicURL: testURL, Log: slog.New(slog.DiscardHandler)})
		Mount(m, db, Options{PublicURL: testURL, ScanRows: 20})
		d.mux = m
		for i := range 20 {
			d.user("u"+itoa(i), `"title":"boss"`, `"emails":[{"value":"u`+itoa(i)+`@x.example","type":"work"}]`)
		}
		scans := map[string]string{
			`filter=title eq "boss"`: "title", `sortBy=title`: "sortBy", `filter=not (userName eq "u1")`: "userName", `filter=userName co "1"`: "userName",
			`filter=userName eq "u1" or title pr`: "title", `filter=userName sw "u" or nickName pr`: "nickName", `filter=active eq true&count=1`: "active",
			`filter=addresses[country eq "DE"]&cursor=`: "addresses", `filter=emails[type eq "work"]`: "emails",
		}
		for query := range scans {
			d.must(200, "GET", "/Users?"+strings.ReplaceAll(query, " ", "+"), "") // as many as may be
		}
		d.user("one more")
		for query, name := range scans {
			got := d.refused(400, "tooMany", "No index finds what was asked of "+name+". The directory has 21 users", "GET", "/Users?"+strings.ReplaceAll(query, " ", "+"), "")
			if strings.Contains(got.raw, "u1") {
				t.Errorf("%s: %s", query, got.raw)
			}
		}
		d.refused(400, "tooMany", "title", "POST", "/Users/.search", `{"schemas":["`+searchURN+`"],"filter":"title pr"}`)
		d.refused(400, "tooMany", "displayName", "POST", "/.search", `{"schemas":["`+searchURN+`"],"filter":"displayName co \"x\""}`)
		for query, total := range map[string]float64{
			`filter=userName eq "U1"`: 1, `filter=title eq "boss" and userName eq "u1"`: 1, `filter=emails[type eq "work" and value eq "u2@x.example"]`: 1,
			`filter=userName sw "u1"&sortBy=title`: 11, `sortBy=userName`: 21, ``: 21, `filter=id eq "x"`: 0, `count=0`: 21,
		} {
			if got := d.must(200, "GET", "/Users?"+strings.ReplaceAll(query, " ", "+"), ""); got.json["totalResults"] != total {
				t.Errorf("%s: %v, want %v", query, got.json["totalResults"], total)
			}
		}
		if got := d.get("/Groups", "filter", "displayName pr"); got.code != 200 {
			t.Errorf("there are few groups: %d %s", got.code, got.raw)
		}
	})
}

// Pages by index show whom the first one counted, in one order and once each, while
// others are added.
func TestIndexPagesWhileOthersAreAdded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		var want []string
		for i := range 60 {
			want = append(want, d.user("u"+itoa(i)))
		}
		var adding sync.WaitGroup
		done := make(chan struct{})
		for w := range 3 {
			adding.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						return
					default:
						d.do("POST", "/Users", userBody(fmt.Sprintf("new%d-%d", w, i)))
					}
				}
			})
		}
		for _, size := range []int{7, 10, 25} {
			var got []string
			total := 0.0
			for start := 1; start <= len(want); start += size {
				page := d.must(200, "GET", fmt.Sprintf("/Users?startIndex=%d&count=%d", start, size), "")
				if n := page.json["totalResults"].(float64); n < total || n < float64(len(want)) {
					t.Errorf("totalResults went from %v to %v", total, n)
				} else {
					total = n
				}
				got = append(got, idsOf(page.json["Resources"].([]any))...)
			}
			if !slices.Equal(got[:len(want)], want) {
				t.Errorf("pages of %d\n got %v\nwant %v", size, got, want)
			}
		}
		close(done)
		adding.Wait()
	})
}
