package sso

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// upkeepPage shows what changes in the course of time: our keys, the metadata that
// are read again, and a change of them that waits.
type upkeepPage struct {
	deskPage
	Keys        []SPKey
	Waiting     bool // new keys are published and have not taken over
	State       MetadataState
	Changes     []changeLine
	MetadataURL string // ours
	Form        web.Form
}

type changeLine struct {
	Name          web.Said
	Before, After string
}

func (d *Door) showUpkeep(w http.ResponseWriter, r *http.Request, k desk) error {
	return d.upkeepPage(w, r, k, http.StatusOK, web.Form{})
}

func (d *Door) upkeepPage(w http.ResponseWriter, r *http.Request, k desk, status int, f web.Form) error {
	p, err := d.page(r, k, "upkeep")
	if err != nil {
		return err
	}
	page := upkeepPage{deskPage: p, MetadataURL: d.URLs(k.c).Metadata, Form: f}
	if page.Keys, err = d.Keys(r.Context(), k.actor, k.c.ID); err != nil {
		return err
	}
	for _, key := range page.Keys {
		page.Waiting = page.Waiting || key.State == keyNext
	}
	if page.State, err = d.MetadataState(r.Context(), k.actor, k.c.ID); err != nil {
		return err
	}
	if p := page.State.Pending; p != nil {
		page.Changes = changesOf(p.Before, p.After)
	}
	return pages.Write(w, r, status, "upkeep", page)
}

// changesOf are the differences, certificates one by one.
func changesOf(before, after ProviderValues) (list []changeLine) {
	add := func(name web.Said, b, a string) {
		if b != a {
			list = append(list, changeLine{name, b, a})
		}
	}
	add(web.Say("Entity ID"), before.EntityID, after.EntityID)
	add(web.Say("Single sign-on URL (redirect)"), before.SSORedirect, after.SSORedirect)
	add(web.Say("Single sign-on URL (POST)"), before.SSOPost, after.SSOPost)
	add(web.Say("Single logout URL (redirect)"), before.SLORedirect, after.SLORedirect)
	add(web.Say("Single logout URL (POST)"), before.SLOPost, after.SLOPost)
	for _, c := range before.Certificates {
		if !oneOf(c, after.Certificates...) {
			add(web.Say("Certificate, SHA-256"), c, "")
		}
	}
	for _, c := range after.Certificates {
		if !oneOf(c, before.Certificates...) {
			add(web.Say("Certificate, SHA-256"), "", c)
		}
	}
	return list
}

// upkeepDo is a form of the page: what it does, and what it says then.
func (d *Door) upkeepDo(said web.Said, do func(ctx context.Context, k desk, f web.Form) error) deskHandler {
	return func(w http.ResponseWriter, r *http.Request, k desk) error {
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		err = do(r.Context(), k, f)
		if f.Take(err) {
			return d.upkeepPage(w, r, k, web.Status(err), f)
		}
		if err != nil {
			return err
		}
		web.Flash(w, web.T(r, "%s", said))
		http.Redirect(w, r, k.base+"/upkeep", http.StatusSeeOther)
		return nil
	}
}

func (d *Door) mountUpkeep(m *web.Mux) {
	const at = "/console/{org}/connections/{connection}/upkeep"
	m.Console(access.Configure, "GET "+at, d.atConsole(d.showUpkeep))
	m.Console(access.Configure, "POST "+at+"/keys", d.atConsole(d.upkeepDo(web.Say("New keys are published."), func(ctx context.Context, k desk, f web.Form) error {
		_, err := d.RotateKeys(ctx, k.actor, k.c.ID, f.Get("now") == "yes")
		return err
	})))
	m.Console(access.Configure, "POST "+at+"/refresh", d.atConsole(d.upkeepDo(web.Say("The metadata was read."), func(ctx context.Context, k desk, _ web.Form) error {
		s, err := d.Refresh(ctx, k.actor, k.c.ID)
		if err == nil && s.Problem != "" {
			return fault.Conflict.Say("%s What was read before counts on.", s.ProblemSaid())
		}
		return err
	})))
	m.Console(access.Configure, "POST "+at+"/approve", d.atConsole(d.upkeepDo(web.Say("The change counts."), func(ctx context.Context, k desk, f web.Form) error {
		_, err := d.ApproveMetadata(ctx, k.actor, k.c.ID, f.Get("version"))
		return err
	})))
	m.Console(access.Configure, "POST "+at+"/reject", d.atConsole(d.upkeepDo(web.Say("The change is turned down."), func(ctx context.Context, k desk, f web.Form) error {
		_, err := d.RejectMetadata(ctx, k.actor, k.c.ID, f.Get("version"))
		return err
	})))
}

// apiMetadata does something with the metadata of the connection in the URL.
func (d *Door) apiMetadata(do func(ctx context.Context, actor access.Actor, id ConnectionID, version string) (MetadataState, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in struct {
			Version string `json:"version"`
		}
		if r.Method != http.MethodGet {
			if err := web.ReadJSON(r, &in); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		id, err := store.ParseID[Connection](r.PathValue("connection"))
		if err != nil {
			return err
		}
		s, err := do(r.Context(), web.Actor(r), id, in.Version)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, s)
	}
}
