package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
)

//go:embed templates
var ownTemplates embed.FS

// own holds the kit's own pages.
var own = MustPages(ownTemplates, "templates/fault.html")

// Pages are a feature's templates inside the common layout.
//
// Each file is a page, named without ".html", and defines "title" and "main";
// both get the page's data as dot. Pages outside the console are narrow unless they
// define "width" as "wide". Files that start with "_" are shared parts.
type Pages struct{ byName map[string]*template.Template }

// MustPages reads the files that match pattern. It panics on a bad template:
// they are compiled in.
func MustPages(files fs.FS, pattern string) *Pages {
	base := template.Must(template.New("").Funcs(funcs).ParseFS(ownTemplates, "templates/layout.html", "templates/form.html"))
	names, err := fs.Glob(files, pattern)
	if err != nil || len(names) == 0 {
		panic(fmt.Sprintf("web: no templates match %q: %v", pattern, err))
	}
	var parts, pages []string
	for _, n := range names {
		if strings.HasPrefix(path.Base(n), "_") {
			parts = append(parts, n)
		} else {
			pages = append(pages, n)
		}
	}
	p := &Pages{byName: map[string]*template.Template{}}
	for _, n := range pages {
		t := template.Must(template.Must(base.Clone()).ParseFS(files, append(parts, n)...))
		p.byName[strings.TrimSuffix(path.Base(n), ".html")] = t
	}
	return p
}

// funcs are what templates may call besides the built-in ones.
var funcs = template.FuncMap{
	"static": func(name string) (string, error) {
		if url, ok := staticNames[name]; ok {
			return url, nil
		}
		return "", fmt.Errorf("no static file %q", name)
	},
	"t":      fmt.Sprintf,
	"when":   when,
	"day":    day,
	"join":   strings.Join,
	"number": Number,
}

// Number groups digits: 1 204.
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// T is a sentence for whoever asks. The English one is its name.
func T(_ *http.Request, sentence string, args ...any) string { return fmt.Sprintf(sentence, args...) }

// moment reads a time.Time, or anything with a Time method; ok is false for others.
func moment(v any) (t time.Time, ok bool) {
	switch v := v.(type) {
	case time.Time:
		return v.UTC(), true
	case interface{ Time() time.Time }:
		return v.Time().UTC(), true
	case string: // as our JSON has it
		t, err := time.Parse(time.RFC3339, v)
		return t.UTC(), err == nil
	}
	return t, false
}

const (
	fullTime = "2 Jan 2006, 15:04 UTC"
	dayOnly  = "2 Jan 2006"
)

// when shows a time for people and machines; "never" when it is unset.
func when(v any) template.HTML { return timeTag(v, fullTime) }

// day is when for a narrow column: the date, and the whole time on pointing at it.
func day(v any) template.HTML { return timeTag(v, dayOnly) }

func timeTag(v any, layout string) template.HTML {
	t, ok := moment(v)
	if !ok {
		return template.HTML(template.HTMLEscapeString(fmt.Sprint(v)))
	}
	if t.IsZero() || t.UnixMicro() == 0 {
		return "never"
	}
	title := ""
	if layout != fullTime {
		title = ` title="` + t.Format(fullTime) + `"`
	}
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `"` + title + `>` + t.Format(layout) + `</time>`)
}

// view is what the layout sees.
type view struct {
	Page    any
	Flash   string
	Banner  []phrase
	Alarm   string // with AlarmAt, where to look
	AlarmAt string
	Actor   access.Actor
	Signed  bool
	Console bool // may open the console
	Org     Org
	Nav     []navLink
}

// phrase is a piece of a sentence: words, or an address to click.
type phrase struct {
	Text string
	Link bool
}

var address = regexp.MustCompile(`https?://[^\s<>"]*[^\s<>".,;:)]`)

// phrases finds the addresses in a sentence.
func phrases(sentence string) (list []phrase) {
	for sentence != "" {
		at := address.FindStringIndex(sentence)
		if at == nil {
			return append(list, phrase{Text: sentence})
		}
		list = append(list, phrase{Text: sentence[:at[0]]}, phrase{sentence[at[0]:at[1]], true})
		sentence = sentence[at[1]:]
	}
	return list
}

type navLink struct {
	Label, Path string
	Current     bool
}

// Write renders a page. Nothing is sent when the template fails.
func (p *Pages) Write(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	t, ok := p.byName[name]
	if !ok {
		return fmt.Errorf("no page %q", name)
	}
	s := stateOf(r)
	v := view{Page: data, Flash: takeFlash(w, r), Org: s.org}
	if s.mux != nil {
		v.Actor = Actor(r)
		v.Signed = v.Actor.Signed()
		v.Console = v.Signed && v.Actor.May(access.ViewUsers)
		v.Nav = s.nav(r)
		if s.mux.opts.Alarm != nil && s.org.Slug != "" && v.Actor.May(access.Configure) {
			v.Alarm, v.AlarmAt = s.mux.opts.Alarm(r)
		}
		if s.mux.opts.Banner != nil {
			v.Banner = phrases(s.mux.opts.Banner())
		}
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", v); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := b.WriteTo(w)
	return err
}

// nav is the console's navigation for this actor in this organization.
func (s *state) nav(r *http.Request) []navLink {
	if s.org.Slug == "" || !s.actor.Signed() {
		return nil
	}
	var links []navLink
	best := -1 // the longest path that we are under is the current one
	for _, item := range s.mux.opts.Nav {
		if !s.actor.May(item.Need) {
			continue
		}
		target := strings.ReplaceAll(item.Path, "{org}", s.org.Slug)
		links = append(links, navLink{Label: item.Label, Path: target})
		under := r.URL.Path == target || strings.HasPrefix(r.URL.Path, target+"/")
		if under && (best < 0 || len(target) > len(links[best].Path)) {
			best = len(links) - 1
		}
	}
	if best >= 0 {
		links[best].Current = true
	}
	return links
}
