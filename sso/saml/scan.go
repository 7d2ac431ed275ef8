package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/sso/answer"
)

// Limits of one SAML document. The largest honest response seen has 1,500
// groups in 124 KB; the depth of a signed response is 12.
const (
	maxSAMLBytes      = 512 << 10
	maxSAMLDepth      = 40
	maxSAMLElements   = 20_000
	maxAttributes     = 64 // of one element
	maxSAMLNamespaces = 64 // declarations in scope at one place
	maxSAMLID         = 256
)

const (
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsXML       = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS     = "http://www.w3.org/2000/xmlns/"
)

// scanned is a document that passed the token scan. The tree was built by the
// very pass that checked it, so the checks and the later steps cannot read the
// same bytes in two ways.
type scanned struct {
	root       *etree.Element
	assertions []*etree.Element // Assertion and EncryptedAssertion, wherever they stand
	signatures []*etree.Element // Signature, wherever it stands
	ids        map[string]bool
}

// binding is one namespace declaration in scope.
type binding struct{ prefix, uri string }

// scanXML reads one XML document in a single pass, within the limits above. It
// refuses all that two parsers might read differently: other encodings,
// DOCTYPE, comments, processing instructions, duplicate attributes, undeclared
// prefixes, text around the root. inherited are the declarations that are in
// scope around a decrypted fragment. Metadata, which people edit by hand, may
// have comments and processing instructions; they are dropped.
func scanXML(b []byte, inherited []binding, comments bool) (*scanned, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	switch {
	case len(b) > maxSAMLBytes:
		return nil, fmt.Errorf("%d bytes; at most %d are read", len(b), maxSAMLBytes)
	case !utf8.Valid(b):
		return nil, fmt.Errorf("the text is not UTF-8")
	}
	s := scanner{
		decoder:  xml.NewDecoder(bytes.NewReader(b)),
		comments: comments,
		scope:    append([]binding{{"xml", nsXML}}, inherited...),
		out:      scanned{ids: map[string]bool{}},
	}
	for {
		start := s.decoder.InputOffset()
		token, err := s.decoder.RawToken()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = s.token(token, start)
		} else {
			err = notXML(err)
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case s.out.root == nil:
		return nil, fmt.Errorf("there is no element")
	case len(s.open) > 0: // RawToken does not look at nesting
		return nil, fmt.Errorf("the text ends inside <%s>", s.open[len(s.open)-1].el.FullTag())
	}
	return &s.out, nil
}

// notXML is why the decoder could not read on, for people.
func notXML(err error) error {
	if broken, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return fmt.Errorf("line %d is no well-formed XML: %s", broken.Line, broken.Msg)
	}
	return errors.New("the XML declaration asks for another version than 1.0 or another encoding than UTF-8")
}

// declaration is what an XML declaration may say; the decoder lets other text pass.
var declaration = regexp.MustCompile(`^version\s*=\s*("1\.0"|'1\.0')(\s+encoding\s*=\s*("(?i:utf-8)"|'(?i:utf-8)'))?(\s+standalone\s*=\s*("(yes|no)"|'(yes|no)'))?\s*$`)

// scanner is the state of one pass.
type scanner struct {
	decoder  *xml.Decoder
	comments bool // let comments and processing instructions pass
	open     []openElement
	scope    []binding
	elements int
	out      scanned
}

// openElement is an element whose end has not come yet.
type openElement struct {
	el    *etree.Element
	name  xml.Name
	scope int // length of scanner.scope before it
}

func (s *scanner) token(token xml.Token, start int64) error {
	switch t := token.(type) {
	case xml.StartElement:
		return s.start(t)
	case xml.EndElement:
		return s.end(t)
	case xml.CharData:
		if len(s.open) > 0 {
			s.open[len(s.open)-1].el.CreateText(string(t))
		} else if len(bytes.TrimSpace(t)) > 0 {
			return fmt.Errorf("there is text outside the root element")
		}
		return nil
	case xml.ProcInst:
		if t.Target == "xml" && start == 0 && declaration.Match(t.Inst) || s.comments && t.Target != "xml" {
			return nil
		}
		return fmt.Errorf("processing instructions are not allowed")
	case xml.Comment:
		if s.comments {
			return nil
		}
		return fmt.Errorf("comments are not allowed")
	default:
		return fmt.Errorf("DOCTYPE and other declarations are not allowed")
	}
}

func (s *scanner) start(t xml.StartElement) error {
	s.elements++
	switch {
	case len(s.open) == 0 && s.out.root != nil:
		return fmt.Errorf("there is a second root element <%s>", answer.Clip(t.Name.Local, 80))
	case len(s.open) >= maxSAMLDepth:
		return fmt.Errorf("elements are nested deeper than %d", maxSAMLDepth)
	case s.elements > maxSAMLElements:
		return fmt.Errorf("there are more than %d elements", maxSAMLElements)
	case len(t.Attr) > maxAttributes:
		return fmt.Errorf("<%s> has more than %d attributes", answer.Clip(t.Name.Local, 80), maxAttributes)
	}
	before := len(s.scope)
	if err := s.declare(t.Attr); err != nil {
		return err
	}
	name, err := s.resolve(t.Name, true)
	if err != nil {
		return err
	}
	if err := s.attributes(t.Attr); err != nil {
		return err
	}
	el := &etree.Element{Space: t.Name.Space, Tag: t.Name.Local, Attr: make([]etree.Attr, len(t.Attr))}
	for i, a := range t.Attr {
		el.Attr[i] = etree.Attr{Space: a.Name.Space, Key: a.Name.Local, Value: a.Value}
	}
	if len(s.open) == 0 {
		s.out.root = el
	} else {
		s.open[len(s.open)-1].el.AddChild(el)
	}
	switch name {
	case xml.Name{Space: nsAssertion, Local: "Assertion"}, xml.Name{Space: nsAssertion, Local: "EncryptedAssertion"}:
		s.out.assertions = append(s.out.assertions, el)
	case xml.Name{Space: nsSignature, Local: "Signature"}:
		s.out.signatures = append(s.out.signatures, el)
	}
	s.open = append(s.open, openElement{el, name, before})
	return nil
}

func (s *scanner) end(t xml.EndElement) error {
	if len(s.open) == 0 {
		return fmt.Errorf("</%s> closes nothing", answer.Clip(t.Name.Local, 80))
	}
	top := s.open[len(s.open)-1]
	if top.el.Space != t.Name.Space || top.el.Tag != t.Name.Local {
		return fmt.Errorf("<%s> is closed by </%s>", answer.Clip(top.el.FullTag(), 80), answer.Clip(t.Name.Local, 80))
	}
	s.open = s.open[:len(s.open)-1]
	s.scope = s.scope[:top.scope]
	return nil
}

// absolute tells whether a namespace's URI begins with a scheme and has the letters
// of a URI (RFC 3986 §2) only. Others cannot be canonicalized (xml-c14n §1.3):
// verifiers that met one have digested nothing at all and called it signed.
func absolute(uri string) bool {
	scheme, rest, found := strings.Cut(uri, ":")
	if !found || scheme == "" || scheme[0]|0x20 < 'a' {
		return false
	}
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' }
	return !strings.ContainsFunc(scheme, func(r rune) bool { return !letter(r) && !strings.ContainsRune("+-.", r) }) &&
		!strings.ContainsFunc(rest, func(r rune) bool { return !letter(r) && !strings.ContainsRune("-._~:/?#[]@!$&'()*+,;=%", r) })
}

// declare puts an element's namespace declarations into scope.
func (s *scanner) declare(attrs []xml.Attr) error {
	for _, a := range attrs {
		var prefix string
		switch {
		case a.Name.Space == "xmlns":
			prefix = a.Name.Local
		case a.Name.Space == "" && a.Name.Local == "xmlns":
		default:
			continue
		}
		// Namespaces in XML 1.0 §3: the reserved names, and no undeclaring of prefixes.
		if prefix == "xml" || prefix == "xmlns" || a.Value == nsXML || a.Value == nsXMLNS || (prefix != "" && a.Value == "") {
			return fmt.Errorf("the namespace declaration %q is not allowed", answer.Clip(prefix, 80))
		}
		if !s.comments && a.Value != "" && !absolute(a.Value) {
			return fmt.Errorf("the namespace %q is relative or no URI", answer.Clip(a.Value, 80))
		}
		s.scope = append(s.scope, binding{prefix, a.Value})
	}
	if len(s.scope) > maxSAMLNamespaces {
		return fmt.Errorf("more than %d namespace declarations are in scope", maxSAMLNamespaces)
	}
	return nil
}

// resolve turns a prefixed name into a full one. The decoder leaves a colon in
// the local part of names like ":a", which it should not accept at all.
func (s *scanner) resolve(name xml.Name, element bool) (xml.Name, error) {
	if name.Local == "" || strings.Contains(name.Local, ":") {
		return name, fmt.Errorf("%q is not a name", answer.Clip(name.Local, 80))
	}
	if name.Space == "" && !element {
		return name, nil
	}
	for i := len(s.scope) - 1; i >= 0; i-- {
		if s.scope[i].prefix == name.Space {
			return xml.Name{Space: s.scope[i].uri, Local: name.Local}, nil
		}
	}
	if name.Space == "" {
		return name, nil
	}
	return name, fmt.Errorf("the prefix %q is not declared", answer.Clip(name.Space, 80))
}

// attributes refuses duplicates, which the decoder lets pass, and collects ids.
func (s *scanner) attributes(attrs []xml.Attr) error {
	var names [maxAttributes]xml.Name
	for i, a := range attrs {
		name := a.Name
		if name.Space != "xmlns" {
			var err error
			if name, err = s.resolve(a.Name, false); err != nil {
				return err
			}
		}
		for _, other := range names[:i] {
			if other == name {
				return fmt.Errorf("the attribute %q stands twice on one element", answer.Clip(name.Local, 80))
			}
		}
		names[i] = name
		isID := (name.Space == "" || name.Space == nsXML) && strings.EqualFold(name.Local, "id")
		if !isID {
			continue
		}
		if s.out.ids[a.Value] {
			return fmt.Errorf("the ID %q stands twice", answer.Clip(a.Value, 80))
		}
		s.out.ids[a.Value] = true
	}
	return nil
}
