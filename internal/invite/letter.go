package invite

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// letter is the mail with a link, which leads to a password or to the identity provider.
func letter(r web.Reader, org store.Org, to store.Profile, i Invitation, rules Settings, byProvider bool, link string, now store.Time) mail.Message {
	who := i.InvitedBy
	if who == "" {
		who = r.T("An administrator of %s", org.Name)
	}
	lines := []string{r.T("%s invites you to join %s with the address %s.", who, org.Name, to.Email)}
	lines = append(append(lines, split(rules.Welcome)...), noteLines(r, who, i.Note)...)
	next := r.T("Choose a password, and you are in.")
	if byProvider {
		next = r.T("Sign in where you always do, with %s, and your account is ready.", to.Email)
	}
	return mail.Letter{
		Reader:   r,
		Subject:  r.T("Your invitation to %s", org.Name),
		Greeting: greeting(r, to),
		Lines:    append(lines, next),
		Button:   r.T("Accept the invitation"),
		Link:     link,
		Small:    small(r, i.ExpiresAt, now),
	}.To(to.Email)
}

// reminder is the mail before a link expires.
func reminder(r web.Reader, org store.Org, to store.Profile, i Invitation, link string, now store.Time) mail.Message {
	return mail.Letter{
		Reader:   r,
		Subject:  r.T("Your invitation to %s ends soon", org.Name),
		Greeting: greeting(r, to),
		Lines: []string{r.T("You were invited to join %s with the address %s, and have not accepted yet.", org.Name, to.Email),
			r.T("The invitation ends %s. This link leads in, like the one from before.", away(now, i.ExpiresAt))},
		Button: r.T("Accept the invitation"),
		Link:   link,
		Small:  small(r, i.ExpiresAt, now),
	}.To(to.Email)
}

func greeting(r web.Reader, to store.Profile) string {
	if to.GivenName != "" {
		return r.T("Hello %s,", to.GivenName)
	}
	return r.T("Hello,")
}

func small(r web.Reader, expires, now store.Time) []string {
	return []string{
		r.T("The link works once, until %s (%s). After that, ask for a new one.", r.LongTime(expires.Time()), away(now, expires)),
		r.T("Opening it changes nothing. If you did not expect this invitation, ignore this mail."),
	}
}

// noteLines say who wrote what in a mail that the server sends.
func noteLines(r web.Reader, who, note string) []string {
	lines := split(note)
	if len(lines) > 0 {
		lines[0] = r.T("%s writes: %s", who, lines[0])
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

// paragraphs refuses a text that is too long, holds what cannot be read or shows nothing.
func paragraphs(field string, label fault.Word, text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return fault.Invalid.On(field, "%s has %d characters; at most %d are possible.", label, n, most)
	}
	if strings.ContainsFunc(text, func(c rune) bool {
		return fault.Unseen(c) && c != '\n' && c != '\r' && c != '\t'
	}) {
		return fault.Invalid.On(field, "%s holds a control character or broken text. Type it again.", label)
	}
	return fault.Blank(field, text)
}

// span is a number of hours in words: days from three on.
func span(hours int) web.Said {
	if hours >= 72 && hours%24 == 0 {
		return web.SayN(hours/24, "1 day", "%d days")
	}
	return web.SayN(hours, "1 hour", "%d hours")
}

// away is how far t lies ahead, in words.
func away(now, t store.Time) web.Said {
	left := t.Time().Sub(now.Time()).Round(time.Minute)
	switch hours := int(left.Round(time.Hour).Hours()); {
	case hours >= 48:
		return web.SayN((hours+12)/24, "in 1 day", "in %d days")
	case left >= 90*time.Minute:
		return web.SayN(hours, "in 1 hour", "in %d hours")
	case left > time.Minute:
		return web.SayN(int(left.Minutes()), "in 1 minute", "in %d minutes")
	}
	return web.Say("in a minute")
}
