package importer_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// TestAGuardKnowsOnePerson: who is the only one is not "1 of 1 people", wherever a file would end them.
func TestAGuardKnowsOnePerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.must(func(tx *store.Tx) error { // the viewer is left
			_, err := tx.SetBreakGlass(store.UserID(s.admin.ID), true, "user.breakglass")
			return err
		})
		run := s.read("email\nnobody\n", func(set *importer.Settings) { set.Missing = importer.MissingDeactivate })
		for language, want := range map[string]string{"en": "This would deactivate 1 of 1 person, which is 100 %.", "de": "Das würde 1 von 1 Person deaktivieren, das sind 100 %."} {
			r := httptest.NewRequest("GET", "http://127.0.0.1:8080/console/acme/import/"+string(run.ID), nil)
			r.Header.Set("X-Who", "admin")
			r.Header.Set("Accept-Language", language)
			w := httptest.NewRecorder()
			s.mux.ServeHTTP(w, r)
			if page := s.want(w, http.StatusOK); !strings.Contains(page, want) {
				t.Errorf("the preview does not say %q: %s", want, page)
			}
		}
		if _, err := s.door.Start(ctx, s.admin, run.ID, 0); !strings.HasPrefix(fault.Public(err), "This would deactivate 1 of 1 person, ") {
			t.Errorf("the refusal: %v", err)
		}
		settle(t, filepath.Join(s.folder, "acme", "a.csv"), "email\nnobody\n")
		s.look(s.feed(importer.NewFeed{Kind: importer.Folder, Name: "HR", Settings: importer.FeedSettings{New: importer.NewActive, Missing: importer.MissingDeactivate, MaxGone: 10}}).ID)
		select {
		case m := <-s.mails:
			if !strings.Contains(m.Text, "It would deactivate 1 of 1 person, which is more than 10 %.") {
				t.Errorf("the letter: %s", m.Text)
			}
		default:
			t.Error("there is no letter")
		}
	})
}

// TestReasonsInTheReadersLanguage: why a line is refused, what was noticed of the file and
// why a row was not done are told in the reader's language on pages, in English to
// programs, and in that of whoever gets the letter. What was kept as a text is still shown.
func TestReasonsInTheReadersLanguage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		german := func(path string) string {
			r := httptest.NewRequest("GET", "http://127.0.0.1:8080"+path, nil)
			r.Header.Set("X-Who", "admin")
			r.Header.Set("Accept-Language", "de")
			w := httptest.NewRecorder()
			s.mux.ServeHTTP(w, r)
			return s.want(w, http.StatusOK)
		}
		has := func(what, text string, parts ...string) {
			t.Helper()
			for _, part := range parts {
				if !strings.Contains(text, part) {
					t.Errorf("%s: no %q in\n%s", what, part, text)
				}
			}
		}
		run := s.read("email,first,first,team,role\nann@example.com,Ann,,Sales,\nbob,Bob,,,\ncy@example.com,Cy,,,\ndee@example.com,Dee,,,boss\neli@example.com,Eli,,,\n", nil)
		page := german("/console/acme/import/" + string(run.ID))
		has("the preview", page, "Mit Fehlern 3", ">Neu</span>", "Es gibt kein Team", "Legen Sie zuerst das Team an", "Zwei Spalten heißen", "Diese Rolle gibt es nicht.", "Berichtigen Sie die Adresse.")
		english := s.want(s.do("admin", "GET", "/api/v1/imports/"+string(run.ID)+"/rows", nil), http.StatusOK)
		has("for programs", english, `There is no team \"Sales\".`, "There is no such role.", "Correct the address.")
		has("the file of errors", s.want(s.do("admin", "GET", "/console/acme/import/"+string(run.ID)+"/errors.csv", nil), http.StatusOK), "Make the team first")

		s.must(func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE import_rows SET data = {{as_json}} WHERE org_id = ? AND run_id = ? AND n = 1", `{"problem":{"column":"team","value":"","why":"As it was kept.","remedy":"Do it."}}`, tx.Org(), run.ID)
			return err
		})
		has("a text", german("/console/acme/import/"+string(run.ID)), "As it was kept.", "Do it.")

		s.person("cy@example.com", "viewer")
		job := s.start(run)
		has("the job", german("/console/acme/jobs/"+string(job.ID)), "nach der Vorschau angelegt", "Angelegt: 1")
		has("what was imported", german("/console/acme/import/"+string(run.ID)), "angelegt: 1")

		s.must(func(tx *store.Tx) error {
			return tx.SetOrgSetting(store.LocaleSetting, store.Locale{Language: "de", TimeZone: "Europe/Berlin"}, 0)
		})
		s.letters()
		f := s.feed(importer.NewFeed{Kind: importer.Folder, Name: "HR", Settings: importer.FeedSettings{Path: "hr", New: importer.NewActive}})
		settle(t, filepath.Join(s.folder, "acme", "hr", "d.csv"), "PK\x03\x04")
		f = s.look(f.ID)
		if got := s.letters(); fmt.Sprint(got) != "[Muster konnte keine Personen von HR holen]" {
			t.Errorf("letters: %q", got)
		}
		has("the feed", german("/console/acme/import-feeds"), "Tabellenkalkulation")
		has("the feed for programs", f.Last.String(), "spreadsheet")
	})
}
