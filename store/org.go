package store

import (
	"context"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// Org is one customer: the border that nothing crosses.
type Org struct {
	ID        OrgID  `db:"id"`
	Slug      string `db:"slug"` // in URLs: lower-case letters, digits and hyphens
	Name      string `db:"name"`
	CreatedAt Time   `db:"created_at"`

	SuspendedAt  Time   `db:"suspended_at"` // 0: it is not
	SuspendedWhy string `db:"suspended_why"`
}

var slugForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`)

// CreateOrg makes an organization. It is the one operation of a Tx that is bound
// to none. Faults: Denied (not an operator), Invalid, Conflict on slug.
func (tx *Tx) CreateOrg(slug, name string) (Org, error) {
	if !tx.actor.May(access.Operate) {
		return Org{}, fault.Denied.Say("Only an operator of this server can make an organization.")
	}
	if !slugForm.MatchString(slug) {
		return Org{}, fault.Invalid.On("slug", "%q cannot stand in an address. Use 1 to 40 lower-case letters, digits and hyphens, such as acme.", slug)
	}
	name, err := orgName(name)
	if err != nil {
		return Org{}, err
	}
	o := Org{ID: NewID[Org](), Slug: slug, Name: name, CreatedAt: tx.Now()}
	n, err := tx.Exec("INSERT INTO orgs (id, slug, name, name_key, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (slug) DO NOTHING",
		o.ID, o.Slug, o.Name, Fold(o.Name), o.CreatedAt, o.CreatedAt)
	if err != nil {
		return Org{}, err
	}
	if n == 0 {
		return Org{}, fault.Conflict.On("slug", "There is an organization %q already. Choose another short name.", slug)
	}
	tx.actor.Org = string(o.ID) // the first row of its log is its own
	return o, tx.Record(Activity{Action: "org.create", TargetKind: "org", TargetID: string(o.ID), TargetName: name})
}

const orgColumns = "SELECT id, slug, name, created_at, suspended_at, suspended_why FROM orgs"

// OrgBySlug finds an organization by the short name in a URL. Faults: NotFound.
func (db *DB) OrgBySlug(ctx context.Context, slug string) (Org, error) {
	var o Org
	err := db.Lookup(ctx, &o, orgColumns+" WHERE slug = ?", slug)
	if fault.Is(err, fault.NotFound) {
		return o, fault.NotFound.On("org", "There is no organization %.64q.", slug)
	}
	return o, err
}

// OrgByID finds an organization. Faults: NotFound.
func (db *DB) OrgByID(ctx context.Context, id OrgID) (Org, error) {
	var o Org
	return o, db.Lookup(ctx, &o, orgColumns+" WHERE id = ?", id)
}

// Directory is one SCIM client of an organization. Its tokens are package scim's.
type Directory struct {
	ID         DirectoryID `db:"id"`
	OrgID      OrgID       `db:"org_id"`
	Name       string      `db:"name"`
	Vendor     string      `db:"vendor"`
	Mode       string      `db:"mode"` // "compat" or "strict"
	Quirks     JSON        `db:"quirks"`
	CreatedAt  Time        `db:"created_at"`
	LastSeenAt Time        `db:"last_seen_at"`

	SuspendedAt Time `db:"suspended_at"` // its organization is; DirectoryByID alone tells
}

const directoryColumns = "SELECT id, org_id, name, vendor, mode, quirks, created_at, last_seen_at FROM directories"

// CreateDirectory adds a directory; ID and CreatedAt are filled in. Faults: Denied, Invalid.
func (tx *Tx) CreateDirectory(d Directory) (Directory, error) {
	if err := tx.Require(access.Configure); err != nil {
		return d, err
	}
	d.Name = strings.TrimSpace(d.Name)
	if d.Name == "" {
		return d, fault.Invalid.On("name", "The directory needs a name, such as Okta.")
	}
	if err := fault.Line("name", d.Name, 200); err != nil {
		return d, err
	}
	d.ID, d.OrgID, d.CreatedAt = NewID[Directory](), tx.Org(), tx.Now()
	if len(d.Quirks) == 0 {
		d.Quirks = JSON("{}")
	}
	_, err := tx.Exec("INSERT INTO directories (org_id, id, name, vendor, mode, quirks, created_at) VALUES (?, ?, ?, ?, ?, {{as_json}}, ?)",
		d.OrgID, d.ID, d.Name, d.Vendor, d.Mode, string(d.Quirks), d.CreatedAt)
	if err != nil {
		return d, err
	}
	return d, tx.Record(Activity{Action: "directory.create", TargetKind: "directory", TargetID: string(d.ID), TargetName: d.Name,
		Detail: map[string]any{"after": map[string]any{"vendor": d.Vendor, "mode": d.Mode}}})
}

// Directory finds a directory of this organization. Faults: NotFound.
func (tx *Tx) Directory(id DirectoryID) (Directory, error) {
	var d Directory
	return d, tx.Get(&d, directoryColumns+" WHERE org_id = ? AND id = ?", tx.Org(), id)
}

// Tag changes with vendor, mode and switches, for forms that were open meanwhile.
func (d Directory) Tag() string {
	var own any // PostgreSQL writes JSON in its own way
	if err := json.Unmarshal(d.Quirks, &own); err != nil {
		own = string(d.Quirks)
	}
	return TagOf(d.Vendor, d.Mode, own)
}

// UpdateDirectory changes vendor, mode and switches of a directory, as change, which
// has checked them, leaves them. Nothing is recorded when they stay. Needs Write.
// Faults: Denied, NotFound.
func (tx *Tx) UpdateDirectory(id DirectoryID, change func(*Directory) error) (Directory, error) {
	if err := tx.Require(access.Configure); err != nil {
		return Directory{}, err
	}
	var old Directory
	if err := tx.Get(&old, directoryColumns+" WHERE org_id = ? AND id = ?"+tx.ForUpdate(), tx.Org(), id); err != nil {
		return old, err
	}
	d := old
	if err := change(&d); err != nil {
		return old, err
	}
	before, after := map[string]any{}, map[string]any{}
	note := func(name, was, is string) {
		if was != is {
			before[name], after[name] = was, is
		}
	}
	note("vendor", old.Vendor, d.Vendor)
	note("mode", old.Mode, d.Mode)
	if !sameJSON(old.Quirks, d.Quirks) {
		note("quirks", string(old.Quirks), string(d.Quirks))
	}
	if len(after) == 0 {
		return old, nil
	}
	if _, err := tx.Exec("UPDATE directories SET vendor = ?, mode = ?, quirks = {{as_json}} WHERE org_id = ? AND id = ?",
		d.Vendor, d.Mode, string(d.Quirks), tx.Org(), id); err != nil {
		return old, err
	}
	return d, tx.Record(Activity{Action: "directory.update", TargetKind: "directory", TargetID: string(id), TargetName: d.Name,
		Detail: map[string]any{"before": before, "after": after}})
}

// sameJSON compares without regard to blanks, which PostgreSQL puts in.
func sameJSON(a, b JSON) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// Directories lists the directories of this organization.
func (tx *Tx) Directories() ([]Directory, error) {
	list := []Directory{}
	return list, tx.Select(&list, directoryColumns+" WHERE org_id = ? ORDER BY name, id", tx.Org())
}

// DirectoryByID finds a directory by the id in a URL, before its organization is
// known. Faults: NotFound.
func (db *DB) DirectoryByID(ctx context.Context, id DirectoryID) (Directory, error) {
	var d Directory
	return d, db.Lookup(ctx, &d, `SELECT id, org_id, name, vendor, mode, quirks, created_at, last_seen_at,
		(SELECT o.suspended_at FROM orgs o WHERE o.id = directories.org_id) AS suspended_at FROM directories WHERE id = ?`, id)
}

// SeenDirectory notes that the directory sent a request. It is no activity.
func (tx *Tx) SeenDirectory(id DirectoryID) error {
	_, err := tx.Exec("UPDATE directories SET last_seen_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), id)
	return err
}

// ThisOrg is the organization that tx is bound to.
func (tx *Tx) ThisOrg() (Org, error) {
	var o Org
	err := tx.Get(&o, orgColumns+" WHERE id = ?", tx.Org())
	return o, err
}
