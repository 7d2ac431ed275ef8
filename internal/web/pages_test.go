package web

import (
	"html/template"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
)

func TestTimesAreForPeople(t *testing.T) {
	t.Parallel()
	for in, want := range map[any]string{
		"2026-11-22T02:56:22.949Z": `<time datetime="2026-11-22T02:56:22Z">22 Nov 2026, 02:56 UTC</time>`,
		time.Unix(0, 0):            "never",
		"<soon>":                   "&lt;soon&gt;",
	} {
		p := rendering{}
		if got := string(p.timeTag(in, p.to.When)); got != want {
			t.Errorf("when(%v) = %s, want %s", in, got, want)
		}
	}
	p := rendering{to: ReaderOf("de", "Europe/Berlin")}
	want := `<time datetime="2026-11-22T23:56:22Z" title="22. Nov. 2026, 23:56 UTC">23. Nov. 2026</time>`
	if got := string(p.timeTag("2026-11-22T23:56:22Z", p.to.Day)); got != want {
		t.Errorf("day in Berlin = %s, want %s", got, want)
	}
}

// Sentences come from us; what is put into them does not.
func TestArgumentsOfSentencesAreNoMarkup(t *testing.T) {
	t.Parallel()
	p := rendering{}
	const evil = `<img src=x onerror="a">`
	const tame = `&lt;img src=x onerror=&#34;a&#34;&gt;`
	type status string
	said := func(sentence any, args ...any) any {
		got, err := p.t(sentence, args...)
		if err != nil {
			t.Error(err)
		}
		return got
	}
	for _, c := range []struct{ got, want any }{
		{said(Say("Hello %s", evil)), "Hello " + evil},
		{said("%s", Say("Hello %s", evil)), "Hello " + evil},
		{p.h("<i>%s</i>", Say("Hello %s", evil)), template.HTML("<i>Hello " + tame + "</i>")},
		{said("Hello %s", evil), "Hello " + evil}, // text: the template escapes it
		{said("Hello %s & %s", evil, template.HTML("<b>x</b>")), template.HTML("Hello " + tame + " &amp; <b>x</b>")},
		{said(evil+"%s", template.HTML("<b>x</b>")), template.HTML(tame + "<b>x</b>")},
		{p.h("Ask <b>%s</b>, %d, %s, %s", evil, 7, status(evil), fault.Word(evil)), template.HTML("Ask <b>" + tame + "</b>, 7, " + tame + ", " + tame)},
	} {
		if c.got != c.want {
			t.Errorf("got %T %s, want %T %s", c.got, c.got, c.want, c.want)
		}
	}
}
