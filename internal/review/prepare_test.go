package review_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/review"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// large is a desk with more people than one transaction writes down, and a review of them in
// the API that is not prepared.
func large(t *testing.T, db *store.DB, clock *storetest.Clock) (*desk, string) {
	t.Helper()
	d := newDesk(t, db, clock)
	for _, name := range []string{"ann", "carl", "dora", "emil"} {
		d.person(name, access.Viewer)
	}
	d.team("Support", "ann", "emil", "root")
	review.Small(d.s, 2, 1000)
	at := d.start(`, "managers": true`)
	d.is("at first", d.state(at), "preparing 0 of 0, 0 rows")
	return d, at
}

func (d *desk) state(at string) string {
	d.t.Helper()
	m := d.json(200, "root", "GET", at, "")
	return fmt.Sprint(m["state"], " ", m["prepared"], " of ", m["people"], ", ", m["total"], " rows")
}

func (d *desk) step(at string) {
	d.t.Helper()
	if err := d.s.Step(context.Background(), d.org, review.ID(strings.TrimPrefix(at, "/api/v1/reviews/"))); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) prepare(s *review.Service) {
	d.t.Helper()
	if err := s.Prepare(context.Background()); err != nil {
		d.t.Fatal(err)
	}
}

// A large review is written down some people at a time, and another server ends what one left.
// It has the rows that a small one has, and nothing can be done with it before.
func TestALargeReviewIsPrepared(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d, at := large(t, db, clock)
		want := d.rows(d.startBy(review.Small(d.another(), 100, 1000)), "")
		d.step(at)
		d.is("who is meant", d.state(at), "preparing 0 of 6, 0 rows")
		d.step(at)
		d.is("the first", d.state(at), "preparing 2 of 6, 3 rows")
		for _, c := range [][3]string{{"GET", "/rows", ""}, {"GET", "/export/review.csv", ""}, {"GET", "/export/review.json", ""}, {"POST", "/finish", ""}, {"PATCH", "", `{"reviewers": ["bob"]}`},
			{"POST", "/decisions", `{"decision": "confirm", "rows": [1]}`}} {
			if text := d.ask(409, "root", c[0], at+c[1], c[2]); !strings.Contains(text, "still prepared") {
				t.Errorf("%v: %s", c, text)
			}
		}
		page := strings.Replace(at, "/api/v1", "/console/acme", 1)
		if text := d.ask(200, "root", "GET", page, ""); !strings.Contains(text, "2 of 6 people are written down") || strings.Contains(text, `name="row"`) || !strings.Contains(text, `action="`+page+`/cancel"`) {
			t.Errorf("the page: %s", text)
		}
		d.ask(409, "root", "GET", page+"/finish", "")
		d.ask(409, "root", "POST", page+"/decide", "do=confirm&row=1")
		if text := d.ask(200, "root", "GET", "/console/acme/reviews", ""); !strings.Contains(text, "Being prepared") {
			t.Error("the list does not say that it is prepared")
		}
		d.ask(404, "ann", "GET", strings.Replace(at, "/api/v1", "/account", 1), "")
		d.is("nobody is told", d.remind(), "[]")

		clock.Pass(time.Minute)
		d.prepare(review.Small(d.another(), 5, 1000))
		d.is("by another server", d.state(at), "open 6 of 6, 9 rows")
		d.is("rows", d.rows(at, ""), want)
		m := d.json(200, "root", "GET", at, "")
		d.is("a minute later", m["prepared_at"], store.TimeOf(clock.Now()).RFC3339())
		if text := d.ask(200, "root", "GET", page, ""); !strings.Contains(text, "Written down until") {
			t.Error("the page does not say how long it took")
		}
		d.is("all are told", len(d.remind()), 2)
		d.is("decided", d.decide("bob", at, "confirm", 1), "done confirmed")
		d.prepare(d.s)
		d.is("nothing is left to do", d.state(at), "open 6 of 6, 9 rows")
	})
}

// startBy begins a review of everybody that is there at once.
func (d *desk) startBy(s *review.Service) string {
	d.t.Helper()
	var made review.Review
	d.as(d.who["root"], func(tx *store.Tx) (err error) {
		made, err = s.Start(tx, review.In{Name: "At once", Scope: review.Everybody, Reviewers: []store.UserID{d.ids["root"]}, Due: tx.Now().Add(time.Hour)})
		return err
	})
	if made.State != review.Open {
		d.t.Errorf("a small review is %s", made.State)
	}
	d.json(200, "root", "POST", "/api/v1/reviews/"+string(made.ID)+"/finish", "")
	return "/api/v1/reviews/" + string(made.ID)
}

func (d *desk) remind() []string {
	d.t.Helper()
	d.mails = nil
	if err := d.s.Remind(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	return d.mails
}

// Who is in it is who was there at the start; what each of them has is as it is by then.
func TestPeopleChangeWhileAReviewIsPrepared(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d, at := large(t, db, clock)
		d.step(at)
		d.step(at) // ann and bob
		d.person("aaron", access.Viewer)
		d.write(func(tx *store.Tx) error {
			if _, err := tx.Deactivate(d.ids["carl"], ""); err != nil {
				return err
			}
			u, err := tx.User(d.ids["emil"])
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			doc["displayName"] = "Abel"
			_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
			return err
		})
		d.prepare(d.s)
		d.is("rows", strings.Join(d.rows(at, ""), "; "), "1 ann role Viewer: open; 2 ann team Support: open; 3 bob role Admin: open; 4 dora role Viewer: open; 5 Abel role Viewer: open; 6 Abel team Support: open; 7 root role Admin: open; 8 root team Support: open")
	})
}

// Two servers that prepare the same reviews write each person down once.
func TestTwoServersPrepare(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d, one := large(t, db, clock)
		two := d.start("")
		var wg sync.WaitGroup
		for range 3 {
			s := review.Small(d.another(), 2, 1000)
			wg.Go(func() {
				if err := s.Prepare(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, at := range []string{one, two} {
			d.is("state", d.state(at), "open 6 of 6, 9 rows")
			rows := d.rows(at, "")
			d.is("rows", len(rows), 9)
			for i, row := range rows {
				if !strings.HasPrefix(row, fmt.Sprint(i+1, " ")) {
					t.Errorf("row %d: %s", i+1, row)
				}
			}
		}
	})
}

// What is cancelled, by somebody or because it is too large, is cleared away and holds no place.
func TestACancelledReview(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d, at := large(t, db, clock)
		d.step(at)
		d.step(at)
		page := strings.Replace(at, "/api/v1", "/console/acme", 1)
		d.json(403, "ann", "POST", at+"/cancel", "")
		d.ask(303, "root", "POST", page+"/cancel", "")
		d.is("left of it", d.left(), "3 2")
		d.prepare(d.s)
		d.is("cleared away", d.left(), "0 0")
		d.is("state", d.state(at), "cancelled 2 of 6, 0 rows")
		if text := d.ask(200, "root", "GET", page, ""); !strings.Contains(text, "It was cancelled before it began") || strings.Contains(text, `http-equiv`) {
			t.Errorf("the page: %s", text)
		}
		if text := d.ask(200, "root", "GET", "/console/acme/reviews", ""); !strings.Contains(text, "Cancelled") {
			t.Error("the list does not say that it is cancelled")
		}
		for _, path := range []string{"/cancel", "/finish"} {
			if text := d.ask(409, "root", "POST", at+path, ""); !strings.Contains(text, "was cancelled") {
				t.Errorf("%s: %s", path, text)
			}
		}
		d.is("nobody is told", d.remind(), "[]")

		review.Small(d.s, 2, 5)
		big := d.start("")
		d.prepare(d.s)
		m := d.json(200, "root", "GET", big, "")
		d.is("too large", fmt.Sprint(m["state"], " ", m["finished_by"], ": ", m["why"]), "cancelled Muster: It would have more than 400000 rows. Choose fewer people, such as one team.")
		d.is("cleared away as well", d.left(), "0 0")

		open := d.startBy(review.Small(d.another(), 100, 1000))
		if text := d.ask(409, "root", "POST", open+"/cancel", ""); !strings.Contains(text, "is finished") {
			t.Errorf("cancel what is finished: %s", text)
		}
	})
}

// left are the rows and parts of reviews that are not finished.
func (d *desk) left() string {
	d.t.Helper()
	var rows, parts int
	d.write(func(tx *store.Tx) error {
		if err := tx.Get(&rows, "SELECT COUNT(*) FROM review_rows w JOIN reviews r ON r.org_id = w.org_id AND r.id = w.review_id WHERE w.org_id = ? AND r.state <> 'finished'", tx.Org()); err != nil {
			return err
		}
		return tx.Get(&parts, "SELECT COUNT(*) FROM review_parts WHERE org_id = ?", tx.Org())
	})
	return fmt.Sprint(rows, " ", parts)
}

// A review that cannot go on is tried again later, and holds up no other one.
func TestAReviewThatCannotGoOn(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d, broken := large(t, db, clock)
		d.step(broken)
		spoil := func(people string) {
			d.write(func(tx *store.Tx) error {
				_, err := tx.Exec("UPDATE review_parts SET people = {{as_json}} WHERE org_id = ? AND part = 1", people, tx.Org())
				return err
			})
		}
		spoil(`{}`)
		sound := d.start("")
		if err := d.s.Prepare(context.Background()); err == nil || !strings.Contains(err.Error(), "part 1") {
			t.Errorf("the broken one: %v", err)
		}
		d.is("the sound one", d.state(sound), "open 6 of 6, 9 rows")
		d.is("the broken one", d.state(broken), "preparing 2 of 6, 3 rows")
		d.prepare(d.s) // not yet
		spoil(`["` + string(d.ids["carl"]) + `", "` + string(d.ids["dora"]) + `"]`)
		clock.Pass(time.Minute)
		d.prepare(d.s)
		d.is("mended", d.state(broken), "open 6 of 6, 9 rows")
	})
}

// A team is found by its name, however many there are, and without a script.
func TestTheTeamOfAReviewIsFoundByName(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := newDesk(t, db, clock)
		ids := map[string]store.GroupID{}
		d.as(d.who["root"], func(tx *store.Tx) error {
			for i := range 30 {
				g, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": fmt.Sprintf("Team %02d <b>", i)}, Members: []store.UserID{d.ids["bob"]}})
				if err != nil {
					return err
				}
				ids[g.Name] = g.ID
			}
			return nil
		})
		last := "team:" + string(ids["Team 29 <b>"])
		text := d.ask(200, "root", "GET", "/console/acme/reviews/new", "")
		if strings.Contains(text, last) || !strings.Contains(text, `name="find_team"`) || !strings.Contains(text, "Team 00 &lt;b&gt;") {
			t.Errorf("the first: %s", text)
		}
		form := "name=Mine&scope=all&repeat=0&once=1&due=" + clock.Now().Add(72*time.Hour).Format(time.DateOnly) + "&reviewer=" + string(d.ids["root"])
		text = d.ask(200, "root", "POST", "/console/acme/reviews", form+"&do=find&find_team=29")
		if !strings.Contains(text, last) || !strings.Contains(text, `value="Mine"`) || strings.Contains(text, "Team 00") {
			t.Errorf("found: %s", text)
		}
		if text = d.ask(200, "root", "POST", "/console/acme/reviews", strings.Replace(form, "scope=all", "scope="+last, 1)+"&do=find&find_team=nothing"); !strings.Contains(text, last+`" selected`) || !strings.Contains(text, "No team is called so") {
			t.Errorf("what is chosen stays: %s", text)
		}
		at := d.ask(303, "root", "POST", "/console/acme/reviews", strings.Replace(form, "scope=all", "scope="+last, 1)+"&find_team=29")
		if text = d.ask(200, "root", "GET", at, ""); !strings.Contains(text, "People in the team Team 29") {
			t.Errorf("started: %s", text)
		}
	})
}
