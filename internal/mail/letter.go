package mail

import (
	"embed"
	"html/template"
	"strings"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates
var templates embed.FS

var letterHTML = template.Must(template.ParseFS(templates, "templates/letter.html"))

// Letter is what our mails look like: a few sentences, at most one button with the
// bare link below it, and small print. Text and HTML come from the same words.
type Letter struct {
	Subject  string
	Greeting string   // "Hello Ada,"
	Lines    []string // a paragraph each
	Button   string   // what the link does; empty: no link
	Link     string
	Small    []string // until when, and what to do when it was not expected
	Reader   web.Reader
}

// ReaderOf is in which language and on which clock a person reads letters: as the
// person chose, else as the organization did.
func ReaderOf(tx *store.Tx, user store.UserID) (web.Reader, error) {
	l, err := tx.LocaleOf(user)
	return web.ReaderOf(l.Language, l.TimeZone), err
}

// Lang and Hint are for the frame around the words.
func (l Letter) Lang() string { return l.Reader.Code() }

func (l Letter) Hint() string { return l.Reader.T("If the button does not work, open this address:") }

// To addresses the letter.
func (l Letter) To(address string) Message {
	l.Greeting, l.Lines, l.Small = oneLine(l.Greeting), oneLines(l.Lines), oneLines(l.Small)
	var text strings.Builder
	paragraph := func(s string) {
		if s != "" {
			text.WriteString(s + "\n\n")
		}
	}
	paragraph(l.Greeting)
	for _, line := range l.Lines {
		paragraph(line)
	}
	if l.Button != "" {
		paragraph(l.Button + ":\n" + l.Link)
	}
	for _, line := range l.Small {
		paragraph(line)
	}
	var html strings.Builder
	if err := letterHTML.Execute(&html, l); err != nil {
		html.Reset() // the text says the same
	}
	return Message{To: address, Subject: l.Subject, Text: strings.TrimSpace(text.String()) + "\n", HTML: html.String()}
}

// oneLine keeps a sentence in its paragraph, whatever line breaks a name in it has.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func oneLines(list []string) []string {
	clean := make([]string, len(list))
	for i, s := range list {
		clean[i] = oneLine(s)
	}
	return clean
}
