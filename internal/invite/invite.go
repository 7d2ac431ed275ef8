/*
Package invite brings in people without a directory, with a link by mail. Many at once
come from a file: that is package importer, which has their invitations made here.

	Create   one transaction: tx.CreateUser(invited), roles, teams, the invitation, its mail
	Resend   a new link and a new mail; older links stop working
	Cancel   ends the invitation and deletes the person who never accepted; the name is free
	Confirm  of a pasted list: some at once, many as a job (package jobs), which can be undone
	Accept   checks the password, hashes it, then in one transaction: claims the
	         invitation, activates the person, sets the password, starts the session

A link is a secret of 256 random bits behind the organization's id, so that its
look-up leads with org_id like every other; only its hash is stored. Opening a
link changes nothing: mail scanners open links. Whether it still works is asked
from the truth each time: state, expiry, and the person's own status, so whoever
is deactivated or deleted by any door cannot accept.

The package owns the tables invitations and invitation_links. It relies
on store for people, password for hashes, session for the sign-in, and on a func
for mail (mail.Outbox.Queue).
*/
package invite

import (
	"context"
	"log/slog"
	netmail "net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// State is where an invitation stands.
type State string

// The states. Saved, Bounced, Expired and Unneeded are derived: a pending invitation that
// was not sent yet, whose mail came back, past its time, or of somebody who is not waiting
// for it any more, because a directory or another door has said what becomes of them.
const (
	Pending   State = "pending"
	Saved     State = "saved"
	Bounced   State = "bounced"
	Expired   State = "expired"
	Accepted  State = "accepted"
	Cancelled State = "cancelled"
	Unneeded  State = "unneeded"
)

// States are all of them, in the order of a list.
func States() []State {
	return []State{Pending, Saved, Bounced, Expired, Accepted, Cancelled, Unneeded}
}

// ID names an invitation.
type ID = store.ID[Invitation]

// Invitation is one person's way in. Sending it again ends the links before.
type Invitation struct {
	ID        ID           `db:"id"`
	UserID    store.UserID `db:"user_id"`
	Email     string       `db:"email"`
	State     State        `db:"state"`
	InvitedBy string       `db:"invited_by"`
	Sent      int          `db:"sent"` // how many times so far; 0: saved
	CreatedAt store.Time   `db:"created_at"`
	SentAt    store.Time   `db:"sent_at"`
	ExpiresAt store.Time   `db:"expires_at"`
	EndedAt   store.Time   `db:"ended_at"`
	Note      string       `db:"note"`       // shown in the mail
	BouncedAt store.Time   `db:"bounced_at"` // when the mail came back
	Bounce    string       `db:"bounce"`     // what the mail server said
	AskedAt   store.Time   `db:"asked_at"`   // when the person asked for a new link
	Waits     bool         `db:"waits"`      // its person is invited, and nothing else
}

// at is where the invitation stands at a time.
func (i Invitation) at(now store.Time) State {
	switch {
	case i.State != Pending:
		return i.State
	case !i.Waits:
		return Unneeded
	case i.Sent == 0:
		return Saved
	case i.BouncedAt > 0:
		return Bounced
	case i.ExpiresAt <= now:
		return Expired
	}
	return Pending
}

// over tells that the time of what was sent is over, also when its mail came back.
func (i Invitation) over(now store.Time) bool {
	return i.State == Pending && i.Sent > 0 && i.ExpiresAt <= now
}

// Options of a Door.
type Options struct {
	DB        *store.DB
	Sessions  *session.Store
	Passwords *password.Store
	Factors   *factor.Store                            // for whoever needs a second factor; nil: nobody does
	Jobs      *jobs.Service                            // for long lists of addresses; nil: there are none
	Queue     func(tx *store.Tx, m mail.Message) error // mail.Outbox.Queue
	PublicURL string
	TTL       time.Duration // how long a link works; default 7 days
	Log       *slog.Logger
	// MayUsePassword tells whether the organization's policy lets a person use one;
	// Connections are what leads in otherwise. Both may be nil: then everybody may.
	MayUsePassword func(tx *store.Tx, user store.UserID) (bool, error)
	Connections    func(ctx context.Context, org store.OrgID, email string) ([]Way, error)
	// OnlySSO tells which of these mail domains must use single sign-on. May be nil: none.
	OnlySSO func(tx *store.Tx, domains []string) (map[string]bool, error)
	// Tell mails all admins. May be nil: then nobody is told.
	Tell func(tx *store.Tx, n web.Notice) error
}

// Way is a connection to an identity provider that an invited person may use.
type Way struct{ Name, URL string }

// Door has the operations and the pages. Safe for concurrent use.
type Door struct{ opt Options }

// New fills in the defaults.
func New(opt Options) *Door {
	if opt.TTL == 0 {
		opt.TTL = 7 * 24 * time.Hour
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	d := &Door{opt: opt}
	if opt.Jobs != nil {
		opt.Jobs.Register(d.kind())
	}
	return d
}

// In is who is invited. Email alone is required.
type In struct {
	Email, GivenName, FamilyName string
	Role                         string // the organization's default when this and Roles are empty
	Roles                        []string
	Title, Department, Phone     string
	EmployeeNumber, Address      string // Address: where letters go, may have several lines
	ManagerID                    store.UserID
	Teams                        []store.GroupID   // local groups
	Own                          map[string]string // the organization's own attributes, as extra.Set takes them
	Note                         string            // shown in the mail
	Record                       string            // of an application, kind/id, to which the person is linked; may be empty
	Save                         bool              // without sending
	ID                           ID                // of the invitation; a form that is sent twice makes one
}

// Made is a new invitation, or a new link of one. Link is not stored: it can be shown this once.
type Made struct {
	UserID       store.UserID
	InvitationID ID
	Email        string
	ExpiresAt    store.Time // 0: nothing was sent
	Link         string
	Password     string // the first one of an account without an invitation
}

// Create invites a person. It all happens in the caller's transaction (needs
// Write): nothing is left when any part fails. org is tx's organization, for the
// mail. Faults: Denied; Invalid on "email", "role", "manager", "teams", the names and
// own attributes, of which each required one must be there; Conflict on "email" (has an account here) and on "seats".
func (d *Door) Create(tx *store.Tx, org store.Org, in In) (Made, error) {
	if err := tx.Require(access.InviteUsers); err != nil {
		return Made{}, err
	}
	if err := in.check(); err != nil {
		return Made{}, err
	}
	u, err := in.person(tx, store.Invited)
	if err != nil {
		return Made{}, err
	}
	row := Invitation{ID: in.ID, Note: in.Note}
	if !in.Save {
		return d.issue(tx, org, u, row, "create", true)
	}
	if row.ID == "" {
		row.ID = store.NewID[Invitation]()
	}
	return d.saved(tx, u, row)
}

// person makes the row of whoever is invited, with roles and teams.
func (in In) person(tx *store.Tx, status store.Status) (store.User, error) {
	if err := free(tx, in.Email); err != nil {
		return store.User{}, err
	}
	profile := store.Profile{Email: in.Email, GivenName: in.GivenName, FamilyName: in.FamilyName, Title: in.Title, Department: in.Department,
		Phone: in.Phone, EmployeeNumber: in.EmployeeNumber, Address: in.Address, ManagerID: string(in.ManagerID)}
	if in.ManagerID != "" {
		if _, err := tx.User(in.ManagerID); err != nil {
			return store.User{}, on(err, fault.NotFound, fault.Invalid.On("manager", "The manager is not a person of this organization. Choose another one, or leave it empty."))
		}
	}
	defs, err := tx.Definitions()
	if err != nil {
		return store.User{}, err
	}
	doc := profile.Doc()
	if err := extra.Set(defs, doc, in.Own); err != nil {
		return store.User{}, err
	}
	u, err := tx.CreateUser(store.NewUser{Doc: doc, Source: store.FromInvite, Status: status, Roles: in.roles(), Reason: store.Manual})
	if err != nil {
		return u, takenName(err)
	}
	if in.Record != "" {
		ref, err := records.ParseRef(in.Record)
		if err != nil {
			return u, err
		}
		if err := records.Link(tx, u.ID, ref); err != nil {
			return u, err
		}
	}
	return u, join(tx, u.ID, in.Teams)
}

// takenName says a conflict on the user name in the words of the form.
func takenName(err error) error {
	if fault.Field(err) != "userName" {
		return err
	}
	return on(err, fault.Conflict, fault.Conflict.On("email", "That address already has an account here. Open the list of people and search for it."))
}

// roles are each one once.
func (in In) roles() []string {
	list := append([]string{}, in.Roles...)
	if in.Role != "" {
		list = append(list, in.Role)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// check cleans the fields and refuses what cannot be used.
func (in *In) check() (err error) {
	if in.Email, err = cleanAddress(in.Email); err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		label fault.Word
		value *string
	}{
		{"given_name", fault.Word("The first name"), &in.GivenName}, {"family_name", fault.Word("The last name"), &in.FamilyName}, {"title", fault.Word("The title"), &in.Title},
		{"department", fault.Word("The department"), &in.Department}, {"phone", fault.Word("The phone number"), &in.Phone},
		{"employee_number", fault.Word("The employee number"), &in.EmployeeNumber},
	} {
		*f.value = strings.TrimSpace(*f.value)
		if err := plainText(f.name, f.label, *f.value); err != nil {
			return err
		}
	}
	in.Note, in.Address = strings.TrimSpace(in.Note), strings.ReplaceAll(strings.TrimSpace(in.Address), "\r\n", "\n")
	if err := paragraphs("note", fault.Word("The note"), in.Note, maxNote); err != nil {
		return err
	}
	return paragraphs("address", fault.Word("The postal address"), in.Address, maxAddress)
}

// What several lines may hold, in characters.
const (
	maxNote    = 1000
	maxAddress = 500
)

// maxText is enough for names, titles and numbers.
const maxText = 200

// plainText refuses what would break a line of a mail or a page.
func plainText(field string, label fault.Word, value string) error {
	if len(value) > maxText {
		return fault.Invalid.On(field, "%s is %d bytes long; at most %d are possible.", label, len(value), maxText)
	}
	if strings.ContainsFunc(value, fault.Unseen) {
		return fault.Invalid.On(field, "%s holds a control character or broken text. Type it again.", label)
	}
	return fault.Blank(field, value)
}

// cleanAddress checks an address and gives its domain in the form that mail
// servers know. Faults: Invalid on "email".
func cleanAddress(address string) (string, error) {
	address = strings.TrimSpace(address)
	bad := func(why string) error {
		return fault.Invalid.On("email", "%.100q is not an e-mail address that can be used: %s. Write it like ada@example.com.", address, why)
	}
	if address == "" {
		return "", fault.Invalid.On("email", "An e-mail address is needed, like ada@example.com.")
	}
	at := strings.LastIndexByte(address, '@')
	if at <= 0 || at == len(address)-1 {
		return "", bad("it needs a name, an @ and a domain")
	}
	local, domain := address[:at], address[at+1:]
	if strings.ContainsFunc(local, func(c rune) bool { return c > unicode.MaxASCII }) {
		return "", bad("the part before the @ holds letters outside a-z, which most mail servers refuse; ask for the person's plain address")
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(ascii, ".") && ascii != "localhost" {
		return "", bad("the part after the @ is not a mail domain")
	}
	clean := local + "@" + ascii
	if parsed, err := netmail.ParseAddress(clean); err != nil || parsed.Address != clean || len(local) > 64 || len(clean) > 254 {
		return "", bad("it does not have the form of one")
	}
	return clean, mail.CheckAddress(clean)
}

// free refuses an address that somebody here has.
func free(tx *store.Tx, address string) error {
	same, err := tx.UsersByEmail(address)
	if err != nil {
		return err
	}
	if len(same) == 0 {
		u, err := tx.UserByName(address)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		same = append(same, u)
	}
	u := same[0]
	name := u.Profile().FullName()
	switch u.Status {
	case store.Invited:
		return fault.Conflict.On("email", "That address already has an account here: %s (invited). Send the invitation again from that person's page.", name)
	case store.Deactivated:
		return fault.Conflict.On("email", "That address already has an account here: %s (deactivated). Reactivate the person instead.", name)
	}
	return fault.Conflict.On("email", "That address already has an account here: %s (active). Open that person's page to change something.", name)
}

// join puts a new person into local groups.
func join(tx *store.Tx, user store.UserID, teams []store.GroupID) error {
	for _, id := range teams {
		g, err := tx.Group(id)
		if err != nil {
			return on(err, fault.NotFound, fault.Invalid.On("teams", "One of the teams does not exist any more. Load the page again and choose once more."))
		}
		if _, err := tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{user}}); err != nil {
			return on(err, fault.Denied, fault.Invalid.Over("teams", err))
		}
	}
	return nil
}

// on is err in the words of this form when it is of kind was.
func on(err error, was fault.Kind, words error) error {
	if fault.Is(err, was) {
		return words
	}
	return err
}

// Invite is Create in a transaction of its own, for callers that have none.
func (d *Door) Invite(ctx context.Context, actor access.Actor, in In) (made Made, err error) {
	org, err := d.opt.DB.OrgByID(ctx, store.OrgID(actor.Org))
	if err != nil {
		return made, err
	}
	in.Teams, in.Roles = slices.Clone(in.Teams), slices.Clone(in.Roles)
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) (err error) {
		made, err = d.Create(tx, org, in)
		return err
	})
	return made, err
}
