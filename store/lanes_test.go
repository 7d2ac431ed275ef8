package store

import "testing"

// A context that can end costs two goroutines for each statement.
func TestALaneIsNotWatched(t *testing.T) {
	t.Parallel()
	l := make(lanes, 1)
	ctx, err := l.enter(t.Context())
	if err != nil || ctx.Done() != nil {
		t.Errorf("the statement's context can end: %v", err)
	}
	l.leave()
	if ctx, err = lanes(nil).enter(t.Context()); err != nil || ctx != t.Context() {
		t.Errorf("without lanes the context is the caller's: %v, %v", ctx, err)
	}
	lanes(nil).leave()
}
