package invite

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// ListID names a list of addresses.
type ListID = store.ID[ManyList]

// ManyList is what was pasted, what was found about each address, and what became of it.
type ManyList struct {
	ID        ListID
	Roles     []string
	Teams     []store.GroupID
	Note      string
	Save      bool
	By        string
	CreatedAt store.Time
	Rows      []ManyRow
}

// Good is how many rows wait to be invited.
func (l ManyList) Good() int { return l.count(RowWaits) }

// Done is how many were invited.
func (l ManyList) Done() int { return l.count(RowDone) }

// Bad is how many were not, or will not be.
func (l ManyList) Bad() int { return l.count(RowLeft) + l.count(RowFailed) }

func (l ManyList) count(s RowState) (n int) {
	for _, r := range l.Rows {
		if r.State == s {
			n++
		}
	}
	return n
}

// RowState is where one address stands.
type RowState string

// The states of a row.
const (
	RowWaits  RowState = "waiting" // can be invited
	RowLeft   RowState = "left"    // cannot; Why says it
	RowDone   RowState = "done"
	RowFailed RowState = "failed"
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
	Line       int          `db:"line" json:"line"`
	Typed      string       `db:"typed" json:"typed"`
	GivenName  string       `db:"given_name" json:"given_name"`
	FamilyName string       `db:"family_name" json:"family_name"`
	Email      string       `db:"email" json:"email"`
	Verdict    Verdict      `db:"verdict" json:"verdict"`
	Why        string       `db:"why" json:"why"`
	State      RowState     `db:"state" json:"state"`
	UserID     store.UserID `db:"user_id" json:"user_id,omitempty"`
}

// ManyIn is a pasted list, and what all of it get.
type ManyIn struct {
	Addresses string
	Roles     []string
	Teams     []store.GroupID
	Note      string
	Save      bool
}

// CheckMany looks at each address and keeps what it found; nobody is invited yet. Needs
// Write. Faults: Denied; Invalid on "addresses", "role", "teams" and "note".
func (d *Door) CheckMany(tx *store.Tx, in ManyIn) (ManyList, error) {
	l := ManyList{ID: store.NewID[ManyList](), Roles: In{Roles: in.Roles}.roles(), Teams: in.Teams, Note: strings.TrimSpace(in.Note), Save: in.Save, By: tx.Actor().Name, CreatedAt: tx.Now()}
	if err := tx.Require(access.InviteUsers); err != nil {
		return l, err
	}
	if err := paragraphs("note", "The note", l.Note, maxNote); err != nil {
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
	typed, err := readAddresses(in.Addresses)
	if err != nil {
		return l, err
	}
	for i, one := range typed {
		l.Rows = append(l.Rows, ManyRow{Line: i + 1, Typed: one.Typed, GivenName: one.Given, FamilyName: one.Family, Email: one.Email, Why: one.Wrong})
	}
	if err := d.judge(tx, l.Rows); err != nil {
		return l, err
	}
	return l, insertMany(tx, l)
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
			r.Verdict, r.Why = VerdictDuplicate, "The same address stands in entry "+strconv.Itoa(first[key])+". It is invited once."
		case known:
			r.judgeKnown(u)
		case limit != store.NoLimit && used >= limit:
			r.Verdict, r.Why = VerdictSeats, "All "+strconv.Itoa(int(limit))+" seats are taken. Deactivate somebody who no longer needs access, or ask for more seats."
		default:
			used++
			r.Verdict, r.State = VerdictFine, RowWaits
			if sso[key[strings.LastIndexByte(key, '@')+1:]] {
				r.Verdict, r.Why = VerdictSSO, "The link leads to single sign-on, which this domain must use."
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
		r.Verdict, r.Why = VerdictManaged, name+" is here already, and is managed by a directory."
	case u.Status == store.Invited:
		r.Verdict, r.Why = VerdictPending, name+" is invited already. Send the invitation again from the person's page."
	case u.Status == store.Deactivated:
		r.Verdict, r.Why = VerdictExists, name+" is here, deactivated. Reactivate the person instead."
	default:
		r.Verdict, r.Why = VerdictExists, name+" is here already."
	}
}

// ConfirmMany invites everybody of a list who waits, each in a transaction of its own
// that also notes it: pressed twice or by two admins, everybody is invited once, and
// what an interrupted one left can be gone on with. Faults: Denied, NotFound; what is
// wrong with an address stands in its row.
func (d *Door) ConfirmMany(ctx context.Context, actor access.Actor, id ListID) (l ManyList, err error) {
	org, err := d.opt.DB.OrgByID(ctx, store.OrgID(actor.Org))
	if err != nil {
		return l, err
	}
	if l, err = d.Many(ctx, actor, id); err != nil {
		return l, err
	}
	for _, r := range l.Rows {
		if r.State != RowWaits {
			continue
		}
		err := d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error { return d.inviteRow(tx, org, l, r) })
		if refused := fault.Of(err); err != nil && refused != fault.Internal && refused != fault.Unavailable && refused != fault.Denied {
			err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
				_, err := endRow(tx, id, r.Line, RowFailed, "", fault.Public(err))
				return err
			})
		}
		if err != nil {
			return l, err
		}
	}
	return d.Many(ctx, actor, id)
}

func (d *Door) inviteRow(tx *store.Tx, org store.Org, l ManyList, r ManyRow) error {
	mine, err := endRow(tx, l.ID, r.Line, RowDone, "", r.Why)
	if err != nil || !mine {
		return err
	}
	made, err := d.Create(tx, org, In{Email: r.Email, GivenName: r.GivenName, FamilyName: r.FamilyName, Roles: l.Roles, Teams: l.Teams, Note: l.Note, Save: l.Save})
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE invitation_batch_rows SET user_id = ? WHERE org_id = ? AND batch_id = ? AND line = ?", made.UserID, tx.Org(), l.ID, r.Line)
	return err
}

// Many is a list as it stands now. Faults: Denied, NotFound (also when it is older than
// 30 days).
func (d *Door) Many(ctx context.Context, actor access.Actor, id ListID) (l ManyList, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.InviteUsers); err != nil {
			return err
		}
		l, err = findMany(tx, id)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return l, fault.NotFound.Say("There is no such list of addresses any more. Paste the addresses again.")
	}
	return l, err
}

func insertMany(tx *store.Tx, l ManyList) error {
	roles, teams := mustJSON(l.Roles), mustJSON(l.Teams)
	_, err := tx.Exec("INSERT INTO invitation_batches (org_id, id, roles, teams, note, save, made_by, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		tx.Org(), l.ID, roles, teams, l.Note, l.Save, l.By, l.CreatedAt)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO invitation_batch_rows (org_id, batch_id, line, typed, given_name, family_name, email, verdict, why, state, user_id)
		SELECT {{as_id}}, {{as_id}}, CAST(e.value ->> 'line' AS INTEGER), e.value ->> 'typed', e.value ->> 'given_name', e.value ->> 'family_name', e.value ->> 'email',
		e.value ->> 'verdict', e.value ->> 'why', e.value ->> 'state', NULL FROM {{each}}`, tx.Org(), l.ID, mustJSON(l.Rows))
	return err
}

// mustJSON writes what is made of texts and numbers.
func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func findMany(tx *store.Tx, id ListID) (l ManyList, err error) {
	var row struct {
		Roles     string     `db:"roles"`
		Teams     string     `db:"teams"`
		Note      string     `db:"note"`
		Save      bool       `db:"save"`
		By        string     `db:"made_by"`
		CreatedAt store.Time `db:"created_at"`
	}
	if err := tx.Get(&row, "SELECT roles, teams, note, save, made_by, created_at FROM invitation_batches WHERE org_id = ? AND id = ?", tx.Org(), id); err != nil {
		return l, err
	}
	l = ManyList{ID: id, Note: row.Note, Save: row.Save, By: row.By, CreatedAt: row.CreatedAt, Rows: []ManyRow{}}
	if err := json.Unmarshal([]byte(row.Roles), &l.Roles); err != nil {
		return l, err
	}
	if err := json.Unmarshal([]byte(row.Teams), &l.Teams); err != nil {
		return l, err
	}
	return l, tx.Select(&l.Rows, "SELECT line, typed, given_name, family_name, email, verdict, why, state, user_id FROM invitation_batch_rows WHERE org_id = ? AND batch_id = ? ORDER BY line", tx.Org(), id)
}

// endRow tells whether it was this call that ended a waiting row.
func endRow(tx *store.Tx, id ListID, line int, to RowState, user store.UserID, why string) (bool, error) {
	n, err := tx.Exec("UPDATE invitation_batch_rows SET state = ?, user_id = ?, why = ? WHERE org_id = ? AND batch_id = ? AND line = ? AND state = 'waiting'",
		string(to), user, why, tx.Org(), id, line)
	return n > 0, err
}
