package scim

import (
	"net/http"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// createGroup is POST /Groups (RFC 7644 §3.3).
func (h *handler) createGroup(w http.ResponseWriter, r *http.Request) error {
	p, err := projectionOf(r, GroupSchema())
	if err != nil {
		return err
	}
	doc, members, err := readGroup(w, r)
	if err != nil {
		return err
	}
	d := from(r.Context())
	in := store.NewGroup{Doc: doc, SharedName: !d.quirks.GroupDisplayNameUnique}
	var g store.Group
	err = h.db.Command(r.Context(), d.actor, func(tx *store.Tx) error {
		if in.Members, err = known(tx, d.quirks, members); err != nil {
			return err
		}
		g, err = tx.CreateGroup(in)
		return err
	})
	if err != nil {
		return err
	}
	return h.showGroup(w, r, http.StatusCreated, g, p)
}

// getGroup is GET /Groups/{id} (RFC 7644 §3.4.1). The members are streamed.
func (h *handler) getGroup(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, GroupSchema())
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

// putGroup is PUT /Groups/{id}: without members the group is empty afterwards
// (RFC 7644 §3.5.1), which takes a set difference and no look at the members.
func (h *handler) putGroup(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, GroupSchema())
	if err != nil {
		return err
	}
	doc, members, err := readGroup(w, r)
	if err != nil {
		return err
	}
	g, err := h.changeGroup(r, id, false, func(tx *store.Tx, _ store.Group) (store.GroupChange, error) {
		ids, err := known(tx, from(r.Context()).quirks, members)
		return store.GroupChange{Doc: doc, Replace: &ids}, err
	})
	if err != nil {
		return err
	}
	return h.showGroup(w, r, http.StatusOK, g, p)
}

// patchGroup is PATCH /Groups/{id} (RFC 7644 §3.5.2). It answers 204, which Entra
// ID prefers and which spares it a list of all members.
func (h *handler) patchGroup(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, GroupSchema())
	if err != nil {
		return err
	}
	body, err := readBody(w, r, maxGroupBody)
	if err != nil {
		return err
	}
	d := from(r.Context())
	plan, err := normalizer{GroupSchema(), d.quirks}.compile(body)
	if err != nil {
		return err
	}
	var single store.GroupChange
	plan.members.into(&single)
	if len(plan.steps) > 0 {
		single.Doc = store.Doc{}
	}
	g, err := h.changeGroup(r, id, single.Single(), func(tx *store.Tx, old store.Group) (store.GroupChange, error) {
		return plan.group(tx, old, d.quirks)
	})
	if err != nil {
		return err
	}
	if d.quirks.PatchResponse == answerWith {
		return h.showGroup(w, r, http.StatusOK, g, p)
	}
	return showNothing(w, etag(g.ETagVersion()))
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
	err := h.db.Write(r.Context(), from(r.Context()).actor, func(tx *store.Tx) error {
		g, err := lockGroup(tx, r, id)
		if err != nil {
			return err
		}
		return tx.DeleteGroup(g.ID)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// changeGroup makes one change. What is a single statement, and asks for no
// certain version, runs as one; everything else in a transaction.
func (h *handler) changeGroup(r *http.Request, id string, single bool, plan func(*store.Tx, store.Group) (store.GroupChange, error)) (store.Group, error) {
	run, find := h.db.Write, lockGroup
	if single && r.Header.Get("If-Match") == "" {
		run = h.db.Command
		find = func(tx *store.Tx, _ *http.Request, id string) (store.Group, error) { return findGroup(tx, id) }
	}
	var g store.Group
	err := run(r.Context(), from(r.Context()).actor, func(tx *store.Tx) error {
		old, err := find(tx, r, id)
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
func lockGroup(tx *store.Tx, r *http.Request, id string) (store.Group, error) {
	if r.Header.Get("If-Match") == "" {
		return findGroup(tx, id)
	}
	gid, err := store.ParseID[store.Group](id)
	if err != nil {
		return store.Group{}, notFound("Group", id)
	}
	g, err := tx.LockGroup(gid)
	if fault.Is(err, fault.NotFound) {
		return g, notFound("Group", id)
	}
	if err != nil {
		return g, err
	}
	return g, ifMatch(r, etag(g.ETagVersion()))
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

// known leaves out the ids that are no users of this directory, where it is set
// to ignore them. Otherwise store refuses them by name.
func known(tx *store.Tx, q Quirks, ids []store.UserID) ([]store.UserID, error) {
	if !q.IgnoreUnknownMembers {
		return ids, nil
	}
	out := make([]store.UserID, 0, len(ids))
	for _, id := range ids {
		_, err := tx.User(id)
		if err == nil {
			out = append(out, id)
		} else if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	return out, nil
}

// readGroup reads a whole group: the document as store keeps it, and the members
// apart, which are rows and may be a hundred thousand.
func readGroup(w http.ResponseWriter, r *http.Request) (store.Doc, []store.UserID, error) {
	body, err := readBody(w, r, maxGroupBody)
	if err != nil {
		return nil, nil, err
	}
	n := normalizer{GroupSchema(), from(r.Context()).quirks}
	name, raw := anyCase(body, "members")
	delete(body, name)
	members, err := memberIDs(n, raw)
	if err != nil {
		return nil, nil, err
	}
	attrs, err := n.resource(body)
	if err != nil {
		return nil, nil, err
	}
	if attrs["members"] != nil { // spelled with the schema's URN
		return nil, nil, invalidSyntax(`Send members under the name "members".`)
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
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && unchanged(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return h.streamGroup(w, r, code, g, p)
}
