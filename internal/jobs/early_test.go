package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// early is a kind of job that adds two people at a time, early where it can.
type early struct {
	*shop
	drew  chan string                                   // what was drawn ahead
	began chan string                                   // whom the first part wrote
	first func(items string) error                      // in the first part
	many  func(tx *store.Tx, j Job, items string) error // before the rest
	how   []string                                      // how it was done
}

func newEarly(t *testing.T, db *store.DB, clock *storetest.Clock) *early {
	e := &early{shop: newShop(t, db, clock), drew: make(chan string, 20), began: make(chan string, 20)}
	say := func(format string, args ...any) { e.how = append(e.how, fmt.Sprintf(format, args...)) }
	text := func(items []Item) string {
		var list []string
		for _, item := range items {
			list = append(list, item.Name)
		}
		return strings.Join(list, "")
	}
	e.Register(Kind{Name: "early", Need: access.CreateUsers, Size: 2, Title: func(web.Reader, Job) string { return "Early" },
		Ahead: func(_ *store.Tx, _ Job, items []Item) (any, error) {
			e.drew <- text(items)
			return "drawn", nil
		},
		Early: func(tx *store.Tx, j Job, items []Item) (any, error) {
			if db.Dialect() == "sqlite" || j.Ahead != "drawn" {
				t.Errorf("%s begins early with %v", text(items), j.Ahead)
			}
			list, err := e.addAll(tx, j, items)
			if err == nil && e.first != nil {
				err = e.first(text(items))
			}
			e.began <- text(items)
			if err != nil {
				return nil, err
			}
			return list, nil
		},
		One: func(tx *store.Tx, j Job, item Item) (Result, error) {
			say("%s alone", item.Name)
			return e.add(tx, j, item)
		},
		Many: func(tx *store.Tx, j Job, items []Item) ([]Result, error) {
			if e.many != nil {
				if err := e.many(tx, j, text(items)); err != nil {
					return nil, err
				}
			}
			list, ok := j.Early.([]Result)
			say("%s %s", text(items), map[bool]string{true: "early", false: "late"}[ok])
			if ok {
				return list, nil
			}
			return e.addAll(tx, j, items)
		}})
	return e
}

// begins waits for the first part of items, where there is one.
func (e *early) begins(items string) {
	e.t.Helper()
	if e.db.Dialect() != "sqlite" {
		e.next(e.began, items)
	}
}

func (e *early) next(of <-chan string, items string) {
	e.t.Helper()
	select {
	case now := <-of:
		e.is("next", now, items)
	case <-time.After(20 * time.Second):
		e.t.Errorf("%s did not come", items)
	}
}

// all is how each of some pairs was done: those named early began early, where that can be.
func (e *early) all(pairs, begun string) (list []string) {
	for p := range strings.FieldsSeq(pairs) {
		word := "late"
		if e.db.Dialect() != "sqlite" && strings.Contains(begun, p) {
			word = "early"
		}
		list = append(list, p+" "+word)
	}
	return list
}

// The first part of items is written while the transaction of those before them is open.
func TestItemsBeginEarly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := newEarly(t, db, nil)
		e.many = func(_ *store.Tx, j Job, items string) error {
			if items == "cd" {
				e.begins("cd")
			}
			if next := map[string]string{"cd": "ef", "ef": "gh"}[items]; next != "" {
				e.begins(next)
			}
			return nil
		}
		j := e.start(In{Kind: "early", Items: names("a", "b", "c", "d", "e", "f", "g", "h")})
		e.work()
		now, list := e.job(j.ID)
		e.is("batches", e.how, e.all("ab cd ef gh", "cd ef gh"))
		e.is("job", fmt.Sprint(now.State, now.Done, len(list), e.people()), fmt.Sprint(Finished, 8, 8, strings.Split("abcdefgh", "")))
	})
}

// What comes after items is drawn while their first part is written, and each once.
func TestItemsAreDrawnTwoAhead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		e := newEarly(t, db, nil)
		early := db.Dialect() != "sqlite"
		after := map[string]string{"ab": "cd", "cd": "ef", "ef": "gh"}
		e.first = func(items string) error {
			if after[items] != "" {
				e.next(e.drew, after[items])
			}
			return nil
		}
		e.many = func(_ *store.Tx, _ Job, items string) error {
			if items == "ab" || !early && after[items] != "" {
				e.next(e.drew, after[items])
			}
			return nil
		}
		j := e.start(In{Kind: "early", Items: names("a", "b", "c", "d", "e", "f", "g", "h")})
		e.work()
		now, _ := e.job(j.ID)
		e.is("batches", e.how, e.all("ab cd ef gh", "cd ef gh"))
		e.is("job", fmt.Sprint(now.State, now.Done, e.people(), len(e.drew)), fmt.Sprint(Finished, 8, strings.Split("abcdefgh", ""), 0))
	})
}

// Whatever does not hold is done anew, once, and leaves nothing behind.
func TestWhatBeganEarlyIsDoneAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		first func(e *early, items string) error
		many  func(e *early, j Job, items string) error
		how   string // of cd
	}{
		{"its first part fails", func(_ *early, items string) error {
			if items == "cd" {
				return errors.New("not this one")
			}
			return nil
		}, nil, "cd late"},
		{"its first part panics", func(_ *early, items string) error {
			if items == "cd" {
				panic("not this one")
			}
			return nil
		}, nil, "cd late"},
		{"the rest fails", nil, func(_ *early, j Job, items string) error {
			if items == "cd" && j.Early != nil {
				return errors.New("not this one")
			}
			return nil
		}, "cd late"},
		{"it cannot be done together", nil, func(_ *early, _ Job, items string) error {
			if items == "cd" {
				return fault.Invalid.Say("not together")
			}
			return nil
		}, "c alone d alone"},
		{"the starter has other rights", nil, func(e *early, _ Job, items string) error {
			if items == "ab" {
				e.mu.Lock()
				e.roles = []string{access.Admin, access.Viewer}
				e.mu.Unlock()
			}
			return nil
		}, "cd late"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				e := newEarly(t, db, nil)
				if c.first != nil {
					e.first = func(items string) error { return c.first(e, items) }
				}
				if c.many != nil {
					e.many = func(_ *store.Tx, j Job, items string) error { return c.many(e, j, items) }
				}
				j := e.start(In{Kind: "early", Items: names("a", "b", "c", "d", "e", "f", "g", "h")})
				e.work()
				now, list := e.job(j.ID)
				e.is("batches", strings.Join(e.how[:1+len(strings.Fields(c.how))/2], " "), "ab late "+c.how)
				e.is("people", e.people(), "[a b c d e f g h]")
				e.is("job", fmt.Sprint(now.State, now.Done, list), fmt.Sprint(Finished, 8, strings.Split("1 done a,2 done b,3 done c,4 done d,5 done e,6 done f,7 done g,8 done h", ",")))
			})
		})
	}
}

// What waits for its turn is not kept when there is none any more: the job was cancelled, or
// is another worker's.
func TestAJobThatEndsBeforeTheTurn(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprint("taken over ", taken), func(t *testing.T) {
			t.Parallel()
			storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
				e := newEarly(t, db, clock)
				j := e.start(In{Kind: "early", Items: names("a", "b", "c", "d", "e", "f")})
				h := &held{org: store.OrgID(e.org.Org), id: j.ID, kind: e.kinds["early"], worker: "w"}
				do := func(actor access.Actor, what func(tx *store.Tx) error) {
					t.Helper()
					if err := db.Write(context.Background(), actor, what); err != nil {
						t.Fatal(err)
					}
				}
				as := func(worker string) func(tx *store.Tx) error {
					return func(tx *store.Tx) error {
						mine, err := claim(tx, j.ID, worker, tx.Now().Add(lease))
						if err == nil && !mine {
							err = errors.New("it is somebody's")
						}
						return err
					}
				}
				do(e.org, as("w"))
				if over, err := e.batch(context.Background(), h); over || err != nil {
					t.Fatal(over, err)
				}
				e.begins("cd")
				if taken {
					clock.Pass(2 * lease)
					do(e.org, as("v"))
				} else {
					do(e.boss, func(tx *store.Tx) error { return e.Cancel(tx, j.ID) })
				}
				if over, err := e.batch(context.Background(), h); !over || err != nil {
					t.Errorf("it went on: %v, %v", over, err)
				}
				h.stop()
				e.is("people", e.people(), "[a b]")
				if taken {
					clock.Pass(2 * lease)
					e.work()
					now, _ := e.job(j.ID)
					e.is("job", fmt.Sprint(now.State, now.Done, e.people()), fmt.Sprint(Finished, 6, strings.Split("abcdef", "")))
				}
			})
		})
	}
}

// Somebody waits for what began early, and the transaction before it for somebody: the
// database cannot see the circle.
func TestACircleEnds(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t) // SQLite's one writer waits for nobody
	e := newEarly(t, db, nil)
	const lock = "SELECT id FROM orgs WHERE id = ?"
	made := make(chan error, 1)
	e.many = func(tx *store.Tx, j Job, items string) error {
		if items != "cd" || j.Early == nil {
			return nil
		}
		e.begins("cd")
		e.begins("ef")
		locked := make(chan bool, 1)
		go func() {
			made <- db.Write(context.Background(), e.org, func(tx *store.Tx) error {
				var id string
				err := tx.Get(&id, lock+tx.ForUpdate(), tx.Org())
				locked <- true
				if err != nil {
					return err
				}
				_, err = e.add(tx, j, Item{Target: "e"})
				return err
			})
		}()
		<-locked
		var id string
		return tx.Get(&id, lock+tx.ForUpdate(), tx.Org())
	}
	j := e.start(In{Kind: "early", Items: names("a", "b", "c", "d", "e", "f")})
	e.work()
	if err := <-made; err != nil {
		t.Error(err)
	}
	now, list := e.job(j.ID)
	e.is("job", fmt.Sprint(now.State, now.Done, now.Counts.Failed, len(list), e.people()), fmt.Sprint(Finished, 6, 1, 6, strings.Split("abcdef", "")))
	if !slices.Contains(e.how, "cd early") || !slices.Contains(e.how, "f alone") {
		t.Errorf("batches: %v", e.how)
	}
}
