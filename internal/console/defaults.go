package console

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// defaultRow is what one kind of new people gets, with the names of its fields.
type defaultRow struct {
	Key, Label  string
	Own         bool // it has a default of its own
	Role, Teams web.Field
}

type defaultsPage struct {
	Org  web.Org
	Form web.Form
	Rows []defaultRow // everybody first
}

func (c *Console) defaults(w http.ResponseWriter, r *http.Request) error {
	return c.showDefaults(w, r, http.StatusOK, web.Form{})
}

// defaultKeys are for whom there can be a default: sources, directories, connections.
func defaultKeys(w reasonWords) (keys []string, labels map[string]string) {
	labels = map[string]string{}
	for _, s := range store.Sources() {
		keys, labels[string(s)] = append(keys, string(s)), w.source(string(s))
	}
	for _, id := range slices.Sorted(maps.Keys(w.directories)) {
		keys, labels[string(id)] = append(keys, string(id)), web.T(w.r, "who comes from the directory %s", w.directories[id])
	}
	for _, id := range slices.Sorted(maps.Keys(w.connections)) {
		keys, labels[id] = append(keys, id), web.T(w.r, "who comes by a first sign-in at %s", w.connections[id])
	}
	return keys, labels
}

func (c *Console) showDefaults(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := defaultsPage{Org: web.OrgOf(r), Form: f}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		words, err := c.reasonWords(r, tx)
		if err != nil {
			return err
		}
		d, version, err := tx.Defaults()
		if err != nil {
			return err
		}
		names, err := tx.TeamNames()
		if err != nil {
			return err
		}
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		if f.Values == nil {
			p.fill(d, names)
		}
		p.Form.Default("version", strconv.FormatInt(version, 10))
		var choices []web.Option
		for _, role := range roles {
			if role.ID != access.Admin {
				choices = append(choices, web.Option{Value: role.ID, Label: role.Name})
			}
		}
		p.row("all", words.source(""), choices)
		choices = append([]web.Option{{Label: web.T(r, "As for everybody, or Agent")}}, choices...)
		keys, labels := defaultKeys(words)
		for _, key := range keys {
			p.row(key, labels[key], choices)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "defaults", p)
}

func (p *defaultsPage) row(key, label string, roles []web.Option) {
	p.Rows = append(p.Rows, defaultRow{Key: key, Label: label, Own: key == "all" || p.Form.Get("own_"+key) != "",
		Role:  p.Form.Select("role_"+key, "Role", roles),
		Teams: p.Form.Input("teams_"+key, "Teams", "autocomplete=off", "maxlength=2000", "help=Names, with | between.")})
}

// fill has what is stored in the form.
func (p *defaultsPage) fill(d store.Defaults, names map[string]store.GroupRef) {
	byID := map[store.GroupID]string{}
	for _, t := range names {
		byID[t.ID] = t.Name
	}
	put := func(key string, one store.Default) {
		var teams []string
		for _, id := range one.Teams {
			if n := byID[id]; n != "" {
				teams = append(teams, n)
			}
		}
		p.Form.Set("role_"+key, one.Role)
		p.Form.Set("teams_"+key, strings.Join(teams, " | "))
	}
	if d.Role == "" {
		d.Role = store.DefaultRole
	}
	put("all", d.Default)
	for key, one := range d.For {
		p.Form.Set("own_"+key, "on")
		put(key, one)
	}
}

func (c *Console) setDefaults(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		words, err := c.reasonWords(r, tx)
		if err != nil {
			return err
		}
		one := func(key string) (store.Default, error) {
			teams, err := tx.TeamsNamed("teams_"+key, f.Get("teams_"+key))
			return store.Default{Role: f.Get("role_" + key), Teams: teams}, err
		}
		d := store.Defaults{For: map[string]store.Default{}}
		if d.Default, err = one("all"); err != nil {
			return err
		}
		keys, _ := defaultKeys(words)
		for _, key := range keys {
			if f.Get("own_"+key) == "" {
				continue
			}
			if d.For[key], err = one(key); err != nil {
				return err
			}
		}
		return tx.SetDefaults(d, f.Version())
	})
	if f.Take(err) {
		return c.showDefaults(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved. It holds for people who come from now on."))
	http.Redirect(w, r, base(r)+"/settings/defaults", http.StatusSeeOther)
	return nil
}
