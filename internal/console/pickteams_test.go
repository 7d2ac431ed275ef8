package console_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// manyTeams makes more teams than any page offers.
func (s *site) manyTeams() {
	s.t.Helper()
	s.write(s.muster, func(tx *store.Tx) error {
		for i := range 600 {
			if _, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": fmt.Sprintf("Team %03d <b>", i)}}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Among very many teams a person's are found by their names; what the form has not shown
// stays, and so does what somebody else did meanwhile.
func TestTeamsArePickedAmongMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.manyTeams()
		at := s.path("/users/{agent}/edit")
		teams := func() (names []string) {
			s.write(s.muster, func(tx *store.Tx) error {
				groups, err := tx.GroupsOf([]store.UserID{s.people["agent"]})
				for _, g := range groups[s.people["agent"]] {
					names = append(names, g.Name)
				}
				return err
			})
			return names
		}
		text := s.page("boss", at)
		has(t, text, "Find other teams", "Support")
		hasNot(t, text, "Team 0", "Team 5")
		form := url.Values{"version": {"1"}, "title": {"Typed"}, "teams": {string(s.team("Support"))}, "teams_shown": {string(s.team("Support"))}, "find_team": {"599"}, "do": {"find"}}
		text = s.post("boss", at, 200, form)
		webtest.Page(t, text)
		has(t, text, "Team 599 &lt;b&gt;", `value="Typed"`, "checked")
		form.Set("find_team", "no such")
		has(t, s.post("boss", at, 200, form), "No team is called so")
		form.Set("find_team", "Team")
		has(t, s.post("boss", at, 200, form), "There are more")
		// Two were found one after the other, and one of them is chosen.
		form.Set("teams", string(s.team("Team 599 <b>")))
		form["teams_shown"] = append(form["teams_shown"], string(s.team("Team 599 <b>")), string(s.team("Team 007 <b>")))
		form.Set("find_team", "008")
		text = s.post("boss", at, 200, form)
		has(t, text, "Team 599", "Team 008", "Support")
		// Meanwhile somebody puts the person into another one.
		hundred := s.team("Team 100 <b>")
		s.write(s.muster, func(tx *store.Tx) error {
			_, err := tx.AddMembers(hundred, []store.UserID{s.people["agent"]})
			return err
		})
		form.Del("do")
		form.Set("version", strconv.FormatInt(s.user("agent").Version, 10))
		s.post("boss", at, 303, form)
		if got := teams(); !slices.Equal(got, []string{"Team 100 <b>", "Team 599 <b>"}) {
			t.Errorf("the teams are %q", got)
		}
		// Enter in another field presses the first button: nothing was looked for, so it saves.
		s.post("boss", at, 303, url.Values{"version": {strconv.FormatInt(s.user("agent").Version, 10)}, "do": {"find"}, "find_team": {""}, "role": {"agent"}})
		if got := teams(); len(got) != 2 {
			t.Errorf("the teams are %q", got)
		}
		var everyone string
		s.write(s.muster, func(tx *store.Tx) error {
			all, err := tx.Groups()
			for _, g := range all {
				if g.Name == "Everyone" {
					everyone = string(g.ID)
				}
			}
			return err
		})
		version := func() []string { return []string{strconv.FormatInt(s.user("agent").Version, 10)} }
		has(t, s.post("boss", at, 400, url.Values{"version": version(), "teams": {everyone}}), "is not a team of this organization")
	})
}

// A team or group that is put into a team, and the team of a filter, are found by name
// among any number, whosever they are.
func TestTeamsForATeamAndForAFilterAreFound(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.manyTeams()
		html := func(path string) string { return s.do("boss", "GET", path, nil).Body.String() }
		at := s.path("/teams/" + string(s.team("Support")))
		text := html(at)
		has(t, text, "Search teams and groups")
		hasNot(t, text, "Team 0", "Team 5", "/nest\"")
		has(t, html(at+"?find_team=no+such"), "No team is called so")
		has(t, html(at+"?find_team=team"), "There are more", "Team 007")
		text = html(at + "?find_team=b+599")
		webtest.Page(t, text)
		last := string(s.team("Team 599 <b>"))
		has(t, text, `value="`+last+`"`, `name="find_team" value="b 599"`)
		has(t, html(at+"?find_team=everyone"), "Everyone (Okta Prod)")
		if to := s.do("boss", "POST", at+"/nest", url.Values{"group": {last}, "find_team": {"599"}}).Header().Get("Location"); to != at+"?find_team=599" {
			t.Errorf("back to %s", to)
		}
		text = html(at + "?find_team=599")
		has(t, text, "/teams/"+last, "No team is called so") // it is inside, and not offered again
		inside := s.path("/teams/" + last)
		hasNot(t, html(inside+"?find_team=support"), `value="`+string(s.team("Support"))+`"`)
		has(t, s.post("boss", inside+"/nest", 400, url.Values{"group": {string(s.team("Support"))}, "find_team": {"sup"}}), `href="#f-group"`, `value="sup"`)

		text = html("/console/acme/users")
		has(t, text, "Find other teams")
		hasNot(t, text, "Team 599")
		text = html("/console/acme/users?find_team=599")
		webtest.Page(t, text)
		has(t, text, `<option value="`+last+`"`, `value="team.add:`+last+`"`)
		has(t, html("/console/acme/users?find_team=no+such&team="+last), "Team 599 &lt;b&gt;")
	})
}
