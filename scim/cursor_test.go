package scim

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// walk reads all pages by cursor and gives the ids; between is called after each.
func (d *door) walk(path, query string, count int, between func()) (ids []string, pages int) {
	d.t.Helper()
	for next := ""; ; pages++ {
		got := d.must(200, "GET", fmt.Sprintf("%s?%s&count=%d&cursor=%s", path, query, count, next), "")
		list := got.json["Resources"].([]any)
		if len(list) > count || got.json["itemsPerPage"] != float64(len(list)) || got.json["startIndex"] != nil {
			d.t.Fatalf("not a page of %d: %s", count, got.raw)
		}
		ids = append(ids, idsOf(list)...)
		if next = got.str("nextCursor"); next == "" {
			return ids, pages + 1
		}
		if strings.Trim(next, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" || len(list) != count {
			d.t.Fatalf("a cursor %q after %d of %d", next, len(list), count)
		}
		if between != nil {
			between()
		}
	}
}

// A walk by cursor meets what the list in one page shows, in its order, for every
// page size, order and filter, and the last page has no cursor.
func TestWalksByCursor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		d.randomPeople(40, rand.New(rand.NewPCG(3, 5)))
		for i := range 10 {
			d.group("g" + itoa(i))
		}
		for _, c := range []struct{ path, query string }{
			{"/Users", ""}, {"/Groups", ""}, {"", ""}, {"/Users", "filter=" + esc(`title pr`)}, {"", "filter=" + esc(`userName sw "a" or displayName co "g"`)},
			{"/Users", "filter=" + esc(`userName eq "nobody"`)}, {"/Users", "sortBy=userName"}, {"/Users", "sortBy=title"}, {"/Users", "sortBy=title&sortOrder=descending"},
			{"/Users", "sortBy=externalId"}, {"/Users", "sortBy=externalId&sortOrder=descending"}, {"/Users", "sortBy=emails&filter=" + esc(`active eq true`)},
			{"/Users", "sortBy=meta.lastModified&sortOrder=descending"}, {"/Users", "sortBy=active"}, {"/Users", "sortBy=id&sortOrder=descending"},
			{"/Groups", "sortBy=displayName&sortOrder=descending"}, {"/Groups", "sortBy=externalId"}, {"/Groups", "sortBy=meta.lastModified"},
		} {
			whole := d.must(200, "GET", c.path+"?count=1000&"+c.query, "")
			want := idsOf(whole.json["Resources"].([]any))
			for _, count := range []int{1, 3, len(want) - 1, len(want), len(want) + 1, 1000} {
				if count < 1 {
					continue
				}
				got, pages := d.walk(c.path, c.query, count, nil)
				if wantPages := max(1, (len(want)+count-1)/count); !slices.Equal(got, want) || pages != wantPages {
					t.Errorf("%s?%s in %d pages of %d, want %d\n got %v\nwant %v", c.path, c.query, pages, count, wantPages, got, want)
				}
			}
		}
	})
}

// totalResults is all there are, on every page without counting; with a filter it
// stands on the first page alone.
func TestTotalsOfWalks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		for i := range 5 {
			d.user("u"+itoa(i), `"title":"x"`)
		}
		d.group("g")
		for _, c := range []struct {
			path, query string
			first, then any
		}{
			{"/Users", "", 5.0, 5.0}, {"/Users", "sortBy=title", 5.0, 5.0}, {"", "", 6.0, 6.0},
			{"/Users", "filter=" + esc(`title eq "x"`), 5.0, nil}, {"", "filter=" + esc(`meta.resourceType eq "User"`), 5.0, nil},
		} {
			next := ""
			for page, want := range []any{c.first, c.then, c.then} {
				got := d.must(200, "GET", c.path+"?"+c.query+"&count=2&cursor="+next, "")
				if got.json["totalResults"] != want {
					t.Errorf("%s?%s page %d: %v of %v, want %v", c.path, c.query, page+1, idsOf(got.json["Resources"].([]any)), got.json["totalResults"], want)
				}
				next = got.str("nextCursor")
			}
		}
	})
}

// A cursor is good for its directory, query and page size, and for an hour; a
// changed or made-up one is none.
func TestRefusedCursors(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		for i := range 3 {
			d.user("u" + itoa(i))
			d.group("g" + itoa(i))
			other.user("o" + itoa(i))
		}
		at := "/Users?sortBy=userName&count=1&filter=" + esc(`userName sw "u"`) + "&cursor"
		next := d.must(200, "GET", at, "").str("nextCursor")
		for name, path := range map[string]string{
			"other endpoint": strings.Replace(at, "/Users", "/Groups", 1), "other filter": strings.Replace(at, "sw", "co", 1), "no filter": "/Users?sortBy=userName&count=1&cursor",
			"other order": at[:len(at)-len("cursor")] + "sortOrder=descending&cursor", "other count": strings.Replace(at, "count=1", "count=2", 1), "the root": "/?count=1&cursor",
			"not sorted": strings.Replace(at, "sortBy=userName&", "", 1),
		} {
			if got := d.do("GET", path+"="+next, ""); got.code != 400 || name != "other endpoint" && got.str("scimType") != "invalidCursor" {
				t.Errorf("%s: %d %s", name, got.code, got.raw)
			}
		}
		other.refused(400, "invalidCursor", "", "GET", at+"="+next, "")
		for i := range len(next) {
			b := []byte(next)
			if b[i] = 'A'; next[i] == 'A' {
				b[i] = 'B'
			}
			if got := d.do("GET", at+"="+string(b), ""); got.str("scimType") != "invalidCursor" {
				t.Errorf("changed at %d: %d %s", i, got.code, got.raw)
			}
		}
		plain := base64.RawURLEncoding.EncodeToString([]byte(`{"ID":"00000000000000000000000000000000","Until":99999999999}`))
		for _, made := range []string{"x", next[:len(next)-4], next + "AAAA", plain, "%00", strings.Repeat("A", maxCursor+1), esc(`' OR 1=1 --`)} {
			d.refused(400, "invalidCursor", "empty cursor", "GET", at+"="+made, "")
		}
		d.refused(400, "invalidValue", "exclude", "GET", at+"="+next+"&startIndex=1", "")
		for _, count := range []string{"0", "-1", "1001", "ten", "1.5", "99999999999999999999"} {
			d.refused(400, "invalidCount", count, "GET", "/Users?cursor&count="+count, "")
		}
		d.refused(400, "invalidCount", "", "POST", "/Users/.search", searchBody(`"cursor":""`, `"count":0`))
		d.refused(400, "invalidCursor", "", "POST", "/Users/.search", searchBody(`"cursor":"x"`))
		if strings.Contains(next, base64.RawURLEncoding.EncodeToString([]byte("u0"))) {
			t.Error("the cursor shows the place")
		}
		clock.Pass(cursorTimeout - time.Second)
		second := d.must(200, "GET", at+"="+next, "").str("nextCursor")
		clock.Pass(time.Second)
		d.refused(400, "expiredCursor", "3600", "GET", at+"="+next, "")
		if got := d.names(d.must(200, "GET", at+"="+second, "")); !slices.Equal(got, []string{"u2"}) {
			t.Errorf("the third page: %v", got)
		}
	})
}

// Searches have cursors too, and another process with the same server key goes on
// with them (RFC 9865 §3).
func TestCursorsInSearches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		key := secret.NewKey()
		var doors []*door
		for range 2 {
			x := *d
			m := web.NewMux(web.Options{PublicURL: testURL, Log: slog.New(slog.DiscardHandler)})
			Mount(m, db, Options{PublicURL: testURL, Key: key})
			x.mux = m
			doors = append(doors, &x)
		}
		for i := range 5 {
			d.user("u" + itoa(i))
		}
		var names []string
		next := ""
		for i := range 3 {
			page := doors[i%2].must(200, "POST", "/Users/.search", searchBody(`"count":2`, `"cursor":"`+next+`"`, `"sortBy":"userName"`, `"filter":"userName pr"`))
			names, next = append(names, d.names(page)...), page.str("nextCursor")
		}
		if strings.Join(names, " ") != "u0 u1 u2 u3 u4" || next != "" {
			t.Errorf("walked %v, then %q", names, next)
		}
		if got := d.must(200, "POST", "/Users/.search", searchBody(`"cursor":null`)); got.json["startIndex"] != 1.0 {
			t.Errorf("no cursor: %s", got.raw)
		}
	})
}

// Who is there from the first page to the last is met exactly once, while others
// come and go around every page's end.
func TestWalkWhileOthersWrite(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		actor := access.Actor{Kind: access.Directory, Org: d.admin.Org, ID: string(d.directory.ID), Name: "Test"}
		create := func(name string) (u store.User) {
			err := db.Command(context.Background(), actor, func(tx *store.Tx) (err error) {
				u, err = tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": name}, Source: store.FromSCIM})
				return err
			})
			if err != nil {
				t.Errorf("create %s: %v", name, err)
			}
			return u
		}
		const people, walks = 3000, 2
		stays := map[string]bool{}
		var goes []store.User
		var mu sync.Mutex // guards stays and goes
		var wg sync.WaitGroup
		for part := range 8 {
			wg.Go(func() {
				for i := part; i < people; i += 8 {
					u := create(fmt.Sprintf("p%05d", i*7919%people))
					mu.Lock()
					if i%10 == 0 {
						goes = append(goes, u)
					} else {
						stays[string(u.ID)] = true
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		var turns [walks]chan bool
		for i, query := range []string{"", "sortBy=userName&sortOrder=descending"} {
			turns[i] = make(chan bool)
			wg.Go(func() {
				defer close(turns[i])
				met := map[string]int{}
				ids, _ := d.walk("/Users", query, 100, func() { turns[i] <- true })
				for _, id := range ids {
					met[id]++
				}
				for id := range stays {
					if met[id] != 1 {
						t.Errorf("%q: %s, who was always there, was met %d times", query, id, met[id])
					}
				}
				for id, n := range met {
					if n > 1 {
						t.Errorf("%q: %s was met %d times", query, id, n)
					}
				}
				if len(ids) < len(stays) {
					t.Errorf("%q: %d met", query, len(ids))
				}
			})
		}
		// A writer beside each walk creates and deletes during every page.
		for i := range walks {
			wg.Go(func() {
				n := 0
				for range turns[i] {
					for range 5 {
						create(fmt.Sprintf("p%05d-%d", (n*137)%people, i))
						n++
					}
					mu.Lock()
					gone := goes[:min(4, len(goes))]
					goes = goes[len(gone):]
					mu.Unlock()
					for _, u := range gone {
						r := httptest.NewRequest("DELETE", BaseURL(testURL, d.directory.ID)+"/Users/"+string(u.ID), nil)
						r.Header.Set("Authorization", "Bearer "+d.token)
						if got := d.serve(r); got.code != 204 {
							t.Errorf("delete: %d %s", got.code, got.raw)
						}
					}
				}
			})
		}
		wg.Wait()
		if len(goes) == people/10 {
			t.Error("nobody was deleted")
		}
	})
}
