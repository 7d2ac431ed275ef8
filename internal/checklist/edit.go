package checklist

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// editPage is one template.
type editPage struct {
	Org      web.Org
	Form     web.Form
	List     string
	Title    string
	Template Template
	Rows     []taskRow
	Fields   fields
	Sources  []web.Option
}

// fields are what a task is made of, in a form.
type fields struct {
	Form        web.Form
	Whos, Autos []web.Option
}

func fieldsOf(list string, f web.Form) fields {
	if f.Get("days") == "" {
		f.Set("days", "0")
	}
	p := fields{Form: f}
	for _, who := range []string{ByAdmins, ByManager, ByPerson} {
		p.Whos = append(p.Whos, web.Option{Value: who, Label: whoNames[who]})
	}
	for _, auto := range append([]string{""}, autos[list]...) {
		p.Autos = append(p.Autos, web.Option{Value: auto, Label: autoNames[auto]})
	}
	return p
}

type taskRow struct {
	Task
	N                   int
	Last                bool
	WhoName, Knows, Due string
}

// dueWords say when a task is due.
func dueWords(r *http.Request, days int) string {
	switch {
	case days < 0:
		return web.N(r, -days, "one day before", "%d days before")
	case days == 0:
		return web.T(r, "on the day itself")
	}
	return web.N(r, days, "after one day", "after %d days")
}

func (s *Service) edit(w http.ResponseWriter, r *http.Request) error {
	return s.showEdit(w, r, http.StatusOK, web.Form{})
}

func (s *Service) showEdit(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	list := r.PathValue("list")
	p := editPage{Org: web.OrgOf(r), Form: f, List: list, Title: listNames[list]}
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Template, err = s.TemplateOf(tx, list); err != nil {
			return err
		}
		for i, t := range p.Template.Tasks {
			row := taskRow{Task: t, N: i + 1, Last: i == len(p.Template.Tasks)-1, WhoName: web.T(r, whoNames[t.Who]), Due: dueWords(r, t.Days)}
			if t.Auto != "" {
				row.Knows = autoNames[t.Auto]
			}
			if t.Who == ByPerson {
				u, err := tx.AnyUser(t.Person)
				if err != nil && !fault.Is(err, fault.NotFound) {
					return err
				}
				row.WhoName = u.DisplayName
			}
			p.Rows = append(p.Rows, row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, from := range store.Sources() {
		p.Sources = append(p.Sources, web.Option{Value: string(from), Label: sourceNames[string(from)]})
	}
	p.Form.Set("source", p.Template.Sources...)
	p.Fields = fieldsOf(list, p.Form)
	return pages.Write(w, r, status, "edit", p)
}

// changeTemplate reads a form and saves what change makes of the list; what cannot be is
// said on the page again.
func (s *Service) changeTemplate(w http.ResponseWriter, r *http.Request, again func(http.ResponseWriter, *http.Request, int, web.Form) error, change func(*store.Tx, web.Form, *Template) error) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		t, err := s.TemplateOf(tx, r.PathValue("list"))
		if err != nil {
			return err
		}
		if seen, err := strconv.ParseInt(f.Get("version"), 10, 64); err == nil {
			t.Version = seen
		}
		if err := change(tx, f, &t); err != nil {
			return err
		}
		_, err = s.SetTemplate(tx, t)
		return err
	})
	if f.Take(err) {
		return again(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved."))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/checklists/"+r.PathValue("list"), http.StatusSeeOther)
	return nil
}

// taskIn is the task of a form.
func taskIn(tx *store.Tx, f web.Form) (Task, error) {
	days, err := strconv.Atoi(f.Get("days"))
	if err != nil {
		return Task{}, fault.Invalid.On("days", "%.20q is no number of days.", f.Get("days"))
	}
	task := Task{Title: f.Get("title"), Note: f.Get("note"), Who: f.Get("who"), Days: days, Auto: f.Get("auto")}
	if task.Who == ByPerson {
		named, err := tx.NamedUsers("person", []string{f.Get("person")})
		if err != nil {
			return task, err
		}
		task.Person = named[0]
	}
	return task, nil
}

func (s *Service) add(w http.ResponseWriter, r *http.Request) error {
	return s.changeTemplate(w, r, s.showEdit, func(tx *store.Tx, f web.Form, t *Template) error {
		task, err := taskIn(tx, f)
		t.Tasks = append(t.Tasks, task)
		return err
	})
}

// nth is the place of the task that a form is about.
func nth(text string, t *Template) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > len(t.Tasks) {
		return 0, fault.Invalid.Say("There is no such task in this list any more.")
	}
	return n - 1, nil
}

func (s *Service) remove(w http.ResponseWriter, r *http.Request) error {
	return s.changeTemplate(w, r, s.showEdit, func(_ *store.Tx, f web.Form, t *Template) error {
		i, err := nth(f.Get("task"), t)
		if err == nil {
			t.Tasks = slices.Delete(t.Tasks, i, i+1)
		}
		return err
	})
}

// move puts a task one place up or down.
func (s *Service) move(w http.ResponseWriter, r *http.Request) error {
	return s.changeTemplate(w, r, s.showEdit, func(_ *store.Tx, f web.Form, t *Template) error {
		i, err := nth(f.Get("task"), t)
		if err != nil {
			return err
		}
		to := i + 1
		if f.Get("to") == "up" {
			to = i - 1
		}
		if to >= 0 && to < len(t.Tasks) { // at an end it stays
			t.Tasks[i], t.Tasks[to] = t.Tasks[to], t.Tasks[i]
		}
		return nil
	})
}

// taskPage is one task of a template.
type taskPage struct {
	Org    web.Org
	Form   web.Form
	Fields fields
	List   string
	Title  string
	N      string // its place, in the address
}

func (s *Service) editTask(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		t, err := s.TemplateOf(tx, r.PathValue("list"))
		if err != nil {
			return err
		}
		i, err := nth(r.PathValue("n"), &t)
		if err != nil {
			return fault.NotFound.Wrap(err, "There is no such task in this list any more.")
		}
		task := t.Tasks[i]
		for name, value := range map[string]string{"was": task.Title, "title": task.Title, "note": task.Note, "who": task.Who, "days": strconv.Itoa(task.Days), "auto": task.Auto} {
			f.Set(name, value)
		}
		if task.Who == ByPerson {
			u, err := tx.AnyUser(task.Person)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			f.Set("person", u.UserName)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.showTask(w, r, http.StatusOK, f)
}

func (s *Service) showTask(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	list := r.PathValue("list")
	p := taskPage{Org: web.OrgOf(r), Form: f, Fields: fieldsOf(list, f), List: list, Title: listNames[list], N: r.PathValue("n")}
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		t, err := s.TemplateOf(tx, list)
		p.Form.Default("version", strconv.FormatInt(t.Version, 10))
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "task", p)
}

// saveTask changes the task that had the name "was": when the list was changed meanwhile,
// it may stand in another place, and another task in its.
func (s *Service) saveTask(w http.ResponseWriter, r *http.Request) error {
	return s.changeTemplate(w, r, s.showTask, func(tx *store.Tx, f web.Form, t *Template) error {
		was := f.Get("was")
		i, err := nth(r.PathValue("n"), t)
		if err != nil || t.Tasks[i].Title != was {
			i = slices.IndexFunc(t.Tasks, func(task Task) bool { return task.Title == was })
		}
		if i < 0 {
			return fault.Conflict.Say("The task “%.200s” was removed or renamed meanwhile. Open the list, and add this one if it is still needed.", was)
		}
		t.Tasks[i], err = taskIn(tx, f)
		return err
	})
}

func (s *Service) choose(w http.ResponseWriter, r *http.Request) error {
	return s.changeTemplate(w, r, s.showEdit, func(_ *store.Tx, f web.Form, t *Template) error {
		t.Sources = f.All("source")
		return nil
	})
}
