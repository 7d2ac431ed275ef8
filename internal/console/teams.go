package console

import (
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/pick"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Local groups are called teams here. A directory's groups are shown and not changed.

// teamRow is a line of the list.
type teamRow struct {
	store.Team
	Directory string // whose it is; empty: ours
}

type teamsPage struct {
	Org     web.Org
	Form    web.Form
	Rows    []teamRow
	Search  string
	Next    string
	MayEdit bool
}

func (c *Console) teams(w http.ResponseWriter, r *http.Request) error {
	return c.showTeams(w, r, http.StatusOK, web.Form{})
}

func (c *Console) showTeams(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	q := store.TeamQuery{Search: web.Typed(r.URL.Query().Get("q"))}
	if after := r.URL.Query().Get("after"); after != "" {
		var err error
		if q.After, err = pathID[store.Group](after); err != nil {
			return err
		}
	}
	p := teamsPage{Org: web.OrgOf(r), Form: f, Search: q.Search, MayEdit: web.Actor(r).May(access.EditGroups)}
	p.Form.Set("q", q.Search)
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, more, err := tx.Teams(q)
		if err != nil {
			return err
		}
		directories, err := directoryNames(tx)
		for _, t := range list {
			p.Rows = append(p.Rows, teamRow{t, directories[t.DirectoryID]})
		}
		if more {
			p.Next = "?" + url.Values{"q": {q.Search}, "after": {string(list[len(list)-1].ID)}}.Encode()
		}
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "teams", p)
}

func (c *Console) createTeam(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var t store.Team
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if err := checkText("name", f.Get("name")); err != nil {
			return err
		}
		name, about := f.Get("name"), f.Get("description")
		t, err = tx.CreateTeam(store.TeamChange{Name: &name, Description: &about})
		return err
	})
	if f.Take(err) {
		nameField(&f)
		return c.showTeams(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, base(r)+"/teams/"+string(t.ID), http.StatusSeeOther)
	return nil
}

// nameField says displayName and members in the words of the forms.
func nameField(f *web.Form) {
	for i := range f.Errors {
		switch f.Errors[i].Field {
		case "displayName":
			f.Errors[i].Field = "name"
		case "members":
			f.Errors[i].Field = "group"
		case "team": // about all of it
			f.Errors[i].Field = ""
		}
	}
}

// insideRow is a group in a team.
type insideRow struct {
	ID              store.GroupID
	Name, Directory string
	Since           store.Time
}

// memberRow is one person of a team.
type memberRow struct {
	store.TeamMember
	Why []string
}

// foundRow is somebody whom the picker found.
type foundRow struct {
	ID          store.UserID
	Name, Email string
	In          bool
}

// teamPage is one team with its members.
type teamPage struct {
	Org       web.Org
	Form      web.Form
	Group     store.Team
	Directory string
	Members   []memberRow
	Count     web.Said
	Search    string // among the members
	All       bool   // with those of groups in it
	Next      string
	Picked    string // what the picker looks for
	Found     []foundRow
	MoreFound bool
	Inside    []insideRow      // the first of them
	More      int              // how many others are inside
	Holders   []store.GroupRef // the groups that it is in
	Choices   []web.Option     // groups that it could hold: all, or those that were found
	ManyTeams bool             // there are more of them: they are looked for
	NoneFound bool
	MoreTeams bool
	MayEdit   bool
}

func (c *Console) team(w http.ResponseWriter, r *http.Request) error {
	return c.showTeam(w, r, http.StatusOK, web.Form{})
}

func (c *Console) showTeam(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := pathID[store.Group](r.PathValue("group"))
	if err != nil {
		return err
	}
	query := r.URL.Query()
	q := store.MemberQuery{Search: web.Typed(query.Get("q")), Indirect: query.Get("all") != ""}
	if after := query.Get("after"); after != "" {
		if q.After, err = pathID[store.User](after); err != nil {
			return err
		}
	}
	p := teamPage{Org: web.OrgOf(r), Form: f, Search: q.Search, All: q.Indirect, Picked: web.Typed(query.Get("find"))}
	if _, sent := f.Values["find_team"]; !sent {
		p.Form.Set("find_team", web.Typed(query.Get("find_team")))
	}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if p.Group, err = tx.Team(id); err != nil {
			return err
		}
		words, err := c.reasonWords(r, tx)
		if err != nil {
			return err
		}
		p.Directory = words.directories[p.Group.DirectoryID]
		p.MayEdit = p.Group.DirectoryID == "" && web.Actor(r).May(access.EditGroups)
		p.Count = web.SayN(p.Group.People, "1 member", "%d members")
		if err := p.fillMembers(tx, q, words); err != nil {
			return err
		}
		if err := p.pick(tx); err != nil {
			return err
		}
		return p.fillNested(tx, words.directories)
	})
	if err != nil {
		return err
	}
	if _, ok := f.Values["name"]; !ok {
		p.Form.Set("name", p.Group.Name)
		p.Form.Set("description", p.Group.Description)
		p.Form.Set("lead", p.Group.Lead)
	}
	p.Form.Default("version", p.Group.Tag())
	p.Form.Set("q", q.Search)
	p.Form.Set("find", p.Picked)
	return pages.Write(w, r, status, "team", p)
}

func (p *teamPage) fillMembers(tx *store.Tx, q store.MemberQuery, words reasonWords) error {
	list, more, err := tx.TeamPeople(p.Group.ID, q)
	for _, m := range list {
		row := memberRow{TeamMember: m}
		switch {
		case p.Group.DirectoryID != "":
			row.Why = append(row.Why, words.put(p.Directory))
		case m.Direct && len(m.Reasons) == 0:
			row.Why = append(row.Why, words.of(store.Manual, "", 0))
		}
		for _, why := range m.Reasons {
			row.Why = append(row.Why, words.of(why.Reason, why.By, why.Since))
		}
		p.Members = append(p.Members, row)
	}
	if more {
		v := url.Values{"q": {q.Search}, "after": {string(list[len(list)-1].ID)}}
		if q.Indirect {
			v.Set("all", "1")
		}
		p.Next = "?" + v.Encode()
	}
	return err
}

// picked is how many the picker shows.
const picked = 20

// pick looks for people to add.
func (p *teamPage) pick(tx *store.Tx) error {
	if p.Picked == "" || !p.MayEdit {
		return nil
	}
	found, err := tx.People(store.PeopleQuery{Search: p.Picked, Limit: picked})
	if err != nil {
		return err
	}
	for _, u := range found.People {
		row := foundRow{ID: u.ID, Name: fullName(u.User), Email: u.Email}
		for _, g := range store.Direct(u.Groups) {
			row.In = row.In || g.ID == p.Group.ID
		}
		p.Found = append(p.Found, row)
	}
	p.MoreFound = found.Total > len(found.People)
	return nil
}

// fillNested finds the groups in the team, those that it is in, and those that
// could be in it: not the team itself, and none that holds it.
func (p *teamPage) fillNested(tx *store.Tx, directories map[store.DirectoryID]string) (err error) {
	if p.Holders, err = tx.GroupsAbove(p.Group.ID); err != nil {
		return err
	}
	since := map[store.GroupID]store.Time{}
	err = tx.Subgroups([]store.GroupID{p.Group.ID}, func(_ store.GroupID, m store.Member) error {
		since[store.GroupID(m.ID)] = m.Since
		return nil
	})
	if err != nil {
		return err
	}
	inside := slices.Collect(maps.Keys(since))
	list, err := tx.GroupsByID(inside)
	if err != nil {
		return err
	}
	for _, g := range list[:min(len(list), shownInside)] {
		p.Inside = append(p.Inside, insideRow{g.ID, g.Name, directories[g.DirectoryID], since[g.ID]})
	}
	if p.More = len(since) - len(p.Inside); !p.MayEdit {
		return nil
	}
	q := store.GroupChoice{Search: p.Form.Get("find_team"), Limit: pick.Few, Not: append(inside, p.Group.ID)}
	for _, g := range p.Holders {
		q.Not = append(q.Not, g.ID)
	}
	if id, err := store.ParseID[store.Group](p.Form.Get("group")); err == nil { // what was chosen stays
		q.Also = append(q.Also, id)
	}
	found, more, err := tx.OfferGroups(q)
	if p.ManyTeams = more || q.Search != ""; more && q.Search == "" {
		found = found[pick.Few:]
	}
	p.NoneFound, p.MoreTeams = q.Search != "" && len(found) == 0, q.Search != "" && more
	for _, g := range found {
		label := g.Name
		if from := directories[g.DirectoryID]; from != "" {
			label += " (" + from + ")"
		}
		p.Choices = append(p.Choices, web.Option{Value: string(g.ID), Label: label})
	}
	if len(p.Choices) > 0 {
		p.Choices = append([]web.Option{{Label: "Choose"}}, p.Choices...)
	}
	return err
}

// shownInside is how many groups in a team are shown.
const shownInside = 500

// changeTeam is the handler of one change; it shows what is wrong on the team's page.
func (c *Console) changeTeam(w http.ResponseWriter, r *http.Request, change func(tx *store.Tx, g store.Group, f web.Form) (done string, err error)) error {
	id, err := pathID[store.Group](r.PathValue("group"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var done string
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		g, err := tx.Group(id)
		if err != nil {
			return err
		}
		done, err = change(tx, g, f)
		return err
	})
	if f.Take(err) {
		nameField(&f)
		return c.showTeam(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	web.Flash(w, done)
	back := base(r) + "/teams/" + string(id)
	for _, name := range []string{"find", "find_team"} { // the picker stays where it was
		if find := f.Get(name); find != "" {
			back += "?" + url.Values{name: {find}}.Encode()
			break
		}
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

func (c *Console) renameTeam(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (string, error) {
		if err := checkText("name", f.Get("name")); err != nil {
			return "", err
		}
		name := f.Get("name")
		ch := store.TeamChange{Name: &name, Tag: f.Get("version")}
		if _, sent := f.Values["description"]; sent {
			about := f.Get("description")
			ch.Description = &about
		}
		if _, sent := f.Values["lead"]; sent {
			t, err := tx.Team(g.ID)
			if err != nil {
				return "", err
			}
			lead := store.UserID("")
			switch who := f.Get("lead"); who {
			case "":
			case t.Lead: // as the form showed it
				lead = t.LeadID
			default:
				u, err := findPerson(tx, "lead", who)
				if err != nil {
					return "", err
				}
				lead = u.ID
			}
			ch.Lead = &lead
		}
		_, err := tx.UpdateTeam(g.ID, ch)
		return web.T(r, "Saved."), err
	})
}

// addMember takes somebody of the picker, or an address.
func (c *Console) addMember(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (string, error) {
		var u store.User
		var err error
		if id := f.Get("user"); id != "" {
			var user store.UserID
			if user, err = pathID[store.User](id); err == nil {
				u, err = tx.User(user)
			}
		} else {
			u, err = findPerson(tx, "who", f.Get("who"))
		}
		if err != nil {
			return "", err
		}
		_, err = tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{u.ID}})
		return web.T(r, "%s is in %s.", fullName(u), g.Name), err
	})
}

func (c *Console) removeMember(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (string, error) {
		id, err := pathID[store.User](f.Get("user"))
		if err != nil {
			return "", err
		}
		names, err := tx.Named([]store.UserID{id})
		if err != nil {
			return "", err
		}
		kept, err := tx.LeaveTeam(g.ID, id)
		if err != nil {
			return "", err
		}
		if len(kept) == 0 {
			return web.T(r, "%s is not in %s any more.", names[id], g.Name), nil
		}
		words, err := c.reasonWords(r, tx)
		if err != nil {
			return "", err
		}
		return web.T(r, "%s was taken out by hand, and is still in %s: %s.", names[id], g.Name, words.of(kept[0].Reason, kept[0].By, kept[0].Since)), nil
	})
}

func (c *Console) nestTeam(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (string, error) {
		id, err := store.ParseID[store.User](f.Get("group"))
		if err != nil {
			return "", fault.Invalid.On("group", "Choose a team or group.")
		}
		_, err = tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{id}, Said: map[store.UserID]store.Kind{id: store.KindGroup}})
		return web.T(r, "Its people belong to %s now.", g.Name), err
	})
}

func (c *Console) unnestTeam(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (string, error) {
		id, err := pathID[store.User](f.Get("group"))
		if err != nil {
			return "", err
		}
		_, err = tx.UpdateGroup(g, store.GroupChange{Remove: []store.UserID{id}, Said: map[store.UserID]store.Kind{id: store.KindGroup}})
		return web.T(r, "Its people belong to %s only where they are members themselves.", g.Name), err
	})
}

// teamEndPage says what the end of a team does.
type teamEndPage struct {
	Org web.Org
	End store.TeamEnd
}

func (c *Console) endTeam(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID[store.Group](r.PathValue("group"))
	if err != nil {
		return err
	}
	p := teamEndPage{Org: web.OrgOf(r)}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		p.End, err = tx.PreviewTeamEnd(id)
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "teamend", p)
}

func (c *Console) deleteTeam(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID[store.Group](r.PathValue("group"))
	if err != nil {
		return err
	}
	done := web.T(r, "The team is deleted. Its people stay.")
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return tx.DeleteGroup(id) })
	if fault.Is(err, fault.NotFound) { // the second click, or another admin
		done, err = web.T(r, "The team was deleted already."), nil
	}
	if err != nil {
		return err
	}
	web.Flash(w, done)
	http.Redirect(w, r, base(r)+"/teams", http.StatusSeeOther)
	return nil
}
