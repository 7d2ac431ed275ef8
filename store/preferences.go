package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Locale is the language ("de", "" when nobody chose one) and the time zone
// ("Europe/Berlin") that somebody reads in.
type Locale struct {
	Language string `json:"language" db:"language"`
	TimeZone string `json:"time_zone" db:"time_zone"`
}

// LocaleSetting is the group of an organization's settings that holds its Locale.
const LocaleSetting = "language"

// Themes are what Preferences.Theme may be: "" is what the browser prefers.
var Themes = []string{"", "light", "dark"}

// Preferences is how a person wants pages and mails. Empty: not chosen.
type Preferences struct {
	Locale
	Theme string                     `json:"theme"`
	More  map[string]json.RawMessage `json:"more"` // what features keep, by their names
}

// moreLimit is how large all of Preferences.More may be.
const moreLimit = 64 << 10

// Get reads what a feature keeps into what holds its defaults; nothing kept leaves it.
func (p Preferences) Get(name string, into any) error {
	text, ok := p.More[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("preference %s: %w", name, err)
	}
	return nil
}

// Put is what a feature keeps from now on.
func (p *Preferences) Put(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if p.More == nil {
		p.More = map[string]json.RawMessage{}
	}
	p.More[name] = text
	return nil
}

var languageForm = regexp.MustCompile(`^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8}){0,3}$`)

// Check refuses what is no language and no zone. That a language has a catalogue is
// asked where it is offered: one that is gone later must not stop anything.
// Faults: Invalid on "language", "time_zone".
func (l Locale) Check() error {
	if l.Language != "" && !languageForm.MatchString(l.Language) {
		return fault.Invalid.On("language", "%.40q is not a language. Choose one from the list.", l.Language)
	}
	if _, err := time.LoadLocation(l.TimeZone); err != nil || l.TimeZone == "Local" {
		return fault.Invalid.On("time_zone", "%.60q is not a time zone. Choose one from the list, such as Europe/Berlin.", l.TimeZone)
	}
	return nil
}

func (p Preferences) check() error {
	if err := p.Locale.Check(); err != nil {
		return err
	}
	if !slices.Contains(Themes, p.Theme) {
		return fault.Invalid.On("theme", "%.40q is not a theme: it is light, dark, or whatever the browser prefers.", p.Theme)
	}
	size := 0
	for name, text := range p.More {
		size += len(name) + len(text)
	}
	if size > moreLimit {
		return fault.Invalid.Say("Too much is kept with your preferences. Shorten your signature or another long text.")
	}
	return nil
}

type preferencesRow struct {
	Locale
	Theme string `db:"theme"`
	More  JSON   `db:"more"`
}

func (r preferencesRow) preferences() (Preferences, error) {
	p := Preferences{Locale: r.Locale, Theme: r.Theme}
	if err := json.Unmarshal(r.More, &p.More); err != nil {
		return p, fmt.Errorf("preferences: %w", err)
	}
	return p, nil
}

// Preferences are a person's; nothing chosen is no fault.
func (tx *Tx) Preferences(user UserID) (Preferences, error) {
	p, err := tx.preferences(user, "")
	if fault.Is(err, fault.NotFound) {
		return Preferences{}, nil
	}
	return p, err
}

func (tx *Tx) preferences(user UserID, lock string) (Preferences, error) {
	var row preferencesRow
	if err := tx.Get(&row, "SELECT language, time_zone, theme, more FROM preferences WHERE org_id = ? AND user_id = ?"+lock, tx.Org(), user); err != nil {
		return Preferences{}, err
	}
	return row.preferences()
}

// SetPreferences has change say what is different from now on, and records it. Only
// the person does that, or the server for the person. Needs Write.
// Faults: Denied, NotFound, Invalid.
func (tx *Tx) SetPreferences(user UserID, change func(*Preferences) error) error {
	if own := tx.actor.Kind == access.Person && tx.actor.ID == string(user); !own && tx.actor.Kind != access.System {
		return fault.Denied.Say("Everybody chooses language, time zone and theme for themselves.")
	}
	var name string
	if err := tx.Get(&name, "SELECT display_name FROM users WHERE org_id = ? AND id = ? AND deleted_at = 0", tx.Org(), user); err != nil {
		return err
	}
	// The row is made first: only a row can be locked.
	if _, err := tx.Exec("INSERT INTO preferences (org_id, user_id, language, time_zone, theme, more, updated_at) VALUES (?, ?, '', '', '', {{as_json}}, ?) ON CONFLICT (org_id, user_id) DO NOTHING",
		tx.Org(), user, "{}", tx.Now()); err != nil {
		return err
	}
	old, err := tx.preferences(user, tx.ForUpdate())
	if err != nil {
		return err
	}
	next := old
	next.More = maps.Clone(old.More)
	if err := change(&next); err != nil {
		return err
	}
	if err := next.check(); err != nil {
		return err
	}
	before, after := old.difference(next)
	if len(after) == 0 {
		return nil
	}
	more, err := json.Marshal(next.More)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE preferences SET language = ?, time_zone = ?, theme = ?, more = {{as_json}}, updated_at = ? WHERE org_id = ? AND user_id = ?",
		next.Language, next.TimeZone, next.Theme, string(more), tx.Now(), tx.Org(), user); err != nil {
		return err
	}
	return tx.Record(Activity{Action: "user.preferences", TargetKind: "user", TargetID: string(user), TargetName: name,
		Detail: map[string]any{"before": before, "after": after}})
}

// difference is what the activity log says of a change.
func (p Preferences) difference(next Preferences) (before, after map[string]any) {
	before, after = map[string]any{}, map[string]any{}
	note := func(name string, was, is any) { before[name], after[name] = was, is }
	if p.Language != next.Language {
		note("language", p.Language, next.Language)
	}
	if p.TimeZone != next.TimeZone {
		note("time_zone", p.TimeZone, next.TimeZone)
	}
	if p.Theme != next.Theme {
		note("theme", p.Theme, next.Theme)
	}
	for name, is := range next.More {
		if was := p.More[name]; !bytes.Equal(was, is) && !(was != nil && sameJSON(JSON(was), JSON(is))) {
			note(name, was, is)
		}
	}
	for name, was := range p.More {
		if _, kept := next.More[name]; !kept {
			note(name, was, nil)
		}
	}
	return before, after
}

// LocaleOf is in what a person reads mails: as the person chose, else as the
// organization did.
func (tx *Tx) LocaleOf(user UserID) (Locale, error) {
	var row struct {
		Locale
		Org JSON `db:"value"`
	}
	err := tx.Get(&row, `SELECT COALESCE(p.language, '') AS language, COALESCE(p.time_zone, '') AS time_zone, o.value FROM orgs x
		LEFT JOIN preferences p ON p.org_id = ? AND p.user_id = ? LEFT JOIN org_settings o ON o.org_id = ? AND o.name = ?
		WHERE x.id = ?`, tx.Org(), user, tx.Org(), LocaleSetting, tx.Org())
	if err != nil {
		return Locale{}, err
	}
	return row.Locale.Or(row.Org)
}

// OrgLocale is what the organization chose for those who chose nothing.
func (tx *Tx) OrgLocale() (l Locale, err error) {
	_, err = tx.OrgSetting(LocaleSetting, &l)
	return l, err
}

// Or fills what is empty with an organization's setting, as stored; it may be nil.
func (l Locale) Or(setting JSON) (Locale, error) {
	if len(setting) == 0 || l.Language != "" && l.TimeZone != "" {
		return l, nil
	}
	var org Locale
	if err := json.Unmarshal(setting, &org); err != nil {
		return l, fmt.Errorf("language of the organization: %w", err)
	}
	if l.Language == "" {
		l.Language = org.Language
	}
	if l.TimeZone == "" {
		l.TimeZone = org.TimeZone
	}
	return l, nil
}
