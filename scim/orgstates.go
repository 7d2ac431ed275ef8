package scim

import (
	"context"
	"encoding/json"

	"github.com/muster-id/muster/store"
)

// OrgState is how a directory of some organization does.
type OrgState struct {
	Org    store.OrgID `db:"org_id"`
	Name   string      `db:"name"`
	Vendor string      `db:"vendor"`
	State
}

// statesOfOrgs is connectionStates for the directories of many organizations.
const statesOfOrgs = `WITH last AS (SELECT d.org_id, d.id, d.name, d.vendor,
	(SELECT l.at FROM scim_log l WHERE l.org_id = d.org_id AND l.directory_id = d.id ORDER BY l.at DESC, l.id DESC LIMIT 1) AS last_at,
	COALESCE((SELECT l.at FROM scim_log l WHERE l.org_id = d.org_id AND l.directory_id = d.id AND l.status < 400 ORDER BY l.at DESC, l.id DESC LIMIT 1), 0) AS good_at
	FROM directories d WHERE d.org_id {{in_ids}}),
	bad AS (SELECT last.id, MIN(l.at) AS since, COUNT(*) AS refused, MAX(CASE WHEN l.status IN (401, 403) OR l.status >= 500 OR l.refusal = 'url' THEN 1 ELSE 0 END) AS hard
	FROM last JOIN scim_log l ON l.org_id = last.org_id AND l.directory_id = last.id AND l.at > last.good_at AND l.status >= 400 AND (l.status <> 404 OR l.refusal = 'url')
	GROUP BY last.id)
	SELECT last.org_id, last.id, last.name, last.vendor, COALESCE(last.last_at, 0) AS last_at, last.good_at,
	CASE WHEN bad.hard = 1 OR bad.refused >= 3 THEN bad.since ELSE 0 END AS failing_at
	FROM last LEFT JOIN bad ON bad.id = last.id ORDER BY last.org_id, last.name, last.id`

// OrgStates tells how the directories of these organizations do, in one query.
func (l *Log) OrgStates(ctx context.Context, orgs []store.OrgID) (states []OrgState, err error) {
	list, err := json.Marshal(orgs)
	if err != nil {
		return nil, err
	}
	return states, l.db.LookupAll(ctx, &states, statesOfOrgs, string(list))
}
