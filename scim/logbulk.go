package scim

import (
	"context"
	"strings"

	"github.com/muster-id/muster/store"
)

// Each operation of a Bulk has a row in the log: whoever looks for a person, or for
// what was refused, finds it like a request.

// watchUnit has a unit's operations told what was committed for each of them.
func watchUnit(ctx context.Context, unit []*bulkOp) context.Context {
	e, ok := ctx.Value(loggedKey{}).(*logged)
	if !ok {
		return ctx
	}
	return store.Watch(ctx, func(a store.Activity) {
		e.changed(a)
		for _, op := range unit {
			if !ofResource(a) {
				break
			}
			if len(unit) == 1 || op.id == a.TargetID {
				op.changes++
				op.activities = append(op.activities, a.ID)
				op.name = a.TargetName
			}
		}
	})
}

// logParts notes what came of the operations.
func logParts(ctx context.Context, ops []*bulkOp) {
	e, ok := ctx.Value(loggedKey{}).(*logged)
	if !ok {
		return
	}
	for _, op := range ops {
		if op.done {
			e.parts = append(e.parts, op.row(e.secrets))
		}
	}
}

// row is what is the operation's own.
func (op *bulkOp) row(secrets [2]map[string]bool) logRow {
	row := logRow{Method: cutText(op.method, 10), Resource: op.kind, Path: "/" + op.kind, Status: op.code, Part: op.at + 1, TargetID: op.id, Target: op.name,
		Changes: op.changes, Activities: op.activities[:min(len(op.activities), maxLinks)]}
	if _, err := store.ParseID[store.User](op.id); err != nil {
		row.TargetID = ""
	}
	if len(op.id) > 0 && op.method != "POST" {
		row.Path += "/" + op.id
	}
	if op.target != "" {
		row.Path += "/bulkId:" + op.target
	}
	if op.err != nil {
		x := redactor{own: secrets}
		var name string
		s := toScim(op.err)
		row.Body, name = x.document(op.data)
		if row.Target == "" {
			row.Target = x.text(name)
		}
		row.Status, row.ScimType, row.Refusal, row.Reason = s.Status, string(s.ScimType), refusalOf(true, op.err, s), cutText(x.text(s.Detail), 1000)
	}
	row.Path = cutText(redactText(strings.TrimSpace(row.Path)), 500)
	row.Target = cutText(row.Target, 200)
	row.TargetKey = store.Fold(row.Target)
	if row.Activities == nil {
		row.Activities = []store.ActivityID{}
	}
	return row
}

// under is the operation's row with what it has from its Bulk.
func (r logRow) under(bulk logRow) logRow {
	r.Org, r.Directory, r.At, r.ID = bulk.Org, bulk.Directory, bulk.At, store.NewID[logRow]()
	r.Request, r.IP, r.Agent, r.Took = bulk.Request, bulk.IP, bulk.Agent, bulk.Took
	return r
}
