package sso

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/oidc"
)

// clientKeysPage is where the keys by which we prove ourselves to an OpenID provider are
// exchanged.
type clientKeysPage struct {
	deskPage
	Keys    []ClientKey
	Waiting bool // a new key is published and does not sign yet
	Signs   bool // the connection proves itself with a key
	JWKS    string
	Form    web.Form
}

func (d *Door) mountClientKeys(m *web.Mux) {
	const at = "/console/{org}/connections/{connection}/client-keys"
	m.Console(access.Configure, "GET "+at, d.atConsole(d.showClientKeys))
	m.ConsoleFresh(access.Configure, "POST "+at, d.atConsole(d.rollClientKeyHere))
}

func (d *Door) showClientKeys(w http.ResponseWriter, r *http.Request, k desk) error {
	if k.c.Protocol != protocolOIDC { // its keys are on another page
		http.Redirect(w, r, k.base+"/upkeep", http.StatusSeeOther)
		return nil
	}
	return d.clientKeysPage(w, r, k, http.StatusOK, web.Form{})
}

func (d *Door) clientKeysPage(w http.ResponseWriter, r *http.Request, k desk, status int, f web.Form) error {
	p, err := d.page(r, k, "client-keys")
	if err != nil {
		return err
	}
	page := clientKeysPage{deskPage: p, Signs: k.c.Config.ClientAuth == oidc.AuthPrivateKey, JWKS: d.URLs(k.c).JWKS, Form: f}
	if page.Keys, err = d.ClientKeys(r.Context(), k.actor, k.c.ID); err != nil {
		return err
	}
	for _, key := range page.Keys {
		page.Waiting = page.Waiting || key.State == "next"
	}
	return pages.Write(w, r, status, "clientkeys", page)
}

func (d *Door) rollClientKeyHere(w http.ResponseWriter, r *http.Request, k desk) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	atOnce := f.Get("now") == "yes"
	_, err = d.RollClientKey(r.Context(), k.actor, k.c.ID, atOnce)
	if f.Take(err) {
		return d.clientKeysPage(w, r, k, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	said := web.T(r, "The new key is published. It signs from tomorrow on.")
	if atOnce {
		said = web.T(r, "The new key is published, and signs from now on.")
	}
	web.Flash(w, said)
	http.Redirect(w, r, k.base+"/client-keys", http.StatusSeeOther)
	return nil
}
