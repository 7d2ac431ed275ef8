package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/texts"
)

// Reader is who reads a page or a mail: language and time zone.
type Reader = texts.Reader

// ReaderOf takes a language and a time zone that somebody chose, "" for nothing.
func ReaderOf(language, zone string) Reader { return texts.ReaderOf(language, zone) }

// Preferences is how whoever asks wants pages. Empty: not chosen.
type Preferences struct {
	Language, TimeZone string
	Theme              string // "light" or "dark"; "": what the browser prefers
	OrgLanguage        string // what the organization chose, for those whose browser says nothing that we speak
	OrgTimeZone        string
}

// Prefer tells the kit the preferences of whoever asks. Authenticate calls it, so that
// no page has to ask for them.
func Prefer(ctx context.Context, p Preferences) {
	s := stateIn(ctx)
	s.prefs, s.reader = p, nil
}

// ReaderIn is the reader of this request: as the person chose, else as this browser did
// on a page for everybody, else as it asks for by itself, else as the organization did.
func ReaderIn(r *http.Request) Reader {
	s := stateOf(r)
	if s.mux != nil {
		Actor(r) // knows the preferences
	}
	if s.reader == nil {
		s.reader = s.read(r)
	}
	return *s.reader
}

func (s *state) read(r *http.Request) *Reader {
	find := func() *texts.Language {
		if l := texts.Find(s.prefs.Language); l != nil {
			return l
		}
		if l := s.choose(r); l != nil {
			return l
		}
		if c, err := r.Cookie(languageCookie); err == nil {
			if l := texts.Find(c.Value); l != nil {
				return l
			}
		}
		if l := texts.Find(r.Header.Get("Accept-Language")); l != nil {
			return l
		}
		return texts.Find(s.prefs.OrgLanguage)
	}
	zone := texts.Zone(s.prefs.TimeZone)
	if s.prefs.TimeZone == "" {
		zone = texts.Zone(s.prefs.OrgTimeZone)
	}
	return &Reader{Language: find(), Zone: zone, OnPage: true}
}

// The language of a browser that nobody is signed in with. It is no secret and nobody
// gains by planting it, so the name needs no prefix.
const (
	languageCookie = "muster-language"
	languageField  = "lang"
)

// choose takes the language that a link of ours names, and remembers it.
func (s *state) choose(r *http.Request) *texts.Language {
	if r.URL.RawQuery == "" || s.w == nil || r.Method != http.MethodGet {
		return nil
	}
	l := texts.Find(r.URL.Query().Get(languageField))
	if l != nil {
		rememberLanguage(s.w, l.Code)
	}
	return l
}

func rememberLanguage(w http.ResponseWriter, code string) {
	http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: code, Path: "/", MaxAge: 400 * 24 * 3600, HttpOnly: true, Secure: isSecure(w), SameSite: http.SameSiteLaxMode})
}

// languageLink leads to the page in another language.
type languageLink struct {
	Code, Name, Link string
	Current          bool
}

// languages are the links for somebody who is not signed in. The page must be one that
// can be opened again: what only takes a form has no links.
func (s *state) languages(r *http.Request, now Reader) (list []languageLink) {
	if r.Method != http.MethodGet {
		again := &http.Request{Method: http.MethodGet, URL: r.URL, Host: r.Host}
		if _, pattern := s.mux.routes.Handler(again); pattern == "" {
			return nil
		}
	}
	q := url.Values{}
	if r.Method == http.MethodGet {
		q = r.URL.Query()
	}
	if next := q.Get("next"); next != "" {
		q.Set("next", Local(next)) // no link of ours carries another site's address on
	}
	for _, l := range texts.All() {
		q.Set(languageField, l.Code)
		list = append(list, languageLink{Code: l.Code, Name: l.Name, Link: "?" + q.Encode(), Current: l.Code == now.Code()})
	}
	return list
}

// T is a sentence for whoever asks. The English one is its name, see package texts;
// without arguments it is taken letter by letter.
func T(r *http.Request, sentence string, args ...any) string { return ReaderIn(r).T(sentence, args...) }

// N is T for a sentence about n of something.
func N(r *http.Request, n int, one, other string, args ...any) string {
	return ReaderIn(r).N(n, one, other, args...)
}

// Said is a sentence that waits for its reader, see package texts.
type Said = texts.Said

// Say makes a sentence for a page, which shows it with t.
func Say(sentence string, args ...any) Said { return texts.Say(sentence, args...) }

// Notice is what somebody must learn by mail, before it is known who reads it.
type Notice struct {
	Subject Said
	Lines   []Said // a paragraph each
	Button  Said   // what the link does; empty: no link
	Path    string // for admins in their organization's console ("/domains"), for others of the server
}

// SaidBy are the sentences of a fault; zero when err brings none.
func SaidBy(err error) Said { return texts.SaidBy(err) }

// SayN is Say for a sentence about n of something.
func SayN(n int, one, other string, args ...any) Said { return texts.SayN(n, one, other, args...) }

// SentenceIn is Sentence for whoever asks.
func SentenceIn(r *http.Request, err error) string { return sentenceIn(ReaderIn(r), err) }

func sentenceIn(to Reader, err error) string {
	if s, ok := to.Fault(err); ok {
		return s
	}
	return to.T(Sentence(err))
}

// Languages are the choices of a form, by code, each in its own words. nothing is what
// choosing none comes to.
func Languages(nothing string) []Option {
	list := []Option{{Value: "", Label: nothing}}
	for _, l := range texts.All() {
		list = append(list, Option{Value: l.Code, Label: l.Name})
	}
	return list
}

// Zones are the time zones of a form.
func Zones(nothing string) []Option {
	list := []Option{{Value: "", Label: nothing}}
	for _, name := range texts.Zones()[1:] { // the first is UTC
		list = append(list, Option{Value: name, Label: strings.ReplaceAll(name, "_", " ")})
	}
	return list
}

// Themes are the colours of a form.
func Themes() []Option {
	return []Option{{Value: "", Label: "As the browser prefers"}, {Value: "light", Label: "Light"}, {Value: "dark", Label: "Dark"}}
}

// KnownLanguage refuses a language that we do not speak; "" is none.
// Faults: Invalid on "language".
func KnownLanguage(code string) error {
	for _, l := range texts.All() {
		if code == "" || code == l.Code {
			return nil
		}
	}
	return fault.Invalid.On("language", "%.40q is not a language. Choose one from the list.", code)
}

// Know makes sentences that are stored in English and read back for a page.
func Know(formats ...string) texts.Known { return texts.Know(formats...) }

// Who is whoever did something, as a record has kept the name, see package texts.
func Who(name string) Said { return texts.Who(name) }

var givenFor = texts.Know("groups %q")

// GivenFor says for what of an answer a sign-in gave a role or a team, as the reason of it
// is stored: the group list, or an attribute of the provider's.
func GivenFor(detail string) Said { return givenFor.Read(detail) }
