package sso

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
)

// oidcAlgorithms may sign an ID token. HS256 would make the client secret a
// signing key, and "none" anybody's.
var oidcAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Discovery is asked for daily; a failed attempt is remembered for a moment, so
// that clicking again does not hammer an issuer that is down.
const (
	discoveryAge   = 24 * time.Hour
	discoveryRetry = 2 * time.Second
	discoveryMax   = 1000 // issuers kept in memory
)

// oidcIssuer is one provider as its discovery document describes it.
type oidcIssuer struct {
	provider   *oidc.Provider
	keys       *oidcKeys
	algorithms []string // what it signs ID tokens with, of those we take
	userinfo   string
	sendsIss   bool // promises the iss response parameter (RFC 9207)
	secretPost bool // takes the client secret in the body only
}

// oidcIssuers remembers discovery documents and key sets.
type oidcIssuers struct {
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex // guards byURL, not the entries
	byURL map[string]*oidcEntry
}

type oidcEntry struct {
	mu     sync.Mutex // held during discovery, so that one at a time is enough
	issuer *oidcIssuer
	err    error
	tried  time.Time
}

func newOIDCIssuers(client *http.Client, now func() time.Time) *oidcIssuers {
	return &oidcIssuers{client: client, now: now, byURL: map[string]*oidcEntry{}}
}

// get is the issuer, from memory when it was asked less than a day ago. Faults:
// Unavailable (it does not answer), Invalid (its document cannot be used).
func (s *oidcIssuers) get(ctx context.Context, issuer string) (*oidcIssuer, error) {
	e := s.entry(issuer)
	e.mu.Lock()
	defer e.mu.Unlock()
	age := s.now().Sub(e.tried)
	if e.issuer != nil && age < discoveryAge {
		return e.issuer, nil
	}
	if e.err != nil && age < discoveryRetry {
		return nil, e.err
	}
	found, err := s.discover(context.WithoutCancel(ctx), issuer)
	if err != nil && e.issuer != nil && fault.Is(err, fault.Unavailable) {
		return e.issuer, nil // yesterday's document is better than no sign-in
	}
	if found != nil && e.issuer != nil && e.issuer.keys.url == found.keys.url {
		found.keys = e.issuer.keys
	}
	e.issuer, e.err, e.tried = found, err, s.now()
	return found, err
}

func (s *oidcIssuers) entry(issuer string) *oidcEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byURL[issuer]
	if e == nil {
		if len(s.byURL) >= discoveryMax {
			clear(s.byURL)
		}
		e = &oidcEntry{}
		s.byURL[issuer] = e
	}
	return e
}

func (s *oidcIssuers) discover(ctx context.Context, issuer string) (*oidcIssuer, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.client), issuer)
	if err != nil {
		return nil, discoveryFault(err, issuer)
	}
	var doc struct {
		JWKS        string   `json:"jwks_uri"`
		SendsIss    bool     `json:"authorization_response_iss_parameter_supported"`
		Algorithms  []string `json:"id_token_signing_alg_values_supported"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&doc); err != nil {
		return nil, fault.Invalid.Wrap(err, "The discovery document of %s cannot be read.", hostOf(issuer))
	}
	for name, address := range map[string]string{
		"authorization_endpoint": provider.Endpoint().AuthURL,
		"token_endpoint":         provider.Endpoint().TokenURL,
		"jwks_uri":               doc.JWKS,
	} {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" ||
			u.Scheme == "http" && strings.HasPrefix(issuer, "https:") {
			return nil, fault.Invalid.On("issuer", "The discovery document of %s has no usable %s.", hostOf(issuer), name)
		}
	}
	algorithms, err := pickAlgorithms(doc.Algorithms)
	if err != nil {
		return nil, err
	}
	return &oidcIssuer{
		provider:   provider,
		keys:       &oidcKeys{url: doc.JWKS, client: s.client, now: s.now},
		algorithms: algorithms,
		userinfo:   provider.UserInfoEndpoint(),
		sendsIss:   doc.SendsIss,
		secretPost: len(doc.AuthMethods) > 0 && !slices.Contains(doc.AuthMethods, "client_secret_basic"),
	}, nil
}

// discoveryFault drops what go-oidc repeats of the other side's answer.
func discoveryFault(err error, issuer string) error {
	if m, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return fault.Invalid.On("issuer", "The provider calls itself %q, not %q. Enter it exactly so, with or without the last slash.", answer.Clip(m.Discovered, 200), m.Provided)
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return unreachable(err, "identity provider", issuer)
	}
	return fault.Unavailable.Wrap(err, "There is no discovery document at %s/.well-known/openid-configuration.", strings.TrimSuffix(issuer, "/"))
}

// pickAlgorithms keeps what we take of what the issuer offers. A document
// without the list means RS256, which every provider must offer (OpenID Connect
// Core 1.0 §15.1).
func pickAlgorithms(offered []string) ([]string, error) {
	if len(offered) == 0 {
		return []string{oidc.RS256}, nil
	}
	var out []string
	for _, a := range oidcAlgorithms {
		if slices.Contains(offered, string(a)) {
			out = append(out, string(a))
		}
	}
	if len(out) == 0 {
		return nil, fault.Invalid.On("issuer", "The provider signs ID tokens with %s only. Choose RS256 (or another asymmetric algorithm) for this application at the provider.", answer.Clip(strings.Join(offered, ", "), 100))
	}
	return out, nil
}

// oauth is the OAuth 2.0 client of one connection at this issuer.
func (i *oidcIssuer) oauth(clientID, clientSecret, redirect string, scopes []string) *oauth2.Config {
	endpoint := i.provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if i.secretPost || clientSecret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: clientID, ClientSecret: clientSecret, Endpoint: endpoint, RedirectURL: redirect, Scopes: scopes}
}

// exchange trades the code for tokens. The answer's body never gets into an
// error: only the code that RFC 6749 §5.2 defines does.
func (s *oidcIssuers) exchange(ctx context.Context, client *oauth2.Config, code, verifier string, trace *answer.Trace) (access, idToken string, err error) {
	token, err := client.Exchange(oidc.ClientContext(ctx, s.client), code, oauth2.VerifierOption(verifier))
	if err != nil {
		got := "no usable answer"
		if r, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
			got = fmt.Sprintf("status %d, error %q", r.Response.StatusCode, answer.Clip(r.ErrorCode, 60))
		}
		trace.Add(answer.Check{Name: "token endpoint", Expected: "tokens for the code", Got: got,
			Hint: "Check the client ID, the client secret and that the redirect URL is entered exactly at the provider."})
		if _, ok := errors.AsType[*url.Error](err); ok {
			return "", "", unreachable(err, "token endpoint", client.Endpoint.TokenURL)
		}
		return "", "", fault.Invalid.Say("The identity provider did not complete the sign-in.")
	}
	idToken, _ = token.Extra("id_token").(string)
	if !trace.Add(answer.Check{Name: "id_token", Expected: "an ID token", Got: fmt.Sprintf("%d characters", len(idToken)), OK: idToken != "",
		Hint: "The application at the provider must be an OpenID Connect one and the scope openid allowed."}) {
		return "", "", fault.Invalid.Say("The identity provider did not say who signed in.")
	}
	return token.AccessToken, idToken, nil
}

// userInfo asks for claims that the ID token lacks.
func (s *oidcIssuers) userInfo(ctx context.Context, endpoint, accessToken string) (oidcClaims, error) {
	ctx, cancel := context.WithTimeout(ctx, egressTimeout)
	defer cancel()
	src := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: accessToken})
	client := oauth2.NewClient(oidc.ClientContext(ctx, s.client), src)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errOtherHost } // the token goes nowhere else
	body, _, err := fetch(ctx, client, "userinfo endpoint", endpoint)
	if err != nil {
		return nil, err
	}
	return parseClaims(body)
}
