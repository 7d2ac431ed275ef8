package texts

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones are there where the machine has none

	_ "embed"

	"github.com/muster-id/muster/internal/fault"
)

// Reader is who reads: in which language, and what the clock says there. The zero
// Reader reads English and UTC.
type Reader struct {
	Language *Language
	Zone     *time.Location
	OnPage   bool // what others wrote is Shown in sentences
}

// ReaderOf takes what somebody chose, "" for nothing. What we do not have is left out.
func ReaderOf(language, zone string) Reader {
	return Reader{Language: Find(language), Zone: Zone(zone)}
}

//go:embed zones.txt
var zoneList string

// Zones are the names of the time zones that people choose from, by continent.
var Zones = sync.OnceValue(func() []string { return strings.Fields(zoneList) })

var zones sync.Map // string -> *time.Location: reading one each time costs a file

// Zone is the place with this name; nil, which is UTC, when there is none.
func Zone(name string) *time.Location {
	if name == "" || name == "UTC" || name == "Local" {
		return nil
	}
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location)
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	zones.Store(name, z)
	return z
}

// Code is the language for <html lang>.
func (r Reader) Code() string {
	if r.Language == nil {
		return English.Code
	}
	return r.Language.Code
}

// T is an English sentence in the reader's language. Without arguments it is taken
// letter by letter, with them it is a format for fmt. An argument that is a time is
// shown as the reader's clock has it, a fault.Word and a fault.Some are translated, an error is Kept.
func (r Reader) T(english string, args ...any) string {
	return r.fill(r.Language.Sentence(english), args)
}

// N is a sentence about n of something: one or other, as English has it. n is the
// first argument of both, which one need not have.
func (r Reader) N(n int, one, other string, args ...any) string {
	form := r.Language.form(n, one, other)
	args = append([]any{Count(n)}, args...)
	if verbs(form) < len(args) && !strings.Contains(form, "%[") {
		args = args[1:]
	}
	if len(args) == 0 { // all the same a format: both forms are written alike
		return strings.ReplaceAll(form, "%%", "%")
	}
	return r.fill(form, args)
}

// verbs counts them.
func verbs(format string) (n int) {
	for i := 0; i < len(format); i++ {
		if format[i] == '%' {
			if i+1 < len(format) && format[i+1] == '%' {
				i++
				continue
			}
			n++
		}
	}
	return n
}

// Fault is the sentence of a fault. It tells false when err brings none.
func (r Reader) Fault(err error) (string, bool) {
	public := fault.Public(err)
	if public == "" {
		return "", false
	}
	format, args := fault.Said(err)
	if len(args) == 0 {
		if said := r.Language.Sentence(format); said != format {
			return strings.ReplaceAll(said, "%%", "%"), true
		}
		return public, true
	}
	return r.fill(r.Language.Sentence(format), args), true
}

// fill puts the arguments into a sentence that is already in the language.
func (r Reader) fill(sentence string, args []any) string {
	if len(args) == 0 {
		return sentence
	}
	own := slices.Clone(args)
	for i, a := range own {
		switch a := a.(type) {
		case string:
			if r.OnPage {
				own[i] = shown(a)
			}
		case Count:
		case int, int64:
			own[i] = Number{a}
		case fault.Word:
			own[i] = r.Language.Sentence(string(a))
		case fault.Some:
			own[i] = r.N(a.N, a.One, a.Other)
		case Said:
			own[i] = r.Say(a)
		case error:
			if s, ok := r.Fault(a); ok {
				own[i] = s
			} else {
				own[i] = r.Kept(a.Error())
			}
		case kept:
			own[i] = r.Kept(string(a))
		default:
			if t, ok := Moment(a); ok {
				own[i] = r.When(t)
			}
		}
	}
	return fmt.Sprintf(sentence, own...)
}

// Number is one that %s takes as well as %d, so that a sentence need not know.
type Number struct{ N any }

// Format is for fmt.
func (n Number) Format(f fmt.State, verb rune) {
	if verb == 's' {
		verb = 'd'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), n.N)
}

// Count is a number that is written in groups of three digits: 1 204.
type Count int

// Format is for fmt; any verb will do.
func (c Count) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

func (c Count) String() string {
	s := fmt.Sprint(int(c))
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// Moment reads a time.Time, or anything with a Time method; ok is false for others.
func Moment(v any) (t time.Time, ok bool) {
	switch v := v.(type) {
	case time.Time:
		return v.UTC(), true
	case interface{ Time() time.Time }:
		return v.Time().UTC(), true
	}
	return t, false
}

// How times look. A catalogue may turn the parts round: it has these, too, and the
// names of months and days.
const (
	fullTime  = "2 Jan 2006, 15:04 MST"
	clockTime = "2 Jan 2006, 15:04"
	dayOnly   = "2 Jan 2006"
	longTime  = "Monday, 2 January 2006, 15:04 MST"
	longDay   = "2 January 2006"
	never     = "never"
)

// When is a time in short, "never" when it is unset.
func (r Reader) When(t time.Time) string { return r.date(t, fullTime) }

// Clock is When for whoever says next to it where the clock hangs.
func (r Reader) Clock(t time.Time) string { return r.date(t, clockTime) }

// Day is the date alone.
func (r Reader) Day(t time.Time) string { return r.date(t, dayOnly) }

// LongTime is for letters: the day of the week and the whole name of the month.
func (r Reader) LongTime(t time.Time) string { return r.date(t, longTime) }

// LongDay is LongTime without the clock.
func (r Reader) LongDay(t time.Time) string { return r.date(t, longDay) }

// UTC is When where the clock of the server is meant.
func (r Reader) UTC(t time.Time) string { return Reader{Language: r.Language}.When(t) }

func (r Reader) date(t time.Time, layout string) string {
	if t.IsZero() || t.UnixMicro() == 0 {
		return r.Language.Sentence(never)
	}
	if r.Zone == nil {
		t = t.UTC()
	} else {
		t = t.In(r.Zone)
	}
	layout = r.Language.Sentence(layout)
	if r.Language == nil || r.Language.entries == nil {
		return format(t, layout)
	}
	// Names are of the language; the rest is digits.
	var b strings.Builder
	for layout != "" {
		at, name := len(layout), ""
		for _, n := range []string{"January", "Jan", "Monday", "Mon"} {
			if i := strings.Index(layout, n); i >= 0 && i < at {
				at, name = i, n
			}
		}
		b.WriteString(format(t, layout[:at]))
		if name != "" {
			b.WriteString(r.Language.Sentence(t.Format(name)))
		}
		layout = layout[at+len(name):]
	}
	return b.String()
}

// format is t.Format, but of a zone without a name it says that it is one.
func format(t time.Time, layout string) string {
	if name, _ := t.Zone(); name != "" && (name[0] == '+' || name[0] == '-') {
		layout = strings.ReplaceAll(layout, "MST", "UTCMST")
	}
	return t.Format(layout)
}
