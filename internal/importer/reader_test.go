package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	utf16 "golang.org/x/text/encoding/unicode"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// sheet is a whole file.
type sheet struct {
	form    Form
	columns []string
	rows    []Record
}

func readAll(r io.ReadSeeker) (s sheet, err error) {
	if s.form, err = Recognize(r); err != nil {
		return s, err
	}
	r.Seek(0, io.SeekStart)
	f, err := NewReader(r, s.form)
	if err != nil {
		return s, err
	}
	s.columns = guessed(f.Header(), Fields(&store.Definitions{}))
	for {
		row, err := f.Next()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		row.Cells = append([]string{}, row.Cells...)
		s.rows = append(s.rows, row)
	}
}

func (s sheet) cell(row int, field string) string {
	for i, name := range s.columns {
		if name == field {
			return s.rows[row].Cells[i]
		}
	}
	return ""
}

func TestFilesThatPeopleHave(t *testing.T) {
	t.Parallel()
	const accents = "email;First Name;surname\r\nj@example.com;Jürgen;Müller\r\n"
	latin, _ := charmap.Windows1252.NewEncoder().Bytes([]byte(accents))
	le, _ := utf16.UTF16(utf16.LittleEndian, utf16.UseBOM).NewEncoder().Bytes([]byte(accents))
	be, _ := utf16.UTF16(utf16.BigEndian, utf16.UseBOM).NewEncoder().Bytes([]byte(accents))
	bare, _ := utf16.UTF16(utf16.LittleEndian, utf16.IgnoreBOM).NewEncoder().Bytes([]byte(accents))
	long := accents + strings.Repeat("k@example.com;Käthe;Kruse\r\n", 5000)
	for name, c := range map[string]struct {
		data                []byte
		encoding, delimiter string
	}{
		"UTF-8":                     {[]byte(accents), "UTF-8", "semicolon"},
		"UTF-8 with its mark":       {[]byte("\ufeff" + accents), "UTF-8", "semicolon"},
		"Windows-1252":              {latin, "Windows-1252", "semicolon"},
		"UTF-16 little endian":      {le, "UTF-16", "semicolon"},
		"UTF-16 big endian":         {be, "UTF-16", "semicolon"},
		"UTF-16 without a mark":     {bare, "UTF-16", "semicolon"},
		"Excel's hint":              {[]byte("sep=;\r\n" + accents), "UTF-8", "semicolon"},
		"Excel's hint for a pipe":   {[]byte("sep=|\nemail|first|last\nj@example.com|Jürgen|Müller\n"), "UTF-8", "pipe"},
		"pipes":                     {[]byte("email|first|last\nj@example.com|Jürgen|Müller\n"), "UTF-8", "pipe"},
		"commas, quotes":            {[]byte("\"E-Mail\", givenName, \"Cost, total\", familyName\n\"j@example.com\", Jürgen, x, Müller\n"), "UTF-8", "comma"},
		"commas in values":          {[]byte("email;first;last;note\nj@example.com;Jürgen;Müller;a,b,c,d,e,f\n"), "UTF-8", "semicolon"},
		"tabs, empty cells":         {[]byte("title\tmail\tfirst\tlast\n\tj@example.com\tJürgen\tMüller\n"), "UTF-8", "tab"},
		"old Mac lines":             {[]byte("email,first,last\rj@example.com,Jürgen,Müller\r"), "UTF-8", "comma"},
		"many, with UTF-8 all over": {[]byte(long), "UTF-8", "semicolon"},
		"one byte late in the file": {[]byte(strings.ReplaceAll(long, "ü", "ue") + "l@example.com;L\xfc;M\r\n"), "Windows-1252", "semicolon"},
	} {
		s, err := readAll(bytes.NewReader(c.data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.form != (Form{c.encoding, c.delimiter}) || len(s.rows) == 0 {
			t.Errorf("%s: read as %v, %d rows", name, s.form, len(s.rows))
			continue
		}
		first := strings.ReplaceAll(s.cell(0, fieldGivenName), "ue", "ü")
		if s.cell(0, fieldEmail) != "j@example.com" || first != "Jürgen" || strings.ReplaceAll(s.cell(0, fieldFamilyName), "ue", "ü") != "Müller" {
			t.Errorf("%s: %v %v", name, s.columns, s.rows[0].Cells)
		}
	}
}

func TestColumnsOfOtherSystems(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"First Name [Required],Last Name [Required],Email Address [Required],Org Unit Path":                  "given_name family_name email ",
		"login,firstName,lastName,displayName,email,title,department,managerId,primaryPhone":                 "user_name given_name family_name display_name email title department manager phone",
		"userPrincipalName,displayName,surname,mail,givenName,jobTitle,telephoneNumber,usageLocation":        "user_name display_name family_name email given_name title phone ",
		"EMAIL,Reports To,Employee ID,Groups,Role":                                                           "email manager employee_number teams role",
		"Employee #,First Name,Last Name,Work Email,Job Title,Department,Division,Reporting to,Mobile Phone": "employee_number given_name family_name email title department division manager phone",
		"Personalnummer;Vorname;Nachname;E-Mail;Position;Abteilung;Vorgesetzter;Kostenstelle;PLZ;Ort;Straße": "employee_number given_name family_name email title department manager cost_center postal_code city street",
		"email,mail,E-Mail-Adresse": "email  ",
	} {
		comma := ","
		if strings.Contains(header, ";") {
			comma = ";"
		}
		s, err := readAll(strings.NewReader(header + "\n" + strings.Repeat("a"+comma, strings.Count(header, comma)) + "z\n"))
		if got := strings.Join(s.columns, " "); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", header, got, err, want)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, says string }{
		"empty":              {" \r\n", "empty"},
		"nothing but a mark": {"\ufeff", "empty"},
		"XLSX":               {"PK\x03\x04rest", "CSV UTF-8"},
		"XLS":                {"\xD0\xCF\x11\xE0rest", "CSV UTF-8"},
		"PDF":                {"%PDF-1.7", "not a CSV"},
		"gzip":               {"\x1f\x8b\x08rest", "not a CSV"},
		"JSON":               {`{"email": 1}`, "not a CSV"},
		"a list in JSON":     {"\ufeff[{\"email\": 1}]", "not a CSV"},
		"a page":             {"\r\n\r\n <table><tr><td>email</td></tr><tr><td>a@b.example</td></tr></table>", "not a CSV"},
		"too large":          {strings.Repeat("a", MaxFile+1), "32 MB"},
		"header alone":       {"email\n\n", "then ends"},
		"a quote left open":  {"email\nx@b.example\n\"a@b.example\nc@d.example\n", "Line 3"},
		"open for long":      {"email\nx@b.example\n\"a@b.example\n" + strings.Repeat("c@d.example\n", 50_000), "line 3 is not closed"},
		"NUL":                {"email\na\x00@b.example\n", "Line 2 holds a NUL"},
		"too many columns":   {"email\na" + strings.Repeat(",", 5_000_000), "Line 2 has more than 200"},
		"one endless line":   {"email\n" + strings.Repeat("a", 5_000_000), "Line 2 is longer than 256 kB"},
		"too many people":    {"email\n" + strings.Repeat("a@b.example\n", MaxRows+1), "100000"},
	} {
		_, err := readAll(strings.NewReader(c.data))
		if !fault.Is(err, fault.Invalid) || fault.Field(err) != "file" || !strings.Contains(fault.Public(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Recognize(iotest.ErrReader(io.ErrClosedPipe)); err == nil || fault.Is(err, fault.Invalid) {
		t.Errorf("a file that breaks off: %v", err)
	}
}

func TestBadLinesStayAlone(t *testing.T) {
	t.Parallel()
	s, err := readAll(strings.NewReader("sep=,\nemail,first\n\"a@b.example\",\"two\nlines\"\nb@b.example,B,extra\nc@b.example," + strings.Repeat("x", 10_000) +
		"\n,\nd@b.example\ne@b.example,5\" pipe\nf@b.example,\"a\"b\ng@b.example,G,,\nh@b.example,\"\"\"H\"\"\"\n\xff@b.example,I\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range s.rows {
		mark := "good"
		if r.Problem != nil {
			mark = r.Problem.Column
			if r.Problem.Value == "" || r.Problem.Why.IsZero() || r.Problem.Remedy.IsZero() {
				t.Errorf("line %d does not explain itself: %+v", r.Line, r.Problem)
			}
		} else if r.Short {
			mark = "short"
		}
		got = append(got, fmt.Sprintf("%d:%s", r.Line, mark))
	}
	if want := "3:good 5:3 6:good 8:short 9:character 14 10:character 15 11:good 12:good 13:good"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestAFormMustBeKnown(t *testing.T) {
	t.Parallel()
	for form, field := range map[Form]string{{"EBCDIC", "comma"}: "encoding", {"UTF-8", "colon"}: "delimiter", {}: "encoding"} {
		if _, err := NewReader(strings.NewReader("a"), form); !fault.Is(err, fault.Invalid) || fault.Field(err) != field {
			t.Errorf("%v: %v", form, err)
		}
	}
	f, err := NewReader(strings.NewReader("M\xfcller;x\n"), Form{"UTF-8", "semicolon"})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("the wrong encoding: %v, %v", f, err)
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"email,first\na@b.example,A\n", "\ufeffemail;role\n\"a\"\"b@c.example\";admin\n", "sep=\t\nemail\tx\n", "PK\x03\x04", "\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00a\x00\n\x00",
		"email,teams\na@b.example,\"x|y\nz\"", "a\x00b", "email\r\r\ra@b", "\"", "sep=", "e\x80mail,email\n\x81,\x8d\n", "a|b\n\"x\"y|z\n\"", "a,b\n1\"2,3\n4,5\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readAll(bytes.NewReader(data))
		if err != nil {
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != "file" {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if len(s.rows) == 0 {
			t.Error("no rows and no word about it")
		}
		last := 0
		for _, r := range s.rows {
			if r.Line <= last {
				t.Errorf("line %d after %d", r.Line, last)
			}
			last = r.Line
			if r.Problem == nil && len(r.Cells) != len(s.columns) {
				t.Errorf("line %d has %d cells for %d columns", r.Line, len(r.Cells), len(s.columns))
			}
			if p := r.Problem; p != nil && !utf8.ValidString(p.Why.String()) {
				t.Errorf("line %d: %q", r.Line, p.Why)
			}
		}
	})
}
