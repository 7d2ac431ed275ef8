package scim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

const searchURN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

// maxSearchBody holds the longest filter and list of attributes that are read,
// every character escaped.
const maxSearchBody = 256 << 10

// searched are the resource types that a path to /.search is about, nil for
// another path. From the root it is about users and groups.
func (d dirctx) searched(path []string) []*Compiled {
	switch strings.Join(path, "/") {
	case ".search":
		return []*Compiled{d.users, d.groups}
	case "Users/.search":
		return []*Compiled{d.users}
	case "Groups/.search":
		return []*Compiled{d.groups}
	case "Roles/.search", "Entitlements/.search":
		return []*Compiled{catalogueOf(path[0])}
	}
	return nil
}

// search is POST /.search: a GET of the list whose parameters are in the body, so
// that no filter stands in a log of URLs (RFC 7644 §3.4.3).
func (h *handler) search(kinds ...*Compiled) call {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := readBody(w, r, maxSearchBody)
		if err != nil {
			return err
		}
		params, err := searchParams(body)
		if err != nil {
			return err
		}
		inURL, err := queryOf(r)
		if err != nil {
			return err
		}
		for name := range inURL {
			if i := slices.IndexFunc(searchFields, func(f string) bool { return strings.EqualFold(f, name) }); i >= 0 {
				return invalidSyntax("%s stands in the URL. Send it in the body, with the rest of the search.", searchFields[i])
			}
		}
		return h.list(w, r, params, kinds...)
	}
}

// searchFields are what a SearchRequest has, beside schemas.
var searchFields = []string{"attributes", "excludedAttributes", "filter", "sortBy", "sortOrder", "startIndex", "count", "cursor"}

// searchParams reads a SearchRequest into what queryOf reads from a URL. A name
// that it does not have is refused: passing over a misspelt filter would answer
// with everybody.
func searchParams(body map[string]any) (map[string]string, error) {
	urns, err := stringsOf(body, "schemas")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(urns, func(s string) bool { return strings.EqualFold(s, searchURN) }) {
		return nil, invalidSyntax(`A search must have "schemas": [%q].`, searchURN)
	}
	params := make(map[string]string, len(body))
	for name, v := range body {
		lower := strings.ToLower(name)
		i := slices.IndexFunc(searchFields, func(f string) bool { return strings.ToLower(f) == lower })
		if i < 0 && lower != "schemas" {
			return nil, invalidSyntax("A search has no %q, only %s.", name, strings.Join(searchFields, ", "))
		}
		if i < 0 || v == nil {
			continue
		}
		switch v := v.(type) {
		case json.Number:
			if lower == "startindex" || lower == "count" {
				params[lower] = v.String()
				continue
			}
		case string:
			params[lower] = v
			continue
		case []any:
			if lower == "attributes" || lower == "excludedattributes" {
				list, err := stringsOf(body, name)
				if err != nil {
					return nil, err
				}
				params[lower] = strings.Join(list, ",")
				continue
			}
		}
		return nil, invalidValue("%s cannot be %s in a search.", searchFields[i], show(v))
	}
	return params, nil
}
