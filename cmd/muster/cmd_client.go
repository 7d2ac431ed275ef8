package main

import (
	"fmt"
	"os"
	"time"

	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

type directoryClientCmd struct {
	Create directoryClientCreateCmd `cmd:"" help:"Make an OAuth client (client credentials grant)."`
	List   directoryClientListCmd   `cmd:"" help:"List the OAuth clients of a directory."`
	Rotate directoryClientRotateCmd `cmd:"" help:"Give a client another secret, or other keys."`
	Revoke directoryClientRevokeCmd `cmd:"" help:"End a client and its access tokens at once."`
}

// clientKeys are flags for a client that signs.
type clientKeys struct {
	JWKS    string `name:"jwks" placeholder:"FILE" help:"Public keys as a JWK set: the client signs (private_key_jwt) and gets no secret."`
	JWKSURL string `name:"jwks-url" placeholder:"URL" help:"The same, where the keys are read when they are needed."`
}

func (c clientKeys) read() ([]byte, error) {
	if c.JWKS == "" {
		return nil, nil
	}
	keys, err := os.ReadFile(c.JWKS)
	if err != nil {
		return nil, fmt.Errorf("the keys cannot be read: %w", err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("the file of keys %s is empty", c.JWKS)
	}
	return keys, nil
}

type directoryClientCreateCmd struct {
	clientKeys
	Directory string        `required:"" placeholder:"ID" help:"The directory's id."`
	Name      string        `default:"Command line" help:"Who uses it, shown in lists and in the activity log."`
	Expires   time.Duration `default:"0s" help:"How long it works, such as 2160h; 0s: until it is revoked."`
	Allow     string        `placeholder:"CIDR,..." help:"Only from these addresses or networks; also the tokens that it fetches."`
}

func (c directoryClientCreateCmd) Run(a *app) error {
	keys, err := c.read()
	if err != nil {
		return err
	}
	return a.client(c.Directory, func(tx *store.Tx, id store.DirectoryID) (scim.Client, string, error) {
		return scim.CreateClient(tx, id, scim.NewClient{Name: c.Name, JWKS: keys, JWKSURL: c.JWKSURL, Expires: c.Expires, Allow: c.Allow})
	})
}

// client does something that gives a client and perhaps a secret, and says what to enter.
func (a *app) client(directory string, do func(*store.Tx, store.DirectoryID) (scim.Client, string, error)) error {
	actor, d, err := a.directory(directory)
	if err != nil {
		return err
	}
	var out scim.ClientInfo
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		client, secret, err := do(tx, d.ID)
		out = client.Info(secret, a.opened.url)
		return err
	})
	if err != nil {
		return err
	}
	lines := []string{"Enter these at the directory.", "  Token endpoint  " + out.Endpoint, "  Client id       " + out.ID}
	if out.Secret != "" {
		lines = append(lines, "  Client secret   "+out.Secret+" (shown this once)")
	}
	lines = append(lines, "  Scope           "+out.Scope)
	if out.PreviousExpiresAt != "" {
		lines = append(lines, "The old secret works until "+out.PreviousExpiresAt+".")
	}
	return a.answer(out, lines...)
}

type directoryClientRotateCmd struct {
	clientKeys
	Directory string        `required:"" placeholder:"ID" help:"The directory's id."`
	Grace     time.Duration `default:"24h" help:"How long the old secret goes on; keys are replaced at once."`
	Client    string        `arg:"" help:"The client's id, from muster directory client list."`
}

func (c directoryClientRotateCmd) Run(a *app) error {
	keys, err := c.read()
	if err != nil {
		return err
	}
	id, err := store.ParseID[scim.Client](c.Client)
	if err != nil {
		return err
	}
	return a.client(c.Directory, func(tx *store.Tx, directory store.DirectoryID) (scim.Client, string, error) {
		return scim.RotateClient(tx, directory, id, c.Grace, scim.NewClient{JWKS: keys, JWKSURL: c.JWKSURL})
	})
}

type directoryClientListCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
}

func (c directoryClientListCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	rows, lines := []scim.ClientInfo{}, []string{}
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
		list, err := scim.Clients(tx, d.ID)
		for _, x := range list {
			row := x.Info("", a.opened.url)
			rows = append(rows, row)
			lines = append(lines, fmt.Sprintf("%s  %-24s %-15s  %s", row.ID, row.Name, row.SignsInBy, howUsed(row.LastUsedAt, row.LastUsedFrom, row.ExpiresAt, row.Allow)))
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
