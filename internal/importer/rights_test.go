package importer_test

import (
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const badgeURN = "urn:example:badges:User"

// badges gives everybody attributes of the organization's own.
func (s *stage) badges(list ...store.Attribute) {
	s.t.Helper()
	for i := range list {
		list[i].Type = "string"
	}
	s.must(func(tx *store.Tx) error {
		_, err := tx.PutSchema(store.Schema{URN: badgeURN, Resource: store.UserResource, Name: "Badges", Attributes: list}, true)
		return err
	})
}

func TestRequiredAttributes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.person("old@example.com")
		s.badges(store.Attribute{Name: "badge", Required: true}, store.Attribute{Name: "pin", Returned: "never"}, store.Attribute{Name: "born", Mutability: "immutable"})
		run := s.read("email,title\nann@example.com,Clerk\nold@example.com,Clerk\n", nil)
		if got := s.sum(run); got != "2:error("+badgeURN+":badge) 3:error("+badgeURN+":badge)" || !strings.Contains(s.rows(run)[0].Problem.Remedy.String(), "Add a column "+badgeURN+":badge") {
			t.Errorf("without the column: %s %+v", got, s.rows(run)[0].Problem)
		}
		run = s.read("email,title,badge,pin,born\nann@example.com,Clerk,B1,1234,Bonn\nbob@example.com,,,,\nold@example.com,,,,\n", nil)
		if got := s.sum(run); got != "2:create 3:error("+badgeURN+":badge) 4:unchanged" || s.rows(run)[1].Problem.Remedy.String() != "Fill this cell." {
			t.Errorf("with the column: %s %+v", got, s.rows(run)[1].Problem)
		}
		s.start(run)
		run = s.read("email,pin,born\nann@example.com,4321,\n", nil)
		if c := s.rows(run)[0].Changes[0]; s.sum(run) != "2:update" || strings.ContainsAny(c.From+c.To, "0123456789") {
			t.Errorf("a secret value is shown: %+v", c)
		}
		job := s.start(run)
		if doc := string(s.named("ann@example.com").Doc); job.Counts.Done != 1 || !strings.Contains(doc, `"4321"`) {
			t.Errorf("%s %s", did(job), doc)
		}
		if s.undo(job); !strings.Contains(string(s.named("ann@example.com").Doc), `"1234"`) {
			t.Error("the secret value did not come back")
		}
		if got := s.sum(s.read("email,born\nann@example.com,Berlin\n", nil)); got != "2:error("+badgeURN+":born)" {
			t.Errorf("immutable: %s", got)
		}
	})
}

// TestAnImportReachesNobodyWhoMayMore: whoever may import, and no more, changes no admin,
// and makes none.
func TestAnImportReachesNobodyWhoMayMore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		may := []access.Permission{access.ViewUsers, access.EditUsers, access.EndUsers, access.ViewGroups, access.EditGroups}
		s.must(func(tx *store.Tx) error {
			_, err := tx.CreateRole(store.RoleChange{Name: "clerk", Permissions: &may})
			return err
		})
		may = append(may, access.CreateUsers) // which no role of an organization has so far
		if err := db.Write(ctx, access.Muster(string(s.org.ID)), func(tx *store.Tx) error {
			_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "glass", Email: "glass@example.com"}.Doc(), Source: store.FromAPI, Roles: []string{access.Admin}, Reason: store.Manual, BreakGlass: true})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := s.sum(s.read("email,user_name,title\nglass@example.com,glass,Clerk\n", nil)); got != "2:error(title)" {
			t.Errorf("a break-glass account: %s", got)
		}
		s.person("ann@example.com", access.Agent)
		chief := s.admin
		s.admin = s.person("clerk@example.com", "clerk")
		s.admin.Granted = may
		run := s.read("email,title,role\nboss@acme.example,Clerk,\nann@example.com,Clerk,\nann2@example.com,,admin\nbob@example.com,,clerk\n", func(set *importer.Settings) { set.Missing = importer.MissingDeactivate })
		if got := s.sum(run); got != "2:error(title) 3:update 4:error(role) 5:create" {
			t.Errorf("a clerk's file: %s", got)
		}
		run = s.read("email\nann@example.com\n", func(set *importer.Settings) { set.Missing = importer.MissingDeactivate })
		if got := s.sum(run); got != "2:unchanged 0:missing" { // the admin; the clerk does it
			t.Errorf("whoever is not in a clerk's file: %s", got)
		}

		s.admin = chief
		run = s.read("email,title,role\nboss@acme.example,Clerk,\nann2@example.com,,admin\n", nil)
		s.admin = s.person("clerk2@example.com", "clerk")
		s.admin.Granted = may
		s.acting = s.admin
		job := s.start(run) // what an admin looked at, a clerk starts
		if got := did(job); got != "0 done, 2 skipped, 0 failed map[]" || !strings.Contains(s.results(job), "more than you may do yourself") {
			t.Errorf("an admin's file: %s\n%s", got, s.results(job))
		}
	})
}
