// Package guides says, for each vendor and protocol, what an administrator does
// at the identity provider: numbered steps in the vendor's own words, the fields
// to fill in, and where the values are that we need back.
//
// The texts lie in text/, one file for each vendor and protocol, and are the one
// source of the console's set-up pages and of docs/sso (Markdown). A file is
//
//	vendor: okta          head: vendor, protocol, recommended, gives, issuer, source
//
//	# Make the application
//	Words, with **names on the screen** and `values`.
//	> Single sign-on URL: {{acs_url}}    a field that takes a value of ours
//	= Name ID format: Persistent         a field to set so
//	! Words that warn.
//
// Pure: no I/O but the files compiled in.
package guides

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed text
var files embed.FS

// Vendor is one that there is a guide for.
type Vendor struct{ Name, Label string }

// Vendors in the order in which a list offers them.
func Vendors() []Vendor {
	return []Vendor{{"okta", "Okta"}, {"entra", "Microsoft Entra ID"}, {"google", "Google Workspace"}, {"onelogin", "OneLogin"}, {"jumpcloud", "JumpCloud"},
		{"ping", "Ping Identity"}, {"adfs", "AD FS"}, {"keycloak", "Keycloak"}, {"shibboleth", "Shibboleth"}, {"auth0", "Auth0"}, {"custom", "Another identity provider"}}
}

// Label is how a vendor is called on a page.
func Label(vendor string) string {
	for _, v := range Vendors() {
		if v.Name == vendor {
			return v.Label
		}
	}
	return vendor
}

// Values are ours, by placeholder: "acs_url" -> "https://...".
type Values map[string]string

// Placeholders are the names that a guide may use, with the form that the
// documentation shows for a protocol.
func Placeholders(protocol string) Values {
	const saml, oidc = "https://HOST/sso/saml/CONNECTION", "https://HOST/sso/oidc/CONNECTION"
	return Values{
		"acs_url": saml + "/acs", "entity_id": saml, "metadata_url": saml + "/metadata", "slo_url": saml + "/slo", "acs_regex": `^https:\/\/HOST\/sso\/saml\/CONNECTION\/acs$`,
		"redirect_url": oidc + "/callback", "backchannel_url": oidc + "/backchannel-logout", "login_url": "https://HOST/sso/" + protocol + "/CONNECTION/login",
	}
}

// Regex is a URL as a regular expression that matches it alone, written as
// OneLogin wants it.
func Regex(address string) string {
	return "^" + strings.ReplaceAll(regexp.QuoteMeta(address), "/", `\/`) + "$"
}

// Guide is what to do at one vendor over one protocol.
type Guide struct {
	Vendor, Protocol string
	Recommended      bool   // of the vendor's protocols, take this one
	Gives            string // what comes back: "metadata" (its address), "file" (only a file), "client" (issuer, id, secret)
	Issuer           string // OIDC: how the issuer looks
	Sources          []string
	Steps            []Step
}

// Step is one of the numbered steps.
type Step struct {
	Title string
	Parts []Part
}

// Part is a paragraph, a warning, or a list of fields.
type Part struct {
	Text    []Span
	Warning bool
	Fields  []Field
}

// Field is one on the vendor's page. Copy: the value is ours.
type Field struct {
	Label, Value string
	Copy         bool
}

// Span is a piece of a paragraph.
type Span struct {
	Text string
	Kind string // "", "strong" (a name on the screen), "code"
}

// For gives the guide with these values in it; ok is false when the vendor has
// none for the protocol.
func For(vendor, protocol string, values Values) (g Guide, ok bool) {
	text, err := files.ReadFile("text/" + vendor + "-" + protocol + ".txt")
	if err != nil {
		return g, false
	}
	g, err = parse(string(text), values)
	if err != nil {
		panic(fmt.Sprintf("guides: %s-%s: %v", vendor, protocol, err)) // compiled in, and a test reads every one
	}
	return g, true
}

// Protocols that a vendor has a guide for, the recommended one first.
func Protocols(vendor string) []string {
	var list []string
	for _, protocol := range []string{"saml", "oidc"} {
		switch g, ok := For(vendor, protocol, Placeholders(protocol)); {
		case ok && g.Recommended:
			list = slices.Insert(list, 0, protocol)
		case ok:
			list = append(list, protocol)
		}
	}
	return list
}

var placeholder = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)

func parse(text string, values Values) (g Guide, err error) {
	text = placeholder.ReplaceAllStringFunc(text, func(found string) string {
		v, ok := values[strings.Trim(found, "{}")]
		if !ok && err == nil {
			err = fmt.Errorf("no value for %s", found)
		}
		return v
	})
	if err != nil {
		return g, err
	}
	head, body, _ := strings.Cut(text, "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		if err := g.header(key, value); err != nil {
			return g, err
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(body), "\n") {
		if title, ok := strings.CutPrefix(line, "# "); ok {
			g.Steps = append(g.Steps, Step{Title: title})
			continue
		}
		if line == "" {
			continue
		}
		if len(g.Steps) == 0 {
			return g, fmt.Errorf("%q stands before the first step", line)
		}
		if err := g.Steps[len(g.Steps)-1].add(line); err != nil {
			return g, err
		}
	}
	return g, nil
}

func (g *Guide) header(key, value string) error {
	switch key {
	case "vendor":
		g.Vendor = value
	case "protocol":
		g.Protocol = value
	case "recommended":
		g.Recommended = value == "yes"
	case "gives":
		g.Gives = value
	case "issuer":
		g.Issuer = value
	case "source":
		g.Sources = append(g.Sources, value)
	default:
		return fmt.Errorf("unknown head %q", key)
	}
	return nil
}

// add reads one line of a step.
func (s *Step) add(line string) error {
	kind, rest := line[:1], strings.TrimSpace(line[1:])
	switch kind {
	case ">", "=":
		label, value, ok := strings.Cut(rest, ": ")
		if !ok || label == "" || value == "" {
			return fmt.Errorf("%q is no field", line)
		}
		if n := len(s.Parts); n == 0 || len(s.Parts[n-1].Fields) == 0 {
			s.Parts = append(s.Parts, Part{})
		}
		last := &s.Parts[len(s.Parts)-1]
		last.Fields = append(last.Fields, Field{Label: label, Value: value, Copy: kind == ">"})
	case "!":
		s.Parts = append(s.Parts, Part{Text: spans(rest), Warning: true})
	default:
		s.Parts = append(s.Parts, Part{Text: spans(line)})
	}
	return nil
}

var marked = regexp.MustCompile("\\*\\*[^*]+\\*\\*|`[^`]+`")

// spans finds the marked pieces of a paragraph.
func spans(text string) (list []Span) {
	for text != "" {
		at := marked.FindStringIndex(text)
		if at == nil {
			return append(list, Span{Text: text})
		}
		if at[0] > 0 {
			list = append(list, Span{Text: text[:at[0]]})
		}
		switch piece := text[at[0]:at[1]]; piece[0] {
		case '*':
			list = append(list, Span{strings.Trim(piece, "*"), "strong"})
		default:
			list = append(list, Span{strings.Trim(piece, "`"), "code"})
		}
		text = text[at[1]:]
	}
	return list
}
