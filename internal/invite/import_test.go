package invite_test

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (s *stage) load(file string, opt invite.ImportOptions) invite.Report {
	s.t.Helper()
	sheet, err := invite.ReadCSV([]byte(file))
	if err != nil {
		s.t.Fatal(err)
	}
	report, err := s.door.Import(ctx, s.admin, sheet, opt)
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// sum is a report in one line: numbers, then each line's action and column.
func sum(r invite.Report) string {
	out := fmt.Sprintf("%d/%d/%d/%d", r.Created, r.Updated, r.Unchanged, r.Failed)
	for _, o := range r.Rows {
		out += fmt.Sprintf(" %d:%s", o.Line, o.Action)
		if o.Problem != nil {
			out += "(" + o.Problem.Column + ")"
		}
	}
	return out
}

func (s *stage) named(name string) (u store.User) {
	s.t.Helper()
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) (err error) { u, err = tx.UserByName(name); return err }); err != nil {
		s.t.Fatal(err)
	}
	return u
}

func TestAnImport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.must(func(tx *store.Tx) error {
			_, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Support"}})
			return err
		})
		const file = "email,first,last,role,department,manager,teams\n" +
			"ann@example.com,Ann,A,agent,Ops,bob@example.com,\n" + // the manager comes later
			"bob@example.com,Bob,B,viewer,Ops,boss@acme.example,support\n" +
			"cid@example.com,Cid,C,emperor,,,\n" +
			"dan@example.com,Dan,D,,,cid@example.com,\n" +
			"eve@example,Eve,E,,,,\n" +
			"ANN@example.com,Ann,Again,,,,\n" +
			"fay@example.com,Fay,F,,,gus@example.com,\n" +
			"gus@example.com,Gus,G,,,fay@example.com,\n" +
			"hal@example.com,Hal,H,,,,Nowhere\n"
		const want = "2:create 3:create 4:error(role) 5:error(manager) 6:error(email) 7:error(email) 8:error(manager) 9:error(manager) 10:error(teams)"
		if got := sum(s.load(file, invite.ImportOptions{DryRun: true})); got != "2/0/0/7 "+want {
			t.Errorf("dry run: %s", got)
		}
		if err := db.Read(ctx, s.admin, func(tx *store.Tx) error {
			page, err := tx.People(store.PeopleQuery{})
			if page.Total != 1 {
				t.Errorf("a dry run made %d people", page.Total-1)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		report := s.load(file, invite.ImportOptions{})
		if got := sum(report); got != "2/0/0/7 "+want {
			t.Errorf("import: %s", got)
		}
		for _, o := range report.Rows {
			if p := o.Problem; p != nil && (p.Value == "" || p.Why == "" || p.Remedy == "") {
				t.Errorf("line %d does not explain itself: %+v", o.Line, p)
			}
		}
		ann, bob := s.named("ann@example.com"), s.named("bob@example.com")
		if ann.Source != store.FromCSV || ann.Status != store.Active || ann.ManagerID != bob.ID || bob.ManagerID != store.UserID(s.admin.ID) {
			t.Errorf("ann %+v, bob %+v", ann, bob)
		}
		if err := db.Read(ctx, s.admin, func(tx *store.Tx) error {
			groups, err := tx.GroupsOf([]store.UserID{bob.ID})
			roles, err2 := tx.RolesOf([]store.UserID{bob.ID})
			if len(groups[bob.ID]) != 1 || roles[bob.ID][0].Role != access.Viewer {
				t.Errorf("bob: %v %v", groups, roles)
			}
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
		if got := sum(s.load(file, invite.ImportOptions{})); !strings.HasPrefix(got, "0/0/2/7 ") || s.named("ann@example.com").Version != ann.Version {
			t.Errorf("a second time: %s", got)
		}
		const second = "email,department,role,teams\nann@example.com,Legal,viewer,Support\nbob@example.com,,,\n"
		report = s.load(second, invite.ImportOptions{})
		if got := sum(report); got != "0/1/1/0 2:update 3:unchanged" || strings.Join(report.Rows[0].Changes, " ") != "department role teams" {
			t.Errorf("update: %s %v", got, report.Rows[0].Changes)
		}
		if p := s.named("ann@example.com").Profile(); p.Department != "Legal" || p.GivenName != "Ann" || p.ManagerID != string(bob.ID) {
			t.Errorf("ann: %+v", p)
		}
	})
}

func TestAnImportInvites(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		const file = "email,first\nann@example.com,Ann\nbob@example.com,Bob\n"
		if got := sum(s.load(file, invite.ImportOptions{Invite: true})); got != "2/0/0/0 2:create 3:create" {
			t.Fatal(got)
		}
		if got := sum(s.load(file, invite.ImportOptions{Invite: true})); got != "0/0/2/0 2:unchanged 3:unchanged" || len(s.mails) != 2 {
			t.Errorf("again: %s, %d mails", got, len(s.mails))
		}
		m := <-s.mails
		link := m.Text[strings.Index(m.Text, "http://"):]
		if err := s.accept(link[:strings.IndexAny(link, "\n ")]); err != nil {
			t.Fatal(err)
		}
		if u := s.named(m.To); u.Status != store.Active || u.Source != store.FromCSV {
			t.Errorf("%+v", u)
		}
		s.full = true
		if got := sum(s.load("email\ncid@example.com\n", invite.ImportOptions{Invite: true})); got != "0/0/0/1 2:error()" {
			t.Errorf("without mail: %s", got)
		}
	})
}

func TestAnImportRespectsOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		var dir store.Directory
		s.must(func(tx *store.Tx) (err error) {
			dir, err = tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
			return err
		})
		okta := access.Actor{Kind: access.Directory, Org: string(s.org.ID), ID: string(dir.ID), Name: "Okta"}
		if err := s.write(okta, func(tx *store.Tx) error {
			_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "scott", Email: "scott@example.com", GivenName: "Scott"}.Doc(), Source: store.FromSCIM})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		report := s.load("email,first,role\nscott@example.com,Mallory,\n", invite.ImportOptions{})
		if got := sum(report); got != "0/0/0/1 2:error(given_name)" || !strings.Contains(report.Rows[0].Problem.Why, "Okta") {
			t.Errorf("managed: %s %+v", got, report.Rows[0].Problem)
		}
		if got := sum(s.load("email,first,role\nscott@example.com,Scott,viewer\n", invite.ImportOptions{})); got != "0/1/0/0 2:update" {
			t.Errorf("a role for a managed person: %s", got)
		}
		if got := sum(s.load("email,role\nboss@acme.example,viewer\n", invite.ImportOptions{})); got != "0/0/0/1 2:error(role)" {
			t.Errorf("the last admin: %s", got)
		}
		if got := sum(s.load("email,user_name\nboss@acme.example,scott\n", invite.ImportOptions{})); got != "0/0/0/1 2:error(user_name)" {
			t.Errorf("two people in one line: %s", got)
		}
		sheet, _ := invite.ReadCSV([]byte("email\nx@example.com\n"))
		_, err := s.door.Import(ctx, s.person("v@acme.example", access.Viewer), sheet, invite.ImportOptions{})
		wantFault(t, "a viewer imports", err, fault.Denied)
	})
}

func TestAnImportOfTwoThousand(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		var file strings.Builder
		file.WriteString("email,first,manager\n")
		for i := range 2000 {
			boss := ""
			if i > 0 {
				boss = fmt.Sprintf("p%d@example.com", (i-1)/10)
			}
			fmt.Fprintf(&file, "p%d@example.com,P%d,%s\n", i, i, boss)
		}
		if got := sum(s.load(file.String(), invite.ImportOptions{})); !strings.HasPrefix(got, "2000/0/0/0 ") {
			t.Errorf("%.200s", got)
		}
	})
}

func (s *site) uploadFile(who, content string) *httptest.ResponseRecorder {
	s.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part, _ := m.CreateFormFile("file", "people.csv")
	part.Write([]byte(content))
	m.WriteField("invite", "on")
	m.Close()
	r := httptest.NewRequest("POST", "http://127.0.0.1:8080/console/acme/import", &body)
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Header.Set("X-Who", who)
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

func TestTheImportPages(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		webtest.Page(t, s.want(s.do("admin", "GET", "/console/acme/import", nil), http.StatusOK))
		sample := s.want(s.do("admin", "GET", "/console/acme/import/template.csv", nil), http.StatusOK)
		if _, err := invite.ReadCSV([]byte(sample)); err != nil {
			t.Errorf("our own sample: %v", err)
		}
		body := s.want(s.uploadFile("admin", "PK\x03\x04"), http.StatusBadRequest)
		webtest.Page(t, body)
		if !strings.Contains(body, `id="f-file-error"`) {
			t.Error("the refusal is not beside the file")
		}
		webtest.Page(t, s.want(s.do("admin", "POST", "/console/acme/import", nil), http.StatusBadRequest))
		for _, who := range []string{"viewer", "agent"} {
			s.want(s.uploadFile(who, "email\na@example.com\n"), http.StatusForbidden)
		}
		s.want(s.uploadFile("stranger", "email\na@example.com\n"), http.StatusNotFound)
		s.want(s.uploadFile("admin", strings.Repeat("a", invite.MaxFile+1)), http.StatusBadRequest)
		s.want(s.uploadFile("admin", strings.Repeat("a", invite.MaxFile+1<<20)), http.StatusRequestEntityTooLarge)

		w := s.uploadFile("admin", "email,first\nada@example.com,Ada\nbad,Bad\n")
		s.want(w, http.StatusSeeOther)
		at := w.Header().Get("Location")
		for range 2 {
			text := webtest.Text(webtest.Page(t, s.want(s.do("admin", "GET", at, nil), http.StatusOK)))
			for _, words := range []string{"1 new", "1 with errors", "Import the 1 good line", "Line 3"} {
				if !strings.Contains(text, words) {
					t.Errorf("no %q in %s", words, text)
				}
			}
		}
		s.want(s.do("viewer", "POST", at, nil), http.StatusForbidden)
		text := webtest.Text(webtest.Page(t, s.want(s.do("admin", "POST", at, nil), http.StatusOK)))
		if !strings.Contains(text, "1 new") || len(s.mails) != 1 {
			t.Errorf("%d mails, %s", len(s.mails), text)
		}
		s.want(s.do("admin", "POST", at, nil), http.StatusNotFound)
		s.want(s.do("admin", "GET", "/console/acme/import/zz", nil), http.StatusNotFound)
	})
}
