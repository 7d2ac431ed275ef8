package importer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

const (
	pieceSize  = 256 << 10
	runsKept   = 5  // files of an organization that wait for somebody
	sampleRows = 5  // lines that are shown beside the columns
	remembered = 20 // imports whose columns are looked at
)

// Upload takes a file in, piece by piece, and recognizes how it is written. What its
// columns are is guessed by their names, and by what was chosen for a column of that
// name before. Faults: Denied, Invalid on "file".
func (d *Door) Upload(ctx context.Context, actor access.Actor, name string, r io.Reader) (Run, error) {
	return d.upload(ctx, actor, Run{Name: name}, r)
}

func (d *Door) upload(ctx context.Context, actor access.Actor, run Run, r io.Reader) (Run, error) {
	run.ID, run.State, run.By = store.NewID[Run](), Uploading, actor.Name
	run.Name = readable(run.Name)
	err := d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := mayImport(tx, run.Settings); err != nil {
			return err
		}
		if run.Feed == "" {
			waiting, err := waitingRuns(tx)
			if err != nil {
				return err
			}
			for _, old := range waiting[min(len(waiting), runsKept-1):] {
				if err := forgetRun(tx, old); err != nil {
					return err
				}
			}
		}
		run.CreatedAt = tx.Now()
		return insertRun(tx, run)
	})
	if err != nil {
		return run, err
	}
	id := run.ID
	if err = d.take(ctx, actor, id, r); err == nil {
		run, err = d.Reread(ctx, actor, id, Form{})
	}
	if err != nil {
		return run, errors.Join(err, d.Forget(context.WithoutCancel(ctx), actor, id))
	}
	return run, nil
}

// readable is the name of a file without what cannot be shown or stored.
func readable(name string) string {
	return strings.Map(func(c rune) rune {
		if unclean(string(c)) != nil {
			return -1
		}
		return c
	}, clip(strings.ToValidUTF8(name, "�"), 100))
}

// take stores a file in pieces, each in a transaction of its own.
func (d *Door) take(ctx context.Context, actor access.Actor, id ID, r io.Reader) error {
	buf := make([]byte, pieceSize)
	lines := 0
	for n, size := 0, 0; ; n++ {
		got, err := io.ReadFull(r, buf)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return fmt.Errorf("take the file in: %w", tooLarge(err))
		}
		lines += max(bytes.Count(buf[:got], []byte{'\n'}), bytes.Count(buf[:got], []byte{'\r'}))
		if size += got; size > MaxFile {
			return tooLarge(&http.MaxBytesError{Limit: MaxFile})
		}
		if n == 0 {
			if err := refuseForeign(buf[:got], int64(got)); err != nil {
				return err
			}
		}
		if got > 0 {
			if err := d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error { return insertPiece(tx, id, n, buf[:got]) }); err != nil {
				return err
			}
		}
		if last {
			return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error { return setTotal(tx, id, lines) })
		}
	}
}

// tooLarge says so when a body was cut off; other errors stay.
func tooLarge(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); !ok {
		return err
	}
	return fault.Invalid.WrapOn(err, "file", "The file is larger than %d MB. Split it into several.", MaxFile>>20)
}

// Reread begins with a file anew, written as form says; the parts that are empty are
// recognized. Faults: NotFound, Conflict (it was started), Invalid on "file",
// "encoding", "delimiter".
func (d *Door) Reread(ctx context.Context, actor access.Actor, id ID, form Form) (Run, error) {
	var run Run
	known, err := Recognize(d.file(ctx, actor, id))
	if err != nil {
		return run, err
	}
	f := found{Notices: []web.Said{}, Sample: [][]string{}}
	if form.Encoding == "" {
		if form.Encoding = known.Encoding; known.Encoding == "Windows-1252" {
			f.Notices = append(f.Notices, web.Say("The file is not in UTF-8; it was read as Windows-1252 (Western European). Look at names with accents below before you go on. If they are wrong, choose another encoding, or save the file as “CSV UTF-8”."))
		}
	}
	if form.Delimiter == "" {
		form.Delimiter = known.Delimiter
	}
	if err := f.read(d.file(ctx, actor, id), form); err != nil {
		return run, err
	}
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if run, err = findRun(tx, id); err != nil {
			return err
		}
		if run.State == Started {
			return fault.Conflict.Say("The import of this file was started already. Upload it again to read it in another way: lines that are done stay as they are.")
		}
		set, err := d.guess(tx, f.Header)
		if err != nil {
			return err
		}
		set.Form = form
		if err := recognized(tx, id, set, f); err != nil {
			return err
		}
		run, err = findRun(tx, id)
		return err
	})
	return run, err
}

// read takes the header and the first lines, and refuses a file without any.
func (f *found) read(r io.Reader, form Form) error {
	lines, err := NewReader(r, form)
	if err != nil {
		return err
	}
	f.Header = lines.Header()
	for len(f.Sample) < sampleRows {
		rec, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if rec.Problem != nil {
			continue
		}
		cells := make([]string, len(rec.Cells))
		for i, c := range rec.Cells {
			cells[i] = clip(strings.ToValidUTF8(c, "�"), 60)
		}
		f.Sample = append(f.Sample, cells)
	}
	for i, name := range f.Header {
		if j := slices.Index(f.Header, name); j < i && name != "" {
			f.Notices = append(f.Notices, web.Say("There are two columns named %.60q; the first of them is used unless you choose otherwise.", name))
		}
	}
	return nil
}

// guess says what the columns are: as somebody chose last for columns of these names,
// else by what their names mean.
func (d *Door) guess(tx *store.Tx, header []string) (Settings, error) {
	set := Settings{New: NewInvite, Missing: MissingKeep, MaxGone: defaultMaxGone}
	defs, err := tx.Definitions()
	if err != nil {
		return set, err
	}
	fields := Fields(defs)
	set.Columns = guessed(header, fields)
	runs, err := listRuns(tx, remembered)
	if err != nil {
		return set, err
	}
	for _, run := range runs {
		if run.State != Started || !slices.Equal(run.Header, header) {
			continue
		}
		known := func(name string) bool {
			return name == "" || slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name })
		}
		if len(run.Settings.Columns) == len(header) && !slices.ContainsFunc(run.Settings.Columns, func(n string) bool { return !known(n) }) {
			set.Columns, set.Key, set.New = run.Settings.Columns, run.Settings.Key, run.Settings.New
		}
		break
	}
	return set, nil
}

// Get finds an import. Faults: NotFound, Denied.
func (d *Door) Get(ctx context.Context, actor access.Actor, id ID) (run Run, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.CreateUsers); err != nil {
			return err
		}
		run, err = findRun(tx, id)
		return err
	})
	return run, err
}

// Rows are what the lines of an import do. Faults: NotFound, Denied.
func (d *Door) Rows(ctx context.Context, actor access.Actor, id ID, q RowQuery) (rows []Row, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.CreateUsers); err != nil {
			return err
		}
		rows, err = listRows(tx, id, q)
		return err
	})
	return rows, err
}

// Forget drops a file that nobody started, with all that was read of it. Faults: NotFound,
// Denied, Conflict (it was started).
func (d *Door) Forget(ctx context.Context, actor access.Actor, id ID) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.CreateUsers); err != nil {
			return err
		}
		run, err := findRun(tx, id)
		if err != nil {
			return err
		}
		if run.State == Started {
			return fault.Conflict.Say("The import of this file was started already. Undo it instead.")
		}
		return forgetRun(tx, id)
	})
}
