package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// errUndo ends a transaction whose changes are not wanted.
var errUndo = errors.New("undo")

// Check finds each thing that is kept twice and is not the same, and nothing where
// all is well.
func TestCheckFindsWhatDoesNotAgree(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		dir := newDirectory(t, db, admin, "Okta")
		okta := okta(org, dir)
		var jane store.User
		var sales, all store.Group
		err := db.Write(ctx, okta, func(tx *store.Tx) (err error) {
			if jane, err = tx.CreateUser(store.NewUser{Source: store.FromSCIM, Doc: store.Doc{"userName": "jane", "externalId": "E1", "displayName": "Jane",
				"emails": []any{map[string]any{"value": "J@x.example", "type": "work"}, map[string]any{"value": "J@home.example"}}, "phoneNumbers": []any{map[string]any{"value": "1"}}}}); err != nil {
				return err
			}
			if sales, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Sales"}, Members: []store.UserID{jane.ID}}); err != nil {
				return err
			}
			if all, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "All"}, Members: []store.UserID{store.UserID(sales.ID)}}); err != nil {
				return err
			}
			sales, err = tx.UpdateGroup(sales, store.GroupChange{Remove: []store.UserID{jane.ID}})
			if err == nil {
				sales, err = tx.UpdateGroup(sales, store.GroupChange{Add: []store.UserID{jane.ID}})
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		check := func() (found []string) {
			t.Helper()
			if err := db.Read(ctx, admin, func(tx *store.Tx) (err error) { found, err = tx.Check(); return err }); err != nil {
				t.Fatal(err)
			}
			return found
		}
		if found := check(); len(found) > 0 {
			t.Fatalf("all is well, and it finds %q", found)
		}
		for _, c := range []struct {
			want, query string
			args        []any
		}{
			{"users of the directory", "UPDATE counts SET n = n + 1 WHERE org_id = ? AND kind = 'user' AND directory_id = ?", []any{org, dir}},
			{"groups of the directory", "DELETE FROM counts WHERE org_id = ? AND kind = 'group'", []any{org}},
			{"memberships of people", "UPDATE members SET user_id = ? WHERE org_id = ?", []any{store.NewID[store.User](), org}},
			{"memberships in groups", "UPDATE members SET group_id = ? WHERE org_id = ?", []any{store.NewID[store.Group](), org}},
			{"groups in groups", "UPDATE subgroups SET member_group_id = ? WHERE org_id = ?", []any{store.NewID[store.Group](), org}},
			{"versions of groups", "DELETE FROM groups WHERE org_id = ? AND id IN (?, ?)", []any{org, sales.ID, all.ID}},
			{"indexed values of people", "UPDATE user_values SET user_id = ? WHERE org_id = ?", []any{store.NewID[store.User](), org}},
			{"indexed values, the document", "DELETE FROM user_values WHERE org_id = ? AND attr = 'emails'", []any{org}},
			{"indexed values, the document", "INSERT INTO user_values (org_id, attr, value_key, kind, user_id) VALUES (?, ' word', 'x', '', ?)", []any{org, jane.ID}},
			{"found by", "UPDATE users SET word_key = 'x' WHERE org_id = ?", []any{org}},
			{"found by", "UPDATE users SET number_key = 'x' WHERE org_id = ?", []any{org}},
			{"found by", "UPDATE users SET phone_key = 'x' WHERE org_id = ?", []any{org}},
			{"whose row of the list", "UPDATE roster SET status = 'invited' WHERE org_id = ?", []any{org}},
			{"whose row of the list", "UPDATE roster SET directory_id = NULL WHERE org_id = ?", []any{org}},
			{"whose row of the list", "DELETE FROM roster WHERE org_id = ?", []any{org}},
			{"rows of the list of people who", "UPDATE roster SET user_id = ? WHERE org_id = ? AND user_id = ?", []any{store.NewID[store.User](), org, jane.ID}},
			{"userName", "UPDATE users SET user_name = 'joe' WHERE org_id = ?", []any{org}},
			{"externalId", "UPDATE users SET external_id = NULL WHERE org_id = ?", []any{org}},
			{"e-mail", "UPDATE users SET email = 'x' WHERE org_id = ?", []any{org}},
			{"own attributes", "INSERT INTO extra_values (org_id, attr, value_key, owner_id, uniq) VALUES (?, 'a', 'b', ?, 0)", []any{org, store.NewID[store.User]()}},
		} {
			err := db.Write(ctx, admin, func(tx *store.Tx) error {
				if _, err := tx.Exec(c.query, c.args...); err != nil {
					return err
				}
				found, err := tx.Check()
				if err != nil {
					return err
				}
				if !strings.Contains(strings.Join(found, "\n"), c.want) {
					t.Errorf("after %s: found %q, want %q", c.query, found, c.want)
				}
				return errUndo
			})
			if err != errUndo {
				t.Errorf("%s: %v", c.query, err)
			}
		}
		if found := check(); len(found) > 0 {
			t.Errorf("at the end it finds %q", found)
		}
	})
}
