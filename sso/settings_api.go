package sso

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// Info is a connection in JSON: for the REST API and the command line.
type Info struct {
	ID          ConnectionID   `json:"id"`
	Protocol    string         `json:"protocol"`
	Name        string         `json:"name"`
	Vendor      string         `json:"vendor"`
	Status      string         `json:"status"`
	Accounts    string         `json:"accounts"`
	Issuer      string         `json:"issuer,omitempty"`
	ACS         string         `json:"acs_url,omitempty"`
	EntityID    string         `json:"entity_id,omitempty"`
	Metadata    string         `json:"metadata_url,omitempty"`
	Redirect    string         `json:"redirect_url,omitempty"`
	JWKS        string         `json:"jwks_url,omitempty"`
	SignedOut   string         `json:"post_logout_redirect_url,omitempty"`
	BackLogout  string         `json:"backchannel_logout_url,omitempty"`
	FrontLogout string         `json:"frontchannel_logout_url,omitempty"`
	Login       string         `json:"login_url"`
	Version     int64          `json:"version"`
	CreatedAt   string         `json:"created_at"`
	UpdatedAt   string         `json:"updated_at"`
	Settings    map[string]any `json:"settings"`
	Notes       []string       `json:"notes"`
	Warning     string         `json:"warning,omitempty"`
}

// Info of a connection. It holds no secret.
func (d *Door) Info(c Connection) Info {
	u := d.URLs(c)
	out := Info{ID: c.ID, Protocol: c.Protocol, Name: c.Name, Vendor: c.Vendor, Status: c.Status, Accounts: c.Accounts, Issuer: c.Issuer,
		ACS: u.ACS, EntityID: u.EntityID, Metadata: u.Metadata, Redirect: u.Redirect, JWKS: u.JWKS, SignedOut: u.SignedOut,
		BackLogout: u.BackChannel, FrontLogout: u.FrontChannel, Login: u.Login, Version: c.Version(),
		CreatedAt: c.CreatedAt.RFC3339(), UpdatedAt: c.UpdatedAt.RFC3339(), Settings: map[string]any{}, Notes: english(c.Notes(d.opts.DB.Now()))}
	for _, s := range Settings(c.Protocol) {
		out.Settings[s.Key] = s.Value(c)
	}
	return out
}

func (d *Door) mountAPI(m *web.Mux) {
	const at = "/api/v1/connections/{connection}"
	m.API(access.Configure, "GET /api/v1/connections", d.apiConnections)                                                                                           // List connections to identity providers
	m.API(access.Configure, "POST /api/v1/connections", d.apiCreate)                                                                                               // Create a connection to an identity provider
	m.API(access.Configure, "GET "+at, d.apiOn(d.Connection))                                                                                                      // Get a connection
	m.API(access.Configure, "PATCH "+at, d.apiUpdate)                                                                                                              // Change a connection. What is left out stays, null is the default again
	m.APIFresh(access.Configure, "DELETE "+at, d.apiDelete)                                                                                                        // Delete a connection. 409 while it is active; the people stay
	m.API(access.Configure, "POST "+at+"/activate", d.apiOn(d.Activate))                                                                                           // Activate a connection
	m.API(access.Configure, "POST "+at+"/disable", d.apiDisable)                                                                                                   // Disable a connection. 409 for the last open one while single sign-on is required, unless anyway is true
	m.API(access.Configure, "GET "+at+"/keys", d.apiKeys)                                                                                                          // List our SAML keys of a connection
	m.API(access.Configure, "POST "+at+"/keys", d.apiRotateKeys)                                                                                                   // Publish new SAML keys. They take over after 14 days, or now
	m.API(access.Configure, "GET "+at+"/metadata", d.apiMetadata(func(ctx context.Context, actor access.Actor, id ConnectionID, _ string) (MetadataState, error) { // Get what was read from the identity provider's metadata URL
		return d.MetadataState(ctx, actor, id)
	}))
	m.API(access.Configure, "POST "+at+"/metadata/refresh", d.apiMetadata(func(ctx context.Context, actor access.Actor, id ConnectionID, _ string) (MetadataState, error) { // Read the identity provider's metadata now
		return d.Refresh(ctx, actor, id)
	}))
	m.API(access.Configure, "POST "+at+"/metadata/approve", d.apiMetadata(d.ApproveMetadata)) // Approve the change of metadata that waits
	m.API(access.Configure, "POST "+at+"/metadata/reject", d.apiMetadata(d.RejectMetadata))   // Turn down the change of metadata that waits
	m.API(access.Configure, "GET "+at+"/client-keys", d.apiClientKeys)                        // List our OpenID Connect client keys of a connection
	m.APIFresh(access.Configure, "POST "+at+"/client-keys", d.apiRollClientKey)               // Publish a new OpenID Connect client key. It signs after a day, or now
}

func (d *Door) apiConnections(w http.ResponseWriter, r *http.Request) error {
	list, err := d.Connections(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	out := make([]Info, len(list))
	for i, c := range list {
		out[i] = d.Info(c)
	}
	return web.JSON(w, http.StatusOK, map[string]any{"connections": out})
}

func (d *Door) apiCreate(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Protocol     string   `json:"protocol"`
		Name         string   `json:"name"`
		Vendor       string   `json:"vendor"`
		Accounts     string   `json:"accounts"`
		Activate     bool     `json:"activate"`
		Metadata     string   `json:"idp_metadata"`
		MetadataURL  string   `json:"idp_metadata_url"`
		Entity       string   `json:"idp_entity_id"`
		Issuer       string   `json:"issuer"`
		ClientID     string   `json:"client_id"`
		ClientSecret string   `json:"client_secret"`
		Scopes       []string `json:"scopes"`
	}
	if err := web.ReadJSON(r, &in, "protocol", "name"); err != nil {
		return err
	}
	made, err := d.CreateConnection(r.Context(), web.Actor(r), NewConnection{Protocol: in.Protocol, Name: in.Name, Vendor: in.Vendor, Accounts: in.Accounts, Activate: in.Activate,
		Metadata: []byte(in.Metadata), MetadataURL: in.MetadataURL, Entity: in.Entity, Issuer: in.Issuer, ClientID: in.ClientID, ClientSecret: in.ClientSecret, Scopes: in.Scopes})
	if err != nil {
		return err
	}
	out := d.Info(made.Connection)
	out.Warning = made.Warning
	return web.JSON(w, http.StatusCreated, out)
}

// apiOn does something with the connection of the URL and answers with it.
func (d *Door) apiOn(do func(context.Context, access.Actor, ConnectionID) (Connection, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := store.ParseID[Connection](r.PathValue("connection"))
		if err != nil {
			return err
		}
		c, err := do(r.Context(), web.Actor(r), id)
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, d.Info(c))
	}
}

func (d *Door) apiDisable(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Anyway bool `json:"anyway"`
	}
	if err := web.ReadJSON(r, &in); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if in.Anyway {
		return d.apiOn(d.DisableAnyway)(w, r)
	}
	return d.apiOn(d.Disable)(w, r)
}

// apiUpdate changes what the body names; a setting that is null is the default again.
func (d *Door) apiUpdate(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Version  int64          `json:"version"`
		Settings map[string]any `json:"settings"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ch := Change{Version: in.Version, Set: map[string]string{}}
	for key, v := range in.Settings {
		text, err := settingText(key, v)
		if err != nil {
			return err
		}
		ch.Set[key] = text
	}
	return d.apiOn(func(ctx context.Context, actor access.Actor, id ConnectionID) (Connection, error) {
		return d.UpdateConnection(ctx, actor, id, ch)
	})(w, r)
}

// settingText is a JSON value as people write it.
func settingText(key string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case bool:
		return strconv.FormatBool(v), nil
	case string:
		return v, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case []any:
		list := make([]string, len(v))
		for i, one := range v {
			text, ok := one.(string)
			if !ok || strings.ContainsAny(text, "\r\n,") {
				return "", fault.Invalid.On(answer.Clip(key, 64), "The list %q holds something else than texts without commas and line breaks.", answer.Clip(key, 64))
			}
			list[i] = text
		}
		return strings.Join(list, "\n"), nil
	}
	return "", fault.Invalid.On(answer.Clip(key, 64), "%q is an object; a setting is true, false, a number, a text or a list of texts.", answer.Clip(key, 64))
}

func (d *Door) apiDelete(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Connection](r.PathValue("connection"))
	if err != nil {
		return err
	}
	if err := d.DeleteConnection(r.Context(), web.Actor(r), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Connection of the actor's organization. Faults: Denied, NotFound.
func (d *Door) Connection(ctx context.Context, actor access.Actor, id ConnectionID) (c Connection, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err = connectionIn(tx, id)
		return err
	})
	return c, err
}

// ConnectionByID finds a connection before the organization is known, for whoever
// may see all of them. Faults: NotFound.
func (d *Door) ConnectionByID(ctx context.Context, id ConnectionID) (Connection, error) {
	return d.connectionByID(ctx, id)
}

// DeleteConnection removes a connection that is not open, with its keys and the
// identities of people on it; the people stay. Its id is never used again. Faults:
// Denied, NotFound, Conflict (it is active).
func (d *Door) DeleteConnection(ctx context.Context, actor access.Actor, id ConnectionID) error {
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := lockedConnection(tx, id)
		if err != nil {
			return err
		}
		if c.Status == statusActive {
			return fault.Conflict.Say("People sign in over %s. Disable it first.", c.Name)
		}
		if _, _, err := takeBack(tx, id, func(store.Given) bool { return true }); err != nil {
			return err
		}
		if err := deleteConnection(tx, id); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "connection.delete", TargetKind: "connection", TargetID: string(id), TargetName: c.Name,
			Detail: map[string]any{"before": map[string]any{"protocol": c.Protocol, "vendor": c.Vendor, "accounts": c.Accounts, "status": c.Status, "issuer": c.Issuer}}})
	})
}
