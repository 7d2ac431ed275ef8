package review

import (
	"net/http"
	"strconv"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// rowView is a row as pages show it.
type rowView struct {
	Row
	What, Why, Remedy string
	Badge             badge
	Missing           bool // not there any more, and not decided
	Chosen            bool
}

// refusal is a row with which nothing could be done.
type refusal struct{ Label, Text string }

// chip is a filter of the rows.
type chip struct {
	Label, Link string
	N           int
	Current     bool
}

// reviewPage is one review: an admin's, or what of it a manager sees.
type reviewPage struct {
	Org            web.Org
	At, Back       string // addresses of the review and of the list
	Form           web.Form
	Review         Review
	Scope          string
	Late           bool
	Reviewers      []Reviewer
	May            bool // decide
	MayChange      bool
	MayStop        bool // its starting again
	Changing       bool // on a form that was refused
	Manager        bool
	Choices        []web.Option // of reviewers
	Chips          []chip
	Idle           chip
	Roles, Teams   []web.Option
	Person         string // whose rows these are, when of one
	Filter         Filter
	All            string // the same without filters
	Rows           []rowView
	Refused        []refusal
	Done           int
	Previous, Next string
	View           string // of the rows, for coming back
	Preparing      bool
	Refreshing     bool
	Why            string // it was cancelled by Muster
}

func (s *Service) show(w http.ResponseWriter, r *http.Request) error {
	return s.page(w, r, http.StatusOK, web.Form{}, nil)
}

// page shows the rows that the address asks for, and what became of those that were decided.
func (s *Service) page(w http.ResponseWriter, r *http.Request, status int, f web.Form, out []Outcome) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	view, after, before, err := viewIn(r)
	if err != nil {
		return err
	}
	p := reviewPage{Org: web.OrgOf(r), Form: f, Filter: view, MayChange: web.Actor(r).May(access.EditUsers)}
	p.Back = "/console/" + p.Org.Slug + "/reviews"
	p.At = p.Back + "/" + string(id)
	err = s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if p.Review, err = s.Get(tx, id); err != nil {
			return err
		}
		p.MayStop = p.MayChange && p.Review.RepeatAt > 0
		if p.Reviewers, err = reviewersOf(tx, id); err != nil || !p.Review.written() {
			return err
		}
		if p.Review.State == Open && p.MayChange {
			part, err := s.May(tx, p.Review)
			p.May = err == nil && part.Manager == ""
			if p.Choices, err = reviewerOptions(tx); err != nil {
				return err
			}
		}
		p.MayChange = p.MayChange && p.Review.State == Open
		counts, err := countRows(tx, id)
		if err != nil {
			return err
		}
		p.chips(r, counts)
		if err := p.filters(r, tx); err != nil {
			return err
		}
		return p.fill(r, tx, after, before)
	})
	if err != nil {
		return err
	}
	if !p.Review.written() {
		return s.unwritten(w, r, status, p)
	}
	p.outcomes(r, out)
	p.Form.Default("version", p.Review.tag(p.Reviewers))
	if _, p.Changing = p.Form.Values["due"]; !p.Changing {
		p.Form.Set("due", p.Review.DueAt.Time().In(zoneOf(r)).Format(time.DateOnly))
		for _, one := range p.Reviewers {
			p.Form.Set("reviewer", append(p.Form.All("reviewer"), string(one.ID))...)
		}
	}
	return pages.Write(w, r, status, "review", p)
}

// refresh is how often the page of a review that is prepared loads itself anew, in seconds.
const refresh = "2"

// unwritten shows a review that has no rows to decide: it is prepared, or was cancelled.
func (s *Service) unwritten(w http.ResponseWriter, r *http.Request, status int, p reviewPage) error {
	p.Scope, p.Why, p.Preparing = p.Review.scopeWords(sayIn(r)), p.Review.ended(sayIn(r)), p.Review.State == Preparing
	p.Refreshing = p.Preparing && r.URL.Query().Get("refresh") != "off"
	if p.Refreshing && r.Method == http.MethodGet {
		w.Header().Set("Refresh", refresh)
	}
	return pages.Write(w, r, status, "preparing", p)
}

// chips are the decisions with how many rows each has.
func (p *reviewPage) chips(r *http.Request, counts Counts) {
	add := func(label, decision string, n int) {
		f := p.Filter
		f.Decision = decision
		p.Chips = append(p.Chips, chip{Label: label, Link: f.link("", 0), N: n, Current: p.Filter.Decision == decision})
	}
	add(web.T(r, "All rows"), AnyDecision, p.Review.Total)
	for _, decision := range decisionOrder {
		name := decision
		if name == Undecided {
			name = NoDecision
		}
		label := decisions[decision].Text
		if decision == Undecided && p.Review.State == Finished {
			label = "Not decided"
		}
		if counts[decision] > 0 || decision == Undecided || p.Filter.Decision == name {
			add(web.T(r, label), name, counts[decision])
		}
	}
	f := p.Filter
	f.Idle = !f.Idle
	p.Idle = chip{Label: web.T(r, "Not signed in for 90 days"), Link: f.link("", 0), Current: p.Filter.Idle}
}

func (p *reviewPage) filters(r *http.Request, tx *store.Tx) error {
	p.Scope, p.Late = p.Review.scopeWords(sayIn(r)), p.Review.State == Open && p.Review.DueAt < tx.Now()
	p.Form.Set("role", p.Filter.Role)
	p.Form.Set("team", string(p.Filter.Team))
	p.Roles, p.Teams = []web.Option{{Label: web.T(r, "Any role or team")}}, []web.Option{{Label: web.T(r, "Any team or role")}}
	roles, err := tx.OrgRoles()
	if err != nil {
		return err
	}
	for _, o := range roles {
		p.Roles = append(p.Roles, web.Option{Value: o.ID, Label: web.T(r, o.Name)})
	}
	teams, err := teamsIn(tx, p.Review.ID)
	for _, t := range teams {
		p.Teams = append(p.Teams, web.Option{Value: string(t.Group), Label: t.Team})
	}
	return err
}

// fill reads the rows of this page.
func (p *reviewPage) fill(r *http.Request, tx *store.Tx, after, before int) error {
	list, err := rowsOf(tx, p.Review.ID, p.Filter, after, before, pageSize+1)
	if err != nil {
		return err
	}
	more := len(list) > pageSize
	switch {
	case more && before > 0:
		list = list[1:]
	case more:
		list = list[:pageSize]
	}
	if len(list) > 0 && (after > 0 || before > 0 && more) {
		p.Previous = p.Filter.link("before", list[0].N)
	}
	if len(list) > 0 && (before > 0 || more) {
		p.Next = p.Filter.link("after", list[len(list)-1].N)
	}
	p.View = p.Filter.link("", 0)
	switch {
	case after > 0:
		p.View = p.Filter.link("after", after)
	case before > 0:
		p.View = p.Filter.link("before", before)
	}
	gone := map[int]bool{}
	if p.Review.State == Open {
		if gone, err = goneOf(tx, list); err != nil {
			return err
		}
	}
	say, chosen := sayIn(r), p.Form.All("row")
	for _, row := range list {
		v := rowView{Row: row, What: p.Review.what(say, row), Why: p.Review.why(say, row), Badge: decisions[row.Decision], Missing: gone[row.N]}
		if row.Decision == AtSource {
			v.Remedy = p.Review.remedy(say, row)
		}
		if row.Decision == Undecided && p.Review.State == Finished {
			v.Badge = badge{"grey", "Not decided"}
		}
		for _, c := range chosen {
			v.Chosen = v.Chosen || c == strconv.Itoa(row.N)
		}
		if p.Filter.Person != "" {
			p.Person = row.Name
		}
		p.Rows = append(p.Rows, v)
	}
	return nil
}

// outcomes says what could not be done.
func (p *reviewPage) outcomes(r *http.Request, out []Outcome) {
	for _, o := range out {
		if o.Err == nil {
			p.Done++
			continue
		}
		p.Refused = append(p.Refused, refusal{o.Name + ", " + p.Review.what(sayIn(r), o.Row), web.SentenceIn(r, o.Err)})
	}
}

// decisionIn reads what a form decides.
func decisionIn(r *http.Request) (web.Form, Decision, error) {
	f, err := web.ReadForm(r)
	if err != nil {
		return f, Decision{}, err
	}
	in := Decision{Do: f.Get("do"), Note: f.Get("note")}
	if f.Get("whom") == "person" {
		if in.Person, err = store.ParseID[store.User](r.URL.Query().Get("person")); err != nil {
			return f, in, err
		}
		return f, in, nil
	}
	for _, text := range f.All("row") {
		if n, err := strconv.Atoi(text); err == nil {
			in.Rows = append(in.Rows, n)
		}
	}
	return f, in, nil
}

func (s *Service) decide(w http.ResponseWriter, r *http.Request) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	f, in, err := decisionIn(r)
	if err != nil {
		return err
	}
	var out []Outcome
	err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		out, err = s.Decide(tx, id, in)
		return err
	})
	return s.decided(w, r, f, out, err, s.page, "/console/"+web.OrgOf(r).Slug+"/reviews/"+string(id))
}

type pageFunc func(http.ResponseWriter, *http.Request, int, web.Form, []Outcome) error

// decided goes back to the rows, or shows what could not be done.
func (s *Service) decided(w http.ResponseWriter, r *http.Request, f web.Form, out []Outcome, err error, page pageFunc, at string) error {
	if f.Take(err) {
		return page(w, r, web.Status(err), f, nil)
	}
	if err != nil {
		return err
	}
	done := 0
	for _, o := range out {
		if o.Err != nil {
			return page(w, r, http.StatusConflict, web.Form{}, out)
		}
		done++
	}
	web.Flash(w, web.N(r, done, "One row was decided.", "%d rows were decided."))
	http.Redirect(w, r, at+"?"+r.URL.RawQuery, http.StatusSeeOther)
	return nil
}

func (s *Service) change(w http.ResponseWriter, r *http.Request) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	due, err := dueIn(r, f.Get("due"))
	if err == nil {
		err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
			_, err := s.Change(tx, id, Change{Due: &due, Reviewers: reviewersIn(f), Version: f.Get("version")})
			return err
		})
	}
	if f.Take(err) {
		return s.page(w, r, web.Status(err), f, nil)
	}
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "Saved."))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/reviews/"+string(id), http.StatusSeeOther)
	return nil
}

type finishPage struct {
	Org    web.Org
	Form   web.Form
	Review Review
	Open   int
}

func (s *Service) askFinish(w http.ResponseWriter, r *http.Request) error {
	return s.showFinish(w, r, http.StatusOK, web.Form{})
}

func (s *Service) showFinish(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	p := finishPage{Org: web.OrgOf(r), Form: f}
	err = s.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if p.Review, err = s.kept(tx, id); err != nil {
			return err
		}
		counts, err := countRows(tx, id)
		p.Open = counts[Undecided]
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "finish", p)
}

func (s *Service) finish(w http.ResponseWriter, r *http.Request) error {
	return s.ends(w, r, s.Finish, web.T(r, "The review is finished. It is kept as it is."), s.showFinish)
}

func (s *Service) cancel(w http.ResponseWriter, r *http.Request) error {
	return s.ends(w, r, s.Cancel, web.T(r, "The review is cancelled. Nothing in it is kept."), s.showRefused)
}

func (s *Service) stopRepeating(w http.ResponseWriter, r *http.Request) error {
	return s.ends(w, r, s.StopRepeating, web.T(r, "This review does not start again."), s.showRefused)
}

func (s *Service) showRefused(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	return s.page(w, r, status, f, nil)
}

// ends finishes or cancels a review, or that it starts again, or shows why not.
func (s *Service) ends(w http.ResponseWriter, r *http.Request, end func(*store.Tx, ID) (Review, error), done string, show func(http.ResponseWriter, *http.Request, int, web.Form) error) error {
	id, err := idIn(r)
	if err != nil {
		return err
	}
	err = s.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		_, err := end(tx, id)
		return err
	})
	var f web.Form
	if f.Take(err) {
		return show(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, done)
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/reviews/"+string(id), http.StatusSeeOther)
	return nil
}
