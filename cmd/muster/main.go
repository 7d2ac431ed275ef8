// Command muster is the server and everything that is done to it from a shell.
//
//	arguments ─> cli (kong) ─> settings (config.Load) ─> app ─> one command
//	                                                      └──> serve: open, migrate, mount, listen, loops, stop
//
// It is the only package that knows all the others: it builds them in order and
// hands each its own Options. Commands open the same database as a running
// server and end in the same operations, so nothing is done twice.
//
// Standard output has the answer and nothing else (with --json exactly one JSON
// value), standard error has the log and what went wrong. Exit codes: 0 done,
// 1 failed, 2 usage, 69 a dependency is unreachable, 78 bad configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/fault"
)

// Exit codes; the two large ones are those of sysexits.h.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 69
	exitConfig      = 78
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the whole program without its process.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	err := command(ctx, args, env, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "muster: %s\n", sentence(err))
	}
	return exitCode(err)
}

// usage is a mistake in the arguments.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if _, ok := errors.AsType[usage](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[config.Faults](err); ok {
		return exitConfig
	}
	if fault.Is(err, fault.Unavailable) {
		return exitUnavailable
	}
	return exitFailed
}

// sentence is what a person is told. At a shell the operator may see the cause too.
func sentence(err error) string {
	_, large := errors.AsType[*http.MaxBytesError](err)
	if f, ok := errors.AsType[*fault.Error](err); ok && (f.Err == nil || large || f.Kind == fault.NotFound || f.Kind == fault.Conflict) { // those say it all
		return f.Public
	}
	return err.Error()
}
