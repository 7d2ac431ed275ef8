package invite

import (
	"context"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Settings are what an organization chooses about its invitations. They hold for what
// is sent from then on.
type Settings struct {
	ExpiryHours int    `json:"expiry_hours"` // how long a link works
	Remind      bool   `json:"remind"`       // a mail before a link expires
	RemindHours int    `json:"remind_hours"` // how long before
	Welcome     string `json:"welcome"`      // a paragraph in each mail
	Renew       Renew  `json:"renew"`        // what happens when somebody asks for a new link

	server time.Duration // what the server says, which may be no number of hours; 0: the organization has chosen
}

// Renew is what happens when the holder of an expired link asks for a new one.
type Renew string

// The choices.
const (
	ByAdmins Renew = "admins" // they see it and send it
	AtOnce   Renew = "at_once"
)

// settingsName is their row in the organization's settings.
const settingsName = "invitations"

// What can be chosen.
const (
	shortestExpiry = 1
	longestExpiry  = 90 * 24
	maxWelcome     = 1000
)

// Rules are the settings of tx's organization, over the server's.
func (d *Door) Rules(tx *store.Tx) (s Settings, err error) {
	s, _, err = d.rules(tx)
	return s, err
}

func (d *Door) rules(tx *store.Tx) (s Settings, version int64, err error) {
	s = Settings{ExpiryHours: max(1, int(d.opt.TTL/time.Hour)), Remind: true, RemindHours: 24, Renew: ByAdmins}
	if version, err = tx.OrgSetting(settingsName, &s); version == 0 {
		s.server = d.opt.TTL
	}
	return s, version, err
}

// SetRules stores the settings; version is as of store.SetOrgSetting. Needs Write.
// Faults: Denied, Conflict, Invalid on the setting.
func (d *Door) SetRules(tx *store.Tx, s Settings, version int64) error {
	if err := tx.Require(access.Configure); err != nil {
		return err
	}
	if s.ExpiryHours < shortestExpiry || s.ExpiryHours > longestExpiry {
		return fault.Invalid.On("expiry_hours", "A link can work for 1 hour to 90 days (2160 hours), not for %d hours.", s.ExpiryHours)
	}
	if s.Remind && (s.RemindHours < 1 || s.RemindHours >= s.ExpiryHours) {
		return fault.Invalid.On("remind_hours", "The reminder comes at least 1 hour before a link expires, and after it was sent: choose less than the %s that a link works.", span(s.ExpiryHours))
	}
	if err := paragraphs("welcome", fault.Word("The welcome note"), s.Welcome, maxWelcome); err != nil {
		return err
	}
	if s.Renew != ByAdmins && s.Renew != AtOnce {
		return fault.Invalid.On("renew", "renew is %.40q. Write %s or %s.", s.Renew, ByAdmins, AtOnce)
	}
	return tx.SetOrgSetting(settingsName, s, version)
}

// RulesChange is what changes of the settings; nil stays. With Version, nobody else may
// have changed them since.
type RulesChange struct {
	ExpiryHours *int    `json:"expiry_hours"`
	Remind      *bool   `json:"remind"`
	RemindHours *int    `json:"remind_hours"`
	Welcome     *string `json:"welcome"`
	Renew       *Renew  `json:"renew"`
	Version     *int64  `json:"version"`
}

// RulesView is what an organization chose, with the version that a change may name.
type RulesView struct {
	Settings
	Version int64 `json:"version"`
}

// ChangeRules is SetRules in a transaction of its own. Faults: as of SetRules.
func (d *Door) ChangeRules(ctx context.Context, actor access.Actor, ch RulesChange) (out RulesView, err error) {
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		s, version, err := d.rules(tx)
		if err != nil {
			return err
		}
		replace(&s.ExpiryHours, ch.ExpiryHours)
		replace(&s.Remind, ch.Remind)
		replace(&s.RemindHours, ch.RemindHours)
		replace(&s.Welcome, ch.Welcome)
		replace(&s.Renew, ch.Renew)
		replace(&version, ch.Version)
		if ch != (RulesChange{}) {
			if err := d.SetRules(tx, s, version); err != nil {
				return err
			}
		}
		out.Settings, out.Version, err = d.rules(tx)
		return err
	})
	return out, err
}

func replace[T any](what *T, with *T) {
	if with != nil {
		*what = *with
	}
}

func (s Settings) expiry() time.Duration {
	if s.server > 0 {
		return s.server
	}
	return time.Duration(s.ExpiryHours) * time.Hour
}

// lasts is how long a link works, in words.
func (s Settings) lasts() web.Said {
	if left := s.expiry(); left%time.Hour != 0 {
		return web.SayN(int(left.Minutes()), "1 minute", "%d minutes")
	}
	return span(int(s.expiry() / time.Hour))
}

// remindAt is when the reminder of a link is due; 0: there is none.
func (s Settings) remindAt(now, expires store.Time) store.Time {
	at := expires.Add(-time.Duration(s.RemindHours) * time.Hour)
	if !s.Remind || at <= now {
		return 0
	}
	return at
}
