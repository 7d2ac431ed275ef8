package policy

import (
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// SignIn is a sign-in of a break-glass account that no admin has acknowledged.
type SignIn struct {
	ID   store.ID[SignIn] `db:"id"`
	User store.UserID     `db:"user_id"`
	Name string           `db:"name"`
	IP   string           `db:"ip"`
	At   store.Time       `db:"at"`
}

// alarm tells everybody who must know that a break-glass account signs in.
func (d *Door) alarm(tx *store.Tx, user store.UserID, left int) error {
	who, err := personIn(tx, user)
	if err != nil {
		return err
	}
	id, ip := store.NewID[SignIn](), tx.Actor().IP
	if _, err := tx.Exec("INSERT INTO break_glass_signins (org_id, id, user_id, name, ip, at) VALUES (?, ?, ?, ?, ?, ?)",
		tx.Org(), id, user, who.Name, ip, tx.Now()); err != nil {
		return err
	}
	if err := tx.Record(store.Activity{Action: "breakglass.signin", TargetKind: "user", TargetID: string(user), TargetName: who.Name,
		Detail: map[string]any{"codes_left": left}}); err != nil {
		return err
	}
	used := web.Say("The break-glass account %s was used to sign in on %s.", who.Name, tx.Now())
	if ip != "" {
		used = web.Say("The break-glass account %s was used to sign in on %s from %s.", who.Name, tx.Now(), ip)
	}
	return d.tell(tx, web.Notice{Subject: web.Say("Break-glass sign-in: %s", who.Name),
		Lines: []web.Said{
			used,
			web.Say("If you know why, acknowledge it in the console. If nobody does, deactivate the account and make sure of who has its password and recovery codes."),
		},
		Button: web.Say("Look at it"), Path: "/security"})
}

func (d *Door) tell(tx *store.Tx, n web.Notice) error {
	if d.opt.Tell == nil {
		return nil
	}
	return d.opt.Tell(tx, n)
}

// Unseen are the sign-ins of break-glass accounts that nobody has acknowledged.
func (d *Door) Unseen(ctx context.Context, actor access.Actor) (list []SignIn, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		list, err = unseen(tx)
		return err
	})
	return list, err
}

func unseen(tx *store.Tx) (list []SignIn, err error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	return list, tx.Select(&list, "SELECT id, user_id, name, ip, at FROM break_glass_signins WHERE org_id = ? AND seen_at = 0 ORDER BY at DESC LIMIT 20", tx.Org())
}

// Acknowledge ends the alarm of one sign-in. Whoever signed in cannot do it for
// themself. Faults: Denied, NotFound.
func (d *Door) Acknowledge(ctx context.Context, actor access.Actor, id store.ID[SignIn]) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		var s SignIn
		err := tx.Get(&s, "SELECT id, user_id, name, ip, at FROM break_glass_signins WHERE org_id = ? AND id = ? AND seen_at = 0", tx.Org(), id)
		if fault.Is(err, fault.NotFound) {
			return fault.NotFound.Wrap(err, "Somebody has acknowledged this already.")
		}
		if err != nil {
			return err
		}
		if actor.ID == string(s.User) {
			return fault.Denied.Say("This was your own sign-in. Another admin must acknowledge it.")
		}
		if _, err := tx.Exec("UPDATE break_glass_signins SET seen_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), id); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "breakglass.acknowledge", TargetKind: "user", TargetID: string(s.User), TargetName: s.Name,
			Detail: map[string]any{"signed_in_at": s.At.RFC3339()}})
	})
}
