package api

import (
	"maps"
	"net/http"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Defaults are those of new people with their version.
type Defaults struct {
	store.Defaults
	Version int64 `json:"version"`
}

// DefaultsOf are those of tx's organization. Faults: Denied.
func DefaultsOf(tx *store.Tx) (out Defaults, err error) {
	out.Defaults, out.Version, err = tx.Defaults()
	if out.Teams == nil {
		out.Teams = []store.GroupID{}
	}
	return out, err
}

// DefaultsChange is what becomes of them: what is nil stays, an entry of For that is nil goes.
type DefaultsChange struct {
	Role    *string                   `json:"role"`
	Teams   *[]store.GroupID          `json:"teams"`
	For     map[string]*store.Default `json:"for"`
	Version int64                     `json:"version"`
}

// ChangeDefaults makes the change. Needs Write. Faults: those of store.SetDefaults.
func ChangeDefaults(tx *store.Tx, in DefaultsChange) (Defaults, error) {
	now, err := DefaultsOf(tx)
	if err != nil {
		return now, err
	}
	if in.Version != 0 {
		now.Version = in.Version
	}
	if in.Role != nil {
		now.Role = *in.Role
	}
	if in.Teams != nil {
		now.Teams = *in.Teams
	}
	now.For = maps.Clone(now.For)
	for key, one := range in.For {
		if one == nil {
			delete(now.For, key)
			continue
		}
		now.For[key] = *one
	}
	if err := tx.SetDefaults(now.Defaults, now.Version); err != nil {
		return now, err
	}
	return DefaultsOf(tx)
}

func (d *Door) defaults(w http.ResponseWriter, r *http.Request) error {
	return answerDefaults(w, d.reading(r), DefaultsOf)
}

func (d *Door) setDefaults(w http.ResponseWriter, r *http.Request) error {
	var in DefaultsChange
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	return answerDefaults(w, d.writing(r), func(tx *store.Tx) (Defaults, error) { return ChangeDefaults(tx, in) })
}

func answerDefaults(w http.ResponseWriter, run func(func(*store.Tx) error) error, do func(*store.Tx) (Defaults, error)) error {
	var out Defaults
	err := run(func(tx *store.Tx) (err error) {
		out, err = do(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}
