package sso

import (
	"context"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Mapping is a connection's table: the preset's rows that hold, and its own.
type Mapping struct {
	Connection Connection
	Rules      []Rule
	Suggested  []Rule // of the vendor, and not in the table yet
	Targets    []Target
}

// Mapping reads the table of a connection. Faults: Denied, NotFound.
func (d *Door) Mapping(ctx context.Context, actor access.Actor, id ConnectionID) (m Mapping, err error) {
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if m.Connection, err = connectionIn(tx, id); err != nil {
			return err
		}
		if m.Targets, err = TargetsIn(tx); err != nil {
			return err
		}
		own, err := rulesIn(tx, id)
		m.Rules = rowsWith(m.Connection, own)
		for _, s := range Suggested(m.Connection) {
			if !slices.ContainsFunc(own, func(r Rule) bool { return r.Kind == RuleAttribute && r.To == s.To }) {
				m.Suggested = append(m.Suggested, s)
			}
		}
		return err
	})
	return m, err
}

// rowsWith are the preset's rows that no own row replaces, and the own ones.
func rowsWith(c Connection, own []Rule) (list []Rule) {
	for _, p := range presetRules(c) {
		if !slices.ContainsFunc(own, func(r Rule) bool { return r.Kind == RuleAttribute && r.To == p.To }) {
			list = append(list, p)
		}
	}
	return append(list, own...)
}

// Remapping is what a change of the table did at once. What rows add comes with
// people's next sign-in; what a row gave goes with the row.
type Remapping struct {
	Rule         Rule
	Roles, Teams int // taken
}

// SetRule writes a row: a new one without an ID, else the one with it; of attributes
// there is one row each, which is replaced. Faults: Denied, NotFound, Invalid (Field
// is the row's).
func (d *Door) SetRule(ctx context.Context, actor access.Actor, id ConnectionID, r Rule) (done Remapping, err error) {
	err = d.remap(ctx, actor, id, func(tx *store.Tx, c Connection, own []Rule) (before *Rule, after *Rule, err error) {
		targets, err := TargetsIn(tx)
		if err != nil {
			return nil, nil, err
		}
		r := r
		r.Preset = false
		roles, err := tx.OrgRoles()
		if err != nil {
			return nil, nil, err
		}
		if err := r.check(targets, roles); err != nil {
			return nil, nil, err
		}
		if r.Kind == RuleRole {
			if err := tx.HoldRole(r.To); err != nil {
				return nil, nil, err
			}
		}
		at := slices.IndexFunc(own, func(o Rule) bool {
			return o.ID == r.ID || r.ID == "" && r.Kind == RuleAttribute && o.Kind == RuleAttribute && o.To == r.To
		})
		switch {
		case at >= 0:
			if own[at].Kind != r.Kind {
				return nil, nil, fault.Invalid.On("kind", "A row stays what it is. Make another one.")
			}
			before, r.ID = &own[at], own[at].ID
		case r.ID != "":
			return nil, nil, fault.NotFound.On("rule", "There is no such row.")
		case len(own) >= maxRules:
			return nil, nil, fault.Invalid.On("kind", "%s has %d rows, which is as many as are possible.", c.Name, maxRules)
		default:
			r.ID = store.NewID[Rule]()
		}
		return before, &r, putRule(tx, id, r)
	}, &done)
	return done, err
}

// RemoveRule takes a row away, and with it what only it gave. Faults: Denied, NotFound.
func (d *Door) RemoveRule(ctx context.Context, actor access.Actor, id ConnectionID, rule RuleID) (done Remapping, err error) {
	err = d.remap(ctx, actor, id, func(tx *store.Tx, _ Connection, own []Rule) (before *Rule, after *Rule, err error) {
		at := slices.IndexFunc(own, func(o Rule) bool { return o.ID == rule })
		if at < 0 {
			return nil, nil, fault.NotFound.On("rule", "There is no such row.")
		}
		return &own[at], nil, deleteRule(tx, id, rule)
	}, &done)
	return done, err
}

func (d *Door) remap(ctx context.Context, actor access.Actor, id ConnectionID, change func(tx *store.Tx, c Connection, own []Rule) (before, after *Rule, err error), done *Remapping) error {
	return d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err := connectionIn(tx, id)
		if err != nil {
			return err
		}
		if err := lockFirst(tx, id); err != nil { // changes of one table come one after the other
			return err
		}
		own, err := rulesIn(tx, id)
		if err != nil {
			return err
		}
		before, after, err := change(tx, c, own)
		if err != nil {
			return err
		}
		*done = Remapping{}
		if after != nil {
			done.Rule = *after
		} else {
			done.Rule = *before
		}
		if before != nil {
			left, err := rulesIn(tx, id)
			if err != nil {
				return err
			}
			gone := *before
			if done.Roles, done.Teams, err = takeBack(tx, id, func(g store.Given) bool {
				return gone.gave(g) && !slices.ContainsFunc(left, func(r Rule) bool { return r.gave(g) })
			}); err != nil {
				return err
			}
		}
		act := store.Activity{Action: "connection.mapping.set", TargetKind: "connection", TargetID: string(id), TargetName: c.Name,
			Detail: map[string]any{"before": before.detail(), "after": after.detail(), "roles_taken": done.Roles, "teams_taken": done.Teams}}
		if after == nil {
			act.Action = "connection.mapping.remove"
		}
		return tx.Record(act)
	})
}

func (r *Rule) detail() map[string]any {
	if r == nil {
		return nil
	}
	to := r.To
	if r.Kind == RuleTeam && to == "" {
		to = "the team of that name"
	}
	out := map[string]any{r.Kind: to, "from": r.Words()}
	for name, v := range map[string]bool{"lower": r.Lower, "trim": r.Trim, "create": r.Create} {
		if v {
			out[name] = true
		}
	}
	if r.Default != "" {
		out["default"] = r.Default
	}
	return out
}

// gave tells whether a row is a reason of what somebody has.
func (r Rule) gave(g store.Given) bool {
	source, value := cutDetail(g.Detail)
	if !r.reads(source) || !r.matches(value) {
		return false
	}
	return r.Kind == RuleRole && g.Role == r.To || r.Kind == RuleTeam && g.GroupID != ""
}

// takeBack takes what a connection gave and which is meant. The last active admin
// stays one.
func takeBack(tx *store.Tx, id ConnectionID, meant func(store.Given) bool) (roles, teams int, err error) {
	list, err := tx.EachGiven(string(id))
	if err != nil {
		return 0, 0, err
	}
	for _, g := range list {
		if !meant(g) {
			continue
		}
		if g.GroupID != "" {
			if _, err := tx.Part(g.UserID, g.GroupID, store.Reason{Kind: store.FromSignIn, Ref: string(id), Detail: g.Detail}); err != nil {
				return roles, teams, err
			}
			teams++
			continue
		}
		u, err := tx.AnyUser(g.UserID)
		if err != nil {
			return roles, teams, err
		}
		want, err := tx.GivenRoles(g.UserID, string(id))
		if err != nil {
			return roles, teams, err
		}
		delete(want, g.Role)
		kept, err := tx.GiveRoles(u, string(id), want)
		if err != nil {
			return roles, teams, err
		}
		if !kept {
			roles++
		}
	}
	return roles, teams, nil
}

// AttributeSource is where an attribute of a person came from.
type AttributeSource struct {
	Attr       string
	Label      web.Said
	Connection string // its name; empty: an admin locked what was there
	Source     string // the attribute of the answer
	Locked     bool
	Edited     bool // it says something else by now
	Since      store.Time
}

// AttributeSources tells which attributes of a person sign-ins filled or an admin has
// locked, in the order of the mapping's targets. Faults: Denied, unless it is the actor.
func AttributeSources(tx *store.Tx, u store.User) ([]AttributeSource, error) {
	if tx.Actor().Kind != access.Person || tx.Actor().ID != string(u.ID) {
		if err := tx.Require(access.ViewUsers); err != nil {
			return nil, err
		}
	}
	of, err := provenances(tx, u.ID)
	if err != nil || len(of) == 0 {
		return nil, err
	}
	doc, err := u.Attributes()
	if err != nil {
		return nil, err
	}
	names, err := connectionNames(tx)
	if err != nil {
		return nil, err
	}
	targets, err := TargetsIn(tx)
	if err != nil {
		return nil, err
	}
	list := []AttributeSource{}
	for _, t := range targets {
		if p, ok := of[t.Name]; ok {
			label := web.Say(t.Label)
			if t.own { // in the organization's words
				label = web.Say("%s", t.Label)
			}
			list = append(list, AttributeSource{Attr: t.Name, Label: label, Connection: names[p.Connection], Source: p.Source, Locked: p.Locked,
				Edited: !p.Locked && p.Value != valueHash(t.text(doc)), Since: p.Since})
		}
	}
	return list, nil
}

// Lock keeps sign-ins from changing an attribute of a person, or lets them again.
// Needs Write. Faults: Denied, NotFound (no sign-in fills it).
func Lock(tx *store.Tx, id store.UserID, attr string, locked bool) error {
	if err := tx.Require(access.EditUsers); err != nil {
		return err
	}
	u, err := tx.User(id)
	if err != nil {
		return err
	}
	if err := tx.MayTouch(u); err != nil {
		return err
	}
	n, err := tx.Exec("UPDATE sso_attributes SET locked = ?, since = ? WHERE org_id = ? AND user_id = ? AND attr = ? AND locked <> ?", locked, tx.Now(), tx.Org(), id, attr, locked)
	if err != nil {
		return err
	}
	if n == 0 {
		of, err := provenances(tx, id)
		if err == nil && of[attr].Attr == "" {
			err = fault.NotFound.On("attribute", "No sign-in fills %.100q of %s.", attr, u.DisplayName)
		}
		return err
	}
	action := map[bool]string{true: "user.attribute.lock", false: "user.attribute.unlock"}[locked]
	return tx.Record(store.Activity{Action: action, TargetKind: "user", TargetID: string(id), TargetName: u.DisplayName, Detail: map[string]any{"attribute": attr}})
}

// LockEdited locks what was changed since a sign-in filled it: an admin's edit that
// shall stay. Needs Write. Faults: Denied.
func LockEdited(tx *store.Tx, u store.User) error {
	list, err := AttributeSources(tx, u)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Edited {
			if err := Lock(tx, u.ID, s.Attr, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// connectionNames are the names of the organization's connections.
func connectionNames(tx *store.Tx) (map[ConnectionID]string, error) {
	var rows []struct {
		ID   ConnectionID `db:"id"`
		Name string       `db:"name"`
	}
	err := tx.Select(&rows, "SELECT id, name FROM connections WHERE org_id = ? ORDER BY id LIMIT 1000", tx.Org())
	names := make(map[ConnectionID]string, len(rows))
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, err
}

// ConnectionNames are the names of the organization's connections, for pages that
// show why somebody has a role. Faults: Denied.
func ConnectionNames(tx *store.Tx) (map[string]string, error) {
	if err := tx.Require(access.ViewUsers); err != nil {
		return nil, err
	}
	names, err := connectionNames(tx)
	out := make(map[string]string, len(names))
	for id, name := range names {
		out[string(id)] = name
	}
	return out, err
}
