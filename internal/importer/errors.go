package importer

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// ErrorsFile writes the lines that were not, or would not be, imported: the file's own
// header and lines, and a column error. Corrected, it can be uploaded as it is.
func (d *Door) ErrorsFile(ctx context.Context, actor access.Actor, run Run, w io.Writer) error {
	refused, err := d.RefusedByJob(ctx, actor, run.ID)
	if err != nil {
		return err
	}
	lines, err := NewReader(d.file(ctx, actor, run.ID), run.Settings.Form)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\ufeff"); err != nil { // else Excel reads another encoding
		return err
	}
	out := csv.NewWriter(w)
	out.Comma = rune(sign(run.Settings.Delimiter))
	if err := out.Write(append(quiet(lines.Header()), "error")); err != nil {
		return err
	}
	after, rows := 0, []Row(nil)
	for n := 1; ; n++ {
		rec, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			if rows, err = d.Rows(ctx, actor, run.ID, RowQuery{After: after, Limit: piece}); err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			after = rows[len(rows)-1].N
		}
		row := rows[0]
		rows = rows[1:]
		why := refused[row.User]
		if row.Problem != nil {
			why = fmt.Sprintf("line %d, %s: %s %s", row.Line, row.Problem.Column, row.Problem.Why.String(), row.Problem.Remedy.String())
		}
		if why == "" || row.N != n {
			continue
		}
		cells := quiet(rec.Cells)
		for len(cells) < len(lines.Header()) {
			cells = append(cells, "")
		}
		at := len(lines.Header())
		if err := out.Write(append(append(append([]string{}, cells[:at]...), why), cells[at:]...)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// quiet are cells that no spreadsheet runs. A guard that was there stays the only one.
func quiet(cells []string) []string {
	out := make([]string, len(cells), len(cells)+2)
	for i, c := range cells {
		if out[i] = strings.ToValidUTF8(c, "�"); c != "" && c[0] != '\'' {
			out[i] = guarded(out[i])
		}
	}
	return out
}

// RefusedByJob is why rows that looked good were not imported after all, by their people.
func (d *Door) RefusedByJob(ctx context.Context, actor access.Actor, id ID) (map[store.UserID]string, error) {
	why := map[store.UserID]string{}
	run, err := d.Get(ctx, actor, id)
	if err != nil || run.Job == "" {
		return why, err
	}
	for _, state := range []jobs.ResultState{jobs.SkippedItem, jobs.FailedItem} {
		for q := (jobs.ResultQuery{State: state, Limit: piece}); ; {
			var list []jobs.Found
			err := d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
				list, err = d.opt.Jobs.Results(tx, run.Job, q)
				return err
			})
			if err != nil {
				return nil, err
			}
			for _, f := range list {
				why[store.UserID(f.Target)], q.After = f.Why.In(fmt.Sprintf), f.N
			}
			if len(list) < piece {
				break
			}
		}
	}
	return why, nil
}

func (d *Door) downloadErrors(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="errors.csv"`)
	return d.ErrorsFile(r.Context(), web.Actor(r), run, w)
}
