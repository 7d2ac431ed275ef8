package scim

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// A directory's mapping for programs: the REST API. What it means is package store's.

// roleValue is a value that may give a role.
type roleValue struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Display   string `json:"display"`
	Kind      string `json:"kind"`
	Role      string `json:"role"`   // empty: none
	Mapped    bool   `json:"mapped"` // else the role is what holds without a mapping
	Users     int    `json:"users"`
}

// newMapping is the body of a PUT.
type newMapping struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Display   string `json:"display"`
	Kind      string `json:"kind"`
	Role      string `json:"role"`
}

func (h *handler) mountRoles(m *web.Mux) {
	const at = "/api/v1/directories/{directory}/roles"
	m.API(access.Configure, "GET "+at, h.apiRoles)    // List the values that a directory sends for roles, and what they give
	m.API(access.Configure, "PUT "+at, h.apiMap)      // Map a directory's value to a role. 409 when nobody would be left who is an active admin
	m.API(access.Configure, "DELETE "+at, h.apiUnmap) // Forget the mapping of a value. 409 when nobody would be left who is an active admin
}

func (h *handler) apiRoles(w http.ResponseWriter, r *http.Request) error {
	return h.inDirectory(w, r, http.StatusOK, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		values := []roleValue{}
		list, err := tx.RoleValues(id)
		for _, v := range list {
			values = append(values, roleValue{v.Attr, v.Value, v.Display, v.Kind, v.Role, v.Mapped, v.Users})
		}
		return map[string]any{"values": values}, err
	})
}

func (h *handler) apiMap(w http.ResponseWriter, r *http.Request) error {
	var in newMapping
	if err := web.ReadJSON(r, &in, "attribute", "value"); err != nil {
		return err
	}
	return h.inDirectory(w, r, http.StatusOK, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		done, err := tx.MapRole(id, store.RoleMapping{Attr: in.Attribute, Value: in.Value, Display: in.Display, Kind: in.Kind, Role: in.Role})
		return remapped(done), err
	})
}

func (h *handler) apiUnmap(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	return h.inDirectory(w, r, http.StatusOK, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		done, err := tx.UnmapRole(id, q.Get("attribute"), q.Get("value"))
		return remapped(done), err
	})
}

// remapped tells how many roles a change gave and took.
func remapped(done store.Remapped) map[string]int {
	return map[string]int{"granted": done.Granted, "revoked": done.Revoked}
}
