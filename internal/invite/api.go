package invite

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountAPI(m *web.Mux) {
	m.API(access.ViewUsers, "GET /api/v1/invitations", d.apiList)                                   // List invitations, newest first
	m.API(access.InviteUsers, "POST /api/v1/invitations", d.apiCreate)                              // Invite a person, or save or activate one. The link is answered this once
	m.API(access.InviteUsers, "POST /api/v1/invitations/preview", d.apiPreview)                     // Get the mail that an invitation would send
	m.API(access.ViewUsers, "GET /api/v1/invitations/{invitation}", d.apiShow)                      // Get an invitation with its history
	m.API(access.InviteUsers, "POST /api/v1/invitations/{invitation}/resend", d.apiAct(again))      // Mail a new link. Older links stop working
	m.API(access.InviteUsers, "POST /api/v1/invitations/{invitation}/link", d.apiAct(copied))       // Make one more link to hand over
	m.API(access.InviteUsers, "POST /api/v1/invitations/{invitation}/correct", d.apiAct(corrected)) // Correct the address and mail a new link there
	m.API(access.InviteUsers, "POST /api/v1/invitations/{invitation}/reopen", d.apiAct(reopened))   // Invite the person of an ended invitation again
	m.API(access.InviteUsers, "POST /api/v1/invitations/{invitation}/cancel", d.apiAct(cancelled))  // Cancel an invitation
	m.API(access.Configure, "GET /api/v1/settings/invitations", d.apiSettings)                      // Get the rules of invitations
	m.API(access.Configure, "PATCH /api/v1/settings/invitations", d.apiSetSettings)                 // Change the rules of invitations. What is left out stays
}

// View is an invitation as programs see it. A time that is empty did not come.
type View struct {
	ID        ID           `json:"id"`
	UserID    store.UserID `json:"user_id"`
	Name      string       `json:"name"`
	Email     string       `json:"email"`
	State     State        `json:"state"`
	InvitedBy string       `json:"invited_by"`
	Note      string       `json:"note"`
	Sent      int          `json:"sent"`
	CreatedAt string       `json:"created_at"`
	SentAt    string       `json:"sent_at"`
	ExpiresAt string       `json:"expires_at"`
	EndedAt   string       `json:"ended_at"`
	AskedAt   string       `json:"asked_at"`
	BouncedAt string       `json:"bounced_at"`
	Bounce    string       `json:"bounce"`
}

// Views gives invitations with the names of their people, in one more query.
func Views(tx *store.Tx, list []Invitation) ([]View, error) {
	ids := make([]store.UserID, len(list))
	for i, x := range list {
		ids[i] = x.UserID
	}
	names, err := tx.Named(ids)
	out := make([]View, len(list))
	for i, x := range list {
		out[i] = View{ID: x.ID, UserID: x.UserID, Name: names[x.UserID], Email: x.Email, State: x.State, InvitedBy: x.InvitedBy, Note: x.Note, Sent: x.Sent,
			CreatedAt: x.CreatedAt.OrEmpty(), SentAt: x.SentAt.OrEmpty(), ExpiresAt: x.ExpiresAt.OrEmpty(), EndedAt: x.EndedAt.OrEmpty(),
			AskedAt: x.AskedAt.OrEmpty(), BouncedAt: x.BouncedAt.OrEmpty(), Bounce: x.Bounce}
	}
	return out, err
}

// readQuery takes the filters of a list out of the address. Faults: Invalid.
func readQuery(r *http.Request) (q Query, err error) {
	v := r.URL.Query()
	q.State, q.Asked = State(v.Get("state")), v.Get("asked") == "true"
	if text := v.Get("cursor"); text != "" {
		if q.After, err = store.ParseID[Invitation](text); err != nil {
			return q, fault.Invalid.On("cursor", "%.64q is no cursor. Take next of the page before.", text)
		}
	}
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > 500 {
			return q, fault.Invalid.On("limit", "limit is %.20q; it can be 1 to 500.", text)
		}
	}
	return q, nil
}

func (d *Door) apiList(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	var out struct {
		Invitations []View `json:"invitations"`
		Next        ID     `json:"next,omitempty"`
	}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := d.List(tx, q)
		if err != nil {
			return err
		}
		if n := len(list); n == q.limit() {
			out.Next = list[n-1].ID
		}
		out.Invitations, err = Views(tx, list)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

// apiID is the invitation that the path names.
func apiID(r *http.Request) (ID, error) { return store.ParseID[Invitation](r.PathValue("invitation")) }

func (d *Door) apiShow(w http.ResponseWriter, r *http.Request) error {
	id, err := apiID(r)
	if err != nil {
		return err
	}
	var out struct {
		View
		History []shownEvent `json:"history"`
	}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		i, err := d.Find(tx, id)
		if err != nil {
			return err
		}
		views, err := Views(tx, []Invitation{i})
		if err != nil {
			return err
		}
		out.View, out.History = views[0], []shownEvent{}
		happened, err := d.History(tx, i.UserID)
		for _, e := range happened {
			out.History = append(out.History, shownEvent{e.At.RFC3339(), e})
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

type shownEvent struct {
	At string `json:"at"`
	Event
}

// newInvitation is what programs send.
type newInvitation struct {
	Email          string          `json:"email"`
	GivenName      string          `json:"given_name"`
	FamilyName     string          `json:"family_name"`
	Roles          []string        `json:"roles"`
	Title          string          `json:"title"`
	Department     string          `json:"department"`
	Phone          string          `json:"phone"`
	EmployeeNumber string          `json:"employee_number"`
	Address        string          `json:"address"`
	Manager        string          `json:"manager"`
	Teams          []store.GroupID `json:"teams"`
	Note           string          `json:"note"`
	Send           *bool           `json:"send"`
	Activate       bool            `json:"activate"` // without a mail
	FirstPassword  string          `json:"first_password"`

	Attributes map[string]json.RawMessage `json:"attributes"` // the organization's own
}

func (d *Door) apiCreate(w http.ResponseWriter, r *http.Request) error {
	var n newInvitation
	if err := web.ReadJSON(r, &n, "email"); err != nil {
		return err
	}
	if n.Activate || slices.Contains(n.Roles, access.Admin) {
		if asked, err := web.Fresh(w, r); asked || err != nil {
			return err
		}
	}
	in := In{Email: n.Email, GivenName: n.GivenName, FamilyName: n.FamilyName, Roles: n.Roles, Title: n.Title, Department: n.Department, Phone: n.Phone,
		EmployeeNumber: n.EmployeeNumber, Address: n.Address, Note: n.Note, Teams: n.Teams, Save: n.Send != nil && !*n.Send}
	var err error
	if in.Own, err = extra.Texts(n.Attributes); err != nil {
		return err
	}
	if n.Manager != "" {
		err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
			if in.ManagerID, err = store.ParseID[store.User](n.Manager); err != nil {
				in.ManagerID, err = findManager(tx, n.Manager)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if n.FirstPassword != "" && !n.Activate {
		return fault.Invalid.On("first_password", "A first_password needs activate: true; who is invited chooses the password.")
	}
	if n.Activate {
		made, err := d.Activate(r.Context(), web.Actor(r), in, n.FirstPassword)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusCreated, made.started(n.FirstPassword))
	}
	made, err := d.Invite(r.Context(), web.Actor(r), in)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, made.View())
}

// MadeView is a new invitation, or a new link of one, as programs see it.
type MadeView struct {
	UserID       store.UserID `json:"user_id"`
	InvitationID ID           `json:"invitation_id"`
	Email        string       `json:"email"`
	ExpiresAt    string       `json:"expires_at"`
	Link         string       `json:"link"`
}

// View of what was made; the link is in it this once.
func (m Made) View() MadeView {
	return MadeView{m.UserID, m.InvitationID, m.Email, m.ExpiresAt.OrEmpty(), m.Link}
}

func (d *Door) apiAct(a action) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := apiID(r)
		if err != nil {
			return err
		}
		var in struct {
			Email string `json:"email"`
			Sent  *int   `json:"sent"` // how often it was sent when the caller looked
		}
		if err := web.ReadJSON(r, &in); err != nil {
			return err
		}
		var i Invitation
		err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) { i, err = d.Find(tx, id); return err })
		if err != nil {
			return err
		}
		if a.fresh {
			if asked, err := d.beforeAdmin(w, r, i.UserID); asked || err != nil {
				return err
			}
		}
		var f web.Form
		f.Set("email", in.Email)
		if in.Sent != nil {
			f.Set("sent", strconv.Itoa(*in.Sent))
		}
		made, err := d.run(r, a, i.UserID, f)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, made.View())
	}
}

func (d *Door) apiSettings(w http.ResponseWriter, r *http.Request) error {
	var out RulesView
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		out.Settings, out.Version, err = d.rules(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) apiSetSettings(w http.ResponseWriter, r *http.Request) error {
	var ch RulesChange
	if err := web.ReadJSON(r, &ch); err != nil {
		return err
	}
	out, err := d.ChangeRules(r.Context(), web.Actor(r), ch)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}
