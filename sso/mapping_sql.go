package sso

import (
	"encoding/json"
	"fmt"

	"github.com/muster-id/muster/store"
)

type ruleRow struct {
	ID        RuleID     `db:"id"`
	Rule      []byte     `db:"rule"`
	CreatedAt store.Time `db:"created_at"`
}

// rulesIn are the rows of a connection's mapping in the order in which they were made.
func rulesIn(tx *store.Tx, id ConnectionID) ([]Rule, error) {
	var rows []ruleRow
	if err := tx.Select(&rows, "SELECT id, rule, created_at FROM sso_mappings WHERE org_id = ? AND connection_id = ? ORDER BY created_at, id LIMIT ?", tx.Org(), id, maxRules); err != nil {
		return nil, err
	}
	return rulesOf(id, rows)
}

func rulesOf(id ConnectionID, rows []ruleRow) ([]Rule, error) {
	list := make([]Rule, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal(row.Rule, &list[i]); err != nil {
			return nil, fmt.Errorf("mapping of %s, row %s: %w", id, row.ID, err)
		}
		list[i].ID = row.ID
	}
	return list, nil
}

func putRule(tx *store.Tx, id ConnectionID, r Rule) error {
	at := r.ID
	r.ID = ""
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("mapping of %s: %w", id, err)
	}
	_, err = tx.Exec(`INSERT INTO sso_mappings (org_id, connection_id, id, rule, created_at, updated_at) VALUES (?, ?, ?, {{as_json}}, ?, ?)
		ON CONFLICT (org_id, connection_id, id) DO UPDATE SET rule = excluded.rule, updated_at = excluded.updated_at`,
		tx.Org(), id, at, string(text), tx.Now(), tx.Now())
	return err
}

func deleteRule(tx *store.Tx, id ConnectionID, rule RuleID) error {
	_, err := tx.Exec("DELETE FROM sso_mappings WHERE org_id = ? AND connection_id = ? AND id = ?", tx.Org(), id, rule)
	return err
}
