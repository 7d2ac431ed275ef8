package operate

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Check is one thing that the doctor looked at; cmd/muster has them, for this page and for
// the command alike.
type Check struct {
	Name   web.Said `json:"name"`
	Status string   `json:"status"` // ok, warn, fail
	Detail web.Said `json:"detail"`
	Items  []Item   `json:"items"` // one by one, when there are several
	Todo   web.Said `json:"todo"`  // what to do about it
}

// Item is a part of a check, about an organization when that has a short name.
type Item struct {
	Org  string   `json:"org"`
	Text web.Said `json:"text"`
}

// Words are the whole check in one English line.
func (c Check) Words() string {
	const some = 20
	parts := []string{c.Detail.String()}
	for _, i := range c.Items[:min(len(c.Items), some)] {
		text := i.Text.String()
		if i.Org != "" {
			text = i.Org + ": " + text
		}
		parts = append(parts, text)
	}
	if !c.Todo.IsZero() {
		parts = append(parts, c.Todo.String())
	}
	return strings.Join(parts, " ")
}

// Run is one examination.
type Run struct {
	At     store.Time `db:"at"`
	By     string     `db:"run_by"`
	Took   int64      `db:"took"` // microseconds
	Found  store.JSON `db:"findings"`
	Checks []Check    `db:"-"`
}

const (
	examineFor = 60 * time.Second // with all data; an operator waits for it
	maxItems   = 200              // of a check that are kept
	keptRuns   = 10
)

// Examine runs the checks and keeps what they found. Faults: Denied, Conflict (it is being
// done right now), Unavailable (it took too long).
func (d *Door) Examine(ctx context.Context, actor access.Actor, data bool) error {
	if !actor.May(access.Operate) {
		return fault.Denied.Say("Only an operator of this server can do this.")
	}
	if !d.examining.TryLock() {
		return fault.Conflict.Say("The server is being examined right now. Look again in a moment.")
	}
	defer d.examining.Unlock()
	within, cancel := context.WithTimeout(ctx, examineFor)
	defer cancel()
	start := d.opt.DB.Now()
	checks, err := d.opt.Examine(within, data)
	if within.Err() != nil && ctx.Err() == nil {
		return fault.Unavailable.Wrap(err, "The examination took longer than a minute and was stopped. Run: muster doctor")
	}
	if err != nil {
		return err
	}
	for i := range checks {
		checks[i].Items = checks[i].Items[:min(len(checks[i].Items), maxItems)]
	}
	text, err := json.Marshal(checks)
	if err != nil {
		return err
	}
	return d.opt.DB.Write(ctx, actor.In(string(store.NoOrg)), func(tx *store.Tx) error {
		if err := keepRun(tx, Run{At: store.TimeOf(start), By: actor.Name, Took: d.opt.DB.Now().Sub(start).Microseconds(), Found: text}); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "doctor.run", TargetKind: "server"})
	})
}

// LastRun is the newest one; nil: there is none.
func (d *Door) LastRun(ctx context.Context) (*Run, error) {
	var r Run
	err := d.opt.DB.Lookup(ctx, &r, "SELECT at, run_by, took, findings FROM doctor_runs ORDER BY id DESC LIMIT 1")
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, json.Unmarshal(r.Found, &r.Checks)
}

type doctorPage struct {
	Form web.Form
	Run  *Run
	Took string
}

func (d *Door) showDoctor(w http.ResponseWriter, r *http.Request) error {
	return d.doctorPage(w, r, http.StatusOK, web.Form{})
}

func (d *Door) doctorPage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	run, err := d.LastRun(r.Context())
	if err != nil {
		return err
	}
	p := doctorPage{Form: f, Run: run}
	if run != nil {
		p.Took = (time.Duration(run.Took) * time.Microsecond).Round(time.Millisecond).String()
	}
	return pages.Write(w, r, status, "doctor", p)
}

func (d *Door) examine(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	err = d.Examine(r.Context(), web.Actor(r), f.Get("data") != "")
	if f.Take(err) {
		return d.doctorPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/console/-/doctor", http.StatusSeeOther)
	return nil
}
