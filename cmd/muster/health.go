package main

import (
	"context"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// health is what an operator's machines ask.
type health struct {
	db       *store.DB
	stopping atomic.Bool // set on the first signal: balancers then look elsewhere
}

// check is one line of /readyz.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

func (h *health) mount(m *web.Mux) {
	m.Machine("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error {
		return web.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	m.Machine("GET /readyz", h.ready)
	m.Machine("GET /version", func(w http.ResponseWriter, _ *http.Request) error {
		return web.JSON(w, http.StatusOK, thisVersion())
	})
}

// ready says whether requests should be sent here. Causes stay in the log:
// whoever asks need not be known.
func (h *health) ready(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	checks := []check{{Name: "running", OK: !h.stopping.Load()}, {Name: "database", OK: true}, {Name: "migrations", OK: true}}
	if !checks[0].OK {
		checks[0].Detail = "The server is stopping."
	}
	var one int
	if err := h.db.Lookup(ctx, &one, "SELECT 1"); err != nil {
		checks[1] = check{Name: "database", Detail: "The database does not answer."}
		checks[2] = check{Name: "migrations", Detail: "Unknown while the database does not answer."}
	} else if err := h.db.Ready(ctx); err != nil {
		checks[2] = check{Name: "migrations", Detail: fault.Public(err)}
	}
	status, word := http.StatusOK, "ready"
	for _, c := range checks {
		if !c.OK {
			status, word = http.StatusServiceUnavailable, "not ready"
		}
	}
	return web.JSON(w, status, map[string]any{"status": word, "checks": checks})
}

// metrics is the registry and what this package counts in it.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "muster_http_request_seconds", Help: "Time to answer, by route pattern, method and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route", "method", "status"}),
	}
	v := thisVersion()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "muster_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": v.Version, "commit": v.Commit, "go": runtime.Version()}})
	build.Set(1)
	m.registry.MustRegister(m.requests, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// count adds a counter that a package keeps itself.
func (m *metrics) count(name, help string, n func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(n()) }))
}

// observe is web.Options.Metrics. Methods that we have no route for are one
// label value, else a stranger could make as many as they like.
func (m *metrics) observe(route, method string, status int, took time.Duration) {
	if route == "-" {
		method = "-"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// mount serves the metrics on the main listener, to whoever has the token or,
// without one, to this machine. A proxy on this machine speaks for others, so
// what it forwards does not count as from here.
func (m *metrics) mount(mux *web.Mux, s config.Metrics) {
	if s.Addr != "" {
		return
	}
	h := m.handler()
	mux.Machine("GET /metrics", func(w http.ResponseWriter, r *http.Request) error {
		if s.Token == "" && !direct(r) {
			return fault.Denied.Say("Metrics are for this machine only. Set MUSTER_METRICS_TOKEN or MUSTER_METRICS_ADDR.")
		}
		if s.Token != "" {
			got, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !bearer || subtle.ConstantTimeCompare([]byte(got), []byte(s.Token)) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				return fault.SignIn.Say("Metrics ask for the bearer token of MUSTER_METRICS_TOKEN.")
			}
		}
		h.ServeHTTP(w, r)
		return nil
	})
}

// direct tells whether the request was made on this machine, by nobody's order.
func direct(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return true
}

// listener starts the metrics' own listener; stop ends it.
func (m *metrics) listener(addr config.Addr) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", string(addr))
	if err != nil {
		return nil, taken(err, addr, "--metrics-addr")
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	srv := newServer(mux, nil)
	go srv.Serve(l)
	return func() { srv.Close() }, nil
}
