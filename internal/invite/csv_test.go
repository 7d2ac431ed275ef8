package invite_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	utf16 "golang.org/x/text/encoding/unicode"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
)

func TestFilesThatPeopleHave(t *testing.T) {
	t.Parallel()
	const accents = "email;First Name;surname\r\nj@example.com;Jürgen;Müller\r\n"
	latin, _ := charmap.Windows1252.NewEncoder().Bytes([]byte(accents))
	le, _ := utf16.UTF16(utf16.LittleEndian, utf16.UseBOM).NewEncoder().Bytes([]byte(accents))
	be, _ := utf16.UTF16(utf16.BigEndian, utf16.UseBOM).NewEncoder().Bytes([]byte(accents))
	bare, _ := utf16.UTF16(utf16.LittleEndian, utf16.IgnoreBOM).NewEncoder().Bytes([]byte(accents))
	for name, c := range map[string]struct {
		data                []byte
		encoding, delimiter string
		notices             int
	}{
		"UTF-8":                 {[]byte(accents), "UTF-8", "semicolon", 0},
		"UTF-8 with its mark":   {[]byte("\ufeff" + accents), "UTF-8", "semicolon", 0},
		"Windows-1252":          {latin, "Windows-1252", "semicolon", 1},
		"UTF-16 little endian":  {le, "UTF-16", "semicolon", 0},
		"UTF-16 big endian":     {be, "UTF-16", "semicolon", 0},
		"UTF-16 without a mark": {bare, "UTF-16", "semicolon", 0},
		"Excel's hint":          {[]byte("sep=;\r\n" + accents), "UTF-8", "semicolon", 0},
		"commas, quotes":        {[]byte("\"E-Mail\", givenName, \"Cost, total\", familyName\n\"j@example.com\", Jürgen, x, Müller\n"), "UTF-8", "comma", 1},
		"tabs, empty cells":     {[]byte("title\tmail\tfirst\tlast\n\tj@example.com\tJürgen\tMüller\n"), "UTF-8", "tab", 0},
		"old Mac lines":         {[]byte("email,first,last\rj@example.com,Jürgen,Müller\r"), "UTF-8", "comma", 0},
	} {
		s, err := invite.ReadCSV(c.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Encoding != c.encoding || s.Delimiter != c.delimiter || len(s.Notices) != c.notices || len(s.Rows) != 1 {
			t.Errorf("%s: read as %s, %s, %v, %d rows", name, s.Encoding, s.Delimiter, s.Notices, len(s.Rows))
			continue
		}
		if cells := s.Rows[0].Cells; cells["email"] != "j@example.com" || cells["given_name"] != "Jürgen" || cells["family_name"] != "Müller" {
			t.Errorf("%s: %v", name, cells)
		}
	}
}

func TestColumnsOfOtherSystems(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"First Name [Required],Last Name [Required],Email Address [Required],Org Unit Path":  "given_name family_name email",
		"login,firstName,lastName,displayName,email,title,department,managerId,primaryPhone": "user_name given_name family_name display_name email title department manager phone",
		"userPrincipalName,displayName,surname,mail,givenName,jobTitle,telephoneNumber":      "user_name display_name family_name email given_name title phone",
		"EMAIL,Reports To,Employee ID,Groups,Role":                                           "email manager employee_number teams role",
	} {
		s, err := invite.ReadCSV([]byte(header + "\na,b,c,d@e.example,e,f,g\n"))
		if err != nil || strings.Join(s.Columns, " ") != want {
			t.Errorf("%s: %v, %v", header, s.Columns, err)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, says string }{
		"empty":              {" \r\n", "empty"},
		"XLSX":               {"PK\x03\x04rest", "CSV UTF-8"},
		"XLS":                {"\xD0\xCF\x11\xE0rest", "CSV UTF-8"},
		"PDF":                {"%PDF-1.7", "not a CSV"},
		"JSON":               {`{"email": 1}`, "not a CSV"},
		"too large":          {strings.Repeat("a", invite.MaxFile+1), "10 MB"},
		"no address column":  {"first,last\nAda,Lovelace\n", "no column for the e-mail address"},
		"no header":          {"ada@example.com,Ada\n", "must name the columns"},
		"header alone":       {"email\n\n", "then ends"},
		"two for one":        {"email,mail\na@b.example,c@d.example\n", "both mean email"},
		"a quote left open":  {"email\n\"a@b.example\nc@d.example\n", "Line 2"},
		"a quote inside":     {"email,first\na@b.example,A\"d\"a\n", "Line 2"},
		"NUL":                {"email\na\x00@b.example\n", "NUL"},
		"too many columns":   {"email\na" + strings.Repeat(",", 5_000_000), "Line 2 has more than 200"},
		"too many people":    {"email\n" + strings.Repeat("a@b.example\n", 50_001), "50000"},
		"marked but no UTF8": {"\xEF\xBB\xBFemail\n\xff\n", "UTF-8"},
	} {
		_, err := invite.ReadCSV([]byte(c.data))
		if !fault.Is(err, fault.Invalid) || fault.Field(err) != "file" || !strings.Contains(fault.Public(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadLinesStayAlone(t *testing.T) {
	t.Parallel()
	s, err := invite.ReadCSV([]byte("sep=,\nemail,first\n\"a@b.example\",\"two\nlines\"\nb@b.example,B,extra\nc@b.example," + strings.Repeat("x", 1001) + "\n,\nd@b.example\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range s.Rows {
		got = append(got, fmt.Sprintf("%d:%s:%v", r.Line, r.Cells["email"], r.Problem != nil))
	}
	if want := "3:a@b.example:false 5:b@b.example:true 6:c@b.example:true 8:d@b.example:false"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"email,first\na@b.example,A\n", "\ufeffemail;role\n\"a\"\"b@c.example\";admin\n", "sep=\t\nemail\tx\n", "PK\x03\x04", "\xff\xfee\x00m\x00a\x00i\x00l\x00\n\x00a\x00\n\x00",
		"email,teams\na@b.example,\"x|y\nz\"", "a\x00b", "email\r\r\ra@b", "\"", "sep=", "e\x80mail,email\n\x81,\x8d\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		s, err := invite.ReadCSV(data)
		if !bytes.Equal(before, data) {
			t.Error("the input was changed")
		}
		if err != nil {
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != "file" {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if len(s.Rows) == 0 || len(s.Columns) > 20 {
			t.Errorf("%d rows, columns %v", len(s.Rows), s.Columns)
		}
		last := 0
		for _, r := range s.Rows {
			if r.Line <= last {
				t.Errorf("line %d after %d", r.Line, last)
			}
			last = r.Line
			for column, value := range r.Cells {
				if len(value) > 1000 || !utf8.ValidString(value) || strings.TrimSpace(value) == "" {
					t.Errorf("line %d, %s: %q", r.Line, column, value)
				}
			}
		}
	})
}
