/*
Package operate is the view of whoever runs the server, over all organizations.

	/console/-/organizations          orgs.go, orgs_http.go  the list: state, size, what is wrong; one of them;
	                                  creating, renaming, suspending, resuming; also /api/v1/organizations
	/console/-/doctor                 doctor.go       what muster doctor finds, as of the last run; also /api/v1/doctor
	/console/-/server                 server.go       version, database, servers that run and their loops
	/console/-/mail                   mail_http.go    the queue: sending again, dropping, a test; also /api/v1/mail
	/console/-/keys                   keys_http.go    API keys of everybody, the server's own; also /api/v1/operator-keys
	                                  reseal.go       the exchange of the server's secret key
	/console/-/operators              operators.go    who runs the server; also /api/v1/operators
	/console/-/people, activity       people_http.go  an address in all organizations; what operators did

No organization can have the short name "-", so these pages take no address from any.
Every route is web.Mux.Operator or OperatorAPI: admins of organizations see none of it.
What an operator does is recorded where it happens: in the organization that it is about,
else under store.NoOrg, which is the server itself. That somebody who runs the server
comes into an organization that is not the own one is on record there (Entered), too.

It owns the tables operator_entries, servers, server_keys and doctor_runs and relies on store, session and mail. What other
doors know is handed in from cmd/muster.
*/
package operate

import (
	"context"
	"embed"
	"log/slog"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed all:templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Options is what the door must be told.
type Options struct {
	DB       *store.DB
	Sessions *session.Store
	Log      *slog.Logger
	// Facts is what other doors know of these organizations, in a few queries.
	Facts func(ctx context.Context, orgs []store.OrgID) (map[store.OrgID]Facts, error)
	Mail  *mail.Outbox
	Keys  KeyOps
	// ServerKeys are the server's own.
	ServerKeys func(ctx context.Context) ([]ServerKey, error)
	// HasSecond tells whether somebody has a second factor.
	HasSecond func(tx *store.Tx, user store.UserID) (bool, error)
	// Known tells whether somebody else knows the password of a person: it is a temporary one.
	Known func(tx *store.Tx, user store.UserID) (bool, error)
	// Examine are the checks of the doctor.
	Examine func(ctx context.Context, data bool) ([]Check, error)
	// Key is the server's secret key, and Sealed what it seals.
	Key    secret.Key
	Sealed []store.Sealed
	// Host and Version are this server's; Loops how its background loops do.
	Host, Version string
	Loops         func() []Loop
	// Did says an action in words, after the name of who acted.
	Did func(action string) string
	// Invite invites somebody to tx's organization, Resend sends somebody's invitation anew:
	// links from before lead nowhere then. Without a role it is the organization's default.
	Invite func(tx *store.Tx, org store.Org, in Newcomer, role string) (store.UserID, error)
	Resend func(tx *store.Tx, org store.Org, user store.UserID) error
}

// Newcomer is somebody who is invited.
type Newcomer struct{ Email, GivenName, FamilyName string }

// Facts are what doors know of one organization.
type Facts struct {
	Directories []Directory
	Connections []Connection
	Required    bool     // single sign-on, of everybody or of a mail domain
	Lost        []string // mail domains whose DNS record is missing
	Waiting     int      // people who wait for an answer to their request for access
}

// Directory is how one does.
type Directory struct {
	ID, Name, Vendor string
	Last             store.Time // newest request; 0: none is on record
	Failing          store.Time // since when every request is refused; 0: they are not
}

// Connection is how one does.
type Connection struct {
	ID, Name, Protocol string
	Active             bool
	Ends               store.Time // of the identity provider's certificate; 0: it has none
	Problem            string     // with reading its metadata
	Pending            store.Time // since when a change of its metadata waits for an admin
}

// Door has the pages and their operations.
type Door struct {
	opt       Options
	me        Server     // since Appear
	examining sync.Mutex // held while Examine runs
}

// New makes the door.
func New(opt Options) *Door {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	return &Door{opt: opt}
}

// Nav are the tabs of these pages.
var Nav = []web.NavItem{
	{Label: "Organizations", Path: "/console/-/organizations", Need: access.Operate},
	{Label: "Doctor", Path: "/console/-/doctor", Need: access.Operate},
	{Label: "Mail", Path: mailPath, Need: access.Operate},
	{Label: "Keys", Path: keysPath, Need: access.Operate},
	{Label: "Operators", Path: operatorsPath, Need: access.Operate},
	{Label: "Activity", Path: "/console/-/activity", Need: access.Operate},
	{Label: "Server", Path: "/console/-/server", Need: access.Operate},
	{Label: "Find a person", Path: "/console/-/people", Need: access.Operate},
	{Label: "Sign-ins", Path: "/console/signins", Need: access.Operate},
}

// Mount adds the routes.
func (d *Door) Mount(m *web.Mux) {
	m.Operator("GET /console/-/organizations", d.organizations)
	m.Operator("GET /console/-/organizations/new", d.newOrg)
	m.OperatorFresh("POST /console/-/organizations", d.createOrg)
	m.Operator("GET /console/-/organizations/{slug}", d.organization)
	m.Operator("POST /console/-/organizations/{slug}/rename", d.renameOrg)
	m.OperatorFresh("POST /console/-/organizations/{slug}/suspend", d.suspendOrg)
	m.OperatorFresh("POST /console/-/organizations/{slug}/resume", d.resumeOrg)
	m.Operator("GET /console/-/doctor", d.showDoctor)
	m.Operator("POST /console/-/doctor", d.examine)
	m.Operator("GET /console/-/server", d.showServer)
	m.Operator("GET /console/-/mail", d.showMail)
	m.Operator("POST /console/-/mail/act", d.mailAct)
	m.Operator("POST /console/-/mail/test", d.testMail)
	m.Operator("GET /console/-/keys", d.showKeys)
	m.OperatorFresh("POST /console/-/keys", d.createKey)
	m.OperatorFresh("POST /console/-/keys/revoke", d.revokeKey)
	m.Operator("GET /console/-/operators", d.showOperators)
	m.OperatorFresh("POST /console/-/operators", d.addOperator)
	m.OperatorFresh("POST /console/-/operators/remove", d.removeOperator)
	m.Operator("GET /console/-/people", d.people)
	m.Operator("GET /console/-/activity", d.activity)
	d.mountAPI(m)
}

// entryEvery is how often the same person's being there is recorded anew.
const entryEvery = time.Hour

// Entered records that somebody who runs the server looks at an organization that is not
// the own one: once an hour. It is web.Options.Entered.
func (d *Door) Entered(ctx context.Context, actor access.Actor) error {
	var at store.Time
	err := d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		at, err = lastEntry(tx, actor.ID)
		return err
	})
	if err != nil || at > store.TimeOf(d.opt.DB.Now().Add(-entryEvery)) {
		return err
	}
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		first, err := noteEntry(tx, actor.ID, tx.Now().Add(-entryEvery))
		if err != nil || !first {
			return err
		}
		o, err := tx.ThisOrg()
		if err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "operator.enter", TargetKind: "org", TargetID: string(o.ID), TargetName: o.Name})
	})
}
