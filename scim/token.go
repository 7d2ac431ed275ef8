package scim

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// tokenRow is found by the hash alone: the organization follows from it. It is
// shared between requests: see lookups.
type tokenRow struct {
	OrgID       store.OrgID
	DirectoryID store.DirectoryID
	Allow       string
	ExpiresAt   store.Time
	LastUsedAt  store.Time
	Client      string // empty: a person made the token
}

// authenticate finds the directory behind the bearer token and counts the request.
// Faults: SignIn, NotFound, Denied, TooMany.
func (h *handler) authenticate(ctx context.Context, w http.ResponseWriter, r *http.Request) (dirctx, error) {
	if len(r.Header.Values("Authorization")) > 1 { // who is in front of us may have looked at the other one
		return dirctx{}, status(http.StatusBadRequest, "The request has the header Authorization more than once. Send it once.")
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return dirctx{}, fault.SignIn.Say("This is a SCIM endpoint. Send the directory's token as Authorization: Bearer TOKEN.")
	}
	entry, err := h.limits.enter(secret.Hash(token), web.ClientIP(r))
	logOwner(ctx, entry.owner)
	var d dirctx
	if err == nil {
		d, err = h.open(ctx, r, entry.hash)
		switch fault.Of(err) {
		case fault.SignIn, fault.NotFound, fault.Denied:
			h.limits.bad(entry)
		}
	}
	if err == nil && d.directory.SuspendedAt != 0 {
		err = store.OrgSuspended()
	}
	if err == nil {
		err = h.limits.good(entry, d.directory.ID, d.quirks.RequestsPerSecond)
	}
	if fault.Is(err, fault.SignIn) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="scim", error="invalid_token"`) // RFC 6750 §3.1
	}
	if t, ok := errors.AsType[tooMany](err); ok {
		retryAfter(w, t)
	}
	return d, err
}

// open looks the token up, each time: a token that is gone opens nothing from then
// on, on every replica. One of another directory than the URL's gets 404: whether
// that directory exists is not its business.
func (h *handler) open(ctx context.Context, r *http.Request, hash string) (dirctx, error) {
	row, err := h.tokens.find(ctx, hash, h.token)
	logOwner(ctx, row.DirectoryID)
	now := store.TimeOf(h.db.Now())
	switch {
	case fault.Is(err, fault.NotFound):
		return dirctx{}, fault.SignIn.Say("The token is not valid: mistyped, or revoked. Make a new token and enter it at the directory.")
	case err != nil:
		return dirctx{}, err
	case row.ExpiresAt != 0 && row.ExpiresAt <= now:
		return dirctx{}, fault.SignIn.Say("The token was replaced, or made to expire, and ended at %s. Enter the new one at the directory.", row.ExpiresAt.RFC3339())
	case r.PathValue("directory") != string(row.DirectoryID):
		return dirctx{}, fault.NotFound.Say("There is no directory %.64q for this token. Check the base URL.", r.PathValue("directory"))
	case !allowed(row.Allow, web.ClientIP(r)):
		return dirctx{}, fault.Denied.Say("The token may not be used from the address %s. Its allow-list is on the directory's page in the console.", web.ClientIP(r))
	}
	s, err := h.settingsOf(ctx, row.DirectoryID)
	if err != nil {
		return dirctx{}, err
	}
	if s.quirks.OAuthOnly && row.Client == "" {
		return dirctx{}, fault.SignIn.Say("This directory takes access tokens of its OAuth clients only. Set the client up with client id, secret or key, and %s.", TokenURL(h.opt.PublicURL))
	}
	defined, err := h.db.Definitions(ctx, row.OrgID)
	if err != nil {
		return dirctx{}, err
	}
	has := h.resourcesOf(row.OrgID, defined)
	actor := web.Actor(r) // nobody, with address and request id
	actor.Kind, actor.Org, actor.ID, actor.Name = access.Directory, string(row.OrgID), string(row.DirectoryID), s.directory.Name
	if now > row.LastUsedAt.Add(time.Minute) {
		h.used(ctx, actor, hash)
	}
	return dirctx{directory: s.directory, quirks: s.quirks, users: has.users, groups: has.groups, actor: actor, base: BaseURL(h.opt.PublicURL, s.directory.ID)}, nil
}

func (h *handler) token(ctx context.Context, hash string) (row tokenRow, err error) {
	err = h.db.LookupRow(ctx, `SELECT org_id, directory_id, allow, expires_at, last_used_at, client_id FROM directory_tokens WHERE token_hash = ?`, []any{hash},
		&row.OrgID, &row.DirectoryID, &row.Allow, &row.ExpiresAt, &row.LastUsedAt, &row.Client)
	return row, err
}

// settings are a directory's row and switches, remembered for a moment: they say
// how a client is understood, while what it may do hangs on the token, which is
// looked up each time. Without it a fourth of all queries would be for them.
type settings struct {
	directory store.Directory
	quirks    Quirks
	until     time.Time
}

const settingsFor = 2 * time.Second

func (h *handler) settingsOf(ctx context.Context, id store.DirectoryID) (settings, error) {
	if known, ok := h.known.Load(id); ok {
		if s := known.(settings); h.db.Now().Before(s.until) {
			return s, nil
		}
	}
	d, err := h.db.DirectoryByID(ctx, id)
	if err != nil {
		return settings{}, err
	}
	q, err := QuirksOf(d.Vendor, d.Mode, d.Quirks)
	if err != nil {
		return settings{}, err
	}
	if q.PasswordHandling == storeIt && h.opt.Password == nil {
		q.PasswordHandling = rejectIt // nobody is there to keep it
	}
	s := settings{directory: d, quirks: q, until: h.db.Now().Add(settingsFor)}
	h.known.Store(id, s)
	return s, nil
}

// used notes that the token works. Of many requests at once, one notes it; a
// failure is no reason to refuse the request.
func (h *handler) used(ctx context.Context, actor access.Actor, hash string) {
	err := h.db.Write(ctx, actor, func(tx *store.Tx) error {
		n, err := tx.Exec(`UPDATE directory_tokens SET last_used_at = ?, last_used_ip = ? WHERE org_id = ? AND directory_id = ? AND token_hash = ? AND last_used_at < ?`,
			tx.Now(), actor.IP, tx.Org(), actor.ID, hash, tx.Now().Add(-time.Minute))
		if err != nil || n == 0 {
			return err
		}
		return tx.SeenDirectory(store.DirectoryID(actor.ID))
	})
	if err != nil {
		h.opt.Log.WarnContext(ctx, "note token use", "directory", actor.ID, "error", err)
	}
}
