package operate_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// queue has a message with a secret in it wait.
func (d *desk) queue(org store.OrgID, to string) {
	d.t.Helper()
	err := d.db.Write(d.t.Context(), access.Muster(string(org)), func(tx *store.Tx) error {
		return d.mail.Queue(tx, mail.Message{To: to, Subject: "Welcome <b>", Text: "https://id.example.com/invite/s3cret"})
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// given is the id of the message that waits for somebody.
func (d *desk) given(to string) mail.ID {
	d.t.Helper()
	list, _, err := d.mail.Entries(d.t.Context(), d.actors["olga"], false, "", 50)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range list {
		if e.To == to {
			return e.ID
		}
	}
	d.t.Fatalf("no message to %s in %+v", to, list)
	return ""
}

func TestTheQueueOfMail(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		acme, _ := storetest.Org(t, db, "acme")
		for _, to := range []string{"ada@acme.example", "bob@acme.example", "cyd@acme.example"} {
			d.queue(acme, to)
		}
		page := d.want("olga", "GET", "/console/-/mail", "", 200, "ada@acme.example", "Welcome &lt;b&gt;", "acme Inc", "smtp://127.0.0.1:1", "with user and password")
		for _, secret := range []string{"s3cret", "pa55word"} {
			if strings.Contains(page, secret) {
				t.Errorf("the page says %s", secret)
			}
		}
		if err := d.mail.SendDue(t.Context()); err != nil { // nobody listens there
			t.Fatal(err)
		}
		d.want("olga", "GET", "/console/-/mail", "", 200, "one try", "next try")
		ada := d.given("ada@acme.example")
		d.want("olga", "POST", "/console/-/mail/act", "do=drop&id="+string(ada), 303)
		d.want("olga", "POST", "/console/-/mail/act", "do=drop&id="+string(ada), 404, "not in the queue any more")
		d.want("olga", "POST", "/console/-/mail/act", "do=again&id=x", 404)
		d.want("olga", "POST", "/console/-/mail/act", "do=again&id="+string(d.given("bob@acme.example")), 303)
		d.want("olga", "POST", "/console/-/mail/test", "", 303)
		d.want("olga", "GET", "/console/-/mail", "", 200, "olga@example.com", "A test from Muster")
		got := strings.Join(d.actions(acme), " ")
		if !strings.HasPrefix(got, "mail.retry mail.drop") {
			t.Errorf("on record: %s", got)
		}
	})
}

// What was given up can be sent again for three days, one by one or all of it.
func TestMailThatWasGivenUp(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db)
		acme, _ := storetest.Org(t, db, "acme")
		giveUp := func() {
			t.Helper()
			clock.Pass(25 * 3600e9)
			if err := d.mail.SendDue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		d.queue(acme, "ada@acme.example")
		d.queue(acme, "bob@acme.example")
		giveUp()
		d.want("olga", "GET", "/console/-/mail?show=failed", "", 200, "ada@acme.example", "Send all again")
		d.want("olga", "POST", "/console/-/mail/act", "do=again&all=yes&show=failed", 303)
		if l, err := d.mail.Load(t.Context(), d.actors["olga"]); err != nil || l.Waiting != 2 || l.Failed != 0 {
			t.Errorf("%+v, %v", l, err)
		}
		giveUp()
		clock.Pass(4 * 24 * 3600e9)
		if err := d.mail.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, err := d.mail.EachFailed(t.Context(), d.actors["olga"], d.mail.Again); err != nil || n != 0 {
			t.Errorf("texts are kept: %d, %v", n, err)
		}
		d.want("olga", "POST", "/console/-/mail/act", "do=drop&all=yes&show=failed", 303)
		d.want("olga", "GET", "/console/-/mail?show=failed", "", 200, "No message was given up")
		if _, err := d.mail.Load(t.Context(), d.actors["admin"]); !fault.Is(err, fault.Denied) {
			t.Errorf("an admin looks at the queue: %v", err)
		}
	})
}

func TestOperatorsAreNeverNone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		acme, _ := storetest.Org(t, db, "acme")
		ada := d.person(acme, "ada", false)
		home, olga := d.actors["olga"].Org, d.actors["olga"].ID
		const at = "/console/-/operators"
		d.want("olga", "POST", at+"/remove", "org="+home+"&user="+olga, 409, "Nobody could run this server")
		d.want("olga", "POST", at, "organization=acme&person=nobody", 400, "is nobody&#39;s address", `value="nobody"`)
		d.want("olga", "POST", at, "organization=nowhere&person=ada@example.com", 404, "no organization")
		d.want("olga", "POST", at, "organization=acme&person=ADA@example.com", 303)
		d.want("olga", "GET", at, "", 200, "ada@example.com", "acme Inc", "olga@example.com")
		d.actors["ada"] = ada
		ada.Operator = true
		d.actors["ada"] = ada

		// Two who remove one another at the same moment.
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i, c := range []struct {
			by   access.Actor
			org  string
			user string
		}{{d.actors["olga"], string(acme), ada.ID}, {ada, home, olga}} {
			wg.Go(func() {
				errs[i] = db.Write(context.Background(), c.by.In(c.org), func(tx *store.Tx) error { return d.sessions.RemoveOperator(tx, store.UserID(c.user)) })
			})
		}
		wg.Wait()
		list, err := d.sessions.Everyone(t.Context(), access.Muster(""))
		if err != nil || len(list) != 1 || (errs[0] == nil) == (errs[1] == nil) || !fault.Is(errors.Join(errs...), fault.Conflict) {
			t.Errorf("operators left: %+v, %v; %v", list, err, errs)
		}
		err = db.Write(t.Context(), access.Actor{Kind: access.Person, Org: home, Roles: []string{access.Admin}}, func(tx *store.Tx) error { return d.sessions.RemoveOperator(tx, store.UserID(olga)) })
		if !fault.Is(err, fault.Denied) {
			t.Errorf("an admin removes an operator: %v", err)
		}
	})
}

func TestFindingAPersonIsOnRecord(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := newDesk(t, db)
		for _, slug := range []string{"acme", "beta"} {
			org, _ := storetest.Org(t, db, slug)
			d.person(org, "ada", false)
		}
		d.want("olga", "GET", "/console/-/people", "", 200)
		if got := d.actions(store.NoOrg); len(got) != 0 {
			t.Errorf("recorded without a search: %v", got)
		}
		d.want("olga", "GET", "/console/-/people?q=", "", 400, "Enter a whole address")
		d.want("olga", "GET", "/console/-/people?q=ADA@example.com", "", 200, "acme Inc", "beta Inc", "/console/beta/users/")
		d.want("olga", "GET", "/console/-/people?q=ada", "", 200, "Nobody has this address")
		d.want("olga", "GET", "/console/-/people?q="+strings.Repeat("x", 10_000), "", 400)
		if got := strings.Join(d.actions(store.NoOrg), " "); got != "operator.search operator.search" {
			t.Errorf("on record: %s", got)
		}
		d.want("olga", "GET", "/console/-/activity", "", 200, "ADA@example.com", "looked in all organizations for", "the whole server")
		if _, err := db.PeopleAnywhere(t.Context(), d.actors["admin"], "ada@example.com"); !fault.Is(err, fault.Denied) {
			t.Errorf("an admin looks everywhere: %v", err)
		}
	})
}

func TestKeysOfTheServer(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db)
		acme, muster := storetest.Org(t, db, "acme")
		if _, _, err := d.api.Create(t.Context(), muster, api.NewKey{Name: "Helpdesk", Role: access.Viewer}); err != nil {
			t.Fatal(err)
		}
		const at = "/console/-/keys"
		d.want("olga", "POST", at, "name=", 400, "Say what the key is for")
		d.want("olga", "POST", at, "name=x&expires=tomorrow", 400, "is no day")
		d.want("olga", "POST", at, "name=x&expires=2001-01-01", 400, "ended already")
		ends := clock.Now().AddDate(0, 0, 2).Format("2006-01-02")
		page := d.want("olga", "POST", at, "name=Terraform&expires="+ends, 200, "shown this once", "Terraform", "made by olga", "Helpdesk", "acme Inc")
		_, rest, _ := strings.Cut(page, `id="f-key" value="`)
		text, _, _ := strings.Cut(rest, `"`)
		works := func() error {
			r := httptest.NewRequest("GET", "/api/v1/organizations", nil)
			r.Header.Set("Authorization", "Bearer "+text)
			_, err := d.api.Authenticate(r)
			return err
		}
		if err := works(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(d.want("olga", "GET", at, "", 200), text) {
			t.Error("the key is shown twice")
		}
		list, _, err := d.api.AllKeys(t.Context(), d.actors["olga"], api.Key{}, 50)
		if err != nil || len(list) != 2 || !list[0].Operator || list[1].OrgID != acme {
			t.Fatalf("%+v, %v", list, err)
		}
		clock.Pass(3 * 24 * 3600e9)
		if err := works(); !fault.Is(err, fault.SignIn) {
			t.Errorf("a key that has ended: %v", err)
		}
		revoke := "org=" + string(acme) + "&key=" + string(list[1].ID)
		d.want("olga", "POST", at+"/revoke", revoke, http.StatusSeeOther)
		d.want("olga", "POST", at+"/revoke", revoke, http.StatusNotFound, "no key")
		made := d.want("olga", "POST", "/api/v1/operator-keys", `{"name": "CI"}`, 201, `"key":"`)
		_, rest, _ = strings.Cut(made, `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		d.want("olga", "GET", "/api/v1/operator-keys", "", 200, `"name":"CI"`, `"created_by":"olga"`)
		d.want("olga", "DELETE", "/api/v1/operator-keys/"+id, "", 204)
		d.want("olga", "DELETE", "/api/v1/operator-keys/"+id, "", 404)
	})
}
