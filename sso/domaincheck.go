package sso

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// A domain that the DNS has proved is asked for again, weekly. A record that is gone
// is loud at once and has its effect slowly:
//
//	day 0    activity row, mail to the admins, the console and doctor say so; asked every six hours
//	day 3,.. the same again, while the record is missing
//	day 14   off: it routes, makes and links nobody any more. Sessions and bound identities stay
//	later    the record is back: so is the domain, by itself
//
// Only an answer counts: a name server that does not answer is no loss. While a domain
// is off, another organization can prove it; then it does not come back until
// it is given up there. Until then nobody can take it over, however the DNS is
// bent for an hour.

const (
	recheckEvery  = 7 * 24 * time.Hour // a verified domain
	recheckLost   = 6 * time.Hour      // one whose record is missing
	recheckAgain  = time.Hour          // no answer
	graceOfDomain = 14 * 24 * time.Hour
	tellEvery     = 3 * 24 * time.Hour
	askDNS        = 10 * time.Second
	recheckLease  = 10 * time.Minute // after that another server may ask
	recheckBatch  = 100
	recheckers    = 8
)

// jittered spreads what began together: d, a twelfth more or less.
func jittered(d time.Duration) time.Duration { return d - d/12 + rand.N(d/6) }

// dnsAnswer is what the DNS said of a domain's record.
type dnsAnswer struct {
	found bool
	sure  bool // it answered
	said  string
}

// ask looks for the record that proves a domain.
func (d *Door) ask(ctx context.Context, v Domain) dnsAnswer {
	ctx, cancel := context.WithTimeout(ctx, askDNS)
	defer cancel()
	records, err := d.opts.LookupTXT(ctx, v.TXTName())
	if err != nil {
		if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
			return dnsAnswer{sure: true, said: fmt.Sprintf(dnsNone, v.TXTName())}
		}
		return dnsAnswer{said: fmt.Sprintf(dnsSilent, shown(err.Error(), 200))}
	}
	var others []string
	for _, r := range records {
		r = strings.Trim(strings.TrimSpace(r), `"`) // some panels keep the quotes that were typed
		if subtle.ConstantTimeCompare([]byte(r), []byte(v.TXTValue())) == 1 {
			return dnsAnswer{found: true, sure: true, said: dnsThere}
		}
		if len(others) < 5 {
			others = append(others, fmt.Sprintf("%q", shown(r, 100)))
		}
	}
	if len(others) == 0 {
		return dnsAnswer{sure: true, said: fmt.Sprintf(dnsNone, v.TXTName())}
	}
	return dnsAnswer{sure: true, said: fmt.Sprintf(dnsOthers, v.TXTName(), strings.Join(others, ", "))}
}

// shown makes text from outside fit for a page and both databases.
func shown(s string, most int) string {
	return answer.Clip(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?")), most)
}

// CheckDomain asks the DNS now, and does what follows from the answer: a record that
// is there proves the domain, one that is gone begins the loss. The domain's Answer
// says what was found. Faults: Denied, NotFound, Invalid, TooMany, Conflict (proved
// by another organization).
func (d *Door) CheckDomain(ctx context.Context, actor access.Actor, domain string) (Domain, error) {
	v, err := d.Domain(ctx, actor, domain)
	if err != nil {
		return v, err
	}
	if !d.asked.allow(actor.Org) {
		return v, fault.TooMany.Say("The DNS was asked for this organization many times just now. Wait a minute, then check again.")
	}
	v, err = d.settle(ctx, actor, v, d.ask(ctx, v))
	if err == nil && v.State() != domainVerified && strings.HasPrefix(v.Answer, takenWords) {
		err = errTaken(v)
	}
	return v, err
}

// VerifyDomain is CheckDomain for who wants to hear of a missing record as an
// error. Faults: those, and Invalid (the record is not there).
func (d *Door) VerifyDomain(ctx context.Context, actor access.Actor, domain string) (Domain, error) {
	v, err := d.CheckDomain(ctx, actor, domain)
	if err == nil && !v.Verified() {
		err = fault.Invalid.On("domain", "There is no TXT record %s with the value %s. A new record can take an hour to be seen. %s", v.TXTName(), v.TXTValue(), v.AnswerSaid())
	}
	return v, err
}

// settle writes down what the DNS said, and what follows.
func (d *Door) settle(ctx context.Context, actor access.Actor, asked Domain, said dnsAnswer) (v Domain, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if v, err = domainIn(tx, asked.Domain, ""); err != nil {
			return err
		}
		if v.Token != asked.Token {
			return nil // removed and added again meanwhile: the answer is about another record
		}
		v.CheckedAt, v.Answer = tx.Now(), said.said
		switch {
		case said.found:
			err = d.recordThere(tx, &v)
		case said.sure && v.RecheckAt > 0:
			err = d.recordGone(tx, &v)
		case v.RecheckAt > 0:
			v.RecheckAt = tx.Now().Add(jittered(recheckAgain))
		}
		if err != nil {
			return err
		}
		return saveDomain(tx, v)
	})
	return v, err
}

// takenWords begin the answer when somebody else has the domain.
const takenWords = "The record is there, but the domain is verified by another organization on this server"

func errTaken(v Domain) error {
	return fault.Conflict.On("domain", "%s is verified by another organization on this server. It can be verified here once it was removed there, or once its record there has been missing for 14 days.", v.Domain)
}

// recordThere proves the domain, or says that the loss is over.
func (d *Door) recordThere(tx *store.Tx, v *Domain) error {
	was := v.State()
	v.RecheckAt = tx.Now().Add(jittered(recheckEvery))
	if was != domainUnproved && was != domainOff {
		v.LostAt, v.ToldAt = 0, 0
		if was == domainMissing {
			return recordDomain(tx, "domain.back", *v, nil)
		}
		return nil
	}
	err := prove(tx, v)
	if fault.Is(err, fault.Conflict) && fault.Field(err) == "domain" {
		v.Answer = dnsTaken
		if was == domainUnproved {
			v.RecheckAt = 0
		}
		return nil
	}
	if err != nil {
		return err
	}
	action := "domain.verify"
	if was == domainOff {
		action = "domain.back"
	}
	v.LostAt, v.ToldAt, v.OffAt = 0, 0, 0
	return recordDomain(tx, action, *v, nil)
}

// recordGone is one more answer without the record.
func (d *Door) recordGone(tx *store.Tx, v *Domain) error {
	now := tx.Now()
	if v.LostAt == 0 {
		v.LostAt = now
	}
	v.RecheckAt = now.Add(jittered(recheckLost))
	until := v.LostAt.Add(graceOfDomain)
	switch {
	case v.OffAt > 0:
		if now > v.OffAt.Add(30*24*time.Hour) {
			v.RecheckAt = now.Add(jittered(recheckEvery))
		}
		return nil
	case now >= until:
		v.OffAt, v.VerifiedAt, v.ToldAt = now, 0, now
		if err := recordDomain(tx, "domain.off", *v, map[string]any{"why": v.Answer, "missing_since": v.LostAt.RFC3339()}); err != nil {
			return err
		}
		return d.tell(tx, v.notice(web.Say("Sign-in for %s is switched off", v.Domain),
			web.Say("The DNS record that proves %s has been missing for 14 days. From now on addresses in this domain are not sent to your identity provider, and no account is made or linked by them. Whoever is signed in stays so.", v.Domain),
			web.Say("Publish the record again and the domain comes back by itself.")))
	case v.ToldAt == 0 || now >= v.ToldAt.Add(tellEvery):
		v.ToldAt = now
		if err := recordDomain(tx, "domain.lost", *v, map[string]any{"why": v.Answer, "off_at": until.RFC3339()}); err != nil {
			return err
		}
		return d.tell(tx, v.notice(web.Say("The DNS record of %s is missing", v.Domain),
			web.Say("The DNS record that proves that %s is yours was not found. %s", v.Domain, v.AnswerSaid()),
			web.Say("Nothing has changed yet. If the record is not back by %s, addresses in this domain are no longer sent to your identity provider, and no account is made or linked by them.", until)))
	}
	return nil
}

// notice is a mail about the domain, with the record to publish.
func (v Domain) notice(subject web.Said, lines ...web.Said) web.Notice {
	lines = append(lines, web.Say("The record: type TXT, name %s, value %s.", v.TXTName(), v.TXTValue()))
	return web.Notice{Subject: subject, Lines: lines, Button: web.Say("Look at the domain"), Path: "/domains"}
}

// RunDomains asks again for the domains that are due until ctx is done.
func (d *Door) RunDomains(ctx context.Context) error {
	store.Every(ctx, d.opts.Log, 5*time.Minute, nil, "re-check mail domains", d.RecheckDomains)
	return nil
}

// RecheckDomains asks the DNS for each domain that is due, once: of several servers
// the one that moves the date does it.
func (d *Door) RecheckDomains(ctx context.Context) error {
	var due []struct {
		Org store.OrgID `db:"org_id"`
		Domain
	}
	now := store.TimeOf(d.opts.DB.Now())
	if err := d.opts.DB.LookupAll(ctx, &due, "SELECT org_id, id, domain, token, recheck_at FROM domains WHERE recheck_at > 0 AND recheck_at <= ? ORDER BY recheck_at LIMIT ?", now, recheckBatch); err != nil {
		return err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, recheckers)
	errs := make([]error, len(due))
	for i, row := range due {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = d.recheck(ctx, row.Org, row.Domain)
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (d *Door) recheck(ctx context.Context, org store.OrgID, v Domain) error {
	actor := access.Muster(string(org))
	var mine int64
	err := d.opts.DB.Write(ctx, actor, func(tx *store.Tx) (err error) {
		mine, err = tx.Exec("UPDATE domains SET recheck_at = ? WHERE org_id = ? AND id = ? AND recheck_at = ?", tx.Now().Add(recheckLease), tx.Org(), v.ID, v.RecheckAt)
		return err
	})
	if err != nil || mine == 0 {
		return err
	}
	_, err = d.settle(ctx, actor, v, d.ask(ctx, v))
	if fault.Is(err, fault.NotFound) { // removed meanwhile
		return nil
	}
	return err
}

// LostDomains are the domains of all organizations whose record is missing, for the
// operator.
func LostDomains(ctx context.Context, db *store.DB) ([]string, error) {
	var list []string
	err := db.LookupAll(ctx, &list, "SELECT domain FROM domains WHERE recheck_at > 0 AND lost_at > 0 ORDER BY domain LIMIT 1000")
	return slices.Compact(list), err
}
