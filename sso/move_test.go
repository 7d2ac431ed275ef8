package sso

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Everybody who can be known at the other connection is moved, and comes back.
func TestPeopleMoveFromOneConnectionToAnother(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		p := somewhere(t, db, "acme", "oidc", "jit")
		p.domain("acme.example", true, "")
		old, next := p.conn, p.connection("next", "oidc", "scim")
		ada := p.visit(old, who("ada-old", "ada@acme.example", answer.SaidYes)).User
		p.visit(old, who("eve-old", "eve@acme.example", answer.SaidYes))
		ended := p.visit(old, who("end-old", "end@acme.example", answer.SaidYes)).User
		p.end(ended, store.Deactivated)
		managed := p.managed("grace", "grace@acme.example", "g-1")
		if err := p.door().LinkIdentity(ctx, p.admin, managed.ID, IdentityKey{Connection: old.ID, Subject: "grace-old"}); err != nil {
			t.Fatal(err)
		}

		before := storetest.Dump(t, db)
		plan, err := p.door().PlanMove(ctx, p.admin, old.ID, next.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n := plan.Counts(); n[moveByEmail] != 2 || n[moveByKey] != 1 || n[moveLeft] != 1 {
			t.Errorf("dry run: %+v", plan.Lines)
		}
		if after := storetest.Dump(t, db); fmt.Sprint(before) != fmt.Sprint(after) {
			t.Error("the dry run changed the database")
		}
		m, err := p.door().StartMove(ctx, p.admin, old.ID, next.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.door().StartMove(ctx, p.admin, old.ID, next.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("the same move again: %v, want a conflict", err)
		}
		if u, err := p.comeOver(next, who("ada-new", "ada@acme.example", answer.SaidNo)); err == nil {
			t.Errorf("an address that is denied: %s; want refused", u.ID)
		}
		if out := p.visit(next, who("ada-new", "ada@acme.example", answer.SaidYes)); out.User.ID != ada.ID || out.Step != StepExpected {
			t.Errorf("ada at the other one: %s by %s, want %s by %s", out.User.ID, out.Step, ada.ID, StepExpected)
		}
		key := who("grace-new", "", answer.Unsaid)
		key.Keys = []string{"g-1"}
		if out := p.visit(next, key); out.User.ID != managed.ID {
			t.Errorf("grace by the external ID: %s, want %s", out.User.ID, managed.ID)
		}
		if u, err := p.comeOver(old, who("ada-old", "ada@acme.example", answer.SaidYes)); refusedFor(err) != "moved" {
			t.Errorf("the old identity: %s, %v; want refused as moved", u.ID, err)
		}
		if _, err := p.door().UndoMove(ctx, p.admin, m.ID); err != nil {
			t.Fatal(err)
		}
		if u, err := p.comeOver(next, who("ada-new", "ada@acme.example", answer.SaidYes)); err == nil {
			t.Errorf("undone, the new identity signs in still: %s", u.ID)
		}
		if out := p.visit(old, who("grace-old", "", answer.Unsaid)); out.User.ID != managed.ID || out.Step != StepIdentity {
			t.Errorf("undone, grace's old identity: %s by %s", out.User.ID, out.Step)
		}
		if _, err := p.door().UndoMove(ctx, p.admin, m.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("undone twice: %v, want a conflict", err)
		}
		other := somewhere(t, db, "globex", "oidc", "jit")
		if _, err := other.door().PlanMove(ctx, other.admin, other.conn.ID, next.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("to another organization's connection: %v, want not found", err)
		}
	})
}

// An admin's links: one identity on each connection, one person for each subject.
func TestAnAdminLinksAndUnlinks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		p := somewhere(t, db, "acme", "oidc", "existing")
		p.domain("acme.example", true, "")
		ada, bea := p.user("ada@acme.example", store.Active), p.user("bea@acme.example", store.Active)
		d := p.door()
		k := IdentityKey{Connection: p.conn.ID, Subject: "s1"}
		if err := d.LinkIdentity(ctx, p.admin, ada.ID, k); err != nil {
			t.Fatal(err)
		}
		if u, err := p.come(who("s1", "", answer.Unsaid)); err != nil || u.ID != ada.ID {
			t.Errorf("after linking: %s, %v", u.ID, err)
		}
		if err := d.LinkIdentity(ctx, p.admin, bea.ID, k); !fault.Is(err, fault.Conflict) {
			t.Errorf("a subject for two: %v, want a conflict", err)
		}
		if err := d.LinkIdentity(ctx, p.admin, ada.ID, IdentityKey{Connection: p.conn.ID, Subject: "s2"}); !fault.Is(err, fault.Conflict) {
			t.Errorf("two subjects for one: %v, want a conflict", err)
		}
		// Whoever could link an operator's account could run the server.
		root, admin := p.operator("root@acme.example"), access.Actor{Kind: access.Person, Org: string(p.org), ID: string(bea.ID), Roles: []string{access.Admin}}
		for what, change := range map[string]func(context.Context, access.Actor, store.UserID, IdentityKey) error{"link": d.LinkIdentity, "unlink": d.UnlinkIdentity, "restore": d.RestoreIdentity} {
			if err := change(ctx, admin, root.ID, IdentityKey{Connection: p.conn.ID, Subject: "s3"}); !fault.Is(err, fault.Denied) {
				t.Errorf("%s an operator's account: %v, want denied", what, err)
			}
		}
		if err := d.UnlinkIdentity(ctx, p.admin, bea.ID, k); !fault.Is(err, fault.NotFound) {
			t.Errorf("somebody else's identity unlinked: %v, want not found", err)
		}
		viewer := access.Actor{Kind: access.Person, Org: string(p.org), Roles: []string{access.Viewer}}
		if err := d.UnlinkIdentity(ctx, viewer, ada.ID, k); !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer: %v, want denied", err)
		}
		if err := d.UnlinkIdentity(ctx, p.admin, ada.ID, k); err != nil {
			t.Fatal(err)
		}
		if u, err := p.come(who("s1", "ada@acme.example", answer.SaidYes)); refusedFor(err) != "unlinked" {
			t.Errorf("unlinked: %s, %v; want refused although the address would link it again", u.ID, err)
		}
		if err := d.RestoreIdentity(ctx, p.admin, ada.ID, k); err != nil {
			t.Fatal(err)
		}
		if u, err := p.come(who("s1", "", answer.Unsaid)); err != nil || u.ID != ada.ID {
			t.Errorf("restored: %s, %v", u.ID, err)
		}
		// Unlinked, the subject may become somebody else's; then it cannot come back.
		if err := d.UnlinkIdentity(ctx, p.admin, ada.ID, k); err != nil {
			t.Fatal(err)
		}
		if err := d.LinkIdentity(ctx, p.admin, bea.ID, k); err != nil {
			t.Fatal(err)
		}
		if err := d.RestoreIdentity(ctx, p.admin, ada.ID, k); !fault.Is(err, fault.NotFound) {
			t.Errorf("restored although it is bea's: %v, want not found", err)
		}
	})
}

// operator is somebody active who runs the server.
func (p *place) operator(name string) store.User {
	p.t.Helper()
	u := p.user(name, store.Active)
	p.write(func(tx *store.Tx) error { return session.New(session.Options{DB: p.db}).MakeOperator(tx, u.ID) })
	return u
}

// One subject, many admins at once: it belongs to one person.
func TestLinksAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "existing")
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			u := p.user(fmt.Sprintf("u%d@acme.example", i), store.Active)
			wg.Go(func() {
				errs[i] = p.door().LinkIdentity(context.Background(), p.admin, u.ID, IdentityKey{Connection: p.conn.ID, Subject: "s"})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !fault.Is(err, fault.Conflict) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d links, want 1", won)
		}
	})
}

func TestThePagesOfIdentitiesAndMoves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.oidc("jit")
		next := s.connection("next", "oidc", "jit")
		if p := newBrowser(t).open(c.URLs.Login); !p.signedIn() {
			t.Fatal(p.body)
		}
		var id store.UserID
		s.read(func(tx *store.Tx) error {
			page, err := tx.People(store.PeopleQuery{})
			id = page.People[0].ID
			return err
		})
		person, move := "/console/acme/users/"+string(id)+"/identities", "/console/acme/connections/"+string(c.ID)+"/move"
		the := url.Values{"connection": {string(c.ID)}, "kind": {"sub"}, "subject": {"ada"}}
		with := func(action string) url.Values {
			out := url.Values{"action": {action}}
			for k, v := range the {
				out[k] = v
			}
			return out
		}
		for _, step := range []struct {
			method, path string
			form         url.Values
			want         string
		}{
			{"GET", person, nil, "Unlink"},
			{"POST", person, with("unlink"), "put aside"},
			{"POST", person, with("restore"), "Unlink"},
			{"POST", person, with("link"), "is bound already"},
			{"GET", move, nil, "Move them"},
			{"POST", move, url.Values{"to": {string(next.ID)}}, "a dry run"},
			{"POST", move, url.Values{"to": {string(next.ID)}, "start": {"yes"}}, "On the way to next"},
		} {
			status, body := s.call(step.method, step.path, step.form)
			if !strings.Contains(body, step.want) {
				t.Errorf("%s %s %v: %d, want %q in\n%s", step.method, step.path, step.form, status, step.want, body)
			}
			webtest.Page(t, body)
		}
		if status, body := s.call("GET", "/api/v1/users/"+string(id)+"/identities", nil); status != 200 || !strings.Contains(body, `"subject":"ada"`) {
			t.Errorf("the API: %d %s", status, body)
		}
		if status, body := s.call("GET", "/api/v1/connections/"+string(c.ID)+"/moves", nil); status != 200 || !strings.Contains(body, `"state":"open"`) {
			t.Errorf("the API's moves: %d %s", status, body)
		}
	})
}
