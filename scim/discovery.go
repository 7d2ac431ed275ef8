package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
)

// What the server says of itself (RFC 7644 §4). It is made from the library's
// schema values, with what the library leaves out: meta, absolute locations, and
// the schemas of the discovery resources themselves.

const (
	configURN       = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	resourceTypeURN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaURN       = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

// serviceProviderConfig is GET /ServiceProviderConfig. Every sub-attribute is
// there: clients turn features off when one is missing (authentik #25056).
func (h *handler) serviceProviderConfig(w http.ResponseWriter, r *http.Request) error {
	config := map[string]any{
		"schemas":        []string{configURN},
		"patch":          map[string]any{"supported": true},
		"bulk":           map[string]any{"supported": true, "maxOperations": maxOperations, "maxPayloadSize": maxPayload},
		"filter":         map[string]any{"supported": true, "maxResults": maxCount},
		"changePassword": map[string]any{"supported": from(r.Context()).stores()},
		"sort":           map[string]any{"supported": true},
		"etag":           map[string]any{"supported": true},
		"pagination": map[string]any{"cursor": true, "index": true, "defaultPaginationMethod": "index",
			"defaultPageSize": defaultCount, "maxPageSize": maxCount, "cursorTimeout": int(cursorTimeout.Seconds())}, // RFC 9865 §4
		"authenticationSchemes": h.schemes(from(r.Context()).quirks),
		"meta":                  discoveryMeta(r, "ServiceProviderConfig", ""),
	}
	if from(r.Context()).quirks.conformant() {
		config[claim] = true
	}
	return answerDiscovery(w, r, config)
}

// schemes are the ways in that the directory has.
func (h *handler) schemes(q Quirks) []any {
	oauth := map[string]any{
		"type": "oauth2", "name": "OAuth 2.0 client credentials", "description": "Access tokens from " + TokenURL(h.opt.PublicURL) + ", scope " + Scope + ", then as a bearer token.",
		"specUri": "https://www.rfc-editor.org/rfc/rfc6749", "primary": q.OAuthOnly,
	}
	if q.OAuthOnly {
		return []any{oauth}
	}
	return []any{map[string]any{
		"type": "oauthbearertoken", "name": "Bearer token", "description": "The token of the directory, in the header Authorization: Bearer.",
		"specUri": "https://www.rfc-editor.org/rfc/rfc6750", "primary": true,
	}, oauth}
}

// resourceTypes is GET /ResourceTypes and /ResourceTypes/{name}.
func (h *handler) resourceTypes(w http.ResponseWriter, r *http.Request, id string) error {
	var all []map[string]any
	d := from(r.Context())
	for _, c := range []*Compiled{d.users, d.groups, RoleSchema(), EntitlementSchema()} {
		extensions := []any{}
		for _, urn := range c.URNs()[1:] {
			extensions = append(extensions, map[string]any{"schema": urn, "required": c.must[urn]})
		}
		all = append(all, map[string]any{
			"schemas": []string{resourceTypeURN}, "id": c.Name, "name": c.Name, "description": c.Schemas()[0].Description.Value(),
			"endpoint": "/" + c.Name + "s", "schema": c.URN, "schemaExtensions": extensions,
		})
	}
	return discover(w, r, "ResourceType", id, all)
}

// schemas is GET /Schemas and /Schemas/{urn}.
func (h *handler) schemas(w http.ResponseWriter, r *http.Request, id string) error {
	var all []map[string]any
	d := from(r.Context())
	for _, s := range slices.Concat(d.users.Schemas(), d.groups.Schemas(), RoleSchema().Schemas(), EntitlementSchema().Schemas(), discoverySchemas()) {
		m := s.ToMap()
		if m["description"] == "" {
			delete(m, "description")
		}
		if s.ID == userURN && d.quirks.PasswordHandling == rejectIt {
			withoutPassword(m) // what is refused is not offered
		}
		if d.quirks.conformant() {
			asProfiled(m)
		}
		all = append(all, m)
	}
	return discover(w, r, "Schema", id, all)
}

func withoutPassword(user map[string]any) {
	list, _ := user["attributes"].([]map[string]any)
	user["attributes"] = slices.DeleteFunc(slices.Clone(list), func(a map[string]any) bool { return a["name"] == "password" })
}

// discoverySchemas are the schemas of the discovery resources themselves.
var discoverySchemas = sync.OnceValue(func() []schema.Schema {
	return []schema.Schema{configSchema(), resourceTypeSchema(), schema.Definition()}
})

// discover answers with one of the resources by id, or with all of them.
func discover(w http.ResponseWriter, r *http.Request, kind, id string, all []map[string]any) error {
	for _, m := range all {
		m["meta"] = discoveryMeta(r, kind, m["id"].(string))
		if id != "" && strings.EqualFold(id, m["id"].(string)) {
			return answerDiscovery(w, r, m)
		}
	}
	if id != "" {
		return notFound(kind, id)
	}
	return answerDiscovery(w, r, map[string]any{
		"schemas": []string{listURN}, "totalResults": len(all), "itemsPerPage": len(all), "startIndex": 1, "Resources": all,
	})
}

func discoveryMeta(r *http.Request, kind, id string) map[string]any {
	at := from(r.Context()).base + "/" + kind
	if id != "" {
		at += "s/" + id
	}
	return map[string]any{"resourceType": kind, "location": at}
}

// answerDiscovery refuses a filter (RFC 7644 §4: 403), which would seem to be
// obeyed otherwise.
func answerDiscovery(w http.ResponseWriter, r *http.Request, v any) error {
	params, err := queryOf(r)
	if err != nil {
		return err
	}
	if params["filter"] != "" {
		return status(http.StatusForbidden, "%s cannot be filtered. Read all of it; it is short.", r.URL.Path)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("ETag", tag)
	if done, err := unread(w, r, tag); done {
		return err
	}
	return send(w, http.StatusOK, body)
}

// resourceTypeSchema is RFC 7643 §8.7.2, with schemaExtensions as the list that its
// examples show. The library's has id required, name not, and URIs as text.
func resourceTypeSchema() schema.Schema {
	ro := schema.AttributeMutabilityReadOnly()
	about := optional.NewString
	text := func(name, description string, required bool) schema.CoreAttribute {
		return schema.SimpleCoreAttribute(schema.SimpleStringParams(schema.StringParams{Name: name, Description: about(description), Mutability: ro, Required: required}))
	}
	uri := func(name, description string) schema.SimpleParams {
		return schema.SimpleReferenceParams(schema.ReferenceParams{Name: name, Description: about(description), Mutability: ro, Required: true,
			ReferenceTypes: []schema.AttributeReferenceType{schema.AttributeReferenceTypeURI}})
	}
	return schema.Schema{
		ID: resourceTypeURN, Name: about("ResourceType"), Description: about("Specifies the schema that describes a SCIM resource type"),
		Attributes: []schema.CoreAttribute{
			text("id", "The resource type's unique id, which is its name.", false),
			text("name", "The resource type's name.", true),
			text("description", "The resource type in words.", false),
			schema.SimpleCoreAttribute(uri("endpoint", "Where its resources are, relative to the base URL.")),
			schema.SimpleCoreAttribute(uri("schema", "Its core schema.")),
			schema.ComplexCoreAttribute(schema.ComplexParams{Name: "schemaExtensions", Description: about("Its schema extensions."), Mutability: ro, Required: true, MultiValued: true,
				SubAttributes: []schema.SimpleParams{uri("schema", "The extension."),
					schema.SimpleBooleanParams(schema.BooleanParams{Name: "required", Description: about("Whether each resource has it."), Mutability: ro, Required: true})}}),
		},
	}
}

// configSchema is RFC 7643 §8.7.2 with the pagination of RFC 9865 §4.
func configSchema() schema.Schema {
	ro := schema.AttributeMutabilityReadOnly()
	about := optional.NewString
	boolean := func(name, description string) schema.SimpleParams {
		return schema.SimpleBooleanParams(schema.BooleanParams{Name: name, Description: about(description), Mutability: ro, Required: true})
	}
	integer := func(name, description string, required bool) schema.SimpleParams {
		return schema.SimpleNumberParams(schema.NumberParams{Name: name, Description: about(description), Mutability: ro, Required: required, Type: schema.AttributeTypeInteger()})
	}
	text := func(name, description string, required bool) schema.SimpleParams {
		return schema.SimpleStringParams(schema.StringParams{Name: name, Description: about(description), Mutability: ro, Required: required})
	}
	link := func(name, description string) schema.SimpleParams {
		return schema.SimpleReferenceParams(schema.ReferenceParams{Name: name, Description: about(description), Mutability: ro,
			ReferenceTypes: []schema.AttributeReferenceType{schema.AttributeReferenceTypeExternal}})
	}
	complex := func(name, description string, required, many bool, subs ...schema.SimpleParams) schema.CoreAttribute {
		return schema.ComplexCoreAttribute(schema.ComplexParams{Name: name, Description: about(description), Mutability: ro, Required: required, MultiValued: many, SubAttributes: subs})
	}
	supported := boolean("supported", "Whether the operation is supported.")
	return schema.Schema{
		ID: configURN, Name: about("Service Provider Configuration"), Description: about("Schema for representing the service provider's configuration"),
		Attributes: []schema.CoreAttribute{
			schema.SimpleCoreAttribute(link("documentationUri", "The service provider's human-readable help.")),
			complex("patch", "PATCH configuration.", true, false, supported),
			complex("bulk", "Bulk configuration.", true, false, supported, integer("maxOperations", "The largest number of operations.", true), integer("maxPayloadSize", "The largest payload in bytes.", true)),
			complex("filter", "Filter configuration.", true, false, supported, integer("maxResults", "The largest number of resources in an answer.", true)),
			complex("changePassword", "Password change configuration.", true, false, supported),
			complex("sort", "Sort configuration.", true, false, supported),
			complex("etag", "ETag configuration.", true, false, supported),
			complex("pagination", "Pagination configuration.", false, false, boolean("cursor", "Whether cursors are supported."), boolean("index", "Whether startIndex is supported."),
				text("defaultPaginationMethod", "The method used when a request names none.", false), integer("defaultPageSize", "The page size when a request names none.", false),
				integer("maxPageSize", "The largest page size.", false), integer("cursorTimeout", "How long a cursor is good, in seconds.", false)),
			complex("authenticationSchemes", "Supported authentication schemes.", true, true, text("type", "The scheme.", true), text("name", "Its common name.", true),
				text("description", "What it is.", true), link("specUri", "Its specification."), link("documentationUri", "Its documentation."),
				schema.SimpleBooleanParams(schema.BooleanParams{Name: "primary", Description: about("Whether it is the preferred scheme."), Mutability: ro})),
		},
	}
}
