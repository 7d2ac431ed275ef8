package jobs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// What the next items need is made while those before them are written, for these items and
// this actor, and used once; what cannot be made, or panics, is no loss.
func TestTheNextItemsAreWorkedOutAhead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newShop(t, db, nil)
		begun := make(chan string, 10)
		text := func(items []Item) string {
			var list []string
			for _, item := range items {
				list = append(list, item.Name)
			}
			return strings.Join(list, "")
		}
		var got []string
		s.Register(Kind{Name: "ahead", Need: access.CreateUsers, Size: 2, Title: func(web.Reader, Job) string { return "Ahead" },
			Ahead: func(tx *store.Tx, _ Job, items []Item) (any, error) {
				if tx.Actor().ID != s.boss.ID {
					t.Errorf("it is worked out as %v", tx.Actor())
				}
				begun <- text(items)
				switch items[0].Name {
				case "e":
					return "half", errors.New("not this one")
				case "k":
					panic("not this one")
				}
				return "for " + text(items), nil
			},
			One: func(_ *store.Tx, j Job, item Item) (Result, error) {
				got = append(got, fmt.Sprintf("%s alone", item.Name))
				return Result{}, nil
			},
			Many: func(_ *store.Tx, j Job, items []Item) ([]Result, error) {
				next := "-"
				if j.position+len(items) < j.Total {
					next = <-begun // it is not waited for in vain
				}
				got = append(got, fmt.Sprintf("%s with %v before %s", text(items), j.Ahead, next))
				switch items[0].Name {
				case "c":
					return nil, fault.Invalid.Say("not together")
				case "g":
					s.mu.Lock()
					s.roles = []string{access.Admin, access.Viewer}
					s.mu.Unlock()
				}
				return make([]Result, len(items)), nil
			}})
		j := s.start(In{Kind: "ahead", Items: names("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k")})
		s.work()
		now, list := s.job(j.ID)
		s.is("batches", strings.Join(got, "\n"), "ab with <nil> before cd\ncd with for cd before ef\nc alone\nd alone\nef with <nil> before gh\ngh with for gh before ij\nij with <nil> before k\nk with <nil> before -")
		s.is("job", fmt.Sprint(now.State, now.Done, len(list)), fmt.Sprint(Finished, 11, 11))
	})
}

// A worker goes on with its job beyond its slice as long as nobody waits, without working
// anything out twice.
func TestASliceThatNobodyWaitsForGoesOn(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newShop(t, db, clock)
		made, used := 0, 0
		s.Register(Kind{Name: "slow", Need: access.CreateUsers, Size: 1, Title: func(web.Reader, Job) string { return "Slow" },
			Ahead: func(*store.Tx, Job, []Item) (any, error) { made++; return true, nil },
			Many: func(_ *store.Tx, j Job, items []Item) ([]Result, error) {
				if j.Ahead != nil {
					used++
				}
				clock.Pass(2 * slice)
				return make([]Result, len(items)), nil
			}})
		j := s.start(In{Kind: "slow", Items: many(100)}) // twice as long as a lease
		s.work()
		now, _ := s.job(j.ID)
		s.is("job", fmt.Sprint(now.State, now.Done, made, used), fmt.Sprint(Finished, 100, 99, 99))
	})
}
