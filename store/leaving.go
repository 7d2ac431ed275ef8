package store

import (
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/fault"
)

// Leaving is why somebody is deactivated or deleted, and who takes the work over. It
// stands in the row of the change, by which applications hear of it.
type Leaving struct {
	Reason    string // one of Reasons, or empty
	Why       string // own words
	Successor UserID // an active person, or nobody

	successorName string
}

// Reasons are the short list of why somebody leaves.
func Reasons() []string {
	return []string{"left", "contract", "role", "leave", "unused", "duplicate", "security", "other"}
}

// maxWhy is enough for a few sentences.
const maxWhy = 500

// whyOf checks somebody's own words. Faults: Invalid on "why".
func whyOf(text string) (string, error) {
	text = strings.TrimSpace(text)
	return text, checkText("why", text, maxWhy)
}

// CheckLeaving is what Leave asks of its reasons first, for whoever writes them down for
// later. Faults: Invalid on "reason", "why" and "successor".
func (tx *Tx) CheckLeaving(id UserID, l Leaving) (Leaving, error) {
	if l.Reason != "" && !slices.Contains(Reasons(), l.Reason) {
		return l, fault.Invalid.On("reason", "There is no reason %.40q. Choose one of %s, or write your own words.", l.Reason, strings.Join(Reasons(), ", "))
	}
	var err error
	if l.Why, err = whyOf(l.Why); err != nil {
		return l, err
	}
	if l.Successor == "" {
		return l, nil
	}
	if l.Successor == id {
		return l, fault.Invalid.On("successor", "Nobody can take over from themselves. Choose somebody else, or leave it empty.")
	}
	u, err := tx.User(l.Successor)
	if fault.Is(err, fault.NotFound) {
		return l, fault.Invalid.On("successor", "Whoever takes over must be an active person of this organization. Choose somebody else, or leave it empty.")
	}
	switch {
	case err == nil && u.Status == Deactivated:
		return l, fault.Invalid.On("successor", "%s is deactivated. Whoever takes over must be active: choose somebody else, or leave it empty.", u.DisplayName)
	case err == nil && u.Status != Active:
		return l, fault.Invalid.On("successor", "%s is only invited. Whoever takes over must be active: choose somebody else, or leave it empty.", u.DisplayName)
	}
	l.successorName = u.DisplayName
	return l, err
}

// tell puts the reasons into the row of the change.
func (l Leaving) tell(detail map[string]any) {
	for name, value := range map[string]string{"reason": l.Reason, "why": l.Why, "successor": string(l.Successor), "successor_name": l.successorName} {
		if value != "" {
			detail[name] = value
		}
	}
}
