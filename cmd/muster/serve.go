package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/heap"
	"github.com/muster-id/muster/internal/web"
)

// finishing is how long running requests may take after the first signal.
const finishing = 25 * time.Second

type serveCmd struct {
	Demo bool `help:"Fill an organization acme with people, a team, a directory and a connection to look at."`
}

// Run serves until a signal comes: then it is not ready any more, finishes the
// running requests, stops the loops and closes the database, in this order.
// A second signal ends the process at once.
func (c serveCmd) Run(a *app) error {
	l, err := net.Listen("tcp", string(a.cfg.HTTP.Addr))
	if err != nil {
		return taken(err, a.cfg.HTTP.Addr, "--http-addr")
	}
	defer l.Close()
	a.cfg.HTTP.Addr = config.Addr(l.Addr().String()) // port 0 has become a real one
	h, err := a.open()
	if err != nil {
		return err
	}
	stopMetrics, err := h.metrics.listener(a.cfg.Metrics.Addr)
	if err != nil {
		return err
	}
	defer stopMetrics()
	web.ParsePages()
	if err := c.greet(a, h); err != nil {
		return err
	}

	if err := h.operate.Appear(a.ctx); err != nil {
		return err
	}
	heap.Roomy()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + h.passwords.Slots()) // password sign-ins make nobody else wait
	signalled, stop := signal.NotifyContext(a.ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	loops, stopLoops := context.WithCancel(context.WithoutCancel(a.ctx))
	defer stopLoops()
	var running sync.WaitGroup
	for name, loop := range h.loops {
		running.Go(func() { runLoop(h.beats.begin(loops, name), a.log, name, loop) })
	}
	srv := newServer(h.mux, a.log)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	a.log.Info("listening", "addr", l.Addr().String(), "url", h.url, "version", thisVersion().Version)

	select {
	case err = <-failed:
	case <-signalled.Done():
		stop() // the next signal has its usual effect
		a.log.Info("stopping", "finish_within", finishing.String())
		h.health.stopping.Store(true)
		err = shutdown(srv, a.log)
	}
	stopLoops()
	running.Wait()
	if gone := h.operate.Leave(context.WithoutCancel(a.ctx)); gone != nil {
		a.log.Error("forget that the server ran", "error", gone)
	}
	a.log.Info("stopped")
	return err
}

func shutdown(srv *http.Server, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), finishing)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("requests cut off", "after", finishing.String())
		return srv.Close()
	}
	return err
}

// runLoop keeps a background loop alive: its failure is logged and it starts again.
func runLoop(ctx beating, log *slog.Logger, name string, loop func(context.Context) error) {
	for {
		err := loop(ctx)
		if ctx.Err() != nil {
			return
		}
		log.ErrorContext(ctx, "background loop ended; starting it again", "loop", name, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// newServer has a limit on everything that a client can draw out. Handlers with
// a body of their own limit its size.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 60 * time.Second,
		WriteTimeout: 3 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	if log != nil {
		srv.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug) // clients' TLS and protocol mistakes
	}
	return srv
}

// taken explains why an address cannot be listened on.
func taken(err error, addr config.Addr, flag string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another program listens on %s already; stop it, or choose another port, for example %s 127.0.0.1:8081", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("this user may not listen on %s; choose a port above 1023, for example %s 127.0.0.1:8080", addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("this machine has no address %s; for all of its addresses use %s 0.0.0.0:8080", addr, flag)
	}
	return fmt.Errorf("listen on %s: %w", addr, err)
}
