package sso

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// mountLinks adds the pages behind a link, and those that make links.
func (d *Door) mountLinks(m *web.Mux) {
	const at = "/connect/{token}"
	m.Public("GET "+at, d.atLink(d.showLink))
	m.Public("POST "+at, d.atLink(d.chooseAtLink))
	m.Public("GET "+at+"/setup", d.atLink(d.showSetup))
	m.Public("GET "+at+"/provider", d.atLink(d.showProvider))
	m.Public("POST "+at+"/provider", d.atLink(d.changeProvider))
	m.Public("GET "+at+"/tests", d.atLink(d.showTests))
	m.Public("POST "+at+"/tests", d.atLink(d.beginTest))
	m.Public("GET "+at+"/tests/{test}", d.atLink(d.showTest))
	m.Public("POST "+at+"/activate", d.atLink(d.activateAtLink))
	m.Public("POST "+at+"/done", d.atLink(d.doneAtLink))

	m.Console(access.Configure, "GET /console/{org}/connections/links", d.showLinks)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/connections/links", d.makeLink)
	m.Console(access.Configure, "POST /console/{org}/connections/links/{link}/revoke", d.revokeLink)

	m.API(access.Configure, "GET /api/v1/setup-links", d.apiLinks)                                   // List links for setting up a connection
	m.APIFresh(access.Configure, "POST /api/v1/setup-links", d.apiMakeLink)                          // Make a link by which somebody without an account sets up a new connection. The link is answered this once
	m.APIFresh(access.Configure, "POST /api/v1/connections/{connection}/setup-links", d.apiMakeLink) // Make a link by which somebody without an account sets up this connection. The link is answered this once
	m.API(access.Configure, "DELETE /api/v1/setup-links/{link}", d.apiRevokeLink)                    // Revoke a link for setting up a connection
}

// atLink finds the link of the address, and the connection that it is for. The
// token stands in the path: no other site and no search engine may learn it.
func (d *Door) atLink(h deskHandler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("X-Robots-Tag", "noindex, nofollow")
		if !d.links.allow(web.Actor(r).IP) {
			return fault.TooMany.Say("Too many requests from your network. Wait a minute, then load the page again.")
		}
		l, actor, err := d.openLink(r.Context(), web.Actor(r), r.PathValue("token"))
		if err != nil {
			return err
		}
		k := desk{actor: actor, base: "/connect/" + r.PathValue("token"), link: &l}
		if l.ConnectionID == "" {
			if r.URL.Path != k.base { // nothing there yet to set up
				http.Redirect(w, r, k.base, http.StatusSeeOther)
				return nil
			}
			return h(w, r, k)
		}
		err = d.opts.DB.Read(r.Context(), actor, func(tx *store.Tx) (err error) {
			k.c, err = connectionIn(tx, l.ConnectionID)
			return err
		})
		if err != nil {
			return err
		}
		return h(w, r, k)
	}
}

// linkPage is the first page of a link.
type linkPage struct {
	deskPage
	Form        web.Form
	Org         string
	Until       store.Time
	By          string
	Done        bool
	MayActivate bool
	Passed      store.Time
	Tested      bool
	Chosen      bool
	Vendors     []vendorLine
}

func (d *Door) showLink(w http.ResponseWriter, r *http.Request, k desk) error {
	return d.linkPage(w, r, k, http.StatusOK, web.Form{})
}

func (d *Door) linkPage(w http.ResponseWriter, r *http.Request, k desk, status int, f web.Form) error {
	org, err := d.opts.DB.OrgByID(r.Context(), store.OrgID(k.actor.Org))
	if err != nil {
		return err
	}
	page := linkPage{deskPage: deskPage{Base: k.base}, Form: f, Org: org.Name, Until: k.link.ExpiresAt, By: k.link.CreatedBy, Done: k.link.DoneAt != 0,
		MayActivate: k.link.MayActivate, Chosen: k.c.ID != ""}
	if !page.Chosen {
		page.Vendors = vendorLines()
		return pages.Write(w, r, status, "link", page)
	}
	if page.deskPage, err = d.page(r, k, ""); err != nil {
		return err
	}
	err = d.opts.DB.Read(r.Context(), k.actor, func(tx *store.Tx) (err error) {
		page.Passed, err = d.TestPassed(tx, k.c.ID)
		page.Tested = page.Passed > tx.Now().Add(-testCounts)
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "link", page)
}

func (d *Door) chooseAtLink(w http.ResponseWriter, r *http.Request, k desk) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if k.c.ID == "" {
		_, err = d.draftOf(r, k.actor, f)
	}
	if f.Take(err) {
		return d.linkPage(w, r, k, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, k.base+"/setup", http.StatusSeeOther)
	return nil
}

func (d *Door) activateAtLink(w http.ResponseWriter, r *http.Request, k desk) error {
	var f web.Form
	err := d.opts.DB.Write(r.Context(), k.actor, func(tx *store.Tx) error { return d.activateTested(tx, k.c, false) })
	if f.Take(err) {
		return d.linkPage(w, r, k, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "%s is open: people can sign in over it.", k.c.Name))
	http.Redirect(w, r, k.base, http.StatusSeeOther)
	return nil
}

func (d *Door) doneAtLink(w http.ResponseWriter, r *http.Request, k desk) error {
	if err := d.finishLink(r.Context(), k.actor, k.c); err != nil {
		return err
	}
	web.Flash(w, "Thank you. The administrators have been told.")
	http.Redirect(w, r, k.base, http.StatusSeeOther)
	return nil
}

// linksPage is the console's list of links, and where one is made.
type linksPage struct {
	Up, Path string
	Form     web.Form
	Choices  []web.Option
	Links    []linkLine
	URL      string // of the link that was just made: shown this once
	Sent     string // where it went
	Until    store.Time
}

type linkLine struct {
	ID                LinkID
	For, Path, To, By string
	State, Class      string
	Created, Until    store.Time
	Open, MayActivate bool
}

func (d *Door) showLinks(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	f.Set("connection", r.URL.Query().Get("connection"))
	f.Set("days", "7")
	return d.linksPage(w, r, http.StatusOK, linksPage{Form: f})
}

func (d *Door) linksPage(w http.ResponseWriter, r *http.Request, status int, page linksPage) error {
	actor := web.Actor(r)
	page.Up = "/console/" + web.OrgOf(r).Slug + "/connections"
	page.Path = page.Up + "/links"
	list, err := d.Connections(r.Context(), actor)
	if err != nil {
		return err
	}
	links, err := d.SetupLinks(r.Context(), actor)
	if err != nil {
		return err
	}
	page.Choices = []web.Option{{Value: "new", Label: "A new connection"}}
	names := map[ConnectionID]string{}
	for _, c := range list {
		names[c.ID] = c.Name
		page.Choices = append(page.Choices, web.Option{Value: string(c.ID), Label: c.Name})
	}
	now := store.TimeOf(d.opts.DB.Now())
	classes := map[string]string{"sent": "info", "opened": "info", "finished": "good", "expired": "warn", "revoked": "grey"}
	for _, l := range links {
		line := linkLine{ID: l.ID, For: orElse(names[l.ConnectionID], web.T(r, "A new connection")), To: l.Email, By: l.CreatedBy, State: l.State(now),
			Class: classes[l.State(now)], Created: l.CreatedAt, Until: l.ExpiresAt, Open: l.holds(now) == nil, MayActivate: l.MayActivate}
		if l.ConnectionID != "" {
			line.Path = page.Up + "/" + string(l.ConnectionID)
		}
		page.Links = append(page.Links, line)
	}
	allowCopying(w)
	return pages.Write(w, r, status, "links", page)
}

func (d *Door) makeLink(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	page := linksPage{Form: f}
	in := NewSetupLink{Email: f.Get("email"), MayActivate: f.Get("may_activate") == "yes"}
	days, err := strconv.Atoi(orElse(f.Get("days"), "7"))
	if err != nil || days < 1 || days > 90 {
		err = fault.Invalid.On("days", "A link works for 1 to 90 days.")
	}
	in.For = time.Duration(days) * 24 * time.Hour
	if id := f.Get("connection"); err == nil && id != "" && id != "new" {
		in.Connection, err = store.ParseID[Connection](id)
	}
	status := http.StatusOK
	if err == nil {
		var l SetupLink
		if l, page.URL, err = d.CreateSetupLink(r.Context(), web.Actor(r), in); err == nil {
			page.Sent, page.Until = l.Email, l.ExpiresAt
		}
	}
	if page.Form.Take(err) {
		status, err = web.Status(err), nil
	}
	if err != nil {
		return err
	}
	return d.linksPage(w, r, status, page)
}

func (d *Door) revokeLink(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[SetupLink](r.PathValue("link"))
	if err != nil {
		return err
	}
	if _, err := d.RevokeSetupLink(r.Context(), web.Actor(r), id); err != nil {
		return err
	}
	web.Flash(w, "The link does not work any more.")
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/connections/links", http.StatusSeeOther)
	return nil
}

// LinkInfo is a link in JSON; Link itself is there when it was just made.
type LinkInfo struct {
	ID          LinkID       `json:"id"`
	Connection  ConnectionID `json:"connection,omitempty"`
	Email       string       `json:"email,omitempty"`
	State       string       `json:"state"`
	MayActivate bool         `json:"may_activate"`
	CreatedBy   string       `json:"created_by"`
	CreatedAt   string       `json:"created_at"`
	ExpiresAt   string       `json:"expires_at"`
	Link        string       `json:"link,omitempty"`
}

// LinkInfo of a link.
func (d *Door) LinkInfo(l SetupLink, url string) LinkInfo {
	return LinkInfo{ID: l.ID, Connection: l.ConnectionID, Email: l.Email, State: l.State(store.TimeOf(d.opts.DB.Now())), MayActivate: l.MayActivate, CreatedBy: l.CreatedBy,
		CreatedAt: l.CreatedAt.RFC3339(), ExpiresAt: l.ExpiresAt.RFC3339(), Link: url}
}

func (d *Door) apiLinks(w http.ResponseWriter, r *http.Request) error {
	list, err := d.SetupLinks(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	out := make([]LinkInfo, len(list))
	for i, l := range list {
		out[i] = d.LinkInfo(l, "")
	}
	return web.JSON(w, http.StatusOK, map[string]any{"setup_links": out})
}

func (d *Door) apiMakeLink(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Email       string `json:"email"`
		Hours       int    `json:"hours"`
		MayActivate bool   `json:"may_activate"`
	}
	if err := web.ReadJSON(r, &body); err != nil {
		return err
	}
	in := NewSetupLink{Email: body.Email, For: time.Duration(body.Hours) * time.Hour, MayActivate: body.MayActivate}
	if body.Hours < 0 || body.Hours > int(linkForMax.Hours()) {
		return fault.Invalid.On("hours", "A link works for 1 to %d hours.", int(linkForMax.Hours()))
	}
	if id := r.PathValue("connection"); id != "" {
		var err error
		if in.Connection, err = store.ParseID[Connection](id); err != nil {
			return err
		}
	}
	l, url, err := d.CreateSetupLink(r.Context(), web.Actor(r), in)
	if err != nil {
		return err
	}
	w.Header().Set("Location", fmt.Sprintf("/api/v1/setup-links/%s", l.ID))
	return web.JSON(w, http.StatusCreated, d.LinkInfo(l, url))
}

func (d *Door) apiRevokeLink(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[SetupLink](r.PathValue("link"))
	if err != nil {
		return err
	}
	if _, err := d.RevokeSetupLink(r.Context(), web.Actor(r), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
