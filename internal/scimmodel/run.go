package scimmodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Step is one request of a sequence. ‹u1› stands for the id of what the step that
// Makes u1 created, or the operation of a Bulk with that bulkId; ‹tag u1› for its
// version, ‹old u1› for an earlier one.
type Step struct {
	Request
	Makes string
	Walk  bool // a GET of all pages by cursor (RFC 9865)
}

// Client sends a request to the server under test.
type Client func(Request) Answer

// Failure is a disagreement.
type Failure struct {
	Err   error
	Steps []string // the requests as they were sent, up to the one that was answered wrongly
}

func (f *Failure) Error() string {
	return fmt.Sprintf("%v\nafter\n%s", f.Err, strings.Join(f.Steps, "\n"))
}

var varying = regexp.MustCompile(`[0-9a-f]{32}|\d+`)

// Like tells whether two failures are of one kind, so that a shorter sequence
// fails as the long one did.
func (f *Failure) Like(other *Failure) bool {
	if f == nil || other == nil {
		return f == other
	}
	kind := func(f *Failure) string {
		line, _, _ := strings.Cut(varying.ReplaceAllString(f.Err.Error(), "#"), "\n")
		return line
	}
	return kind(f) == kind(other)
}

// nowhereID is an id that nothing has.
const nowhereID = "00000000000070008000000000000bad"

// runner is a sequence under way.
type runner struct {
	m    *Model
	send Client
	ids  map[string]string
	told []string
}

// Run sends the steps to a directory that is empty. After each of them it reads
// everything. between is called before each step, to let time pass.
func Run(steps []Step, base string, strict bool, send Client, between func()) *Failure {
	r := &runner{m: New(base, strict), send: send, ids: map[string]string{}}
	for _, s := range steps {
		between()
		if err := r.step(s); err != nil {
			return &Failure{err, r.told}
		}
	}
	return nil
}

func (r *runner) step(s Step) error {
	q := r.request(s)
	r.told = append(r.told, curl(q))
	if s.Walk {
		return r.walk(q)
	}
	a := r.send(q)
	if err := r.m.Check(q, a); err != nil {
		return err
	}
	if s.Makes != "" && a.Status == http.StatusCreated {
		r.ids[s.Makes] = idIn(a)
	}
	if strings.HasPrefix(q.Path, "/Bulk") {
		answers, _ := a.object()["Operations"].([]any)
		for name, id := range tellers(answers) {
			r.ids[name] = id
		}
	}
	return Agree(r.m, r.send)
}

// Agree reads everything and holds it against the model.
func Agree(m *Model, send Client) error {
	for _, path := range []string{"/Users?count=1000", "/Groups?count=1000"} {
		q := Request{Method: http.MethodGet, Path: path}
		if err := m.Check(q, send(q)); err != nil {
			return fmt.Errorf("the read afterwards: %w", err)
		}
	}
	return nil
}

// walk reads all pages and checks them as one list.
func (r *runner) walk(q Request) error {
	list := []any{}
	whole := map[string]any{}
	path := q.Path
	for pages := 0; ; pages++ {
		a := r.send(q)
		body := a.object()
		if a.Status != http.StatusOK {
			return r.m.Check(Request{Method: q.Method, Path: wide(path)}, a)
		}
		some, _ := body["Resources"].([]any)
		list = append(list, some...)
		if pages == 0 {
			whole = body
		}
		next, _ := body["nextCursor"].(string)
		if next == "" {
			break
		}
		if pages > 100 {
			return fmt.Errorf("the walk does not end")
		}
		q.Path = path + "&cursor=" + url.QueryEscape(next)
		q.Path = strings.Replace(q.Path, "&cursor=&", "&", 1)
	}
	delete(whole, "nextCursor")
	whole["Resources"], whole["itemsPerPage"], whole["startIndex"] = list, len(list), 1
	text, err := json.Marshal(whole)
	if err != nil {
		return err
	}
	return r.m.Check(Request{Method: q.Method, Path: wide(path)}, Answer{Status: http.StatusOK, Body: string(text)})
}

// wide is the query of a walk without its paging.
func wide(path string) string {
	at, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return path
	}
	values.Del("cursor")
	values.Set("count", fmt.Sprint(maxCount))
	return at + "?" + values.Encode()
}

var placeholder = regexp.MustCompile(`‹(?:(tag|old) )?(\w+)›`)

// request fills in what is known by now.
func (r *runner) request(s Step) Request {
	fill := func(text string, quote bool) string {
		return placeholder.ReplaceAllStringFunc(text, func(found string) string {
			part := placeholder.FindStringSubmatch(found)
			id, ok := r.ids[part[2]]
			if !ok {
				id = nowhereID
			}
			if part[1] == "" {
				return id
			}
			tag := r.tag(id, part[1] == "old")
			if quote {
				tag = strings.ReplaceAll(tag, `"`, `\"`)
			}
			return tag
		})
	}
	q := s.Request
	q.Path, q.Body, q.Head = fill(q.Path, false), fill(q.Body, true), map[string]string{}
	for name, v := range s.Head {
		q.Head[name] = fill(v, false)
	}
	return q
}

func (r *runner) tag(id string, old bool) string {
	for _, res := range r.m.all {
		if res.id != id {
			continue
		}
		if !old {
			return res.tag
		}
		if n := len(res.history); n > 1 {
			return res.history[n-2]
		}
	}
	return `W/"none"`
}

// curl is a request as one would type it.
func curl(q Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "curl -X %s \"$BASE%s\"", q.Method, strings.ReplaceAll(q.Path, `"`, `\"`))
	for name, v := range q.Head {
		fmt.Fprintf(&b, " -H '%s: %s'", name, v)
	}
	if q.Body != "" {
		fmt.Fprintf(&b, " -d '%s'", strings.ReplaceAll(q.Body, `'`, `'\''`))
	}
	return b.String()
}
