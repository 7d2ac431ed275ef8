package conform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	scimJSON  = "application/scim+json"
	largest   = 16 << 20         // bytes of an answer that are read
	patience  = 30 * time.Second // for one answer
	shownText = 500              // bytes of a body that are reported
	shownLast = 6                // exchanges of a check that are reported
)

// object is a JSON object; numbers are json.Number.
type object = map[string]any

// runner is one run.
type runner struct {
	opt      Options
	ctx      context.Context
	client   http.Client
	base     string // without a slash at its end
	word     string // in every name that is made, so that nothing of others is met
	requests int
	counter  int      // of generated values
	made     []string // paths to delete after the check, oldest first
	kept     []string // paths to delete at the end: the fixtures
	left     []string // what could not be deleted
	stopped  string   // why no more requests are sent; empty: they are

	config   object
	types    []resourceType
	schemas  map[string]schemaDoc
	fixtures map[string][]object
}

// check is one check on its way. Its first verdict stays: after it, requests are
// not sent any more and answers are empty, so a check reads from top to bottom.
type check struct {
	*runner
	result  Result
	decided bool
}

func (r *runner) run(p probe) Result {
	c := &check{runner: r, result: Result{ID: p.id, Title: p.title, Source: p.source, Severity: p.severity, Result: Passed,
		Breaks: append([]string{}, p.breaks...), Exchanges: []Exchange{}}}
	p.run(c)
	r.remove(r.made)
	r.made = nil
	return c.result
}

func (c *check) decide(result, format string, args ...any) {
	if c.decided {
		return
	}
	c.decided = true
	c.result.Result, c.result.Why = result, fmt.Sprintf(format, args...)
}

func (c *check) fail(format string, args ...any) { c.decide(Failed, format, args...) }
func (c *check) skip(format string, args ...any) { c.decide(Skipped, format, args...) }
func (c *check) unsupported(format string, args ...any) {
	c.decide(Unsupported, format, args...)
}

// stop ends the run: no more requests are sent, and the check is skipped.
func (c *check) stop(format string, args ...any) {
	c.stopped = fmt.Sprintf(format, args...)
	c.skip("%s", c.stopped)
}

// answer is what came back; the zero answer is safe to look into.
type answer struct {
	what   string // "POST /Users"
	status int
	header http.Header
	raw    []byte
	doc    object
	took   time.Duration
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// do sends a request with the token. path begins with a slash, or is absolute.
// body is nil, a string sent as it is, or a value sent as JSON. pairs are headers;
// an empty value leaves one out.
func (c *check) do(method, path string, body any, pairs ...string) answer {
	if c.decided {
		return answer{}
	}
	if c.requests >= c.opt.MaxRequests {
		c.stop("the run's limit of %d requests was reached", c.opt.MaxRequests)
		return answer{}
	}
	text, isText := body.(string)
	if !isText && body != nil {
		text = encode(body)
	}
	a, err := c.send(c.ctx, method, path, text, pairs)
	if c.ctx.Err() != nil {
		c.stop("the run was stopped, or its time of %s was over", c.opt.Timeout)
		return answer{}
	}
	c.result.Exchanges = append(c.result.Exchanges, Exchange{Request: a.what, Sent: cut(text), Status: a.status, Got: cut(string(a.raw))})
	if extra := len(c.result.Exchanges) - shownLast; extra > 0 {
		c.result.Exchanges = slices.Delete(c.result.Exchanges, 0, extra)
	}
	if err != nil {
		c.fail("%s got no answer: %v", a.what, err)
	}
	return a
}

// send is one request, repeated when the server asks for patience (RFC 6585 §4).
func (r *runner) send(ctx context.Context, method, path, body string, pairs []string) (answer, error) {
	for attempt := 0; ; attempt++ {
		a, err := r.once(ctx, method, path, body, pairs)
		if err != nil || a.status != http.StatusTooManyRequests || attempt == 5 {
			return a, err
		}
		wait, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil {
			wait = 1
		}
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case <-time.After(time.Duration(min(max(wait, 0), 30)) * time.Second):
		}
	}
}

// once sends a request. One that is on its way when the run is stopped is waited
// for: what it makes has to be known, to be deleted.
func (r *runner) once(ctx context.Context, method, path, body string, pairs []string) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	r.requests++
	target := path
	if strings.HasPrefix(path, "/") || path == "" {
		target = r.base + path
	}
	a := answer{what: method + " " + strings.TrimPrefix(target, r.base)}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Authorization", "Bearer "+r.opt.Token)
	req.Header.Set("Accept", scimJSON)
	req.Header.Set("User-Agent", "muster-conform")
	if body != "" {
		req.Header.Set("Content-Type", scimJSON)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		req.Header.Del(pairs[i])
		if pairs[i+1] != "" {
			req.Header.Set(pairs[i], pairs[i+1])
		}
	}
	began := time.Now()
	res, err := r.client.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	a.status, a.header = res.StatusCode, res.Header
	if a.raw, err = io.ReadAll(io.LimitReader(res.Body, largest)); err != nil {
		return a, err
	}
	a.took = time.Since(began)
	d := json.NewDecoder(bytes.NewReader(a.raw))
	d.UseNumber()
	if d.Decode(&a.doc) != nil {
		a.doc = nil
	}
	r.remember(method, path, a)
	return a, nil
}

// remember notes what was made, from the answer to a POST on an endpoint or /Bulk.
func (r *runner) remember(method, path string, a answer) {
	if method != http.MethodPost {
		return
	}
	path, _, _ = strings.Cut(path, "?")
	if id, ok := a.doc["id"].(string); ok && a.ok() && id != "" {
		r.made = append(r.made, path+"/"+escape(id))
	}
	for _, item := range list(a.doc["Operations"]) {
		at, _ := pick(item, "/location").(string)
		if inside, ok := strings.CutPrefix(at, r.base+"/"); ok && pick(item, "/method") == "POST" {
			r.made = append(r.made, "/"+inside)
		}
	}
}

// cleanup deletes what is still there at the end.
func (r *runner) cleanup() {
	r.remove(r.made)
	r.remove(r.kept)
	r.made, r.kept = nil, nil
}

// remove deletes resources, newest first, and notes what stays. It has its own time,
// because it must run when the run's time is over.
func (r *runner) remove(paths []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), time.Minute)
	defer cancel()
	for _, path := range slices.Backward(paths) {
		a, err := r.send(ctx, http.MethodDelete, path, "", nil)
		if err != nil || !a.ok() && a.status != http.StatusNotFound {
			r.left = append(r.left, path)
		}
	}
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}

// cut shortens a text for the report.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= shownText {
		return s
	}
	end := shownText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + " ..."
}
