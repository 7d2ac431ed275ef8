package importer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

var ctx = context.Background()

// stage is one organization with an admin and the door under test.
type stage struct {
	t     testing.TB
	db    *store.DB
	door  *importer.Door
	jobs  *jobs.Service
	org   store.Org
	admin access.Actor
	mails chan mail.Message
	full  bool // the mail queue refuses

	atBatch   func() // called with each batch of a job
	inBatch   func(*store.Tx)
	acting    access.Actor // for whom jobs work; an admin when empty
	lost      bool         // nobody may do anything any more
	atAddress func(n int)  // called with each address that is looked at
	addresses atomic.Int32

	folder string // where feeds may read
}

func newStage(t testing.TB, db *store.DB) *stage { return newStageIn(t, db, "acme") }

func newStageIn(t testing.TB, db *store.DB, org string) *stage {
	t.Helper()
	id, _ := storetest.Org(t, db, org)
	s := &stage{t: t, db: db, mails: make(chan mail.Message, 100)}
	var err error
	if s.org, err = db.OrgByID(ctx, id); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	queue := func(tx *store.Tx, m mail.Message) error {
		if s.full {
			return errors.New("the queue is full")
		}
		tx.AfterCommit(func() { s.mails <- m })
		return nil
	}
	invites := invite.New(invite.Options{DB: db, PublicURL: "http://127.0.0.1:8080", Log: quiet, Queue: queue})
	s.folder = t.TempDir()
	s.jobs = jobs.New(jobs.Options{DB: db, Log: quiet, Actor: func(tx *store.Tx, who jobs.Starter) (access.Actor, error) {
		if s.atBatch != nil {
			s.atBatch()
		}
		if s.inBatch != nil {
			s.inBatch(tx)
		}
		if s.lost {
			return access.Actor{}, fault.Denied.Say("No.")
		}
		if s.acting.ID != "" {
			return s.acting, nil
		}
		return access.Actor{Kind: who.Kind, ID: who.ID, Name: who.Name, Roles: []string{access.Admin}}, nil
	}})
	s.door = importer.New(importer.Options{DB: db, Jobs: s.jobs, Log: quiet, Address: s.address, Invite: invites.Imported, Withdraw: invites.Cancel,
		Folder: s.folder, Key: secret.NewKey(), Queue: queue, PublicURL: "http://127.0.0.1:8080", Patience: 2 * time.Second,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return sso.Dial(ctx, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, address)
		}})
	s.admin = s.person("boss@acme.example", access.Admin)
	return s
}

func (s *stage) address(a string) (string, error) {
	if s.atAddress != nil {
		s.atAddress(int(s.addresses.Add(1)))
	}
	return invite.Address(a)
}

// person is an active one with a role, as an actor.
func (s *stage) person(address string, roles ...string) access.Actor {
	s.t.Helper()
	var u store.User
	err := s.db.Write(ctx, access.Muster(string(s.org.ID)), func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: address, Email: address, GivenName: "Bea", FamilyName: "Boss"}.Doc(),
			Source: store.FromAPI, Roles: roles, Reason: store.Manual})
		return err
	})
	if err != nil {
		s.t.Fatalf("make %s: %v", address, err)
	}
	return access.Actor{Kind: access.Person, Org: string(s.org.ID), ID: string(u.ID), Name: "Bea Boss", Roles: roles}
}

func (s *stage) must(f func(tx *store.Tx) error) {
	s.t.Helper()
	if err := s.db.Write(ctx, s.admin, f); err != nil {
		s.t.Fatal(err)
	}
}

// read uploads a file and looks at it. change alters the settings that were guessed.
func (s *stage) read(file string, change func(*importer.Settings)) importer.Run {
	s.t.Helper()
	run, err := s.door.Upload(ctx, s.admin, "people.csv", strings.NewReader(file))
	if err != nil {
		s.t.Fatal(err)
	}
	run.Settings.New = importer.NewActive
	if change != nil {
		change(&run.Settings)
	}
	if run, err = s.door.Read(ctx, s.admin, run.ID, run.Settings); err != nil {
		s.t.Fatal(err)
	}
	return run
}

// start imports what was read, and waits for it.
func (s *stage) start(run importer.Run) jobs.Job {
	s.t.Helper()
	job, err := s.door.Start(ctx, s.admin, run.ID, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.end(job)
}

func (s *stage) end(job jobs.Job) jobs.Job {
	s.t.Helper()
	if err := s.jobs.Work(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.must(func(tx *store.Tx) (err error) { job, err = s.jobs.Get(tx, job.ID); return err })
	if job.State != jobs.Finished {
		s.t.Fatalf("the job is %s", job.State)
	}
	return job
}

func (s *stage) undo(job jobs.Job) jobs.Job {
	s.t.Helper()
	s.must(func(tx *store.Tx) (err error) { job, err = s.jobs.Undo(tx, job.ID); return err })
	return s.end(job)
}

func (s *stage) rows(run importer.Run) []importer.Row {
	s.t.Helper()
	rows, err := s.door.Rows(ctx, s.admin, run.ID, importer.RowQuery{Limit: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// sum is what a file would do in one line: each line's action and column.
func (s *stage) sum(run importer.Run) string {
	s.t.Helper()
	var out []string
	for _, r := range s.rows(run) {
		text := fmt.Sprintf("%d:%s", r.Line, r.Action)
		if r.Problem != nil {
			text += "(" + r.Problem.Column + ")"
			if r.Problem.Why.IsZero() || r.Problem.Remedy.IsZero() {
				s.t.Errorf("line %d does not explain itself: %+v", r.Line, r.Problem)
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// did is what a job did in one line.
func did(j jobs.Job) string {
	return fmt.Sprintf("%d done, %d skipped, %d failed %v", j.Counts.Done, j.Counts.Skipped, j.Counts.Failed, j.Counts.Did)
}

func (s *stage) results(j jobs.Job) string {
	s.t.Helper()
	var out []string
	s.must(func(tx *store.Tx) error {
		list, err := s.jobs.Results(tx, j.ID, jobs.ResultQuery{Limit: 100})
		for _, r := range list {
			out = append(out, fmt.Sprintf("%s %s: %s", r.State, r.Name, r.Why.In(fmt.Sprintf)))
		}
		return err
	})
	return strings.Join(out, "\n")
}

func (s *stage) named(name string) (u store.User) {
	s.t.Helper()
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) (err error) { u, err = tx.UserByName(name); return err }); err != nil {
		s.t.Fatal(err)
	}
	return u
}

func (s *stage) people() (n int) {
	s.t.Helper()
	s.must(func(tx *store.Tx) error {
		page, err := tx.People(store.PeopleQuery{})
		n = page.Total
		return err
	})
	return n
}

func (s *stage) team(name string) {
	s.t.Helper()
	s.must(func(tx *store.Tx) error {
		_, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": name}})
		return err
	})
}

// change edits a person behind the import's back.
func (s *stage) change(name string, edit func(*store.Profile)) {
	s.t.Helper()
	s.must(func(tx *store.Tx) error {
		u, err := tx.UserByName(name)
		if err != nil {
			return err
		}
		doc, err := u.Attributes()
		if err != nil {
			return err
		}
		p := u.Profile()
		edit(&p)
		p.Apply(doc)
		_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
		return err
	})
}

func TestAnImport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.team("Support")
		const file = "email,first,last,role,department,manager,teams\n" +
			"ann@example.com,Ann,A,agent,Ops,bob@example.com,\n" + // the manager comes later
			"bob@example.com,Bob,B,viewer,Ops,boss@acme.example,support\n" +
			"cid@example.com,Cid,C,emperor,,,\n" +
			"dan@example.com,Dan,D,,,cid@example.com,\n" +
			"eve@example,Eve,E,,,,\n" +
			"ANN@example.com,Ann,Again,,,,\n" +
			"fay@example.com,Fay,F,,,gus@example.com,\n" +
			"gus@example.com,Gus,G,,,fay@example.com,\n" +
			"hal@example.com,Hal,H,,,,Nowhere\n" +
			"ida@example.com,Ida,I,,,nobody@example.com,\n" +
			"jim@example.com,Jim,J,,,dan@example.com,\n" + // whose manager's manager is wrong
			"kim@example.com,\u200b\u3164,K,,,,\n"
		const want = "2:create 3:create 4:error(role) 5:error(manager) 6:error(email) 7:error(email) 8:error(manager) 9:error(manager) 10:error(teams) 11:error(manager) 12:error(manager) 13:error(given_name)"
		run := s.read(file, nil)
		if got := s.sum(run); got != want {
			t.Errorf("preview: %s", got)
		}
		if s.people() != 1 || run.Good() != 2 || run.Bad() != 10 {
			t.Errorf("looking made %d people; %d good, %d bad", s.people()-1, run.Good(), run.Bad())
		}
		job := s.start(run)
		if got := did(job); got != "2 done, 0 skipped, 0 failed map[created:2]" {
			t.Errorf("import: %s", got)
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
		run = s.read(file, nil)
		if run.Good() != 0 || run.Counts[importer.Unchanged] != 2 {
			t.Errorf("a second time: %s", s.sum(run))
		}
		if _, err := s.door.Start(ctx, s.admin, run.ID, 0); !fault.Is(err, fault.Invalid) {
			t.Errorf("nothing to do: %v", err)
		}
		run = s.read("email,department,role,teams\nann@example.com,Legal,viewer,Support\nbob@example.com,,,\n", nil)
		if got := s.sum(run); got != "2:update 3:unchanged" {
			t.Errorf("update: %s", got)
		}
		if got := fmt.Sprint(s.rows(run)[0].Changes); got != "[{department Ops Legal} {role agent viewer} {teams  Support}]" {
			t.Errorf("changes: %s", got)
		}
		s.start(run)
		if p := s.named("ann@example.com").Profile(); p.Department != "Legal" || p.GivenName != "Ann" || p.ManagerID != string(bob.ID) {
			t.Errorf("ann: %+v", p)
		}
	})
}

func TestAnImportInvites(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		invites := func(set *importer.Settings) { set.New = importer.NewInvite }
		const file = "email,first\nann@example.com,Ann\nbob@example.com,Bob\n"
		job := s.start(s.read(file, invites))
		if got := did(job); got != "2 done, 0 skipped, 0 failed map[created:2]" || len(s.mails) != 2 {
			t.Fatalf("%s, %d mails", got, len(s.mails))
		}
		if run := s.read(file, invites); run.Good() != 0 || len(s.mails) != 2 {
			t.Errorf("again: %s", s.sum(run))
		}
		if u := s.named("ann@example.com"); u.Status != store.Invited || u.Source != store.FromCSV {
			t.Errorf("%+v", u)
		}
		if got := did(s.undo(job)); got != "2 done, 0 skipped, 0 failed map[removed:2]" || s.people() != 1 {
			t.Errorf("undo: %s, %d people", got, s.people())
		}
		s.start(s.read(file, func(set *importer.Settings) { set.New = importer.NewSave }))
		if s.named("ann@example.com").Status != store.Invited || len(s.mails) != 2 {
			t.Errorf("saved without sending: %d mails", len(s.mails))
		}
		s.full = true
		run := s.read("email\ncid@example.com\n", invites)
		if job := s.start(run); job.Counts.Failed != 1 || s.people() != 3 {
			t.Errorf("without mail: %s", did(job))
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
		if err := s.db.Write(ctx, okta, func(tx *store.Tx) error {
			_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "scott", Email: "scott@example.com", GivenName: "Scott"}.Doc(), Source: store.FromSCIM})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		run := s.read("email,first,role\nscott@example.com,Mallory,\n", nil)
		if got := s.sum(run); got != "2:managed(given_name)" || !strings.Contains(s.rows(run)[0].Problem.Why.String(), "Okta") {
			t.Errorf("managed: %s", got)
		}
		run = s.read("email,first,role\nscott@example.com,Scott,viewer\n", nil)
		if got := did(s.start(run)); s.sum(run) != "2:update" || got != "1 done, 0 skipped, 0 failed map[updated:1]" {
			t.Errorf("a role for a managed person: %s", got)
		}
		if job := s.start(s.read("email,role\nboss@acme.example,viewer\n", nil)); job.Counts.Failed != 1 || !strings.Contains(s.results(job), "last active admin") {
			t.Errorf("the last admin: %s", s.results(job))
		}
		if got := s.sum(s.read("email,user_name\nboss@acme.example,scott\n", nil)); got != "2:error(user_name)" {
			t.Errorf("two people in one line: %s", got)
		}
		viewer := s.person("v@acme.example", access.Viewer)
		if _, err := s.door.Upload(ctx, viewer, "x.csv", strings.NewReader("email\nx@example.com\n")); !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer uploads: %v", err)
		}
		other, _ := storetest.Org(t, db, "other")
		stranger := access.Actor{Kind: access.Person, Org: string(other), Roles: []string{access.Admin}}
		if _, err := s.door.Get(ctx, stranger, run.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization's file: %v", err)
		}
		if rows, err := s.door.Rows(ctx, stranger, run.ID, importer.RowQuery{}); err != nil || len(rows) > 0 {
			t.Errorf("another organization's lines: %d, %v", len(rows), err)
		}
	})
}

func TestWhatChangedSinceThePreviewIsNotOverwritten(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.start(s.read("email,first,title\nann@example.com,Ann,Clerk\nbob@example.com,Bob,Clerk\ncid@example.com,Cid,Clerk\n", nil))
		run := s.read("email,title\nann@example.com,Judge\nbob@example.com,Judge\ncid@example.com,Judge\ndan@example.com,Judge\n", nil)
		s.change("ann@example.com", func(p *store.Profile) { p.Title = "Pilot" })
		s.change("bob@example.com", func(p *store.Profile) { p.Department = "Air" }) // of no concern to the file
		s.must(func(tx *store.Tx) error {
			u, err := tx.UserByName("cid@example.com")
			if err == nil {
				_, err = tx.DeleteUser(u.ID, "")
			}
			return err
		})
		s.person("dan@example.com")
		job := s.start(run)
		if got := did(job); got != "1 done, 3 skipped, 0 failed map[updated:1]" {
			t.Errorf("%s\n%s", got, s.results(job))
		}
		for _, words := range []string{`title was changed to "Pilot"`, "was deleted", "Somebody else created"} {
			if !strings.Contains(s.results(job), words) {
				t.Errorf("no %q in\n%s", words, s.results(job))
			}
		}
		if p := s.named("bob@example.com").Profile(); p.Title != "Judge" || p.Department != "Air" {
			t.Errorf("bob: %+v", p)
		}
		if p := s.named("ann@example.com").Profile(); p.Title != "Pilot" {
			t.Errorf("ann: %+v", p)
		}
	})
}

func TestUndo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.team("Support")
		s.start(s.read("email,title,city,manager\nann@example.com,Clerk,Bonn,\nbob@example.com,Clerk,Bonn,boss@acme.example\n", nil))
		job := s.start(s.read("email,title,city,manager,role,teams\nann@example.com,Judge,Berlin,boss@acme.example,viewer,Support\nbob@example.com,Judge,Berlin,ann@example.com,,\neve@example.com,New,,,,\nfay@example.com,New,,,,\n", nil))
		s.change("bob@example.com", func(p *store.Profile) { p.Title = "Pilot" })
		s.change("fay@example.com", func(p *store.Profile) { p.Title = "Pilot" })
		undone := s.undo(job)
		if got := did(undone); got != "3 done, 1 skipped, 0 failed map[removed:1 reverted:2]" || !strings.Contains(s.results(undone), "title was changed since") {
			t.Errorf("undo: %s\n%s", got, s.results(undone))
		}
		ann, bob := s.named("ann@example.com"), s.named("bob@example.com")
		if p := ann.Profile(); p.Title != "Clerk" || ann.ManagerID != "" || !strings.Contains(string(ann.Doc), "Bonn") {
			t.Errorf("ann: %s", ann.Doc)
		}
		if p := bob.Profile(); p.Title != "Pilot" || bob.ManagerID != store.UserID(s.admin.ID) || !strings.Contains(string(bob.Doc), "Bonn") {
			t.Errorf("bob: %s", bob.Doc)
		}
		s.must(func(tx *store.Tx) error {
			groups, err := tx.GroupsOf([]store.UserID{ann.ID})
			roles, err2 := tx.RolesOf([]store.UserID{ann.ID})
			if len(groups[ann.ID]) != 0 || roles[ann.ID][0].Role != access.Agent {
				t.Errorf("ann still has %v %v", groups, roles)
			}
			return errors.Join(err, err2)
		})
		if s.named("fay@example.com").Profile().Title != "Pilot" {
			t.Error("somebody who was changed since is gone")
		}
	})
}

func TestPeopleWhoAreNotInTheFile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		var file strings.Builder
		file.WriteString("email\n")
		for i := range 19 {
			fmt.Fprintf(&file, "p%d@example.com\n", i)
		}
		s.start(s.read(file.String(), nil))
		if run := s.read("email\np1@example.com\n", func(set *importer.Settings) { set.Missing = importer.MissingList }); run.Counts[importer.Missing] != 18 || run.Good() != 0 {
			t.Errorf("listed: %v", run.Counts)
		}
		ends := func(set *importer.Settings) { set.Missing = importer.MissingDeactivate }
		run := s.read("email\np1@example.com\n", ends)
		if run.Counts[importer.Deactivate] != 18 { // not the admin who does it
			t.Errorf("deactivated: %v", run.Counts)
		}
		if _, err := s.door.Start(ctx, s.admin, run.ID, 0); !fault.Is(err, fault.Invalid) || fault.Field(err) != "gone" {
			t.Errorf("most of the people: %v", err)
		}
		if _, err := s.door.Start(ctx, s.admin, run.ID, 50); !fault.Is(err, fault.Invalid) {
			t.Errorf("more than was confirmed: %v", err)
		}
		run = s.read(strings.Replace(file.String(), "p7@example.com\n", "", 1), ends)
		job := s.start(run)
		if got := did(job); got != "1 done, 0 skipped, 0 failed map[deactivated:1]" || s.named("p7@example.com").Status != store.Deactivated {
			t.Errorf("one: %s", got)
		}
		if got := did(s.undo(job)); got != "1 done, 0 skipped, 0 failed map[reactivated:1]" || s.named("p7@example.com").Status != store.Active {
			t.Errorf("undo: %s", got)
		}
	})
}

func TestOtherKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.start(s.read("email,user_name,employee_number\nann@example.com,ann,007\nbob@example.com,bob,008\n", nil))
		number := func(set *importer.Settings) { set.Key = "employee_number" }
		run := s.read("employee_number,email,manager\n007,ann.married@example.com,008\n9,new@example.com,007\n010,bob@example.com,\n,x@example.com,\n", number)
		if got := s.sum(run); got != "2:update 3:create 4:error(email) 5:error(employee_number)" {
			t.Errorf("by number: %s", got)
		}
		s.start(run)
		ann := s.named("ann")
		if ann.Email != "ann.married@example.com" || ann.ManagerID != s.named("bob").ID || s.named("new@example.com").ManagerID != ann.ID {
			t.Errorf("ann %+v", ann)
		}
		run = s.read("user_name,title\nANN,Judge\nzoe,Judge\n", func(set *importer.Settings) { set.Key = "user_name" })
		if got := s.sum(run); got != "2:update 3:create" {
			t.Errorf("by name: %s", got)
		}
		for _, wrong := range []func(*importer.Settings){
			func(set *importer.Settings) { set.Key = "employee_number" }, func(set *importer.Settings) { set.Key = "title" }, func(set *importer.Settings) { set.Columns[1] = "user_name" },
			func(set *importer.Settings) { set.Columns[1] = "salary" }, func(set *importer.Settings) { set.Columns = nil }, func(set *importer.Settings) { set.New = "x" },
			func(set *importer.Settings) { set.Missing = "x" }, func(set *importer.Settings) { set.MaxGone = 101 }, func(set *importer.Settings) { set.Delimiter = "pipe" },
		} {
			set := run.Settings
			set.Columns = slices.Clone(set.Columns)
			wrong(&set)
			if _, err := s.door.Read(ctx, s.admin, run.ID, set); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", set, err)
			}
		}
	})
}
