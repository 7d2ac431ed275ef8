package operate

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const keysPath = "/console/-/keys"

// Key is an API key; the key itself is not kept.
type Key struct {
	Org                       store.OrgID // store.NoOrg for an operator's
	ID, Name, Role, CreatedBy string
	Operator                  bool
	CreatedAt, UsedAt, Ends   store.Time // 0: never
}

// KeyOps are what package api does with keys.
type KeyOps struct {
	All    func(ctx context.Context, actor access.Actor, afterOrg store.OrgID, after string, limit int) (list []Key, more bool, err error)
	Create func(ctx context.Context, actor access.Actor, name string, expires time.Time) (k Key, text string, err error)
	Revoke func(ctx context.Context, actor access.Actor, id string) error
}

// ServerKey is a key of the server itself, or a kind of them.
type ServerKey struct {
	What  web.Said
	State web.Said
}

type keyLine struct {
	Key
	OrgName, Slug string
	Ended         bool
}

type keysPage struct {
	Form   web.Form
	Rows   []keyLine
	Next   string
	New    string // the text of a new key, shown once
	Server []ServerKey
}

func (d *Door) showKeys(w http.ResponseWriter, r *http.Request) error {
	return d.keysPage(w, r, http.StatusOK, keysPage{})
}

func (d *Door) keysPage(w http.ResponseWriter, r *http.Request, status int, p keysPage) error {
	ctx := r.Context()
	org, id, _ := strings.Cut(r.URL.Query().Get("cursor"), ".")
	if org != "" {
		var err error
		if _, err = store.ParseID[store.Org](org); err == nil {
			_, err = store.ParseID[Key](id)
		}
		if err != nil {
			return fault.Invalid.On("cursor", "%.64q is no cursor of this list. Leave it out to begin anew.", r.URL.Query().Get("cursor"))
		}
	}
	list, more, err := d.opt.Keys.All(ctx, web.Actor(r), store.OrgID(org), id, shownRows)
	if err != nil {
		return err
	}
	ids := make([]store.OrgID, len(list))
	for i, k := range list {
		ids[i] = k.Org
	}
	orgs, err := d.opt.DB.OrgsByID(ctx, ids)
	if err != nil {
		return err
	}
	now := store.TimeOf(d.opt.DB.Now())
	for _, k := range list {
		p.Rows = append(p.Rows, keyLine{k, orgs[k.Org].Name, orgs[k.Org].Slug, k.Ends != 0 && k.Ends <= now})
	}
	if more {
		last := list[len(list)-1]
		p.Next = keysPath + "?cursor=" + string(last.Org) + "." + last.ID
	}
	if p.Server, err = d.opt.ServerKeys(ctx); err != nil {
		return err
	}
	return pages.Write(w, r, status, "keys", p)
}

func (d *Door) createKey(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var ends time.Time
	if text := f.Get("expires"); text != "" {
		if ends, err = time.Parse(time.DateOnly, text); err != nil {
			f.FailWith("expires", fault.Invalid.On("expires", "%.40q is no day. Write it like 2027-01-31.", text))
			return d.keysPage(w, r, http.StatusBadRequest, keysPage{Form: f})
		}
	}
	if f.Get("name") == "" {
		f.FailWith("name", fault.Invalid.On("name", "Say what the key is for."))
		return d.keysPage(w, r, http.StatusBadRequest, keysPage{Form: f})
	}
	_, text, err := d.opt.Keys.Create(r.Context(), web.Actor(r), f.Get("name"), ends)
	if f.Take(err) {
		return d.keysPage(w, r, web.Status(err), keysPage{Form: f})
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return d.keysPage(w, r, http.StatusOK, keysPage{New: text})
}

func (d *Door) revokeKey(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	org, err := store.ParseID[store.Org](f.Get("org"))
	if err != nil {
		return err
	}
	err = d.opt.Keys.Revoke(r.Context(), web.Actor(r).In(string(org)), f.Get("key"))
	if fault.Is(err, fault.NotFound) { // pressed twice
		f.FailWith("", err)
		return d.keysPage(w, r, http.StatusNotFound, keysPage{Form: web.Form{Errors: f.Errors}})
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "The key has ended."))
	http.Redirect(w, r, keysPath, http.StatusSeeOther)
	return nil
}

// The same for programs: operators' keys alone.

type keyJSON struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedAt string `json:"created_at"`
	CreatedBy string `json:"created_by"`
	UsedAt    string `json:"last_used_at,omitempty"`
	Ends      string `json:"expires_at,omitempty"`
	Key       string `json:"key,omitempty"` // of a new one
}

func (k Key) json() keyJSON {
	return keyJSON{ID: k.ID, Name: k.Name, CreatedAt: k.CreatedAt.OrEmpty(), CreatedBy: k.CreatedBy, UsedAt: k.UsedAt.OrEmpty(), Ends: k.Ends.OrEmpty()}
}

func (d *Door) apiKeys(w http.ResponseWriter, r *http.Request) error {
	list, _, err := d.opt.Keys.All(r.Context(), web.Actor(r), "", "", 500)
	if err != nil {
		return err
	}
	out := struct {
		Keys []keyJSON `json:"keys"`
	}{Keys: []keyJSON{}}
	for _, k := range list {
		if k.Operator { // they come first
			out.Keys = append(out.Keys, k.json())
		}
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) apiCreateKey(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name    string    `json:"name"`
		Expires time.Time `json:"expires_at"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	k, text, err := d.opt.Keys.Create(r.Context(), web.Actor(r), in.Name, in.Expires)
	if err != nil {
		return err
	}
	out := k.json()
	out.Key = text
	return web.JSON(w, http.StatusCreated, out)
}

func (d *Door) apiRevokeKey(w http.ResponseWriter, r *http.Request) error {
	if err := d.opt.Keys.Revoke(r.Context(), web.Actor(r).In(string(store.NoOrg)), r.PathValue("key")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
