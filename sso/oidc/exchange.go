package oidc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// Tokens are what the code was traded for. The access token is for userinfo and
// is not kept.
type Tokens struct{ Access, ID string }

// Exchange trades the code for tokens. What the provider answers gets into the
// trace as its error code and text (RFC 6749 §5.2) and nowhere else.
// Faults: Invalid, Unavailable.
func (i *Issuer) Exchange(ctx context.Context, p Party, c Client, code, verifier string, now time.Time, trace *answer.Trace) (Tokens, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Redirect}, "code_verifier": {verifier}}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	method, err := i.authenticate(c, form, header, now)
	if fault.Is(err, fault.Invalid) {
		trace.Add(answer.Check{Name: "client authentication", Expected: fmt.Sprintf("one of %s", strings.Join(i.authMethods, ", ")), Got: orElse(method, "a secret only"),
			Hint: "Choose client_secret_basic, client_secret_post or private_key_jwt for the application at the provider and for this connection."})
		return Tokens{}, fault.Invalid.Say("The identity provider did not complete the sign-in.")
	}
	if err != nil {
		return Tokens{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.token, strings.NewReader(form.Encode()))
	if err != nil {
		return Tokens{}, fmt.Errorf("token endpoint of %s: %w", i.URL, err)
	}
	req.Header = header
	reply, err := i.ask(req, fault.Word("token endpoint"))
	if err != nil {
		trace.Add(answer.Check{Name: "token endpoint", Expected: "tokens for the code", Got: "no answer", Hint: fault.Public(err)})
		return Tokens{}, err
	}
	return readTokens(p, method, reply, trace)
}

func readTokens(p Party, method string, reply Reply, trace *answer.Trace) (Tokens, error) {
	doc, err := parseClaims(reply.Body)
	if reply.Status != http.StatusOK || err != nil || doc.has("error") {
		got, name := fmt.Sprintf("status %d, no usable answer", reply.Status), doc.Text("error")
		if err == nil && name != "" {
			got = fmt.Sprintf("status %d, %s: %s", reply.Status, answer.Clip(name, 60), doc.Text("error_description"))
		}
		trace.Add(answer.Check{Name: "token endpoint", Expected: fmt.Sprintf("tokens for the code (%s)", method), Got: got,
			Hint: Remedy(p.Vendor, name, doc.Text("error_description"))})
		return Tokens{}, fault.Invalid.Say("The identity provider did not complete the sign-in.")
	}
	trace.Add(answer.Check{Name: "token endpoint", Expected: fmt.Sprintf("tokens for the code (%s)", method), Got: "an answer", OK: true})
	t := Tokens{Access: doc.Text("access_token"), ID: doc.Text("id_token")}
	if !trace.Add(answer.Check{Name: "id_token", Expected: "an ID token", Got: fmt.Sprintf("%d characters", len(t.ID)), OK: t.ID != "",
		Hint: "The application at the provider must be an OpenID Connect one and the scope openid allowed."}) {
		return Tokens{}, fault.Invalid.Say("The identity provider did not say who signed in.")
	}
	kind := doc.Text("token_type")
	if !trace.Add(answer.Check{Name: "token_type", Expected: "Bearer", Got: orElse(kind, "(missing)"), OK: strings.EqualFold(kind, "Bearer") || kind == ""}) {
		return Tokens{}, errAnswer
	}
	return t, nil
}
