package conform

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// The schemas of tiny, and what follows from them: which values it takes, what a
// filter finds, what a PATCH does.

func attr(name, kind string, more string, subs ...string) string {
	text := fmt.Sprintf(`{"name":%q,"type":%q,"multiValued":false,"required":false,"caseExact":false,"mutability":"readWrite","returned":"default","uniqueness":"none"`, name, kind)
	if len(subs) > 0 {
		text += `,"subAttributes":[` + strings.Join(subs, ",") + `]`
	}
	if more != "" {
		text += "," + more // a later key wins
	}
	return text + "}"
}

func schemaText(urn string, attributes ...string) string {
	return fmt.Sprintf(`{"schemas":[%q],"id":%q,"attributes":[%s]}`, schemaURN, urn, strings.Join(attributes, ","))
}

const tinyRoleURN = "urn:example:Role"

const many = `"multiValued":true`

var tinySchemaTexts = []string{
	schemaText(userURN, attr("userName", "string", `"required":true,"uniqueness":"server"`), attr("displayName", "string", ""), attr("title", "string", ""), attr("nickName", "string", ""),
		attr("badge", "string", `"mutability":"immutable","caseExact":true`), attr("hint", "string", `"returned":"request"`), attr("stamp", "string", `"returned":"always"`),
		attr("code", "string", `"uniqueness":"server","caseExact":true`), attr("number", "string", `"mutability":"readOnly"`), attr("userType", "string", `"canonicalValues":["staff","guest"]`),
		attr("active", "boolean", ""), attr("password", "string", `"mutability":"writeOnly","returned":"never"`),
		attr("name", "complex", "", attr("givenName", "string", ""), attr("familyName", "string", "")),
		attr("emails", "complex", many, attr("value", "string", ""), attr("display", "string", ""), attr("type", "string", `"canonicalValues":["work","home"]`), attr("primary", "boolean", "")),
		attr("groups", "complex", many+`,"mutability":"readOnly"`, attr("value", "string", `"mutability":"readOnly"`), attr("type", "string", `"mutability":"readOnly","canonicalValues":["direct","indirect"]`))),
	schemaText(groupURN, attr("displayName", "string", `"required":true,"uniqueness":"server"`), attr("members", "complex", many, attr("value", "string", `"mutability":"immutable"`), attr("$ref", "reference", `"referenceTypes":["User","Group"]`), attr("type", "string", `"canonicalValues":["User","Group"]`))),
	schemaText(enterpriseURN, attr("department", "string", ""), attr("employeeNumber", "string", "")),
	schemaText(tinyRoleURN, attr("displayName", "string", `"required":true,"mutability":"readOnly"`)),
	schemaText(configURN, attr("patch", "complex", "", attr("supported", "boolean", ""))),
	schemaText(typeURN, attr("name", "string", "")),
	schemaText(schemaURN, attr("name", "string", "")),
}

var tinySchemas = func() map[string]schemaDoc {
	read := func(i int) (s schemaDoc) {
		if err := json.Unmarshal([]byte(tinySchemaTexts[i]), &s); err != nil {
			panic(err)
		}
		return s
	}
	return map[string]schemaDoc{"Users": read(0), "Groups": read(1), enterpriseURN: read(2)}
}()

func lookup(attributes []attribute, name string) (attribute, bool) {
	for _, a := range attributes {
		if strings.EqualFold(a.Name, name) {
			return a, true
		}
	}
	return attribute{}, false
}

// clean checks a document and leaves out what cannot be written.
func (s *tiny) clean(kind string, doc object, whole bool) object {
	out := object{}
	take := func(to object, attributes []attribute, from object) {
		for name, v := range from {
			if a, ok := lookup(attributes, name); ok && (a.Mutability != "readOnly" || s.is("readonly-posted")) && !empty(v) {
				to[a.Name] = s.value(a, v)
			}
		}
	}
	take(out, tinySchemas[kind].Attributes, doc)
	if e, ok := doc["externalId"].(string); ok {
		out["externalId"] = e
	}
	if ext, ok := doc[enterpriseURN].(object); ok && kind == "Users" {
		to := object{}
		take(to, tinySchemas[enterpriseURN].Attributes, ext)
		if len(to) > 0 {
			out[enterpriseURN] = to
		}
	}
	if name, _ := out[naming(kind)].(string); name == "" && whole && !s.is("required-missing") {
		panic(oops{400, "invalidValue"})
	}
	if kind == "Users" && out["active"] == nil {
		out["active"] = true
	}
	return out
}

// value checks one value of an attribute.
func (s *tiny) value(a attribute, v any) any {
	bad := oops{400, "invalidValue"}
	if l, ok := v.([]any); ok != a.MultiValued {
		panic(bad)
	} else if ok {
		single := a
		single.MultiValued = false
		out := []any{}
		for _, one := range l {
			one = s.value(single, one)
			if !contains(out, one) {
				out = append(out, one)
			}
		}
		return out
	}
	switch a.Type {
	case "complex":
		o, ok := v.(object)
		if !ok {
			panic(bad)
		}
		out := object{}
		for name, one := range o {
			if sub, ok := a.sub(name); ok && one != nil {
				out[sub.Name] = s.value(sub, one)
			}
		}
		if a.Name == "members" {
			s.member(out, bad)
		}
		return out
	case "boolean":
		if text, ok := v.(string); ok && s.lenient {
			return strings.EqualFold(text, "true") || s.is("text-booleans-lie")
		}
		if _, ok := v.(bool); !ok && !s.is("type-loose") {
			panic(bad)
		}
	default:
		text, ok := v.(string)
		if !ok {
			panic(bad)
		}
		if len(a.CanonicalValues) > 0 && !slices.Contains(a.CanonicalValues, text) && s.is("canonical-only") {
			return a.CanonicalValues[0]
		}
	}
	return v
}

var patchPath = regexp.MustCompile(`^(?:(urn:[^\[\]]*):)?([$\w]+)(?:\[(.*)\])?(?:\.([$\w]+))?$`)

func (s *tiny) patch(w http.ResponseWriter, r *http.Request, kind string, rec *record) {
	body := s.body(r)
	ops := list(body["Operations"])
	if !contains(list(body["schemas"]), patchURN) || len(ops) == 0 {
		panic(oops{400, "invalidSyntax"})
	}
	doc := deepCopy(rec.doc)
	if s.is("patch-partial") {
		doc = rec.doc
	}
	for i, o := range ops {
		op, _ := pick(o, "/op").(string)
		path, _ := pick(o, "/path").(string)
		if op = strings.ToLower(op); op != "add" && op != "replace" && op != "remove" {
			panic(oops{400, "invalidSyntax"})
		}
		if i > 0 && s.is("first-only") {
			break
		}
		if path != "" {
			s.operation(kind, doc, op, path, pick(o, "/value"))
			continue
		}
		values, ok := pick(o, "/value").(object)
		if op == "remove" || !ok {
			panic(oops{400, "noTarget"})
		}
		if kind == "Groups" && s.is("update-wipes") {
			delete(doc, "members")
		}
		for name, v := range values {
			if !s.lenient || name != "schemas" && name != "id" {
				s.operation(kind, doc, op, name, v)
			}
		}
	}
	if _, renamed := pick(ops[0], "/path").(string); kind == "Groups" && renamed && s.is("members-wiped") && pick(ops[0], "/path") == "displayName" {
		delete(doc, "members")
	}
	if kind == "Users" && doc["active"] == nil {
		doc["active"] = true
	}
	s.unique(kind, &record{doc: doc}, rec)
	s.circle(rec.id, doc)
	if !s.is("patch-lie") {
		s.store(rec, doc)
	}
	if s.is("patch-empty") {
		w.WriteHeader(204)
		return
	}
	s.show(w, r, 200, kind, rec)
}

func deepCopy(o object) (out object) {
	d := json.NewDecoder(strings.NewReader(encode(o)))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	return out
}

// operation does one operation to doc.
func (s *tiny) operation(kind string, doc object, op, path string, v any) {
	m := patchPath.FindStringSubmatch(path)
	if m == nil {
		panic(oops{400, "invalidPath"})
	}
	target, attributes := doc, tinySchemas[kind].Attributes
	if strings.EqualFold(m[1], enterpriseURN) {
		attributes = tinySchemas[enterpriseURN].Attributes
		ext, ok := doc[enterpriseURN].(object)
		if !ok {
			ext = object{}
		}
		target = ext
		defer func() {
			if doc[enterpriseURN] = ext; len(ext) == 0 {
				delete(doc, enterpriseURN)
			}
		}()
	}
	a, ok := lookup(attributes, m[2])
	if m[2] == "externalId" {
		a, ok = attribute{Name: "externalId", Type: "string"}, true
	}
	if a.Mutability == "immutable" && target[a.Name] != nil && !(op != "remove" && agree(target[a.Name], v)) && !s.is("immutable-patched") {
		panic(oops{400, "mutability"})
	}
	if sub, ok := a.sub(m[4]); ok && sub.Mutability == "immutable" && m[3] != "" && !s.is("member-swapped") {
		panic(oops{400, "mutability"})
	}
	readOnly := m[2] == "id" || m[2] == "meta" || a.Mutability == "readOnly"
	if readOnly && !s.is("readonly-taken") {
		panic(oops{400, "mutability"})
	}
	if !ok {
		return // unknown attributes are ignored
	}
	if op == "remove" && a.Required && !s.is("required-removed") || op != "remove" && v == nil && a.Required {
		panic(oops{400, "mutability"})
	}
	if op == "remove" && s.lenient && !empty(v) && !s.is("remove-value-all") {
		gone := list(s.value(a, v))
		target[a.Name] = slices.DeleteFunc(slices.Clone(list(target[a.Name])), func(e any) bool { return contains(gone, e) })
		return
	}
	if op == "remove" {
		v = nil
	}
	switch {
	case m[3] != "":
		s.elements(kind, target, a, m[3], m[4], op, v)
	case m[4] != "":
		sub, _ := a.sub(m[4])
		o, _ := target[a.Name].(object)
		o = maps.Clone(o)
		if o == nil {
			o = object{}
		}
		if delete(o, sub.Name); v != nil {
			o[sub.Name] = s.value(sub, v)
		}
		if target[a.Name] = o; len(o) == 0 {
			delete(target, a.Name)
		}
	case empty(v):
		delete(target, a.Name)
	case (op == "add" || s.is("replace-adds")) && a.MultiValued:
		s.add(target, a, list(s.value(a, v)))
	case op == "add" && a.Type == "complex":
		o, _ := target[a.Name].(object)
		merged := object{}
		maps.Copy(merged, o)
		maps.Copy(merged, s.value(a, v).(object))
		target[a.Name] = merged
	default:
		target[a.Name] = s.value(a, v)
	}
}

// add appends elements that are not there; a new primary takes the mark.
func (s *tiny) add(target object, a attribute, values []any) {
	all := slices.Clone(list(target[a.Name]))
	for _, v := range values {
		if contains(all, v) && !s.is("add-twice") {
			continue
		}
		s.unmark(all, v)
		all = append(all, v)
	}
	target[a.Name] = all
}

func (s *tiny) unmark(all []any, by any) {
	for _, one := range all {
		if o, ok := one.(object); ok && pick(by, "/primary") == true && o["primary"] == true && !s.is("two-primaries") {
			o["primary"] = false
		}
	}
}

// elements changes the elements that a filter chooses.
func (s *tiny) elements(kind string, target object, a attribute, filter, sub, op string, v any) {
	match := s.parseFilter(kind, a.Name+"["+filter+"]")
	out, hit := []any{}, false
	for _, one := range list(target[a.Name]) {
		o := maps.Clone(one.(object))
		if !match(object{a.Name: []any{o}}) && !s.is("remove-all") {
			out = append(out, o)
			continue
		}
		hit = true
		if sub == "" && op == "remove" {
			continue
		}
		if delete(o, sub); v != nil {
			s.unmark(out, object{sub: v})
			o[sub] = v
		}
		out = append(out, o)
	}
	if !hit && op != "remove" {
		panic(oops{400, "noTarget"})
	}
	target[a.Name] = out
}
