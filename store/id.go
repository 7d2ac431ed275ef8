package store

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/fault"
)

// ID names one row of a kind: a UUIDv7 as 32 lower-case hex digits. It sorts by
// creation, and stands in a URL as it is (no hyphen, no underscore: Okta refuses
// the latter). The empty ID is NULL in the database.
type ID[noun any] string

// The ids of the nouns that several doors share.
type (
	OrgID       = ID[Org]
	UserID      = ID[User]
	GroupID     = ID[Group]
	DirectoryID = ID[Directory]
	ActivityID  = ID[Activity]
)

// NewID makes an id that sorts after all earlier ones of this process.
func NewID[noun any]() ID[noun] {
	u := uuid.Must(uuid.NewV7()) // fails only when the system has no randomness
	return ID[noun](hex.EncodeToString(u[:]))
}

// ParseID reads an id that came from outside. Whatever is not one names nothing,
// so the fault is NotFound.
func ParseID[noun any](s string) (ID[noun], error) {
	if !isID(s) {
		return "", fault.NotFound.Say("There is nothing with the id %.64q.", s)
	}
	return ID[noun](s), nil
}

func isID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Value stores the id; PostgreSQL's uuid reads it without hyphens.
func (id ID[noun]) Value() (driver.Value, error) {
	if id == "" {
		return nil, nil
	}
	return string(id), nil
}

// Scan reads what either database gives back.
func (id *ID[noun]) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*id = ""
	case string:
		*id = ID[noun](plainID([]byte(v)))
	case []byte:
		*id = ID[noun](plainID(v))
	default:
		return fmt.Errorf("an id cannot be read from %T", src)
	}
	return nil
}

// plainID drops the hyphens that PostgreSQL prints.
func plainID(b []byte) string {
	var out [36]byte
	return string(appendID(out[:0], b))
}

func appendID(buf, b []byte) []byte {
	if len(b) != 36 {
		return append(buf, b...)
	}
	return append(append(append(append(append(buf, b[:8]...), b[9:13]...), b[14:18]...), b[19:23]...), b[24:]...)
}

// Time is UTC microseconds since 1970; 0 means never. A plain number reads the
// same from both databases and loses no zone.
type Time int64

// TimeOf converts from the standard library's time; its zero becomes 0.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMicro())
}

// Time converts back; 0 becomes the zero time.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(t)).UTC()
}

// Add moves t by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Microseconds()) }

// RFC3339 is t as xsd:dateTime in milliseconds, as SCIM and our JSON show it.
func (t Time) RFC3339() string { return string(t.AppendRFC3339(nil)) }

// OrEmpty is RFC3339, or nothing when the time is 0: what has not happened.
func (t Time) OrEmpty() string {
	if t == 0 {
		return ""
	}
	return t.RFC3339()
}

// AppendRFC3339 appends RFC3339 to buf.
func (t Time) AppendRFC3339(buf []byte) []byte {
	return t.Time().AppendFormat(buf, "2006-01-02T15:04:05.000Z")
}
