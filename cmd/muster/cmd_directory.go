package main

import (
	"fmt"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

type directoryCmd struct {
	Create directoryCreateCmd `cmd:"" help:"Make a directory and its first token."`
	Token  directoryTokenCmd  `cmd:"" help:"Tokens of a directory."`
}

type directoryCreateCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Name   string `required:"" help:"Name, for example Okta."`
	Vendor string `default:"custom" help:"Who sends: okta, entra, google, onelogin, jumpcloud, ping, keycloak, custom ..."`
	Mode   string `default:"compat" enum:"compat,strict" help:"compat takes what directories really send, strict what the standard says."`
}

func (c directoryCreateCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var d store.Directory
	var token string
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		d, token, err = scim.Create(tx, scim.NewDirectory{Name: c.Name, Vendor: c.Vendor, Mode: c.Mode})
		return err
	})
	if err != nil {
		return err
	}
	base := scim.BaseURL(a.opened.url, d.ID)
	return a.answer(struct {
		ID      store.DirectoryID `json:"id"`
		BaseURL string            `json:"base_url"`
		Token   string            `json:"token"`
	}{d.ID, base, token},
		"Enter these at the directory. The token is shown this once.",
		"  Base URL   "+base,
		"  Token      "+token,
		"  Directory  "+string(d.ID))
}

type directoryTokenCmd struct {
	Rotate directoryRotateCmd `cmd:"" help:"Make a new token; the old ones work for the grace time."`
}

type directoryRotateCmd struct {
	Directory string        `required:"" placeholder:"ID" help:"The directory's id."`
	Grace     time.Duration `default:"24h" help:"How long the old tokens go on."`
}

func (c directoryRotateCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	missing := fault.NotFound.Say("There is no directory %q. Its id is what `muster directory create` printed, and the last part of its base URL.", c.Directory)
	id, err := store.ParseID[store.Directory](c.Directory)
	if err != nil {
		return missing
	}
	d, err := h.db.DirectoryByID(a.ctx, id)
	if fault.Is(err, fault.NotFound) {
		return missing
	}
	if err != nil {
		return err
	}
	var token string
	var ends store.Time
	err = h.db.Write(a.ctx, shell(string(d.OrgID)), func(tx *store.Tx) (err error) {
		token, ends, err = scim.Rotate(tx, id, c.Grace)
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(struct {
		Token             string `json:"token"`
		PreviousExpiresAt string `json:"previous_expires_at"`
	}{token, ends.RFC3339()},
		"Enter the new token at the directory. It is shown this once.",
		"  Token  "+token,
		fmt.Sprintf("The old one works until %s.", ends.RFC3339()))
}
