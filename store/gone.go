package store

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// DeletedPerson is a row of the list of deleted people.
type DeletedPerson struct {
	User
	Taken bool // somebody has the user name now: it comes back under another one
}

// DeletedPage is a part of that list; Next is where it goes on, empty at its end.
type DeletedPage struct {
	People []DeletedPerson
	Next   string
}

// DeletedPeople lists who can be restored, who was deleted last first: two queries.
// Faults: Denied, Invalid on "after".
func (tx *Tx) DeletedPeople(after string, limit int) (DeletedPage, error) {
	page := DeletedPage{People: []DeletedPerson{}}
	if err := tx.Require(access.EndUsers); err != nil {
		return page, err
	}
	if tx.actor.Kind == access.Directory {
		return page, nil
	}
	at, id := Time(1<<62), "ffffffffffffffffffffffffffffffff"
	if after != "" {
		text, rest, ok := strings.Cut(after, ".")
		n, err1 := strconv.ParseInt(text, 10, 64)
		_, err2 := ParseID[User](rest)
		if !ok || err1 != nil || err2 != nil {
			return page, fault.Invalid.On("after", "%.40q is no place in this list. Take it from the page before.", after)
		}
		at, id = Time(n), rest
	}
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, 200)
	var users []User
	if err := tx.Select(&users, deletedPeople, tx.Org(), tx.Now().Add(-RestoreFor), at, id, limit+1); err != nil {
		return page, err
	}
	if len(users) > limit {
		users = users[:limit]
		page.Next = fmt.Sprintf("%d.%s", users[limit-1].DeletedAt, users[limit-1].ID)
	}
	keys := make([]string, len(users))
	for i, u := range users {
		keys[i] = Fold(u.UserName)
	}
	var taken []string
	if err := tx.Select(&taken, "SELECT user_name_key FROM users WHERE org_id = ? AND deleted_at = 0 AND user_name_key IN (SELECT value FROM {{each_text}})", tx.Org(), jsonList(keys)); err != nil {
		return page, err
	}
	is := map[string]bool{}
	for _, key := range taken {
		is[key] = true
	}
	for i, u := range users {
		page.People = append(page.People, DeletedPerson{u, is[keys[i]]})
	}
	return page, nil
}

const deletedPeople = userColumns + ` WHERE org_id = ? AND deleted_at > 0 AND deleted_at >= ? AND (deleted_at, id) < ({{as_int}}, {{as_id}}) ORDER BY deleted_at DESC, id DESC LIMIT ?`

// FreeName is the name itself, or with the first number that nobody has.
func (tx *Tx) FreeName(name string) (string, error) {
	for n := 1; n < 100; n++ {
		try := name
		if n > 1 {
			if local, domain, ok := strings.Cut(name, "@"); ok {
				try = local + strconv.Itoa(n) + "@" + domain
			} else {
				try = name + strconv.Itoa(n)
			}
		}
		var id UserID
		err := tx.Get(&id, "SELECT id FROM users WHERE org_id = ? AND user_name_key = ? AND deleted_at = 0", tx.Org(), Fold(try))
		if fault.Is(err, fault.NotFound) {
			return try, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
