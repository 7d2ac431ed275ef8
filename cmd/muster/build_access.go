package main

import (
	"time"

	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

// directoryTokens is package scim as the console's page of a directory needs it.
var directoryTokens = console.DirectoryTokens{
	List: func(tx *store.Tx, id store.DirectoryID) ([]console.Token, error) {
		list, err := scim.Tokens(tx, id)
		out := make([]console.Token, len(list))
		for i, t := range list {
			out[i] = console.Token{ID: t.ID, Name: t.Name, Allow: t.Allow, LastUsedIP: t.LastUsedIP, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt,
				LastUsedAt: t.LastUsedAt, Ended: t.ExpiresAt != 0 && t.ExpiresAt <= tx.Now()}
		}
		return out, err
	},
	Create: func(tx *store.Tx, id store.DirectoryID, in console.NewToken) (string, error) {
		token, _, err := scim.CreateToken(tx, id, scim.NewToken{Name: in.Name, Expires: in.Expires, Allow: in.Allow})
		return token, err
	},
	Rotate: func(tx *store.Tx, id store.DirectoryID, token string, grace time.Duration) (text string, err error) {
		if token == "" {
			text, _, err = scim.Rotate(tx, id, grace)
		} else {
			text, _, err = scim.RotateToken(tx, id, token, grace)
		}
		return text, err
	},
	Revoke: scim.RevokeToken,
}

// directoryClients is the same for its page of OAuth clients.
func (s *system) directoryClients() console.DirectoryClients {
	shown := func(c scim.Client, now store.Time) console.Client {
		out := console.Client{ID: string(c.ID), Name: c.Name, SignsInBy: c.SignsInBy(), JWKSURL: c.JWKSURL, Allow: c.Allow, LastUsedIP: c.LastUsedIP,
			CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt, LastUsedAt: c.LastUsedAt, Ended: c.ExpiresAt != 0 && c.ExpiresAt <= now}
		if c.PreviousEndsAt > now {
			out.PreviousEndsAt = c.PreviousEndsAt
		}
		return out
	}
	given := func(in console.NewClient) scim.NewClient {
		return scim.NewClient{Name: in.Name, JWKS: []byte(in.JWKS), JWKSURL: in.JWKSURL, Expires: in.Expires, Allow: in.Allow}
	}
	return console.DirectoryClients{
		URLs: func(id store.DirectoryID) (string, string) { return scim.TokenURL(s.url), scim.MetadataURL(s.url, id) },
		List: func(tx *store.Tx, id store.DirectoryID) ([]console.Client, error) {
			list, err := scim.Clients(tx, id)
			out := make([]console.Client, len(list))
			for i, c := range list {
				out[i] = shown(c, tx.Now())
			}
			return out, err
		},
		Create: func(tx *store.Tx, id store.DirectoryID, in console.NewClient) (console.Client, string, error) {
			c, text, err := scim.CreateClient(tx, id, given(in))
			return shown(c, tx.Now()), text, err
		},
		Rotate: func(tx *store.Tx, id store.DirectoryID, client string, grace time.Duration, next console.NewClient) (console.Client, string, error) {
			known, err := store.ParseID[scim.Client](client)
			if err != nil {
				return console.Client{}, "", err
			}
			c, text, err := scim.RotateClient(tx, id, known, grace, given(next))
			return shown(c, tx.Now()), text, err
		},
		Revoke: func(tx *store.Tx, id store.DirectoryID, client string) error {
			known, err := store.ParseID[scim.Client](client)
			if err != nil {
				return err
			}
			return scim.RevokeClient(tx, id, known)
		},
	}
}
