package scim

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	scimerr "github.com/elimity-com/scim/errors"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// The provisioning log has a row for each request of a directory.
//
//	serve -> begin: watch the answer, the body's start and what is committed
//	      -> end:   one row, redacted (redact.go), into the queue
//	Run   -> Flush: all queued rows in one statement; Sweep: age and size
//
// What is guaranteed. What a request changed is on record in the activity table,
// by the transaction that changed it. The log tells of requests, and so that no
// request waits for a commit of its log row, rows wait in memory for up to a
// second: a killed process loses these, a stopped one writes them first. The queue
// is bounded, and reads have a share of it. When it is full, these are left out,
// counted and told in the server's log: reads, requests over the rate limit, and
// requests without a good token, the latter also above 20 a minute for each
// directory. A row of any other change or refusal that finds none of these to
// replace is written at once, together with the queue, before its request ends.
// What is left out of a flood is counted, and has one row a minute (logflood.go).
// A Bulk has a row of its own and one for each of its operations (logbulk.go).

const (
	queueSize = 2048 // rows; a refused one can be 5 KiB
	// Reads alone may fill this much of it, which is also how many are kept a second:
	// measured at 25 µs for a row, more would take from the requests themselves.
	queueReads = 512
	flushEvery = time.Second
	batchRows  = 256 // changes that do not wait for the second
	sweepEvery = 10 * time.Minute
	maxLinks   = 50 // activity rows that a row of the log names
)

// Log is the provisioning log of all directories.
type Log struct {
	db    *store.DB
	opt   Options
	limit int // of the queue
	share int // of reads in it

	dropped atomic.Uint64
	told    uint64 // of dropped, in the server's log; guarded by flushing

	flushing sync.Mutex // one writer at a time, so that Flush returns after all of it

	mu      sync.Mutex // guards what follows
	changes []logRow   // and refusals
	reads   []logRow
	touched map[logOf]bool // directories with rows since the last sweep
	floods  map[floodKey]*flood
	minute  store.Time // in which the floods began
	wake    chan struct{}
}

// logOf is whose log a row belongs to.
type logOf struct {
	org       store.OrgID
	directory store.DirectoryID
}

func newLog(db *store.DB, opt Options) *Log {
	if opt.LogAge == 0 {
		opt.LogAge = 30 * 24 * time.Hour
	}
	if opt.LogRows == 0 {
		opt.LogRows = 100_000
	}
	return &Log{db: db, opt: opt, limit: queueSize, share: queueReads, touched: map[logOf]bool{}, floods: map[floodKey]*flood{}, wake: make(chan struct{}, 1)}
}

// Dropped counts the reads for which the queue had no room.
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// logged is one request on its way. It is the request's ResponseWriter, to see the status.
type logged struct {
	http.ResponseWriter
	log   *Log
	r     *http.Request
	start time.Time // for took
	at    store.Time

	actor    access.Actor      // zero: no token opened the door
	owner    store.DirectoryID // whose token or client was refused
	oauth    *tokenRequest     // set when this is one
	status   int
	refusal  string
	scimType string
	reason   string
	body     []byte // its first maxRead bytes
	cut      bool
	parts    []logRow // of a Bulk: what its operations add to the row
	secrets  [2]map[string]bool

	mu         sync.Mutex // guards what follows
	changes    int
	activities []store.ActivityID
	targetID   string
	targetName string
}

type loggedKey struct{}

// begin watches a request. Use the writer and the request that come back.
func (l *Log) begin(w http.ResponseWriter, r *http.Request) (*logged, *http.Request) {
	e := &logged{ResponseWriter: w, log: l, start: time.Now(), at: store.TimeOf(l.db.Now())}
	r = r.WithContext(context.WithValue(store.Watch(r.Context(), e.changed), loggedKey{}, e))
	if r.Body != nil && r.Body != http.NoBody && r.Method != http.MethodGet && r.Method != http.MethodHead {
		r.Body = &watched{r.Body, e}
	}
	e.r = r
	return e, r
}

// logAs says whose request it is, once the token has told, and which attributes of the
// organization are never shown.
func logAs(ctx context.Context, d dirctx) {
	if e, ok := ctx.Value(loggedKey{}).(*logged); ok {
		e.actor = d.actor
		if d.users != nil {
			e.secrets = [2]map[string]bool{d.users.secrets, d.groups.secrets}
		}
	}
}

// logOwner says whose token or client was refused: its administrator has to know.
func logOwner(ctx context.Context, id store.DirectoryID) {
	if e, ok := ctx.Value(loggedKey{}).(*logged); ok {
		e.owner = id
	}
}

// watched keeps the start of a body while it is read.
type watched struct {
	io.ReadCloser
	e *logged
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	keep := min(n, maxRead-len(b.e.body))
	b.e.body = append(b.e.body, p[:keep]...)
	b.e.cut = b.e.cut || keep < n
	return n, err
}

func (e *logged) WriteHeader(status int) {
	if e.status == 0 && status >= 200 {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (e *logged) Unwrap() http.ResponseWriter { return e.ResponseWriter }

func ofResource(a store.Activity) bool { return a.TargetKind == "user" || a.TargetKind == "group" }

// changed is told what was committed for this request.
func (e *logged) changed(a store.Activity) {
	if !ofResource(a) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.changes++; len(e.activities) < maxLinks {
		e.activities = append(e.activities, a.ID)
	}
	if e.targetID != a.TargetID { // roles come and go after the user, who is named already
		e.targetID, e.targetName = a.TargetID, a.TargetName
	}
	if after, ok := a.Detail["after"].(store.Doc); ok {
		if name, _ := after["userName"].(string); name != "" {
			e.targetName = name
		}
	}
}

// refused says how the request was refused.
func (e *logged) refused(err error, s scimerr.ScimError) {
	e.status, e.scimType, e.reason = s.Status, string(s.ScimType), s.Detail
	e.refusal = refusalOf(e.actor.Signed(), err, s)
}

// explain gives a reason to a request that is answered with 200 although parts of
// it are refused.
func explain(ctx context.Context, reason string) {
	if e, ok := ctx.Value(loggedKey{}).(*logged); ok {
		e.reason = reason
	}
}

// end makes the rows and queues them. A request of nobody belongs to the directory
// whose token it has, if that is known, and to the one in its URL: the administrators
// of both look for the reason there.
func (l *Log) end(e *logged) {
	if l.leftOut(e) {
		return
	}
	var now []logRow // what the queue has no room for
	for _, of := range l.belongs(e) {
		row := e.row(of)
		read := row.Status < 400 && (isRead(row.Method, row.Path) || e.oauth != nil) || row.Status == http.StatusTooManyRequests || !e.actor.Signed()
		for _, part := range e.parts {
			if part = part.under(row); !l.queue(part, false) {
				now = append(now, part)
			}
		}
		row.ID = store.NewID[logRow]() // newest first, a Bulk stands over its operations
		if !l.queue(row, read) {
			now = append(now, row)
		}
	}
	if len(now) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.r.Context()), 5*time.Second)
	defer cancel()
	if err := l.flush(ctx, now...); err != nil {
		l.opt.Log.ErrorContext(ctx, "provisioning log: rows are lost", "request_id", now[0].Request, "directory", now[0].Directory, "rows", len(now), "error", err)
	}
}

// leftOut counts a good read for which the queue has no room, before its row is
// made, which takes half as long as the read itself.
func (l *Log) leftOut(e *logged) bool {
	if !e.actor.Signed() || e.status == 0 || e.status >= 400 || e.r.Method != http.MethodGet && e.r.Method != http.MethodHead {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.changes)+len(l.reads) < l.limit && len(l.reads) < l.share {
		return false
	}
	l.dropped.Add(1)
	return true
}

// belongs finds the directories in whose logs a request has a row.
func (l *Log) belongs(e *logged) []logOf {
	if e.actor.Signed() {
		of := logOf{store.OrgID(e.actor.Org), store.DirectoryID(e.actor.ID)}
		if e.status == http.StatusTooManyRequests && !l.admit(floodKey{of.directory, true}, of) {
			return nil
		}
		return []logOf{of}
	}
	ids := []store.DirectoryID{e.owner}
	if id, err := store.ParseID[store.Directory](e.r.PathValue("directory")); err == nil && id != e.owner {
		ids = append(ids, id)
	}
	var list []logOf
	for _, id := range ids {
		key := floodKey{id, e.owner != "" && e.status == http.StatusTooManyRequests}
		if id == "" || !l.admit(key, logOf{}) {
			continue
		}
		if d, err := l.db.DirectoryByID(context.WithoutCancel(e.r.Context()), id); err == nil {
			list = append(list, logOf{d.OrgID, d.ID})
			l.known(key, logOf{d.OrgID, d.ID})
		}
	}
	return list
}

func isRead(method, path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodPost && strings.HasSuffix(path, "/.search")
}

// resources are the endpoints that are told apart.
var resources = []string{"Users", "Groups", "Bulk", "Me", "Schemas", "ResourceTypes", "ServiceProviderConfig", "Roles", "Entitlements", ".search"}

// filterValue finds whom a look-up is about.
var filterValue = regexp.MustCompile(`(?i)\b(?:id|userName|externalId|displayName|emails(?:\[[^\]]*\])?(?:\.value)?)\s+eq\s+"?([^"\s)]+)`)

func (e *logged) row(of logOf) logRow {
	row := logRow{Org: of.org, Directory: of.directory, At: e.at, Request: web.RequestID(e.r.Context()),
		Method: cutText(e.r.Method, 10), Status: e.status, ScimType: e.scimType, Refusal: e.refusal, Took: time.Since(e.start).Microseconds(),
		IP: web.Actor(e.r).IP, Agent: redactText(web.UserAgent(e.r.Context())), Changes: e.changes, Activities: e.activities,
		TargetID: e.targetID, Target: e.targetName}
	if row.Status == 0 { // nothing was answered: the handler panicked
		row.Status, row.Refusal = http.StatusInternalServerError, refusedServer
	}
	s := segments(e.r)
	if len(s) > 0 && slices.Contains(resources, s[0]) {
		row.Resource = s[0]
	}
	if len(s) > 1 && row.TargetID == "" {
		if id, err := store.ParseID[store.User](s[1]); err == nil {
			row.TargetID = string(id)
		}
	}
	if row.Resource == "Bulk" {
		row.TargetID, row.Target = "", ""
	}
	query := e.r.URL.RawQuery
	if plain, err := url.QueryUnescape(query); err == nil {
		query = plain
	}
	row.Path = "/" + strings.Join(s, "/")
	if in := e.r.PathValue("directory"); in != string(of.directory) { // not this directory's base URL
		row.Path = "/scim/v2/" + in + row.Path
	}
	if query != "" {
		if found := filterValue.FindStringSubmatch(query); found != nil && row.Target == "" {
			row.Target = redactText(found[1])
		}
		row.Path += "?" + query
	}
	row.Path = cutText(redactText(row.Path), 500)
	if secretFilter(row.Path, e.secrets) {
		row.Path = "/" + strings.Join(s, "/") + "?" + redacted
	}
	if row.Status >= 400 || e.reason != "" {
		x := redactor{own: e.secrets}
		var name string
		row.Body, name = x.body(e.body, e.cut)
		if row.Target == "" {
			row.Target = x.text(name)
		}
		row.Reason = cutText(x.text(e.reason), 1000)
	}
	if e.oauth != nil {
		e.oauth.describe(&row)
	}
	row.Target = cutText(row.Target, 200)
	row.TargetKey = store.Fold(row.Target)
	return row
}

// queue keeps a row for the next flush. It tells false when the caller must write
// the row itself.
func (l *Log) queue(row logRow, read bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched[logOf{row.Org, row.Directory}] = true
	n := len(l.changes) + len(l.reads)
	switch {
	case read && (n >= l.limit || len(l.reads) >= l.share):
		l.dropped.Add(1)
		return true
	case read:
		l.reads = append(l.reads, row)
	case n < l.limit:
		l.changes = append(l.changes, row)
	case len(l.reads) > 0:
		l.reads = l.reads[:len(l.reads)-1]
		l.dropped.Add(1)
		l.changes = append(l.changes, row)
	default:
		return false
	}
	if len(l.changes) >= batchRows {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// Flush writes all queued rows.
func (l *Log) Flush(ctx context.Context) error { return l.flush(ctx) }

// flush writes the queue and more. When the database does not answer, the queued
// rows stay for the next time, as far as there is room.
func (l *Log) flush(ctx context.Context, more ...logRow) error {
	l.flushing.Lock()
	defer l.flushing.Unlock()
	l.tally(false)
	l.mu.Lock()
	changes, reads := l.changes, l.reads
	l.changes, l.reads = nil, nil
	l.mu.Unlock()
	if n := l.dropped.Load(); n > l.told {
		l.opt.Log.WarnContext(ctx, "provisioning log: reads left out, the queue was full or strangers knocked too often", "rows", n-l.told)
		l.told = n
	}
	rows := slices.Concat(changes, reads, more)
	for at := 0; at < len(rows); at += batchRows {
		err := l.write(ctx, rows[at:min(at+batchRows, len(rows))])
		if err == nil {
			continue
		}
		kept := min(max(len(changes)-at, 0), l.limit)
		l.mu.Lock()
		l.changes = append(slices.Clone(changes[len(changes)-kept:]), l.changes...)
		l.mu.Unlock()
		l.dropped.Add(uint64(len(reads)))
		return err
	}
	return nil
}

// write puts rows in with one statement. A row that the database refuses must not
// hold up the others, so then each goes alone.
func (l *Log) write(ctx context.Context, rows []logRow) error {
	err := l.insert(ctx, rows)
	if err == nil || fault.Is(err, fault.Unavailable) || ctx.Err() != nil || len(rows) == 1 {
		return err
	}
	for _, row := range rows {
		err := l.insert(ctx, []logRow{row})
		if fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			l.opt.Log.ErrorContext(ctx, "provisioning log: a row is lost", "request_id", row.Request, "directory", row.Directory, "error", err)
		}
	}
	return nil
}

// Run writes what is queued and removes what is old, until ctx ends; then it
// writes the rest.
func (l *Log) Run(ctx context.Context) error {
	write, sweep := time.NewTicker(flushEvery), time.NewTicker(sweepEvery)
	defer write.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			l.tally(true)
			return l.Flush(last)
		case <-sweep.C:
			l.complain(ctx, "sweep", l.Sweep(ctx))
		case <-write.C:
			l.complain(ctx, "write", l.Flush(ctx))
		case <-l.wake:
			l.complain(ctx, "write", l.Flush(ctx))
		}
	}
}

func (l *Log) complain(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		l.opt.Log.LogAttrs(ctx, slog.LevelError, "provisioning log: "+what, slog.Any("error", err))
	}
}
