package invite

import (
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Event is something that happened to a person's invitation.
type Event struct {
	At     store.Time `db:"at" json:"-"`
	What   string     `db:"what" json:"what"` // create, save, resend, correct, remind, open, bounce, ...
	By     string     `db:"by_name" json:"by"`
	Detail string     `db:"detail" json:"detail"` // the address, or why
}

// History is what happened to a person's invitations, newest first. Faults: Denied.
func (d *Door) History(tx *store.Tx, user store.UserID) ([]Event, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	return events(tx, user)
}

// Query chooses invitations.
type Query struct {
	State State // any when empty
	Asked bool  // only those whose person asked for a new link
	After ID    // older than this one; from the newest when empty
	Limit int   // 50 when 0, 500 at most
}

func (q Query) limit() int {
	if q.Limit <= 0 {
		return 50
	}
	return min(q.Limit, 500)
}

// List is a page of invitations, newest first. Faults: Denied, Invalid on "state".
func (d *Door) List(tx *store.Tx, q Query) ([]Invitation, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	if q.State != "" && !slices.Contains(States(), q.State) {
		return nil, fault.Invalid.On("state", "There is no state %.40q. Choose one of pending, saved, bounced, expired, accepted, cancelled, unneeded.", q.State)
	}
	where, args := "", []any{tx.Org()}
	if q.State != "" {
		more, now := inState(q.State)
		where, args = where+more, append(args, string(stored(q.State)))
		for range now {
			args = append(args, tx.Now())
		}
	}
	if q.Asked {
		where += asked
	}
	if q.After != "" {
		where, args = where+" AND i.id < ?", append(args, q.After)
	}
	list := []Invitation{}
	err := tx.Select(&list, "SELECT "+invitationFields+" FROM invitations i WHERE i.org_id = ?"+where+" ORDER BY i.id DESC LIMIT ?", append(args, q.limit())...)
	for n := range list {
		list[n].State = list[n].at(tx.Now())
	}
	return list, err
}

// asked are those whose person asked for a new link.
const asked = " AND i.asked_at > 0 AND i.state = 'pending' AND " + waits

// stored is the state in the row of one that is derived.
func stored(s State) State {
	if s == Accepted || s == Cancelled {
		return s
	}
	return Pending
}

// inState is Invitation.at as a condition; after the stored state it wants the time as
// often as now says.
func inState(s State) (where string, now int) {
	switch s {
	case Unneeded:
		return " AND i.state = ? AND NOT " + waits, 0
	case Saved:
		return " AND i.state = ? AND i.sent = 0 AND " + waits, 0
	case Bounced:
		return " AND i.state = ? AND i.sent > 0 AND i.bounced_at > 0 AND " + waits, 0
	case Expired:
		return " AND i.state = ? AND i.sent > 0 AND i.bounced_at = 0 AND i.expires_at <= ? AND " + waits, 1
	case Pending:
		return " AND i.state = ? AND i.sent > 0 AND i.bounced_at = 0 AND i.expires_at > ? AND " + waits, 1
	}
	return " AND i.state = ?", 0
}

// PeopleIn are those who have an invitation in a state; of an open one there is one each.
func PeopleIn(tx *store.Tx, s State) store.PeopleSet {
	where, times := inState(s)
	set := store.PeopleSet{IDs: "SELECT i.user_id AS id FROM invitations i WHERE i.org_id = ?" + where, Args: []any{tx.Org(), stored(s)}}
	for range times {
		set.Args = append(set.Args, tx.Now())
	}
	return set
}

// Find is one invitation by id. Faults: NotFound, Denied.
func (d *Door) Find(tx *store.Tx, id ID) (i Invitation, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return i, err
	}
	err = tx.Get(&i, "SELECT "+invitationFields+" FROM invitations i WHERE i.org_id = ? AND i.id = ?", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return i, fault.NotFound.Say("There is no such invitation.")
	}
	i.State = i.at(tx.Now())
	return i, err
}
