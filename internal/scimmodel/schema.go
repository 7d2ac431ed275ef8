package scimmodel

import "strings"

// The schemas, from the tables of RFC 7643 §4 and §8.7.1 with the errata.
const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

	listURN   = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	searchURN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	patchURN  = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	bulkURN   = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	errorURN  = "urn:ietf:params:scim:api:messages:2.0:Error"
	bulkReply = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// Types of RFC 7643 §2.3.
const (
	text = iota
	boolean
	dateTime
	binary
	complexType
)

// attr is an attribute with its characteristics (RFC 7643 §2.2, §7). What is not
// set is the default: optional, readWrite, returned by default, caseExact false.
type attr struct {
	name     string
	kind     int
	multi    bool
	exact    bool
	required bool
	readOnly bool
	always   bool // returned
	never    bool
	request  bool
	urn      string // of the extension that it belongs to
	parent   *attr
	subs     []*attr
}

func (a *attr) sub(name string) *attr {
	for _, s := range a.subs {
		if strings.EqualFold(s.name, name) {
			return s
		}
	}
	return nil
}

// kind is a resource type.
type kind struct {
	name       string
	urn        string
	extensions []string
	attrs      []*attr
}

func (k *kind) endpoint() string { return "/" + k.name + "s" }

// find looks an attribute up by the schema's URN ("" is the core schema) and name,
// all without regard to case (RFC 7643 §2.1).
func (k *kind) find(urn, name string) *attr {
	if strings.EqualFold(urn, k.urn) {
		urn = ""
	}
	for _, a := range k.attrs {
		if strings.EqualFold(a.urn, urn) && strings.EqualFold(a.name, name) {
			return a
		}
	}
	return nil
}

// schema gives the canonical spelling of one of the type's schemas, or "".
func (k *kind) schema(urn string) string {
	for _, known := range append([]string{k.urn}, k.extensions...) {
		if strings.EqualFold(known, urn) {
			return known
		}
	}
	return ""
}

// attrs reads "name", "name!" for caseExact, "name?" for boolean.
func attrs(names string) []*attr {
	var out []*attr
	for _, n := range strings.Fields(names) {
		a := &attr{name: strings.TrimRight(n, "!?"), exact: strings.HasSuffix(n, "!")}
		if strings.HasSuffix(n, "?") {
			a.kind = boolean
		}
		out = append(out, a)
	}
	return out
}

func object(name, subs string, multi bool) *attr {
	a := &attr{name: name, kind: complexType, multi: multi, subs: attrs(subs)}
	for _, s := range a.subs {
		s.parent = a
	}
	return a
}

func with(a *attr, change func(*attr)) *attr {
	change(a)
	return a
}

// common are the attributes of every resource (RFC 7643 §3.1).
func common() []*attr {
	list := append(attrs("id! externalId! schemas"), object("meta", "resourceType! created lastModified location! version!", false))
	list[0].readOnly, list[0].always = true, true
	list[2].readOnly, list[2].always, list[2].multi = true, true, true
	list[3].readOnly = true
	list[3].sub("created").kind, list[3].sub("lastModified").kind = dateTime, dateTime
	return list
}

// users is RFC 7643 §4.1 and §4.3.
func users() *kind {
	k := &kind{name: "User", urn: userURN, extensions: []string{enterpriseURN}}
	k.attrs = append(common(), attrs("userName displayName nickName profileUrl! title userType preferredLanguage locale timezone active? password")...)
	k.find("", "userName").required = true
	k.find("", "password").never = true
	k.attrs = append(k.attrs,
		object("name", "formatted familyName givenName middleName honorificPrefix honorificSuffix", false),
		object("emails", "value display type primary?", true),
		object("phoneNumbers", "value display type primary?", true),
		object("ims", "value display type primary?", true),
		object("photos", "value! display type primary?", true), // §2.3.7: references are case exact
		object("addresses", "formatted streetAddress locality region postalCode country type", true),
		with(object("x509Certificates", "value! display type primary?", true), func(a *attr) { a.sub("value").kind = binary }),
		with(object("groups", "value! $ref! display type", true), func(a *attr) {
			a.readOnly = true
			for _, s := range a.subs {
				s.readOnly = true
			}
		}))
	extension := append(attrs("employeeNumber costCenter organization division department"),
		with(object("manager", "value! $ref! displayName", false), func(a *attr) { a.sub("displayName").readOnly = true }))
	for _, a := range extension {
		a.urn = enterpriseURN
		for _, s := range a.subs {
			s.urn = enterpriseURN
		}
	}
	k.attrs = append(k.attrs, extension...)
	return k
}

// groups is RFC 7643 §4.2; displayName is required (erratum 5368).
func groups() *kind {
	k := &kind{name: "Group", urn: groupURN}
	k.attrs = append(append(common(), attrs("displayName")...), with(object("members", "value! $ref! type display", true), func(a *attr) {
		a.sub("display").readOnly, a.sub("display").request = true, true // choice: announced in /Schemas
	}))
	k.find("", "displayName").required = true
	return k
}
