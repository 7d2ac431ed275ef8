package records

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// The person is told only while there.
const recordColumns = `SELECT r.kind, r.id, r.name, r.address, r.attributes, r.version, r.created_at, r.updated_at,
	u.id AS user_id, COALESCE(u.display_name, '') AS user_name
	FROM external_records r LEFT JOIN record_links l ON l.org_id = r.org_id AND l.kind = r.kind AND l.record_id = r.id
	LEFT JOIN users u ON u.org_id = l.org_id AND u.id = l.user_id AND u.deleted_at = 0`

func find(tx *store.Tx, ref Ref, lock string) (r Record, err error) {
	if lock != "" { // the outer side of a join cannot be locked
		var id string
		if err := tx.Get(&id, "SELECT id FROM external_records WHERE org_id = ? AND kind = ? AND id = ?"+lock, tx.Org(), ref.Kind, ref.ID); err != nil {
			return r, missing(err, ref)
		}
	}
	err = tx.Get(&r, recordColumns+" WHERE r.org_id = ? AND r.kind = ? AND r.id = ?", tx.Org(), ref.Kind, ref.ID)
	return r, missing(err, ref)
}

func missing(err error, ref Ref) error {
	if fault.Is(err, fault.NotFound) {
		return fault.NotFound.On("record", "There is no record %.80s here.", ref)
	}
	return err
}

func searchKey(in In) string {
	return store.Fold(strings.Join([]string{in.Name, in.Address, in.ID}, "\n"))
}

func insert(tx *store.Tx, in In) (bool, error) {
	n, err := tx.Exec(`INSERT INTO external_records (org_id, kind, id, name, name_key, address, search_key, attributes, version, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, {{as_json}}, 1, ?, ?) ON CONFLICT (org_id, kind, id) DO NOTHING`,
		tx.Org(), in.Kind, in.ID, in.Name, store.Fold(in.Name), in.Address, searchKey(in), string(in.Attributes), tx.Now(), tx.Now())
	return n > 0, err
}

func update(tx *store.Tx, in In) error {
	_, err := tx.Exec(`UPDATE external_records SET name = ?, name_key = ?, address = ?, search_key = ?, attributes = {{as_json}}, version = version + 1, updated_at = ?
		WHERE org_id = ? AND kind = ? AND id = ?`, in.Name, store.Fold(in.Name), in.Address, searchKey(in), string(in.Attributes), tx.Now(), tx.Org(), in.Kind, in.ID)
	return err
}

// remove deletes a record; its link keeps the last name.
func remove(tx *store.Tx, ref Ref, name string) error {
	if _, err := tx.Exec("UPDATE record_links SET name = ? WHERE org_id = ? AND kind = ? AND record_id = ?", name, tx.Org(), ref.Kind, ref.ID); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM external_records WHERE org_id = ? AND kind = ? AND id = ?", tx.Org(), ref.Kind, ref.ID)
	return err
}

// place is where a list goes on.
type place struct{ Kind, Name, ID string }

func (p place) String() string {
	b, _ := json.Marshal(p) // three strings
	return base64.RawURLEncoding.EncodeToString(b)
}

func list(tx *store.Tx, q Query) (Page, error) {
	var at place
	if q.After != "" {
		raw, err := base64.RawURLEncoding.DecodeString(q.After)
		if err != nil || len(raw) > 2000 || json.Unmarshal(raw, &at) != nil || strings.ContainsRune(at.Kind+at.Name+at.ID, 0) {
			return Page{}, fault.Invalid.On("after", "%.40q is no place in this list. Take it from the page before.", q.After)
		}
	}
	query, args := recordColumns+" WHERE r.org_id = ?", []any{tx.Org()}
	if q.Kind != "" {
		query, args = query+" AND r.kind = ?", append(args, q.Kind)
	}
	if q.After != "" {
		query, args = query+" AND (r.kind, r.name_key, r.id) > (?, ?, ?)", append(args, at.Kind, at.Name, at.ID)
	}
	if q.Free {
		query += " AND u.id IS NULL"
	}
	words := strings.Fields(q.Search)
	for _, word := range words[:min(len(words), 8)] {
		query, args = query+` AND r.search_key LIKE ? ESCAPE '\'`, append(args, "%"+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(store.Fold(word))+"%")
	}
	page := Page{Records: []Record{}}
	if err := tx.Select(&page.Records, query+" ORDER BY r.kind, r.name_key, r.id LIMIT ?", append(args, q.Limit+1)...); err != nil {
		return page, err
	}
	if len(page.Records) > q.Limit {
		page.Records = page.Records[:q.Limit]
		last := page.Records[q.Limit-1]
		page.Next = place{last.Kind, store.Fold(last.Name), last.ID}.String()
	}
	return page, nil
}

func insertLink(tx *store.Tx, l Linked) (bool, error) {
	n, err := tx.Exec(`INSERT INTO record_links (org_id, user_id, kind, record_id, name, linked_by, since) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		tx.Org(), l.UserID, l.Kind, l.ID, l.Name, l.By, l.Since)
	return n > 0, err
}

// dropStale removes the link of somebody who is not there any more; the caller has seen that.
func dropStale(tx *store.Tx, ref Ref) error {
	_, err := tx.Exec("DELETE FROM record_links WHERE org_id = ? AND kind = ? AND record_id = ?", tx.Org(), ref.Kind, ref.ID)
	return err
}

func takeLink(tx *store.Tx, user store.UserID, kind string) (l Linked, err error) {
	return l, tx.Get(&l, "DELETE FROM record_links WHERE org_id = ? AND user_id = ? AND kind = ? RETURNING user_id, kind, record_id AS id, name", tx.Org(), user, kind)
}

// LinkedPeople are those who are linked to a record of any kind.
func LinkedPeople(tx *store.Tx) store.PeopleSet {
	return store.PeopleSet{IDs: "SELECT DISTINCT l.user_id AS id FROM record_links l WHERE l.org_id = ?", Args: []any{tx.Org()}}
}

func linksOf(tx *store.Tx, users []store.UserID) (rows []Linked, err error) {
	ids, err := json.Marshal(append([]store.UserID{}, users...)) // never null
	if err != nil {
		return nil, err
	}
	return rows, tx.Select(&rows, `SELECT l.user_id, l.kind, l.record_id AS id, COALESCE(r.name, l.name) AS name, COALESCE(r.address, '') AS address,
		r.id IS NULL AS gone, l.linked_by, l.since
		FROM record_links l LEFT JOIN external_records r ON r.org_id = l.org_id AND r.kind = l.kind AND r.id = l.record_id
		WHERE l.org_id = ? AND l.user_id {{in_ids}} ORDER BY l.user_id, l.kind`, tx.Org(), string(ids))
}

// KindsIn are the kinds that there are, at most 50.
func KindsIn(tx *store.Tx) ([]string, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	kinds := Kinds()
	for last := ""; len(kinds) < 50; { // from one to the next by the index
		var next string
		err := tx.Get(&next, "SELECT kind FROM external_records WHERE org_id = ? AND kind > ? ORDER BY kind LIMIT 1", tx.Org(), last)
		if fault.Is(err, fault.NotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		if last = next; !slices.Contains(kinds, next) {
			kinds = append(kinds, next)
		}
	}
	return kinds, nil
}
