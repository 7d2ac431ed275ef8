package sso

import (
	"maps"
	"slices"
)

// remedyOf is what to change so that a check holds, in the words of the vendor's own
// console. traced: the check stands in a trace, so that a provider's answer failed it.
// The same table is docs/sso/troubleshooting.md.
func remedyOf(vendor, check string, traced bool) string {
	if check == "status" && !traced {
		check = failedAccount
	}
	if s := vendorRemedies[vendor][check]; s != "" {
		return s
	}
	return remedies[check]
}

// Names of what can fail beside the checks of a provider's answer.
const (
	failedAccount    = "account status" // "status" without a trace
	failedConnection = "connection"     // there is none at this address
	failedPassword   = "password"
	failedAddress    = "unknown address"
	failedNone       = "no password"
	failedTemporary  = "temporary password"
	failedLocked     = "locked"
	failedCode       = "recovery code"
	failedSecond     = "second factor"
	failedPasskey    = "passkey"
	failedCounter    = "signature counter"
	failedFlood      = "flood" // refusals that have no row of their own
)

const (
	theClocks   = "Set " + bothClocks
	setClocks   = "set " + bothClocks
	bothClocks  = "both clocks by NTP: this server's and the identity provider's. A small difference is allowed by the connection's setting for clock skew."
	importAgain = "Import the identity provider's metadata again on the connection's page."
	ownFault    = "Nothing at the identity provider. Give the reference to the operator of this server."
	startHere   = "Start the sign-in again from the sign-in page here, in the same browser and within 15 minutes. Bookmarks of the identity provider's own page do not work."
	sessionOver = "The session at the identity provider is over. Sign out there, and sign in again."
	noSecond    = "Nothing: the person signs in again. If it happens to many, look for a proxy that repeats requests, or for somebody who copies answers."
)

// Another identity provider, and what is the same for all: saml-core-2.0, saml-profiles-2.0
// §4.1, OpenID Connect Core 1.0 §3.1.3.7, RFC 6749 §4.1.2.1 and §5.2 say what the checks mean.
var remedies = map[string]string{
	"seats": "All seats are taken. Deactivate somebody who no longer needs access, or ask whoever runs this server for more seats. The person then signs in again.",
	// SAML, the form of the answer
	"encoding": "The identity provider must post the response base64 encoded in the field SAMLResponse, at most 512 KiB. Send fewer groups or attributes if it is larger.",
	"xml":      "The response is not one plain UTF-8 XML document, or is too large. Send fewer groups or attributes; take comments and a DOCTYPE out of a template.",
	"response": "The identity provider posted something other than a SAML 2.0 response, such as a logout message. Enter the ACS URL only where the single sign-on URL is asked for.",
	"status":   "The identity provider itself refused: its log says why. Most often the person is not assigned to this application there.",
	"shape":    "A response must hold one assertion, with signatures only on the response and on the assertion. Switch off whatever puts several assertions into one response.",
	// SAML, signatures and encryption
	"certificates":             importAgain + " It holds no certificate for signing that can be used.",
	"response.signature":       "The identity provider signs with another certificate than the one stored here. " + importAgain,
	"response.signature.form":  "Let the identity provider sign with RSA-SHA256 and digest SHA-256, over the response, with exclusive canonicalization.",
	"assertion":                "The response holds no assertion that its signature covers. Let the identity provider sign the assertion as well.",
	"assertion.signature":      "The identity provider signs with another certificate than the one stored here. " + importAgain,
	"assertion.signature.form": "Let the identity provider sign with RSA-SHA256 and digest SHA-256, over the assertion, with exclusive canonicalization.",
	"signed":                   "Let the identity provider sign the assertion, or the response, with RSA-SHA256. If the connection here wants the response signed, sign that one.",
	"decryption":               "The identity provider encrypts with a key that is not ours (any more), or in a way that is not accepted. Give it the connection's metadata again, and choose AES-GCM with RSA-OAEP.",
	"decryption.content":       "What was encrypted is not one well-formed assertion. Encrypt the assertion as a whole, and nothing else.",
	// SAML, what the answer says
	"response.version":           "Choose SAML 2.0 at the identity provider.",
	"response.issuer":            "The entity ID of the identity provider is another one than stored here. " + importAgain,
	"response.destination":       "Enter the connection's Single sign-on URL (ACS) at the identity provider, letter by letter; it is also called Reply URL, Recipient, Destination or Consumer URL.",
	"response.in_response_to":    startHere,
	"assertion.version":          "Choose SAML 2.0 at the identity provider.",
	"assertion.issuer":           "The entity ID of the identity provider is another one than stored here. " + importAgain,
	"assertion.issued":           theClocks,
	"subject":                    "Let the identity provider send an identifier that never changes for a person: a NameID of format persistent, or the immutable id as an attribute. A transient NameID cannot be used.",
	"subject.confirmation":       "Enter the connection's ACS URL also as Recipient at the identity provider. If it is right there, set both clocks by NTP.",
	"conditions":                 "The identity provider must send Conditions with an audience restriction, and no condition that only it understands.",
	"conditions.audience":        "Enter the connection's Audience URI (entity ID) at the identity provider, letter by letter; it is also called Identifier, SP Entity ID or Audience.",
	"conditions.not_before":      theClocks,
	"conditions.not_on_or_after": "The answer came too late: sign in again. If it happens to everybody, " + setClocks,
	"authentication":             "The identity provider must say when the person signed in (AuthnStatement). Leave it in the assertion's template.",
	"authentication.session":     sessionOver,
	"authentication.fresh":       "A fresh sign-in was asked for, and the identity provider answered with an older one. Let it honour ForceAuthn for this application, or switch the connection's setting off.",
	"authentication.context":     "The person signed in with less than this connection asks for. Require the method (such as a second factor) for this application at the identity provider, or add what it answered to the connection's accepted classes.",
	"conditions.use":             "The identity provider sends conditions that contradict one another. Send each of them once.",
	"encrypted":                  "The connection wants encrypted assertions. Give the identity provider the connection's metadata and switch encryption on, or switch the connection's setting off.",
	"decryption.attribute":       "An attribute is encrypted with a key that is not ours (any more), or more than ten are. Give the identity provider the connection's metadata again, or let it encrypt the whole assertion instead.",
	"decryption.name_id":         "The NameID is encrypted with a key that is not ours (any more). Give the identity provider the connection's metadata again, or let it send the NameID unencrypted.",
	// SAML, sign-out
	"message":         "The identity provider sent something other than a SAML 2.0 logout message. Enter the connection's Single logout URL only where that one is asked for.",
	"content":         "The logout message has a part twice, or a time that cannot be read. That is a fault of the identity provider.",
	"name_id":         "The logout message names nobody that can be read. Let the identity provider send the NameID unencrypted, or give it the connection's metadata again.",
	"in_response_to":  "The answer to a sign-out is not to one of ours. Nothing to change, unless it happens each time: then look for a proxy that repeats requests.",
	"version":         "Choose SAML 2.0 at the identity provider.",
	"issuer":          "The entity ID of the identity provider is another one than stored here. " + importAgain,
	"destination":     "Enter the connection's Single logout URL at the identity provider, letter by letter.",
	"issued":          theClocks,
	"not_on_or_after": "The logout message came too late. If it happens each time, " + setClocks,
	"signature.form":  "Let the identity provider sign logout messages with RSA-SHA256.",
	"RelayState":      "The sign-in began at the identity provider. Have its tile open the connection's login URL, or allow sign-ins from there in the connection's settings.",
	"binding":         "The identity provider's metadata names no single sign-on address that fits the connection's setting for the request. " + importAgain,
	// OpenID Connect
	"error parameter":       "The identity provider refused and said why in what was received. access_denied: assign the person to the application there. invalid_request or redirect_uri: enter the connection's redirect URL exactly. invalid_scope: allow the connection's scopes.",
	"iss parameter":         "The answer came from another identity provider than this connection's. Compare the issuer on the connection's page with the provider's; behind a proxy, its public address must be the issuer.",
	"iss":                   "The issuer of the token is another one than the connection's. Enter the issuer exactly as the provider's discovery document has it, also the slash at its end.",
	"code":                  "The identity provider sent neither a code nor an error. Allow the authorization code flow for the application there.",
	"client authentication": "The identity provider takes none of the ways in which this connection can prove itself. Choose client_secret_basic, client_secret_post or private_key_jwt for the application there, and the same in the connection's settings.",
	"token endpoint":        "The identity provider did not give tokens for the code. invalid_client: enter the client secret again (it may have expired). invalid_grant: the redirect URL differs, or the code was used twice.",
	"token_type":            "The identity provider sent tokens of another kind than Bearer. Switch off DPoP or proof of possession for this application.",
	"id_token":              "No ID token came. The scope openid must be allowed for the application, and the application be an OpenID Connect one, not OAuth alone.",
	"size":                  "The token is too large. Send fewer groups or claims.",
	"token":                 "What came as ID token is none (a signed JWT). Choose ID tokens in JWT form at the identity provider.",
	"encryption":            "Switch the encryption of ID tokens off for the application at the identity provider.",
	"algorithm":             "Let the identity provider sign ID tokens with RS256, PS256 or ES256. HS256 and none are never accepted.",
	"signature":             "No current key of the identity provider has made the signature. If its keys were just changed, sign in again in half a minute; if the application has a key of its own, choose the standard one. Over SAML, import the metadata again.",
	"claims":                "The ID token is no JSON object, or names a claim twice. Take doubled claims out of the token's mapping.",
	"library":               "The ID token breaks OpenID Connect in a way that its checks do not name; what was received says how.",
	"aud":                   "The token was made for another application. Enter this application's client id in the connection's settings.",
	"azp":                   "The token has several audiences and was given to another application. Enter this application's client id in the connection's settings.",
	"typ":                   "Another kind of token came in the ID token's place. Use the application's standard ID token.",
	"exp":                   theClocks,
	"iat":                   theClocks,
	"nbf":                   theClocks,
	"session_expiry":        sessionOver,
	"nonce":                 startHere,
	"sub":                   "The identity provider sent no usable sub. Send one of 1 to 255 characters that never changes for a person.",
	"at_hash":               "The ID token belongs to another access token. Look for a proxy that mixes answers; else it is a fault of the identity provider.",
	"auth_time":             "The identity provider did not ask the person to sign in again, or does not say when it did. Let it honour max_age and send auth_time.",
	"acr":                   "The person signed in with less than this connection asks for. Require the method (such as a second factor) for this application at the identity provider, or take the requested class out of the connection's settings.",
	"userinfo":              "The identity provider's userinfo endpoint did not answer with claims. Allow the scopes profile and email for the application.",
	"userinfo sub":          "The userinfo endpoint spoke of somebody else than the ID token. That is a fault of the identity provider; put the claims into the ID token instead.",
	"tid":                   "The person signed in with another tenant. The connection takes the tenant in its issuer only.",
	"oid":                   "The claim oid is missing. Ask for the scope profile.",
	"hd":                    "The person signed in with a Google account outside the organization. Sign in with the account of the organization, whose domain must be verified here.",
	"events":                "The logout token is none: it lacks its event. That is a fault of the identity provider.",
	"jti":                   "The logout token has no id (jti). That is a fault of the identity provider.",
	"sid":                   "The sign-out names no session that can be read. Let the identity provider include sid in ID tokens and in sign-outs.",
	"sid, sub":              "The logout token names neither a session nor a person. Let the identity provider include sid.",
	// Whose account it is
	"account":         "Several accounts fit, or the user name belongs to somebody with another address. Give one of them another address, user name or external id; the hint names them.",
	failedAccount:     "The account here is deactivated or deleted, or the connection is not open. A sign-in never brings either back: reactivate or restore the person, or activate the connection.",
	"break-glass":     "Accounts for emergencies sign in with their password only, at /o/ORG/login?with=password.",
	"domain":          "Verify the mail domain of the address under Domains, or, if it is assigned to another connection, assign it to this one too.",
	"email_verified":  "Let the identity provider send email_verified, or assign the verified domain to this connection under Domains: then the organization vouches for its addresses.",
	"identity":        "The account is bound to another subject of this connection. If the person was made anew at the identity provider, remove the old identity on the person's page.",
	"moved":           "The people of this connection were moved to another one, and sign in there. Undo the move on the connection's page if it was a mistake.",
	"unlinked":        "An admin has parted this account at the identity provider from the person here. Remove the parting on the person's page if it was a mistake.",
	"not provisioned": "Invite or create the person; or assign them to the provisioning of the directory; or let the connection create accounts (setting accounts: jit).",
	"policy":          "The organization's rule under Security does not allow this way of signing in for the person. Change it there, or sign in as it says.",
	"profile":         "The name or address that the identity provider sent cannot be stored. Correct the person's details there, or the mapping.",
	failedPassword:    "The password was wrong. The person can set a new one with the link on the sign-in page; after many attempts the account waits up to a quarter of an hour.",
	failedAddress:     "The person typed the address or user name wrongly, was deleted, or belongs to another organization. Compare it with the one on the person's page.",
	failedNone:        "The person opens the invitation, signs in over single sign-on, or sets a password with the link on the sign-in page.",
	failedTemporary:   "Set another temporary password on the person's page, or mail a link for a new one.",
	failedLocked:      "Wait, at most a quarter of an hour, or set a new password with the link on the sign-in page, which ends the wait of the account. If the person did not try so often, somebody guesses: look at where the attempts came from.",
	failedCode:        "The password was right and the recovery code was not. Each code works once; an admin makes new ones under Security. If it was not the owner, set a new password too.",
	failedSecond:      "The password was right and the code was not. A code works once, and the telephone's clock must be right. Who has lost the app uses a recovery code, or an admin resets the second factors on the person's page. If it was not the person, set a new password.",
	failedPasskey:     "The passkey is not registered here (any more), is of another account or organization, or its device did not check who holds it. The person signs in another way and makes a new one.",
	failedCounter:     "The device's counter went back, as it does when somebody has a copy of the passkey. It is stopped: the person removes it and makes a new one. If there are more such cases, find out who had the device.",
	// Where nobody is to blame, or we are
	"replay":         noSecond,
	"panic":          ownFault,
	"internal":       ownFault,
	"invalid":        "The answer could not be read: it was too long, damaged, or not sent by an identity provider. Start the sign-in from the sign-in page.",
	"not found":      "What the sign-in refers to is not there any more. Start again from the sign-in page.",
	"conflict":       "Two sign-ins of the person came at the same moment. The person signs in again.",
	"denied":         "The account may not sign in. Look at its status on the person's page.",
	"sign in":        "The identity provider did not sign the person in; its own log says why.",
	"expired":        startHere,
	"too many":       "More sign-ins came from one network than are let through. The person waits a minute. If an office is larger than that, tell the operator.",
	"unavailable":    "The identity provider, or the database here, did not answer. Look at the provider's status page, and whether its discovery or metadata address can be reached from this server.",
	failedConnection: "Nobody has a connection at this address: it was typed or copied wrongly, or the connection was deleted. Copy the URLs from the connection's page to the identity provider again.",
	failedFlood:      "Many sign-ins were refused at once, and only the first have a row each. Look at one of those. If strangers send them, there is nothing to change: they cost little and get nothing.",
}

// allChecks are the names of everything that can fail, sorted.
func allChecks() []string { return slices.Sorted(maps.Keys(remedies)) }
