package main

import (
	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

// directoryVendors are the presets as the console offers them.
func directoryVendors() []web.Option {
	var list []web.Option
	for _, v := range scim.Vendors() {
		list = append(list, web.Option{Value: v.Name, Label: v.Label})
	}
	return list
}

// directorySettings is package scim as the console's page of a directory's settings
// needs it.
var directorySettings = console.DirectorySettings{
	Of: func(tx *store.Tx, d store.Directory) (console.SettingsView, error) {
		v, _ := scim.VendorNamed(d.Vendor)
		view := console.SettingsView{Needs: v.Needs}
		settings, err := scim.SettingsOf(d)
		if err != nil {
			return view, err
		}
		for _, s := range settings {
			view.Switches = append(view.Switches, console.Switch{Name: s.Name, Meaning: s.Meaning, Source: s.Source, Value: s.Value, Preset: s.Preset,
				Reason: s.Reason, Values: s.Values})
		}
		like, is, err := scim.Hint(tx, d)
		if is {
			view.Looks = like.Label
		}
		return view, err
	},
	Change: func(tx *store.Tx, id store.DirectoryID, ch console.SettingsChange) error {
		_, err := scim.Configure(tx, id, scim.DirectoryChange{Vendor: ch.Vendor, Mode: ch.Mode, Quirks: ch.Quirks, Reset: ch.Reset})
		return err
	},
}
