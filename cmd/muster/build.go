package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/account"
	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/checklist"
	"github.com/muster-id/muster/internal/console"
	"github.com/muster-id/muster/internal/factor"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/openapi"
	"github.com/muster-id/muster/internal/operate"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/policy"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/review"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// system is every package, built over one database.
type system struct {
	key          secret.Key
	db           *store.DB
	url          string // public URL
	loopback     bool   // nobody else reaches the listener
	mux          *web.Mux
	health       *health
	metrics      *metrics
	sessions     *session.Store
	passwords    *password.Store
	factors      *factor.Store
	mail         *mail.Outbox
	invites      *invite.Door
	imports      *importer.Door
	account      *account.Account
	policy       *policy.Door
	life         *life.Service
	operate      *operate.Door
	sso          *sso.Door
	provisioning *scim.Log
	api          *api.Door
	jobs         *jobs.Service
	reviews      *review.Service
	checklists   *checklist.Service
	loops        map[string]func(context.Context) error // run until their context ends
	beats        beats                                  // how they do
}

// build makes the packages in the order of their dependence and mounts their routes.
func build(cfg *config.Config, db *store.DB, key secret.Key, log *slog.Logger) (*system, error) {
	url := cfg.BaseURL(cfg.HTTP.Addr)
	s := &system{key: key, db: db, url: url, loopback: cfg.HTTP.Addr.Loopback(), health: &health{db: db}, metrics: newMetrics()}
	s.sessions = session.New(session.Options{DB: db, PublicURL: url, Idle: cfg.Session.Idle, Absolute: cfg.Session.Absolute, Log: log,
		Admit: s.admit, Started: func(tx *store.Tx, in session.In) error { return s.account.SessionStarted(tx, in) }})
	s.passwords = password.New(password.Options{DB: db, Log: log, MayRecord: func(ip string) bool { return s.sso.MayRecordPassword(ip) }})
	s.factors = factor.New(factor.Options{DB: db, Key: key, PublicURL: url, Log: log, Rule: func(tx *store.Tx, user store.UserID) (factor.Rule, error) { return s.policy.FactorRule(tx, user) }, Tell: s.mailFactor})
	s.policy = policy.New(s.policyOptions(log))
	var err error
	s.mail, err = mail.New(mail.Options{DB: db, URL: string(cfg.Mail.URL), From: string(cfg.Mail.From), PublicURL: url,
		Loopback: s.loopback, Log: log, Failed: func(tx *store.Tx, id mail.ID, words string) error { return s.invites.Bounced(tx, id, words) }})
	if err != nil {
		return nil, err
	}
	s.jobs = jobs.New(s.jobsOptions(log))
	s.invites = invite.New(s.inviteOptions(url, cfg.Invite.TTL, log))
	s.openLife(log)
	s.openWork(cfg, log)
	s.checklists = checklist.New(checklist.Options{DB: db, Log: log, Mail: s.mailNotice, SecondFactor: s.hasFactor})
	s.reviews = review.New(review.Options{DB: db, Log: log, ConnectionNames: sso.ConnectionNames, Mail: s.mailNotice})
	s.sso = sso.New(sso.Options{DB: db, Sessions: s.sessions, Key: key, PublicURL: url, Egress: cfg.Egress.Allow, Log: log, Tell: s.tellAdmins, SignInAge: cfg.SignIns.Age, SignInRows: cfg.SignIns.Rows, Mail: s.mailPerson, AcceptInvitation: s.invites.SignedIn,
		Required: func(tx *store.Tx) (bool, error) { return s.policy.HoldRequired(tx) }})

	s.account = account.New(account.Options{ConnectionNames: sso.ConnectionNames, DB: db, Sessions: s.sessions, Passwords: s.passwords, Factors: s.factors, Mail: s.mail, PublicURL: url, Log: log,
		Discover: s.discover, Connections: s.connectionsOf, Remembered: s.remembered, Forget: func(w http.ResponseWriter) { s.sso.ForgetChoice(w) },
		Password: func(ctx context.Context, org store.OrgID) (bool, error) {
			may, err := s.policy.AnyMethods(ctx, org)
			return may.Password, err
		},
		May: func(tx *store.Tx, user store.UserID) (password, sso bool, err error) {
			may, err := s.policy.MethodsOf(tx, user)
			return may.Password, may.SSO, err
		},
		Filled: filledBySignIns,
		MayMove: func(ctx context.Context, org store.OrgID, address string) (bool, error) {
			may, err := s.policy.Methods(ctx, org, sso.DomainOf(address))
			return may.Password, err
		},
		BreakGlass: account.BreakGlass{Named: s.policy.Named, UseCode: s.policy.UseCode, Few: policy.FewCodes},
		Leave: func(ctx context.Context, actor access.Actor, in session.Session) (string, error) {
			return s.sso.Leave(ctx, actor, in.ID)
		},
	})

	s.mux = web.NewMux(web.Options{
		PublicURL: url, Authenticate: s.authenticate, TrustedProxies: cfg.HTTP.TrustedProxies, Log: log, Metrics: s.metrics.observe,
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		},
		Nav: navigation, OperatorNav: operate.Nav, Banner: s.banner, Alarm: s.alarm, Fresh: s.policy.Fresh, Prove: s.policy.Prove, Hold: s.account.Hold,
		Entered: func(ctx context.Context, actor access.Actor) error { return s.operate.Entered(ctx, actor) },
	})
	s.health.mount(s.mux)
	openapi.Mount(s.mux)
	s.metrics.mount(s.mux, cfg.Metrics)
	s.mail.Mount(s.mux)
	s.api.Mount(s.mux)
	s.mountWork()
	s.reviews.Mount(s.mux)
	s.checklists.Mount(s.mux)
	s.account.Mount(s.mux)
	s.invites.Mount(s.mux)
	s.sso.Mount(s.mux)
	s.policy.Mount(s.mux)
	s.provisioning = scim.Mount(s.mux, db, scim.Options{PublicURL: url, Key: key, Rate: cfg.SCIM.Rate, Log: log, LogAge: cfg.SCIM.LogAge, LogRows: cfg.SCIM.LogRows, ScanRows: cfg.SCIM.ScanRows,
		Password: s.directoryPassword, Fetch: s.sso.Fetch})
	s.metrics.count("muster_scim_log_dropped_total", "Requests of directories that the provisioning log left out, because too many came at once.", s.provisioning.Dropped)
	console.New(s.consoleOptions(log)).Mount(s.mux)
	s.operate = operate.New(s.operateOptions(cfg, log))
	s.operate.Mount(s.mux)

	s.loops = s.loopsWith(log)
	return s, nil
}

// loopsWith are what goes on beside requests, by name.
func (s *system) loopsWith(log *slog.Logger) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"account":  s.account.Run,
		"domains":  s.sso.RunDomains,
		"jobs":     s.runWork,
		"invites":  s.invites.Run,
		"factors":  s.factors.Run,
		"life":     s.life.Run,
		"mail":     s.mail.Run,
		"operate":  s.operate.Run,
		"password": s.passwords.Run,
		"policy":   s.policy.Run,
		"schemas":  s.db.RunSchemas,
		"records":  func(ctx context.Context) error { return records.Run(ctx, s.db, log) },
		"reviews":  s.reviews.Run,
		"tasks":    s.checklists.Run,
		"scim":     s.provisioning.Run,
		"sessions": s.sessions.Run,
		"sso":      s.sso.Run,
		"upkeep":   s.sso.RunUpkeep,
		"values":   s.db.RunValues,
	}
}

// authenticate finds who asks: by key under /api, else by session cookie.
func (s *system) authenticate(r *http.Request) (access.Actor, error) {
	if api.Sent(r) {
		return s.api.Authenticate(r)
	}
	return s.sessions.Authenticate(r)
}

// navigation is the console's, in the order of a working day.
var navigation = []web.NavItem{
	{Label: "Overview", Path: "/console/{org}/overview", Need: access.ViewUsers},
	{Label: "Manage users", Path: "/console/{org}/users", Need: access.ViewUsers, Also: []string{"/console/{org}/invite", "/console/{org}/invitations", "/console/{org}/import", "/console/{org}/export",
		"/console/{org}/planned", "/console/{org}/deleted", "/console/{org}/records", "/console/{org}/jobs"}},
	{Label: "Teams", Path: "/console/{org}/teams", Need: access.ViewGroups},
	{Label: "Roles", Path: "/console/{org}/roles", Need: access.ViewUsers},
	{Label: "Directories", Path: "/console/{org}/directories", Need: access.Configure},
	{Label: "Connections", Path: "/console/{org}/connections", Need: access.Configure},
	{Label: "Requests", Path: "/console/{org}/requests", Need: access.Configure},
	{Label: "Sign-ins", Path: "/console/{org}/signins", Need: access.ViewActivity},
	{Label: "Activity", Path: "/console/{org}/activity", Need: access.ViewActivity},
	{Label: "Checklists", Path: "/console/{org}/checklists", Need: access.ViewUsers},
	{Label: "Reviews", Path: "/console/{org}/reviews", Need: access.ViewUsers},
	{Label: "Settings", Path: "/console/{org}/settings", Need: access.Configure, Also: []string{"/console/{org}/security", "/console/{org}/attributes", "/console/{org}/domains"}},
}

// settingsPages are what an organization can choose, in the order of the settings page.
var settingsPages = []console.SettingsPage{
	{Label: "Sign-in and sessions", About: "Passwords or single sign-on, how long a session lives, accounts for emergencies.", Path: "/console/{org}/security"},
	{Label: "Passwords", About: "How long and how hard to guess, which characters, whether old ones may come back.", Path: "/console/{org}/settings/passwords"},
	{Label: "Invitations", About: "How long a link works, the reminder, what stands in the mail.", Path: "/console/{org}/settings/invitations"},
	{Label: "Defaults", About: "The role and the teams of new people, by how they come.", Path: "/console/{org}/settings/defaults"},
	{Label: "User names", About: "What the user names of new people look like, where nobody says one.", Path: "/console/{org}/settings/names"},
	{Label: "Seats", About: "How many people may be here, and which license they have.", Path: "/console/{org}/settings/seats"},
	{Label: "Attributes", About: "What this organization keeps of its people beside the usual.", Path: "/console/{org}/attributes"},
	{Label: "Domains", About: "The mail domains that are proved to be this organization's.", Path: "/console/{org}/domains"},
	{Label: "Language and time zone", About: "For those who chose nothing themselves, and for mails to people who are new.", Path: "/console/{org}/settings/language"},
}

// banner is a line over every page.
func (s *system) banner() web.Said {
	if s.mail.Kept() && s.loopback {
		return web.Say("No mail leaves this machine: it is kept at %s.", s.url+"/dev/mailbox")
	}
	return web.Said{}
}

// consoleOptions is what its pages know of the doors, which it may not import.
func (s *system) consoleOptions(log *slog.Logger) console.Options {
	return console.Options{
		DB: s.db, Sessions: s.sessions, Checklists: s.checklists, Life: s.life, Jobs: s.jobs, Bulk: s.bulkOps(), Log: log, Vendors: directoryVendors(), SettingsPages: settingsPages,
		DirectoryURL: func(id store.DirectoryID) string { return scim.BaseURL(s.url, id) },
		CreateDirectory: func(tx *store.Tx, name, vendor, mode string) (store.Directory, string, error) {
			return scim.Create(tx, scim.NewDirectory{Name: name, Vendor: vendor, Mode: mode})
		},
		Tokens: directoryTokens, Settings: directorySettings, Clients: s.directoryClients(),
		Requests: func(tx *store.Tx, ids []store.DirectoryID) (map[store.DirectoryID]console.Requests, error) {
			list, err := s.provisioning.States(tx, ids)
			out := make(map[store.DirectoryID]console.Requests, len(list))
			for _, d := range list {
				out[d.Directory] = console.Requests{Last: d.Last, Failing: d.Failing}
			}
			return out, err
		},
		Traits: peopleTraits(), Invitations: s.invitationsOf, InvitationHistory: s.invitationHistory,
		InvitationCounts: func(r *http.Request, tx *store.Tx) ([]console.StateCount, error) {
			of, err := s.invites.Counts(tx)
			var list []console.StateCount
			for _, state := range invite.States() {
				if of[state] > 0 {
					list = append(list, console.StateCount{Label: invite.StateName(r, state), N: of[state], Link: "/console/" + web.OrgOf(r).Slug + "/invitations?state=" + string(state)})
				}
			}
			return list, err
		},
		AttributeSources: func(tx *store.Tx, u store.User) ([]console.AttributeSource, error) {
			list, err := sso.AttributeSources(tx, u)
			out := make([]console.AttributeSource, len(list))
			for i, s := range list {
				out[i] = console.AttributeSource(s)
			}
			return out, err
		},
		Factors: func(tx *store.Tx, user store.UserID) (console.Factors, error) {
			f, err := s.factors.Of(tx, user)
			return console.Factors{Passkeys: f.Passkeys, App: f.App, Codes: f.Codes}, err
		},
		Pictures: account.Pictures, LockEdited: sso.LockEdited, ConnectionNames: sso.ConnectionNames,
		Identities: func(tx *store.Tx, user store.UserID) ([]console.Identity, error) {
			of, err := sso.Identities(tx, user)
			out := make([]console.Identity, len(of))
			for i, x := range of {
				out[i] = console.Identity{Connection: x.Connection, Subject: x.Subject, State: x.State, FirstSeen: x.FirstSeen, LastSeen: x.LastSeen}
			}
			return out, err
		},
	}
}
