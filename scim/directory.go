package scim

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// NewDirectory is what Create needs.
type NewDirectory struct {
	Name   string
	Vendor string     // one of VendorNames, or another name for it; custom when empty
	Mode   string     // compat (when empty) or strict
	Quirks store.JSON // switches that differ from the preset; see Quirks
}

var vendorForm = regexp.MustCompile(`^[a-zA-Z0-9]{1,40}$`)

// Create adds a directory with its first token, which is shown this once. A vendor
// that nobody knows becomes custom. Needs Write. Faults: Denied, Invalid on "name",
// "vendor", "mode" or "quirks".
func Create(tx *store.Tx, in NewDirectory) (store.Directory, string, error) {
	if in.Mode == "" {
		in.Mode = modeCompat
	}
	var err error
	if in.Vendor, err = knownVendor(in.Vendor); err != nil {
		return store.Directory{}, "", err
	}
	if err := checkMode(in.Mode); err != nil {
		return store.Directory{}, "", err
	}
	if _, err := QuirksOf(in.Vendor, in.Mode, in.Quirks); err != nil {
		return store.Directory{}, "", err
	}
	d, err := tx.CreateDirectory(store.Directory{Name: in.Name, Vendor: in.Vendor, Mode: in.Mode, Quirks: in.Quirks})
	if err != nil {
		return d, "", err
	}
	token, err := issue(tx, d.ID, &Token{Name: "First token", CreatedAt: tx.Now()})
	return d, token, err
}

// knownVendor gives the name of the preset that is meant.
func knownVendor(name string) (string, error) {
	if name == "" {
		return Custom, nil
	}
	if !vendorForm.MatchString(name) {
		return "", fault.Invalid.On("vendor", "%.64q is not a vendor. Use letters and digits, such as okta, entra or custom.", name)
	}
	v, _ := VendorNamed(name)
	return v.Name, nil
}

func checkMode(mode string) error {
	if mode != modeCompat && mode != modeStrict {
		return fault.Invalid.On("mode", "The mode is compat or strict, not %.64q.", mode)
	}
	return nil
}

// DirectoryChange is what Configure changes; what is empty stays.
type DirectoryChange struct {
	Vendor, Mode string
	Quirks       map[string]string // by name; an empty value is the preset's again
	Reset        bool              // every switch is the preset's, before Quirks are set
	Version      string            // Tag of the directory that the change is made for; whatever it is when empty
}

// Configure changes how a directory's requests are understood. Switches that are
// as the preset has them are not kept, so that they follow a later change of mode or
// vendor. Running servers follow within seconds. Needs Write. Faults: Denied,
// NotFound, Invalid on "vendor", "mode" or "quirks", Conflict on "version" (changed since).
func Configure(tx *store.Tx, id store.DirectoryID, ch DirectoryChange) (store.Directory, error) {
	return tx.UpdateDirectory(id, func(d *store.Directory) (err error) {
		if err := store.Unchanged(ch.Version, d.Tag()); err != nil {
			return err
		}
		if ch.Vendor != "" {
			if d.Vendor, err = knownVendor(ch.Vendor); err != nil {
				return err
			}
		}
		if ch.Mode != "" {
			if err := checkMode(ch.Mode); err != nil {
				return err
			}
			d.Mode = ch.Mode
		}
		own := map[string]any{}
		if !ch.Reset {
			if err := json.Unmarshal(d.Quirks, &own); err != nil {
				return fmt.Errorf("switches of directory %s: %w", id, err)
			}
		}
		preset := presetOf(d.Vendor, d.Mode).values()
		for _, name := range slices.Sorted(maps.Keys(ch.Quirks)) {
			s, ok := switchNamed(name)
			if !ok {
				return fault.Invalid.On("quirks", "There is no switch %.64q. There are %s.", name, SwitchNames())
			}
			text := ch.Quirks[name]
			if text == "" || text == preset[s.Name] {
				delete(own, s.Name)
				continue
			}
			if own[s.Name], err = s.parse(text); err != nil {
				return err
			}
		}
		if d.Quirks, err = json.Marshal(own); err != nil {
			return err
		}
		_, err = QuirksOf(d.Vendor, d.Mode, d.Quirks)
		return err
	})
}

// SwitchNames are the names of all switches, with commas between.
func SwitchNames() string {
	names := make([]string, len(switches))
	for i, s := range switches {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// SetRate gives a directory a rate of its own, in requests a second on each replica;
// 0 is the server's again. Other replicas follow within seconds. Needs Write.
// Faults: Denied, NotFound, Invalid on "quirks".
func SetRate(tx *store.Tx, id store.DirectoryID, perSecond int) error {
	_, err := Configure(tx, id, DirectoryChange{Quirks: map[string]string{"requestsPerSecond": strconv.Itoa(perSecond)}})
	return err
}

// Setting is a switch with what it is for one directory.
type Setting struct {
	Switch
	Value  string
	Preset string // what the vendor's preset and the mode make of it
	Reason string // why the preset departs from compat; empty when it does not
}

// SettingsOf are a directory's switches. Faults: Invalid on "quirks" when what is
// stored cannot be read.
func SettingsOf(d store.Directory) ([]Setting, error) {
	q, err := QuirksOf(d.Vendor, d.Mode, d.Quirks)
	if err != nil {
		return nil, err
	}
	value, preset := q.values(), presetOf(d.Vendor, d.Mode).values()
	list := make([]Setting, len(switches))
	for i, s := range switches {
		list[i] = Setting{Switch: s, Value: value[s.Name], Preset: preset[s.Name]}
	}
	if d.Mode == modeStrict {
		return list, nil
	}
	v, _ := VendorNamed(d.Vendor)
	for _, dev := range v.Deviations {
		for i := range list {
			if list[i].Name == dev.Switch {
				list[i].Reason = dev.Source
			}
		}
	}
	return list, nil
}
