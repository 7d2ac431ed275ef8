package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// Traces are where a deleted person stands in what is about something else.
type Traces struct {
	words   []string     // names and addresses that nobody else here has
	acts    []ActivityID // rows of activity
	columns []column     // that say by name who did something
}

// column is one of a table.
type column struct {
	Table string `db:"table_name"`
	Name  string `db:"column_name"`
}

// Traces looks for them: in rows of activity that the person acted in or is named by, and
// in columns such as given_by. It reads the whole record (1 s for a million rows) and is
// meant for Read. What a living person is called as well stays. Faults: Denied, NotFound.
func (tx *Tx) Traces(id UserID) (t Traces, err error) {
	if err := tx.Require(access.Operate); err != nil {
		return t, err
	}
	u, err := tx.anyUser(id)
	if err != nil {
		return t, err
	}
	if t.words, err = tx.ownWords(u); err != nil {
		return t, err
	}
	query := "SELECT id FROM activity WHERE org_id = ? AND target_id <> ? AND (actor_id = ?"
	args := []any{tx.Org(), string(id), string(id)}
	for _, word := range append([]string{string(id)}, t.words...) {
		if len(word) > 3 {
			like := "%" + escapeLike(word) + "%"
			query += ` OR detail LIKE ? ESCAPE '\' OR actor_kind = 'system' AND actor_name LIKE ? ESCAPE '\' OR target_name = ?`
			args = append(args, like, like, word)
		}
	}
	if err := tx.Select(&t.acts, query+")", args...); err != nil {
		return t, err
	}
	var columns []column
	if err := tx.Select(&columns, tx.db.d.withNames); err != nil {
		return t, err
	}
	for _, c := range columns {
		var there bool
		if err := tx.Get(&there, "SELECT EXISTS (SELECT 1 FROM "+c.Table+" WHERE org_id = ? AND "+c.Name+" IN (SELECT value FROM {{each_text}}))", tx.Org(), jsonList(t.words)); err != nil {
			return t, err
		}
		if there {
			t.columns = append(t.columns, c)
		}
	}
	return t, nil
}

// ownWords are the names and addresses of a deleted person that nobody living has: who
// was made anew, or is only called the same, keeps them.
func (tx *Tx) ownWords(u User) ([]string, error) {
	p := u.Profile()
	list := distinct([]string{u.UserName, u.Email, u.DisplayName, p.FullName(), strings.TrimSpace(p.GivenName + " " + p.FamilyName)})
	keys := make([]string, len(list))
	for i, word := range list {
		keys[i] = Fold(word)
	}
	var others []struct {
		UserName string `db:"user_name_key"`
		Email    string `db:"email_key"`
		Name     string `db:"display_name"`
	}
	if err := tx.Select(&others, `SELECT user_name_key, email_key, display_name FROM users WHERE org_id = ? AND deleted_at = 0
		AND (user_name_key {{in_texts}} OR email_key {{in_texts}} OR display_name {{in_texts}})`, tx.Org(), jsonList(keys), jsonList(keys), jsonList(list)); err != nil {
		return nil, err
	}
	taken := map[string]bool{"": true}
	for _, o := range others {
		taken[o.UserName], taken[o.Email], taken[Fold(o.Name)] = true, true, true
	}
	return slices.DeleteFunc(list, func(word string) bool { return taken[Fold(word)] }), nil
}

// purgeBatch is how many rows of activity are rewritten with one read.
const purgeBatch = 200

// PurgeUser removes for good a person who was deleted longer ago than RestoreFor.
// forget removes what other packages keep beside rows with a user_id. The activity stays: of rows about the person
// what happened and when, of other rows all but the name and address. t is what
// Traces gave. Needs Write. Faults: Denied, NotFound, Conflict (is to be kept).
func (tx *Tx) PurgeUser(id UserID, t Traces, forget ...func(*Tx, UserID) error) error {
	if err := tx.Require(access.Operate); err != nil {
		return err
	}
	var u User
	if err := tx.Get(&u, userColumns+" WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), id); err != nil {
		return err
	}
	if err := tx.overdue(u); err != nil {
		return err
	}
	for _, f := range forget {
		if err := f(tx, id); err != nil {
			return err
		}
	}
	if err := tx.purgeRows(id); err != nil {
		return err
	}
	for _, query := range []string{deleteExtrasOf, "UPDATE teams SET lead_id = NULL WHERE org_id = ? AND lead_id = ?", "DELETE FROM users WHERE org_id = ? AND id = ?"} {
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
	for _, c := range t.columns {
		if _, err := tx.Exec("UPDATE "+c.Table+" SET "+c.Name+" = ? WHERE org_id = ? AND "+c.Name+" IN (SELECT value FROM {{each_text}})", purgedName, tx.Org(), jsonList(t.words)); err != nil {
			return err
		}
	}
	if err := tx.purgeNamed(id, t); err != nil {
		return err
	}
	return tx.Record(Activity{Action: "user.purge", TargetKind: "user", TargetID: string(id), TargetName: purgedName})
}

// overdue refuses to remove who can still be restored.
func (tx *Tx) overdue(u User) error {
	if u.Status != Deleted || u.DeletedAt >= tx.Now().Add(-RestoreFor) {
		return fault.Conflict.Say("%s is not to be removed: deleted people are kept for 30 days.", u.DisplayName)
	}
	return nil
}

// ForgetManager takes a person whom PurgeUser may remove out of the attributes of some of
// those whose manager that was, and tells whether there may be more. A directory's word
// stays final: what goes leads to nobody. Who is deleted stays as they were. Needs Write. Faults: as PurgeUser.
func (tx *Tx) ForgetManager(id UserID) (more bool, err error) {
	if err := tx.Require(access.Operate); err != nil {
		return false, err
	}
	u, err := tx.AnyUser(id)
	if err != nil {
		return false, err
	}
	if err := tx.overdue(u); err != nil {
		return false, err
	}
	var list []User
	if err := tx.Select(&list, userColumns+" WHERE org_id = ? AND manager_id = ? AND deleted_at = 0 ORDER BY id LIMIT ?"+tx.ForUpdate(), tx.Org(), id, purgeBatch); err != nil {
		return false, err
	}
	for _, u := range list {
		doc, err := u.Attributes()
		if err != nil {
			return false, err
		}
		enterprise, _ := doc[EnterpriseURN].(map[string]any)
		if delete(enterprise, "manager"); len(enterprise) == 0 {
			delete(doc, EnterpriseURN)
		}
		if _, err := tx.UpdateUser(u, UserChange{Doc: doc, Why: "the manager was removed for good", stale: true}); err != nil {
			return false, err
		}
	}
	return len(list) == purgeBatch, nil
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
	ID      ActivityID  `db:"id"`
	Kind    access.Kind `db:"actor_kind"`
	ActorID string      `db:"actor_id"`
	Actor   string      `db:"actor_name"`
	Target  string      `db:"target_name"`
	Detail  []byte      `db:"detail"`
}

const updatePurged = "UPDATE activity SET actor_name = ?, target_name = ?, detail = ? WHERE org_id = ? AND id = ?"

// keptDetail is what stays of a row about the person: words of ours, ids and times.
var keptDetail = []string{"reason", "successor", "role", "plan", "action", "method", "source", "status"}

// purgeOwn takes the person out of the rows about the person.
func (tx *Tx) purgeOwn(id UserID) error {
	for after := ActivityID(noID); ; {
		var page []purgedRow
		if err := tx.Select(&page, "SELECT id, actor_kind, actor_id, actor_name, target_name, detail FROM activity WHERE org_id = ? AND target_id = ? AND id > ? ORDER BY id LIMIT ?",
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
func (tx *Tx) purgeNamed(id UserID, t Traces) error {
	words := map[string]bool{}
	for _, word := range t.words {
		words[Fold(word)] = true
	}
	for _, row := range t.acts {
		var r purgedRow
		err := tx.Get(&r, "SELECT id, actor_kind, actor_id, actor_name, target_name, detail FROM activity WHERE org_id = ? AND id = ?", tx.Org(), row)
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
		switch {
		case r.ActorID == string(id):
			r.Actor = purgedName
			delete(detail, "ip")
		case r.Kind == access.System: // as planned by somebody
			for _, word := range t.words {
				r.Actor = strings.ReplaceAll(r.Actor, word, purgedName)
			}
		}
		if words[Fold(r.Target)] {
			r.Target = purgedName
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
