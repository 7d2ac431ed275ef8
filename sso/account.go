package sso

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// knownAccount is who was bound to a subject, whatever became of them, with what else every
// repeated sign-in reads: one way to the database instead of four.
type knownAccount struct {
	store.User
	Sources []byte `db:"sources"` // JSON; see provenances
	Rules   []byte `db:"rules"`   // JSON; see rulesIn
}

const selectAccount = "SELECT " + store.UserFields + `,
	(SELECT {{list}}({{entry}}(a.attr, CAST(a.connection_id AS text), a.source, a.value, CASE WHEN a.locked THEN 1 ELSE 0 END, a.since)) FROM sso_attributes a
		WHERE a.org_id = users.org_id AND a.user_id = users.id) AS sources,
	(SELECT {{list}}({{entry}}(m.created_at, CAST(m.id AS text), CAST(m.rule AS text))) FROM sso_mappings m WHERE m.org_id = users.org_id AND m.connection_id = ?) AS rules
	FROM users WHERE org_id = ? AND id = (SELECT i.user_id FROM identities i
		WHERE i.org_id = ? AND i.connection_id = ? AND i.subject_kind = ? AND i.subject = ? AND i.state <> 'retired')`

// readAccount finds who was bound to the subject before.
func (v *visit) readAccount() error {
	if err := v.tx.Require(access.ViewUsers); err != nil {
		return err
	}
	var a knownAccount
	err := v.tx.Get(&a, selectAccount, v.c.ID, v.tx.Org(), v.tx.Org(), v.c.ID, v.a.SubjectKind, v.a.Subject)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("identity of %s: %w", v.c.ID, err)
	}
	v.known = &a
	return nil
}

// rules are the rows of the connection's mapping.
func (v *visit) rules() ([]Rule, error) {
	if v.known == nil {
		return rulesIn(v.tx, v.c.ID)
	}
	lines, err := entries(v.known.Rules)
	if err != nil {
		return nil, fmt.Errorf("mapping of %s: %w", v.c.ID, err)
	}
	rows := make([]ruleRow, len(lines))
	for i, line := range lines {
		var id, rule string
		err := json.Unmarshal(line, &[]any{&rows[i].CreatedAt, &id, &rule})
		if err == nil {
			err = rows[i].ID.Scan(id)
		}
		if err != nil {
			return nil, fmt.Errorf("mapping of %s: %w", v.c.ID, err)
		}
		rows[i].Rule = []byte(rule)
	}
	slices.SortFunc(rows, func(a, b ruleRow) int { return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
	return rulesOf(v.c.ID, rows)
}

// sources are where the attributes of the person came from.
func (v *visit) sources(user store.UserID) (map[string]provenance, error) {
	if v.known == nil || v.known.ID != user {
		return provenances(v.tx, user)
	}
	lines, err := entries(v.known.Sources)
	if err != nil {
		return nil, fmt.Errorf("attributes of %s: %w", user, err)
	}
	of := make(map[string]provenance, len(lines))
	for _, line := range lines {
		var p provenance
		var connection *string
		var locked int
		err := json.Unmarshal(line, &[]any{&p.Attr, &connection, &p.Source, &p.Value, &locked, &p.Since})
		if err == nil && connection != nil {
			err = p.Connection.Scan(*connection)
		}
		if err != nil {
			return nil, fmt.Errorf("attributes of %s: %w", user, err)
		}
		p.Locked = locked == 1
		of[p.Attr] = p
	}
	return of, nil
}

// entries are those of a JSON list, of which the databases say nothing when it is empty.
func entries(list []byte) (lines []json.RawMessage, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	return lines, json.Unmarshal(list, &lines)
}
