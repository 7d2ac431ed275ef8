package main

import (
	"context"

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
		_, err := scim.Configure(tx, id, scim.DirectoryChange{Vendor: ch.Vendor, Mode: ch.Mode, Quirks: ch.Quirks, Reset: ch.Reset, Version: ch.Version})
		return err
	},
}

// directoryPassword takes a password that a directory sends, for those that are set
// to store it. One that is the person's already changes nothing; a new one ends the
// sessions that began with the old one.
func (s *system) directoryPassword(ctx context.Context, in scim.PasswordChange) (func(*store.Tx, store.UserID) error, error) {
	if in.User != "" {
		if same, err := s.passwords.Is(ctx, in.Org, in.User, in.Password); err != nil || same {
			return nil, err
		}
	}
	org, err := s.db.OrgByID(ctx, in.Org)
	if err != nil {
		return nil, err
	}
	if err := s.passwords.Check(ctx, in.Org, in.User, in.Password, append(in.Words, org.Name, org.Slug)...); err != nil {
		return nil, err
	}
	hash, err := s.passwords.Hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx, user store.UserID) error {
		if err := s.passwords.Set(tx, user, hash); err != nil {
			return err
		}
		return s.sessions.EndAllOf(tx, user)
	}, nil
}
