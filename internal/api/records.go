package api

import (
	"encoding/json"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountRecords(m *web.Mux) {
	m.API(access.ViewUsers, "GET /api/v1/records", d.listRecords)                         // List records of applications
	m.API(access.ViewUsers, "GET /api/v1/records/{kind}", d.listRecords)                  // List records of one kind
	m.API(access.ViewUsers, "GET /api/v1/records/{kind}/{id}", d.record)                  // Get a record
	m.API(access.EditUsers, "PUT /api/v1/records/{kind}/{id}", d.putRecord)               // Create or replace a record
	m.API(access.EditUsers, "DELETE /api/v1/records/{kind}/{id}", d.deleteRecord)         // Delete a record
	m.API(access.ViewUsers, "GET /api/v1/users/{user}/records", d.recordsOf)              // List the records to which a person is linked
	m.API(access.EditUsers, "PUT /api/v1/users/{user}/records/{kind}", d.linkRecord)      // Link a person to a record
	m.API(access.EditUsers, "DELETE /api/v1/users/{user}/records/{kind}", d.unlinkRecord) // Unlink a person from a record
}

type recordJSON struct {
	Kind       string       `json:"kind"`
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	Address    string       `json:"address"`
	Attributes store.JSON   `json:"attributes"`
	Version    int64        `json:"version"`
	CreatedAt  string       `json:"created_at"`
	UpdatedAt  string       `json:"updated_at"`
	User       store.UserID `json:"user_id"`
}

func recordOf(r records.Record) recordJSON {
	return recordJSON{r.Kind, r.ID, r.Name, r.Address, r.Attributes, r.Version, r.CreatedAt.RFC3339(), r.UpdatedAt.RFC3339(), r.UserID}
}

func refIn(r *http.Request) records.Ref {
	return records.Ref{Kind: r.PathValue("kind"), ID: r.PathValue("id")}
}

func (d *Door) listRecords(w http.ResponseWriter, r *http.Request) error {
	out := struct {
		Records []recordJSON `json:"records"`
		Next    string       `json:"next"`
	}{Records: []recordJSON{}}
	limit, err := limitIn(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		page, err := records.List(tx, records.Query{Kind: r.PathValue("kind"), Search: q.Get("q"), Free: q.Get("free") == "true", After: q.Get("after"), Limit: limit})
		for _, one := range page.Records {
			out.Records = append(out.Records, recordOf(one))
		}
		out.Next = page.Next
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) record(w http.ResponseWriter, r *http.Request) error {
	var one records.Record
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		one, err = records.Get(tx, refIn(r))
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, recordOf(one))
}

func (d *Door) putRecord(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name       string          `json:"name"`
		Address    string          `json:"address"`
		Attributes json.RawMessage `json:"attributes"`
		Version    int64           `json:"version"`
	}
	if err := web.ReadJSON(r, &in, "name"); err != nil {
		return err
	}
	var one records.Record
	made := false
	err := d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		one, made, err = records.Put(tx, records.In{Ref: refIn(r), Name: in.Name, Address: in.Address, Attributes: in.Attributes, Version: in.Version})
		return err
	})
	if err != nil {
		return err
	}
	code := http.StatusOK
	if made {
		code = http.StatusCreated
	}
	return web.JSON(w, code, recordOf(one))
}

func (d *Door) deleteRecord(w http.ResponseWriter, r *http.Request) error {
	return d.done(w, r, func(tx *store.Tx) error { return records.Delete(tx, refIn(r)) })
}

// done makes a change that has no answer.
func (d *Door) done(w http.ResponseWriter, r *http.Request, change func(*store.Tx) error) error {
	if err := d.opt.DB.Write(r.Context(), web.Actor(r), change); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type linkJSON struct {
	Kind    string `json:"kind"`
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Gone    bool   `json:"gone"`
	By      string `json:"linked_by"`
	Since   string `json:"since"`
}

func (d *Door) recordsOf(w http.ResponseWriter, r *http.Request) error {
	id, err := userIn(r)
	if err != nil {
		return err
	}
	out := struct {
		Records []linkJSON `json:"records"`
	}{[]linkJSON{}}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if _, err := tx.User(id); err != nil {
			return err
		}
		of, err := records.Of(tx, []store.UserID{id})
		for _, l := range of[id] {
			out.Records = append(out.Records, linkJSON{l.Kind, l.ID, l.Name, l.Address, l.Gone, l.By, l.Since.RFC3339()})
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) linkRecord(w http.ResponseWriter, r *http.Request) error {
	id, err := userIn(r)
	if err != nil {
		return err
	}
	var in struct {
		ID string `json:"id"`
	}
	if err := web.ReadJSON(r, &in, "id"); err != nil {
		return err
	}
	return d.done(w, r, func(tx *store.Tx) error {
		return records.Link(tx, id, records.Ref{Kind: r.PathValue("kind"), ID: in.ID})
	})
}

func (d *Door) unlinkRecord(w http.ResponseWriter, r *http.Request) error {
	id, err := userIn(r)
	if err != nil {
		return err
	}
	return d.done(w, r, func(tx *store.Tx) error { return records.Unlink(tx, id, r.PathValue("kind")) })
}
