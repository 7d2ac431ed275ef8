package account

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What an organization asks of its people itself. Whoever lacks a required attribute of
// these fills it in after signing in, by whatever door, before going on; Hold asks it of
// the stored person each time, so it ends as soon as it is there, or is not asked any more.
//
// It must lock nobody out. So it asks only for what the person can write: nothing of
// whoever is managed by a directory, nothing that sign-ins fill or an admin keeps. It does
// not hold up break-glass accounts, operators, or the console of those who may configure the
// organization, who can change what is asked. Programs are never held up.

// completePath is the page that asks.
const completePath = "/account/complete"

// ownOf are the organization's attributes that a person can write; others has what is not
// theirs, see filled.
func ownOf(tx *store.Tx, u store.User, others map[string]Filled) ([]extra.Field, error) {
	if u.DirectoryID != "" {
		return nil, nil
	}
	defs, err := tx.Definitions()
	if err != nil {
		return nil, err
	}
	doc, err := u.Attributes()
	return slices.DeleteFunc(extra.Mine(defs), func(x extra.Field) bool {
		_, byKey := others[x.Key()]
		_, byName := others[x.Name]
		return byKey || byName || x.Mutability == "immutable" && x.In(doc) != nil
	}), err
}

// lacking are those of them that are required and not there.
func (a *Account) lacking(tx *store.Tx, u store.User) ([]extra.Field, error) {
	doc, err := u.Attributes()
	if err != nil || u.BreakGlass {
		return nil, err
	}
	missing := func(others map[string]Filled) ([]extra.Field, error) {
		list, err := ownOf(tx, u, others)
		return extra.Missing(list, doc), err
	}
	// Each page asks, and most people lack nothing: what others fill is looked up for the rest.
	if lacks, err := missing(nil); err != nil || len(lacks) == 0 {
		return nil, err
	}
	others, err := a.filled(tx, u)
	if err != nil {
		return nil, err
	}
	return missing(others)
}

// lacks is lacking for somebody who reads a page.
func (a *Account) lacks(ctx context.Context, org store.OrgID, id store.UserID) (list []extra.Field, err error) {
	err = a.opts.DB.Read(ctx, access.Muster(string(org)), func(tx *store.Tx) error {
		u, err := tx.User(id)
		if err == nil {
			list, err = a.lacking(tx, u)
		}
		return err
	})
	return list, err
}

// Hold is where somebody has to go before a page is shown; empty: nowhere. It is
// web.Options.Hold. For an organization that asks nothing it reads no person.
func (a *Account) Hold(r *http.Request, actor access.Actor) (string, error) {
	if actor.Kind != access.Person || actor.Operator || r.URL.Path == completePath ||
		strings.HasPrefix(r.URL.Path, "/console") && actor.May(access.Configure) {
		return "", nil
	}
	defs, err := a.opts.DB.Definitions(r.Context(), store.OrgID(actor.Org))
	if err != nil || !slices.ContainsFunc(extra.Mine(defs), func(x extra.Field) bool { return x.Required }) {
		return "", err
	}
	lacks, err := a.lacks(r.Context(), store.OrgID(actor.Org), store.UserID(actor.ID))
	if err != nil || len(lacks) == 0 {
		return "", err
	}
	return completePath + "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode(), nil
}

// completePage asks for what is missing.
type completePage struct {
	Form      web.Form
	Org, Next string
	Rows      [][]web.Field
	Console   string // of those who may configure; empty: the person may not
}

func (a *Account) showComplete(w http.ResponseWriter, r *http.Request) error {
	return a.complete(w, r, http.StatusOK, web.Form{}, r.URL.Query().Get("next"))
}

func (a *Account) complete(w http.ResponseWriter, r *http.Request, status int, f web.Form, next string) error {
	actor, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	org, err := a.opts.DB.OrgByID(r.Context(), now.Org)
	if err != nil {
		return err
	}
	lacks, err := a.lacks(r.Context(), now.Org, now.UserID)
	if err != nil {
		return err
	}
	if len(lacks) == 0 {
		return see(w, r, web.Local(next))
	}
	p := completePage{Form: f, Org: org.Name, Next: web.Local(next), Rows: extra.Rows(f, lacks, true)}
	if actor.May(access.Configure) {
		p.Console = "/console/" + org.Slug + "/attributes"
	}
	return pages.Write(w, r, status, "complete", p)
}

// saveComplete stores what was missing, all of it or nothing.
func (a *Account) saveComplete(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		u, err := tx.Self()
		if err != nil {
			return err
		}
		lacks, err := a.lacking(tx, u)
		if err != nil || len(lacks) == 0 {
			return err
		}
		return fillOwn(tx, f, lacks, true)
	})
	if f.Take(err) {
		return a.complete(w, r, web.Status(err), f, f.Get("next"))
	}
	if err != nil {
		return err
	}
	return see(w, r, web.Local(f.Get("next")))
}

// fillOwn writes what was typed for some of the person's attributes; all says that no
// required one may be missing then.
func fillOwn(tx *store.Tx, f web.Form, list []extra.Field, all bool) error {
	_, err := tx.FillSelf(func(doc store.Doc) error {
		var wrong []error
		for _, x := range list { // each says what is wrong with it
			_, err := extra.Take(f, []extra.Field{x}, doc)
			if err == nil && all && len(extra.Missing([]extra.Field{x}, doc)) > 0 {
				err = x.Lacks()
			}
			wrong = append(wrong, err)
		}
		return errors.Join(wrong...)
	}, "")
	return err
}
