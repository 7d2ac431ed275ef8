// Package webtest checks what every page of ours must have, on structure and
// not on text: language, title, one h1, skip link, labelled controls, unique
// ids, no script that the policy does not allow, no inline style.
package webtest

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Page parses a page and fails the test for each rule that it breaks. scripts are
// those whose hash the page's policy allows, letter by letter.
func Page(t testing.TB, body string, scripts ...string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatalf("parse page: %v", err)
	}
	c := checker{t: t, ids: map[string]int{}, labels: map[string]bool{}, scripts: scripts}
	c.walk(doc)
	c.report()
	return doc
}

// All are the elements with this name, in order.
func All(n *html.Node, name string) []*html.Node {
	var found []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			found = append(found, d)
		}
	}
	return found
}

// Attr is the value of an attribute, "" when missing.
func Attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// Text is the text under a node with single spaces.
func Text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

type checker struct {
	t        testing.TB
	scripts  []string
	ids      map[string]int
	labels   map[string]bool
	controls []*html.Node
	refs     []string // ids that other elements point at
	h1, skip int
	lang     string
	title    string
}

func (c *checker) walk(doc *html.Node) {
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := Attr(n, "id"); id != "" {
			c.ids[id]++
		}
		c.refs = append(c.refs, strings.Fields(Attr(n, "aria-describedby")+" "+Attr(n, "aria-labelledby"))...)
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				c.t.Errorf("<%s> has %s: inline style and script are blocked by our policy", n.Data, a.Key)
			}
		}
		switch n.Data {
		case "html":
			c.lang = Attr(n, "lang")
		case "title":
			c.title = Text(n)
		case "h1":
			c.h1++
		case "script", "style":
			if n.FirstChild != nil && slices.Contains(c.scripts, n.FirstChild.Data) {
				continue
			}
			if n.FirstChild == nil && strings.HasPrefix(Attr(n, "src"), "/static/") {
				continue // our own file, which the page's policy allows
			}
			c.t.Errorf("<%s> in the page: our policy blocks it", n.Data)
		case "label":
			c.labels[Attr(n, "for")] = true
		case "a":
			if Attr(n, "class") == "skip" {
				c.skip++
			}
		case "img":
			if _, ok := attr(n, "alt"); !ok {
				c.t.Errorf("<img src=%q> has no alt", Attr(n, "src"))
			}
		case "input", "select", "textarea":
			if Attr(n, "type") != "hidden" {
				c.controls = append(c.controls, n)
			}
		case "button":
			if Text(n) == "" && Attr(n, "aria-label") == "" {
				c.t.Error("a <button> has no name")
			}
		}
	}
}

func (c *checker) report() {
	c.t.Helper()
	if c.lang == "" {
		c.t.Error("<html> has no lang")
	}
	if strings.Trim(c.title, " ·") == "" || strings.HasPrefix(c.title, "·") {
		c.t.Errorf("title is %q", c.title)
	}
	if c.h1 != 1 {
		c.t.Errorf("page has %d <h1>, want 1", c.h1)
	}
	if c.skip != 1 || c.ids["main"] != 1 {
		c.t.Errorf("page has %d skip links and %d #main, want one each", c.skip, c.ids["main"])
	}
	for id, n := range c.ids {
		if n > 1 {
			c.t.Errorf("id %q stands %d times", id, n)
		}
	}
	for _, id := range c.refs {
		if c.ids[id] == 0 {
			c.t.Errorf("aria refers to missing id %q", id)
		}
	}
	for _, n := range c.controls {
		if !c.labels[Attr(n, "id")] && Attr(n, "aria-label") == "" && Attr(n, "aria-labelledby") == "" {
			c.t.Errorf("<%s name=%q> has no label", n.Data, Attr(n, "name"))
		}
	}
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}
