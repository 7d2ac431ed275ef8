package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		var out bytes.Buffer
		wake, began := make(chan struct{}), time.Now()
		var at []time.Duration
		go Every(ctx, slog.New(slog.NewTextHandler(&out, nil)), time.Minute, wake, "do it", func(context.Context) error {
			if at = append(at, time.Since(began)); len(at) == 2 {
				return errors.New("not this time")
			}
			return nil
		})
		synctest.Wait()
		time.Sleep(time.Minute + time.Second)
		wake <- struct{}{}
		synctest.Wait()
		stop()
		synctest.Wait()
		time.Sleep(time.Hour)
		if len(at) != 3 || at[0] != 0 || at[1] != time.Minute || at[2] != time.Minute+time.Second {
			t.Errorf("done after %v, want at once, after a minute, and when woken", at)
		}
		if n := strings.Count(out.String(), `msg="do it" error="not this time"`); n != 1 {
			t.Errorf("told %d times:\n%s", n, out.String())
		}
	})
}
