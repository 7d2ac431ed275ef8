package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// signedIn records a sign-in as a door does.
func signedIn(t *testing.T, db *store.DB, actor access.Actor, a store.Activity) {
	t.Helper()
	if err := db.Write(t.Context(), actor, func(tx *store.Tx) error { return tx.Record(a) }); err != nil {
		t.Fatal(err)
	}
}

func refused(reference, check, email, subject string, more map[string]any) store.Activity {
	detail := map[string]any{"reference": reference, "check": check, "email": email, "subject": subject, "method": "saml"}
	for k, v := range more {
		detail[k] = v
	}
	return store.Activity{Action: "user.signin.refused", TargetKind: "connection", TargetID: string(store.NewID[int]()), Detail: detail}
}

// Each thing that somebody knows of a sign-in finds it, and nothing of another organization.
func TestSignInsAreFound(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, acme := storetest.Org(t, db, "acme")
		_, beta := storetest.Org(t, db, "beta")
		ada := storeUser(t, db, acme, "ada", "ada@acme.example")
		okta, ping := store.NewID[int](), store.NewID[int]()
		signedIn(t, db, acme, refused("AAAAA-AAAAA", "conditions.audience", "Eve@Acme.Example", "eve", map[string]any{"connection": okta}))
		clock.Pass(time.Minute)
		signedIn(t, db, acme, store.Activity{Action: "user.signin", TargetKind: "user", TargetID: string(ada), Detail: map[string]any{"method": "saml", "connection": ping, "email": "ADA@acme.example", "subject": "00u1"}})
		clock.Pass(time.Minute)
		signedIn(t, db, acme, store.Activity{Action: "user.signin", TargetKind: "user", TargetID: string(ada), Detail: map[string]any{"method": "password"}})
		clock.Pass(time.Minute)
		signedIn(t, db, acme, store.Activity{Action: "user.update", TargetKind: "user", TargetID: string(ada)})
		signedIn(t, db, beta, refused("BBBBB-BBBBB", "conditions.audience", "eve@acme.example", "eve", map[string]any{"connection": okta}))
		signedIn(t, db, access.Actor{Org: string(store.NoOrg)}, refused("CCCCC-CCCCC", "connection", "", "", nil))
		for _, c := range []struct {
			name string
			q    store.SignInQuery
			want []string // methods or references
		}{
			{"all, newest first", store.SignInQuery{}, []string{"password", "saml", "AAAAA-AAAAA"}},
			{"a reference", store.SignInQuery{Reference: "AAAAA-AAAAA"}, []string{"AAAAA-AAAAA"}},
			{"another organization's reference", store.SignInQuery{Reference: "BBBBB-BBBBB"}, nil},
			{"the empty reference", store.SignInQuery{Reference: "", Limit: 1}, []string{"password"}},
			{"somebody here", store.SignInQuery{User: ada}, []string{"password", "saml"}},
			{"a person by user name", store.SignInQuery{Person: "ADA"}, []string{"password", "saml"}},
			{"a person by address", store.SignInQuery{Person: "ada@ACME.example"}, []string{"password", "saml"}},
			{"a person by id", store.SignInQuery{Person: string(ada)}, []string{"password", "saml"}},
			{"a person by subject", store.SignInQuery{Person: "00u1"}, []string{"saml"}},
			{"somebody without an account, by address", store.SignInQuery{Person: "eve@acme.example"}, []string{"AAAAA-AAAAA"}},
			{"somebody without an account, by subject", store.SignInQuery{Person: "eve"}, []string{"AAAAA-AAAAA"}},
			{"nobody", store.SignInQuery{Person: "nobody"}, nil},
			{"a connection", store.SignInQuery{Connection: string(okta)}, []string{"AAAAA-AAAAA"}},
			{"refused", store.SignInQuery{Result: "refused"}, []string{"AAAAA-AAAAA"}},
			{"signed in", store.SignInQuery{Result: "in"}, []string{"password", "saml"}},
			{"a check", store.SignInQuery{Check: "conditions.audience"}, []string{"AAAAA-AAAAA"}},
			{"another check", store.SignInQuery{Check: "replay"}, nil},
			{"a check and a person", store.SignInQuery{Check: "conditions.audience", Person: "ada"}, nil},
			{"until", store.SignInQuery{To: store.TimeOf(clock.Now().Add(-2*time.Minute - time.Second))}, []string{"AAAAA-AAAAA"}},
			{"since", store.SignInQuery{From: store.TimeOf(clock.Now().Add(-90 * time.Second))}, []string{"password"}},
		} {
			if c.q.Limit == 0 {
				c.q.Limit = 50
			}
			var got []string
			err := db.Read(t.Context(), acme, func(tx *store.Tx) error {
				list, err := tx.SignIns(c.q)
				for _, s := range list {
					if s.Reference != "" {
						got = append(got, s.Reference)
					} else {
						got = append(got, s.Method)
					}
				}
				return err
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
			}
		}
		// Page by page.
		var pages []store.ActivityID
		q := store.SignInQuery{Limit: 1}
		for {
			var list []store.SignIn
			err := db.Read(t.Context(), acme, func(tx *store.Tx) (err error) { list, err = tx.SignIns(q); return err })
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			pages = append(pages, list[0].ID)
			q.Before = store.SignInCursor{At: list[0].At, ID: list[0].ID}
		}
		if len(pages) != 3 {
			t.Errorf("page by page: %d rows, want 3", len(pages))
		}
		for reference, org := range map[string]string{"AAAAA-AAAAA": acme.Org, "BBBBB-BBBBB": beta.Org, "CCCCC-CCCCC": string(store.NoOrg)} {
			if s, err := db.FindSignIn(t.Context(), reference); err != nil || string(s.Org) != org {
				t.Errorf("%s: %+v, %v; want it in %s", reference, s, err, org)
			}
		}
		for _, none := range []string{"", "DDDDD-DDDDD"} {
			if _, err := db.FindSignIn(t.Context(), none); !fault.Is(err, fault.NotFound) {
				t.Errorf("reference %q: %v", none, err)
			}
		}
		agent := access.Actor{Kind: access.Person, Org: acme.Org, ID: "a", Roles: []string{access.Agent}}
		if err := db.Read(t.Context(), agent, func(tx *store.Tx) error { _, err := tx.SignIns(store.SignInQuery{}); return err }); !fault.Is(err, fault.Denied) {
			t.Errorf("an agent reads the log: %v", err)
		}
	})
}

func storeUser(t *testing.T, db *store.DB, actor access.Actor, name, email string) (id store.UserID) {
	t.Helper()
	err := db.Write(t.Context(), actor, func(tx *store.Tx) error {
		u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: email}.Doc(), Source: store.FromAPI, Status: store.Active})
		id = u.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// What a provider says cannot break the row, however long or strange.
func TestSignInsTakeAnyText(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, acme := storetest.Org(t, db, "acme")
		for _, text := range []string{strings.Repeat("ä", 5000), "a\x00b", "\xff\xfe", "'; DROP TABLE signins; --", ""} {
			signedIn(t, db, acme, store.Activity{Action: "user.signin.refused", TargetKind: "connection", TargetID: "x", Detail: map[string]any{
				"subject": text, "check": text, "email": text, "connection": text, "method": 7, "reference": nil}})
		}
	})
}

// Old rows go, and the oldest of an organization with too many; activity stays.
func TestSignInsAreKeptForAWhile(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, acme := storetest.Org(t, db, "acme")
		_, beta := storetest.Org(t, db, "beta")
		signedIn(t, db, beta, refused("OLD", "x", "", "", nil))
		clock.Pass(48 * time.Hour)
		for i := range 20 {
			signedIn(t, db, acme, refused(fmt.Sprint("R", i), "x", "", "", nil))
			clock.Pass(time.Second)
		}
		signedIn(t, db, beta, refused("NEW", "x", "", "", nil))
		if err := db.SweepSignIns(t.Context(), 24*time.Hour, 5); err != nil {
			t.Fatal(err)
		}
		count := func(actor access.Actor) (found, acts int) {
			err := db.Read(t.Context(), actor, func(tx *store.Tx) error {
				list, err := tx.SignIns(store.SignInQuery{Limit: 100})
				if err != nil {
					return err
				}
				all, err := tx.Activities(store.ActivityQuery{Action: "user.signin.refused", Limit: 100})
				found, acts = len(list), len(all)
				if len(list) > 0 && list[0].Reference != "R19" && list[0].Reference != "NEW" {
					t.Errorf("the newest that is left: %s", list[0].Reference)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return found, acts
		}
		if found, acts := count(acme); found != 5 || acts != 20 {
			t.Errorf("too many: %d rows, %d activities left; want 5, 20", found, acts)
		}
		if found, acts := count(beta); found != 1 || acts != 2 {
			t.Errorf("too old: %d rows, %d activities left; want 1, 2", found, acts)
		}
	})
}

// Every question has its index, on both databases.
func TestSignInsAreIndexed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, acme := storetest.Org(t, db, "acme")
		ada := storeUser(t, db, acme, "ada", "ada@acme.example")
		err := db.Write(t.Context(), acme, func(tx *store.Tx) error {
			for i := range 4000 {
				a := refused(fmt.Sprint("REF-", i), fmt.Sprint("check", i%50), fmt.Sprint("p", i, "@acme.example"), fmt.Sprint("s", i), map[string]any{"connection": store.NewID[int]()})
				if i%40 != 0 {
					a.Action, a.TargetKind, a.TargetID = "user.signin", "user", string(store.NewID[store.User]())
				}
				if err := tx.Record(a); err != nil {
					return err
				}
			}
			if db.Dialect() == "postgres" {
				_, err := tx.Exec("ANALYZE signins")
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		primary := map[string]string{"sqlite": "sqlite_autoindex_signins_1", "postgres": "signins_pkey"}[db.Dialect()]
		cursor := store.SignInCursor{At: store.TimeOf(time.Now().Add(time.Hour)), ID: store.NewID[store.Activity]()}
		for _, c := range []struct {
			name, index string
			q           store.SignInQuery
		}{
			{"newest", primary, store.SignInQuery{}},
			{"a page further", primary, store.SignInQuery{Before: cursor}},
			{"since", primary, store.SignInQuery{From: 1}},
			{"one", "signins_", store.SignInQuery{Before: cursor, Only: cursor.ID}},
			{"a reference", "signins_reference", store.SignInQuery{Reference: "REF-1"}},
			{"a connection", "signins_connection", store.SignInQuery{Connection: string(store.NewID[int]())}},
			{"refused", "signins_refused", store.SignInQuery{Result: "refused"}},
			{"a check", "signins_check", store.SignInQuery{Check: "check40"}},
			{"somebody here", "signins_user", store.SignInQuery{User: ada, Before: cursor}},
			{"a person by user", "signins_user", store.SignInQuery{Person: string(ada)}},
			{"a person by address", "signins_email", store.SignInQuery{Person: "ada@acme.example"}},
			{"a person by subject", "signins_subject", store.SignInQuery{Person: "s7"}},
		} {
			c.q.Limit = 50
			err := db.Read(t.Context(), acme, func(tx *store.Tx) error {
				plan, err := tx.PlanSignIns(c.q)
				if !strings.Contains(plan, c.index) || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "SCAN signins") {
					t.Errorf("%s: %s, want %s", c.name, plan, c.index)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
