package scim

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A filter means one thing: what Match says of the resource as a client sees it is
// what both databases find. Random people, groups and filters.
func TestDatabasesFindWhatMatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := rand.New(rand.NewPCG(11, 7))
		w := newWorld(t, db, r)
		hits, tried := 0, 0
		for tried < 1200 {
			c, g := UserSchema(), gen{r: r, c: UserSchema(), docs: w.users}
			if tried%4 == 3 {
				c, g = GroupSchema(), gen{r: r, c: GroupSchema(), docs: w.groups}
			}
			text := g.filter(2)
			want, err := w.matching(text, c)
			got, bindErr := w.found(text, c)
			if bindErr != nil && strings.ContainsAny(text, "$") || strings.Contains(text, "version") || strings.Contains(text, "location") {
				continue // URIs and versions are made on the way out: the database takes eq only, or nothing
			}
			if (err == nil) != (bindErr == nil) {
				t.Fatalf("%s\nMatch says %v, the database %v", text, err, bindErr)
			}
			if err != nil {
				continue
			}
			tried++
			hits += len(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%s\nthe database finds %d, Match %d\n%s", text, len(got), len(want), w.difference(got, want))
			}
		}
		if hits < tried {
			t.Errorf("%d filters found %d resources: too few to prove much", tried, hits)
		}
	})
}

// world is one organization with a directory that sees part of it.
type world struct {
	t             *testing.T
	db            *store.DB
	actor         access.Actor
	users, groups []map[string]any // as a client sees them, in the order of their ids
}

const testBase = "https://id.example.com/scim/v2/x"

func newWorld(t *testing.T, db *store.DB, r *rand.Rand) *world {
	t.Helper()
	_, admin := storetest.Org(t, db, "acme")
	w := &world{t: t, db: db}
	var dir store.Directory
	w.write(admin, func(tx *store.Tx) (err error) {
		dir, _, err = Create(tx, NewDirectory{Name: "Test"})
		return err
	})
	w.actor = access.Actor{Kind: access.Directory, Org: admin.Org, ID: string(dir.ID), Name: dir.Name}
	var ids []store.UserID
	for i := range 80 {
		status := store.Active
		if r.IntN(4) == 0 {
			status = store.Deactivated
		}
		w.write(w.actor, func(tx *store.Tx) error {
			u, err := tx.CreateUser(store.NewUser{Doc: randomUser(r, i, ids), Source: store.FromSCIM, Status: status})
			ids = append(ids, u.ID)
			return err
		})
	}
	var above []store.UserID // groups that may be in a group
	for i := range 12 {
		var members []store.UserID
		for _, id := range above {
			if r.IntN(5) == 0 {
				members = append(members, id)
			}
		}
		for _, id := range ids {
			if r.IntN(12) < i/2 {
				members = append(members, id)
			}
		}
		doc := store.Doc{"displayName": someText(r) + itoa(i)}
		if r.IntN(2) == 0 {
			doc["externalId"] = someText(r) + itoa(i)
		}
		w.write(w.actor, func(tx *store.Tx) error {
			g, err := tx.CreateGroup(store.NewGroup{Doc: doc, Members: members})
			if i%4 > 0 { // not too deep
				above = append(above, store.UserID(g.ID))
			}
			return err
		})
	}
	w.write(admin, func(tx *store.Tx) error { // what the directory must not see
		if _, err := tx.CreateGroup(store.NewGroup{Doc: store.Doc{"displayName": "Local"}, Members: ids}); err != nil {
			return err
		}
		_, err := tx.CreateUser(store.NewUser{Doc: randomUser(r, 100, ids), Source: store.FromAPI, BreakGlass: true})
		return err
	})
	w.write(w.actor, func(tx *store.Tx) error {
		u, err := tx.CreateUser(store.NewUser{Doc: randomUser(r, 101, ids), Source: store.FromSCIM})
		if err != nil {
			return err
		}
		_, err = tx.DeleteUser(u.ID, "")
		return err
	})
	w.read()
	return w
}

func (w *world) write(a access.Actor, f func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.db.Write(context.Background(), a, f); err != nil {
		w.t.Fatal(err)
	}
}

// read takes down what clients see.
func (w *world) read() {
	w.t.Helper()
	err := w.db.Read(context.Background(), w.actor, func(tx *store.Tx) error {
		var users []store.User
		var ids []store.UserID
		_, err := tx.EachUser(store.Query{Limit: 1000}, func(u store.User) error {
			users, ids = append(users, u), append(ids, u.ID)
			return nil
		})
		if err != nil {
			return err
		}
		groups, err := tx.GroupsOf(ids)
		if err != nil {
			return err
		}
		for _, u := range users {
			w.users = append(w.users, w.decode(appendUser(nil, UserSchema(), u, groups[u.ID], testBase, Projection{})))
		}
		_, err = tx.EachGroup(store.Query{Limit: 1000}, func(g store.Group) error {
			buf := append(openGroup(nil, GroupSchema(), g, testBase, Projection{}), `,"members":[`...)
			form := newMemberForm(testBase, Projection{})
			form.display = true
			add := func(m store.Member) error {
				buf = append(form.append(buf, m), ',')
				return nil
			}
			err := tx.Members(g.ID, true, add)
			if err == nil {
				err = tx.Subgroups([]store.GroupID{g.ID}, func(_ store.GroupID, m store.Member) error { return add(m) })
			}
			w.groups = append(w.groups, w.decode(append([]byte(strings.TrimSuffix(string(buf), ",")), `]}`...)))
			return err
		})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) decode(b []byte) map[string]any {
	w.t.Helper()
	doc, err := decodeBytes(b)
	if err != nil {
		w.t.Fatalf("%s: %v", b, err)
	}
	return doc
}

func (w *world) matching(text string, c *Compiled) ([]string, error) {
	e, err := ParseFilter(text, ParseOptions{})
	if err != nil {
		w.t.Fatalf("%s: %v", text, err)
	}
	docs := w.users
	if c == GroupSchema() {
		docs = w.groups
	}
	ids := []string{}
	for _, doc := range docs {
		ok, err := Match(e, doc, c)
		if err != nil {
			return nil, err
		}
		if ok {
			ids = append(ids, doc["id"].(string))
		}
	}
	return ids, nil
}

func (w *world) found(text string, c *Compiled) ([]string, error) {
	e, err := ParseFilter(text, ParseOptions{})
	if err != nil {
		return nil, err
	}
	where, err := Bind(e, c, BindOptions{Lenient: true, Base: testBase})
	if err != nil {
		return nil, err
	}
	ids, total := []string{}, 0
	err = w.db.Read(context.Background(), w.actor, func(tx *store.Tx) (err error) {
		q := store.Query{Where: where, Limit: 1000, Count: true}
		if c == GroupSchema() {
			total, err = tx.EachGroup(q, func(g store.Group) error { ids = append(ids, string(g.ID)); return nil })
		} else {
			total, err = tx.EachUser(q, func(u store.User) error { ids = append(ids, string(u.ID)); return nil })
		}
		return err
	})
	if err != nil || len(ids) != total {
		w.t.Fatalf("%s: %d found, total %d, %v", text, len(ids), total, err)
	}
	return ids, nil
}

func (w *world) difference(got, want []string) string {
	var b strings.Builder
	for _, doc := range append(slices.Clone(w.users), w.groups...) {
		id := doc["id"].(string)
		if a, m := slices.Contains(got, id), slices.Contains(want, id); a != m {
			fmt.Fprintf(&b, "database %v, Match %v: %v\n", a, m, doc)
		}
	}
	return b.String()
}

// letters make texts that databases and Go could see differently.
var letters = []string{"a", "A", "b", "B", "é", "É", "e\u0301", "ß", "ẞ", "ss", "ſ", "K", "k", "İ", "i", "σ", "ς", "Σ", "😀", " ", "%", "_", `\`, "'", `"`, "[", "1", "-"}

func someText(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(3) {
		b.WriteString(letters[r.IntN(len(letters))])
	}
	return b.String()
}

func randomUser(r *rand.Rand, n int, others []store.UserID) store.Doc {
	maybe := func(in map[string]any, name string, v any) {
		if r.IntN(3) > 0 {
			in[name] = v
		}
	}
	doc := store.Doc{"userName": someText(r) + itoa(n)}
	maybe(doc, "externalId", someText(r)+itoa(n))
	maybe(doc, "displayName", someText(r))
	maybe(doc, "title", someText(r))
	maybe(doc, "nickName", "")
	maybe(doc, "profileUrl", "https://x/"+someText(r))
	name := map[string]any{"formatted": someText(r)}
	maybe(name, "givenName", someText(r))
	maybe(name, "familyName", someText(r))
	maybe(doc, "name", name)
	for _, attr := range []string{"emails", "phoneNumbers", "roles"} {
		list := []any{}
		for range r.IntN(4) {
			e := map[string]any{"value": someText(r)}
			maybe(e, "type", []string{"work", "home", "Work", "é", "É"}[r.IntN(5)])
			maybe(e, "display", someText(r))
			if r.IntN(3) == 0 {
				e["primary"] = r.IntN(2) == 0
			}
			list = append(list, e)
		}
		if len(list) > 0 {
			doc[attr] = list
		}
	}
	maybe(doc, "addresses", []any{map[string]any{"type": "work", "country": someText(r)}, map[string]any{"type": "home", "locality": someText(r)}})
	maybe(doc, "x509Certificates", []any{map[string]any{"value": "QUJD"}})
	extension := map[string]any{"department": someText(r)}
	if len(others) > 0 {
		maybe(extension, "manager", map[string]any{"value": string(others[r.IntN(len(others))])})
	}
	maybe(doc, enterpriseURN, extension)
	return doc
}

// gen makes filters whose values stand in the documents, or nearly.
type gen struct {
	r    *rand.Rand
	c    *Compiled
	docs []map[string]any
}

func (g gen) filter(depth int) string {
	switch k := g.r.IntN(8); {
	case depth > 0 && k == 0:
		return "(" + g.filter(depth-1) + " and " + g.filter(depth-1) + ")"
	case depth > 0 && k == 1:
		return "(" + g.filter(depth-1) + " or " + g.filter(depth-1) + ")"
	case depth > 0 && k == 2:
		return "not (" + g.filter(depth-1) + ")"
	case k == 3 || k == 4:
		for {
			if a := g.c.Attrs[g.r.IntN(len(g.c.Attrs))]; len(a.Subs) > 0 {
				return a.Path() + "[" + g.within(a, 1) + "]"
			}
		}
	}
	a := g.c.Attrs[g.r.IntN(len(g.c.Attrs))]
	if len(a.Subs) > 0 && g.r.IntN(4) > 0 {
		a = a.Subs[g.r.IntN(len(a.Subs))]
	}
	return g.term(a, a.Path())
}

func (g gen) within(a *Attr, depth int) string {
	s := a.Subs[g.r.IntN(len(a.Subs))]
	switch k := g.r.IntN(5); {
	case depth > 0 && k == 0:
		return "(" + g.within(a, depth-1) + " or " + g.within(a, depth-1) + ")"
	case depth > 0 && k == 1:
		return g.within(a, depth-1) + " and " + g.within(a, depth-1)
	case depth > 0 && k == 2:
		return "not (" + g.within(a, depth-1) + ")"
	}
	return g.term(s, s.Name)
}

func (g gen) term(a *Attr, path string) string {
	ops := []string{"eq", "eq", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"}
	op := ops[g.r.IntN(len(ops))]
	if op == "pr" {
		return path + " pr"
	}
	return path + " " + op + " " + g.value(a)
}

// value is one that the attribute has somewhere, changed at times.
func (g gen) value(a *Attr) string {
	if g.r.IntN(12) == 0 {
		return []string{"null", `""`, "true", "5"}[g.r.IntN(4)]
	}
	var all []any
	for _, doc := range g.docs {
		all = append(all, valuesOf(doc, a)...)
	}
	if len(all) == 0 || g.r.IntN(8) == 0 {
		return jsonText(someText(g.r))
	}
	s, ok := all[g.r.IntN(len(all))].(string)
	if !ok {
		return []string{"true", "false"}[g.r.IntN(2)]
	}
	runes := []rune(s)
	switch g.r.IntN(6) {
	case 0:
		s = strings.ToUpper(s)
	case 1:
		s = strings.ToLower(s)
	case 2:
		s = string(runes[:g.r.IntN(len(runes)+1)])
	case 3:
		s = string(runes[g.r.IntN(len(runes)+1):])
	}
	return jsonText(s)
}

func valuesOf(doc map[string]any, a *Attr) []any {
	if a.Type == typeComplex {
		if a = a.subOf("value"); a == nil {
			return nil
		}
	}
	top := a
	if a.Parent != nil {
		top = a.Parent
	}
	v := container(doc, top, false)[top.Name]
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	var out []any
	for _, e := range list {
		if a.Parent != nil {
			e = e.(map[string]any)[a.Name]
		}
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

// The key that narrows a search down must never be finer than the comparison
// that decides.
func TestKeysAreCoarserThanLetters(t *testing.T) {
	t.Parallel()
	keys := map[string]string{}
	for r := rune(1); r <= 0x1ffff; r++ {
		if r >= 0xd800 && r < 0xe000 {
			continue
		}
		folded := store.FoldLetters(string(r))
		key := store.Fold(string(r))
		if was, ok := keys[folded]; ok && was != key {
			t.Errorf("%q folds to %q like another letter, but their keys are %q and %q", r, folded, was, key)
		}
		keys[folded] = key
		if store.Fold(folded) != key {
			t.Errorf("the key of %q is %q, but that of its folding %q is %q", r, key, folded, store.Fold(folded))
		}
	}
}

func TestAttributesCoverTheFilters(t *testing.T) {
	t.Parallel()
	want := map[string]bool{"emails": true, "groups": true, "meta": true, "active": true, "externalId": true, "schemas": true}
	for _, a := range UserSchema().Attrs {
		delete(want, a.Name)
	}
	if len(want) > 0 {
		t.Errorf("the generator does not know %v", slices.Sorted(maps.Keys(want)))
	}
}
