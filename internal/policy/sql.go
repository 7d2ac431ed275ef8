package policy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

type policyRow struct {
	Password bool   `db:"password"`
	SSO      SSO    `db:"sso"`
	Domains  []byte `db:"domains"`
	Idle     int64  `db:"idle"`
	Absolute int64  `db:"absolute"`
	Fresh    int64  `db:"fresh"`
	Second   Second `db:"second_factor"`
	Version  int64  `db:"version"`
}

func (r policyRow) policy() (Policy, error) {
	span := func(micros int64) time.Duration { return time.Duration(micros) * time.Microsecond }
	p := Policy{Password: r.Password, SSO: r.SSO, Domains: map[string]SSO{}, Idle: span(r.Idle), Absolute: span(r.Absolute), Fresh: span(r.Fresh), Second: r.Second, Version: r.Version}
	if err := json.Unmarshal(r.Domains, &p.Domains); err != nil {
		return p, fmt.Errorf("policy: domains: %w", err)
	}
	return p, nil
}

const selectPolicy = "SELECT password, sso, domains, idle, absolute, fresh, second_factor, version FROM policies WHERE org_id = ?"

// load reads the policy.
func load(tx *store.Tx) (Policy, error) {
	var r policyRow
	err := tx.Get(&r, selectPolicy, tx.Org())
	if fault.Is(err, fault.NotFound) {
		return Default(), nil
	}
	if err != nil {
		return Policy{}, err
	}
	return r.policy()
}

// hold reads the policy and keeps it as it is until the end of the transaction: a
// sign-in shares it with others, a change has it alone. There is a row to lock from
// the first sign-in on.
func hold(tx *store.Tx, lock string) (Policy, error) {
	var r policyRow
	err := tx.Get(&r, selectPolicy+lock, tx.Org())
	if fault.Is(err, fault.NotFound) {
		if _, err = tx.Exec(insertDefault, tx.Org(), freshDefault.Microseconds(), tx.Now()); err == nil {
			err = tx.Get(&r, selectPolicy+lock, tx.Org())
		}
	}
	if err != nil {
		return Policy{}, err
	}
	return r.policy()
}

// HoldRequired tells whether people get in over connections alone, all of them or those of
// a mail domain, and keeps the policy as it is until the commit. Needs Write.
func (d *Door) HoldRequired(tx *store.Tx) (bool, error) {
	p, err := hold(tx, tx.ForUpdate())
	return p.Enforced(), err
}

// share is the lock of a sign-in.
const share = "{{share}}"

const insertDefault = `INSERT INTO policies (org_id, password, sso, domains, idle, absolute, fresh, version, updated_at)
	VALUES (?, 1 = 1, 'optional', '{}', 0, 0, ?, 1, ?) ON CONFLICT (org_id) DO NOTHING`

// person is what a rule asks about somebody.
type person struct {
	ID         store.UserID `db:"id"`
	Name       string       `db:"display_name"`
	EmailKey   string       `db:"email_key"`
	NameKey    string       `db:"user_name_key"`
	Status     store.Status `db:"status"`
	BreakGlass bool         `db:"break_glass"` // out of directories' sight
	Admin      bool         `db:"admin"`
	Named      bool         `db:"named"`    // a break-glass account of the organization
	Operator   bool         `db:"operator"` // runs the server
}

// domain is that of the address, else of a user name that is one.
func (p person) domain() string {
	if p.EmailKey != "" {
		return Domain(p.EmailKey)
	}
	return Domain(p.NameKey)
}

func personIn(tx *store.Tx, id store.UserID) (p person, err error) {
	return p, tx.Get(&p, `SELECT u.id, u.display_name, u.email_key, u.user_name_key, u.status, u.break_glass,
		EXISTS (SELECT 1 FROM user_roles r WHERE r.org_id = u.org_id AND r.user_id = u.id AND r.role = 'admin') AS admin,
		EXISTS (SELECT 1 FROM break_glass b WHERE b.org_id = u.org_id AND b.user_id = u.id) AS named,
		EXISTS (SELECT 1 FROM operators o WHERE o.org_id = u.org_id AND o.user_id = u.id) AS operator
		FROM users u WHERE u.org_id = ? AND u.id = ? AND u.deleted_at = 0`, tx.Org(), id)
}

type accountRow struct {
	person
	Email      string     `db:"email"`
	Codes      int        `db:"codes"`
	CreatedAt  store.Time `db:"created_at"`
	SignedInAt store.Time `db:"signed_in_at"`
}

const selectAccounts = `SELECT b.user_id AS id, u.display_name, u.email, u.status, b.created_at, u.signed_in_at,
	EXISTS (SELECT 1 FROM user_roles r WHERE r.org_id = b.org_id AND r.user_id = b.user_id AND r.role = 'admin') AS admin,
	(SELECT count(*) FROM break_glass_codes c WHERE c.org_id = b.org_id AND c.user_id = b.user_id) AS codes
	FROM break_glass b JOIN users u ON u.org_id = b.org_id AND u.id = b.user_id WHERE b.org_id = ? ORDER BY b.created_at, b.user_id LIMIT 100`

// namedIn are the break-glass accounts of the organization.
func namedIn(tx *store.Tx) (map[store.UserID]bool, error) {
	var ids []store.UserID
	if err := tx.Select(&ids, "SELECT user_id FROM break_glass WHERE org_id = ?", tx.Org()); err != nil {
		return nil, err
	}
	named := make(map[store.UserID]bool, len(ids))
	for _, id := range ids {
		named[id] = true
	}
	return named, nil
}
