package store_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const acmeURN = "urn:example:acme:2.0:User"

func put(db *store.DB, actor access.Actor, s store.Schema, confirmed bool) (done store.SchemaChange, err error) {
	err = db.Write(ctx, actor, func(tx *store.Tx) error {
		done, err = tx.PutSchema(s, confirmed)
		return err
	})
	return done, err
}

func TestRefusedDefinitions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		attr := func(a store.Attribute) store.Schema {
			return store.Schema{URN: acmeURN, Attributes: []store.Attribute{a}}
		}
		many := store.Schema{URN: acmeURN}
		for i := range 101 {
			many.Attributes = append(many.Attributes, store.Attribute{Name: fmt.Sprint("a", i)})
		}
		var indexed store.Schema
		indexed.URN = acmeURN
		for i := range 21 {
			indexed.Attributes = append(indexed.Attributes, store.Attribute{Name: fmt.Sprint("a", i), Indexed: i > 0, Uniqueness: map[bool]string{true: "server"}[i == 0]})
		}
		for _, c := range []struct {
			name  string
			in    store.Schema
			field string
			says  string
		}{
			{"no URN", store.Schema{URN: "acme"}, "id", "urn:"},
			{"a quote in it", store.Schema{URN: "urn:example:a'b:User"}, "id", "URN"},
			{"a question mark in it", store.Schema{URN: "urn:example:a?b:User"}, "id", "URN"},
			{"core", store.Schema{URN: "urn:ietf:params:scim:schemas:core:2.0:User"}, "id", "standard"},
			{"enterprise in capitals", store.Schema{URN: strings.ToUpper(store.EnterpriseURN), Resource: "User"}, "id", "standard"},
			{"no resource", store.Schema{URN: "urn:example:acme:2.0"}, "resourceType", "User or Group"},
			{"a device", store.Schema{URN: "urn:example:acme:2.0", Resource: "Device"}, "resourceType", "Device"},
			{"too many", many, "attributes", "101"},
			{"too many indexes", indexed, "indexed", "21"},
			{"name with a blank", attr(store.Attribute{Name: "cost center"}), "name", "cost center"},
			{"name begins with a digit", attr(store.Attribute{Name: "1a"}), "name", "1a"},
			{"$ref at the top", attr(store.Attribute{Name: "$ref", Type: "reference"}), "name", "$ref"},
			{"$ref that is none", attr(store.Attribute{Name: "a", Type: "complex", Subs: []store.Attribute{{Name: "$ref"}}}), "name", "reference"},
			{"reserved", attr(store.Attribute{Name: "externalID"}), "name", "externalID"},
			{"twice", store.Schema{URN: acmeURN, Attributes: []store.Attribute{{Name: "a"}, {Name: "A"}}}, "name", "twice"},
			{"sub twice", attr(store.Attribute{Name: "a", Type: "complex", Subs: []store.Attribute{{Name: "b"}, {Name: "B"}}}), "name", "a.B"},
			{"no type", attr(store.Attribute{Name: "a", Type: "text"}), "type", "text"},
			{"complex in complex", attr(store.Attribute{Name: "a", Type: "complex", Subs: []store.Attribute{{Name: "b", Type: "complex", Subs: []store.Attribute{{Name: "c"}}}}}), "type", "a.b"},
			{"complex without subs", attr(store.Attribute{Name: "a", Type: "complex"}), "subAttributes", "needs"},
			{"subs of a string", attr(store.Attribute{Name: "a", Subs: []store.Attribute{{Name: "c"}}}), "subAttributes", "string"},
			{"multi-valued sub", attr(store.Attribute{Name: "a", Type: "complex", Subs: []store.Attribute{{Name: "b", MultiValued: true}}}), "multiValued", "a.b"},
			{"canonical numbers", attr(store.Attribute{Name: "a", Type: "integer", Canonical: []string{"1"}}), "canonicalValues", "integer"},
			{"canonical twice", attr(store.Attribute{Name: "a", Canonical: []string{"x", "X"}}), "canonicalValues", "X"},
			{"global", attr(store.Attribute{Name: "a", Uniqueness: "global"}), "uniqueness", "server"},
			{"unique boolean", attr(store.Attribute{Name: "a", Type: "boolean", Uniqueness: "server"}), "uniqueness", "boolean"},
			{"unique sub", attr(store.Attribute{Name: "a", Type: "complex", Subs: []store.Attribute{{Name: "b", Uniqueness: "server"}}}), "uniqueness", "a.b"},
			{"indexed binary", attr(store.Attribute{Name: "a", Type: "binary", Indexed: true}), "indexed", "binary"},
			{"indexed and never shown", attr(store.Attribute{Name: "a", Returned: "never", Indexed: true}), "indexed", "never"},
			{"writeOnly that is shown", attr(store.Attribute{Name: "a", Mutability: "writeOnly", Returned: "default"}), "returned", "never"},
			{"readOnly and required", attr(store.Attribute{Name: "a", Mutability: "readOnly", Required: true}), "required", "readOnly"},
			{"mutability", attr(store.Attribute{Name: "a", Mutability: "sometimes"}), "mutability", "readWrite"},
			{"reference to nothing", attr(store.Attribute{Name: "a", Type: "reference", ReferenceTypes: []string{"Device"}}), "referenceTypes", "Device"},
		} {
			_, err := put(db, admin, c.in, true)
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field || !strings.Contains(fault.Public(err), c.says) {
				t.Errorf("%s: %v on %q, want Invalid on %q with %q", c.name, err, fault.Field(err), c.field, c.says)
			}
		}
		if list, err := db.Definitions(ctx, store.OrgID(admin.Org)); err != nil || len(list.Schemas) != 0 {
			t.Errorf("something was kept: %+v, %v", list.Schemas, err)
		}
		if _, err := put(db, access.Actor{Kind: access.Person, Org: admin.Org, Roles: []string{access.Agent}}, attr(store.Attribute{Name: "a"}), false); !fault.Is(err, fault.Denied) {
			t.Errorf("an agent defines: %v", err)
		}
	})
}

// What values might not fit cannot change, and names stay unambiguous.
func TestDefinitionsThatCannotChange(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		base := func() store.Schema {
			return store.Schema{URN: acmeURN, Attributes: []store.Attribute{{Name: "a"}, {Name: "c", Type: "complex", Subs: []store.Attribute{{Name: "x"}, {Name: "y"}}}}}
		}
		if done, err := put(db, admin, base(), false); err != nil || !done.Created {
			t.Fatal(done, err)
		}
		for name, change := range map[string]func(*store.Schema){
			"type":          func(s *store.Schema) { s.Attributes[0].Type = "integer" },
			"multiValued":   func(s *store.Schema) { s.Attributes[0].MultiValued = true },
			"caseExact":     func(s *store.Schema) { s.Attributes[0].CaseExact = true },
			"name":          func(s *store.Schema) { s.Attributes[0].Name = "A" },
			"subAttributes": func(s *store.Schema) { s.Attributes[1].Subs = s.Attributes[1].Subs[:1] },
			"required":      func(s *store.Schema) { s.Attributes[1].Subs[0].Required = true },
			"resourceType":  func(s *store.Schema) { s.Resource = store.GroupResource },
		} {
			s := base()
			change(&s)
			if _, err := put(db, admin, s, true); !fault.Is(err, fault.Conflict) || fault.Field(err) != name {
				t.Errorf("%s: %v on %q", name, err, fault.Field(err))
			}
		}
		for _, urn := range []string{acmeURN + ":more", "urn:example:acme:2.0"} {
			if _, err := put(db, admin, store.Schema{URN: urn, Resource: store.UserResource}, false); !fault.Is(err, fault.Conflict) {
				t.Errorf("%s beside %s: %v", urn, acmeURN, err)
			}
		}
		s := base()
		s.Attributes[1].Subs = append(s.Attributes[1].Subs, store.Attribute{Name: "z"})
		s.Attributes[0].Description, s.Attributes[0].Indexed = "text", true
		if done, err := put(db, admin, s, false); err != nil || done.Created || done.Schema.Attributes[0].State != store.Building {
			t.Errorf("%+v, %v", done, err)
		}
		s.Attributes[0].Indexed = false
		if _, err := put(db, admin, s, false); err != nil {
			t.Fatal(err)
		}
		s.Attributes[0].Indexed = true
		if _, err := put(db, admin, s, false); !fault.Is(err, fault.Conflict) || fault.Field(err) != "indexed" {
			t.Errorf("indexed again while the rows go: %v", err)
		}
	})
}

func TestRequiredTellsWhoLacksIt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		newUser(t, db, admin, "a")
		newUser(t, db, admin, "b")
		done, err := put(db, admin, store.Schema{URN: acmeURN, Attributes: []store.Attribute{{Name: "a", Required: true}}}, false)
		if err != nil || len(done.Warnings) != 1 || !strings.HasPrefix(done.Warnings[0], "2 of") {
			t.Errorf("%q, %v", done.Warnings, err)
		}
	})
}

// Two replicas write while an attribute gets its index, one of them not knowing yet.
// When it is ready, the rows are those of the documents: none is missing, none too many.
func TestIndexIsWholeWhileReplicasWrite(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, url string) {
		clock := storetest.NewClock()
		var replicas [2]*store.DB
		for i := range replicas {
			db, err := store.Open(ctx, store.Options{URL: url, MaxConns: 8, NoSync: true, Now: clock.Now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			replicas[i] = db
		}
		_, admin := storetest.Org(t, replicas[0], "acme")
		org := store.OrgID(admin.Org)
		var ids []store.UserID
		for i := range 40 {
			ids = append(ids, newUser(t, replicas[1], admin, fmt.Sprint("u", i)).ID)
		}
		defs, err := replicas[1].Definitions(ctx, org) // remembers that there is nothing
		if err != nil || len(defs.Schemas) != 0 {
			t.Fatal(defs, err)
		}
		s := store.Schema{URN: acmeURN, Attributes: []store.Attribute{{Name: "code", Indexed: true}, {Name: "n", Type: "integer", Indexed: true, MultiValued: true}}}
		if _, err := put(replicas[0], admin, s, false); err != nil {
			t.Fatal(err)
		}
		write := func(db *store.DB, r *rand.Rand) error {
			id := ids[r.IntN(len(ids))]
			return db.Write(ctx, admin, func(tx *store.Tx) error {
				u, err := tx.User(id)
				if err != nil {
					return err
				}
				doc, err := u.Attributes()
				if err != nil {
					return err
				}
				doc[acmeURN] = map[string]any{"code": fmt.Sprint("V", r.IntN(5)), "n": []any{json.Number(fmt.Sprint(r.IntN(3))), json.Number("7")}}
				if r.IntN(4) == 0 {
					delete(doc, acmeURN)
				}
				_, err = tx.UpdateUser(u, store.UserChange{Doc: doc})
				return err
			})
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		var written [2]int
		for i, db := range replicas {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(i)))
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := write(db, r); err != nil && !fault.Is(err, fault.Unavailable) {
						t.Errorf("replica %d: %v", i, err)
						return
					}
					written[i]++
				}
			})
		}
		tend := func() {
			t.Helper()
			for _, db := range replicas {
				if err := db.TendSchemas(ctx); err != nil && !fault.Is(err, fault.Unavailable) {
					t.Error(err)
				}
			}
		}
		state := func(db *store.DB) store.State {
			defs, err := db.Definitions(ctx, org)
			if err != nil || len(defs.Schemas) == 0 {
				return store.State(fmt.Sprint(err))
			}
			return defs.Schemas[0].Attributes[0].State
		}
		tend()
		if got := state(replicas[0]); got != store.Building {
			t.Errorf("the index is %s although replicas do not know of it", got)
		}
		r := rand.New(rand.NewPCG(7, 7))
		for range 30 { // the second replica writes without rows
			if err := write(replicas[1], r); err != nil {
				t.Error(err)
			}
		}
		clock.Pass(time.Minute)
		for range 20 {
			tend()
			clock.Pass(3 * time.Minute)
			if state(replicas[0]) == store.Ready && state(replicas[1]) == store.Ready {
				break
			}
		}
		close(stop)
		wg.Wait()
		if state(replicas[0]) != store.Ready || written[0] == 0 || written[1] == 0 {
			t.Fatalf("the index is %s after %v changes", state(replicas[0]), written)
		}
		compareRows(t, replicas[0], admin, ids)
	}
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); run(t, storetest.SQLiteURL(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); run(t, storetest.PostgresURL(t)) })
}

// compareRows looks whether the rows in extra_values are those of the documents.
func compareRows(t *testing.T, db *store.DB, admin access.Actor, ids []store.UserID) {
	t.Helper()
	err := db.Read(ctx, admin, func(tx *store.Tx) error {
		for _, id := range ids {
			u, err := tx.User(id)
			if err != nil {
				return err
			}
			doc, err := u.Attributes()
			if err != nil {
				return err
			}
			want := map[string]bool{}
			in, _ := doc[acmeURN].(map[string]any)
			if code, ok := in["code"]; ok {
				want[acmeURN+":code "+store.IndexKey("string", false, code)] = true
			}
			list, _ := in["n"].([]any)
			for _, n := range list {
				want[acmeURN+":n "+store.IndexKey("integer", false, n)] = true
			}
			var have []string
			if err := tx.Select(&have, "SELECT attr || ' ' || value_key FROM extra_values WHERE org_id = ? AND owner_id = ?", tx.Org(), id); err != nil {
				return err
			}
			if len(have) != len(want) {
				t.Errorf("%s has the rows %q, its document wants %v", u.UserName, have, want)
			}
			for _, h := range have {
				if !want[h] {
					t.Errorf("%s has the row %q, its document wants %v", u.UserName, h, want)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Filters on indexed attributes go by the index, also joined with others.
func TestOwnAttributesUseTheirIndex(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		_, admin := storetest.Org(t, db, "acme")
		fill(t, db, admin, "", 3000)
		err := db.Write(ctx, admin, func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO extra_values (org_id, attr, value_key, owner_id, uniq)
				SELECT u.org_id, CAST(? AS text), u.user_name, u.id, 0 FROM users u WHERE u.org_id = ?`, acmeURN+":code", tx.Org())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if db.Dialect() == "postgres" {
			for _, table := range []string{"users", "extra_values"} {
				if err := db.Write(ctx, admin, func(tx *store.Tx) error { _, err := tx.Exec("ANALYZE " + table); return err }); err != nil {
					t.Fatal(err)
				}
			}
		}
		value := store.UserDoc(acmeURN, "code").AnyCase()
		eq := store.And(store.HasExtra(false, acmeURN+":code", "user000500@example.com", "user000500@example.com"), value.Is("user000500@example.com"))
		sw := store.And(store.HasExtra(false, acmeURN+":code", "user00050", store.AfterPrefix("user00050")), value.StartsWith("user00050"))
		want := regexp.MustCompile(`extra_values_pkey|SEARCH v USING PRIMARY KEY \(org_id=\? AND attr=\? AND value_key`)
		scan := regexp.MustCompile(`Seq Scan|\bSCAN (users|v|extra_values)\b`)
		err = db.Read(ctx, admin, func(tx *store.Tx) error {
			for name, where := range map[string]store.Cond{"eq": eq, "sw": sw, "eq and title": store.And(eq, store.UserDoc("title").Is("x")), "title and sw": store.And(store.UserDoc("title").Is("x"), sw)} {
				plan, err := tx.PlanUsers(store.Query{Where: where})
				if err != nil || !want.MatchString(plan) || scan.MatchString(plan) {
					t.Errorf("%s: %v, want %s and no scan in\n%s", name, err, want, plan)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// A deleted person's unique value is free; who is restored has it again, unless somebody
// has taken it.
func TestUniqueValueOfADeletedPerson(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		if _, err := put(db, admin, store.Schema{URN: acmeURN, Attributes: []store.Attribute{{Name: "badge", Uniqueness: "server"}}}, false); err != nil {
			t.Fatal(err)
		}
		create := func(name string) (u store.User, err error) {
			err = db.Write(ctx, admin, func(tx *store.Tx) error {
				u, err = tx.CreateUser(store.NewUser{Doc: store.Doc{"userName": name, acmeURN: map[string]any{"badge": "B"}}, Source: store.FromAPI})
				return err
			})
			return u, err
		}
		act := func(f func(*store.Tx, store.UserID, string) (store.User, error), id store.UserID) error {
			return db.Write(ctx, admin, func(tx *store.Tx) error { _, err := f(tx, id, ""); return err })
		}
		a, err := create("a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := create("b"); !fault.Is(err, fault.Conflict) || fault.Field(err) != acmeURN+":badge" {
			t.Fatalf("a second one: %v", err)
		}
		if err := act((*store.Tx).DeleteUser, a.ID); err != nil {
			t.Fatal(err)
		}
		if err := act((*store.Tx).RestoreUser, a.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := create("b"); !fault.Is(err, fault.Conflict) {
			t.Fatalf("after the first came back: %v", err)
		}
		if err := act((*store.Tx).DeleteUser, a.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := create("b"); err != nil {
			t.Fatal(err)
		}
		if err := act((*store.Tx).RestoreUser, a.ID); !fault.Is(err, fault.Conflict) || fault.Field(err) != acmeURN+":badge" {
			t.Errorf("restored although the value is taken: %v", err)
		}
	})
}
