package sso

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Used answers are known by connection: providers number as they like.
func TestUsedAnswersAreRemembered(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		p := somewhere(t, db, "acme", "saml", "jit")
		until := db.Now().Add(pendingFor)
		var first, second, other bool
		p.write(func(tx *store.Tx) (err error) { first, err = remember(tx, p.conn, "a1", until); return err })
		p.write(func(tx *store.Tx) (err error) { second, err = remember(tx, p.conn, "a1", until); return err })
		elsewhere := p.connection("other", "saml", "jit")
		p.write(func(tx *store.Tx) (err error) { other, err = remember(tx, elsewhere, "a1", until); return err })
		if !first || second || !other {
			t.Errorf("fresh: %v, then %v, on another connection %v; want true, false, true", first, second, other)
		}
	})
}

// Over https the SAML cookie is the one kind that a foreign post brings along;
// everything else stays as strict as it can be.
func TestCookiesOfPendingSignIns(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	for address, c := range map[string]struct {
		crossSite bool
		name      string
		sameSite  http.SameSite
		secure    bool
	}{
		"https://id.example":  {true, "__Host-mreq_", http.SameSiteNoneMode, true},
		"https://id2.example": {false, "__Host-mreq_", http.SameSiteLaxMode, true},
		"http://127.0.0.1":    {true, "mreq_", http.SameSiteLaxMode, false},
	} {
		d := New(Options{DB: db, PublicURL: address})
		got := d.cookie("handle", "value", c.crossSite)
		if !strings.HasPrefix(got.Name, c.name) || got.SameSite != c.sameSite || got.Secure != c.secure || !got.HttpOnly || got.Path != "/" || got.Domain != "" {
			t.Errorf("%s: %s", address, got)
		}
	}
	// A browser that starts many sign-ins keeps a bounded number of cookies.
	d := New(Options{DB: db, PublicURL: "https://id.example"})
	r := httptest.NewRequest("GET", "/", nil)
	for i := range 12 {
		r.AddCookie(d.cookie(fmt.Sprint("handle", i), "x", true))
	}
	w := httptest.NewRecorder()
	d.trimCookies(w, r)
	if n := len(w.Result().Cookies()); n != 12-pendingMax+1 {
		t.Errorf("%d cookies removed, want %d", n, 12-pendingMax+1)
	}
}

// Using a pending sign-in up asks for everything again that finding it asked for.
func TestTicketsAreHeldToBrowserConnectionAndTime(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		p := somewhere(t, db, "acme", "saml", "jit")
		other, stranger := p.connection("other", "saml", "jit"), somewhere(t, db, "b", "saml", "jit")
		d := New(Options{DB: db, Key: secret.NewKey(), PublicURL: "http://muster.test"})
		good := ticket{"handle", "browser"}
		if err := d.open(t.Context(), actorOf(p.conn, access.Actor{}), p.conn, good, pending{RequestID: "r", ReturnTo: "/account"}, ""); err != nil {
			t.Fatal(err)
		}
		try := func(c Connection, k ticket) (got pending, err error) {
			err = db.Write(t.Context(), actorOf(c, access.Actor{}), func(tx *store.Tx) (err error) {
				got, err = take(tx, c, k)
				return err
			})
			return got, err
		}
		for name, c := range map[string]struct {
			conn Connection
			t    ticket
		}{
			"another browser":      {p.conn, ticket{"handle", "else"}},
			"no cookie":            {p.conn, ticket{"handle", ""}},
			"another handle":       {p.conn, ticket{"else", "browser"}},
			"another connection":   {other, good},
			"another organization": {stranger.conn, good},
		} {
			if got, err := try(c.conn, c.t); !fault.Is(err, fault.Expired) {
				t.Errorf("%s: took %+v, %v", name, got, err)
			}
		}
		clock.Pass(pendingFor)
		if got, err := try(p.conn, good); !fault.Is(err, fault.Expired) {
			t.Errorf("too late: took %+v, %v", got, err)
		}
		clock.Pass(-time.Second)
		if got, err := try(p.conn, good); err != nil || got.RequestID != "r" {
			t.Errorf("in time: %+v, %v", got, err)
		}
		if got, err := try(p.conn, good); !fault.Is(err, fault.Expired) {
			t.Errorf("a second time: took %+v, %v", got, err)
		}
	})
}

// Expired rows go; what is pending stays.
func TestSweepRemovesWhatHasExpired(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		p := somewhere(t, db, "acme", "saml", "jit")
		d := New(Options{DB: db, Key: secret.NewKey(), PublicURL: "http://muster.test"})
		actor := actorOf(p.conn, access.Actor{})
		old, fresh := ticket{"old", "b"}, ticket{"fresh", "b"}
		if err := d.open(t.Context(), actor, p.conn, old, pending{ReturnTo: "/account"}, "verifier"); err != nil {
			t.Fatal(err)
		}
		clock.Pass(pendingFor)
		if err := d.open(t.Context(), actor, p.conn, fresh, pending{ReturnTo: "/account"}, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := d.find(t.Context(), actor, p.conn, old); err == nil {
			t.Error("a sign-in after its time is still pending")
		}
		if err := d.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := d.find(t.Context(), actor, p.conn, fresh); err != nil {
			t.Errorf("the sweep took a pending sign-in: %v", err)
		}
		if n, err := db.Sweep(t.Context(), "DELETE FROM sso_requests WHERE expires_at > ?", 0); err != nil || n != 1 {
			t.Errorf("%d requests left, %v; want 1", n, err)
		}
	})
}
