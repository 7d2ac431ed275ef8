package sso

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/texts"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Who reads German is told in German why a sign-in did not work, and so is the admin who
// looks at it later; a program reads English.
func TestRefusalsInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("existing")
		german := func() browser {
			b := newBrowser(t)
			b.open(s.url + "/sso/logout/" + string(c.ID) + "?lang=de")
			return b
		}
		says := func(p page, want, english string) {
			t.Helper()
			text := webtest.Text(webtest.Page(t, p.body))
			if p.status < 400 || !strings.Contains(text, want) || p.reference() == "" {
				t.Errorf("status %d, want %q: %s", p.status, want, text)
				return
			}
			e := s.signin(t, p.reference())
			if e.Reason != english {
				t.Errorf("%s: a program reads %q, want %q", p.reference(), e.Reason, english)
			}
			admin := s.adminBrowser()
			for _, path := range []string{"/console/acme/signins/" + p.reference() + "?lang=de", "/console/acme/signins"} {
				if text := webtest.Text(webtest.Page(t, admin.open(s.url+path).body)); !strings.Contains(text, want) {
					t.Errorf("%s lacks %q: %s", path, want, text)
				}
			}
		}
		idp.Next(ssotest.Login{NameID: "ada", Attributes: map[string][]string{"email": {"ada@acme.example"}}})
		says(german().samlSignIn(c.URLs.Login), "Sie haben hier noch kein Konto. Ihr Administrator erfährt, dass Sie gefragt haben.",
			"You have no account here yet. Your administrator has been told that you asked.")
		says(german().send(c.ACS, url.Values{"SAMLResponse": {"eA=="}, "RelayState": {strings.Repeat("a", 43)}}),
			"Diese Anmeldung wurde nicht in diesem Browser begonnen, wurde schon verwendet oder hat länger als 15 Minuten gedauert. Beginnen Sie noch einmal.",
			"This sign-in was not started in this browser, was used already, or took longer than 15 minutes. Start again.")
		says(german().send(c.ACS, url.Values{}), "Diese Adresse nimmt die Antwort Ihres Identitätsanbieters an. Beginnen Sie die Anmeldung stattdessen hier.",
			"This address takes the answer of your identity provider. Start the sign-in here instead.")
		s.settle(c, "accounts=jit")
		s.domain("acme.example", true, "")
		idp.Next(ssotest.Login{NameID: "eve", Attributes: map[string][]string{"email": {"eve@other.example"}}})
		p := german().samlSignIn(c.URLs.Login)
		says(p, "Ihre E-Mail-Adresse gehört zu keiner Domain dieser Organisation. Bitten Sie Ihren Administrator um eine Einladung.",
			"Your e-mail address is not in a domain of this organization. Ask your administrator for an invitation.")
		hint := "Die Adresse gehört zu \"other.example\". Konten werden nur für nachgewiesene Domains angelegt (acme.example); weisen Sie diese nach oder laden Sie die Person ein."
		if text := webtest.Text(webtest.Page(t, s.adminBrowser().open(s.url+"/console/acme/signins/"+p.reference()+"?lang=de").body)); !strings.Contains(text, hint) {
			t.Errorf("the hint: %s", text)
		}
		if _, err := s.door.Disable(t.Context(), s.admin, c.ID); err != nil {
			t.Fatal(err)
		}
		says(german().open(c.URLs.Login), "Dieser Anmeldeweg ist nicht offen. Fragen Sie Ihren Administrator.", "Signing in this way is not open. Ask your administrator.")
		nowhere := german().open(s.url + "/sso/saml/" + string(store.NewID[Connection]()) + "/login")
		if text := webtest.Text(webtest.Page(t, nowhere.body)); !strings.Contains(text, "Diese Verbindung gibt es nicht. Prüfen Sie die Adresse mit Ihrem Administrator.") {
			t.Errorf("no such connection: %s", text)
		}
		left := german().open(s.url + "/sso/logout/" + string(c.ID))
		if text := webtest.Text(webtest.Page(t, left.body)); !strings.Contains(text, "Sie sind abgemeldet") || !strings.Contains(text, "Ihre Sitzung hier ist beendet.") {
			t.Errorf("signed out: %s", text)
		}
	})
}

// A refusal that comes as a fault keeps its arguments, so that a page says the whole of it
// in German; what is read of a fault leaves it as it is, as many read the same.
func TestRefusalsAsFaultsInGerman(t *testing.T) {
	t.Parallel()
	german := texts.ReaderOf("de", "")
	for _, c := range []struct {
		err           error
		english, want string
	}{
		{inWords("user", refuseOutside("other.example", []string{"acme.example"})),
			"The address is in \"other.example\". Accounts are created for verified domains only (acme.example); verify this one, or invite the person.",
			"Die Adresse gehört zu \"other.example\". Konten werden nur für nachgewiesene Domains angelegt (acme.example); weisen Sie diese nach oder laden Sie die Person ein."},
		{plainly(refuse(http.StatusForbidden, "moved", web.Say("You sign in over %s now.", "Okta"), web.Said{})), "You sign in over Okta now.", "Sie melden sich jetzt über Okta an."},
	} {
		if got, _ := german.Fault(c.err); got != c.want || fault.Public(c.err) != c.english {
			t.Errorf("%q is said as %q, want %q", fault.Public(c.err), got, c.want)
		}
	}
	shared := fault.Denied.Say("%s is %d bytes long; at most %d are possible.", fault.Word("The title"), 300, 200)
	if r := refusalOf(errors.Join(shared, fault.Denied.Say("Saved.")), nil); r.sentence.String() != "The title is 300 bytes long; at most 200 are possible. Saved." {
		t.Errorf("two faults are refused with %q", r.sentence)
	}
	if _, args := fault.Said(shared); args[0] != fault.Word("The title") {
		t.Errorf("the fault is another one: %#v", args)
	}
}

// What a setting cannot be is said in German too, with what was typed.
func TestSettingsThatAreRefusedInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, saml := s.saml("existing")
		_, oidc := s.oidc("existing")
		for _, c := range []struct {
			on            Created
			key, value    string
			english, want string
		}{
			{saml, "authn_context", "urn:a b", `"urn:a b" is not an authentication context class`, `"urn:a b" ist keine Klasse von Anmeldewegen`},
			{saml, "idp_initiated_paths", "https://a.example", `"https://a.example" is not a path on this server`, `"https://a.example" ist kein Pfad auf diesem Server`},
			{oidc, "scopes", "openid\na\\b", `"a\\b" is not a scope.`, `"a\\b" ist kein Scope.`},
			{saml, "skew_seconds", "x", "Clock difference allowed, in seconds is a number", "Erlaubte Abweichung der Uhren, in Sekunden ist eine Zahl"},
			{oidc, "id_token_algorithms", "HS256", `cannot be signed with "HS256" here`, `nicht mit "HS256" signiert werden`},
		} {
			_, err := s.door.UpdateConnection(t.Context(), s.admin, c.on.ID, Change{Set: map[string]string{c.key: c.value}})
			got, _ := texts.ReaderOf("de", "").Fault(err)
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != c.key || !strings.Contains(fault.Public(err), c.english) || !strings.Contains(got, c.want) {
				t.Errorf("%s on %q: %v, said as %q", c.key, fault.Field(err), err, got)
			}
		}
	})
}

// A test that failed for want of an account says why with its arguments, and a mail about
// a certificate the whole of it.
func TestReportsInGerman(t *testing.T) {
	t.Parallel()
	german := texts.ReaderOf("de", "")
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.domain("acme.example", true, "")
		g := germanAdmin(t, s)
		idp.Next(ssotest.Login{NameID: "eve", Attributes: map[string][]string{"email": {"eve@other.example"}}})
		p := g.read(g.b.send(g.b.form(g.b.send(s.desk(c.Connection)+"/tests", nil))))
		g.has("test", p, []string{"Wozu eine Anmeldung führen würde", "Die Adresse gehört zu \"other.example\"."}, []string{"The address is in"})
		words := german.Say(endWords(c.Connection, ending{"provider", "aa", db.Now()}, -1))
		if !strings.HasPrefix(words, "Das letzte Signaturzertifikat von "+c.Name+" (SHA-256 aa) endete am ") {
			t.Errorf("a certificate that ended: %s", words)
		}
	})
}
