package scim

import (
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestTheRolesAPI(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newLogSite(t, db, NewDirectory{Name: "Okta", Vendor: "okta"})
		at := "/api/v1/directories/" + string(s.directory.ID) + "/roles"
		jane := s.user("jane", `"roles":[{"value":"Lead","display":"The lead"},{"value":"agent"}]`)
		var values struct{ Values []roleValue }
		s.send("boss", "GET", at, "", 200, &values)
		if want := []roleValue{{"roles", "agent", "", "", "agent", false, 1}, {"roles", "Lead", "The lead", "", "", false, 1}}; !slices.Equal(values.Values, want) {
			t.Errorf("values\n got %+v\nwant %+v", values.Values, want)
		}
		if got := s.send("boss", "PUT", at, `{"attribute":"roles","value":"LEAD","role":"viewer","kind":"Job"}`, 200, nil); strings.TrimSpace(got) != `{"granted":1,"revoked":0}` {
			t.Errorf("mapping: %s", got)
		}
		if got := s.rolesOf(jane); got != `agent: roles "Agent", viewer: roles "LEAD"` {
			t.Errorf("jane has %s", got)
		}
		s.send("boss", "GET", at, "", 200, &values)
		if want := []roleValue{{"roles", "LEAD", "", "Job", "viewer", true, 1}, {"roles", "agent", "", "", "agent", false, 1}}; !slices.Equal(values.Values, want) {
			t.Errorf("values\n got %+v\nwant %+v", values.Values, want)
		}
		s.send("boss", "PUT", at, `{"attribute":"roles","value":"x","role":"king"}`, 400, nil)
		s.send("boss", "PUT", at, `{"attribute":"roles","value":"x","rolle":"agent"}`, 400, nil)
		s.send("viewer", "PUT", at, `{"attribute":"roles","value":"x","role":"admin"}`, 403, nil)
		s.send("viewer", "GET", at, "", 403, nil)
		for method, query := range map[string]string{"GET": "", "PUT": "", "DELETE": "?attribute=roles&value=lead"} {
			s.send("stranger", method, at+query, `{"attribute":"roles","value":"lead","role":"admin"}`, 404, nil)
		}
		if got := s.send("boss", "DELETE", at+"?attribute=roles&value=lead", "", 200, nil); strings.TrimSpace(got) != `{"granted":0,"revoked":1}` {
			t.Errorf("unmapping: %s", got)
		}
		s.send("boss", "DELETE", at+"?attribute=roles&value=lead", "", 404, nil)
		if got := s.rolesOf(jane); got != `agent: roles "Agent"` {
			t.Errorf("jane has %s", got)
		}
	})
}
