package review

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What managers see: the rows of those whose manager they were when the review began.
// They need no right in the console, so the server reads for them, and these alone.

type managedPage struct{ Rows []listed }

// managedBy are the open reviews that ask a manager, newest first.
func managedBy(tx *store.Tx, user string) (list []Review, err error) {
	if err := tx.Select(&list, reviewColumns+` WHERE org_id = ? AND finished_at = 0 AND state = 'open' AND managers
		AND EXISTS (SELECT 1 FROM review_rows w WHERE w.org_id = ? AND w.manager_id = {{as_id}} AND w.review_id = reviews.id) ORDER BY id DESC LIMIT 50`,
		tx.Org(), tx.Org(), user); err != nil {
		return nil, err
	}
	for i := range list {
		if err := list[i].fill(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// person is who asks, when it is a person of an organization.
func person(r *http.Request) (access.Actor, error) {
	a := web.Actor(r)
	if a.Kind != access.Person || a.Org == "" {
		return a, fault.NotFound.Say("There is no such review here.")
	}
	return a, nil
}

func (s *Service) managed(w http.ResponseWriter, r *http.Request) error {
	actor, err := person(r)
	if err != nil {
		return err
	}
	var p managedPage
	err = s.opt.DB.Read(r.Context(), access.Muster(actor.Org), func(tx *store.Tx) error {
		list, err := managedBy(tx, actor.ID)
		for _, one := range list {
			p.Rows = append(p.Rows, listed{Review: one, Late: one.DueAt < tx.Now()})
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "managed", p)
}

func (s *Service) managedOne(w http.ResponseWriter, r *http.Request) error {
	return s.managedPage(w, r, http.StatusOK, web.Form{}, nil)
}

func (s *Service) managedPage(w http.ResponseWriter, r *http.Request, status int, f web.Form, out []Outcome) error {
	actor, err := person(r)
	if err != nil {
		return err
	}
	id, err := idIn(r)
	if err != nil {
		return err
	}
	view, after, before, err := viewIn(r)
	if err != nil {
		return err
	}
	view.Manager = store.UserID(actor.ID)
	p := reviewPage{At: "/account/reviews/" + string(id), Back: "/account/reviews", Form: f, Filter: view, Manager: true}
	err = s.opt.DB.Read(r.Context(), access.Muster(actor.Org), func(tx *store.Tx) error {
		if p.Review, err = find(tx, id, ""); err != nil {
			return err
		}
		p.Late, p.May = p.Review.State == Open && p.Review.DueAt < tx.Now(), p.Review.State == Open
		if err := p.fill(r, tx, after, before); err != nil {
			return err
		}
		if mine, err := rowsOf(tx, id, Filter{Manager: view.Manager}, 0, 0, 1); err != nil || len(mine) == 0 || !p.Review.Managers || !p.Review.written() {
			return fault.NotFound.Wrap(err, "There is no such review here.")
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.outcomes(r, out)
	return pages.Write(w, r, status, "review", p)
}

func (s *Service) managedDecide(w http.ResponseWriter, r *http.Request) error {
	actor, err := person(r)
	if err != nil {
		return err
	}
	id, err := idIn(r)
	if err != nil {
		return err
	}
	f, in, err := decisionIn(r)
	if err != nil {
		return err
	}
	var out []Outcome
	err = s.opt.DB.Write(r.Context(), AsManager(actor), func(tx *store.Tx) (err error) {
		out, err = s.DecideAsManager(tx, actor, id, in)
		return err
	})
	return s.decided(w, r, f, out, err, s.managedPage, "/account/reviews/"+string(id))
}
