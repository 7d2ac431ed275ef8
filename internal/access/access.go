// Package access says who is acting and what they may do. It is pure: no I/O,
// no clock. The whole matrix is the table in matrix.go, and one test walks it.
//
// An Actor belongs to at most one organization. store binds a transaction to an
// actor, so every change is checked against it and recorded with it.
package access

import "github.com/muster-id/muster/internal/fault"

// Kind is what sort of thing acts.
type Kind string

// The kinds of actor.
const (
	Anonymous  Kind = ""           // nobody known: sign-in pages, invitation links
	System     Kind = "system"     // Muster itself: command line, background loops, set-up
	Person     Kind = "person"     // a signed-in user
	Directory  Kind = "directory"  // a SCIM client
	Connection Kind = "connection" // a sign-in through an identity provider
	Key        Kind = "key"        // a REST API key
	Contact    Kind = "contact"    // whoever has a link to set up one connection
)

// Actor is who does something, where, and on whose authority.
type Actor struct {
	Kind     Kind
	Org      string       // organization the actor works in; empty before one is known
	ID       string       // user, directory, connection or key id; empty for System
	Name     string       // shown in the activity log
	Roles    []string     // for Person and Key
	Granted  []Permission // what these roles allow beside the matrix: the organization's own roles, permissions of applications
	Operator bool         // may enter every organization
	IP       string       // where the request came from, as far as trusted proxies tell
	Request  string       // request id, to find the log line
	Agent    string       // what the browser calls itself
}

// In is the same actor working in org. Only System and operators may be moved.
func (a Actor) In(org string) Actor {
	if a.Kind == System || a.Operator {
		a.Org = org
	}
	return a
}

// Signed tells whether somebody is known.
func (a Actor) Signed() bool { return a.Kind != Anonymous }

// What records call those who act and are no person; web.Who says it in the reader's language.
const (
	CommandLine = string(fault.Word("The command line"))
	UnnamedKey  = string(fault.Word("REST API key"))
	AsPlannedBy = string(fault.Word("Muster, as planned by %v"))
)

// Muster is the server itself acting in org.
func Muster(org string) Actor { return Actor{Kind: System, Org: org, Name: "Muster"} }
