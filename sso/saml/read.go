package saml

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/sso/answer"
)

// Reading turns elements into plain values for the checks. crewjam's Assertion
// type is not used here: it keeps only the last of several audiences, the
// example of what a check must not miss (saml-core-2.0 §2.5.1.4).

// responseFacts is the protocol envelope.
type responseFacts struct {
	ID, Version, Issuer, Destination, InResponseTo string
	IssueInstant                                   time.Time
	StatusCodes                                    []string // outer first
	StatusMessage                                  string
	Signed                                         bool
}

// assertionFacts is what the assertion says.
type assertionFacts struct {
	ID, Version, Issuer string
	IssueInstant        time.Time

	NameID, NameIDFormat string
	WholeNameID          answer.NameID
	encryptedID          *etree.Element // EncryptedID in place of the NameID
	Confirmations        []confirmation

	HasConditions           bool
	NotBefore, NotOnOrAfter time.Time
	Audiences               [][]string // one list per AudienceRestriction
	UnknownConditions       []string
	OneTimeUse, Proxy       int    // how many of each
	ProxyCount              string // as sent

	AuthnStatements []authnStatement
	Attributes      []attribute

	encryptedAttributes []*etree.Element // opened by openAttributes
}

type confirmation struct {
	Method, Recipient, InResponseTo string
	NotBefore, NotOnOrAfter         time.Time
}

type authnStatement struct {
	AuthnInstant, SessionNotOnOrAfter time.Time
	SessionIndex                      string
	Class                             string // AuthnContextClassRef
}

type attribute struct {
	Name   string
	Values []string
}

func readResponse(el *etree.Element) (responseFacts, error) {
	r := responseFacts{
		ID:           attr(el, "ID"),
		Version:      attr(el, "Version"),
		Destination:  attr(el, "Destination"),
		InResponseTo: attr(el, "InResponseTo"),
	}
	var err error
	if r.IssueInstant, err = timeOf(el, "IssueInstant"); err != nil {
		return r, err
	}
	issuer, err := one(el, nsAssertion, "Issuer")
	if err != nil {
		return r, err
	}
	if r.Issuer, err = textOf(issuer); err != nil {
		return r, err
	}
	status, err := one(el, nsProtocol, "Status")
	if err != nil || status == nil {
		return r, err
	}
	if message, err := one(status, nsProtocol, "StatusMessage"); err == nil && message != nil {
		r.StatusMessage, _ = textOf(message)
	}
	for code := status; ; {
		if code, err = one(code, nsProtocol, "StatusCode"); err != nil || code == nil {
			return r, err
		}
		r.StatusCodes = append(r.StatusCodes, attr(code, "Value"))
	}
}

func readAssertion(el *etree.Element) (assertionFacts, error) {
	a := assertionFacts{ID: attr(el, "ID"), Version: attr(el, "Version")}
	issuer, err := one(el, nsAssertion, "Issuer")
	if err != nil {
		return a, err
	}
	if a.Issuer, err = textOf(issuer); err != nil {
		return a, err
	}
	if a.IssueInstant, err = timeOf(el, "IssueInstant"); err != nil {
		return a, err
	}
	if err := a.readSubject(el); err != nil {
		return a, err
	}
	if err := a.readConditions(el); err != nil {
		return a, err
	}
	for _, child := range el.ChildElements() {
		switch {
		case isElement(child, nsAssertion, "AuthnStatement"):
			s := authnStatement{SessionIndex: attr(child, "SessionIndex")}
			if s.AuthnInstant, err = timeOf(child, "AuthnInstant"); err != nil {
				return a, err
			}
			if s.SessionNotOnOrAfter, err = timeOf(child, "SessionNotOnOrAfter"); err != nil {
				return a, err
			}
			if s.Class, err = contextClass(child); err != nil {
				return a, err
			}
			a.AuthnStatements = append(a.AuthnStatements, s)
		case isElement(child, nsAssertion, "AttributeStatement"):
			if err := a.readAttributes(child); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// contextClass is the AuthnContextClassRef of a statement.
func contextClass(statement *etree.Element) (string, error) {
	context, err := one(statement, nsAssertion, "AuthnContext")
	if err != nil || context == nil {
		return "", err
	}
	class, err := one(context, nsAssertion, "AuthnContextClassRef")
	if err != nil {
		return "", err
	}
	return textOf(class)
}

func (a *assertionFacts) readSubject(el *etree.Element) error {
	subject, err := one(el, nsAssertion, "Subject")
	if err != nil || subject == nil {
		return err
	}
	nameID, err := one(subject, nsAssertion, "NameID")
	if err != nil {
		return err
	}
	if nameID != nil {
		if err := a.setNameID(nameID); err != nil {
			return err
		}
	}
	if a.encryptedID, err = one(subject, nsAssertion, "EncryptedID"); err != nil {
		return err
	}
	if nameID != nil && a.encryptedID != nil {
		return errors.New("<Subject> has a NameID and an EncryptedID")
	}
	for _, child := range subject.ChildElements() {
		switch {
		case isElement(child, nsAssertion, "SubjectConfirmation"):
			c := confirmation{Method: attr(child, "Method")}
			data, err := one(child, nsAssertion, "SubjectConfirmationData")
			if err != nil {
				return err
			}
			if data != nil {
				c.Recipient = attr(data, "Recipient")
				c.InResponseTo = attr(data, "InResponseTo")
				if c.NotBefore, err = timeOf(data, "NotBefore"); err != nil {
					return err
				}
				if c.NotOnOrAfter, err = timeOf(data, "NotOnOrAfter"); err != nil {
					return err
				}
			}
			a.Confirmations = append(a.Confirmations, c)
		}
	}
	return nil
}

func (a *assertionFacts) setNameID(el *etree.Element) (err error) {
	a.WholeNameID, err = readNameID(el)
	a.NameID, a.NameIDFormat = a.WholeNameID.Value, a.WholeNameID.Format
	return err
}

func readNameID(el *etree.Element) (answer.NameID, error) {
	value, err := textOf(el)
	return answer.NameID{Value: value, Format: attr(el, "Format"), NameQualifier: attr(el, "NameQualifier"),
		SPNameQualifier: attr(el, "SPNameQualifier"), SPProvidedID: attr(el, "SPProvidedID")}, err
}

func (a *assertionFacts) readConditions(el *etree.Element) error {
	conditions, err := one(el, nsAssertion, "Conditions")
	if err != nil || conditions == nil {
		return err
	}
	a.HasConditions = true
	if a.NotBefore, err = timeOf(conditions, "NotBefore"); err != nil {
		return err
	}
	if a.NotOnOrAfter, err = timeOf(conditions, "NotOnOrAfter"); err != nil {
		return err
	}
	for _, child := range conditions.ChildElements() {
		switch {
		case isElement(child, nsAssertion, "AudienceRestriction"):
			var list []string
			for _, audience := range child.ChildElements() {
				text, err := textOf(audience)
				if err != nil {
					return err
				}
				if isElement(audience, nsAssertion, "Audience") {
					list = append(list, text)
				}
			}
			a.Audiences = append(a.Audiences, list)
		case isElement(child, nsAssertion, "OneTimeUse"):
			a.OneTimeUse++
		case isElement(child, nsAssertion, "ProxyRestriction"):
			a.Proxy++
			a.ProxyCount = attr(child, "Count")
		default:
			a.UnknownConditions = append(a.UnknownConditions, answer.Clip(child.Tag, 80))
		}
	}
	return nil
}

func (a *assertionFacts) readAttributes(statement *etree.Element) error {
	for _, el := range statement.ChildElements() {
		switch {
		case isElement(el, nsAssertion, "Attribute"):
			a.Attributes = append(a.Attributes, readAttribute(el))
		case isElement(el, nsAssertion, "EncryptedAttribute"):
			a.encryptedAttributes = append(a.encryptedAttributes, el)
		}
	}
	return nil
}

func readAttribute(el *etree.Element) attribute {
	out := attribute{Name: attr(el, "Name")}
	for _, value := range el.ChildElements() {
		if !isElement(value, nsAssertion, "AttributeValue") {
			continue
		}
		// eduPersonTargetedID and the like wrap their value in a NameID.
		if inner := value.ChildElements(); len(inner) == 1 && isElement(inner[0], nsAssertion, "NameID") {
			value = inner[0]
		}
		if len(value.ChildElements()) > 0 {
			continue // structured XML: nothing a profile could use
		}
		if text := strings.TrimSpace(value.Text()); text != "" {
			out.Values = append(out.Values, text)
		}
	}
	return out
}

// timeOf reads an xs:dateTime attribute; absent is the zero time. SAML times
// are UTC, written with a Z or with nothing (saml-core-2.0 §1.3.3); offsets are
// read too.
func timeOf(el *etree.Element, name string) (time.Time, error) {
	s := attr(el, name)
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %s=%q is not a time", el.Tag, name, answer.Clip(s, 80))
}
