/*
Package jobs does one thing to many: to people, to the rows of a file.

	Start    a door writes the job and all its items in one transaction, with what was confirmed
	Run      workers take turns: a slice of a job of the organization that waited longest,
	         some items a transaction; each item's change and its result commit together, while
	         what the next items need is worked out ahead, and may be begun (ahead.go)
	Cancel   what is done stays done, the rest is left
	Undo     a job of its own, for a day: each item is taken back unless it was changed since

A door registers its kinds of job (Kind) with funcs that do an item and take it back. The
rights of whoever started a job are looked up again in each of its transactions.

A worker holds a job by a lease, and by its name in the job's row, which each of its
transactions locks before its results: one that lost the lease keeps nothing of what it
wrote, so an item is done once, whatever crashes. A job started in this process begins at once; what
another server started is found within two seconds.

Jobs are kept for thirty days. The package owns the tables jobs, job_parts and
job_results. It has the pages /console/{org}/jobs (http.go) and the REST API
/api/v1/jobs (api.go); a page of a job that runs loads itself anew, without a script.
*/
package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// State is where a job stands.
type State string

// The states of a job.
const (
	Queued    State = "queued"
	Running   State = "running"
	Finished  State = "done"
	Cancelled State = "cancelled"
	Failed    State = "failed" // it could not go on; Job.Why says why
)

// ID names a job.
type ID = store.ID[Job]

// Job is one order to do something to many.
type Job struct {
	ID        ID
	Kind      string
	State     State
	Undoes    ID // the job that this one takes back
	UndoneBy  ID
	Input     store.JSON // what Start was given
	Starter   Starter
	Total     int
	Done      int // items that have a result
	Undoable  int // of them, those that can be taken back
	Counts    Counts
	Why       Reason
	CreatedAt store.Time
	StartedAt store.Time
	EndedAt   store.Time // 0 until it is over
	Ahead     any        // for Kind.Many and Early: what Kind.Ahead made of its items; nil: nothing
	Early     any        // for Kind.Many: what Kind.Early did in this transaction; nil: nothing

	position int // items taken so far; of an undo, the result that was taken last
	worker   string
	tries    int
}

// Counts are the results so far.
type Counts struct {
	Done    int            `json:"done"`
	Skipped int            `json:"skipped"`
	Failed  int            `json:"failed"`
	Did     map[string]int `json:"did,omitempty"` // by Result.Did
}

// Starter is who started a job.
type Starter struct {
	Kind     access.Kind `json:"kind"`
	ID       string      `json:"id,omitempty"`
	Name     string      `json:"name"`
	Operator bool        `json:"operator,omitempty"`
	IP       string      `json:"ip,omitempty"`
	Request  string      `json:"request,omitempty"`
}

// Reason is a sentence that can be translated when it is shown.
type Reason struct {
	Format string    `json:"f,omitempty"`
	Args   []string  `json:"a,omitempty"`
	Said   *web.Said `json:"s,omitempty"` // the same with all that a fault says, if it is one's
}

// Because makes a Reason; it takes %s only.
func Because(format string, args ...string) Reason { return Reason{Format: format, Args: args} }

// Why is what a fault says.
func Why(err error) Reason {
	said := web.SaidBy(err)
	if said.IsZero() {
		return Reason{}
	}
	return Reason{Format: "%s", Args: []string{said.String()}, Said: &said}
}

// Told is a Reason of two sentences: what is wrong, and what to do about it.
func Told(why, remedy web.Said) Reason {
	said := web.Say("%s %s", why, remedy)
	return Reason{Format: "%s", Args: []string{said.String()}, Said: &said}
}

// Say is web.T for one request, or fmt.Sprintf.
type Say = func(sentence string, args ...any) string

// In says the reason.
func (r Reason) In(say Say) string {
	if r.Said != nil {
		return say("%s", *r.Said)
	}
	if r.Format == "" {
		return ""
	}
	args := make([]any, len(r.Args))
	for i, a := range r.Args {
		args[i] = a
	}
	return say(r.Format, args...)
}

// Item is one of many.
type Item struct {
	N      int             `json:"-"`           // from 1, in the order in which they are done
	Target string          `json:"t,omitempty"` // an id, a line
	Name   string          `json:"n,omitempty"`
	Data   json.RawMessage `json:"d,omitempty"` // what Start was given; for Undo, what Result.Undo was
}

// ResultState is how an item ended.
type ResultState string

// The ends of an item.
const (
	DoneItem    ResultState = "done"
	SkippedItem ResultState = "skipped"
	FailedItem  ResultState = "failed"
)

// Result is what became of an item.
type Result struct {
	State  ResultState // DoneItem when empty
	Did    string      // the kind's own word: "created", "updated"
	Target string      // the item's when empty
	Name   string      // the item's when empty
	Why    Reason
	Undo   any // what it needs to be taken back; nil: there is nothing to take back
}

// Skip is the result of an item that there was no need, or no right, to touch.
func Skip(why Reason) Result { return Result{State: SkippedItem, Why: why} }

// Kind is one sort of job.
type Kind struct {
	Name string
	// Need is what the starter must hold as long as the job runs, and whoever looks at it.
	Need access.Permission
	// Title says what the job does: "Give 12 people the role Viewer".
	Title func(to web.Reader, j Job) string
	// Words are what the values of Result.Did are called.
	Words map[string]string
	// Link is the page of a target under /console/{org}; may be nil.
	Link func(target string) string
	// Fresh tells whether to take the job back asks for a fresh sign-in; may be nil.
	Fresh func(j Job) bool
	// Size is how many items share a transaction; 1 when 0.
	Size int
	// One does an item, UndoOne takes it back; a fault undoes this item alone, and is its
	// result, of which the name is kept. With UndoOne nil there is no undo.
	One, UndoOne func(tx *store.Tx, j Job, item Item) (Result, error)
	// Many is for kinds that are faster with Size items at once than one by one; it gives a
	// result for each. An error undoes all of them; they are tried again at once as the One
	// of each when there is one, else all of them later. So for UndoMany and UndoOne.
	Many, UndoMany func(tx *store.Tx, j Job, items []Item) ([]Result, error)
	// Ahead works out what Many needs for these items, while those before them are written: it
	// sees what was there before these. Many finds it in Job.Ahead, and must look whether it
	// still holds. It runs as the starter and only reads; nil, or what fails, is no loss.
	Ahead func(tx *store.Tx, j Job, items []Item) (any, error)
	// Early writes what comes first of these items, for which Ahead made something, while the
	// transaction of those before them ends: it does not see what that one did, and must write
	// nothing that it may write, too. Many finds in Job.Early what it gives, and does the rest.
	// An error, or nil, undoes it, and the items are done as if there was no Early. May be nil.
	Early func(tx *store.Tx, j Job, items []Item) (any, error)
}

func (k Kind) undoes() bool { return k.UndoOne != nil || k.UndoMany != nil }

// Options of a Service.
type Options struct {
	DB  *store.DB
	Log *slog.Logger
	// Actor looks up, in the job's transaction, who a person or a key of this organization
	// is by now, with the roles. Faults: Denied, NotFound, SignIn (not any more).
	Actor func(tx *store.Tx, who Starter) (access.Actor, error)
	// Operator is the same for an operator, who belongs to another organization; it is
	// asked before the transaction.
	Operator func(ctx context.Context, who Starter) (access.Actor, error)
}

// Service has the operations. Safe for concurrent use, also by several servers.
type Service struct {
	opt   Options
	kinds map[string]Kind
	wake  chan struct{}
	pause time.Duration // between looks for what another server started
}

const (
	workers  = 2
	lease    = 30 * time.Second
	slice    = 300 * time.Millisecond // of one job, before another has its turn
	chunk    = 500                    // items in a row of job_parts
	keepFor  = 30 * 24 * time.Hour
	maxOpen  = 20 // jobs of an organization that are not over
	maxTries = 6
)

// UndoFor is how long after its end a job can be taken back.
const UndoFor = 24 * time.Hour

// New fills in the defaults. Register the kinds before Run and Mount.
func New(opt Options) *Service {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	return &Service{opt: opt, kinds: map[string]Kind{}, wake: make(chan struct{}, workers), pause: 2 * time.Second}
}

// Register makes kinds of job known.
func (s *Service) Register(kinds ...Kind) {
	for _, k := range kinds {
		k.Size = max(k.Size, 1)
		s.kinds[k.Name] = k
	}
}

// In is a job to start.
type In struct {
	Kind  string
	Input any            // for Title, One and Undo
	Once  string         // of the form that starts it: the same a second time starts nothing
	Items iter.Seq[Item] // in the order in which they are done
}

// Start writes a job into the caller's transaction; it begins with the commit. A second
// time with the same Once gives the job that is there. Faults: Denied, Invalid (no
// item), TooMany (that are not over).
func (s *Service) Start(tx *store.Tx, in In) (Job, error) {
	k, ok := s.kinds[in.Kind]
	if !ok {
		return Job{}, fmt.Errorf("no kind of job %q", in.Kind)
	}
	if err := tx.Require(k.Need); err != nil {
		return Job{}, err
	}
	input, err := json.Marshal(in.Input)
	if err != nil {
		return Job{}, fmt.Errorf("input of a job %s: %w", in.Kind, err)
	}
	if in.Once != "" {
		in.Once = tx.Actor().ID + " " + in.Once
	}
	j := Job{ID: store.NewID[Job](), Kind: in.Kind, State: Queued, Input: input, Starter: StarterOf(tx.Actor()), CreatedAt: tx.Now()}
	if err := s.room(tx); err != nil {
		return Job{}, err
	}
	if made, err := insertJob(tx, j, in.Once); err != nil || !made {
		if err == nil {
			j, err = jobByOnce(tx, in.Once)
		}
		return j, err
	}
	if j.Total, err = insertParts(tx, j.ID, in.Items); err != nil {
		return j, err
	}
	if j.Total == 0 {
		return j, fault.Invalid.Say("There is nobody and nothing to do this to. Choose some first.")
	}
	if err := setTotal(tx, j.ID, j.Total); err != nil {
		return j, err
	}
	tx.AfterCommit(s.nudge)
	return j, s.record(tx, "job.start", j, nil)
}

func (s *Service) room(tx *store.Tx) error {
	n, err := countOpen(tx)
	if err == nil && n >= maxOpen {
		err = fault.TooMany.Say("%d jobs of this organization are waiting or running already. Let some of them end, or cancel one.", n)
	}
	return err
}

// StarterOf is an actor as it is kept, see ActorOf.
func StarterOf(a access.Actor) Starter {
	return Starter{Kind: a.Kind, ID: a.ID, Name: a.Name, Operator: a.Operator, IP: a.IP, Request: a.Request}
}

func (s *Service) record(tx *store.Tx, action string, j Job, detail map[string]any) error {
	if detail == nil {
		detail = map[string]any{}
	}
	detail["kind"], detail["items"] = j.Kind, j.Total
	return tx.Record(store.Activity{Action: action, TargetKind: "job", TargetID: string(j.ID), TargetName: s.title(web.Reader{}, j), Detail: detail})
}

// title says what a job does, also one of a kind that this server does not know.
func (s *Service) title(to web.Reader, j Job) string {
	k, ok := s.kinds[j.Kind]
	if !ok {
		return j.Kind
	}
	if j.Undoes != "" {
		return to.T("Undo: %s", k.Title(to, j))
	}
	return k.Title(to, j)
}

// Cancel ends a job; what it has done stays. Needs Write. Faults: NotFound, Denied,
// Conflict (it is over).
func (s *Service) Cancel(tx *store.Tx, id ID) error {
	j, err := s.Get(tx, id)
	if err != nil {
		return err
	}
	ended, err := endJob(tx, id, Cancelled, Reason{})
	if err != nil {
		return err
	}
	if !ended {
		return fault.Conflict.Say("This job is over already. What it did can be undone for a day.")
	}
	return s.record(tx, "job.cancel", j, nil)
}

// Undo starts the job that takes another one back, and gives the one that is there when
// that was asked before. Needs Write. Faults: NotFound, Denied, Conflict (it runs, or
// has nothing to take back), Expired, TooMany.
func (s *Service) Undo(tx *store.Tx, id ID) (Job, error) {
	j, err := s.Get(tx, id)
	if err != nil {
		return j, err
	}
	if j.UndoneBy != "" {
		return s.Get(tx, j.UndoneBy)
	}
	if err := s.mayUndo(tx.Now(), j); err != nil {
		return j, err
	}
	if err := s.room(tx); err != nil {
		return j, err
	}
	undo := Job{ID: store.NewID[Job](), Kind: j.Kind, State: Queued, Undoes: j.ID, Input: j.Input, Starter: StarterOf(tx.Actor()), Total: j.Undoable, CreatedAt: tx.Now()}
	first, err := claimUndo(tx, j.ID, undo.ID)
	if err != nil {
		return j, err
	}
	if !first { // somebody else was faster
		if j, err = s.Get(tx, id); err != nil {
			return j, err
		}
		return s.Get(tx, j.UndoneBy)
	}
	if _, err := insertJob(tx, undo, ""); err != nil {
		return j, err
	}
	if err := setTotal(tx, undo.ID, undo.Total); err != nil {
		return j, err
	}
	tx.AfterCommit(s.nudge)
	return undo, s.record(tx, "job.start", undo, nil)
}

// mayUndo refuses with Conflict or Expired.
func (s *Service) mayUndo(now store.Time, j Job) error {
	switch {
	case j.EndedAt == 0:
		return fault.Conflict.Say("This job is not over yet. Cancel it first, or let it end.")
	case j.Undoes != "":
		return fault.Conflict.Say("This job took another one back. Do the other one again instead.")
	case !s.kinds[j.Kind].undoes():
		return fault.Conflict.Say("What this job did cannot be undone.")
	case j.Undoable == 0:
		return fault.Conflict.Say("This job changed nothing that could be undone.")
	case now > j.EndedAt.Add(UndoFor):
		return fault.Expired.Say("This job ended more than a day ago, so it cannot be undone at once any more. Change people one by one, or start another job.")
	}
	return nil
}

// Get finds a job of a kind that the actor may look at. Faults: NotFound.
func (s *Service) Get(tx *store.Tx, id ID) (Job, error) {
	j, err := jobByID(tx, id)
	if err == nil && !tx.Actor().May(s.need(j.Kind)) {
		err = fault.NotFound.Say("There is no such thing.")
	}
	if fault.Is(err, fault.NotFound) {
		return Job{}, fault.NotFound.Wrap(err, "There is no such job here, or it was over more than 30 days ago.")
	}
	return j, err
}

// need is the right to look at a kind; one that is not known here is for whoever may
// configure everything.
func (s *Service) need(kind string) access.Permission {
	if k, ok := s.kinds[kind]; ok {
		return k.Need
	}
	return access.Configure
}

// List are the jobs of the organization that the actor may look at, newest first, before
// this one or from the newest.
func (s *Service) List(tx *store.Tx, before ID, limit int) ([]Job, error) {
	kinds := []string{}
	for name, k := range s.kinds {
		if tx.Actor().May(k.Need) {
			kinds = append(kinds, name)
		}
	}
	return listJobs(tx, kinds, before, limit)
}

// ResultQuery chooses results of a job.
type ResultQuery struct {
	State  ResultState // any when empty
	After  int         // behind this number
	Before int         // or before this one, those next to it
	Limit  int
}

// Found is a result as it is kept.
type Found struct {
	N      int         `db:"n"`
	State  ResultState `db:"state"`
	Did    string      `db:"did"`
	Target string      `db:"target"`
	Name   string      `db:"name"`
	Why    Reason      `db:"-"`
	WhyRaw string      `db:"why"`
}

// Results are what became of the items so far, in order. The caller has found the job with Get.
func (s *Service) Results(tx *store.Tx, id ID, q ResultQuery) ([]Found, error) {
	list, err := results(tx, id, q)
	for i := range list {
		if err := json.Unmarshal([]byte(list[i].WhyRaw), &list[i].Why); err != nil {
			return nil, fmt.Errorf("result %d of job %s: %w", list[i].N, id, err)
		}
	}
	return list, err
}

func (s *Service) nudge() {
	for range workers {
		select {
		case s.wake <- struct{}{}:
		default:
			return
		}
	}
}
