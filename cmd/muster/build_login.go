package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/muster-id/muster/internal/account"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// admit holds a sign-in against the organization's policy and against what is the matter
// with the person's password. Single sign-on that is required comes first: a new password
// would be of no use.
func (s *system) admit(tx *store.Tx, in session.In) error {
	refused := s.policy.Admit(tx, in)
	not, ok := errors.AsType[*session.NotAllowed](refused)
	if refused != nil && (!ok || not.Use == session.UseSSO) {
		return refused
	}
	if err := account.AdmitPassword(s.passwords, tx, in); err != nil {
		return err
	}
	return refused
}

// filledBySignIns are the attributes that a person cannot change, as sign-ins fill them
// or an administrator keeps them.
func filledBySignIns(tx *store.Tx, u store.User) ([]account.Filled, error) {
	list, err := sso.AttributeSources(tx, u)
	var out []account.Filled
	for _, s := range list {
		if !s.Edited {
			out = append(out, account.Filled{Attr: s.Attr, Connection: s.Connection, Locked: s.Locked})
		}
	}
	return out, err
}

// What the sign-in page knows of connections, which belong to another door.

// ways are the connections as a sign-in page offers them.
func ways(list []sso.Choice, next, email string) []account.Way {
	out := make([]account.Way, len(list))
	for i, c := range list {
		out[i] = account.Way{Name: c.Name, URL: c.Path(next, email)}
	}
	return out
}

// discover gives the connections of an address's domain, as the policy of the
// organization that has proved it says. People play no part in it.
func (s *system) discover(ctx context.Context, org store.OrgID, email, next string) ([]account.Way, error) {
	list, err := s.sso.Discover(ctx, org, email)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	may, err := s.policy.Methods(ctx, list[0].Org, sso.DomainOf(email))
	if err != nil || !may.SSO {
		return nil, err
	}
	return ways(list, next, email), nil
}

// connectionsOf gives those of an organization, for its own sign-in page.
func (s *system) connectionsOf(ctx context.Context, org store.OrgID, next string) ([]account.Way, error) {
	may, err := s.policy.AnyMethods(ctx, org)
	if err != nil || !may.SSO {
		return nil, err
	}
	list, err := s.sso.ChoicesOf(ctx, org)
	return ways(list, next, ""), err
}

// remembered is what the browser used last, at this organization or anywhere.
func (s *system) remembered(r *http.Request, org store.OrgID, next string) (account.Way, string, error) {
	c, email, ok, err := s.sso.Remembered(r)
	if err != nil || !ok || org != "" && org != c.Org {
		return account.Way{}, "", err
	}
	return account.Way{Name: c.Name, URL: c.Path(next, email)}, email, nil
}
