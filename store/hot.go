package store

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/muster-id/muster/internal/fault"
)

// Doc is a user's or group's canonical SCIM attributes, spelled as the schema
// spells them, without what is a column or a row elsewhere: id, meta, schemas,
// groups, members, active. Numbers are json.Number.
type Doc = map[string]any

// EnterpriseURN is the key of the Enterprise extension in a user's document
// (RFC 7643 §4.3).
const EnterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// maxKey bounds what stands in an index; PostgreSQL refuses entries over 2,704 bytes.
const maxKey = 1000

// Fold is the form in which names are compared without regard to case. It is done
// here and not in SQL, because the databases fold differently.
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
		}
	}
	return strings.ToLower(s)
}

// hotColumns are derived from a user's document; see the table users.
type hotColumns struct {
	userName, externalID, email, displayName string
	nameKey, emailKey                        string
	sortKey, searchKey                       string
	managerID                                UserID
	wordKeys                                 wordKeys

	words  []string // that no column has
	phone  string
	values map[userValue]bool // rows
}

// userValue is a row of user_values. What another index finds anyway has none: these rows are
// the largest part of an import.
type userValue struct {
	Attr  string `json:"attr"`
	Value string `json:"value"` // folded
	Kind  string `json:"kind"`  // the element's type, folded
}

// indexedValues are the multi-valued attributes that have rows in user_values.
var indexedValues = []string{"emails", "phoneNumbers"}

// keyedAttr tells whether columns or rows of user_values follow from an attribute. From
// title no more than the search key follows, from others nothing.
func keyedAttr(name string) bool {
	switch name {
	case "userName", "externalId", "displayName", "name", EnterpriseURN:
		return true
	}
	return slices.Contains(indexedValues, name) || slices.Contains(sentAttrs, name)
}

func hotOf(doc Doc) (h hotColumns, err error) {
	if h, err = columnsOf(doc); err != nil {
		return h, err
	}
	h.values, err = h.valuesOf(doc)
	return h, err
}

// columnsOf is hotOf without the values.
func columnsOf(doc Doc) (hotColumns, error) {
	h := hotColumns{userName: text(doc, "userName"), externalID: text(doc, "externalId")}
	if strings.TrimSpace(h.userName) == "" {
		return h, fault.Invalid.On("userName", "A user needs a userName.")
	}
	if err := checkText("userName", h.userName, maxKey); err != nil {
		return h, err
	}
	if err := checkText("externalId", h.externalID, maxKey); err != nil {
		return h, err
	}
	p := profileOf(doc)
	h.email, h.displayName, h.phone = p.Email, p.DisplayName, p.Phone
	h.nameKey, h.emailKey = Fold(h.userName), Fold(h.email)
	if isID(p.ManagerID) {
		h.managerID = UserID(p.ManagerID)
	}
	if h.displayName == "" {
		h.displayName = p.FullName()
	}
	h.sortKey = sortKeyOf(p)
	h.wordKeys, h.words = h.searchWords(p)
	h.searchKey = clip(Fold(strings.Join([]string{h.displayName, p.GivenName + " " + p.FamilyName, p.UserName, p.Email, p.Title, p.Department}, "\n")), 2000)
	return h, nil
}

// sortKeyOf is under what a person stands in the list.
func sortKeyOf(p Profile) string {
	if key := clip(Fold(strings.TrimSpace(p.FamilyName+" "+p.GivenName)), 200); key != "" {
		return key
	}
	return clip(Fold(p.FullName()), 200)
}

// valuesOf are the rows of user_values that a document has.
func (h hotColumns) valuesOf(doc Doc) (map[userValue]bool, error) {
	values := map[userValue]bool{}
	for _, attr := range indexedValues {
		for _, element := range elements(doc, attr) {
			value := text(element, "value")
			if value == "" {
				continue
			}
			if err := checkText(attr+".value", value, maxKey); err != nil {
				return nil, err
			}
			key := Fold(value)
			if attr == "emails" && key == h.emailKey || attr == "phoneNumbers" && value == h.phone && h.wordKeys.Phone != "" {
				continue // HasValue finds it in the column
			}
			kind := text(element, "type")
			values[userValue{attr, key, Fold(kind[:min(len(kind), 100)])}] = true
		}
	}
	for _, word := range h.words {
		values[userValue{Attr: wordAttr, Value: word}] = true
	}
	for _, attr := range sentAttrs { // by which a mapping finds its people; filters need values of every length
		for _, element := range elements(doc, attr) {
			kind := text(element, "type")
			if key := Fold(text(element, "value")); key != "" && len(key) <= maxKey {
				values[userValue{attr, key, Fold(kind[:min(len(kind), 100)])}] = true
			}
		}
	}
	return values, nil
}

// Profile is what the console, invitations and sign-ins know of a person: the
// few attributes of the document that people fill in by hand.
type Profile struct {
	UserName, Email, GivenName, FamilyName, DisplayName string
	Title, Department, EmployeeNumber, Phone            string
	Address                                             string // where letters go, as one text of several lines
	ManagerID                                           string // a user's id, or whatever a directory sent
}

// FullName is how the person is shown: display name, else the two names, else the user name.
func (p Profile) FullName() string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	if full := strings.TrimSpace(p.GivenName + " " + p.FamilyName); full != "" {
		return full
	}
	return p.UserName
}

// Doc is a new document with this profile alone.
func (p Profile) Doc() Doc {
	doc := Doc{}
	p.Apply(doc)
	return doc
}

// Apply writes every field into doc, an empty one by removing the attribute, and
// keeps whatever else doc holds.
func (p Profile) Apply(doc Doc) {
	set(doc, "userName", p.UserName)
	set(doc, "displayName", p.DisplayName)
	set(doc, "title", p.Title)
	name := object(doc, "name")
	set(name, "givenName", p.GivenName)
	set(name, "familyName", p.FamilyName)
	if old := profileOf(doc); old.GivenName != p.GivenName || old.FamilyName != p.FamilyName {
		delete(name, "formatted")
	}
	put(doc, "name", name)
	setPrimary(doc, "emails", p.Email)
	setPrimary(doc, "phoneNumbers", p.Phone)
	setAddress(doc, p.Address)
	enterprise := object(doc, EnterpriseURN)
	set(enterprise, "department", p.Department)
	set(enterprise, "employeeNumber", p.EmployeeNumber)
	manager := object(enterprise, "manager")
	if text(manager, "value") != p.ManagerID {
		manager = map[string]any{}
		set(manager, "value", p.ManagerID)
	}
	put(enterprise, "manager", manager)
	put(doc, EnterpriseURN, enterprise)
}

func profileOf(doc Doc) Profile {
	name, _ := doc["name"].(map[string]any)
	enterprise, _ := doc[EnterpriseURN].(map[string]any)
	manager, _ := enterprise["manager"].(map[string]any)
	p := Profile{
		UserName: text(doc, "userName"), DisplayName: text(doc, "displayName"), Title: text(doc, "title"),
		GivenName: text(name, "givenName"), FamilyName: text(name, "familyName"),
		Email: primary(doc, "emails"), Phone: primary(doc, "phoneNumbers"), Address: addressOf(doc),
		Department: text(enterprise, "department"), EmployeeNumber: text(enterprise, "employeeNumber"), ManagerID: text(manager, "value"),
	}
	if p.DisplayName == "" && p.GivenName+p.FamilyName == "" {
		p.DisplayName = text(name, "formatted")
	}
	return p
}

// primary is the value that stands for a multi-valued attribute: the one marked
// primary, else the one of type work, else the first.
func primary(doc Doc, attr string) string {
	best, rank := "", 0
	for _, e := range elements(doc, attr) {
		r := 1
		if marked, _ := e["primary"].(bool); marked {
			r = 3
		} else if strings.EqualFold(text(e, "type"), "work") {
			r = 2
		}
		if v := text(e, "value"); v != "" && r > rank {
			best, rank = v, r
		}
	}
	return best
}

// setPrimary makes value the primary one and leaves the other elements.
func setPrimary(doc Doc, attr, value string) {
	old := primary(doc, attr)
	if old == value {
		return
	}
	var kept []any
	for _, e := range elements(doc, attr) {
		if text(e, "value") == old {
			continue
		}
		kept = append(kept, e)
	}
	if value != "" {
		kept = append([]any{map[string]any{"value": value, "type": "work", "primary": true}}, kept...)
	}
	if len(kept) == 0 {
		delete(doc, attr)
		return
	}
	doc[attr] = kept
}

// postal is the primary one of postal addresses, else the first; -1: there is none.
func postal(list []map[string]any) int {
	at := slices.IndexFunc(list, func(a map[string]any) bool { p, _ := a["primary"].(bool); return p })
	if at < 0 && len(list) > 0 {
		at = 0
	}
	return at
}

// addressOf is the postal address as it is written on a letter: what was written so, or
// its parts (RFC 7643 §4.1.2).
func addressOf(doc Doc) string {
	list := elements(doc, "addresses")
	at := postal(list)
	if at < 0 {
		return ""
	}
	a := list[at]
	if whole := text(a, "formatted"); whole != "" {
		return whole
	}
	var lines []string
	for _, line := range []string{text(a, "streetAddress"), strings.TrimSpace(text(a, "postalCode") + " " + text(a, "locality")), text(a, "region"), text(a, "country")} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// setAddress puts value in the place of the postal address and leaves the other ones.
// Parts of the old one would contradict it.
func setAddress(doc Doc, value string) {
	if addressOf(doc) == value {
		return
	}
	list := elements(doc, "addresses")
	var all []any
	if value != "" {
		all = append(all, map[string]any{"formatted": value, "type": "work", "primary": true})
	}
	for i, e := range list {
		if i != postal(list) {
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		delete(doc, "addresses")
		return
	}
	doc["addresses"] = all
}

func elements(doc Doc, attr string) (list []map[string]any) {
	values, _ := doc[attr].([]any)
	for _, v := range values {
		if m, ok := v.(map[string]any); ok {
			list = append(list, m)
		}
	}
	return list
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

func set(m map[string]any, key, value string) {
	if value == "" {
		delete(m, key)
		return
	}
	m[key] = value
}

func put(m map[string]any, key string, value map[string]any) {
	if len(value) == 0 {
		delete(m, key)
		return
	}
	m[key] = value
}

func object(m map[string]any, key string) map[string]any {
	if o, ok := m[key].(map[string]any); ok {
		return o
	}
	return map[string]any{}
}

// checkText refuses what the databases cannot hold or an index cannot take.
func checkText(field, s string, limit int) error {
	switch {
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return fault.Invalid.On(field, "%s holds a NUL character or broken UTF-8.", field)
	case len(s) > limit:
		return fault.Invalid.On(field, "%s is %d bytes long; at most %d are possible.", field, len(s), limit)
	}
	return nil
}

// clip cuts at a character's border.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
