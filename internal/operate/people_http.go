package operate

import (
	"net/http"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

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
