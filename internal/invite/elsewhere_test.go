package invite_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Who must use single sign-on is told of no password: in the mail, by a link that works,
// by one whose time is over and by one that was used.
func TestSingleSignOnKnowsNoPasswords(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newSite(t, db)
		s.elsewhere, s.onlySSO = true, map[string]bool{"acme.example": true}
		draft, err := s.door.Draft(ctx, s.admin, invite.In{Email: "ada@ACME.example"})
		if err != nil {
			t.Fatal(err)
		}
		made := s.invite("ada@acme.example")
		for what, text := range map[string]string{"the preview": draft.Text, "the mail": (<-s.mails).Text} {
			if strings.Contains(text, "password") || !strings.Contains(text, "Sign in where you always do, with ada@") {
				t.Errorf("%s: %s", what, text)
			}
		}
		path := "/invite/" + token(made.Link)
		page := func(status int) string {
			t.Helper()
			return webtest.Text(webtest.Page(t, s.want(s.do("", "GET", path, nil), status)))
		}
		if text := page(http.StatusOK); strings.Contains(text, "password") || !strings.Contains(text, "Continue with Okta") {
			t.Errorf("a link that works: %s", text)
		}
		clock.Pass(8 * 24 * time.Hour)
		if text := page(http.StatusGone); !strings.Contains(text, "Ask for a new invitation") || !strings.Contains(text, "Continue with Okta") {
			t.Errorf("a link whose time is over: %s", text)
		}
		s.want(s.do("", "POST", path+"/again", url.Values{}), http.StatusOK)
		if len(s.told) != 1 {
			t.Errorf("admins are told %d times", len(s.told))
		}
		if err := s.write(access.Actor{Kind: access.Connection, Org: string(s.org.ID), ID: "okta", Name: "Okta"}, func(tx *store.Tx) error {
			u, err := tx.ActivateUser(made.UserID, "signed in")
			if err != nil {
				return err
			}
			return s.door.SignedIn(tx, u)
		}); err != nil {
			t.Fatal(err)
		}
		if text := page(http.StatusGone); strings.Contains(text, "assword") || !strings.Contains(text, "Sign in where you always do, with ada@acme.example.") {
			t.Errorf("a link that was used: %s", text)
		}
	})
}
