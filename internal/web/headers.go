package web

import (
	"maps"
	"net/http"
	"strings"
)

// policy allows our style sheet, our images and forms to ourselves. A page that has our
// script (static/factor.js) allows it for itself.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// headers are the same on each answer, so their values are made once: Set makes a
// list of one for each of them.
// Whoever changes one sets another list in its place.
var headers = map[string][]string{
	"Content-Security-Policy": {policy},
	"X-Content-Type-Options":  {"nosniff"},
	// Tokens stand in some paths. Not "no-referrer": browsers would then send
	// "Origin: null" with our own forms.
	"Referrer-Policy":              {"same-origin"},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"X-Frame-Options":              {"DENY"},
	"Cache-Control":                {"no-store"},
}

var transport = []string{"max-age=31536000"}

func setHeaders(h http.Header, secure bool) {
	maps.Copy(h, headers)
	if secure {
		h["Strict-Transport-Security"] = transport
	}
}

// Policy sets one directive of this answer's Content-Security-Policy. A form
// whose answer redirects to another site needs it: Chromium applies form-action
// to the whole chain.
//
//	web.Policy(w, "form-action", "'self'", "https:")
func Policy(w http.ResponseWriter, directive string, sources ...string) {
	var parts []string
	for part := range strings.SplitSeq(w.Header().Get("Content-Security-Policy"), "; ") {
		if name, _, _ := strings.Cut(part, " "); name != directive && part != "" {
			parts = append(parts, part)
		}
	}
	parts = append(parts, strings.TrimSpace(directive+" "+strings.Join(sources, " ")))
	w.Header().Set("Content-Security-Policy", strings.Join(parts, "; "))
}
