package sso

import (
	"context"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountRekey(m *web.Mux) {
	const page, api = "/console/{org}/connections/{connection}/rekey", "/api/v1/connections/{connection}/rekey"
	m.Console(access.Configure, "GET "+page, d.showRekey)
	m.ConsoleFresh(access.Configure, "POST "+page, d.startRekey)
	m.ConsoleFresh(access.Configure, "POST "+page+"/finish", d.endRekeyPage(d.FinishRekey, web.Say("The new key alone counts now.")))
	m.Console(access.Configure, "POST "+page+"/undo", d.endRekeyPage(d.UndoRekey, web.Say("The old key counts again.")))
	m.API(access.Configure, "GET "+api, d.apiRekey(d.RunningRekey))                // Get the change of what people are known by
	m.APIFresh(access.Configure, "POST "+api, d.apiStartRekey)                     // Begin to change what people are known by, or preview that
	m.APIFresh(access.Configure, "POST "+api+"/finish", d.apiRekey(d.FinishRekey)) // Finish the change. The new subject alone counts
	m.API(access.Configure, "POST "+api+"/undo", d.apiRekey(d.UndoRekey))          // Undo the change. The old subject counts again
}

const shownLines = 200

type rekeyPage struct {
	Name, Path, Now string
	Form            web.Form
	Rekey           *Rekey // running, or looked at
	Dry, MayUndo    bool
	Counts          []rekeyCount
	Lines           []RekeyLine
	More            int
}

type rekeyCount struct {
	N     int
	Words string
}

func (d *Door) showRekey(w http.ResponseWriter, r *http.Request) error {
	return d.rekeyForm(w, r, http.StatusOK, web.Form{}, nil)
}

func (d *Door) rekeyForm(w http.ResponseWriter, r *http.Request, status int, f web.Form, dry *Rekey) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	c, err := d.Connection(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	p := rekeyPage{Name: c.Name, Path: lineOf(web.OrgOf(r).Slug, c).Path, Now: orElse(c.Config.Subject, web.T(r, "the vendor's preset")), Form: f, Rekey: dry, Dry: dry != nil}
	if dry == nil {
		k, err := d.RunningRekey(r.Context(), web.Actor(r), id)
		switch {
		case err == nil:
			p.Rekey = &k
		case !fault.Is(err, fault.NotFound):
			return err
		}
	}
	p.MayUndo = p.Rekey == nil && c.Config.Subject != ""
	if p.Rekey != nil {
		n := p.Rekey.Counts()
		for _, key := range []string{rekeyDone, rekeyMatched, rekeyDirectory, rekeyAmbiguous, rekeyUnknown} {
			if n[key] > 0 {
				p.Counts = append(p.Counts, rekeyCount{n[key], rekeyWords[key]})
			}
		}
		p.Lines = p.Rekey.Lines[:min(len(p.Rekey.Lines), shownLines)]
		p.More = len(p.Rekey.Lines) - len(p.Lines)
	}
	return pages.Write(w, r, status, "rekey", p)
}

func (d *Door) startRekey(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	if f.Get("start") == "" {
		k, err := d.PlanRekey(r.Context(), web.Actor(r), id, f.Get("subject"))
		if f.Take(err) {
			return d.rekeyForm(w, r, web.Status(err), f, nil)
		}
		if err != nil {
			return err
		}
		return d.rekeyForm(w, r, http.StatusOK, f, &k)
	}
	_, err = d.StartRekey(r.Context(), web.Actor(r), id, f.Get("subject"))
	if f.Take(err) {
		return d.rekeyForm(w, r, web.Status(err), f, nil)
	}
	if err != nil {
		return err
	}
	return d.toRekey(w, r, web.Say("Both keys are accepted now."))
}

func (d *Door) toRekey(w http.ResponseWriter, r *http.Request, said web.Said) error {
	web.Flash(w, web.T(r, "%s", said))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/connections/"+r.PathValue("connection")+"/rekey", http.StatusSeeOther)
	return nil
}

func (d *Door) endRekeyPage(end func(context.Context, access.Actor, ConnectionID) (Rekey, error), said web.Said) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := store.ParseID[Connection](r.PathValue("connection"))
		if err != nil {
			return err
		}
		if _, err := end(r.Context(), web.Actor(r), id); err != nil {
			return err
		}
		return d.toRekey(w, r, said)
	}
}

// Info is a re-key in JSON.
func (k Rekey) Info() any {
	started := ""
	if k.StartedAt != 0 {
		started = k.StartedAt.RFC3339()
	}
	return struct {
		Connection ConnectionID   `json:"connection"`
		Subject    string         `json:"subject"`
		Was        string         `json:"was"`
		State      string         `json:"state"` // empty: a dry run
		StartedBy  string         `json:"started_by,omitempty"`
		StartedAt  string         `json:"started_at,omitempty"`
		Counts     map[string]int `json:"counts"`
		Identities []RekeyLine    `json:"identities"`
	}{k.Connection.ID, k.Subject, orElse(k.Was, "preset"), k.State, k.StartedBy, started, k.Counts(), append([]RekeyLine{}, k.Lines...)}
}

func (d *Door) apiRekey(do func(context.Context, access.Actor, ConnectionID) (Rekey, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := store.ParseID[Connection](r.PathValue("connection"))
		if err != nil {
			return err
		}
		k, err := do(r.Context(), web.Actor(r), id)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, k.Info())
	}
}

func (d *Door) apiStartRekey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Subject string `json:"subject"`
		DryRun  bool   `json:"dry_run"`
	}
	if err := web.ReadJSON(r, &in, "subject"); err != nil {
		return err
	}
	do := d.StartRekey
	if in.DryRun {
		do = d.PlanRekey
	}
	return d.apiRekey(func(ctx context.Context, actor access.Actor, id ConnectionID) (Rekey, error) {
		return do(ctx, actor, id, in.Subject)
	})(w, r)
}
