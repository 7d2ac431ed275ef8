package scim

import (
	"context"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		for _, c := range []struct{ name, header string }{
			{"none", ""}, {"basic", "Basic YTpi"}, {"empty", "Bearer "}, {"unknown", "Bearer nothing"}, {"the hash", "Bearer " + strings.Repeat("a", 64)},
		} {
			got := d.refused(401, "", "token", "GET", "/Users", "", "Authorization: "+c.header)
			if !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: WWW-Authenticate is %q", c.name, got.header.Get("WWW-Authenticate"))
			}
		}
		d.must(200, "GET", "/Users", "", "Authorization: bearer "+d.token)
		d.refused(404, "", "no directory", "GET", "/Users", "", "Authorization: Bearer "+other.token)

		var next string
		rotate := func(grace time.Duration) error {
			return db.Write(context.Background(), d.admin, func(tx *store.Tx) (err error) {
				next, _, err = Rotate(tx, d.directory.ID, grace)
				return err
			})
		}
		if err := rotate(-1); !fault.Is(err, fault.Invalid) {
			t.Errorf("negative grace: %v, want Invalid", err)
		}
		if err := rotate(time.Hour); err != nil {
			t.Fatal(err)
		}
		d.must(200, "GET", "/Users", "")
		d.must(200, "GET", "/Users", "", "Authorization: Bearer "+next)
		clock.Pass(time.Hour)
		d.refused(401, "", "replaced", "GET", "/Users", "")
		last := next
		if err := rotate(0); err != nil {
			t.Fatal(err)
		}
		d.refused(401, "", "", "GET", "/Users", "", "Authorization: Bearer "+last)
		d.token = next
		d.must(200, "GET", "/Users", "")

		err := db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
			list, err := Tokens(tx, d.directory.ID)
			if err == nil && (len(list) != 1 || list[0].LastUsedAt != store.TimeOf(clock.Now())) {
				t.Errorf("tokens: %+v, want one that was used now", list)
			}
			seen, err2 := tx.Directory(d.directory.ID)
			if err2 == nil && seen.LastSeenAt == 0 {
				t.Error("the directory was never seen")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestCreateDirectory(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		for _, c := range []struct {
			in    NewDirectory
			field string
		}{
			{NewDirectory{Name: ""}, "name"}, {NewDirectory{Name: "x", Vendor: "Ok_ta"}, "vendor"},
			{NewDirectory{Name: "x", Mode: "loose"}, "mode"}, {NewDirectory{Name: "x", Quirks: store.JSON(`{"a":1}`)}, "quirks"},
		} {
			err := db.Write(context.Background(), admin, func(tx *store.Tx) error {
				_, _, err := Create(tx, c.in)
				return err
			})
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field {
				t.Errorf("Create(%+v) = %v, want Invalid on %s", c.in, err, c.field)
			}
		}
	})
}

func TestRouting(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	id := d.user("jane")
	for _, path := range []string{"/Users/" + id, "/Users/" + id + "/", "/aadOptscim062020/Users/" + id, "/Users/" + id + "?aadOptscim062020"} {
		if got := d.must(200, "GET", path, ""); got.str("userName") != "jane" {
			t.Errorf("GET %s: %s", path, got.raw)
		}
	}
	for _, path := range []string{"/users", "/Users/a/b", "/Nothing", "/Users/" + strings.ToUpper(id), "/Users/00000000-0000-7000-8000-000000000000", "/Groups/" + id} {
		d.refused(404, "", "", "GET", path, "")
	}
	for _, c := range []struct{ method, path, allow string }{
		{"PUT", "/Users", "GET, POST"}, {"POST", "/Users/" + id, "DELETE, GET, PATCH, PUT"}, {"DELETE", "/Groups", "GET, POST"},
		{"POST", "/ServiceProviderConfig", "GET"}, {"PUT", "/Schemas", "GET"}, {"PATCH", "/ResourceTypes/User", "GET"}, {"OPTIONS", "/Users", "GET, POST"},
	} {
		got := d.refused(405, "", c.method, c.method, c.path, "")
		if got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: Allow is %q, want %q", c.method, c.path, got.header.Get("Allow"), c.allow)
		}
	}
	for _, c := range []struct{ method, path string }{{"GET", "/Me"}, {"PATCH", "/Me"}} {
		d.refused(501, "", "not supported", c.method, c.path, "{}")
	}
	if got := d.must(200, "HEAD", "/Users/"+id, ""); got.header.Get("ETag") != `W/"1"` {
		t.Errorf("HEAD: %v", got.header)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	d.refused(415, "", "text/plain", "POST", "/Users", userBody("a"), "Content-Type: text/plain")
	d.refused(415, "", "latin1", "POST", "/Users", userBody("a"), "Content-Type: application/json; charset=latin1")
	d.refused(400, "invalidSyntax", "empty", "POST", "/Users", "", "Content-Type: application/json")
	d.refused(400, "invalidSyntax", "broken", "POST", "/Users", `{"schemas":`+"`")
	d.refused(413, "", "4194304 bytes", "POST", "/Users", userBody("a", `"title":"`+strings.Repeat("x", maxUserBody)+`"`))
	d.refused(413, "", "4194304 bytes", "PATCH", "/Users/"+d.user("jane"), patchBody(`{"op":"add","path":"title","value":"`+strings.Repeat("x", maxUserBody)+`"}`))
	for i, kind := range []string{"application/scim+json", "application/json", "application/scim+json;charset=utf-8", "application/json; charset=UTF-8", ""} {
		d.must(201, "POST", "/Users", userBody("ok"+itoa(i)), "Content-Type: "+kind)
	}
	if got := d.must(200, "GET", `/Users?filter=userName+eq+"a"`, ""); got.json["totalResults"] != 0.0 {
		t.Errorf("something was kept of refused requests: %s", got.raw)
	}
}

// A directory sees nothing of another directory or organization.
func TestSealed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		uid, gid := d.user("jane", `"externalId":"E1"`), ""
		gid = d.group("Sales", uid)
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/Users/" + uid, ""}, {"PUT", "/Users/" + uid, userBody("x")}, {"DELETE", "/Users/" + uid, ""},
			{"PATCH", "/Users/" + uid, patchBody(`{"op":"replace","path":"title","value":"x"}`)},
			{"GET", "/Groups/" + gid, ""}, {"PUT", "/Groups/" + gid, groupBody("x")}, {"DELETE", "/Groups/" + gid, ""},
			{"PATCH", "/Groups/" + gid, patchBody(`{"op":"remove","path":"members"}`)},
		} {
			other.refused(404, "", "not found", c.method, c.path, c.body)
		}
		for _, path := range []string{"/Users", "/Groups", `/Users?filter=userName+eq+"jane"`, `/Users?filter=externalId+eq+"E1"`, `/Groups?filter=displayName+eq+"Sales"`} {
			if got := other.must(200, "GET", path, ""); got.json["totalResults"] != 0.0 {
				t.Errorf("GET %s shows another directory's: %s", path, got.raw)
			}
		}
		got := other.refused(409, "uniqueness", "userName", "POST", "/Users", userBody("JANE"))
		if strings.Contains(got.raw, uid) {
			t.Errorf("the conflict shows the other's resource: %s", got.raw)
		}
		other.refused(400, "invalidValue", uid, "POST", "/Groups", groupBody("Sales", `"members":`+memberJSON(uid)))
		other.must(201, "POST", "/Users", userBody("joe", `"externalId":"E1"`)) // externalId is the directory's own
		other.must(201, "POST", "/Groups", groupBody("Sales"))                  // and so are group names
		if m := d.memberIDs(gid); len(m) != 1 || !m[uid] {
			t.Errorf("the group has changed: %v", m)
		}
	})
}

func TestNotOurRequest(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	r := httptest.NewRequest("GET", testURL+"/scim/v2/"+string(d.directory.ID)+"/Users", nil)
	r.Header.Set("Cookie", "session=x")
	if got := d.serve(r); got.code != 401 {
		t.Errorf("a cookie opens the door: %d", got.code)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
