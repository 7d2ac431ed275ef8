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

// setupTTL is how long a set-up link works.
const setupTTL = 24 * time.Hour

// EnsureSetupLink makes a link for the first operator, unless there is one.
// Each call makes a new link and leaves older ones: replicas may start at once,
// and the first use ends all of them.
func (a *Account) EnsureSetupLink(ctx context.Context) (url string, needed bool, err error) {
	n, err := a.opts.Sessions.Operators(ctx)
	if err != nil || n > 0 {
		return "", false, err
	}
	token := secret.NewToken()
	err = a.opts.DB.Write(ctx, access.Muster(""), func(tx *store.Tx) error { return insertSetup(tx, token, tx.Now().Add(setupTTL)) })
	return a.url("/setup/" + token), true, err
}

// checkSetup looks at a link without using it. Faults: Expired.
func (a *Account) checkSetup(ctx context.Context, token string) error {
	var n int
	now := store.TimeOf(a.opts.DB.Now())
	if err := a.opts.DB.Lookup(ctx, &n, "SELECT count(*) FROM setups WHERE token_hash = ? AND expires_at > ?", secret.Hash(token), now); err != nil {
		return err
	}
	operators, err := a.opts.Sessions.Operators(ctx)
	switch {
	case err != nil:
		return err
	case operators > 0:
		return fault.Expired.Say("This server is set up already, so the link has done its work. Sign in instead.")
	case n == 0:
		return badSetup()
	}
	return nil
}

func badSetup() error {
	return fault.Expired.Say("This set-up link was used, or is older than 24 hours. Restart the server: it prints a new one.")
}

type setupPage struct {
	Form  web.Form
	Path  string
	Rules []password.Rule
}

func newSetupPage(f web.Form, path string) setupPage {
	return setupPage{Form: f, Path: path, Rules: password.DefaultRules().InWords()}
}

func (a *Account) showSetup(w http.ResponseWriter, r *http.Request) error {
	if err := a.checkSetup(r.Context(), r.PathValue("token")); err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "setup", newSetupPage(web.Form{}, r.URL.Path))
}

func (a *Account) setup(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	token := r.PathValue("token")
	if err := a.checkSetup(r.Context(), token); err != nil {
		return err
	}
	in := setupInput(f)
	for _, err := range in.check(a) {
		f.Take(err)
	}
	if f.Bad() {
		return pages.Write(w, r, http.StatusBadRequest, "setup", newSetupPage(f, r.URL.Path))
	}
	session, err := a.SetUp(r, token, in)
	switch {
	case fault.Is(err, fault.Expired):
		return err
	case fault.Field(err) == "name": // of the organization
		f.FailWith("organization", err)
		return pages.Write(w, r, web.Status(err), "setup", newSetupPage(f, r.URL.Path))
	case err != nil && f.Take(err):
		return pages.Write(w, r, web.Status(err), "setup", newSetupPage(f, r.URL.Path))
	case err != nil:
		return err
	}
	web.Flash(w, "Welcome. Your organization is ready: invite people, or connect a directory.")
	return a.admit(w, r, session, "/console")
}

// Setup is what the first operator fills in.
type Setup struct {
	Org, Slug             string
	GivenName, FamilyName string
	Email, Password       string
}

func setupInput(f web.Form) Setup {
	in := Setup{Org: f.Get("organization"), Slug: strings.ToLower(f.Get("slug")), GivenName: f.Get("given_name"), FamilyName: f.Get("family_name"), Email: f.Get("email"), Password: f.Get("password")}
	if in.Slug == "" {
		in.Slug = slugOf(in.Org)
	}
	return in
}

// slugOf is a short name made from an organization's name.
func slugOf(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	return strings.Trim(s[:min(len(s), 40)], "-")
}

// check finds everything that is wrong at once.
func (in Setup) check(a *Account) (errs []error) {
	if in.Org == "" {
		errs = append(errs, fault.Invalid.On("organization", "Enter the name of your organization."))
	}
	if in.GivenName == "" {
		errs = append(errs, fault.Invalid.On("given_name", "Enter your first name."))
	}
	if err := mail.CheckAddress(in.Email); err != nil {
		errs = append(errs, err)
	}
	if err := password.DefaultRules().Check(in.Password, in.Email, in.GivenName, in.FamilyName, in.Org, in.Slug); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// SetUp makes the organization and its first person, who is its admin and the
// server's operator, and signs them in. Break-glass: no directory can see or end
// this account. Faults: Expired (the link), Invalid, Conflict (slug).
func (a *Account) SetUp(r *http.Request, token string, in Setup) (session string, err error) {
	hash, err := a.opts.Passwords.Hash(r.Context(), in.Password)
	if err != nil {
		return "", err
	}
	actor := access.Muster("")
	actor.IP, actor.Request = person(r, "", "", "").IP, web.RequestID(r.Context())
	err = a.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		used, err := useSetup(tx, token)
		if err != nil {
			return err
		}
		if !used {
			return badSetup()
		}
		if _, err := tx.CreateOrg(in.Slug, in.Org); err != nil { // tx is bound to it from here on
			return err
		}
		profile := store.Profile{UserName: in.Email, Email: in.Email, GivenName: in.GivenName, FamilyName: in.FamilyName}
		u, err := tx.CreateUser(store.NewUser{Doc: profile.Doc(), Source: store.FromInvite, Status: store.Active, Roles: []string{access.Admin}, Reason: store.Manual, BreakGlass: true})
		if err != nil {
			return err
		}
		if err := a.opts.Passwords.Set(tx, u.ID, hash); err != nil {
			return err
		}
		if err := a.opts.Sessions.MakeOperator(tx, u.ID); err != nil {
			return err
		}
		session, err = a.signIn(tx, u.ID, u.DisplayName, "setup")
		return err
	})
	return session, err
}
