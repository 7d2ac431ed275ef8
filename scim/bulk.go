package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const (
	bulkRequestURN  = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	bulkResponseURN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// Bounds of one Bulk (RFC 7644 §3.7.4), as /ServiceProviderConfig announces them.
const (
	maxOperations = 1000
	maxPayload    = 4 << 20
)

// bulk is POST /Bulk (RFC 7644 §3.7). Each operation is a change of its own, kept
// or refused by itself, through the same functions as a single request. Only
// operations that refer to one another in a circle are one change: the ids are
// chosen first, so nobody ever sees, and nothing ever keeps, a "bulkId:".
func (h *handler) bulk(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, maxPayload)
	if err != nil {
		return err
	}
	b, err := h.readBulk(from(r.Context()), body)
	if err != nil {
		return err
	}
	b.run(r.Context())
	logParts(r.Context(), b.ops)
	if b.failed > 0 {
		explain(r.Context(), b.refusals())
	}
	d := from(r.Context())
	answers := make([]bulkAnswer, 0, len(b.ops))
	for _, op := range b.ops {
		if op.done {
			answers = append(answers, op.answer(d.base))
		}
	}
	out, err := json.Marshal(map[string]any{"schemas": []string{bulkResponseURN}, "Operations": answers})
	if err != nil {
		return fmt.Errorf("answer of a Bulk: %w", err)
	}
	return send(w, http.StatusOK, out)
}

func failedOf(n, all int) string {
	if all == 1 {
		return "The operation failed."
	}
	return fmt.Sprintf("%d of %d operations failed.", n, all)
}

// refusals is for the provisioning log: how many, and why for the first few.
func (b *batch) refusals() string {
	const some = 5
	said := []string{failedOf(b.failed, len(b.ops))}
	named, begun := 0, 0
	for _, op := range b.ops {
		if op.done {
			begun++
		}
	}
	if begun < len(b.ops) {
		said = append(said, fmt.Sprintf("%d were not begun: failOnErrors is %d.", len(b.ops)-begun, b.limit))
	}
	for _, op := range b.ops {
		if op.err != nil && op.done && named < some {
			named++
			e := toScim(op.err)
			said = append(said, fmt.Sprintf("Operation %d, %.10s /%s: %d, %s", op.at+1, op.method, op.kind, e.Status, e.Detail))
		}
	}
	return strings.Join(said, " ")
}

// batch is the operations of one Bulk and how far they have come.
type batch struct {
	h     *handler
	d     dirctx
	ops   []*bulkOp
	posts map[string]*bulkOp // by bulkId
	limit int                // failOnErrors; 0: none

	failed  int             // operations that were refused
	running int             // operations in a goroutine of their own
	names   map[string]bool // what those create under, see bulkOp.wants
	ended   chan *bulkOp
}

// readBulk reads the message. What is wrong with one operation is kept with it.
func (h *handler) readBulk(d dirctx, body map[string]any) (*batch, error) {
	urns, err := stringsOf(body, "schemas")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(urns, func(s string) bool { return strings.EqualFold(s, bulkRequestURN) }) {
		return nil, invalidSyntax(`A Bulk must have "schemas": [%q].`, bulkRequestURN)
	}
	_, raw := anyCase(body, "Operations")
	list, ok := raw.([]any)
	if !ok || len(list) == 0 {
		return nil, invalidSyntax(`A Bulk must have "Operations": a list of at least one operation.`)
	}
	if len(list) > maxOperations {
		return nil, status(http.StatusRequestEntityTooLarge, "The Bulk has %d operations; at most %d are possible. Send the others in another one.", len(list), maxOperations)
	}
	b := &batch{h: h, d: d, posts: map[string]*bulkOp{}, names: map[string]bool{}, ended: make(chan *bulkOp)}
	if _, raw = anyCase(body, "failOnErrors"); raw != nil {
		n, _ := raw.(json.Number)
		if b.limit, err = strconv.Atoi(string(n)); err != nil || b.limit < 1 {
			return nil, invalidValue("failOnErrors is %s: want an integer of 1 or more, the number of errors after which to stop.", show(raw))
		}
	}
	for i, o := range list {
		b.ops = append(b.ops, readBulkOp(i, o))
	}
	b.link()
	return b, nil
}

// run does what can be done. Operations come in the order of order, with the same
// outcome as one after the other; creations that have nothing to do with one
// another share the database's commits by running at once. With failOnErrors none
// is begun that the failures of those still running would have prevented.
func (b *batch) run(ctx context.Context) {
	for _, unit := range b.order() {
		op := unit[0]
		aside := len(unit) == 1 && op.method == http.MethodPost && op.err == nil
		for b.running > 0 && (!aside || b.running == cap(b.h.lanes) || b.meets(op) || b.limit > 0 && b.failed+b.running >= b.limit) {
			b.wait()
		}
		if b.limit > 0 && b.failed >= b.limit {
			break
		}
		if !aside {
			b.h.perform(ctx, unit)
			for _, op := range unit {
				b.end(op)
			}
			continue
		}
		for _, name := range op.wants {
			b.names[name] = true
		}
		b.running++
		go func() {
			b.h.perform(ctx, unit)
			b.ended <- op
		}()
	}
	for b.running > 0 {
		b.wait()
	}
}

// meets tells that op needs or may collide with what is running.
func (b *batch) meets(op *bulkOp) bool {
	return slices.ContainsFunc(op.needs, func(n *bulkOp) bool { return !n.done }) ||
		slices.ContainsFunc(op.wants, func(name string) bool { return b.names[name] })
}

func (b *batch) wait() {
	op := <-b.ended
	b.running--
	for _, name := range op.wants {
		delete(b.names, name)
	}
	b.end(op)
}

func (b *batch) end(op *bulkOp) {
	op.done = true
	if op.err != nil {
		b.failed++
	}
}

// perform does one operation, or several that refer to one another in a circle.
func (h *handler) perform(ctx context.Context, unit []*bulkOp) {
	ctx = watchUnit(ctx, unit)
	defer func() {
		if p := recover(); p != nil { // in a goroutine it would end the process
			for _, op := range unit {
				op.err = fmt.Errorf("panic in a Bulk: %v\n%s", p, debug.Stack())
			}
		}
		for _, op := range unit {
			if op.err != nil && toScim(op.err).Status == http.StatusInternalServerError {
				h.opt.Log.ErrorContext(ctx, "bulk operation", "request", web.RequestID(ctx), "operation", op.at+1, "error", op.err)
			}
		}
	}()
	select {
	case h.lanes <- struct{}{}:
		defer func() { <-h.lanes }()
	case <-ctx.Done():
		for _, op := range unit {
			if op.err == nil {
				op.err = ctx.Err()
			}
		}
		return
	}
	if len(unit) > 1 || slices.Contains(unit[0].needs, unit[0]) {
		h.circle(ctx, unit)
		return
	}
	op := unit[0]
	if op.err == nil {
		op.err = op.resolve(from(ctx).base)
	}
	if op.err == nil {
		op.err = h.single(ctx, op)
	}
}

// single does one operation as the request that it stands for.
func (h *handler) single(ctx context.Context, op *bulkOp) error {
	if op.kind == "Users" {
		return h.singleUser(ctx, op)
	}
	return h.singleGroup(ctx, op)
}

func (h *handler) singleUser(ctx context.Context, op *bulkOp) (err error) {
	t := wanted{id: op.id, only: condition{match: op.version}}
	var u store.User
	op.code = http.StatusOK
	switch op.method {
	case http.MethodPost:
		op.code = http.StatusCreated
		u, err = h.newUser(ctx, op.data)
	case http.MethodPut:
		u, _, err = h.replaceUser(ctx, t, op.data)
	case http.MethodPatch:
		if from(ctx).quirks.PatchResponse == answerEmpty {
			op.code = http.StatusNoContent
		}
		u, _, err = h.alterUser(ctx, t, op.data)
	case http.MethodDelete:
		op.code = http.StatusNoContent
		return h.endUser(ctx, t)
	}
	if err == nil {
		op.id, op.tag = string(u.ID), userTag(u)
	}
	return err
}

func (h *handler) singleGroup(ctx context.Context, op *bulkOp) (err error) {
	t := wanted{id: op.id, only: condition{match: op.version}}
	var g store.Group
	op.code = http.StatusOK
	switch op.method {
	case http.MethodPost:
		op.code = http.StatusCreated
		g, err = h.newGroup(ctx, op.data)
	case http.MethodPut:
		g, err = h.replaceGroup(ctx, t, op.data)
	case http.MethodPatch:
		if from(ctx).quirks.PatchResponse != answerWith {
			op.code = http.StatusNoContent
		}
		g, err = h.alterGroup(ctx, t, op.data)
	case http.MethodDelete:
		op.code = http.StatusNoContent
		return h.endGroup(ctx, t)
	}
	if err == nil {
		op.id, op.tag = string(g.ID), etag(g.ETagVersion())
	}
	return err
}

// circle creates, in one transaction, resources that refer to one another. Users
// come first: groups look at their members. Groups get one another as members when
// all are there, in the order of the request, so that the one that would close a
// circle of groups is the one that is refused.
func (h *handler) circle(ctx context.Context, ops []*bulkOp) {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b *bulkOp) int { return strings.Compare(b.kind, a.kind) })
	for _, op := range ops {
		op.id, op.code = string(store.NewID[store.User]()), http.StatusCreated
	}
	d := from(ctx)
	var culprit *bulkOp
	var create, join []func(*store.Tx) error
	var err error
	if i := slices.IndexFunc(ops, func(op *bulkOp) bool { return op.err != nil }); i >= 0 {
		culprit, err = ops[i], ops[i].err
	}
	for _, op := range ops {
		if err != nil {
			break
		}
		culprit = op
		var run, then func(*store.Tx) error
		run, then, err = h.creation(ctx, d, op, ops)
		create, join = append(create, run), append(join, then)
	}
	if err == nil {
		err = h.db.Write(ctx, d.actor, func(tx *store.Tx) error {
			for i, run := range slices.Concat(create, join) {
				culprit = ops[i%len(ops)]
				if err := run(tx); err != nil {
					return err
				}
			}
			culprit = nil
			return nil
		})
	}
	if err == nil {
		return
	}
	for _, op := range ops {
		op.id, op.tag = "", ""
		switch {
		case op.err != nil: // of its own
		case culprit == nil || op == culprit:
			op.err = err
		default:
			op.err = status(http.StatusConflict, "This operation and the one with the bulkId %q refer to one another, so they are done together, and that one failed.", culprit.bulkID)
		}
	}
}

// creation prepares the POST of an operation whose id is chosen already, and what
// is left to do when all of its unit are there.
func (h *handler) creation(ctx context.Context, d dirctx, op *bulkOp, unit []*bulkOp) (create, then func(*store.Tx) error, err error) {
	if err := op.resolve(d.base); err != nil {
		return nil, nil, err
	}
	if op.kind == "Users" {
		in, err := d.newUser(op.data)
		if err != nil {
			return nil, nil, err
		}
		in.ID = store.UserID(op.id)
		keep, err := h.keeperOfBody(ctx, d, "", op.data, in.Doc)
		in.WorkOut()
		return func(tx *store.Tx) error {
			u, err := tx.CreateUser(in)
			op.tag = userTag(u)
			if err != nil || keep == nil {
				return err
			}
			return keep(tx, u.ID)
		}, func(*store.Tx) error { return nil }, err
	}
	in, err := d.newGroup(op.data)
	in.ID = store.GroupID(op.id)
	var later []store.UserID
	in.Members = slices.DeleteFunc(in.Members, func(id store.UserID) bool {
		mutual := slices.ContainsFunc(unit, func(other *bulkOp) bool { return other.kind == "Groups" && other.id == string(id) })
		if mutual {
			later = append(later, id)
		}
		return mutual
	})
	var g store.Group
	return func(tx *store.Tx) (err error) {
			g, err = d.makeGroup(tx, in)
			op.tag = etag(g.ETagVersion())
			return err
		}, func(tx *store.Tx) (err error) {
			if g, err = tx.UpdateGroup(g, store.GroupChange{Add: later, Said: in.Said}); err != nil {
				return err
			}
			op.tag = etag(g.ETagVersion())
			return nil
		}, err
}
