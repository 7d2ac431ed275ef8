package conform

import (
	"slices"
	"testing"
)

// lenientTiny takes besides the RFC what some of these directories send.
func lenientTiny(t *testing.T, fault string) *tiny {
	t.Helper()
	s := newTiny(t, fault)
	s.lenient = true
	return s
}

func TestVendorReplaysPass(t *testing.T) {
	t.Parallel()
	for _, vendor := range []string{"authentik", "keycloak", "workday", "pingone"} {
		report := runTiny(t, lenientTiny(t, ""), Options{Vendor: vendor, Only: []string{"vendor"}})
		for _, c := range report.Checks {
			if c.Result != Passed {
				t.Errorf("%s: %s: %s\n%v", c.ID, c.Result, c.Why, c.Exchanges)
			}
		}
		if len(report.Checks) < 2 || len(report.Left) > 0 {
			t.Errorf("%s: %d checks, left %v", vendor, len(report.Checks), report.Left)
		}
	}
}

// Each replay of a directory without a public list notices a server that would fail
// it, and the report names the directory.
func TestVendorReplaysFindFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fault, check, vendor string }{
		{"no-bulk-limit", "vendor.authentik.config", "authentik"},
		{"put-partial", "vendor.authentik.user", "authentik"},
		{"duplicate-ok", "vendor.authentik.taken", "authentik"},
		{"first-only", "vendor.authentik.members", "authentik"},
		{"remove-value-all", "vendor.authentik.remove", "authentik"},
		{"update-wipes", "vendor.authentik.update", "authentik"},
		{"put-partial", "vendor.keycloak.user", "keycloak"},
		{"text-booleans-lie", "vendor.keycloak.patch", "keycloak"},
		{"remove-all", "vendor.keycloak.members", "keycloak"},
		{"members-unknown", "vendor.keycloak.group", "keycloak"},
		{"date-ignored", "vendor.workday.delta", "workday"},
		{"inactive-hidden", "vendor.workday.leaver", "workday"},
		{"created-active", "vendor.pingone.disabled", "pingone"},
		{"add-twice", "vendor.pingone.merge", "pingone"},
		{"replace-adds", "vendor.pingone.overwrite", "pingone"},
		{"delete-listed", "vendor.pingone.remove", "pingone"},
	} {
		t.Run(c.check+"/"+c.fault, func(t *testing.T) {
			t.Parallel()
			report := runTiny(t, lenientTiny(t, c.fault), Options{Vendor: c.vendor, Only: []string{c.check}})
			if len(report.Checks) != 1 || report.Checks[0].Result != Failed || report.Checks[0].Why == "" || !slices.Contains(report.Breaks[c.vendor], c.check) {
				t.Errorf("%+v\nbreaks %v", report.Checks, report.Breaks)
			}
		})
	}
}
