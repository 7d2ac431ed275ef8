package sso

import (
	"context"
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/oidc"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// oidcLeave sends the browser to the provider's end_session_endpoint (OpenID
// Connect RP-Initiated Logout 1.0). handle comes back as state.
func (d *Door) oidcLeave(ctx context.Context, c Connection, ref SessionRef, handle string) (out saml.Outgoing, requestID string, err error) {
	issuer, err := d.issuers.Get(ctx, c.Issuer)
	if err != nil {
		return out, "", err
	}
	hint, err := d.idTokenOf(ref)
	if err != nil {
		return out, "", err
	}
	out.URL = issuer.EndSessionURL(oidc.Client{ID: c.Config.ClientID}, hint, d.URLs(c).SignedOut, handle)
	return out, "", nil
}

// oidcSignedOut is where the provider sends the browser after signing out there.
func (d *Door) oidcSignedOut(w http.ResponseWriter, r *http.Request, c Connection) error {
	q, err := oidcParams(w, r, "state")
	if err != nil {
		return d.logoutRefused(w, r, c, err, nil)
	}
	handle := q.Get("state")
	if handle != "" {
		err := d.opts.DB.Write(r.Context(), actorOf(c, web.Actor(r)), func(tx *store.Tx) error {
			return left(tx, c, handle, string(saml.LogoutDone), "")
		})
		if err != nil {
			return err
		}
	}
	http.Redirect(w, r, leavePath(c.ID, handle), http.StatusSeeOther)
	return nil
}

// oidcBackChannel takes the provider's word that somebody signed out there (OpenID
// Connect Back-Channel Logout 1.0 §2.5). It comes from the provider's server: the
// token is all that says who sent it.
func (d *Door) oidcBackChannel(w http.ResponseWriter, r *http.Request, c Connection) error {
	w.Header().Set("Cache-Control", "no-store")
	q, err := oidcParams(w, r, "logout_token")
	if err == nil && q.Get("logout_token") == "" {
		err = fault.Invalid.Say("This address takes logout tokens of your identity provider, and none came.")
	}
	if err != nil {
		return d.backChannelRefused(w, r, c, err, nil)
	}
	actor := actorOf(c, web.Actor(r))
	issuer, err := d.issuers.Get(r.Context(), c.Issuer)
	if err != nil {
		return d.backChannelRefused(w, r, c, err, nil)
	}
	party := oidc.Party{Vendor: c.Vendor, Issuer: c.Issuer, ClientID: c.Config.ClientID, Algorithms: c.Config.Algorithms}
	out, trace, err := issuer.CheckLogoutToken(r.Context(), party, q.Get("logout_token"), d.opts.DB.Now())
	if err != nil {
		return d.backChannelRefused(w, r, c, err, trace)
	}
	err = d.opts.DB.Write(r.Context(), actor, func(tx *store.Tx) error {
		fresh, err := remember(tx, c, "logout "+out.ID, out.Until)
		if err != nil {
			return err
		}
		if !fresh {
			return refuse(http.StatusBadRequest, "replay", web.Say("This sign-out message was used already."), web.Say("The identity provider sent the same token twice, or somebody copied one."))
		}
		return d.endNamed(tx, c, out.SessionID, out.Subject)
	})
	if err != nil {
		return d.backChannelRefused(w, r, c, err, trace)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// endNamed ends the session that the provider calls sid, or all of the subject
// when it names none. A session of which no sid is known cannot be told from the
// one that is meant, so those of the subject end too: out means out.
func (d *Door) endNamed(tx *store.Tx, c Connection, sid, subject string) error {
	for {
		refs, err := refsOfIndex(tx, c.ID, sid)
		if err != nil {
			return err
		}
		full := len(refs) == maxRefs
		if subject != "" {
			refs = slices.DeleteFunc(refs, func(ref SessionRef) bool { return ref.ofAnother(subject) })
			own, err := refsOfNameID(tx, c.ID, subject)
			if err != nil {
				return err
			}
			older, err := refsOfSubject(tx, c.ID, "sub", subject)
			if err != nil {
				return err
			}
			full = full || len(own) == maxRefs || len(older) == maxRefs
			older = slices.DeleteFunc(older, func(ref SessionRef) bool { return ref.nameKey != "" })
			for _, ref := range slices.Concat(own, older) {
				if sid == "" || ref.SessionIndex == "" {
					refs = append(refs, ref)
				}
			}
		}
		if len(refs) == 0 {
			return nil
		}
		if err := d.endRefs(tx, c, refs, "the identity provider signed the person out"); err != nil || !full {
			return err
		}
	}
}

// ofAnother tells that a session is known to be of somebody else than this sub. What
// people are known by here may be another claim, as at Entra ID, so the sub is kept
// beside it; sessions from before that have it only as their subject.
func (ref SessionRef) ofAnother(sub string) bool {
	if ref.nameKey != "" {
		return ref.nameKey != secret.Hash(sub)
	}
	return ref.SubjectKind == "sub" && ref.Subject != sub
}

// backChannelRefused answers the provider's server in the words of the standard;
// what failed stands in the activity.
func (d *Door) backChannelRefused(w http.ResponseWriter, r *http.Request, c Connection, err error, trace answer.Trace) error {
	ref, out := secret.NewReference(), refusalOf(err, trace)
	if err := d.recordLogout(r, c, out, ref); err != nil {
		return err
	}
	status := http.StatusBadRequest
	if out.status >= http.StatusInternalServerError {
		status = out.status
	}
	return web.OAuthRefusal(w, status, tryLater, out.sentence.String()+" Reference: "+ref)
}

const tryLater = "temporarily_unavailable"

// refuseProvider is for a provider's server, where no handler of ours is asked.
func refuseProvider(w http.ResponseWriter, status int, why string) {
	web.OAuthRefusal(w, status, tryLater, why)
}

// oidcFrontChannel is what the provider loads in a frame of its sign-out page
// (OpenID Connect Front-Channel Logout 1.0). Browsers send no cookie of ours into
// such a frame, so the session is found by the provider's own name for it, which
// nobody else knows; without it nothing ends.
func (d *Door) oidcFrontChannel(w http.ResponseWriter, r *http.Request, c Connection) error {
	web.Policy(w, "frame-ancestors", originOf(c.Issuer))
	w.Header().Del("X-Frame-Options")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	q, err := oidcParams(w, r, "iss", "sid")
	if err != nil {
		return d.logoutRefused(w, r, c, err, nil)
	}
	iss, sid := q.Get("iss"), q.Get("sid")
	var trace answer.Trace
	trace.Add(answer.Check{Name: "iss", Expected: c.Issuer, Got: iss, OK: iss == c.Issuer})
	trace.Add(answer.Check{Name: "sid", Expected: "the provider's session", Got: sid, OK: sid != "" && len(sid) <= maxSessionIndex && cleanText(sid),
		Hint: "Switch on that the provider sends iss and sid (front-channel logout session required)."})
	if _, failed := trace.Failed(); failed {
		return d.logoutRefused(w, r, c, fault.Invalid.Say("The identity provider did not say which session is over."), trace)
	}
	err = d.opts.DB.Write(r.Context(), actorOf(c, web.Actor(r)), func(tx *store.Tx) error { return d.endNamed(tx, c, sid, "") })
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "left", leavePage{Title: web.Say("You are signed out"), Here: web.Say("Your session here has ended."), Provider: c.Name, There: leaveWords["asked"]})
}
