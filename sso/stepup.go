package sso

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// A step-up is a sign-in of somebody who is signed in: the provider must ask for the
// credentials again, and the answer must be of the same person and new. It makes no
// session and no account; it notes in the session when the person proved who they are.

// stepUp is one on its way out. It stands in the request's context.
type stepUp struct {
	session session.ID
	back    string
}

type stepUpKey struct{}

func stepUpOf(r *http.Request) *stepUp {
	s, _ := r.Context().Value(stepUpKey{}).(*stepUp)
	return s
}

// pending is what the answer needs: which session, and where to go on.
func (s *stepUp) pending() pending {
	return pending{Purpose: purposeStepUp, ReturnTo: string(s.session) + " " + s.back}
}

// StepUp sends the session's person to the identity provider that the session came
// from, for a fresh sign-in, and then to the path back. Faults: NotFound, those of a
// sign-in.
func (d *Door) StepUp(w http.ResponseWriter, r *http.Request, s session.Session, back string) error {
	c, err := d.connectionByID(r.Context(), ConnectionID(s.Connection))
	if err != nil {
		return err
	}
	if c.OrgID != s.Org {
		return fault.NotFound.Say("There is no such connection.")
	}
	// What was typed is no part of a sign-in's parameters.
	out := r.Clone(context.WithValue(r.Context(), stepUpKey{}, &stepUp{session: s.ID, back: back}))
	out.Method, out.URL, out.Form, out.PostForm = http.MethodGet, &url.URL{Path: r.URL.Path}, nil, nil
	c = c.forPurpose(purposeStepUp)
	if c.Protocol == protocolSAML {
		return d.samlLogin(w, out, c)
	}
	return d.oidcLogin(w, out, c)
}

// forPurpose is the connection as a sign-in for that purpose is asked and checked: a
// step-up demands what others leave to the settings.
func (c Connection) forPurpose(purpose string) Connection {
	if purpose == purposeStepUp {
		c.Config.ForceAuthn, c.Config.Prompt = true, promptLogin
	}
	return c
}

// proveAgain ends a step-up and gives the path to go on at.
func (d *Door) proveAgain(tx *store.Tx, c Connection, p pending, in *answered) (back string, err error) {
	id, back, _ := strings.Cut(p.ReturnTo, " ")
	began, at := p.ExpiresAt.Time().Add(-pendingFor), in.arrival.AuthnInstant
	if at.Before(began.Add(-time.Minute)) { // clocks differ; a zero time is before, too
		return "", in.refuseStepUp("fresh sign-in", fmt.Sprintf("after %s", began.UTC().Format(time.RFC3339)), at.UTC().Format(time.RFC3339),
			web.Say("Your identity provider did not ask you to sign in again, so this was not confirmed."),
			web.Say("The provider must honour ForceAuthn (SAML) or prompt=login and max_age with auth_time (OpenID Connect)."))
	}
	user, err := identityOf(tx, c.ID, in.arrival.SubjectKind, in.arrival.Subject)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	same := false
	if err == nil {
		if same, err = d.opts.Sessions.Proved(tx, session.ID(id), user, at); err != nil {
			return "", err
		}
	}
	if !same {
		return "", in.refuseStepUp("person", "the person of the session", in.arrival.Subject,
			web.Say("Somebody else signed in at your identity provider, or your session has ended. Nothing was confirmed."),
			web.Say("The person must sign in as themself at the identity provider."))
	}
	u, err := tx.AnyUser(user)
	if err != nil {
		return "", err
	}
	return back, tx.Record(store.Activity{Action: "user.stepup", TargetKind: "user", TargetID: string(user), TargetName: u.DisplayName,
		Detail: map[string]any{"method": c.Protocol, "connection": c.ID}})
}

// refuseStepUp adds the check that failed to what was checked before.
func (in *answered) refuseStepUp(name, expected, got string, sentence, hint web.Said) error {
	in.trace = append(slices.Clone(in.trace), answer.Check{Name: name, Expected: expected, Got: answer.Clip(got, 200), Hint: hint.String()})
	return refuse(http.StatusForbidden, name, sentence, hint)
}
