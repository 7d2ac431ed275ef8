package saml

import (
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/ssotest"
)

func TestParseIDPMetadata(t *testing.T) {
	t.Parallel()
	idp := ssotest.NewIDP()
	good := string(idp.Metadata(ssotest.OtherSigner().Cert))
	weak := ssotest.NewSigner(1024, now.AddDate(1, 0, 0))
	body := good[strings.Index(good, "<EntityDescriptor"):]
	other := strings.ReplaceAll(body, idp.EntityID, "https://second.example")
	aggregate := func(entities ...string) string {
		return `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + strings.Join(entities, "") + `</md:EntitiesDescriptor>`
	}
	for _, c := range []struct {
		name, in string
		want     string // part of the sentence; empty: accepted
	}{
		{"plain", good, ""},
		{"comment and processing instruction", "<?pi x?><!-- exported -->" + body, ""},
		{"aggregate of one", aggregate(aggregate(body)), ""},
		{"aggregate of two", aggregate(body, other), "Choose one"},
		{"empty", "", "no element"},
		{"html", "<html><body>Sign in</body></html>", "<html>"},
		{"entity bomb", `<!DOCTYPE x [<!ENTITY a "b">]>` + body, "DOCTYPE"},
		{"service provider", `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"><SPSSODescriptor/></EntityDescriptor>`, "service provider"},
		{"no certificate", cut(body, "<KeyDescriptor", "<SingleSignOnService"), "no certificate"},
		{"weak key only", string((&ssotest.IDP{EntityID: "x", Signer: weak}).Metadata()), "1024 bits"},
		{"script as URL", strings.ReplaceAll(body, "https://idp.example/sso", "javascript:alert(1)"), "no single sign-on URL"},
		{"no entity ID", strings.Replace(body, idp.EntityID, "", 1), "entityID"},
		{"too large", "<a>" + strings.Repeat(" ", maxSAMLBytes) + "</a>", "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, err := ParseMetadata([]byte(c.in))
			if c.want != "" {
				if !fault.Is(err, fault.Invalid) || fault.Field(err) != "metadata" || !strings.Contains(fault.Public(err), c.want) {
					t.Fatalf("error %v, want Invalid on metadata with %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.EntityID != idp.EntityID || m.SSO[BindingRedirect] != "https://idp.example/sso" || len(m.Certificates) != 2 {
				t.Errorf("metadata %+v", m)
			}
		})
	}
}

// cut removes what stands between two marks, the first included.
func cut(s, from, to string) string {
	i, j := strings.Index(s, from), strings.Index(s, to)
	return s[:i] + s[j:]
}
