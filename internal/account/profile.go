package account

import (
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Filled is an attribute that sign-ins over a connection fill, or an administrator has
// locked: so its person does not.
type Filled struct {
	Attr       string // as SCIM names it
	Connection string
	Locked     bool
}

// fixed is a field of the profile that the person cannot change.
type fixed struct{ Label, Value, Why, By string }

type profilePage struct {
	Areas     []area
	Form      web.Form
	Name      string
	Initials  string
	Picture   string // its version; empty: there is none
	Directory string // who manages the person; empty: nobody
	Fixed     []fixed
	Fields    []web.Field
	Own       [][]web.Field // the organization's attributes that are the person's to fill in
	Email     string
	NotMine   string // why the address is not changed here, and where; empty: it is
	notMine   error
	Change    addressChange
}

// own are the fields of the profile that are the person's own.
func own(p *store.Profile) []struct {
	attr, name, label, complete string
	value                       *string
} {
	return []struct {
		attr, name, label, complete string
		value                       *string
	}{
		{"name.givenName", "given_name", "First name", "given-name", &p.GivenName}, {"name.familyName", "family_name", "Last name", "family-name", &p.FamilyName},
		{"displayName", "display_name", "Shown as", "nickname", &p.DisplayName}, {"title", "title", "Title", "organization-title", &p.Title},
	}
}

// filled are the attributes of a person that others fill, by their names.
func (a *Account) filled(tx *store.Tx, u store.User) (map[string]Filled, error) {
	out := map[string]Filled{}
	if a.opts.Filled == nil {
		return out, nil
	}
	list, err := a.opts.Filled(tx, u)
	for _, f := range list {
		out[f.Attr] = f
	}
	return out, err
}

func (a *Account) showProfile(w http.ResponseWriter, r *http.Request) error {
	return a.writeProfile(w, r, http.StatusOK, web.Form{})
}

func (a *Account) writeProfile(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	_, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	p := profilePage{Areas: aroundAt("/account/profile"), Form: f}
	err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) error { return a.fillProfile(tx, now, &p) })
	if err != nil {
		return err
	}
	if p.notMine != nil {
		p.NotMine = web.SentenceIn(r, p.notMine)
	}
	return pages.Write(w, r, status, "profile", p)
}

func (a *Account) fillProfile(tx *store.Tx, now session.Session, p *profilePage) error {
	u, err := tx.User(now.UserID)
	if err != nil {
		return err
	}
	p.Name, p.Email = u.DisplayName, u.Email
	p.Initials = initials(p.Name)
	versions, err := Pictures(tx, []store.UserID{u.ID})
	if err != nil {
		return err
	}
	p.Picture = versions[u.ID]
	if u.DirectoryID != "" {
		d, err := tx.Directory(u.DirectoryID)
		if err != nil {
			return err
		}
		p.Directory = d.Name
	}
	others, err := a.filled(tx, u)
	if err != nil {
		return err
	}
	p.Form.Default("version", strconv.FormatInt(u.Version, 10))
	profile := u.Profile()
	p.Fixed, p.Fields = nil, nil
	for _, f := range own(&profile) {
		by, is := others[f.attr]
		switch {
		case p.Directory != "":
			p.Fixed = append(p.Fixed, fixed{Label: f.label, Value: *f.value})
		case is && by.Locked:
			p.Fixed = append(p.Fixed, fixed{f.label, *f.value, "An administrator keeps it as it is.", ""})
		case is:
			p.Fixed = append(p.Fixed, fixed{f.label, *f.value, "Each sign-in over %s fills it.", by.Connection})
		default:
			p.Form.Default(f.name, *f.value)
			p.Fields = append(p.Fields, p.Form.Input(f.name, f.label, "autocomplete="+f.complete, "maxlength=200"))
		}
	}
	mine, err := ownOf(tx, u, others)
	if err != nil {
		return err
	}
	doc, err := u.Attributes()
	if err != nil {
		return err
	}
	extra.Fill(&p.Form, mine, doc)
	p.Own = extra.Rows(p.Form, mine, true)
	if p.Change, err = openChange(tx, u.ID); err != nil {
		return err
	}
	if p.notMine = a.mine(tx, u); !fault.Is(p.notMine, fault.Conflict) {
		return p.notMine
	}
	return nil
}

// takeBack takes something of the person's own profile back, and records it if it was
// there: a second click is no fault.
func (a *Account) takeBack(w http.ResponseWriter, r *http.Request, action, done string, do func(tx *store.Tx, me store.UserID) (rows int64, err error)) error {
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		u, err := tx.Self()
		if err != nil {
			return err
		}
		if n, err := do(tx, u.ID); err != nil || n == 0 {
			return err
		}
		return tx.Record(store.Activity{Action: action, TargetKind: "user", TargetID: string(u.ID), TargetName: u.DisplayName})
	})
	if err != nil {
		return err
	}
	web.Flash(w, done)
	return see(w, r, "/account/profile")
}

// initials stand where there is no picture.
func initials(name string) string {
	var out []rune
	for _, word := range strings.Fields(name) {
		for _, c := range word {
			if unicode.IsLetter(c) || unicode.IsDigit(c) {
				out = append(out, unicode.ToUpper(c))
				break
			}
		}
	}
	if len(out) > 2 {
		out = []rune{out[0], out[len(out)-1]}
	}
	return string(out)
}

func (a *Account) changeProfile(w http.ResponseWriter, r *http.Request) error {
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
		if was := f.Version(); was != 0 && was != u.Version {
			return fault.Conflict.On("version", "Your profile was changed meanwhile, in another window or by an administrator.")
		}
		others, err := a.filled(tx, u)
		if err != nil {
			return err
		}
		mine, err := ownOf(tx, u, others)
		if err != nil {
			return err
		}
		_, _, err = tx.UpdateSelf(func(p *store.Profile) error {
			for _, field := range own(p) {
				if _, sent := f.Values[field.name]; !sent {
					continue
				}
				value := strings.TrimSpace(f.Get(field.name))
				if value == *field.value {
					continue // also what would not pass: nobody has touched it
				}
				if err := fault.Line(field.name, value, 200); err != nil {
					return err
				}
				if _, is := others[field.attr]; is {
					return fault.Denied.Say("%s is not yours to change: it is filled at each sign-in, or an administrator keeps it.", fault.Word(field.label))
				}
				*field.value = value
			}
			return nil
		}, "")
		if err != nil || len(mine) == 0 {
			return err
		}
		return fillOwn(tx, f, mine, false)
	})
	if fault.Is(err, fault.Denied) || err != nil && f.Take(err) {
		if fault.Is(err, fault.Denied) {
			f.FailWith("", err)
		}
		return a.writeProfile(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Your profile is saved."))
	return see(w, r, "/account/profile")
}
