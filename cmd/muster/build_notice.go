package main

import (
	"github.com/muster-id/muster/internal/account"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// mailPerson queues one of the sign-in door's letters.
func (s *system) mailPerson(tx *store.Tx, l sso.Letter) error {
	return s.mail.Queue(tx, mail.Letter{Reader: l.Reader, Subject: l.Subject, Greeting: l.Greeting, Lines: l.Lines, Button: l.Button, Link: l.URL, Small: l.Small}.To(l.To))
}

// mailFactor queues a letter about somebody's second factors.
func (s *system) mailFactor(tx *store.Tx, l factor.Letter) error {
	return s.mail.Queue(tx, mail.Letter{Reader: l.Reader, Subject: l.Subject, Greeting: l.Greeting, Lines: l.Lines, Button: l.Reader.T("Look at your account"), Link: s.url + "/account/passkeys", Small: l.Small}.To(l.To))
}

// tellAdmins mails a notice to every active admin of the organization who has an
// address.
func (s *system) tellAdmins(tx *store.Tx, n web.Notice) error { return s.tellEachAdmin(tx, n, false) }

// tellEachAdmin leaves out who chose to get no notices, unless all must know.
func (s *system) tellEachAdmin(tx *store.Tx, n web.Notice, all bool) error {
	admins, err := tx.Admins()
	if err != nil {
		return err
	}
	org, err := s.db.OrgByID(tx.Context(), tx.Org())
	if err != nil {
		return err
	}
	for _, u := range admins {
		if mail.CheckAddress(u.Email) != nil {
			continue
		}
		wants, err := account.NotificationsOf(tx, u.ID)
		if err != nil {
			return err
		}
		if !wants.Notices && !all {
			continue
		}
		to, err := mail.ReaderOf(tx, u.ID)
		if err != nil {
			return err
		}
		letter := mail.Letter{Reader: to, Subject: to.Say(n.Subject), Greeting: to.T("Hello %s,", u.DisplayName),
			Small: []string{to.T("You get this mail because you are an admin of %s.", org.Name)}}
		for _, line := range n.Lines {
			letter.Lines = append(letter.Lines, to.Say(line))
		}
		if !n.Button.IsZero() {
			letter.Button = to.Say(n.Button)
			letter.Link = s.url + "/console/" + org.Slug + n.Path
		}
		if err := s.mail.Queue(tx, letter.To(u.Email)); err != nil {
			return err
		}
	}
	return nil
}

// hasFactor tells whether somebody has a second factor.
func (s *system) hasFactor(tx *store.Tx, user store.UserID) (bool, error) {
	f, err := s.factors.Of(tx, user)
	return f.Passkeys > 0 || f.App, err
}

// mailNotice is for whoever is active and wants notices.
func (s *system) mailNotice(tx *store.Tx, user store.UserID, l web.Notice) error {
	u, err := tx.AnyUser(user)
	if fault.Is(err, fault.NotFound) || err == nil && (u.Status != store.Active || mail.CheckAddress(u.Email) != nil) {
		return nil
	}
	if err != nil {
		return err
	}
	wants, err := account.NotificationsOf(tx, user)
	if err != nil || !wants.Notices {
		return err
	}
	to, err := mail.ReaderOf(tx, user)
	if err != nil {
		return err
	}
	letter := mail.Letter{Reader: to, Subject: to.Say(l.Subject), Greeting: to.T("Hello %s,", u.DisplayName), Button: to.Say(l.Button), Link: s.url + l.Path}
	for _, one := range l.Lines {
		letter.Lines = append(letter.Lines, to.Say(one))
	}
	return s.mail.Queue(tx, letter.To(u.Email))
}
