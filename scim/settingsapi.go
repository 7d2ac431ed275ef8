package scim

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// settingsInfo is how a directory's requests are understood, in JSON.
type settingsInfo struct {
	ID     store.DirectoryID `json:"id"`
	Vendor string            `json:"vendor"`
	Mode   string            `json:"mode"`
	Needs  string            `json:"needs"`                // what the vendor relies on
	Looks  string            `json:"looks_like,omitempty"` // another vendor that the newest requests name
	Quirks Quirks            `json:"quirks"`
	Preset Quirks            `json:"preset"`
	Own    json.RawMessage   `json:"own"` // what differs from the preset
	Tag    string            `json:"version"`
}

func infoOf(tx *store.Tx, d store.Directory) (settingsInfo, error) {
	v, _ := VendorNamed(d.Vendor)
	out := settingsInfo{ID: d.ID, Vendor: d.Vendor, Mode: d.Mode, Needs: v.Needs, Preset: presetOf(d.Vendor, d.Mode), Own: json.RawMessage(d.Quirks), Tag: d.Tag()}
	var err error
	if out.Quirks, err = QuirksOf(d.Vendor, d.Mode, d.Quirks); err != nil {
		return out, err
	}
	like, is, err := Hint(tx, d)
	if is {
		out.Looks = like.Name
	}
	return out, err
}

func (h *handler) apiSettings(w http.ResponseWriter, r *http.Request) error {
	return h.inDirectory(w, r, http.StatusOK, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		d, err := tx.Directory(id)
		if err != nil {
			return nil, err
		}
		return infoOf(tx, d)
	})
}

// apiConfigure changes what the body names; a switch that is null is the preset's again.
func (h *handler) apiConfigure(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Vendor  string         `json:"vendor"`
		Mode    string         `json:"mode"`
		Quirks  map[string]any `json:"quirks"`
		Reset   bool           `json:"reset"`
		Version string         `json:"version"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ch := DirectoryChange{Vendor: in.Vendor, Mode: in.Mode, Reset: in.Reset, Version: in.Version, Quirks: map[string]string{}}
	for name, v := range in.Quirks {
		switch v := v.(type) {
		case nil:
			ch.Quirks[name] = ""
		case bool:
			ch.Quirks[name] = strconv.FormatBool(v)
		case string:
			ch.Quirks[name] = v
		case float64:
			ch.Quirks[name] = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			return fault.Invalid.On("quirks", "%.64q is an object or a list; a switch is true, false, a word or a number.", name)
		}
	}
	return h.inDirectory(w, r, http.StatusOK, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		d, err := Configure(tx, id, ch)
		if err != nil {
			return nil, err
		}
		return infoOf(tx, d)
	})
}
