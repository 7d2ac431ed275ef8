package main

import (
	"log/slog"

	"github.com/muster-id/muster/internal/api"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
)

// openLife makes what befalls people, and the API, which tells it.
func (s *system) openLife(log *slog.Logger) {
	s.life = life.New(life.Options{DB: s.db, Log: log, Tell: s.tellPassedOver, Forget: []func(*store.Tx, store.UserID) error{invite.Forget}})
	s.api = api.New(api.Options{DB: s.db, Log: log, Life: s.life})
}

// tellPassedOver mails the admins that a planned change was not made.
func (s *system) tellPassedOver(tx *store.Tx, p life.Plan, name string) error {
	if name == "" {
		name = "Somebody who is gone"
	}
	return s.tellAdmins(tx, sso.Notice{Subject: "Not done: " + p.Action + " " + name,
		Lines:  []string{name + " was to be " + p.Action + "d at " + p.DueAt.RFC3339() + ", as " + p.By + " had planned. That was not done.", p.Outcome},
		Button: "Open the person", Path: "/users/" + string(p.UserID)})
}
