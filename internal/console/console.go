/*
Package console is what an organization's admin looks at: the list of people, one
person, teams, activity, directories.

	/console                          the first organization that the visitor may see; for operators package operate
	/console/{org}/users              users.go     list, search, filters; bulk.go, bulkhttp.go: many at once
	/console/{org}/users/{user}       person.go    one person; ending and giving back access
	/console/{org}/users/{user}/edit  edit.go      attributes, role, teams
	/console/{org}/overview           overview.go   counts and charts
	/console/{org}/activity           activity.go (words), activitypage.go, activityexport.go; also /api/v1/activity
	/console/{org}/users/{user}/deactivate ...  life.go  ending access and giving it back, now or planned
	/console/{org}/deleted, planned   planned.go
	/console/{org}/settings/seats     seats.go
	/console/{org}/teams              teams.go
	/console/{org}/roles              orgroles.go
	/console/{org}/attributes         attributes.go; facts.go shows their values, package extra takes them
	/console/{org}/settings           orgsettings.go  leads to what an organization can choose
	/console/{org}/settings/language  language.go     also /api/v1/settings/language
	/console/{org}/directories        directories.go, directory.go, settings.go, clients.go, roles.go

Each handler reads its input, calls one operation of store and chooses the answer;
the rules are store's. It owns no table. What other doors know (invitations,
identities, making a directory's token) is handed in as funcs, because doors do not
import one another.
*/
package console

import (
	"embed"
	"log/slog"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/checklist"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed all:templates
var files embed.FS

var pages = web.MustPages(files, "templates/*.html")

// Options of a Console. Funcs may be nil: what they tell is left out then.
type Options struct {
	DB       *store.DB
	Sessions *session.Store
	Log      *slog.Logger
	// Checklists have the tasks of people who join and leave. May be nil.
	Checklists *checklist.Service
	// Life plans changes of state. Nil: they are made at once only.
	Life *life.Service
	// Invitations tells the newest invitation of each of these people, in one query.
	Invitations func(tx *store.Tx, users []store.UserID) (map[store.UserID]Invitation, error)
	// Traits are what else people are filtered by, by its word in the address (traitOptions,
	// invitationOptions). What is missing is not offered.
	Traits map[string]func(tx *store.Tx) []store.PeopleSet
	// InvitationHistory is what happened to a person's invitations, newest first.
	InvitationHistory func(tx *store.Tx, user store.UserID) ([]InvitationEvent, error)
	// InvitationCounts tells how many invitations are in each state, in words.
	InvitationCounts func(r *http.Request, tx *store.Tx) ([]StateCount, error)
	// Jobs work off what is done to many; without it nothing is. Bulk is what other doors do for it.
	Jobs *jobs.Service
	Bulk BulkOps
	// Identities tells with which accounts of identity providers a person signs in.
	Identities func(tx *store.Tx, user store.UserID) ([]Identity, error)
	// Factors tells what somebody has beside a password. May be nil.
	Factors func(tx *store.Tx, user store.UserID) (Factors, error)
	// Pictures are the versions of people's pictures, of those who have one. May be nil.
	Pictures func(tx *store.Tx, users []store.UserID) (map[store.UserID]string, error)
	// AttributeSources tells where attributes of a person came from; LockEdited keeps sign-ins
	// from changing those that were edited since. Both are there, or none.
	AttributeSources func(tx *store.Tx, u store.User) ([]AttributeSource, error)
	LockEdited       func(tx *store.Tx, u store.User) error
	// ConnectionNames are the names of connections by id.
	ConnectionNames func(tx *store.Tx) (map[string]string, error)
	// CreateDirectory makes a directory and its first token. Faults: Invalid on "name", "vendor", "mode".
	CreateDirectory func(tx *store.Tx, name, vendor, mode string) (store.Directory, string, error)
	// DirectoryURL is the base URL that is entered at the directory.
	DirectoryURL func(store.DirectoryID) string
	// Tokens are all there, or none: then directories have no page of their own.
	Tokens DirectoryTokens
	// Settings say how a directory's requests are understood. All there, or none.
	Settings DirectorySettings
	// Clients are all there, or none: then directories have no page of OAuth clients.
	Clients DirectoryClients
	// Requests tells how the connections of these directories do. With it, each has a
	// page .../directories/{directory}/log of another package.
	Requests func(tx *store.Tx, directories []store.DirectoryID) (map[store.DirectoryID]Requests, error)
	Vendors  []web.Option // of directories
	// SettingsPages are what an organization can choose, page by page, for the card index.
	SettingsPages []SettingsPage
}

// SettingsPage leads to a group of settings of the organization; {org} in Path becomes its slug.
type SettingsPage struct{ Label, About, Path string }

// StateCount is how many there are of something in a state.
type StateCount struct {
	Label, Link string
	N           int
}

// Requests is how a directory's connection does.
type Requests struct {
	Last    store.Time // newest request; 0: none is on record
	Failing store.Time // since when every request is refused; 0: they are not
}

// Invitation is what the console shows of one.
type Invitation struct {
	State     string // pending, saved, bounced, expired, accepted, cancelled
	InvitedBy string
	Email     string
	Sent      int // how many times
	SentAt    store.Time
	ExpiresAt store.Time
	EndedAt   store.Time
	Bounce    string     // what the mail server said
	AskedAt   store.Time // when the person asked for a new link
	Note      string     // in the mail
}

// InvitationEvent is something that happened to one.
type InvitationEvent struct {
	At               store.Time
	What, By, Detail string
}

// AttributeSource is where an attribute of a person came from.
type AttributeSource struct {
	Attr               string
	Label              web.Said
	Connection, Source string
	Locked             bool // sign-ins leave it alone
	Edited             bool // it was changed here since
	Since              store.Time
}

// Identity is a person's account at an identity provider.
type Identity struct {
	Connection, Subject string
	State               string // live, next, retired
	FirstSeen, LastSeen store.Time
}

// Console has the pages.
type Console struct{ opt Options }

// New fills in the defaults.
func New(opt Options) *Console {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	c := &Console{opt: opt}
	if opt.Jobs != nil {
		opt.Jobs.Register(c.kinds()...)
	}
	return c
}

// Mount adds the routes.
func (c *Console) Mount(m *web.Mux) {
	m.Member("GET /console", c.home)
	m.Console(access.ViewUsers, "GET /console/{org}", c.orgHome)

	m.Console(access.ViewUsers, "GET /console/{org}/users", c.users)
	m.Console(access.ViewUsers, "GET /console/{org}/users/export.csv", c.exportUsers)
	m.Console(access.ViewUsers, "POST /console/{org}/users/columns", c.keepColumns)
	if c.opt.Jobs != nil {
		m.Console(access.ViewUsers, "POST /console/{org}/users/bulk", c.bulk)
		m.Console(access.ViewUsers, "POST /console/{org}/users/bulk/start", c.startBulk)
	}
	m.Console(access.ViewUsers, "GET /console/{org}/users/{user}", c.person)
	c.mountAPI(m)
	m.Console(access.EditUsers, "GET /console/{org}/users/{user}/edit", c.editForm)
	m.Console(access.EditUsers, "POST /console/{org}/users/{user}/edit", c.edit)
	m.Console(access.EndUsers, "POST /console/{org}/users/{user}/sessions/end", c.endSessions)
	c.mountLife(m)

	m.Console(access.ViewUsers, "GET /console/{org}/overview", c.overview)
	m.Console(access.ViewActivity, "GET /console/{org}/activity", c.activity)
	m.Console(access.ViewActivity, "GET /console/{org}/activity/export", c.exportActivity)
	m.API(access.ViewActivity, "GET /api/v1/activity", c.apiActivity) // List the activity log, newest first. With format it is a file with all of it

	m.Console(access.Configure, "GET /console/{org}/settings", c.orgSettings)
	m.Console(access.Configure, "GET /console/{org}/settings/language", c.showLanguage)
	m.Console(access.Configure, "POST /console/{org}/settings/language", c.changeLanguage)
	m.API(access.Configure, "GET /api/v1/settings/language", c.apiLanguage)      // Get the language and time zone for those who chose none
	m.API(access.Configure, "PATCH /api/v1/settings/language", c.apiSetLanguage) // Change the language and time zone for those who chose none

	m.Console(access.Configure, "GET /console/{org}/attributes", c.attributes)
	m.Console(access.Configure, "POST /console/{org}/attributes", c.addAttribute)
	m.Console(access.Configure, "GET /console/{org}/attributes/{urn}/{name}", c.attribute)
	m.Console(access.Configure, "POST /console/{org}/attributes/{urn}/{name}", c.editAttribute)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/attributes/{urn}/{name}/delete", c.deleteAttribute)

	c.mountRoles(m)

	m.Console(access.ViewGroups, "GET /console/{org}/teams", c.teams)
	m.Console(access.EditGroups, "POST /console/{org}/teams", c.createTeam)
	m.Console(access.ViewGroups, "GET /console/{org}/teams/{group}", c.team)
	m.Console(access.EditGroups, "POST /console/{org}/teams/{group}/rename", c.renameTeam)
	m.Console(access.EditGroups, "POST /console/{org}/teams/{group}/add", c.addMember)
	m.Console(access.EditGroups, "POST /console/{org}/teams/{group}/remove", c.removeMember)
	m.Console(access.EditGroups, "POST /console/{org}/teams/{group}/nest", c.nestTeam)
	m.Console(access.EditGroups, "POST /console/{org}/teams/{group}/unnest", c.unnestTeam)
	m.Console(access.EditGroups, "GET /console/{org}/teams/{group}/delete", c.endTeam)
	m.ConsoleFresh(access.EditGroups, "POST /console/{org}/teams/{group}/delete", c.deleteTeam)

	m.Console(access.Configure, "GET /console/{org}/directories", c.directories)
	m.ConsoleFresh(access.Configure, "POST /console/{org}/directories", c.createDirectory)
	if c.opt.Tokens.List != nil {
		m.Console(access.Configure, "GET /console/{org}/directories/{directory}", c.directory)
		m.ConsoleFresh(access.Configure, "POST /console/{org}/directories/{directory}/tokens", c.makeToken(c.createToken))
		m.ConsoleFresh(access.Configure, "POST /console/{org}/directories/{directory}/tokens/rotate", c.makeToken(c.rotateToken))
		m.ConsoleFresh(access.Configure, "POST /console/{org}/directories/{directory}/tokens/revoke", c.revokeToken)
		m.Console(access.Configure, "GET /console/{org}/directories/{directory}/roles", c.roles)
		m.Console(access.Configure, "POST /console/{org}/directories/{directory}/roles", c.mapRole)
		m.Console(access.Configure, "POST /console/{org}/directories/{directory}/roles/unmap", c.unmapRole)
	}
	if c.opt.Clients.List != nil {
		m.Console(access.Configure, "GET /console/{org}/directories/{directory}/clients", c.clients)
		m.ConsoleFresh(access.Configure, "POST /console/{org}/directories/{directory}/clients", c.makeClient(c.createClient))
		m.ConsoleFresh(access.Configure, "POST /console/{org}/directories/{directory}/clients/rotate", c.makeClient(c.rotateClient))
		m.ConsoleFresh(access.Configure, "POST /console/{org}/directories/{directory}/clients/revoke", c.revokeClient)
	}
	if c.opt.Settings.Of != nil {
		m.Console(access.Configure, "GET /console/{org}/directories/{directory}/settings", c.settings)
		m.Console(access.Configure, "POST /console/{org}/directories/{directory}/settings", c.changeSettings)
		m.Console(access.Configure, "POST /console/{org}/directories/{directory}/settings/reset", c.resetSettings)
	}
}

// home leads to the first page of whoever asks.
func (c *Console) home(w http.ResponseWriter, r *http.Request) error {
	actor := web.Actor(r)
	if actor.Operator {
		http.Redirect(w, r, "/console/-/organizations", http.StatusSeeOther)
		return nil
	}
	if !actor.May(access.ViewUsers) {
		return fault.Denied.Say("Your role has no pages in the console. Ask an admin of your organization if you should see them.")
	}
	org, err := c.opt.DB.OrgByID(r.Context(), store.OrgID(actor.Org))
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/console/"+org.Slug+"/users", http.StatusSeeOther)
	return nil
}

func (c *Console) orgHome(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, base(r)+"/users", http.StatusSeeOther)
	return nil
}

// base is the path of this organization's console.
func base(r *http.Request) string { return "/console/" + web.OrgOf(r).Slug }
