package console

import (
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// DirectoryTokens are what package scim does with a directory's tokens. Made tokens
// are shown once.
type DirectoryTokens struct {
	List   func(tx *store.Tx, id store.DirectoryID) ([]Token, error)
	Create func(tx *store.Tx, id store.DirectoryID, in NewToken) (string, error)                       // Faults: Invalid on "name", "expires", "allow"; Conflict
	Rotate func(tx *store.Tx, id store.DirectoryID, token string, grace time.Duration) (string, error) // an empty token: all. Faults: NotFound, Invalid on "grace"
	Revoke func(tx *store.Tx, id store.DirectoryID, token string) error                                // Faults: NotFound
}

// Token is what the console shows of one.
type Token struct {
	ID, Name, Allow, LastUsedIP      string
	CreatedAt, ExpiresAt, LastUsedAt store.Time
	Ended                            bool
}

// NewToken is what an admin chooses.
type NewToken struct {
	Name, Allow string
	Expires     time.Duration // 0: never
}

// directoryPage is one directory; right after making a token it shows that.
type directoryPage struct {
	Org           web.Org
	Form          web.Form
	Directory     store.Directory
	Vendor, URL   string
	Tokens        []Token
	Expiry, Grace []web.Option
	Token         string       // shown this once
	Choices       []web.Option // which token to replace
	HasLog        bool
	HasClients    bool
	HasSettings   bool
}

var expiryOptions = []web.Option{{Value: "0s", Label: "When it is revoked"}, {Value: "720h", Label: "After 30 days"}, {Value: "2160h", Label: "After 90 days"}, {Value: "8760h", Label: "After a year"}}

var graceOptions = []web.Option{{Value: "24h", Label: "A day"}, {Value: "168h", Label: "A week"}, {Value: "1h", Label: "An hour"}, {Value: "0s", Label: "They end now"}}

// inDirectory runs f on the directory of the URL, in one transaction.
func (c *Console) inDirectory(r *http.Request, f func(tx *store.Tx, id store.DirectoryID) error) error {
	id, err := pathID[store.Directory](r.PathValue("directory"))
	if err != nil {
		return err
	}
	return c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if _, err := tx.Directory(id); err != nil {
			return err
		}
		return f(tx, id)
	})
}

func (c *Console) directory(w http.ResponseWriter, r *http.Request) error {
	return c.showDirectory(w, r, http.StatusOK, directoryPage{})
}

func (c *Console) showDirectory(w http.ResponseWriter, r *http.Request, status int, p directoryPage) error {
	id, err := pathID[store.Directory](r.PathValue("directory"))
	if err != nil {
		return err
	}
	p.Org, p.Expiry, p.Grace, p.URL = web.OrgOf(r), expiryOptions, graceOptions, c.url(id)
	p.HasLog, p.HasSettings, p.HasClients = c.opt.Requests != nil, c.opt.Settings.Of != nil, c.opt.Clients.List != nil
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Directory, err = tx.Directory(id); err != nil {
			return err
		}
		p.Tokens, err = c.opt.Tokens.List(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	p.Choices = []web.Option{{Value: "", Label: "All of them"}}
	for _, t := range p.Tokens {
		if !t.Ended {
			p.Choices = append(p.Choices, web.Option{Value: t.ID, Label: t.Name})
		}
	}
	p.Vendor = p.Directory.Vendor
	for _, v := range c.opt.Vendors {
		if v.Value == p.Directory.Vendor {
			p.Vendor = v.Label
		}
	}
	return pages.Write(w, r, status, "directory", p)
}

// makeToken answers with the token. Not by a redirect: it is in no place from which
// a next page could show it.
func (c *Console) makeToken(do func(tx *store.Tx, id store.DirectoryID, f web.Form) (string, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		var token string
		err = c.inDirectory(r, func(tx *store.Tx, id store.DirectoryID) (err error) {
			token, err = do(tx, id, f)
			return err
		})
		if f.Take(err) {
			return c.showDirectory(w, r, web.Status(err), directoryPage{Form: f})
		}
		if err != nil {
			return err
		}
		return c.showDirectory(w, r, http.StatusOK, directoryPage{Token: token})
	}
}

func (c *Console) createToken(tx *store.Tx, id store.DirectoryID, f web.Form) (string, error) {
	expires, err := chosen(f, "expires", expiryOptions)
	if err != nil {
		return "", err
	}
	return c.opt.Tokens.Create(tx, id, NewToken{Name: f.Get("name"), Allow: f.Get("allow"), Expires: expires})
}

func (c *Console) rotateToken(tx *store.Tx, id store.DirectoryID, f web.Form) (string, error) {
	grace, err := chosen(f, "grace", graceOptions)
	if err != nil {
		return "", err
	}
	return c.opt.Tokens.Rotate(tx, id, f.Get("token"), grace)
}

// chosen is the time that one of the options stands for.
func chosen(f web.Form, field string, options []web.Option) (time.Duration, error) {
	for _, o := range options {
		if o.Value == f.Get(field) {
			return time.ParseDuration(o.Value)
		}
	}
	return 0, fault.Invalid.On(field, "Choose one of the times that are offered.")
}

func (c *Console) revokeToken(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if err := c.inDirectory(r, func(tx *store.Tx, id store.DirectoryID) error { return c.opt.Tokens.Revoke(tx, id, f.Get("token")) }); err != nil {
		return err
	}
	web.Flash(w, "The token no longer works.")
	http.Redirect(w, r, base(r)+"/directories/"+r.PathValue("directory"), http.StatusSeeOther)
	return nil
}
