package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Change is what an admin wants; what is nil stays as it is.
type Change struct {
	Password              *bool
	SSO                   *SSO
	Domains               map[string]SSO // an empty rule takes the domain's away
	Idle, Absolute, Fresh *time.Duration
	Second                *Second
	Version               int64 // of the policy that the admin saw; 0: whatever it is
}

// The bounds of the spans.
const (
	minIdle, maxIdle         = 5 * time.Minute, 30 * 24 * time.Hour
	minAbsolute, maxAbsolute = 15 * time.Minute, 90 * 24 * time.Hour
	minFresh, maxFresh       = time.Minute, 24 * time.Hour
	provedFor                = 24 * time.Hour // how long a test of a connection counts
)

// Effect is what a change does, or would do.
type Effect struct {
	Before, After Policy
	Stricter      bool // somebody must use single sign-on from now on who need not before
	People        int  // who are signed in with a password and will not be
	Sessions      int  // theirs
	Resets        int  // people whose open links for a new password end
	You           bool // the actor is one of those people
	// LockedOut are accounts hidden from directories that are no break-glass accounts:
	// they have no identity at a provider, so they could not sign in at all.
	LockedOut []string
	// Asked is set when people must have a second factor from now on who need not before.
	// Without counts those of them who have none, Names are some.
	Asked   bool
	Without int
	Names   []string
	// Missing is what must be done before the change is possible, a full sentence each.
	Missing []web.Said

	ends, resets []store.UserID
}

// Get reads the policy. Faults: Denied.
func (d *Door) Get(ctx context.Context, actor access.Actor) (p Policy, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		p, err = load(tx)
		return err
	})
	return p, err
}

// Preview tells what a change would do, and does nothing. Faults: Denied, Invalid,
// Conflict on "version" (somebody else was faster).
func (d *Door) Preview(ctx context.Context, actor access.Actor, ch Change) (e Effect, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		p, err := load(tx)
		if err != nil {
			return err
		}
		e, err = d.effect(tx, p, ch)
		return err
	})
	return e, err
}

// Set makes a change: from its commit on nobody signs in by the old policy. Sessions
// with a password end for people who must use single sign-on now, and so do their
// links for a new password. Faults: Denied, Invalid on the field, Conflict on
// "version" (somebody else was faster) or "sso" (what is missing; see Preview).
func (d *Door) Set(ctx context.Context, actor access.Actor, ch Change) (e Effect, err error) {
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		p, err := hold(tx, tx.ForUpdate())
		if err != nil {
			return err
		}
		if e, err = d.effect(tx, p, ch); err != nil {
			return err
		}
		if len(e.Missing) > 0 {
			return fault.Conflict.On("sso", "Single sign-on cannot be required yet. %s", allOf(e.Missing))
		}
		return d.apply(tx, &e)
	})
	return e, err
}

// Relax lets everybody use passwords again: nobody must use single sign-on. Faults: Denied.
func (d *Door) Relax(ctx context.Context, actor access.Actor) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		p, err := hold(tx, tx.ForUpdate())
		if err != nil {
			return err
		}
		e := Effect{Before: p, After: p}
		e.After.Password, e.After.Domains = true, maps.Clone(p.Domains)
		if p.SSO == Required {
			e.After.SSO = Optional
		}
		for domain, rule := range p.Domains {
			if rule == Required {
				e.After.Domains[domain] = Optional
			}
		}
		return d.apply(tx, &e)
	})
}

// effect works a change out.
func (d *Door) effect(tx *store.Tx, p Policy, ch Change) (Effect, error) {
	e := Effect{Before: p, After: p}
	if ch.Version != 0 && ch.Version != p.Version {
		return e, store.ErrSettingsChanged
	}
	if err := d.changed(tx, &e.After, ch); err != nil {
		return e, err
	}
	if err := d.someoneStays(tx, p, e.After); err != nil {
		return e, err
	}
	if err := d.asks(tx, &e); err != nil {
		return e, err
	}
	e.Stricter = stricter(p, e.After)
	if !e.Stricter {
		return e, nil
	}
	named, err := namedIn(tx)
	if err != nil {
		return e, err
	}
	ends := func(id store.UserID, domain string) bool {
		return !named[id] && p.Methods(domain).Password && !e.After.Methods(domain).Password
	}
	holders, err := d.opt.Sessions.WithoutProvider(tx)
	if err != nil {
		return e, err
	}
	for _, h := range holders {
		if who := (person{EmailKey: h.EmailKey, NameKey: h.NameKey}); ends(h.User, who.domain()) {
			e.ends, e.People, e.Sessions = append(e.ends, h.User), e.People+1, e.Sessions+h.Sessions
			e.You = e.You || string(h.User) == tx.Actor().ID
		}
	}
	asked, err := d.opt.Resets(tx)
	if err != nil {
		return e, err
	}
	for _, id := range asked {
		who, err := personIn(tx, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return e, err
		}
		if err == nil && ends(id, who.domain()) {
			e.resets, e.Resets = append(e.resets, id), e.Resets+1
		}
	}
	if e.LockedOut, err = d.lockedOut(tx, e.After); err != nil {
		return e, err
	}
	e.Missing, err = d.missing(tx)
	return e, err
}

func (d *Door) lockedOut(tx *store.Tx, p Policy) (names []string, err error) {
	var list []person
	err = tx.Select(&list, `SELECT u.id, u.display_name, u.email_key, u.user_name_key FROM users u
		WHERE u.org_id = ? AND u.break_glass AND u.status = 'active' AND u.deleted_at = 0
		AND NOT EXISTS (SELECT 1 FROM break_glass b WHERE b.org_id = u.org_id AND b.user_id = u.id) ORDER BY u.id LIMIT 20`, tx.Org())
	for _, who := range list {
		if !p.Methods(who.domain()).Password {
			names = append(names, who.Name)
		}
	}
	return names, err
}

// someoneStays refuses to switch single sign-on off where no admin has a password: all
// would be locked out.
func (d *Door) someoneStays(tx *store.Tx, before, after Policy) error {
	if !after.without(before) {
		return nil
	}
	admins, err := tx.Admins()
	if err != nil {
		return err
	}
	for _, u := range admins {
		has, err := d.opt.Passwords.Has(tx, u.ID)
		if err != nil {
			return err
		}
		who := person{EmailKey: store.Fold(u.Email), NameKey: store.Fold(u.UserName)}
		if has && after.Methods(who.domain()).Password {
			return nil
		}
	}
	return fault.Conflict.On("sso", "No admin could sign in any more: none of them has a password that may be used. Have one set a password first (“Forgot your password?” on the sign-in page).")
}

// without tells whether single sign-on is off for somebody for whom it was not before.
func (p Policy) without(before Policy) bool {
	for _, domain := range append(slices.Sorted(maps.Keys(p.Domains)), append(slices.Sorted(maps.Keys(before.Domains)), "")...) {
		if before.Methods(domain).SSO && !p.Methods(domain).SSO {
			return true
		}
	}
	return false
}

// changed is p after a change that makes sense.
func (d *Door) changed(tx *store.Tx, p *Policy, ch Change) error {
	if ch.Password != nil {
		p.Password = *ch.Password
	}
	if ch.SSO != nil {
		p.SSO = *ch.SSO
	}
	if !slices.Contains([]SSO{Off, Optional, Required}, p.SSO) {
		return fault.Invalid.On("sso", "There is no rule %.40q. Choose off, optional or required.", string(p.SSO))
	}
	if ch.Second != nil {
		p.Second = *ch.Second
	}
	if !slices.Contains([]Second{SecondOff, SecondOptional, SecondAdmins, SecondAll}, p.Second) {
		return fault.Invalid.On("second_factor", "There is no rule %.40q. Choose off, optional, admins or all.", string(p.Second))
	}
	if err := d.changedDomains(tx, p, ch.Domains); err != nil {
		return err
	}
	for _, s := range []struct {
		field    string
		to       *time.Duration
		now      *time.Duration
		min, max time.Duration
		server   bool
	}{
		{"idle", ch.Idle, &p.Idle, minIdle, maxIdle, true},
		{"absolute", ch.Absolute, &p.Absolute, minAbsolute, maxAbsolute, true},
		{"fresh", ch.Fresh, &p.Fresh, minFresh, maxFresh, false},
	} {
		if s.to == nil {
			continue
		}
		if (*s.to < s.min || *s.to > s.max) && !(*s.to == 0 && s.server) {
			return fault.Invalid.On(s.field, "%s is not possible. Choose from %s to %s.", Span(*s.to), Span(s.min), Span(s.max))
		}
		*s.now = *s.to
	}
	if p.Idle != 0 && p.Absolute != 0 && p.Idle > p.Absolute {
		return fault.Invalid.On("idle", "A session that ends after %s cannot be idle for %s. Choose less.", Span(p.Absolute), Span(p.Idle))
	}
	if m := p.Methods(""); !m.Password && !m.SSO {
		return fault.Invalid.On("sso", "With single sign-on and passwords both off nobody could sign in. Switch one of them on.")
	}
	for domain := range p.Domains {
		if m := p.Methods(domain); !m.Password && !m.SSO {
			return fault.Invalid.On("sso", "Nobody of %s could sign in: single sign-on is off there, and passwords are off.", domain)
		}
	}
	return nil
}

// maxDomains with a rule of their own.
const maxDomains = 200

func (d *Door) changedDomains(tx *store.Tx, p *Policy, rules map[string]SSO) error {
	if len(rules) == 0 {
		return nil
	}
	p.Domains = maps.Clone(p.Domains)
	proved, err := d.opt.Domains(tx)
	if err != nil {
		return err
	}
	for name, rule := range rules {
		domain := store.Fold(strings.TrimSpace(name))
		had, ok := p.Domains[domain]
		switch {
		case rule == "":
			delete(p.Domains, domain)
		case !slices.Contains([]SSO{Off, Optional, Required}, rule):
			return fault.Invalid.On("domains", "There is no rule %.40q for %.100s. Choose off, optional or required, or nothing for the organization's rule.", string(rule), domain)
		case ok && had == rule:
		case !slices.Contains(proved, domain):
			return fault.Invalid.On("domains", "%.100q is no domain that this organization has proved. Prove it first (Sign-in, mail domains).", domain)
		default:
			p.Domains[domain] = rule
		}
	}
	if len(p.Domains) > maxDomains {
		return fault.Invalid.On("domains", "At most %d domains can have rules of their own.", maxDomains)
	}
	return nil
}

// stricter tells whether somebody may use a password by a and not by b.
func stricter(a, b Policy) bool {
	domains := map[string]bool{"": true}
	for d := range a.Domains {
		domains[d] = true
	}
	for d := range b.Domains {
		domains[d] = true
	}
	for d := range domains {
		if a.Methods(d).Password && !b.Methods(d).Password {
			return true
		}
	}
	return false
}

// allOf is everything that is missing.
func allOf(list []web.Said) web.Said {
	all := list[0]
	for _, more := range list[1:] {
		all = web.Say("%s %s", all, more)
	}
	return all
}

// missing is what must be there before anybody is made to use single sign-on: proof
// that it works, and a way in for the day when it does not.
func (d *Door) missing(tx *store.Tx) (list []web.Said, err error) {
	connections, err := d.opt.Connections(tx)
	if err != nil {
		return nil, err
	}
	active, proved := 0, false
	for _, c := range connections {
		if c.Active {
			active++
			proved = proved || c.Proved > tx.Now().Add(-provedFor)
		}
	}
	switch {
	case active == 0:
		list = append(list, web.Say("No connection is active: make one under Sign-in, test it and activate it."))
	case !proved:
		list = append(list, web.Say("No active connection has passed a test sign-in within the last 24 hours: open the connection under Sign-in and run its test sign-in, or sign in over it as an admin."))
	}
	accounts, err := d.Accounts(tx)
	if err != nil {
		return nil, err
	}
	if n := usable(accounts); n < wanted {
		s := web.Say("%d of %d break-glass accounts can be used: name admins under Security who sign in with a password and a recovery code when single sign-on fails.", n, wanted)
		for _, a := range accounts {
			if a.Wrong != "" {
				s = web.Say("%s %s: %s", s, a.Name, web.Say(a.Wrong))
			}
		}
		list = append(list, s)
	}
	return list, nil
}

// apply writes a change that may be made.
func (d *Door) apply(tx *store.Tx, e *Effect) error {
	before, after := e.Before.detail(), e.After.detail()
	for name := range before {
		if fmt.Sprint(before[name]) == fmt.Sprint(after[name]) {
			delete(before, name)
			delete(after, name)
		}
	}
	if len(after) == 0 {
		return nil
	}
	domains, err := json.Marshal(e.After.Domains)
	if err != nil {
		return err
	}
	p := &e.After
	p.Version++
	if _, err := tx.Exec(`UPDATE policies SET password = ?, sso = ?, domains = {{as_json}}, idle = ?, absolute = ?, fresh = ?, second_factor = ?, version = ?, updated_at = ? WHERE org_id = ?`,
		p.Password, p.SSO, string(domains), p.Idle.Microseconds(), p.Absolute.Microseconds(), p.Fresh.Microseconds(), string(p.Second), p.Version, tx.Now(), tx.Org()); err != nil {
		return err
	}
	if len(e.ends) > 0 {
		if err := d.opt.Sessions.EndWithoutProvider(tx, e.ends); err != nil {
			return err
		}
	}
	if len(e.resets) > 0 {
		if err := d.opt.EndResets(tx, e.resets); err != nil {
			return err
		}
	}
	act := store.Activity{Action: "policy.update", TargetKind: "org", TargetID: string(tx.Org()), TargetName: "sign-in policy",
		Detail: map[string]any{"before": before, "after": after}}
	if e.Stricter {
		act.Detail["ended"] = map[string]any{"people": e.People, "sessions": e.Sessions, "links": e.Resets}
	}
	if err := tx.Record(act); err != nil {
		return err
	}
	return d.announce(tx, e)
}

// announce tells all admins when single sign-on begins or ceases to be required.
func (d *Door) announce(tx *store.Tx, e *Effect) error {
	was, is := e.Before.Enforced(), e.After.Enforced()
	if was == is {
		return nil
	}
	n := web.Notice{Subject: web.Say("Single sign-on is required now"), Button: web.Say("Look at the policy"), Path: "/security",
		Lines: []web.Said{web.Say("%s made single sign-on required. Whoever it means signs in over your identity provider; passwords work for break-glass accounts only, with a recovery code.", web.Who(tx.Actor().Name))}}
	if was {
		n.Subject = web.Say("Single sign-on is no longer required")
		n.Lines = []web.Said{web.Say("%s switched off that single sign-on is required: people can sign in with passwords again.", web.Who(tx.Actor().Name)),
			web.Say("If you did not expect this, switch it on again and find out why.")}
	}
	return d.tell(tx, n)
}

// detail is a policy as the activity log shows it.
func (p Policy) detail() map[string]any {
	domains := make([]string, 0, len(p.Domains))
	for _, d := range slices.Sorted(maps.Keys(p.Domains)) {
		domains = append(domains, d+": "+string(p.Domains[d]))
	}
	return map[string]any{"password": p.Password, "sso": string(p.SSO), "domains": strings.Join(domains, ", "),
		"idle": Span(p.Idle).String(), "absolute": Span(p.Absolute).String(), "fresh": Span(p.Fresh).String(), "second_factor": string(p.Second)}
}

// Span is a time to wait in words.
func Span(d time.Duration) web.Said {
	switch {
	case d == 0:
		return web.Say("as the server is set")
	case d%(24*time.Hour) == 0:
		return web.SayN(int(d/(24*time.Hour)), "1 day", "%d days")
	case d%time.Hour == 0:
		return web.SayN(int(d/time.Hour), "1 hour", "%d hours")
	case d%time.Minute == 0:
		return web.SayN(int(d/time.Minute), "1 minute", "%d minutes")
	}
	return web.Say("%s", d.String())
}
