/*
Package importer brings people in from a file, looks at every line of it first, and
writes such files.

	Upload    the file, piece by piece into the database; how it is written is recognized (reader.go)
	Begin     with chosen columns (columns.go) each line becomes a row: what it would do, by what
	          the database says now (plan.go, decide.go): create, update, unchanged, error ...
	          More than a thousand lines are read later, by any server (later.go)
	Start     a job (package jobs) does the good rows, many in a transaction, each looked at
	          again: what changed since the preview is told, not overwritten (apply.go). A batch
	          is worked out while the one before is written, and counts if nothing changed since (ahead.go)
	Undo      the job's: created people go if nothing happened to them, changes are taken back
	          where they still stand (undo.go)

Console, REST API and command line are three faces of this. A file takes the same way
when a schedule fetches it (feed.go): from a folder that the operator allows, or by SFTP.

What is remembered between requests is in the database, so any server can go on. Reading
a file of 50,000 lines holds its keys and no more than a few hundred lines.

It owns the tables import_runs, import_pieces, import_rows, import_feeds and
import_seen, and relies on store for people and on jobs for the work. Invitations and
the check of addresses are package invite's, handed in.
*/
package importer

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// ID names an import.
type ID = store.ID[Run]

// State is where an import stands.
type State string

// The states of an import. What became of a started one is its job's to say.
const (
	Uploading State = "uploading"
	Uploaded  State = "uploaded" // the columns are to be looked at
	Reading   State = "reading"
	Ready     State = "ready" // every line can be looked at
	Started   State = "started"
	dropped   State = "dropped" // it is being removed
)

// What becomes of new people.
const (
	NewInvite = "invite" // they are invited, with a mail
	NewSave   = "save"   // they are invited, and the mail is sent by hand later
	NewActive = "active" // they are active, and sign in by the organization's connection
)

// What becomes of people who are not in the file.
const (
	MissingKeep       = "keep"
	MissingList       = "list"
	MissingDeactivate = "deactivate"
)

// Settings say how a file is read and what is done with it.
type Settings struct {
	Form
	Columns []string `json:"columns"`  // the field that each column of the file fills; "" for none
	Key     string   `json:"key"`      // by which field a line finds its person
	New     string   `json:"new"`      // NewInvite, NewSave or NewActive
	Missing string   `json:"missing"`  // MissingKeep, MissingList or MissingDeactivate
	MaxGone int      `json:"max_gone"` // percent of the people that may be deactivated without more words
}

var keys = []string{fieldEmail, fieldUserName, fieldNumber}

const defaultMaxGone = 10

// check fills in what was left out. Faults: Invalid on the setting.
func (s *Settings) check(header []string, fields []Field) error {
	if err := s.Form.Check(); err != nil {
		return err
	}
	if len(s.Columns) != len(header) {
		return fault.Invalid.On("columns", "The file has %s, and not %d as was chosen. Look at the columns again.", fault.Count(len(header), "%d column", "%d columns"), len(s.Columns))
	}
	for i, name := range s.Columns {
		if name == "" {
			continue
		}
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name }) {
			return fault.Invalid.On("columns", "There is no field %.200q. Choose one of those that are offered.", name)
		}
		if j := slices.Index(s.Columns, name); j < i {
			return fault.Invalid.On("columns", "The columns %.40q and %.40q both fill %s. Keep one of them.", header[j], header[i], label(name, fields))
		}
	}
	if s.Key == "" {
		for _, k := range keys {
			if s.Key == "" && slices.Contains(s.Columns, k) {
				s.Key = k
			}
		}
	}
	switch {
	case s.Key == "" && slices.ContainsFunc(header, func(c string) bool { return strings.Contains(c, "@") }):
		return bad("The first line must name the columns, and it looks like a person. Put a line like email,given_name,family_name,role above it.")
	case s.Key == "":
		return bad("There is no column for the e-mail address. Name it email, or say which column it is. The columns found are: %s.", clip(strings.Join(header, ", "), 300))
	case !slices.Contains(keys, s.Key):
		return fault.Invalid.On("key", "A line cannot find its person by %.40q. Choose one of %s.", s.Key, strings.Join(keys, ", "))
	case !slices.Contains(s.Columns, s.Key):
		return fault.Invalid.On("key", "No column fills %s, by which a line finds its person. Choose a column for it, or another key.", label(s.Key, fields))
	}
	if s.New == "" {
		s.New = NewActive
	}
	if !slices.Contains([]string{NewInvite, NewSave, NewActive}, s.New) {
		return fault.Invalid.On("new", "New people cannot be %.40q. Choose invite, save or active.", s.New)
	}
	if s.Missing == "" {
		s.Missing = MissingKeep
	}
	if !slices.Contains([]string{MissingKeep, MissingList, MissingDeactivate}, s.Missing) {
		return fault.Invalid.On("missing", "People who are not in the file cannot be %.40q. Choose keep, list or deactivate.", s.Missing)
	}
	if s.MaxGone == 0 {
		s.MaxGone = defaultMaxGone
	}
	if s.MaxGone < 1 || s.MaxGone > 100 {
		return fault.Invalid.On("max_gone", "%d percent is no share. Choose 1 to 100.", s.MaxGone)
	}
	return nil
}

func label(name string, fields []Field) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Label
		}
	}
	return name
}

// Action is what a line does.
type Action string

// The actions.
const (
	Create     Action = "create"
	Update     Action = "update"
	Unchanged  Action = "unchanged"
	Failed     Action = "error"
	Managed    Action = "managed"    // nothing, as a directory manages the person
	Seats      Action = "seats"      // nothing, as there is no seat left
	Deactivate Action = "deactivate" // of somebody who is not in the file
	Missing    Action = "missing"    // nothing but a line for somebody who is not in the file
)

// Change is one value that becomes another.
type Change struct {
	Column string `json:"column"`
	From   string `json:"from"`
	To     string `json:"to"`
}

// Row is what one line does.
type Row struct {
	N       int               `json:"-"` // from 1, in the file's order
	Line    int               `json:"-"`
	Action  Action            `json:"-"`
	Email   string            `json:"-"`
	Name    string            `json:"-"`
	User    store.UserID      `json:"-"` // of a new person: the one it will have
	Cells   map[string]string `json:"cells,omitempty"`
	Changes []Change          `json:"changes,omitempty"`
	Problem *Problem          `json:"problem,omitempty"`
	Boss    int               `json:"boss,omitempty"`    // the row of the manager
	Manager store.UserID      `json:"manager,omitempty"` // who is there already
	Named   string            `json:"named,omitempty"`   // the user name that a new person gets, with a number if somebody has it
}

// columns names what changes.
func (r Row) columns() []string {
	var list []string
	for _, c := range r.Changes {
		list = append(list, c.Column)
	}
	return list
}

// Run is one file on its way.
type Run struct {
	ID        ID
	Name      string // of the file
	Feed      FeedID // that fetched it; empty: it was uploaded
	State     State
	Settings  Settings
	Header    []string
	Unmapped  []string // names of columns that fill nothing
	Notices   []web.Said
	Sample    [][]string // the first lines
	Counts    map[Action]int
	Read      int      // lines, while it is read
	Total     int      // lines
	Problem   web.Said // why it could not be read
	People    int      // of the organization, whom a file may leave out
	Job       jobs.ID
	By        string // who uploaded it
	CreatedAt store.Time

	reader jobs.Starter // who wants it read
	turn   string
}

// unattended tells whether a feed brought the file and no person has looked at it.
func (r Run) unattended(actor access.Actor) bool { return r.Feed != "" && actor.Kind == access.System }

// Good is the number of rows that do something.
func (r Run) Good() int { return r.Counts[Create] + r.Counts[Update] + r.Counts[Deactivate] }

// Bad is the number of rows that a file of errors has.
func (r Run) Bad() int { return r.Counts[Failed] + r.Counts[Managed] + r.Counts[Seats] }

// gone is the share of the people who would be deactivated, in percent, rounded up.
func (r Run) gone() int {
	if r.People == 0 {
		return 0
	}
	return (100*r.Counts[Deactivate] + r.People - 1) / r.People
}

func (r Run) people() fault.Some { return fault.Count(r.People, "%d person", "%d people") }

// Options of a Door.
type Options struct {
	DB   *store.DB
	Jobs *jobs.Service
	Log  *slog.Logger
	// Address checks an address and gives the form that mail servers know.
	Address func(string) (string, error)
	// Invite makes an invitation for a new person, and queues its mail when it is to be sent.
	Invite func(tx *store.Tx, org store.Org, u store.User, sent bool) error
	// Feeds: where they may read on this server, how they reach a host that a tenant chose,
	// what seals their secrets, and how reports are mailed.
	Folder    string
	Dial      func(ctx context.Context, address string) (net.Conn, error)
	Patience  time.Duration // that a host has until it has let us in; 20 seconds
	Key       secret.Key
	Queue     func(tx *store.Tx, m mail.Message) error
	PublicURL string
	// Withdraw cancels the invitation of a person who has not accepted, and deletes the person.
	Withdraw func(tx *store.Tx, user store.UserID) error
}

// Door has the operations and the pages. Safe for concurrent use.
type Door struct {
	opt     Options
	reading chan struct{} // holds as many as may read a file at once
	looking chan struct{} // holds as many organizations as may have feeds looked at at once

	wake, wakeFeeds chan struct{}
}

// New fills in the defaults and makes the job known.
func New(opt Options) *Door {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Patience == 0 {
		opt.Patience = 20 * time.Second
	}
	d := &Door{opt: opt, reading: make(chan struct{}, 2), looking: make(chan struct{}, 8), wake: make(chan struct{}, 1), wakeFeeds: make(chan struct{}, 1)}
	opt.Jobs.Register(d.kind())
	return d
}

// mayImport refuses who may not. Faults: Denied.
func mayImport(tx *store.Tx, s Settings) error {
	need := []access.Permission{access.CreateUsers, access.EditUsers, access.EditGroups}
	if s.New == NewInvite || s.New == NewSave {
		need = append(need, access.InviteUsers)
	}
	if s.Missing == MissingDeactivate {
		need = append(need, access.EndUsers)
	}
	for _, p := range need {
		if err := tx.Require(p); err != nil {
			return err
		}
	}
	return nil
}
