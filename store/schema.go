package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/fault"
)

// What an organization adds to the User and the Group: extension schemas (RFC 7643
// §7), of which one for each resource type is its own and the others carry URNs that
// a directory asks for. The values stand in the documents, under the schema's URN, as
// those of the Enterprise extension do; whoever writes a document keeps them.
//
// All definitions of an organization are one row with a revision. Replicas keep what
// they read for definitionsFor, so for that long they may disagree about it. Whatever
// hangs on agreement therefore goes by steps, each of which every replica must have
// seen before the next: see extra_build.go.

// The resource types that can be extended.
const (
	UserResource  = "User"
	GroupResource = "Group"
)

// Schema is one extension.
type Schema struct {
	URN         string      `json:"id"`
	Resource    string      `json:"resourceType"` // UserResource or GroupResource
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Attributes  []Attribute `json:"attributes"`
	Removing    bool        `json:"removing,omitempty"` // goes when the last attribute is gone
}

// Attribute is an attribute of an extension, or a sub-attribute, with the
// characteristics of RFC 7643 §7.
type Attribute struct {
	Name           string      `json:"name"`
	Type           string      `json:"type"`
	MultiValued    bool        `json:"multiValued"`
	Description    string      `json:"description,omitempty"`
	Required       bool        `json:"required"`
	Canonical      []string    `json:"canonicalValues,omitempty"` // suggestions: other values are taken too
	CaseExact      bool        `json:"caseExact"`
	Mutability     string      `json:"mutability"`
	Returned       string      `json:"returned"`
	Uniqueness     string      `json:"uniqueness"`
	ReferenceTypes []string    `json:"referenceTypes,omitempty"`
	Subs           []Attribute `json:"subAttributes,omitempty"`
	Indexed        bool        `json:"indexed"`        // ours: filters with eq, sw and order find values without reading documents
	Self           bool        `json:"self,omitempty"` // ours: people fill it in themselves

	State State `json:"state,omitempty"`
	Since Time  `json:"since,omitempty"` // of the state
}

// Tag changes with what can be changed of an attribute by itself, for forms that were
// open meanwhile.
func (a Attribute) Tag() string {
	return TagOf(a.Description, a.Canonical, a.Required, a.Self, a.Indexed)
}

// State is where an attribute stands between definition and use of its rows in
// extra_values, or on its way out.
type State string

// The states. Rows are written from Building to Closing, and read when Ready.
const (
	Building State = "building" // the rows of values that were there before are being made
	Ready    State = "ready"
	Closing  State = "closing"  // nobody reads the rows any more
	Purging  State = "purging"  // nobody writes them any more, and they go
	Removing State = "removing" // the attribute is gone, and its values go
)

// Secret tells that nobody is ever shown the values.
func (a Attribute) Secret() bool { return a.Returned == "never" }

// Find is an attribute by its name in any case.
func (s Schema) Find(name string) (Attribute, bool) {
	i := s.index(name)
	if i < 0 {
		return Attribute{}, false
	}
	return s.Attributes[i], true
}

func (s Schema) index(name string) int {
	return slices.IndexFunc(s.Attributes, func(a Attribute) bool { return strings.EqualFold(a.Name, name) })
}

// Definitions are the schemas of one organization. Shared: never changed once read.
type Definitions struct {
	Revision string // empty: there is nothing, and never was
	Schemas  []Schema

	leaves []leaf // what has rows in extra_values
	secret bool   // there are attributes that are never shown
}

// Of are the schemas of a resource type that are in use, without what is on its way out.
func (d *Definitions) Of(resource string) []Schema {
	var out []Schema
	for _, s := range d.Schemas {
		if s.Resource != resource || s.Removing {
			continue
		}
		s.Attributes = slices.DeleteFunc(slices.Clone(s.Attributes), func(a Attribute) bool { return a.State == Removing })
		out = append(out, s)
	}
	return out
}

// Leaving are the schemas and attributes of a resource type whose values are on their
// way out, and not to be shown: URN, or URN:name.
func (d *Definitions) Leaving(resource string) (list []string) {
	for _, s := range d.Schemas {
		if s.Resource == resource && s.Removing {
			list = append(list, s.URN)
		}
		for _, a := range s.Attributes {
			if s.Resource == resource && a.State == Removing {
				list = append(list, s.URN+":"+a.Name)
			}
		}
	}
	return list
}

// Find is a schema by its URN in any case.
func (d *Definitions) Find(urn string) (Schema, bool) {
	i := d.index(urn)
	if i < 0 {
		return Schema{}, false
	}
	return d.Schemas[i], true
}

func (d *Definitions) index(urn string) int {
	return slices.IndexFunc(d.Schemas, func(s Schema) bool { return strings.EqualFold(s.URN, urn) })
}

// OwnURN is the schema in which an organization's attributes stand unless another
// URN is named.
func OwnURN(slug, resource string) string {
	return "urn:muster:params:scim:schemas:extension:" + slug + ":2.0:" + resource
}

// definitionsFor is how long a replica goes on with what it has read.
const definitionsFor = 2 * time.Second

// definitionsCache has the definitions of organizations that were asked for.
type definitionsCache struct {
	mu sync.Mutex // guards m
	m  map[OrgID]knownDefinitions
}

type knownDefinitions struct {
	*Definitions
	defaults Defaults // of new people; here, because every change of people knows the definitions
	until    time.Time
}

func (c *definitionsCache) get(org OrgID) knownDefinitions {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[org]
}

func (c *definitionsCache) put(org OrgID, d *Definitions, defaults Defaults, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[OrgID]knownDefinitions{}
	}
	if c.m[org].until.After(until) { // somebody who began to read later was faster
		return
	}
	c.m[org] = knownDefinitions{d, defaults, until}
}

func (c *definitionsCache) forget(org OrgID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, org)
}

// Definitions are what the organization has defined, as it was at most two seconds
// ago; a change that this process has made is seen at once. What a process has seen
// never goes back to what was before.
func (db *DB) Definitions(ctx context.Context, org OrgID) (*Definitions, error) {
	return db.definitions(org, func(dest any, query string, args ...any) error { return db.Lookup(ctx, dest, query, args...) })
}

// Definitions is DB.Definitions for the organization of tx.
func (tx *Tx) Definitions() (*Definitions, error) { return tx.db.definitions(tx.Org(), tx.Get) }

func (db *DB) definitions(org OrgID, get func(dest any, query string, args ...any) error) (*Definitions, error) {
	known, now := db.schemas.get(org), db.now()
	if known.Definitions != nil && now.Before(known.until) {
		return known.Definitions, nil
	}
	var said struct {
		Revision OrgID `db:"revision"`
		Defaults *JSON `db:"defaults"`
	}
	if err := get(&said, selectRevision, org, org, DefaultsSetting); err != nil {
		return nil, err
	}
	var defaults Defaults
	if said.Defaults != nil {
		if err := json.Unmarshal(*said.Defaults, &defaults); err != nil {
			return nil, err
		}
	}
	if said.Revision == "" {
		db.schemas.put(org, &Definitions{}, defaults, now.Add(definitionsFor))
		return &Definitions{}, nil
	}
	if known.Definitions == nil || known.Revision != string(said.Revision) {
		var row definitionsRow
		err := get(&row, selectDefinitions, org)
		if err != nil {
			return nil, err
		}
		if known.Definitions, err = row.decode(); err != nil {
			return nil, err
		}
	}
	db.schemas.put(org, known.Definitions, defaults, now.Add(definitionsFor))
	return known.Definitions, nil
}

const selectRevision = `SELECT (SELECT revision FROM org_schemas WHERE org_id = ?) AS revision, (SELECT value FROM org_settings WHERE org_id = ? AND name = ?) AS defaults`

const selectDefinitions = "SELECT revision, doc FROM org_schemas WHERE org_id = ?"

type definitionsRow struct {
	Revision OrgID `db:"revision"`
	Doc      JSON  `db:"doc"`
}

func (r definitionsRow) decode() (*Definitions, error) {
	d := &Definitions{Revision: string(r.Revision)}
	if err := json.Unmarshal(r.Doc, &d.Schemas); err != nil {
		return nil, err
	}
	d.prepare()
	return d, nil
}

// freshDefinitions reads past the cache, for a change; it locks the row.
func (tx *Tx) freshDefinitions() (*Definitions, error) {
	var row definitionsRow
	err := tx.Get(&row, selectDefinitions+tx.ForUpdate(), tx.Org())
	if fault.Is(err, fault.NotFound) {
		return &Definitions{}, nil
	}
	if err != nil {
		return nil, err
	}
	return row.decode()
}

// saveDefinitions writes what freshDefinitions gave, changed.
func (tx *Tx) saveDefinitions(d *Definitions) error {
	was := d.Revision
	d.Revision = string(NewID[Schema]())
	d.prepare()
	doc, err := json.Marshal(d.Schemas)
	if err != nil {
		return err
	}
	var n int64
	if was == "" {
		n, err = tx.Exec("INSERT INTO org_schemas (org_id, revision, doc, due_at, updated_at) VALUES (?, ?, {{as_json}}, ?, ?) ON CONFLICT (org_id) DO NOTHING",
			tx.Org(), d.Revision, string(doc), d.due(), tx.Now())
	} else {
		n, err = tx.Exec("UPDATE org_schemas SET revision = ?, doc = {{as_json}}, due_at = ?, updated_at = ? WHERE org_id = ? AND revision = ?",
			d.Revision, string(doc), d.due(), tx.Now(), tx.Org(), was)
	}
	if err == nil && n == 0 {
		return errStale
	}
	org := tx.Org()
	tx.AfterCommit(func() { tx.db.schemas.forget(org) })
	return err
}

// due is when the loop has to look at the definitions again; 0: not at all.
func (d *Definitions) due() Time {
	var at Time
	for _, s := range d.Schemas {
		if s.Removing && len(s.Attributes) == 0 {
			return 1
		}
		for _, a := range s.Attributes {
			for _, x := range append([]Attribute{a}, a.Subs...) {
				if x.State != "" && x.State != Ready && (at == 0 || x.Since.Add(settleFor) < at) {
					at = x.Since.Add(settleFor)
				}
			}
		}
	}
	return at
}
