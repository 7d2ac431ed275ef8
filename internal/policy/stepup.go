package policy

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Step-up: what matters asks for a sign-in that is not older than the policy says. The
// page that asks has all that was typed as hidden fields. With the password, or a passkey,
// it posts to where the form was going, and the guard lets it through. At the identity
// provider the fields wait here, sealed, and the page after it posts them. Whoever has a
// second factor is asked for a code or a security key beside the password here, too;
// whoever has a passkey and no password, for the passkey or a code.

// The fields in which the page that asks sends its own begin so.
const (
	again       = "step_up_"
	againText   = again + "password"
	againCode   = again + "code"
	againTicket = again + "ticket"
	againAnswer = again + "answer"
)

const stepUpFor = 15 * time.Minute // for the way to the provider and back

// stepUpPage asks for a fresh sign-in, or goes on after it.
type stepUpPage struct {
	Form      web.Form
	Path      string // where what was typed goes
	Fields    []field
	Since     store.Time // of the last sign-in
	Provider  string     // the connection to sign in over, or empty
	Password  bool       // it may be the password
	Code      bool       // with a code of the app, or a recovery code
	CodeAlone bool       // such a code by itself: there is no password
	Passkey   factor.Ceremony
	Beside    factor.Ceremony // a security key, with the password
	Confirmed bool
	Always    bool // it is asked for in any session
}

// own tells whether the person can prove it to this server.
func (p stepUpPage) own() bool {
	return p.Password || p.CodeAlone || p.Passkey.Options != "" || p.Beside.Options != ""
}

// backFor is how long somebody with nothing to prove it here may take from the identity
// provider to where web.Prove stands.
const backFor = 5 * time.Minute

// Fresh is web.Options.Fresh. Programs with a key are not asked.
func (d *Door) Fresh(w http.ResponseWriter, r *http.Request) (asked bool, err error) {
	return d.guard(w, r, false)
}

// Prove is web.Options.Prove.
func (d *Door) Prove(w http.ResponseWriter, r *http.Request) (asked bool, err error) {
	return d.guard(w, r, true)
}

func (d *Door) guard(w http.ResponseWriter, r *http.Request, always bool) (asked bool, err error) {
	if web.Actor(r).Kind != access.Person {
		return false, nil
	}
	actor, s, err := d.opt.Sessions.Actor(r)
	if err != nil {
		return false, err
	}
	if !always {
		if fresh, err := d.isFresh(r.Context(), s); err != nil || fresh {
			return false, err
		}
	}
	ways, err := d.waysBack(r.Context(), s)
	if err != nil {
		return false, err
	}
	switch {
	case always && ways.own():
		ways.Provider, ways.Always = "", true
	case always && s.AuthAt > store.TimeOf(d.opt.DB.Now().Add(-backFor)):
		return false, nil
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		return false, fault.Denied.Say("This asks for a sign-in that is not older. Do it in the console, which asks for it, or use a key.")
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return false, err
	}
	if f.Get(againText) != "" && ways.Password || f.Get(againAnswer) != "" || f.Get(againCode) != "" && ways.CodeAlone {
		err := d.proveAgain(r, actor, s, f, ways)
		if err == nil {
			for name := range r.Form {
				if strings.HasPrefix(name, again) {
					delete(r.PostForm, name)
					delete(r.Form, name)
				}
			}
			return false, nil
		}
		if !f.Take(err) {
			return false, err
		}
	}
	ways.Form, ways.Path, ways.Fields = web.Form{Errors: f.Errors}, r.URL.Path, fieldsOf(f.Values)
	return true, d.writeStepUp(w, r, http.StatusForbidden, ways)
}

func (d *Door) writeStepUp(w http.ResponseWriter, r *http.Request, status int, p stepUpPage) error {
	// The answer to the form may lead to an identity provider.
	sources := []string{"'self'", "https:"}
	if strings.HasPrefix(d.opt.PublicURL, "http:") {
		sources = append(sources, "http:")
	}
	web.Policy(w, "form-action", sources...)
	web.Policy(w, "script-src", "'self'")
	w.Header().Set("Cache-Control", "no-store")
	return pages.Write(w, r, status, "stepup", p)
}

func fieldsOf(values map[string][]string) (list []field) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[name] {
			if !strings.HasPrefix(name, again) {
				list = append(list, field{name, v})
			}
		}
	}
	return list
}

// isFresh asks the policy of the session's own organization.
func (d *Door) isFresh(ctx context.Context, s session.Session) (fresh bool, err error) {
	err = d.opt.DB.Read(ctx, access.Muster(string(s.Org)), func(tx *store.Tx) error {
		p, err := load(tx)
		fresh = s.AuthAt > tx.Now().Add(-p.Fresh)
		return err
	})
	return fresh, err
}

// waysBack are the ways in which the session's person can prove who they are.
func (d *Door) waysBack(ctx context.Context, s session.Session) (p stepUpPage, err error) {
	p.Since = s.AuthAt
	err = d.opt.DB.Read(ctx, access.Muster(string(s.Org)), func(tx *store.Tx) error {
		may, err := d.MethodsOf(tx, s.UserID)
		if err != nil {
			return err
		}
		if p.Password, err = d.opt.Passwords.Has(tx, s.UserID); err != nil {
			return err
		}
		p.Password = p.Password && may.Password
		if err := d.factorsBack(tx, &p, s); err != nil {
			return err
		}
		if s.Connection == "" {
			return nil
		}
		list, err := d.opt.Connections(tx)
		for _, c := range list {
			if c.ID == s.Connection && c.Active {
				p.Provider = c.Name
			}
		}
		return err
	})
	return p, err
}

// stepUp sends somebody to the identity provider and keeps what was typed.
func (d *Door) stepUp(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	_, s, err := d.opt.Sessions.Actor(r)
	if err != nil {
		return err
	}
	path := r.URL.Query().Get("to")
	if web.Local(path) != path || !strings.HasPrefix(path, "/console/") && !strings.HasPrefix(path, "/account/") {
		return fault.Invalid.On("to", "There is no such page at this address.")
	}
	fields, err := json.Marshal(fieldsOf(f.Values))
	if err != nil {
		return err
	}
	token := secret.NewToken()
	sealed, err := d.opt.Key.Seal(stepUpPlace(token), fields)
	if err != nil {
		return err
	}
	err = d.opt.DB.Write(r.Context(), access.Muster(string(s.Org)), func(tx *store.Tx) error {
		_, err := tx.Exec("INSERT INTO step_ups (org_id, token_hash, session_id, path, form, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
			tx.Org(), secret.Hash(token), s.ID, path, sealed, tx.Now().Add(stepUpFor))
		return err
	})
	if err != nil {
		return err
	}
	return d.opt.StepUp(w, r, s, "/step-up/"+token)
}

func stepUpPlace(token string) string { return "step-up/" + secret.Hash(token) }

// goOn is the page after the identity provider: what was typed, one button away from
// where it was going.
func (d *Door) goOn(w http.ResponseWriter, r *http.Request) error {
	_, s, err := d.opt.Sessions.Actor(r)
	if err != nil {
		return err
	}
	token := r.PathValue("token")
	var row struct {
		Path string `db:"path"`
		Form []byte `db:"form"`
	}
	err = d.opt.DB.Read(r.Context(), access.Muster(string(s.Org)), func(tx *store.Tx) error {
		return tx.Get(&row, "SELECT path, form FROM step_ups WHERE org_id = ? AND token_hash = ? AND session_id = ? AND expires_at > ?",
			tx.Org(), secret.Hash(token), s.ID, tx.Now())
	})
	if fault.Is(err, fault.NotFound) {
		return fault.Expired.Say("This took too long, or was begun in another session. Go back to the console and do it again.")
	}
	if err != nil {
		return err
	}
	plain, err := d.opt.Key.Open(stepUpPlace(token), row.Form)
	if err != nil {
		return err
	}
	p, err := d.waysBack(r.Context(), s)
	if err != nil {
		return err
	}
	p.Path = row.Path
	if err := json.Unmarshal(plain, &p.Fields); err != nil {
		return err
	}
	if p.Confirmed, err = d.isFresh(r.Context(), s); err != nil {
		return err
	}
	return d.writeStepUp(w, r, http.StatusOK, p)
}

// Sweep removes what nobody came back for.
func (d *Door) Sweep(ctx context.Context) error {
	_, err := d.opt.DB.Sweep(ctx, "DELETE FROM step_ups WHERE expires_at <= ?", store.TimeOf(d.opt.DB.Now()))
	return err
}

// Run sweeps until ctx is done.
func (d *Door) Run(ctx context.Context) error {
	store.Every(ctx, d.opt.Log, 10*time.Minute, nil, "sweep step-ups", d.Sweep)
	return nil
}
