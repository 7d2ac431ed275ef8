package invite

import (
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/fault"
)

// maxMany is how many addresses one list may have.
const maxMany = 5000

// typedOne is an entry of a pasted list.
type typedOne struct {
	Typed         string
	Given, Family string
	Email         string // empty: Wrong says why it cannot be used
	Wrong         error
}

// readAddresses takes a pasted list apart: addresses and Name <address>, with commas,
// semicolons or line breaks between. Faults: Invalid on "addresses" (none, or too many).
func readAddresses(text string) ([]typedOne, error) {
	if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		return nil, fault.Invalid.On("addresses", "The list holds characters that cannot be read. Type it again.")
	}
	var list []typedOne
	for _, entry := range splitAddresses(text) {
		if len(list) == maxMany {
			return nil, fault.Invalid.On("addresses", "There are more than %d addresses. Send the list in parts, or upload a CSV file.", maxMany)
		}
		list = append(list, readOne(entry))
	}
	if len(list) == 0 {
		return nil, fault.Invalid.On("addresses", "Paste at least one address, like ada@example.com or Ada Lovelace <ada@example.com>.")
	}
	return list, nil
}

// splitAddresses cuts at separators outside of quotes and angle brackets. A line break
// always ends an entry: a quote that is left open costs one line.
func splitAddresses(text string) (list []string) {
	var b strings.Builder
	quoted, angled, escaped := false, false, false
	flush := func() {
		if entry := strings.TrimSpace(b.String()); entry != "" {
			list = append(list, entry)
		}
		b.Reset()
		quoted, angled, escaped = false, false, false
	}
	for _, c := range text {
		switch {
		case c == '\n' || c == '\r':
			flush()
			continue
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"' && !angled:
			quoted = !quoted
		case quoted:
		case c == '<':
			angled = true
		case c == '>':
			angled = false
		case (c == ',' || c == ';') && !angled:
			flush()
			continue
		}
		b.WriteRune(c)
	}
	flush()
	return list
}

// readOne reads address or Name <address>.
func readOne(entry string) typedOne {
	one := typedOne{Typed: clip(entry, 400)}
	address := entry
	if strings.Count(strings.ReplaceAll(entry, `\"`, ""), `"`)%2 == 1 {
		one.Wrong = fault.Invalid.Say("A quote is left open. Write it like \"Lovelace, Ada\" <ada@example.com>.")
		return one
	}
	if at := strings.LastIndexByte(entry, '<'); at >= 0 {
		name, rest := strings.TrimSpace(entry[:at]), entry[at+1:]
		inside, after, closed := strings.Cut(rest, ">")
		if !closed || strings.TrimSpace(after) != "" {
			one.Wrong = fault.Invalid.Say("The brackets do not fit. Write it like Ada Lovelace <ada@example.com>.")
			return one
		}
		address = strings.TrimSpace(inside)
		one.Given, one.Family = names(name)
	}
	email, err := cleanAddress(address)
	one.Wrong = cmp.Or(plainText("addresses", fault.Word("The first name"), one.Given), plainText("addresses", fault.Word("The last name"), one.Family), err)
	if one.Wrong == nil {
		one.Email = email
	}
	return one
}

// names cuts a name into first and last: before a comma stands the last name, else it
// is the last word.
func names(name string) (given, family string) {
	if len(name) >= 2 && name[0] == '"' && name[len(name)-1] == '"' {
		name = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(name[1 : len(name)-1])
	}
	name = strings.TrimSpace(name)
	if last, first, ok := strings.Cut(name, ","); ok {
		return strings.TrimSpace(first), strings.TrimSpace(last)
	}
	words := strings.Fields(name)
	if len(words) < 2 {
		return name, ""
	}
	return strings.Join(words[:len(words)-1], " "), words[len(words)-1]
}
