package sso

import (
	"encoding/json"
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// An identity is a subject of a connection that belongs to a person. A person has at
// most one that is live on each connection.

// The states of an identity. A next one is the key that a running re-key changes to;
// a retired one is kept for the record and for undoing, and nobody signs in by it.
const (
	identityLive = "live"
	identityNext = "next"
)

type identity struct {
	Connection ConnectionID
	Kind       string
	Subject    string
	User       store.UserID
	State      string // live when empty
	By         string // the re-key or move that made it
	How        string // how it came, in a sentence
	Keys       map[string]string
}

// identityOf finds who was bound to a subject. Faults: NotFound.
func identityOf(tx *store.Tx, id ConnectionID, kind, subject string) (user store.UserID, err error) {
	return user, tx.Get(&user, `SELECT user_id FROM identities WHERE org_id = ? AND connection_id = ? AND subject_kind = ? AND subject = ? AND state <> 'retired'`,
		tx.Org(), id, kind, subject)
}

// Identity is an account at an identity provider that a person signs in with.
type Identity struct {
	ConnectionID ConnectionID `db:"connection_id"`
	Connection   string       `db:"connection"` // its name
	Kind         string       `db:"subject_kind"`
	Subject      string       `db:"subject"`
	State        string       `db:"state"` // live, next, retired
	How          string       `db:"how"`   // how it came to be the person's
	FirstSeen    store.Time   `db:"first_seen_at"`
	LastSeen     store.Time   `db:"last_seen_at"`
}

// Identities tells with which accounts of identity providers a person signs in, the
// live ones first. Faults: Denied.
func Identities(tx *store.Tx, user store.UserID) ([]Identity, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	list := []Identity{}
	return list, tx.Select(&list, `SELECT i.connection_id, c.name AS connection, i.subject_kind, i.subject, i.state, i.how, i.first_seen_at, i.last_seen_at FROM identities i
		JOIN connections c ON c.org_id = i.org_id AND c.id = i.connection_id
		WHERE i.org_id = ? AND i.user_id = ? ORDER BY i.state, i.first_seen_at, i.subject LIMIT 50`, tx.Org(), user)
}

// lockFirst makes first sign-ins over a connection wait for one another. Else, on
// PostgreSQL, one could miss the identity and then see the account that another
// has just made for the same person.
func lockFirst(tx *store.Tx, id ConnectionID) error {
	var same ConnectionID
	return tx.Get(&same, "SELECT id FROM connections WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), id)
}

// bound tells whether a user has an identity on the connection already.
func bound(tx *store.Tx, id ConnectionID, user store.UserID) (bool, error) {
	var n int
	err := tx.Get(&n, "SELECT COUNT(*) FROM identities WHERE org_id = ? AND connection_id = ? AND user_id = ? AND state <> 'retired'", tx.Org(), id, user)
	return n > 0, err
}

// errFaster means that another sign-in was first; Write then runs the whole sign-in again.
var errFaster = fault.Conflict.On("version", "Another sign-in of the same person came first.")

// bind writes an identity.
func bind(tx *store.Tx, i identity) error {
	// What is kept for the record gives way to who has the subject now.
	if _, err := tx.Exec("DELETE FROM identities WHERE org_id = ? AND connection_id = ? AND subject_kind = ? AND subject = ? AND state = 'retired'",
		tx.Org(), i.Connection, i.Kind, i.Subject); err != nil {
		return err
	}
	keys, err := json.Marshal(i.Keys)
	if err != nil || i.Keys == nil {
		keys = []byte("{}")
	}
	n, err := tx.Exec(`INSERT INTO identities (org_id, connection_id, subject_kind, subject, user_id, first_seen_at, last_seen_at, state, state_by, how, keys)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {{as_json}}) ON CONFLICT DO NOTHING`,
		tx.Org(), i.Connection, i.Kind, i.Subject, i.User, tx.Now(), tx.Now(), orElse(i.State, identityLive), i.By, answer.Clip(i.How, 300), string(keys))
	if err == nil && n == 0 {
		return errFaster
	}
	return err
}

// rebind points a subject whose user was deleted to the account that replaced it.
func rebind(tx *store.Tx, id ConnectionID, kind, subject string, old, user store.UserID) error {
	n, err := tx.Exec(`UPDATE identities SET user_id = ?, last_seen_at = ?
		WHERE org_id = ? AND connection_id = ? AND subject_kind = ? AND subject = ? AND user_id = ?`, user, tx.Now(), tx.Org(), id, kind, subject, old)
	if err == nil && n == 0 {
		return errFaster
	}
	return err
}

func seen(tx *store.Tx, id ConnectionID, kind, subject string, keys map[string]string) error {
	text, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("keys of an identity: %w", err)
	}
	return tx.Post("UPDATE identities SET last_seen_at = ?, keys = {{as_json}} WHERE org_id = ? AND connection_id = ? AND subject_kind = ? AND subject = ?",
		[]any{tx.Now(), string(text), tx.Org(), id, kind, subject}, nil)
}

// lastingAttributes are those under which providers send a key that does not change,
// as far as their presets and guides go. Their values are remembered at each sign-in,
// so that a later re-key knows people by them without waiting for everybody.
var lastingAttributes = []string{
	"http://schemas.microsoft.com/identity/claims/objectidentifier", "http://schemas.microsoft.com/identity/claims/tenantid",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/objectguid",
	"urn:oasis:names:tc:SAML:attribute:subject-id", "urn:oasis:names:tc:SAML:attribute:pairwise-id", "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
	"userId", "id", "_id", "uid", "objectidentifier", "objectGUID", "oid", "tid", "sub", "employeeNumber", "employeeid",
}

const maxKept = 200 // bytes of a value that is remembered

// lastingKeys are the lasting identifiers of an answer.
func lastingKeys(a answer.Profile) map[string]string {
	keys := map[string]string{}
	for _, name := range lastingAttributes {
		if v := a.Attributes[name]; len(v) == 1 && v[0] != "" && len(v[0]) <= maxKept && cleanText(v[0]) {
			keys[name] = v[0]
		}
	}
	if v := a.NameID.Value; v != "" && len(v) <= maxKept && cleanText(v) && a.SubjectKind != "nameid" {
		keys["nameid"] = v
	}
	return keys
}
