package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	scimerr "github.com/elimity-com/scim/errors"
	"github.com/scim2/filter-parser/v2"
)

// vendorFilters are what clients send, with where it is known from.
var vendorFilters = []string{
	`userName eq "bjensen@example.com"`,                                            // Okta
	`displayName eq "Everybody"`,                                                   // Okta, Entra ID
	`externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"`,                         // Entra ID
	`emails[type eq "work"].value eq "a@example.com"`,                              // Entra ID
	`id eq "018f" and members eq "019a"`,                                           // Entra ID
	`(ActiVe eq true) and meta.lastmodified ge "2024-01-01T00:00:00Z"`,             // AzureAD/SCIMReferenceCode
	`emails eq "a@example.com"`,                                                    // PingFederate
	`meta.lastModified gt "2011-05-13T04:42:34Z"`,                                  // HR sources
	`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "a"`, // RFC 7644
	`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`,
	`emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]`,
	`emails[value eq "a@example.com"]`, // IPSIE
	`title pr or userType eq "Intern"`,
}

// The whole grammar: what it is read as, printed by print.
func TestFiltersRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`userName Eq "john"`, `userName eq "john"`},
		{`  userName   eq   "john"  `, `userName eq "john"`},
		{`userName PR`, `userName pr`},
		{`a pr and b pr or c pr`, `((a pr and b pr) or c pr)`},
		{`a pr or b pr and c pr`, `(a pr or (b pr and c pr))`},
		{`(a pr or b pr) and c pr`, `((a pr or b pr) and c pr)`},
		{`a pr and b pr and c pr`, `((a pr and b pr) and c pr)`},
		{`a pr AND NOT(b pr)`, `(a pr and not (b pr))`},
		{`not  ( b pr )`, `not (b pr)`},
		{`(a pr)or(b pr)`, `(a pr or b pr)`},
		{`a pr or(b pr)`, `(a pr or b pr)`},
		{`not pr`, `not pr`},
		{`and eq 1`, `and eq 1`},
		{`a eq true and b eq False and c eq NULL`, `((a eq true and b eq false) and c eq null)`},
		{`a eq -1.5E+3`, `a eq -1.5e+3`},
		{`a eq 123456789012345678901234567890`, `a eq 123456789012345678901234567890`},
		{`a eq "x\"y\\z\/\u00e9\u00E9\n"`, `a eq "x\"y\\z/éé\n"`},
		{`a eq "\ud83d\ude00"`, `a eq "😀"`},
		{`a eq "and (or] not["`, `a eq "and (or] not["`},
		{`$ref eq "x"`, `$ref eq "x"`},
		{`members.$ref eq "x"`, `members.$ref eq "x"`},
		{`a[b pr]`, `a[b pr]`},
		{`a [ b pr ]`, `a[b pr]`},
		{`a[not (b pr or c pr) and (d eq 1)]`, `a[(not ((b pr or c pr)) and d eq 1)]`},
		{`a[b pr and c pr and d pr]`, `a[((b pr and c pr) and d pr)]`},
		{`a[b eq "x"].c eq "y"`, `a[(b eq "x" and c eq "y")]`},
		{`a[b eq "x"].c pr and d pr`, `(a[(b eq "x" and c pr)] and d pr)`},
		{`urn:ietf:params:scim:schemas:core:2.0:User:name.givenName sw "b"`, `urn:ietf:params:scim:schemas:core:2.0:User:name.givenName sw "b"`},
		{`urn:x-my_org:a~b%20c/(d):attr[b pr]`, `urn:x-my_org:a~b%20c/(d):attr[b pr]`},
		{`(urn:x:y:attr pr)`, `urn:x:y:attr pr`},
		{`http://example.com/2.0/Group:displayName eq "x"`, `http://example.com/2.0/Group:displayName eq "x"`},
	} {
		e, err := ParseFilter(c.in, ParseOptions{})
		if err != nil {
			t.Errorf("ParseFilter(%s): %v", c.in, err)
			continue
		}
		if got := print(e); got != c.want {
			t.Errorf("ParseFilter(%s) = %s, want %s", c.in, got, c.want)
		}
	}
}

func TestUnquotedValuesAreAQuirk(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`externalId eq jyoung`:              `externalId eq "jyoung"`,
		`userName sw O`:                     `userName sw "O"`,
		`userName eq a@example.com`:         `userName eq "a@example.com"`,
		`(id eq 2819c223-7f76 and a eq 1)`:  `(id eq "2819c223-7f76" and a eq 1)`,
		`emails[type eq work].value eq a@b`: `emails[(type eq "work" and value eq "a@b")]`,
	} {
		e, err := ParseFilter(in, ParseOptions{UnquotedValues: true})
		if err != nil || print(e) != want {
			t.Errorf("ParseFilter(%s) = %s, %v; want %s", in, print(e), err, want)
		}
		if e, err := ParseFilter(in, ParseOptions{}); err == nil {
			t.Errorf("ParseFilter(%s) = %s without the quirk, want an error", in, print(e))
		}
	}
}

// Each refusal says where it stopped and what it wanted there.
func TestFiltersRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``:                               `At byte 0 stands the end: want the name of an attribute.`,
		`userName`:                       `At byte 8 stands the end: want an operator`,
		`userName eq`:                    `At byte 11 stands the end: want a blank and a value`,
		`userName eq "x`:                 `want the closing quote of the text that begins at byte 12`,
		`userName is "x"`:                `At byte 9 stands "is": want an operator`,
		`userName eq 'x'`:                `At byte 12 stands "'x'": want true, false, null, a number, or a text in double quotes`,
		`userName eq 01`:                 `At byte 12 stands "01": want`,
		`userName eq 1.`:                 `At byte 12`,
		`userName eq "\x"`:               `At byte 13 stands "\x"": want one of the escapes of JSON`,
		`userName eq "\u0000"`:           `At byte 13`,
		`userName eq "\ud800"`:           `At byte 13`,
		"userName eq \"\x01\"":           `At byte 13`,
		`userName eq "x" and`:            `At byte 16 stands "and": want and, or, or the end of the filter.`,
		`userName eq "x" and `:           `At byte 20 stands the end: want the name of an attribute.`,
		`(userName pr`:                   `At byte 12 stands the end: want and, or, or ).`,
		`userName pr)`:                   `At byte 11 stands ")": want and, or, or the end of the filter.`,
		`userName pr and or pr or`:       `want and, or, or the end`,
		`emails[type pr`:                 `At byte 14 stands the end: want and, or, or ].`,
		`emails[type[a pr]]`:             `At byte 7 stands "type[a": want an attribute without brackets`,
		`emails[]`:                       `At byte 7`,
		`a.b.c pr`:                       `a name of letters, digits, - and _ with one dot at most`,
		`1a pr`:                          `At byte 0`,
		`:a pr`:                          `a schema URN before the colon`,
		`urn:x: pr`:                      `At byte 6`,
		`userName eq "x"title pr`:        `At byte 15`,
		`userName eq "x" title pr`:       `At byte 16 stands "title": want and, or`,
		"userName eq \"\xff\"":           `The filter is not valid UTF-8.`,
		strings.Repeat("(", 33) + `a pr`: `nested deeper than 32 levels`,
		strings.Repeat("not(", 33) + `a`: `nested deeper than 32 levels`,
		`a eq "` + strings.Repeat("x", maxFilterBytes) + `"`: `The filter has 8199 bytes; at most 8192 are read.`,
		`a pr` + strings.Repeat(" or a pr", 256):             `more than 256 terms`,
	} {
		e, err := ParseFilter(in, ParseOptions{})
		refusal, ok := errors.AsType[scimerr.ScimError](err)
		if !ok || refusal.ScimType != scimerr.ScimTypeInvalidFilter || refusal.Status != 400 || !strings.Contains(refusal.Detail, want) {
			t.Errorf("ParseFilter(%.60s) = %s, %v; want invalidFilter with %q", in, print(e), err, want)
		}
	}
}

// Honest filters of a size at the bounds are read.
func TestFiltersAtTheBounds(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		strings.Repeat("(", maxFilterDepth) + `a pr` + strings.Repeat(")", maxFilterDepth),
		`a pr` + strings.Repeat(" or a pr", maxFilterTerms-1),
		`a eq "` + strings.Repeat("x", maxFilterBytes-7) + `"`,
	} {
		if _, err := ParseFilter(in, ParseOptions{}); err != nil {
			t.Errorf("ParseFilter(%.40s...): %v", in, err)
		}
	}
}

func TestPathsRead(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`userName`:         `userName`,
		` name.givenName `: `name.givenName`,
		`members[value eq "2819c223"].displayName`:                                     `members[value eq "2819c223"].displayName`,
		`emails[type eq "work"]`:                                                       `emails[type eq "work"]`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value`:     `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.manager`:           `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.manager`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`:                   `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`,
		`addresses[type eq "work" and (primary eq true or not (country pr))].locality`: `addresses[(type eq "work" and (primary eq true or not (country pr)))].locality`,
	} {
		p, err := ParsePath(in, ParseOptions{})
		if err != nil || printPath(p) != want {
			t.Errorf("ParsePath(%s) = %s, %v; want %s", in, printPath(p), err, want)
		}
	}
}

func TestPathsRefused(t *testing.T) {
	t.Parallel()
	for in, kind := range map[string]scimerr.ScimType{
		``:                              scimerr.ScimTypeInvalidPath,
		`/userName`:                     scimerr.ScimTypeInvalidPath,
		`a.b.c`:                         scimerr.ScimTypeInvalidPath,
		`a b`:                           scimerr.ScimTypeInvalidPath,
		`a[b pr].c.d`:                   scimerr.ScimTypeInvalidPath,
		`a[b pr].`:                      scimerr.ScimTypeInvalidPath,
		`a[b pr]c`:                      scimerr.ScimTypeInvalidPath,
		`a eq 1`:                        scimerr.ScimTypeInvalidPath,
		`a[b is 1]`:                     scimerr.ScimTypeInvalidFilter,
		`a[b pr`:                        scimerr.ScimTypeInvalidFilter,
		`a[]`:                           scimerr.ScimTypeInvalidFilter,
		`a[` + strings.Repeat("(", 100): scimerr.ScimTypeInvalidFilter,
		strings.Repeat("a", 9000):       scimerr.ScimTypeInvalidPath,
	} {
		p, err := ParsePath(in, ParseOptions{})
		if refusal, ok := errors.AsType[scimerr.ScimError](err); !ok || refusal.ScimType != kind || refusal.Detail == "" {
			t.Errorf("ParsePath(%.60s) = %s, %v; want %s", in, printPath(p), err, kind)
		}
	}
}

// Every filter that the library's parser takes must be read the same. It is run
// on short strings only: it needs seconds for long ones and dies of very long ones.
func TestFiltersReadAsTheLibraryReadsThem(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	both := 0
	check := func(in string) {
		theirs, err := filter.ParseFilterNumber([]byte(in))
		if err != nil {
			return
		}
		ours, err := ParseFilter(in, ParseOptions{})
		if why := knownDefect(in); why != "" {
			return
		}
		if err != nil {
			t.Errorf("%s: the library reads it, we refuse: %v", in, err)
			return
		}
		both++
		if want := unescaped(t, theirs); !reflect.DeepEqual(ours, want) {
			t.Errorf("%s: we read %s, the library %s", in, print(ours), print(want))
		}
	}
	for _, in := range vendorFilters {
		check(in)
	}
	for range 3000 {
		in := randomFilter(r, 2)
		check(in)
		check(mutated(r, in))
	}
	if both < 1500 {
		t.Errorf("only %d filters were read by both: the comparison is worth little", both)
	}
}

func TestPathsReadAsTheLibraryReadsThem(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	both := 0
	for range 2000 {
		in := randomPath(r)
		if r.IntN(2) == 0 {
			in = mutated(r, in)
		}
		theirs, err := filter.ParsePathNumber([]byte(in))
		if err != nil || knownDefect(in) != "" {
			continue
		}
		ours, err := ParsePath(in, ParseOptions{})
		if err != nil {
			t.Errorf("%s: the library reads it, we refuse: %v", in, err)
			continue
		}
		both++
		if theirs.ValueExpression != nil {
			theirs.ValueExpression = unescaped(t, theirs.ValueExpression)
		}
		if !reflect.DeepEqual(ours, theirs) {
			t.Errorf("%s: we read %s, the library %s", in, printPath(ours), printPath(theirs))
		}
	}
	if both < 700 {
		t.Errorf("only %d paths were read by both: the comparison is worth little", both)
	}
}

// knownDefect says why the library takes something that is not of the grammar.
func knownDefect(in string) string {
	if !utf8.ValidString(in) {
		return "broken UTF-8 is taken for text"
	}
	inside, quoted := false, false
	for i := 0; i < len(in); i++ {
		switch c := in[i]; {
		case quoted && c == '\\':
			if rest := in[i+1:]; strings.HasPrefix(rest, "u0000") {
				return "NUL is taken for text"
			} else if hex := strings.ToLower(rest); len(hex) > 2 && hex[0] == 'u' && hex[1] == 'd' && hex[2] >= '8' {
				return "half a surrogate pair is taken for text"
			}
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case inside:
			for _, w := range []string{"and", "or"} {
				if len(in)-i > len(w) && strings.EqualFold(in[i:i+len(w)], w) && i > 0 &&
					(!strings.ContainsRune(` )]"`, rune(in[i-1])) || !strings.ContainsRune(` (`, rune(in[i+len(w)]))) {
					return "inside brackets no blank is wanted around and, or"
				}
			}
		}
	}
	return ""
}

// unescaped undoes what the library leaves in strings: it keeps escapes as they are
// written, and takes quotes off twice.
func unescaped(t *testing.T, e filter.Expression) filter.Expression {
	t.Helper()
	switch e := e.(type) {
	case *filter.LogicalExpression:
		return &filter.LogicalExpression{Left: unescaped(t, e.Left), Right: unescaped(t, e.Right), Operator: e.Operator}
	case *filter.NotExpression:
		return &filter.NotExpression{Expression: unescaped(t, e.Expression)}
	case *filter.ValuePath:
		return &filter.ValuePath{AttributePath: e.AttributePath, ValueFilter: unescaped(t, e.ValueFilter)}
	case *filter.AttributeExpression:
		out := *e
		if s, ok := e.CompareValue.(string); ok {
			var plain string
			if err := json.Unmarshal([]byte(`"`+s+`"`), &plain); err != nil {
				t.Fatalf("the library's string %q: %v", s, err)
			}
			out.CompareValue = plain
		}
		return &out
	}
	t.Fatalf("a node of type %T", e)
	return nil
}

// FuzzFilter: no input panics or takes long, and what is read prints and reads again to the same.
func FuzzFilter(f *testing.F) {
	for _, s := range vendorFilters {
		f.Add(s)
	}
	f.Add(`a eq "\ud83d\ude00" and not(b[c eq -1.5e3].d sw "x")`)
	f.Add(`urn:x-a(b):c.$ref ne null or (d eq TRUE)`)
	f.Add(strings.Repeat("(", 40))
	f.Fuzz(func(t *testing.T, in string) {
		for _, opt := range []ParseOptions{{}, {UnquotedValues: true}} {
			began := time.Now()
			e, err := ParseFilter(in, opt)
			if took := time.Since(began); took > 10*time.Second {
				t.Fatalf("%d bytes took %s", len(in), took)
			}
			if err != nil {
				continue
			}
			text := print(e)
			if len(text) > maxFilterBytes || strings.Count(text, "(")+strings.Count(text, "[") > maxFilterDepth {
				continue // print adds parentheses
			}
			again, err := ParseFilter(text, ParseOptions{})
			if err != nil || !reflect.DeepEqual(e, again) {
				t.Fatalf("%q is read as %s, which is read as %s, %v", in, text, print(again), err)
			}
			Match(e, map[string]any{"userName": "x"}, UserSchema())
			Bind(e, UserSchema(), BindOptions{})
			Bind(e, GroupSchema(), BindOptions{Lenient: true})
		}
	})
}

// FuzzPath is FuzzFilter for paths.
func FuzzPath(f *testing.F) {
	for _, s := range []string{`userName`, `name.givenName`, `emails[type eq "work"].value`, `members[value eq "x"]`,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value`, `roles[primary eq "True"].value`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		p, err := ParsePath(in, ParseOptions{})
		if err != nil {
			return
		}
		text := printPath(p)
		if len(text) > maxFilterBytes || strings.Count(text, "(")+strings.Count(text, "[") > maxFilterDepth {
			return
		}
		again, err := ParsePath(text, ParseOptions{})
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("%q is read as %s, which is read as %s, %v", in, text, printPath(again), err)
		}
	})
}

func BenchmarkParseFilter(b *testing.B) {
	for name, in := range map[string]string{
		"simple":    `userName eq "bjensen@example.com"`,
		"valuePath": `emails[type eq "work" and value eq "bjensen@example.com"]`,
		"urn":       `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "a" or title pr`,
		"deepest":   strings.Repeat("(", maxFilterDepth) + `a pr` + strings.Repeat(")", maxFilterDepth),
		"longest":   `a pr` + strings.Repeat(" or a pr", maxFilterTerms-1),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseFilter(in, ParseOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParsePath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePath(`members[value eq "0190c8b2f3a87c4e9d1a2b3c4d5e6f70"]`, ParseOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// print writes a filter with every group in parentheses; the library's String drops them.
func print(e filter.Expression) string {
	switch e := e.(type) {
	case nil:
		return "nothing"
	case *filter.LogicalExpression:
		return fmt.Sprintf("(%s %s %s)", print(e.Left), e.Operator, print(e.Right))
	case *filter.NotExpression:
		return fmt.Sprintf("not (%s)", print(e.Expression))
	case *filter.ValuePath:
		return fmt.Sprintf("%s[%s]", e.AttributePath, print(e.ValueFilter))
	case *filter.AttributeExpression:
		out := fmt.Sprintf("%s %s", e.AttributePath, e.Operator)
		switch v := e.CompareValue.(type) {
		case nil:
			if e.Operator != filter.PR {
				out += " null"
			}
		case string:
			out += " " + jsonText(v)
		default:
			out += fmt.Sprintf(" %v", v)
		}
		return out
	}
	return fmt.Sprintf("%T", e)
}

func printPath(p filter.Path) string {
	out := p.AttributePath.String()
	if p.ValueExpression != nil {
		out += "[" + print(p.ValueExpression) + "]"
	}
	if p.SubAttribute != nil {
		out += "." + *p.SubAttribute
	}
	return out
}

func jsonText(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s)
	return strings.TrimSpace(b.String())
}

func randomFilter(r *rand.Rand, depth int) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	blank := func() string { return pick(" ", " ", " ", "  ") }
	path := func() string {
		return pick("userName", "name.givenName", "emails", "emails.value", "not", "$ref", "a-b_c", "urn:a:2.0:User:x", "urn:a.b:c:d.e", "And", "ornament")
	}
	value := func() string {
		return pick(`"x"`, `""`, `"a b"`, `"\"q\""`, `"\\"`, `"\u00E9"`, `"é😀"`, `"["`, `true`, `False`, `null`, `NULL`, `0`, `-1`, `12.50`, `1e5`, `1E-3`, `90071992547409931`)
	}
	term := func() string {
		if r.IntN(5) == 0 {
			return path() + blank() + pick("pr", "PR")
		}
		return path() + blank() + pick("eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "Eq") + blank() + value()
	}
	switch k := r.IntN(9); {
	case depth > 0 && k == 0:
		return randomFilter(r, depth-1) + blank() + pick("and", "AND") + blank() + randomFilter(r, depth-1)
	case depth > 0 && k == 1:
		return randomFilter(r, depth-1) + blank() + pick("or", "Or") + blank() + randomFilter(r, depth-1)
	case depth > 0 && k == 2:
		return pick("not", "NOT") + pick("", " ") + "(" + randomFilter(r, depth-1) + ")"
	case depth > 0 && k == 3:
		return "(" + pick("", " ") + randomFilter(r, depth-1) + pick("", " ") + ")"
	case k == 4:
		return path() + pick("", " ") + "[" + pick("", " ") + term() + pick("", " ") + "]"
	case k == 5:
		return path() + "[" + term() + blank() + pick("and", "or") + blank() + term() + "]"
	case k == 6:
		return path() + "[" + pick("not", "not ") + "(" + term() + ")]"
	}
	return term()
}

func randomPath(r *rand.Rand) string {
	name := []string{"members", "emails", "name.givenName", "urn:a:2.0:User:x", "urn:a:2.0:User:x.y"}[r.IntN(5)]
	if r.IntN(2) == 0 {
		return name
	}
	for {
		if f := randomFilter(r, 0); !strings.Contains(f, "[") {
			return name + "[" + f + "]" + []string{"", ".value", ".$ref"}[r.IntN(3)]
		}
	}
}

// mutated changes a character or two.
func mutated(r *rand.Rand, s string) string {
	const letters = ` ()[]".:\-_$a1eE`
	b := []byte(s)
	for range 1 + r.IntN(2) {
		if len(b) == 0 {
			return ""
		}
		at := r.IntN(len(b))
		switch r.IntN(3) {
		case 0:
			b = append(b[:at], b[at+1:]...)
		case 1:
			b[at] = letters[r.IntN(len(letters))]
		case 2:
			b = append(b[:at], append([]byte{letters[r.IntN(len(letters))]}, b[at:]...)...)
		}
	}
	return string(b)
}
