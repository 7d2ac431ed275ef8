package console_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestRolesAreMadeChangedAndDeleted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		html := func(who, path string) string {
			t.Helper()
			s.page(who, s.path(path)) // which holds it against the rules of pages
			return s.do(who, "GET", s.path(path), nil).Body.String()
		}
		bad := s.post("boss", s.path("/roles"), 400, url.Values{"label": {"Lead"}, "name": {"no good"}, "description": {"Kept <b>"}, "permissions": {"export_data"}})
		if !strings.Contains(bad, "Kept &lt;b&gt;") || !strings.Contains(bad, `value="export_data" checked`) || !strings.Contains(bad, "lower-case letters") {
			t.Errorf("what was typed is lost:\n%s", bad)
		}
		s.post("boss", s.path("/roles"), 303, url.Values{"label": {"Lead"}, "permissions": {"export_data", "users.view"}})
		s.write(s.muster, func(tx *store.Tx) error { return tx.SetRole(s.people["agent"], "lead") })
		page := html("boss", "/roles/lead")
		if !strings.Contains(page, "1 person has it") || !strings.Contains(page, `value="users.view" checked`) || strings.Contains(page, `value="delete_tickets" checked`) {
			t.Errorf("the role's page:\n%s", page)
		}
		s.post("boss", s.path("/roles/lead"), 303, url.Values{"label": {"Lead"}, "description": {""}, "permissions": {"delete_tickets"}, "version": {"1"}})
		late := s.post("boss", s.path("/roles/lead"), 409, url.Values{"label": {"Lead 2"}, "description": {""}, "permissions": {"manage_macros"}, "version": {"1"}})
		if !strings.Contains(late, "meanwhile") || !strings.Contains(late, `value="manage_macros" checked`) || !strings.Contains(late, `name="version" value="2"`) {
			t.Errorf("a late form:\n%s", late)
		}
		if page := html("boss", "/roles/admin"); strings.Contains(page, "<form method=\"post\" action=\"/console/acme/roles") || !strings.Contains(page, "locked out") {
			t.Error("Admin can be changed")
		}
		if page := html("boss", "/roles/new?copy=lead"); !strings.Contains(page, `value="Copy of Lead"`) || !strings.Contains(page, `value="delete_tickets" checked`) {
			t.Errorf("a copy:\n%s", page)
		}
		if page := html("viewer", "/roles/lead"); strings.Contains(page, "checkbox") {
			t.Error("a viewer is shown a form")
		}
		s.post("viewer", s.path("/roles/lead/delete"), 403, url.Values{"version": {"2"}, "to": {"none"}})
		if page := html("boss", "/roles/lead/delete?to=viewer"); !strings.Contains(page, "1 person has the role Lead") || !strings.Contains(page, "They have Viewer instead") {
			t.Errorf("the preview:\n%s", page)
		}
		s.post("boss", s.path("/roles/lead/delete"), 400, url.Values{"version": {"2"}, "to": {""}})
		s.post("boss", s.path("/roles/lead/delete"), 303, url.Values{"version": {"2"}, "to": {access.Viewer}})
		if page := html("boss", "/users/{agent}"); !strings.Contains(page, "<dt>Viewer</dt>") {
			t.Errorf("the holder has:\n%s", page)
		}
		if got := s.do("boss", "GET", s.path("/roles/lead"), nil).Code; got != 404 {
			t.Errorf("a role that is gone: %d", got)
		}
	})
}

func TestWhoMakesAnAdminIsAskedAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/users/{agent}/edit")
		form := url.Values{"version": {"1"}, "role": {access.Admin}, "given_name": {"Al <b>"}}
		has(t, s.post("boss", at, 409, form), "Make Agent Person an admin?", "do everything in the applications", `name="given_name" value="Al &lt;b&gt;"`)
		if page := s.page("boss", s.path("/users/{agent}")); strings.Contains(page, "Admin given by") {
			t.Error("made an admin before the answer")
		}
		form.Set("sure_admin", "yes")
		s.post("boss", at, 303, form)
		has(t, s.page("boss", s.path("/users/{agent}")), "Admin", "given by boss, since", "Configure Muster")
		form.Del("sure_admin") // an admin already
		form.Set("version", "2")
		s.post("boss", at, 303, form)
	})
}

func TestDefaultsAreChosen(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/settings/defaults")
		has(t, s.page("boss", at), "For everybody", "who is invited", "who comes from the directory Okta Prod", "A default of their own")
		form := url.Values{"version": {"0"}, "role_all": {"viewer"}, "teams_all": {"support | Nowhere"}, "own_csv": {"on"}, "role_csv": {""}, "teams_csv": {""}}
		has(t, s.post("boss", at, 400, form), "Nowhere", `value="support | Nowhere"`, `id="own-csv" name="own_csv" value="on" checked`)
		form.Set("teams_all", "support")
		s.post("boss", at, 303, form)
		has(t, s.do("boss", "GET", at, nil).Body.String(), `<option value="viewer" selected>`, `value="Support"`)
		s.post("boss", at, 409, form) // sent twice
		s.add(s.muster, "newton", store.FromAPI, store.Active)
		has(t, s.page("boss", s.path("/users/{newton}")), "Viewer given as the default for everybody", "Support: given as the default for everybody")
		s.post("viewer", at, 403, form)
	})
}
