package sso

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// quota bounds what strangers can make us write for one key: pending requests per
// address, refusals per connection (refusals.go). It is per replica and forgets: it saves disk,
// nothing that is promised depends on it.
type quota struct {
	now   func() time.Time
	limit rate.Limit
	burst int

	mu   sync.Mutex // guards what follows
	keys map[string]*rate.Limiter
}

const quotaKeys = 10_000

func newQuota(now func() time.Time, perSecond rate.Limit, burst int) *quota {
	return &quota{now: now, limit: perSecond, burst: burst, keys: map[string]*rate.Limiter{}}
}

// allow takes one from the key's bucket.
func (q *quota) allow(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.keys[key]
	if l == nil {
		if len(q.keys) >= quotaKeys {
			clear(q.keys)
		}
		l = rate.NewLimiter(q.limit, q.burst)
		q.keys[key] = l
	}
	return l.AllowN(q.now(), 1)
}
