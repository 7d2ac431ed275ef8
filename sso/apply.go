package sso

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// What a sign-in brings along, by the connection's mapping. Attributes: a directory's
// word and an admin's lock stand above it, what was typed by hand below. Teams and
// roles: this connection's alone come and go, and go only when the list that gave
// them came, whole, without the value.

// mapped is a connection's mapping over one answer.
type mapped struct {
	rules   []Rule
	targets []Target
	a       answer.Profile
	known   map[string]bool // lists that came whole, by the source's name
}

func (v *visit) readMapping() error {
	rules, err := v.rules()
	if err != nil {
		return err
	}
	v.m = mapped{rules: rules, targets: coreTargets, a: v.a, known: map[string]bool{}}
	if slices.ContainsFunc(rules, func(r Rule) bool { return r.Kind == RuleAttribute }) {
		if v.m.targets, err = TargetsIn(v.tx); err != nil {
			return err
		}
	}
	for _, p := range presetRules(v.c) {
		if !slices.ContainsFunc(rules, func(r Rule) bool { return r.Kind == RuleAttribute && r.To == p.To }) {
			v.m.rules = append(v.m.rules, p)
		}
	}
	for _, r := range rules {
		switch {
		case r.Kind != RuleAttribute || r.To != "emails" && r.To != "userName":
		case r.To == "userName":
			values, _ := v.m.values(r)
			v.a.UserName = firstOf(values)
		default:
			values, _ := v.m.values(r)
			if email := firstOf(values); email != v.a.Email {
				// The provider's word was about its own e-mail attribute.
				v.a.Email, v.a.EmailSaid = email, answer.Unsaid
			}
		}
	}
	v.m.a = v.a
	return nil
}

func firstOf(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// presetValue is what the protocol's reader made of the answer, for preset rows.
func presetValue(a answer.Profile, to string) string {
	return map[string]string{"userName": a.UserName, "emails": a.Email, "name.givenName": a.GivenName, "name.familyName": a.FamilyName, "displayName": a.DisplayName}[to]
}

// values are what an attribute's row gives, and from where; none: the answer says nothing.
func (m mapped) values(r Rule) (values []string, source string) {
	switch {
	case r.Preset:
		v := presetValue(m.a, r.To)
		for _, name := range r.From {
			if slices.Contains(m.a.Attributes[name], v) {
				return nonEmpty(v), name
			}
		}
		return nonEmpty(v), r.From[0]
	case r.Fixed != "":
		return []string{r.Fixed}, fromFixed
	}
	for _, name := range r.From {
		for _, v := range m.a.Attributes[name] {
			if r.Trim {
				v = strings.TrimSpace(v)
			}
			if r.Lower {
				v = strings.ToLower(v)
			}
			if v != "" {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			source = name
			break
		}
	}
	if len(values) == 0 && r.Default != "" {
		return []string{r.Default}, fromDefault
	}
	if len(values) > 1 && !r.All {
		values = values[:1]
	}
	return values, source
}

func nonEmpty(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

// list is what a team's or role's row looks at, and from where. It remembers whether
// the list came whole.
func (m mapped) list(r Rule) (values []string, source string) {
	if len(r.From) == 0 {
		m.known[groupList] = m.a.GroupsKnown
		return m.a.Groups, groupList
	}
	for _, name := range r.From {
		values, sent := m.a.Attributes[name]
		if !sent {
			continue
		}
		m.known[name] = m.a.GroupsKnown || !isGroupList(name)
		return values, name
	}
	return nil, r.From[0]
}

// isGroupList tells the attributes that vendors cut or leave out when a person is in
// many groups.
func isGroupList(name string) bool {
	return name == groupList || slices.Contains(groupNames, name)
}

// fill writes the attributes into a new person's document, before it is stored.
func (v *visit) fill(doc store.Doc) {
	v.out.Attributes = v.m.apply(doc, nil, true, "")
}

// apply writes the attributes into doc. It tells of each that the answer says
// something about.
func (m mapped) apply(doc store.Doc, sources map[string]provenance, creating bool, managed string) (list []AttributeChange) {
	for _, r := range m.rules {
		if r.Kind != RuleAttribute {
			continue
		}
		t, ok := targetNamed(m.targets, r.To)
		if !ok { // the organization has removed its attribute since
			continue
		}
		values, source := m.values(r)
		if len(values) == 0 || t.First && !creating || r.Preset && t.Name == "userName" { // see newName
			continue
		}
		before := t.text(doc)
		ch := AttributeChange{Name: t.Name, Before: t.shown(before), After: t.shown(before), From: source, target: t}
		if creating && t.First {
			ch.Before = "" // the account is made with it
		}
		if t.kind == "string" && strings.Join(values, ", ") == before { // the usual case, without a copy
			list = append(list, ch)
			continue
		}
		next, err := copied(doc)
		if err == nil {
			err = t.put(next, values)
		}
		switch {
		case err != nil:
			ch.Left = fmt.Sprintf(leftUnstorable, err)
		case t.text(next) == before:
		case managed != "":
			ch.Left = managed
		case sources[t.Name].Locked:
			ch.Left = leftLocked
		default:
			maps.Copy(doc, next)
			ch.After = t.shown(t.text(doc))
		}
		list = append(list, ch)
	}
	return list
}

// leaveTaken takes the attribute out of a new person's document whose unique value is
// somebody else's: what cannot be stored must not keep anybody out. It tells whether
// there was one.
func (v *visit) leaveTaken(doc store.Doc, err error) bool {
	for i, ch := range v.out.Attributes {
		if !ch.target.own || ch.Name != fault.Field(err) || ch.Left != "" {
			continue
		}
		at, _ := doc[ch.target.path[0]].(map[string]any)
		delete(at, ch.target.path[1])
		if len(at) == 0 {
			delete(doc, ch.target.path[0])
		}
		v.out.Attributes[i].After, v.out.Attributes[i].Left = ch.Before, fmt.Sprintf(leftUnstorable, fault.Public(err))
		v.out.Notes = append(v.out.Notes, fmt.Sprintf(noteLeftOut, ch.Name, fault.Public(err)))
		return true
	}
	return false
}

// copied is a document of its own: put changes what lies deeper, too.
func copied(doc store.Doc) (store.Doc, error) {
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return store.User{Doc: raw}.Attributes()
}

// refresh takes over what the provider says of a person whom no directory manages.
func (v *visit) refresh() error {
	u := v.out.User
	doc, err := u.Attributes()
	if err != nil {
		return err
	}
	if u.DirectoryID != "" {
		v.out.Attributes = v.m.apply(doc, nil, false, leftDirectory)
		return nil
	}
	sources, err := v.sources(u.ID)
	if err != nil {
		return err
	}
	if !v.out.Created {
		v.out.Attributes = v.m.apply(doc, sources, false, "")
		next, err := v.tx.UpdateUser(u, store.UserChange{Doc: doc, Why: "as the identity provider says"})
		if fault.Is(err, fault.Invalid) || fault.Is(err, fault.Conflict) && fault.Field(err) != "version" {
			// What cannot be stored must not keep anybody out.
			v.out.Notes = append(v.out.Notes, fmt.Sprintf(noteLeftAsIs, fault.Public(err)))
			for i := range v.out.Attributes {
				v.out.Attributes[i].After = v.out.Attributes[i].Before
			}
			return nil
		}
		if err != nil {
			return err
		}
		v.out.User = next
	}
	return v.noteSources(doc, sources)
}

// noteSources remembers where the attributes came from.
func (v *visit) noteSources(doc store.Doc, have map[string]provenance) error {
	for _, ch := range v.out.Attributes {
		if ch.Left != "" || ch.target.First {
			continue
		}
		p := provenance{Attr: ch.Name, Connection: v.c.ID, Source: answer.Clip(ch.From, 300), Value: valueHash(ch.target.text(doc)), Since: v.tx.Now()}
		old := have[ch.Name]
		if old.Connection == p.Connection && old.Source == p.Source && old.Value == p.Value {
			continue
		}
		if err := putProvenance(v.tx, v.out.User.ID, p); err != nil {
			return err
		}
	}
	return nil
}

// give brings teams and roles in line with the answer.
func (v *visit) give() error {
	if err := v.giveTeams(); err != nil {
		return err
	}
	return v.giveRoles()
}

func (v *visit) giveRoles() error {
	want, any := map[string]string{}, false
	for _, r := range v.m.rules {
		if r.Kind != RuleRole {
			continue
		}
		any = true
		values, source := v.m.list(r)
		for _, value := range values {
			if _, there := want[r.To]; !there && r.matches(value) {
				want[r.To] = detailOf(source, value)
			}
		}
	}
	if !any {
		return nil
	}
	have, err := v.tx.GivenRoles(v.out.User.ID, string(v.c.ID))
	if err != nil {
		return err
	}
	for role, detail := range have {
		if _, stays := want[role]; stays {
			continue
		}
		if source, _ := cutDetail(detail); !v.m.known[source] {
			want[role] = detail
			v.out.Notes = append(v.out.Notes, fmt.Sprintf(noteRoleStays, role, source))
		}
	}
	keptAdmin, err := v.tx.GiveRoles(v.out.User, string(v.c.ID), want)
	if err != nil {
		return err
	}
	if keptAdmin {
		v.out.Notes = append(v.out.Notes, noteAdminStays)
	}
	v.out.Roles = changes(have, want, func(role string) string { return role }, keptAdmin)
	return nil
}

// changes lists what came, went and stayed, by name.
func changes[K ~string](have, want map[K]string, name func(K) string, keep bool) (list []GivenChange) {
	all := maps.Clone(have)
	if all == nil {
		all = map[K]string{}
	}
	maps.Copy(all, want)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		_, had := have[k]
		_, has := want[k]
		word := changeKept
		switch {
		case !had:
			word = changeGained
		case !has && !keep:
			word = changeLost
		}
		list = append(list, GivenChange{Name: name(k), Reason: all[k], Change: word})
	}
	return list
}

const (
	maxTeamsGiven = 500 // by one sign-in
	maxTeamsMade  = 50
)

func (v *visit) giveTeams() error {
	if !slices.ContainsFunc(v.m.rules, func(r Rule) bool { return r.Kind == RuleTeam }) {
		return nil
	}
	teams, err := v.tx.TeamNames()
	if err != nil {
		return err
	}
	want, names, err := v.wantedTeams(teams)
	if err != nil {
		return err
	}
	u := v.out.User
	list, err := v.tx.MembershipsOf(u.ID)
	if err != nil {
		return err
	}
	have := map[store.GroupID]string{}
	for _, m := range list {
		if m.Kind == store.FromSignIn && m.Ref == string(v.c.ID) {
			have[m.GroupID] = m.Detail
		}
	}
	why := func(detail string) store.Reason {
		return store.Reason{Kind: store.FromSignIn, Ref: string(v.c.ID), Detail: detail}
	}
	for _, id := range slices.Sorted(maps.Keys(have)) {
		if _, stays := want[id]; stays {
			continue
		}
		if source, _ := cutDetail(have[id]); !v.m.known[source] {
			want[id] = have[id]
			v.out.Notes = append(v.out.Notes, fmt.Sprintf(noteTeamStays, orElse(names[id], string(id)), source))
			continue
		}
		if _, err := v.tx.Part(u.ID, id, why(have[id])); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if have[id] == want[id] {
			continue
		}
		switch _, err := v.tx.Join(u.ID, id, why(want[id])); {
		case fault.Is(err, fault.NotFound): // removed just now
			delete(want, id)
		case err != nil:
			return err
		}
	}
	v.out.Teams = changes(have, want, func(id store.GroupID) string { return orElse(names[id], string(id)) }, false)
	return nil
}

// wantedTeams are the teams that the answer gives, with their reason. It makes those
// that shall be made.
func (v *visit) wantedTeams(teams map[string]store.GroupRef) (want map[store.GroupID]string, names map[store.GroupID]string, err error) {
	want, names = map[store.GroupID]string{}, map[store.GroupID]string{}
	for _, t := range teams {
		names[t.ID] = t.Name
	}
	made := 0
	for _, r := range v.m.rules {
		if r.Kind != RuleTeam {
			continue
		}
		values, source := v.m.list(r)
		for _, value := range values {
			if !r.matches(value) || len(want) >= maxTeamsGiven {
				continue
			}
			name := r.teamFor(value)
			id := store.GroupID(name)
			if _, there := names[id]; !there {
				id = teams[store.Fold(name)].ID
			}
			if id == "" && r.Create && made < maxTeamsMade && name != "" && len(name) <= 200 && cleanText(name) {
				g, err := v.tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": name}})
				if err != nil {
					return nil, nil, err
				}
				made++
				id, names[g.ID] = g.ID, g.Name
				teams[store.Fold(name)] = store.GroupRef{ID: g.ID, Name: g.Name}
			}
			if id == "" {
				if r.To != "" || r.Match != MatchAny {
					v.out.Notes = append(v.out.Notes, fmt.Sprintf(noteNoTeam, answer.Clip(name, 100), detailOf(source, value)))
				}
				continue
			}
			if _, there := want[id]; !there {
				want[id] = detailOf(source, value)
			}
		}
	}
	return want, names, nil
}

// provenance is where an attribute of a person came from.
type provenance struct {
	Attr       string       `db:"attr"`
	Connection ConnectionID `db:"connection_id"`
	Source     string       `db:"source"`
	Value      string       `db:"value"`
	Locked     bool         `db:"locked"`
	Since      store.Time   `db:"since"`
}

// valueHash stands for a value, so that no second copy of it is kept.
func valueHash(text string) string { return secret.Hash(text)[:22] }

func provenances(tx *store.Tx, id store.UserID) (map[string]provenance, error) {
	var rows []provenance
	err := tx.Select(&rows, "SELECT attr, connection_id, source, value, locked, since FROM sso_attributes WHERE org_id = ? AND user_id = ? LIMIT 500", tx.Org(), id)
	of := make(map[string]provenance, len(rows))
	for _, r := range rows {
		of[r.Attr] = r
	}
	return of, err
}

func putProvenance(tx *store.Tx, id store.UserID, p provenance) error {
	_, err := tx.Exec(`INSERT INTO sso_attributes (org_id, user_id, attr, connection_id, source, value, locked, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (org_id, user_id, attr) DO UPDATE SET connection_id = excluded.connection_id, source = excluded.source, value = excluded.value,
			locked = excluded.locked, since = excluded.since`,
		tx.Org(), id, p.Attr, p.Connection, p.Source, p.Value, p.Locked, p.Since)
	return err
}
