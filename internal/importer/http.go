package importer

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Mount adds the routes.
func (d *Door) Mount(m *web.Mux) {
	const at = "/console/{org}/import"
	m.Console(access.CreateUsers, "GET "+at, d.showUpload)
	m.Console(access.CreateUsers, "POST "+at, d.postUpload)
	m.Console(access.CreateUsers, "GET "+at+"/{import}", d.show)
	m.Console(access.CreateUsers, "POST "+at+"/{import}/form", d.postForm)
	m.Console(access.CreateUsers, "POST "+at+"/{import}/columns", d.postColumns)
	m.ConsoleFresh(access.CreateUsers, "POST "+at+"/{import}", d.postStart)
	m.Console(access.CreateUsers, "POST "+at+"/{import}/forget", d.postForget)
	m.Console(access.CreateUsers, "POST "+at+"/{import}/stop", d.postStop)
	m.Console(access.CreateUsers, "GET "+at+"/{import}/errors.csv", d.downloadErrors)
	m.Console(access.CreateUsers, "GET "+at+"/template.csv", d.template)
	m.Console(access.ViewUsers, "GET /console/{org}/export", d.showExport)
	m.Console(access.ViewUsers, "GET /console/{org}/export/{file}", d.export)
	m.API(access.ViewUsers, "GET /api/v1/export/{file}", d.export) // Download people as people.csv or people.jsonl
	d.mountAPI(m)
	d.mountFeeds(m)
}

// uploadPage asks for a file.
type uploadPage struct {
	Org     web.Org
	Form    web.Form
	Roles   string
	Fields  []Field
	Recent  []Run
	MaxSize int
	MaxRows int
}

func (d *Door) showUpload(w http.ResponseWriter, r *http.Request) error {
	return d.uploadPage(w, r, http.StatusOK, web.Form{})
}

func (d *Door) uploadPage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := uploadPage{Org: web.OrgOf(r), Form: f, MaxSize: MaxFile >> 20, MaxRows: MaxRows}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		defs, err := tx.Definitions()
		if err != nil {
			return err
		}
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		p.Fields, p.Roles = Fields(defs), strings.Join(roleNames(roles), ", ")
		p.Recent, err = listRuns(tx, 10)
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "upload", p)
}

func at(r *http.Request, run Run) string {
	return "/console/" + web.OrgOf(r).Slug + "/import/" + string(run.ID)
}

func (d *Door) postUpload(w http.ResponseWriter, r *http.Request) error {
	web.AllowBody(r, MaxFile+64<<10)
	var f web.Form
	run, err := d.receive(r)
	if f.Take(err) {
		return d.uploadPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, at(r, run), http.StatusSeeOther)
	return nil
}

// receive takes the file out of a form as it comes.
func (d *Door) receive(r *http.Request) (Run, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return Run{}, bad("Choose a CSV file.")
	}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return Run{}, bad("Choose a CSV file.")
		}
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return Run{}, tooLarge(err)
		}
		if err != nil {
			return Run{}, bad("The upload broke off. Choose the file again.")
		}
		if part.FormName() == "file" && part.FileName() != "" {
			return d.Upload(r.Context(), web.Actor(r), part.FileName(), part)
		}
	}
}

// find is the import that the path names.
func (d *Door) find(r *http.Request) (Run, error) {
	id, err := store.ParseID[Run](r.PathValue("import"))
	if err != nil {
		return Run{}, err
	}
	return d.Get(r.Context(), web.Actor(r), id)
}

// to does something to the import that the path names.
func (d *Door) to(r *http.Request, do func(context.Context, access.Actor, ID) error) (Run, error) {
	run, err := d.find(r)
	if err == nil {
		err = do(r.Context(), web.Actor(r), run.ID)
	}
	return run, err
}

func (d *Door) show(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	switch {
	case run.State == Started:
		return d.startedPage(w, r, run)
	case run.State == Reading:
		w.Header().Set("Refresh", "2")
		return pages.Write(w, r, http.StatusOK, "reading", readingPage{web.OrgOf(r), run})
	case run.State == Ready && r.URL.Query().Get("step") != "columns":
		return d.previewPage(w, r, http.StatusOK, run, web.Form{})
	}
	var f web.Form
	if !run.Problem.IsZero() {
		f.Fail("", web.T(r, "%s", run.Problem))
	}
	return d.columnsPage(w, r, http.StatusOK, run, f)
}

// Choices that are none: a browser takes an empty one for not chosen.
const (
	notUsed = "-"
	anyKey  = "any"
)

// readingPage waits for a file that is being read.
type readingPage struct {
	Org web.Org
	Run Run
}

// fields are all that a column of the organization can fill.
func (d *Door) fields(ctx context.Context, actor access.Actor) (list []Field, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		defs, err := tx.Definitions()
		if err == nil {
			list = Fields(defs)
		}
		return err
	})
	return list, err
}

// columnsPage says which column is what.
type columnsPage struct {
	Org     web.Org
	Form    web.Form
	Run     Run
	Columns []columnView
	Keys    []web.Option
	New     []web.Option
	Missing []web.Option
}

// columnView is a column of the file, with what it fills and what stands in it.
type columnView struct {
	Name   string
	Field  web.Field
	Sample []string
}

func (d *Door) columnsPage(w http.ResponseWriter, r *http.Request, status int, run Run, f web.Form) error {
	p := columnsPage{Org: web.OrgOf(r), Run: run}
	fields, err := d.fields(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	set := run.Settings
	start := func(name, value string) {
		if f.Values[name] == nil && value != "" {
			f.Set(name, value)
		}
	}
	start("encoding", set.Encoding)
	start("delimiter", set.Delimiter)
	start("key", cmp.Or(set.Key, anyKey))
	start("new", set.New)
	start("missing", set.Missing)
	start("max_gone", strconv.Itoa(set.MaxGone))
	options := []web.Option{{Value: notUsed, Label: web.T(r, "Not used")}}
	for _, field := range fields {
		options = append(options, web.Option{Value: field.Name, Label: web.T(r, field.Label)})
	}
	for i, name := range run.Header {
		key := "column-" + strconv.Itoa(i)
		if i < len(set.Columns) {
			start(key, cmp.Or(set.Columns[i], notUsed))
		}
		label := name
		if label == "" {
			label = web.T(r, "Column %d", i+1)
		}
		c := columnView{Name: label, Field: f.Select(key, label, options, "required")}
		for _, line := range run.Sample {
			if i < len(line) && line[i] != "" {
				c.Sample = append(c.Sample, line[i])
			}
		}
		p.Columns = append(p.Columns, c)
	}
	p.Keys = []web.Option{{Value: anyKey, Label: web.T(r, "Whichever of these the file has")}}
	for _, k := range keys {
		p.Keys = append(p.Keys, web.Option{Value: k, Label: web.T(r, label(k, fields))})
	}
	p.New, p.Missing = newOptions(r), missingOptions(r)
	p.Form = f
	return pages.Write(w, r, status, "columns", p)
}

func newOptions(r *http.Request) []web.Option {
	return []web.Option{{Value: NewInvite, Label: web.T(r, "Invited, with a mail")}, {Value: NewSave, Label: web.T(r, "Saved as invited; the mails are sent by hand later")},
		{Value: NewActive, Label: web.T(r, "Active at once, without a password: they sign in by your identity provider")}}
}

func missingOptions(r *http.Request) []web.Option {
	return []web.Option{{Value: MissingKeep, Label: web.T(r, "They stay as they are")}, {Value: MissingList, Label: web.T(r, "List them in the preview, and do nothing")},
		{Value: MissingDeactivate, Label: web.T(r, "Deactivate them: the file has everybody")}}
}

// postForm reads the file again in another encoding or with another delimiter.
func (d *Door) postForm(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	_, err = d.Reread(r.Context(), web.Actor(r), run.ID, Form{f.Get("encoding"), f.Get("delimiter")})
	if f.Take(err) {
		return d.columnsPage(w, r, web.Status(err), run, f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, at(r, run)+"?step=columns", http.StatusSeeOther)
	return nil
}

// postColumns looks at every line.
func (d *Door) postColumns(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	set := Settings{Form: run.Settings.Form, Key: strings.TrimPrefix(f.Get("key"), anyKey), New: f.Get("new"), Missing: f.Get("missing")}
	for i := range run.Header {
		set.Columns = append(set.Columns, strings.TrimPrefix(f.Get("column-"+strconv.Itoa(i)), notUsed))
	}
	if text := f.Get("max_gone"); text != "" {
		if set.MaxGone, err = strconv.Atoi(text); err != nil {
			err = fault.Invalid.On("max_gone", "%.20q is no share. Write a number from 1 to 100.", text)
		}
	}
	if err == nil {
		_, err = d.Begin(r.Context(), web.Actor(r), run.ID, set)
	}
	if f.Take(err) {
		return d.columnsPage(w, r, web.Status(err), run, f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, at(r, run), http.StatusSeeOther)
	return nil
}

const rowsShown = 100

// actions are what a line can do, in the order in which people want to see them.
var actions = []struct {
	Action       Action
	Label, Class string
}{
	{Action: Failed, Label: "With errors", Class: "bad"},
	{Action: Seats, Label: "No seat left", Class: "bad"},
	{Action: Managed, Label: "Managed by a directory", Class: "grey"},
	{Action: Create, Label: "New", Class: "good"},
	{Action: Update, Label: "Changed", Class: "info"},
	{Action: Deactivate, Label: "Deactivated", Class: "bad"},
	{Action: Missing, Label: "Not in the file", Class: "grey"},
	{Action: Unchanged, Label: "Unchanged", Class: "grey"},
}

// previewPage shows what every line would do.
type previewPage struct {
	Org   web.Org
	Form  web.Form
	Run   Run
	Chips []chipView
	Rows  []rowView
	Next  string
	First string
	Guard bool // more would be deactivated than goes without more words
	Share int
	Ends  int
	Of    fault.Some // people, whom the file may leave out
}

type chipView struct {
	Label, Link, Class string
	N                  int
	Current            bool
}

type rowView struct {
	Row
	Label, Class string
	Link         string
}

func (d *Door) previewPage(w http.ResponseWriter, r *http.Request, status int, run Run, f web.Form) error {
	p := previewPage{Org: web.OrgOf(r), Form: f, Run: run, Share: run.gone(), Ends: run.Counts[Deactivate], Of: run.people()}
	p.Guard = p.Share > run.Settings.MaxGone
	q := RowQuery{Action: Action(r.URL.Query().Get("action")), Limit: rowsShown + 1}
	q.After, _ = strconv.Atoi(r.URL.Query().Get("after"))
	all := 0
	for _, a := range actions {
		if n := run.Counts[a.Action]; n > 0 {
			p.Chips = append(p.Chips, chipView{web.T(r, a.Label), "?action=" + string(a.Action), a.Class, n, q.Action == a.Action})
			all += n
		}
	}
	p.Chips = slices.Insert(p.Chips, 0, chipView{web.T(r, "All"), "?", "", all, q.Action == ""})
	fields, err := d.fields(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	rows, err := d.Rows(r.Context(), web.Actor(r), run.ID, q)
	if err != nil {
		return err
	}
	if len(rows) > rowsShown {
		rows = rows[:rowsShown]
		p.Next = fmt.Sprintf("?action=%s&after=%d", q.Action, rows[rowsShown-1].N)
	}
	if q.After > 0 {
		p.First = "?action=" + string(q.Action)
	}
	for _, row := range rows {
		v := rowView{Row: row}
		for _, a := range actions {
			if a.Action == row.Action {
				v.Label, v.Class = web.T(r, a.Label), a.Class
			}
		}
		if row.Action == Create {
			for _, f := range fields {
				if value := row.Cells[f.Name]; value != "" {
					v.Changes = append(v.Changes, Change{Column: f.Name, To: f.shown(value)})
				}
			}
		}
		if row.Action != Create && row.User != "" {
			v.Link = "/console/" + p.Org.Slug + "/users/" + string(row.User)
		}
		p.Rows = append(p.Rows, v)
	}
	return pages.Write(w, r, status, "preview", p)
}

func (d *Door) postStart(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	gone := 0
	if n, err := strconv.Atoi(f.Get("gone")); err == nil && n == run.Counts[Deactivate] {
		gone = 100 // the number was typed by hand
	}
	_, err = d.Start(r.Context(), web.Actor(r), run.ID, gone)
	if f.Take(err) {
		return d.previewPage(w, r, web.Status(err), run, f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, at(r, run), http.StatusSeeOther)
	return nil
}

// postStop ends the reading of a file.
func (d *Door) postStop(w http.ResponseWriter, r *http.Request) error {
	run, err := d.to(r, d.Stop)
	if err != nil {
		return err
	}
	http.Redirect(w, r, at(r, run)+"?step=columns", http.StatusSeeOther)
	return nil
}

func (d *Door) postForget(w http.ResponseWriter, r *http.Request) error {
	run, err := d.to(r, d.Forget)
	if err != nil {
		return err
	}
	web.Flash(w, web.T(r, "The file %s was dropped. Nothing was imported.", run.Name))
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/import", http.StatusSeeOther)
	return nil
}

// startedPage follows the job of an import.
type startedPage struct {
	Org     web.Org
	Run     Run
	Job     jobs.View
	Over    bool
	MayUndo bool
	Bad     int
	Why     string // it ended before its time
	HowMany []web.Said
}

func (d *Door) startedPage(w http.ResponseWriter, r *http.Request, run Run) error {
	p := startedPage{Org: web.OrgOf(r), Run: run}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		job, err := d.opt.Jobs.Get(tx, run.Job)
		if err == nil {
			p.Job, p.Over, p.HowMany = d.opt.Jobs.Of(job, tx.Now()), job.EndedAt != 0, howMany(job.Counts.Did)
			p.Why = job.Why.In(func(sentence string, args ...any) string { return web.T(r, sentence, args...) })
		}
		return err
	})
	if err != nil {
		return err
	}
	p.MayUndo, p.Bad = p.Job.UndoUntil != "", run.Bad()+p.Job.Results.Skipped+p.Job.Results.Failed
	if !p.Over {
		w.Header().Set("Refresh", "2")
	}
	return pages.Write(w, r, http.StatusOK, "started", p)
}
