package scim

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/store"
)

// jane is who the patches below are applied to.
const jane = `{"userName":"jane","displayName":"Jane","title":"Boss","name":{"givenName":"Jane","familyName":"Doe"},
	"emails":[{"type":"work","value":"jane@work.example","primary":true},{"type":"home","value":"jane@home.example"}],
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Sales","manager":{"value":"m1","$ref":"https://x/Users/m1"}}}`

const ext = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

type patchCase struct {
	name string
	ops  string // the content of Operations
	want string // changes against jane: a JSON object, null removes; or an error "scimType: part of the sentence"
}

var compatPatches = []patchCase{
	{"replace by path", `{"op":"replace","path":"title","value":"CEO"}`, `{"title":"CEO"}`},
	{"add to a single value replaces it", `{"op":"add","path":"title","value":"CEO"}`, `{"title":"CEO"}`},
	{"path in other case", `{"op":"replace","path":"TITLE","value":"CEO"}`, `{"title":"CEO"}`},
	{"Pascal case op and keys", `{"Op":"Replace","Path":"displayName","Value":"J"}`, `{"displayName":"J"}`},
	{"sub-attribute", `{"op":"replace","path":"name.givenName","value":"J"}`, `{"name":{"givenName":"J","familyName":"Doe"}}`},
	{"complex merges", `{"op":"replace","path":"name","value":{"givenName":"J"}}`, `{"name":{"givenName":"J","familyName":"Doe"}}`},
	{"complex merges null", `{"op":"replace","path":"name","value":{"givenName":null,"middleName":"X"}}`, `{"name":{"middleName":"X","familyName":"Doe"}}`},
	{"core URN in the path", `{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:title","value":"CEO"}`, `{"title":"CEO"}`},
	{"no path", `{"op":"replace","value":{"title":"CEO","name.givenName":"J"}}`, `{"title":"CEO","name":{"givenName":"J","familyName":"Doe"}}`},
	{"no path with id, meta, schemas, groups", `{"op":"replace","value":{"id":"7","meta":{},"schemas":["x"],"groups":[],"title":"CEO"}}`, `{"title":"CEO"}`},
	{"no path with a filter", `{"op":"replace","value":{"emails[type eq \"work\"].value":"j@w"}}`,
		`{"emails":[{"type":"work","value":"j@w","primary":true},{"type":"home","value":"jane@home.example"}]}`},
	{"no path, nested extension", `{"op":"add","value":{"` + ext + `":{"department":"HR","costCenter":"7"}}}`,
		`{"` + ext + `":{"department":"HR","costCenter":"7","manager":{"value":"m1","$ref":"https://x/Users/m1"}}}`},
	{"no path, flat extension", `{"op":"replace","value":{"` + ext + `:department":"HR"}}`,
		`{"` + ext + `":{"department":"HR","manager":{"value":"m1","$ref":"https://x/Users/m1"}}}`},
	{"extension URN in other case", `{"op":"replace","path":"` + strings.ToUpper(ext) + `:Department","value":"HR"}`,
		`{"` + ext + `":{"department":"HR","manager":{"value":"m1","$ref":"https://x/Users/m1"}}}`},
	{"extension with a dot", `{"op":"replace","path":"` + ext + `.department","value":"HR"}`,
		`{"` + ext + `":{"department":"HR","manager":{"value":"m1","$ref":"https://x/Users/m1"}}}`},
	{"extension replaced by path", `{"op":"replace","path":"` + ext + `","value":{"costCenter":"7"}}`, `{"` + ext + `":{"costCenter":"7"}}`},
	{"extension removed", `{"op":"remove","path":"` + ext + `"}`, `{"` + ext + `":null}`},
	{"extension removed attribute by attribute", `{"op":"remove","path":"` + ext + `:department"},{"op":"remove","path":"` + ext + `:manager"}`, `{"` + ext + `":null}`},
	{"manager as text", `{"op":"Add","path":"` + ext + `:manager","value":"m2"}`, `{"` + ext + `":{"department":"Sales","manager":{"value":"m2"}}}`},
	{"manager as an array", `{"op":"Add","path":"` + ext + `:manager","value":[{"$ref":"https://x/Users/m2","value":"m2"}]}`,
		`{"` + ext + `":{"department":"Sales","manager":{"value":"m2","$ref":"https://x/Users/m2"}}}`},
	{"manager as an object", `{"op":"Replace","path":"` + ext + `:manager","value":{"value":"m2","displayName":"ignored"}}`, `{"` + ext + `":{"department":"Sales","manager":{"value":"m2"}}}`},
	{"manager by value", `{"op":"Replace","path":"` + ext + `:manager.value","value":"m2"}`, `{"` + ext + `":{"department":"Sales","manager":{"value":"m2","$ref":"https://x/Users/m1"}}}`},
	{"manager with a dot after the URN", `{"op":"Replace","path":"` + ext + `.manager","value":"m2"}`, `{"` + ext + `":{"department":"Sales","manager":{"value":"m2"}}}`},
	{"manager cleared with text", `{"op":"Replace","path":"` + ext + `:manager","value":""}`, `{"` + ext + `":{"department":"Sales"}}`},
	{"manager's value cleared", `{"op":"Replace","path":"` + ext + `:manager.value","value":""}`, `{"` + ext + `":{"department":"Sales"}}`},
	{"manager removed", `{"op":"Remove","path":"` + ext + `:manager"}`, `{"` + ext + `":{"department":"Sales"}}`},
	{"clear with null", `{"op":"replace","path":"title","value":null}`, `{"title":null}`},
	{"clear with empty text", `{"op":"Replace","path":"title","value":""}`, `{"title":null}`},
	{"clear a list with []", `{"op":"replace","path":"emails","value":[]}`, `{"emails":null}`},
	{"remove what is not there", `{"op":"remove","path":"nickName"}`, `{}`},
	{"replace with what is there", `{"op":"replace","path":"title","value":"Boss"}`, `{}`},
	{"add what is there", `{"op":"add","path":"emails","value":[{"type":"home","value":"jane@home.example"}]}`, `{}`},
	{"add one object to a list", `{"op":"add","path":"emails","value":{"type":"other","value":"o@x"}}`,
		`{"emails":[{"type":"work","value":"jane@work.example","primary":true},{"type":"home","value":"jane@home.example"},{"type":"other","value":"o@x"}]}`},
	{"a new primary takes it from the old", `{"op":"add","path":"emails","value":[{"type":"other","value":"o@x","primary":true}]}`,
		`{"emails":[{"type":"work","value":"jane@work.example","primary":false},{"type":"home","value":"jane@home.example"},{"type":"other","value":"o@x","primary":true}]}`},
	{"primary by filter, as text", `{"op":"Replace","path":"emails[type eq \"home\"].primary","value":"True"}`,
		`{"emails":[{"type":"work","value":"jane@work.example","primary":false},{"type":"home","value":"jane@home.example","primary":true}]}`},
	{"filtered sub-attribute", `{"op":"Replace","path":"emails[type eq \"work\"].value","value":"j@w"}`,
		`{"emails":[{"type":"work","value":"j@w","primary":true},{"type":"home","value":"jane@home.example"}]}`},
	{"filtered sub-attribute of a missing element", `{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"1"}`,
		`{"phoneNumbers":[{"type":"mobile","value":"1"}]}`},
	{"several of a missing element", `{"op":"Add","path":"addresses[type eq \"work\"].country","value":"US"},{"op":"Add","path":"addresses[type eq \"work\"].locality","value":"Rome"}`,
		`{"addresses":[{"type":"work","country":"US","locality":"Rome"}]}`},
	{"missing element by two terms", `{"op":"Add","path":"roles[primary eq \"True\" and type eq \"app\"].value","value":"x"}`,
		`{"roles":[{"primary":true,"type":"app","value":"x"}]}`},
	{"missing element that no value can make", `{"op":"Replace","path":"phoneNumbers[type sw \"m\"].value","value":"1"}`, `noTarget: chooses no element`},
	{"element replaced", `{"op":"replace","path":"emails[type eq \"home\"]","value":{"type":"home","value":"h@x"}}`,
		`{"emails":[{"type":"work","value":"jane@work.example","primary":true},{"type":"home","value":"h@x"}]}`},
	{"element added to", `{"op":"add","path":"emails[type eq \"home\"]","value":{"display":"H"}}`,
		`{"emails":[{"type":"work","value":"jane@work.example","primary":true},{"type":"home","value":"jane@home.example","display":"H"}]}`},
	{"element removed", `{"op":"remove","path":"emails[type eq \"home\"]"}`, `{"emails":[{"type":"work","value":"jane@work.example","primary":true}]}`},
	{"element removed by clearing its value", `{"op":"Replace","path":"emails[type eq \"home\"].value","value":""}`, `{"emails":[{"type":"work","value":"jane@work.example","primary":true}]}`},
	{"no element chosen for removal", `{"op":"remove","path":"emails[type eq \"x\"]"}`, `{}`},
	{"no value to remove", `{"op":"Remove","path":"emails","value":[]}`, `{}`},
	{"nothing to remove in the values", `{"op":"Remove","path":"emails","value":[{"value":null},{"value":""}]}`, `{}`},
	{"elements removed by value", `{"op":"Remove","path":"emails","value":[{"value":"jane@home.example"}]}`, `{"emails":[{"type":"work","value":"jane@work.example","primary":true}]}`},
	{"list replaced", `{"op":"replace","path":"emails","value":[{"value":"j@w"}]}`, `{"emails":[{"value":"j@w"}]}`},
	{"sub-attribute of all elements", `{"op":"replace","path":"emails.display","value":"J"}`,
		`{"emails":[{"type":"work","value":"jane@work.example","primary":true,"display":"J"},{"type":"home","value":"jane@home.example","display":"J"}]}`},
	{"roles as JSON in text", `{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"18d1\",\"value\":\"admin\"}"}]}`, `{"roles":[{"value":"admin"}]}`},
	{"active as text", `{"op":"Replace","path":"active","value":"False"}`, `{"active":false}`},
	{"active without a path", `{"op":"replace","value":{"active":false}}`, `{"active":false}`},
	{"unknown attribute is passed over", `{"op":"replace","path":"shoeSize","value":"9"},{"op":"replace","path":"title","value":"CEO"}`, `{"title":"CEO"}`},
	{"password is passed over", `{"op":"replace","value":{"password":"x","title":"CEO"}}`, `{"title":"CEO"}`},
	{"later operations see earlier ones", `{"op":"remove","path":"emails"},{"op":"add","path":"emails","value":[{"value":"a"}]},{"op":"replace","path":"emails[value eq \"a\"].value","value":"b"}`,
		`{"emails":[{"value":"b"}]}`},

	{"all or nothing", `{"op":"replace","path":"title","value":"CEO"},{"op":"replace","path":"active","value":"maybe"}`, `invalidValue: active is a boolean`},
	{"userName removed", `{"op":"remove","path":"userName"}`, `mutability: userName is required`},
	{"userName cleared", `{"op":"replace","path":"userName","value":""}`, `mutability: userName is required`},
	{"active removed", `{"op":"remove","path":"active"}`, `mutability: active always has a value`},
	{"id by path", `{"op":"replace","path":"id","value":"7"}`, `mutability: id is read-only`},
	{"groups by path", `{"op":"add","path":"groups","value":[{"value":"g"}]}`, `mutability: groups is read-only`},
	{"remove without a path", `{"op":"remove"}`, `noTarget: must have a path`},
	{"no path and no object", `{"op":"add","value":"x"}`, `invalidValue: needs an object`},
	{"no value", `{"op":"add","path":"title"}`, `invalidValue: has no value`},
	{"unknown op", `{"op":"move","path":"title","value":"x"}`, `invalidSyntax: op is "move"`},
	{"no op", `{"path":"title","value":"x"}`, `invalidSyntax: op is null`},
	{"path is a number", `{"op":"add","path":7,"value":"x"}`, `invalidPath: path must be text`},
	{"broken path", `{"op":"add","path":"emails[","value":"x"}`, `invalidFilter: `},
	{"broken path 2", `{"op":"add","path":"/title","value":"x"}`, `invalidPath: `},
	{"filter on a single value", `{"op":"replace","path":"name[givenName eq \"J\"].familyName","value":"x"}`, `invalidPath: no elements`},
	{"unknown attribute in the filter", `{"op":"replace","path":"emails[size eq \"1\"].value","value":"x"}`, `invalidFilter: `},
	{"wrong type", `{"op":"replace","path":"title","value":7}`, `invalidValue: title is a string`},
	{"wrong type inside", `{"op":"add","path":"emails","value":[{"value":{"a":1}}]}`, `invalidValue: emails.value is a string`},
	{"two primaries", `{"op":"replace","path":"emails","value":[{"value":"a","primary":true},{"value":"b","primary":true}]}`, `invalidValue: more than one primary`},
	{"no operations", ``, `invalidSyntax: at least one operation`},
	{"operation is text", `"x"`, `invalidSyntax: is not an object`},
	{"the whole core schema", `{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User","value":{"title":"x"}}`, `invalidPath: names no attribute`},
}

var strictPatches = []patchCase{
	{"by path", `{"op":"replace","path":"title","value":"CEO"}`, `{"title":"CEO"}`},
	{"complex replaces", `{"op":"replace","path":"name","value":{"givenName":"J"}}`, `{"name":{"givenName":"J"}}`},
	{"complex add merges", `{"op":"add","path":"name","value":{"givenName":"J"}}`, `{"name":{"givenName":"J","familyName":"Doe"}}`},
	{"element removed", `{"op":"remove","path":"emails[type eq \"home\"]"}`, `{"emails":[{"type":"work","value":"jane@work.example","primary":true}]}`},
	{"no path", `{"op":"replace","value":{"active":false}}`, `invalidSyntax: must have a path`},
	{"element replaced", `{"op":"replace","path":"emails[type eq \"home\"]","value":{"value":"x"}}`, `invalidPath: must name a sub-attribute`},
	{"two elements chosen", `{"op":"replace","path":"emails[value pr].display","value":"x"}`, `invalidFilter: chooses 2 elements`},
	{"no element chosen", `{"op":"replace","path":"emails[type eq \"x\"].value","value":"x"}`, `noTarget: chooses no element`},
	{"unknown attribute", `{"op":"replace","path":"shoeSize","value":"9"}`, `invalidSyntax: "shoeSize" is not an attribute`},
	{"unknown sub-attribute", `{"op":"add","path":"name","value":{"pet":"x"}}`, `invalidSyntax: "name.pet" is not an attribute`},
	{"password", `{"op":"replace","path":"password","value":"x"}`, `invalidSyntax: password is not accepted`},
	{"text for a boolean", `{"op":"replace","path":"active","value":"False"}`, `invalidValue: active is a boolean`},
	{"text for a manager", `{"op":"replace","path":"` + ext + `:manager","value":"m2"}`, `invalidValue: manager has sub-attributes`},
	{"remove with a value", `{"op":"remove","path":"emails","value":[{"value":"x"}]}`, `invalidSyntax: remove takes no value`},
	{"object for a list", `{"op":"add","path":"emails","value":{"value":"x"}}`, `invalidValue: want an array`},
}

func TestPatchCompat(t *testing.T) { testPatches(t, compat, compatPatches) }
func TestPatchStrict(t *testing.T) { testPatches(t, strict, strictPatches) }

func testPatches(t *testing.T, q Quirks, cases []patchCase) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := decoded(t, `{"schemas":["`+patchURN+`"],"Operations":[`+c.ops+`]}`)
			doc := decoded(t, jane)
			plan, err := normalizer{UserSchema(), q}.compile(body)
			if err == nil {
				if err = plan.apply(doc); err == nil {
					again := decoded(t, jane) // a command that lost a race does the same again
					if err := plan.apply(again); err != nil || !reflect.DeepEqual(again, doc) {
						t.Errorf("the second time\n got %s %v\nwant %s", text(again), err, text(doc))
					}
				}
			}
			if kind, part, bad := strings.Cut(c.want, ": "); bad && !strings.HasPrefix(c.want, "{") {
				e := toScim(err)
				if err == nil || string(e.ScimType) != kind || !strings.Contains(e.Detail, part) {
					t.Fatalf("patch %s\n got %v, %s\nwant %s", c.ops, err, text(doc), c.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("patch %s: %v", c.ops, err)
			}
			want := decoded(t, jane)
			for k, v := range decoded(t, c.want) {
				if want[k] = v; v == nil {
					delete(want, k)
				}
			}
			if !reflect.DeepEqual(doc, want) {
				t.Errorf("patch %s\n got %s\nwant %s", c.ops, text(doc), text(want))
			}
		})
	}
}

func decoded(t testing.TB, s string) map[string]any {
	t.Helper()
	m, err := decodeText(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return m
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestPatchMembers(t *testing.T) {
	t.Parallel()
	id := func(n int) string { return fmt.Sprintf("%032x", n) }
	a, b, c := id(1), id(2), id(3)
	one := func(id string) string { return `{"value":"` + id + `"}` }
	adds := Quirks{MembersReplaceIsAdd: true}
	lax := compat
	lax.IgnoreUnknownMembers = true
	for _, x := range []struct {
		name string
		q    Quirks
		ops  string
		want string // "+1 -2 1:Group", "=1 2", "Group=1" (all of a kind replaced), or an error
	}{
		{"add", compat, `{"op":"add","path":"members","value":[` + one(a) + `,` + one(b) + `]}`, "+1 +2"},
		{"add one object", compat, `{"op":"add","path":"members","value":` + one(a) + `}`, "+1"},
		{"add bare text", compat, `{"op":"Add","path":"members","value":"` + a + `"}`, "+1"},
		{"add with $ref null", compat, `{"op":"Add","path":"members","value":[{"$ref":null,"value":"` + a + `"}]}`, "+1"},
		{"add nobody", compat, `{"op":"add","path":"members","value":[]}`, ""},
		{"remove by filter", compat, `{"op":"remove","path":"members[value eq \"` + a + `\"]"}`, "-1"},
		{"remove by filter with or", compat, `{"op":"remove","path":"members[value eq \"` + a + `\" or value eq \"` + b + `\"]"}`, "-1 -2"},
		{"remove by value array", compat, `{"op":"Remove","path":"members","value":[` + one(a) + `]}`, "-1"},
		{"remove what cannot be an id", compat, `{"op":"remove","path":"members[value eq \"x\"]"}`, ""},
		{"remove all", compat, `{"op":"remove","path":"members"}`, "="},
		{"remove nobody", compat, `{"op":"remove","path":"members","value":[]}`, ""},
		{"an empty value is none, strict", strict, `{"op":"remove","path":"members","value":[]}`, "="},
		{"replace", compat, `{"op":"replace","path":"members","value":[` + one(a) + `]}`, "=1"},
		{"replace with nobody", compat, `{"op":"replace","path":"members","value":[]}`, "="},
		{"replace means add", adds, `{"op":"replace","path":"members","value":[` + one(a) + `]}`, "+1"},
		{"replace with nobody never means add", adds, `{"op":"replace","path":"members","value":[]}`, "="},
		{"no path", compat, `{"op":"add","value":{"members":[` + one(a) + `]}}`, "+1"},
		{"okta: remove and add", compat, `{"op":"remove","path":"members[value eq \"` + a + `\"]"},{"op":"add","path":"members","value":[{"value":"` + b + `","display":"B"}]}`, "-1 +2"},
		{"add then remove", compat, `{"op":"add","path":"members","value":[` + one(a) + `]},{"op":"remove","path":"members[value eq \"` + a + `\"]"}`, "-1"},
		{"remove then add", compat, `{"op":"remove","path":"members[value eq \"` + a + `\"]"},{"op":"add","path":"members","value":[` + one(a) + `]}`, "+1"},
		{"replace, add, remove", compat, `{"op":"replace","path":"members","value":[` + one(a) + `,` + one(b) + `]},{"op":"add","path":"members","value":[` + one(c) + `]},{"op":"remove","path":"members[value eq \"` + a + `\"]"}`, "=2 3"},
		{"add, replace", compat, `{"op":"add","path":"members","value":[` + one(a) + `]},{"op":"replace","path":"members","value":[` + one(b) + `]}`, "=2"},
		{"unknown form of id", compat, `{"op":"add","path":"members","value":[{"value":"nobody"}]}`, `invalidValue: no user or group "nobody"`},
		{"unknown form of id left out", lax, `{"op":"add","path":"members","value":[{"value":"nobody"},` + one(a) + `]}`, "+1"},
		{"nested group", compat, `{"op":"add","path":"members","value":[{"value":"` + a + `","type":"group"}]}`, "+1 1:Group"},
		{"nested group by $ref", compat, `{"op":"add","path":"members","value":[{"value":"` + a + `","$ref":"https://x/scim/v2/d/Groups/1"}]}`, "+1 1:Group"},
		{"a user by $ref", compat, `{"op":"add","path":"members","value":[{"value":"` + a + `","$ref":"../Users/1"}]}`, "+1 1:User"},
		{"type before $ref", compat, `{"op":"add","path":"members","value":[{"value":"` + a + `","type":"User","$ref":"../Groups/1"}]}`, "+1 1:User"},
		{"another type", compat, `{"op":"add","path":"members","value":[{"value":"` + a + `","type":"Robot"}]}`, "+1"},
		{"another type, strict", strict, `{"op":"add","path":"members","value":[{"value":"` + a + `","type":"Robot"}]}`, "invalidValue: the type is"},
		{"remove all groups", compat, `{"op":"remove","path":"members[type eq \"Group\"]"}`, "Group="},
		{"remove all groups, then all users", compat, `{"op":"remove","path":"members[type eq \"Group\"]"},{"op":"remove","path":"members[type eq \"User\"]"}`, "="},
		{"remove all of one or the other", compat, `{"op":"remove","path":"members[type eq \"Group\" or type eq \"user\"]"}`, "="},
		{"remove all groups, then add", compat, `{"op":"remove","path":"members[type eq \"Group\"]"},{"op":"add","path":"members","value":[` + one(a) + `]},{"op":"remove","path":"members[value eq \"` + b + `\"]"}`, "Group=1 -2"},
		{"remove a group by value and type", compat, `{"op":"remove","path":"members[type eq \"Group\" and value eq \"` + a + `\"]"}`, "-1 1:Group"},
		{"remove a user or a group", compat, `{"op":"remove","path":"members[value eq \"` + b + `\" or type eq \"Group\" and value eq \"` + a + `\"]"}`, "-2 -1 1:Group"},
		{"add a user, remove it as a group", compat, `{"op":"add","path":"members","value":[{"value":"` + a + `","type":"User"}]},{"op":"remove","path":"members[value eq \"` + a + `\" and type eq \"Group\"]"}`, "+1 1:User"},
		{"add a user and a group, remove all groups", compat, `{"op":"add","path":"members","value":[{"value":"` + a + `","type":"User"},{"value":"` + b + `","type":"Group"}]},{"op":"remove","path":"members[type eq \"Group\"]"}`, "Group=1 -2 1:User 2:Group"},
		{"replace, remove all groups", compat, `{"op":"replace","path":"members","value":[{"value":"` + a + `","type":"User"},{"value":"` + b + `","type":"Group"}]},{"op":"remove","path":"members[type eq \"Group\"]"}`, "=1 1:User 2:Group"},
		{"add somebody, remove all groups", compat, `{"op":"add","path":"members","value":[` + one(a) + `]},{"op":"remove","path":"members[type eq \"Group\"]"}`, "invalidFilter: without a type"},
		{"add somebody, remove it as a group", compat, `{"op":"add","path":"members","value":[` + one(a) + `]},{"op":"remove","path":"members","value":[{"value":"` + a + `","type":"Group"}]}`, "invalidFilter: without a type"},
		{"remove what is of another type", compat, `{"op":"remove","path":"members[type ne \"Group\"]"}`, "invalidFilter: members are chosen by value"},
		{"remove two at once", compat, `{"op":"remove","path":"members[value eq \"` + a + `\" and value eq \"` + b + `\"]"}`, "invalidFilter: members are chosen by value"},
		{"no value", compat, `{"op":"add","path":"members","value":[{"display":"x"}]}`, `invalidValue: has no \"value\"`},
		{"filter on the name", compat, `{"op":"remove","path":"members[display eq \"x\"]"}`, "invalidFilter: members are chosen by value"},
		{"a member's name", compat, `{"op":"replace","path":"members[value eq \"` + a + `\"].display","value":"x"}`, "mutability: read-only"},
		{"add with a filter", compat, `{"op":"add","path":"members[value eq \"` + a + `\"]","value":{}}`, "invalidPath: without a filter"},
		{"strict: remove with a value", strict, `{"op":"remove","path":"members","value":[` + one(a) + `]}`, "invalidSyntax: remove takes no value"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			plan, err := normalizer{GroupSchema(), x.q}.compile(decoded(t, `{"schemas":["`+patchURN+`"],"Operations":[`+x.ops+`]}`))
			if kind, part, bad := strings.Cut(x.want, ": "); bad {
				e := toScim(err)
				if err == nil || string(e.ScimType) != kind || !strings.Contains(e.Detail, strings.ReplaceAll(part, `\"`, `"`)) {
					t.Fatalf("patch %s\n got %v\nwant %s", x.ops, err, x.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("patch %s: %v", x.ops, err)
			}
			var ch store.GroupChange
			plan.members.into(&ch)
			if got := memberText(ch); got != x.want {
				t.Errorf("patch %s = %q, want %q", x.ops, got, x.want)
			}
		})
	}
}

func memberText(ch store.GroupChange) string {
	short := func(id store.UserID) string { return strings.TrimLeft(string(id), "0") }
	var parts []string
	if ch.Replace != nil {
		var all []string
		for _, id := range *ch.Replace {
			all = append(all, short(id))
		}
		parts = append(parts, string(ch.Of)+"="+strings.Join(all, " "))
	}
	for _, id := range ch.Remove {
		parts = append(parts, "-"+short(id))
	}
	for _, id := range ch.Add {
		parts = append(parts, "+"+short(id))
	}
	for _, id := range slices.Sorted(maps.Keys(ch.Said)) {
		if ch.Said[id] != "" {
			parts = append(parts, short(id)+":"+string(ch.Said[id]))
		}
	}
	return strings.Join(parts, " ")
}

// A body of the allowed size that asks for as much work as it can is answered in time.
func TestPatchWork(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = `{"value":"v` + itoa(i) + `"}`
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	add := `{"op":"add","path":"emails","value":` + many(maxValues-2) + `}`
	long := `{"op":"replace","path":"emails[` + strings.Repeat(`value eq \"x\" or `, 250) + `type eq \"work\"].display","value":"x"}`
	for _, c := range []struct{ name, ops, want string }{
		{"adding again and again", strings.Repeat(add+",", 150) + add, ""},
		{"long filters", add + strings.Repeat(","+long, 500), "too much to look at"},
		{"too many steps", strings.Repeat(`{"op":"remove","path":"title"},`, maxSteps) + `{"op":"remove","path":"title"}`, "more than 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan, err := normalizer{UserSchema(), compat}.compile(decoded(t, patchBody(c.ops)))
			if err == nil {
				err = plan.apply(decoded(t, jane))
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A copy that shares with the document what the plan leaves alone ends as a whole copy does, and
// the document stays as it was.
func TestPatchLeavesTheDocumentAlone(t *testing.T) {
	t.Parallel()
	c := Compile(coreUser(), Extension{Schema: enterpriseUser()}, Extension{Schema: allTypes()})
	keep := compat
	keep.UnknownAttributes = storeIt
	ops := []string{`{"op":"add","path":"shoeSize","value":9}`, `{"op":"replace","path":"name.pet","value":"x"}`, `{"op":"remove","path":"urn:example:all"}`,
		`{"op":"replace","path":"urn:example:all:grade","value":3}`, `{"op":"add","path":"urn:example:all:tags","value":["y"]}`, `{"op":"remove","path":"emails[type eq \"work\"].value"}`}
	for _, p := range append(compatPatches, strictPatches...) {
		if p.ops != "" {
			ops = append(ops, p.ops)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	changed := 0
	for range 20_000 {
		was := decoded(t, jane)
		for _, a := range c.Attrs {
			if r.IntN(3) == 0 && a.URN != userURN {
				container(was, a, true)[a.Name] = valueFor(a, false)
			}
		}
		body := ops[r.IntN(len(ops))]
		for range r.IntN(3) {
			body += "," + ops[r.IntN(len(ops))]
		}
		q := []Quirks{compat, strict, keep}[r.IntN(3)]
		plan, err := normalizer{c, q}.compile(decoded(t, `{"schemas":["`+patchURN+`"],"Operations":[`+body+`]}`))
		if err != nil {
			continue
		}
		whole, before := fresh(was).(map[string]any), text(was)
		got := plan.copied(was)
		wantErr, gotErr := plan.apply(whole), plan.apply(got)
		if text(was) != before {
			t.Fatalf("patch %s changed the document itself\n got %s\nwant %s", body, text(was), before)
		}
		if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || gotErr == nil && !reflect.DeepEqual(got, whole) {
			t.Fatalf("patch %s of %s\n got %s %v\nwant %s %v", body, before, text(got), gotErr, text(whole), wantErr)
		}
		if gotErr == nil && text(got) != before {
			changed++
		}
	}
	if changed < 1_000 {
		t.Errorf("%d changed something: too few to tell", changed)
	}
}
