package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

const (
	demoAdmin = "admin@acme.example"
	demoBegun = "demo.create" // activity that marks the organization as ours to fill
	demoDone  = "demo.finish"
)

// demo fills the organization acme through the same operations as everybody
// else: a directory pushes people through the SCIM handler, invitations are made
// and one is accepted, a connection signs people in. It marks what it makes, so
// that a second start changes nothing and a database with real people is refused.
type demo struct {
	*system
	ctx      context.Context
	org      store.Org
	actor    access.Actor
	password string
}

// fillDemo gives the password of demoAdmin. It is made from the server key, so
// that it can be told again and stands nowhere.
func fillDemo(ctx context.Context, s *system) (password string, err error) {
	made, err := hex.DecodeString(s.key.Derive("password of the demo's admin").String())
	if err != nil {
		return "", err
	}
	text := strings.ToLower(base32.StdEncoding.EncodeToString(made))
	d := &demo{system: s, ctx: ctx, password: text[:6] + "-" + text[6:12] + "-" + text[12:18]}
	done, err := d.begin()
	if err != nil || done {
		return d.password, err
	}
	for _, step := range []func() error{d.admin, d.directory, d.connection, d.invitations, d.team, d.finish} {
		if err := step(); err != nil {
			return "", fmt.Errorf("make the demo: %w", err)
		}
	}
	return d.password, nil
}

// begin makes the organization, or finds that it is there already.
func (d *demo) begin() (done bool, err error) {
	orgs, _, err := d.db.OrgPage(d.ctx, shell(""), store.OrgQuery{Limit: 499})
	if err != nil {
		return false, err
	}
	if len(orgs) == 0 {
		err = d.db.Write(d.ctx, shell(""), func(tx *store.Tx) (err error) {
			if d.org, err = tx.CreateOrg("acme", "Acme Inc"); err != nil {
				return err
			}
			return tx.Record(store.Activity{Action: demoBegun, TargetKind: "org", TargetID: string(d.org.ID), TargetName: d.org.Name})
		})
		d.actor = shell(string(d.org.ID))
		return false, err
	}
	if i := slices.IndexFunc(orgs, func(o store.Org) bool { return o.Slug == "acme" }); i >= 0 {
		d.org, d.actor = orgs[i], shell(string(orgs[i].ID))
		if done, err := d.recorded(demoDone); err != nil || done {
			return done, err
		}
		if begun, err := d.recorded(demoBegun); err != nil || begun {
			return false, errors.Join(err, fault.Conflict.Say("Making the demo was cut short the last time. Delete its data folder or database, and start again."))
		}
	}
	return false, fault.Conflict.Say("The demo wants an empty database, and this one has the organization %s. Give it a folder of its own: --data-dir ./muster-demo", orgs[0].Slug)
}

func (d *demo) recorded(action string) (found bool, err error) {
	err = d.db.Read(d.ctx, d.actor, func(tx *store.Tx) error {
		list, err := tx.Activities(store.ActivityQuery{Action: action, Limit: 1})
		found = len(list) > 0
		return err
	})
	return found, err
}

// admin is somebody to sign in as: invited and accepted, and an operator.
func (d *demo) admin() error {
	made, err := d.invites.Invite(d.ctx, d.actor, invite.In{Email: demoAdmin, GivenName: "Alex", FamilyName: "Admin", Role: access.Admin, Title: "IT administrator", Department: "IT"})
	if err != nil {
		return err
	}
	if _, err := d.invites.Accept(d.ctx, access.Actor{}, path.Base(made.Link), d.password); err != nil {
		return err
	}
	return d.db.Write(d.ctx, d.actor, func(tx *store.Tx) error {
		if err := d.sessions.EndAllOf(tx, made.UserID); err != nil { // nobody's browser
			return err
		}
		if err := d.sessions.MakeOperator(tx, made.UserID); err != nil {
			return err
		}
		d.actor, err = d.sessions.ActorOf(tx, made.UserID) // who has made the rest
		return err
	})
}

// demoPeople are what the directory sends. The last one has left.
var demoPeople = []struct{ given, family, title, department string }{
	{"Ada", "Lovelace", "Principal engineer", "Engineering"}, {"Grace", "Hopper", "Engineering director", "Engineering"},
	{"Katherine", "Johnson", "Analyst", "Research"}, {"Dorothy", "Vaughan", "Research lead", "Research"},
	{"Radia", "Perlman", "Network architect", "Engineering"}, {"Hedy", "Lamarr", "Inventor", "Research"},
	{"Annie", "Easley", "Developer", "Engineering"}, {"Margaret", "Hamilton", "Software lead", "Engineering"},
	{"Karen", "Spärck Jones", "Search engineer", "Engineering"}, {"Evelyn", "Boyd", "Mathematician", "Research"},
}

// directory pushes people and a group, as Okta does.
func (d *demo) directory() error {
	var dir store.Directory
	var token string
	err := d.db.Write(d.ctx, d.actor, func(tx *store.Tx) (err error) {
		dir, token, err = scim.Create(tx, scim.NewDirectory{Name: "Okta", Vendor: "okta"})
		return err
	})
	if err != nil {
		return err
	}
	type object = map[string]any
	members := []object{}
	var last string
	for i, p := range demoPeople {
		mail := strings.ToLower(p.given) + "@acme.example"
		made, err := d.push("POST", dir.ID, token, "/Users", object{
			"schemas":  []string{"urn:ietf:params:scim:schemas:core:2.0:User", store.EnterpriseURN},
			"userName": mail, "externalId": fmt.Sprintf("00u%05d", i), "active": true, "title": p.title,
			"name": object{"givenName": p.given, "familyName": p.family}, "displayName": p.given + " " + p.family,
			"emails":            []object{{"value": mail, "type": "work", "primary": true}},
			store.EnterpriseURN: object{"department": p.department, "employeeNumber": fmt.Sprint(1000 + i)},
		})
		if err != nil {
			return err
		}
		last = made.ID
		if p.department == "Engineering" {
			members = append(members, object{"value": made.ID})
		}
	}
	if _, err := d.push("POST", dir.ID, token, "/Groups", object{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"},
		"displayName": "Engineering", "members": members}); err != nil {
		return err
	}
	_, err = d.push("PATCH", dir.ID, token, "/Users/"+last, object{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []object{{"op": "replace", "value": object{"active": false}}}})
	return err
}

// answer is a response that stays in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	ID     string `json:"id"`
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// push sends one SCIM request through our own routes.
func (d *demo) push(method string, dir store.DirectoryID, token, to string, body any) (*answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(d.ctx, method, scim.BaseURL(d.url, dir)+to, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = "127.0.0.1:0"
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/scim+json")
	a := &answer{header: http.Header{}, status: http.StatusOK}
	d.mux.ServeHTTP(a, r)
	if a.status >= 300 {
		return nil, fmt.Errorf("%s %s: %d %s", method, to, a.status, a.body.String())
	}
	return a, json.Unmarshal(a.body.Bytes(), a)
}

// connection is one to an imaginary provider, with two people who came through it.
func (d *demo) connection() error {
	metadata, err := imaginaryProvider()
	if err != nil {
		return err
	}
	c, err := d.sso.CreateConnection(d.ctx, d.actor, sso.NewConnection{Protocol: "saml", Vendor: "okta", Name: "Acme sign-in", Accounts: "jit", Activate: true, Metadata: metadata})
	if err != nil {
		return err
	}
	if _, err := d.sso.AddDomain(d.ctx, d.actor, sso.NewDomain{Domain: "acme.example", Connection: c.ID}); err != nil {
		return err
	}
	through := access.Actor{Kind: access.Connection, Org: string(d.org.ID), ID: string(c.ID), Name: c.Name}
	return d.db.Write(d.ctx, through, func(tx *store.Tx) error {
		for _, p := range []store.Profile{
			{UserName: "joan@acme.example", Email: "joan@acme.example", GivenName: "Joan", FamilyName: "Clarke", Department: "Security"},
			{UserName: "mary@acme.example", Email: "mary@acme.example", GivenName: "Mary", FamilyName: "Jackson", Department: "Research"},
		} {
			u, err := tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromJIT, Status: store.Active})
			if err != nil {
				return err
			}
			if err := tx.SignedIn(u.ID, "saml"); err != nil {
				return err
			}
			if err := tx.Record(store.Activity{Action: "user.signin", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
				Detail: map[string]any{"method": "saml"}}); err != nil {
				return err
			}
		}
		return nil
	})
}

// imaginaryProvider is the metadata of an identity provider that nobody runs: its
// key is thrown away here, so nobody can sign in through it either.
func imaginaryProvider() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp.acme.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(5, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	return fmt.Appendf(nil, `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.acme.example/saml">
<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor use="signing">
<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.acme.example/saml/sso"/>
</IDPSSODescriptor></EntityDescriptor>`, base64.StdEncoding.EncodeToString(der)), err
}

// invitations are pending ones, and one whose time is over: its link was made to
// live no time at all.
func (d *demo) invitations() error {
	brief := invite.New(invite.Options{DB: d.db, Sessions: d.sessions, Passwords: d.passwords, Queue: d.mail.Queue, PublicURL: d.url, TTL: time.Nanosecond})
	for _, one := range []struct {
		door *invite.Door
		in   invite.In
	}{
		{d.invites, invite.In{Email: "edith@partner.example", GivenName: "Edith", FamilyName: "Clarke", Title: "Consultant"}},
		{d.invites, invite.In{Email: "lise@partner.example", GivenName: "Lise", FamilyName: "Meitner", Role: access.Viewer}},
		{brief, invite.In{Email: "emmy@partner.example", GivenName: "Emmy", FamilyName: "Noether"}},
	} {
		if _, err := one.door.Invite(d.ctx, d.actor, one.in); err != nil {
			return err
		}
	}
	return nil
}

// team makes a local group with people from every door, and one that holds it and
// the directory's group.
func (d *demo) team() error {
	return d.db.Write(d.ctx, d.actor, func(tx *store.Tx) error {
		var members []store.UserID
		for _, name := range []string{demoAdmin, "ada@acme.example", "joan@acme.example", "edith@partner.example"} {
			u, err := tx.UserByName(name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			members = append(members, u.ID)
		}
		support, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Support"}, Members: members})
		if err != nil {
			return err
		}
		groups, err := tx.Groups()
		if err != nil {
			return err
		}
		inside := []store.UserID{store.UserID(support.ID)}
		for _, g := range groups {
			if g.DirectoryID != "" {
				inside = append(inside, store.UserID(g.ID))
			}
		}
		_, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Whole company"}, Members: inside})
		return err
	})
}

func (d *demo) finish() error {
	return d.db.Write(d.ctx, d.actor, func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: demoDone, TargetKind: "org", TargetID: string(d.org.ID), TargetName: d.org.Name})
	})
}
