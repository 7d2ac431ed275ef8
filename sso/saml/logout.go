package saml

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// Single logout (saml-core-2.0 §3.7, saml-profiles-2.0 §4.4). Both directions read
// only what a signature covers; who is signed out is for the caller to find.

// The codes of saml-core-2.0 §3.2.2.2 that single logout knows.
const (
	StatusSuccess       = statusSuccess
	StatusRequester     = "urn:oasis:names:tc:SAML:2.0:status:Requester"
	StatusResponder     = "urn:oasis:names:tc:SAML:2.0:status:Responder"
	StatusPartialLogout = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
)

const (
	// maxLogoutAge bounds how long a logout message can be kept back.
	maxLogoutAge = 10 * time.Minute
	// maxIndexes bounds the sessions that one request can name.
	maxIndexes = 1000
)

// LogoutRequest is a verified request to end sessions.
type LogoutRequest struct {
	ID       string
	NameID   answer.NameID
	Indexes  []string  // SessionIndex; none: all sessions of the NameID
	KeepTill time.Time // remember ID until then; skew is included
}

// logoutFacts is what both messages say.
type logoutFacts struct {
	id, version, issuer, destination, inResponseTo string
	issued, notOnOrAfter                           time.Time
}

func readLogout(el *etree.Element) (f logoutFacts, err error) {
	f = logoutFacts{id: attr(el, "ID"), version: attr(el, "Version"), destination: attr(el, "Destination"), inResponseTo: attr(el, "InResponseTo")}
	if f.issued, err = timeOf(el, "IssueInstant"); err != nil {
		return f, err
	}
	if f.notOnOrAfter, err = timeOf(el, "NotOnOrAfter"); err != nil {
		return f, err
	}
	issuer, err := one(el, nsAssertion, "Issuer")
	if err == nil {
		f.issuer, err = textOf(issuer)
	}
	return f, err
}

// logoutChecks are made on both messages. destination is our logout URL.
func (e *examination) logoutChecks(f logoutFacts, destination string) {
	now, skew := e.expect.Now, e.party.Skew
	add := func(name, expected, got string, ok bool, hint string) {
		c := answer.Check{Name: name, Expected: expected, Got: got, OK: ok}
		if !ok {
			c.Hint = hint
		}
		e.trace.Add(c)
	}
	add("version", "2.0", f.version, f.version == "2.0", "")
	add("issuer", e.party.IDPEntityID, f.issuer, f.issuer == e.party.IDPEntityID && f.issuer != "",
		"Import the identity provider's metadata again: its entity ID differs from the one stored here.")
	// Required of every signed message (saml-bindings-2.0 §3.4.5.2, §3.5.5.2): else
	// what a provider signs for one application would sign people out of another.
	add("destination", destination, f.destination, f.destination == destination,
		"Set the single logout (SLO) URL at the identity provider to the expected value.")
	oldest, newest := now.Add(-maxLogoutAge-skew), now.Add(skew)
	add("issued", fmt.Sprintf("between %s and %s", stamp(oldest), stamp(newest)), stamp(f.issued), !f.issued.IsZero() && f.issued.After(oldest) && !f.issued.After(newest),
		"Compare the clocks of the identity provider and of this server.")
	add("not_on_or_after", fmt.Sprintf("after %s", stamp(now.Add(-skew))), stamp(f.notOnOrAfter), f.notOnOrAfter.IsZero() || f.notOnOrAfter.After(now.Add(-skew)),
		"The message came too late, or the clocks differ.")
}

// done ends an examination of a logout message.
func (e *examination) done(err error) error {
	if c, failed := e.trace.Failed(); failed && err == nil {
		err = fmt.Errorf("%s: want %s, got %s", c.Name, c.Expected, c.Got)
	}
	if err == nil {
		return nil
	}
	return fault.Invalid.Wrap(err, "The sign-out message of the identity provider could not be verified.")
}

// CheckLogoutRequest examines a request of the provider to end sessions. slo is our
// logout URL. The fault is Invalid; the trace is for administrators only. Replay is
// the caller's: ID must be new until KeepTill.
func CheckLogoutRequest(p Party, in Incoming, slo string, now time.Time) (LogoutRequest, answer.Trace, error) {
	e := examination{party: p, expect: Expect{Now: now}}
	el, err := e.message(in, "SAMLRequest", "LogoutRequest")
	if err != nil {
		return LogoutRequest{}, e.trace, e.done(err)
	}
	var out LogoutRequest
	f, err := readLogout(el.el)
	if err == nil {
		out.Indexes, err = indexesOf(el.el)
	}
	if err := e.pass("content", "one of each part, times and texts readable", err, ""); err != nil {
		return LogoutRequest{}, e.trace, e.done(err)
	}
	e.logoutChecks(f, slo)
	if _, failed := e.trace.Failed(); failed {
		return LogoutRequest{}, e.trace, e.done(nil)
	}
	out.ID, out.KeepTill = f.id, f.issued.Add(maxLogoutAge+2*p.Skew)
	out.NameID, err = nameIDOf(el.el, p.DecryptKeys)
	if err := e.pass("name_id", "a NameID, or one encrypted for us", err, "Give the identity provider our current metadata, or let it send the NameID unencrypted."); err != nil {
		return LogoutRequest{}, e.trace, e.done(err)
	}
	return out, e.trace, nil
}

func indexesOf(el *etree.Element) (list []string, err error) {
	for _, child := range el.ChildElements() {
		if !isElement(child, nsProtocol, "SessionIndex") {
			continue
		}
		text, err := textOf(child)
		if err != nil {
			return nil, err
		}
		if len(list) == maxIndexes {
			return nil, fmt.Errorf("there are more than %d SessionIndex", maxIndexes)
		}
		// An empty one names no session; left out, the request would mean all of them.
		list = append(list, text)
	}
	return list, nil
}

// nameIDOf reads whom a request is about. BaseID is not understood.
func nameIDOf(el *etree.Element, keys []*rsa.PrivateKey) (answer.NameID, error) {
	plain, err := one(el, nsAssertion, "NameID")
	if err != nil {
		return answer.NameID{}, err
	}
	encrypted, err := one(el, nsAssertion, "EncryptedID")
	if err != nil {
		return answer.NameID{}, err
	}
	switch {
	case plain != nil && encrypted != nil:
		return answer.NameID{}, errors.New("there is a NameID and an EncryptedID")
	case encrypted != nil:
		if plain, err = openID(encrypted, keys); err != nil {
			return answer.NameID{}, err
		}
	case plain == nil:
		return answer.NameID{}, errors.New("there is no NameID")
	}
	id, err := readNameID(plain)
	if err == nil && (id.Value == "" || len(id.Value) > maxSubject) {
		err = errors.New("the NameID is empty or too long")
	}
	return id, err
}

// Outcome is what the provider says of a logout that we asked for.
type Outcome string

// The outcomes.
const (
	LogoutDone    Outcome = "done"    // everywhere
	LogoutPartial Outcome = "partial" // there, but not of every application
	LogoutRefused Outcome = "refused"
)

// CheckLogoutResponse examines the provider's answer to the request requestID. slo
// is our logout URL. Faults and trace as of CheckLogoutRequest; that the provider
// refused is an outcome and no fault.
func CheckLogoutResponse(p Party, in Incoming, slo, requestID string, now time.Time) (Outcome, answer.Trace, error) {
	e := examination{party: p, expect: Expect{Now: now, RequestID: requestID}}
	el, err := e.message(in, "SAMLResponse", "LogoutResponse")
	if err != nil {
		return "", e.trace, e.done(err)
	}
	f, err := readLogout(el.el)
	var r responseFacts
	if err == nil {
		r, err = readResponse(el.el)
	}
	if err := e.pass("content", "one of each part, times and texts readable", err, ""); err != nil {
		return "", e.trace, e.done(err)
	}
	e.logoutChecks(f, slo)
	e.trace.Add(answer.Check{Name: "in_response_to", Expected: requestID, Got: f.inResponseTo, OK: f.inResponseTo == requestID && requestID != ""})
	if _, failed := e.trace.Failed(); failed {
		return "", e.trace, e.done(nil)
	}
	outcome := LogoutRefused
	switch codes := r.StatusCodes; {
	case slices.Contains(codes, StatusPartialLogout):
		outcome = LogoutPartial
	case len(codes) > 0 && codes[0] == StatusSuccess:
		outcome = LogoutDone
	}
	e.trace.Add(answer.Check{Name: "status", Expected: StatusSuccess, Got: strings.Join(r.StatusCodes, " > ") + " " + r.StatusMessage, OK: true})
	return outcome, e.trace, nil
}

// LogoutMessage is what both of our own messages need.
type LogoutMessage struct {
	ID         string // "_" and random
	To         string // the provider's logout URL for this message
	Binding    string // BindingRedirect or BindingPOST
	RelayState string
	Now        time.Time
	SignKey    *rsa.PrivateKey
	SignCert   []byte // DER
}

func (m LogoutMessage) sending(param string) sending {
	return sending{Param: param, To: m.To, Binding: m.Binding, RelayState: m.RelayState, Key: m.SignKey, Cert: m.SignCert}
}

// NewLogoutRequest asks the provider to end a session: NameID exactly as it was
// received, and SessionIndex if there was one.
func NewLogoutRequest(p Party, m LogoutMessage, name answer.NameID, index string) (Outgoing, error) {
	end := m.Now.UTC().Add(5 * time.Minute)
	request := crewjam.LogoutRequest{
		ID: m.ID, Version: "2.0", IssueInstant: m.Now.UTC(), NotOnOrAfter: &end, Destination: m.To,
		Issuer: &crewjam.Issuer{Value: p.EntityID},
		NameID: &crewjam.NameID{Value: name.Value, Format: name.Format, NameQualifier: name.NameQualifier, SPNameQualifier: name.SPNameQualifier, SPProvidedID: name.SPProvidedID},
	}
	if index != "" {
		request.SessionIndex = &crewjam.SessionIndex{Value: index}
	}
	return send(request.Element(), m.sending("SAMLRequest"))
}

// NewLogoutResponse answers the request inResponseTo. status is one of the codes;
// PartialLogout stands below Success, which says that the request was understood.
func NewLogoutResponse(p Party, m LogoutMessage, inResponseTo, status string) (Outgoing, error) {
	code := crewjam.StatusCode{Value: status}
	if status == StatusPartialLogout {
		code = crewjam.StatusCode{Value: StatusSuccess, StatusCode: &crewjam.StatusCode{Value: status}}
	}
	response := crewjam.LogoutResponse{
		ID: m.ID, InResponseTo: inResponseTo, Version: "2.0", IssueInstant: m.Now.UTC(), Destination: m.To,
		Issuer: &crewjam.Issuer{Value: p.EntityID}, Status: crewjam.Status{StatusCode: code},
	}
	return send(response.Element(), m.sending("SAMLResponse"))
}
