/*
Package records keeps what applications tell of people: records of their own, such as an
agent, a contact or a contractor, and which user is which.

	Put, Get, Delete, List   an application keeps its records through the API
	Tell, DeedsOf, SumsOf    what people did in an application, told by it (deeds.go)
	Link, Unlink, Of         an admin, an invitation or the application links a user to one

A user is linked to one record of a kind at most, and a record to one user. When the
application deletes a record, the link stays and is shown as gone, so that somebody
notices; when the record comes back, so does the link. The link of a deleted user holds
nothing back: whoever links the record next takes it over.

It owns the tables external_records, record_links and deeds and relies on store; it reads
users to see who is there.
*/
package records

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// Kinds are those that a form offers; an application may use its own words.
func Kinds() []string { return []string{"agent", "contact", "contractor"} }

// Ref names a record.
type Ref struct {
	Kind string `db:"kind"`
	ID   string `db:"id"`
}

// ParseRef reads kind/id as an address has it. Faults: Invalid on "record".
func ParseRef(text string) (Ref, error) {
	kind, id, ok := strings.Cut(text, "/")
	r := Ref{kind, id}
	if err := r.check(); !ok || err != nil {
		return Ref{}, fault.Invalid.On("record", "%.60q is no record. Write it like contact/4711.", text)
	}
	return r, nil
}

func (r Ref) String() string { return r.Kind + "/" + r.ID }

// Record is one of an application's.
type Record struct {
	Ref
	Name       string       `db:"name"`
	Address    string       `db:"address"`
	Attributes store.JSON   `db:"attributes"` // an object
	Version    int64        `db:"version"`
	CreatedAt  store.Time   `db:"created_at"`
	UpdatedAt  store.Time   `db:"updated_at"`
	UserID     store.UserID `db:"user_id"` // who is linked; nobody when empty
	UserName   string       `db:"user_name"`
}

// Linked is a user's link to a record.
type Linked struct {
	UserID store.UserID `db:"user_id"`
	Ref
	Name    string     `db:"name"` // the record's now, or when it was linked
	Address string     `db:"address"`
	Gone    bool       `db:"gone"` // the application has deleted it
	By      string     `db:"linked_by"`
	Since   store.Time `db:"since"`
}

var kindForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

func (r Ref) check() error {
	if !kindForm.MatchString(r.Kind) {
		return fault.Invalid.On("kind", "%.60q is no kind of record. Use 1 to 40 lower-case letters, digits and hyphens, such as contact.", r.Kind)
	}
	return needed("id", r.ID, 200)
}

// needed is a line that may not be empty.
func needed(field, text string, most int) error {
	if strings.TrimSpace(text) == "" {
		return fault.Invalid.On(field, "%s is empty.", field)
	}
	return fault.Line(field, text, most)
}

// maxAttributes bounds the object that an application keeps with a record.
const maxAttributes = 16 << 10

// In is what Put needs. Version, unless 0, is the one that is there.
type In struct {
	Ref
	Name, Address string
	Attributes    json.RawMessage // an object; {} when empty
	Version       int64
}

func (in *In) check() error {
	if err := in.Ref.check(); err != nil {
		return err
	}
	in.Name, in.Address = strings.TrimSpace(in.Name), strings.TrimSpace(in.Address)
	if err := needed("name", in.Name, 200); err != nil {
		return err
	}
	if err := fault.Line("address", in.Address, 254); err != nil {
		return err
	}
	if len(in.Attributes) == 0 {
		in.Attributes = json.RawMessage("{}")
	}
	var object map[string]any
	if len(in.Attributes) > maxAttributes || json.Unmarshal(in.Attributes, &object) != nil || object == nil {
		return fault.Invalid.On("attributes", "attributes must be an object of at most %d bytes.", maxAttributes)
	}
	if strings.Contains(string(in.Attributes), `\u0000`) {
		return fault.Invalid.On("attributes", "attributes holds a NUL character.")
	}
	return nil
}

// Put creates or replaces a record, and tells whether it is new. The same again changes
// nothing. Needs Write. Faults: Denied, Invalid, Conflict on "record" (another version).
func Put(tx *store.Tx, in In) (r Record, made bool, err error) {
	if err := tx.Require(access.EditUsers); err != nil {
		return r, false, err
	}
	if err := in.check(); err != nil {
		return r, false, err
	}
	if made, err = insert(tx, in); err != nil {
		return r, false, err
	}
	old, err := find(tx, in.Ref, tx.ForUpdate())
	if err != nil {
		return r, false, err
	}
	switch {
	case made && in.Version != 0:
		return r, false, fault.Conflict.On("record", "There is no %s, and you have version %d. Leave the version out to create it.", in.Ref, in.Version)
	case made:
		return old, true, note(tx, "record.create", in.Ref, in.Name, map[string]any{"after": map[string]any{"name": in.Name, "address": in.Address}})
	case in.Version != 0 && in.Version != old.Version:
		return r, false, fault.Conflict.On("record", "It is version %d by now, you have version %d. Read it again, then send your change.", old.Version, in.Version)
	case old.Name == in.Name && old.Address == in.Address && sameObject(old.Attributes, in.Attributes):
		return old, false, nil
	}
	if err := update(tx, in); err != nil {
		return r, false, err
	}
	if r, err = find(tx, in.Ref, ""); err != nil {
		return r, false, err
	}
	return r, false, note(tx, "record.update", in.Ref, in.Name, map[string]any{
		"before": map[string]any{"name": old.Name, "address": old.Address}, "after": map[string]any{"name": r.Name, "address": r.Address}})
}

func sameObject(a store.JSON, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x) // maps are written in the order of their keys
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

func note(tx *store.Tx, action string, ref Ref, name string, detail map[string]any) error {
	return tx.Record(store.Activity{Action: action, TargetKind: "record", TargetID: ref.String(), TargetName: name, Detail: detail})
}

// Get finds a record. Faults: Denied, NotFound.
func Get(tx *store.Tx, ref Ref) (Record, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return Record{}, err
	}
	return find(tx, ref, "")
}

// Delete removes a record. Whoever is linked keeps the link, which says that it is gone.
// Needs Write. Faults: Denied, NotFound.
func Delete(tx *store.Tx, ref Ref) error {
	if err := tx.Require(access.EditUsers); err != nil {
		return err
	}
	r, err := find(tx, ref, tx.ForUpdate())
	if err != nil {
		return err
	}
	if err := remove(tx, ref, r.Name); err != nil {
		return err
	}
	if err := note(tx, "record.delete", ref, r.Name, nil); err != nil || r.UserID == "" {
		return err
	}
	return tx.Record(store.Activity{Action: "user.record.gone", TargetKind: "user", TargetID: string(r.UserID), TargetName: r.UserName,
		Detail: map[string]any{"record": ref.String(), "name": r.Name}})
}

// Query chooses records.
type Query struct {
	Kind   string // any when empty
	Search string // words, each in name, address or id
	Free   bool   // only those that nobody is linked to
	After  string // what Page.Next said
	Limit  int    // 50 when 0, 200 at most
}

// Page is some of them, by kind and name.
type Page struct {
	Records []Record
	Next    string // for Query.After; empty: that is all
}

// List finds records. Faults: Denied, Invalid on "kind" and "after".
func List(tx *store.Tx, q Query) (Page, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return Page{}, err
	}
	if q.Kind != "" && !kindForm.MatchString(q.Kind) {
		return Page{}, (Ref{Kind: q.Kind}).check()
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 200)
	return list(tx, q)
}
