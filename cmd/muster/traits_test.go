package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Each trait finds those who have it, as a filter and as a mark, and nobody else's.
func TestTraitsOfPeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		_, stranger := storetest.Org(t, db, "other")
		_, org := storetest.Org(t, db, "acme")
		ids := map[string]store.UserID{}
		var all []store.UserID
		put := func(tx *store.Tx, query string, args ...any) {
			t.Helper()
			if _, err := tx.Exec(query, args...); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
		err := db.Write(ctx, org, func(tx *store.Tx) error {
			for _, name := range []string{"ada", "ben", "cat", "dan"} {
				u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name}.Doc(), Source: store.FromInvite, Status: store.Invited, Reason: store.Manual})
				if err != nil {
					return err
				}
				ids[name], all = u.ID, append(all, u.ID)
			}
			put(tx, "INSERT INTO authenticators (org_id, user_id, seed, last_step, created_at) VALUES (?, ?, ?, 0, 1)", tx.Org(), ids["ada"], []byte("x"))
			put(tx, "INSERT INTO record_links (org_id, user_id, kind, record_id, name, linked_by, since) VALUES (?, ?, 'agent', 'a1', 'A', '', 1)", tx.Org(), ids["ben"])
			put(tx, "INSERT INTO record_links (org_id, user_id, kind, record_id, name, linked_by, since) VALUES (?, ?, 'contact', 'c1', 'C', '', 1)", tx.Org(), ids["ben"])
			put(tx, `INSERT INTO planned_changes (org_id, id, user_id, action, due_at, zone, reason, why, by_operator, planned_by, created_at, state, outcome, ended_at)
				VALUES (?, ?, ?, 'deactivate', 9, 'UTC', '', '', FALSE, '', 1, 'planned', '', 0)`, tx.Org(), store.NewID[int](), ids["cat"])
			put(tx, `INSERT INTO planned_changes (org_id, id, user_id, action, due_at, zone, reason, why, by_operator, planned_by, created_at, state, outcome, ended_at)
				VALUES (?, ?, ?, 'deactivate', 9, 'UTC', '', '', FALSE, '', 1, 'done', '', 3)`, tx.Org(), store.NewID[int](), ids["dan"])
			put(tx, "INSERT INTO signin_attempts (subject, attempts, locked_until, last_at) VALUES (?, 9, ?, 1)", "account:"+string(tx.Org())+string(ids["dan"]), tx.Now().Add(time.Hour))
			put(tx, "INSERT INTO signin_attempts (subject, attempts, locked_until, last_at) VALUES (?, 9, ?, 1)", "account:"+string(tx.Org())+string(ids["ada"]), tx.Now().Add(-time.Hour))
			for i, x := range []struct {
				who           string
				sent, bounced int
				expires       store.Time
			}{{"ada", 0, 0, 0}, {"ben", 1, 5, 0}, {"cat", 1, 0, tx.Now().Add(-time.Hour)}, {"dan", 1, 0, tx.Now().Add(time.Hour)}} {
				put(tx, `INSERT INTO invitations (org_id, id, user_id, email, state, invited_by, sent, sent_at, expires_at, bounced_at, created_at) VALUES (?, ?, ?, ?, 'pending', '', ?, 1, ?, ?, 1)`,
					tx.Org(), store.NewID[int](), ids[x.who], fmt.Sprint(i, "@acme.example"), x.sent, x.expires, x.bounced)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for trait, want := range map[string]string{"locked": "dan", "planned": "cat", "linked": "ben", "unlinked": "ada cat dan", "nofactor": "ben cat dan",
			"invitation-saved": "ada", "invitation-bounced": "ben", "invitation-expired": "cat", "invitation-pending": "dan"} {
			sets := peopleTraits()[trait]
			if sets == nil {
				t.Errorf("there is no trait %s", trait)
				continue
			}
			err := db.Read(ctx, org, func(tx *store.Tx) error {
				page, err := tx.People(store.PeopleQuery{Sets: sets(tx)})
				var found []string
				for _, p := range page.People {
					found = append(found, p.UserName)
				}
				if got := strings.Join(found, " "); got != want || page.Total != len(found) {
					t.Errorf("%s finds %q and counts %d, want %q", trait, got, page.Total, want)
				}
				marked := slices.Clone(all)
				for _, set := range sets(tx) {
					is, err := tx.WhoIs(set, all)
					if err != nil {
						return err
					}
					marked = slices.DeleteFunc(marked, func(id store.UserID) bool { return !is[id] })
				}
				if len(marked) != len(found) {
					t.Errorf("%s marks %d, finds %d", trait, len(marked), len(found))
				}
				return err
			})
			if err != nil {
				t.Fatalf("%s: %v", trait, err)
			}
			err = db.Read(ctx, stranger, func(tx *store.Tx) error {
				page, err := tx.People(store.PeopleQuery{Sets: sets(tx)})
				if page.Total != 0 {
					t.Errorf("%s finds %d people of another organization", trait, page.Total)
				}
				return err
			})
			if err != nil {
				t.Fatalf("%s: %v", trait, err)
			}
		}
	})
}
