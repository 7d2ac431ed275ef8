package importer_test

import (
	"context"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// A host that takes a connection and says nothing holds nobody up, also when nobody hurries
// the request, and the connection is closed.
func TestAHostThatSaysNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		ended := make(chan error, 1)
		go func() {
			conn, err := silent.Accept()
			if err == nil {
				_, err = io.Copy(io.Discard, conn)
				conn.Close()
			}
			ended <- err
		}()
		_, err = s.door.CreateFeed(ctx, s.admin, importer.NewFeed{Kind: importer.SFTP, Name: "x", Password: "p", Settings: importer.FeedSettings{Host: silent.Addr().String(), User: "hr"}})
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.Public(err), silent.Addr().String()) {
			t.Errorf("%v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the connection: %v", err)
		}
	})
}

// confirmed is a feed from a host, whose key is pinned.
func (s *stage) confirmed(actor access.Actor, host *sshHost) importer.FeedID {
	s.t.Helper()
	f, err := s.door.CreateFeed(ctx, actor, importer.NewFeed{Kind: importer.SFTP, Name: "SFTP", Password: host.password,
		Settings: importer.FeedSettings{Host: host.listener.Addr().String(), User: "hr", New: importer.NewActive}})
	if err == nil {
		err = s.door.Pin(ctx, actor, f.ID, "ssh-ed25519 "+ssh.FingerprintSHA256(host.signer.PublicKey()))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return f.ID
}

// While a host of one organization hangs, the feeds of others are looked at; and a server
// that stops waits for no host, nor says that the feed failed.
func TestAHostThatHangsHoldsUpNobodyElse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		_, other := storetest.Org(t, db, "other")
		host := newHost(t)
		hangs, goOn := make(chan struct{}), make(chan struct{})
		t.Cleanup(func() { close(goOn) })
		host.handlers = &sftp.Handlers{FileList: lister(func(*sftp.Request) (sftp.ListerAt, error) {
			close(hangs)
			<-goOn
			return nil, os.ErrNotExist
		})}
		slow := s.confirmed(other, host)
		server, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- s.door.Run(server) }()
		<-hangs
		settle(t, filepath.Join(s.folder, "acme", "d.csv"), "PK\x03\x04")
		if err := s.door.Hurry(ctx, s.admin, s.feed(importer.NewFeed{Kind: importer.Folder, Name: "Quick"}).ID); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-s.mails:
			if m.Subject != "Muster could not fetch people from Quick" {
				t.Errorf("%+v", m)
			}
		case <-time.After(20 * time.Second):
			t.Error("nobody looked at the other feed")
		}
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the server waits for the host")
		}
		if f, err := s.door.Feed(ctx, other, slow); err != nil || f.Bad || f.LastAt != 0 {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

type lister func(*sftp.Request) (sftp.ListerAt, error)

func (l lister) Filelist(r *sftp.Request) (sftp.ListerAt, error) { return l(r) }

// names goes on for ever, or nearly.
type names struct{ told *int }

func (n names) ListAt(list []fs.FileInfo, _ int64) (int, error) {
	if *n.told > 200_000 {
		return 0, io.EOF
	}
	for i := range list {
		list[i] = someFile{}
	}
	*n.told += len(list)
	return len(list), nil
}

type someFile struct{}

func (someFile) Name() string       { return strings.Repeat("x", 100) }
func (someFile) Size() int64        { return 1 }
func (someFile) Mode() fs.FileMode  { return 0o600 }
func (someFile) ModTime() time.Time { return time.Unix(0, 0) }
func (someFile) IsDir() bool        { return false }
func (someFile) Sys() any           { return nil }

func TestAHostWithEndlessNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		host := newHost(t)
		told := 0
		host.handlers = &sftp.Handlers{FileList: lister(func(*sftp.Request) (sftp.ListerAt, error) { return names{&told}, nil })}
		if f := s.look(s.confirmed(s.admin, host)); !f.Bad || !strings.Contains(f.Last.String(), "cannot be read") {
			t.Errorf("%+v", f)
		}
	})
}
