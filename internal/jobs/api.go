package jobs

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (s *Service) mountAPI(m *web.Mux) {
	m.API(access.ViewUsers, "GET /api/v1/jobs", s.apiList)                  // List jobs, newest first, 50 at a time
	m.API(access.ViewUsers, "GET /api/v1/jobs/{job}", s.apiGet)             // Get a job
	m.API(access.ViewUsers, "GET /api/v1/jobs/{job}/results", s.apiResults) // List the results of a job, 500 at a time
	m.API(access.ViewUsers, "POST /api/v1/jobs/{job}/cancel", s.apiCancel)  // Cancel a job. 409 when it is over
	m.API(access.ViewUsers, "POST /api/v1/jobs/{job}/undo", s.apiUndo)      // Undo a job, by a job. 409 when nothing can be undone, 410 after 24 hours
}

// View is a job as programs see it.
type View struct {
	ID        ID     `json:"id"`
	Kind      string `json:"kind"`
	Title     string `json:"title"`
	State     State  `json:"state"`
	Undoes    ID     `json:"undoes,omitempty"`
	UndoneBy  ID     `json:"undone_by,omitempty"`
	StartedBy string `json:"started_by"`
	Total     int    `json:"total"`
	Completed int    `json:"completed"` // items that have a result
	Results   Counts `json:"results"`
	Why       string `json:"why,omitempty"` // it was stopped
	CreatedAt string `json:"created_at"`
	StartedAt string `json:"started_at,omitempty"`
	EndedAt   string `json:"ended_at,omitempty"`
	UndoUntil string `json:"undo_until,omitempty"` // there is something that can be undone
}

// Of is a job as programs see it at this time.
func (s *Service) Of(j Job, now store.Time) View {
	v := View{ID: j.ID, Kind: j.Kind, Title: s.title(web.Reader{}, j), State: j.State, Undoes: j.Undoes, UndoneBy: j.UndoneBy, StartedBy: j.Starter.Name,
		Total: j.Total, Completed: j.Done, Results: j.Counts, Why: j.Why.In(fmt.Sprintf), CreatedAt: j.CreatedAt.RFC3339(), StartedAt: j.StartedAt.OrEmpty(), EndedAt: j.EndedAt.OrEmpty()}
	if s.mayUndo(now, j) == nil && j.UndoneBy == "" {
		v.UndoUntil = j.EndedAt.Add(UndoFor).RFC3339()
	}
	return v
}

func (s *Service) apiList(w http.ResponseWriter, r *http.Request) error {
	var before ID
	if text := r.URL.Query().Get("before"); text != "" {
		id, err := store.ParseID[Job](text)
		if err != nil {
			return err
		}
		before = id
	}
	out := struct {
		Jobs []View `json:"jobs"`
		Next string `json:"next,omitempty"` // ?before=
	}{Jobs: []View{}}
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := s.List(tx, before, pageSize+1)
		if len(list) > pageSize {
			list = list[:pageSize]
			out.Next = string(list[pageSize-1].ID)
		}
		for _, j := range list {
			out.Jobs = append(out.Jobs, s.Of(j, tx.Now()))
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (s *Service) apiGet(w http.ResponseWriter, r *http.Request) error {
	return s.one(w, r, http.StatusOK, s.opt.DB.Read, s.Get)
}

func (s *Service) apiCancel(w http.ResponseWriter, r *http.Request) error {
	return s.one(w, r, http.StatusOK, s.opt.DB.Write, func(tx *store.Tx, id ID) (Job, error) {
		if err := s.Cancel(tx, id); err != nil {
			return Job{}, err
		}
		return s.Get(tx, id)
	})
}

func (s *Service) apiUndo(w http.ResponseWriter, r *http.Request) error {
	if asked, err := s.askFresh(w, r); asked || err != nil {
		return err
	}
	return s.one(w, r, http.StatusAccepted, s.opt.DB.Write, s.Undo)
}

// one answers with a job.
func (s *Service) one(w http.ResponseWriter, r *http.Request, status int, run func(context.Context, access.Actor, func(*store.Tx) error) error, do func(*store.Tx, ID) (Job, error)) error {
	id, err := store.ParseID[Job](r.PathValue("job"))
	if err != nil {
		return err
	}
	var v View
	err = run(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		j, err := do(tx, id)
		v = s.Of(j, tx.Now())
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, status, v)
}

// resultJSON is a result as programs see it.
type resultJSON struct {
	Number int         `json:"number"`
	Result ResultState `json:"result"`
	Did    string      `json:"did,omitempty"`
	Target string      `json:"target,omitempty"`
	Name   string      `json:"name,omitempty"`
	Why    string      `json:"why,omitempty"`
}

func (s *Service) apiResults(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Job](r.PathValue("job"))
	if err != nil {
		return err
	}
	q, err := resultView(r)
	if err != nil {
		return err
	}
	q.Limit, q.Before = 500, 0
	out := struct {
		Results []resultJSON `json:"results"`
		Next    string       `json:"next,omitempty"` // ?after=
	}{Results: []resultJSON{}}
	err = s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if _, err := s.Get(tx, id); err != nil {
			return err
		}
		list, err := s.Results(tx, id, q)
		for _, f := range list {
			out.Results = append(out.Results, resultJSON{f.N, f.State, f.Did, f.Target, f.Name, f.Why.In(fmt.Sprintf)})
		}
		if len(list) == q.Limit {
			out.Next = strconv.Itoa(list[len(list)-1].N)
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}
