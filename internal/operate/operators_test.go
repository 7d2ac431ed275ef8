package operate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Somebody invited runs the server from the acceptance on; before it and after it, admins of
// the organization have no hand in the account.
func TestOperatorsByInvitation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		acme, _ := storetest.Org(t, db, "acme")
		admin := d.person(acme, "admin", false)
		const at = "/console/-/operators"
		d.want("olga", "POST", at, "organization=acme&person=nova@example.com&given_name=Nova", 400, "is nobody&#39;s address", `value="Nova"`)
		d.want("olga", "POST", at, "organization=acme&person=nova&invite=on", 400, "is not an e-mail address")
		d.want("olga", "POST", at, "organization=acme&person=nova@example.com&invite=on&given_name=Nova", 303)
		d.known = store.UserID(d.person(acme, "handed", false).ID)
		d.want("olga", "POST", at, "organization=acme&person=handed@example.com", 409, "has a temporary password, which somebody else knows")
		d.want("olga", "GET", at, "", 200, "nova@example.com", "as soon as the invitation is accepted")
		if fmt.Sprint(d.invited, d.roles) != "[nova@example.com] []" { // with the default role
			t.Errorf("invited: %v", d.invited)
		}
		var nova store.User
		write := func(as access.Actor, fn func(tx *store.Tx) error) error { return db.Write(t.Context(), as, fn) }
		system := access.Muster(string(acme))
		if err := write(system, func(tx *store.Tx) error {
			found, err := tx.PeopleByAddress([]string{"nova@example.com"})
			nova = found[0]
			return err
		}); err != nil {
			t.Fatal(err)
		}
		start := func() error {
			_, err := d.start(access.Actor{Org: string(acme), ID: string(nova.ID)})
			return err
		}
		if err := start(); err == nil {
			t.Error("somebody who is invited signs in")
		}
		for what, do := range map[string]func(tx *store.Tx) error{
			"gives another address": func(tx *store.Tx) error {
				u, err := tx.User(nova.ID)
				if err != nil {
					return err
				}
				_, err = tx.UpdateUser(u, store.UserChange{Doc: store.Profile{UserName: "x@example.com", Email: "x@example.com"}.Doc()})
				return err
			},
			"deletes":    func(tx *store.Tx) error { _, err := tx.DeleteUser(nova.ID, ""); return err },
			"may touch":  func(tx *store.Tx) error { return tx.MayTouch(nova) },
			"may in all": func(tx *store.Tx) error { return tx.MayTouchAs(nova, nil, nil) },
		} {
			if err := write(admin, do); !fault.Is(err, fault.Denied) || !strings.Contains(fault.Public(err), "operator of this server") {
				t.Errorf("an admin %s who will run the server: %v", what, err)
			}
		}
		// Accepted.
		if err := write(system, func(tx *store.Tx) error { _, err := tx.StartUser(nova.ID, ""); return err }); err != nil {
			t.Fatal(err)
		}
		var who access.Actor
		if err := write(system, func(tx *store.Tx) (err error) { who, err = d.sessions.ActorOf(tx, nova.ID); return err }); err != nil || !who.Operator || start() != nil {
			t.Errorf("accepted: %+v, %v", who, err)
		}
		if err := write(admin, func(tx *store.Tx) error { return tx.MayTouch(nova) }); !fault.Is(err, fault.Denied) {
			t.Errorf("an admin may touch an operator: %v", err)
		}
		if err := write(who.In(string(acme)), func(tx *store.Tx) error { return tx.MayTouch(nova) }); err != nil {
			t.Errorf("an operator: %v", err)
		}

		// Who is invited already gets a new link: an admin may hold the old one.
		var ivy store.User
		if err := write(system, func(tx *store.Tx) (err error) {
			p := store.Profile{UserName: "ivy@example.com", Email: "ivy@example.com"}
			ivy, err = tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromInvite, Status: store.Invited, Reason: store.Manual})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		made := d.want("olga", "POST", "/api/v1/operators", `{"org": "acme", "person": "IVY@example.com"}`, 201, `"status":"invited"`, string(ivy.ID))
		if fmt.Sprint(d.resent) != fmt.Sprint([]store.UserID{ivy.ID}) || len(d.invited) != 1 {
			t.Errorf("sent again: %v, invited %v: %s", d.resent, d.invited, made)
		}
		// Neither of both who are invited keeps the server from being without anybody.
		if err := write(system, func(tx *store.Tx) error { return d.sessions.RemoveOperator(tx, nova.ID) }); err != nil {
			t.Fatal(err)
		}
		d.want("olga", "DELETE", "/api/v1/operators/"+d.actors["olga"].ID, "", 409, "Nobody could run this server")
		d.want("olga", "GET", "/api/v1/operators", "", 200, `"org":"acme"`, `"status":"invited"`, `"second_factor":false`)
		d.want("olga", "DELETE", "/api/v1/operators/"+string(ivy.ID), "", 204)
		d.want("olga", "DELETE", "/api/v1/operators/"+string(ivy.ID), "", 404, "no operator")
		d.want("olga", "DELETE", "/api/v1/operators/x", "", 404)
		if err := write(system, func(tx *store.Tx) error { _, err := tx.Deactivate(ivy.ID, ""); return err }); err != nil {
			t.Fatal(err)
		}
		d.want("olga", "POST", "/api/v1/operators", `{"org": "acme", "person": "ivy@example.com", "invite": true}`, 409, "is deactivated there")
		d.want("olga", "POST", "/api/v1/operators", `{"org": "moon", "person": "ivy@example.com"}`, 404, "no organization")
		for _, ask := range [][2]string{{"GET", "/api/v1/operators"}, {"POST", "/api/v1/operators"}, {"DELETE", "/api/v1/operators/" + string(ivy.ID)}} {
			d.want("admin", ask[0], ask[1], "{}", 403)
		}
	})
}

// The queue of mail and the doctor by the REST API are those of the pages.
func TestMailAndDoctorByTheAPI(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db)
		acme, _ := storetest.Org(t, db, "acme")
		queue := func(to string) {
			err := db.Write(t.Context(), access.Muster(string(acme)), func(tx *store.Tx) error {
				return d.mail.Queue(tx, mail.Message{To: to, Subject: "Join " + to, Text: "https://id.example.com/invite/s3cret"})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		queue("a@example.com")
		queue("b@example.com")
		read := func(query string) (out struct {
			Waiting, Retrying, Failed int
			Messages                  []struct {
				ID, Org, To, State string
				Again              bool `json:"can_be_sent_again"`
			}
			Next string
		}) {
			text := d.want("olga", "GET", "/api/v1/mail"+query, "", 200)
			if err := json.Unmarshal([]byte(text), &out); err != nil || strings.Contains(text, "s3cret") {
				t.Fatalf("%v in %s", err, text)
			}
			return out
		}
		all := read("")
		if all.Waiting != 2 || len(all.Messages) != 2 || all.Messages[0].To != "b@example.com" || all.Messages[0].Org != "acme" || all.Messages[0].State != "queued" || !all.Messages[0].Again {
			t.Fatalf("the queue: %+v", all)
		}
		first := read("?limit=1")
		if rest := read("?limit=1&cursor=" + first.Next); len(rest.Messages) != 1 || rest.Messages[0].To != "a@example.com" || rest.Next != "" {
			t.Errorf("the second page: %+v", rest)
		}
		for _, bad := range []string{"?limit=0", "?limit=x", "?state=lost"} {
			d.want("olga", "GET", "/api/v1/mail"+bad, "", 400)
		}
		d.want("olga", "DELETE", "/api/v1/mail/"+all.Messages[0].ID, "", 200, `"messages":1`)
		d.want("olga", "DELETE", "/api/v1/mail/"+all.Messages[0].ID, "", 404, "not in the queue any more")
		d.want("olga", "POST", "/api/v1/mail/"+all.Messages[1].ID+"/again", "", 200)
		if _, err := db.Sweep(t.Context(), "UPDATE mails SET state = 'failed'"); err != nil {
			t.Fatal(err)
		}
		if failed := read("?state=failed"); failed.Failed != 1 || len(failed.Messages) != 1 || failed.Messages[0].State != "failed" {
			t.Errorf("given up: %+v", failed)
		}
		d.want("olga", "POST", "/api/v1/mail/failed/again", "", 200, `"messages":1`)
		if again := read(""); len(again.Messages) != 1 {
			t.Errorf("sent again: %+v", again)
		}
		d.want("olga", "DELETE", "/api/v1/mail/failed", "", 200, `"messages":0`)
		if got := strings.Join(d.actions(acme), " "); !strings.HasPrefix(got, "mail.retry mail.retry mail.drop") {
			t.Errorf("on record: %s", got)
		}

		asked := false
		d.examine = func(_ context.Context, data bool) ([]operate.Check, error) {
			asked = data
			return []operate.Check{{Name: web.Say("Settings"), Status: "ok", Detail: web.Say("fine")},
				{Name: web.Say("Mail domains"), Status: "warn", Detail: web.Say("one"), Items: []operate.Item{{Org: "acme", Text: web.Say("lost")}}, Todo: web.Say("Look.")}}, nil
		}
		d.want("olga", "GET", "/api/v1/doctor", "", 404, "was not examined yet")
		d.want("olga", "POST", "/api/v1/doctor", `{"data": true}`, 200, `"status":"warn"`, `"org":"acme"`, `"todo":"Look."`, `"detail":"one acme: lost Look."`)
		d.want("olga", "GET", "/api/v1/doctor", "", 200, `"by":"olga"`)
		if !asked {
			t.Error("the data were not looked at")
		}
		d.want("olga", "POST", "/api/v1/doctor", "", 200)
		d.want("olga", "POST", "/api/v1/doctor", `{"date": true}`, 400)
		for _, ask := range [][2]string{{"GET", "/api/v1/mail"}, {"POST", "/api/v1/mail/failed/again"}, {"DELETE", "/api/v1/mail/failed"}, {"GET", "/api/v1/doctor"}, {"POST", "/api/v1/doctor"}} {
			d.want("admin", ask[0], ask[1], "{}", 403)
		}
	})
}
