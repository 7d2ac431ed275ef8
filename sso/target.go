package sso

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/store"
)

// Target is an attribute of a person that a sign-in can fill.
type Target struct {
	Name  string // name.givenName, department, or URN:name of the organization's own
	Label string
	First bool // filled when the account is made, and never again
	Many  bool // takes all values as a list

	path []string
	kind string // of the schema; "string" for the core ones
	own  bool
	hide bool // nobody is shown the value
}

func core(label, name string) Target {
	return Target{Name: name, Label: label, path: strings.Split(name, "."), kind: "string"}
}

func enterprise(label, name string) Target {
	return Target{Name: name, Label: label, path: []string{store.EnterpriseURN, name}, kind: "string"}
}

func first(t Target) Target { t.First = true; return t }

// coreTargets are the attributes of RFC 7643 §4.1 and §4.3 that a provider may know.
var coreTargets = []Target{
	first(core("User name", "userName")), first(core("E-mail address", "emails")),
	core("First name", "name.givenName"), core("Last name", "name.familyName"), core("Middle name", "name.middleName"),
	core("Title of address", "name.honorificPrefix"), core("Suffix", "name.honorificSuffix"),
	core("Shown as", "displayName"), core("Nickname", "nickName"), core("Title", "title"), core("Type", "userType"),
	core("Phone", "phoneNumbers"), core("Preferred language", "preferredLanguage"), core("Locale", "locale"), core("Time zone", "timezone"),
	core("Profile page", "profileUrl"),
	enterprise("Department", "department"), enterprise("Division", "division"), enterprise("Organization", "organization"),
	enterprise("Cost center", "costCenter"), enterprise("Employee number", "employeeNumber"),
}

// TargetsIn are all attributes that a sign-in of the organization can fill.
func TargetsIn(tx *store.Tx) ([]Target, error) {
	d, err := tx.Definitions()
	if err != nil {
		return nil, err
	}
	list := slices.Clone(coreTargets)
	for _, s := range d.Of(store.UserResource) {
		for _, a := range s.Attributes {
			if a.Type == "complex" || a.Type == "binary" || a.Mutability == "readOnly" || a.Mutability == "immutable" {
				continue
			}
			list = append(list, Target{Name: s.URN + ":" + a.Name, Label: a.Name, Many: a.MultiValued, path: []string{s.URN, a.Name}, kind: a.Type, own: true, hide: a.Secret()})
		}
	}
	return list, nil
}

func targetNamed(list []Target, name string) (Target, bool) {
	at := slices.IndexFunc(list, func(t Target) bool { return strings.EqualFold(t.Name, name) })
	if at < 0 {
		return Target{}, false
	}
	return list[at], true
}

// text is the value in a document as people read it.
func (t Target) text(doc store.Doc) string {
	switch t.Name {
	case "emails", "phoneNumbers":
		p := profileIn(doc)
		return map[string]string{"emails": p.Email, "phoneNumbers": p.Phone}[t.Name]
	}
	var at any = map[string]any(doc)
	for _, name := range t.path {
		m, _ := at.(map[string]any)
		at = m[name]
	}
	switch v := at.(type) {
	case nil:
		return ""
	case []any:
		words := make([]string, len(v))
		for i, e := range v {
			words[i] = fmt.Sprint(e)
		}
		return strings.Join(words, ", ")
	}
	return fmt.Sprint(at)
}

func profileIn(doc store.Doc) store.Profile {
	raw, err := json.Marshal(doc)
	if err != nil {
		return store.Profile{}
	}
	return store.User{Doc: raw}.Profile()
}

// shown is text, unless nobody may see it.
func (t Target) shown(text string) string {
	if t.hide && text != "" {
		return "(not shown)"
	}
	return text
}

// put writes values into a document. The error says in a few words why they cannot
// be stored.
func (t Target) put(doc store.Doc, values []string) error {
	list := make([]any, 0, len(values))
	for _, v := range values {
		typed, err := t.typed(v)
		if err != nil {
			return err
		}
		list = append(list, typed)
	}
	var value any = list
	if !t.Many {
		value = list[0]
		if t.kind == "string" {
			value = strings.Join(values, ", ")
		}
	}
	switch t.Name {
	case "emails", "phoneNumbers":
		p := profileIn(doc)
		if t.Name == "emails" {
			p.Email = fmt.Sprint(value)
		} else {
			p.Phone = fmt.Sprint(value)
		}
		p.Apply(doc)
		return nil
	}
	at := map[string]any(doc)
	for _, name := range t.path[:len(t.path)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	at[t.path[len(t.path)-1]] = value
	if t.Name == "name.givenName" || t.Name == "name.familyName" {
		delete(at, "formatted") // it would say the old name
	}
	return nil
}

const maxValue = 1000 // bytes

// typed is a value in the attribute's type.
func (t Target) typed(v string) (any, error) {
	if len(v) > maxValue || !cleanText(v) {
		return nil, fmt.Errorf("it is longer than %d bytes or holds control characters", maxValue)
	}
	switch t.kind {
	case "boolean":
		switch strings.ToLower(v) {
		case "true", "1", "yes":
			return true, nil
		case "false", "0", "no":
			return false, nil
		}
		return nil, fmt.Errorf("%q is neither true nor false", v)
	case "integer":
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", v)
		}
		return json.Number(strconv.FormatInt(n, 10)), nil
	case "decimal":
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !json.Valid([]byte(v)) {
			return nil, fmt.Errorf("%q is not a number", v)
		}
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
	case "dateTime":
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return nil, fmt.Errorf("%q is not a time like 2026-01-31T12:00:00Z", v)
		}
		return at.UTC().Format(time.RFC3339Nano), nil
	}
	return v, nil
}
