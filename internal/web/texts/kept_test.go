package texts

import (
	"errors"
	"strings"
	"testing"
)

func TestKeptSentencesAreReadBack(t *testing.T) {
	t.Parallel()
	german := ReaderOf("de", "")
	for text, want := range map[string]string{
		"": "",
		"The body is empty. Send one JSON object.": "Der Inhalt ist leer. Senden Sie ein JSON-Objekt.",
		// A field in front, arguments of all kinds, phrases of ours among them.
		`userName: No seat of this organization is free: its limit is 3. Ask for more.`:                                                      "userName: Kein Platz dieser Organisation ist frei: Ihre Grenze ist 3. Ask for more.",
		`At byte 9 stands the end: want an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr).`:                                             "Bei Byte 9 steht das Ende: Erwartet wird ein Operator (eq, ne, co, sw, ew, gt, ge, lt, le oder pr).",
		`"a\"b" is not an attribute of this resource; see /Schemas.`:                                                                         `"a\"b" ist kein Attribut dieser Ressource; siehe /Schemas.`,
		`The body has half of a surrogate pair (\ud800), which is no character.`:                                                             `Der Inhalt hat die Hälfte eines Ersatzpaars (\ud800), die kein Zeichen ist.`,
		`active is a boolean: want true or false, got "x".`:                                                                                  `active ist ein Wahrheitswert: Erwartet wird true oder false, gekommen ist "x".`,
		`password: A password can be replaced, not removed. To end somebody's access, send active false.`:                                    `password: Ein Passwort kann ersetzt, aber nicht entfernt werden. Senden Sie active false, um jemandem den Zugang zu nehmen.`,
		"2 of 3 operations failed. Operation 1, POST /Users: 400, userName is required. Operation 3, PUT /Users: 404, User \"9\" not found.": "2 von 3 Vorgängen fehlgeschlagen. Vorgang 1, POST /Users: 400, userName ist nötig. Vorgang 3, PUT /Users: 404, User \"9\" wurde nicht gefunden.",
		// What is none of ours, and names.
		"Sales and marketing":   "Sales and marketing",
		"Settings":              "Settings",
		"a; b. c: d":            "a; b. c: d",
		"urn:x: The unheard of": "urn:x: The unheard of",
	} {
		if got := german.Kept(text); got != want {
			t.Errorf("%q is said as\n%q, want\n%q", text, got, want)
		}
		if got := (Reader{}).Kept(text); got != text {
			t.Errorf("%q is %q in English", text, got)
		}
	}
	// An error that knows no readers, in a sentence for people; also when that is stored.
	said := Say("A certificate was left out: %s.", errors.New("The body is not valid UTF-8."))
	raw, err := said.MarshalJSON()
	var again Said
	if err == nil {
		err = again.UnmarshalJSON(raw)
	}
	const want = "Ein Zertifikat wurde weggelassen: Der Inhalt ist kein gültiges UTF-8.."
	if err != nil || german.Say(said) != want || german.Say(again) != want || again.String() != said.String() {
		t.Errorf("%v: %q, read again %q (%q)", err, german.Say(said), german.Say(again), again.String())
	}
}

// The text is partly somebody else's: reading it back ends soon, whatever it is.
func TestKeptTextOfOthersIsBounded(t *testing.T) {
	t.Parallel()
	german := ReaderOf("de", "")
	for _, piece := range []string{"a: ", "x; ", "The body is empty. ", "Operation 1, POST /Users: 400, ", `"`, "want ", ". "} {
		german.Kept(strings.Repeat(piece, 4000/len(piece)))
	}
}
