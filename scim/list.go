package scim

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	scimerr "github.com/elimity-com/scim/errors"
	"github.com/scim2/filter-parser/v2"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Pages of lists (RFC 7644 §3.4.2.4); /ServiceProviderConfig says so.
const (
	defaultCount = 100
	maxCount     = 1000
)

const listURN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// chunk is how many resources are completed with one query for their groups or members.
const chunk = 200

// list is one answer to a query: of one resource type, or of both from the root.
type list struct {
	stream
	base   string
	parts  []part
	by     *store.Sort // nil: in the order of creation
	pages  *cursor     // nil: start says where the page begins
	start  int
	limit  int
	count  int // resources written
	total  int
	silent bool // total is not told
	rows   int  // how many may be looked through without an index
	filter filter.Expression
	opt    BindOptions
}

// part is what a query asks of one resource type.
type part struct {
	c     *Compiled
	p     Projection
	where store.Cond
}

// list answers GET /Users, GET /Groups, GET / and the searches, which differ in
// where their parameters come from.
func (h *handler) list(w http.ResponseWriter, r *http.Request, params map[string]string, kinds ...*Compiled) error {
	if kinds[0].catalogue() {
		return h.listEntries(w, r, params, kinds[0])
	}
	d := from(r.Context())
	l, err := h.newList(w, d, params, kinds)
	if err != nil {
		return err
	}
	err = h.db.Read(r.Context(), d.actor, l.run)
	return l.finish(h.db.Now(), err)
}

// listing is list for a GET.
func (h *handler) listing(kinds ...*Compiled) call {
	return func(w http.ResponseWriter, r *http.Request) error {
		params, err := queryOf(r)
		if err != nil {
			return err
		}
		return h.list(w, r, params, kinds...)
	}
}

func (h *handler) newList(w http.ResponseWriter, d dirctx, params map[string]string, kinds []*Compiled) (*list, error) {
	l := &list{base: d.base, rows: h.opt.ScanRows}
	err := l.readPage(h, d, params, kinds)
	if err != nil {
		return nil, err
	}
	if l.by, err = sortOf(params, kinds); err != nil {
		return nil, err
	}
	if text := strings.TrimSpace(params["filter"]); text != "" {
		if l.filter, err = ParseFilter(text, ParseOptions{UnquotedValues: d.quirks.UnquotedFilterValues}); err != nil {
			return nil, err
		}
	}
	l.opt = BindOptions{Lenient: d.quirks.StringBooleans, Base: d.base}
	for i, c := range kinds {
		p := part{c: c}
		if p.p, err = ParseProjection(params["attributes"], params["excludedattributes"], c); err != nil {
			return nil, err
		}
		opt := l.opt
		if len(kinds) == 2 {
			opt.Beside = kinds[1-i]
		}
		if l.filter != nil {
			if p.where, err = Bind(l.filter, c, opt); err != nil {
				return nil, err
			}
		}
		l.parts = append(l.parts, p)
	}
	// How many match a filter is counted once for a walk (RFC 9865 §2: totalResults
	// may be left out); how many there are in all is known without counting.
	l.silent = l.pages != nil && !l.pages.first() && l.filter != nil
	l.stream = newStream(w, http.StatusOK)
	l.buf = append(l.buf, `{"schemas":["`+listURN+`"],"Resources":[`...)
	return l, nil
}

// readPage reads which page is asked for.
func (l *list) readPage(h *handler, d dirctx, params map[string]string, kinds []*Compiled) (err error) {
	if l.pages, err = h.newCursor(d, params, kinds); err != nil {
		return err
	}
	if l.start, err = number(params, "startIndex", 1); err != nil {
		return err
	}
	if l.limit, err = number(params, "count", defaultCount); err != nil {
		return err
	}
	l.start, l.limit = max(l.start, 1), min(max(l.limit, 0), maxCount)
	return nil
}

// run writes the resources. A list from the root has all users before all groups.
func (l *list) run(tx *store.Tx) error {
	for i, p := range l.parts {
		q := store.Query{Where: p.where, Offset: max(l.start-1-l.total, 0), Limit: l.limit - l.count, Count: !l.silent, Brief: true, Rows: l.rows}
		q = l.pages.narrow(q, i)
		read := l.users
		if p.c.Name == resourceGroup {
			read = l.groups
		}
		total, err := read(tx, i, q)
		if err != nil {
			return err
		}
		l.total += total
	}
	return nil
}

// users writes users with their groups.
func (l *list) users(tx *store.Tx, part int, q store.Query) (int, error) {
	p := l.parts[part]
	q.Groups = p.p.Wants("groups")
	each := func(u store.User, at store.Place) error {
		if !l.pages.take(part, at) {
			return nil
		}
		l.next()
		l.buf = appendUser(l.buf, p.c, u, u.Groups, l.base, p.p)
		return l.more()
	}
	if l.by == nil {
		return tx.EachUser(q, func(u store.User) error { return each(u, store.Place{ID: string(u.ID)}) })
	}
	return tx.SortedUsers(q, *l.by, each)
}

// groups writes groups with their members.
func (l *list) groups(tx *store.Tx, part int, q store.Query) (int, error) {
	p := l.parts[part]
	var groups []store.Group
	flush := func() error {
		err := l.withMembers(tx, groups, p)
		groups = groups[:0]
		return err
	}
	each := func(g store.Group, at store.Place) error {
		if !l.pages.take(part, at) {
			return nil
		}
		if groups = append(groups, g); len(groups) < chunk {
			return nil
		}
		return flush()
	}
	var total int
	var err error
	if l.by == nil {
		total, err = tx.EachGroup(q, func(g store.Group) error { return each(g, store.Place{ID: string(g.ID)}) })
	} else {
		total, err = tx.SortedGroups(q, *l.by, each)
	}
	if err != nil {
		return 0, err
	}
	return total, flush()
}

// queryOf reads the query parameters, their names in lower case (Entra ID sends
// startindex). What cannot be decoded is refused: dropping a filter would answer
// with everybody.
func queryOf(r *http.Request) (map[string]string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidFilter("The query cannot be read: percent-encode its values (%v).", err)
	}
	params := make(map[string]string, len(values))
	for name, v := range values {
		lower := strings.ToLower(name)
		if _, twice := params[lower]; twice || len(v) > 1 {
			return nil, invalidValue("The query has %q more than once.", name)
		}
		params[lower] = v[0]
	}
	return params, nil
}

func number(params map[string]string, name string, otherwise int) (int, error) {
	text := params[strings.ToLower(name)]
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, invalidValue("%s is %s: want an integer.", name, show(text))
	}
	return int(n), nil // out of range: the nearest possible
}

func (l *list) next() {
	if l.count++; l.count > 1 {
		l.buf = append(l.buf, ',')
	}
}

// withMembers writes groups and their members. Members come in the order of their
// groups' ids, so groups in another order are asked for in runs that have it.
func (l *list) withMembers(tx *store.Tx, groups []store.Group, part part) error {
	if !part.p.Wants("members") {
		for _, g := range groups {
			l.next()
			l.buf = append(openGroup(l.buf, part.c, g, l.base, part.p), '}')
		}
		return l.more()
	}
	for len(groups) > 0 {
		n := 1
		for n < len(groups) && groups[n-1].ID < groups[n].ID {
			n++
		}
		if err := l.membersOf(tx, groups[:n], part); err != nil {
			return err
		}
		groups = groups[n:]
	}
	return nil
}

// membersOf writes groups that are in the order of their ids.
func (l *list) membersOf(tx *store.Tx, groups []store.Group, part part) error {
	form := newMemberForm(l.base, part.p)
	ids := make([]store.GroupID, len(groups))
	for i, g := range groups {
		ids[i] = g.ID
	}
	inside, err := subgroups(tx, groups)
	if err != nil {
		return err
	}
	opened, members := 0, 0
	add := func(m store.Member) {
		if members++; members > 1 {
			l.buf = append(l.buf, ',')
		}
		l.buf = form.append(l.buf, m)
	}
	shut := func() {
		for _, m := range inside[ids[opened-1]] {
			add(m)
		}
		l.buf = append(l.buf, `]}`...)
	}
	open := func() {
		if opened > 0 {
			shut()
		}
		l.next()
		l.buf = append(openGroup(l.buf, part.c, groups[opened], l.base, part.p), `,"members":[`...)
		opened, members = opened+1, 0
	}
	err = tx.MembersOf(ids, form.display, func(id store.GroupID, m store.Member) error {
		for opened == 0 || ids[opened-1] != id {
			open()
		}
		add(m)
		return l.more()
	})
	if err != nil {
		return err
	}
	for opened < len(groups) {
		open()
	}
	shut()
	return l.more()
}

// subgroups are the groups in those groups that have such. They are few beside the
// people, so they are kept until their turn comes.
func subgroups(tx *store.Tx, groups []store.Group) (map[store.GroupID][]store.Member, error) {
	var of []store.GroupID
	for _, g := range groups {
		if g.HasGroups {
			of = append(of, g.ID)
		}
	}
	inside := map[store.GroupID][]store.Member{}
	if len(of) == 0 {
		return inside, nil
	}
	return inside, tx.Subgroups(of, func(id store.GroupID, m store.Member) error {
		inside[id] = append(inside[id], m)
		return nil
	})
}

// tooMany is a search that is longer than its budget: 400 tooMany (RFC 7644
// §3.12), not a rate limit. It names what no index is for.
func (l *list) tooMany(err error) error {
	var names []string
	for _, p := range l.parts {
		if l.filter != nil {
			names = append(names, unindexed(l.filter, p.c, l.opt)...)
		}
	}
	if l.by != nil && l.by.Scans() {
		names = append(names, "sortBy")
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return refuse(scimerr.ScimTypeTooMany, "%s", fault.Public(err))
	}
	all := strings.Join(names, ", ")
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "urn:") && !strings.HasPrefix(n, enterpriseURN) }) {
		return refuse(scimerr.ScimTypeTooMany, "No index finds what was asked of %s. %s An admin can give an attribute of the organization's own an index, on the console's page Attributes.", all, fault.Public(err))
	}
	return refuse(scimerr.ScimTypeTooMany, "No index finds what was asked of %s. %s", all, fault.Public(err))
}

// finish closes the list.
func (l *list) finish(now time.Time, err error) error {
	if fault.Is(err, fault.TooMany) {
		err = l.tooMany(err)
	}
	l.buf = append(l.buf, `],`...)
	if !l.silent {
		l.buf = strconv.AppendInt(append(l.buf, `"totalResults":`...), int64(l.total), 10)
		l.buf = append(l.buf, ',')
	}
	l.buf = strconv.AppendInt(append(l.buf, `"itemsPerPage":`...), int64(l.count), 10)
	switch {
	case l.pages == nil:
		l.buf = strconv.AppendInt(append(l.buf, `,"startIndex":`...), int64(l.start), 10)
	case l.pages.more && err == nil:
		var next string
		next, err = l.pages.next(now)
		l.buf = append(append(append(l.buf, `,"nextCursor":"`...), next...), '"')
	}
	l.buf = append(l.buf, '}')
	return l.end(err)
}
