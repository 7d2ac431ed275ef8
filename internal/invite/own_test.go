package invite_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const ownURN = "urn:acme:schemas:1.0:User"

// defines gives the organization attributes of its own.
func (s *stage) defines(list ...store.Attribute) {
	s.t.Helper()
	s.must(func(tx *store.Tx) error {
		_, err := tx.PutSchema(store.Schema{URN: ownURN, Resource: store.UserResource, Attributes: list}, false)
		return err
	})
}

// own is a value of somebody's own attribute.
func (s *stage) own(id store.UserID, name string) any {
	s.t.Helper()
	u := s.user(id)
	doc, err := u.Attributes()
	if err != nil {
		s.t.Fatal(err)
	}
	in, _ := doc[ownURN].(map[string]any)
	return in[name]
}

// What the organization requires of its people is asked for at each invitation.
func TestRequiredOwnAttributesAreAskedFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.defines(store.Attribute{Name: "costCentre", Type: "string", Required: true}, store.Attribute{Name: "floor", Type: "integer"},
			store.Attribute{Name: "tags", Type: "string", MultiValued: true, Required: true})
		field := ownURN + ":costCentre"
		_, err := s.door.Invite(ctx, s.admin, invite.In{Email: "ada@example.com"})
		if wantFault(t, "without", err, fault.Invalid); fault.Field(err) != field {
			t.Errorf("the field is %q: %v", fault.Field(err), err)
		}
		_, err = s.door.Activate(ctx, s.admin, invite.In{Email: "ada@example.com"}, "")
		wantFault(t, "activated without", err, fault.Invalid)
		for _, own := range []map[string]string{{"costCentre": " "}, {"costCentre": "a\x00"}, {"costCentre": "1", "floor": "two"}, {"costCentre": "1", "salary": "1"}, {"costCentre": "1", "tags": "x"}, {"costCentre": strings.Repeat("x", 10_000)}} {
			_, err := s.door.Invite(ctx, s.admin, invite.In{Email: "ada@example.com", Own: own})
			wantFault(t, "bad values", err, fault.Invalid)
		}
		made, err := s.door.Invite(ctx, s.admin, invite.In{Email: "ada@example.com", Own: map[string]string{"COSTCENTRE": "4711", ownURN + ":floor": "3"}})
		if err != nil || s.own(made.UserID, "costCentre") != "4711" {
			t.Errorf("with: %v, %v", s.own(made.UserID, "costCentre"), err)
		}

		const path = "/console/acme/invite"
		if body := s.want(s.do("admin", "GET", path, nil), http.StatusOK); !strings.Contains(body, `name="`+field+`"`) || strings.Contains(body, "tags") {
			t.Errorf("the form does not ask: %s", body)
		}
		body := s.want(s.do("admin", "POST", path, url.Values{"email": {"eve@example.com"}, "do": {"send"}, ownURN + ":floor": {"7"}}), http.StatusBadRequest)
		if !strings.Contains(body, "costCentre is required") || !strings.Contains(body, `value="7"`) {
			t.Errorf("refused: %s", body)
		}
		s.want(s.do("admin", "POST", path, url.Values{"email": {"eve@example.com"}, "do": {"send"}, field: {"1"}}), http.StatusOK)
		s.api("admin", "POST", "/invitations", `{"email":"zoe@example.com"}`, 400)
		s.api("admin", "POST", "/invitations", `{"email":"zoe@example.com","attributes":{"costCentre":{"a":1}}}`, 400)
		zoe := s.api("admin", "POST", "/invitations", `{"email":"zoe@example.com","attributes":{"costCentre":"1","floor":12}}`, 201)
		if got := s.own(store.UserID(zoe["user_id"].(string)), "floor"); got == nil {
			t.Error("the floor is lost")
		}
	})
}

// Those of a list all have the same; what is everybody's own cannot be pasted.
func TestAListHasOwnAttributes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.defines(store.Attribute{Name: "costCentre", Type: "string", Required: true})
		const path = "/console/acme/invite/many"
		body := s.want(s.do("admin", "POST", path, url.Values{"addresses": {addresses(2)}}), http.StatusBadRequest)
		if !strings.Contains(body, "costCentre is required") || !strings.Contains(body, "p1@example.com") {
			t.Errorf("refused: %s", body)
		}
		at := s.do("admin", "POST", path, url.Values{"addresses": {addresses(60)}, ownURN + ":costCentre": {"4711"}}).Header().Get("Location")
		if body := s.want(s.do("admin", "GET", path+"?from="+at[strings.LastIndexByte(at, '/')+1:], nil), http.StatusOK); !strings.Contains(body, `value="4711"`) {
			t.Error("correcting the list loses the attribute")
		}
		s.want(s.do("admin", "POST", at, url.Values{}), http.StatusSeeOther)
		s.work()
		l := s.list(invite.ListID(at[strings.LastIndexByte(at, '/')+1:]), invite.RowQuery{Limit: 1})
		if l.Done() != 60 || s.own(l.Rows[0].UserID, "costCentre") != "4711" {
			t.Errorf("%d invited with %v", l.Done(), s.own(l.Rows[0].UserID, "costCentre"))
		}
		s.defines(store.Attribute{Name: "costCentre", Type: "string", Required: true}, store.Attribute{Name: "badge", Type: "string", Uniqueness: "server", Required: true})
		_, err := s.check("new@example.com")
		wantFault(t, "everybody's own", err, fault.Invalid)
		if got := s.api("admin", "POST", "/invitation-lists", `{"addresses":"x@example.com","attributes":{"costCentre":"1"}}`, 400); !strings.Contains(got["detail"].(string), "badge") {
			t.Errorf("by the API: %v", got)
		}
	})
}

// Who invites need not know what people fill in themselves.
func TestWhatPeopleFillInThemselvesIsNotAskedOfOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.defines(store.Attribute{Name: "shirt", Required: true, Self: true, Uniqueness: "server"})
		s.invite("ada@example.com")
		if l, err := s.check("bob@example.com"); err != nil || l.Good() != 1 {
			t.Errorf("a list: %v", err)
		}
		page := s.want(s.do("admin", "GET", "/console/acme/invite", nil), 200)
		field := page[strings.Index(page, `name="`+ownURN+`:shirt"`):]
		if strings.Contains(field[:strings.IndexByte(field, '>')], " required") {
			t.Error("the form asks for it")
		}
	})
}
