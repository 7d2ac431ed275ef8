package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

type directoryCmd struct {
	Create directoryCreateCmd `cmd:"" help:"Make a directory and its first token."`
	Rate   directoryRateCmd   `cmd:"" help:"Give a directory a rate limit of its own."`
	Token  directoryTokenCmd  `cmd:"" help:"Tokens of a directory."`
	Client directoryClientCmd `cmd:"" help:"OAuth clients of a directory, which fetch their tokens themselves."`
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

// directory finds a directory by the id that somebody typed, and gives the shell's
// actor in its organization.
func (a *app) directory(typed string) (access.Actor, store.Directory, error) {
	h, err := a.open()
	if err != nil {
		return access.Actor{}, store.Directory{}, err
	}
	missing := fault.NotFound.Say("There is no directory %q. Its id is what `muster directory create` printed, and the last part of its base URL.", typed)
	id, err := store.ParseID[store.Directory](typed)
	if err != nil {
		return access.Actor{}, store.Directory{}, missing
	}
	d, err := h.db.DirectoryByID(a.ctx, id)
	if fault.Is(err, fault.NotFound) {
		err = missing
	}
	return shell(string(d.OrgID)), d, err
}

type directoryRateCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
	PerSecond int    `required:"" help:"Requests a second on each replica, 25 or more; 0 is the server's scim.rate again."`
}

func (c directoryRateCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	if err := a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error { return scim.SetRate(tx, d.ID, c.PerSecond) }); err != nil {
		return err
	}
	return a.answer(struct {
		ID        store.DirectoryID `json:"id"`
		PerSecond int               `json:"per_second"`
	}{d.ID, c.PerSecond}, fmt.Sprintf("%s has its new rate; running servers follow within seconds.", d.Name))
}
