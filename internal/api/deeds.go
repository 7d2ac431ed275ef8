package api

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountDeeds(m *web.Mux) {
	m.API(access.EditUsers, "POST /api/v1/app-activity", d.tellDeeds)           // Tell what people did in an application. An entry with a ref that is known is not added again
	m.API(access.ViewUsers, "GET /api/v1/users/{user}/app-activity", d.deedsOf) // List what a person did in applications, newest first
}

type deedJSON struct {
	Ref   string `json:"ref"`
	User  string `json:"user"`
	At    string `json:"at"`
	Kind  string `json:"kind"`
	Title string `json:"title"`
	URL   string `json:"url"`
	Count int64  `json:"count"`
	App   string `json:"app,omitempty"`
}

func (d *Door) tellDeeds(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Entries []deedJSON `json:"entries"`
	}
	web.AllowBody(r, records.MaxBody)
	if err := web.ReadJSON(r, &in, "entries"); err != nil {
		return err
	}
	list := make([]records.Told, len(in.Entries))
	for i, e := range in.Entries {
		list[i] = records.Told{Ref: e.Ref, Kind: e.Kind, Title: e.Title, URL: e.URL, User: e.User, N: e.Count}
		if e.App != "" {
			return fault.Invalid.On("app", "Entry %d: app is the name of your key and cannot be sent.", i+1)
		}
		if e.At == "" {
			continue
		}
		var err error
		if list[i].At, err = time.Parse(time.RFC3339, e.At); err != nil || list[i].At.IsZero() {
			return fault.Invalid.On("at", "Entry %d: %.40q is no time. Write it like 2026-11-30T18:00:00Z.", i+1, e.At)
		}
	}
	var out struct {
		Added int `json:"added"`
		Known int `json:"known"`
	}
	err := d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		out.Added, err = records.Tell(tx, list)
		out.Known = len(list) - out.Added
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) deedsOf(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	limit, err := limitIn(r)
	if err != nil {
		return err
	}
	limit = cmp.Or(limit, 50)
	before, err := deedCursor(r.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	out := struct {
		Entries []deedJSON `json:"entries"`
		Next    string     `json:"next"`
	}{Entries: []deedJSON{}}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if _, err := tx.User(id); err != nil {
			return err
		}
		list, err := records.DeedsOf(tx, id, before, limit)
		for _, one := range list {
			out.Entries = append(out.Entries, deedJSON{one.Ref, string(one.User), one.At.RFC3339(), one.Kind, one.Title, one.URL, one.N, one.App})
			out.Next = one.At.Time().Format(time.RFC3339Nano) + "." + string(one.ID)
		}
		if len(list) < limit {
			out.Next = ""
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

// deedCursor reads what the page before gave: a time and an id.
func deedCursor(text string) (c records.DeedCursor, err error) {
	if text == "" {
		return c, nil
	}
	i := strings.LastIndexByte(text, '.')
	if i > 0 {
		at, bad := time.Parse(time.RFC3339Nano, text[:i])
		id, odd := store.ParseID[records.Deed](text[i+1:])
		if bad == nil && odd == nil {
			return records.DeedCursor{At: store.TimeOf(at), ID: id}, nil
		}
	}
	return c, fault.Invalid.On("cursor", "%.64q is no cursor of this list. Leave it out to begin with the newest.", text)
}
