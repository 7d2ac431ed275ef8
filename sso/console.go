package sso

import (
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/web"
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

type connectionPage struct {
	Org              string
	Line             connectionLine
	Issuer, ClientID string
	Warning          string
	Copy             []copyField
	Created          time.Time
	Certificates     []certificateLine
}

type copyField struct{ ID, Label, Help, Value string }

type certificateLine struct {
	Fingerprint string
	NotAfter    time.Time
	Expired     bool
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

func (d *Door) showConnection(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	var c Connection
	var certs []certificateRow
	err = d.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if c, err = connectionIn(tx, id); err != nil {
			return err
		}
		certs, err = certificateLinesIn(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	page := connectionPage{Org: web.OrgOf(r).Slug, Line: lineOf(web.OrgOf(r).Slug, c), Issuer: c.Issuer, ClientID: c.Config.ClientID,
		Copy: d.copyFields(c), Created: c.CreatedAt.Time()}
	for _, row := range certs {
		page.Certificates = append(page.Certificates, certificateLine{Fingerprint: row.Fingerprint, NotAfter: row.NotAfter.Time(), Expired: row.NotAfter < store.TimeOf(d.opts.DB.Now())})
	}
	return pages.Write(w, r, http.StatusOK, "connection", page)
}

// copyFields are what the administrator enters at the provider, under the names
// that providers use.
func (d *Door) copyFields(c Connection) []copyField {
	u := d.URLs(c)
	login := copyField{"login", "Login URL", "Where people of this organization start; for a tile or a bookmark.", u.Login}
	if c.Protocol == protocolOIDC {
		login.Help = "Where people of this organization start; also the initiate login URI for a tile at the provider."
		return []copyField{
			{"redirect", "Redirect URL", "Also called callback or sign-in redirect URI. Enter it exactly so.", u.Redirect},
			login,
			{"signed-out", "Sign-out redirect URL", "Also called post-logout redirect URI; where people come back to after signing out there.", u.SignedOut},
			{"backchannel", "Back-channel logout URL", "Where the provider says that somebody signed out there. Session required can be on.", u.BackChannel},
			{"frontchannel", "Front-channel logout URL", "For providers without back-channel logout. Session required must be on.", u.FrontChannel},
			{"jwks", "Key set URL (JWKS)", "Only for client authentication with a key (private_key_jwt).", u.JWKS},
		}
	}
	return []copyField{
		{"acs", "Single sign-on URL (ACS)", "Also called Reply URL, Recipient or Destination.", u.ACS},
		{"entity", "Audience URI (entity ID)", "Also called Identifier or SP entity ID.", u.EntityID},
		{"metadata", "Metadata URL", "Identity providers that read metadata need this alone.", u.Metadata},
		login,
	}
}
