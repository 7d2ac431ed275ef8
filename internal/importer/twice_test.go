package importer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// TestASecondImportChangesNothing: managers, teams, roles, own attributes, people who are
// only invited; the same file and an export of everybody both say what is there.
func TestASecondImportChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.team("Support")
		s.team("Sales")
		s.must(func(tx *store.Tx) error {
			_, err := tx.PutSchema(store.Schema{URN: badgeURN, Resource: store.UserResource, Name: "Badges", Attributes: []store.Attribute{
				{Name: "badge", Type: "string"}, {Name: "skills", Type: "string", MultiValued: true}, {Name: "remote", Type: "boolean"}, {Name: "weight", Type: "decimal"}, {Name: "since", Type: "dateTime"},
			}}, true)
			return err
		})
		invites := func(set *importer.Settings) { set.New = importer.NewInvite }
		const file = "email,first,last,role,manager,teams,badge,skills,remote,weight,since,address,phone\n" +
			"ann@example.com,Ann,A,viewer,boss@acme.example,Support|Sales,'=B1,Go|SQL,yes,1.5,2026-01-31,\"Main 1\nBonn\",+49 30 1\n" +
			"bob@example.com,Bob,B,,ann@example.com,sales,,,,,,,\n"
		job := s.start(s.read(file, invites))
		if got := did(job); got != "2 done, 0 skipped, 0 failed map[created:2]" {
			t.Fatal(got)
		}
		check := func(what string, run importer.Run) {
			t.Helper()
			if run.Good() != 0 || run.Bad() != 0 || run.Counts[importer.Unchanged] < 2 {
				t.Errorf("%s: %s", what, s.sum(run))
				for _, r := range s.rows(run) {
					t.Log(r.Email, r.Changes, r.Problem)
				}
			}
		}
		check("a second time", s.read(file, invites))
		check("an export", s.read(s.export(importer.Export{Format: importer.FormatCSV}), invites))

		change := s.start(s.read("email,role,manager,teams,badge,skills,remote\nann@example.com,agent,bob@example.com,,B2,Rust,no\nbob@example.com,viewer,boss@acme.example,Support,B3,,\n", nil))
		if got := did(change); got != "2 done, 0 skipped, 0 failed map[updated:2]" {
			t.Fatalf("%s\n%s", got, s.results(change))
		}
		if got := did(s.undo(change)); got != "2 done, 0 skipped, 0 failed map[reverted:2]" {
			t.Errorf("undo: %s", got)
		}
		check("after the undo", s.read(file, invites))
		bob := s.named("bob@example.com").ID
		s.must(func(tx *store.Tx) error {
			groups, err := tx.GroupsOf([]store.UserID{bob})
			if len(groups[bob]) != 1 || groups[bob][0].Name != "Sales" {
				t.Errorf("bob is in %v", groups[bob])
			}
			return err
		})
		if got := did(s.undo(job)); s.people() != 3 { // they were changed since, so they stay
			t.Errorf("undo of the first: %s, %d people", got, s.people())
		}
	})
}

// TestAnImportThatWasInterrupted goes on where it was, makes nobody twice, and is taken
// back as one.
func TestAnImportThatWasInterrupted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		size := s.door.Kind().Size
		all := 2*size + 200
		run := s.read(many(all), nil)
		job, err := s.door.Start(ctx, s.admin, run.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		stopping, stop := context.WithCancel(ctx)
		batches := 0
		s.atBatch = func() {
			if batches++; batches == 2 {
				stop()
			}
		}
		if err := s.jobs.Work(stopping); err == nil {
			t.Fatal("it was not interrupted")
		}
		half := s.people() - 1
		if half < size || half >= all {
			t.Fatalf("%d people were made", half)
		}
		if run := s.read(many(all), nil); run.Counts[importer.Unchanged] != half || run.Counts[importer.Create] != all-half {
			t.Errorf("the file in the middle: %v, %d were made", run.Counts, half)
		}
		if job = s.end(job); job.Counts.Did["created"] != all || s.people() != all+1 {
			t.Errorf("%s, %d people", did(job), s.people())
		}
		if got := did(s.undo(job)); got != fmt.Sprintf("%d done, 0 skipped, 0 failed map[removed:%d]", all, all) || s.people() != 1 {
			t.Errorf("undo: %s, %d people", got, s.people())
		}
	})
}

// TestMadeUserNames: the preview says which user name somebody new gets, and it is that.
func TestMadeUserNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.must(func(tx *store.Tx) error {
			_, version, err := tx.NameFormat()
			if err != nil {
				return err
			}
			err = tx.SetNameFormat(store.NameFirstLast, version)
			return err
		})
		run := s.read("email,first,last,user_name\nann@example.com,Änne,Lee,\nbob@example.com,Bob,B,bobby\n", nil)
		rows := s.rows(run)
		if rows[0].Named != "aenne.lee" || rows[1].Named != "" {
			t.Errorf("%q, %q", rows[0].Named, rows[1].Named)
		}
		if page := s.want(s.do("admin", "GET", "/console/acme/import/"+string(run.ID), nil), 200); !strings.Contains(page, "aenne.lee, with a number if somebody has it") {
			t.Error("the preview does not say the name")
		}
		s.start(run)
		if s.named("aenne.lee").Email != "ann@example.com" || s.named("bobby").Email != "bob@example.com" {
			t.Error("other names were given")
		}
	})
}
