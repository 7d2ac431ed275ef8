package oidc

import (
	"context"
	"mime"
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// UserInfo asks for claims that the ID token lacks; nil when it lacks none. That
// the endpoint does not answer is noted and refuses nobody; that it speaks of
// somebody else does (OpenID Connect Core 1.0 §5.3.2). Faults: Invalid.
func (i *Issuer) UserInfo(ctx context.Context, p Party, id IDToken, access string, trace *answer.Trace) (Claims, error) {
	if i.userinfo == "" || access == "" || complete(p, id.Claims) {
		return nil, nil
	}
	info, err := i.askUserInfo(ctx, p, access, trace)
	if err != nil {
		if _, failed := trace.Failed(); failed {
			return nil, err
		}
		trace.Add(answer.Check{Name: "userinfo", Expected: "claims", Got: orElse(fault.Public(err), "no JSON object"), OK: true,
			Hint: "What the ID token lacks (an e-mail address, names, groups) stays unknown. Add it to the ID token, or allow the userinfo endpoint."})
		return nil, nil
	}
	if !trace.Add(answer.Check{Name: "userinfo sub", Expected: id.Text("sub"), Got: info.show("sub"), OK: info.Text("sub") == id.Text("sub")}) {
		return nil, errAnswer
	}
	return info, nil
}

// complete tells that userinfo is not needed: address, a name, and the groups if
// this connection is about a claim of its own.
func complete(p Party, c Claims) bool {
	if !c.has("email") || !c.has("name") && !c.has("given_name") {
		return false
	}
	if p.GroupsClaim == "" || c.word("hasgroups") == answer.SaidYes || c.elsewhere(p.GroupsClaim) {
		return true
	}
	_, there := c.find(p.GroupsClaim)
	return there
}

// askUserInfo reads a plain or a signed answer.
func (i *Issuer) askUserInfo(ctx context.Context, p Party, access string, trace *answer.Trace) (Claims, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.userinfo, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+access)
	req.Header.Set("Accept", "application/json, application/jwt")
	reply, err := i.ask(req, fault.Word("userinfo endpoint"))
	if err != nil {
		return nil, err
	}
	if reply.Status != http.StatusOK {
		return nil, fault.Unavailable.Say("The userinfo endpoint at %s answered with status %d.", hostOf(i.userinfo), reply.Status)
	}
	if kind, _, _ := mime.ParseMediaType(reply.Header.Get("Content-Type")); kind == "application/jwt" {
		return i.signedUserInfo(ctx, p, string(reply.Body), trace)
	}
	return parseClaims(reply.Body)
}

// signedUserInfo verifies an answer that is a token. It should say who made it and
// for whom (§5.3.2); LemonLDAP::NG does not. One that says another application is
// a token that somebody else got.
func (i *Issuer) signedUserInfo(ctx context.Context, p Party, raw string, trace *answer.Trace) (Claims, error) {
	var own answer.Trace
	t, err := i.open(ctx, p, raw, idTokenMax, &own)
	if err == nil {
		aud, _ := t.list("aud")
		own.Add(answer.Check{Name: "typ", Expected: "JWT", Got: t.typ, OK: idTokenType(t.typ) && !t.has("events")})
		own.Add(answer.Check{Name: "iss", Expected: i.URL, Got: t.show("iss"), OK: !t.has("iss") || sameIssuer(i.URL, t.Text("iss"))})
		own.Add(answer.Check{Name: "aud", Expected: p.ClientID, Got: t.show("aud"), OK: !t.has("aud") || slices.Contains(aud, p.ClientID)})
	}
	for _, c := range own {
		c.Name = "userinfo " + c.Name
		trace.Add(c)
	}
	if _, failed := own.Failed(); failed {
		return nil, errAnswer
	}
	return t.Claims, err
}
