package importer

import (
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountAPI(m *web.Mux) {
	m.API(access.CreateUsers, "GET /api/v1/imports", d.apiList)                            // List imports
	m.API(access.CreateUsers, "POST /api/v1/imports", d.apiUpload)                         // Upload a file of people. The body is the CSV file; what the query leaves out is guessed
	m.API(access.CreateUsers, "GET /api/v1/imports/{import}", d.apiGet)                    // Get an import
	m.API(access.CreateUsers, "DELETE /api/v1/imports/{import}", d.apiForget)              // Drop a file that was not started
	m.API(access.CreateUsers, "POST /api/v1/imports/{import}/preview", d.apiRead)          // Look at every line with other settings. 202 when there are more than 1,000
	m.APIFresh(access.CreateUsers, "POST /api/v1/imports/{import}/confirm", d.apiStart)    // Import the good lines, as a job. The same one when asked again
	m.API(access.CreateUsers, "GET /api/v1/imports/{import}/rows", d.apiRows)              // List the lines of an import, 500 at a time
	m.API(access.CreateUsers, "GET /api/v1/imports/{import}/errors.csv", d.downloadErrors) // Download the lines that were not imported
}

// View is an import as programs see it.
type View struct {
	ID        ID             `json:"id"`
	Name      string         `json:"name"`
	State     State          `json:"state"`
	Settings  Settings       `json:"settings"`
	Header    []string       `json:"header"`
	Unused    []string       `json:"unused"`
	Notices   []string       `json:"notices"`
	Counts    map[Action]int `json:"counts"`
	Lines     int            `json:"lines"`             // of the file
	Read      int            `json:"lines_read"`        // so far
	Problem   string         `json:"problem,omitempty"` // why it could not be read
	Job       *jobs.View     `json:"job,omitempty"`
	By        string         `json:"uploaded_by"`
	CreatedAt string         `json:"created_at"`
}

// Noticed is what was noticed of the file, in English.
func (r Run) Noticed() []string {
	list := []string{}
	for _, n := range r.Notices {
		list = append(list, n.String())
	}
	return list
}

func view(r Run) View {
	return View{ID: r.ID, Name: r.Name, State: r.State, Settings: r.Settings, Header: append([]string{}, r.Header...), Unused: append([]string{}, r.Unmapped...),
		Notices: r.Noticed(), Counts: r.Counts, Lines: r.Total, Read: r.Read, Problem: r.Problem.String(), By: r.By, CreatedAt: r.CreatedAt.RFC3339()}
}

// RowView is a line as programs see it.
type RowView struct {
	Number  int          `json:"number"`
	Line    int          `json:"line,omitempty"`
	Action  Action       `json:"action"`
	Email   string       `json:"email"`
	Name    string       `json:"name"`
	UserID  store.UserID `json:"user_id,omitempty"`
	Changes []string     `json:"changes,omitempty"` // columns
	Diff    []Change     `json:"diff,omitempty"`
	Problem *ProblemView `json:"problem,omitempty"`
	Named   string       `json:"user_name_made,omitempty"`
}

// ProblemView is why a line is not imported, as programs see it: in English.
type ProblemView struct {
	Column string `json:"column"`
	Value  string `json:"value"`
	Why    string `json:"why"`
	Remedy string `json:"remedy"`
}

// ViewOf is a row as programs see it.
func ViewOf(row Row) RowView {
	v := RowView{row.N, row.Line, row.Action, row.Email, row.Name, row.User, row.columns(), row.Changes, nil, row.Named}
	if p := row.Problem; p != nil {
		v.Problem = &ProblemView{p.Column, p.Value, p.Why.String(), p.Remedy.String()}
	}
	return v
}

func (d *Door) apiList(w http.ResponseWriter, r *http.Request) error {
	out := struct {
		Imports []View `json:"imports"`
	}{[]View{}}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, err := listRuns(tx, 100)
		for _, run := range list {
			out.Imports = append(out.Imports, view(run))
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

// apiUpload takes the file as the body. What the query does not say is guessed, as in
// the console, and every line is looked at, unless preview=false.
func (d *Door) apiUpload(w http.ResponseWriter, r *http.Request) error {
	web.AllowBody(r, MaxFile+64<<10)
	q := r.URL.Query()
	name := q.Get("name")
	if name == "" {
		name = "people.csv"
	}
	ctx, actor := r.Context(), web.Actor(r)
	run, err := d.Upload(ctx, actor, name, r.Body)
	if err != nil {
		return err
	}
	if q.Has("encoding") || q.Has("delimiter") {
		if run, err = d.Reread(ctx, actor, run.ID, Form{q.Get("encoding"), q.Get("delimiter")}); err != nil {
			return err
		}
	}
	if q.Get("preview") != "false" {
		set := run.Settings
		set.Key, set.New, set.Missing = q.Get("key"), q.Get("new"), q.Get("missing")
		if text := q.Get("max_gone"); text != "" {
			if set.MaxGone, err = strconv.Atoi(text); err != nil {
				return fault.Invalid.On("max_gone", "%.20q is no share. Write a number from 1 to 100.", text)
			}
		}
		if run, err = d.Begin(ctx, actor, run.ID, set); err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusCreated, view(run))
}

func (d *Door) apiGet(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	v := view(run)
	if run.Job != "" {
		err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
			job, err := d.opt.Jobs.Get(tx, run.Job)
			if fault.Is(err, fault.NotFound) { // jobs are kept for thirty days
				return nil
			}
			of := d.opt.Jobs.Of(job, tx.Now())
			v.Job = &of
			return err
		})
		if err != nil {
			return err
		}
	}
	return web.JSON(w, http.StatusOK, v)
}

func (d *Door) apiForget(w http.ResponseWriter, r *http.Request) error {
	if _, err := d.to(r, d.Forget); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// apiRead looks at every line with other settings; what is left out stays.
func (d *Door) apiRead(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	set := run.Settings
	if err := web.ReadJSON(r, &set); err != nil {
		return err
	}
	if run, err = d.Begin(r.Context(), web.Actor(r), run.ID, set); err != nil {
		return err
	}
	status := http.StatusOK
	if run.State == Reading {
		status = http.StatusAccepted
	}
	return web.JSON(w, status, view(run))
}

func (d *Door) apiStart(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	var in struct {
		Gone int `json:"gone"` // percent of the people whose end is confirmed
	}
	if r.ContentLength != 0 {
		if err := web.ReadJSON(r, &in); err != nil {
			return err
		}
	}
	job, err := d.Start(r.Context(), web.Actor(r), run.ID, in.Gone)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusAccepted, d.opt.Jobs.Of(job, store.TimeOf(d.opt.DB.Now())))
}

func (d *Door) apiRows(w http.ResponseWriter, r *http.Request) error {
	run, err := d.find(r)
	if err != nil {
		return err
	}
	q := RowQuery{Action: Action(r.URL.Query().Get("action")), Limit: piece}
	if text := r.URL.Query().Get("after"); text != "" {
		if q.After, err = strconv.Atoi(text); err != nil {
			return fault.Invalid.On("after", "%.20q is no number of a row.", text)
		}
	}
	rows, err := d.Rows(r.Context(), web.Actor(r), run.ID, q)
	if err != nil {
		return err
	}
	out := struct {
		Rows []RowView `json:"rows"`
		Next int       `json:"next,omitempty"`
	}{Rows: []RowView{}}
	for _, row := range rows {
		out.Rows = append(out.Rows, ViewOf(row))
	}
	if len(rows) == piece {
		out.Next = rows[piece-1].N
	}
	return web.JSON(w, http.StatusOK, out)
}
