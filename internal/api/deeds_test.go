package api_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestActivityThatApplicationsPost(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDesk(t, db)
		ann, bob := d.user("ann"), d.user("bob")
		const post = "/api/v1/app-activity"
		entry := func(ref, user, more string) string {
			return fmt.Sprintf(`{"ref": %q, "user": %q, "kind": "ticket.handled", "title": "Ticket %s <b>"%s}`, ref, user, ref, more)
		}
		send := func(status int, entries ...string) map[string]any {
			t.Helper()
			return d.ask(status, "POST", post, `{"entries": [`+strings.Join(entries, ",")+`]}`)
		}
		if got := send(200, entry("1", string(ann), ""), entry("2", "ann@acme.example", `, "count": 3, "url": "https://desk.example/2"`), entry("3", string(bob), "")); got["added"] != 3.0 || got["known"] != 0.0 {
			t.Errorf("%v", got)
		}
		// The same again, with one that is new; also at the same moment.
		if got := send(200, entry("1", string(ann), ""), entry("4", string(ann), "")); got["added"] != 1.0 || got["known"] != 1.0 {
			t.Errorf("%v", got)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { send(200, entry("5", string(ann), "")) })
		}
		wg.Wait()

		of := "/api/v1/users/" + string(ann) + "/app-activity"
		var refs []string
		for cursor := ""; ; {
			got := d.ask(200, "GET", of+"?limit=2&cursor="+cursor, "")
			for _, e := range got["entries"].([]any) {
				refs = append(refs, e.(map[string]any)["ref"].(string))
			}
			if cursor, _ = got["next"].(string); cursor == "" || len(refs) > 9 {
				break
			}
		}
		if strings.Join(refs, "") != "5421" {
			t.Errorf("ann's are %v", refs)
		}

		// All or nothing, and the entry is named.
		past := time.Now().Add(-records.DeedAge - time.Hour).UTC().Format(time.RFC3339)
		for name, bad := range map[string]string{
			"nobody": entry("9", "nobody", ""), "no ref": entry("", "ann@acme.example", ""), "odd kind": `{"ref":"9","user":"ann@acme.example","kind":"Ticket Handled","title":"x"}`, "no title": `{"ref":"9","user":"ann@acme.example","kind":"a"}`,
			"script": entry("9", "ann@acme.example", `, "url": "javascript:alert(1)"`), "long ago": entry("9", "ann@acme.example", `, "at": "`+past+`"`), "soon": entry("9", "ann@acme.example", `, "at": "2999-01-01T00:00:00Z"`),
			"no time": entry("9", "ann@acme.example", `, "at": "yesterday"`), "minus": entry("9", "ann@acme.example", `, "count": -1`), "bidi": `{"ref":"9","user":"ann@acme.example","kind":"a","title":"a\u202e"}`, "app": entry("9", "ann@acme.example", `, "app": "me"`),
		} {
			if got := send(400, entry("8", "ann@acme.example", ""), bad); !strings.Contains(fmt.Sprint(got["detail"]), "Entry 2") {
				t.Errorf("%s: %v", name, got)
			}
		}
		for field, bad := range map[string]string{"user": entry("9", "nobody", ""), "title": `{"ref":"9","user":"ann@acme.example","kind":"a","title":"` + strings.Repeat("x", 301) + `"}`,
			"at": entry("9", "ann@acme.example", `, "at": "0001-01-01T00:00:00Z"`)} {
			if got := send(400, bad); got["field"] != field {
				t.Errorf("on %v, want %s: %v", got["field"], field, got["detail"])
			}
		}
		send(400)
		d.ask(400, "POST", post, `{"entries": [`+strings.Repeat(entry("8", "ann@acme.example", "")+",", records.MaxTold)+entry("8", "ann@acme.example", "")+`]}`)
		if got := d.ask(200, "GET", of, ""); len(got["entries"].([]any)) != 4 {
			t.Errorf("a refused list left something: %v", got)
		}
		d.ask(400, "GET", of+"?cursor=x", "")

		// As many and as long as they may be.
		long := make([]string, records.MaxTold)
		for i := range long {
			long[i] = fmt.Sprintf(`{"ref": "%0200d", "user": %q, "kind": "%s", "title": "%s", "at": %q, "url": "https://desk.example/%s"}`, i, "bob@acme.example",
				strings.Repeat("k", 60), strings.Repeat("\\u00fc", 150), time.Now().UTC().Format(time.RFC3339), strings.Repeat("u", 1000-21))
		}
		if got := send(200, long...); got["added"] != float64(len(long)) {
			t.Errorf("%v", got)
		}
		d.ask(404, "GET", "/api/v1/users/"+strings.Repeat("0", 32)+"/app-activity", "")
	})
}

// Who tells the same at the same moment in another order waits for the other: there is
// nothing that PostgreSQL would have to break off, and that would begin anew.
func TestActivityInAnyOrder(t *testing.T) {
	storetest.EachSeen(t, func(t *testing.T, db *store.DB, seen *storetest.Seen) {
		d := openDesk(t, db)
		ann := d.user("ann")
		seen.Take()
		const posts, entries = 4, 400
		var wg sync.WaitGroup
		for i := range posts {
			list := make([]string, entries)
			for k := range list {
				list[k] = fmt.Sprintf(`{"ref": "%03d", "user": %q, "kind": "a", "title": "x"}`, k, ann)
			}
			if i%2 == 1 {
				slices.Reverse(list)
			}
			wg.Go(func() { d.ask(200, "POST", "/api/v1/app-activity", `{"entries": [`+strings.Join(list, ",")+`]}`) })
		}
		wg.Wait()
		told := 0
		for _, sql := range seen.Take() {
			if strings.HasPrefix(sql, "INSERT INTO deeds") {
				told++
			}
		}
		if told != posts*entries {
			t.Errorf("%d entries were written, want %d: some began anew", told, posts*entries)
		}
	})
}
