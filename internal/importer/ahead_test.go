package importer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// TestWhatChangesBetweenTwoBatchesIsSeen: the second batch is worked out while the first
// is written, and what somebody does in between counts.
func TestWhatChangesBetweenTwoBatchesIsSeen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.team("Support")
		s.start(s.read("email,first,department\nmia@example.com,Mia,Ops\nned@example.com,Ned,Ops\nola@example.com,Ola,Ops\npia@example.com,Pia,Ops\n", nil))
		var file strings.Builder
		file.WriteString("email,first,department,manager,teams\n")
		for i := range s.door.Kind().Size {
			fmt.Fprintf(&file, "p%d@example.com,P%d,,,\n", i, i)
		}
		file.WriteString("late@example.com,Late,,,\nfree@example.com,Free,,,Support\nmia@example.com,Mia,Legal,,\nned@example.com,Ned,Legal,,Support\n" +
			"one@example.com,One,,ola@example.com,\ntwo@example.com,Two,,pia@example.com,\n" +
			"six@example.com,Six,,p5@example.com,\nten@example.com,Ten,,six@example.com,\n")
		run := s.read(file.String(), nil)
		if run.Good() != s.door.Kind().Size+8 {
			t.Fatal(run.Counts, s.sum(run))
		}
		batches := 0
		s.inBatch = func(tx *store.Tx) {
			if batches++; batches != 2 {
				return
			}
			mia, err := tx.UserByName("mia@example.com")
			ola, err2 := tx.UserByName("ola@example.com")
			if err = errors.Join(err, err2); err != nil {
				t.Error(err)
				return
			}
			doc, err := mia.Attributes()
			if err != nil {
				t.Error(err)
				return
			}
			p := mia.Profile()
			p.Department = "Sales"
			p.Apply(doc)
			_, err = tx.UpdateUser(mia, store.UserChange{Doc: doc})
			_, err2 = tx.DeleteUser(ola.ID, "left")
			_, err3 := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "somebody", Email: "Late@example.com", DisplayName: "Somebody"}.Doc(), Source: store.FromAPI})
			if err = errors.Join(err, err2, err3); err != nil {
				t.Error(err)
			}
		}
		job := s.start(run)
		if got, made := did(job), s.door.Kind().Size+4; got != fmt.Sprintf("%d done, 3 skipped, 0 failed map[created:%d updated:1]", made+1, made) || batches != 2 {
			t.Errorf("%s, %d batches", got, batches)
		}
		var why []string
		s.must(func(tx *store.Tx) error {
			list, err := s.jobs.Results(tx, job.ID, jobs.ResultQuery{State: jobs.SkippedItem, Limit: 100})
			for _, r := range list {
				why = append(why, r.Name+": "+strings.SplitN(r.Why.In(fmt.Sprintf), ".", 2)[0])
			}
			return err
		})
		if got := strings.Join(why, "\n"); got != "Late: Somebody else created Somebody after the preview\n"+
			"Mia: department was changed to \"Sales\" after the preview, so nothing was overwritten\n"+
			"One: The manager is not here: the line was not imported, or the person was deleted after the preview" {
			t.Errorf("skipped:\n%s", got)
		}
		boss := func(name, want string) {
			t.Helper()
			if u := s.named(name); u.ManagerID != s.named(want).ID {
				t.Errorf("the manager of %s is %s", name, u.ManagerID)
			}
		}
		boss("two@example.com", "pia@example.com")
		boss("six@example.com", "p5@example.com")
		boss("ten@example.com", "six@example.com")
	})
}

// TestAUserNameThatSomebodyGetsMeanwhile: a batch that is worked out ahead does not ask for it, its
// index does.
func TestAUserNameThatSomebodyGetsMeanwhile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		var file strings.Builder
		file.WriteString("email,user_name,first\n")
		for i := range s.door.Kind().Size {
			fmt.Fprintf(&file, "p%d@example.com,p%d,P%d\n", i, i, i)
		}
		file.WriteString("early@example.com,early,Early\nlate@example.com,Wanted,Late\nlater@example.com,later,Later\n")
		run, batches := s.read(file.String(), nil), 0
		s.inBatch = func(tx *store.Tx) {
			if batches++; batches == 1 {
				if _, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "wanted", Email: "other@example.com", DisplayName: "Somebody"}.Doc(), Source: store.FromAPI}); err != nil {
					t.Error(err)
				}
			}
		}
		job := s.start(run)
		if got, made := did(job), s.door.Kind().Size+2; got != fmt.Sprintf("%d done, 1 skipped, 0 failed map[created:%d]", made, made) {
			t.Error(got)
		}
		s.must(func(tx *store.Tx) error {
			list, err := s.jobs.Results(tx, job.ID, jobs.ResultQuery{State: jobs.SkippedItem, Limit: 100})
			if err == nil && (len(list) != 1 || list[0].Name != "Late" || !strings.HasPrefix(list[0].Why.In(fmt.Sprintf), "Somebody else created Somebody after the preview.")) {
				t.Errorf("skipped: %+v", list)
			}
			return err
		})
	})
}

// TestABatchWorkedOutAheadIsUndone: its people and their documents are those of any other.
func TestABatchWorkedOutAheadIsUndone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.must(func(tx *store.Tx) error {
			_, version, err := tx.NameFormat()
			if err != nil {
				return err
			}
			return tx.SetNameFormat(store.NameFirstLast, version)
		})
		var file strings.Builder
		file.WriteString("email,first,last\n")
		for i := range 2100 { // most have a namesake in another batch
			fmt.Fprintf(&file, "p%d@example.com,Ann,Lee%c%c\n", i, 'a'+i%700%26, 'a'+i%700/26)
		}
		job := s.start(s.read(file.String(), nil))
		if got := did(job); got != "2100 done, 0 skipped, 0 failed map[created:2100]" {
			t.Fatal(got)
		}
		for _, name := range []string{"ann.leeaa", "ann.leeaa2", "ann.leeaa3", "ann.leexa3"} {
			u := s.named(name)
			if doc, err := u.Attributes(); err != nil || doc["userName"] != name {
				t.Errorf("%s: %v, %v", name, doc, err)
			}
			var made int
			s.must(func(tx *store.Tx) error {
				list, err := tx.Activities(store.ActivityQuery{Target: string(u.ID), Action: "user.create"})
				made = len(list)
				if made == 1 && list[0].Detail["after"].(map[string]any)["userName"] != name {
					t.Errorf("%s was told as %v", name, list[0].Detail)
				}
				return err
			})
			if made != 1 {
				t.Errorf("%s was told %d times", name, made)
			}
		}
		if got := did(s.undo(job)); got != "2100 done, 0 skipped, 0 failed map[removed:2100]" || s.people() != 1 {
			t.Errorf("undo: %s, %d people", got, s.people())
		}
	})
}

// TestBatchesBeginEarly: whatever their people wait for in the batches before them.
func TestBatchesBeginEarly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		bosses := map[int]int{700: 699, 1200: 300, 1999: 1500, 2200: 1300, 2300: 1500, 2400: 2300, 3100: 2500, 4500: 3999}
		var file strings.Builder
		file.WriteString("email,first,employee number,phone,role,manager\n")
		for i := range 5000 {
			boss := ""
			if of, ok := bosses[i]; ok {
				boss = fmt.Sprintf("p%d@example.com", of)
			}
			fmt.Fprintf(&file, "p%d@example.com,P%d,E%d,+49 30 %d,agent,%s\n", i, i, i, 10000+i, boss)
		}
		run := s.read(file.String(), nil)
		s.must(func(tx *store.Tx) error {
			_, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: "p1500@example.com", Email: "p1500@example.com", DisplayName: "Somebody"}.Doc(), Source: store.FromAPI})
			return err
		})
		kind, early := s.door.Kind(), 0
		begin, many := kind.Early, kind.Many
		kind.Size = 1000
		kind.Early = func(tx *store.Tx, j jobs.Job, items []jobs.Item) (any, error) {
			in, err := begin(tx, j, items)
			if in != nil {
				early++
			}
			return in, err
		}
		kind.Many = func(tx *store.Tx, j jobs.Job, items []jobs.Item) (list []jobs.Result, err error) {
			over := j.Early == nil
			defer func() {
				if !over {
					t.Errorf("what began early does not go on: %v, %v", err, recover())
				}
			}()
			list, err = many(tx, j, items)
			over = over || err == nil || strings.Contains(err.Error(), "a manager did not come")
			return list, err
		}
		s.jobs.Register(kind)
		job := s.start(run)
		if want := map[string]int{"sqlite": 0, "postgres": 3}[db.Dialect()]; early != want { // not the first one, nor that of somebody who is there
			t.Errorf("%d batches began early, want %d", early, want)
		}
		if got := did(job); got != "4996 done, 4 skipped, 0 failed map[created:4996]" {
			t.Error(got)
		}
		var why []string
		s.must(func(tx *store.Tx) error {
			list, err := s.jobs.Results(tx, job.ID, jobs.ResultQuery{State: jobs.SkippedItem, Limit: 100})
			for _, r := range list {
				why = append(why, r.Name+": "+strings.SplitN(r.Why.In(fmt.Sprintf), ":", 2)[0])
			}
			if err != nil {
				return err
			}
			wrong, err := tx.Check()
			if len(wrong) > 0 {
				t.Errorf("not sound: %v", wrong)
			}
			for _, search := range []string{"E4321", "14321", "P4321"} {
				found, err := tx.People(store.PeopleQuery{Search: search})
				if err != nil || found.Total != 1 {
					t.Errorf("%s finds %d, %v", search, found.Total, err)
				}
			}
			return err
		})
		if got := strings.Join(why, "\n"); got != "P1500: Somebody else created Somebody after the preview. Upload the file again to see what is left.\n"+
			"P1999: The manager is not here\nP2300: The manager is not here\nP2400: The manager is not here" {
			t.Errorf("skipped:\n%s", got)
		}
		for of, boss := range bosses {
			if of == 1999 || boss == 1500 || boss == 2300 {
				continue
			}
			if u, want := s.named(fmt.Sprintf("p%d@example.com", of)), s.named(fmt.Sprintf("p%d@example.com", boss)); u.ManagerID != want.ID {
				t.Errorf("the manager of %d is %s", of, u.ManagerID)
			}
		}
	})
}

// TestWhoLosesRightsBetweenTwoBatches: what was worked out for an admin is not done for a viewer.
func TestWhoLosesRightsBetweenTwoBatches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		size := s.door.Kind().Size
		run := s.read(many(size+1), nil)
		job, err := s.door.Start(ctx, s.admin, run.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		batches := 0
		s.inBatch = func(*store.Tx) {
			if batches++; batches == 2 {
				s.acting = access.Actor{Kind: access.Person, ID: s.admin.ID, Name: "Bea Boss", Roles: []string{access.Viewer}}
			}
		}
		if err := s.jobs.Work(ctx); err != nil {
			t.Fatal(err)
		}
		s.acting = access.Actor{}
		s.must(func(tx *store.Tx) (err error) { job, err = s.jobs.Get(tx, job.ID); return err })
		if string(job.State) != "failed" || job.Done != size || s.people() != size+1 {
			t.Errorf("%s, %d done, %d people", job.State, job.Done, s.people())
		}
	})
}
