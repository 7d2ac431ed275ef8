package scim

import (
	"embed"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates/log.html
var logFiles embed.FS

var logPages = web.MustPages(logFiles, "templates/log.html")

const logPageSize = 50

func (l *Log) mount(m *web.Mux) {
	m.Console(access.Configure, "GET /console/{org}/directories/{directory}/log", l.show)
	l.mountAPI(m)
}

// logPage is one directory's requests, newest first.
type logPage struct {
	Org        web.Org
	Directory  store.Directory
	BaseURL    string
	State      State
	Rows       []logLine
	Form       web.Form
	Operations []web.Option
	Filtered   bool
	Searched   bool   // by free text, which looks at so many requests at a time
	Path       string // of this page, without filters
	Refused    string // the link to what was refused
	Older      string
	Newest     string
}

// logLine is one request in words.
type logLine struct {
	logRow
	Operation string
	Link      string // to the person or the group
	Bad       bool
	Time      string // how long it took
	Remedy    string
	Done      []logChange
	More      int // changes that are not listed
}

type logChange struct {
	Action, TargetID, Target string
	Changes                  []store.AttributeChange
}

// operations are what a directory does, in words, by method and resource.
var operations = []web.Option{
	{Value: "", Label: "Everything"},
	{Value: "GET Users", Label: "Read or find users"}, {Value: "POST Users", Label: "Create a user"}, {Value: "PUT Users", Label: "Replace a user"},
	{Value: "PATCH Users", Label: "Change a user"}, {Value: "DELETE Users", Label: "Delete a user"},
	{Value: "GET Groups", Label: "Read or find groups"}, {Value: "POST Groups", Label: "Create a group"}, {Value: "PUT Groups", Label: "Replace a group"},
	{Value: "PATCH Groups", Label: "Change a group"}, {Value: "DELETE Groups", Label: "Delete a group"},
	{Value: "POST Bulk", Label: "Several at once (Bulk)"}, {Value: "GET ServiceProviderConfig", Label: "Read the service provider configuration"},
	{Value: "GET Schemas", Label: "Read the schemas"}, {Value: "GET ResourceTypes", Label: "Read the resource types"},
	{Value: "POST Token", Label: "Fetch an access token (OAuth)"},
}

func operationOf(row logRow) string {
	for _, o := range operations[1:] {
		if o.Value == row.Method+" "+row.Resource {
			return o.Label
		}
	}
	if row.Repeats > 0 {
		return web.Say("More of these").String()
	}
	return row.Method + " " + row.Path
}

// logFields are the filters of the page, in the URL so that a view can be shared.
var logFields = []string{"refused", "operation", "target", "status", "request", "text", "from", "to"}

// logFilter reads the filters from the URL and puts them back into the form.
func logFilter(q url.Values, f *web.Form, now time.Time) (logQuery, error) {
	for _, name := range logFields {
		f.Set(name, q.Get(name))
	}
	query, err := LogFilter{Operation: q.Get("operation"), Target: q.Get("target"), Status: strings.TrimSpace(q.Get("status")), Request: q.Get("request"), Text: q.Get("text"),
		Refused: q.Get("refused") == "1", Cursor: q.Get("before"), Limit: logPageSize}.query(now)
	if err != nil {
		return query, err
	}
	if query.from, err = day("from", q.Get("from"), 0); err != nil {
		return query, err
	}
	query.to, err = day("to", q.Get("to"), 1)
	return query, err
}

// day reads a field for days, moved on by so many.
func day(field, text string, plus int) (store.Time, error) {
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fault.Invalid.On(field, "%.64q is no day. Write it like 2026-11-30.", text)
	}
	return store.TimeOf(t.AddDate(0, 0, plus)), nil
}

// logLink is the page with the same filters and another start.
func logLink(q url.Values, before string) string {
	v := url.Values{}
	for _, name := range logFields {
		if q.Get(name) != "" {
			v.Set(name, q.Get(name))
		}
	}
	if before != "" {
		v.Set("before", before)
	}
	return "?" + v.Encode()
}

func (l *Log) show(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.Directory](r.PathValue("directory"))
	if err != nil {
		return err
	}
	if err := l.Flush(r.Context()); err != nil {
		l.complain(r.Context(), "write", err)
	}
	q, org := r.URL.Query(), web.OrgOf(r)
	p := logPage{Org: org, Operations: operations, Path: "/console/" + org.Slug + "/directories/" + string(id) + "/log", BaseURL: BaseURL(l.opt.PublicURL, id)}
	p.Refused = p.Path + "?refused=1"
	status := http.StatusOK
	query, err := logFilter(q, &p.Form, l.db.Now())
	if p.Form.Take(err) {
		status, err = web.Status(err), nil
		query = logQuery{limit: logPageSize}
	}
	if err != nil {
		return err
	}
	query.directory = id
	p.Filtered = p.Form.Bad() || slices.ContainsFunc(logFields, func(name string) bool { return q.Get(name) != "" })
	p.Searched = query.text != ""
	if query.before.id != "" {
		p.Newest = logLink(q, "")
	}
	err = l.db.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if p.Directory, err = tx.Directory(id); err != nil {
			return err
		}
		states, err := l.States(tx, []store.DirectoryID{id})
		if err != nil {
			return err
		}
		p.State = states[0]
		rows, next, err := logPageOf(tx, query)
		if err != nil {
			return err
		}
		if next != "" {
			p.Older = logLink(q, next)
		}
		p.Rows, err = logLines(tx, rows, p.Directory.Vendor, "/console/"+org.Slug)
		return err
	})
	if err != nil {
		return err
	}
	return logPages.Write(w, r, status, "log", p)
}

// logLines adds what the activity rows say.
func logLines(tx *store.Tx, rows []logRow, vendor, console string) ([]logLine, error) {
	var ids []store.ActivityID
	for _, row := range rows {
		ids = append(ids, row.Activities...)
	}
	acts := map[store.ActivityID]store.Activity{}
	if len(ids) > 0 {
		list, err := tx.Activities(store.ActivityQuery{IDs: ids})
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			acts[a.ID] = a
		}
	}
	names, err := memberNames(tx, acts)
	if err != nil {
		return nil, err
	}
	lines := make([]logLine, len(rows))
	for i, row := range rows {
		line := logLine{logRow: row, Operation: operationOf(row), Bad: row.Status >= 400, Time: took(row.Took), More: row.Changes - len(row.Activities)}
		if line.Target == "" {
			line.Target = row.TargetID
		}
		kind := map[string]string{"Users": "/users/", "Groups": "/teams/"}[row.Resource]
		if kind != "" && row.TargetID != "" && row.Method != http.MethodDelete && row.Refusal != refusedMissing {
			line.Link = console + kind + row.TargetID
		}
		if line.Bad {
			line.Remedy = remedyOf(vendor, row.Refusal)
		}
		for _, id := range row.Activities {
			if a, ok := acts[id]; ok {
				line.Done = append(line.Done, logChange{Action: a.Action, TargetID: a.TargetID, Target: a.TargetName, Changes: changesOf(a, names)})
			}
		}
		lines[i] = line
	}
	return lines, nil
}

// membersOf are the people and groups whom an activity row about members names. Other rows name none.
func membersOf(a store.Activity) (ids []store.UserID) {
	if !strings.HasPrefix(a.Action, "group.member.") {
		return nil
	}
	for _, key := range []string{"users", "kept", "groups"} {
		list, _ := a.Detail[key].([]any)
		for _, v := range list {
			if id, ok := v.(string); ok {
				ids = append(ids, store.UserID(id))
			}
		}
	}
	return ids
}

func memberNames(tx *store.Tx, acts map[store.ActivityID]store.Activity) (map[store.UserID]string, error) {
	var ids []store.UserID
	for _, a := range acts {
		ids = append(ids, membersOf(a)...)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	names, err := tx.Named(ids)
	if err != nil {
		return nil, err
	}
	var groups []store.GroupID
	for _, id := range ids {
		if names[id] == "" {
			groups = append(groups, store.GroupID(id))
		}
	}
	if len(groups) == 0 {
		return names, nil
	}
	of, err := tx.NamedGroups(groups)
	for id, name := range of {
		names[store.UserID(id)] = name
	}
	return names, err
}

// changesOf is an activity row's changes, members by name, without what an attribute
// of theirs calls a secret.
func changesOf(a store.Activity, names map[store.UserID]string) []store.AttributeChange {
	const some = 20
	ids := membersOf(a)
	if ids == nil {
		list := a.Changes()
		for i := range list {
			if c := &list[i]; secretName.MatchString(c.Name) {
				c.Before, c.After = hidden(c.Before), hidden(c.After)
			}
		}
		return list
	}
	var text []string
	for _, id := range ids[:min(len(ids), some)] {
		name := names[id]
		if name == "" {
			name = string(id)
		}
		text = append(text, name)
	}
	all := strings.Join(text, ", ")
	if n, _ := a.Detail["count"].(float64); int(n) > len(text) {
		all = fmt.Sprintf("%s and %d more", all, int(n)-len(text))
	}
	if a.Action == "group.member.remove" {
		return []store.AttributeChange{{Name: "members", Before: all}}
	}
	return []store.AttributeChange{{Name: "members", After: all}}
}

func hidden(s string) string {
	if s == "" {
		return ""
	}
	return redacted
}

func took(microseconds int64) string {
	d := time.Duration(microseconds) * time.Microsecond
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", microseconds)
	case d < 10*time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
