package scim

import (
	"strings"
	"time"

	"github.com/scim2/filter-parser/v2"

	"github.com/muster-id/muster/store"
)

// BindOptions say how a filter is bound to the database.
type BindOptions struct {
	Lenient bool      // take "True" for a boolean and a bare number for a text
	Base    string    // the directory's base URL, for filters on $ref and meta.location
	Beside  *Compiled // the other resource type, whose attributes are taken for missing here; nil: they are unknown
}

// Bind turns a filter on the resources of c into a condition of the store that
// means what Match means. Errors are invalidFilter.
func Bind(e filter.Expression, c *Compiled, opt BindOptions) (store.Cond, error) {
	return binder{c: c, opt: opt, home: "/" + c.Name + "s/"}.filter(e)
}

// unindexed are the attributes of a filter that only a look at every resource can
// decide.
func unindexed(e filter.Expression, c *Compiled, opt BindOptions) []string {
	n, err := resolver{c: c, beside: opt.Beside, lenient: opt.Lenient}.node(e)
	if err != nil {
		return nil
	}
	return binder{c: c, opt: opt, home: "/" + c.Name + "s/"}.unindexed(n)
}

func (b binder) unindexed(n node) []string {
	switch n := n.(type) {
	case both:
		return append(b.unindexed(n.left), b.unindexed(n.right)...)
	case either:
		return append(b.unindexed(n.left), b.unindexed(n.right)...)
	case negated: // an index finds what is there
		return attributes(n.of)
	}
	if cond, err := b.node(n); err != nil || !cond.Scans() {
		return nil
	}
	return attributes(n)
}

// attributes are those that a filter is about.
func attributes(n node) []string {
	switch n := n.(type) {
	case both:
		return append(attributes(n.left), attributes(n.right)...)
	case either:
		return append(attributes(n.left), attributes(n.right)...)
	case negated:
		return attributes(n.of)
	case some:
		return []string{n.list.Path()}
	case present:
		return []string{n.attr.Path()}
	case comparison:
		return []string{n.attr.Path()}
	}
	return nil
}

type binder struct {
	c    *Compiled
	opt  BindOptions
	home string // endpoint of the resources themselves
	kind string // the type of the elements of groups or members that are looked at
}

func (b binder) filter(e filter.Expression) (store.Cond, error) {
	n, err := resolver{c: b.c, beside: b.opt.Beside, lenient: b.opt.Lenient}.node(e)
	if err != nil {
		return store.Cond{}, err
	}
	return b.node(n)
}

func (b binder) node(n node) (store.Cond, error) {
	switch n := n.(type) {
	case both:
		return b.pair(n.left, n.right, store.And)
	case either:
		return b.pair(n.left, n.right, store.Or)
	case negated:
		c, err := b.node(n.of)
		return store.Not(c), err
	case never:
		return store.Nothing(), nil
	case some:
		return b.some(n)
	case present:
		return b.present(n)
	case comparison:
		return b.compare(n)
	}
	return store.Nothing(), invalidFilter("The filter cannot be used for a search.")
}

func (b binder) pair(left, right node, join func(a, b store.Cond) store.Cond) (store.Cond, error) {
	x, err := b.node(left)
	if err != nil {
		return x, err
	}
	y, err := b.node(right)
	return join(x, y), err
}

// some binds "one element of list": rows of other tables, or of the document.
func (b binder) some(n some) (store.Cond, error) {
	if n.list.Name == "schemas" && !n.list.extension {
		return b.schemas(n.within)
	}
	switch n.list.Path() {
	case "groups":
		direct, indirect, err := b.each(n.within, directly, indirectly)
		return store.InGroup(direct, indirect), err
	case "members":
		user, group, err := b.each(n.within, string(store.KindUser), string(store.KindGroup))
		return store.HasMember(user, group, mentions(n.within, "display")), err
	}
	within, err := b.node(n.within)
	if err != nil {
		return within, err
	}
	switch {
	case n.list.Path() == "meta":
		return within, nil
	case !n.list.MultiValued:
		return b.narrowed(n.within, store.And(b.doc(n.list).Exists(), within)), nil
	}
	found := choose(b.c.Name == resourceUser, store.UserElement, store.GroupElement)(within, docPath(n.list)...)
	if n.list.extension {
		return b.narrowed(n.within, found), nil
	}
	if value, ok := valueOf(n.within); ok && store.HasIndexedValues(n.list.Name) {
		return store.And(store.HasValue(n.list.Name, value), found), nil
	}
	return found, nil
}

// each binds a node for elements of two types, which stand in tables of their own.
func (b binder) each(n node, one, other string) (x, y store.Cond, err error) {
	b.kind = one
	if x, err = b.node(n); err != nil {
		return x, y, err
	}
	b.kind = other
	y, err = b.node(n)
	return x, y, err
}

// schemas follow from the document: the core one always, an extension's when the
// document has something of it.
func (b binder) schemas(within node) (store.Cond, error) {
	out := store.Nothing()
	for _, urn := range b.c.URNs() {
		if !holds(within, scope{element: urn, inside: true}) {
			continue
		}
		if urn == b.c.URN {
			return store.Everything(), nil
		}
		out = store.Or(out, choose(b.c.Name == resourceUser, store.UserDoc, store.GroupDoc)(urn).Exists())
	}
	return out, nil
}

// valueOf is the value that an element must have, if the filter says "value eq".
func valueOf(n node) (string, bool) {
	switch n := n.(type) {
	case both:
		if v, ok := valueOf(n.left); ok {
			return v, ok
		}
		return valueOf(n.right)
	case comparison:
		return n.text, n.op == filter.EQ && n.attr.Name == "value" && n.text != ""
	}
	return "", false
}

func mentions(n node, sub string) bool {
	switch n := n.(type) {
	case both:
		return mentions(n.left, sub) || mentions(n.right, sub)
	case either:
		return mentions(n.left, sub) || mentions(n.right, sub)
	case negated:
		return mentions(n.of, sub)
	case present:
		return n.attr.Name == sub
	case comparison:
		return n.attr.Name == sub
	}
	return false
}

func (b binder) present(n present) (store.Cond, error) {
	switch n.attr.Path() {
	case "id", "active", "meta.resourceType", "meta.created", "meta.lastModified", "meta.location", "meta.version",
		"groups.value", "groups.$ref", "groups.type", "groups.display", "members.value", "members.$ref", "members.type":
		return store.Everything(), nil
	}
	return b.text(n.attr).Present(), nil
}

func (b binder) compare(n comparison) (store.Cond, error) {
	switch n.attr.Path() {
	case "active":
		return choose(n.flag, store.Not(store.Suspended()), store.Suspended()), nil
	case "meta.resourceType":
		return b.constant(n, b.c.Name), nil
	case "groups.type", "members.type":
		return b.constant(n, b.kind), nil
	case "meta.location":
		return b.reference(n, b.home)
	case "groups.$ref":
		return b.reference(n, "/Groups/")
	case "members.$ref":
		return b.reference(n, "/"+b.kind+"s/")
	case "meta.version":
		return store.Cond{}, invalidFilter("meta.version cannot be filtered by. Read the resource and compare its ETag.")
	}
	switch n.attr.Type {
	case typeBoolean:
		yes := b.text(n.attr).True()
		return choose(n.flag, yes, store.And(store.Not(yes), b.text(n.attr).Present())), nil
	case typeDateTime:
		if !n.attr.extension {
			return b.time(n)
		}
		n.text = n.at.Format(instantForm)
		return b.first(n, b.text(n.attr).Instant())
	case typeDecimal, typeInteger:
		return b.narrowedOne(n, b.text(n.attr).Number(signs[n.op], n.num)), nil
	}
	return b.first(n, b.text(n.attr))
}

// instantForm is a dateTime as store.Instant leaves it.
const instantForm = "2006-01-02T15:04:05.999999999"

var signs = map[filter.CompareOperator]string{filter.EQ: "=", filter.LT: "<", filter.LE: "<=", filter.GT: ">", filter.GE: ">="}

// first is the condition on a text, with an index before it if there is one.
func (b binder) first(n comparison, t store.Text) (store.Cond, error) {
	c, err := textCond(n, t)
	return b.narrowedOne(n, c), err
}

// narrowedOne is narrowed for an attribute that stands in the document itself: of the
// elements of a list, some takes care.
func (b binder) narrowedOne(n comparison, c store.Cond) store.Cond {
	if n.attr.Parent != nil || n.attr.MultiValued {
		return c
	}
	return b.narrowed(n, c)
}

// narrowed puts an index before a condition that looks at documents, if n, which the
// condition is made of, has a part that one can answer.
func (b binder) narrowed(n node, c store.Cond) store.Cond {
	if first, ok := b.index(n); ok {
		return store.And(first, c)
	}
	return c
}

// index finds in extra_values whatever n can hold for, and perhaps more.
func (b binder) index(n node) (store.Cond, bool) {
	switch n := n.(type) {
	case both:
		if c, ok := b.index(n.left); ok {
			return c, true
		}
		return b.index(n.right)
	case comparison:
		if from, to, ok := n.keys(); ok {
			return store.HasExtra(b.c.Name == resourceGroup, n.attr.Path(), from, to), true
		}
	}
	return store.Cond{}, false
}

// keys is the stretch of an index where the matching values are; to is empty when it
// has no end.
func (c comparison) keys() (from, to string, ok bool) {
	if !c.attr.indexed {
		return "", "", false
	}
	var value any = c.text
	switch c.attr.Type {
	case typeInteger, typeDecimal:
		value = c.num
	case typeDateTime:
		value = c.at.Format(instantForm)
	}
	key := store.IndexKey(c.attr.Type, c.attr.CaseExact, value)
	if key == "" || ordering(c.op) && c.attr.Type == typeString && !c.attr.CaseExact { // order folds ASCII alone, keys all letters
		return "", "", false
	}
	switch c.op {
	case filter.EQ:
		return key, key, true
	case filter.SW:
		return key, store.AfterPrefix(key), true
	case filter.GT, filter.GE:
		return key, "", true
	case filter.LT, filter.LE:
		return "", store.AfterPrefix(key), true // a key that was cut may stand behind this one
	}
	return "", "", false
}

func choose[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// constant decides a comparison with a value that all rows share.
func (b binder) constant(n comparison, value string) store.Cond {
	return choose(n.holds(value), store.Everything(), store.Nothing())
}

// reference compares a URI that is made of the base URL and an id.
func (b binder) reference(n comparison, endpoint string) (store.Cond, error) {
	if n.op != filter.EQ {
		return store.Cond{}, invalidFilter("%s is a URI of this server: only eq, ne and pr go with it.", n.attr.Path())
	}
	id, ok := strings.CutPrefix(n.text, b.opt.Base+endpoint)
	if !ok {
		return store.Nothing(), nil
	}
	column := store.UserIDColumn
	switch {
	case n.attr.Parent.Name == "members":
		column = b.member()
	case endpoint == "/Groups/":
		column = store.GroupIDColumn
	}
	return column.Text().Is(id), nil
}

// time compares what a client has seen, which is whole milliseconds.
func (b binder) time(n comparison) (store.Cond, error) {
	column := store.UserCreated
	switch {
	case n.attr.Path() == "meta.lastModified" && b.c.URN == groupURN:
		column = store.GroupUpdated
	case n.attr.Path() == "meta.lastModified":
		column = store.UserUpdated
	case n.attr.Path() == "meta.created" && b.c.URN == groupURN:
		column = store.GroupCreated
	case n.attr.Path() != "meta.created":
		return store.Cond{}, invalidFilter("%s cannot be filtered by.", n.attr.Path())
	}
	floor := n.at.UnixMilli()
	ceil := floor
	if !n.at.Equal(time.UnixMilli(floor)) {
		ceil++
	}
	switch n.op {
	case filter.GE:
		return between(column, ceil, 0), nil
	case filter.GT:
		return between(column, floor+1, 0), nil
	case filter.LT:
		return between(column, 0, ceil), nil
	case filter.LE:
		return between(column, 0, floor+1), nil
	}
	if ceil != floor {
		return store.Nothing(), nil
	}
	return between(column, floor, floor+1), nil
}

// between takes milliseconds; 0 leaves an end open, and nothing was before 1970.
func between(c store.Column, from, to int64) store.Cond {
	if to < 0 {
		return store.Nothing()
	}
	return c.Between(store.Time(max(from, 0)*1000), store.Time(to*1000))
}

func textCond(n comparison, t store.Text) (store.Cond, error) {
	if !n.attr.CaseExact && !n.attr.keyed && store.Letters(n.text) > store.MaxLetters {
		return store.Cond{}, invalidFilter("The value for %s has too many different letters to search for.", n.attr.Path())
	}
	switch n.op {
	case filter.CO:
		return t.Contains(n.text), nil
	case filter.SW:
		return t.StartsWith(n.text), nil
	case filter.EW:
		return t.EndsWith(n.text), nil
	case filter.GT, filter.GE:
		return t.Above(n.text, n.op == filter.GE), nil
	case filter.LT, filter.LE:
		return t.Below(n.text, n.op == filter.LE), nil
	}
	return t.Is(n.text), nil
}

func (b binder) member() store.Column {
	return choose(b.kind == string(store.KindGroup), store.Subgroup, store.MemberUser)
}

// text says where an attribute's text is kept.
func (b binder) text(a *Attr) store.Text {
	users := b.c.URN == userURN
	var t store.Text
	switch path := a.Path(); {
	case path == "id" && users:
		return store.UserIDColumn.Text()
	case path == "id", path == "groups.value":
		return store.GroupIDColumn.Text()
	case path == "members.value":
		return b.member().Text()
	case path == "userName":
		return store.UserNameKey.Text()
	case path == "displayName" && !users, path == "groups.display":
		return store.GroupNameKey.Text()
	case path == "externalId" && users:
		return store.UserExternalID.Text()
	case path == "externalId":
		return store.GroupExternalID.Text()
	case path == "members.display" && b.kind == string(store.KindGroup):
		t = store.SubgroupDisplay.Text()
	case path == "members.display":
		t = store.MemberDisplay.Text()
	case a.Parent != nil && a.Parent.MultiValued:
		t = store.Element(a.Name)
	case a.MultiValued && a.Type != typeComplex:
		t = store.TheElement()
	default:
		t = b.doc(a)
	}
	if !a.CaseExact {
		t = t.AnyCase()
	}
	return t
}

// doc is an attribute in the document.
func (b binder) doc(a *Attr) store.Text {
	return choose(b.c.Name == resourceUser, store.UserDoc, store.GroupDoc)(docPath(a)...)
}

// docPath is where an attribute stands in a document.
func docPath(a *Attr) []string {
	switch {
	case a.Parent != nil:
		return append(docPath(a.Parent), a.Name)
	case a.extension:
		return []string{a.URN, a.Name}
	}
	return []string{a.Name}
}
