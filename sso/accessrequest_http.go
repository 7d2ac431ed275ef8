package sso

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountRequests(m *web.Mux) {
	m.Console(access.Configure, "GET /console/{org}/requests", d.showRequests)
	m.Console(access.Configure, "GET /console/{org}/requests/{request}", d.showRequest)
	m.Console(access.Configure, "POST /console/{org}/requests/{request}/approve", d.approveRequest)
	m.Console(access.Configure, "POST /console/{org}/requests/{request}/decline", d.declineRequest)
	m.API(access.Configure, "GET /api/v1/access-requests", d.apiRequests)                   // List who signed in and has no account
	m.API(access.Configure, "POST /api/v1/access-requests/{request}/approve", d.apiApprove) // Approve a request. An account is made, or the sign-in is linked to a person
	m.API(access.Configure, "POST /api/v1/access-requests/{request}/decline", d.apiDecline) // Decline a request
}

type requestsPage struct {
	Path          string
	Open, Decided []requestLine
}

type requestLine struct {
	AccessRequest
	Path, Connection string
}

func (d *Door) showRequests(w http.ResponseWriter, r *http.Request) error {
	list, err := d.AccessRequests(r.Context(), web.Actor(r), "")
	if err != nil {
		return err
	}
	var names map[ConnectionID]string
	err = d.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		names, err = connectionNames(tx)
		return err
	})
	if err != nil {
		return err
	}
	p := requestsPage{Path: "/console/" + web.OrgOf(r).Slug + "/requests"}
	for _, q := range list {
		line := requestLine{q, p.Path + "/" + string(q.ID), names[q.ConnectionID]}
		if q.State == RequestOpen {
			p.Open = append(p.Open, line)
		} else {
			p.Decided = append(p.Decided, line)
		}
	}
	return pages.Write(w, r, http.StatusOK, "requests", p)
}

type requestPage struct {
	requestLine
	Up    string
	Form  web.Form
	Roles []web.Option
	New   bool // an account can be made
	User  string
}

func (d *Door) showRequest(w http.ResponseWriter, r *http.Request) error {
	return d.requestForm(w, r, http.StatusOK, web.Form{})
}

func (d *Door) requestForm(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := store.ParseID[AccessRequest](r.PathValue("request"))
	if err != nil {
		return err
	}
	q, c, err := d.AccessRequest(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	base := "/console/" + web.OrgOf(r).Slug
	p := requestPage{requestLine: requestLine{q, base + "/requests/" + string(id), c.Name}, Up: base + "/requests", Form: f, New: c.Accounts != accountsSCIM,
		Roles: []web.Option{{Value: "", Label: "The default role"}}}
	if q.UserID != "" {
		p.User = base + "/users/" + string(q.UserID)
	}
	err = d.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		roles, err := tx.OrgRoles()
		for _, role := range roles {
			p.Roles = append(p.Roles, web.Option{Value: role.ID, Label: role.Name})
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "request", p)
}

func (d *Door) approveRequest(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if f.Get("role") == access.Admin && f.Get("user") == "" {
		if asked, err := web.SureAdmin(w, r, ""); asked || err != nil {
			return err
		}
	}
	return d.decideRequest(w, r, func(id store.ID[AccessRequest], f web.Form) (AccessRequest, error) {
		return d.Approve(r.Context(), web.Actor(r), id, Approval{User: f.Get("user"), Role: f.Get("role")})
	}, func(name string) string { return web.T(r, "%s can sign in now.", name) })
}

func (d *Door) declineRequest(w http.ResponseWriter, r *http.Request) error {
	return d.decideRequest(w, r, func(id store.ID[AccessRequest], _ web.Form) (AccessRequest, error) {
		return d.Decline(r.Context(), web.Actor(r), id)
	}, func(name string) string { return web.T(r, "%s was declined.", name) })
}

func (d *Door) decideRequest(w http.ResponseWriter, r *http.Request, decide func(store.ID[AccessRequest], web.Form) (AccessRequest, error), done func(name string) string) error {
	id, err := store.ParseID[AccessRequest](r.PathValue("request"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	q, err := decide(id, f)
	if f.Take(err) {
		return d.requestForm(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, done(q.Name()))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/requests", http.StatusSeeOther)
	return nil
}

// RequestInfo is a request in JSON.
type RequestInfo struct {
	ID          store.ID[AccessRequest] `json:"id"`
	Connection  ConnectionID            `json:"connection"`
	SubjectKind string                  `json:"subject_kind"`
	Subject     string                  `json:"subject"`
	Name        string                  `json:"name"`
	Email       string                  `json:"email"`
	UserName    string                  `json:"user_name"`
	State       string                  `json:"state"`
	Times       int                     `json:"times"`
	Reference   string                  `json:"reference"`
	UserID      store.UserID            `json:"user_id,omitempty"`
	DecidedBy   string                  `json:"decided_by,omitempty"`
	CreatedAt   string                  `json:"created_at"`
	LastAt      string                  `json:"last_at"`
}

// Info of a request.
func (q AccessRequest) Info() RequestInfo {
	return RequestInfo{ID: q.ID, Connection: q.ConnectionID, SubjectKind: q.Kind, Subject: q.Subject, Name: q.Name(), Email: q.Email, UserName: q.UserName,
		State: q.State, Times: q.Times, Reference: q.Reference, UserID: q.UserID, DecidedBy: q.DecidedBy, CreatedAt: q.CreatedAt.RFC3339(), LastAt: q.LastAt.RFC3339()}
}

func (d *Door) apiRequests(w http.ResponseWriter, r *http.Request) error {
	list, err := d.AccessRequests(r.Context(), web.Actor(r), r.URL.Query().Get("state"))
	if err != nil {
		return err
	}
	out := make([]RequestInfo, len(list))
	for i, q := range list {
		out[i] = q.Info()
	}
	return web.JSON(w, http.StatusOK, map[string]any{"requests": out})
}

func (d *Door) apiApprove(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[AccessRequest](r.PathValue("request"))
	if err != nil {
		return err
	}
	var in struct {
		User string `json:"user"`
		Role string `json:"role"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if in.Role == access.Admin {
		if asked, err := web.SureAdmin(w, r, ""); asked || err != nil {
			return err
		}
	}
	q, err := d.Approve(r.Context(), web.Actor(r), id, Approval(in))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, q.Info())
}

func (d *Door) apiDecline(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[AccessRequest](r.PathValue("request"))
	if err != nil {
		return err
	}
	q, err := d.Decline(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, q.Info())
}
