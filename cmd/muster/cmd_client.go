package main

import (
	"fmt"
	"os"

	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

type directoryClientCmd struct {
	Create directoryClientCreateCmd `cmd:"" help:"Make an OAuth client (client credentials grant)."`
	List   directoryClientListCmd   `cmd:"" help:"List the OAuth clients of a directory."`
	Revoke directoryClientRevokeCmd `cmd:"" help:"End a client and its access tokens at once."`
}

type directoryClientCreateCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
	Name      string `default:"Command line" help:"Who uses it, shown in lists and in the activity log."`
	JWKS      string `name:"jwks" placeholder:"FILE" help:"Public keys as a JWK set: the client signs (private_key_jwt) and gets no secret."`
}

func (c directoryClientCreateCmd) Run(a *app) error {
	var keys []byte
	if c.JWKS != "" {
		var err error
		if keys, err = os.ReadFile(c.JWKS); err != nil {
			return fmt.Errorf("the keys cannot be read: %w", err)
		}
		if len(keys) == 0 {
			return fmt.Errorf("the file of keys %s is empty", c.JWKS)
		}
	}
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	out := struct {
		ID       store.ID[scim.Client] `json:"client_id"`
		Secret   string                `json:"client_secret,omitempty"`
		Endpoint string                `json:"token_endpoint"`
		Scope    string                `json:"scope"`
	}{Endpoint: scim.TokenURL(a.opened.url), Scope: scim.Scope}
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		client, secret, err := scim.CreateClient(tx, d.ID, c.Name, keys)
		out.ID, out.Secret = client.ID, secret
		return err
	})
	if err != nil {
		return err
	}
	lines := []string{"Enter these at the directory.", "  Token endpoint  " + out.Endpoint, "  Client id       " + string(out.ID)}
	if out.Secret != "" {
		lines = append(lines, "  Client secret   "+out.Secret+" (shown this once)")
	}
	return a.answer(out, append(lines, "  Scope           "+out.Scope)...)
}

// clientJSON is a client as the command line lists it.
type clientJSON struct {
	ID           store.ID[scim.Client] `json:"client_id"`
	Name         string                `json:"name"`
	SignsInBy    string                `json:"signs_in_by"`
	CreatedAt    string                `json:"created_at"`
	LastUsedAt   string                `json:"last_used_at,omitempty"`
	LastUsedFrom string                `json:"last_used_from,omitempty"`
}

type directoryClientListCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
}

func (c directoryClientListCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	rows, lines := []clientJSON{}, []string{}
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
		list, err := scim.Clients(tx, d.ID)
		for _, x := range list {
			row := clientJSON{x.ID, x.Name, "client_secret", x.CreatedAt.RFC3339(), moment(x.LastUsedAt), x.LastUsedIP}
			if x.JWKS != "" {
				row.SignsInBy = "private_key_jwt"
			}
			rows = append(rows, row)
			lines = append(lines, fmt.Sprintf("%s  %-24s %s", row.ID, row.Name, row.SignsInBy))
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(rows, lines...)
}

type directoryClientRevokeCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
	Client    string `arg:"" help:"The client's id, from muster directory client list."`
}

func (c directoryClientRevokeCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	id, err := store.ParseID[scim.Client](c.Client)
	if err != nil {
		return err
	}
	if err := a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error { return scim.RevokeClient(tx, d.ID, id) }); err != nil {
		return err
	}
	return a.answer(map[string]string{"client_id": c.Client}, "The client and its access tokens no longer work.")
}
