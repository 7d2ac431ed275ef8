package scim

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

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

// listUsers is GET /Users.
func (h *handler) listUsers(w http.ResponseWriter, r *http.Request) error {
	d := from(r.Context())
	l, err := newList(w, r, UserSchema(), BindUsers)
	if err != nil {
		return err
	}
	var users []store.User
	flush := func(tx *store.Tx) error {
		var groups map[store.UserID][]store.GroupRef
		if len(users) > 0 && l.p.Wants("groups") {
			ids := make([]store.UserID, len(users))
			for i, u := range users {
				ids[i] = u.ID
			}
			if groups, err = tx.GroupsOf(ids); err != nil {
				return err
			}
		}
		for _, u := range users {
			l.next()
			l.buf = appendUser(l.buf, u, groups[u.ID], d.base, l.p)
			if err := l.more(); err != nil {
				return err
			}
		}
		users = users[:0]
		return nil
	}
	err = h.db.Read(r.Context(), d.actor, func(tx *store.Tx) (err error) {
		l.total, err = tx.EachUser(l.q, func(u store.User) error {
			if users = append(users, u); len(users) < chunk {
				return nil
			}
			return flush(tx)
		})
		if err != nil {
			return err
		}
		return flush(tx)
	})
	return l.finish(err)
}

// listGroups is GET /Groups.
func (h *handler) listGroups(w http.ResponseWriter, r *http.Request) error {
	d := from(r.Context())
	l, err := newList(w, r, GroupSchema(), BindGroups)
	if err != nil {
		return err
	}
	var groups []store.Group
	flush := func(tx *store.Tx) error {
		err := l.groups(tx, groups, d.base)
		groups = groups[:0]
		return err
	}
	err = h.db.Read(r.Context(), d.actor, func(tx *store.Tx) (err error) {
		l.total, err = tx.EachGroup(l.q, func(g store.Group) error {
			if groups = append(groups, g); len(groups) < chunk {
				return nil
			}
			return flush(tx)
		})
		if err != nil {
			return err
		}
		return flush(tx)
	})
	return l.finish(err)
}

// list is one answer to a query.
type list struct {
	stream
	p     Projection
	q     store.Query
	start int
	count int // resources written
	total int
}

func newList(w http.ResponseWriter, r *http.Request, c *Compiled, bind func(filter.Expression, BindOptions) (store.Cond, error)) (*list, error) {
	params, err := queryOf(r)
	if err != nil {
		return nil, err
	}
	l := &list{stream: stream{w: w, code: http.StatusOK}}
	if l.p, err = ParseProjection(params["attributes"], params["excludedattributes"], c); err != nil {
		return nil, err
	}
	if l.start, err = number(params, "startIndex", 1); err != nil {
		return nil, err
	}
	if l.q.Limit, err = number(params, "count", defaultCount); err != nil {
		return nil, err
	}
	l.start, l.q.Limit = max(l.start, 1), min(max(l.q.Limit, 0), maxCount)
	l.q.Offset, l.q.Count = l.start-1, true
	if text := strings.TrimSpace(params["filter"]); text != "" {
		q := from(r.Context()).quirks
		e, err := ParseFilter(text, ParseOptions{UnquotedValues: q.UnquotedFilterValues})
		if err != nil {
			return nil, err
		}
		if l.q.Where, err = bind(e, BindOptions{Lenient: q.StringBooleans, Base: from(r.Context()).base}); err != nil {
			return nil, err
		}
	}
	l.buf = append(l.buf, `{"schemas":["`+listURN+`"],"Resources":[`...)
	return l, nil
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
	for _, name := range []string{"sortBy", "cursor"} {
		if params[strings.ToLower(name)] != "" {
			return nil, status(http.StatusNotImplemented, "%s is not supported; see /ServiceProviderConfig. Lists are in the order of creation, in pages by startIndex and count.", name)
		}
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

// groups writes groups with their members, which come sorted by group.
func (l *list) groups(tx *store.Tx, groups []store.Group, base string) error {
	if len(groups) == 0 || !l.p.Wants("members") {
		for _, g := range groups {
			l.next()
			l.buf = append(openGroup(l.buf, g, base, l.p), '}')
		}
		return l.more()
	}
	form := newMemberForm(base, l.p)
	ids := make([]store.GroupID, len(groups))
	for i, g := range groups {
		ids[i] = g.ID
	}
	opened, members := 0, 0
	open := func() {
		if opened > 0 {
			l.buf = append(l.buf, `]}`...)
		}
		l.next()
		l.buf = append(openGroup(l.buf, groups[opened], base, l.p), `,"members":[`...)
		opened, members = opened+1, 0
	}
	err := tx.MembersOf(ids, form.display, func(id store.GroupID, m store.Member) error {
		for opened == 0 || groups[opened-1].ID != id {
			open()
		}
		if members++; members > 1 {
			l.buf = append(l.buf, ',')
		}
		l.buf = form.append(l.buf, m)
		return l.more()
	})
	if err != nil {
		return err
	}
	for opened < len(groups) {
		open()
	}
	l.buf = append(l.buf, `]}`...)
	return l.more()
}

// finish closes the list. A search that took too long is 400 tooMany (RFC 7644
// §3.12), not a rate limit.
func (l *list) finish(err error) error {
	if fault.Is(err, fault.TooMany) {
		err = refuse(scimerr.ScimTypeTooMany, "%s", fault.Public(err))
	}
	l.buf = append(l.buf, `],"totalResults":`...)
	l.buf = strconv.AppendInt(l.buf, int64(l.total), 10)
	l.buf = strconv.AppendInt(append(l.buf, `,"itemsPerPage":`...), int64(l.count), 10)
	l.buf = strconv.AppendInt(append(l.buf, `,"startIndex":`...), int64(l.start), 10)
	l.buf = append(l.buf, '}')
	return l.end(err)
}
