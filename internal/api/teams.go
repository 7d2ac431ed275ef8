package api

import (
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountTeams(m *web.Mux) {
	m.API(access.ViewGroups, "GET /api/v1/teams", d.teams)                                   // List teams and directories' groups, by name
	m.API(access.EditGroups, "POST /api/v1/teams", d.createTeam)                             // Create a team
	m.API(access.ViewGroups, "GET /api/v1/teams/{team}", d.team)                             // Get a team
	m.API(access.EditGroups, "PATCH /api/v1/teams/{team}", d.updateTeam)                     // Change a team. What is left out stays
	m.APIFresh(access.EditGroups, "DELETE /api/v1/teams/{team}", d.deleteTeam)               // Delete a team, or preview that
	m.API(access.ViewGroups, "GET /api/v1/teams/{team}/members", d.members)                  // List the people of a team, by name
	m.API(access.EditGroups, "POST /api/v1/teams/{team}/members", d.addMembers)              // Add people and groups to a team
	m.API(access.EditGroups, "DELETE /api/v1/teams/{team}/members/{member}", d.removeMember) // Remove a person or group from a team
}

// TeamJSON is a team, or a directory's group, as programs see it.
type TeamJSON struct {
	ID          store.GroupID     `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Lead        store.UserID      `json:"lead"`
	LeadName    string            `json:"lead_name"`
	Directory   store.DirectoryID `json:"directory"` // whose group it is; empty: a team
	People      int               `json:"people"`
	Version     string            `json:"version"`
	UpdatedAt   string            `json:"updated_at"`
}

// TeamOf is a team for programs.
func TeamOf(t store.Team) TeamJSON {
	return TeamJSON{t.ID, t.Name, t.Description, t.LeadID, t.Lead, t.DirectoryID, t.People, t.Tag(), t.UpdatedAt.RFC3339()}
}

func (d *Door) teams(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	q := store.TeamQuery{Search: v.Get("q"), After: store.GroupID(v.Get("cursor"))}
	limit, err := limitOf(v.Get("limit"))
	if err != nil {
		return err
	}
	q.Limit = limit
	if q.After != "" {
		if q.After, err = store.ParseID[store.Group](v.Get("cursor")); err != nil {
			return fault.Invalid.On("cursor", "The cursor is not one of ours. Begin again without it.")
		}
	}
	out := struct {
		Teams []TeamJSON `json:"teams"`
		Next  string     `json:"next"`
	}{Teams: []TeamJSON{}}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		list, more, err := tx.Teams(q)
		for _, t := range list {
			out.Teams = append(out.Teams, TeamOf(t))
		}
		if more {
			out.Next = string(list[len(list)-1].ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func limitOf(text string) (int, error) {
	if text == "" {
		return 50, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 200 {
		return 0, fault.Invalid.On("limit", "limit is %.20q. It can be 1 to 200.", text)
	}
	return n, nil
}

// teamBody is the body of a POST and a PATCH.
type teamBody struct {
	Name        *string       `json:"name"`
	Description *string       `json:"description"`
	Lead        *store.UserID `json:"lead"` // a user's id; empty: nobody
	Version     string        `json:"version"`
}

func (in teamBody) change() (store.TeamChange, error) {
	ch := store.TeamChange{Name: in.Name, Description: in.Description, Lead: in.Lead, Tag: in.Version}
	if in.Lead != nil && *in.Lead != "" {
		id, err := store.ParseID[store.User](string(*in.Lead))
		if err != nil {
			return ch, fault.Invalid.On("lead", "The lead is not the id of a person.")
		}
		ch.Lead = &id
	}
	return ch, nil
}

func (d *Door) answerTeam(w http.ResponseWriter, status int, run func(func(*store.Tx) error) error, do func(tx *store.Tx) (store.Team, error)) error {
	var out TeamJSON
	err := run(func(tx *store.Tx) error {
		t, err := do(tx)
		out = TeamOf(t)
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, status, out)
}

func (d *Door) createTeam(w http.ResponseWriter, r *http.Request) error {
	var in teamBody
	if err := web.ReadJSON(r, &in, "name"); err != nil {
		return err
	}
	ch, err := in.change()
	if err != nil {
		return err
	}
	return d.answerTeam(w, http.StatusCreated, d.writing(r), func(tx *store.Tx) (store.Team, error) { return tx.CreateTeam(ch) })
}

func teamID(r *http.Request) (store.GroupID, error) {
	return store.ParseID[store.Group](r.PathValue("team"))
}

func (d *Door) team(w http.ResponseWriter, r *http.Request) error {
	id, err := teamID(r)
	if err != nil {
		return err
	}
	return d.answerTeam(w, http.StatusOK, d.reading(r), func(tx *store.Tx) (store.Team, error) { return tx.Team(id) })
}

func (d *Door) updateTeam(w http.ResponseWriter, r *http.Request) error {
	id, err := teamID(r)
	if err != nil {
		return err
	}
	var in teamBody
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ch, err := in.change()
	if err != nil {
		return err
	}
	return d.answerTeam(w, http.StatusOK, d.writing(r), func(tx *store.Tx) (store.Team, error) { return tx.UpdateTeam(id, ch) })
}

// TeamEndJSON is what the end of a team did, or would do.
type TeamEndJSON struct {
	Team    store.GroupID `json:"team"`
	People  int           `json:"people"` // who were in it
	Inside  int           `json:"inside"` // groups that were in it, and stay
	In      []string      `json:"in"`     // names of the groups that it was in
	Deleted bool          `json:"deleted"`
}

// EndTeam deletes a team, or tells what that would do.
func EndTeam(tx *store.Tx, id store.GroupID, preview bool) (TeamEndJSON, error) {
	e, err := tx.PreviewTeamEnd(id)
	if err != nil {
		return TeamEndJSON{}, err
	}
	out := TeamEndJSON{Team: id, People: e.Team.People, Inside: e.Inside, In: []string{}, Deleted: !preview}
	for _, g := range e.In {
		out.In = append(out.In, g.Name)
	}
	if preview {
		return out, nil
	}
	return out, tx.DeleteGroup(id)
}

func (d *Door) deleteTeam(w http.ResponseWriter, r *http.Request) error {
	id, err := teamID(r)
	if err != nil {
		return err
	}
	preview := r.URL.Query().Get("preview") == "true"
	run := d.writing(r)
	if preview {
		run = d.reading(r)
	}
	var out TeamEndJSON
	if err := run(func(tx *store.Tx) error { out, err = EndTeam(tx, id, preview); return err }); err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

// MemberJSON is one person of a team.
type MemberJSON struct {
	ID      store.UserID `json:"id"`
	Name    string       `json:"name"`
	Email   string       `json:"email"`
	Status  store.Status `json:"status"`
	Direct  bool         `json:"direct"`
	Since   string       `json:"since"`
	Through []string     `json:"through"` // names of the groups by which somebody belongs who is no member
	Reasons []ReasonJSON `json:"reasons"`
}

// ReasonJSON is why a membership is there.
type ReasonJSON struct {
	Kind   string `json:"kind"`          // manual, default, sso
	Ref    string `json:"ref,omitempty"` // the connection
	By     string `json:"by,omitempty"`  // who did it by hand
	Detail string `json:"detail,omitempty"`
	Since  string `json:"since"`
}

func (d *Door) members(w http.ResponseWriter, r *http.Request) error {
	id, err := teamID(r)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	q := store.MemberQuery{Search: v.Get("q"), Indirect: v.Get("indirect") == "true"}
	if q.Limit, err = limitOf(v.Get("limit")); err != nil {
		return err
	}
	if text := v.Get("cursor"); text != "" {
		if q.After, err = store.ParseID[store.User](text); err != nil {
			return fault.Invalid.On("cursor", "The cursor is not one of ours. Begin again without it.")
		}
	}
	out := struct {
		Members []MemberJSON `json:"members"`
		Next    string       `json:"next"`
	}{Members: []MemberJSON{}}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		if _, err := tx.Team(id); err != nil {
			return err
		}
		list, more, err := tx.TeamPeople(id, q)
		for _, m := range list {
			out.Members = append(out.Members, memberOf(m))
		}
		if more {
			out.Next = string(list[len(list)-1].ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

func memberOf(m store.TeamMember) MemberJSON {
	out := MemberJSON{ID: m.ID, Name: m.Name, Email: m.Email, Status: m.Status, Direct: m.Direct, Since: m.Since.RFC3339(), Through: []string{}, Reasons: []ReasonJSON{}}
	for _, g := range m.Through {
		out.Through = append(out.Through, g.Name)
	}
	for _, why := range m.Reasons {
		out.Reasons = append(out.Reasons, ReasonOf(why))
	}
	return out
}

// ReasonOf is a reason for programs.
func ReasonOf(m store.Membership) ReasonJSON {
	return ReasonJSON{m.Kind, m.Ref, m.By, m.Detail, m.Since.RFC3339()}
}

func (d *Door) addMembers(w http.ResponseWriter, r *http.Request) error {
	id, err := teamID(r)
	if err != nil {
		return err
	}
	var in struct {
		Users  []string `json:"users"`  // ids, user names or addresses
		Groups []string `json:"groups"` // ids of teams and groups
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if n := len(in.Users) + len(in.Groups); n == 0 || n > 1000 {
		return fault.Invalid.On("users", "Name 1 to 1000 people or groups to add; these are %d.", n)
	}
	return d.answerTeam(w, http.StatusOK, d.writing(r), func(tx *store.Tx) (store.Team, error) { return AddToTeam(tx, id, in.Users, in.Groups) })
}

// AddToTeam puts people and groups into a team.
func AddToTeam(tx *store.Tx, id store.GroupID, users, groups []string) (store.Team, error) {
	g, err := tx.Group(id)
	if err != nil {
		return store.Team{}, err
	}
	add, err := tx.NamedUsers("users", users)
	if err != nil {
		return store.Team{}, err
	}
	said := map[store.UserID]store.Kind{}
	for _, text := range groups {
		in, err := store.ParseID[store.User](text)
		if err != nil {
			return store.Team{}, fault.Invalid.On("groups", "%.60q is not the id of a team or group.", text)
		}
		said[in] = store.KindGroup
		add = append(add, in)
	}
	if _, err := tx.UpdateGroup(g, store.GroupChange{Add: add, Said: said}); err != nil {
		return store.Team{}, err
	}
	return tx.Team(id)
}

func (d *Door) removeMember(w http.ResponseWriter, r *http.Request) error {
	id, err := teamID(r)
	if err != nil {
		return err
	}
	out := struct {
		Removed bool         `json:"removed"`
		Stays   []ReasonJSON `json:"stays"` // the reasons for which the person is still in the team
	}{}
	err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		kept, err := TakeFromTeam(tx, id, r.PathValue("member"))
		out.Removed, out.Stays = len(kept) == 0, []ReasonJSON{}
		for _, m := range kept {
			out.Stays = append(out.Stays, ReasonOf(m))
		}
		return err
	})
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, out)
}

// TakeFromTeam takes a person, by id, user name or address, or a group by its id out of a
// team, and tells for what reasons a person stays.
func TakeFromTeam(tx *store.Tx, id store.GroupID, member string) ([]store.Membership, error) {
	if in, err := store.ParseID[store.User](member); err == nil {
		if _, err := tx.Group(store.GroupID(in)); err == nil {
			g, err := tx.Group(id)
			if err != nil {
				return nil, err
			}
			_, err = tx.UpdateGroup(g, store.GroupChange{Remove: []store.UserID{in}, Said: map[store.UserID]store.Kind{in: store.KindGroup}})
			return nil, err
		}
	}
	users, err := tx.NamedUsers("member", []string{member})
	if err != nil {
		return nil, err
	}
	return tx.LeaveTeam(id, users[0])
}
