package console_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const ownURN = "urn:muster:params:scim:schemas:extension:acme:2.0:User"

// fieldLink leads from an error to its field.
func fieldLink(name string) string {
	return `href="#f-` + strings.ReplaceAll(ownURN+":"+name, ":", "%3a")
}

func sprint(v any) string { return fmt.Sprint(v) }

// own is what a person has under the organization's URN.
func (s *site) own(name string) map[string]any {
	s.t.Helper()
	doc, err := s.user(name).Attributes()
	if err != nil {
		s.t.Fatal(err)
	}
	in, _ := doc[ownURN].(map[string]any)
	return in
}

func (s *site) define(attrs ...store.Attribute) {
	s.t.Helper()
	s.write(s.muster, func(tx *store.Tx) error {
		_, err := tx.PutSchema(store.Schema{URN: ownURN, Attributes: attrs}, true)
		return err
	})
}

func TestAttributesPage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		at := "/console/acme/attributes"
		has(t, s.page("boss", at), "Nothing yet", "Add an attribute")
		has(t, s.post("boss", at, 400, url.Values{"name": {"cost center"}, "type": {"string"}}), `href="#f-name"`, "RFC 7643")
		has(t, s.post("boss", at, 400, url.Values{"name": {"x"}, "type": {"string"}, "id": {store.EnterpriseURN}}), `href="#f-id"`)
		s.post("boss", at, 303, url.Values{"name": {"costCenter"}, "type": {"string"}, "resourceType": {"User"}, "description": {"Where it is booked"}, "canonicalValues": {"a, b"}, "indexed": {"on"}})
		s.post("boss", at, 303, url.Values{"name": {"badge"}, "type": {"string"}, "uniqueness": {"on"}})
		s.post("boss", at, 409, url.Values{"name": {"Badge"}, "type": {"string"}})
		s.post("boss", at, 303, url.Values{"name": {"size"}, "type": {"integer"}, "resourceType": {"Group"}})
		has(t, s.page("boss", at), "costCenter", "Where it is booked", "index is being built", "unique", "Whole number", ownURN)
		one := at + "/" + ownURN + "/costCenter"
		has(t, s.page("boss", one), ownURN+":costCenter", "Text")
		another := url.Values{"description": {"Another"}, "canonicalValues": {"c"}, "required": {"on"}, "version": {webtest.Version(s.do("boss", "GET", one, nil).Body.String())}}
		s.post("boss", one, 303, another)
		another.Set("description", "Typed later")
		has(t, s.post("boss", one, 409, another), "Somebody else changed these settings meanwhile", `value="Typed later"`)
		has(t, s.page("boss", at), "Another", "required", "index is being removed")
		s.post("boss", one, 409, url.Values{"description": {"Another"}, "indexed": {"on"}})
		s.post("boss", at+"/"+ownURN+"/nothing", 404, url.Values{})

		s.write(s.muster, func(tx *store.Tx) error {
			u, err := tx.User(s.people["boss"])
			if err != nil {
				return err
			}
			doc, _ := u.Attributes()
			doc[ownURN] = map[string]any{"costCenter": "C"}
			_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
		has(t, s.post("boss", one+"/delete", 409, url.Values{}), `href="#f-confirm"`, "1 user", `value="Another"`, `name="required" value="on" checked`)
		s.post("boss", one+"/delete", 303, url.Values{"confirm": {"on"}})
		has(t, s.page("boss", at), "is being removed")
		has(t, s.page("boss", "/console/acme/activity"), "defined the schema", "changed the schema")
		if w := s.do("stranger", "GET", one, nil); w.Code != 404 {
			t.Errorf("another organization sees the attribute: %d", w.Code)
		}
	})
}

// The page of a person shows the organization's own attributes, and the form changes
// those with one simple value and keeps all else.
func TestOwnAttributesOfAPerson(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.define(store.Attribute{Name: "costCenter"}, store.Attribute{Name: "floor", Type: "integer"}, store.Attribute{Name: "rate", Type: "decimal"}, store.Attribute{Name: "remote", Type: "boolean"},
			store.Attribute{Name: "since", Type: "dateTime"}, store.Attribute{Name: "tags", MultiValued: true}, store.Attribute{Name: "pin", Mutability: "writeOnly"},
			store.Attribute{Name: "desk", Type: "complex", Subs: []store.Attribute{{Name: "room"}, {Name: "code", Returned: "never"}}}, store.Attribute{Name: "badge", Uniqueness: "server"},
			store.Attribute{Name: "hired", Mutability: "immutable"}, store.Attribute{Name: "must", Required: true})
		s.write(s.muster, func(tx *store.Tx) error {
			u, err := tx.User(s.people["agent"])
			if err != nil {
				return err
			}
			doc, _ := u.Attributes()
			doc[ownURN] = map[string]any{"costCenter": "two\nlines", "tags": []any{"x", "y"}, "pin": "geheim", "desk": map[string]any{"room": "R1", "code": "geheim"}, "hired": "2020", "badge": "B1"}
			doc["urn:example:gone:User"] = map[string]any{"a": "kept"}
			_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
		person := s.path("/users/{agent}")
		text := s.page("boss", person)
		has(t, text, "costCenter", "x; y", "room R1", "B1")
		hasNot(t, text, "geheim")
		hasNot(t, s.page("boss", person+"/edit"), "geheim", "pin")

		form := func(more map[string]string) url.Values {
			v := url.Values{"version": {sprint(s.user("agent").Version)}, "given_name": {"Agent"}, "family_name": {"Person"}, "display_name": {""}, "email": {"agent@acme.example"}, "user_name": {"agent@acme.example"},
				"title": {"Chief"}, "department": {""}, "employee_number": {""}, "phone": {""}, "manager": {""}, "role": {"agent"}}
			for _, name := range []string{"costCenter", "floor", "rate", "remote", "since", "badge", "hired", "must"} {
				v.Set(ownURN+":"+name, map[string]string{"costCenter": "twolines", "hired": "2020", "badge": "B1"}[name])
			}
			for name, value := range more {
				v.Set(ownURN+":"+name, value)
			}
			return v
		}
		s.post("boss", person+"/edit", 303, form(nil))
		if got := s.own("agent"); got["costCenter"] != "two\nlines" || got["pin"] != "geheim" || len(got) != 6 {
			t.Errorf("a form in which nothing of it was changed leaves %v", got)
		}
		for name, value := range map[string]string{"floor": "1.5", "rate": "x", "remote": "maybe", "since": "yesterday", "hired": "2021", "costCenter": strings.Repeat("x", 1001)} {
			want := 400
			if name == "hired" {
				want = 409
			}
			has(t, s.post("boss", person+"/edit", want, form(map[string]string{name: value})), fieldLink(name))
		}
		s.post("boss", person+"/edit", 303, form(map[string]string{"floor": "3", "rate": "1.50", "remote": "true", "since": "2026-01-01T01:00:00+01:00", "costCenter": "", "must": "m"}))
		got := s.own("agent")
		for name, want := range map[string]any{"floor": "3", "rate": "1.5", "remote": "true", "since": "2026-01-01T00:00:00Z", "must": "m", "pin": "geheim", "tags": "[x y]", "costCenter": "<nil>"} {
			if text := sprint(got[name]); text != want {
				t.Errorf("%s is %s, want %s", name, text, want)
			}
		}
		has(t, s.post("boss", person+"/edit", 400, form(map[string]string{"must": ""})), "must is required")
		doc, err := s.user("agent").Attributes()
		if err != nil || doc["urn:example:gone:User"] == nil || doc["title"] != "Chief" {
			t.Errorf("the document is %v, %v", doc, err)
		}
		taken := url.Values{"version": {sprint(s.user("viewer").Version)}, "user_name": {"viewer@acme.example"}, "email": {"viewer@acme.example"}, "role": {"viewer"}, ownURN + ":badge": {"b1"}}
		has(t, s.post("boss", s.path("/users/{viewer}/edit"), 409, taken), fieldLink("badge"))
	})
}
