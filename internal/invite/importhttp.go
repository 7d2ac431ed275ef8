package invite

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// A file is uploaded, looked at line by line, and then confirmed. Between the two
// requests it waits in the table imports.

type uploadID = store.ID[upload]

const (
	uploadTTL = time.Hour
	rowsShown = 300 // of each kind; the numbers are of all
)

// importPage asks for a file.
type importPage struct {
	Org     web.Org
	Form    web.Form
	Roles   string
	Columns []string
}

func (d *Door) importForm(w http.ResponseWriter, r *http.Request) error {
	return d.showImport(w, r, http.StatusOK, web.Form{})
}

var sampleColumns = []string{colEmail, colGivenName, colFamilyName, colRole, colTitle, colDepartment, colManager, colPhone, colTeams}

func (d *Door) showImport(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	if f.Values == nil {
		f.Set("invite", "on")
	}
	p := importPage{Org: web.OrgOf(r), Form: f, Columns: sampleColumns}
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		roles, err := tx.OrgRoles()
		p.Roles = roleList(roles)
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "import", p)
}

// sample is a file to start from, with a row that shows the form.
func (d *Door) sample(w http.ResponseWriter, r *http.Request) error {
	team := ""
	err := d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		groups, err := tx.Groups()
		for _, g := range groups {
			if g.DirectoryID == "" && plainCell(g.Name) {
				team = g.Name
				break
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="people.csv"`)
	if _, err := io.WriteString(w, "\ufeff"); err != nil { // else Excel reads another encoding
		return err
	}
	c := csv.NewWriter(w)
	c.Write(sampleColumns)
	c.Write([]string{"ada@example.com", "Ada", "Lovelace", access.Agent, "Analyst", "Engines", "", "+44 20 1234", team})
	c.Flush()
	return c.Error()
}

// plainCell tells that a name can stand in the sample: spreadsheets run what begins
// like a formula, and | separates teams.
func plainCell(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	return (unicode.IsLetter(first) || unicode.IsDigit(first)) && !strings.Contains(name, "|")
}

func (d *Door) upload(w http.ResponseWriter, r *http.Request) error {
	web.AllowBody(r, MaxFile+64<<10)
	f, err := web.ReadForm(r)
	if r.MultipartForm != nil {
		defer r.MultipartForm.RemoveAll()
	}
	if f.Take(err) {
		return d.showImport(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	u, err := uploaded(r, f.Get("invite") == "on")
	if err == nil {
		_, err = ReadCSV(u.Data)
	}
	id := store.NewID[upload]()
	if err == nil {
		err = d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) error { return keepUpload(tx, id, u) })
	}
	if f.Take(err) {
		return d.showImport(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/import/"+string(id), http.StatusSeeOther)
	return nil
}

// uploaded is the file of the form.
func uploaded(r *http.Request, invite bool) (upload, error) {
	if r.MultipartForm == nil || len(r.MultipartForm.File["file"]) == 0 {
		return upload{}, bad("Choose a CSV file.")
	}
	head := r.MultipartForm.File["file"][0]
	file, err := head.Open()
	if err != nil {
		return upload{}, fmt.Errorf("open the upload: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err != nil {
		return upload{}, fmt.Errorf("read the upload: %w", err)
	}
	name := head.Filename
	if plainText("file", "The name", name) != nil {
		name = "the file"
	}
	return upload{Name: clip(name, 100), Invite: invite, Data: data}, nil
}

// reportPage shows what an import would do, or did.
type reportPage struct {
	Org       web.Org
	ID        uploadID
	Done      bool
	Name      string
	Invite    bool
	Encoding  string
	Delimiter string
	Notices   []string
	Report    Report
	Bad       []Outcome // the first of them
	Fine      []Outcome
	Cut       bool // not all lines are shown
}

func fill(p reportPage, sheet Sheet, report Report) reportPage {
	p.Encoding, p.Delimiter, p.Notices, p.Report = sheet.Encoding, sheet.Delimiter, sheet.Notices, report
	for _, o := range report.Rows {
		if o.Action == Failed {
			p.Bad = append(p.Bad, o)
		} else {
			p.Fine = append(p.Fine, o)
		}
	}
	// What changes comes first.
	slices.SortStableFunc(p.Fine, func(a, b Outcome) int { return order(a.Action) - order(b.Action) })
	p.Cut = len(p.Bad) > rowsShown || len(p.Fine) > rowsShown
	p.Bad, p.Fine = p.Bad[:min(len(p.Bad), rowsShown)], p.Fine[:min(len(p.Fine), rowsShown)]
	return p
}

func order(a Action) int { return slices.Index([]Action{Create, Update, Unchanged}, a) }

// load finds the file that a request is about.
func (d *Door) load(r *http.Request) (uploadID, upload, error) {
	id, err := store.ParseID[upload](r.PathValue("import"))
	if err != nil {
		return id, upload{}, err
	}
	var u upload
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		u, err = findUpload(tx, id)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		err = fault.NotFound.Say("This file was imported already, or was uploaded more than an hour ago. Upload it again: lines that are done stay as they are.")
	}
	return id, u, err
}

func (d *Door) preview(w http.ResponseWriter, r *http.Request) error {
	return d.runImport(w, r, false)
}

func (d *Door) confirm(w http.ResponseWriter, r *http.Request) error {
	return d.runImport(w, r, true)
}

func (d *Door) runImport(w http.ResponseWriter, r *http.Request, forReal bool) error {
	id, u, err := d.load(r)
	if err != nil {
		return err
	}
	sheet, err := ReadCSV(u.Data)
	if err != nil {
		return err
	}
	if forReal {
		var mine bool
		err := d.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) { mine, err = takeUpload(tx, id); return err })
		if err != nil {
			return err
		}
		if !mine {
			return fault.Conflict.Say("This file is being imported already. Look at the list of people in a minute.")
		}
	}
	report, err := d.Import(r.Context(), web.Actor(r), sheet, ImportOptions{Invite: u.Invite, DryRun: !forReal})
	if err != nil {
		return err
	}
	return pages.Write(w, r, http.StatusOK, "report", fill(reportPage{Org: web.OrgOf(r), ID: id, Done: forReal, Name: u.Name, Invite: u.Invite}, sheet, report))
}
