package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/muster-id/muster/"
)

// may is who may import what of ours, downwards only. A package that is not here
// has no place yet: give it one, and draw it in CONTRIBUTING.md.
var may = map[string][]string{
	"config":               {},
	"scim":                 {"store", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"sso":                  {"sso/saml", "sso/oidc", "sso/answer", "sso/guides", "store", "internal/session", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"sso/saml":             {"sso/answer", "internal/fault"},
	"sso/oidc":             {"sso/answer", "internal/fault"},
	"sso/answer":           {},
	"sso/guides":           {},
	"internal/life":        {"store", "internal/web", "internal/access", "internal/fault"},
	"internal/records":     {"store", "internal/access", "internal/fault"},
	"internal/api":         {"store", "internal/life", "internal/records", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"internal/invite":      {"store", "internal/extra", "internal/pick", "internal/records", "internal/jobs", "internal/session", "internal/password", "internal/factor", "internal/mail", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"internal/importer":    {"store", "internal/extra", "internal/jobs", "internal/mail", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"internal/account":     {"store", "internal/extra", "internal/records", "internal/session", "internal/password", "internal/factor", "internal/mail", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"internal/console":     {"store", "internal/checklist", "internal/extra", "internal/jobs", "internal/life", "internal/pick", "internal/records", "internal/session", "internal/web", "internal/access", "internal/fault"},
	"internal/openapi":     {"internal/web", "internal/fault"},
	"internal/operate":     {"store", "internal/session", "internal/mail", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"internal/policy":      {"store", "internal/session", "internal/password", "internal/factor", "internal/mail", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"internal/extra":       {"store", "internal/web", "internal/fault"},
	"internal/pick":        {"store", "internal/web", "internal/access"},
	"internal/jobs":        {"store", "internal/web", "internal/access", "internal/fault"},
	"internal/checklist":   {"store", "internal/web", "internal/access", "internal/fault"},
	"internal/review":      {"store", "internal/pick", "internal/web", "internal/access", "internal/fault"},
	"internal/session":     {"store", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"internal/password":    {"store", "internal/access", "internal/fault", "internal/secret"},
	"internal/factor":      {"store", "internal/web/texts", "internal/access", "internal/fault", "internal/secret"},
	"internal/mail":        {"store", "internal/web", "internal/access", "internal/fault", "internal/secret"},
	"store":                {"internal/access", "internal/fault", "internal/secret"},
	"internal/web":         {"internal/web/texts", "internal/access", "internal/fault"},
	"internal/web/texts":   {"internal/access", "internal/fault"},
	"internal/access":      {"internal/fault"},
	"internal/secret":      {"internal/fault"},
	"internal/fault":       {},
	"internal/heap":        {},
	"internal/house":       {},
	"internal/benchreport": {}, // it reads what the benchmarks print
	"internal/scimmodel":   {}, // its rules come from the standard, not from our code
	"internal/conform":     {}, // its expectations come from the standard, not from our code
}

// only says which packages know an outside module, so that it can be replaced
// without the others noticing.
var only = map[string][]string{
	"github.com/jmoiron/sqlx":                    {"store"},
	"github.com/lib/pq":                          {"store"},
	"modernc.org/sqlite":                         {"store"},
	"github.com/pressly/goose/v3":                {"store"},
	"github.com/elimity-com/scim":                {"scim"},
	"github.com/scim2/filter-parser/v2":          {"scim"},
	"github.com/crewjam/saml":                    {"sso/saml"},
	"github.com/russellhaering/goxmldsig":        {"sso/saml"},
	"github.com/beevik/etree":                    {"sso/saml"},
	"github.com/coreos/go-oidc/v3":               {"sso/oidc"},
	"golang.org/x/oauth2":                        {"sso/oidc"},
	"github.com/pkg/sftp":                        {"internal/importer"},
	"golang.org/x/crypto/ssh":                    {"internal/importer"},
	"github.com/wneessen/go-mail":                {"internal/mail"},
	"golang.org/x/image/webp":                    {"internal/account"},
	"github.com/alexedwards/argon2id":            {"internal/password"},
	"github.com/trustelem/zxcvbn":                {"internal/password"},
	"github.com/go-webauthn/webauthn":            {"internal/factor"},
	"github.com/pquerna/otp":                     {"internal/factor"},
	"github.com/descope/virtualwebauthn":         {},
	"github.com/alecthomas/kong":                 {"cmd/muster"},
	"go.yaml.in/yaml/v3":                         {"cmd/muster"},
	"github.com/prometheus/client_golang":        {"cmd/muster"},
	"github.com/chromedp/chromedp":               {},
	"github.com/emersion/go-smtp":                {},
	"database/sql":                               {"store"},
	"log":                                        {},
	"os/exec":                                    {"internal/benchreport"}, // it runs go test
	"math/rand":                                  {},
	"github.com/go-jose/go-jose/v4":              {"sso/oidc", "scim"}, // identity providers' tokens; assertions of OAuth clients (RFC 7523)
	"github.com/go-jose/go-jose/v4/jwt":          {},
	"github.com/coreos/go-oidc/v3/oidc/oidctest": {},
}

// source is one Go file of ours.
type source struct {
	name string // from the repository's root
	pkg  string // folder, "scim"
	test bool
	file *ast.File
}

// testKit tells packages that only tests import; they may use anything.
func testKit(pkg string) bool {
	return strings.HasSuffix(path.Base(pkg), "test") || strings.Contains(pkg, "test/")
}

func sources(t *testing.T, mode parser.Mode) (*token.FileSet, []source) {
	t.Helper()
	set := token.NewFileSet()
	var all []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && (strings.HasPrefix(base, ".") && base != ".." || base == "node_modules" || base == "testdata" || base == "muster-data") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(set, name, nil, mode)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		all = append(all, source{name: filepath.ToSlash(rel), pkg: path.Dir(filepath.ToSlash(rel)), test: strings.HasSuffix(name, "_test.go"), file: f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d Go files found under %s", len(all), root)
	}
	return set, all
}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	_, files := sources(t, parser.ImportsOnly)
	for _, f := range files {
		if f.test || testKit(f.pkg) {
			continue
		}
		allowed, known := may[f.pkg]
		if !known && f.pkg != "cmd/muster" {
			t.Errorf("%s: package %s has no place in the house; say in imports_test.go what it may import", f.name, f.pkg)
			continue
		}
		for _, spec := range f.file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			ours, inside := strings.CutPrefix(p, module)
			switch {
			case inside && testKit(ours):
				t.Errorf("%s imports the test kit %s", f.name, ours)
			case inside && known && !slices.Contains(allowed, ours):
				t.Errorf("%s imports %s, which %s may not: move the thing down, or hand it in from cmd/muster", f.name, ours, f.pkg)
			case f.pkg == "config" && strings.Contains(p, "."):
				t.Errorf("%s imports %s; config has the standard library only", f.name, p)
			}
		}
	}
}

func TestOutsideModulesStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	_, files := sources(t, parser.ImportsOnly)
	for _, f := range files {
		if f.test || testKit(f.pkg) {
			continue
		}
		for _, spec := range f.file.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			for outside, homes := range only {
				std := !strings.Contains(outside, ".")
				if (p == outside || !std && strings.HasPrefix(p, outside+"/")) && !slices.Contains(homes, f.pkg) {
					t.Errorf("%s imports %s, which belongs in %v alone", f.name, p, homes)
				}
			}
		}
	}
}

// Every package says what it is for.
func TestPackagesAreExplained(t *testing.T) {
	t.Parallel()
	_, files := sources(t, parser.ParseComments|parser.PackageClauseOnly)
	explained := map[string]bool{}
	for _, f := range files {
		if !f.test {
			explained[f.pkg] = explained[f.pkg] || f.file.Doc.Text() != ""
		}
	}
	for pkg, ok := range explained {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}
