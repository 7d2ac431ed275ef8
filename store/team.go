package store

import (
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Team is a local group with what only those have, or a directory's group without it.
type Team struct {
	Group
	Description string `db:"description"`
	LeadID      UserID `db:"lead_id"` // who answers for the team; empty: nobody, or somebody who is gone
	Lead        string `db:"lead"`
	Details     int64  `db:"details"` // version of the description and the lead
	People      int    `db:"people"`  // members, without those of groups in it
}

// Tag changes with name, description and lead, for forms that were open meanwhile.
func (t Team) Tag() string {
	return strconv.FormatInt(t.Version, 10) + "." + strconv.FormatInt(t.Details, 10)
}

const teamColumns = `SELECT g.id, g.directory_id, g.name, COALESCE(g.external_id, '') AS external_id, g.doc, g.version, g.created_at, g.updated_at, ` + hasGroups + `,
	COALESCE(t.description, '') AS description, u.id AS lead_id, COALESCE(u.display_name, '') AS lead, COALESCE(t.version, 0) AS details,
	(SELECT COUNT(*) FROM members m WHERE m.org_id = g.org_id AND m.group_id = g.id) AS people
	FROM groups g LEFT JOIN teams t ON t.org_id = g.org_id AND t.group_id = g.id
	LEFT JOIN users u ON u.org_id = t.org_id AND u.id = t.lead_id AND u.deleted_at = 0`

// TeamQuery chooses a page of the list of teams and groups, by name.
type TeamQuery struct {
	Search string  // words, each of which is in the name; everything when empty
	Local  bool    // those of no directory
	After  GroupID // behind this one; from the first when empty
	Limit  int     // 50 when 0, 200 at most
}

// Teams is a page, and whether there are more. Faults: Denied, NotFound (After is gone).
func (tx *Tx) Teams(q TeamQuery) (list []Team, more bool, err error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, false, err
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 200)
	where, args := " WHERE g.org_id = ?", []any{tx.Org()}
	if q.Local {
		where += " AND g.directory_id IS NULL"
	}
	named, words := groupsNamed(q.Search)
	where, args = where+named, append(args, words...)
	if q.After != "" {
		after, err := tx.Group(q.After)
		if err != nil {
			return nil, false, err
		}
		where, args = where+" AND (g.name_key, g.id) > (?, {{as_id}})", append(args, Fold(after.Name), after.ID)
	}
	list = []Team{}
	if err := tx.Select(&list, teamColumns+where+" ORDER BY g.name_key, g.id LIMIT ?", append(args, q.Limit+1)...); err != nil {
		return nil, false, err
	}
	if more = len(list) > q.Limit; more {
		list = list[:q.Limit]
	}
	return list, more, nil
}

// groupsNamed is the condition that each word of a search is in the name of a group g.
func groupsNamed(search string) (where string, args []any) {
	words := strings.Fields(search)
	for _, w := range words[:min(len(words), 8)] {
		where, args = where+` AND g.name_key LIKE ? ESCAPE '\'`, append(args, "%"+escapeLike(Fold(clip(w, 100)))+"%")
	}
	return where, args
}

// Team finds a team or a directory's group. Faults: Denied, NotFound.
func (tx *Tx) Team(id GroupID) (Team, error) {
	var t Team
	if err := tx.Require(access.ViewGroups); err != nil {
		return t, err
	}
	err := tx.Get(&t, teamColumns+" WHERE g.org_id = ? AND g.id = ?", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return t, fault.NotFound.Wrap(err, "There is no such team.")
	}
	return t, err
}

// TeamChange is what a team becomes. Nil fields keep what is there.
type TeamChange struct {
	Name        *string
	Description *string
	Lead        *UserID // empty: nobody
	Tag         string  // as it was read; empty: whatever it is now
}

func checkTeamName(name string) error {
	if name == "" {
		return fault.Invalid.On("displayName", "The team needs a name.")
	}
	return fault.Line("displayName", name, 200)
}

// CreateTeam makes a local group. Needs Write. Faults: Denied, Invalid on "displayName",
// "description" or "lead", Conflict on "displayName".
func (tx *Tx) CreateTeam(in TeamChange) (Team, error) {
	if err := tx.Require(access.EditGroups); err != nil {
		return Team{}, err
	}
	name := ""
	if in.Name != nil {
		name = strings.TrimSpace(*in.Name)
	}
	if err := checkTeamName(name); err != nil {
		return Team{}, err
	}
	g, err := tx.CreateGroup(NewGroup{Doc: Doc{"displayName": name}})
	if err != nil {
		return Team{}, err
	}
	in.Name, in.Tag = nil, ""
	if in.Description != nil && strings.TrimSpace(*in.Description) == "" {
		in.Description = nil
	}
	if in.Lead != nil && *in.Lead == "" {
		in.Lead = nil
	}
	if in.Description == nil && in.Lead == nil {
		return tx.Team(g.ID)
	}
	return tx.UpdateTeam(g.ID, in)
}

// UpdateTeam changes name, description and lead of a local group. Needs Write. Faults:
// NotFound, Denied (also: a directory's), Invalid and Conflict as CreateTeam, Conflict on
// "version" when it was changed since.
func (tx *Tx) UpdateTeam(id GroupID, ch TeamChange) (Team, error) {
	if _, err := tx.LockGroup(id); err != nil {
		return Team{}, err
	}
	t, err := tx.Team(id)
	if err != nil {
		return t, err
	}
	if err := tx.mayEditGroup(t.Group); err != nil {
		return t, err
	}
	if ch.Tag != "" && ch.Tag != t.Tag() {
		return t, fault.Conflict.On("version", "Somebody else changed %s meanwhile. Look at it again, then make your change.", t.Name)
	}
	if ch.Name != nil && strings.TrimSpace(*ch.Name) != t.Name {
		name := strings.TrimSpace(*ch.Name)
		if err := checkTeamName(name); err != nil {
			return t, err
		}
		doc, err := t.Attributes()
		if err != nil {
			return t, err
		}
		doc["displayName"] = name
		if _, err := tx.UpdateGroup(t.Group, GroupChange{Doc: doc}); err != nil {
			return t, err
		}
	}
	next := t
	if ch.Description != nil {
		next.Description = strings.TrimSpace(*ch.Description)
		if err := fault.Line("description", next.Description, 1000); err != nil {
			return t, err
		}
	}
	if ch.Lead != nil {
		next.LeadID = *ch.Lead
	}
	if err := tx.saveTeam(t, next); err != nil {
		return t, err
	}
	return tx.Team(id)
}

// saveTeam writes description and lead, if they differ.
func (tx *Tx) saveTeam(was, is Team) error {
	before, after := map[string]any{}, map[string]any{}
	if was.Description != is.Description {
		before["description"], after["description"] = was.Description, is.Description
	}
	if was.LeadID != is.LeadID {
		before["lead"], after["lead"] = was.LeadID, is.LeadID
		if is.LeadID != "" {
			if _, err := tx.User(is.LeadID); err != nil {
				return fault.Invalid.On("lead", "The lead is not a person of this organization. Choose somebody else, or nobody.")
			}
		}
	}
	if len(after) == 0 {
		return nil
	}
	if _, err := tx.Exec(`INSERT INTO teams (org_id, group_id, description, lead_id, version) VALUES (?, ?, ?, ?, 1)
		ON CONFLICT (org_id, group_id) DO UPDATE SET description = excluded.description, lead_id = excluded.lead_id, version = teams.version + 1`,
		tx.Org(), is.ID, is.Description, is.LeadID); err != nil {
		return err
	}
	return tx.Record(Activity{Action: "group.update", TargetKind: "group", TargetID: string(is.ID), TargetName: is.Name, Detail: map[string]any{"before": before, "after": after}})
}

// TeamMember is one person of a team.
type TeamMember struct {
	ID      UserID `db:"id"`
	Name    string `db:"display_name"`
	Email   string `db:"email"`
	Status  Status `db:"status"`
	Direct  bool   `db:"direct"` // a member itself
	Since   Time   `db:"since"`
	Through []GroupRef
	Reasons []Membership
}

// MemberQuery chooses a page of a team's people, in the order in which their accounts were made.
type MemberQuery struct {
	Search   string // words, each in name, address, title or department
	Indirect bool   // also who belongs to it by a group in it
	After    UserID
	Limit    int // 50 when 0, 200 at most
}

// inTeam are the team and the groups in it, at any depth.
const inTeam = `WITH RECURSIVE down(id) AS (SELECT {{as_id}} UNION SELECT s.member_group_id FROM down JOIN subgroups s ON s.org_id = ? AND s.group_id = down.id) `

// TeamPeople is a page of a team's people with the reasons, and whether there are more:
// three queries, however many there are. Faults: Denied.
func (tx *Tx) TeamPeople(id GroupID, q MemberQuery) (list []TeamMember, more bool, err error) {
	if err := tx.Require(access.ViewGroups); err != nil {
		return nil, false, err
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 200)
	query := `SELECT u.id, u.display_name, u.email, u.status, m.since, 1 = 1 AS direct FROM members m JOIN users u ON u.org_id = m.org_id AND u.id = m.user_id
		WHERE m.org_id = ? AND m.group_id = ?`
	args := []any{tx.Org(), id}
	if q.Indirect {
		query = inTeam + `SELECT u.id, u.display_name, u.email, u.status, x.since, x.direct = 1 AS direct FROM (SELECT m.user_id, MIN(m.since) AS since, MAX(CASE WHEN m.group_id = ? THEN 1 ELSE 0 END) AS direct
			FROM members m WHERE m.org_id = ? AND m.group_id IN (SELECT id FROM down) GROUP BY m.user_id) AS x JOIN users u ON u.id = x.user_id WHERE u.org_id = ?`
		args = []any{id, tx.Org(), id, tx.Org(), tx.Org()}
	}
	if q.After != "" {
		column := "m.user_id"
		if q.Indirect {
			column = "x.user_id"
		}
		query, args = query+" AND "+column+" > {{as_id}}", append(args, q.After)
	}
	words := strings.Fields(q.Search)
	for _, w := range words[:min(len(words), 8)] {
		query, args = query+` AND u.search_key LIKE ? ESCAPE '\'`, append(args, "%"+escapeLike(Fold(clip(w, 100)))+"%")
	}
	order := " ORDER BY m.user_id LIMIT ?"
	if q.Indirect {
		order = " ORDER BY x.user_id LIMIT ?"
	}
	list = []TeamMember{}
	if err := tx.Select(&list, query+order, append(args, q.Limit+1)...); err != nil {
		return nil, false, err
	}
	if more = len(list) > q.Limit; more {
		list = list[:q.Limit]
	}
	return list, more, tx.explainMembers(id, list)
}

// explainMembers fills in why each is there: the reasons of members, the groups of others.
func (tx *Tx) explainMembers(id GroupID, list []TeamMember) error {
	at := map[UserID]*TeamMember{}
	var direct, others []UserID
	for i := range list {
		at[list[i].ID] = &list[i]
		if list[i].Direct {
			direct = append(direct, list[i].ID)
		} else {
			others = append(others, list[i].ID)
		}
	}
	var reasons []struct {
		User UserID `db:"user_id"`
		Membership
	}
	if err := tx.Select(&reasons, membershipColumns+" WHERE r.org_id = ? AND r.group_id = ? AND r.user_id {{in_ids}} ORDER BY r.user_id, r.since", tx.Org(), id, jsonList(direct)); err != nil {
		return err
	}
	for _, r := range reasons {
		at[r.User].Reasons = append(at[r.User].Reasons, r.Membership)
	}
	if len(others) == 0 {
		return nil
	}
	var through []struct {
		User UserID `db:"user_id"`
		GroupRef
	}
	err := tx.Select(&through, inTeam+`SELECT m.user_id, g.id, g.name FROM members m JOIN groups g ON g.org_id = m.org_id AND g.id = m.group_id
		WHERE m.org_id = ? AND m.user_id {{in_ids}} AND m.group_id IN (SELECT id FROM down) ORDER BY m.user_id, g.name_key, g.id`, id, tx.Org(), tx.Org(), jsonList(others))
	for _, r := range through {
		at[r.User].Through = append(at[r.User].Through, r.GroupRef)
	}
	return err
}

// TeamEnd is what the end of a team does.
type TeamEnd struct {
	Team   Team
	Inside int        // groups in it, which stay
	In     []GroupRef // groups that hold it, of which its people are no more
}

// PreviewTeamEnd tells what DeleteGroup would do. Faults: Denied (also: a directory's), NotFound.
func (tx *Tx) PreviewTeamEnd(id GroupID) (e TeamEnd, err error) {
	if e.Team, err = tx.Team(id); err != nil {
		return e, err
	}
	if err := tx.mayEditGroup(e.Team.Group); err != nil {
		return e, err
	}
	if err := tx.Get(&e.Inside, "SELECT COUNT(*) FROM subgroups WHERE org_id = ? AND group_id = ?", tx.Org(), id); err != nil {
		return e, err
	}
	e.In, err = tx.GroupsAbove(id)
	return e, err
}

// byHand notes who has put people into a group, if somebody did: directories and sign-ins
// have reasons of their own.
func (tx *Tx) byHand(id GroupID, users []UserID) error {
	if !tx.handmade() || len(users) == 0 {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO member_reasons (org_id, user_id, group_id, reason_kind, reason_ref, reason_detail, member_since, since, given_by)
		SELECT m.org_id, m.user_id, m.group_id, {{as_text}}, '', '', m.since, {{as_int}}, {{as_text}} FROM members m WHERE m.org_id = ? AND m.group_id = ? AND m.user_id {{in_ids}}
		ON CONFLICT (org_id, user_id, group_id, reason_kind, reason_ref) DO UPDATE SET since = excluded.since, given_by = excluded.given_by, member_since = excluded.member_since
			WHERE member_reasons.member_since <> excluded.member_since`,
		Manual.Kind, tx.Now(), tx.giver(Manual), tx.Org(), id, jsonList(users))
	return err
}

// handmade tells of actors who do things by hand, or on somebody's order.
func (tx *Tx) handmade() bool {
	return tx.actor.Kind != access.Directory && tx.actor.Kind != access.Connection
}

// LeaveTeam takes a person out of a team by hand. Who is there for another reason as well
// stays for that, and kept says which; where there is no reason by hand, the membership
// ends for all of them, and may come back with the next sign-in. Who is no member is
// passed over. Needs Write. Faults: NotFound, Denied.
func (tx *Tx) LeaveTeam(id GroupID, user UserID) (kept []Membership, err error) {
	g, err := tx.LockGroup(id)
	if err != nil {
		return nil, err
	}
	if err := tx.mayEditGroup(g); err != nil {
		return nil, err
	}
	all, err := tx.MembershipsOf(user)
	if err != nil {
		return nil, err
	}
	hand := false
	for _, m := range all {
		if m.GroupID != id {
			continue
		}
		if hand = hand || m.Kind == Manual.Kind; m.Kind != Manual.Kind {
			kept = append(kept, m)
		}
	}
	if _, err := tx.Exec("DELETE FROM member_reasons WHERE org_id = ? AND user_id = ? AND group_id = ? AND reason_kind = ?", tx.Org(), user, id, Manual.Kind); err != nil {
		return nil, err
	}
	if hand && len(kept) > 0 {
		return kept, tx.Record(Activity{Action: "group.member.reason", TargetKind: "group", TargetID: string(id), TargetName: g.Name,
			Detail: map[string]any{"users": []UserID{user}, "reason": Manual, "stays": kept}})
	}
	_, err = tx.UpdateGroup(g, GroupChange{Remove: []UserID{user}, Said: map[UserID]Kind{user: KindUser}})
	return nil, err
}

// NamedUsers tells which of some texts name a person: ids, user names or addresses that
// one person has. Faults: Invalid on field, naming the first that does not.
func (tx *Tx) NamedUsers(field string, texts []string) ([]UserID, error) {
	var list []UserID
	for _, text := range texts {
		text = strings.TrimSpace(text)
		id, err := ParseID[User](text)
		if err == nil {
			if _, err = tx.User(id); err == nil {
				list = append(list, id)
				continue
			}
		}
		u, err := tx.UserByName(text)
		if fault.Is(err, fault.NotFound) {
			var same []User
			if same, err = tx.UsersByEmail(text); err == nil && len(same) != 1 {
				return nil, fault.Invalid.On(field, "%d people here have the user name, address or id %.100q. Name one.", len(same), text)
			}
			if len(same) == 1 {
				u = same[0]
			}
		}
		if err != nil {
			return nil, err
		}
		list = append(list, u.ID)
	}
	return slices.Compact(list), nil
}
