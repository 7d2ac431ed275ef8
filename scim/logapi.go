package scim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// The provisioning log for programs: the REST API and the command line.

const (
	logDefault = 50
	logMost    = 500
)

// LogFilter chooses requests of a directory as somebody typed it. Empty fields
// choose all.
type LogFilter struct {
	Since, Until string // RFC 3339, a day (2026-11-30, in UTC), or how long ago (24h)
	Operation    string // method and resource: "PATCH Users"
	Target       string // id, userName, externalId, or the start of a name
	Status       string
	Refused      bool
	Request      string // X-Request-Id
	Text         string // anywhere in the request's row
	Cursor       string // LogPage.Next of the page before
	Limit        int    // 50 when 0, 500 at most
}

// LogPage is requests, newest first.
type LogPage struct {
	Entries []LogEntry `json:"entries"`
	Next    string     `json:"next,omitempty"` // cursor of the next page; empty: there is none
}

// LogEntry is one request, or one operation of a Bulk. Secrets are redacted.
type LogEntry struct {
	ID        string      `json:"id"`
	Time      string      `json:"time"`
	RequestID string      `json:"request_id"`
	Operation string      `json:"operation"` // in words
	Method    string      `json:"method"`
	Resource  string      `json:"resource"`
	Path      string      `json:"path"`
	BulkPart  int         `json:"bulk_operation,omitempty"` // which of a Bulk, from 1
	TargetID  string      `json:"target_id"`
	Target    string      `json:"target"` // name
	Status    int         `json:"status"`
	Refused   bool        `json:"refused"`
	ScimType  string      `json:"scim_type,omitempty"`
	Reason    string      `json:"reason,omitempty"`     // why it was refused
	Kind      string      `json:"refusal,omitempty"`    // what refusals of one remedy have in common
	Remedy    string      `json:"what_to_do,omitempty"` // which setting at the vendor to change
	Millis    float64     `json:"took_ms"`
	IP        string      `json:"ip"`
	Client    string      `json:"client"` // User-Agent
	Changes   int         `json:"changes"`
	Repeats   int         `json:"repeats,omitempty"`  // requests like it that have no entry
	Changed   []LogChange `json:"changed,omitempty"`  // LogEntry alone, not in lists
	Body      string      `json:"body,omitempty"`     // of a refused request; not in lists
	Unlisted  int         `json:"unlisted,omitempty"` // changes that Changed leaves out
}

// LogChange is what a request did to one resource.
type LogChange struct {
	Action   string         `json:"action"` // as in the activity log
	TargetID string         `json:"target_id"`
	Target   string         `json:"target"`
	Changes  []LogAttribute `json:"attributes"`
}

// LogAttribute is one attribute before and after; empty is unset.
type LogAttribute struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// query reads what was typed. Faults: Invalid on the field.
func (f LogFilter) query(now time.Time) (logQuery, error) {
	clean := func(s string) string { return cutText(strings.TrimSpace(strings.ToValidUTF8(s, "")), 200) }
	q := logQuery{refused: f.Refused, target: clean(f.Target), request: clean(f.Request), text: clean(f.Text), limit: f.Limit}
	if q.limit == 0 {
		q.limit = logDefault
	}
	if q.limit < 1 || q.limit > logMost {
		return q, fault.Invalid.On("limit", "limit is %d; it can be 1 to %d.", f.Limit, logMost)
	}
	if f.Operation != "" {
		var ok bool
		if q.method, q.resource, ok = strings.Cut(f.Operation, " "); !ok || len(f.Operation) > 100 {
			return q, fault.Invalid.On("operation", "There is no operation %.64q. Write method and resource, such as PATCH Users.", f.Operation)
		}
	}
	var err error
	if f.Status != "" {
		if q.status, err = strconv.Atoi(f.Status); err != nil || q.status < 100 || q.status > 599 {
			return q, fault.Invalid.On("status", "%.64q is no status. Write a number such as 409.", f.Status)
		}
	}
	if q.from, err = store.ParseMoment("since", f.Since, now, 0); err != nil {
		return q, err
	}
	if q.to, err = store.ParseMoment("until", f.Until, now, 1); err != nil {
		return q, err
	}
	if f.Cursor != "" {
		q.before, err = parseLogCursor(f.Cursor)
	}
	return q, err
}

// List reads the log of a directory. Faults: Denied, NotFound, Invalid on the field.
func (l *Log) List(tx *store.Tx, id store.DirectoryID, f LogFilter) (LogPage, error) {
	page := LogPage{Entries: []LogEntry{}}
	d, err := tx.Directory(id)
	if err != nil {
		return page, err
	}
	q, err := f.query(l.db.Now())
	if err != nil {
		return page, err
	}
	q.directory = id
	rows, next, err := logPageOf(tx, q)
	page.Next = next
	for _, row := range rows {
		page.Entries = append(page.Entries, entryOf(row, d.Vendor))
	}
	return page, err
}

// Entry reads one request with what it changed. Faults: Denied, NotFound.
func (l *Log) Entry(tx *store.Tx, directory store.DirectoryID, id string) (LogEntry, error) {
	d, err := tx.Directory(directory)
	if err != nil {
		return LogEntry{}, err
	}
	row, err := logEntry(tx, directory, id)
	if err != nil {
		return LogEntry{}, err
	}
	lines, err := logLines(tx, []logRow{row}, d.Vendor, "")
	if err != nil {
		return LogEntry{}, err
	}
	out := entryOf(row, d.Vendor)
	out.Body, out.Unlisted, out.Changed = row.Body, lines[0].More, []LogChange{}
	for _, done := range lines[0].Done {
		c := LogChange{Action: done.Action, TargetID: done.TargetID, Target: done.Target, Changes: []LogAttribute{}}
		for _, a := range done.Changes {
			c.Changes = append(c.Changes, LogAttribute(a))
		}
		out.Changed = append(out.Changed, c)
	}
	return out, nil
}

func entryOf(row logRow, vendor string) LogEntry {
	e := LogEntry{ID: row.cursor(), Time: row.At.RFC3339(), RequestID: row.Request, Operation: operationOf(row), Method: row.Method, Resource: row.Resource,
		Path: row.Path, BulkPart: row.Part, TargetID: row.TargetID, Target: row.Target, Status: row.Status, Refused: row.Status >= 400, ScimType: row.ScimType,
		Reason: row.Reason, Kind: row.Refusal, Millis: float64(row.Took) / 1000, IP: row.IP, Client: row.Agent, Changes: row.Changes, Repeats: row.Repeats}
	if e.Refused {
		e.Remedy = remedyOf(vendor, row.Refusal)
	}
	return e
}

func (l *Log) apiList(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := logFilterOf(q)
	if err != nil {
		return err
	}
	return l.apiAnswer(w, r, func(tx *store.Tx, id store.DirectoryID) (any, error) { return l.List(tx, id, f) })
}

func logFilterOf(q url.Values) (LogFilter, error) {
	f := LogFilter{Since: q.Get("since"), Until: q.Get("until"), Operation: q.Get("operation"), Target: q.Get("target"), Status: q.Get("status"),
		Request: q.Get("request"), Text: q.Get("q"), Cursor: q.Get("cursor"), Refused: q.Get("refused") == "true"}
	var err error
	if s := q.Get("limit"); s != "" {
		if f.Limit, err = strconv.Atoi(s); err != nil || f.Limit == 0 {
			return f, fault.Invalid.On("limit", "limit is %.64q; it can be 1 to %d.", s, logMost)
		}
	}
	return f, nil
}

func (l *Log) apiEntry(w http.ResponseWriter, r *http.Request) error {
	return l.apiAnswer(w, r, func(tx *store.Tx, id store.DirectoryID) (any, error) { return l.Entry(tx, id, r.PathValue("entry")) })
}

// apiAnswer reads about the directory of the URL and answers with it.
func (l *Log) apiAnswer(w http.ResponseWriter, r *http.Request, read func(*store.Tx, store.DirectoryID) (any, error)) error {
	id, err := store.ParseID[store.Directory](r.PathValue("directory"))
	if err != nil {
		return err
	}
	l.complain(r.Context(), "write", l.Flush(r.Context()))
	var out any
	err = l.db.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		out, err = read(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (l *Log) mountAPI(m *web.Mux) {
	m.API(access.Configure, "GET /api/v1/directories/{directory}/log", l.apiList)          // List what a directory asked, newest first
	m.API(access.Configure, "GET /api/v1/directories/{directory}/log/{entry}", l.apiEntry) // Get a request of a directory
}
