package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Addresses and numbers are found whether they have rows of their own or not, and whatever
// rows a version before left.
func TestValuesWithAndWithoutRows(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		list := func(values ...string) (out []any) {
			for i, v := range values {
				kind, v, _ := strings.Cut(v, " ")
				out = append(out, map[string]any{"type": kind, "value": v, "primary": i == 0})
			}
			return out
		}
		is := func(u *store.User, rows int, emails, phones []any) {
			t.Helper()
			var have int
			err := db.Write(ctx, admin, func(tx *store.Tx) (err error) {
				doc := store.Doc{"userName": "ada", "displayName": "Ada", "emails": emails, "phoneNumbers": phones}
				if u.ID == "" {
					*u, err = tx.CreateUser(store.NewUser{Source: store.FromAPI, Doc: doc})
				} else {
					*u, err = tx.UpdateUser(*u, store.UserChange{Doc: doc})
				}
				if err != nil {
					return err
				}
				return tx.Get(&have, "SELECT COUNT(*) FROM user_values WHERE org_id = ? AND attr IN ('emails', 'phoneNumbers')", tx.Org())
			})
			if err != nil {
				t.Fatal(err)
			}
			if have != rows {
				t.Errorf("%d addresses and %d numbers have %d rows, want %d", len(emails), len(phones), have, rows)
			}
		}
		find := func(attr string, want int, values ...string) {
			t.Helper()
			for _, v := range values {
				found := 0
				if err := db.Read(ctx, admin, func(tx *store.Tx) error {
					_, err := tx.EachUser(store.Query{Where: store.HasValue(attr, v), Limit: 10}, func(store.User) error { found++; return nil })
					return err
				}); err != nil {
					t.Fatal(err)
				}
				if found != want {
					t.Errorf("%s %q finds %d, want %d", attr, v, found, want)
				}
			}
		}
		var ada store.User
		is(&ada, 3, list("work Ada@one.example", "home ada@ONE.example", "home ada@two.example"), list("work +49-30-1234", "home +49-30-5678", "other 12"))
		find("emails", 1, "ada@one.example", "ADA@one.EXAMPLE", "Ada@two.example")
		find("phoneNumbers", 1, "+49-30-1234", "+49-30-5678", "12")
		find("emails", 0, "", "ada", "12")
		find("phoneNumbers", 0, "", "34", "ada@one.example")

		for attr, values := range map[string][]string{"emails": {"ada@one.example work", "ada@one.example home"}, "phoneNumbers": {"+49-30-1234 work", "+49-30-1234 home"}} {
			for _, v := range values {
				value, kind, _ := strings.Cut(v, " ")
				if err := db.Write(ctx, admin, func(tx *store.Tx) error {
					_, err := tx.Exec("INSERT INTO user_values (org_id, attr, value_key, kind, user_id) VALUES (?, ?, ?, ?, ?)", tx.Org(), attr, value, kind, ada.ID)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		is(&ada, 5, list("work ada@two.example", "home ada@one.example", "work ada@one.example"), list("work +49-30-5678", "home +49-30-1234", "other 12"))
		find("emails", 1, "ada@one.example", "ada@two.example")
		find("phoneNumbers", 1, "+49-30-1234", "+49-30-5678", "12")

		many := make([]string, 30)
		for i := range many {
			many[i] = fmt.Sprintf("k%d ada%d@three.example", i, i)
		}
		is(&ada, 31, list(many...), list("work 12"))
		find("emails", 1, "ada0@three.example", "ada29@three.example")
		find("emails", 0, "ada@two.example")
	})
}
