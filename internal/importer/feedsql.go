package importer

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

type feedRow struct {
	ID       FeedID     `db:"id"`
	Kind     string     `db:"kind"`
	Name     string     `db:"name"`
	Settings store.JSON `db:"settings"`
	Secret   []byte     `db:"secret"`
	HostKey  string     `db:"host_key"`
	SeenKey  string     `db:"seen_key"`
	Active   bool       `db:"active"`
	Looked   store.JSON `db:"looked"`
	NextAt   store.Time `db:"next_at"`
	LastAt   store.Time `db:"last_at"`
	Last     string     `db:"last_words"`
	Bad      bool       `db:"last_bad"`
	Paused   bool       `db:"paused"`
	Lease    store.Time `db:"lease_until"`
}

const feedColumns = "SELECT id, kind, name, settings, secret, host_key, seen_key, active, looked, next_at, last_at, last_words, last_bad, paused, lease_until FROM import_feeds"

func (row feedRow) feed() (Feed, error) {
	f := Feed{ID: row.ID, Kind: row.Kind, Name: row.Name, HostKey: row.HostKey, SeenKey: row.SeenKey, Active: row.Active, LastAt: row.LastAt, Last: saidIn(row.Last),
		Bad: row.Bad, NextAt: row.NextAt, Paused: row.Paused, lease: row.Lease, sealed: row.Secret}
	if err := json.Unmarshal(row.Settings, &f.Settings); err != nil {
		return f, fmt.Errorf("feed %s: %w", row.ID, err)
	}
	if err := json.Unmarshal(row.Looked, &f.looked); err != nil {
		return f, fmt.Errorf("feed %s: %w", row.ID, err)
	}
	return f, nil
}

func findFeed(tx *store.Tx, id FeedID) (Feed, error) {
	var row feedRow
	err := tx.Get(&row, feedColumns+" WHERE org_id = ? AND id = ?", tx.Org(), id)
	if fault.Is(err, fault.NotFound) {
		return Feed{}, fault.NotFound.Wrap(err, "There is no such feed here.")
	}
	if err != nil {
		return Feed{}, err
	}
	return row.feed()
}

func listFeeds(tx *store.Tx) ([]Feed, error) {
	var rows []feedRow
	if err := tx.Select(&rows, feedColumns+" WHERE org_id = ? ORDER BY id LIMIT 100", tx.Org()); err != nil {
		return nil, err
	}
	list := make([]Feed, len(rows))
	for i, row := range rows {
		var err error
		if list[i], err = row.feed(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func insertFeed(tx *store.Tx, f Feed) error {
	raw, err := json.Marshal(f.Settings)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO import_feeds (org_id, id, kind, name, settings, secret, host_key, seen_key, active, next_at, last_bad, created_at)
		VALUES (?, ?, ?, ?, {{as_json}}, ?, ?, ?, ?, ?, ?, ?)`, tx.Org(), f.ID, f.Kind, f.Name, string(raw), f.sealed, f.HostKey, f.SeenKey, f.Active, tx.Now(), false, tx.Now())
	return err
}

// replaceFeed writes what can be set of a feed; it is looked at soon.
func replaceFeed(tx *store.Tx, f Feed) error {
	raw, err := json.Marshal(f.Settings)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE import_feeds SET name = ?, settings = {{as_json}}, secret = ?, host_key = ?, seen_key = ?, active = ?, next_at = ? WHERE org_id = ? AND id = ?",
		f.Name, string(raw), f.sealed, f.HostKey, f.SeenKey, f.Active, tx.Now(), tx.Org(), f.ID)
	return err
}

// sawKey keeps the key that a host shows, unless the feed goes to another host by now.
func sawKey(tx *store.Tx, id FeedID, host, key string) error {
	f, err := findFeed(tx, id)
	if err != nil || f.Settings.Host != host {
		return err
	}
	_, err = tx.Exec("UPDATE import_feeds SET seen_key = ? WHERE org_id = ? AND id = ?", key, tx.Org(), id)
	return err
}

func pauseFeed(tx *store.Tx, id FeedID, paused bool) error {
	_, err := tx.Exec("UPDATE import_feeds SET paused = ? WHERE org_id = ? AND id = ?", paused, tx.Org(), id)
	return err
}

func hurryFeed(tx *store.Tx, id FeedID) error {
	_, err := tx.Exec("UPDATE import_feeds SET next_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), id)
	return err
}

// pinKey takes the key that the host has shown for good, if it is the one that was looked at.
func pinKey(tx *store.Tx, id FeedID, key string) (bool, error) {
	n, err := tx.Exec("UPDATE import_feeds SET host_key = seen_key, active = ?, next_at = ? WHERE org_id = ? AND id = ? AND seen_key = ? AND seen_key <> ''", true, tx.Now(), tx.Org(), id, key)
	return n == 1, err
}

func deleteFeed(tx *store.Tx, id FeedID) (bool, error) {
	if _, err := tx.Exec("DELETE FROM import_seen WHERE org_id = ? AND feed_id = ?", tx.Org(), id); err != nil {
		return false, err
	}
	n, err := tx.Exec("DELETE FROM import_feeds WHERE org_id = ? AND id = ?", tx.Org(), id)
	return n == 1, err
}

// claimFeed lets one server look at a feed at a time.
func claimFeed(tx *store.Tx, f Feed, until store.Time) (bool, error) {
	next := tx.Now() + store.Time(f.Settings.Every)*60_000_000
	n, err := tx.Exec("UPDATE import_feeds SET lease_until = ?, next_at = ? WHERE org_id = ? AND id = ? AND lease_until < ?", until, next, tx.Org(), f.ID, tx.Now())
	return n == 1, err
}

func endLook(tx *store.Tx, id FeedID, words web.Said, wrong bool, looked map[string]stamp) error {
	if looked == nil {
		looked = map[string]stamp{}
	}
	raw, err := json.Marshal(looked)
	if err != nil {
		return err
	}
	_, err = tx.Exec("UPDATE import_feeds SET lease_until = 0, last_at = ?, last_words = ?, last_bad = ?, looked = {{as_json}} WHERE org_id = ? AND id = ?",
		tx.Now(), kept(words), wrong, string(raw), tx.Org(), id)
	return err
}

// leaveFeed lets any server begin with a feed anew.
func leaveFeed(tx *store.Tx, id FeedID) error {
	_, err := tx.Exec("UPDATE import_feeds SET lease_until = 0, next_at = ? WHERE org_id = ? AND id = ?", tx.Now(), tx.Org(), id)
	return err
}

// insertSeen tells false when the same content was taken in before.
func insertSeen(tx *store.Tx, feed FeedID, hash, name string, run ID) (bool, error) {
	n, err := tx.Exec("INSERT INTO import_seen (org_id, feed_id, hash, name, run_id, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, feed_id, hash) DO NOTHING",
		tx.Org(), feed, hash, name, run, tx.Now())
	return n == 1, err
}

func markTold(tx *store.Tx, id ID) error {
	_, err := takeTold(tx, id)
	return err
}

// takeTold tells whether it was this call that marked the report as sent.
func takeTold(tx *store.Tx, id ID) (bool, error) {
	n, err := tx.Exec("UPDATE import_runs SET told = ? WHERE org_id = ? AND id = ? AND told = 0", tx.Now(), tx.Org(), id)
	return n == 1, err
}

// ofOrg is something in an organization.
type ofOrg[noun any] struct {
	Org store.OrgID    `db:"org_id"`
	ID  store.ID[noun] `db:"id"`
}

// dueFeeds leaves out organizations of which somebody looks at a feed just now.
func (d *Door) dueFeeds(ctx context.Context) (list []ofOrg[Feed], err error) {
	now := store.TimeOf(d.opt.DB.Now())
	return list, d.opt.DB.LookupAll(ctx, &list, `SELECT org_id, id FROM import_feeds AS f WHERE active = ? AND paused = ? AND next_at <= ?
		AND NOT EXISTS (SELECT 1 FROM import_feeds WHERE org_id = f.org_id AND lease_until >= ?) ORDER BY next_at LIMIT 50`, true, false, now, now)
}

// runOfOrg is an import in an organization.
type runOfOrg struct {
	Org store.OrgID `db:"org_id"`
	Run ID          `db:"id"`
}

// untold are imports of feeds whose report is to be sent when they have ended.
func (d *Door) untold(ctx context.Context) (list []runOfOrg, err error) {
	return list, d.opt.DB.LookupAll(ctx, &list, "SELECT org_id, id FROM import_runs WHERE feed_id IS NOT NULL AND told = 0 AND state = 'started' ORDER BY id LIMIT 100")
}
