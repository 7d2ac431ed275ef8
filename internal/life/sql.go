package life

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

const planColumns = "SELECT id, user_id, action, due_at, zone, reason, why, successor_id, by_operator, by_may, planned_by, created_at, state, outcome, told, ended_at FROM planned_changes"

func insertPlan(tx *store.Tx, p Plan) (bool, error) {
	n, err := tx.Exec(`INSERT INTO planned_changes (org_id, id, user_id, action, due_at, zone, reason, why, successor_id, by_operator, by_may, planned_by, created_at, state, outcome, ended_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0) ON CONFLICT (org_id, user_id, action) WHERE state = 'planned' DO NOTHING`,
		tx.Org(), p.ID, p.UserID, p.Action, p.DueAt, p.Zone, p.Reason, p.Why, p.Successor, p.Operator, p.May, p.By, p.CreatedAt, p.State)
	return n > 0, err
}

func findPlan(tx *store.Tx, id PlanID) (p Plan, err error) {
	err = tx.Get(&p, planColumns+" WHERE org_id = ? AND id = ?", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return p, fault.NotFound.On("plan", "Nothing of this id is planned here.")
	}
	return p, err
}

// settle ends a plan that is open, and tells whether it was this call that did.
func settle(tx *store.Tx, id PlanID, state, outcome, told string) (bool, error) {
	n, err := tx.Exec("UPDATE planned_changes SET state = ?, outcome = ?, told = ?, ended_at = ? WHERE org_id = ? AND id = ? AND state = 'planned'", state, outcome, told, tx.Now(), tx.Org(), id)
	return n > 0, err
}

// PlannedFor are the people of whom a change is planned, and not over as sortOver has it.
// The log is asked about those alone who were changed since.
func PlannedFor(tx *store.Tx) store.PeopleSet {
	return store.PeopleSet{IDs: `SELECT DISTINCT p.user_id AS id FROM planned_changes p JOIN users u ON u.org_id = p.org_id AND u.id = p.user_id
		WHERE p.org_id = ? AND p.state = 'planned' AND NOT (u.updated_at >= p.created_at AND EXISTS (
		SELECT 1 FROM activity a WHERE a.org_id = p.org_id AND a.target_id = replace(CAST(p.user_id AS text), '-', '') AND a.at >= p.created_at AND
		(a.action = 'user.delete' OR p.action = 'deactivate' AND a.action = 'user.deactivate' OR p.action = 'reactivate' AND a.action IN ('user.reactivate', 'user.reinvite'))))`, Args: []any{tx.Org()}}
}

func openPlans(tx *store.Tx, user store.UserID) ([]Plan, error) {
	list := []Plan{}
	return list, tx.Select(&list, planColumns+" WHERE org_id = ? AND user_id = ? AND state = 'planned' ORDER BY due_at, id LIMIT 10", tx.Org(), user)
}

const (
	plansToCome = planColumns + " WHERE org_id = ? AND state = ? AND (due_at, id) > ({{as_int}}, {{as_id}}) ORDER BY due_at, id LIMIT ?"
	plansOver   = planColumns + " WHERE org_id = ? AND state = ? AND (due_at, id) < ({{as_int}}, {{as_id}}) ORDER BY due_at DESC, id DESC LIMIT ?"
)

func listPlans(tx *store.Tx, q Query, limit int) (Page, error) {
	page := Page{Plans: []Plan{}}
	query, at, id := plansToCome, int64(0), "00000000000000000000000000000000"
	if q.State != Planned {
		query, at, id = plansOver, 1<<62, "ffffffffffffffffffffffffffffffff"
	}
	if q.After != "" {
		before, after, ok := strings.Cut(q.After, ".")
		parsed, err1 := strconv.ParseInt(before, 10, 64)
		_, err2 := store.ParseID[Plan](after)
		if !ok || err1 != nil || err2 != nil {
			return page, fault.Invalid.On("after", "%.40q is no place in this list. Take it from the page before.", q.After)
		}
		at, id = parsed, after
	}
	if err := tx.Select(&page.Plans, query, tx.Org(), q.State, at, id, limit+1); err != nil {
		return page, err
	}
	if len(page.Plans) > limit {
		page.Plans = page.Plans[:limit]
		last := page.Plans[limit-1]
		page.Next = fmt.Sprintf("%d.%s", last.DueAt, last.ID)
	}
	return page, nil
}

func forgetPlans(tx *store.Tx, user store.UserID) error {
	if _, err := tx.Exec("UPDATE planned_changes SET successor_id = NULL WHERE org_id = ? AND successor_id = ?", tx.Org(), user); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM planned_changes WHERE org_id = ? AND user_id = ?", tx.Org(), user)
	return err
}
