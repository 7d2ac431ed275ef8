package scim

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// atOnce runs n requests together and gives their replies.
func atOnce(n int, f func(i int) reply) []reply {
	replies := make([]reply, n)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			replies[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return replies
}

// Parallel member changes of one group all happen, and nothing else does.
func TestParallelMemberPatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		const n = 24
		var stay, leave, come []string
		for i := range n {
			stay = append(stay, d.user(fmt.Sprintf("stay%d", i)))
			leave = append(leave, d.user(fmt.Sprintf("go%d", i)))
			come = append(come, d.user(fmt.Sprintf("come%d", i)))
		}
		group := d.group("All", append(append([]string{}, stay...), leave...)...)
		replies := atOnce(2*n+4, func(i int) reply {
			switch {
			case i < n: // also adds one that is there already
				return d.do("PATCH", "/Groups/"+group, patchBody(`{"op":"add","path":"members","value":`+memberJSON(come[i], stay[i])+`}`))
			case i < 2*n:
				return d.do("PATCH", "/Groups/"+group, patchBody(`{"op":"remove","path":"members[value eq \"`+leave[i-n]+`\"]"}`))
			default:
				return d.do("PATCH", "/Groups/"+group, patchBody(fmt.Sprintf(`{"op":"replace","path":"externalId","value":"e%d"}`, i)))
			}
		})
		for i, r := range replies {
			if r.code != http.StatusNoContent {
				t.Errorf("request %d: %d %s", i, r.code, r.raw)
			}
		}
		got := d.memberIDs(group)
		for _, id := range append(append([]string{}, stay...), come...) {
			if !got[id] {
				t.Errorf("%s is missing", id)
			}
			delete(got, id)
		}
		if len(got) > 0 {
			t.Errorf("too many: %v", got)
		}
	})
}

// Parallel changes of different attributes of one user are all kept.
func TestParallelUserPatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		id := d.user("jane")
		attrs := []string{"title", "nickName", "displayName", "locale", "timezone", "userType", "preferredLanguage", "externalId",
			"name.givenName", "name.familyName", "name.middleName", ext + ":department", ext + ":costCenter", ext + ":division",
			`emails[type eq \"a\"].value`, `emails[type eq \"b\"].value`, `phoneNumbers[type eq \"c\"].value`}
		replies := atOnce(len(attrs), func(i int) reply {
			return d.do("PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+attrs[i]+`","value":"v`+itoa(i)+`"}`))
		})
		for i, r := range replies {
			if r.code != http.StatusOK {
				t.Errorf("%s: %d %s", attrs[i], r.code, r.raw)
			}
		}
		// Each attribute is compared by asking for a change to what must be there: it is none.
		before := d.must(200, "GET", "/Users/"+id, "")
		for i := range attrs {
			d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"`+attrs[i]+`","value":"v`+itoa(i)+`"}`))
		}
		if after := d.must(200, "GET", "/Users/"+id, ""); text(after.json) != text(before.json) {
			t.Errorf("a change was lost\n got %s\nwant %s", before.raw, after.raw)
		}
		if tag := before.header.Get("ETag"); tag != etag(itoa(len(attrs)+1)) {
			t.Errorf("%d changes end at version %s", len(attrs), tag)
		}
	})
}

// Of many who create the same user or group at once, one does.
func TestParallelCreates(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		for path, body := range map[string]string{"/Users": userBody("jane"), "/Groups": groupBody("Sales")} {
			made := 0
			for _, r := range atOnce(12, func(int) reply { return d.do("POST", path, body) }) {
				switch {
				case r.code == http.StatusCreated:
					made++
				case r.code != http.StatusConflict || r.str("scimType") != "uniqueness":
					t.Errorf("POST %s: %d %s", path, r.code, r.raw)
				}
			}
			if made != 1 {
				t.Errorf("POST %s: %d were created, want 1", path, made)
			}
		}
	})
}

// Of many who ask for one version, one gets it.
func TestParallelIfMatch(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		user, member := d.user("jane"), d.user("joe")
		group := d.group("Sales")
		tag := d.must(200, "GET", "/Groups/"+group, "").header.Get("ETag")
		for _, c := range []struct{ path, tag, body string }{
			{"/Users/" + user, `W/"1"`, `{"op":"replace","path":"title","value":"v%d"}`},
			{"/Groups/" + group, tag, `{"op":"replace","path":"displayName","value":"v%d"},{"op":"add","path":"members","value":` + memberJSON(member) + `}`},
		} {
			done := 0
			for _, r := range atOnce(8, func(i int) reply {
				return d.do("PATCH", c.path, patchBody(fmt.Sprintf(c.body, i)), "If-Match: "+c.tag)
			}) {
				switch {
				case r.code == http.StatusOK || r.code == http.StatusNoContent:
					done++
				case r.code != http.StatusPreconditionFailed:
					t.Errorf("PATCH %s: %d %s", c.path, r.code, r.raw)
				}
			}
			if done != 1 {
				t.Errorf("PATCH %s: %d got version %s, want 1", c.path, done, c.tag)
			}
		}
	})
}

// Who deletes one version does not delete what another request has just made of it.
func TestParallelDeletionOfAVersion(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		const n = 60
		ids := make([]string, n)
		for i := range ids {
			ids[i] = d.user("u" + itoa(i))
		}
		replies := atOnce(2*n, func(i int) reply {
			if i%2 == 0 {
				return d.do("DELETE", "/Users/"+ids[i/2], "", `If-Match: W/"1"`)
			}
			return d.do("PATCH", "/Users/"+ids[i/2], patchBody(`{"op":"add","path":"title","value":"x"}`))
		})
		for i := range ids {
			ended, changed := replies[2*i].code, replies[2*i+1].code
			if !(ended == 204 && changed == 404 || ended == 412 && changed == 200) {
				t.Errorf("user %d: DELETE of version 1 got %d, PATCH %d", i, ended, changed)
			}
		}
	})
}
