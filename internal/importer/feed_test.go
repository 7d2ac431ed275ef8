package importer_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/sso"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// letters are the subjects of the mails that came since the last time.
func (s *stage) letters() (list []string) {
	for {
		select {
		case m := <-s.mails:
			list = append(list, m.Subject)
		default:
			return list
		}
	}
}

// settle makes a file old enough that nobody can be writing it any more.
func settle(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) feed(in importer.NewFeed) importer.Feed {
	s.t.Helper()
	f, err := s.door.CreateFeed(ctx, s.admin, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// look has a feed looked at, and what it began worked off.
func (s *stage) look(id importer.FeedID) importer.Feed {
	s.t.Helper()
	if err := s.door.Look(ctx, s.org.ID, id); err != nil {
		s.t.Fatal(err)
	}
	if err := s.jobs.Work(ctx); err != nil {
		s.t.Fatal(err)
	}
	if err := s.door.Tend(ctx); err != nil {
		s.t.Fatal(err)
	}
	list, err := s.door.Feeds(ctx, s.admin)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range list {
		if f.ID == id {
			return f
		}
	}
	s.t.Fatal("the feed is gone")
	return importer.Feed{}
}

func TestAFolderIsWatched(t *testing.T) {
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newStage(t, db)
		for i := range 9 {
			s.person(fmt.Sprintf("p%d@acme.example", i))
		}
		own := filepath.Join(s.folder, "acme")
		settle(t, filepath.Join(own, "hr", "a.csv"), "email,first\nann@example.com,Ann\n")
		settle(t, filepath.Join(s.folder, "other", "secret.csv"), "email,first\nstolen@example.com,S\n")
		f := s.feed(importer.NewFeed{Kind: importer.Folder, Name: "HR", Settings: importer.FeedSettings{Path: "hr", New: importer.NewActive}})
		f = s.look(f.ID)
		if s.named("ann@example.com").Source != store.FromCSV || f.Bad || !strings.Contains(f.Last.String(), "1 new") {
			t.Errorf("%+v", f)
		}
		if got := s.letters(); strings.Join(got, ",") != "People were imported from HR" {
			t.Errorf("mails: %q", got)
		}
		settle(t, filepath.Join(own, "hr", "again.csv"), "email,first\nann@example.com,Ann\n") // the same content
		if f = s.look(f.ID); !strings.Contains(f.Last.String(), "0 new, 2 taken before") || len(s.letters()) > 0 {
			t.Errorf("once: %+v", f)
		}
		settle(t, filepath.Join(own, "hr", "big.csv"), "email\nb1@example.com\nb2@example.com\nb3@example.com\n") // of 11 people
		f = s.look(f.ID)
		if got := s.letters(); strings.Join(got, ",") != "big.csv waits for you" || s.people() != 11 {
			t.Errorf("beyond the guard: %q, %d people", got, s.people())
		}
		if err := os.WriteFile(filepath.Join(own, "hr", "c.csv"), []byte("email\nlate@example.com\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time it has only rested for a moment
			if f = s.look(f.ID); s.people() != 11 || !strings.Contains(f.Last.String(), "One may still be written") {
				t.Errorf("a file that may still be written was taken: %+v", f)
			}
		}
		clock.Pass(3 * time.Minute)
		ahead := time.Now().Add(time.Hour) // of a host whose clock is wrong
		if err := os.Chtimes(filepath.Join(own, "hr", "c.csv"), ahead, ahead); err != nil {
			t.Fatal(err)
		}
		if f = s.look(f.ID); s.people() != 11 {
			t.Errorf("a file that has changed since the last look was taken: %+v", f)
		}
		clock.Pass(3 * time.Minute)
		if f = s.look(f.ID); s.people() != 12 { // nothing has happened to it since
			t.Errorf("a file that nobody writes any more: %+v", f)
		}
		s.letters()
		settle(t, filepath.Join(own, "hr", "d.csv"), "PK\x03\x04")
		if f = s.look(f.ID); !f.Bad || !strings.Contains(f.Last.String(), "spreadsheet") || len(s.letters()) != 1 {
			t.Errorf("a wrong file: %+v", f)
		}
		for i := range 40 { // more than is kept of what went wrong
			settle(t, filepath.Join(own, "hr", fmt.Sprintf("wrong%d.csv", i)), fmt.Sprint("PK\x03\x04", i))
		}
		for _, want := range []int{1, 0} {
			if f = s.look(f.ID); !f.Bad || len(s.letters()) != want {
				t.Errorf("many wrong files: want %d mails: %+v", want, f)
			}
		}
	})
}

// A file may have any name; the report says which one is wrong.
func TestNamesOfFiles(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		own := filepath.Join(s.folder, "acme")
		for i, name := range []string{"latin-\xe9.csv", "two\nlines.csv", "turned-\u202evsc.csv", strings.Repeat("x", 240) + ".csv"} {
			settle(t, filepath.Join(own, name), fmt.Sprintf("email\nu%d@example.com\n", i))
		}
		f := s.feed(importer.NewFeed{Kind: importer.Folder, Name: "HR", Settings: importer.FeedSettings{New: importer.NewActive, MaxChanged: 100}})
		for range 2 {
			if f = s.look(f.ID); f.Bad || s.people() != 5 {
				t.Errorf("%d people, %+v", s.people(), f)
			}
		}
		settle(t, filepath.Join(own, "no\u202ething.csv"), "")
		if f = s.look(f.ID); f.Last.String() != "nothing.csv: The file is empty. Choose a CSV file whose first line names the columns." {
			t.Errorf("%+v", f)
		}
	})
}

// TestNobodyIsMadeAnAdminByAFile: who can write a file could make themselves an admin, or
// sign in as one whose address it changes.
func TestNobodyIsMadeAnAdminByAFile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.person("ann@example.com")
		settle(t, filepath.Join(s.folder, "acme", "a.csv"), "user_name,email,role\nboss@acme.example,thief@example.com,\nann@example.com,ann@example.com,admin\nbob,bob@example.com,viewer\n")
		f := s.look(s.feed(importer.NewFeed{Kind: importer.Folder, Name: "HR", Settings: importer.FeedSettings{Key: "user_name", New: importer.NewActive, MaxChanged: 100, Missing: importer.MissingDeactivate, MaxGone: 100}}).ID)
		if f.Bad || s.named("boss@acme.example").Email != "boss@acme.example" || s.named("boss@acme.example").Status != store.Active {
			t.Errorf("an admin was changed: %+v", f)
		}
		s.must(func(tx *store.Tx) error {
			admins, err := tx.Admins()
			if len(admins) != 1 {
				t.Errorf("%d admins", len(admins))
			}
			return err
		})
		var id importer.ID
		s.must(func(tx *store.Tx) error { return tx.Get(&id, "SELECT id FROM import_runs WHERE org_id = ?", tx.Org()) })
		if got := s.sum(importer.Run{ID: id}); !strings.HasPrefix(got, "2:error(email) 3:error(role) 4:create") {
			t.Errorf("the feed's file: %s", got)
		}
	})
}

func TestAFolderIsNotLeft(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		settle(t, filepath.Join(s.folder, "other", "secret.csv"), "email\nstolen@example.com\n")
		own := filepath.Join(s.folder, "acme")
		settle(t, filepath.Join(own, "x.txt"), "email\n")
		for link, to := range map[string]string{"out": filepath.Join(s.folder, "other"), "up": "../other", "secret.csv": "../other/secret.csv", "root": "/"} {
			if err := os.Symlink(to, filepath.Join(own, link)); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range []string{"out", "up", "root", "root/tmp", "", "nowhere"} {
			f := s.look(s.feed(importer.NewFeed{Kind: importer.Folder, Name: "x" + path, Settings: importer.FeedSettings{Path: path}}).ID)
			if path != "" && (!f.Bad || !strings.Contains(f.Last.String(), "cannot be read")) {
				t.Errorf("%q: %+v", path, f)
			}
		}
		for _, path := range []string{"..", "../other", "a/../../other"} {
			if _, err := s.door.CreateFeed(ctx, s.admin, importer.NewFeed{Kind: importer.Folder, Name: "x", Settings: importer.FeedSettings{Path: path}}); !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", path, err)
			}
		}
		if s.people() != 1 {
			t.Error("people of another organization's file came in")
		}
		if err := os.RemoveAll(own); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(s.folder, "other"), own); err != nil {
			t.Fatal(err)
		}
		if f := s.look(s.feed(importer.NewFeed{Kind: importer.Folder, Name: "link"}).ID); !f.Bad || s.people() != 1 {
			t.Errorf("the organization's own folder is a link: %+v", f)
		}
	})
}

// sshHost is a real SFTP server on loopback, over a folder.
type sshHost struct {
	t        *testing.T
	dir      string
	password string
	mu       sync.Mutex
	signer   ssh.Signer
	listener net.Listener
	tries    int
	handlers *sftp.Handlers // instead of the folder
}

func newHost(t *testing.T) *sshHost {
	t.Helper()
	h := &sshHost{t: t, dir: t.TempDir(), password: "correct horse"}
	h.exchange()
	var err error
	if h.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := h.listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { h.serve(conn) })
		}
	})
	t.Cleanup(func() { h.listener.Close(); serving.Wait() })
	return h
}

// exchange gives the host another key.
func (h *sshHost) exchange() {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.signer, err = ssh.NewSignerFromKey(key); err != nil {
		h.t.Fatal(err)
	}
}

func (h *sshHost) serve(conn net.Conn) {
	defer conn.Close()
	config := &ssh.ServerConfig{PasswordCallback: func(who ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.tries++
		if who.User() != "hr" || string(password) != h.password {
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	h.mu.Lock()
	config.AddHostKey(h.signer)
	h.mu.Unlock()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, asked, err := c.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range asked {
				r.Reply(r.Type == "subsystem", nil)
			}
		}()
		if h.handlers != nil {
			sftp.NewRequestServer(channel, *h.handlers).Serve()
			channel.Close()
			continue
		}
		server, err := sftp.NewServer(channel, sftp.WithServerWorkingDirectory(h.dir))
		if err != nil {
			return
		}
		if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
			h.t.Logf("sftp: %v", err)
		}
		channel.Close()
	}
}

func TestFilesComeBySFTP(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		host := newHost(t)
		settle(t, filepath.Join(host.dir, "out", "people.csv"), "email;first\nann@example.com;Ann\n")
		in := importer.NewFeed{Kind: importer.SFTP, Name: "HR", Password: host.password,
			Settings: importer.FeedSettings{Host: host.listener.Addr().String(), User: "hr", Path: "out", New: importer.NewActive, MaxChanged: 100, Rename: true}}
		f := s.feed(in)
		if f.Active || host.tries > 0 {
			t.Errorf("before the key was confirmed: %+v, %d sign-ins", f, host.tries)
		}
		var list struct{ Feeds []importer.FeedView }
		body := s.want(s.do("admin", "GET", "/api/v1/import-feeds", nil), http.StatusOK)
		s.json(s.do("admin", "GET", "/api/v1/import-feeds", nil), http.StatusOK, &list)
		print := list.Feeds[0].Shown
		if strings.Contains(body, host.password) || !strings.Contains(print, ssh.FingerprintSHA256(host.signer.PublicKey())) {
			t.Errorf("%s", body)
		}
		at := "/console/acme/import-feeds"
		page := s.want(s.do("admin", "GET", at, nil), http.StatusOK)
		if text := webtest.Text(webtest.Page(t, page)); !strings.Contains(text, print) || strings.Contains(page, host.password) {
			t.Errorf("the page: %s", text)
		}
		s.want(s.do("viewer", "GET", at, nil), http.StatusForbidden)
		s.want(s.do("admin", "POST", at+"/"+string(f.ID)+"/pin", url.Values{"fingerprint": {"ssh-ed25519 SHA256:other"}}), http.StatusConflict)
		s.want(s.do("admin", "POST", at+"/"+string(f.ID)+"/pin", url.Values{"fingerprint": {print}}), http.StatusSeeOther)
		f = s.look(f.ID)
		if f.Bad || s.named("ann@example.com").Profile().GivenName != "Ann" {
			t.Errorf("%+v", f)
		}
		if _, err := os.Stat(filepath.Join(host.dir, "out", "people.csv.done")); err != nil {
			t.Error(err)
		}
		tries := host.tries
		host.exchange()
		settle(t, filepath.Join(host.dir, "out", "more.csv"), "email\nbob@example.com\n")
		if f = s.look(f.ID); !f.Bad || !strings.Contains(f.Last.String(), "another key") || host.tries != tries || s.people() != 3 {
			t.Errorf("a host with another key: %+v, %d sign-ins more", f, host.tries-tries)
		}
		for table, rows := range storetest.Dump(t, db) {
			if strings.Contains(rows, host.password) {
				t.Errorf("the password stands in %s", table)
			}
		}
		s.want(s.do("admin", "POST", at+"/"+string(f.ID)+"/delete", nil), http.StatusSeeOther)
	})
}

// growing is a host with one file, which somebody adds to as soon as it is opened.
type growing struct{ text, more string }

func (g *growing) Fileread(*sftp.Request) (io.ReaderAt, error) {
	now := strings.NewReader(g.text)
	g.text, g.more = g.text+g.more, ""
	return now, nil
}

func (g *growing) Filelist(*sftp.Request) (sftp.ListerAt, error) {
	return oneFile{size: int64(len(g.text))}, nil
}

// oneFile is all that a host has.
type oneFile struct {
	someFile
	size int64
}

func (oneFile) Name() string  { return "people.csv" }
func (f oneFile) Size() int64 { return f.size }

func (f oneFile) ListAt(list []fs.FileInfo, from int64) (int, error) {
	if from > 0 {
		return 0, io.EOF
	}
	list[0] = f
	return 1, io.EOF
}

// A file that grows while it is read is left for another look, which takes it whole.
func TestAFileThatGrowsIsNotTakenInHalf(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for i := range 10 {
			s.person(fmt.Sprintf("p%d@acme.example", i))
		}
		host := newHost(t)
		g := &growing{"email\nann@example.com\n", "bob@example.com\n"}
		host.handlers = &sftp.Handlers{FileGet: g, FileList: g}
		id, before := s.confirmed(s.admin, host), s.people()
		f := s.look(id)
		if f.Bad || s.people() != before || !strings.Contains(f.Last.String(), "0 new, 0 taken before. One may still be written") {
			t.Errorf("while it grows: %d people more, %+v", s.people()-before, f)
		}
		if f = s.look(id); s.people() != before+2 {
			t.Errorf("afterwards: %d people more, %+v", s.people()-before, f)
		}
	})
}

func TestAHostOfSomebodysNetworkIsNotReached(t *testing.T) {
	t.Parallel()
	host := newHost(t)
	allow := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if conn, err := sso.Dial(context.Background(), allow, host.listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("loopback was reached")
	}
	conn, err := sso.Dial(context.Background(), []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, host.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestFeedsThatCannotBe(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		_, key, _ := ed25519.GenerateKey(rand.Reader)
		block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		at := importer.FeedSettings{Host: "127.0.0.1:1", User: "hr"}
		for name, c := range map[string]struct {
			in    importer.NewFeed
			field string
		}{
			"no name":          {importer.NewFeed{Kind: importer.Folder}, "name"},
			"no kind":          {importer.NewFeed{Kind: "ftp", Name: "x"}, "kind"},
			"no host":          {importer.NewFeed{Kind: importer.SFTP, Name: "x"}, "host"},
			"no password":      {importer.NewFeed{Kind: importer.SFTP, Name: "x", Settings: at}, "password"},
			"a locked key":     {importer.NewFeed{Kind: importer.SFTP, Name: "x", Settings: at, Key: string(pem.EncodeToMemory(block))}, "key"},
			"a wrong pattern":  {importer.NewFeed{Kind: importer.Folder, Name: "x", Settings: importer.FeedSettings{Pattern: "[a"}}, "pattern"},
			"a pattern abroad": {importer.NewFeed{Kind: importer.Folder, Name: "x", Settings: importer.FeedSettings{Pattern: "../*"}}, "pattern"},
			"too often":        {importer.NewFeed{Kind: importer.Folder, Name: "x", Settings: importer.FeedSettings{Every: 1}}, "every"},
			"a guard of 200 %": {importer.NewFeed{Kind: importer.Folder, Name: "x", Settings: importer.FeedSettings{MaxGone: 200}}, "max_gone"},
		} {
			if _, err := s.door.CreateFeed(ctx, s.admin, c.in); !fault.Is(err, fault.Invalid) || fault.Field(err) != c.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.door.CreateFeed(ctx, s.admin, importer.NewFeed{Kind: importer.SFTP, Name: "x", Settings: at, Password: "p"}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("nobody there: %v", err)
		}
	})
}
