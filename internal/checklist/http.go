package checklist

import (
	"embed"
	"net/http"
	"net/url"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed all:templates
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
	m.Console(access.Configure, "POST "+at+"/{list}/move", s.move)
	m.Console(access.Configure, "GET "+at+"/{list}/tasks/{n}/change", s.editTask)
	m.Console(access.Configure, "POST "+at+"/{list}/tasks/{n}/change", s.saveTask)
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
