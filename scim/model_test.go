package scim

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/scimmodel"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// modelTime is how long each model test looks for disagreements on each database:
// MUSTER_MODEL=20m is a long run. MUSTER_MODEL_SEED runs one sequence alone.
func modelTime(t *testing.T) time.Duration {
	text := os.Getenv("MUSTER_MODEL")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("MUSTER_MODEL: %v", err)
	}
	return d
}

// emptyDoor is a directory of a new organization on the same server.
func (d *door) emptyDoor(slug, mode string) *door {
	d.t.Helper()
	other := *d
	_, other.admin = storetest.Org(d.t, d.db, slug)
	return other.another(NewDirectory{Mode: mode})
}

// asked sends what the model asks for.
func (d *door) asked(q scimmodel.Request) scimmodel.Answer {
	r := httptest.NewRequest(q.Method, BaseURL(testURL, d.directory.ID)+q.Path, strings.NewReader(q.Body))
	r.Header.Set("Authorization", "Bearer "+d.token)
	r.Header.Set("Content-Type", contentType)
	for name, v := range q.Head {
		r.Header.Set(name, v)
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	return scimmodel.Answer{Status: w.Code, Head: w.Header(), Body: w.Body.String()}
}

// Random requests are answered, and change what a read shows, as an independent
// model of the RFCs says.
func TestTheModelAgrees(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		first := openDoor(t, db, NewDirectory{})
		until := time.Now().Add(modelTime(t))
		seed, only := time.Now().UnixNano()%1e9, os.Getenv("MUSTER_MODEL_SEED")
		if os.Getenv("MUSTER_MODEL") == "" {
			seed = 1 // the same each time; the long run goes on from there
		}
		runs, requests := 0, 0
		for ; runs == 0 || only == "" && (runs < fewRuns || time.Now().Before(until)); seed++ {
			if only != "" {
				seed, _ = strconv.ParseInt(only, 10, 64)
			}
			for _, mode := range []string{"compat", "strict"} {
				requests += modelRun(t, first, clock, uint64(seed), mode)
			}
			runs += 2
		}
		t.Logf("%d sequences of requests, %d requests", runs, requests)
	})
}

const (
	modelSteps = 120
	fewRuns    = 16 // also on a machine that is busy with something else
)

// modelRun is one sequence; what fails is made short and shown.
func modelRun(t *testing.T, first *door, clock *storetest.Clock, seed uint64, mode string) int {
	t.Helper()
	tries := 0
	try := func(steps []scimmodel.Step) *scimmodel.Failure {
		tries++
		d := first.emptyDoor(fmt.Sprintf("m%d-%s-%d-%d", seed, mode, time.Now().UnixNano()%1e12, tries), mode)
		return scimmodel.Run(steps, BaseURL(testURL, d.directory.ID), mode == "strict", d.asked, func() { clock.Pass(time.Second) })
	}
	steps := scimmodel.NewSource(seed, mode == "strict").Steps(modelSteps)
	found := try(steps)
	if found == nil {
		return len(steps)
	}
	steps = scimmodel.Shrink(steps[:len(found.Steps)], time.Now().Add(20*time.Second), func(s []scimmodel.Step) bool { return found.Like(try(s)) })
	if short := try(steps); short != nil {
		found = short
	}
	t.Fatalf("mode %s, MUSTER_MODEL_SEED=%d\n%v", mode, seed, found)
	return 0
}

// What several clients do at once to the same users and groups ends in answers and
// a state that some order of it explains.
func TestSomeOrderExplains(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		first := openDoor(t, db, NewDirectory{})
		until, rounds := time.Now().Add(modelTime(t)), 0
		for seed := uint64(1); rounds == 0 || time.Now().Before(until); seed++ {
			mode := []string{"compat", "strict"}[seed%2]
			d := first.emptyDoor(fmt.Sprintf("s%d", seed), mode)
			source := scimmodel.NewSource(seed, mode == "strict")
			session := scimmodel.NewSession(BaseURL(testURL, d.directory.ID), mode == "strict", d.asked)
			for _, step := range source.Base() {
				if err := session.Step(step); err != nil {
					t.Fatal(err)
				}
			}
			for range 8 {
				rounds++
				if err := session.Round(source.Together(2+rounds%3, 2), together); err != nil {
					t.Fatalf("mode %s, seed %d\n%v", mode, seed, err)
				}
			}
		}
		t.Logf("%d rounds", rounds)
	})
}

// together runs f in n goroutines.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}
