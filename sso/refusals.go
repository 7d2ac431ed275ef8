package sso

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// A refusal costs whoever draws it out nothing, so not every one may become a row: a
// stranger who posts rubbish to a connection would fill the table, and hide in it
// the one refusal that the admin looks for. Buckets keep that apart:
//
//	people whom the provider vouched for    by connection; nobody else can empty it
//	everybody else                          by address, and by connection
//	wrong passwords                         by address, and all together
//
// What does not fit is counted, and has one row for every five minutes. Its reference
// stands in the server's log.

// budget decides which refusals are written down.
type budget struct {
	vouched   *quota // by connection
	strangers *quota // by address
	unknown   *quota // by connection
	passwords *quota // one

	mu      sync.Mutex // guards left
	left    map[ConnectionID]*leftOut
	touched store.Time // when left began
}

func newBudget(now func() time.Time) *budget {
	return &budget{vouched: newQuota(now, 2, 300), strangers: newQuota(now, 0.2, 100), unknown: newQuota(now, 0.33, 300), passwords: newQuota(now, 2, 300),
		left: map[ConnectionID]*leftOut{}, touched: store.TimeOf(now())}
}

// leftOut are the refusals of one connection without a row.
type leftOut struct {
	c Connection // zero: of no connection
	n int
}

// takes tells whether a refusal gets a row, and counts it when not.
func (b *budget) takes(c Connection, ip string, vouched bool) bool {
	if vouched && b.vouched.allow(string(c.ID)) || !vouched && b.strangers.allow(ip) && b.unknown.allow(string(c.ID)) {
		return true
	}
	b.leaveOut(c)
	return false
}

// MayRecordPassword tells whether one more refused password from this address gets a
// row, and counts it when not. It does not ask whose, so that an answer says nothing.
func (d *Door) MayRecordPassword(ip string) bool {
	b := d.recorded
	if b.strangers.allow(ip) && b.passwords.allow("") {
		return true
	}
	b.leaveOut(Connection{})
	return false
}

func (b *budget) leaveOut(c Connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left[c.ID] == nil {
		b.left[c.ID] = &leftOut{c: c}
	}
	b.left[c.ID].n++
}

// TellLeftOut writes down how many refusals had no row of their own.
func (d *Door) TellLeftOut(ctx context.Context) error {
	b := d.recorded
	b.mu.Lock()
	left, since := b.left, b.touched
	b.left, b.touched = map[ConnectionID]*leftOut{}, store.TimeOf(d.opts.DB.Now())
	b.mu.Unlock()
	var errs []error
	for _, l := range left {
		actor := access.Actor{Org: string(store.NoOrg)}
		why := fmt.Sprintf("%d more sign-ins were refused since %s than are written down one by one.", l.n, since.RFC3339())
		if l.n == 1 {
			why = fmt.Sprintf("One more sign-in was refused since %s than are written down one by one.", since.RFC3339())
		}
		row := store.Activity{Action: "user.signin.refused", TargetKind: "connection", TargetID: string(l.c.ID), TargetName: l.c.Name, Detail: map[string]any{
			"check": failedFlood, "repeats": l.n, "why": why}}
		if l.c.ID != "" {
			actor = actorOf(l.c, access.Actor{})
			row.Detail["connection"], row.Detail["method"] = l.c.ID, l.c.Protocol
		}
		errs = append(errs, d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error { return tx.Record(row) }))
	}
	return errors.Join(errs...)
}

// nowhere refuses a sign-in at an address that leads to no connection. Nobody's admin
// can look it up; the operator can.
func (d *Door) nowhere(w http.ResponseWriter, r *http.Request, id string) error {
	page := refusedPage{Status: http.StatusNotFound, Sentence: answers[fault.NotFound].plain, Reference: secret.NewReference()}
	actor := web.Actor(r)
	if d.recorded.takes(Connection{}, actor.IP, false) {
		actor = access.Actor{Org: string(store.NoOrg), IP: actor.IP, Request: actor.Request}
		row := store.Activity{Action: "user.signin.refused", TargetKind: "connection", TargetName: shown(id, 64), Detail: map[string]any{
			"reference": page.Reference, "check": failedConnection, "why": page.Sentence.String(), "said": map[string]web.Said{"why": page.Sentence}, "expected": "the id of a connection", "got": shown(id, 64)}}
		if err := d.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error { return tx.Record(row) }); err != nil {
			return fmt.Errorf("record refused sign-in %s: %w", page.Reference, err)
		}
	}
	return pages.Write(w, r, page.Status, "refused", page)
}

// signsIn tells that a person waits at this address, and not a program.
func signsIn(path string) bool {
	for _, end := range []string{"/login", "/acs", "/callback"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// came is the detail of a sign-in that worked: over what, proved by what, and how the
// account, its roles and teams came about.
func came(c Connection, id session.ID, in answered, out Outcome) map[string]any {
	detail := map[string]any{"method": c.Protocol, "connection": c.ID, "session": id, "account": out.brief(), "subject": answer.Clip(in.arrival.Subject, answer.GotLimit),
		"subject_kind": in.arrival.SubjectKind, "email": answer.Clip(in.arrival.Email, answer.GotLimit)}
	if in.certificate != "" {
		detail["certificate"] = in.certificate
	}
	if !in.arrival.AuthnInstant.IsZero() {
		detail["authenticated_at"] = store.TimeOf(in.arrival.AuthnInstant).RFC3339()
	}
	for _, check := range in.trace {
		if key, ok := strings.CutPrefix(check.Got, "key id "); ok && check.Name == "signature" {
			detail["key"] = key
		}
	}
	return detail
}
