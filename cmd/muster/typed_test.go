package main

import (
	"bytes"
	"iter"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/muster-id/muster/internal/web/webtest"
)

// sheet is a form of a page, as a browser fills it in and sends it.
type sheet struct {
	to     string
	file   bool // it is sent in parts
	fields []box
}

// box is one of its controls.
type box struct{ kind, name, value string }

// written tells whether somebody types there.
func (b box) written() bool {
	return slices.Contains([]string{"text", "email", "search", "tel", "url", "number", "date", "datetime-local", "textarea"}, b.kind)
}

// sheets are the forms of a page that change something.
func sheets(page string) (list []sheet) {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil
	}
	for _, form := range webtest.All(doc, "form") {
		if !strings.EqualFold(webtest.Attr(form, "method"), "post") {
			continue
		}
		s := sheet{to: webtest.Attr(form, "action"), file: webtest.Attr(form, "enctype") != ""}
		var named, plain bool
		for d := range form.Descendants() {
			if d.Type != html.ElementNode {
				continue
			}
			b := box{webtest.Attr(d, "type"), webtest.Attr(d, "name"), webtest.Attr(d, "value")}
			switch d.Data {
			case "input":
				b.kind = orText(b.kind)
				if on := slices.ContainsFunc(d.Attr, func(a html.Attribute) bool { return a.Key == "checked" }); !on && (b.kind == "checkbox" || b.kind == "radio") {
					continue
				}
			case "textarea":
				b.kind, b.value = "textarea", textOf(d)
			case "select":
				b.kind, b.value = "select", chosen(d)
			case "button":
				if plain = plain || b.name == ""; b.name == "" || named {
					continue
				}
				named = true
			default:
				continue
			}
			fixed := slices.ContainsFunc(d.Attr, func(a html.Attribute) bool { return a.Key == "readonly" })
			if b.name != "" && b.kind != "file" && !fixed {
				s.fields = append(s.fields, b)
			}
		}
		if plain { // somebody presses what has no name
			s.fields = slices.DeleteFunc(s.fields, func(b box) bool { return b.kind == "submit" })
		}
		list = append(list, s)
	}
	return list
}

func orText(kind string) string {
	if kind == "" {
		return "text"
	}
	return kind
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimPrefix(b.String(), "\n")
}

func chosen(list *html.Node) (value string) {
	for i, o := range webtest.All(list, "option") {
		on := slices.ContainsFunc(o.Attr, func(a html.Attribute) bool { return a.Key == "selected" })
		if i == 0 || on {
			value = webtest.Attr(o, "value")
		}
	}
	return value
}

// filled is what is sent: what stands there, something where nothing does, and text in
// the field at.
func (s sheet) filled(at int, text string) (list []box) {
	for i, b := range s.fields {
		switch {
		case i == at:
			b.value = text
		case b.value == "" && b.kind == "email":
			b.value = "kept@kept.example"
		case b.value == "" && (b.kind == "text" || b.kind == "textarea"):
			b.value = "Kept " + b.name
		}
		list = append(list, b)
	}
	return list
}

// fillIn sends it.
func (v *visitor) fillIn(s sheet, list []box) *visitor {
	v.t.Helper()
	var body bytes.Buffer
	kind := "application/x-www-form-urlencoded"
	if s.file {
		w := multipart.NewWriter(&body)
		for _, b := range list {
			w.WriteField(b.name, b.value)
		}
		w.Close()
		kind = w.FormDataContentType()
	} else {
		values := url.Values{}
		for _, b := range list {
			values.Add(b.name, b.value)
		}
		body.WriteString(values.Encode())
	}
	r, err := http.NewRequest("POST", s.to, &body)
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.took(v.client.Do(r))
}

// lost are the fields of list that stand in no form of the page any more.
func (v *visitor) lost(list []box) (names []string) {
	kept := map[string]bool{}
	for _, s := range sheets(v.page) {
		for _, b := range s.fields {
			kept[plainBreaks(b.value)] = true
		}
	}
	for _, b := range list {
		if b.written() && b.value != "" && !kept[plainBreaks(b.value)] {
			names = append(names, b.name)
		}
	}
	return names
}

func plainBreaks(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
}

var oneID = regexp.MustCompile(`[0-9a-f]{32}`)

// alike is an address without what differs between pages of one kind.
func alike(at *url.URL) string {
	return oneID.ReplaceAllString(at.Path, "*") + "?" + strings.Join(slices.Sorted(maps.Keys(at.Query())), ",")
}

// pages opens each kind of page that links lead to, a few of each.
func (v *visitor) pages(base string, start ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		opened := map[string]int{}
		for i := 0; i < len(start); i++ {
			at, err := url.Parse(base)
			if err == nil {
				at, err = at.Parse(start[i])
			}
			if err != nil || at.Host != strings.TrimPrefix(base, "http://") || !walked.MatchString(at.Path) {
				continue
			}
			at.Fragment = ""
			kind, few := alike(at), 1
			if strings.Contains(kind, "*") {
				few = 8
			}
			if opened[kind]++; opened[kind] > few {
				continue
			}
			if v.open(at.String()); v.status >= 500 {
				v.t.Errorf("%s: %d", at, v.status)
			}
			if !strings.HasPrefix(strings.ToLower(v.page), "<!doctype html") {
				continue
			}
			doc, err := html.Parse(strings.NewReader(v.page))
			if err != nil {
				v.t.Fatal(err)
			}
			for _, a := range webtest.All(doc, "a") {
				if to, err := v.at.Parse(webtest.Attr(a, "href")); err == nil {
					start = append(start, to.String())
				}
			}
			if !yield(at.String()) {
				return
			}
		}
	}
}

var walked = regexp.MustCompile(`^/(console|account|login|o|password|setup|invite)(/|$)`)

var personLink = regexp.MustCompile(`/users/([0-9a-f]{32})"`)

// forms are those of all pages, by where they lead and what is typed there.
func (v *visitor) forms(base string, start ...string) map[string]sheet {
	v.t.Helper()
	all := map[string]sheet{}
	for range v.pages(base, start...) {
		v.noteForms(all)
	}
	return all
}

// noteForms adds those of the page that is open.
func (v *visitor) noteForms(all map[string]sheet) {
	v.t.Helper()
	for _, s := range sheets(v.page) {
		to, err := v.at.Parse(s.to)
		if err != nil {
			v.t.Fatal(err)
		}
		s.to = to.String()
		key := oneID.ReplaceAllString(to.Path, "*")
		for _, b := range s.fields {
			if b.written() {
				key += " " + oneID.ReplaceAllString(b.name, "*")
			}
		}
		if _, known := all[key]; !known {
			all[key] = s
		}
	}
}

// takes are fields that hold what would be wrong in a name.
var takes = map[string]string{
	"/password/forgot email":  "whoever asks is told the same, whatever was typed",
	"/login email":            "the same",
	"/invite/many addresses":  "each line is judged by itself, on the next page",
	"/mapping role_value":     "as the provider sends it",
	"/mapping role_from":      "as the provider calls it",
	"/mapping team_value":     "as the provider sends it",
	"/mapping team_from":      "as the provider calls it",
	"/mapping team_to":        "the part of a pattern that a value stands for",
	"/mapping attribute_from": "as the provider calls it",
	"/identities subject":     "as the provider sends it",
	"/joiner/add person":      "counts when a named person does it",
	"/leaver/add person":      "counts when a named person does it",
	" why":                    "somebody's own words",
}

func takesIt(form, field string) bool {
	for one := range takes {
		place, name, _ := strings.Cut(one, " ")
		if name == field && strings.HasSuffix(strings.Fields(form)[0], place) {
			return true
		}
	}
	return false
}

// secretly tells whether what is typed there is not kept for later.
func secretly(name string) bool { return strings.Contains(name, "password") }

// wrong are texts that no name is: too long, with a mark that turns the direction of
// writing, and with a control character.
var wrong = []struct{ name, text string }{{"long", strings.Repeat("Q", 10_000)}, {"turned", "xx\u202eyy"}, {"a bell", "x\ay"}}

// tryForm types what is wrong into each field, and markup.
func (v *visitor) tryForm(key string, form sheet) {
	v.t.Helper()
	for i, b := range form.fields {
		if !b.written() {
			continue
		}
		for _, w := range wrong {
			list := form.filled(i, w.text)
			v.fillIn(form, list)
			switch took := v.status < 400; {
			case v.status >= 500:
				v.t.Errorf("%s, %s is %s: %d\n%.500s", key, b.name, w.name, v.status, v.page)
			case took && takesIt(key, b.name):
				return // what the form is for may be done now
			case took:
				v.t.Errorf("%s, %s is %s: taken (%d at %s)", key, b.name, w.name, v.status, v.at)
			case len(v.lost(list)) > 0:
				v.t.Errorf("%s, %s is %s: %d, lost: %q", key, b.name, w.name, v.status, v.lost(list))
			}
		}
	}
	for i, b := range form.fields { // after all that is refused: what the form is for may be done now
		if !b.written() {
			continue
		}
		if v.fillIn(form, form.filled(i, markup)); v.status >= 500 {
			v.t.Errorf("%s, %s is markup: %d\n%.500s", key, b.name, v.status, v.page)
		}
		v.harmless()
	}
}

func isOf(name string, starts ...string) bool {
	return slices.ContainsFunc(starts, func(s string) bool { return strings.HasPrefix(name, s) })
}

// blind tells whether something stands in it before anybody types, and no version says of when.
func (s sheet) blind() bool {
	return !slices.ContainsFunc(s.fields, box.version) && slices.ContainsFunc(s.fields, func(b box) bool { return b.value != "" && b.kind != "hidden" && b.kind != "submit" })
}

// version tells whether it says what the form was made from.
func (b box) version() bool { return b.kind == "hidden" && b.name == "version" && b.value != "" }

// plain are forms without a version, by what their address ends in. What they show is a
// suggestion and nothing stored, or nobody else is overwritten.
var plain = map[string]string{
	"/attributes":                "makes a new one",
	"/connections/links":         "makes a new one",
	"/directories":               "makes a new one",
	"/clients":                   "makes a new one",
	"/tokens":                    "makes a new one",
	"/tokens/rotate":             "makes a new one",
	"/reviews":                   "makes a new one",
	"/import-feeds":              "makes a new one",
	"/invite":                    "makes a new one",
	"/invite/many":               "makes new ones",
	"/mapping":                   "adds one rule",
	"/roles":                     "adds one role, or what one value gives",
	"/identities":                "adds one identity",
	"/move":                      "does what it says, whatever was before",
	"/deactivate":                "does what it says, whatever was before",
	"/reactivate":                "does what it says, whatever was before",
	"/restore":                   "does what it says, whatever was before",
	"/users/bulk":                "does what it says, whatever was before",
	"/import/*/columns":          "of one's own upload",
	"/import/*/form":             "of one's own upload",
	"/users/columns":             "one's own view",
	"/account/password":          "one's own, by who knows the one before",
	"/account/preferences":       "one's own",
	"/organizations/acme/rename": "one name: the later one is meant",
	"/provider":                  "is looked at first, with what it replaces",
}

func unversioned(key string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(plain)), func(ending string) bool { return endsIn(key, ending) })
}

// endsIn tells whether the address of a form does.
func endsIn(key, ending string) bool {
	path, _, _ := strings.Cut(key, " ")
	return strings.HasSuffix(path, ending)
}

// meanwhile sends a form that somebody else was faster with: it is refused, what was typed
// stays, and it can be sent again from there.
func (v *visitor) meanwhile(key string, form sheet) {
	v.t.Helper()
	list := form.filled(-1, "")
	at := slices.IndexFunc(list, box.version)
	if at < 0 {
		if form.blind() && !unversioned(key) {
			v.t.Errorf("%s shows what is stored and has no version: of two who save at once the later one wins in silence", key)
		}
		return
	}
	for i, b := range list {
		if isOf(b.name, "teams_", "lead", "name_", "limit", "mail_to") { // names of what is there, numbers, addresses
			list[i].value = form.fields[i].value
		}
	}
	list[at].value = "999"
	if v.fillIn(form, list); v.status != http.StatusConflict || len(v.lost(list)) > 0 {
		v.t.Errorf("%s when somebody was faster: %d, lost: %q", key, v.status, v.lost(list))
	}
	if strings.Contains(v.page, `value="999"`) {
		v.t.Errorf("%s when somebody was faster: it can never be sent again", key)
	}
}

// markup is a script and a formula at once.
const markup = `=1+1"'><script>alert(1)</script>`

// harmless fails for markup that somebody typed.
func (v *visitor) harmless() {
	v.t.Helper()
	if strings.Contains(strings.ToLower(v.page), "<script>alert") {
		v.t.Errorf("%s runs what was typed:\n%s", v.at, v.page)
	}
}

// What is typed into any form is refused with everything that was typed still there, or
// shown as it is; and it is there as well when the session has ended meanwhile.
func TestEveryFormKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "forms", func(t *testing.T, env ...string) {
		p := newProgram(t, append(env, "MUSTER_EGRESS_ALLOW=127.0.0.0/8")...)
		s := p.serve("--demo")
		p.setenv("MUSTER_PUBLIC_URL", s.url)
		v := demoVisitor(t, s)
		made := &typist{p, v, s, map[string]sheet{}}
		forms := v.forms(s.url, append(made.states(), "/console/acme/users", "/account")...)
		maps.Copy(forms, made.forms)
		if len(forms) < 105 {
			t.Errorf("only %d forms were found", len(forms))
		}
		for ending := range plain {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(forms)), func(key string) bool { return endsIn(key, ending) && forms[key].blind() }) {
				t.Errorf("no form without a version at %s: it is no exception", ending)
			}
		}
		stranger := newVisitor(t)
		for _, key := range slices.Sorted(maps.Keys(forms)) {
			form := forms[key]
			v.meanwhile(key, form)
			if !slices.ContainsFunc(form.fields, box.written) {
				continue
			}
			if list := form.filled(-1, ""); strings.HasPrefix(key, "/console") || strings.HasPrefix(key, "/account") {
				stranger.fillIn(form, list)
				if lost := slices.DeleteFunc(stranger.lost(list), secretly); stranger.status != 401 || len(lost) > 0 {
					t.Errorf("%s when the session has ended: %d, lost: %q", key, stranger.status, lost)
				}
			}
			v.tryForm(key, form)
		}
		for range v.pages(s.url, "/console/acme/users", "/account") {
			v.harmless()
		}
		guest := newVisitor(t)
		link := p.must("user", "invite", "--org", "acme", "--email", "guest@partner.example")["link"].(string)
		for key, form := range guest.forms(s.url, "/login", "/o/acme/login", "/password/forgot", link) {
			guest.tryForm(key, form)
		}
		halfway, asked := atSecondStep(t, p, s), map[string]sheet{}
		halfway.noteForms(asked)
		for key, form := range asked {
			halfway.tryForm(key, form)
		}
	})
}

// So does the first form of all.
func TestTheSetUpKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "set-up", func(t *testing.T, env ...string) {
		s := newProgram(t, env...).serve()
		v := newVisitor(t)
		forms := v.forms(s.url, s.hello["setup_link"].(string))
		tried := 0
		for key, form := range forms {
			if strings.HasPrefix(key, "/setup/") {
				tried++
				v.tryForm(key, form)
			}
		}
		if tried != 1 {
			t.Errorf("%d forms of the set-up", tried)
		}
	})
}
