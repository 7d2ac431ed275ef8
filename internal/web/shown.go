package web

import (
	"html/template"
	"reflect"
	"strings"
	"text/template/parse"

	"github.com/muster-id/muster/internal/web/texts"
)

// showOthers hands all that a page's templates write between tags through texts.Shown, so
// that no template need think of names that turn the direction of writing or show nothing.
// What stands in tags and in text areas is as it is stored: forms send it back.
func showOthers(page *template.Template) {
	for _, t := range page.Templates() {
		if t.Tree != nil {
			(&marker{}).walk(t.Tree.Root)
		}
	}
}

// marker goes through a template in the order of its text.
type marker struct{ inTag, inArea bool }

func (m *marker) walk(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			m.read(string(n.Text))
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 && !m.inTag && !m.inArea && !sentence(n.Pipe) {
				n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{parse.NewIdentifier("shown").SetTree(nil).SetPos(n.Pos)}})
			}
		case *parse.IfNode:
			m.both(n.List, n.ElseList)
		case *parse.RangeNode:
			m.both(n.List, n.ElseList)
		case *parse.WithNode:
			m.both(n.List, n.ElseList)
		}
	}
}

func (m *marker) both(a, b *parse.ListNode) {
	m.walk(a)
	m.walk(b)
}

func (m *marker) read(text string) {
	if begin, end := strings.LastIndexByte(text, '<'), strings.LastIndexByte(text, '>'); begin != end {
		m.inTag = begin > end
	}
	if strings.HasSuffix(text, `="`) { // in a part that holds attributes alone
		m.inTag = true
	}
	if begin, end := strings.LastIndex(text, "<textarea"), strings.LastIndex(text, "</textarea"); begin != end {
		m.inArea = begin > end
	}
}

// sentence tells of one with arguments, which are looked at one by one.
func sentence(pipe *parse.PipeNode) bool {
	first := pipe.Cmds[0].Args
	name, is := first[0].(*parse.IdentifierNode)
	return is && len(pipe.Cmds) == 1 && (name.Ident == "t" && len(first) > 2 || name.Ident == "n")
}

// shown leaves alone what is no text, and markup of ours.
func shown(v any) any {
	switch v := v.(type) {
	case string:
		return texts.Shown(v)
	case template.HTML, template.HTMLAttr, template.URL, template.CSS, template.JS, template.JSStr, template.Srcset:
		return v
	}
	if s := reflect.ValueOf(v); s.Kind() == reflect.String {
		if said := texts.Shown(s.String()); said != s.String() {
			return said
		}
	}
	return v
}
