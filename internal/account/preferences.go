package account

import (
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What is kept among a person's preferences.
const (
	signatureName     = "signature"
	notificationsName = "notifications"
)

// maxSignature is how many bytes the text below one's letters may have.
const maxSignature = 2000

// Notifications are the mails that a person may do without. What guards the account is
// always sent: a password that somebody else has set, a new address.
type Notifications struct {
	NewDevice bool `json:"new_device"` // a sign-in in a browser that was not used before
	Password  bool `json:"password"`   // the own password was changed on the account's page
	Notices   bool `json:"notices"`    // for admins: certificates, domains, requests
}

// NotificationsOf are what a person chose; all of them where nothing was.
func NotificationsOf(tx *store.Tx, user store.UserID) (Notifications, error) {
	n := Notifications{NewDevice: true, Password: true, Notices: true}
	p, err := tx.Preferences(user)
	if err != nil {
		return n, err
	}
	return n, p.Get(notificationsName, &n)
}

type preferencesPage struct {
	Areas                    []area
	Form                     web.Form
	Languages, Zones, Themes []web.Option
	Admin                    bool
}

func (a *Account) showPreferences(w http.ResponseWriter, r *http.Request) error {
	return a.writePreferences(w, r, http.StatusOK, web.Form{})
}

func (a *Account) writePreferences(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	actor, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return err
	}
	p := preferencesPage{Areas: around(r), Form: f, Languages: web.Languages("As the browser or the organization says"), Zones: web.Zones("As the organization says"),
		Themes: web.Themes(), Admin: actor.May(access.Configure)}
	if f.Values == nil {
		err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) error {
			stored, err := tx.Preferences(now.UserID)
			if err != nil {
				return err
			}
			n, err := NotificationsOf(tx, now.UserID)
			if err != nil {
				return err
			}
			signature := ""
			if err := stored.Get(signatureName, &signature); err != nil {
				return err
			}
			p.Form.Set("language", stored.Language)
			p.Form.Set("time_zone", stored.TimeZone)
			p.Form.Set("theme", stored.Theme)
			p.Form.Set("signature", signature)
			for name, on := range map[string]bool{"new_device": n.NewDevice, "changed": n.Password, "notices": n.Notices} {
				if on {
					p.Form.Set(name, "on")
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return pages.Write(w, r, status, "preferences", p)
}

// signatureIn cleans the text below somebody's letters: plain text of some lines, no
// markup, which whoever shows it must escape like any other text.
func signatureIn(text string) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if len(text) > maxSignature {
		return "", fault.Invalid.On("signature", "The signature is %d bytes long; at most %d are possible.", len(text), maxSignature)
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && fault.Unseen(c) }) {
		return "", fault.Invalid.On("signature", "The signature holds a control character or broken text. Type it again.")
	}
	return text, fault.Blank("signature", text)
}

func (a *Account) changePreferences(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	actor, err := a.member(r)
	if err != nil {
		return err
	}
	signature, err := signatureIn(f.Get("signature"))
	if err == nil {
		err = web.KnownLanguage(f.Get("language"))
	}
	if err == nil && !slices.Contains(store.Themes, f.Get("theme")) {
		err = fault.Invalid.On("theme", "%.40q is not a theme: it is light, dark, or whatever the browser prefers.", f.Get("theme"))
	}
	if err == nil {
		err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
			before, err := NotificationsOf(tx, store.UserID(actor.ID))
			if err != nil {
				return err
			}
			after := Notifications{NewDevice: f.Get("new_device") != "", Password: f.Get("changed") != "", Notices: f.Get("notices") != ""}
			if !actor.May(access.Configure) {
				after.Notices = before.Notices // it is not asked for
			}
			return tx.SetPreferences(store.UserID(actor.ID), func(p *store.Preferences) error {
				p.Language, p.TimeZone, p.Theme = f.Get("language"), f.Get("time_zone"), f.Get("theme")
				if signature != "" || p.More[signatureName] != nil {
					if err := p.Put(signatureName, signature); err != nil {
						return err
					}
				}
				if after == before {
					return nil
				}
				return p.Put(notificationsName, after)
			})
		})
	}
	if err != nil && f.Take(err) {
		return a.writePreferences(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	if _, err := a.opts.Sessions.Authenticate(r); err != nil { // what follows is said in the language that was chosen
		return err
	}
	web.Flash(w, web.T(r, "Your preferences are saved."))
	return see(w, r, "/account/preferences")
}
