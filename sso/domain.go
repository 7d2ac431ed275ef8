package sso

import (
	"context"
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
// sign-ins and lets accounts be made and linked by e-mail. The proof is one name at
// a time: acme.example says nothing about sub.acme.example.
type Domain struct {
	ID         DomainID   `db:"id"`
	Domain     string     `db:"domain"` // lower-case ASCII
	Token      string     `db:"token"`
	VerifiedAt store.Time `db:"verified_at"`
	CreatedAt  store.Time `db:"created_at"`
	CheckedAt  store.Time `db:"checked_at"` // when the DNS was last asked
	RecheckAt  store.Time `db:"recheck_at"` // when it will be asked again; 0: never
	LostAt     store.Time `db:"lost_at"`    // since when the record is missing
	ToldAt     store.Time `db:"told_at"`    // when the admins were last told so
	OffAt      store.Time `db:"off_at"`     // since when it is off for that
	Answer     string     `db:"answer"`     // what the DNS said last, in words

	Connections []ConnectionID `db:"-"` // that speak for it; empty: all of the organization
}

// Verified tells whether the domain routes and links.
func (v Domain) Verified() bool { return v.VerifiedAt > 0 }

// The states of a domain.
const (
	domainUnproved = "unproved" // the record was never seen
	domainVerified = "verified"
	domainMissing  = "missing" // verified, but the record is gone: 14 days to put it back
	domainOff      = "off"     // these are over
)

// State is one word for how the domain stands.
func (v Domain) State() string {
	switch {
	case v.OffAt > 0:
		return domainOff
	case !v.Verified():
		return domainUnproved
	case v.LostAt > 0:
		return domainMissing
	}
	return domainVerified
}

// Tag changes with the connections that speak for the domain, for forms that were open
// meanwhile.
func (v Domain) Tag() string { return store.TagOf(append([]ConnectionID{}, v.Connections...)) }

// Speaks tells whether a connection may sign people of this domain in.
func (v Domain) Speaks(id ConnectionID) bool { return len(v.Connections) == 0 || v.assigned(id) }

// assigned tells whether the organization has named the connection for the domain.
func (v Domain) assigned(id ConnectionID) bool { return slices.Contains(v.Connections, id) }

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
		n, err := tx.Exec(`INSERT INTO domains (org_id, id, domain, token, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (org_id, domain) DO NOTHING`, tx.Org(), store.NewID[Domain](), name, secret.NewToken(), tx.Now())
		if err != nil {
			return err
		}
		if v, err = domainIn(tx, name, ""); err != nil {
			return err
		}
		if n > 0 {
			if err := recordDomain(tx, "domain.add", v, nil); err != nil {
				return err
			}
		}
		if in.Connection != "" && !slices.Equal(v.Connections, []ConnectionID{in.Connection}) {
			if err := assign(tx, &v, []ConnectionID{in.Connection}); err != nil {
				return err
			}
		}
		if !in.Verified || v.Verified() {
			return nil
		}
		// An operator's word needs no record, so none is looked for later.
		v.RecheckAt, v.LostAt, v.ToldAt, v.OffAt = 0, 0, 0, 0
		if err := prove(tx, &v); err != nil {
			return err
		}
		return recordDomain(tx, "domain.verify", v, map[string]any{"why": "an operator said so"})
	})
	return v, err
}

// AssignDomain says which connections speak for a domain; none: all of the
// organization. was is the Tag of the domain that the choice was made for, or empty.
// Faults: Denied, NotFound (domain or connection), Conflict on "version" (changed since).
func (d *Door) AssignDomain(ctx context.Context, actor access.Actor, domain, was string, to []ConnectionID) (v Domain, err error) {
	err = d.changeDomain(ctx, actor, domain, func(tx *store.Tx, found Domain) error {
		v = found
		if err := store.Unchanged(was, v.Tag()); err != nil {
			return err
		}
		return assign(tx, &v, to)
	})
	return v, err
}

func assign(tx *store.Tx, v *Domain, to []ConnectionID) error {
	to = slices.Compact(slices.Sorted(slices.Values(to)))
	if slices.Equal(to, v.Connections) {
		return nil
	}
	if _, err := tx.Exec("DELETE FROM domain_connections WHERE org_id = ? AND domain_id = ?", tx.Org(), v.ID); err != nil {
		return err
	}
	for _, id := range to {
		if _, err := connectionIn(tx, id); err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO domain_connections (org_id, domain_id, connection_id) VALUES (?, ?, ?)", tx.Org(), v.ID, id); err != nil {
			return err
		}
	}
	before := v.Connections
	v.Connections = to
	return recordDomain(tx, "domain.assign", *v, map[string]any{"before": map[string]any{"connections": before}, "after": map[string]any{"connections": to}})
}

// RemoveDomain gives a domain up: from then on it routes, makes and links nobody.
// Sessions stay, and so does what was linked. Faults: Denied, NotFound.
func (d *Door) RemoveDomain(ctx context.Context, actor access.Actor, domain string) (v Domain, err error) {
	err = d.changeDomain(ctx, actor, domain, func(tx *store.Tx, found Domain) error {
		v = found
		if _, err := tx.Exec("DELETE FROM domain_connections WHERE org_id = ? AND domain_id = ?", tx.Org(), v.ID); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM domains WHERE org_id = ? AND id = ?", tx.Org(), v.ID); err != nil {
			return err
		}
		return recordDomain(tx, "domain.remove", v, map[string]any{"before": map[string]any{"state": v.State()}})
	})
	return v, err
}

// changeDomain hands the domain's row to fn, which has it for itself, in a transaction of somebody who may
// configure the organization.
func (d *Door) changeDomain(ctx context.Context, actor access.Actor, domain string, fn func(tx *store.Tx, v Domain) error) error {
	name, err := domainName(domain)
	if err != nil {
		return err
	}
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		v, err := domainIn(tx, name, tx.ForUpdate())
		if err != nil {
			return err
		}
		return fn(tx, v)
	})
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

// Domain reads one. Faults: Denied, Invalid, NotFound.
func (d *Door) Domain(ctx context.Context, actor access.Actor, domain string) (v Domain, err error) {
	name, err := domainName(domain)
	if err != nil {
		return v, err
	}
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		v, err = domainIn(tx, name, "")
		return err
	})
	return v, err
}

func recordDomain(tx *store.Tx, action string, v Domain, detail map[string]any) error {
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

// DomainOf is the mail domain of an address as somebody typed it, as domains are
// kept; empty when it has none.
func DomainOf(typed string) string {
	return domainOf(strings.TrimSuffix(strings.TrimSpace(typed), "."))
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
