package texts_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/texts"
)

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
