package sso

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// Re-keying: another attribute becomes what a connection knows people by. The source
// of the subject is fixed once somebody has signed in, else everybody would be
// somebody new; a re-key changes it without losing anybody.
//
//	dry run     what would become of each identity
//	transition  both keys are accepted; a sign-in by the old one binds the new one
//	finish      the new one alone; who has none is linked again by the ordinary order
//	undo        back, in the transition or after it
//
// New keys that are known when it begins are bound at once: those that came with the
// last sign-in (lastingKeys), and on a connection of a directory's people, where that
// is how they are found anyway, the directory's externalId.

// subjectBy reads a subject out of an answer; empty: it is not in there, or not as
// one value.
func subjectBy(source string, a answer.Profile) (kind, subject string) {
	one := func(name string) string {
		if v := a.Attributes[name]; len(v) == 1 {
			return v[0]
		}
		return ""
	}
	switch names, isAttribute := strings.CutPrefix(source, "attribute:"); {
	case source == saml.SubjectNameID:
		if a.NameIDFormat == saml.FormatTransient {
			return source, ""
		}
		return source, a.NameID.Value
	case source == "oid+tid":
		if one("oid") != "" && one("tid") != "" {
			subject = one("oid") + "@" + one("tid")
		}
		return source, subject
	case isAttribute:
		var parts []string
		for name := range strings.SplitSeq(names, "+") {
			if v := one(name); v != "" {
				parts = append(parts, v)
			}
		}
		if len(parts) == strings.Count(names, "+")+1 {
			subject = strings.Join(parts, "/")
		}
		return source, subject
	}
	return source, one(source)
}

// checkSource refuses what cannot be a subject's source.
func checkSource(c Connection, source string) error {
	names, isAttribute := strings.CutPrefix(source, "attribute:")
	switch {
	case isAttribute && names != "" && len(names) <= 400 && cleanText(names) && strings.Count(names, "+") < 4:
		return nil
	case c.Protocol == protocolSAML && source == saml.SubjectNameID, c.Protocol == protocolOIDC && oneOf(source, "sub", "oid+tid"):
		return nil
	}
	return fault.Invalid.On("subject", "%q is no source of a subject. Write attribute:NAME (attribute:A+B for two together), or %s.", answer.Clip(source, 60),
		map[string]string{protocolSAML: saml.SubjectNameID, protocolOIDC: "sub or oid+tid"}[c.Protocol])
}

// bySource is an answer with the subject that the connection was re-keyed to.
func bySource(c Connection, a answer.Profile) answer.Profile {
	if c.Config.Subject == "" {
		return a
	}
	a.SubjectKind, a.Subject = subjectBy(c.Config.Subject, a)
	if a.Subject != "" && !oneOf(a.Subject, a.Keys...) {
		a.Keys = append([]string{a.Subject}, a.Keys...)
	}
	return a
}

// takeSubject settles by which key or keys the person is known.
func (v *visit) takeSubject() error {
	v.a = bySource(v.c, v.a)
	if v.c.Config.Rekey != "" {
		v.nextKind, v.next = subjectBy(v.c.Config.Rekey, v.a)
		if v.next != "" {
			if err := checkSubject(v.next, v.nextKind); err != nil {
				return err
			}
			if v.a.Subject == "" { // the provider has changed over already
				v.a.SubjectKind, v.a.Subject, v.next = v.nextKind, v.next, ""
			}
		}
	}
	if v.a.Subject == "" && v.c.Config.Subject != "" {
		return refuse(http.StatusForbidden, "subject", web.Say("The identity provider sent no usable identifier for you."),
			web.Say("People of this connection are known by %s, which did not come, or not as one value. Send it, or re-key the connection.", v.c.Config.Subject))
	}
	return checkSubject(v.a.Subject, v.a.SubjectKind)
}

// boundNext looks for the identity by the new key of a running re-key. Both keys must
// mean the same person.
func (v *visit) boundNext() error {
	if v.next == "" {
		return nil
	}
	id, err := identityOf(v.tx, v.c.ID, v.nextKind, v.next)
	if fault.Is(err, fault.NotFound) {
		return v.bindNext()
	}
	if err != nil {
		return err
	}
	if v.out.User.ID != "" && v.out.User.ID != id {
		return refuse(http.StatusForbidden, "subject", web.Say("Your sign-in fits two accounts here. Ask your administrator."),
			web.Say("The old key %q and the new key %q of the running re-key belong to two people. Unlink the wrong one on its page.", v.a.Subject, v.next))
	}
	if v.out.User.ID != "" {
		return nil
	}
	u, err := v.tx.AnyUser(id)
	if err != nil {
		return err
	}
	if err := alive(u); err != nil {
		return err
	}
	v.out.User = u
	v.say(StepRekey, whyRekeyed)
	return seen(v.tx, v.c.ID, v.nextKind, v.next, lastingKeys(v.a))
}

// bindNext binds the new key to who was found by the old one.
func (v *visit) bindNext() error {
	u := v.out.User
	if u.ID == "" {
		return nil
	}
	var n int
	if err := v.tx.Get(&n, "SELECT COUNT(*) FROM identities WHERE org_id = ? AND connection_id = ? AND user_id = ? AND state = 'next'", v.tx.Org(), v.c.ID, u.ID); err != nil {
		return err
	}
	if n > 0 {
		v.out.Notes = append(v.out.Notes, noteOtherKey)
		return nil
	}
	v.out.Notes = append(v.out.Notes, noteNextKey)
	return bind(v.tx, identity{Connection: v.c.ID, Kind: v.nextKind, Subject: v.next, User: u.ID, State: identityNext,
		How: howNextKey, Keys: lastingKeys(v.a)})
}

// RekeyLine is what would become of one identity.
type RekeyLine struct {
	UserID  store.UserID `json:"user_id"`
	Name    string       `json:"name"`
	Old     string       `json:"old"`
	New     string       `json:"new,omitempty"`
	Outcome string       `json:"outcome"` // matched, directory, ambiguous, unknown, done
	How     string       `json:"how"`
}

// What becomes of an identity.
const (
	rekeyMatched   = "matched"   // the new key came with the last sign-in
	rekeyDirectory = "directory" // the directory knows it
	rekeyAmbiguous = "ambiguous" // two people would have it
	rekeyUnknown   = "unknown"   // bound at the next sign-in while both are accepted
	rekeyDone      = "done"      // bound
)

// Rekey is a re-key, running or only looked at.
type Rekey struct {
	Connection Connection
	Subject    string // the new source
	Was        string
	State      string // "" for a dry run; transition, finished, undone
	StartedBy  string
	StartedAt  store.Time
	Lines      []RekeyLine
	id         store.ID[Rekey]
}

// Counts of the lines by outcome.
func (k Rekey) Counts() map[string]int {
	n := map[string]int{}
	for _, l := range k.Lines {
		n[l.Outcome]++
	}
	return n
}

type rekeyRow struct {
	ID        store.ID[Rekey] `db:"id"`
	Was       string          `db:"was"`
	Subject   string          `db:"subject"`
	State     string          `db:"state"`
	StartedBy string          `db:"started_by"`
	StartedAt store.Time      `db:"started_at"`
}

type keyedRow struct {
	User       store.UserID      `db:"user_id"`
	Kind       string            `db:"subject_kind"`
	Subject    string            `db:"subject"`
	State      string            `db:"state"`
	Keys       []byte            `db:"keys"`
	remembered map[string]string `db:"-"`
}

// maxRekeyed bounds what a re-key reads at once.
const maxRekeyed = 200000

// planRekey says what would become of each identity. The caller holds the connection.
func planRekey(tx *store.Tx, c Connection, source string) ([]RekeyLine, error) {
	var rows []keyedRow
	err := tx.Select(&rows, `SELECT user_id, subject_kind, subject, state, keys FROM identities WHERE org_id = ? AND connection_id = ? AND state <> 'retired'
		ORDER BY user_id, state LIMIT ?`, tx.Org(), c.ID, maxRekeyed)
	if err != nil {
		return nil, err
	}
	have, taken := map[store.UserID]string{}, map[string]store.UserID{}
	users := make([]store.UserID, 0, len(rows))
	for _, r := range rows {
		if r.Kind == source {
			have[r.User], taken[r.Subject] = r.Subject, r.User
		}
		users = append(users, r.User)
	}
	names, err := tx.Named(users)
	if err != nil {
		return nil, err
	}
	lines, wanted := []RekeyLine{}, map[string]int{}
	for _, r := range rows {
		if r.State != identityLive {
			continue
		}
		if err := json.Unmarshal(r.Keys, &r.remembered); err != nil {
			return nil, fmt.Errorf("identity of %s: %w", r.User, err)
		}
		l := RekeyLine{UserID: r.User, Name: names[r.User], Old: r.Subject, New: have[r.User], Outcome: rekeyDone, How: howBound}
		if l.New == "" {
			if l, err = guessKey(tx, c, source, r, l); err != nil {
				return nil, err
			}
		}
		if l.New != "" && l.Outcome != rekeyDone {
			wanted[l.New]++
		}
		lines = append(lines, l)
	}
	for i, l := range lines {
		if l.New == "" || l.Outcome == rekeyDone {
			continue
		}
		if other := taken[l.New]; wanted[l.New] > 1 || other != "" && other != l.UserID {
			lines[i].Outcome, lines[i].How = rekeyAmbiguous, howSameKey
		}
	}
	return lines, nil
}

// guessKey finds the new key of an identity without a sign-in.
func guessKey(tx *store.Tx, c Connection, source string, r keyedRow, l RekeyLine) (RekeyLine, error) {
	a := answer.Profile{Attributes: map[string][]string{}}
	for name, v := range r.remembered {
		a.Attributes[name] = []string{v}
	}
	a.NameID.Value = r.remembered[saml.SubjectNameID]
	if _, key := subjectBy(source, a); key != "" {
		l.New, l.Outcome, l.How = key, rekeyMatched, howLast
		return l, nil
	}
	l.Outcome, l.How = rekeyUnknown, howAtNext
	if c.Accounts != accountsSCIM {
		return l, nil
	}
	u, err := tx.AnyUser(r.User)
	if err == nil && u.DirectoryID != "" && u.ExternalID != "" && u.Status != store.Deleted {
		l.New, l.Outcome, l.How = u.ExternalID, rekeyDirectory, howDirectory
	}
	return l, err
}

// PlanRekey is the dry run: nothing is written. Faults: Denied, NotFound, Invalid on "subject".
func (d *Door) PlanRekey(ctx context.Context, actor access.Actor, id ConnectionID, source string) (k Rekey, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := connectionIn(tx, id)
		if err != nil {
			return err
		}
		if err := checkSource(c, source); err != nil {
			return err
		}
		k = Rekey{Connection: c, Subject: source, Was: c.Config.Subject}
		k.Lines, err = planRekey(tx, c, source)
		return err
	})
	return k, err
}

// RunningRekey is the one in its transition. Faults: Denied, NotFound (also: none runs).
func (d *Door) RunningRekey(ctx context.Context, actor access.Actor, id ConnectionID) (k Rekey, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := connectionIn(tx, id)
		if err != nil {
			return err
		}
		k, err = newestRekey(tx, c)
		if err == nil && k.State != rekeyTransition {
			err = fault.NotFound.Say("No re-key of %s is running.", c.Name)
		}
		if err != nil {
			return err
		}
		k.Lines, err = planRekey(tx, c, k.Subject)
		return err
	})
	return k, err
}

func newestRekey(tx *store.Tx, c Connection) (Rekey, error) {
	var r rekeyRow
	err := tx.Get(&r, "SELECT id, was, subject, state, started_by, started_at FROM sso_rekeys WHERE org_id = ? AND connection_id = ? ORDER BY started_at DESC, id DESC LIMIT 1", tx.Org(), c.ID)
	if fault.Is(err, fault.NotFound) {
		return Rekey{}, fault.NotFound.Say("%s was never re-keyed.", c.Name)
	}
	return Rekey{Connection: c, Subject: r.Subject, Was: r.Was, State: r.State, StartedBy: r.StartedBy, StartedAt: r.StartedAt, id: r.ID}, err
}
