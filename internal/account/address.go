package account

import (
	"cmp"
	"context"
	"net/http"
	netmail "net/mail"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// A person changes the own address: by proving once more who asks (web.Prove), then by a
// link to the new address.
// Until that is followed the old address signs in. The old address is told at once, and
// again when it is done, each time with a link that stops the change or, for seven days,
// undoes it: whoever has taken over a session cannot keep the account with it.

const (
	confirmFor = 24 * time.Hour
	undoFor    = 7 * 24 * time.Hour
)

// addressChange is one new address of somebody.
type addressChange struct {
	ID        store.ID[addressChange] `db:"id"`
	User      store.UserID            `db:"user_id"`
	OldEmail  string                  `db:"old_email"`
	OldName   string                  `db:"old_name"` // the user name, which follows the address where it was the same
	NewEmail  string                  `db:"new_email"`
	State     string                  `db:"state"`
	AskedAt   store.Time              `db:"asked_at"`
	Until     store.Time              `db:"until"`
	DoneAt    store.Time              `db:"done_at"`
	UndoUntil store.Time              `db:"undo_until"`
}

const (
	changeAsked   = "asked"
	changeDone    = "done"
	changeStopped = "stopped"
	changeUndone  = "undone"
)

const changeColumns = "SELECT id, user_id, old_email, old_name, new_email, state, asked_at, until, done_at, undo_until FROM address_changes WHERE org_id = ?"

// openChange is the one that waits to be confirmed; none is no fault.
func openChange(tx *store.Tx, user store.UserID) (c addressChange, err error) {
	err = tx.Get(&c, changeColumns+" AND user_id = ? AND state = 'asked' AND until > ?", tx.Org(), user, tx.Now())
	if fault.Is(err, fault.NotFound) {
		return c, nil
	}
	return c, err
}

// mine refuses with where the address is changed when it is not the person's to change: a
// directory or a sign-in fills it, or the organization uses no passwords, so that its
// provider knows the person by it. Faults: Conflict.
func (a *Account) mine(tx *store.Tx, u store.User) error {
	if u.DirectoryID != "" {
		d, err := tx.Directory(u.DirectoryID)
		if err == nil {
			err = fault.Conflict.Say("Your address comes from the directory %s. It is changed there, by whoever looks after it, and arrives here by itself.", d.Name)
		}
		return err
	}
	others, err := a.filled(tx, u)
	if err != nil {
		return err
	}
	by, is := others["emails"]
	usable, _, err := a.may(tx, u.ID)
	switch {
	case err != nil:
		return err
	case is && by.Locked:
		return fault.Conflict.Say("An administrator keeps your address as it is. Ask an administrator to change it.")
	case is:
		return fault.Conflict.Say("Each sign-in over %s fills your address. It is changed there, in the account that you have with your organization, and arrives here when you sign in next.", by.Connection)
	case !usable:
		return fault.Conflict.Say("You sign in with the account that you have with your organization, so your address is changed there. An administrator then changes it here.")
	case u.Email == "":
		return fault.Conflict.Say("Your account has no address. Ask an administrator to add one.")
	}
	return nil
}

// readable checks how an address is written. Faults: Invalid on "email".
func readable(address string) error {
	if parsed, err := netmail.ParseAddress(address); err != nil || parsed.Address != address || mail.CheckAddress(address) != nil {
		return fault.Invalid.On("email", "%.100q is not an e-mail address. Write it like ada@example.com.", address)
	}
	return nil
}

// newAddress checks an address for whoever asks for it. Faults: Invalid and Conflict on "email".
func newAddress(tx *store.Tx, u store.User, address string) error {
	if store.Fold(address) == store.Fold(u.Email) {
		return fault.Invalid.On("email", "That is your address already.")
	}
	taken := fault.Conflict.On("email", "This address cannot be used here. Choose another one, or ask an administrator.")
	same, err := tx.UsersByEmail(address)
	if err != nil {
		return err
	}
	for _, other := range same {
		if other.ID != u.ID {
			return taken
		}
	}
	if other, err := tx.UserByName(address); err == nil && other.ID != u.ID {
		return taken
	} else if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

// mayHave asks the rules of the address's mail domain.
func (a *Account) mayHave(ctx context.Context, org store.OrgID, address string) error {
	if a.opts.MayMove == nil {
		return nil
	}
	may, err := a.opts.MayMove(ctx, org, address)
	if err == nil && !may {
		err = fault.Conflict.On("email", "People with an address of this domain sign in with single sign-on. Ask an administrator to change yours.")
	}
	return err
}

func (a *Account) askAddress(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	address := f.Get("email")
	if err = readable(address); err == nil { // what cannot be is told before somebody has to prove anything
		asked, err := web.Prove(w, r)
		if asked || err != nil {
			return err
		}
	}
	if err == nil {
		err = a.beginMove(r, address)
	}
	if err != nil && f.Take(err) {
		return a.writeProfile(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "We have sent a link to %s. Your address changes when you follow it.", address))
	return see(w, r, "/account/profile")
}

// beginMove begins the change of the own address, in the place of one that waits.
// Faults: Invalid on "email", Conflict, TooMany.
func (a *Account) beginMove(r *http.Request, address string) error {
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	if err := a.mayHave(r.Context(), store.OrgID(actor.Org), address); err != nil {
		return err
	}
	if may, err := a.opts.Passwords.MayAsk(r.Context(), address, actor.IP); err != nil || !may {
		return cmp.Or(err, tooManyMails())
	}
	org, err := a.opts.DB.OrgByID(r.Context(), store.OrgID(actor.Org))
	if err != nil {
		return err
	}
	actor.Roles = []string{access.Viewer} // whether the address is free is asked with it
	return a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		u, err := tx.Self()
		if err != nil {
			return err
		}
		err = a.mine(tx, u)
		if err == nil {
			err = newAddress(tx, u, address)
		}
		if err != nil {
			return err
		}
		if may, err := a.opts.Passwords.MayMail(tx, u.ID); err != nil || !may {
			return cmp.Or(err, tooManyMails())
		}
		if _, err := tx.Exec("UPDATE address_changes SET state = 'stopped' WHERE org_id = ? AND user_id = ? AND state = 'asked'", tx.Org(), u.ID); err != nil {
			return err
		}
		confirm, stop := token(tx), token(tx)
		until := tx.Now().Add(confirmFor)
		if _, err := tx.Exec(`INSERT INTO address_changes (org_id, id, user_id, old_email, old_name, new_email, state, confirm_hash, stop_hash, asked_at, until, undo_until)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, tx.Org(), store.NewID[addressChange](), u.ID, u.Email, u.UserName, address, changeAsked,
			secret.Hash(confirm), secret.Hash(stop), tx.Now(), until, tx.Now().Add(undoFor)); err != nil {
			return err
		}
		if err := a.queueAsked(tx, org, u, address, confirm, stop, until); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "user.address.ask", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
			Detail: map[string]any{"before": map[string]any{"email": u.Email}, "after": map[string]any{"email": address}}})
	})
}

func tooManyMails() error {
	return fault.TooMany.On("email", "Too many mails were asked for. Wait some minutes, then try again.")
}

// token is for a link: it starts with the organization, like every look-up.
func token(tx *store.Tx) string { return string(tx.Org()) + "." + secret.NewToken() }

func (a *Account) queueAsked(tx *store.Tx, org store.Org, u store.User, address, confirm, stop string, until store.Time) error {
	to, err := mail.ReaderOf(tx, u.ID)
	if err != nil {
		return err
	}
	l := mail.Letter{Reader: to, Subject: to.T("Confirm your new address at %s", org.Name), Greeting: greeting(to, u.DisplayName),
		Lines:  []string{to.T("This becomes the address of your account at %s, in the place of %s, when you confirm it.", org.Name, u.Email)},
		Button: to.T("Confirm the address"), Link: a.url("/account/address/confirm/" + confirm),
		Small: []string{to.T("The link works until %s.", until), to.T("If you did not ask for this, ignore this mail. Nothing has changed.")}}
	if err := a.opts.Mail.Queue(tx, l.To(address)); err != nil {
		return err
	}
	l = mail.Letter{Reader: to, Subject: to.T("A new address for your account at %s", org.Name), Greeting: greeting(to, u.DisplayName),
		Lines: []string{to.T("Somebody, probably you, has asked that %s becomes the address of your account at %s. It changes when that address has confirmed it.", address, org.Name),
			to.T("If it was not you: stop it, and change your password.")},
		Button: to.T("Stop the change"), Link: a.url("/account/address/stop/" + stop),
		Small: []string{to.T("When the address has changed, the link still works for some days and undoes it.")}}
	return a.opts.Mail.Queue(tx, l.To(u.Email))
}

// cancelAddress is for the person who has thought better of it.
func (a *Account) cancelAddress(w http.ResponseWriter, r *http.Request) error {
	return a.takeBack(w, r, "user.address.stop", web.T(r, "The address stays as it is."), func(tx *store.Tx, me store.UserID) (int64, error) {
		return tx.Exec("UPDATE address_changes SET state = 'stopped' WHERE org_id = ? AND user_id = ? AND state = 'asked'", tx.Org(), me)
	})
}
