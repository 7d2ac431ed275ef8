package store

import (
	"time"

	"github.com/muster-id/muster/internal/fault"
)

// ParseMoment reads a time as people write it in a filter; days is how many a day is moved on, so that "until" a day
// has the day in it. The fault is Invalid on field.
func ParseMoment(field, text string, now time.Time, days int) (Time, error) {
	if text == "" {
		return 0, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return TimeOf(t.AddDate(0, 0, days)), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return TimeOf(t), nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return TimeOf(now.Add(-ago)), nil
	}
	return 0, fault.Invalid.On(field, "%.64q is no time. Write a day (2026-11-30), a time (2026-11-30T18:00:00Z) or how long ago (24h).", text)
}
