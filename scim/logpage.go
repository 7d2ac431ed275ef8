package scim

import (
	"embed"
	"fmt"
	"net/http"
	"net/url"
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
	Action, Target string
	Changes        []store.AttributeChange
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
}

func operationOf(row logRow) string {
	for _, o := range operations[1:] {
		if o.Value == row.Method+" "+row.Resource {
			return o.Label
		}
	}
	return row.Method + " " + row.Path
}

// logFilter reads the filters from the URL and puts them back into the form.
func logFilter(q url.Values, f *web.Form) (logQuery, error) {
	query := logQuery{limit: logPageSize + 1, refused: q.Get("refused") == "1", target: strings.TrimSpace(strings.ToValidUTF8(q.Get("target"), ""))}
	query.target = cutText(query.target, 200)
	for _, name := range []string{"refused", "operation", "target", "from", "to"} {
		f.Set(name, q.Get(name))
	}
	if op := q.Get("operation"); op != "" {
		var ok bool
		if query.method, query.resource, ok = strings.Cut(op, " "); !ok || len(op) > 100 {
			return query, fault.Invalid.On("operation", "There is no operation %.64q. Choose one of the list.", op)
		}
	}
	day := func(name string, plus int) (store.Time, error) {
		if q.Get(name) == "" {
			return 0, nil
		}
		t, err := time.Parse(time.DateOnly, q.Get(name))
		if err != nil {
			return 0, fault.Invalid.On(name, "%.64q is no day. Write it like 2026-11-30.", q.Get(name))
		}
		return store.TimeOf(t.AddDate(0, 0, plus)), nil
	}
	var err error
	if query.from, err = day("from", 0); err != nil {
		return query, err
	}
	if query.to, err = day("to", 1); err != nil {
		return query, err
	}
	if before := q.Get("before"); before != "" {
		query.before, err = parseLogCursor(before)
	}
	return query, err
}

// logLink is the page with the same filters and another start.
func logLink(q url.Values, before string) string {
	v := url.Values{}
	for _, name := range []string{"refused", "operation", "target", "from", "to"} {
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
	query, err := logFilter(q, &p.Form)
	if p.Form.Take(err) {
		status, err = web.Status(err), nil
		query = logQuery{limit: logPageSize + 1}
	}
	if err != nil {
		return err
	}
	query.directory = id
	p.Filtered = query.refused || query.method != "" || query.target != "" || query.from != 0 || query.to != 0 || p.Form.Bad()
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
		rows, err := logRows(tx, query)
		if err != nil {
			return err
		}
		if len(rows) > logPageSize {
			rows = rows[:logPageSize]
			p.Older = logLink(q, logCursor{rows[logPageSize-1].At, rows[logPageSize-1].ID}.String())
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
				line.Done = append(line.Done, logChange{Action: a.Action, Target: a.TargetName, Changes: a.Changes()})
			}
		}
		lines[i] = line
	}
	return lines, nil
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
