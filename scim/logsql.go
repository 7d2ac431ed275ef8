package scim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// logRow is one request as it is kept.
type logRow struct {
	Org        store.OrgID        `db:"-"`
	Directory  store.DirectoryID  `db:"-"`
	At         store.Time         `db:"at"`
	ID         store.ID[logRow]   `db:"id"`
	Request    string             `db:"request_id"`
	Method     string             `db:"method"`
	Resource   string             `db:"resource"` // "" is no endpoint of ours
	Path       string             `db:"path"`
	TargetID   string             `db:"target_id"`
	Target     string             `db:"target_name"`
	TargetKey  string             `db:"-"`
	Status     int                `db:"status"`
	ScimType   string             `db:"scim_type"`
	Refusal    string             `db:"refusal"`
	Reason     string             `db:"reason"`
	Took       int64              `db:"took"` // microseconds
	IP         string             `db:"ip"`
	Agent      string             `db:"agent"`
	Body       string             `db:"body"`
	Changes    int                `db:"changes"`
	Part       int                `db:"part"`    // of a Bulk: which operation, from 1
	Repeats    int                `db:"repeats"` // requests like it that have no row
	Activities []store.ActivityID `db:"-"`
	Links      store.JSON         `db:"activities"`
}

const logColumns = `INSERT INTO scim_log (org_id, directory_id, at, id, request_id, method, resource, path, target_id, target_name, target_key,
	status, scim_type, refusal, reason, took, ip, agent, body, changes, part, repeats, activities)`

const logOnce = " ON CONFLICT (org_id, directory_id, at, id) DO NOTHING"

// Rows come as arrays in the order of the columns: with names, which jsonb sorts in each
// row, PostgreSQL took more than twice as long to read them.
const insertLog = logColumns + `
	SELECT CAST(e.value ->> 0 AS {{id}}), CAST(e.value ->> 1 AS {{id}}), CAST(e.value ->> 2 AS {{int}}), CAST(e.value ->> 3 AS {{id}}),
	e.value ->> 4, e.value ->> 5, e.value ->> 6, e.value ->> 7, e.value ->> 8, e.value ->> 9, e.value ->> 10,
	CAST(e.value ->> 11 AS {{int}}), e.value ->> 12, e.value ->> 13, e.value ->> 14, CAST(e.value ->> 15 AS {{int}}),
	e.value ->> 16, e.value ->> 17, e.value ->> 18, CAST(e.value ->> 19 AS {{int}}), CAST(e.value ->> 20 AS {{int}}), CAST(e.value ->> 21 AS {{int}}),
	CAST(e.value ->> 22 AS {{json}})
	FROM {{each}} WHERE 1 = 1` + logOnce

const insertLogRow = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {{as_json}})"

// appendTo writes the row as insertLog reads it.
func (r logRow) appendTo(buf []byte) []byte {
	texts := func(list ...string) {
		for _, s := range list {
			buf = append(appendString(buf, s), ',')
		}
	}
	numbers := func(list ...int64) {
		for _, n := range list {
			buf = append(strconv.AppendInt(buf, n, 10), ',')
		}
	}
	buf = append(buf, '[')
	texts(string(r.Org), string(r.Directory))
	numbers(int64(r.At))
	texts(string(r.ID), r.Request, r.Method, r.Resource, r.Path, r.TargetID, r.Target, r.TargetKey)
	numbers(int64(r.Status))
	texts(r.ScimType, r.Refusal, r.Reason)
	numbers(r.Took)
	texts(r.IP, r.Agent, r.Body)
	numbers(int64(r.Changes), int64(r.Part), int64(r.Repeats))
	return append(r.appendLinks(buf), ']')
}

// appendLinks writes which rows of activity belong to the row.
func (r logRow) appendLinks(buf []byte) []byte {
	buf = append(buf, '[')
	for i, id := range r.Activities {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendString(buf, string(id))
	}
	return append(buf, ']')
}

// args are the columns in their order.
func (r logRow) args() []any {
	return []any{r.Org, r.Directory, r.At, r.ID, r.Request, r.Method, r.Resource, r.Path, r.TargetID, r.Target, r.TargetKey,
		r.Status, r.ScimType, r.Refusal, r.Reason, r.Took, r.IP, r.Agent, r.Body, r.Changes, r.Part, r.Repeats, string(r.appendLinks(nil))}
}

func (l *Log) insert(ctx context.Context, rows []logRow) error {
	list := func() string {
		buf := []byte{'['}
		for i, row := range rows {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = row.appendTo(buf)
		}
		return string(append(buf, ']'))
	}
	args := func() [][]any {
		all := make([][]any, len(rows))
		for i, row := range rows {
			all[i] = row.args()
		}
		return all
	}
	return l.db.InsertRows(ctx, access.Muster(""), store.Rows{Query: insertLog, List: list, Head: logColumns + " VALUES ", Row: insertLogRow, End: logOnce, Args: args})
}

// logQuery chooses rows, newest first. Empty fields choose all.
type logQuery struct {
	directory        store.DirectoryID
	refused          bool
	status           int
	method, resource string
	target           string // the id, userName or externalId of a user, or the start of a name
	request          string
	text             string     // anywhere in the row; see logSearch
	from, to         store.Time // to is not included
	before           logCursor
	only             logCursor // this one
	limit            int
}

// logCursor is the last row of the page before.
type logCursor struct {
	at store.Time
	id store.ID[logRow]
}

func (c logCursor) String() string { return fmt.Sprintf("%d-%s", int64(c.at), c.id) }

func parseLogCursor(s string) (c logCursor, err error) {
	var id string
	if _, err := fmt.Sscanf(s, "%d-%s", &c.at, &id); err != nil {
		return c, fault.NotFound.Say("There is no page %.64q.", s)
	}
	c.id, err = store.ParseID[logRow](id)
	return c, err
}

// logRows reads the log. Faults: Denied.
func logRows(tx *store.Tx, q logQuery) ([]logRow, error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	query, args, err := q.sql(tx)
	if err != nil {
		return nil, err
	}
	rows := []logRow{}
	if err := tx.Select(&rows, query, args...); err != nil {
		return nil, err
	}
	for i := range rows {
		if err := json.Unmarshal(rows[i].Links, &rows[i].Activities); err != nil {
			return nil, fmt.Errorf("log row %s: %w", rows[i].ID, err)
		}
	}
	return rows, nil
}

// sql is the query as a statement.
func (q logQuery) sql(tx *store.Tx) (string, []any, error) {
	query := `SELECT at, id, request_id, method, resource, path, target_id, target_name, status, scim_type, refusal, reason, took, ip, agent, body, changes, part, repeats, activities
		FROM scim_log WHERE org_id = ? AND directory_id = ?`
	args := []any{tx.Org(), q.directory}
	and := func(condition string, values ...any) {
		query, args = query+" AND "+condition, append(args, values...)
	}
	if q.refused {
		and("status >= 400")
	}
	if q.status != 0 {
		and("status = ?", q.status)
	}
	if q.status >= 400 {
		and("refusal <> ''") // has an index
	}
	if q.request != "" {
		and("request_id = ?", q.request)
	}
	if q.method != "" {
		and("method = ?", q.method)
	}
	if q.method != "" && q.method != http.MethodGet {
		and("method <> 'GET'") // so has this
	}
	if q.resource != "" {
		and("resource = ?", q.resource)
	}
	if q.from != 0 {
		and("at >= ?", q.from)
	}
	if q.to != 0 {
		and("at < ?", q.to)
	}
	if q.only.id != "" {
		and("at = ? AND id = ?", q.only.at, q.only.id)
	}
	if q.before.id != "" {
		and("(at, id) < (?, ?)", q.before.at, q.before.id)
	}
	const newest = " ORDER BY at DESC, id DESC LIMIT ?"
	if q.target == "" {
		return query + newest, append(args, q.limit), nil
	}
	id, err := targetOf(tx, q.directory, q.target)
	if err != nil {
		return "", nil, err
	}
	key := store.Fold(q.target)
	if id == "" {
		return query + " AND target_key >= ? AND target_key < ?" + newest, append(args, key, key+"\U0010ffff", q.limit), nil
	}
	// Two walks of an index each; with OR it is a look at every row of the directory.
	byID, byName := append(slices.Clone(args), id, q.limit), append(args, key, id, q.limit)
	return "SELECT * FROM (" + query + " AND target_id = ?" + newest + ") AS a UNION ALL SELECT * FROM (" + query + " AND target_key = ? AND target_id <> ?" + newest + ") AS b" + newest,
		append(append(byID, byName...), q.limit), nil
}

// targetOf is the id that somebody means: an id, or the userName or externalId of a
// person. Rows of a person carry the name that the request had, which may be another one.
func targetOf(tx *store.Tx, directory store.DirectoryID, typed string) (string, error) {
	if id, err := store.ParseID[store.User](typed); err == nil {
		return string(id), nil
	}
	u, err := tx.UserByName(typed)
	if fault.Is(err, fault.NotFound) {
		u, err = tx.UserByExternalID(directory, typed)
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return "", nil
	}
	return string(u.ID), err
}

// State is how a directory's connection does.
type State struct {
	Directory store.DirectoryID `db:"id"`
	Last      store.Time        `db:"last_at"`    // newest request, 0: none is on record
	Good      store.Time        `db:"good_at"`    // newest request that was not refused
	Failing   store.Time        `db:"failing_at"` // since when everything is refused; 0: it is not
}

// What a connection fails by: one refusal that does not hang on the person (token,
// address, server), or three of any kind with nothing good between. "Not found" is an
// answer, not a failure: directories look after people who are gone.
const connectionStates = `WITH d (id) AS ({{ids}}), last AS (SELECT d.id,
	(SELECT l.at FROM scim_log l WHERE l.org_id = ? AND l.directory_id = d.id ORDER BY l.at DESC, l.id DESC LIMIT 1) AS last_at,
	COALESCE((SELECT l.at FROM scim_log l WHERE l.org_id = ? AND l.directory_id = d.id AND l.status < 400 ORDER BY l.at DESC, l.id DESC LIMIT 1), 0) AS good_at FROM d),
	bad AS (SELECT last.id, MIN(l.at) AS since, COUNT(*) AS refused, MAX(CASE WHEN l.status IN (401, 403) OR l.status >= 500 OR l.refusal = 'url' THEN 1 ELSE 0 END) AS hard
	FROM last JOIN scim_log l ON l.org_id = ? AND l.directory_id = last.id AND l.at > last.good_at AND l.status >= 400 AND (l.status <> 404 OR l.refusal = 'url')
	GROUP BY last.id)
	SELECT last.id, COALESCE(last.last_at, 0) AS last_at, last.good_at, CASE WHEN bad.hard = 1 OR bad.refused >= 3 THEN bad.since ELSE 0 END AS failing_at
	FROM last LEFT JOIN bad ON bad.id = last.id`

// States tells how the connections of these directories do. Faults: Denied.
func (l *Log) States(tx *store.Tx, ids []store.DirectoryID) ([]State, error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	if ids == nil {
		ids = []store.DirectoryID{}
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	states := []State{}
	return states, tx.Select(&states, connectionStates, string(list), tx.Org(), tx.Org(), tx.Org())
}

// Sweep removes rows that are too old, and the oldest of directories with too many.
func (l *Log) Sweep(ctx context.Context) error {
	_, err := l.db.Sweep(ctx, "DELETE FROM scim_log WHERE at < ?", store.TimeOf(l.db.Now()).Add(-l.opt.LogAge))
	errs := []error{err}
	l.mu.Lock()
	touched := l.touched
	l.touched = map[logOf]bool{}
	l.mu.Unlock()
	for of := range touched {
		errs = append(errs, l.trim(ctx, of))
	}
	return errors.Join(errs...)
}

// trim keeps a directory's newest LogRows rows.
func (l *Log) trim(ctx context.Context, of logOf) error {
	return l.db.Write(ctx, access.Muster(string(of.org)), func(tx *store.Tx) error {
		var cut struct {
			At store.Time       `db:"at"`
			ID store.ID[logRow] `db:"id"`
		}
		err := tx.Get(&cut, `SELECT at, id FROM scim_log WHERE org_id = ? AND directory_id = ? ORDER BY at DESC, id DESC LIMIT 1 OFFSET ?`,
			tx.Org(), of.directory, l.opt.LogRows)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM scim_log WHERE org_id = ? AND directory_id = ? AND (at, id) <= (?, ?)`, tx.Org(), of.directory, cut.At, cut.ID)
		return err
	})
}

// Free text is looked for in Go, in rows that come by an index: the databases do not
// agree on letters, and no index of theirs knows words. One question looks at so many
// rows; from there on the next page goes on.
const (
	searchRows  = 20_000
	searchBatch = 1000
)

// logPageOf reads one page. next is where the page after it begins; empty: there is none.
func logPageOf(tx *store.Tx, q logQuery) (rows []logRow, next string, err error) {
	limit := q.limit
	if q.text == "" {
		q.limit = limit + 1
		rows, err = logRows(tx, q)
		if len(rows) > limit {
			rows = rows[:limit]
			next = rows[limit-1].cursor()
		}
		return rows, next, err
	}
	text := store.Fold(q.text)
	for looked := 0; ; {
		q.limit = min(searchBatch, searchRows-looked)
		batch, err := logRows(tx, q)
		if err != nil {
			return nil, "", err
		}
		for _, row := range batch {
			if !row.has(text) {
				continue
			}
			if rows = append(rows, row); len(rows) == limit {
				return rows, row.cursor(), nil
			}
		}
		if looked += len(batch); len(batch) < q.limit {
			return rows, "", nil
		}
		last := batch[len(batch)-1]
		if looked >= searchRows {
			return rows, last.cursor(), nil
		}
		q.before = logCursor{last.At, last.ID}
	}
}

func (r logRow) cursor() string { return logCursor{r.At, r.ID}.String() }

// has tells whether a folded text stands in the row.
func (r logRow) has(text string) bool {
	for _, s := range []string{r.Target, r.Path, r.Reason, r.TargetID, r.Request, r.ScimType, r.IP, r.Agent, r.Body} {
		if strings.Contains(store.Fold(s), text) {
			return true
		}
	}
	return false
}

// logEntry reads one row by its cursor. Faults: Denied, NotFound.
func logEntry(tx *store.Tx, directory store.DirectoryID, id string) (logRow, error) {
	missing := fault.NotFound.Say("The log has no entry %.64q, or not any more.", id)
	at, err := parseLogCursor(id)
	if err != nil {
		return logRow{}, missing
	}
	rows, err := logRows(tx, logQuery{directory: directory, only: at, limit: 1})
	if err == nil && len(rows) == 0 {
		err = missing
	}
	if err != nil {
		return logRow{}, err
	}
	return rows[0], nil
}
