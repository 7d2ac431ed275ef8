package policy

import (
	"embed"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Mount adds the routes.
func (d *Door) Mount(m *web.Mux) {
	m.Console(access.Configure, "GET /console/{org}/security", d.show)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/security", d.changeMethods)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/security/relax", d.relax)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/security/sessions", d.changeSpans)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/security/second", d.changeSecond)
	m.Console(access.ViewUsers, "GET /console/{org}/users/{user}/factors", d.showFactors)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/users/{user}/factors", d.resetFactors)
	m.Console(access.Configure, "POST /console/{org}/security/acknowledge", d.acknowledge)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/security/breakglass", d.addAccount)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/security/breakglass/codes", d.renewCodes)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/security/breakglass/remove", d.removeAccount)
	m.Member("POST /step-up", d.stepUp)
	m.Member("GET /step-up/{token}", d.goOn)
	d.mountAPI(m)
}

// securityPage is how the people of an organization sign in.
type securityPage struct {
	Org      web.Org
	Form     web.Form
	Policy   Policy
	Enforced bool
	Missing  []web.Said // before single sign-on can be required
	Unseen   []SignIn
	Me       string // the actor's id
	Accounts []Account
	Few      int

	Rules, YesNo            []web.Option
	Domains                 []domainRule
	Admins                  []web.Option // who may become a break-glass account
	Idle, Absolute, FreshIn []web.Option
	Seconds                 []web.Option
}

type domainRule struct {
	Name, Field string
	Rules       []web.Option
	Proved      bool
}

var ruleOptions = []web.Option{{Value: "off", Label: "Off: nobody signs in over a connection"}, {Value: "optional", Label: "Optional: who can may use it"},
	{Value: "required", Label: "Required: nobody signs in otherwise"}}

var domainOptions = []web.Option{{Value: "", Label: "As for everybody"}, {Value: "off", Label: "Off"}, {Value: "optional", Label: "Optional"}, {Value: "required", Label: "Required"}}

var yesNo = []web.Option{{Value: "yes", Label: "Yes"}, {Value: "no", Label: "No"}}

// spans are what a form offers, and what is set if that is something else.
func spans(to web.Reader, now time.Duration, list ...time.Duration) []web.Option {
	if !slices.Contains(list, now) {
		list = append(list, now)
		slices.Sort(list)
	}
	out := make([]web.Option, len(list))
	for i, s := range list {
		out[i] = web.Option{Value: s.String(), Label: to.Say(Span(s))}
		if s == 0 {
			out[i].Label = to.T("As the server is set")
		}
	}
	return out
}

const day = 24 * time.Hour

func (d *Door) show(w http.ResponseWriter, r *http.Request) error {
	return d.page(w, r, http.StatusOK, web.Form{})
}

// page shows everything. What stands in f is what was typed.
func (d *Door) page(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := securityPage{Org: web.OrgOf(r), Form: f, Me: web.Actor(r).ID, Few: fewCodes, Rules: ruleOptions, YesNo: yesNo, Seconds: secondOptions(r)}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Policy, err = load(tx); err != nil {
			return err
		}
		if p.Unseen, err = unseen(tx); err != nil {
			return err
		}
		if p.Accounts, err = d.Accounts(tx); err != nil {
			return err
		}
		if p.Missing, err = d.missing(tx); err != nil {
			return err
		}
		if p.Admins, err = d.candidates(tx, p.Accounts); err != nil {
			return err
		}
		p.Domains, err = d.domainRules(tx, p.Policy)
		return err
	})
	if err != nil {
		return err
	}
	p.Enforced = p.Policy.Enforced()
	p.fill(web.ReaderIn(r))
	return pages.Write(w, r, status, "security", p)
}

// fill puts into the form what is not typed yet.
func (p *securityPage) fill(to web.Reader) {
	start := p.Form.Default
	start("version", strconv.FormatInt(p.Policy.Version, 10))
	start("sso", string(p.Policy.SSO))
	start("password", word(p.Policy.Password))
	start("second_factor", string(p.Policy.Second))
	for _, rule := range p.Domains {
		start(rule.Field, string(p.Policy.Domains[rule.Name]))
	}
	start("idle", p.Policy.Idle.String())
	start("absolute", p.Policy.Absolute.String())
	start("fresh", p.Policy.Fresh.String())
	p.Idle = spans(to, p.Policy.Idle, 0, 15*time.Minute, time.Hour, 4*time.Hour, 12*time.Hour, day, 7*day)
	p.Absolute = spans(to, p.Policy.Absolute, 0, 8*time.Hour, 12*time.Hour, day, 7*day, 30*day)
	p.FreshIn = spans(to, p.Policy.Fresh, 5*time.Minute, freshDefault, 30*time.Minute, time.Hour, 4*time.Hour)
}

func word(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// candidates are the admins who could become break-glass accounts.
func (d *Door) candidates(tx *store.Tx, named []Account) ([]web.Option, error) {
	admins, err := tx.Admins()
	if err != nil {
		return nil, err
	}
	out := []web.Option{{Value: "", Label: "Choose an admin"}}
	for _, u := range admins {
		is := slices.ContainsFunc(named, func(a Account) bool { return a.ID == u.ID })
		if !is && u.DirectoryID == "" {
			out = append(out, web.Option{Value: string(u.ID), Label: u.DisplayName + " (" + u.UserName + ")"})
		}
	}
	if len(out) == 1 {
		return nil, nil
	}
	return out, nil
}

// domainRules are the proved domains, and those that have a rule for other reasons.
func (d *Door) domainRules(tx *store.Tx, p Policy) ([]domainRule, error) {
	proved, err := d.opt.Domains(tx)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(proved)
	for _, name := range slices.Sorted(maps.Keys(p.Domains)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	out := make([]domainRule, len(names))
	for i, name := range names {
		out[i] = domainRule{Name: name, Field: "domain:" + name, Rules: domainOptions, Proved: slices.Contains(proved, name)}
	}
	return out, nil
}

// confirmPage says what a change would do before it is made.
type confirmPage struct {
	Org    web.Org
	Effect Effect
	Fields []field // of the form, to send it again
}

type field struct{ Name, Value string }

// changeMethods takes the form of methods: what makes people use single sign-on is
// shown first and made when that page is sent.
func (d *Door) changeMethods(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	ch := methodsOf(f)
	e, err := d.Preview(r.Context(), web.Actor(r), ch)
	if err == nil && len(e.Missing) > 0 {
		f.Fail("sso", "Single sign-on cannot be required yet.")
		for _, m := range e.Missing {
			f.Fail("", web.ReaderIn(r).Say(m))
		}
		return d.page(w, r, http.StatusConflict, f)
	}
	if err == nil && e.Stricter && f.Get("confirmed") == "" {
		c := confirmPage{Org: web.OrgOf(r), Effect: e}
		for _, name := range slices.Sorted(maps.Keys(f.Values)) {
			c.Fields = append(c.Fields, field{name, f.Get(name)})
		}
		return pages.Write(w, r, http.StatusOK, "confirm", c)
	}
	if err == nil {
		e, err = d.Set(r.Context(), web.Actor(r), ch)
	}
	return d.answer(w, r, f, err, "Saved. It holds from now on"+ended(e)+".")
}

func ended(e Effect) string {
	if e.Sessions == 0 {
		return ""
	}
	return "; " + strconv.Itoa(e.Sessions) + " sessions with a password have ended"
}

func methodsOf(f web.Form) Change {
	sso, password := SSO(f.Get("sso")), f.Get("password") == "yes"
	ch := Change{SSO: &sso, Password: &password, Domains: map[string]SSO{}}
	for name := range f.Values {
		if domain, ok := strings.CutPrefix(name, "domain:"); ok {
			ch.Domains[domain] = SSO(f.Get(name))
		}
	}
	ch.Version = f.Version()
	return ch
}

// answer goes back to the page, with the form when there is something to mend.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, f web.Form, err error, done string) error {
	if f.Take(err) {
		return d.page(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, done)
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/security", http.StatusSeeOther)
	return nil
}

// relax is one click: nobody must use single sign-on any more.
func (d *Door) relax(w http.ResponseWriter, r *http.Request) error {
	err := d.Relax(r.Context(), web.Actor(r))
	return d.answer(w, r, web.Form{}, err, "Single sign-on is not required any more. All admins are told by mail.")
}

func (d *Door) changeSpans(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	ch := Change{Version: f.Version()}
	for name, to := range map[string]**time.Duration{"idle": &ch.Idle, "absolute": &ch.Absolute, "fresh": &ch.Fresh} {
		span, err := time.ParseDuration(f.Get(name))
		if err != nil {
			f.Fail(name, "Choose one of the times.")
			continue
		}
		*to = &span
	}
	if f.Bad() {
		return d.page(w, r, http.StatusBadRequest, f)
	}
	_, err = d.Set(r.Context(), web.Actor(r), ch)
	return d.answer(w, r, f, err, "Saved. It holds for sessions that run, too.")
}

func (d *Door) acknowledge(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	id, err := store.ParseID[SignIn](f.Get("signin"))
	if err != nil {
		return err
	}
	return d.answer(w, r, web.Form{}, d.Acknowledge(r.Context(), web.Actor(r), id), "Acknowledged.")
}

// codesPage shows recovery codes, this once.
type codesPage struct {
	Org   web.Org
	Name  string
	Codes []string
}

func (d *Door) addAccount(w http.ResponseWriter, r *http.Request) error {
	return d.withAccount(w, r, func(user store.UserID) ([]string, error) { return d.AddAccount(r.Context(), web.Actor(r), user) }, "")
}

func (d *Door) renewCodes(w http.ResponseWriter, r *http.Request) error {
	return d.withAccount(w, r, func(user store.UserID) ([]string, error) { return d.RenewCodes(r.Context(), web.Actor(r), user) }, "")
}

func (d *Door) removeAccount(w http.ResponseWriter, r *http.Request) error {
	return d.withAccount(w, r, func(user store.UserID) ([]string, error) {
		return nil, d.RemoveAccount(r.Context(), web.Actor(r), user)
	}, "The account is no break-glass account any more, and its sessions have ended.")
}

func (d *Door) withAccount(w http.ResponseWriter, r *http.Request, do func(store.UserID) ([]string, error), done string) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	user, err := store.ParseID[store.User](f.Get("user"))
	if err != nil {
		err = fault.Invalid.On("user", "Choose one of the admins.")
	}
	var list []string
	if err == nil {
		list, err = do(user)
	}
	if err != nil || len(list) == 0 {
		return d.answer(w, r, f, err, done)
	}
	p := codesPage{Org: web.OrgOf(r), Codes: list}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		u, err := tx.User(user)
		p.Name = u.DisplayName
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return pages.Write(w, r, http.StatusOK, "codes", p)
}
