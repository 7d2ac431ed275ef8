package scim

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	scimerr "github.com/elimity-com/scim/errors"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store/storetest"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	const head = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"jane"`
	for _, c := range []struct {
		name string
		q    Quirks
		in   string
		want string // the document, or "scimType: part of the sentence"
	}{
		{"least", strict, head, `{"userName":"jane"}`},
		{"names in any case", compat, head + `,"DISPLAYNAME":"J","Name":{"GivenName":"Jane"}`, `{"userName":"jane","displayName":"J","name":{"givenName":"Jane"}}`},
		{"read-only is dropped", strict, head + `,"id":"7","meta":{"version":"x"},"groups":[{"value":"g"}]`, `{"userName":"jane"}`},
		{"null and [] are absent", strict, head + `,"title":null,"emails":[],"name":{"givenName":null}`, `{"userName":"jane"}`},
		{"empty text is absent in compat", compat, head + `,"title":"","name":{"givenName":""}`, `{"userName":"jane"}`},
		{"empty text stays in strict", strict, head + `,"title":""`, `{"userName":"jane","title":""}`},
		{"externalId", strict, head + `,"externalId":"E1"`, `{"userName":"jane","externalId":"E1"}`},
		{"nested extension", strict, head + `,"` + ext + `":{"department":"HR"}`, `{"userName":"jane","` + ext + `":{"department":"HR"}}`},
		{"extension URN in other case", compat, head + `,"` + strings.ToUpper(ext) + `":{"DEPARTMENT":"HR"}`, `{"userName":"jane","` + ext + `":{"department":"HR"}}`},
		{"flat extension", compat, head + `,"` + ext + `:department":"HR"`, `{"userName":"jane","` + ext + `":{"department":"HR"}}`},
		{"flat with a dot", compat, head + `,"` + ext + `.department":"HR"`, `{"userName":"jane","` + ext + `":{"department":"HR"}}`},
		{"flat sub-attribute", compat, head + `,"` + ext + `:manager.value":"m"`, `{"userName":"jane","` + ext + `":{"manager":{"value":"m"}}}`},
		{"dotted", compat, head + `,"name.givenName":"J","name.familyName":"D"`, `{"userName":"jane","name":{"givenName":"J","familyName":"D"}}`},
		{"dotted beside nested", compat, head + `,"name":{"givenName":"J"},"name.familyName":"D"`, `{"userName":"jane","name":{"givenName":"J","familyName":"D"}}`},
		{"twice in two spellings", compat, head + `,"name":{"givenName":"J"},"name.givenName":"K"`, `invalidSyntax: a second time`},
		{"empty extension", compat, head + `,"` + ext + `":{}`, `{"userName":"jane"}`},
		{"misspelt extension is passed over", compat, head + `,"urn:ietf:params:scim:schemas:extension:enterprise:2.0User":{"department":"HR"}`, `{"userName":"jane"}`},
		{"one object for a list", compat, head + `,"emails":{"value":"a@b"}`, `{"userName":"jane","emails":[{"value":"a@b"}]}`},
		{"one text for a list", compat, head + `,"emails":"a@b"`, `{"userName":"jane","emails":[{"value":"a@b"}]}`},
		{"texts for a list", compat, head + `,"emails":["a@b","c@d"]`, `{"userName":"jane","emails":[{"value":"a@b"},{"value":"c@d"}]}`},
		{"element without its value", compat, head + `,"phoneNumbers":[{"type":"mobile","value":""},{"type":"work","value":"1"}]`, `{"userName":"jane","phoneNumbers":[{"type":"work","value":"1"}]}`},
		{"text booleans", compat, head + `,"active":"False","emails":[{"value":"a","primary":"True"}]`, `{"userName":"jane","active":false,"emails":[{"value":"a","primary":true}]}`},
		{"manager as text", compat, head + `,"` + ext + `":{"manager":"m"}`, `{"userName":"jane","` + ext + `":{"manager":{"value":"m"}}}`},
		{"manager at the root is unknown", compat, head + `,"manager":null`, `{"userName":"jane"}`},
		{"password is dropped", compat, head + `,"password":"x"`, `{"userName":"jane"}`},
		{"unknown is passed over", compat, head + `,"shoeSize":9,"name":{"pet":"x","givenName":"J"}`, `{"userName":"jane","name":{"givenName":"J"}}`},
		{"foreign schema", compat, `"schemas":["urn:scim:schemas:core:1.0"],"userName":"jane"`, `{"userName":"jane"}`},
		{"schema in other case", strict, `"schemas":["URN:ietf:params:scim:schemas:core:2.0:user"],"userName":"jane"`, `{"userName":"jane"}`},

		{"no schemas", compat, `"userName":"jane"`, `invalidSyntax: "schemas" is missing`},
		{"schemas of numbers", compat, `"schemas":[1],"userName":"jane"`, `invalidSyntax: list of strings`},
		{"foreign schema, strict", strict, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:x"],"userName":"jane"`, `invalidSyntax: is not a schema`},
		{"without the core schema, strict", strict, `"schemas":["` + ext + `"],"userName":"jane"`, `invalidSyntax: must contain`},
		{"no userName", compat, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`, `invalidValue: userName is required`},
		{"empty userName", compat, `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":""`, `invalidValue: userName is required`},
		{"unknown, strict", strict, head + `,"shoeSize":9`, `invalidSyntax: "shoeSize" is not an attribute`},
		{"unknown inside, strict", strict, head + `,"name":{"pet":"x"}`, `invalidSyntax: "name.pet" is not an attribute`},
		{"unknown in the extension, strict", strict, head + `,"` + ext + `":{"pet":"x"}`, `invalidSyntax: pet" is not an attribute`},
		{"password, strict", strict, head + `,"password":"x"`, `invalidSyntax: password is not accepted`},
		{"text boolean, strict", strict, head + `,"active":"true"`, `invalidValue: active is a boolean`},
		{"other text for a boolean", compat, head + `,"active":"yes"`, `invalidValue: active is a boolean`},
		{"number for text", compat, head + `,"title":7`, `invalidValue: title is a string`},
		{"object for text", compat, head + `,"title":{"a":1}`, `invalidValue: title is a string`},
		{"text for an object", compat, head + `,"name":"Jane"`, `invalidValue: name has sub-attributes`},
		{"text for an extension", compat, head + `,"` + ext + `":"x"`, `invalidValue: want an object`},
		{"two primaries", compat, head + `,"emails":[{"value":"a","primary":true},{"value":"b","primary":true}]`, `invalidValue: emails has more than one primary`},
		{"too many values", compat, head + `,"emails":[` + strings.Repeat(`"x",`, maxValues) + `"x"]`, `invalidValue: at most 1000`},
		{"bad base64", compat, head + `,"x509Certificates":[{"value":"%%%"}]`, `invalidValue: x509Certificates.value is a binary`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := normalizer{UserSchema(), c.q}.resource(decoded(t, "{"+c.in+"}"))
			if kind, part, bad := strings.Cut(c.want, ": "); bad && !strings.HasPrefix(c.want, "{") {
				e := toScim(err)
				if err == nil || string(e.ScimType) != kind || !strings.Contains(e.Detail, part) {
					t.Fatalf("normalize {%.200s}\n got %v\nwant %s", c.in, err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("normalize {%.200s}: %v", c.in, err)
			}
			if want := decoded(t, c.want); !reflect.DeepEqual(map[string]any(got), want) {
				t.Errorf("normalize {%.200s}\n got %s\nwant %s", c.in, text(got), text(want))
			}
		})
	}
}

func TestQuirksOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		vendor, mode, own string
		check             func(Quirks) bool
		bad               string
	}{
		{"entra", "compat", ``, func(q Quirks) bool { return q == compat }, ""},
		{"Okta", "compat", `{}`, func(q Quirks) bool { return !q.UnquotedFilterValues && q.PasswordHandling == ignoreIt }, ""},
		{"okta", "strict", ``, func(q Quirks) bool { return q == strict }, ""},
		{"custom", "compat", `{"membersReplaceIsAdd":true,"patchResponse":"204"}`, func(q Quirks) bool { return q.MembersReplaceIsAdd && q.PatchResponse == "204" && q.StringBooleans }, ""},
		{"custom", "strict", `{"deleteMeans":"deactivate"}`, func(q Quirks) bool { return q.DeleteMeans == deleteDeletes }, ""},
		{"custom", "compat", `{"passwordHandling":"store"}`, func(q Quirks) bool { return q.PasswordHandling == storeIt }, ""},
		{"custom", "strict", `{"passwordHandling":"store"}`, nil, "passwordHandling"},
		{"custom", "compat", `{"passwordHandling":"keep"}`, nil, "passwordHandling"},
		{"custom", "compat", `{"colour":"red"}`, nil, "colour"},
		{"custom", "compat", `[`, nil, "cannot be read"},
	} {
		q, err := QuirksOf(c.vendor, c.mode, []byte(c.own))
		switch {
		case c.bad != "" && (!fault.Is(err, fault.Invalid) || fault.Field(err) != "quirks" || !strings.Contains(fault.Public(err), c.bad)):
			t.Errorf("QuirksOf(%s, %s, %s) = %v, want Invalid on quirks with %q", c.vendor, c.mode, c.own, err, c.bad)
		case c.bad == "" && (err != nil || !c.check(q)):
			t.Errorf("QuirksOf(%s, %s, %s) = %+v, %v", c.vendor, c.mode, c.own, q, err)
		}
	}
}

// Every kind of fault has a status here, and only internal ones hide their text.
func TestFaultKinds(t *testing.T) {
	t.Parallel()
	want := map[fault.Kind]struct {
		status int
		kind   scimerr.ScimType
	}{
		fault.Internal: {500, ""}, fault.Invalid: {400, "invalidValue"}, fault.NotFound: {404, ""},
		fault.Conflict: {409, "uniqueness"}, fault.Denied: {403, ""}, fault.SignIn: {401, ""},
		fault.Expired: {401, ""}, fault.TooMany: {429, ""}, fault.Unavailable: {503, ""},
	}
	for _, k := range fault.Kinds() {
		w, ok := want[k]
		err := k.Wrap(errors.New("secret cause"), "A sentence.")
		if k == fault.Internal {
			err = errors.New("secret cause")
		}
		got := toScim(err)
		if !ok || got.Status != w.status || got.ScimType != w.kind {
			t.Errorf("%s: got %d %q, want %d %q", k, got.Status, got.ScimType, w.status, w.kind)
		}
		if strings.Contains(got.Detail, "secret cause") || got.Detail == "" {
			t.Errorf("%s: the sentence is %q", k, got.Detail)
		}
	}
	if got := toScim(fault.Conflict.On("version", "It changed.")); got.Status != 409 || got.ScimType != "" {
		t.Errorf("version conflict: got %d %q, want 409 without scimType", got.Status, got.ScimType)
	}
	if got := toScim(fault.Conflict.On("userName", "Taken.")); got.Detail != "userName: Taken." {
		t.Errorf("the attribute is not named: %q", got.Detail)
	}
}

// A password that is left out is still text, as everything else is of its type.
func TestPasswordsThatAreLeftOutAreText(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	d.refused(400, "invalidValue", "password", "POST", "/Users", userBody("a", `"password":{"x":7}`))
	id := d.user("jane", `"password":"Hunter22"`)
	d.refused(400, "invalidValue", "password", "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"password","value":7}`))
	d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"password","value":"x"}`))
}
