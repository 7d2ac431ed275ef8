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

// Runner is somebody who runs the server, or will.
type Runner struct {
	session.Operator
	OrgName, Slug string
	Second        bool // has a passkey or an authenticator app
}

// Operators are all of them, the oldest first. Faults: Denied.
func (d *Door) Operators(ctx context.Context, actor access.Actor) ([]Runner, error) {
	list, err := d.opt.Sessions.Everyone(ctx, actor)
	if err != nil {
		return nil, err
	}
	ids := make([]store.OrgID, len(list))
	for i, o := range list {
		ids[i] = o.Org
	}
	orgs, err := d.opt.DB.OrgsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Runner, len(list))
	for i, o := range list {
		out[i] = Runner{Operator: o, OrgName: orgs[o.Org].Name, Slug: orgs[o.Org].Slug}
		err := d.opt.DB.Read(ctx, access.Muster(string(o.Org)), func(tx *store.Tx) (err error) {
			out[i].Second, err = d.opt.HasSecond(tx, o.User)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// NewOperator is who shall run the server, too.
type NewOperator struct {
	Org    string // short name of the organization
	Person string // address or user name there
	// Invite invites Person, who is an address then, when nobody there has it.
	Invite                bool
	GivenName, FamilyName string
}

// AddOperator gives the right to run the server to a person of an organization. Somebody who
// is invited gets a new link, so that no older one leads to the right, and it holds from the
// moment the invitation is accepted; until then only operators can change or resend it. For
// the same reason nobody gets it who has a temporary password.
// Faults: Denied; NotFound on "organization"; Invalid and Conflict on "person".
func (d *Door) AddOperator(ctx context.Context, actor access.Actor, in NewOperator) (u store.User, err error) {
	err = d.in(ctx, actor, in.Org, func(tx *store.Tx) error {
		found, err := tx.PeopleByAddress([]string{in.Person})
		if err != nil {
			return err
		}
		switch {
		case len(found) > 1:
			return fault.Invalid.On("person", "Several people there have the address %.100q. Enter the user name of the one you mean.", in.Person)
		case len(found) == 0 && !in.Invite:
			return fault.Invalid.On("person", "%.100q is nobody's address or user name there. Check it, or choose to invite that address.", in.Person)
		case len(found) == 0:
			u, err = d.inviteOperator(tx, in)
		case found[0].Status == store.Invited:
			u = found[0]
			err = d.again(tx, u.ID)
		default:
			u = found[0]
			err = d.ownPassword(tx, u)
		}
		if err != nil {
			return err
		}
		if u.Status != store.Active && u.Status != store.Invited {
			return fault.Conflict.On("person", "%s is deactivated there. Reactivate the account first.", u.DisplayName)
		}
		return d.opt.Sessions.MakeOperator(tx, u.ID)
	})
	if fault.Is(err, fault.NotFound) && fault.Field(err) == "" {
		err = fault.NotFound.On("organization", "There is no organization %.40q.", in.Org)
	}
	return u, err
}

func (d *Door) inviteOperator(tx *store.Tx, in NewOperator) (u store.User, err error) {
	org, err := tx.ThisOrg()
	if err != nil {
		return u, err
	}
	id, err := d.opt.Invite(tx, org, Newcomer{Email: in.Person, GivenName: in.GivenName, FamilyName: in.FamilyName}, "")
	if fault.Field(err) == "email" {
		return u, fault.Of(err).Over("person", err)
	}
	if err != nil {
		return u, err
	}
	return tx.User(id)
}

// ownPassword refuses whose temporary password an admin of the organization may know. Faults:
// Conflict on "person".
func (d *Door) ownPassword(tx *store.Tx, u store.User) error {
	known, err := d.opt.Known(tx, u.ID)
	if known && err == nil {
		err = fault.Conflict.On("person", "%s has a temporary password, which somebody else knows. It goes once the person has set an own one.", u.DisplayName)
	}
	return err
}

// again sends somebody's invitation anew.
func (d *Door) again(tx *store.Tx, user store.UserID) error {
	org, err := tx.ThisOrg()
	if err != nil {
		return err
	}
	return d.opt.Resend(tx, org, user)
}

// RemoveOperator takes the right from a person, who keeps the account. Faults: Denied,
// NotFound, Conflict (nobody would be left).
func (d *Door) RemoveOperator(ctx context.Context, actor access.Actor, user store.UserID) error {
	list, err := d.opt.Sessions.Everyone(ctx, actor)
	if err != nil {
		return err
	}
	org := store.NoOrg // where nobody is
	for _, o := range list {
		if o.User == user {
			org = o.Org
		}
	}
	return d.opt.DB.Write(ctx, actor.In(string(org)), func(tx *store.Tx) error { return d.opt.Sessions.RemoveOperator(tx, user) })
}

type operatorLine struct {
	Runner
	Self bool
}

type operatorsPage struct {
	Form web.Form
	Rows []operatorLine
}

func (d *Door) showOperators(w http.ResponseWriter, r *http.Request) error {
	return d.operatorsPage(w, r, http.StatusOK, web.Form{})
}

func (d *Door) operatorsPage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	list, err := d.Operators(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	p := operatorsPage{Form: f}
	for _, o := range list {
		p.Rows = append(p.Rows, operatorLine{o, string(o.User) == web.Actor(r).ID})
	}
	return pages.Write(w, r, status, "operators", p)
}

func (d *Door) addOperator(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	u, err := d.AddOperator(r.Context(), web.Actor(r), NewOperator{Org: f.Get("organization"), Person: f.Get("person"), Invite: f.Get("invite") != "",
		GivenName: f.Get("given_name"), FamilyName: f.Get("family_name")})
	if fault.Is(err, fault.NotFound) {
		f.FailWith(fault.Field(err), err)
		return d.operatorsPage(w, r, http.StatusNotFound, f)
	}
	if f.Take(err) {
		return d.operatorsPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	said := web.T(r, "%s runs this server, too.", u.DisplayName)
	if u.Status == store.Invited {
		said = web.T(r, "%s has an invitation, and runs this server as soon as it is accepted.", u.Email)
	}
	web.Flash(w, said)
	http.Redirect(w, r, operatorsPath, http.StatusSeeOther)
	return nil
}

func (d *Door) removeOperator(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	user, err := store.ParseID[store.User](f.Get("user"))
	if err != nil {
		return err
	}
	err = d.RemoveOperator(r.Context(), web.Actor(r), user)
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

// OperatorJSON is an operator as the REST API and the command line show it.
type OperatorJSON struct {
	Org       string       `json:"org"`
	User      store.UserID `json:"user_id"`
	Name      string       `json:"name"`
	Email     string       `json:"email"`
	Status    store.Status `json:"status"`
	Second    bool         `json:"second_factor"`
	SignedIn  string       `json:"signed_in_at"`
	CreatedAt string       `json:"created_at"`
}

// JSON is what programs get.
func (o Runner) JSON() OperatorJSON {
	return OperatorJSON{o.Slug, o.User, o.Name, o.Email, o.Status, o.Second, o.SignedIn.OrEmpty(), o.CreatedAt.RFC3339()}
}

func (d *Door) apiOperators(w http.ResponseWriter, r *http.Request) error {
	list, err := d.Operators(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	out := struct {
		Operators []OperatorJSON `json:"operators"`
	}{Operators: []OperatorJSON{}}
	for _, o := range list {
		out.Operators = append(out.Operators, o.JSON())
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) apiAddOperator(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Org        string `json:"org"`
		Person     string `json:"person"`
		Invite     bool   `json:"invite"`
		GivenName  string `json:"given_name"`
		FamilyName string `json:"family_name"`
	}
	if err := web.ReadJSON(r, &in, "org", "person"); err != nil {
		return err
	}
	u, err := d.AddOperator(r.Context(), web.Actor(r), NewOperator(in))
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, map[string]any{"org": in.Org, "user_id": u.ID, "name": u.DisplayName, "email": u.Email, "status": u.Status})
}

func (d *Door) apiRemoveOperator(w http.ResponseWriter, r *http.Request) error {
	user, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	if err := d.RemoveOperator(r.Context(), web.Actor(r), user); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
