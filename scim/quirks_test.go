package scim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Nobody can set a switch that is not in the list, or find one that is not there.
func TestEverySwitchIsListed(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range Switches() {
		names = append(names, s.Name)
		if s.Meaning == "" || s.Source == "" {
			t.Errorf("%s has no meaning or no source", s.Name)
		}
	}
	slices.Sort(names)
	if want := slices.Sorted(maps.Keys(compat.values())); !slices.Equal(names, want) {
		t.Errorf("listed %v\nQuirks has %v", names, want)
	}
}

// A preset is compat, and what it says that it changes.
func TestPresetsAreWhatTheySay(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range Vendors() {
		for _, name := range append([]string{v.Name, strings.ToUpper(v.Name)}, v.Other...) {
			if got, ok := VendorNamed(name); !ok || got.Name != v.Name {
				t.Errorf("VendorNamed(%q) = %s, %v", name, got.Name, ok)
			}
			if name == v.Name || name != strings.ToUpper(v.Name) {
				if seen[name] {
					t.Errorf("%s stands for two vendors", name)
				}
				seen[name] = true
			}
		}
		if v.Label == "" || v.Name != Custom && v.Name != "workday" && !strings.Contains(v.Needs, "Source: ") {
			t.Errorf("%s has no label, or does not say where its needs are known from", v.Name)
		}
		want := compat.values()
		for _, d := range v.Deviations {
			if d.Source == "" || want[d.Switch] == d.Value {
				t.Errorf("%s: %s = %s has no source, or is no deviation", v.Name, d.Switch, d.Value)
			}
			want[d.Switch] = d.Value
		}
		if got := presetOf(v.Name, modeCompat).values(); !maps.Equal(got, want) {
			t.Errorf("%s\n got %v\nwant %v", v.Name, got, want)
		}
		if got := presetOf(v.Name, modeStrict); got != strict {
			t.Errorf("%s in strict mode is %+v", v.Name, got)
		}
	}
	if v, ok := VendorNamed("otka"); ok || v.Name != Custom {
		t.Errorf("an unknown vendor is %s, %v", v.Name, ok)
	}
}

// docs/scim/presets.md is made from the tables: make generate.
func TestPresetsAreOnTheirPage(t *testing.T) {
	t.Parallel()
	const name = "../docs/scim/presets.md"
	page := presetsPage()
	if os.Getenv("MUSTER_WRITE_DOCS") != "" {
		if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(name); err != nil || string(have) != page {
		t.Errorf("%s is stale (%v); run: make generate", name, err)
	}
}

func presetsPage() string {
	var b strings.Builder
	b.WriteString(`# Modes, presets and switches

A directory starts from its mode and, in compat mode, from its vendor's preset. Its own switches override both:

    muster directory show --directory ID
    muster directory set --directory ID --quirk stringBooleans=false --quirk deleteMeans=deactivate
    muster directory set --directory ID --vendor entra --mode compat --reset

The console has the same on the directory's page, under *Settings*. A switch that is as the preset has it is not kept, so it
follows when the vendor or the mode is changed. A vendor that is not in the list is taken as custom. What a client calls itself
(User-Agent) changes nothing; the console only says when it looks like another vendor than the preset's.

## Switches

| Switch | Values | compat | strict | What it does | Source |
|---|---|---|---|---|---|
`)
	loose, tight := compat.values(), strict.values()
	cell := strings.NewReplacer("|", `\|`, "<", "&lt;")
	for _, s := range Switches() {
		values := strings.Join(s.Values, ", ")
		if s.Values == nil {
			values = "a number"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", s.Name, values, loose[s.Name], tight[s.Name], cell.Replace(s.Meaning), cell.Replace(s.Source))
	}
	b.WriteString(`
In strict mode every vendor has the same switches, and DELETE always deletes.

## Presets in compat mode

| Vendor | Also | Departs from compat | What it relies on |
|---|---|---|---|
`)
	for _, v := range Vendors() {
		how := []string{}
		for _, d := range v.Deviations {
			how = append(how, "`"+d.Switch+"` "+d.Value+": "+cell.Replace(d.Source))
		}
		if len(how) == 0 {
			how = []string{"in nothing"}
		}
		fmt.Fprintf(&b, "| `%s` (%s) | %s | %s | %s |\n", v.Name, v.Label, strings.Join(v.Other, ", "), strings.Join(how, "<br>"), cell.Replace(v.Needs))
	}
	return b.String()
}

// switchCase is what a request meets with a switch at two values. given makes what
// it is about and fills in {id} and {group}.
type switchCase struct {
	method, path, body string
	value, other       string
	code, otherCode    int
	says, otherSays    string // part of what GET shows of the user or group afterwards
}

var switchCases = map[string]switchCase{
	"strict":                      {"PATCH", "/Users/{id}", patchBody(`{"op":"replace","value":{"title":"x"}}`), "true", "false", 400, 200, "", `"title":"x"`},
	"stringBooleans":              {"PATCH", "/Users/{id}", patchBody(`{"op":"replace","path":"active","value":"False"}`), "true", "false", 200, 400, `"active":false`, `"active":true`},
	"managerAsString":             {"PATCH", "/Users/{id}", patchBody(`{"op":"add","path":"` + enterpriseURN + `:manager","value":"boss"}`), "true", "false", 200, 400, `"manager":{"value":"boss"}`, ""},
	"rolesAsJSON":                 {"PATCH", "/Users/{id}", patchBody(`{"op":"add","path":"roles","value":[{"value":"{\"id\":\"1\",\"value\":\"25\",\"displayName\":\"Role\"}"}]}`), "true", "false", 200, 200, `"value":"25"`, `\"value\":\"25\"`},
	"removeWithValueArray":        {"PATCH", "/Groups/{group}", patchBody(`{"op":"remove","path":"members","value":[{"value":"{id}"}]}`), "true", "false", 204, 400, `"members":[]`, `{id}`},
	"createOnMissingFilterTarget": {"PATCH", "/Users/{id}", patchBody(`{"op":"replace","path":"emails[type eq \"home\"].value","value":"h@x.example"}`), "true", "false", 200, 400, "h@x.example", ""},
	"unquotedFilterValues":        {"GET", "/Users?filter=userName+eq+jo", "", "true", "false", 200, 400, "", ""},
	"unknownAttributes":           {"PATCH", "/Users/{id}", patchBody(`{"op":"add","path":"shoeSize","value":"9"}`), "ignore", "reject", 200, 400, "", ""},
	"unknownSchemas":              {"PUT", "/Users/{id}", `{"schemas":["` + userURN + `","urn:scim:schemas:core:1.0"],"userName":"{name}","title":"new"}`, "ignore", "reject", 200, 400, `"title":"new"`, ""},
	"membersReplaceIsAdd":         {"PATCH", "/Groups/{group}", patchBody(`{"op":"replace","path":"members","value":[{"value":"{second}"}]}`), "true", "false", 204, 204, `{id}`, `"members":[{"value":"{second}"`},
	"patchResponse":               {"PATCH", "/Users/{id}", patchBody(`{"op":"replace","path":"title","value":"x"}`), "204", "200", 204, 200, `"title":"x"`, `"title":"x"`},
	"deleteMeans":                 {"DELETE", "/Users/{id}", "", "deactivate", "delete", 204, 204, `"active":false`, "not found"},
	"ignoreUnknownMembers":        {"PATCH", "/Groups/{group}", patchBody(`{"op":"add","path":"members","value":[{"value":"0192f1a4c0de7abc8def0123456789ab"}]}`), "true", "false", 204, 400, `{id}`, `{id}`},
	"passwordHandling":            {"PATCH", "/Users/{id}", patchBody(`{"op":"replace","path":"password","value":"x"}`), "ignore", "reject", 200, 400, "", ""},
	"groupDisplayNameUnique":      {"POST", "/Groups", groupBody("Staff"), "true", "false", 409, 201, "", ""},
}

// Every switch does what it says, and not what its other value says.
func TestEverySwitchWorks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		door := openDoor(t, db, NewDirectory{})
		n := 0
		for _, s := range Switches() {
			c, ok := switchCases[s.Name]
			if !ok && s.Name != "requestsPerSecond" && s.Name != "oauthOnly" { // TestRateLimitOfADirectory, TestIPSIEAccess
				t.Errorf("%s is not tried", s.Name)
			}
			for i, value := range []string{c.value, c.other} {
				if !ok {
					continue
				}
				n++
				typed, err := s.parse(value)
				if err != nil {
					t.Fatal(err)
				}
				own, _ := json.Marshal(map[string]any{s.Name: typed})
				d := door.another(NewDirectory{Name: s.Name + value, Quirks: own})
				name := s.Name + value
				id, second := d.user(name), d.user("second"+name)
				fill := strings.NewReplacer("{name}", name, "{id}", id, "{second}", second, "{group}", d.group("Staff", id))
				code, says := c.code, c.says
				if i == 1 {
					code, says = c.otherCode, c.otherSays
				}
				got := d.do(c.method, fill.Replace(c.path), fill.Replace(c.body))
				if got.code != code {
					t.Errorf("%s=%s: %s %s %s\n got %d %s, want %d", s.Name, value, c.method, c.path, c.body, got.code, got.raw, code)
				}
				if after := d.do("GET", fill.Replace(c.path), ""); !strings.Contains(strings.ReplaceAll(after.raw, `": `, `":`), fill.Replace(says)) {
					t.Errorf("%s=%s: afterwards %s, want %s", s.Name, value, after.raw, says)
				}
			}
		}
		if n != 2*len(switchCases) {
			t.Errorf("%d values were tried, want %d", n, 2*len(switchCases))
		}
	})
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{Vendor: "PingOne"})
		if d.directory.Vendor != "ping" {
			t.Errorf("PingOne is kept as %q", d.directory.Vendor)
		}
		set := func(ch DirectoryChange) error {
			err := db.Write(context.Background(), d.admin, func(tx *store.Tx) (err error) {
				d.directory, err = Configure(tx, d.directory.ID, ch)
				return err
			})
			clock.Pass(settingsFor + time.Second)
			return err
		}
		must := func(ch DirectoryChange, own string) {
			t.Helper()
			if err := set(ch); err != nil {
				t.Fatalf("%+v: %v", ch, err)
			}
			var have, want any
			if json.Unmarshal(d.directory.Quirks, &have) != nil || json.Unmarshal([]byte(own), &want) != nil || text(have) != text(want) {
				t.Errorf("%+v leaves %s, want %s", ch, d.directory.Quirks, own)
			}
		}
		quirk := func(pairs ...string) map[string]string {
			m := map[string]string{}
			for i := 0; i < len(pairs); i += 2 {
				m[pairs[i]] = pairs[i+1]
			}
			return m
		}
		d.must(200, "GET", "/Users?filter=userName+eq+jo", "")
		must(DirectoryChange{Quirks: quirk("unquotedFilterValues", "false", "REQUESTSPERSECOND", "100", "stringBooleans", "true")}, `{"unquotedFilterValues":false,"requestsPerSecond":100}`)
		d.refused(400, "invalidFilter", "", "GET", "/Users?filter=userName+eq+jo", "")
		// Okta's preset says the same, so the switch is no longer the directory's own.
		must(DirectoryChange{Vendor: "okta", Quirks: quirk("unquotedFilterValues", "false")}, `{"requestsPerSecond":100}`)
		d.refused(400, "invalidFilter", "", "GET", "/Users?filter=userName+eq+jo", "")
		must(DirectoryChange{Quirks: quirk("requestsPerSecond", "", "deleteMeans", "deactivate")}, `{"deleteMeans":"deactivate"}`)
		must(DirectoryChange{Reset: true}, `{}`)
		must(DirectoryChange{Mode: "strict"}, `{}`)
		d.refused(400, "invalidSyntax", "password", "POST", "/Users", userBody("jo", `"password":"x"`))

		before := len(d.activities(string(d.directory.ID)))
		must(DirectoryChange{Mode: "strict", Vendor: "okta", Quirks: quirk("strict", "true")}, `{}`)
		if after := len(d.activities(string(d.directory.ID))); after != before {
			t.Errorf("a change to what is there was recorded: %d rows, then %d", before, after)
		}
		for _, c := range []struct {
			ch   DirectoryChange
			says string
		}{
			{DirectoryChange{Quirks: quirk("lenient", "true")}, "no switch"},
			{DirectoryChange{Quirks: quirk("stringBooleans", "maybe")}, "false, true"},
			{DirectoryChange{Quirks: quirk("requestsPerSecond", "many")}, "a number"},
			{DirectoryChange{Quirks: quirk("requestsPerSecond", "24")}, "25 to"},
			{DirectoryChange{Quirks: quirk("passwordHandling", "store")}, "strict mode"},
			{DirectoryChange{Mode: "loose"}, "compat or strict"},
			{DirectoryChange{Vendor: "no vendor"}, "not a vendor"},
		} {
			if err := set(c.ch); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: %v, want Invalid with %q", c.ch, err, c.says)
			}
		}
		_, stranger := storetest.Org(t, db, "globex")
		err := db.Write(context.Background(), stranger, func(tx *store.Tx) error {
			_, err := Configure(tx, d.directory.ID, DirectoryChange{Reset: true})
			return err
		})
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization's directory: %v, want NotFound", err)
		}
	})
}

// Two admins who change different switches at once keep both.
func TestConfigureLosesNoSwitch(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		names := []string{"stringBooleans", "managerAsString", "removeWithValueArray", "unquotedFilterValues", "groupDisplayNameUnique", "createOnMissingFilterTarget"}
		for range 8 {
			set := func(ch DirectoryChange) error {
				return db.Write(context.Background(), d.admin, func(tx *store.Tx) error {
					_, err := Configure(tx, d.directory.ID, ch)
					return err
				})
			}
			if err := set(DirectoryChange{Reset: true}); err != nil {
				t.Fatal(err)
			}
			begin, done := make(chan struct{}), make(chan error)
			for _, name := range names {
				go func() {
					<-begin
					done <- set(DirectoryChange{Quirks: map[string]string{name: "false"}})
				}()
			}
			close(begin)
			for range names {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			after, err := db.DirectoryByID(context.Background(), d.directory.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if !strings.Contains(string(after.Quirks), name) {
					t.Errorf("%s is lost: %s", name, after.Quirks)
				}
			}
		}
	})
}

// What requests call themselves is a hint, and changes nothing.
func TestHintOfTheUserAgent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{Vendor: "okta"})
		hint := func(want string) {
			t.Helper()
			if err := d.log.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			var v Vendor
			var is bool
			err := db.Read(context.Background(), d.admin, func(tx *store.Tx) (err error) {
				v, is, err = Hint(tx, d.directory)
				return err
			})
			if err != nil || v.Name != want || is != (want != "") {
				t.Errorf("hint %q, %v, %v; want %q", v.Name, is, err, want)
			}
		}
		hint("")
		ask := func(agent string) {
			d.must(200, "GET", "/Users", "", "User-Agent: "+agent)
		}
		ask("Okta SCIM Client 1.0.0")
		ask("curl/8.1")
		hint("")
		ask("goauthentik.io/authentik@2026.8")
		hint("") // one against one
		ask("authentik@2026.8")
		hint("authentik")
		for range 10 { // strangers say nothing
			d.do("GET", "/Users", "", "Authorization: Bearer wrong", "User-Agent: OneLogin")
		}
		hint("authentik")
		if q, err := QuirksOf("okta", "compat", d.directory.Quirks); err != nil || q != presetOf("okta", "compat") {
			t.Errorf("the hint changed behaviour: %+v, %v", q, err)
		}
	})
}
