package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// app is what every command gets: settings, outputs, and the database once asked for.
type app struct {
	ctx      context.Context
	cfg      *config.Config
	json     bool
	out, err io.Writer
	log      *slog.Logger

	opened *system
}

// load makes the settings from all sources. Every fault comes back at once.
func (a *app) load(file string, flags map[string]string, env []string) error {
	for _, pair := range env {
		if name, ok := strings.CutPrefix(pair, "MUSTER_CONFIG="); ok && file == "" {
			file = name
		}
	}
	in := config.Input{Flags: flags, Env: env, FileName: file, Checks: map[string]func(string) error{
		"secret_key": func(text string) error {
			if _, err := secret.ParseKey(text); err != nil {
				return fmt.Errorf("is not a key (%w)", err)
			}
			return nil
		},
		"secret_key_old": func(text string) error {
			if _, err := secret.ParseKeys(text); err != nil {
				return fmt.Errorf("holds something that is no key (%w)", err)
			}
			return nil
		},
		"permissions": func(text string) error {
			_, err := access.ParseCatalog(text)
			return err
		},
	}}
	if file != "" {
		var err error
		if in.File, err = readYAML(file); err != nil {
			return err
		}
	}
	cfg, err := config.Load(in)
	if err != nil {
		return err
	}
	a.cfg, a.log = cfg, newLog(a.err, cfg.Log)
	return nil
}

// open makes the data folder and the keys, opens the database and builds the
// packages over it. Tables are brought up to date on the way: replicas that start
// at once wait for one another.
func (a *app) open() (*system, error) {
	if a.opened != nil {
		return a.opened, nil
	}
	if err := makeDataDir(a.cfg.DataDir); err != nil {
		return nil, err
	}
	key, err := serverKey(a.cfg)
	if err != nil {
		return nil, err
	}
	var catalog access.Catalog // store's default without one
	if a.cfg.Permissions != "" {
		if catalog, err = access.ParseCatalog(a.cfg.Permissions); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(a.ctx, 30*time.Second)
	defer cancel()
	db, err := store.Open(ctx, store.Options{URL: a.cfg.DatabaseURL(), Log: a.log, MaxConns: a.cfg.Database.MaxConns, Catalog: catalog,
		RoleUses: []func(*store.Tx, string) ([]string, error){sso.GivingRole, api.Holding}})
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(a.ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("prepare the tables: %w", err)
	}
	s, err := build(a.cfg, db, key, a.log)
	if err != nil {
		db.Close()
		return nil, err
	}
	a.opened = s
	return s, nil
}

// writeFile hands write a new file, or standard output without a name. What broke in the
// middle is not left behind as if it were the whole.
func (a *app) writeFile(name string, write func(io.Writer) error) error {
	if name == "" {
		return write(a.out)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Invalid.Wrap(err, "The file %s cannot be written: it must not be there yet, and its folder must.", name)
	}
	err = write(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(name)
	}
	return err
}

func (a *app) close() {
	if a.opened == nil {
		return
	}
	if err := a.opened.db.Close(); err != nil {
		a.log.Error("close the database", "error", err)
	}
}

// in is the shell's actor in the organization with this short name.
func (a *app) in(slug string) (access.Actor, store.Org, error) {
	h, err := a.open()
	if err != nil {
		return access.Actor{}, store.Org{}, err
	}
	org, err := h.db.OrgBySlug(a.ctx, slug)
	if fault.Is(err, fault.NotFound) {
		return access.Actor{}, org, fault.NotFound.On("org", "There is no organization %q. Make it with: muster org create --slug %s --name NAME", slug, slug)
	}
	return shell(string(org.ID)), org, err
}

// shell is whoever has a shell on this machine: they own the database anyway.
func shell(org string) access.Actor {
	a := access.Muster(org)
	a.Name = access.CommandLine
	return a
}

// counted is how many of something there are: "1 person", "3 people". The command line is
// English, so it is no fault.Count, of which every catalogue has the forms.
func counted[T int | int64](n T, one, other string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, other)
}

// answer prints the result: v with --json, else the lines for people.
func (a *app) answer(v any, lines ...string) error {
	if a.json {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	for _, l := range lines {
		if _, err := fmt.Fprintln(a.out, l); err != nil {
			return err
		}
	}
	return nil
}
