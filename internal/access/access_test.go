package access_test

import (
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
)

// The matrix again, written the other way round: who is left out is said too.
func TestWhoMayDoWhat(t *testing.T) {
	actors := map[string]access.Actor{
		"nobody":     {},
		"agent":      {Kind: access.Person, Roles: []string{access.Agent}},
		"viewer":     {Kind: access.Person, Roles: []string{access.Viewer}},
		"admin":      {Kind: access.Person, Roles: []string{access.Admin}},
		"operator":   {Kind: access.Person, Operator: true},
		"directory":  {Kind: access.Directory},
		"connection": {Kind: access.Connection},
		"key":        {Kind: access.Key, Roles: []string{access.Viewer}},
		"contact":    {Kind: access.Contact},
		"system":     access.Muster(""),
	}
	may := map[access.Permission]string{
		access.ViewUsers:    "viewer admin operator directory connection key system",
		access.InviteUsers:  "admin operator system",
		access.EditUsers:    "admin operator directory connection system",
		access.EndUsers:     "admin operator directory system",
		access.CreateUsers:  "admin operator directory connection system",
		access.ViewGroups:   "viewer admin operator directory connection key system",
		access.EditGroups:   "admin operator directory connection system",
		access.ViewActivity: "viewer admin operator key system",
		access.Configure:    "admin operator system",
		access.SignInUsers:  "operator connection system",
		access.SetUp:        "operator contact system",
		access.Operate:      "operator system",
	}
	for p, who := range may {
		allowed := map[string]bool{}
		for _, n := range strings.Fields(who) {
			allowed[n] = true
		}
		for name, a := range actors {
			if got := a.May(p); got != allowed[name] {
				t.Errorf("%s may %s = %v, want %v", name, p, got, allowed[name])
			}
		}
	}
}

func TestOnlyOperatorsAndMusterMoveBetweenOrganizations(t *testing.T) {
	for _, c := range []struct {
		actor access.Actor
		want  string
	}{
		{access.Actor{Kind: access.Person, Org: "a", Roles: []string{access.Admin}}, "a"},
		{access.Actor{Kind: access.Directory, Org: "a"}, "a"},
		{access.Actor{Kind: access.Person, Org: "a", Operator: true}, "b"},
		{access.Muster("a"), "b"},
	} {
		if got := c.actor.In("b").Org; got != c.want {
			t.Errorf("%+v In(b) works in %q, want %q", c.actor, got, c.want)
		}
	}
}
