package sso

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// Requests for access: who signed in at a provider and has no account here. There is
// one for each subject, however often the person tries. Approving one binds the
// subject, so that the next sign-in works by the identity and asks for nothing more.

// The states of a request.
const (
	RequestOpen     = "open"
	RequestApproved = "approved"
	RequestDeclined = "declined"
)

const (
	maxOpenRequests = 500                 // of an organization; more are in the activity log alone
	declinedFor     = 30 * 24 * time.Hour // then the person may ask again
	tellRequests    = 24 * time.Hour      // between two mails about requests
)

// AccessRequest is one person who asks.
type AccessRequest struct {
	ID           store.ID[AccessRequest] `db:"id"`
	ConnectionID ConnectionID            `db:"connection_id"`
	Kind         string                  `db:"subject_kind"`
	Subject      string                  `db:"subject"`
	Email        string                  `db:"email"` // as the provider said, proved by nobody
	UserName     string                  `db:"user_name"`
	GivenName    string                  `db:"given_name"`
	FamilyName   string                  `db:"family_name"`
	DisplayName  string                  `db:"display_name"`
	Reference    string                  `db:"reference"` // of the last refusal
	State        string                  `db:"state"`
	Times        int                     `db:"times"`
	UserID       store.UserID            `db:"user_id"` // of an approved one
	DecidedBy    string                  `db:"decided_by"`
	CreatedAt    store.Time              `db:"created_at"`
	LastAt       store.Time              `db:"last_at"`
	DecidedAt    store.Time              `db:"decided_at"`
}

// Name is what to call the person.
func (q AccessRequest) Name() string {
	return orElse(q.DisplayName, orElse(strings.TrimSpace(q.GivenName+" "+q.FamilyName), orElse(q.Email, orElse(q.UserName, q.Subject))))
}

const selectAsked = `SELECT id, connection_id, subject_kind, subject, email, user_name, given_name, family_name, display_name, reference, state, times,
	user_id, decided_by, created_at, last_at, decided_at FROM access_requests`

// asked notes that somebody without an account signed in at the provider. It tells
// whether that is a new request.
func asked(tx *store.Tx, c Connection, a answer.Profile, ref string) (bool, error) {
	var old AccessRequest
	err := tx.Get(&old, selectAsked+" WHERE org_id = ? AND connection_id = ? AND subject_kind = ? AND subject = ?", tx.Org(), c.ID, a.SubjectKind, a.Subject)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	again := old.State == RequestApproved || old.State == RequestDeclined && tx.Now() > old.DecidedAt.Add(declinedFor)
	if old.ID == "" || again {
		var open int
		if err := tx.Get(&open, "SELECT COUNT(*) FROM access_requests WHERE org_id = ? AND state = 'open'", tx.Org()); err != nil || open >= maxOpenRequests {
			return false, err
		}
	}
	state, fresh := RequestOpen, old.ID == "" || again
	if old.State == RequestDeclined && !again {
		state = RequestDeclined
	}
	text := func(s string) string {
		if s = answer.Clip(s, 200); !cleanText(s) {
			return ""
		}
		return s
	}
	_, err = tx.Exec(`INSERT INTO access_requests (org_id, id, connection_id, subject_kind, subject, email, user_name, given_name, family_name, display_name,
			reference, state, times, created_at, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
		ON CONFLICT (org_id, connection_id, subject_kind, subject) DO UPDATE SET email = excluded.email, user_name = excluded.user_name,
			given_name = excluded.given_name, family_name = excluded.family_name, display_name = excluded.display_name, reference = excluded.reference,
			state = excluded.state, times = access_requests.times + 1, last_at = excluded.last_at,
			mailed_at = CASE WHEN access_requests.state = excluded.state THEN access_requests.mailed_at ELSE 0 END`,
		tx.Org(), store.NewID[AccessRequest](), c.ID, a.SubjectKind, a.Subject, text(a.Email), text(a.UserName), text(a.GivenName), text(a.FamilyName), text(a.DisplayName),
		ref, state, tx.Now(), tx.Now())
	return fresh, err
}

// AccessRequests lists the requests of the actor's organization in a state, the newest
// first; all when state is empty. Faults: Denied.
func (d *Door) AccessRequests(ctx context.Context, actor access.Actor, state string) (list []AccessRequest, err error) {
	list = []AccessRequest{}
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if state == "" {
			return tx.Select(&list, selectAsked+" WHERE org_id = ? ORDER BY last_at DESC, id DESC LIMIT 1000", tx.Org())
		}
		return tx.Select(&list, selectAsked+" WHERE org_id = ? AND state = ? ORDER BY last_at DESC, id DESC LIMIT 1000", tx.Org(), state)
	})
	return list, err
}

// AccessRequest is one request. Faults: Denied, NotFound.
func (d *Door) AccessRequest(ctx context.Context, actor access.Actor, id store.ID[AccessRequest]) (q AccessRequest, c Connection, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if q, err = requestIn(tx, id, ""); err != nil {
			return err
		}
		c, err = connectionIn(tx, q.ConnectionID)
		return err
	})
	return q, c, err
}

func requestIn(tx *store.Tx, id store.ID[AccessRequest], lock string) (q AccessRequest, err error) {
	err = tx.Get(&q, selectAsked+" WHERE org_id = ? AND id = ?"+lock, tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return q, fault.NotFound.On("request", "There is no such request.")
	}
	return q, err
}

// Approval says what becomes of a request.
type Approval struct {
	User string // user name or id of whom the person is; empty: a new account
	Role string // of a new account; the default role when empty
}

// Approve binds the subject of a request to somebody, or makes an account for it.
// Faults: Denied, NotFound, Invalid on "user" or "role", Conflict (approved before,
// or it cannot be).
func (d *Door) Approve(ctx context.Context, actor access.Actor, id store.ID[AccessRequest], in Approval) (q AccessRequest, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		for _, p := range []access.Permission{access.Configure, access.CreateUsers, access.EditUsers} {
			if err := tx.Require(p); err != nil {
				return err
			}
		}
		if q, err = requestIn(tx, id, tx.ForUpdate()); err != nil {
			return err
		}
		if q.State == RequestApproved {
			return fault.Conflict.Say("The request of %s was approved before.", q.Name())
		}
		if err := lockFirst(tx, q.ConnectionID); err != nil {
			return err
		}
		c, err := connectionIn(tx, q.ConnectionID)
		if err != nil {
			return err
		}
		if _, err := identityOf(tx, c.ID, q.Kind, q.Subject); !fault.Is(err, fault.NotFound) {
			return orElseErr(err, fault.Conflict.Say("%s has an account by now.", q.Name()))
		}
		u, err := d.requested(tx, c, q, in)
		if err != nil {
			return err
		}
		how := fmt.Sprintf(howApproved, orElse(actor.Name, "an admin"))
		if err := bind(tx, identity{Connection: c.ID, Kind: q.Kind, Subject: q.Subject, User: u.ID, How: how}); err != nil {
			return err
		}
		q.State, q.UserID, q.DecidedBy, q.DecidedAt = RequestApproved, u.ID, actor.Name, tx.Now()
		if err := decide(tx, q); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "user.access.approve", TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName,
			Detail: map[string]any{"request": q.ID, "connection": c.ID, "subject": answer.Clip(q.Subject, answer.GotLimit), "bound": in.User != ""}})
	})
	return q, err
}

func orElseErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// requested is whom an approved request is about.
func (d *Door) requested(tx *store.Tx, c Connection, q AccessRequest, in Approval) (store.User, error) {
	if in.User == "" {
		if c.Accounts == accountsSCIM {
			return store.User{}, fault.Conflict.On("user", "%s takes people of a directory only. Name the person whom the directory sent, or assign %s to the application there.", c.Name, q.Name())
		}
		return makeRequested(tx, q, in.Role)
	}
	u, err := userNamed(tx, in.User)
	if fault.Is(err, fault.NotFound) {
		return u, fault.Invalid.On("user", "There is nobody with the user name or id %q.", answer.Clip(in.User, 100))
	}
	if err != nil {
		return u, err
	}
	if err := tx.MayTouch(u); err != nil {
		return u, err
	}
	if c.Accounts == accountsSCIM && u.DirectoryID == "" {
		return u, fault.Invalid.On("user", "%s takes people of a directory only, and none manages %s.", c.Name, u.UserName)
	}
	v := visit{d: d, tx: tx, c: c}
	_, err = v.theOne([]store.User{u})
	return u, inWords("user", err)
}

// inWords is a refusal as a fault for an admin, who may read the hint.
func inWords(field string, err error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return fault.Conflict.On(field, "%s", r.hint)
	}
	return err
}

func userNamed(tx *store.Tx, typed string) (store.User, error) {
	if id, err := store.ParseID[store.User](typed); err == nil {
		return tx.User(id)
	}
	return tx.UserByName(typed)
}

func makeRequested(tx *store.Tx, q AccessRequest, role string) (store.User, error) {
	roles := []string{}
	if role != "" {
		roles = append(roles, role)
	}
	if q.Email != "" {
		same, err := tx.UsersByEmail(q.Email)
		if err != nil {
			return store.User{}, err
		}
		if len(same) > 0 {
			return store.User{}, fault.Conflict.On("user", "%s has the address %s already. Name that person, if the request is theirs.", same[0].UserName, q.Email)
		}
	}
	p := store.Profile{Email: q.Email, GivenName: q.GivenName, FamilyName: q.FamilyName, DisplayName: q.DisplayName}
	var err error
	if p.UserName, err = tx.UserNameOr(p, orElse(q.Email, orElse(q.UserName, q.Subject))); err != nil {
		return store.User{}, err
	}
	u, err := tx.CreateUser(store.NewUser{Doc: p.Doc(), Source: store.FromJIT, Status: store.Active, Roles: roles, Reason: store.Manual})
	if fault.Is(err, fault.Conflict) && fault.Field(err) == "userName" {
		return u, fault.Conflict.On("user", "Somebody has the user name %s already. Name that person, if the request is theirs.", p.UserName)
	}
	return u, err
}

// Decline says no. The person may ask again after 30 days. Faults: Denied, NotFound,
// Conflict (approved before).
func (d *Door) Decline(ctx context.Context, actor access.Actor, id store.ID[AccessRequest]) (q AccessRequest, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if q, err = requestIn(tx, id, tx.ForUpdate()); err != nil || q.State == RequestDeclined {
			return err
		}
		if q.State == RequestApproved {
			return fault.Conflict.Say("The request of %s was approved before. Deactivate the person, or unlink the sign-in.", q.Name())
		}
		q.State, q.DecidedBy, q.DecidedAt = RequestDeclined, actor.Name, tx.Now()
		if err := decide(tx, q); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "user.access.decline", TargetKind: "connection", TargetID: string(q.ConnectionID), TargetName: q.Name(),
			Detail: map[string]any{"request": q.ID, "subject": answer.Clip(q.Subject, answer.GotLimit), "email": q.Email}})
	})
	return q, err
}

func decide(tx *store.Tx, q AccessRequest) error {
	_, err := tx.Exec("UPDATE access_requests SET state = ?, user_id = ?, decided_by = ?, decided_at = ? WHERE org_id = ? AND id = ?",
		q.State, q.UserID, q.DecidedBy, q.DecidedAt, tx.Org(), q.ID)
	return err
}

// TellRequests mails the admins of each organization about new requests, at most once
// a day.
func (d *Door) TellRequests(ctx context.Context) error {
	var orgs []store.OrgID
	if err := d.opts.DB.LookupAll(ctx, &orgs, "SELECT DISTINCT org_id FROM access_requests WHERE state = 'open' AND mailed_at = 0 LIMIT 1000"); err != nil {
		return err
	}
	var errs []error
	for _, org := range orgs {
		errs = append(errs, d.opts.DB.Write(ctx, access.Muster(string(org)), d.tellRequests))
	}
	return errors.Join(errs...)
}

func (d *Door) tellRequests(tx *store.Tx) error {
	var last store.Time
	if err := tx.Get(&last, "SELECT COALESCE(MAX(mailed_at), 0) FROM access_requests WHERE org_id = ?", tx.Org()); err != nil {
		return err
	}
	if tx.Now() < last.Add(tellRequests) {
		return nil
	}
	var list []AccessRequest
	if err := tx.Select(&list, selectAsked+" WHERE org_id = ? AND state = 'open' AND mailed_at = 0 ORDER BY created_at LIMIT 20", tx.Org()); err != nil {
		return err
	}
	// Of two servers at once, the second finds nothing left to mark.
	n, err := tx.Exec("UPDATE access_requests SET mailed_at = ? WHERE org_id = ? AND state = 'open' AND mailed_at = 0", tx.Now(), tx.Org())
	if err != nil || n == 0 {
		return err
	}
	notice := web.Notice{Subject: web.Say("Somebody asks for access"), Button: web.Say("Look at the requests"), Path: "/requests",
		Lines: []web.Said{web.Say("They signed in at your identity provider and have no account here:")}}
	for _, q := range list {
		notice.Lines = append(notice.Lines, web.Say("%s %s", q.Name(), q.Email))
	}
	if n > 1 {
		notice.Subject = web.Say("%d people ask for access", n)
	}
	if int(n) > len(list) {
		notice.Lines = append(notice.Lines, web.Say("and %d more.", int(n)-len(list)))
	}
	return d.tell(tx, notice)
}
