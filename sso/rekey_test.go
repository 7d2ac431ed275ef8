package sso

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// keyed is somebody with a NameID and other attributes.
func keyed(nameID string, attributes ...string) answer.Profile {
	a := answer.Profile{Subject: nameID, SubjectKind: "nameid", Attributes: map[string][]string{}, NameID: answer.NameID{Value: nameID}}
	for _, pair := range attributes {
		name, v, _ := strings.Cut(pair, "=")
		a.Attributes[name] = append(a.Attributes[name], v)
	}
	if nameID != "" {
		a.Email = nameID + "@acme.example"
	}
	return a
}

// arrive signs somebody in over the connection as it is now.
func (p *place) arrive(a answer.Profile) (u store.User, err error) {
	err = p.db.Write(context.Background(), actorOf(p.conn, access.Actor{}), func(tx *store.Tx) error {
		now, err := connectionIn(tx, p.conn.ID)
		if err != nil {
			return err
		}
		out, err := p.door().signIn(tx, now, a)
		u = out.User
		return err
	})
	return u, err
}

func (p *place) mustArrive(a answer.Profile) store.User {
	p.t.Helper()
	u, err := p.arrive(a)
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}

func TestARekeyLosesNobody(t *testing.T) {
	t.Parallel()
	const source = "attribute:objectidentifier"
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		p := somewhere(t, db, "acme", "saml", "jit")
		p.domain("acme.example", true, "")
		known := p.mustArrive(keyed("ann", "objectidentifier=o-ann"))
		later := p.mustArrive(keyed("bob"))
		never := p.mustArrive(keyed("cem"))
		p.mustArrive(keyed("twin1", "objectidentifier=o-twin"))
		p.mustArrive(keyed("twin2", "objectidentifier=o-twin"))

		before := storetest.Dump(t, db)
		k, err := p.door().PlanRekey(ctx, p.admin, p.conn.ID, source)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[store.UserID]string{}
		for _, l := range k.Lines {
			outcomes[l.UserID] = l.Outcome
		}
		if n := k.Counts(); outcomes[known.ID] != rekeyMatched || outcomes[later.ID] != rekeyUnknown || n[rekeyAmbiguous] != 2 || n[rekeyUnknown] != 2 {
			t.Errorf("dry run: %+v", k.Lines)
		}
		if after := storetest.Dump(t, db); fmt.Sprint(before) != fmt.Sprint(after) {
			t.Error("the dry run changed the database")
		}
		if _, err := p.door().StartRekey(ctx, p.admin, p.conn.ID, source); err != nil {
			t.Fatal(err)
		}
		if _, err := p.door().StartRekey(ctx, p.admin, p.conn.ID, "attribute:other"); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second re-key at once: %v, want a conflict", err)
		}
		same := func(when string, a answer.Profile, want store.User) {
			t.Helper()
			if u, err := p.arrive(a); err != nil || u.ID != want.ID {
				t.Errorf("%s: %s, %v; want %s", when, u.ID, err, want.ID)
			}
		}
		// Both keys are good, and the old one brings the new one along.
		same("the old key alone", keyed("ann"), known)
		same("both keys", keyed("bob", "objectidentifier=o-bob"), later)
		fromThere := keyed("o-bob", "objectidentifier=o-bob")
		fromThere.Email = ""
		same("another NameID with the new key", fromThere, later)
		if _, err := p.arrive(keyed("ann", "objectidentifier=o-bob")); refusedFor(err) != "subject" {
			t.Errorf("ann's old key with bob's new one: %v, want refused", err)
		}
		fresh := p.mustArrive(keyed("new", "objectidentifier=o-new"))

		if _, err := p.door().FinishRekey(ctx, p.admin, p.conn.ID); err != nil {
			t.Fatal(err)
		}
		same("the new key, a changed NameID", keyed("married", "objectidentifier=o-ann"), known)
		same("the new key of bob", keyed("x", "objectidentifier=o-bob"), later)
		same("who came in between", keyed("y", "objectidentifier=o-new"), fresh)
		if _, err := p.arrive(keyed("ann")); refusedFor(err) != "subject" {
			t.Errorf("the old key alone after the end: %v, want refused for the subject", err)
		}
		// Who had no new key is found by the ordinary order: a proved address.
		same("linked anew", func() answer.Profile { a := keyed("cem", "objectidentifier=o-cem"); return a }(), never)

		if _, err := p.door().UndoRekey(ctx, p.admin, p.conn.ID); err != nil {
			t.Fatal(err)
		}
		same("undone: the old key of ann", keyed("ann"), known)
		same("undone: the old key of bob", keyed("bob"), later)
		if _, err := p.door().UndoRekey(ctx, p.admin, p.conn.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("undone twice: %v, want a conflict", err)
		}
		other := somewhere(t, db, "globex", "saml", "jit")
		if _, err := other.door().PlanRekey(ctx, other.admin, p.conn.ID, source); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization: %v, want not found", err)
		}
	})
}

// An attribute with two values is nobody's key, and an unknown source none at all.
func TestASubjectIsOneValue(t *testing.T) {
	t.Parallel()
	for source, c := range map[string]struct {
		a    answer.Profile
		want string
	}{
		"attribute:id":   {keyed("x", "id=1"), "1"},
		"attribute:ids":  {keyed("x", "ids=1", "ids=2"), ""},
		"attribute:a+b":  {keyed("x", "a=1", "b=2"), "1/2"},
		"attribute:a+c":  {keyed("x", "a=1", "b=2"), ""},
		"nameid":         {keyed("x"), "x"},
		"sub":            {keyed("x", "sub=s"), "s"},
		"oid+tid":        {keyed("x", "oid=o", "tid=t"), "o@t"},
		"attribute:none": {keyed("x"), ""},
	} {
		if _, got := subjectBy(source, c.a); got != c.want {
			t.Errorf("%s: %q, want %q", source, got, c.want)
		}
	}
	for _, bad := range []string{"", "attribute:", "email", "sub", "attribute:a\nb"} {
		if err := checkSource(Connection{Protocol: protocolSAML}, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("source %q: %v, want invalid", bad, err)
		}
	}
}

// Sign-ins while the re-key ends: everybody stays who they are.
func TestSignInsWhileARekeyEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		p := somewhere(t, db, "acme", "saml", "existing")
		p.domain("acme.example", true, "")
		people := make([]store.User, 6)
		for i := range people {
			p.user(fmt.Sprintf("u%d@acme.example", i), store.Active)
			people[i] = p.mustArrive(keyed(fmt.Sprint("u", i)))
		}
		if _, err := p.door().StartRekey(ctx, p.admin, p.conn.ID, "attribute:uid2"); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i, u := range people {
			wg.Go(func() {
				for range 5 {
					got, err := p.arrive(keyed(fmt.Sprint("u", i), fmt.Sprint("uid2=k", i)))
					if err != nil || got.ID != u.ID {
						t.Errorf("person %d: %s, %v; want %s", i, got.ID, err, u.ID)
					}
				}
			})
		}
		wg.Go(func() {
			if _, err := p.door().FinishRekey(ctx, p.admin, p.conn.ID); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		for i, u := range people {
			if got, err := p.arrive(keyed("changed", fmt.Sprint("uid2=k", i))); err != nil || got.ID != u.ID {
				t.Errorf("person %d by the new key: %s, %v; want %s", i, got.ID, err, u.ID)
			}
		}
	})
}

func TestTheRekeyPage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.oidc("jit")
		if p := newBrowser(t).open(c.URLs.Login); !p.signedIn() {
			t.Fatal(p.body)
		}
		at := "/console/acme/connections/" + string(c.ID) + "/rekey"
		for _, step := range []struct {
			method, path string
			form         url.Values
			want         string
		}{
			{"GET", at, nil, "Change the identifier"},
			{"POST", at, url.Values{"subject": {"email"}}, "is no source of a subject"},
			{"POST", at, url.Values{"subject": {"attribute:employee"}}, "a dry run"},
			{"POST", at, url.Values{"subject": {"attribute:employee"}, "start": {"yes"}}, "Running, to"},
			{"POST", at + "/undo", nil, "Change the identifier"},
		} {
			status, body := s.call(step.method, step.path, step.form)
			if !strings.Contains(body, step.want) {
				t.Errorf("%s %s %v: %d, want %q in\n%s", step.method, step.path, step.form, status, step.want, body)
			}
			webtest.Page(t, body)
		}
		status, body := s.call("POST", "/api/v1/connections/"+string(c.ID)+"/rekey", map[string]any{"subject": "attribute:employee", "dry_run": true})
		if status != http.StatusOK || !strings.Contains(body, `"unknown":1`) {
			t.Errorf("the API's dry run: %d %s", status, body)
		}
		if n := len(s.log("connection.rekey.start")); n != 1 {
			t.Errorf("%d re-keys in the log, want 1", n)
		}
	})
}
