package main

import (
	"os"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/conform"
)

// ownSchema has an attribute of every type, alone and several, with every mutability and
// way of being returned.
func ownSchema(resource string) string {
	var attrs []string
	for _, kind := range []string{"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference"} {
		index := `,"indexed":true`
		if kind == "boolean" || kind == "binary" {
			index = ""
		}
		attrs = append(attrs, `{"name":"one`+kind+`","type":"`+kind+`"`+index+`}`, `{"name":"many`+kind+`","type":"`+kind+`","multiValued":true`+index+`}`)
	}
	subs := `"subAttributes":[{"name":"value"},{"name":"type","canonicalValues":["a","b"]},{"name":"primary","type":"boolean"},{"name":"n","type":"integer","indexed":true},` +
		`{"name":"at","type":"dateTime"},{"name":"$ref","type":"reference","referenceTypes":["uri"]}]`
	attrs = append(attrs,
		`{"name":"pair","type":"complex",`+strings.Replace(subs, `{"name":"primary","type":"boolean"},`, "", 1)+`}`,
		`{"name":"pairs","type":"complex","multiValued":true,`+subs+`}`,
		`{"name":"exact","caseExact":true}`, `{"name":"badge","uniqueness":"server"}`, `{"name":"color","canonicalValues":["red","blue"]}`,
		`{"name":"fixed","mutability":"immutable"}`, `{"name":"shown","mutability":"readOnly"}`, `{"name":"pin","mutability":"writeOnly","returned":"never"}`,
		`{"name":"kept","returned":"always"}`, `{"name":"asked","returned":"request"}`)
	return `{"id":"urn:example:acme:2.0:` + resource + `","name":"Acme","attributes":[` + strings.Join(attrs, ",") + `]}`
}

// An organization's own attributes conform as the standard's do: the command makes its
// checks from /Schemas.
func TestOwnAttributesConform(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "ownconform", func(t *testing.T, env ...string) {
		p := newProgram(t, env...)
		s := p.serve()
		p.setenv("MUSTER_PUBLIC_URL", s.url)
		p.must("org", "create", "--slug", "acme", "--name", "Acme")
		for _, resource := range []string{"User", "Group"} {
			if err := os.WriteFile(p.dir+"/"+resource+".json", []byte(ownSchema(resource)), 0o600); err != nil {
				t.Fatal(err)
			}
			p.must("schema", "put", "--org", "acme", resource+".json")
		}
		for _, mode := range []string{"compat", "strict"} {
			own := 0
			for _, c := range p.conformTo(mode).Checks {
				if strings.Contains(c.ID, "acme") {
					own++
				}
				if _, refused := strictRefuses[c.ID]; refused && mode == "strict" {
					continue
				}
				if c.Result == conform.Failed || c.Result == conform.Skipped {
					t.Errorf("%s in %s mode: %s: %s\n%v", c.ID, mode, c.Result, c.Why, c.Exchanges)
				}
			}
			if own < 50 {
				t.Errorf("only %d checks in %s mode are about the organization's own attributes", own, mode)
			}
		}
	})
}
