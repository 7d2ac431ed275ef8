/*
Command benchreport runs the benchmarks and writes docs/performance.md: each hot path
beside its raw limit, with the goal, the processor time and the allocations, and the
machine it was measured on, without names or paths.

	go run ./internal/benchreport       make bench-report
	suites.go  -> go test -bench, one package after the other
	parse.go   -> medians of every figure of every benchmark
	page.go    -> the page

It knows none of our packages: what it needs stands in the benchmarks' output.
*/
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

func main() {
	out := flag.String("o", "docs/performance.md", "the page to write")
	times := flag.Float64("times", 1, "how many times as many operations as usual")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *times, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchreport:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, times float64, progress io.Writer) error {
	m := machine(ctx)
	var all results
	for _, s := range suites {
		fmt.Fprintln(progress, "benchreport:", s.pkg, s.bench)
		text, err := s.run(ctx, times, progress)
		if err != nil {
			return err
		}
		all = all.add(parse(text))
	}
	m.LoadAfter, m.Day = load(), time.Now().UTC().Format(time.DateOnly)
	return os.WriteFile(out, page(m, all), 0o644)
}

// suite is the benchmarks of one package that take about as long.
type suite struct {
	pkg, bench string
	n          int // operations; of 5 rounds together
	count      int // how many times, when the benchmark has no rounds of its own
}

var suites = []suite{
	{"./scim", "^BenchmarkDoor$/^(get|get-with-groups|get-group-without-members|userName-eq)$", 20_000, 1},
	{"./scim", "^BenchmarkDoor$/^page", 2_000, 1},
	{"./scim", "^BenchmarkDoor$/^(create|patch-user|patch-active|patch-member-of-10|patch-member-of-100000)$", 8_000, 1},
	{"./scim", "^BenchmarkDoor$/^read-group", 5, 1},
	{"./scim", "^BenchmarkSQLite$", 8_000, 1},
	{"./scim", "^BenchmarkBulk$", 5, 1},
	{"./scim", "^(BenchmarkWalk|BenchmarkGrowth)$", 5, 1},
	{"./scim", "^(BenchmarkParseFilter|BenchmarkParsePath)$", 50_000, 5},
	{"./sso/saml", ".", 500, 5},
	{"./sso/oidc", ".", 1000, 5},
	{"./sso", "^BenchmarkACS$", 3000, 1},
	{"./internal/console", "^BenchmarkManageUsers$", 30, 1},
	{"./internal/importer", "^BenchmarkImport$", 1, 5},
	{"./cmd/muster", "^BenchmarkSignIns$", 300, 1},
	{"./cmd/muster", "^BenchmarkFirstPaint$", 30, 1},
}

func (s suite) run(ctx context.Context, times float64, progress io.Writer) (string, error) {
	n := s.n
	if n > 100 {
		n = int(float64(n) * times)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", s.bench, "-benchmem", "-timeout", "60m",
		"-benchtime", fmt.Sprintf("%dx", n), "-count", fmt.Sprint(s.count), s.pkg)
	if strings.Contains(s.bench, "BenchmarkGrowth") {
		cmd.Args = append(cmd.Args, "-growth", "1000000")
	}
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&text, progress), progress
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w", s.pkg, s.bench, err)
	}
	return text.String(), nil
}
