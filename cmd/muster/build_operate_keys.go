package main

import (
	"context"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// keyOps is package api as the operator's pages need it.
func (s *system) keyOps() operate.KeyOps {
	shown := func(k api.Key) operate.Key {
		return operate.Key{Org: k.OrgID, ID: string(k.ID), Name: k.Name, Role: k.Role, CreatedBy: k.CreatedBy, Operator: k.Operator,
			CreatedAt: k.CreatedAt, UsedAt: k.LastUsedAt, Ends: k.ExpiresAt}
	}
	return operate.KeyOps{
		All: func(ctx context.Context, actor access.Actor, afterOrg store.OrgID, after string, limit int) ([]operate.Key, bool, error) {
			list, more, err := s.api.AllKeys(ctx, actor, api.Key{OrgID: afterOrg, ID: api.KeyID(after)}, limit)
			out := make([]operate.Key, len(list))
			for i, k := range list {
				out[i] = shown(k)
			}
			return out, more, err
		},
		Create: func(ctx context.Context, actor access.Actor, name string, expires time.Time) (operate.Key, string, error) {
			k, text, err := s.api.Create(ctx, actor, api.NewKey{Name: name, Operator: true, Expires: expires})
			return shown(k), text, err
		},
		Revoke: func(ctx context.Context, actor access.Actor, id string) error {
			known, err := store.ParseID[api.Key](id)
			if err != nil {
				return err
			}
			return s.api.Revoke(ctx, actor, known)
		},
	}
}

// serverKeys are the server's own, without themselves.
func (s *system) serverKeys(ctx context.Context, fromSettings bool) ([]operate.ServerKey, error) {
	saml, oidc, err := sso.ServersKeys(ctx, s.db)
	if err != nil {
		return nil, err
	}
	state := web.Say("From the file server.key in the data folder. Keep a copy apart from the database.")
	if fromSettings {
		state = web.Say("From the settings. Keep a copy apart from the database.")
	}
	return []operate.ServerKey{{What: web.Say("Secret key, which seals all others"), State: state},
		{What: web.Say("Keys of SAML connections"), State: ownKeys(saml)}, {What: web.Say("Keys of OpenID Connect connections"), State: ownKeys(oidc)}}, nil
}

func ownKeys(k sso.OwnKeys) web.Said {
	switch {
	case k.N == 0:
		return web.Say("There is none yet.")
	case k.Next != 0:
		return web.Say("%d, the oldest of %s; the next one comes into use %s.", k.N, k.Oldest, k.Next)
	}
	return web.Say("%d, the oldest of %s; new ones are made on the page of a connection.", k.N, k.Oldest)
}
