package invite

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/store"
)

// letter is the mail with a link.
func letter(org store.Org, to store.Profile, i Invitation, rules Settings, link string, now store.Time) mail.Message {
	who := i.InvitedBy
	if who == "" {
		who = "An administrator of " + org.Name
	}
	lines := []string{fmt.Sprintf("%s invites you to join %s with the address %s.", who, org.Name, to.Email)}
	lines = append(append(lines, split(rules.Welcome)...), noteLines(who, i.Note)...)
	return mail.Letter{
		Subject:  "Your invitation to " + org.Name,
		Greeting: greeting(to),
		Lines:    append(lines, "Choose a password, and you are in."),
		Button:   "Accept the invitation",
		Link:     link,
		Small:    small(i.ExpiresAt, now),
	}.To(to.Email)
}

// reminder is the mail before a link expires.
func reminder(org store.Org, to store.Profile, i Invitation, link string, now store.Time) mail.Message {
	return mail.Letter{
		Subject:  "Your invitation to " + org.Name + " ends soon",
		Greeting: greeting(to),
		Lines: []string{fmt.Sprintf("You were invited to join %s with the address %s, and have not accepted yet.", org.Name, to.Email),
			fmt.Sprintf("The invitation ends %s. This link leads in, like the one from before.", away(now, i.ExpiresAt))},
		Button: "Accept the invitation",
		Link:   link,
		Small:  small(i.ExpiresAt, now),
	}.To(to.Email)
}

func greeting(to store.Profile) string {
	if to.GivenName != "" {
		return "Hello " + to.GivenName + ","
	}
	return "Hello,"
}

func small(expires, now store.Time) []string {
	return []string{
		fmt.Sprintf("The link works once, until %s (%s). After that, ask for a new one.", moment(expires), away(now, expires)),
		"Opening it changes nothing. If you did not expect this invitation, ignore this mail.",
	}
}

// noteLines say who wrote what in a mail that the server sends.
func noteLines(who, note string) []string {
	lines := split(note)
	if len(lines) > 0 {
		lines[0] = who + " writes: " + lines[0]
	}
	return lines
}

// split is a text of several lines as paragraphs.
func split(text string) (list []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// paragraphs refuses a text that is too long or holds what cannot be read.
func paragraphs(field, label, text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return fault.Invalid.On(field, "%s has %d characters; at most %d are possible.", label, n, most)
	}
	if strings.ContainsFunc(text, func(c rune) bool {
		return unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t' || c == unicode.ReplacementChar
	}) {
		return fault.Invalid.On(field, "%s holds a control character or broken text. Type it again.", label)
	}
	return nil
}

// moment is a time in words, with its zone.
func moment(t store.Time) string { return t.Time().Format("Monday, 2 January 2006, 15:04") + " UTC" }

func day(t store.Time) string { return t.Time().Format("2 January 2006") }

// span is a number of hours in words: days from three on.
func span(hours int) string {
	if hours >= 72 && hours%24 == 0 {
		return counted(hours/24, "day")
	}
	return counted(hours, "hour")
}

func counted(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// away is how far t lies ahead, in words.
func away(now, t store.Time) string {
	left := t.Time().Sub(now.Time()).Round(time.Minute)
	switch hours := int(left.Round(time.Hour).Hours()); {
	case hours >= 48:
		return "in " + counted((hours+12)/24, "day")
	case left >= 90*time.Minute:
		return "in " + counted(hours, "hour")
	case left > time.Minute:
		return "in " + counted(int(left.Minutes()), "minute")
	}
	return "in a minute"
}
