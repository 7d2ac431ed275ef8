package web

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

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
//
// What templates call depends on who reads (language, time zone), and a template knows
// no request: so each page is parsed as often as it is made at the same time, once as a
// rule, and whoever makes it has the functions of that copy alone.
type Pages struct{ byName map[string]*copies }

// copies are those of one page that nobody uses at the moment.
type copies struct {
	parse func() *rendering
	idle  chan *rendering
}

// keptCopies bounds what a burst of requests leaves behind.
const keptCopies = 8

func (c *copies) take() *rendering {
	select {
	case p := <-c.idle:
		return p
	default:
		return c.parse()
	}
}

func (c *copies) put(p *rendering) {
	p.to = Reader{}
	select {
	case c.idle <- p:
	default:
	}
}

// made are the pages of all packages, for ParsePages.
var made []*Pages

// MustPages are the files that match pattern, for a variable of a package. A page is parsed
// when it is first made: commands, which show none, need not wait for hundreds.
func MustPages(files fs.FS, pattern string) *Pages {
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
	p := &Pages{byName: map[string]*copies{}}
	for _, n := range pages {
		c := &copies{idle: make(chan *rendering, keptCopies), parse: func() *rendering {
			r := &rendering{}
			r.page = template.Must(template.Must(base().Clone()).Funcs(r.funcs()).ParseFS(files, append(slices.Clone(parts), n)...))
			showOthers(r.page)
			return r
		}}
		p.byName[strings.TrimSuffix(path.Base(n), ".html")] = c
	}
	made = append(made, p)
	return p
}

// ParsePages parses all pages before a server starts: nobody waits for the first one. It
// panics on a bad template; they are compiled in.
func ParsePages() {
	for _, p := range made {
		for _, c := range p.byName {
			c.put(c.take())
		}
	}
}

// base is the common layout, parsed once.
var base = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs((&rendering{}).funcs()).ParseFS(ownTemplates, "templates/layout.html", "templates/form.html", "templates/passkey.html"))
})

// view is what the layout sees.
type view struct {
	Page      any
	Flash     string
	Banner    []phrase
	Alarm     string // with AlarmAt, where to look
	AlarmAt   string
	Actor     access.Actor
	Signed    bool
	Console   bool // may open the console
	Operating bool // is on a page for operators
	Org       Org
	Nav       []navLink

	Lang, Theme string
	Scheme      string         // for browsers, until the style sheet is there
	Languages   []languageLink // for those who are not signed in
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
	c, ok := p.byName[name]
	if !ok {
		return fmt.Errorf("no page %q", name)
	}
	s := stateOf(r)
	to := ReaderIn(r)
	v := view{Page: data, Flash: takeFlash(w, r), Org: s.org, Lang: to.Code(), Theme: s.prefs.Theme, Scheme: cmp.Or(s.prefs.Theme, "light dark")}
	if s.mux != nil {
		v.Actor = Actor(r)
		v.Signed = v.Actor.Signed()
		v.Console = v.Signed && v.Actor.May(access.ViewUsers)
		v.Nav, v.Operating = s.nav(r), s.operating
		if s.mux.opts.Alarm != nil && s.org.Slug != "" && v.Actor.May(access.Configure) {
			v.Alarm, v.AlarmAt = s.mux.opts.Alarm(r)
		}
		if s.mux.opts.Banner != nil {
			v.Banner = phrases(to.Say(s.mux.opts.Banner()))
		}
		if !v.Signed {
			v.Languages = s.languages(r, to)
		}
	}
	made := c.take()
	made.to = to
	var b bytes.Buffer
	err := made.page.ExecuteTemplate(&b, "layout", v)
	c.put(made)
	if err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err = b.WriteTo(w)
	return err
}

// nav is the console's navigation for this actor in this organization.
func (s *state) nav(r *http.Request) []navLink {
	items := s.mux.opts.Nav
	switch {
	case s.operating:
		items = s.mux.opts.OperatorNav
	case s.org.Slug == "" || !s.actor.Signed():
		return nil
	}
	var links []navLink
	best, longest := -1, 0 // the longest path that we are under is the current one
	for _, item := range items {
		if !s.actor.May(item.Need) {
			continue
		}
		links = append(links, navLink{Label: item.Label, Path: strings.ReplaceAll(item.Path, "{org}", s.org.Slug)})
		for _, path := range append([]string{item.Path}, item.Also...) {
			path = strings.ReplaceAll(path, "{org}", s.org.Slug)
			if under := r.URL.Path == path || strings.HasPrefix(r.URL.Path, path+"/"); under && len(path) > longest {
				best, longest = len(links)-1, len(path)
			}
		}
	}
	if best >= 0 {
		links[best].Current = true
	}
	return links
}
