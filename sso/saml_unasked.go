package sso

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/saml"
)

// samlAsked is what a request demanded, as it was when it was sent: a setting that is
// changed meanwhile makes no answer good.
type samlAsked struct {
	Fresh    bool          `json:"fresh,omitempty"` // ForceAuthn
	Contexts saml.Contexts `json:"contexts,omitzero"`
}

// askedOf reads the login URL: prompt=login asks for a fresh sign-in, as in OpenID
// Connect, over what the connection asks for anyway.
func askedOf(r *http.Request, c Connection) samlAsked {
	return samlAsked{Fresh: c.Config.ForceAuthn || r.URL.Query().Get("prompt") == "login",
		Contexts: saml.Contexts{Asked: c.Config.AuthnContext, Comparison: c.Config.AuthnContextCompare, Also: c.Config.AuthnContextAccepted, Order: c.Config.AuthnContextOrder}}
}

// expect is what the answer to a pending request must show.
func (d *Door) expect(p pending) (saml.Expect, error) {
	var asked samlAsked
	if err := json.Unmarshal(p.Asked, &asked); err != nil {
		return saml.Expect{}, fmt.Errorf("pending sign-in: %w", err)
	}
	return saml.Expect{RequestID: p.RequestID, Now: d.opts.DB.Now(), AskedAt: p.CreatedAt.Time(), Fresh: asked.Fresh, Contexts: asked.Contexts}, nil
}

// unasked tells that a post brings an answer to no request of ours: neither does its
// RelayState look like a handle, nor does it name a request. An answer to a request
// that went missing is none, or a browser without cookies would bounce for ever.
func unasked(form url.Values) bool {
	if isHandle(form.Get("RelayState")) {
		return false
	}
	request, err := saml.InResponseTo(saml.Form{SAMLResponse: form.Get("SAMLResponse")})
	return err == nil && request == ""
}

// isHandle tells whether a RelayState has the form of a ticket's.
func isHandle(s string) bool {
	return len(s) == 43 && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// samlUnasked is a sign-in that the provider starts.
func (d *Door) samlUnasked(w http.ResponseWriter, r *http.Request, c Connection, form url.Values) error {
	if err := usable(c); err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	relay := form.Get("RelayState")
	if c.Config.IDPInitiated == idpBounce {
		return d.bounce(w, r, c, relay)
	}
	if !d.starts.allow(web.Actor(r).IP) {
		return d.refused(w, r, c, nil, errTooManyStarts, nil)
	}
	s, err := d.setup(r.Context(), actorOf(c, web.Actor(r)), c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	s.party.AllowUnsolicited = true
	// What the connection demands of everybody is demanded here as well: with nothing
	// sent to the provider, fresh is what is not older than the answer may be.
	asked, now := askedOf(r, c), d.opts.DB.Now()
	expect := saml.Expect{Now: now, AskedAt: now.Add(-saml.MaxUnsolicitedAge), Fresh: asked.Fresh, Contexts: asked.Contexts}
	profile, result, trace, err := saml.CheckResponse(s.party, saml.Form{SAMLResponse: form.Get("SAMLResponse")}, expect)
	if err != nil {
		return d.refused(w, r, c, nil, err, trace)
	}
	to := pending{Purpose: purposeLogin}
	if slices.Contains(c.Config.IDPInitiatedPaths, relay) {
		to.ReturnTo = relay
	}
	return d.finish(w, r, c, ticket{}, answered{arrival: samlArrival(profile), id: result.AssertionID, until: result.NotOnOrAfter, trace: trace,
		certificate: result.Certificate, pending: to, unasked: true})
}

// maxBounces within bounceFor tell that a provider never answers what it was asked.
const (
	maxBounces = 3
	bounceFor  = 60 // seconds
)

// bounce throws an answer away and asks the provider, where the person has just been,
// anew. Nothing of the answer is used, so there is nothing to verify.
func (d *Door) bounce(w http.ResponseWriter, r *http.Request, c Connection, relay string) error {
	name := "mbounce"
	if d.secure {
		name = "__Host-" + name
	}
	n := 0
	if cookie, err := r.Cookie(name); err == nil {
		n, _ = strconv.Atoi(cookie.Value)
	}
	if n >= maxBounces {
		return d.refused(w, r, c, nil, refuse(http.StatusBadRequest, "response.in_response_to", answers[fault.Invalid].plain,
			web.Say("The identity provider answers our requests with answers to nothing (no InResponseTo, no RelayState). Let it send both back, or set idp_initiated to direct.")), nil)
	}
	count := &http.Cookie{Name: name, Value: strconv.Itoa(n + 1), Path: "/", MaxAge: bounceFor, Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if d.secure {
		count.SameSite = http.SameSiteNoneMode // the next answer comes from the provider's site as well
	}
	http.SetCookie(w, count)
	to := d.URLs(c).Login
	if path := web.Local(relay); path == relay {
		to += "?next=" + url.QueryEscape(path)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// errArtifact answers the artifact binding: the artifact would have us fetch the
// answer from the provider, at a sender's word. No call is made.
var errArtifact = refuse(http.StatusBadRequest, "binding", web.Say("Your identity provider answered in a way that is not supported here. Ask your administrator."),
	web.Say("The identity provider uses the HTTP-Artifact binding (SAMLart), which is not supported. Let it answer by HTTP-POST: our metadata names no other assertion consumer service."))

// samlACSGet is what comes to the ACS by GET: an artifact, or somebody who typed the address.
func (d *Door) samlACSGet(w http.ResponseWriter, r *http.Request, c Connection) error {
	if r.URL.Query().Has("SAMLart") {
		return d.refused(w, r, c, nil, errArtifact, nil)
	}
	if r.URL.Query().Has("SAMLResponse") {
		return d.refused(w, r, c, nil, refuse(http.StatusBadRequest, "binding", errArtifact.sentence,
			web.Say("The identity provider answers by HTTP-Redirect, for which SAML has no sign-in. Let it answer by HTTP-POST.")), nil)
	}
	return d.refused(w, r, c, nil, errNoAnswer, nil)
}
