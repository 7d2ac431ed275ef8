package main

import (
	"log/slog"

	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/jobs"
)

// openWork makes what works on many at once.
func (s *system) openWork(log *slog.Logger) {
	s.jobs = jobs.New(s.jobsOptions(log))
	s.imports = importer.New(importer.Options{DB: s.db, Jobs: s.jobs, Log: log, Address: invite.Address, Invite: s.invites.Imported, Withdraw: s.invites.Cancel})
}

func (s *system) mountWork() {
	s.jobs.Mount(s.mux)
	s.imports.Mount(s.mux)
}
