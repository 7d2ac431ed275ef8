package store

import (
	"bytes"
	"fmt"
)

// JSON is a stored document, byte for byte; PostgreSQL hands out bytes, SQLite text.
type JSON []byte

// Scan reads what either database gives back.
func (j *JSON) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*j = nil
	case string:
		*j = JSON(v)
	case []byte:
		*j = bytes.Clone(v)
	default:
		return fmt.Errorf("JSON cannot be read from %T", src)
	}
	return nil
}

// MarshalJSON writes the document as it is.
func (j JSON) MarshalJSON() ([]byte, error) {
	if len(j) == 0 {
		return []byte("null"), nil
	}
	return j, nil
}
