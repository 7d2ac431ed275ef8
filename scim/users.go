package scim

import (
	"context"
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// createUser is POST /Users (RFC 7644 §3.3).
func (h *handler) createUser(w http.ResponseWriter, r *http.Request) error {
	p, err := projectionOf(r, from(r.Context()).users)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, maxUserBody)
	if err != nil {
		return err
	}
	u, err := h.newUser(r.Context(), body)
	if err != nil {
		return err
	}
	return showUser(w, r, http.StatusCreated, u, nil, p.written())
}

func (h *handler) newUser(ctx context.Context, body map[string]any) (u store.User, err error) {
	d := from(ctx)
	in, err := d.newUser(body)
	if err != nil {
		return u, err
	}
	keep, err := h.keeperOfBody(ctx, d, "", body, in.Doc)
	if err != nil {
		return u, err
	}
	in.WorkOut()
	err = h.runs(keep)(ctx, d.actor, func(tx *store.Tx) error {
		if u, err = tx.CreateUser(in); err != nil || keep == nil {
			return err
		}
		return keep(tx, u.ID)
	})
	return u, err
}

// runs is Command for a change of the user alone, and Write for one with a password.
func (h *handler) runs(keep keepFunc) func(context.Context, access.Actor, func(*store.Tx) error) error {
	if keep == nil {
		return h.db.Command
	}
	return h.db.Write
}

// newUser reads the body of a POST.
func (d dirctx) newUser(body map[string]any) (store.NewUser, error) {
	doc, active, err := d.readUser(body)
	return store.NewUser{Doc: doc, Source: store.FromSCIM, Status: statusOf(active, store.Active)}, err
}

// getUser is GET /Users/{id} (RFC 7644 §3.4.1).
func (h *handler) getUser(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, from(r.Context()).users)
	if err != nil {
		return err
	}
	uid, err := store.ParseID[store.User](id)
	if err != nil {
		return notFound("User", id)
	}
	var u store.User
	err = h.db.Read(r.Context(), from(r.Context()).actor, func(tx *store.Tx) error {
		u, err = tx.ShownUser(uid, p.Wants("groups"))
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return notFound("User", id)
	}
	if err != nil {
		return err
	}
	return showUser(w, r, http.StatusOK, u, u.Groups, p)
}

// putUser is PUT /Users/{id} (RFC 7644 §3.5.1).
func (h *handler) putUser(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, from(r.Context()).users)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, maxUserBody)
	if err != nil {
		return err
	}
	u, groups, err := h.replaceUser(r.Context(), wanted{id: id, only: conditionOf(r), groups: p.Wants("groups")}, body)
	if err != nil {
		return err
	}
	return showUser(w, r, http.StatusOK, u, groups, p.written())
}

// replaceUser takes the body for all that there is. active alone stays as it is
// when it is not sent: forgetting it must not let anybody in.
func (h *handler) replaceUser(ctx context.Context, t wanted, body map[string]any) (store.User, []store.GroupRef, error) {
	d := from(ctx)
	doc, active, err := d.readUser(body)
	if err != nil {
		return store.User{}, nil, err
	}
	if d.stores() {
		u, err := h.findReadable(ctx, d, t.id)
		if err != nil {
			return u, nil, err
		}
		if t.keep, err = h.keeperOfBody(ctx, d, u.ID, body, doc); err != nil {
			return u, nil, err
		}
	}
	return h.changeUser(ctx, t, func(old store.User) (store.UserChange, error) {
		to := statusOf(active, old.Status)
		doc, err := from(ctx).users.replaced(doc, old.Attributes)
		if err != nil {
			return store.UserChange{}, err
		}
		return store.UserChange{Doc: doc, Status: statusChange(old, to)}, nil
	})
}

// patchUser is PATCH /Users/{id} (RFC 7644 §3.5.2).
func (h *handler) patchUser(w http.ResponseWriter, r *http.Request, id string) error {
	p, err := projectionOf(r, from(r.Context()).users)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, maxUserBody)
	if err != nil {
		return err
	}
	empty := from(r.Context()).quirks.PatchResponse == answerEmpty && !p.only // "MUST return a 200 OK if the "attributes" parameter is specified"
	u, groups, err := h.alterUser(r.Context(), wanted{id: id, only: conditionOf(r), groups: p.Wants("groups") && !empty}, body)
	if err != nil {
		return err
	}
	if empty {
		return showNothing(w, userTag(u))
	}
	return showUser(w, r, http.StatusOK, u, groups, p.written())
}

func (h *handler) alterUser(ctx context.Context, t wanted, body map[string]any) (store.User, []store.GroupRef, error) {
	plan, err := from(ctx).normalizer(resourceUser).compile(body)
	if err != nil {
		return store.User{}, nil, err
	}
	if u, groups, done, err := h.quickActive(ctx, t, plan); done || err != nil {
		return u, groups, err
	}
	if t.keep, err = h.keeperOfPlan(ctx, from(ctx), t.id, plan); err != nil {
		return store.User{}, nil, err
	}
	return h.changeUser(ctx, t, func(old store.User) (store.UserChange, error) {
		was, err := old.Attributes()
		if err != nil {
			return store.UserChange{}, err
		}
		doc := plan.copied(was)
		if err := plan.apply(doc); err != nil {
			return store.UserChange{}, err
		}
		doc, active := splitActive(doc)
		return store.UserChange{Doc: doc, Was: was, Status: statusChange(old, statusOf(active, old.Status))}, nil
	})
}

// quickActive makes the change that directories send most, active alone, in one
// statement that does not read the user first. Where it did nothing, changeUser
// finds out why.
func (h *handler) quickActive(ctx context.Context, t wanted, p *plan) (u store.User, groups []store.GroupRef, done bool, err error) {
	active, alone := p.onlyActive()
	id, bad := store.ParseID[store.User](t.id)
	if !alone || t.only != (condition{}) || bad != nil {
		return u, nil, false, nil
	}
	err = h.db.Command(ctx, from(ctx).actor, func(tx *store.Tx) error {
		u, done, err = tx.SetActive(id, active, t.groups)
		return err
	})
	return u, u.Groups, done, err
}

// deleteUser is DELETE /Users/{id} (RFC 7644 §3.6): gone at once, the name free.
func (h *handler) deleteUser(w http.ResponseWriter, r *http.Request, id string) error {
	if err := h.endUser(r.Context(), wanted{id: id, only: conditionOf(r)}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handler) endUser(ctx context.Context, t wanted) error {
	d := from(ctx)
	return h.db.Write(ctx, d.actor, func(tx *store.Tx) error {
		u, err := findUser(tx, t.id)
		if err != nil {
			return err
		}
		if err := t.only.check(userTag(u)); err != nil {
			return err
		}
		if d.quirks.DeleteMeans == deleteDeactivates {
			ended := store.Deactivated
			_, err = tx.UpdateUser(u, store.UserChange{Status: &ended, Why: "The directory sent DELETE, which this directory is set to understand as deactivate."})
			return err
		}
		gone, err := tx.DeleteUser(u.ID, "")
		if err != nil {
			return err
		}
		u.Version = gone.Version - 1 // it reads the user again
		return t.only.check(userTag(u))
	})
}

// changeUser reads the user, checks If-Match and makes one change; when somebody
// else was faster it starts again with what they left. The groups come with the read
// when the answer shows them.
func (h *handler) changeUser(ctx context.Context, t wanted, plan func(store.User) (store.UserChange, error)) (store.User, []store.GroupRef, error) {
	var u store.User
	err := h.runs(t.keep)(ctx, from(ctx).actor, func(tx *store.Tx) error {
		old, err := findShown(tx, t)
		if err != nil {
			return err
		}
		if err := t.only.check(userTag(old)); err != nil {
			return err
		}
		change, err := plan(old)
		if err != nil {
			return err
		}
		if u, err = tx.UpdateUser(old, change); err != nil {
			return err
		}
		if t.keep == nil {
			return nil
		}
		if err := tx.KeepUser(u); err != nil {
			return err
		}
		return t.keep(tx, u.ID)
	})
	return u, u.Groups, err
}

func findUser(tx *store.Tx, id string) (store.User, error) {
	uid, err := store.ParseID[store.User](id)
	if err != nil {
		return store.User{}, notFound("User", id)
	}
	u, err := tx.User(uid)
	if fault.Is(err, fault.NotFound) {
		return u, notFound("User", id)
	}
	return u, err
}

// findShown is findUser, with the groups when the answer shows them.
func findShown(tx *store.Tx, t wanted) (store.User, error) {
	id, err := store.ParseID[store.User](t.id)
	if err != nil || !t.groups {
		return findUser(tx, t.id)
	}
	u, err := tx.UserWithGroups(id)
	if fault.Is(err, fault.NotFound) {
		return u, notFound("User", t.id)
	}
	return u, err
}

// readUser reads a whole user: the document as store keeps it, and active apart.
func (d dirctx) readUser(body map[string]any) (store.Doc, *bool, error) {
	attrs, err := d.normalizer(resourceUser).resource(body)
	if err != nil {
		return nil, nil, err
	}
	doc, active := splitActive(store.Doc(attrs))
	return doc, active, nil
}

// splitActive takes active out of a document: store keeps it as the status. It is
// nil when the client said nothing about it.
func splitActive(doc store.Doc) (store.Doc, *bool) {
	active, sent := doc["active"].(bool)
	delete(doc, "active")
	if !sent {
		return doc, nil
	}
	return doc, &active
}

// statusOf translates active; without it nothing changes.
func statusOf(active *bool, old store.Status) store.Status {
	switch {
	case active == nil:
		return old
	case *active:
		return store.Active
	}
	return store.Deactivated
}

func statusChange(u store.User, to store.Status) *store.Status {
	if to == u.Status {
		return nil
	}
	return &to
}

func userTag(u store.User) string { return etag(strconv.FormatInt(u.Version, 10)) }

// showUser answers with one user.
func showUser(w http.ResponseWriter, r *http.Request, code int, u store.User, groups []store.GroupRef, p Projection) error {
	d := from(r.Context())
	at := d.base + "/Users/" + string(u.ID)
	head := w.Header()
	head.Set("ETag", userTag(u))
	head.Set("Content-Location", at)
	if code == http.StatusCreated {
		head.Set("Location", at)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if done, err := unread(w, r, userTag(u)); done {
			return err
		}
	}
	s := newStream(w, code)
	s.buf = appendUser(s.buf, d.users, u, groups, d.base, p)
	return s.end(nil)
}

func showNothing(w http.ResponseWriter, tag string) error {
	w.Header().Set("ETag", tag)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// send writes a finished body. A client that left is nobody's error.
func send(w http.ResponseWriter, code int, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	w.Write(body)
	return nil
}

// projectionOf reads attributes and excludedAttributes (RFC 7644 §3.9).
func projectionOf(r *http.Request, c *Compiled) (Projection, error) {
	q, err := queryOf(r)
	if err != nil {
		return Projection{}, err
	}
	return ParseProjection(q["attributes"], q["excludedattributes"], c)
}
