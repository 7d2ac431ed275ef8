package console

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// ActivityFilter chooses rows of the record, in the words of the URL, the API and the
// command line. Empty fields choose all.
type ActivityFilter struct {
	Person string // about whom: id, user name or address
	By     string // who did it: the same, or the id of an API key
	Action string
	Since  string // see store.ParseMoment
	Until  string
	Cursor string // the last row of the page before
}

// activityParameters are those of the page, the export and the API.
var activityParameters = []string{"org", "person", "by", "action", "since", "until", "cursor", "limit", "format"}

// activityFilter reads a query. What is misspelt is refused: a filter that is not
// applied shows what nobody asked for.
func activityFilter(q url.Values) (ActivityFilter, error) {
	for name := range q {
		if !slices.Contains(activityParameters, name) {
			return ActivityFilter{}, web.NoParameter(name, activityParameters)
		}
	}
	return ActivityFilter{Person: web.Typed(q.Get("person")), By: web.Typed(q.Get("by")), Action: web.Typed(q.Get("action")), Since: web.Typed(q.Get("since")), Until: web.Typed(q.Get("until")),
		Cursor: q.Get("cursor")}, nil
}

// values is the filter as a query.
func (f ActivityFilter) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"person": f.Person, "by": f.By, "action": f.Action, "since": f.Since, "until": f.Until, "cursor": f.Cursor} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// found is the filter with its people looked up.
type found struct {
	query  store.ActivityQuery
	person store.User // about whom; no id: about everybody
}

// look finds whom the filter means. Faults: Invalid on "person", "by", "since", "until", "cursor".
func (f ActivityFilter) look(tx *store.Tx) (out found, err error) {
	out.query.Action = f.Action
	if f.Person != "" {
		if out.person, err = aPerson(tx, "person", f.Person); err != nil {
			return out, err
		}
		out.query.Target = string(out.person.ID)
	}
	if f.By != "" {
		if out.query.Actor, err = anActor(tx, f.By); err != nil {
			return out, err
		}
	}
	now := tx.Now().Time()
	if out.query.From, err = store.ParseMoment("since", f.Since, now, 0); err != nil {
		return out, err
	}
	if out.query.To, err = store.ParseMoment("until", f.Until, now, 1); err != nil {
		return out, err
	}
	if f.Cursor == "" {
		return out, nil
	}
	if out.query.Before, err = store.ParseID[store.Activity](f.Cursor); err != nil {
		err = fault.Invalid.On("cursor", "%.64q is no cursor of this list. Leave it out to begin with the newest.", f.Cursor)
	}
	return out, err
}

// aPerson is named by id, also when deleted, or by what people know.
func aPerson(tx *store.Tx, field, name string) (store.User, error) {
	if id, err := store.ParseID[store.User](name); err == nil {
		return tx.AnyUser(id)
	}
	return findPerson(tx, field, name)
}

// anActor is a person, or the id of whatever else has done something.
func anActor(tx *store.Tx, name string) (string, error) {
	if _, err := store.ParseID[store.User](name); err == nil {
		return name, nil
	}
	u, err := findPerson(tx, "by", name)
	return string(u.ID), err
}

// activityPage is the organization's record, newest first.
type activityPage struct {
	Org           web.Org
	Form          web.Form
	Actions       []web.Option
	Log           []line
	Filtered      bool
	Person        string
	Older, Newest string
	CSV, Lines    string // all of what is chosen, as a file
}

func (c *Console) activity(w http.ResponseWriter, r *http.Request) error {
	f, err := activityFilter(r.URL.Query())
	if err != nil {
		return err
	}
	p := activityPage{Org: web.OrgOf(r), Actions: actionOptions(r)}
	for name, value := range map[string]string{"person": f.Person, "by": f.By, "action": f.Action, "since": f.Since, "until": f.Until} {
		p.Form.Set(name, value)
		p.Filtered = p.Filtered || value != ""
	}
	first := f
	first.Cursor = ""
	query := first.values()
	if f.Cursor != "" {
		p.Newest = "?" + query.Encode()
	}
	file := func(format string) string {
		query.Set("format", format)
		return base(r) + "/activity/export?" + query.Encode()
	}
	p.CSV, p.Lines = file(FormatCSV), file(FormatLines)
	status := http.StatusOK
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		found, err := f.look(tx)
		if err != nil {
			return err
		}
		if found.person.ID != "" {
			p.Person = fullName(found.person)
			p.Form.Set("person", found.person.UserName)
		}
		found.query.Limit = pageSize + 1
		acts, err := tx.Activities(found.query)
		if err != nil {
			return err
		}
		if len(acts) > pageSize {
			acts = acts[:pageSize]
			older := f
			older.Cursor = string(acts[pageSize-1].ID)
			p.Older = "?" + older.values().Encode()
		}
		p.Log = lines(acts, base(r))
		return nil
	})
	if fault.Field(err) != "" && p.Form.Take(err) {
		status, err = web.Status(err), nil
	}
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "activity", p)
}

func actionOptions(r *http.Request) []web.Option {
	list := choices(web.T(r, "Everything"))
	for _, action := range slices.Sorted(maps.Keys(did)) {
		list = append(list, web.Option{Value: action, Label: action})
	}
	return list
}

// apiActivity is a page of the record for programs, or with format all of it.
func (c *Console) apiActivity(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := activityFilter(q)
	if err != nil {
		return err
	}
	if q.Get("format") != "" {
		return c.export(w, r, f, q.Get("format"))
	}
	limit := pageSize
	if s := q.Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > 200 {
			return fault.Invalid.On("limit", "limit is %.64q; it can be 1 to 200.", s)
		}
	}
	out := struct {
		Activity []ActivityRow `json:"activity"`
		Next     string        `json:"next"`
	}{Activity: []ActivityRow{}}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		found, err := f.look(tx)
		if err != nil {
			return err
		}
		found.query.Limit = limit
		acts, err := tx.Activities(found.query)
		for _, a := range acts {
			out.Activity = append(out.Activity, activityRow(a))
		}
		if len(acts) == limit {
			out.Next = string(acts[limit-1].ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}
