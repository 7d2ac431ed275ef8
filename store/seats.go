package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// A seat is taken by everybody who is invited or active, and free again with the change
// that deactivates or deletes the person. A person has one license, which the roles
// decide. As long as an organization has no limits, which the statement that gives a
// seat asks itself (whileUnlimited), nobody waits and nothing is read. With limits, those
// who take seats of one organization go one by one; those who give them back never wait.

// NoLimit is the limit of whoever has none.
const NoLimit = -1

// maxLicenses is more than anybody sells.
const maxLicenses = 20

// License is a kind of seat. A person has the first one, in their order, that counts one
// of the person's roles, else the fallback, else none.
type License struct {
	ID       string   // letters, digits and hyphens
	Name     string   //
	Roles    []string // that count
	Fallback bool     // for people with no role of another license
	Limit    int64    // NoLimit
	Used     int64
}

// Seats are what an organization may use and uses.
type Seats struct {
	Limit    int64 // NoLimit
	Used     int64
	Licenses []License // in their order
}

// Limited tells whether anything is limited.
func (s Seats) Limited() bool {
	return s.Limit >= 0 || slices.ContainsFunc(s.Licenses, func(l License) bool { return l.Limit >= 0 })
}

// seatRow is the row of the table; License "" is of everybody.
type seatRow struct {
	License  string `db:"license"`
	Name     string `db:"name"`
	Roles    string `db:"roles"`
	Fallback bool   `db:"fallback"`
	Most     int64  `db:"most"`
	Used     int64  `db:"used"`
}

// whileUnlimited ends the WHERE of a statement that gives a seat; its argument is the organization.
const whileUnlimited = ` AND NOT EXISTS (SELECT 1 FROM seats WHERE org_id = ?)`

const selectSeats = "SELECT license, name, roles, fallback, most, used FROM seats WHERE org_id = ? ORDER BY place, license"

// seated are the states that take a seat.
func seated(s Status) bool { return s == Invited || s == Active }

// seatHead is a statement that gives a seat, with and without whileUnlimited.
type seatHead struct {
	gated, free string
	args        []any
}

// seating is change for a head that gives a seat. Faults: Conflict on "seats".
func (tx *Tx) seating(head seatHead, steps []step, act Activity, roles func() ([]string, error)) (int64, error) {
	n, err := tx.change(step{head.gated, append(head.args, tx.Org())}, steps, act)
	if err != nil || n > 0 {
		return n, err
	}
	rows, err := tx.lockSeats()
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	have, err := roles()
	if err != nil {
		return 0, err
	}
	if err := tx.takeSeats(rows, "", licenseFor(rows, have)); err != nil {
		return 0, err
	}
	return tx.change(step{head.free, head.args}, steps, act)
}

// lockSeats reads the limits, which are the caller's until the commit; none without limits.
func (tx *Tx) lockSeats() ([]seatRow, error) {
	var first []string
	if err := tx.Select(&first, "SELECT license FROM seats WHERE org_id = ? AND license = ''"+tx.ForUpdate(), tx.Org()); err != nil || len(first) == 0 {
		return nil, err
	}
	if tx.mode == modeCommand {
		return nil, errTransaction
	}
	var rows []seatRow // in a statement of its own, which sees what was added while this one waited
	return rows, tx.Select(&rows, selectSeats, tx.Org())
}

// licenseFor is the license of somebody with these roles; none when there is none.
func licenseFor(rows []seatRow, roles []string) string {
	fallback := ""
	for _, r := range rows {
		for _, role := range strings.Fields(r.Roles) {
			if slices.Contains(roles, role) {
				return r.License
			}
		}
		if r.Fallback {
			fallback = r.License
		}
	}
	return fallback
}

// LicenseOf is the license that somebody with these roles has; none when there is none.
func LicenseOf(licenses []License, status Status, roles []string) (l License, ok bool) {
	if !seated(status) {
		return l, false
	}
	return licenseIn(licenses, licenseFor(rowsOf(licenses), roles))
}

// LicenseMove is from which license to which somebody comes when roles come and go.
func LicenseMove(licenses []License, status Status, have []Grant, come, gone []string) (was, is License) {
	if !seated(status) {
		return was, is
	}
	before, after := moved(rowsOf(licenses), have, come, gone)
	was, _ = licenseIn(licenses, before)
	is, _ = licenseIn(licenses, after)
	return was, is
}

func rowsOf(licenses []License) []seatRow {
	rows := make([]seatRow, len(licenses))
	for i, l := range licenses {
		rows[i] = seatRow{License: l.ID, Roles: strings.Join(l.Roles, " "), Fallback: l.Fallback}
	}
	return rows
}

func licenseIn(licenses []License, id string) (l License, ok bool) {
	at := slices.IndexFunc(licenses, func(l License) bool { return l.ID == id })
	if at < 0 {
		return l, false
	}
	return licenses[at], true
}

// takeSeats takes one seat of each of these licenses; "" is of everybody. The caller
// holds the rows and has not made the change yet.
func (tx *Tx) takeSeats(rows []seatRow, licenses ...string) error {
	counted := false
	if _, none := without(rows, licenses); none { // somebody may have left since
		if err := tx.countSeats(rows); err != nil {
			return err
		}
		counted = true
	}
	if r, none := without(rows, licenses); none {
		return full(r)
	}
	for i := range rows {
		if slices.Contains(licenses, rows[i].License) {
			rows[i].Used++
		}
		if !counted && !slices.Contains(licenses, rows[i].License) {
			continue
		}
		if _, err := tx.Exec("UPDATE seats SET used = ? WHERE org_id = ? AND license = ?", rows[i].Used, tx.Org(), rows[i].License); err != nil {
			return err
		}
	}
	return nil
}

// without is the first of these licenses that has no seat left.
func without(rows []seatRow, licenses []string) (r seatRow, none bool) {
	for _, r := range rows {
		if slices.Contains(licenses, r.License) && r.Most >= 0 && r.Used >= r.Most {
			return r, true
		}
	}
	return r, false
}

const wayOutOfSeats fault.Word = "Deactivate somebody who no longer needs access, which frees a seat at once, or ask whoever runs this server for more."

func full(r seatRow) error {
	if r.License == "" {
		return fault.Conflict.On("seats", "No seat of this organization is free: its limit is %d. %s", r.Most, wayOutOfSeats)
	}
	return fault.Conflict.On("seats", "No seat of the license %s is free: its limit is %d. %s", r.Name, r.Most,
		fault.Word("Deactivate somebody who has one, or give somebody another role, which frees a seat at once, or have the limit raised under Settings, Seats."))
}

// countSeats finds out how many are really taken. Measured at 100,000 people: 15 ms
// without licenses, 0.3 s with them.
func (tx *Tx) countSeats(rows []seatRow) error {
	if len(rows) == 1 {
		return tx.Get(&rows[0].Used, "SELECT COUNT(*) FROM users WHERE org_id = ? AND deleted_at = 0 AND status IN ('invited', 'active')", tx.Org())
	}
	var sets []struct {
		Roles string `db:"roles"`
		N     int64  `db:"n"`
	}
	if err := tx.Select(&sets, `SELECT x.roles, COUNT(*) AS n FROM (SELECT COALESCE((SELECT string_agg(r.role, ' ') FROM user_roles r
		WHERE r.org_id = u.org_id AND r.user_id = u.id), '') AS roles FROM users u
		WHERE u.org_id = ? AND u.deleted_at = 0 AND u.status IN ('invited', 'active')) AS x GROUP BY x.roles`, tx.Org()); err != nil {
		return err
	}
	used := map[string]int64{}
	for _, s := range sets {
		roles := strings.Fields(s.Roles)
		if len(roles) == 0 {
			roles = []string{DefaultRole}
		}
		used[""] += s.N
		if l := licenseFor(rows, roles); l != "" {
			used[l] += s.N
		}
	}
	for i := range rows {
		rows[i].Used = used[rows[i].License]
	}
	return nil
}

// rolesHeld are the names of a person's roles.
func (tx *Tx) rolesHeld(id UserID) ([]string, error) {
	roles, err := tx.RolesOf([]UserID{id})
	var names []string
	for _, g := range roles[id] {
		names = append(names, g.Role)
	}
	return names, err
}

// relicense takes the seat of another license when a person's roles come or go, before
// they do. Faults: Conflict on "seats".
func (tx *Tx) relicense(u User, come, gone []string) error {
	if !seated(u.Status) {
		return nil
	}
	var licenses int
	if err := tx.Get(&licenses, "SELECT COUNT(*) FROM seats WHERE org_id = ? AND license <> ''", tx.Org()); err != nil || licenses == 0 {
		return err
	}
	rows, err := tx.lockSeats()
	if err != nil {
		return err
	}
	have, err := tx.RolesOf([]UserID{u.ID})
	if err != nil {
		return err
	}
	was, is := moved(rows, have[u.ID], come, gone)
	if is == was || is == "" {
		return nil
	}
	return tx.takeSeats(rows, is)
}

// moved are the licenses of somebody before and after roles came or went.
func moved(rows []seatRow, have []Grant, come, gone []string) (was, is string) {
	var before, after []string
	for _, g := range have {
		before = append(before, g.Role)
		if g.Kind != "default" {
			after = append(after, g.Role)
		}
	}
	for _, role := range gone { // once for each reason
		if i := slices.Index(after, role); i >= 0 {
			after = slices.Delete(after, i, i+1)
		}
	}
	after = append(after, come...)
	if len(after) == 0 {
		after = []string{DefaultRole}
	}
	return licenseFor(rows, before), licenseFor(rows, after)
}

// recheckSeats refuses what has put more people into a license than it has seats, after
// roles came and went for many at once. Faults: Conflict on "seats".
func (tx *Tx) recheckSeats() error {
	rows, err := tx.lockSeats()
	if err != nil || len(rows) < 2 {
		return err
	}
	before := slices.Clone(rows)
	if err := tx.countSeats(rows); err != nil {
		return err
	}
	for i, r := range rows {
		if r.Most >= 0 && r.Used > r.Most && r.Used > before[i].Used {
			return full(r)
		}
		if _, err := tx.Exec("UPDATE seats SET used = ? WHERE org_id = ? AND license = ?", r.Used, tx.Org(), r.License); err != nil {
			return err
		}
	}
	return nil
}

// Seats tells what is used of what may be. Faults: Denied.
func (tx *Tx) Seats() (Seats, error) {
	s := Seats{Limit: NoLimit, Licenses: []License{}}
	if err := tx.Require(access.ViewUsers); err != nil {
		return s, err
	}
	rows, err := tx.seatRows()
	if err != nil {
		return s, err
	}
	if err := tx.countSeats(rows); err != nil {
		return s, err
	}
	s.Limit, s.Used = rows[0].Most, rows[0].Used
	s.Licenses = licensesIn(rows)
	return s, nil
}

// Licenses are those that there are, in their order, without counting who has them.
// Faults: Denied.
func (tx *Tx) Licenses() (list []License, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	rows, err := tx.seatRows()
	if err != nil {
		return nil, err
	}
	return licensesIn(rows), nil
}

func licensesIn(rows []seatRow) (list []License) {
	for _, r := range rows[1:] {
		list = append(list, r.license())
	}
	return list
}

// seatRows reads the limits without holding them; everybody's row comes first, also when it is not there.
func (tx *Tx) seatRows() ([]seatRow, error) {
	var rows []seatRow
	if err := tx.Select(&rows, selectSeats, tx.Org()); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		rows = []seatRow{{Most: NoLimit}}
	}
	return rows, nil
}

func (r seatRow) license() License {
	return License{ID: r.License, Name: r.Name, Roles: append([]string{}, strings.Fields(r.Roles)...), Fallback: r.Fallback, Limit: r.Most, Used: r.Used}
}

// SeatsOf is Seats without licenses, and only where there is a limit: for a list of
// people, which should not count them all for nothing. Faults: Denied.
func (tx *Tx) SeatsOf() (limit, used int64, err error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return 0, 0, err
	}
	limit = NoLimit
	err = tx.Get(&limit, "SELECT most FROM seats WHERE org_id = ? AND license = ''", tx.Org())
	if fault.Is(err, fault.NotFound) || err == nil && limit < 0 {
		return NoLimit, 0, nil
	}
	if err == nil {
		err = tx.Get(&used, "SELECT COUNT(*) FROM users WHERE org_id = ? AND deleted_at = 0 AND status IN ('invited', 'active')", tx.Org())
	}
	return limit, used, err
}

// SetSeats is ChangeSeats, whatever they were before.
func (tx *Tx) SetSeats(limit int64) error { return tx.ChangeSeats("", limit) }

// ChangeSeats limits how many people the organization may have; NoLimit takes the limit
// away. Who is there stays, also above it. It is the operator's to say: it is what the
// organization has bought. was is the Tag of the seats that are to be changed, or empty.
// Needs Write. Faults: Denied, Invalid on "limit", Conflict on "version" (changed since).
func (tx *Tx) ChangeSeats(was string, limit int64) error {
	if !tx.actor.May(access.Operate) {
		return fault.Denied.Say("How many seats the organization has is said by whoever runs this server. Ask them.")
	}
	if err := checkLimit("limit", limit); err != nil {
		return err
	}
	return tx.changeSeats(was, func(rows []seatRow) []seatRow {
		rows[0].Most = limit
		return rows
	})
}

func checkLimit(field string, limit int64) error {
	if limit < NoLimit || limit > 100_000_000 {
		return fault.Invalid.On(field, "%d is no number of seats. Write 0 or more, or leave it empty for no limit.", limit)
	}
	return nil
}

// Tag changes with the limit and the license types, for forms that were open meanwhile.
func (s Seats) Tag() string {
	list := slices.Clone(s.Licenses)
	for i := range list {
		list[i].Used = 0
	}
	return TagOf(s.Limit, list)
}

// SetLicenses is ChangeLicenses, whatever they were before.
func (tx *Tx) SetLicenses(list []License) error { return tx.ChangeLicenses("", list) }

// ChangeLicenses replaces the license types, in their order; was is the Tag of the seats
// that are to be changed, or empty. Who may configure the organization says how its seats are
// shared out. Needs Write. Faults: Denied, Invalid on "licenses", Conflict on "version" (changed since).
func (tx *Tx) ChangeLicenses(was string, list []License) error {
	if err := tx.Require(access.Configure); err != nil {
		return err
	}
	if err := tx.checkLicenses(list); err != nil {
		return err
	}
	return tx.changeSeats(was, func(rows []seatRow) []seatRow {
		rows = rows[:1]
		for _, l := range list {
			rows = append(rows, seatRow{License: l.ID, Name: l.Name, Roles: strings.Join(l.Roles, " "), Fallback: l.Fallback, Most: l.Limit})
		}
		return rows
	})
}

func (tx *Tx) checkLicenses(list []License) error {
	bad := func(format string, args ...any) error { return fault.Invalid.On("licenses", format, args...) }
	if len(list) > maxLicenses {
		return bad("An organization can have %d license types; these are %d.", maxLicenses, len(list))
	}
	ids, counted, fallback := map[string]bool{}, map[string]string{}, ""
	for i := range list {
		l := &list[i]
		l.Name = strings.TrimSpace(l.Name)
		if l.Name == "" || fault.Line("licenses", l.Name, 100) != nil {
			return bad("A license type needs a name of 1 to 100 characters; this is %.40q.", l.Name)
		}
		if !slugForm.MatchString(l.ID) {
			return bad("%.40q cannot be the id of a license type. Use 1 to 40 lower-case letters, digits and hyphens, such as full.", l.ID)
		}
		if ids[l.ID] {
			return bad("There are two license types %q.", l.ID)
		}
		ids[l.ID] = true
		if err := checkLimit("licenses", l.Limit); err != nil {
			return err
		}
		for _, role := range l.Roles {
			if err := tx.HoldRole(role); err != nil {
				return bad("%s counts a role %.40q, which is not there.", l.Name, role)
			}
			if other := counted[role]; other != "" {
				return bad("Both %s and %s count the role %s. A role counts for one license.", other, l.Name, role)
			}
			counted[role] = l.Name
		}
		if l.Fallback && fallback != "" {
			return bad("Both %s and %s are the default. One can be.", fallback, l.Name)
		}
		if l.Fallback {
			fallback = l.Name
		}
		if len(l.Roles) == 0 && !l.Fallback {
			return bad("Nobody could have the license %s: say which roles it counts, or make it the default.", l.Name)
		}
	}
	return nil
}

// changeSeats puts the limits that change makes of those that are in place of them; was is
// the Tag of those.
func (tx *Tx) changeSeats(was string, change func([]seatRow) []seatRow) error {
	rows, err := tx.lockSeats()
	if err != nil {
		return err
	}
	if len(rows) == 0 { // whoever looked for limits and found none must be done before seats are counted
		if err := tx.holdUsers(); err != nil {
			return err
		}
		if rows, err = tx.seatRows(); err != nil {
			return err
		}
	}
	if err := Unchanged(was, Seats{Limit: rows[0].Most, Licenses: licensesIn(rows)}.Tag()); err != nil {
		return err
	}
	before := seatsDetail(rows)
	rows = change(slices.Clone(rows))
	after := seatsDetail(rows)
	if fmt.Sprint(before) == fmt.Sprint(after) {
		return nil
	}
	if err := tx.countSeats(rows); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM seats WHERE org_id = ?", tx.Org()); err != nil {
		return err
	}
	if len(rows) == 1 && rows[0].Most < 0 { // nothing is limited any more: nobody has to look
		rows = nil
	}
	for i, r := range rows {
		if _, err := tx.Exec(`INSERT INTO seats (org_id, license, name, roles, fallback, place, most, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, tx.Org(), r.License, r.Name, r.Roles, r.Fallback, i, r.Most, r.Used); err != nil {
			return err
		}
	}
	return tx.Record(Activity{Action: "org.seats", TargetKind: "org", TargetID: string(tx.Org()), TargetName: "seats",
		Detail: map[string]any{"before": before, "after": after}})
}

// seatsDetail is what the log shows of limits.
func seatsDetail(rows []seatRow) map[string]any {
	limit := func(n int64) any {
		if n < 0 {
			return "none"
		}
		return n
	}
	out := map[string]any{"limit": limit(rows[0].Most)}
	for i, r := range rows[1:] {
		out["license "+r.License] = map[string]any{"name": r.Name, "roles": r.Roles, "default": r.Fallback, "limit": limit(r.Most), "place": i + 1}
	}
	return out
}

// holdUsers waits until nobody is writing people, and keeps them from it until the commit.
func (tx *Tx) holdUsers() error {
	if tx.pg == nil { // SQLite's writer is alone
		return nil
	}
	_, err := tx.Exec("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
	return err
}
