package invite

import (
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

type settingsView struct {
	Form    web.Form
	Org     web.Org
	Expiry  []web.Option
	Reminds []web.Option
	Renew   []web.Option
}

// presets are what the page offers, in hours; any other time comes by the API.
var presets = struct{ expiry, remind []int }{[]int{48, 72, 168, 336, 720}, []int{12, 24, 48, 72}}

// hourOptions are the presets and what is chosen now.
func hourOptions(r *http.Request, hours []int, chosen string) []web.Option {
	var list []web.Option
	known := false
	for _, h := range hours {
		value := strconv.Itoa(h)
		known = known || value == chosen
		list = append(list, web.Option{Value: value, Label: web.ReaderIn(r).Say(span(h))})
	}
	if n, err := strconv.Atoi(chosen); err == nil && !known && n > 0 {
		list = append(list, web.Option{Value: chosen, Label: web.ReaderIn(r).Say(span(n))})
	}
	return list
}

func (d *Door) showSettings(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := settingsView{Form: f, Org: web.OrgOf(r), Expiry: hourOptions(r, presets.expiry, f.Get("expiry_hours")), Reminds: hourOptions(r, presets.remind, f.Get("remind_hours")),
		Renew: []web.Option{{Value: string(ByAdmins), Label: web.T(r, "Admins are told, and send it")}, {Value: string(AtOnce), Label: web.T(r, "A new link is sent at once, to the same address")}}}
	return pages.Write(w, r, status, "settings", p)
}

func (d *Door) settingsPage(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		s, version, err := d.rules(tx)
		f.Set("expiry_hours", strconv.Itoa(s.ExpiryHours))
		f.Set("remind_hours", strconv.Itoa(s.RemindHours))
		f.Set("welcome", s.Welcome)
		f.Set("renew", string(s.Renew))
		f.Set("version", strconv.FormatInt(version, 10))
		if s.Remind {
			f.Set("remind", "on")
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.showSettings(w, r, http.StatusOK, f)
}

func (d *Door) saveSettings(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var hours [2]int
	for i, name := range []string{"expiry_hours", "remind_hours"} {
		if hours[i], err = strconv.Atoi(f.Get(name)); err != nil {
			f.Fail(name, web.T(r, "Choose one in the list."))
		}
	}
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil || version < 0 {
		f.Fail("", web.T(r, "The form is not complete. Load the page again."))
	}
	if f.Bad() {
		return d.showSettings(w, r, http.StatusBadRequest, f)
	}
	s := Settings{ExpiryHours: hours[0], Remind: f.Get("remind") != "", RemindHours: hours[1], Welcome: f.Get("welcome"), Renew: Renew(f.Get("renew"))}
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return d.SetRules(tx, s, version) })
	if f.Take(err) {
		return d.showSettings(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved. It holds for what is sent from now on."))
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
	return nil
}
