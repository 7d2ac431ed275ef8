package web

import (
	"net/http"
	"strings"
)

var keptPages = MustPages(ownTemplates, "templates/kept.html")

type keptPage struct {
	Action string
	Fields []hidden
	Secret bool // something was typed that is not kept
	File   bool
}

// keepTyped shows what somebody without a session sent, to be sent again after signing in
// elsewhere. Of a form in which nothing was typed it tells false, and so of one that cannot
// be read. Passwords, codes and files are not kept: the form then asks for them anew.
func keepTyped(w http.ResponseWriter, r *http.Request) (bool, error) {
	f, err := ReadForm(r)
	if err != nil {
		return false, nil
	}
	p := keptPage{Action: r.URL.RequestURI(), File: r.MultipartForm != nil && len(r.MultipartForm.File) > 0}
	p.Fields = f.hidden(func(name string) bool {
		secret := strings.Contains(name, "password") || strings.Contains(name, "secret") || name == "code" || strings.HasPrefix(name, "step_up")
		p.Secret = p.Secret || secret && f.Get(name) != ""
		return !secret
	})
	if len(p.Fields) == 0 {
		return false, nil
	}
	w.Header().Set("Cache-Control", "no-store")
	return true, keptPages.Write(w, r, http.StatusUnauthorized, "kept", p)
}
