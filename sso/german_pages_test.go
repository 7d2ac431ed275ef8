package sso

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web/texts"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// germanPages reads pages as an admin who reads German.
type germanPages struct {
	t *testing.T
	s *site
	b browser
}

func (g germanPages) text(path string) string {
	g.t.Helper()
	return g.read(g.b.open(g.s.url + path))
}

func (g germanPages) read(p page) string {
	g.t.Helper()
	if p.status >= 400 {
		g.t.Errorf("%s: status %d", p.url, p.status)
	}
	return webtest.Text(webtest.Page(g.t, p.body, copyScript))
}

// has tells of what a page lacks, and of what it still says in English.
func (g germanPages) has(name, text string, want, english []string) {
	g.t.Helper()
	for _, s := range want {
		if !strings.Contains(text, s) {
			g.t.Errorf("%s lacks %q: %s", name, s, text)
		}
	}
	for _, s := range english {
		if strings.Contains(text, s) {
			g.t.Errorf("%s says %q: %s", name, s, text)
		}
	}
}

func germanAdmin(t *testing.T, s *site) germanPages {
	g := germanPages{t, s, s.adminBrowser()}
	g.b.open(s.url + "/console/acme/connections?lang=de")
	return g
}

func TestStatesInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("existing")
		g := germanAdmin(t, s)
		at := "/console/acme/connections/" + string(c.ID)
		if _, err := s.door.RotateKeys(t.Context(), s.admin, c.ID, false); err != nil {
			t.Fatal(err)
		}
		g.has("keys", g.text(at+"/upkeep"), []string{"in Gebrauch", "veröffentlicht, noch nicht in Gebrauch"}, []string{"active", "next"})
		link, _, err := s.door.CreateSetupLink(t.Context(), s.admin, NewSetupLink{})
		if err != nil {
			t.Fatal(err)
		}
		g.has("links", g.text("/console/acme/connections/links"), []string{"gesandt", "Eine neue Verbindung"}, []string{"sent", "A new connection"})
		if _, err := s.door.RevokeSetupLink(t.Context(), s.admin, link.ID); err != nil {
			t.Fatal(err)
		}
		g.has("links", g.text("/console/acme/connections/links"), []string{"zurückgezogen"}, []string{"revoked"})
		g.has("connection", g.text(at), []string{"aktiv", "Muss vorhanden sein", "Heißt auch Reply URL", "Alle Verbindungen"}, []string{"Must exist", "Also called", "All connections"})
		g.has("connections", g.text("/console/acme/connections"), []string{"aktiv", "Muss vorhanden sein"}, []string{"Must exist"})
		g.has("settings", g.text(at+"/settings"), []string{"Allgemein", "Einer je Zeile"}, []string{"General", "One on each line"})
		g.has("set-up", g.text(at+"/setup"), []string{"Beim Identitätsanbieter", "Was er liefert"}, []string{"At the identity provider", "What it gives"})
		idp.Next(ssotest.Login{NameID: "ada", Attributes: map[string][]string{"email": {"ada@acme.example"}}})
		newBrowser(t).samlSignIn(c.URLs.Login)
		g.has("requests", g.text("/console/acme/requests"), []string{"wartet auf eine Entscheidung"}, []string{"open"})
		list, err := s.door.AccessRequests(t.Context(), s.admin, RequestOpen)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		g.has("request", g.text("/console/acme/requests/"+string(list[0].ID)), []string{"wartet auf eine Entscheidung"}, []string{"open"})
		q, err := s.door.Approve(t.Context(), s.admin, list[0].ID, Approval{})
		if err != nil {
			t.Fatal(err)
		}
		g.has("identities", g.text("/console/acme/users/"+string(q.UserID)+"/identities"), []string{"die Anfrage wurde von "}, []string{"the request"})
		_, other := s.oidc("existing")
		moved := g.read(g.b.send(s.url+at+"/move", url.Values{"to": {string(other.ID)}}))
		g.has("move", moved, []string{"bleibt hier"}, []string{"left"})
		rekey := g.read(g.b.send(s.url+at+"/rekey", url.Values{"subject": {"attribute:employee"}}))
		g.has("re-key", rekey, []string{"bekommt sie bei der nächsten Anmeldung", "sie wird bei der nächsten Anmeldung gebunden", "1 bekommen sie bei ihrer nächsten Anmeldung"},
			[]string{"unknown", "next sign-in"})
	})
}

func TestOutcomesInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("jit")
		s.domain("acme.example", true, "")
		g := germanAdmin(t, s)
		at := "/console/acme/connections/" + string(c.ID)
		for _, r := range []Rule{
			{Kind: RuleRole, Match: MatchIs, Value: "Helpers", To: access.Admin},
			{Kind: RuleTeam, Match: MatchPrefix, Value: "app-", Create: true},
			{Kind: RuleTeam, Match: MatchIs, Value: "Helpers", To: "Nowhere"},
			{Kind: RuleAttribute, To: "title", Fixed: "Clerk"},
			{Kind: RuleAttribute, To: "nickName", From: []string{"nick", "alias"}, All: true},
		} {
			if _, err := s.door.SetRule(t.Context(), s.admin, c.ID, r); err != nil {
				t.Fatal(r, err)
			}
		}
		g.has("mapping", g.text(at+"/mapping"), []string{"Rolle Admin", "Team, das wie der Rest heißt", "wird angelegt, wenn es keines gibt", `Gruppen mit dem Anfang "app-"`, `immer "Clerk"`,
			"alle Werte von nick oder alias", "nur beim Anlegen des Kontos", "Rufname"}, []string{"beginning with", "always", "all values", " or alias", "made when", "only when", "Nickname"})
		lines := "NameID: ada\nemail: ada@acme.example\ngroups: Helpers\ngroups: app-Wiki"
		preview := g.read(g.b.send(s.url+at+"/mapping/preview", url.Values{"attributes": {lines}}))
		outcome := []string{"niemand hier hatte die Kennung oder die Adresse", "fester Wert", `hinzugekommen, für Gruppe "Helpers"`, `Es gibt kein Team "Nowhere" für Gruppe "Helpers".`}
		english := []string{"nobody here", "fixed value", "gained", "There is no team", `groups "`}
		g.has("preview", preview, outcome, english)
		login := ssotest.Login{NameID: "ada", Attributes: map[string][]string{"email": {"ada@acme.example"}, "groups": {"Helpers", "app-Wiki"}}}
		idp.Next(login)
		newBrowser(t).samlSignIn(c.URLs.Login)
		var list SignInPage
		err := db.Read(t.Context(), s.admin, func(tx *store.Tx) (err error) {
			list, err = s.door.SignIns(tx, SignInFilter{Person: "ada@acme.example"})
			return err
		})
		if err != nil || len(list.SignIns) != 1 {
			t.Fatal(list, err)
		}
		explained := g.text("/console/acme/signins/" + list.SignIns[0].ID)
		g.has("sign-in", explained, []string{"niemand hier hatte die Kennung oder die Adresse", `hinzugekommen: Gruppe "Helpers"`, "fester Wert", "Es gibt kein Team"}, english)
		g.has("identities", g.text("/console/acme/users/"+list.SignIns[0].UserID+"/identities"), []string{"niemand hier hatte"}, []string{"nobody here"})
		metadata := strings.Replace(string(idp.Metadata()), "0001-01-01T", "2020-01-01T", 1)
		metadata = strings.Replace(metadata, "<SingleSignOnService", `<SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="javascript:x"></SingleLogoutService><SingleSignOnService`, 1)
		g.has("warnings", g.read(g.b.send(s.url+at+"/provider", url.Values{"do": {"look"}, "metadata": {metadata}})),
			[]string{"Die Metadaten sagen, dass sie abgelaufen sind.", "ist nicht https", "per Weiterleitung", "ist keine Webadresse und wurde weggelassen"}, []string{"The metadata says", "is not https", "by redirect", "not a web address"})
	})
}

// What to change is said in German where it is not in the words of a vendor's console.
func TestRemediesInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp, c := s.saml("existing")
		s.settle(c, "vendor=custom")
		g := germanAdmin(t, s)
		wrong := ssotest.Login{NameID: "ada", Audience: "https://other.example"}
		idp.Next(wrong)
		visitor := newBrowser(t)
		visitor.open(s.url + "/sso/logout/" + string(c.ID) + "?lang=de")
		p := visitor.samlSignIn(c.URLs.Login)
		if text := webtest.Text(webtest.Page(t, p.body)); !strings.Contains(text, "Die Antwort des Identitätsanbieters ließ sich nicht prüfen.") {
			t.Errorf("the page: %s", text)
		}
		remedy, hint := "Tragen Sie die Audience-URI (Entity-ID) der Verbindung beim Identitätsanbieter Zeichen für Zeichen ein", "Setzen Sie die Audience (SP Entity ID, Identifier) beim Identitätsanbieter auf den erwarteten Wert."
		english := []string{"Enter the connection", "Set the audience"}
		english = append(english, "one assertion in its place", "not after", "present")
		g.has("sign-in", g.text("/console/acme/signins/"+p.reference()), []string{remedy, hint, "eine Assertion an ihrem Platz", "nicht nach 20", "vorhanden"}, english)
		if e := s.signin(t, p.reference()); !strings.HasPrefix(e.Remedy, english[0]) || !strings.HasPrefix(e.Hint, english[1]) {
			t.Errorf("a program reads %q, %q", e.Remedy, e.Hint)
		}
		idp.Next(wrong)
		g.has("test", g.read(g.b.send(g.b.form(g.b.send(s.desk(c.Connection)+"/tests", nil)))), []string{remedy, hint, "fehlgeschlagen"}, english)
		s.settle(c, "vendor=okta")
		g.has("sign-in at Okta", g.text("/console/acme/signins/"+p.reference()), []string{"In Okta, General > SAML Settings > Edit: Audience URI (SP Entity ID) muss die Entity-ID der Verbindung sein."}, []string{"must be"})
	})
}

// What an identity provider's values are refused for is said in German, with what was
// asked and further warnings; also when it is stored until somebody looks.
func TestProviderFaultsInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.saml("existing")
		_, o := s.oidc("existing")
		g := germanAdmin(t, s)
		if p := g.b.open(s.desk(c.Connection)); !strings.Contains(p.body, `data-copy="Kopieren" data-done="Kopiert"`) {
			t.Errorf("the buttons to copy: %s", p.body)
		}
		doc := `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
			`<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="javascript:x"/></IDPSSODescriptor></EntityDescriptor>`
		const unanswered = "http://127.0.0.1:1"
		for _, test := range []struct {
			of            Created
			form          url.Values
			want, english []string
		}{
			{c, url.Values{"metadata": {doc}}, []string{"Die Metadaten von https://idp.example enthalten keine Single-Sign-on-URL", `Die Single-Sign-on-URL "javascript:x" ist keine Webadresse und wurde weggelassen.`}, []string{"The metadata", "not a web address"}},
			{c, url.Values{"metadata": {"<EntityDescriptor>\n<a></b>"}}, []string{"das Dokument ist nicht vollständig"}, []string{"is not whole"}},
			{c, url.Values{"metadata": {`<EntityDescriptor entityID="x"`}}, []string{"Zeile 1 ist kein wohlgeformtes XML: "}, []string{"syntax error"}},
			{c, url.Values{"metadata_url": {unanswered + "/metadata"}}, []string{"(Metadaten) ist nicht erreichbar"}, []string{"(metadata)", "cannot be reached"}},
			{o, url.Values{"issuer": {unanswered}, "client_id": {"x"}}, []string{"(Identitätsanbieter) ist nicht erreichbar", "Sie können"}, []string{"(identity provider)", "cannot be reached"}},
			{o, url.Values{"issuer": {"https://login.microsoftonline.com/common/v2.0"}, "client_id": {"x"}}, []string{"steht für alle Mandanten"}, []string{"every tenant"}},
		} {
			test.form.Set("do", "look")
			p := g.b.send(s.url+"/console/acme/connections/"+string(test.of.ID)+"/provider", test.form)
			g.has(test.form.Encode()[:40], webtest.Text(webtest.Page(t, p.body, copyScript)), test.want, test.english)
		}
		s.write(func(tx *store.Tx) error {
			now, err := lockedConnection(tx, c.ID)
			if now.Config.MetadataURL = unanswered + "/metadata"; err != nil {
				return err
			}
			return updateConnection(tx, now)
		})
		if state, err := s.door.Refresh(t.Context(), s.admin, c.ID); err != nil || !strings.HasPrefix(state.Problem, "The metadata at 127.0.0.1:1 cannot be reached") {
			t.Errorf("read again: %+v, %v", state, err)
		}
		again := g.b.send(s.url+"/console/acme/connections/"+string(c.ID)+"/upkeep/refresh", nil)
		g.has("read again", webtest.Text(webtest.Page(t, again.body)), []string{"Bitte prüfen", "(Metadaten) ist nicht erreichbar"}, []string{"wurden gelesen", "cannot be reached"})
		if again.status != http.StatusConflict {
			t.Errorf("what could not be read: status %d", again.status)
		}
		g.has("upkeep", g.text("/console/acme/connections/"+string(c.ID)+"/upkeep"), []string{"127.0.0.1:1 (Metadaten) ist nicht erreichbar", "Was vorher gelesen wurde, gilt weiter."}, []string{"cannot be reached"})
	})
}

func TestStoredSentencesInGerman(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		g := germanAdmin(t, s)
		if _, err := s.door.AddDomain(t.Context(), s.admin, NewDomain{Domain: "acme.example"}); err != nil {
			t.Fatal(err)
		}
		for stored, want := range map[string]string{
			"There is no TXT record at _muster.acme.example.":       "Bei _muster.acme.example gibt es keinen TXT-Eintrag.",
			"_muster.acme.example has other records: \"a\", \"b\".": "_muster.acme.example hat andere Einträge: \"a\", \"b\".",
			"The DNS did not answer: a timeout":                     "Das DNS hat nicht geantwortet: a timeout",
			"Something from before.":                                "Something from before.",
		} {
			s.write(func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE domains SET answer = ?, checked_at = ? WHERE org_id = ?", stored, tx.Now(), tx.Org())
				return err
			})
			g.has("domains", g.text("/console/acme/domains"), []string{want}, nil)
		}
		german := texts.ReaderOf("de", "")
		for stored, want := range map[string]string{
			"The entity ID is another one.": "Die Entity-ID ist eine andere.",
			"People would be sent to https://a.example, https://b.example, where nobody was sent before.": "Personen würden zu https://a.example, https://b.example geschickt, wohin vorher niemand geschickt wurde.",
		} {
			if said := (PendingMetadata{Reasons: []string{stored}}).ReasonsSaid(); german.Say(said[0]) != want || said[0].String() != stored {
				t.Errorf("%q is said as %q", stored, german.Say(said[0]))
			}
		}
	})
}
