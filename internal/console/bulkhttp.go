package console

import (
	"cmp"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// actionGroup is a part of the list of what can be done.
type actionGroup struct {
	Label   string
	Options []web.Option
}

// actionsFor are what the actor may do to many; the roles of the page begin with "any".
func (c *Console) actionsFor(tx *store.Tx, r *http.Request, p usersPage) (list []actionGroup) {
	if c.opt.Jobs == nil {
		return nil
	}
	may := tx.Actor().May
	add := func(label, name string, options []web.Option) {
		g := actionGroup{Label: label}
		for _, o := range options {
			if o.Value != "" {
				g.Options = append(g.Options, web.Option{Value: name + ":" + o.Value, Label: label + ": " + o.Label})
			}
		}
		if len(g.Options) > 0 {
			list = append(list, g)
		}
	}
	if may(access.EditUsers) {
		add(web.T(r, "Give a role"), giveRole, p.Givable)
		add(web.T(r, "Take a role"), takeRole, p.Roles)
	}
	if may(access.EditGroups) {
		add(web.T(r, "Put into a team"), addTeam, p.Own)
		add(web.T(r, "Take out of a team"), removeTeam, p.Own)
	}
	if may(access.EndUsers) {
		list = append(list, actionGroup{web.T(r, "Access"), []web.Option{{Value: deactivate, Label: web.T(r, "Deactivate")}, {Value: reactivate, Label: web.T(r, "Reactivate")}}})
	}
	if may(access.InviteUsers) && c.opt.Bulk.InviteAgain != nil {
		list = append(list, actionGroup{web.T(r, "Invitations"), []web.Option{{Value: inviteMore, Label: web.T(r, "Send the invitation again")}, {Value: cancelMore, Label: web.T(r, "Cancel the invitation")}}})
	}
	if len(list) > 0 {
		list = append(list, actionGroup{web.T(r, "Export"), []web.Option{{Value: "export", Label: web.T(r, "Export as CSV")}}})
	}
	return list
}

// selection is of whom a form speaks.
type selection struct {
	all  bool // all that match the view
	view peopleView
	ids  []store.UserID
}

// readSelection reads it from a form. Faults: Invalid on "user", and of the view.
func readSelection(f web.Form) (s selection, err error) {
	q, err := url.ParseQuery(f.Get("view"))
	if err != nil {
		return s, fault.Invalid.On("view", "The view cannot be read. Load the list again.")
	}
	if s.view, err = readView(q); err != nil {
		return s, err
	}
	if s.all = f.Get("scope") == "all"; s.all {
		return s, nil
	}
	list := f.All("user")
	if f.Get("scope") == "page" {
		list = f.All("shown")
	}
	for _, text := range list {
		id, err := store.ParseID[store.User](text)
		if err != nil {
			return s, err
		}
		s.ids = append(s.ids, id)
	}
	s.ids = eachOnce(s.ids)
	if len(s.ids) == 0 {
		return s, fault.Invalid.On("user", "Nobody is chosen. Tick the people, or choose all that match.")
	}
	return s, nil
}

// eachOnce sorts people by when they came.
func eachOnce(ids []store.UserID) []store.UserID {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// chosen are everybody who is meant at this moment.
func (c *Console) chosen(tx *store.Tx, s selection) (store.PeopleQuery, error) {
	if !s.all {
		return store.PeopleQuery{IDs: s.ids}, nil
	}
	return c.query(tx, s.view)
}

// each hands the ids of everybody who is meant to do, some at a time.
func (c *Console) each(tx *store.Tx, s selection, do func([]store.UserID) error) error {
	q, err := c.chosen(tx, s)
	if err != nil {
		return err
	}
	return tx.EachOfPeople(q, do)
}

// bulkPage shows an order before it is carried out.
type bulkPage struct {
	Org           web.Org
	Form          web.Form
	Title         string
	Do, Skipped   int
	Reasons       []skipReason
	Fields        []hidden
	Ending        bool // it ends access
	Mails         bool // it sends mail
	NoSeat        bool // for some of them
	Fresh         bool
	Undo          bool
	EndingReasons []web.Option
	Back          string
}

type skipReason struct {
	Text string
	N    int
}

// preview counts what an order would do.
func (c *Console) preview(tx *store.Tx, say jobs.Say, o order, s selection) (do, seatless int, reasons []skipReason, err error) {
	why := map[string]int{}
	admins, err := lastAdmins(tx, o)
	if err != nil {
		return 0, 0, nil, err
	}
	free, err := tx.Vacancies()
	if err != nil {
		return 0, 0, nil, err
	}
	chosen, found := 0, 0
	err = c.each(tx, s, func(ids []store.UserID) error {
		facts, err := tx.FactsOf(ids, o.Role, o.Team)
		if err != nil {
			return err
		}
		found += len(facts)
		beyond, err := o.beyond(tx, facts)
		if err != nil {
			return err
		}
		var seats []store.UserID // who would need one, or another one
		for _, f := range facts {
			if r := o.skip(f, tx.Actor(), beyond[f.ID]); r.Format != "" {
				why[r.In(say)]++
				continue
			}
			do++
			if o.Do == reactivate || f.Status == store.Active || f.Status == store.Invited {
				seats = append(seats, f.ID)
			}
			if slices.Contains(admins, f.ID) {
				chosen++
			}
		}
		refused, err := o.seat(free, seats)
		seatless += len(refused)
		return err
	})
	if seatless > 0 {
		why[say("Would need a seat, and none is free.")] = seatless
		do -= seatless
	}
	if len(admins) > 0 && chosen == len(admins) {
		why[say("Is the last active admin.")]++
		do--
	}
	if n := len(s.ids) - found; n > 0 {
		why[gone.In(say)] = n
	}
	for text, n := range why {
		reasons = append(reasons, skipReason{text, n})
	}
	slices.SortFunc(reasons, func(a, b skipReason) int { return cmp.Or(b.N-a.N, strings.Compare(a.Text, b.Text)) })
	return do, seatless, reasons, err
}

// seat gives these people, in thought, the seats that they need after the order, and says
// for whom there is none.
func (o order) seat(free *store.Vacancies, ids []store.UserID) (refused map[store.UserID]error, err error) {
	switch o.Do {
	case reactivate:
		return free.Give(ids...)
	case giveRole:
		return free.Move([]string{o.Role}, nil, ids...)
	case takeRole:
		return free.Move(nil, []string{o.Role}, ids...)
	}
	return nil, nil
}

// lastAdmins are the active admins, where an order could take away all of them.
func lastAdmins(tx *store.Tx, o order) (ids []store.UserID, err error) {
	if o.Do != deactivate && !(o.Do == takeRole && o.Role == access.Admin) {
		return nil, nil
	}
	admins, err := tx.Admins()
	if len(admins) >= 100 {
		return nil, err
	}
	for _, a := range admins {
		ids = append(ids, a.ID)
	}
	return ids, err
}

// bulk takes the list's form: what to do and with whom, and shows what would happen.
func (c *Console) bulk(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	s, err := readSelection(f)
	if err == nil && f.Get("action") == "export" {
		return c.writePeople(w, r, s)
	}
	p := bulkPage{Org: web.OrgOf(r), Form: f, Back: base(r) + "/users?" + s.view.values().Encode()}
	if err == nil {
		err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
			o, err := c.parseOrder(tx, f.Get("action"), "", "")
			if err == nil {
				err = c.fillBulk(tx, r, &p, o, s)
			}
			return err
		})
	}
	if fault.Is(err, fault.Denied) && fault.Field(err) == "action" {
		f.FailWith("action", err)
		return c.showUsers(w, r, web.Status(err), s.view, f)
	}
	if f.Take(err) {
		return c.showUsers(w, r, web.Status(err), s.view, f)
	}
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "bulk", p)
}

func (c *Console) fillBulk(tx *store.Tx, r *http.Request, p *bulkPage, o order, s selection) (err error) {
	say := func(sentence string, args ...any) string { return web.T(r, sentence, args...) }
	seatless := 0
	if p.Do, seatless, p.Reasons, err = c.preview(tx, say, o, s); err != nil {
		return err
	}
	p.NoSeat = seatless > 0
	for _, reason := range p.Reasons {
		p.Skipped += reason.N
	}
	p.Title, p.Ending, p.Mails, p.Fresh, p.Undo = o.title(web.ReaderIn(r), p.Do), o.Do == deactivate, o.Do == inviteMore, o.fresh(), o.Do != inviteMore
	fields := url.Values{"action": {p.Form.Get("action")}, "view": {s.view.values().Encode()}, "once": {p.Form.Get("once")}}
	if fields.Get("once") == "" {
		fields.Set("once", string(store.NewID[order]()))
	}
	if s.all {
		fields.Set("scope", "all")
	}
	for _, id := range s.ids {
		fields.Add("user", string(id))
	}
	p.Fields = hiddenOf(fields)
	p.EndingReasons = reasonOptions(r)
	return nil
}

// startBulk makes the job: whoever matches at this moment.
func (c *Console) startBulk(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	s, err := readSelection(f)
	if err != nil {
		return err
	}
	switch f.Get("action") {
	case giveRole + ":" + access.Admin:
		if asked, err := web.SureAdmin(w, r, web.T(r, "everybody whom you have chosen")); asked || err != nil {
			return err
		}
	case takeRole + ":" + access.Admin:
		if asked, err := web.Fresh(w, r); asked || err != nil {
			return err
		}
	}
	var j jobs.Job
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		o, err := c.parseOrder(tx, f.Get("action"), f.Get("reason"), f.Get("why"))
		if err == nil {
			j, err = c.start(tx, o, s, f.Get("once"))
		}
		return err
	})
	if f.Take(err) {
		p := bulkPage{Org: web.OrgOf(r), Form: f, Back: base(r) + "/users?" + s.view.values().Encode()}
		again := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
			o, err := c.parseOrder(tx, f.Get("action"), "", "")
			if err == nil {
				err = c.fillBulk(tx, r, &p, o, s)
			}
			return err
		})
		if again != nil {
			return err
		}
		return pages.Write(w, r, web.Status(err), "bulk", p)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, base(r)+"/jobs/"+string(j.ID), http.StatusSeeOther)
	return nil
}

// start writes the job with everybody who is meant, also who was ticked and is gone since.
func (c *Console) start(tx *store.Tx, o order, s selection, once string) (jobs.Job, error) {
	var ids []store.UserID
	if err := c.each(tx, s, func(some []store.UserID) error { ids = append(ids, some...); return nil }); err != nil {
		return jobs.Job{}, err
	}
	if len(ids) > 0 && !s.all {
		ids = s.ids
	}
	return c.opt.Jobs.Start(tx, jobs.In{Kind: needs[o.Do].kind, Input: o, Once: once, Items: people(ids)})
}

func people(ids []store.UserID) iter.Seq[jobs.Item] {
	return func(yield func(jobs.Item) bool) {
		for _, id := range ids {
			if !yield(jobs.Item{Target: string(id)}) {
				return
			}
		}
	}
}

// exportUsers writes everybody who matches the view in the URL.
func (c *Console) exportUsers(w http.ResponseWriter, r *http.Request) error {
	v, err := readView(r.URL.Query())
	if err != nil {
		return err
	}
	return c.writePeople(w, r, selection{all: true, view: v})
}

// writePeople writes people as CSV, some hundred at a time, with the columns of the view.
func (c *Console) writePeople(w http.ResponseWriter, r *http.Request, s selection) error {
	actor, v := web.Actor(r), s.view
	var columns []string
	var q store.PeopleQuery
	err := c.opt.DB.Write(r.Context(), actor, func(tx *store.Tx) (err error) {
		if q, err = c.chosen(tx, s); err != nil {
			return err
		}
		q.After, q.Before, q.Limit = store.Standing{}, store.Standing{}, 500
		if columns, err = columnsOf(tx, v); err != nil {
			return err
		}
		if err := tx.Require(access.ViewUsers); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "people.export", TargetKind: "org", TargetID: string(tx.Org()), TargetName: "people", Detail: map[string]any{"view": v.values().Encode(), "columns": columns}})
	})
	if err != nil {
		return err
	}
	var file *web.CSV
	for {
		var rows []userRow
		var page store.PeoplePage
		err := c.opt.DB.Read(r.Context(), actor, func(tx *store.Tx) (err error) {
			roles, err := tx.OrgRoles()
			if err != nil {
				return err
			}
			if page, err = tx.People(q); err == nil {
				rows, err = c.rows(tx, page.People, roles, columns)
			}
			return err
		})
		if err != nil {
			return err
		}
		if file == nil {
			if file, err = web.StartCSV(w, "people-"+web.OrgOf(r).Slug+".csv", append([]string{"id", "name"}, columns...)...); err != nil {
				return err
			}
		}
		for i, row := range rows {
			if err := file.Row(cellsOf(row, page.People[i], columns)...); err != nil {
				return err
			}
		}
		if !page.Next {
			return file.End()
		}
		if q.After, err = store.StandingOf(page.People[len(rows)-1].User, q.Sort); err != nil {
			return err
		}
	}
}

func cellsOf(row userRow, p store.Person, columns []string) []string {
	var teams []string
	for _, g := range p.Groups {
		teams = append(teams, g.Name)
	}
	cells := []string{string(row.ID), row.Name}
	for _, key := range columns {
		cells = append(cells, map[string]string{"email": row.Email, "username": row.UserName, "status": string(p.Status), "role": strings.Join(store.RoleNames(p.Grants), "; "), "teams": strings.Join(teams, "; "),
			"source": string(p.Source), "directory": row.Directory, "signin": row.SignInAt.OrEmpty(), "created": row.CreatedAt.OrEmpty(), "department": row.Department, "title": row.Title,
			"number": row.Number, "phone": row.Phone, "record": strings.Join(row.Records, "; "), "license": row.License, "factor": map[bool]string{true: "no", false: "yes"}[row.NoFactor]}[key])
	}
	return cells
}
