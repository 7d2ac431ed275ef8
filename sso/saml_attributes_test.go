package sso

import (
	"reflect"
	"testing"
)

func TestAttributeMaps(t *testing.T) {
	t.Parallel()
	const tenant, object = claimsIdentity + "tenantid", claimsIdentity + "objectidentifier"
	entra := []attribute{
		{tenant, []string{"t1"}}, {object, []string{"o1"}}, {claimsXMLSOAP + "name", []string{"alice@corp.example"}},
		{claimsXMLSOAP + "emailaddress", []string{"alice@example.com"}}, {claimsXMLSOAP + "givenname", []string{"Alice"}},
		{claimsXMLSOAP + "surname", []string{"Adams"}}, {claimsIdentity + "displayname", []string{"Alice Adams"}},
	}
	for _, c := range []struct {
		name, vendor string
		in           assertionFacts
		want         Profile // compared without Attributes
	}{
		{"Entra is keyed by tenant and object", "entra",
			assertionFacts{NameID: "alice@corp.example", NameIDFormat: formatEmail, Attributes: append(entra, attribute{claimsWindows + "groups", []string{"g1", "g2"}})},
			Profile{Subject: "t1/o1", SubjectKind: "attribute:" + tenant + "+" + object, UserName: "alice@corp.example", Email: "alice@example.com", GivenName: "Alice",
				FamilyName: "Adams", DisplayName: "Alice Adams", Groups: []string{"g1", "g2"}, GroupsKnown: true, NameIDFormat: formatEmail}},
		{"Entra with over 150 groups says so instead", "entra",
			assertionFacts{NameID: "x", Attributes: append(entra, attribute{groupsLink, []string{"https://graph"}})},
			Profile{Subject: "t1/o1", SubjectKind: "attribute:" + tenant + "+" + object, UserName: "alice@corp.example", Email: "alice@example.com", GivenName: "Alice",
				FamilyName: "Adams", DisplayName: "Alice Adams"}},
		{"half a key is none", "entra", assertionFacts{NameID: "n", Attributes: []attribute{{object, []string{"o1"}}}},
			Profile{Subject: "n", SubjectKind: "nameid"}},
		{"an empty group list is known", "custom", assertionFacts{NameID: "n", Attributes: []attribute{{"groups", nil}}},
			Profile{Subject: "n", SubjectKind: "nameid", GroupsKnown: true}},
		{"repeated attributes add up", "okta", assertionFacts{NameID: "n", Attributes: []attribute{{"userId", []string{"00u1"}}, {"groups", []string{"a"}}, {"groups", []string{"b"}}}},
			Profile{Subject: "00u1", SubjectKind: "attribute:userId", Groups: []string{"a", "b"}, GroupsKnown: true}},
		{"e-mail from the NameID", "google", assertionFacts{NameID: "alice@example.com", NameIDFormat: formatEmail},
			Profile{Subject: "alice@example.com", SubjectKind: "nameid", Email: "alice@example.com", UserName: "alice@example.com", NameIDFormat: formatEmail}},
		{"OIDs", "shibboleth", assertionFacts{NameID: "t", NameIDFormat: formatTransient, Attributes: []attribute{
			{"urn:oasis:names:tc:SAML:attribute:pairwise-id", []string{"p@idp"}}, {"urn:oid:0.9.2342.19200300.100.1.3", []string{"a@example.com"}}, {"urn:oid:2.5.4.42", []string{"A"}}}},
			Profile{Subject: "p@idp", SubjectKind: "attribute:urn:oasis:names:tc:SAML:attribute:pairwise-id", Email: "a@example.com", UserName: "a@example.com", GivenName: "A", NameIDFormat: formatTransient}},
		{"a lasting attribute instead of a transient NameID", "custom", assertionFacts{NameID: "t", NameIDFormat: formatTransient, Attributes: []attribute{
			{"urn:oasis:names:tc:SAML:attribute:subject-id", []string{"s@idp"}}}},
			Profile{Subject: "s@idp", SubjectKind: "attribute:urn:oasis:names:tc:SAML:attribute:subject-id", NameIDFormat: formatTransient}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := attributesFor(c.vendor).profile(c.in)
			got.Attributes = nil
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("profile\n%+v, want\n%+v", got, c.want)
			}
		})
	}
}
