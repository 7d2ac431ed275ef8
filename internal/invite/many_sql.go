package invite

import (
	"context"
	"encoding/json"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/store"
)

// RowQuery chooses rows of a list, in their order.
type RowQuery struct {
	After int  // behind this one
	Left  bool // only those that were not invited, or will not be
	Limit int  // rowPage when 0
}

// rowPage is how many rows a page has, and maxRows how many a program may ask for.
const (
	rowPage = 500
	maxRows = 1000
)

// Many is a list as it stands now, with a page of its rows. Faults: Denied, NotFound
// (also when it is older than 30 days).
func (d *Door) Many(ctx context.Context, actor access.Actor, id ListID, q RowQuery) (l ManyList, err error) {
	if q.Limit == 0 {
		q.Limit = rowPage
	}
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.InviteUsers); err != nil {
			return err
		}
		if l, err = headOf(tx, id, ""); err != nil {
			return noList(err)
		}
		if l.counts, err = rowCounts(tx, id); err != nil {
			return err
		}
		if l.Running, err = d.running(tx, l.Job); err != nil {
			return err
		}
		l.Rows, err = rowsOf(tx, id, q)
		return err
	})
	if len(l.Rows) > q.Limit {
		l.Rows = l.Rows[:q.Limit]
		l.Next = l.Rows[q.Limit-1].Line
	}
	return l, err
}

func noList(err error) error {
	return on(err, fault.NotFound, fault.NotFound.Say("There is no such list of addresses any more. Paste the addresses again."))
}

func insertMany(tx *store.Tx, l ManyList) error {
	_, err := tx.Exec("INSERT INTO invitation_batches (org_id, id, roles, teams, attributes, note, save, made_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		tx.Org(), l.ID, mustJSON(l.Roles), mustJSON(l.Teams), mustJSON(l.Own), l.Note, l.Save, l.By, l.CreatedAt)
	if err != nil {
		return err
	}
	type row struct {
		ManyRow
		Why string
	}
	rows := make([]row, len(l.Rows))
	for i, r := range l.Rows {
		rows[i] = row{r, mustJSON(r.Why)}
	}
	_, err = tx.Exec(`INSERT INTO invitation_batch_rows (org_id, batch_id, line, typed, given_name, family_name, email, verdict, why, state, user_id)
		SELECT {{as_id}}, {{as_id}}, CAST(e.value ->> 'Line' AS INTEGER), e.value ->> 'Typed', e.value ->> 'GivenName', e.value ->> 'FamilyName', e.value ->> 'Email',
		e.value ->> 'Verdict', e.value ->> 'Why', e.value ->> 'State', NULL FROM {{each}}`, tx.Org(), l.ID, mustJSON(rows))
	return err
}

// mustJSON writes what is made of texts and numbers.
func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// headOf is a list without its rows.
func headOf(tx *store.Tx, id ListID, suffix string) (l ManyList, err error) {
	var row struct {
		Roles     string     `db:"roles"`
		Teams     string     `db:"teams"`
		Own       string     `db:"attributes"`
		Note      string     `db:"note"`
		Save      bool       `db:"save"`
		By        string     `db:"made_by"`
		CreatedAt store.Time `db:"created_at"`
		Job       jobs.ID    `db:"job_id"`
	}
	if err := tx.Get(&row, "SELECT roles, teams, attributes, note, save, made_by, created_at, job_id FROM invitation_batches WHERE org_id = ? AND id = ?"+suffix, tx.Org(), id); err != nil {
		return l, err
	}
	l = ManyList{ListHead: ListHead{ID: id, Note: row.Note, Save: row.Save}, By: row.By, CreatedAt: row.CreatedAt, Job: row.Job}
	if err := json.Unmarshal([]byte(row.Roles), &l.Roles); err != nil {
		return l, err
	}
	if err := json.Unmarshal([]byte(row.Own), &l.Own); err != nil {
		return l, err
	}
	return l, json.Unmarshal([]byte(row.Teams), &l.Teams)
}

func rowCounts(tx *store.Tx, id ListID) (map[RowState]int, error) {
	var rows []struct {
		State RowState `db:"state"`
		N     int      `db:"n"`
	}
	err := tx.Select(&rows, "SELECT state, COUNT(*) AS n FROM invitation_batch_rows WHERE org_id = ? AND batch_id = ? GROUP BY state", tx.Org(), id)
	of := make(map[RowState]int, len(rows))
	for _, r := range rows {
		of[r.State] = r.N
	}
	return of, err
}

const selectRows = "SELECT line, typed, given_name, family_name, email, verdict, why, state, user_id FROM invitation_batch_rows WHERE org_id = ? AND batch_id = ?"

// rowsOf gives one row more than asked for when there are more.
func rowsOf(tx *store.Tx, id ListID, q RowQuery) ([]ManyRow, error) {
	where := " AND line > ?"
	if q.Left {
		where += " AND state IN ('left', 'failed', 'undone')"
	}
	return scanRows(tx, selectRows+where+" ORDER BY line LIMIT ?", tx.Org(), id, q.After, q.Limit+1)
}

func waitingRows(tx *store.Tx, id ListID) ([]ManyRow, error) {
	return scanRows(tx, selectRows+" AND state = 'waiting' ORDER BY line", tx.Org(), id)
}

func scanRows(tx *store.Tx, query string, args ...any) ([]ManyRow, error) {
	var found []struct {
		ManyRow
		Raw string `db:"why"`
	}
	err := tx.Select(&found, query, args...)
	rows := make([]ManyRow, len(found))
	for i, f := range found {
		rows[i] = f.ManyRow
		if json.Unmarshal([]byte(f.Raw), &rows[i].Why) != nil { // of a list from before reasons were translated
			rows[i].Why = jobs.Because("%s", f.Raw)
		}
	}
	return rows, err
}

// notInvited are the entries of a list, as they were typed, that led to nobody.
func notInvited(tx *store.Tx, id ListID) (typed []string, err error) {
	return typed, tx.Select(&typed, "SELECT typed FROM invitation_batch_rows WHERE org_id = ? AND batch_id = ? AND state <> 'done' ORDER BY line", tx.Org(), id)
}

// endRow tells whether it was this call that moved a row on.
func endRow(tx *store.Tx, id ListID, line int, from, to RowState, why jobs.Reason) (bool, error) {
	n, err := tx.Exec("UPDATE invitation_batch_rows SET state = ?, why = ? WHERE org_id = ? AND batch_id = ? AND line = ? AND state = ?",
		string(to), mustJSON(why), tx.Org(), id, line, string(from))
	return n > 0, err
}
