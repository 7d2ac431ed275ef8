// Package openapi shows the REST API to whoever writes a client of it.
//
//	/api/v1/openapi.json   the OpenAPI 3.1 document, for programs
//	/api/docs              the same for people: groups of operations (docs.html)
//	/api/docs/{group}      each with parameters, body, answers and an example (group.html)
//
// Both are for everybody: there is nothing in them of any organization. The document is
// made of the source (package openapitest says how; make generate does it) and goes into
// the program; the pages are made of the document when the server starts. A test holds it
// against the source, and every exchange of the API's tests is held against it. So the
// document is also what tells web which parameters an operation has; others are refused.
//
// It owns no table and relies on web.
package openapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
)

// Document is the OpenAPI document.
//
//go:embed openapi.json
var Document []byte

//go:embed templates
var templates embed.FS

var pages = web.MustPages(templates, "templates/*.html")

type door struct {
	json   string // address of the document
	tag    string // of the document
	groups []group
}

// Mount adds the document and its pages, and tells m the parameters of all operations. It panics when the document cannot be read: a
// test has seen that it can.
func Mount(m *web.Mux) {
	d := &door{json: m.URL("/api/v1/openapi.json"), tag: tag(Document)}
	var err error
	if d.groups, err = read(Document, m.URL("")); err != nil {
		panic("openapi: " + err.Error())
	}
	for _, g := range d.groups {
		for _, o := range g.Operations {
			m.Parameters(o.Method+" "+o.Path, o.query)
		}
	}
	m.Public("GET /api/v1/openapi.json", d.document) // Get this document
	m.Public("GET /api/docs", d.index)
	m.Public("GET /api/docs/{group}", d.group)
}

func (d *door) document(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache") // another version of the server has another one: ask
	w.Header().Set("ETag", d.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(Document))
	return nil
}

func tag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

func (d *door) index(w http.ResponseWriter, r *http.Request) error {
	return show(w, r, "docs", struct {
		JSON   string
		Groups []group
	}{d.json, d.groups})
}

func (d *door) group(w http.ResponseWriter, r *http.Request) error {
	for _, g := range d.groups {
		if g.Slug == r.PathValue("group") {
			return show(w, r, "group", g)
		}
	}
	return fault.NotFound.Say("There is no such part of the API. /api/docs has all of them.")
}

// show writes a page, or says that the browser has it already. It has the reader's name
// and language, so nobody keeps it for others.
func show(w http.ResponseWriter, r *http.Request, name string, data any) error {
	made := &written{ResponseWriter: w}
	if err := pages.Write(made, r, http.StatusOK, name, data); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("ETag", tag(made.body.Bytes()))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(made.body.Bytes()))
	return nil
}

// written is a page that is not sent yet.
type written struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (w *written) WriteHeader(int) {}

func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }
