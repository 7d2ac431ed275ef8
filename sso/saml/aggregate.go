package saml

import (
	"bytes"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// Federations publish the metadata of thousands of providers in one document. It is
// read in one pass that keeps names and places; only the entity that was chosen
// becomes a tree, within the limits of any other document.

// MaxAggregateBytes bounds a document of metadata. eduGAIN, the largest, has 100 MB
// with all its service providers; its members publish less.
const MaxAggregateBytes = 64 << 20

// maxEntities bounds how many providers are remembered by name.
const maxEntities = 50_000

// listed is one identity provider of a document.
type listed struct {
	entity     string
	start, end int64
	scope      []binding // declarations around it
	until      time.Time // of the lists around it
	cache      string    // cacheDuration of the innermost list that has one
}

// aggregate is the state of the pass.
type aggregate struct {
	decoder  *xml.Decoder
	open     []openName
	scope    []binding
	root     string
	entities int
	found    []listed
	current  *listed
	provider bool // the current entity is an identity provider
}

type openName struct {
	name  xml.Name
	scope int
	until time.Time
	cache string
}

// listProviders finds the identity providers of a document.
func listProviders(b []byte) (*aggregate, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	switch {
	case len(b) > MaxAggregateBytes:
		return nil, fmt.Errorf("%d bytes; at most %d are read", len(b), MaxAggregateBytes)
	case !utf8.Valid(b):
		return nil, errors.New("the text is not UTF-8")
	}
	a := &aggregate{decoder: xml.NewDecoder(bytes.NewReader(b))}
	for {
		start := a.decoder.InputOffset()
		token, err := a.decoder.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, notXML(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			err = a.begin(t, start)
		case xml.EndElement:
			err = a.finish()
		case xml.Directive:
			err = errors.New("DOCTYPE and other declarations are not allowed")
		}
		if err != nil {
			return nil, err
		}
	}
	if len(a.open) > 0 || a.root == "" {
		return nil, errors.New("the document is not whole")
	}
	return a, nil
}

func (a *aggregate) begin(t xml.StartElement, start int64) error {
	if len(a.open) >= maxSAMLDepth {
		return fmt.Errorf("elements are nested deeper than %d", maxSAMLDepth)
	}
	top := openName{scope: len(a.scope)}
	if len(a.open) > 0 {
		top.until, top.cache = a.open[len(a.open)-1].until, a.open[len(a.open)-1].cache
	} else if a.root != "" {
		return errors.New("there is a second root element")
	}
	for _, at := range t.Attr {
		switch {
		case at.Name.Space == "xmlns":
			a.scope = append(a.scope, binding{at.Name.Local, at.Value})
		case at.Name.Space == "" && at.Name.Local == "xmlns":
			a.scope = append(a.scope, binding{"", at.Value})
		}
	}
	if len(a.scope) > maxSAMLNamespaces {
		return fmt.Errorf("more than %d namespace declarations are in scope", maxSAMLNamespaces)
	}
	top.name = xml.Name{Space: a.uri(t.Name.Space), Local: t.Name.Local}
	if a.root == "" {
		a.root = t.Name.Local
	}
	if top.name.Space == nsMetadata {
		switch {
		case top.name.Local == "EntitiesDescriptor" && a.current == nil:
			if until, err := time.Parse(time.RFC3339, plainAttr(t, "validUntil")); err == nil && (top.until.IsZero() || until.Before(top.until)) {
				top.until = until.UTC()
			}
			if cache := plainAttr(t, "cacheDuration"); cache != "" {
				top.cache = strings.Clone(cache)
			}
		case top.name.Local == "EntityDescriptor" && a.current == nil:
			a.entities++
			a.current = &listed{entity: strings.Clone(plainAttr(t, "entityID")), start: start, scope: slices.Clone(a.scope[:top.scope]), until: top.until, cache: top.cache}
			a.provider = false
		case top.name.Local == "IDPSSODescriptor" && a.current != nil:
			a.provider = a.provider || slices.Contains(strings.Fields(plainAttr(t, "protocolSupportEnumeration")), nsProtocol)
		}
	}
	a.open = append(a.open, top)
	return nil
}

func (a *aggregate) finish() error {
	if len(a.open) == 0 {
		return errors.New("an end tag closes nothing")
	}
	top := a.open[len(a.open)-1]
	a.open, a.scope = a.open[:len(a.open)-1], a.scope[:top.scope]
	if a.current == nil || top.name != (xml.Name{Space: nsMetadata, Local: "EntityDescriptor"}) {
		return nil
	}
	if a.provider {
		if len(a.found) == maxEntities {
			return fmt.Errorf("there are more than %d identity providers", maxEntities)
		}
		a.current.end = a.decoder.InputOffset()
		a.found = append(a.found, *a.current)
	}
	a.current = nil
	return nil
}

func (a *aggregate) uri(prefix string) string {
	for _, b := range slices.Backward(a.scope) {
		if b.prefix == prefix {
			return b.uri
		}
	}
	return ""
}

func plainAttr(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// Entities are the identity providers in a document, by entity ID. Metadata of a
// federation has many, and an administrator must choose one (Pick).
func Entities(b []byte) ([]string, error) {
	a, err := listProviders(b)
	if err != nil {
		return nil, unreadable(err)
	}
	var names []string
	seen := map[string]bool{}
	for _, f := range a.found {
		if f.entity != "" && !seen[f.entity] {
			seen[f.entity] = true
			names = append(names, f.entity)
		}
	}
	return names, nil
}

// Pick is the metadata of one of them alone. With entity empty there must be only
// one. Faults: Invalid on "metadata", and on "entity" when the choice is missing or
// wrong; it names candidates.
func Pick(b []byte, entity string) ([]byte, error) {
	a, err := listProviders(b)
	if err != nil {
		return nil, unreadable(err)
	}
	chosen := a.found
	if entity != "" {
		chosen = slices.DeleteFunc(slices.Clone(a.found), func(f listed) bool { return f.entity != entity })
	}
	switch {
	case len(a.found) == 0: // ParseMetadata knows what it is instead
		return b[:min(len(b), maxSAMLBytes)], nil
	case len(chosen) == 0:
		return nil, fault.Invalid.On("entity", "The metadata does not list the identity provider %q. It lists %s.", answer.Clip(entity, 200), a.candidates())
	case len(chosen) > 1 && entity != "":
		return nil, fault.Invalid.On("entity", "The metadata lists %q %d times.", answer.Clip(entity, 200), len(chosen))
	case len(chosen) > 1:
		return nil, fault.Invalid.On("entity", "The metadata lists %d identity providers. Choose one by its entity ID: %s.", len(chosen), a.candidates())
	}
	one := chosen[0]
	doc, err := scanXML(bytes.TrimPrefix(b, []byte("\ufeff"))[one.start:one.end], one.scope, true)
	if err != nil {
		return nil, unreadable(err)
	}
	inherit(doc.root, one.scope)
	// What the lists around it say of time holds for it too (saml-metadata-2.0 §4.1).
	if until, err := timeOf(doc.root, "validUntil"); err == nil && !one.until.IsZero() && (until.IsZero() || one.until.Before(until)) {
		doc.root.CreateAttr("validUntil", one.until.Format(time.RFC3339))
	}
	if one.cache != "" && attr(doc.root, "cacheDuration") == "" {
		doc.root.CreateAttr("cacheDuration", one.cache)
	}
	return write(doc.root)
}

// candidates names providers for somebody to choose from, as an argument of a fault.
func (a *aggregate) candidates() any {
	const some = 20
	var names []string
	for _, f := range a.found[:min(len(a.found), some)] {
		names = append(names, answer.Clip(f.entity, 200))
	}
	text := strings.Join(names, ", ")
	if more := len(a.found) - some; more > 0 {
		return fault.Invalid.Say("%s and %d more", text, more)
	}
	return text
}

func unreadable(err error) error {
	return fault.Invalid.On("metadata", "This is not readable as SAML metadata: %s. Export the metadata (XML) of this application at the identity provider.", err)
}

// CheckMetadataSignature holds the signature over a whole document of metadata
// against the one certificate with this SHA-256 (hex), and gives the text that it
// covers.
func CheckMetadataSignature(b []byte, signer string) ([]byte, error) {
	doc, err := scanXML(b, nil, true)
	if err != nil {
		return nil, err
	}
	sig := doc.signatureOf(doc.root)
	if sig == nil {
		return nil, errors.New("it is not signed")
	}
	var certs []*x509.Certificate
	for _, info := range sig.ChildElements() {
		for _, data := range info.ChildElements() {
			for _, el := range data.ChildElements() {
				if !isElement(el, nsSignature, "X509Certificate") {
					continue
				}
				der, err := decodeBase64(el.Text())
				if err != nil || Fingerprint(der) != signer {
					continue
				}
				if cert, err := x509.ParseCertificate(der); err == nil && checkKey(cert) == nil {
					certs = append(certs, cert)
				}
			}
		}
	}
	if len(certs) == 0 {
		return nil, errors.New("it does not name the pinned certificate as its signer")
	}
	out, err := verify(sig, certs[:1], false)
	if err != nil {
		return nil, err
	}
	return write(out.el)
}

var durationForm = regexp.MustCompile(`^P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?$`)

// duration reads an xs:duration; zero when there is none that can be read. Years and
// months have no fixed length; for a cache, about is enough.
func duration(s string) (d time.Duration) {
	m := durationForm.FindStringSubmatch(s)
	if m == nil {
		return 0
	}
	const day = 24 * time.Hour
	for i, unit := range []time.Duration{365 * day, 30 * day, day, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(m[i+1])
		d += min(time.Duration(n), 10*365*day/unit) * unit // no more than ten years of each
	}
	return d
}
