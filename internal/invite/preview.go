package invite

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Draft is the mail that an invitation would send; its link leads nowhere. Faults:
// Denied, and Invalid as of Create.
func (d *Door) Draft(ctx context.Context, actor access.Actor, in In) (m mail.Message, err error) {
	if err := in.check(); err != nil {
		return m, err
	}
	org, err := d.opt.DB.OrgByID(ctx, store.OrgID(actor.Org))
	if err != nil {
		return m, err
	}
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.InviteUsers); err != nil {
			return err
		}
		rules, err := d.Rules(tx)
		if err != nil {
			return err
		}
		theirs, err := tx.OrgLocale()
		if err != nil {
			return err
		}
		var only map[string]bool
		domain := in.Email[strings.LastIndexByte(in.Email, '@')+1:]
		if d.opt.OnlySSO != nil {
			if only, err = d.opt.OnlySSO(tx, []string{domain}); err != nil {
				return err
			}
		}
		now := tx.Now()
		i := Invitation{InvitedBy: inviter(tx.Actor()), Note: in.Note, ExpiresAt: now.Add(rules.expiry())}
		m = letter(web.ReaderOf(theirs.Language, theirs.TimeZone), org, store.Profile{Email: in.Email, GivenName: in.GivenName}, i, rules, only[store.Fold(domain)],
			strings.TrimSuffix(d.opt.PublicURL, "/")+"/invite/...", now)
		return nil
	})
	return m, err
}

// MailView is a mail as programs see it.
type MailView struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

func (d *Door) apiPreview(w http.ResponseWriter, r *http.Request) error {
	var n struct {
		Email     string `json:"email"`
		GivenName string `json:"given_name"`
		Note      string `json:"note"`
	}
	if err := web.ReadJSON(r, &n, "email"); err != nil {
		return err
	}
	m, err := d.Draft(r.Context(), web.Actor(r), In{Email: n.Email, GivenName: n.GivenName, Note: n.Note})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, MailView{m.To, m.Subject, m.Text, m.HTML})
}

// showMail fills in the mail as it would arrive.
func (d *Door) showMail(r *http.Request, p *invitePage, in In) error {
	m, err := d.Draft(r.Context(), web.Actor(r), in)
	if err != nil {
		return err
	}
	q := url.Values{"email": {in.Email}, "given_name": {in.GivenName}, "note": {in.Note}}
	p.Preview, p.Frame = &m, "/console/"+p.Org.Slug+"/invite/preview?"+q.Encode()
	return nil
}

// previewFrame is the HTML of the mail in a world of its own, without scripts.
func (d *Door) previewFrame(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := In{Email: q.Get("email"), GivenName: q.Get("given_name"), Note: q.Get("note")}
	m, err := d.Draft(r.Context(), web.Actor(r), in)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox")
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = io.WriteString(w, m.HTML)
	return err
}
