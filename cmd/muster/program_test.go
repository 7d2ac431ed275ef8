package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/openapi/openapitest"
)

// built is the program as a newcomer has it: compiled, in a process of its own.
var built = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "build", "-o", filepath.Join(buildDir, "muster"), ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return filepath.Join(buildDir, "muster"), nil
})

var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "muster-program-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// program is one installation: a folder and its settings.
type program struct {
	t      *testing.T
	binary string
	dir    string
	env    []string
}

func newProgram(t *testing.T, env ...string) *program {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &program{t: t, binary: binary, dir: dir, env: append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir(), "MUSTER_HTTP_ADDR=127.0.0.1:0",
	}, env...)}
}

type result struct {
	code           int
	stdout, stderr string
}

func (p *program) command(args ...string) *exec.Cmd {
	c := exec.Command(p.binary, args...)
	c.Dir, c.Env = p.dir, p.env
	return c
}

// run runs one command to its end.
func (p *program) run(args ...string) result {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	c := p.command(args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		p.t.Fatalf("muster %s: %v", strings.Join(args, " "), err)
	}
	return result{code: c.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// must runs a command that has to succeed, with --json, and decodes its answer.
func (p *program) must(args ...string) map[string]any {
	p.t.Helper()
	r := p.run(append(args, "--json")...)
	var v map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &v); r.code != 0 || err != nil {
		p.t.Fatalf("muster %s: exit %d, %v\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.code, err, r.stdout, r.stderr)
	}
	return v
}

// server is a running one.
type server struct {
	t       *testing.T
	process *exec.Cmd
	url     string
	hello   map[string]any // what it printed at start
	log     *lockedBuffer
	rest    *lockedBuffer // standard output after the greeting
	ended   chan struct{}
}

// demoPassword is what the demo's admin signs in with.
func (s *server) demoPassword() string {
	s.t.Helper()
	demo, _ := s.hello["demo"].(map[string]any)
	password, _ := demo["password"].(string)
	if password == "" {
		s.t.Fatalf("no demo in %v", s.hello)
	}
	return password
}

// lockedBuffer is written by the process and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts the server and waits until it says where it is.
func (p *program) serve(args ...string) *server {
	p.t.Helper()
	c := p.command(append([]string{"serve", "--json"}, args...)...)
	s := &server{t: p.t, process: c, log: &lockedBuffer{}, rest: &lockedBuffer{}, ended: make(chan struct{})}
	c.Stderr = s.log
	stdout, err := c.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	greeted := make(chan error, 1)
	go func() {
		in := bufio.NewReader(stdout)
		d := json.NewDecoder(in)
		greeted <- d.Decode(&s.hello)
		io.Copy(s.rest, io.MultiReader(d.Buffered(), in))
		c.Wait()
		close(s.ended)
	}()
	p.t.Cleanup(func() {
		s.kill()
		if p.t.Failed() {
			for line := range strings.Lines(s.log.String()) {
				if !strings.Contains(line, `"level":"INFO"`) {
					p.t.Log(strings.TrimSpace(line))
				}
			}
		}
	})
	if err := <-greeted; err != nil {
		<-s.ended
		p.t.Fatalf("muster serve did not start (%v), exit %d: %s", err, c.ProcessState.ExitCode(), s.log)
	}
	s.url, _ = s.hello["url"].(string)
	s.waitReady()
	return s
}

// waitReady asks until the server answers: between the greeting and the first
// accept there is a moment.
func (s *server) waitReady() {
	s.t.Helper()
	for deadline := time.Now().Add(stepTime); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r, err := http.Get(s.url + "/readyz")
		if err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
	}
	s.t.Fatalf("%s/readyz is not ready:\n%s", s.url, s.log)
}

// stop ends the server as an operator does and gives its exit code.
func (s *server) stop() int {
	s.t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(40 * time.Second):
		s.t.Fatalf("the server did not stop:\n%s", s.log)
	}
	return s.process.ProcessState.ExitCode()
}

// kill is a power cut.
func (s *server) kill() {
	s.process.Process.Kill()
	<-s.ended
}

// do sends one request and gives status and body.
func (s *server) do(method, path, token, body string) (int, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	target := path
	if strings.HasPrefix(path, "/") {
		target = s.url + path
	}
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
		if strings.HasPrefix(r.URL.Path, "/api/") {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	res, err := openapitest.Client(s.t, http.DefaultTransport).Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", method, target, err, s.log)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
