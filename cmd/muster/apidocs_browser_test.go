package main

import "testing"

// Whoever writes a client reads what the API is, without a sign-in and without a script.
func TestTheAPIInABrowser(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve()
	p := newBrowser(t).visit("api", 1280, 800)
	p.do(withScripts(false))
	p.open(s.url + "/api/docs")
	p.sees("The REST API", "/api/v1/openapi.json", "Teams", "List teams and directories' groups, by name")
	p.do(withScripts(true))
	p.usable("docs")
	p.do(withScripts(false))
	p.press("a[href='/api/docs/teams#getTeamMembers']")
	p.sees("GET /api/v1/teams/{team}/members", "indirect", "curl -s", "409")
	p.do(withScripts(true))
	p.usable("group")
}
