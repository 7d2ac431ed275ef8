package main

import (
	"context"
	"log/slog"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/store"
)

// jobsOptions tells the jobs who started them is by now: a person or a key, of the
// organization or of the server.
func (s *system) jobsOptions(log *slog.Logger) jobs.Options {
	return jobs.Options{DB: s.db, Log: log,
		Actor: func(tx *store.Tx, who jobs.Starter) (access.Actor, error) {
			if who.Kind == access.Key {
				return s.api.ActorOf(tx, api.KeyID(who.ID))
			}
			return s.sessions.ActorOf(tx, store.UserID(who.ID))
		},
		Operator: func(ctx context.Context, who jobs.Starter) (access.Actor, error) {
			if who.Kind == access.Key {
				return s.api.OperatorOf(ctx, api.KeyID(who.ID))
			}
			return s.sessions.OperatorOf(ctx, store.UserID(who.ID))
		},
	}
}

// bulkOps is what is done with the invitations of many.
func (s *system) bulkOps() console.BulkOps {
	with := func(do func(*store.Tx, store.Org, store.UserID) error) func(*store.Tx, store.UserID) error {
		return func(tx *store.Tx, user store.UserID) error {
			org, err := tx.ThisOrg()
			if err != nil {
				return err
			}
			return do(tx, org, user)
		}
	}
	return console.BulkOps{
		Cancel: s.invites.Cancel,
		InviteAgain: with(func(tx *store.Tx, org store.Org, user store.UserID) error {
			_, err := s.invites.Resend(tx, org, user)
			return err
		}),
		PutBack: with(s.invites.PutBack),
	}
}
