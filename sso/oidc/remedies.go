package oidc

import "strings"

// remedy is what an administrator changes when a provider says something.
type remedy struct {
	vendor string // empty: any
	says   string // in the error code or its text
	do     string
}

// remedies, the special before the general. Entra's numbers:
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var remedies = []remedy{
	{"", "AADSTS50105", "Entra: assign the person or one of their groups to the enterprise application (Users and groups), or set Assignment required to No."},
	{"", "AADSTS501051", "Entra: assign the person to the application role that is asked for (Users and groups)."},
	{"", "AADSTS7000222", "Entra: the client secret has expired. Make a new one (Certificates & secrets) and enter its value here."},
	{"", "AADSTS7000215", "Entra: the client secret is wrong. Enter the secret's value, not its ID (Certificates & secrets)."},
	{"", "AADSTS7000218", "Entra: the application expects a client secret. Enter one here, and add the redirect URL under the platform Web."},
	{"", "AADSTS9002325", "Entra: move the redirect URL from the platform Single-page application to Web."},
	{"", "AADSTS9002326", "Entra: move the redirect URL from the platform Single-page application to Web."},
	{"", "AADSTS700016", "Entra: there is no application with this client ID in the tenant. Check client ID and issuer."},
	{"", "AADSTS700027", "Entra: upload this connection's certificate (Certificates & secrets) again; the one there is another."},
	{"", "AADSTS90002", "Entra: there is no such tenant. Check the tenant ID in the issuer."},
	{"", "AADSTS50011", "Entra: add the redirect URL of this connection to the application (Authentication, platform Web), exactly so."},
	{"", "AADSTS50020", "Entra: the account is of another tenant. Sign in with an account of this tenant, or invite it there as a guest."},
	{"", "AADSTS65001", "Entra: grant admin consent for the application (API permissions)."},
	{"", "AADSTS65004", "Entra: the person declined consent. Grant admin consent for the application (API permissions)."},
	{"", "AADSTS90094", "Entra: grant admin consent for the application (API permissions)."},
	{"", "AADSTS53000", "Entra: a Conditional Access policy wants a compliant device."},
	{"", "AADSTS53003", "Entra: a Conditional Access policy blocks this sign-in. The tenant's sign-in log names the policy."},
	{"", "AADSTS50076", "Entra: multi-factor authentication is needed and was not completed."},
	{"", "AADSTS50057", "Entra: the person's account is disabled there."},
	{"", "AADSTS54005", "The code was used already, for example by reloading the page. Start the sign-in again."},
	{"", "AADSTS70008", "The code was too old. Start the sign-in again."},
	{"", "AADSTS50148", "Entra: PKCE did not fit. Check that nothing between the browser and this server changes the URL."},

	{"okta", "not assigned", "Okta: assign the person or one of their groups to the application (Assignments)."},
	{"okta", "policy evaluation failed", "Okta: the authorization server's access policies allow no rule for this application. Add one (Security, API)."},
	{"okta", "access_denied", "Okta: assign the person to the application, and look at its sign-in policy (Sign On)."},
	{"okta", "invalid_scope", "Okta: grant the scopes of this connection; groups needs a groups claim filter (Sign On, OpenID Connect ID Token)."},
	{"okta", "invalid_client", "Okta: check the client ID and secret (General, Client Credentials), and that client authentication there is the one of this connection."},
	{"okta", "dpop", "Okta: switch Require Demonstrating Proof of Possession off for the application (General)."},
	{"google", "org_internal", "Google: the application's consent screen is Internal; only accounts of its Workspace may sign in."},
	{"google", "admin_policy_enforced", "Google: allow the application in the Workspace's Admin console (Security, API controls)."},
	{"google", "disabled_client", "Google: the client was disabled in the Google Cloud console."},
	{"google", "access_denied", "Google: the person declined, or the Admin console blocks the application (Security, API controls)."},
	{"google", "invalid_client", "Google: check the client ID and secret (Google Cloud console, Clients)."},
	{"keycloak", "authentication_expired", "Keycloak: its sign-in page was open too long. Start again."},
	{"keycloak", "invalid client or invalid client credentials", "Keycloak: check the client ID and the secret (Clients, Credentials), and that Client Authenticator there is the one of this connection."},
	{"keycloak", "unauthorized_client", "Keycloak: check the secret (Clients, Credentials), and switch Standard flow on (Capability config)."},
	{"keycloak", "invalid_scope", "Keycloak: add the scopes of this connection to the client (Client scopes)."},
	{"auth0", "not enabled within domain", "Auth0: the application is not known in this tenant. Check client ID and issuer."},
	{"auth0", "grant type", "Auth0: allow the grant Authorization Code (application, Advanced Settings, Grant Types)."},
	{"auth0", "unauthorized", "Auth0: a rule or an action refused the person. Look into the tenant's log."},
	{"auth0", "access_denied", "Auth0: a rule, an action or a missing connection refused the person. Look into the tenant's log."},
	{"auth0", "invalid_client", "Auth0: check the secret, and that the Authentication Method there (Credentials) is the one of this connection."},
	{"onelogin", "access_denied", "OneLogin: give the person access to the app (Users, Applications), or check the app's policy."},
	{"onelogin", "invalid_client", "OneLogin: check the secret (SSO), and that the Token Endpoint Authentication Method there is the one of this connection."},
	{"jumpcloud", "access_denied", "JumpCloud: give one of the person's user groups access to the application (User Groups)."},
	{"jumpcloud", "invalid_client", "JumpCloud: check the secret, and that the Client Authentication Type there is the one of this connection."},
	{"ping", "access_denied", "Ping: give the person's group access to the application (Access), and look at its authentication policy."},
	{"ping", "invalid_client", "Ping: check the secret, and that the Token Endpoint Authentication Method there is the one of this connection."},
	{"ping", "not enabled", "Ping: switch the application on."},
	{"adfs", "msis9", "AD FS: look for this number in the server's event log (AD FS, Admin)."},

	{"", "redirect", "Enter the redirect URL of this connection exactly at the identity provider."},
	{"", "pkce", "Allow PKCE with S256 for the application at the identity provider."},
	{"", "access_denied", "Assign the person to the application at the identity provider."},
	{"", "invalid_scope", "Allow the scopes of this connection for the application at the identity provider."},
	{"", "unauthorized_client", "Allow the authorization code flow for the application at the identity provider."},
	{"", "unsupported_response_type", "Allow the authorization code flow for the application at the identity provider."},
	{"", "invalid_client", "Check the client ID and the client secret (a new one may have replaced it, or it may have expired), and how the client proves itself at the token endpoint."},
	{"", "invalid_grant", "The code was refused: it was used already, took too long, or the redirect URL is not entered exactly at the identity provider."},
	{"", "invalid_request", "Enter the redirect URL of this connection exactly at the identity provider, and look into its log."},
	{"", "unmet_authentication_requirements", "The provider cannot sign people in as this connection asks (acr_values). Change that setting, or configure it there."},
	{"", "login_required", "Sign in at the identity provider first, or remove a prompt that forbids asking."},
	{"", "server_error", "Look into the identity provider's own log."},
	{"", "temporarily_unavailable", "The identity provider is overloaded or being maintained."},
}

// Remedy says what to change when a provider answers with an error code and a
// text; empty code: it answered with nothing that can be read.
func Remedy(vendor, code, text string) string {
	said := strings.ToLower(code + " " + text)
	for _, r := range remedies {
		if (r.vendor == "" || r.vendor == vendor) && strings.Contains(said, strings.ToLower(r.says)) && wholeNumber(said, r.says) {
			return r.do
		}
	}
	return "Check the client ID, the client secret and that the redirect URL is entered exactly at the provider."
}

// wholeNumber keeps AADSTS50105 from answering for AADSTS501051.
func wholeNumber(said, number string) bool {
	if !strings.HasPrefix(number, "AADSTS") {
		return true
	}
	at := strings.Index(said, strings.ToLower(number)) + len(number)
	return at >= len(said) || said[at] < '0' || said[at] > '9'
}
