package scim

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/elimity-com/scim/optional"
	"github.com/elimity-com/scim/schema"
	"github.com/scim2/filter-parser/v2"

	"github.com/muster-id/muster/store"
)

// The catalogues /Roles and /Entitlements: what a directory may send in the roles
// and entitlements of a user. Okta Identity Governance reads them to offer them to
// its administrators (developer.okta.com, "Build a SCIM 2.0 server with
// entitlements"), by resource types of its own URNs; RFC 7643 has none, and the
// working group's draft (draft-ietf-scim-roles-entitlements-01) has expired.
//
// /Roles has the roles of the organization, /Entitlements the values that the
// directory's mapping knows; the id is the value to send. They are read here and
// changed in the console, so every other method is 405. They are views and no kept
// resources: meta has no dates. A query from the root is about people and groups,
// and leaves them out (RFC 7644 §3.4.2.1 lets the server choose).
const (
	roleURN        = "urn:okta:scim:schemas:core:1.0:Role"
	entitlementURN = "urn:okta:scim:schemas:core:1.0:Entitlement"
)

// RoleSchema is a role of the organization, compiled.
var RoleSchema = sync.OnceValue(func() *Compiled {
	return Compile(catalogSchema(roleURN, "Role", "A role of the organization: what may stand in roles.value of a user."))
})

// EntitlementSchema is a value that the directory's mapping knows, compiled.
var EntitlementSchema = sync.OnceValue(func() *Compiled {
	return Compile(catalogSchema(entitlementURN, "Entitlement", "An entitlement that has been mapped for this directory: what may stand in entitlements.value of a user."))
})

func catalogSchema(urn, name, about string) schema.Schema {
	text := func(name, about string, required bool) schema.CoreAttribute {
		return schema.SimpleCoreAttribute(schema.SimpleStringParams(schema.StringParams{Name: name, Required: required,
			Mutability: schema.AttributeMutabilityReadOnly(), Description: optional.NewString(about)}))
	}
	return schema.Schema{ID: urn, Name: optional.NewString(name), Description: optional.NewString(about), Attributes: []schema.CoreAttribute{
		text("displayName", "The name for people.", true), text("type", "What sort of "+strings.ToLower(name)+" it is.", false),
		text("description", "What it gives here.", false),
	}}
}

// catalogue tells whether resources of this type are only read.
func (c *Compiled) catalogue() bool { return c.URN == roleURN || c.URN == entitlementURN }

// catalogueOf is the type behind an endpoint, or nil.
func catalogueOf(endpoint string) *Compiled {
	switch endpoint {
	case "Roles":
		return RoleSchema()
	case "Entitlements":
		return EntitlementSchema()
	}
	return nil
}

// entries are the whole catalogue in the order of ids.
func (h *handler) entries(ctx context.Context, c *Compiled) ([]map[string]any, error) {
	d := from(ctx)
	list := []map[string]any{}
	add := func(id, name, kind, about string) {
		doc := map[string]any{"schemas": []any{c.URN}, "id": id, "displayName": name, "description": about}
		if kind != "" {
			doc["type"] = kind
		}
		sum := sha256.Sum256(appendJSON(nil, doc))
		doc["meta"] = map[string]any{"resourceType": c.Name, "location": d.base + "/" + c.Name + "s/" + url.PathEscape(id), "version": etag(hex.EncodeToString(sum[:8]))}
		list = append(list, doc)
	}
	err := h.db.Read(ctx, d.actor, func(tx *store.Tx) error {
		mapped, err := tx.RoleMappings(d.directory.ID)
		if err != nil {
			return err
		}
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		names := map[string]string{}
		for _, r := range roles {
			names[r.ID] = r.Name
			if c.URN == roleURN {
				add(r.ID, r.Name, "", strings.TrimSpace(r.Description+notGiven(roles, mapped, r)))
			}
		}
		for _, m := range mapped {
			if c.URN != entitlementURN || m.Attr != store.Entitlements {
				continue
			}
			about := "Gives no role."
			if m.Role != "" {
				about = "Gives the role " + cmp.Or(names[m.Role], m.Role) + "."
			}
			add(m.Value, cmp.Or(m.Display, m.Value), m.Kind, about)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b map[string]any) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
	return list, err
}

// notGiven says that the mapping gives something else for a role's id.
func notGiven(roles []store.OrgRole, mapped []store.RoleMapping, r store.OrgRole) string {
	gives := store.DefaultRoleOf(roles, store.Roles, r.ID)
	for _, m := range mapped {
		if m.Attr == store.Roles && store.Fold(m.Value) == store.Fold(r.ID) {
			gives = m.Role
		}
	}
	if gives == r.ID {
		return ""
	}
	return fmt.Sprintf(" This directory does not give it for the value %q as long as that is not mapped to it in Muster.", r.ID)
}

// entry is GET /Roles/{id} and /Entitlements/{id}.
func (h *handler) entry(c *Compiled, id string) call {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := projectionOf(r, c)
		if err != nil {
			return err
		}
		list, err := h.entries(r.Context(), c)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(doc map[string]any) bool { return doc["id"] == id })
		if i < 0 {
			return notFound(c.Name, id)
		}
		meta := list[i]["meta"].(map[string]any)
		tag, at := meta["version"].(string), meta["location"].(string)
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Location", at)
		if done, err := unread(w, r, tag); done {
			return err
		}
		p.Apply(list[i])
		return send(w, http.StatusOK, appendJSON(nil, list[i]))
	}
}

// listEntries is a query of a catalogue. It is short, so it is filtered, sorted and
// cut into pages here, with the words and errors of every other list.
func (h *handler) listEntries(w http.ResponseWriter, r *http.Request, params map[string]string, c *Compiled) error {
	d := from(r.Context())
	l := &list{stream: newStream(w, http.StatusOK), base: d.base}
	if err := l.readPage(h, d, params, []*Compiled{c}); err != nil {
		return err
	}
	p, err := ParseProjection(params["attributes"], params["excludedattributes"], c)
	if err != nil {
		return err
	}
	all, err := h.entries(r.Context(), c)
	if err != nil {
		return err
	}
	found, err := d.matching(all, params["filter"], c)
	if err != nil {
		return err
	}
	places, err := sortEntries(found, params, c)
	if err != nil {
		return err
	}
	l.total = len(found)
	l.silent = l.pages != nil && !l.pages.first() && strings.TrimSpace(params["filter"]) != ""
	l.buf = append(l.buf, `{"schemas":["`+listURN+`"],"Resources":[`...)
	for i, doc := range found {
		switch {
		case l.pages == nil && (i < l.start-1 || l.count >= l.limit):
			continue
		case l.pages != nil && !l.pages.first() && places.compare(places.of[i], l.pages.from.Place) <= 0:
			continue
		case !l.pages.take(0, places.of[i]):
			continue
		}
		p.Apply(doc)
		l.next()
		l.buf = appendJSON(l.buf, doc)
	}
	return l.finish(h.db.Now(), nil)
}

// matching are the resources for which a filter holds. It is checked against an
// empty one first, so that a wrong filter is refused also where there is nothing.
func (d dirctx) matching(all []map[string]any, text string, c *Compiled) ([]map[string]any, error) {
	if text = strings.TrimSpace(text); text == "" {
		return all, nil
	}
	var e filter.Expression
	e, err := ParseFilter(text, ParseOptions{UnquotedValues: d.quirks.UnquotedFilterValues})
	if err != nil {
		return nil, err
	}
	if _, err := Match(e, map[string]any{}, c); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(doc map[string]any) bool {
		ok, err := Match(e, doc, c)
		return err != nil || !ok
	}), nil
}

// order is where each resource of a sorted list stands.
type order struct {
	of         []store.Place
	descending bool
}

// sortEntries sorts resources as sortBy says (RFC 7644 §3.4.2.3); by id without it. Who
// has no value comes last, or first when descending.
func sortEntries(docs []map[string]any, params map[string]string, c *Compiled) (order, error) {
	var o order
	var err error
	if o.descending, err = descends(params); err != nil {
		return o, err
	}
	var by *Attr
	if name := strings.TrimSpace(params["sortby"]); name == "" {
		o.descending = false
	} else if by, err = sortAttr(name, c); err != nil {
		return o, err
	} else if by.MultiValued || by.Path() == "meta.version" {
		return o, invalidValue("Lists cannot be sorted by %s.", by.Path())
	}
	place := func(doc map[string]any) store.Place {
		p := store.Place{ID: doc["id"].(string)}
		if by == nil {
			return p
		}
		v, _ := scope{doc: doc}.value(by).(string)
		if p.Key, p.Missing = v, v == ""; !by.CaseExact {
			p.Key = store.Fold(v)
		}
		return p
	}
	slices.SortFunc(docs, func(a, b map[string]any) int { return o.compare(place(a), place(b)) })
	for _, doc := range docs {
		o.of = append(o.of, place(doc))
	}
	return o, nil
}

func (o order) compare(a, b store.Place) int {
	n := 0
	if a.Missing != b.Missing {
		n = 1
		if b.Missing {
			n = -1
		}
	}
	n = cmp.Or(n, strings.Compare(a.Key, b.Key), strings.Compare(a.ID, b.ID))
	if o.descending {
		return -n
	}
	return n
}
