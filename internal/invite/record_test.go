package invite_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestInvitingFromARecord(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		ref := records.Ref{Kind: "contact", ID: "4711"}
		if err := db.Write(t.Context(), s.admin, func(tx *store.Tx) error {
			_, _, err := records.Put(tx, records.In{Ref: ref, Name: "Ada King Lovelace", Address: "ada@new.example"})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		text := s.want(s.do("admin", "GET", "/console/acme/invite?record=contact/4711", nil), 200)
		for _, want := range []string{`value="ada@new.example"`, `value="Ada"`, `value="King Lovelace"`, `name="record" value="contact/4711"`} {
			if !strings.Contains(text, want) {
				t.Errorf("the form has no %s", want)
			}
		}
		s.want(s.do("admin", "GET", "/console/acme/invite?record=contact/none", nil), 404)
		form := url.Values{"email": {"ada@new.example"}, "given_name": {"Ada"}, "role": {"agent"}, "record": {"contact/4711"}}
		if code := s.do("admin", "POST", "/console/acme/invite", form).Code; code >= 400 {
			t.Fatalf("%d", code)
		}
		form.Set("email", "second@new.example")
		s.want(s.do("admin", "POST", "/console/acme/invite", form), 409) // the record is taken, and nobody was invited
		if err := db.Read(t.Context(), s.admin, func(tx *store.Tx) error {
			r, err := records.Get(tx, ref)
			if err == nil && r.UserID == "" {
				t.Error("the invited person is not linked")
			}
			if same, _ := tx.UsersByEmail("second@new.example"); len(same) > 0 {
				t.Error("somebody was invited without the record")
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	})
}
