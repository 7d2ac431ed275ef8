package web

import (
	"net/http"
	"strings"
)

var surePages = MustPages(ownTemplates, "templates/sure.html")

// sure is the field in which the page that asks sends that somebody is.
const sure = "sure_admin"

// surePage asks whether somebody is to be an admin; it has all that was typed.
type surePage struct {
	Who    string // may be empty: who comes by a rule
	Path   string
	Fields []hidden
}

// SureAdmin is Fresh for what makes somebody an admin, and asks besides whether that is
// meant: the page says what an admin may do. who is the person, or how people come to it.
// Asked, it has answered. Programs are asked for the fresh sign-in alone.
func SureAdmin(w http.ResponseWriter, r *http.Request, who string) (asked bool, err error) {
	if asked, err := Fresh(w, r); asked || err != nil || strings.HasPrefix(r.URL.Path, "/api/") {
		return asked, err
	}
	f, err := ReadForm(r)
	if err != nil || f.Get(sure) == "yes" {
		return false, err
	}
	p := surePage{Who: who, Path: r.URL.Path, Fields: f.hidden(func(name string) bool { return name != sure })}
	w.Header().Set("Cache-Control", "no-store")
	return true, surePages.Write(w, r, http.StatusConflict, "sure", p)
}
