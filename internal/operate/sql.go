package operate

import (
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// lastEntry is when the actor was noted here last; 0: never.
func lastEntry(tx *store.Tx, actor string) (at store.Time, err error) {
	err = tx.Get(&at, "SELECT at FROM operator_entries WHERE org_id = ? AND actor_id = ?", tx.Org(), actor)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	return at, err
}

// noteEntry tells whether it is the first one since then.
func noteEntry(tx *store.Tx, actor string, since store.Time) (bool, error) {
	n, err := tx.Exec(`INSERT INTO operator_entries (org_id, actor_id, at) VALUES (?, ?, ?)
		ON CONFLICT (org_id, actor_id) DO UPDATE SET at = excluded.at WHERE operator_entries.at <= ?`, tx.Org(), actor, tx.Now(), since)
	return n > 0, err
}

// keepRun adds a run, and lets the oldest go.
func keepRun(tx *store.Tx, r Run) error {
	if _, err := tx.Exec("INSERT INTO doctor_runs (id, at, run_by, took, findings) VALUES (?, ?, ?, ?, {{as_json}})",
		store.NewID[Run](), r.At, r.By, r.Took, string(r.Found)); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM doctor_runs WHERE id NOT IN (SELECT id FROM doctor_runs ORDER BY id DESC LIMIT ?)", keptRuns)
	return err
}
