package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/store"
)

// inviteOptions is what invitations know of other doors, which they may not import.
func (s *system) inviteOptions(url string, ttl time.Duration, log *slog.Logger) invite.Options {
	return invite.Options{DB: s.db, Sessions: s.sessions, Passwords: s.passwords, Factors: s.factors, Jobs: s.jobs, Queue: s.mail.Queue, PublicURL: url, TTL: ttl, Log: log, MayUsePassword: s.mayUsePassword, OnlySSO: s.policy.OnlySSO,
		Tell: s.tellAdmins,
		Connections: func(ctx context.Context, org store.OrgID, email string) ([]invite.Way, error) {
			list, err := s.sso.ChoicesOf(ctx, org)
			out := make([]invite.Way, len(list))
			for i, c := range list {
				out[i] = invite.Way{Name: c.Name, URL: c.Path("/account", email)}
			}
			return out, err
		}}
}

// What the console shows of invitations.

// peopleTraits are what other packages know of people that a list is filtered by.
func peopleTraits() map[string]func(tx *store.Tx) []store.PeopleSet {
	one := func(set func(tx *store.Tx) store.PeopleSet) func(tx *store.Tx) []store.PeopleSet {
		return func(tx *store.Tx) []store.PeopleSet { return []store.PeopleSet{set(tx)} }
	}
	traits := map[string]func(tx *store.Tx) []store.PeopleSet{
		"locked": one(password.Locked), "planned": one(life.PlannedFor), "linked": one(records.LinkedPeople), "nofactor": factor.Lacking,
		"unlinked": func(tx *store.Tx) []store.PeopleSet {
			set := records.LinkedPeople(tx)
			set.Not = true
			return []store.PeopleSet{set}
		},
	}
	for _, state := range []invite.State{invite.Pending, invite.Saved, invite.Bounced, invite.Expired} {
		traits["invitation-"+string(state)] = one(func(tx *store.Tx) store.PeopleSet { return invite.PeopleIn(tx, state) })
	}
	return traits
}

func (s *system) invitationsOf(tx *store.Tx, users []store.UserID) (map[store.UserID]console.Invitation, error) {
	of, err := s.invites.Of(tx, users)
	out := make(map[store.UserID]console.Invitation, len(of))
	for id, i := range of {
		out[id] = console.Invitation{State: string(i.State), InvitedBy: i.InvitedBy, Email: i.Email, Sent: i.Sent, SentAt: i.SentAt, ExpiresAt: i.ExpiresAt,
			EndedAt: i.EndedAt, Bounce: i.Bounce, AskedAt: i.AskedAt, Note: i.Note}
	}
	return out, err
}

// happened is what an invitation's history says.
var happened = map[string]string{
	"create": "Sent", "save": "Saved without sending", "resend": "Sent again", "correct": "Address corrected and sent", "reopen": "Opened again and sent", "renew": "Sent again, as it was asked for",
	"link": "Link taken to hand over", "remind": "Reminder sent", "open": "Link opened, by the person or a mail scanner", "bounce": "Mail came back", "ask": "New link asked for",
	"cancel": "Cancelled", "accept": "Accepted", "start": "Activated without e-mail",
}

func (s *system) invitationHistory(tx *store.Tx, user store.UserID) ([]console.InvitationEvent, error) {
	list, err := s.invites.History(tx, user)
	out := make([]console.InvitationEvent, len(list))
	for i, e := range list {
		out[i] = console.InvitationEvent{At: e.At, What: happened[e.What], By: e.By, Detail: e.Detail}
	}
	return out, err
}
