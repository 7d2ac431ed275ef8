package scim

import (
	"context"
	"maps"
	"slices"

	"github.com/elimity-com/scim"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// A password that a directory sends is left out or refused, unless the directory's
// passwordHandling is store: then it becomes the password with which the person
// signs in here. It never becomes part of the document, an answer or the log, and a
// new one changes neither version nor lastModified of the user, whose attributes
// stay. Checking and hashing take their time before any transaction begins.

// PasswordChange is a person's new password, before it is hashed.
type PasswordChange struct {
	Org      store.OrgID
	User     store.UserID // empty: a person who is not there yet
	Password string
	Words    []string // what an attacker would try first: names and addresses of the person
}

// keepFunc writes a prepared password; it may run again in another transaction.
type keepFunc func(tx *store.Tx, user store.UserID) error

// passwordIn finds the password in the body of a POST or PUT.
func (n normalizer) passwordIn(raw map[string]any) (password string, sent bool, err error) {
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		t, ok := n.resolve(name)
		switch {
		case !ok:
		case t.attr == nil && t.urn == n.c.URN: // {"urn:...:core:2.0:User": {"password": ...}}
			if fields, isObject := raw[name].(map[string]any); isObject {
				if p, is, err := n.passwordIn(fields); is || err != nil {
					return p, is, err
				}
			}
		case t.attr != nil && isPassword(t):
			if password, err = passwordText(raw[name]); err != nil || password != "" {
				return password, true, err
			}
		}
	}
	return "", false, nil
}

func isPassword(t target) bool { return t.attr.Name == "password" && !t.attr.Extension() }

// passwordText reads the value. Nothing at all is none: null and the empty string
// come from mappings without a source.
func passwordText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", invalidValue("password is text in quotes.")
}

// takePassword notes what one operation of a PATCH says.
func (p *plan) takePassword(op string, value any) error {
	if op == scim.PatchOperationRemove {
		return mutability("A password can be replaced, not removed. To end somebody's access, send active false.")
	}
	text, err := passwordText(value)
	if err != nil || text == "" {
		return err
	}
	p.password = text
	return nil
}

// stores tells that this directory's passwords are kept.
func (d dirctx) stores() bool { return d.quirks.PasswordHandling == storeIt }

// keeper prepares a password for a person whose document this is. Without one it
// gives nil. Faults: Invalid on "password" (not good enough), Unavailable.
func (h *handler) keeper(ctx context.Context, d dirctx, user store.UserID, password string, docs ...map[string]any) (keepFunc, error) {
	if password == "" {
		return nil, nil
	}
	in := PasswordChange{Org: store.OrgID(d.actor.Org), User: user, Password: password}
	for _, doc := range docs {
		in.Words = append(in.Words, wordsOf(doc)...)
	}
	keep, err := h.opt.Password(ctx, in)
	if fault.Is(err, fault.Invalid) {
		return nil, invalidValue("password: %s", fault.Public(err))
	}
	return keep, err
}

// wordsOf are the names and addresses in a user's document.
func wordsOf(doc map[string]any) []string {
	var words []string
	add := func(v any) {
		if s, ok := v.(string); ok && s != "" {
			words = append(words, s)
		}
	}
	for _, name := range []string{"userName", "displayName", "nickName"} {
		add(doc[name])
	}
	if name, ok := doc["name"].(map[string]any); ok {
		add(name["givenName"])
		add(name["familyName"])
	}
	emails, _ := doc["emails"].([]any)
	for _, e := range emails {
		if m, ok := e.(map[string]any); ok {
			add(m["value"])
		}
	}
	return words
}

// keeperOfBody is keeper for a POST or PUT of doc.
func (h *handler) keeperOfBody(ctx context.Context, d dirctx, user store.UserID, body, doc map[string]any) (keepFunc, error) {
	if !d.stores() {
		return nil, nil
	}
	password, _, err := d.normalizer(resourceUser).passwordIn(body)
	if err != nil {
		return nil, err
	}
	return h.keeper(ctx, d, user, password, doc)
}

// keeperOfPlan is keeper for a PATCH of a person, who is read for the words that the
// password must not consist of.
func (h *handler) keeperOfPlan(ctx context.Context, d dirctx, id string, p *plan) (keepFunc, error) {
	if p.password == "" {
		return nil, nil
	}
	u, err := h.findReadable(ctx, d, id)
	if err != nil {
		return nil, err
	}
	old, err := u.Attributes()
	if err != nil {
		return nil, err
	}
	next := store.Doc(p.copied(old))
	if err := p.apply(next); err != nil {
		return nil, err
	}
	return h.keeper(ctx, d, u.ID, p.password, old, next)
}

// findReadable is a user whom the directory sees, and whose id the caller needs
// before the transaction that changes it.
func (h *handler) findReadable(ctx context.Context, d dirctx, id string) (u store.User, err error) {
	err = h.db.Read(ctx, d.actor, func(tx *store.Tx) error {
		u, err = findUser(tx, id)
		return err
	})
	return u, err
}
