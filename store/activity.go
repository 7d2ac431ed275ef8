package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
)

// Activity is one row of the append-only record: who did what to whom, and what
// it was before and after. Detail must never hold a secret.
type Activity struct {
	ID         ActivityID
	At         Time
	ActorKind  access.Kind
	ActorID    string
	ActorName  string
	Action     string // "user.create", "invitation.cancel", ...
	TargetKind string // "user", "group", "connection", ...
	TargetID   string
	TargetName string
	Detail     map[string]any // before, after, why, ip, reference, request
}

const insertActivity = `INSERT INTO activity (org_id, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, detail)
	{{row}}{{as_id}}, {{as_id}}, {{as_int}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}{{end_row}}`

// insertGroupActivity looks the group's name up, for changes that have not read it.
var insertGroupActivity = strings.Replace(insertActivity, "{{as_text}}, {{as_text}}{{end_row}}",
	"(SELECT g.name FROM groups g WHERE g.org_id = ? AND g.id = ?), {{as_text}}{{end_row}}", 1)

const recordActivity = `INSERT INTO activity (org_id, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, detail)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// Record adds a row in this transaction. The actor, the time and where the
// request came from are filled in.
func (tx *Tx) Record(a Activity) error {
	args, err := tx.activityArgs(&a)
	if err != nil {
		return err
	}
	if err := tx.Post(recordActivity, args, nil); err != nil {
		return err
	}
	if a.Action == "user.signin" || a.Action == "user.signin.refused" || a.Action == "user.signout.refused" {
		if err := tx.recordSignIn(a); err != nil {
			return err
		}
	}
	tx.tell(a)
	return nil
}

type watchKey struct{}

// Watch has told called with each activity row that is committed under the
// context that it gives: so a door can say what one request of its own changed.
// told runs after the commit, in the goroutine of Write or Command.
func Watch(ctx context.Context, told func(Activity)) context.Context {
	return context.WithValue(ctx, watchKey{}, told)
}

func (tx *Tx) tell(a Activity) {
	if told, ok := tx.ctx.Value(watchKey{}).(func(Activity)); ok {
		tx.AfterCommit(func() { told(a) })
	}
}

// unnamed tells that the change is to a group that nobody has read.
func (a Activity) unnamed() bool { return a.TargetKind == "group" && a.TargetName == "" }

// activityStep is the row as a part of a change.
func (tx *Tx) activityStep(a *Activity) (step, error) {
	args, err := tx.activityArgs(a)
	if err != nil || !a.unnamed() {
		return step{insertActivity, args}, err
	}
	return step{insertGroupActivity, slices.Concat(args[:9], []any{tx.Org(), a.TargetID}, args[10:])}, nil
}

func (tx *Tx) activityArgs(a *Activity) ([]any, error) {
	if a.Detail == nil {
		a.Detail = map[string]any{}
	}
	if tx.actor.IP != "" {
		a.Detail["ip"] = tx.actor.IP
	}
	if tx.actor.Request != "" {
		a.Detail["request"] = tx.actor.Request
	}
	if tx.actor.Agent != "" && strings.HasPrefix(a.Action, "user.signin") {
		a.Detail["agent"] = tx.actor.Agent
	}
	detail, err := encode(a.Detail)
	if err != nil {
		return nil, fmt.Errorf("activity %s: %w", a.Action, err)
	}
	// What a stranger sent may hold the one character that PostgreSQL keeps in no text.
	detail = strings.ReplaceAll(detail, `\u0000`, `\ufffd`)
	a.ID, a.At = NewID[Activity](), tx.Now()
	return []any{tx.Org(), a.ID, a.At, string(tx.actor.Kind), tx.actor.ID, tx.actor.Name,
		a.Action, a.TargetKind, a.TargetID, a.TargetName, detail}, nil
}

// ActivityQuery chooses rows, newest first.
type ActivityQuery struct {
	Target string       // one user, group, ... by id; everything when empty
	Actor  string       // who did it, a person or an API key by id; everybody when empty
	From   Time         // since then; 0: since ever
	To     Time         // before then; 0: until now
	Action string       // one action; every action when empty
	Before ActivityID   // older than this row; from the newest when empty
	IDs    []ActivityID // these rows; all when nil
	Limit  int          // 50 when 0, 200 at most; as many as IDs with IDs
}

// idSlack is more than lies between making a row's id and noting its time. Rows are
// found by id, which is their order in the table.
const idSlack = time.Minute

// idAround is smaller than every id that is made at t or later, and greater than those
// of every millisecond before.
func idAround(t Time) ActivityID {
	return ActivityID(fmt.Sprintf("%012x", max(int64(t)/1000, 0)) + strings.Repeat("0", 20))
}

// activityQuery is the statement behind Activities.
func (tx *Tx) activityQuery(q ActivityQuery) (query string, args []any) {
	query = "SELECT id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, detail FROM activity WHERE org_id = ?"
	args = []any{tx.Org()}
	if q.Target != "" {
		query, args = query+" AND target_id = ?", append(args, q.Target)
	}
	if q.Action != "" {
		query, args = query+" AND action = ?", append(args, q.Action)
	}
	if q.Actor != "" {
		query, args = query+" AND actor_id = ? AND actor_kind IN ('person', 'key')", append(args, q.Actor)
	}
	if q.From != 0 {
		query, args = query+" AND id >= ? AND at >= ?", append(args, idAround(q.From.Add(-idSlack)), q.From)
	}
	if q.To != 0 {
		query, args = query+" AND id < ? AND at < ?", append(args, idAround(q.To.Add(idSlack)), q.To)
	}
	if q.Before != "" {
		query, args = query+" AND id < ?", append(args, q.Before)
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	limit := min(q.Limit, 200)
	if q.IDs != nil {
		query, args = query+" AND id {{in_ids}}", append(args, jsonList(q.IDs))
		limit = len(q.IDs)
	}
	return query + " ORDER BY id DESC LIMIT ?", append(args, limit)
}

// Activities reads the record. Faults: Denied.
func (tx *Tx) Activities(q ActivityQuery) ([]Activity, error) {
	if err := tx.Require(access.ViewActivity); err != nil {
		return nil, err
	}
	query, args := tx.activityQuery(q)
	var rows []struct {
		ID         ActivityID  `db:"id"`
		At         Time        `db:"at"`
		ActorKind  access.Kind `db:"actor_kind"`
		ActorID    string      `db:"actor_id"`
		ActorName  string      `db:"actor_name"`
		Action     string      `db:"action"`
		TargetKind string      `db:"target_kind"`
		TargetID   string      `db:"target_id"`
		TargetName string      `db:"target_name"`
		Detail     []byte      `db:"detail"`
	}
	if err := tx.Select(&rows, query, args...); err != nil {
		return nil, err
	}
	list := make([]Activity, 0, len(rows))
	for _, r := range rows {
		a := Activity{ID: r.ID, At: r.At, ActorKind: r.ActorKind, ActorID: r.ActorID, ActorName: r.ActorName,
			Action: r.Action, TargetKind: r.TargetKind, TargetID: r.TargetID, TargetName: r.TargetName}
		if err := json.Unmarshal(r.Detail, &a.Detail); err != nil {
			return nil, fmt.Errorf("activity %s: %w", r.ID, err)
		}
		list = append(list, a)
	}
	return list, nil
}
