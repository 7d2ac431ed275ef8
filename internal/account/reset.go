package account

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// resetTTL is how long a link for a new password works.
const resetTTL = time.Hour

type forgotPage struct {
	Form web.Form
	Sent bool
}

func (a *Account) showForgot(w http.ResponseWriter, r *http.Request) error {
	p := forgotPage{}
	p.Form.Set("email", r.FormValue("email"))
	return pages.Write(w, r, http.StatusOK, "forgot", p)
}

// forgot has a link mailed to whomever the address belongs to. The answer is the
// same for every address, also when there were too many requests for it, and it is
// given before anybody is looked for: so its time tells nothing either.
func (a *Account) forgot(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	p := forgotPage{Form: f}
	if f.Get("email") == "" {
		p.Form.Fail("email", "Enter your e-mail address.")
		return pages.Write(w, r, http.StatusBadRequest, "forgot", p)
	}
	may, err := a.opts.Passwords.MayAsk(r.Context(), f.Get("email"), person(r, "", "", "").IP)
	if err != nil {
		return err
	}
	if may {
		select {
		case a.asked <- f.Get("email"):
		default:
			return fault.Unavailable.Say("Many people ask for a new password right now. Try again in a minute.")
		}
	}
	p.Sent = true
	return pages.Write(w, r, http.StatusOK, "forgot", p)
}

// SendAsked writes the letters that were asked for until now. Run does so all the time.
func (a *Account) SendAsked(ctx context.Context) error {
	for {
		select {
		case address := <-a.asked:
			if err := a.remind(ctx, address); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// remind writes to everybody whom the address means.
func (a *Account) remind(ctx context.Context, address string) error {
	people, err := a.opts.Passwords.Known(ctx, address)
	if err != nil {
		return err
	}
	for _, k := range people {
		if err := a.sendReset(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// sendReset queues one letter: a link, or how else to sign in.
func (a *Account) sendReset(ctx context.Context, k password.Known) error {
	if mail.CheckAddress(k.Email) != nil {
		return nil // nobody can be reached there
	}
	return a.opts.DB.Write(ctx, access.Muster(string(k.Org)), func(tx *store.Tx) error {
		if may, err := a.opts.Passwords.MayMail(tx, k.User); err != nil || !may {
			return err
		}
		usable, sso, err := a.may(tx, k.User)
		if err != nil {
			return err
		}
		if !usable || sso && !k.HasPassword && (k.Managed || k.Source == store.FromJIT) {
			to, err := mail.ReaderOf(tx, k.User)
			if err != nil {
				return err
			}
			why := to.T("Your account has no password here: it comes from your organization. Sign in with single sign-on instead.")
			if !usable {
				why = to.T("Your organization does not use passwords here. Sign in with single sign-on instead.")
			}
			l := mail.Letter{Reader: to, Subject: to.T("Your account at %s", k.OrgName), Greeting: greeting(to, k.Name)}
			l.Lines = []string{to.T("Somebody, probably you, asked for a new password for your account at %s.", k.OrgName), why}
			l.Button, l.Link = to.T("Go to the sign-in page"), a.url("/o/"+k.Slug+"/login")
			l.Small = []string{to.T("If you did not ask for this, ignore this mail. Nothing has changed.")}
			return a.opts.Mail.Queue(tx, l.To(k.Email))
		}
		return a.queueReset(tx, k, resetTTL, web.Say("Somebody, probably you, asked for a new password for your account at %s.", k.OrgName))
	})
}

// queueReset mails a link for a new password that works for ttl.
func (a *Account) queueReset(tx *store.Tx, k password.Known, ttl time.Duration, why web.Said) error {
	token := string(tx.Org()) + "." + secret.NewToken()
	until := tx.Now().Add(ttl)
	if err := insertReset(tx, token, k.User, until); err != nil {
		return err
	}
	to, err := mail.ReaderOf(tx, k.User)
	if err != nil {
		return err
	}
	l := mail.Letter{Reader: to, Subject: to.T("Set a new password for %s", k.OrgName), Greeting: greeting(to, k.Name), Lines: []string{to.Say(why)},
		Button: to.T("Set a new password"), Link: a.url("/password/reset/" + token),
		Small: []string{
			to.T("The link works once, until %s.", until),
			to.T("If you did not expect this, ignore this mail. Your password stays as it is."),
		}}
	if err := a.opts.Mail.Queue(tx, l.To(k.Email)); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "password.reset.ask", TargetKind: "user", TargetID: string(k.User), TargetName: k.Name})
}

func greeting(to web.Reader, name string) string {
	if name == "" {
		return to.T("Hello,")
	}
	return to.T("Hello %s,", name)
}

func (a *Account) url(path string) string { return strings.TrimSuffix(a.opts.PublicURL, "/") + path }

// pendingReset is what a link stands for.
type pendingReset struct {
	token string
	org   store.Org
	user  store.User
	rules password.Rules
}

func badReset() error {
	return fault.Expired.Say("This link is no longer valid: it was used, replaced by a newer one, or is too old. Ask for a new one with \"Forgot your password?\" on the sign-in page.")
}

// openReset looks at a link without using it. Faults: Expired.
func (a *Account) openReset(ctx context.Context, token string) (pendingReset, error) {
	p := pendingReset{token: token}
	prefix, _, _ := strings.Cut(token, ".")
	id, err := store.ParseID[store.Org](prefix)
	if err != nil {
		return p, badReset()
	}
	err = a.opts.DB.Read(ctx, access.Muster(string(id)), func(tx *store.Tx) error {
		user, err := findReset(tx, token)
		if err != nil {
			return err
		}
		if p.user, err = tx.User(user); err != nil {
			return err
		}
		if p.org, err = a.opts.DB.OrgByID(ctx, id); err != nil {
			return err
		}
		p.rules, _, err = a.opts.Passwords.Rules(tx)
		return err
	})
	if fault.Is(err, fault.NotFound) || err == nil && p.user.Status != store.Active {
		return p, badReset()
	}
	return p, err
}

type resetPage struct {
	Form         web.Form
	Path         string
	Org, Address string
	Rules        []password.Rule
}

func (p pendingReset) page(f web.Form) resetPage {
	return resetPage{Form: f, Path: "/password/reset/" + p.token, Org: p.org.Name, Address: p.user.UserName, Rules: p.rules.InWords()}
}

func (a *Account) showReset(w http.ResponseWriter, r *http.Request) error {
	p, err := a.openReset(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "reset", p.page(web.Form{}))
}

// reset sets the password, once: of two posts at a time one finds the link used.
func (a *Account) reset(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	p, err := a.openReset(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	secretText := f.Get("password")
	err = a.opts.Passwords.Check(r.Context(), p.org.ID, p.user.ID, secretText, wordsOf(p.user, p.org)...)
	if err != nil && f.Take(err) {
		return pages.Write(w, r, web.Status(err), "reset", p.page(f))
	}
	if err != nil {
		return err
	}
	hash, err := a.opts.Passwords.Hash(r.Context(), secretText)
	if err != nil {
		return err
	}
	var token, waits string
	var needsCode bool
	err = a.opts.DB.Write(r.Context(), person(r, p.org.ID, p.user.ID, p.user.DisplayName), func(tx *store.Tx) error {
		used, err := useReset(tx, p.token, p.user.ID)
		if err != nil {
			return err
		}
		if !used {
			return badReset()
		}
		if err := a.opts.Passwords.Set(tx, p.user.ID, hash); err != nil {
			return err
		}
		if err := a.opts.Passwords.Unlock(tx, p.user.ID, p.user.Email, p.user.UserName); err != nil {
			return err
		}
		if err := a.opts.Sessions.EndAllOf(tx, p.user.ID); err != nil {
			return err
		}
		if needsCode, err = a.named(tx, p.user.ID); err != nil || needsCode {
			return err
		}
		token, waits, err = a.signInOrWait(tx, p.user.ID, p.user.DisplayName, "password", "/account")
		return err
	})
	if ok, failed := a.notAllowed(w, r, p.user, p.org.ID, "password", "/account", err); ok {
		return failed
	}
	if err != nil {
		return err
	}
	if needsCode {
		web.Flash(w, "Your new password is set. Sign in with it and a recovery code.")
		return see(w, r, "/o/"+p.org.Slug+"/login?with=password")
	}
	if waits != "" {
		web.Flash(w, web.T(r, "Your new password is set."))
		return a.askSecond(w, r, waits)
	}
	web.Flash(w, "Your new password is set. Your other sessions have ended.")
	return a.admit(w, r, token, "/account")
}
