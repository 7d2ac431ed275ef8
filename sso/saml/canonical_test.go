package saml

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/muster-id/muster/sso/ssotest"
)

// TestCanonicalForm: the rules one by one, from xml-exc-c14n §2 and §3 and xml-c14n §2.3.
func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		doc, path string // the element whose form is asked; "" is the root
		inclusive []string
		want      string
	}{
		"empty element":               {doc: `<a/>`, want: `<a></a>`},
		"attributes by name":          {doc: `<a z="1" b="2"/>`, want: `<a b="2" z="1"></a>`},
		"attributes by namespace":     {doc: `<a xmlns:x="urn:2" xmlns:y="urn:1" x:a="1" y:a="2" a="3"/>`, want: `<a xmlns:x="urn:2" xmlns:y="urn:1" a="3" y:a="2" x:a="1"></a>`},
		"unused declaration":          {doc: `<a xmlns:x="urn:x"><x:b/></a>`, want: `<a><x:b xmlns:x="urn:x"></x:b></a>`},
		"declared twice, said once":   {doc: `<x:a xmlns:x="urn:x"><x:b xmlns:x="urn:x"/></x:a>`, want: `<x:a xmlns:x="urn:x"><x:b></x:b></x:a>`},
		"said again by siblings":      {doc: `<a xmlns:x="urn:x"><x:b/><x:c/></a>`, want: `<a><x:b xmlns:x="urn:x"></x:b><x:c xmlns:x="urn:x"></x:c></a>`},
		"prefix bound anew":           {doc: `<x:a xmlns:x="urn:x"><x:b xmlns:x="urn:y"><x:c/></x:b><x:d/></x:a>`, want: `<x:a xmlns:x="urn:x"><x:b xmlns:x="urn:y"><x:c></x:c></x:b><x:d></x:d></x:a>`},
		"default undeclared":          {doc: `<a xmlns="urn:x"><b xmlns=""><c/></b></a>`, want: `<a xmlns="urn:x"><b xmlns=""><c></c></b></a>`},
		"default never declared":      {doc: `<x:a xmlns:x="urn:x"><b xmlns=""/></x:a>`, want: `<x:a xmlns:x="urn:x"><b></b></x:a>`},
		"scope from outside":          {doc: `<x:a xmlns:x="urn:x" xmlns="urn:d"><x:b><c/></x:b></x:a>`, path: "b", want: `<x:b xmlns:x="urn:x"><c xmlns="urn:d"></c></x:b>`},
		"inclusive prefix":            {doc: `<a xmlns:x="urn:x" xmlns:y="urn:y"><b t="x:q"/></a>`, path: "b", inclusive: []string{"x"}, want: `<b xmlns:x="urn:x" t="x:q"></b>`},
		"inclusive default":           {doc: `<x:a xmlns:x="urn:x" xmlns="urn:d"><x:b/></x:a>`, path: "b", inclusive: []string{""}, want: `<x:b xmlns="urn:d" xmlns:x="urn:x"></x:b>`},
		"inclusive but not declared":  {doc: `<a/>`, inclusive: []string{"x", ""}, want: `<a></a>`},
		"xml prefix":                  {doc: `<a xml:lang="de"/>`, want: `<a xml:lang="de"></a>`},
		"text escaped":                {doc: `<a>&lt;&gt;&amp;"'&#xD;&#x9;</a>`, want: "<a>&lt;&gt;&amp;\"'&#xD;\t</a>"},
		"attribute escaped":           {doc: `<a b="&lt;>&amp;&quot;'&#xD;&#xA;&#x9;"/>`, want: `<a b="&lt;>&amp;&quot;'&#xD;&#xA;&#x9;"></a>`},
		"CDATA is text":               {doc: `<a><![CDATA[<b>]]></a>`, want: `<a>&lt;b&gt;</a>`},
		"line ends":                   {doc: "<a>1\r\n2\r3</a>", want: "<a>1\n2\n3</a>"},
		"characters beyond the plane": {doc: `<a>ä𝔘</a>`, want: `<a>ä𝔘</a>`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := scanXML([]byte(c.doc), nil, false)
			if err != nil {
				t.Fatal(err)
			}
			el := doc.root
			if c.path != "" {
				el = el.FindElement(".//" + c.path)
			}
			if got := string(canonical(el, nil, c.inclusive)); got != c.want {
				t.Errorf("canonical(%s)\n got %s\nwant %s", c.doc, got, c.want)
			}
		})
	}
}

// TestCanonicalSkips: what is taken out leaves nothing behind, not even a declaration.
func TestCanonicalSkips(t *testing.T) {
	t.Parallel()
	doc, err := scanXML([]byte(`<a><b/>1<x:s xmlns:x="urn:x"><b/></x:s>2</a>`), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(canonical(doc.root, doc.root.FindElement("s"), nil)), `<a><b></b>12</a>`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestCanonicalAgrees holds random documents against goxmldsig, and signatures
// over them, made with our form, against xmlsec1. goxmldsig sorts attributes by
// prefix instead of namespace (xml-c14n §2.2) and undeclares a default namespace that
// it has not written, so its documents have neither; xmlsec1 judges those.
func TestCanonicalAgrees(t *testing.T) {
	t.Parallel()
	read := func(seed uint64, plain bool) (string, *etree.Element) {
		text := randomXML(mathrand.New(mathrand.NewPCG(seed, 1)), plain)
		doc, err := scanXML([]byte(text), nil, false)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		return text, doc.root
	}
	for seed := range uint64(300) {
		_, root := read(seed, true)
		for _, el := range append(root.FindElements(".//*"), root) {
			for _, inclusive := range [][]string{nil, {"p", "q"}} {
				if got, want := string(canonical(el, nil, inclusive)), goxmldsigForm(t, el, inclusive); got != want {
					t.Fatalf("seed %d: we write\n%s\ngoxmldsig\n%s", seed, got, want)
				}
			}
		}
	}
	for seed := range uint64(40) {
		text, root := read(seed, false)
		sameAgain(t, root)
		signed := signOurWay(t, text)
		if err := xmlsec(t, signed, "Response", ssotest.SPSigner().Cert); err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, signed)
		}
	}
}

func goxmldsigForm(t *testing.T, el *etree.Element, inclusive []string) string {
	t.Helper()
	alone := el.Copy()
	if el.Parent() != nil {
		inherit(alone, scopeOf(el.Parent()))
	}
	b, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(strings.Join(inclusive, " ")).Canonicalize(alone)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sameAgain fails when our form is not its own form, or cannot be read.
func sameAgain(t *testing.T, el *etree.Element) {
	t.Helper()
	first := canonical(el, nil, nil)
	again, err := scanXML(first, nil, false)
	if err != nil {
		t.Fatalf("our own form is refused: %v\n%s", err, first)
	}
	if second := canonical(again.root, nil, nil); string(second) != string(first) {
		t.Fatalf("first\n%s\nread and written again\n%s", first, second)
	}
}

// randomXML writes a Response with namespaces bound, hidden, unbound and bound
// again, attributes in any order and texts to escape; a plain one binds each
// prefix to one namespace only.
func randomXML(r *mathrand.Rand, plain bool) string {
	uris := map[string][]string{"p": {"urn:p"}, "q": {"urn:q"}, "r": {"urn:r"}}
	defaults := []string{"urn:d", "urn:e"}
	if !plain {
		defaults = append(defaults, "")
		uris = map[string][]string{"p": {"urn:a", "urn:b"}, "q": {"urn:a", "urn:c"}, "r": {"urn:b", "urn:c"}}
	}
	texts := []string{"", "x", "&lt;&amp;", "&#xD;&#xA;&#9;", "ä", `'`, "&quot;&gt;"}
	var write func(depth int, bound map[string]bool) string
	write = func(depth int, bound map[string]bool) string {
		here := map[string]bool{}
		for p := range bound {
			here[p] = true
		}
		var attrs []string
		for _, p := range []string{"p", "q", "r"} {
			if r.IntN(3) == 0 {
				attrs, here[p] = append(attrs, fmt.Sprintf(`xmlns:%s="%s"`, p, uris[p][r.IntN(len(uris[p]))])), true
			}
		}
		if r.IntN(4) == 0 {
			attrs = append(attrs, fmt.Sprintf(`xmlns="%s"`, defaults[r.IntN(len(defaults))]))
		}
		for _, n := range []string{"z", "b", "a"} {
			if r.IntN(2) == 0 {
				attrs = append(attrs, fmt.Sprintf(`%s="%s"`, n, texts[r.IntN(len(texts))]))
			}
		}
		if !plain && r.IntN(6) == 0 {
			attrs = append(attrs, `xml:lang="de"`)
		}
		name := "e"
		for _, p := range []string{"p", "q", "r"} {
			if here[p] && r.IntN(2) == 0 {
				name = p + ":e"
				if r.IntN(2) == 0 {
					attrs = append(attrs, fmt.Sprintf(`%s:k%s="%d"`, p, p, r.IntN(9)))
				}
			}
		}
		r.Shuffle(len(attrs), func(i, j int) { attrs[i], attrs[j] = attrs[j], attrs[i] })
		out := "<" + name + " " + strings.Join(attrs, " ") + ">" + texts[r.IntN(len(texts))]
		for range r.IntN(3) {
			if depth < 4 {
				out += write(depth+1, here) + texts[r.IntN(len(texts))]
			}
		}
		return out + "</" + name + ">"
	}
	return `<x:Response xmlns:x="` + nsProtocol + `" ID="r1">` + write(0, nil) + write(0, nil) + `</x:Response>`
}

// signOurWay puts a signature into a Response that was made over our canonical
// bytes. It stays text: etree writes line ends that are read back as others.
func signOurWay(t *testing.T, text string) []byte {
	t.Helper()
	encode := base64.StdEncoding.EncodeToString
	read := func(s string) *etree.Element {
		doc, err := scanXML([]byte(s), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		return doc.root
	}
	digest := sha256.Sum256(canonical(read(text), nil, nil))
	info := `<SignedInfo xmlns="` + nsSignature + `"><CanonicalizationMethod Algorithm="` + algExcC14N +
		`"/><SignatureMethod Algorithm="` + dsig.RSASHA256SignatureMethod + `"/><Reference URI="#r1"><Transforms><Transform Algorithm="` + algEnveloped +
		`"/><Transform Algorithm="` + algExcC14N + `"/></Transforms><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>` +
		encode(digest[:]) + `</DigestValue></Reference></SignedInfo>`
	sum := sha256.Sum256(canonical(read(info), nil, nil))
	value, err := rsa.SignPKCS1v15(rand.Reader, ssotest.SPSigner().Key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := `<Signature xmlns="` + nsSignature + `">` + info + `<SignatureValue>` + encode(value) + `</SignatureValue></Signature>`
	return []byte(strings.Replace(text, `ID="r1">`, `ID="r1">`+sig, 1))
}
