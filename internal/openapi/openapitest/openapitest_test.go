package openapitest

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/muster-id/muster/internal/openapi"
)

func TestTheDocumentIsMadeOfTheSource(t *testing.T) {
	t.Parallel()
	made, err := Make("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("MUSTER_WRITE_DOCS") != "" {
		if err := os.WriteFile("../openapi.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made, openapi.Document) {
		t.Errorf("internal/openapi/openapi.json is not what the source says: run make generate. The first difference: %s", difference(openapi.Document, made))
	}
}

func difference(old, made []byte) string {
	a, b := strings.Split(string(old), "\n"), strings.Split(string(made), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + " should be " + b[i]
		}
	}
	return "the end"
}

// The schema is that of the OpenAPI Initiative, 2022-10-07; schemas inside are looked at
// as JSON Schema 2020-12.
func TestTheDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	c := jsonschema.NewCompiler()
	s, err := c.Compile("testdata/openapi-3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi.Document))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Error(err)
	}
	b, err := theBook()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(v any, pointer string)
	walk = func(v any, pointer string) {
		switch v := v.(type) {
		case map[string]any:
			for key, one := range v {
				at := pointer + "/" + escape(key)
				if key == "schema" || strings.HasPrefix(at, "#/components/schemas/") && strings.Count(at, "/") == 3 {
					n++
					if _, err := b.schema(at); err != nil {
						t.Errorf("%s: %v", at, err)
					}
					continue
				}
				walk(one, at)
			}
		case []any:
			return // parameters: with no type but simple ones
		}
	}
	walk(doc, "#")
	if n < 300 {
		t.Errorf("only %d schemas were looked at", n)
	}
}

func TestWhatIsNotInTheDocumentIsFound(t *testing.T) {
	t.Parallel()
	b, err := theBook()
	if err != nil {
		t.Fatal(err)
	}
	const team = `{"id":"0192f0c0a0b070008000000000000001","name":"A","description":"","lead":"","lead_name":"","directory":"","people":0,"version":"1","updated_at":"2026-11-30T18:00:00Z"`
	for name, c := range map[string]struct {
		method, path, asked string
		status              int
		kind, answered      string
		good                bool
	}{
		"as it is":            {"GET", "/api/v1/teams/0192f0c0a0b070008000000000000001", "", 200, "application/json", team + "}", true},
		"a new field":         {"GET", "/api/v1/teams/0192f0c0a0b070008000000000000001", "", 200, "application/json", team + `,"colour":"red"}`, false},
		"a field is missing":  {"GET", "/api/v1/teams/0192f0c0a0b070008000000000000001", "", 200, "application/json", `{"id":""}`, false},
		"a wrong type":        {"POST", "/api/v1/teams", `{"name":1}`, 201, "application/json", team + "}", false},
		"a field not read":    {"POST", "/api/v1/teams", `{"title":"A"}`, 201, "application/json", team + "}", false},
		"a needed field":      {"POST", "/api/v1/teams", `{"description":"A"}`, 201, "application/json", team + "}", false},
		"another status":      {"POST", "/api/v1/teams", `{"name":"A"}`, 200, "application/json", team + "}", false},
		"another type":        {"GET", "/api/v1/teams/0192f0c0a0b070008000000000000001", "", 200, "text/html", team + "}", false},
		"a parameter":         {"GET", "/api/v1/teams?colour=red", "", 200, "application/json", `{"teams":[],"next":""}`, false},
		"no such operation":   {"GET", "/api/v1/cats", "", 200, "application/json", "{}", false},
		"not there":           {"GET", "/api/v1/cats", "", 404, "application/problem+json", "{}", true},
		"not a problem":       {"GET", "/api/v1/teams", "", 403, "application/problem+json", `{"error":"no"}`, false},
		"a body that is none": {"DELETE", "/api/v1/planned/0192f0c0a0b070008000000000000001", "", 204, "", "{}", false},
	} {
		u, err := url.Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		wrong := b.wrong(Exchange{c.method, u, http.Header{"Content-Type": {"application/json"}}, []byte(c.asked), c.status, http.Header{"Content-Type": {c.kind}}, []byte(c.answered)})
		if (len(wrong) == 0) != c.good {
			t.Errorf("%s: %v", name, wrong)
		}
	}
}
