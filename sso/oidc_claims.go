package sso

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// oidcClaims are the claims of an ID token or of userinfo by their exact names.
// encoding/json matches struct fields without regard to case and would take
// "SUB" for "sub"; a map does not.
type oidcClaims map[string]json.RawMessage

func parseClaims(b []byte) (oidcClaims, error) {
	var c oidcClaims
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("the claims are not a JSON object: %w", err)
	}
	return c, nil
}

func (c oidcClaims) has(name string) bool {
	raw, ok := c[name]
	return ok && string(raw) != "null"
}

// text is a string claim; anything else is "".
func (c oidcClaims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// list is a claim that may be one string or several.
func (c oidcClaims) list(name string) []string {
	if s := c.text(name); s != "" {
		return []string{s}
	}
	var many []any
	if json.Unmarshal(c[name], &many) != nil {
		return nil
	}
	out := make([]string, 0, len(many))
	for _, v := range many {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// at is a NumericDate claim; the zero time when it is missing or no number.
func (c oidcClaims) at(name string) time.Time {
	var n float64
	if !c.has(name) || json.Unmarshal(c[name], &n) != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

// claimWord is what a provider says about a yes-or-no matter.
type claimWord int

const (
	unsaid claimWord = iota
	saidYes
	saidNo
)

// word reads a yes-or-no claim. Some providers send "true" as a string, and
// Entra's xms_edov comes as 1 or "1".
func (c oidcClaims) word(name string) claimWord {
	if !c.has(name) {
		return unsaid
	}
	switch strings.ToLower(strings.Trim(string(c[name]), `"`)) {
	case "true", "1":
		return saidYes
	}
	return saidNo
}

// show is a claim for the trace, as sent.
func (c oidcClaims) show(name string) string {
	if !c.has(name) {
		return "(missing)"
	}
	return strings.Trim(string(c[name]), `"`)
}

// flat gives all simple claims as lists of text, for Profile.Attributes.
func (c oidcClaims) flat() map[string][]string {
	out := make(map[string][]string, len(c))
	for name, raw := range c {
		if l := c.list(name); len(l) > 0 {
			out[name] = l
		} else if len(raw) > 0 && raw[0] != '{' && raw[0] != '[' && raw[0] != '"' && string(raw) != "null" {
			out[name] = []string{string(raw)}
		}
	}
	return out
}
