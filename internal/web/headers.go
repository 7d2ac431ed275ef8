package web

import (
	"net/http"
	"strings"
)

// policy allows our style sheet, our images and forms to ourselves. There are
// no scripts to allow.
const policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func setHeaders(h http.Header, secure bool) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	// Tokens stand in some paths. Not "no-referrer": browsers would then send
	// "Origin: null" with our own forms.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-store")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
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
