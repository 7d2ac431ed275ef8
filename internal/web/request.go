package web

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
)

// formLimit is enough for any form of ours; AllowBody raises it for uploads.
const formLimit = 128 << 10

// state is what the kit knows about one request. It travels in the context.
type state struct {
	mux       *Mux
	id        string
	agent     string // User-Agent, cut
	ip        netip.Addr
	w         *response
	body      io.ReadCloser // without the limit for forms
	actor     access.Actor
	resolved  bool  // actor was asked for
	authErr   error // why there is no signed-in actor
	org       Org
	operating bool // on a page for operators
	prefs     Preferences
	reader    *Reader // nil: not asked for yet
}

type stateKey struct{}

func stateOf(r *http.Request) *state { return stateIn(r.Context()) }

// stateIn is never nil, so that helpers also work on a request made by hand.
func stateIn(ctx context.Context) *state {
	if s, ok := ctx.Value(stateKey{}).(*state); ok {
		return s
	}
	return &state{resolved: true}
}

// RequestID is the id that stands in the log line and on error pages.
func RequestID(ctx context.Context) string { return stateIn(ctx).id }

// UserAgent is what the browser calls itself, at most 200 bytes of printable ASCII.
func UserAgent(ctx context.Context) string { return stateIn(ctx).agent }

// Actor is who asks. On Public routes the session is looked up on first use;
// without one, and on Machine routes, it is nobody with address and request id.
func Actor(r *http.Request) access.Actor {
	s := stateOf(r)
	if err := s.signedIn(r); err != nil && !fault.Is(err, fault.SignIn) {
		s.mux.log.WarnContext(r.Context(), "session look-up failed", "request_id", s.id, "error", err)
	}
	return s.actor
}

// OrgOf is the organization of a Console page, zero elsewhere.
func OrgOf(r *http.Request) Org { return stateOf(r).org }

// AllowBody lets this request have a body of up to n bytes. Call it before reading.
func AllowBody(r *http.Request, n int64) {
	if s := stateOf(r); s.body != nil {
		r.Body = http.MaxBytesReader(s.w, s.body, n)
	}
}

// signedIn resolves the actor once.
func (s *state) signedIn(r *http.Request) error {
	if s.resolved {
		if s.actor.Signed() {
			return nil
		}
		if s.authErr == nil {
			s.authErr = fault.SignIn.Say("Please sign in.")
		}
		return s.authErr
	}
	s.resolved = true
	if s.mux.opts.Authenticate == nil {
		s.authErr = fault.SignIn.Say("Please sign in.")
		return s.authErr
	}
	actor, err := s.mux.opts.Authenticate(r)
	if err != nil {
		s.authErr = err
		return err
	}
	actor.IP, actor.Request, actor.Agent = s.actor.IP, s.actor.Request, s.agent
	s.actor = actor
	return nil
}

// ServeHTTP is the frame around every route.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	s := &state{mux: m, id: requestID(r), agent: clean(r.UserAgent()), ip: clientIP(r, m.opts.TrustedProxies), w: &response{ResponseWriter: w}, body: r.Body}
	s.actor = access.Actor{Request: s.id, Agent: s.agent}
	if s.ip.IsValid() {
		s.actor.IP = s.ip.String()
	}
	r = r.WithContext(context.WithValue(r.Context(), stateKey{}, s))
	r.Body = http.MaxBytesReader(s.w, r.Body, formLimit)
	s.w.secure = m.public.Scheme == "https"
	s.w.device = deviceOf(r, s.w.secure)
	s.w.Header().Set("X-Request-Id", s.id)
	setHeaders(s.w.Header(), s.w.secure)

	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			m.log.ErrorContext(r.Context(), "panic", "request_id", s.id, "route", route(r), "panic", p, "stack", string(debug.Stack()))
			if s.w.status == 0 {
				m.fail(s.w, r, errors.New("panic"))
			}
		}
		m.note(r, s, time.Since(start))
	}()
	m.oneSlash(r)
	s.w.unrouted = true
	m.routes.ServeHTTP(s.w, r)
	if s.w.refused != 0 { // ServeMux itself said 404 or 405, in plain text
		m.failStatus(s.w, r, s.w.refused)
	}
}

// oneSlash reads several slashes in a row as one where OneSlash says so.
func (m *Mux) oneSlash(r *http.Request) {
	path := r.URL.EscapedPath()
	if !strings.Contains(path, "//") || !slices.ContainsFunc(m.slashes, func(below string) bool { return strings.HasPrefix(path, below) }) {
		return
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	plain, err := url.PathUnescape(path)
	if err != nil { // it could not have been parsed
		return
	}
	at := *r.URL
	at.Path, at.RawPath = plain, path
	r.URL = &at
}

// mount is the seam between ServeMux and our handlers.
func (m *Mux) mount(pattern string, h Handler) {
	m.patterns = append(m.patterns, pattern)
	m.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s := stateOf(r)
		s.w.unrouted = false
		if err := h(s.w, r); err != nil {
			m.fail(s.w, r, err)
		}
	})
}

// note writes the one log line of a request: the route's pattern and never the
// path or the query, which may hold tokens.
func (m *Mux) note(r *http.Request, s *state, took time.Duration) {
	status := s.w.status
	if status == 0 {
		status = http.StatusOK
	}
	if m.opts.Metrics != nil {
		m.opts.Metrics(route(r), r.Method, status, took)
	}
	attrs := []slog.Attr{
		slog.String("request_id", s.id),
		slog.String("method", r.Method),
		slog.String("route", route(r)),
		slog.Int("status", status),
		slog.Duration("took", took),
		slog.String("ip", s.actor.IP),
	}
	if s.actor.Signed() {
		attrs = append(attrs, slog.String("org", s.actor.Org), slog.String("actor", string(s.actor.Kind)+"/"+s.actor.ID))
	}
	level := slog.LevelInfo
	if s.w.err != nil && status >= 500 {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", s.w.err))
	}
	m.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// route is the pattern without its method, "-" when nothing matched.
func route(r *http.Request) string {
	for i := range len(r.Pattern) {
		if r.Pattern[i] == ' ' {
			return r.Pattern[i+1:]
		}
	}
	if r.Pattern == "" {
		return "-"
	}
	return r.Pattern
}

// requestID takes a well-formed X-Request-Id, so that a proxy's log joins ours, or makes one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); len(id) >= 8 && len(id) <= 64 && plain(id) {
		return id
	}
	var b [10]byte // milliseconds first: the logs keep an index of it, which then grows at its end
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixMilli())<<16)
	rand.Read(b[6:])
	return hex.EncodeToString(b[:])
}

// clean keeps what can be stored and shown.
func clean(agent string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, agent[:min(len(agent), 200)])
}

func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// response remembers what was answered, and keeps ServeMux's own plain-text
// refusals back so that they become pages.
type response struct {
	http.ResponseWriter
	status   int
	err      error
	secure   bool
	device   string // see DeviceID
	unrouted bool   // no handler of ours has been reached
	refused  int
}

func (w *response) WriteHeader(status int) {
	if w.unrouted && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed) {
		w.refused = status
		return
	}
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.refused != 0 && w.unrouted {
		return len(b), nil
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
