package sso

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// clocked is a door on a clock of the test's, without pages.
type clocked struct {
	*place
	door *Door
	told []web.Notice
	mu   sync.Mutex
}

func atClock(t *testing.T, db *store.DB) *clocked {
	t.Helper()
	c := &clocked{place: &place{t: t, db: db}}
	c.org, c.admin = storetest.Org(t, db, "acme")
	c.door = c.another(secret.NewKey())
	return c
}

// another is a second server on the same database.
func (c *clocked) another(key secret.Key) *Door {
	const url = "http://muster.test"
	return New(Options{DB: c.db, Sessions: session.New(session.Options{DB: c.db, PublicURL: url}), Key: key, PublicURL: url, Egress: loopback,
		Tell: func(_ *store.Tx, n web.Notice) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.told = append(c.told, n)
			return nil
		}})
}

func (c *clocked) saml(in NewConnection) Created {
	c.t.Helper()
	in.Protocol, in.Name, in.Activate = "saml", "IdP", true
	made, err := c.door.CreateConnection(context.Background(), c.admin, in)
	if err != nil {
		c.t.Fatal(err)
	}
	return made
}

// keys are use and state of each, in the order of our metadata.
func (c *clocked) keys(id ConnectionID) string {
	c.t.Helper()
	list, err := c.door.Keys(context.Background(), c.admin, id)
	if err != nil {
		c.t.Fatal(err)
	}
	var out []string
	for _, k := range list {
		out = append(out, k.Use+" "+k.State)
	}
	return strings.Join(out, ", ")
}

func (c *clocked) activities(action string) (list []store.Activity) {
	c.t.Helper()
	err := c.db.Read(context.Background(), c.admin, func(tx *store.Tx) (err error) {
		list, err = tx.Activities(store.ActivityQuery{Action: action})
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

// upkeep is one look of the background loop, on two servers at once.
func (c *clocked) upkeep() {
	c.t.Helper()
	second := c.another(c.door.opts.Key)
	var both sync.WaitGroup
	for _, d := range []*Door{c.door, second} {
		both.Go(func() {
			if err := d.Tend(context.Background()); err != nil {
				c.t.Errorf("upkeep: %v", err)
			}
		})
	}
	both.Wait()
}

// New keys are published first, take over later, and the old ones stay for a while:
// at each step the metadata has what providers need, and everything encrypted opens.
func TestKeysAreExchanged(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		c := atClock(t, db)
		made := c.saml(NewConnection{Accounts: "jit", Metadata: ssotest.NewIDP().Metadata()})
		before, err := c.door.setup(t.Context(), c.admin, made.Connection)
		if err != nil {
			t.Fatal(err)
		}
		list, err := c.door.RotateKeys(t.Context(), c.admin, made.ID, false)
		if err != nil || len(list) != 4 {
			t.Fatalf("%+v, %v", list, err)
		}
		block, _ := pem.Decode([]byte(list[3].Certificate))
		if block == nil || list[3].State != "next" {
			t.Fatalf("%+v", list[3])
		}
		step := func(name, keys string, sameSigner bool) samlSetup {
			t.Helper()
			if got := c.keys(made.ID); !sameWords(got, keys) {
				t.Errorf("%s: keys %q, want %q", name, got, keys)
			}
			s, err := c.door.setup(t.Context(), c.admin, made.Connection)
			if err != nil {
				t.Fatal(err)
			}
			if s.signKey.Equal(before.signKey) != sameSigner {
				t.Errorf("%s: the former key signs: %t, want %t", name, !sameSigner, sameSigner)
			}
			if doc := c.document(s, made); strings.Count(doc, "<KeyDescriptor") != len(strings.Split(keys, ", ")) || !strings.Contains(doc, base64.StdEncoding.EncodeToString(s.signing[0])) {
				t.Errorf("%s: the metadata do not publish %q", name, keys)
			}
			return s
		}
		step("published", "sign active, encrypt active, sign next, encrypt next", true)
		if _, err := c.door.RotateKeys(t.Context(), c.admin, made.ID, false); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second exchange while one runs: %v, want Conflict", err)
		}
		clock.Pass(keyNotice - time.Minute)
		c.upkeep()
		step("the minute before", "sign active, encrypt active, sign next, encrypt next", true)
		clock.Pass(2 * time.Minute)
		s := step("taken over", "sign active, encrypt active, sign old, encrypt old", false)
		if len(s.party.DecryptKeys) != 2 || !s.party.DecryptKeys[1].Equal(before.party.DecryptKeys[0]) {
			t.Error("the old key opens nothing any more")
		}
		c.upkeep()
		clock.Pass(keyRetire)
		step("retired", "sign active, encrypt active", false)
		c.upkeep()
		for _, action := range []string{"connection.keys.publish", "connection.keys.active", "connection.keys.retire"} {
			if n := len(c.activities(action)); n != 1 {
				t.Errorf("%d times %s, want once from two servers", n, action)
			}
		}

		// At once, and at once while some wait.
		if _, err := c.door.RotateKeys(t.Context(), c.admin, made.ID, true); err != nil {
			t.Fatal(err)
		}
		step("at once", "sign active, encrypt active, sign old, encrypt old", false)
		clock.Pass(time.Second)
		if _, err := c.door.RotateKeys(t.Context(), c.admin, made.ID, false); err != nil {
			t.Fatal(err)
		}
		clock.Pass(time.Second)
		if list, err := c.door.RotateKeys(t.Context(), c.admin, made.ID, true); err != nil || len(list) != 6 {
			t.Errorf("those that wait, at once: %d keys, %v", len(list), err)
		}
		// A certificate near its end is exchanged without anybody.
		clock.Pass(10*365*24*time.Hour - keyRenew + 30*24*time.Hour)
		c.upkeep()
		if got := c.keys(made.ID); !sameWords(got, "sign active, encrypt active, sign next, encrypt next") {
			t.Errorf("near the end of its certificate: keys %q", got)
		}
	})
}

func sameWords(a, b string) bool {
	count := func(s string) map[string]int {
		n := map[string]int{}
		for _, w := range strings.Split(s, ", ") {
			n[w]++
		}
		return n
	}
	x, y := count(a), count(b)
	if len(x) != len(y) {
		return false
	}
	for k, n := range x {
		if y[k] != n {
			return false
		}
	}
	return true
}

// document is our metadata.
func (c *clocked) document(s samlSetup, made Created) string {
	c.t.Helper()
	doc, err := c.door.spMetadata(s, made.Connection)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(doc)
}

func TestKeysOverTheAPI(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := serve(t, db)
		_, c := s.saml("jit")
		_, oc := s.oidc("jit")
		if _, err := s.door.RotateKeys(t.Context(), s.admin, oc.ID, false); !fault.Is(err, fault.Invalid) {
			t.Errorf("keys of an OIDC connection: %v, want Invalid", err)
		}
		_, foreign := storetest.Org(t, db, "other")
		if _, err := s.door.Keys(t.Context(), foreign, c.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization's keys: %v, want NotFound", err)
		}
		if _, err := s.door.RotateKeys(t.Context(), foreign, c.ID, true); !fault.Is(err, fault.NotFound) {
			t.Errorf("another organization rotates: %v, want NotFound", err)
		}
		resp, err := http.Get(c.URLs.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("metadata: %s", resp.Status)
		}
	})
}

// An exchanged key is not used again because it was opened once, and the ring does
// not grow with the connections.
func TestKeyring(t *testing.T) {
	t.Parallel()
	s := serve(t, storetest.SQLite(t))
	rows, err := s.door.newKeys(Connection{ID: "1", Protocol: protocolSAML})
	if err != nil {
		t.Fatal(err)
	}
	open := func(k keyRow, c ConnectionID) *rsa.PrivateKey {
		t.Helper()
		key, err := s.door.privateKey(k, c)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	first := open(rows[0], "1")
	if open(rows[0], "1") != first {
		t.Error("the key was opened twice")
	}
	if open(rows[1], "1").Equal(first) {
		t.Error("two keys are one")
	}
	other := rows[0]
	other.Sealed = rows[1].Sealed
	if _, err := s.door.privateKey(other, "1"); err == nil {
		t.Error("a key opened in the place of another")
	}
	if _, err := s.door.privateKey(rows[0], "2"); err == nil {
		t.Error("a key opened for another connection")
	}
	for i := range 2 * maxKeyring {
		s.door.keys.put(sha256.Sum256(fmt.Append(nil, i)), first)
	}
	if n := len(s.door.keys.keys); n > maxKeyring {
		t.Errorf("%d keys are kept", n)
	}
}
