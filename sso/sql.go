package sso

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

type connectionRow struct {
	ID        ConnectionID `db:"id"`
	OrgID     store.OrgID  `db:"org_id"`
	Protocol  string       `db:"protocol"`
	Vendor    string       `db:"vendor"`
	Name      string       `db:"name"`
	Status    string       `db:"status"`
	Accounts  string       `db:"accounts"`
	Issuer    string       `db:"issuer"`
	Config    []byte       `db:"config"`
	Secret    []byte       `db:"client_secret"`
	CreatedAt store.Time   `db:"created_at"`
	UpdatedAt store.Time   `db:"updated_at"`
}

func (r connectionRow) connection() (Connection, error) {
	c := Connection{ID: r.ID, OrgID: r.OrgID, Protocol: r.Protocol, Vendor: r.Vendor, Name: r.Name, Status: r.Status, Accounts: r.Accounts,
		Issuer: r.Issuer, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, secret: r.Secret}
	if err := json.Unmarshal(r.Config, &c.Config); err != nil {
		return c, fmt.Errorf("connection %s: config: %w", r.ID, err)
	}
	return c.filled(), nil
}

const selectConnections = `SELECT id, org_id, protocol, vendor, name, status, accounts, issuer, config, client_secret, created_at, updated_at FROM connections`

// connectionByID is the one look-up before the organization is known: by the id
// in a sign-in URL. Faults: NotFound.
func (d *Door) connectionByID(ctx context.Context, id ConnectionID) (Connection, error) {
	var r connectionRow
	err := d.opts.DB.Lookup(ctx, &r, selectConnections+" WHERE id = ?", id)
	if fault.Is(err, fault.NotFound) {
		return Connection{}, fault.NotFound.Wrap(err, "There is no such connection. Check the address with your administrator.")
	}
	if err != nil {
		return Connection{}, err
	}
	return r.connection()
}

func connectionIn(tx *store.Tx, id ConnectionID) (Connection, error) {
	var r connectionRow
	err := tx.Get(&r, selectConnections+" WHERE org_id = ? AND id = ?", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return Connection{}, fault.NotFound.Wrap(err, "There is no such connection.")
	}
	if err != nil {
		return Connection{}, err
	}
	return r.connection()
}

func connectionsIn(tx *store.Tx) ([]Connection, error) {
	var rows []connectionRow
	if err := tx.Select(&rows, selectConnections+" WHERE org_id = ? ORDER BY name, id LIMIT 1000", tx.Org()); err != nil {
		return nil, err
	}
	list := make([]Connection, len(rows))
	for i, r := range rows {
		var err error
		if list[i], err = r.connection(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// lockedConnection is connectionIn; who else wants to change the connection waits.
func lockedConnection(tx *store.Tx, id ConnectionID) (Connection, error) {
	if err := lockFirst(tx, id); fault.Is(err, fault.NotFound) {
		return Connection{}, fault.NotFound.Wrap(err, "There is no such connection.")
	} else if err != nil {
		return Connection{}, err
	}
	return connectionIn(tx, id)
}

// stored is the part of a connection that is JSON in the database.
func (c Connection) stored() (string, error) {
	b, err := json.Marshal(c.bare().Config)
	if err != nil {
		return "", fmt.Errorf("connection %s: config: %w", c.Name, err)
	}
	return string(b), nil
}

func updateConnection(tx *store.Tx, c Connection) error {
	config, err := c.stored()
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE connections SET vendor = ?, name = ?, status = ?, accounts = ?, issuer = ?, config = {{as_json}}, client_secret = ?, updated_at = ?
		WHERE org_id = ? AND id = ?`, c.Vendor, c.Name, c.Status, c.Accounts, c.Issuer, config, c.secret, c.UpdatedAt, tx.Org(), c.ID)
	return err
}

// subjectKindsIn are the kinds of subject that people are known by on a connection.
func subjectKindsIn(tx *store.Tx, id ConnectionID) (list []string, err error) {
	return list, tx.Select(&list, "SELECT DISTINCT subject_kind FROM identities WHERE org_id = ? AND connection_id = ? LIMIT 100", tx.Org(), id)
}

func insertConnection(tx *store.Tx, c Connection) error {
	config, err := c.stored()
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO connections (org_id, id, protocol, vendor, name, status, accounts, issuer, config, client_secret, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, {{as_json}}, ?, ?, ?)`,
		tx.Org(), c.ID, c.Protocol, c.Vendor, c.Name, c.Status, c.Accounts, c.Issuer, config, c.secret, c.CreatedAt, c.UpdatedAt)
	return err
}

// deleteConnection removes every row that belongs to a connection. A mail domain
// that was its own goes to any connection of the organization.
func deleteConnection(tx *store.Tx, id ConnectionID) error {
	for _, statement := range []string{
		"DELETE FROM domain_connections WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_certificates WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sp_keys WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM oidc_keys WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM identities WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_requests WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_replays WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_tests WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM setup_links WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_sessions WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_logouts WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_metadata WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_certificate_warnings WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_mappings WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_attributes WHERE org_id = ? AND connection_id = ? AND NOT locked",
		"DELETE FROM sso_confirmations WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM access_requests WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_rekeys WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_expected WHERE org_id = ? AND connection_id = ?",
		"DELETE FROM sso_moves WHERE org_id = ? AND ? IN (from_id, to_id)",
		"DELETE FROM connections WHERE org_id = ? AND id = ?",
	} {
		if _, err := tx.Exec(statement, tx.Org(), id); err != nil {
			return err
		}
	}
	return nil
}

func insertCertificates(tx *store.Tx, id ConnectionID, certs [][]byte) error {
	for _, der := range certs {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fault.Invalid.Wrap(err, "The metadata holds a broken certificate.")
		}
		sum := sha256.Sum256(der)
		if _, err := tx.Exec(`INSERT INTO sso_certificates (org_id, connection_id, fingerprint, der, not_after, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (org_id, connection_id, fingerprint) DO NOTHING`,
			tx.Org(), id, hex.EncodeToString(sum[:]), der, store.TimeOf(c.NotAfter), tx.Now()); err != nil {
			return err
		}
	}
	return nil
}

// credentials are what both sides of a connection prove themselves with.
type credentials struct {
	theirs  [][]byte // certificates of the provider, newest first
	stale   string   // SHA-256 sums (hex) of those that the metadata did not list when they were last read
	ours    []keyRow // as keysIn has them
	pending *pending // the request that is answered, when one was asked for and is there
}

// selectCredentials is one statement, because every sign-in needs all of it.
const selectCredentials = `SELECT * FROM (SELECT 0 AS rank, created_at AS at, CAST(NULL AS {{id}}) AS id, fingerprint AS name, absent, der AS certificate, CAST(NULL AS {{bytes}}) AS sealed_key
		FROM sso_certificates WHERE org_id = ? AND connection_id = ? ORDER BY created_at DESC, fingerprint LIMIT 20) AS theirs
	UNION ALL SELECT * FROM (SELECT CASE WHEN active_from <= ? THEN 1 ELSE 2 END, active_from, id, use_for, 0, certificate, sealed_key
		FROM sp_keys WHERE org_id = ? AND connection_id = ? AND (retire_at = 0 OR retire_at > ?)) AS ours`

// selectToCheck is the same and the request that an answer answers.
const selectToCheck = selectCredentials + `
	UNION ALL SELECT 3, expires_at, NULL, CAST({{entry}}(request_id, nonce, return_to, purpose, CAST(asked AS text), created_at) AS text), 0, verifier, NULL FROM sso_requests
		WHERE org_id = ? AND handle = ? AND connection_id = ? AND browser = ? AND expires_at > ?`

// credential is a row of any kind.
type credential struct {
	Rank        int              `db:"rank"` // 0: theirs; 1: ours, active or old; 2: ours, not yet; 3: the pending request
	At          store.Time       `db:"at"`
	ID          store.ID[keyRow] `db:"id"`
	Name        string           `db:"name"` // fingerprint, or what the key is for, or the request as a list
	Absent      int              `db:"absent"`
	Certificate []byte           `db:"certificate"`
	Sealed      []byte           `db:"sealed_key"`
}

// request is the pending request in a row of its kind.
func (r credential) request() (*pending, error) {
	p := pending{Verifier: r.Certificate, ExpiresAt: r.At}
	var asked string
	if err := json.Unmarshal([]byte(r.Name), &[]any{&p.RequestID, &p.Nonce, &p.ReturnTo, &p.Purpose, &asked, &p.CreatedAt}); err != nil {
		return nil, fmt.Errorf("pending request: %w", err)
	}
	p.Asked = []byte(asked)
	return &p, nil
}

// credentialsOf reads them, and the request of a ticket unless that is nil.
func credentialsOf(tx *store.Tx, c Connection, t *ticket) (out credentials, err error) {
	var rows []credential
	now := tx.Now()
	query, args := selectCredentials, []any{tx.Org(), c.ID, now, tx.Org(), c.ID, now}
	if t != nil {
		query, args = selectToCheck, append(args, t.args(c, now)...)
	}
	if err := tx.Select(&rows, query, args...); err != nil {
		return out, err
	}
	slices.SortFunc(rows, func(a, b credential) int {
		return cmp.Or(a.Rank-b.Rank, cmp.Compare(b.At, a.At), strings.Compare(string(b.ID), string(a.ID)), strings.Compare(a.Name, b.Name))
	})
	for _, r := range rows {
		switch {
		case r.Rank == 3:
			if out.pending, err = r.request(); err != nil {
				return out, err
			}
		case r.Rank > 0:
			out.ours = append(out.ours, keyRow{ID: r.ID, UseFor: r.Name, Certificate: r.Certificate, Sealed: r.Sealed, ActiveFrom: r.At})
		default:
			if out.theirs = append(out.theirs, r.Certificate); r.Absent > 0 {
				out.stale += r.Name + " "
			}
		}
	}
	return out, nil
}

func certificatesIn(tx *store.Tx, id ConnectionID) ([][]byte, error) {
	var list [][]byte
	return list, tx.Select(&list, "SELECT der FROM sso_certificates WHERE org_id = ? AND connection_id = ? ORDER BY created_at DESC, fingerprint LIMIT 20", tx.Org(), id)
}

type certificateRow struct {
	Fingerprint string     `db:"fingerprint"`
	NotAfter    store.Time `db:"not_after"`
}

func certificateLinesIn(tx *store.Tx, id ConnectionID) (list []certificateRow, err error) {
	return list, tx.Select(&list, "SELECT fingerprint, not_after FROM sso_certificates WHERE org_id = ? AND connection_id = ? ORDER BY not_after DESC LIMIT 20", tx.Org(), id)
}

// keyRow is one of our own key pairs towards a provider.
type keyRow struct {
	ID          store.ID[keyRow] `db:"id"`
	UseFor      string           `db:"use_for"` // "sign" or "encrypt"
	State       string           `db:"state"`   // "next", "active", "old"
	Certificate []byte           `db:"certificate"`
	Sealed      []byte           `db:"sealed_key"`
	ActiveFrom  store.Time       `db:"active_from"`
	RetireAt    store.Time       `db:"retire_at"`
	CreatedAt   store.Time       `db:"created_at"`
}

// sealedAs names the place of the private key, so that it opens nowhere else.
func (k keyRow) sealedAs(c ConnectionID) string {
	return "connection/" + string(c) + "/key/" + string(k.ID)
}

func insertKey(tx *store.Tx, id ConnectionID, k keyRow) error {
	_, err := tx.Exec("INSERT INTO sp_keys (org_id, connection_id, id, use_for, state, certificate, sealed_key, active_from, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		tx.Org(), id, k.ID, k.UseFor, k.State, k.Certificate, k.Sealed, k.ActiveFrom, tx.Now())
	return err
}

// keysIn are the published keys of a connection, of each use the active one first,
// then old ones, then those that take over later.
func keysIn(tx *store.Tx, id ConnectionID) ([]keyRow, error) {
	var list []keyRow
	return list, tx.Select(&list, `SELECT id, use_for, state, certificate, sealed_key, active_from, retire_at, created_at FROM sp_keys
		WHERE org_id = ? AND connection_id = ? AND (retire_at = 0 OR retire_at > ?)
		ORDER BY CASE WHEN active_from <= ? THEN 0 ELSE 1 END, active_from DESC, id DESC LIMIT 20`, tx.Org(), id, tx.Now(), tx.Now())
}

const selectDomains = "SELECT id, domain, token, verified_at, created_at, checked_at, recheck_at, lost_at, told_at, off_at, answer FROM domains"

func domainsIn(tx *store.Tx) ([]Domain, error) {
	var list []Domain
	if err := tx.Select(&list, selectDomains+" WHERE org_id = ? ORDER BY domain LIMIT 1000", tx.Org()); err != nil || len(list) == 0 {
		return list, err
	}
	var links []struct {
		Domain     DomainID     `db:"domain_id"`
		Connection ConnectionID `db:"connection_id"`
	}
	err := tx.Select(&links, "SELECT domain_id, connection_id FROM domain_connections WHERE org_id = ? ORDER BY domain_id, connection_id", tx.Org())
	of := map[DomainID][]ConnectionID{}
	for _, l := range links {
		of[l.Domain] = append(of[l.Domain], l.Connection)
	}
	for i := range list {
		list[i].Connections = of[list[i].ID]
	}
	return list, err
}

// domainIn finds a domain by its name. Faults: NotFound.
func domainIn(tx *store.Tx, name, lock string) (Domain, error) {
	var v Domain
	err := tx.Get(&v, selectDomains+" WHERE org_id = ? AND domain = ?"+lock, tx.Org(), name)
	if fault.Is(err, fault.NotFound) {
		return v, fault.NotFound.Wrap(err, "The domain %s was not added here.", name)
	}
	if err != nil {
		return v, err
	}
	return v, tx.Select(&v.Connections, "SELECT connection_id FROM domain_connections WHERE org_id = ? AND domain_id = ? ORDER BY connection_id", tx.Org(), v.ID)
}

// prove makes the domain the organization's. Faults: Conflict (another one's).
func prove(tx *store.Tx, v *Domain) error {
	// The unique index holds against whoever proves it at the same moment.
	n, err := tx.Exec(`UPDATE domains SET verified_at = ?, recheck_at = ?, lost_at = 0, told_at = 0, off_at = 0 WHERE org_id = ? AND id = ?
		AND NOT EXISTS (SELECT 1 FROM domains AS o WHERE o.domain = domains.domain AND o.verified_at > 0 AND o.id <> domains.id)`, tx.Now(), v.RecheckAt, tx.Org(), v.ID)
	switch {
	case fault.Is(err, fault.Conflict): // then Write runs again, and sees it
		return fault.Conflict.On("version", "Another organization proved the domain at the same moment.")
	case err == nil && n == 0:
		return errTaken(*v)
	case err == nil:
		v.VerifiedAt = tx.Now()
	}
	return err
}

func saveDomain(tx *store.Tx, v Domain) error {
	_, err := tx.Exec(`UPDATE domains SET verified_at = ?, checked_at = ?, recheck_at = ?, lost_at = ?, told_at = ?, off_at = ?, answer = ? WHERE org_id = ? AND id = ?`,
		v.VerifiedAt, v.CheckedAt, v.RecheckAt, v.LostAt, v.ToldAt, v.OffAt, v.Answer, tx.Org(), v.ID)
	return err
}

// verifiedIn are the names of the domains that the organization has proved.
func verifiedIn(tx *store.Tx) ([]string, error) {
	var list []string
	return list, tx.Select(&list, "SELECT domain FROM domains WHERE org_id = ? AND verified_at > 0 ORDER BY domain LIMIT 1000", tx.Org())
}

// limitedTo are the domains in which accounts may be made. limited: the organization
// has proved some. One that is off counts there too, so that losing the last one
// does not open the door to every address.
func limitedTo(tx *store.Tx) (domains []string, limited bool, err error) {
	var n int
	if err := tx.Get(&n, "SELECT COUNT(*) FROM domains WHERE org_id = ? AND (verified_at > 0 OR off_at > 0)", tx.Org()); err != nil || n == 0 {
		return nil, false, err
	}
	domains, err = verifiedIn(tx)
	return domains, true, err
}

// choicesFor are the open connections of whoever has proved a mail domain: a
// look-up before the organization is known.
const choicesFor = `SELECT c.id, c.org_id, c.name, c.protocol FROM domains d JOIN connections c ON c.org_id = d.org_id
	WHERE d.domain = ? AND d.verified_at > 0 AND c.status = 'active'
	AND (NOT EXISTS (SELECT 1 FROM domain_connections x WHERE x.org_id = d.org_id AND x.domain_id = d.id)
		OR EXISTS (SELECT 1 FROM domain_connections x WHERE x.org_id = d.org_id AND x.domain_id = d.id AND x.connection_id = c.id))
	ORDER BY c.name, c.id LIMIT 20`

const choicesOf = `SELECT c.id, c.org_id, c.name, c.protocol FROM connections c WHERE c.org_id = ? AND c.status = 'active' ORDER BY c.name, c.id LIMIT 20`

const insertRequest = `INSERT INTO sso_requests (org_id, handle, connection_id, browser, request_id, nonce, verifier, return_to, purpose, asked, created_at, expires_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {{as_json}}, ?, ?)`

const pendingColumns = "request_id, nonce, verifier, return_to, purpose, asked, created_at, expires_at"

const selectRequest = "SELECT " + pendingColumns + ` FROM sso_requests
	WHERE org_id = ? AND handle = ? AND connection_id = ? AND browser = ? AND expires_at > ?`

const takeRequest = `DELETE FROM sso_requests
	WHERE org_id = ? AND handle = ? AND connection_id = ? AND browser = ? AND expires_at > ? RETURNING ` + pendingColumns

// spendRequest is takeRequest without reading it again, while the connection is as it
// was when the answer was checked.
const spendRequest = `DELETE FROM sso_requests
	WHERE org_id = ? AND handle = ? AND connection_id = ? AND browser = ? AND expires_at > ?
	AND EXISTS (SELECT 1 FROM connections c WHERE c.org_id = ? AND c.id = ? AND c.updated_at = ?)`

const insertReplay = `INSERT INTO sso_replays (org_id, connection_id, answer, expires_at) VALUES (?, ?, ?, ?)
	ON CONFLICT (org_id, connection_id, answer) DO NOTHING`

const (
	sweepRequests = "DELETE FROM sso_requests WHERE expires_at <= ?"
	sweepReplays  = "DELETE FROM sso_replays WHERE expires_at <= ?"

	sweepConfirmations = "DELETE FROM sso_confirmations WHERE expires_at <= ?"
)
