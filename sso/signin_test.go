package sso

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// place is one organization with one OIDC connection.
type place struct {
	t     *testing.T
	db    *store.DB
	org   store.OrgID
	admin access.Actor
	conn  Connection
}

// somewhere makes an organization and a connection that handles accounts so.
func somewhere(t *testing.T, db *store.DB, slug, protocol, accounts string) *place {
	t.Helper()
	p := &place{t: t, db: db}
	p.org, p.admin = storetest.Org(t, db, slug)
	p.conn = p.connection("idp", protocol, accounts)
	return p
}

func (p *place) connection(name, protocol, accounts string) Connection {
	c := Connection{ID: store.NewID[Connection](), OrgID: p.org, Protocol: protocol, Vendor: "custom", Name: name, Status: statusActive, Accounts: accounts, Issuer: "https://idp.example"}
	p.write(func(tx *store.Tx) error { return insertConnection(tx, c) })
	return c
}

func (p *place) write(fn func(tx *store.Tx) error) {
	p.t.Helper()
	if err := p.db.Write(context.Background(), p.admin, fn); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) domain(name string, verified bool, c ConnectionID) {
	p.t.Helper()
	d := New(Options{DB: p.db, PublicURL: "http://muster.test"})
	if _, err := d.AddDomain(context.Background(), p.admin, NewDomain{Domain: name, Verified: verified, Connection: c}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) user(email string, status store.Status) (u store.User) {
	p.t.Helper()
	p.write(func(tx *store.Tx) (err error) {
		initial := store.Active
		if status == store.Invited {
			initial = status
		}
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: email, Email: email, GivenName: "Old"}.Doc(), Source: store.FromInvite, Status: initial})
		return err
	})
	return p.end(u, status)
}

// end brings a person to their last status.
func (p *place) end(u store.User, status store.Status) store.User {
	p.t.Helper()
	p.write(func(tx *store.Tx) (err error) {
		switch status {
		case store.Deactivated:
			u, err = tx.Deactivate(u.ID, "left")
		case store.Deleted:
			u, err = tx.DeleteUser(u.ID, "left")
		}
		return err
	})
	return u
}

// managed makes a person whom a directory manages.
func (p *place) managed(userName, email, externalID string) (u store.User) {
	p.t.Helper()
	var dir store.Directory
	p.write(func(tx *store.Tx) (err error) {
		dir, err = tx.CreateDirectory(store.Directory{Name: "dir", Vendor: "custom", Mode: "compat"})
		return err
	})
	doc := store.Profile{UserName: userName, Email: email, GivenName: "Managed"}.Doc()
	if externalID != "" {
		doc["externalId"] = externalID
	}
	actor := access.Actor{Kind: access.Directory, Org: string(p.org), ID: string(dir.ID)}
	err := p.db.Write(context.Background(), actor, func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: doc, Source: store.FromSCIM})
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}

// come signs somebody in over the place's connection.
func (p *place) come(a answer.Profile) (store.User, error) { return p.comeOver(p.conn, a) }

func (p *place) comeOver(c Connection, a answer.Profile) (u store.User, err error) {
	if a.SubjectKind == "" {
		a.SubjectKind = "sub"
	}
	if a.Keys == nil {
		a.Keys = []string{a.Subject}
	}
	for range 3 {
		err = p.db.Write(context.Background(), actorOf(c, access.Actor{IP: "192.0.2.1", Request: "r"}), func(tx *store.Tx) (err error) {
			out, err := New(Options{DB: p.db, PublicURL: "http://muster.test"}).signIn(tx, c, a)
			u = out.User
			return err
		})
		if !fault.Is(err, fault.Conflict) {
			break
		}
	}
	return u, err
}

func (p *place) count() (n int) {
	p.t.Helper()
	err := p.db.Read(context.Background(), p.admin, func(tx *store.Tx) error {
		page, err := tx.People(store.PeopleQuery{Limit: 100})
		n = page.Total
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func who(subject, email string, word answer.Word) answer.Profile {
	return answer.Profile{Subject: subject, Email: email, GivenName: "Ada", FamilyName: "Example", EmailSaid: word}
}

// refusedFor is the check of a refusal, or "" when err is none.
func refusedFor(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.check
	}
	return ""
}

// Every way to find, make or refuse an account.
func TestAccountResolution(t *testing.T) {
	t.Parallel()
	const mail = "ada@acme.example"
	own := func(p *place) { p.domain("acme.example", true, "") }
	assigned := func(p *place) { p.domain("acme.example", true, p.conn.ID) }
	cases := []struct {
		name     string
		protocol string // oidc when empty
		accounts string
		before   func(p *place)
		come     answer.Profile
		refused  string
		status   store.Status // of the account afterwards
		people   int          // in the organization afterwards
	}{
		{name: "jit makes an account", accounts: "jit", come: who("s1", mail, answer.SaidYes), status: store.Active, people: 1},
		{name: "jit without a free seat", accounts: "jit", before: func(p *place) { p.write(func(tx *store.Tx) error { return tx.SetSeats(0) }) }, come: who("s1", mail, answer.SaidYes), refused: "seats"},
		{name: "jit without any address", accounts: "jit", come: who("s1", "", answer.Unsaid), status: store.Active, people: 1},
		{name: "jit in a verified domain", accounts: "jit", before: own, come: who("s1", mail, answer.SaidNo), status: store.Active, people: 1},
		{name: "jit outside the verified domains", accounts: "jit", before: own, come: who("s1", "ada@other.example", answer.SaidYes), refused: "domain"},
		{name: "jit without an address, domains verified", accounts: "jit", before: own, come: who("s1", "", answer.Unsaid), refused: "domain"},
		{name: "jit with a claimed domain only", accounts: "jit", before: func(p *place) { p.domain("acme.example", false, "") }, come: who("s1", "ada@other.example", answer.SaidYes), status: store.Active, people: 1},
		{name: "existing makes none", accounts: "existing", come: who("s1", mail, answer.SaidYes), refused: "not provisioned"},
		{name: "scim makes none", accounts: "scim", before: own, come: who("s1", mail, answer.SaidYes), refused: "not provisioned"},
		{name: "no subject", accounts: "jit", come: who("", mail, answer.SaidYes), refused: "subject"},
		{name: "subject with a line break", accounts: "jit", come: who("a\nb", mail, answer.SaidYes), refused: "subject"},

		{name: "same address, domain proved, verified", accounts: "existing", before: func(p *place) { own(p); p.user(mail, store.Active) }, come: who("s1", mail, answer.SaidYes), status: store.Active, people: 1},
		{name: "same address in other case", accounts: "jit", before: func(p *place) { own(p); p.user(mail, store.Active) }, come: who("s1", "ADA@Acme.Example", answer.SaidYes), status: store.Active, people: 1},
		{name: "invited becomes active", accounts: "jit", before: func(p *place) { own(p); p.user(mail, store.Invited) }, come: who("s1", mail, answer.SaidYes), status: store.Active, people: 1},
		{name: "same address, domain not proved", accounts: "jit", before: func(p *place) { p.user(mail, store.Active) }, come: who("s1", mail, answer.SaidYes), refused: "domain", people: 1},
		{name: "same address, domain only claimed", accounts: "existing", before: func(p *place) { p.domain("acme.example", false, ""); p.user(mail, store.Active) }, come: who("s1", mail, answer.SaidYes), refused: "domain", people: 1},
		{name: "same address, not verified", accounts: "jit", before: func(p *place) { own(p); p.user(mail, store.Active) }, come: who("s1", mail, answer.SaidNo), refused: "email_verified", people: 1},
		{name: "same address, nothing said", accounts: "jit", before: func(p *place) { own(p); p.user(mail, store.Active) }, come: who("s1", mail, answer.Unsaid), refused: "email_verified", people: 1},
		{name: "nothing said, but it is the domain's connection", accounts: "jit", before: func(p *place) { assigned(p); p.user(mail, store.Active) }, come: who("s1", mail, answer.Unsaid), status: store.Active, people: 1},
		{name: "denied, even by the domain's connection", accounts: "jit", before: func(p *place) { assigned(p); p.user(mail, store.Active) }, come: who("s1", mail, answer.SaidNo), refused: "email_verified", people: 1},
		{name: "domain of another connection", accounts: "jit", before: func(p *place) {
			p.domain("acme.example", true, p.connection("other", "oidc", "jit").ID)
			p.user(mail, store.Active)
		}, come: who("s1", mail, answer.SaidYes), refused: "domain", people: 1},
		{name: "SAML, domain proved", protocol: "saml", accounts: "existing", before: func(p *place) { own(p); p.user(mail, store.Active) }, come: who("s1", mail, answer.Unsaid), status: store.Active, people: 1},
		{name: "SAML, domain not proved", protocol: "saml", accounts: "existing", before: func(p *place) { p.user(mail, store.Active) }, come: who("s1", mail, answer.Unsaid), refused: "domain", people: 1},
		{name: "deactivated is not reactivated", accounts: "jit", before: func(p *place) { own(p); p.user(mail, store.Deactivated) }, come: who("s1", mail, answer.SaidYes), refused: "status", people: 1},
		{name: "break-glass is never bound", accounts: "jit", before: func(p *place) {
			own(p)
			p.write(func(tx *store.Tx) error {
				_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: mail, Email: mail}.Doc(), Source: store.FromAPI, BreakGlass: true})
				return err
			})
		}, come: who("s1", mail, answer.SaidYes), refused: "break-glass", people: 1},
		{name: "bound to another subject", accounts: "jit", before: func(p *place) {
			own(p)
			if _, err := p.come(who("s0", mail, answer.SaidYes)); err != nil {
				p.t.Fatal(err)
			}
		}, come: who("s1", mail, answer.SaidYes), refused: "identity", people: 1},
		{name: "user name taken by another address", accounts: "jit", before: func(p *place) {
			p.write(func(tx *store.Tx) error {
				_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: mail, Email: "else@acme.example"}.Doc(), Source: store.FromAPI})
				return err
			})
		}, come: who("s1", mail, answer.SaidYes), refused: "domain", people: 1},
		{name: "two accounts with the address", accounts: "jit", before: func(p *place) {
			own(p)
			p.user(mail, store.Active)
			p.write(func(tx *store.Tx) error {
				_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "second", Email: mail}.Doc(), Source: store.FromAPI})
				return err
			})
		}, come: who("s1", mail, answer.SaidYes), refused: "account", people: 2},

		{name: "scim by externalId", accounts: "scim", before: func(p *place) { p.managed("ada", mail, "s1") }, come: who("s1", "", answer.Unsaid), status: store.Active, people: 1},
		{name: "scim by user name", accounts: "scim", before: func(p *place) { p.managed(mail, mail, "x") }, come: who("s1", mail, answer.SaidYes), status: store.Active, people: 1},
		{name: "scim by user name over SAML", protocol: "saml", accounts: "scim", before: func(p *place) { p.managed(mail, mail, "x") }, come: who("s1", mail, answer.Unsaid), status: store.Active, people: 1},
		{name: "scim by an address that nobody vouches for", accounts: "scim", before: func(p *place) { p.managed(mail, mail, "x") }, come: who("s1", mail, answer.Unsaid), refused: "not provisioned", people: 1},
		{name: "scim by address, domain proved", accounts: "scim", before: func(p *place) { own(p); p.managed("ada", mail, "x") }, come: who("s1", mail, answer.SaidYes), status: store.Active, people: 1},
		{name: "scim by address, domain not proved", accounts: "scim", before: func(p *place) { p.managed("ada", mail, "x") }, come: who("s1", mail, answer.SaidYes), refused: "not provisioned", people: 1},
		{name: "scim by a denied address", accounts: "scim", before: func(p *place) { own(p); p.managed(mail, mail, "x") }, come: who("s1", mail, answer.SaidNo), refused: "not provisioned", people: 1},
		{name: "scim takes nobody unmanaged", accounts: "scim", before: func(p *place) { own(p); p.user(mail, store.Active) }, come: who("s1", mail, answer.SaidYes), refused: "not provisioned", people: 1},
		{name: "scim, deactivated by the directory", accounts: "scim", before: func(p *place) { p.end(p.managed("ada", mail, "s1"), store.Deactivated) }, come: who("s1", mail, answer.SaidYes), refused: "status", people: 1},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				p := somewhere(t, db, fmt.Sprintf("org%d", i), orElse(c.protocol, "oidc"), c.accounts)
				// One organization can prove a domain: free it for the next case.
				defer db.Sweep(context.Background(), "DELETE FROM domains WHERE org_id = ?", p.org)
				if c.before != nil {
					c.before(p)
				}
				u, err := p.come(c.come)
				if got := refusedFor(err); got != c.refused || (err != nil) != (c.refused != "") {
					t.Fatalf("got %v, want refused for %q", err, c.refused)
				}
				if err == nil && u.Status != c.status {
					t.Errorf("status %s, want %s", u.Status, c.status)
				}
				if n := p.count(); n != c.people {
					t.Errorf("%d people afterwards, want %d", n, c.people)
				}
				if err != nil {
					return
				}
				again, err := p.come(c.come)
				if err != nil || again.ID != u.ID {
					t.Errorf("second sign-in: user %s, %v; want %s again", again.ID, err, u.ID)
				}
			})
		}
	})
}

// Promise 7: the subject decides, not what the provider says about it later.
func TestTheSubjectDecides(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		p.domain("acme.example", true, "")
		ada, err := p.come(who("ada-id", "ada@acme.example", answer.SaidYes))
		if err != nil {
			t.Fatal(err)
		}
		boss := p.user("boss@acme.example", store.Active)

		renamed, err := p.come(who("ada-id", "boss@acme.example", answer.SaidYes))
		if err != nil || renamed.ID != ada.ID {
			t.Errorf("the same subject with the boss's address: user %s (%v), want %s", renamed.ID, err, ada.ID)
		}
		// Whoever gets Ada's old address at the provider is not Ada.
		if u, err := p.come(who("new-id", "ada@acme.example", answer.SaidYes)); refusedFor(err) != "identity" {
			t.Errorf("another subject with Ada's address: user %s, %v; want refused for identity", u.ID, err)
		}
		// A subject of another kind with equal text is somebody else.
		other := who("ada-id", "eve@acme.example", answer.SaidYes)
		other.SubjectKind = "oid+tid"
		eve, err := p.come(other)
		if err != nil || eve.ID == ada.ID || eve.ID == boss.ID {
			t.Errorf("equal text of another kind: user %s, %v", eve.ID, err)
		}
	})
}

// Promise 3: an identity is good in its organization, on its connection, alone.
func TestIdentitiesStayInTheirOrganization(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		a := somewhere(t, db, "a", "oidc", "existing")
		b := somewhere(t, db, "b", "oidc", "jit")
		a.domain("acme.example", true, "")
		victim := a.user("ada@acme.example", store.Active)
		if _, err := a.come(who("s1", "ada@acme.example", answer.SaidYes)); err != nil {
			t.Fatal(err)
		}
		u, err := b.come(who("s1", "ada@acme.example", answer.SaidYes))
		if err != nil || u.ID == victim.ID {
			t.Fatalf("b's provider with a's subject and address: user %s, %v; want an account of b", u.ID, err)
		}
		if a.count() != 1 || b.count() != 1 {
			t.Errorf("people: %d in a, %d in b; want 1 each", a.count(), b.count())
		}
		// A second connection of the same organization is another provider.
		second := a.connection("second", "oidc", "existing")
		got, err := a.comeOver(second, who("s1", "eve@acme.example", answer.SaidYes))
		if refusedFor(err) != "not provisioned" {
			t.Errorf("the same subject over another connection: user %s, %v; want not provisioned", got.ID, err)
		}
		// b cannot prove a's domain.
		d := New(Options{DB: db, PublicURL: "http://muster.test"})
		if _, err := d.AddDomain(context.Background(), b.admin, NewDomain{Domain: "acme.example", Verified: true}); !fault.Is(err, fault.Conflict) {
			t.Errorf("b took a's verified domain: %v", err)
		}
	})
}

// Promise 6: what a directory says stays as it is.
func TestSignInsChangeNothingThatADirectoryManages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "scim")
		managed := p.managed("ada", "ada@acme.example", "s1")
		u, err := p.come(who("s1", "evil@acme.example", answer.SaidYes))
		if err != nil {
			t.Fatal(err)
		}
		if u.ID != managed.ID || u.Profile() != managed.Profile() || u.Version != managed.Version {
			t.Errorf("the sign-in changed a managed user:\n%+v\n%+v", managed.Profile(), u.Profile())
		}
		p.end(managed, store.Deactivated)
		if _, err := p.come(who("s1", "", answer.Unsaid)); refusedFor(err) != "status" {
			t.Errorf("deactivated by the directory: %v, want refused for status", err)
		}
		p.write(func(tx *store.Tx) error { _, err := tx.DeleteUser(managed.ID, "left"); return err })
		if _, err := p.come(who("s1", "", answer.Unsaid)); refusedFor(err) != "status" {
			t.Errorf("deleted: %v, want refused for status", err)
		}
		// The directory makes the person anew: the identity follows.
		anew := p.managed("ada", "ada@acme.example", "s1")
		if u, err := p.come(who("s1", "", answer.Unsaid)); err != nil || u.ID != anew.ID {
			t.Errorf("made anew by the directory: user %s, %v; want %s", u.ID, err, anew.ID)
		}
	})
}

// Deleted people are not created again by signing in.
func TestJITDoesNotCreateAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		u, err := p.come(who("s1", "ada@acme.example", answer.SaidYes))
		if err != nil {
			t.Fatal(err)
		}
		p.end(u, store.Deleted)
		if _, err := p.come(who("s1", "ada@acme.example", answer.SaidYes)); refusedFor(err) != "status" {
			t.Errorf("got %v, want refused for status", err)
		}
		if n := p.count(); n != 0 {
			t.Errorf("%d people, want none", n)
		}
	})
}

func TestNamesComeFromTheProviderForUnmanagedPeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		first, err := p.come(who("s1", "ada@acme.example", answer.SaidYes))
		if err != nil {
			t.Fatal(err)
		}
		if first.Source != store.FromJIT {
			t.Errorf("source %s, want jit", first.Source)
		}
		a := who("s1", "new@acme.example", answer.SaidYes)
		a.GivenName, a.FamilyName = "Augusta", ""
		u, err := p.come(a)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Profile(); got.GivenName != "Augusta" || got.FamilyName != "Example" || got.Email != "ada@acme.example" {
			t.Errorf("profile %+v: want the new given name, the old family name, the old address", got)
		}
		same, err := p.come(a)
		if err != nil || same.Version != u.Version {
			t.Errorf("an unchanged profile made version %d of %d (%v)", same.Version, u.Version, err)
		}
	})
}

// Promise 2: first sign-ins of one person at once make one account.
func TestFirstSignInsAtOnceMakeOneAccount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		const n = 8
		ids := make([]store.UserID, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				u, err := p.come(who("s1", "ada@acme.example", answer.SaidYes))
				if err != nil {
					t.Errorf("sign-in %d: %v", i, err)
				}
				ids[i] = u.ID
			})
		}
		wg.Wait()
		if slices.Sort(ids); ids[0] != ids[n-1] || p.count() != 1 {
			t.Errorf("accounts %v, %d people; want one", slices.Compact(ids), p.count())
		}
	})
}

// Two subjects that fit one account at once: one gets it.
func TestOneAccountIsBoundOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "existing")
		p.domain("acme.example", true, "")
		p.user("ada@acme.example", store.Invited)
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = p.come(who(fmt.Sprint("s", i), "ada@acme.example", answer.SaidYes)) })
		}
		wg.Wait()
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
			} else if refusedFor(err) != "identity" {
				t.Errorf("subject %d: %v, want refused for identity", i, err)
			}
		}
		if won != 1 {
			t.Errorf("%d subjects got the account, want 1", won)
		}
	})
}

func TestEveryFaultHasAPage(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
		r := refusalOf(kind.Wrap(errors.New("inner detail"), ""), nil)
		if r.status < 400 || http.StatusText(r.status) == "" || r.sentence.IsZero() {
			t.Errorf("%s: status %d, sentence %q", kind, r.status, r.sentence)
		}
	}
}

// answerProfile is somebody of whom only the subject matters.
func answerProfile(kind, subject string) answer.Profile {
	return answer.Profile{SubjectKind: kind, Subject: subject, Email: subject + "@acme.example", UserName: subject}
}
