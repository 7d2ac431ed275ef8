package sso

import (
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// testRow is a test as it is stored.
type testRow struct {
	TestSignIn
	Settings  string `db:"settings"`
	ActorKind string `db:"actor_kind"`
	Back      []byte `db:"back"`
	Report    []byte `db:"report"`
}

func insertTest(tx *store.Tx, t testRow) error {
	_, err := tx.Exec(`INSERT INTO sso_tests (org_id, id, connection_id, settings, actor_kind, actor_id, actor_name, back, outcome, failed_check, started_at, ended_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, 0, ?)`,
		tx.Org(), t.ID, t.ConnectionID, t.Settings, t.ActorKind, t.ActorID, t.By, t.Back, t.Outcome, t.StartedAt, t.ExpiresAt)
	return err
}

func updateTest(tx *store.Tx, t testRow) error {
	_, err := tx.Exec("UPDATE sso_tests SET outcome = ?, failed_check = ?, report = ?, ended_at = ? WHERE org_id = ? AND id = ?",
		t.Outcome, t.FailedCheck, t.Report, t.EndedAt, tx.Org(), t.ID)
	return err
}

// testIn is one test; who else ends it waits.
func testIn(tx *store.Tx, id TestID) (t testRow, err error) {
	err = tx.Get(&t, `SELECT id, connection_id, settings, actor_kind, actor_id, actor_name, back, outcome, failed_check, report, started_at, ended_at, expires_at
		FROM sso_tests WHERE org_id = ? AND id = ?`, tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFound.Wrap(err, "There is no such test.")
	}
	return t, err
}

func testsIn(tx *store.Tx, id ConnectionID) (list []TestSignIn, err error) {
	return list, tx.Select(&list, `SELECT id, connection_id, actor_name, actor_id, outcome, failed_check, started_at, ended_at, expires_at
		FROM sso_tests WHERE org_id = ? AND connection_id = ? ORDER BY started_at DESC, id DESC LIMIT ?`, tx.Org(), id, testHistory)
}

func lastPassed(tx *store.Tx, id ConnectionID, settings string) (at store.Time, err error) {
	err = tx.Get(&at, "SELECT COALESCE(MAX(ended_at), 0) FROM sso_tests WHERE org_id = ? AND connection_id = ? AND settings = ? AND outcome = 'passed'",
		tx.Org(), id, settings)
	return at, err
}

// retest has the tests of some settings speak for others.
func retest(tx *store.Tx, id ConnectionID, was, is string) error {
	_, err := tx.Exec("UPDATE sso_tests SET settings = ? WHERE org_id = ? AND connection_id = ? AND settings = ?", is, tx.Org(), id, was)
	return err
}

const (
	sweepReports = "UPDATE sso_tests SET report = NULL WHERE expires_at <= ? AND report IS NOT NULL"
	sweepTests   = "DELETE FROM sso_tests WHERE started_at <= ?"
)
