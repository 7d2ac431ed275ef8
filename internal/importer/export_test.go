package importer_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (s *stage) export(e importer.Export) string {
	s.t.Helper()
	var out strings.Builder
	if err := s.door.Export(ctx, s.admin, e, &out, func() {}); err != nil {
		s.t.Fatal(err)
	}
	return out.String()
}

// What people are called by whoever means harm, or by their parents.
var hostile = []string{"=HYPERLINK(\"http://x\")", "+1", "-1", "@SUM(1)", "'=x", "''", "'Hara", "\uff1dA1", "\uff0b1", "\uff0d1", "\uff20x", "\u00a0=1", "a,b;c|d", `"q"`, "<b>x</b>", "%x", "|x"}

func TestAnExportIsReadBackAsItWas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.team("Support")
		s.team("=Team")
		s.start(s.read("email,role,teams,manager,city,street,company,language\nann@example.com,viewer,Support|=Team,boss@acme.example,Bonn,Main 1,Acme,de\n", nil))
		for i, name := range hostile {
			s.person(string(rune('a'+i)) + "@x.example")
			s.change(string(rune('a'+i))+"@x.example", func(p *store.Profile) { p.Title, p.Department, p.Address = name, " "+name, "Line\r\n"+name })
		}
		text := s.export(importer.Export{Format: importer.FormatCSV})
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
		if err != nil || len(rows) != 3+len(hostile) {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, row := range rows[1:] {
			for i, cell := range row {
				if first := strings.TrimSpace(cell); strings.IndexAny(first, "=+-@%|\uff1d\uff0b\uff0d\uff20") == 0 {
					t.Errorf("%s begins like a formula: %q", rows[0][i], cell)
				}
			}
		}
		run := s.read(text, nil)
		if got := s.sum(run); run.Good() != 0 || run.Bad() != 0 {
			t.Errorf("read back: %s", got)
			for _, r := range s.rows(run) {
				t.Log(r.Email, r.Changes, r.Problem)
			}
		}
		// Into another organization, everybody is made as they were.
		there := newStageIn(t, db, "there")
		there.team("Support")
		there.team("=Team")
		there.start(there.read(strings.ReplaceAll(text, "boss@acme.example", "boss2@acme.example"), nil))
		for i, name := range hostile {
			if p := there.named(string(rune('a'+i)) + "@x.example").Profile(); p.Title != strings.TrimSpace(name) || p.Department != strings.TrimSpace(name) {
				t.Errorf("%q became %+v", name, p)
			}
		}
		ann := there.named("ann@example.com")
		if doc := string(ann.Doc); !strings.Contains(doc, "Bonn") || !strings.Contains(doc, "Main 1") || ann.ManagerID != there.named("boss2@acme.example").ID {
			t.Errorf("ann: %s", doc)
		}
	})
}

func TestExports(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.team("Support")
		s.start(s.read("email,first,teams\nann@example.com,Ann,Support\nbob@example.com,Bob,\n", nil))
		if got := s.export(importer.Export{Format: "csv", Columns: []string{"email", "teams", "status"}, People: store.PeopleQuery{Search: "ann"}}); got != "\ufeffemail,teams,status\nann@example.com,Support,active\n" {
			t.Errorf("chosen: %q", got)
		}
		lines := strings.Split(strings.TrimSpace(s.export(importer.Export{Format: "jsonl"})), "\n")
		var ann struct {
			ID, Email, Status, Source string
			Teams                     []string
		}
		if len(lines) != 3 || json.Unmarshal([]byte(lines[1]), &ann) != nil || ann.Email != "ann@example.com" || len(ann.Teams) != 1 || ann.Source != "csv" || len(ann.ID) != 32 {
			t.Errorf("%d lines, %+v", len(lines), ann)
		}
		for _, wrong := range []importer.Export{{Format: "xlsx"}, {Format: "csv", Columns: []string{"password"}}, {Format: "csv", People: store.PeopleQuery{Status: []store.Status{store.Active, "actve"}}}} {
			if err := s.door.Export(ctx, s.admin, wrong, &strings.Builder{}, func() { t.Error("it began") }); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", wrong, err)
			}
		}
	})
}

func TestTheExportPagesAndTheSample(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		s.team("=Sum")
		s.team("Support")
		s.want(s.do("viewer", "GET", "/console/acme/export", nil), http.StatusOK)
		if got := s.want(s.do("viewer", "GET", "/console/acme/export/people?format=csv&column=email", nil), http.StatusOK); !strings.Contains(got, "boss@acme.example") {
			t.Errorf("%q", got)
		}
		s.want(s.do("viewer", "GET", "/api/v1/export/people.jsonl?column=email,status", nil), http.StatusOK)
		s.want(s.do("viewer", "GET", "/api/v1/export/people.xlsx", nil), http.StatusBadRequest)
		s.want(s.do("stranger", "GET", "/console/acme/export/people?format=csv", nil), http.StatusNotFound)
		sample := s.want(s.do("admin", "GET", "/console/acme/import/template.csv", nil), http.StatusOK)
		if !strings.Contains(sample, "'=Sum|Support") {
			t.Errorf("the sample: %s", sample)
		}
		if run := s.read(sample, nil); run.Good() != 1 || run.Bad() != 0 {
			t.Errorf("our own sample: %s %+v", s.sum(run), s.rows(run)[0].Problem)
		}
	})
}
