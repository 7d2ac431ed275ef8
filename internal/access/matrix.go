package access

import "slices"

// Permission is one thing that can be allowed.
type Permission string

// Permissions on an organization's own data.
const (
	ViewUsers    Permission = "users.view"       // the list, one person's page
	InviteUsers  Permission = "users.invite"     // invite, resend, cancel
	EditUsers    Permission = "users.edit"       // attributes, roles, teams
	EndUsers     Permission = "users.end"        // deactivate, reactivate, delete, restore
	CreateUsers  Permission = "users.create"     // without an invitation: directories, sign-ins, import
	ViewGroups   Permission = "groups.view"      //
	EditGroups   Permission = "groups.edit"      //
	ViewActivity Permission = "activity.view"    //
	Configure    Permission = "org.configure"    // directories, connections, domains, settings
	SetUp        Permission = "connection.setup" // one connection, by a link that somebody who may configure has made
	SignInUsers  Permission = "users.signin"     // start a session for a user, link an identity
	Operate      Permission = "server.operate"
)

// Built-in roles. An organization's own roles are package store's; what they allow comes
// with the actor.
const (
	Admin  = "admin"
	Agent  = "agent"
	Viewer = "viewer"
)

// BuiltIn are the built-in roles in the order in which a form offers them.
func BuiltIn() []string { return []string{Admin, Agent, Viewer} }

// matrix is the whole truth about who may do what. System may do everything.
var matrix = map[string][]Permission{
	"role:" + Admin: {ViewUsers, InviteUsers, EditUsers, EndUsers, CreateUsers, ViewGroups, EditGroups, ViewActivity, Configure},
	"role:" + Agent: {},
	// A Viewer sees people and activity and changes nothing.
	"role:" + Viewer: {ViewUsers, ViewGroups, ViewActivity},

	"kind:" + string(Directory):  {ViewUsers, CreateUsers, EditUsers, EndUsers, ViewGroups, EditGroups},
	"kind:" + string(Connection): {ViewUsers, CreateUsers, EditUsers, ViewGroups, EditGroups, SignInUsers},
	"kind:" + string(Contact):    {SetUp},
	"kind:" + string(Anonymous):  {},
}

// May tells whether the actor holds p in its own organization.
func (a Actor) May(p Permission) bool {
	if a.Kind == System || a.Operator {
		return true
	}
	if slices.Contains(matrix["kind:"+string(a.Kind)], p) {
		return true
	}
	for _, r := range a.Roles {
		if r == Admin && !ours(p) || slices.Contains(matrix["role:"+r], p) {
			return true
		}
	}
	return slices.Contains(a.Granted, p)
}
