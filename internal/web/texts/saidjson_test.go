package texts_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/texts"
)

// The sentence of a fault is kept with its arguments; a text that was kept alone stays one.
func TestFaultsAreStored(t *testing.T) {
	t.Parallel()
	for _, err := range []error{fault.Invalid.Say("Line %d is longer than %d kB. Is this the right file?", int64(7), 64), fault.NotFound.Say("There is no such role."), fault.Invalid.Say("100%% of %s", fault.Word("Saved.")),
		fault.Invalid.Say("The file has %s, and not %d as was chosen. Look at the columns again.", fault.Count(1, "%d column", "%d columns"), 3),
		errors.Join(fault.Invalid.Say("Fill this cell."), fault.Invalid.Say("Keep one of the two lines.")), fault.Invalid.Say("Full to 100%%."), errors.New("x")} {
		text, failed := json.Marshal(texts.SaidBy(err))
		var back texts.Said
		if failed = errors.Join(failed, json.Unmarshal(text, &back)); failed != nil {
			t.Fatal(failed)
		}
		if back.String() != fault.Public(err) {
			t.Errorf("%q, want %q (stored as %s)", back, fault.Public(err), text)
		}
		if de := texts.ReaderOf("de", ""); len(fault.All(err)) == 1 {
			if want, _ := de.Fault(err); de.Say(back) != want {
				t.Errorf("in German: %q, want %q", de.Say(back), want)
			}
		}
	}
	var old texts.Said
	if err := json.Unmarshal([]byte(`"100% kept."`), &old); err != nil || old.String() != "100% kept." {
		t.Errorf("%q, %v", old, err)
	}
}

// A sentence that was stored is said as it would have been at once, in every language.
func TestSentencesAreStored(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for _, s := range []texts.Said{{}, texts.Say("Saved."), texts.Say("%s ends on %s.", "A <b>", at), texts.Say("%d of %d, %s", 3, 4, texts.Say("Saved.")), texts.SayN(2, "one day", "%d days"),
		texts.SaidBy(errors.Join(fault.Invalid.Say("%s is %d bytes long; at most %d are possible.", fault.Word("The title"), 300, int64(200)), fault.Invalid.Say("Saved."))),
		texts.Say("%s: %s", "A", fault.Invalid.Say("%s is %d bytes long; at most %d are possible.", fault.Word("The title"), 300, 200))} {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back texts.Said
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		for _, language := range []string{"", "de"} {
			r := texts.ReaderOf(language, "Europe/Berlin")
			if got, want := r.Say(back), r.Say(s); got != want {
				t.Errorf("%s: %q, want %q (stored as %s)", language, got, want, text)
			}
		}
	}
}
