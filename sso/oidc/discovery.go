package oidc

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// Discovery is asked for daily. A failed attempt is remembered for a moment, so
// that clicking again does not hammer an issuer that is down; with yesterday's
// document in hand, for longer.
const (
	discoveryAge   = 24 * time.Hour
	discoveryRetry = 2 * time.Second
	discoveryAgain = 5 * time.Minute
	issuersMax     = 1000 // kept in memory
)

// Issuer is one provider as its discovery document describes it (OpenID Connect
// Discovery 1.0 §3). It does not change; a newer document makes a new one.
type Issuer struct {
	URL        string
	EndSession string   // where a browser signs out there (RP-Initiated Logout 1.0); empty: nowhere
	Algorithms []string // what it signs ID tokens with, of those we take

	authorization, token, userinfo string
	sendsIss                       bool     // promises the iss response parameter (RFC 9207)
	authMethods, authAlgorithms    []string // of clients at the token endpoint; nil: not said

	keys *keySet
	ask  Asker
}

// Issuers remembers discovery documents and key sets. Safe for concurrent use.
type Issuers struct {
	ask Asker
	now func() time.Time

	mu    sync.Mutex // guards byURL, not the entries
	byURL map[string]*entry
}

type entry struct {
	fetching sync.Mutex // held during discovery, so that one at a time is enough

	mu     sync.Mutex // guards what follows
	issuer *Issuer    // the last good one
	err    error      // of the last attempt
	good   time.Time  // when issuer was read
	tried  time.Time
	used   time.Time
}

// NewIssuers makes an empty memory.
func NewIssuers(ask Asker, now func() time.Time) *Issuers {
	return &Issuers{ask: ask, now: now, byURL: map[string]*entry{}}
}

// Get is the issuer, from memory when it was asked less than a day ago. When it
// cannot be asked again, what it said last stays good. Faults: Unavailable (it
// does not answer), Invalid (its document cannot be used).
func (s *Issuers) Get(ctx context.Context, issuer string) (*Issuer, error) {
	e := s.entry(issuer)
	if i, err, ok := e.known(s.now()); ok {
		return i, err
	}
	if last := e.last(); last != nil && !e.fetching.TryLock() {
		return last, nil // somebody is asking; nobody else needs to wait
	} else if last == nil {
		e.fetching.Lock()
	}
	defer e.fetching.Unlock()
	if i, err, ok := e.known(s.now()); ok {
		return i, err
	}
	// The answer serves everybody who waits, so one browser that goes away must not end it.
	found, err := s.Discover(context.WithoutCancel(ctx), issuer)
	return e.keep(found, err, s.now())
}

func (s *Issuers) entry(issuer string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byURL[issuer]
	if e == nil {
		if len(s.byURL) >= issuersMax {
			s.forgetOne()
		}
		e = &entry{}
		s.byURL[issuer] = e
	}
	e.mu.Lock()
	e.used = s.now()
	e.mu.Unlock()
	return e
}

// forgetOne drops what was not used for longest; s.mu is held.
func (s *Issuers) forgetOne() {
	var name string
	var oldest time.Time
	for n, e := range s.byURL {
		e.mu.Lock()
		used := e.used
		e.mu.Unlock()
		if name == "" || used.Before(oldest) {
			name, oldest = n, used
		}
	}
	delete(s.byURL, name)
}

// known is the answer that needs no request; ok is false when there is none.
func (e *entry) known(now time.Time) (i *Issuer, err error, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	tried := now.Sub(e.tried)
	switch {
	case e.issuer != nil && (now.Sub(e.good) < discoveryAge || tried < discoveryAgain):
		return e.issuer, nil, true
	case e.issuer == nil && e.err != nil && tried < discoveryRetry:
		return nil, e.err, true
	}
	return nil, nil, false
}

func (e *entry) last() *Issuer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.issuer
}

// keep notes an attempt. The keys outlive the document as long as they are at the
// same address.
func (e *entry) keep(found *Issuer, err error, now time.Time) (*Issuer, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tried, e.err = now, err
	if err == nil {
		if e.issuer != nil && e.issuer.keys.url == found.keys.url {
			found.keys = e.issuer.keys
		}
		e.issuer, e.good = found, now
	}
	if e.issuer != nil {
		return e.issuer, nil
	}
	return nil, err
}

// Discover asks the issuer, past the memory. Faults as with Get.
func (s *Issuers) Discover(ctx context.Context, issuer string) (*Issuer, error) {
	at := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fault.Invalid.On("issuer", "%q is not an issuer.", answer.Clip(issuer, 200))
	}
	req.Header.Set("Accept", "application/json")
	reply, err := s.ask(req, fault.Word("identity provider"))
	if err != nil {
		return nil, err
	}
	if reply.Status != http.StatusOK {
		return nil, fault.Unavailable.Say("There is no discovery document at %s (status %d).", at, reply.Status)
	}
	doc, err := parseClaims(reply.Body)
	if err != nil {
		return nil, fault.Invalid.Wrap(err, "The discovery document of %s cannot be read.", hostOf(issuer))
	}
	if err := sameName(issuer, doc.Text("issuer")); err != nil {
		return nil, err
	}
	return s.issuerOf(issuer, doc)
}

// sameName wants the issuer to call itself as it was entered, letter for letter:
// that is the name its tokens will have (OpenID Connect Discovery 1.0 §4.3).
func sameName(entered, own string) error {
	switch {
	case own == entered:
		return nil
	case strings.Contains(own, "{tenantid}"):
		return fault.Invalid.On("issuer", "This Entra issuer is for every tenant. Enter your own: https://login.microsoftonline.com/TENANT-ID/v2.0.")
	case strings.HasPrefix(own, "https://sts.windows.net/"):
		return fault.Invalid.On("issuer", "This is Entra's old (v1.0) issuer. Add /v2.0 at its end: https://login.microsoftonline.com/TENANT-ID/v2.0.")
	}
	return fault.Invalid.On("issuer", "The provider calls itself %q, not %q. Enter it exactly so, with or without the last slash.", answer.Clip(own, 200), entered)
}

func (s *Issuers) issuerOf(issuer string, doc Claims) (*Issuer, error) {
	i := &Issuer{URL: issuer, ask: s.ask}
	var jwks string
	for _, e := range []struct {
		name string
		into *string
		must bool
	}{
		{"authorization_endpoint", &i.authorization, true},
		{"token_endpoint", &i.token, true},
		{"jwks_uri", &jwks, true},
		{"userinfo_endpoint", &i.userinfo, false},
		{"end_session_endpoint", &i.EndSession, false},
	} {
		*e.into = doc.Text(e.name)
		if doc.has(e.name) && !usableEndpoint(issuer, *e.into) || e.must && *e.into == "" {
			return nil, fault.Invalid.On("issuer", "The discovery document of %s has no usable %s.", hostOf(issuer), e.name)
		}
	}
	offered, _ := doc.list("id_token_signing_alg_values_supported")
	var err error
	if i.Algorithms, err = PickAlgorithms(offered); err != nil {
		return nil, err
	}
	i.sendsIss = doc.word("authorization_response_iss_parameter_supported") == answer.SaidYes
	i.authMethods, _ = doc.list("token_endpoint_auth_methods_supported")
	i.authAlgorithms, _ = doc.list("token_endpoint_auth_signing_alg_values_supported")
	i.keys = newKeySet(jwks, s.ask, s.now)
	return i, nil
}

// usableEndpoint holds the endpoints to the issuer's own scheme: nothing of an
// issuer on https goes over plain http.
func usableEndpoint(issuer, address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && u.User == nil && u.Fragment == "" &&
		(u.Scheme == "https" || u.Scheme == "http" && strings.HasPrefix(issuer, "http:"))
}

// PickAlgorithms keeps what we take of what is offered. No list means RS256, which
// every provider must offer (OpenID Connect Core 1.0 §15.1). Faults: Invalid
// (nothing is left).
func PickAlgorithms(offered []string) ([]string, error) {
	if len(offered) == 0 {
		return []string{"RS256"}, nil
	}
	var out []string
	for _, a := range algorithms {
		if slices.Contains(offered, string(a)) {
			out = append(out, string(a))
		}
	}
	if len(out) == 0 {
		return nil, fault.Invalid.On("issuer", "The provider signs ID tokens with %s only. With HS256 the client secret would be the signing key, so whoever has it could sign in as anybody. "+
			"Choose RS256 (or another asymmetric algorithm) for this application at the provider.", answer.Clip(strings.Join(offered, ", "), 100))
	}
	return out, nil
}

// CheckIssuer refuses what is no issuer, and issuers that stand for everybody's
// tenants: a token of any organization in the world would be good for this one.
// Faults: Invalid on "issuer".
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || !clean(issuer) {
		return fault.Invalid.On("issuer", "%q is not an issuer. It looks like https://login.example.com, without query or fragment.", answer.Clip(issuer, 200))
	}
	if u.Host == "sts.windows.net" {
		return fault.Invalid.On("issuer", "This is Entra's old (v1.0) issuer. Use https://login.microsoftonline.com/TENANT-ID/v2.0.")
	}
	switch tenant := EntraTenant(issuer); tenant {
	case "common", "organizations", "consumers":
		return fault.Invalid.On("issuer", "The Entra issuer %q is for every tenant. Use your own: https://%s/TENANT-ID/v2.0.", issuer, u.Host)
	}
	return nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "that address"
	}
	return u.Host
}
