package invite_test

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Whoever got the mail at a mistyped address must not become the person after an
// admin has corrected it.
func TestALinkToAnOldAddressIsDead(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		made := s.invite("wrong@acme.example")
		s.must(func(tx *store.Tx) error {
			u, err := tx.User(made.UserID)
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			p := u.Profile()
			p.Email = "right@acme.example"
			p.Apply(doc)
			_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
		if err := s.accept(made.Link); !fault.Is(err, fault.Expired) || !strings.Contains(fault.Public(err), "address") {
			t.Errorf("the link to the old address: %v", err)
		}
		if u := s.user(made.UserID); u.Status != store.Invited {
			t.Errorf("the person is %s", u.Status)
		}
		var again string
		s.must(func(tx *store.Tx) error {
			made, err := s.door.Resend(tx, s.org, made.UserID)
			again = made.Link
			return err
		})
		if err := s.accept(again); err != nil {
			t.Errorf("the link to the new address: %v", err)
		}
	})
}

// Spreadsheets run cells that begin like a formula.
func TestTheSampleHoldsNoFormula(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		for _, name := range []string{"=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "\uff1dA1", "a|b"} {
			s.must(func(tx *store.Tx) error {
				_, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": name}})
				return err
			})
		}
		team := func() string {
			t.Helper()
			sample := s.want(s.do("admin", "GET", "/console/acme/import/template.csv", nil), http.StatusOK)
			rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(sample, "\ufeff"))).ReadAll()
			if err != nil || len(rows) != 2 {
				t.Fatalf("%q: %v", sample, err)
			}
			return rows[1][len(rows[1])-1]
		}
		if got := team(); got != "" {
			t.Errorf("the sample's team is %q", got)
		}
		s.must(func(tx *store.Tx) error {
			_, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Support"}})
			return err
		})
		if got := team(); got != "Support" {
			t.Errorf("the sample's team is %q", got)
		}
	})
}

// Files that nobody confirms do not fill the disk.
func TestFewUploadsWait(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		var at []string
		for range 8 {
			w := s.uploadFile("admin", "email\nada@example.com\n")
			s.want(w, http.StatusSeeOther)
			at = append(at, w.Header().Get("Location"))
		}
		s.want(s.do("admin", "GET", at[0], nil), http.StatusNotFound)
		s.want(s.do("admin", "GET", at[len(at)-1], nil), http.StatusOK)
	})
}
