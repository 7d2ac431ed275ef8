package store

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

// Values of an organization's own attributes that are indexed or unique have rows in
// extra_values, whoever writes the document: the rows follow from the document and the
// definitions alone. A filter takes the rows as a first choice and looks at the
// documents then, so a row too many does no harm; uniqueness is the database's.

// leaf is an attribute, or sub-attribute, whose values have rows.
type leaf struct {
	Attribute
	resource string
	path     []string // in a document: URN, name and perhaps sub-attribute
	key      string   // as extra_values has it, and as a filter writes it
}

// extraRow is a row of extra_values.
type extraRow struct {
	Attr string `json:"attr"`
	Key  string `json:"key"`
	Uniq int    `json:"uniq"`
}

// prepare works out what is asked of the definitions at every write.
func (d *Definitions) prepare() {
	d.leaves, d.secret = nil, false
	for _, s := range d.Schemas {
		for _, a := range s.Attributes {
			d.secret = d.secret || a.Secret()
			l := leaf{a, s.Resource, []string{s.URN, a.Name}, s.URN + ":" + a.Name}
			d.keep(l)
			for _, sub := range a.Subs {
				d.secret = d.secret || sub.Secret()
				if a.State != Removing {
					d.keep(leaf{sub, s.Resource, append(slices.Clip(l.path), sub.Name), l.key + "." + sub.Name})
				}
			}
		}
	}
}

func (d *Definitions) keep(l leaf) {
	if l.State == Building || l.State == Ready || l.State == Closing {
		d.leaves = append(d.leaves, l)
	}
}

// indexed counts the attributes of a resource type that have rows, or are to have them.
func (d *Definitions) indexed(resource string) int {
	n := 0
	for _, s := range d.Schemas {
		if s.Resource != resource {
			continue
		}
		for _, a := range s.Attributes {
			for _, x := range append([]Attribute{a}, a.Subs...) {
				if x.rows() && a.State != Removing {
					n++
				}
			}
		}
	}
	return n
}

// rowsOf are the rows that a document has.
func (d *Definitions) rowsOf(resource string, doc Doc) (map[extraRow]bool, error) {
	var rows map[extraRow]bool
	for _, l := range d.leaves {
		if l.resource != resource || doc == nil {
			continue
		}
		for _, v := range valuesAt(doc, l.path) {
			row, err := l.row(v)
			if err != nil {
				return nil, err
			}
			if row.Key == "" {
				continue
			}
			if rows == nil {
				rows = map[extraRow]bool{}
			}
			rows[row] = true
		}
	}
	return rows, nil
}

func (l leaf) row(v any) (extraRow, error) {
	row := extraRow{Attr: l.key, Key: IndexKey(l.Type, l.CaseExact, v)}
	if err := checkText(l.key, row.Key, math.MaxInt); err != nil {
		return row, err
	}
	if l.Uniqueness == "server" {
		row.Uniq = 1
		if len(row.Key) > maxKey {
			return row, fault.Invalid.On(l.key, "%s is unique, so its value can be at most %d bytes long; this one has %d.", l.key, maxKey, len(row.Key))
		}
	}
	row.Key = clip(row.Key, maxKey)
	return row, nil
}

// valuesAt are the simple values under a path, those of lists one by one.
func valuesAt(doc Doc, path []string) []any {
	at := []any{any(doc)}
	for _, name := range path {
		var next []any
		for _, v := range at {
			m, _ := v.(map[string]any)
			switch v := m[name].(type) {
			case nil:
			case []any:
				next = append(next, v...)
			default:
				next = append(next, v)
			}
		}
		at = next
	}
	return at
}

// IndexKey is the form in which a value stands in an index: two that a filter takes
// for equal have one key, and keys of numbers and times are in their order. Empty: the
// value is not indexed, as it is none of that type.
func IndexKey(kind string, caseExact bool, v any) string {
	switch v := v.(type) {
	case string:
		switch {
		case kind == "dateTime":
			return strings.TrimSuffix(v, "Z") // whoever writes it, writes it in UTC; see scim/value.go
		case kind == "integer" || kind == "decimal" || kind == "boolean":
			return ""
		case caseExact:
			return v
		}
		return FoldLetters(v)
	case json.Number:
		if kind == "integer" {
			i, err := v.Int64()
			if err != nil {
				return ""
			}
			return fmt.Sprintf("%016x", uint64(i)^1<<63)
		}
		f, err := strconv.ParseFloat(v.String(), 64)
		if err != nil || kind != "decimal" {
			return ""
		}
		bits := math.Float64bits(f + 0) // one zero
		if bits>>63 == 1 {
			bits = ^bits
		} else {
			bits |= 1 << 63
		}
		return fmt.Sprintf("%016x", bits)
	}
	return ""
}

const insertExtras = `INSERT INTO extra_values (org_id, attr, value_key, owner_id, uniq)
	SELECT {{as_id}}, e.value ->> 'attr', e.value ->> 'key', {{as_id}}, CAST(e.value ->> 'uniq' AS {{int}}) FROM {{each}} WHERE {{gate}}
	ON CONFLICT (org_id, attr, value_key, owner_id) DO NOTHING`

const deleteExtras = `DELETE FROM extra_values WHERE org_id = ? AND owner_id = ? AND {{gate}} AND EXISTS (SELECT 1 FROM {{each}}
	WHERE e.value ->> 'attr' = extra_values.attr AND e.value ->> 'key' = extra_values.value_key)`

// extraSteps bring the rows of a user or group in line with its new document; of the
// rows only those are touched that differ.
// Faults: Invalid, Conflict on the attribute whose value somebody else has.
func (tx *Tx) extraSteps(resource, id string, old, doc Doc) (steps []step, err error) {
	d, err := tx.Definitions()
	if err != nil || len(d.leaves) == 0 {
		return nil, err
	}
	was, err := d.rowsOf(resource, old)
	if err != nil { // it was written before the attribute was unique
		was = nil
	}
	want, err := d.rowsOf(resource, doc)
	if err != nil {
		return nil, err
	}
	gone := minus(was, want)
	come := minus(want, was)
	if err := tx.checkUnique(id, come); err != nil {
		return nil, err
	}
	if len(gone) > 0 {
		steps = append(steps, step{deleteExtras, []any{tx.Org(), id, extraList(gone)}})
	}
	if len(come) > 0 {
		steps = append(steps, step{insertExtras, []any{tx.Org(), id, extraList(come)}})
	}
	return steps, nil
}

func minus[T comparable](a, b map[T]bool) map[T]bool {
	out := map[T]bool{}
	for r := range a {
		if !b[r] {
			out[r] = true
		}
	}
	return out
}

func extraList(rows map[extraRow]bool) string {
	list := make([]extraRow, 0, len(rows))
	for r := range rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b extraRow) int { return strings.Compare(a.Attr+"\x00"+a.Key, b.Attr+"\x00"+b.Key) }) // everybody locks in one order
	b, _ := json.Marshal(list)                                                                                          // strings and numbers always marshal
	return string(b)
}

// checkUnique names the attribute whose value somebody else has. It looks before the
// change; that nobody comes in between is the database's to say: see takenExtra.
func (tx *Tx) checkUnique(id string, come map[extraRow]bool) error {
	unique := map[extraRow]bool{}
	for r := range come {
		if r.Uniq == 1 {
			unique[r] = true
		}
	}
	if len(unique) == 0 {
		return nil
	}
	var attr string
	err := tx.Get(&attr, `SELECT v.attr FROM {{each}} JOIN extra_values v ON v.org_id = {{as_id}} AND v.attr = e.value ->> 'attr' AND v.value_key = e.value ->> 'key'
		WHERE v.uniq = 1 AND v.owner_id <> {{as_id}} ORDER BY v.attr LIMIT 1`, extraList(unique), tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.Conflict.On(attr, "Another one in this organization has this value of %s, which is unique. Send another value, or change the one who has it.", attr)
}

// uniqueValue is the field of a conflict on extra_values.
const uniqueValue = "a unique attribute"

// takenExtra turns a conflict that was found while writing into a stale read: somebody
// else got the value after checkUnique. The command runs again, and checkUnique then
// names the attribute before PostgreSQL gives up the transaction.
func takenExtra(err error) error {
	if !fault.Is(err, fault.Conflict) || fault.Field(err) != uniqueValue {
		return err
	}
	return fmt.Errorf("%w (%w)", errStale, err)
}

// addExtras makes the rows of a document that has none, in a statement of its own.
func (tx *Tx) addExtras(resource, id string, doc Doc) error {
	d, err := tx.Definitions()
	if err != nil {
		return err
	}
	rows, err := d.rowsOf(resource, doc)
	if err != nil {
		return err
	}
	return tx.addExtraRows(id, rows)
}

func (tx *Tx) addExtraRows(id string, rows map[extraRow]bool) error {
	if len(rows) == 0 {
		return nil
	}
	if err := tx.checkUnique(id, rows); err != nil {
		return err
	}
	_, err := tx.Exec(insertExtrasAlone, tx.Org(), id, extraList(rows))
	return takenExtra(err)
}

const insertExtrasAlone = `INSERT INTO extra_values (org_id, attr, value_key, owner_id, uniq)
	SELECT {{as_id}}, e.value ->> 'attr', e.value ->> 'key', {{as_id}}, CAST(e.value ->> 'uniq' AS {{int}}) FROM {{each}} WHERE 1 = 1
	ON CONFLICT (org_id, attr, value_key, owner_id) DO NOTHING`

const deleteExtrasOf = "DELETE FROM extra_values WHERE org_id = ? AND owner_id = ?"

// hidden stands for a value that nobody is shown.
const hidden = "(not shown)"

// Masked is a document as logs and pages may show it: without the values of attributes
// that are never returned.
func (d *Definitions) Masked(doc Doc) Doc {
	if !d.secret || doc == nil {
		return doc
	}
	out := make(Doc, len(doc))
	for k, v := range doc {
		out[k] = v
	}
	for _, s := range d.Schemas {
		in, ok := doc[s.URN].(map[string]any)
		if !ok {
			continue
		}
		shown := make(map[string]any, len(in))
		for k, v := range in {
			shown[k] = v
		}
		for _, a := range s.Attributes {
			if v := shown[a.Name]; v != nil {
				shown[a.Name] = a.masked(v)
			}
		}
		out[s.URN] = shown
	}
	return out
}

// masked is Masked by the definitions of this organization.
func (tx *Tx) masked(doc Doc) (Doc, error) {
	d, err := tx.Definitions()
	if err != nil {
		return nil, err
	}
	return d.Masked(doc), nil
}

func (a Attribute) masked(v any) any {
	if a.Secret() {
		return hidden
	}
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = a.masked(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = e
		}
		for _, s := range a.Subs {
			if out[s.Name] != nil && s.Secret() {
				out[s.Name] = hidden
			}
		}
		return out
	}
	return v
}
