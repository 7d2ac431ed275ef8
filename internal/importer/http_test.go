package importer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/openapi/openapitest"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// site serves the door; who asks is named by a header.
type site struct {
	*stage
	mux *web.Mux
}

func newSite(t testing.TB, db *store.DB) *site {
	t.Helper()
	s := &site{stage: newStage(t, db)}
	other, _ := storetest.Org(t, db, "other")
	actors := map[string]access.Actor{"admin": s.admin, "viewer": s.person("viewer@acme.example", access.Viewer),
		"stranger": {Kind: access.Person, Org: string(other), ID: string(store.NewID[store.User]()), Roles: []string{access.Admin}}}
	s.mux = web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Log: slog.New(slog.DiscardHandler),
		Authenticate: func(r *http.Request) (access.Actor, error) {
			if a, ok := actors[r.Header.Get("X-Who")]; ok {
				return a, nil
			}
			return access.Actor{}, fault.SignIn.Say("Please sign in.")
		},
		Org: func(ctx context.Context, slug string) (string, string, error) {
			o, err := db.OrgBySlug(ctx, slug)
			return string(o.ID), o.Name, err
		},
	})
	s.door.Mount(s.mux)
	s.jobs.Mount(s.mux)
	return s
}

func (s *site) send(who, method, path, kind string, body io.Reader) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, body)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("X-Who", who)
	w := httptest.NewRecorder()
	openapitest.Checked(s.t, s.mux).ServeHTTP(w, r)
	return w
}

func (s *site) do(who, method, path string, form url.Values) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(who, method, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (s *site) want(w *httptest.ResponseRecorder, status int) string {
	s.t.Helper()
	if w.Code != status {
		s.t.Fatalf("status %d, want %d\n%s", w.Code, status, w.Body)
	}
	return w.Body.String()
}

func (s *site) uploadFile(who string, content io.Reader) *httptest.ResponseRecorder {
	s.t.Helper()
	var head bytes.Buffer
	m := multipart.NewWriter(&head)
	m.CreateFormFile("file", "people.csv")
	end := "\r\n--" + m.Boundary() + "--\r\n"
	return s.send(who, "POST", "/console/acme/import", m.FormDataContentType(), io.MultiReader(&head, content, strings.NewReader(end)))
}

// endless is a file of this many bytes, and tells how many were read.
type endless struct{ left, read int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, bytes.Repeat([]byte("ada@example.com,Ada\n"), len(p)/20+1))
	n = int(min(int64(n), e.left))
	e.left -= int64(n)
	e.read += int64(n)
	return n, nil
}

func TestThePagesOfAnImport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		webtest.Page(t, s.want(s.do("admin", "GET", "/console/acme/import", nil), http.StatusOK))
		body := s.want(s.uploadFile("admin", strings.NewReader("PK\x03\x04")), http.StatusBadRequest)
		webtest.Page(t, body)
		if !strings.Contains(body, `id="f-file-error"`) {
			t.Error("the refusal is not beside the file")
		}
		webtest.Page(t, s.want(s.do("admin", "POST", "/console/acme/import", nil), http.StatusBadRequest))
		s.want(s.uploadFile("viewer", strings.NewReader("email\na@example.com\n")), http.StatusForbidden)
		s.want(s.uploadFile("stranger", strings.NewReader("email\na@example.com\n")), http.StatusNotFound)

		w := s.uploadFile("admin", strings.NewReader("email,first,Shoe size\neva@example.com,Eva,37\nbad,=Bad,40\n"))
		s.want(w, http.StatusSeeOther)
		at := w.Header().Get("Location")
		page := s.want(s.do("admin", "GET", at, nil), http.StatusOK)
		text := webtest.Text(webtest.Page(t, page))
		for _, words := range []string{"Shoe size", "In the file: eva@example.com", "These columns are not used: Shoe size"} {
			if !strings.Contains(text, words) {
				t.Errorf("no %q in %s", words, text)
			}
		}
		columns := url.Values{"column-0": {"email"}, "column-1": {"given_name"}, "column-2": {"-"}, "key": {"any"}, "new": {"invite"}, "missing": {"keep"}, "max_gone": {"lots"}}
		body = s.want(s.do("admin", "POST", at+"/columns", columns), http.StatusBadRequest)
		if !strings.Contains(body, "lots") || !strings.Contains(body, `id="f-max_gone-error"`) {
			t.Error("what was typed is gone")
		}
		columns.Set("max_gone", "10")
		s.want(s.do("viewer", "POST", at+"/columns", columns), http.StatusForbidden)
		s.want(s.do("admin", "POST", at+"/columns", columns), http.StatusSeeOther)
		for range 2 {
			text := webtest.Text(webtest.Page(t, s.want(s.do("admin", "GET", at, nil), http.StatusOK)))
			for _, words := range []string{"New 1", "With errors 1", "Import the good line", "Line 3"} {
				if !strings.Contains(text, words) {
					t.Errorf("no %q in %s", words, text)
				}
			}
		}
		if text := s.want(s.do("admin", "GET", at+"?action=error", nil), http.StatusOK); strings.Contains(text, "eva@example.com") {
			t.Error("the filter does nothing")
		}
		if got := s.want(s.do("admin", "GET", at+"/errors.csv", nil), http.StatusOK); !strings.HasPrefix(got, "\ufeffemail,first,Shoe size,error\nbad,'=Bad,40,\"line 3, email:") {
			t.Errorf("errors: %q", got)
		}
		s.want(s.do("viewer", "GET", at+"/errors.csv", nil), http.StatusForbidden)
		s.want(s.do("viewer", "POST", at, nil), http.StatusForbidden)
		s.want(s.do("admin", "POST", at, nil), http.StatusSeeOther)
		s.want(s.do("admin", "POST", at, nil), http.StatusSeeOther) // a double click
		if text := s.want(s.do("admin", "GET", at, nil), http.StatusOK); !strings.Contains(text, "you can leave") && !strings.Contains(text, "You can leave") {
			t.Errorf("not running: %s", text)
		}
		if err := s.jobs.Work(ctx); err != nil {
			t.Fatal(err)
		}
		text = webtest.Text(webtest.Page(t, s.want(s.do("admin", "GET", at, nil), http.StatusOK)))
		if !strings.Contains(text, "created: 1") || len(s.mails) != 1 || !strings.Contains(text, "Undo this import") {
			t.Errorf("%d mails, %s", len(s.mails), text)
		}
		s.want(s.do("admin", "POST", at+"/columns", columns), http.StatusConflict)
		s.want(s.do("admin", "POST", at+"/forget", nil), http.StatusConflict)
		s.want(s.do("admin", "GET", "/console/acme/import/zz", nil), http.StatusNotFound)
	})
}

func TestAnEndlessUploadIsRefusedEarly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		huge := &endless{left: 1 << 30}
		page := webtest.Text(webtest.Page(t, s.want(s.uploadFile("admin", huge), http.StatusRequestEntityTooLarge)))
		if !strings.Contains(page, "larger than 32 MB") {
			t.Errorf("the page: %s", page)
		}
		if huge.read > importer.MaxFile+1<<20 {
			t.Errorf("%d bytes were read", huge.read)
		}
		if got := s.want(s.send("admin", "POST", "/api/v1/imports", "text/csv", &endless{left: 1 << 30}), http.StatusRequestEntityTooLarge); !strings.Contains(got, "larger than 32 MB") {
			t.Errorf("the API: %s", got)
		}
		s.nothingKept()
	})
}

func (s *site) nothingKept() {
	s.t.Helper()
	for table, rows := range storetest.Dump(s.t, s.db) {
		if strings.HasPrefix(table, "import_") && rows != "" {
			s.t.Errorf("%s keeps %d bytes of it", table, len(rows))
		}
	}
}

// What is refused after all of it came in says why, and nothing else, and is not kept.
func TestARefusedFileIsNotKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		for file, why := range map[string]string{
			"email,first\n":                          "The file names its columns and then ends. Put one person on each line below.",
			"email\nada@example.com\n\x00\n":         "Line 3 holds a NUL character, so this is not a CSV text file, or is in another encoding. Save it as “CSV UTF-8”.",
			"email\n" + strings.Repeat("a", 300<<10): "Line 2 is longer than 256 kB. Is this the right file?",
			"email" + strings.Repeat(",x", 200):      "Line 1 has more than 200 columns. Is this the right file, and the right delimiter?",
		} {
			var p struct{ Detail string }
			s.json(s.send("admin", "POST", "/api/v1/imports", "text/csv", strings.NewReader(file)), http.StatusBadRequest, &p)
			if p.Detail != why {
				t.Errorf("%.20q: %q, want %q", file, p.Detail, why)
			}
			s.want(s.uploadFile("admin", strings.NewReader(file)), http.StatusBadRequest)
		}
		s.nothingKept()
	})
}

func TestFewFilesWait(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		var at []string
		for range 8 {
			w := s.uploadFile("admin", strings.NewReader("email\nada@example.com\n"))
			s.want(w, http.StatusSeeOther)
			at = append(at, w.Header().Get("Location"))
		}
		s.want(s.do("admin", "GET", at[0], nil), http.StatusNotFound)
		s.want(s.do("admin", "GET", at[len(at)-1], nil), http.StatusOK)
	})
}

func (s *site) json(w *httptest.ResponseRecorder, status int, into any) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.want(w, status)), into); err != nil {
		s.t.Fatal(err)
	}
}

func TestTheImportAPI(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		var v importer.View
		s.json(s.send("admin", "POST", "/api/v1/imports?name=hr.csv&new=active", "text/csv", strings.NewReader("E-Mail;Vorname;x\nada@example.com;Ada;\nwrong;;\n")), http.StatusCreated, &v)
		if v.Name != "hr.csv" || v.State != importer.Ready || v.Settings.Delimiter != "semicolon" || fmt.Sprint(v.Counts) != "map[create:1 error:1]" || fmt.Sprint(v.Unused) != "[x]" {
			t.Errorf("%+v", v)
		}
		at := "/api/v1/imports/" + string(v.ID)
		s.json(s.send("admin", "POST", at+"/preview", "application/json", strings.NewReader(`{"columns": ["email", "given_name", "title"], "missing": "list"}`)), http.StatusOK, &v)
		if v.Settings.Columns[2] != "title" || v.Settings.New != "active" || v.Counts[importer.Missing] != 1 {
			t.Errorf("%+v", v)
		}
		s.want(s.send("admin", "POST", at+"/preview", "application/json", strings.NewReader(`{"columns": ["salary", "", ""]}`)), http.StatusBadRequest)
		var rows struct{ Rows []importer.RowView }
		s.json(s.do("admin", "GET", at+"/rows?action=error", nil), http.StatusOK, &rows)
		if len(rows.Rows) != 1 || rows.Rows[0].Line != 3 || rows.Rows[0].Problem.Column != "email" {
			t.Errorf("%+v", rows)
		}
		s.want(s.do("viewer", "POST", at+"/confirm", nil), http.StatusForbidden)
		s.want(s.do("stranger", "POST", at+"/confirm", nil), http.StatusNotFound)
		var job jobs.View
		s.json(s.send("admin", "POST", at+"/confirm", "application/json", strings.NewReader("{}")), http.StatusAccepted, &job)
		if err := s.jobs.Work(ctx); err != nil {
			t.Fatal(err)
		}
		s.json(s.do("admin", "GET", at, nil), http.StatusOK, &v)
		if v.State != importer.Started || v.Job == nil || v.Job.ID != job.ID || v.Job.Results.Done != 1 {
			t.Errorf("%+v", v)
		}
		s.want(s.do("admin", "DELETE", at, nil), http.StatusConflict)
		s.want(s.do("admin", "POST", "/api/v1/jobs/"+string(job.ID)+"/undo", nil), http.StatusAccepted)
		var list struct{ Imports []importer.View }
		if s.json(s.do("admin", "GET", "/api/v1/imports", nil), http.StatusOK, &list); len(list.Imports) != 1 {
			t.Errorf("%+v", list)
		}
	})
}
