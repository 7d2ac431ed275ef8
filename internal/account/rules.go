package account

import (
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// rulesPage is what an organization asks of passwords.
type rulesPage struct {
	Org       web.Org
	Form      web.Form
	Strengths []web.Option
	Now       []password.Rule
	Rules     password.Rules // as stored
}

func (a *Account) showRules(w http.ResponseWriter, r *http.Request) error {
	return a.writeRules(w, r, http.StatusOK, web.Form{})
}

// writeRules shows what is stored, or what was typed.
func (a *Account) writeRules(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := rulesPage{Org: web.OrgOf(r), Form: f, Strengths: []web.Option{
		{Value: "2", Label: web.T(r, "Moderate")}, {Value: "3", Label: web.T(r, "Strong (recommended)")}, {Value: "4", Label: web.T(r, "Very strong")}}}
	var version int64
	err := a.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		p.Rules, version, err = a.opts.Passwords.Rules(tx)
		return err
	})
	if err != nil {
		return err
	}
	p.Now = p.Rules.InWords()
	if f.Values == nil {
		fillRules(&p.Form, p.Rules)
	}
	p.Form.Default("version", strconv.FormatInt(version, 10))
	return pages.Write(w, r, status, "rules", p)
}

func fillRules(f *web.Form, rules password.Rules) {
	for name, n := range map[string]int{"min_length": rules.MinLength, "strength": rules.Strength, "history": rules.History, "expire_days": rules.ExpireDays} {
		f.Set(name, strconv.Itoa(n))
	}
	for name, on := range map[string]bool{"upper": rules.Upper, "lower": rules.Lower, "digit": rules.Digit, "special": rules.Special} {
		if on {
			f.Set(name, "on")
		}
	}
}

// rulesIn reads the form. What is no number becomes one that no rule may be.
func rulesIn(f web.Form) (rules password.Rules, version int64) {
	number := func(name string) int {
		n, err := strconv.Atoi(f.Get(name))
		if err != nil && f.Get(name) != "" {
			return -1
		}
		return n
	}
	return password.Rules{MinLength: number("min_length"), Strength: number("strength"), History: number("history"), ExpireDays: number("expire_days"),
		Upper: f.Get("upper") != "", Lower: f.Get("lower") != "", Digit: f.Get("digit") != "", Special: f.Get("special") != ""}, f.Version()
}

func (a *Account) changeRules(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	rules, version := rulesIn(f)
	err = a.opts.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return a.opts.Passwords.SetRules(tx, rules, version) })
	if err != nil && f.Take(err) {
		return a.writeRules(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved. The rules hold for every password that is set from now on."))
	return see(w, r, "/console/"+web.OrgOf(r).Slug+"/settings/passwords")
}

// rulesView is what programs see.
type rulesView struct {
	password.Rules
	Version int64 `json:"version"`
}

func (a *Account) apiRules(w http.ResponseWriter, r *http.Request) error {
	var v rulesView
	err := a.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		v.Rules, v.Version, err = a.opts.Passwords.Rules(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, v)
}

// rulesPatch is a change; what is left out stays.
type rulesPatch struct {
	MinLength  *int  `json:"min_length"`
	Strength   *int  `json:"strength"`
	Upper      *bool `json:"upper"`
	Lower      *bool `json:"lower"`
	Digit      *bool `json:"digit"`
	Special    *bool `json:"special"`
	History    *int  `json:"history"`
	ExpireDays *int  `json:"expire_days"`
	Version    int64 `json:"version"`
}

func (p rulesPatch) over(r password.Rules) password.Rules {
	for to, from := range map[*int]*int{&r.MinLength: p.MinLength, &r.Strength: p.Strength, &r.History: p.History, &r.ExpireDays: p.ExpireDays} {
		if from != nil {
			*to = *from
		}
	}
	for to, from := range map[*bool]*bool{&r.Upper: p.Upper, &r.Lower: p.Lower, &r.Digit: p.Digit, &r.Special: p.Special} {
		if from != nil {
			*to = *from
		}
	}
	return r
}

func (a *Account) apiSetRules(w http.ResponseWriter, r *http.Request) error {
	var in rulesPatch
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	var v rulesView
	err := a.opts.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		now, version, err := a.opts.Passwords.Rules(tx)
		if err != nil {
			return err
		}
		if in.Version != 0 {
			version = in.Version
		}
		if err := a.opts.Passwords.SetRules(tx, in.over(now), version); err != nil {
			return err
		}
		v.Rules, v.Version, err = a.opts.Passwords.Rules(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, v)
}
