package store_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestOrganizationsByPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		err := db.Write(ctx, access.Muster(""), func(tx *store.Tx) error {
			for i := range 23 {
				if _, err := tx.CreateOrg(fmt.Sprintf("org-%02d", i), []string{"Ähre", "apfel", "Zebra 100%", "birne_x"}[i%4]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		operator := access.Actor{Kind: access.Person, Operator: true}
		all := func(q store.OrgQuery) (names []string) {
			t.Helper()
			seen := map[store.OrgID]bool{}
			for {
				list, more, err := db.OrgPage(ctx, operator, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range list {
					if seen[o.ID] {
						t.Fatalf("%s comes twice", o.Slug)
					}
					seen[o.ID], q.After = true, o.ID
					names = append(names, o.Name)
				}
				if !more {
					return names
				}
			}
		}
		if got := all(store.OrgQuery{Limit: 4}); len(got) != 23 || got[0] != "apfel" || got[22] != "Ähre" {
			t.Errorf("all are %v", got)
		}
		for search, want := range map[string]int{"ÄHR": 6, "100%": 6, "%": 6, "_": 5, "org-1": 10, "nothing": 0, strings.Repeat("x", 10_000): 0} {
			if got := all(store.OrgQuery{Search: search, Limit: 4}); len(got) != want {
				t.Errorf("%.20q finds %d, want %d", search, len(got), want)
			}
		}
		if _, _, err := db.OrgPage(ctx, access.Actor{Kind: access.Person, Roles: []string{access.Admin}}, store.OrgQuery{}); !fault.Is(err, fault.Denied) {
			t.Errorf("an admin lists organizations: %v", err)
		}
		n := 0
		if err := db.EachOrg(ctx, func(store.Org) error { n++; return nil }); err != nil || n != 23 {
			t.Errorf("each: %d, %v", n, err)
		}
	})
}

// 10,000 organizations are a page of the index, wherever one is in the list.
func TestThePageOfOrganizationsIsReadFromItsIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		org, _ := storetest.Org(t, db, "acme")
		for name, c := range map[string]struct {
			q     store.OrgQuery
			index string
		}{"next": {store.OrgQuery{After: org}, "orgs_name"}, "first": {store.OrgQuery{}, "orgs_name"}, "suspended": {store.OrgQuery{Suspended: true}, "orgs_suspended"}} {
			query, args := store.OrgPageQuery(c.q)
			err := db.Write(ctx, access.Muster(string(org)), func(tx *store.Tx) error {
				if tx.ForUpdate() != "" {
					if _, err := tx.Exec("SET LOCAL enable_seqscan = off"); err != nil {
						return err
					}
				}
				plan, err := storetest.Plan(tx, query, args...)
				if err == nil && (!strings.Contains(plan, c.index) || strings.Contains(plan, "Sort") || strings.Contains(plan, "TEMP B-TREE")) {
					t.Errorf("%s: the plan is %s", name, plan)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestSuspendingAndRenamingAnOrganization(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		org, muster := storetest.Org(t, db, "acme")
		admin := access.Actor{Kind: access.Person, Org: string(org), Roles: []string{access.Admin}}
		operator := access.Actor{Kind: access.Person, ID: string(store.NewID[store.User]()), Name: "Olga", Operator: true}.In(string(org))
		do := func(actor access.Actor, f func(tx *store.Tx) error) error { return db.Write(ctx, actor, f) }
		suspend := func(tx *store.Tx) error { _, err := tx.SuspendOrg("The bill is not paid"); return err }
		resume := func(tx *store.Tx) error { _, err := tx.ResumeOrg(); return err }
		rename := func(name string) func(tx *store.Tx) error {
			return func(tx *store.Tx) error { _, err := tx.RenameOrg(name); return err }
		}
		for name, c := range map[string]struct {
			err  error
			want fault.Kind
		}{
			"admin suspends": {do(admin, suspend), fault.Denied}, "admin resumes": {do(admin, resume), fault.Denied}, "admin renames": {do(admin, rename("Mine")), fault.Denied},
			"resume what is open": {do(operator, resume), fault.Conflict}, "no name": {do(operator, rename(" ")), fault.Invalid}, "long": {do(operator, rename(strings.Repeat("x", 201))), fault.Invalid},
			"no reason": {do(operator, func(tx *store.Tx) error { _, err := tx.SuspendOrg(" "); return err }), fault.Invalid},
		} {
			if !fault.Is(c.err, c.want) {
				t.Errorf("%s: %v, want %v", name, c.err, c.want)
			}
		}
		for _, f := range []func(tx *store.Tx) error{rename("Äcme"), rename("Äcme"), suspend} {
			if err := do(operator, f); err != nil {
				t.Fatal(err)
			}
		}
		if err := do(operator, suspend); !fault.Is(err, fault.Conflict) {
			t.Errorf("suspended twice: %v", err)
		}
		o, err := db.OrgBySlug(ctx, "acme")
		if err != nil || o.Name != "Äcme" || o.SuspendedAt == 0 || o.SuspendedWhy != "The bill is not paid" {
			t.Errorf("%+v, %v", o, err)
		}
		if err := db.Read(ctx, muster, func(tx *store.Tx) error { return tx.NotSuspended(false) }); !fault.Is(err, fault.Denied) {
			t.Errorf("a suspended organization: %v", err)
		}
		if err := do(operator, resume); err != nil {
			t.Fatal(err)
		}
		if err := do(muster, func(tx *store.Tx) error { return tx.NotSuspended(true) }); err != nil {
			t.Error(err)
		}
		deeds, err := db.DeedsAnywhere(ctx, operator, []string{operator.ID, string(store.NewID[store.User]())}, "", 2)
		if err != nil || len(deeds) != 2 || deeds[0].Action != "org.resume" || deeds[1].Action != "org.suspend" || deeds[0].Org != org {
			t.Errorf("deeds %+v, %v", deeds, err)
		}
		older, err := db.DeedsAnywhere(ctx, operator, []string{operator.ID}, deeds[1].ID, 10)
		if err != nil || !slices.EqualFunc(older, []string{"org.rename"}, func(a store.DeedOf, b string) bool { return a.Action == b }) {
			t.Errorf("older deeds %+v, %v", older, err)
		}
		if _, err := db.DeedsAnywhere(ctx, admin, nil, "", 10); !fault.Is(err, fault.Denied) {
			t.Errorf("an admin looks at what operators did: %v", err)
		}
	})
}
