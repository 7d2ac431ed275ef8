package invite_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// addresses are n of them, one a line.
func addresses(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Person %d <p%d@example.com>\n", i, i)
	}
	return b.String()
}

// confirmed is a list of n that was checked and confirmed.
func (s *stage) confirmed(n int) invite.ManyList {
	s.t.Helper()
	l, err := s.check(addresses(n))
	if err == nil {
		l, err = s.door.ConfirmMany(ctx, s.admin, l.ID)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func (s *stage) list(id invite.ListID, q invite.RowQuery) invite.ManyList {
	s.t.Helper()
	l, err := s.door.Many(ctx, s.admin, id, q)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func (s *stage) work() {
	s.t.Helper()
	if err := s.jobs.Work(ctx); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) job(id jobs.ID) (j jobs.Job) {
	s.t.Helper()
	if err := s.db.Read(ctx, s.admin, func(tx *store.Tx) (err error) { j, err = s.jobs.Get(tx, id); return err }); err != nil {
		s.t.Fatal(err)
	}
	return j
}

// A long list is a job: nobody waits for it, it is there once whoever presses, and
// undoing it cancels those who have not accepted.
func TestALongListIsAJobWithUndo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		l, err := s.check(addresses(60))
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]jobs.ID, 4)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				l, err := s.door.ConfirmMany(ctx, s.admin, l.ID)
				if err != nil || !l.Running || l.Done() != 0 {
					t.Errorf("confirmed: %+v, %v", l, err)
				}
				ids[i] = l.Job
			})
		}
		wg.Wait()
		if slices.Sort(ids); ids[0] == "" || ids[0] != ids[3] {
			t.Fatalf("several jobs: %v", ids)
		}
		s.invite("p7@example.com") // comes by another door meanwhile
		s.drain()
		s.work()
		l = s.list(l.ID, invite.RowQuery{Limit: 10, After: 5})
		if n := s.drain(); l.Running || l.Done() != 59 || l.Bad() != 1 || l.Good() != 0 || n != 59 || len(l.Rows) != 10 || l.Rows[0].Line != 6 || l.Next != 15 {
			t.Errorf("afterwards: running %t, %d invited, %d left, %d wait, %d mails, next %d", l.Running, l.Done(), l.Bad(), l.Good(), n, l.Next)
		}
		left := s.list(l.ID, invite.RowQuery{Left: true})
		if len(left.Rows) != 1 || left.Rows[0].Email != "p7@example.com" || !strings.Contains(because(left.Rows[0]), "already has an account") {
			t.Errorf("left out: %+v", left.Rows)
		}
		if j := s.job(ids[0]); j.Counts.Done != 59 || j.Counts.Failed != 1 || j.Undoable != 59 || j.Counts.Did["invited"] != 59 {
			t.Errorf("the job: %+v", j)
		}
		s.undoes(l.ID, ids[0])
	})
}

// undoes takes a list of 59 back of which one has accepted, and one was cancelled and
// opened again.
func (s *stage) undoes(list invite.ListID, id jobs.ID) {
	t := s.t
	t.Helper()
	l := s.list(list, invite.RowQuery{})
	s.must(func(tx *store.Tx) error {
		made, err := s.door.Copy(tx, s.org, l.Rows[0].UserID)
		tx.AfterCommit(func() {
			if err := s.accept(made.Link); err != nil {
				t.Error(err)
			}
		})
		return err
	})
	s.must(func(tx *store.Tx) error { return s.door.Cancel(tx, l.Rows[1].UserID) })
	s.must(func(tx *store.Tx) error { _, err := s.door.Reopen(tx, s.org, l.Rows[1].UserID); return err })
	s.must(func(tx *store.Tx) error { _, err := s.jobs.Undo(tx, id); return err })
	s.work()
	l = s.list(list, invite.RowQuery{})
	if l.Undone() != 57 || l.Done() != 2 || s.user(l.Rows[0].UserID).Status != store.Active || s.user(l.Rows[1].UserID).Status != store.Invited {
		t.Errorf("taken back: %d, still there: %d", l.Undone(), l.Done())
	}
	if u := s.user(l.Rows[2].UserID); u.Status != store.Deleted || s.state(u.ID).State != invite.Cancelled || l.Rows[2].State != invite.RowUndone {
		t.Errorf("who was taken back: %s, %+v", u.Status, l.Rows[2])
	}
}

// What a cancelled job leaves can be gone on with, by a job or at once.
func TestACancelledListGoesOn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		l := s.confirmed(60)
		first := l.Job
		s.must(func(tx *store.Tx) error { return s.jobs.Cancel(tx, first) })
		if l, err := s.door.ConfirmMany(ctx, s.admin, l.ID); err != nil || !l.Running || l.Job == first {
			t.Fatalf("again: %+v, %v", l, err)
		}
		s.work()
		if l = s.list(l.ID, invite.RowQuery{}); l.Done() != 60 || s.drain() != 60 {
			t.Errorf("%d invited", l.Done())
		}
		// Fifty need no job.
		if l := s.confirmed(110); l.Done() != 50 || l.Bad() != 60 || l.Job != "" {
			t.Errorf("fifty: %d invited, %d left, job %q", l.Done(), l.Bad(), l.Job)
		}
	})
}

// Who may not give a role gives it to nobody by a list, and what everybody else may not
// see stays hidden.
func TestAListGivesNobodyMoreThanTheyMay(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		recruiter := access.Actor{Kind: access.Person, Org: string(s.org.ID), ID: string(store.NewID[store.User]()), Name: "Rita", Roles: []string{"recruiter"},
			Granted: []access.Permission{access.ViewUsers, access.InviteUsers}}
		var l invite.ManyList
		s.must(func(tx *store.Tx) (err error) {
			l, err = s.door.CheckMany(tx, invite.ManyIn{Addresses: "rita2@example.com", Roles: []string{access.Admin}})
			return err
		})
		_, err := s.door.ConfirmMany(ctx, recruiter, l.ID)
		wantFault(t, "a list of admins", err, fault.Denied)
		if l = s.list(l.ID, invite.RowQuery{}); l.Done() != 0 || l.Good() != 1 {
			t.Errorf("the list: %d invited, %d wait", l.Done(), l.Good())
		}
	})
}

func TestALongListInTheConsoleAndByTheAPI(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		w := s.do("admin", "POST", "/console/acme/invite/many", url.Values{"addresses": {addresses(210) + "nonsense"}, "save": {"on"}})
		at := w.Header().Get("Location")
		body := s.want(s.do("admin", "GET", at, nil), 200)
		if !strings.Contains(body, "Save 210, without sending") || !strings.Contains(body, "?after=200") || strings.Contains(body, "p205@") {
			t.Errorf("the first page: %s", body)
		}
		if body := s.want(s.do("admin", "GET", at+"?after=200", nil), 200); !strings.Contains(body, "p205@") || strings.Contains(body, "p100@") {
			t.Errorf("the second page: %s", body)
		}
		if body := s.want(s.do("admin", "GET", at+"?show=left", nil), 200); !strings.Contains(body, "nonsense") || strings.Contains(body, "p100@") {
			t.Errorf("what is left: %s", body)
		}
		s.want(s.do("admin", "GET", at+"?after=x", nil), 400)
		if to := s.do("admin", "POST", at, url.Values{}).Header().Get("Location"); !strings.HasPrefix(to, "/console/acme/jobs/") {
			t.Errorf("confirming leads to %s", to)
		}
		if body := s.want(s.do("admin", "GET", at, nil), 200); !strings.Contains(body, "See how far it is") || strings.Contains(body, "Go on with") {
			t.Errorf("while it runs: %s", body)
		}
		s.work()
		if body := s.want(s.do("admin", "GET", at, nil), 200); !strings.Contains(body, "210 invited") || !strings.Contains(body, "How it went, and undo") || s.drain() != 0 {
			t.Errorf("afterwards: %s", body)
		}
		list := s.api("admin", "POST", "/invitation-lists", `{"addresses":"`+strings.ReplaceAll(addresses(300), "\n", ", ")+`"}`, 201)
		path := "/invitation-lists/" + list["id"].(string)
		if got := s.api("admin", "GET", path+"?limit=5&after=295", "", 200); len(got["rows"].([]any)) != 5 || got["next"] != nil || got["waiting"] != float64(90) {
			t.Errorf("the last page: %v", got)
		}
		if got := s.api("admin", "POST", path+"/confirm", "{}", 202); got["running"] != true || got["job"] == nil {
			t.Errorf("confirmed: %v", got)
		}
		s.api("admin", "GET", path+"?limit=5000", "", 400)
	})
}
