package sso

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// refusal is a sign-in that was turned down: little for the person, all for the
// administrator.
type refusal struct {
	status   int        // of the page
	check    string     // what failed
	sentence string     // safe to show
	hint     string     // what the administrator can change
	request  bool       // counts as a request for access
	final    bool       // no mail to the account's address helps
	confirm  store.User // whom a mail may ask; none: nobody
	trace    answer.Trace
}

func (r *refusal) Error() string { return "sign-in refused (" + r.check + "): " + r.sentence }

func refuse(status int, check, sentence, hint string) *refusal {
	return &refusal{status: status, check: check, sentence: sentence, hint: hint}
}

// answers maps the fault kinds to the sign-in failure page. A test walks them.
var answers = map[fault.Kind]struct {
	status int
	plain  string
}{
	fault.Internal:    {http.StatusInternalServerError, "Something went wrong on our side."},
	fault.Invalid:     {http.StatusBadRequest, "The identity provider's answer could not be used."},
	fault.NotFound:    {http.StatusNotFound, "There is no such connection. Check the address with your administrator."},
	fault.Conflict:    {http.StatusConflict, "Somebody else changed this at the same moment. Start again."},
	fault.Denied:      {http.StatusForbidden, "This account may not sign in. Ask your administrator."},
	fault.SignIn:      {http.StatusForbidden, "The identity provider did not sign you in."},
	fault.Expired:     {http.StatusBadRequest, "This sign-in is too old or was used already. Start again."},
	fault.TooMany:     {http.StatusTooManyRequests, "Too many sign-ins at once. Wait a minute, then start again."},
	fault.Unavailable: {http.StatusServiceUnavailable, "Your identity provider cannot be reached. Try again in a minute."},
}

// refusalOf makes any error of a sign-in presentable; trace may be nil.
func refusalOf(err error, trace answer.Trace) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		out := *r // some are shared values
		out.trace = trace
		return &out
	}
	if not, ok := errors.AsType[*session.NotAllowed](err); ok {
		r := refuse(http.StatusForbidden, "policy", fault.Public(err), "The organization's rule is: "+not.Rule+". It is in the console under Security.")
		r.trace = append(slices.Clone(trace), answer.Check{Name: "policy", Expected: not.Use, Got: "single sign-on", Hint: r.hint})
		return r
	}
	kind := fault.Of(err)
	a := answers[kind]
	r := &refusal{status: a.status, check: kind.String(), sentence: orElse(fault.Public(err), a.plain), trace: trace}
	if kind == fault.Unavailable || fault.Field(err) != "" { // about settings, which are the administrator's
		r.sentence, r.hint = a.plain, fault.Public(err)
	}
	if c, failed := trace.Failed(); failed {
		r.check, r.hint = c.Name, c.Hint
	}
	return r
}

type refusedPage struct {
	Status    int
	Sentence  string
	Reference string
	Again     string // where to start again; empty when that would not help
}

// refused records a refusal and shows its page. a may be nil, when it is not
// known who came.
func (d *Door) refused(w http.ResponseWriter, r *http.Request, c Connection, a *answer.Profile, err error, trace answer.Trace) error {
	if run := trialOf(r); run != nil {
		return d.endTest(w, r, c, run, nil, err, trace)
	}
	ref := secret.NewReference()
	out := refusalOf(err, trace)
	actor := actorOf(c, web.Actor(r))
	if out.status >= 500 {
		d.opts.Log.ErrorContext(r.Context(), "sign-in failed", "connection", c.ID, "reference", ref, "request_id", actor.Request, "error", err)
	}
	if !d.recorded.takes(c, actor.IP, a != nil) {
		d.opts.Log.WarnContext(r.Context(), "refused sign-in not written down: too many", "connection", c.ID, "reference", ref, "check", out.check, "request_id", actor.Request)
	} else if err := d.record(r, actor, c, a, out, ref); err != nil {
		return fmt.Errorf("record refused sign-in %s (%s): %w", ref, out.check, err)
	}
	if a != nil && out.confirm.ID != "" {
		if err := d.askToConfirm(w, r, actor, c, *a, out.confirm); err != nil {
			return fmt.Errorf("ask %s to confirm a sign-in: %w", out.confirm.ID, err)
		}
	}
	page := refusedPage{Status: out.status, Sentence: out.sentence, Reference: ref}
	if c.Status == statusActive {
		page.Again = "/sso/" + c.Protocol + "/" + string(c.ID) + "/login"
	}
	return pages.Write(w, r, out.status, "refused", page)
}

// record writes the activity row that explains a reference. It holds names and
// the trace, never the answer itself.
func (d *Door) record(r *http.Request, actor access.Actor, c Connection, a *answer.Profile, out *refusal, ref string) error {
	return d.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		row := store.Activity{Action: "user.signin.refused", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
			Detail: map[string]any{"reference": ref, "connection": c.ID, "method": c.Protocol, "check": out.check, "why": out.sentence}}
		if out.hint != "" {
			row.Detail["hint"] = out.hint
		}
		if len(out.trace) > 0 {
			row.Detail["trace"] = out.trace
		}
		if a != nil {
			row.Detail["subject"], row.Detail["email"] = answer.Clip(a.Subject, answer.GotLimit), answer.Clip(a.Email, answer.GotLimit)
			// The person's own log shows it too, when there is an account.
			if id, err := identityOf(tx, c.ID, a.SubjectKind, a.Subject); err == nil {
				row.TargetKind, row.TargetID, row.TargetName = "user", string(id), orElse(a.DisplayName, a.Email)
			}
		}
		if err := tx.Record(row); err != nil || !out.request || a == nil {
			return err
		}
		if fresh, err := asked(tx, c, *a, ref); err != nil || !fresh {
			return err
		}
		return tx.Record(store.Activity{Action: "user.access.request", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
			Detail: map[string]any{"reference": ref, "subject": row.Detail["subject"], "email": row.Detail["email"], "name": orElse(a.DisplayName, a.GivenName+" "+a.FamilyName)}})
	})
}
