package sso

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// tendEvery is how often the loop asks what is due.
const tendEvery = 5 * time.Minute

// tendClaim is for how long a server has a connection for itself.
const tendClaim = 10 * time.Minute

// warnDays are the days before the end of a certificate on which admins are told.
var warnDays = []int{1, 7, 30, 60}

// RunUpkeep looks after keys, certificates and metadata until ctx is done.
func (d *Door) RunUpkeep(ctx context.Context) error {
	store.Every(ctx, d.opts.Log, tendEvery, nil, "look after connections", d.Tend)
	return nil
}

type dueConnection struct {
	Org store.OrgID  `db:"org_id"`
	ID  ConnectionID `db:"id"`
}

// Tend looks after the SAML connections that are due: exchanges of keys, the end of
// certificates, metadata. Several servers may do it at once; each connection is
// looked after by one.
func (d *Door) Tend(ctx context.Context) error {
	var due []dueConnection
	err := d.opts.DB.LookupAll(ctx, &due, `SELECT c.org_id, c.id FROM connections c LEFT JOIN sso_metadata m ON m.org_id = c.org_id AND m.connection_id = c.id
		WHERE c.protocol = 'saml' AND c.status <> 'disabled' AND (m.next_at IS NULL OR m.next_at <= ?) ORDER BY c.id LIMIT 200`, store.TimeOf(d.opts.DB.Now()))
	if err != nil {
		return err
	}
	var all []error
	for _, one := range due {
		if err := d.tendOne(ctx, access.Muster(string(one.Org)), one.ID); err != nil {
			all = append(all, fmt.Errorf("connection %s: %w", one.ID, err))
		}
	}
	return errors.Join(all...)
}

func (d *Door) tendOne(ctx context.Context, actor access.Actor, id ConnectionID) error {
	var c Connection
	mine := false
	err := d.opts.DB.Write(ctx, actor, func(tx *store.Tx) (err error) {
		n, err := tx.Exec(`INSERT INTO sso_metadata (org_id, connection_id, next_at, read_at, etag, modified, problem, problem_at, pending_at, rejected)
			VALUES (?, ?, ?, 0, '', '', '', 0, 0, '') ON CONFLICT (org_id, connection_id) DO UPDATE SET next_at = excluded.next_at WHERE sso_metadata.next_at <= ?`,
			tx.Org(), id, tx.Now().Add(tendClaim), tx.Now())
		if mine = n > 0; err != nil || !mine {
			return err
		}
		if c, err = lockedConnection(tx, id); err != nil {
			return err
		}
		if err := d.keysStep(tx, c); err != nil {
			return err
		}
		if err := d.warnOfEnds(tx, c); err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE sso_metadata SET next_at = ? WHERE org_id = ? AND connection_id = ?", tx.Now().Add(d.spread(refreshEvery)), tx.Org(), id)
		return err
	})
	if err != nil || !mine {
		return err
	}
	if err := d.renewKeys(ctx, actor, c); err != nil {
		return err
	}
	if c.Config.MetadataURL == "" {
		return nil
	}
	return d.refresh(ctx, actor, c)
}

// spread keeps servers and connections from doing everything at the same moment.
func (d *Door) spread(pause time.Duration) time.Duration {
	return pause - rand.N(pause/10+1)
}

// ending is a certificate whose end comes.
type ending struct {
	whose, fingerprint string
	at                 time.Time
}

// endings are the certificates of a connection that matter: the last to end of the
// provider's, for then none is left, and those of our keys that nothing follows yet.
func endings(tx *store.Tx, c Connection) (list []ending, err error) {
	ders, err := certificatesIn(tx, c.ID)
	if err != nil {
		return nil, err
	}
	keys, err := keysIn(tx, c.ID)
	if err != nil {
		return nil, err
	}
	add := func(whose string, der []byte) error {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("connection %s: %w", c.ID, err)
		}
		list = append(list, ending{whose, saml.Fingerprint(der), cert.NotAfter})
		return nil
	}
	for _, der := range ders {
		if err := add("provider", der); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b ending) int { return b.at.Compare(a.at) })
	list = list[:min(len(list), 1)]
	for _, k := range keys {
		if k.RetireAt != 0 {
			continue
		}
		if err := add(k.UseFor, k.Certificate); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// warnOfEnds tells the admins which certificates end soon: once for each number of
// days, whichever server is first.
func (d *Door) warnOfEnds(tx *store.Tx, c Connection) error {
	list, err := endings(tx, c)
	if err != nil {
		return err
	}
	for _, e := range list {
		left := e.at.Sub(tx.Now().Time())
		at := slices.IndexFunc(warnDays, func(days int) bool { return left <= time.Duration(days)*24*time.Hour })
		if at < 0 {
			continue
		}
		first, err := warned(tx, c.ID, e.fingerprint, warnDays[at])
		if err != nil {
			return err
		}
		if !first {
			continue
		}
		words := endWords(c, e, left)
		if err := tx.Record(store.Activity{Action: "connection.certificate.ends", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
			Detail: map[string]any{"certificate": e.fingerprint, "whose": e.whose, "at": store.TimeOf(e.at).RFC3339(), "days": warnDays[at], "why": words.String()}}); err != nil {
			return err
		}
		err = d.tell(tx, web.Notice{Subject: web.Say("A certificate of %s ends soon", c.Name), Button: web.Say("Look at the connection"), Path: "/connections/" + string(c.ID) + "/upkeep", Lines: []web.Said{words}})
		if err != nil {
			return err
		}
	}
	return nil
}

// endWords say what ends and what to do.
func endWords(c Connection, e ending, left time.Duration) web.Said {
	day := e.at.UTC().Format(time.DateOnly)
	when := web.Say("ends on %s", day)
	if left <= 0 {
		when = web.Say("ended on %s", day)
	}
	switch {
	case e.whose != "provider":
		return web.Say("The certificate of this server's key towards %s (SHA-256 %s) %s. Publish new keys, and give the identity provider the new metadata.", c.Name, e.fingerprint, when)
	case c.Config.MetadataURL != "":
		return web.Say("The last signing certificate of %s (SHA-256 %s) %s. A new one is taken over from its metadata URL as soon as it stands there; ask the identity provider's administrator whether it is due.", c.Name, e.fingerprint, when)
	}
	return web.Say("The last signing certificate of %s (SHA-256 %s) %s. Get its new metadata when the identity provider changes its keys, and enter it here.", c.Name, e.fingerprint, when)
}

// warned notes a warning; first is false when it was given already.
func warned(tx *store.Tx, id ConnectionID, fingerprint string, days int) (first bool, err error) {
	n, err := tx.Exec(`INSERT INTO sso_certificate_warnings (org_id, connection_id, fingerprint, days, warned_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (org_id, connection_id, fingerprint, days) DO NOTHING`, tx.Org(), id, fingerprint, days, tx.Now())
	return n > 0, err
}

// ageCertificates takes over which certificates the metadata list. listed is nil when
// they have not changed since the last reading. One that is new counts at once; one
// that is missing goes when it was missing before.
func (d *Door) ageCertificates(tx *store.Tx, c Connection, listed [][]byte) error {
	before, err := certificatesIn(tx, c.ID)
	if err != nil {
		return err
	}
	const missing = "UPDATE sso_certificates SET absent = absent + 1 WHERE org_id = ? AND connection_id = ? AND absent > 0"
	if listed == nil {
		if _, err := tx.Exec(missing, tx.Org(), c.ID); err != nil {
			return err
		}
	} else {
		there := fingerprints(listed)
		for _, der := range before {
			set := "UPDATE sso_certificates SET absent = 0 WHERE org_id = ? AND connection_id = ? AND fingerprint = ? AND absent > 0"
			if !slices.Contains(there, saml.Fingerprint(der)) {
				set = "UPDATE sso_certificates SET absent = absent + 1 WHERE org_id = ? AND connection_id = ? AND fingerprint = ?"
			}
			if _, err := tx.Exec(set, tx.Org(), c.ID, saml.Fingerprint(der)); err != nil {
				return err
			}
		}
		if err := insertCertificates(tx, c.ID, listed); err != nil {
			return err
		}
	}
	if _, err := tx.Exec("DELETE FROM sso_certificates WHERE org_id = ? AND connection_id = ? AND absent >= ?", tx.Org(), c.ID, absences); err != nil {
		return err
	}
	after, err := certificatesIn(tx, c.ID)
	if err != nil {
		return err
	}
	return d.tellExchange(tx, c, fingerprints(before), fingerprints(after))
}

// tellExchange records which certificates came and went, and tells the admins of new
// ones: whoever has the key of one can sign anybody in.
func (d *Door) tellExchange(tx *store.Tx, c Connection, was, is []string) error {
	if slices.Equal(was, is) {
		return nil
	}
	if err := tx.Record(store.Activity{Action: "connection.certificates", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
		Detail: map[string]any{"before": map[string]any{"certificates": was}, "after": map[string]any{"certificates": is}, "why": "the metadata URL says so"}}); err != nil {
		return err
	}
	fresh := slices.DeleteFunc(slices.Clone(is), func(f string) bool { return slices.Contains(was, f) })
	if len(fresh) == 0 {
		return nil
	}
	return d.tell(tx, web.Notice{Subject: web.Say("%s has a new signing certificate", c.Name), Button: web.Say("Look at the connection"), Path: "/connections/" + string(c.ID) + "/upkeep", Lines: []web.Said{
		web.Say("The metadata of the identity provider %s lists a new signing certificate beside the one that was known. It counts from now on.", c.Name),
		web.Say("SHA-256: %s", strings.Join(fresh, ", ")), web.Say("If nobody there is exchanging keys, close the connection and ask.")}})
}

// noteStale warns, once for each certificate, that somebody signed in over one that
// the metadata do not list any more.
func (d *Door) noteStale(ctx context.Context, actor access.Actor, c Connection, fingerprint string) error {
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		first, err := warned(tx, c.ID, fingerprint, staleWarning)
		if err != nil || !first {
			return err
		}
		return tx.Record(store.Activity{Action: "connection.certificate.stale", TargetKind: "connection", TargetID: string(c.ID), TargetName: c.Name,
			Detail: map[string]any{"certificate": fingerprint, "why": "Somebody signed in over a certificate that the metadata of the identity provider do not list any more. It is removed with the next reading; if the identity provider goes on signing with it, sign-ins will fail."}})
	})
}

// staleWarning stands in the place of the days.
const staleWarning = -1

// Ending is a certificate of some connection whose end comes, for muster doctor.
type Ending struct {
	Connection, Whose string
	At                time.Time
}

// EndingCertificates are those that end within 60 days, and connections whose
// metadata cannot be read or wait for an administrator.
func EndingCertificates(ctx context.Context, db *store.DB) (list []Ending, waiting []string, err error) {
	var with []store.OrgID
	if err := db.LookupAll(ctx, &with, "SELECT DISTINCT org_id FROM connections WHERE protocol = 'saml' ORDER BY org_id"); err != nil {
		return nil, nil, err
	}
	for _, id := range with {
		org, err := db.OrgByID(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		err = db.Read(ctx, access.Muster(string(org.ID)), func(tx *store.Tx) error {
			all, err := connectionsIn(tx)
			if err != nil {
				return err
			}
			for _, c := range all {
				if c.Protocol != protocolSAML || c.Status == statusDisabled {
					continue
				}
				name := org.Slug + "/" + c.Name
				found, err := endings(tx, c)
				if err != nil {
					return err
				}
				for _, e := range found {
					if e.at.Before(tx.Now().Time().AddDate(0, 0, soonDays)) {
						list = append(list, Ending{name, e.whose, e.at})
					}
				}
				r, err := metadataIn(tx, c.ID)
				if err != nil {
					return err
				}
				if len(r.Pending) > 0 {
					waiting = append(waiting, name+" (a change waits for approval)")
				} else if r.Problem != "" {
					waiting = append(waiting, name+" ("+r.Problem+")")
				}
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return list, waiting, nil
}
