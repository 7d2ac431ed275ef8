package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/muster-id/muster/internal/openapi"
)

// Checked is site; an exchange below /api/v1 that is not as the document says fails the test.
func Checked(t testing.TB, site http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/v1/") {
			site.ServeHTTP(w, r)
			return
		}
		var asked, said bytes.Buffer
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &asked), r.Body}
		rec := &recorder{ResponseWriter: w, status: http.StatusOK, body: &said}
		at := *r.URL
		site.ServeHTTP(rec, r)
		Check(t, Exchange{r.Method, &at, r.Header, asked.Bytes(), rec.status, w.Header(), said.Bytes()})
	})
}

type recorder struct {
	http.ResponseWriter
	status int
	body   *bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Exchange is a request and its answer.
type Exchange struct {
	Method   string
	URL      *url.URL
	Sent     http.Header
	Asked    []byte
	Status   int
	Received http.Header
	Answered []byte
}

// Check fails the test for what the document does not say of an exchange.
func Check(t testing.TB, e Exchange) {
	t.Helper()
	b, err := theBook()
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range b.wrong(e) {
		t.Errorf("openapi.json: %s %s, %d: %s", e.Method, e.URL.Path, e.Status, wrong)
	}
}

// book is the document, ready to look things up.
type book struct {
	compiler  *jsonschema.Compiler
	lock      sync.Mutex // compiler and schemas
	schemas   map[string]*jsonschema.Schema
	Paths     map[string]map[string]operation
	Responses map[string]response
}

type operation struct {
	Parameters []struct {
		Name, In string
		Ref      string `json:"$ref"`
	}
	RequestBody struct {
		Content map[string]any
	}
	Responses map[string]response
}

type response struct {
	Ref     string `json:"$ref"`
	Content map[string]any
}

var theBook = sync.OnceValues(func() (*book, error) {
	var whole struct {
		Paths      map[string]map[string]operation
		Components struct{ Responses map[string]response }
	}
	if err := json.Unmarshal(openapi.Document, &whole); err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi.Document))
	if err != nil {
		return nil, err
	}
	closeAll(doc)
	b := &book{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}, Paths: whole.Paths, Responses: whole.Components.Responses}
	b.compiler.DefaultDraft(jsonschema.Draft2020)
	return b, b.compiler.AddResource("openapi.json", doc)
})

// closeAll has every object refuse what it does not name: clients read past new fields,
// but none of ours may be missing in the document.
func closeAll(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["type"] == "object" && v["properties"] != nil && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, one := range v {
			closeAll(one)
		}
	case []any:
		for _, one := range v {
			closeAll(one)
		}
	}
}

// find is the operation of a request and its path in the document.
func (b *book) find(method, path string) (op operation, at string, found bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	parts := strings.Split(path, "/")
	literal := -1
	for pattern, item := range b.Paths {
		o, ok := item[strings.ToLower(method)]
		if !ok {
			continue
		}
		if n, matches := match(strings.Split(pattern, "/"), parts); matches && n > literal {
			op, at, found, literal = o, pattern, true, n
		}
	}
	return op, at, found
}

func match(pattern, parts []string) (literal int, ok bool) {
	if len(pattern) != len(parts) {
		return 0, false
	}
	for i, p := range pattern {
		switch {
		case p == parts[i]:
			literal++
		case !strings.HasPrefix(p, "{") || parts[i] == "":
			return 0, false
		}
	}
	return literal, true
}

func (b *book) wrong(e Exchange) (list []string) {
	op, at, found := b.find(e.Method, e.URL.EscapedPath())
	if !found {
		if e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed {
			return nil
		}
		return []string{"there is no such operation"}
	}
	pointer := "#/paths/" + escape(at) + "/" + strings.ToLower(strings.Replace(e.Method, http.MethodHead, http.MethodGet, 1))
	if e.Status < 300 {
		list = append(list, b.wrongRequest(e, op, pointer)...)
	}
	name := strconv.Itoa(e.Status)
	answer, ok := op.Responses[name]
	if !ok && e.Status >= 500 {
		name = "default"
		answer, ok = op.Responses[name]
	}
	if !ok {
		return append(list, "it has no such status")
	}
	pointer += "/responses/" + name
	if answer.Ref != "" {
		pointer = answer.Ref
		answer = b.Responses[strings.TrimPrefix(answer.Ref, "#/components/responses/")]
	}
	if e.Method == http.MethodHead {
		return list
	}
	return append(list, b.wrongBody(e.Received.Get("Content-Type"), e.Answered, answer.Content, pointer+"/content/")...)
}

func (b *book) wrongRequest(e Exchange, op operation, pointer string) (list []string) {
	known := map[string]bool{}
	for _, p := range op.Parameters {
		known[p.Name] = p.In == "query"
		known["org"] = known["org"] || p.Ref == "#/components/parameters/org"
	}
	for name := range e.URL.Query() {
		if !known[name] {
			list = append(list, fmt.Sprintf("it has no parameter %q", name))
		}
	}
	if body := bytes.TrimSpace(e.Asked); len(body) == 0 || string(body) == "null" { // null is read as nothing
		return list
	}
	return append(list, b.wrongBody(e.Sent.Get("Content-Type"), e.Asked, op.RequestBody.Content, pointer+"/requestBody/content/")...)
}

func (b *book) wrongBody(kind string, body []byte, content map[string]any, pointer string) []string {
	if len(content) == 0 {
		if len(bytes.TrimSpace(body)) > 0 {
			return []string{fmt.Sprintf("it has no body: %.200s", body)}
		}
		return nil
	}
	kind, _, _ = mime.ParseMediaType(kind)
	if content[kind] == nil {
		return []string{fmt.Sprintf("a body is no %q", kind)}
	}
	if !strings.HasSuffix(kind, "json") {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return []string{err.Error()}
	}
	s, err := b.schema(pointer + escape(kind) + "/schema")
	if err == nil {
		err = s.Validate(value)
	}
	if err != nil {
		return []string{fmt.Sprintf("%v\n%.600s", err, body)}
	}
	return nil
}

func (b *book) schema(pointer string) (*jsonschema.Schema, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if s := b.schemas[pointer]; s != nil {
		return s, nil
	}
	s, err := b.compiler.Compile("openapi.json" + pointer)
	b.schemas[pointer] = s
	return s, err
}

// escape is for a JSON Pointer in a URL (RFC 6901 §6).
func escape(part string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(part)
}

// Client is one that checks what it asks a server.
func Client(t testing.TB, base http.RoundTripper) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		var asked []byte
		if r.Body != nil {
			var err error
			if asked, err = io.ReadAll(r.Body); err != nil {
				return nil, err
			}
			r.Body = io.NopCloser(bytes.NewReader(asked))
		}
		res, err := base.RoundTrip(r)
		if err != nil || !strings.HasPrefix(r.URL.Path, "/api/v1/") {
			return res, err
		}
		said, err := io.ReadAll(res.Body)
		res.Body.Close()
		res.Body = io.NopCloser(bytes.NewReader(said))
		if err == nil {
			Check(t, Exchange{r.Method, r.URL, r.Header, asked, res.StatusCode, res.Header, said})
		}
		return res, err
	})}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
