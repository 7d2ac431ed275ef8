package sso

import (
	"context"
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// The states of a re-key.
const (
	rekeyTransition = "transition"
	rekeyFinished   = "finished"
	rekeyUndone     = "undone"
)

// StartRekey begins the transition. Faults: Denied, NotFound, Invalid on "subject",
// Conflict (one is running).
func (d *Door) StartRekey(ctx context.Context, actor access.Actor, id ConnectionID, source string) (k Rekey, err error) {
	err = d.rekey(ctx, actor, id, func(tx *store.Tx, c *Connection) error {
		if err := checkSource(*c, source); err != nil {
			return err
		}
		switch {
		case c.Config.Rekey != "":
			return fault.Conflict.Say("%s is being re-keyed to %s. Finish or undo that first.", c.Name, c.Config.Rekey)
		case c.Config.Subject == source:
			return fault.Conflict.Say("People of %s are known by %s already.", c.Name, source)
		}
		k = Rekey{Connection: *c, Subject: source, Was: c.Config.Subject, State: rekeyTransition, StartedBy: actor.Name, StartedAt: tx.Now(), id: store.NewID[Rekey]()}
		if k.Lines, err = planRekey(tx, *c, source); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO sso_rekeys (org_id, connection_id, id, was, subject, state, started_by, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			tx.Org(), c.ID, k.id, k.Was, k.Subject, k.State, k.StartedBy, k.StartedAt); err != nil {
			return err
		}
		for i, l := range k.Lines {
			if l.Outcome != rekeyMatched && l.Outcome != rekeyDirectory {
				continue
			}
			if err := bind(tx, identity{Connection: c.ID, Kind: source, Subject: l.New, User: l.UserID, State: identityNext, By: string(k.id), How: fmt.Sprintf(howRekeyed, l.How)}); err != nil {
				return err
			}
			k.Lines[i].Outcome = rekeyDone
		}
		c.Config.Rekey = source
		return recordRekey(tx, "connection.rekey.start", *c, k)
	})
	return k, err
}

// FinishRekey makes the new key the only one. Who has none yet is linked again by the
// ordinary order at the next sign-in. Faults: Denied, NotFound (none is running).
func (d *Door) FinishRekey(ctx context.Context, actor access.Actor, id ConnectionID) (k Rekey, err error) {
	err = d.rekey(ctx, actor, id, func(tx *store.Tx, c *Connection) error {
		if k, err = running(tx, *c); err != nil {
			return err
		}
		if k.Lines, err = planRekey(tx, *c, k.Subject); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE identities SET state = 'retired', state_by = ? WHERE org_id = ? AND connection_id = ? AND state = 'live' AND subject_kind <> ?",
			k.id, tx.Org(), c.ID, k.Subject); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE identities SET state = 'live', state_by = ? WHERE org_id = ? AND connection_id = ? AND state = 'next'", k.id, tx.Org(), c.ID); err != nil {
			return err
		}
		k.State, c.Config.Subject, c.Config.Rekey = rekeyFinished, k.Subject, ""
		return endRekey(tx, "connection.rekey.finish", *c, k)
	})
	return k, err
}

// UndoRekey goes back to the old key: of a running re-key, or of the last one that was
// finished. Faults: Denied, NotFound, Conflict (it was undone before).
func (d *Door) UndoRekey(ctx context.Context, actor access.Actor, id ConnectionID) (k Rekey, err error) {
	err = d.rekey(ctx, actor, id, func(tx *store.Tx, c *Connection) error {
		if k, err = newestRekey(tx, *c); err != nil {
			return err
		}
		switch k.State {
		case rekeyTransition:
			// Who came in by the new key alone has no other: found again by the ordinary order.
			if _, err := tx.Exec("UPDATE identities SET state = 'retired', state_by = ? WHERE org_id = ? AND connection_id = ? AND (state = 'next' OR state = 'live' AND subject_kind = ?)",
				k.id, tx.Org(), c.ID, k.Subject); err != nil {
				return err
			}
		case rekeyFinished:
			if _, err := tx.Exec("UPDATE identities SET state = 'retired', state_by = '' WHERE org_id = ? AND connection_id = ? AND state = 'live'", tx.Org(), c.ID); err != nil {
				return err
			}
			if _, err := tx.Exec("UPDATE identities SET state = 'live', state_by = '' WHERE org_id = ? AND connection_id = ? AND state = 'retired' AND state_by = ? AND subject_kind <> ?",
				tx.Org(), c.ID, k.id, k.Subject); err != nil {
				return err
			}
		default:
			return fault.Conflict.Say("The last re-key of %s was undone before.", c.Name)
		}
		k.State, c.Config.Subject, c.Config.Rekey = rekeyUndone, k.Was, ""
		return endRekey(tx, "connection.rekey.undo", *c, k)
	})
	return k, err
}

// rekey holds the connection alone and writes it.
func (d *Door) rekey(ctx context.Context, actor access.Actor, id ConnectionID, change func(tx *store.Tx, c *Connection) error) error {
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := lockedConnection(tx, id)
		if err != nil {
			return err
		}
		if err := change(tx, &c); err != nil {
			return err
		}
		c.UpdatedAt = max(tx.Now(), c.UpdatedAt+1)
		return updateConnection(tx, c)
	})
}

func running(tx *store.Tx, c Connection) (Rekey, error) {
	k, err := newestRekey(tx, c)
	if err == nil && k.State != rekeyTransition {
		err = fault.NotFound.Say("No re-key of %s is running.", c.Name)
	}
	return k, err
}

func endRekey(tx *store.Tx, action string, c Connection, k Rekey) error {
	if _, err := tx.Exec("UPDATE sso_rekeys SET state = ?, ended_at = ? WHERE org_id = ? AND connection_id = ? AND id = ?", k.State, tx.Now(), tx.Org(), c.ID, k.id); err != nil {
		return err
	}
	return recordRekey(tx, action, c, k)
}

func recordRekey(tx *store.Tx, action string, c Connection, k Rekey) error {
	return tx.Record(store.Activity{Action: action, TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
		Detail: map[string]any{"before": map[string]any{"subject": orElse(k.Was, "preset")}, "after": map[string]any{"subject": k.Subject}, "identities": k.Counts()}})
}
