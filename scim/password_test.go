package scim

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// keptPasswords is a keeper that leaves an activity row, so that what was kept can
// be seen, and with what words it was checked.
type keptPasswords struct {
	mu    sync.Mutex // guards words: a Bulk does several operations at once
	words [][]string
}

func (k *keptPasswords) keep(_ context.Context, in PasswordChange) (func(*store.Tx, store.UserID) error, error) {
	k.mu.Lock()
	k.words = append(k.words, in.Words)
	k.mu.Unlock()
	switch {
	case in.Password == "same":
		return nil, nil
	case len(in.Password) < 12:
		return nil, fault.Invalid.On("password", "The password is too short: use at least %d characters. Three or four unrelated words are easy to remember.", 12)
	case in.Password == "crowded-crowded":
		return nil, fault.Unavailable.Say("Many people are signing in right now.")
	}
	return func(tx *store.Tx, user store.UserID) error {
		if in.User != "" && in.User != user {
			return errors.New("the password was prepared for somebody else")
		}
		return tx.Record(store.Activity{Action: "password.set", TargetKind: "user", TargetID: string(user)})
	}, nil
}

// withPasswords is a door whose server can keep passwords.
func withPasswords(t *testing.T, db *store.DB, in NewDirectory) (*door, *keptPasswords) {
	t.Helper()
	_, admin := storetest.Org(t, db, "acme")
	kept := &keptPasswords{}
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	m := web.NewMux(web.Options{PublicURL: testURL, Log: log})
	requests := Mount(m, db, Options{PublicURL: testURL, Log: log, Password: kept.keep})
	d := &door{log: requests, t: t, db: db, mux: http.Handler(m), admin: admin}
	return d.another(in), kept
}

const storesPasswords = `{"passwordHandling":"store"}`

func TestPasswordsAreKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, kept := withPasswords(t, db, NewDirectory{Quirks: store.JSON(storesPasswords)})
		const long, longer = "a long enough one", "another long enough"
		sets := func(id string) (n int) {
			for _, a := range d.activities(id) {
				if a == "password.set" {
					n++
				}
			}
			return n
		}
		made := d.must(201, "POST", "/Users", userBody("jane", `"displayName":"Jane Doe"`, `"emails":[{"value":"j@x.example"}]`, `"password":"`+long+`"`))
		id := made.str("id")
		if words := kept.words[0]; !slices.Contains(words, "jane") || !slices.Contains(words, "Jane Doe") || !slices.Contains(words, "j@x.example") {
			t.Errorf("checked with the words %q", words)
		}
		n := 1
		for _, c := range []struct {
			method, body string
			code         int
			scimType     string
			kept         bool
		}{
			{"PUT", userBody("jane", `"PassWord":"`+longer+`"`), 200, "", true},
			{"PUT", `{"schemas":["` + userURN + `"],"userName":"jane","` + userURN + `":{"password":"` + long + `"}}`, 200, "", true},
			{"PUT", userBody("jane", `"`+userURN+`:password":"`+long+`"`), 200, "", true},
			{"PUT", userBody("jane"), 200, "", false},
			{"PUT", userBody("jane", `"password":"same"`), 200, "", false},
			{"PUT", userBody("jane", `"password":null`), 200, "", false},
			{"PATCH", patchBody(`{"op":"replace","value":{"password":"` + long + `"}}`), 200, "", true},
			{"PATCH", patchBody(`{"op":"add","path":"password","value":"` + long + `"},{"op":"replace","path":"title","value":"Boss"}`), 200, "", true},
			{"PATCH", patchBody(`{"op":"replace","path":"` + userURN + `:password","value":"` + long + `"}`), 200, "", true},
			{"PATCH", patchBody(`{"op":"replace","path":"password","value":""}`), 200, "", false},
			{"PATCH", patchBody(`{"op":"replace","path":"password","value":"short"},{"op":"replace","path":"title","value":"Lost"}`), 400, "invalidValue", false},
			{"PATCH", patchBody(`{"op":"replace","path":"password","value":7}`), 400, "invalidValue", false},
			{"PATCH", patchBody(`{"op":"remove","path":"password"}`), 400, "mutability", false},
			{"PATCH", patchBody(`{"op":"replace","path":"password","value":"` + long + `"},{"op":"remove","path":"userName"}`), 400, "mutability", false},
			{"PUT", userBody("jane", `"password":"short"`), 400, "invalidValue", false},
			{"PUT", userBody("jane", `"password":["x"]`), 400, "invalidValue", false},
			{"PUT", userBody("jane", `"password":"crowded-crowded"`), 503, "", false},
		} {
			got := d.must(c.code, c.method, "/Users/"+id, c.body)
			if c.kept {
				n++
			}
			if got.str("scimType") != c.scimType || sets(id) != n {
				t.Errorf("%s %s: %s; %d passwords were kept, want %d", c.method, c.body, got.raw, sets(id), n)
			}
			if strings.Contains(got.raw, long) || strings.Contains(got.raw, longer) || strings.Contains(got.raw, `"password"`) {
				t.Errorf("the answer has the password: %s", got.raw)
			}
		}
		if got := d.must(200, "GET", "/Users/"+id, ""); strings.Contains(got.raw, "long enough") || got.json["title"] != "Boss" {
			t.Errorf("afterwards: %s", got.raw)
		}
		before := d.must(200, "GET", "/Users/"+id, "").header.Get("ETag")
		d.must(200, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"password","value":"`+long+`"}`))
		if after := d.must(200, "GET", "/Users/"+id, "").header.Get("ETag"); after != before {
			t.Errorf("a new password changed the version: %s, then %s", before, after)
		}
		n = sets(id)
		d.must(412, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"password","value":"`+long+`"}`), `If-Match: W/"999"`)
		other := d.another(NewDirectory{Name: "Other", Quirks: store.JSON(storesPasswords)})
		other.must(404, "PATCH", "/Users/"+id, patchBody(`{"op":"replace","path":"password","value":"`+long+`"}`))
		if sets(id) != n {
			t.Error("a refused request set a password")
		}
		d.refused(400, "invalidValue", "too short", "POST", "/Users", userBody("weak", `"password":"short"`))
		d.must(201, "POST", "/Users", userBody("weak"))
		if got := d.must(200, "GET", "/ServiceProviderConfig", ""); !strings.Contains(got.raw, `"changePassword":{"supported":true}`) {
			t.Errorf("configuration: %s", got.raw)
		}
		d.logHasNot("long enough", "short\"")
	})
}

// logHasNot fails when a text stands in the provisioning log.
func (d *door) logHasNot(texts ...string) {
	d.t.Helper()
	if err := d.log.Flush(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	var rows []logRow
	err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) (err error) {
		rows, err = logRows(tx, logQuery{directory: d.directory.ID, limit: 500})
		return err
	})
	if err != nil || len(rows) == 0 {
		d.t.Fatalf("the log has %d rows: %v", len(rows), err)
	}
	for _, r := range rows {
		for _, text := range texts {
			if strings.Contains(r.Body+r.Reason+r.Path, text) {
				d.t.Errorf("the log has %q: %s %s %s", text, r.Path, r.Reason, r.Body)
			}
		}
	}
}

func TestPasswordsInABulk(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d, _ := withPasswords(t, db, NewDirectory{Quirks: store.JSON(storesPasswords)})
		bulk := func(ops ...string) string {
			return `{"schemas":["` + bulkRequestURN + `"],"Operations":[` + strings.Join(ops, ",") + `]}`
		}
		post := func(id, body string) string {
			return `{"method":"POST","path":"/Users","bulkId":"` + id + `","data":` + body + `}`
		}
		manager := func(id string) string { return `"` + enterpriseURN + `":{"manager":{"value":"bulkId:` + id + `"}}` }
		const long = `"password":"a long enough one"`
		got := d.must(200, "POST", "/Bulk", bulk(post("1", userBody("one", long)), post("2", userBody("two", `"password":"short"`)),
			post("3", userBody("three", long, manager("4"))), post("4", userBody("four", long, manager("3"))),
			post("5", userBody("five", long, manager("6"))), post("6", userBody("six", `"password":"short"`, manager("5")))))
		var codes []string
		for _, op := range got.json["Operations"].([]any) {
			op := op.(map[string]any)
			codes = append(codes, op["status"].(string))
			if at, ok := op["location"].(string); ok && op["status"] == "201" {
				if acts := d.activities(at[strings.LastIndex(at, "/")+1:]); !slices.Contains(acts, "password.set") {
					t.Errorf("%s has no password: %v", at, acts)
				}
			}
		}
		if want := []string{"201", "400", "201", "201", "409", "400"}; !slices.Equal(codes, want) {
			t.Errorf("statuses %v, want %v\n%s", codes, want, got.raw)
		}
		if n := d.must(200, "GET", "/Users", "").json["totalResults"]; n != 3.0 {
			t.Errorf("%v people are there, want 3", n)
		}
	})
}

// Without somebody to keep passwords, and in strict mode, none is taken.
func TestPasswordsAreNotTaken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		nobody := openDoor(t, db, NewDirectory{Quirks: store.JSON(storesPasswords)})
		nobody.refused(400, "invalidSyntax", "password", "POST", "/Users", userBody("jane", `"password":"a long enough one"`))
		if got := nobody.must(200, "GET", "/ServiceProviderConfig", ""); !strings.Contains(got.raw, `"changePassword":{"supported":false}`) {
			t.Errorf("configuration: %s", got.raw)
		}
		err := db.Write(context.Background(), nobody.admin, func(tx *store.Tx) error {
			_, _, err := Create(tx, NewDirectory{Name: "Strict", Mode: "strict", Quirks: store.JSON(storesPasswords)})
			return err
		})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("a strict directory that stores passwords: %v, want Invalid", err)
		}
	})
}
