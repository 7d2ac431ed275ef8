package store

import (
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// PeopleQuery chooses what the list of people shows.
type PeopleQuery struct {
	Search string   // words, each of which is in a name, the address, title, department, or in the manager's
	Status []Status // any when empty; Deleted only when named
	Source []Source // any when empty
	Role   string   // any when empty
	Sort   string   // "name" (default), "-name", "created", "-created", "signin", "-signin"
	Offset int
	Limit  int // 50 when 0, 500 at most
}

// Person is a row of the list.
type Person struct {
	User
	Grants []Grant
	Groups []GroupRef
}

// PeoplePage is one page and the number of all that match.
type PeoplePage struct {
	People []Person
	Total  int
}

var peopleOrder = map[string]string{
	"": "sort_key, id", "name": "sort_key, id", "-name": "sort_key DESC, id DESC",
	"created": "id", "-created": "id DESC",
	"signin": "signed_in_at, id", "-signin": "signed_in_at DESC, id DESC",
}

// People lists people with their roles and groups: four queries, however many there
// are. Faults: Denied, Invalid (sort).
func (tx *Tx) People(q PeopleQuery) (PeoplePage, error) {
	var page PeoplePage
	if err := tx.Require(access.ViewUsers); err != nil {
		return page, err
	}
	order, ok := peopleOrder[q.Sort]
	if !ok {
		return page, fault.Invalid.On("sort", "People cannot be sorted by %.40q.", q.Sort)
	}
	where, args := tx.peopleWhere(q)
	if err := tx.Get(&page.Total, "SELECT COUNT(*) FROM users WHERE org_id = ?"+where, args...); err != nil {
		return page, err
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	users := []User{}
	err := tx.Select(&users, userColumns+" WHERE org_id = ?"+where+" ORDER BY "+order+" LIMIT ? OFFSET ?", append(args, min(q.Limit, 500), max(q.Offset, 0))...)
	if err != nil {
		return page, err
	}
	ids := make([]UserID, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	roles, err := tx.RolesOf(ids)
	if err != nil {
		return page, err
	}
	groups, err := tx.GroupsOf(ids)
	if err != nil {
		return page, err
	}
	page.People = make([]Person, len(users))
	for i, u := range users {
		page.People[i] = Person{User: u, Grants: roles[u.ID], Groups: groups[u.ID]}
	}
	return page, nil
}

func (tx *Tx) peopleWhere(q PeopleQuery) (string, []any) {
	where, args := strings.Builder{}, []any{tx.Org()}
	seen, more := tx.visible()
	if !(len(q.Status) == 1 && q.Status[0] == Deleted) {
		where.WriteString(seen)
		args = append(args, more...)
	}
	if len(q.Status) > 0 {
		where.WriteString(" AND status IN (SELECT value FROM {{each_text}})")
		args = append(args, jsonList(q.Status))
	}
	if len(q.Source) > 0 {
		where.WriteString(" AND source IN (SELECT value FROM {{each_text}})")
		args = append(args, jsonList(q.Source))
	}
	if q.Role == DefaultRole {
		where.WriteString(` AND (id IN (SELECT user_id FROM user_roles WHERE org_id = ? AND role = ?)
			OR NOT EXISTS (SELECT 1 FROM user_roles r WHERE r.org_id = users.org_id AND r.user_id = users.id))`)
		args = append(args, tx.Org(), q.Role)
	} else if q.Role != "" {
		where.WriteString(" AND id IN (SELECT user_id FROM user_roles WHERE org_id = ? AND role = ?)")
		args = append(args, tx.Org(), q.Role)
	}
	words := strings.Fields(q.Search)
	for _, word := range words[:min(len(words), 8)] {
		pattern := "%" + escapeLike(Fold(clip(word, 100))) + "%"
		where.WriteString(` AND (search_key LIKE ? ESCAPE '\' OR manager_id IN (SELECT m.id FROM users m WHERE m.org_id = ? AND m.search_key LIKE ? ESCAPE '\'))`)
		args = append(args, pattern, tx.Org(), pattern)
	}
	return where.String(), args
}

// escapeLike makes s stand for itself in a LIKE pattern with ESCAPE '\'.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// Named tells people's display names by id, for lists that refer to them.
func (tx *Tx) Named(ids []UserID) (map[UserID]string, error) {
	var rows []struct {
		ID   UserID `db:"id"`
		Name string `db:"display_name"`
	}
	if err := tx.Select(&rows, "SELECT id, display_name FROM users WHERE org_id = ? AND id {{in_ids}}", tx.Org(), jsonList(ids)); err != nil {
		return nil, err
	}
	names := make(map[UserID]string, len(rows))
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, nil
}
