package scim

import (
	"strings"

	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"

	"github.com/muster-id/muster/store"
)

// What an organization adds to the User and the Group is compiled with the rest, so
// that a request knows no difference. The same library values say it in /Schemas and
// check documents; but for one: a required attribute is asked of who creates or
// replaces a resource, and those that were there before may lack it.

// extendedTypes are the resource types as one organization has them.
type extendedTypes struct {
	revision      string
	users, groups *Compiled
}

// resourcesOf compiles an organization's definitions, once for each revision.
func (h *handler) resourcesOf(org store.OrgID, d *store.Definitions) extendedTypes {
	if len(d.Schemas) == 0 {
		return extendedTypes{"", UserSchema(), GroupSchema()}
	}
	if known, ok := h.compiled.Load(org); ok && known.(extendedTypes).revision == d.Revision {
		return known.(extendedTypes)
	}
	r := extendedTypes{d.Revision, extended(d, store.UserResource), extended(d, store.GroupResource)}
	h.compiled.Store(org, r)
	return r
}

// extended is a resource type with what the organization adds to it.
func extended(d *store.Definitions, resource string) *Compiled {
	core, extensions := coreGroup(), []Extension(nil)
	if resource == store.UserResource {
		core, extensions = coreUser(), []Extension{{Schema: enterpriseUser()}}
	}
	defined := d.Of(resource)
	for _, s := range defined {
		extensions = append(extensions, Extension{Schema: librarySchema(s), Required: requiresAny(s)})
	}
	c := Compile(core, extensions...)
	c.leaving = map[string]bool{}
	for _, name := range d.Leaving(resource) {
		c.leaving[strings.ToLower(name)] = true
	}
	c.veiled = len(c.leaving) > 0
	c.lenient, c.secrets = map[string]schema.Schema{}, map[string]bool{}
	for _, s := range defined {
		c.take(s)
		for i := range s.Attributes {
			s.Attributes[i].Required = false
		}
		c.lenient[s.URN] = librarySchema(s)
	}
	return c
}

// claims are the values of unique attributes of the organization that a body has, in a
// form in which two that would collide are the same.
func (c *Compiled) claims(body map[string]any) (list []string) {
	if len(c.lenient) == 0 {
		return nil
	}
	n := normalizer{c: c}
	var see func(name string, v any)
	see = func(name string, v any) {
		t, ok := n.resolve(name)
		if in, nested := v.(map[string]any); ok && t.attr == nil && nested {
			for field, v := range in {
				see(t.urn+":"+field, v)
			}
		}
		if !ok || t.attr == nil || !t.attr.extension || t.attr.Uniqueness != "server" {
			return
		}
		values, many := v.([]any)
		if !many {
			values = []any{v}
		}
		for _, v := range values {
			list = append(list, t.attr.Path()+" "+store.FoldLetters(string(appendJSON(nil, v))))
		}
	}
	for name, v := range body {
		see(name, v)
	}
	return list
}

func requiresAny(s store.Schema) bool {
	for _, a := range s.Attributes {
		if a.Required {
			return true
		}
	}
	return false
}

// take notes what the library's values do not say.
func (c *Compiled) take(s store.Schema) {
	for _, def := range s.Attributes {
		a, _ := c.Find(s.URN, def.Name, "")
		a.indexed = def.State == store.Ready
		if a.Mutability == readOnly || a.Mutability == immutable {
			c.guarded = append(c.guarded, a)
		}
		for _, x := range append([]*Attr{a}, a.Subs...) {
			if x.Returned == returnedNever {
				c.secrets[strings.ToLower(x.Name)] = true
			}
			if x.Returned == returnedNever || x.Returned == returnedRequest {
				c.veiled = true
			}
		}
		for _, sub := range def.Subs {
			a.subOf(sub.Name).indexed = sub.State == store.Ready
		}
	}
}

func librarySchema(s store.Schema) schema.Schema {
	out := schema.Schema{ID: s.URN, Name: optional.NewString(s.Name)}
	if s.Description != "" {
		out.Description = optional.NewString(s.Description)
	}
	for _, a := range s.Attributes {
		if a.Type != typeComplex {
			out.Attributes = append(out.Attributes, schema.SimpleCoreAttribute(simpleParams(a)))
			continue
		}
		p := schema.ComplexParams{Name: a.Name, MultiValued: a.MultiValued, Required: a.Required, Description: about(a),
			Mutability: mutabilityOf(a), Returned: returnedOf(a)}
		for _, sub := range a.Subs {
			p.SubAttributes = append(p.SubAttributes, simpleParams(sub))
		}
		out.Attributes = append(out.Attributes, schema.ComplexCoreAttribute(p))
	}
	return out
}

func simpleParams(a store.Attribute) schema.SimpleParams {
	m, r := mutabilityOf(a), returnedOf(a)
	u := schema.AttributeUniquenessNone()
	if a.Uniqueness == "server" {
		u = schema.AttributeUniquenessServer()
	}
	switch a.Type {
	case typeBoolean:
		return schema.SimpleBooleanParams(schema.BooleanParams{Name: a.Name, Description: about(a), MultiValued: a.MultiValued, Required: a.Required, Mutability: m, Returned: r})
	case typeDateTime:
		return schema.SimpleDateTimeParams(schema.DateTimeParams{Name: a.Name, Description: about(a), MultiValued: a.MultiValued, Required: a.Required, Mutability: m, Returned: r})
	case typeBinary:
		return schema.SimpleBinaryParams(schema.BinaryParams{Name: a.Name, Description: about(a), MultiValued: a.MultiValued, Required: a.Required, Mutability: m, Returned: r})
	case typeInteger, typeDecimal:
		return schema.SimpleNumberParams(schema.NumberParams{Name: a.Name, Description: about(a), MultiValued: a.MultiValued, Required: a.Required, Mutability: m, Returned: r,
			Uniqueness: u, Type: choose(a.Type == typeInteger, schema.AttributeTypeInteger(), schema.AttributeTypeDecimal())})
	case typeReference:
		p := schema.ReferenceParams{Name: a.Name, Description: about(a), MultiValued: a.MultiValued, Required: a.Required, Mutability: m, Returned: r, Uniqueness: u}
		for _, to := range a.ReferenceTypes {
			p.ReferenceTypes = append(p.ReferenceTypes, schema.AttributeReferenceType(to))
		}
		return schema.SimpleReferenceParams(p)
	}
	return schema.SimpleStringParams(schema.StringParams{Name: a.Name, Description: about(a), MultiValued: a.MultiValued, Required: a.Required, Mutability: m, Returned: r,
		Uniqueness: u, CaseExact: a.CaseExact, CanonicalValues: a.Canonical})
}

func about(a store.Attribute) optional.String {
	if a.Description == "" {
		return optional.String{}
	}
	return optional.NewString(a.Description)
}

func mutabilityOf(a store.Attribute) schema.AttributeMutability {
	switch a.Mutability {
	case readOnly:
		return schema.AttributeMutabilityReadOnly()
	case immutable:
		return schema.AttributeMutabilityImmutable()
	case "writeOnly":
		return schema.AttributeMutabilityWriteOnly()
	}
	return schema.AttributeMutabilityReadWrite()
}

func returnedOf(a store.Attribute) schema.AttributeReturned {
	switch a.Returned {
	case returnedAlways:
		return schema.AttributeReturnedAlways()
	case returnedNever:
		return schema.AttributeReturnedNever()
	case returnedRequest:
		return schema.AttributeReturnedRequest()
	}
	return schema.AttributeReturnedDefault()
}
