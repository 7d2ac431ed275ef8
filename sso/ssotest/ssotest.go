// Package ssotest has identity providers for tests: in this process, SAML (IDP)
// and OpenID Connect (OIDC), which behave unless a test makes them lie in one
// way; and one that was not written by us (OIDCProvider), which is run with node.
package ssotest
