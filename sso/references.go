package sso

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// SessionRef is what a session was opened with at its identity provider, which
// logout in both directions needs. It lives as long as the session.
type SessionRef struct {
	Session      session.ID
	User         store.UserID
	Connection   ConnectionID
	SubjectKind  string
	Subject      string
	SessionIndex string        // SAML SessionIndex or OIDC sid; empty when none came
	NameID       answer.NameID // SAML
	CreatedAt    store.Time

	nameKey string // hash of NameID's value, or of OIDC's sub; empty when none is kept
	idToken []byte // OIDC, sealed
}

// maxSessionIndex bounds what is kept as a key. Longer ones are as if none came.
const maxSessionIndex = 1024

// idTokenPlace names the place of the sealed ID token.
func idTokenPlace(id session.ID) string { return "sso-session/" + string(id) + "/id-token" }

// refer notes what a session was opened with, in the transaction that opens it.
func (d *Door) refer(tx *store.Tx, c Connection, id session.ID, user store.UserID, in answered) error {
	a := in.arrival
	row := refRow{Session: id, User: user, Connection: c.ID, SubjectKind: a.SubjectKind, Subject: a.Subject, CreatedAt: tx.Now()}
	if len(a.SessionIndex) <= maxSessionIndex && cleanText(a.SessionIndex) {
		row.SessionIndex = a.SessionIndex
	}
	if a.NameID.Value != "" {
		name, err := json.Marshal(a.NameID)
		if err != nil {
			return fmt.Errorf("name identifier: %w", err)
		}
		row.NameIDKey, row.NameID = secret.Hash(a.NameID.Value), name
	}
	if in.sub != "" {
		row.NameIDKey = secret.Hash(in.sub)
	}
	if in.idToken != "" {
		var err error
		if row.IDToken, err = d.opts.Key.Seal(idTokenPlace(id), []byte(in.idToken)); err != nil {
			return err
		}
	}
	return insertRef(tx, row)
}

// idTokenOf opens the ID token of a session; empty when none is kept.
func (d *Door) idTokenOf(ref SessionRef) (string, error) {
	if len(ref.idToken) == 0 {
		return "", nil
	}
	plain, err := d.opts.Key.Open(idTokenPlace(ref.Session), ref.idToken)
	return string(plain), err
}

// endRefs ends sessions that the provider of a connection says are over, and
// records each. why is for the activity log.
func (d *Door) endRefs(tx *store.Tx, c Connection, refs []SessionRef, why string) error {
	for _, ref := range refs {
		if err := d.opts.Sessions.End(tx, ref.Session); err != nil {
			return err
		}
		if err := deleteRef(tx, ref.Session); err != nil {
			return err
		}
		u, err := tx.AnyUser(ref.User)
		if err != nil {
			return fmt.Errorf("session %s: %w", ref.Session, err)
		}
		err = tx.Record(store.Activity{Action: "user.signout", TargetKind: "user", TargetID: string(ref.User), TargetName: u.DisplayName,
			Detail: map[string]any{"method": c.Protocol, "connection": c.ID, "session": ref.Session, "why": why}})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepRefs removes the references of sessions that are over, however they ended,
// and the sign-outs at providers that nobody finished.
func (d *Door) sweepRefs(ctx context.Context) error {
	_, err1 := d.opts.DB.Sweep(ctx, "DELETE FROM sso_sessions WHERE NOT EXISTS (SELECT 1 "+liveSession+")")
	_, err2 := d.opts.DB.Sweep(ctx, "DELETE FROM sso_logouts WHERE expires_at <= ?", store.TimeOf(d.opts.DB.Now()))
	return errors.Join(err1, err2)
}

type refRow struct {
	Session      session.ID   `db:"session_id"`
	User         store.UserID `db:"user_id"`
	Connection   ConnectionID `db:"connection_id"`
	SubjectKind  string       `db:"subject_kind"`
	Subject      string       `db:"subject"`
	SessionIndex string       `db:"session_index"`
	NameIDKey    string       `db:"name_id_key"`
	NameID       []byte       `db:"name_id"`
	IDToken      []byte       `db:"id_token"`
	CreatedAt    store.Time   `db:"created_at"`
}

func (r refRow) ref() (SessionRef, error) {
	out := SessionRef{Session: r.Session, User: r.User, Connection: r.Connection, SubjectKind: r.SubjectKind, Subject: r.Subject,
		SessionIndex: r.SessionIndex, CreatedAt: r.CreatedAt, nameKey: r.NameIDKey, idToken: r.IDToken}
	if len(r.NameID) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(r.NameID, &out.NameID); err != nil {
		return out, fmt.Errorf("session %s: name identifier: %w", r.Session, err)
	}
	return out, nil
}

// liveSession is the session of a reference, with a person who may have it. Its
// index leads with the user.
const liveSession = `FROM sessions s JOIN users u ON u.org_id = s.org_id AND u.id = s.user_id
	WHERE s.org_id = sso_sessions.org_id AND s.user_id = sso_sessions.user_id AND s.id = sso_sessions.session_id
	AND u.status = 'active' AND s.created_at >= u.active_from`

const selectRefs = `SELECT session_id, user_id, connection_id, subject_kind, subject, session_index, name_id_key, name_id, id_token, created_at
	FROM sso_sessions WHERE EXISTS (SELECT 1 ` + liveSession + `) AND org_id = ? AND `

// maxRefs bounds the sessions that one message of a provider can end; more than a
// person has.
const maxRefs = 1000

func refsWhere(tx *store.Tx, where string, args ...any) ([]SessionRef, error) {
	var rows []refRow
	args = append([]any{tx.Org()}, args...)
	if err := tx.Select(&rows, selectRefs+where+" ORDER BY session_id LIMIT ?", append(args, maxRefs)...); err != nil {
		return nil, err
	}
	list := make([]SessionRef, len(rows))
	for i, row := range rows {
		var err error
		if list[i], err = row.ref(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// refsOfSubject are the sessions of a subject on a connection.
func refsOfSubject(tx *store.Tx, c ConnectionID, kind, subject string) ([]SessionRef, error) {
	return refsWhere(tx, "connection_id = ? AND subject_kind = ? AND subject = ?", c, kind, subject)
}

// refsOfIndex are the sessions that the provider of a connection knows under a
// SessionIndex or sid.
func refsOfIndex(tx *store.Tx, c ConnectionID, index string) ([]SessionRef, error) {
	if index == "" {
		return nil, nil
	}
	return refsWhere(tx, "connection_id = ? AND session_index = ? AND session_index <> ''", c, index)
}

// refsOfNameID are the sessions that were opened with a NameID of this value on a
// connection, or with this sub. The NameID's other parts are the caller's to compare.
func refsOfNameID(tx *store.Tx, c ConnectionID, value string) ([]SessionRef, error) {
	if value == "" {
		return nil, nil
	}
	return refsWhere(tx, "connection_id = ? AND name_id_key = ? AND name_id_key <> ''", c, secret.Hash(value))
}

// refOf is the reference of one session; ok is false when it did not come from a
// provider, or is over.
func refOf(tx *store.Tx, id session.ID) (ref SessionRef, ok bool, err error) {
	list, err := refsWhere(tx, "session_id = ?", id)
	if err != nil || len(list) == 0 {
		return SessionRef{}, false, err
	}
	return list[0], true, nil
}

func insertRef(tx *store.Tx, r refRow) error {
	name := any(nil)
	if r.NameID != nil {
		name = string(r.NameID)
	}
	return tx.Post(`INSERT INTO sso_sessions (org_id, session_id, user_id, connection_id, subject_kind, subject, session_index, name_id_key, name_id, id_token, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, {{as_json}}, ?, ?)`,
		[]any{tx.Org(), r.Session, r.User, r.Connection, r.SubjectKind, r.Subject, r.SessionIndex, r.NameIDKey, name, r.IDToken, r.CreatedAt}, nil)
}

func deleteRef(tx *store.Tx, id session.ID) error {
	_, err := tx.Exec("DELETE FROM sso_sessions WHERE org_id = ? AND session_id = ?", tx.Org(), id)
	return err
}
