package store_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// People are found by their keys through an index with the key, also in an organization
// that has grown by thousands since PostgreSQL counted, when it knew another one.
func TestManyAreFoundByTheirKeys(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for round, n := range []int{60, 3000} {
			_, admin := storetest.Org(t, db, fmt.Sprint("acme", round))
			err := db.Write(ctx, admin, func(tx *store.Tx) error {
				list := make([]store.NewUser, n)
				for i := range list {
					name := fmt.Sprintf("person%d", i)
					list[i] = store.NewUser{Source: store.FromCSV, Reason: store.Manual, Doc: store.Profile{UserName: name, Email: name + "@example.com", FamilyName: "Family"}.Doc()}
				}
				made, err := tx.CreateUsers(list)
				if err != nil {
					return err
				}
				found, err := tx.UsersBy([]store.UserID{made[7].ID, made[7].ID, made[9].ID}, []string{"Person7@example.com", "person11@example.com", "nobody@example.com"}, []string{"PERSON13"})
				if err != nil {
					return err
				}
				if got := fmt.Sprint(len(found)); got != "4" {
					t.Errorf("%s people were found", got)
				}
				if round == 0 {
					return tx.Analyze("users")
				}
				for column, key := range map[string]string{"id": string(made[7].ID), "email_key": "person7@example.com", "user_name_key": "person7"} {
					plan, err := tx.PlanUsersBy(column, `["`+key+`"]`)
					if err != nil {
						return err
					}
					if !regexp.MustCompile(`Index Cond: .*\b`+column+` = |USING INDEX .*\b`+column+`=`).MatchString(plan) || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "SCAN users") {
						t.Errorf("%s:\n%s", column, plan)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What the record says of people who are made together is what it says of one alone, without
// what nobody is shown.
func TestManyAreRecordedLikeOne(t *testing.T) {
	t.Parallel()
	const urn = "urn:example:badges"
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for _, secret := range []bool{false, true} {
			_, admin := storetest.Org(t, db, fmt.Sprint("acme-", secret))
			err := db.Write(ctx, admin, func(tx *store.Tx) error {
				if secret {
					if _, err := tx.PutSchema(store.Schema{URN: urn, Resource: store.UserResource, Name: "Badges", Attributes: []store.Attribute{{Name: "pin", Type: "string", Returned: "never"}}}, true); err != nil {
						return err
					}
				}
				person := func() store.NewUser {
					doc := store.Profile{UserName: "ada", Email: "ada@example.com", GivenName: "Ada \"A\"", Title: "<b>\u2028"}.Doc()
					if secret {
						doc[urn] = map[string]any{"pin": "geheim"}
					}
					return store.NewUser{Source: store.FromCSV, Reason: store.Manual, Doc: doc}
				}
				one, err := tx.CreateUser(person())
				if err != nil {
					return err
				}
				if _, err := tx.DeleteUser(one.ID, ""); err != nil { // so that the name is free
					return err
				}
				many, err := tx.CreateUsers([]store.NewUser{person()})
				if err != nil {
					return err
				}
				var said []string
				for _, id := range []store.UserID{one.ID, many[0].ID} {
					list, err := tx.Activities(store.ActivityQuery{Target: string(id), Action: "user.create"})
					if err != nil || len(list) != 1 {
						t.Fatalf("%v: %v", list, err)
					}
					said = append(said, fmt.Sprint(list[0].Detail))
				}
				if said[0] != said[1] || !strings.Contains(said[0], `Ada "A"`) || strings.Contains(said[1], "geheim") {
					t.Errorf("of one: %s\nof many: %s", said[0], said[1])
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Rows that are alike in their first columns are handed to SQLite with these once, whatever
// is in them; PostgreSQL takes each row whole.
func TestRowsThatAreAlikeArriveWhole(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		org, actor := storetest.Org(t, db, "acme")
		head, row := "INSERT INTO org_settings (org_id, name, value, version, updated_at) VALUES ", "(?, ?, {{as_json}}, ?, ?)"
		put := func(rows [][]any) error {
			return db.Write(t.Context(), actor, func(tx *store.Tx) error { return tx.InsertMany(head, row, rows) })
		}
		var rows [][]any
		for i := range 150 { // two statements of 64 on SQLite, and the rest
			rows = append(rows, []any{string(org), fmt.Sprintf("test.%03d", i), fmt.Sprintf(`{"n":%d}`, i), 1 + i/100, store.Time(i)})
		}
		if err := put(rows); err != nil {
			t.Fatal(err)
		}
		var got []struct {
			Name  string     `db:"name"`
			Value store.JSON `db:"value"`
			At    int        `db:"updated_at"`
			Ver   int        `db:"version"`
		}
		err := db.Read(t.Context(), actor, func(tx *store.Tx) error {
			return tx.Select(&got, "SELECT name, value, updated_at, version FROM org_settings WHERE org_id = ? AND name LIKE 'test.%' ORDER BY name", org)
		})
		if err != nil || len(got) != len(rows) {
			t.Fatal(len(got), err)
		}
		for i, g := range got {
			if want := rows[i]; g.Name != want[1] || strings.ReplaceAll(string(g.Value), " ", "") != want[2] || g.Ver != want[3] || g.At != i {
				t.Errorf("row %d is %+v", i, g)
			}
		}
		if err := put(slices.Repeat(rows[:1], 64)); !fault.Is(err, fault.Conflict) {
			t.Errorf("the same row 64 times: %v", err)
		}
	})
}

// TestPeopleAreDrawnAnew: who was drawn by other definitions, or for somebody else, enters as
// all others do, and the lists of whoever drew keep their documents.
func TestPeopleAreDrawnAnew(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		list := make([]store.NewUser, 3)
		for i := range list {
			doc := store.Profile{UserName: fmt.Sprintf("person%d", i), GivenName: "Ann", FamilyName: fmt.Sprintf("Bell%d", i)}.Doc()
			doc[acmeURN] = map[string]any{"code": fmt.Sprintf("c%d", i)}
			list[i] = store.NewUser{ID: store.NewID[store.User](), Source: store.FromCSV, Reason: store.Manual, Doc: doc}
		}
		var drawn *store.Newcomers
		if err := db.Read(ctx, admin, func(tx *store.Tx) (err error) { drawn, err = tx.DrawUsers(list); return err }); err != nil {
			t.Fatal(err)
		}
		if _, err := put(db, admin, store.Schema{URN: acmeURN, Attributes: []store.Attribute{{Name: "code", Indexed: true}}}, false); err != nil {
			t.Fatal(err)
		}
		another := admin
		another.Name = "Another Admin"
		var made []store.User
		write(t, db, another, func(tx *store.Tx) (err error) {
			if err = drawn.Enter(tx); err == nil {
				made, err = drawn.Settle()
			}
			return err
		})
		ids := make([]store.UserID, len(made))
		for i, u := range made {
			ids[i] = u.ID
			if u.ID != list[i].ID || list[i].Doc["userName"] != u.UserName {
				t.Errorf("%s of %v", u.ID, list[i])
			}
			err := db.Read(ctx, admin, func(tx *store.Tx) error {
				told, err := tx.Activities(store.ActivityQuery{Target: string(u.ID), Action: "user.create"})
				if len(told) != 1 || told[0].ActorName != "Another Admin" || !strings.Contains(fmt.Sprint(told[0].Detail["after"]), u.UserName) {
					t.Errorf("told of %s: %+v", u.UserName, told)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		compareRows(t, db, admin, ids)
	})
}
