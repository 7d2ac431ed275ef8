package store

import (
	"slices"

	"github.com/muster-id/muster/internal/access"
)

// Vacancies are the seats as they are at this moment, given out in thought: for pages,
// which do not offer what the limits would refuse.
type Vacancies struct {
	tx      *Tx
	rows    []seatRow
	given   map[string]int64
	counted bool
}

// Vacancies reads them. Faults: Denied.
func (tx *Tx) Vacancies() (*Vacancies, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	rows, err := tx.seatRows()
	return &Vacancies{tx: tx, rows: rows, given: map[string]int64{}}, err
}

// Give gives each of these people, who have none, a seat, and says why for whom there is none
// left: Conflict on "seats".
func (v *Vacancies) Give(ids ...UserID) (refused map[UserID]error, err error) {
	var held map[UserID][]Grant
	if len(v.rows) > 1 { // the roles decide about the license
		if held, err = v.tx.RolesOf(ids); err != nil {
			return nil, err
		}
	}
	refused = map[UserID]error{}
	for _, id := range ids {
		none, err := v.take("", licenseFor(v.rows, RoleNames(held[id])))
		if err != nil {
			return nil, err
		}
		if none != nil {
			refused[id] = none
		}
	}
	return refused, nil
}

// Move gives each of these people, who have a seat, that of the license which they have when
// roles come or go, and says why for whom there is none left: Conflict on "seats".
func (v *Vacancies) Move(come, gone []string, ids ...UserID) (refused map[UserID]error, err error) {
	if len(v.rows) < 2 || len(ids) == 0 {
		return nil, nil
	}
	held, err := v.tx.RolesOf(ids)
	if err != nil {
		return nil, err
	}
	refused = map[UserID]error{}
	for _, id := range ids {
		was, is := moved(v.rows, held[id], come, gone)
		if is == was {
			continue
		}
		if is != "" {
			none, err := v.take(is)
			if err != nil {
				return nil, err
			}
			if none != nil {
				refused[id] = none
				continue
			}
		}
		if was != "" { // else there was none to give back: "" is everybody's
			v.add(-1, was)
		}
	}
	return refused, nil
}

// take gives a seat of each of these licenses, or says why not.
func (v *Vacancies) take(licenses ...string) (none, err error) {
	r, over := without(v.rows, licenses)
	if over && !v.counted {
		if err := v.count(); err != nil {
			return nil, err
		}
		r, over = without(v.rows, licenses)
	}
	if over {
		return full(r), nil
	}
	v.add(1, licenses...)
	return nil, nil
}

func (v *Vacancies) add(n int64, licenses ...string) {
	for i := range v.rows {
		if l := v.rows[i].License; slices.Contains(licenses, l) {
			v.rows[i].Used += n
			v.given[l] += n
		}
	}
}

// count finds out whether somebody has left since it was counted.
func (v *Vacancies) count() error {
	v.counted = true
	if err := v.tx.countSeats(v.rows); err != nil {
		return err
	}
	for i := range v.rows {
		v.rows[i].Used += v.given[v.rows[i].License]
	}
	return nil
}
