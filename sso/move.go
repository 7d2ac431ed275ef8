package sso

import (
	"context"
	"fmt"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// Moving people of one connection to another. What they are called at the other one
// is known of few, so a move writes down whom it expects there and by what: the
// directory's external ID, or an address in a domain that is proved and that the
// other connection speaks for. The first sign-in there links them, and their
// identity at the first one is put aside. Undoing puts everything back.

// MoveLine is what would become of one person.
type MoveLine struct {
	UserID  store.UserID `json:"user_id"`
	Name    string       `json:"name"`
	Outcome string       `json:"outcome"` // key, email, done, ambiguous, left
	How     string       `json:"how"`

	key, email string
	hint       web.Said // the whole of How
}

// What becomes of a person.
const (
	moveByKey     = "key"
	moveByEmail   = "email"
	moveDone      = "done"
	moveAmbiguous = "ambiguous"
	moveLeft      = "left"
)

// Move is a move, or a look at one.
type Move struct {
	ID        store.ID[Move]
	From, To  Connection
	State     string // "" for a dry run; open, undone
	StartedBy string
	StartedAt store.Time
	Lines     []MoveLine
}

// Counts of the lines by outcome.
func (m Move) Counts() map[string]int {
	n := map[string]int{}
	for _, l := range m.Lines {
		n[l.Outcome]++
	}
	return n
}

func twoConnections(tx *store.Tx, from, to ConnectionID) (a, b Connection, err error) {
	if err = tx.Require(access.Configure); err != nil {
		return a, b, err
	}
	if a, err = connectionIn(tx, from); err != nil {
		return a, b, err
	}
	if b, err = connectionIn(tx, to); err != nil {
		return a, b, err
	}
	if from == to {
		return a, b, fault.Invalid.On("to", "People of %s are there already. Choose another connection.", a.Name)
	}
	return a, b, nil
}

// planMove says what would become of everybody who has a live identity at from.
func (d *Door) planMove(tx *store.Tx, from, to Connection) ([]MoveLine, error) {
	var users []store.UserID
	if err := tx.Select(&users, "SELECT user_id FROM identities WHERE org_id = ? AND connection_id = ? AND state = 'live' ORDER BY user_id LIMIT ?", tx.Org(), from.ID, maxRekeyed); err != nil {
		return nil, err
	}
	var there []store.UserID
	if err := tx.Select(&there, "SELECT user_id FROM identities WHERE org_id = ? AND connection_id = ? AND state = 'live' ORDER BY user_id LIMIT ?", tx.Org(), to.ID, maxRekeyed); err != nil {
		return nil, err
	}
	done := map[store.UserID]bool{}
	for _, id := range there {
		done[id] = true
	}
	lines, seen := make([]MoveLine, 0, len(users)), map[string]int{}
	for _, id := range users {
		u, err := tx.AnyUser(id)
		if err != nil {
			return nil, err
		}
		l := MoveLine{UserID: id, Name: u.DisplayName, Outcome: moveDone, How: howThere}
		if !done[id] {
			if l, err = d.expectation(tx, to, u); err != nil {
				return nil, err
			}
		}
		seen["key "+l.key]++
		seen["email "+l.email]++
		lines = append(lines, l)
	}
	for i, l := range lines {
		if l.key != "" && seen["key "+l.key] > 1 || l.email != "" && seen["email "+l.email] > 1 {
			lines[i].Outcome, lines[i].How, lines[i].hint, lines[i].key, lines[i].email = moveAmbiguous, howSomebody, web.Said{}, "", ""
		}
	}
	return lines, nil
}

// expectation is by what a person can be known at the other connection.
func (d *Door) expectation(tx *store.Tx, to Connection, u store.User) (MoveLine, error) {
	l := MoveLine{UserID: u.ID, Name: u.DisplayName, Outcome: moveLeft}
	if alive(u) != nil || u.BreakGlass {
		l.How = fmt.Sprintf(howStatus, u.Status)
		return l, nil
	}
	if u.DirectoryID != "" && u.ExternalID != "" {
		l.key = u.ExternalID
	}
	if u.Email == "" {
		l.How = howNameless
	} else {
		v := visit{d: d, tx: tx, c: to, a: answer.Profile{Email: u.Email, EmailSaid: answer.SaidYes}}
		may, err := v.mayLink()
		if err != nil {
			return l, err
		}
		if may == nil {
			l.email = store.Fold(u.Email)
		} else {
			l.How, l.hint = may.hint.String(), may.hint
		}
	}
	switch {
	case l.key != "":
		l.hint = web.Said{}
		l.Outcome, l.How = moveByKey, fmt.Sprintf(howByKey, l.key)
	case l.email != "":
		l.Outcome, l.How = moveByEmail, fmt.Sprintf(howByAddress, u.Email)
	}
	return l, nil
}

// PlanMove is the dry run: nothing is written. Faults: Denied, NotFound, Invalid on "to".
func (d *Door) PlanMove(ctx context.Context, actor access.Actor, from, to ConnectionID) (m Move, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if m.From, m.To, err = twoConnections(tx, from, to); err != nil {
			return err
		}
		m.Lines, err = d.planMove(tx, m.From, m.To)
		return err
	})
	return m, err
}

// StartMove writes down whom to expect at the other connection. Faults: Denied,
// NotFound, Invalid on "to", Conflict (a move between the two is open).
func (d *Door) StartMove(ctx context.Context, actor access.Actor, from, to ConnectionID) (m Move, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		a, b, err := twoConnections(tx, from, to)
		if err != nil {
			return err
		}
		m = Move{ID: store.NewID[Move](), From: a, To: b, State: "open", StartedBy: actor.Name, StartedAt: tx.Now()}
		for _, id := range []ConnectionID{min(from, to), max(from, to)} { // in one order, whatever the direction
			if err := lockFirst(tx, id); err != nil {
				return err
			}
		}
		var n int
		if err := tx.Get(&n, "SELECT COUNT(*) FROM sso_moves WHERE org_id = ? AND from_id = ? AND to_id = ? AND state = 'open'", tx.Org(), from, to); err != nil {
			return err
		}
		if n > 0 {
			return fault.Conflict.On("to", "People of %s are being moved to %s already. Undo that first.", a.Name, b.Name)
		}
		if m.Lines, err = d.planMove(tx, a, b); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO sso_moves (org_id, id, from_id, to_id, state, started_by, started_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
			tx.Org(), m.ID, from, to, m.State, m.StartedBy, m.StartedAt); err != nil {
			return err
		}
		for _, l := range m.Lines {
			for kind, value := range map[string]string{moveByKey: l.key, moveByEmail: l.email} {
				if value == "" {
					continue
				}
				if _, err := tx.Exec(`INSERT INTO sso_expected (org_id, connection_id, kind, value_key, user_id, move_id) VALUES (?, ?, ?, ?, ?, ?)
					ON CONFLICT (org_id, connection_id, kind, value_key) DO UPDATE SET user_id = excluded.user_id, move_id = excluded.move_id`,
					tx.Org(), to, kind, value, l.UserID, m.ID); err != nil {
					return err
				}
			}
		}
		return recordMove(tx, "connection.move.start", m)
	})
	return m, err
}

// UndoMove puts back who was moved, and expects nobody any more. Faults: Denied,
// NotFound, Conflict (undone before).
func (d *Door) UndoMove(ctx context.Context, actor access.Actor, id store.ID[Move]) (m Move, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if m, err = moveIn(tx, id, tx.ForUpdate()); err != nil {
			return err
		}
		if m.State != "open" {
			return fault.Conflict.Say("That move was undone before.")
		}
		for _, id := range []ConnectionID{min(m.From.ID, m.To.ID), max(m.From.ID, m.To.ID)} {
			if err := lockFirst(tx, id); err != nil {
				return err
			}
		}
		for _, statement := range []string{
			"DELETE FROM sso_expected WHERE org_id = ? AND move_id = ?",
			"UPDATE identities SET state = 'retired' WHERE org_id = ? AND state = 'live' AND state_by = ?",
		} {
			if _, err := tx.Exec(statement, tx.Org(), id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`UPDATE identities SET state = 'live', state_by = '' WHERE org_id = ? AND connection_id = ? AND state = 'retired' AND state_by = ?
			AND NOT EXISTS (SELECT 1 FROM identities o WHERE o.org_id = identities.org_id AND o.connection_id = identities.connection_id AND o.user_id = identities.user_id AND o.state = 'live')`,
			tx.Org(), m.From.ID, id); err != nil {
			return err
		}
		m.State = "undone"
		if _, err := tx.Exec("UPDATE sso_moves SET state = ?, ended_at = ? WHERE org_id = ? AND id = ?", m.State, tx.Now(), tx.Org(), id); err != nil {
			return err
		}
		return recordMove(tx, "connection.move.undo", m)
	})
	return m, err
}

func recordMove(tx *store.Tx, action string, m Move) error {
	return tx.Record(store.Activity{Action: action, TargetKind: "connection", TargetID: string(m.From.ID), TargetName: m.From.Name,
		Detail: map[string]any{"move": m.ID, "to": m.To.ID, "to_name": m.To.Name, "people": m.Counts()}})
}

type moveRow struct {
	ID        store.ID[Move] `db:"id"`
	From      ConnectionID   `db:"from_id"`
	To        ConnectionID   `db:"to_id"`
	State     string         `db:"state"`
	StartedBy string         `db:"started_by"`
	StartedAt store.Time     `db:"started_at"`
}

const selectMoves = "SELECT id, from_id, to_id, state, started_by, started_at FROM sso_moves"

func moveIn(tx *store.Tx, id store.ID[Move], lock string) (Move, error) {
	var r moveRow
	err := tx.Get(&r, selectMoves+" WHERE org_id = ? AND id = ?"+lock, tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return Move{}, fault.NotFound.On("move", "There is no such move.")
	}
	if err != nil {
		return Move{}, err
	}
	return r.move(tx)
}

func (r moveRow) move(tx *store.Tx) (m Move, err error) {
	m = Move{ID: r.ID, State: r.State, StartedBy: r.StartedBy, StartedAt: r.StartedAt}
	if m.From, err = connectionIn(tx, r.From); err != nil {
		return m, err
	}
	m.To, err = connectionIn(tx, r.To)
	return m, err
}

// Moves are the open moves away from a connection, each with its people as they
// stand. Faults: Denied, NotFound.
func (d *Door) Moves(ctx context.Context, actor access.Actor, from ConnectionID) (list []Move, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if _, err := connectionIn(tx, from); err != nil {
			return err
		}
		var rows []moveRow
		if err := tx.Select(&rows, selectMoves+" WHERE org_id = ? AND from_id = ? AND state = 'open' ORDER BY started_at LIMIT 50", tx.Org(), from); err != nil {
			return err
		}
		for _, r := range rows {
			m, err := r.move(tx)
			if err != nil {
				return err
			}
			if m.Lines, err = d.planMove(tx, m.From, m.To); err != nil {
				return err
			}
			list = append(list, m)
		}
		return nil
	})
	return list, err
}

// expected finds whom a move expects. The zero user: nobody.
func (v *visit) expected() (store.User, error) {
	for _, key := range v.a.Keys {
		u, err := v.expectedBy(moveByKey, key)
		if err != nil || u.ID != "" {
			return u, err
		}
	}
	if v.a.Email == "" {
		return store.User{}, nil
	}
	u, err := v.expectedBy(moveByEmail, store.Fold(v.a.Email))
	if err != nil || u.ID == "" {
		return u, err
	}
	may, err := v.mayLink() // the word of this very answer counts, too
	if err != nil || may != nil || store.Fold(u.Email) != store.Fold(v.a.Email) {
		return store.User{}, err
	}
	return u, nil
}

func (v *visit) expectedBy(kind, value string) (store.User, error) {
	var row struct {
		User store.UserID   `db:"user_id"`
		Move store.ID[Move] `db:"move_id"`
	}
	err := v.tx.Get(&row, "SELECT user_id, move_id FROM sso_expected WHERE org_id = ? AND connection_id = ? AND kind = ? AND value_key = ?", v.tx.Org(), v.c.ID, kind, value)
	if fault.Is(err, fault.NotFound) {
		return store.User{}, nil
	}
	if err != nil {
		return store.User{}, err
	}
	u, err := v.tx.AnyUser(row.User)
	if err != nil || alive(u) != nil {
		return store.User{}, err
	}
	v.move = row.Move
	return u, nil
}

// moved ends a person's part in a move: the identity at the former connection is put
// aside and nobody is expected any more.
func (v *visit) moved(u store.User) error {
	if v.move == "" {
		return nil
	}
	m, err := moveIn(v.tx, v.move, "")
	if err != nil && !fault.Is(err, fault.NotFound) { // the former connection may be gone
		return err
	}
	if err == nil {
		if _, err := v.tx.Exec("UPDATE identities SET state = 'retired', state_by = ? WHERE org_id = ? AND connection_id = ? AND user_id = ? AND state = 'live'",
			v.move, v.tx.Org(), m.From.ID, u.ID); err != nil {
			return err
		}
	}
	if _, err := v.tx.Exec("DELETE FROM sso_expected WHERE org_id = ? AND move_id = ? AND user_id = ?", v.tx.Org(), v.move, u.ID); err != nil {
		return err
	}
	return recordLink(v.tx, "user.identity.move", u, v.c, v.a.Subject, "moved from "+m.From.Name)
}

// putAside refuses a subject that an admin has unlinked or moved away: the ordinary
// order would link it again at once.
func (v *visit) putAside() error {
	var by string
	err := v.tx.Get(&by, "SELECT state_by FROM identities WHERE org_id = ? AND connection_id = ? AND subject_kind = ? AND subject = ? AND state = 'retired'",
		v.tx.Org(), v.c.ID, v.a.SubjectKind, v.a.Subject)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if by == unlinked {
		return refuse(http.StatusForbidden, "unlinked", web.Say("This sign-in was unlinked from your account here. Ask your administrator."),
			web.Say("An admin has unlinked it. It can be used again or linked to somebody on the person's page (Identities)."))
	}
	id, err := store.ParseID[Move](by)
	if err != nil {
		return nil // of a re-key that is over
	}
	m, err := moveIn(v.tx, id, "")
	if fault.Is(err, fault.NotFound) || err == nil && m.State != "open" {
		return nil
	}
	if err != nil {
		return err
	}
	return refuse(http.StatusForbidden, "moved", web.Say("You sign in over %s now.", m.To.Name), web.Say("An admin has moved the people of this connection. Undo the move on the connection's page if that was wrong."))
}

// unlinked is what put an identity aside when an admin did.
const unlinked = "unlink"
