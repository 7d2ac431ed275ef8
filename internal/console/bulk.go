package console

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What can be done to many people at once. An order is shown with whom it would leave
// out and why, and then becomes a job; both ask skip, so the page promises what the job
// does.

// BulkOps are what other doors do with invitations. All there, or none.
type BulkOps struct {
	InviteAgain func(tx *store.Tx, user store.UserID) error
	Cancel      func(tx *store.Tx, user store.UserID) error
	PutBack     func(tx *store.Tx, user store.UserID) error // invited as before, after it was cancelled or the person deactivated
}

// What an order can be.
const (
	giveRole   = "role.give"
	takeRole   = "role.take"
	addTeam    = "team.add"
	removeTeam = "team.remove"
	deactivate = "deactivate"
	reactivate = "reactivate"
	inviteMore = "invite"
	cancelMore = "cancel"
)

// order is what is to be done to each.
type order struct {
	Do       string        `json:"do"`
	Role     string        `json:"role,omitempty"`
	RoleName string        `json:"role_name,omitempty"`
	Team     store.GroupID `json:"team,omitempty"`
	TeamName string        `json:"team_name,omitempty"`
	Reason   string        `json:"reason,omitempty"` // of store.Reasons
	Why      string        `json:"why,omitempty"`
}

// needs are the rights, and the kinds of job.
var needs = map[string]struct {
	need access.Permission
	kind string
}{
	giveRole: {access.EditUsers, "people.role"}, takeRole: {access.EditUsers, "people.role"}, addTeam: {access.EditGroups, "people.team"}, removeTeam: {access.EditGroups, "people.team"},
	deactivate: {access.EndUsers, "people.end"}, reactivate: {access.EndUsers, "people.end"}, inviteMore: {access.InviteUsers, "people.invite"}, cancelMore: {access.InviteUsers, "people.invite"},
}

// parseOrder reads "role.give:viewer" and checks it. Faults: Invalid on "action", "why"; Denied.
func (c *Console) parseOrder(tx *store.Tx, action, reason, why string) (o order, err error) {
	name, of, _ := strings.Cut(action, ":")
	o = order{Do: name, Reason: reason, Why: strings.TrimSpace(why)}
	n, ok := needs[name]
	if !ok || n.kind == "people.invite" && c.opt.Bulk.InviteAgain == nil {
		return o, fault.Invalid.On("action", "Choose what to do with these people.")
	}
	if err := tx.Require(n.need); err != nil {
		return o, err
	}
	switch name {
	case giveRole, takeRole:
		roles, err := tx.OrgRoles()
		if err != nil {
			return o, err
		}
		var refused error
		for _, role := range roles {
			if role.ID == of {
				o.Role, o.RoleName = role.ID, role.Name
				if name == giveRole {
					refused = tx.Exceeds(role)
				}
			}
		}
		if refused != nil {
			return o, fault.Denied.Over("action", refused)
		}
		if o.Role == "" {
			return o, fault.Invalid.On("action", "There is no role %.40q (any more). Choose another one.", of)
		}
	case addTeam, removeTeam:
		id, err := store.ParseID[store.Group](of)
		if err != nil {
			return o, fault.Invalid.On("action", "Choose a team.")
		}
		g, err := tx.Group(id)
		if fault.Is(err, fault.NotFound) || err == nil && g.DirectoryID != "" {
			return o, fault.Invalid.On("action", "People can be put into teams of this organization only, and not into groups of a directory. Choose another team.")
		}
		if err != nil {
			return o, err
		}
		o.Team, o.TeamName = g.ID, g.Name
	case deactivate:
		if o.Reason != "" && !slices.Contains(store.Reasons(), o.Reason) {
			return o, fault.Invalid.On("reason", "There is no reason %.40q. Choose one in the list.", o.Reason)
		}
	}
	if len(o.Why) > 500 {
		return o, fault.Invalid.On("why", "The reason is %d bytes long; at most 500 are possible.", len(o.Why))
	}
	return o, nil
}

// fresh tells whether the order asks for a sign-in that is not older: who becomes or stops
// being an Admin.
func (o order) fresh() bool { return o.Role == access.Admin }

// title says the order and how many it is about.
func (o order) title(to web.Reader, n int) string {
	switch o.Do {
	case giveRole:
		return to.N(n, "Give the role %[2]s (%[1]d person)", "Give the role %[2]s (%[1]d people)", to.T(o.RoleName))
	case takeRole:
		return to.N(n, "Take the role %[2]s (%[1]d person)", "Take the role %[2]s (%[1]d people)", to.T(o.RoleName))
	case addTeam:
		return to.N(n, "Put into the team %[2]s (%[1]d person)", "Put into the team %[2]s (%[1]d people)", o.TeamName)
	case removeTeam:
		return to.N(n, "Take out of the team %[2]s (%[1]d person)", "Take out of the team %[2]s (%[1]d people)", o.TeamName)
	case deactivate:
		return to.N(n, "Deactivate (%d person)", "Deactivate (%d people)")
	case reactivate:
		return to.N(n, "Reactivate (%d person)", "Reactivate (%d people)")
	case inviteMore:
		return to.N(n, "Send the invitation again (%d person)", "Send the invitation again (%d people)")
	case cancelMore:
		return to.N(n, "Cancel the invitation (%d person)", "Cancel the invitation (%d people)")
	}
	return o.Do
}

// beyond are those of some people whom the actor may not touch, and why.
func (o order) beyond(tx *store.Tx, facts []store.PersonFacts) (map[store.UserID]error, error) {
	if o.Do == addTeam || o.Do == removeTeam {
		return nil, nil
	}
	return refusals(tx, facts)
}

// skip says why a person is left out of an order, whom the actor may not touch because of
// beyond; an empty reason: is not.
func (o order) skip(f store.PersonFacts, actor access.Actor, beyond error) jobs.Reason {
	self := actor.Kind == access.Person && actor.ID == string(f.ID)
	switch {
	case beyond != nil && fault.Field(beyond) == "role":
		return jobs.Because("Has a role that allows more than you may do yourself.")
	case beyond != nil && f.BreakGlass:
		return jobs.Because("This is a break-glass account, which only an operator changes.")
	case beyond != nil:
		return jobs.Because("This is an operator of this server, whom only an operator changes.")
	case o.Do == giveRole && f.RoleSince != 0:
		return jobs.Because("Has the role already.")
	case o.Do == takeRole && f.RoleSince == 0:
		return jobs.Because("Does not have the role, or not by hand.")
	case o.Do == takeRole && o.Role == access.Admin && self, o.Do == deactivate && self:
		return jobs.Because("This is yourself.")
	case o.Do == addTeam && f.MemberSince != 0:
		return jobs.Because("Is in the team already.")
	case o.Do == removeTeam && f.MemberSince == 0:
		return jobs.Because("Is not in the team.")
	case o.Do == deactivate && f.Status == store.Deactivated:
		return jobs.Because("Is deactivated already.")
	case o.Do == reactivate && f.Status == store.Active:
		return jobs.Because("Is active already.")
	case o.Do == reactivate && f.Status == store.Invited:
		return jobs.Because("Has not accepted the invitation yet.")
	case o.Do == reactivate && f.DirectoryID != "" && f.EndedBy == access.Directory:
		return jobs.Because("Was deactivated by the own directory; activate the person there.")
	case (o.Do == inviteMore || o.Do == cancelMore) && f.Status != store.Invited:
		return jobs.Because("Has no open invitation.")
	}
	return jobs.Reason{}
}

// kinds are the jobs that orders become.
func (c *Console) kinds() []jobs.Kind {
	orderOf := func(j jobs.Job) (o order) {
		json.Unmarshal(j.Input, &o) // it was written by us
		return o
	}
	var list []jobs.Kind
	for _, n := range []struct {
		kind string
		need access.Permission
	}{{"people.role", access.EditUsers}, {"people.team", access.EditGroups}, {"people.end", access.EndUsers}, {"people.invite", access.InviteUsers}} {
		list = append(list, jobs.Kind{Name: n.kind, Need: n.need, Size: 20,
			Title: func(to web.Reader, j jobs.Job) string { return orderOf(j).title(to, j.Total) },
			Link:  func(target string) string { return "/users/" + target },
			Fresh: func(j jobs.Job) bool { return orderOf(j).fresh() },
			One: func(tx *store.Tx, j jobs.Job, item jobs.Item) (jobs.Result, error) {
				return c.carryOut(tx, orderOf(j), store.UserID(item.Target))
			},
			UndoOne: func(tx *store.Tx, j jobs.Job, item jobs.Item) (jobs.Result, error) {
				return c.takeBack(tx, orderOf(j), item)
			}})
	}
	return list
}

// trace is what an order left behind, by which it is taken back.
type trace struct {
	Version int64      `json:"version,omitempty"` // of the person
	Invited bool       `json:"invited,omitempty"` // the person had not accepted
	Since   store.Time `json:"since,omitempty"`   // of the role or the membership
}

// factsOf reads the facts of one person; ok is false when nobody is there.
func factsOf(tx *store.Tx, o order, id store.UserID) (f store.PersonFacts, ok bool, err error) {
	list, err := tx.FactsOf([]store.UserID{id}, o.Role, o.Team)
	if err != nil || len(list) == 0 {
		return f, false, err
	}
	return list[0], true, nil
}

// carryOut does an order to one person.
func (c *Console) carryOut(tx *store.Tx, o order, id store.UserID) (jobs.Result, error) {
	f, ok, err := factsOf(tx, o, id)
	if err != nil {
		return jobs.Result{}, err
	}
	if !ok {
		return goneResult(tx, id)
	}
	name := f.DisplayName
	if name == "" {
		name = f.UserName
	}
	beyond, err := o.beyond(tx, []store.PersonFacts{f})
	if err != nil {
		return jobs.Result{}, err
	}
	if why := o.skip(f, tx.Actor(), beyond[id]); why.Format != "" {
		return jobs.Result{State: jobs.SkippedItem, Name: name, Why: why}, nil
	}
	if o.Do == removeTeam {
		kept, err := tx.LeaveTeam(o.Team, id)
		done := jobs.Result{Name: name, Undo: trace{}}
		if len(kept) > 0 {
			done.Why = jobs.Because("Was taken out by hand, and stays in the team for another reason.")
		}
		return done, err
	}
	left, err := c.do(tx, o, f)
	return jobs.Result{Name: name, Undo: left}, err
}

// gone is why nothing is done to who was deleted meanwhile, or never was here.
var gone = jobs.Because("Is not here any more.")

func goneResult(tx *store.Tx, id store.UserID) (jobs.Result, error) {
	was, err := tx.AnyUser(id)
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return jobs.Result{State: jobs.SkippedItem, Name: was.DisplayName, Why: gone}, err
}

// join puts somebody into a team by hand.
func join(tx *store.Tx, team store.GroupID, id store.UserID) error {
	g, err := tx.Group(team)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFound.Say("This team is not here any more.")
	}
	if err == nil {
		_, err = tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{id}, Said: map[store.UserID]store.Kind{id: store.KindUser}})
	}
	return err
}

// do makes the change and gives what is needed to take it back, or nil.
func (c *Console) do(tx *store.Tx, o order, is store.PersonFacts) (any, error) {
	id := is.ID
	switch o.Do {
	case giveRole:
		if err := tx.Grant(id, o.Role, store.Manual); err != nil {
			return nil, err
		}
	case takeRole:
		return trace{}, tx.Revoke(id, o.Role, store.Manual)
	case addTeam:
		if err := join(tx, o.Team, id); err != nil {
			return nil, err
		}
	case deactivate:
		u, err := tx.Leave(id, store.Leaving{Reason: o.Reason, Why: o.Why})
		return trace{Version: u.Version, Invited: is.Status == store.Invited}, err
	case reactivate:
		u, err := tx.Reactivate(id, o.Why)
		return trace{Version: u.Version}, err
	case inviteMore:
		return nil, c.opt.Bulk.InviteAgain(tx, id)
	case cancelMore:
		if err := c.opt.Bulk.Cancel(tx, id); err != nil {
			return nil, err
		}
		u, err := tx.AnyUser(id)
		return trace{Version: u.Version}, err
	default:
		return nil, fmt.Errorf("no order %q", o.Do)
	}
	f, ok, err := factsOf(tx, o, id)
	if err == nil && (!ok || max(f.RoleSince, f.MemberSince) == 0) {
		err = fault.Conflict.On("version", "Somebody else changed this person at the same moment. Try again.")
	}
	return trace{Since: max(f.RoleSince, f.MemberSince)}, err
}

// changedSince is the result of taking back what is not there any more as it was left.
var changedSince = jobs.Because("It was changed since, so it stays as it is now.")

// takeBack undoes an order to one person.
func (c *Console) takeBack(tx *store.Tx, o order, item jobs.Item) (jobs.Result, error) {
	var was trace
	if err := json.Unmarshal(item.Data, &was); err != nil {
		return jobs.Result{}, err
	}
	id := store.UserID(item.Target)
	if o.Do == cancelMore { // the person is gone until then
		u, err := tx.AnyUser(id)
		if err == nil && u.Version != was.Version {
			return jobs.Skip(changedSince), nil
		}
		if err == nil {
			err = c.opt.Bulk.PutBack(tx, id)
		}
		return jobs.Result{}, err
	}
	f, ok, err := factsOf(tx, o, id)
	if err != nil {
		return jobs.Result{}, err
	}
	if !ok {
		return jobs.Skip(gone), nil
	}
	switch {
	case o.Do == giveRole && f.RoleSince == was.Since:
		return jobs.Result{}, tx.Revoke(id, o.Role, store.Manual)
	case o.Do == takeRole && f.RoleSince == 0:
		return jobs.Result{}, tx.Grant(id, o.Role, store.Manual)
	case o.Do == addTeam && f.MemberSince == was.Since:
		_, err = tx.LeaveTeam(o.Team, id)
		return jobs.Result{}, err
	case o.Do == removeTeam && f.MemberSince == 0:
		return jobs.Result{}, join(tx, o.Team, id)
	case o.Do == deactivate && f.Version == was.Version && was.Invited:
		return jobs.Result{}, c.opt.Bulk.PutBack(tx, id)
	case o.Do == deactivate && f.Version == was.Version:
		_, err = tx.Reactivate(id, "")
		return jobs.Result{}, err
	case o.Do == reactivate && f.Version == was.Version:
		_, err = tx.Deactivate(id, "")
		return jobs.Result{}, err
	}
	return jobs.Skip(changedSince), nil
}
