package sso

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// sloAt are the provider's URLs for single logout, as its metadata says.
type sloAt struct {
	Redirect         string `json:"slo_redirect,omitempty"`
	Post             string `json:"slo_post,omitempty"`
	RedirectResponse string `json:"slo_redirect_response,omitempty"` // where answers go, when that is elsewhere
	PostResponse     string `json:"slo_post_response,omitempty"`
}

// request is where a LogoutRequest goes, and how; empty when there is no way.
func (s sloAt) request() (to, binding string) {
	if s.Redirect != "" {
		return s.Redirect, saml.BindingRedirect
	}
	return s.Post, saml.BindingPOST
}

// response is where the answer to a request goes that came over binding.
func (s sloAt) response(binding string) (to, with string) {
	redirect, post := orElse(s.RedirectResponse, s.Redirect), orElse(s.PostResponse, s.Post)
	if binding == saml.BindingPOST && post != "" || redirect == "" {
		return post, saml.BindingPOST
	}
	return redirect, saml.BindingRedirect
}

// samlSLO takes the provider's logout messages: requests to end sessions here, and
// answers to ours.
func (d *Door) samlSLO(w http.ResponseWriter, r *http.Request, c Connection) error {
	in := saml.Incoming{Redirect: true, Query: r.URL.RawQuery}
	param, relayState := saml.Carried(in.Query)
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, samlBodyLimit)
		if err := r.ParseForm(); err != nil {
			return d.logoutRefused(w, r, c, fault.Invalid.Wrap(err, "The identity provider's message is too long or damaged."), nil)
		}
		in, param, relayState = posted(r.PostForm)
	}
	switch param {
	case "SAMLRequest":
		return d.samlLogoutAsked(w, r, c, in, relayState)
	case "SAMLResponse":
		return d.samlLogoutAnswered(w, r, c, in, relayState)
	}
	return d.logoutRefused(w, r, c, fault.Invalid.Say("This address takes sign-out messages of your identity provider, and none came."), nil)
}

// posted is a message by HTTP-POST, of one kind, once.
func posted(form url.Values) (in saml.Incoming, param, relayState string) {
	request, response := form["SAMLRequest"], form["SAMLResponse"]
	if len(request)+len(response) != 1 || len(form["RelayState"]) > 1 {
		return in, "", ""
	}
	if len(request) == 1 {
		return saml.Incoming{Value: request[0]}, "SAMLRequest", form.Get("RelayState")
	}
	return saml.Incoming{Value: response[0]}, "SAMLResponse", form.Get("RelayState")
}

// samlLogoutAsked ends the sessions that the provider says are over, and tells it
// so. No cookie is looked at: the message says who it is about, and often comes in
// a frame to which browsers send none.
func (d *Door) samlLogoutAsked(w http.ResponseWriter, r *http.Request, c Connection, in saml.Incoming, relayState string) error {
	s, err := d.setup(r.Context(), d.actorAt(r, c), c)
	if err != nil {
		return d.logoutRefused(w, r, c, err, nil)
	}
	asked, trace, err := saml.CheckLogoutRequest(s.party, in, d.URLs(c).SLO, d.opts.DB.Now())
	if err != nil {
		return d.logoutRefused(w, r, c, err, trace)
	}
	status := saml.StatusSuccess
	err = d.opts.DB.Write(r.Context(), d.actorAt(r, c), func(tx *store.Tx) error {
		fresh, err := remember(tx, c, "logout "+asked.ID, asked.KeepTill)
		if err != nil {
			return err
		}
		if !fresh {
			return refuse(http.StatusBadRequest, "replay", web.Say("This sign-out message was used already."), web.Say("The identity provider sent the same message twice, or somebody copied one."))
		}
		refs, err := refsOfNameID(tx, c.ID, asked.NameID.Value)
		if err != nil {
			return err
		}
		if len(refs) == maxRefs {
			status = saml.StatusPartialLogout // there may be more
		}
		return d.endRefs(tx, c, meant(refs, asked), "the identity provider signed the person out")
	})
	if err != nil {
		return d.logoutRefused(w, r, c, err, trace)
	}
	binding := saml.BindingPOST
	if in.Redirect {
		binding = saml.BindingRedirect
	}
	to, with := c.Config.SLO.response(binding)
	if to == "" {
		return pages.Write(w, r, http.StatusOK, "left", leavePage{Title: web.Say("You are signed out"), Here: web.Say("Your session here has ended."), Provider: c.Name, There: leaveWords["asked"]})
	}
	// RelayState goes back to the provider's own address only; nothing is redirected to it.
	if len(relayState) > maxRelayState {
		relayState = ""
	}
	out, err := saml.NewLogoutResponse(s.party, saml.LogoutMessage{ID: "_" + rand.Text(), To: to, Binding: with, RelayState: relayState,
		Now: d.opts.DB.Now(), SignKey: s.signKey, SignCert: s.signing[0]}, asked.ID, status)
	if err != nil {
		return err
	}
	if out.Form == nil {
		http.Redirect(w, r, out.URL, http.StatusSeeOther)
		return nil
	}
	// Providers that sign people out of many applications do it in frames.
	web.Policy(w, "frame-ancestors", originOf(out.URL))
	w.Header().Del("X-Frame-Options")
	return post(w, r, onward(out.URL), postPage{Title: web.Say("You are signed out here"), Text: web.Say("Your identity provider is being told so."), Action: out.URL, Fields: out.Form})
}

// maxRelayState is what saml-bindings-2.0 §3.4.3 allows.
const maxRelayState = 80

// meant are the sessions that a request is about. A session of which the provider
// gave no SessionIndex cannot be named by one, so it ends with any of the person's.
func meant(refs []SessionRef, asked saml.LogoutRequest) (list []SessionRef) {
	for _, ref := range refs {
		if sameNameID(ref.NameID, asked.NameID) && (len(asked.Indexes) == 0 || ref.SessionIndex == "" || slices.Contains(asked.Indexes, ref.SessionIndex)) {
			list = append(list, ref)
		}
	}
	return list
}

const formatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"

// sameNameID compares all parts; what only one side says is no difference, because
// many providers leave out in a logout request what they wrote in the assertion.
func sameNameID(a, b answer.NameID) bool {
	same := func(x, y string) bool { return x == y || x == "" || y == "" }
	format := func(n answer.NameID) string {
		if n.Format == formatUnspecified {
			return ""
		}
		return n.Format
	}
	return a.Value == b.Value && same(format(a), format(b)) && same(a.NameQualifier, b.NameQualifier) && same(a.SPNameQualifier, b.SPNameQualifier)
}

// samlLogoutAnswered takes the provider's answer to our request, and shows what
// has ended.
func (d *Door) samlLogoutAnswered(w http.ResponseWriter, r *http.Request, c Connection, in saml.Incoming, handle string) error {
	var l leaving
	err := d.opts.DB.Read(r.Context(), d.actorAt(r, c), func(tx *store.Tx) (err error) {
		l, err = leavingOf(tx, c, handle)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return d.logoutRefused(w, r, c, refuse(http.StatusBadRequest, "RelayState", web.Say("Your identity provider answered a sign-out that was not started here, or took too long."),
			web.Say("The answer came with a RelayState that no pending sign-out of this connection has.")), nil)
	}
	if err != nil {
		return d.logoutRefused(w, r, c, err, nil)
	}
	s, err := d.setup(r.Context(), d.actorAt(r, c), c)
	if err != nil {
		return d.logoutRefused(w, r, c, err, nil)
	}
	outcome, trace, err := saml.CheckLogoutResponse(s.party, in, d.URLs(c).SLO, l.RequestID, d.opts.DB.Now())
	reference := ""
	if err != nil {
		outcome, reference = leaveUnverified, secret.NewReference()
		if err := d.recordLogout(r, c, refusalOf(err, trace), reference); err != nil {
			return err
		}
	}
	err = d.opts.DB.Write(r.Context(), d.actorAt(r, c), func(tx *store.Tx) error {
		return left(tx, c, handle, string(outcome), reference)
	})
	if err != nil {
		return d.logoutRefused(w, r, c, err, trace)
	}
	http.Redirect(w, r, leavePath(c.ID, handle), http.StatusSeeOther)
	return nil
}

// samlLeave makes the LogoutRequest for a session.
func (d *Door) samlLeave(ctx context.Context, c Connection, ref SessionRef, handle string) (out saml.Outgoing, id string, err error) {
	to, binding := c.Config.SLO.request()
	if to == "" || ref.NameID.Value == "" || c.Config.NoSLO {
		return out, "", nil
	}
	s, err := d.setup(ctx, access.Muster(string(c.OrgID)), c)
	if err != nil {
		return out, "", err
	}
	id = "_" + rand.Text()
	out, err = saml.NewLogoutRequest(s.party, saml.LogoutMessage{ID: id, To: to, Binding: binding, RelayState: handle, Now: d.opts.DB.Now(),
		SignKey: s.signKey, SignCert: s.signing[0]}, ref.NameID, ref.SessionIndex)
	return out, id, err
}

// actorAt is the connection acting for whoever sent the request.
func (d *Door) actorAt(r *http.Request, c Connection) access.Actor { return actorOf(c, web.Actor(r)) }
