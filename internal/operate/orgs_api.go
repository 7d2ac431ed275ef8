package operate

import (
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountAPI(m *web.Mux) {
	m.OperatorAPI("GET /api/v1/organizations", d.apiOrgs)                              // List organizations, by name
	m.OperatorAPIFresh("POST /api/v1/organizations", d.apiCreateOrg)                   // Create an organization, and invite its admin
	m.OperatorAPI("GET /api/v1/organizations/{slug}", d.apiOrg)                        // Get an organization
	m.OperatorAPI("PATCH /api/v1/organizations/{slug}", d.apiRenameOrg)                // Rename an organization
	m.OperatorAPIFresh("POST /api/v1/organizations/{slug}/suspend", d.apiSuspendOrg)   // Suspend an organization. Nobody of it signs in, and its keys and directories are refused
	m.OperatorAPIFresh("POST /api/v1/organizations/{slug}/resume", d.apiResumeOrg)     // Resume a suspended organization
	m.OperatorAPI("GET /api/v1/operators", d.apiOperators)                             // List the operators of this server
	m.OperatorAPIFresh("POST /api/v1/operators", d.apiAddOperator)                     // Make a person an operator
	m.OperatorAPIFresh("DELETE /api/v1/operators/{user}", d.apiRemoveOperator)         // Remove an operator. 409 when nobody could run the server any more
	m.OperatorAPI("GET /api/v1/mail", d.apiMail)                                       // List the mail that waits or was given up
	m.OperatorAPI("POST /api/v1/mail/{message}/again", d.apiMailAct(d.opt.Mail.Again)) // Send a message again, or all that failed
	m.OperatorAPI("DELETE /api/v1/mail/{message}", d.apiMailAct(d.opt.Mail.Drop))      // Drop a message, or all that failed
	m.OperatorAPI("GET /api/v1/doctor", d.apiDoctor)                                   // Get the last examination of the server
	m.OperatorAPI("POST /api/v1/doctor", d.apiExamine)                                 // Examine the server now
	m.OperatorAPI("GET /api/v1/operator-keys", d.apiKeys)                              // List the keys of operators
	m.OperatorAPIFresh("POST /api/v1/operator-keys", d.apiCreateKey)                   // Create a key of an operator. It is shown this once
	m.OperatorAPIFresh("DELETE /api/v1/operator-keys/{key}", d.apiRevokeKey)           // Revoke a key of an operator
}

// OrgJSON is an organization as the REST API and the command line show it.
type OrgJSON struct {
	ID           store.OrgID   `json:"id"`
	Slug         string        `json:"slug"`
	Name         string        `json:"name"`
	State        string        `json:"state"` // active, suspended
	CreatedAt    string        `json:"created_at"`
	SuspendedAt  string        `json:"suspended_at,omitempty"`
	SuspendedWhy string        `json:"suspended_why,omitempty"`
	People       int64         `json:"people"`
	SeatLimit    *int64        `json:"seat_limit,omitempty"`
	Required     bool          `json:"sso_required"`
	Waiting      int           `json:"open_requests"`
	Directories  []DirJSON     `json:"directories"`
	Connections  []ConnJSON    `json:"connections"`
	Findings     []FindingJSON `json:"findings"` // the worst first
}

// DirJSON is a directory of it.
type DirJSON struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Vendor       string `json:"vendor"`
	LastRequest  string `json:"last_request_at,omitempty"`
	FailingSince string `json:"failing_since,omitempty"`
}

// ConnJSON is a connection of it.
type ConnJSON struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Active   bool   `json:"active"`
	Ends     string `json:"certificate_ends_at,omitempty"`
}

// FindingJSON is something that somebody should look at.
type FindingJSON struct {
	Severity string `json:"severity"` // bad, warn
	Text     string `json:"text"`
	Path     string `json:"path"`
}

// JSON is what programs get.
func (o Overview) JSON() OrgJSON {
	out := OrgJSON{ID: o.ID, Slug: o.Slug, Name: o.Name, State: "active", CreatedAt: o.CreatedAt.RFC3339(), People: o.Size.People,
		Required: o.Facts.Required, Waiting: o.Facts.Waiting, Directories: []DirJSON{}, Connections: []ConnJSON{}, Findings: []FindingJSON{}}
	if o.SuspendedAt != 0 {
		out.State, out.SuspendedAt, out.SuspendedWhy = "suspended", o.SuspendedAt.RFC3339(), o.SuspendedWhy
	}
	if o.Size.Most >= 0 {
		out.SeatLimit = &o.Size.Most
	}
	for _, x := range o.Facts.Directories {
		out.Directories = append(out.Directories, DirJSON{x.ID, x.Name, x.Vendor, x.Last.OrEmpty(), x.Failing.OrEmpty()})
	}
	for _, x := range o.Facts.Connections {
		out.Connections = append(out.Connections, ConnJSON{x.ID, x.Name, x.Protocol, x.Active, x.Ends.OrEmpty()})
	}
	for _, x := range o.Findings {
		out.Findings = append(out.Findings, FindingJSON{x.Severity, x.Text.String(), x.Path})
	}
	return out
}

func (d *Door) apiOrgs(w http.ResponseWriter, r *http.Request) error {
	q, err := orgQuery(r.URL.Query())
	if err != nil {
		return err
	}
	if text := r.URL.Query().Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > 200 {
			return fault.Invalid.On("limit", "limit is %.20q. It can be 1 to 200.", text)
		}
	}
	list, more, err := d.Orgs(r.Context(), web.Actor(r), q)
	if err != nil {
		return err
	}
	out := struct {
		Organizations []OrgJSON `json:"organizations"`
		Next          string    `json:"next"`
	}{Organizations: []OrgJSON{}}
	for _, o := range list {
		out.Organizations = append(out.Organizations, o.JSON())
	}
	if more {
		out.Next = string(list[len(list)-1].ID)
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) apiOrg(w http.ResponseWriter, r *http.Request) error {
	return d.answerOrg(w, r, http.StatusOK, r.PathValue("slug"))
}

func (d *Door) answerOrg(w http.ResponseWriter, r *http.Request, status int, slug string) error {
	o, err := d.Org(r.Context(), web.Actor(r), slug)
	if err != nil {
		return err
	}
	return web.JSON(w, status, o.JSON())
}

func (d *Door) apiCreateOrg(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Slug  string `json:"slug"`
		Name  string `json:"name"`
		Admin struct {
			Email      string `json:"email"`
			GivenName  string `json:"given_name"`
			FamilyName string `json:"family_name"`
		} `json:"admin"`
	}
	if err := web.ReadJSON(r, &in, "slug", "name"); err != nil {
		return err
	}
	org, err := d.Create(r.Context(), web.Actor(r), in.Slug, in.Name, Newcomer(in.Admin))
	if err != nil {
		return err
	}
	return d.answerOrg(w, r, http.StatusCreated, org.Slug)
}

func (d *Door) apiRenameOrg(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name string `json:"name"`
	}
	if err := web.ReadJSON(r, &in, "name"); err != nil {
		return err
	}
	if _, err := d.Rename(r.Context(), web.Actor(r), r.PathValue("slug"), in.Name); err != nil {
		return err
	}
	return d.apiOrg(w, r)
}

func (d *Door) apiSuspendOrg(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Why string `json:"why"`
	}
	if err := web.ReadJSON(r, &in, "why"); err != nil {
		return err
	}
	if _, err := d.Suspend(r.Context(), web.Actor(r), r.PathValue("slug"), in.Why); err != nil {
		return err
	}
	return d.apiOrg(w, r)
}

func (d *Door) apiResumeOrg(w http.ResponseWriter, r *http.Request) error {
	if _, err := d.Resume(r.Context(), web.Actor(r), r.PathValue("slug")); err != nil {
		return err
	}
	return d.apiOrg(w, r)
}
