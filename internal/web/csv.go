package web

import (
	"encoding/csv"
	"io"
	"mime"
	"net/http"
	"strings"
)

// CSV is a file that a browser downloads row by row, made for spreadsheets: UTF-8 with
// a mark that says so, and no cell that a spreadsheet would run as a formula.
type CSV struct{ w *csv.Writer }

// StartCSV answers with a file of this name. Nothing may be refused after it.
func StartCSV(w http.ResponseWriter, name string, header ...string) (*CSV, error) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	w.Header().Set("Cache-Control", "no-store")
	return WriteCSV(w, header...)
}

// WriteCSV is StartCSV for a file that goes elsewhere.
func WriteCSV(w io.Writer, header ...string) (*CSV, error) {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return nil, err
	}
	c := &CSV{csv.NewWriter(w)}
	return c, c.Row(header...)
}

// Row writes one line.
func (c *CSV) Row(cells ...string) error {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = SafeCell(cell)
	}
	return c.w.Write(safe)
}

// End writes what is left.
func (c *CSV) End() error {
	c.w.Flush()
	return c.w.Error()
}

// SafeCell puts an apostrophe before a text that a spreadsheet would take for a formula.
func SafeCell(cell string) string {
	if first := strings.TrimLeft(cell, " \u00a0"); first != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠|%", []rune(first)[0]) {
		return "'" + cell
	}
	return cell
}
