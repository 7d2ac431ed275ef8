package store_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// What is derived from a document is the same whether somebody was made with it or came
// to it by changes, also by those that write the document alone.
func TestColumnsFollowTheDocument(t *testing.T) {
	changes := []func(store.Doc){
		func(d store.Doc) { d["title"] = "Engineer" },
		func(d store.Doc) { d["name"] = map[string]any{"givenName": "Bo", "familyName": "Cole"} },
		func(d store.Doc) { d["title"] = "Senior Engineer"; d["nickName"] = "Bob" },
		func(d store.Doc) { d["displayName"] = "Bo C." },
		func(d store.Doc) { d["name"] = map[string]any{"givenName": "Bo", "familyName": "Dean"} },
		func(d store.Doc) { d["emails"] = []any{map[string]any{"value": "Bo@example.com", "type": "work"}} },
		func(d store.Doc) { d["externalId"] = "E-7" },
		func(d store.Doc) { delete(d, "displayName") },
		func(d store.Doc) { d["userName"] = d["userName"].(string) + "X" },
		func(d store.Doc) {
			d[store.EnterpriseURN] = map[string]any{"department": "R&D", "manager": map[string]any{"value": "01900000000070008000000000000001"}}
		},
		func(d store.Doc) { d[store.EnterpriseURN] = map[string]any{"employeeNumber": "E-17"} },
		func(d store.Doc) { delete(d, "name"); d["title"] = "Head" },
		func(d store.Doc) {
			d["phoneNumbers"] = []any{map[string]any{"value": "+49 30 1234567", "type": "work"}}
		},
		func(d store.Doc) { d["roles"] = []any{map[string]any{"value": "Buyer"}}; d["locale"] = "de" },
		func(d store.Doc) { delete(d, "emails"); d["timezone"] = "Europe/Berlin" },
		func(d store.Doc) { delete(d, "phoneNumbers") },
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, admin := storetest.Org(t, db, "acme")
		as := []access.Actor{okta(org, newDirectory(t, db, admin, "One")), okta(org, newDirectory(t, db, admin, "Two"))}
		derived := func(u store.User) string {
			var list []string
			const row = `SELECT u.user_name || '|' || u.user_name_key || '|' || COALESCE(u.external_id, '-') || '|' || u.email || '|' || u.email_key || '|' || u.display_name
				|| '|' || u.sort_key || '|' || u.search_key || '|' || COALESCE(u.word_key, '-') || '|' || COALESCE(u.number_key, '-') || '|' || COALESCE(u.phone_key, '-') || '|' || COALESCE(CAST(u.manager_id AS TEXT), '-') || '|' || u.status FROM users u WHERE u.org_id = ? AND u.id = ?`
			if err := db.LookupAll(ctx, &list, row, org, u.ID); err != nil || len(list) != 1 {
				t.Fatalf("%d rows: %v", len(list), err)
			}
			var rows []string
			if err := db.LookupAll(ctx, &rows, "SELECT attr || '=' || value_key || '/' || kind FROM user_values WHERE org_id = ? AND user_id = ? ORDER BY attr, value_key, kind", org, u.ID); err != nil {
				t.Fatal(err)
			}
			return list[0] + fmt.Sprintf(" %q", rows)
		}
		for i := range changes {
			doc := store.Profile{UserName: fmt.Sprintf("ann%d@example.com", i), Email: "ann@example.com", GivenName: "Ann", FamilyName: "Bell"}.Doc()
			var changed, made store.User
			create := func(u *store.User) func(tx *store.Tx) error {
				return func(tx *store.Tx) (err error) {
					*u, err = tx.CreateUser(store.NewUser{Doc: maps.Clone(doc), Source: store.FromSCIM})
					return err
				}
			}
			write(t, db, as[0], create(&changed))
			for k, change := range changes[:i+1] {
				change(doc)
				write(t, db, as[0], func(tx *store.Tx) error {
					u, err := tx.User(changed.ID)
					if err != nil {
						return err
					}
					ch := store.UserChange{Doc: maps.Clone(doc)}
					if k%2 == i%2 { // the old document from the caller
						if ch.Was, err = u.Attributes(); err != nil {
							return err
						}
					}
					_, err = tx.UpdateUser(u, ch)
					return err
				})
			}
			got := derived(changed)
			write(t, db, as[0], func(tx *store.Tx) error { _, err := tx.DeleteUser(changed.ID, ""); return err })
			write(t, db, as[1], create(&made))
			if want := derived(made); got != want {
				t.Errorf("after %d changes\n got %s\nwant %s", i+1, got, want)
			}
			write(t, db, as[1], func(tx *store.Tx) error { _, err := tx.DeleteUser(made.ID, ""); return err })
		}
		rosterAgrees(t, db, org)
	})
}

// rosterAgrees compares the rows by which people are listed with those of people.
func rosterAgrees(t *testing.T, db *store.DB, org store.OrgID) {
	t.Helper()
	var n [2]int
	const differ = `SELECT COUNT(*) FROM users u LEFT JOIN roster r ON r.org_id = u.org_id AND r.user_id = u.id WHERE u.org_id = ? AND (r.user_id IS NULL
		OR r.status <> u.status OR r.sort_key <> u.sort_key OR r.email_key <> u.email_key OR r.break_glass <> u.break_glass OR r.signed_in_at <> u.signed_in_at
		OR COALESCE(CAST(r.directory_id AS TEXT), '') <> COALESCE(CAST(u.directory_id AS TEXT), ''))`
	if err := db.Lookup(ctx, &n[0], differ, org); err != nil {
		t.Fatal(err)
	}
	if err := db.Lookup(ctx, &n[1], "SELECT COUNT(*) FROM roster WHERE org_id = ?", org); err != nil {
		t.Fatal(err)
	}
	if n[0] != 0 || n[1] == 0 {
		t.Errorf("%d of %d rows of the roster are not as the people are", n[0], n[1])
	}
}
