package house

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"
	"unicode"

	"github.com/muster-id/muster/internal/web/texts"
)

// Every sentence for people is in every catalogue, and no catalogue has what nobody
// says. What is deliberately English is told in internal/web/texts.

// toPeople are the packages whose faults people read on pages. The others refuse
// machines.
var toPeople = []string{"store", "internal/account", "internal/checklist", "internal/console", "internal/extra", "internal/fault", "internal/invite", "internal/jobs", "internal/mail",
	"internal/password", "internal/policy", "internal/operate", "internal/factor", "internal/importer", "internal/life", "internal/records", "internal/review", "internal/session", "internal/web", "scim", "sso", "sso/oidc", "sso/saml"}

// english are templates that stay so, each for a reason.
var english = map[string]string{
	"internal/mail/templates/letter.html":  "its words come from the letter",
	"internal/mail/templates/mailbox.html": "for whoever tries the server out on its own machine",
	"internal/mail/templates/message.html": "the same",
}

// atStart are files whose faults are for whoever starts the server or sends JSON.
var atStart = []string{"store/store.go", "store/migrate.go", "store/migrations.go", "internal/mail/mail.go", "internal/mail/smtp.go", "internal/mail/mailbox.go", "internal/web/fault.go",
	"store/sqlite.go", "cmd/muster/health.go", "cmd/muster/metrics.go"}

// sentenceTables are variables whose strings are sentences, said where they are used.
var sentenceTables = []string{"internal/web.answers", "internal/web.wrongMethod",
	"internal/console.did", "internal/console.invitationStates", "cmd/muster.happened", "internal/console.sourceNames", "internal/console.methodNames", "internal/account.happened", "internal/account.areas", "internal/account.refusals",
	"internal/account.methods", "internal/account.sources", "internal/jobs.states", "internal/jobs.ends", "internal/review.decisions", "internal/review.sources", "internal/checklist.listNames", "internal/checklist.autoNames", "internal/checklist.whoNames", "internal/checklist.sourceNames",
	"internal/importer.words", "internal/invite.closed", "internal/password.strengthWords", "internal/password.tooEasy", "internal/password.ownWords", "internal/password.repeats",
	"internal/password.inARow", "internal/password.tooWell", "sso.keyStates", "sso.linkStates", "sso.requestStates", "sso.connectionStates", "sso.moveOutcomes", "sso.rekeyOutcomes", "sso.rekeyWords", "sso.accountsText", "sso.domainLabels", "sso.changed", "sso.vouched", "sso.signInMethods", "sso.remedies", "sso.vendorRemedies", "scim.remedies", "scim.theEnd", "store.indexedWays", "store.wayOutOfSeats", "store.builtInAbout", "internal/account.nameLabels", "scim.longerValue"}

// sayers are functions of a package whose first argument is a sentence, shown by t later.
var sayers = []string{"say", "Because", "choices", "core", "enterprise", "noNesting"}

// positional are small types of ours without names of fields where they are made, and
// which of their fields are sentences.
var positional = map[string][]int{"badge": {1}, "Rule": {0}, "class": {0, 1}, "Switch": {2, 3}, "Deviation": {2}, "reason": {1, 2, 3}, "Word": {1}, "chip": {0}}

// words are names that are the same in every language.
var words = regexp.MustCompile(`^(?:Muster|CSV|SCIM|SAML|OIDC|OAuth|OpenID Connect|Okta|Entra ID|Microsoft Entra ID|Google Workspace|OneLogin|JumpCloud|Keycloak|Ping Identity \(PingOne, PingFederate\)|Rippling|SailPoint|authentik|ID|URL|API|IP)$`)

// key is a sentence in the code.
type key struct {
	at    string
	other string // for a sentence about a number: the English one about one
	html  bool
}

type collector struct {
	t    *testing.T
	keys map[string]key
}

func (c *collector) add(s string, k key) {
	if !letters(s) || words.MatchString(s) || statement.MatchString(s) || strings.HasPrefix(s, "/") {
		return // a query of Tx.Select, an address in a table
	}
	if old, ok := c.keys[s]; ok && (old.other == "") != (k.other == "") {
		c.t.Errorf("%s: %q is a sentence about a number, and at %s it is not", k.at, s, old.at)
	}
	if old, ok := c.keys[s]; !ok || old.at > k.at {
		c.keys[s] = k
	}
}

func letters(s string) bool {
	return strings.ContainsFunc(verb.ReplaceAllString(s, ""), unicode.IsLetter)
}

var verb = regexp.MustCompile(`%%|%(\[\d+\])?[-+# 0]*\d*(?:\.\d+)?(\[\d+\])?([a-zA-Z])`)

// verbs are what a sentence wants to be filled in with: the verbs by the number of
// their argument.
func verbs(s string) map[int]string {
	found := map[int]string{}
	at := 0
	for _, m := range verb.FindAllStringSubmatch(s, -1) {
		if m[0] == "%%" {
			continue
		}
		at++
		if n := strings.Trim(m[1]+m[2], "[]"); n != "" {
			at, _ = strconv.Atoi(n)
		}
		v := m[3]
		if v == "v" {
			v = "s"
		}
		found[at] = v
	}
	return found
}

// pageTemplates are the pages, by their name from the root.
func pageTemplates(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, under := range []string{"internal", "sso", "scim"} {
		err := filepath.WalkDir(filepath.Join(root, under), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".html") || filepath.Base(filepath.Dir(name)) != "templates" {
				return err
			}
			text, err := os.ReadFile(name)
			rel, _ := filepath.Rel(root, name)
			found[filepath.ToSlash(rel)] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 40 {
		t.Fatalf("%d templates found", len(found))
	}
	return found
}

// template collects what a template says.
func (c *collector) template(name, text string) {
	trees := map[string]*parse.Tree{}
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(text, "{{", "}}", trees); err != nil {
		c.t.Errorf("%s: %v", name, err)
		return
	}
	for _, tr := range trees {
		c.walk(name, tr, tr.Root)
	}
}

func (c *collector) walk(name string, tree *parse.Tree, n parse.Node) {
	pipe := func(p *parse.PipeNode) {
		if p != nil {
			for _, cmd := range p.Cmds {
				c.walk(name, tree, cmd)
			}
		}
	}
	branch := func(b *parse.BranchNode) {
		pipe(b.Pipe)
		c.walk(name, tree, b.List)
		if b.ElseList != nil {
			c.walk(name, tree, b.ElseList)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, x := range n.Nodes {
			c.walk(name, tree, x)
		}
	case *parse.ActionNode:
		pipe(n.Pipe)
	case *parse.TemplateNode:
		pipe(n.Pipe)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.PipeNode:
		pipe(n)
	case *parse.CommandNode:
		c.call(name, tree, n)
		for _, arg := range n.Args {
			c.walk(name, tree, arg)
		}
	}
}

// call collects the sentences in a call of t, n, h and of what makes fields of a form.
func (c *collector) call(name string, tree *parse.Tree, n *parse.CommandNode) {
	at, _ := tree.ErrorContext(n)
	text := func(i int) string {
		if i < len(n.Args) {
			if s, ok := n.Args[i].(*parse.StringNode); ok {
				return s.Text
			}
		}
		return ""
	}
	fn := ""
	switch f := n.Args[0].(type) {
	case *parse.IdentifierNode:
		fn = f.Ident
	case *parse.FieldNode:
		fn = f.Ident[len(f.Ident)-1]
	case *parse.VariableNode:
		fn = f.Ident[len(f.Ident)-1]
	}
	switch fn {
	case "t":
		c.add(text(1), key{at: at})
	case "h":
		if text(1) == "" && len(n.Args) > 1 {
			c.t.Errorf("%s: the sentence of h stands in the template itself: it is markup", at)
		}
		c.add(text(1), key{at: at, html: true})
	case "n":
		if text(2) == "" || text(3) == "" {
			c.t.Errorf("%s: n wants a number and two sentences", at)
		}
		c.add(text(3), key{at: at, other: text(2)})
	case "Input", "Select", "Checks":
		c.add(text(2), key{at: at})
		for i := 3; i < len(n.Args); i++ {
			c.attribute(text(i), at)
		}
	}
}

// attribute is one of web.Form.Input that people read.
func (c *collector) attribute(s, at string) {
	if k, v, ok := strings.Cut(s, "="); ok && (k == "help" || k == "placeholder") {
		c.add(v, key{at: at})
	}
}

// code collects what a file of Go says.
func (c *collector) code(set *token.FileSet, f source, consts map[string]ast.Expr) {
	w := walker{set: set, consts: consts, locals: map[string][]string{}}
	text := func(e ast.Expr) string {
		if s := w.eval(e, 0); len(s) == 1 && !strings.Contains(s[0], "…") {
			return s[0]
		}
		return ""
	}
	people := slices.Contains(toPeople, f.pkg) || f.pkg == "cmd/muster"
	c.hints(set, f, text)
	c.kept(set, f, text)
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			c.goCall(set.Position(n.Pos()).String(), f.pkg, n, text)
		case *ast.CompositeLit:
			if people && !slices.Contains(atStart, f.name) {
				c.fields(set, n, text)
			}
		case *ast.AssignStmt: // a.Wrong = "..."
			if sel, ok := n.Lhs[0].(*ast.SelectorExpr); ok && sel.Sel.Name == "Wrong" && people {
				c.add(text(n.Rhs[0]), key{at: set.Position(n.Pos()).String()})
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) && slices.Contains(sentenceTables, f.pkg+"."+name.Name) {
					c.table(set, n.Values[i], text)
				}
			}
		}
		return true
	})
}

// ofFault tells whether e is something of package fault.
func ofFault(e ast.Expr) bool {
	kind, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := kind.X.(*ast.Ident)
	return ok && id.Name == "fault"
}

// goCall collects the sentences in calls of web.T, Reader.T, faults and forms.
func (c *collector) goCall(at, pkg string, n *ast.CallExpr, text func(ast.Expr) string) {
	arg := func(i int) string {
		if i < len(n.Args) {
			return text(n.Args[i])
		}
		return ""
	}
	if f, ok := n.Fun.(*ast.Ident); ok && slices.Contains(sayers, f.Name) {
		c.add(arg(0), key{at: at})
	}
	name := strings.TrimPrefix(filepath.ToSlash(strings.Split(at, ".go:")[0]+".go"), root+"/")
	people := slices.Contains(toPeople, pkg) && !slices.Contains(atStart, name)
	if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "refuse" || f.Name == "bad" && pkg != "internal/invite") && people {
		c.add(arg(map[string]int{"internal/policy refuse": 2, "scim refuse": 1}[pkg+" "+f.Name]), key{at: at}) // wrapped faults
	}
	if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "aboutAccount" {
		c.add(arg(2), key{at: at})
	}
	for i := range n.Args { // what a helper hands on to Input
		if help, ok := strings.CutPrefix(arg(i), "help="); ok && !strings.Contains(help, "%s") {
			c.add(help, key{at: at})
		}
	}
	sel, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	of := ""
	if id, ok := sel.X.(*ast.Ident); ok {
		of = id.Name
	}
	first := map[string]int{"web": 1}[of] // the request
	switch sel.Sel.Name {
	case "Because", "column", "Languages", "Zones":
		c.add(arg(0), key{at: at})
	case "T":
		c.add(arg(first), key{at: at})
	case "N":
		if other := arg(first + 2); other != "" {
			c.add(other, key{at: at, other: arg(first + 1)})
		}
	case "SayN":
		if other := arg(2); of == "web" && other != "" {
			c.add(other, key{at: at, other: arg(1)})
		}
	case "Flash":
		c.add(arg(1), key{at: at})
	case "Say", "On", "Wrap", "WrapOn":
		if of == "web" || of == "texts" {
			c.add(arg(0), key{at: at})
			return
		}
		if !people || pkg != "internal/fault" && !ofFault(sel.X) {
			return
		}
		c.add(arg(map[string]int{"Say": 0, "On": 1, "Wrap": 1, "WrapOn": 2}[sel.Sel.Name]), key{at: at})
	case "Know":
		for i := range n.Args {
			c.add(arg(i), key{at: at})
		}
	case "Word":
		if of == "fault" {
			c.add(arg(0), key{at: at})
		}
	case "Count":
		if of == "fault" {
			c.add(arg(2), key{at: at, other: arg(1)})
		}
	case "Fail":
		if len(n.Args) == 2 {
			c.add(arg(1), key{at: at})
		}
	case "Input", "Select", "Checks":
		c.add(arg(1), key{at: at})
		for i := 2; i < len(n.Args); i++ {
			c.attribute(arg(i), at)
		}
	}
}

// fields collects labels of choices and of the navigation, and what positional says.
func (c *collector) fields(set *token.FileSet, n *ast.CompositeLit, text func(ast.Expr) string) {
	typ, _ := n.Type.(*ast.Ident)
	list, _ := n.Type.(*ast.ArrayType)
	for i, e := range n.Elts {
		if one, ok := e.(*ast.CompositeLit); ok && list != nil && one.Type == nil { // in a list the type is left out
			c.fields(set, &ast.CompositeLit{Type: list.Elt, Elts: slices.DeleteFunc(slices.Clone(one.Elts), func(e ast.Expr) bool { _, named := e.(*ast.KeyValueExpr); return named })}, text)
			continue
		}
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			if typ != nil && slices.Contains(positional[typ.Name], i) {
				c.add(text(e), key{at: set.Position(e.Pos()).String()})
			}
			continue
		}
		if id, ok := kv.Key.(*ast.Ident); ok && (id.Name == "Label" || id.Name == "Help" || id.Name == "About" || id.Name == "Group" || id.Name == "Public") {
			c.add(text(kv.Value), key{at: set.Position(kv.Pos()).String()})
		}
	}
}

// table collects each string in a value.
func (c *collector) table(set *token.FileSet, e ast.Expr, text func(ast.Expr) string) {
	ast.Inspect(e, func(n ast.Node) bool {
		if kv, ok := n.(*ast.KeyValueExpr); ok { // the keys are names
			c.table(set, kv.Value, text)
			return false
		}
		if e, ok := n.(ast.Expr); ok && text(e) != "" { // put together of constants, too
			c.add(text(e), key{at: set.Position(e.Pos()).String()})
			return false
		}
		return true
	})
}

// sentences are all that we say to people.
func sentences(t *testing.T) map[string]key {
	t.Helper()
	c := collector{t: t, keys: map[string]key{}}
	for name, text := range pageTemplates(t) {
		c.template(name, text)
	}
	set, files := sources(t, 0)
	consts := map[string]map[string]ast.Expr{}
	for _, f := range files {
		if consts[f.pkg] == nil {
			consts[f.pkg] = map[string]ast.Expr{}
		}
		w := walker{set: set, consts: consts[f.pkg]}
		w.collect(f.file)
	}
	for _, f := range files {
		if !f.test && !testKit(f.pkg) {
			c.code(set, f, consts[f.pkg])
		}
	}
	return c.keys
}

func TestEverySentenceIsInEveryCatalogue(t *testing.T) {
	t.Parallel()
	keys := sentences(t)
	for _, l := range texts.All()[1:] {
		for _, english := range slices.Sorted(maps.Keys(keys)) {
			if _, ok := l.Entries()[english]; !ok {
				t.Errorf("%s: %q is missing\n\tsaid at %s", l.Code, english, keys[english].at)
			}
		}
	}
}

func TestTemplatesSayNothingByThemselves(t *testing.T) {
	t.Parallel()
	for name, text := range pageTemplates(t) {
		if english[name] != "" {
			continue
		}
		for _, s := range bare(text) {
			t.Errorf("%s: %q stands outside t, so it is English for everybody", name, s)
		}
	}
}

func TestCataloguesFitTheSentences(t *testing.T) {
	t.Parallel()
	keys := sentences(t)
	for _, l := range texts.All()[1:] {
		for english, e := range l.Entries() {
			k, used := keys[english]
			if !used && !inherent(english) {
				t.Errorf("%s: nobody says %q any more", l.Code, english)
				continue
			}
			said := []string{e.One}
			if k.other != "" {
				said = slices.Collect(maps.Values(e.Forms))
			}
			for _, s := range said {
				if wrong := misfit(english, k, s); wrong != "" {
					t.Errorf("%s: %q\n\tis said as %q:\n\t%s", l.Code, english, s, wrong)
				}
			}
		}
	}
}

// misfit tells why s cannot stand for the English sentence.
func misfit(english string, k key, s string) string {
	want, got := verbs(english), verbs(s)
	switch {
	case s == "":
		return "nothing; or the one is about a number and the other is not"
	case k.other != "":
		delete(want, 1) // a form may leave the number out
		if _, first := got[1]; first && len(got) == len(want)+1 {
			delete(got, 1)
		} else if !strings.Contains(s, "%[") { // then its arguments begin with the second
			moved := map[int]string{}
			for i, v := range got {
				moved[i+1] = v
			}
			got = moved
		}
	}
	switch {
	case !maps.Equal(want, got):
		return fmt.Sprintf("its verbs are %v, want %v", got, want)
	case !k.html && strings.ContainsAny(s, "<>") && !strings.ContainsAny(english, "<>"):
		return "it has markup, which would be shown"
	case k.html && !slices.Equal(tags(english), tags(s)):
		return fmt.Sprintf("its markup is %v, want %v", tags(s), tags(english))
	}
	return ""
}

var tag = regexp.MustCompile(`<[^>]*>`)

func tags(s string) []string { return slices.Sorted(slices.Values(tag.FindAllString(s, -1))) }

// inherent are the sentences of package texts itself: how dates look.
func inherent(s string) bool {
	return s == "never" || strings.Contains(s, "2006") || slices.Contains(strings.Fields(`January February March April May June July August September October November December
		Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec Monday Tuesday Wednesday Thursday Friday Saturday Sunday`), s)
}

// Of two entries for one sentence JSON keeps the last in silence.
func TestCataloguesHaveEachSentenceOnce(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "internal/web/texts/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no catalogues", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		d := json.NewDecoder(bytes.NewReader(text))
		depth, isKey := 0, false
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch v := tok.(type) {
			case json.Delim:
				if v == '{' {
					depth++
				} else {
					depth--
				}
				isKey = depth == 1
			case string:
				if depth == 1 {
					if isKey && seen[v] {
						t.Errorf("%s has %q twice", filepath.Base(name), v)
					}
					seen[v] = seen[v] || isKey
					isKey = !isKey
				}
			}
		}
	}
}
