package console_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// tokens are two of the directory, and what is made beside them is not kept.
func (s *site) tokens() console.DirectoryTokens {
	return console.DirectoryTokens{
		List: func(tx *store.Tx, id store.DirectoryID) ([]console.Token, error) {
			return []console.Token{
				{ID: "t1", Name: "Okta production", CreatedAt: tx.Now(), LastUsedAt: tx.Now(), LastUsedIP: "203.0.113.9"},
				{ID: "t2", Allow: "203.0.113.0/24", CreatedAt: tx.Now(), ExpiresAt: tx.Now(), Ended: true},
			}, nil
		},
		Create: func(tx *store.Tx, id store.DirectoryID, in console.NewToken) (string, error) {
			if in.Name == "" {
				return "", fault.Invalid.On("name", "The token needs a name.")
			}
			return strings.Join([]string{"made", string(id), in.Name, in.Allow, in.Expires.String()}, " "), nil
		},
		Rotate: func(tx *store.Tx, id store.DirectoryID, token string, grace time.Duration) (string, error) {
			return "rotated " + token + " " + grace.String(), nil
		},
		Revoke: func(tx *store.Tx, id store.DirectoryID, token string) error {
			if token != "t1" {
				return fault.NotFound.Say("There is no such token.")
			}
			return nil
		},
	}
}

func TestADirectorysPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/directories/{okta}")
		if body := s.do("boss", "GET", "/console/acme/directories", nil).Body.String(); !strings.Contains(body, `href="`+at+`"`) {
			t.Error("the list does not lead to the directory's page")
		}
		text := s.page("boss", at)
		has(t, text, "Okta Prod", "/scim/v2/"+string(s.okta.ID), "Okta production", "from 203.0.113.9", "Unnamed", "Ended", "203.0.113.0/24", "anywhere")
		body := s.post("boss", at+"/tokens", 200, url.Values{"name": {"CI"}, "expires": {"720h"}, "allow": {"10.0.0.0/8"}})
		has(t, body, `value="made `+string(s.okta.ID)+` CI 10.0.0.0/8 720h0m0s"`, "shown this once")
		has(t, s.post("boss", at+"/tokens/rotate", 200, url.Values{"grace": {"0s"}}), `value="rotated  0s"`)
		has(t, s.post("boss", at+"/tokens/rotate", 200, url.Values{"grace": {"24h"}, "token": {"t1"}}), `value="rotated t1 24h0m0s"`)
		hasNot(t, s.page("boss", at), "made ", "rotated ")
		has(t, s.post("boss", at+"/tokens", 400, url.Values{"expires": {"0s"}}), `href="#f-name"`)
		has(t, s.post("boss", at+"/tokens", 400, url.Values{"name": {"x"}, "expires": {"1ns"}}), `href="#f-expires"`)
		s.post("boss", at+"/tokens/revoke", 303, url.Values{"token": {"t1"}})
		s.post("boss", at+"/tokens/revoke", 404, url.Values{"token": {"t3"}})
		// Another organization's directory is nobody's, whoever asks.
		other, muster := storetest.Org(t, db, "globex")
		var theirs store.Directory
		s.write(muster, func(tx *store.Tx) (err error) {
			theirs, err = tx.CreateDirectory(store.Directory{Name: "Theirs", Vendor: "okta", Mode: "compat"})
			return err
		})
		if theirs.OrgID != other {
			t.Fatal("the directory is in the wrong organization")
		}
		for _, what := range []string{"/tokens", "/tokens/rotate", "/tokens/revoke"} {
			s.post("boss", "/console/acme/directories/"+string(theirs.ID)+what, 404, url.Values{"name": {"x"}, "expires": {"0s"}, "grace": {"0s"}, "token": {"t1"}})
		}
	})
}

// clients is one of the directory, and what is made beside it is not kept.
func (s *site) clients() console.DirectoryClients {
	return console.DirectoryClients{
		URLs: func(id store.DirectoryID) (string, string) {
			return "https://id.example.com/oauth/token", "https://id.example.com/meta"
		},
		List: func(tx *store.Tx, id store.DirectoryID) ([]console.Client, error) {
			return []console.Client{
				{ID: "c1", Name: "Okta robot", SignsInBy: "client_secret", CreatedAt: tx.Now(), LastUsedAt: tx.Now(), LastUsedIP: "203.0.113.9", PreviousEndsAt: tx.Now()},
				{ID: "c2", Name: "Signer", SignsInBy: "private_key_jwt", JWKSURL: "https://client.example.com/keys", Allow: "203.0.113.0/24", ExpiresAt: tx.Now(), Ended: true},
			}, nil
		},
		Create: func(tx *store.Tx, id store.DirectoryID, in console.NewClient) (console.Client, string, error) {
			if in.Name == "" {
				return console.Client{}, "", fault.Invalid.On("name", "The client needs a name.")
			}
			return console.Client{ID: "c3", Name: in.Name}, strings.Join([]string{"made", in.Allow, in.JWKS, in.JWKSURL, in.Expires.String()}, "|"), nil
		},
		Rotate: func(tx *store.Tx, id store.DirectoryID, client string, grace time.Duration, next console.NewClient) (console.Client, string, error) {
			if client != "c1" {
				return console.Client{}, "", fault.Invalid.On("jwks", "Give its new keys.")
			}
			return console.Client{ID: client, Name: "Okta robot", PreviousEndsAt: tx.Now().Add(grace)}, "rotated|" + next.JWKS, nil
		},
		Revoke: func(tx *store.Tx, id store.DirectoryID, client string) error {
			if client != "c1" {
				return fault.NotFound.Say("There is no such client.")
			}
			return nil
		},
	}
}

func TestADirectorysClients(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := s.path("/directories/{okta}/clients")
		if body := s.do("boss", "GET", s.path("/directories/{okta}"), nil).Body.String(); !strings.Contains(body, `href="`+at+`"`) {
			t.Error("the directory's page does not lead to its clients")
		}
		has(t, s.page("boss", at), "Okta robot", "from 203.0.113.9", "a secret", "its key", "https://client.example.com/keys", "Ended", "203.0.113.0/24", "https://id.example.com/oauth/token", "https://id.example.com/meta")
		has(t, s.post("boss", at, 200, url.Values{"name": {"CI"}, "expires": {"720h"}, "allow": {"10.0.0.0/8"}, "jwks_url": {"https://x/"}}), `value="c3"`, `value="made|10.0.0.0/8||https://x/|720h0m0s"`, "shown this once")
		has(t, s.post("boss", at+"/rotate", 200, url.Values{"client": {"c1"}, "grace": {"1h"}}), `value="rotated|"`, "The old secret works until")
		has(t, s.post("boss", at+"/rotate", 400, url.Values{"client": {"c2"}, "grace": {"1h"}}), `href="#f-new_jwks"`)
		hasNot(t, s.page("boss", at), "made|", "rotated|")
		has(t, s.post("boss", at, 400, url.Values{"expires": {"0s"}}), `href="#f-name"`)
		has(t, s.post("boss", at, 400, url.Values{"name": {"x"}, "expires": {"1ns"}}), `href="#f-expires"`)
		s.post("boss", at+"/revoke", 303, url.Values{"client": {"c1"}})
		s.post("boss", at+"/revoke", 404, url.Values{"client": {"c3"}})
		_, muster := storetest.Org(t, db, "globex")
		var theirs store.Directory
		s.write(muster, func(tx *store.Tx) (err error) {
			theirs, err = tx.CreateDirectory(store.Directory{Name: "Theirs", Vendor: "okta", Mode: "compat"})
			return err
		})
		for _, what := range []string{"", "/rotate", "/revoke"} {
			s.post("boss", "/console/acme/directories/"+string(theirs.ID)+"/clients"+what, 404, url.Values{"name": {"x"}, "expires": {"0s"}, "grace": {"0s"}, "client": {"c1"}})
		}
	})
}
