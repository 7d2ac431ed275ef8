package main

import (
	"context"
	"log/slog"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/password"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// system is every package, built over one database.
type system struct {
	db        *store.DB
	url       string // public URL
	mux       *web.Mux
	health    *health
	metrics   *metrics
	sessions  *session.Store
	passwords *password.Store
	sso       *sso.Door
	loops     map[string]func(context.Context) error // run until their context ends
}

// build makes the packages in the order of their dependence and mounts their routes.
func build(cfg *config.Config, db *store.DB, key secret.Key, log *slog.Logger) *system {
	url := cfg.BaseURL(cfg.HTTP.Addr)
	s := &system{db: db, url: url, health: &health{db: db}, metrics: newMetrics()}
	s.sessions = session.New(session.Options{DB: db, PublicURL: url, Idle: cfg.Session.Idle, Absolute: cfg.Session.Absolute, Log: log})
	s.passwords = password.New(password.Options{DB: db, Log: log})
	s.sso = sso.New(sso.Options{DB: db, Sessions: s.sessions, Key: key, PublicURL: url, Egress: cfg.Egress.Allow, Log: log})

	s.mux = web.NewMux(web.Options{
		PublicURL: url, Authenticate: s.sessions.Authenticate, TrustedProxies: cfg.HTTP.TrustedProxies, Log: log, Metrics: s.metrics.observe,
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		},
	})
	s.health.mount(s.mux)
	s.metrics.mount(s.mux, cfg.Metrics)
	scim.Mount(s.mux, db, scim.Options{PublicURL: url, Log: log})

	s.loops = map[string]func(context.Context) error{
		"sessions": s.sessions.Run,
		"sso":      s.sso.Run,
	}
	return s
}
