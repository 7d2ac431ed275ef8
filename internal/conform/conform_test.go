package conform

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// standard are the checks that do not depend on a vendor's quirks.
var standard = []string{"discovery", "auth", "error", "crud", "put", "list", "patch", "etag", "traits", "filter", "projection", "members", "sort", "search", "me", "catalog",
	"vendor.okta.spec", "vendor.rippling", "vendor.sailpoint", "vendor.pingone", "vendor.workday",
	"vendor.authentik.config", "vendor.authentik.user", "vendor.authentik.taken", "vendor.authentik.members", "vendor.keycloak.user", "vendor.keycloak.members", "vendor.keycloak.group"}

func runTiny(t *testing.T, s *tiny, o Options) Report {
	t.Helper()
	o.BaseURL, o.Token = s.url, "secret"
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestRightServerPasses(t *testing.T) {
	t.Parallel()
	s := newTiny(t, "")
	report := runTiny(t, s, Options{Only: standard})
	for _, c := range report.Checks {
		if c.Result == Failed || c.Result == Skipped {
			t.Errorf("%s: %s: %s\n%v", c.ID, c.Result, c.Why, c.Exchanges)
		}
	}
	if report.Summary.Passed < 150 || len(report.Left) > 0 || len(report.Breaks) > 0 {
		t.Errorf("%+v, left %v, breaks %v", report.Summary, report.Left, report.Breaks)
	}
	for kind, all := range s.records {
		for _, rec := range all {
			if !rec.gone {
				t.Errorf("%s/%s is still there", kind, rec.id)
			}
		}
	}
}

// Each fault of the server fails the check that is there for it.
func TestEachFaultIsFound(t *testing.T) {
	t.Parallel()
	for fault, check := range map[string]string{
		"no-location":            "crud.User.location",
		"relative-location":      "crud.User.create",
		"id-from-client":         "crud.User.readonly",
		"duplicate-ok":           "crud.User.duplicate",
		"duplicate-case":         "crud.Group.duplicate.case",
		"delete-200":             "crud.User.delete",
		"delete-soft":            "crud.Group.delete",
		"delete-listed":          "crud.User.delete.list",
		"name-burnt":             "crud.User.delete.reuse",
		"password-shown":         "crud.User.full",
		"put-creates":            "put.User.unknown",
		"put-partial":            "put.User.clear",
		"status-number":          "error.resource",
		"error-no-schemas":       "error.endpoint",
		"content-type":           "error.media",
		"no-auth":                "auth.wrong",
		"auth-html":              "auth.error",
		"post-config":            "discovery.methods.serviceproviderconfig",
		"filter-config":          "discovery.filter.schemas",
		"no-bulk-limit":          "discovery.config",
		"total-page":             "list.User.total",
		"count0-all":             "list.User.count0",
		"startindex-zero":        "list.Group.pages",
		"filter-ignored":         "list.User.none",
		"filter-unknown-empty":   "filter.error.unknown",
		"filter-bad-empty":       "filter.error.dangling",
		"filter-case":            "filter.eq.value-case",
		"filter-externalid-zero": "filter.externalid",
		"and-or":                 "filter.precedence",
		"not-ignored":            "filter.not",
		"valuepath-any":          "filter.valuepath.same",
		"projection-ignored":     "projection.only",
		"patch-empty":            "projection.patch",
		"excluded-id":            "projection.always",
		"if-match-ignored":       "etag.User.match",
		"if-none-match-ignored":  "etag.Group.none-match",
		"if-none-match-writes":   "etag.Group.none-match.write",
		"ne-all":                 "filter.ne.multi",
		"primary-missing":        "filter.valuepath.primary",
		"patch-lie":              "patch.User.title",
		"patch-partial":          "patch.rule.atomic",
		"remove-all":             "patch.User.emails",
		"add-twice":              "patch.rule.noop",
		"readonly-taken":         "patch.User.groups",
		"required-removed":       "patch.User.userName",
		"two-primaries":          "patch.rule.primary",
		"inactive-hidden":        "patch.rule.active",
		"members-wiped":          "members.keep",
		"members-unknown":        "members.unknown",
		"password-listed":        "traits.User.never",
		"request-shown":          "traits.User.request",
		"always-left-out":        "traits.User.always",
		"immutable-put":          "traits.User.immutable",
		"immutable-patched":      "traits.User.immutable",
		"member-swapped":         "traits.Group.immutable.sub",
		"readonly-posted":        "traits.User.readonly",
		"required-missing":       "traits.Group.required",
		"unique-code":            "traits.User.unique",
		"case-loose":             "traits.User.case",
		"canonical-only":         "traits.User.canonical",
		"type-loose":             "traits.User.types",
		"catalog-undeclared":     "catalog.Role.list",
		"catalog-unpaged":        "catalog.Role.first",
		"catalog-differs":        "catalog.Role.one",
		"catalog-any":            "catalog.Role.unknown",
		"catalog-taken":          "catalog.Role.methods",
		"nested-user":            "members.nested",
		"nested-stays":           "members.nested.deleted",
		"indirect-missing":       "members.nested.indirect",
		"type-ignored":           "members.nested.type",
		"circle-of-one":          "members.nested.circle",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			report := runTiny(t, newTiny(t, fault), Options{Only: []string{check}})
			for _, c := range report.Checks {
				if c.ID != check {
					continue
				}
				if c.Result != Failed || c.Why == "" || len(c.Exchanges) == 0 {
					t.Errorf("%s is %s: %s\n%v", c.ID, c.Result, c.Why, c.Exchanges)
				}
				for _, vendor := range c.Breaks {
					if !strings.Contains(strings.Join(report.Breaks[vendor], " "), check) {
						t.Errorf("the report does not say that %s would meet %s", vendor, check)
					}
				}
				return
			}
			t.Errorf("there is no check %s", check)
		})
	}
}

func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	s := newTiny(t, "")
	report := runTiny(t, s, Options{MaxRequests: 60})
	if report.Summary.Failed != 0 || !strings.Contains(report.Stopped, "limit of 60") || !strings.Contains(report.Text(), "not whole") {
		t.Errorf("a limit is held against the server: %+v, stopped %q, %v", report.Summary, report.Stopped, report.Breaks)
	}
	if report.Summary.Skipped == 0 || report.Requests > 60+len(s.records["Users"])+len(s.records["Groups"]) || len(report.Left) > 0 {
		t.Errorf("%d requests, %+v, left %v", report.Requests, report.Summary, report.Left)
	}
}

// A run that is stopped in the middle deletes what it made, too.
func TestStoppedRunCleansUp(t *testing.T) {
	t.Parallel()
	s := newTiny(t, "")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	seen := 0
	s.before = func() {
		if seen++; seen == 200 {
			stop()
		}
	}
	report, err := Run(ctx, Options{BaseURL: s.url, Token: "secret"})
	if err != nil || report.Summary.Skipped < 50 || len(report.Left) > 0 {
		t.Fatalf("%v: %+v, left %v", err, report.Summary, report.Left)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for kind, all := range s.records {
		for _, rec := range all {
			if !rec.gone {
				t.Errorf("%s/%s is still there", kind, rec.id)
			}
		}
	}
}

func TestRunDoesNotBegin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    Options
		want error
		says string
	}{
		{Options{Token: "t"}, ErrOptions, "--url is missing"},
		{Options{BaseURL: "file:///etc", Token: "t"}, ErrOptions, "http:// or https://"},
		{Options{BaseURL: "https://user:pw@example.com", Token: "t"}, ErrOptions, "without user"},
		{Options{BaseURL: "https://example.com"}, ErrOptions, "--token is missing"},
		{Options{BaseURL: "https://example.com", Token: "a\r\nb"}, ErrOptions, "line break"},
		{Options{BaseURL: "https://example.com", Token: "t", Vendor: "none"}, ErrOptions, "--vendor"},
		{Options{BaseURL: newTiny(t, "").url, Token: "wrong"}, ErrToken, "does not take this token"},
		{Options{BaseURL: "http://127.0.0.1:1", Token: "t"}, ErrUnreachable, "does not answer"},
		{Options{BaseURL: newTiny(t, "").url + "/Users", Token: "secret"}, ErrNoSCIM, "behind which /Users stands"},
		{Options{BaseURL: newTiny(t, "").url, Token: "secret", Only: []string{"nosuch", "other"}}, ErrOptions, `"nosuch,other"; no check`},
	} {
		_, err := Run(context.Background(), c.o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %v with %q", c.o, err, c.want, c.says)
		}
	}
}

// A limit of time is held: nothing takes no time.
func TestSlowIsFound(t *testing.T) {
	t.Parallel()
	s := newTiny(t, "")
	r := &runner{opt: Options{Token: "secret", MaxRequests: 100}, base: s.url, ctx: t.Context(), fixtures: map[string][]object{}}
	for limit, want := range map[string]string{"0": Failed, "60000": Passed} {
		got := r.run(probe{"x", "x", "x", must, nil, func(c *check) {
			c.play(script{lines: []string{"GET /Groups", "< 200", "within " + limit + "ms"}})
		}})
		if got.Result != want {
			t.Errorf("within %s ms: %s %s", limit, got.Result, got.Why)
		}
	}
}

// Every script can be read, and the public lists are whole.
func TestScripts(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for _, vendor := range Vendors() {
		text, err := scriptFiles.ReadFile("scripts/" + vendor + ".txt")
		if err != nil {
			continue
		}
		for _, s := range readScripts(vendor, string(text)) {
			for _, head := range []string{"vendor.entra.user.", "vendor.entra.group.", "vendor.entra.preview.", "vendor.okta.spec."} {
				if strings.HasPrefix(s.id, head) {
					count[head]++
				}
			}
			requests, answers := 0, 0
			for _, line := range s.lines {
				if requestLine.MatchString(line) {
					requests++
				} else if strings.HasPrefix(line, "< ") {
					answers++
				} else if !strings.HasPrefix(line, "{") && !keepLine.MatchString(line) && !wantLine.MatchString(line) && !withinLine.MatchString(line) {
					t.Errorf("%s: %q is nothing that a script can have", s.id, line)
				}
			}
			if requests == 0 || requests != answers || s.title == "" || s.source == "" {
				t.Errorf("%s: %d requests, %d answers", s.id, requests, answers)
			}
		}
	}
	if count["vendor.entra.user."]+count["vendor.entra.group."] != 24 || count["vendor.entra.preview."] != 7 || count["vendor.okta.spec."] != 8 {
		t.Errorf("the lists are not whole: %v", count)
	}
}
