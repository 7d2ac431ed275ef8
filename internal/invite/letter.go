package invite

import (
	"fmt"
	"time"

	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/store"
)

// letter is the mail with a link.
func letter(org store.Org, u store.User, by string, made Made, now store.Time) mail.Message {
	who := by
	if who == "" {
		who = "An administrator of " + org.Name
	}
	greeting := "Hello,"
	if p := u.Profile(); p.GivenName != "" {
		greeting = "Hello " + p.GivenName + ","
	}
	return mail.Letter{
		Subject:  "Your invitation to " + org.Name,
		Greeting: greeting,
		Lines: []string{
			fmt.Sprintf("%s invites you to join %s with the address %s.", who, org.Name, made.Email),
			"Choose a password, and you are in.",
		},
		Button: "Accept the invitation",
		Link:   made.Link,
		Small: []string{
			fmt.Sprintf("The link works once, until %s (%s). After that, ask for a new one.", moment(made.ExpiresAt), away(now, made.ExpiresAt)),
			"Opening it changes nothing. If you did not expect this invitation, ignore this mail.",
		},
	}.To(made.Email)
}

// moment is a time in words, with its zone.
func moment(t store.Time) string { return t.Time().Format("Monday, 2 January 2006, 15:04") + " UTC" }

func day(t store.Time) string { return t.Time().Format("2 January 2006") }

// away is how far t lies ahead, in words.
func away(now, t store.Time) string {
	left := t.Time().Sub(now.Time()).Round(time.Minute)
	count := func(n int, unit string) string {
		if n == 1 {
			return "in 1 " + unit
		}
		return fmt.Sprintf("in %d %ss", n, unit)
	}
	switch hours := int(left.Round(time.Hour).Hours()); {
	case hours >= 48:
		return count((hours+12)/24, "day")
	case left >= 90*time.Minute:
		return count(hours, "hour")
	case left > time.Minute:
		return count(int(left.Minutes()), "minute")
	}
	return "in a minute"
}
