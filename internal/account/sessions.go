package account

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// sessionRow is one browser that the person is signed in with.
type sessionRow struct {
	session.Session
	Here   bool
	Method string
}

type sessionsPage struct {
	Areas []area
	Rows  []sessionRow // this one first
}

func (a *Account) showSessions(w http.ResponseWriter, r *http.Request) error {
	_, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	p := sessionsPage{Areas: around(r)}
	err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) error {
		list, err := a.opts.Sessions.List(tx, now.UserID)
		p.Rows = nil
		for _, s := range list {
			row := sessionRow{s, s.ID == now.ID, methodName(s.Method)}
			if row.Here {
				p.Rows = append([]sessionRow{row}, p.Rows...)
			} else {
				p.Rows = append(p.Rows, row)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "sessions", p)
}

// endSessions signs the person out of one browser, or everywhere but here.
func (a *Account) endSessions(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	actor, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	one, said := session.ID(""), web.T(r, "All your other sessions have ended.")
	if f.Get("session") != "" {
		if one, err = store.ParseID[session.Session](f.Get("session")); err != nil {
			return err
		}
		said = web.T(r, "That session has ended.")
	}
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		which := "all others"
		if one != "" {
			which = string(one)
			if was, err := a.opts.Sessions.EndOf(tx, now.UserID, one); err != nil || !was {
				return err // it has ended already: a second click
			}
		} else if err := a.opts.Sessions.EndOthers(tx, now.UserID, now.ID); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "session.end", TargetKind: "user", TargetID: actor.ID, TargetName: actor.Name, Detail: map[string]any{"which": which}})
	})
	if err != nil {
		return err
	}
	web.Flash(w, said)
	return see(w, r, "/account/sessions")
}
