package account

import (
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

// ownOf are the organization's attributes that a person can write.
func (a *Account) ownOf(tx *store.Tx, u store.User) ([]extra.Field, error) {
	if u.DirectoryID != "" {
		return nil, nil
	}
	defs, err := tx.Definitions()
	if err != nil {
		return nil, err
	}
	list := extra.Mine(defs)
	if len(list) == 0 {
		return nil, nil
	}
	others, err := a.filled(tx, u)
	if err != nil {
		return nil, err
	}
	doc, err := u.Attributes()
	return slices.DeleteFunc(list, func(x extra.Field) bool {
		_, byKey := others[x.Key()]
		_, byName := others[x.Name]
		return byKey || byName || x.Mutability == "immutable" && x.In(doc) != nil
	}), err
}

// lacking are those of them that are required and not there.
func (a *Account) lacking(tx *store.Tx, u store.User) ([]extra.Field, error) {
	list, err := a.ownOf(tx, u)
	if err != nil || len(list) == 0 || u.BreakGlass {
		return nil, err
	}
	doc, err := u.Attributes()
	return extra.Missing(list, doc), err
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
	var lacks []extra.Field
	err = a.opts.DB.Read(r.Context(), access.Muster(actor.Org), func(tx *store.Tx) error {
		u, err := tx.User(store.UserID(actor.ID))
		if err == nil {
			lacks, err = a.lacking(tx, u)
		}
		return err
	})
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
	var lacks []extra.Field
	err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) error {
		u, err := tx.User(now.UserID)
		if err == nil {
			lacks, err = a.lacking(tx, u)
		}
		return err
	})
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
	var lacks []extra.Field
	err = a.opts.DB.Read(r.Context(), access.Muster(actor.Org), func(tx *store.Tx) error {
		u, err := tx.User(store.UserID(actor.ID))
		if err == nil {
			lacks, err = a.lacking(tx, u)
		}
		return err
	})
	if err == nil && len(lacks) > 0 {
		err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error { return fillOwn(tx, f, lacks, true) })
	}
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
