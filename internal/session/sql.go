package session

import "github.com/muster-id/muster/store"

type sessionRow struct {
	ID           ID                 `db:"id"`
	Org          store.OrgID        `db:"org_id"`
	UserID       store.UserID       `db:"user_id"`
	Method       string             `db:"method"`
	ConnectionID store.ID[struct{}] `db:"connection_id"`
	CreatedAt    store.Time         `db:"created_at"`
	SeenAt       store.Time         `db:"seen_at"`
	ExpiresAt    store.Time         `db:"expires_at"`
	IP           string             `db:"ip"`
	UserAgent    string             `db:"user_agent"`
	DisplayName  string             `db:"display_name"`
	UserName     string             `db:"user_name"`
	Roles        string             `db:"roles"`
	Own          string             `db:"own"` // what the organization says of these roles, see store.DB.Granted
	Operator     bool               `db:"operator"`
	AuthAt       store.Time         `db:"auth_at"`
	AMR          string             `db:"amr"`
	ACR          string             `db:"acr"`
	Idle         int64              `db:"idle"`     // the policy's, microseconds
	Absolute     int64              `db:"absolute"` // the same
	store.Locale                    // as the person chose
	Theme        string             `db:"theme"`
	OrgLocale    store.JSON         `db:"org_locale"` // what the organization chose
}

func (r sessionRow) session() Session {
	end := min(r.ExpiresAt, r.CreatedAt+store.Time(r.Absolute))
	return Session{ID: r.ID, Org: r.Org, UserID: r.UserID, Method: r.Method, Connection: string(r.ConnectionID), CreatedAt: r.CreatedAt,
		AuthAt: r.AuthAt, AMR: r.AMR, ACR: r.ACR, SeenAt: r.SeenAt, ExpiresAt: end, IP: r.IP, UserAgent: r.UserAgent}
}

// Only for an active person. Somebody who is deactivated at this very moment is
// caught by the look-up.
const insertSession = `INSERT INTO sessions (org_id, token_hash, id, user_id, method, connection_id, created_at, seen_at, expires_at, ip, user_agent, auth_at, amr, acr)
	SELECT org_id, {{as_text}}, {{as_id}}, id, {{as_text}}, {{as_id}}, {{as_int}}, {{as_int}}, {{as_int}}, {{as_text}}, {{as_text}}, {{as_int}}, {{as_text}}, {{as_text}}
	FROM users WHERE org_id = ? AND id = ? AND status = 'active' AND NOT EXISTS (SELECT 1 FROM orgs g WHERE g.id = users.org_id AND g.suspended_at > 0)`

// The spans are the policy's, else the server's.
const sessionColumns = `s.id, s.org_id, s.user_id, s.method, s.connection_id, s.created_at, s.seen_at, s.expires_at, s.ip, s.user_agent, s.auth_at, s.amr, s.acr,
	COALESCE(NULLIF(p.idle, 0), {{as_int}}) AS idle, COALESCE(NULLIF(p.absolute, 0), {{as_int}}) AS absolute`

const sessionTables = ` FROM sessions s JOIN users u ON u.org_id = s.org_id AND u.id = s.user_id LEFT JOIN policies p ON p.org_id = s.org_id`

const sessionLives = ` AND s.created_at >= u.active_from AND s.expires_at > ?
	AND s.created_at > {{as_int}} - COALESCE(NULLIF(p.absolute, 0), {{as_int}}) AND s.seen_at > {{as_int}} - COALESCE(NULLIF(p.idle, 0), {{as_int}})`

const actorColumns = `SELECT u.org_id, u.id AS user_id, u.display_name, u.user_name,
	COALESCE((SELECT string_agg(r.role, ',') FROM user_roles r WHERE r.org_id = u.org_id AND r.user_id = u.id), '') AS roles,
	COALESCE((SELECT string_agg(o.name || '=' || o.permissions, ',') FROM org_roles o WHERE o.org_id = u.org_id AND (o.name = 'agent'
		OR o.name IN (SELECT r.role FROM user_roles r WHERE r.org_id = u.org_id AND r.user_id = u.id))), '') AS own,
	EXISTS (SELECT 1 FROM operators p WHERE p.org_id = u.org_id AND p.user_id = u.id) AS operator FROM users u`

// What a page needs to know of who asks, and in which language and time zone it is read.
const selectSession = `SELECT ` + sessionColumns + `, u.display_name, u.user_name,
	COALESCE(f.language, '') AS language, COALESCE(f.time_zone, '') AS time_zone, COALESCE(f.theme, '') AS theme,
	(SELECT o.value FROM org_settings o WHERE o.org_id = s.org_id AND o.name = '` + store.LocaleSetting + `') AS org_locale,
	COALESCE((SELECT string_agg(r.role, ',') FROM user_roles r WHERE r.org_id = s.org_id AND r.user_id = s.user_id), '') AS roles,
	COALESCE((SELECT string_agg(o.name || '=' || o.permissions, ',') FROM org_roles o WHERE o.org_id = s.org_id AND (o.name = 'agent'
		OR o.name IN (SELECT r.role FROM user_roles r WHERE r.org_id = s.org_id AND r.user_id = s.user_id))), '') AS own,
	EXISTS (SELECT 1 FROM operators o WHERE o.org_id = s.org_id AND o.user_id = s.user_id) AS operator` + sessionTables + `
	LEFT JOIN preferences f ON f.org_id = s.org_id AND f.user_id = s.user_id
	WHERE s.org_id = ? AND s.token_hash = ? AND u.status = 'active' AND NOT EXISTS (SELECT 1 FROM orgs g WHERE g.id = s.org_id AND g.suspended_at > 0)` + sessionLives

const listSessions = `SELECT ` + sessionColumns + sessionTables + ` WHERE s.org_id = ? AND s.user_id = ?` + sessionLives + ` ORDER BY s.id DESC LIMIT 100`

const (
	sweepIdle = `DELETE FROM sessions WHERE seen_at <= {{as_int}} - COALESCE((SELECT NULLIF(p.idle, 0) FROM policies p WHERE p.org_id = sessions.org_id), {{as_int}})`
	sweepOld  = `DELETE FROM sessions WHERE created_at <= {{as_int}} - COALESCE((SELECT NULLIF(p.absolute, 0) FROM policies p WHERE p.org_id = sessions.org_id), {{as_int}})`
)

// withoutProvider are the sessions that no identity provider stands behind.
const withoutProvider = ` AND connection_id IS NULL`

const holders = `SELECT s.user_id, u.email_key, u.user_name_key, count(*) AS sessions` + sessionTables + `
	WHERE s.org_id = ? AND s.connection_id IS NULL` + sessionLives + ` GROUP BY s.user_id, u.email_key, u.user_name_key`

const countOperators = `SELECT count(*) FROM operators o JOIN users u ON u.org_id = o.org_id AND u.id = o.user_id WHERE u.status = 'active'`
