package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	utf16 "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/muster-id/muster/internal/fault"
)

// Limits of a file. They hold while it is read, before anything grows.
const (
	MaxFile    = 32 << 20
	MaxRows    = 100_000
	maxColumns = 200
	maxRecord  = 256 << 10 // one person's line
	headSize   = 64 << 10  // what the form is recognized by
)

// Form is how a file is written.
type Form struct {
	Encoding  string `json:"encoding"`  // one of Encodings
	Delimiter string `json:"delimiter"` // one of Delimiters
}

// The forms that are understood. UTF-16 is read in either byte order.
var (
	Encodings  = []string{"UTF-8", "UTF-16", "Windows-1252"}
	Delimiters = []string{"comma", "semicolon", "tab", "pipe"}
)

const delimiterSigns = ",;\t|"

func sign(delimiter string) byte { return delimiterSigns[slices.Index(Delimiters, delimiter)] }

// Check refuses forms that are not understood. Faults: Invalid on "encoding", "delimiter".
func (f Form) Check() error {
	if !slices.Contains(Encodings, f.Encoding) {
		return fault.Invalid.On("encoding", "There is no encoding %.40q here. Choose one of %s.", f.Encoding, strings.Join(Encodings, ", "))
	}
	if !slices.Contains(Delimiters, f.Delimiter) {
		return fault.Invalid.On("delimiter", "There is no delimiter %.40q here. Choose one of %s.", f.Delimiter, strings.Join(Delimiters, ", "))
	}
	return nil
}

func bad(format string, args ...any) error { return fault.Invalid.On("file", format, args...) }

// Recognize finds out how a file is written. It reads all of it, as one byte at the end
// can tell that it is not UTF-8. Faults: Invalid on "file" for what is no CSV file.
func Recognize(r io.Reader) (Form, error) {
	form := Form{Encoding: "UTF-8", Delimiter: "comma"}
	head, size, valid, err := scan(r)
	if err != nil {
		return form, err
	}
	if err := refuseForeign(head, size); err != nil {
		return form, err
	}
	_, wide := utf16Order(head)
	switch {
	case wide:
		form.Encoding = "UTF-16"
	case bytes.HasPrefix(head, bom) || valid: // a file that calls itself UTF-8 is told about lines that are not
	default:
		form.Encoding = "Windows-1252"
	}
	text, err := io.ReadAll(io.LimitReader(decoded(bytes.NewReader(head), form.Encoding), 2*headSize))
	if err != nil {
		return form, bad("The file's characters cannot be read. Save it as “CSV UTF-8”.")
	}
	if hint, rest, ok := separatorHint(text); ok {
		if i := strings.IndexByte(delimiterSigns, hint); i >= 0 {
			form.Delimiter = Delimiters[i]
			return form, nil
		}
		text = rest
	}
	form.Delimiter = sniff(text)
	return form, nil
}

var bom = []byte{0xEF, 0xBB, 0xBF}

// scan reads to the end and keeps the head.
func scan(r io.Reader) (head []byte, size int64, valid bool, err error) {
	buf := make([]byte, 32<<10)
	kept, valid := 0, true
	for {
		n, err := io.ReadFull(r, buf[kept:])
		data := buf[:kept+n]
		if room := headSize - len(head); room > 0 {
			head = append(head, data[kept:kept+min(room, n)]...)
		}
		if size += int64(n); size > MaxFile {
			return head, size, valid, bad("The file is larger than %d MB. Split it into several.", MaxFile>>20)
		}
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return head, size, valid, fmt.Errorf("read the file: %w", err)
		}
		whole := len(data)
		if !last { // a character may go on in the next piece
			for back := 1; back < utf8.UTFMax && back < len(data); back++ {
				if utf8.RuneStart(data[len(data)-back]) {
					if !utf8.FullRune(data[len(data)-back:]) {
						whole -= back
					}
					break
				}
			}
		}
		valid = valid && utf8.Valid(data[:whole])
		if last {
			return head, size, valid, nil
		}
		kept = copy(buf, data[whole:])
	}
}

// refuseForeign stops what is no text file, by its first bytes, and pages and data of programs
// that were given a name like people.csv.
func refuseForeign(head []byte, size int64) error {
	text := bytes.TrimSpace(bytes.TrimPrefix(head, bom))
	begins := func(with string) bool { return bytes.HasPrefix(text, []byte(with)) }
	switch {
	case size <= int64(len(head)) && len(text) == 0:
		return bad("The file is empty. Choose a CSV file whose first line names the columns.")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		return bad("This is a spreadsheet file (Excel or similar), not CSV. Open it there and save it as “CSV UTF-8 (comma delimited)”, then upload that file.")
	case begins("%PDF"), begins("{"), begins("[{"), begins("<"), bytes.HasPrefix(head, []byte{0x1F, 0x8B}):
		return bad("This is not a CSV file. Its first line should name the columns, like email,given_name,family_name,role.")
	}
	return nil
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

// decoded is a file as UTF-8, without its mark.
func decoded(r io.Reader, encoding string) io.Reader {
	b := bufio.NewReaderSize(r, 4096)
	switch encoding {
	case "UTF-16":
		head, _ := b.Peek(1000)
		order, _ := utf16Order(head)
		return transform.NewReader(b, utf16.UTF16(order, utf16.UseBOM).NewDecoder())
	case "Windows-1252":
		return transform.NewReader(b, charmap.Windows1252.NewDecoder())
	}
	if head, _ := b.Peek(3); bytes.Equal(head, bom) {
		b.Discard(3)
	}
	return b
}

// separatorHint is Excel's own first line, sep=;.
func separatorHint(text []byte) (hint byte, rest []byte, ok bool) {
	if len(text) < 5 || !strings.EqualFold(string(text[:4]), "sep=") {
		return 0, text, false
	}
	end := bytes.IndexAny(text, "\r\n")
	if end < 0 || end > 8 {
		return 0, text, false
	}
	rest = bytes.TrimPrefix(text[end:], []byte("\r"))
	return text[4], bytes.TrimPrefix(rest, []byte("\n")), true
}

// sniff finds the delimiter: the one that cuts the first lines into the most columns,
// and each of them into as many.
func sniff(text []byte) string {
	best, most := Delimiters[0], 0
	for i := range delimiterSigns {
		counts := columnCounts(text, delimiterSigns[i], 20)
		if len(counts) == 0 || counts[0] < 2 {
			continue
		}
		alike := 0
		for _, n := range counts {
			if n == counts[0] {
				alike++
			}
		}
		if score := (counts[0] - 1) * alike; score > most {
			best, most = Delimiters[i], score
		}
	}
	return best
}

func columnCounts(text []byte, comma byte, lines int) (counts []int) {
	at := place{comma: comma}
	for _, b := range text {
		before := at.columns
		if at.step(b) {
			if counts = append(counts, before+1); len(counts) == lines {
				return counts
			}
		}
	}
	if at.size > 0 {
		counts = append(counts, at.columns+1)
	}
	return counts
}

// place is where in a file one is, as far as quotes, columns and lines go.
type place struct {
	comma   byte
	quoted  bool // inside quotes
	closed  bool // the byte before ended them
	mid     bool // inside a value
	columns int  // delimiters of this record so far
	size    int  // bytes of this record so far
}

// step goes on by one byte and tells whether it ended a record.
func (p *place) step(b byte) (ended bool) {
	p.size++
	closed := p.closed
	p.closed = false
	switch {
	case p.quoted:
		p.quoted, p.closed = b != '"', b == '"'
	case b == '"' && (closed || !p.mid): // a doubled one, or the first of a value
		p.quoted, p.mid = true, true
	case b == p.comma:
		p.columns++
		p.mid = false
	case b == '\n':
		*p = place{comma: p.comma}
		return true
	case b != ' ':
		p.mid = true
	}
	return false
}
