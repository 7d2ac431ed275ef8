package console_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func TestTheRecordAsAFile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.post("boss", s.path("/users/{agent}/deactivate"), 303, url.Values{"why": {"=HYPERLINK(1)"}})
		s.write(s.muster, func(tx *store.Tx) error {
			for i := range 250 { // more than one page
				if err := tx.Record(store.Activity{Action: "test.step", TargetKind: "thing", TargetID: "x", TargetName: fmt.Sprint("step ", i)}); err != nil {
					return err
				}
			}
			return nil
		})

		w := s.do("viewer", "GET", "/console/acme/activity/export?format=csv", nil)
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(w.Body.String(), "\ufeff"))).ReadAll()
		if err != nil || w.Code != 200 || w.Header().Get("Content-Disposition") != "attachment; filename=activity.csv" {
			t.Fatalf("status %d, %v, %v", w.Code, w.Header(), err)
		}
		column := map[string]int{}
		for i, name := range rows[0] {
			column[name] = i
		}
		found := false
		for _, row := range rows[1:] {
			if row[column["action"]] == "user.deactivate" {
				found = true
				if got := row[column["why"]]; got != "'=HYPERLINK(1)" {
					t.Errorf("a formula came out as %q", got)
				}
				if row[column["actor"]] != "boss" || row[column["target"]] != "Agent Person" || row[column["ip"]] != "192.0.2.1" || !strings.Contains(row[column["after"]], `"deactivated"`) {
					t.Errorf("the row is %q", row)
				}
			}
		}
		if !found {
			t.Errorf("the deactivation is missing among %d rows", len(rows))
		}

		count := func(query string) (n int) {
			t.Helper()
			w := s.do("viewer", "GET", "/console/acme/activity/export?format=jsonl&"+query, nil)
			if w.Code != 200 {
				t.Fatalf("%s: status %d: %s", query, w.Code, w.Body)
			}
			seen := map[string]bool{}
			for line := range strings.Lines(w.Body.String()) {
				var row struct{ ID, Action, At string }
				if err := json.Unmarshal([]byte(line), &row); err != nil || seen[row.ID] {
					t.Fatalf("%v, or twice: %s", err, line)
				}
				seen[row.ID] = true
			}
			return len(seen)
		}
		if n := count("action=test.step"); n != 250 {
			t.Errorf("%d rows of 250", n)
		}
		boss := string(s.people["boss"])
		today := time.Now().UTC().Format(time.DateOnly)
		for query, want := range map[string]int{
			"action=user.deactivate&by=" + boss:                       1,
			"action=user.deactivate&by=boss@acme.example":             1,
			"action=user.deactivate&by=" + string(s.people["viewer"]): 0,
			"action=test.step&since=1h":                               250,
			"action=test.step&since=" + today + "&until=" + today:     250,
			"action=test.step&until=2020-01-01":                       0,
			"action=test.step&since=2099-01-01":                       0,
			"action=user.deactivate&person=agent@acme.example":        1,
		} {
			if n := count(query); n != want {
				t.Errorf("%s: %d rows, want %d", query, n, want)
			}
		}
		for query, want := range map[string]int{"format=xlsx": 400, "format=csv&since=soon": 400, "format=csv&perso=x": 400, "format=csv&by=nobody@x.example": 400} {
			if w := s.do("viewer", "GET", "/console/acme/activity/export?"+query, nil); w.Code != want {
				t.Errorf("%s: status %d, want %d", query, w.Code, want)
			}
		}
		// Who took it along is in the record itself; who may not, took nothing.
		has(t, s.page("boss", "/console/acme/activity?action=activity.export"), "viewer took along the activity log")
		if w := s.do("agent", "GET", "/console/acme/activity/export?format=csv", nil); w.Code != 403 {
			t.Errorf("an agent: %d", w.Code)
		}
	})
}

func TestTheRecordForPrograms(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.write(s.muster, func(tx *store.Tx) error {
			for i := range 5 {
				if err := tx.Record(store.Activity{Action: "test.step", TargetKind: "thing", TargetID: "x", TargetName: fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			return nil
		})
		var got []string
		for cursor, pages := "", 0; ; pages++ {
			w := s.do("viewer", "GET", "/api/v1/activity?action=test.step&limit=2&cursor="+cursor, nil)
			var page struct {
				Activity []struct {
					Target    string
					ActorKind access.Kind `json:"actor_kind"`
				}
				Next string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 || pages > 3 {
				t.Fatalf("page %d: status %d, %v: %s", pages, w.Code, err, w.Body)
			}
			for _, a := range page.Activity {
				got = append(got, a.Target)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if strings.Join(got, "") != "43210" {
			t.Errorf("got %v", got)
		}
		for _, query := range []string{"limit=0", "limit=x", "cursor=x", "since=x", "wat=1"} {
			if w := s.do("viewer", "GET", "/api/v1/activity?"+query, nil); w.Code != 400 {
				t.Errorf("%s: status %d", query, w.Code)
			}
		}
	})
}
