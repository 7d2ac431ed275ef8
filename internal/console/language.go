package console

import (
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// languagePage is in what those read who chose nothing themselves.
type languagePage struct {
	Org              web.Org
	Form             web.Form
	Languages, Zones []web.Option
}

func (c *Console) showLanguage(w http.ResponseWriter, r *http.Request) error {
	return c.writeLanguage(w, r, http.StatusOK, web.Form{})
}

// writeLanguage shows what is stored, or what was typed.
func (c *Console) writeLanguage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := languagePage{Org: web.OrgOf(r), Form: f, Languages: web.Languages(web.T(r, "What the browser asks for, else English")), Zones: web.Zones("UTC")}
	var l store.Locale
	var version int64
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		version, err = tx.OrgSetting(store.LocaleSetting, &l)
		return err
	})
	if err != nil {
		return err
	}
	p.Form.Default("language", l.Language)
	p.Form.Default("time_zone", l.TimeZone)
	p.Form.Default("version", strconv.FormatInt(version, 10))
	return pages.Write(w, r, status, "language", p)
}

func (c *Console) changeLanguage(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	l := store.Locale{Language: f.Get("language"), TimeZone: f.Get("time_zone")}
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return setLocale(tx, l, f.Version()) })
	if err != nil && f.Take(err) {
		return c.writeLanguage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved. It holds for everybody who chose nothing else."))
	http.Redirect(w, r, base(r)+"/settings/language", http.StatusSeeOther)
	return nil
}

func setLocale(tx *store.Tx, l store.Locale, version int64) error {
	if err := web.KnownLanguage(l.Language); err != nil {
		return err
	}
	if err := l.Check(); err != nil {
		return err
	}
	return tx.SetOrgSetting(store.LocaleSetting, l, version)
}

// localeView is what programs see and send; what is left out stays.
type localeView struct {
	Language *string `json:"language"`
	TimeZone *string `json:"time_zone"`
	Version  int64   `json:"version"`
}

func viewLocale(tx *store.Tx) (l store.Locale, v localeView, err error) {
	v.Version, err = tx.OrgSetting(store.LocaleSetting, &l)
	v.Language, v.TimeZone = &l.Language, &l.TimeZone
	return l, v, err
}

func (c *Console) apiLanguage(w http.ResponseWriter, r *http.Request) error {
	var v localeView
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		_, v, err = viewLocale(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, v)
}

func (c *Console) apiSetLanguage(w http.ResponseWriter, r *http.Request) error {
	var in, out localeView
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	err := c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		l, now, err := viewLocale(tx)
		if err != nil {
			return err
		}
		if in.Language != nil {
			l.Language = *in.Language
		}
		if in.TimeZone != nil {
			l.TimeZone = *in.TimeZone
		}
		if in.Version == 0 {
			in.Version = now.Version
		}
		if err := setLocale(tx, l, in.Version); err != nil {
			return err
		}
		_, out, err = viewLocale(tx)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}
