package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// How the rows of an attribute come and go while others write. A replica knows of a
// step at the latest definitionsFor after it was taken, and what began before may still
// be under way; so a step's work begins settleFor after it, and on PostgreSQL not before
// every transaction has ended that was running then.
//
//	building  every writer makes rows for what it writes. Then the loop walks over
//	          everybody once and makes the rows of what nobody has written since.
//	ready     filters read rows.
//	closing   filters read none any more; rows are still written, for filters of
//	          replicas that do not know yet.
//	purging   nobody writes rows any more; then the loop deletes them.
//	removing  the attribute is unknown to every door; then the loop takes its values
//	          out of the documents, with an activity each.
//
// The loop changes a person only together with the version, so a writer who had read
// the person before starts again: without that, a statement of PostgreSQL that waited
// for the loop would not see, and not delete, the rows that the loop has made.

const (
	settleFor = 30 * time.Second
	tendEvery = 5 * time.Second
	tendLease = 2 * time.Minute
	tendBatch = 200
)

// RunSchemas takes the steps of all organizations' definitions until ctx ends.
func (db *DB) RunSchemas(ctx context.Context) error {
	Every(ctx, db.log, tendEvery, nil, "schemas", db.TendSchemas)
	return nil
}

// TendSchemas takes the steps that are due.
func (db *DB) TendSchemas(ctx context.Context) error {
	var due []struct {
		Org OrgID `db:"org_id"`
		At  Time  `db:"due_at"`
	}
	now := TimeOf(db.now())
	err := db.LookupAll(ctx, &due, "SELECT org_id, due_at FROM org_schemas WHERE due_at > 0 AND due_at <= ? ORDER BY due_at LIMIT 20", now)
	if err != nil {
		return err
	}
	for _, o := range due {
		var mine int64
		err := db.Write(ctx, access.Muster(string(o.Org)), func(tx *Tx) (err error) {
			mine, err = tx.Exec("UPDATE org_schemas SET due_at = ? WHERE org_id = ? AND due_at = ?", now.Add(tendLease), tx.Org(), o.At)
			return err
		})
		if err != nil {
			return err
		}
		if mine == 0 {
			continue // another replica's
		}
		if err := (builder{ctx: ctx, db: db, actor: access.Muster(string(o.Org)), now: now}).tend(); err != nil {
			return fmt.Errorf("organization %s: %w", o.Org, err)
		}
	}
	return nil
}

// builder takes the steps of one organization.
type builder struct {
	ctx   context.Context
	db    *DB
	actor access.Actor
	now   Time
}

// task is one step's work; done is the state that it is about.
type task struct {
	leaf
	top bool // an attribute, not a sub-attribute
}

func (b builder) tend() error {
	var d *Definitions
	if err := b.db.Read(b.ctx, b.actor, func(tx *Tx) (err error) {
		d, err = tx.freshDefinitions()
		return err
	}); err != nil {
		return err
	}
	tasks := b.tasks(d)
	if len(tasks) > 0 {
		if err := b.db.settle(b.ctx); err != nil {
			return err
		}
	}
	for _, resource := range []string{UserResource, GroupResource} {
		building := &Definitions{}
		for _, t := range tasks {
			if t.resource == resource && t.State == Building {
				building.leaves = append(building.leaves, t.leaf)
			}
		}
		if len(building.leaves) > 0 {
			if err := b.build(resource, building); err != nil {
				return err
			}
		}
	}
	for _, t := range tasks {
		var err error
		switch t.State {
		case Purging:
			err = b.purge(t.key, "")
		case Removing:
			if err = b.scrub(t); err == nil {
				err = b.purge(t.key, t.key+".")
			}
		}
		if err != nil {
			return err
		}
	}
	return b.finish(tasks)
}

// tasks are the steps that are due.
func (b builder) tasks(d *Definitions) (list []task) {
	for _, s := range d.Schemas {
		for _, a := range s.Attributes {
			top := leaf{a, s.Resource, []string{s.URN, a.Name}, s.URN + ":" + a.Name}
			list = append(list, task{top, true})
			if a.State == Removing {
				continue
			}
			for _, sub := range a.Subs {
				list = append(list, task{leaf{sub, s.Resource, append(slices.Clip(top.path), sub.Name), top.key + "." + sub.Name}, false})
			}
		}
	}
	return slices.DeleteFunc(list, func(t task) bool {
		return t.State == "" || t.State == Ready || t.Since.Add(settleFor) > b.now
	})
}

// finish writes what the tasks have led to, unless an admin has changed it meanwhile.
func (b builder) finish(tasks []task) error {
	next := map[string]State{}
	for _, t := range tasks {
		next[t.key+" "+string(t.State)+fmt.Sprint(t.Since)] = map[State]State{Building: Ready, Closing: Purging, Purging: "", Removing: Removing}[t.State]
	}
	return b.db.Write(b.ctx, b.actor, func(tx *Tx) error {
		d, err := tx.freshDefinitions()
		if err != nil {
			return err
		}
		step := func(a *Attribute, key string) (gone bool) {
			to, ok := next[key+" "+string(a.State)+fmt.Sprint(a.Since)]
			if ok && to == Removing {
				return true
			}
			if ok {
				if a.State, a.Since = to, tx.Now(); to == Ready || to == "" {
					a.Since = 0
				}
			}
			return false
		}
		for i := range d.Schemas {
			s := &d.Schemas[i]
			var stay []Attribute
			for _, a := range s.Attributes {
				key := s.URN + ":" + a.Name
				if step(&a, key) {
					continue
				}
				a.Subs = slices.Clone(a.Subs)
				for j := range a.Subs {
					step(&a.Subs[j], key+"."+a.Subs[j].Name)
				}
				stay = append(stay, a)
			}
			s.Attributes = stay
		}
		d.Schemas = slices.DeleteFunc(d.Schemas, func(s Schema) bool { return s.Removing && len(s.Attributes) == 0 })
		return tx.saveDefinitions(d)
	})
}

// settle waits until every transaction has ended that is running now. SQLite has one
// writer, who is done by then.
func (db *DB) settle(ctx context.Context) error {
	if db.d != &postgres {
		return nil
	}
	var until string
	if err := db.sql.GetContext(ctx, &until, "SELECT CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text)"); err != nil {
		return classify(err)
	}
	for {
		var over bool
		if err := db.sql.GetContext(ctx, &over, "SELECT pg_snapshot_xmin(pg_current_snapshot()) >= CAST($1 AS xid8)", until); err != nil || over {
			return classify(err)
		}
		pause := time.NewTimer(100 * time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// holder is a user or group with a document.
type holder struct {
	ID      UserID // or a group's
	Status  Status
	Name    string
	Doc     JSON
	Version int64
}

// holders are the next users or groups behind after for which where holds, deleted
// people too.
func (tx *Tx) holders(resource string, after UserID, where Cond) (list []holder, err error) {
	s := &sentence{tx: tx}
	if resource == GroupResource {
		s.add("SELECT g.id, '' AS status, g.name AS name, g.doc, g.version FROM groups g WHERE g.org_id = ? AND g.id > ? AND ", tx.Org(), after)
	} else {
		s.add("SELECT users.id, users.status, users.display_name AS name, users.doc, users.version FROM users WHERE org_id = ? AND users.id > ? AND ", tx.Org(), after)
	}
	s.cond(where)
	s.add(" ORDER BY id LIMIT ?", tendBatch)
	err = tx.rows(s.sql.String(), s.args, func(rows *sqlx.Rows) error {
		var h holder
		err := rows.Scan(&h.ID, &h.Status, &h.Name, &h.Doc, &h.Version)
		list = append(list, h)
		return err
	})
	return list, err
}

// build walks over everybody and makes their rows right, for the leaves of d.
func (b builder) build(resource string, d *Definitions) error {
	after, tries := UserID(noID), 0
	for {
		var list []holder
		have := map[UserID]map[extraRow]bool{}
		err := b.db.Read(b.ctx, b.actor, func(tx *Tx) (err error) {
			if list, err = tx.holders(resource, after, Cond{}); err != nil || len(list) == 0 {
				return err
			}
			return tx.extrasOf(list, d, have)
		})
		if err != nil || len(list) == 0 {
			return err
		}
		missed, err := b.correct(resource, d, list, have)
		if err != nil {
			return err
		}
		if tries++; missed && tries < 1000 {
			continue // somebody was faster: look at these again
		}
		if missed {
			return fault.Unavailable.Say("The same people change all the time.")
		}
		after, tries = list[len(list)-1].ID, 0
	}
}

// extrasOf reads the rows that some holders have, for the leaves of d.
func (tx *Tx) extrasOf(list []holder, d *Definitions, have map[UserID]map[extraRow]bool) error {
	ids := make([]UserID, len(list))
	for i, h := range list {
		ids[i] = h.ID
	}
	var rows []struct {
		Owner UserID `db:"owner_id"`
		Attr  string `db:"attr"`
		Key   string `db:"value_key"`
		Uniq  int    `db:"uniq"`
	}
	if err := tx.Select(&rows, "SELECT owner_id, attr, value_key, uniq FROM extra_values WHERE org_id = ? AND owner_id {{in_ids}}", tx.Org(), jsonList(ids)); err != nil {
		return err
	}
	for _, r := range rows {
		if !slices.ContainsFunc(d.leaves, func(l leaf) bool { return l.key == r.Attr }) {
			continue
		}
		if have[r.Owner] == nil {
			have[r.Owner] = map[extraRow]bool{}
		}
		have[r.Owner][extraRow{r.Attr, r.Key, r.Uniq}] = true
	}
	return nil
}

// correct writes the rows that differ; missed tells that somebody has been changed
// since they were read. A value that ought to be unique and is not, because it was
// written by a door that did not know of the attribute, stays without a row.
func (b builder) correct(resource string, d *Definitions, list []holder, have map[UserID]map[extraRow]bool) (missed bool, err error) {
	type fix struct {
		holder
		gone, come map[extraRow]bool
	}
	var fixes []fix
	for _, h := range list {
		doc, err := decodeDoc(h.Doc)
		if err != nil {
			return false, err
		}
		want, err := d.rowsOf(resource, doc)
		if err != nil || h.Status == Deleted { // too long to be unique; no rows
			want = nil
		}
		if gone, come := minus(have[h.ID], want), minus(want, have[h.ID]); len(gone)+len(come) > 0 {
			fixes = append(fixes, fix{h, gone, come})
		}
	}
	if len(fixes) == 0 {
		return false, nil
	}
	err = b.db.Write(b.ctx, b.actor, func(tx *Tx) error {
		missed = false
		for _, f := range fixes {
			n, err := tx.Exec(touch(resource), tx.Org(), f.ID, f.Version)
			if err != nil {
				return err
			}
			if n == 0 {
				missed = true
				continue
			}
			for r := range f.gone {
				if _, err := tx.Exec("DELETE FROM extra_values WHERE org_id = ? AND attr = ? AND value_key = ? AND owner_id = ?", tx.Org(), r.Attr, r.Key, f.ID); err != nil {
					return err
				}
			}
			if len(f.come) == 0 {
				continue
			}
			if _, err := tx.Exec(insertExtrasAnyway, tx.Org(), f.ID, extraList(f.come)); err != nil {
				return err
			}
		}
		return nil
	})
	return missed, err
}

// touch makes whoever has read the row start again.
func touch(resource string) string {
	if resource == GroupResource {
		return "UPDATE groups SET version = version + 1 WHERE org_id = ? AND id = ? AND version = ?"
	}
	return "UPDATE users SET version = version + 1 WHERE org_id = ? AND id = ? AND version = ?"
}

const insertExtrasAnyway = `INSERT INTO extra_values (org_id, attr, value_key, owner_id, uniq)
	SELECT {{as_id}}, e.value ->> 'attr', e.value ->> 'key', {{as_id}}, CAST(e.value ->> 'uniq' AS {{int}}) FROM {{each}} WHERE 1 = 1
	ON CONFLICT DO NOTHING`

// purge deletes the rows of an attribute, and of what begins with under.
func (b builder) purge(attr, under string) error {
	for {
		var n int64
		err := b.db.Write(b.ctx, b.actor, func(tx *Tx) (err error) {
			query := `DELETE FROM extra_values WHERE org_id = ? AND (attr, value_key, owner_id) IN (SELECT v.attr, v.value_key, v.owner_id FROM extra_values v
				WHERE v.org_id = ? AND (v.attr = ? OR v.attr >= ? AND v.attr < ?) LIMIT ?)`
			end, _ := after(under)
			n, err = tx.Exec(query, tx.Org(), tx.Org(), attr, under, end, 10*tendBatch)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// scrub takes the values of an attribute out of all documents.
func (b builder) scrub(t task) error {
	for {
		n := 0
		err := b.db.Write(b.ctx, b.actor, func(tx *Tx) error {
			list, err := tx.holders(t.resource, noID, inExtension(t.resource, t.path...).exists())
			if err != nil {
				return err
			}
			for _, h := range list {
				if err := tx.scrubOne(t, h); err != nil {
					return err
				}
			}
			n = len(list)
			return nil
		})
		if err != nil || n == 0 {
			return err
		}
	}
}

// scrubOne takes the values out of one document, unless somebody was faster.
func (tx *Tx) scrubOne(t task, h holder) error {
	doc, err := decodeDoc(h.Doc)
	if err != nil {
		return err
	}
	in, _ := doc[t.path[0]].(map[string]any)
	was := in[t.Name]
	delete(in, t.Name)
	put(doc, t.path[0], in)
	raw, err := encode(doc)
	if err != nil {
		return err
	}
	query, kind := "UPDATE users SET doc = {{as_json}}, version = version + 1, updated_at = ? WHERE org_id = ? AND id = ? AND version = ?", "user"
	if t.resource == GroupResource {
		query, kind = "UPDATE groups SET doc = {{as_json}}, version = version + 1, updated_at = ? WHERE org_id = ? AND id = ? AND version = ?", "group"
	}
	n, err := tx.Exec(query, raw, tx.Now(), tx.Org(), h.ID, h.Version)
	if err != nil || n == 0 || h.Status == Deleted {
		return err
	}
	return tx.Record(Activity{Action: kind + ".update", TargetKind: kind, TargetID: string(h.ID), TargetName: h.Name,
		Detail: map[string]any{"why": "The attribute " + t.Name + " was deleted from the schema.", "before": map[string]any{t.path[0]: map[string]any{t.Name: t.masked(was)}}}})
}
