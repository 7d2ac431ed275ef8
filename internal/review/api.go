package review

import (
	"net/http"
	"strconv"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (s *Service) mountAPI(m *web.Mux) {
	const at = "/api/v1/reviews"
	m.API(access.ViewUsers, "GET "+at, s.apiList)                                      // List access reviews, newest first, 50 at a time
	m.API(access.EditUsers, "POST "+at, s.apiStart)                                    // Start an access review
	m.API(access.ViewUsers, "GET "+at+"/{review}", s.apiGet)                           // Get an access review
	m.API(access.EditUsers, "PATCH "+at+"/{review}", s.apiChange)                      // Change the reviewers or the end of a review
	m.API(access.ViewUsers, "GET "+at+"/{review}/rows", s.apiRows)                     // List the rows of a review, 200 at a time
	m.API(access.EditUsers, "POST "+at+"/{review}/decisions", s.apiDecide)             // Decide on rows of a review, 200 at once
	m.API(access.EditUsers, "POST "+at+"/{review}/finish", s.apiFinish)                // Finish a review
	m.API(access.EditUsers, "POST "+at+"/{review}/cancel", s.apiCancel)                // Cancel a review that is being prepared
	m.API(access.EditUsers, "POST "+at+"/{review}/stop-repeating", s.apiStopRepeating) // Stop a review from starting again
	m.API(access.ViewUsers, "GET "+at+"/{review}/export/{file}", s.export)             // Download a review as review.csv or review.json
}

// View is a review as programs see it.
type View struct {
	ID         ID             `json:"id"`
	Name       string         `json:"name"`
	Scope      string         `json:"scope"`
	Ref        string         `json:"scope_ref,omitempty"`
	ScopeName  string         `json:"scope_name,omitempty"`
	State      string         `json:"state"`
	Managers   bool           `json:"managers"`
	Reviewers  []store.UserID `json:"reviewers,omitempty"` // not in lists
	Total      int            `json:"total"`
	People     int            `json:"people"`
	Prepared   int            `json:"prepared"`
	PreparedAt string         `json:"prepared_at,omitempty"` // not when all were with the start
	Why        string         `json:"why,omitempty"`         // it was cancelled
	Rows       map[string]int `json:"rows,omitempty"`        // by decision; not in lists
	StartedBy  string         `json:"started_by"`
	StartedAt  string         `json:"started_at"`
	DueAt      string         `json:"due_at"`
	FinishedBy string         `json:"finished_by,omitempty"`
	FinishedAt string         `json:"finished_at,omitempty"`
	Months     int            `json:"repeat_months"`
	RepeatAt   string         `json:"repeat_at,omitempty"` // when it starts again
	Version    string         `json:"version,omitempty"`   // of what can be changed; not in lists
}

// ViewOf is a review of a list.
func ViewOf(r Review) View {
	return View{ID: r.ID, Name: r.Name, Scope: r.Scope, Ref: r.ScopeRef, ScopeName: r.ScopeName, State: r.State, Managers: r.Managers, Total: r.Total, People: r.People, Prepared: r.Prepared, PreparedAt: r.PreparedAt.OrEmpty(), Why: r.ended(english),
		StartedBy: r.StartedBy, StartedAt: r.StartedAt.RFC3339(), DueAt: r.DueAt.RFC3339(), FinishedBy: r.FinishedBy, FinishedAt: r.FinishedAt.OrEmpty(), Months: r.Months, RepeatAt: r.RepeatAt.OrEmpty()}
}

// View is a review with its reviewers and counts. Faults: Denied, NotFound.
func (s *Service) View(tx *store.Tx, id ID) (View, error) {
	r, err := s.Get(tx, id)
	if err != nil {
		return View{}, err
	}
	v := ViewOf(r)
	list, err := reviewersOf(tx, id)
	if err != nil {
		return v, err
	}
	for _, one := range list {
		v.Reviewers = append(v.Reviewers, one.ID)
	}
	v.Version = r.tag(list)
	counts, err := countRows(tx, id)
	v.Rows = map[string]int{}
	for _, decision := range decisionOrder {
		v.Rows[decisionName(decision)] = counts[decision]
	}
	return v, err
}

func decisionName(decision string) string {
	if decision == Undecided {
		return NoDecision
	}
	return decision
}

func (s *Service) apiList(w http.ResponseWriter, r *http.Request) error {
	var before ID
	if text := r.URL.Query().Get("before"); text != "" {
		id, err := store.ParseID[Review](text)
		if err != nil {
			return err
		}
		before = id
	}
	out := struct {
		Reviews []View `json:"reviews"`
		Next    string `json:"next,omitempty"` // ?before=
	}{Reviews: []View{}}
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := s.List(tx, before, pageSize+1)
		if len(list) > pageSize {
			list = list[:pageSize]
			out.Next = string(list[pageSize-1].ID)
		}
		for _, one := range list {
			out.Reviews = append(out.Reviews, ViewOf(one))
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (s *Service) apiStart(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name      string   `json:"name"`
		Scope     string   `json:"scope"`
		Ref       string   `json:"scope_ref"`
		Reviewers []string `json:"reviewers"` // ids, user names or addresses
		Managers  bool     `json:"managers"`
		DueAt     string   `json:"due_at"`
		Months    int      `json:"repeat_months"`
		Once      string   `json:"once"`
	}
	if err := web.ReadJSON(r, &in, "name", "due_at"); err != nil {
		return err
	}
	due, err := dueAt(in.DueAt)
	if err != nil {
		return err
	}
	var v View
	err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		reviewers, err := tx.NamedUsers("reviewers", in.Reviewers)
		if err != nil {
			return err
		}
		made, err := s.Start(tx, In{Name: in.Name, Scope: in.Scope, Ref: in.Ref, Reviewers: reviewers, Managers: in.Managers, Due: due, Months: in.Months, Once: in.Once})
		if err != nil {
			return err
		}
		v, err = s.View(tx, made.ID)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, v)
}

func dueAt(text string) (store.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fault.Invalid.On("due_at", "%.40q is not a time. Write it like 2026-01-31T17:00:00Z.", text)
	}
	return store.TimeOf(t), nil
}

// one answers with a review, after a change.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, change func(*store.Tx, ID) error) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	run := s.opt.DB.Write
	if change == nil {
		run = s.opt.DB.Read
	}
	var v View
	err = run(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if change != nil {
			if err := change(tx, id); err != nil {
				return err
			}
		}
		v, err = s.View(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, v)
}

func (s *Service) apiGet(w http.ResponseWriter, r *http.Request) error { return s.answer(w, r, nil) }

func (s *Service) apiFinish(w http.ResponseWriter, r *http.Request) error {
	return s.answer(w, r, func(tx *store.Tx, id ID) error {
		_, err := s.Finish(tx, id)
		return err
	})
}

func (s *Service) apiCancel(w http.ResponseWriter, r *http.Request) error {
	return s.answer(w, r, func(tx *store.Tx, id ID) error {
		_, err := s.Cancel(tx, id)
		return err
	})
}

func (s *Service) apiStopRepeating(w http.ResponseWriter, r *http.Request) error {
	return s.answer(w, r, func(tx *store.Tx, id ID) error {
		_, err := s.StopRepeating(tx, id)
		return err
	})
}

func (s *Service) apiChange(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		DueAt     *string  `json:"due_at"`
		Reviewers []string `json:"reviewers"`
		Version   string   `json:"version"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	return s.answer(w, r, func(tx *store.Tx, id ID) error {
		ch := Change{Version: in.Version}
		if in.DueAt != nil {
			due, err := dueAt(*in.DueAt)
			if err != nil {
				return err
			}
			ch.Due = &due
		}
		reviewers, err := tx.NamedUsers("reviewers", in.Reviewers)
		if err != nil {
			return err
		}
		ch.Reviewers = reviewers
		_, err = s.Change(tx, id, ch)
		return err
	})
}

// rowJSON is a row as programs see it.
type rowJSON struct {
	Number     int          `json:"number"`
	Person     string       `json:"person"`
	Email      string       `json:"email"`
	PersonID   store.UserID `json:"person_id"`
	Status     string       `json:"status"`
	Kind       string       `json:"kind"` // role, team
	ID         string       `json:"id"`   // the role's, or the team's
	Name       string       `json:"name"`
	Reason     string       `json:"reason"`
	ReasonKind string       `json:"reason_kind"`
	ReasonRef  string       `json:"reason_ref"`
	AtSource   bool         `json:"given_at_source"`
	Since      string       `json:"since"`
	SignedIn   string       `json:"signed_in_at"`
	Deed       string       `json:"last_activity_at"`
	Idle       bool         `json:"idle"`
	Decision   string       `json:"decision"`
	Note       string       `json:"note"`
	DecidedBy  string       `json:"decided_by"`
	DecidedAt  string       `json:"decided_at"`
	Remedy     string       `json:"remedy,omitempty"`
}

func rowJSONOf(r Review, row Row) rowJSON {
	v := rowJSON{Number: row.N, Person: row.Name, Email: row.Email, PersonID: row.Person, Status: string(row.Status), Kind: "role", ID: row.Role, Name: r.names["role "+row.Role],
		Reason: r.why(english, row), ReasonKind: row.Kind, ReasonRef: row.Ref, AtSource: row.AtSource, Since: row.Since.OrEmpty(), SignedIn: row.SignedIn.OrEmpty(), Deed: row.Deed.OrEmpty(),
		Idle: row.Idle, Decision: decisionName(row.Decision), Note: row.Note, DecidedBy: row.DecidedBy, DecidedAt: row.DecidedAt.OrEmpty(), Remedy: r.remedy(english, row)}
	if row.Role == "" {
		v.Kind, v.ID, v.Name = "team", string(row.Group), row.Team
	}
	return v
}

func (s *Service) apiRows(w http.ResponseWriter, r *http.Request) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	f, after, _, err := viewIn(r)
	if err != nil {
		return err
	}
	limit := 200
	out := struct {
		Rows []rowJSON `json:"rows"`
		Next string    `json:"next,omitempty"` // ?after=
	}{Rows: []rowJSON{}}
	err = s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		review, err := s.kept(tx, id)
		if err != nil {
			return err
		}
		list, err := rowsOf(tx, id, f, after, 0, limit+1)
		if len(list) > limit {
			list = list[:limit]
			out.Next = strconv.Itoa(list[limit-1].N)
		}
		for _, row := range list {
			out.Rows = append(out.Rows, rowJSONOf(review, row))
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

// outcomeJSON is what became of a row.
type outcomeJSON struct {
	Number   int    `json:"number"`
	Result   string `json:"result"` // done, refused
	Decision string `json:"decision"`
	Why      string `json:"why,omitempty"`
	Remedy   string `json:"remedy,omitempty"`
}

func (s *Service) apiDecide(w http.ResponseWriter, r *http.Request) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	var in struct {
		Decision string       `json:"decision"` // confirm, remove, reopen
		Rows     []int        `json:"rows"`
		Person   store.UserID `json:"person"`
		Note     string       `json:"note"`
	}
	if err := web.ReadJSON(r, &in, "decision"); err != nil {
		return err
	}
	if in.Person != "" {
		if _, err := store.ParseID[store.User](string(in.Person)); err != nil {
			return err
		}
	}
	res := struct {
		Results []outcomeJSON `json:"results"`
	}{}
	err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		res.Results = []outcomeJSON{}
		review, err := s.Get(tx, id)
		if err != nil {
			return err
		}
		list, err := s.Decide(tx, id, Decision{Do: in.Decision, Rows: in.Rows, Person: in.Person, Note: in.Note})
		if fault.Field(err) == "do" { // as the form names it
			err = fault.Invalid.Over("decision", err)
		}
		for _, o := range list {
			v := outcomeJSON{Number: o.N, Result: "done", Decision: decisionName(o.Decision)}
			if o.Err != nil {
				v.Result, v.Why = "refused", web.Sentence(o.Err)
			}
			if o.Decision == AtSource {
				v.Remedy = review.remedy(english, o.Row)
			}
			res.Results = append(res.Results, v)
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, res)
}
