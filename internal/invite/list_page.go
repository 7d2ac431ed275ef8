package invite

import (
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// listView is the console's list of invitations.
type listView struct {
	Org       web.Org
	Chips     []chip
	Rows      []listRow
	Next      string
	MayInvite bool
	Filtered  bool
}

// chip is a filter; one is on.
type chip struct {
	Label, Link string
	On          bool
}

// listRow is one invitation.
type listRow struct {
	Invitation
	Name  string
	Label string // of the state
}

// stateNames are the states as people read them.
func stateNames(r *http.Request) map[State]string {
	return map[State]string{Pending: web.T(r, "Pending"), Saved: web.T(r, "Saved"), Bounced: web.T(r, "Bounced"), Expired: web.T(r, "Expired"), Accepted: web.T(r, "Accepted"),
		Cancelled: web.T(r, "Cancelled"), Unneeded: web.T(r, "Not needed any more")}
}

// StateName is a state as people read it.
func StateName(r *http.Request, s State) string { return stateNames(r)[s] }

func (d *Door) listPage(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	p := listView{Org: web.OrgOf(r), MayInvite: web.Actor(r).May(access.InviteUsers), Filtered: q.State != "" || q.Asked}
	at := "/console/" + p.Org.Slug + "/invitations"
	names := stateNames(r)
	p.Chips = append(p.Chips, chip{web.T(r, "All"), at, !p.Filtered}, chip{web.T(r, "Wants a new link"), at + "?asked=true", q.Asked})
	for _, s := range States() {
		p.Chips = append(p.Chips, chip{names[s], at + "?state=" + string(s), q.State == s})
	}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := d.List(tx, q)
		if err != nil {
			return err
		}
		views, err := Views(tx, list)
		for i, x := range list {
			p.Rows = append(p.Rows, listRow{x, views[i].Name, names[x.State]})
		}
		if n := len(list); n == q.limit() {
			v := url.Values{"cursor": {string(list[n-1].ID)}}
			if q.State != "" {
				v.Set("state", string(q.State))
			}
			if q.Asked {
				v.Set("asked", "true")
			}
			p.Next = at + "?" + v.Encode()
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "invitations", p)
}
