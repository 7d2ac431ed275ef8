package sso

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// Who signs out here may be signed out at the provider as well. The session here
// ends first and whatever happens; then
//
//	Leave                              the message to the provider is stored, sealed
//	/sso/logout/{connection}/{handle}  a page of ours sends the browser there with it
//	/sso/saml/{connection}/slo         its answer becomes the outcome of the record
//	/sso/logout/{connection}/{handle}  says what has ended and what has not
//
// The page in between is needed because Chromium holds the redirects after a form
// against form-action: the sign-out button's answer must not leave this site.

// leaving is a signing out at the provider, as it is stored.
type leaving struct {
	RequestID string     `db:"request_id"` // SAML: ID of our LogoutRequest
	Outgoing  []byte     `db:"outgoing"`   // sealed saml.Outgoing, or nothing
	Outcome   string     `db:"outcome"`
	Reference string     `db:"reference"`
	ExpiresAt store.Time `db:"expires_at"`
}

// The outcomes beside saml's done, partial and refused.
const (
	leaveWaiting    = ""           // no answer yet
	leaveUnverified = "unverified" // an answer that proves nothing
)

// leaveFor is how long the way to the provider and back may take, and how long the
// page can be looked at again.
const leaveFor = 30 * time.Minute

// Leave prepares the signing out at the identity provider that a session came
// from, and says where the browser goes after the session here has ended: a path
// of ours, empty when the session came from no provider. Call it before ending
// the session, and end that also when Leave fails.
func (d *Door) Leave(ctx context.Context, actor access.Actor, id session.ID) (path string, err error) {
	var ref SessionRef
	var c Connection
	var ok bool
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if ref, ok, err = refOf(tx, id); err != nil || !ok {
			return err
		}
		c, err = connectionIn(tx, ref.Connection)
		return err
	})
	if err != nil || !ok {
		return "", err
	}
	way := leaveWays[c.Protocol]
	handle := secret.NewToken()
	out, requestID, err := way(d, ctx, c, ref, handle)
	if err != nil {
		return "", err
	}
	page := leavePath(c.ID, "")
	if c.Status != statusActive || out.URL == "" {
		return page, nil
	}
	plain, err := json.Marshal(out)
	if err != nil {
		return page, fmt.Errorf("sign out at %s: %w", c.Name, err)
	}
	sealed, err := d.opts.Key.Seal(leavePlace(handle), plain)
	if err != nil {
		return page, err
	}
	err = d.opts.DB.Write(ctx, actorOf(c, actor), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO sso_logouts (org_id, handle, connection_id, request_id, outgoing, outcome, reference, created_at, expires_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, tx.Org(), secret.Hash(handle), c.ID, requestID, sealed, leaveWaiting, "", tx.Now(), tx.Now().Add(leaveFor))
		return err
	})
	return leavePath(c.ID, handle), err
}

// leaveWays make the message to the provider; without a URL there is no way.
// handle comes back with its answer.
var leaveWays = map[string]func(d *Door, ctx context.Context, c Connection, ref SessionRef, handle string) (out saml.Outgoing, requestID string, err error){
	protocolSAML: (*Door).samlLeave,
	protocolOIDC: (*Door).oidcLeave,
}

func leavePath(id ConnectionID, handle string) string {
	path := "/sso/logout/" + string(id)
	if handle != "" {
		path += "/" + handle
	}
	return path
}

// leavePlace names the place of the sealed message.
func leavePlace(handle string) string { return "sso-logout/" + secret.Hash(handle) }

const selectLeaving = `SELECT request_id, outgoing, outcome, reference, expires_at FROM sso_logouts
	WHERE org_id = ? AND handle = ? AND connection_id = ? AND expires_at > ?`

// leavingOf finds a signing out by what the provider brought back. Faults: NotFound.
func leavingOf(tx *store.Tx, c Connection, handle string) (l leaving, err error) {
	return l, tx.Get(&l, selectLeaving, tx.Org(), secret.Hash(handle), c.ID, tx.Now())
}

// left notes the outcome. The first answer that proves something counts: whoever
// learns the handle can send others.
func left(tx *store.Tx, c Connection, handle, outcome, reference string) error {
	_, err := tx.Exec("UPDATE sso_logouts SET outcome = ?, reference = ?, outgoing = NULL WHERE org_id = ? AND handle = ? AND connection_id = ? AND outcome IN (?, ?) AND expires_at > ?",
		outcome, reference, tx.Org(), secret.Hash(handle), c.ID, leaveWaiting, leaveUnverified, tx.Now())
	return err
}

type leavePage struct {
	Title, Here, There web.Said
	Provider           string
	Action             string // where the form or the link goes; empty: nowhere
	Fields             url.Values
	Post               bool
	Reference          string
}

// leaveWords are what the page says of the provider, by outcome.
var leaveWords = map[string]web.Said{
	"none":                     web.Say("It offers no single logout here, so you may still be signed in there. Sign out there too, or close the browser, if others use this device."),
	leaveWaiting:               web.Say("It has not answered, so you may still be signed in there. Sign out there too, or close the browser, if others use this device."),
	leaveUnverified:            web.Say("Its answer could not be verified, so you may still be signed in there. Sign out there too, or close the browser, if others use this device."),
	string(saml.LogoutDone):    web.Say("You are signed out there too."),
	string(saml.LogoutPartial): web.Say("You are signed out there, but not of every application that it signed you in to."),
	string(saml.LogoutRefused): web.Say("It did not sign you out. Sign out there too, or close the browser, if others use this device."),
	"sending":                  web.Say("You are being signed out there too."),
	"asked":                    web.Say("It asked for that."),
}

// showLeft is the page on which every signing out over a provider ends. Shown for
// the first time it sends the browser to the provider.
func (d *Door) showLeft(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	c, err := d.connectionByID(r.Context(), id)
	if err != nil {
		return err
	}
	page := leavePage{Title: web.Say("You are signed out"), Here: web.Say("Your session here has ended."), Provider: c.Name, There: leaveWords["none"]}
	if web.Actor(r).Signed() { // again, or still: the address was opened by hand
		page.Title, page.Here = web.Say("You are signed in here"), web.Say("You have a session here.")
	}
	handle := r.PathValue("handle")
	if handle == "" {
		return pages.Write(w, r, http.StatusOK, "left", page)
	}
	l, err := d.takeLeaving(r.Context(), c, handle)
	if fault.Is(err, fault.NotFound) {
		err, l.Outcome = nil, leaveWaiting // long ago, or made up
	}
	if err != nil {
		return err
	}
	page.There, page.Reference = leaveWords[l.Outcome], l.Reference
	if l.Outgoing == nil {
		return pages.Write(w, r, http.StatusOK, "left", page)
	}
	plain, err := d.opts.Key.Open(leavePlace(handle), l.Outgoing)
	if err != nil {
		return err
	}
	var out saml.Outgoing
	if err := json.Unmarshal(plain, &out); err != nil {
		return fmt.Errorf("sign out at %s: %w", c.Name, err)
	}
	page.Title, page.There, page.Action, page.Fields, page.Post = web.Say("You are signed out here"), leaveWords["sending"], out.URL, out.Form, out.Form != nil
	if page.Post {
		submits(w, onward(out.URL))
	} else {
		w.Header().Set("Refresh", "0; url="+out.URL)
	}
	return pages.Write(w, r, http.StatusOK, "left", page)
}

// onward are the sites that a form may lead to which begins a way over other sites:
// browsers hold all its redirects against the policy, and a provider sends people on
// to each application that it signed them in to, and back here.
func onward(first string) string {
	if strings.HasPrefix(first, "http:") {
		return "'self' https: http:"
	}
	return "'self' https:"
}

// takeLeaving reads a signing out; its message is handed out once.
func (d *Door) takeLeaving(ctx context.Context, c Connection, handle string) (l leaving, err error) {
	err = d.opts.DB.Write(ctx, access.Muster(string(c.OrgID)), func(tx *store.Tx) error {
		if l, err = leavingOf(tx, c, handle); err != nil || l.Outgoing == nil {
			return err
		}
		n, err := tx.Exec("UPDATE sso_logouts SET outgoing = NULL WHERE org_id = ? AND handle = ? AND outgoing IS NOT NULL", tx.Org(), secret.Hash(handle))
		if err == nil && n == 0 {
			l.Outgoing = nil // another window was faster
		}
		return err
	})
	return l, err
}

// logoutRefused records a logout message that could not be used, and shows the
// person what that means for them.
func (d *Door) logoutRefused(w http.ResponseWriter, r *http.Request, c Connection, err error, trace answer.Trace) error {
	ref := secret.NewReference()
	out := refusalOf(err, trace)
	if err := d.recordLogout(r, c, out, ref); err != nil {
		return err
	}
	return pages.Write(w, r, out.status, "unleft", leavePage{Provider: c.Name, Here: out.sentence, Reference: ref})
}

// recordLogout writes the activity row that explains a reference.
func (d *Door) recordLogout(r *http.Request, c Connection, out *refusal, ref string) error {
	actor := d.actorAt(r, c)
	if !d.recorded.takes(c, actor.IP, false) {
		return nil
	}
	err := d.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		row := store.Activity{Action: "user.signout.refused", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
			Detail: map[string]any{"reference": ref, "connection": c.ID, "method": c.Protocol}}
		out.explain(row.Detail)
		return tx.Record(row)
	})
	if err != nil {
		return fmt.Errorf("record refused sign-out %s (%s): %w", ref, out.check, err)
	}
	return nil
}
