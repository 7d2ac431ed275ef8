package sso

import (
	"context"
	"encoding/json"

	"github.com/muster-id/muster/store"
)

// ConnectionFact is what an operator sees of a connection in a list of organizations.
type ConnectionFact struct {
	Org      store.OrgID  `db:"org_id"`
	ID       ConnectionID `db:"id"`
	Name     string       `db:"name"`
	Protocol string       `db:"protocol"`
	Status   string       `db:"status"`
	Ends     store.Time   `db:"ends_at"`    // of the identity provider's last certificate; 0: there is none
	Problem  string       `db:"problem"`    // with reading its metadata
	Pending  store.Time   `db:"pending_at"` // since when a change of its metadata waits for an admin; 0: none does
}

// Active tells whether people sign in over it.
func (c ConnectionFact) Active() bool { return c.Status == statusActive }

// DomainFact is a mail domain whose DNS record is missing.
type DomainFact struct {
	Org    store.OrgID `db:"org_id"`
	Domain string      `db:"domain"`
	Off    store.Time  `db:"off_at"`
}

// OrgFacts are those of some organizations, in three queries however many there are.
// waiting is how many people wait for an answer to their request for access.
func OrgFacts(ctx context.Context, db *store.DB, orgs []store.OrgID) (connections []ConnectionFact, lost []DomainFact, waiting map[store.OrgID]int, err error) {
	list, err := json.Marshal(orgs)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := db.LookupAll(ctx, &connections, `SELECT c.org_id, c.id, c.name, c.protocol, c.status,
		COALESCE((SELECT MAX(x.not_after) FROM sso_certificates x WHERE x.org_id = c.org_id AND x.connection_id = c.id), 0) AS ends_at,
		COALESCE(m.problem, '') AS problem, CASE WHEN m.pending IS NULL THEN 0 ELSE m.pending_at END AS pending_at
		FROM connections c LEFT JOIN sso_metadata m ON m.org_id = c.org_id AND m.connection_id = c.id
		WHERE c.org_id {{in_ids}} ORDER BY c.org_id, c.name, c.id`, string(list)); err != nil {
		return nil, nil, nil, err
	}
	if err := db.LookupAll(ctx, &lost, "SELECT org_id, domain, off_at FROM domains WHERE org_id {{in_ids}} AND recheck_at > 0 AND lost_at > 0 ORDER BY org_id, domain", string(list)); err != nil {
		return nil, nil, nil, err
	}
	var open []struct {
		Org store.OrgID `db:"org_id"`
		N   int         `db:"n"`
	}
	err = db.LookupAll(ctx, &open, "SELECT org_id, count(*) AS n FROM access_requests WHERE org_id {{in_ids}} AND state = 'open' GROUP BY org_id", string(list))
	waiting = make(map[store.OrgID]int, len(open))
	for _, o := range open {
		waiting[o.Org] = o.N
	}
	return connections, lost, waiting, err
}
