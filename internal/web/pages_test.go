package web

import (
	"testing"
	"time"
)

func TestTimesAreForPeople(t *testing.T) {
	t.Parallel()
	for in, want := range map[any]string{
		"2026-11-22T02:56:22.949Z": `<time datetime="2026-11-22T02:56:22Z">22 Nov 2026, 02:56 UTC</time>`,
		time.Unix(0, 0):            "never",
		"<soon>":                   "&lt;soon&gt;",
	} {
		if got := string(when(in)); got != want {
			t.Errorf("when(%v) = %s, want %s", in, got, want)
		}
	}
}
