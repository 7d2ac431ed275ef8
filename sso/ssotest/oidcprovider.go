package ssotest

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed oidcprovider/package.json oidcprovider/package-lock.json oidcprovider/server.mjs
var oidcProviderFiles embed.FS

// OIDCProvider is panva's oidc-provider, certified and written by others, run with
// node on loopback. Its pages ask for a name and for consent.
type OIDCProvider struct {
	URL          string // the issuer
	ClientID     string
	ClientSecret string
}

// StartOIDCProvider runs the provider until the test ends. people are the claims
// by the name that somebody signs in with, which is also their sub. redirectFor is
// told the issuer and the client, and gives the redirect URL to register. It fails
// the test when node or npm is missing.
func StartOIDCProvider(tb testing.TB, people map[string]map[string]any, redirectFor func(p OIDCProvider) string) {
	tb.Helper()
	folder := oidcProviderFolder(tb)
	var err error
	// Somebody else may take the free port first; then the next one will do.
	for range 3 {
		port := freePort(tb)
		p := OIDCProvider{URL: fmt.Sprintf("http://127.0.0.1:%d", port), ClientID: "muster", ClientSecret: randomHex(24)}
		settings, _ := json.Marshal(map[string]any{"issuer": p.URL, "port": port, "people": people, "clients": []map[string]any{{
			"client_id": p.ClientID, "client_secret": p.ClientSecret, "redirect_uris": []string{redirectFor(p)},
		}}})
		if err = runOIDCProvider(tb, folder, settings); err == nil {
			return
		}
	}
	tb.Fatal(err)
}

func runOIDCProvider(tb testing.TB, folder string, settings []byte) error {
	node := exec.Command("node", "server.mjs")
	node.Dir = folder
	node.Env = append(os.Environ(), "OIDC_PROVIDER="+string(settings), "NODE_ENV=test")
	stdin, err := node.StdinPipe() // closed with this process, which ends the child
	if err != nil {
		return err
	}
	var said syncBuffer
	node.Stderr = &said
	stdout, err := node.StdoutPipe()
	if err != nil {
		return err
	}
	if err := node.Start(); err != nil {
		return fmt.Errorf("node is needed for oidc-provider (Debian, Ubuntu: apt-get install nodejs npm): %w", err)
	}
	tb.Cleanup(func() { stdin.Close(); node.Process.Kill(); node.Wait() })
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
	case <-time.After(30 * time.Second):
	}
	return fmt.Errorf("oidc-provider did not start: %s", said.String())
}

// oidcProviderFolder has the provider with its modules, as the lock file says. It
// is made once per machine and lock file.
func oidcProviderFolder(tb testing.TB) string {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	sum := sha256.New()
	err = fs.WalkDir(oidcProviderFiles, "oidcprovider", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := oidcProviderFiles.ReadFile(name)
		sum.Write(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	folder := filepath.Join(cache, "muster-test", "oidc-provider-"+hex.EncodeToString(sum.Sum(nil))[:16])
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
	files, err := fs.Sub(oidcProviderFiles, "oidcprovider")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.CopyFS(half, files); err != nil {
		tb.Fatal(err)
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = half
	if out, err := npm.CombinedOutput(); err != nil {
		tb.Fatalf("npm ci for oidc-provider (needs node, npm and the npm registry): %v\n%s", err, out)
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
