package store

import (
	"database/sql"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
)

// setActive deactivates or reactivates somebody of the directory acting and gives
// back what is not known before, so that nothing need be read before or after. SQLite
// takes no activity row in the same statement, and a read there costs no round trip.
const setActive = `WITH head AS (UPDATE users SET status = ?, ` + activeFrom + `, ended_by = ?, version = version + 1, updated_at = ?
	WHERE org_id = ? AND id = ? AND directory_id = ? AND status = ? AND NOT break_glass`

const setActiveTells = ` RETURNING display_name, doc, version, created_at`

// The texts are put together once: they are longer than everything else that a
// command makes.
var (
	setActiveAlone  = setActive + setActiveTells + recordOfHead
	setActiveGroups = setActive + setActiveTells + groupsOfDirectory + recordOfHead
	seatedAlone     = setActive + whileUnlimited + setActiveTells + recordOfHead
	seatedGroups    = setActive + whileUnlimited + setActiveTells + groupsOfDirectory + recordOfHead
)

// recordOfHead finds the name by itself.
var recordOfHead = `),
	record AS (` + strings.Replace(insertActivity, "{{as_text}}, {{as_text}}{{end_row}}", "(SELECT display_name FROM head), {{as_text}}{{end_row}}", 1) + `)
	SELECT * FROM head`

// setActiveTogether is the same for several people, of whom those are left out whom somebody holds.
func setActiveTogether(gate, tells string) string {
	return askedBy() + heldUsers + ",\n\t" + strings.Replace(strings.TrimPrefix(setActive, "WITH "), "AND id = ? AND", "AND id = ANY(ARRAY(SELECT id FROM held)) AND", 1) +
		gate + tells + ", id)" + recordAsked("a.target", "h.display_name") + "\n\tSELECT * FROM head"
}

var (
	setActiveManyAlone  = setActiveTogether("", setActiveTells)
	setActiveManyGroups = setActiveTogether("", setActiveTells+groupsOfDirectory)
	seatedManyAlone     = setActiveTogether(whileUnlimited, setActiveTells)
	seatedManyGroups    = setActiveTogether(whileUnlimited, setActiveTells+groupsOfDirectory)
)

// activation is one call of SetActive.
type activation struct {
	id             UserID
	active, groups bool
	from, to       Status
	by             access.Kind
	record         []any

	name   string
	nested bool
	u      User
}

// SetActive is UpdateUser with a status alone, for a directory and one of its active
// or deactivated people, in one statement and without reading (measured: half of the
// time of reading first), which it shares with others that come at the same time. It gives what ShownUser does. It tells whether it did
// that; if not, UpdateUser knows what to do. Fit for Command, as its only change. Faults: Denied.
func (tx *Tx) SetActive(id UserID, active, groups bool) (u User, done bool, err error) {
	if !tx.db.d.oneStmt || tx.actor.Kind != access.Directory {
		return u, false, nil
	}
	if err := tx.Require(access.EndUsers); err != nil {
		return u, false, err
	}
	a := activation{id: id, active: active, groups: groups, from: Active, to: Deactivated, by: tx.actor.Kind}
	what := "deactivate"
	if active {
		what, a.from, a.to, a.by = "reactivate", Deactivated, Active, ""
	}
	act := Activity{Action: "user." + what, TargetKind: "user", TargetID: string(id),
		Detail: map[string]any{"before": map[string]any{"status": a.from}, "after": map[string]any{"status": a.to}}}
	if a.record, err = tx.activityArgs(&act); err != nil {
		return u, false, err
	}
	if err := tx.changing(setActive); err != nil {
		return u, false, err
	}
	if groups {
		what += " and show groups"
	}
	r := &rider{id: string(id), ask: &a}
	alone := func() (err error) { r.done, err = tx.setActiveAlone(&a); return err }
	if err = tx.together(what, r, tx.setActiveOfAll, alone); err != nil || !r.done {
		return User{}, false, err
	}
	if groups {
		a.u, err = tx.withIndirect(groupedUser{a.u, a.nested})
	}
	act.TargetName = a.name
	tx.tell(act)
	return a.u, true, err
}

// args of setActive, with those of who is meant and what is told behind them.
func (tx *Tx) activationArgs(a *activation, before, who []any) []any {
	now := a.record[2]
	args := append(append(make([]any, 0, 32), before...), a.to, a.to, now, a.by, now, tx.Org())
	args = append(append(args, who...), tx.actor.ID, a.from)
	if a.active { // it takes a seat: with limits, UpdateUser decides
		args = append(args, tx.Org())
	}
	if a.groups {
		args = append(args, tx.Org(), tx.Org(), tx.actor.ID)
	}
	return args
}

func (a *activation) choose(alone, withGroups, seated, seatedWithGroups string) string {
	switch {
	case a.active && a.groups:
		return seatedWithGroups
	case a.active:
		return seated
	case a.groups:
		return withGroups
	}
	return alone
}

// scan reads a row of the statement, and what more it has.
func (a *activation) scan(rows *sqlx.Rows, more ...any) error {
	var list sql.RawBytes
	dest := append(make([]any, 0, 7), &a.name, &a.u.Doc, &a.u.Version, &a.u.CreatedAt)
	if a.groups {
		dest = append(dest, &a.nested, &list)
	}
	err := rows.Scan(append(dest, more...)...)
	if err == nil && a.groups {
		a.u.Groups, err = groupList(list)
	}
	a.u.ID, a.u.Status, a.u.UpdatedAt = a.id, a.to, a.record[2].(Time)
	return err
}

func (tx *Tx) setActiveAlone(a *activation) (done bool, err error) {
	args := tx.activationArgs(a, nil, []any{a.id})
	name := len(a.record) - 2 // which the statement finds
	args = append(append(args, a.record[:name]...), a.record[name+1])
	err = tx.byKey(a.choose(setActiveAlone, setActiveGroups, seatedAlone, seatedGroups), args, func(rows *sqlx.Rows) error {
		done = true
		return a.scan(rows)
	})
	return done, err
}

func (tx *Tx) setActiveOfAll(list []*rider) error {
	first := list[0].ask.(*activation)
	args := askedArgs(list, func(ask any) ([]any, []string) { return ask.(*activation).record, nil })
	args = append(tx.activationArgs(first, append(args, tx.Org()), nil), recordAskedArgs(first.record)...)
	var came []*rider
	err := tx.byKey(first.choose(setActiveManyAlone, setActiveManyGroups, seatedManyAlone, seatedManyGroups), args, func(rows *sqlx.Rows) error {
		read := activation{groups: first.groups, to: first.to, record: first.record}
		if err := read.scan(rows, &read.id); err != nil {
			return err
		}
		if r := byID(list, read.id); r != nil {
			a := r.ask.(*activation)
			a.name, a.u, a.nested = read.name, read.u, read.nested
			came = append(came, r)
		}
		return nil
	})
	return happened(came, err)
}
