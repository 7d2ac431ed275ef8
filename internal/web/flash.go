package web

import (
	"encoding/base64"
	"net/http"
	"unicode/utf8"
)

// flashName has the __Host- prefix on https, so that no neighbour domain can
// plant a message.
func flashName(secure bool) string {
	if secure {
		return "__Host-muster-flash"
	}
	return "muster-flash"
}

// Flash keeps a sentence for the next page that this browser shows. It is
// stored in a cookie: never put a secret in it.
func Flash(w http.ResponseWriter, text string) {
	secure := isSecure(w)
	if len(text) > 1500 {
		text = text[:1500]
	}
	http.SetCookie(w, &http.Cookie{
		Name: flashName(secure), Value: base64.RawURLEncoding.EncodeToString([]byte(text)),
		Path: "/", MaxAge: 120, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	})
}

// takeFlash reads the message and removes it.
func takeFlash(w http.ResponseWriter, r *http.Request) string {
	secure := isSecure(w)
	c, err := r.Cookie(flashName(secure))
	if err != nil {
		return ""
	}
	http.SetCookie(w, &http.Cookie{Name: c.Name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode})
	text, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || !utf8.Valid(text) {
		return ""
	}
	return string(text)
}

// isSecure tells whether browsers reach us by https.
func isSecure(w http.ResponseWriter) bool {
	own := ours(w)
	return own != nil && own.secure
}

// ours is our own writer in w, nil when there is none.
func ours(w http.ResponseWriter) *response {
	for {
		switch v := w.(type) {
		case *response:
			return v
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return nil
		}
	}
}
