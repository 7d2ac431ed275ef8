package operate

import (
	"context"
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const mailPath = "/console/-/mail"

const shownRows = 50

// mailLine is a message with its organization.
type mailLine struct {
	mail.Entry
	OrgName, Slug string
}

type mailPage struct {
	Form     web.Form
	Load     mail.Load
	Settings mail.Settings
	Failed   bool
	Chips    []chip
	Rows     []mailLine
	Next     string
	MayTest  bool
}

func (d *Door) showMail(w http.ResponseWriter, r *http.Request) error {
	return d.mailPage(w, r, http.StatusOK, web.Form{})
}

func (d *Door) mailPage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	ctx, actor, q := r.Context(), web.Actor(r), r.URL.Query()
	p := mailPage{Form: f, Settings: d.opt.Mail.Settings(), Failed: q.Get("show") == "failed", MayTest: actor.ID != ""}
	p.Chips = []chip{{"Waiting", mailPath, !p.Failed}, {"Given up", mailPath + "?show=failed", p.Failed}}
	var err error
	if p.Load, err = d.opt.Mail.Load(ctx, actor); err != nil {
		return err
	}
	var more bool
	if p.Rows, more, err = d.mailLines(ctx, actor, p.Failed, q.Get("cursor"), shownRows); err != nil {
		return err
	}
	if more {
		v := url.Values{"cursor": {string(p.Rows[len(p.Rows)-1].ID)}}
		if p.Failed {
			v.Set("show", "failed")
		}
		p.Next = mailPath + "?" + v.Encode()
	}
	return pages.Write(w, r, status, "mail", p)
}

// mailLines is a page of the queue with its organizations.
func (d *Door) mailLines(ctx context.Context, actor access.Actor, failed bool, cursor string, limit int) (rows []mailLine, more bool, err error) {
	var before mail.ID
	if cursor != "" {
		if before, err = store.ParseID[mail.Message](cursor); err != nil {
			return nil, false, err
		}
	}
	list, more, err := d.opt.Mail.Entries(ctx, actor, failed, before, limit)
	if err != nil {
		return nil, false, err
	}
	ids := make([]store.OrgID, len(list))
	for i, e := range list {
		ids[i] = e.Org
	}
	orgs, err := d.opt.DB.OrgsByID(ctx, ids)
	for _, e := range list {
		rows = append(rows, mailLine{e, orgs[e.Org].Name, orgs[e.Org].Slug})
	}
	return rows, more, err
}

// mailAct does something with one message, or with all that were given up.
func (d *Door) mailAct(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	do := d.opt.Mail.Again
	if f.Get("do") == "drop" {
		do = d.opt.Mail.Drop
	}
	n := 1
	if f.Get("all") != "" {
		n, err = d.opt.Mail.EachFailed(r.Context(), web.Actor(r), do)
	} else {
		var id mail.ID
		if id, err = store.ParseID[mail.Message](f.Get("id")); err == nil {
			err = do(r.Context(), web.Actor(r), id)
		}
	}
	if fault.Is(err, fault.NotFound) { // sent meanwhile, or pressed twice
		f.FailWith("", err)
		return d.mailPage(w, r, http.StatusNotFound, f)
	}
	if f.Take(err) {
		return d.mailPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	said := web.N(r, n, "One message is sent again.", "%d messages are sent again.")
	if f.Get("do") == "drop" {
		said = web.N(r, n, "One message is dropped. Nobody gets it.", "%d messages are dropped. Nobody gets them.")
	}
	web.Flash(w, said)
	http.Redirect(w, r, mailPath+"?show="+url.QueryEscape(f.Get("show")), http.StatusSeeOther)
	return nil
}

// testMail sends one to the operator's own address.
func (d *Door) testMail(w http.ResponseWriter, r *http.Request) error {
	actor := web.Actor(r)
	address := ""
	err := d.opt.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		u, err := tx.User(store.UserID(actor.ID))
		if err != nil {
			return err
		}
		if address = u.Email; address == "" {
			return fault.Invalid.Say("Your account has no address. Enter one under Your account first.")
		}
		return d.opt.Mail.Test(tx, web.ReaderIn(r), address)
	})
	f := web.Form{}
	if f.Take(err) {
		return d.mailPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "A test is on its way to %s. If it does not arrive, look below.", address))
	http.Redirect(w, r, mailPath, http.StatusSeeOther)
	return nil
}
