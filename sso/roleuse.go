package sso

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/muster-id/muster/store"
)

// GivingRole are the connections whose mapping gives a role, in words: the role stays
// as long as they do.
func GivingRole(tx *store.Tx, role string) ([]string, error) {
	var rows []struct {
		Name string     `db:"name"`
		Rule store.JSON `db:"rule"`
	}
	if err := tx.Select(&rows, `SELECT c.name, m.rule FROM sso_mappings m JOIN connections c ON c.org_id = m.org_id AND c.id = m.connection_id
		WHERE m.org_id = ? ORDER BY c.name, m.created_at, m.id`, tx.Org()); err != nil {
		return nil, err
	}
	var uses []string
	for _, row := range rows {
		var r Rule
		if err := json.Unmarshal(row.Rule, &r); err != nil {
			return nil, fmt.Errorf("mapping of %s: %w", row.Name, err)
		}
		if r.Kind == RuleRole && r.To == role {
			uses = append(uses, "the mapping of the connection "+row.Name)
		}
	}
	return slices.Compact(uses), nil
}
