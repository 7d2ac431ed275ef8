package store

import (
	"fmt"
	"strings"
	"unicode"
)

// A search finds people by the beginning of any word of their names, their address, user
// name, externalId or employee number, and by the end of their telephone number. The beginnings of user name, address, externalId
// and of the name under which a person is sorted have indexes anyway. What they do not find
// stands in columns of its own, as far as there are any, else in user_values under wordAttr.
// For "Ada Lovelace, ada.lovelace@example.com" that is nothing at all.

// wordAttr is not the name of an attribute: no filter of a directory comes here.
const wordAttr = " word"

// wordKeys are the words that have columns: an entry of an index is a third of a row in
// user_values, which were the largest part of an import. Empty: there is none.
type wordKeys struct {
	Word   string `db:"word_key"` // the first one of the names
	Number string `db:"number_key"`
	Phone  string `db:"phone_key"`
}

const (
	mostWords   = 16
	longestWord = 60

	// A telephone number is looked for by its last digits.
	fewestDigits = 4
	manyDigits   = 7 // a whole number: spaces in it separate no words
)

// searchWords are the words that no other index finds: those with columns, and the others.
func (h hotColumns) searchWords(p Profile) (keys wordKeys, rows []string) {
	words := wordsOf(p.GivenName + " " + p.FamilyName + " " + p.DisplayName)
	for _, a := range []string{h.emailKey, h.nameKey} {
		local, _, _ := strings.Cut(a, "@")
		words = append(words, wordsOf(local)...)
	}
	if folded := Fold(h.externalID); folded != h.externalID {
		words = append(words, folded)
	}
	found := func(w string) bool {
		return w == "" || strings.HasPrefix(h.nameKey, w) || strings.HasPrefix(h.emailKey, w) || strings.HasPrefix(h.sortKey, w)
	}
	for _, w := range distinct(words) {
		switch w = clip(w, longestWord); {
		case found(w):
		case keys.Word == "":
			keys.Word = w
		case len(rows) < mostWords:
			rows = append(rows, w)
		}
	}
	if w := clip(Fold(strings.TrimSpace(p.EmployeeNumber)), longestWord); !found(w) {
		keys.Number = w
	}
	keys.Phone = backwards(p.Phone)
	return keys, rows
}

// backwards are the digits of a telephone number from the last to the first: written with
// or without its country, the end is the same. The sign in front keeps them from the words.
func backwards(phone string) string {
	var digits []byte
	for at := len(phone) - 1; at >= 0 && len(digits) < longestWord; at-- {
		if phone[at] >= '0' && phone[at] <= '9' {
			digits = append(digits, phone[at])
		}
	}
	if len(digits) < fewestDigits {
		return ""
	}
	return phoneSign + string(digits)
}

const phoneSign = "☎"

// dialled is text as backwards has it, when it can be a telephone number or the end of
// one: zeros in front are dialled, and not part of it.
func dialled(text string) string {
	if strings.Trim(text, "0123456789+-/.() ") != "" {
		return ""
	}
	return backwards(strings.TrimLeft(text, "+0(/.- "))
}

// wordsOf are the words of a text, and the parts of those with a hyphen or the like.
func wordsOf(text string) []string {
	var list []string
	for _, word := range strings.Fields(Fold(text)) {
		if lettersAlone(word) {
			list = append(list, word)
			continue
		}
		parts := strings.FieldsFunc(word, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c) })
		if len(parts) == 1 {
			word = parts[0]
		}
		if word = strings.TrimFunc(word, unicode.IsPunct); word != "" {
			list = append(list, word)
		}
		for _, p := range parts {
			if len(parts) > 1 && len(p) > 1 {
				list = append(list, p)
			}
		}
	}
	return list
}

// lettersAlone tells that a word has no parts, of most words at a glance.
func lettersAlone(word string) bool {
	for i := range len(word) {
		if c := word[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// afterAll sorts behind everything that begins like the text before it.
const afterAll = "\U0010ffff"

// asked is one word of a search: as it was typed, for what is compared letter by letter,
// folded, and as the end of a telephone number.
type asked struct{ raw, folded, number string }

const mostAsked = 6

func askedWords(search string) (list []asked) {
	if number := dialled(search); len(number) >= len(phoneSign)+manyDigits { // "030 123 456": several words, and one number
		search = strings.Join(strings.Fields(search), "")
	}
	for _, raw := range strings.Fields(search) {
		raw = clip(strings.TrimFunc(raw, func(c rune) bool { return c == ',' || c == ';' || c == '<' || c == '>' || c == '"' }), longestWord)
		if raw != "" && len(list) < mostAsked {
			list = append(list, asked{raw, Fold(raw), dialled(raw)})
		}
	}
	return list
}

// part is one index of those in which a word is looked for.
type part struct {
	query  string // the ids
	size   string // as many rows, without the ids when an index has these not
	limit  string // behind both
	args   []any
	exists bool // of nobody who is deleted, or of nobody else when these are asked for
	once   bool // nobody is in it twice
	names  bool // they stand together in the order of names
}

// found are the ids of those whom the word finds, from indexes alone, some of them several
// times. The roster tells whether somebody is deleted in its rows, not in its index or those
// of words, and whoever is found is looked up there anyway.
func (w asked) found(tx *Tx, deleted bool) (parts []part) {
	at := "u.deleted_at = 0"
	if deleted {
		at = "u.deleted_at > 0"
	}
	add := func(p part, id, from string, values ...any) {
		p.query, p.size, p.args = "SELECT "+id+" AS id FROM "+from, "SELECT 1 FROM "+from, values
		p.limit = fmt.Sprintf(" LIMIT %d", tx.db.counted+1)
		parts = append(parts, p)
	}
	there, once := part{exists: true, once: true}, part{once: true}
	add(there, "u.id", "users u WHERE u.org_id = ? AND u.user_name_key >= ? AND u.user_name_key < ? AND "+at, tx.Org(), w.folded, w.folded+afterAll)
	add(there, "u.id", "users u WHERE u.org_id = ? AND u.email_key >= ? AND u.email_key < ? AND "+at, tx.Org(), w.folded, w.folded+afterAll)
	add(part{once: true, names: true}, "r.user_id", "roster r WHERE r.org_id = ? AND r.sort_key >= ? AND r.sort_key < ?", tx.Org(), w.folded, w.folded+afterAll)
	add(there, "u.id", "users u WHERE u.org_id = ? AND u.external_id >= ? AND u.external_id < ? AND "+at, tx.Org(), w.raw, w.raw+afterAll)
	for _, k := range w.keys() {
		add(once, "u.id", "users u WHERE u.org_id = ? AND "+k.column+" >= ? AND "+k.column+" < ?", tx.Org(), k.word, k.word+afterAll)
	}
	for _, word := range w.rows() {
		add(part{}, "v.user_id", "user_values v WHERE v.org_id = ? AND v.attr = ? AND v.value_key >= ? AND v.value_key < ?", tx.Org(), wordAttr, word, word+afterAll)
	}
	return parts
}

// key is the beginning of what stands in a column of wordKeys.
type key struct{ column, word string }

func (w asked) keys() []key {
	list := []key{{"u.word_key", w.folded}, {"u.number_key", w.folded}}
	if w.number != "" {
		list = append(list, key{"u.phone_key", w.number})
	}
	return list
}

// rows are the beginnings of rows under wordAttr that the word finds. A version before has
// left some with telephone numbers, see values_build.go.
func (w asked) rows() []string {
	if w.number != "" {
		return []string{w.folded, w.number}
	}
	return []string{w.folded}
}

// matches is the condition on the user u that the word finds, for those who are read anyway.
func (w asked) matches() (string, []any) {
	condition := "(u.user_name_key >= ? AND u.user_name_key < ? OR u.email_key >= ? AND u.email_key < ? OR u.sort_key >= ? AND u.sort_key < ? OR u.external_id >= ? AND u.external_id < ?"
	args := []any{w.folded, w.folded + afterAll, w.folded, w.folded + afterAll, w.folded, w.folded + afterAll, w.raw, w.raw + afterAll}
	for _, k := range w.keys() {
		condition += " OR " + k.column + " >= ? AND " + k.column + " < ?"
		args = append(args, k.word, k.word+afterAll)
	}
	for _, word := range w.rows() {
		condition += " OR EXISTS (SELECT 1 FROM user_values v WHERE v.org_id = u.org_id AND v.user_id = u.id AND v.attr = ? AND v.value_key >= ? AND v.value_key < ?)"
		args = append(args, wordAttr, word, word+afterAll)
	}
	return condition + ")", args
}

// escapeLike makes s stand for itself in a LIKE pattern with ESCAPE '\'.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
