package console_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// settings has three switches, and keeps what is chosen as the directory's own.
func (s *site) settings() console.DirectorySettings {
	return console.DirectorySettings{
		Of: func(_ *store.Tx, d store.Directory) (console.SettingsView, error) {
			value := "true"
			if strings.Contains(string(d.Quirks), "false") {
				value = "false"
			}
			return console.SettingsView{Needs: "Quoted filters. Source: its maker.", Looks: "Entra ID", Switches: []console.Switch{
				{Name: "textBooleans", Meaning: "Read texts as booleans.", Source: "page 7", Value: value, Preset: "true", Values: []string{"false", "true"}},
				{Name: "answers", Meaning: "What is answered.", Source: "page 8", Value: "auto", Preset: "auto", Reason: "it is so", Values: []string{"auto", "204"}},
				{Name: "rate", Meaning: "How many.", Source: "page 9", Value: "0", Preset: "0"},
			}}, nil
		},
		Change: func(tx *store.Tx, id store.DirectoryID, ch console.SettingsChange) error {
			if ch.Quirks["rate"] == "1" {
				return fault.Invalid.On("rate", "The rate is 25 or more.")
			}
			_, err := tx.UpdateDirectory(id, func(d *store.Directory) error {
				if err := store.Unchanged(ch.Version, d.Tag()); err != nil {
					return err
				}
				switch {
				case ch.Reset:
					d.Quirks = store.JSON("{}")
				case ch.Quirks["textBooleans"] == "false":
					d.Quirks = store.JSON(`{"textBooleans":false}`)
				case ch.Vendor != "":
					d.Vendor, d.Mode = ch.Vendor, ch.Mode
				}
				return nil
			})
			return err
		},
	}
}

func TestSettingsOfADirectory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/directories/{okta}")
		has(t, s.do("boss", "GET", at, nil).Body.String(), `href="`+at+`/settings"`)
		text := s.page("boss", at+"/settings")
		has(t, text, "Quoted filters", "look like Entra ID", "Read texts as booleans.", "page 7", "because: it is so", "None differs now")
		hasNot(t, text, "Differs")
		s.post("boss", at+"/settings", 303, url.Values{"textBooleans": {"false"}, "answers": {"auto"}, "rate": {"0"}})
		has(t, s.page("boss", at+"/settings"), "1 differs now", "Differs", "Preset: Yes")
		has(t, s.post("boss", at+"/settings", 400, url.Values{"rate": {"1"}}), `href="#f-rate"`, `value="1"`)
		s.post("boss", at+"/settings/reset", 303, url.Values{})
		has(t, s.page("boss", at+"/settings"), "None differs now")
		s.post("boss", at+"/settings", 303, url.Values{"vendor": {"entra"}, "mode": {"strict"}})
		has(t, s.do("boss", "GET", at+"/settings", nil).Body.String(), `<option value="entra" selected>`, `<option value="strict" selected>`)

		// Two admins: the second sees that the first was faster, and all that was chosen.
		opened := webtest.Version(s.do("boss", "GET", at+"/settings", nil).Body.String())
		s.post("boss", at+"/settings", 303, url.Values{"version": {opened}, "textBooleans": {"false"}, "answers": {"auto"}, "rate": {"0"}})
		for _, late := range []struct {
			form url.Values
			kept string
		}{
			{url.Values{"textBooleans": {"true"}, "answers": {"204"}, "rate": {"30"}}, `value="30"`},
			{url.Values{"vendor": {"okta"}, "mode": {"compat"}}, `<option value="okta" selected>`},
		} {
			late.form.Set("version", opened)
			text := s.post("boss", at+"/settings", 409, late.form)
			has(t, text, "Somebody else changed these settings meanwhile", late.kept)
			if now := webtest.Version(text); now == "" || now == opened {
				t.Errorf("what was chosen can never be sent again: version %q", now)
			}
		}
		s.post("boss", at+"/settings/reset", 409, url.Values{"version": {opened}})
		text = s.do("boss", "GET", at+"/settings", nil).Body.String()
		has(t, text, "1 differs now", `<option value="entra" selected>`)
		s.post("boss", at+"/settings/reset", 303, url.Values{"version": {webtest.Version(text)}})

		_, muster := storetest.Org(t, db, "globex")
		var theirs store.Directory
		s.write(muster, func(tx *store.Tx) (err error) {
			theirs, err = tx.CreateDirectory(store.Directory{Name: "Theirs", Vendor: "okta", Mode: "compat"})
			return err
		})
		for _, what := range []string{"/settings", "/settings/reset"} {
			s.post("boss", "/console/acme/directories/"+string(theirs.ID)+what, 404, url.Values{"vendor": {"entra"}, "mode": {"strict"}})
		}
		s.post("viewer", at+"/settings", 403, url.Values{"vendor": {"okta"}, "mode": {"compat"}})
	})
}
