/*
Package checklist keeps what is to be done when people join and leave.

	SetTemplate   an admin says the tasks of joiners and of leavers: who does each, and until when
	Tend          gives the tasks to people who came or go, ticks off what Muster knows, and tells
	              who is late (tend.go)
	Tick, Untick  whoever may says that a task is done (items.go)

Nothing of this is in the way of a change: a loop reads, of the organizations that have a
template, the activity since it looked last, with some overlap for what committed late. A
run remembers the last event that counted for a person, so nothing is given twice, however
many servers look. When somebody comes back, what was open of the leaving is dropped.

Tasks are done by admins, by the person's manager as of then, or by somebody named, who find
theirs under /account/checklists. It has the pages /console/{org}/checklists (http.go) and
the REST API /api/v1/checklists (api.go), owns the tables checklist_templates,
checklist_runs and checklist_items, and reads activity and users.
*/
package checklist

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// The lists.
const (
	Joiner = "joiner"
	Leaver = "leaver"
)

// Lists are both, in the order of pages.
func Lists() []string { return []string{Joiner, Leaver} }

// Who does a task.
const (
	ByAdmins  = "admins"
	ByManager = "manager"
	ByPerson  = "person"
)

// What Muster knows, and ticks off by itself.
const (
	SignedIn     = "signed_in"
	SecondFactor = "second_factor"
	AccessEnded  = "access_ended"
	HandedOver   = "handed_over"
)

// autos are those of each list; a task without one is ticked off by somebody.
var autos = map[string][]string{Joiner: {SignedIn, SecondFactor}, Leaver: {AccessEnded, HandedOver}}

// Task is one of a template.
type Task struct {
	Title  string       `json:"title"`
	Note   string       `json:"note"`
	Who    string       `json:"who"`
	Person store.UserID `json:"person,omitempty"` // who does it, with ByPerson
	Days   int          `json:"days"`             // after the start or the leaving; negative: before
	Auto   string       `json:"auto,omitempty"`
}

// Template is a list as it is given to people.
type Template struct {
	List    string
	Tasks   []Task
	Sources []string // of joiners: only who comes these ways
	Version int64    // 0: there is none

	since store.Time
}

// Options of a Service.
type Options struct {
	DB  *store.DB
	Log *slog.Logger
	// SecondFactor tells whether somebody has one. May be nil: then such tasks are ticked off by hand.
	SecondFactor func(tx *store.Tx, user store.UserID) (bool, error)
	// Mail tells somebody who is active and wants notices. May be nil.
	Mail func(tx *store.Tx, user store.UserID, l web.Notice) error
}

// Service has the operations. Safe for concurrent use, also by several servers.
type Service struct{ opt Options }

// New fills in the defaults.
func New(opt Options) *Service {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	return &Service{opt}
}

const (
	maxTasks = 50
	maxDays  = 365
)

// defaultSources are all but directories, whose people come by the thousand.
func defaultSources() []string {
	return []string{string(store.FromInvite), string(store.FromCSV), string(store.FromJIT), string(store.FromAPI)}
}

// TemplateOf is a list; one that nobody made is empty. Faults: Denied, NotFound.
func (s *Service) TemplateOf(tx *store.Tx, list string) (Template, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return Template{}, err
	}
	return template(tx, list, "")
}

func template(tx *store.Tx, list, lock string) (Template, error) {
	t := Template{List: list, Tasks: []Task{}, Sources: defaultSources()}
	if !slices.Contains(Lists(), list) {
		return t, fault.NotFound.Say("There is no list %.40q. It is joiner or leaver.", list)
	}
	var row struct {
		Tasks   store.JSON `db:"tasks"`
		Sources store.JSON `db:"sources"`
		Version int64      `db:"version"`
		Since   store.Time `db:"since"`
	}
	err := tx.Get(&row, "SELECT tasks, sources, version, since FROM checklist_templates WHERE org_id = ? AND list = ?"+lock, tx.Org(), list)
	if fault.Is(err, fault.NotFound) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(row.Tasks, &t.Tasks)
	}
	if err == nil {
		err = json.Unmarshal(row.Sources, &t.Sources)
	}
	t.Version, t.since = row.Version, row.Since
	if err != nil {
		err = fmt.Errorf("checklist %s: %w", list, err)
	}
	return t, err
}

var errFaster = fault.Conflict.On("version", "Somebody else changed this list meanwhile. Look at it again, then make your change.")

// SetTemplate replaces the tasks of a list, for whoever joins or leaves from now on.
// Version is as it was read. Needs Write. Faults: Denied, NotFound, Invalid on "title",
// "note", "who", "days", "auto" or "sources" with the number of the task, Conflict (it was
// changed meanwhile).
func (s *Service) SetTemplate(tx *store.Tx, t Template) (Template, error) {
	if err := tx.Require(access.Configure); err != nil {
		return t, err
	}
	was, err := template(tx, t.List, tx.ForUpdate())
	if err != nil {
		return t, err
	}
	if t.Version != was.Version {
		return t, errFaster
	}
	if err := check(tx, &t); err != nil {
		return t, err
	}
	if t.List == Leaver {
		t.Sources = defaultSources()
	}
	tasks, err := json.Marshal(append([]Task{}, t.Tasks...))
	if err != nil {
		return t, err
	}
	sources, err := json.Marshal(append([]string{}, t.Sources...))
	if err != nil {
		return t, err
	}
	n, err := tx.Exec(`INSERT INTO checklist_templates (org_id, list, tasks, sources, version, since, looked_at) VALUES (?, ?, {{as_json}}, {{as_json}}, 1, ?, ?)
		ON CONFLICT (org_id, list) DO UPDATE SET tasks = excluded.tasks, sources = excluded.sources, version = checklist_templates.version + 1,
			since = CASE WHEN CAST(checklist_templates.tasks AS TEXT) = '[]' THEN excluded.since ELSE checklist_templates.since END
			WHERE checklist_templates.version = {{as_int}}`, tx.Org(), t.List, string(tasks), string(sources), tx.Now(), tx.Now(), t.Version)
	if err != nil {
		return t, err
	}
	if n == 0 {
		return t, errFaster
	}
	t.Version++
	return t, tx.Record(store.Activity{Action: "checklist.template", TargetKind: "checklist", TargetID: t.List, TargetName: t.List,
		Detail: map[string]any{"before": map[string]any{"tasks": titles(was.Tasks), "sources": was.Sources}, "after": map[string]any{"tasks": titles(t.Tasks), "sources": t.Sources}}})
}

func titles(list []Task) string {
	var names []string
	for _, t := range list {
		names = append(names, t.Title)
	}
	return strings.Join(names, ", ")
}

func check(tx *store.Tx, t *Template) error {
	if len(t.Tasks) > maxTasks {
		return fault.Invalid.On("title", "A list can have %d tasks.", maxTasks)
	}
	for i := range t.Tasks {
		if err := t.Tasks[i].check(tx, t.List); err != nil {
			return fault.Invalid.Over(fault.Field(err), err)
		}
	}
	for _, from := range t.Sources {
		if !slices.Contains(store.Sources(), store.Source(from)) {
			return fault.Invalid.On("sources", "Nobody comes by %.40q. It is invite, csv, jit, scim or api.", from)
		}
	}
	return nil
}

func (t *Task) check(tx *store.Tx, list string) error {
	t.Title, t.Note = strings.TrimSpace(t.Title), strings.TrimSpace(t.Note)
	if t.Title == "" {
		return fault.Invalid.On("title", "Say what is to be done.")
	}
	if err := fault.Line("title", t.Title, 200); err != nil {
		return err
	}
	if err := fault.Line("note", t.Note, 1000); err != nil {
		return err
	}
	if t.Days < -maxDays || t.Days > maxDays {
		return fault.Invalid.On("days", "A task can be due %d days before or after.", maxDays)
	}
	if t.Auto != "" && !slices.Contains(autos[list], t.Auto) {
		return fault.Invalid.On("auto", "Muster does not know %.40q of this list. It knows %s.", t.Auto, strings.Join(autos[list], ", "))
	}
	switch t.Who {
	case ByAdmins, ByManager:
		t.Person = ""
		return nil
	case ByPerson:
		if _, err := tx.User(t.Person); err != nil {
			return fault.Invalid.On("who", "Choose who does it: somebody of this organization.")
		}
		return nil
	}
	return fault.Invalid.On("who", "Choose who does it: admins, manager or person.")
}

// dueOn is the end of the day so many days after a moment.
func dueOn(from store.Time, days int) store.Time {
	t := from.Time().UTC().AddDate(0, 0, days)
	return store.TimeOf(time.Date(t.Year(), t.Month(), t.Day(), 23, 59, 59, 0, time.UTC))
}
