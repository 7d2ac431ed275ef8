package importer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/store"
)

// undoing is what one line needs to be taken back.
type undoing struct {
	Made  int64             `json:"made,omitempty"`  // the version of a person who was created
	Ended int64             `json:"ended,omitempty"` // the version of one who was deactivated
	Was   map[string]string `json:"was,omitempty"`   // values before
	Is    map[string]string `json:"is,omitempty"`    // and after
	Teams []store.GroupID   `json:"teams,omitempty"` // that the person came into
}

// undo takes one line back, as far as nobody has changed since what it did.
func (d *Door) undo(tx *store.Tx, j jobs.Job, item jobs.Item) (jobs.Result, error) {
	var in jobInput
	var u undoing
	if err := json.Unmarshal(j.Input, &in); err != nil {
		return jobs.Result{}, fmt.Errorf("input of job %s: %w", j.ID, err)
	}
	if err := json.Unmarshal(item.Data, &u); err != nil {
		return jobs.Result{}, fmt.Errorf("undo of %s: %w", item.Target, err)
	}
	id, err := store.ParseID[store.User](item.Target)
	if err != nil {
		return jobs.Result{}, err
	}
	who, err := tx.User(id)
	switch {
	case fault.Is(err, fault.NotFound):
		return jobs.Skip(jobs.Because("This person is not here any more.")), nil
	case err != nil:
		return jobs.Result{}, err
	case u.Made > 0:
		return d.remove(tx, who, u.Made, in.Name)
	case u.Ended > 0:
		if who.Version != u.Ended || who.Status != store.Deactivated {
			return jobs.Skip(jobs.Because("This person was changed since and stays as they are.")), nil
		}
		_, err := tx.Reactivate(id, "import of "+in.Name+" undone")
		return jobs.Result{Did: "reactivated"}, err
	}
	return revert(tx, who, u, in.Name)
}

// remove deletes a person whom the import made and to whom nothing happened.
func (d *Door) remove(tx *store.Tx, who store.User, made int64, file string) (jobs.Result, error) {
	switch {
	case who.LastSignInAt != 0:
		return jobs.Skip(jobs.Because("This person has signed in since and stays.")), nil
	case who.Version != made:
		return jobs.Skip(jobs.Because("This person was changed since and stays.")), nil
	case who.Status == store.Invited:
		return jobs.Result{Did: "removed"}, d.opt.Withdraw(tx, who.ID)
	}
	_, err := tx.DeleteUser(who.ID, "import of "+file+" undone")
	return jobs.Result{Did: "removed"}, err
}

// revert gives a person back the values of before, where the imported ones still stand.
func revert(tx *store.Tx, who store.User, u undoing, file string) (jobs.Result, error) {
	defs, err := tx.Definitions()
	if err != nil {
		return jobs.Result{}, err
	}
	doc, err := who.Attributes()
	if err != nil {
		return jobs.Result{}, err
	}
	fields := Fields(defs)
	at := person{doc: doc, profile: who.Profile()}
	touched := false
	var stay, back []string
	for _, name := range slices.Sorted(maps.Keys(u.Was)) {
		if name == fieldRole || name == fieldTeams {
			continue
		}
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
		if i < 0 || at.get(fields[i]) != u.Is[name] {
			stay = append(stay, name)
			continue
		}
		at.set(fields[i], u.Was[name])
		back, touched = append(back, name), true
	}
	if touched {
		if who, err = tx.UpdateUser(who, store.UserChange{Doc: at.document(), Why: "import of " + file + " undone"}); err != nil {
			return jobs.Result{}, err
		}
	}
	if role, gave := u.Is[fieldRole]; gave {
		done, err := revertRole(tx, who.ID, role, u.Was[fieldRole])
		if err != nil {
			return jobs.Result{}, err
		}
		if done {
			back = append(back, fieldRole)
		} else {
			stay = append(stay, fieldRole)
		}
	}
	if err := leave(tx, who.ID, u.Teams); err != nil {
		return jobs.Result{}, err
	}
	if len(u.Teams) > 0 {
		back = append(back, fieldTeams)
	}
	why := jobs.Reason{}
	switch {
	case len(back) == 0:
		return jobs.Skip(jobs.Because("%s was changed since and stays.", strings.Join(stay, ", "))), nil
	case len(stay) > 0:
		why = jobs.Because("%s was changed since and stays.", strings.Join(stay, ", "))
	}
	return jobs.Result{Did: "reverted", Why: why}, nil
}

// revertRole gives the role of before when the imported one is the only one by hand.
func revertRole(tx *store.Tx, id store.UserID, is, was string) (bool, error) {
	of, err := tx.RolesOf([]store.UserID{id})
	if err != nil {
		return false, err
	}
	var manual []string
	for _, g := range of[id] {
		if g.Reason == store.Manual {
			manual = append(manual, g.Role)
		}
	}
	if len(manual) != 1 || manual[0] != is {
		return false, nil
	}
	before := strings.Split(was, ", ")
	if was == "" {
		return true, tx.Revoke(id, is, store.Manual)
	}
	if err := tx.SetRole(id, before[0]); err != nil {
		return false, err
	}
	for _, role := range before[1:] {
		if err := tx.Grant(id, role, store.Manual); err != nil {
			return false, err
		}
	}
	return true, nil
}

// leave takes a person out of the teams; one that is gone is passed over.
func leave(tx *store.Tx, id store.UserID, teams []store.GroupID) error {
	for _, team := range teams {
		if _, err := tx.LeaveTeam(team, id); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}
