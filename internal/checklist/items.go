package checklist

import (
	"encoding/json"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// ItemID names a task of a person.
type ItemID = store.ID[Item]

// The states of a task.
const (
	Open    = "open"
	Done    = "done"
	Dropped = "dropped" // the person came back
)

// Item is a task of one person.
type Item struct {
	ID        ItemID       `db:"id"`
	User      store.UserID `db:"user_id"`
	Name      string       `db:"name"`
	List      string       `db:"list"`
	Title     string       `db:"title"`
	Note      string       `db:"note"`
	Assignee  store.UserID `db:"assignee_id"` // empty: an admin
	Who       string       `db:"who"`
	Auto      string       `db:"auto"`
	StartedAt store.Time   `db:"started_at"`
	DueAt     store.Time   `db:"due_at"`
	State     string       `db:"state"`
	EndedBy   string       `db:"ended_by"`
	EndedAt   store.Time   `db:"ended_at"`
}

const itemColumns = `SELECT i.id, i.user_id, COALESCE(NULLIF(u.display_name, ''), u.user_name, '') AS name, i.list, i.title, i.note, i.assignee_id, COALESCE(a.display_name, '') AS who,
	i.auto, i.started_at, i.due_at, i.state, i.ended_by, i.ended_at
	FROM checklist_items i LEFT JOIN users u ON u.org_id = i.org_id AND u.id = i.user_id LEFT JOIN users a ON a.org_id = i.org_id AND a.id = i.assignee_id`

// Query chooses tasks, the one that is due first at the head.
type Query struct {
	State    string       // Open when empty; Done
	Late     bool         // only what is overdue
	Assignee store.UserID // only somebody's
	After    string       // what Page.Next said
	Limit    int          // 50 when 0, 200 at most
}

// Page is some of the tasks.
type Page struct {
	Items []Item
	Next  string
}

// place is where a page ends.
type place struct {
	At store.Time `json:"a"`
	ID ItemID     `json:"i"`
}

// List is a page of tasks across people. Faults: Denied, unless they are the actor's own;
// Invalid on "state" or "after".
func (s *Service) List(tx *store.Tx, q Query) (Page, error) {
	if own := tx.Actor().Kind == access.Person && q.Assignee != "" && tx.Actor().ID == string(q.Assignee); !own {
		if err := tx.Require(access.ViewUsers); err != nil {
			return Page{}, err
		}
	}
	if q.State == "" {
		q.State = Open
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 200)
	query, args := itemColumns+" WHERE i.org_id = ?", []any{tx.Org()}
	switch q.State { // said in the text, so that the index of the state is used
	case Open:
		query += " AND i.state = 'open'"
	case Done:
		query += " AND i.state = 'done'"
	default:
		return Page{}, fault.Invalid.On("state", "There is no state %.40q. It is open or done.", q.State)
	}
	if q.Assignee != "" {
		query, args = query+" AND i.assignee_id = {{as_id}}", append(args, q.Assignee)
	}
	if q.Late {
		query, args = query+" AND i.due_at < ?", append(args, tx.Now())
	}
	if q.After != "" {
		var at place
		if json.Unmarshal([]byte(q.After), &at) != nil || len(at.ID) != 32 || strings.Trim(string(at.ID), "0123456789abcdef") != "" {
			return Page{}, fault.Invalid.On("after", "%.40q is no place in this list. Take it from the page before.", q.After)
		}
		query, args = query+" AND (i.due_at, i.id) > (?, {{as_id}})", append(args, at.At, at.ID)
	}
	p := Page{Items: []Item{}}
	if err := tx.Select(&p.Items, query+" ORDER BY i.due_at, i.id LIMIT ?", append(args, q.Limit+1)...); err != nil {
		return p, err
	}
	if len(p.Items) > q.Limit {
		p.Items = p.Items[:q.Limit]
		last := p.Items[q.Limit-1]
		next, err := json.Marshal(place{last.DueAt, last.ID})
		if err != nil {
			return p, err
		}
		p.Next = string(next)
	}
	return p, nil
}

// Of are all tasks of one person, at most 200. Faults: Denied.
func (s *Service) Of(tx *store.Tx, user store.UserID) ([]Item, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	list := []Item{}
	return list, tx.Select(&list, itemColumns+" WHERE i.org_id = ? AND i.user_id = {{as_id}} ORDER BY i.due_at, i.id LIMIT 200", tx.Org(), user)
}

// Tick says that a task is done, and Untick that it is not; who is second is told. An admin
// may, and whoever is to do it. Needs Write. Faults: Denied, NotFound, Conflict.
func (s *Service) Tick(tx *store.Tx, id ItemID) (Item, error) {
	return s.turn(tx, id, Open, Done, "checklist.done")
}

// Untick takes a tick back. Faults as Tick.
func (s *Service) Untick(tx *store.Tx, id ItemID) (Item, error) {
	return s.turn(tx, id, Done, Open, "checklist.undone")
}

func (s *Service) turn(tx *store.Tx, id ItemID, from, to, action string) (Item, error) {
	var i Item
	err := tx.Get(&i, itemColumns+" WHERE i.org_id = ? AND i.id = {{as_id}}", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return i, fault.NotFound.Wrap(err, "There is no such task here.")
	}
	if err != nil {
		return i, err
	}
	by := tx.Actor()
	if mine := by.Kind == access.Person && by.ID == string(i.Assignee) && i.Assignee != ""; !mine {
		if tx.Require(access.EditUsers) != nil {
			if tx.Require(access.ViewUsers) != nil {
				return i, fault.NotFound.Say("There is no such task here.")
			}
			return i, fault.Denied.Say("Only an admin, or whoever is to do it, can say that this is done.")
		}
	}
	at := tx.Now()
	name, who := by.Name, by.ID
	if to == Open {
		at, name, who = 0, "", ""
	}
	n, err := tx.Exec("UPDATE checklist_items SET state = ?, ended_by = ?, ended_by_id = ?, ended_at = ? WHERE org_id = ? AND id = ? AND state = ?", to, name, who, at, tx.Org(), id, from)
	if err != nil {
		return i, err
	}
	if n == 0 {
		if err := tx.Get(&i, itemColumns+" WHERE i.org_id = ? AND i.id = {{as_id}}", tx.Org(), id); err != nil {
			return i, err
		}
		if i.State == Done {
			return i, fault.Conflict.Say("%s was done by %s already.", i.Title, i.EndedBy)
		}
		return i, fault.Conflict.Say("%s is not done. Nothing was changed.", i.Title)
	}
	i.State, i.EndedBy, i.EndedAt = to, name, at
	return i, tx.Record(store.Activity{Action: action, TargetKind: "user", TargetID: string(i.User), TargetName: i.Name, Detail: map[string]any{"task": i.Title, "list": i.List}})
}

// Forget takes the name of somebody who is removed for good off what they ticked.
func Forget(tx *store.Tx, user store.UserID) error {
	_, err := tx.Exec("UPDATE checklist_items SET ended_by = ? WHERE org_id = ? AND ended_by_id = ? AND ended_by_id <> ''", "Removed person", tx.Org(), user)
	return err
}
