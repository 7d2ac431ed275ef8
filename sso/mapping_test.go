package sso

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web/texts"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (p *place) door() *Door { return New(Options{DB: p.db, PublicURL: "http://muster.test"}) }

func (p *place) rule(r Rule) Rule {
	p.t.Helper()
	done, err := p.door().SetRule(context.Background(), p.admin, p.conn.ID, r)
	if err != nil {
		p.t.Fatalf("rule %+v: %v", r, err)
	}
	return done.Rule
}

// visit signs somebody in and tells all of the outcome.
func (p *place) visit(c Connection, a answer.Profile) Outcome {
	p.t.Helper()
	if a.SubjectKind == "" {
		a.SubjectKind = "sub"
	}
	var out Outcome
	err := p.db.Write(context.Background(), actorOf(c, access.Actor{}), func(tx *store.Tx) (err error) {
		out, err = p.door().signIn(tx, c, a)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *place) teamsOf(id store.UserID) (names []string) {
	p.t.Helper()
	p.read(func(tx *store.Tx) error {
		groups, err := tx.GroupsOf([]store.UserID{id})
		for _, g := range groups[id] {
			names = append(names, g.Name)
		}
		return err
	})
	return names
}

func (p *place) rolesOf(id store.UserID) (names []string) {
	p.t.Helper()
	p.read(func(tx *store.Tx) error {
		roles, err := tx.RolesOf([]store.UserID{id})
		names = store.RoleNames(roles[id])
		return err
	})
	return names
}

func (p *place) read(fn func(tx *store.Tx) error) {
	p.t.Helper()
	if err := p.db.Read(context.Background(), p.admin, fn); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) team(name string) (g store.Group) {
	p.t.Helper()
	p.write(func(tx *store.Tx) (err error) {
		g, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": name}})
		return err
	})
	return g
}

// with is somebody in groups, whose list came whole.
func with(subject string, groups ...string) answer.Profile {
	a := who(subject, subject+"@acme.example", answer.SaidYes)
	a.Groups, a.GroupsKnown = groups, true
	return a
}

func TestRowsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		for name, c := range map[string]struct {
			rule  Rule
			field string
		}{
			"no kind":              {Rule{To: "title", From: []string{"t"}}, "kind"},
			"unknown attribute":    {Rule{Kind: RuleAttribute, To: "password", From: []string{"t"}}, "to"},
			"roles attribute":      {Rule{Kind: RuleAttribute, To: "roles", From: []string{"t"}}, "to"},
			"nothing read":         {Rule{Kind: RuleAttribute, To: "title"}, "from"},
			"fixed and read":       {Rule{Kind: RuleAttribute, To: "title", From: []string{"t"}, Fixed: "x"}, "fixed"},
			"a fixed address":      {Rule{Kind: RuleAttribute, To: "emails", Fixed: "boss@acme.example"}, "to"},
			"a default user name":  {Rule{Kind: RuleAttribute, To: "userName", From: []string{"t"}, Default: "x"}, "to"},
			"unknown role":         {Rule{Kind: RuleRole, To: "owner", Value: "x"}, "to"},
			"admin by prefix":      {Rule{Kind: RuleRole, To: access.Admin, Match: MatchPrefix, Value: "adm"}, "match"},
			"admin by any":         {Rule{Kind: RuleRole, To: access.Admin, Match: MatchAny}, "match"},
			"a role without value": {Rule{Kind: RuleRole, To: access.Agent}, "value"},
			"a team with default":  {Rule{Kind: RuleTeam, Value: "x", Default: "y"}, "kind"},
			"line break":           {Rule{Kind: RuleTeam, Value: "x\ny"}, "value"},
		} {
			if _, err := p.door().SetRule(context.Background(), p.admin, p.conn.ID, c.rule); !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field {
				t.Errorf("%s: %v, want invalid on %s", name, err, c.field)
			}
		}
		viewer := access.Actor{Kind: access.Person, Org: string(p.org), Roles: []string{access.Viewer}}
		if _, err := p.door().SetRule(context.Background(), viewer, p.conn.ID, Rule{Kind: RuleRole, To: access.Agent, Value: "x"}); !fault.Is(err, fault.Denied) {
			t.Errorf("a viewer: %v, want denied", err)
		}
		other := somewhere(t, db, "globex", "oidc", "jit")
		if _, err := p.door().SetRule(context.Background(), other.admin, p.conn.ID, Rule{Kind: RuleRole, To: access.Agent, Value: "x"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization: %v, want not found", err)
		}
	})
}

// Every way in which a row fills an attribute.
func TestAttributesComeByTheMapping(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for i, c := range []struct {
			name string
			rule Rule
			sent map[string][]string
			want string
		}{
			{"first value", Rule{To: "title", From: []string{"t"}}, map[string][]string{"t": {"Boss", "Chief"}}, "Boss"},
			{"all values", Rule{To: "title", From: []string{"t"}, All: true}, map[string][]string{"t": {"Boss", "Chief"}}, "Boss, Chief"},
			{"second name", Rule{To: "department", From: []string{"d", "dept"}}, map[string][]string{"dept": {"Sales"}}, "Sales"},
			{"trimmed, lower case", Rule{To: "locale", From: []string{"l"}, Trim: true, Lower: true}, map[string][]string{"l": {" DE "}}, "de"},
			{"default", Rule{To: "userType", From: []string{"u"}, Default: "Employee"}, nil, "Employee"},
			{"default not needed", Rule{To: "userType", From: []string{"u"}, Default: "Employee"}, map[string][]string{"u": {"Guest"}}, "Guest"},
			{"fixed", Rule{To: "organization", Fixed: "Acme"}, map[string][]string{"organization": {"Evil"}}, "Acme"},
			{"nothing sent", Rule{To: "title", From: []string{"t"}}, map[string][]string{"t": {}}, ""},
			{"phone", Rule{To: "phoneNumbers", From: []string{"p"}}, map[string][]string{"p": {"+49 1"}}, "+49 1"},
			{"in place of the preset", Rule{To: "name.givenName", From: []string{"nick"}}, map[string][]string{"nick": {"Addie"}}, "Addie"},
			{"too long", Rule{To: "title", From: []string{"t"}}, map[string][]string{"t": {strings.Repeat("x", 2000)}}, ""},
			{"control characters", Rule{To: "title", From: []string{"t"}}, map[string][]string{"t": {"a\x00b"}}, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				p := somewhere(t, db, fmt.Sprint("org", i), "saml", "jit")
				c.rule.Kind = RuleAttribute
				p.rule(c.rule)
				a := who("s1", "ada@acme.example", answer.Unsaid)
				a.Attributes = c.sent
				for _, when := range []string{"when the account is made", "at the next sign-in"} {
					out := p.visit(p.conn, a)
					doc, err := out.User.Attributes()
					if err != nil {
						t.Fatal(err)
					}
					target, _ := targetNamed(coreTargets, c.rule.To)
					if got := target.text(doc); got != c.want {
						t.Errorf("%s: %s = %q, want %q (%+v)", when, c.rule.To, got, c.want, out.Attributes)
					}
				}
			})
		}
	})
}

// Precedence: directory, then what an admin locked, then the sign-in, then by hand.
func TestWhoseWordHolds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "saml", "jit")
		p.rule(Rule{Kind: RuleAttribute, To: "title", From: []string{"t"}})
		as := func(title string) store.User {
			a := who("s1", "ada@acme.example", answer.Unsaid)
			a.Attributes = map[string][]string{"t": {title}}
			return p.visit(p.conn, a).User
		}
		edit := func(u store.User, title string, keep bool) {
			p.write(func(tx *store.Tx) error {
				doc, err := u.Attributes()
				if err != nil {
					return err
				}
				doc["title"] = title
				u, err := tx.UpdateUser(u, store.UserChange{Doc: doc})
				if err == nil && keep {
					err = LockEdited(tx, u)
				}
				return err
			})
		}
		u := as("Engineer")
		edit(u, "By hand", false)
		if u = as("Engineer"); u.Profile().Title != "Engineer" {
			t.Errorf("title %q: a sign-in stands above what was typed", u.Profile().Title)
		}
		edit(u, "Locked", true)
		if u = as("Engineer"); u.Profile().Title != "Locked" {
			t.Errorf("title %q: an admin has locked it", u.Profile().Title)
		}
		p.read(func(tx *store.Tx) error {
			list, err := AttributeSources(tx, u)
			at := slices.IndexFunc(list, func(s AttributeSource) bool { return s.Attr == "title" })
			if at < 0 || !list[at].Locked || list[at].Source != "t" || list[at].Connection != "idp" {
				t.Errorf("sources %+v, want title locked, last from t of idp", list)
			} else if label := texts.ReaderOf("de", "").Say(list[at].Label); label != "Titel" {
				t.Errorf("the title is called %q in German", label)
			}
			return err
		})
		// The person sees it of themselves, whatever else they may see.
		for id, may := range map[store.UserID]bool{u.ID: true, "somebodyelse": false} {
			err := db.Write(context.Background(), access.Actor{Kind: access.Person, Org: p.admin.Org, ID: string(id)}, func(tx *store.Tx) error {
				list, err := AttributeSources(tx, u)
				if err == nil && len(list) == 0 {
					t.Error("nothing of one's own is told")
				}
				return err
			})
			if (err == nil) != may || err != nil && !fault.Is(err, fault.Denied) {
				t.Errorf("%s asks what fills %s: %v", id, u.ID, err)
			}
		}
		p.write(func(tx *store.Tx) error { return Lock(tx, u.ID, "title", false) })
		if u = as("Director"); u.Profile().Title != "Director" {
			t.Errorf("title %q after unlocking, want Director", u.Profile().Title)
		}

		managed := p.managed("grace", "grace@acme.example", "s2")
		p.conn.Accounts = accountsSCIM
		a := who("s2", "", answer.Unsaid)
		a.Attributes, a.Keys = map[string][]string{"t": {"Queen"}}, []string{"s2"}
		out := p.visit(p.conn, a)
		if out.User.ID != managed.ID || out.User.Version != managed.Version {
			t.Errorf("a sign-in changed a managed person: %+v", out.User.Profile())
		}
		if !slices.ContainsFunc(out.Attributes, func(c AttributeChange) bool { return c.Name == "title" && c.Left != "" && !c.Changed() }) {
			t.Errorf("the outcome does not say why the title stays: %+v", out.Attributes)
		}
	})
}

// What groups give comes and goes with a list that came whole, and nothing else goes.
func TestGroupsGiveTeamsAndRoles(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		support := p.team("Support")
		p.team("Manual")
		p.rule(Rule{Kind: RuleTeam, Value: "helpdesk", To: string(support.ID)})
		p.rule(Rule{Kind: RuleTeam, Match: MatchPrefix, Value: "team-", Create: true})
		p.rule(Rule{Kind: RuleRole, Value: "Watchers", To: access.Viewer})
		check := func(when string, u store.UserID, teams, roles string) {
			t.Helper()
			if got := strings.Join(p.teamsOf(u), " "); got != teams {
				t.Errorf("%s: teams %q, want %q", when, got, teams)
			}
			if got := strings.Join(p.rolesOf(u), " "); got != roles {
				t.Errorf("%s: roles %q, want %q", when, got, roles)
			}
		}
		out := p.visit(p.conn, with("ada", "HELPDESK", "team-Blue", "watchers", "unknown"))
		ada := out.User.ID
		check("first sign-in", ada, "Blue Support", "viewer")
		if len(out.Roles) != 1 || out.Roles[0].Change != changeGained || out.Roles[0].Reason != `groups "watchers"` || len(out.Teams) != 2 {
			t.Errorf("outcome: roles %+v, teams %+v", out.Roles, out.Teams)
		}
		p.read(func(tx *store.Tx) error {
			list, err := tx.MembershipsOf(ada)
			if len(list) != 2 || list[0].Ref != string(p.conn.ID) || list[0].Since == 0 {
				t.Errorf("reasons of memberships: %+v", list)
			}
			return err
		})
		p.write(func(tx *store.Tx) error {
			g, err := tx.GroupByName("Manual")
			if err == nil {
				_, err = tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{ada}})
			}
			if err == nil {
				err = tx.Grant(ada, access.Agent, store.Manual)
			}
			return err
		})
		p.rule(Rule{Kind: RuleTeam, Value: "by-hand", To: "Manual"})

		missing := with("ada")
		missing.GroupsKnown = false
		check("the list is missing", p.visit(p.conn, missing).User.ID, "Blue Manual Support", "agent viewer")
		cut := with("ada", "by-hand")
		cut.GroupsKnown = false
		check("the list is over the limit", p.visit(p.conn, cut).User.ID, "Blue Manual Support", "agent viewer")
		check("one left", p.visit(p.conn, with("ada", "team-Blue", "by-hand")).User.ID, "Blue Manual", "agent")
		check("none left", p.visit(p.conn, with("ada")).User.ID, "Manual", "agent")
		check("again", p.visit(p.conn, with("ada", "helpdesk")).User.ID, "Manual Support", "agent")

		// Taken out and put in again by hand: it is not the connection's any more.
		p.write(func(tx *store.Tx) error {
			if _, err := tx.UpdateGroup(support, store.GroupChange{Remove: []store.UserID{ada}}); err != nil {
				return err
			}
			_, err := tx.UpdateGroup(support, store.GroupChange{Add: []store.UserID{ada}})
			return err
		})
		check("put in by hand since", p.visit(p.conn, with("ada")).User.ID, "Manual Support", "agent")
	})
}

// Two connections give one team: it goes with the last of them.
func TestATeamOfTwoConnectionsGoesWithTheLast(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		p.domain("acme.example", true, "")
		first, second := p.conn, p.connection("second", "oidc", "jit")
		for _, c := range []Connection{first, second} {
			p.conn = c
			p.rule(Rule{Kind: RuleTeam, Value: "blue", Create: true})
		}
		ada := p.visit(first, with("ada", "blue")).User.ID
		p.visit(second, with("ada", "blue"))
		p.visit(first, with("ada"))
		if got := p.teamsOf(ada); len(got) != 1 {
			t.Errorf("teams %v after the first one left, want blue", got)
		}
		p.visit(second, with("ada"))
		if got := p.teamsOf(ada); len(got) != 0 {
			t.Errorf("teams %v after both left, want none", got)
		}
	})
}

// Taking a row away takes what it gave, at once; so does taking the connection away.
func TestWhatARowGaveGoesWithIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		p.user("boss@acme.example", store.Active)
		role := p.rule(Rule{Kind: RuleRole, Value: "watchers", To: access.Viewer})
		blue := p.rule(Rule{Kind: RuleTeam, Value: "blue", Create: true})
		p.rule(Rule{Kind: RuleTeam, Match: MatchPrefix, Value: "bl", To: "blue"})
		p.rule(Rule{Kind: RuleTeam, Value: "red", Create: true})
		ada := p.visit(p.conn, with("ada", "watchers", "blue", "red")).User.ID
		done, err := p.door().RemoveRule(context.Background(), p.admin, p.conn.ID, role.ID)
		if err != nil || done.Roles != 1 {
			t.Errorf("removed the role's row: %+v, %v; want one role taken", done, err)
		}
		if got := p.rolesOf(ada); !slices.Equal(got, []string{access.Agent}) {
			t.Errorf("roles %v, want the default", got)
		}
		if _, err := p.door().RemoveRule(context.Background(), p.admin, p.conn.ID, blue.ID); err != nil {
			t.Fatal(err)
		}
		if got := p.teamsOf(ada); !slices.Equal(got, []string{"blue", "red"}) {
			t.Errorf("teams %v: another row gives blue too", got)
		}
		d := p.door()
		if _, err := d.Disable(context.Background(), p.admin, p.conn.ID); err != nil {
			t.Fatal(err)
		}
		if err := d.DeleteConnection(context.Background(), p.admin, p.conn.ID); err != nil {
			t.Fatal(err)
		}
		if got := p.teamsOf(ada); len(got) != 0 {
			t.Errorf("teams %v after the connection is gone, want none", got)
		}
	})
}

// A sign-in never leaves an organization without an admin, and never fails for it.
func TestTheLastAdminStaysOne(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		p.rule(Rule{Kind: RuleRole, Value: "admins", To: access.Admin})
		ada, grace := p.visit(p.conn, with("ada", "admins")).User.ID, p.visit(p.conn, with("grace", "admins")).User.ID
		var wg sync.WaitGroup
		for _, name := range []string{"ada", "grace"} {
			wg.Go(func() { p.visit(p.conn, with(name)) })
		}
		wg.Wait()
		admins := 0
		for _, id := range []store.UserID{ada, grace} {
			if slices.Contains(p.rolesOf(id), access.Admin) {
				admins++
			}
		}
		if admins != 1 {
			t.Errorf("%d admins are left, want 1", admins)
		}
	})
}

// Many people of one group at once make one team.
func TestOneTeamIsMadeByManySignIns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "jit")
		p.rule(Rule{Kind: RuleTeam, Match: MatchAny, Create: true})
		ids := make([]store.UserID, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				u, err := p.come(with(fmt.Sprint("u", i), "blue", "red"))
				if err != nil {
					t.Errorf("sign-in %d: %v", i, err)
				}
				ids[i] = u.ID
			})
		}
		wg.Wait()
		for _, id := range ids {
			if got := p.teamsOf(id); !slices.Equal(got, []string{"blue", "red"}) {
				t.Errorf("teams %v, want blue and red", got)
			}
		}
	})
}

// The provider's word on an address is about its own e-mail attribute alone.
func TestAMappedAddressIsNotVouchedFor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "oidc", "existing")
		p.domain("acme.example", true, "")
		p.user("boss@acme.example", store.Active)
		p.rule(Rule{Kind: RuleAttribute, To: "emails", From: []string{"upn"}})
		a := who("eve", "eve@evil.example", answer.SaidYes)
		a.Attributes = map[string][]string{"upn": {"boss@acme.example"}}
		if u, err := p.come(a); refusedFor(err) != "email_verified" {
			t.Errorf("eve with a chosen upn: user %s, %v; want refused for email_verified", u.ID, err)
		}
	})
}
