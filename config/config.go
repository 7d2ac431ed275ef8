// Package config is every setting of the server: name, default, meaning, check.
//
// Settings is one struct tree, and its tags are the only place where a setting
// is described. From them come the YAML keys (http.addr), the environment names
// (MUSTER_HTTP_ADDR), the flags (--http-addr), the printed configuration, the
// reference page and the sample file.
//
//	flags, environment, file ─> Load ─> *Config (typed values, and where each came from)
//	                              └──> Faults (everything that is wrong, at once)
//
// A flag wins over the environment, the environment over the file, the file over
// the default. Package config knows no other package of ours and reads nothing
// by itself: the caller hands in the environment, the decoded file and a way to
// read secret files. Other packages take their own small Options, never this.
package config

import (
	"log/slog"
	"path/filepath"
	"time"
)

// Settings is what can be set. Tags: key (one path element), default, example,
// doc; secret is "all" (never printed) or "url" (printed without the password)
// and adds the same setting with "_file"; min and max bound numbers and times.
type Settings struct {
	HTTP         HTTP      `key:"http" doc:"The listener."`
	PublicURL    PublicURL `key:"public_url" example:"https://muster.example.com" doc:"Where browsers, directories and identity providers reach this server. Without it: http:// and the listener's address, if that is on loopback. Plain http is accepted on loopback only."`
	DataDir      string    `key:"data_dir" default:"./muster-data" example:"/var/lib/muster" doc:"Folder for the embedded database and the server key. Made at start, readable by its owner only."`
	SecretKey    string    `key:"secret_key" secret:"all" example:"64 hex digits, from: openssl rand -hex 32" doc:"Server key, 32 bytes as hex or base64. It seals stored private keys and client secrets. Without it: the file server.key in the data folder, made at first start."`
	SecretKeyOld string    `key:"secret_key_old" secret:"all" example:"the key from before" doc:"Server keys from before (or the next one), separated by commas: they open what they have sealed, and seal nothing. For an exchange of the key: see operator.md."`
	Database     Database  `key:"database" doc:"Where everything is stored."`
	Mail         Mail      `key:"mail" doc:"Outgoing mail."`
	Egress       Egress    `key:"egress" doc:"Requests that this server makes to addresses given by its users (metadata, issuers)."`
	SCIM         SCIM      `key:"scim" doc:"Directories."`
	Invite       Invite    `key:"invite" doc:"Invitations."`
	Import       Import    `key:"import" doc:"People from files."`
	Session      Session   `key:"session" doc:"Signed-in browsers."`
	SignIns      SignIns   `key:"signins" doc:"The log of sign-ins."`
	Permissions  string    `key:"permissions" example:"[{\"name\": \"view_all_tickets\", \"group\": \"Tickets\", \"label\": \"View all tickets\", \"description\": \"Sees every ticket.\", \"roles\": [\"agent\"]}]" doc:"The catalog of the applications' permissions, of which organizations make roles. In the file a list of name, group, label, description and roles (of agent and viewer, who has it from the start); in the environment the same as JSON. It replaces the catalog that Muster comes with: view_all_tickets, delete_tickets, manage_macros, export_data, view_analytics."`
	Metrics      Metrics   `key:"metrics" doc:"Prometheus metrics at /metrics. With neither address nor token they are served to callers on loopback only."`
	Log          Log       `key:"log" doc:"Logs, on standard error."`
}

// HTTP is the listener.
type HTTP struct {
	Addr           Addr     `key:"addr" default:"127.0.0.1:8080" example:"0.0.0.0:8080" doc:"Address and port to listen on. Port 0 takes a free one."`
	TrustedProxies Prefixes `key:"trusted_proxies" example:"10.0.0.0/8" doc:"Networks of reverse proxies whose X-Forwarded-For is believed. Nobody else's is."`
}

// Database is where everything is stored.
type Database struct {
	URL      DatabaseURL `key:"url" secret:"url" example:"postgres://muster:password@db.example.com/muster?sslmode=verify-full" doc:"sqlite:PATH or postgres://... Without it: sqlite, the file muster.db in the data folder."`
	MaxConns int         `key:"max_conns" default:"0" min:"0" max:"1000" example:"20" doc:"Most PostgreSQL connections to open at once; 0 is four per processor, at least 16."`
}

// Mail is outgoing mail.
type Mail struct {
	URL  MailURL  `key:"url" secret:"url" example:"smtp://user:password@mail.example.com:587" doc:"smtp:// (STARTTLS where offered) or smtps://. Without it mail goes to the built-in mailbox at /dev/mailbox, which exists on loopback only."`
	From MailFrom `key:"from" example:"Muster <no-reply@example.com>" doc:"Sender of all mail. Without it: muster at the public URL's host."`
}

// Egress is about requests to addresses given by users.
type Egress struct {
	Allow Prefixes `key:"allow" example:"10.1.0.0/16,127.0.0.1/32" doc:"Private or loopback networks that such requests may reach, also over plain http. The public internet over https is always allowed, the rest never."`
}

// Import is about people from files.
type Import struct {
	Folder string `key:"folder" example:"/srv/muster/import" doc:"Where organizations may have employee files fetched from: each reads the folder in it that has its short name, and nothing outside of that. Without it, files are fetched by SFTP only."`
}

// SCIM is about directories.
type SCIM struct {
	Rate int `key:"rate" default:"1000" min:"25" max:"100000" example:"200" doc:"Requests a second that each replica takes from one directory, and twice as many at once; more get 429 with Retry-After. A directory can have a rate of its own."`

	LogAge   time.Duration `key:"log_age" default:"720h" min:"1h" max:"87600h" example:"2160h" doc:"How long the provisioning log keeps a directory's requests. What they changed stays in the activity log."`
	ScanRows int           `key:"scan_rows" default:"500000" min:"1000" max:"100000000" example:"1000000" doc:"How many users or groups of a directory a filter or sortBy without an index may look through; a larger directory is answered with tooMany and what has an index. Half a million users take PostgreSQL 0.2 seconds and SQLite 2.5."`

	LogRows int `key:"log_rows" default:"100000" min:"100" max:"10000000" example:"500000" doc:"How many of its newest requests the provisioning log keeps for each directory."`
}

// Invite is about invitations.
type Invite struct {
	TTL time.Duration `key:"ttl" default:"168h" min:"1m" max:"2160h" example:"168h" doc:"How long an invitation link works."`
}

// Session is about signed-in browsers.
type Session struct {
	Idle     time.Duration `key:"idle" default:"12h" min:"1m" max:"720h" example:"12h" doc:"A session ends after this long without a request."`
	Absolute time.Duration `key:"absolute" default:"168h" min:"1m" max:"2160h" example:"168h" doc:"A session ends this long after sign-in, used or not."`
}

// SignIns is how long sign-ins are found.
type SignIns struct {
	Age  time.Duration `key:"age" default:"2160h" min:"1h" max:"87600h" example:"4380h" doc:"How long sign-ins are found by reference, person, connection or check. Their rows in the activity log stay."`
	Rows int           `key:"rows" default:"100000" min:"100" max:"10000000" example:"500000" doc:"How many of its newest sign-ins are found so in each organization."`
}

// Metrics is who may read the metrics.
type Metrics struct {
	Addr  Addr   `key:"addr" example:"127.0.0.1:9090" doc:"A listener of its own for the metrics. Then they are not on the main one."`
	Token string `key:"token" secret:"all" example:"a long random text, from: openssl rand -hex 32" doc:"Bearer token that /metrics asks for."`
}

// Log is how the server writes its log.
type Log struct {
	Format LogFormat  `key:"format" default:"auto" example:"json" doc:"json, text, or auto: text on a terminal, json otherwise."`
	Level  slog.Level `key:"level" default:"info" example:"debug" doc:"debug, info, warn or error."`
}

// DatabaseURL is the database to open, with the embedded one filled in.
func (s *Settings) DatabaseURL() string {
	if s.Database.URL == "" {
		return "sqlite:" + filepath.Join(s.DataDir, "muster.db")
	}
	return string(s.Database.URL)
}

// BaseURL is the public URL, with the address listened on filled in.
func (s *Settings) BaseURL(listening Addr) string {
	if s.PublicURL == "" {
		return "http://" + string(listening)
	}
	return string(s.PublicURL)
}

// check is about settings that must fit each other.
func (s *Settings) check() []Fault {
	var faults []Fault
	if s.PublicURL == "" && !s.HTTP.Addr.Loopback() {
		faults = append(faults, Fault{Key: "public_url", Problem: "is not set, though http.addr " + string(s.HTTP.Addr) +
			" is reachable from elsewhere, so links would lead nowhere", Example: "https://muster.example.com"})
	}
	if s.Session.Idle > s.Session.Absolute {
		faults = append(faults, Fault{Key: "session.idle", Value: s.Session.Idle.String(),
			Problem: "is longer than session.absolute (" + s.Session.Absolute.String() + ")", Example: "12h"})
	}
	if s.Metrics.Addr != "" && s.Metrics.Addr == s.HTTP.Addr {
		faults = append(faults, Fault{Key: "metrics.addr", Value: string(s.Metrics.Addr),
			Problem: "is the same as http.addr", Example: "127.0.0.1:9090"})
	}
	return faults
}
