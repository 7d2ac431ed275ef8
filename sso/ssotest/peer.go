package ssotest

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/porttest"
)

// startPeer runs a provider that others wrote until the test ends. command is given
// a free port; the program says "listening" on a line of its own when it is ready,
// and ends when its standard input does.
func startPeer(tb testing.TB, command func(port int) *exec.Cmd) {
	tb.Helper()
	if err := runPeer(tb, command(porttest.Held(tb))); err != nil {
		tb.Fatal(err)
	}
}

func runPeer(tb testing.TB, cmd *exec.Cmd) error {
	stdin, err := cmd.StdinPipe() // closed with this process, which ends the child
	if err != nil {
		return err
	}
	var said syncBuffer
	cmd.Stderr = &said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s is needed; .ci/provide says how to get it: %w", cmd.Path, err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
		if tb.Failed() {
			tb.Logf("%s said:\n%s", strings.Join(cmd.Args, " "), said.String())
		}
	})
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if lines.Text() == "listening" {
				ready <- true
			}
		}
		ready <- false
	}()
	select {
	case ok := <-ready:
		if ok {
			return nil
		}
	case <-time.After(startTimeout):
	}
	return fmt.Errorf("%s did not start: %s", strings.Join(cmd.Args, " "), said.String())
}

// node runs server.mjs of a folder with its settings in the environment.
func node(folder string, settings []byte) *exec.Cmd {
	cmd := exec.Command("node", "server.mjs")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "PEER="+string(settings), "NODE_ENV=test")
	return cmd
}

// nodeFolder has a peer's files with their modules, as the lock file says. It is
// made once per machine and lock file.
func nodeFolder(tb testing.TB, all embed.FS, name string) string {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	files, err := fs.Sub(all, name)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.New()
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		sum.Write(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	folder := filepath.Join(cache, "muster-test", name+"-"+hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		tb.Fatal(err)
	}
	half, err := os.MkdirTemp(filepath.Dir(folder), "installing-")
	if err != nil {
		tb.Fatal(err)
	}
	defer os.RemoveAll(half)
	if err := os.CopyFS(half, files); err != nil {
		tb.Fatal(err)
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = half
	if out, err := npm.CombinedOutput(); err != nil {
		tb.Fatalf("npm ci for %s (needs node, npm and the npm registry): %v\n%s", name, err, out)
	}
	// Of several tests that install at once, one wins; the others use its folder.
	if err := os.Rename(half, folder); err != nil {
		if _, there := os.Stat(folder); there != nil {
			tb.Fatal(err)
		}
	}
	return folder
}

// syncBuffer collects what a child process says.
type syncBuffer struct {
	mu sync.Mutex // guards b
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
