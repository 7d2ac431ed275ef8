package store

import (
	"context"
	"log/slog"
	"time"
)

// Every does something at once, after each pause, and whenever it is woken, until ctx is
// done. What goes wrong is logged, and tried again the next time. wake may be nil.
func Every(ctx context.Context, log *slog.Logger, pause time.Duration, wake <-chan struct{}, what string, do func(context.Context) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, what, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-tick.C:
		}
	}
}
