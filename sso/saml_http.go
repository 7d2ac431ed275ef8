package sso

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
)

const (
	samlBodyLimit = 768 << 10 // base64 of 512 KiB of XML, and the form around it
)

// samlMetadata is ours, for the provider to read.
func (d *Door) samlMetadata(w http.ResponseWriter, r *http.Request, c Connection) error {
	s, err := d.setup(r.Context(), actorOf(c, web.Actor(r)), c)
	if err != nil {
		return err
	}
	doc, err := d.spMetadata(s, c)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, err = w.Write(doc)
	return err
}

func (d *Door) spMetadata(s samlSetup, c Connection) ([]byte, error) {
	return saml.SP{EntityID: s.party.EntityID, ACS: s.party.ACS, SLO: d.URLs(c).SLO, Signing: s.signing, Encryption: s.encryption,
		SignKey: s.signKey, SignCert: s.signing[0]}.Document()
}

// samlLogin sends the browser to the provider.
func (d *Door) samlLogin(w http.ResponseWriter, r *http.Request, c Connection) error {
	t, p, err := d.start(w, r, c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	actor := actorOf(c, web.Actor(r))
	s, err := d.setup(r.Context(), actor, c)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	p.RequestID = "_" + rand.Text()
	asked := askedOf(r, c)
	if p.Asked, err = json.Marshal(asked); err != nil {
		return err
	}
	ask := saml.AuthnRequest{ID: p.RequestID, RelayState: t.handle, NameIDFormat: c.nameIDPolicy(), ForceAuthn: asked.Fresh, Contexts: asked.Contexts,
		Hint: c.hint(r.URL.Query().Get("login_hint")), Now: d.opts.DB.Now(), SignKey: s.signKey, SignCert: s.signing[0]}
	if ask.SSOURL, ask.Binding, err = c.ssoURL(); err != nil {
		return d.refused(w, r, c, nil, refuse(http.StatusServiceUnavailable, "binding", answers[fault.Unavailable].plain, web.SaidBy(err)), nil)
	}
	out, err := saml.NewAuthnRequest(s.party, ask)
	if err == nil {
		err = d.open(r.Context(), actor, c, t, p, "")
	}
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	http.SetCookie(w, d.cookie(t.handle, t.browser, true))
	if out.Form != nil {
		return post(w, r, originOf(out.URL), postPage{Title: web.Say("To your sign-in page"), Text: web.Say("You are being sent to your organization's sign-in page."),
			Action: out.URL, Fields: out.Form})
	}
	http.Redirect(w, r, out.URL, http.StatusSeeOther)
	return nil
}

// samlACS takes the provider's answer: the browser posts it here from the
// provider's site.
func (d *Door) samlACS(w http.ResponseWriter, r *http.Request, c Connection) error {
	r.Body = http.MaxBytesReader(w, r.Body, samlBodyLimit)
	if err := r.ParseForm(); err != nil {
		return d.refused(w, r, c, nil, fault.Invalid.Wrap(err, "The identity provider's answer is too long or damaged."), nil)
	}
	form := r.PostForm
	switch {
	case form.Has("SAMLart") || r.URL.Query().Has("SAMLart"):
		return d.refused(w, r, c, nil, errArtifact, nil)
	case len(form["SAMLResponse"]) != 1 || len(form["RelayState"]) > 1:
		return d.refused(w, r, c, nil, errNoAnswer, nil)
	case oneOf(c.Config.IDPInitiated, idpBounce, idpDirect) && unasked(form):
		return d.samlUnasked(w, r, c, form)
	}
	t := d.ticketOf(r, form.Get("RelayState"))
	if t.handle != "" && t.browser == "" && form.Get("resent") == "" && fromElsewhere(r) {
		return d.samlAgain(w, r, form)
	}
	actor := actorOf(c, web.Actor(r))
	p, have, err := d.findToCheck(r.Context(), actor, c, t)
	if closed := usable(c); closed != nil && p.Purpose != purposeTest {
		return d.refused(w, r, c, nil, closed, nil)
	}
	if err != nil {
		return d.refused(w, r, c, nil, notStartedHere(t, err), nil)
	}
	r, c = ofPurpose(r, t, p), c.forPurpose(p.Purpose)
	s, err := d.setupWith(c, have)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	expect, err := d.expect(p)
	if err != nil {
		return d.refused(w, r, c, nil, err, nil)
	}
	profile, result, trace, err := saml.CheckResponse(s.party, saml.Form{SAMLResponse: form.Get("SAMLResponse")}, expect)
	if err != nil {
		return d.refused(w, r, c, nil, err, trace)
	}
	if strings.Contains(s.stale, result.Certificate) {
		if err := d.noteStale(r.Context(), actor, c, result.Certificate); err != nil {
			return d.refused(w, r, c, nil, err, trace)
		}
	}
	return d.finish(w, r, c, t, answered{pending: p, arrival: samlArrival(profile), id: result.AssertionID, until: result.NotOnOrAfter, trace: trace, certificate: result.Certificate})
}

// errNoAnswer is for whoever comes to the ACS with nothing in hand.
var errNoAnswer = fault.Invalid.Say("This address takes the answer of your identity provider. Start the sign-in here instead.")

// fromElsewhere tells that a browser says it comes from another site, so that its
// cookies may have stayed behind. Programs say nothing and get their refusal at once.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// samlAgain has the browser post the answer once more, from our own page: then the
// Lax cookie comes along. It gives no stranger's browser anything: without the
// cookie the second post is refused.
func (d *Door) samlAgain(w http.ResponseWriter, r *http.Request, form url.Values) error {
	return post(w, r, "'self'", postPage{Title: web.Say("Signing you in"), Text: web.Say("One moment: your sign-in is being completed."), Action: r.URL.Path,
		Fields: url.Values{"SAMLResponse": form["SAMLResponse"], "RelayState": form["RelayState"], "resent": {"1"}}})
}

// notStartedHere says more when nothing at all was started here: the tile at the
// provider, which sends answers that nobody asked for.
func notStartedHere(t ticket, err error) error {
	if isHandle(t.handle) {
		return err
	}
	return refuse(http.StatusBadRequest, "RelayState", web.Say("Signing in from your identity provider's page is not switched on. Start here instead."),
		web.Say("The identity provider sent an answer that was not asked for. Have its tile open this connection's login URL, or set idp_initiated to bounce."))
}

// samlArrival is the profile of an assertion. SAML has no word on whether an
// address is verified; the organization's proof of the domain decides.
func samlArrival(p answer.Profile) answer.Profile {
	p.Keys = []string{p.Subject}
	if oid := p.Attributes[saml.ClaimsIdentity+"objectidentifier"]; len(oid) == 1 && !slices.Contains(p.Keys, oid[0]) {
		p.Keys = append(p.Keys, oid[0]) // Entra's directory sends it as externalId
	}
	return p
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}
