package importer

import (
	"cmp"
	"context"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// NewFeed is what CreateFeed and UpdateFeed need.
type NewFeed struct {
	Kind     string       `json:"kind"`
	Name     string       `json:"name"`
	Settings FeedSettings `json:"settings"`
	Password string       `json:"password"`
	Key      string       `json:"key"`     // a private key, PEM
	Version  string       `json:"version"` // as it was read, for UpdateFeed; empty: whatever it is now
}

// CreateFeed keeps a feed. One by SFTP is looked at once somebody has confirmed the key
// that the host shows. Faults: Denied, Invalid on the setting, Unavailable (host).
func (d *Door) CreateFeed(ctx context.Context, actor access.Actor, in NewFeed) (Feed, error) {
	f := Feed{ID: store.NewID[Feed](), Kind: in.Kind, Name: in.Name, Settings: in.Settings, Active: in.Kind == Folder}
	if !actor.May(access.Configure) {
		return f, fault.Denied.Say("Only whoever may configure the organization can make a feed.")
	}
	if err := f.check(); err != nil {
		return f, err
	}
	if f.Kind == SFTP {
		if in.Password == "" && in.Key == "" {
			return f, fault.Invalid.On("password", "SFTP needs a password or a private key.")
		}
		if err := d.meet(ctx, actor, &f, in); err != nil {
			return f, err
		}
	}
	err := d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := mayTell(tx, f); err != nil {
			return err
		}
		if err := insertFeed(tx, f); err != nil {
			return err
		}
		return recordFeed(tx, "feed.create", f, map[string]any{"after": f.told()})
	})
	return f, err
}

// meet seals what a feed signs in with, and looks which key its host shows.
func (d *Door) meet(ctx context.Context, actor access.Actor, f *Feed, in NewFeed) (err error) {
	if f.sealed, err = d.seal(store.OrgID(actor.Org), f.ID, credentials{in.Password, in.Key}); err != nil {
		return err
	}
	f.SeenKey, err = d.hostKey(ctx, f.Settings.Host)
	return err
}

// UpdateFeed changes all that can be set of a feed; its kind stays. What it signs in with
// stays when it is left out. Another host, or another user there, gets nothing that was
// given for the one before, and its key is confirmed anew. Faults: those of CreateFeed,
// NotFound.
func (d *Door) UpdateFeed(ctx context.Context, actor access.Actor, id FeedID, in NewFeed) (Feed, error) {
	was, err := d.Feed(ctx, actor, id)
	if err != nil {
		return was, err
	}
	if err := store.Unchanged(in.Version, was.version()); err != nil {
		return was, err
	}
	f := was
	f.Name, f.Settings = in.Name, in.Settings
	if cmp.Or(in.Kind, f.Kind) != f.Kind {
		return was, fault.Invalid.On("kind", "A feed stays what it is. Make a new one, and delete this one.")
	}
	if err := f.check(); err != nil {
		return was, err
	}
	elsewhere := f.Settings.Host != was.Settings.Host || f.Settings.User != was.Settings.User
	switch {
	case f.Kind != SFTP:
	case in.Password == "" && in.Key == "" && elsewhere:
		return was, fault.Invalid.On("password", "This is another host or user: give the password or the private key again. The one before is not sent there.")
	case elsewhere:
		f.HostKey, f.Active = "", false
		err = d.meet(ctx, actor, &f, in)
	case in.Password != "" || in.Key != "":
		f.sealed, err = d.seal(store.OrgID(actor.Org), f.ID, credentials{in.Password, in.Key})
	}
	if err != nil {
		return was, err
	}
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := mayTell(tx, f); err != nil {
			return err
		}
		now, err := findFeed(tx, id)
		if err == nil {
			err = store.Unchanged(was.version(), now.version())
		}
		if err != nil {
			return err
		}
		if err := replaceFeed(tx, f); err != nil {
			return err
		}
		return recordFeed(tx, "feed.update", f, map[string]any{"before": was.told(), "after": f.told()})
	})
	return f, err
}

// version changes with what can be set of a feed, so that nobody overwrites what somebody
// else has set meanwhile.
func (f Feed) version() string {
	return store.TagOf(f.Name, f.Settings, f.HostKey, f.sealed)
}

// told is a feed as the activity log has it.
func (f Feed) told() map[string]any {
	s := f.Settings
	return map[string]any{"kind": f.Kind, "name": f.Name, "host": s.Host, "user": s.User, "path": s.Path, "pattern": s.Pattern, "every": s.Every, "rename": s.Rename,
		"key": s.Key, "new": s.New, "missing": s.Missing, "max_gone": s.MaxGone, "max_changed": s.MaxChanged, "mail_to": len(s.MailTo)}
}

func recordFeed(tx *store.Tx, action string, f Feed, detail map[string]any) error {
	return tx.Record(store.Activity{Action: action, TargetKind: "feed", TargetID: string(f.ID), TargetName: f.Name, Detail: detail})
}

// mayTell refuses who may not configure, and people to tell who are not here.
func mayTell(tx *store.Tx, f Feed) error {
	if err := tx.Require(access.Configure); err != nil || len(f.Settings.MailTo) == 0 {
		return err
	}
	people, err := tx.UsersBy(f.Settings.MailTo, nil, nil)
	if err == nil && len(people) < len(f.Settings.MailTo) {
		err = fault.Invalid.On("mail_to", "Somebody who is to get the report is not a person here. Write addresses of people of this organization.")
	}
	return err
}

// PeopleAt are those with these addresses. Faults: Invalid on "mail_to" (nobody has one).
func (d *Door) PeopleAt(ctx context.Context, actor access.Actor, addresses []string) (ids []store.UserID, err error) {
	return ids, d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error {
		people, err := tx.UsersBy(nil, addresses, nil)
		of := map[string]bool{}
		for _, u := range people {
			of[store.Fold(u.Email)] = true
			ids = append(ids, u.ID)
		}
		for _, address := range addresses {
			if err == nil && !of[store.Fold(address)] {
				err = fault.Invalid.On("mail_to", "Nobody here has the address %.100q. The report goes to people of this organization.", address)
			}
		}
		return err
	})
}

// change does something to a feed, with its row in the activity log.
func (d *Door) change(ctx context.Context, actor access.Actor, id FeedID, action string, do func(tx *store.Tx, f Feed) (map[string]any, error)) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		f, err := findFeed(tx, id)
		if err != nil {
			return err
		}
		detail, err := do(tx, f)
		if err != nil {
			return err
		}
		return recordFeed(tx, action, f, detail)
	})
}

// Pin confirms the key of a feed's host: what was looked at, and no other. Faults:
// NotFound, Denied, Conflict (it is another one).
func (d *Door) Pin(ctx context.Context, actor access.Actor, id FeedID, print string) error {
	return d.change(ctx, actor, id, "feed.pin", func(tx *store.Tx, f Feed) (map[string]any, error) {
		if fingerprint(f.SeenKey) != print || print == "" {
			return nil, fault.Conflict.On("fingerprint", "The host's key is %s, and not the one that was confirmed. Load the page again and compare.", fingerprint(f.SeenKey))
		}
		_, err := pinKey(tx, id, f.SeenKey)
		return map[string]any{"after": map[string]any{"key": print}}, err
	})
}

// AskKey looks which key the host of a feed shows now, for somebody to confirm; until
// then the one that is pinned counts. Faults: NotFound, Denied, Unavailable.
func (d *Door) AskKey(ctx context.Context, actor access.Actor, id FeedID) (Feed, error) {
	f, err := d.Feed(ctx, actor, id)
	if err != nil || f.Kind != SFTP {
		return f, err
	}
	if f.SeenKey, err = d.hostKey(ctx, f.Settings.Host); err != nil {
		return f, err
	}
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		return sawKey(tx, id, f.Settings.Host, f.SeenKey)
	})
	return f, err
}

// Pause keeps everybody from looking at a feed until it is resumed. Faults: NotFound, Denied.
func (d *Door) Pause(ctx context.Context, actor access.Actor, id FeedID, paused bool) error {
	action := "feed.resume"
	if paused {
		action = "feed.pause"
	}
	return d.change(ctx, actor, id, action, func(tx *store.Tx, _ Feed) (map[string]any, error) { return nil, pauseFeed(tx, id, paused) })
}

// Hurry has a feed looked at as soon as a server comes to it. Faults: NotFound, Denied,
// Conflict (paused, or its key is not confirmed).
func (d *Door) Hurry(ctx context.Context, actor access.Actor, id FeedID) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := mayLook(tx, id); err != nil {
			return err
		}
		tx.AfterCommit(func() { nudge(d.wakeFeeds) })
		return hurryFeed(tx, id)
	})
}

func mayLook(tx *store.Tx, id FeedID) error {
	if err := tx.Require(access.Configure); err != nil {
		return err
	}
	f, err := findFeed(tx, id)
	switch {
	case err != nil:
		return err
	case f.Paused:
		return fault.Conflict.Say("The feed %s is paused. Resume it first.", f.Name)
	case !f.Active:
		return fault.Conflict.Say("The key of the host of %s has not been confirmed yet. Confirm it first.", f.Name)
	}
	return nil
}

// LookNow is Look for somebody who waits for it. Faults: those of Hurry.
func (d *Door) LookNow(ctx context.Context, actor access.Actor, id FeedID) (Feed, error) {
	err := d.opt.DB.Read(ctx, actor, func(tx *store.Tx) error { return mayLook(tx, id) })
	if err == nil {
		err = d.Look(ctx, store.OrgID(actor.Org), id)
	}
	if err != nil {
		return Feed{}, err
	}
	return d.Feed(ctx, actor, id)
}

// DeleteFeed ends a feed; what it brought stays. Faults: NotFound, Denied.
func (d *Door) DeleteFeed(ctx context.Context, actor access.Actor, id FeedID) error {
	return d.change(ctx, actor, id, "feed.delete", func(tx *store.Tx, _ Feed) (map[string]any, error) {
		_, err := deleteFeed(tx, id)
		return nil, err
	})
}

// Feeds are those of the organization. Faults: Denied.
func (d *Door) Feeds(ctx context.Context, actor access.Actor) (list []Feed, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		list, err = listFeeds(tx)
		return err
	})
	return list, err
}

// Feed is one of them. Faults: NotFound, Denied.
func (d *Door) Feed(ctx context.Context, actor access.Actor, id FeedID) (f Feed, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		f, err = findFeed(tx, id)
		return err
	})
	return f, err
}
