package main

import (
	"context"
	"log/slog"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/mail"
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
	mail      *mail.Outbox
	invites   *invite.Door
	sso       *sso.Door
	loops     map[string]func(context.Context) error // run until their context ends
}

// build makes the packages in the order of their dependence and mounts their routes.
func build(cfg *config.Config, db *store.DB, key secret.Key, log *slog.Logger) (*system, error) {
	url := cfg.BaseURL(cfg.HTTP.Addr)
	s := &system{db: db, url: url, health: &health{db: db}, metrics: newMetrics()}
	s.sessions = session.New(session.Options{DB: db, PublicURL: url, Idle: cfg.Session.Idle, Absolute: cfg.Session.Absolute, Log: log})
	s.passwords = password.New(password.Options{DB: db, Log: log})
	var err error
	s.mail, err = mail.New(mail.Options{DB: db, URL: string(cfg.Mail.URL), From: string(cfg.Mail.From), PublicURL: url,
		Loopback: cfg.HTTP.Addr.Loopback(), Log: log})
	if err != nil {
		return nil, err
	}
	s.invites = invite.New(invite.Options{DB: db, Sessions: s.sessions, Passwords: s.passwords, Queue: s.mail.Queue, PublicURL: url,
		TTL: cfg.Invite.TTL, Log: log})
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
	s.mail.Mount(s.mux)
	s.sso.Mount(s.mux)
	scim.Mount(s.mux, db, scim.Options{PublicURL: url, Log: log})

	s.loops = map[string]func(context.Context) error{
		"mail":     s.mail.Run,
		"sessions": s.sessions.Run,
		"sso":      s.sso.Run,
	}
	return s, nil
}
