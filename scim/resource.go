package scim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/muster-id/muster/store"
)

// Resources go out as they are stored: id, meta and what are rows elsewhere are
// spliced around the stored bytes (0.01 µs; decoding and encoding takes 20). Only
// a projection decodes.

// appendUser appends one user to buf.
func appendUser(buf []byte, c *Compiled, u store.User, groups []store.GroupRef, base string, p Projection) []byte {
	r := resource{c: c, id: string(u.ID), base: base, doc: u.Doc,
		version: strconv.FormatInt(u.Version, 10), created: u.CreatedAt, changed: u.UpdatedAt}
	active := u.Status != store.Deactivated
	if p.whole() {
		buf = r.open(buf)
		buf = append(append(buf, `,"active":`...), strconv.FormatBool(active)...)
		if p.Wants("groups") {
			buf = appendGroupRefs(append(buf, `,"groups":`...), groups, base)
		}
		return append(buf, '}')
	}
	doc := r.decoded()
	doc["active"] = active
	if p.Wants("groups") {
		doc["groups"] = groupRefs(groups, base)
	}
	p.Apply(doc)
	return appendJSON(buf, doc)
}

// openGroup appends one group without its closing brace, which comes after the
// members, if they are wanted.
func openGroup(buf []byte, c *Compiled, g store.Group, base string, p Projection) []byte {
	r := resource{c: c, id: string(g.ID), base: base, doc: g.Doc,
		version: g.ETagVersion(), created: g.CreatedAt, changed: g.UpdatedAt}
	if p.whole() {
		return r.open(buf)
	}
	doc := r.decoded()
	p.Apply(doc)
	buf = appendJSON(buf, doc)
	return buf[:len(buf)-1]
}

type resource struct {
	c                *Compiled
	id, base         string
	doc              []byte // an object
	version          string
	created, changed store.Time
}

// schemas are the core schema and each extension that the document has something
// of. A key in quotes with a colon behind it cannot stand inside a string value.
func (r resource) schemas() []string {
	list := make([]string, 1, 1+len(r.c.keys))
	list[0] = r.c.URN
	for i, key := range r.c.keys {
		if bytes.Contains(r.doc, key) {
			list = append(list, r.c.urns[i+1])
		}
	}
	return list
}

// open appends the resource without its closing brace. It allocates nothing: it runs
// for each of a page.
func (r resource) open(buf []byte) []byte {
	buf = append(append(append(buf, `{"schemas":["`...), r.c.URN...), '"')
	for i, key := range r.c.keys {
		if bytes.Contains(r.doc, key) {
			buf = append(append(append(buf, `,"`...), r.c.urns[i+1]...), '"')
		}
	}
	buf = append(append(append(buf, `],"id":"`...), r.id...), '"')
	if inner := bytes.TrimSpace(r.doc[1 : len(r.doc)-1]); len(inner) > 0 {
		buf = append(append(buf, ','), inner...)
	}
	buf = append(append(buf, `,"meta":{"resourceType":"`...), r.c.Name...)
	buf = r.created.AppendRFC3339(append(buf, `","created":"`...))
	buf = r.changed.AppendRFC3339(append(buf, `","lastModified":"`...))
	buf = appendPlain(append(buf, `","location":"`...), r.base)
	buf = append(append(append(append(append(buf, '/'), r.c.Name...), "s/"...), r.id...), `","version":"W/\"`...)
	return append(append(buf, r.version...), `\""}`...)
}

func (r resource) location() string { return r.base + "/" + r.c.Name + "s/" + r.id }

// decoded is the resource as a document.
func (r resource) decoded() map[string]any {
	doc := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(r.doc))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil { // it was written by us
		doc = map[string]any{}
	}
	doc["schemas"], doc["id"] = r.schemas(), r.id
	doc["meta"] = map[string]any{"resourceType": r.c.Name, "created": r.created.RFC3339(), "lastModified": r.changed.RFC3339(),
		"location": r.location(), "version": etag(r.version)}
	return doc
}

func appendGroupRefs(buf []byte, groups []store.GroupRef, base string) []byte {
	buf = append(buf, '[')
	for i, g := range groups {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(append(append(buf, `{"value":"`...), g.ID...), `","$ref":`...)
		buf = appendString(buf, base+"/Groups/"+string(g.ID))
		buf = append(appendString(append(buf, `,"display":`...), g.Name), `,"type":"`...)
		buf = append(append(buf, howIn(g)...), `"}`...)
	}
	return append(buf, ']')
}

func groupRefs(groups []store.GroupRef, base string) []any {
	list := make([]any, len(groups))
	for i, g := range groups {
		list[i] = map[string]any{"value": string(g.ID), "$ref": base + "/Groups/" + string(g.ID), "display": g.Name, "type": howIn(g)}
	}
	return list
}

// The types of a user's groups (RFC 7643 §4.1.2).
const (
	directly   = "direct"
	indirectly = "indirect"
)

func howIn(g store.GroupRef) string {
	if g.Through != "" {
		return indirectly
	}
	return directly
}

// memberForm is which parts of a member are shown. Its name costs a join, so it
// is shown only when it is asked for (attributes=members.display).
type memberForm struct {
	base                      string // as it stands inside a JSON string
	value, ref, kind, display bool
}

func newMemberForm(base string, p Projection) memberForm {
	f := memberForm{base: string(appendPlain(nil, base)), value: true, ref: true, kind: true}
	if p.All() {
		return f
	}
	a, _ := p.c.Find("", "members", "")
	f.value, f.ref, f.kind = p.sub(a.subOf("value")), p.sub(a.subOf("$ref")), p.sub(a.subOf("type"))
	f.display = p.Names("members", "display")
	return f
}

func (f memberForm) append(buf []byte, m store.Member) []byte {
	buf = append(buf, '{')
	if f.value {
		buf = append(append(append(buf, `"value":"`...), m.ID...), `",`...)
	}
	if f.ref {
		buf = append(append(append(append(buf, `"$ref":"`...), f.base...), '/'), m.Kind...)
		buf = append(append(append(buf, "s/"...), m.ID...), `",`...)
	}
	if f.kind {
		buf = append(append(append(buf, `"type":"`...), m.Kind...), `",`...)
	}
	if f.display {
		buf = append(appendString(append(buf, `"display":`...), m.Name), ',')
	}
	if last := len(buf) - 1; buf[last] == ',' {
		buf = buf[:last]
	}
	return append(buf, '}')
}

// appendString appends s as a JSON string.
func appendString(buf []byte, s string) []byte {
	return append(appendPlain(append(buf, '"'), s), '"')
}

// appendPlain appends s as it stands inside a JSON string. Most have nothing to escape.
func appendPlain(buf []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			quoted := appendJSON(nil, s)
			return append(buf, quoted[1:len(quoted)-1]...)
		}
	}
	return append(buf, s...)
}

func appendJSON(buf []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // strings, booleans, numbers and maps of them always marshal
		return append(buf, "null"...)
	}
	return append(buf, b...)
}

// stream is an answer that grows. Nothing is sent before it is finished or has
// flushAt bytes; so an error before that is still a SCIM error, and one after it
// breaks the connection off, which no client takes for a complete answer.
type stream struct {
	w    http.ResponseWriter
	code int
	buf  []byte
	box  *[]byte // where buf came from
	sent bool
}

const flushAt = 64 << 10

// buffers are what answers gather in, used again: a page's 80 KiB would be half of
// the garbage that it makes.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, flushAt+flushAt/4)
	return &b
}}

func newStream(w http.ResponseWriter, code int) stream {
	box := buffers.Get().(*[]byte)
	return stream{w: w, code: code, buf: (*box)[:0], box: box}
}

// free gives the buffer back, once, unless one resource made it large.
func (s *stream) free() {
	if s.box != nil && cap(s.buf) <= 2*flushAt {
		*s.box = s.buf
		buffers.Put(s.box)
	}
	s.buf, s.box = nil, nil
}

// more sends what has gathered, when it is enough.
func (s *stream) more() error {
	if len(s.buf) < flushAt {
		return nil
	}
	if !s.sent {
		s.w.Header().Set("Content-Type", contentType)
		s.w.WriteHeader(s.code)
		s.sent = true
	}
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}

// end finishes the answer, or gives up because of err.
func (s *stream) end(err error) error {
	defer s.free()
	switch {
	case err != nil && s.sent:
		panic(http.ErrAbortHandler)
	case err != nil:
		return err
	case !s.sent:
		return send(s.w, s.code, s.buf)
	}
	_, err = s.w.Write(s.buf)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// streamGroup answers with one group; its members pass through one by one.
func (h *handler) streamGroup(w http.ResponseWriter, r *http.Request, code int, g store.Group, p Projection) error {
	d := from(r.Context())
	s := newStream(w, code)
	s.buf = openGroup(s.buf, d.groups, g, d.base, p)
	var err error
	if p.Wants("members") {
		form := newMemberForm(d.base, p)
		s.buf = append(s.buf, `,"members":[`...)
		first := true
		each := func(m store.Member) error {
			if !first {
				s.buf = append(s.buf, ',')
			}
			first = false
			s.buf = form.append(s.buf, m)
			return s.more()
		}
		err = h.db.Read(r.Context(), d.actor, func(tx *store.Tx) error {
			if err := tx.Members(g.ID, form.display, each); err != nil || !g.HasGroups {
				return err
			}
			return tx.Subgroups([]store.GroupID{g.ID}, func(_ store.GroupID, m store.Member) error { return each(m) })
		})
		s.buf = append(s.buf, ']')
	}
	s.buf = append(s.buf, '}')
	return s.end(err)
}
