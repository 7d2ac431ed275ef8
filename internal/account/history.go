package account

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/store"
)

const historyPage = 25

// signInRow is one sign-in to the person's account, or an attempt.
type signInRow struct {
	At        store.Time
	Method    string
	IP        string
	Device    string
	Refused   string // why, in the words for whoever owns the account; empty: it succeeded
	Reference string
}

// refusals are what went wrong with an attempt, by its check. What the organization's
// rules are is not for everybody, so all else is just refused.
var refusals = map[string]string{
	"password": "Wrong password", "locked": "Too many attempts", "recovery code": "Wrong recovery code", "second factor": "Wrong code", "passkey": "Wrong passkey", "signature counter": "A passkey that was stopped", "fresh sign-in": "Wrong password",
	"temporary password": "The temporary password has ended", "account status": "The account was not active", "policy": "Not the way in which your organization signs in",
}

type historyShown struct {
	Areas  []area
	Rows   []signInRow
	Events []eventRow
	Older  string
}

func (a *Account) showSignIns(w http.ResponseWriter, r *http.Request) error {
	_, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	before, err := readCursor(r.URL.Query().Get("before"))
	if err != nil {
		return err
	}
	p := historyShown{Areas: around(r)}
	err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) error {
		list, err := tx.SignIns(store.SignInQuery{User: now.UserID, Before: before, Limit: historyPage + 1})
		if err != nil {
			return err
		}
		if len(list) > historyPage {
			list = list[:historyPage]
			last := list[historyPage-1]
			p.Older = "?" + url.Values{"before": {strconv.FormatInt(int64(last.At), 10) + "-" + string(last.ID)}}.Encode()
		}
		p.Rows, err = signInRows(tx, list)
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "signins", p)
}

// readCursor reads where the page before ended.
func readCursor(text string) (c store.SignInCursor, err error) {
	if text == "" {
		return c, nil
	}
	at, id, _ := strings.Cut(text, "-")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return c, fault.Invalid.On("before", "There is no such page. Begin with the newest.")
	}
	c.At = store.Time(n)
	c.ID, err = store.ParseID[store.Activity](id)
	return c, err
}

// signInRows adds where each sign-in came from, which its activity row knows.
func signInRows(tx *store.Tx, list []store.SignIn) ([]signInRow, error) {
	ids := make([]store.ActivityID, len(list))
	for i, s := range list {
		ids[i] = s.ID
	}
	detail := map[store.ActivityID]map[string]any{}
	if len(ids) > 0 {
		acts, err := tx.Activities(store.ActivityQuery{IDs: ids})
		if err != nil {
			return nil, err
		}
		for _, act := range acts {
			detail[act.ID] = act.Detail
		}
	}
	rows := make([]signInRow, len(list))
	for i, s := range list {
		ip, _ := detail[s.ID]["ip"].(string)
		agent, _ := detail[s.ID]["agent"].(string)
		rows[i] = signInRow{At: s.At, Method: methodName(s.Method), IP: ip, Device: session.Device(agent), Reference: s.Reference}
		if s.Result == store.SignInFailed {
			rows[i].Refused = cmp.Or(refusals[s.Check], "Refused")
		}
	}
	return rows, nil
}

// eventRow is something that happened to the account.
type eventRow struct {
	At       store.Time
	Did      string // a sentence of ours
	By       string // who, when it was somebody else
	Why      string
	IP       string
	Changes  []store.AttributeChange
	Internal string // the action's name, where we have no sentence
}

// happened says each action to whom it happened.
var happened = map[string]string{
	"user.create": "Your account was made", "user.update": "Your profile was changed", "user.activate": "Your account became active", "user.deactivate": "Your account was deactivated",
	"user.reactivate": "Your account was reactivated", "user.restore": "Your account was restored", "user.detach": "Your account was detached from its directory",
	"user.role.grant": "You were given a role", "user.role.revoke": "A role was taken from you", "user.signin": "You signed in", "user.signin.refused": "A sign-in was refused",
	"user.signout": "You signed out", "user.stepup": "You confirmed who you are", "session.end": "Sessions were ended", "password.set": "Your password was set", "password.temporary": "A temporary password was set for you",
	"password.reset.ask": "A link for a new password was mailed", "invitation.create": "You were invited", "invitation.resend": "Your invitation was sent again", "invitation.accept": "You accepted the invitation",
	"user.preferences": "You changed your preferences", "user.identity.link": "A sign-in was linked to your account", "user.identity.unlink": "A sign-in was unlinked from your account",
	"user.picture": "You changed your picture", "user.picture.remove": "You removed your picture", "user.export": "You exported your data",
	"user.address.ask": "A new address was entered", "user.address.confirm": "The new address was confirmed", "user.address.stop": "The change of the address was stopped", "user.address.undo": "The change of the address was undone",
}

// showActivity is what happened to the person's account, newest first.
func (a *Account) showActivity(w http.ResponseWriter, r *http.Request) error {
	actor, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	q := store.ActivityQuery{Target: string(now.UserID), Limit: historyPage + 1}
	if text := r.URL.Query().Get("before"); text != "" {
		if q.Before, err = store.ParseID[store.Activity](text); err != nil {
			return err
		}
	}
	p := historyShown{Areas: around(r)}
	err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) error {
		list, err := tx.Activities(q)
		if err != nil {
			return err
		}
		if len(list) > historyPage {
			list = list[:historyPage]
			p.Older = "?" + url.Values{"before": {string(list[historyPage-1].ID)}}.Encode()
		}
		p.Events = nil
		for _, act := range list {
			p.Events = append(p.Events, eventOf(act, actor.ID))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "activity", p)
}

func eventOf(act store.Activity, me string) eventRow {
	e := eventRow{At: act.At, Did: happened[act.Action], Changes: act.Changes()}
	if e.Did == "" {
		e.Internal = act.Action
	}
	e.Why, _ = act.Detail["why"].(string)
	if act.ActorID == me {
		e.IP, _ = act.Detail["ip"].(string) // others' addresses are theirs
	} else {
		e.By = act.ActorName
	}
	return e
}
