package invite

import (
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/store"
)

// ListID names a list of addresses.
type ListID = store.ID[ManyList]

// ListHead is what everybody in a list gets.
type ListHead struct {
	ID    ListID            `json:"id"`
	Roles []string          `json:"roles"`
	Teams []store.GroupID   `json:"teams"`
	Own   map[string]string `json:"own"` // attributes, as extra.Set takes them
	Note  string            `json:"note"`
	Save  bool              `json:"save"`
}

// ManyList is what was pasted, what was found about each address, and what became of
// it: a page of the rows, and all of them counted.
type ManyList struct {
	ListHead
	By        string
	CreatedAt store.Time
	Job       jobs.ID // that invites them, or did; empty: there was none
	Running   bool    // the job is not over
	Rows      []ManyRow
	Next      int // the row after which the next page begins; 0: there is none
	counts    map[RowState]int
}

// Good is how many rows wait to be invited.
func (l ManyList) Good() int { return l.counts[RowWaits] }

// Done is how many were invited.
func (l ManyList) Done() int { return l.counts[RowDone] }

// Bad is how many were not, or will not be.
func (l ManyList) Bad() int { return l.counts[RowLeft] + l.counts[RowFailed] }

// Undone is how many were invited and taken back.
func (l ManyList) Undone() int { return l.counts[RowUndone] }

// Begun tells whether somebody has confirmed the list.
func (l ManyList) Begun() bool {
	return l.Job != "" || l.counts[RowDone]+l.counts[RowFailed]+l.counts[RowUndone] > 0
}

// RowState is where one address stands.
type RowState string

// The states of a row.
const (
	RowWaits  RowState = "waiting" // can be invited
	RowLeft   RowState = "left"    // cannot; Why says it
	RowDone   RowState = "done"
	RowFailed RowState = "failed"
	RowUndone RowState = "undone" // was invited, and taken back with the whole list
)

// Verdict is what was found about an address.
type Verdict string

// The verdicts. The first two can be invited.
const (
	VerdictFine      Verdict = "fine"
	VerdictSSO       Verdict = "single_sign_on" // the link leads there
	VerdictBad       Verdict = "bad"
	VerdictDuplicate Verdict = "duplicate"
	VerdictPending   Verdict = "pending"
	VerdictExists    Verdict = "exists"
	VerdictManaged   Verdict = "managed"
	VerdictSeats     Verdict = "seats"
)

// ManyRow is one address.
type ManyRow struct {
	Line       int          `db:"line"`
	Typed      string       `db:"typed"`
	GivenName  string       `db:"given_name"`
	FamilyName string       `db:"family_name"`
	Email      string       `db:"email"`
	Verdict    Verdict      `db:"verdict"`
	Why        jobs.Reason  `db:"-"`
	State      RowState     `db:"state"`
	UserID     store.UserID `db:"user_id"`
}

// ManyIn is a pasted list, and what all of it get.
type ManyIn struct {
	Addresses string
	Roles     []string
	Teams     []store.GroupID
	Own       map[string]string
	Note      string
	Save      bool
}

// CheckMany looks at each address and keeps what it found; nobody is invited yet. Needs
// Write. Faults: Denied; Invalid on "addresses", "role", "teams" and "note".
func (d *Door) CheckMany(tx *store.Tx, in ManyIn) (ManyList, error) {
	l := ManyList{ListHead: ListHead{ID: store.NewID[ManyList](), Roles: In{Roles: in.Roles}.roles(), Teams: in.Teams, Own: in.Own, Note: strings.TrimSpace(in.Note), Save: in.Save},
		By: tx.Actor().Name, CreatedAt: tx.Now()}
	if err := tx.Require(access.InviteUsers); err != nil {
		return l, err
	}
	if err := paragraphs("note", fault.Word("The note"), l.Note, maxNote); err != nil {
		return l, err
	}
	known, err := tx.OrgRoles()
	if err != nil {
		return l, err
	}
	for _, role := range l.Roles {
		if !slices.ContainsFunc(known, func(r store.OrgRole) bool { return r.ID == role }) {
			return l, fault.Invalid.On("role", "There is no role %.40q. Choose one in the list.", role)
		}
	}
	if err := ownOfAll(tx, in.Own); err != nil {
		return l, err
	}
	typed, err := readAddresses(in.Addresses)
	if err != nil {
		return l, err
	}
	for i, one := range typed {
		l.Rows = append(l.Rows, ManyRow{Line: i + 1, Typed: one.Typed, GivenName: one.Given, FamilyName: one.Family, Email: one.Email, Why: jobs.Why(one.Wrong)})
	}
	if err := d.judge(tx, l.Rows); err != nil {
		return l, err
	}
	l.count()
	return l, insertMany(tx, l)
}

// ownOfAll refuses own attributes that cannot be the same for all, and when a required one is missing.
func ownOfAll(tx *store.Tx, own map[string]string) error {
	defs, err := tx.Definitions()
	if err != nil {
		return err
	}
	doc := store.Doc{}
	set := extra.Set(defs, doc, own)
	for _, x := range extra.ForOthers(extra.Of(defs)) {
		if x.Uniqueness == "server" && (x.Required || x.In(doc) != nil) {
			return fault.Invalid.On("addresses", "Everybody has a %s of their own, so a list of addresses is not enough. Invite people one by one, or with a CSV file.", x.Name)
		}
	}
	return set
}

// count counts rows that are all there.
func (l *ManyList) count() {
	l.counts = map[RowState]int{}
	for _, r := range l.Rows {
		l.counts[r.State]++
	}
}

// judge fills in verdicts, in four queries however many rows there are.
func (d *Door) judge(tx *store.Tx, rows []ManyRow) error {
	var addresses, domains []string
	for _, r := range rows {
		if r.Email != "" {
			addresses = append(addresses, r.Email)
			domains = append(domains, r.Email[strings.LastIndexByte(r.Email, '@')+1:])
		}
	}
	people, err := tx.PeopleByAddress(addresses)
	if err != nil {
		return err
	}
	here := map[string]store.User{}
	for _, u := range people {
		here[store.Fold(u.UserName)] = u
	}
	for _, u := range people {
		here[store.Fold(u.Email)] = u
	}
	sso := map[string]bool{}
	if d.opt.OnlySSO != nil {
		if sso, err = d.opt.OnlySSO(tx, domains); err != nil {
			return err
		}
	}
	limit, used, err := tx.SeatsOf()
	if err != nil {
		return err
	}
	first := map[string]int{}
	for i := range rows {
		r := &rows[i]
		r.State = RowLeft
		key := store.Fold(r.Email)
		u, known := here[key]
		switch {
		case r.Email == "":
			r.Verdict = VerdictBad
		case first[key] > 0:
			r.Verdict, r.Why = VerdictDuplicate, jobs.Because("The same address stands in entry %s. It is invited once.", strconv.Itoa(first[key]))
		case known:
			r.judgeKnown(u)
		case limit != store.NoLimit && used >= limit:
			r.Verdict, r.Why = VerdictSeats, jobs.Because("No seat is free: the limit is %s. Deactivate somebody who no longer needs access, or ask for more seats.", strconv.FormatInt(limit, 10))
		default:
			used++
			r.Verdict, r.State = VerdictFine, RowWaits
			if sso[key[strings.LastIndexByte(key, '@')+1:]] {
				r.Verdict, r.Why = VerdictSSO, jobs.Because("The link leads to single sign-on, which this domain must use.")
			}
		}
		if first[key] == 0 {
			first[key] = r.Line
		}
	}
	return nil
}

// judgeKnown is about an address that somebody here has.
func (r *ManyRow) judgeKnown(u store.User) {
	name := u.Profile().FullName()
	r.UserID = u.ID
	switch {
	case u.DirectoryID != "":
		r.Verdict, r.Why = VerdictManaged, jobs.Because("%s is here already, and is managed by a directory.", name)
	case u.Status == store.Invited:
		r.Verdict, r.Why = VerdictPending, jobs.Because("%s is invited already. Send the invitation again from the person's page.", name)
	case u.Status == store.Deactivated:
		r.Verdict, r.Why = VerdictExists, jobs.Because("%s is here, deactivated. Reactivate the person instead.", name)
	default:
		r.Verdict, r.Why = VerdictExists, jobs.Because("%s is here already.", name)
	}
}
