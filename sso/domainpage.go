package sso

import (
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/web"
)

type domainsPage struct {
	Org     web.Org
	Form    web.Form
	Domains []domainCard
}

type domainCard struct {
	Domain
	Label       string // of the state
	Badge       string
	Connections []web.Option // that may speak for it
	Choosing    bool         // among them, on a form that was refused
	Chosen      []string     // names
}

// domainLabels say the states to people, and domainBadges how they look.
var (
	domainLabels = map[string]string{domainUnproved: "Not verified yet", domainVerified: "Verified", domainMissing: "Record missing", domainOff: "Switched off"}
	domainBadges = map[string]string{domainUnproved: "invited", domainVerified: "good", domainMissing: "warn", domainOff: "bad"}
)

// EndsAt is when a missing record takes effect.
func (c domainCard) EndsAt() any { return c.LostAt.Add(graceOfDomain) }

func (d *Door) showDomains(w http.ResponseWriter, r *http.Request) error {
	return d.domains(w, r, http.StatusOK, web.Form{})
}

func (d *Door) domains(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	list, err := d.Domains(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	connections, err := d.Connections(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	page := domainsPage{Org: web.OrgOf(r), Form: f}
	for _, v := range list {
		card := domainCard{Domain: v, Label: domainLabels[v.State()], Badge: domainBadges[v.State()], Choosing: f.Get("choosing") == v.Domain}
		for _, c := range connections {
			chosen := v.assigned(c.ID)
			if card.Choosing {
				chosen = slices.Contains(f.All("connection"), string(c.ID))
			}
			card.Connections = append(card.Connections, web.Option{Value: string(c.ID), Label: c.Name, Chosen: chosen})
			if v.assigned(c.ID) {
				card.Chosen = append(card.Chosen, c.Name)
			}
		}
		page.Domains = append(page.Domains, card)
	}
	return pages.Write(w, r, status, "domains", page)
}

// domainForm reads a form of the page, runs one operation, and shows the page again.
func (d *Door) domainForm(do func(r *http.Request, f web.Form) (done string, err error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		f, err := web.ReadForm(r)
		if err != nil {
			return err
		}
		done, err := do(r, f)
		if f.Take(err) {
			return d.domains(w, r, web.Status(err), f)
		}
		if err != nil {
			return err
		}
		web.Flash(w, done)
		http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/domains", http.StatusSeeOther)
		return nil
	}
}

func (d *Door) addDomain(r *http.Request, f web.Form) (string, error) {
	v, err := d.AddDomain(r.Context(), web.Actor(r), NewDomain{Domain: f.Get("domain")})
	return web.T(r, "%s is added. Publish its record, then check it.", v.Domain), err
}

func (d *Door) checkDomain(r *http.Request, _ web.Form) (string, error) {
	v, err := d.CheckDomain(r.Context(), web.Actor(r), r.PathValue("domain"))
	if err != nil {
		return "", err
	}
	if v.State() == domainVerified {
		return web.T(r, "%s is verified. %s", v.Domain, v.AnswerSaid()), nil
	}
	return web.T(r, "%s was checked. %s", v.Domain, v.AnswerSaid()), nil
}

func (d *Door) assignDomain(r *http.Request, f web.Form) (string, error) {
	connections, err := d.Connections(r.Context(), web.Actor(r))
	if err != nil {
		return "", err
	}
	var to []ConnectionID
	for _, c := range connections {
		if slices.Contains(f.All("connection"), string(c.ID)) {
			to = append(to, c.ID)
		}
	}
	v, err := d.AssignDomain(r.Context(), web.Actor(r), r.PathValue("domain"), f.Get("version"), to)
	return web.T(r, "The connections of %s are saved.", v.Domain), err
}

func (d *Door) removeDomain(r *http.Request, _ web.Form) (string, error) {
	v, err := d.RemoveDomain(r.Context(), web.Actor(r), r.PathValue("domain"))
	return web.T(r, "%s is removed.", v.Domain), err
}
