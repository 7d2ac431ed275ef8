package review

import (
	"fmt"
	"net/http"

	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// say is web.T for one request, or fmt.Sprintf.
type sayer = func(sentence string, args ...any) string

func sayIn(r *http.Request) sayer {
	return func(sentence string, args ...any) string { return web.T(r, sentence, args...) }
}

// badge is a word with a colour.
type badge struct{ Class, Text string }

// decisions are what they are called, in the order of filters.
var decisions = map[string]badge{Undecided: {"pending", "Open"}, Confirmed: {"good", "Confirmed"}, Removed: {"cancelled", "Removed"}, AtSource: {"info", "To be removed at the source"}, Gone: {"grey", "Not there any more"}}

var decisionOrder = []string{Undecided, Confirmed, Removed, AtSource, Gone}

// sources are what the ways of coming are called.
var sources = map[string]string{string(store.FromInvite): "Who was invited", string(store.FromCSV): "Who came in a file", string(store.FromJIT): "Who came with a first sign-in", string(store.FromSCIM): "Who came from a directory", string(store.FromAPI): "Who came by the API"}

// scopeWords say whose access it is.
func (r Review) scopeWords(say sayer) string {
	switch r.Scope {
	case Admins:
		return say("People with the role Admin")
	case HasRole:
		return say("People with the role %s", say(r.ScopeName))
	case InTeam:
		return say("People in the team %s", r.ScopeName)
	case CameBy:
		return say(sources[r.ScopeRef])
	}
	return say("Everybody")
}

// ended says why Muster cancelled a review.
func (r Review) ended(say sayer) string {
	switch r.EndedWhy {
	case tooMany:
		return say("It would have more than %d rows. Choose fewer people, such as one team.", maxRows)
	case nobody:
		return say("Nobody who is active or invited is in there any more.")
	}
	return ""
}

// what names the role or the team of a row.
func (r Review) what(say sayer, row Row) string {
	if row.Role == "" {
		return say("Team %s", row.Team)
	}
	name := r.names["role "+row.Role]
	if name == "" {
		name = row.Role
	}
	return say("Role %s", say(name))
}

// why says where a row comes from.
func (r Review) why(say sayer, row Row) string {
	switch row.Kind {
	case store.FromDefault:
		if row.Ref == "" {
			return say("the default, as no other role was given")
		}
		return say("given by default")
	case "group":
		return say("put in by %s", r.giver(say, row.Ref))
	case store.FromDirectory:
		return say("because %s sent %s", r.giver(say, row.Ref), row.Detail)
	case store.FromSignIn:
		return say("by sign-in at %s, because of %s", r.giver(say, row.Ref), web.GivenFor(row.Detail))
	}
	if row.GivenBy != "" {
		return say("given by %s", row.GivenBy)
	}
	return say("given by hand")
}

// remedy says what to do about a row that is to be removed at its source.
func (r Review) remedy(say sayer, row Row) string {
	switch {
	case !row.AtSource:
		return ""
	case row.Kind == "group":
		return say("Take the person out of the group %s at %s.", row.Team, r.giver(say, row.Ref))
	case row.Kind == store.FromSignIn:
		return say("Take the person out of what gives it at %s (%s), or change the mapping of the connection here.", r.giver(say, row.Ref), web.GivenFor(row.Detail))
	}
	return say("Take the person out of what gives it at %s (%s), or change the mapping of the directory here.", r.giver(say, row.Ref), row.Detail)
}

func (r Review) giver(say sayer, ref string) string {
	if name := r.names[ref]; name != "" {
		return name
	}
	return say("a directory that is gone")
}

// english says without a reader, for files and programs.
func english(sentence string, args ...any) string {
	if len(args) == 0 {
		return sentence
	}
	return fmt.Sprintf(sentence, args...)
}
