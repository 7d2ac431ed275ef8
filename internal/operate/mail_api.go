package operate

import (
	"context"
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// mailJSON is a message that waits or was given up; what it says is not part of it.
type mailJSON struct {
	ID        mail.ID `json:"id"`
	Org       string  `json:"org"` // short name; empty: of the server itself
	To        string  `json:"to"`
	Subject   string  `json:"subject"`
	State     string  `json:"state"` // queued, failed
	Tries     int     `json:"tries"`
	CreatedAt string  `json:"created_at"`
	NextTry   string  `json:"next_try_at,omitempty"`
	Error     string  `json:"error"`
	Again     bool    `json:"can_be_sent_again"`
}

func (l mailLine) json() mailJSON {
	out := mailJSON{ID: l.ID, Org: l.Slug, To: l.To, Subject: l.Subject, State: l.State, Tries: l.Tries, CreatedAt: l.CreatedAt.RFC3339(), Error: l.Error, Again: l.Text}
	if l.State == "queued" {
		out.NextTry = l.NextAt.RFC3339()
	}
	return out
}

func (d *Door) apiMail(w http.ResponseWriter, r *http.Request) error {
	ctx, actor, q := r.Context(), web.Actor(r), r.URL.Query()
	limit := shownRows
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 200 {
			return fault.Invalid.On("limit", "limit is %.20q. It can be 1 to 200.", text)
		}
		limit = n
	}
	failed := q.Get("state") == "failed"
	if !failed && q.Get("state") != "" && q.Get("state") != "queued" {
		return fault.Invalid.On("state", "There is no state %.40q. It is queued or failed.", q.Get("state"))
	}
	load, err := d.opt.Mail.Load(ctx, actor)
	if err != nil {
		return err
	}
	list, more, err := d.mailLines(ctx, actor, failed, q.Get("cursor"), limit)
	if err != nil {
		return err
	}
	out := struct {
		Waiting  int        `json:"waiting"`
		Retrying int        `json:"retrying"`
		Failed   int        `json:"failed"`
		Messages []mailJSON `json:"messages"`
		Next     string     `json:"next,omitempty"`
	}{load.Waiting, load.Retrying, load.Failed, []mailJSON{}, ""}
	for _, l := range list {
		out.Messages = append(out.Messages, l.json())
	}
	if more {
		out.Next = string(list[len(list)-1].ID)
	}
	return web.JSON(w, http.StatusOK, out)
}

// apiMailAct does something with the message of the address, or with all that were given up.
func (d *Door) apiMailAct(do func(context.Context, access.Actor, mail.ID) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		n := 1
		var err error
		if text := r.PathValue("message"); text == "failed" {
			n, err = d.opt.Mail.EachFailed(r.Context(), web.Actor(r), do)
		} else {
			var id mail.ID
			if id, err = store.ParseID[mail.Message](text); err == nil {
				err = do(r.Context(), web.Actor(r), id)
			}
		}
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, map[string]int{"messages": n})
	}
}

// runJSON is an examination by the doctor, as muster doctor --json has it.
type runJSON struct {
	At     string      `json:"at"`
	By     string      `json:"by"`
	Took   int64       `json:"took_ms"`
	Status string      `json:"status"` // the worst of its checks
	Checks []checkJSON `json:"checks"`
}

type checkJSON struct {
	Name   string     `json:"name"`
	Status string     `json:"status"` // ok, warn, fail
	Detail string     `json:"detail"` // everything in a line
	Todo   string     `json:"todo"`
	Items  []itemJSON `json:"items"`
}

type itemJSON struct {
	Org  string `json:"org"`
	Text string `json:"text"`
}

func (d *Door) apiDoctor(w http.ResponseWriter, r *http.Request) error {
	run, err := d.LastRun(r.Context())
	if err != nil {
		return err
	}
	if run == nil {
		return fault.NotFound.Say("The server was not examined yet. Send a POST to this address.")
	}
	out := runJSON{At: run.At.RFC3339(), By: run.By, Took: run.Took / 1000, Status: "ok", Checks: []checkJSON{}}
	for _, c := range run.Checks {
		said := checkJSON{Name: c.Name.String(), Status: c.Status, Detail: c.Words(), Todo: c.Todo.String(), Items: []itemJSON{}}
		for _, i := range c.Items {
			said.Items = append(said.Items, itemJSON{i.Org, i.Text.String()})
		}
		if c.Status == "fail" || c.Status == "warn" && out.Status == "ok" {
			out.Status = c.Status
		}
		out.Checks = append(out.Checks, said)
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) apiExamine(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Data bool `json:"data"` // also whether what is kept twice agrees
	}
	if r.ContentLength != 0 {
		if err := web.ReadJSON(r, &in); err != nil {
			return err
		}
	}
	if err := d.Examine(r.Context(), web.Actor(r), in.Data); err != nil {
		return err
	}
	return d.apiDoctor(w, r)
}
