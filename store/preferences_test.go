package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestPreferencesArePeoplesOwn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, system := storetest.Org(t, db, "acme")
		ada := newUser(t, db, system, "ada@example.com")
		own := access.Actor{Kind: access.Person, Org: system.Org, ID: string(ada.ID), Name: "Ada", Roles: []string{access.Agent}}
		set := func(by access.Actor, change func(*store.Preferences) error) error {
			return db.Write(t.Context(), by, func(tx *store.Tx) error { return tx.SetPreferences(ada.ID, change) })
		}
		read := func() (p store.Preferences) {
			t.Helper()
			if err := db.Read(t.Context(), own, func(tx *store.Tx) (err error) {
				p, err = tx.Preferences(ada.ID)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return p
		}
		german := func(p *store.Preferences) error {
			p.Language, p.TimeZone, p.Theme = "de", "Europe/Berlin", "dark"
			return p.Put("signature", "Ada")
		}
		if p := read(); p.Language != "" || p.Theme != "" || len(p.More) != 0 {
			t.Errorf("nothing chosen: got %+v", p)
		}
		if err := set(own, german); err != nil {
			t.Fatal(err)
		}
		var signature string
		if p := read(); p.Language != "de" || p.TimeZone != "Europe/Berlin" || p.Theme != "dark" || p.Get("signature", &signature) != nil || signature != "Ada" {
			t.Errorf("chosen: got %+v, signature %q", p, signature)
		}
		if err := set(own, german); err != nil {
			t.Fatal(err)
		}
		var acts []store.Activity
		if err := db.Read(t.Context(), system, func(tx *store.Tx) (err error) {
			acts, err = tx.Activities(store.ActivityQuery{Action: "user.preferences"})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if len(acts) != 1 || acts[0].ActorID != string(ada.ID) || fmt.Sprint(acts[0].Detail["after"]) != "map[language:de signature:Ada theme:dark time_zone:Europe/Berlin]" {
			t.Errorf("recorded %+v, want one row of Ada's own with what differs", acts)
		}

		admin := access.Actor{Kind: access.Person, Org: system.Org, ID: string(newUser(t, db, system, "boss@example.com").ID), Roles: []string{access.Admin}}
		if err := set(admin, german); !fault.Is(err, fault.Denied) {
			t.Errorf("an admin's change of another's: %v, want Denied", err)
		}
		for _, c := range []struct {
			field  string
			change func(p *store.Preferences)
		}{
			{"language", func(p *store.Preferences) { p.Language = "<b>" }},
			{"time_zone", func(p *store.Preferences) { p.TimeZone = "../../etc/passwd" }},
			{"time_zone", func(p *store.Preferences) { p.TimeZone = "Local" }},
			{"theme", func(p *store.Preferences) { p.Theme = "pink" }},
			{"", func(p *store.Preferences) { p.Put("signature", strings.Repeat("x", 70_000)) }},
		} {
			err := set(own, func(p *store.Preferences) error { c.change(p); return nil })
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field {
				t.Errorf("%s: got %v, want Invalid on it", c.field, err)
			}
		}
		// Several features at once: none loses what another wrote.
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := set(own, func(p *store.Preferences) error { return p.Put(fmt.Sprint("feature", i), i) }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if p := read(); len(p.More) != 9 {
			t.Errorf("%d features kept, want 9: %s", len(p.More), p.More)
		}
	})
}

func TestTheOrganizationsLanguageIsForThoseWhoChoseNone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, system := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "other")
		ada := newUser(t, db, system, "ada@example.com")
		localeOf := func(by access.Actor) (l store.Locale) {
			t.Helper()
			if err := db.Read(t.Context(), by, func(tx *store.Tx) (err error) {
				l, err = tx.LocaleOf(ada.ID)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return l
		}
		write := func(f func(tx *store.Tx) error) {
			t.Helper()
			if err := db.Write(t.Context(), system, f); err != nil {
				t.Fatal(err)
			}
		}
		if l := localeOf(system); l != (store.Locale{}) {
			t.Errorf("nothing chosen: %+v", l)
		}
		write(func(tx *store.Tx) error {
			return tx.SetOrgSetting(store.LocaleSetting, store.Locale{Language: "de", TimeZone: "Europe/Berlin"}, 0)
		})
		if l := localeOf(system); l != (store.Locale{Language: "de", TimeZone: "Europe/Berlin"}) {
			t.Errorf("as the organization chose: %+v", l)
		}
		write(func(tx *store.Tx) error {
			return tx.SetPreferences(ada.ID, func(p *store.Preferences) error { p.Language = "en"; return nil })
		})
		if l := localeOf(system); l != (store.Locale{Language: "en", TimeZone: "Europe/Berlin"}) {
			t.Errorf("the language as Ada chose, the zone as the organization did: %+v", l)
		}
		if l := localeOf(other); l != (store.Locale{}) {
			t.Errorf("another organization sees %+v", l)
		}
	})
}
