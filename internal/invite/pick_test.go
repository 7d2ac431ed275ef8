package invite_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Among very many teams those of somebody new are found by their names, and nothing that
// was typed or chosen is lost on the way; for one person and for a list.
func TestTeamsOfAnInvitationArePickedAmongMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		ids := map[string]string{}
		s.must(func(tx *store.Tx) error {
			for i := range 520 {
				g, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": fmt.Sprintf("Team %03d <b>", i)}})
				if err != nil {
					return err
				}
				ids[fmt.Sprintf("%03d", i)] = string(g.ID)
			}
			return nil
		})
		for _, path := range []string{"/console/acme/invite", "/console/acme/invite/many"} {
			page := s.want(s.do("admin", "GET", path, nil), 200)
			if strings.Contains(page, "Team 0") || !strings.Contains(page, "Find other teams") {
				t.Errorf("%s shows teams at once", path)
			}
			form := url.Values{"email": {"ada@example"}, "addresses": {"ada@example.com"}, "note": {"Typed"}, "role": {"viewer"}, "find_team": {"519"}, "do": {"find"}}
			find := func(word string) string {
				form.Set("find_team", word)
				page := s.want(s.do("admin", "POST", path, form), 200)
				webtest.Page(t, page)
				return page
			}
			if page = find("519"); !strings.Contains(page, "Team 519 &lt;b&gt;") || !strings.Contains(page, ">Typed</textarea>") || strings.Contains(page, "Please check") {
				t.Errorf("%s: %s", path, page)
			}
			if page = find("no such"); !strings.Contains(page, "No team is called so") {
				t.Errorf("%s: nothing is said of what is not there", path)
			}
			form.Set("teams", ids["519"])
			if page = find("007 team"); !strings.Contains(page, "Team 519") || !strings.Contains(page, "Team 007") {
				t.Errorf("%s: what was chosen is gone: %s", path, page)
			}
			form["teams"] = append(form["teams"], ids["007"])
			form.Set("email", "ada@example.com")
			form.Set("do", "send")
			if path == "/console/acme/invite" {
				s.want(s.do("admin", "POST", path, form), 200)
				continue
			}
			form.Set("addresses", "bob@example.com")
			at := s.do("admin", "POST", path, form).Header().Get("Location")
			s.want(s.do("admin", "POST", at, nil), 303)
		}
		for _, name := range []string{"ada@example.com", "bob@example.com"} {
			if got := s.teamsOf(name); !slices.Equal(got, []string{"Team 007 <b>", "Team 519 <b>"}) {
				t.Errorf("%s is in %q", name, got)
			}
		}
	})
}

func (s *site) teamsOf(name string) (names []string) {
	s.t.Helper()
	id := s.find(name)
	s.must(func(tx *store.Tx) error {
		of, err := tx.GroupsOf([]store.UserID{id})
		for _, g := range of[id] {
			names = append(names, g.Name)
		}
		return err
	})
	return names
}
