package scim

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// A directory may have several live tokens, so that each client of it has its own
// and one can end without the others.

// Token is what is known of a bearer token; the token itself is not kept.
type Token struct {
	ID         string     `db:"id"` // 32 hex digits: the first half of the hash
	Name       string     `db:"name"`
	Allow      string     `db:"allow"` // networks that it works from, with commas; empty: any
	CreatedAt  store.Time `db:"created_at"`
	ExpiresAt  store.Time `db:"expires_at"`   // 0: when it is rotated or revoked
	LastUsedAt store.Time `db:"last_used_at"` // to the minute
	LastUsedIP string     `db:"last_used_ip"`

	client store.ID[Client] // whose access token it is; empty: an administrator made it
}

// NewToken is what CreateToken needs.
type NewToken struct {
	Name    string
	Expires time.Duration // 0: never
	Allow   string        // addresses and CIDR networks, with commas or blanks between; empty: any
}

const (
	maxTokens   = 50 // of a directory, ended ones included
	maxLifetime = 10 * 365 * 24 * time.Hour
	maxGrace    = 90 * 24 * time.Hour
	maxNetworks = 50
)

// Tokens lists a directory's tokens, newest first, without its clients' access
// tokens. Faults: Denied.
func Tokens(tx *store.Tx, id store.DirectoryID) ([]Token, error) {
	if err := tx.Require(access.Configure); err != nil {
		return nil, err
	}
	list := []Token{}
	return list, tx.Select(&list, `SELECT substr(token_hash, 1, 32) AS id, name, allow, created_at, expires_at, last_used_at, last_used_ip FROM directory_tokens
		WHERE org_id = ? AND directory_id = ? AND client_id = '' ORDER BY created_at DESC, token_hash LIMIT 100`, tx.Org(), id)
}

// CreateToken makes one more token for a directory. It gives the token, which is
// shown this once. Needs Write. Faults: Denied, NotFound, Invalid on "name",
// "expires" or "allow", Conflict (too many).
func CreateToken(tx *store.Tx, id store.DirectoryID, in NewToken) (string, Token, error) {
	if err := tx.Require(access.Configure); err != nil {
		return "", Token{}, err
	}
	t := Token{CreatedAt: tx.Now()}
	var err error
	if t.Name, t.ExpiresAt, t.Allow, err = checkAccess(tx, fault.Word("token"), in.Name, in.Expires, in.Allow); err != nil {
		return "", t, err
	}
	d, err := tx.Directory(id)
	if err != nil {
		return "", t, err
	}
	if err := dropEnded(tx, id); err != nil {
		return "", t, err
	}
	list, err := Tokens(tx, id)
	if err != nil {
		return "", t, err
	}
	if len(list) >= maxTokens {
		return "", t, fault.Conflict.Say("%s has %d tokens already. Revoke one that is not used any more.", d.Name, len(list))
	}
	token, err := issue(tx, id, &t)
	if err != nil {
		return "", t, err
	}
	after := map[string]any{"name": t.Name, "allow": t.Allow}
	if t.ExpiresAt != 0 {
		after["expires_at"] = t.ExpiresAt.RFC3339()
	}
	return token, t, tx.Record(store.Activity{Action: "directory.token.create", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name,
		Detail: map[string]any{"after": after}})
}

// checkAccess reads what tokens and clients have in common; what is the word for it.
func checkAccess(tx *store.Tx, what fault.Word, name string, expires time.Duration, allow string) (string, store.Time, string, error) {
	name = strings.TrimSpace(name)
	var ends store.Time
	switch {
	case name == "" || fault.Line("name", name, 200) != nil:
		return "", 0, "", fault.Invalid.On("name", "The %s needs a name of at most 200 bytes on one line that says who uses it, such as Okta production.", what)
	case expires < 0 || expires > maxLifetime || expires > 0 && expires < time.Minute:
		return "", 0, "", fault.Invalid.On("expires", "A %s can live for a minute to ten years, or 0 for no end, not %s.", what, expires)
	case expires > 0:
		ends = tx.Now().Add(expires)
	}
	allow, err := networks(allow)
	return name, ends, allow, err
}

// Rotate makes a new token for a directory and lets the others, access tokens too,
// work for grace longer, so that an administrator can enter the new one without a gap. It gives
// the token, which is shown this once, and when the others end. The new one works
// from any address. Needs Write. Faults: Denied, NotFound, Invalid on "grace".
func Rotate(tx *store.Tx, id store.DirectoryID, grace time.Duration) (token string, previousEnds store.Time, err error) {
	if err := tx.Require(access.Configure); err != nil {
		return "", 0, err
	}
	if grace < 0 || grace > maxGrace {
		return "", 0, fault.Invalid.On("grace", "The old token can go on for 0 to 90 days, not %s.", grace)
	}
	d, err := tx.Directory(id)
	if err != nil {
		return "", 0, err
	}
	ends := tx.Now().Add(grace)
	if _, err := tx.Exec(`UPDATE directory_tokens SET expires_at = ? WHERE org_id = ? AND directory_id = ? AND (expires_at = 0 OR expires_at > ?)`,
		ends, tx.Org(), id, ends); err != nil {
		return "", 0, err
	}
	if err := dropEnded(tx, id); err != nil {
		return "", 0, err
	}
	token, err = issue(tx, id, &Token{Name: "Rotated", CreatedAt: tx.Now()})
	if err != nil {
		return "", 0, err
	}
	return token, ends, tx.Record(store.Activity{Action: "directory.token.rotate", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name,
		Detail: map[string]any{"previous_expires_at": ends.RFC3339()}})
}

// RotateToken replaces one token: the new one has its name, its allow-list and its
// lifetime, and the old one works for grace longer. It gives the token, which is shown
// this once. Needs Write. Faults: Denied, NotFound, Invalid on "grace".
func RotateToken(tx *store.Tx, id store.DirectoryID, token string, grace time.Duration) (text string, previousEnds store.Time, err error) {
	d, old, err := tokenOf(tx, id, token)
	if err != nil {
		return "", 0, err
	}
	if grace < 0 || grace > maxGrace {
		return "", 0, fault.Invalid.On("grace", "The old token can go on for 0 to 90 days, not %s.", grace)
	}
	if list, err := Tokens(tx, id); err != nil || len(list) > maxTokens {
		return "", 0, cmp.Or(err, fault.Conflict.Say("%s has %d tokens already. Revoke one that is not used any more.", d.Name, len(list)))
	}
	next := Token{Name: old.Name, Allow: old.Allow, CreatedAt: tx.Now()}
	ends := tx.Now().Add(grace)
	if old.ExpiresAt != 0 {
		next.ExpiresAt = tx.Now() + old.ExpiresAt - old.CreatedAt
		ends = min(ends, old.ExpiresAt)
	}
	if _, err := tx.Exec(`UPDATE directory_tokens SET expires_at = ? WHERE org_id = ? AND directory_id = ? AND substr(token_hash, 1, 32) = ?`, ends, tx.Org(), id, token); err != nil {
		return "", 0, err
	}
	if err := dropEnded(tx, id); err != nil {
		return "", 0, err
	}
	if text, err = issue(tx, id, &next); err != nil {
		return "", 0, err
	}
	return text, ends, tx.Record(store.Activity{Action: "directory.token.rotate", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name,
		Detail: map[string]any{"name": old.Name, "previous_expires_at": ends.RFC3339()}})
}

// tokenOf finds one of a directory's tokens, and the directory. Faults: Denied, NotFound.
func tokenOf(tx *store.Tx, id store.DirectoryID, token string) (store.Directory, Token, error) {
	list, err := Tokens(tx, id)
	if err != nil {
		return store.Directory{}, Token{}, err
	}
	d, err := tx.Directory(id)
	if err != nil {
		return d, Token{}, err
	}
	at := slices.IndexFunc(list, func(t Token) bool { return t.ID == token })
	if at < 0 {
		return d, Token{}, fault.NotFound.Say("The directory has no token %.64q. `muster directory token list` and the directory's page show which it has.", token)
	}
	return d, list[at], nil
}

// RevokeToken ends a token at once. Needs Write. Faults: Denied, NotFound.
func RevokeToken(tx *store.Tx, id store.DirectoryID, token string) error {
	d, old, err := tokenOf(tx, id, token)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM directory_tokens WHERE org_id = ? AND directory_id = ? AND substr(token_hash, 1, 32) = ?`, tx.Org(), id, token); err != nil {
		return err
	}
	return tx.Record(store.Activity{Action: "directory.token.revoke", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name,
		Detail: map[string]any{"before": map[string]any{"name": old.Name}}})
}

func issue(tx *store.Tx, id store.DirectoryID, t *Token) (string, error) {
	token := secret.NewToken()
	hash := secret.Hash(token)
	t.ID = hash[:32]
	_, err := tx.Exec(`INSERT INTO directory_tokens (org_id, directory_id, token_hash, name, allow, created_at, expires_at, client_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		tx.Org(), id, hash, t.Name, t.Allow, t.CreatedAt, t.ExpiresAt, string(t.client))
	return token, err
}

func dropEnded(tx *store.Tx, id store.DirectoryID) error {
	_, err := tx.Exec(`DELETE FROM directory_tokens WHERE org_id = ? AND directory_id = ? AND expires_at > 0 AND expires_at <= ?`, tx.Org(), id, tx.Now())
	return err
}

// networks reads an allow-list into the form in which it is kept.
func networks(text string) (string, error) {
	var list []string
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' }) {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(word); err == nil && a.Zone() == "" {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if !p.IsValid() || p.Addr().Is4In6() {
			return "", fault.Invalid.On("allow", "%.64q is not an address or a network. Write 203.0.113.7 or 203.0.113.0/24, with commas between several.", word)
		}
		list = append(list, p.Masked().String())
	}
	if len(list) > maxNetworks {
		return "", fault.Invalid.On("allow", "%d networks are more than the %d that a token can have. Write larger ones.", len(list), maxNetworks)
	}
	return strings.Join(list, ","), nil
}

// allowed tells whether an address is in an allow-list; an empty list has all.
func allowed(list string, from netip.Addr) bool {
	if list == "" {
		return true
	}
	for word := range strings.SplitSeq(list, ",") {
		if p, err := netip.ParsePrefix(word); err == nil && p.Contains(from) {
			return true
		}
	}
	return false
}
