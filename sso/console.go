package sso

import (
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

type connectionsPage struct {
	Org         string // slug
	Connections []connectionLine
	Domains     []domainLine
}

type connectionLine struct {
	Path, Name, Protocol, Vendor, Status, Accounts string
}

type domainLine struct {
	Name, TXTName, TXTValue string
	Verified                bool
	Since                   time.Time
}

// connectionPage is the overview of one connection.
type connectionPage struct {
	deskPage
	ID               ConnectionID
	Line             connectionLine
	Issuer, ClientID string
	Copy             []copyField
	Created          time.Time
	Certificates     []certificateLine
	Passed           store.Time // when the last test passed; 0: never
	Tested           bool       // recently enough to activate
	Form             web.Form
	Activity         string // where its sign-ins are
	Notes            []web.Said
}

type copyField struct {
	ID          string
	Label, Help web.Said
	Value       string
}

// accountsText says what the words of the command line mean.
var accountsText = map[string]string{
	accountsJIT:      "Created on first sign-in",
	accountsExisting: "Must exist",
	accountsSCIM:     "Must come from the directory",
}

func lineOf(slug string, c Connection) connectionLine {
	protocol := "SAML 2.0"
	if c.Protocol == protocolOIDC {
		protocol = "OpenID Connect"
	}
	return connectionLine{Path: "/console/" + slug + "/connections/" + string(c.ID), Name: c.Name, Protocol: protocol, Vendor: c.Vendor,
		Status: c.Status, Accounts: accountsText[c.Accounts]}
}

func (d *Door) showConnections(w http.ResponseWriter, r *http.Request) error {
	list, err := d.Connections(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	domains, err := d.Domains(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	page := connectionsPage{Org: web.OrgOf(r).Slug}
	for _, c := range list {
		page.Connections = append(page.Connections, lineOf(page.Org, c))
	}
	for _, v := range domains {
		page.Domains = append(page.Domains, domainLine{Name: v.Domain, TXTName: v.TXTName(), TXTValue: v.TXTValue(), Verified: v.Verified(), Since: v.VerifiedAt.Time()})
	}
	return pages.Write(w, r, http.StatusOK, "connections", page)
}

func (d *Door) showConnection(w http.ResponseWriter, r *http.Request, k desk) error {
	return d.connectionPage(w, r, k, http.StatusOK, web.Form{})
}

func (d *Door) connectionPage(w http.ResponseWriter, r *http.Request, k desk, status int, f web.Form) error {
	p, err := d.page(r, k, "")
	if err != nil {
		return err
	}
	slug, c := web.OrgOf(r).Slug, k.c
	p.Up, p.UpName = "/console/"+slug+"/connections", web.T(r, "All connections")
	page := connectionPage{deskPage: p, ID: c.ID, Line: lineOf(slug, c), Issuer: c.Issuer, ClientID: c.Config.ClientID, Copy: d.copyFields(c), Created: c.CreatedAt.Time(), Notes: c.Notes(d.opts.DB.Now()),
		Form: f, Activity: "/console/" + slug + "/activity"}
	var ders [][]byte
	err = d.opts.DB.Read(r.Context(), k.actor, func(tx *store.Tx) (err error) {
		if page.Passed, err = d.TestPassed(tx, c.ID); err != nil {
			return err
		}
		page.Tested = page.Passed > tx.Now().Add(-testCounts)
		ders, err = certificatesIn(tx, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	certs, err := saml.ParseCertificates(ders)
	if err != nil && len(ders) > 0 {
		return err
	}
	for _, cert := range certs {
		page.Certificates = append(page.Certificates, certificateOf(cert, d.opts.DB.Now()))
	}
	allowCopying(w)
	return pages.Write(w, r, status, "connection", page)
}

// activateHere opens a connection that was tested, or that somebody says they need
// not test.
func (d *Door) activateHere(w http.ResponseWriter, r *http.Request, k desk) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = d.opts.DB.Write(r.Context(), k.actor, func(tx *store.Tx) error {
		return d.activateTested(tx, k.c, f.Get("untested") == "yes")
	})
	if f.Take(err) {
		return d.connectionPage(w, r, k, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "%s is open: people can sign in over it.", k.c.Name))
	http.Redirect(w, r, k.base, http.StatusSeeOther)
	return nil
}

// activateTested opens a connection whose newest settings passed a test within a day.
// Faults: Denied, NotFound, Conflict.
func (d *Door) activateTested(tx *store.Tx, c Connection, untested bool) error {
	passed, err := d.TestPassed(tx, c.ID)
	if err != nil {
		return err
	}
	tested := passed > tx.Now().Add(-testCounts)
	if !tested && !untested {
		return fault.Conflict.On("untested", "No test of %s as it is set now passed within the last 24 hours. Test it, or say that you activate it without one.", c.Name)
	}
	if _, err := statusIn(tx, c.ID, statusActive); err != nil || tested {
		return err
	}
	return tx.Record(store.Activity{Action: "connection.untested", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name})
}

func (d *Door) disableHere(w http.ResponseWriter, r *http.Request, k desk) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	do := d.Disable
	if f.Get("anyway") == "yes" {
		do = d.DisableAnyway
	}
	_, err = do(r.Context(), k.actor, k.c.ID)
	if f.Take(err) {
		return d.connectionPage(w, r, k, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "%s is closed: nobody can sign in over it, and the sessions that came of it have ended.", k.c.Name))
	http.Redirect(w, r, k.base, http.StatusSeeOther)
	return nil
}

// copyFields are what the administrator enters at the provider, under the names
// that providers use.
func (d *Door) copyFields(c Connection) []copyField {
	u := d.URLs(c)
	login := copyField{"login", web.Say("Login URL"), web.Say("Where people of this organization start; for a tile or a bookmark."), u.Login}
	if c.Protocol == protocolOIDC {
		login.Help = web.Say("Where people of this organization start; also the initiate login URI for a tile at the provider.")
		return []copyField{
			{"redirect", web.Say("Redirect URL"), web.Say("Also called callback or sign-in redirect URI. Enter it exactly so."), u.Redirect},
			login,
			{"signed-out", web.Say("Sign-out redirect URL"), web.Say("Also called post-logout redirect URI; where people come back to after signing out there."), u.SignedOut},
			{"backchannel", web.Say("Back-channel logout URL"), web.Say("Where the provider says that somebody signed out there. Session required can be on."), u.BackChannel},
			{"frontchannel", web.Say("Front-channel logout URL"), web.Say("For providers without back-channel logout. Session required must be on."), u.FrontChannel},
			{"jwks", web.Say("Key set URL (JWKS)"), web.Say("Only for client authentication with a key (private_key_jwt)."), u.JWKS},
		}
	}
	return []copyField{
		{"acs", web.Say("Single sign-on URL (ACS)"), web.Say("Also called Reply URL, Recipient or Destination."), u.ACS},
		{"entity", web.Say("Audience URI (entity ID)"), web.Say("Also called Identifier or SP entity ID."), u.EntityID},
		{"metadata", web.Say("Metadata URL"), web.Say("Identity providers that read metadata need this alone."), u.Metadata},
		login,
	}
}
