package sso

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// A test sign-in goes the way of a real one to the provider and back, over any
// connection, and changes nothing: no account, no identity, no session. What it
// showed (report.go) is kept for some days. It stands in the request's context as
// a *trial, so that the handlers of sign-ins need not know of it: where they would
// start a session (finish) or refuse (refused), the test ends instead. The answer
// is used up like any other, so it does not sign anybody in afterwards.

// TestID names a test sign-in.
type TestID = store.ID[TestSignIn]

// TestSignIn is one test sign-in, in the history of its connection.
type TestSignIn struct {
	ID           TestID       `db:"id"`
	ConnectionID ConnectionID `db:"connection_id"`
	By           string       `db:"actor_name"`
	ActorID      string       `db:"actor_id"`
	Outcome      string       `db:"outcome"`      // waiting, passed, failed
	FailedCheck  string       `db:"failed_check"` // why it failed
	StartedAt    store.Time   `db:"started_at"`
	EndedAt      store.Time   `db:"ended_at"`
	ExpiresAt    store.Time   `db:"expires_at"` // of the report
}

const (
	testWaiting = "waiting"
	testPassed  = "passed"
	testFailed  = "failed"

	reportFor   = 7 * 24 * time.Hour  // what a test showed
	testFor     = 90 * 24 * time.Hour // that there was one
	testCounts  = 24 * time.Hour      // for an activation
	testHistory = 50                  // shown of a connection
)

// trial is a test on its way.
type trial struct {
	id      TestID
	ticket  ticket // once the answer is there
	idToken string // OIDC: as the provider sent it
}

type trialKey struct{}

func trialOf(r *http.Request) *trial {
	t, _ := r.Context().Value(trialKey{}).(*trial)
	return t
}

func withTrial(r *http.Request, t *trial) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), trialKey{}, t))
}

// ofPurpose marks the request of an answer when what was pending is a test.
func ofPurpose(r *http.Request, t ticket, p pending) *http.Request {
	if p.Purpose != purposeTest {
		return r
	}
	return withTrial(r, &trial{id: TestID(p.ReturnTo), ticket: t})
}

// keep remembers an ID token for the report. It does nothing in a real sign-in.
func (t *trial) keep(idToken string) {
	if t != nil {
		t.idToken = idToken
	}
}

// backPlace names the place of the sealed way back, reportPlace of the report.
func backPlace(id TestID) string   { return "sso-test/" + string(id) + "/back" }
func reportPlace(id TestID) string { return "sso-test/" + string(id) + "/report" }

// startTest sends the browser to the provider. actor is who asked and has been
// checked; back is the page of the test. Faults: Conflict (nothing is known of the
// provider yet), TooMany.
func (d *Door) startTest(w http.ResponseWriter, r *http.Request, actor access.Actor, c Connection, back func(TestID) string) error {
	if c.Issuer == "" {
		return fault.Conflict.Say("%s knows nothing of its identity provider yet. Enter what the provider gives first.", c.Name)
	}
	if !d.starts.allow(actor.IP) {
		return fault.TooMany.Say("Too many sign-ins were started from your network. Wait a minute, then start again.")
	}
	id := store.NewID[TestSignIn]()
	sealed, err := d.opts.Key.Seal(backPlace(id), []byte(back(id)))
	if err != nil {
		return err
	}
	settings, err := c.tested()
	if err != nil {
		return err
	}
	err = d.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		return insertTest(tx, testRow{TestSignIn: TestSignIn{ID: id, ConnectionID: c.ID, By: orElse(actor.Name, string(actor.Kind)), ActorID: actor.ID, Outcome: testWaiting, StartedAt: tx.Now(),
			ExpiresAt: tx.Now().Add(reportFor)}, Settings: settings, ActorKind: string(actor.Kind), Back: sealed})
	})
	if err != nil {
		return err
	}
	r = withTrial(r, &trial{id: id})
	if c.Protocol == protocolSAML {
		return d.samlLogin(w, r, c)
	}
	return d.oidcLogin(w, r, c)
}

// tested is a hash of the settings that a test speaks for: another issuer or
// another preset must be tested anew.
func (c Connection) tested() (string, error) {
	config, err := c.stored()
	if err != nil {
		return "", err
	}
	secret := sha256.Sum256(c.secret)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s\x00%x", c.Protocol, c.Vendor, c.Issuer, config, secret))
	return hex.EncodeToString(sum[:]), nil
}

// TestPassed is when a test of the connection as it is set now last passed; 0: never.
// Faults: NotFound.
func (d *Door) TestPassed(tx *store.Tx, id ConnectionID) (store.Time, error) {
	c, err := connectionIn(tx, id)
	if err != nil {
		return 0, err
	}
	settings, err := c.tested()
	if err != nil {
		return 0, err
	}
	return lastPassed(tx, id, settings)
}

// endTest ends a test: in when the provider's answer was verified, else err says
// what was wrong with it. It answers with the way to the page of the test.
func (d *Door) endTest(w http.ResponseWriter, r *http.Request, c Connection, run *trial, in *answered, err error, trace answer.Trace) error {
	rep := report{Protocol: c.Protocol, Trace: trace}
	if in != nil {
		rep.Trace, rep.Certificate = in.trace, in.certificate
		rep.Person = personOf(in.arrival)
		// Who started the test has been allowed to; the preview looks at everybody.
		out, err := d.Preview(r.Context(), access.Muster(string(c.OrgID)), c.ID, in.arrival)
		if err != nil {
			return err
		}
		rep.Account = accountOf(out)
	}
	rep.Answer = d.readable(r, c, run, rep.Trace)
	if c.Protocol == protocolSAML && !mine(rep.Trace) {
		rep.Trace = withoutSubject(rep.Trace)
	}
	var back []byte
	work := func(tx *store.Tx) error {
		row, missing := testIn(tx, run.id)
		if missing != nil {
			return missing
		}
		back = row.Back
		if row.Outcome != testWaiting {
			return fault.Expired.Say("This test has ended already. Start another one.")
		}
		if run.ticket.handle != "" {
			if _, used := take(tx, c, run.ticket); used != nil {
				return used
			}
		}
		failure := err
		if in != nil {
			fresh, broken := remember(tx, c, in.id, in.until)
			if broken != nil {
				return broken
			}
			if !fresh {
				failure = refuse(http.StatusBadRequest, "replay", web.SaidBy(errNotPending), web.Say("The identity provider sent the same answer twice, or somebody copied one."))
			} else if no := rep.Account.Refused; no != nil {
				failure = no.said
			}
		}
		return d.concludeTest(tx, c, row, &rep, failure)
	}
	actor, broken := d.testActor(r, c, run.id)
	if broken == nil {
		broken = d.opts.DB.Write(r.Context(), actor, work)
	}
	if broken != nil {
		return d.refused(w, withTrial(r, nil), c, nil, broken, trace)
	}
	path, broken := d.opts.Key.Open(backPlace(run.id), back)
	if broken != nil {
		return broken
	}
	if run.ticket.handle != "" {
		http.SetCookie(w, d.cookie(run.ticket.handle, "", c.Protocol == protocolSAML))
	}
	http.Redirect(w, r, web.Local(string(path)), http.StatusSeeOther)
	return nil
}

// testActor is who started a test, for the activity of its end.
func (d *Door) testActor(r *http.Request, c Connection, id TestID) (actor access.Actor, err error) {
	caller := web.Actor(r)
	err = d.opts.DB.Read(r.Context(), actorOf(c, caller), func(tx *store.Tx) error {
		row, err := testIn(tx, id)
		actor = access.Actor{Kind: access.Kind(row.ActorKind), Org: string(c.OrgID), ID: row.ActorID, Name: row.By, IP: caller.IP, Request: caller.Request}
		return err
	})
	return actor, err
}

// concludeTest writes what a test showed, and its activity.
func (d *Door) concludeTest(tx *store.Tx, c Connection, row testRow, rep *report, failure error) error {
	row.Outcome, row.EndedAt = testPassed, tx.Now()
	detail := map[string]any{"method": c.Protocol}
	if failure != nil {
		out := refusalOf(failure, rep.Trace)
		row.Outcome, row.FailedCheck = testFailed, out.check
		if first, failed := rep.Trace.Failed(); failed && first.Name == out.check {
			if s := remedyOf(c.Vendor, out.check, true); s != "" {
				out.hint = web.Say(s)
			}
		}
		rep.Check, rep.Sentence, rep.Hint = out.check, out.sentence, out.hint
		out.trace = rep.Trace
		out.explain(detail)
	}
	plain, err := json.Marshal(rep)
	if err != nil {
		return err
	}
	if row.Report, err = d.opts.Key.Seal(reportPlace(row.ID), plain); err != nil {
		return err
	}
	if err := updateTest(tx, row); err != nil {
		return err
	}
	detail["outcome"] = row.Outcome
	return tx.Record(store.Activity{Action: "connection.test", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name, Detail: detail})
}

// Test is one test of a connection with its report, which is empty when it is too
// old. The caller has checked who asks. Faults: NotFound.
func (d *Door) test(ctx context.Context, actor access.Actor, c Connection, id TestID) (t TestSignIn, rep report, err error) {
	var row testRow
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		row, err = testIn(tx, id)
		return err
	})
	if err == nil && row.ConnectionID != c.ID {
		err = fault.NotFound.Say("There is no such test.")
	}
	if err != nil || len(row.Report) == 0 {
		return row.TestSignIn, rep, err
	}
	plain, err := d.opts.Key.Open(reportPlace(id), row.Report)
	if err != nil {
		return row.TestSignIn, rep, err
	}
	return row.TestSignIn, rep, json.Unmarshal(plain, &rep)
}
