package console_test

import (
	"net/url"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestRolesOfADirectory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		directory := access.Actor{Kind: access.Directory, Org: string(s.okta.OrgID), ID: string(s.okta.ID), Name: "Okta"}
		var lead store.User
		s.write(directory, func(tx *store.Tx) (err error) {
			lead, err = tx.CreateUser(store.NewUser{Source: store.FromSCIM, Doc: store.Doc{"userName": "lead@acme.example", "displayName": "Lee Lead",
				"roles":        []any{map[string]any{"value": "viewer"}, map[string]any{"value": "Desk & Lead", "display": "The lead"}},
				"entitlements": []any{map[string]any{"value": "pro", "type": "License"}}}})
			return err
		})
		at := s.path("/directories/{okta}")
		has(t, s.do("boss", "GET", at, nil).Body.String(), `href="`+at+`/roles"`)
		body := s.do("boss", "GET", at+"/roles", nil).Body.String()
		has(t, body, "Nothing is mapped", "Desk &amp; Lead", "The lead", "1 person", "by its name", `?attribute=roles&amp;value=Desk%20%26%20Lead#map`, "License")
		has(t, s.do("boss", "GET", at+"/roles?attribute=roles&value=Desk+%26+Lead", nil).Body.String(), `value="Desk &amp; Lead"`, `<option value="roles" selected>`, `<option value="">Choose</option>`)

		has(t, s.post("boss", at+"/roles", 409, url.Values{"attribute": {"roles"}, "value": {"desk & lead"}, "role": {"admin"}}), "An admin may", `name="value" value="desk &amp; lead"`)
		s.post("boss", at+"/roles", 303, url.Values{"attribute": {"roles"}, "value": {"desk & lead"}, "role": {"admin"}, "sure_admin": {"yes"}})
		has(t, s.page("boss", at+"/roles"), "desk & lead", "Admin", "1 person")
		has(t, s.page("boss", "/console/acme/users/"+string(lead.ID)), `because Okta Prod sent roles "desk & lead", since`)
		s.post("boss", at+"/roles", 303, url.Values{"attribute": {"roles"}, "value": {"VIEWER"}, "role": {"none"}})
		hasNot(t, s.page("boss", "/console/acme/users/"+string(lead.ID)), `sent roles "Viewer", since`)

		has(t, s.post("boss", at+"/roles", 400, url.Values{"attribute": {"roles"}, "value": {""}, "role": {"agent"}}), `href="#f-value"`)
		has(t, s.post("boss", at+"/roles", 400, url.Values{"attribute": {"roles"}, "value": {"x"}}), `href="#f-role"`)
		has(t, s.post("boss", at+"/roles", 400, url.Values{"attribute": {"emails"}, "value": {"x"}, "role": {"agent"}}), `href="#f-attribute"`)

		s.post("boss", at+"/roles/unmap", 303, url.Values{"attribute": {"roles"}, "value": {"desk & lead"}})
		hasNot(t, s.page("boss", "/console/acme/users/"+string(lead.ID)), `because Okta Prod sent roles "desk & lead", since`)
		has(t, s.page("boss", "/console/acme/activity?action=directory.role.map"), "mapped a role of", "Okta Prod")

		_, muster := storetest.Org(t, db, "globex")
		var theirs store.Directory
		s.write(muster, func(tx *store.Tx) (err error) {
			theirs, err = tx.CreateDirectory(store.Directory{Name: "Theirs", Vendor: "okta", Mode: "compat"})
			return err
		})
		s.post("boss", "/console/acme/directories/"+string(theirs.ID)+"/roles", 404, url.Values{"attribute": {"roles"}, "value": {"x"}, "role": {"admin"}, "sure_admin": {"yes"}})
		if w := s.do("boss", "GET", "/console/acme/directories/"+string(theirs.ID)+"/roles", nil); w.Code != 404 {
			t.Errorf("another organization's: %d", w.Code)
		}
	})
}
