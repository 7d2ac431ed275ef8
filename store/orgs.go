package store

import (
	"context"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// What an operator does with organizations. A suspended one keeps everything and lets
// nobody in: sign-ins, sessions, keys and directories are refused by their doors, which
// ask NotSuspended or read the column, until it is resumed.

// OrgQuery chooses organizations, by name.
type OrgQuery struct {
	Search    string // a part of the name or of the short name
	Suspended bool   // those alone
	After     OrgID  // the last one of the page before; the first page when empty
	Limit     int    // 50 when 0, 500 at most
}

// orgPage is the statement behind OrgPage.
func orgPage(q OrgQuery) (query string, args []any) {
	query = orgColumns + " WHERE 1 = 1"
	if q.Suspended {
		query += " AND suspended_at > 0"
	}
	if q.After != "" {
		query += " AND (name_key, id) > ((SELECT name_key FROM orgs WHERE id = ?), ?)"
		args = append(args, q.After, q.After)
	}
	if q.Search != "" {
		part := "%" + escapeLike(Fold(clip(q.Search, 200))) + "%"
		query += ` AND (name_key LIKE ? ESCAPE '\' OR slug LIKE ? ESCAPE '\')`
		args = append(args, part, part)
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	return query + " ORDER BY name_key, id LIMIT ?", append(args, min(q.Limit, 500))
}

// OrgPage lists organizations. more tells whether there are others behind the last one.
// Faults: Denied.
func (db *DB) OrgPage(ctx context.Context, actor access.Actor, q OrgQuery) (list []Org, more bool, err error) {
	if !actor.May(access.Operate) {
		return nil, false, fault.Denied.Say("Only an operator of this server can look through all organizations.")
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	limit := min(q.Limit, 499)
	q.Limit = limit + 1
	query, args := orgPage(q)
	list = []Org{}
	if err := db.LookupAll(ctx, &list, query, args...); err != nil {
		return nil, false, err
	}
	more = len(list) > limit
	return list[:min(len(list), limit)], more, nil
}

// EachOrg hands every organization to do, by name, however many there are.
func (db *DB) EachOrg(ctx context.Context, do func(Org) error) error {
	q := OrgQuery{Limit: 499}
	for {
		list, more, err := db.OrgPage(ctx, access.Muster(""), q)
		if err != nil {
			return err
		}
		for _, o := range list {
			if err := do(o); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		q.After = list[len(list)-1].ID
	}
}

// RenameOrg gives the organization another name; the short name stands in addresses and
// stays. Needs Write. Faults: Denied, Invalid on "name".
func (tx *Tx) RenameOrg(name string) (Org, error) {
	if err := tx.Require(access.Operate); err != nil {
		return Org{}, err
	}
	name, err := orgName(name)
	if err != nil {
		return Org{}, err
	}
	o, err := tx.lockOrg()
	if err != nil || o.Name == name {
		return o, err
	}
	if _, err := tx.Exec("UPDATE orgs SET name = ?, name_key = ?, updated_at = ? WHERE id = ?", name, Fold(name), tx.Now(), o.ID); err != nil {
		return o, err
	}
	was := o.Name
	o.Name = name
	return o, tx.Record(Activity{Action: "org.rename", TargetKind: "org", TargetID: string(o.ID), TargetName: name,
		Detail: map[string]any{"before": map[string]any{"name": was}, "after": map[string]any{"name": name}}})
}

func orgName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return "", fault.Invalid.On("name", "The organization needs a name.")
	}
	return name, fault.Line("name", name, 200)
}

// SuspendOrg lets nobody in until ResumeOrg. Nothing is lost. The caller ends the
// sessions in the same transaction. Needs Write. Faults: Denied, Invalid on "why",
// Conflict (it is suspended).
func (tx *Tx) SuspendOrg(why string) (Org, error) {
	if err := tx.Require(access.Operate); err != nil {
		return Org{}, err
	}
	if why = strings.TrimSpace(why); why == "" {
		return Org{}, fault.Invalid.On("why", "Say why. It stands in the activity of the organization.")
	}
	if err := checkText("why", why, 1000); err != nil {
		return Org{}, err
	}
	o, err := tx.lockOrg()
	if err != nil {
		return o, err
	}
	if o.SuspendedAt != 0 {
		return o, fault.Conflict.Say("%s is suspended already.", o.Name)
	}
	o.SuspendedAt, o.SuspendedWhy = tx.Now(), why
	if _, err := tx.Exec("UPDATE orgs SET suspended_at = ?, suspended_why = ?, updated_at = ? WHERE id = ?", o.SuspendedAt, why, tx.Now(), o.ID); err != nil {
		return o, err
	}
	return o, tx.Record(Activity{Action: "org.suspend", TargetKind: "org", TargetID: string(o.ID), TargetName: o.Name, Detail: map[string]any{"why": why}})
}

// ResumeOrg takes a suspension back. Needs Write. Faults: Denied, Conflict (it is not suspended).
func (tx *Tx) ResumeOrg() (Org, error) {
	if err := tx.Require(access.Operate); err != nil {
		return Org{}, err
	}
	o, err := tx.lockOrg()
	if err != nil {
		return o, err
	}
	if o.SuspendedAt == 0 {
		return o, fault.Conflict.Say("%s is not suspended.", o.Name)
	}
	o.SuspendedAt, o.SuspendedWhy = 0, ""
	if _, err := tx.Exec("UPDATE orgs SET suspended_at = 0, suspended_why = '', updated_at = ? WHERE id = ?", tx.Now(), o.ID); err != nil {
		return o, err
	}
	return o, tx.Record(Activity{Action: "org.resume", TargetKind: "org", TargetID: string(o.ID), TargetName: o.Name})
}

func (tx *Tx) lockOrg() (o Org, err error) {
	return o, tx.Get(&o, orgColumns+" WHERE id = ?"+tx.ForUpdate(), tx.Org())
}

// NotSuspended refuses what a suspended organization may not do. keep keeps it as it is
// until the end of the transaction. Faults: Denied.
func (tx *Tx) NotSuspended(keep bool) error {
	lock := ""
	if keep {
		lock = "{{share}}"
	}
	var at Time
	err := tx.Get(&at, "SELECT suspended_at FROM orgs WHERE id = ?"+lock, tx.Org())
	if err == nil && at != 0 {
		err = OrgSuspended()
	}
	return err
}

// OrgSuspended is the refusal of whoever comes meanwhile.
func OrgSuspended() error {
	return fault.Denied.Say("This organization is suspended. Nothing is lost; ask whoever runs this server.")
}

// OrgSize is how large an organization is.
type OrgSize struct {
	People int64 `db:"people"` // but break-glass accounts
	Seats  int64 `db:"seats"`  // used or about to be found free; 0 when nothing is limited
	Most   int64 `db:"most"`   // NoLimit when there is none
}

// OrgSizes are those of some organizations, in one query, for operators.
func (db *DB) OrgSizes(ctx context.Context, orgs []OrgID) (map[OrgID]OrgSize, error) {
	var rows []struct {
		ID OrgID `db:"id"`
		OrgSize
	}
	err := db.LookupAll(ctx, &rows, `SELECT o.id, CAST(COALESCE((SELECT SUM(c.n) FROM counts c WHERE c.org_id = o.id AND c.kind = 'user'), 0) AS {{int}}) AS people,
		COALESCE(s.used, 0) AS seats, COALESCE(s.most, -1) AS most
		FROM orgs o LEFT JOIN seats s ON s.org_id = o.id AND s.license = '' WHERE o.id {{in_ids}}`, jsonList(orgs))
	sizes := make(map[OrgID]OrgSize, len(rows))
	for _, r := range rows {
		sizes[r.ID] = r.OrgSize
	}
	return sizes, err
}

// DeedOf is an activity row of any organization.
type DeedOf struct {
	Org OrgID
	Activity
}

// deedsAnywhere begins at the newest rows of each actor.
const deedsAnywhere = `SELECT a.org_id, a.id, a.at, a.actor_kind, a.actor_id, a.actor_name, a.action, a.target_kind, a.target_id, a.target_name
	FROM (SELECT e.value AS id FROM {{each_text}}) o JOIN activity a ON a.actor_id = o.id AND a.actor_kind IN ('person', 'key')
	AND a.id IN (SELECT b.id FROM activity b WHERE b.actor_id = o.id AND b.actor_kind IN ('person', 'key') AND b.id < {{as_id}} ORDER BY b.id DESC LIMIT ?)
	ORDER BY a.id DESC LIMIT ?`

// newestID is greater than every id that we make.
const newestID = ActivityID("ffffffffffffffffffffffffffffffff")

// DeedsAnywhere is what these people and keys did in any organization, newest first,
// without what was before and after. Faults: Denied.
func (db *DB) DeedsAnywhere(ctx context.Context, actor access.Actor, who []string, before ActivityID, limit int) ([]DeedOf, error) {
	if !actor.May(access.Operate) {
		return nil, fault.Denied.Say("Only an operator of this server can look through all organizations.")
	}
	if before == "" {
		before = newestID
	}
	var rows []struct {
		Org        OrgID       `db:"org_id"`
		ID         ActivityID  `db:"id"`
		At         Time        `db:"at"`
		ActorKind  access.Kind `db:"actor_kind"`
		ActorID    string      `db:"actor_id"`
		ActorName  string      `db:"actor_name"`
		Action     string      `db:"action"`
		TargetKind string      `db:"target_kind"`
		TargetID   string      `db:"target_id"`
		TargetName string      `db:"target_name"`
	}
	err := db.LookupAll(ctx, &rows, deedsAnywhere, jsonList(slices.Compact(slices.Sorted(slices.Values(who)))), before, limit, limit)
	list := make([]DeedOf, len(rows))
	for i, r := range rows {
		list[i] = DeedOf{r.Org, Activity{ID: r.ID, At: r.At, ActorKind: r.ActorKind, ActorID: r.ActorID, ActorName: r.ActorName, Action: r.Action, TargetKind: r.TargetKind, TargetID: r.TargetID, TargetName: r.TargetName}}
	}
	return list, err
}

// OrgsByID are these, for lists over many organizations.
func (db *DB) OrgsByID(ctx context.Context, ids []OrgID) (map[OrgID]Org, error) {
	var list []Org
	err := db.LookupAll(ctx, &list, orgColumns+" WHERE id {{in_ids}}", jsonList(ids))
	of := make(map[OrgID]Org, len(list))
	for _, o := range list {
		of[o.ID] = o
	}
	return of, err
}
