package scim

import (
	"context"
	"net/http"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// createGroup is POST /Groups (RFC 7644 §3.3).
func (h *handler) createGroup(w http.ResponseWriter, r *http.Request) error {
	p, err := projectionOf(r, from(r.Context()).groups)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, maxGroupBody)
	if err != nil {
		return err
	}
	g, err := h.newGroup(r.Context(), body)
	if err != nil {
		return err
	}
	return h.showGroup(w, r, http.StatusCreated, g, p.written())
}

func (h *handler) newGroup(ctx context.Context, body map[string]any) (g store.Group, err error) {
	d := from(ctx)
	in, err := d.newGroup(body)
	if err != nil {
		return g, err
	}
	err = h.db.Command(ctx, d.actor, func(tx *store.Tx) error {
		g, err = d.makeGroup(tx, in)
		return err
	})
	return g, err
}

// newGroup reads the body of a POST.
func (d dirctx) newGroup(body map[string]any) (store.NewGroup, error) {
	doc, members, err := d.readGroup(body)
	return store.NewGroup{Doc: doc, Members: members.ids, Said: members.said, SharedName: !d.quirks.GroupDisplayNameUnique}, err
}

func (d dirctx) makeGroup(tx *store.Tx, in store.NewGroup) (g store.Group, err error) {
	if in.Members, err = known(tx, d.quirks, in.Members); err != nil {
		return g, err
	}
	return tx.CreateGroup(in)
}

// getGroup is GET /Groups/{id} (RFC 7644 §3.4.1). The members are streamed.
func (h *handler) getGroup(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, from(r.Context()).groups)
	if err != nil {
		return err
	}
	var g store.Group
	err = h.db.Read(r.Context(), from(r.Context()).actor, func(tx *store.Tx) error {
		g, err = findGroup(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return h.showGroup(w, r, http.StatusOK, g, p)
}

// putGroup is PUT /Groups/{id} (RFC 7644 §3.5.1).
func (h *handler) putGroup(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, from(r.Context()).groups)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, maxGroupBody)
	if err != nil {
		return err
	}
	g, err := h.replaceGroup(r.Context(), wanted{id: id, only: conditionOf(r)}, body)
	if err != nil {
		return err
	}
	return h.showGroup(w, r, http.StatusOK, g, p.written())
}

// replaceGroup takes the body for all that there is: without members the group is
// empty afterwards, which takes a set difference and no look at the members.
func (h *handler) replaceGroup(ctx context.Context, t wanted, body map[string]any) (store.Group, error) {
	d := from(ctx)
	doc, members, err := d.readGroup(body)
	if err != nil {
		return store.Group{}, err
	}
	return h.changeGroup(ctx, t, false, func(tx *store.Tx, old store.Group) (store.GroupChange, error) {
		ids, err := known(tx, d.quirks, members.ids)
		if err != nil {
			return store.GroupChange{}, err
		}
		doc, err := d.groups.replaced(doc, old.Attributes)
		return store.GroupChange{Doc: doc, Replace: &ids, Said: members.said}, err
	})
}

// patchGroup is PATCH /Groups/{id} (RFC 7644 §3.5.2). It answers 204, which Entra
// ID prefers and which spares it a list of all members, unless attributes are asked for.
func (h *handler) patchGroup(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, from(r.Context()).groups)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, maxGroupBody)
	if err != nil {
		return err
	}
	d := from(r.Context())
	plan, err := d.normalizer(resourceGroup).compile(body)
	if err != nil {
		return err
	}
	t := wanted{id: id, only: conditionOf(r)}
	shown := d.quirks.PatchResponse == answerWith || p.only
	if !shown && t.only == (condition{}) {
		done, err := h.quickMembers(r.Context(), id, plan)
		if err != nil {
			return err
		}
		if done {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
	}
	g, err := h.applyGroup(r.Context(), t, plan)
	if err != nil {
		return err
	}
	if shown {
		return h.showGroup(w, r, http.StatusOK, g, p.written())
	}
	return showNothing(w, etag(g.ETagVersion()))
}

// quickMembers makes a change that only adds or only removes members, in one
// statement that does not read the group first. That spares the ETag, which RFC
// 7644 does not ask for in a 204, and half of the time. Where nothing changed,
// applyGroup finds out why.
func (h *handler) quickMembers(ctx context.Context, id string, p *plan) (done bool, err error) {
	gid, err := store.ParseID[store.Group](id)
	if err != nil || len(p.steps) > 0 || p.members.replaced || p.members.saysGroup() {
		return false, nil
	}
	add, remove := p.members.list(true), p.members.list(false)
	if (len(add) > 0) == (len(remove) > 0) {
		return false, nil
	}
	err = h.db.Command(ctx, from(ctx).actor, func(tx *store.Tx) error {
		if len(add) > 0 {
			done, err = tx.AddMembers(gid, add)
		} else {
			done, err = tx.RemoveMembers(gid, remove)
		}
		return err
	})
	return done, err
}

func (h *handler) alterGroup(ctx context.Context, t wanted, body map[string]any) (store.Group, error) {
	plan, err := from(ctx).normalizer(resourceGroup).compile(body)
	if err != nil {
		return store.Group{}, err
	}
	return h.applyGroup(ctx, t, plan)
}

func (h *handler) applyGroup(ctx context.Context, t wanted, plan *plan) (store.Group, error) {
	d := from(ctx)
	var single store.GroupChange
	plan.members.into(&single)
	if len(plan.steps) > 0 {
		single.Doc = store.Doc{}
	}
	return h.changeGroup(ctx, t, single.Single(), func(tx *store.Tx, old store.Group) (store.GroupChange, error) {
		return plan.group(tx, old, d.quirks)
	})
}

// group applies a plan to a group.
func (p *plan) group(tx *store.Tx, old store.Group, q Quirks) (ch store.GroupChange, err error) {
	if len(p.steps) > 0 {
		if ch.Doc, err = old.Attributes(); err != nil {
			return ch, err
		}
		if err = p.apply(ch.Doc); err != nil {
			return ch, err
		}
	}
	p.members.into(&ch)
	if ch.Add, err = known(tx, q, ch.Add); err != nil || ch.Replace == nil {
		return ch, err
	}
	all, err := known(tx, q, *ch.Replace)
	ch.Replace = &all
	return ch, err
}

// deleteGroup is DELETE /Groups/{id} (RFC 7644 §3.6).
func (h *handler) deleteGroup(w http.ResponseWriter, r *http.Request, id string) error {
	if err := h.endGroup(r.Context(), wanted{id: id, only: conditionOf(r)}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handler) endGroup(ctx context.Context, t wanted) error {
	return h.db.Write(ctx, from(ctx).actor, func(tx *store.Tx) error {
		g, err := lockGroup(tx, t)
		if err != nil {
			return err
		}
		return tx.DeleteGroup(g.ID)
	})
}

// changeGroup makes one change. What is a single statement, and asks for no
// certain version, runs as one; everything else in a transaction.
func (h *handler) changeGroup(ctx context.Context, t wanted, single bool, plan func(*store.Tx, store.Group) (store.GroupChange, error)) (store.Group, error) {
	run := h.db.Write
	if single && t.only == (condition{}) {
		run = h.db.Command
	}
	var g store.Group
	err := run(ctx, from(ctx).actor, func(tx *store.Tx) error {
		old, err := lockGroup(tx, t)
		if err != nil {
			return err
		}
		change, err := plan(tx, old)
		if err != nil {
			return err
		}
		g, err = tx.UpdateGroup(old, change)
		return err
	})
	return g, err
}

// lockGroup reads a group and keeps its members still when the client asks for a
// certain version: the version counts member changes too.
func lockGroup(tx *store.Tx, t wanted) (store.Group, error) {
	if t.only == (condition{}) {
		return findGroup(tx, t.id)
	}
	gid, err := store.ParseID[store.Group](t.id)
	if err != nil {
		return store.Group{}, notFound("Group", t.id)
	}
	g, err := tx.LockGroup(gid)
	if fault.Is(err, fault.NotFound) {
		return g, notFound("Group", t.id)
	}
	if err != nil {
		return g, err
	}
	return g, t.only.check(etag(g.ETagVersion()))
}

func findGroup(tx *store.Tx, id string) (store.Group, error) {
	gid, err := store.ParseID[store.Group](id)
	if err != nil {
		return store.Group{}, notFound("Group", id)
	}
	g, err := tx.Group(gid)
	if fault.Is(err, fault.NotFound) {
		return g, notFound("Group", id)
	}
	return g, err
}

// known leaves out the ids that are no users or groups of this directory, where it
// is set to ignore them. Otherwise store refuses them by name.
func known(tx *store.Tx, q Quirks, ids []store.UserID) ([]store.UserID, error) {
	if !q.IgnoreUnknownMembers {
		return ids, nil
	}
	return tx.KnownMembers(ids)
}

// readGroup reads a whole group: the document as store keeps it, and the members
// apart, which are rows and may be a hundred thousand.
func (d dirctx) readGroup(body map[string]any) (store.Doc, memberList, error) {
	n := d.normalizer(resourceGroup)
	name, raw := anyCase(body, "members")
	delete(body, name)
	members, err := readMembers(n, raw)
	if err != nil {
		return nil, members, err
	}
	attrs, err := n.resource(body)
	if err != nil {
		return nil, members, err
	}
	if attrs["members"] != nil { // spelled with the schema's URN
		return nil, members, invalidSyntax(`Send members under the name "members".`)
	}
	return store.Doc(attrs), members, nil
}

// showGroup answers with one group.
func (h *handler) showGroup(w http.ResponseWriter, r *http.Request, code int, g store.Group, p Projection) error {
	d := from(r.Context())
	at := d.base + "/Groups/" + string(g.ID)
	tag := etag(g.ETagVersion())
	head := w.Header()
	head.Set("ETag", tag)
	head.Set("Content-Location", at)
	if code == http.StatusCreated {
		head.Set("Location", at)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if done, err := unread(w, r, tag); done {
			return err
		}
	}
	return h.streamGroup(w, r, code, g, p)
}
