package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/porttest"
	"github.com/muster-id/muster/store"
)

// scimUser is a small valid body.
func scimUser(name string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"active":true}`, name)
}

// directory makes org acme with a directory and gives base path and token.
func (p *program) directory() (base, token string) {
	p.t.Helper()
	p.must("org", "create", "--slug", "acme", "--name", "Acme Inc")
	d := p.must("directory", "create", "--org", "acme", "--name", "Okta")
	return "/scim/v2/" + d["id"].(string), d["token"].(string)
}

// A power cut while many people are being written: whoever was told "201" is
// there, and every change has its activity row.
func TestCrashLeavesNoHalfChange(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "crash", func(t *testing.T, env ...string) {
		p := newProgram(t, env...)
		base, token := p.directory()
		s := p.serve()

		var mu sync.Mutex
		created := map[string]bool{}
		enough := make(chan struct{})
		var writers sync.WaitGroup
		for w := range 8 {
			writers.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("u%d-%d@example.com", w, i)
					status, err := post(s.url+base+"/Users", token, scimUser(name))
					if err != nil {
						return // the server is gone
					}
					if status != http.StatusCreated {
						t.Errorf("POST %s: %d\n%s", name, status, s.log)
						return
					}
					mu.Lock()
					created[name] = true
					if len(created) == 60 {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		stopped := make(chan struct{})
		go func() { writers.Wait(); close(stopped) }()
		select {
		case <-enough:
		case <-stopped:
			t.Fatalf("only %d people were written", len(created))
		}
		s.kill()
		<-stopped

		s = p.serve() // it comes up again by itself
		people, creations := p.truth()
		for name := range created {
			if !people[name] {
				t.Errorf("%s was answered with 201 and is not there", name)
			}
		}
		for name := range people {
			if creations[name] != 1 {
				t.Errorf("%s has %d activity rows about the creation, want 1", name, creations[name])
			}
		}
		if len(creations) != len(people) {
			t.Errorf("%d creations recorded, %d people", len(creations), len(people))
		}
		if status, _ := s.do("POST", base+"/Users", token, scimUser("after@example.com")); status != http.StatusCreated {
			t.Errorf("after the crash: %d", status)
		}
	})
}

func post(url, token, body string) (int, error) {
	r, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// truth reads acme's people, and how often the creation of each is recorded.
func (p *program) truth() (people map[string]bool, creations map[string]int) {
	p.t.Helper()
	url := "sqlite:" + filepath.Join(p.dir, "muster-data", "muster.db")
	for _, pair := range p.env {
		if u, ok := strings.CutPrefix(pair, "MUSTER_DATABASE_URL="); ok {
			url = u
		}
	}
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	org, err := db.OrgBySlug(ctx, "acme")
	if err != nil {
		p.t.Fatal(err)
	}
	people, creations = map[string]bool{}, map[string]int{}
	err = db.Read(ctx, access.Muster(string(org.ID)), func(tx *store.Tx) error {
		names := map[string]string{}
		for after := store.UserID(""); ; {
			page, err := tx.PeopleAfter(store.PeopleQuery{}, after, 500)
			if err != nil {
				return err
			}
			for _, u := range page {
				people[u.UserName], names[string(u.ID)], after = true, u.UserName, u.ID
			}
			if len(page) < 500 {
				break
			}
		}
		var before store.ActivityID
		for {
			list, err := tx.Activities(store.ActivityQuery{Action: "user.create", Before: before, Limit: 200})
			if err != nil || len(list) == 0 {
				return err
			}
			for _, a := range list {
				creations[names[a.TargetID]]++
				before = a.ID
			}
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return people, creations
}

// A request that is under way when the server is told to stop is answered; a
// second signal does not wait for it.
func TestStopFinishesRequests(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	base, token := p.directory()
	s := p.serve()
	finish := s.halfRequest(base, token, "late@example.com")
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.waitForLog(`"msg":"stopping"`)
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), time.Second); err == nil {
		t.Error("a stopping server takes new connections")
	}
	if status := finish(); status != http.StatusCreated {
		t.Errorf("the request under way got %d, want 201\n%s", status, s.log)
	}
	<-s.ended
	if code := s.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, s.log)
	}
	if people, _ := p.truth(); !people["late@example.com"] {
		t.Error("what was answered with 201 is not there")
	}

	s = p.serve()
	s.halfRequest(base, token, "never@example.com")
	for range 2 {
		s.process.Process.Signal(syscall.SIGTERM)
		s.waitForLog(`"msg":"stopping"`)
	}
	select {
	case <-s.ended:
	case <-time.After(10 * time.Second):
		t.Error("the second signal did not end the process")
	}
}

// halfRequest starts a POST and keeps the end of its body back until the
// returned func is called, which gives the answer's status.
func (s *server) halfRequest(base, token, name string) func() int {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	body := scimUser(name)
	fmt.Fprintf(conn, "POST %s/Users HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		base, strings.TrimPrefix(s.url, "http://"), token, len(body))
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // the handler reads now
		s.t.Fatalf("no 100 Continue but %q, %v", line, err)
	}
	in.ReadString('\n')
	return func() int {
		io.WriteString(conn, body)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			s.t.Fatalf("no answer: %v\n%s", err, s.log)
		}
		res.Body.Close()
		return res.StatusCode
	}
}

func (s *server) waitForLog(text string) {
	s.t.Helper()
	for deadline := time.Now().Add(stepTime); !strings.Contains(s.log.String(), text); {
		if time.Now().After(deadline) {
			s.t.Fatalf("%q does not appear in the log:\n%s", text, s.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestMetricsAreNotForEverybody(t *testing.T) {
	t.Parallel()
	get := func(s *server, url string, header ...string) int {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	open := newProgram(t).serve()
	if got := get(open, open.url+"/metrics"); got != 200 {
		t.Errorf("from this machine: %d, want 200", got)
	}
	if got := get(open, open.url+"/metrics", "X-Forwarded-For", "203.0.113.9"); got != 403 {
		t.Errorf("through a proxy: %d, want 403", got)
	}
	guarded := newProgram(t, "MUSTER_METRICS_TOKEN=metrics-bearer").serve()
	for want, header := range map[int][]string{200: {"Authorization", "Bearer metrics-bearer"}, 401: {"Authorization", "Bearer other"}} {
		if got := get(guarded, guarded.url+"/metrics", header...); got != want {
			t.Errorf("with %v: %d, want %d", header, got, want)
		}
	}
	addr := porttest.HeldAddr(t)
	apart := newProgram(t, "MUSTER_METRICS_ADDR="+addr).serve()
	if got := get(apart, "http://"+addr+"/metrics"); got != 200 {
		t.Errorf("on its own listener: %d, want 200", got)
	}
	if got := get(apart, apart.url+"/metrics"); got != 404 {
		t.Errorf("on the main listener beside its own: %d, want 404", got)
	}
}

// The data folder is its owner's alone, and commands that start at once agree on one key.
func TestDataFolder(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if r := p.run("org", "create", "--slug", fmt.Sprintf("org%d", i), "--name", "Org"); r.code != 0 {
				t.Errorf("exit %d: %s", r.code, r.stderr)
			}
		})
	}
	wg.Wait()
	var list []map[string]any
	r := p.run("org", "list", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil || len(list) != 6 {
		t.Errorf("%d organizations, want 6: %v", len(list), err)
	}
	data := filepath.Join(p.dir, "muster-data")
	for name, want := range map[string]os.FileMode{"": 0o700, "server.key": 0o600, "muster.db": 0o600} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", name, info.Mode(), err, want)
		}
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
	if err := os.WriteFile(filepath.Join(data, "server.key"), []byte("damaged\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := p.run("org", "list"); r.code != exitFailed || !strings.Contains(r.stderr, "damaged") {
		t.Errorf("with a damaged key: exit %d, %s", r.code, r.stderr)
	}
}

// Limits come before anything is looked at.
func TestHeadersAreLimited(t *testing.T) {
	t.Parallel()
	s := newProgram(t).serve()
	r, err := http.NewRequest("GET", s.url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Large", strings.Repeat("a", 64<<10))
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 kB of headers: %d, want 431", res.StatusCode)
	}
}
