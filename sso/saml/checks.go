package saml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/sso/answer"
)

// statusSuccess is the one status that comes with an assertion.
const statusSuccess = "urn:oasis:names:tc:SAML:2.0:status:Success"

// methodBearer is the one confirmation that a browser can give.
const methodBearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

// MaxUnsolicitedAge bounds how old an assertion may be that nobody asked for.
const MaxUnsolicitedAge = 5 * time.Minute

// maxSubject bounds the key of an identity; persistent NameIDs have at most 256.
const maxSubject = 1024

// facts is all that the semantic checks look at: what is verified, and what
// we know ourselves.
type facts struct {
	party     Party
	expect    Expect
	response  responseFacts
	assertion assertionFacts
	profile   answer.Profile
}

// check is a row of the table: look returns what had to be there, what was
// there, and whether that will do.
type check struct {
	name string
	look func(f *facts) (expected, got string, ok bool)
	hint string
}

// checks are made on verified facts, in this order, and all of them, so
// that an administrator sees every setting that is wrong at once.
// Sources: saml-core-2.0 §2.3-2.7, saml-bindings-2.0 §3.5.5.2, saml-profiles-2.0 §4.1.4.
var checks = []check{
	{"status", checkStatus, "The identity provider itself refused. Its log says why; often the person has no access to this application there."},
	{"response.version", func(f *facts) (string, string, bool) {
		return "2.0", f.response.Version, f.response.Version == "2.0"
	}, ""},
	{"response.issuer", checkResponseIssuer, "Import the identity provider's metadata again: its entity ID differs from the one stored here."},
	{"response.destination", checkDestination, "Set the assertion consumer service (ACS, reply, single sign-on) URL at the identity provider to the expected value."},
	{"response.in_response_to", checkInResponseTo, "Start the sign-in here, or allow sign-ins that the identity provider starts."},
	{"assertion.version", func(f *facts) (string, string, bool) {
		return "2.0", f.assertion.Version, f.assertion.Version == "2.0"
	}, ""},
	{"assertion.issuer", func(f *facts) (string, string, bool) {
		return f.party.IDPEntityID, f.assertion.Issuer, f.assertion.Issuer == f.party.IDPEntityID && f.assertion.Issuer != ""
	}, "Import the identity provider's metadata again: its entity ID differs from the one stored here."},
	{"assertion.issued", checkIssued, "Compare the clocks of the identity provider and of this server."},
	{"subject", checkSubject, "Let the identity provider send a NameID that never changes for a person (persistent format), or the immutable id as an attribute."},
	{"subject.confirmation", checkConfirmation, "The ACS URL at the identity provider must be the expected one, and both clocks right."},
	{"conditions", checkConditions, "The identity provider must send Conditions with an audience restriction."},
	{"conditions.audience", checkAudience, "Set the audience (SP entity ID, identifier) at the identity provider to the expected value."},
	{"conditions.not_before", func(f *facts) (string, string, bool) {
		return notAfter(f.assertion.NotBefore, f)
	}, "Compare the clocks of the identity provider and of this server."},
	{"conditions.not_on_or_after", func(f *facts) (string, string, bool) {
		return stillValid(f.assertion.NotOnOrAfter, f)
	}, "The response came too late, or the clocks differ. Sign in again."},
	{"conditions.use", checkUse, "The identity provider sends conditions that contradict one another; SAML allows each once."},
	{"authentication", checkAuthentication, "The identity provider must say when and how the person signed in (AuthnStatement)."},
	{"authentication.fresh", checkFresh, "A fresh sign-in was asked for (ForceAuthn), and the identity provider answered with an older one. Let it honour ForceAuthn for this application."},
	{"authentication.context", checkContext, "Let the identity provider sign people in as asked, or add what it answered to the classes that will do (authn_context_accepted)."},
	{"authentication.session", checkSession, "The session at the identity provider is over. Sign in there again."},
}

func checkStatus(f *facts) (string, string, bool) {
	codes := f.response.StatusCodes
	got := strings.Join(codes, " > ")
	if f.response.StatusMessage != "" {
		got += ": " + f.response.StatusMessage
	}
	return statusSuccess, got, len(codes) > 0 && codes[0] == statusSuccess
}

// checkResponseIssuer: the Issuer of an unsigned response may be left out
// (saml-profiles-2.0 §4.1.4.2).
func checkResponseIssuer(f *facts) (string, string, bool) {
	got := f.response.Issuer
	return f.party.IDPEntityID, got, got == f.party.IDPEntityID && got != "" || got == "" && !f.response.Signed
}

// checkDestination: required when the message is signed (saml-bindings-2.0 §3.5.5.2).
func checkDestination(f *facts) (string, string, bool) {
	got := f.response.Destination
	return f.party.ACS, got, got == f.party.ACS || got == "" && !f.response.Signed
}

func checkInResponseTo(f *facts) (string, string, bool) {
	got := f.response.InResponseTo
	if f.expect.RequestID != "" {
		return f.expect.RequestID, got, got == f.expect.RequestID
	}
	if !f.party.AllowUnsolicited {
		return "an answer to a request of ours that is pending in this browser", got, false
	}
	return "none", got, got == ""
}

func checkIssued(f *facts) (string, string, bool) {
	issued := f.assertion.IssueInstant
	expected, got, ok := notAfter(issued, f)
	if f.expect.RequestID == "" {
		oldest := f.expect.Now.Add(-MaxUnsolicitedAge - f.party.Skew)
		return fmt.Sprintf("not after %s, not before %s", stamp(f.expect.Now.Add(f.party.Skew)), stamp(oldest)), got, ok && !issued.Before(oldest)
	}
	return expected, got, ok && !issued.IsZero()
}

func checkSubject(f *facts) (string, string, bool) {
	const expected = "a lasting, non-empty key"
	p := f.profile
	switch {
	case p.Subject == "":
		return expected, "no NameID and none of the attributes that may replace it", false
	case len(p.Subject) > maxSubject:
		return expected, fmt.Sprintf("%d bytes; at most %d are kept", len(p.Subject), maxSubject), false
	case p.SubjectKind == SubjectNameID && p.NameIDFormat == FormatTransient:
		return expected, "a transient NameID, different at every sign-in", false
	}
	return expected, p.SubjectKind + " " + p.Subject, true
}

// checkConfirmation wants a bearer confirmation that fits; others beside it do
// no harm (saml-profiles-2.0 §4.1.4.3).
func checkConfirmation(f *facts) (string, string, bool) {
	expected := fmt.Sprintf("a bearer confirmation for %s", f.party.ACS)
	var why []string
	for _, c := range f.assertion.Confirmations {
		reason := f.misfit(c)
		if reason == "" {
			return expected, "fits", true
		}
		why = append(why, reason)
	}
	if len(why) == 0 {
		return expected, "no SubjectConfirmation", false
	}
	return expected, strings.Join(why, "; "), false
}

// misfit says why a confirmation does not hold here, "" when it does.
func (f *facts) misfit(c confirmation) string {
	now := f.expect.Now
	switch {
	case c.Method != methodBearer:
		return fmt.Sprintf("method %q", answer.Clip(c.Method, 80))
	case c.Recipient != f.party.ACS:
		return fmt.Sprintf("Recipient %q", answer.Clip(c.Recipient, 200))
	case c.NotOnOrAfter.IsZero():
		return "no NotOnOrAfter"
	case !now.Before(c.NotOnOrAfter.Add(f.party.Skew)):
		return fmt.Sprintf("over since %s", stamp(c.NotOnOrAfter))
	case now.Add(f.party.Skew).Before(c.NotBefore):
		return fmt.Sprintf("not before %s", stamp(c.NotBefore))
	case c.InResponseTo != f.expect.RequestID:
		return fmt.Sprintf("InResponseTo %q", answer.Clip(c.InResponseTo, 80))
	}
	return ""
}

func checkConditions(f *facts) (string, string, bool) {
	const expected = "Conditions, all of them understood"
	switch {
	case !f.assertion.HasConditions:
		return expected, "none", false
	case len(f.assertion.UnknownConditions) > 0:
		// saml-core-2.0 §2.5.1.1: what is not understood cannot be true.
		return expected, fmt.Sprintf("unknown conditions: %s", strings.Join(f.assertion.UnknownConditions, ", ")), false
	}
	return expected, "present", true
}

// checkAudience: every restriction must name us, any audience inside one will do.
func checkAudience(f *facts) (string, string, bool) {
	ok := len(f.assertion.Audiences) > 0
	var got []string
	for _, restriction := range f.assertion.Audiences {
		ok = ok && slices.Contains(restriction, f.party.EntityID)
		got = append(got, strings.Join(restriction, ", "))
	}
	return f.party.EntityID, strings.Join(got, "; "), ok
}

// checkUse: both conditions may stand once (saml-core-2.0 §2.5.1.5, §2.5.1.6).
// They hold here by themselves: the replay record lets each assertion sign in once,
// and none is ever passed on to another party.
func checkUse(f *facts) (string, string, bool) {
	a := f.assertion
	got := fmt.Sprintf("%d OneTimeUse, %d ProxyRestriction", a.OneTimeUse, a.Proxy)
	ok := a.OneTimeUse <= 1 && a.Proxy <= 1
	if a.ProxyCount != "" {
		got = fmt.Sprintf("%d OneTimeUse, %d ProxyRestriction with Count %s", a.OneTimeUse, a.Proxy, a.ProxyCount)
		_, err := strconv.ParseUint(a.ProxyCount, 10, 32)
		ok = ok && err == nil
	}
	return "each at most once", got, ok
}

// checkFresh: whoever was to be asked for credentials was asked after our request
// (saml-core-2.0 §3.4.1: ForceAuthn; the answer shows it by its AuthnInstant).
func checkFresh(f *facts) (string, string, bool) {
	if !f.expect.Fresh {
		return "not asked for", "not asked for", true
	}
	oldest := f.expect.AskedAt.Add(-f.party.Skew)
	expected, got := fmt.Sprintf("an AuthnInstant not before %s", stamp(oldest)), "none"
	for _, s := range f.assertion.AuthnStatements {
		got = stamp(s.AuthnInstant)
		if s.AuthnInstant.Before(oldest) { // also when there is none
			return expected, got, false
		}
	}
	return expected, got, len(f.assertion.AuthnStatements) > 0
}

// checkContext: a provider that cannot sign in as asked must refuse
// (saml-core-2.0 §3.3.2.2.1), and some answer with less instead.
func checkContext(f *facts) (string, string, bool) {
	var got []string
	ok := false
	for _, s := range f.assertion.AuthnStatements {
		ok = ok || f.expect.Contexts.answeredBy(s.Class)
		got = append(got, s.Class)
	}
	if len(f.expect.Contexts.Asked) == 0 {
		return "any", strings.Join(got, ", "), true
	}
	return f.expect.Contexts.expected(), strings.Join(got, ", "), ok
}

func checkAuthentication(f *facts) (string, string, bool) {
	if len(f.assertion.AuthnStatements) == 0 {
		return "an AuthnStatement", "none", false
	}
	for _, s := range f.assertion.AuthnStatements {
		if expected, got, ok := notAfter(s.AuthnInstant, f); !ok {
			return expected, got, false
		}
	}
	return "an AuthnStatement", "present", true
}

func checkSession(f *facts) (string, string, bool) {
	for _, s := range f.assertion.AuthnStatements {
		if expected, got, ok := stillValid(s.SessionNotOnOrAfter, f); !ok {
			return expected, got, false
		}
	}
	return "a session that goes on", "yes", true
}

// notAfter: t is absent or not in the future.
func notAfter(t time.Time, f *facts) (string, string, bool) {
	limit := f.expect.Now.Add(f.party.Skew)
	return fmt.Sprintf("not after %s", stamp(limit)), stamp(t), !t.After(limit)
}

// stillValid: t, an end, is absent or in the future.
func stillValid(t time.Time, f *facts) (string, string, bool) {
	limit := f.expect.Now.Add(-f.party.Skew)
	return fmt.Sprintf("after %s", stamp(limit)), stamp(t), t.IsZero() || t.After(limit)
}

// stamp writes a time for a trace.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}
