package policy

import (
	"maps"
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func secondOptions(r *http.Request) []web.Option {
	return []web.Option{{Value: string(SecondOff), Label: web.T(r, "Nobody: it is switched off")}, {Value: string(SecondOptional), Label: web.T(r, "Nobody: who has one is asked for it")},
		{Value: string(SecondAdmins), Label: web.T(r, "Admins must have one")}, {Value: string(SecondAll), Label: web.T(r, "Everybody must have one")}}
}

// changeSecond takes the rule of second factors: what makes people have one is shown
// first, with who has none, and made when that page is sent.
func (d *Door) changeSecond(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	rule := Second(f.Get("second_factor"))
	ch := Change{Second: &rule}
	ch.Version = f.Version()
	if f.Get("confirmed") == "" {
		e, err := d.Preview(r.Context(), web.Actor(r), ch)
		if err != nil {
			return d.answer(w, r, f, err, "")
		}
		if e.Asked {
			c := confirmPage{Org: web.OrgOf(r), Effect: e}
			for _, name := range slices.Sorted(maps.Keys(f.Values)) {
				c.Fields = append(c.Fields, field{name, f.Get(name)})
			}
			return pages.Write(w, r, http.StatusOK, "second", c)
		}
	}
	_, err = d.Set(r.Context(), web.Actor(r), ch)
	return d.answer(w, r, f, err, web.T(r, "Saved. It holds from the next sign-in on."))
}

// factorsPage is what one person has, for an admin.
type factorsPage struct {
	Org      web.Org
	Form     web.Form
	ID       store.UserID
	Name     string
	View     factor.View
	MayReset bool
}

func (d *Door) showFactors(w http.ResponseWriter, r *http.Request) error {
	return d.factorsPage(w, r, http.StatusOK, web.Form{})
}

func (d *Door) factorsPage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	actor := web.Actor(r)
	p := factorsPage{Org: web.OrgOf(r), Form: f, ID: id, MayReset: actor.May(access.Configure) && actor.ID != string(id)}
	err = d.opt.DB.Read(r.Context(), actor, func(tx *store.Tx) error {
		u, err := tx.User(id)
		p.MayReset = p.MayReset && err == nil && tx.MayTouch(u) == nil
		p.Name = u.DisplayName
		if p.Name == "" {
			p.Name = u.UserName
		}
		return err
	})
	if err != nil {
		return err
	}
	if p.View, err = d.FactorsOf(r.Context(), actor, id); err != nil {
		return err
	}
	return pages.Write(w, r, status, "factors", p)
}

func (d *Door) resetFactors(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	err = d.ResetFactors(r.Context(), web.Actor(r), id, f.Get("why"))
	if fault.Is(err, fault.Denied) {
		f.FailWith("", err)
		return d.factorsPage(w, r, web.Status(err), f)
	}
	if f.Take(err) {
		return d.factorsPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Removed. The person is signed out everywhere and told by mail."))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/users/"+string(id)+"/factors", http.StatusSeeOther)
	return nil
}

// FactorsView is what somebody has, as programs see it.
type FactorsView struct {
	UserID        store.UserID  `json:"user_id"`
	Required      bool          `json:"required"`
	Passkeys      []PasskeyView `json:"passkeys"`
	Authenticator string        `json:"authenticator_since,omitempty"`
	Codes         int           `json:"recovery_codes_left"`
}

// PasskeyView is a passkey as programs see it.
type PasskeyView struct {
	Name      string `json:"name"`
	Synced    bool   `json:"synced"`
	Beside    bool   `json:"beside_password_only"` // a security key without a PIN
	Stopped   bool   `json:"stopped"`              // its counter went back: there may be a copy
	CreatedAt string `json:"created_at"`
	UsedAt    string `json:"last_used_at,omitempty"`
}

// Shown is what FactorsOf gives, for programs.
func Shown(user store.UserID, v factor.View) FactorsView {
	out := FactorsView{UserID: user, Required: v.Rule.Required, Passkeys: []PasskeyView{}, Codes: v.Codes}
	for _, k := range v.Passkeys {
		p := PasskeyView{Name: k.Name, Synced: k.Synced, Beside: k.SecondOnly, Stopped: k.CopiedAt != 0, CreatedAt: k.CreatedAt.RFC3339()}
		if k.UsedAt != 0 {
			p.UsedAt = k.UsedAt.RFC3339()
		}
		out.Passkeys = append(out.Passkeys, p)
	}
	if v.AppSince != 0 {
		out.Authenticator = v.AppSince.RFC3339()
	}
	return out
}

func (d *Door) apiFactors(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	v, err := d.FactorsOf(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, Shown(id, v))
}

func (d *Door) apiResetFactors(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	var in struct {
		Why string `json:"why"`
	}
	if err := web.ReadJSON(r, &in, "why"); err != nil {
		return err
	}
	if err := d.ResetFactors(r.Context(), web.Actor(r), id, in.Why); err != nil {
		return err
	}
	v, err := d.FactorsOf(r.Context(), web.Actor(r), id)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, Shown(id, v))
}
