package password

import "github.com/muster-id/muster/store"

// candidate is an account that the typed address may mean, usable or not.
type candidate struct {
	Org     store.OrgID  `db:"org_id"`
	Slug    string       `db:"slug"`
	OrgName string       `db:"org_name"`
	User    store.UserID `db:"user_id"`
	Name    string       `db:"display_name"`
	Status  store.Status `db:"status"`
	Hash    string       `db:"hash"` // empty: no password
	SetAt   store.Time   `db:"updated_at"`
	Until   store.Time   `db:"until"` // of a temporary password
	Lapsed  bool         `db:"-"`     // it was one, and has ended
}

// usable tells whether a password can open the account.
func (c candidate) usable() bool { return c.Status == store.Active && c.Hash != "" && !c.Lapsed }

// Account is the candidate without its hash.
func (c candidate) Account() Account {
	return Account{Org: c.Org, Slug: c.Slug, OrgName: c.OrgName, User: c.User, Name: c.Name, SetAt: c.SetAt}
}

const candidateColumns = `SELECT u.org_id, o.slug, o.name AS org_name, u.id AS user_id, u.display_name, u.status,
	COALESCE(c.hash, '') AS hash, COALESCE(c.updated_at, 0) AS updated_at, COALESCE(c.until, 0) AS until
	FROM users u LEFT JOIN credentials c ON c.org_id = u.org_id AND c.user_id = u.id JOIN orgs o ON o.id = u.org_id`

// Those that cannot be signed in to are wanted for the reason alone.
const usableFirst = `CASE WHEN u.status = 'active' AND c.hash IS NOT NULL THEN 0 ELSE 1 END`

const candidatesInOrg = candidateColumns + `
	WHERE u.org_id = ? AND u.deleted_at = 0 AND (u.email_key = ? OR u.user_name_key = ?) ORDER BY ` + usableFirst + `, u.id LIMIT ?`

// Before the organization is known. Everybody's first account comes before anybody's
// second: what one organization does with an address crowds nobody out of the limit.
const candidatesAnywhere = candidateColumns + `
	WHERE u.deleted_at = 0 AND (u.email_key = ? OR u.user_name_key = ?)
	ORDER BY ` + usableFirst + `, ROW_NUMBER() OVER (PARTITION BY u.org_id ORDER BY ` + usableFirst + `, u.id), u.id LIMIT ?`

// Also everybody's first account before anybody's second.
const fairly = ` ORDER BY ROW_NUMBER() OVER (PARTITION BY u.org_id ORDER BY u.id), u.id LIMIT ?`

const knownPeople = `SELECT u.org_id, o.slug, o.name AS org_name, u.id AS user_id, u.display_name, u.email, u.source,
	u.directory_id IS NOT NULL AS managed, c.hash IS NOT NULL AS has_password
	FROM users u JOIN orgs o ON o.id = u.org_id LEFT JOIN credentials c ON c.org_id = u.org_id AND c.user_id = u.id
	WHERE u.status = 'active' AND u.deleted_at = 0 AND (u.email_key = ? OR u.user_name_key = ?)` + fairly

const upsertCredential = `INSERT INTO credentials (org_id, user_id, hash, created_at, updated_at, must_change, until) VALUES (?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (org_id, user_id) DO UPDATE SET hash = excluded.hash, updated_at = excluded.updated_at, must_change = excluded.must_change, until = excluded.until`

// Gives no row when the subject is locked.
const countAttempt = `INSERT INTO signin_attempts (subject, attempts, locked_until, last_at) VALUES (?, 1, 0, ?)
	ON CONFLICT (subject) DO UPDATE SET
		attempts = CASE WHEN signin_attempts.last_at < ? THEN 1 ELSE signin_attempts.attempts + 1 END,
		last_at = excluded.last_at
	WHERE signin_attempts.locked_until <= ?
	RETURNING attempts`
