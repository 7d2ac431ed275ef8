package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
)

// copyChunk is how much of the text of a COPY the driver is handed at once.
const copyChunk = 32 << 10

// copyMany is InsertMany by COPY. The text of the rows is made here: by way of database/sql,
// which looks at each value, it takes twice as long.
func (tx *Tx) copyMany(head string, rows [][]any) error {
	into := strings.TrimSuffix(strings.TrimPrefix(head, "INSERT INTO "), " VALUES ")
	err := tx.conn.Raw(func(c any) error {
		st, err := c.(driver.ConnPrepareContext).PrepareContext(tx.ctx, "COPY "+into+" FROM STDIN")
		if err != nil {
			return err
		}
		err = tx.sendRows(st.(copier), rows)
		if end := st.Close(); err == nil { // it waits until all of it is there
			err = end
		}
		return err
	})
	if why := tx.ctx.Err(); err != nil && why != nil { // of which the driver says that the connection is bad
		err = why
	}
	return classify(err)
}

// copier is what the driver makes of COPY FROM STDIN.
type copier interface {
	CopyData(ctx context.Context, lines string) (driver.Result, error)
}

func (tx *Tx) sendRows(to copier, rows [][]any) (err error) {
	text := make([]byte, 0, copyChunk+copyChunk/4)
	for i, r := range rows {
		if text, err = appendLine(text, r); err != nil {
			return err
		}
		if len(text) < copyChunk && i < len(rows)-1 {
			text = append(text, '\n')
			continue
		}
		if _, err = to.CopyData(tx.ctx, string(text)); err != nil { // it ends the line
			return err
		}
		text = text[:0]
	}
	return nil
}

// appendLine appends a row in the text format of COPY.
func appendLine(b []byte, row []any) (_ []byte, err error) {
	for i, v := range row {
		if i > 0 {
			b = append(b, '\t')
		}
		if b, err = appendValue(b, v); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, `\N`...), nil
	case string:
		return appendText(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	}
	plain, err := driver.DefaultParameterConverter.ConvertValue(v)
	if err != nil {
		return nil, err
	}
	switch plain.(type) {
	case nil, string, int64, bool:
		return appendValue(b, plain)
	}
	return nil, fmt.Errorf("COPY of a %T", v)
}

// appendText escapes what has a meaning in the format.
func appendText(b []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		var as byte
		switch s[i] {
		case '\\':
			as = '\\'
		case '\n':
			as = 'n'
		case '\r':
			as = 'r'
		case '\t':
			as = 't'
		default:
			continue
		}
		b = append(append(b, s[from:i]...), '\\', as)
		from = i + 1
	}
	return append(b, s[from:]...)
}
