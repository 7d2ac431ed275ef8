package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Overdue is somebody who was deleted longer ago than can be undone.
type Overdue struct {
	Org  OrgID  `db:"org_id"`
	User UserID `db:"id"`
}

// Overdue lists whom PurgeUser may remove, of all organizations, the longest gone first.
func (db *DB) Overdue(ctx context.Context, limit int) ([]Overdue, error) {
	list := []Overdue{}
	return list, db.LookupAll(ctx, &list, "SELECT org_id, id FROM users WHERE deleted_at > 0 AND deleted_at < ? ORDER BY deleted_at LIMIT ?",
		TimeOf(db.now()).Add(-RestoreFor), limit)
}

// purgedName stands for who was removed.
const purgedName = "Removed person"

// Naming finds the rows of activity that a deleted person acted in or is named by, beside
// those that are about the person. It reads the whole record (1 s for a million rows) and
// is meant for Read. Faults: Denied, NotFound.
func (tx *Tx) Naming(id UserID) ([]ActivityID, error) {
	if err := tx.Require(access.Operate); err != nil {
		return nil, err
	}
	u, err := tx.anyUser(id)
	if err != nil {
		return nil, err
	}
	query := "SELECT id FROM activity WHERE org_id = ? AND target_id <> ? AND (actor_id = ?"
	args := []any{tx.Org(), string(id), string(id)}
	for _, word := range []string{string(id), u.Email, u.UserName} {
		if len(word) > 3 {
			query += ` OR CAST(detail AS text) LIKE ? ESCAPE '\'`
			args = append(args, "%"+escapeLike(word)+"%")
		}
	}
	list := []ActivityID{}
	return list, tx.Select(&list, query+")", args...)
}

// purgeBatch is how many rows of activity are rewritten with one read.
const purgeBatch = 200

// PurgeUser removes for good a person who was deleted longer ago than RestoreFor.
// forget removes what other packages keep beside rows with a user_id. The activity stays: of rows about the person
// what happened and when, of other rows all but the name and address. named is what
// Naming gave. Needs Write. Faults: Denied, NotFound, Conflict (is to be kept).
func (tx *Tx) PurgeUser(id UserID, named []ActivityID, forget ...func(*Tx, UserID) error) error {
	if err := tx.Require(access.Operate); err != nil {
		return err
	}
	var u User
	if err := tx.Get(&u, userColumns+" WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), id); err != nil {
		return err
	}
	if u.Status != Deleted || u.DeletedAt >= tx.Now().Add(-RestoreFor) {
		return fault.Conflict.Say("%s is not to be removed: deleted people are kept for 30 days.", u.DisplayName)
	}
	for _, f := range forget {
		if err := f(tx, id); err != nil {
			return err
		}
	}
	if err := tx.purgeRows(id); err != nil {
		return err
	}
	for _, query := range []string{deleteExtrasOf, "DELETE FROM users WHERE org_id = ? AND id = ?"} {
		if _, err := tx.Exec(query, tx.Org(), id); err != nil {
			return err
		}
	}
	for _, key := range []string{Fold(u.Email), Fold(u.UserName)} { // attempts that found nobody, unless somebody else has the address now
		if _, err := tx.Exec(`DELETE FROM signins WHERE org_id = ? AND email_key = ? AND email_key <> ''
			AND NOT EXISTS (SELECT 1 FROM users u WHERE u.org_id = ? AND u.email_key = ? AND u.deleted_at = 0)`, tx.Org(), key, tx.Org(), key); err != nil {
			return err
		}
	}
	if err := tx.purgeOwn(id); err != nil {
		return err
	}
	if err := tx.purgeNamed(u, named); err != nil {
		return err
	}
	return tx.Record(Activity{Action: "user.purge", TargetKind: "user", TargetID: string(id), TargetName: purgedName})
}

// purgeRows empties every table that has people in a column user_id, whoever owns it: so
// that none is forgotten, also one that is yet to come.
func (tx *Tx) purgeRows(id UserID) error {
	var tables []string
	if err := tx.Select(&tables, tx.db.d.withUsers); err != nil {
		return err
	}
	for _, name := range tables {
		if _, err := tx.Exec("DELETE FROM "+name+" WHERE org_id = ? AND user_id = ?", tx.Org(), id); err != nil {
			return err
		}
	}
	return nil
}

type purgedRow struct {
	ID      ActivityID `db:"id"`
	ActorID string     `db:"actor_id"`
	Actor   string     `db:"actor_name"`
	Target  string     `db:"target_name"`
	Detail  []byte     `db:"detail"`
}

const updatePurged = "UPDATE activity SET actor_name = ?, target_name = ?, detail = {{as_json}} WHERE org_id = ? AND id = ?"

// keptDetail is what stays of a row about the person: words of ours, ids and times.
var keptDetail = []string{"reason", "successor", "role", "plan", "action", "method", "source", "status"}

// purgeOwn takes the person out of the rows about the person.
func (tx *Tx) purgeOwn(id UserID) error {
	for after := ActivityID(noID); ; {
		var page []purgedRow
		if err := tx.Select(&page, "SELECT id, actor_id, actor_name, target_name, detail FROM activity WHERE org_id = ? AND target_id = ? AND id > ? ORDER BY id LIMIT ?",
			tx.Org(), string(id), after, purgeBatch); err != nil {
			return err
		}
		for _, r := range page {
			var detail map[string]any
			if err := json.Unmarshal(r.Detail, &detail); err != nil {
				return fmt.Errorf("activity %s: %w", r.ID, err)
			}
			if r.ActorID == string(id) {
				r.Actor = purgedName
			}
			if err := tx.rewrite(r.ID, r.Actor, purgedName, reduced(detail)); err != nil {
				return err
			}
			after = r.ID
		}
		if len(page) < purgeBatch {
			return nil
		}
	}
}

func reduced(detail map[string]any) map[string]any {
	out := map[string]any{}
	for _, key := range keptDetail {
		if s, ok := detail[key].(string); ok {
			out[key] = s
		}
	}
	for _, side := range []string{"before", "after"} {
		if m, ok := detail[side].(map[string]any); ok && m["status"] != nil {
			out[side] = map[string]any{"status": m["status"]}
		}
	}
	return out
}

func (tx *Tx) rewrite(id ActivityID, actor, target string, detail map[string]any) error {
	text, err := encode(detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(updatePurged, actor, target, text, tx.Org(), id)
	return err
}

// purgeNamed takes the person's names and addresses out of other rows.
func (tx *Tx) purgeNamed(u User, ids []ActivityID) error {
	p := u.Profile()
	words := map[string]bool{}
	for _, w := range []string{u.UserName, u.Email, u.DisplayName, p.FullName(), strings.TrimSpace(p.GivenName + " " + p.FamilyName)} {
		if w != "" {
			words[Fold(w)] = true
		}
	}
	for _, id := range ids {
		var r purgedRow
		err := tx.Get(&r, "SELECT id, actor_id, actor_name, target_name, detail FROM activity WHERE org_id = ? AND id = ?", tx.Org(), id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		var detail map[string]any
		if err := json.Unmarshal(r.Detail, &detail); err != nil {
			return errors.Join(fmt.Errorf("activity %s", r.ID), err)
		}
		if r.ActorID == string(u.ID) {
			r.Actor = purgedName
			delete(detail, "ip")
		}
		clean, _ := renamed(detail, words).(map[string]any)
		if err := tx.rewrite(r.ID, r.Actor, r.Target, clean); err != nil {
			return err
		}
	}
	return nil
}

// renamed replaces each text that is one of words.
func renamed(v any, words map[string]bool) any {
	switch v := v.(type) {
	case string:
		if words[Fold(v)] {
			return purgedName
		}
	case []any:
		for i := range v {
			v[i] = renamed(v[i], words)
		}
	case map[string]any:
		for k := range v {
			v[k] = renamed(v[k], words)
		}
	}
	return v
}
