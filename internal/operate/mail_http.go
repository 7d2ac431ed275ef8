package operate

import (
	"net/http"
	"net/url"

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
	var before mail.ID
	if text := q.Get("cursor"); text != "" {
		var err error
		if before, err = store.ParseID[mail.Message](text); err != nil {
			return err
		}
	}
	var err error
	if p.Load, err = d.opt.Mail.Load(ctx, actor); err != nil {
		return err
	}
	list, more, err := d.opt.Mail.Entries(ctx, actor, p.Failed, before, shownRows)
	if err != nil {
		return err
	}
	ids := make([]store.OrgID, len(list))
	for i, e := range list {
		ids[i] = e.Org
	}
	orgs, err := d.opt.DB.OrgsByID(ctx, ids)
	if err != nil {
		return err
	}
	for _, e := range list {
		p.Rows = append(p.Rows, mailLine{e, orgs[e.Org].Name, orgs[e.Org].Slug})
	}
	if more {
		v := url.Values{"cursor": {string(list[len(list)-1].ID)}}
		if p.Failed {
			v.Set("show", "failed")
		}
		p.Next = mailPath + "?" + v.Encode()
	}
	return pages.Write(w, r, status, "mail", p)
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
