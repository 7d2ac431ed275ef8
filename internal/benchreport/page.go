package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/template"
)

// host is the machine, as far as it says something about the figures.
type host struct {
	Processor, Memory, Go, Postgres string
	Cores                           int
	Load, LoadAfter, Day            string
}

func machine(ctx context.Context) host {
	m := host{Cores: runtime.NumCPU(), Go: runtime.Version(), Load: load(), Processor: "unknown", Memory: "unknown", Postgres: "unknown"}
	read := func(file, pattern string) string {
		text, _ := os.ReadFile(file)
		if found := regexp.MustCompile(pattern).FindSubmatch(text); found != nil {
			return string(found[1])
		}
		return ""
	}
	m.Processor = cmp.Or(read("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`), m.Processor)
	var kilobytes float64
	if _, err := fmt.Sscan(read("/proc/meminfo", `(?m)^MemTotal:\s*(\d+)`), &kilobytes); err == nil {
		m.Memory = fmt.Sprintf("%.0f GiB", kilobytes/(1<<20))
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--version").Output(); err == nil {
		version, _, _ := strings.Cut(strings.TrimSpace(string(out)), " (")
		m.Postgres = version
	}
	return m
}

// load is how many programs wanted a processor, over the last minute.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return cmp.Or(first, "unknown")
}

// paths are the requests that have a raw limit, and what is aimed at with 32 clients.
var paths = []struct {
	name, what string
	goal       float64
}{
	{"Door/get", "GET a user", 0.45},
	{"Door/get-with-groups", "GET a user with groups", 0.45},
	{"Door/userName-eq", "filter `userName eq`", 0.28},
	{"Door/get-group-without-members", "GET a group of 100,000 without its members", 0.45},
	{"Door/page-100", "page of 100, by index", 0.50},
	{"Door/page-100-by-cursor/created-0", "page of 100 by cursor, first", 0.50},
	{"Door/page-100-by-cursor/created-50000", "... 50,000 deep", 0.50},
	{"Door/page-100-by-cursor/created-99800", "... 99,800 deep", 0.50},
	{"Door/page-100-by-cursor/userName-0", "page by cursor, sorted by userName, first", 0.50},
	{"Door/page-100-by-cursor/userName-50000", "... 50,000 deep", 0.50},
	{"Door/page-100-by-cursor/userName-99800", "... 99,800 deep", 0.50},
	{"Door/create", "POST a user", 0.60},
	{"Door/patch-user", "PATCH a title", 0.65},
	{"Door/patch-active", "PATCH active", 0.65},
	{"Door/patch-member-of-10", "add or remove a member, group of 10", 0.60},
	{"Door/patch-member-of-100000", "... group of 100,000", 0.60},
	{"SQLite/create", "POST a user, SQLite", 0.50},
}

// others are figures with a goal of their own.
var others = []struct {
	name, unit, what, goal string
	met                    func(float64) bool
}{
	{"Bulk/postgres", "x-single", "1,000 creations in a Bulk, over 1,000 requests of one client, PostgreSQL", "≥ 3 times as fast", atLeast(3)},
	{"Bulk/sqlite", "x-single", "the same, SQLite", "≥ 3 times as fast", atLeast(3)},
	{"Bulk/postgres", "x-eight", "1,000 creations in a Bulk, over 1,000 requests of eight clients, PostgreSQL", "", nil},
	{"Door/read-group-of-100000", "x-raw", "GET a group of 100,000 members, of the raw statement", "≥ 0.80", atLeast(0.8)},
	{"Door/read-group-of-100000", "peak-MiB", "... memory while it streams", "≤ 10 MiB", atMost(10)},
	{"Walk/postgres", "peak-MiB", "100,000 people walked by cursor: memory, PostgreSQL", "≤ 16 MiB", atMost(16)},
	{"Walk/sqlite", "peak-MiB", "the same, SQLite", "≤ 16 MiB", atMost(16)},
	{"Growth/get", "people", "people in the large organization of the next five", "", nil},
	{"Growth/get", "x-growth", "GET a user: CPU there, over CPU with 1,000 people", "≤ 2", atMost(2)},
	{"Growth/get-with-groups", "x-growth", "GET a user with groups, the same", "≤ 2", atMost(2)},
	{"Growth/userName-eq", "x-growth", "filter `userName eq`, the same", "≤ 2", atMost(2)},
	{"Growth/externalId-eq", "x-growth", "filter `externalId eq`, the same", "≤ 2", atMost(2)},
	{"Growth/page-100-by-cursor", "x-growth", "page of 100 by cursor in the middle, the same", "≤ 1.2", atMost(1.2)},
	{"SAMLResponse/5KB", "best-µs", "check of a signed SAML response of 5 KB, µs", "≤ 300", atMost(300)},
	{"SAMLResponse/5KB", "allocs/op", "... allocations", "≤ 1,500", atMost(1500)},
	{"SAMLResponse/5KB", "x-limit", "... over RSA, SHA-256 and one XML pass alone", "", nil},
	{"SAMLResponse/5KB", "x-faster-than-crewjam", "... times as fast as crewjam/saml", "", nil},
	{"SAMLResponse/150-groups", "best-µs", "check of a response with 150 groups, µs", "≤ 1,000", atMost(1000)},
	{"ACS/postgres/5KB", "cpu-µs/op", "whole sign-in request with a response of 5 KB, µs of CPU, PostgreSQL's included", "≤ 1,200", atMost(1200)},
	{"ACS/sqlite/5KB", "cpu-µs/op", "the same, SQLite", "", nil},
	{"Callback/ours/groups=0", "cpu-µs/op", "OpenID Connect callback without network, µs of CPU", "≤ 150", atMost(150)},
	{"Callback/limit/groups=0", "cpu-µs/op", "... RSA, SHA-256 and one reading of the JSON alone", "", nil},
	{"Callback/go-oidc/groups=0", "cpu-µs/op", "... go-oidc alone, which checks less", "", nil},
	{"SignIns/sqlite/more", "of-hash", "sign-ins with a password, of the rate of argon2id alone on all cores, SQLite", "≥ 0.90", atLeast(0.9)},
	{"SignIns/sqlite/more", "cpu-of-hash", "... the same of processor time", "", nil},
	{"SignIns/sqlite/more", "get-p99-ms", "... GET of a SCIM user meanwhile, ms at the 99th percentile", "≤ 20", atMost(20)},
	{"SignIns/sqlite/plain", "get-p99-ms", "... without the processors that the server adds for the Go scheduler", "", nil},
	{"SignIns/sqlite/more", "get-alone-p99-ms", "... when nobody signs in", "", nil},
	{"SignIns/postgres/more", "of-hash", "sign-ins with a password, of the rate of argon2id alone on all cores, PostgreSQL", "≥ 0.90", atLeast(0.9)},
	{"SignIns/postgres/more", "cpu-of-hash", "... the same of processor time, PostgreSQL's included", "", nil},
	{"SignIns/postgres/more", "get-p99-ms", "... GET of a SCIM user meanwhile, ms at the 99th percentile", "≤ 20", atMost(20)},
	{"SignIns/postgres/plain", "get-p99-ms", "... without the processors that the server adds for the Go scheduler", "", nil},
	{"SignIns/postgres/more", "get-alone-p99-ms", "... when nobody signs in", "", nil},
	{"Import/postgres", "of-raw", "import of 50,000 people from a file, of the rate of the raw loop, PostgreSQL", "≥ 0.50", atLeast(0.5)},
	{"Import/postgres", "with-preview-of-raw", "... with the reading of the file and the preview, which the loop has not", "", nil},
	{"Import/postgres", "import-cpu-us/row", "... µs of CPU for a person", "≤ 75", atMost(75)},
	{"Import/postgres", "preview-cpu-us/row", "... of the reading and the preview", "", nil},
	{"Import/postgres", "raw-cpu-us/row", "... of the loop", "", nil},
	{"Import/postgres", "MiB-more", "... memory, while garbage is collected at every few MiB", "≤ 64 MiB", atMost(64)},
	{"Import/sqlite", "of-raw", "import of 50,000 people from a file, of the rate of the raw loop, SQLite", "≥ 0.50", atLeast(0.5)},
	{"Import/sqlite", "with-preview-of-raw", "... with the reading of the file and the preview, which the loop has not", "", nil},
	{"Import/sqlite", "import-cpu-us/row", "... µs of CPU for a person", "≤ 75", atMost(75)},
	{"Import/sqlite", "preview-cpu-us/row", "... of the reading and the preview", "", nil},
	{"Import/sqlite", "raw-cpu-us/row", "... of the loop", "", nil},
	{"Import/sqlite", "MiB-more", "... memory, while garbage is collected at every few MiB", "≤ 64 MiB", atMost(64)},
	{"FirstPaint/postgres", "first-paint-ms", "first paint of Manage users in Chromium, ms, 100,000 people, empty cache, PostgreSQL", "≤ 1,000", atMost(1000)},
	{"FirstPaint/sqlite", "first-paint-ms", "the same, SQLite", "≤ 1,000", atMost(1000)},
}

// lists are the pages of Manage users with 100,000 people; each is to take 50 ms at most
// and 100 KB.
var lists = []struct{ name, what string }{
	{"all", "everybody, by name"}, {"all-last-name-first", "... the last name first"}, {"all-by-address", "... by address"}, {"all-by-sign-in", "... by sign-in, longest ago first"},
	{"all-by-last-sign-in", "... by sign-in, newest first"}, {"all-newest-first", "... newest first"}, {"all-by-status", "... by status"},
	{"active", "status active (94,000)"}, {"active-by-last-sign-in", "... by sign-in"}, {"deactivated", "status deactivated (5,000)"}, {"invited-by-last-sign-in", "status invited (1,000), by sign-in"},
	{"viewers", "role Viewer (2,000)"}, {"default-role", "the default role (98,000)"}, {"admins", "role Admin (1)"}, {"team-of-all", "team of everybody"}, {"team-of-all-by-status", "... by status"},
	{"team-of-all-deactivated", "... and deactivated"}, {"source", "source (100,000)"}, {"no-directory", "managed by nobody"}, {"never-signed-in", "never signed in (33,000)"}, {"not-for-30-days", "not for 30 days"},
	{"created-today", "created today"}, {"word", "search for a word of 900"}, {"two-common-words", "two words of 8,000 each"}, {"user-name", "a user name"}, {"employee-number", "an employee number"},
	{"two-letters", "two letters, of 8,000"}, {"one-letter", "one letter, of 8,000"}, {"one-letter-of-all", "one letter, of everybody"}, {"word-and-letter-of-all", "a word of 8,000 and a letter of everybody"},
	{"word-deactivated-by-last-sign-in", "a word of 8,000, deactivated, by sign-in"}, {"nobody", "a word of nobody"},
	{"word-and-letter-by-last-sign-in", "a word of 8,000 and a letter of everybody, by sign-in"}, {"word-and-letter-deep", "... by name, deep in the list"}, {"word-and-letter-deactivated", "... deactivated"}, {"three-words", "... and a third word"},
	{"two-letters-of-many", "a letter of everybody and one of 8,000"}, {"letter-of-all-twice", "two words of everybody"}, {"letter-of-all-by-status", "a letter of everybody, by status"}, {"letter-of-all-deactivated-by-last-sign-in", "... deactivated, by sign-in"},
	{"letter-of-all-team-deep", "... in a team of everybody, deep in the list"}, {"letter-of-all-default-role", "... with the default role"}, {"letter-of-all-viewers-by-last-sign-in", "... role Viewer, by sign-in"}, {"letter-last-name-first", "one letter, the last name first"},
	{"three-filters", "status, source and never signed in"}, {"three-filters-by-last-sign-in", "status, role and a time, by sign-in"}, {"team-of-all-default-role-never", "team of everybody, the default role, never signed in"},
	{"team-of-all-invited-by-address", "team of everybody, invited, by address"}, {"team-of-all-not-for-30-days-by-last-sign-in", "... not for 30 days, by sign-in"}, {"team-of-all-deep", "... deep in the list"}, {"team-of-all-viewers", "... role Viewer"},
	{"default-role-deactivated-by-last-sign-in", "the default role, deactivated, by sign-in"}, {"deactivated-last-name-first-deep", "deactivated, the last name first, deep in the list"}, {"license", "the license of those without another one (97,000)"},
	{"license-team-of-all-by-last-sign-in", "... in a team of everybody, by sign-in"}, {"no-second-factor", "without a second factor (everybody)"}, {"no-second-factor-team-of-all-deactivated", "... deactivated, in a team of everybody"},
}

const (
	listGoal = 50.0 // ms
	sizeGoal = 100_000
)

// listTable has a row for each filter of Manage users.
func listTable(all results) string {
	var b strings.Builder
	b.WriteString("| filter | PostgreSQL, ms | CPU ms | SQLite, ms | CPU ms | bytes | goal |\n|---|---|---|---|---|---|---|\n")
	for _, l := range lists {
		var cells []string
		met, bytes := true, 0.0
		for _, database := range []string{"postgres", "sqlite"} {
			at := slices.IndexFunc(all, func(r *result) bool { return r.name == "ManageUsers/"+database+"/"+l.name })
			if at < 0 {
				continue
			}
			ms, _ := all[at].get("p50-ms")
			cpu, _ := all[at].get("cpu-ms")
			size, _ := all[at].get("bytes")
			cells, met, bytes = append(cells, thousands(ms), thousands(cpu)), met && ms <= listGoal && size <= sizeGoal, max(bytes, size)
		}
		if len(cells) == 4 {
			fmt.Fprintf(&b, "| %s | %s | %s | %.0f ms, %s |\n", l.what, strings.Join(cells, " | "), thousands(bytes), listGoal, verdict(met))
		}
	}
	return b.String()
}

func atLeast(goal float64) func(float64) bool { return func(v float64) bool { return v >= goal } }
func atMost(goal float64) func(float64) bool  { return func(v float64) bool { return v <= goal } }

//go:embed page.md
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

func page(m host, all results) []byte {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{"Machine": m, "Paths": pathTable(all), "Others": otherTable(all), "Lists": listTable(all), "Rest": restTable(all)})
	if err != nil { // the template is ours
		panic(err)
	}
	return b.Bytes()
}

// pathTable has a row for each request and number of clients.
func pathTable(all results) string {
	var b strings.Builder
	b.WriteString("| request | clients | a second | raw, a second | ratio | goal | CPU µs, raw | of that PostgreSQL, raw | allocations |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range paths {
		for _, r := range all {
			if r.name != p.name || r.clients == "" {
				continue
			}
			own, _ := r.get("ns/op")
			raw, _ := r.get("raw-ns/op")
			ratio, _ := r.get("x-raw")
			cpu, _ := r.get("cpu-ns/op")
			rawCPU, _ := r.get("raw-cpu-ns/op")
			db, onPostgres := r.get("db-cpu-ns/op")
			rawDB, _ := r.get("raw-db-cpu-ns/op")
			part := ""
			if onPostgres {
				part = fmt.Sprintf("%.0f, %.0f", db/1000, rawDB/1000)
			}
			allocs, _ := r.get("allocs/op")
			goal := ""
			if r.clients == "32" {
				goal = fmt.Sprintf("%.2f, %s", p.goal, verdict(ratio >= p.goal))
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %.2f | %s | %.0f, %.0f | %s | %.0f |\n",
				p.what, r.clients, perSecond(own), perSecond(raw), ratio, goal, cpu/1000, rawCPU/1000, part, allocs)
		}
	}
	return b.String()
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**not met**"
}

func perSecond(ns float64) string {
	if ns == 0 {
		return "-"
	}
	return thousands(1e9 / ns)
}

// thousands writes three digits that mean something, with commas.
func thousands(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.3g", v)
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	digits := fmt.Sprintf("%.0f", math.Round(v/unit)*unit)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func otherTable(all results) string {
	var b strings.Builder
	b.WriteString("| what | measured | goal |\n|---|---|---|\n")
	for _, o := range others {
		for _, r := range all {
			v, ok := r.get(o.unit)
			if r.name != o.name || !ok {
				continue
			}
			goal := o.goal
			if o.met != nil {
				goal += ", " + verdict(o.met(v))
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", o.what, thousands(v), goal)
		}
	}
	return b.String()
}

// restTable has whatever else was measured, with every figure.
func restTable(all results) string {
	known := map[string]bool{}
	for _, p := range paths {
		known[p.name] = true
	}
	for _, o := range others {
		known[o.name] = true
	}
	for _, l := range lists {
		known["ManageUsers/postgres/"+l.name], known["ManageUsers/sqlite/"+l.name] = true, true
	}
	var b strings.Builder
	b.WriteString("| benchmark | figures |\n|---|---|\n")
	for _, r := range all {
		if known[r.name] {
			continue
		}
		var figures []string
		for _, unit := range slices.Sorted(maps.Keys(r.figures)) {
			v, _ := r.get(unit)
			figures = append(figures, thousands(v)+" "+unit)
		}
		name := r.name
		if r.clients != "" {
			name += ", " + r.clients + " clients"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", name, strings.Join(figures, ", "))
	}
	return b.String()
}
