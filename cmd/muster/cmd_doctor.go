package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// sqlitePath is the file of the embedded database, if that is what url names.
func sqlitePath(url string) (string, bool) { return strings.CutPrefix(url, "sqlite:") }

type migrateCmd struct{}

func (migrateCmd) Run(a *app) error {
	h, err := a.open() // opening migrates
	if err != nil {
		return err
	}
	return a.answer(map[string]string{"status": "done", "database": h.db.Dialect()}, "The tables are up to date.")
}

// doctorCmd looks and changes nothing: it makes no folder, no key, no table.
type doctorCmd struct {
	Data bool `help:"Also read all people and groups and compare counters, indexed values and memberships with them. Takes seconds for 100,000 people; a server may be running."`
}

type finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warn, fail
	Detail string `json:"detail"`
}

func (c doctorCmd) Run(a *app) error {
	found := []finding{{"settings", "ok", "All settings are known and fit each other."}}
	found = append(found, c.folder(a)...)
	database, cause := c.database(a)
	found = append(found, database)
	if database.Status == "ok" {
		domains, err := c.domains(a)
		if err != nil {
			return err
		}
		policies, err := c.policies(a)
		if err != nil {
			return err
		}
		certificates, err := c.certificates(a)
		if err != nil {
			return err
		}
		found = append(found, domains, policies, certificates)
	}
	if c.Data && database.Status == "ok" {
		data, err := c.data(a)
		if err != nil {
			return err
		}
		found = append(found, data)
	}
	found = append(found, c.address(a), c.mail(a), c.server(a))

	worst := "ok"
	lines := []string{}
	for _, f := range found {
		lines = append(lines, fmt.Sprintf("%-5s %-12s %s", f.Status, f.Name, f.Detail))
		if f.Status == "fail" || worst == "ok" {
			worst = f.Status
		}
	}
	if err := a.answer(map[string]any{"status": worst, "checks": found}, lines...); err != nil {
		return err
	}
	if worst != "fail" {
		return nil
	}
	if cause != nil {
		return cause
	}
	return errors.New("something keeps the server from working; see the lines marked fail")
}

func (doctorCmd) folder(a *app) []finding {
	dir := a.cfg.DataDir
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []finding{{"data folder", "warn", dir + " does not exist yet; the first start makes it."}}
	}
	if err != nil || !info.IsDir() {
		return []finding{{"data folder", "fail", dir + " is not a folder that can be opened; see --data-dir."}}
	}
	out := []finding{{"data folder", "ok", dir}}
	if info.Mode().Perm()&0o077 != 0 {
		out[0] = finding{"data folder", "warn", fmt.Sprintf("%s can be read by others (mode %o); run: chmod 700 %s", dir, info.Mode().Perm(), dir)}
	}
	if a.cfg.SecretKey != "" {
		return append(out, finding{"server key", "ok", "From the settings."})
	}
	name := filepath.Join(dir, "server.key")
	_, err = readKey(name)
	info, statErr := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return append(out, finding{"server key", "warn", name + " does not exist yet; the first start makes it."})
	case err != nil:
		return append(out, finding{"server key", "fail", err.Error()})
	case statErr == nil && info.Mode().Perm()&0o077 != 0:
		return append(out, finding{"server key", "fail", fmt.Sprintf("%s can be read by others (mode %o); run: chmod 600 %s", name, info.Mode().Perm(), name)})
	}
	return append(out, finding{"server key", "ok", name + "; keep a copy apart from the database."})
}

func (doctorCmd) database(a *app) (finding, error) {
	ctx, cancel := context.WithTimeout(a.ctx, 15*time.Second)
	defer cancel()
	if path, embedded := sqlitePath(a.cfg.DatabaseURL()); embedded {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return finding{"database", "warn", path + " does not exist yet; the first start makes it."}, nil
		}
	}
	db, err := store.Open(ctx, store.Options{URL: a.cfg.DatabaseURL(), Log: a.log, MaxConns: 2})
	if err != nil {
		return finding{"database", "fail", sentence(err)}, err
	}
	defer db.Close()
	if err := db.Ready(ctx); err != nil {
		return finding{"database", "fail", sentence(err)}, err
	}
	return finding{"database", "ok", "It answers and has all tables (" + db.Dialect() + ")."}, nil
}

// domains names those whose DNS record is missing.
func (doctorCmd) domains(a *app) (finding, error) {
	db, err := store.Open(a.ctx, store.Options{URL: a.cfg.DatabaseURL(), Log: a.log, MaxConns: 2})
	if err != nil {
		return finding{}, err
	}
	defer db.Close()
	lost, err := sso.LostDomains(a.ctx, db)
	if err != nil {
		return finding{}, err
	}
	if len(lost) == 0 {
		return finding{"mail domains", "ok", "No DNS record of a verified domain is missing."}, nil
	}
	return finding{"mail domains", "warn", "The DNS record is missing of: " + strings.Join(lost[:min(len(lost), 20)], ", ") + ". Fourteen days later such a domain is switched off."}, nil
}

// policies names what would keep people out where single sign-on is required.
func (doctorCmd) policies(a *app) (finding, error) {
	db, err := store.Open(a.ctx, store.Options{URL: a.cfg.DatabaseURL(), Log: a.log, MaxConns: 2})
	if err != nil {
		return finding{}, err
	}
	defer db.Close()
	s := &system{db: db, passwords: password.New(password.Options{DB: db, Log: a.log}), sso: sso.New(sso.Options{DB: db, Log: a.log})}
	s.policy = policy.New(s.policyOptions(a.log))
	enforced, err := policy.EnforcedIn(a.ctx, db, nil)
	if err != nil {
		return finding{}, err
	}
	var wrong []string
	err = db.EachOrg(a.ctx, func(org store.Org) error {
		if !enforced[org.ID] {
			return nil
		}
		return db.Read(a.ctx, access.Muster(string(org.ID)), func(tx *store.Tx) error {
			list, err := s.policy.Findings(tx)
			for _, f := range list {
				wrong = append(wrong, org.Slug+": "+f)
			}
			return err
		})
	})
	if err != nil {
		return finding{}, err
	}
	if len(wrong) == 0 {
		return finding{"sign-in", "ok", "Wherever single sign-on is required, there is a connection, and a way in when it fails."}, nil
	}
	return finding{"sign-in", "warn", strings.Join(wrong[:min(len(wrong), 20)], " ")}, nil
}

// certificates names those of SAML connections that end soon, and metadata that
// somebody should look at.
func (doctorCmd) certificates(a *app) (finding, error) {
	db, err := store.Open(a.ctx, store.Options{URL: a.cfg.DatabaseURL(), Log: a.log, MaxConns: 2})
	if err != nil {
		return finding{}, err
	}
	defer db.Close()
	ending, waiting, err := sso.EndingCertificates(a.ctx, db)
	if err != nil {
		return finding{}, err
	}
	var words []string
	for _, e := range ending {
		words = append(words, e.Connection+" ("+e.Whose+") on "+e.At.UTC().Format(time.DateOnly))
	}
	text := ""
	if len(words) > 0 {
		text = "Certificates end within 60 days: " + strings.Join(words[:min(len(words), 20)], ", ") + ". "
	}
	if len(waiting) > 0 {
		text += "Metadata to look at: " + strings.Join(waiting[:min(len(waiting), 20)], ", ") + "."
	}
	if text == "" {
		return finding{"certificates", "ok", "No certificate of a SAML connection ends within 60 days, and all metadata could be read."}, nil
	}
	return finding{"certificates", "warn", strings.TrimSpace(text)}, nil
}

// data compares what is kept twice, organization by organization.
func (doctorCmd) data(a *app) (finding, error) {
	const some = 10
	db, err := store.Open(a.ctx, store.Options{URL: a.cfg.DatabaseURL(), Log: a.log, MaxConns: 2})
	if err != nil {
		return finding{}, err
	}
	defer db.Close()
	var wrong []string
	n := 0
	err = db.EachOrg(a.ctx, func(org store.Org) error {
		n++
		return db.Read(a.ctx, access.Muster(string(org.ID)), func(tx *store.Tx) error {
			found, err := tx.Check()
			for _, f := range found {
				wrong = append(wrong, org.Slug+": "+f)
			}
			return err
		})
	})
	if err != nil {
		return finding{}, err
	}
	if len(wrong) == 0 {
		return finding{"data", "ok", fmt.Sprintf("Counters, indexed values and memberships agree with the people and groups of %d organizations.", n)}, nil
	}
	more := ""
	if len(wrong) > some {
		wrong, more = wrong[:some], fmt.Sprintf(" (and %d more)", len(wrong)-some)
	}
	return finding{"data", "fail", strings.Join(wrong, "; ") + more + ". Restore a backup, or report this."}, nil
}

func (doctorCmd) address(a *app) finding {
	base := a.cfg.BaseURL(a.cfg.HTTP.Addr)
	if u, err := url.Parse(base); err == nil && u.Scheme == "http" {
		return finding{"public URL", "warn", base + " works on this machine only; set MUSTER_PUBLIC_URL=https://... for others."}
	}
	return finding{"public URL", "ok", base}
}

func (doctorCmd) mail(a *app) finding {
	if a.cfg.Mail.URL == "" {
		return finding{"mail", "warn", "No mail server is set: mail stays in the built-in mailbox. Set MUSTER_MAIL_URL=smtp://..."}
	}
	u, err := url.Parse(string(a.cfg.Mail.URL))
	if err != nil {
		return finding{"mail", "fail", "mail.url cannot be read."}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(u.Hostname(), port), 5*time.Second)
	if err != nil {
		return finding{"mail", "fail", fmt.Sprintf("The mail server %s:%s does not answer (%v).", u.Hostname(), port, err)}
	}
	conn.Close()
	return finding{"mail", "ok", u.Hostname() + " answers."}
}

func (doctorCmd) server(a *app) finding {
	base := "http://" + string(a.cfg.HTTP.Addr)
	client := http.Client{Timeout: 5 * time.Second}
	res, err := client.Get(base + "/readyz")
	if err != nil {
		return finding{"server", "warn", "Nothing listens on " + string(a.cfg.HTTP.Addr) + " right now."}
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return finding{"server", "fail", fmt.Sprintf("%s/readyz says %d.", base, res.StatusCode)}
	}
	return finding{"server", "ok", "It runs and is ready."}
}
