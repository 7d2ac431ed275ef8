package scim

import (
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Tokens and OAuth clients for programs: the REST API, and the JSON of the command line.

// TokenInfo is a token in JSON.
type TokenInfo struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Token        string `json:"token,omitempty"` // when it was just made
	Allow        string `json:"allow"`
	CreatedAt    string `json:"created_at"`
	ExpiresAt    string `json:"expires_at,omitempty"`
	LastUsedAt   string `json:"last_used_at,omitempty"`
	LastUsedFrom string `json:"last_used_from,omitempty"`
}

// Info is the token in JSON; text is the token itself, if it was just made.
func (t Token) Info(text string) TokenInfo {
	return TokenInfo{ID: t.ID, Name: t.Name, Token: text, Allow: t.Allow, CreatedAt: t.CreatedAt.RFC3339(), ExpiresAt: t.ExpiresAt.OrEmpty(),
		LastUsedAt: t.LastUsedAt.OrEmpty(), LastUsedFrom: t.LastUsedIP}
}

// ClientInfo is an OAuth client in JSON.
type ClientInfo struct {
	ID                string `json:"client_id"`
	Name              string `json:"name"`
	Secret            string `json:"client_secret,omitempty"` // when it was just made
	SignsInBy         string `json:"signs_in_by"`             // client_secret or private_key_jwt
	JWKSURL           string `json:"jwks_url,omitempty"`
	Allow             string `json:"allow"`
	Endpoint          string `json:"token_endpoint"`
	Scope             string `json:"scope"`
	CreatedAt         string `json:"created_at"`
	ExpiresAt         string `json:"expires_at,omitempty"`
	PreviousExpiresAt string `json:"previous_expires_at,omitempty"` // of the secret before the last rotation
	LastUsedAt        string `json:"last_used_at,omitempty"`
	LastUsedFrom      string `json:"last_used_from,omitempty"`
}

// Info is the client in JSON; text is its secret, if it was just made.
func (c Client) Info(text, publicURL string) ClientInfo {
	return ClientInfo{ID: string(c.ID), Name: c.Name, Secret: text, SignsInBy: c.SignsInBy(), JWKSURL: c.JWKSURL, Allow: c.Allow, Endpoint: TokenURL(publicURL), Scope: Scope,
		CreatedAt: c.CreatedAt.RFC3339(), ExpiresAt: c.ExpiresAt.OrEmpty(), PreviousExpiresAt: c.PreviousEndsAt.OrEmpty(), LastUsedAt: c.LastUsedAt.OrEmpty(), LastUsedFrom: c.LastUsedIP}
}

// directoryInfo is a directory in JSON.
type directoryInfo struct {
	ID           store.DirectoryID `json:"id"`
	Name         string            `json:"name"`
	Vendor       string            `json:"vendor"`
	Mode         string            `json:"mode"`
	BaseURL      string            `json:"base_url"`
	CreatedAt    string            `json:"created_at"`
	LastSeenAt   string            `json:"last_request_at,omitempty"`
	FailingSince string            `json:"failing_since,omitempty"` // every request since then was refused
}

func (h *handler) mountAPI(m *web.Mux) {
	const at = "/api/v1/directories/{directory}"
	m.API(access.Configure, "GET /api/v1/directories", h.apiDirectories)                   // List directories
	m.API(access.Configure, "GET "+at+"/settings", h.apiSettings)                          // Get the settings of a directory
	m.API(access.Configure, "PATCH "+at+"/settings", h.apiConfigure)                       // Change the settings of a directory. What is left out stays, a switch that is null is the preset's again
	m.API(access.Configure, "GET "+at+"/tokens", h.apiTokens)                              // List the tokens of a directory
	m.APIFresh(access.Configure, "POST "+at+"/tokens", h.apiCreateToken)                   // Create a token of a directory. It is shown this once
	m.APIFresh(access.Configure, "POST "+at+"/tokens/rotate", h.apiRotateTokens)           // Replace all tokens of a directory by a new one
	m.APIFresh(access.Configure, "POST "+at+"/tokens/{token}/rotate", h.apiRotateTokens)   // Replace a token by a new one
	m.APIFresh(access.Configure, "DELETE "+at+"/tokens/{token}", h.apiRevokeToken)         // Revoke a token
	m.API(access.Configure, "GET "+at+"/clients", h.apiClients)                            // List the OAuth clients of a directory
	m.APIFresh(access.Configure, "POST "+at+"/clients", h.apiCreateClient)                 // Create an OAuth client of a directory. Its secret is shown this once
	m.APIFresh(access.Configure, "POST "+at+"/clients/{client}/rotate", h.apiRotateClient) // Replace the secret or the keys of an OAuth client
	m.APIFresh(access.Configure, "DELETE "+at+"/clients/{client}", h.apiRevokeClient)      // Revoke an OAuth client. Its access tokens end with it
}

// inDirectory does something with the directory of the URL, in one transaction, and
// answers with what comes back; nothing is 204.
func (h *handler) inDirectory(w http.ResponseWriter, r *http.Request, status int, do func(*store.Tx, store.DirectoryID) (any, error)) error {
	id, err := store.ParseID[store.Directory](r.PathValue("directory"))
	if err != nil {
		return err
	}
	var out any
	run := h.db.Write
	if r.Method == http.MethodGet {
		run = h.db.Read
	}
	err = run(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if _, err = tx.Directory(id); err == nil {
			out, err = do(tx, id)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case out == nil:
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return web.JSON(w, status, out)
}

func (h *handler) apiDirectories(w http.ResponseWriter, r *http.Request) error {
	out := []directoryInfo{}
	if err := h.log.Flush(r.Context()); err != nil {
		h.log.complain(r.Context(), "write", err)
	}
	err := h.db.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := tx.Directories()
		if err != nil {
			return err
		}
		ids := []store.DirectoryID{}
		for _, d := range list {
			ids = append(ids, d.ID)
		}
		states, err := h.log.States(tx, ids)
		of := map[store.DirectoryID]State{}
		for _, s := range states {
			of[s.Directory] = s
		}
		for _, d := range list {
			out = append(out, directoryInfo{ID: d.ID, Name: d.Name, Vendor: d.Vendor, Mode: d.Mode, BaseURL: BaseURL(h.opt.PublicURL, d.ID), CreatedAt: d.CreatedAt.RFC3339(),
				LastSeenAt: max(d.LastSeenAt, of[d.ID].Last).OrEmpty(), FailingSince: of[d.ID].Failing.OrEmpty()})
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]any{"directories": out})
}

// accessBody is what may be chosen of a token or a client. Times are Go's durations: 24h.
type accessBody struct {
	Name      string `json:"name"`
	ExpiresIn string `json:"expires_in"`
	Allow     string `json:"allow"`
}

// duration reads one; empty is other.
func duration(field, text string, other time.Duration) (time.Duration, error) {
	if text == "" {
		return other, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fault.Invalid.On(field, "%s is %.64q. Write it like 24h or 90m.", field, text)
	}
	return d, nil
}

func (h *handler) apiTokens(w http.ResponseWriter, r *http.Request) error {
	return h.inDirectory(w, r, http.StatusOK, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		list, err := Tokens(tx, id)
		out := []TokenInfo{}
		for _, t := range list {
			out = append(out, t.Info(""))
		}
		return map[string]any{"tokens": out}, err
	})
}

func (h *handler) apiCreateToken(w http.ResponseWriter, r *http.Request) error {
	var in accessBody
	if err := web.ReadJSON(r, &in, "name"); err != nil {
		return err
	}
	expires, err := duration("expires_in", in.ExpiresIn, 0)
	if err != nil {
		return err
	}
	return h.inDirectory(w, r, http.StatusCreated, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		text, t, err := CreateToken(tx, id, NewToken{Name: in.Name, Expires: expires, Allow: in.Allow})
		return t.Info(text), err
	})
}

// apiRotateTokens replaces one token, or all when the path names none.
func (h *handler) apiRotateTokens(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Grace string `json:"grace"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	grace, err := duration("grace", in.Grace, 24*time.Hour)
	if err != nil {
		return err
	}
	return h.inDirectory(w, r, http.StatusCreated, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		text, ends, err := "", store.Time(0), error(nil)
		if token := r.PathValue("token"); token != "" {
			text, ends, err = RotateToken(tx, id, token, grace)
		} else {
			text, ends, err = Rotate(tx, id, grace)
		}
		return map[string]string{"token": text, "previous_expires_at": ends.RFC3339()}, err
	})
}

func (h *handler) apiRevokeToken(w http.ResponseWriter, r *http.Request) error {
	return h.inDirectory(w, r, 0, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		return nil, RevokeToken(tx, id, r.PathValue("token"))
	})
}

func (h *handler) apiClients(w http.ResponseWriter, r *http.Request) error {
	return h.inDirectory(w, r, http.StatusOK, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		list, err := Clients(tx, id)
		out := []ClientInfo{}
		for _, c := range list {
			out = append(out, c.Info("", h.opt.PublicURL))
		}
		return map[string]any{"clients": out}, err
	})
}

// keysBody is the public keys of a client that signs.
type keysBody struct {
	JWKS    rawJSON `json:"jwks"`
	JWKSURL string  `json:"jwks_url"`
}

// rawJSON is a part of a body that is read by somebody else.
type rawJSON []byte

// UnmarshalJSON keeps the text; null is nothing.
func (j *rawJSON) UnmarshalJSON(b []byte) error {
	if string(b) != "null" {
		*j = append(rawJSON(nil), b...)
	}
	return nil
}

func (h *handler) apiCreateClient(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		accessBody
		keysBody
	}
	if err := web.ReadJSON(r, &in, "name"); err != nil {
		return err
	}
	expires, err := duration("expires_in", in.ExpiresIn, 0)
	if err != nil {
		return err
	}
	return h.inDirectory(w, r, http.StatusCreated, func(tx *store.Tx, id store.DirectoryID) (any, error) {
		c, text, err := CreateClient(tx, id, NewClient{Name: in.Name, Expires: expires, Allow: in.Allow, JWKS: in.JWKS, JWKSURL: in.JWKSURL})
		return c.Info(text, h.opt.PublicURL), err
	})
}

func (h *handler) apiRotateClient(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		keysBody
		Grace string `json:"grace"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	grace, err := duration("grace", in.Grace, 24*time.Hour)
	if err != nil {
		return err
	}
	return h.withClient(w, r, http.StatusCreated, func(tx *store.Tx, id store.DirectoryID, client store.ID[Client]) (any, error) {
		c, text, err := RotateClient(tx, id, client, grace, NewClient{JWKS: in.JWKS, JWKSURL: in.JWKSURL})
		return c.Info(text, h.opt.PublicURL), err
	})
}

func (h *handler) apiRevokeClient(w http.ResponseWriter, r *http.Request) error {
	return h.withClient(w, r, 0, func(tx *store.Tx, id store.DirectoryID, client store.ID[Client]) (any, error) {
		return nil, RevokeClient(tx, id, client)
	})
}

func (h *handler) withClient(w http.ResponseWriter, r *http.Request, status int, do func(*store.Tx, store.DirectoryID, store.ID[Client]) (any, error)) error {
	client, err := store.ParseID[Client](r.PathValue("client"))
	if err != nil {
		return err
	}
	return h.inDirectory(w, r, status, func(tx *store.Tx, id store.DirectoryID) (any, error) { return do(tx, id, client) })
}
