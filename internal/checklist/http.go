package checklist

import (
	"embed"
	"net/http"
	"net/url"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Mount adds the routes.
func (s *Service) Mount(m *web.Mux) {
	const at = "/console/{org}/checklists"
	m.Console(access.ViewUsers, "GET "+at, s.index)
	m.Console(access.ViewUsers, "POST "+at+"/tasks/{item}/{turn}", s.turnHere)
	m.Console(access.Configure, "GET "+at+"/{list}", s.edit)
	m.Console(access.Configure, "POST "+at+"/{list}/add", s.add)
	m.Console(access.Configure, "POST "+at+"/{list}/remove", s.remove)
	m.Console(access.Configure, "POST "+at+"/{list}/sources", s.choose)
	m.Member("GET /account/checklists", s.mine)
	m.Member("POST /account/checklists/{item}/{turn}", s.turnMine)
	s.mountAPI(m)
}

var listNames = map[string]string{Joiner: "When somebody joins", Leaver: "When somebody leaves"}

var autoNames = map[string]string{"": "Somebody ticks it off", SignedIn: "The person has signed in", SecondFactor: "The person has a second factor", AccessEnded: "Access and sessions are ended", HandedOver: "Somebody takes the work over"}

var whoNames = map[string]string{ByAdmins: "Admins", ByManager: "The person's manager", ByPerson: "Somebody named"}

var sourceNames = map[string]string{string(store.FromInvite): "Who is invited", string(store.FromCSV): "Who comes in a file", string(store.FromJIT): "Who comes with a first sign-in", string(store.FromSCIM): "Who comes from a directory", string(store.FromAPI): "Who comes by the API"}

// View is a task as pages show it.
type View struct {
	Item
	ListName string
	AutoName string
	Late     bool
	MayTick  bool
}

func views(list []Item, now store.Time, by access.Actor) []View {
	out := make([]View, len(list))
	for i, item := range list {
		out[i] = View{Item: item, ListName: listNames[item.List], Late: item.State == Open && item.DueAt < now,
			MayTick: by.May(access.EditUsers) || by.Kind == access.Person && by.ID == string(item.Assignee)}
		if item.Auto != "" {
			out[i].AutoName = autoNames[item.Auto]
		}
	}
	return out
}

// Card are the tasks of a person, for the person's page.
func (s *Service) Card(tx *store.Tx, user store.UserID) ([]View, error) {
	list, err := s.Of(tx, user)
	return views(list, tx.Now(), tx.Actor()), err
}

type chip struct {
	Label, Link string
	Current     bool
}

type tasksPage struct {
	Org          web.Org
	Form         web.Form
	Rows         []View
	Chips        []chip
	Here, Next   string
	First        bool // this is not the first page
	MayConfigure bool
}

func (s *Service) index(w http.ResponseWriter, r *http.Request) error {
	return s.showIndex(w, r, http.StatusOK, web.Form{})
}

func (s *Service) showIndex(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	by, v := web.Actor(r), r.URL.Query()
	p := tasksPage{Org: web.OrgOf(r), Form: f, MayConfigure: by.May(access.Configure), First: v.Get("after") != ""}
	q, show := Query{After: v.Get("after")}, v.Get("show")
	switch show {
	case "":
	case "overdue":
		q.Late = true
	case "mine":
		if q.Assignee = store.UserID(by.ID); by.Kind != access.Person {
			return fault.Invalid.On("show", "There is no view %.40q. It is overdue, mine or done.", show)
		}
	case "done":
		q.State = Done
	default:
		return fault.Invalid.On("show", "There is no view %.40q. It is overdue, mine or done.", show)
	}
	for _, c := range []chip{{Label: "Open"}, {Label: "Overdue", Link: "overdue"}, {Label: "Mine", Link: "mine"}, {Label: "Done", Link: "done"}} {
		c.Current = c.Link == show
		c.Link = "?" + url.Values{"show": {c.Link}}.Encode()
		p.Chips = append(p.Chips, c)
	}
	err := s.opt.DB.Read(r.Context(), by, func(tx *store.Tx) error {
		page, err := s.List(tx, q)
		p.Rows = views(page.Items, tx.Now(), by)
		if page.Next != "" {
			p.Next = "?" + url.Values{"show": {show}, "after": {page.Next}}.Encode()
		}
		return err
	})
	if err != nil {
		return err
	}
	p.Here = "?" + url.Values{"show": {show}, "after": {v.Get("after")}}.Encode()
	return pages.Write(w, r, status, "tasks", p)
}

// ticked turns the task of the address, for whoever asks.
func (s *Service) ticked(r *http.Request, by access.Actor) (Item, error) {
	id, err := store.ParseID[Item](r.PathValue("item"))
	if err != nil {
		return Item{}, err
	}
	do := map[string]func(*store.Tx, ItemID) (Item, error){"done": s.Tick, "open": s.Untick}[r.PathValue("turn")]
	if do == nil {
		return Item{}, fault.NotFound.Say("There is nothing at this address.")
	}
	var i Item
	err = s.opt.DB.Write(r.Context(), by, func(tx *store.Tx) (err error) {
		i, err = do(tx, id)
		return err
	})
	return i, err
}

// turnHere ticks a task on the page of tasks, or on the person's.
func (s *Service) turnHere(w http.ResponseWriter, r *http.Request) error {
	i, err := s.ticked(r, web.Actor(r))
	var f web.Form
	if f.Take(err) {
		return s.showIndex(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved."))
	console := "/console/" + web.OrgOf(r).Slug
	to := console + "/checklists?" + url.Values{"show": {r.URL.Query().Get("show")}, "after": {r.URL.Query().Get("after")}}.Encode()
	if r.URL.Query().Get("from") == "person" {
		to = console + "/users/" + string(i.User)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// person is who asks, when it is a person of an organization.
func person(r *http.Request) (access.Actor, error) {
	a := web.Actor(r)
	if a.Kind != access.Person || a.Org == "" {
		return a, fault.NotFound.Say("There is no such task here.")
	}
	return a, nil
}

func (s *Service) mine(w http.ResponseWriter, r *http.Request) error {
	return s.showMine(w, r, http.StatusOK, web.Form{})
}

func (s *Service) showMine(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	by, err := person(r)
	if err != nil {
		return err
	}
	p := tasksPage{Form: f, First: r.URL.Query().Get("after") != ""}
	err = s.opt.DB.Read(r.Context(), by, func(tx *store.Tx) error {
		page, err := s.List(tx, Query{Assignee: store.UserID(by.ID), After: r.URL.Query().Get("after")})
		p.Rows = views(page.Items, tx.Now(), by)
		if page.Next != "" {
			p.Next = "?" + url.Values{"after": {page.Next}}.Encode()
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "mine", p)
}

func (s *Service) turnMine(w http.ResponseWriter, r *http.Request) error {
	by, err := person(r)
	if err != nil {
		return err
	}
	_, err = s.ticked(r, by)
	var f web.Form
	if f.Take(err) {
		return s.showMine(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved."))
	http.Redirect(w, r, "/account/checklists", http.StatusSeeOther)
	return nil
}

// editPage is one template.
type editPage struct {
	Org      web.Org
	Form     web.Form
	List     string
	Title    string
	Template Template
	Rows     []taskRow
	Whos     []web.Option
	Autos    []web.Option
	Sources  []web.Option
}

type taskRow struct {
	Task
	N                   int
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
			row := taskRow{Task: t, N: i + 1, WhoName: web.T(r, whoNames[t.Who]), Due: dueWords(r, t.Days)}
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
	for _, who := range []string{ByAdmins, ByManager, ByPerson} {
		p.Whos = append(p.Whos, web.Option{Value: who, Label: whoNames[who]})
	}
	for _, auto := range append([]string{""}, autos[list]...) {
		p.Autos = append(p.Autos, web.Option{Value: auto, Label: autoNames[auto]})
	}
	for _, from := range store.Sources() {
		p.Sources = append(p.Sources, web.Option{Value: string(from), Label: sourceNames[string(from)]})
	}
	p.Form.Set("source", p.Template.Sources...)
	if p.Form.Get("days") == "" {
		p.Form.Set("days", "0")
	}
	return pages.Write(w, r, status, "edit", p)
}

// changeTemplate reads a form and saves what change makes of the list.
func (s *Service) changeTemplate(w http.ResponseWriter, r *http.Request, change func(*store.Tx, web.Form, *Template) error) error {
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
		return s.showEdit(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved."))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/checklists/"+r.PathValue("list"), http.StatusSeeOther)
	return nil
}

func (s *Service) add(w http.ResponseWriter, r *http.Request) error {
	return s.changeTemplate(w, r, func(tx *store.Tx, f web.Form, t *Template) error {
		days, err := strconv.Atoi(f.Get("days"))
		if err != nil {
			return fault.Invalid.On("days", "%.20q is no number of days.", f.Get("days"))
		}
		task := Task{Title: f.Get("title"), Note: f.Get("note"), Who: f.Get("who"), Days: days, Auto: f.Get("auto")}
		if task.Who == ByPerson {
			named, err := tx.NamedUsers("person", []string{f.Get("person")})
			if err != nil {
				return err
			}
			task.Person = named[0]
		}
		t.Tasks = append(t.Tasks, task)
		return nil
	})
}

func (s *Service) remove(w http.ResponseWriter, r *http.Request) error {
	return s.changeTemplate(w, r, func(_ *store.Tx, f web.Form, t *Template) error {
		n, err := strconv.Atoi(f.Get("task"))
		if err != nil || n < 1 || n > len(t.Tasks) {
			return fault.Invalid.Say("There is no such task in this list any more.")
		}
		t.Tasks = append(t.Tasks[:n-1:n-1], t.Tasks[n:]...)
		return nil
	})
}

func (s *Service) choose(w http.ResponseWriter, r *http.Request) error {
	return s.changeTemplate(w, r, func(_ *store.Tx, f web.Form, t *Template) error {
		t.Sources = f.All("source")
		return nil
	})
}
