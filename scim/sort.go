package scim

import (
	"strings"

	"github.com/muster-id/muster/store"
)

// sortOf reads sortBy and sortOrder (RFC 7644 §3.4.2.3); nil is the order of
// creation. userName, externalId, id and a group's displayName are in the order of
// an index, which costs the same at any size; the others are searched for, within
// the budget of a filter without index.
func sortOf(params map[string]string, kinds []*Compiled) (*store.Sort, error) {
	descending, err := descends(params)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSpace(params["sortby"])
	if name == "" {
		return nil, nil
	}
	if len(kinds) > 1 {
		return nil, invalidValue("Users and groups cannot be sorted together. Ask /Users or /Groups for sortBy=%.64s.", name)
	}
	a, err := sortAttr(name, kinds[0])
	if err != nil {
		return nil, err
	}
	by, ok := binder{c: kinds[0]}.sort(a)
	if !ok {
		return nil, invalidValue("Lists cannot be sorted by %s.", a.Path())
	}
	by.Descending = descending
	return &by, nil
}

// descends reads sortOrder.
func descends(params map[string]string) (bool, error) {
	switch order := params["sortorder"]; strings.ToLower(order) {
	case "", "ascending":
		return false, nil
	case "descending":
		return true, nil
	default:
		return false, invalidValue("sortOrder is ascending or descending, not %s.", show(order))
	}
}

// sortAttr is the simple attribute that a sortBy names; of emails and manager it
// is their value.
func sortAttr(name string, c *Compiled) (*Attr, error) {
	p, err := ParsePath(name, ParseOptions{})
	if err != nil || p.ValueExpression != nil || p.SubAttribute != nil {
		return nil, invalidValue("sortBy is %s: want the name of one attribute, such as userName or name.familyName.", show(name))
	}
	at := p.AttributePath
	a, ok := c.Find(at.URI(), at.AttributeName, at.SubAttributeName())
	switch {
	case !ok:
		return nil, invalidValue("sortBy is %s, which is not an attribute of %s; see /Schemas.", show(name), c.Name)
	case a.Returned == returnedNever:
		return nil, invalidValue("%s can never be read, so nothing is sorted by it.", a.Path())
	case a.Type != typeComplex:
		return a, nil
	}
	if value := a.subOf("value"); value != nil {
		return value, nil
	}
	return nil, invalidValue("%s has sub-attributes: say which one, as in %s.%s.", a.Path(), a.Path(), a.Subs[0].Name)
}

// sort is the order by an attribute, false where there is none: lists in other
// tables, versions and flags inside of lists.
func (b binder) sort(a *Attr) (store.Sort, bool) {
	users := b.c.URN == userURN
	switch path := a.Path(); {
	case path == "id" && users, path == "meta.location" && users:
		return store.UserIDColumn.Sort(), true
	case path == "id", path == "meta.location":
		return store.GroupIDColumn.Sort(), true
	case path == "meta.resourceType": // all the same
		return store.Sort{}, true
	case path == "userName":
		return store.UserNameKey.Sort(), true
	case path == "externalId" && users:
		return store.UserExternalID.Sort(), true
	case path == "externalId":
		return store.GroupExternalID.Sort(), true
	case path == "displayName" && !users:
		return store.GroupNameKey.Sort(), true
	case path == "meta.created":
		return choose(users, store.UserCreated, store.GroupCreated).Sort(), true
	case path == "meta.lastModified":
		return choose(users, store.UserUpdated, store.GroupUpdated).Sort(), true
	case path == "active":
		return store.SortActive(), true
	case path == "meta.version", a.Type == typeBinary, !a.extension && a.Type != typeString && a.Type != typeReference,
		!a.extension && a.Parent == nil && a.MultiValued, !a.extension && a.Parent != nil && (a.Parent.Name == "groups" || a.Parent.Name == "members"):
		return store.Sort{}, false
	}
	return b.textSort(a), true
}

// textSort is the order by what stands in the document; of a list by its main element.
func (b binder) textSort(a *Attr) store.Sort {
	t := b.text(a)
	main := choose(b.c.Name == resourceUser, store.UserMain, store.GroupMain)
	switch {
	case a.Parent != nil && a.Parent.MultiValued:
		t = main(a.Name, docPath(a.Parent)...)
	case a.MultiValued:
		t = main("", docPath(a)...)
	}
	switch a.Type {
	case typeInteger, typeDecimal:
		return t.SortNumber()
	case typeBoolean:
		return t.SortFlag()
	case typeDateTime:
		return t.Instant().Sort()
	}
	if !a.CaseExact {
		t = t.AnyCase()
	}
	return t.Sort()
}
