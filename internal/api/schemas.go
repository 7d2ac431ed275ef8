package api

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Mount adds the routes of what no other door has: the organization's schemas, roles
// and teams, and what befalls people.
func (d *Door) Mount(m *web.Mux) {
	m.API(access.Configure, "GET /api/v1/schemas", d.schemas)                    // List the schemas that the organization adds
	m.API(access.Configure, "GET /api/v1/schemas/{urn}", d.schema)               // Get a schema
	m.API(access.Configure, "PUT /api/v1/schemas/{urn}", d.putSchema)            // Create or replace a schema. Deleting an attribute that somebody has is 409 until it is confirmed
	m.APIFresh(access.Configure, "DELETE /api/v1/schemas/{urn}", d.deleteSchema) // Delete a schema. 409 while somebody has a value of it, until it is confirmed
	d.mountRoles(m)
	d.mountTeams(m)
	m.API(access.Configure, "GET /api/v1/settings/defaults", d.defaults)           // Get the role and teams of new people
	m.APIFresh(access.Configure, "PATCH /api/v1/settings/defaults", d.setDefaults) // Change the role and teams of new people. What is left out stays
	d.mountLife(m)
	d.mountRecords(m)
	d.mountDeeds(m)
}

func (d *Door) schemas(w http.ResponseWriter, r *http.Request) error {
	out := struct {
		Schemas []store.SchemaDocument `json:"schemas"`
	}{[]store.SchemaDocument{}}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := tx.DefinedSchemas()
		for _, s := range list {
			out.Schemas = append(out.Schemas, s.Document())
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) schema(w http.ResponseWriter, r *http.Request) error {
	var s store.Schema
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		s, err = tx.DefinedSchema(r.PathValue("urn"))
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, s.Document())
}

// savedSchema is a schema, and what its admin should know.
type savedSchema struct {
	store.SchemaDocument
	Warnings []string `json:"warnings"`
}

func (d *Door) putSchema(w http.ResponseWriter, r *http.Request) error {
	var in store.SchemaDocument
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	urn := r.PathValue("urn")
	if in.URN == "" {
		in.URN = urn
	}
	if in.URN != urn {
		return fault.Invalid.On("id", "The body is the schema %.220q, the address says %.220q. Send it to its own address.", in.URN, urn)
	}
	var done store.SchemaChange
	err := d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		done, err = tx.PutSchema(in.Schema, confirmed(r))
		return err
	})
	if err != nil {
		return err
	}
	code := http.StatusOK
	if done.Created {
		code = http.StatusCreated
	}
	return web.JSON(w, code, savedSchema{done.Schema.Document(), append([]string{}, done.Warnings...)})
}

func (d *Door) deleteSchema(w http.ResponseWriter, r *http.Request) error {
	err := d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		_, err := tx.DeleteSchema(r.PathValue("urn"), confirmed(r))
		return err
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// confirmed tells whether the client accepts that values are lost.
func confirmed(r *http.Request) bool { return r.URL.Query().Get("confirm") == "true" }
