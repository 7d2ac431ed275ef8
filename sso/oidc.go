package sso

import (
	"context"
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/oidc"
	"github.com/muster-id/muster/store"
)

// oidcLogin sends the browser to the provider: code flow, PKCE, nonce, state.
func (d *Door) oidcLogin(w http.ResponseWriter, r *http.Request, c Connection) error {
	t, p, err := d.start(w, r, c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	issuer, client, err := d.oidcClient(r.Context(), c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	p.Nonce = secret.NewToken()
	verifier := oidc.NewVerifier()
	if err := d.open(r.Context(), actorOf(c, web.Actor(r)), c, t, p, verifier); err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	ask := oidc.Request{State: t.handle, Nonce: p.Nonce, Verifier: verifier}
	if hint := r.URL.Query().Get("login_hint"); len(hint) <= 320 && cleanText(hint) {
		ask.LoginHint = hint
	}
	http.SetCookie(w, d.cookie(t.handle, t.browser, false))
	http.Redirect(w, r, issuer.AuthURL(client, ask), http.StatusSeeOther)
	return nil
}

// oidcCallback takes the provider's answer.
func (d *Door) oidcCallback(w http.ResponseWriter, r *http.Request, c Connection) error {
	q := r.URL.Query()
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(q[name]) > 1 {
			return d.refused(w, r, c, nil, fault.Invalid.Say("The identity provider's answer names %s twice.", name), nil)
		}
	}
	t := d.ticketOf(r, q.Get("state"))
	p, err := d.find(r.Context(), actorOf(c, web.Actor(r)), c, t)
	if closed := usable(c); closed != nil && p.Purpose != purposeTest {
		return d.refused(w, r, c, nil, closed, nil)
	}
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	r = ofPurpose(r, t, p)
	in, err := d.oidcAnswer(r, c, t, p, q)
	if err != nil {
		return d.refused(w, r, c, nil, err, in.trace)
	}
	return d.finish(w, r, c, t, in)
}

// oidcAnswer follows the answer to its end: code, tokens, claims.
func (d *Door) oidcAnswer(r *http.Request, c Connection, t ticket, p pending, q url.Values) (in answered, err error) {
	ctx := r.Context()
	issuer, client, err := d.oidcClient(ctx, c)
	if err != nil {
		return in, err
	}
	party, err := d.oidcParty(ctx, actorOf(c, web.Actor(r)), c)
	if err != nil {
		return in, err
	}
	code, err := issuer.CheckCallback(party, q, &in.trace)
	if err != nil {
		return in, err
	}
	verifier, err := d.opts.Key.Open(t.sealedAs(), p.Verifier)
	if err != nil {
		return in, err
	}
	now := d.opts.DB.Now()
	tokens, err := issuer.Exchange(ctx, party, client, code, string(verifier), now, &in.trace)
	if err != nil {
		return in, err
	}
	trialOf(r).keep(tokens.ID)
	id, trace, err := issuer.CheckIDToken(ctx, party, tokens.ID, oidc.Expect{Nonce: p.Nonce, AccessToken: tokens.Access, Now: now})
	in.trace = append(in.trace, trace...)
	if err != nil {
		return in, err
	}
	info, err := issuer.UserInfo(ctx, party, id, tokens.Access, &in.trace)
	if err != nil {
		return in, err
	}
	who := oidc.PersonOf(party, id.Claims, info)
	in.arrival = who
	in.id, in.idToken, in.until = string(id.Payload), tokens.ID, id.Until
	return in, nil
}

// oidcClient is the issuer as it describes itself and our client there.
func (d *Door) oidcClient(ctx context.Context, c Connection) (*oidc.Issuer, oidc.Client, error) {
	client := oidc.Client{ID: c.Config.ClientID, Redirect: d.URLs(c).Redirect, Scopes: c.Config.Scopes}
	issuer, err := d.issuers.Get(ctx, c.Issuer)
	if err != nil {
		return nil, client, err
	}
	if len(c.secret) > 0 {
		plain, err := d.opts.Key.Open(c.secretPlace(), c.secret)
		if err != nil {
			return nil, client, err
		}
		client.Secret = string(plain)
	}
	return issuer, client, nil
}

func (d *Door) oidcParty(ctx context.Context, actor access.Actor, c Connection) (oidc.Party, error) {
	p := oidc.Party{Vendor: c.Vendor, Issuer: c.Issuer, ClientID: c.Config.ClientID}
	err := d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		p.Domains, err = verifiedIn(tx)
		return err
	})
	return p, err
}
