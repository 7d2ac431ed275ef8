package sso

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountMoves(m *web.Mux) {
	const person, page, api = "/console/{org}/users/{user}/identities", "/console/{org}/connections/{connection}/move", "/api/v1/users/{user}/identities"
	m.Console(access.Configure, "GET "+person, d.showIdentities)
	m.Console(access.Configure, "POST "+person, d.changeIdentity)
	m.Console(access.Configure, "GET "+page, d.showMove)
	m.Console(access.Configure, "POST "+page, d.startMove)
	m.Console(access.Configure, "POST "+page+"/undo", d.undoMove)
	m.API(access.Configure, "GET "+api, d.apiIdentities)                              // List by what a person is known at identity providers
	m.API(access.Configure, "POST "+api, d.apiChangeIdentity)                         // Link, unlink or restore an identity of a person
	m.API(access.Configure, "POST /api/v1/connections/{connection}/move", d.apiMove)  // Move a connection's people to another one, or preview that
	m.API(access.Configure, "GET /api/v1/connections/{connection}/moves", d.apiMoves) // List the moves from a connection
	m.API(access.Configure, "POST /api/v1/moves/{move}/undo", d.apiUndoMove)          // Undo a move
}

type identitiesPage struct {
	Name, Path, Up string
	Form           web.Form
	List           []Identity
	Connections    []web.Option
	Beyond         string // why whoever looks can change nothing here; empty: it can
}

func (d *Door) showIdentities(w http.ResponseWriter, r *http.Request) error {
	return d.identitiesForm(w, r, http.StatusOK, web.Form{})
}

func (d *Door) identitiesForm(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	up := "/console/" + web.OrgOf(r).Slug + "/users/" + string(id)
	p := identitiesPage{Path: up + "/identities", Up: up, Form: f}
	err = d.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		u, err := tx.AnyUser(id)
		if err != nil {
			return err
		}
		p.Name = u.Profile().FullName()
		switch err := tx.MayTouch(u); {
		case fault.Is(err, fault.Denied):
			p.Beyond = web.SentenceIn(r, err)
		case err != nil:
			return err
		}
		p.List, err = Identities(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	if p.Connections, err = d.connectionOptions(r, ""); err != nil {
		return err
	}
	return pages.Write(w, r, status, "identities", p)
}

func (d *Door) connectionOptions(r *http.Request, but ConnectionID) (list []web.Option, err error) {
	all, err := d.Connections(r.Context(), web.Actor(r))
	for _, c := range all {
		if c.ID != but {
			list = append(list, web.Option{Value: string(c.ID), Label: c.Name})
		}
	}
	return list, err
}

// identityAction does what a form or a JSON body says: link, unlink or restore.
func (d *Door) identityAction(r *http.Request, user store.UserID, action, connection, kind, subject string) error {
	id, err := store.ParseID[Connection](connection)
	if err != nil {
		return err
	}
	k := IdentityKey{id, kind, subject}
	switch action {
	case "unlink":
		return d.UnlinkIdentity(r.Context(), web.Actor(r), user, k)
	case "restore":
		return d.RestoreIdentity(r.Context(), web.Actor(r), user, k)
	}
	return d.LinkIdentity(r.Context(), web.Actor(r), user, k)
}

func (d *Door) changeIdentity(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	action := f.Get("action")
	err = d.identityAction(r, id, action, f.Get("connection"), f.Get("kind"), f.Get("subject"))
	if f.Take(err) {
		return d.identitiesForm(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	said := web.T(r, "Linked.")
	switch action {
	case "unlink":
		said = web.T(r, "Unlinked. Sessions that came over it have ended.")
	case "restore":
		said = web.T(r, "It counts again.")
	}
	web.Flash(w, said)
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/users/"+string(id)+"/identities", http.StatusSeeOther)
	return nil
}

func (d *Door) apiIdentities(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	_, list, err := d.IdentitiesOf(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	out := make([]IdentityInfo, len(list))
	for i, one := range list {
		out[i] = one.Info()
	}
	return web.JSON(w, http.StatusOK, map[string]any{"identities": out})
}

func (d *Door) apiChangeIdentity(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	var in struct {
		Action     string `json:"action"` // link (also when empty), unlink, restore
		Connection string `json:"connection"`
		Kind       string `json:"subject_kind"`
		Subject    string `json:"subject"`
	}
	if err := web.ReadJSON(r, &in, "connection", "subject"); err != nil {
		return err
	}
	if err := d.identityAction(r, id, in.Action, in.Connection, in.Kind, in.Subject); err != nil {
		return err
	}
	return d.apiIdentities(w, r)
}

type movePage struct {
	Name, Path string
	Form       web.Form
	Targets    []web.Option
	Dry        *Move
	Open       []Move
	Lines      []MoveLine
	More       int
}

func (d *Door) showMove(w http.ResponseWriter, r *http.Request) error {
	return d.moveForm(w, r, http.StatusOK, web.Form{}, nil)
}

func (d *Door) moveForm(w http.ResponseWriter, r *http.Request, status int, f web.Form, dry *Move) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	c, err := d.Connection(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	p := movePage{Name: c.Name, Path: lineOf(web.OrgOf(r).Slug, c).Path, Form: f, Dry: dry}
	if p.Targets, err = d.connectionOptions(r, id); err != nil {
		return err
	}
	if p.Open, err = d.Moves(r.Context(), web.Actor(r), id); err != nil {
		return err
	}
	if dry != nil {
		p.Lines = dry.Lines[:min(len(dry.Lines), shownLines)]
		p.More = len(dry.Lines) - len(p.Lines)
	}
	return pages.Write(w, r, status, "move", p)
}

func (d *Door) startMove(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	from, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	to, err := store.ParseID[Connection](f.Get("to"))
	if err != nil {
		return err
	}
	do := d.PlanMove
	if f.Get("start") != "" {
		do = d.StartMove
	}
	m, err := do(r.Context(), web.Actor(r), from, to)
	if f.Take(err) {
		return d.moveForm(w, r, web.Status(err), f, nil)
	}
	if err != nil {
		return err
	}
	if m.State == "" {
		return d.moveForm(w, r, http.StatusOK, f, &m)
	}
	web.Flash(w, web.T(r, "They are expected at %s now.", m.To.Name))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/connections/"+string(from)+"/move", http.StatusSeeOther)
	return nil
}

func (d *Door) undoMove(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := store.ParseID[Move](f.Get("move"))
	if err != nil {
		return err
	}
	if _, err := d.UndoMove(r.Context(), web.Actor(r), id); err != nil {
		return err
	}
	web.Flash(w, "Everybody is back.")
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/connections/"+r.PathValue("connection")+"/move", http.StatusSeeOther)
	return nil
}

// Info is a move in JSON.
func (m Move) Info() any {
	started := ""
	if m.StartedAt != 0 {
		started = m.StartedAt.RFC3339()
	}
	return struct {
		ID        store.ID[Move] `json:"id,omitempty"`
		From      ConnectionID   `json:"from"`
		To        ConnectionID   `json:"to"`
		State     string         `json:"state"` // empty: a dry run
		StartedBy string         `json:"started_by,omitempty"`
		StartedAt string         `json:"started_at,omitempty"`
		Counts    map[string]int `json:"counts"`
		People    []MoveLine     `json:"people"`
	}{m.ID, m.From.ID, m.To.ID, m.State, m.StartedBy, started, m.Counts(), append([]MoveLine{}, m.Lines...)}
}

func (d *Door) apiMove(w http.ResponseWriter, r *http.Request) error {
	from, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	var in struct {
		To     string `json:"to"`
		DryRun bool   `json:"dry_run"`
	}
	if err := web.ReadJSON(r, &in, "to"); err != nil {
		return err
	}
	to, err := store.ParseID[Connection](in.To)
	if err != nil {
		return err
	}
	do := d.StartMove
	if in.DryRun {
		do = d.PlanMove
	}
	m, err := do(r.Context(), web.Actor(r), from, to)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, m.Info())
}

func (d *Door) apiMoves(w http.ResponseWriter, r *http.Request) error {
	from, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	list, err := d.Moves(r.Context(), web.Actor(r), from)
	if err != nil {
		return err
	}
	out := make([]any, len(list))
	for i, m := range list {
		out[i] = m.Info()
	}
	return web.JSON(w, http.StatusOK, map[string]any{"moves": out})
}

func (d *Door) apiUndoMove(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Move](r.PathValue("move"))
	if err != nil {
		return err
	}
	m, err := d.UndoMove(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, m.Info())
}
