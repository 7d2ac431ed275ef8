package api

import (
	"maps"
	"net/http"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// defaultsJSON are the defaults of new people with their version.
type defaultsJSON struct {
	store.Defaults
	Version int64 `json:"version"`
}

func defaultsOf(tx *store.Tx) (out defaultsJSON, err error) {
	out.Defaults, out.Version, err = tx.Defaults()
	if out.Teams == nil {
		out.Teams = []store.GroupID{}
	}
	return out, err
}

func (d *Door) defaults(w http.ResponseWriter, r *http.Request) error {
	var out defaultsJSON
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		out, err = defaultsOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) setDefaults(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Role    *string                   `json:"role"`
		Teams   *[]store.GroupID          `json:"teams"`
		For     map[string]*store.Default `json:"for"`
		Version int64                     `json:"version"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	var out defaultsJSON
	err := d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		now, err := defaultsOf(tx)
		if err != nil {
			return err
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
			return err
		}
		out, err = defaultsOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}
