package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"strings"
	"sync/atomic"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// credentials are what a feed signs in with; one of the two.
type credentials struct {
	Password string `json:"password,omitempty"`
	Key      string `json:"key,omitempty"` // a private key, PEM
}

func secretName(org store.OrgID, id FeedID) string { return "import/" + string(org) + "/" + string(id) }

// seal keeps what a feed signs in with. Faults: Invalid on "key".
func (d *Door) seal(org store.OrgID, id FeedID, c credentials) ([]byte, error) {
	if c == (credentials{}) {
		return nil, nil
	}
	if c.Key != "" {
		if _, err := ssh.ParsePrivateKey([]byte(c.Key)); err != nil {
			return nil, fault.Invalid.On("key", "This is no private key that can be used: it must be a whole one without a passphrase, as ssh-keygen writes it.")
		}
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return d.opt.Key.Seal(secretName(org, id), raw)
}

// openFeed goes to where the files are. Faults: Unavailable, Invalid (not allowed).
func (d *Door) openFeed(ctx context.Context, actor access.Actor, f Feed) (drop, error) {
	if f.Kind == SFTP {
		return d.openSFTP(ctx, store.OrgID(actor.Org), f)
	}
	if d.opt.Folder == "" {
		return nil, fault.Unavailable.Say("Whoever runs this server has not allowed a folder for files (MUSTER_IMPORT_FOLDER).")
	}
	org, err := d.opt.DB.OrgByID(ctx, store.OrgID(actor.Org))
	if err != nil {
		return nil, err
	}
	missing := func(err error) error {
		return fault.Unavailable.Wrap(err, "The folder %q cannot be read. Ask whoever runs this server to make it, below the folder %s that is yours, and without links that lead out.", f.Settings.Path, org.Slug)
	}
	base, err := os.OpenRoot(d.opt.Folder)
	if err != nil {
		return nil, missing(err)
	}
	defer base.Close()
	if info, err := base.Lstat(org.Slug); err != nil || !info.IsDir() { // a link there could lead to somebody else's
		return nil, missing(err)
	}
	own, err := base.OpenRoot(org.Slug)
	if err != nil {
		return nil, missing(err)
	}
	if below := path.Clean("/" + f.Settings.Path)[1:]; below != "" {
		defer own.Close()
		if own, err = own.OpenRoot(below); err != nil {
			return nil, missing(err)
		}
	}
	return folder{own}, nil
}

// folder is a place on this machine. An os.Root is left by no link and no "..".
type folder struct{ *os.Root }

func (f folder) list() ([]entry, error) {
	dir, err := f.Open(".")
	if err != nil {
		return nil, unreadable(err)
	}
	defer dir.Close()
	infos, err := dir.Readdir(10_000)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable(err)
	}
	return entries(infos), nil
}

func entries(infos []fs.FileInfo) (list []entry) {
	for _, i := range infos {
		if i.Mode().IsRegular() {
			list = append(list, entry{i.Name(), stampOf(i)})
		}
	}
	return list
}

func stampOf(i fs.FileInfo) stamp { return stamp{i.Size(), i.ModTime().Unix()} }

func unreadable(err error) error {
	return fault.Unavailable.Wrap(err, "The files cannot be read. Are they there, and may they be read?")
}

func (f folder) open(name string) (io.ReadCloser, error) {
	info, err := f.Lstat(name)
	if err != nil || !info.Mode().IsRegular() { // a pipe would never end
		return nil, unreadable(err)
	}
	file, err := f.Open(name)
	if err != nil {
		return nil, unreadable(err)
	}
	return file, nil
}

func (f folder) stat(name string) (stamp, error) {
	info, err := f.Lstat(name)
	if err != nil {
		return stamp{}, unreadable(err)
	}
	return stampOf(info), nil
}

func (f folder) rename(from, to string) error { return f.Rename(from, to) }

// remote is a place behind SFTP.
type remote struct {
	conn   *ssh.Client
	wire   *bounded
	client *sftp.Client
	path   string
}

const maxListed = 8 << 20 // bytes that the names of a host's files may take

var errHostKey = errors.New("the host has another key")

// openSFTP connects, to the host whose key is pinned and to no other. Without a pinned
// key it keeps the one that the host shows, for an admin to look at.
func (d *Door) openSFTP(ctx context.Context, org store.OrgID, f Feed) (drop, error) {
	if f.HostKey == "" {
		return nil, fault.Unavailable.Say("The key of the host has not been confirmed yet. Compare its fingerprint with the one that the host's administrator tells, and confirm it.")
	}
	pinned, _, _, _, err := ssh.ParseAuthorizedKey([]byte(f.HostKey))
	if err != nil {
		return nil, fault.Invalid.On("host_key", "The pinned key of the host cannot be read. Pin it again.")
	}
	var c credentials
	if len(f.sealed) > 0 {
		raw, err := d.opt.Key.Open(secretName(org, f.ID), f.sealed)
		if err == nil {
			err = json.Unmarshal(raw, &c)
		}
		if err != nil {
			return nil, err
		}
	}
	config := &ssh.ClientConfig{User: f.Settings.User, HostKeyAlgorithms: algorithms(pinned), HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
		if !bytes.Equal(key.Marshal(), pinned.Marshal()) {
			return errHostKey
		}
		return nil
	}}
	if c.Key != "" {
		signer, err := ssh.ParsePrivateKey([]byte(c.Key))
		if err != nil {
			return nil, fault.Invalid.On("key", "The private key cannot be used. Give it again.")
		}
		config.Auth = append(config.Auth, ssh.PublicKeys(signer))
	}
	if c.Password != "" {
		config.Auth = append(config.Auth, ssh.Password(c.Password))
	}
	conn, wire, err := d.connect(ctx, f.Settings.Host, config)
	if errors.Is(err, errHostKey) {
		return nil, fault.Unavailable.Wrap(err, "The host %s shows another key than the one that is pinned (%s). Nothing was sent to it. Ask its administrator; if the key was exchanged, pin the new one.", f.Settings.Host, ssh.FingerprintSHA256(pinned))
	}
	if err != nil {
		return nil, fault.Unavailable.Wrap(err, "The host %s cannot be reached by SFTP as %s. Check host, port, user and password or key, and that the address is public or allowed by whoever runs this server.", f.Settings.Host, f.Settings.User)
	}
	client, err := sftp.NewClient(conn)
	if err != nil {
		conn.Close()
		return nil, fault.Unavailable.Wrap(err, "The host %s let us in, but does not offer SFTP.", f.Settings.Host)
	}
	return &remote{conn, wire, client, f.Settings.Path}, nil
}

// algorithms asks for the kind of key that is pinned; a host may have several.
func algorithms(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// bounded is a connection that lets no more in than this: a host could go on for ever with
// names of files, and nobody else counts them.
type bounded struct {
	net.Conn
	left atomic.Int64
}

var errTooMuch = errors.New("the host sends more than was asked for")

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.left.Add(-int64(n)) < 0 {
		return 0, errTooMuch
	}
	return n, err
}

// connect follows the rules of egress, and ends with ctx; a host that takes its time until
// it lets us in is left before.
func (d *Door) connect(ctx context.Context, host string, config *ssh.ClientConfig) (*ssh.Client, *bounded, error) {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "22")
	}
	hurry, cancel := context.WithTimeout(ctx, d.opt.Patience)
	defer cancel()
	raw, err := d.opt.Dial(hurry, host)
	if err != nil {
		return nil, nil, err
	}
	context.AfterFunc(ctx, func() { raw.Close() })
	late := context.AfterFunc(hurry, func() { raw.Close() })
	conn := &bounded{Conn: raw}
	conn.left.Store(maxListed)
	c, channels, requests, err := ssh.NewClientConn(conn, host, config)
	if err == nil && !late() {
		err = hurry.Err()
	}
	if err != nil {
		raw.Close()
		return nil, nil, err
	}
	return ssh.NewClient(c, channels, requests), conn, nil
}

// hostKey is the key that a host shows, before anything is told to it.
func (d *Door) hostKey(ctx context.Context, host string) (string, error) {
	var shown string
	config := &ssh.ClientConfig{User: "muster", HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
		shown = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
		return errHostKey
	}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, _, err := d.connect(ctx, host, config)
	if shown == "" {
		return "", fault.Unavailable.Wrap(err, "The host %s cannot be reached by SFTP. Check host and port, and that the address is public or allowed by whoever runs this server.", host)
	}
	return shown, nil
}

// fingerprint is how people compare keys.
func fingerprint(key string) string {
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
	if err != nil {
		return ""
	}
	return k.Type() + " " + ssh.FingerprintSHA256(k)
}

func (r *remote) at(name string) string {
	if r.path == "" {
		return name
	}
	return path.Join(r.path, name)
}

func (r *remote) list() ([]entry, error) {
	infos, err := r.client.ReadDir(r.at("."))
	if err != nil {
		return nil, unreadable(err)
	}
	var plain []fs.FileInfo
	for _, i := range infos {
		if !strings.ContainsAny(i.Name(), "/\\") && i.Name() != ".." { // a name is no way
			plain = append(plain, i)
		}
	}
	return entries(plain), nil
}

func (r *remote) open(name string) (io.ReadCloser, error) {
	r.wire.left.Store(2 * MaxFile) // what stands around it on the wire included
	file, err := r.client.Open(r.at(name))
	if err != nil {
		return nil, unreadable(err)
	}
	return file, nil
}

func (r *remote) stat(name string) (stamp, error) {
	info, err := r.client.Lstat(r.at(name))
	if err != nil {
		return stamp{}, unreadable(err)
	}
	return stampOf(info), nil
}

func (r *remote) rename(from, to string) error { return r.client.Rename(r.at(from), r.at(to)) }

// Close ends both.
func (r *remote) Close() error { return errors.Join(r.client.Close(), r.conn.Close()) }
