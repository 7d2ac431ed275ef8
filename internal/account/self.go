package account

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/records"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// me is the fixed JSON of /api/v1/me.
type me struct {
	Org      string     `json:"org"` // short name
	UserID   string     `json:"user_id"`
	UserName string     `json:"user_name"`
	Email    string     `json:"email"`
	Status   string     `json:"status"`
	Source   string     `json:"source"`
	Roles    []string   `json:"roles"`
	Reasons  []meRole   `json:"role_reasons"`
	Allowed  []string   `json:"permissions"` // what the roles allow together
	Groups   []string   `json:"groups"`
	Records  []meRecord `json:"records"` // of applications, to which the person is linked
	Session  meSession  `json:"session"`
}

// meRole is why a role is there. One role may be there for several reasons.
type meRole struct {
	Role   string `json:"role"`
	Kind   string `json:"kind"`             // manual, default, group, scim, sso
	Ref    string `json:"ref,omitempty"`    // the group, directory or connection
	By     string `json:"by,omitempty"`     // name of the directory or the connection; of who gave it by hand
	Detail string `json:"detail,omitempty"` // what it sent
	Since  string `json:"since,omitempty"`
}

func (a *Account) meRoles(tx *store.Tx, grants []store.Grant) ([]meRole, error) {
	var connections map[string]string
	list := make([]meRole, len(grants))
	for i, g := range grants {
		list[i] = meRole{Role: g.Role, Kind: g.Kind, Ref: g.Ref, By: g.By, Detail: g.Detail}
		if g.Since != 0 {
			list[i].Since = g.Since.RFC3339()
		}
		if g.Kind == store.FromSignIn && a.opts.ConnectionNames != nil {
			if connections == nil {
				var err error
				if connections, err = a.opts.ConnectionNames(tx); err != nil {
					return nil, err
				}
			}
			list[i].By = connections[g.Ref]
		}
		if g.Kind != store.FromDirectory {
			continue
		}
		d, err := tx.Directory(store.DirectoryID(g.Ref))
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		list[i].By = d.Name
	}
	return list, nil
}

// meRecord is a record of an application to which the person is linked.
type meRecord struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
	Gone bool   `json:"gone"`
}

type meSession struct {
	ID         string `json:"id"`
	Method     string `json:"method"`
	Connection string `json:"connection"` // empty for a password
	AuthTime   string `json:"auth_time"`  // when the person last proved who they are
	AMR        string `json:"amr"`        // how (RFC 8176), with blanks between
	ACR        string `json:"acr"`        // the class that the provider said
	ExpiresAt  string `json:"expires_at"`
}

// self is everything about whoever asks, read at one time.
type self struct {
	Actor   access.Actor
	Session session.Session
	Org     store.Org
	User    store.User
	Roles   []string
	Reasons []meRole
	Groups  []string

	Records []meRecord

	Directory string // who manages the person; empty: nobody
}

func (a *Account) self(r *http.Request) (self, error) {
	actor, now, err := a.opts.Sessions.Actor(r)
	if err != nil {
		return self{}, err
	}
	s := self{Actor: actor, Session: now, Groups: []string{}}
	if s.Org, err = a.opts.DB.OrgByID(r.Context(), now.Org); err != nil {
		return s, err
	}
	// As Muster: everybody may see themselves, whatever their roles.
	err = a.opts.DB.Read(r.Context(), access.Muster(string(now.Org)), func(tx *store.Tx) error {
		if s.User, err = tx.User(now.UserID); err != nil {
			return err
		}
		roles, err := tx.RolesOf([]store.UserID{now.UserID})
		if err != nil {
			return err
		}
		s.Roles = store.RoleNames(roles[now.UserID])
		of, err := records.Of(tx, []store.UserID{now.UserID})
		if err != nil {
			return err
		}
		s.Records = make([]meRecord, 0, len(of[now.UserID]))
		for _, l := range of[now.UserID] {
			s.Records = append(s.Records, meRecord{l.Kind, l.ID, l.Name, l.Gone})
		}
		if s.Reasons, err = a.meRoles(tx, roles[now.UserID]); err != nil {
			return err
		}
		groups, err := tx.GroupsOf([]store.UserID{now.UserID})
		if err != nil {
			return err
		}
		for _, g := range groups[now.UserID] {
			s.Groups = append(s.Groups, g.Name)
		}
		if s.User.DirectoryID != "" {
			d, err := tx.Directory(s.User.DirectoryID)
			s.Directory = d.Name
			return err
		}
		return nil
	})
	if err == nil && s.User.Status != store.Active { // ended between the two reads
		err = fault.SignIn.Say("Your session has ended. Please sign in.")
	}
	return s, err
}

func (a *Account) me(w http.ResponseWriter, r *http.Request) error {
	if actor := web.Actor(r); actor.Kind == access.Key {
		return a.keyMe(w, r, actor)
	}
	if r.Header.Get("Authorization") != "" {
		return fault.SignIn.Say("The key is not valid (any more). Send it as Authorization: Bearer KEY.")
	}
	s, err := a.self(r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, me{
		Org: s.Org.Slug, UserID: string(s.User.ID), UserName: s.User.UserName, Email: s.User.Email, Status: string(s.User.Status), Source: string(s.User.Source),
		Roles: s.Roles, Reasons: s.Reasons, Allowed: a.allowed(s.Actor), Groups: s.Groups, Records: s.Records, Session: meSession{ID: string(s.Session.ID), Method: s.Session.Method, Connection: s.Session.Connection, AuthTime: s.Session.AuthAt.RFC3339(),
			AMR: s.Session.AMR, ACR: s.Session.ACR, ExpiresAt: s.Session.ExpiresAt.RFC3339()},
	})
}

// allowed is what an actor may by roles; that an operator may do anything is no role's.
func (a *Account) allowed(actor access.Actor) []string {
	actor.Operator = false
	return a.opts.DB.Allowed(actor)
}

// keyMe is me for a program: the key stands where a person's id would.
func (a *Account) keyMe(w http.ResponseWriter, r *http.Request, actor access.Actor) error {
	k := keyMe{KeyID: actor.ID, Name: actor.Name, Roles: []string{}, Allowed: a.allowed(actor), Operator: actor.Operator}
	if k.Name == access.UnnamedKey {
		k.Name = ""
	}
	if actor.Org != "" {
		org, err := a.opts.DB.OrgByID(r.Context(), store.OrgID(actor.Org))
		if err != nil {
			return err
		}
		k.Org, k.Roles = org.Slug, actor.Roles
	}
	return web.JSON(w, http.StatusOK, k)
}

type keyMe struct {
	Org      string   `json:"org"`
	KeyID    string   `json:"key_id"`
	Name     string   `json:"name"`
	Roles    []string `json:"roles"`
	Allowed  []string `json:"permissions"`
	Operator bool     `json:"operator"`
}
