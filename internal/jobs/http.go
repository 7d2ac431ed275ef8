package jobs

import (
	"embed"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Mount adds the routes. What is seen of them depends on the rights that each kind needs.
func (s *Service) Mount(m *web.Mux) {
	m.Console(access.ViewUsers, "GET /console/{org}/jobs", s.index)
	m.Console(access.ViewUsers, "GET /console/{org}/jobs/{job}", s.show)
	m.Console(access.ViewUsers, "GET /console/{org}/jobs/{job}/results.csv", s.download)
	m.Console(access.ViewUsers, "POST /console/{org}/jobs/{job}/cancel", s.cancel)
	m.Console(access.ViewUsers, "POST /console/{org}/jobs/{job}/undo", s.undo)
	s.mountAPI(m)
}

// refresh is how often the page of a running job loads itself anew, in seconds.
const refresh = "2"

const pageSize = 50

// badge is a word with a colour.
type badge struct{ Class, Text string }

var states = map[State]badge{Queued: {"pending", "Waiting"}, Running: {"info", "Running"}, Finished: {"good", "Done"}, Cancelled: {"cancelled", "Cancelled"}, Failed: {"failed", "Stopped"}}

var ends = map[ResultState]badge{DoneItem: {"good", "Done"}, SkippedItem: {"grey", "Skipped"}, FailedItem: {"failed", "Failed"}}

// jobView is a job as pages show it.
type jobView struct {
	Job
	Title string
	Badge badge
	Left  int
	Words []wordCount
}

type wordCount struct {
	Word string
	N    int
}

func (s *Service) view(to web.Reader, j Job) jobView {
	v := jobView{Job: j, Title: s.title(to, j), Badge: states[j.State], Left: j.Total - j.Done}
	v.Badge.Text = to.T(v.Badge.Text)
	k := s.kinds[j.Kind]
	for _, did := range slices.Sorted(maps.Keys(k.Words)) {
		if n := j.Counts.Did[did]; n > 0 {
			v.Words = append(v.Words, wordCount{to.T(k.Words[did]), n})
		}
	}
	return v
}

func saying(r *http.Request) Say {
	return func(sentence string, args ...any) string { return web.T(r, sentence, args...) }
}

// indexPage lists jobs.
type indexPage struct {
	Org           web.Org
	Jobs          []jobView
	Older, Newest string
}

func (s *Service) index(w http.ResponseWriter, r *http.Request) error {
	p := indexPage{Org: web.OrgOf(r)}
	var before ID
	if text := r.URL.Query().Get("before"); text != "" {
		id, err := store.ParseID[Job](text)
		if err != nil {
			return err
		}
		before, p.Newest = id, "?"
	}
	var list []Job
	err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		list, err = s.List(tx, before, pageSize+1)
		return err
	})
	if err != nil {
		return err
	}
	if len(list) > pageSize {
		list = list[:pageSize]
		p.Older = "?before=" + string(list[pageSize-1].ID)
	}
	for _, j := range list {
		p.Jobs = append(p.Jobs, s.view(web.ReaderIn(r), j))
	}
	return pages.Write(w, r, http.StatusOK, "jobs", p)
}

// jobPage is one job.
type jobPage struct {
	Org            web.Org
	Form           web.Form
	Job            jobView
	Why            string
	Over           bool
	MayUndo        bool
	UndoUntil      store.Time
	Refreshing     bool
	Here, Pause    string // this view, and the same that does not load itself anew
	Chips          []chip
	Rows           []row
	Previous, Next string
	Download       string
}

// chip is a filter of the results.
type chip struct {
	Label, Link string
	N           int
	Current     bool
}

type row struct {
	N               int
	Name, Link, Did string
	Badge           badge
	Why             string
}

// resultView is what of the results the URL asks for.
func resultView(r *http.Request) (ResultQuery, error) {
	v := r.URL.Query()
	q := ResultQuery{State: ResultState(v.Get("result")), Limit: pageSize + 1}
	if _, ok := ends[q.State]; !ok && q.State != "" {
		return q, fault.Invalid.On("result", "There is no result %.40q. It is done, skipped or failed.", string(q.State))
	}
	for name, into := range map[string]*int{"after": &q.After, "before": &q.Before} {
		if text := v.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return q, fault.Invalid.On(name, "%.20q is no number of a result.", text)
			}
			*into = n
		}
	}
	return q, nil
}

func (q ResultQuery) link(move string, n int) string {
	v := url.Values{}
	if q.State != "" {
		v.Set("result", string(q.State))
	}
	switch move {
	case "":
	case "refresh":
		v.Set(move, "off")
	default:
		v.Set(move, strconv.Itoa(n))
	}
	return "?" + v.Encode()
}

func (s *Service) show(w http.ResponseWriter, r *http.Request) error {
	return s.page(w, r, http.StatusOK, web.Form{})
}

func (s *Service) page(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := store.ParseID[Job](r.PathValue("job"))
	if err != nil {
		return err
	}
	q, err := resultView(r)
	if err != nil {
		return err
	}
	p, say := jobPage{Org: web.OrgOf(r), Form: f}, saying(r)
	err = s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		j, err := s.Get(tx, id)
		if err != nil {
			return err
		}
		p.Job, p.Why, p.Over = s.view(web.ReaderIn(r), j), j.Why.In(say), j.EndedAt != 0
		p.MayUndo, p.UndoUntil = s.mayUndo(tx.Now(), j) == nil && j.UndoneBy == "", j.EndedAt.Add(UndoFor)
		list, err := s.Results(tx, id, q)
		if err != nil {
			return err
		}
		list = p.fill(q, list)
		for _, found := range list {
			p.Rows = append(p.Rows, s.row(say, p.Org, j, found))
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.Here, p.Pause, p.Download = q.link("", 0), q.link("refresh", 0), "/console/"+p.Org.Slug+"/jobs/"+string(id)+"/results.csv"+q.link("", 0)
	p.Refreshing = !p.Over && r.URL.Query().Get("refresh") != "off"
	if p.Refreshing && r.Method == http.MethodGet {
		w.Header().Set("Refresh", refresh)
	}
	return pages.Write(w, r, status, "job", p)
}

// fill makes the filters and the pager, and gives what of the list is of this page.
func (p *jobPage) fill(q ResultQuery, list []Found) []Found {
	c := p.Job.Counts
	for _, x := range []chip{{Label: "Everything", N: p.Job.Done}, {"Done", "done", c.Done, false}, {"Skipped", "skipped", c.Skipped, false}, {"Failed", "failed", c.Failed, false}} {
		x.Current = x.Link == string(q.State)
		x.Link = ResultQuery{State: ResultState(x.Link)}.link("", 0)
		p.Chips = append(p.Chips, x)
	}
	more := len(list) > pageSize
	switch {
	case more && q.Before > 0:
		list = list[1:]
	case more:
		list = list[:pageSize]
	case len(list) == 0:
		return list
	}
	if q.After > 0 || q.Before > 0 && more {
		p.Previous = q.link("before", list[0].N)
	}
	if q.Before > 0 || more {
		p.Next = q.link("after", list[len(list)-1].N)
	}
	return list
}

func (s *Service) row(say Say, org web.Org, j Job, f Found) row {
	k := s.kinds[j.Kind]
	out := row{N: f.N, Name: f.Name, Badge: ends[f.State], Why: f.Why.In(say)}
	out.Badge.Text = say(out.Badge.Text)
	if word := k.Words[f.Did]; word != "" {
		out.Did = say(word)
	}
	if out.Name == "" {
		out.Name = f.Target
	}
	if k.Link != nil && f.Target != "" {
		if path := k.Link(f.Target); path != "" {
			out.Link = "/console/" + org.Slug + path
		}
	}
	return out
}

// download writes the results as they are by now.
func (s *Service) download(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Job](r.PathValue("job"))
	if err != nil {
		return err
	}
	q, err := resultView(r)
	if err != nil {
		return err
	}
	q.Limit, q.Before = 1000, 0
	say := saying(r)
	var j Job
	var file *web.CSV
	for {
		var list []Found
		err := s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
			if j, err = s.Get(tx, id); err == nil {
				list, err = s.Results(tx, id, q)
			}
			return err
		})
		if err != nil {
			return err
		}
		if file == nil {
			if file, err = web.StartCSV(w, "results-"+string(id)+".csv", "number", "name", "id", "result", "what", "why"); err != nil {
				return err
			}
		}
		for _, f := range list {
			line := s.row(say, web.OrgOf(r), j, f)
			if err := file.Row(strconv.Itoa(f.N), f.Name, f.Target, string(f.State), line.Did, line.Why); err != nil {
				return err
			}
			q.After = f.N
		}
		if len(list) < q.Limit {
			return file.End()
		}
	}
}

func (s *Service) cancel(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Job](r.PathValue("job"))
	if err != nil {
		return err
	}
	err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return s.Cancel(tx, id) })
	return s.answer(w, r, err, id, web.T(r, "Cancelled. What was done until now stays done."))
}

func (s *Service) undo(w http.ResponseWriter, r *http.Request) error {
	id, err := store.ParseID[Job](r.PathValue("job"))
	if err != nil {
		return err
	}
	if asked, err := s.askFresh(w, r); asked || err != nil {
		return err
	}
	var made Job
	err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		made, err = s.Undo(tx, id)
		return err
	})
	return s.answer(w, r, err, made.ID, "")
}

// askFresh asks for a fresh sign-in where taking this job back needs one.
func (s *Service) askFresh(w http.ResponseWriter, r *http.Request) (asked bool, err error) {
	id, err := store.ParseID[Job](r.PathValue("job"))
	if err != nil {
		return false, err
	}
	var j Job
	err = s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		j, err = s.Get(tx, id)
		return err
	})
	fresh := s.kinds[j.Kind].Fresh
	if err != nil || fresh == nil || !fresh(j) {
		return false, err
	}
	return web.Fresh(w, r)
}

// answer goes to the page of a job, or shows on this one what was refused.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, err error, to ID, done string) error {
	var f web.Form
	if f.Take(err) {
		return s.page(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	if done != "" {
		web.Flash(w, done)
	}
	http.Redirect(w, r, fmt.Sprintf("/console/%s/jobs/%s", web.OrgOf(r).Slug, to), http.StatusSeeOther)
	return nil
}
