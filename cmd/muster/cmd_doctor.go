package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// sqlitePath is the file of the embedded database, if that is what url names.
func sqlitePath(url string) (string, bool) { return strings.CutPrefix(url, "sqlite:") }

type migrateCmd struct{}

func (migrateCmd) Run(a *app) error {
	h, err := a.open() // opening migrates
	if err != nil {
		return err
	}
	return a.answer(map[string]string{"status": "done", "database": h.db.Dialect()}, "The tables are up to date.")
}

// doctorCmd looks and changes nothing: it makes no folder, no key, no table.
type doctorCmd struct {
	Data bool `help:"Also read all people and groups and compare counters, indexed values and memberships with them. Takes seconds for 100,000 people; a server may be running."`
}

type finding struct {
	Name   string        `json:"name"`
	Status string        `json:"status"` // ok, warn, fail
	Detail string        `json:"detail"`
	Todo   string        `json:"todo,omitempty"`
	Items  []findingItem `json:"items,omitempty"`
}

type findingItem struct {
	Org  string `json:"org,omitempty"`
	Text string `json:"text"`
}

func (c doctorCmd) Run(a *app) error {
	d := doctor{ctx: a.ctx, cfg: a.cfg}
	cause := c.open(a, &d)
	if d.db != nil {
		defer d.db.Close()
	}
	checks, err := d.checks(c.Data)
	if err != nil {
		return err
	}
	worst := "ok"
	list, lines := []finding{}, []string{}
	for _, x := range checks {
		f := finding{Name: x.Name.String(), Status: x.Status, Detail: x.Words(), Todo: x.Todo.String()}
		for _, i := range x.Items {
			f.Items = append(f.Items, findingItem{i.Org, i.Text.String()})
		}
		list = append(list, f)
		lines = append(lines, fmt.Sprintf("%-5s %-12s %s", f.Status, f.Name, f.Detail))
		if f.Status == "fail" || worst == "ok" {
			worst = f.Status
		}
	}
	if err := a.answer(map[string]any{"status": worst, "checks": list}, lines...); err != nil {
		return err
	}
	if worst != "fail" {
		return nil
	}
	if cause != nil {
		return cause
	}
	return errors.New("something keeps the server from working; see the lines marked fail")
}

// open opens the database for the checks, when it is there and answers.
func (doctorCmd) open(a *app, d *doctor) error {
	ctx, cancel := context.WithTimeout(a.ctx, 15*time.Second)
	defer cancel()
	if path, embedded := sqlitePath(a.cfg.DatabaseURL()); embedded {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			d.database = found(web.Say("database"), "warn", web.Say("%s does not exist yet; the first start makes it.", path))
			return nil
		}
	}
	db, err := store.Open(ctx, store.Options{URL: a.cfg.DatabaseURL(), Log: a.log, MaxConns: 2})
	if err != nil {
		d.database = found(web.Say("database"), "fail", web.Say("%s", sentence(err)))
		return err
	}
	if d.database, err = answers(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	s := &system{db: db, passwords: password.New(password.Options{DB: db, Log: a.log}), sso: sso.New(sso.Options{DB: db, Log: a.log})}
	d.db, d.policy = db, policy.New(s.policyOptions(a.log))
	d.key = a.knownKey()
	return nil
}

// knownKey is the server's key when there is one; it makes none.
func (a *app) knownKey() secret.Key {
	if a.cfg.SecretKey == "" {
		if _, err := readKey(filepath.Join(a.cfg.DataDir, "server.key")); err != nil {
			return secret.Key{} // said by another check
		}
	}
	key, err := serverKey(a.cfg)
	if err != nil {
		return secret.Key{}
	}
	return key
}
