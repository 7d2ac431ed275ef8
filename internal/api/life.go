package api

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountLife(m *web.Mux) {
	m.API(access.EndUsers, "POST /api/v1/users/{user}/deactivate", d.change(life.Deactivate)) // Deactivate a person, now or later. Sessions, keys and links end with it; a later time is planned and answers 202
	m.API(access.EndUsers, "POST /api/v1/users/{user}/reactivate", d.change(life.Reactivate)) // Reactivate a person, now or later. 409 on seats when none is free
	m.APIFresh(access.EndUsers, "DELETE /api/v1/users/{user}", d.change("delete"))            // Delete a person, who can be restored for 30 days
	m.API(access.EndUsers, "POST /api/v1/users/{user}/restore", d.change("restore"))          // Restore a deleted person. 409 on userName while somebody else has it, 410 after 30 days
	m.API(access.Configure, "POST /api/v1/users/{user}/detach", d.change("detach"))           // Detach a person from the directory that manages them
	m.API(access.EndUsers, "GET /api/v1/users/deleted", d.deleted)                            // List deleted people who can be restored
	m.API(access.ViewUsers, "GET /api/v1/planned", d.plannedChanges)                          // List planned changes of state
	m.API(access.EndUsers, "DELETE /api/v1/planned/{plan}", d.cancelPlan)                     // Cancel a planned change. 409 when it is over
	m.API(access.ViewUsers, "GET /api/v1/seats", d.seats)                                     // Get the seats and licenses, and how many are taken
	m.API(access.Configure, "PATCH /api/v1/seats", d.setSeats)                                // Change the seats and licenses. The limit needs an operator
}

// leaving is the body of a change of state; which fields count depends on the change.
type leaving struct {
	Reason    string       `json:"reason"`
	Why       string       `json:"why"`
	Successor store.UserID `json:"successor"`
	At        string       `json:"at"`
	Zone      string       `json:"zone"`
	UserName  string       `json:"user_name"`
	Active    bool         `json:"active"`
}

// changed is the person afterwards, and what was planned.
type changed struct {
	ID       store.UserID `json:"id"`
	UserName string       `json:"user_name"`
	Status   store.Status `json:"status"`
	Planned  *planJSON    `json:"planned,omitempty"`
}

type planJSON struct {
	ID        life.PlanID  `json:"id"`
	User      store.UserID `json:"user_id"`
	Action    string       `json:"action"`
	At        string       `json:"at"`
	Zone      string       `json:"zone"`
	Reason    string       `json:"reason"`
	Why       string       `json:"why"`
	Successor store.UserID `json:"successor"`
	By        string       `json:"planned_by"`
	CreatedAt string       `json:"created_at"`
	State     string       `json:"state"`
	Outcome   string       `json:"outcome"`
	EndedAt   string       `json:"ended_at"`
}

func planOf(p life.Plan) planJSON {
	out := planJSON{p.ID, p.UserID, p.Action, p.DueAt.RFC3339(), p.Zone, p.Reason, p.Why, p.Successor, p.By, p.CreatedAt.RFC3339(), p.State, p.Outcome, ""}
	if p.EndedAt > 0 {
		out.EndedAt = p.EndedAt.RFC3339()
	}
	return out
}

func userIn(r *http.Request) (store.UserID, error) {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return "", fault.NotFound.Say("There is no such user.")
	}
	return id, nil
}

// readLeaving takes the body, or the query of a DELETE, which has none.
func readLeaving(r *http.Request) (in leaving, err error) {
	if r.Method == http.MethodDelete {
		q := r.URL.Query()
		return leaving{Reason: q.Get("reason"), Why: q.Get("why"), Successor: store.UserID(q.Get("successor"))}, nil
	}
	if r.ContentLength == 0 {
		return in, nil
	}
	return in, web.ReadJSON(r, &in)
}

// change makes a change of state, or plans it.
func (d *Door) change(kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := userIn(r)
		if err != nil {
			return err
		}
		in, err := readLeaving(r)
		if err != nil {
			return err
		}
		if in.Successor != "" {
			if in.Successor, err = store.ParseID[store.User](string(in.Successor)); err != nil {
				return fault.Invalid.On("successor", "successor is %.60q, which is no id of a user.", in.Successor)
			}
		}
		if in.At != "" && kind != life.Deactivate && kind != life.Reactivate {
			return fault.Invalid.On("at", "Only deactivating and reactivating can be planned.")
		}
		var out changed
		err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
			out = changed{}
			var u store.User
			if u, err = d.apply(tx, kind, id, in, &out); err != nil {
				return err
			}
			out.ID, out.UserName, out.Status = u.ID, u.UserName, u.Status
			return nil
		})
		if err != nil {
			return err
		}
		code := http.StatusOK
		if out.Planned != nil {
			code = http.StatusAccepted
		}
		return web.JSON(w, code, out)
	}
}

func (d *Door) apply(tx *store.Tx, kind string, id store.UserID, in leaving, out *changed) (u store.User, err error) {
	l := store.Leaving{Reason: in.Reason, Why: in.Why, Successor: in.Successor}
	if in.At != "" {
		p, err := d.opt.Life.Plan(tx, life.In{User: id, Action: kind, At: in.At, Zone: in.Zone, Leaving: l})
		if err != nil {
			return u, err
		}
		planned := planOf(p)
		out.Planned = &planned
		return tx.User(id)
	}
	switch kind {
	case life.Deactivate:
		return tx.Leave(id, l)
	case life.Reactivate:
		return tx.Reactivate(id, in.Why)
	case "delete":
		return tx.DeleteWith(id, l)
	case "detach":
		return tx.Detach(id, in.Why)
	}
	if u, err = tx.RestoreAs(id, in.UserName, in.Why); err != nil || !in.Active {
		return u, err
	}
	return tx.Reactivate(id, in.Why)
}

type deletedJSON struct {
	ID        store.UserID `json:"id"`
	UserName  string       `json:"user_name"`
	Name      string       `json:"name"`
	Email     string       `json:"email"`
	Source    store.Source `json:"source"`
	DeletedAt string       `json:"deleted_at"`
	Until     string       `json:"restorable_until"`
	Taken     bool         `json:"user_name_taken"`
}

func (d *Door) deleted(w http.ResponseWriter, r *http.Request) error {
	out := struct {
		Users []deletedJSON `json:"users"`
		Next  string        `json:"next"`
	}{Users: []deletedJSON{}}
	limit, err := limitIn(r)
	if err != nil {
		return err
	}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		page, err := tx.DeletedPeople(r.URL.Query().Get("after"), limit)
		for _, u := range page.People {
			out.Users = append(out.Users, deletedJSON{u.ID, u.UserName, u.DisplayName, u.Email, u.Source, u.DeletedAt.RFC3339(), u.DeletedAt.Add(store.RestoreFor).RFC3339(), u.Taken})
		}
		out.Next = page.Next
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

// limitIn reads ?limit=; 0 when it is not there.
func limitIn(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 200 {
		return 0, fault.Invalid.On("limit", "limit is %.20q. It can be 1 to 200.", text)
	}
	return n, nil
}

func (d *Door) plannedChanges(w http.ResponseWriter, r *http.Request) error {
	out := struct {
		Planned []planJSON `json:"planned"`
		Next    string     `json:"next"`
	}{Planned: []planJSON{}}
	limit, err := limitIn(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		page, err := d.opt.Life.List(tx, life.Query{State: q.Get("state"), After: q.Get("after"), Limit: limit})
		for _, p := range page.Plans {
			out.Planned = append(out.Planned, planOf(p))
		}
		out.Next = page.Next
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) cancelPlan(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[life.Plan](r.PathValue("plan"))
	if err != nil {
		return fault.NotFound.Say("Nothing of this id is planned here.")
	}
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		_, err := d.opt.Life.Cancel(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// LicenseJSON is a kind of seat, as programs see it; a limit that is null is none.
type LicenseJSON struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Roles   []string `json:"roles"`
	Default bool     `json:"default"`
	Limit   *int64   `json:"limit"`
	Used    int64    `json:"used"`
}

// Seats are an organization's, as programs see them.
type Seats struct {
	Limit    *int64        `json:"limit"`
	Used     int64         `json:"used"`
	Licenses []LicenseJSON `json:"licenses"`
	Version  string        `json:"version"` // of the limit and the licenses, not of who has them
}

// SeatsOf tells the seats of tx's organization. Faults: Denied.
func SeatsOf(tx *store.Tx) (Seats, error) {
	out := Seats{Licenses: []LicenseJSON{}}
	s, err := tx.Seats()
	if err != nil {
		return out, err
	}
	limit := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	out.Limit, out.Used, out.Version = limit(s.Limit), s.Used, s.Tag()
	for _, l := range s.Licenses {
		out.Licenses = append(out.Licenses, LicenseJSON{l.ID, l.Name, l.Roles, l.Fallback, limit(l.Limit), l.Used})
	}
	return out, nil
}

// SetLicenses puts a list of licenses in place of the one before. was is the version of the
// seats that are to be changed, or empty. Needs Write. Faults: those of store.ChangeLicenses.
func SetLicenses(tx *store.Tx, was string, in []LicenseJSON) error {
	list := make([]store.License, len(in))
	for i, l := range in {
		list[i] = store.License{ID: l.ID, Name: l.Name, Roles: l.Roles, Fallback: l.Default, Limit: store.NoLimit}
		if l.Limit != nil {
			list[i].Limit = *l.Limit
		}
	}
	return tx.ChangeLicenses(was, list)
}

func (d *Door) seats(w http.ResponseWriter, r *http.Request) error {
	var out Seats
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		out, err = SeatsOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

// setSeats changes what is sent: a limit that is null is taken away, a list of licenses
// is in place of the one before.
func (d *Door) setSeats(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Limit    json.RawMessage `json:"limit"`
		Licenses *[]LicenseJSON  `json:"licenses"`
		Version  string          `json:"version"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	limit := int64(store.NoLimit)
	if len(in.Limit) > 0 && string(in.Limit) != "null" {
		if err := json.Unmarshal(in.Limit, &limit); err != nil || limit < 0 {
			return fault.Invalid.On("limit", "limit is %.20s. It can be 0 or more, or null for none.", in.Limit)
		}
	}
	var out Seats
	err := d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if len(in.Limit) > 0 {
			if err := tx.ChangeSeats(in.Version, limit); err != nil {
				return err
			}
			in.Version = "" // nobody else changes them before the commit
		}
		if in.Licenses != nil {
			if err := SetLicenses(tx, in.Version, *in.Licenses); err != nil {
				return err
			}
		}
		out, err = SeatsOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}
