package sso

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// report is what a test sign-in showed. It is stored sealed: it holds a person's
// attributes. Nothing in it can be sent to the door again.
type report struct {
	Protocol    string       `json:"protocol"`
	Trace       answer.Trace `json:"trace,omitempty"`
	Sentence    web.Said     `json:"said,omitzero"`      // why it failed, as a person would read it
	Check       string       `json:"check,omitempty"`    // the check that failed
	Hint        web.Said     `json:"said_hint,omitzero"` // what to change
	Certificate string       `json:"certificate,omitempty"`
	Person      *reported    `json:"person,omitempty"`
	Account     *account     `json:"account,omitempty"` // what a sign-in would come to
	Answer      string       `json:"answer,omitempty"`  // the assertion or the claims, readable
}

// account is what a sign-in of the person would come to.
type account struct {
	Outcome
	ID       store.UserID `json:"id,omitempty"` // of somebody who is here already
	Name     string       `json:"name,omitempty"`
	UserName string       `json:"user_name,omitempty"`

	RefusedSaid []web.Said `json:"refused_said,omitempty"` // Refused for a page
}

func accountOf(out Outcome) *account {
	a := &account{Outcome: out, Name: out.User.DisplayName, UserName: out.User.UserName}
	if !out.Created {
		a.ID = out.User.ID
	}
	if no := out.Refused; no != nil {
		a.RefusedSaid = []web.Said{no.SentenceSaid(), no.HintSaid()}
	}
	return a
}

// reported is the person as the provider describes them.
type reported struct {
	Subject     string              `json:"subject"`
	SubjectKind string              `json:"subject_kind"`
	Email       string              `json:"email,omitempty"`
	Verified    string              `json:"verified,omitempty"` // what the provider says of the address
	UserName    string              `json:"user_name,omitempty"`
	GivenName   string              `json:"given_name,omitempty"`
	FamilyName  string              `json:"family_name,omitempty"`
	DisplayName string              `json:"display_name,omitempty"`
	Groups      []string            `json:"groups,omitempty"`
	GroupsKnown bool                `json:"groups_known,omitempty"`
	Attributes  map[string][]string `json:"attributes,omitempty"`
}

// forContact leaves out what is known of people here: only what the provider itself
// said is the contact's.
func (r report) forContact() report {
	if r.Account == nil {
		return r
	}
	if r.Account.Refused != nil {
		r.Hint = web.Say("The answer of the identity provider is right; the person has no way in here yet. Tell whoever sent you the link.")
	}
	r.Account = nil
	return r
}

func personOf(a answer.Profile) *reported {
	return &reported{Subject: a.Subject, SubjectKind: a.SubjectKind, Email: a.Email, Verified: vouched[a.EmailSaid], UserName: a.UserName,
		GivenName: a.GivenName, FamilyName: a.FamilyName, DisplayName: a.DisplayName, Groups: a.Groups, GroupsKnown: a.GroupsKnown, Attributes: a.Attributes}
}

// maxReadable bounds what a report repeats of an answer.
const maxReadable = 256 << 10

// readable is the provider's answer for an administrator. An encrypted assertion is
// opened only when the checks say that it answers this very test: else this would
// open whatever somebody has caught.
func (d *Door) readable(r *http.Request, c Connection, run *trial, trace answer.Trace) string {
	text := ""
	if c.Protocol == protocolOIDC {
		text = readableToken(run.idToken)
	} else if posted := r.PostForm.Get("SAMLResponse"); posted != "" {
		s, err := d.setup(r.Context(), actorOf(c, web.Actor(r)), c)
		if err != nil {
			return ""
		}
		if !mine(trace) {
			s.party.DecryptKeys = nil
		}
		if text, err = saml.Readable(saml.Form{SAMLResponse: posted}, s.party.DecryptKeys); err != nil {
			text = "It cannot be read as XML: " + err.Error()
		}
	}
	return answer.Clip(text, maxReadable)
}

// mine tells whether a SAML answer is for the request that the test sent.
func mine(trace answer.Trace) bool {
	return passed(trace, "signed", "response.in_response_to", "subject.confirmation")
}

// withoutSubject is the trace of an answer that is somebody else's.
func withoutSubject(trace answer.Trace) answer.Trace {
	out := slices.Clone(trace)
	for i := range out {
		if out[i].Name == "subject" {
			out[i].Got = "not shown: the answer is for another request"
		}
	}
	return out
}

// passed tells whether each of these checks was made and held.
func passed(trace answer.Trace, names ...string) bool {
	for _, name := range names {
		if !slices.ContainsFunc(trace, func(c answer.Check) bool { return c.Name == name && c.OK }) {
			return false
		}
	}
	return true
}

// readableToken is the head and the claims of an ID token, without its signature.
func readableToken(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	var out []string
	for _, part := range parts[:2] {
		b, err := base64.RawURLEncoding.DecodeString(part)
		var nice bytes.Buffer
		if err != nil || json.Indent(&nice, b, "", "  ") != nil {
			return ""
		}
		out = append(out, nice.String())
	}
	return strings.Join(out, "\n")
}

// names of the attributes in order, for the page.
func (p *reported) names() []string { return slices.Sorted(maps.Keys(p.Attributes)) }
