package checklist

import (
	"context"
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (s *Service) mountAPI(m *web.Mux) {
	const at = "/api/v1/checklists"
	m.API(access.ViewUsers, "GET "+at, s.apiList)                                   // List the tasks of checklists, the one due first at the head
	m.API(access.ViewUsers, "GET "+at+"/templates/{list}", s.apiTemplate)           // Get the template of a checklist
	m.API(access.Configure, "PUT "+at+"/templates/{list}", s.apiSetTemplate)        // Replace the template of a checklist
	m.API(access.EditUsers, "PUT "+at+"/tasks/{item}/done", s.apiTurn(s.Tick))      // Mark a task as done
	m.API(access.EditUsers, "DELETE "+at+"/tasks/{item}/done", s.apiTurn(s.Untick)) // Mark a task as open again
	m.API(access.ViewUsers, "GET /api/v1/users/{user}/checklists", s.apiOf)         // List the tasks of a person
}

type itemJSON struct {
	ID        ItemID       `json:"id"`
	User      store.UserID `json:"user_id"`
	Name      string       `json:"name"`
	List      string       `json:"list"`
	Title     string       `json:"title"`
	Note      string       `json:"note"`
	Assignee  store.UserID `json:"assignee_id"` // empty: an admin
	Auto      string       `json:"auto"`
	StartedAt string       `json:"started_at"`
	DueAt     string       `json:"due_at"`
	State     string       `json:"state"`
	EndedBy   string       `json:"ended_by"`
	EndedAt   string       `json:"ended_at"`
}

func itemOf(i Item) itemJSON {
	v := itemJSON{ID: i.ID, User: i.User, Name: i.Name, List: i.List, Title: i.Title, Note: i.Note, Assignee: i.Assignee, Auto: i.Auto,
		StartedAt: i.StartedAt.RFC3339(), DueAt: i.DueAt.RFC3339(), State: i.State, EndedBy: i.EndedBy}
	if i.EndedAt != 0 {
		v.EndedAt = i.EndedAt.RFC3339()
	}
	return v
}

type itemsJSON struct {
	Tasks []itemJSON `json:"tasks"`
	Next  string     `json:"next,omitempty"`
}

func itemsOf(list []Item, next string) itemsJSON {
	out := itemsJSON{Tasks: []itemJSON{}, Next: next}
	for _, i := range list {
		out.Tasks = append(out.Tasks, itemOf(i))
	}
	return out
}

func (s *Service) apiList(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	q := Query{State: v.Get("state"), Late: v.Get("overdue") == "true", After: v.Get("after")}
	if text := v.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 200 {
			return fault.Invalid.On("limit", "%.20q is no limit: it is 1 to 200.", text)
		}
		q.Limit = n
	}
	if text := v.Get("assignee"); text != "" {
		id, err := store.ParseID[store.User](text)
		if err != nil {
			return err
		}
		q.Assignee = id
	}
	var out itemsJSON
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		page, err := s.List(tx, q)
		out = itemsOf(page.Items, page.Next)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (s *Service) apiOf(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	var out itemsJSON
	err = s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if _, err := tx.AnyUser(id); err != nil {
			return err
		}
		list, err := s.Of(tx, id)
		out = itemsOf(list, "")
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func (s *Service) apiTurn(do func(*store.Tx, ItemID) (Item, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := store.ParseID[Item](r.PathValue("item"))
		if err != nil {
			return err
		}
		var i Item
		err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
			i, err = do(tx, id)
			return err
		})
		if err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, itemOf(i))
	}
}

type templateJSON struct {
	List    string   `json:"list"`
	Tasks   []Task   `json:"tasks"`
	Sources []string `json:"sources,omitempty"` // of joiners
	Version int64    `json:"version"`
}

func (s *Service) apiTemplate(w http.ResponseWriter, r *http.Request) error {
	return s.answerTemplate(w, r, s.opt.DB.Read, s.TemplateOf)
}

func (s *Service) apiSetTemplate(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Tasks   []Task   `json:"tasks"`
		Sources []string `json:"sources"`
		Version *int64   `json:"version"` // as it is by now when left out
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	return s.answerTemplate(w, r, s.opt.DB.Write, func(tx *store.Tx, list string) (Template, error) {
		t, err := s.TemplateOf(tx, list)
		if err != nil {
			return t, err
		}
		t.Tasks = in.Tasks
		if in.Sources != nil {
			t.Sources = in.Sources
		}
		if in.Version != nil {
			t.Version = *in.Version
		}
		return s.SetTemplate(tx, t)
	})
}

func (s *Service) answerTemplate(w http.ResponseWriter, r *http.Request, run func(context.Context, access.Actor, func(*store.Tx) error) error, get func(*store.Tx, string) (Template, error)) error {
	var t Template
	err := run(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		t, err = get(tx, r.PathValue("list"))
		return err
	})
	if err != nil {
		return err
	}
	out := templateJSON{List: t.List, Tasks: append([]Task{}, t.Tasks...), Version: t.Version}
	if t.List == Joiner {
		out.Sources = t.Sources
	}
	return web.JSON(w, http.StatusOK, out)
}
