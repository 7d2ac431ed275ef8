package sso

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

type signInsPage struct {
	Org         web.Org
	Form        web.Form
	Path        string
	SignIns     []signInLine
	Connections []web.Option
	Checks      []string // to choose from while typing
	Filtered    bool
	Older       string
	Newest      string
}

// signInLine is one of the list.
type signInLine struct {
	SignInEntry
	At   store.Time
	Link string
	Who  string
	With string
}

// signInPage is one sign-in, explained.
type signInPage struct {
	Org      web.Org // zero for the operator's
	Line     signInLine
	Failed   *answer.Check
	Outcome  *Outcome
	UserLink string
	Up       string
}

// signInMethods are what the ways of signing in are called.
var signInMethods = map[string]string{"password": "Password", "passkey": "Passkey", "saml": "SAML", "oidc": "OpenID Connect", "invite": "Invitation", "setup": "Set-up link", "": "not known"}

func lineOfSignIn(r *http.Request, e SignInEntry, base string) signInLine {
	l := signInLine{SignInEntry: e, Link: base + "/" + e.ID, Who: orElse(e.Name, orElse(e.Email, e.Subject)), With: orElse(e.Connection, web.T(r, orElse(signInMethods[e.Method], e.Method)))}
	if at, err := signInCursor(e.ID); err == nil {
		l.At = at.At
	}
	if l.Who == "" {
		l.Who = web.T(r, "Somebody unknown")
	}
	return l
}

func (d *Door) showSignIns(w http.ResponseWriter, r *http.Request) error {
	q, org := r.URL.Query(), web.OrgOf(r)
	p := signInsPage{Org: org, Path: "/console/" + org.Slug + "/signins", Checks: allChecks()}
	for _, name := range signInParameters {
		p.Form.Set(name, shown(q.Get(name), 200))
	}
	f, err := signInFilter(dropEmpty(q))
	f.Limit = signInsShown
	p.Filtered = slices.ContainsFunc([]string{f.Reference, f.Person, f.Connection, f.Result, f.Check, f.Since, f.Until}, func(s string) bool { return s != "" })
	status := http.StatusOK
	var page SignInPage
	read := func(tx *store.Tx) error {
		connections, err := connectionsIn(tx)
		if err != nil {
			return err
		}
		p.Connections = []web.Option{{Value: "", Label: web.T(r, "Any")}}
		for _, c := range connections {
			p.Connections = append(p.Connections, web.Option{Value: string(c.ID), Label: c.Name, Chosen: string(c.ID) == f.Connection})
		}
		page, err = d.SignIns(tx, f)
		return err
	}
	if err == nil {
		err = d.opts.DB.Read(r.Context(), web.Actor(r), read)
	}
	if p.Form.Take(err) {
		status, err = web.Status(err), nil
	}
	if err != nil {
		return err
	}
	for _, e := range page.SignIns {
		p.SignIns = append(p.SignIns, lineOfSignIn(r, e, p.Path))
	}
	if page.Next != "" {
		p.Older = signInsLink(q, page.Next)
	}
	if f.Cursor != "" {
		p.Newest = signInsLink(q, "")
	}
	return pages.Write(w, r, status, "signins", p)
}

// dropEmpty leaves out what a form sends of fields that nobody filled in.
func dropEmpty(q url.Values) url.Values {
	out := url.Values{}
	for name, values := range q {
		if len(values) != 1 || values[0] != "" {
			out[name] = values
		}
	}
	return out
}

func signInsLink(q url.Values, cursor string) string {
	v := url.Values{}
	for _, name := range signInParameters {
		if name != "cursor" && q.Get(name) != "" {
			v.Set(name, q.Get(name))
		}
	}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
	return "?" + v.Encode()
}

func (d *Door) showSignIn(w http.ResponseWriter, r *http.Request) error {
	var e SignInEntry
	err := d.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		e, err = d.SignIn(tx, r.PathValue("signin"))
		return err
	})
	if err != nil {
		return err
	}
	org := web.OrgOf(r)
	p := explainedPage(r, e, "/console/"+org.Slug+"/signins")
	p.Org = org
	if e.UserID != "" {
		p.UserLink = "/console/" + org.Slug + "/users/" + e.UserID
	}
	return pages.Write(w, r, http.StatusOK, "signin", p)
}

func explainedPage(r *http.Request, e SignInEntry, up string) signInPage {
	p := signInPage{Line: lineOfSignIn(r, e, up), Up: up}
	if c, failed := e.Checks.Failed(); failed {
		p.Failed = &c
	}
	if len(e.Account) > 0 {
		var out Outcome
		if json.Unmarshal(e.Account, &out) == nil {
			p.Outcome = &out
		}
	}
	return p
}

// operatorPage is where an operator enters a reference.
type operatorPage struct {
	Form  web.Form
	Found *signInPage // of no organization
	Last  []signInLine
}

// findSignIn leads an operator to a reference, whichever organization it is of, and
// shows what belongs to none: addresses of connections that are not there.
func (d *Door) findSignIn(w http.ResponseWriter, r *http.Request) error {
	actor := web.Actor(r)
	if !actor.May(access.Operate) {
		return fault.Denied.Say("Only an operator of this server can look through all organizations.")
	}
	var p operatorPage
	status := http.StatusOK
	if reference := r.URL.Query().Get("reference"); reference != "" {
		p.Form.Set("reference", shown(reference, 40))
		e, org, err := d.FindSignIn(r.Context(), actor, reference)
		switch {
		case fault.Is(err, fault.NotFound):
			status = http.StatusNotFound
			p.Form.FailWith("reference", err)
		case err != nil:
			return err
		case org != store.NoOrg:
			slug, err := d.slugOf(r, org)
			if err != nil {
				return err
			}
			http.Redirect(w, r, "/console/"+slug+"/signins/"+e.ID, http.StatusSeeOther)
			return nil
		default:
			found := explainedPage(r, e, "/console/signins")
			p.Found = &found
		}
	}
	err := d.opts.DB.Read(r.Context(), actor.In(string(store.NoOrg)), func(tx *store.Tx) error {
		page, err := d.SignIns(tx, SignInFilter{})
		for _, e := range page.SignIns {
			l := lineOfSignIn(r, e, "")
			l.Link = "/console/signins?reference=" + url.QueryEscape(e.Reference)
			p.Last = append(p.Last, l)
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "signinfind", p)
}
