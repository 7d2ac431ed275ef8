package store

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// NameFormat is what the user names of new people look like where nobody says one.
type NameFormat string

// The formats.
const (
	NameEmail     NameFormat = "email"      // the e-mail address
	NameFirstLast NameFormat = "first.last" // ada.lovelace
	NameFLast     NameFormat = "flast"      // alovelace
	NameFirstL    NameFormat = "firstl"     // adal
	NameFirst     NameFormat = "first"      // ada
)

// NameFormats lists them in the order of a form.
func NameFormats() []NameFormat {
	return []NameFormat{NameEmail, NameFirstLast, NameFLast, NameFirstL, NameFirst}
}

// nameSetting is the group of an organization's settings that holds its NameFormat.
const nameSetting = "user_names"

type nameRow struct {
	Format NameFormat `json:"format"`
}

// NameFormat is the organization's. The version is for SetNameFormat.
func (tx *Tx) NameFormat() (NameFormat, int64, error) {
	row := nameRow{NameEmail}
	version, err := tx.OrgSetting(nameSetting, &row)
	return row.Format, version, err
}

// SetNameFormat chooses one for people who come from now on. Needs Write. Faults:
// Denied, Invalid on "format", Conflict (changed since version was read).
func (tx *Tx) SetNameFormat(f NameFormat, version int64) error {
	if !slices.Contains(NameFormats(), f) {
		return fault.Invalid.On("format", "%.40q is no format of user names. Choose one of the list.", string(f))
	}
	return tx.SetOrgSetting(nameSetting, nameRow{f}, version)
}

// UserName is the name that a format makes for somebody, without regard to who has it:
// the address where the names have no letter that can be written in Latin ones.
func (f NameFormat) UserName(p Profile) string {
	if f == NameEmail && p.Email != "" {
		return p.Email
	}
	first, last := plainName(p.GivenName), plainName(p.FamilyName)
	if first == "" && last == "" {
		first, last, _ = strings.Cut(p.DisplayName, " ")
		first, last = plainName(first), plainName(last)
	}
	name := ""
	switch {
	case first == "" || last == "":
		name = first + last
	case f == NameFLast:
		name = first[:1] + last
	case f == NameFirstL:
		name = first + last[:1]
	case f == NameFirst:
		name = first
	default:
		name = first + "." + last
	}
	if name == "" {
		local, _, _ := strings.Cut(p.Email, "@")
		name = plainName(local)
	}
	if name == "" {
		name = "user"
	}
	return strings.Trim(name[:min(len(name), 60)], ".-")
}

// latin writes letters in those from a to z that are no plain letter with a mark, as ICAO
// Doc 9303 part 3 §6 does for passports.
var latin = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "æ", "ae", "ø", "oe", "å", "aa", "œ", "oe", "þ", "th", "ð", "d", "đ", "d", "ł", "l", "ħ", "h", "ı", "i", "ŋ", "n",
	"а", "a", "б", "b", "в", "v", "г", "g", "ґ", "g", "д", "d", "е", "e", "ё", "e", "є", "ie", "ж", "zh", "з", "z", "и", "i", "і", "i", "ї", "i", "й", "i", "к", "k", "л", "l", "м", "m", "н", "n",
	"о", "o", "п", "p", "р", "r", "с", "s", "т", "t", "у", "u", "ф", "f", "х", "kh", "ц", "ts", "ч", "ch", "ш", "sh", "щ", "shch", "ъ", "ie", "ы", "y", "ь", "", "э", "e", "ю", "iu", "я", "ia")

// plainName has lower-case letters from a to z, digits and hyphens. Other letters are
// written by latin, or lose their marks, or are left out; so are blanks and apostrophes.
func plainName(name string) string {
	name = latin.Replace(strings.ToLower(norm.NFC.String(name)))
	var b strings.Builder
	for _, c := range norm.NFD.String(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && b.Len() > 0 {
			b.WriteRune(c)
		} else if c == '.' && b.Len() > 0 {
			b.WriteByte('.')
		}
	}
	return strings.TrimRightFunc(b.String(), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
}

// UserNameOr is the name for somebody new by the organization's format, or otherwise
// where the format is the address: a door that knows better than that says so itself.
func (tx *Tx) UserNameOr(p Profile, otherwise string) (string, error) {
	f, _, err := tx.NameFormat()
	if err != nil || f == NameEmail {
		return otherwise, err
	}
	names, err := tx.freeNames([]string{f.UserName(p)})
	if err != nil {
		return "", err
	}
	return names[0], nil
}

// nameNew gives those of the list a user name who have none. A directory says the names
// of its people itself.
func (tx *Tx) nameNew(list []NewUser) error {
	if tx.actor.Kind == access.Directory {
		return nil
	}
	var without []int
	for i, in := range list {
		if text(in.Doc, "userName") == "" {
			without = append(without, i)
		}
	}
	if len(without) == 0 {
		return nil
	}
	f, _, err := tx.NameFormat()
	if err != nil {
		return err
	}
	wanted := make([]string, len(without))
	for n, i := range without {
		wanted[n] = f.UserName(profileOf(list[i].Doc))
	}
	if f != NameEmail { // of an address that somebody has there is no second one
		if wanted, err = tx.freeNames(wanted); err != nil {
			return err
		}
	}
	for n, i := range without {
		set(list[i].Doc, "userName", wanted[n])
	}
	return nil
}

// numbered is how many namesakes one look finds a number for.
const numbered = 20

// freeNames gives each name the lowest number, from 2, with which nobody has it. Whoever
// gives names at the same time waits.
func (tx *Tx) freeNames(wanted []string) ([]string, error) {
	var org OrgID
	if err := tx.Get(&org, "SELECT id FROM orgs WHERE id = ?"+tx.ForUpdate(), tx.Org()); err != nil {
		return nil, err
	}
	out, given := make([]string, len(wanted)), map[string]bool{}
	for from := 1; slices.Contains(out, ""); from += numbered {
		var look []string
		for i, name := range wanted {
			for n := from; out[i] == "" && n < from+numbered; n++ {
				look = append(look, Fold(withNumber(name, n)))
			}
		}
		var have []string
		if err := tx.Select(&have, "SELECT user_name_key FROM users WHERE org_id = ? AND deleted_at = 0 AND user_name_key IN (SELECT value FROM {{each_text}})", tx.Org(), jsonList(look)); err != nil {
			return nil, err
		}
		for _, key := range have {
			given[key] = true
		}
		for i, name := range wanted {
			for n := from; out[i] == "" && n < from+numbered; n++ {
				if full := withNumber(name, n); !given[Fold(full)] {
					out[i], given[Fold(full)] = full, true
				}
			}
		}
	}
	return out, nil
}

func withNumber(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + strconv.Itoa(n)
}
