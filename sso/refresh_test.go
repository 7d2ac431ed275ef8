package sso

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// published is a metadata URL whose document the test changes.
type publishedAt struct {
	url string

	mu     sync.Mutex // guards what follows
	doc    []byte
	status int
	asked  int
	whole  int // answers with a document
}

func publish(t *testing.T, doc []byte) *publishedAt {
	t.Helper()
	p := &publishedAt{doc: doc, status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked++
		etag := fmt.Sprintf("%q", saml.Fingerprint(p.doc))
		w.Header().Set("ETag", etag)
		switch {
		case p.status != http.StatusOK:
			w.WriteHeader(p.status)
		case r.Header.Get("If-None-Match") == etag:
			w.WriteHeader(http.StatusNotModified)
		default:
			p.whole++
			w.Write(p.doc)
		}
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *publishedAt) set(doc []byte, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doc, p.status = doc, status
}

func (p *publishedAt) counts() (asked, whole int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked, p.whole
}

// goes is what a connection goes by now.
func (c *clocked) goes(id ConnectionID) (v ProviderValues) {
	c.t.Helper()
	err := c.db.Read(context.Background(), c.admin, func(tx *store.Tx) error {
		conn, err := connectionIn(tx, id)
		if err != nil {
			return err
		}
		certs, err := certificatesIn(tx, id)
		v = nowOf(conn, certs)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

func (c *clocked) state(id ConnectionID) MetadataState {
	c.t.Helper()
	s, err := c.door.MetadataState(context.Background(), c.admin, id)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *clocked) refresh(id ConnectionID) MetadataState {
	c.t.Helper()
	s, err := c.door.Refresh(context.Background(), c.admin, id)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// An exchange of keys at the provider needs nobody: the new certificate counts at
// once, the old one goes after it was missing twice.
func TestMetadataAreReadAgain(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		c := atClock(t, db)
		idp, second := ssotest.NewIDP(), ssotest.OtherSigner().Cert
		at := publish(t, idp.Metadata())
		made := c.saml(NewConnection{Accounts: "jit", MetadataURL: at.url})
		first := fingerprints([][]byte{idp.Signer.Cert.Raw})
		both := fingerprints([][]byte{idp.Signer.Cert.Raw, second.Raw})

		c.upkeep()
		if asked, _ := at.counts(); asked != 2 { // creation, and one of the two servers
			t.Errorf("asked %d times, want 2", asked)
		}
		c.upkeep() // nothing is due
		if asked, _ := at.counts(); asked != 2 {
			t.Errorf("asked %d times although nothing is due", asked)
		}
		clock.Pass(refreshEvery + time.Minute)
		c.upkeep()
		if asked, whole := at.counts(); asked != 3 || whole != 2 {
			t.Errorf("asked %d times with %d documents, want 3 and 2: what has not changed is not sent again", asked, whole)
		}

		at.set(idp.Metadata(second), http.StatusOK)
		clock.Pass(refreshEvery + time.Minute)
		c.upkeep()
		if got := c.goes(made.ID).Certificates; !slices.Equal(got, both) {
			t.Errorf("after a certificate came: %v, want %v", got, both)
		}
		if len(c.told) != 1 || !strings.Contains(c.told[0].Subject.String(), "new signing certificate") {
			t.Errorf("told %+v, want one notice", c.told)
		}
		at.set(idp.Metadata(), http.StatusOK)
		clock.Pass(refreshEvery + time.Minute)
		c.upkeep()
		if got := c.goes(made.ID).Certificates; !slices.Equal(got, both) {
			t.Errorf("missing once: %v, want %v", got, both)
		}
		clock.Pass(refreshEvery + time.Minute)
		c.upkeep() // unchanged counts as a second absence
		if got := c.goes(made.ID).Certificates; !slices.Equal(got, first) {
			t.Errorf("missing twice: %v, want %v", got, first)
		}
		if n := len(c.activities("connection.certificates")); n != 2 {
			t.Errorf("%d exchanges recorded, want 2", n)
		}

		// The last good metadata hold while the URL fails, and one row says so.
		at.set(idp.Metadata(), http.StatusInternalServerError)
		for range 3 {
			clock.Pass(refreshEvery + time.Minute)
			c.upkeep()
		}
		if s := c.state(made.ID); !strings.Contains(s.Problem, "500") || s.Since == "" || !slices.Equal(c.goes(made.ID).Certificates, first) {
			t.Errorf("while the URL fails: %+v, %v", s, c.goes(made.ID))
		}
		at.set([]byte("<html>maintenance</html>"), http.StatusOK)
		c.refresh(made.ID)
		at.set(bytes.Replace(idp.Metadata(), []byte(`validUntil="0001`), []byte(`validUntil="2001`), 1), http.StatusOK)
		if s := c.refresh(made.ID); !strings.Contains(s.Problem, "expired") {
			t.Errorf("expired metadata: %+v", s)
		}
		at.set(idp.Metadata(), http.StatusOK)
		if s := c.refresh(made.ID); s.Problem != "" {
			t.Errorf("after the URL works again: %+v", s)
		}
		for _, action := range []string{"connection.metadata.fail", "connection.metadata.back"} {
			if n := len(c.activities(action)); n != 1 {
				t.Errorf("%d times %s, want once", n, action)
			}
		}
	})
}

// What whoever controls the URL could use waits for an administrator, who sees it
// before and after; people sign in as before meanwhile.
func TestDangerousMetadataWait(t *testing.T) {
	t.Parallel()
	idp, other := ssotest.NewIDP(), ssotest.OtherSigner()
	good := string(idp.Metadata(ssotest.SPSigner().Cert))
	foreign := &ssotest.IDP{EntityID: idp.EntityID, Signer: other}
	replaced := func(old, new string) []byte {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in the metadata", old)
		}
		return []byte(strings.ReplaceAll(good, old, new))
	}
	for name, c := range map[string]struct {
		doc    []byte
		reason string
	}{
		"another entity ID":           {replaced(idp.EntityID, "https://evil.example/"), "entity ID"},
		"another host":                {replaced("https://idp.example/sso", "https://evil.example/sso"), "https://evil.example"},
		"plain http":                  {replaced("https://idp.example/sso", "http://idp.example/sso"), "http://idp.example"},
		"another host to sign out at": {replaced("<SingleSignOnService", `<SingleLogoutService Binding="`+saml.BindingRedirect+`" Location="https://evil.example/slo"></SingleLogoutService><SingleSignOnService`), "https://evil.example"},
		"all certificates new":        {foreign.Metadata(), "new at once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
				w := atClock(t, db)
				at := publish(t, []byte(good))
				made := w.saml(NewConnection{Accounts: "jit", MetadataURL: at.url})
				before := w.goes(made.ID)
				at.set(c.doc, http.StatusOK)
				w.upkeep()
				clock.Pass(refreshEvery + time.Minute)
				w.upkeep() // seen again: still one row and one mail
				s := w.state(made.ID)
				if s.Pending == nil || !strings.Contains(strings.Join(s.Pending.Reasons, " "), c.reason) || len(w.told) != 1 || len(w.activities("connection.metadata.hold")) != 1 {
					t.Fatalf("state %+v, told %+v; want it to wait because of %q", s, w.told, c.reason)
				}
				if got := w.goes(made.ID); !equalValues(got, before) || !equalValues(s.Pending.Before, before) {
					t.Errorf("it goes by %+v already", got)
				}
				if _, err := w.door.ApproveMetadata(t.Context(), w.admin, made.ID, "another version"); !fault.Is(err, fault.Conflict) {
					t.Errorf("approving what was not looked at: %v, want Conflict", err)
				}
				_, foreign := storetest.Org(t, db, "other")
				if _, err := w.door.ApproveMetadata(t.Context(), foreign, made.ID, s.Pending.Version); !fault.Is(err, fault.NotFound) {
					t.Errorf("another organization approves: %v, want NotFound", err)
				}
				if s, err := w.door.RejectMetadata(t.Context(), w.admin, made.ID, s.Pending.Version); err != nil || s.Pending != nil {
					t.Errorf("rejected: %+v, %v", s, err)
				}
				at.set(append(c.doc, '\n'), http.StatusOK)
				if s := w.refresh(made.ID); s.Pending != nil || len(w.told) != 1 {
					t.Errorf("what was turned down comes again: %+v", s)
				}
				at.set([]byte(good), http.StatusOK)
				w.refresh(made.ID)
				at.set(c.doc, http.StatusOK)
				s = w.refresh(made.ID)
				if s.Pending == nil {
					t.Fatal("after the provider went back, the change does not wait again")
				}
				if _, err := w.door.ApproveMetadata(t.Context(), w.admin, made.ID, s.Pending.Version); err != nil {
					t.Fatal(err)
				}
				if got := w.goes(made.ID); !equalValues(got, s.Pending.After) {
					t.Errorf("approved, it goes by %+v, want %+v", got, s.Pending.After)
				}
				if n := len(w.activities("connection.metadata.approve")); n != 1 {
					t.Errorf("%d approvals recorded", n)
				}
			})
		})
	}
}

func equalValues(a, b ProviderValues) bool {
	return a.EntityID == b.EntityID && a.SSORedirect == b.SSORedirect && a.SSOPost == b.SSOPost && a.SLORedirect == b.SLORedirect && a.SLOPost == b.SLOPost && slices.Equal(a.Certificates, b.Certificates)
}

// With a pinned signer, what it did not sign waits, and what it signed does not.
func TestPinnedMetadataSigner(t *testing.T) {
	t.Parallel()
	signer := ssotest.SPSigner()
	sign := func(doc []byte, by ssotest.Signer) []byte {
		tree := etree.NewDocument()
		if err := tree.ReadFromBytes(doc); err != nil {
			t.Fatal(err)
		}
		root := tree.Root()
		root.CreateAttr("ID", "_m1")
		ssotest.SignElement(root, by, crypto.SHA256)
		return ssotest.Serialize(root)
	}
	idp := ssotest.NewIDP()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		c := atClock(t, db)
		at := publish(t, sign(idp.Metadata(), signer))
		made := c.saml(NewConnection{Accounts: "jit", MetadataURL: at.url})
		sum := saml.Fingerprint(signer.Cert.Raw)
		colons := strings.ToUpper(sum[:2]) + ":" + sum[2:]
		if _, err := c.door.UpdateConnection(t.Context(), c.admin, made.ID, Change{Set: map[string]string{"metadata_signer": colons}}); err != nil {
			t.Fatal(err)
		}
		if s := c.refresh(made.ID); s.Pending != nil || s.Problem != "" {
			t.Errorf("signed as pinned: %+v", s)
		}
		for name, doc := range map[string][]byte{
			"unsigned": idp.Metadata(), "signed by another": sign(idp.Metadata(), ssotest.OtherSigner()),
			"changed after signing": bytes.Replace(sign(idp.Metadata(), signer), []byte("https://idp.example/sso"), []byte("https://idp.example/xxx"), 1),
		} {
			at.set(doc, http.StatusOK)
			if s := c.refresh(made.ID); s.Pending == nil || !strings.Contains(s.Pending.Reasons[0], "pinned") {
				t.Errorf("%s: %+v, want it to wait", name, s)
			}
		}
		at.set(sign(idp.Metadata(ssotest.OtherSigner().Cert), signer), http.StatusOK)
		if s := c.refresh(made.ID); s.Pending != nil || len(c.goes(made.ID).Certificates) != 2 {
			t.Errorf("signed as pinned, with a new certificate: %+v", s)
		}
	})
}

// A federation's document: the entity is chosen, and found again at each reading.
func TestAggregates(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, _ *storetest.Clock) {
		c := atClock(t, db)
		idp := ssotest.NewIDP()
		at := publish(t, ssotest.Federation(3000, idp.Metadata()))
		in := NewConnection{Protocol: "saml", Name: "IdP", Accounts: "jit", MetadataURL: at.url}
		_, err := c.door.CreateConnection(t.Context(), c.admin, in)
		if !fault.Is(err, fault.Invalid) || fault.Field(err) != "entity" || !strings.Contains(fault.Public(err), "3001 identity providers") || !strings.Contains(fault.Public(err), "https://idp0.example") {
			t.Errorf("without a choice: %v", err)
		}
		in.Entity = "https://nobody.example"
		if _, err := c.door.CreateConnection(t.Context(), c.admin, in); fault.Field(err) != "entity" {
			t.Errorf("a choice that is not there: %v", err)
		}
		in.Entity = idp.EntityID
		made := c.saml(in)
		if made.Issuer != idp.EntityID {
			t.Errorf("connected to %s", made.Issuer)
		}
		at.set(ssotest.Federation(3000, idp.Metadata(ssotest.OtherSigner().Cert)), http.StatusOK)
		if s := c.refresh(made.ID); s.Problem != "" || s.Pending != nil || len(c.goes(made.ID).Certificates) != 2 {
			t.Errorf("%+v, certificates %v", s, c.goes(made.ID).Certificates)
		}
		at.set(ssotest.Federation(3000, []byte("")), http.StatusOK)
		if s := c.refresh(made.ID); !strings.Contains(s.Problem, "does not list") {
			t.Errorf("gone from the federation: %+v", s)
		}
	})
}

// Admins are told 60, 30, 7 and 1 days before the end, once each, whichever server is
// first; of ours and theirs.
func TestCertificatesEnd(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		c := atClock(t, db)
		idp := ssotest.NewIDP()
		idp.Signer = ssotest.NewSigner(2048, clock.Now().Add(100*24*time.Hour))
		made := c.saml(NewConnection{Accounts: "jit", Metadata: idp.Metadata()})
		var days []any
		for range 110 {
			clock.Pass(24 * time.Hour)
			c.upkeep()
		}
		list := c.activities("connection.certificate.ends")
		for _, a := range slices.Backward(list) {
			days = append(days, a.Detail["days"])
			if a.Detail["whose"] != "provider" || a.TargetID != string(made.ID) {
				t.Errorf("%+v", a)
			}
		}
		if got := fmt.Sprint(days...); got != "60 30 7 1" || len(c.told) != 4 {
			t.Errorf("warned at %s days with %d notices, want 60 30 7 1 with 4", got, len(c.told))
		}
		ending, waiting, err := EndingCertificates(t.Context(), db)
		if err != nil || len(ending) != 1 || len(waiting) != 0 || ending[0].Connection != "acme/IdP" {
			t.Errorf("for the doctor: %+v, %v, %v", ending, waiting, err)
		}
	})
}

// Signing in over a certificate that the metadata list no more is let pass until it
// is removed, and said once.
func TestStaleCertificate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		idp := ssotest.NewIDP()
		idp.Serve(t)
		more := ssotest.OtherSigner()
		at := publish(t, idp.Metadata(more.Cert))
		c := s.create(NewConnection{Protocol: "saml", Accounts: "jit", MetadataURL: at.url})
		without := &ssotest.IDP{EntityID: idp.EntityID, URL: idp.URL, Signer: more}
		at.set(without.Metadata(), http.StatusOK)
		if _, err := s.door.Refresh(t.Context(), s.admin, c.ID); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s.enter(idp, c, "alice", "_1")
		}
		list := s.log("connection.certificate.stale")
		if len(list) != 1 || list[0].Detail["certificate"] != saml.Fingerprint(idp.Signer.Cert.Raw) {
			t.Errorf("%d rows, want one for the stale certificate: %+v", len(list), list)
		}
	})
}
