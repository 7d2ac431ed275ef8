package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

type jobRow struct {
	ID        ID         `db:"id"`
	Kind      string     `db:"kind"`
	State     State      `db:"state"`
	Undoes    ID         `db:"undoes"`
	UndoneBy  ID         `db:"undone_by"`
	Input     store.JSON `db:"input"`
	Starter   store.JSON `db:"starter"`
	Total     int        `db:"total"`
	Done      int        `db:"done"`
	Undoable  int        `db:"undoable"`
	Position  int        `db:"position"`
	Counts    store.JSON `db:"counts"`
	Why       store.JSON `db:"why"`
	Tries     int        `db:"tries"`
	Worker    string     `db:"worker"`
	CreatedAt store.Time `db:"created_at"`
	StartedAt store.Time `db:"started_at"`
	EndedAt   store.Time `db:"ended_at"`
}

const jobColumns = `SELECT id, kind, state, undoes, undone_by, input, starter, total, done, undoable, position, counts, why, tries, worker, created_at, started_at, ended_at FROM jobs`

func (r jobRow) job() (Job, error) {
	j := Job{ID: r.ID, Kind: r.Kind, State: r.State, Undoes: r.Undoes, UndoneBy: r.UndoneBy, Input: r.Input, Total: r.Total, Done: r.Done, Undoable: r.Undoable,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt, position: r.Position, worker: r.Worker, tries: r.Tries}
	for column, part := range map[string]struct {
		raw  store.JSON
		into any
	}{"starter": {r.Starter, &j.Starter}, "counts": {r.Counts, &j.Counts}, "why": {r.Why, &j.Why}} {
		if err := json.Unmarshal(part.raw, part.into); err != nil {
			return j, fmt.Errorf("%s of job %s: %w", column, r.ID, err)
		}
	}
	return j, nil
}

func oneJob(tx *store.Tx, query string, args ...any) (Job, error) {
	var row jobRow
	if err := tx.Get(&row, query, args...); err != nil {
		return Job{}, err
	}
	return row.job()
}

func jobByID(tx *store.Tx, id ID) (Job, error) {
	return oneJob(tx, jobColumns+" WHERE org_id = ? AND id = ?", tx.Org(), id)
}

func jobByOnce(tx *store.Tx, once string) (Job, error) {
	return oneJob(tx, jobColumns+" WHERE org_id = ? AND once = ?", tx.Org(), once)
}

// lockJob keeps everybody else from the job until the commit.
func lockJob(tx *store.Tx, id ID) (Job, error) {
	return oneJob(tx, jobColumns+" WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), id)
}

// insertJob tells false when one with this once is there.
func insertJob(tx *store.Tx, j Job, once string) (bool, error) {
	who, err := json.Marshal(j.Starter)
	if err != nil {
		return false, err
	}
	var key any
	if once != "" {
		key = once
	}
	position := 0
	if j.Undoes != "" {
		position = math.MaxInt32 // from the last result to the first
	}
	n, err := tx.Exec(`INSERT INTO jobs (org_id, id, kind, state, once, undoes, input, starter, total, position, served_at, created_at)
		VALUES (?, ?, ?, ?, ?, ?, {{as_json}}, {{as_json}}, ?, ?, ?, ?) ON CONFLICT (org_id, once) DO NOTHING`,
		tx.Org(), j.ID, j.Kind, j.State, key, j.Undoes, string(j.Input), string(who), j.Total, position, j.CreatedAt, j.CreatedAt)
	return n == 1, err
}

// insertParts writes the items as they come and tells how many there were.
func insertParts(tx *store.Tx, id ID, items iter.Seq[Item]) (total int, err error) {
	part := make([]Item, 0, chunk)
	put := func() error {
		raw, err := json.Marshal(part)
		if err != nil {
			return err
		}
		_, err = tx.Exec("INSERT INTO job_parts (org_id, job_id, part, items) VALUES (?, ?, ?, {{as_json}})", tx.Org(), id, (total-1)/chunk, string(raw))
		part = part[:0]
		return err
	}
	for item := range items {
		part = append(part, item)
		if total++; len(part) == chunk {
			if err := put(); err != nil {
				return total, err
			}
		}
	}
	if len(part) > 0 {
		err = put()
	}
	return total, err
}

func setTotal(tx *store.Tx, id ID, total int) error {
	_, err := tx.Exec("UPDATE jobs SET total = ? WHERE org_id = ? AND id = ?", total, tx.Org(), id)
	return err
}

// itemsOf are the items of one row of job_parts.
func itemsOf(tx *store.Tx, id ID, part int) ([]Item, error) {
	var raw store.JSON
	err := tx.Get(&raw, "SELECT items FROM job_parts WHERE org_id = ? AND job_id = ? AND part = ?", tx.Org(), id, part)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var items []Item
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, fmt.Errorf("part %d of job %s: %w", part, id, err)
	}
	for i := range items {
		items[i].N = part*chunk + i + 1
	}
	return items, nil
}

// undoItems are the results of a job before number n that can be taken back, the last first.
func undoItems(tx *store.Tx, id ID, n, limit int) ([]Item, error) {
	var rows []struct {
		N      int    `db:"n"`
		Target string `db:"target"`
		Name   string `db:"name"`
		Undo   string `db:"undo"`
	}
	err := tx.Select(&rows, `SELECT n, target, name, undo FROM job_results WHERE org_id = ? AND job_id = ? AND state = 'done' AND n < ? AND undo <> ''
		ORDER BY n DESC LIMIT ?`, tx.Org(), id, n, limit)
	items := make([]Item, len(rows))
	for i, r := range rows {
		items[i] = Item{N: r.N, Target: r.Target, Name: r.Name, Data: json.RawMessage(r.Undo)}
	}
	return items, err
}

// resultRow is a result on its way into the table.
type resultRow struct {
	N      int    `json:"n"`
	State  string `json:"state"`
	Did    string `json:"did"`
	Target string `json:"target"`
	Name   string `json:"name"`
	Why    string `json:"why"`
	Undo   string `json:"undo"`
}

const insertManyResults = "INSERT INTO job_results (org_id, job_id, state, did, why, undo, n, target, name) VALUES "

func insertResults(tx *store.Tx, id ID, rows []resultRow) error {
	if len(rows) >= store.Many {
		list, org, job := make([][]any, len(rows)), any(string(tx.Org())), any(string(id))
		for i, r := range rows {
			list[i] = []any{org, job, r.State, r.Did, r.Why, r.Undo, r.N, r.Target, r.Name}
		}
		return tx.InsertMany(insertManyResults, "(?, ?, ?, ?, ?, ?, ?, ?, ?)", list)
	}
	raw, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO job_results (org_id, job_id, n, state, did, target, name, why, undo)
		SELECT {{as_id}}, {{as_id}}, CAST(e.value ->> 'n' AS {{int}}), e.value ->> 'state', e.value ->> 'did', e.value ->> 'target', e.value ->> 'name', e.value ->> 'why', e.value ->> 'undo'
		FROM {{each}}`, tx.Org(), id, string(raw))
	return err
}

// advance notes how far a job has come.
func advance(tx *store.Tx, j Job, until store.Time) error {
	counts, err := json.Marshal(j.Counts)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE jobs SET done = ?, undoable = ?, position = ?, counts = {{as_json}}, tries = 0, lease_until = ? WHERE org_id = ? AND id = ?",
		j.Done, j.Undoable, j.position, string(counts), until, tx.Org(), j.ID)
	return err
}

// endJob tells false when it is over already.
func endJob(tx *store.Tx, id ID, state State, why Reason) (bool, error) {
	raw, err := json.Marshal(why)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec("UPDATE jobs SET state = ?, why = {{as_json}}, ended_at = ?, worker = '' WHERE org_id = ? AND id = ? AND ended_at = 0",
		state, string(raw), tx.Now(), tx.Org(), id)
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec("DELETE FROM job_parts WHERE org_id = ? AND job_id = ?", tx.Org(), id)
	return true, err
}

func claimUndo(tx *store.Tx, id, by ID) (bool, error) {
	n, err := tx.Exec("UPDATE jobs SET undone_by = ? WHERE org_id = ? AND id = ? AND undone_by IS NULL", by, tx.Org(), id)
	return n == 1, err
}

func countOpen(tx *store.Tx) (n int, err error) {
	return n, tx.Get(&n, "SELECT COUNT(*) FROM jobs WHERE ended_at = 0 AND org_id = ?", tx.Org())
}

func listJobs(tx *store.Tx, kinds []string, before ID, limit int) ([]Job, error) {
	query, args := jobColumns+" WHERE org_id = ?", []any{tx.Org()}
	if before != "" {
		query, args = query+" AND id < ?", append(args, before)
	}
	names, err := json.Marshal(kinds)
	if err != nil {
		return nil, err
	}
	var rows []jobRow
	if err := tx.Select(&rows, query+" AND kind IN (SELECT value FROM {{each_text}}) ORDER BY id DESC LIMIT ?", append(args, string(names), limit)...); err != nil {
		return nil, err
	}
	list := make([]Job, len(rows))
	for i, r := range rows {
		if list[i], err = r.job(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func results(tx *store.Tx, id ID, q ResultQuery) ([]Found, error) {
	query, args := resultsQuery(tx, id, q)
	list := []Found{}
	err := tx.Select(&list, query, args...)
	if q.Before != 0 {
		slices.Reverse(list)
	}
	return list, err
}

// resultsQuery is the statement behind results. What was not done has an index of its own.
func resultsQuery(tx *store.Tx, id ID, q ResultQuery) (query string, args []any) {
	query, args = "SELECT n, state, did, target, name, why FROM job_results", []any{tx.Org(), id}
	if q.State != "" && q.State != DoneItem {
		query += "{{by_other_results}} WHERE org_id = ? AND job_id = ? AND state <> 'done'"
	} else {
		query += " WHERE org_id = ? AND job_id = ?"
	}
	if q.State != "" {
		query, args = query+" AND state = ?", append(args, q.State)
	}
	if q.Before == 0 {
		return query + " AND n > ? ORDER BY n LIMIT ?", append(args, q.After, q.Limit)
	}
	return query + " AND n < ? ORDER BY n DESC LIMIT ?", append(args, q.Before, q.Limit)
}

// open is a job that is not over, of any organization.
type open struct {
	Org        store.OrgID `db:"org_id"`
	ID         ID          `db:"id"`
	Kind       string      `db:"kind"`
	LeaseUntil store.Time  `db:"lease_until"`
	ServedAt   store.Time  `db:"served_at"`
}

func (s *Service) allOpen(ctx context.Context) (list []open, err error) {
	return list, s.opt.DB.LookupAll(ctx, &list, "SELECT org_id, id, kind, lease_until, served_at FROM jobs WHERE ended_at = 0 ORDER BY served_at, id LIMIT 1000")
}

// claim takes the job for a worker, unless another one has it.
func claim(tx *store.Tx, id ID, worker string, until store.Time) (bool, error) {
	n, err := tx.Exec(`UPDATE jobs SET state = 'running', worker = ?, lease_until = ?, served_at = ?, started_at = CASE WHEN started_at = 0 THEN {{as_int}} ELSE started_at END
		WHERE org_id = ? AND id = ? AND ended_at = 0 AND lease_until <= ?`, worker, until, tx.Now(), tx.Now(), tx.Org(), id, tx.Now())
	return n == 1, err
}

// goOn tells false when the worker has the job no more.
func goOn(tx *store.Tx, id ID, worker string) (bool, error) {
	n, err := tx.Exec("UPDATE jobs SET lease_until = ?, served_at = ? WHERE org_id = ? AND id = ? AND worker = ? AND ended_at = 0", tx.Now().Add(lease), tx.Now(), tx.Org(), id, worker)
	return n == 1, err
}

// release lets another worker have the job from then on.
func release(tx *store.Tx, id ID, worker string, from store.Time, tries int) error {
	_, err := tx.Exec("UPDATE jobs SET lease_until = ?, tries = ?, worker = '' WHERE org_id = ? AND id = ? AND worker = ? AND ended_at = 0", from, tries, tx.Org(), id, worker)
	return err
}

// old are jobs that are not kept any longer.
func (s *Service) old(ctx context.Context) (list []open, err error) {
	return list, s.opt.DB.LookupAll(ctx, &list, "SELECT org_id, id, kind, lease_until, served_at FROM jobs WHERE ended_at > 0 AND ended_at < ? ORDER BY ended_at LIMIT 100",
		store.TimeOf(s.opt.DB.Now().Add(-keepFor)))
}

// forget removes some results of an old job, and the job with the last of them.
func forget(tx *store.Tx, id ID) (gone bool, err error) {
	n, err := tx.Exec(`DELETE FROM job_results WHERE org_id = ? AND job_id = ? AND n <= (SELECT MIN(r.n) + ? FROM job_results r WHERE r.org_id = ? AND r.job_id = ?)`,
		tx.Org(), id, 5000, tx.Org(), id)
	if err != nil || n > 0 {
		return false, err
	}
	_, err = tx.Exec("DELETE FROM jobs WHERE org_id = ? AND id = ?", tx.Org(), id)
	return true, err
}
