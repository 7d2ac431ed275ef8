package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/conform"
)

// lists are the public lists by which directories and test suites judge a server, and
// the checks that cover each of their lines.
var lists = []struct {
	name  string
	lines [][2]string // line, ids of checks
}{
	{"Okta SCIM 2.0 SPEC test (okta/okta-developer-docs)", [][2]string{
		{"Users has a list: Resources with id and userName, itemsPerPage, startIndex, schemas, totalResults", "vendor.okta.spec.users"},
		{"a user of the list is read by id", "vendor.okta.spec.get"},
		{"a filter for nobody is 200 and empty", "vendor.okta.spec.filter.none"},
		{"an unknown user is 404 with detail and schemas; status is a string", "vendor.okta.spec.unknown error.resource"},
		{"a user is created: 201, then read", "vendor.okta.spec.create"},
		{"the same user again is 409", "vendor.okta.spec.again"},
		{"userName is found in capitals", "vendor.okta.spec.case"},
		{"Groups answers, within 600 ms", "vendor.okta.spec.groups"},
		{"without a token: 401 with a SCIM error", "auth.none auth.error"},
	}},
	{"Okta SCIM 2.0 CRUD test", [][2]string{
		{"create: look by userName, POST", "vendor.okta.crud.create"},
		{"update by PUT of the whole", "vendor.okta.crud.put"},
		{"deactivate and reactivate", "vendor.okta.crud.deactivate vendor.okta.crud.deactivate.put"},
		{"unassign: the user stays, inactive", "vendor.okta.crud.deactivate patch.rule.active"},
		{"group push: create, rename, members, push now, unlink", "vendor.okta.groups.push vendor.okta.groups.now"},
	}},
	{"Microsoft Entra SCIM Validator: 24 required", [][2]string{
		{"POST user", "vendor.entra.user.01-create"}, {"POST user twice: 409", "vendor.entra.user.02-duplicate"}, {"DELETE user, then 404", "vendor.entra.user.03-delete"},
		{"filter an existing user", "vendor.entra.user.04-filter"}, {"filter a missing user", "vendor.entra.user.05-filter-missing"}, {"filter in other case", "vendor.entra.user.06-filter-case"},
		{"PATCH replace attributes, verbose", "vendor.entra.user.07-replace"}, {"PATCH replace userName without path", "vendor.entra.user.08-username"}, {"PATCH disable", "vendor.entra.user.09-disable"},
		{"PATCH add attributes, verbose", "vendor.entra.user.10-add"}, {"PATCH add manager", "vendor.entra.user.11-manager-add"}, {"PATCH replace manager", "vendor.entra.user.12-manager-replace"},
		{"PATCH remove manager", "vendor.entra.user.13-manager-remove"},
		{"POST group", "vendor.entra.group.01-create"}, {"POST group twice: 409", "vendor.entra.group.02-duplicate"}, {"GET group without members", "vendor.entra.group.03-get"},
		{"DELETE group", "vendor.entra.group.04-delete"}, {"filter by displayName without members", "vendor.entra.group.05-filter"}, {"filter by externalId without members", "vendor.entra.group.06-filter-external"},
		{"filter a missing group", "vendor.entra.group.07-filter-missing"}, {"filter in other case", "vendor.entra.group.08-filter-case"}, {"PATCH replace displayName", "vendor.entra.group.09-rename"},
		{"PATCH replace externalId", "vendor.entra.group.10-external"}, {"PATCH add and remove a member", "vendor.entra.group.11-members"},
	}},
	{"Microsoft Entra SCIM Validator: 7 of its preview", [][2]string{
		{"several operations on different attributes", "vendor.entra.preview.1-several"}, {"remove, add and replace of the same attribute", "vendor.entra.preview.2-same"},
		{"add and remove a member in one PATCH", "vendor.entra.preview.3-members"}, {"DELETE of a missing user", "vendor.entra.preview.4-delete-missing-user"},
		{"DELETE of a user twice", "vendor.entra.preview.5-delete-user-twice"}, {"DELETE of a missing group", "vendor.entra.preview.6-delete-missing-group"},
		{"DELETE of a group twice", "vendor.entra.preview.7-delete-group-twice"},
	}},
	{"Microsoft Entra Postman collection (AzureAD/SCIMReferenceCode)", [][2]string{
		{"booleans as strings in POST", "vendor.entra.postman.strings"}, {"a misspelt attribute is ignored", "vendor.entra.postman.typo"}, {"PUT without userName is 400", "vendor.entra.postman.put"},
		{"duplicate is 409", "vendor.entra.user.02-duplicate"}, {"`Primary` and other names in other case", "vendor.entra.postman.primary"}, {"members as a string", "vendor.entra.postman.members"},
		{"attributes of a list", "projection.list projection.case"}, {"filters without quotes", "vendor.entra.postman.unquoted"}, {"startindex=0 in small letters", "vendor.entra.postman.startindex"},
		{"delta filter: active and meta.lastModified ge", "vendor.entra.postman.delta"},
	}},
	{"Microsoft Entra Logic App validation: 22 (7 users, 7 groups, 8 direct)", [][2]string{
		{"users: create, read, update, disable, restore, filter, delete", "vendor.entra.user.01-create vendor.entra.user.07-replace vendor.entra.user.09-disable vendor.entra.restore vendor.entra.user.04-filter vendor.entra.user.03-delete"},
		{"groups: create, read, rename, add and remove members, filter, delete", "vendor.entra.group.01-create vendor.entra.group.03-get vendor.entra.group.09-rename vendor.entra.group.11-members vendor.entra.group.05-filter vendor.entra.group.04-delete"},
		{"direct: pages", "vendor.entra.pages list.User.pages"}, {"direct: delete and delete again", "vendor.entra.preview.5-delete-user-twice"},
		{"direct: provision on demand", "vendor.entra.demand"}, {"direct: restore", "vendor.entra.restore"}, {"direct: schema discovery", "discovery.schemas discovery.types"},
		{"direct: test of the connection", "vendor.entra.connect"},
	}},
	{"scim2-tester (python-scim)", [][2]string{
		{"a random address is 404 with a SCIM error", "error.endpoint"}, {"ServiceProviderConfig: GET, every other method 405", "discovery.config discovery.methods.serviceproviderconfig"},
		{"Schemas: list, each alone, unknown 404, every other method 405", "discovery.schemas discovery.schemas.one discovery.unknown discovery.methods.schemas"},
		{"ResourceTypes: list, each alone, unknown 404, every other method 405", "discovery.types discovery.types.one discovery.unknown discovery.methods.resourcetypes"},
		{"the schemas of every type can be read; those of discovery are there", "discovery.types.schemas discovery.schemas.self"},
		{"each type: POST, GET, list, PUT, DELETE, then 404", "crud.User.create list.User.form put.User.replace crud.User.delete crud.Group.create crud.Group.delete"},
		{"attributes and excludedAttributes on GET, lists and .search", "projection.only projection.without projection.list search"},
		{"PATCH add, replace, remove of every attribute, sub-attribute and extension", "patch.User.title patch.User.emails patch.User.name.givenName patch.User.enterprise:department patch.Group.members"},
	}},
	{"scimverify (limosa)", [][2]string{
		{"base URL and authentication", "auth.none auth.wrong"}, {"discovery", "discovery.config discovery.schemas discovery.types"},
		{"users: list, get, 404, pages, order, attributes", "list.User.form list.User.pages error.resource sort projection.only"},
		{"users: POST, PUT, PATCH, DELETE", "crud.User.create put.User.replace patch.User.title crud.User.delete"}, {"groups, and a user in one", "crud.Group.create members.patch"},
	}},
	{"WSO2 SCIM 2 compliance test suite", [][2]string{
		{"GET, POST, PUT, PATCH, DELETE of users and groups", "crud.User.full put.User.replace crud.User.delete crud.Group.create"}, {"/Me", "me"},
		{"list, filter, sort, pages", "list.User.form filter.eq sort list.User.pages"}, {"Bulk", "bulk"},
		{"every answer against /Schemas: required, mutability, returned, schemas, meta", "traits.User.required traits.User.readonly traits.User.never traits.Group.immutable.sub crud.User.create"},
	}},
}

// listsPage is their part of docs/scim/conformance.md. Ids that are no checks are told.
func listsPage(t *testing.T, report conform.Report) string {
	t.Helper()
	known := map[string]bool{}
	for _, c := range report.Checks {
		for id := c.ID; id != ""; {
			known[id] = true
			at := strings.LastIndexByte(id, '.')
			id = id[:max(at, 0)]
		}
	}
	var b strings.Builder
	b.WriteString("\n## Which check covers which line of the public lists\n\nA check that is named without its last part stands for all that begin so.\n")
	for _, l := range lists {
		fmt.Fprintf(&b, "\n**%s**\n\n| Line | Checks |\n|---|---|\n", l.name)
		for _, line := range l.lines {
			ids := strings.Fields(line[1])
			for i, id := range ids {
				if !known[id] {
					t.Errorf("%s, %q: there is no check %s", l.name, line[0], id)
				}
				ids[i] = "`" + id + "`"
			}
			fmt.Fprintf(&b, "| %s | %s |\n", inCell(line[0]), strings.Join(ids, ", "))
		}
	}
	b.WriteString(`
scim2-tester itself passes too, but for what it must not ask of every server: it creates resources of every type, and ` + "`/Roles`" + ` and
` + "`/Entitlements`" + ` are only read (405); it removes ` + "`active`" + `, which always has a value (400 mutability, RFC 7644 §3.5.2.2). In strict mode it
also puts ` + "`schemas`" + ` inside an extension's object, where RFC 7643 §3.3 knows the extension's own attributes alone, so the interoperability
profile's rule for unknown attributes refuses it; and its model of /ServiceProviderConfig has no ` + "`interopProfileConformant`" + `, which that
profile demands.
`)
	return b.String()
}
