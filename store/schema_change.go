package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// SchemaChange is what PutSchema and its like have done.
type SchemaChange struct {
	Schema   Schema
	Created  bool
	Warnings []string // what the admin should know, whole sentences
}

// PutSchema defines a schema, or replaces its definition by in. An attribute that in
// does not have is deleted, with all its values, which needs confirmed when somebody
// has one. State and Since are not taken from in. Needs Write. Faults: Denied, Invalid,
// Conflict (values would be lost, or the definition cannot change in this way).
func (tx *Tx) PutSchema(in Schema, confirmed bool) (SchemaChange, error) {
	if err := tx.Require(access.Configure); err != nil {
		return SchemaChange{}, err
	}
	if in.Resource == "" {
		in.Resource = resourceOf(in.URN)
	}
	if err := in.check(); err != nil {
		return SchemaChange{}, err
	}
	d, err := tx.freshDefinitions()
	if err != nil {
		return SchemaChange{}, err
	}
	at := d.index(in.URN)
	created := at < 0
	if created {
		if at, err = d.make(in); err != nil {
			return SchemaChange{}, err
		}
	}
	old := d.Schemas[at]
	switch {
	case old.Removing:
		return SchemaChange{}, fault.Conflict.On("id", "%s was deleted a moment ago and its values are still being removed. Try again in a few minutes.", old.URN)
	case old.Resource != in.Resource:
		return SchemaChange{}, fault.Conflict.On("resourceType", "%s adds to %s and cannot move to %s. Use another URN there.", old.URN, old.Resource, in.Resource)
	}
	next, warnings, err := tx.merge(old, in, confirmed)
	if err != nil {
		return SchemaChange{}, err
	}
	d.Schemas[at] = next
	if n := d.indexed(next.Resource); n > maxIndexed {
		return SchemaChange{}, fault.Invalid.On("indexed", "%d attributes of a %s would be indexed or unique; at most %d can be, as each costs something at every change.", n, next.Resource, maxIndexed)
	}
	if err := tx.saveDefinitions(d); err != nil {
		return SchemaChange{}, err
	}
	action := "schema.update"
	detail := map[string]any{"before": summary(old), "after": summary(next)}
	if created {
		action = "schema.create"
		delete(detail, "before")
	}
	return SchemaChange{next, created, warnings}, tx.Record(Activity{Action: action, TargetKind: "schema", TargetID: next.URN, TargetName: next.Name, Detail: detail})
}

// resourceOf is the resource type that a URN ends in, by custom.
func resourceOf(urn string) string {
	for _, r := range []string{UserResource, GroupResource} {
		if at := len(urn) - len(r) - 1; at > 0 && strings.EqualFold(urn[at:], ":"+r) {
			return r
		}
	}
	return ""
}

// make adds an empty schema.
func (d *Definitions) make(in Schema) (int, error) {
	if len(d.Schemas) >= maxSchemas {
		return 0, fault.Conflict.On("id", "The organization has %d schemas, which is as many as it can have. Put the attributes into one of them.", maxSchemas)
	}
	for _, s := range d.Schemas {
		long, short := s.URN, in.URN
		if len(long) < len(short) {
			long, short = short, long
		}
		// A name that begins with the shorter URN would be ambiguous.
		if strings.EqualFold(long[:len(short)], short) && strings.ContainsAny(long[len(short):len(short)+1], ":.") {
			return 0, fault.Conflict.On("id", "%s begins with %s, so names of attributes would be ambiguous. Choose another URN.", long, short)
		}
	}
	d.Schemas = append(d.Schemas, Schema{URN: in.URN, Resource: in.Resource, Attributes: []Attribute{}})
	return len(d.Schemas) - 1, nil
}

// summary is what the activity log says of a schema.
func summary(s Schema) map[string]any {
	names := []string{}
	for _, a := range s.Attributes {
		if a.State == Removing {
			continue
		}
		words := []string{a.Type}
		if a.MultiValued {
			words = append(words, "multi-valued")
		}
		for _, w := range []struct {
			is   bool
			word string
		}{{a.Required, "required"}, {a.Uniqueness == "server", "unique"}, {a.Indexed, "indexed"}, {a.Mutability != "readWrite", a.Mutability}, {a.Returned != "default", "returned " + a.Returned}} {
			if w.is {
				words = append(words, w.word)
			}
		}
		names = append(names, a.Name+" ("+strings.Join(words, ", ")+")")
	}
	return map[string]any{"name": s.Name, "attributes": names}
}

// merge is the old schema made into the new one.
func (tx *Tx) merge(old, in Schema, confirmed bool) (Schema, []string, error) {
	next := old
	next.Name, next.Description, next.Attributes = in.Name, in.Description, nil
	var warnings []string
	for _, a := range in.Attributes {
		was, there := old.Find(a.Name)
		if there && was.State == Removing {
			return old, nil, fault.Conflict.On("name", "The attribute %s was deleted a moment ago and its values are still being removed. Try again in a few minutes.", a.Name)
		}
		if there {
			if err := a.follows(was, a.Name); err != nil {
				return old, nil, err
			}
		}
		if a.Uniqueness == "server" && was.Uniqueness != "server" {
			n, err := tx.countWith(old.Resource, old.URN, a.Name)
			if err != nil {
				return old, nil, err
			}
			if n > 0 {
				return old, nil, fault.Conflict.On("uniqueness", "There are values of %s already, and two of them may be the same. Define it as unique before there are values: delete it, or take another name.", a.Name)
			}
		}
		if a.Required && !was.Required {
			lacking, err := tx.countWithout(old.Resource, old.URN, a.Name)
			if err != nil {
				return old, nil, err
			}
			if lacking > 0 {
				warnings = append(warnings, fmt.Sprintf("%d of the %ss here have no %s. They stay as they are; a directory must send it the next time it creates or replaces one.", lacking, strings.ToLower(old.Resource), a.Name))
			}
		}
		if err := a.step(was, tx.Now()); err != nil {
			return old, nil, err
		}
		next.Attributes = append(next.Attributes, a)
	}
	for _, was := range old.Attributes {
		if _, stays := in.Find(was.Name); stays {
			continue
		}
		if was.State != Removing {
			if err := tx.mayLose(old, was, confirmed); err != nil {
				return old, nil, err
			}
			was.State, was.Since = Removing, tx.Now()
		}
		next.Attributes = append(next.Attributes, was)
	}
	return next, warnings, nil
}

// follows refuses what values that are there would not fit.
func (a *Attribute) follows(was Attribute, path string) error {
	for _, c := range []struct {
		field    string
		old, new any
	}{{"name", was.Name, a.Name}, {"type", was.Type, a.Type}, {"multiValued", was.MultiValued, a.MultiValued}, {"caseExact", was.CaseExact, a.CaseExact}} {
		if c.old != c.new {
			return fault.Conflict.On(c.field, "The %s of %s is %v and cannot become %v. Delete the attribute and define it anew.", c.field, path, c.old, c.new)
		}
	}
	for _, sub := range was.Subs {
		i := slices.IndexFunc(a.Subs, func(s Attribute) bool { return strings.EqualFold(s.Name, sub.Name) })
		if i < 0 {
			return fault.Conflict.On("subAttributes", "%s cannot lose its sub-attribute %s. Delete the attribute and define it anew.", path, sub.Name)
		}
		if err := a.Subs[i].follows(sub, path+"."+sub.Name); err != nil {
			return err
		}
		if a.Subs[i].Required && !sub.Required {
			return fault.Conflict.On("required", "%s.%s cannot become required: there may be values without it. Delete the attribute and define it anew.", path, sub.Name)
		}
	}
	if len(was.Subs) > 0 {
		for _, s := range a.Subs {
			if s.Required && !slices.ContainsFunc(was.Subs, func(o Attribute) bool { return strings.EqualFold(o.Name, s.Name) }) {
				return fault.Conflict.On("required", "%s.%s cannot be required from now on: there may be values without it.", path, s.Name)
			}
		}
	}
	return nil
}

// step is the state of the rows after the definition became a.
func (a *Attribute) step(was Attribute, now Time) error {
	a.State, a.Since = was.State, was.Since
	wants, wanted := a.rows(), was.rows()
	switch {
	case wants && (was.State == Closing || was.State == Purging):
		return fault.Conflict.On("indexed", "The index of %s is just being removed. Try again in a few minutes.", a.Name)
	case wants && a.Uniqueness == "server" && was.Uniqueness != "server" && was.State != "":
		return fault.Conflict.On("uniqueness", "%s has an index that is not unique. Save it without index first, and in a few minutes with uniqueness.", a.Name)
	case wants && !wanted:
		a.State, a.Since = Building, now
	case wants && a.Uniqueness != was.Uniqueness && wanted:
		return fault.Conflict.On("indexed", "%s cannot keep an index while it stops being unique. Save it without index first, and in a few minutes with it.", a.Name)
	case !wants && wanted:
		a.State, a.Since = Closing, now
	}
	for i := range a.Subs {
		s := &a.Subs[i]
		at := slices.IndexFunc(was.Subs, func(o Attribute) bool { return strings.EqualFold(o.Name, s.Name) })
		before := Attribute{}
		if at >= 0 {
			before = was.Subs[at]
		}
		if err := s.step(before, now); err != nil {
			return err
		}
	}
	return nil
}

// rows tells whether the values are to have rows.
func (a Attribute) rows() bool { return a.Indexed || a.Uniqueness == "server" }

func (tx *Tx) mayLose(s Schema, a Attribute, confirmed bool) error {
	if confirmed {
		return nil
	}
	n, err := tx.countWith(s.Resource, s.URN, a.Name)
	if err != nil || n == 0 {
		return err
	}
	return fault.Conflict.On("confirm", "%d %s a value of %s, which would be removed for good. Confirm that if it is what you want (on the command line: --force).",
		n, map[bool]string{true: "user or group has", false: "users or groups have"}[n == 1], a.Name)
}

// DeleteSchema deletes a schema with all its attributes and their values, which needs
// confirmed when somebody has one. Needs Write. Faults: Denied, NotFound, Conflict.
func (tx *Tx) DeleteSchema(urn string, confirmed bool) (Schema, error) {
	if err := tx.Require(access.Configure); err != nil {
		return Schema{}, err
	}
	d, err := tx.freshDefinitions()
	if err != nil {
		return Schema{}, err
	}
	at := d.index(urn)
	if at < 0 || d.Schemas[at].Removing {
		return Schema{}, noSchema(urn)
	}
	old := d.Schemas[at]
	next, _, err := tx.merge(old, Schema{Name: old.Name, Description: old.Description}, confirmed)
	if err != nil {
		return Schema{}, err
	}
	next.Removing = true
	d.Schemas[at] = next
	if err := tx.saveDefinitions(d); err != nil {
		return Schema{}, err
	}
	return old, tx.Record(Activity{Action: "schema.delete", TargetKind: "schema", TargetID: old.URN, TargetName: old.Name, Detail: map[string]any{"before": summary(old)}})
}

func noSchema(urn string) error {
	return fault.NotFound.On("schema", "There is no schema %.220q in this organization.", urn)
}

// PutAttribute adds an attribute to a schema or replaces its definition; without a urn
// to the organization's own schema for the resource type. The schema is made when it is
// not there. Needs Write. Faults: as PutSchema; Conflict when adding what is there.
func (tx *Tx) PutAttribute(resource, urn string, a Attribute, adding bool) (SchemaChange, error) {
	if err := tx.Require(access.Configure); err != nil {
		return SchemaChange{}, err
	}
	if urn == "" {
		org, err := tx.org()
		if err != nil {
			return SchemaChange{}, err
		}
		urn = OwnURN(org.Slug, resource)
	}
	s, err := tx.definedSchema(urn)
	switch {
	case fault.Is(err, fault.NotFound):
		s = Schema{URN: urn, Resource: resource}
	case err != nil:
		return SchemaChange{}, err
	case resource != "" && s.Resource != resource:
		return SchemaChange{}, fault.Invalid.On("resourceType", "%s adds to %s, not to %s.", s.URN, s.Resource, resource)
	}
	at := s.index(strings.TrimSpace(a.Name))
	switch {
	case at >= 0 && adding && s.Attributes[at].State != Removing:
		return SchemaChange{}, fault.Conflict.On("name", "There is an attribute %s already. Choose another name, or change that one.", s.Attributes[at].Name)
	case at >= 0:
		s.Attributes[at] = a
	default:
		s.Attributes = append(s.Attributes, a)
	}
	return tx.PutSchema(s.staying(a.Name), false)
}

func noAttribute(s Schema, name string) error {
	return fault.NotFound.On("attribute", "The schema %s has no attribute %.100q.", s.URN, name)
}

// ChangeAttribute changes the definition of an attribute; was is the Tag of the one that
// the change is made for, or empty. Needs Write. Faults: as PutSchema, NotFound, Conflict
// on "version" (changed since).
func (tx *Tx) ChangeAttribute(urn, name, was string, change func(*Attribute)) (SchemaChange, error) {
	if err := tx.Require(access.Configure); err != nil {
		return SchemaChange{}, err
	}
	s, err := tx.definedSchema(urn)
	if err != nil {
		return SchemaChange{}, err
	}
	a, ok := s.Find(name)
	if !ok {
		return SchemaChange{}, noAttribute(s, name)
	}
	if err := Unchanged(was, a.Tag()); err != nil {
		return SchemaChange{}, err
	}
	change(&a)
	return tx.PutAttribute(s.Resource, s.URN, a, false)
}

// staying is the schema without what is on its way out, but for one name, about which
// PutSchema has something to say.
func (s Schema) staying(but string) Schema {
	s.Attributes = slices.DeleteFunc(slices.Clone(s.Attributes), func(a Attribute) bool {
		return a.State == Removing && !strings.EqualFold(a.Name, but)
	})
	return s
}

// DeleteAttribute deletes an attribute and its values. Needs Write. Faults: Denied,
// NotFound, Conflict when there are values and it is not confirmed.
func (tx *Tx) DeleteAttribute(resource, urn, name string, confirmed bool) (SchemaChange, error) {
	if err := tx.Require(access.Configure); err != nil {
		return SchemaChange{}, err
	}
	if urn == "" {
		org, err := tx.org()
		if err != nil {
			return SchemaChange{}, err
		}
		urn = OwnURN(org.Slug, resource)
	}
	s, err := tx.definedSchema(urn)
	if err != nil {
		return SchemaChange{}, err
	}
	at := s.index(name)
	if at < 0 || s.Attributes[at].State == Removing {
		return SchemaChange{}, noAttribute(s, name)
	}
	s.Attributes = slices.Delete(slices.Clone(s.Attributes), at, at+1)
	return tx.PutSchema(s.staying(""), confirmed)
}

func (tx *Tx) org() (Org, error) {
	var o Org
	return o, tx.Get(&o, "SELECT id, slug, name, created_at FROM orgs WHERE id = ?", tx.Org())
}

func (tx *Tx) definedSchema(urn string) (Schema, error) {
	d, err := tx.freshDefinitions()
	if err != nil {
		return Schema{}, err
	}
	if s, ok := d.Find(urn); ok && !s.Removing {
		return s, nil
	}
	return Schema{}, noSchema(urn)
}

// countWith is how many users or groups have a value of an attribute.
func (tx *Tx) countWith(resource, urn, name string) (int, error) {
	return tx.countDocs(resource, inExtension(resource, urn, name).exists())
}

// countWithout is how many have none.
func (tx *Tx) countWithout(resource, urn, name string) (int, error) {
	return tx.countDocs(resource, Not(inExtension(resource, urn, name).exists()))
}

func inExtension(resource string, path ...string) Text {
	if resource == GroupResource {
		return GroupDoc(path...)
	}
	return UserDoc(path...)
}

func (tx *Tx) countDocs(resource string, where Cond) (n int, err error) {
	s := &sentence{tx: tx}
	s.add("SELECT COUNT(*) FROM users WHERE org_id = ? AND deleted_at = 0 AND ", tx.Org())
	if resource == GroupResource {
		s = &sentence{tx: tx}
		s.add("SELECT COUNT(*) FROM groups g WHERE g.org_id = ? AND ", tx.Org())
	}
	s.cond(where)
	return n, tx.rows(s.sql.String(), s.args, func(rows *sqlx.Rows) error { return rows.Scan(&n) })
}
