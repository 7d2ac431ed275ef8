package oidc

import (
	"net/url"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// CheckCallback looks at the answer before its code is used, and gives the code.
// Faults: Invalid, SignIn (the provider says no).
func (i *Issuer) CheckCallback(p Party, q url.Values, trace *answer.Trace) (code string, err error) {
	// Whoever mixes two providers up sends the code of one to the other (RFC 9207 §2.4).
	iss := q.Get("iss")
	if !trace.Add(answer.Check{Name: "iss parameter", Expected: i.URL, Got: iss, OK: iss == i.URL || iss == "" && !i.sendsIss,
		Hint: "The answer is of another provider than the one that was asked."}) {
		return "", errAnswer
	}
	if q.Has("error") {
		name, text := q.Get("error"), q.Get("error_description")
		trace.Add(answer.Check{Name: "error parameter", Expected: "none", Got: name + ": " + text, Hint: Remedy(p.Vendor, name, text)})
		if name == "access_denied" {
			return "", fault.SignIn.Say("The sign-in was cancelled, or your identity provider did not allow it.")
		}
		return "", fault.SignIn.Say("Your identity provider could not sign you in.")
	}
	code = q.Get("code")
	got := "a code" // the code itself is a secret
	if code == "" {
		got = "nothing"
	}
	if !trace.Add(answer.Check{Name: "code", Expected: "a code", Got: got, OK: code != "" && len(code) <= 8<<10}) {
		return "", errAnswer
	}
	return code, nil
}
