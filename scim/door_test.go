package scim

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/texts"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

const testURL = "https://id.example.com"

// door is one directory's connection to a server that has nothing else.
type door struct {
	t         testing.TB
	db        *store.DB
	mux       http.Handler
	admin     access.Actor
	directory store.Directory
	token     string
	log       *Log
}

// openDoor makes an organization with a directory and mounts the door.
func openDoor(t testing.TB, db *store.DB, in NewDirectory) *door {
	t.Helper()
	_, admin := storetest.Org(t, db, "acme")
	mux, requests := mounted(t, db)
	d := &door{log: requests, t: t, db: db, mux: mux, admin: admin}
	return d.another(in)
}

// mounted is a server, one replica of those on this database.
func mounted(t testing.TB, db *store.DB) (http.Handler, *Log) {
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	m := web.NewMux(web.Options{PublicURL: testURL, Log: log})
	return openapitest.Checked(t, m), Mount(m, db, Options{PublicURL: testURL, Log: log})
}

// another is a second directory of the same organization.
func (d *door) another(in NewDirectory) *door {
	d.t.Helper()
	if in.Name == "" {
		in.Name = "Test"
	}
	other := *d
	err := d.db.Write(context.Background(), d.admin, func(tx *store.Tx) (err error) {
		other.directory, other.token, err = Create(tx, in)
		return err
	})
	if err != nil {
		d.t.Fatalf("create directory: %v", err)
	}
	return &other
}

// testLog shows error lines, which no test should see.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

// reply is an answer, its body decoded when it is JSON.
type reply struct {
	code   int
	header http.Header
	raw    string
	json   map[string]any
}

func (r reply) str(name string) string { s, _ := r.json[name].(string); return s }

// do sends a request to path under the base URL. head are header lines.
func (d *door) do(method, path, body string, head ...string) reply {
	d.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, BaseURL(testURL, d.directory.ID)+path, in)
	r.Header.Set("Authorization", "Bearer "+d.token)
	if body != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, line := range head {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return d.serve(r)
}

func (d *door) serve(r *http.Request) reply {
	d.t.Helper()
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	out := reply{code: w.Code, header: w.Header(), raw: w.Body.String()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), contentType) {
		if err := json.Unmarshal(w.Body.Bytes(), &out.json); err != nil {
			d.t.Fatalf("%s %s: the answer is not JSON: %v\n%s", r.Method, r.URL, err, out.raw)
		}
	}
	return out
}

// must is do with a status that is expected.
func (d *door) must(code int, method, path, body string, head ...string) reply {
	d.t.Helper()
	got := d.do(method, path, body, head...)
	if got.code != code {
		d.t.Fatalf("%s %s %s\n got %d %s\nwant %d", method, path, body, got.code, got.raw, code)
	}
	return got
}

// refused is must for an error: it looks at the SCIM error body too.
func (d *door) refused(code int, scimType, part, method, path, body string, head ...string) reply {
	d.t.Helper()
	got := d.must(code, method, path, body, head...)
	if got.str("scimType") != scimType || got.str("status") != itoa(code) || !strings.Contains(got.str("detail"), part) ||
		!strings.Contains(got.raw, "urn:ietf:params:scim:api:messages:2.0:Error") {
		d.t.Fatalf("%s %s %s\n got %s\nwant scimType %q and %q", method, path, body, got.raw, scimType, part)
	}
	inGerman(d.t, got.str("detail"))
	return got
}

var englishWords = regexp.MustCompile(`\b(the|is|are|want|must|cannot|not|of|with|has|have|Send|Use)\b`)

// inGerman fails for what an admin who reads German finds in English in the log.
func inGerman(t testing.TB, detail string) {
	t.Helper()
	if said := texts.ReaderOf("de", "").Kept(detail); said == detail || englishWords.MatchString(said) {
		t.Errorf("%q is said in German as %q", detail, said)
	}
}

func userBody(name string, more ...string) string {
	return `{"schemas":["` + userURN + `"],"userName":"` + name + `"` + strings.Join(append([]string{""}, more...), ",") + `}`
}

func groupBody(name string, more ...string) string {
	return `{"schemas":["` + groupURN + `"],"displayName":"` + name + `"` + strings.Join(append([]string{""}, more...), ",") + `}`
}

func patchBody(ops string) string {
	return `{"schemas":["` + patchURN + `"],"Operations":[` + ops + `]}`
}

func memberJSON(ids ...string) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = `{"value":"` + id + `"}`
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// user creates a user and gives the id.
func (d *door) user(name string, more ...string) string {
	d.t.Helper()
	return d.must(201, "POST", "/Users", userBody(name, more...)).str("id")
}

// group creates a group and gives the id.
func (d *door) group(name string, members ...string) string {
	d.t.Helper()
	return d.must(201, "POST", "/Groups", groupBody(name, `"members":`+memberJSON(members...))).str("id")
}

// memberIDs are the members that GET shows.
func (d *door) memberIDs(group string) map[string]bool {
	d.t.Helper()
	out := map[string]bool{}
	list, _ := d.must(200, "GET", "/Groups/"+group, "").json["members"].([]any)
	for _, m := range list {
		out[m.(map[string]any)["value"].(string)] = true
	}
	return out
}

// mapRole maps a value of the directory.
func (d *door) mapRole(m store.RoleMapping) {
	d.t.Helper()
	err := d.db.Write(context.Background(), d.admin, func(tx *store.Tx) error {
		_, err := tx.MapRole(d.directory.ID, m)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// rolesOf are the roles that the directory gave a user: "viewer: roles \"Viewer\"".
func (d *door) rolesOf(user string) string {
	d.t.Helper()
	var roles string
	err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
		of, err := tx.RolesOf([]store.UserID{store.UserID(user)})
		roles = rolesIn(of[store.UserID(user)])
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return roles
}

// activities are the actions on record, newest first.
func (d *door) activities(target string) []string {
	d.t.Helper()
	var out []string
	err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
		list, err := tx.Activities(store.ActivityQuery{Target: target, Limit: 200})
		for _, a := range list {
			out = append(out, a.Action)
		}
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}
