package web

import (
	"html/template"
	"strings"
	"testing"
	"testing/fstest"
)

// What others wrote neither turns our words round nor leaves a hole in the page, wherever a
// template writes it; what forms send back is as it is stored.
func TestTemplatesShowOthers(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"templates/x.html": {Data: []byte(`{{define "title"}}{{.N}}{{end}}{{define "main"}}` +
		`<p>{{.N}}|{{if .N}}<b class="x">{{.N}}</b>{{end}}|{{t "Hi %s" .N}}|{{n 2 "%d %s" "%d of %s" .N}}|{{h "<i>%s</i>" .N}}|{{join .L ", "}}|{{t .N}}</p>` +
		`<input value="{{.N}}"><a href="{{.N}}" title="{{.N}}">x</a><textarea name="a">{{.N}}</textarea><td>{{range .L}}{{.}};{{end}}{{with .K}}{{.}}{{end}}</td><u>{{.M}}</u>{{end}}`)}}
	type kind string
	page := func(name string) string {
		p := MustPages(files, "templates/*.html").byName["x"].take()
		p.to = Reader{OnPage: true}
		var b strings.Builder
		if err := p.page.ExecuteTemplate(&b, "main", map[string]any{"N": name, "L": []string{name}, "K": kind(name), "M": template.HTML("<s>" + name + "</s>")}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	const turned = "a\u202eb"
	want := `<p>X|<b class="x">X</b>|Hi X|2 of X|<i>X</i>|X|X</p><input value="` + turned + `"><a href="a%e2%80%aeb" title="` + turned + `">x</a><textarea name="a">` + turned + `</textarea><td>X;X</td><u><s>` + turned + `</s></u>`
	if got, want := page(turned), strings.ReplaceAll(want, "X", "\u2068"+turned+"\u2069"); got != want {
		t.Errorf("got  %+q\nwant %+q", got, want)
	}
	if got, want := page("\u200b"), "<p>[U&#43;200B]|"; !strings.HasPrefix(got, want) {
		t.Errorf("%+q does not begin with %s", got, want)
	}
	if got := page("Zoë & Łukasz"); strings.ContainsAny(got, "\u2068\u2069") || !strings.Contains(got, "Hi Zoë &amp; Łukasz") {
		t.Errorf("a name that needs nothing: %+q", got)
	}
}
