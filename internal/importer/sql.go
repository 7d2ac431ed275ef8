package importer

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// found is what was recognized of a file.
type found struct {
	Header  []string   `json:"header"`
	Notices []web.Said `json:"notices"`
	Sample  [][]string `json:"sample"` // its first lines
}

type runRow struct {
	ID        ID         `db:"id"`
	Name      string     `db:"name"`
	Feed      FeedID     `db:"feed_id"`
	State     State      `db:"state"`
	Settings  store.JSON `db:"settings"`
	Found     store.JSON `db:"found"`
	Counts    store.JSON `db:"counts"`
	Lines     int        `db:"lines"`
	People    int        `db:"people"`
	Job       jobs.ID    `db:"job_id"`
	By        string     `db:"made_by"`
	CreatedAt store.Time `db:"created_at"`
	Reader    store.JSON `db:"reader"`
	Total     int        `db:"total"`
	Problem   string     `db:"problem"`
	Turn      string     `db:"turn"`
}

const runColumns = "SELECT id, name, feed_id, state, settings, found, counts, lines, people, job_id, made_by, created_at, reader, total, problem, turn FROM import_runs"

func (row runRow) run() (Run, error) {
	r := Run{ID: row.ID, Name: row.Name, Feed: row.Feed, State: row.State, Read: row.Lines, People: row.People, Job: row.Job, By: row.By, CreatedAt: row.CreatedAt,
		Total: row.Total, Problem: saidIn(row.Problem), turn: row.Turn}
	var f found
	for _, part := range []struct {
		raw  store.JSON
		into any
	}{{row.Settings, &r.Settings}, {row.Found, &f}, {row.Counts, &r.Counts}, {row.Reader, &r.reader}} {
		if err := json.Unmarshal(part.raw, part.into); err != nil {
			return r, fmt.Errorf("import %s: %w", row.ID, err)
		}
	}
	r.Header, r.Notices, r.Sample = f.Header, f.Notices, f.Sample
	for i, name := range r.Settings.Columns {
		if name == "" && i < len(r.Header) && r.Header[i] != "" {
			r.Unmapped = append(r.Unmapped, r.Header[i])
		}
	}
	return r, nil
}

// kept is a sentence as a column of text has it until somebody reads it. What was read from
// there is kept as the same.
func kept(s web.Said) string {
	if s.IsZero() {
		return ""
	}
	raw, err := json.Marshal(s)
	if err != nil || len(raw) > 4000 { // faults of many files
		raw, _ = json.Marshal(web.Say(clip(s.String(), 1000)))
	}
	return string(raw)
}

// saidIn is the other way, also of a text that was kept as it is.
func saidIn(text string) (s web.Said) {
	if text != "" && json.Unmarshal([]byte(text), &s) != nil {
		s = web.Say(text)
	}
	return s
}

func findRun(tx *store.Tx, id ID) (Run, error) {
	var row runRow
	err := tx.Get(&row, runColumns+" WHERE org_id = ? AND id = ?", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return Run{}, fault.NotFound.Wrap(err, "This import is not here any more: files that nobody confirms are dropped after a while. Upload it again: lines that are done stay as they are.")
	}
	if err != nil {
		return Run{}, err
	}
	return row.run()
}

func listRuns(tx *store.Tx, limit int) ([]Run, error) {
	var rows []runRow
	if err := tx.Select(&rows, runColumns+" WHERE org_id = ? AND state NOT IN ('uploading', 'dropped') ORDER BY id DESC LIMIT ?", tx.Org(), limit); err != nil {
		return nil, err
	}
	list := make([]Run, len(rows))
	for i, row := range rows {
		var err error
		if list[i], err = row.run(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func insertRun(tx *store.Tx, r Run) error {
	_, err := tx.Exec("INSERT INTO import_runs (org_id, id, name, feed_id, state, settings, found, made_by, created_at) VALUES (?, ?, ?, ?, ?, '{}', '{}', ?, ?)",
		tx.Org(), r.ID, r.Name, r.Feed, r.State, r.By, r.CreatedAt)
	return err
}

func insertPiece(tx *store.Tx, id ID, n int, data []byte) error {
	_, err := tx.Exec("INSERT INTO import_pieces (org_id, run_id, n, data) VALUES (?, ?, ?, ?)", tx.Org(), id, n, data)
	return err
}

func recognized(tx *store.Tx, id ID, set Settings, f found) error {
	settings, err := json.Marshal(set)
	if err != nil {
		return err
	}
	what, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE import_runs SET state = ?, settings = {{as_json}}, found = {{as_json}} WHERE org_id = ? AND id = ? AND state NOT IN ('started', 'dropped') AND turn_until < ?",
		Uploaded, string(settings), string(what), tx.Org(), id, tx.Now())
	return err
}

// claimReading begins a reading that nobody else does now, and forgets the one before.
func claimReading(tx *store.Tx, id ID, set Settings, turn string, until store.Time) error {
	settings, err := json.Marshal(set)
	if err != nil {
		return err
	}
	reader, err := starterJSON(tx)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE import_runs SET state = ?, settings = {{as_json}}, reader = {{as_json}}, problem = '', counts = '{}', lines = 0, people = 0, turn = ?, turn_until = ?
		WHERE org_id = ? AND id = ? AND state IN ('uploaded', 'reading', 'ready') AND turn_until < ?`, Reading, string(settings), reader, turn, until, tx.Org(), id, tx.Now())
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.Conflict.Say("This file is being read, or its import was started already. Load the page again.")
	}
	_, err = tx.Exec("DELETE FROM import_rows WHERE org_id = ? AND run_id = ?", tx.Org(), id)
	return err
}

func lostTurn(n int64, err error) error {
	if err == nil && n == 0 {
		return fault.Conflict.Say("Somebody else is reading this file with other settings. Load the page again.")
	}
	return err
}

func keepTurn(tx *store.Tx, id ID, turn string, lines int, until store.Time) error {
	return lostTurn(tx.Exec("UPDATE import_runs SET lines = ?, turn_until = ? WHERE org_id = ? AND id = ? AND turn = ?", lines, until, tx.Org(), id, turn))
}

func setPeople(tx *store.Tx, id ID, turn string, people int) error {
	return lostTurn(tx.Exec("UPDATE import_runs SET people = ? WHERE org_id = ? AND id = ? AND turn = ?", people, tx.Org(), id, turn))
}

func stopReading(tx *store.Tx, id ID, turn string, problem web.Said) error {
	_, err := tx.Exec("UPDATE import_runs SET state = ?, problem = ?, turn = '', turn_until = 0 WHERE org_id = ? AND id = ? AND turn = ? AND state = 'reading'", Uploaded, kept(problem), tx.Org(), id, turn)
	return err
}

// leaveReading lets another server go on.
func leaveReading(tx *store.Tx, id ID, turn string) error {
	_, err := tx.Exec("UPDATE import_runs SET turn = '', turn_until = 0 WHERE org_id = ? AND id = ? AND turn = ? AND state = 'reading'", tx.Org(), id, turn)
	return err
}

func setTotal(tx *store.Tx, id ID, lines int) error {
	_, err := tx.Exec("UPDATE import_runs SET total = ? WHERE org_id = ? AND id = ?", lines, tx.Org(), id)
	return err
}

// unread are files that are to be read and that no server reads.
func (d *Door) unread(ctx context.Context) (list []runOfOrg, err error) {
	return list, d.opt.DB.LookupAll(ctx, &list, "SELECT org_id, id FROM import_runs WHERE state = 'reading' AND turn_until < ? ORDER BY turn_until LIMIT 20", store.TimeOf(d.opt.DB.Now()))
}

// old are imports that may go: unless somebody is at them, or their job is kept.
func (d *Door) old(ctx context.Context) (list []runOfOrg, err error) {
	now := d.opt.DB.Now()
	return list, d.opt.DB.LookupAll(ctx, &list, `SELECT org_id, id FROM import_runs WHERE created_at < ? AND (created_at < ? OR state = 'dropped' OR state <> 'started' AND feed_id IS NULL)
		ORDER BY created_at LIMIT 1000`, store.TimeOf(now.Add(-dropAfter)), store.TimeOf(now.Add(-keptFor)))
}

// markDropped takes an import out of everybody's sight, unless somebody is at it.
func markDropped(tx *store.Tx, id ID) (bool, error) {
	n, err := tx.Exec("UPDATE import_runs SET state = ? WHERE org_id = ? AND id = ? AND state <> 'started' AND turn_until < ?", dropped, tx.Org(), id, tx.Now())
	return n == 1, err
}

// forgetSome removes some lines of an import, and the rest of it with the last of them.
func forgetSome(tx *store.Tx, id ID) (gone bool, err error) {
	n, err := tx.Exec("DELETE FROM import_rows WHERE org_id = ? AND run_id = ? AND n < (SELECT MIN(r.n) + ? FROM import_rows r WHERE r.org_id = ? AND r.run_id = ?)", tx.Org(), id, 5000, tx.Org(), id)
	if err != nil || n > 0 {
		return false, err
	}
	return true, forgetRun(tx, id)
}

func endReading(tx *store.Tx, id ID, turn string) error {
	var rows []struct {
		Action Action `db:"action"`
		N      int    `db:"n"`
	}
	if err := tx.Select(&rows, "SELECT action, COUNT(*) AS n FROM import_rows WHERE org_id = ? AND run_id = ? GROUP BY action", tx.Org(), id); err != nil {
		return err
	}
	counts, all := map[Action]int{}, 0
	for _, r := range rows {
		counts[r.Action] = r.N
		all += r.N
	}
	if all > 2*piece {
		if err := tx.Analyze("import_rows", "org_id", "run_id", "n", "action"); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	return lostTurn(tx.Exec("UPDATE import_runs SET state = ?, counts = {{as_json}}, turn = '', turn_until = 0 WHERE org_id = ? AND id = ? AND turn = ?", Ready, string(raw), tx.Org(), id, turn))
}

// startRun marks an import as started; of two who start it one does.
func startRun(tx *store.Tx, id ID, job jobs.ID) (bool, error) {
	n, err := tx.Exec("UPDATE import_runs SET state = ?, job_id = ? WHERE org_id = ? AND id = ? AND state = 'ready'", Started, job, tx.Org(), id)
	return n == 1, err
}

const insertManyRows = "INSERT INTO import_rows (org_id, run_id, action, wave, n, line, email, name, user_id, data) VALUES "

func insertRows(tx *store.Tx, id ID, rows []*Row, wave []int32) error {
	list, org, run := make([][]any, len(rows)), any(string(tx.Org())), any(string(id))
	for i, r := range rows {
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		at := int32(0) // somebody who is not in the file comes first of all, as that frees seats
		if r.N < len(wave) {
			at = wave[r.N]
		}
		list[i] = []any{org, run, string(r.Action), at, r.N, r.Line, r.Email, r.Name, r.User, string(data)}
	}
	return tx.InsertMany(insertManyRows, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", list)
}

// replaceRows writes rows again whose action changed.
func replaceRows(tx *store.Tx, id ID, rows []Row) error {
	for _, r := range rows {
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE import_rows SET action = ?, data = ? WHERE org_id = ? AND run_id = ? AND n = ?", r.Action, string(data), tx.Org(), id, r.N); err != nil {
			return err
		}
	}
	return nil
}

type storedRow struct {
	N      int          `db:"n"`
	Line   int          `db:"line"`
	Action Action       `db:"action"`
	Email  string       `db:"email"`
	Name   string       `db:"name"`
	User   store.UserID `db:"user_id"`
	Data   store.JSON   `db:"data"`
}

const rowColumns = "SELECT n, line, action, email, name, user_id, data FROM import_rows"

func decodeRows(stored []storedRow) ([]Row, error) {
	list := make([]Row, len(stored))
	for i, s := range stored {
		r := &list[i]
		if err := r.decode(s.Data); err != nil {
			return nil, fmt.Errorf("row %d of an import: %w", s.N, err)
		}
		r.N, r.Line, r.Action, r.Email, r.Name, r.User = s.N, s.Line, s.Action, s.Email, s.Name, s.User
	}
	return list, nil
}

func rowsByNumber(tx *store.Tx, id ID, numbers []int) ([]Row, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(numbers)
	if err != nil {
		return nil, err
	}
	which, args := "n {{in_ints}}", []any{tx.Org(), id, string(raw)}
	if inOneRun(numbers) { // as they mostly are: one way through the index, not one for each
		which, args = "n >= ? AND n <= ?", []any{tx.Org(), id, numbers[0], numbers[len(numbers)-1]}
	}
	var stored []storedRow
	if err := tx.Select(&stored, rowColumns+" WHERE org_id = ? AND run_id = ? AND "+which, args...); err != nil {
		return nil, err
	}
	return decodeRows(stored)
}

func inOneRun(numbers []int) bool {
	for i, n := range numbers {
		if n != numbers[0]+i {
			return false
		}
	}
	return true
}

// usersOfRows are the people whom rows make or change, by the rows' numbers.
func usersOfRows(tx *store.Tx, id ID, numbers []int) (map[int]store.UserID, error) {
	of := make(map[int]store.UserID, len(numbers))
	if len(numbers) == 0 {
		return of, nil
	}
	raw, err := json.Marshal(numbers)
	if err != nil {
		return nil, err
	}
	var list []goodRow
	err = tx.Select(&list, "SELECT n, user_id, name FROM import_rows WHERE org_id = ? AND run_id = ? AND n {{in_ints}}", tx.Org(), id, string(raw))
	for _, r := range list {
		of[r.N] = r.User
	}
	return of, err
}

// RowQuery chooses rows of an import, in the file's order.
type RowQuery struct {
	Action Action // any when empty
	After  int    // behind this row
	Limit  int
}

func listRows(tx *store.Tx, id ID, q RowQuery) ([]Row, error) {
	query, args := rowColumns+" WHERE org_id = ? AND run_id = ? AND n > ?", []any{tx.Org(), id, q.After}
	if q.Action != "" {
		query, args = rowColumns+" WHERE org_id = ? AND run_id = ? AND n > ? AND action = ?", append(args, q.Action)
	}
	var stored []storedRow
	if err := tx.Select(&stored, query+" ORDER BY n LIMIT ?", append(args, cmp.Or(min(q.Limit, 1000), 100))...); err != nil {
		return nil, err
	}
	return decodeRows(stored)
}

// goodRow is a row as a job's item.
type goodRow struct {
	N    int          `db:"n"`
	User store.UserID `db:"user_id"`
	Name string       `db:"name"`
}

func goodRows(tx *store.Tx, id ID) (list []goodRow, err error) {
	return list, tx.Select(&list, `SELECT n, user_id, name FROM import_rows WHERE org_id = ? AND run_id = ? AND action IN ('create', 'update', 'deactivate')
		ORDER BY wave, n`, tx.Org(), id)
}

// forgetRun removes a file with all that was read of it.
func forgetRun(tx *store.Tx, id ID) error {
	for _, query := range []string{
		"DELETE FROM import_rows WHERE org_id = ? AND run_id = ?",
		"DELETE FROM import_pieces WHERE org_id = ? AND run_id = ?",
		"DELETE FROM import_runs WHERE org_id = ? AND id = ?",
	} {
		if _, err := tx.Exec(query, tx.Org(), id); err != nil {
			return err
		}
	}
	return nil
}

// waitingRuns are the imports that nobody started, newest first, without those of feeds,
// which wait for an admin.
func waitingRuns(tx *store.Tx) (ids []ID, err error) {
	return ids, tx.Select(&ids, "SELECT id FROM import_runs WHERE org_id = ? AND state <> 'started' AND feed_id IS NULL ORDER BY id DESC LIMIT 100", tx.Org())
}

// file reads the pieces of a file one after the other.
func (d *Door) file(ctx context.Context, actor access.Actor, id ID) io.Reader {
	return &pieces{d: d, ctx: ctx, actor: actor, id: id}
}

type pieces struct {
	d     *Door
	ctx   context.Context
	actor access.Actor
	id    ID
	n     int
	rest  []byte
}

// Read is the io.Reader.
func (p *pieces) Read(into []byte) (int, error) {
	for len(p.rest) == 0 {
		err := p.d.opt.DB.Read(p.ctx, p.actor, func(tx *store.Tx) error {
			return tx.Get(&p.rest, "SELECT data FROM import_pieces WHERE org_id = ? AND run_id = ? AND n = ?", tx.Org(), p.id, p.n)
		})
		if fault.Is(err, fault.NotFound) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		p.n++
	}
	n := copy(into, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
