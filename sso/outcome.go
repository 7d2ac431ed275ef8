package sso

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// Step is how a sign-in found its account.
type Step string

// The steps, in the order in which they are tried.
const (
	StepIdentity  Step = "identity"  // the subject was bound before
	StepRekey     Step = "re-key"    // by the old or the new key, while a re-key runs
	StepExpected  Step = "expected"  // an admin moved the person to this connection
	StepDirectory Step = "directory" // a directory manages the person
	StepEmail     Step = "e-mail"    // same address, in a domain that the organization has proved
	StepCreated   Step = "created"   // a new account
)

// Outcome is what a sign-in comes to: the account, how it was found, and what
// changes with it. A refused one has Refused and nothing else happens.
type Outcome struct {
	User      store.User `json:"-"`
	Step      Step       `json:"step,omitempty"`
	Why       string     `json:"why,omitempty"` // the step in a sentence for the admin
	Created   bool       `json:"created,omitempty"`
	Linked    bool       `json:"linked,omitempty"`    // bound to the subject by this sign-in
	Activated bool       `json:"activated,omitempty"` // an invitation was accepted
	Refused   *Refused   `json:"refused,omitempty"`

	Attributes []AttributeChange `json:"attributes,omitempty"` // those that the answer says something about
	Roles      []GivenChange     `json:"roles,omitempty"`      // gained, lost and kept through this connection
	Teams      []GivenChange     `json:"teams,omitempty"`
	Notes      []string          `json:"notes,omitempty"` // what was left alone, and why
}

// Refused is why nobody is signed in.
type Refused struct {
	Check    string `json:"check"`
	Sentence string `json:"sentence"` // what the person is shown
	Hint     string `json:"hint,omitempty"`

	said *refusal
}

// SentenceSaid is Sentence for a page in its reader's language.
func (r *Refused) SentenceSaid() web.Said {
	return r.said.sentence
}

// HintSaid is Hint for a page in its reader's language.
func (r *Refused) HintSaid() web.Said {
	return r.said.hint
}

// AttributeChange is one attribute of the person before and after.
type AttributeChange struct {
	Name   string `json:"name"` // name.givenName
	Before string `json:"before"`
	After  string `json:"after"`
	From   string `json:"from"`           // the row of the mapping that made it, in words
	Left   string `json:"left,omitempty"` // why it stays as it is although the answer says something else

	target Target
}

// Changed tells whether the attribute gets another value.
func (a AttributeChange) Changed() bool { return a.Before != a.After }

// GivenChange is one role or team.
type GivenChange struct {
	Name   string `json:"name"`
	Reason string `json:"reason"` // groups "Helpdesk"
	Change string `json:"change"` // "gained", "lost" or "kept"
}

const (
	changeGained = "gained"
	changeLost   = "lost"
	changeKept   = "kept"
)

// brief is the outcome for the log: without what stays as it is.
func (o Outcome) brief() Outcome {
	o.Attributes = slices.DeleteFunc(slices.Clone(o.Attributes), func(a AttributeChange) bool { return !a.Changed() && a.Left == "" })
	same := func(g GivenChange) bool { return g.Change == changeKept }
	o.Roles, o.Teams = slices.DeleteFunc(slices.Clone(o.Roles), same), slices.DeleteFunc(slices.Clone(o.Teams), same)
	return o
}

// errRehearsed undoes a preview.
var errRehearsed = errors.New("this was a preview")

// Preview says what a sign-in with this profile would come to, by running it and
// undoing it: nothing is written. The actor must be allowed to configure the
// organization. A refusal is no error: see Outcome.Refused. Faults: Denied, NotFound.
func (d *Door) Preview(ctx context.Context, actor access.Actor, id ConnectionID, p answer.Profile) (out Outcome, err error) {
	var c Connection
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err = connectionIn(tx, id)
		return err
	})
	if err != nil {
		return out, err
	}
	err = d.opts.DB.Write(ctx, actorOf(c, actor), func(tx *store.Tx) error {
		now, err := connectionIn(tx, id)
		if err != nil {
			return err
		}
		if out, err = d.signIn(tx, now, p); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		return out, nil
	}
	if fault.Of(err) == fault.Internal {
		if _, refused := errors.AsType[*refusal](err); !refused {
			return out, fmt.Errorf("preview of a sign-in over %s: %w", c.Name, err)
		}
	}
	r := refusalOf(err, nil)
	return Outcome{Step: out.Step, Why: out.Why, Refused: &Refused{Check: r.check, Sentence: r.sentence.String(), Hint: r.hint.String(), said: r}}, nil
}
