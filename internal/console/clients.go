package console

import (
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// DirectoryClients are what package scim does with a directory's OAuth clients. Made
// secrets are shown once.
type DirectoryClients struct {
	URLs   func(id store.DirectoryID) (endpoint, metadata string)
	List   func(tx *store.Tx, id store.DirectoryID) ([]Client, error)
	Create func(tx *store.Tx, id store.DirectoryID, in NewClient) (Client, string, error) // Faults: Invalid on "name", "jwks", "jwks_url", "expires", "allow"; Conflict
	// Rotate gives another secret, or takes the other keys in next. Faults: NotFound, Invalid on "grace", "jwks" or "jwks_url".
	Rotate func(tx *store.Tx, id store.DirectoryID, client string, grace time.Duration, next NewClient) (Client, string, error)
	Revoke func(tx *store.Tx, id store.DirectoryID, client string) error // Faults: NotFound
}

// Client is what the console shows of one.
type Client struct {
	ID, Name, SignsInBy, JWKSURL, Allow, LastUsedIP  string
	CreatedAt, ExpiresAt, PreviousEndsAt, LastUsedAt store.Time
	Ended                                            bool
}

// NewClient is what an admin chooses.
type NewClient struct {
	Name, Allow, JWKS, JWKSURL string
	Expires                    time.Duration // 0: never
}

// clientsPage is a directory's OAuth clients; right after making one it shows that.
type clientsPage struct {
	Org                web.Org
	Form               web.Form
	Directory          store.Directory
	Endpoint, Metadata string
	Clients            []Client
	Choices            []web.Option
	Expiry, Grace      []web.Option
	New                *Client
	Secret             string // shown this once
}

func (c *Console) clients(w http.ResponseWriter, r *http.Request) error {
	return c.showClients(w, r, http.StatusOK, clientsPage{})
}

func (c *Console) showClients(w http.ResponseWriter, r *http.Request, status int, p clientsPage) error {
	id, err := pathID[store.Directory](r.PathValue("directory"))
	if err != nil {
		return err
	}
	p.Org, p.Expiry, p.Grace = web.OrgOf(r), expiryOptions, graceOptions
	p.Endpoint, p.Metadata = c.opt.Clients.URLs(id)
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Directory, err = tx.Directory(id); err != nil {
			return err
		}
		p.Clients, err = c.opt.Clients.List(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, x := range p.Clients {
		p.Choices = append(p.Choices, web.Option{Value: x.ID, Label: x.Name})
	}
	return pages.Write(w, r, status, "clients", p)
}

// makeClient answers with the client and its secret. Not by a redirect: it is in no
// place from which a next page could show it.
func (c *Console) makeClient(do func(tx *store.Tx, id store.DirectoryID, f web.Form) (Client, string, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		var p clientsPage
		err = c.inDirectory(r, func(tx *store.Tx, id store.DirectoryID) error {
			made, secret, err := do(tx, id, f)
			p.New, p.Secret = &made, secret
			return err
		})
		if f.Take(err) {
			return c.showClients(w, r, web.Status(err), clientsPage{Form: f})
		}
		if err != nil {
			return err
		}
		return c.showClients(w, r, http.StatusOK, p)
	}
}

func (c *Console) createClient(tx *store.Tx, id store.DirectoryID, f web.Form) (Client, string, error) {
	expires, err := chosen(f, "expires", expiryOptions)
	if err != nil {
		return Client{}, "", err
	}
	return c.opt.Clients.Create(tx, id, NewClient{Name: f.Get("name"), Allow: f.Get("allow"), JWKS: f.Get("jwks"), JWKSURL: f.Get("jwks_url"), Expires: expires})
}

func (c *Console) rotateClient(tx *store.Tx, id store.DirectoryID, f web.Form) (Client, string, error) {
	grace, err := chosen(f, "grace", graceOptions)
	if err != nil {
		return Client{}, "", err
	}
	made, text, err := c.opt.Clients.Rotate(tx, id, f.Get("client"), grace, NewClient{JWKS: f.Get("new_jwks"), JWKSURL: f.Get("new_jwks_url")})
	if field := fault.Field(err); field == "jwks" || field == "jwks_url" { // as this form calls them
		err = fault.Invalid.On("new_"+field, "%s", fault.Public(err))
	}
	return made, text, err
}

func (c *Console) revokeClient(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.inDirectory(r, func(tx *store.Tx, id store.DirectoryID) error { return c.opt.Clients.Revoke(tx, id, f.Get("client")) }); err != nil {
		return err
	}
	web.Flash(w, "The client and its access tokens no longer work.")
	http.Redirect(w, r, base(r)+"/directories/"+r.PathValue("directory")+"/clients", http.StatusSeeOther)
	return nil
}
