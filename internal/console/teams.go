package console

import (
	"errors"
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// Local groups are called teams here. A directory's groups are shown and not changed.

// teamRow is a line of the list.
type teamRow struct {
	ID                store.GroupID
	Name, Description string
	Directory         string // whose it is; empty: ours
	UpdatedAt         store.Time
}

type teamsPage struct {
	Org     web.Org
	Form    web.Form
	Rows    []teamRow
	MayEdit bool
}

func (c *Console) teams(w http.ResponseWriter, r *http.Request) error {
	return c.showTeams(w, r, http.StatusOK, web.Form{})
}

func (c *Console) showTeams(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	p := teamsPage{Org: web.OrgOf(r), Form: f, MayEdit: web.Actor(r).May(access.EditGroups)}
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		groups, err := tx.Groups()
		if err != nil {
			return err
		}
		directories, err := directoryNames(tx)
		for _, g := range groups {
			p.Rows = append(p.Rows, teamRow{ID: g.ID, Name: g.Name, Directory: directories[g.DirectoryID], UpdatedAt: g.UpdatedAt})
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
	var g store.Group
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if err := checkText("name", f.Get("name")); err != nil {
			return err
		}
		g, err = tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": f.Get("name")}})
		return err
	})
	if f.Take(err) {
		nameField(&f)
		return c.showTeams(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, base(r)+"/teams/"+string(g.ID), http.StatusSeeOther)
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
		}
	}
}

const membersShown = 500

// insideRow is a group in a team.
type insideRow struct {
	ID              store.GroupID
	Name, Directory string
	Since           store.Time
}

// teamPage is one team with its members.
type teamPage struct {
	Org       web.Org
	Form      web.Form
	Group     store.Group
	Directory string
	Members   []store.Member
	Count     web.Said
	Cut       bool             // there are more than are shown
	Inside    []insideRow      // as far as they are among the groups that the console lists
	More      int              // how many others are inside
	Holders   []store.GroupRef // the groups that it is in
	Choices   []web.Option     // the groups that it could hold
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
	p := teamPage{Org: web.OrgOf(r), Form: f}
	err = c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if p.Group, err = tx.Group(id); err != nil {
			return err
		}
		directories, err := directoryNames(tx)
		if err != nil {
			return err
		}
		p.Directory = directories[p.Group.DirectoryID]
		n, err := tx.MemberCount(id)
		if err != nil {
			return err
		}
		p.Count, p.Cut = web.SayN(n, "1 member", "%d members"), n > membersShown
		if p.Members, err = firstMembers(tx, id); err != nil {
			return err
		}
		p.MayEdit = p.Group.DirectoryID == "" && web.Actor(r).May(access.EditGroups)
		return p.fillNested(tx, directories)
	})
	if err != nil {
		return err
	}
	if _, ok := f.Values["name"]; !ok {
		p.Form.Set("name", p.Group.Name)
	}
	return pages.Write(w, r, status, "team", p)
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
	taken := map[store.GroupID]bool{p.Group.ID: true}
	for _, g := range p.Holders {
		taken[g.ID] = true
	}
	all, err := tx.Groups()
	for _, g := range all {
		from := directories[g.DirectoryID]
		if at, in := since[g.ID]; in {
			p.Inside = append(p.Inside, insideRow{g.ID, g.Name, from, at})
		} else if p.MayEdit && !taken[g.ID] {
			label := g.Name
			if from != "" {
				label += " (" + from + ")"
			}
			p.Choices = append(p.Choices, web.Option{Value: string(g.ID), Label: label})
		}
	}
	if len(p.Choices) > 0 {
		p.Choices = append([]web.Option{{Label: "Choose"}}, p.Choices...)
	}
	p.More = len(since) - len(p.Inside)
	return err
}

func firstMembers(tx *store.Tx, id store.GroupID) (list []store.Member, err error) {
	enough := errors.New("enough")
	err = tx.Members(id, true, func(m store.Member) error {
		if len(list) == membersShown {
			return enough
		}
		list = append(list, m)
		return nil
	})
	if errors.Is(err, enough) {
		err = nil
	}
	return list, err
}

// changeTeam is the handler of one change; it shows what is wrong on the team's page.
func (c *Console) changeTeam(w http.ResponseWriter, r *http.Request, change func(tx *store.Tx, g store.Group, f web.Form) (done web.Said, err error)) error {
	id, err := pathID[store.Group](r.PathValue("group"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var done web.Said
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
	web.Flash(w, web.ReaderIn(r).Say(done))
	http.Redirect(w, r, base(r)+"/teams/"+string(id), http.StatusSeeOther)
	return nil
}

func (c *Console) renameTeam(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (web.Said, error) {
		if err := checkText("name", f.Get("name")); err != nil {
			return web.Said{}, err
		}
		doc, err := g.Attributes()
		if err != nil {
			return web.Said{}, err
		}
		doc["displayName"] = f.Get("name")
		_, err = tx.UpdateGroup(g, store.GroupChange{Doc: doc})
		return web.Say("Saved."), err
	})
}

func (c *Console) addMember(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (web.Said, error) {
		u, err := findPerson(tx, "who", f.Get("who"))
		if err != nil {
			return web.Said{}, err
		}
		_, err = tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{u.ID}})
		return web.Say("%s is in %s.", fullName(u), g.Name), err
	})
}

func (c *Console) removeMember(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (web.Said, error) {
		id, err := pathID[store.User](f.Get("user"))
		if err != nil {
			return web.Said{}, err
		}
		names, err := tx.Named([]store.UserID{id})
		if err != nil {
			return web.Said{}, err
		}
		_, err = tx.UpdateGroup(g, store.GroupChange{Remove: []store.UserID{id}})
		return web.Say("%s is not in %s any more.", names[id], g.Name), err
	})
}

func (c *Console) nestTeam(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (web.Said, error) {
		id, err := store.ParseID[store.User](f.Get("group"))
		if err != nil {
			return web.Said{}, fault.Invalid.On("group", "Choose a team or group.")
		}
		_, err = tx.UpdateGroup(g, store.GroupChange{Add: []store.UserID{id}, Said: map[store.UserID]store.Kind{id: store.KindGroup}})
		return web.Say("Its people belong to %s now.", g.Name), err
	})
}

func (c *Console) unnestTeam(w http.ResponseWriter, r *http.Request) error {
	return c.changeTeam(w, r, func(tx *store.Tx, g store.Group, f web.Form) (web.Said, error) {
		id, err := pathID[store.User](f.Get("group"))
		if err != nil {
			return web.Said{}, err
		}
		_, err = tx.UpdateGroup(g, store.GroupChange{Remove: []store.UserID{id}, Said: map[store.UserID]store.Kind{id: store.KindGroup}})
		return web.Say("Its people belong to %s only where they are members themselves.", g.Name), err
	})
}

func (c *Console) deleteTeam(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID[store.Group](r.PathValue("group"))
	if err != nil {
		return err
	}
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return tx.DeleteGroup(id) })
	if err != nil {
		return err
	}
	web.Flash(w, "The team is deleted. Its people stay.")
	http.Redirect(w, r, base(r)+"/teams", http.StatusSeeOther)
	return nil
}
