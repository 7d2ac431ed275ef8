/*
Package scim is the directory door: a SCIM 2.0 service provider (RFC 7643, RFC
7644), one base URL for each directory of each organization. It translates
between the wire and package store, which has the people, the groups and their
rules.

	request -> authenticate: token -> organization, directory, actor   token.go, limit.go, issue.go
	        -> route, method, type and size                            scim.go
	        -> decodeObject: bounded JSON                              decode.go
	        -> normalizer: wire document -> canonical document         normalize.go, value.go
	           or compile: PATCH -> plan                               patch.go, apply.go, members.go
	        -> one store command                                       users.go, groups.go
	           (Bulk: for each of its operations, in an order that has
	           every referenced resource made first)                    bulk.go, bulkitem.go, bulkref.go
	        -> resource spliced from stored bytes, or a SCIM error     resource.go, fault.go

Lists: filter.go and path.go read filters into the library's syntax tree, bind.go
turns that into SQL, match.go evaluates it in memory, sort.go finds the order,
list.go pages, cursor.go says where the next page begins, search.go reads the same
from a body.

What a directory may send as roles and entitlements: roles.go. What they give is
package store's (mapping.go there).

Two modes. compat takes what Okta and Entra ID really send; strict follows the
SCIM interoperability profile (profile.go). Each single deviation is a switch in
quirks.go with its source, and recorded exchanges stand in testdata; vendors.go has
the presets, switches.go and directory.go what people see and change of them,
hint.go what requests call themselves. stray.go keeps attributes that no schema has,
password.go passwords, for directories that are set to it.

Of github.com/elimity-com/scim it uses the schemas, their validation, the
resource and error types; the HTTP layer and the parsers are our own, because the
library's parser can be made to kill the process and its server does not know
preconditions, projections or tenants.

What a user and a group have differs between organizations: a request carries both,
compiled from the standard's schemas (schema.go) and the organization's own
(schema_org.go, guard.go).

Each request leaves a row in the provisioning log, which the console shows, with
what to change at the vendor when it was refused (log.go says what is guaranteed;
redact.go, remedy.go, logpage.go, logapi.go).

A directory may fetch its tokens by itself, as an OAuth client: oauth.go, client.go,
assertion.go, clientkeys.go. What the REST API shows of tokens and clients: accessapi.go.

It owns the tables directory_tokens, directory_clients, directory_assertions and
scim_log. It relies on package store for everything
else that is kept, on package web for routes, and on nobody for cookies: a
request is its bearer token.
*/
package scim

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const contentType = "application/scim+json"

// Options are the door's settings.
type Options struct {
	PublicURL string     // scheme and host by which directories reach us
	Key       secret.Key // for cursors; without one they die with the process
	Rate      int        // requests a second of one directory on this replica, twice as many at once; 0: any number
	Log       *slog.Logger
	LogAge    time.Duration // how long the provisioning log keeps a request; 30 days when 0
	LogRows   int           // how many requests of a directory it keeps; 100,000 when 0
	ScanRows  int           // how many users or groups a search without an index may look through; 0: any number
	// Password checks and hashes a password, outside any transaction, and gives what
	// keeps it in one; nil when it is the person's already. Without it none is taken.
	// Faults: Invalid on "password", Unavailable.
	Password func(ctx context.Context, in PasswordChange) (func(tx *store.Tx, user store.UserID) error, error)
	// Fetch reads a document at an address that a tenant chose, and keeps out of the
	// operator's network; nil: OAuth clients' keys are not read anywhere. what names
	// the document in faults.
	Fetch func(ctx context.Context, what fault.Word, address string) ([]byte, error)
}

type handler struct {
	db       *store.DB
	opt      Options
	limits   *limits
	tokens   lookups
	log      *Log
	known    sync.Map      // store.DirectoryID -> settings; only of directories that have a token
	lanes    chan struct{} // held by each operation that a Bulk has running
	compiled sync.Map      // store.OrgID -> extendedTypes; of organizations with schemas of their own
	keys     keyReader
}

// Mount adds the door to the routes, under /scim/v2/{directory}/, and the page of
// its log to the console. The log that comes back must Run.
func Mount(m *web.Mux, db *store.DB, opt Options) *Log {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Key.IsZero() {
		opt.Key = secret.NewKey()
	}
	h := &handler{db: db, opt: opt, limits: newLimits(db.Now, opt.Rate), log: newLog(db, opt), lanes: make(chan struct{}, db.Lanes()), keys: keyReader{asks: map[string]*keyAsk{}}}
	m.Machine("POST /oauth/token", h.accessToken)
	m.Machine("GET /.well-known/oauth-authorization-server", h.metadata)
	m.Machine("GET /.well-known/oauth-authorization-server/scim/v2/{directory}", h.metadata)
	m.Programs("/oauth/", refuseClient)
	m.Programs("/.well-known/oauth-authorization-server", refuseClient)
	m.OneSlash("/scim/v2/")
	m.Programs("/scim/", func(w http.ResponseWriter, code int, why string) {
		writeError(w, toScim(status(code, "%s", why)))
	})
	m.Machine("/scim/v2/{directory}", h.serve)
	m.Machine("/scim/v2/{directory}/{rest...}", h.serve)
	h.log.mount(m)
	h.mountAPI(m)
	h.mountRoles(m)
	return h.log
}

// BaseURL is what an administrator enters at the directory.
func BaseURL(publicURL string, id store.DirectoryID) string {
	return strings.TrimSuffix(publicURL, "/") + "/scim/v2/" + string(id)
}

// dirctx is what a request is allowed to see and how it is understood.
type dirctx struct {
	directory store.Directory
	quirks    Quirks
	users     *Compiled // what a User has in this organization
	groups    *Compiled
	actor     access.Actor
	base      string // base URL, without a slash at its end
}

// The resource types.
const (
	resourceUser  = "User"
	resourceGroup = "Group"
)

// normalizer reads documents of a resource type for this directory.
func (d dirctx) normalizer(of string) normalizer {
	return normalizer{choose(of == resourceUser, d.users, d.groups), d.quirks}
}

type ctxKey struct{}

// from is the directory of a request; serve has put it there.
func from(ctx context.Context) dirctx {
	d, _ := ctx.Value(ctxKey{}).(dirctx)
	return d
}

// call is one request on its way to an endpoint.
type call func(w http.ResponseWriter, r *http.Request) error

// timeout is below the 60 seconds after which Okta gives up.
const timeout = 55 * time.Second

// serve answers everything under a base URL. Errors of the door are answered
// here, as SCIM errors; only internal ones go on, to be logged by the kit.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) error {
	body := r.Body // what comes after a refusal is not for the log
	logged, r := h.log.begin(w, r)
	defer h.log.end(logged)
	err := h.answer(logged, r)
	if err == nil {
		return nil
	}
	e := toScim(err)
	logged.refused(err, e)
	drain(w, r, body, choose(logged.owner != "" || logged.actor.ID != "", int64(2*maxGroupBody), 4*maxUserBody))
	writeError(logged, e)
	if e.Status == http.StatusInternalServerError {
		return err
	}
	return nil
}

// drainTime is how long a refused request may go on sending.
const drainTime = 5 * time.Second

// drain reads the rest of a refused request, up to limit bytes: a client that sends its
// whole body before it reads would find a broken connection instead of the answer.
// net/http does so for the first 256 KB. Who expects 100 Continue has not sent anything.
func drain(w http.ResponseWriter, r *http.Request, body io.Reader, limit int64) {
	if r.ContentLength == 0 || r.ContentLength > limit || r.Header.Get("Expect") != "" {
		return
	}
	c := http.NewResponseController(w)
	if c.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	io.CopyN(io.Discard, body, limit)
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	d, err := h.authenticate(ctx, w, r)
	logAs(ctx, d)
	if err != nil {
		return err
	}
	r = r.WithContext(context.WithValue(ctx, ctxKey{}, d))
	methods, id, err := h.route(r)
	if err != nil {
		return err
	}
	run, ok := methods[r.Method]
	if !ok && r.Method == http.MethodHead {
		run, ok = methods[http.MethodGet] // net/http leaves the body out
	}
	if !ok {
		allow := slices.Sorted(maps.Keys(methods))
		w.Header().Set("Allow", strings.Join(allow, ", "))
		return status(http.StatusMethodNotAllowed, "%s does not take %s, only %s.", r.URL.Path, r.Method, strings.Join(allow, ", "))
	}
	return run(h, w, r, id)
}

// methods are what an endpoint does, to the resource with the id in the path if there is one.
type methods map[string]func(h *handler, w http.ResponseWriter, r *http.Request, id string) error

// Those of most requests are made once.
var (
	ofUsers = methods{
		"GET": func(h *handler, w http.ResponseWriter, r *http.Request, _ string) error {
			return h.listing(from(r.Context()).users)(w, r)
		},
		"POST": func(h *handler, w http.ResponseWriter, r *http.Request, _ string) error { return h.createUser(w, r) },
	}
	ofGroups = methods{
		"GET": func(h *handler, w http.ResponseWriter, r *http.Request, _ string) error {
			return h.listing(from(r.Context()).groups)(w, r)
		},
		"POST": func(h *handler, w http.ResponseWriter, r *http.Request, _ string) error { return h.createGroup(w, r) },
	}
	ofUser  = methods{"GET": (*handler).getUser, "PUT": (*handler).putUser, "PATCH": (*handler).patchUser, "DELETE": (*handler).deleteUser}
	ofGroup = methods{"GET": (*handler).getGroup, "PUT": (*handler).putGroup, "PATCH": (*handler).patchGroup, "DELETE": (*handler).deleteGroup}
)

// on is one method without an id.
func on(method string, c call) methods {
	return methods{method: func(_ *handler, w http.ResponseWriter, r *http.Request, _ string) error { return c(w, r) }}
}

// segments are the parts of the path behind the base URL. A slash at the end is
// tolerated, and so is Microsoft's feature flag when it arrives as part of the
// path: administrators append "?aadOptscim062020" to the base URL.
func segments(r *http.Request) []string {
	var out []string
	for s := range strings.SplitSeq(r.PathValue("rest"), "/") {
		if flag := strings.ToLower(strings.TrimPrefix(s, "?")); s == "" || flag == "aadoptscim062020" || flag == "azureadscimpatch2017" {
			continue
		}
		out = append(out, s)
	}
	return out
}

// cutSegment cuts a path behind its first part.
func cutSegment(path string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimLeft(path, "/"), "/")
	return first, rest
}

// route finds the methods of an endpoint, and the id behind it. Endpoint names have their
// exact case (RFC 7644 §3.2).
func (h *handler) route(r *http.Request) (m methods, id string, err error) {
	d := from(r.Context())
	s := segments(r)
	if len(s) == 2 {
		id = s[1]
	}
	if kinds := d.searched(s); kinds != nil {
		return on(http.MethodPost, h.search(kinds...)), "", nil
	}
	if len(s) == 0 {
		return on(http.MethodGet, h.listing(d.users, d.groups)), "", nil
	}
	if c := catalogueOf(s[0]); c != nil {
		if len(s) == 1 {
			return on(http.MethodGet, h.listing(c)), "", nil
		}
		_, id = cutSegment(r.PathValue("rest")) // a value of the mapping, which may have a slash in it
		return on(http.MethodGet, h.entry(c, id)), "", nil
	}
	if len(s) == 1 || len(s) == 2 && s[0] != "ServiceProviderConfig" {
		switch s[0] {
		case "Users":
			if id == "" {
				return ofUsers, "", nil
			}
			return ofUser, id, nil
		case "Groups":
			if id == "" {
				return ofGroups, "", nil
			}
			return ofGroup, id, nil
		case "ServiceProviderConfig":
			return on(http.MethodGet, h.serviceProviderConfig), "", nil
		case "Schemas":
			return methods{http.MethodGet: (*handler).schemas}, id, nil
		case "ResourceTypes":
			return methods{http.MethodGet: (*handler).resourceTypes}, id, nil
		case "Me":
			return methods{"GET": notMe, "POST": notMe, "PUT": notMe, "PATCH": notMe, "DELETE": notMe}, "", nil
		case "Bulk":
			if id == "" {
				return on(http.MethodPost, h.bulk), "", nil
			}
		}
	}
	return nil, "", status(http.StatusNotFound, "There is no endpoint %q here. Try Users, Groups, Roles, Entitlements, Schemas, ResourceTypes or ServiceProviderConfig.", "/"+strings.Join(s, "/"))
}

func notMe(*handler, http.ResponseWriter, *http.Request, string) error {
	return status(http.StatusNotImplemented, "%s is not supported by this server; /ServiceProviderConfig says what is.", "/Me")
}

// readBody reads the JSON object of a request, at most limit bytes of it.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (map[string]any, error) {
	if err := jsonType(r); err != nil {
		return nil, err
	}
	if r.ContentLength > limit { // not a byte of it is read
		return nil, &http.MaxBytesError{Limit: limit}
	}
	return decodeObject(http.MaxBytesReader(w, r.Body, limit))
}

// jsonType refuses bodies that do not call themselves JSON. Okta sends
// application/json in places, others nothing at all.
func jsonType(r *http.Request) error {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return status(http.StatusUnsupportedMediaType, "The Content-Encoding is %q. Send the body as it is.", coding)
	}
	sent := r.Header.Get("Content-Type")
	if sent == "" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(sent)
	if err == nil && (kind == contentType || kind == "application/json") {
		if cs := params["charset"]; cs == "" || strings.EqualFold(cs, "utf-8") {
			return nil
		}
	}
	return status(http.StatusUnsupportedMediaType, "The Content-Type is %q. Send %s or application/json, in UTF-8.", sent, contentType)
}

// etag is a version as an entity tag. It is weak, because the same resource looks
// different under another projection.
func etag(version string) string { return `W/"` + version + `"` }

// matches tells whether one of the tags in a header is etag, or the header is *.
// Clients drop the W/ at times, so it is not compared.
func matches(header, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

// wanted is the resource that an operation is about.
type wanted struct {
	id     string
	only   condition
	groups bool     // the answer shows a user's groups
	keep   keepFunc // the password that comes with the change; nil: none
}

// condition is which versions of a resource a request is meant for (RFC 7644 §3.14);
// the zero condition holds for every one.
type condition struct{ match, none string } // If-Match and If-None-Match

// conditionOf reads the headers, of which there can be several lines (RFC 9110 §5.3).
func conditionOf(r *http.Request) condition {
	return condition{strings.Join(r.Header.Values("If-Match"), ","), strings.Join(r.Header.Values("If-None-Match"), ",")}
}

// check refuses a change to a version that the request is not meant for
// (RFC 9110 §13.1.1, §13.1.2).
func (c condition) check(tag string) error {
	switch {
	case c.match != "" && !matches(c.match, tag):
		return status(http.StatusPreconditionFailed, "The resource has changed: it is at version %s. Read it again and repeat the change.", tag)
	case c.none != "" && matches(c.none, tag):
		return status(http.StatusPreconditionFailed, "The resource is at version %s, which If-None-Match rules out.", tag)
	}
	return nil
}

// unread answers a GET whose conditions leave nothing to show: 412 by If-Match, else
// 304 by If-None-Match, for a client that has this version already.
func unread(w http.ResponseWriter, r *http.Request, tag string) (bool, error) {
	c := conditionOf(r)
	if err := (condition{match: c.match}).check(tag); err != nil {
		return true, err
	}
	if c.none == "" || !matches(c.none, tag) {
		return false, nil
	}
	w.WriteHeader(http.StatusNotModified)
	return true, nil
}

func notFound(kind, id string) error {
	return fault.NotFound.Say("%s %.64q not found.", kind, id)
}
