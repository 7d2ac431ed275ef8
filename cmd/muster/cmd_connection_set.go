package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// connection finds a connection by the id that somebody typed, and gives the shell's
// actor in its organization.
func (a *app) connection(typed string) (access.Actor, sso.Connection, error) {
	h, err := a.open()
	if err != nil {
		return access.Actor{}, sso.Connection{}, err
	}
	missing := fault.NotFound.Say("There is no connection %q. Its id is what `muster connection create` printed; `muster connection list` has all of them.", typed)
	id, err := store.ParseID[sso.Connection](typed)
	if err != nil {
		return access.Actor{}, sso.Connection{}, missing
	}
	c, err := h.sso.ConnectionByID(a.ctx, id)
	if fault.Is(err, fault.NotFound) {
		err = missing
	}
	return shell(string(c.OrgID)), c, err
}

type connectionListCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c connectionListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	list, err := a.opened.sso.Connections(a.ctx, actor)
	if err != nil {
		return err
	}
	infos, texts := make([]sso.Info, len(list)), make([]string, len(list))
	for i, one := range list {
		infos[i] = a.opened.sso.Info(one)
		texts[i] = fmt.Sprintf("%s  %-4s %-10s %-8s %s", one.ID, one.Protocol, one.Vendor, one.Status, one.Name)
	}
	return a.answer(infos, texts...)
}

type connectionShowCmd struct {
	Connection string `required:"" placeholder:"ID" help:"The connection's id."`
}

func (c connectionShowCmd) Run(a *app) error {
	_, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	return a.showConnection(one)
}

// showConnection prints a connection with its settings; those that differ from the
// default are marked.
func (a *app) showConnection(c sso.Connection) error {
	info := a.opened.sso.Info(c)
	texts := []string{fmt.Sprintf("%s: %s, %s", c.Name, c.Protocol, c.Status), "  People sign in at " + info.Login}
	for _, s := range sso.Settings(c.Protocol) {
		value := strings.ReplaceAll(s.Text(c), "\n", ", ")
		text := fmt.Sprintf("  %-28s %s", s.Key, value)
		if s.Default != "" && value != s.Default {
			text += " (default: " + s.Default + ")"
		}
		texts = append(texts, text)
	}
	for _, note := range info.Notes {
		texts = append(texts, "  Note: "+note)
	}
	return a.answer(info, texts...)
}

type connectionSetCmd struct {
	Connection string   `required:"" placeholder:"ID" help:"The connection's id."`
	Settings   []string `arg:"" name:"KEY=VALUE" help:"A setting; without a value it is the default again. \"muster connection show\" lists them, docs/sso/settings.md explains them. Of a list, commas stand between. KEY=@FILE reads a file."`
}

func (c connectionSetCmd) Run(a *app) error {
	set := map[string]string{}
	for _, s := range c.Settings {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return usage{fmt.Errorf("%q is no setting: write KEY=VALUE", s)}
		}
		if name, file := strings.CutPrefix(value, "@"); file {
			text, err := readFile(name, 64<<10)
			if err != nil {
				return err
			}
			value = strings.TrimRight(string(text), "\r\n")
		}
		set[key] = value
	}
	return a.onConnection(c.Connection, func(ctx context.Context, actor access.Actor, id sso.ConnectionID) (sso.Connection, error) {
		return a.opened.sso.UpdateConnection(ctx, actor, id, sso.Change{Set: set})
	})
}

// onConnection does something with a connection and shows it.
func (a *app) onConnection(typed string, do func(context.Context, access.Actor, sso.ConnectionID) (sso.Connection, error)) error {
	actor, c, err := a.connection(typed)
	if err != nil {
		return err
	}
	if c, err = do(a.ctx, actor, c.ID); err != nil {
		return err
	}
	return a.showConnection(c)
}

type connectionActivateCmd connectionShowCmd

func (c connectionActivateCmd) Run(a *app) error {
	return a.onConnection(c.Connection, func(ctx context.Context, actor access.Actor, id sso.ConnectionID) (sso.Connection, error) {
		return a.opened.sso.Activate(ctx, actor, id)
	})
}

type connectionDisableCmd struct {
	Connection string `required:"" placeholder:"ID" help:"The connection's id."`
	Anyway     bool   `help:"Also when it is the last one and single sign-on is required: then only break-glass accounts get in."`
}

func (c connectionDisableCmd) Run(a *app) error {
	return a.onConnection(c.Connection, func(ctx context.Context, actor access.Actor, id sso.ConnectionID) (sso.Connection, error) {
		if c.Anyway {
			return a.opened.sso.DisableAnyway(ctx, actor, id)
		}
		return a.opened.sso.Disable(ctx, actor, id)
	})
}

type connectionDeleteCmd connectionShowCmd

func (c connectionDeleteCmd) Run(a *app) error {
	actor, one, err := a.connection(c.Connection)
	if err != nil {
		return err
	}
	if err := a.opened.sso.DeleteConnection(a.ctx, actor, one.ID); err != nil {
		return err
	}
	return a.answer(struct {
		ID      sso.ConnectionID `json:"id"`
		Deleted bool             `json:"deleted"`
	}{one.ID, true}, one.Name+" is deleted.")
}
