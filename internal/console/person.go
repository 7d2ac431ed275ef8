package console

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/checklist"
	"github.com/muster-id/muster/internal/extra"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// grant is a role with its reason in words.
type grant struct{ Role, Why string }

// groupReason is why the person is in a team.
type groupReason struct{ Group, Why string }

// Factors is what somebody has beside a password.
type Factors struct {
	Passkeys int
	App      bool
	Codes    int // recovery codes left
}

// Any tells whether there is a second factor.
func (f Factors) Any() bool { return f.Passkeys > 0 || f.App }

// personPage is one person.
type personPage struct {
	Org         web.Org
	Form        web.Form // what went wrong with an action
	User        store.User
	Profile     store.Profile
	Name        string
	Status      badge
	Source      string
	Directory   string   // who manages the person; empty: nobody
	Missing     []string // attributes that the organization requires
	Manager     string
	ManagerLink store.UserID
	SignInWith  string
	Grants      []grant
	Own         []fact // what the organization has added
	Groups      []store.GroupRef
	Invitation  *Invitation
	InviteLog   []InvitationEvent
	Identities  []Identity
	Sources     []AttributeSource
	Reasons     []groupReason
	Allowed     []string // what the roles allow together
	words       reasonWords
	Sessions    []session.Session
	Log         []line
	Attributes  string // the document, for whoever looks for a mistake in a mapping
	RestoreTill store.Time
	Picture     string // its version; empty: there is none

	Tasks        []checklist.View
	Records      []records.Linked
	Deeds        []records.Deed // the newest, of the applications
	Sums         []records.Sum  // of thirty days
	Plans        []planRow      // changes to come
	NoReactivate string         // why it cannot be done here
	NoSeat       string         // why there is none for who has none
	LastAdmin    string         // why access cannot end now
	NoDetach     bool           // for the same reason
	CanPlan      bool

	ShowIdentities bool // there is a page of them
	Factors        *Factors

	MayEdit, MayEnd, MayInvite, MayStart, MayConfigure, MayLog bool
	MayTeams                                                   bool   // see them
	Beyond                                                     string // why whoever looks can change nothing here; empty: it can
	Self                                                       bool
}

func (c *Console) person(w http.ResponseWriter, r *http.Request) error {
	return c.showPerson(w, r, http.StatusOK, web.Form{})
}

func (c *Console) showPerson(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	id, err := pathID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	actor := web.Actor(r)
	p := personPage{Org: web.OrgOf(r), Form: f, MayEdit: actor.May(access.EditUsers), MayEnd: actor.May(access.EndUsers),
		MayInvite: actor.May(access.InviteUsers), MayStart: actor.May(access.CreateUsers), MayConfigure: actor.May(access.Configure), MayLog: actor.May(access.ViewActivity), MayTeams: actor.May(access.ViewGroups), Self: actor.Kind == access.Person && actor.ID == string(id)}
	err = c.opt.DB.Read(r.Context(), actor, func(tx *store.Tx) error {
		u, err := tx.AnyUser(id)
		if err != nil {
			return err
		}
		p.User, p.Profile, p.Name, p.Source = u, u.Profile(), fullName(u), sourceNames[u.Source]
		if p.words, err = c.reasonWords(r, tx); err != nil {
			return err
		}
		if err := c.fillPerson(r, tx, &p); err != nil {
			return err
		}
		if p.MayEdit || p.MayEnd || p.MayInvite {
			if p.Beyond, err = beyond(r, tx, u); err != nil {
				return err
			}
			p.MayEdit = p.MayEdit && p.Beyond == ""
		}
		if p.LastAdmin, err = lastAdmin(r, tx, u); err != nil {
			return err
		}
		p.CanPlan = c.opt.Life != nil && u.DirectoryID == ""
		if p.User.Status == store.Deactivated {
			p.NoReactivate = blocked(r, p.User, p.Directory, "reactivate")
		}
		if p.User.Status == store.Deactivated || p.User.Status == store.Deleted { // whose invitation may be opened again
			if p.NoSeat, err = noSeat(r, tx, u); err != nil {
				return err
			}
		}
		of, err := records.Of(tx, []store.UserID{id})
		if err != nil {
			return err
		}
		p.Records = of[id]
		if p.Deeds, err = records.DeedsOf(tx, id, records.DeedCursor{}, 10); err != nil {
			return err
		}
		if p.Sums, err = records.SumsOf(tx, id, 30); err != nil {
			return err
		}
		if c.opt.Checklists != nil {
			if p.Tasks, err = c.opt.Checklists.Card(tx, id); err != nil {
				return err
			}
		}
		if c.opt.Life == nil {
			return nil
		}
		plans, err := c.opt.Life.Of(tx, id)
		p.Plans = planRows(r, plans)
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "person", p)
}

// beyond says why whoever asks can change nothing of this person, or nothing.
func beyond(r *http.Request, tx *store.Tx, u store.User) (string, error) {
	err := tx.MayTouch(u)
	if fault.Is(err, fault.Denied) {
		return web.SentenceIn(r, err), nil
	}
	return "", err
}

// refusals are why whoever asks can change nothing of some people; of those who are not
// named, what the rest of the rules allow.
func refusals(tx *store.Tx, facts []store.PersonFacts) (map[store.UserID]error, error) {
	var held map[store.UserID][]store.Grant
	var roles []store.OrgRole
	if !tx.Actor().May(access.Configure) { // else they allow no more than the actor may
		ids := make([]store.UserID, len(facts))
		for i, f := range facts {
			ids[i] = f.ID
		}
		var err error
		if held, err = tx.RolesOf(ids); err != nil {
			return nil, err
		}
		if roles, err = tx.OrgRoles(); err != nil {
			return nil, err
		}
	}
	why := map[store.UserID]error{}
	for _, f := range facts {
		err := tx.MayTouchAs(store.User{ID: f.ID, DisplayName: f.DisplayName, BreakGlass: f.BreakGlass}, held[f.ID], roles)
		if fault.Is(err, fault.Denied) {
			why[f.ID] = err
		} else if err != nil {
			return nil, err
		}
	}
	return why, nil
}

func (c *Console) fillPerson(r *http.Request, tx *store.Tx, p *personPage) error {
	u := p.User
	pictures, err := c.pictures(tx, []store.UserID{u.ID})
	if err != nil {
		return err
	}
	p.Picture = pictures[u.ID]
	p.Directory, p.SignInWith = p.words.directories[u.DirectoryID], methodName(u.LastSignInMethod)
	if u.DirectoryID != "" && p.Directory == "" {
		p.Directory = web.T(r, "a directory")
	}
	if u.Status == store.Deleted {
		p.RestoreTill = u.DeletedAt.Add(store.RestoreFor)
	}
	if u.ManagerID != "" {
		names, err := tx.Named([]store.UserID{u.ManagerID})
		if err != nil {
			return err
		}
		p.Manager, p.ManagerLink = names[u.ManagerID], u.ManagerID
	}
	if p.Manager == "" {
		p.Manager, p.ManagerLink = p.Profile.ManagerID, ""
	}
	groups, err := tx.GroupsOf([]store.UserID{u.ID})
	if err != nil {
		return err
	}
	p.Groups = groups[u.ID]
	if err := c.fillRoles(tx, p); err != nil {
		return err
	}
	if c.opt.AttributeSources != nil {
		if p.Sources, err = c.opt.AttributeSources(tx, u); err != nil {
			return err
		}
	}
	if err := c.fillAccess(tx, p); err != nil {
		return err
	}
	own, err := tx.Definitions()
	if err != nil {
		return err
	}
	doc, err := u.Attributes()
	if err != nil {
		return err
	}
	p.Own = facts(own, doc)
	for _, x := range extra.Missing(extra.Of(own), doc) {
		p.Missing = append(p.Missing, x.Name)
	}
	text, err := json.MarshalIndent(own.Masked(doc), "", "  ")
	if err != nil {
		return err
	}
	p.Attributes = string(text)
	if !p.MayLog {
		return nil
	}
	acts, err := tx.Activities(store.ActivityQuery{Target: string(u.ID), Limit: 10})
	p.Log = lines(acts, "/console/"+p.Org.Slug)
	return err
}

func (c *Console) fillRoles(tx *store.Tx, p *personPage) error {
	roles, err := tx.RolesOf([]store.UserID{p.User.ID})
	if err != nil {
		return err
	}
	all, err := tx.OrgRoles()
	if err != nil {
		return err
	}
	reasons, err := tx.MembershipsOf(p.User.ID)
	if err != nil {
		return err
	}
	for _, m := range reasons {
		for _, ref := range p.Groups {
			if ref.ID == m.GroupID && ref.Through == "" {
				p.Reasons = append(p.Reasons, groupReason{ref.Name, p.words.of(m.Reason, m.By, m.Since)})
			}
		}
	}
	kept, err := tx.KeptMembershipsOf(p.User.ID)
	if err != nil {
		return err
	}
	for _, m := range kept {
		i := slices.IndexFunc(p.Groups, func(g store.GroupRef) bool { return g.ID == m.GroupID })
		if i >= 0 {
			p.Reasons = append(p.Reasons, groupReason{p.Groups[i].Name, p.words.dated(p.words.put(p.words.directory(string(m.DirectoryID))), m.Since)})
		}
	}
	p.NoDetach = leavesWith(roles[p.User.ID], p.User.DirectoryID)
	for _, g := range roles[p.User.ID] {
		p.Grants = append(p.Grants, grant{roleLabels(all).of(g.Role), p.words.of(g.Reason, g.By, g.Since)})
	}
	p.Allowed = permissionLabels(p.words.r, c.opt.DB.Catalog(), c.opt.DB.PermissionsOf(roles[p.User.ID], all))
	return nil
}

// fillAccess is how the person gets in: invitation, identities, sessions.
func (c *Console) fillAccess(tx *store.Tx, p *personPage) error {
	id := p.User.ID
	if c.opt.Invitations != nil {
		of, err := c.opt.Invitations(tx, []store.UserID{id})
		if err != nil {
			return err
		}
		if i, ok := of[id]; ok {
			p.Invitation = &i
		}
	}
	if p.Invitation != nil && c.opt.InvitationHistory != nil {
		var err error
		if p.InviteLog, err = c.opt.InvitationHistory(tx, id); err != nil {
			return err
		}
	}
	p.Status = badge{}
	if p.Invitation != nil {
		p.Status = statusBadge(p.User, *p.Invitation)
	} else {
		p.Status = statusBadge(p.User, Invitation{})
	}
	if !p.MayEnd || p.User.Status == store.Deleted {
		return nil
	}
	var err error
	if c.opt.Identities != nil {
		p.ShowIdentities = true
		if p.Identities, err = c.opt.Identities(tx, id); err != nil {
			return err
		}
	}
	if c.opt.Factors != nil && p.User.Status == store.Active {
		f, err := c.opt.Factors(tx, id)
		if err != nil {
			return err
		}
		p.Factors = &f
	}
	if c.opt.Sessions != nil && p.User.Status == store.Active {
		p.Sessions, err = c.opt.Sessions.List(tx, id)
		for i := range p.Sessions {
			p.Sessions[i].Method = methodName(p.Sessions[i].Method)
		}
	}
	return err
}

// refusedHere shows on the page itself that a directory decides about this person, or
// that the person or the role may do more than whoever asks.
func refusedHere(err error, f *web.Form) bool {
	if fault.Is(err, fault.Denied) && (fault.Field(err) == "directory" || fault.Field(err) == "role") {
		f.FailWith("", err)
		return true
	}
	return false
}

// endSessions signs a person out of one browser, or of all.
func (c *Console) endSessions(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID[store.User](r.PathValue("user"))
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	if c.opt.Sessions == nil {
		return fault.NotFound.Say("Sessions are not kept here.")
	}
	ended := 0
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		u, err := present(tx, id)
		if err != nil {
			return err
		}
		if by := tx.Actor(); by.Kind != access.Person || by.ID != string(id) {
			if err := tx.MayTouch(u); err != nil {
				return err
			}
		}
		live, err := c.opt.Sessions.List(tx, id)
		if err != nil {
			return err
		}
		ended = 0
		for _, s := range live {
			if one := f.Get("session"); one != "" && one != string(s.ID) {
				continue
			}
			if err := c.opt.Sessions.End(tx, s.ID); err != nil {
				return err
			}
			ended++
		}
		if ended == 0 {
			return nil
		}
		return tx.Record(store.Activity{Action: "session.end", TargetKind: "user", TargetID: string(id), TargetName: u.DisplayName, Detail: map[string]any{"sessions": ended}})
	})
	if err != nil {
		return err
	}
	said := web.T(r, "That session had ended already.")
	if ended > 0 {
		said = web.N(r, ended, "Signed out of 1 browser.", "Signed out of %d browsers.")
	}
	web.Flash(w, said)
	http.Redirect(w, r, base(r)+"/users/"+string(id), http.StatusSeeOther)
	return nil
}
