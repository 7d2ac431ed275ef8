package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// migrationOwner is the package that names the tables of a migration file, by
// the file's number.
func migrationOwner(number int) string {
	if number < 10 {
		return "store"
	}
	return map[int]string{51: "store", 52: "internal/life", 77: "internal/life", 91: "internal/life", 53: "internal/records", 66: "internal/records",
		10: "scim", 11: "sso", 12: "internal/session", 13: "internal/password", 14: "internal/mail",
		15: "internal/invite", 16: "internal/account", 17: "scim", 18: "scim", 19: "internal/api", 20: "scim", 21: "store", 23: "store", 24: "store", 26: "store", 28: "scim",
		29: "sso", 30: "sso", 31: "sso", 32: "sso", 33: "store", 34: "sso", 35: "sso", 36: "internal/policy", 37: "internal/policy", 38: "sso", 39: "sso", 40: "store", 41: "scim", 42: "sso", 47: "internal/policy", 48: "internal/factor",
		43: "store", 64: "store", 65: "store", 70: "store", 71: "internal/operate", 90: "internal/operate", 88: "internal/operate",
		44: "store", 54: "store", 55: "store", 45: "internal/invite", 75: "internal/invite", 76: "internal/invite",
		49: "internal/password", 79: "internal/factor",
		50: "internal/account",
		56: "internal/jobs", 80: "internal/jobs", 97: "internal/jobs",
		57: "store", 67: "store", 72: "store", 81: "store", 92: "store", 93: "store", 94: "store", 96: "store", 98: "store", 82: "scim", 85: "store", 46: "sso", 86: "internal/invite", 87: "sso",
		58: "internal/importer",
		59: "internal/importer", 73: "internal/importer", 74: "internal/importer", 83: "internal/importer", 95: "internal/importer", 84: "store",
		78: "internal/review", 68: "internal/review", 69: "internal/checklist"}[number]
}

// reads are tables that another package's SELECT may name beside the owner's
// own, each for a reason. Nobody else may ever write them.
var reads = map[string]string{
	"scim directories":               "how the directories of many organizations do is one query, for operators",
	"internal/session orgs":          "nobody of a suspended organization has a session, asked in the same query",
	"internal/api orgs":              "the same of its keys",
	"sso sessions":                   "what a session was opened with lives as long as the session, whoever ended it: joined, so that no door has to tell",
	"sso users":                      "the same: a session is live only while its user is active",
	"internal/session users":         "a session is live only while its user is active: joined, so that no door has to tell",
	"internal/session user_roles":    "who asks and with which roles is one query on every request",
	"internal/session policies":      "how long a session lives is the policy's word, in the same query; a change acts on running sessions",
	"internal/session preferences":   "in which language and time zone somebody reads is known with who asks, in the same query",
	"internal/session org_settings":  "the same: what the organization chose for those who chose nothing",
	"internal/account users":         "where to write to somebody who signs in, who may look at nobody; and a link to set a password is dead once access was ended",
	"store operators":                "who runs the server is not an admin's to change, asked once in a transaction",
	"internal/policy users":          "whom a rule means is asked in the statement that locks the policy",
	"internal/policy operators":      "an operator's account is not an admin's to deal with, asked with the account",
	"internal/policy user_roles":     "whether a break-glass account is an admin's, with the account",
	"internal/password users":        "whose password an address may be, active people only, in one query before anybody is known",
	"internal/invite users":          "whether the person of an invitation still waits for it is asked with it, so that no door has to tell",
	"internal/records users":         "who is linked to a record, and whether they are there, with the record",
	"internal/password orgs":         "whom the person may choose among, in the same query",
	"internal/session org_roles":     "what these roles allow, in the same query; a change acts on running sessions",
	"internal/api org_roles":         "what a key's role allows, in the query that finds the key",
	"internal/checklist activity":    "who came and who went is read from there, behind the change, so that no change waits",
	"internal/checklist users":       "who a task is about, and what ticks itself off, are asked with the tasks",
	"internal/life activity":         "the same, of who has access again",
	"internal/life users":            "whose plans are over is asked with the plans, so that no door has to tell",
	"internal/review users":          "what people have is written down in one statement, and whether it is still there asked in one",
	"internal/review user_roles":     "the same",
	"internal/review members":        "the same",
	"internal/review member_reasons": "the same, with the reasons",
	"internal/review groups":         "the same, with the names of teams",
	"internal/review deeds":          "the same, with when somebody last did something",
	"internal/factor users":          "whom a change is mailed to, and who has no second factor yet, are asked with the factors",
	"internal/factor user_roles":     "admins who have no second factor yet, in the same query",
}

// unscoped are the functions whose statements may do without an organization,
// because none is known yet (a token, a session, a mail domain leads to it) or
// because expiry is the same for all. Each goes through db.Lookup, LookupRow, LookupAll or Sweep.
var unscoped = map[string]string{
	"store.DB.OrgSizes":                  "what an operator sees of many organizations, by their ids",
	"store.DB.DeedsAnywhere":             "what operators did, wherever it was",
	"store.DB.DirectoryByID":             "the directory's id stands in the URL, its token then proves the right to it",
	"store.DB.Overdue":                   "that the time for undoing is over is the same for all; each person is then removed in the own organization",
	"internal/life.Service.EndOver":      "whose access has changed and who has plans; each is then ended in its organization",
	"internal/life.Service.RunDue":       "whatever is due; each change is then made in its organization",
	"internal/records.Sweep":             "age is the same for all",
	"store.DB.FindSignIn":                "an operator knows the reference alone",
	"store.DB.SweepSignIns":              "age is the same for all",
	"store.DB.TendSchemas":               "the loop looks after all organizations; each is then handled by itself",
	"store.DB.TendValues":                "the same",
	"internal/api.Door.Authenticate":     "the key is all that a program sends",
	"scim.handler.client":                "a token request starts from its client's id",
	"scim.handler.token":                 "the token is all that a directory sends",
	"scim.Log.Sweep":                     "age is the same for all",
	"sso.Door.connectionByID":            "the connection's id stands in the URL",
	"sso.Door.Discover":                  "the mail domain says which organization it is",
	"sso.Door.Remembered":                "the browser says which connection it was",
	"sso.Door.RecheckDomains":            "whatever is due; each domain is then asked for in its organization",
	"sso.OrgFacts":                       "what an operator sees of many organizations, by their ids",
	"scim.Log.OrgStates":                 "the same",
	"internal/policy.EnforcedIn":         "the same",
	"sso.EndingCertificates":             "what the operator must know of all organizations; each is then looked at by itself",
	"internal/api.Door.AllKeys":          "what an operator sees of all organizations",
	"internal/mail.Outbox.Load":          "the same of the queue",
	"internal/mail.Outbox.Entries":       "the same of the queue",
	"internal/mail.Outbox.change":        "an operator names a message alone; it is then changed in its organization",
	"internal/session.Store.Everyone":    "who runs the server, of whichever organization",
	"store.DB.PeopleAnywhere":            "an operator looks for an address wherever it is",
	"sso.sealedSecrets":                  "the server key seals for all organizations; each value is then sealed anew in its own",
	"sso.sealedKeys":                     "the same",
	"sso.sealedClientKeys":               "the same",
	"sso.sealedTokens":                   "the same",
	"sso.sealedReports":                  "the same",
	"internal/factor.sealedSeeds":        "the same",
	"internal/importer.sealedFeeds":      "the same",
	"sso.ServersKeys":                    "a number and times of the keys of all organizations",
	"sso.LostDomains":                    "what the operator must know of all organizations",
	"sso.Door.TellRequests":              "which organizations have requests that nobody was told of; each is then handled by itself",
	"sso.Door.Sweep":                     "expiry is the same for all",
	"sso.Door.Tend":                      "the loop looks after all organizations; each connection is then handled by itself",
	"sso.Door.sweepRefs":                 "that a session is over is the same for all",
	"internal/session.Store.Operators":   "whether the server has an operator at all: a number, nobody's data",
	"internal/session.Store.Sweep":       "expiry is the same for all",
	"internal/password.Store.Known":      "an address is all that a forgetful person types; the answer goes to the mailbox alone",
	"internal/password.Store.candidates": "an address is all that somebody types who signs in; the password then says who it is",
	"internal/jobs.Service.allOpen":      "the workers serve every organization; each job is then worked off in its own",
	"internal/jobs.Service.old":          "age is the same for all; each job is then removed in its organization",
	"internal/session.Store.OperatorOf":  "an operator works in organizations that are not the own one",
	"internal/policy.Door.Sweep":         "expiry is the same for all",
	"internal/account.Account.Sweep":     "expiry is the same for all",
	"internal/checklist.Service.Tend":    "the loop asks which organizations have a list; each is then handled by itself",
	"internal/checklist.Service.Remind":  "the same, which have tasks that are late",
	"internal/review.Service.Remind":     "one loop reminds for everybody; each review is then handled in its organization",
	"internal/review.Service.Prepare":    "the same, which are to be written down",
	"internal/review.Service.Repeat":     "the same, which are to be repeated",
	"internal/invite.Door.Remind":        "one loop reminds for everybody; each invitation is then handled in its organization",
	"internal/invite.Door.Sweep":         "age is the same for all",
	"internal/factor.Store.Sweep":        "expiry is the same for all",
	"internal/importer.Door.dueFeeds":    "whatever is due; each feed is then looked at in its organization",
	"internal/importer.Door.unread":      "files that wait to be read; each is then read in its organization, with its reader's rights",
	"internal/importer.Door.old":         "age is the same for all; each import is then removed in its organization",
	"internal/importer.Door.untold":      "the same, whose report is due",
	"internal/mail.Outbox.Sweep":         "expiry is the same for all",
	"internal/mail.Outbox.due":           "one outbox sends for everybody; each message is then handled in its organization",
	"internal/mail.Outbox.CameBack":      "a mail server knows the message's id alone; it is then handled in its organization",
	"internal/mail.Outbox.kept":          "the mailbox of a server on loopback, for whoever tries it out there",
	"internal/mail.Outbox.keptOne":       "the same, one message",
}

// table is one of ours, as the migrations make it.
type table struct {
	owner  string
	tenant bool // has org_id
}

var (
	createTable = regexp.MustCompile(`(?s)CREATE TABLE (?:IF NOT EXISTS )?([a-z_]+) \((.*?)\n\)`)
	primaryKey  = regexp.MustCompile(`PRIMARY KEY \(([a-z_]+)`)
	statement   = regexp.MustCompile(`^\s*(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s`)
	tableNames  = regexp.MustCompile(`\b((?:DELETE )?FROM|JOIN|INTO|UPDATE|TABLE)\s+([a-z_]+)\b`)
	withNames   = regexp.MustCompile(`\b([a-z_]+)(?:\s*\([a-z_, ]*\))?\s+AS\s+(?:NOT )?(?:MATERIALIZED\s*)?\(`)
	scoped      = regexp.MustCompile(`\borg_id = (?:\?|\{\{)`)
	scopedPut   = regexp.MustCompile(`(?s)INSERT INTO [a-z_]+ \([^)]*\borg_id\b`)
)

func tables(t *testing.T) map[string]table {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "store/migrations/*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	all := map[string]table{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		digits, _, _ := strings.Cut(filepath.Base(name), "_")
		number, err := strconv.Atoi(digits)
		owner := migrationOwner(number)
		if err != nil || owner == "" {
			t.Errorf("%s belongs to no package; say in sql_test.go to which", name)
		}
		for _, m := range createTable.FindAllStringSubmatch(string(text), -1) {
			tenant := strings.Contains(m[2], "\n  org_id ")
			if key := primaryKey.FindStringSubmatch(m[2]); tenant && (key == nil || key[1] != "org_id") {
				t.Errorf("%s: table %s has org_id, but its primary key does not start with it", filepath.Base(name), m[1])
			}
			all[m[1]] = table{owner: owner, tenant: tenant}
		}
	}
	return all
}

// sqlText is one statement in the source, its constants put together.
type sqlText struct {
	at, pkg, fn, call string // call: the method that it is handed to
	text              string
}

func TestTablesAreNamedByTheirOwnerAndScoped(t *testing.T) {
	t.Parallel()
	known := tables(t)
	used, read := map[string]bool{}, map[string]bool{}
	n := 0
	for _, s := range statements(t) {
		own := map[string]bool{} // names made by WITH
		for _, m := range withNames.FindAllStringSubmatch(s.text, -1) {
			own[m[1]] = true
		}
		tenant := false
		for _, m := range tableNames.FindAllStringSubmatchIndex(s.text, -1) {
			verb, name := s.text[m[2]:m[3]], s.text[m[4]:m[5]]
			tb, ours := known[name]
			if !ours || own[name] || strings.HasPrefix(s.text[m[5]:], "(") {
				continue
			}
			n++
			if _, ok := reads[s.pkg+" "+name]; ok && (verb == "FROM" || verb == "JOIN") {
				read[s.pkg+" "+name] = true
			} else if tb.owner != s.pkg {
				t.Errorf("%s: %s names the table %s, which is %s's:\n\t%s", s.at, s.pkg, name, tb.owner, s.text)
			}
			tenant = tenant || tb.tenant
		}
		if !tenant || scoped.MatchString(s.text) || scopedPut.MatchString(s.text) {
			continue
		}
		where := s.pkg + "." + s.fn
		if _, listed := unscoped[where]; listed && slices.Contains([]string{"Lookup", "LookupRow", "LookupAll", "Sweep"}, s.call) {
			used[where] = true
			continue
		}
		t.Errorf("%s: %s (through %q) has no org_id = ? and is not a listed look-up:\n\t%s", s.at, where, s.call, s.text)
	}
	t.Logf("%d uses of tables looked at", n)
	if n < 100 {
		t.Errorf("only %d uses of tables found: the test does not see the statements", n)
	}
	for who := range reads {
		if !read[who] {
			t.Errorf("reads lists %q, which no statement needs any more", who)
		}
	}
	for where := range unscoped {
		if !used[where] {
			t.Errorf("unscoped lists %s, which has no such statement any more", where)
		}
	}
}

// The indexes of users hold those with deleted_at = 0; a query that says it by the
// status finds none of them.
func TestPeopleWhoAreThereAreFoundByIndexes(t *testing.T) {
	t.Parallel()
	for _, s := range statements(t) {
		if strings.Contains(s.text, "status <> 'deleted'") {
			t.Errorf("%s: say deleted_at = 0, else no index is used:\n\t%s", s.at, s.text)
		}
	}
}

// statements finds every SQL text in code that is not a test.
func statements(t *testing.T) []sqlText {
	set, files := sources(t, 0)
	byPkg := map[string][]source{}
	for _, f := range files {
		if !f.test && !testKit(f.pkg) {
			byPkg[f.pkg] = append(byPkg[f.pkg], f)
		}
	}
	var all []sqlText
	for _, pkg := range slices.Sorted(maps.Keys(byPkg)) {
		w := walker{set: set, pkg: pkg, consts: map[string]ast.Expr{}}
		for _, f := range byPkg[pkg] {
			w.collect(f.file)
		}
		for _, f := range byPkg[pkg] {
			w.file(f.file)
		}
		all = append(all, w.found...)
	}
	return all
}

// walker puts the SQL of one package together as the program would: constants,
// what is added to a variable on the way, the parts in a struct.
type walker struct {
	set    *token.FileSet
	pkg    string
	consts map[string]ast.Expr // strings of the package by name
	locals map[string][]string // what a variable of the function may hold by now
	fn     string
	found  []sqlText
}

func (w *walker) collect(f *ast.File) {
	for _, d := range f.Decls {
		ast.Inspect(d, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for i, name := range spec.Names {
					if i < len(spec.Values) {
						w.consts[name.Name] = spec.Values[i]
					}
				}
			}
			return true
		})
	}
}

func (w *walker) file(f *ast.File) {
	for _, d := range f.Decls {
		w.locals = map[string][]string{}
		switch d := d.(type) {
		case *ast.GenDecl:
			if d.Tok == token.VAR {
				w.fn = "var"
				w.visit(d, "")
			}
		case *ast.FuncDecl:
			if d.Body != nil {
				w.fn = funcName(d)
				w.visit(d.Body, "")
			}
		}
	}
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name + "." + d.Name.Name
	}
	return d.Name.Name
}

// visit looks for texts that are handed on; call is the method they go to.
func (w *walker) visit(n ast.Node, call string) {
	ast.Inspect(n, func(m ast.Node) bool {
		if m == nil || m == n {
			return true
		}
		switch x := m.(type) {
		case *ast.CallExpr:
			w.visit(&ast.ParenExpr{X: x.Fun}, call)
			for _, arg := range x.Args {
				w.expression(callName(x, call), arg)
			}
			return false
		case *ast.AssignStmt:
			w.assign(x, call)
			return false
		case *ast.CompositeLit:
			w.parts(x, call)
			return false
		case *ast.GenDecl:
			return x.Tok != token.CONST // looked at where it is used
		case *ast.SelectorExpr:
			return false
		case ast.Expr:
			if texts := w.eval(x, 0); len(texts) > 0 {
				w.keep(call, x, texts)
				return false
			}
		}
		return true
	})
}

func (w *walker) expression(call string, e ast.Expr) {
	if texts := w.eval(e, 0); len(texts) > 0 {
		w.keep(call, e, texts)
		return
	}
	w.visit(&ast.ParenExpr{X: e}, call)
}

// assign follows a variable that a statement is built up in.
func (w *walker) assign(a *ast.AssignStmt, call string) {
	for i, value := range a.Rhs {
		var texts []string
		name := ""
		if id, ok := a.Lhs[min(i, len(a.Lhs)-1)].(*ast.Ident); ok {
			name = id.Name
			texts = w.eval(value, 0)
		}
		switch {
		case len(texts) == 0:
			w.expression(call, value)
		case a.Tok == token.ADD_ASSIGN:
			for j, so := range w.locals[name] {
				w.locals[name][j] = so + texts[0]
			}
		case a.Tok == token.ASSIGN:
			w.locals[name] = append(w.locals[name], texts...)
		default:
			w.locals[name] = texts
		}
	}
}

// parts takes the texts in a struct as one statement.
func (w *walker) parts(c *ast.CompositeLit, call string) {
	all := ""
	for _, e := range c.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			e = kv.Value
		}
		if texts := w.eval(e, 0); len(texts) > 0 && c.Type != nil && !isList(c.Type) {
			all += texts[0] + " "
		} else {
			w.expression(call, e)
		}
	}
	w.keep(call, c, []string{all})
}

func isList(t ast.Expr) bool {
	switch t.(type) {
	case *ast.ArrayType, *ast.MapType:
		return true
	}
	return false
}

// callName is the method called; helpers that only shape text pass the outer one on.
func callName(c *ast.CallExpr, outer string) string {
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		if id, ok := f.X.(*ast.Ident); ok && (id.Name == "fmt" || id.Name == "strings") && outer != "" {
			return outer
		}
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return outer
}

func (w *walker) keep(call string, at ast.Expr, texts []string) {
	for _, text := range texts {
		if statement.MatchString(text) {
			w.found = append(w.found, sqlText{at: w.set.Position(at.Pos()).String(), pkg: w.pkg, fn: w.fn, call: call, text: text})
		}
	}
}

// eval gives what a string expression may be; what is not known becomes "…".
func (w *walker) eval(e ast.Expr, depth int) []string {
	if depth > 20 {
		return nil
	}
	switch x := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(x.Value); x.Kind == token.STRING && err == nil {
			return []string{s}
		}
	case *ast.ParenExpr:
		return w.eval(x.X, depth+1)
	case *ast.Ident:
		if texts, ok := w.locals[x.Name]; ok {
			return slices.Clone(texts)
		}
		if v, ok := w.consts[x.Name]; ok {
			return w.eval(v, depth+1)
		}
	case *ast.BinaryExpr:
		left, right := w.eval(x.X, depth+1), w.eval(x.Y, depth+1)
		if x.Op != token.ADD || len(left)+len(right) == 0 {
			return nil
		}
		if len(left) == 0 {
			left = []string{"…"}
		}
		if len(right) == 0 {
			right = []string{"…"}
		}
		var all []string
		for _, l := range left {
			for _, r := range right {
				all = append(all, l+r)
			}
		}
		return all[:min(len(all), 32)]
	}
	return nil
}

// The test itself must see what it is there for.
func TestTheWalkerSeesStatements(t *testing.T) {
	t.Parallel()
	const code = `package p
const columns = "SELECT a, b FROM users"
func (t *thing) Find(x string) {
	t.tx.Get(&d, columns + " WHERE org_id = ? AND id = ?", x)
	t.db.Lookup(ctx, &d, columns + x)
	query := "DELETE FROM users"
	if x == "" {
		query = "DELETE FROM groups"
	}
	query += " WHERE org_id = ?"
	tx.Exec(query)
	run(listing{columns: columns, where: " WHERE org_id = ?", n: 3})
	tx.Exec(fmt.Sprintf("UPDATE users SET a = %s", x))
}`
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "p.go", code, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := walker{set: set, pkg: "p", consts: map[string]ast.Expr{}}
	w.collect(f)
	w.file(f)
	want := []string{
		"thing.Find Get SELECT a, b FROM users WHERE org_id = ? AND id = ?",
		"thing.Find Lookup SELECT a, b FROM users…",
		"thing.Find Exec DELETE FROM users WHERE org_id = ?",
		"thing.Find Exec DELETE FROM groups WHERE org_id = ?",
		"thing.Find run SELECT a, b FROM users  WHERE org_id = ? ",
		"thing.Find Exec UPDATE users SET a = %s",
	}
	var got []string
	for _, s := range w.found {
		got = append(got, s.fn+" "+s.call+" "+s.text)
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
