package store

import (
	"regexp"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

// What a definition may be. The words are RFC 7643 §2 and §7.

const (
	maxSchemas    = 20
	maxAttributes = 100 // of one schema
	maxSubs       = 20
	maxIndexed    = 20 // of one resource type: each costs a row for each value at every write
	maxCanonical  = 100
	maxWord       = 60 // a name
)

var (
	attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9$_-]*$`)
	// RFC 8141 §2 without percent-encoding, quotes and question marks.
	urnForm   = regexp.MustCompile(`^(?i:urn):[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]:[A-Za-z0-9][A-Za-z0-9:._@=+~$-]*[A-Za-z0-9]$`)
	types     = []string{"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"}
	mutable   = []string{"readWrite", "readOnly", "immutable", "writeOnly"}
	returneds = []string{"default", "always", "never", "request"}
	uniques   = []string{"none", "server"}
)

// reservedURNs belong to the standard: what they mean is not ours to change.
var reservedURNs = []string{"urn:ietf:params:scim:schemas:core:", "urn:ietf:params:scim:api:", EnterpriseURN}

// check makes a schema complete and refuses what cannot be served. Faults: Invalid.
func (s *Schema) check() error {
	s.URN, s.Name, s.Description = strings.TrimSpace(s.URN), strings.TrimSpace(s.Name), strings.TrimSpace(s.Description)
	switch {
	case !urnForm.MatchString(s.URN) || len(s.URN) > 200:
		return fault.Invalid.On("id", "%.220q is not a URN that a schema can have. Write it like urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User, at most 200 letters, digits and : . - _ long.", s.URN)
	case s.Resource == "":
		return fault.Invalid.On("resourceType", "It is not said what %s adds to. Say User or Group, or let the URN end in :User or :Group.", s.URN)
	case s.Resource != UserResource && s.Resource != GroupResource:
		return fault.Invalid.On("resourceType", "There is no resource type %.60q that can be extended, only User and Group.", s.Resource)
	case len(s.Attributes) > maxAttributes:
		return fault.Invalid.On("attributes", "%s has %d attributes; a schema can have %d. Make a second schema.", s.URN, len(s.Attributes), maxAttributes)
	}
	for _, r := range reservedURNs {
		if len(s.URN) >= len(r) && strings.EqualFold(s.URN[:len(r)], r) {
			return fault.Invalid.On("id", "%s belongs to the SCIM standard and cannot be changed. Put your attributes into a schema with a URN of your own.", s.URN)
		}
	}
	if s.Name == "" {
		s.Name = "Extra attributes of a " + strings.ToLower(s.Resource)
	}
	if err := fault.Line("name", s.Name, 200); err != nil {
		return err
	}
	if err := checkLines("description", s.Description, 1000); err != nil {
		return err
	}
	if s.Attributes == nil {
		s.Attributes = []Attribute{}
	}
	if s.Resource == GroupResource {
		for _, a := range s.Attributes {
			if a.Self {
				return fault.Invalid.On("self", "%s belongs to groups, and only people fill in something themselves.", a.Name)
			}
		}
	}
	return checkAll(s.Attributes, "")
}

// checkLines is fault.Line for a text that may have several.
func checkLines(field, text string, most int) error {
	return fault.Line(field, strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace(text), most)
}

// checkAll checks the attributes of a schema, or with a parent the sub-attributes of one.
func checkAll(list []Attribute, parent string) error {
	seen := map[string]string{}
	for i := range list {
		a := &list[i]
		a.Name = strings.TrimSpace(a.Name)
		path := a.Name
		if parent != "" {
			path = parent + "." + a.Name
		}
		if was, twice := seen[strings.ToLower(a.Name)]; twice {
			return fault.Invalid.On("name", "%s is there twice (%q and %q): names are the same without regard to case. Rename or drop one of them.", path, was, a.Name)
		}
		seen[strings.ToLower(a.Name)] = a.Name
		if err := a.check(path, parent != ""); err != nil {
			return err
		}
	}
	return nil
}

func (a *Attribute) check(path string, sub bool) error {
	link := sub && a.Name == "$ref"
	switch {
	case !link && (!attributeName.MatchString(a.Name) || len(a.Name) > maxWord):
		return fault.Invalid.On("name", "%.100q cannot be the name of an attribute. Use a letter and then letters, digits, - or _, at most %d in all, such as costCenterCode (RFC 7643 §2.1).", path, maxWord)
	case !sub && slices.ContainsFunc([]string{"id", "schemas", "meta", "externalId"}, func(n string) bool { return strings.EqualFold(n, a.Name) }):
		return fault.Invalid.On("name", "Every resource has the attribute %s already (RFC 7643 §3). Choose another name.", a.Name)
	}
	for _, word := range []struct {
		field, otherwise string
		value            *string
		of               []string
	}{{"type", "string", &a.Type, types}, {"mutability", "readWrite", &a.Mutability, mutable}, {"uniqueness", "none", &a.Uniqueness, uniques}, {"returned", "", &a.Returned, returneds}} {
		if *word.value == "" {
			*word.value = word.otherwise
		}
		if word.field == "returned" && *word.value == "" {
			*word.value = "default"
			if a.Mutability == "writeOnly" {
				*word.value = "never"
			}
		}
		i := slices.IndexFunc(word.of, func(w string) bool { return strings.EqualFold(w, *word.value) })
		if i < 0 && word.field == "uniqueness" && strings.EqualFold(*word.value, "global") {
			return fault.Invalid.On("uniqueness", "%s cannot be unique in the whole world: nobody could check it. Use server, which is unique in the organization.", path)
		}
		if i < 0 {
			return fault.Invalid.On(word.field, "%s has the %s %.60q. It can be %s.", path, word.field, *word.value, strings.Join(word.of, ", "))
		}
		*word.value = word.of[i]
	}
	if err := checkLines("description", a.Description, 1000); err != nil {
		return err
	}
	if link && a.Type != "reference" {
		return fault.Invalid.On("name", "%s must be a reference: that is what $ref means (RFC 7643 §2.4).", path)
	}
	if err := a.checkParts(path, sub); err != nil {
		return err
	}
	return a.checkRules(path, sub)
}

// checkParts looks at what hangs on the type.
func (a *Attribute) checkParts(path string, sub bool) error {
	switch {
	case a.Type == "complex" && sub:
		return fault.Invalid.On("type", "%s is complex inside a complex attribute, which SCIM does not know (RFC 7643 §2.3.8). Make it an attribute of its own.", path)
	case a.Type == "complex" && len(a.Subs) == 0:
		return fault.Invalid.On("subAttributes", "%s is complex, so it needs sub-attributes.", path)
	case a.Type != "complex" && len(a.Subs) > 0:
		return fault.Invalid.On("subAttributes", "%s is a %s and cannot have sub-attributes. Make its type complex, or leave them out.", path, a.Type)
	case len(a.Subs) > maxSubs:
		return fault.Invalid.On("subAttributes", "%s has %d sub-attributes; at most %d are possible.", path, len(a.Subs), maxSubs)
	case sub && a.MultiValued:
		return fault.Invalid.On("multiValued", "%s has several values inside one. Make %s itself multi-valued instead.", path, strings.TrimSuffix(path, "."+a.Name))
	case len(a.Canonical) > 0 && a.Type != "string":
		return fault.Invalid.On("canonicalValues", "%s is a %s: only a string has canonical values.", path, a.Type)
	case len(a.Canonical) > maxCanonical:
		return fault.Invalid.On("canonicalValues", "%s has %d canonical values; at most %d are possible.", path, len(a.Canonical), maxCanonical)
	case len(a.ReferenceTypes) > 0 && a.Type != "reference":
		return fault.Invalid.On("referenceTypes", "%s is a %s: only a reference has referenceTypes.", path, a.Type)
	}
	for i, v := range a.Canonical {
		if err := fault.Line("canonicalValues", v, 200); err != nil || v == "" {
			return fault.Invalid.On("canonicalValues", "A canonical value of %s is empty or too long; at most 200 bytes are possible.", path)
		}
		if slices.ContainsFunc(a.Canonical[:i], func(w string) bool { return v == w || !a.CaseExact && strings.EqualFold(v, w) }) {
			return fault.Invalid.On("canonicalValues", "%s has the canonical value %q twice.", path, v)
		}
	}
	if a.Type == "reference" && len(a.ReferenceTypes) == 0 {
		a.ReferenceTypes = []string{"external"}
	}
	for _, r := range a.ReferenceTypes {
		if !slices.Contains([]string{"external", "uri", UserResource, GroupResource}, r) {
			return fault.Invalid.On("referenceTypes", "%s refers to %.60q. It can be external, uri, User or Group.", path, r)
		}
	}
	switch a.Type { // RFC 7643 §2.3: fixed by the type
	case "reference", "binary":
		a.CaseExact = true
	case "string":
	default:
		a.CaseExact = false
	}
	return checkAll(a.Subs, path)
}

// checkRules looks at what the characteristics say together.
func (a *Attribute) checkRules(path string, sub bool) error {
	unique := a.Uniqueness != "none"
	switch {
	case a.Mutability == "writeOnly" && a.Returned != "never":
		return fault.Invalid.On("returned", "%s is writeOnly, so nobody may read it: returned must be never (RFC 7643 §7).", path)
	case a.Mutability == "readOnly" && a.Required:
		return fault.Invalid.On("required", "%s is readOnly: a directory cannot send it, so it cannot be required.", path)
	case unique && sub:
		return fault.Invalid.On("uniqueness", "%s is a sub-attribute, whose uniqueness is not enforced here. Make it an attribute of its own, or use none.", path)
	case unique && slices.Contains([]string{"complex", "boolean", "binary"}, a.Type):
		return fault.Invalid.On("uniqueness", "%s is %s, which cannot be unique here. Use none.", path, a.Type)
	case a.Indexed && slices.Contains([]string{"complex", "boolean", "binary"}, a.Type):
		return fault.Invalid.On("indexed", "%s is %s: an index finds nothing by it. Index a sub-attribute, or leave it out.", path, a.Type)
	case a.Self && (sub || a.MultiValued || a.Secret() || a.Type == "complex" || a.Type == "binary"):
		return fault.Invalid.On("self", "%s cannot be filled in by people themselves: that needs one simple value that may be shown.", path)
	case a.Self && a.Mutability == "readOnly":
		return fault.Invalid.On("self", "%s is readOnly: only admins write it, and not the people themselves.", path)
	case a.Indexed && a.Secret() && !unique:
		return fault.Invalid.On("indexed", "%s is never returned, so nobody may filter by it and an index is of no use.", path)
	}
	return nil
}
