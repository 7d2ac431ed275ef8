package console

import (
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// planRow is a change that is to come.
type planRow struct {
	life.Plan
	What, When string
	Name       string
	Kept       string // why whoever looks cannot cancel it
}

func planRows(r *http.Request, plans []life.Plan) []planRow {
	rows := make([]planRow, len(plans))
	for i, p := range plans {
		rows[i] = planRow{Plan: p, What: web.T(r, "Deactivate"), When: localTime(r, p.DueAt, p.Zone)}
		if p.Action == life.Reactivate {
			rows[i].What = web.T(r, "Reactivate")
		}
	}
	return rows
}

// namePlans says in a list whom the changes are about, and which of them whoever looks
// cannot cancel.
func namePlans(r *http.Request, tx *store.Tx, rows []planRow, mayEnd bool) error {
	ids := make([]store.UserID, len(rows))
	for i, row := range rows {
		ids[i] = row.UserID
	}
	names, err := tx.Named(ids)
	if err != nil {
		return err
	}
	var kept map[store.UserID]error
	if mayEnd {
		facts, err := tx.FactsOf(ids, "", "")
		if err != nil {
			return err
		}
		if kept, err = refusals(tx, facts); err != nil {
			return err
		}
	}
	for i, row := range rows {
		if rows[i].Name = names[row.UserID]; rows[i].Name == "" {
			rows[i].Name = string(row.UserID)
		}
		if why := kept[row.UserID]; why != nil {
			rows[i].Kept = web.SentenceIn(r, why)
		}
	}
	return nil
}

// plannedPage lists what is to come, or what became of it.
type plannedPage struct {
	Org    web.Org
	State  string
	States []web.Option
	Rows   []planRow
	Next   string
	MayEnd bool
}

func (c *Console) planned(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := plannedPage{Org: web.OrgOf(r), State: web.Typed(q.Get("state")), MayEnd: web.Actor(r).May(access.EndUsers), States: []web.Option{
		{Value: life.Planned, Label: web.T(r, "To come")}, {Value: life.Done, Label: web.T(r, "Done")},
		{Value: life.Skipped, Label: web.T(r, "Passed over")}, {Value: life.Cancelled, Label: web.T(r, "Cancelled")}}}
	if p.State == "" {
		p.State = life.Planned
	}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		page, err := c.opt.Life.List(tx, life.Query{State: p.State, After: web.Typed(q.Get("after"))})
		if err != nil {
			return err
		}
		p.Rows = planRows(r, page.Plans)
		if page.Next != "" {
			p.Next = "?" + url.Values{"state": {p.State}, "after": {page.Next}}.Encode()
		}
		return namePlans(r, tx, p.Rows, p.MayEnd && p.State == life.Planned)
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "planned", p)
}

func (c *Console) cancelPlan(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID[life.Plan](r.PathValue("plan"))
	if err != nil {
		return err
	}
	var p life.Plan
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		p, err = c.opt.Life.Cancel(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "It will not happen: what was planned for %s is cancelled.", localTime(r, p.DueAt, p.Zone)))
	http.Redirect(w, r, base(r)+"/users/"+string(p.UserID), http.StatusSeeOther)
	return nil
}

// deletedRow is somebody who can be restored.
type deletedRow struct {
	ID              store.UserID
	Name, UserName  string
	Source          string
	DeletedAt, Till store.Time
	Taken           bool
}

type deletedPage struct {
	Org  web.Org
	Rows []deletedRow
	Next string
}

func (c *Console) deletedPeople(w http.ResponseWriter, r *http.Request) error {
	p := deletedPage{Org: web.OrgOf(r)}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		page, err := tx.DeletedPeople(web.Typed(r.URL.Query().Get("after")), pageSize)
		for _, u := range page.People {
			p.Rows = append(p.Rows, deletedRow{u.ID, fullName(u.User), u.UserName, sourceNames[u.Source], u.DeletedAt, u.DeletedAt.Add(store.RestoreFor), u.Taken})
		}
		if page.Next != "" {
			p.Next = "?" + url.Values{"after": {page.Next}}.Encode()
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "deleted", p)
}
