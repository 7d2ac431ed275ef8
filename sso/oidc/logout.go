package oidc

import (
	"context"
	"fmt"
	"net/url"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/muster-id/muster/sso/answer"
)

const (
	logoutEvent  = "http://schemas.openid.net/event/backchannel-logout"
	logoutMaxAge = 2 * time.Minute
)

// Logout is a provider's word that somebody signed out there: the session, or all
// sessions of the subject when there is no SessionID.
type Logout struct {
	SessionID string
	Subject   string
	ID        string    // jti, for the replay record
	Until     time.Time // no check accepts the token after that
}

// CheckLogoutToken examines a logout token (OpenID Connect Back-Channel Logout 1.0
// §2.6). Faults: Invalid (see the trace), Unavailable (no keys).
func (i *Issuer) CheckLogoutToken(ctx context.Context, p Party, raw string, now time.Time) (Logout, answer.Trace, error) {
	trace := make(answer.Trace, 0, 16)
	t, err := i.open(ctx, p, raw, logoutTokenMax, &trace)
	if err != nil {
		return Logout{}, trace, err
	}
	for _, c := range logoutChecks(p, t, now) {
		trace.Add(c)
	}
	if _, failed := trace.Failed(); failed {
		return Logout{}, trace, errAnswer
	}
	_, verdict := t.secondOpinion(i, p, gooidc.Config{Now: func() time.Time { return now.Add(-skew) }}).VerifyLogout(ctx, raw)
	if !trace.Add(answer.Check{Name: "library", Expected: "go-oidc agrees", Got: fmt.Sprint(verdict), OK: verdict == nil}) {
		return Logout{}, trace, errAnswer
	}
	return Logout{SessionID: t.Text("sid"), Subject: t.Text("sub"), ID: t.Text("jti"), Until: t.At("iat").Add(logoutMaxAge + skew)}, trace, nil
}

func logoutChecks(p Party, t token, now time.Time) []answer.Check {
	aud := partyChecks(p, t)[:2] // azp is of ID tokens
	out := []answer.Check{
		{Name: "typ", Expected: "logout+jwt", Got: t.typ, OK: logoutTokenType(t.typ)},
		{Name: "events", Expected: "the logout event", Got: t.show("events"), OK: t.logoutEvent()},
		// An ID token has one: nobody may use it as a logout token.
		{Name: "nonce", Expected: "none", Got: answer.Clip(string(t.Claims["nonce"]), 12), OK: t.Claims["nonce"] == nil},
	}
	out = append(out, aud...)
	out = append(out, timeChecks(now, t, logoutMaxAge)...)
	sid, sub := t.Text("sid"), t.Text("sub")
	return append(out,
		answer.Check{Name: "jti", Expected: "1 to 255 characters", Got: answer.Clip(t.show("jti"), 60), OK: validSubject(t.Text("jti"))},
		answer.Check{Name: "sid, sub", Expected: "one or both", Got: fmt.Sprintf("sid %s, sub %s", t.show("sid"), t.show("sub")),
			OK: (sid != "" || sub != "") && (validSubject(sid) || !t.has("sid")) && (validSubject(sub) || !t.has("sub"))})
}

// logoutTokenType: the type is recommended, not required (§2.4), and some
// providers say JWT; what tells a logout token apart is its event.
func logoutTokenType(typ string) bool {
	switch mediaType(typ) {
	case "logout+jwt", "jwt", "":
		return true
	}
	return false
}

func (t token) logoutEvent() bool {
	events, err := parseClaims(t.Claims["events"])
	if err != nil {
		return false
	}
	_, err = parseClaims(events[logoutEvent])
	return err == nil
}

// EndSessionURL is where a browser signs out at the provider, and comes back from
// (OpenID Connect RP-Initiated Logout 1.0 §2); empty when it has no such place.
// hint is the ID token of the session; without it providers ask the person.
func (i *Issuer) EndSessionURL(c Client, hint, back, state string) string {
	u, err := url.Parse(i.EndSession)
	if err != nil || i.EndSession == "" {
		return ""
	}
	q := u.Query()
	q.Set("client_id", c.ID)
	q.Set("post_logout_redirect_uri", back)
	for name, v := range map[string]string{"id_token_hint": hint, "state": state} {
		if v != "" {
			q.Set(name, v)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}
