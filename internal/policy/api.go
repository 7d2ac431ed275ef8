package policy

import (
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountAPI(m *web.Mux) {
	m.API(access.Configure, "GET /api/v1/policy", d.apiGet)                                    // Get how people sign in
	m.APIFresh(access.Configure, "PATCH /api/v1/policy", d.apiSet)                             // Change how people sign in, or preview that. 409 while something stands in the way
	m.API(access.Configure, "GET /api/v1/break-glass", d.apiAccounts)                          // List the accounts for emergencies
	m.APIFresh(access.Configure, "POST /api/v1/break-glass", d.apiAddAccount)                  // Name an admin's account for emergencies. Its codes are shown this once
	m.APIFresh(access.Configure, "POST /api/v1/break-glass/{user}/codes", d.apiRenewCodes)     // Renew the codes of an account for emergencies
	m.APIFresh(access.Configure, "DELETE /api/v1/break-glass/{user}", d.apiRemoveAccount)      // Take the mark for emergencies from an account
	m.API(access.ViewUsers, "GET /api/v1/users/{user}/factors", d.apiFactors)                  // List a person's second factors
	m.APIFresh(access.Configure, "POST /api/v1/users/{user}/factors/reset", d.apiResetFactors) // Take a person's second factors away. The person's sessions end, and a mail says why
}

// Rules are a policy as programs see it. A span that is empty is the server's setting.
type Rules struct {
	Password bool           `json:"password"`
	SSO      SSO            `json:"sso"`
	Domains  map[string]SSO `json:"domains"`
	Idle     string         `json:"idle"`
	Absolute string         `json:"absolute"`
	Fresh    string         `json:"fresh"`
	Second   Second         `json:"second_factor"`
	Version  int64          `json:"version"`
	Enforced bool           `json:"enforced"`
}

// View is the policy with what stands around it.
type View struct {
	Rules
	Missing    []string      `json:"missing"` // before single sign-on can be required
	BreakGlass []AccountView `json:"break_glass"`
}

// AccountView is a break-glass account as programs see it.
type AccountView struct {
	ID    store.UserID `json:"user_id"`
	Name  string       `json:"name"`
	Codes int          `json:"codes_left"`
	Wrong string       `json:"wrong,omitempty"` // why it cannot be used
}

// View reads the policy, what is missing to require single sign-on and the
// break-glass accounts. Faults: Denied.
func (d *Door) View(tx *store.Tx) (View, error) {
	p, err := load(tx)
	if err != nil {
		return View{}, err
	}
	v := View{Rules: p.rules(), Missing: []string{}}
	if v.BreakGlass, err = d.accountViews(tx); err != nil {
		return v, err
	}
	missing, err := d.missing(tx)
	v.Missing = append(v.Missing, inEnglish(missing)...)
	return v, err
}

func (d *Door) accountViews(tx *store.Tx) ([]AccountView, error) {
	accounts, err := d.Accounts(tx)
	list := make([]AccountView, 0, len(accounts))
	for _, a := range accounts {
		list = append(list, AccountView{a.ID, a.Name, a.Codes, a.Wrong})
	}
	return list, err
}

func (p Policy) rules() Rules {
	span := func(s time.Duration) string {
		if s == 0 {
			return ""
		}
		return s.String()
	}
	return Rules{Password: p.Password, SSO: p.SSO, Domains: p.Domains, Idle: span(p.Idle), Absolute: span(p.Absolute), Fresh: span(p.Fresh), Second: p.Second,
		Version: p.Version, Enforced: p.Enforced()}
}

func (d *Door) apiGet(w http.ResponseWriter, r *http.Request) error {
	var v View
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		v, err = d.View(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, v)
}

// Patch is a change as programs send it. A span is like "12h"; empty: the server's
// setting. A domain's rule that is null or empty is taken away.
type Patch struct {
	Password *bool          `json:"password"`
	SSO      *SSO           `json:"sso"`
	Domains  map[string]SSO `json:"domains"`
	Idle     *string        `json:"idle"`
	Absolute *string        `json:"absolute"`
	Fresh    *string        `json:"fresh"`
	Second   *Second        `json:"second_factor"`
	Version  int64          `json:"version"`
	Preview  bool           `json:"preview"`
}

// Change reads a patch. Faults: Invalid on the span.
func (p Patch) Change() (Change, error) {
	ch := Change{Password: p.Password, SSO: p.SSO, Domains: p.Domains, Second: p.Second, Version: p.Version}
	for _, s := range []struct {
		name string
		text *string
		to   **time.Duration
	}{{"idle", p.Idle, &ch.Idle}, {"absolute", p.Absolute, &ch.Absolute}, {"fresh", p.Fresh, &ch.Fresh}} {
		if s.text == nil {
			continue
		}
		var span time.Duration
		if *s.text != "" {
			var err error
			if span, err = time.ParseDuration(*s.text); err != nil {
				return ch, fault.Invalid.On(s.name, "%.40q is no time to wait. Write it like 12h or 30m.", *s.text)
			}
		}
		*s.to = &span
	}
	return ch, nil
}

// Outcome is what a change did, or would do.
type Outcome struct {
	Policy    Rules    `json:"policy"`
	Changed   bool     `json:"changed"` // false for a preview
	People    int      `json:"people"`  // whose sessions with a password end
	Sessions  int      `json:"sessions"`
	Resets    int      `json:"resets"`     // people whose links for a new password end
	LockedOut []string `json:"locked_out"` // who could not sign in at all
	Missing   []string `json:"missing"`
	// Without counts those who must have a second factor now and have none; they make one
	// at their next sign-in. WithoutNames are some of them.
	Without      int      `json:"without_second_factor"`
	WithoutNames []string `json:"without_second_factor_names"`
}

// Outcome of a change.
func (e Effect) Outcome(changed bool) Outcome {
	return Outcome{Policy: e.After.rules(), Changed: changed, People: e.People, Sessions: e.Sessions, Resets: e.Resets, LockedOut: append([]string{}, e.LockedOut...), Missing: inEnglish(e.Missing),
		Without: e.Without, WithoutNames: append([]string{}, e.Names...)}
}

func (d *Door) apiSet(w http.ResponseWriter, r *http.Request) error {
	var in Patch
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ch, err := in.Change()
	if err != nil {
		return err
	}
	do := d.Set
	if in.Preview {
		do = d.Preview
	}
	e, err := do(r.Context(), web.Actor(r), ch)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, e.Outcome(!in.Preview))
}

func (d *Door) apiAccounts(w http.ResponseWriter, r *http.Request) error {
	var list []AccountView
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		list, err = d.accountViews(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"accounts": list})
}

func (d *Door) apiAddAccount(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		User string `json:"user_id"`
	}
	if err := web.ReadJSON(r, &in, "user_id"); err != nil {
		return err
	}
	id, err := store.ParseID[store.User](in.User)
	if err != nil {
		return fault.Invalid.On("user_id", "%.64q is no id of a person.", in.User)
	}
	codes, err := d.AddAccount(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, shownOnce{id, codes})
}

// shownOnce are the recovery codes of an account, of which only hashes are kept.
type shownOnce struct {
	User  store.UserID `json:"user_id"`
	Codes []string     `json:"codes"`
}

func (d *Door) apiRenewCodes(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	codes, err := d.RenewCodes(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, shownOnce{id, codes})
}

func (d *Door) apiRemoveAccount(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	if err := d.RemoveAccount(r.Context(), web.Actor(r), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func inEnglish(list []web.Said) []string {
	out := make([]string, len(list))
	for i, said := range list {
		out[i] = said.String()
	}
	return out
}
