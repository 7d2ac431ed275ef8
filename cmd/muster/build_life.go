package main

import (
	"log/slog"

	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/checklist"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/review"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// openLife makes what befalls people, and the API, which tells it.
func (s *system) openLife(log *slog.Logger) {
	s.life = life.New(life.Options{DB: s.db, Log: log, Tell: s.tellPassedOver, Forget: []func(*store.Tx, store.UserID) error{invite.Forget, review.Forget, checklist.Forget}})
	s.api = api.New(api.Options{DB: s.db, Log: log, Life: s.life})
}

// tellPassedOver mails the admins that a planned change was not made.
func (s *system) tellPassedOver(tx *store.Tx, p life.Plan, name string) error {
	who := web.Say("%s", name)
	if name == "" {
		who = web.Say("Somebody who is gone")
	}
	subject, line := web.Say("%s was not deactivated as planned", who), web.Say("%s was to be deactivated at %s, as %s had planned. That was not done.", who, p.DueAt, p.By)
	if p.Action == life.Reactivate {
		subject, line = web.Say("%s was not reactivated as planned", who), web.Say("%s was to be reactivated at %s, as %s had planned. That was not done.", who, p.DueAt, p.By)
	}
	return s.tellAdmins(tx, web.Notice{Subject: subject,
		Lines:  []web.Said{line, p.Told()},
		Button: web.Say("Open the person"), Path: "/users/" + string(p.UserID)})
}
