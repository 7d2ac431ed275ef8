package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

type directoryCmd struct {
	Create directoryCreateCmd `cmd:"" help:"Make a directory and its first token."`
	List   directoryListCmd   `cmd:"" help:"List the directories of an organization."`
	Show   directoryShowCmd   `cmd:"" help:"Show a directory and how its requests are understood."`
	Set    directorySetCmd    `cmd:"" help:"Change the vendor, the mode or switches of a directory."`
	Rate   directoryRateCmd   `cmd:"" help:"Give a directory a rate limit of its own."`
	Token  directoryTokenCmd  `cmd:"" help:"Tokens of a directory."`
	Client directoryClientCmd `cmd:"" help:"OAuth clients of a directory, which fetch their tokens themselves."`
	Role   directoryRoleCmd   `cmd:"" help:"Which roles the values that a directory sends give."`
}

type directoryCreateCmd struct {
	Org    string `required:"" help:"Organization (short name)."`
	Name   string `required:"" help:"Name, for example Okta."`
	Vendor string `default:"custom" help:"Who sends: ${directory_vendors}. Any other name is taken as custom."`
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
		Vendor  string            `json:"vendor"`
		Note    string            `json:"note,omitempty"`
	}{d.ID, base, token, d.Vendor, vendorNote(c.Vendor)},
		append(noteLine(c.Vendor),
			"Enter these at the directory. The token is shown this once.",
			"  Base URL   "+base,
			"  Token      "+token,
			"  Directory  "+string(d.ID))...)
}

// vendorNote says what became of a name that is no vendor's.
func vendorNote(typed string) string {
	if _, ok := scim.VendorNamed(typed); ok || typed == "" {
		return ""
	}
	return fmt.Sprintf("%q is not a vendor that Muster knows, so the directory is a custom one. Known are %s; change it with: muster directory set --directory ID --vendor NAME",
		typed, strings.Join(scim.VendorNames(), ", "))
}

func noteLine(typed string) []string {
	if note := vendorNote(typed); note != "" {
		return []string{note}
	}
	return nil
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

type directoryListCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

// directoryLine is a directory in the list.
type directoryLine struct {
	ID      store.DirectoryID `json:"id"`
	Name    string            `json:"name"`
	Vendor  string            `json:"vendor"`
	Mode    string            `json:"mode"`
	BaseURL string            `json:"base_url"`
}

func (c directoryListCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	lines, texts := []directoryLine{}, []string{}
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
		list, err := tx.Directories()
		for _, d := range list {
			lines = append(lines, directoryLine{d.ID, d.Name, d.Vendor, d.Mode, scim.BaseURL(a.opened.url, d.ID)})
			texts = append(texts, fmt.Sprintf("%s  %-10s %-7s %s", d.ID, d.Vendor, d.Mode, d.Name))
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(lines, texts...)
}

type directoryShowCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
}

func (c directoryShowCmd) Run(a *app) error {
	_, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	return a.showDirectory(d, "")
}

type directorySetCmd struct {
	Directory string            `required:"" placeholder:"ID" help:"The directory's id."`
	Vendor    string            `help:"Who sends: ${directory_vendors}."`
	Mode      string            `help:"compat or strict."`
	Quirk     map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"A switch; may be given several times. Without a value it is the preset's again: ${directory_switches}."`
	Reset     bool              `help:"Set every switch back to the preset first."`
}

func (c directorySetCmd) Run(a *app) error {
	if c.Vendor == "" && c.Mode == "" && len(c.Quirk) == 0 && !c.Reset {
		return usage{errors.New("nothing to change: give --vendor, --mode, --quirk NAME=VALUE or --reset")}
	}
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		d, err = scim.Configure(tx, d.ID, scim.DirectoryChange{Vendor: c.Vendor, Mode: c.Mode, Quirks: c.Quirk, Reset: c.Reset})
		return err
	})
	if err != nil {
		return err
	}
	return a.showDirectory(d, vendorNote(c.Vendor))
}

// showDirectory prints a directory with its switches; those that differ from the
// preset are marked.
func (a *app) showDirectory(d store.Directory, note string) error {
	settings, err := scim.SettingsOf(d)
	if err != nil {
		return err
	}
	quirks, err := scim.QuirksOf(d.Vendor, d.Mode, d.Quirks)
	if err != nil {
		return err
	}
	preset, err := scim.QuirksOf(d.Vendor, d.Mode, nil)
	if err != nil {
		return err
	}
	v, _ := scim.VendorNamed(d.Vendor)
	line := directoryLine{d.ID, d.Name, d.Vendor, d.Mode, scim.BaseURL(a.opened.url, d.ID)}
	texts := []string{}
	if note != "" {
		texts = append(texts, note)
	}
	texts = append(texts, fmt.Sprintf("%s: %s, %s mode", d.Name, v.Label, d.Mode), "  Base URL  "+line.BaseURL, "  Needs     "+v.Needs)
	for _, s := range settings {
		text := fmt.Sprintf("  %-28s %-10s", s.Name, s.Value)
		if s.Value != s.Preset {
			text += " (preset: " + s.Preset + ")"
		}
		texts = append(texts, text)
	}
	return a.answer(struct {
		directoryLine
		Needs  string      `json:"needs"`
		Quirks scim.Quirks `json:"quirks"`
		Preset scim.Quirks `json:"preset"`
		Note   string      `json:"note,omitempty"`
	}{line, v.Needs, quirks, preset, note}, texts...)
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
