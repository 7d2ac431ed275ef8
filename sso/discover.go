package sso

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Choice is a connection that a sign-in page offers.
type Choice struct {
	ID       ConnectionID `db:"id"`
	Org      store.OrgID  `db:"org_id"`
	Name     string       `db:"name"`
	Protocol string       `db:"protocol"`
}

// Path is where a sign-in over the connection starts. email, when known, is passed
// on so that the provider need not ask again.
func (c Choice) Path(next, email string) string {
	q := url.Values{"next": {web.Local(next)}}
	if email != "" {
		q.Set("login_hint", email)
	}
	return "/sso/" + c.Protocol + "/" + string(c.ID) + "/login?" + q.Encode()
}

// Discover gives the open connections for an e-mail address, by its verified
// domain; none when nobody has proved it. It says nothing about whether the
// address has an account: it never looks at people, so any address of a domain gets
// the same answer after the same work. org, when not empty, is the only one whose
// connections count.
func (d *Door) Discover(ctx context.Context, org store.OrgID, email string) ([]Choice, error) {
	var list []Choice
	// Also for what is no address: everybody costs one look-up.
	if err := d.opts.DB.LookupAll(ctx, &list, choicesFor, DomainOf(email)); err != nil || org == "" {
		return list, err
	}
	return slices.DeleteFunc(list, func(c Choice) bool { return c.Org != org }), nil
}

// ChoicesOf gives the open connections of an organization, for its sign-in page.
func (d *Door) ChoicesOf(ctx context.Context, org store.OrgID) ([]Choice, error) {
	var list []Choice
	return list, d.opts.DB.LookupAll(ctx, &list, choicesOf, org)
}

// The browser remembers over which connection its person signed in last, and with
// which address. It is a convenience and proves nothing: what comes back is treated
// as if it had been typed, so it needs no signature. The __Host- name keeps sites
// below or beside ours from setting it.
const (
	lastCookie = "mlast"
	lastFor    = 180 * 24 * time.Hour
)

func (d *Door) lastName() string {
	if d.secure {
		return "__Host-" + lastCookie
	}
	return lastCookie
}

// keepChoice has the browser remember a sign-in that worked.
func (d *Door) keepChoice(w http.ResponseWriter, c Connection, email string) {
	if len(email) > 320 || !cleanText(email) {
		email = ""
	}
	v := url.Values{"c": {string(c.ID)}, "e": {email}}.Encode()
	d.setLast(w, base64.RawURLEncoding.EncodeToString([]byte(v)), lastFor)
}

// ForgetChoice has the browser forget it.
func (d *Door) ForgetChoice(w http.ResponseWriter) { d.setLast(w, "", -time.Second) }

func (d *Door) setLast(w http.ResponseWriter, value string, keep time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: d.lastName(), Value: value, Path: "/", MaxAge: int(keep.Seconds()), Secure: d.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// Remembered is the connection over which this browser's person signed in last, and
// the address; ok is false when there is none, or it is not open any more.
func (d *Door) Remembered(r *http.Request) (c Choice, email string, ok bool, err error) {
	cookie, missing := r.Cookie(d.lastName())
	if missing != nil || len(cookie.Value) > 1000 {
		return c, "", false, nil
	}
	text, bad := base64.RawURLEncoding.DecodeString(cookie.Value)
	v, bad2 := url.ParseQuery(string(text))
	id, bad3 := store.ParseID[Connection](v.Get("c"))
	if bad != nil || bad2 != nil || bad3 != nil {
		return c, "", false, nil
	}
	if email = v.Get("e"); len(email) > 320 || !cleanText(email) {
		email = ""
	}
	var list []Choice
	if err := d.opts.DB.LookupAll(r.Context(), &list, "SELECT c.id, c.org_id, c.name, c.protocol FROM connections c WHERE c.id = ? AND c.status = 'active'", id); err != nil || len(list) == 0 {
		return c, "", false, err
	}
	return list[0], email, true, nil
}
