package life_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/life"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// place is an organization with an admin, who never leaves, and a clock.
type place struct {
	t     *testing.T
	db    *store.DB
	clock *storetest.Clock
	admin access.Actor
	life  *life.Service
	told  []string
}

func each(t *testing.T, f func(p *place)) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		p := &place{t: t, db: db, clock: clock}
		org, _ := storetest.Org(t, db, "acme")
		p.life = life.New(life.Options{DB: db, Tell: func(tx *store.Tx, _ life.Plan, name string) error { p.told = append(p.told, name); return nil }})
		boss := p.userOf(access.Muster(string(org)), "boss", store.Active, access.Admin)
		p.admin = access.Actor{Kind: access.Person, Org: string(org), ID: string(boss.ID), Name: "Bea Boss", Roles: []string{access.Admin}}
		f(p)
	})
}

func (p *place) write(actor access.Actor, f func(tx *store.Tx) error) {
	p.t.Helper()
	if err := p.db.Write(context.Background(), actor, f); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) userOf(actor access.Actor, name string, status store.Status, roles ...string) (u store.User) {
	p.t.Helper()
	p.write(actor, func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name + "@example.com", Email: name + "@example.com", DisplayName: strings.ToUpper(name)}.Doc(), Source: store.FromAPI,
			Status: status, Roles: roles, Reason: store.Manual})
		return err
	})
	return u
}

func (p *place) user(name string) store.User { return p.userOf(p.admin, name, store.Active) }

func (p *place) plan(in life.In) (plan life.Plan, err error) {
	err = p.db.Write(context.Background(), p.admin, func(tx *store.Tx) error { plan, err = p.life.Plan(tx, in); return err })
	return plan, err
}

// in is a time so far ahead, as a form writes it.
func (p *place) in(d time.Duration) string { return p.clock.Now().Add(d).Format(time.RFC3339) }

func (p *place) must(in life.In) life.Plan {
	p.t.Helper()
	plan, err := p.plan(in)
	if err != nil {
		p.t.Fatal(err)
	}
	return plan
}

func (p *place) run() {
	p.t.Helper()
	if err := p.life.RunDue(context.Background()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) status(id store.UserID) (s store.Status) {
	p.t.Helper()
	p.write(p.admin, func(tx *store.Tx) error { u, err := tx.AnyUser(id); s = u.Status; return err })
	return s
}

func (p *place) list(state string) (plans []life.Plan) {
	p.t.Helper()
	p.write(p.admin, func(tx *store.Tx) error {
		page, err := p.life.List(tx, life.Query{State: state})
		plans = page.Plans
		return err
	})
	return plans
}

func TestAPlannedChangeIsMadeOnceInTime(t *testing.T) {
	each(t, func(p *place) {
		ann, bob := p.user("ann"), p.user("bob")
		end := p.must(life.In{User: ann.ID, Action: life.Deactivate, At: p.in(time.Hour), Leaving: store.Leaving{Reason: "left", Why: "moves on", Successor: bob.ID}})
		p.must(life.In{User: ann.ID, Action: life.Reactivate, At: p.in(48 * time.Hour)})
		if _, err := p.plan(life.In{User: ann.ID, Action: life.Deactivate, At: p.in(3 * time.Hour)}); !fault.Is(err, fault.Conflict) {
			p.t.Errorf("planned twice: %v", err)
		}
		p.clock.Pass(59 * time.Minute)
		p.run()
		if p.status(ann.ID) != store.Active {
			p.t.Error("too early")
		}
		p.clock.Pass(2 * time.Minute)
		var all sync.WaitGroup // servers
		for range 6 {
			all.Go(func() { p.run() })
		}
		all.Wait()
		if p.status(ann.ID) != store.Deactivated {
			p.t.Fatal("it is due, and the person still active")
		}
		var acts []store.Activity
		p.write(p.admin, func(tx *store.Tx) (err error) {
			acts, err = tx.Activities(store.ActivityQuery{Target: string(ann.ID), Action: "user.deactivate"})
			return err
		})
		if len(acts) != 1 || acts[0].Detail["successor"] != string(bob.ID) || acts[0].Detail["successor_name"] != "BOB" || acts[0].Detail["reason"] != "left" ||
			acts[0].Detail["why"] != "moves on" || !strings.Contains(acts[0].ActorName, "Bea Boss") {
			p.t.Errorf("the record has %d: %+v", len(acts), acts)
		}
		if done := p.list(life.Done); len(done) != 1 || done[0].ID != end.ID || len(p.list("")) != 1 {
			p.t.Errorf("done: %+v, to come: %+v", done, p.list(""))
		}
		p.clock.Pass(48 * time.Hour)
		p.run()
		if p.status(ann.ID) != store.Active {
			p.t.Error("not back after the leave")
		}
	})
}

func TestWhatIsPassedOver(t *testing.T) {
	each(t, func(p *place) {
		var dir store.Directory
		p.write(p.admin, func(tx *store.Tx) (err error) {
			dir, err = tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
			return err
		})
		okta := access.Actor{Kind: access.Directory, Org: p.admin.Org, ID: string(dir.ID)}
		for name, c := range map[string]struct {
			meanwhile func(u store.User)
			want      string // of the outcome; empty: it is done
		}{
			"managed": {func(u store.User) {
				p.write(okta, func(tx *store.Tx) error {
					old, err := tx.User(u.ID)
					if err != nil {
						return err
					}
					doc, err := old.Attributes()
					doc["title"] = "Engineer"
					if err == nil {
						_, err = tx.UpdateUser(old, store.UserChange{Doc: doc})
					}
					return err
				})
			}, "managed by the directory Okta"},
			"breakglass": {func(u store.User) {
				p.write(access.Muster(p.admin.Org), func(tx *store.Tx) error { _, err := tx.SetBreakGlass(u.ID, true, "breakglass.add"); return err })
			}, "break-glass account"},
			"lastadmin": {func(u store.User) {
				p.write(p.admin, func(tx *store.Tx) error {
					if err := tx.SetRole(u.ID, access.Admin); err != nil {
						return err
					}
					return tx.SetRole(store.UserID(p.admin.ID), access.Viewer)
				})
			}, "last active admin"},
			"same": {func(store.User) {}, ""},
		} {
			u := p.user(name)
			plan := p.must(life.In{User: u.ID, Action: life.Deactivate, At: p.in(time.Hour)})
			c.meanwhile(u)
			before := p.status(u.ID)
			p.clock.Pass(2 * time.Hour)
			p.run()
			if c.want == "" {
				if p.status(u.ID) != store.Deactivated {
					p.t.Errorf("%s: not done", name)
				}
				continue
			}
			over := p.list(life.Skipped)
			if len(over) == 0 || over[0].ID != plan.ID || !strings.Contains(over[0].Outcome, c.want) || p.status(u.ID) != before {
				p.t.Errorf("%s: %+v, status %s", name, over, p.status(u.ID))
			}
			if name == "managed" {
				if told := web.ReaderOf("de", "").Say(over[0].Told()); !strings.Contains(told, "wird vom Verzeichnis Okta verwaltet, das dann das letzte Wort hat.") {
					p.t.Errorf("a German admin reads %q", told)
				}
			}
			if name == "lastadmin" {
				p.write(access.Muster(p.admin.Org), func(tx *store.Tx) error { return tx.SetRole(store.UserID(p.admin.ID), access.Admin) })
			}
		}
		if len(p.told) != 3 {
			p.t.Errorf("the admins were told of %v", p.told)
		}
	})
}

// directory is the actor of a new one.
func (p *place) directory() access.Actor {
	p.t.Helper()
	var dir store.Directory
	p.write(p.admin, func(tx *store.Tx) (err error) {
		dir, err = tx.CreateDirectory(store.Directory{Name: "Okta", Vendor: "okta", Mode: "compat"})
		return err
	})
	return access.Actor{Kind: access.Directory, Org: p.admin.Org, ID: string(dir.ID)}
}

// nothingToCome fails the test when a plan for somebody is open.
func (p *place) nothingToCome(name string, u store.User) {
	p.t.Helper()
	p.write(p.admin, func(tx *store.Tx) error {
		if open, err := p.life.Of(tx, u.ID); err != nil || len(open) > 0 {
			p.t.Errorf("%s: still to come %+v, %v", name, open, err)
		}
		return nil
	})
	if p.found(u) {
		p.t.Errorf("%s: still found among those of whom a change is planned", name)
	}
}

// found tells whether the filter of the list of people has somebody.
func (p *place) found(u store.User) (is bool) {
	p.t.Helper()
	p.write(p.admin, func(tx *store.Tx) error {
		who, err := tx.WhoIs(life.PlannedFor(tx), []store.UserID{u.ID})
		is = who[u.ID]
		return err
	})
	return is
}

// over fails the test unless a plan is over for this reason, and the log says so once.
func (p *place) over(name string, plan life.Plan, why string) {
	p.t.Helper()
	var acts []store.Activity
	p.write(p.admin, func(tx *store.Tx) (err error) {
		acts, err = tx.Activities(store.ActivityQuery{Target: string(plan.UserID), Action: "user.plan.end"})
		return err
	})
	ended := p.list(life.Cancelled)
	i := slices.IndexFunc(ended, func(e life.Plan) bool { return e.ID == plan.ID })
	if i < 0 || !strings.Contains(ended[i].Outcome, why) || len(acts) != 1 || acts[0].Detail["plan"] != string(plan.ID) {
		p.t.Errorf("%s: cancelled %+v, in the log %+v", name, ended, acts)
	}
}

// A planned deactivation is over when access ends before, by whatever door, and does not come
// true after it is given back.
func TestAPlanEndsWithTheAccess(t *testing.T) {
	each(t, func(p *place) {
		okta := p.directory()
		for name, c := range map[string]struct {
			end   func(tx *store.Tx, u store.User) error
			actor access.Actor
			back  func(tx *store.Tx, u store.User) error
			word  string
		}{
			"now": {func(tx *store.Tx, u store.User) error { _, err := tx.Leave(u.ID, store.Leaving{}); return err }, p.admin,
				func(tx *store.Tx, u store.User) error { _, err := tx.Reactivate(u.ID, ""); return err }, "deactivated before"},
			"deleted": {func(tx *store.Tx, u store.User) error { _, err := tx.DeleteUser(u.ID, ""); return err }, p.admin,
				func(tx *store.Tx, u store.User) error {
					if _, err := tx.RestoreUser(u.ID, ""); err != nil {
						return err
					}
					_, err := tx.Reactivate(u.ID, "")
					return err
				}, "deleted before"},
			"directory": {func(tx *store.Tx, u store.User) error {
				u, err := tx.User(u.ID)
				if err == nil {
					_, err = tx.UpdateUser(u, store.UserChange{Status: new(store.Deactivated)})
				}
				return err
			}, okta, func(tx *store.Tx, u store.User) error {
				if _, err := tx.Detach(u.ID, ""); err != nil {
					return err
				}
				_, err := tx.Reactivate(u.ID, "")
				return err
			}, "deactivated before"},
		} {
			for _, noticed := range []bool{true, false} { // by the round between
				u := p.userOf(p.admin, name+map[bool]string{true: "-seen", false: ""}[noticed], store.Active)
				plan := p.must(life.In{User: u.ID, Action: life.Deactivate, At: p.in(time.Hour)})
				p.clock.Pass(time.Minute)
				p.write(c.actor, func(tx *store.Tx) error { return c.end(tx, u) })
				p.nothingToCome(name, u)
				if open := p.list(""); len(open) > 0 {
					p.t.Errorf("%s: still in the list %+v", name, open)
				}
				if noticed {
					if err := p.life.EndOver(context.Background()); err != nil {
						p.t.Fatal(err)
					}
				}
				p.clock.Pass(time.Minute)
				p.write(p.admin, func(tx *store.Tx) error { return c.back(tx, u) })
				again := p.must(life.In{User: u.ID, Action: life.Deactivate, At: p.in(48 * time.Hour)}) // which is not the old one
				p.clock.Pass(2 * time.Hour)
				p.run()
				if got := p.status(u.ID); got != store.Active {
					p.t.Errorf("%s: %s by a plan that is over", name, got)
				}
				if open := p.list(""); len(open) != 1 || open[0].ID != again.ID {
					p.t.Errorf("%s: to come %+v", name, open)
				}
				p.write(p.admin, func(tx *store.Tx) error { _, err := p.life.Cancel(tx, again.ID); return err })
				p.over(name, plan, c.word)
			}
		}
		if len(p.told) > 0 {
			p.t.Errorf("the admins were told of %v", p.told)
		}
	})
}

// A planned reactivation is over when access is given back before, by whatever door, and does
// not come true after access has ended again. That of a leave waits for its time.
func TestAPlanEndsWhenAccessIsBack(t *testing.T) {
	each(t, func(p *place) {
		turn := func(to store.Status) func(tx *store.Tx, u store.User) error {
			return func(tx *store.Tx, u store.User) error {
				u, err := tx.User(u.ID)
				if err == nil {
					_, err = tx.UpdateUser(u, store.UserChange{Status: &to})
				}
				return err
			}
		}
		okta := p.directory()
		leave := p.userOf(p.admin, "leave", store.Active)
		p.must(life.In{User: leave.ID, Action: life.Deactivate, At: p.in(40 * time.Hour)})
		p.must(life.In{User: leave.ID, Action: life.Reactivate, At: p.in(50 * time.Hour)})
		p.clock.Pass(time.Minute)
		for name, c := range map[string]struct {
			actor     access.Actor
			back, end func(tx *store.Tx, u store.User) error
		}{
			"now": {p.admin, func(tx *store.Tx, u store.User) error { _, err := tx.Reactivate(u.ID, ""); return err },
				func(tx *store.Tx, u store.User) error { _, err := tx.Leave(u.ID, store.Leaving{}); return err }},
			"directory": {okta, turn(store.Active), turn(store.Deactivated)},
			"invited": {p.admin, func(tx *store.Tx, u store.User) error { _, err := tx.ReinviteUser(u.ID, ""); return err },
				func(tx *store.Tx, u store.User) error { _, err := tx.Leave(u.ID, store.Leaving{}); return err }},
			"restored": {p.admin, func(tx *store.Tx, u store.User) error {
				if _, err := tx.DeleteUser(u.ID, ""); err != nil {
					return err
				}
				_, err := tx.RestoreUser(u.ID, "")
				return err
			}, func(*store.Tx, store.User) error { return nil }},
		} {
			for _, noticed := range []bool{true, false} { // by the round between
				u := p.userOf(p.admin, name+map[bool]string{true: "-seen", false: ""}[noticed], store.Active)
				p.write(p.admin, func(tx *store.Tx) error { return turn(store.Deactivated)(tx, u) })
				p.clock.Pass(time.Minute)
				plan := p.must(life.In{User: u.ID, Action: life.Reactivate, At: p.in(time.Hour)})
				p.clock.Pass(time.Minute)
				if !p.found(u) {
					p.t.Errorf("%s: not found among those of whom a change is planned", name)
				}
				p.write(c.actor, func(tx *store.Tx) error { return c.back(tx, u) })
				p.nothingToCome(name, u)
				if noticed {
					if err := p.life.EndOver(context.Background()); err != nil {
						p.t.Fatal(err)
					}
					if i := slices.IndexFunc(p.list(life.Cancelled), func(e life.Plan) bool { return e.ID == plan.ID }); i < 0 {
						p.t.Errorf("%s: the round has not ended it", name)
					}
				}
				p.clock.Pass(time.Minute)
				p.write(c.actor, func(tx *store.Tx) error { return c.end(tx, u) })
				p.clock.Pass(2 * time.Hour)
				p.run()
				if got := p.status(u.ID); got != store.Deactivated {
					p.t.Errorf("%s: %s by a plan that is over", name, got)
				}
				p.over(name, plan, map[bool]string{true: "deleted before", false: "reactivated before"}[name == "restored"])
			}
		}
		p.clock.Pass(30 * time.Hour)
		p.run()
		if got := p.status(leave.ID); got != store.Deactivated {
			p.t.Errorf("on leave: %s", got)
		}
		p.clock.Pass(10 * time.Hour)
		p.run()
		if got := p.status(leave.ID); got != store.Active {
			p.t.Errorf("after the leave: %s", got)
		}
		if len(p.told) > 0 {
			p.t.Errorf("the admins were told of %v", p.told)
		}
	})
}

// Who plans for people who may do no more than the planner, and the person may do more by
// then, has planned nothing.
func TestAPlanReachesNoFurtherThanItsPlanner(t *testing.T) {
	each(t, func(p *place) {
		p.write(p.admin, func(tx *store.Tx) error {
			_, err := tx.CreateRole(store.RoleChange{Name: "lead", Permissions: &[]access.Permission{access.ViewUsers, access.EndUsers}})
			return err
		})
		lead := access.Actor{Kind: access.Person, Org: p.admin.Org, ID: string(p.userOf(p.admin, "lead", store.Active, "lead").ID), Name: "Lea Lead",
			Roles: []string{"lead"}, Granted: []access.Permission{access.ViewUsers, access.EndUsers}}
		risen, same := p.user("risen"), p.user("same")
		for _, u := range []store.User{risen, same} {
			p.write(lead, func(tx *store.Tx) error {
				_, err := p.life.Plan(tx, life.In{User: u.ID, Action: life.Deactivate, At: p.in(time.Hour)})
				return err
			})
		}
		p.write(p.admin, func(tx *store.Tx) error { return tx.SetRole(risen.ID, access.Admin) })
		open := p.list(life.Planned)
		err := p.db.Write(context.Background(), lead, func(tx *store.Tx) error { // nor does anybody cancel what is about an admin
			for _, o := range open {
				if o.UserID == risen.ID {
					_, err := p.life.Cancel(tx, o.ID)
					return err
				}
			}
			return nil
		})
		if !fault.Is(err, fault.Denied) {
			p.t.Errorf("cancelled for an admin: %v", err)
		}
		p.clock.Pass(2 * time.Hour)
		p.run()
		if p.status(risen.ID) != store.Active || p.status(same.ID) != store.Deactivated {
			p.t.Errorf("risen is %s, same is %s", p.status(risen.ID), p.status(same.ID))
		}
		if over := p.list(life.Skipped); len(over) != 1 || !strings.Contains(over[0].Outcome, "may do more by now than Lea Lead") || len(p.told) != 1 {
			p.t.Errorf("passed over %+v, told %v", over, p.told)
		}
	})
}

func TestAPlannedReactivationNeedsASeat(t *testing.T) {
	each(t, func(p *place) {
		u := p.user("ann")
		p.write(p.admin, func(tx *store.Tx) error { _, err := tx.Deactivate(u.ID, ""); return err })
		p.must(life.In{User: u.ID, Action: life.Reactivate, At: p.in(time.Hour)})
		p.write(access.Muster(p.admin.Org), func(tx *store.Tx) error { return tx.SetSeats(1) })
		p.clock.Pass(2 * time.Hour)
		p.run()
		if over := p.list(life.Skipped); len(over) != 1 || !strings.Contains(over[0].Outcome, "No seat of this organization is free: its limit is 1.") || p.status(u.ID) != store.Deactivated {
			p.t.Errorf("%+v", over)
		}
	})
}

func TestWhatCannotBePlanned(t *testing.T) {
	each(t, func(p *place) {
		u, gone := p.user("ann"), p.user("gone")
		p.write(p.admin, func(tx *store.Tx) error { _, err := tx.Deactivate(gone.ID, ""); return err })
		later := p.in(time.Hour)
		for name, c := range map[string]struct {
			in    life.In
			kind  fault.Kind
			field string
		}{
			"the past":           {life.In{User: u.ID, Action: life.Deactivate, At: p.in(-time.Hour)}, fault.Invalid, "at"},
			"no time":            {life.In{User: u.ID, Action: life.Deactivate}, fault.Invalid, "at"},
			"not a time":         {life.In{User: u.ID, Action: life.Deactivate, At: "tomorrow"}, fault.Invalid, "at"},
			"too far":            {life.In{User: u.ID, Action: life.Deactivate, At: p.in(4 * 366 * 24 * time.Hour)}, fault.Invalid, "at"},
			"zone":               {life.In{User: u.ID, Action: life.Deactivate, At: later, Zone: "Mars/Base"}, fault.Invalid, "zone"},
			"no action":          {life.In{User: u.ID, Action: "delete", At: later}, fault.Invalid, "action"},
			"reason":             {life.In{User: u.ID, Action: life.Deactivate, At: later, Leaving: store.Leaving{Reason: "fun"}}, fault.Invalid, "reason"},
			"successor itself":   {life.In{User: u.ID, Action: life.Deactivate, At: later, Leaving: store.Leaving{Successor: u.ID}}, fault.Invalid, "successor"},
			"successor inactive": {life.In{User: u.ID, Action: life.Deactivate, At: later, Leaving: store.Leaving{Successor: gone.ID}}, fault.Invalid, "successor"},
			"active already":     {life.In{User: u.ID, Action: life.Reactivate, At: later}, fault.Conflict, ""},
			"out already":        {life.In{User: gone.ID, Action: life.Deactivate, At: later}, fault.Conflict, ""},
			"nobody":             {life.In{User: store.NewID[store.User](), Action: life.Deactivate, At: later}, fault.NotFound, ""},
		} {
			if _, err := p.plan(c.in); !fault.Is(err, c.kind) || fault.Field(err) != c.field {
				p.t.Errorf("%s: %v", name, err)
			}
		}
		plan := p.must(life.In{User: u.ID, Action: life.Deactivate, At: later})
		cancel := func(actor access.Actor) error {
			return p.db.Write(context.Background(), actor, func(tx *store.Tx) error { _, err := p.life.Cancel(tx, plan.ID); return err })
		}
		_, rival := storetest.Org(p.t, p.db, "rival")
		if err := cancel(rival); !fault.Is(err, fault.NotFound) {
			p.t.Errorf("cancelled by another organization: %v", err)
		}
		if err := cancel(access.Actor{Kind: access.Person, Org: p.admin.Org, Roles: []string{access.Viewer}}); !fault.Is(err, fault.Denied) {
			p.t.Errorf("cancelled by a viewer: %v", err)
		}
		if err := cancel(p.admin); err != nil {
			p.t.Fatal(err)
		}
		if err := cancel(p.admin); !fault.Is(err, fault.Conflict) {
			p.t.Errorf("cancelled twice: %v", err)
		}
		p.clock.Pass(2 * time.Hour)
		p.run()
		if p.status(u.ID) != store.Active || len(p.list(life.Cancelled)) != 1 {
			p.t.Error("cancelled, and done all the same")
		}
	})
}

func TestTimesAreReadInTheirZone(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ text, zone, want string }{
		{"2026-03-10T09:00", "Europe/Berlin", "2026-03-10T08:00:00.000Z"},
		{"2026-07-10T09:00", "Europe/Berlin", "2026-07-10T07:00:00.000Z"},
		{"2026-07-10", "America/New_York", "2026-07-10T04:00:00.000Z"},
		{"2026-07-10 09:00", "", "2026-07-10T09:00:00.000Z"},
		{"2026-07-10T09:00:00+02:00", "Asia/Tokyo", "2026-07-10T07:00:00.000Z"},
		{"2026-03-29T02:30", "Europe/Berlin", ""}, // the clocks go forward
		{"2026-07-10T09:00", "Local", ""},
		{"2026-07-10T09:00", "../../etc/passwd", ""},
		{"10.7.2026", "", ""},
	} {
		at, err := life.ParseTime(c.text, c.zone, now)
		if got := at.RFC3339(); err == nil && got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q in %q: %s, %v, want %s", c.text, c.zone, got, err, c.want)
		}
	}
}
