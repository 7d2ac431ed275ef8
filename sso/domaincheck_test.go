package sso

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// dns answers as a test says.
type dns struct {
	mu      sync.Mutex
	records map[string][]string
	err     error // in place of all answers
	asked   int
}

func (n *dns) lookup(_ context.Context, name string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if n.err != nil {
		return nil, n.err
	}
	if r := n.records[name]; r != nil {
		return r, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (n *dns) publish(v Domain) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records[v.TXTName()] = append(n.records[v.TXTName()], v.TXTValue())
}

func (n *dns) withdraw(v Domain) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.records[v.TXTName()] = slices.DeleteFunc(n.records[v.TXTName()], func(r string) bool { return r == v.TXTValue() })
}

// registrar is a door whose DNS and mail a test sees.
type registrar struct {
	*place
	*Door
	dns   *dns
	mails *[]string // subjects
	clock *storetest.Clock
}

func newRegistrar(t *testing.T, db *store.DB, clock *storetest.Clock, slug string, n *dns) registrar {
	t.Helper()
	var mu sync.Mutex
	mails := []string{}
	r := registrar{place: somewhere(t, db, slug, "saml", "jit"), dns: n, mails: &mails, clock: clock}
	r.Door = New(Options{DB: db, PublicURL: "http://muster.test", LookupTXT: n.lookup, Tell: func(tx *store.Tx, n web.Notice) error {
		tx.AfterCommit(func() { mu.Lock(); mails = append(mails, n.Subject.String()); mu.Unlock() })
		return nil
	}})
	return r
}

func (r registrar) proved(name string) Domain {
	r.t.Helper()
	v, err := r.AddDomain(r.t.Context(), r.admin, NewDomain{Domain: name})
	if err != nil {
		r.t.Fatal(err)
	}
	r.dns.publish(v)
	if v, err = r.VerifyDomain(r.t.Context(), r.admin, name); err != nil || v.State() != domainVerified {
		r.t.Fatalf("proved %+v, %v", v, err)
	}
	return v
}

// pass lets time go by and whatever is due happen, every hour.
func (r registrar) pass(d time.Duration) {
	r.t.Helper()
	for ; d > 0; d -= time.Hour {
		r.clock.Pass(min(d, time.Hour))
		if err := r.RecheckDomains(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r registrar) now(name string) Domain {
	r.t.Helper()
	v, err := r.Domain(r.t.Context(), r.admin, name)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r registrar) did(actions ...string) (n int) {
	r.t.Helper()
	err := r.db.Read(r.t.Context(), r.admin, func(tx *store.Tx) error {
		list, err := tx.Activities(store.ActivityQuery{Limit: 200})
		for _, a := range list {
			if oneOf(a.Action, actions...) {
				n++
			}
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

const day = 24 * time.Hour

// A record that is gone is loud at once, has its effect after 14 days, and is
// forgiven when it is back.
func TestLosingADomainIsSlowAndLoud(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		r := newRegistrar(t, db, clock, "acme", &dns{records: map[string][]string{}})
		v := r.proved("acme.example")
		signInAs := func(who string) error {
			_, err := r.come(answer.Profile{Subject: who, Email: who + "@acme.example"})
			return err
		}
		asked := r.dns.asked
		r.pass(6 * day)
		if r.dns.asked != asked {
			t.Errorf("asked %d times within 6 days, want not at all", r.dns.asked-asked)
		}
		r.pass(2 * day)
		if n := r.dns.asked - asked; n != 1 {
			t.Errorf("asked %d times in the first 8 days, want once", n)
		}

		// Name servers that do not answer are no loss, however long.
		r.dns.err = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
		r.pass(30 * day)
		if now := r.now("acme.example"); now.State() != domainVerified || !strings.Contains(now.Answer, "did not answer") || r.did("domain.lost") != 0 {
			t.Errorf("after 30 days without an answer: %s, %q, %d warnings", now.State(), now.Answer, r.did("domain.lost"))
		}
		r.dns.err = nil

		r.dns.withdraw(v)
		r.pass(8 * day)
		lost := r.now("acme.example")
		if lost.State() != domainMissing || !lost.Verified() || r.did("domain.lost") == 0 || !slices.Contains(*r.mails, "The DNS record of acme.example is missing") {
			t.Fatalf("the record is gone: %s, %d rows, mails %q", lost.State(), r.did("domain.lost"), *r.mails)
		}
		if list, err := r.Discover(t.Context(), "", "ada@acme.example"); err != nil || len(list) != 1 {
			t.Errorf("in the 14 days the domain leads to %v, %v; want the connection", list, err)
		}
		if err := signInAs("early"); err != nil {
			t.Errorf("in the 14 days: %v", err)
		}
		r.pass(lost.LostAt.Add(graceOfDomain).Time().Sub(clock.Now()) + day)
		off := r.now("acme.example")
		if off.State() != domainOff || off.Verified() || r.did("domain.lost") < 4 || r.did("domain.off") != 1 || (*r.mails)[len(*r.mails)-1] != "Sign-in for acme.example is switched off" {
			t.Fatalf("after 14 days: %s, %d warnings, %d ends, mails %q", off.State(), r.did("domain.lost"), r.did("domain.off"), *r.mails)
		}
		if list, err := r.Discover(t.Context(), "", "ada@acme.example"); err != nil || len(list) != 0 {
			t.Errorf("after 14 days the domain leads to %v, %v; want nowhere", list, err)
		}
		var turned *refusal
		if err := signInAs("late"); !errors.As(err, &turned) || turned.check != "domain" {
			t.Errorf("an account made in a domain that is off: %v", err)
		}
		if err := signInAs("early"); err != nil {
			t.Errorf("who was bound before: %v", err)
		}

		r.dns.publish(v)
		r.pass(day)
		if now := r.now("acme.example"); now.State() != domainVerified || r.did("domain.back") != 1 {
			t.Errorf("with the record again: %s, %d rows", now.State(), r.did("domain.back"))
		}
		if err := signInAs("late"); err != nil {
			t.Errorf("with the record again: %v", err)
		}
	})
}

// A missing record that comes back in time leaves no trace but the log's.
func TestARecordThatComesBack(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		r := newRegistrar(t, db, clock, "acme", &dns{records: map[string][]string{}})
		v := r.proved("acme.example")
		r.dns.withdraw(v)
		got, err := r.CheckDomain(t.Context(), r.admin, "acme.example")
		if err != nil || got.State() != domainMissing || len(*r.mails) != 1 {
			t.Fatalf("checked by hand: %s, %v, mails %q", got.State(), err, *r.mails)
		}
		if _, err := r.CheckDomain(t.Context(), r.admin, "acme.example"); err != nil || len(*r.mails) != 1 {
			t.Errorf("checked again: %v, mails %q; want no second one at once", err, *r.mails)
		}
		r.dns.publish(v)
		r.pass(8 * time.Hour)
		if now := r.now("acme.example"); now.State() != domainVerified || now.LostAt != 0 || r.did("domain.back") != 1 {
			t.Errorf("back: %s since %d, %d rows", now.State(), now.LostAt, r.did("domain.back"))
		}
	})
}

// What an operator has said is not looked for in the DNS, until the record is there.
func TestAnOperatorsWordNeedsNoRecord(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		r := newRegistrar(t, db, clock, "acme", &dns{records: map[string][]string{}})
		v, err := r.AddDomain(t.Context(), access.Muster(string(r.org)), NewDomain{Domain: "acme.example", Verified: true})
		if err != nil {
			t.Fatal(err)
		}
		r.pass(30 * day)
		if got, err := r.CheckDomain(t.Context(), r.admin, "acme.example"); err != nil || got.State() != domainVerified || r.dns.asked != 1 || len(*r.mails) != 0 {
			t.Errorf("without a record: %s, %v, asked %d times, mails %q", got.State(), err, r.dns.asked, *r.mails)
		}
		r.dns.publish(v)
		if got, err := r.CheckDomain(t.Context(), r.admin, "acme.example"); err != nil || got.RecheckAt == 0 {
			t.Errorf("with the record: %+v, %v; want re-checks from now on", got, err)
		}
	})
}

// Another organization gets a domain when it is off here, and not before; then the
// record's return does not bring it back.
func TestTakingADomainOver(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		n := &dns{records: map[string][]string{}}
		a, b := newRegistrar(t, db, clock, "acme", n), newRegistrar(t, db, clock, "beta", n)
		mine := a.proved("acme.example")
		theirs, err := b.AddDomain(t.Context(), b.admin, NewDomain{Domain: "acme.example"})
		if err != nil {
			t.Fatal(err)
		}
		n.publish(theirs)
		try := func(when string, want bool) {
			t.Helper()
			v, err := b.VerifyDomain(t.Context(), b.admin, "acme.example")
			if (err == nil && v.Verified()) != want || !want && !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: %s, %v; want taken over %v", when, v.State(), err, want)
			}
			if v := b.now("acme.example"); v.CheckedAt == 0 || v.Answer == "" {
				t.Errorf("%s: nothing is on record of the check: %+v", when, v)
			}
		}
		try("while the record is there", false)
		n.withdraw(mine)
		a.pass(8 * day)
		if a.now("acme.example").State() != domainMissing {
			t.Fatal("not missing")
		}
		try("in the 14 days", false)
		a.pass(15 * day)
		if a.now("acme.example").State() != domainOff {
			t.Fatal("not off")
		}
		try("when it is off", true)
		if list, err := b.Discover(t.Context(), "", "ada@acme.example"); err != nil || len(list) != 1 || list[0].ID != b.conn.ID {
			t.Errorf("leads to %v, %v; want the new organization's connection", list, err)
		}
		n.publish(mine)
		a.pass(8 * day)
		if v := a.now("acme.example"); v.State() != domainOff || !strings.HasPrefix(v.Answer, takenWords) {
			t.Errorf("the record is back where the domain was taken: %s, %q", v.State(), v.Answer)
		}
		if _, err := b.RemoveDomain(t.Context(), b.admin, "acme.example"); err != nil {
			t.Fatal(err)
		}
		a.pass(8 * day)
		if v := a.now("acme.example"); v.State() != domainVerified {
			t.Errorf("after the other one has given it up: %s", v.State())
		}
	})
}

// Two organizations that prove a domain at the same moment: one has it.
func TestOneOfTwoProvesADomain(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		n := &dns{records: map[string][]string{}}
		doors := []registrar{newRegistrar(t, db, clock, "acme", n), newRegistrar(t, db, clock, "beta", n), newRegistrar(t, db, clock, "gamma", n)}
		for round := range 5 {
			name := string(rune('a'+round)) + ".example"
			for _, r := range doors {
				v, err := r.AddDomain(t.Context(), r.admin, NewDomain{Domain: name})
				if err != nil {
					t.Fatal(err)
				}
				n.publish(v)
			}
			errs := make([]error, len(doors))
			var wg sync.WaitGroup
			for i, r := range doors {
				wg.Go(func() { _, errs[i] = r.VerifyDomain(t.Context(), r.admin, name) })
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !fault.Is(err, fault.Conflict) {
					t.Errorf("%s: %v, want a conflict", name, err)
				}
			}
			if won != 1 {
				t.Errorf("%s: %d organizations have it (%v)", name, won, errs)
			}
		}
	})
}

// Two servers on one database ask once for what is due.
func TestTwoServersAskOnce(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		r := newRegistrar(t, db, clock, "acme", &dns{records: map[string][]string{}})
		for _, name := range []string{"a.example", "b.example", "c.example"} {
			r.proved(name)
		}
		other := New(Options{DB: db, PublicURL: "http://muster.test", LookupTXT: r.dns.lookup})
		clock.Pass(8 * day)
		before := r.dns.asked
		var wg sync.WaitGroup
		for _, d := range []*Door{r.Door, other, r.Door, other} {
			wg.Go(func() {
				if err := d.RecheckDomains(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := r.dns.asked - before; n != 3 {
			t.Errorf("asked %d times for 3 domains", n)
		}
	})
}

func TestDomainsAreAssignedAndRemoved(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		r := newRegistrar(t, db, clock, "acme", &dns{records: map[string][]string{}})
		stranger := newRegistrar(t, db, clock, "other", r.dns)
		r.proved("acme.example")
		second, third := r.connection("second", "saml", "jit"), r.connection("third", "oidc", "jit")
		names := func() (list []string) {
			found, err := r.Discover(t.Context(), "", "ada@acme.example")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range found {
				list = append(list, c.Name)
			}
			return list
		}
		if got := names(); !slices.Equal(got, []string{"idp", "second", "third"}) {
			t.Errorf("unassigned: %q", got)
		}
		if _, err := r.AssignDomain(t.Context(), r.admin, "acme.example", "", []ConnectionID{third.ID, second.ID, third.ID}); err != nil {
			t.Fatal(err)
		}
		if got := names(); !slices.Equal(got, []string{"second", "third"}) {
			t.Errorf("assigned to two: %q", got)
		}
		if _, err := r.AssignDomain(t.Context(), r.admin, "acme.example", "", []ConnectionID{stranger.conn.ID}); !fault.Is(err, fault.NotFound) || len(names()) != 2 {
			t.Errorf("assigned to another organization's connection: %v, %q", err, names())
		}
		if _, err := stranger.RemoveDomain(t.Context(), stranger.admin, "acme.example"); !fault.Is(err, fault.NotFound) {
			t.Errorf("removed by another organization: %v", err)
		}
		if _, err := r.RemoveDomain(t.Context(), r.admin, "Acme.Example."); err != nil || len(names()) != 0 {
			t.Errorf("removed: %v, %q", err, names())
		}
		if _, err := r.Domain(t.Context(), r.admin, "acme.example"); !fault.Is(err, fault.NotFound) {
			t.Errorf("after it was removed: %v", err)
		}
		viewer := access.Actor{Kind: access.Person, Org: string(r.org), ID: "v", Roles: []string{access.Viewer}}
		for name, err := range map[string]error{
			"check":  second2(r.CheckDomain(t.Context(), viewer, "acme.example")),
			"assign": second2(r.AssignDomain(t.Context(), viewer, "acme.example", "", nil)),
			"remove": second2(r.RemoveDomain(t.Context(), viewer, "acme.example")),
		} {
			if !fault.Is(err, fault.Denied) {
				t.Errorf("a viewer may %s: %v", name, err)
			}
		}
	})
}

func second2[T any](_ T, err error) error { return err }

// What the DNS says is shown, and hurts nobody.
func TestAnswersOfTheDNSAreShown(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	r := newRegistrar(t, db, nil, "acme", &dns{records: map[string][]string{}})
	v, err := r.AddDomain(t.Context(), r.admin, NewDomain{Domain: "acme.example"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		records []string
		err     error
		want    string
		proved  bool
	}{
		"nothing":       {nil, nil, "no TXT record", false},
		"others":        {[]string{"v=spf1 -all", "muster-domain=somebody-else"}, nil, `"v=spf1 -all", "muster-domain=somebody-else"`, false},
		"not text":      {[]string{"\x00\xff\x1b[31m<script>" + strings.Repeat("x", 5000)}, nil, "<script>xxx", false},
		"very many":     {slices.Repeat([]string{"x"}, 500), nil, `"x", "x", "x", "x", "x".`, false},
		"timeout":       {nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}, "did not answer: lookup", false},
		"unknown error": {nil, errors.New("strange\nthing"), "strange thing", false},
		"in quotes":     {[]string{`"` + v.TXTValue() + `"`}, nil, "The record is there.", true},
	} {
		r.dns.mu.Lock()
		r.dns.records[v.TXTName()], r.dns.err = c.records, c.err
		r.dns.mu.Unlock()
		got := r.ask(t.Context(), v)
		if !strings.Contains(got.said, c.want) || got.found != c.proved || len(got.said) > 1000 || !cleanText(got.said) {
			t.Errorf("%s: %+v, want %q", name, got, c.want)
		}
	}
}

func TestPublicMailDomains(t *testing.T) {
	t.Parallel()
	for _, name := range publicMailDomains() {
		if got, err := domainName(name); err == nil {
			t.Errorf("%s can be claimed as %s", name, got)
		}
	}
	for name, public := range map[string]bool{
		"GMAIL.com.": true, "x.gmail.com": true, "vip.163.com": true, "yahoo.com.br": true, "hotmail.co.uk": true, "ｇmail.com": true,
		"notgmail.com": false, "gmail.acme.example": false, "yahoo.acme.example": false, "acme.co.uk": false, "mail.acme.example": false,
	} {
		if _, err := domainName(name); (err != nil) != public {
			t.Errorf("domainName(%q): %v, want public %v", name, err, public)
		}
	}
	if n := len(publicMailDomains()); n < 200 || n > 2000 {
		t.Errorf("%d names", n)
	}
}
