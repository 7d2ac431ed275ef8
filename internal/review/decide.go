package review

import (
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// What a row can be decided.
const (
	Undecided = ""
	Confirmed = "confirmed"
	Removed   = "removed"
	AtSource  = "source" // to be removed where it comes from
	Gone      = "gone"   // was not there any more when somebody decided
)

// What can be done with rows.
const (
	Confirm = "confirm"
	Remove  = "remove"
	Reopen  = "reopen" // takes back a confirmation, or what is to be removed at the source
)

// MaxAtOnce is how many rows are decided together.
const MaxAtOnce = 200

// Decision is what somebody decides.
type Decision struct {
	Do     string
	Rows   []int
	Person store.UserID // all rows of a person, instead of Rows
	Note   string
}

// Outcome is what became of a row; with Err nothing did.
type Outcome struct {
	Row
	Err error
}

// Part is what of a review somebody may decide: all, or the rows of their people.
type Part struct{ Manager store.UserID }

// May tells what of a review the actor may decide. Faults: Denied.
func (s *Service) May(tx *store.Tx, r Review) (Part, error) {
	by := tx.Actor()
	if tx.Require(access.EditUsers) == nil {
		if by.Kind != access.Person || by.Operator {
			return Part{}, nil
		}
		named, err := isReviewer(tx, r.ID, by.ID)
		if err != nil || named {
			return Part{}, err
		}
	}
	if by.Kind == access.Person && r.Managers {
		list, err := rowsOf(tx, r.ID, Filter{Manager: store.UserID(by.ID)}, 0, 0, 1)
		if err != nil || len(list) > 0 {
			return Part{Manager: store.UserID(by.ID)}, err
		}
	}
	return Part{}, fault.Denied.Say("Only the reviewers of this review decide. An admin can make you one.")
}

// Decide confirms or removes rows, and tells what became of each: what cannot be done is
// told, and the others are done. Needs Write. Faults: Denied, NotFound, Invalid on "do",
// "rows" or "note", Conflict (it is finished).
func (s *Service) Decide(tx *store.Tx, id ID, in Decision) ([]Outcome, error) {
	r, err := openOne(tx, id, "{{share}}")
	if err != nil {
		return nil, err
	}
	part, err := s.May(tx, r)
	if err != nil {
		return nil, err
	}
	if part.Manager != "" && in.Do == Remove {
		return nil, fault.Denied.Say("A manager decides under the own account.")
	}
	return s.decideIn(tx, r, decider{by: tx.Actor(), part: part, may: tx.MayTouch}, in)
}

// DecideAsManager is Decide for a manager, who has no right to change people: the server
// takes away what the manager removes, unless the person may do more than the manager. tx
// is Muster's, see AsManager.
func (s *Service) DecideAsManager(tx *store.Tx, manager access.Actor, id ID, in Decision) ([]Outcome, error) {
	r, err := openOne(tx, id, "{{share}}")
	if err != nil {
		return nil, err
	}
	if !r.Managers {
		return nil, fault.NotFound.Say("There is no such review here.")
	}
	who := decider{by: manager, part: Part{Manager: store.UserID(manager.ID)}, may: func(u store.User) error {
		return tx.As(manager, func() error { return tx.MayTouch(u) })
	}}
	return s.decideIn(tx, r, who, in)
}

// AsManager is the server, acting as a manager decided.
func AsManager(manager access.Actor) access.Actor {
	muster := access.Muster(manager.Org)
	muster.Name, muster.IP, muster.Request = "Muster, as decided by "+manager.Name, manager.IP, manager.Request
	return muster
}

// decider is who decides, and what of the review, and whether about this person.
type decider struct {
	by   access.Actor
	part Part
	may  func(store.User) error
}

func (s *Service) decideIn(tx *store.Tx, r Review, who decider, in Decision) ([]Outcome, error) {
	in.Note = strings.TrimSpace(in.Note)
	if err := fault.Line("note", in.Note, 500); err != nil {
		return nil, err
	}
	switch {
	case in.Do != Confirm && in.Do != Remove && in.Do != Reopen:
		return nil, fault.Invalid.On("do", "Choose what to do: confirm or remove.")
	case in.Person == "" && len(in.Rows) == 0:
		return nil, fault.Invalid.On("rows", "Tick what you mean first.")
	case len(in.Rows) > MaxAtOnce:
		return nil, fault.Invalid.On("rows", "These are %d rows; %d can be decided at once.", len(in.Rows), MaxAtOnce)
	}
	rows, err := heldRows(tx, r.ID, in.Rows, in.Person, who.part.Manager)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || in.Person == "" && len(rows) < len(distinct(in.Rows)) {
		return nil, fault.NotFound.Say("One of these rows is not in this review, or not yours to decide.")
	}
	if in.Person != "" { // what is decided is not meant
		rows = undecided(rows)
	}
	if len(rows) > MaxAtOnce {
		return nil, fault.Invalid.On("rows", "These are %d rows; %d can be decided at once.", len(rows), MaxAtOnce)
	}
	gone, err := goneOf(tx, rows)
	if err != nil {
		return nil, err
	}
	out := make([]Outcome, len(rows))
	of := map[string][]int{}
	for i, row := range rows {
		out[i] = Outcome{Row: row}
		next, err := s.one(tx, in.Do, row, gone[row.N], who)
		if err != nil {
			if refused(err) {
				out[i].Err = err
				continue
			}
			return nil, err
		}
		out[i].Decision = next
		of[next] = append(of[next], row.N)
		if err := s.noteRow(tx, r, out[i].Row, in.Note); err != nil {
			return nil, err
		}
	}
	for decision, ns := range of {
		if err := decide(tx, r.ID, ns, decision, in.Note, who.by); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func undecided(rows []Row) (list []Row) {
	for _, r := range rows {
		if r.Decision == Undecided {
			list = append(list, r)
		}
	}
	return list
}

func distinct(ns []int) map[int]bool {
	set := map[int]bool{}
	for _, n := range ns {
		set[n] = true
	}
	return set
}

// refused tells of what is one row's alone; anything else fails them all.
func refused(err error) bool {
	switch fault.Of(err) {
	case fault.Denied, fault.Conflict, fault.Invalid:
		return fault.Field(err) != "version"
	}
	return false
}

// one makes a change to a row and gives what it is decided then.
func (s *Service) one(tx *store.Tx, do string, row Row, gone bool, who decider) (string, error) {
	switch {
	case do == Reopen && (row.Decision == Confirmed || row.Decision == AtSource):
		return Undecided, nil
	case do == Reopen:
		return "", fault.Conflict.Say("Only what was confirmed, or is to be removed at the source, can be opened again.")
	case row.Decision != Undecided:
		return "", fault.Conflict.Say("%s decided this meanwhile. Nothing was changed.", row.DecidedBy)
	case gone:
		return Gone, nil
	case do == Confirm:
		return Confirmed, nil
	case row.AtSource:
		return AtSource, nil
	case row.implicit():
		return "", fault.Conflict.Say("This is what everybody has without another role. Deactivate the person to end all access.")
	}
	u, err := tx.User(row.Person)
	if fault.Is(err, fault.NotFound) {
		return Gone, nil
	}
	if err != nil {
		return "", err
	}
	err = tx.Try(func() error {
		if err := who.may(u); err != nil {
			return err
		}
		return take(tx, row)
	})
	if fault.Is(err, fault.NotFound) {
		return Gone, nil
	}
	return Removed, err
}

// take takes away what the row is about.
func take(tx *store.Tx, row Row) error {
	if row.Role != "" {
		return tx.Revoke(row.Person, row.Role, row.Reason)
	}
	_, err := tx.LeaveTeam(row.Group, row.Person)
	return err
}

// implicit is the role of those who have none.
func (r Row) implicit() bool { return r.Kind == store.FromDefault && r.Since == 0 }

func (s *Service) noteRow(tx *store.Tx, r Review, row Row, words string) error {
	decision := row.Decision
	if decision == Undecided {
		decision = "reopened"
	}
	detail := map[string]any{"review": r.ID, "name": r.Name, "row": row.N, "decision": decision}
	if row.Role != "" {
		detail["role"] = row.Role
	} else {
		detail["team"] = row.Team
	}
	if words != "" {
		detail["why"] = words
	}
	return tx.Record(store.Activity{Action: "review.decide", TargetKind: "user", TargetID: string(row.Person), TargetName: row.Name, Detail: detail})
}
