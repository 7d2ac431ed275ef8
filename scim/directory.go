package scim

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// NewDirectory is what Create needs.
type NewDirectory struct {
	Name   string
	Vendor string     // okta, entra, google, onelogin, jumpcloud, ping, keycloak, ...; custom when empty
	Mode   string     // compat (when empty) or strict
	Quirks store.JSON // switches that differ from the preset; see Quirks
}

var vendorForm = regexp.MustCompile(`^[a-z0-9]{1,40}$`)

// Create adds a directory with its first token, which is shown this once. Needs
// Write. Faults: Denied, Invalid on "name", "vendor", "mode" or "quirks".
func Create(tx *store.Tx, in NewDirectory) (store.Directory, string, error) {
	if in.Vendor == "" {
		in.Vendor = "custom"
	}
	if in.Mode == "" {
		in.Mode = "compat"
	}
	switch {
	case !vendorForm.MatchString(in.Vendor):
		return store.Directory{}, "", fault.Invalid.On("vendor", "%.64q is not a vendor. Use lower-case letters and digits, such as okta, entra or custom.", in.Vendor)
	case in.Mode != "compat" && in.Mode != "strict":
		return store.Directory{}, "", fault.Invalid.On("mode", "The mode is compat or strict, not %.64q.", in.Mode)
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

// SetRate gives a directory a rate of its own, in requests a second on each replica;
// 0 is the server's again. Other replicas follow within seconds. Needs Write.
// Faults: Denied, NotFound, Invalid on "quirks".
func SetRate(tx *store.Tx, id store.DirectoryID, perSecond int) error {
	d, err := tx.Directory(id)
	if err != nil {
		return err
	}
	own := map[string]any{}
	if err := json.Unmarshal(d.Quirks, &own); err != nil {
		return fmt.Errorf("switches of directory %s: %w", id, err)
	}
	own["requestsPerSecond"] = perSecond
	if perSecond == 0 {
		delete(own, "requestsPerSecond")
	}
	quirks, err := json.Marshal(own)
	if err != nil {
		return err
	}
	if _, err := QuirksOf(d.Vendor, d.Mode, quirks); err != nil {
		return err
	}
	return tx.SetDirectoryQuirks(id, quirks)
}
