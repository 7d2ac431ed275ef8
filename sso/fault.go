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
	sentence web.Said   // safe to show
	hint     web.Said   // what the administrator can change
	request  bool       // counts as a request for access
	final    bool       // no mail to the account's address helps
	confirm  store.User // whom a mail may ask; none: nobody
	trace    answer.Trace
}

func (r *refusal) Error() string { return "sign-in refused (" + r.check + "): " + r.sentence.String() }

func refuse(status int, check string, sentence, hint web.Said) *refusal {
	return &refusal{status: status, check: check, sentence: sentence, hint: hint}
}

// answers maps the fault kinds to the sign-in failure page. A test walks them.
var answers = map[fault.Kind]struct {
	status int
	plain  web.Said
}{
	fault.Internal:    {http.StatusInternalServerError, web.Say("Something went wrong on our side.")},
	fault.Invalid:     {http.StatusBadRequest, web.Say("The identity provider's answer could not be used.")},
	fault.NotFound:    {http.StatusNotFound, web.Say("There is no such connection. Check the address with your administrator.")},
	fault.Conflict:    {http.StatusConflict, web.Say("Somebody else changed this at the same moment. Start again.")},
	fault.Denied:      {http.StatusForbidden, web.Say("This account may not sign in. Ask your administrator.")},
	fault.SignIn:      {http.StatusForbidden, web.Say("The identity provider did not sign you in.")},
	fault.Expired:     {http.StatusBadRequest, web.Say("This sign-in is too old or was used already. Start again.")},
	fault.TooMany:     {http.StatusTooManyRequests, web.Say("Too many sign-ins at once. Wait a minute, then start again.")},
	fault.Unavailable: {http.StatusServiceUnavailable, web.Say("Your identity provider cannot be reached. Try again in a minute.")},
}

// refusalOf makes any error of a sign-in presentable; trace may be nil.
func refusalOf(err error, trace answer.Trace) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		out := *r // some are shared values
		out.trace = trace
		return &out
	}
	if not, ok := errors.AsType[*session.NotAllowed](err); ok {
		r := refuse(http.StatusForbidden, "policy", web.SaidBy(err), web.Say("The organization's rule is: %s. It is in the console under Security.", not.Rule))
		r.trace = append(slices.Clone(trace), answer.Check{Name: "policy", Expected: not.Use, Got: "single sign-on", Hint: r.hint.String()})
		return r
	}
	kind := fault.Of(err)
	a := answers[kind]
	r := &refusal{status: a.status, check: kind.String(), sentence: web.SaidBy(err), trace: trace}
	if r.sentence.IsZero() {
		r.sentence = a.plain
	}
	if kind == fault.Unavailable || fault.Field(err) != "" { // about settings, which are the administrator's
		r.sentence, r.hint = a.plain, web.SaidBy(err)
	}
	if c, failed := trace.Failed(); failed {
		r.check = c.Name
		if c.Hint != r.hint.String() { // else it is said with its arguments already
			r.hint = web.Say(c.Hint)
		}
	}
	return r
}

// explain puts what failed into the detail of an activity: in English for whoever reads
// the log by machine, and so that a page says it in its reader's language.
func (r *refusal) explain(detail map[string]any) {
	detail["check"], detail["why"] = r.check, r.sentence.String()
	said := map[string]web.Said{"why": r.sentence}
	if !r.hint.IsZero() {
		detail["hint"], said["hint"] = r.hint.String(), r.hint
	}
	detail["said"] = said
	if len(r.trace) > 0 {
		detail["trace"] = r.trace
	}
}

type refusedPage struct {
	Status    int
	Sentence  web.Said
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
			Detail: map[string]any{"reference": ref, "connection": c.ID, "method": c.Protocol}}
		out.explain(row.Detail)
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
