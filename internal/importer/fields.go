package importer

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// profileFields are those that store.Profile has, which knows how a document holds them.
func profileField(p *store.Profile, field string) *string {
	switch field {
	case fieldEmail:
		return &p.Email
	case fieldUserName:
		return &p.UserName
	case fieldGivenName:
		return &p.GivenName
	case fieldFamilyName:
		return &p.FamilyName
	case fieldName:
		return &p.DisplayName
	case fieldTitle:
		return &p.Title
	case fieldDepartment:
		return &p.Department
	case fieldNumber:
		return &p.EmployeeNumber
	case fieldPhone:
		return &p.Phone
	case fieldManager:
		return &p.ManagerID
	case fieldAddress:
		return &p.Address
	}
	return nil
}

// plain are the fields that are one value of the document.
var plain = map[string][]string{
	fieldCompany:    {store.EnterpriseURN, "organization"},
	fieldDivision:   {store.EnterpriseURN, "division"},
	fieldCostCenter: {store.EnterpriseURN, "costCenter"},
	fieldLanguage:   {"preferredLanguage"},
	fieldTimeZone:   {"timezone"},
}

// postal are the parts of the postal address.
var postal = map[string]string{
	fieldStreet: "streetAddress", fieldPostalCode: "postalCode", fieldCity: "locality", fieldRegion: "region", fieldCountry: "country",
}

// person is somebody's document while fields are read and set.
type person struct {
	doc     store.Doc
	profile store.Profile
	parts   [][2]string // of the postal address, that are to be set
}

func (p person) get(f Field) string {
	if to := profileField(&p.profile, f.Name); to != nil {
		return *to
	}
	if path, ok := plain[f.Name]; ok {
		return textAt(p.doc, path)
	}
	if part, ok := postal[f.Name]; ok {
		_, address := postalAddress(p.doc)
		s, _ := address[part].(string)
		return s
	}
	if f.urn == "" {
		return ""
	}
	extension, _ := p.doc[f.urn].(map[string]any)
	return written(extension[f.attr.Name])
}

// set puts a value that clean has accepted into the document, or with "" takes it away.
func (p *person) set(f Field, value string) {
	if to := profileField(&p.profile, f.Name); to != nil {
		*to = value
		return
	}
	if path, ok := plain[f.Name]; ok {
		setAt(p.doc, path, textOrNil(value))
		return
	}
	if part, ok := postal[f.Name]; ok {
		p.parts = append(p.parts, [2]string{part, value})
		return
	}
	if f.urn != "" {
		setAt(p.doc, []string{f.urn, f.attr.Name}, read(f.attr, value))
	}
}

// document is the whole, with what stands in the profile.
func (p *person) document() store.Doc {
	p.profile.Apply(p.doc)
	for _, part := range p.parts { // after the address as a whole
		setPostal(p.doc, part[0], part[1])
	}
	return p.doc
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func textAt(doc store.Doc, path []string) string {
	for _, name := range path[:len(path)-1] {
		doc, _ = doc[name].(map[string]any)
	}
	s, _ := doc[path[len(path)-1]].(string)
	return s
}

// setAt sets or, with nil, takes away; what is empty then goes too.
func setAt(doc store.Doc, path []string, value any) {
	if len(path) == 1 {
		if value == nil {
			delete(doc, path[0])
		} else {
			doc[path[0]] = value
		}
		return
	}
	in, ok := doc[path[0]].(map[string]any)
	if !ok {
		in = map[string]any{}
	}
	setAt(in, path[1:], value)
	if len(in) == 0 {
		delete(doc, path[0])
	} else {
		doc[path[0]] = in
	}
}

// postalAddress is the address that counts: the primary one, else that of work, else the first.
func postalAddress(doc store.Doc) (int, map[string]any) {
	list, _ := doc["addresses"].([]any)
	at, best, rank := -1, map[string]any(nil), 0
	for i, e := range list {
		a, _ := e.(map[string]any)
		r := 1
		if marked, _ := a["primary"].(bool); marked {
			r = 3
		} else if kind, _ := a["type"].(string); strings.EqualFold(kind, "work") {
			r = 2
		}
		if a != nil && r > rank {
			at, best, rank = i, a, r
		}
	}
	return at, best
}

func setPostal(doc store.Doc, part, value string) {
	list, _ := doc["addresses"].([]any)
	at, address := postalAddress(doc)
	if at < 0 {
		if value == "" {
			return
		}
		address = map[string]any{"type": "work", "primary": true}
		list = append(list, address)
		at = len(list) - 1
	}
	delete(address, "formatted")
	if value == "" {
		delete(address, part)
	} else {
		address[part] = value
	}
	empty := true
	for _, name := range postal {
		empty = empty && address[name] == nil
	}
	if empty {
		list = slices.Delete(list, at, at+1)
	}
	if len(list) == 0 {
		delete(doc, "addresses")
		return
	}
	doc["addresses"] = list
}

// simple is a single value as documents have it.
func simple(kind, s string) any {
	switch kind {
	case "boolean":
		return s == "true"
	case "integer", "decimal":
		return json.Number(s)
	}
	return s
}

// written is a value of an own attribute as a cell has it; several stand between |.
func written(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = written(e)
		}
		return strings.Join(parts, "|")
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	}
	return fmt.Sprint(v)
}

// read is the other way. The cell was accepted by cleanAttribute.
func read(a store.Attribute, cell string) any {
	if cell == "" {
		return nil
	}
	if !a.MultiValued {
		return simple(a.Type, cell)
	}
	list := []any{}
	for part := range strings.SplitSeq(cell, "|") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, simple(a.Type, part))
		}
	}
	return list
}

var numbers = map[string]*regexp.Regexp{
	"integer": regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`), "decimal": regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?$`),
}

// cleanAttribute puts a cell for an own attribute into the form that documents have.
func cleanAttribute(a store.Attribute, cell string) (string, *Problem) {
	parts := []string{cell}
	if a.MultiValued {
		parts = strings.Split(cell, "|")
	}
	for i, part := range parts {
		part = strings.TrimSpace(part)
		switch a.Type {
		case "boolean":
			switch strings.ToLower(part) {
			case "true", "yes", "1", "ja", "wahr":
				part = "true"
			case "false", "no", "0", "nein", "falsch":
				part = "false"
			default:
				return cell, &Problem{Why: web.Say("The value is neither true nor false."), Remedy: web.Say("Write true or false.")}
			}
		case "integer", "decimal":
			if !numbers[a.Type].MatchString(part) {
				return cell, &Problem{Why: web.Say("The value is not a number of type %s.", a.Type), Remedy: web.Say("Write it in digits, such as 42, without spaces; a decimal has a point.")}
			}
		case "dateTime":
			at, err := time.Parse(time.RFC3339, part)
			if err != nil {
				if at, err = time.Parse(time.DateOnly, part); err != nil {
					return cell, &Problem{Why: web.Say("The value is not a time."), Remedy: web.Say("Write it like 2026-01-31 or 2026-01-31T09:00:00Z.")}
				}
			}
			part = at.Format(time.RFC3339)
		}
		parts[i] = part
	}
	return strings.Join(parts, "|"), nil
}

// maxText is enough for names, titles and numbers.
const maxText = 200

func tooLong(value string, limit int) *Problem {
	if len(value) <= limit {
		return nil
	}
	return &Problem{Why: web.Say("The value is %d bytes long; at most %d are possible.", len(value), limit), Remedy: web.Say("Shorten it, or look for a quote that is missing above.")}
}

// unclean refuses what would break a line of a mail or a page.
func unclean(value string) *Problem {
	for _, c := range value {
		if c == '\n' {
			return &Problem{Why: web.Say("The value goes over several lines."), Remedy: web.Say("Write it on one line.")}
		}
		if fault.Unseen(c) {
			return &Problem{Why: web.Say("The value holds a control character, a mark that turns text around, or broken text."), Remedy: web.Say("Type it again, on one line.")}
		}
	}
	if fault.Blank("", value) != nil {
		return &Problem{Why: web.Say("The value consists of characters that nobody can see."), Remedy: web.Say("Write something that can be read, or leave the cell empty.")}
	}
	return nil
}
