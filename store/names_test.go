package store_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestNameFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, last, email string
		want               string // by each format after the address
	}{
		{"Ada", "Lovelace", "x@example.com", "ada.lovelace alovelace adal ada"},
		{"Anna-Maria", "Müller", "x@example.com", "anna-maria.mueller amueller anna-mariam anna-maria"},
		{"Anna Maria", "O'Neil", "x@example.com", "annamaria.oneil aoneil annamariao annamaria"},
		{"Søren", "Ødegård", "x@example.com", "soeren.oedegaard soedegaard soereno soeren"},
		{"Nguyễn", "Đỗ", "x@example.com", "nguyen.do ndo nguyend nguyen"},
		{"Юрий", "Щукин", "x@example.com", "iurii.shchukin ishchukin iuriis iurii"},
		{"小龙", "李", "Li.Xiaolong@example.com", "li.xiaolong li.xiaolong li.xiaolong li.xiaolong"},
		{"小龙", "李", "", "user user user user"},
		{"Cher", "", "x@example.com", "cher cher cher cher"},
		{"<script>", "=cmd|' /C calc'!A0", "x@example.com", "script.cmdccalca0 scmdccalca0 scriptc script"},
		{"A\u202eda", "-.-", "x@example.com", "ada ada ada ada"},
	} {
		var got []string
		for _, f := range store.NameFormats()[1:] {
			got = append(got, f.UserName(store.Profile{GivenName: c.first, FamilyName: c.last, Email: c.email}))
		}
		want := strings.Fields(c.want)
		if !slices.Equal(got, want) {
			t.Errorf("%s %s: %q, want %q", c.first, c.last, got, want)
		}
	}
}

// New people get a free name by the organization's format, one by one, many in one
// statement, and two at the same time.
func TestNewPeopleGetAUserName(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		_, acme := storetest.Org(t, db, "acme")
		ann := func() store.NewUser {
			return store.NewUser{Doc: store.Profile{GivenName: "Ann", FamilyName: "Lee"}.Doc(), Source: store.FromAPI}
		}
		add := func(in store.NewUser) (u store.User, err error) {
			err = db.Write(ctx, acme, func(tx *store.Tx) error { u, err = tx.CreateUser(in); return err })
			return u, err
		}
		in := ann()
		in.Doc = store.Profile{GivenName: "Ann", FamilyName: "Lee", Email: "ann@acme.example"}.Doc()
		if u, err := add(in); err != nil || u.UserName != "ann@acme.example" {
			t.Errorf("the default: %q, %v", u.UserName, err)
		}
		set := func(f store.NameFormat, version int64) error {
			return db.Write(ctx, acme, func(tx *store.Tx) error { return tx.SetNameFormat(f, version) })
		}
		if err := set("last", -1); !fault.Is(err, fault.Invalid) {
			t.Errorf("an unknown format: %v", err)
		}
		if err := set(store.NameFLast, 0); err != nil {
			t.Fatal(err)
		}
		if err := set(store.NameFirst, 0); !fault.Is(err, fault.Conflict) {
			t.Errorf("an old version: %v", err)
		}
		for _, want := range []string{"alee", "alee2", "alee3"} {
			if u, err := add(ann()); err != nil || u.UserName != want {
				t.Errorf("%q, %v, want %q", u.UserName, err, want)
			}
		}
		named := ann()
		named.Doc = store.Profile{UserName: "ALEE4", GivenName: "Ann", FamilyName: "Lee"}.Doc()
		if u, err := add(named); err != nil || u.UserName != "ALEE4" {
			t.Errorf("a name that was said: %q, %v", u.UserName, err)
		}
		var many []store.User
		err := db.Write(ctx, acme, func(tx *store.Tx) (err error) {
			list := make([]store.NewUser, 30)
			for i := range list {
				list[i] = ann()
			}
			many, err = tx.CreateUsers(list)
			return err
		})
		if err != nil || many[0].UserName != "alee5" || many[29].UserName != "alee34" {
			t.Fatalf("many: %v", err)
		}
		var wg sync.WaitGroup
		names, errs := make([]string, 6), make([]error, 6)
		for i := range names {
			wg.Go(func() {
				u, err := add(ann())
				names[i], errs[i] = u.UserName, err
			})
		}
		wg.Wait()
		slices.Sort(names)
		if !slices.Equal(names, []string{"alee35", "alee36", "alee37", "alee38", "alee39", "alee40"}) {
			t.Errorf("at the same time: %q, %v", names, errs)
		}
		directory := access.Actor{Kind: access.Directory, Org: acme.Org, ID: string(store.NewID[store.Directory]()), Name: "Okta"}
		err = db.Write(ctx, directory, func(tx *store.Tx) error { _, err := tx.CreateUser(ann()); return err })
		if !fault.Is(err, fault.Invalid) || fault.Field(err) != "userName" {
			t.Errorf("a directory must say the name: %v", err)
		}
	})
}
