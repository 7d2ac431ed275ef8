package conform

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	configURN     = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	typeURN       = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaURN     = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	listURN       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	errorURN      = "urn:ietf:params:scim:api:messages:2.0:Error"
	patchURN      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	searchURN     = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	bulkURN       = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
)

// resourceType is RFC 7643 §6.
type resourceType struct {
	ID, Name, Endpoint, Schema string
	SchemaExtensions           []struct {
		Schema   string
		Required bool
	}
}

// schemaDoc is RFC 7643 §7.
type schemaDoc struct {
	ID         string
	Attributes []attribute
}

// attribute is one attribute of a schema, or a sub-attribute.
type attribute struct {
	Name, Type, Mutability, Returned, Uniqueness string
	MultiValued, Required, CaseExact             bool
	CanonicalValues, ReferenceTypes              []string
	SubAttributes                                []attribute

	urn string // of the extension it belongs to; "" in the core schema
}

// path is how a PATCH or a filter names it.
func (a attribute) path() string {
	if a.urn != "" {
		return a.urn + ":" + a.Name
	}
	return a.Name
}

func (a attribute) writable() bool {
	return a.Mutability == "readWrite" || a.Mutability == "writeOnly" || a.Mutability == ""
}

func (a attribute) sub(name string) (attribute, bool) {
	for _, s := range a.SubAttributes {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return attribute{}, false
}

// refersTo is the resource type that a complex value points to by its $ref, or "".
func (a attribute) refersTo() string {
	ref, ok := a.sub("$ref")
	if !ok {
		return ""
	}
	for _, t := range ref.ReferenceTypes {
		if t != "external" && t != "uri" {
			return t
		}
	}
	return ""
}

// reach finds out whether there is a server and whether it knows the token.
func (r *runner) reach() error {
	a, err := r.send(r.ctx, http.MethodGet, "/Users?count=1", "", nil)
	if err != nil {
		return fmt.Errorf("%w%s does not answer: %w", quiet{ErrUnreachable}, r.base, err)
	}
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		return fmt.Errorf("%w%s answers GET /Users with %d: it does not take this token", quiet{ErrToken}, r.base, a.status)
	}
	if a.status != http.StatusNotFound {
		return nil
	}
	if a, err = r.send(r.ctx, http.MethodGet, "/ServiceProviderConfig", "", nil); err == nil && a.status == http.StatusNotFound {
		return fmt.Errorf("%w%s has neither /Users nor /ServiceProviderConfig: give the base URL, behind which /Users stands", quiet{ErrNoSCIM}, r.base)
	}
	return nil
}

// learn reads what the server says of itself. What it does not say is assumed as
// RFC 7643 has it; the checks of discovery report it.
func (r *runner) learn() {
	read := func(path string) object {
		a, err := r.send(r.ctx, http.MethodGet, path, "", nil)
		if err != nil || !a.ok() {
			return nil
		}
		return a.doc
	}
	r.config = read("/ServiceProviderConfig")
	r.schemas = map[string]schemaDoc{}
	for _, raw := range list(read("/Schemas")["Resources"]) {
		var s schemaDoc
		if json.Unmarshal([]byte(encode(raw)), &s) == nil && s.ID != "" {
			r.schemas[s.ID] = s
		}
	}
	for _, raw := range list(read("/ResourceTypes")["Resources"]) {
		var t resourceType
		if json.Unmarshal([]byte(encode(raw)), &t) == nil && t.Name != "" && strings.HasPrefix(t.Endpoint, "/") {
			r.types = append(r.types, t)
		}
	}
	if len(r.types) == 0 {
		r.types = []resourceType{{Name: "User", Endpoint: "/Users", Schema: userURN}, {Name: "Group", Endpoint: "/Groups", Schema: groupURN}}
	}
}

// typed is the resource type of this name.
func (r *runner) typed(name string) (resourceType, bool) {
	for _, t := range r.types {
		if t.Name == name {
			return t, true
		}
	}
	return resourceType{}, false
}

// announces tells what the ServiceProviderConfig says of a feature, as "sort" or "bulk".
func (r *runner) announces(feature string) bool {
	return pick(r.config, "/"+feature+"/supported") == true
}

// attributes are those of a resource type and its extensions.
func (r *runner) attributes(t resourceType) []attribute {
	var all []attribute
	add := func(urn string, extension bool) {
		for _, a := range r.schemas[urn].Attributes {
			if strings.EqualFold(a.Name, "id") || strings.EqualFold(a.Name, "meta") || strings.EqualFold(a.Name, "schemas") || strings.EqualFold(a.Name, "externalId") {
				continue // common attributes (RFC 7643 §3.1) have checks of their own
			}
			if extension {
				a.urn = urn
			}
			all = append(all, a)
		}
	}
	add(t.Schema, false)
	for _, e := range t.SchemaExtensions {
		add(e.Schema, true)
	}
	return all
}

// naming is the attribute that a type's resources are found by.
func (r *runner) naming(t resourceType) string {
	switch t.Schema {
	case userURN:
		return "userName"
	case groupURN:
		return "displayName"
	}
	for _, a := range r.attributes(t) {
		if a.urn == "" && a.Type == "string" && !a.MultiValued && a.writable() && (a.Required || a.Uniqueness == "server") {
			return a.Name
		}
	}
	return ""
}

// writes tells whether resources of a type can be made: one that has neither a name
// nor a required attribute that can be written is a catalogue, and is only read.
func (r *runner) writes(t resourceType) bool { return r.naming(t) != "" }

func (r *runner) attribute(t resourceType, name string) (attribute, bool) {
	for _, a := range r.attributes(t) {
		if a.urn == "" && strings.EqualFold(a.Name, name) {
			return a, true
		}
	}
	return attribute{}, false
}
