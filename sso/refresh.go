package sso

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// A connection that was given its provider's metadata by URL reads it again every few
// hours. What an honest provider changes in passing is taken over: certificates come
// at once and go after they were missing twice, so that an exchange of keys needs
// nobody. What would hand people's sign-ins to whoever controls the URL waits for an
// administrator (dangers); until then the connection works on as it was.

const (
	refreshEvery = 6 * time.Hour
	refreshLeast = time.Hour
	refreshMost  = 24 * time.Hour
	// absences is how often in a row a certificate must be missing to go.
	absences = 2
)

// ProviderValues is what metadata say of a provider.
type ProviderValues struct {
	EntityID     string   `json:"entity_id"`
	SSORedirect  string   `json:"sso_redirect,omitempty"`
	SSOPost      string   `json:"sso_post,omitempty"`
	SLORedirect  string   `json:"slo_redirect,omitempty"`
	SLOPost      string   `json:"slo_post,omitempty"`
	Certificates []string `json:"certificates"` // SHA-256, hex
}

// PendingMetadata is a change that waits for an administrator.
type PendingMetadata struct {
	Version string         `json:"version"` // say it when approving
	Since   string         `json:"since"`
	Reasons []string       `json:"reasons"`
	Before  ProviderValues `json:"before"`
	After   ProviderValues `json:"after"`
}

// MetadataState is what is known of a connection's metadata URL.
type MetadataState struct {
	URL     string `json:"url,omitempty"`
	ReadAt  string `json:"read_at,omitempty"`
	NextAt  string `json:"next_at,omitempty"`
	Problem string `json:"problem,omitempty"` // why the last reading failed; the last good one holds
	Since   string `json:"problem_since,omitempty"`

	Pending *PendingMetadata `json:"pending,omitempty"`

	said web.Said // Problem
}

// pendingDoc is a waiting change as it is stored.
type pendingDoc struct {
	Version  string        `json:"version"`
	Reasons  []string      `json:"reasons"`
	Metadata saml.Metadata `json:"metadata"`
}

// metadataRow is the state of a connection's metadata.
type metadataRow struct {
	NextAt    store.Time `db:"next_at"`
	ReadAt    store.Time `db:"read_at"`
	ETag      string     `db:"etag"`
	Modified  string     `db:"modified"`
	Problem   string     `db:"problem"`
	Said      []byte     `db:"problem_said"` // Problem for a reader, a web.Said as JSON
	ProblemAt store.Time `db:"problem_at"`
	Pending   []byte     `db:"pending"`
	PendingAt store.Time `db:"pending_at"`
	Rejected  string     `db:"rejected"`
}

func (r metadataRow) waiting() (p pendingDoc, err error) {
	if len(r.Pending) > 0 {
		err = json.Unmarshal(r.Pending, &p)
	}
	return p, err
}

// metadataIn is the state, the zero one of a connection that was never looked at.
func metadataIn(tx *store.Tx, id ConnectionID) (r metadataRow, err error) {
	err = tx.Get(&r, `SELECT next_at, read_at, etag, modified, problem, problem_said, problem_at, pending, pending_at, rejected FROM sso_metadata
		WHERE org_id = ? AND connection_id = ?`, tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return r, err
}

func saveMetadata(tx *store.Tx, id ConnectionID, r metadataRow) error {
	_, err := tx.Exec(`INSERT INTO sso_metadata (org_id, connection_id, next_at, read_at, etag, modified, problem, problem_said, problem_at, pending, pending_at, rejected)
		VALUES (?, ?, ?, ?, ?, ?, ?, {{as_json}}, ?, {{as_json}}, ?, ?)
		ON CONFLICT (org_id, connection_id) DO UPDATE SET next_at = excluded.next_at, read_at = excluded.read_at, etag = excluded.etag, modified = excluded.modified,
		problem = excluded.problem, problem_said = excluded.problem_said, problem_at = excluded.problem_at, pending = excluded.pending, pending_at = excluded.pending_at, rejected = excluded.rejected`,
		tx.Org(), id, r.NextAt, r.ReadAt, r.ETag, r.Modified, r.Problem, jsonOrNull(r.Said), r.ProblemAt, jsonOrNull(r.Pending), r.PendingAt, r.Rejected)
	return err
}

func jsonOrNull(text []byte) any {
	if len(text) == 0 {
		return nil
	}
	return string(text)
}

// fetched is what the metadata URL answered.
type fetched struct {
	unchanged      bool
	etag, modified string
	metadata       saml.Metadata
	unsigned       error // why the pinned signature does not hold
}

// fetchMetadata reads the URL again, with what it said last time.
func (d *Door) fetchMetadata(ctx context.Context, c Connection, r metadataRow) (out fetched, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Config.MetadataURL, nil)
	if err != nil {
		return out, fault.Invalid.On("url", "The metadata address is not a URL.")
	}
	req.Header.Set("Accept", "application/samlmetadata+xml, application/xml;q=0.9, */*;q=0.1")
	if r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	}
	if r.Modified != "" {
		req.Header.Set("If-Modified-Since", r.Modified)
	}
	resp, err := d.large.Do(req)
	if err != nil {
		return out, unreachable(err, fault.Word("metadata"), c.Config.MetadataURL)
	}
	defer resp.Body.Close()
	out.etag, out.modified = answer.Clip(resp.Header.Get("ETag"), 500), answer.Clip(resp.Header.Get("Last-Modified"), 100)
	if resp.StatusCode == http.StatusNotModified && r.ETag+r.Modified != "" {
		out.unchanged, out.etag, out.modified = true, r.ETag, r.Modified
		return out, nil
	}
	if resp.StatusCode != http.StatusOK {
		return out, fault.Unavailable.Say("The metadata at %s answered with status %d.", hostOf(c.Config.MetadataURL), resp.StatusCode)
	}
	doc, err := io.ReadAll(resp.Body)
	if err != nil {
		return out, unreachable(err, fault.Word("metadata"), c.Config.MetadataURL)
	}
	if c.Config.MetadataSigner != "" {
		signed, err := saml.CheckMetadataSignature(doc, c.Config.MetadataSigner)
		if out.unsigned = err; err == nil {
			doc = signed
		}
	}
	if out.metadata, err = chooseMetadata(doc, c.Issuer); err != nil {
		return out, err
	}
	if until := out.metadata.ValidUntil; !until.IsZero() && until.Before(d.opts.DB.Now()) {
		return out, fault.Invalid.On("metadata", "The metadata says that it expired at %s.", store.TimeOf(until).RFC3339())
	}
	return out, nil
}

// chooseMetadata reads the metadata of the provider that was there before; a document
// of one provider alone may have another name for it now.
func chooseMetadata(doc []byte, entity string) (saml.Metadata, error) {
	names, err := saml.Entities(doc)
	if err != nil {
		return saml.Metadata{}, err
	}
	if len(names) == 1 {
		entity = ""
	}
	if doc, err = saml.Pick(doc, entity); err != nil {
		return saml.Metadata{}, err
	}
	return saml.ParseMetadata(doc)
}

// dangers are the reasons why a change waits for an administrator. Each would let
// whoever controls the URL, and not the provider, sign anybody in.
func dangers(c Connection, old [][]byte, in fetched) (reasons []string) {
	m := in.metadata
	if in.unsigned != nil {
		reasons = append(reasons, fmt.Sprintf(dangerSigner, in.unsigned))
	}
	if m.EntityID != c.Issuer {
		reasons = append(reasons, dangerEntity)
	}
	before := []string{c.Config.SSORedirect, c.Config.SSOPost, c.Config.SLO.Redirect, c.Config.SLO.Post, c.Config.SLO.RedirectResponse, c.Config.SLO.PostResponse}
	var known []string
	for _, address := range before {
		known = append(known, siteOf(address))
	}
	var strange []string
	for _, address := range append(addresses(m.SSO), responses(m.SLO)...) {
		if site := siteOf(address); !slices.Contains(known, site) && !slices.Contains(strange, site) {
			strange = append(strange, site)
		}
	}
	if len(strange) > 0 {
		reasons = append(reasons, fmt.Sprintf(dangerWhere, strings.Join(strange, ", ")))
	}
	kept := slices.ContainsFunc(m.Certificates, func(der []byte) bool {
		return slices.ContainsFunc(old, func(o []byte) bool { return bytes.Equal(o, der) })
	})
	if len(old) > 0 && !kept {
		reasons = append(reasons, dangerCerts)
	}
	return reasons
}

func addresses(byBinding map[string]string) (list []string) {
	for _, address := range byBinding {
		list = append(list, address)
	}
	slices.Sort(list)
	return list
}

func responses(byBinding map[string]saml.Endpoint) (list []string) {
	for _, at := range byBinding {
		if list = append(list, at.Location); at.ResponseLocation != "" {
			list = append(list, at.ResponseLocation)
		}
	}
	slices.Sort(list)
	return list
}

// siteOf is scheme and host of an address.
func siteOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// versionOf names what metadata say, so that an approval is of what was looked at.
func versionOf(m saml.Metadata, reasons []string) (string, error) {
	b, err := json.Marshal(struct {
		Values  ProviderValues
		Reasons []string
	}{valuesOf(m), reasons})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16]), err
}

func valuesOf(m saml.Metadata) ProviderValues {
	return ProviderValues{EntityID: m.EntityID, SSORedirect: m.SSO[saml.BindingRedirect], SSOPost: m.SSO[saml.BindingPOST],
		SLORedirect: m.SLO[saml.BindingRedirect].Location, SLOPost: m.SLO[saml.BindingPOST].Location, Certificates: fingerprints(m.Certificates)}
}

// Refresh reads the metadata of a connection again now. Faults: Denied, NotFound,
// Conflict (it was not given by URL).
func (d *Door) Refresh(ctx context.Context, actor access.Actor, id ConnectionID) (MetadataState, error) {
	var c Connection
	err := d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err = connectionIn(tx, id)
		return err
	})
	if err == nil && c.Config.MetadataURL == "" {
		err = fault.Conflict.Say("The metadata of %s was not given by URL, so there is nothing to read again.", c.Name)
	}
	if err != nil {
		return MetadataState{}, err
	}
	if err := d.refresh(ctx, actor, c); err != nil {
		return MetadataState{}, err
	}
	return d.MetadataState(ctx, actor, id)
}

// refresh reads the metadata and takes over what may be. That it cannot be read is
// noted and no error.
func (d *Door) refresh(ctx context.Context, actor access.Actor, c Connection) error {
	var r metadataRow
	err := d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		r, err = metadataIn(tx, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	in, problem := d.fetchMetadata(ctx, c, r)
	if problem != nil && !fault.Is(problem, fault.Unavailable) && !fault.Is(problem, fault.Invalid) {
		return problem
	}
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		now, err := lockedConnection(tx, c.ID)
		if err != nil {
			return err
		}
		if now.Config.MetadataURL != c.Config.MetadataURL || now.Issuer != c.Issuer {
			return nil // somebody changed it meanwhile; the next reading is of that
		}
		if r, err = metadataIn(tx, c.ID); err != nil {
			return err
		}
		r.NextAt = tx.Now().Add(d.pause(in.metadata))
		if problem != nil {
			err = d.noteProblem(tx, now, &r, web.SaidBy(problem))
		} else {
			err = d.takeOver(tx, now, &r, in)
		}
		if err != nil {
			return err
		}
		return saveMetadata(tx, c.ID, r)
	})
}

// pause is how long a reading holds: as the metadata say, within bounds, and never
// past their end. Servers and connections spread over a tenth of it.
func (d *Door) pause(m saml.Metadata) time.Duration {
	pause := refreshEvery
	if m.CacheDuration > 0 {
		pause = min(max(m.CacheDuration, refreshLeast), refreshMost)
	}
	if !m.ValidUntil.IsZero() {
		pause = max(min(pause, m.ValidUntil.Sub(d.opts.DB.Now())/2), refreshLeast/4)
	}
	return d.spread(pause)
}

// noteProblem records that reading began to fail; the last good metadata hold.
func (d *Door) noteProblem(tx *store.Tx, c Connection, r *metadataRow, problem web.Said) (err error) {
	r.NextAt = tx.Now().Add(d.spread(refreshLeast))
	first := r.Problem == ""
	r.Problem = answer.Clip(problem.String(), 1000)
	if r.Said, err = json.Marshal(problem); err != nil || !first {
		return err
	}
	r.ProblemAt = tx.Now()
	return recordMetadata(tx, c, "fail", map[string]any{"why": r.Problem})
}

// takeOver does what fresh metadata say, or has it wait.
func (d *Door) takeOver(tx *store.Tx, c Connection, r *metadataRow, in fetched) error {
	if r.Problem != "" {
		if err := recordMetadata(tx, c, "back", nil); err != nil {
			return err
		}
	}
	r.Problem, r.Said, r.ProblemAt, r.ReadAt, r.ETag, r.Modified = "", nil, 0, tx.Now(), in.etag, in.modified
	if in.unchanged {
		return d.ageCertificates(tx, c, nil)
	}
	old, err := certificatesIn(tx, c.ID)
	if err != nil {
		return err
	}
	reasons := dangers(c, old, in)
	if len(reasons) == 0 {
		r.Pending, r.PendingAt, r.Rejected = nil, 0, ""
		if _, err := changeConnection(tx, c.ID, func(c *Connection) error {
			byHand := c.Config.SLO
			if adopt(c, in.metadata); len(in.metadata.SLO) == 0 {
				c.Config.SLO = byHand // entered by somebody: the metadata never said any
			}
			return nil
		}); err != nil {
			return err
		}
		return d.ageCertificates(tx, c, in.metadata.Certificates)
	}
	return d.hold(tx, c, r, in.metadata, reasons)
}

// hold has a change wait for an administrator, and tells them once.
func (d *Door) hold(tx *store.Tx, c Connection, r *metadataRow, m saml.Metadata, reasons []string) error {
	version, err := versionOf(m, reasons)
	if err != nil {
		return err
	}
	waiting, err := r.waiting()
	if err != nil {
		return err
	}
	if version == r.Rejected {
		r.Pending, r.PendingAt = nil, 0
		return nil
	}
	if version == waiting.Version {
		return nil
	}
	if r.Pending, err = json.Marshal(pendingDoc{version, reasons, m}); err != nil {
		return err
	}
	r.PendingAt = tx.Now()
	old, err := certificatesIn(tx, c.ID)
	if err != nil {
		return err
	}
	if err := recordMetadata(tx, c, "hold", map[string]any{"why": strings.Join(reasons, " "), "before": nowOf(c, old), "after": valuesOf(m)}); err != nil {
		return err
	}
	lines := []web.Said{web.Say("The metadata of the identity provider %s changed in a way that somebody should look at before it counts. People sign in as before until you approve or reject it.", c.Name)}
	for _, why := range reasons {
		lines = append(lines, dangerous.Read(why))
	}
	return d.tell(tx, web.Notice{Subject: web.Say("The metadata of %s changed and waits for you", c.Name), Button: web.Say("Look at the change"), Path: "/connections/" + string(c.ID) + "/upkeep", Lines: lines})
}

// nowOf is what a connection goes by.
func nowOf(c Connection, certs [][]byte) ProviderValues {
	return ProviderValues{EntityID: c.Issuer, SSORedirect: c.Config.SSORedirect, SSOPost: c.Config.SSOPost, SLORedirect: c.Config.SLO.Redirect, SLOPost: c.Config.SLO.Post,
		Certificates: fingerprints(certs)}
}

func recordMetadata(tx *store.Tx, c Connection, what string, detail map[string]any) error {
	return tx.Record(store.Activity{Action: "connection.metadata." + what, TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name, Detail: detail})
}

// ApproveMetadata takes a waiting change over, all of it. version says which one was looked
// at. Faults: Denied, NotFound, Conflict (there is none, or another one).
func (d *Door) ApproveMetadata(ctx context.Context, actor access.Actor, id ConnectionID, version string) (MetadataState, error) {
	return d.decide(ctx, actor, id, version, func(tx *store.Tx, c Connection, r *metadataRow, p pendingDoc) error {
		before, err := certificatesIn(tx, id)
		if err != nil {
			return err
		}
		if err := recordMetadata(tx, c, "approve", map[string]any{"before": nowOf(c, before), "after": valuesOf(p.Metadata)}); err != nil {
			return err
		}
		if c, err = changeConnection(tx, id, func(c *Connection) error { adopt(c, p.Metadata); return nil }); err != nil {
			return err
		}
		return exchangeCertificates(tx, c, p.Metadata.Certificates)
	})
}

// RejectMetadata turns a waiting change down; it does not come again as it is. Faults as of
// ApproveMetadata.
func (d *Door) RejectMetadata(ctx context.Context, actor access.Actor, id ConnectionID, version string) (MetadataState, error) {
	return d.decide(ctx, actor, id, version, func(tx *store.Tx, c Connection, r *metadataRow, p pendingDoc) error {
		r.Rejected = p.Version
		return recordMetadata(tx, c, "reject", map[string]any{"why": strings.Join(p.Reasons, " ")})
	})
}

func (d *Door) decide(ctx context.Context, actor access.Actor, id ConnectionID, version string, do func(*store.Tx, Connection, *metadataRow, pendingDoc) error) (s MetadataState, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := lockedConnection(tx, id)
		if err != nil {
			return err
		}
		r, err := metadataIn(tx, id)
		if err != nil {
			return err
		}
		p, err := r.waiting()
		if err != nil {
			return err
		}
		if p.Version == "" || p.Version != version {
			return fault.Conflict.On("version", "No such change of the metadata of %s waits any more. Look at it again.", c.Name)
		}
		if err := do(tx, c, &r, p); err != nil {
			return err
		}
		r.Pending, r.PendingAt = nil, 0
		return saveMetadata(tx, id, r)
	})
	if err != nil {
		return s, err
	}
	return d.MetadataState(ctx, actor, id)
}

// MetadataState tells what is known of the connection's metadata URL, and which
// change waits. Faults: Denied, NotFound.
func (d *Door) MetadataState(ctx context.Context, actor access.Actor, id ConnectionID) (s MetadataState, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := connectionIn(tx, id)
		if err != nil {
			return err
		}
		r, err1 := metadataIn(tx, id)
		p, err2 := r.waiting()
		certs, err3 := certificatesIn(tx, id)
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		s = MetadataState{URL: c.Config.MetadataURL, Problem: r.Problem, said: web.Say("%s", r.Problem)}
		if len(r.Said) > 0 {
			if err := json.Unmarshal(r.Said, &s.said); err != nil {
				return err
			}
		}
		for at, to := range map[store.Time]*string{r.ReadAt: &s.ReadAt, r.NextAt: &s.NextAt, r.ProblemAt: &s.Since} {
			if at != 0 {
				*to = at.RFC3339()
			}
		}
		if p.Version != "" {
			s.Pending = &PendingMetadata{Version: p.Version, Since: r.PendingAt.RFC3339(), Reasons: p.Reasons, Before: nowOf(c, certs), After: valuesOf(p.Metadata)}
		}
		return nil
	})
	return s, err
}
