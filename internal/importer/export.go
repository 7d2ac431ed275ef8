package importer

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// What an export tells beside the fields; an import does not read it.
const (
	fieldStatus  = "status"
	fieldSource  = "source"
	fieldRoles   = "roles" // all, for whatever reason
	fieldCreated = "created_at"
	fieldSignIn  = "last_sign_in_at"
)

var shownFields = []Field{{Name: fieldStatus, Label: "Status"}, {Name: fieldSource, Label: "Source"}, {Name: fieldRoles, Label: "All roles"},
	{Name: fieldCreated, Label: "Created"}, {Name: fieldSignIn, Label: "Last sign-in"}}

// ExportFields are all columns that an export can have: what is never shown is not among them.
func ExportFields(defs *store.Definitions) []Field {
	list := slices.DeleteFunc(Fields(defs), Field.secret)
	return append(list, shownFields...)
}

// The formats of an export.
const (
	FormatCSV   = "csv"
	FormatJSONL = "jsonl" // one JSON object on each line
)

// Export is who and what is written.
type Export struct {
	Format  string
	Columns []string // all when empty
	People  store.PeopleQuery
}

var statuses = []store.Status{store.Active, store.Invited, store.Deactivated, store.Deleted}

// check fills in the columns. Faults: Invalid on "format", "status", "column".
func (e *Export) check(defs *store.Definitions) ([]Field, error) {
	if e.Format != FormatCSV && e.Format != FormatJSONL {
		return nil, fault.Invalid.On("format", "There is no format %.20q. Choose csv or jsonl.", e.Format)
	}
	for _, status := range e.People.Status {
		if !slices.Contains(statuses, status) {
			return nil, fault.Invalid.On("status", "There is no status %.40q. Choose active, invited, deactivated or deleted.", status)
		}
	}
	all := ExportFields(defs)
	if len(e.Columns) == 0 {
		return all, nil
	}
	var fields []Field
	for _, name := range e.Columns {
		i := slices.IndexFunc(all, func(f Field) bool { return f.Name == name })
		if i < 0 {
			return nil, fault.Invalid.On("column", "There is no column %.200q. The columns are those of an import, and status, source, roles, created_at, last_sign_in_at.", name)
		}
		fields = append(fields, all[i])
	}
	return fields, nil
}

// Export writes people as they are found, a piece at a time. begin is called before the
// first of them, when nothing can be refused any more. Faults: Denied, Invalid.
func (d *Door) Export(ctx context.Context, actor access.Actor, e Export, w io.Writer, begin func()) error {
	var fields []Field
	teams := map[store.GroupID]bool{}
	err := d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		defs, err := tx.Definitions()
		if err != nil {
			return err
		}
		if err := tx.Require(access.ViewUsers); err != nil {
			return err
		}
		if fields, err = e.check(defs); err != nil {
			return err
		}
		local, err := tx.TeamNames()
		for _, g := range local {
			teams[g.ID] = true
		}
		if err != nil {
			return err
		}
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = f.Name
		}
		return tx.Record(store.Activity{Action: "people.export", TargetKind: "org", TargetID: string(tx.Org()), TargetName: "people",
			Detail: map[string]any{"format": e.Format, "columns": strings.Join(names, " "), "search": e.People.Search, "status": fmt.Sprint(e.People.Status)}})
	})
	if err != nil {
		return err
	}
	begin()
	out := newTable(w, e.Format, fields)
	if err := out.head(); err != nil {
		return err
	}
	for after := store.UserID(""); ; {
		var people []store.Person
		var bosses map[store.UserID]string
		err := d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
			if people, err = tx.PeopleAfter(e.People, after, piece); err == nil {
				bosses, err = managers(tx, people)
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(people) == 0 {
			return out.end()
		}
		for _, p := range people {
			after = p.ID
			if err := out.write(p, teams, bosses); err != nil {
				return err
			}
		}
	}
}

// managers are the user names of people's managers.
func managers(tx *store.Tx, people []store.Person) (map[store.UserID]string, error) {
	var ids []store.UserID
	for _, p := range people {
		if p.ManagerID != "" {
			ids = append(ids, p.ManagerID)
		}
	}
	slices.Sort(ids)
	list, err := tx.UsersBy(slices.Compact(ids), nil, nil)
	names := make(map[store.UserID]string, len(list))
	for _, u := range list {
		names[u.ID] = u.UserName
	}
	return names, err
}

// table writes people in one of the formats.
type table struct {
	w      io.Writer
	csv    *csv.Writer // nil for JSON lines
	fields []Field
}

func newTable(w io.Writer, format string, fields []Field) *table {
	t := &table{w: w, fields: fields}
	if format == FormatCSV {
		t.csv = csv.NewWriter(w)
	}
	return t
}

func (t *table) head() error {
	if t.csv == nil {
		return nil
	}
	if _, err := io.WriteString(t.w, "\ufeff"); err != nil { // else Excel reads another encoding
		return err
	}
	names := make([]string, len(t.fields))
	for i, f := range t.fields {
		names[i] = f.Name
	}
	return t.csv.Write(names)
}

func (t *table) write(p store.Person, teams map[store.GroupID]bool, bosses map[store.UserID]string) error {
	doc, err := p.Attributes()
	if err != nil {
		return err
	}
	at := person{doc: doc, profile: p.Profile()}
	at.profile.ManagerID = bosses[p.ManagerID]
	if t.csv == nil {
		return t.line(p, at, teams)
	}
	cells := make([]string, len(t.fields))
	for i, f := range t.fields {
		cells[i] = guarded(strings.TrimSpace(strings.ReplaceAll(shown(f, p, at, teams), "\r\n", "\n"))) // an import reads them so
	}
	return t.csv.Write(cells)
}

func (t *table) line(p store.Person, at person, teams map[store.GroupID]bool) error {
	object := map[string]any{"id": p.ID}
	for _, f := range t.fields {
		switch v := shown(f, p, at, teams); {
		case v == "":
		case f.Name == fieldTeams || f.Name == fieldRoles:
			object[f.Name] = strings.Split(v, "|")
		default:
			object[f.Name] = v
		}
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = t.w.Write(append(raw, '\n'))
	return err
}

func (t *table) end() error {
	if t.csv == nil {
		return nil
	}
	t.csv.Flush()
	return t.csv.Error()
}

// shown is a person's value of a column, so that an import of it changes nothing.
func shown(f Field, p store.Person, at person, teams map[store.GroupID]bool) string {
	switch f.Name {
	case fieldStatus:
		return string(p.Status)
	case fieldSource:
		return string(p.Source)
	case fieldCreated:
		return p.CreatedAt.RFC3339()
	case fieldSignIn:
		if p.LastSignInAt == 0 {
			return ""
		}
		return p.LastSignInAt.RFC3339()
	case fieldRole, fieldRoles:
		var roles []string
		for _, g := range p.Grants {
			if (f.Name == fieldRoles || g.Reason == store.Manual || g.Kind == "default") && !slices.Contains(roles, g.Role) {
				roles = append(roles, g.Role)
			}
		}
		if f.Name == fieldRole && len(roles) != 1 { // an import gives one
			return ""
		}
		return strings.Join(roles, "|")
	case fieldTeams:
		var names []string
		for _, g := range store.Direct(p.Groups) {
			if teams[g.ID] && !strings.Contains(g.Name, "|") {
				names = append(names, g.Name)
			}
		}
		return strings.Join(names, "|")
	}
	return at.get(f)
}

// asked is the export that a query asks for.
func asked(r *http.Request) Export {
	q := r.URL.Query()
	e := Export{Format: q.Get("format"), People: store.PeopleQuery{Search: q.Get("q")}}
	if _, ending, ok := strings.Cut(r.PathValue("file"), "."); ok {
		e.Format = ending
	}
	for _, list := range q["column"] {
		e.Columns = append(e.Columns, strings.FieldsFunc(list, func(c rune) bool { return c == ',' })...)
	}
	for _, s := range q["status"] {
		if s != "" {
			e.People.Status = append(e.People.Status, store.Status(s))
		}
	}
	return e
}

func (d *Door) export(w http.ResponseWriter, r *http.Request) error {
	e := asked(r)
	if name, _, _ := strings.Cut(r.PathValue("file"), "."); name != "people" {
		return fault.NotFound.Say("There is nothing at this address. Ask for people.csv or people.jsonl.")
	}
	return d.Export(r.Context(), web.Actor(r), e, w, func() {
		kind := "text/csv; charset=utf-8"
		if e.Format == FormatJSONL {
			kind = "application/jsonl; charset=utf-8"
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", `attachment; filename="people.`+e.Format+`"`)
		w.Header().Set("Cache-Control", "no-store")
	})
}

// exportPage chooses what is written.
type exportPage struct {
	Org                      web.Org
	Form                     web.Form
	Columns, Status, Formats []web.Option
}

func (d *Door) showExport(w http.ResponseWriter, r *http.Request) error {
	p := exportPage{Org: web.OrgOf(r)}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		defs, err := tx.Definitions()
		if err != nil {
			return err
		}
		for _, f := range ExportFields(defs) {
			p.Columns = append(p.Columns, web.Option{Value: f.Name, Label: web.T(r, f.Label)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.Status = []web.Option{{Value: "", Label: web.T(r, "All but deleted")}, {Value: string(store.Active), Label: web.T(r, "Active")}, {Value: string(store.Invited), Label: web.T(r, "Invited")},
		{Value: string(store.Deactivated), Label: web.T(r, "Deactivated")}}
	p.Formats = []web.Option{{Value: FormatCSV, Label: "CSV"}, {Value: FormatJSONL, Label: web.T(r, "JSON, one object on each line")}}
	p.Form.Set("q", r.URL.Query().Get("q"))
	p.Form.Set("status", r.URL.Query().Get("status"))
	return pages.Write(w, r, http.StatusOK, "export", p)
}

// template is a file to start from: every column, and a row that shows the form, with a
// role and the teams of the organization.
func (d *Door) template(w http.ResponseWriter, r *http.Request) error {
	var fields []Field
	example := map[string]string{fieldEmail: "ada@example.com", fieldGivenName: "Ada", fieldFamilyName: "Lovelace", fieldTitle: "Analyst", fieldDepartment: "Engines",
		fieldPhone: "+44 20 1234", fieldNumber: "1815", fieldCity: "London", fieldCountry: "GB"}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		defs, err := tx.Definitions()
		if err != nil {
			return err
		}
		fields = Fields(defs)
		roles, err := tx.OrgRoles()
		if err != nil {
			return err
		}
		for _, role := range roles {
			if example[fieldRole] == "" || role.ID == store.DefaultRole {
				example[fieldRole] = role.ID
			}
		}
		teams, err := tx.TeamNames()
		var names []string
		for _, g := range teams {
			if !strings.Contains(g.Name, "|") {
				names = append(names, g.Name)
			}
		}
		slices.Sort(names)
		example[fieldTeams] = strings.Join(names[:min(len(names), 20)], "|")
		return err
	})
	if err != nil {
		return err
	}
	names, cells := make([]string, len(fields)), make([]string, len(fields))
	for i, f := range fields {
		names[i], cells[i] = f.Name, example[f.Name]
	}
	file, err := web.StartCSV(w, "people.csv", names...)
	if err != nil {
		return err
	}
	if err := file.Row(cells...); err != nil {
		return err
	}
	return file.End()
}
