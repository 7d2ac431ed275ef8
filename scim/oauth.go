package scim

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// OAuth 2.0 for directories that fetch their tokens themselves: the client
// credentials grant (RFC 6749 §4.4) with client_secret_basic, client_secret_post or
// private_key_jwt, described by RFC 8414 metadata. An access token is a token of
// the client's directory that ends after an hour; nothing else about it differs.

// Scope is the only one that there is.
const Scope = "scim"

const (
	accessTokenLife = time.Hour
	// maxAccessTokens of a client are live at once; the oldest make room.
	maxAccessTokens = 100
	maxTokenBody    = 64 << 10
)

// TokenURL is where clients fetch access tokens.
func TokenURL(publicURL string) string { return issuer(publicURL) + "/oauth/token" }

func issuer(publicURL string) string { return strings.TrimSuffix(publicURL, "/") }

// MetadataURL is where RFC 8414 has the description for a client that knows nothing but
// its directory's base URL (§3.1).
func MetadataURL(publicURL string, id store.DirectoryID) string {
	return issuer(publicURL) + "/.well-known/oauth-authorization-server/scim/v2/" + string(id)
}

// oauthError is RFC 6749 §5.2. why is for the log.
type oauthError struct {
	status      int
	code        string
	description string
	why         string
}

func (e oauthError) Error() string { return e.code + ": " + e.why }

// unknownClient is the same answer for every client that did not prove itself.
func unknownClient(format string, args ...any) error {
	return oauthError{401, "invalid_client", "The client is not known or did not prove itself. Check client_id and its secret or key.", fmt.Sprintf(format, args...)}
}

// badClient is for one that proved itself, so it learns what to mend.
func badClient(format string, args ...any) error {
	why := fmt.Sprintf(format, args...)
	return oauthError{401, "invalid_client", why, why}
}

// codeSuspended is for a client that proved itself and whose organization is suspended:
// RFC 6749 §5.2 has no nearer word.
const codeSuspended = "unauthorized_client"

func invalidRequest(format string, args ...any) error {
	why := fmt.Sprintf(format, args...)
	return oauthError{400, "invalid_request", why, why}
}

// metadata is RFC 8414 §3.2. response_types_supported is required, and empty:
// nothing here has an authorization endpoint. A client that knows nothing but the base
// URL of its directory takes that for the issuer and asks at its path (§3.1); the
// issuer in the answer must be the one that it asked for (§3.3).
func (h *handler) metadata(w http.ResponseWriter, r *http.Request) error {
	own := issuer(h.opt.PublicURL)
	if directory := r.PathValue("directory"); directory != "" {
		id, err := store.ParseID[store.Directory](directory)
		if err != nil {
			return err
		}
		own = BaseURL(h.opt.PublicURL, id)
	}
	algorithms := []string{}
	for _, a := range assertionAlgorithms {
		algorithms = append(algorithms, string(a))
	}
	return web.JSON(w, http.StatusOK, map[string]any{
		"issuer":                                own,
		"token_endpoint":                        TokenURL(h.opt.PublicURL),
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": algorithms,
		"grant_types_supported":                            []string{"client_credentials"},
		"response_types_supported":                         []string{},
		"scopes_supported":                                 []string{Scope},
	})
}

// accessToken is POST /oauth/token.
func (h *handler) accessToken(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	body := r.Body // is a secret: the log does not look at it
	logged, r := h.log.begin(w, r.WithContext(ctx))
	logged.oauth = &tokenRequest{}
	r.Body = body
	defer h.log.end(logged)
	token, life, err := h.grant(logged, r)
	if err == nil {
		return web.JSON(logged, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(life.Seconds()), "scope": Scope})
	}
	e, known := errors.AsType[oauthError](err)
	logged.refusal = refusedClient
	if t, ok := errors.AsType[tooMany](err); ok {
		retryAfter(w, t)
		logged.refusal = refusedLimit
		e, known = oauthError{429, "temporarily_unavailable", "Too many requests. Wait as long as Retry-After says.", err.Error()}, true
	}
	if !known {
		logged.refusal = refusedServer
		e = oauthError{status: 500, code: "server_error", description: "Something went wrong on our side. The request's reference is in the X-Request-Id header."}
	}
	logged.scimType, logged.reason = e.code, e.why
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="oauth"`)
	}
	if werr := web.JSON(logged, e.status, map[string]string{"error": e.code, "error_description": e.description}); werr != nil || !known {
		return errors.Join(err, werr)
	}
	h.opt.Log.InfoContext(ctx, "token request refused", "request_id", web.RequestID(ctx), "ip", web.ClientIP(r).String(), "error", e.code, "why", redactText(e.why))
	return nil
}

// refuseClient is for what never reaches accessToken: another method, another address.
func refuseClient(w http.ResponseWriter, status int, why string) {
	web.OAuthRefusal(w, status, "server_error", why)
}

// tokenRequest is what the provisioning log has of one.
type tokenRequest struct {
	client Client // the one that was named; it need not have proved itself
	sent   credentials
}

func (t *tokenRequest) describe(row *logRow) {
	row.Resource, row.Path, row.TargetID, row.Target, row.Body = "Token", "/oauth/token", string(t.client.ID), t.client.Name, ""
	x := redactor{found: []string{t.sent.secret, t.sent.assertion}}
	row.Reason = x.text(row.Reason)
}

// credentials are how a client proves itself.
type credentials struct{ id, secret, assertion string }

// names is the client that the credentials are said to be of. Of an assertion it is
// the subject, before anybody has looked at the signature.
func (c credentials) names() string {
	if c.id != "" || len(c.assertion) > maxAssertionBytes {
		return c.id
	}
	_, rest, _ := strings.Cut(c.assertion, ".")
	payload, _, _ := strings.Cut(rest, ".")
	var claimed claims
	if text, err := base64.RawURLEncoding.DecodeString(payload); err != nil || json.Unmarshal(text, &claimed) != nil {
		return ""
	}
	return claimed.Subject
}

// grant reads the request and has the client prove itself. Whom it names is found
// out first, so that also what is wrong with the form stands in the log of the
// client's directory.
func (h *handler) grant(e *logged, r *http.Request) (token string, life time.Duration, err error) {
	ctx := r.Context()
	form, formErr := tokenForm(e, r)
	sent, sentErr := credentialsOf(r, form)
	// The whole credential is the key, so that whoever knows a client's id cannot use its quota.
	entry, err := h.limits.enter(secret.Hash(sent.id+"\n"+sent.secret+"\n"+sent.assertion), web.ClientIP(r))
	e.owner, e.oauth.sent = entry.owner, sent
	if err != nil {
		return "", 0, err
	}
	c, err := h.client(ctx, sent.names())
	if err == nil {
		e.owner, e.oauth.client = c.DirectoryID, c
	}
	err = cmp.Or(formErr, sentErr, checkGrant(form), err)
	if err == nil {
		token, life, err = h.exchange(ctx, r, c, sent)
	}
	if err != nil {
		if e, refused := errors.AsType[oauthError](err); refused && e.code != codeSuspended { // those did nothing wrong
			h.limits.bad(entry)
		}
		return "", 0, err
	}
	s, err := h.settingsOf(ctx, c.DirectoryID)
	if err != nil {
		return "", 0, err
	}
	if err := h.limits.good(entry, c.DirectoryID, s.quirks.RequestsPerSecond); err != nil {
		return "", 0, err
	}
	e.actor = actorOf(r, c)
	return token, life, nil
}

// checkGrant is RFC 6749 §4.4.2.
func checkGrant(form map[string]string) error {
	switch {
	case form["grant_type"] == "":
		return invalidRequest("There is no grant_type.")
	case form["grant_type"] != "client_credentials":
		return oauthError{400, "unsupported_grant_type", "The grant_type must be client_credentials.", form["grant_type"]}
	case form["scope"] != "" && form["scope"] != Scope: // left out, it is the default (RFC 6749 §3.3)
		return oauthError{400, "invalid_scope", "The scope must be " + Scope + ".", form["scope"]}
	}
	return nil
}

// actorOf is the directory of a client, in whose name it acts.
func actorOf(r *http.Request, c Client) access.Actor {
	actor := web.Actor(r)
	actor.Kind, actor.Org, actor.ID, actor.Name = access.Directory, string(c.OrgID), string(c.DirectoryID), c.Name
	return actor
}

// exchange gives a token to a client that proved itself, in one transaction with
// what must not happen twice.
func (h *handler) exchange(ctx context.Context, r *http.Request, c Client, sent credentials) (token string, life time.Duration, err error) {
	var proof *claims
	now := store.TimeOf(h.db.Now())
	switch {
	case sent.assertion != "":
		proof, err = h.proved(ctx, actorOf(r, c), c, sent)
	case !c.knows(sent.secret, now):
		err = unknownClient("the secret is wrong, or has ended, or the client has keys")
	}
	if err == nil {
		err = c.mayFrom(web.ClientIP(r), now)
	}
	if err != nil {
		return "", 0, err
	}
	actor := actorOf(r, c)
	ends := now.Add(accessTokenLife)
	if c.ExpiresAt != 0 {
		ends = min(ends, c.ExpiresAt)
	}
	err = h.db.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.NotSuspended(true); fault.Is(err, fault.Denied) {
			return oauthError{http.StatusBadRequest, codeSuspended, fault.Public(err), fault.Public(err)}
		} else if err != nil {
			return err
		}
		if proof != nil {
			if err := proof.useOnce(tx, c.ID); err != nil {
				return err
			}
		}
		// The row is locked and looked at again: a client that is being revoked gets
		// nothing, and neither does a secret that is being replaced.
		n, err := tx.Exec(`UPDATE directory_clients SET last_used_at = ?, last_used_ip = ? WHERE org_id = ? AND client_id = ? AND secret_hash = ?`, tx.Now(), actor.IP, tx.Org(), c.ID, c.SecretHash)
		if err != nil {
			return err
		}
		if n == 0 {
			return unknownClient("the client was revoked or rotated meanwhile")
		}
		if _, err := tx.Exec(`DELETE FROM directory_tokens WHERE org_id = ? AND directory_id = ? AND client_id = ? AND (expires_at <= ? OR token_hash NOT IN (
			SELECT token_hash FROM directory_tokens WHERE org_id = ? AND directory_id = ? AND client_id = ? ORDER BY created_at DESC, token_hash LIMIT ?))`,
			tx.Org(), c.DirectoryID, string(c.ID), tx.Now(), tx.Org(), c.DirectoryID, string(c.ID), maxAccessTokens-1); err != nil {
			return err
		}
		token, err = issue(tx, c.DirectoryID, &Token{Name: c.Name, Allow: c.Allow, CreatedAt: tx.Now(), ExpiresAt: ends, client: c.ID})
		return err
	})
	return token, ends.Time().Sub(now.Time()), err
}

// knows tells whether a secret is the client's, or the one before while it goes on.
func (c Client) knows(text string, now store.Time) bool {
	hash := []byte(secret.Hash(text))
	current := subtle.ConstantTimeCompare(hash, []byte(c.SecretHash))
	previous := subtle.ConstantTimeCompare(hash, []byte(c.PreviousHash))
	return current == 1 || previous == 1 && now < c.PreviousEndsAt
}

// mayFrom refuses a client that has proved itself, but not now or not from there.
func (c Client) mayFrom(address netip.Addr, now store.Time) error {
	if c.ExpiresAt != 0 && c.ExpiresAt <= now {
		return badClient("The client was made to end at %s. Make a new one.", c.ExpiresAt.RFC3339())
	}
	if !allowed(c.Allow, address) {
		return badClient("The client may not be used from the address %s. Its allow-list is on the directory's page in the console.", address)
	}
	return nil
}

// tokenForm reads the parameters of a token request: in the body, each once, and
// one without a value is as good as not there (RFC 6749 §3.2).
func tokenForm(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("The body must be application/x-www-form-urlencoded.")
	}
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("Send the parameters in the body, not in the address: addresses are logged.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxTokenBody)
	if err := r.ParseForm(); err != nil {
		return nil, invalidRequest("The body cannot be read: it is no form, or larger than 64 kB.")
	}
	form := map[string]string{}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, invalidRequest("A parameter is there twice.")
		}
		form[name] = values[0]
	}
	return form, nil
}

// credentialsOf finds the one way in which the client proves itself (RFC 6749 §2.3).
func credentialsOf(r *http.Request, form map[string]string) (credentials, error) {
	out := credentials{id: form["client_id"], secret: form["client_secret"], assertion: form["client_assertion"]}
	ways := 0
	if header := r.Header.Get("Authorization"); header != "" {
		ways++
		name, password, ok := r.BasicAuth()
		id, err1 := url.QueryUnescape(name) // RFC 6749 §2.3.1
		text, err2 := url.QueryUnescape(password)
		if !ok || err1 != nil || err2 != nil {
			return out, unknownClient("the Authorization header is not Basic with a form-encoded id and secret")
		}
		if out.id != "" && out.id != id {
			return out, invalidRequest("client_id differs from the one in the Authorization header.")
		}
		if out.secret != "" {
			ways++
		}
		out.id, out.secret = id, text
	} else if out.secret != "" {
		ways++
	}
	if out.assertion != "" || form["client_assertion_type"] != "" {
		ways++
		if form["client_assertion_type"] != assertionType || out.assertion == "" {
			return out, invalidRequest("An assertion needs client_assertion and client_assertion_type %s.", assertionType)
		}
	}
	switch {
	case ways > 1:
		return out, invalidRequest("The client proves itself in two ways. Use one.")
	case ways == 0 || out.assertion == "" && (out.id == "" || out.secret == ""):
		return out, unknownClient("no credentials")
	}
	return out, nil
}
