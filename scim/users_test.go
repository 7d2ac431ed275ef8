package scim

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestUserLife(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		made := d.must(201, "POST", "/Users", userBody("Jane@Acme.example", `"externalId":"e1"`, `"password":"secret"`, `"title":"Boss"`))
		id := made.str("id")
		at := BaseURL(testURL, d.directory.ID) + "/Users/" + id
		if made.header.Get("Location") != at || made.header.Get("ETag") != `W/"1"` || strings.Contains(made.raw, "secret") || made.json["active"] != true {
			t.Errorf("created: %v %s", made.header, made.raw)
		}
		read := d.must(200, "GET", "/Users/"+id, "")
		if text(read.json) != text(made.json) {
			t.Errorf("GET after POST\n got %s\nwant %s", read.raw, made.raw)
		}
		if meta, _ := read.json["meta"].(map[string]any); meta["location"] != at || meta["version"] != `W/"1"` || meta["resourceType"] != "User" || meta["created"] != meta["lastModified"] {
			t.Errorf("meta: %v", meta)
		}
		d.refused(409, "uniqueness", "userName", "POST", "/Users", userBody("jane@acme.EXAMPLE"))
		d.refused(409, "uniqueness", "externalId", "POST", "/Users", userBody("joe", `"externalId":"e1"`))
		d.must(201, "POST", "/Users", userBody("joe", `"externalId":"E1"`)) // exact

		clock.Pass(time.Second)
		for _, same := range []string{
			patchBody(`{"op":"replace","path":"title","value":"Boss"},{"op":"remove","path":"nickName"},{"op":"replace","path":"active","value":true}`),
			patchBody(`{"op":"remove","path":"emails[type eq \"work\"]"}`),
		} {
			if got := d.must(200, "PATCH", "/Users/"+id, same); text(got.json) != text(made.json) {
				t.Errorf("a patch to what is there changed it\n got %s\nwant %s", got.raw, made.raw)
			}
		}
		if got := d.must(200, "PUT", "/Users/"+id, userBody("Jane@Acme.example", `"externalId":"e1"`, `"title":"Boss"`)); text(got.json) != text(made.json) {
			t.Errorf("a PUT of what is there changed it\n got %s\nwant %s", got.raw, made.raw)
		}

		off := d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","value":{"active":false}}`))
		if off.json["active"] != false || off.header.Get("ETag") != `W/"2"` {
			t.Errorf("deactivated: %s", off.raw)
		}
		if meta := off.json["meta"].(map[string]any); meta["created"] == meta["lastModified"] {
			t.Errorf("lastModified did not move: %v", meta)
		}
		if got := d.must(200, "PUT", "/Users/"+id, userBody("jane2")); got.json["active"] != false || got.json["title"] != nil || got.json["externalId"] != nil {
			t.Errorf("PUT without active: %s", got.raw)
		}
		d.must(200, "PUT", "/Users/"+id, userBody("jane2", `"active":true`))
		d.refused(409, "uniqueness", "userName", "PUT", "/Users/"+id, userBody("joe"))
		d.refused(409, "uniqueness", "userName", "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"userName","value":"JOE"}`))
		d.refused(400, "invalidValue", "userName", "PUT", "/Users/"+id, `{"schemas":["`+userURN+`"],"title":"x"}`)

		if got := d.must(204, "DELETE", "/Users/"+id, ""); got.raw != "" {
			t.Errorf("DELETE has a body: %s", got.raw)
		}
		for _, m := range []string{"GET", "DELETE"} {
			d.refused(404, "", "not found", m, "/Users/"+id, "")
		}
		if again := d.user("jane2"); again == id {
			t.Error("the new user has the old id")
		}
		want := []string{"user.delete", "user.update", "user.update", "user.deactivate", "user.create"}
		if got := d.activities(id); !slices.Equal(got, want) && !slices.Equal(got, []string{"user.delete", "user.reactivate", "user.update", "user.deactivate", "user.create"}) {
			t.Errorf("activity %v, want %v", got, want)
		}
	})
}

func TestUserPreconditions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		id := d.user("jane")
		change := patchBody(`{"op":"replace","path":"title","value":"x"}`)
		for _, c := range []struct{ method, body string }{{"PATCH", change}, {"PUT", userBody("jane")}, {"DELETE", ""}} {
			d.refused(412, "", `W/"1"`, c.method, "/Users/"+id, c.body, `If-Match: W/"7"`)
		}
		d.must(200, "PATCH", "/Users/"+id, change, `If-Match: W/"1"`)
		d.must(200, "PATCH", "/Users/"+id, change, `If-Match: "2"`)
		d.must(200, "PATCH", "/Users/"+id, change, `If-Match: "9", W/"2"`)
		d.must(200, "PATCH", "/Users/"+id, change, `If-Match: *`)
		d.must(200, "GET", "/Users/"+id, "", `If-None-Match: W/"1"`)
		if got := d.must(304, "GET", "/Users/"+id, "", `If-None-Match: W/"2"`); got.raw != "" || got.header.Get("ETag") != `W/"2"` {
			t.Errorf("304: %v %s", got.header, got.raw)
		}
		d.must(204, "DELETE", "/Users/"+id, "", `If-Match: W/"2"`)
	})
}

// The first write of a directory to somebody whom nobody manages adopts them.
func TestAdoption(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		var invited, hidden store.User
		err := db.Write(context.Background(), d.admin, func(tx *store.Tx) (err error) {
			if invited, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "ann", Email: "ann@acme.example"}.Doc(), Source: store.FromInvite, Status: store.Invited}); err != nil {
				return err
			}
			hidden, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "root"}.Doc(), Source: store.FromInvite, BreakGlass: true})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		d.refused(404, "", "not found", "GET", "/Users/"+string(hidden.ID), "")
		d.refused(409, "uniqueness", "userName", "POST", "/Users", userBody("root"))
		other.must(200, "GET", "/Users/"+string(invited.ID), "")
		if got := d.must(200, "PUT", "/Users/"+string(invited.ID), userBody("ann", `"active":true`, `"title":"x"`)); got.str("id") != string(invited.ID) || got.json["active"] != true {
			t.Errorf("adopted: %s", got.raw)
		}
		other.refused(404, "", "not found", "GET", "/Users/"+string(invited.ID), "")
	})
}

func TestInvitedPersonIsShutOut(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	var u store.User
	err := d.db.Write(context.Background(), d.admin, func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "ann"}.Doc(), Source: store.FromInvite, Status: store.Invited})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.must(200, "PATCH", "/Users/"+string(u.ID), patchBody(`{"op":"Replace","path":"active","value":"False"}`)); got.json["active"] != false {
		t.Errorf("an invited person was deactivated and is %s", got.raw)
	}
}

func TestPatchResponses(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	d := openDoor(t, db, NewDirectory{})
	change := patchBody(`{"op":"replace","path":"displayName","value":"x"}`)
	d.must(200, "PATCH", "/Users/"+d.user("a"), change)
	d.must(204, "PATCH", "/Groups/"+d.group("a"), change)
	with := d.another(NewDirectory{Quirks: store.JSON(`{"patchResponse":"200"}`)})
	if got := with.must(200, "PATCH", "/Groups/"+with.group("a"), change); got.str("displayName") != "x" {
		t.Errorf("PATCH answers %s", got.raw)
	}
	empty := d.another(NewDirectory{Quirks: store.JSON(`{"patchResponse":"204","deleteMeans":"deactivate"}`)})
	id := empty.user("b")
	if got := empty.must(204, "PATCH", "/Users/"+id, change); got.raw != "" || got.header.Get("ETag") != `W/"2"` {
		t.Errorf("PATCH answers %v %s", got.header, got.raw)
	}
	empty.must(204, "DELETE", "/Users/"+id, "")
	if got := empty.must(200, "GET", "/Users/"+id, ""); got.json["active"] != false {
		t.Errorf("DELETE means deactivate, and it is %s", got.raw)
	}
}

func TestUserProjection(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	id := d.user("jane", `"title":"Boss"`, `"name":{"givenName":"J","familyName":"D"}`)
	got := d.must(200, "GET", "/Users/"+id+"?attributes=userName,name.givenName", "")
	if got.json["title"] != nil || got.json["meta"] != nil || got.str("userName") != "jane" || got.str("id") != id || text(got.json["name"]) != `{"givenName":"J"}` {
		t.Errorf("attributes: %s", got.raw)
	}
	got = d.must(200, "PATCH", "/Users/"+id+"?excludedAttributes=name,id", patchBody(`{"op":"remove","path":"title"}`))
	if got.json["name"] != nil || got.str("id") != id || got.str("userName") != "jane" {
		t.Errorf("excludedAttributes: %s", got.raw)
	}
	d.refused(400, "invalidValue", "exclude each other", "GET", "/Users/"+id+"?attributes=title&excludedAttributes=name", "")
	d.refused(400, "invalidValue", "exclude each other", "PUT", "/Users/"+id+"?attributes=title&excludedAttributes=name", userBody("changed"))
	if got := d.must(200, "GET", "/Users/"+id, ""); got.str("userName") != "jane" {
		t.Errorf("a refused PUT changed the user: %s", got.raw)
	}
}
