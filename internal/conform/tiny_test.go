package conform

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// tiny is a small SCIM server in memory, written for these tests alone: right as it
// stands, and wrong in one way when a fault is switched on. It decides everything by
// its own schemas.
type tiny struct {
	url     string
	fault   string
	lenient bool   // takes what some directories send besides the RFC
	before  func() // each request
	mu      sync.Mutex
	n       int
	records map[string][]*record // by endpoint, in order
}

type record struct {
	id, created, modified string
	version               int
	gone                  bool
	doc                   object
}

// oops is an error answer, thrown.
type oops struct {
	status   int
	scimType string
}

func newTiny(t *testing.T, fault string) *tiny {
	t.Helper()
	s := &tiny{fault: fault, records: map[string][]*record{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL + "/scim"
	return s
}

func (s *tiny) is(fault string) bool { return s.fault == fault }

func (s *tiny) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		s.before()
	}
	defer func() {
		if e, ok := recover().(oops); ok {
			s.refuse(w, e)
		}
	}()
	if r.Header.Get("Authorization") != "Bearer secret" && !s.is("no-auth") {
		w.Header().Set("WWW-Authenticate", "Bearer")
		panic(oops{401, ""})
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/scim/"), "/")
	id := ""
	if len(path) > 1 {
		id = path[1]
	}
	switch path[0] {
	case "Users", "Groups":
		s.resource(w, r, path[0], id)
	case "Roles":
		s.roles(w, r, id)
	case "ServiceProviderConfig", "ResourceTypes", "Schemas":
		s.discovery(w, r, path[0], id)
	default:
		panic(oops{404, ""})
	}
}

func (s *tiny) refuse(w http.ResponseWriter, e oops) {
	if e.status == 401 && s.is("auth-html") {
		w.WriteHeader(401)
		return
	}
	if e.scimType == "invalidFilter" && s.is("filter-bad-empty") {
		s.send(w, 200, object{"schemas": []any{listURN}, "totalResults": 0, "Resources": []any{}})
		return
	}
	body := object{"schemas": []any{errorURN}, "status": strconv.Itoa(e.status), "detail": "no"}
	if e.scimType != "" {
		body["scimType"] = e.scimType
	}
	if s.is("status-number") {
		body["status"] = e.status
	}
	if s.is("error-no-schemas") {
		delete(body, "schemas")
	}
	if e.status == 405 {
		w.Header().Set("Allow", "GET")
	}
	s.send(w, e.status, body)
}

func (s *tiny) send(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", scimJSON)
	if s.is("content-type") {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	w.Write([]byte(encode(body)))
}

func (s *tiny) resource(w http.ResponseWriter, r *http.Request, kind, id string) {
	switch {
	case id == "" && r.Method == "GET":
		s.list(w, r, kind)
	case id == "" && r.Method == "POST":
		rec := &record{doc: s.clean(kind, s.body(r), true)}
		if s.is("created-active") {
			rec.doc["active"] = true
		}
		s.unique(kind, rec, nil)
		s.n++
		rec.id = fmt.Sprintf("id-%d", s.n)
		if sent, ok := s.lastID(r); ok && s.is("id-from-client") {
			rec.id = sent
		}
		s.touch(rec)
		rec.created = rec.modified
		s.records[kind] = append(s.records[kind], rec)
		s.show(w, r, 201, kind, rec)
	case id == "":
		panic(oops{405, ""})
	default:
		s.one(w, r, kind, id)
	}
}

func (s *tiny) one(w http.ResponseWriter, r *http.Request, kind, id string) {
	rec := s.find(kind, id)
	if rec == nil && r.Method == "PUT" && s.is("put-creates") {
		rec = &record{id: id, doc: object{}}
		s.records[kind] = append(s.records[kind], rec)
	}
	if rec == nil || rec.gone && !(r.Method == "GET" && s.is("delete-soft")) {
		panic(oops{404, ""})
	}
	tag := etagOf(rec)
	if m := r.Header.Get("If-Match"); m != "" && m != tag && !s.is("if-match-ignored") {
		panic(oops{412, ""})
	}
	if m := r.Header.Get("If-None-Match"); (m == tag || m == "*") && r.Method != "GET" && !s.is("if-none-match-writes") {
		panic(oops{412, ""})
	} else if m == tag && r.Method == "GET" && !s.is("if-none-match-ignored") {
		w.WriteHeader(304)
		return
	}
	switch r.Method {
	case "GET":
		s.show(w, r, 200, kind, rec)
	case "PUT":
		next := &record{id: rec.id, doc: s.clean(kind, s.body(r), true)}
		s.unique(kind, next, rec)
		if old, v := rec.doc["badge"], next.doc["badge"]; old != nil && v != nil && old != v && !s.is("immutable-put") {
			panic(oops{400, "mutability"})
		}
		s.circle(rec.id, next.doc)
		if s.is("put-partial") {
			merged := maps.Clone(rec.doc)
			maps.Copy(merged, next.doc)
			next.doc = merged
		}
		s.store(rec, next.doc)
		s.show(w, r, 200, kind, rec)
	case "PATCH":
		s.patch(w, r, kind, rec)
	case "DELETE":
		rec.gone = true
		for _, g := range s.records["Groups"] {
			if kind == "Groups" && s.is("nested-stays") {
				break
			}
			g.doc["members"] = slices.DeleteFunc(slices.Clone(list(g.doc["members"])), func(m any) bool { return pick(m, "/value") == id })
		}
		if s.is("delete-200") {
			s.send(w, 200, object{"id": id})
			return
		}
		w.WriteHeader(204)
	default:
		panic(oops{405, ""})
	}
}

func etagOf(rec *record) string { return fmt.Sprintf(`W/"%d"`, rec.version) }

func (s *tiny) touch(rec *record) {
	rec.version++
	rec.modified = time.Now().UTC().Format(time.RFC3339Nano)
}

// store changes a record, if it is a change.
func (s *tiny) store(rec *record, doc object) {
	if encode(rec.doc) != encode(doc) {
		rec.doc = doc
		s.touch(rec)
	}
}

func (s *tiny) find(kind, id string) *record {
	for _, rec := range s.records[kind] {
		if rec.id == id {
			return rec
		}
	}
	return nil
}

func (s *tiny) body(r *http.Request) object {
	var v object
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	if d.Decode(&v) != nil {
		panic(oops{400, "invalidSyntax"})
	}
	r.Header.Set("X-Sent-Id", fmt.Sprint(v["id"]))
	return v
}

func (s *tiny) lastID(r *http.Request) (string, bool) {
	id := r.Header.Get("X-Sent-Id")
	return id, id != "" && id != "<nil>"
}

func naming(kind string) string {
	if kind == "Groups" {
		return "displayName"
	}
	return "userName"
}

func (s *tiny) unique(kind string, rec, self *record) {
	name, _ := rec.doc[naming(kind)].(string)
	for _, other := range s.records[kind] {
		theirs, _ := other.doc[naming(kind)].(string)
		same := strings.EqualFold(name, theirs)
		if s.is("duplicate-case") {
			same = name == theirs
		}
		if code := rec.doc["code"]; code != nil && code == other.doc["code"] && other != self && !other.gone && !s.is("unique-code") {
			panic(oops{409, "uniqueness"})
		}
		if same && other != self && (!other.gone || s.is("name-burnt")) && !s.is("duplicate-ok") {
			panic(oops{409, "uniqueness"})
		}
	}
}

// view is a resource as it is shown.
func (s *tiny) view(kind string, rec *record, query url.Values) object {
	doc := maps.Clone(rec.doc)
	if !s.is("password-shown") {
		delete(doc, "password")
	}
	doc["id"] = rec.id
	doc["schemas"] = []any{tinySchemas[kind].ID}
	if doc[enterpriseURN] != nil {
		doc["schemas"] = []any{tinySchemas[kind].ID, enterpriseURN}
	}
	at := s.url + "/" + kind + "/" + rec.id
	if s.is("relative-location") {
		at = kind + "/" + rec.id
	}
	doc["meta"] = object{"resourceType": strings.TrimSuffix(kind, "s"), "location": at, "version": etagOf(rec), "created": rec.created, "lastModified": rec.modified}
	if kind == "Users" {
		doc["groups"] = s.groupsOf(rec.id)
	}
	return s.project(doc, query)
}

func (s *tiny) project(doc object, query url.Values) object {
	if s.is("projection-ignored") {
		return doc
	}
	if !strings.Contains(query.Get("attributes"), "hint") && !s.is("request-shown") {
		delete(doc, "hint")
	}
	if names := query.Get("attributes"); names != "" && names != "all,hint" {
		out := object{"id": doc["id"], "schemas": doc["schemas"]}
		if doc["stamp"] != nil && !s.is("always-left-out") {
			out["stamp"] = doc["stamp"]
		}
		for name := range strings.SplitSeq(names, ",") {
			name = strings.TrimPrefix(name, userURN+":")
			top, sub, deep := strings.Cut(name, ".")
			for k, v := range doc {
				if strings.EqualFold(k, top) {
					out[k] = v
					if deep {
						out[k] = object{sub: field(v.(object), sub)}
					}
				}
			}
		}
		return out
	}
	for name := range strings.SplitSeq(query.Get("excludedAttributes"), ",") {
		if name != "id" && name != "stamp" || s.is("excluded-id") {
			delete(doc, name)
		}
	}
	return doc
}

func (s *tiny) show(w http.ResponseWriter, r *http.Request, status int, kind string, rec *record) {
	w.Header().Set("ETag", etagOf(rec))
	if status == 201 && !s.is("no-location") {
		w.Header().Set("Location", s.url+"/"+kind+"/"+rec.id)
	}
	s.send(w, status, s.view(kind, rec, r.URL.Query()))
}

func (s *tiny) list(w http.ResponseWriter, r *http.Request, kind string) {
	query := r.URL.Query()
	match := func(object) bool { return true }
	if text := query.Get("filter"); text != "" && !s.is("filter-ignored") {
		match = s.parseFilter(kind, text)
	}
	found := []any{}
	for _, rec := range s.records[kind] {
		inactive := rec.doc["active"] == false && s.is("inactive-hidden")
		if (!rec.gone || s.is("delete-listed")) && !inactive && match(s.view(kind, rec, url.Values{"attributes": {"all,hint"}})) {
			one := s.view(kind, rec, query)
			if s.is("password-listed") && rec.doc["password"] != nil {
				one["password"] = rec.doc["password"]
			}
			found = append(found, one)
		}
	}
	total := len(found)
	start, err := strconv.Atoi(query.Get("startIndex"))
	if err != nil || start < 1 {
		start = 1
	}
	from := min(start-1, total)
	if s.is("startindex-zero") {
		from = min(start, total)
	}
	count, err := strconv.Atoi(query.Get("count"))
	if err != nil || count == 0 && s.is("count0-all") {
		count = 100
	}
	page := found[from:min(from+max(count, 0), total)]
	if s.is("total-page") {
		total = len(page)
	}
	s.send(w, 200, object{"schemas": []any{listURN}, "totalResults": total, "startIndex": start, "itemsPerPage": len(page), "Resources": page})
}

// discovery is what tiny says of itself.
func (s *tiny) discovery(w http.ResponseWriter, r *http.Request, kind, id string) {
	if r.Method != "GET" && !s.is("post-config") {
		panic(oops{405, ""})
	}
	if r.URL.Query().Get("filter") != "" && !s.is("filter-config") {
		panic(oops{403, ""})
	}
	meta := func(of, at string) object { return object{"resourceType": of, "location": s.url + at} }
	yes, no := object{"supported": true}, object{"supported": false}
	all := []any{}
	switch kind {
	case "ServiceProviderConfig":
		bulk := object{"supported": false, "maxOperations": 0, "maxPayloadSize": 0}
		if s.is("no-bulk-limit") {
			bulk = no
		}
		s.send(w, 200, object{"schemas": []any{configURN}, "patch": yes, "bulk": bulk, "filter": object{"supported": true, "maxResults": 100}, "changePassword": no,
			"sort": no, "etag": yes, "authenticationSchemes": []any{object{"type": "oauthbearertoken", "name": "Bearer", "description": "A token."}}, "meta": meta(kind, "/"+kind)})
		return
	case "ResourceTypes":
		for _, endpoint := range []string{"Users", "Groups"} {
			name := strings.TrimSuffix(endpoint, "s")
			t := object{"schemas": []any{typeURN}, "id": name, "name": name, "endpoint": "/" + endpoint, "schema": tinySchemas[endpoint].ID, "meta": meta("ResourceType", "/ResourceTypes/"+name)}
			if name == "User" {
				t["schemaExtensions"] = []any{object{"schema": enterpriseURN, "required": false}}
			}
			all = append(all, t)
		}
		all = append(all, object{"schemas": []any{typeURN}, "id": "Role", "name": "Role", "endpoint": "/Roles", "schema": tinyRoleURN, "meta": meta("ResourceType", "/ResourceTypes/Role")})
	case "Schemas":
		for _, text := range tinySchemaTexts {
			var doc object
			if err := json.Unmarshal([]byte(text), &doc); err != nil {
				panic(err)
			}
			doc["meta"] = meta("Schema", "/Schemas/"+doc["id"].(string))
			all = append(all, doc)
		}
	}
	if id == "" {
		s.send(w, 200, object{"schemas": []any{listURN}, "totalResults": len(all), "Resources": all})
		return
	}
	for _, one := range all {
		if pick(one, "/id") == id {
			s.send(w, 200, one.(object))
			return
		}
	}
	panic(oops{404, ""})
}

// roles is a catalogue of two.
func (s *tiny) roles(w http.ResponseWriter, r *http.Request, id string) {
	if r.Method != "GET" && !s.is("catalog-taken") {
		panic(oops{405, ""})
	}
	found := []any{}
	for _, name := range []string{"one", "two"} {
		doc := object{"schemas": []any{tinyRoleURN}, "id": name, "displayName": "Role " + name, "meta": object{"resourceType": "Role", "location": s.url + "/Roles/" + name}}
		if s.is("catalog-undeclared") {
			doc["colour"] = "red"
		}
		if id == name || id != "" && s.is("catalog-any") {
			if s.is("catalog-differs") {
				doc["displayName"] = "another"
			}
			s.send(w, 200, doc)
			return
		}
		found = append(found, doc)
	}
	if id != "" {
		panic(oops{404, ""})
	}
	total := len(found)
	if r.URL.Query().Get("count") == "1" && !s.is("catalog-unpaged") {
		found = found[:1]
	}
	s.send(w, 200, object{"schemas": []any{listURN}, "totalResults": total, "startIndex": 1, "itemsPerPage": len(found), "Resources": found})
}
