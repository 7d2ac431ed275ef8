package scim

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestTheSettingsAPI(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newLogSite(t, db, NewDirectory{Name: "Okta", Vendor: "okta"})
		at := "/api/v1/directories/" + string(s.directory.ID) + "/settings"
		var got struct {
			Vendor, Mode, Needs string
			Quirks, Preset      Quirks
			Own                 json.RawMessage
			Version             string
		}
		s.send("boss", "GET", at, "", 200, &got)
		if got.Vendor != "okta" || got.Needs == "" || got.Quirks != presetOf("okta", "compat") || got.Preset != got.Quirks || string(got.Own) != "{}" {
			t.Errorf("at first: %+v", got)
		}
		s.send("boss", "PATCH", at, `{"quirks":{"stringBooleans":false,"deleteMeans":"deactivate","requestsPerSecond":100,"unquotedFilterValues":null}}`, 200, &got)
		if got.Quirks.StringBooleans || got.Quirks.DeleteMeans != deleteDeactivates || got.Quirks.RequestsPerSecond != 100 || !got.Preset.StringBooleans {
			t.Errorf("after a change: %+v", got)
		}
		var seen, is struct{ Version string }
		s.send("boss", "GET", at, "", 200, &seen)
		if seen.Version == "" || seen.Version != got.Version {
			t.Errorf("version %q after a change, %q when it is read", got.Version, seen.Version)
		}
		s.send("boss", "PATCH", at, `{"quirks":{"requestsPerSecond":50},"version":"`+seen.Version+`"}`, 200, &is)
		var late struct{ Field string }
		if s.send("boss", "PATCH", at, `{"quirks":{"requestsPerSecond":70},"version":"`+seen.Version+`"}`, 409, &late); late.Field != "version" {
			t.Errorf("somebody else was faster: field %q", late.Field)
		}
		if s.send("boss", "GET", at, "", 200, &got); got.Quirks.RequestsPerSecond != 50 || got.Version != is.Version {
			t.Errorf("after the faster one: %+v, version %q", got, is.Version)
		}
		s.send("boss", "PATCH", at, `{"quirks":{"requestsPerSecond":100},"version":"`+is.Version+`"}`, 200, nil)
		clock.Pass(settingsFor + time.Second)
		s.refused(400, "invalidValue", "boolean", "POST", "/Users", userBody("jane", `"active":"true"`))
		s.send("boss", "PATCH", at, `{"reset":true,"mode":"strict"}`, 200, &got)
		if got.Mode != "strict" || got.Quirks != strict {
			t.Errorf("reset: %+v", got)
		}
		for body, field := range map[string]string{`{"quirks":{"lenient":true}}`: "quirks", `{"quirks":{"strict":"perhaps"}}`: "quirks", `{"quirks":{"strict":[true]}}`: "quirks",
			`{"mode":"loose"}`: "mode", `{"vendor":"no vendor"}`: "vendor", `{"colour":"red"}`: "colour"} {
			var p struct{ Field string }
			if s.send("boss", "PATCH", at, body, 400, &p); p.Field != field {
				t.Errorf("%s: field %q, want %q", body, p.Field, field)
			}
		}
		for who, want := range map[string]int{"viewer": 403, "stranger": 404, "nobody": 401} {
			s.send(who, "GET", at, "", want, nil)
			s.send(who, "PATCH", at, `{"reset":true}`, want, nil)
		}
	})
}
