package texts

import (
	"errors"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
)

// polish has more forms than two, and turns words round.
const polish = `{"_name": "Polski", "%d people": {"one": "%d osoba", "few": "%d osoby", "many": "%d osób", "other": "%d osoby"},
	"%s invites %s": "%[2]s ma zaproszenie od %[1]s", "invitation": "zaproszenie", "There is no %s %q.": "Nie ma %s %q.", "Full to 100%%.": "Pełne w 100%%."}`

func TestSentences(t *testing.T) {
	t.Parallel()
	l, err := read("pl", []byte(polish))
	if err != nil {
		t.Fatal(err)
	}
	pl, en := Reader{Language: l}, Reader{}
	kept := fault.NotFound.Say("There is no %s %q.", fault.Word("invitation"), "<7>")
	said := func(r Reader, err error) string {
		s, _ := r.Fault(err)
		return s
	}
	for _, c := range []struct{ what, got, want string }{
		{"one, few, many by the language's rules", pl.N(1, "one person", "%d people") + ", " + pl.N(3, "one person", "%d people") + ", " + pl.N(5, "one person", "%d people"), "1 osoba, 3 osoby, 5 osób"},
		{"English forms", en.N(1, "one person", "%d people") + ", " + en.N(1204, "one person", "%d people"), "one person, 1\u202f204 people"},
		{"a form without the number", en.N(1, "one person of %s", "%d people of %s", "Acme"), "one person of Acme"},
		{"the order is the language's", pl.T("%s invites %s", "Ada", "Bo"), "Bo ma zaproszenie od Ada"},
		{"what is missing stays English", pl.T("Hello %s", "Ada"), "Hello Ada"},
		{"no arguments: letter by letter", en.T("100% of %s"), "100% of %s"},
		{"a fault and a word of ours in it", said(pl, kept), `Nie ma zaproszenie "<7>".`},
		{"a fault around a fault", said(pl, errors.Join(errors.New("x"), fault.Invalid.Over("name", kept))), `Nie ma zaproszenie "<7>".`},
		{"the same for machines", fault.Public(kept), `There is no invitation "<7>".`},
		{"a count in a fault", said(pl, fault.Conflict.Say("There is no %s %q.", fault.Count(5, "%d person", "%d people"), "x")), `Nie ma 5 osób "x".`},
		{"the same for machines", fault.Public(fault.Conflict.Say("%s, %s", fault.Count(1, "%d person", "%d people"), fault.Count(0, "%d person", "%d people"))), "1 person, 0 people"},
		{"a fault with a percent sign", said(pl, fault.Invalid.Say("Full to 100%%.")) + said(en, fault.Invalid.Say("Full to 100%%.")), "Pełne w 100%.Full to 100%."},
		{"no fault", said(pl, errors.New("x")), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
}

func TestTimesAreTheReaders(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)
	berlin, nowhere, kabul := ReaderOf("de-AT", "Europe/Berlin"), ReaderOf("tlh", "Moon/Base"), ReaderOf("", "Asia/Kabul")
	for _, c := range []struct{ got, want string }{
		{nowhere.When(at), "1 Mar 2026, 23:30 UTC"},
		{nowhere.LongTime(at), "Sunday, 1 March 2026, 23:30 UTC"},
		{berlin.When(at), "2. März 2026, 00:30 CET"},
		{berlin.Day(at), "2. März 2026"},
		{berlin.LongTime(at), "Montag, 2. März 2026, 00:30 CET"},
		{berlin.LongDay(at.AddDate(0, 2, 0)), "2. Mai 2026"},
		{berlin.UTC(at), "1. März 2026, 23:30 UTC"},
		{kabul.When(at), "2 Mar 2026, 04:00 UTC+0430"},
		{berlin.When(time.Time{}), "nie"},
		{berlin.T("%s", at), "2. März 2026, 00:30 CET"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestTheLanguageThatSuitsBest(t *testing.T) {
	t.Parallel()
	for wish, want := range map[string]string{
		"de": "de", "de-CH": "de", "fr;q=0.9, de;q=0.5, en;q=0.1": "de", "en-GB,de": "en",
		"": "", "ja": "", "<script>": "", "*": "", "de\x00": "",
	} {
		got := ""
		if l := Find(wish); l != nil {
			got = l.Code
		}
		if got != want {
			t.Errorf("Find(%q) = %q, want %q", wish, got, want)
		}
	}
}

func TestBadCataloguesAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{`{}`, `{"_name": "X", "a": {"one": "b"}}`, `{"_name": "X", "a": {"dozen": "b", "other": "c"}}`, `{"_name": "X", "a": 1}`, `[`} {
		if _, err := read("de", []byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if _, err := read("not a language", []byte(`{"_name": "X"}`)); err == nil {
		t.Error("a file that is named after no language was read")
	}
}

func TestEveryZoneOfTheListIsThere(t *testing.T) {
	t.Parallel()
	for _, name := range Zones() {
		if Zone(name) == nil && name != "UTC" {
			t.Errorf("%s cannot be loaded", name)
		}
	}
	if len(Zones()) < 400 {
		t.Errorf("%d zones", len(Zones()))
	}
}
