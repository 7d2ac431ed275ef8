package console

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// peopleView is a view of the list. It stands in the URL, so it can be shared, and the
// same view chooses people for a job.
type peopleView struct {
	Search, Role, Team, SignedIn, Created, Sort string
	License, Invitation                         string
	Status, Source, Directory, Traits           []string
	Columns                                     []string // nil: as the reader has chosen
	After, Before                               string
}

// nobodys stands for the directory of those whom none manages.
const nobodys = "none"

var (
	statusOptions = []web.Option{{Value: "invited", Label: "Invited"}, {Value: "active", Label: "Active"}, {Value: "deactivated", Label: "Deactivated"}, {Value: "deleted", Label: "Deleted"}}
	sourceOptions = []web.Option{{Value: "scim", Label: "SCIM"}, {Value: "jit", Label: "JIT (first sign-in)"}, {Value: "invite", Label: "Invite"}, {Value: "csv", Label: "CSV"}, {Value: "api", Label: "API"}}
	signInOptions = []web.Option{{Value: "1d", Label: "In the last day"}, {Value: "7d", Label: "In the last 7 days"}, {Value: "30d", Label: "In the last 30 days"}, {Value: "90d", Label: "In the last 90 days"},
		{Value: "not30d", Label: "Not for 30 days"}, {Value: "not90d", Label: "Not for 90 days"}, {Value: "never", Label: "Never"}}
	createdOptions    = []web.Option{{Value: "1d", Label: "In the last day"}, {Value: "7d", Label: "In the last 7 days"}, {Value: "30d", Label: "In the last 30 days"}, {Value: "90d", Label: "In the last 90 days"}, {Value: "not365d", Label: "More than a year ago"}}
	invitationOptions = []web.Option{{Value: "pending", Label: "Pending"}, {Value: "saved", Label: "Not invited yet"}, {Value: "expired", Label: "Invite expired"}, {Value: "bounced", Label: "Invite bounced"}}
	traitOptions      = []web.Option{{Value: "locked", Label: "Locked"}, {Value: "planned", Label: "Change planned"}, {Value: "linked", Label: "Linked to a record"}, {Value: "unlinked", Label: "Not linked to a record"}, {Value: "nofactor", Label: "No second factor"}}
	columnOptions     = []web.Option{{Value: "email", Label: "E-mail"}, {Value: "status", Label: "Status"}, {Value: "role", Label: "Role"}, {Value: "teams", Label: "Teams"}, {Value: "source", Label: "Source"},
		{Value: "directory", Label: "Directory"}, {Value: "signin", Label: "Last sign-in"}, {Value: "created", Label: "Created"}, {Value: "username", Label: "User name"}, {Value: "department", Label: "Department"}, {Value: "title", Label: "Title"},
		{Value: "number", Label: "Employee number"}, {Value: "phone", Label: "Phone"}, {Value: "record", Label: "Linked record"}, {Value: "license", Label: "License"}, {Value: "factor", Label: "Second factor"}}
	firstColumns = []string{"email", "status", "role", "teams", "source", "signin", "created"}
)

var spans = map[string]time.Duration{"1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour, "365d": 365 * 24 * time.Hour}

// readView reads a view; what a list does not know is refused: it must not silently show
// something else than it says. Faults: Invalid.
func readView(q url.Values) (peopleView, error) {
	v := peopleView{Search: web.Typed(q.Get("q")), Role: web.Typed(q.Get("role")), Team: q.Get("team"), SignedIn: q.Get("signin"), Created: q.Get("created"), Sort: web.Typed(q.Get("sort")),
		Status: some(q["status"]), Source: some(q["source"]), Directory: some(q["directory"]), License: web.Typed(q.Get("license")), Invitation: q.Get("invitation"), Traits: some(q["trait"]), After: q.Get("after"), Before: q.Get("before")}
	if q.Has("columns") {
		v.Columns = some(strings.Split(q.Get("columns"), ","))
		if v.Columns == nil {
			v.Columns = []string{}
		}
	}
	for _, f := range []struct {
		name   string
		values []string
		known  []web.Option
	}{{"status", v.Status, statusOptions}, {"source", v.Source, sourceOptions}, {"signin", some([]string{v.SignedIn}), signInOptions}, {"created", some([]string{v.Created}), createdOptions}, {"columns", v.Columns, columnOptions},
		{"invitation", some([]string{v.Invitation}), invitationOptions}, {"trait", v.Traits, traitOptions}} {
		for _, value := range f.values {
			if !slices.ContainsFunc(f.known, func(o web.Option) bool { return o.Value == value }) {
				return v, fault.Invalid.On(f.name, "There is no %s %.40q. Choose one in the list.", f.name, value)
			}
		}
	}
	for _, id := range append(some([]string{v.Team}), v.Directory...) {
		if _, err := store.ParseID[store.Group](id); err != nil && id != nobodys {
			return v, err
		}
	}
	err := store.CheckPeopleSort(v.Sort)
	if err == nil {
		_, err = v.places()
	}
	return v, err
}

// some drops what is empty, and the second of two that are equal.
func some(values []string) (list []string) {
	for _, v := range values {
		if v = web.Typed(v); v != "" && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// filtered tells whether the view leaves anybody out.
func (v peopleView) filtered() bool {
	return v.Search+v.Role+v.Team+v.SignedIn+v.Created+v.License+v.Invitation != "" || len(v.Status)+len(v.Source)+len(v.Directory)+len(v.Traits) > 0
}

// query is the view as store wants it. Faults: Invalid (a place that is none, a filter that
// is not here).
func (c *Console) query(tx *store.Tx, v peopleView) (store.PeopleQuery, error) {
	q, err := v.places()
	if err != nil {
		return q, err
	}
	now := tx.Now()
	q.Search, q.Role, q.Team, q.Sort, q.Limit, q.Never, q.License = v.Search, v.Role, store.GroupID(v.Team), v.Sort, pageSize, v.SignedIn == "never", v.License
	for _, s := range v.Status {
		q.Status = append(q.Status, store.Status(s))
	}
	for _, s := range v.Source {
		q.Source = append(q.Source, store.Source(s))
	}
	for _, d := range v.Directory {
		q.Directory = append(q.Directory, store.DirectoryID(strings.TrimPrefix(d, nobodys)))
	}
	q.SignedIn, q.Created = spanOf(v.SignedIn, now), spanOf(v.Created, now)
	if q.SignedIn.Until != 0 {
		q.SignedIn.From = 1 // whoever never signed in is asked for by a word of its own
	}
	traits := v.Traits
	if v.Invitation != "" {
		traits = append(slices.Clip(traits), "invitation-"+v.Invitation)
	}
	for _, t := range traits {
		sets := c.opt.Traits[t]
		if sets == nil {
			return q, fault.Invalid.On("trait", "There is no trait %.40q here. Choose one in the list.", t)
		}
		q.Sets = append(q.Sets, sets(tx)...)
	}
	return q, nil
}

// places are where the page begins or ends. Faults: Invalid.
func (v peopleView) places() (q store.PeopleQuery, err error) {
	for text, into := range map[string]*store.Standing{v.After: &q.After, v.Before: &q.Before} {
		if text == "" {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err == nil {
			_, err = store.ParseID[store.User](string(into.ID))
		}
		if err != nil || strings.ContainsRune(into.Text, 0) {
			return q, fault.Invalid.On("after", "The address names no place in the list. Open the first page and go on from there.")
		}
	}
	return q, nil
}

func spanOf(word string, now store.Time) (s store.Span) {
	if long, not := strings.CutPrefix(word, "not"); not && spans[long] > 0 {
		s.Until = now.Add(-spans[long])
	} else if spans[word] > 0 {
		s.From = now.Add(-spans[word])
	}
	return s
}

// values is the view in a URL, without the place.
func (v peopleView) values() url.Values {
	q := url.Values{}
	for name, list := range map[string][]string{"q": {v.Search}, "status": v.Status, "source": v.Source, "directory": v.Directory, "role": {v.Role}, "team": {v.Team},
		"signin": {v.SignedIn}, "created": {v.Created}, "sort": {v.Sort}, "license": {v.License}, "invitation": {v.Invitation}, "trait": v.Traits} {
		if list = some(list); len(list) > 0 {
			q[name] = list
		}
	}
	if v.Columns != nil {
		q.Set("columns", strings.Join(v.Columns, ","))
	}
	return q
}

// link is the view with one thing set, or taken out.
func (v peopleView) link(name string, values ...string) string {
	q := v.values()
	q.Del(name)
	for _, value := range some(values) {
		q.Add(name, value)
	}
	return "?" + q.Encode()
}

// place is where a person stands, for a URL.
func (v peopleView) place(u store.User) (string, error) {
	at, err := store.StandingOf(u, v.Sort)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(at)
	return base64.RawURLEncoding.EncodeToString(raw), err
}
