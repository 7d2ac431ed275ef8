package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/openapi"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// bulk sends the list's form, then the form of the page after it, and works the job off.
// It gives the preview and the page of the job.
func (s *site) bulk(who string, f url.Values) (preview, result, job string) {
	s.t.Helper()
	w := s.do(who, "POST", "/console/acme/users/bulk", f)
	if w.Code != http.StatusOK {
		s.t.Fatalf("%v: %d %s", f, w.Code, w.Body)
	}
	doc := webtest.Page(s.t, w.Body.String())
	preview = webtest.Text(doc)
	confirm := url.Values{}
	for _, input := range webtest.All(doc, "input") {
		confirm.Add(webtest.Attr(input, "name"), webtest.Attr(input, "value"))
	}
	if confirm.Get("action") == "" {
		return preview, "", ""
	}
	if confirm.Get("action") == "role.give:"+access.Admin {
		w := s.do(who, "POST", "/console/acme/users/bulk/start", confirm)
		if text := webtest.Text(webtest.Page(s.t, w.Body.String())); !strings.Contains(text, "everybody whom you have chosen") {
			s.t.Errorf("who is made an admin is not asked about: %s", text)
		}
		confirm.Set("sure_admin", "yes")
	}
	for range 2 { // a double click
		w := s.do(who, "POST", "/console/acme/users/bulk/start", confirm)
		if job != "" && job != w.Header().Get("Location") || w.Code != http.StatusSeeOther {
			s.t.Fatalf("start: %d %s, at first %s\n%s", w.Code, w.Header().Get("Location"), job, w.Body)
		}
		job = w.Header().Get("Location")
	}
	s.work()
	return preview, s.page(who, job), job
}

func (s *site) work() {
	s.t.Helper()
	if err := s.jobs.Work(ctx); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) undo(who, job string) string {
	s.t.Helper()
	w := s.do(who, "POST", job+"/undo", nil)
	if w.Code != http.StatusSeeOther {
		s.t.Fatalf("undo: %d %s", w.Code, w.Body)
	}
	s.work()
	return s.page(who, w.Header().Get("Location"))
}

// rolesOf are the roles of a person that were given by hand.
func (s *site) byHand(name string) (list []string) {
	s.t.Helper()
	err := s.db.Read(ctx, s.muster, func(tx *store.Tx) error {
		roles, err := tx.RolesOf([]store.UserID{s.people[name]})
		for _, g := range roles[s.people[name]] {
			if g.Reason == store.Manual {
				list = append(list, g.Role)
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func (s *site) teams(name string) (list []string) {
	s.t.Helper()
	err := s.db.Read(ctx, s.muster, func(tx *store.Tx) error {
		of, err := tx.GroupsOf([]store.UserID{s.people[name]})
		for _, g := range of[s.people[name]] {
			list = append(list, g.Name)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// Who is put into a team with many others was put there by somebody, as by the team's own
// page; and who is taken out with many stays for whom a sign-in keeps there.
func TestManyAreInATeamForAReason(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		viewer, team := string(s.people["viewer"]), string(s.people["Support"])
		s.bulk("boss", url.Values{"user": {viewer}, "action": {"team.add:" + team}})
		has(t, s.page("boss", s.path("/users/{viewer}")), "Support: given by Boss Person, since")
		s.write(s.muster, func(tx *store.Tx) error {
			_, err := tx.Join(s.people["viewer"], store.GroupID(team), store.Reason{Kind: store.FromSignIn, Ref: "c1", Detail: "groups=Support"})
			return err
		})
		_, result, job := s.bulk("boss", url.Values{"user": {viewer, string(s.people["agent"])}, "action": {"team.remove:" + team}})
		has(t, result, "stays in the team for another reason", "Done 2 Skipped 0 Failed 0")
		if got := fmt.Sprint(s.teams("viewer"), s.teams("agent")); got != "[Support] []" {
			t.Errorf("in %s, want [Support] []", got)
		}
		page := s.page("boss", s.path("/users/{viewer}"))
		has(t, page, "Support: by sign-in at")
		hasNot(t, page, "Support: given by")
		s.undo("boss", job)
		has(t, s.page("boss", s.path("/users/{agent}")), "Support: given by Boss Person, since")

		_, _, job = s.bulk("boss", url.Values{"user": {string(s.people["agent"])}, "action": {"team.remove:" + team}})
		s.write(s.muster, func(tx *store.Tx) error { return tx.DeleteGroup(store.GroupID(team)) })
		has(t, s.undo("boss", job), "Failed 1", "This team is not here any more.")
	})
}

func TestManyAtOnceAndBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		is := func(what string, got, want any) {
			t.Helper()
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
		all := func(action string) url.Values { return url.Values{"scope": {"all"}, "action": {action}, "view": {""}} }

		preview, result, job := s.bulk("boss", all("role.give:viewer"))
		has(t, preview, "5 people", "1 will be left out:", "1: Has the role already.")
		has(t, result, "6 of 6", "Done 5", "Skipped 1", "Scott Person", "Has the role already.")
		is("roles", fmt.Sprint(s.byHand("scott"), s.byHand("boss")), "[viewer] [admin viewer]")
		s.write(s.muster, func(tx *store.Tx) error { // meanwhile it was taken and given again
			if err := tx.Revoke(s.people["agent"], access.Viewer, store.Manual); err != nil {
				return err
			}
			return tx.Grant(s.people["agent"], access.Viewer, store.Manual)
		})
		has(t, s.undo("boss", job), "Done 4", "Skipped 1", "changed since", "takes another job back")
		is("roles after undo", fmt.Sprint(s.byHand("scott"), s.byHand("boss"), s.byHand("agent"), s.byHand("viewer")), "[] [admin] [agent viewer] [viewer]")

		// A filter chooses, and the view says so.
		preview, _, job = s.bulk("boss", url.Values{"scope": {"all"}, "view": {"status=active&source=jit&source=scim"}, "action": {"team.remove:" + string(s.people["Support"])}})
		has(t, preview, "Take out of the team Support (2 people)")
		is("team", fmt.Sprint(s.teams("agent"), s.teams("scott")), "[] [Everyone]")
		has(t, s.undo("boss", job), "Done 2")
		is("team after undo", fmt.Sprint(s.teams("agent"), s.teams("scott")), "[Support] [Everyone Support]")
		_, _, job = s.bulk("boss", url.Values{"user": {string(s.people["dora"]), string(s.people["agent"])}, "view": {"sort=-created"}, "action": {"team.add:" + string(s.people["Support"])}})
		is("team", s.teams("dora"), "[Support]")
		has(t, s.undo("boss", job), "Done 1")
		is("team after undo", fmt.Sprint(s.teams("dora"), s.teams("agent")), "[] [Support]")

		// Nobody locks themselves out.
		preview, result, job = s.bulk("boss", all("deactivate"))
		has(t, preview, "4 people", "1: Is deactivated already.", "1: This is yourself.")
		has(t, result, "Done 4", "Skipped 2")
		is("status", []store.Status{s.user("boss").Status, s.user("agent").Status, s.user("ivy").Status}, "[active deactivated deactivated]")
		s.write(s.muster, func(tx *store.Tx) error { _, err := tx.Reactivate(s.people["agent"], ""); return err })
		has(t, s.undo("boss", job), "Skipped 1")
		is("status after undo", []store.Status{s.user("scott").Status, s.user("dora").Status}, "[active deactivated]")
		preview, _, _ = s.bulk("boss", url.Values{"scope": {"all"}, "view": {"role=admin"}, "action": {"role.take:admin"}})
		has(t, preview, "Nobody is left", "This is yourself.")
		_, result, job = s.bulk("boss", url.Values{"scope": {"all"}, "view": {"q=dora"}, "action": {"reactivate"}})
		has(t, result, "Done 1")
		has(t, s.undo("boss", job), "Done 1")

		asked := s.asked
		_, _, job = s.bulk("boss", url.Values{"user": {string(s.people["agent"])}, "view": {""}, "action": {"role.give:admin"}})
		s.undo("boss", job)
		is("asked for a fresh sign-in", s.asked-asked, 4) // the question, the double click, and the undo
		is("roles", s.byHand("agent"), "[agent viewer]")
	})
}

// What made somebody an admin is not taken back once nobody else is one.
func TestUndoLeavesAnAdmin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		_, _, job := s.bulk("boss", url.Values{"user": {string(s.people["agent"])}, "view": {""}, "action": {"role.give:admin"}})
		s.write(s.muster, func(tx *store.Tx) error { return tx.Revoke(s.people["boss"], access.Admin, store.Manual) })
		agent := s.actors["agent"]
		agent.Roles = []string{access.Admin}
		s.actors["agent"] = agent
		has(t, s.undo("agent", job), "last active admin")
		if got := s.byHand("agent"); !slices.Contains(got, access.Admin) {
			t.Errorf("the last admin is %v now", got)
		}
	})
}

func TestManyInvitations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		preview, result, job := s.bulk("boss", url.Values{"scope": {"all"}, "view": {""}, "action": {"invite"}})
		has(t, preview, "1 person", "5: Has no open invitation.")
		has(t, result, "Done 1", "Ivy Person")
		if len(s.invited) != 1 || s.invited[0] != s.people["ivy"] {
			t.Errorf("invited again: %v", s.invited)
		}
		hasNot(t, result, "Takes 1 back")
		if w := s.do("boss", "POST", job+"/undo", nil); w.Code != http.StatusConflict {
			t.Errorf("undo of mails: %d", w.Code)
		}
		_, result, job = s.bulk("boss", url.Values{"user": {string(s.people["ivy"])}, "view": {""}, "action": {"cancel"}})
		has(t, result, "Done 1")
		if u := s.user("ivy"); u.Status != store.Deleted {
			t.Errorf("ivy is %s", u.Status)
		}
		has(t, s.undo("boss", job), "Done 1")
		if u := s.user("ivy"); u.Status == store.Deleted {
			t.Error("ivy is gone")
		}
	})
}

// Who had not accepted is invited again by an undo, and not active; what somebody else has
// decided about an invitation meanwhile stays.
func TestUndoOfInvitedPeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		ivy := url.Values{"user": {string(s.people["ivy"])}, "view": {""}, "action": {"deactivate"}}
		_, _, job := s.bulk("boss", ivy)
		has(t, s.undo("boss", job), "Done 1")
		if u := s.user("ivy"); u.Status != store.Invited {
			t.Errorf("ivy never accepted and is %s, want invited", u.Status)
		}
		ivy.Set("action", "cancel")
		_, _, job = s.bulk("boss", ivy)
		s.write(s.muster, func(tx *store.Tx) error { // opened again, and deleted
			if _, err := tx.ReinviteUser(s.people["ivy"], ""); err != nil {
				return err
			}
			_, err := tx.DeleteUser(s.people["ivy"], "")
			return err
		})
		has(t, s.undo("boss", job), "Skipped 1", "changed since")
		if u := s.user("ivy"); u.Status != store.Deleted {
			t.Errorf("somebody else has deleted ivy, who is %s after the undo", u.Status)
		}
	})
}

// Each who was ticked has a result, also who is deleted or of another organization.
func TestWhoIsGoneHasAResult(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		agent, scott, nobody := string(s.people["agent"]), string(s.people["scott"]), string(store.NewID[store.User]())
		s.write(s.muster, func(tx *store.Tx) error { _, err := tx.DeleteUser(s.people["scott"], ""); return err })
		preview, result, _ := s.bulk("boss", url.Values{"user": {nobody, scott, agent, agent}, "view": {""}, "action": {"deactivate"}})
		has(t, preview, "1 person", "2: Is not here any more.")
		has(t, result, "3 of 3", "Done 1", "Skipped 2", "Scott Person Skipped Is not here any more.", nobody+" Skipped Is not here any more.")
		preview, _, _ = s.bulk("boss", url.Values{"user": {nobody}, "view": {""}, "action": {"deactivate"}})
		has(t, preview, "Nobody is left", "1: Is not here any more.")
	})
}

func TestWhatManyCannotBeAsked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		agent := string(s.people["agent"])
		for name, c := range map[string]struct {
			who  string
			f    url.Values
			code int
			text string
		}{
			"nobody chosen":        {"boss", url.Values{"action": {"deactivate"}}, 400, "Nobody is chosen"},
			"nothing chosen":       {"boss", url.Values{"user": {agent}}, 400, "Choose what to do"},
			"no such action":       {"boss", url.Values{"user": {agent}, "action": {"delete"}}, 400, "Choose what to do"},
			"no such role":         {"boss", url.Values{"user": {agent}, "action": {"role.give:emperor"}}, 400, "There is no role"},
			"no such team":         {"boss", url.Values{"user": {agent}, "action": {"team.add:x"}}, 400, "Choose a team"},
			"a directory's group":  {"boss", url.Values{"user": {agent}, "action": {"team.add:" + string(s.people["Everyone"])}}, 400, "not into groups of a directory"},
			"a view that is none":  {"boss", url.Values{"scope": {"all"}, "view": {"status=odd"}, "action": {"deactivate"}}, 400, "no status"},
			"no id":                {"boss", url.Values{"user": {"<b>"}, "action": {"deactivate"}}, 404, ""},
			"who only looks":       {"viewer", url.Values{"user": {agent}, "action": {"deactivate"}}, 403, ""},
			"another organization": {"stranger", url.Values{"scope": {"all"}, "action": {"deactivate"}}, 404, ""},
		} {
			for _, path := range []string{"/bulk", "/bulk/start"} {
				w := s.do(c.who, "POST", "/console/acme/users"+path, c.f)
				if w.Code != c.code || !strings.Contains(w.Body.String(), c.text) && path == "/bulk" {
					t.Errorf("%s, %s: %d, want %d with %q", name, path, w.Code, c.code, c.text)
				}
			}
		}
		// What was ticked stays ticked.
		doc := webtest.Page(t, s.do("boss", "POST", "/console/acme/users/bulk", url.Values{"user": {agent}}).Body.String())
		ticked := 0
		for _, input := range webtest.All(doc, "input") {
			if webtest.Attr(input, "name") == "user" && strings.Contains(fmt.Sprint(input.Attr), "checked") {
				ticked++
			}
		}
		if ticked != 1 {
			t.Errorf("%d are ticked after a mistake", ticked)
		}
	})
}

func TestColumnsAndExport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.add(s.muster, "evil", store.FromCSV, store.Active)
		s.write(s.muster, func(tx *store.Tx) error {
			u, err := tx.User(s.people["evil"])
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			doc["displayName"] = "=HYPERLINK(\"http://evil\")"
			if err == nil {
				_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			}
			return err
		})
		w := s.do("viewer", "POST", "/console/acme/users/columns", url.Values{"column": {"email", "title", "nonsense"}, "q": {"person"}})
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/console/acme/users?q=person" {
			t.Fatalf("%d %s", w.Code, w.Header().Get("Location"))
		}
		heads := func(path string) string {
			var list []string
			for _, th := range webtest.All(webtest.All(webtest.Page(t, s.do("viewer", "GET", path, nil).Body.String()), "thead")[0], "th") {
				list = append(list, webtest.Text(th))
			}
			return strings.Join(list, ",")
		}
		if got := heads("/console/acme/users"); got != "Name ▲,E-mail,Title" {
			t.Errorf("columns kept: %s", got)
		}
		if got := heads("/console/acme/users?columns=status,created"); got != "Name ▲,Status,Created" {
			t.Errorf("columns in the address: %s", got)
		}
		if w := s.do("operator", "POST", "/console/acme/users/columns", url.Values{"column": {"email"}}); w.Header().Get("Location") != "/console/acme/users?columns=email" {
			t.Errorf("an operator's columns: %d %s", w.Code, w.Header().Get("Location"))
		}
		body := s.do("viewer", "GET", "/console/acme/users/export.csv?status=active&columns=email,status,role,teams&sort=email", nil).Body.String()
		lines := strings.Split(strings.TrimSpace(body), "\n")
		if len(lines) != 6 || lines[0] != "\ufeffid,name,email,status,role,teams" || !strings.HasSuffix(lines[1], ",Agent Person,agent@acme.example,active,agent,Support") {
			t.Errorf("export: %q", lines)
		}
		if !strings.Contains(body, `,"'=HYPERLINK(""http://evil"")",`) {
			t.Errorf("a formula is exported: %s", body)
		}
		body = s.do("boss", "POST", "/console/acme/users/bulk", url.Values{"user": {string(s.people["ivy"])}, "view": {"columns=email"}, "action": {"export"}}).Body.String()
		if lines := strings.Split(strings.TrimSpace(body), "\n"); len(lines) != 2 || !strings.HasSuffix(lines[1], "ivy@acme.example") {
			t.Errorf("export of one: %q", lines)
		}
		if w := s.do("agent", "GET", "/console/acme/users/export.csv", nil); w.Code != http.StatusForbidden {
			t.Errorf("an agent exports: %d", w.Code)
		}
	})
}

func TestProgramsAskForMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		openapi.Mount(s.mux)
		ask := func(who, method, path, body string) (int, map[string]any) {
			t.Helper()
			r := httptest.NewRequest(method, "http://127.0.0.1:8080/api/v1/users"+path, strings.NewReader(body))
			r.Header.Set("X-Who", who)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.mux.ServeHTTP(w, r)
			out := map[string]any{}
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			return w.Code, out
		}
		if code, out := ask("viewer", "GET", "?status=active&sort=email&q=person", ""); code != 200 || out["total"] != 4.0 || fmt.Sprint(out["users"].([]any)[0].(map[string]any)["groups"]) != "[map[id:"+string(s.people["Support"])+" name:Support]]" {
			t.Errorf("list: %d %v", code, out)
		}
		order := `{"action":"role.give","role":"viewer","filter":"status=active","once":"a"%s}`
		if code, out := ask("boss", "POST", "/bulk", fmt.Sprintf(order, `,"preview":true`)); code != 200 || fmt.Sprint(out) != "map[left_out:map[Has the role already.:1] people:3]" {
			t.Errorf("preview: %d %v", code, out)
		}
		code, first := ask("boss", "POST", "/bulk", fmt.Sprintf(order, ""))
		if _, again := ask("boss", "POST", "/bulk", fmt.Sprintf(order, "")); code != 202 || first["total"] != 4.0 || again["id"] != first["id"] {
			t.Errorf("start: %d %v, again %v", code, first, again)
		}
		s.work()
		if got := fmt.Sprint(s.byHand("scott")); got != "[viewer]" {
			t.Errorf("roles: %s", got)
		}
		for body, want := range map[string]int{`{"action":"deactivate"}`: 400, `{"action":"deactivate","users":["x"]}`: 404, `{"action":"deactivate","users":[],"filter":"status=odd"}`: 400, `{"action":"deactivate","filter":"statsu=invited"}`: 400, `{"action":"deactivate","filter":"role=admin&role=viewer"}`: 400, `{"action":"deactivate","filter":"q=%"}`: 400, `{"action":"role.give","role":"x","filter":""}`: 400} {
			if code, out := ask("boss", "POST", "/bulk", body); code != want {
				t.Errorf("%s: %d %v", body, code, out)
			}
		}
		if code, _ := ask("viewer", "POST", "/bulk", `{"action":"deactivate","filter":""}`); code != 403 {
			t.Errorf("who only looks: %d", code)
		}
	})
}
