package importer

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// piece is how many lines are looked at together.
const piece = 500

// turnFor is how long reading a piece may take; after that somebody else may begin anew.
const turnFor = time.Minute

// reading is one pass over a file, and what it must remember from line to line.
type reading struct {
	d       *Door
	ctx     context.Context
	actor   access.Actor
	id      ID
	turn    string
	set     Settings
	fields  []*Field // of each column; nil for none
	roles   []store.OrgRole
	at      map[string]int32 // the row of each key
	line    []int32          // of each row
	said    []string         // the manager of each row
	boss    []int32          // the row of the manager; 0: none of this file
	wave    []int32
	bad     []bool // this row will not be there
	known   []bool // the row's manager is there already
	numbers map[string][]store.UserID
	found   map[store.UserID]bool // who is in the file
	lines   int
	seats   int64 // that are left; below 0 for no limit
	limit   int64
	shares  []store.License  // license types; empty where none has a limit
	left    map[string]int64 // seats of the types that have one
	role    string           // of new people whose line names none

	unattended bool // nobody looks: a feed brought the file
}

// Read looks at every line with these settings; what was read before is forgotten.
// Faults: NotFound, Denied, Conflict (it is being read, or was started), Invalid on the
// setting or, for the file as a whole, on "file".
func (d *Door) Read(ctx context.Context, actor access.Actor, id ID, set Settings) (Run, error) {
	select {
	case d.reading <- struct{}{}:
		defer func() { <-d.reading }()
	case <-ctx.Done():
		return Run{}, ctx.Err()
	}
	r := &reading{d: d, ctx: ctx, actor: actor, id: id, turn: string(store.NewID[reading]())}
	run, err := r.begin(set)
	if err != nil {
		return run, err
	}
	err = r.all()
	var out Run
	end := d.opt.DB.Write(context.WithoutCancel(ctx), actor, func(tx *store.Tx) error {
		if err != nil {
			return r.ended(tx, err)
		}
		if err := endReading(tx, id, r.turn); err != nil {
			return err
		}
		out, err = findRun(tx, id)
		return err
	})
	return out, errors.Join(err, end)
}

func (r *reading) begin(set Settings) (run Run, err error) {
	err = r.d.opt.DB.Write(r.ctx, r.actor, func(tx *store.Tx) error {
		if run, err = findRun(tx, r.id); err != nil {
			return err
		}
		r.unattended = run.unattended(tx.Actor())
		all, err := check(tx, run, &set)
		if err != nil {
			return err
		}
		if r.roles, err = tx.OrgRoles(); err != nil {
			return err
		}
		r.set, r.fields = set, make([]*Field, len(set.Columns))
		for i, name := range set.Columns {
			if j := slices.IndexFunc(all, func(f Field) bool { return f.Name == name }); j >= 0 {
				r.fields[i] = &all[j]
			}
		}
		return claimReading(tx, r.id, set, r.turn, tx.Now().Add(turnFor))
	})
	return run, err
}

func (r *reading) all() error {
	if err := r.index(); err != nil {
		return err
	}
	r.order()
	if err := r.askNumbers(); err != nil {
		return err
	}
	if err := r.look(); err != nil {
		return err
	}
	if err := r.spread(); err != nil {
		return err
	}
	if r.set.Missing == MissingKeep {
		return nil
	}
	return r.missing()
}

// each hands over every line, with its row's number.
func (r *reading) each(take func(n int, rec Record) error) error {
	f, err := NewReader(r.d.file(r.ctx, r.actor, r.id), r.set.Form)
	if err != nil {
		return err
	}
	if len(f.Header()) != len(r.fields) {
		return fault.Invalid.On("delimiter", "Read like this, the file has %s, and not %d as was shown. Look at the columns again.", fault.Count(len(f.Header()), "%d column", "%d columns"), len(r.fields))
	}
	for n := 1; ; n++ {
		rec, err := f.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = take(n, rec)
		}
		if err != nil {
			return err
		}
	}
}

func (r *reading) cell(rec Record, field string) string {
	for i, f := range r.fields {
		if f != nil && f.Name == field && rec.Problem == nil {
			return unguarded(rec.Cells[i])
		}
	}
	return ""
}

// keysOf are the ways in which other lines of the file can name this one.
func keysOf(email, name, number string) (list []string) {
	for _, v := range []string{email, name} {
		if v != "" {
			list = append(list, store.Fold(v))
		}
	}
	if number != "" {
		list = append(list, "#"+number)
	}
	return list
}

// index is the first pass: who is where in the file, and who manages whom.
func (r *reading) index() error {
	r.at, r.said, r.line = map[string]int32{}, []string{""}, []int32{0}
	err := r.each(func(n int, rec Record) error {
		for _, key := range keysOf(r.cell(rec, fieldEmail), r.cell(rec, fieldUserName), r.cell(rec, fieldNumber)) {
			if _, there := r.at[key]; !there {
				r.at[strings.Clone(key)] = int32(n)
			}
		}
		r.said, r.line = append(r.said, strings.Clone(r.cell(rec, fieldManager))), append(r.line, int32(rec.Line))
		return nil
	})
	if err != nil {
		return err
	}
	r.boss = make([]int32, len(r.said))
	for n, name := range r.said {
		if name == "" {
			continue
		}
		if at, ok := r.at[store.Fold(name)]; ok {
			r.boss[n] = at
		} else {
			r.boss[n] = r.at["#"+name]
		}
	}
	err = r.d.opt.DB.Read(r.ctx, r.actor, func(tx *store.Tx) error {
		limit, used, err := tx.SeatsOf()
		if r.limit, r.seats = limit, -1; limit >= 0 {
			r.seats = max(limit-used, 0)
		}
		if err != nil {
			return err
		}
		return r.share(tx)
	})
	r.bad, r.known, r.found = make([]bool, len(r.said)), make([]bool, len(r.said)), map[store.UserID]bool{}
	return err
}

// share reads how many seats of each license type are left, where any has a limit.
func (r *reading) share(tx *store.Tx) error {
	all, err := tx.Licenses()
	if err != nil || !(store.Seats{Limit: store.NoLimit, Licenses: all}).Limited() {
		return err
	}
	s, err := tx.Seats()
	if err != nil {
		return err
	}
	r.shares, r.left = s.Licenses, map[string]int64{}
	for _, l := range s.Licenses {
		if l.Limit >= 0 {
			r.left[l.ID] = max(l.Limit-l.Used, 0)
		}
	}
	one, err := tx.DefaultFor(store.FromCSV)
	r.role = one.Role
	return err
}

// license is the type of seat that a new person of this line takes.
func (r *reading) license(row *Row) store.License {
	l, _ := store.LicenseOf(r.shares, store.Active, []string{cmp.Or(row.Cells[fieldRole], r.role)})
	return l
}

// moves tells from which type of seat to which the row's role brings somebody who has one.
func (r *reading) moves(u *store.User, p plan, grants []store.Grant) (from, to store.License, moved bool) {
	if r.left == nil || p.role == "" {
		return from, to, false
	}
	var gone []string
	for _, g := range grants { // it takes the place of what was given by hand
		if g.Reason == store.Manual {
			gone = append(gone, g.Role)
		}
	}
	from, to = store.LicenseMove(r.shares, u.Status, grants, []string{p.role}, gone)
	return from, to, from.ID != to.ID
}

// full tells of a license type without a seat.
func (r *reading) full(l store.License) bool {
	left, limited := r.left[l.ID]
	return limited && left <= 0
}

// take counts n seats of a license type as taken.
func (r *reading) take(l store.License, n int64) {
	if _, limited := r.left[l.ID]; limited {
		r.left[l.ID] -= n
	}
}

const circle = -2

// order puts managers before their people. Rows whose managers lead in a circle are
// marked.
func (r *reading) order() {
	const onPath = -1
	r.wave = make([]int32, len(r.boss)) // 0: not known yet
	for i := 1; i < len(r.boss); i++ {
		var path []int32 // from i upwards, as far as nobody was before
		top := int32(i)
		for top > 0 && r.wave[top] == 0 {
			r.wave[top] = onPath
			path = append(path, top)
			top = r.boss[top]
		}
		above := int32(0)
		switch {
		case top > 0 && r.wave[top] == onPath:
			for j := top; r.wave[j] != circle; j = r.boss[j] {
				r.wave[j] = circle
			}
		case top > 0:
			above = max(r.wave[top], 0)
		}
		for _, j := range slices.Backward(path) {
			if r.wave[j] != circle {
				above++
				r.wave[j] = above
			}
		}
	}
}

// askNumbers finds people by employee number, once for the whole file.
func (r *reading) askNumbers() error {
	r.numbers = map[string][]store.UserID{}
	var list []string
	for key := range r.at {
		if number, ok := strings.CutPrefix(key, "#"); ok && r.set.Key == fieldNumber {
			list = append(list, number)
		}
	}
	for n, name := range r.said {
		if name != "" && r.boss[n] == 0 && !strings.Contains(name, "@") {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return r.d.opt.DB.Read(r.ctx, r.actor, func(tx *store.Tx) (err error) {
		r.numbers, err = tx.EmployeeNumbers(list)
		return err
	})
}

// look is the second pass: what each line would do.
func (r *reading) look() error {
	rows := make([]*Row, 0, piece)
	flush := func() error {
		if err := r.judge(rows); err != nil {
			return err
		}
		err := r.save(rows)
		rows = rows[:0]
		return err
	}
	err := r.each(func(n int, rec Record) error {
		r.lines = rec.Line
		rows = append(rows, r.row(n, rec))
		if len(rows) == piece {
			return flush()
		}
		return nil
	})
	if err == nil && len(rows) > 0 {
		err = flush()
	}
	return err
}

// row is a line by itself, refused when no database is needed to see that it must be.
func (r *reading) row(n int, rec Record) *Row {
	row := &Row{N: n, Line: rec.Line, Problem: rec.Problem, Boss: int(r.boss[n])}
	if rec.Problem == nil {
		cells := make([]string, len(rec.Cells))
		for i, c := range rec.Cells {
			cells[i] = strings.Clone(c)
		}
		row.Cells, row.Problem = r.d.clean(cells, r.fields, r.roles)
	}
	row.Email, row.Name = row.Cells[fieldEmail], nameOf(row.Cells)
	if row.Email == "" {
		row.Email = r.cell(rec, fieldEmail)
	}
	row.Email, row.Name = clip(strings.ToValidUTF8(row.Email, "�"), 254), clip(strings.ToValidUTF8(row.Name, "�"), maxText)
	switch {
	case row.Problem != nil:
	case row.Cells[r.set.Key] == "":
		row.Problem = &Problem{Column: r.set.Key, Value: "", Why: web.Say("The line does not say whom it is about."), Remedy: web.Say("Fill this column, by which a line finds its person, or choose another key.")}
	case r.wave[n] == circle:
		row.Problem = &Problem{Column: fieldManager, Value: clip(row.Cells[fieldManager], 80), Why: web.Say("The managers lead in a circle back to this person."), Remedy: web.Say("Leave the manager empty for whoever is at the top.")}
	default:
		row.Problem = r.second(n, row)
	}
	if row.Problem != nil {
		row.Action = Failed
	}
	return row
}

// second refuses a second line for a person.
func (r *reading) second(n int, row *Row) *Problem {
	number := ""
	if r.set.Key == fieldNumber {
		number = row.Cells[fieldNumber]
	}
	for _, key := range keysOf(row.Cells[fieldEmail], row.Cells[fieldUserName], number) {
		if first := int(r.at[key]); first != 0 && first < n {
			return &Problem{Column: r.set.Key, Value: clip(row.Cells[r.set.Key], 80), Why: web.Say("Line %d is about the same person.", int(r.line[first])), Remedy: web.Say("Keep one of the two lines.")}
		}
	}
	return nil
}

// judge compares the rows that are still good with the database.
func (r *reading) judge(rows []*Row) error {
	good := slices.DeleteFunc(slices.Clone(rows), func(row *Row) bool { return row.Problem != nil })
	return r.d.opt.DB.Read(r.ctx, r.actor, func(tx *store.Tx) error {
		w, err := look(tx, r.set.Key, good, r.numbers, byAll, true)
		if err != nil {
			return err
		}
		w.unattended = r.unattended
		for _, row := range rows {
			if row.Problem == nil {
				if err := r.judgeOne(tx, w, row); err != nil {
					return err
				}
			}
			r.bad[row.N] = row.Problem != nil
		}
		return nil
	})
}

func (r *reading) judgeOne(tx *store.Tx, w *world, row *Row) error {
	u, no := w.match(r.set.Key, row.Cells)
	var p plan
	if no == nil {
		var err error
		manager := r.manager(w, row)
		if p, no, err = w.decide(tx, r.fields, row.Cells, u, manager); err != nil {
			return err
		}
	}
	if u != nil {
		row.User = u.ID
		r.found[u.ID] = true
	}
	if no != nil {
		row.Action, row.Problem = no.action, &no.Problem
		return nil
	}
	row.Changes = p.changes
	from, to, moved := store.License{}, r.license(row), true
	if u != nil {
		from, to, moved = r.moves(u, p, w.roles[u.ID])
	}
	switch {
	case u == nil && r.seats == 0:
		row.Action, row.Changes = Seats, nil
		row.Problem = &Problem{Value: row.Email, Why: web.Say("No seat of the organization is free, with the lines above; its limit is %d.", r.limit), Remedy: web.Say("Deactivate somebody who no longer needs access, or ask whoever runs this server for more seats; then upload the file again.")}
	case moved && r.full(to):
		row.Action, row.Changes = Seats, nil
		row.Problem = &Problem{Value: row.Email, Why: web.Say("No seat of the license %s is free, with the lines above; its limit is %d.", to.Name, to.Limit), Remedy: web.Say("Deactivate somebody of that license, write a role of another license, or have its limit raised; then upload the file again.")}
	case u == nil:
		r.take(to, 1)
		row.Action, row.User, row.Changes, row.Named = Create, store.NewID[store.User](), nil, p.named // its cells say the same
		r.seats--                                                                                      // below 0 without a limit, and stays there
	case len(p.changes) == 0:
		row.Action = Unchanged
	default:
		row.Action = Update
		if moved {
			r.take(from, -1)
			r.take(to, 1)
		}
	}
	if row.Name == "" && u != nil {
		row.Name = u.DisplayName
	}
	if row.Email == "" && u != nil {
		row.Email = u.Email
	}
	return nil
}

// manager finds the manager of a row: who is there already counts first.
func (r *reading) manager(w *world, row *Row) *boss {
	cell := row.Cells[fieldManager]
	if cell == "" {
		return nil
	}
	u, no := w.managerNamed(cell)
	switch {
	case u != nil:
		r.known[row.N], row.Manager = true, u.ID
		return &boss{user: u}
	case row.Boss != 0: // will be there by then; spread looks whether that is so
		return &boss{}
	}
	return &boss{refusal: no}
}

// save keeps the rows, as long as it is this reading's turn.
func (r *reading) save(rows []*Row) error {
	return r.d.opt.DB.Write(r.ctx, r.actor, func(tx *store.Tx) error {
		if err := keepTurn(tx, r.id, r.turn, r.lines, tx.Now().Add(turnFor)); err != nil {
			return err
		}
		return insertRows(tx, r.id, rows, r.wave)
	})
}

// spread refuses rows whose manager stands in a row that was refused.
func (r *reading) spread() error {
	var hit []int
	for again := true; again; {
		again = false
		for n := 1; n < len(r.boss); n++ {
			if b := r.boss[n]; b != 0 && r.bad[b] && !r.bad[n] && !r.known[n] {
				r.bad[n], again = true, true
				hit = append(hit, n)
			}
		}
	}
	slices.Sort(hit)
	for part := range slices.Chunk(hit, piece) {
		err := r.d.opt.DB.Write(r.ctx, r.actor, func(tx *store.Tx) error {
			if err := keepTurn(tx, r.id, r.turn, r.lines, tx.Now().Add(turnFor)); err != nil {
				return err
			}
			rows, err := rowsByNumber(tx, r.id, part)
			if err != nil {
				return err
			}
			for i := range rows {
				rows[i].Action, rows[i].Changes = Failed, nil
				rows[i].Problem = &Problem{Column: fieldManager, Value: clip(rows[i].Cells[fieldManager], 80), Why: web.Say("The manager's own line cannot be imported."), Remedy: web.Say("Correct that line first.")}
			}
			return replaceRows(tx, r.id, rows)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// missing lists the people who are not in the file: those whom nobody manages, who are
// no break-glass accounts, and have access or are to have it.
func (r *reading) missing() error {
	n, total, after := len(r.boss)-1, 0, store.UserID("")
	for {
		var people []store.Person
		beyond := map[store.UserID]bool{} // who may do more than whoever imports
		err := r.d.opt.DB.Read(r.ctx, r.actor, func(tx *store.Tx) (err error) {
			people, err = tx.PeopleAfter(store.PeopleQuery{Status: []store.Status{store.Active, store.Invited}}, after, piece)
			for _, p := range people {
				beyond[p.ID] = tx.MayTouchAs(p.User, p.Grants, r.roles) != nil || r.unattended && (&world{ranks: r.roles}).above(p.User, p.Grants)
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(people) == 0 {
			break
		}
		var rows []*Row
		for _, p := range people {
			after = p.ID
			if p.DirectoryID != "" || p.BreakGlass {
				continue
			}
			if total++; r.found[p.ID] || string(p.ID) == r.actor.ID {
				continue
			}
			n++
			row := &Row{N: n, Action: Missing, Email: p.Email, Name: p.DisplayName, User: p.ID}
			if r.set.Missing == MissingDeactivate && p.Status == store.Active && !beyond[p.ID] { // an invitation is cancelled by hand
				row.Action, row.Changes = Deactivate, []Change{{"status", string(p.Status), string(store.Deactivated)}}
			}
			rows = append(rows, row)
		}
		if err := r.save(rows); err != nil {
			return err
		}
	}
	return r.d.opt.DB.Write(r.ctx, r.actor, func(tx *store.Tx) error { return setPeople(tx, r.id, r.turn, total) })
}
