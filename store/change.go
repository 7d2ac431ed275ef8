package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// UserChange is what UpdateUser does. Nil fields keep what is there.
type UserChange struct {
	Doc    Doc     // the whole new document
	Was    Doc     // the old one, decoded, when the caller has it; what is the same in both may be shared
	Status *Status // Active or Deactivated
	Why    string  // for the activity log
	Leave  Leaving // the same, of somebody who is deactivated
	self   bool    // of the actor, see UpdateSelf
	stale  bool    // only what leads to nobody goes, see ForgetManager
}

const updateUser = `UPDATE users SET directory_id = ?, status = ?, ` + activeFrom + `, ended_by = ?, user_name = ?, user_name_key = ?, external_id = ?, email = ?, email_key = ?,
	display_name = ?, sort_key = ?, search_key = ?, word_key = ?, number_key = ?, phone_key = ?, manager_id = ?, doc = {{as_json}}, version = version + 1, updated_at = ?
	WHERE org_id = ? AND id = ? AND version = ? AND deleted_at = 0`

// When access begins or comes back; package session refuses what is older. The new
// status, and the time of the change.
const activeFrom = `active_from = CASE WHEN status = 'active' OR {{as_text}} <> 'active' THEN active_from ELSE {{as_int}} END`

// The document stays as it is: only its columns are rewritten.
const (
	updateUserGated       = updateUser + whileUnlimited
	updateUserStatusGated = updateUserStatus + whileUnlimited
)

// Of the columns, only the search key follows the document: what a title does. The
// others have indexes and the row of roster to look after.
const updateUserDoc = `UPDATE users SET search_key = ?, doc = {{as_json}}, version = version + 1, updated_at = ?
	WHERE org_id = ? AND id = ? AND version = ? AND deleted_at = 0`

const updateUserStatus = `UPDATE users SET directory_id = ?, status = ?, ` + activeFrom + `, ended_by = ?, version = version + 1, updated_at = ?
	WHERE org_id = ? AND id = ? AND version = ? AND deleted_at = 0`

// UpdateUser changes the person u, which is what the caller read in this Tx. When
// it was changed since, Write and Command run their function again. A change to
// what already is returns u as it was: no new version, no activity. A directory
// that writes to a person whom nobody manages becomes the manager. Fit for Command
// when a directory acts. Faults: Denied (managed by a directory, or no permission),
// Invalid, Conflict on userName, externalId, seats, or for the last admin.
func (tx *Tx) UpdateUser(u User, ch UserChange) (User, error) {
	next, plan, err := tx.planUser(u, ch)
	if err != nil {
		return u, err
	}
	hot := plan.hot
	docSame, statusSame := bytes.Equal(next.Doc, u.Doc), next.Status == u.Status
	adopted := next.DirectoryID != u.DirectoryID
	if docSame && statusSame && !adopted {
		return u, nil
	}
	if err := tx.mayChange(u, next, !docSame && !ch.stale, ch.self); err != nil {
		return u, err
	}
	act := Activity{Action: changeName(u, next, docSame), TargetKind: "user", TargetID: string(u.ID), TargetName: next.DisplayName, Detail: map[string]any{}}
	if ch.Why != "" {
		act.Detail["why"] = ch.Why
	}
	ch.Leave.tell(act.Detail)
	if adopted {
		act.Detail["adopted"] = true
	}
	if act.Detail["before"], act.Detail["after"], err = tx.difference(plan, u, next); err != nil {
		return u, err
	}
	next.Version, next.UpdatedAt = u.Version+1, tx.Now()
	head := seatHead{updateUserStatusGated, updateUserStatus, []any{next.DirectoryID, next.Status, next.Status, next.UpdatedAt, next.EndedBy, next.UpdatedAt, tx.Org(), u.ID, u.Version}}
	var steps, extras []step
	if !docSame {
		head = seatHead{updateUserGated, updateUser, []any{next.DirectoryID, next.Status, next.Status, next.UpdatedAt, next.EndedBy, next.UserName, hot.nameKey, orNull(next.ExternalID), next.Email, hot.emailKey,
			next.DisplayName, hot.sortKey, hot.searchKey, orNull(hot.wordKeys.Word), orNull(hot.wordKeys.Number), orNull(hot.wordKeys.Phone), next.ManagerID, string(next.Doc), next.UpdatedAt, tx.Org(), u.ID, u.Version}}
		if statusSame && !adopted && plan.sameColumns(u, next) {
			head = seatHead{updateUserDoc, updateUserDoc, []any{hot.searchKey, string(next.Doc), next.UpdatedAt, tx.Org(), u.ID, u.Version}}
		}
		steps = tx.valueSteps(u, plan)
		if extras, err = tx.extraSteps(UserResource, string(u.ID), plan.old, plan.doc); err != nil {
			return u, err
		}
		steps = append(steps, extras...)
	}
	grants, err := tx.planGrants(u, next, plan)
	if err != nil {
		return u, err
	}
	steps = append(steps, tx.moveSteps(u.DirectoryID, next.DirectoryID)...)
	write := func() (int64, error) { return tx.updated(u, next, head, steps, act) }
	var n int64
	if head.free == updateUserDoc && len(steps) == 0 && tx.inConvoy() {
		n, err = tx.rewriteDoc(&rewriting{next: next, searchKey: hot.searchKey}, act, write)
	} else {
		n, err = write()
	}
	if err != nil {
		return u, takenExtra(taken(err, next.UserName, next.ExternalID))
	}
	if n == 0 {
		return u, errStale
	}
	return next, tx.setGrants(next, grants)
}

// updated takes a seat where the person had none.
func (tx *Tx) updated(u, next User, head seatHead, steps []step, act Activity) (int64, error) {
	if seated(u.Status) || !seated(next.Status) {
		return tx.change(step{head.free, head.args}, steps, act)
	}
	return tx.seating(head, steps, act, func() ([]string, error) { return tx.rolesHeld(u.ID) })
}

// KeepUser lets nobody change the person u, which UpdateUser has given back, until the
// commit. For a change of which UpdateUser is one half: where it changed nothing it
// holds nothing, and somebody else's change could come between the halves. Needs Write.
func (tx *Tx) KeepUser(u User) error {
	var version int64
	err := tx.Get(&version, "SELECT version FROM users WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), u.ID)
	if fault.Is(err, fault.NotFound) || err == nil && version != u.Version {
		return errStale
	}
	return err
}

// userPlan is what a new document means; empty when the document stays. Both
// documents are decoded once and then used for everything.
type userPlan struct {
	old, doc Doc
	changed  []string   // the attributes in which they differ
	keyed    bool       // keyedAttrs are among them
	hot      hotColumns // of doc; its values only when keyed
	was      hotColumns // of old; only when keyed
}

// sameColumns tells that the new document changes no column but the search key.
func (p userPlan) sameColumns(u, next User) bool {
	return next.UserName == u.UserName && next.ExternalID == u.ExternalID && next.Email == u.Email && next.DisplayName == u.DisplayName &&
		next.ManagerID == u.ManagerID && (!p.keyed || p.sameKeys())
}

func (p userPlan) sameKeys() bool {
	return p.hot.sortKey == p.was.sortKey && p.hot.wordKeys == p.was.wordKeys
}

// planUser is u after the change, not yet written.
func (tx *Tx) planUser(u User, ch UserChange) (User, userPlan, error) {
	next := u
	var plan userPlan
	if ch.Status != nil && *ch.Status != u.Status {
		if *ch.Status != Active && *ch.Status != Deactivated {
			return u, plan, fault.Invalid.On("status", "A person cannot be made %s this way.", *ch.Status)
		}
		next.Status, next.EndedBy = *ch.Status, ""
		if next.Status == Deactivated {
			next.EndedBy = tx.actor.Kind
		}
	}
	if tx.actor.Kind == access.Directory && u.DirectoryID == "" {
		next.DirectoryID = DirectoryID(tx.actor.ID)
		if next.Status == Invited { // the directory vouches for the person; no link is needed
			next.Status = Active
		}
	}
	if ch.Doc == nil {
		return next, plan, nil
	}
	hot, err := columnsOf(ch.Doc)
	if err != nil {
		return u, plan, err
	}
	old := ch.Was
	if old == nil {
		if old, err = u.Attributes(); err != nil {
			return u, plan, err
		}
	}
	// PostgreSQL keeps jsonb in its own spelling, so the stored bytes do not tell.
	changed, err := differing(old, ch.Doc)
	if err != nil || len(changed) == 0 {
		return next, plan, err
	}
	plan = userPlan{old: old, doc: ch.Doc, changed: changed, keyed: slices.ContainsFunc(changed, keyedAttr), hot: hot}
	if plan.keyed {
		if plan.hot.values, err = hot.valuesOf(ch.Doc); err == nil {
			plan.was, err = hotOf(old)
		}
		if err != nil {
			return u, userPlan{}, err
		}
	}
	raw, err := encode(ch.Doc)
	if err != nil {
		return u, userPlan{}, fmt.Errorf("user %s: %w", u.ID, err)
	}
	next.Doc, next.UserName, next.ExternalID, next.Email = JSON(raw), hot.userName, hot.externalID, hot.email
	next.DisplayName, next.ManagerID = hot.displayName, hot.managerID
	return next, plan, nil
}

func changeName(u, next User, docSame bool) string {
	switch {
	case next.Status == u.Status || !docSame && u.Status == Invited:
		return "user.update"
	case next.Status == Deactivated:
		return "user.deactivate"
	case u.Status == Invited:
		return "user.activate"
	default:
		return "user.reactivate"
	}
}

// mayChange holds the rules of who may change whom. self: the actor's own profile, of
// which UpdateSelf leaves nothing but what is the person's own.
func (tx *Tx) mayChange(u, next User, doc, self bool) error {
	if err := tx.mayTouch(u); err != nil && !self {
		return err
	}
	if !self && doc || next.DirectoryID != u.DirectoryID {
		if err := tx.Require(access.EditUsers); err != nil {
			return err
		}
	}
	if doc && u.DirectoryID != "" && (tx.actor.Kind != access.Directory || tx.actor.ID != string(u.DirectoryID)) {
		return tx.managed(u, fault.Word("Change it there, or detach the person from the directory first."))
	}
	if next.Status == u.Status || u.Status == Invited && next.Status == Active && next.DirectoryID != "" {
		return nil
	}
	if err := tx.Require(access.EndUsers); err != nil {
		return err
	}
	if tx.actor.Kind == access.Directory {
		return nil
	}
	if next.Status == Active && u.DirectoryID != "" && u.EndedBy == access.Directory {
		return tx.managed(u, fault.Word("It deactivated this person; activate the person there."))
	}
	if next.Status == Active && u.Status == Invited {
		return fault.Conflict.On("status", "This person has not accepted the invitation yet. Send it again instead.")
	}
	if next.Status == Deactivated {
		return tx.keepAdmin(u.ID)
	}
	return nil
}

// MayTouch tells whether the actor may end or change this person at all: every change that
// somebody makes to somebody else asks it. Faults: Denied.
func (tx *Tx) MayTouch(u User) error { return tx.mayTouch(u) }

// MayTouchFor is MayTouch for somebody else than the actor, on whose word Muster acts now.
func (tx *Tx) MayTouchFor(who access.Actor, u User) error {
	by := tx.actor
	defer func() { tx.actor = by }()
	tx.actor = who
	return tx.mayTouch(u)
}

// mayTouch keeps a break-glass account and that of an operator out of an admin's hands:
// whoever gave it another address could set its password by mail, and it may run the server;
// and it keeps people out of the hands of those who may do less. Faults: Denied.
func (tx *Tx) mayTouch(u User) error {
	if err := tx.keptApart(u); err != nil {
		return err
	}
	return tx.mayReach(u)
}

// keptApart refuses what only an operator may change. A directory sees no break-glass
// account, and its word about the others whom it manages is final. Faults: Denied.
func (tx *Tx) keptApart(u User) error {
	if tx.actor.Operator || tx.actor.Kind == access.System {
		return nil
	}
	apart := u.BreakGlass
	if !apart && tx.actor.Kind != access.Directory {
		if tx.operators == nil { // once, also for many people; there are few
			list := []UserID{}
			if err := tx.Select(&list, "SELECT user_id FROM operators WHERE org_id = ?", tx.Org()); err != nil {
				return err
			}
			tx.operators = list
		}
		apart = slices.Contains(tx.operators, u.ID)
	}
	if !apart {
		return nil
	}
	return fault.Denied.Say("%s is a break-glass account, or that of an operator of this server. Only an operator can change it; an admin can take a break-glass account off the list under Security first.", u.DisplayName)
}

func (tx *Tx) managed(u User, wayOut fault.Word) error {
	return fault.Denied.On("directory", "%s is managed by the directory %s. %s", u.DisplayName, tx.DirectoryName(u.DirectoryID), wayOut)
}

// DirectoryName is how a sentence names a directory: by its id when it is gone.
func (tx *Tx) DirectoryName(id DirectoryID) string {
	if d, err := tx.Directory(id); err == nil {
		return d.Name
	}
	return string(id)
}

// keepAdmin refuses to take away the last active admin. It locks the organization,
// so two admins who demote each other at once cannot both succeed.
func (tx *Tx) keepAdmin(id UserID) error {
	if tx.actor.Kind == access.Directory { // a directory's word is final; break-glass accounts are out of its sight
		return nil
	}
	if tx.mode == modeCommand && tx.db.d.oneStmt {
		return errors.New("taking away an admin needs Write")
	}
	if err := tx.lockAdmins(); err != nil {
		return err
	}
	return tx.lastAdmin(id)
}

// LastAdmin says why the admin role and the access of this person cannot be taken away, as
// it is at this moment. Faults: Conflict.
func (tx *Tx) LastAdmin(u User) error {
	if u.Status != Active || tx.actor.Kind == access.Directory {
		return nil
	}
	return tx.lastAdmin(u.ID)
}

func (tx *Tx) lastAdmin(id UserID) error {
	var admins []UserID
	err := tx.Select(&admins, `SELECT DISTINCT r.user_id FROM user_roles r JOIN users u ON u.org_id = r.org_id AND u.id = r.user_id
		WHERE r.org_id = ? AND r.role = ? AND u.status = 'active' LIMIT 2`, tx.Org(), access.Admin)
	if err != nil {
		return err
	}
	if len(admins) == 1 && admins[0] == id {
		return fault.Conflict.On("role", "This is the last active admin of the organization. Make somebody else an admin first.")
	}
	return nil
}

// valueSteps brings the rows of user_values in line with the new document: only
// what differs, so that no row is deleted and inserted in one statement.
func (tx *Tx) valueSteps(u User, plan userPlan) (steps []step) {
	if !plan.keyed {
		return nil
	}
	gone, come := minus(plan.was.values, plan.hot.values), minus(plan.hot.values, plan.was.values)
	if len(gone) > 0 {
		steps = append(steps, step{deleteValues, []any{tx.Org(), u.ID, valueList(gone)}})
	}
	if len(come) > 0 {
		steps = append(steps, tx.addValues(u.ID, come))
	}
	return steps
}

// difference is what the log shows: the attributes that changed, before and after.
func (tx *Tx) difference(p userPlan, u, next User) (before, after map[string]any, err error) {
	before, after = map[string]any{}, map[string]any{}
	if u.Status != next.Status {
		before["status"], after["status"] = u.Status, next.Status
	}
	for _, k := range p.changed {
		if v, there := p.old[k]; there {
			before[k] = v
		}
		if v, there := p.doc[k]; there {
			after[k] = v
		}
	}
	if before, err = tx.masked(before); err != nil {
		return nil, nil, err
	}
	after, err = tx.masked(after)
	return before, after, err
}
