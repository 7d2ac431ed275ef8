package importer

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
)

// Problem is why a line is not imported.
type Problem struct {
	Column string   `json:"column"`
	Value  string   `json:"value"`
	Why    web.Said `json:"why"`
	Remedy web.Said `json:"remedy"`
}

// Record is one line with at least one value.
type Record struct {
	Line    int      // where it starts in the file
	Cells   []string // trimmed; as many as the header has, when there is no Problem
	Short   bool     // it had fewer
	Problem *Problem // the line itself cannot be used
}

// Reader reads the lines of a file, one at a time.
type Reader struct {
	csv     *csv.Reader
	guard   *guard
	header  []string
	skipped int // lines above the header
	people  int
}

// NewReader begins with the header. A fault in one line stays with that line; what
// leaves the rest in doubt (a quote that never closes, NUL) ends the file. Faults:
// Invalid on "file", with the line and what to do.
func NewReader(r io.Reader, form Form) (*Reader, error) {
	if err := form.Check(); err != nil {
		return nil, err
	}
	text := bufio.NewReaderSize(decoded(r, form.Encoding), 4096)
	f := &Reader{}
	head, _ := text.Peek(64)
	if _, rest, ok := separatorHint(head); ok {
		text.Discard(len(head) - len(rest))
		f.skipped = 1
	}
	f.guard = &guard{r: text, at: place{comma: sign(form.Delimiter)}, line: 1 + f.skipped, start: 1 + f.skipped}
	f.csv = csv.NewReader(f.guard)
	f.csv.Comma, f.csv.FieldsPerRecord, f.csv.ReuseRecord = rune(f.guard.at.comma), -1, true
	f.csv.TrimLeadingSpace = form.Delimiter != "tab" // else empty cells between tabs would vanish
	header, err := f.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, bad("The file is empty. Choose a CSV file whose first line names the columns.")
	}
	if err != nil {
		return nil, f.unreadable(err)
	}
	for _, cell := range header {
		if !utf8.ValidString(cell) {
			return nil, bad("The names of the columns hold bytes that are not %s. Choose another encoding, or save the file as “CSV UTF-8”.", form.Encoding)
		}
		f.header = append(f.header, strings.TrimSpace(cell))
	}
	return f, nil
}

// Header is the names of the columns as the file has them.
func (f *Reader) Header() []string { return f.header }

// Next is the next line with a value; io.EOF after the last. Cells are good until the
// next call.
func (f *Reader) Next() (Record, error) {
	for {
		cells, err := f.csv.Read()
		if errors.Is(err, io.EOF) {
			if f.people == 0 {
				return Record{}, bad("The file names its columns and then ends. Put one person on each line below.")
			}
			return Record{}, io.EOF
		}
		var record Record
		if err != nil {
			p := f.lineProblem(err)
			if p == nil {
				return Record{}, f.unreadable(err)
			}
			parse, _ := errors.AsType[*csv.ParseError](err)
			record = Record{Line: parse.StartLine + f.skipped, Problem: p}
		} else {
			line, _ := f.csv.FieldPos(0)
			record = f.record(cells, line+f.skipped)
			if record.Problem == nil && strings.Join(record.Cells, "") == "" {
				continue
			}
		}
		if f.people++; f.people > MaxRows {
			return Record{}, bad("The file has more than %d people. Split it into several.", MaxRows)
		}
		return record, nil
	}
}

func (f *Reader) record(cells []string, line int) Record {
	r := Record{Line: line, Cells: cells}
	for i, cell := range cells {
		if cells[i] = strings.TrimSpace(cell); i < len(f.header) || cells[i] == "" {
			continue
		}
		r.Problem = &Problem{Column: fmt.Sprintf("%d", i+1), Value: clip(cells[i], 80), Why: web.Say("The line has %s, but the first line names %s.", web.SayN(len(cells), "%d value", "%d values"), web.SayN(len(f.header), "%d column", "%d columns")),
			Remedy: web.Say("Put values that hold the delimiter into quotes.")}
		return r
	}
	for len(r.Cells) < len(f.header) {
		r.Short, r.Cells = true, append(r.Cells, "")
	}
	r.Cells = r.Cells[:len(f.header)]
	return r
}

// lineProblem is what is wrong with one line, behind which the next one begins.
func (f *Reader) lineProblem(err error) *Problem {
	p, ok := errors.AsType[*csv.ParseError](err)
	g := f.guard
	open := ok && errors.Is(g.err, io.EOF) && g.at.quoted && g.start == p.StartLine+f.skipped // the end of the file came first
	if !ok || open {
		return nil
	}
	column := fmt.Sprintf("character %d", p.Column)
	switch {
	case errors.Is(p.Err, csv.ErrBareQuote):
		return &Problem{Column: column, Value: "\"", Why: web.Say("A quote stands in the middle of a value that does not begin with one."), Remedy: web.Say("Put the whole value in quotes and double the inner ones.")}
	case errors.Is(p.Err, csv.ErrQuote):
		return &Problem{Column: column, Value: "\"", Why: web.Say("A quoted value goes on after its closing quote."), Remedy: web.Say("Double the quotes inside the value.")}
	}
	return nil
}

func (f *Reader) unreadable(err error) error {
	if fault.Is(err, fault.Invalid) {
		return err
	}
	if p, ok := errors.AsType[*csv.ParseError](err); ok {
		return bad("Line %d cannot be read: a quote is never closed. Correct that line; nothing was imported.", p.StartLine+f.skipped)
	}
	return fmt.Errorf("read the file: %w", err)
}

// guard hands text to the CSV reader, with every kind of line end as \n, and stops what
// would make it hold too much: a quote that never closes, a line of a million commas.
type guard struct {
	r     io.Reader
	at    place
	line  int // where we are
	start int // where this record began
	cr    bool
	err   error
	raw   [4096]byte
}

// Read is the io.Reader.
func (g *guard) Read(p []byte) (int, error) {
	for g.err == nil {
		n, err := g.r.Read(g.raw[:min(len(p), len(g.raw))])
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("read the text: %w", err)
		}
		out := 0
		for _, b := range g.raw[:n] {
			switch {
			case b == '\n' && g.cr:
				g.cr = false
				continue
			case b == '\r':
				g.cr, b = true, '\n'
			default:
				g.cr = false
			}
			if g.err = g.take(b); g.err != nil {
				return 0, g.err
			}
			p[out] = b
			out++
		}
		g.err = err
		if out > 0 {
			return out, nil
		}
	}
	return 0, g.err
}

func (g *guard) take(b byte) error {
	if b == 0 {
		return bad("Line %d holds a NUL character, so this is not a CSV text file, or is in another encoding. Save it as “CSV UTF-8”.", g.line)
	}
	ended := g.at.step(b)
	if b == '\n' {
		g.line++
	}
	switch {
	case ended:
		g.start = g.line
	case g.at.columns >= maxColumns:
		return bad("Line %d has more than %d columns. Is this the right file, and the right delimiter?", g.start, maxColumns)
	case g.at.size > maxRecord && g.at.quoted:
		return bad("A quote in line %d is not closed within %d kB. Close it, or double it where it belongs to the value; nothing was imported.", g.start, maxRecord>>10)
	case g.at.size > maxRecord:
		return bad("Line %d is longer than %d kB. Is this the right file?", g.start, maxRecord>>10)
	}
	return nil
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
