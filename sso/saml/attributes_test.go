package saml

import (
	"reflect"
	"testing"

	"github.com/muster-id/muster/sso/answer"
)

func TestAttributeMaps(t *testing.T) {
	t.Parallel()
	const tenant, object = ClaimsIdentity + "tenantid", ClaimsIdentity + "objectidentifier"
	entra := []attribute{
		{tenant, []string{"t1"}}, {object, []string{"o1"}}, {ClaimsXMLSOAP + "name", []string{"alice@corp.example"}},
		{ClaimsXMLSOAP + "emailaddress", []string{"alice@example.com"}}, {ClaimsXMLSOAP + "givenname", []string{"Alice"}},
		{ClaimsXMLSOAP + "surname", []string{"Adams"}}, {ClaimsIdentity + "displayname", []string{"Alice Adams"}},
	}
	for _, c := range []struct {
		name, vendor string
		in           assertionFacts
		want         answer.Profile // compared without Attributes
	}{
		{"Entra is keyed by tenant and object", "entra",
			assertionFacts{NameID: "alice@corp.example", NameIDFormat: FormatEmail, Attributes: append(entra, attribute{ClaimsWindows + "groups", []string{"g1", "g2"}})},
			answer.Profile{Subject: "t1/o1", SubjectKind: "attribute:" + tenant + "+" + object, UserName: "alice@corp.example", Email: "alice@example.com", GivenName: "Alice",
				FamilyName: "Adams", DisplayName: "Alice Adams", Groups: []string{"g1", "g2"}, GroupsKnown: true, NameIDFormat: FormatEmail}},
		{"Entra with over 150 groups says so instead", "entra",
			assertionFacts{NameID: "x", Attributes: append(entra, attribute{groupsLink, []string{"https://graph"}})},
			answer.Profile{Subject: "t1/o1", SubjectKind: "attribute:" + tenant + "+" + object, UserName: "alice@corp.example", Email: "alice@example.com", GivenName: "Alice",
				FamilyName: "Adams", DisplayName: "Alice Adams"}},
		{"half a key is none", "entra", assertionFacts{NameID: "n", Attributes: []attribute{{object, []string{"o1"}}}},
			answer.Profile{Subject: "n", SubjectKind: "nameid"}},
		{"an empty group list is known", "custom", assertionFacts{NameID: "n", Attributes: []attribute{{"groups", nil}}},
			answer.Profile{Subject: "n", SubjectKind: "nameid", GroupsKnown: true}},
		{"repeated attributes add up", "okta", assertionFacts{NameID: "n", Attributes: []attribute{{"userId", []string{"00u1"}}, {"groups", []string{"a"}}, {"groups", []string{"b"}}}},
			answer.Profile{Subject: "00u1", SubjectKind: "attribute:userId", Groups: []string{"a", "b"}, GroupsKnown: true}},
		{"e-mail from the NameID", "google", assertionFacts{NameID: "alice@example.com", NameIDFormat: FormatEmail},
			answer.Profile{Subject: "alice@example.com", SubjectKind: "nameid", Email: "alice@example.com", UserName: "alice@example.com", NameIDFormat: FormatEmail}},
		{"OIDs", "shibboleth", assertionFacts{NameID: "t", NameIDFormat: FormatTransient, Attributes: []attribute{
			{"urn:oasis:names:tc:SAML:attribute:pairwise-id", []string{"p@idp"}}, {"urn:oid:0.9.2342.19200300.100.1.3", []string{"a@example.com"}}, {"urn:oid:2.5.4.42", []string{"A"}}}},
			answer.Profile{Subject: "p@idp", SubjectKind: "attribute:urn:oasis:names:tc:SAML:attribute:pairwise-id", Email: "a@example.com", UserName: "a@example.com", GivenName: "A", NameIDFormat: FormatTransient}},
		{"a lasting attribute instead of a transient NameID", "custom", assertionFacts{NameID: "t", NameIDFormat: FormatTransient, Attributes: []attribute{
			{"urn:oasis:names:tc:SAML:attribute:subject-id", []string{"s@idp"}}}},
			answer.Profile{Subject: "s@idp", SubjectKind: "attribute:urn:oasis:names:tc:SAML:attribute:subject-id", NameIDFormat: FormatTransient}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := AttributesFor(c.vendor).profile(c.in)
			got.Attributes = nil
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("profile\n%+v, want\n%+v", got, c.want)
			}
		})
	}
}
