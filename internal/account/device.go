package account

import (
	"time"

	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// mostDevices is how many browsers of a person are remembered.
const mostDevices = 50

// deviceAge is for how long, since it was used last.
const deviceAge = 400 * 24 * time.Hour

// SessionStarted tells a person by mail when the account was opened in a browser that
// was not used for it before. It is session.Options.Started: so no door can forget it.
// A person's first browser is no news.
func (a *Account) SessionStarted(tx *store.Tx, in session.In) error {
	device := web.DeviceID(tx.Context())
	if device == "" {
		return nil
	}
	now, hash, others := tx.Now(), secret.Hash(device), -1
	// One statement, as each sign-in waits for it. How many others there are, for a browser
	// that comes for the first time.
	err := tx.Get(&others, `INSERT INTO devices (org_id, user_id, device_hash, first_at, seen_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (org_id, user_id, device_hash) DO UPDATE SET seen_at = excluded.seen_at
		RETURNING CASE WHEN first_at <> {{as_int}} THEN -1 ELSE (SELECT count(*) FROM devices d WHERE d.org_id = ? AND d.user_id = ? AND d.device_hash <> ?) END`,
		tx.Org(), in.User, hash, now, now, now, tx.Org(), in.User, hash)
	if err != nil || others < 0 {
		return err
	}
	if others >= mostDevices {
		if _, err := tx.Exec(`DELETE FROM devices WHERE org_id = ? AND user_id = ? AND device_hash NOT IN
			(SELECT d.device_hash FROM devices d WHERE d.org_id = ? AND d.user_id = ? ORDER BY d.seen_at DESC LIMIT ?)`,
			tx.Org(), in.User, tx.Org(), in.User, mostDevices); err != nil {
			return err
		}
	}
	if others == 0 {
		return nil
	}
	return a.tellNewDevice(tx, in.User)
}

func (a *Account) tellNewDevice(tx *store.Tx, user store.UserID) error {
	n, err := NotificationsOf(tx, user)
	if err != nil || !n.NewDevice {
		return err
	}
	who, err := contactOf(tx, user)
	if err != nil || mail.CheckAddress(who.Email) != nil {
		return err
	}
	org, err := a.opts.DB.OrgByID(tx.Context(), tx.Org())
	if err != nil {
		return err
	}
	to, err := mail.ReaderOf(tx, user)
	if err != nil {
		return err
	}
	device := session.Device(web.UserAgent(tx.Context()))
	if device == "" {
		device = to.T("an unknown browser")
	}
	opened := to.T("Your account at %s was opened in a browser that was not used for it before: %s, on %s.", org.Name, device, tx.Now())
	if ip := tx.Actor().IP; ip != "" {
		opened = to.T("Your account at %s was opened in a browser that was not used for it before: %s from %s, on %s.", org.Name, device, ip, tx.Now())
	}
	l := mail.Letter{Reader: to, Subject: to.T("New sign-in to your account at %s", org.Name), Greeting: greeting(to, who.Name),
		Lines:  []string{opened, to.T("If this was you, there is nothing to do. If it was not: end the session and change your password.")},
		Button: to.T("Look at your sessions"), Link: a.url("/account/sessions"),
		Small: []string{to.T("You choose in the preferences of your account whether you get this mail.")}}
	return a.opts.Mail.Queue(tx, l.To(who.Email))
}

// contact is where to write to somebody. It is read with the transaction of whoever
// signs in, who may look at nobody.
type contact struct {
	Name  string `db:"display_name"`
	Email string `db:"email"`
}

func contactOf(tx *store.Tx, user store.UserID) (c contact, err error) {
	return c, tx.Get(&c, "SELECT display_name, email FROM users WHERE org_id = ? AND id = ? AND deleted_at = 0", tx.Org(), user)
}
