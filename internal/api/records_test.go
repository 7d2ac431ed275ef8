package api_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestRecordsOfAnApplication(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDesk(t, db)
		ann, bob := d.user("ann"), d.user("bob")
		const at = "/api/v1/records/contact/4711"
		d.ask(404, "GET", at, "")
		if got := d.ask(201, "PUT", at, `{"name": "Ann & <b>", "address": "ann@x.example", "attributes": {"crm": 7}}`); got["version"] != 1.0 || got["user_id"] != "" {
			t.Errorf("%v", got)
		}
		d.ask(200, "PUT", at, `{"name": "Ann & <b>", "address": "ann@x.example", "attributes": {"crm": 7}}`)
		if got := d.ask(200, "PUT", at, `{"name": "Ann", "version": 1}`); got["version"] != 2.0 || fmt.Sprint(got["attributes"]) != "map[]" {
			t.Errorf("%v", got)
		}
		d.ask(409, "PUT", at, `{"name": "Old", "version": 1}`)
		d.ask(409, "PUT", "/api/v1/records/contact/new", `{"name": "New", "version": 3}`)
		for _, bad := range map[string]string{"no name": `{}`, "long": `{"name": "` + strings.Repeat("x", 201) + `"}`, "control": `{"name": "a\u0007"}`, "bidi": `{"name": "a\u202e"}`,
			"list": `{"name": "a", "attributes": []}`, "large": `{"name": "a", "attributes": {"x": "` + strings.Repeat("x", 17<<10) + `"}}`, "unknown": `{"name": "a", "nmae": 1}`, "nul": `{"name": "a", "attributes": {"x": "\u0000"}}`} {
			d.ask(400, "PUT", "/api/v1/records/contact/bad", bad)
		}
		d.ask(400, "PUT", "/api/v1/records/Contact!/1", `{"name": "a"}`)
		link := "/api/v1/users/" + string(ann) + "/records/contact"
		d.ask(404, "PUT", link, `{"id": "4712"}`)
		d.ask(204, "PUT", link, `{"id": "4711"}`)
		d.ask(204, "PUT", link, `{"id": "4711"}`)
		if got := d.ask(409, "PUT", "/api/v1/users/"+string(bob)+"/records/contact", `{"id": "4711"}`); !strings.Contains(fmt.Sprint(got["detail"]), "linked to ann already") {
			t.Errorf("%v", got)
		}
		d.ask(201, "PUT", "/api/v1/records/contact/4712", `{"name": "Second"}`)
		d.ask(409, "PUT", link, `{"id": "4712"}`)
		if got := d.ask(200, "GET", at, ""); got["user_id"] != string(ann) {
			t.Errorf("%v", got)
		}
		d.ask(204, "DELETE", at, "")
		d.ask(404, "DELETE", at, "")
		gone := d.ask(200, "GET", "/api/v1/users/"+string(ann)+"/records", "")["records"].([]any)[0].(map[string]any)
		if gone["gone"] != true || gone["name"] != "Ann" || gone["id"] != "4711" {
			t.Errorf("the link of a deleted record: %v", gone)
		}
		d.ask(201, "PUT", at, `{"name": "Ann again"}`)
		back := d.ask(200, "GET", "/api/v1/users/"+string(ann)+"/records", "")["records"].([]any)[0].(map[string]any)
		if back["gone"] != false || back["name"] != "Ann again" {
			t.Errorf("it came back: %v", back)
		}
		d.ask(200, "DELETE", "/api/v1/users/"+string(ann), "") // a deleted user holds nothing back
		d.ask(204, "PUT", "/api/v1/users/"+string(bob)+"/records/contact", `{"id": "4711"}`)
		d.ask(204, "DELETE", "/api/v1/users/"+string(bob)+"/records/contact", "")
		d.ask(404, "DELETE", "/api/v1/users/"+string(bob)+"/records/contact", "")
		d.actor = d.as(access.Viewer)
		d.ask(200, "GET", at, "")
		d.ask(403, "PUT", at, `{"name": "x"}`)
		d.ask(403, "DELETE", at, "")
	})
}

func TestListsOfRecords(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDesk(t, db)
		for i := range 7 {
			d.ask(201, "PUT", fmt.Sprintf("/api/v1/records/agent/%d", i), fmt.Sprintf(`{"name": "Agent %d%% Ä", "address": "a%d@x.example"}`, i%3, i))
		}
		d.ask(201, "PUT", "/api/v1/records/contact/c", `{"name": "Carla"}`)
		var all []string
		for after := ""; ; {
			got := d.ask(200, "GET", "/api/v1/records?limit=3&after="+after, "")
			for _, r := range got["records"].([]any) {
				all = append(all, fmt.Sprint(r.(map[string]any)["kind"], "/", r.(map[string]any)["id"]))
			}
			if after = fmt.Sprint(got["next"]); after == "" {
				break
			}
		}
		if want := "agent/0 agent/3 agent/6 agent/1 agent/4 agent/2 agent/5 contact/c"; strings.Join(all, " ") != want {
			t.Errorf("%v, want %s", all, want)
		}
		for query, want := range map[string]int{"?q=carla": 1, "?q=1%25+%C3%A4": 2, "/agent?q=x.example": 7, "?q=%25%25": 0, "/contact": 1, "/nothing": 0, "?free=true": 8} {
			if got := d.ask(200, "GET", "/api/v1/records"+query, "")["records"].([]any); len(got) != want {
				t.Errorf("%s: %d, want %d", query, len(got), want)
			}
		}
		d.ask(400, "GET", "/api/v1/records?after=!", "")
		d.ask(400, "GET", "/api/v1/records/A%20B", "")
		_, rival := storetest.Org(t, db, "rival")
		d.actor = access.Actor{Kind: access.Key, Org: rival.Org, Roles: []string{access.Admin}}
		if got := d.ask(200, "GET", "/api/v1/records", "")["records"].([]any); len(got) != 0 {
			t.Errorf("another organization sees %v", got)
		}
		d.ask(404, "GET", "/api/v1/records/agent/0", "")
	})
}

// Of many who want one record one gets it, and of many records for one user one is linked.
func TestARecordIsLinkedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDesk(t, db)
		var people []store.UserID
		for i := range 6 {
			people = append(people, d.user(fmt.Sprint("p", i)))
			d.ask(201, "PUT", fmt.Sprintf("/api/v1/records/agent/%d", i), fmt.Sprintf(`{"name": "Agent %d"}`, i))
		}
		race := func(kind string, who func(i int) store.UserID, ref func(i int) records.Ref) {
			var won atomic.Int64
			var all sync.WaitGroup
			for i := range 6 {
				all.Go(func() {
					err := db.Write(t.Context(), d.actor, func(tx *store.Tx) error { return records.Link(tx, who(i), ref(i)) })
					if err == nil {
						won.Add(1)
					} else if !fault.Is(err, fault.Conflict) || fault.Field(err) != "record" {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("%s: %d were linked", kind, won.Load())
			}
		}
		race("one record", func(i int) store.UserID { return people[i] }, func(int) records.Ref { return records.Ref{Kind: "agent", ID: "0"} })
		fresh := d.user("fresh")
		race("one user", func(int) store.UserID { return fresh }, func(i int) records.Ref { return records.Ref{Kind: "agent", ID: fmt.Sprint(i)} })
	})
}
