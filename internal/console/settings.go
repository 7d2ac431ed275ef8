package console

import (
	"net/http"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// DirectorySettings is what package scim knows of how a directory's requests are
// understood, and lets change.
type DirectorySettings struct {
	Of     func(tx *store.Tx, d store.Directory) (SettingsView, error)
	Change func(tx *store.Tx, id store.DirectoryID, ch SettingsChange) error // Faults: Invalid on "vendor", "mode", "quirks", Conflict on "version"
}

// SettingsView is what the page shows.
type SettingsView struct {
	Needs    string // what the vendor relies on, and its source
	Looks    string // the vendor that the requests look like, when it is another one
	Switches []Switch
}

// Switch is one of a directory's switches.
type Switch struct {
	Name, Meaning, Source string
	Value, Preset         string
	Reason                string   // why the vendor's preset departs from the usual
	Values                []string // nil: a number
}

// SettingsChange is what an admin chose; what is empty stays.
type SettingsChange struct {
	Vendor, Mode string
	Quirks       map[string]string
	Reset        bool
	Version      string // Tag of the directory that was on the page
}

// settingsPage is the form of all switches.
type settingsPage struct {
	Org       web.Org
	Directory store.Directory
	Path      string
	Form      web.Form
	Vendors   []web.Option
	Modes     []web.Option
	View      SettingsView
	Rows      []settingRow
	Own       int // switches that differ from the preset
}

type settingRow struct {
	Switch
	Differs bool
	Options []web.Option
	Shown   string // the preset's value as the form words it
}

var yesNo = []web.Option{{Value: "true", Label: "Yes"}, {Value: "false", Label: "No"}}

func rowOf(s Switch) settingRow {
	row := settingRow{Switch: s, Differs: s.Value != s.Preset, Shown: s.Preset}
	for _, v := range s.Values {
		o := web.Option{Value: v, Label: v}
		for _, word := range yesNo {
			if word.Value == v {
				o.Label = word.Label
			}
		}
		if v == s.Preset {
			row.Shown = o.Label
		}
		row.Options = append(row.Options, o)
	}
	return row
}

func (c *Console) settings(w http.ResponseWriter, r *http.Request) error {
	return c.showSettings(w, r, http.StatusOK, web.Form{})
}

func (c *Console) showSettings(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := pathID[store.Directory](r.PathValue("directory"))
	if err != nil {
		return err
	}
	p := settingsPage{Org: web.OrgOf(r), Path: base(r) + "/directories/" + string(id), Form: f, Vendors: c.opt.Vendors, Modes: modeOptions}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Directory, err = tx.Directory(id); err != nil {
			return err
		}
		p.View, err = c.opt.Settings.Of(tx, p.Directory)
		return err
	})
	if err != nil {
		return err
	}
	start := func(name, value string) {
		if p.Form.Get(name) == "" {
			p.Form.Set(name, value)
		}
	}
	p.Form.Default("version", p.Directory.Tag())
	start("vendor", p.Directory.Vendor)
	start("mode", p.Directory.Mode)
	for _, s := range p.View.Switches {
		start(s.Name, s.Value)
		row := rowOf(s)
		if row.Differs {
			p.Own++
		}
		p.Rows = append(p.Rows, row)
	}
	return pages.Write(w, r, status, "settings", p)
}

// changeSettings takes vendor and mode, or the switches: with another vendor or
// mode other presets hold, which the admin has not seen yet.
func (c *Console) changeSettings(w http.ResponseWriter, r *http.Request) error {
	return c.configure(w, r, func(tx *store.Tx, d store.Directory, f web.Form) (SettingsChange, error) {
		ch := SettingsChange{Vendor: f.Get("vendor"), Mode: f.Get("mode")}
		if ch.Vendor != "" || ch.Mode != "" {
			return ch, nil
		}
		view, err := c.opt.Settings.Of(tx, d)
		ch.Quirks = map[string]string{}
		for _, s := range view.Switches {
			if v := f.Get(s.Name); v != "" {
				ch.Quirks[s.Name] = v
			}
		}
		return ch, err
	}, "Saved. It holds within seconds.")
}

func (c *Console) resetSettings(w http.ResponseWriter, r *http.Request) error {
	return c.configure(w, r, func(*store.Tx, store.Directory, web.Form) (SettingsChange, error) {
		return SettingsChange{Reset: true}, nil
	}, "Every switch is as the vendor's preset has it.")
}

func (c *Console) configure(w http.ResponseWriter, r *http.Request, read func(*store.Tx, store.Directory, web.Form) (SettingsChange, error), done string) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = c.inDirectory(r, func(tx *store.Tx, id store.DirectoryID) error {
		d, err := tx.Directory(id)
		if err != nil {
			return err
		}
		ch, err := read(tx, d, f)
		if err != nil {
			return err
		}
		ch.Version = f.Get("version")
		return c.opt.Settings.Change(tx, id, ch)
	})
	if f.Take(err) {
		return c.showSettings(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, done)
	http.Redirect(w, r, base(r)+"/directories/"+r.PathValue("directory")+"/settings", http.StatusSeeOther)
	return nil
}
