package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/sso"
)

// openWork makes what brings people in from files.
func (s *system) openWork(cfg *config.Config, log *slog.Logger) {
	s.imports = importer.New(importer.Options{DB: s.db, Jobs: s.jobs, Log: log, Address: invite.Address, Invite: s.invites.Imported, Withdraw: s.invites.Cancel,
		Folder: cfg.Import.Folder, Key: s.key, Queue: s.mail.Queue, PublicURL: s.url,
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return sso.Dial(ctx, cfg.Egress.Allow, address)
		}})
}

func (s *system) mountWork() {
	s.jobs.Mount(s.mux)
	s.imports.Mount(s.mux)
}

// runWork works off jobs, and fetches files that bring some.
func (s *system) runWork(ctx context.Context) error {
	var fetching sync.WaitGroup
	var feeds error
	fetching.Go(func() { feeds = s.imports.Run(ctx) })
	err := s.jobs.Run(ctx)
	fetching.Wait()
	return errors.Join(err, feeds)
}
