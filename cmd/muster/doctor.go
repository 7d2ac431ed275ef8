package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// doctor examines an installation and changes nothing: for the command and for the
// operator's page.
type doctor struct {
	ctx      context.Context
	cfg      *config.Config
	db       *store.DB     // nil: there is none to look into
	policy   *policy.Door  // with db
	key      secret.Key    // zero: it cannot be had
	database operate.Check // whether it answers
}

func found(name web.Said, status string, detail web.Said, todo ...web.Said) operate.Check {
	c := operate.Check{Name: name, Status: status, Detail: detail}
	if len(todo) > 0 {
		c.Todo = todo[0]
	}
	return c
}

// checks are all of them; data reads all people and groups, too.
func (d doctor) checks(data bool) ([]operate.Check, error) {
	list := append([]operate.Check{found(web.Say("settings"), "ok", web.Say("All settings are known and fit each other."))}, d.folder()...)
	list = append(list, d.database)
	if d.db != nil {
		steps := []func() (operate.Check, error){d.domains, d.policies, d.certificates}
		if !d.key.IsZero() && (data || d.cfg.SecretKeyOld != "") {
			steps = append(steps, d.sealed)
		}
		if data {
			steps = append(steps, d.data)
		}
		for _, step := range steps {
			c, err := step()
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
	}
	return append(list, d.address(), d.mail(), d.server()), nil
}

func (d doctor) folder() []operate.Check {
	name, dir := web.Say("data folder"), d.cfg.DataDir
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []operate.Check{found(name, "warn", web.Say("%s does not exist yet; the first start makes it.", dir))}
	}
	if err != nil || !info.IsDir() {
		return []operate.Check{found(name, "fail", web.Say("%s is not a folder that can be opened; see --data-dir.", dir))}
	}
	out := []operate.Check{found(name, "ok", web.Say("%s", dir))}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		out[0] = found(name, "warn", web.Say("%s can be read by others (mode %s).", dir, mode.String()), web.Say("Run: chmod 700 %s", dir))
	}
	return append(out, d.keyFile())
}

func (d doctor) keyFile() operate.Check {
	name, file := web.Say("server key"), filepath.Join(d.cfg.DataDir, "server.key")
	if d.cfg.SecretKey != "" {
		return found(name, "ok", web.Say("From the settings."))
	}
	_, err := readKey(file)
	info, statErr := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found(name, "warn", web.Say("%s does not exist yet; the first start makes it.", file))
	case err != nil:
		return found(name, "fail", web.Say("%s", err.Error()))
	case statErr == nil && info.Mode().Perm()&0o077 != 0:
		return found(name, "fail", web.Say("%s can be read by others (mode %s).", file, info.Mode().Perm().String()), web.Say("Run: chmod 600 %s", file))
	}
	return found(name, "ok", web.Say("%s; keep a copy apart from the database.", file))
}

// sealed tells what the newest key did not seal, and who seals with another.
func (d doctor) sealed() (operate.Check, error) {
	older, lost := 0, 0
	var items []operate.Item
	for _, s := range sealedValues() {
		n, err := d.db.Reseal(d.ctx, d.key, s, false)
		if err != nil {
			return operate.Check{}, err
		}
		if older, lost = older+n.Older, lost+n.Lost; n.Older+n.Lost > 0 {
			items = append(items, operate.Item{Text: web.Say("%s: %d with an older key, %d that no key opens", n.What, n.Older, n.Lost)})
		}
	}
	apart, err := operate.Apart(d.ctx, d.db, d.key)
	if err != nil {
		return operate.Check{}, err
	}
	for _, s := range apart {
		items = append(items, operate.Item{Text: web.Say("the server %s seals with another key", s.Host)})
	}
	name := web.Say("sealed values")
	c := found(name, "ok", web.Say("All are sealed with the server key."))
	switch {
	case lost > 0:
		c = found(name, "fail", web.Say("Some stored secrets cannot be opened:"), web.Say("Put the key that sealed them into MUSTER_SECRET_KEY_OLD, or make them anew."))
	case len(apart) > 0:
		c = found(name, "warn", web.Say("Some servers seal with another key, and more may come under it:"), web.Say("Restart them with MUSTER_SECRET_KEY and MUSTER_SECRET_KEY_OLD as they are here."))
	case older > 0:
		c = found(name, "warn", web.Say("Some are sealed with an older key:"), web.Say("Run: muster secret-key reseal"))
	case d.cfg.SecretKeyOld != "":
		c.Todo = web.Say("A day after the exchange, take MUSTER_SECRET_KEY_OLD out of the settings.")
	}
	c.Items = items
	return c, nil
}

// answers is the check of a database that is open.
func answers(ctx context.Context, db *store.DB) (operate.Check, error) {
	if err := db.Ready(ctx); err != nil {
		return found(web.Say("database"), "fail", web.Say("%s", sentence(err))), err
	}
	return found(web.Say("database"), "ok", web.Say("It answers and has all tables (%s).", db.Dialect())), nil
}

// domains names those whose DNS record is missing.
func (d doctor) domains() (operate.Check, error) {
	lost, err := sso.LostDomains(d.ctx, d.db)
	if err != nil || len(lost) == 0 {
		return found(web.Say("mail domains"), "ok", web.Say("No DNS record of a verified domain is missing.")), err
	}
	c := found(web.Say("mail domains"), "warn", web.Say("The DNS record is missing of:"), web.Say("Fourteen days later such a domain is switched off. Put the record back at the DNS."))
	for _, name := range lost {
		c.Items = append(c.Items, operate.Item{Text: web.Say("%s", name)})
	}
	return c, nil
}

// policies names what would keep people out where single sign-on is required.
func (d doctor) policies() (operate.Check, error) {
	fine := found(web.Say("sign-in"), "ok", web.Say("Wherever single sign-on is required, there is a connection, and a way in when it fails."))
	enforced, err := policy.EnforcedIn(d.ctx, d.db, nil)
	if err != nil {
		return fine, err
	}
	var items []operate.Item
	err = d.db.EachOrg(d.ctx, func(org store.Org) error {
		if !enforced[org.ID] {
			return nil
		}
		return d.db.Read(d.ctx, access.Muster(string(org.ID)), func(tx *store.Tx) error {
			list, err := d.policy.Findings(tx)
			for _, f := range list {
				items = append(items, operate.Item{Org: org.Slug, Text: f})
			}
			return err
		})
	})
	if err != nil || len(items) == 0 {
		return fine, err
	}
	c := found(web.Say("sign-in"), "warn", web.Say("People would be kept out, or have no way in when single sign-on fails:"))
	c.Items = items
	return c, nil
}

// certificates names those of SAML connections that end soon, and metadata that
// somebody should look at.
func (d doctor) certificates() (operate.Check, error) {
	ending, waiting, err := sso.EndingCertificates(d.ctx, d.db)
	if err != nil || len(ending)+len(waiting) == 0 {
		return found(web.Say("certificates"), "ok", web.Say("No certificate of a SAML connection ends within 60 days, and all metadata could be read.")), err
	}
	c := found(web.Say("certificates"), "warn", web.Say("Certificates end within 60 days, or metadata have to be looked at:"), web.Say("Ask the organization's admin to look at the page Upkeep of the connection."))
	for _, e := range ending {
		c.Items = append(c.Items, operate.Item{Text: web.Say("The certificate %s (%s) ends on %s.", e.Connection, e.Whose, e.At.UTC().Format(time.DateOnly))})
	}
	for _, w := range waiting {
		c.Items = append(c.Items, operate.Item{Text: web.Say("Metadata: %s", w)})
	}
	return c, nil
}

// data compares what is kept twice, organization by organization.
func (d doctor) data() (operate.Check, error) {
	var items []operate.Item
	n := 0
	err := d.db.EachOrg(d.ctx, func(org store.Org) error {
		n++
		return d.db.Read(d.ctx, access.Muster(string(org.ID)), func(tx *store.Tx) error {
			wrong, err := tx.Check()
			for _, f := range wrong {
				items = append(items, operate.Item{Org: org.Slug, Text: web.Say("%s", f)})
			}
			return err
		})
	})
	if err != nil || len(items) == 0 {
		return found(web.Say("data"), "ok", web.SayN(n, "Counters, indexed values and memberships agree with the people and groups of %d organization.", "Counters, indexed values and memberships agree with the people and groups of %d organizations.")), err
	}
	c := found(web.Say("data"), "fail", web.Say("Counters, indexed values or memberships do not agree with people and groups:"), web.Say("Restore a backup, or report this."))
	c.Items = items
	return c, nil
}

func (d doctor) address() operate.Check {
	base := d.cfg.BaseURL(d.cfg.HTTP.Addr)
	if u, err := url.Parse(base); err == nil && u.Scheme == "http" {
		return found(web.Say("public URL"), "warn", web.Say("%s works on this machine only.", base), web.Say("Set MUSTER_PUBLIC_URL=https://... for others."))
	}
	return found(web.Say("public URL"), "ok", web.Say("%s", base))
}

func (d doctor) mail() operate.Check {
	if d.cfg.Mail.URL == "" {
		return found(web.Say("mail"), "warn", web.Say("No mail server is set: mail stays in the built-in mailbox."), web.Say("Set MUSTER_MAIL_URL=smtp://..."))
	}
	u, err := url.Parse(string(d.cfg.Mail.URL))
	if err != nil {
		return found(web.Say("mail"), "fail", web.Say("mail.url cannot be read."))
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	}
	to := net.Dialer{Timeout: 5 * time.Second}
	conn, err := to.DialContext(d.ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return found(web.Say("mail"), "fail", web.Say("The mail server %s:%s does not answer (%s).", u.Hostname(), port, err.Error()), web.Say("Check that it runs, and that this machine may reach it."))
	}
	conn.Close()
	return found(web.Say("mail"), "ok", web.Say("%s answers.", u.Hostname()))
}

func (d doctor) server() operate.Check {
	base := "http://" + string(d.cfg.HTTP.Addr)
	ask, err := http.NewRequestWithContext(d.ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return found(web.Say("server"), "fail", web.Say("%s", err.Error()))
	}
	client := http.Client{Timeout: 5 * time.Second}
	res, err := client.Do(ask)
	if err != nil {
		return found(web.Say("server"), "warn", web.Say("Nothing listens on %s right now.", string(d.cfg.HTTP.Addr)))
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return found(web.Say("server"), "fail", web.Say("%s/readyz says %d.", base, res.StatusCode))
	}
	return found(web.Say("server"), "ok", web.Say("It runs and is ready."))
}
