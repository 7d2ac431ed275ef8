package invite

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// action is a button on a person's page.
type action struct {
	name  string
	fresh bool // who becomes an admin by it needs an admin who has signed in lately
	do    func(d *Door, tx *store.Tx, org store.Org, user store.UserID, f web.Form) (Made, error)
}

var (
	again = action{"resend", false, func(d *Door, tx *store.Tx, org store.Org, user store.UserID, _ web.Form) (Made, error) {
		return d.Resend(tx, org, user)
	}}
	copied = action{"link", true, func(d *Door, tx *store.Tx, org store.Org, user store.UserID, _ web.Form) (Made, error) {
		return d.Copy(tx, org, user)
	}}
	corrected = action{"correct", true, func(d *Door, tx *store.Tx, org store.Org, user store.UserID, f web.Form) (Made, error) {
		return d.Correct(tx, org, user, f.Get("email"))
	}}
	reopened = action{"reopen", true, func(d *Door, tx *store.Tx, org store.Org, user store.UserID, _ web.Form) (Made, error) {
		return d.Reopen(tx, org, user)
	}}
	cancelled = action{"cancel", false, func(d *Door, tx *store.Tx, _ store.Org, user store.UserID, _ web.Form) (Made, error) {
		i, err := newestOf(tx, user)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return Made{}, err
		}
		return Made{UserID: user, InvitationID: i.ID, Email: i.Email}, d.Cancel(tx, user)
	}}
)

// act is the handler of an action. A form carries how often the invitation was sent
// when its page was made: pressed twice, or by two admins, it sends once.
func (d *Door) act(a action) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := store.ParseID[store.User](r.PathValue("user"))
		if err != nil {
			return err
		}
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		if a.fresh {
			if asked, err := d.beforeAdmin(w, r, id); asked || err != nil {
				return err
			}
		}
		made, err := d.run(r, a, id, f)
		if err != nil {
			return d.back(w, r, err, f)
		}
		return d.shown(w, r, made, a.name)
	}
}

// run does an action in a transaction of its own.
func (d *Door) run(r *http.Request, a action, user store.UserID, f web.Form) (made Made, err error) {
	org, err := d.opt.DB.OrgByID(r.Context(), store.OrgID(web.OrgOf(r).ID))
	if err != nil {
		return made, err
	}
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if text := f.Get("sent"); text != "" {
			sent, err := strconv.Atoi(text)
			if err != nil {
				return fault.Invalid.Say("The form is not complete. Load the page again.")
			}
			if err := d.Still(tx, user, sent); err != nil {
				return err
			}
		}
		made, err = a.do(d, tx, org, user, f)
		return err
	})
	return made, err
}

// beforeAdmin asks for a fresh sign-in when the invited person will be an admin.
func (d *Door) beforeAdmin(w http.ResponseWriter, r *http.Request, user store.UserID) (asked bool, err error) {
	var roles map[store.UserID][]store.Grant
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		roles, err = tx.RolesOf([]store.UserID{user})
		return err
	})
	if err != nil || !slices.Contains(store.RoleNames(roles[user]), access.Admin) {
		return false, err
	}
	return web.Fresh(w, r)
}

func (d *Door) withdraw(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return d.Cancel(tx, id) })
	if err != nil {
		return d.back(w, r, err, web.Form{})
	}
	web.Flash(w, web.T(r, "The invitation was cancelled. The address can be invited again."))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/users", http.StatusSeeOther)
	return nil
}

// back tells on the person's page what changed meanwhile, or what is wrong with the
// address that was typed, which stays in the field.
func (d *Door) back(w http.ResponseWriter, r *http.Request, err error, f web.Form) error {
	path := "/console/" + web.OrgOf(r).Slug + "/users/" + r.PathValue("user")
	switch fault.Of(err) {
	case fault.Conflict, fault.Expired, fault.Invalid:
	case fault.Denied:
		if fault.Field(err) != "directory" {
			return err
		}
	default:
		return err
	}
	if typed := f.Get("email"); typed != "" {
		again := web.Form{Values: f.Values}
		again.FailWith("email", err)
		return pages.Write(w, r, web.Status(err), "correct", correctPage{Org: web.OrgOf(r), Form: again, Path: path})
	}
	web.Flash(w, web.SentenceIn(r, err))
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// correctPage asks for the right address once more.
type correctPage struct {
	Org  web.Org
	Form web.Form
	Path string
}
