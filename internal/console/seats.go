package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// licenseRow is a license type in the form; an empty name is none.
type licenseRow struct {
	N, Number int // in the names of its fields, and as people count
}

// idlePerson may be one who needs no seat any more.
type idlePerson struct {
	ID       store.UserID
	Name     string
	SignInAt store.Time
}

type seatsPage struct {
	Org                   web.Org
	Form                  web.Form
	Limited               bool
	Used, Limit           int64
	Over                  string
	Share                 string // for the bar, in percent
	Licenses              []store.License
	Rows                  []licenseRow
	Roles                 []web.Option
	Idle                  []idlePerson
	MayConfigure, MaySell bool
}

// spareLicenses is how many empty rows the form has, mostLicenses how many are read.
const (
	spareLicenses = 2
	mostLicenses  = 30
)

func (c *Console) seats(w http.ResponseWriter, r *http.Request) error {
	return c.showSeats(w, r, http.StatusOK, web.Form{})
}

func (c *Console) showSeats(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	actor := web.Actor(r)
	p := seatsPage{Org: web.OrgOf(r), Form: f, MayConfigure: actor.May(access.Configure), MaySell: actor.May(access.Operate)}
	err := c.opt.DB.Read(r.Context(), actor, func(tx *store.Tx) error {
		s, err := tx.Seats()
		if err != nil {
			return err
		}
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		for _, role := range roles {
			p.Roles = append(p.Roles, web.Option{Value: role.ID, Label: role.Name})
		}
		p.fill(s)
		if !s.Limited() {
			return nil
		}
		idle, err := tx.People(store.PeopleQuery{Status: []store.Status{store.Active, store.Invited}, Sort: "signin", Limit: 10})
		for _, u := range idle.People {
			if !u.BreakGlass {
				p.Idle = append(p.Idle, idlePerson{u.ID, fullName(u.User), u.LastSignInAt})
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "seats", p)
}

// fill puts into the form what is not typed yet.
func (p *seatsPage) fill(s store.Seats) {
	p.Limited, p.Used, p.Limit, p.Licenses = s.Limit >= 0, s.Used, s.Limit, s.Licenses
	if p.Limited {
		p.Share = strconv.FormatInt(min(100, s.Used*100/max(1, s.Limit)), 10)
		if s.Used > s.Limit {
			p.Over = web.Number(int(s.Used - s.Limit))
		}
	}
	limit := func(n int64) string {
		if n < 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	p.Form.Default("limit", limit(s.Limit))
	p.Form.Default("version", s.Tag())
	rows, sent := len(s.Licenses)+spareLicenses, p.Form.Get("licenses") != ""
	for n := range mostLicenses {
		if p.Form.Get("name_"+strconv.Itoa(n)) != "" {
			rows = max(rows, n+1)
		}
	}
	for n := range rows {
		p.Rows = append(p.Rows, licenseRow{n, n + 1})
	}
	for i, l := range s.Licenses {
		if sent {
			break
		}
		n := strconv.Itoa(i)
		p.Form.Default("id_"+n, l.ID)
		p.Form.Default("name_"+n, l.Name)
		p.Form.Default("limit_"+n, limit(l.Limit))
		p.Form.Default("roles_"+n, l.Roles...)
		if l.Fallback {
			p.Form.Default("default", n)
		}
	}
}

// readLimit reads a number of seats; empty is no limit.
func readLimit(f web.Form, field string) (int64, error) {
	text := f.Get(field)
	if text == "" {
		return store.NoLimit, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.Invalid.On(field, "%.20q is no number of seats. Write 0 or more, or leave it empty for no limit.", text)
	}
	return n, nil
}

func (c *Console) setSeats(w http.ResponseWriter, r *http.Request) error {
	return c.changeSeats(w, r, func(tx *store.Tx, f web.Form) error {
		limit, err := readLimit(f, "limit")
		if err != nil {
			return err
		}
		return tx.ChangeSeats(f.Get("version"), limit)
	})
}

func (c *Console) setLicenses(w http.ResponseWriter, r *http.Request) error {
	return c.changeSeats(w, r, func(tx *store.Tx, f web.Form) error {
		var list []store.License
		used := map[string]bool{}
		for i := range mostLicenses {
			n := strconv.Itoa(i)
			used[f.Get("id_"+n)] = true
		}
		for i := range mostLicenses {
			n := strconv.Itoa(i)
			name, typed := f.Get("name_"+n), f.Get("limit_"+n) != "" || len(f.All("roles_"+n)) > 0 || f.Get("default") == n
			if name == "" && (f.Get("id_"+n) != "" || !typed) { // removed, or never filled in
				continue
			}
			if name == "" {
				return fault.Invalid.On("name_"+n, "Give this license type a name, or empty its other fields.")
			}
			limit, err := readLimit(f, "limit_"+n)
			if err != nil {
				return err
			}
			l := store.License{ID: f.Get("id_" + n), Name: name, Roles: f.All("roles_" + n), Limit: limit, Fallback: f.Get("default") == n}
			if l.ID == "" {
				l.ID = newLicenseID(name, used)
			}
			list = append(list, l)
		}
		return tx.ChangeLicenses(f.Get("version"), list)
	})
}

// newLicenseID is the name as an id that is not used yet.
func newLicenseID(name string, used map[string]bool) string {
	id := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, name), "-")
	if id = id[:min(len(id), 30)]; strings.Trim(id, "-") == "" {
		id = "license"
	}
	id = strings.Trim(id, "-")
	for n, try := 1, id; ; n++ {
		if !used[try] {
			used[try] = true
			return try
		}
		try = fmt.Sprintf("%s-%d", id, n+1)
	}
}

func (c *Console) changeSeats(w http.ResponseWriter, r *http.Request, change func(*store.Tx, web.Form) error) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return change(tx, f) })
	if f.Take(err) {
		return c.showSeats(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved."))
	http.Redirect(w, r, base(r)+"/settings/seats", http.StatusSeeOther)
	return nil
}
