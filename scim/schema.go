package scim

import (
	"slices"
	"strings"
	"sync"

	"github.com/elimity-com/scim"
	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"

	"github.com/muster-id/muster/store"
)

// The schemas that we serve.
const (
	userURN       = schema.UserSchema
	groupURN      = schema.GroupSchema
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// Words of RFC 7643 §2.2 and §2.3.
const (
	typeString    = "string"
	typeBoolean   = "boolean"
	typeDecimal   = "decimal"
	typeInteger   = "integer"
	typeDateTime  = "dateTime"
	typeBinary    = "binary"
	typeReference = "reference"
	typeComplex   = "complex"

	readOnly  = "readOnly"
	immutable = "immutable"

	returnedAlways  = "always"
	returnedNever   = "never"
	returnedRequest = "request"
)

// Extension is a schema that adds to a resource type.
type Extension = scim.SchemaExtension

// Attr is one attribute or sub-attribute, ready for use: what /Schemas says of it,
// and where it hangs. Never changed once made.
type Attr struct {
	Name        string // its own JSON name: "value" for emails.value
	URN         string // the schema it belongs to
	Type        string
	MultiValued bool
	CaseExact   bool
	Required    bool
	Mutability  string
	Returned    string
	Uniqueness  string
	Canonical   []string
	Parent      *Attr   // for a sub-attribute
	Subs        []*Attr // for a complex attribute

	core      schema.CoreAttribute
	extension bool
	indexed   bool             // store has rows of it, which filters may use
	keyed     bool             // store keeps a key of it, folded by store.Fold, which filters are about
	subs      map[string]*Attr // by lower-case name
}

// Path is how a client writes the attribute: emails.value,
// urn:...:enterprise:2.0:User:manager.value.
func (a *Attr) Path() string {
	switch {
	case a.Parent != nil:
		return a.Parent.Path() + "." + a.Name
	case a.extension:
		return a.URN + ":" + a.Name
	}
	return a.Name
}

// Extension tells that the attribute stands under its schema's URN in a document.
func (a *Attr) Extension() bool { return a.extension }

// subOf finds a sub-attribute by name in any case, or nil.
func (a *Attr) subOf(name string) *Attr {
	if s := a.subs[name]; s != nil {
		return s
	}
	return a.subs[strings.ToLower(name)]
}

// Compiled is a resource type with an index over its attributes. Built once and
// shared by all requests.
type Compiled struct {
	Name  string // of the resource type: "User"
	URN   string // of the core schema
	Attrs []*Attr

	lenient  map[string]schema.Schema // by URN: an organization's own, without what is required
	must     map[string]bool          // URNs of extensions that every resource has
	guarded  []*Attr                  // of an organization: readOnly and immutable
	leaving  map[string]bool          // extensions and attributes, in small letters, whose values are on their way out
	secrets  map[string]bool          // names of the organization's attributes that are never shown, in small letters
	veiled   bool                     // documents hold what is not shown unless it is asked for, or never
	schemas  []schema.Schema
	urns     []string
	keys     [][]byte // of the extensions, as they stand in a stored document: "urn:...":
	required []*Attr
	index    map[string]map[string]*Attr // lower-case URN ("" is core) -> lower-case name
	exact    map[string]map[string]*Attr // URN -> name
}

// Compile indexes a core schema, its extensions and the attributes that every
// resource has (RFC 7643 §3.1: id, externalId, schemas, meta).
func Compile(core schema.Schema, extensions ...Extension) *Compiled {
	c := &Compiled{Name: core.Name.Value(), URN: core.ID, index: map[string]map[string]*Attr{}, exact: map[string]map[string]*Attr{}, must: map[string]bool{}}
	c.add(core, false)
	c.index[""] = c.index[strings.ToLower(core.ID)]
	for _, a := range commonAttributes() {
		c.put(core.ID, false, a)
	}
	for _, e := range extensions {
		c.add(e.Schema, true)
		if e.Required {
			c.must[e.Schema.ID] = true
		}
	}
	for _, a := range c.Attrs {
		if a.Required {
			c.required = append(c.required, a)
		}
	}
	return c
}

func (c *Compiled) add(s schema.Schema, extension bool) {
	s.Attributes = slices.Clip(s.Attributes) // the library appends to what it is given
	c.schemas = append(c.schemas, s)
	c.urns = append(c.urns, s.ID)
	if extension {
		c.keys = append(c.keys, []byte(`"`+s.ID+`":`))
	}
	c.index[strings.ToLower(s.ID)], c.exact[s.ID] = map[string]*Attr{}, map[string]*Attr{}
	for _, a := range s.Attributes {
		c.put(s.ID, extension, a)
	}
}

func (c *Compiled) put(urn string, extension bool, core schema.CoreAttribute) {
	a := newAttr(urn, extension, core)
	for _, s := range core.SubAttributes() {
		sub := newAttr(urn, extension, s)
		sub.Parent = a
		a.Subs = append(a.Subs, sub)
		a.subs[strings.ToLower(s.Name())] = sub
		a.subs[s.Name()] = sub
	}
	switch {
	case urn == userURN && a.Name == "userName", urn == groupURN && a.Name == "displayName":
		a.keyed = true
	case urn == userURN && a.Name == "groups":
		a.subs["display"].keyed = true
	}
	c.Attrs = append(c.Attrs, a)
	c.index[strings.ToLower(urn)][strings.ToLower(a.Name)], c.exact[urn][a.Name] = a, a
}

func newAttr(urn string, extension bool, core schema.CoreAttribute) *Attr {
	return &Attr{
		Name: core.Name(), URN: urn, Type: core.AttributeType(), MultiValued: core.MultiValued(),
		CaseExact: core.CaseExact(), Required: core.Required(), Mutability: core.Mutability(),
		Returned: core.Returned(), Uniqueness: core.Uniqueness(), Canonical: core.CanonicalValues(),
		core: core, extension: extension, subs: map[string]*Attr{},
	}
}

// Find looks an attribute up in any case. urn may be empty for a core attribute;
// sub is empty for the attribute itself. A dot between an extension's URN and the
// attribute, which reads as attribute "User" of "urn:...:2.0", is understood too
// (AzureAD/SCIMReferenceCode has it in its requests).
func (c *Compiled) Find(urn, attr, sub string) (*Attr, bool) {
	names, ok := c.index[urn]
	if !ok {
		names, ok = c.index[strings.ToLower(urn)]
	}
	if !ok {
		if names = c.index[strings.ToLower(urn+":"+attr)]; names == nil {
			return nil, false
		}
		attr, sub = sub, ""
	}
	a := names[strings.ToLower(attr)]
	if a == nil {
		return nil, false
	}
	if sub == "" {
		return a, true
	}
	s := a.subOf(sub)
	return s, s != nil
}

// URNs are the resource type's schemas, the core one first.
func (c *Compiled) URNs() []string { return c.urns }

// Schemas are the library's values behind Compiled, the core one first.
func (c *Compiled) Schemas() []schema.Schema { return c.schemas }

// Required are the attributes without which there is no resource.
func (c *Compiled) Required() []*Attr { return c.required }

// UserSchema is the User with the Enterprise extension, compiled.
var UserSchema = sync.OnceValue(func() *Compiled {
	return Compile(coreUser(), Extension{Schema: enterpriseUser()})
})

// GroupSchema is the Group, compiled.
var GroupSchema = sync.OnceValue(func() *Compiled { return Compile(coreGroup()) })

// commonAttributes are implied by RFC 7643 §3.1 and not part of any schema. "schemas"
// is worked out from the document, so nobody is asked for it here.
func commonAttributes() []schema.CoreAttribute {
	list := schema.CommonAttributes()
	list[0] = schema.SimpleCoreAttribute(schema.SimpleReferenceParams(schema.ReferenceParams{
		Name: "schemas", MultiValued: true, Mutability: schema.AttributeMutabilityReadOnly(), Returned: schema.AttributeReturnedAlways(),
		ReferenceTypes: []schema.AttributeReferenceType{schema.AttributeReferenceTypeURI},
	}))
	return list
}

// coreUser is the library's User with the errata and with what we really keep:
// ids are compared exactly, and groups name Groups only (erratum 8471).
func coreUser() schema.Schema {
	s := schema.CoreUserSchema()
	replaceAttribute(&s, schema.ComplexCoreAttribute(schema.ComplexParams{
		Name: "groups", MultiValued: true, Mutability: schema.AttributeMutabilityReadOnly(),
		Description: optional.NewString("The groups of this directory that the user belongs to, as a member or by a group that is a member. Change them through /Groups."),
		SubAttributes: []schema.SimpleParams{
			idParams("value", "The id of the group.", schema.AttributeMutabilityReadOnly()),
			refParams("$ref", "The URI of the group.", schema.AttributeMutabilityReadOnly(), "Group"),
			schema.SimpleStringParams(schema.StringParams{Name: "display", Mutability: schema.AttributeMutabilityReadOnly(),
				Description: optional.NewString("The name of the group.")}),
			schema.SimpleStringParams(schema.StringParams{Name: "type", Mutability: schema.AttributeMutabilityReadOnly(),
				CanonicalValues: []string{directly, indirectly}, Description: optional.NewString("How the user belongs to the group: direct as its member, indirect only by a group in it.")}),
		},
	}))
	return s
}

// enterpriseUser is the library's Enterprise extension with the manager's id compared exactly.
func enterpriseUser() schema.Schema {
	s := schema.ExtensionEnterpriseUser()
	replaceAttribute(&s, schema.ComplexCoreAttribute(schema.ComplexParams{
		Name: "manager", Description: optional.NewString("The user's manager."),
		SubAttributes: []schema.SimpleParams{
			idParams("value", "The id of the user who is the manager.", schema.AttributeMutabilityReadWrite()),
			refParams("$ref", "The URI of the user who is the manager.", schema.AttributeMutabilityReadWrite(), "User"),
			schema.SimpleStringParams(schema.StringParams{Name: "displayName", Mutability: schema.AttributeMutabilityReadOnly(),
				Description: optional.NewString("The displayName of the manager.")}),
		},
	}))
	return s
}

// coreGroup is the library's Group as we keep it. The members' names
// (erratum 6011) are theirs, not the group's, and come when they are asked for:
// at 100,000 members they cost ten times the list.
func coreGroup() schema.Schema {
	s := schema.CoreGroupSchema()
	replaceAttribute(&s, schema.SimpleCoreAttribute(schema.SimpleStringParams(schema.StringParams{
		Name: "displayName", Required: true, Uniqueness: schema.AttributeUniquenessServer(), // required: erratum 5368
		Description: optional.NewString("The name of the group, unique in its directory without regard to case."),
	})))
	replaceAttribute(&s, schema.ComplexCoreAttribute(schema.ComplexParams{
		Name: "members", MultiValued: true, Description: optional.NewString("The users and groups of this directory that are members of the group. Groups do not contain one another."),
		SubAttributes: []schema.SimpleParams{
			idParams("value", "The id of the member.", schema.AttributeMutabilityImmutable()),
			refParams("$ref", "The URI of the member.", schema.AttributeMutabilityImmutable(), "User", "Group"),
			schema.SimpleStringParams(schema.StringParams{Name: "type", Mutability: schema.AttributeMutabilityImmutable(),
				CanonicalValues: []string{string(store.KindUser), string(store.KindGroup)}, Description: optional.NewString("What the member is: User or Group. It may be left out.")}),
			schema.SimpleStringParams(schema.StringParams{Name: "display", Mutability: schema.AttributeMutabilityReadOnly(),
				Returned: schema.AttributeReturnedRequest(), Description: optional.NewString("The member's displayName; ask for it with attributes=members.display.")}),
		},
	}))
	return s
}

func idParams(name, description string, m schema.AttributeMutability) schema.SimpleParams {
	return schema.SimpleStringParams(schema.StringParams{Name: name, CaseExact: true, Mutability: m, Description: optional.NewString(description)})
}

func refParams(name, description string, m schema.AttributeMutability, to ...schema.AttributeReferenceType) schema.SimpleParams {
	return schema.SimpleReferenceParams(schema.ReferenceParams{Name: name, Mutability: m, Description: optional.NewString(description), ReferenceTypes: to})
}

func replaceAttribute(s *schema.Schema, a schema.CoreAttribute) {
	for i := range s.Attributes {
		if s.Attributes[i].Name() == a.Name() {
			s.Attributes[i] = a
		}
	}
}
