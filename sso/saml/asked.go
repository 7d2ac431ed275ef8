package saml

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
)

// Hint says to the provider whom it will probably meet, so that nobody types an
// address twice. It demands nothing: who answers is checked as ever.
type Hint struct {
	Value     string // empty: no hint
	AsSubject bool   // in the request, as its Subject
	Parameter string // beside the request, as this parameter of the URL; SAML knows none, so it is not signed
}

// onto adds the hint to the single sign-on URL, whose own query stays as it is.
func (h Hint) onto(address string) string {
	if h.Value == "" || h.Parameter == "" {
		return address
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return strings.TrimRight(address, "?&") + separator + url.QueryEscape(h.Parameter) + "=" + url.QueryEscape(h.Value)
}

func (h Hint) subject() *crewjam.Subject {
	if h.Value == "" || !h.AsSubject {
		return nil
	}
	return &crewjam.Subject{NameID: &crewjam.NameID{Format: FormatUnspecified, Value: h.Value}}
}

// Contexts is the way of signing in that a request asks for, and what its answer
// may say.
type Contexts struct {
	Asked      []string `json:"asked,omitempty"`      // authentication context classes; none: any will do
	Comparison string   `json:"comparison,omitempty"` // ComparisonExact when empty
	Also       []string `json:"also,omitempty"`       // classes that will do beside those asked for
	Order      []string `json:"order,omitempty"`      // the provider's classes, the weakest first; none: it is not known
}

// How a provider compares (saml-core-2.0 §3.3.2.2.1). Which class is stronger than
// which it knows alone, unless Order says it.
const (
	ComparisonExact   = "exact"
	ComparisonMinimum = "minimum"
	ComparisonMaximum = "maximum"
	ComparisonBetter  = "better"
)

// into writes the request's RequestedAuthnContext, last in the schema's order.
// crewjam's own type takes one class only.
func (c Contexts) into(request *etree.Element) {
	if len(c.Asked) == 0 {
		return
	}
	el := request.CreateElement("samlp:RequestedAuthnContext")
	comparison := c.Comparison
	if comparison == "" {
		comparison = ComparisonExact
	}
	el.CreateAttr("Comparison", comparison)
	for _, class := range c.Asked {
		el.CreateElement("saml:AuthnContextClassRef").SetText(class)
	}
}

// answeredBy tells whether a class will do as the answer. What is stronger than
// what was asked for must be on the list, or behind it in the order: we do not guess one.
func (c Contexts) answeredBy(class string) bool {
	switch {
	case len(c.Asked) == 0:
		return true
	case class == "":
		return false
	case c.Comparison != ComparisonBetter && slices.Contains(c.Asked, class):
		return true
	}
	return slices.Contains(c.Also, class) || c.inOrder(class)
}

// inOrder compares by the order: with the weakest of what was asked for ("at least as
// strong as one of them"), else with the strongest.
func (c Contexts) inOrder(class string) bool {
	at := slices.Index(c.Order, class)
	weakest, strongest := len(c.Order), -1
	for _, asked := range c.Asked {
		if i := slices.Index(c.Order, asked); i >= 0 {
			weakest, strongest = min(weakest, i), max(strongest, i)
		}
	}
	if at < 0 || strongest < 0 {
		return false
	}
	switch c.Comparison {
	case ComparisonMinimum:
		return at >= weakest
	case ComparisonBetter:
		return at > strongest
	case ComparisonMaximum:
		return at <= strongest
	}
	return false
}

// expected is what will do, for the trace.
func (c Contexts) expected() string {
	list := c.Also
	if c.Comparison != ComparisonBetter {
		list = slices.Concat(c.Asked, c.Also)
	}
	for _, class := range c.Order {
		if c.inOrder(class) && !slices.Contains(list, class) {
			list = append(list[:len(list):len(list)], class)
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return fmt.Sprintf("one of %s", strings.Join(list, ", "))
}
