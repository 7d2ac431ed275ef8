package store

import (
	"encoding/json"
	"slices"

	"github.com/muster-id/muster/internal/access"
)

// SchemaDocument is a schema as RFC 7643 §7 writes it, with resourceType, and for each
// attribute indexed and state, of our own. What is read of it can be written back.
type SchemaDocument struct {
	Schemas []string        `json:"schemas,omitempty"`
	Meta    json.RawMessage `json:"meta,omitempty"` // read past
	Schema
	Leaving []string `json:"leaving,omitempty"` // attributes whose values are being removed; read past
}

// Document is the schema for others to see.
func (s Schema) Document() SchemaDocument {
	doc := SchemaDocument{Schemas: []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, Schema: s}
	doc.Attributes = []Attribute{}
	for _, a := range s.Attributes {
		if a.State == Removing {
			doc.Leaving = append(doc.Leaving, a.Name)
			continue
		}
		a.Since, a.Subs = 0, slices.Clone(a.Subs)
		for i := range a.Subs {
			a.Subs[i].Since = 0
		}
		doc.Attributes = append(doc.Attributes, a)
	}
	return doc
}

// DefinedSchemas are the organization's schemas as they are now, also those that are
// on their way out. Faults: Denied.
func (tx *Tx) DefinedSchemas() ([]Schema, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	d, err := tx.freshDefinitions()
	if err != nil {
		return nil, err
	}
	return d.Schemas, nil
}

// DefinedSchema is one of them. Faults: Denied, NotFound.
func (tx *Tx) DefinedSchema(urn string) (Schema, error) {
	list, err := tx.DefinedSchemas()
	if err != nil {
		return Schema{}, err
	}
	d := Definitions{Schemas: list}
	if s, ok := d.Find(urn); ok {
		return s, nil
	}
	return Schema{}, noSchema(urn)
}
