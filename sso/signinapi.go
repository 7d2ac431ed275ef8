package sso

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountSignIns(m *web.Mux) {
	m.Console(access.ViewActivity, "GET /console/{org}/signins", d.showSignIns)
	m.Console(access.ViewActivity, "GET /console/{org}/signins/{signin}", d.showSignIn)
	m.Operator("GET /console/signins", d.findSignIn)
	m.API(access.ViewActivity, "GET /api/v1/signins", d.apiSignIns)         // List sign-ins, newest first
	m.API(access.ViewActivity, "GET /api/v1/signins/{signin}", d.apiSignIn) // Get a sign-in with its checks, by id or reference
	m.Member("GET /api/v1/operator/signins/{reference}", d.apiFindSignIn)   // Find a sign-in of any organization by its reference
}

// signInParameters are those of the list, in the URL of the page and of the API.
var signInParameters = []string{"org", "reference", "person", "connection", "result", "check", "since", "until", "cursor", "limit"}

func signInFilter(q url.Values) (SignInFilter, error) {
	for name, values := range q {
		switch {
		case !slices.Contains(signInParameters, name):
			return SignInFilter{}, web.NoParameter(name, signInParameters)
		case len(values) > 1:
			return SignInFilter{}, fault.Invalid.On(name, "%s is there twice.", name)
		}
	}
	f := SignInFilter{Reference: q.Get("reference"), Person: q.Get("person"), Connection: q.Get("connection"), Result: q.Get("result"), Check: q.Get("check"),
		Since: q.Get("since"), Until: q.Get("until"), Cursor: q.Get("cursor")}
	if s := q.Get("limit"); s != "" {
		var err error
		if f.Limit, err = strconv.Atoi(s); err != nil || f.Limit == 0 {
			return f, fault.Invalid.On("limit", "limit is %.64q; it can be 1 to %d.", s, signInsMost)
		}
	}
	return f, nil
}

func (d *Door) apiSignIns(w http.ResponseWriter, r *http.Request) error {
	f, err := signInFilter(r.URL.Query())
	if err != nil {
		return err
	}
	var page SignInPage
	err = d.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		page, err = d.SignIns(tx, f)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, page)
}

func (d *Door) apiSignIn(w http.ResponseWriter, r *http.Request) error {
	var e SignInEntry
	err := d.opts.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		e, err = d.SignIn(tx, r.PathValue("signin"))
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, e)
}

// apiFindSignIn answers an operator, who has a reference and nothing else.
func (d *Door) apiFindSignIn(w http.ResponseWriter, r *http.Request) error {
	e, org, err := d.FindSignIn(r.Context(), web.Actor(r), r.PathValue("reference"))
	if err != nil {
		return err
	}
	slug, err := d.slugOf(r, org)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, struct {
		Org string `json:"org"` // short name; empty: it is not known whose sign-in it was
		SignInEntry
	}{slug, e})
}

// slugOf is an organization's short name, "" for none.
func (d *Door) slugOf(r *http.Request, org store.OrgID) (string, error) {
	if org == store.NoOrg {
		return "", nil
	}
	o, err := d.opts.DB.OrgByID(r.Context(), org)
	return o.Slug, err
}
