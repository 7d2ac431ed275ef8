package sso

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// DomainEntry is a mail domain for programs.
type DomainEntry struct {
	ID           DomainID       `json:"id"`
	Domain       string         `json:"domain"`
	TXTName      string         `json:"txt_name"`
	TXTValue     string         `json:"txt_value"`
	Verified     bool           `json:"verified"`
	State        string         `json:"state"`       // unproved, verified, missing, off
	Connections  []ConnectionID `json:"connections"` // that speak for it; empty: all
	VerifiedAt   string         `json:"verified_at,omitempty"`
	CheckedAt    string         `json:"checked_at,omitempty"`
	NextCheckAt  string         `json:"next_check_at,omitempty"`
	MissingSince string         `json:"missing_since,omitempty"`
	EndsAt       string         `json:"off_at,omitempty"` // when it goes off, or went
	Answer       string         `json:"dns_answer,omitempty"`
	Version      string         `json:"version"` // of the connections
}

// Entry is the domain for programs.
func (v Domain) Entry() DomainEntry {
	e := DomainEntry{ID: v.ID, Domain: v.Domain, TXTName: v.TXTName(), TXTValue: v.TXTValue(), Verified: v.Verified(), State: v.State(), Connections: v.Connections,
		VerifiedAt: v.VerifiedAt.OrEmpty(), CheckedAt: v.CheckedAt.OrEmpty(), NextCheckAt: v.RecheckAt.OrEmpty(), MissingSince: v.LostAt.OrEmpty(), EndsAt: v.OffAt.OrEmpty(), Answer: v.Answer, Version: v.Tag()}
	if v.State() == domainMissing {
		e.EndsAt = v.LostAt.Add(graceOfDomain).OrEmpty()
	}
	if e.Connections == nil {
		e.Connections = []ConnectionID{}
	}
	return e
}

func (d *Door) mountDomains(m *web.Mux) {
	const page, api = "/console/{org}/domains", "/api/v1/domains"
	m.Console(access.Configure, "GET "+page, d.showDomains)
	m.Console(access.Configure, "POST "+page, d.domainForm(d.addDomain))
	m.Console(access.Configure, "POST "+page+"/{domain}/check", d.domainForm(d.checkDomain))
	m.Console(access.Configure, "POST "+page+"/{domain}/connections", d.domainForm(d.assignDomain))
	m.ConsoleFresh(access.Configure, "POST "+page+"/{domain}/remove", d.domainForm(d.removeDomain))
	m.API(access.Configure, "GET "+api, d.apiDomains)                                                    // List mail domains
	m.API(access.Configure, "POST "+api, d.apiAddDomain)                                                 // Add a mail domain. The answer has the DNS record to publish
	m.API(access.Configure, "GET "+api+"/{domain}", func(w http.ResponseWriter, r *http.Request) error { // Get a mail domain
		return answerDomain(w, http.StatusOK)(d.Domain(r.Context(), web.Actor(r), r.PathValue("domain")))
	})
	m.API(access.Configure, "PATCH "+api+"/{domain}", d.apiAssignDomain)                                        // Change which connections speak for a domain. What is left out stays, an empty list is all of them
	m.API(access.Configure, "POST "+api+"/{domain}/check", func(w http.ResponseWriter, r *http.Request) error { // Look for a domain's DNS record now
		return answerDomain(w, http.StatusOK)(d.CheckDomain(r.Context(), web.Actor(r), r.PathValue("domain")))
	})
	m.APIFresh(access.Configure, "DELETE "+api+"/{domain}", func(w http.ResponseWriter, r *http.Request) error { // Remove a mail domain
		if _, err := d.RemoveDomain(r.Context(), web.Actor(r), r.PathValue("domain")); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}

func answerDomain(w http.ResponseWriter, status int) func(Domain, error) error {
	return func(v Domain, err error) error {
		if err != nil {
			return err
		}
		return web.JSON(w, status, v.Entry())
	}
}

func (d *Door) apiDomains(w http.ResponseWriter, r *http.Request) error {
	list, err := d.Domains(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	out := []DomainEntry{}
	for _, v := range list {
		out = append(out, v.Entry())
	}
	return web.JSON(w, http.StatusOK, map[string]any{"domains": out})
}

func (d *Door) apiAddDomain(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Domain string `json:"domain"`
	}
	if err := web.ReadJSON(r, &in, "domain"); err != nil {
		return err
	}
	return answerDomain(w, http.StatusCreated)(d.AddDomain(r.Context(), web.Actor(r), NewDomain{Domain: in.Domain}))
}

func (d *Door) apiAssignDomain(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Connections []ConnectionID `json:"connections"`
		Version     string         `json:"version"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if in.Connections == nil { // left out, which is not the same as none
		return answerDomain(w, http.StatusOK)(d.Domain(r.Context(), web.Actor(r), r.PathValue("domain")))
	}
	for _, id := range in.Connections {
		if _, err := store.ParseID[Connection](string(id)); err != nil {
			return err
		}
	}
	return answerDomain(w, http.StatusOK)(d.AssignDomain(r.Context(), web.Actor(r), r.PathValue("domain"), in.Version, in.Connections))
}
