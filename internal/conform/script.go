package conform

import (
	"embed"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Scripts are what directories send, as data: scripts/<vendor>.txt. A script is
//
//	== id | title | source
//	POST /Users?filter=userName eq "x"     a request; its query is written unescaped
//	{"userName": "${w}@example.com"}       its body, until the next line that is none
//	< 201                                  the statuses it may have; 2xx for any good one
//	id := /id                              keep a value under a name
//	/active = false                        what the answer has at a JSON pointer
//	/emails has {"type": "work"}           an element of a list
//	/members absent                        unassigned
//	within 600ms                           how long it may take, at best of three
//
// ${w} is a word of its own for each script, ${name} what was kept.
//
//go:embed scripts/*.txt
var scriptFiles embed.FS

type script struct {
	id, vendor, title, source string
	lines                     []string
}

// scripts are the probes of the vendors' lists, of one vendor when it is asked for.
func (r *runner) scripts() []probe {
	var all []probe
	for _, name := range Vendors() {
		if r.opt.Vendor != "" && r.opt.Vendor != name {
			continue
		}
		text, err := scriptFiles.ReadFile("scripts/" + name + ".txt")
		if err != nil {
			continue // a vendor of which the RFC checks say all that is known
		}
		for _, s := range readScripts(name, string(text)) {
			all = append(all, probe{s.id, s.title, s.source, vendor, meets(name), func(c *check) { c.play(s) }})
		}
	}
	return all
}

func readScripts(vendor, text string) []script {
	var all []script
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if head, ok := strings.CutPrefix(line, "== "); ok {
			part := strings.Split(head, " | ")
			all = append(all, script{id: "vendor." + vendor + "." + part[0], vendor: vendor, title: part[1], source: part[2]})
		} else if line != "" && !strings.HasPrefix(line, "#") && len(all) > 0 {
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		}
	}
	return all
}

var (
	requestLine = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (/\S*.*)$`)
	withinLine  = regexp.MustCompile(`^within (\d+)ms$`)
	keepLine    = regexp.MustCompile(`^(\w+) := (/\S+)$`)
	wantLine    = regexp.MustCompile(`^(/\S+) (=|has|absent|present)(?: (.*))?$`)
	variable    = regexp.MustCompile(`\$\{(\w+)\}`)
)

// play does a script line by line.
func (c *check) play(s script) {
	kept := map[string]string{"w": c.name("v")}
	fill := func(text string) string {
		return variable.ReplaceAllStringFunc(text, func(m string) string { return kept[m[2:len(m)-1]] })
	}
	var method, path string
	var body strings.Builder
	var a answer
	for _, raw := range s.lines {
		line := fill(raw)
		if c.decided {
			return
		}
		if m := requestLine.FindStringSubmatch(line); m != nil {
			method, path = m[1], escapeQuery(m[2])
			body.Reset()
		} else if codes, ok := strings.CutPrefix(line, "< "); ok {
			var sent any
			if body.Len() > 0 {
				sent = body.String()
			}
			a = c.do(method, path, sent)
			c.oneOf(a, codes)
		} else if m := withinLine.FindStringSubmatch(line); m != nil {
			c.inTime(a, method, path, m[1])
		} else if m := keepLine.FindStringSubmatch(line); m != nil {
			text, ok := pick(a.doc, m[2]).(string)
			if !ok {
				c.fail("%s: %s is %s, want a string", a.what, m[2], show(pick(a.doc, m[2])))
			}
			kept[m[1]] = text
		} else if m := wantLine.FindStringSubmatch(line); m != nil {
			c.wants(a, m[1], m[2], m[3])
		} else {
			body.WriteString(line + "\n")
		}
	}
}

// inTime demands an answer in time. A server may be busy: the best of three counts.
func (c *check) inTime(a answer, method, path, millis string) {
	n, err := strconv.Atoi(millis)
	most := time.Duration(n) * time.Millisecond
	for range 2 {
		if a.took > most && !c.decided {
			a = c.do(method, path, nil)
		}
	}
	if err != nil || a.took > most {
		c.fail("%s: it took %s, at most %s are right", a.what, a.took.Round(time.Millisecond), most)
	}
}

// oneOf demands one of the statuses; an error has to have its form.
func (c *check) oneOf(a answer, codes string) {
	var want []int
	for code := range strings.FieldsSeq(codes) {
		if code == "2xx" {
			want = append(want, http.StatusOK, http.StatusCreated, http.StatusNoContent)
		} else if n, err := strconv.Atoi(code); err == nil {
			want = append(want, n)
		}
	}
	if c.status(a, want...) && a.status >= 400 {
		c.errorForm(a)
	}
}

func (c *check) wants(a answer, pointer, how, text string) {
	got := pick(a.doc, pointer)
	var want any
	if text != "" {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			c.skip("the script cannot be read: %s %s %s: %v", pointer, how, text, err)
		}
	}
	ok := map[string]func() bool{
		"=":       func() bool { return agree(got, want) },
		"has":     func() bool { return contains(list(got), want) },
		"absent":  func() bool { return empty(got) },
		"present": func() bool { return !empty(got) },
	}[how]()
	if !ok {
		c.fail("%s: %s is %s, want %s", a.what, pointer, show(got), strings.TrimSpace(how+" "+text))
	}
}

// escapeQuery escapes the values of a query that is written as people read it.
func escapeQuery(path string) string {
	path, query, ok := strings.Cut(path, "?")
	if !ok {
		return path
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		name, value, _ := strings.Cut(p, "=")
		params[i] = name + "=" + escape(value)
	}
	return path + "?" + strings.Join(params, "&")
}
