package sso

import (
	"context"
	"crypto/subtle"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// DomainID names a domain row.
type DomainID = store.ID[Domain]

// Domain is a mail domain that an organization claims. Only a verified one routes
// sign-ins and lets accounts be linked by e-mail.
type Domain struct {
	ID           DomainID     `db:"id"`
	Domain       string       `db:"domain"` // lower-case ASCII
	Token        string       `db:"token"`
	ConnectionID ConnectionID `db:"connection_id"` // the connection that speaks for it; empty: any of the organization
	VerifiedAt   store.Time   `db:"verified_at"`
	CreatedAt    store.Time   `db:"created_at"`
}

// Verified tells whether the organization has proved the domain.
func (v Domain) Verified() bool { return v.VerifiedAt > 0 }

// TXTName and TXTValue are the DNS record that proves the domain.
func (v Domain) TXTName() string  { return "_muster-challenge." + v.Domain }
func (v Domain) TXTValue() string { return "muster-domain=" + v.Token }

// NewDomain is what AddDomain needs.
type NewDomain struct {
	Domain     string
	Connection ConnectionID // the one that speaks for it; empty: any of the organization
	Verified   bool         // take it as proved: for operators and the command line
}

// AddDomain claims a mail domain. Adding it again gives the same row, so the
// record to publish stays the same. Faults: Denied, Invalid, NotFound (the
// connection), Conflict (proved by another organization).
func (d *Door) AddDomain(ctx context.Context, actor access.Actor, in NewDomain) (v Domain, err error) {
	name, err := domainName(in.Domain)
	if err != nil {
		return Domain{}, err
	}
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if in.Verified && !actor.May(access.Operate) {
			return fault.Denied.Say("Only an operator can take a domain as verified. Publish the DNS record instead.")
		}
		if in.Connection != "" {
			if _, err := connectionIn(tx, in.Connection); err != nil {
				return err
			}
		}
		n, err := tx.Exec(`INSERT INTO domains (org_id, id, domain, token, connection_id, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (org_id, domain) DO NOTHING`, tx.Org(), store.NewID[Domain](), name, secret.NewToken(), in.Connection, tx.Now())
		if err != nil {
			return err
		}
		if v, err = domainIn(tx, name); err != nil {
			return err
		}
		if n > 0 {
			if err := recordDomain(tx, "domain.add", v); err != nil {
				return err
			}
		} else if in.Connection != "" && v.ConnectionID != in.Connection {
			if _, err := tx.Exec("UPDATE domains SET connection_id = ? WHERE org_id = ? AND id = ?", in.Connection, tx.Org(), v.ID); err != nil {
				return err
			}
			v.ConnectionID = in.Connection
			if err := recordDomain(tx, "domain.assign", v); err != nil {
				return err
			}
		}
		if in.Verified && !v.Verified() {
			return prove(tx, &v)
		}
		return nil
	})
	return v, err
}

// VerifyDomain looks for the DNS record and marks the domain as proved. Faults:
// Denied, NotFound, Invalid (the record is not there), Conflict (proved by another
// organization).
func (d *Door) VerifyDomain(ctx context.Context, actor access.Actor, domain string) (v Domain, err error) {
	name, err := domainName(domain)
	if err != nil {
		return v, err
	}
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		v, err = domainIn(tx, name)
		return err
	})
	if err != nil || v.Verified() {
		return v, err
	}
	records, lookupErr := d.opts.LookupTXT(ctx, v.TXTName())
	found := slices.ContainsFunc(records, func(r string) bool {
		return subtle.ConstantTimeCompare([]byte(strings.TrimSpace(r)), []byte(v.TXTValue())) == 1
	})
	if !found {
		return v, &fault.Error{Kind: fault.Invalid, Field: "domain", Err: lookupErr,
			Public: "There is no TXT record " + v.TXTName() + " with the value " + v.TXTValue() + ". A new record can take an hour to be seen."}
	}
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if v, err = domainIn(tx, name); err != nil || v.Verified() {
			return err
		}
		return prove(tx, &v)
	})
	return v, err
}

// Domains lists the organization's domains. Faults: Denied.
func (d *Door) Domains(ctx context.Context, actor access.Actor) (list []Domain, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		list, err = domainsIn(tx)
		return err
	})
	return list, err
}

func prove(tx *store.Tx, v *Domain) error {
	v.VerifiedAt = tx.Now()
	_, err := tx.Exec("UPDATE domains SET verified_at = ? WHERE org_id = ? AND id = ?", v.VerifiedAt, tx.Org(), v.ID)
	if fault.Is(err, fault.Conflict) {
		return &fault.Error{Kind: fault.Conflict, Field: "domain", Err: err,
			Public: v.Domain + " is verified by another organization on this server. It must be removed there first."}
	}
	if err != nil {
		return err
	}
	return recordDomain(tx, "domain.verify", *v)
}

func recordDomain(tx *store.Tx, action string, v Domain) error {
	detail := map[string]any{}
	if v.ConnectionID != "" {
		detail["connection"] = v.ConnectionID
	}
	return tx.Record(store.Activity{Action: action, TargetKind: "domain", TargetID: string(v.ID), TargetName: v.Domain, Detail: detail})
}

// domainName reads what somebody typed: lower-case ASCII, a name below a public
// suffix. Faults: Invalid.
func domainName(s string) (string, error) {
	name, err := idna.Lookup.ToASCII(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if err != nil || len(name) > 253 || strings.ContainsAny(name, " /@:") || !strings.Contains(name, ".") {
		return "", fault.Invalid.On("domain", "%q is not a mail domain. It looks like example.com.", answer.Clip(s, 100))
	}
	if isPublicMail(name) {
		return "", fault.Invalid.On("domain", "Anybody can have an address at %s, so it cannot belong to an organization.", name)
	}
	if suffix, icann := publicsuffix.PublicSuffix(name); suffix == name && (icann || strings.Contains(suffix, ".")) {
		return "", fault.Invalid.On("domain", "%s is a suffix under which anybody can register. Use the organization's own domain below it.", name)
	}
	return name, nil
}

// domainOf is the folded domain of an e-mail address, or "".
func domainOf(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return ""
	}
	name, err := idna.Lookup.ToASCII(email[at+1:])
	if err != nil {
		return ""
	}
	return name
}

// isPublicMail: providers where anybody gets an address. They prove nothing
// about an organization.
func isPublicMail(name string) bool {
	if slices.Contains(publicMailDomains, name) {
		return true
	}
	// yahoo.co.jp, hotmail.fr, gmx.at: the same providers in other countries.
	suffix, _ := publicsuffix.PublicSuffix(name)
	label := strings.TrimSuffix(name, "."+suffix)
	return slices.Contains(publicMailLabels, label)
}

var publicMailDomains = []string{
	"163.com", "126.com", "aim.com", "att.net", "bigpond.com", "bk.ru", "bluewin.ch", "btinternet.com", "comcast.net", "cox.net", "duck.com",
	"email.com", "fastmail.com", "fastmail.fm", "foxmail.com", "free.fr", "freenet.de", "gmail.com", "googlemail.com", "hey.com", "hushmail.com",
	"icloud.com", "inbox.ru", "laposte.net", "libero.it", "list.ru", "mac.com", "mail.com", "mail.ru", "mailbox.org", "me.com", "naver.com",
	"o2.pl", "orange.fr", "pm.me", "posteo.de", "proton.me", "protonmail.com", "protonmail.ch", "qq.com", "rambler.ru", "rediffmail.com",
	"rocketmail.com", "seznam.cz", "sfr.fr", "sina.com", "t-online.de", "tuta.com", "tuta.io", "tutanota.com", "verizon.net", "wanadoo.fr",
	"web.de", "wp.pl", "ya.ru", "yeah.net", "ymail.com", "zoho.com", "zohomail.com",
}

var publicMailLabels = []string{"aol", "gmx", "hotmail", "live", "msn", "outlook", "yahoo", "yandex"}
