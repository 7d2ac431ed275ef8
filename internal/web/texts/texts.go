// Package texts says our sentences in the language of whoever reads them.
//
// The English sentence is its own name: code and templates hold it, a catalogue says
// it in another language. A catalogue is one file here, de.json, from the English
// sentence to the other one, with the same verbs for fmt (%[2]s where the order
// differs); a sentence about a number has an object instead, a sentence for each form
// that the language's plural rules know. "_name" is what the language calls itself. A
// further file adds a language; nothing else has to change. What a catalogue does not
// have stays English: internal/house looks for it, so that it is found by the tests
// and not by people.
//
//	r.T("Only %s may do this.", name)
//	r.N(n, "one person", "%d people")
//
// Translated is what people read: pages, mails, refusals on pages. Not translated are
// what machines and their keepers read (SCIM, SAML, OIDC, REST answers, logs, the
// command line, names of activity actions), what must be the same word in every
// language to be found (the vendors' guides and the names of fields and menus in a vendor's console), and the
// documentation. What was said to a machine and is shown to people as well (why a SCIM
// request was refused, what a SAML or OIDC check expected and received) is read back
// for the page, see Reader.Kept.
package texts

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed *.json
var files embed.FS

// Language is one that we speak. Nil is English.
type Language struct {
	Tag     language.Tag
	Code    string // "de"
	Name    string // "Deutsch"
	entries map[string]Entry
}

// Entry is what a catalogue has for one English sentence: One, or Forms by the plural
// rules.
type Entry struct {
	One   string
	Forms map[plural.Form]string
}

var formNames = map[string]plural.Form{"zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many, "other": plural.Other}

// UnmarshalJSON reads a sentence or an object of forms.
func (e *Entry) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &e.One)
	}
	var named map[string]string
	if err := json.Unmarshal(b, &named); err != nil {
		return err
	}
	e.Forms = map[plural.Form]string{}
	for name, s := range named {
		form, ok := formNames[name]
		if !ok {
			return fmt.Errorf("%q is no form of a plural", name)
		}
		e.Forms[form] = s
	}
	if e.Forms[plural.Other] == "" {
		return fmt.Errorf(`the form "other" is missing`)
	}
	return nil
}

// English is what the code is written in.
var English = &Language{Tag: language.English, Code: "en", Name: "English"}

// All are the languages that we speak, English first. Most commands need none.
var All = sync.OnceValue(load)

var matcher = sync.OnceValue(func() language.Matcher { return newMatcher(All()) })

func load() []*Language {
	list := []*Language{English}
	names, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	for _, f := range names {
		text, err := files.ReadFile(f.Name())
		if err != nil {
			panic(err)
		}
		l, err := read(strings.TrimSuffix(path.Base(f.Name()), ".json"), text)
		if err != nil {
			panic(fmt.Sprintf("texts: %s: %v", f.Name(), err))
		}
		list = append(list, l)
	}
	slices.SortStableFunc(list[1:], func(a, b *Language) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// read makes a language of a catalogue.
func read(code string, text []byte) (*Language, error) {
	l := &Language{Code: code}
	var err error
	if l.Tag, err = language.Parse(code); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &l.entries); err != nil {
		return nil, err
	}
	if l.Name = l.entries["_name"].One; l.Name == "" {
		return nil, fmt.Errorf(`"_name", what the language calls itself, is missing`)
	}
	delete(l.entries, "_name")
	return l, nil
}

func newMatcher(list []*Language) language.Matcher {
	tags := make([]language.Tag, len(list))
	for i, l := range list {
		tags[i] = l.Tag
	}
	return language.NewMatcher(tags)
}

// Find is the language that suits a wish best: a code ("de-AT") or what a browser
// sends in Accept-Language. Nil: we speak none of them.
func Find(wish string) *Language {
	if wish == "" || len(wish) > 400 {
		return nil
	}
	for _, l := range All() {
		if l.Code == wish {
			return l
		}
	}
	tags, _, err := language.ParseAcceptLanguage(wish)
	if err != nil || len(tags) == 0 {
		return nil
	}
	_, i, sure := matcher().Match(tags...)
	if sure == language.No {
		return nil
	}
	return All()[i]
}

// Entries are the sentences of the catalogue, for tests.
func (l *Language) Entries() map[string]Entry { return l.entries }

// Sentence is what the language has for an English one, which is the answer when it
// has nothing.
func (l *Language) Sentence(english string) string {
	if l == nil || l.entries == nil {
		return english
	}
	if e, ok := l.entries[english]; ok && e.One != "" {
		return e.One
	}
	return english
}

// form is the sentence about n of something. Its name is the English one about many.
func (l *Language) form(n int, one, other string) string {
	if l != nil {
		if e, ok := l.entries[other]; ok && e.Forms != nil {
			if s := e.Forms[plural.Cardinal.MatchPlural(l.Tag, abs(n), 0, 0, 0, 0)]; s != "" {
				return s
			}
			return e.Forms[plural.Other]
		}
	}
	if n == 1 {
		return one
	}
	return other
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
