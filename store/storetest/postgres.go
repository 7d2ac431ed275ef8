package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/porttest"
	"github.com/muster-id/muster/store"
)

// server is one PostgreSQL with a migrated template database on it.
type server struct {
	dsn      *url.URL // of the database "postgres"
	template string
}

// testServer keeps nothing: it does not wait for the disk. It analyzes tables only when a
// test says so: a plan that changed in the middle would look at other people first, and
// count others of very many.
var testServer = sync.OnceValues(func() (*server, error) { return newServer("fsync=off", "full_page_writes=off", "autovacuum=off") })

var durableServer = sync.OnceValues(func() (*server, error) { return newServer() })

func newServer(settings ...string) (*server, error) {
	dsn := os.Getenv("MUSTER_TEST_PG_DSN")
	if dsn == "" {
		var err error
		if dsn, err = runPostgres(settings...); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("MUSTER_TEST_PG_DSN is not a URL; write postgres://USER@127.0.0.1:PORT/postgres?sslmode=disable")
	}
	s := &server{dsn: u, template: "muster_t_" + randomName()}
	if err := s.admin("CREATE DATABASE " + s.template); err != nil {
		return nil, err
	}
	db, err := store.Open(context.Background(), store.Options{URL: s.url(s.template), MaxConns: 2})
	if err != nil {
		return nil, err
	}
	return s, errors.Join(db.Migrate(context.Background()), db.Close())
}

func (s *server) url(database string) string {
	u := *s.dsn
	u.Path = "/" + database
	return u.String()
}

// admin runs one statement on the server. Copying a template can clash with
// another copy of it for a moment; then it is tried again.
func (s *server) admin(statement string) error {
	db, err := sql.Open("postgres", s.dsn.String())
	if err != nil {
		return err
	}
	defer db.Close()
	for try := 0; ; try++ {
		if _, err = db.Exec(statement); err == nil {
			return nil
		}
		if try == 50 || !strings.Contains(err.Error(), "is being accessed by other users") {
			return fmt.Errorf("%s: %w", statement, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// PostgresURL names a new migrated database on the test server.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, testServer, true)
}

// DurablePostgresURL is PostgresURL on a server that waits for the disk at each
// commit, for benchmarks.
func DurablePostgresURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, durableServer, true)
}

// EmptyPostgresURL names a new database without tables.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, testServer, false)
}

func newDatabase(t testing.TB, start func() (*server, error), migrated bool) string {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatalf("PostgreSQL for the tests: %v", err)
	}
	name, create := "muster_t_"+randomName(), ""
	if migrated {
		create = " TEMPLATE " + s.template
	}
	if err := s.admin("CREATE DATABASE " + name + create); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.admin("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	return s.url(name)
}

func randomName() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

const howToInstall = "no PostgreSQL server programs found. Install them (Debian, Ubuntu: apt-get install postgresql), " +
	"or name a server in MUSTER_TEST_PG_DSN (postgres://USER@127.0.0.1:5432/postgres?sslmode=disable)"

// runPostgres starts a server on loopback that ends with this process, and returns
// its URL.
func runPostgres(settings ...string) (string, error) {
	bin, err := postgresBin()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "muster-testpg-")
	if err != nil {
		return "", err
	}
	who, err := serverUser(dir)
	if err != nil {
		return "", err
	}
	data := filepath.Join(dir, "data")
	var out bytes.Buffer
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.Dir, initdb.Stdout, initdb.Stderr = dir, &out, &out
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if err := initdb.Run(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out.String())
	}
	port, _, err := porttest.Hold() // as long as this process lives
	if err != nil {
		return "", err
	}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig follows the thread that started the child, so this one stays.
		runtime.LockOSThread()
		args := []string{"-D", data, "-p", strconv.Itoa(port), "-k", dir}
		for _, setting := range append(settings, "listen_addresses=127.0.0.1", "max_connections=400", "shared_buffers=256MB") {
			args = append(args, "-c", setting)
		}
		pg := exec.Command(filepath.Join(bin, "postgres"), args...)
		pg.Dir = dir
		pg.SysProcAttr = &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGQUIT}
		started <- pg.Start()
		pg.Wait()
	}()
	if err := <-started; err != nil {
		return "", fmt.Errorf("start postgres: %w", err)
	}
	removeLeftovers()
	dsn := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	return dsn, waitFor(dsn)
}

func waitFor(dsn string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if err = db.Ping(); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the test server did not come up within two minutes: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func postgresBin() (string, error) {
	places, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		places = append(places, strings.TrimSpace(string(out)))
	}
	for _, p := range places {
		if _, err := os.Stat(filepath.Join(p, "initdb")); err == nil {
			return p, nil
		}
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", errors.New(howToInstall)
}

// serverUser gives the folder to an unprivileged user when we are root, as whom
// PostgreSQL refuses to run.
func serverUser(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// removeLeftovers deletes the folders of test servers that no longer run: a
// process that is killed cannot clean up after itself. Only old ones: a server
// that is being made looks like an abandoned one for a moment.
func removeLeftovers() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), "muster-testpg-*"))
	for _, dir := range folders {
		if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) < 10*time.Minute {
			continue
		}
		pid, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
		line, _, _ := strings.Cut(string(pid), "\n")
		if n, bad := strconv.Atoi(line); err != nil || bad != nil || syscall.Kill(n, 0) == syscall.ESRCH {
			os.RemoveAll(dir)
		}
	}
}
