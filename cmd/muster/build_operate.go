package main

import (
	"context"
	"log/slog"
	"os"
	"slices"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// operateOptions is what the operator's pages know of the doors, which they may not import.
func (s *system) operateOptions(cfg *config.Config, log *slog.Logger) operate.Options {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return operate.Options{DB: s.db, Sessions: s.sessions, Log: log, Facts: s.orgFacts, Mail: s.mail, Version: thisVersion().Version, Host: host, Loops: s.beats.loops,
		Examine: func(ctx context.Context, data bool) ([]operate.Check, error) {
			database, err := answers(ctx, s.db)
			if err != nil {
				return nil, err
			}
			return doctor{ctx: ctx, cfg: cfg, db: s.db, policy: s.policy, key: s.key, database: database}.checks(data)
		},
		Key: s.key, Sealed: sealedValues(), Keys: s.keyOps(), Did: console.Did,
		ServerKeys: func(ctx context.Context) ([]operate.ServerKey, error) { return s.serverKeys(ctx, cfg.SecretKey != "") },
		HasSecond: func(tx *store.Tx, user store.UserID) (bool, error) {
			f, err := s.factors.Of(tx, user)
			return f.Any(), err
		},
		Known: func(tx *store.Tx, user store.UserID) (bool, error) {
			c, err := s.passwords.MustChange(tx, user)
			return c.Temporary, err
		},
		Invite: func(tx *store.Tx, org store.Org, in operate.Newcomer, role string) (store.UserID, error) {
			made, err := s.invites.Create(tx, org, invite.In{Email: in.Email, GivenName: in.GivenName, FamilyName: in.FamilyName, Role: role})
			return made.UserID, err
		},
		Resend: func(tx *store.Tx, org store.Org, user store.UserID) error {
			_, err := s.invites.Resend(tx, org, user)
			return err
		}}
}

// sealedValues are all that the server's key seals for longer than some minutes.
func sealedValues() []store.Sealed {
	return slices.Concat(sso.Sealed(), factor.Sealed(), importer.Sealed())
}

// orgFacts puts together what doors know of these organizations.
func (s *system) orgFacts(ctx context.Context, orgs []store.OrgID) (map[store.OrgID]operate.Facts, error) {
	facts := make(map[store.OrgID]operate.Facts, len(orgs))
	states, err := s.provisioning.OrgStates(ctx, orgs)
	if err != nil {
		return nil, err
	}
	connections, lost, waiting, err := sso.OrgFacts(ctx, s.db, orgs)
	if err != nil {
		return nil, err
	}
	enforced, err := policy.EnforcedIn(ctx, s.db, orgs)
	if err != nil {
		return nil, err
	}
	for _, id := range orgs {
		facts[id] = operate.Facts{Required: enforced[id], Waiting: waiting[id]}
	}
	for _, d := range states {
		f := facts[d.Org]
		f.Directories = append(f.Directories, operate.Directory{ID: string(d.Directory), Name: d.Name, Vendor: d.Vendor, Last: d.Last, Failing: d.Failing})
		facts[d.Org] = f
	}
	for _, c := range connections {
		f := facts[c.Org]
		f.Connections = append(f.Connections, operate.Connection{ID: string(c.ID), Name: c.Name, Protocol: c.Protocol, Active: c.Active(), Ends: c.Ends, Problem: c.Problem, Pending: c.Pending})
		facts[c.Org] = f
	}
	for _, x := range lost {
		f := facts[x.Org]
		f.Lost = append(f.Lost, x.Domain)
		facts[x.Org] = f
	}
	return facts, nil
}
