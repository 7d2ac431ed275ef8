package account

import (
	"errors"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// insteadPage tells somebody who has proved a password what to use instead of it.
type insteadPage struct {
	Org       string
	Sentence  string
	Reference string
	Ways      []Way
}

// notAllowed answers a sign-in that the organization's policy turned down: a page that
// leads to what may be used, and an activity row that says which rule it was. ok is
// false when err is something else.
func (a *Account) notAllowed(w http.ResponseWriter, r *http.Request, who store.User, org store.OrgID, method, next string, err error) (ok bool, failed error) {
	not, ok := errors.AsType[*session.NotAllowed](err)
	if !ok {
		return false, nil
	}
	p := insteadPage{Sentence: fault.Public(err), Reference: secret.NewReference()}
	failed = a.opts.DB.Write(r.Context(), person(r, org, who.ID, who.DisplayName), func(tx *store.Tx) error {
		return tx.Record(store.Activity{Action: "user.signin.refused", TargetKind: "user", TargetID: string(who.ID), TargetName: who.DisplayName,
			Detail: map[string]any{"reference": p.Reference, "method": method, "check": "policy", "expected": not.Use, "got": method, "why": not.Rule,
				"hint": "The rule is in the console under Security. It holds until an admin changes it there."}})
	})
	if failed != nil {
		return true, failed
	}
	o, failed := a.opts.DB.OrgByID(r.Context(), org)
	if failed != nil {
		return true, failed
	}
	p.Org = o.Name
	if not.Use == session.UseSSO {
		if p.Ways, failed = a.waysOf(r, org, who.Email, web.Local(next)); failed != nil {
			return true, failed
		}
	}
	return true, pages.Write(w, r, http.StatusForbidden, "instead", p)
}

// waysOf are the connections that speak for somebody's mail domain, or all of the
// organization's when none does.
func (a *Account) waysOf(r *http.Request, org store.OrgID, email, next string) ([]Way, error) {
	ways, err := a.opts.Discover(r.Context(), org, email, next)
	if err != nil || len(ways) > 0 {
		return ways, err
	}
	return a.opts.Connections(r.Context(), org, next)
}

// may tells what a person may use, for letters to the person's own mailbox.
func (a *Account) may(tx *store.Tx, user store.UserID) (password, sso bool, err error) {
	if a.opts.May == nil {
		return true, true, nil
	}
	return a.opts.May(tx, user)
}

// userOf reads who a password belongs to. Faults: Denied (deleted meanwhile).
func (a *Account) userOf(r *http.Request, org store.OrgID, user store.UserID) (u store.User, err error) {
	err = a.opts.DB.Read(r.Context(), access.Muster(string(org)), func(tx *store.Tx) (err error) {
		u, err = tx.User(user)
		return err
	})
	if fault.Is(err, fault.NotFound) { // deleted while we looked at the password
		err = fault.Denied.Say("This account is not active. Ask an administrator of your organization.")
	}
	return u, err
}
