package sso

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/oidc"
	"github.com/muster-id/muster/store"
)

// maxOIDCForm bounds what is posted to these addresses: a code, a hint, a token.
const maxOIDCForm = 64 << 10

// oidcParams are the parameters of a request, each at most once: of the address,
// or of the body of a post.
func oidcParams(w http.ResponseWriter, r *http.Request, once ...string) (url.Values, error) {
	q := r.URL.Query()
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxOIDCForm)
		if err := r.ParseForm(); err != nil {
			return nil, fault.Invalid.Wrap(err, "The identity provider's message is too long or damaged.")
		}
		q = r.PostForm
	}
	for _, name := range once {
		if len(q[name]) > 1 {
			return nil, fault.Invalid.Say("The identity provider's answer names %s twice.", name)
		}
	}
	return q, nil
}

// oidcLogin sends the browser to the provider: code flow, PKCE, nonce, state. It is
// also the address to which a provider sends people of its own accord (OpenID
// Connect Core 1.0 §4).
func (d *Door) oidcLogin(w http.ResponseWriter, r *http.Request, c Connection) error {
	q, err := oidcParams(w, r, "iss", "login_hint", "target_link_uri")
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	if q.Has("iss") && q.Get("iss") != c.Issuer {
		return d.refused(w, r, c, nil, refuse(http.StatusBadRequest, "iss", web.Say("This sign-in belongs to another identity provider. Start again from your own sign-in page."),
			web.Say("The provider that started the sign-in calls itself %s; this connection is for %s.", answer.Clip(q.Get("iss"), 200), c.Issuer)), nil)
	}
	t, p, err := d.start(w, r, c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	if target := q.Get("target_link_uri"); target != "" {
		p.ReturnTo = web.Local(strings.TrimPrefix(target, d.opts.PublicURL)) // of another site: our own first page
	}
	issuer, client, err := d.oidcClient(r.Context(), actorOf(c, web.Actor(r)), c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	asked := c.oidcAsked(q)
	if p.Asked, err = json.Marshal(asked); err != nil {
		return err
	}
	p.Nonce = secret.NewToken()
	verifier := oidc.NewVerifier()
	if err := d.open(r.Context(), actorOf(c, web.Actor(r)), c, t, p, verifier); err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	ask := c.oidcRequest(asked)
	ask.State, ask.Nonce, ask.Verifier = t.handle, p.Nonce, verifier
	if hint := q.Get("login_hint"); len(hint) <= 320 && cleanText(hint) {
		ask.LoginHint = hint
	}
	http.SetCookie(w, d.cookie(t.handle, t.browser, ask.FormPost))
	http.Redirect(w, r, issuer.AuthURL(client, ask), http.StatusSeeOther)
	return nil
}

// oidcAsked is what a request demanded and its answer must show, as it was when it
// was sent.
type oidcAsked struct {
	Fresh  bool     `json:"fresh,omitempty"`
	MaxAge int      `json:"max_age,omitempty"` // seconds
	ACR    []string `json:"acr,omitempty"`
}

// oidcAsked reads the settings, and prompt=login of the login URL.
func (c Connection) oidcAsked(q url.Values) oidcAsked {
	asked := oidcAsked{Fresh: c.Config.Prompt == promptLogin || q.Get("prompt") == promptLogin, MaxAge: c.Config.MaxAge}
	if c.Config.ACRRequired {
		asked.ACR = c.Config.ACRValues
	}
	return asked
}

// oidcRequest is what the settings make of a request.
func (c Connection) oidcRequest(asked oidcAsked) oidc.Request {
	ask := oidc.Request{DomainHint: c.Config.DomainHint, HostedDomain: c.Config.HostedDomain, ACR: c.Config.ACRValues, FormPost: c.Config.ResponseMode == modeFormPost}
	if c.Config.Prompt != authAuto {
		ask.Prompt = c.Config.Prompt
	}
	if age := time.Duration(asked.MaxAge) * time.Second; age > 0 {
		ask.MaxAge = &age
	}
	if asked.Fresh {
		ask.Prompt, ask.MaxAge = promptLogin, new(time.Duration) // 0 obliges the provider to say when
	}
	return ask
}

// oidcExpect is what the answer to a pending request has to show.
func oidcExpect(p pending, now time.Time) (oidc.Expect, error) {
	var asked oidcAsked
	if err := json.Unmarshal(p.Asked, &asked); err != nil {
		return oidc.Expect{}, fmt.Errorf("pending sign-in: %w", err)
	}
	e := oidc.Expect{Nonce: p.Nonce, Now: now, ACR: asked.ACR}
	if asked.MaxAge > 0 {
		e.Since = now.Add(-time.Duration(asked.MaxAge) * time.Second)
	}
	if asked.Fresh {
		e.Since = p.CreatedAt.Time()
	}
	return e, nil
}

// oidcCallback takes the provider's answer, in the address or as a form post.
func (d *Door) oidcCallback(w http.ResponseWriter, r *http.Request, c Connection) error {
	q, err := oidcParams(w, r, "state", "code", "iss", "error", "error_description")
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	t := d.ticketOf(r, q.Get("state"))
	if r.Method == http.MethodPost && t.handle != "" && t.browser == "" && !q.Has("resent") && fromElsewhere(r) {
		again := url.Values{"resent": {"1"}}
		for _, name := range []string{"state", "code", "iss", "error", "error_description"} {
			if q.Has(name) {
				again[name] = q[name]
			}
		}
		return post(w, r, "'self'", postPage{Title: web.Say("Signing you in"), Text: web.Say("One moment: your sign-in is being completed."), Action: r.URL.Path, Fields: again})
	}
	p, err := d.find(r.Context(), actorOf(c, web.Actor(r)), c, t)
	if closed := usable(c); closed != nil && p.Purpose != purposeTest {
		return d.refused(w, r, c, nil, closed, nil)
	}
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	r, c = ofPurpose(r, t, p), c.forPurpose(p.Purpose)
	in, err := d.oidcAnswer(r, c, t, p, q)
	if err != nil {
		return d.refused(w, r, c, nil, err, in.trace)
	}
	in.pending = p
	return d.finish(w, r, c, t, in)
}

// oidcAnswer follows the answer to its end: code, tokens, claims.
func (d *Door) oidcAnswer(r *http.Request, c Connection, t ticket, p pending, q url.Values) (in answered, err error) {
	ctx := r.Context()
	issuer, client, err := d.oidcClient(ctx, actorOf(c, web.Actor(r)), c)
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
	expect, err := oidcExpect(p, now)
	if err != nil {
		return in, err
	}
	expect.AccessToken = tokens.Access
	id, trace, err := issuer.CheckIDToken(ctx, party, tokens.ID, expect)
	in.trace = append(in.trace, trace...)
	if err != nil {
		return in, err
	}
	info, err := issuer.UserInfo(ctx, party, id, tokens.Access, &in.trace)
	if err != nil {
		return in, err
	}
	who := oidc.PersonOf(party, id.Claims, info)
	if end := id.Claims.At("exp"); c.Config.EndWithToken && (who.SessionNotOnOrAfter.IsZero() || end.Before(who.SessionNotOnOrAfter)) {
		who.SessionNotOnOrAfter = end
	}
	in.arrival = who
	in.id, in.idToken, in.sub, in.until = string(id.Payload), tokens.ID, id.Claims.Text("sub"), id.Until
	return in, nil
}

// oidcClient is the issuer as it describes itself and our client there.
func (d *Door) oidcClient(ctx context.Context, actor access.Actor, c Connection) (*oidc.Issuer, oidc.Client, error) {
	client := oidc.Client{ID: c.Config.ClientID, Redirect: d.URLs(c).Redirect, Scopes: c.Config.Scopes}
	if c.Config.ClientAuth != authAuto {
		client.Auth = c.Config.ClientAuth
	}
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
	if client.Auth == oidc.AuthPrivateKey {
		client.Key, err = d.signingKey(ctx, actor, c)
	}
	return issuer, client, err
}

// oidcParty is what the checks know about both sides.
func (d *Door) oidcParty(ctx context.Context, actor access.Actor, c Connection) (oidc.Party, error) {
	p := oidc.Party{Vendor: c.Vendor, Issuer: c.Issuer, ClientID: c.Config.ClientID, Algorithms: c.Config.Algorithms,
		HostedDomain: c.Config.HostedDomain, GroupsClaim: c.Config.GroupsClaim}
	err := d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		p.Domains, err = verifiedIn(tx)
		return err
	})
	return p, err
}
