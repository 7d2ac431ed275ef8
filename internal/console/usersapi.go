package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (c *Console) mountAPI(m *web.Mux) {
	m.API(access.ViewUsers, "GET /api/v1/users", c.apiUsers) // List people, 200 at a time
	if c.opt.Jobs != nil {
		m.API(access.ViewUsers, "POST /api/v1/users/bulk", c.apiBulk) // Do something to many people, as a job. With preview nothing happens, and the answer says what would
	}
}

// personJSON is a person of the list as programs see it.
type personJSON struct {
	ID           store.UserID `json:"id"`
	UserName     string       `json:"user_name"`
	Name         string       `json:"name"`
	Email        string       `json:"email"`
	Status       store.Status `json:"status"`
	Source       store.Source `json:"source"`
	DirectoryID  string       `json:"directory_id,omitempty"`
	Roles        []string     `json:"roles"`
	Groups       []namedJSON  `json:"groups"`
	SignedInAt   string       `json:"signed_in_at,omitempty"`
	SignedInWith string       `json:"signed_in_with,omitempty"`
	CreatedAt    string       `json:"created_at"`
}

type namedJSON struct {
	ID   store.GroupID `json:"id"`
	Name string        `json:"name"`
}

// usersJSON is a page of the list.
type usersJSON struct {
	Users    []personJSON `json:"users"`
	Total    int          `json:"total"`
	AtLeast  bool         `json:"total_at_least,omitempty"` // there are more than that
	Next     string       `json:"next,omitempty"`           // ?after=
	Previous string       `json:"previous,omitempty"`       // ?before=
}

func (c *Console) apiUsers(w http.ResponseWriter, r *http.Request) error {
	v, err := readView(r.URL.Query())
	if err != nil {
		return err
	}
	out := usersJSON{Users: []personJSON{}}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		q, err := c.query(tx, v)
		if err != nil {
			return err
		}
		q.Limit = 200
		page, err := tx.People(q)
		if err != nil {
			return err
		}
		out.Total, out.AtLeast = page.Total, page.AtLeast
		for _, p := range page.People {
			out.Users = append(out.Users, personOf(p))
		}
		if n := len(page.People); n > 0 && page.Next {
			out.Next, err = v.place(page.People[n-1].User)
		}
		if err == nil && len(page.People) > 0 && page.Previous {
			out.Previous, err = v.place(page.People[0].User)
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func personOf(p store.Person) personJSON {
	j := personJSON{ID: p.ID, UserName: p.UserName, Name: fullName(p.User), Email: p.Email, Status: p.Status, Source: p.Source, DirectoryID: string(p.DirectoryID),
		Roles: store.RoleNames(p.Grants), Groups: []namedJSON{}, SignedInWith: p.LastSignInMethod, CreatedAt: p.CreatedAt.RFC3339()}
	if p.LastSignInAt != 0 {
		j.SignedInAt = p.LastSignInAt.RFC3339()
	}
	for _, g := range p.Groups {
		j.Groups = append(j.Groups, namedJSON{g.ID, g.Name})
	}
	return j
}

// bulkJSON is an order as programs send it.
type bulkJSON struct {
	Action  string         `json:"action"` // role.give, role.take, team.add, team.remove, deactivate, reactivate, invite, cancel
	Role    string         `json:"role"`
	Team    string         `json:"team"`
	Reason  string         `json:"reason"`
	Why     string         `json:"why"`
	Users   []store.UserID `json:"users"`
	Filter  *string        `json:"filter"` // the query of GET /api/v1/users; empty: everybody
	Preview bool           `json:"preview"`
	Once    string         `json:"once"` // the same a second time starts nothing
}

// previewJSON is what an order would do.
type previewJSON struct {
	People  int            `json:"people"`
	LeftOut map[string]int `json:"left_out"` // why, and how many
}

// selection is whom the order means. Faults: Invalid.
func (b bulkJSON) selection(ctx context.Context) (s selection, err error) {
	switch {
	case (b.Filter == nil) == (len(b.Users) == 0):
		return s, fault.Invalid.On("users", "Send either users, a list of ids, or filter, the query of a list.")
	case b.Filter != nil:
		q, err := web.Query(ctx, "GET /api/v1/users", strings.TrimPrefix(*b.Filter, "?"))
		if err != nil {
			return s, fault.Invalid.Over("filter", err)
		}
		s.all = true
		s.view, err = readView(q)
		return s, err
	}
	for _, id := range b.Users {
		if _, err := store.ParseID[store.User](string(id)); err != nil {
			return s, err
		}
	}
	s.ids = eachOnce(b.Users)
	return s, nil
}

func (c *Console) apiBulk(w http.ResponseWriter, r *http.Request) error {
	var in bulkJSON
	if err := web.ReadJSON(r, &in, "action"); err != nil {
		return err
	}
	s, err := in.selection(r.Context())
	if err != nil {
		return err
	}
	if in.Role == access.Admin && !in.Preview {
		if asked, err := web.Fresh(w, r); asked || err != nil {
			return err
		}
	}
	action := in.Action
	if of := in.Role + in.Team; of != "" {
		action += ":" + of
	}
	if in.Preview {
		out := previewJSON{LeftOut: map[string]int{}}
		err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
			o, err := c.parseOrder(tx, action, in.Reason, in.Why)
			if err != nil {
				return err
			}
			var reasons []skipReason
			out.People, _, reasons, err = c.preview(tx, fmt.Sprintf, o, s)
			for _, why := range reasons {
				out.LeftOut[why.Text] = why.N
			}
			return err
		})
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, out)
	}
	var v jobs.View
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		o, err := c.parseOrder(tx, action, in.Reason, in.Why)
		if err != nil {
			return err
		}
		j, err := c.start(tx, o, s, in.Once)
		v = c.opt.Jobs.Of(j, tx.Now())
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusAccepted, v)
}
