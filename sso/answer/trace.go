package answer

// Check is one step of examining a sign-in, for the administrator: what was
// looked at, what had to be there, what was there. Never shown to the person
// who signs in: Got holds text that the other side sent.
type Check struct {
	Name     string `json:"name"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	OK       bool   `json:"ok"`
	Hint     string `json:"hint,omitempty"` // the setting at the identity provider to change
}

// Trace is the list of checks in the order they were made. The first failed
// one is the reason of the refusal.
type Trace []Check

// Failed is the first failed check; ok is false when there is none.
func (t Trace) Failed() (c Check, ok bool) {
	for _, c := range t {
		if !c.OK {
			return c, true
		}
	}
	return Check{}, false
}

// GotLimit bounds what a trace repeats of the other side's text.
const GotLimit = 300

// Add records a check and gives ok back.
func (t *Trace) Add(c Check) bool {
	c.Got = Clip(c.Got, GotLimit)
	*t = append(*t, c)
	return c.OK
}

// Clip shortens s to at most n bytes at a character border.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
