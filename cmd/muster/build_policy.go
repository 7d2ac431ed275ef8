package main

import (
	"log/slog"
	"net/http"

	"github.com/muster-id/muster/internal/account"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// policyOptions is what the policy knows of the doors, which it may not import.
func (s *system) policyOptions(log *slog.Logger) policy.Options {
	return policy.Options{
		DB: s.db, Sessions: s.sessions, Passwords: s.passwords, Factors: s.factors, Log: log,
		Connections: func(tx *store.Tx) ([]policy.Connection, error) {
			list, err := s.sso.Proofs(tx)
			out := make([]policy.Connection, len(list))
			for i, c := range list {
				out[i] = policy.Connection{ID: string(c.ID), Name: c.Name, Active: c.Active, Proved: c.At}
				if c.Ended {
					out[i].Wrong = "every certificate of the provider that is known here has ended. Some providers go on signing with one; ask for the new one before it is needed."
				}
			}
			return out, err
		},
		Domains: sso.VerifiedDomains,
		Resets:  account.OpenResets, EndResets: account.EndResets,
		Key: s.key, PublicURL: s.url,
		StepUp: func(w http.ResponseWriter, r *http.Request, now session.Session, back string) error {
			return s.sso.StepUp(w, r, now, back)
		},
		Tell: func(tx *store.Tx, n web.Notice) error { return s.tellEachAdmin(tx, n, true) },
	}
}

// mayUsePassword asks the organization's policy about one person.
func (s *system) mayUsePassword(tx *store.Tx, user store.UserID) (bool, error) {
	may, err := s.policy.MethodsOf(tx, user)
	return may.Password, err
}

// alarm is the line over console pages while a break-glass sign-in is not acknowledged.
func (s *system) alarm(r *http.Request) (text, path string) {
	list, err := s.policy.Unseen(r.Context(), web.Actor(r))
	if err != nil || len(list) == 0 {
		return "", ""
	}
	text = web.T(r, "The break-glass account %s was used to sign in on %s.", list[0].Name, list[0].At)
	if more := len(list) - 1; more > 0 {
		text += " " + web.N(r, more, "There is one more such sign-in.", "There are %d more such sign-ins.")
	}
	return text, "/console/" + web.OrgOf(r).Slug + "/security"
}
