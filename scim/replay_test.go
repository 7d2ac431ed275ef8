package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// The files in testdata are what directories send, with what we answer and who is
// there afterwards. A file starts with what it shows, "Source:" (where it was
// taken from) and "Directory:" (vendor, mode and switches); "Mapping:" lines say
// what has been mapped to a role: attribute "value" role. Each section is one
// exchange: request line, headers, body; then "==", the status, headers, body.
//
// In an answer, "..." stands for any value, and as a name for any other names.
// "$jane" stands for any value at first and for that same value from then on,
// also in later requests.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimPrefix(strings.TrimSuffix(file, ".txtar"), "testdata/"), func(t *testing.T) {
			t.Parallel()
			rec := readRecording(t, file)
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				d := openDoor(t, db, rec.directory)
				for _, m := range rec.mappings {
					d.mapRole(m)
				}
				rec.replay(t, d)
			})
		})
	}
}

type recording struct {
	directory NewDirectory
	mappings  []store.RoleMapping
	sections  []section
}

type section struct{ name, text string }

// readRecording reads a txtar file (golang.org/x/tools/txtar).
func readRecording(t *testing.T, file string) recording {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rec recording
	head := ""
	for line := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(line, " --\n") {
			rec.sections = append(rec.sections, section{name: strings.TrimSuffix(name, " --\n")})
		} else if n := len(rec.sections); n > 0 {
			rec.sections[n-1].text += line
		} else {
			head += line
		}
	}
	if !strings.Contains(head, "\nSource: ") {
		t.Fatalf("%s does not say where it was taken from", file)
	}
	_, setup, _ := strings.Cut(head, "\nDirectory: ")
	setup, _, _ = strings.Cut(setup, "\n")
	words := strings.SplitN(setup, " ", 3)
	if len(words) < 2 {
		t.Fatalf("%s has no line Directory: VENDOR MODE [SWITCHES]", file)
	}
	rec.directory = NewDirectory{Vendor: words[0], Mode: words[1]}
	if len(words) == 3 {
		rec.directory.Quirks = store.JSON(words[2])
	}
	for line := range strings.Lines(head) {
		if text, ok := strings.CutPrefix(line, "Mapping: "); ok {
			attr, rest, _ := strings.Cut(text, ` "`)
			value, role, _ := strings.Cut(rest, `" `)
			rec.mappings = append(rec.mappings, store.RoleMapping{Attr: attr, Value: value, Role: strings.TrimSpace(role)})
		}
	}
	return rec
}

func (rec recording) replay(t *testing.T, d *door) {
	vars := map[string]string{"$base": BaseURL(testURL, d.directory.ID)}
	for _, s := range rec.sections {
		var got string
		switch s.name {
		case "users afterwards":
			got = usersAfterwards(t, d)
		case "groups afterwards":
			got = groupsAfterwards(t, d)
		case "roles afterwards":
			got = rolesAfterwards(t, d)
		default:
			exchange(t, d, s, vars)
			continue
		}
		if want := strings.TrimSpace(s.text); got != want {
			t.Errorf("%s\n got\n%s\nwant\n%s", s.name, got, want)
		}
	}
}

// exchange sends one request and compares the answer.
func exchange(t *testing.T, d *door, s section, vars map[string]string) {
	t.Helper()
	request, answer, ok := strings.Cut("\n"+s.text, "\n==")
	if !ok {
		t.Fatalf("%s: no answer", s.name)
	}
	head, body := cutHead(expand(request[1:], vars))
	method, path, _ := strings.Cut(head[0], " ")
	path = strings.NewReplacer(" ", "%20", `"`, "%22", "[", "%5B", "]", "%5D").Replace(path)
	got := d.do(method, path, body, head[1:]...)

	head, body = cutHead(expand(answer, vars))
	code, err := strconv.Atoi(strings.TrimSpace(head[0]))
	if err != nil {
		t.Fatalf("%s: no status: %v", s.name, err)
	}
	if got.code != code {
		t.Fatalf("%s: %s %s\n got %d %s\nwant %d", s.name, method, path, got.code, got.raw, code)
	}
	for _, line := range head[1:] {
		name, want, _ := strings.Cut(line, ": ")
		if have := got.header.Get(name); have != want {
			t.Errorf("%s: %s is %q, want %q", s.name, name, have, want)
		}
	}
	if body == "" {
		if got.raw != "" {
			t.Errorf("%s: the answer has a body: %s", s.name, got.raw)
		}
		return
	}
	var want any
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		t.Fatalf("%s: the expected answer is not JSON: %v", s.name, err)
	}
	if diff := differs("", want, any(got.json), vars); diff != "" {
		var pretty bytes.Buffer
		json.Indent(&pretty, []byte(got.raw), "", "  ")
		t.Errorf("%s: %s\ngot %s", s.name, diff, pretty.String())
	}
}

// cutHead splits lines before the first empty one or the body from the rest.
func cutHead(s string) (head []string, body string) {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, line := range lines {
		if line == "" || line[0] == '{' || line[0] == '[' {
			return head, strings.TrimSpace(strings.Join(lines[i:], "\n"))
		}
		head = append(head, line)
	}
	return head, ""
}

func expand(s string, vars map[string]string) string {
	names := slices.Sorted(maps.Keys(vars))
	slices.Reverse(names) // $jane2 before $jane
	for _, name := range names {
		s = strings.ReplaceAll(s, name, vars[name])
	}
	return s
}

// differs says where got differs from want, or nothing.
func differs(at string, want, got any, vars map[string]string) string {
	switch w := want.(type) {
	case string:
		if w == "..." {
			return ""
		}
		if strings.HasPrefix(w, "$") && w != "$ref" {
			vars[w] = fmt.Sprint(got)
			return ""
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		_, open := w["..."]
		for _, k := range slices.Sorted(maps.Keys(w)) {
			v, there := g[k]
			if k != "..." && !there {
				return at + "." + k + " is missing"
			}
			if k != "..." {
				if diff := differs(at+"."+k, w[k], v, vars); diff != "" {
					return diff
				}
			}
		}
		for _, k := range slices.Sorted(maps.Keys(g)) {
			if _, wanted := w[k]; !wanted && !open {
				return at + "." + k + " is there, and should not be"
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		for i := range w {
			if diff := differs(at+"["+itoa(i)+"]", w[i], g[i], vars); diff != "" {
				return diff
			}
		}
		return ""
	}
	if text(want) != text(got) {
		return at + " is " + text(got) + ", want " + text(want)
	}
	return ""
}

// usersAfterwards is one line for each user of the organization:
// userName | status | externalId | main address | title.
func usersAfterwards(t *testing.T, d *door) string {
	t.Helper()
	var lines []string
	err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
		page, err := tx.People(store.PeopleQuery{Limit: 100})
		for _, p := range page.People {
			lines = append(lines, columns(p.UserName, string(p.Status), p.ExternalID, p.Email, p.Profile().Title))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// rolesAfterwards is one line for each user: userName | role: what gave it, ...
func rolesAfterwards(t *testing.T, d *door) string {
	t.Helper()
	var lines []string
	err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) error {
		page, err := tx.People(store.PeopleQuery{Limit: 100})
		for _, p := range page.People {
			lines = append(lines, columns(p.UserName, rolesIn(p.Grants)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// rolesIn are the roles that a directory gave.
func rolesIn(grants []store.Grant) string {
	var roles []string
	for _, g := range grants {
		if g.Kind == store.FromDirectory {
			roles = append(roles, g.Role+": "+g.Detail)
		}
	}
	slices.Sort(roles)
	return strings.Join(roles, ", ")
}

// groupsAfterwards is one line for each group: displayName | externalId | members.
func groupsAfterwards(t *testing.T, d *door) string {
	t.Helper()
	var lines []string
	err := d.db.Read(context.Background(), access.Actor{Kind: access.Directory, Org: d.admin.Org, ID: string(d.directory.ID)}, func(tx *store.Tx) error {
		groups, err := tx.Groups()
		if err != nil {
			return err
		}
		for _, g := range groups {
			var members []string
			err := tx.Members(g.ID, false, func(m store.Member) error {
				u, err := tx.User(m.ID)
				members = append(members, u.UserName)
				return err
			})
			if err == nil {
				err = tx.Subgroups([]store.GroupID{g.ID}, func(_ store.GroupID, m store.Member) error {
					members = append(members, "group "+m.Name)
					return nil
				})
			}
			if err != nil {
				return err
			}
			slices.Sort(members)
			lines = append(lines, columns(g.Name, g.ExternalID, strings.Join(members, ", ")))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func columns(values ...string) string {
	for i, v := range values {
		if v == "" {
			values[i] = "-"
		}
	}
	return strings.Join(values, " | ")
}
