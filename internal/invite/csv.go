package invite

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	utf16 "golang.org/x/text/encoding/unicode"

	"github.com/muster-id/muster/internal/fault"
)

// Limits of a file. They are checked before anything is parsed that could grow.
const (
	MaxFile    = 10 << 20
	maxRows    = 50_000
	maxColumns = 200
	maxCell    = 1000
)

// The columns that are understood, as the sample file spells them.
const (
	colEmail      = "email"
	colUserName   = "user_name"
	colGivenName  = "given_name"
	colFamilyName = "family_name"
	colName       = "display_name"
	colRole       = "role"
	colTitle      = "title"
	colDepartment = "department"
	colNumber     = "employee_number"
	colManager    = "manager"
	colPhone      = "phone"
	colTeams      = "teams"
)

// columnNames are the spellings of each column that people's systems write,
// without spaces, punctuation and case: Google's "Email Address [Required]",
// Okta's "login", Entra's "userPrincipalName", and what is typed by hand.
var columnNames = map[string][]string{
	colEmail:      {"email", "emailaddress", "mail", "mailaddress", "workemail", "primaryemail", "emailprimary", "emailaddresses"},
	colUserName:   {"username", "login", "userprincipalname", "upn", "userid", "loginname", "account"},
	colGivenName:  {"givenname", "firstname", "first", "forename"},
	colFamilyName: {"familyname", "lastname", "last", "surname", "sn"},
	colName:       {"displayname", "name", "fullname"},
	colRole:       {"role", "userrole", "accessrole"},
	colTitle:      {"title", "jobtitle", "position", "employeetitle"},
	colDepartment: {"department", "dept", "division"},
	colNumber:     {"employeenumber", "employeeid", "personnelnumber", "staffnumber"},
	colManager:    {"manager", "manageremail", "managerid", "managerusername", "reportsto", "supervisor"},
	colPhone:      {"phone", "phonenumber", "telephone", "telephonenumber", "mobile", "mobilephone", "workphone", "primaryphone"},
	colTeams:      {"teams", "team", "groups", "group"},
}

// Sheet is a CSV file that was read: what is in it and how it was understood.
type Sheet struct {
	Encoding  string   // UTF-8, UTF-16 or Windows-1252
	Delimiter string   // comma, semicolon or tab
	Columns   []string // understood ones, in the file's order
	Notices   []string // what the person should know before going on
	Rows      []Row
}

// Row is one line with at least one value.
type Row struct {
	Line    int // in the file, where the row starts
	Cells   map[string]string
	Problem *Problem // the line itself cannot be used
}

// ReadCSV reads a file. A fault in one line stays with that line; what leaves the
// rest in doubt (an open quote, no address column) refuses the whole file. Faults:
// Invalid on "file", with the line and what to do.
func ReadCSV(data []byte) (Sheet, error) {
	var s Sheet
	if err := refuseForeign(data); err != nil {
		return s, err
	}
	text, err := s.decode(data)
	if err != nil {
		return s, err
	}
	if bytes.IndexByte(text, '\n') < 0 { // old Macs end lines with CR alone
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	skipped, comma := 0, byte(0)
	if line, rest, _ := bytes.Cut(text, []byte("\n")); len(line) >= 5 && strings.EqualFold(string(line[:4]), "sep=") { // Excel's own hint
		text, skipped = rest, 1
		if strings.IndexByte(",;\t", line[4]) >= 0 {
			comma = line[4]
		}
	}
	if comma == 0 {
		comma = sniff(text)
	}
	s.Delimiter = map[byte]string{',': "comma", ';': "semicolon", '\t': "tab"}[comma]
	if err := boundColumns(text, comma, skipped); err != nil {
		return s, err
	}
	return s, s.read(text, comma, skipped)
}

func bad(format string, args ...any) error { return fault.Invalid.On("file", format, args...) }

// refuseForeign stops what is no text file, by its first bytes.
func refuseForeign(data []byte) error {
	switch {
	case len(data) > MaxFile:
		return bad("The file is larger than 10 MB. Split it into several.")
	case len(bytes.TrimSpace(data)) == 0:
		return bad("The file is empty. Choose a CSV file whose first line names the columns.")
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		return bad("This is a spreadsheet file (Excel or similar), not CSV. Open it there and save it as “CSV UTF-8 (comma delimited)”, then upload that file.")
	case bytes.HasPrefix(data, []byte("%PDF")), bytes.HasPrefix(data, []byte("{")), bytes.HasPrefix(data, []byte("<")):
		return bad("This is not a CSV file. Its first line should name the columns, like email,given_name,family_name,role.")
	}
	return nil
}

// decode makes UTF-8 of what spreadsheets write.
func (s *Sheet) decode(data []byte) ([]byte, error) {
	s.Encoding = "UTF-8"
	text := data
	var err error
	switch order, marked := utf16Order(data); {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		text = data[3:]
	case marked:
		s.Encoding = "UTF-16"
		if text, err = utf16.UTF16(order, utf16.UseBOM).NewDecoder().Bytes(data); err != nil {
			return nil, bad("The file starts like UTF-16 but cannot be read as it. Save it as “CSV UTF-8”.")
		}
	case utf8.Valid(data):
	default:
		s.Encoding = "Windows-1252"
		s.Notices = append(s.Notices, "The file is not in UTF-8; it was read as Windows-1252 (Western European). Look at names with accents below before you go on. If they are wrong, save the file as “CSV UTF-8”.")
		if text, err = charmap.Windows1252.NewDecoder().Bytes(data); err != nil {
			return nil, bad("The file's characters cannot be read. Save it as “CSV UTF-8”.")
		}
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, bad("The file holds NUL characters, so it is not a CSV text file. Save it as “CSV UTF-8”.")
	}
	if !utf8.Valid(text) {
		return nil, bad("The file calls itself UTF-8 but holds other bytes. Save it again as “CSV UTF-8”.")
	}
	return text, nil
}

// utf16Order tells by its mark, or by where the zero bytes stand, whether a file is UTF-16.
func utf16Order(data []byte) (utf16.Endianness, bool) {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return utf16.LittleEndian, true
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return utf16.BigEndian, true
	}
	var zero [2]int
	head := data[:min(len(data), 1000)]
	for i, b := range head {
		if b == 0 {
			zero[i%2]++
		}
	}
	if zero[1] > len(head)*2/5 {
		return utf16.LittleEndian, true
	}
	return utf16.BigEndian, zero[0] > len(head)*2/5
}

// sniff finds the delimiter of the first line: the one that stands most often
// outside quotes.
func sniff(text []byte) byte {
	var n [3]int
	quoted := false
	for _, b := range text {
		switch {
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '\n' || b == '\r':
			if n != [3]int{} {
				return mostOf(n)
			}
		case b == ',':
			n[0]++
		case b == ';':
			n[1]++
		case b == '\t':
			n[2]++
		}
	}
	return mostOf(n)
}

func mostOf(n [3]int) byte {
	best := 0
	for i := range n {
		if n[i] > n[best] {
			best = i
		}
	}
	return ",;\t"[best]
}

// boundColumns counts before parsing, so that a line of a million delimiters costs
// nothing.
func boundColumns(text []byte, comma byte, line int) error {
	line++
	columns, quoted := 1, false
	for _, b := range text {
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\n':
			line++
			if !quoted {
				columns = 1
			}
		case b == comma && !quoted:
			if columns++; columns > maxColumns {
				return bad("Line %d has more than %d columns. Is this the right file?", line, maxColumns)
			}
		}
	}
	return nil
}

func (s *Sheet) read(text []byte, comma byte, skipped int) error {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = rune(comma), -1, true
	r.TrimLeadingSpace = comma != '\t' // else empty cells between tabs would vanish
	header, err := r.Read()
	if err != nil {
		return unreadable(err, skipped)
	}
	names, err := s.header(header)
	if err != nil {
		return err
	}
	width := len(header)
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unreadable(err, skipped)
		}
		line, _ := r.FieldPos(0)
		row := readRow(record, names, width, line+skipped)
		if len(row.Cells) == 0 && row.Problem == nil {
			continue
		}
		if len(s.Rows) == maxRows {
			return bad("The file has more than %d people. Split it into several.", maxRows)
		}
		s.Rows = append(s.Rows, row)
	}
	if len(s.Rows) == 0 {
		return bad("The file names its columns and then ends. Put one person on each line below.")
	}
	return nil
}

func unreadable(err error, skipped int) error {
	p, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		return bad("The file could not be read. Save it again as “CSV UTF-8”.")
	}
	why := "it is not well-formed"
	switch {
	case errors.Is(p.Err, csv.ErrQuote):
		why = "a quote is never closed, or closed in the middle of a value"
	case errors.Is(p.Err, csv.ErrBareQuote):
		why = "a quote stands in the middle of a value; put the value in quotes and double the inner ones"
	}
	return bad("Line %d cannot be read: %s. Correct that line; nothing was imported.", p.StartLine+skipped, why)
}

// header maps the first line to our columns: one name for each cell, "" where it is not used.
func (s *Sheet) header(cells []string) ([]string, error) {
	names := make([]string, len(cells))
	at := map[string]string{}
	var unused []string
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		name := columnOf(cell)
		if name == "" {
			if cell != "" {
				unused = append(unused, fmt.Sprintf("%.40q", cell))
			}
			continue
		}
		if first, twice := at[name]; twice {
			return nil, bad("The columns %.40q and %.40q both mean %s. Keep one of them.", first, cell, name)
		}
		names[i], at[name] = name, cell
		s.Columns = append(s.Columns, name)
	}
	if at[colEmail] == "" {
		if slices.ContainsFunc(cells, func(c string) bool { return strings.Contains(c, "@") }) {
			return nil, bad("The first line must name the columns, and it looks like a person. Put a line like email,given_name,family_name,role above it.")
		}
		return nil, bad("There is no column for the e-mail address. Name it email. The columns found are: %s.", clip(strings.Join(cells, ", "), 300))
	}
	if len(unused) > 0 {
		s.Notices = append(s.Notices, "These columns are not used: "+clip(strings.Join(unused, ", "), 300)+".")
	}
	return names, nil
}

// columnOf knows a column by its usual names.
func columnOf(cell string) string {
	if i := strings.IndexAny(cell, "[("); i > 0 { // Google's "[Required]"
		cell = cell[:i]
	}
	key := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, cell)
	for name, spellings := range columnNames {
		if slices.Contains(spellings, key) {
			return name
		}
	}
	return ""
}

func readRow(record, names []string, width, line int) Row {
	row := Row{Line: line, Cells: map[string]string{}}
	for i, cell := range record {
		cell = strings.TrimSpace(cell)
		if cell == "" {
			continue
		}
		if i >= width {
			row.Problem = &Problem{Value: clip(cell, 80), Why: fmt.Sprintf("The line has %d values, but the first line names %d columns.", len(record), width),
				Remedy: "Put values that hold the delimiter into quotes."}
			return row
		}
		if names[i] == "" {
			continue
		}
		if len(cell) > maxCell {
			row.Problem = &Problem{Column: names[i], Value: clip(cell, 80), Why: fmt.Sprintf("The value is %d bytes long; at most %d are possible.", len(cell), maxCell),
				Remedy: "Shorten it, or look for a quote that is missing above."}
			return row
		}
		row.Cells[names[i]] = strings.Clone(cell)
	}
	return row
}

// clip cuts at a character's border.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
