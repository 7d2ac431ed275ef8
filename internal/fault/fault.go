// Package fault is the one error type that crosses package borders.
//
// Domain code says what went wrong (a Kind, the field at fault, a sentence that
// is safe to show) and never which HTTP status that is: each door maps kinds
// once. An error without a Kind is internal; it is logged and answered with a
// plain sentence and the request's id.
//
//	return fault.Invalid.On("email", "%q is not an e-mail address.", in.Email)
//	return fault.NotFound.Say("There is no such invitation.")
//	return fault.Unavailable.Wrap(err, "The database cannot be reached.")
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is a class of refusal. The zero Kind is an internal error.
type Kind int

// The kinds, each named for what the caller can do about it.
const (
	Internal    Kind = iota // nothing the caller did; see the log
	Invalid                 // the input breaks a rule: correct Field and send again
	NotFound                // no such thing in what the caller may see
	Conflict                // clashes with what is stored; Field names the clash ("version": it changed meanwhile)
	Denied                  // known caller, not permitted
	SignIn                  // no live session or token
	Expired                 // was valid once: too old, used, or withdrawn
	TooMany                 // over a limit or a rate
	Unavailable             // a dependency does not answer; the same request may work later
)

// Kinds lists every kind, for the tests that walk them through a door's map.
func Kinds() []Kind {
	return []Kind{Internal, Invalid, NotFound, Conflict, Denied, SignIn, Expired, TooMany, Unavailable}
}

var names = [...]string{"internal", "invalid", "not found", "conflict", "denied", "sign in", "expired", "too many", "unavailable"}

// String is the kind's name in words.
func (k Kind) String() string { return names[k] }

// Error is a refusal. Public is for the person, Err for us.
//
// Format and Args are what Public was made of: so pages say it in the reader's
// language. Machines get Public, which is English.
type Error struct {
	Kind   Kind
	Field  string // the input field or attribute at fault; may be empty
	Public string // a full sentence, safe to show
	Format string // empty: Public is the whole sentence
	Args   []any
	Err    error // the cause; may be nil
}

// Word is an argument that is a word of ours and no datum: it is translated with
// the sentence that it stands in.
type Word string

// Some is an argument that counts: "1 person", "3 people". Like a Word it is translated with
// the sentence that it stands in.
type Some struct {
	N          int
	One, Other string // each a format for N
}

// Count makes one.
func Count(n int, one, other string) Some { return Some{n, one, other} }

// String is English.
func (s Some) String() string {
	if s.N == 1 {
		return fmt.Sprintf(s.One, s.N)
	}
	return fmt.Sprintf(s.Other, s.N)
}

// Error is for logs: it has the cause, Public alone has not.
func (e *Error) Error() string {
	s := e.Public
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Say makes an error of this kind with a public sentence.
func (k Kind) Say(format string, args ...any) error {
	return &Error{Kind: k, Public: fmt.Sprintf(format, args...), Format: format, Args: args}
}

// On makes an error of this kind about one field.
func (k Kind) On(field, format string, args ...any) error {
	return &Error{Kind: k, Field: field, Public: fmt.Sprintf(format, args...), Format: format, Args: args}
}

// Wrap makes an error of this kind around its cause.
func (k Kind) Wrap(err error, format string, args ...any) error {
	return &Error{Kind: k, Public: fmt.Sprintf(format, args...), Format: format, Args: args, Err: err}
}

// WrapOn makes an error of this kind about one field around its cause.
func (k Kind) WrapOn(err error, field, format string, args ...any) error {
	return &Error{Kind: k, Field: field, Public: fmt.Sprintf(format, args...), Format: format, Args: args, Err: err}
}

// Over is err's sentence as a fault of this kind about one field; without a sentence,
// err itself.
func (k Kind) Over(field string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	return &Error{Kind: k, Field: field, Public: e.Public, Format: e.Format, Args: e.Args, Err: err}
}

// Of is the kind of err, Internal when it has none.
func Of(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is tells whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && Of(err) == k }

// Field is the field that err is about, or "".
func Field(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Field
	}
	return ""
}

// Public are the sentences of err that are safe to show, or "" for an internal error.
func Public(err error) string {
	var list []string
	for _, e := range All(err) {
		list = append(list, e.Public)
	}
	return strings.Join(list, " ")
}

// All are the refusals in err: several when several rules are broken (errors.Join).
func All(err error) []*Error {
	switch e := err.(type) {
	case *Error:
		return []*Error{e}
	case interface{ Unwrap() []error }:
		var list []*Error
		for _, one := range e.Unwrap() {
			list = append(list, All(one)...)
		}
		return list
	case interface{ Unwrap() error }:
		return All(e.Unwrap())
	}
	return nil
}

// Said is what Public was made of; a sentence without arguments is its own format.
func Said(err error) (format string, args []any) {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return "", nil
	case e.Format == "":
		return e.Public, nil
	}
	return e.Format, e.Args
}
