package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// orgSetting is a row of org_settings.
type orgSetting struct {
	Value   JSON  `db:"value"`
	Version int64 `db:"version"`
}

const orgSettingRow = "SELECT value, version FROM org_settings WHERE org_id = ? AND name = ?"

// OrgSetting reads what the organization chose for a group of settings over the
// defaults that into, a pointer to a struct, holds. The version is for
// SetOrgSetting; 0: nothing was chosen yet.
func (tx *Tx) OrgSetting(name string, into any) (version int64, err error) {
	return tx.orgSetting(name, into, "")
}

func (tx *Tx) orgSetting(name string, into any, lock string) (int64, error) {
	var s orgSetting
	err := tx.Get(&s, orgSettingRow+lock, tx.Org(), name)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(s.Value, into); err != nil {
		return 0, fmt.Errorf("settings %s of organization %s: %w", name, tx.Org(), err)
	}
	return s.Version, nil
}

// SetOrgSetting stores a group of settings, which its owner has checked, and
// records what differs. version is what OrgSetting gave when the settings were
// read; anything below 0 overwrites whatever is there. Needs Write.
// Faults: Denied, Conflict.
func (tx *Tx) SetOrgSetting(name string, value any, version int64) error {
	if err := tx.Require(access.Configure); err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	// The row is made first: only a row can be locked.
	made, err := tx.Exec("INSERT INTO org_settings (org_id, name, value, version, updated_at) VALUES (?, ?, {{as_json}}, 0, ?) ON CONFLICT (org_id, name) DO NOTHING",
		tx.Org(), name, "{}", tx.Now())
	if err != nil {
		return err
	}
	before := map[string]any{}
	is, err := tx.orgSetting(name, &before, tx.ForUpdate())
	if err != nil {
		return err
	}
	if version >= 0 && version != is {
		return ErrSettingsChanged
	}
	after := map[string]any{}
	if err := json.Unmarshal(text, &after); err != nil {
		return fmt.Errorf("settings %s: not an object: %w", name, err)
	}
	if made == 0 && sameJSON(mustJSON(before), text) {
		return nil
	}
	if _, err := tx.Exec("UPDATE org_settings SET value = {{as_json}}, version = version + 1, updated_at = ? WHERE org_id = ? AND name = ?",
		string(text), tx.Now(), tx.Org(), name); err != nil {
		return err
	}
	return tx.Record(Activity{Action: "org.settings", TargetKind: "org", TargetID: string(tx.Org()), TargetName: name,
		Detail: map[string]any{"before": before, "after": after}})
}

// ErrSettingsChanged is the refusal of whoever saw settings that somebody else changed since.
var ErrSettingsChanged = fault.Conflict.On("version", "Somebody else changed these settings meanwhile. Look at them as they are now and change them again.")

// TagOf names values: others have another tag.
func TagOf(values ...any) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // they are ours
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Unchanged refuses a change that was made for settings with the tag was, when they have
// another one now; "" is of whoever did not look. Faults: Conflict on "version".
func Unchanged(was, is string) error {
	if was != "" && was != is {
		return ErrSettingsChanged
	}
	return nil
}

// mustJSON writes what was read from JSON.
func mustJSON(v map[string]any) JSON {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
