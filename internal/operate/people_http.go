package operate

import (
	"context"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const operatorsPath = "/console/-/operators"

type operatorLine struct {
	session.Operator
	OrgName, Slug string
	Second        bool // has a passkey or an authenticator app
	Self          bool
}

type operatorsPage struct {
	Form web.Form
	Rows []operatorLine
}

func (d *Door) showOperators(w http.ResponseWriter, r *http.Request) error {
	return d.operatorsPage(w, r, http.StatusOK, web.Form{})
}

func (d *Door) operatorsPage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	list, err := d.opt.Sessions.Everyone(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	ids := make([]store.OrgID, len(list))
	for i, o := range list {
		ids[i] = o.Org
	}
	orgs, err := d.opt.DB.OrgsByID(r.Context(), ids)
	if err != nil {
		return err
	}
	p := operatorsPage{Form: f}
	for _, o := range list {
		l := operatorLine{Operator: o, OrgName: orgs[o.Org].Name, Slug: orgs[o.Org].Slug, Self: string(o.User) == web.Actor(r).ID}
		err := d.opt.DB.Read(r.Context(), access.Muster(string(o.Org)), func(tx *store.Tx) (err error) {
			l.Second, err = d.opt.HasSecond(tx, o.User)
			return err
		})
		if err != nil {
			return err
		}
		p.Rows = append(p.Rows, l)
	}
	return pages.Write(w, r, status, "operators", p)
}

// AddOperator gives the right to run the server to a person who is active in an organization.
// Faults: Denied; NotFound, Invalid and Conflict on "person", "organization".
func (d *Door) AddOperator(ctx context.Context, actor access.Actor, slug, person string) (u store.User, err error) {
	err = d.in(ctx, actor, slug, func(tx *store.Tx) error {
		found, err := tx.PeopleByAddress([]string{person})
		if err != nil {
			return err
		}
		if len(found) != 1 {
			return fault.Invalid.On("person", "%.100q is nobody's address or user name there, or several people's. Invite the person first, or enter the user name.", person)
		}
		u = found[0]
		if u.Status != store.Active {
			return fault.Conflict.On("person", "%s is not active there: whoever accepts an invitation later would run this server.", u.DisplayName)
		}
		return d.opt.Sessions.MakeOperator(tx, u.ID)
	})
	return u, err
}

func (d *Door) addOperator(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	u, err := d.AddOperator(r.Context(), web.Actor(r), f.Get("organization"), f.Get("person"))
	if fault.Is(err, fault.NotFound) {
		f.FailWith("organization", err)
		return d.operatorsPage(w, r, http.StatusNotFound, f)
	}
	if f.Take(err) {
		return d.operatorsPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "%s runs this server, too.", u.DisplayName))
	http.Redirect(w, r, operatorsPath, http.StatusSeeOther)
	return nil
}

func (d *Door) removeOperator(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	org, err := store.ParseID[store.Org](f.Get("org"))
	if err != nil {
		return err
	}
	user, err := store.ParseID[store.User](f.Get("user"))
	if err != nil {
		return err
	}
	err = d.opt.DB.Write(r.Context(), web.Actor(r).In(string(org)), func(tx *store.Tx) error { return d.opt.Sessions.RemoveOperator(tx, user) })
	if fault.Is(err, fault.NotFound) || f.Take(err) { // pressed twice; nobody would be left
		if len(f.Errors) == 0 {
			f.FailWith("", err)
		}
		return d.operatorsPage(w, r, web.Status(err), web.Form{Errors: f.Errors})
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "The right to run this server is taken away. The account stays."))
	if user == store.UserID(web.Actor(r).ID) {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	http.Redirect(w, r, operatorsPath, http.StatusSeeOther)
	return nil
}

type peoplePage struct {
	Form  web.Form
	Asked bool
	Rows  []store.Found
}

// people finds somebody by address in all organizations; that it was asked is on record.
func (d *Door) people(w http.ResponseWriter, r *http.Request) error {
	p := peoplePage{}
	q := r.URL.Query().Get("q")
	p.Form.Set("q", q)
	if !r.URL.Query().Has("q") {
		return pages.Write(w, r, http.StatusOK, "people", p)
	}
	var err error
	p.Asked = true
	p.Rows, err = d.opt.DB.PeopleAnywhere(r.Context(), web.Actor(r), q)
	if p.Form.Take(err) {
		p.Asked = false
		return pages.Write(w, r, web.Status(err), "people", p)
	}
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "people", p)
}

type deedLine struct {
	store.DeedOf
	Did, OrgName, Slug string
}

type activityPage struct {
	Rows []deedLine
	Next string
}

// activity is what operators did, in whichever organization.
func (d *Door) activity(w http.ResponseWriter, r *http.Request) error {
	ctx, actor := r.Context(), web.Actor(r)
	var before store.ActivityID
	if text := r.URL.Query().Get("cursor"); text != "" {
		var err error
		if before, err = store.ParseID[store.Activity](text); err != nil {
			return err
		}
	}
	who := []string{}
	operators, err := d.opt.Sessions.Everyone(ctx, actor)
	if err != nil {
		return err
	}
	for _, o := range operators {
		who = append(who, string(o.User))
	}
	keys, _, err := d.opt.Keys.All(ctx, actor, "", "", 500) // operators' come first
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Operator {
			who = append(who, k.ID)
		}
	}
	list, err := d.opt.DB.DeedsAnywhere(ctx, actor, who, before, shownRows+1)
	if err != nil {
		return err
	}
	p := activityPage{}
	if len(list) > shownRows {
		list = list[:shownRows]
		p.Next = "/console/-/activity?cursor=" + string(list[shownRows-1].ID)
	}
	ids := make([]store.OrgID, len(list))
	for i, a := range list {
		ids[i] = a.Org
	}
	orgs, err := d.opt.DB.OrgsByID(ctx, ids)
	if err != nil {
		return err
	}
	for _, a := range list {
		p.Rows = append(p.Rows, deedLine{a, d.opt.Did(a.Action), orgs[a.Org].Name, orgs[a.Org].Slug})
	}
	return pages.Write(w, r, http.StatusOK, "activity", p)
}
