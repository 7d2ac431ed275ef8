package sso

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// oidcLogin sends the browser to the provider: code flow, PKCE, nonce, state.
func (d *Door) oidcLogin(w http.ResponseWriter, r *http.Request, c Connection) error {
	t, p, err := d.start(w, r, c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	_, client, err := d.oidcClient(r.Context(), c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	p.Nonce = secret.NewToken()
	verifier := oauth2.GenerateVerifier()
	if err := d.open(r.Context(), actorOf(c, web.Actor(r)), c, t, p, verifier); err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(verifier)}
	if hint := r.URL.Query().Get("login_hint"); hint != "" && len(hint) <= 320 && cleanText(hint) {
		options = append(options, oauth2.SetAuthURLParam("login_hint", hint))
	}
	http.SetCookie(w, d.cookie(t.handle, t.browser, false))
	http.Redirect(w, r, client.AuthCodeURL(t.handle, options...), http.StatusSeeOther)
	return nil
}

// oidcCallback takes the provider's answer.
func (d *Door) oidcCallback(w http.ResponseWriter, r *http.Request, c Connection) error {
	q := r.URL.Query()
	if err := usable(c); err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(q[name]) > 1 {
			return d.refused(w, r, c, nil, fault.Invalid.Say("The identity provider's answer names %s twice.", name), nil)
		}
	}
	t := d.ticketOf(r, q.Get("state"))
	p, err := d.find(r.Context(), actorOf(c, web.Actor(r)), c, t)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
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
	if err := checkCallback(&in.trace, c, issuer, q); err != nil {
		return in, err
	}
	verifier, err := d.opts.Key.Open(t.sealedAs(), p.Verifier)
	if err != nil {
		return in, err
	}
	accessToken, idToken, err := d.issuers.exchange(ctx, client, q.Get("code"), string(verifier), &in.trace)
	if err != nil {
		return in, err
	}
	party, err := d.oidcParty(ctx, actorOf(c, web.Actor(r)), c, issuer)
	if err != nil {
		return in, err
	}
	claims, trace, err := checkIDToken(ctx, party, idToken, oidcExpect{Nonce: p.Nonce, AccessToken: accessToken, Now: d.opts.DB.Now()})
	in.trace = append(in.trace, trace...)
	if err != nil {
		return in, err
	}
	info, err := d.missing(ctx, issuer, claims, accessToken, &in.trace)
	if err != nil {
		return in, err
	}
	in.arrival = oidcArrival(party, claims, info)
	in.id, in.idToken, in.until = idToken, idToken, claims.at("exp").Add(oidcSkew)
	return in, nil
}

// checkCallback looks at the answer before its code is used.
func checkCallback(trace *answer.Trace, c Connection, issuer *oidcIssuer, q url.Values) error {
	// Whoever mixes two providers up sends the code of one to the other (RFC 9207 §2.4).
	iss := q.Get("iss")
	if !trace.Add(answer.Check{Name: "iss parameter", Expected: c.Issuer, Got: iss, OK: iss == c.Issuer || iss == "" && !issuer.sendsIss}) {
		return errIDToken
	}
	if code := q.Get("error"); code != "" {
		trace.Add(answer.Check{Name: "error parameter", Expected: "none", Got: code + ": " + q.Get("error_description"), Hint: oidcErrorHints[code]})
		if code == "access_denied" {
			return fault.SignIn.Say("The sign-in was cancelled, or your identity provider did not allow it.")
		}
		return fault.SignIn.Say("Your identity provider could not sign you in.")
	}
	if !trace.Add(answer.Check{Name: "code", Expected: "a code", Got: "nothing", OK: q.Get("code") != ""}) {
		return errIDToken
	}
	(*trace)[len(*trace)-1].Got = "a code" // the code itself is a secret
	return nil
}

// oidcErrorHints say what an administrator can change (RFC 6749 §4.1.2.1).
var oidcErrorHints = map[string]string{
	"access_denied":           "Assign the person to the application at the identity provider.",
	"invalid_scope":           "Allow the scopes of this connection for the application at the identity provider.",
	"unauthorized_client":     "Allow the authorization code flow for the application at the identity provider.",
	"invalid_request":         "Enter the redirect URL of this connection exactly at the identity provider.",
	"server_error":            "Look into the identity provider's own log.",
	"temporarily_unavailable": "The identity provider is overloaded or being maintained.",
}

// oidcClient is the issuer as it describes itself and our client there.
func (d *Door) oidcClient(ctx context.Context, c Connection) (*oidcIssuer, *oauth2.Config, error) {
	issuer, err := d.issuers.get(ctx, c.Issuer)
	if err != nil {
		return nil, nil, err
	}
	var clientSecret []byte
	if len(c.secret) > 0 {
		if clientSecret, err = d.opts.Key.Open(c.secretPlace(), c.secret); err != nil {
			return nil, nil, err
		}
	}
	return issuer, issuer.oauth(c.Config.ClientID, string(clientSecret), d.URLs(c).Redirect, c.Config.Scopes), nil
}

func (d *Door) oidcParty(ctx context.Context, actor access.Actor, c Connection, issuer *oidcIssuer) (oidcParty, error) {
	p := oidcParty{Vendor: c.Vendor, Issuer: c.Issuer, ClientID: c.Config.ClientID, Algorithms: issuer.algorithms, Keys: issuer.keys}
	err := d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		p.Domains, err = verifiedIn(tx)
		return err
	})
	return p, err
}

// missing asks userinfo when the ID token lacks what an account needs. That it
// does not answer is noted; that it speaks of somebody else is refused (OpenID
// Connect Core 1.0 §5.3.2).
func (d *Door) missing(ctx context.Context, issuer *oidcIssuer, id oidcClaims, accessToken string, trace *answer.Trace) (oidcClaims, error) {
	if issuer.userinfo == "" || id.has("email") && (id.has("name") || id.has("given_name")) {
		return nil, nil
	}
	info, err := d.issuers.userInfo(ctx, issuer.userinfo, accessToken)
	if err != nil {
		trace.Add(answer.Check{Name: "userinfo", Expected: "claims", Got: orElse(fault.Public(err), "no JSON object"), OK: true})
		return nil, nil
	}
	if !trace.Add(answer.Check{Name: "userinfo sub", Expected: id.text("sub"), Got: strings.TrimSpace(info.show("sub")), OK: info.text("sub") == id.text("sub")}) {
		return nil, errIDToken
	}
	return info, nil
}
