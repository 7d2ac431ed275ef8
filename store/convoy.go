package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
)

// Commands of one kind that one directory sends at the same time go as a convoy: while
// a statement runs, what comes meanwhile waits, and the next one does all of it.
// Whoever comes alone waits for nobody. Measured at 32 clients, in processor time of both
// sides: 40 % less for a status or a membership, 15 to 20 % for a new person; 10 % of it
// because who leads lets others run first. A second statement runs beside the first, so that
// neither processors nor the disk are idle, when half of those aboard can go with it: with
// fewer it would cost as much for one person as the first for ten. When one takes
// longer than patience, because it waits for a lock, those behind it go on without it.
//
// A convoy decides nothing. People whom somebody else holds are left out, so that nobody
// waits for a lock that concerns another (a user name that somebody is just taking is
// waited for by those beside it, too), and a statement that PostgreSQL refuses has
// changed nothing. Whoever was left out does the same alone, as if there had been no
// others, and has the answer or the fault from that.

const (
	convoySize    = 32
	convoysAtOnce = 2
	yields        = 2
	patience      = 20 * time.Millisecond
)

// convoyKey is who may share a statement.
type convoyKey struct {
	org   OrgID
	actor string
	what  string
}

type convoys struct {
	mu      sync.Mutex
	of      map[convoyKey]*convoy
	patient time.Duration // instead of patience, in tests
}

// convoy is the commands of one key.
type convoy struct {
	aboard  int // commands that lead, are taken along or wait
	running int // statements that run, or are about to, and were not given up
	waiting []*rider
}

// worth tells whether n commands are worth a statement now.
func (v *convoy) worth(n int) bool {
	return v.running == 0 || v.running < convoysAtOnce && 2*n >= v.aboard
}

// lead is the part of one who leads.
type lead struct {
	late *time.Timer
	over bool // it has ended, or was given up
}

// rider is one command. What it asks is the statement's business.
type rider struct {
	id   string // no two of one statement have the same
	ask  any
	done bool // it happened
	err  error
	turn chan bool // true: lead; false: somebody took it along
}

// board waits for its turn. With a list the caller leads: it does what those in the list ask,
// itself the first, and then calls leave. Without one r was taken along by somebody else.
func (c *convoys) board(ctx context.Context, key convoyKey, r *rider) ([]*rider, error) {
	c.mu.Lock()
	if c.of == nil {
		c.of = map[convoyKey]*convoy{}
	}
	v := c.of[key]
	if v == nil {
		v = &convoy{}
		c.of[key] = v
	}
	v.aboard++
	if v.worth(len(v.waiting) + 1) {
		v.running++
		c.mu.Unlock()
	} else {
		r.turn = make(chan bool, 1)
		v.waiting = append(v.waiting, r)
		c.mu.Unlock()
		if lead, err := c.await(ctx, v, r); err != nil || !lead {
			return nil, err
		}
	}
	for range yields { // where processors are busy, others are about to come
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return v.take(r), nil
}

// await is r's turn to lead, or its end when somebody took it along.
func (c *convoys) await(ctx context.Context, v *convoy, r *rider) (lead bool, err error) {
	select {
	case lead = <-r.turn:
		return lead, nil
	case <-ctx.Done():
		if c.leaves(v, r) {
			return false, ctx.Err()
		}
		return <-r.turn, nil // it is being done
	}
}

// leaves takes r out of those who wait.
func (c *convoys) leaves(v *convoy, r *rider) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.Index(v.waiting, r)
	if at < 0 {
		return false
	}
	v.waiting = slices.Delete(v.waiting, at, at+1)
	v.aboard--
	return true
}

// take is r and those who wait and can go with it.
func (v *convoy) take(r *rider) []*rider {
	list := []*rider{r}
	v.waiting = slices.DeleteFunc(v.waiting, func(w *rider) bool {
		if len(list) == convoySize || slices.ContainsFunc(list, func(other *rider) bool { return other.id == w.id }) {
			return false
		}
		list = append(list, w)
		return true
	})
	return list
}

// start is when those behind begin to lose their patience.
func (c *convoys) start(key convoyKey) *lead {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &lead{}
	l.late = time.AfterFunc(cmp.Or(c.patient, patience), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.of[key].end(l)
	})
	return l
}

// leave tells the others in the list that it is over, and has the next one lead.
func (c *convoys) leave(key convoyKey, list []*rider, l *lead) {
	for _, r := range list[1:] {
		r.turn <- false
	}
	l.late.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.of[key]
	v.aboard -= len(list)
	if v.end(l); v.aboard == 0 {
		delete(c.of, key)
	}
}

// end has the next one lead, if that is worth it.
func (v *convoy) end(l *lead) {
	if l.over {
		return
	}
	l.over = true
	v.running--
	if n := len(v.waiting); n > 0 && v.worth(n) {
		v.running++
		v.waiting[0].turn <- true
		v.waiting = slices.Delete(v.waiting, 0, 1)
	}
}

// together does r with others: run does it for several, in one statement. Afterwards r.done
// tells whether it happened; if not, alone does it.
func (tx *Tx) together(what string, r *rider, run func([]*rider) error, alone func() error) error {
	if !tx.inConvoy() {
		return alone()
	}
	c, key := &tx.db.convoys, convoyKey{tx.Org(), tx.actor.ID, what}
	list, err := c.board(tx.ctx, key, r)
	if err != nil {
		return err
	}
	if list == nil {
		if r.done || r.err != nil {
			return r.err
		}
		return alone()
	}
	l := c.start(key)
	leave := sync.OnceFunc(func() { c.leave(key, list, l) })
	defer leave()
	if len(list) > 1 {
		if err := run(list); err != nil && !undone(err) { // it may have happened: nobody does it again
			for _, r := range list {
				r.err = err
			}
		}
		if leave(); r.done || r.err != nil {
			return r.err
		}
	}
	return alone()
}

// inConvoy tells whether the change can share a statement: that of a transaction cannot.
func (tx *Tx) inConvoy() bool {
	return tx.db.d.oneStmt && tx.mode == modeCommand && tx.actor.Kind == access.Directory
}

// askedBy begins a statement for several riders: a row for each, with its id, what it records and these columns.
func askedBy(columns ...string) string {
	return "WITH asked AS (SELECT CAST(x.target AS uuid) AS id, x.* FROM unnest(CAST(? AS text[])" + strings.Repeat(", CAST(? AS text[])", len(columns)+3) +
		") AS x(target, activity, detail, at" + strings.Join(append([]string{""}, columns...), ", ") + "))"
}

// askedArgs are the arguments of askedBy; row gives the record of a rider and the columns.
func askedArgs(list []*rider, row func(ask any) (record []any, columns []string)) []any {
	var columns [][]string
	for i, r := range list {
		record, more := row(r.ask)
		if i == 0 {
			columns = make([][]string, 4+len(more))
		}
		for at, text := range append([]string{r.id, string(record[1].(ActivityID)), record[10].(string), strconv.FormatInt(int64(record[2].(Time)), 10)}, more...) {
			columns[at] = append(columns[at], text)
		}
	}
	args := make([]any, len(columns), 40)
	for i, c := range columns {
		args[i] = texts(c)
	}
	return args
}

// texts is an array of text as PostgreSQL reads it. lib/pq writes one, too, and takes three
// times as long for documents, which are full of quotes.
type texts []string

func (list texts) Value() (driver.Value, error) {
	n := 2
	for _, s := range list {
		n += len(s) + len(s)/8 + 3
	}
	b := append(make([]byte, 0, n), '{')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		from := 0
		for at := range len(s) {
			if s[at] == '"' || s[at] == '\\' {
				b = append(append(b, s[from:at]...), '\\')
				from = at
			}
		}
		b = append(append(b, s[from:]...), '"')
	}
	return string(append(b, '}')), nil
}

// recordAsked are the rows of activity of those riders that the head has rows of, with its
// column id. kind, id and name are of the target.
func recordAsked(id, name string) string {
	return ",\n\trecord AS (INSERT INTO activity (org_id, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, detail)" + `
		SELECT {{as_id}}, CAST(a.activity AS uuid), CAST(a.at AS bigint), {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, {{as_text}}, ` + id + ", " + name + `, a.detail
		FROM head h JOIN asked a ON a.id = h.id)`
}

// recordAskedArgs are its arguments, those of id and name left out.
func recordAskedArgs(record []any) []any { return append([]any{record[0]}, record[3:8]...) }

// heldUsers are those of asked whom nobody else holds.
const heldUsers = `,
	held AS (SELECT id FROM users WHERE org_id = ? AND id = ANY(ARRAY(SELECT id FROM asked)) FOR NO KEY UPDATE SKIP LOCKED)`

// byID finds the rider of a row.
func byID(list []*rider, id UserID) *rider {
	if at := slices.IndexFunc(list, func(r *rider) bool { return r.id == string(id) }); at >= 0 {
		return list[at]
	}
	return nil
}

// happened marks those that the statement did, once it is over.
func happened(came []*rider, err error) error {
	if err != nil {
		return err
	}
	for _, r := range came {
		r.done = true
	}
	return nil
}
