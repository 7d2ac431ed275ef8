package scim

import (
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/store"
)

// rawWrites is the loop beside our writes, and what their goals are a part of: tables
// for no more than provisioning, and one prepared statement for each command that
// writes the person (or the membership), a row of audit and a row of an outbox, and
// commits by itself. Both rows tell what ours tells in its one row of activity: who,
// what, whom, before and after.
//
// It checks nothing: no token, no limit, no read before, no comparison, no lock on the group
// or the person of a membership. It answers nothing, keeps no log of requests, no counts, no
// version of a group, and four indexes of people where ours has eight and the row of
// the list beside them.
type rawWrites struct {
	*bench
	actor string
}

const rawTables = `
CREATE SCHEMA raw;
CREATE TABLE raw.users (org_id bigint, id uuid, user_name text NOT NULL, user_name_lc text COLLATE "C" NOT NULL,
	external_id text COLLATE "C", email_lc text COLLATE "C", active boolean NOT NULL, version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
	doc jsonb NOT NULL, PRIMARY KEY (org_id, id)) WITH (fillfactor = 90);
CREATE UNIQUE INDEX ON raw.users (org_id, user_name_lc);
CREATE INDEX ON raw.users (org_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX ON raw.users (org_id, email_lc);
CREATE TABLE raw.members (org_id bigint, group_id uuid, user_id uuid, PRIMARY KEY (org_id, group_id, user_id));
CREATE INDEX ON raw.members (org_id, user_id);
CREATE TABLE raw.audit_events (org_id bigint, id uuid, at timestamptz NOT NULL, actor text, action text, target text, detail jsonb, PRIMARY KEY (org_id, id));
CREATE TABLE raw.outbox (org_id bigint, id uuid, at timestamptz NOT NULL, topic text, payload jsonb, PRIMARY KEY (org_id, id));`

// rawTold is the end of each statement: the rows of audit and outbox, if the head changed something.
const rawTold = ` RETURNING 1),
	audit AS (INSERT INTO raw.audit_events (org_id, id, at, actor, action, target, detail) SELECT $1, $2, now(), $3, $4, $5, CAST($6 AS jsonb) FROM head)
	INSERT INTO raw.outbox (org_id, id, at, topic, payload) SELECT $1, $7, now(), $4, CAST($8 AS jsonb) FROM head`

const rawOrg = 1

// openRaw makes the loop's tables and puts the same people into them.
func (x *bench) openRaw() *rawWrites {
	x.t.Helper()
	w := &rawWrites{x, "directory " + string(x.directory.ID) + " " + x.directory.Name}
	var there bool
	x.check(x.raw.QueryRow("SELECT to_regclass('raw.users') IS NOT NULL").Scan(&there))
	if there {
		return w
	}
	x.exec(rawTables)
	x.exec(`INSERT INTO raw.users (org_id, id, user_name, user_name_lc, external_id, email_lc, active, doc)
		SELECT $1, id, user_name, user_name_key, external_id, email_key, true, doc FROM users ORDER BY id`, rawOrg)
	x.exec("INSERT INTO raw.members (org_id, group_id, user_id) SELECT $1, group_id, user_id FROM members", rawOrg)
	x.exec("ANALYZE raw.users, raw.members")
	return w
}

func (w *rawWrites) prepare(head string) *sql.Stmt {
	return w.bench.prepare("WITH head AS (" + head + rawTold)
}

// rawEvent is what the rows of audit and outbox tell.
type rawEvent struct{ audit, outbox, actor, action, target, detail, payload string }

// newRawEvent adds to the detail, which is an object, what ours tells of each request.
func newRawEvent(actor, action, kind, id, name, detail string) rawEvent {
	detail = detail[:len(detail)-1] + `,"ip":"192.0.2.1","request":"` + id[:20] + `"}`
	return rawEvent{audit: string(store.NewID[store.Activity]()), outbox: string(store.NewID[store.Activity]()), actor: actor, action: action, target: kind + " " + id + " " + name,
		detail: detail, payload: `{"actor":"` + actor + `","kind":"` + kind + `","id":"` + id + `","name":"` + name + `","detail":` + detail + `}`}
}

func rawCreated(doc string) string { return `{"source":"scim","status":"active","after":` + doc + `}` }

// do runs a command; args are those of its head, from $9.
func (w *rawWrites) do(st *sql.Stmt, action, kind, id, name, detail string, args ...any) {
	e := newRawEvent(w.actor, action, kind, id, name, detail)
	_, err := st.Exec(append([]any{rawOrg, e.audit, e.actor, e.action, e.target, e.detail, e.outbox, e.payload}, args...)...)
	w.check(err)
}

var created atomic.Int64

func (x *bench) create(b *testing.B) {
	w := x.openRaw()
	st := w.prepare("INSERT INTO raw.users (org_id, id, user_name, user_name_lc, external_id, email_lc, active, doc) VALUES ($1, $9, $10, $11, $10, $11, true, CAST($12 AS jsonb))")
	x.versus(b, func(int) { x.send(201, "POST", "/Users", newcomer(fmt.Sprintf("new%d@example.com", created.Add(1)))) },
		func(int) {
			name, id := fmt.Sprintf("raw%d@example.com", created.Add(1)), string(store.NewID[store.User]())
			doc := newcomer(name)
			w.do(st, "user.create", "user", id, "New User", rawCreated(doc), id, name, strings.ToLower(name), doc)
		})
}

// newcomer is a user as directories push them.
func newcomer(name string) string {
	return userBody(name, `"externalId":"`+name+`"`, `"name":{"givenName":"New","familyName":"User"}`, `"displayName":"New User"`, `"title":"Engineer"`,
		`"emails":[{"value":"`+name+`","type":"work","primary":true}]`, `"`+ext+`":{"department":"R&D","costCenter":"4711","employeeNumber":"7","organization":"Universal Studios","division":"Theme Park"}`, benchMore)
}

// patchUser gives people new titles; the loop replaces their documents and the columns
// that follow them.
func (x *bench) patchUser(b *testing.B) {
	w := x.openRaw()
	doc := func(i, title int) string {
		name := fmt.Sprintf("user%d@example.com", i)
		return fmt.Sprintf(`{"userName":%q,"externalId":"e%d","displayName":"User %d","title":"Engineer %d","locale":"en-US","name":{"givenName":"User","familyName":"No %d"},
			"emails":[{"value":%q,"type":"work","primary":true}],%q:{"department":"R&D","costCenter":"4711","employeeNumber":"%d","organization":"Universal Studios","division":"Theme Park"},%s}`,
			name, i, i, title, i, name, enterpriseURN, i, benchMore)
	}
	st := w.prepare(`UPDATE raw.users SET user_name = $10, user_name_lc = $11, external_id = $12, email_lc = $11, doc = CAST($13 AS jsonb), version = version + 1, updated_at = now()
		WHERE org_id = $1 AND id = $9`)
	x.versus(b, func(i int) {
		x.send(200, "PATCH", "/Users/"+userID(i*7919%benchAll), patchBody(fmt.Sprintf(`{"op":"replace","path":"title","value":"Engineer %d"}`, changed.Add(1))))
	}, func(i int) {
		n, title := i*7919%benchAll, int(changed.Add(1))
		id, name := userID(n), fmt.Sprintf("user%d@example.com", n)
		w.do(st, "user.update", "user", id, fmt.Sprintf("User %d", n), fmt.Sprintf(`{"before":{"title":"Engineer"},"after":{"title":"Engineer %d"}}`, title),
			id, name, strings.ToLower(name), fmt.Sprintf("e%d", n), doc(n, title))
	})
}

var changed atomic.Int64

// patchActive deactivates people and reactivates them; the loop writes the columns.
func (x *bench) patchActive(b *testing.B) {
	w := x.openRaw()
	st := w.prepare("UPDATE raw.users SET active = $10, version = version + 1, updated_at = now() WHERE org_id = $1 AND id = $9")
	var next [2]atomic.Int64 // over all runs: who is deactivated already is another thing to measure
	turn := func(which int) (person int, active bool) {
		i := int(next[which].Add(1) - 1)
		return i * 7919 % benchAll, i/benchAll%2 == 1
	}
	x.versus(b, func(int) {
		n, active := turn(0)
		x.send(200, "PATCH", "/Users/"+userID(n), patchBody(fmt.Sprintf(`{"op":"replace","path":"active","value":%v}`, active)))
	}, func(int) {
		n, active := turn(1)
		action, detail := "user.deactivate", `{"before":{"status":"active"},"after":{"status":"deactivated"}}`
		if active {
			action, detail = "user.reactivate", `{"before":{"status":"deactivated"},"after":{"status":"active"}}`
		}
		w.do(st, action, "user", userID(n), fmt.Sprintf("User %d", n), detail, userID(n), active)
	})
}

// patchMember puts 64 people into the group and out again, or out and in again when
// all are members, so that it keeps its size and nobody overtakes: a change to what
// already is would be another thing to measure.
func (x *bench) patchMember(b *testing.B, group, name string) {
	w := x.openRaw()
	add := w.prepare("INSERT INTO raw.members (org_id, group_id, user_id) VALUES ($1, $9, $10) ON CONFLICT DO NOTHING")
	remove := w.prepare("DELETE FROM raw.members WHERE org_id = $1 AND group_id = $9 AND user_id = $10")
	pick := func(i int) string { return userID((benchAll/2 + (i/128*64+i%64)*31) % benchAll) }
	adds := func(i int) bool { return i%128 < 64 == (group == x.small) }
	x.versus(b, func(i int) {
		ops := `{"op":"remove","path":"members[value eq \"` + pick(i) + `\"]"}`
		if adds(i) {
			ops = `{"op":"add","path":"members","value":[{"value":"` + pick(i) + `"}]}`
		}
		x.send(204, "PATCH", "/Groups/"+group, patchBody(ops))
	}, func(i int) {
		st, action := remove, "group.member.remove"
		if adds(i) {
			st, action = add, "group.member.add"
		}
		w.do(st, action, "group", group, name, `{"users":["`+pick(i)+`"],"count":1}`, group, pick(i))
	})
}
