package web

import (
	"context"
	"crypto/rand"
	"net/http"
)

// A browser is known again by a cookie that says nothing about anybody. It outlives
// sessions: so a person can be told when the account is opened somewhere else.

const deviceAge = 400 * 24 * 3600 // seconds; browsers keep none longer

func deviceName(secure bool) string {
	if secure {
		return "__Host-muster-device"
	}
	return "muster-device"
}

// DeviceID is what this request's browser is known by, a new one for a browser that comes
// for the first time; KeepDevice gives it to the browser. Empty outside a request.
func DeviceID(ctx context.Context) string {
	s := stateIn(ctx)
	if s.w == nil {
		return ""
	}
	if s.w.device == "" {
		s.w.device = rand.Text() + rand.Text()
	}
	return s.w.device
}

// deviceOf reads the cookie; empty when it is none of ours.
func deviceOf(r *http.Request, secure bool) string {
	c, err := r.Cookie(deviceName(secure))
	if err != nil || len(c.Value) != 52 || !plainText(c.Value) {
		return ""
	}
	return c.Value
}

func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// KeepDevice lets the browser be known again, if DeviceID was asked for.
func KeepDevice(w http.ResponseWriter) {
	if own := ours(w); own != nil && own.device != "" {
		http.SetCookie(w, &http.Cookie{Name: deviceName(own.secure), Value: own.device, Path: "/", MaxAge: deviceAge, HttpOnly: true, Secure: own.secure, SameSite: http.SameSiteLaxMode})
	}
}
