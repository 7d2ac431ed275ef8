package console_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A directory may send a name of which nothing can be seen, or that turns the direction of
// writing: pages show it, whole, and stay readable. Nobody types such a name here.
func TestNamesThatNobodySees(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		dir := access.Actor{Kind: access.Directory, Org: string(s.org), ID: string(s.okta.ID), Name: "Okta Prod"}
		const turned, hangul = "Zoe\u202e\u2069gnp", "\u115f\u3164"
		for who, p := range map[string]store.Profile{
			"turned": {UserName: "turned@acme.example", DisplayName: turned},
			"blank":  {UserName: "blank@acme.example", DisplayName: "\u200b\u00ad"},
			"nobody": {UserName: hangul, DisplayName: hangul},
		} {
			s.write(dir, func(tx *store.Tx) error {
				u, err := tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromSCIM, Status: store.Active})
				s.people[who] = u.ID
				return err
			})
		}
		list := s.page("boss", s.path("/users"))
		has(t, list, "\u2068Zoe\u202egnp\u2069", "blank@acme.example", string(s.people["nobody"]))
		for who, name := range map[string]string{"turned": "\u2068Zoe\u202egnp\u2069", "blank": "blank@acme.example", "nobody": "[U+115F U+3164]"} {
			text := s.page("boss", s.path("/users/{"+who+"}"))
			has(t, text, name)
			if strings.Contains(text, turned) {
				t.Errorf("%s: a name turns the page round", who)
			}
		}
		if u := s.user("turned"); u.DisplayName != turned {
			t.Errorf("stored: %+q", u.DisplayName)
		}

		edit := url.Values{"version": {"1"}, "given_name": {hangul}, "family_name": {"Kiss"}, "role": {access.Agent}}
		has(t, s.post("boss", s.path("/users/{agent}/edit"), 400, edit), `href="#f-given_name"`, "nobody can see", hangul)
		has(t, s.german(s.path("/users/{agent}/edit"), edit), "die niemand sehen kann")
		has(t, s.post("boss", s.path("/teams"), 400, url.Values{"name": {"\u200b\u2060"}}), "nobody can see")
		edit.Set("given_name", "Zo\u00ade")
		s.post("boss", s.path("/users/{agent}/edit"), 303, edit)
	})
}
