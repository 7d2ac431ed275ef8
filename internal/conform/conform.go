/*
Package conform asks a SCIM 2.0 server whether it does what the standard says and
what directories need, and reports it. It runs against any server.

	Run -> learn: ServiceProviderConfig, ResourceTypes, Schemas      learn.go
	    -> probes: one check each, in order                          probes.go, then one file per area
	    -> scripts: what Okta, Entra ID and others send              script.go, scripts/*.txt
	    -> cleanup: everything that was made is deleted              client.go
	    -> Report as text, JSON or Markdown                          report.go

Its expectations come from the RFC texts, cited at each check, and from the
vendors' public lists; it knows nothing of our server and imports none of it. What
is checked follows from the server's own /Schemas: every attribute, sub-attribute
and extension is written with a value of its type (value.go) and read back. What a
server does not announce is not asked of it.

It owns nothing that stays: names carry a random word, resources are deleted at
the end also when the run fails, and requests and time are bounded.
*/
package conform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options say what to look at.
type Options struct {
	BaseURL     string        // http or https, as an administrator enters it at the directory
	Token       string        // bearer token
	Vendor      string        // one of Vendors: only this directory's scripts; all when empty
	Only        []string      // beginnings of check ids; all when empty
	Timeout     time.Duration // for the whole run; 5 minutes when 0
	MaxRequests int           // 5000 when 0
	Client      *http.Client  // how to reach the server; a plain one when nil
}

// Vendors are the directories about which the checks know something.
func Vendors() []string {
	return []string{"okta", "entra", "google", "onelogin", "jumpcloud", "ping", "pingone", "rippling", "sailpoint", "workday", "authentik", "keycloak"}
}

// What a check can end in.
const (
	Passed      = "passed"
	Failed      = "failed"
	Unsupported = "not supported as announced" // the server says that it does not have it, and refuses it
	Skipped     = "skipped"
)

// How much a check weighs: the requirement words of RFC 2119, or a vendor's list.
const (
	must   = "must"
	should = "should"
	vendor = "vendor"
)

// Result is what came of one check.
type Result struct {
	ID        string     `json:"id"`
	Title     string     `json:"title"`
	Source    string     `json:"source"` // section of the standard, or the vendor's document
	Severity  string     `json:"severity"`
	Result    string     `json:"result"`
	Why       string     `json:"why,omitempty"`
	Breaks    []string   `json:"breaks"` // directories that meet it
	Exchanges []Exchange `json:"exchanges"`
}

// Exchange is one request of a check and its answer, shortened.
type Exchange struct {
	Request string `json:"request"`
	Sent    string `json:"sent,omitempty"`
	Status  int    `json:"status"`
	Got     string `json:"got,omitempty"`
}

// Summary counts results.
type Summary struct {
	Passed      int `json:"passed"`
	Failed      int `json:"failed"`
	Unsupported int `json:"not_supported"`
	Skipped     int `json:"skipped"`
}

// Report is the outcome of a run.
type Report struct {
	Server   string              `json:"server"`
	Vendor   string              `json:"vendor,omitempty"`
	Requests int                 `json:"requests"`
	Summary  Summary             `json:"summary"`
	Breaks   map[string][]string `json:"breaks"`            // directory -> failed checks that it would meet
	Left     []string            `json:"left"`              // what could not be deleted again
	Stopped  string              `json:"stopped,omitempty"` // why the last checks were not made
	Checks   []Result            `json:"checks"`
}

// Errors of Run. Everything else that goes wrong is a failed check.
var (
	ErrOptions     = errors.New("conform: options")
	ErrUnreachable = errors.New("conform: unreachable")
	ErrToken       = errors.New("conform: token refused")
	ErrNoSCIM      = errors.New("conform: no SCIM here")
)

// Check finds what is missing in the options; the error is ErrOptions.
func (o Options) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w%w", quiet{ErrOptions}, fmt.Errorf(format, args...))
	}
	if o.BaseURL == "" {
		return bad("--url is missing: the SCIM base URL, as it is entered at the directory, for example https://app.example.com/scim/v2")
	}
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return bad("--url is %q; it must begin with http:// or https:// and name a host", o.BaseURL)
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return bad("--url is %q; give it without user, query and fragment", u.Redacted())
	}
	if o.Token == "" {
		return bad("--token is missing: the bearer token that the server gave for this directory")
	}
	if strings.ContainsAny(o.Token, "\r\n\x00") {
		return bad("--token has a line break in it")
	}
	if o.Vendor != "" && !slices.Contains(Vendors(), o.Vendor) {
		return bad("--vendor is %q; it can be %s", o.Vendor, strings.Join(Vendors(), ", "))
	}
	return nil
}

// newWord is a random word without vowels: filters look for parts of real words, which
// it must not have by chance.
func newWord() string {
	word := strings.Map(func(c rune) rune {
		if strings.ContainsRune("aeiou", c) {
			return -1
		}
		return c
	}, strings.ToLower(rand.Text()))
	return word[:min(8, len(word))]
}

// quiet marks an error without adding words to its sentence.
type quiet struct{ error }

func (quiet) Error() string   { return "" }
func (q quiet) Unwrap() error { return q.error }

// Run checks the server. The error is ErrOptions, ErrUnreachable, ErrNoSCIM or ErrToken, and
// then nothing was checked; otherwise all that is wrong stands in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.Check(); err != nil {
		return Report{}, err
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Minute
	}
	if o.MaxRequests <= 0 {
		o.MaxRequests = 5000
	}
	r := &runner{opt: o, base: strings.TrimRight(o.BaseURL, "/"), word: newWord(), fixtures: map[string][]object{}}
	if o.Client != nil {
		r.client = *o.Client
	}
	// A redirect would carry the token to whoever it names.
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	r.ctx = ctx
	if err := r.reach(); err != nil {
		return Report{}, err
	}
	report := Report{Server: r.base, Vendor: o.Vendor, Breaks: map[string][]string{}, Checks: []Result{}}
	defer r.cleanup()
	r.learn()
	for _, p := range r.probes() {
		if o.wants(p.id) {
			report.add(r.run(p))
		}
	}
	if len(report.Checks) == 0 {
		return Report{}, fmt.Errorf("%w--only is %q; no check of this server begins so, as filter and patch.User do", quiet{ErrOptions}, strings.Join(o.Only, ","))
	}
	r.cleanup()
	report.Stopped = r.stopped
	report.Left = append([]string{}, r.left...)
	report.Requests = r.requests
	return report, nil
}

func (o Options) wants(id string) bool {
	if len(o.Only) == 0 {
		return true
	}
	return slices.ContainsFunc(o.Only, func(begin string) bool { return strings.HasPrefix(id, begin) })
}

func (r *Report) add(one Result) {
	r.Checks = append(r.Checks, one)
	switch one.Result {
	case Passed:
		r.Summary.Passed++
	case Unsupported:
		r.Summary.Unsupported++
	case Skipped:
		r.Summary.Skipped++
	default:
		r.Summary.Failed++
		for _, v := range one.Breaks {
			r.Breaks[v] = append(r.Breaks[v], one.ID)
		}
	}
}
