package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// shop is a service with one kind, which adds people by name.
type shop struct {
	*Service
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	org   access.Actor
	boss  access.Actor // a person

	mu    sync.Mutex   // guards roles
	roles []string     // of the boss, by now
	each  func(string) // before each item
	order []string     // of organizations
}

type made struct {
	Version int64 `json:"version"`
}

func newShop(t *testing.T, db *store.DB, clock *storetest.Clock) *shop {
	_, org := storetest.Org(t, db, "acme")
	s := &shop{t: t, db: db, clock: clock, org: org, roles: []string{access.Admin},
		boss: access.Actor{Kind: access.Person, Org: org.Org, ID: string(store.NewID[store.User]()), Name: "Boss", Roles: []string{access.Admin}, IP: "192.0.2.7"}}
	s.Service = s.another()
	return s
}

// another is a second server on the same database.
func (s *shop) another() *Service {
	v := New(Options{DB: s.db, Log: slog.New(slog.DiscardHandler), Actor: func(_ *store.Tx, who Starter) (access.Actor, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.roles == nil {
			return access.Actor{}, fault.Denied.Say("gone")
		}
		return access.Actor{Kind: who.Kind, ID: who.ID, Name: who.Name, Roles: s.roles}, nil
	}})
	v.Register(Kind{Name: "people.add", Need: access.CreateUsers, Size: 3, Words: map[string]string{"created": "Created"},
		Title: func(to web.Reader, j Job) string { return to.N(j.Total, "Add %d person", "Add %d people") },
		Link:  func(target string) string { return "/users/" + target },
		One:   s.add, UndoOne: s.remove})
	return v
}

func (s *shop) add(tx *store.Tx, _ Job, item Item) (Result, error) {
	s.mu.Lock()
	each := s.each
	s.order = append(s.order, string(tx.Org()))
	s.mu.Unlock()
	if each != nil {
		each(item.Target)
	}
	u, err := tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: item.Target}.Doc(), Source: store.FromCSV, Reason: store.Manual})
	switch {
	case err != nil:
		return Result{}, err
	case item.Target == "skip":
		return Result{}, fault.Invalid.Say("Not %s.", "this one")
	case item.Target == "boom":
		return Result{}, errors.New("boom")
	case strings.HasPrefix(item.Target, "again"):
		if _, err := tx.UserByName("person0"); err == nil {
			return Skip(Because("%s is there", "person0")), nil
		}
	}
	return Result{Did: "created", Target: string(u.ID), Name: u.UserName, Undo: made{u.Version}}, nil
}

// addAll adds people together, or nobody.
func (s *shop) addAll(tx *store.Tx, j Job, items []Item) ([]Result, error) {
	list := make([]Result, len(items))
	for i, item := range items {
		var err error
		if list[i], err = s.add(tx, j, item); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s *shop) remove(tx *store.Tx, _ Job, item Item) (Result, error) {
	var was made
	if err := json.Unmarshal(item.Data, &was); err != nil {
		return Result{}, err
	}
	u, err := tx.User(store.UserID(item.Target))
	if err != nil {
		return Result{}, err
	}
	if u.Version != was.Version {
		return Skip(Because("It was changed since.")), nil
	}
	_, err = tx.DeleteUser(u.ID, "undo")
	return Result{}, err
}

func names(list ...string) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for _, n := range list {
			if !yield(Item{Target: n, Name: n}) {
				return
			}
		}
	}
}

func many(n int) iter.Seq[Item] {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("person%d", i)
	}
	return names(list...)
}

func (s *shop) start(in In) (j Job) {
	s.t.Helper()
	in.Kind = cmp.Or(in.Kind, "people.add")
	if err := s.db.Write(context.Background(), s.boss, func(tx *store.Tx) (err error) { j, err = s.Start(tx, in); return err }); err != nil {
		s.t.Fatal(err)
	}
	return j
}

func (s *shop) work() {
	s.t.Helper()
	if err := s.Work(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// job reads a job with its results: "1 done person0".
func (s *shop) job(id ID) (j Job, list []string) {
	s.t.Helper()
	err := s.db.Read(context.Background(), s.boss, func(tx *store.Tx) (err error) {
		if j, err = s.Get(tx, id); err != nil {
			return err
		}
		found, err := s.Results(tx, id, ResultQuery{Limit: 1000})
		for _, f := range found {
			list = append(list, strings.TrimSpace(fmt.Sprint(f.N, " ", f.State, " ", f.Name, " ", f.Why.In(fmt.Sprintf))))
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return j, list
}

// people are the user names that there are.
func (s *shop) people() (list []string) {
	s.t.Helper()
	err := s.db.Read(context.Background(), s.org, func(tx *store.Tx) error {
		page, err := tx.People(store.PeopleQuery{Limit: 500})
		for _, p := range page.People {
			list = append(list, p.UserName)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func (s *shop) is(what string, got, want any) {
	s.t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func TestEachItemHasItsOwnEnd(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newShop(t, db, clock)
		j := s.start(In{Items: names("person0", "skip", "ada", "again1", "PERSON0", "boom", "bob")})
		s.is("state before", j.State, Queued)
		s.work()
		j, list := s.job(j.ID)
		s.is("results", strings.Join(list, "; "), "1 done person0; 2 failed skip Not this one.; 3 done ada; 4 skipped again1 person0 is there; "+
			`5 failed PERSON0 The userName "PERSON0" is already in use in this organization. Choose another one, or update the user who has it.; `+
			"6 failed boom Something went wrong on the server. It is in the server's log with the job's id.; 7 done bob")
		s.is("job", fmt.Sprint(j.State, j.Done, j.Total, j.Undoable, j.Counts, j.EndedAt > 0), fmt.Sprint(Finished, 7, 7, 3, Counts{3, 1, 3, map[string]int{"created": 3}}, true))
		// A failed item leaves nothing behind; the skipped one chose to.
		s.is("people", s.people(), []string{"ada", "again1", "bob", "person0"})
		// What was done, the starter did.
		err := db.Read(context.Background(), s.boss, func(tx *store.Tx) error {
			acts, err := tx.Activities(store.ActivityQuery{Action: "user.create"})
			for _, a := range acts {
				s.is("who", fmt.Sprint(a.ActorName, a.ActorID, a.Detail["ip"]), fmt.Sprint("Boss", s.boss.ID, "192.0.2.7"))
			}
			s.is("recorded", len(acts), 4)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestUndoTakesBackWhatWasNotChangedSince(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newShop(t, db, clock)
		j := s.start(In{Items: many(8)})
		undo := func(id ID) (u Job, err error) {
			return u, db.Write(context.Background(), s.boss, func(tx *store.Tx) (err error) { u, err = s.Undo(tx, id); return err })
		}
		if _, err := undo(j.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("undo of a job that has not ended: %v", err)
		}
		s.work()
		err := db.Write(context.Background(), s.org, func(tx *store.Tx) error {
			u, err := tx.UserByName("person3")
			if err == nil {
				_, err = tx.Deactivate(u.ID, "meanwhile")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		first, err := undo(j.ID)
		if err != nil {
			t.Fatal(err)
		}
		second, err := undo(j.ID) // a double click
		if err != nil || second.ID != first.ID {
			t.Errorf("undo again: %v, job %s, want %s", err, second.ID, first.ID)
		}
		s.work()
		u, list := s.job(first.ID)
		s.is("results", strings.Join(list, "; "), "1 done person7; 2 done person6; 3 done person5; 4 done person4; 5 skipped person3 It was changed since.; 6 done person2; 7 done person1; 8 done person0")
		s.is("state", fmt.Sprint(u.State, u.Undoes == j.ID, u.Counts.Done, u.Counts.Skipped), fmt.Sprint(Finished, true, 7, 1))
		s.is("left", s.people(), []string{"person3"})
		if _, err := undo(first.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("undo of an undo: %v", err)
		}
		late := s.start(In{Items: names("late")})
		s.work()
		clock.Pass(UndoFor + time.Second)
		if _, err := undo(late.ID); !fault.Is(err, fault.Expired) {
			t.Errorf("undo after a day: %v", err)
		}
	})
}

// A worker dies between two transactions, and another one takes the job over: nobody is
// added twice or left out, and the dead one can write nothing when it comes back.
func TestAnotherWorkerTakesOver(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		ctx := context.Background()
		s := newShop(t, db, clock)
		j := s.start(In{Items: many(10)})
		hold := func(worker string) (*held, bool) {
			h, ok := &held{org: store.OrgID(s.org.Org), id: j.ID, kind: s.kinds["people.add"], worker: worker}, false
			err := db.Write(ctx, s.org, func(tx *store.Tx) (err error) {
				ok, err = claim(tx, j.ID, worker, tx.Now().Add(lease))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return h, ok
		}
		dead, _ := hold("dead")
		if over, err := s.batch(ctx, dead); over || err != nil {
			t.Fatal(over, err)
		}
		other := s.another()
		if err := other.Work(ctx); err != nil {
			t.Fatal(err)
		}
		if now, _ := s.job(j.ID); now.Done != 3 {
			t.Errorf("%d done while the lease holds, want 3", now.Done)
		}
		clock.Pass(lease + time.Second)
		alive, ok := hold("alive")
		if over, err := other.batch(ctx, alive); !ok || over || err != nil {
			t.Fatal(ok, over, err)
		}
		if over, err := s.batch(ctx, dead); !over || err != nil {
			t.Errorf("a worker without the lease went on: %v, %v", over, err)
		}
		if now, _ := s.job(j.ID); now.Done != 6 {
			t.Errorf("%d done, want 6", now.Done)
		}
		clock.Pass(lease + time.Second)
		if err := other.Work(ctx); err != nil {
			t.Fatal(err)
		}
		now, list := s.job(j.ID)
		s.is("done", fmt.Sprint(now.State, now.Done, len(list), len(s.people())), fmt.Sprint(Finished, 10, 10, 10))
	})
}

func TestWhoMayNotAnyMoreStops(t *testing.T) {
	t.Parallel()
	for name, roles := range map[string][]string{"demoted": {access.Viewer}, "gone": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
				s := newShop(t, db, clock)
				s.each = func(target string) {
					if target == "person4" { // in the second transaction; the third asks again
						s.mu.Lock()
						s.roles = roles
						s.mu.Unlock()
					}
				}
				j := s.start(In{Items: many(9)})
				s.work()
				j, list := s.job(j.ID)
				s.is("job", fmt.Sprint(j.State, j.Done, len(list), len(s.people()), j.Why.In(fmt.Sprintf)),
					fmt.Sprint(Failed, 6, 6, 6, "Boss may not do this any more, so it was stopped. What was done stays done."))
			})
		})
	}
}

func TestADoubleClickStartsOneJob(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newShop(t, db, clock)
		var ids sync.Map
		var clicks sync.WaitGroup
		for range 8 {
			clicks.Go(func() {
				err := db.Write(context.Background(), s.boss, func(tx *store.Tx) error {
					j, err := s.Start(tx, In{Kind: "people.add", Once: "form 1", Items: many(2)})
					ids.Store(j.ID, true)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		clicks.Wait()
		s.start(In{Once: "form 2", Items: names("other")})
		s.work()
		list := []Job{}
		err := db.Read(context.Background(), s.boss, func(tx *store.Tx) (err error) { list, err = s.List(tx, "", 100); return err })
		if err != nil {
			t.Fatal(err)
		}
		s.is("jobs", len(list), 2)
		s.is("people", s.people(), []string{"other", "person0", "person1"})
	})
}

func TestCancelLeavesTheRest(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newShop(t, db, clock)
		j := s.start(In{Items: many(9)})
		h := &held{org: store.OrgID(s.org.Org), id: j.ID, kind: s.kinds["people.add"], worker: "w"}
		cancel := func() error {
			return db.Write(context.Background(), s.boss, func(tx *store.Tx) error { return s.Cancel(tx, j.ID) })
		}
		err := db.Write(context.Background(), s.org, func(tx *store.Tx) error {
			_, err := claim(tx, j.ID, "w", tx.Now().Add(lease))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.batch(context.Background(), h); err != nil {
			t.Fatal(err)
		}
		if err := cancel(); err != nil {
			t.Fatal(err)
		}
		if err := cancel(); !fault.Is(err, fault.Conflict) {
			t.Errorf("cancelled twice: %v", err)
		}
		if over, err := s.batch(context.Background(), h); !over || err != nil {
			t.Errorf("it went on: %v, %v", over, err)
		}
		s.work()
		now, _ := s.job(j.ID)
		s.is("job", fmt.Sprint(now.State, now.Done, len(s.people()), now.Undoable), fmt.Sprint(Cancelled, 3, 3, 3))
	})
}

// A small job of one organization does not wait for the end of a large one of another.
func TestOrganizationsTakeTurns(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newShop(t, db, clock)
		s.each = func(string) { clock.Pass(100 * time.Millisecond) }
		s.start(In{Items: many(60)})
		s.start(In{Items: names("more")})
		clock.Pass(time.Second)
		acme := s.boss
		_, other := storetest.Org(t, db, "other")
		s.boss.Org = other.Org
		s.start(In{Items: many(9)})
		s.boss = acme
		s.work()
		last := 0
		for i, org := range s.order {
			if org == other.Org {
				last = i
			}
		}
		s.is("all", len(s.order), 70)
		if last > 25 {
			t.Errorf("the 9 items of the small organization ended at place %d of 70: %v", last, s.order)
		}
	})
}

func TestOldJobsAreForgotten(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newShop(t, db, clock)
		j := s.start(In{Items: many(7)})
		s.work()
		clock.Pass(keepFor - time.Minute)
		young := s.start(In{Items: names("young")})
		s.work()
		sweep := func() {
			if err := s.Sweep(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		sweep()
		s.job(j.ID) // still there
		clock.Pass(2 * time.Minute)
		sweep()
		err := db.Read(context.Background(), s.boss, func(tx *store.Tx) error { _, err := s.Get(tx, j.ID); return err })
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("an old job: %v", err)
		}
		s.job(young.ID)
		for table, rows := range storetest.Dump(t, db) {
			if strings.HasPrefix(table, "job") && strings.Contains(strings.ReplaceAll(rows, "-", ""), string(j.ID)) {
				t.Errorf("%s remembers the job", table)
			}
		}
	})
}

// A job whose transactions fail again and again is given up, after a while.
func TestAJobThatCannotGoOnEnds(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newShop(t, db, clock)
		var tries atomic.Int32
		s.Register(Kind{Name: "broken", Need: access.CreateUsers, Title: func(web.Reader, Job) string { return "Broken" },
			Many: func(*store.Tx, Job, []Item) ([]Result, error) { tries.Add(1); return nil, errors.New("broken") }})
		j := s.start(In{Kind: "broken", Items: many(1)})
		for range 10 {
			s.work()
			clock.Pass(time.Minute)
		}
		now, _ := s.job(j.ID)
		s.is("job", fmt.Sprint(now.State, now.Done, tries.Load(), now.Why.Format != ""), fmt.Sprint(Failed, 0, maxTries, true))
	})
}

// Items that cannot be done together are done one by one: what the attempt wrote is
// undone, what fails fails alone, and the next ones are tried together again.
func TestWhatCannotBeDoneTogetherIsDoneSingly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newShop(t, db, nil)
		together := 0
		s.Register(Kind{Name: "people.many", Need: access.CreateUsers, Size: 3, Title: func(web.Reader, Job) string { return "Many" }, One: s.add, UndoOne: s.remove,
			Many: func(tx *store.Tx, j Job, items []Item) ([]Result, error) {
				together++
				return s.addAll(tx, j, items)
			}})
		j := s.start(In{Kind: "people.many", Items: names("a", "b", "boom", "skip", "d", "e", "f", "g")})
		s.work()
		now, list := s.job(j.ID)
		s.is("results", strings.Join(list, "\n"), "1 done a\n2 done b\n3 failed boom Something went wrong on the server. It is in the server's log with the job's id.\n"+
			"4 failed skip Not this one.\n5 done d\n6 done e\n7 done f\n8 done g")
		s.is("job", fmt.Sprint(now.State, now.Done, now.Counts.Failed, together), fmt.Sprint(Finished, 8, 2, 3))
		s.is("order", strings.Join(s.people(), " "), "a b d e f g")
	})
}

// A batch takes items of as many rows of job_parts as it has room for.
func TestABatchGoesAcrossParts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newShop(t, db, nil)
		var sizes []int
		next := 1
		s.Register(Kind{Name: "count", Need: access.CreateUsers, Size: chunk - 100, Title: func(web.Reader, Job) string { return "Count" },
			Many: func(_ *store.Tx, _ Job, items []Item) ([]Result, error) {
				sizes = append(sizes, len(items))
				for _, item := range items {
					if item.N != next || item.Name != fmt.Sprint("name", next) {
						t.Errorf("item %d is %d, %s", next, item.N, item.Name)
					}
					next++
				}
				return make([]Result, len(items)), nil
			}})
		j := s.start(In{Kind: "count", Items: func(yield func(Item) bool) {
			for i := range 2*chunk + 10 {
				if !yield(Item{Name: fmt.Sprint("name", i+1)}) {
					return
				}
			}
		}})
		s.work()
		now, _ := s.job(j.ID)
		s.is("batches", fmt.Sprint(sizes, now.State, now.Done), fmt.Sprint([]int{400, 400, 210}, Finished, 1010))
	})
}

// What was started here begins without waiting for the next look.
func TestRunBeginsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newShop(t, db, nil)
		s.pause = time.Hour
		done := make(chan struct{}, 1)
		s.Register(Kind{Name: "signal", Need: access.CreateUsers, Title: func(web.Reader, Job) string { return "Signal" },
			One: func(tx *store.Tx, _ Job, _ Item) (Result, error) {
				tx.AfterCommit(func() { done <- struct{}{} })
				return Result{}, nil
			}})
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { s.Run(ctx) })
		for i := range 3 { // the first one may be found by the first look
			s.start(In{Kind: "signal", Items: many(1)})
			select {
			case <-done:
			case <-time.After(time.Minute):
				t.Errorf("job %d waits for the next look", i+1)
			}
		}
		stop()
		running.Wait()
	})
}

// Pages of results walk along an index: of all, and of what was not done.
func TestResultsAreFoundByIndex(t *testing.T) {
	t.Parallel()
	storetest.WantPlans(t, func(tx *store.Tx) (list []storetest.Planned) {
		for index, states := range map[string][]ResultState{"PRIMARY KEY (org_id=? AND job_id=?": {"", DoneItem}, "job_results_other": {SkippedItem, FailedItem}} {
			for _, state := range states {
				for _, q := range []ResultQuery{{State: state, After: 3, Limit: 10}, {State: state, Before: 3, Limit: 10}} {
					query, args := resultsQuery(tx, store.NewID[Job](), q)
					list = append(list, storetest.By(index, query, args...))
				}
			}
		}
		return list
	}, "SCAN", "TEMP B-TREE")
}
