package sso

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/store"
)

// Setting is one thing that can be chosen for a connection. The table of them is
// the one source of the REST API, the command line, the form in the console and
// docs/sso/settings.md. A setting is added by a field in a config struct and a
// row in that table; code then reads c.Config.Field, which holds the default when
// nothing was chosen.
type Setting struct {
	Key      string
	Protocol string // of the connections that have it; empty: both
	Group    string // heading in the form
	Label    string
	Help     string
	Kind     Kind
	Choices  []Word // of KindChoice
	Default  string // as text; what holds when nothing is chosen
	Min, Max int    // of KindNumber
	Required bool   // it cannot be empty
	Fixed    string // see fixed: a kind of subject, or anySubject

	at    func(c *Connection) any                  // *string, *bool, *int, *[]string; *[]byte for a secret
	check func(c *Connection, now time.Time) error // of the connection with the new value; its fault is put on the setting
}

// Word is one word that a setting can be.
type Word struct{ Value, Label string }

// Kind says how a setting is written and shown.
type Kind string

// The kinds. As JSON a switch is true or false, a number a number, a list an array.
const (
	KindText   Kind = "text"
	KindURL    Kind = "url"
	KindChoice Kind = "choice"
	KindSwitch Kind = "switch"
	KindNumber Kind = "number"
	KindList   Kind = "list"
	KindDate   Kind = "date"   // 2026-12-31
	KindSecret Kind = "secret" // never shown
)

// anySubject, in Fixed: the setting stays as it is once anybody has signed in.
const anySubject = "*"

const (
	maxSettingText = 2000
	maxSettingList = 100
)

// settings are all of them, in the order of the form.
var settings = slices.Concat(commonSettings, accountSettings, samlSettings, oidcSettings)

var commonSettings = []Setting{
	{Key: "name", Group: "General", Label: "Name", Help: "People see it where they choose how to sign in.", Kind: KindText, Required: true,
		at: func(c *Connection) any { return &c.Name }, check: checkName},
	{Key: "vendor", Group: "General", Label: "Preset", Help: "Whose identity provider it is. It says which attributes are read, and which of them a person is known by.",
		Kind: KindChoice, Choices: vendorChoices(), Default: "custom", Fixed: anySubject, at: func(c *Connection) any { return &c.Vendor }},
	{Key: "accounts", Group: "General", Label: "Accounts", Help: "What happens when somebody comes who was never here.", Kind: KindChoice, Default: accountsJIT,
		Choices: []Word{{accountsJIT, accountsText[accountsJIT]}, {accountsExisting, accountsText[accountsExisting]}, {accountsSCIM, accountsText[accountsSCIM]}},
		at:      func(c *Connection) any { return &c.Accounts }},
}

func vendorChoices() (list []Word) {
	for _, v := range Vendors() {
		list = append(list, Word{v, v})
	}
	return list
}

func checkName(c *Connection, _ time.Time) error {
	return fault.Line("name", c.Name, 200)
}

// Settings are those that a connection of this protocol has; of both when it is empty.
func Settings(protocol string) []Setting { return slices.Collect(settingsOf(protocol)) }

// settingsOf is Settings without a copy of them: every sign-in goes through them.
func settingsOf(protocol string) iter.Seq[Setting] {
	return func(yield func(Setting) bool) {
		for _, s := range settings {
			if (protocol == "" || s.Protocol == "" || s.Protocol == protocol) && !yield(s) {
				return
			}
		}
	}
}

func settingNamed(protocol, key string) (Setting, error) {
	all := Settings(protocol)
	if at := slices.IndexFunc(all, func(s Setting) bool { return s.Key == key }); at >= 0 {
		return all[at], nil
	}
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Key
	}
	return Setting{}, fault.Invalid.On(answer.Clip(key, 64), "A connection of the protocol %s has no setting %q. It has %s.", protocol, answer.Clip(key, 64), strings.Join(names, ", "))
}

// Text is the value as people write it, the default when nothing was chosen; of a
// secret only whether there is one.
func (s Setting) Text(c Connection) string {
	text := s.own(&c)
	if text == "" {
		return s.Default
	}
	return text
}

func (s Setting) own(c *Connection) string {
	switch v := s.at(c).(type) {
	case *string:
		return *v
	case *bool:
		return strconv.FormatBool(*v)
	case *int:
		if *v != 0 {
			return strconv.Itoa(*v)
		}
	case *[]string:
		return strings.Join(*v, "\n")
	case *[]byte:
		if len(*v) > 0 {
			return "is set"
		}
	}
	return ""
}

// Value is the value for JSON.
func (s Setting) Value(c Connection) any {
	text := s.Text(c)
	switch s.Kind {
	case KindSwitch:
		return text == "true"
	case KindNumber:
		n, _ := strconv.Atoi(text)
		return n
	case KindList:
		return slices.Concat([]string{}, splitList(text))
	case KindSecret:
		return text != ""
	}
	return text
}

// splitList reads a list: one on a line, or with commas between.
func splitList(text string) (list []string) {
	for v := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' }) {
		if v = strings.TrimSpace(v); v != "" && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// set takes text as people write it; empty is the default again.
func (s Setting) set(c *Connection, text string) error {
	text = strings.TrimSpace(text)
	if text == "" && s.Required {
		return fault.Invalid.On(s.Key, "%s cannot be empty.", fault.Word(s.Label))
	}
	if len(text) > maxSettingText || !cleanText(strings.NewReplacer("\n", "", "\r", "").Replace(text)) {
		return fault.Invalid.On(s.Key, "%s has at most %d characters, none of them a control character.", fault.Word(s.Label), maxSettingText)
	}
	if err := s.form(text); err != nil {
		return err
	}
	switch v := s.at(c).(type) {
	case *string:
		*v = text
	case *bool:
		*v = text == "true"
	case *int:
		*v, _ = strconv.Atoi(text)
	case *[]string:
		*v = splitList(text)
	}
	s.fill(c)
	return nil
}

// checked holds the setting against the others, once all of a change are in.
func (s Setting) checked(c *Connection, now time.Time) error {
	if s.check == nil {
		return nil
	}
	return fault.Invalid.Over(s.Key, s.check(c, now))
}

// form tells whether a text is what this kind of setting is written like.
func (s Setting) form(text string) error {
	if text == "" {
		return nil
	}
	switch s.Kind {
	case KindSwitch:
		if text != "true" && text != "false" {
			return fault.Invalid.On(s.Key, "%s is true or false, not %q.", fault.Word(s.Label), answer.Clip(text, 64))
		}
	case KindChoice:
		if !slices.ContainsFunc(s.Choices, func(w Word) bool { return w.Value == text }) {
			return fault.Invalid.On(s.Key, "%s cannot be %q. Choose one of %s.", fault.Word(s.Label), answer.Clip(text, 64), s.Written())
		}
	case KindNumber:
		if n, err := strconv.Atoi(text); err != nil || n < s.Min || n > s.Max {
			return fault.Invalid.On(s.Key, "%s is a number from %d to %d, not %q.", fault.Word(s.Label), s.Min, s.Max, answer.Clip(text, 64))
		}
	case KindDate:
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return fault.Invalid.On(s.Key, "%s is a date like 2026-12-31, not %q.", fault.Word(s.Label), answer.Clip(text, 64))
		}
	case KindURL:
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "" || u.User != nil {
			return fault.Invalid.On(s.Key, "%s is a web address like https://idp.example.com/path, not %q.", fault.Word(s.Label), answer.Clip(text, 200))
		}
	case KindList:
		if n := len(splitList(text)); n > maxSettingList {
			return fault.Invalid.On(s.Key, "%s has %d entries; at most %d are kept.", fault.Word(s.Label), n, maxSettingList)
		}
	case KindText:
		if strings.ContainsAny(text, "\r\n") {
			return fault.Invalid.On(s.Key, "%s is one line.", fault.Word(s.Label))
		}
	}
	return nil
}

// Written says what the value can be.
func (s Setting) Written() string {
	switch s.Kind {
	case KindChoice:
		words := make([]string, len(s.Choices))
		for i, c := range s.Choices {
			words[i] = c.Value
		}
		return strings.Join(words, ", ")
	case KindSwitch:
		return "true, false"
	case KindNumber:
		return fmt.Sprintf("%d to %d", s.Min, s.Max)
	}
	return "a " + string(s.Kind)
}

// fill puts the default in where nothing was chosen. What a default makes of zero
// (a number, a word) cannot be chosen to be zero; switches have no default but false.
func (s Setting) fill(c *Connection) {
	if s.Default == "" {
		return
	}
	switch v := s.at(c).(type) {
	case *string:
		*v = orElse(*v, s.Default)
	case *int:
		if *v == 0 {
			*v, _ = strconv.Atoi(s.Default)
		}
	}
}

// filled is the connection with every default.
func (c Connection) filled() Connection {
	for s := range settingsOf(c.Protocol) {
		s.fill(&c)
	}
	return c
}

// bare is the connection without what is only the default, which is not stored, so
// that a later version's default holds for it.
func (c Connection) bare() Connection {
	for _, s := range Settings(c.Protocol) {
		if s.Default == "" || s.own(&c) != s.Default {
			continue
		}
		switch v := s.at(&c).(type) {
		case *string:
			if v != &c.Vendor && v != &c.Accounts { // columns of their own
				*v = ""
			}
		case *int:
			*v = 0
		}
	}
	return c
}

// Change is what UpdateConnection changes.
type Change struct {
	// Version, when not 0, is that of the connection that the change was made for;
	// another one in between is a Conflict.
	Version int64
	Set     map[string]string // by key, as text; empty is the default again
}

// Version changes with every change of the connection.
func (c Connection) Version() int64 { return int64(c.UpdatedAt) }

// UpdateConnection changes settings; those that are not named stay. Faults: Denied,
// NotFound, Invalid (Field is the setting's key), Conflict (another version, or
// Field names a setting that people's sign-ins rely on).
func (d *Door) UpdateConnection(ctx context.Context, actor access.Actor, id ConnectionID, ch Change) (c Connection, err error) {
	err = d.opts.DB.Write(ctx, actor, func(tx *store.Tx) error {
		c, err = changeConnection(tx, id, func(c *Connection) error {
			if ch.Version != 0 && ch.Version != c.Version() {
				return fault.Conflict.On("version", "Somebody else changed %s meanwhile. Look at it again, then make your change.", c.Name)
			}
			return d.setAll(tx, c, ch.Set)
		})
		return err
	})
	return c, err
}

func (d *Door) setAll(tx *store.Tx, c *Connection, values map[string]string) error {
	var changed []Setting
	for _, key := range slices.Sorted(maps.Keys(values)) {
		s, err := settingNamed(c.Protocol, key)
		if err == nil {
			err = d.setOne(tx, c, s, values[key])
		}
		if err != nil {
			return err
		}
		changed = append(changed, s)
	}
	for _, s := range changed {
		if err := s.checked(c, d.opts.DB.Now()); err != nil {
			return err
		}
	}
	return nil
}

func (d *Door) setOne(tx *store.Tx, c *Connection, s Setting, text string) (err error) {
	if v, secret := s.at(c).(*[]byte); secret {
		if *v = nil; text != "" {
			*v, err = d.opts.Key.Seal(c.secretPlace(), []byte(text))
		}
		return err
	}
	before := s.Text(*c)
	if err := s.set(c, text); err != nil || s.Fixed == "" || s.Text(*c) == before {
		return err
	}
	kinds, err := subjectKindsIn(tx, c.ID)
	if err != nil {
		return err
	}
	if len(kinds) > 0 && (s.Fixed == anySubject || slices.Contains(kinds, s.Fixed)) {
		return fault.Conflict.On(s.Key, "%s stays %q: people have signed in over %s, and it decides what they are known by. Re-key the connection, or make another one for the new value.", fault.Word(s.Label), before, c.Name)
	}
	return nil
}

// changeConnection reads a connection so that nobody else changes it meanwhile, has
// fn change it, writes it and records what is different. Nothing different: nothing
// is written. Faults: Denied, NotFound, and those of fn.
func changeConnection(tx *store.Tx, id ConnectionID, fn func(c *Connection) error) (Connection, error) {
	if err := tx.Require(access.Configure); err != nil {
		return Connection{}, err
	}
	return alterConnection(tx, id, fn)
}

// alterConnection is changeConnection for a caller that has checked the permission.
func alterConnection(tx *store.Tx, id ConnectionID, fn func(c *Connection) error) (Connection, error) {
	old, err := lockedConnection(tx, id)
	if err != nil {
		return old, err
	}
	c := old
	if err := fn(&c); err != nil {
		return old, err
	}
	before, after := difference(old, c)
	if len(after) == 0 && reflect.DeepEqual(old.Config, c.Config) {
		return old, nil
	}
	c.UpdatedAt = max(tx.Now(), old.UpdatedAt+1) // a version: never the same twice
	if err := updateConnection(tx, c); err != nil {
		return old, err
	}
	return c, tx.Record(store.Activity{Action: "connection.update", TargetKind: "connection", TargetID: string(id), TargetName: c.Name,
		Detail: map[string]any{"before": before, "after": after}})
}

// difference is what two states of a connection do not have in common, for the
// activity. A secret is only said to be there.
func difference(old, c Connection) (before, after map[string]any) {
	before, after = map[string]any{}, map[string]any{}
	put := func(key string, was, is any, differs bool) {
		if differs {
			before[key], after[key] = was, is
		}
	}
	put("status", old.Status, c.Status, old.Status != c.Status)
	put("issuer", old.Issuer, c.Issuer, old.Issuer != c.Issuer)
	for _, s := range Settings(c.Protocol) {
		was, is := s.Text(old), s.Text(c)
		if s.Kind == KindSecret {
			is = orElse(is, "removed")
			put(s.Key, orElse(was, "none"), is, string(*s.at(&old).(*[]byte)) != string(*s.at(&c).(*[]byte)))
			continue
		}
		put(s.Key, s.Value(old), s.Value(c), was != is)
	}
	return before, after
}
