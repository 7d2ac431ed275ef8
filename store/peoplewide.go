package store

import (
	"fmt"
	"slices"
)

// wide is a word that finds thousands of people, of whom a page is sooner found along the
// order than by reading and sorting all of them.
type wide struct {
	word  asked
	parts []part
	named bool // it finds them by the name under which they are sorted, all of them
}

// wideOf is the word, if it is one and an index has the order.
func (l *peopleList) wideOf(w asked, parts []part, m met) *wide {
	named := m.named == m.sum
	if !l.bare || len(l.sort.runs) == 0 || m.most <= l.tx.db.counted.some() {
		return nil
	}
	// In the order of names people of one name are together: seldom among the next. Only where
	// nothing else is asked is their range read itself.
	if l.sort.column == "sort_key" && 2*m.named > m.most && (!named || l.costly()) {
		return nil
	}
	return &wide{w, parts, named}
}

// findWide gives the ids of one page, and counts.
func (l *peopleList) findWide(limit int) (ids []UserID, err error) {
	if err := l.countWide(); err != nil || l.total == 0 {
		return nil, err
	}
	along := *l // the same people, by conditions
	along.few, along.here, along.common = nil, slices.Clip(l.here), slices.Clip(l.common)
	if w := l.wide; w.named {
		along.and("r.sort_key >= ? AND r.sort_key < ?", w.word.folded, w.word.folded+afterAll)
	} else {
		along.common = append(along.common, w.word)
	}
	if l.wide.named && l.sort.column == "sort_key" && !l.costly() {
		return along.whole(limit)
	}
	near := l.tx.db.counted.near()
	if ids, err = along.nearby(near, limit); err != nil || len(ids) == limit {
		return ids, err
	}
	if l.costly() {
		if ids, err = l.nearby(near, limit); err != nil || len(ids) == limit {
			return ids, err
		}
	}
	return l.whole(limit)
}

// countWide counts exactly what the word alone finds, from its indexes; with other
// conditions it looks at some.
func (l *peopleList) countWide() error {
	if !l.costly() {
		return l.tx.Get(&l.total, "SELECT COUNT(*) FROM (SELECT f.id FROM ("+l.few.query+") AS f EXCEPT "+idsOfDeleted+") AS n", append(slices.Clip(l.few.args), l.tx.Org())...)
	}
	some := *l
	parts := slices.Clone(l.wide.parts)
	for i := range parts {
		parts[i].limit = fmt.Sprintf(" LIMIT %d", l.sampled())
	}
	query, args := idsOf(parts)
	some.few = &part{query: query, args: args}
	t, err := some.sample(l.sampled())
	if err != nil {
		return err
	}
	return l.tell(t, false)
}
