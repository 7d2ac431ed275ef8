package scim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// send asks the REST API.
func (s *logSite) send(who, method, path, body string, want int, v any) string {
	s.t.Helper()
	r := httptest.NewRequest(method, testURL+path, strings.NewReader(body))
	r.Header.Set("X-Who", who)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	if w.Code != want {
		s.t.Fatalf("%s %s by %s: %d %s, want %d", method, path, who, w.Code, w.Body, want)
	}
	if v != nil {
		if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, path, err, w.Body)
		}
	}
	return w.Body.String()
}

func TestTheAccessAPI(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := newLogSite(t, db, NewDirectory{Name: "Okta", Vendor: "okta"})
		at := "/api/v1/directories/" + string(s.directory.ID)
		clock.Pass(time.Minute)
		s.must(200, "GET", "/Users", "")
		var all struct{ Directories []directoryInfo }
		s.send("boss", "GET", "/api/v1/directories", "", 200, &all)
		if len(all.Directories) != 1 || all.Directories[0].BaseURL != BaseURL(testURL, s.directory.ID) || all.Directories[0].Mode != "compat" || all.Directories[0].LastSeenAt == "" {
			t.Errorf("directories: %+v", all)
		}

		var made TokenInfo
		s.send("boss", "POST", at+"/tokens", `{"name":"CI","expires_in":"1h","allow":"192.0.2.1, 203.0.113.0/24"}`, 201, &made)
		s.with(made.Token).must(200, "GET", "/Users", "")
		var tokens struct{ Tokens []TokenInfo }
		text := s.send("boss", "GET", at+"/tokens", "", 200, &tokens)
		if len(tokens.Tokens) != 2 || tokens.Tokens[0].ID != made.ID || tokens.Tokens[0].Allow != "192.0.2.1/32,203.0.113.0/24" || tokens.Tokens[0].LastUsedFrom != "192.0.2.1" ||
			tokens.Tokens[0].ExpiresAt == "" || strings.Contains(text, made.Token) || strings.Contains(text, s.token) {
			t.Errorf("tokens: %s", text)
		}
		var next struct {
			Token string
			Ends  string `json:"previous_expires_at"`
		}
		clock.Pass(10 * time.Minute)
		s.send("boss", "POST", at+"/tokens/"+made.ID+"/rotate", `{"grace":"5m"}`, 201, &next)
		s.with(made.Token).must(200, "GET", "/Users", "")
		s.with(next.Token).must(200, "GET", "/Users", "")
		clock.Pass(5 * time.Minute)
		s.with(made.Token).must(401, "GET", "/Users", "")
		s.must(200, "GET", "/Users", "") // the other token is not concerned
		s.send("boss", "GET", at+"/tokens", "", 200, &tokens)
		if x := tokens.Tokens[0]; x.Name != "CI" || x.Allow != "192.0.2.1/32,203.0.113.0/24" || x.ExpiresAt != store.TimeOf(clock.Now().Add(55*time.Minute)).RFC3339() {
			t.Errorf("the token in its place: %+v", x)
		}
		s.send("boss", "DELETE", at+"/tokens/"+tokens.Tokens[0].ID, "", 204, nil)
		s.with(next.Token).must(401, "GET", "/Users", "")
		s.send("boss", "POST", at+"/tokens/rotate", `{"grace":"0s"}`, 201, &next)
		s.must(401, "GET", "/Users", "")
		s.token = next.Token
		s.must(200, "GET", "/Users", "")

		var c, again, signer ClientInfo
		s.send("boss", "POST", at+"/clients", `{"name":"Robot"}`, 201, &c)
		if c.SignsInBy != "client_secret" || c.Endpoint != endpoint || c.Scope != "scim" || len(c.Secret) != 43 {
			t.Errorf("a client: %+v", c)
		}
		if got := s.ask(credentialsForm(), basic(c.ID, c.Secret)); got.code != 200 {
			t.Errorf("its secret: %d %s", got.code, got.raw)
		}
		s.send("boss", "POST", at+"/clients/"+c.ID+"/rotate", `{}`, 201, &again)
		if again.Secret == c.Secret || again.PreviousExpiresAt == "" {
			t.Errorf("rotated: %+v", again)
		}
		set := strings.ReplaceAll(jwksOf(t, public("ec", "ES256")), "\n", "")
		s.send("boss", "POST", at+"/clients", `{"name":"Signer","jwks":`+set+`}`, 201, &signer)
		if signer.SignsInBy != "private_key_jwt" || signer.Secret != "" {
			t.Errorf("a client with keys: %+v", signer)
		}
		var clients struct{ Clients []ClientInfo }
		if text := s.send("boss", "GET", at+"/clients", "", 200, &clients); len(clients.Clients) != 2 || strings.Contains(text, c.Secret) || clients.Clients[1].LastUsedFrom != "192.0.2.1" {
			t.Errorf("clients: %s", text)
		}
		s.send("boss", "DELETE", at+"/clients/"+c.ID, "", 204, nil)
		s.send("boss", "DELETE", at+"/clients/"+c.ID, "", 404, nil)

		for _, x := range []struct {
			method, path, body string
			status             int
			field              string
		}{
			{"POST", "/tokens", `{}`, 400, "name"}, {"POST", "/tokens", `{"name":"x","expires_in":"soon"}`, 400, "expires_in"}, {"POST", "/tokens", `{"name":"x","expires_in":"1s"}`, 400, "expires"},
			{"POST", "/tokens", `{"name":"x","allow":"here"}`, 400, "allow"}, {"POST", "/tokens", `{"name":"x","colour":"red"}`, 400, "colour"}, {"POST", "/tokens/rotate", `{"grace":"9000h"}`, 400, "grace"},
			{"POST", "/tokens/0/rotate", `{}`, 404, ""}, {"DELETE", "/tokens/0", ``, 404, ""},
			{"POST", "/clients", `{}`, 400, "name"}, {"POST", "/clients", `{"name":"x","jwks":{"keys":[]}}`, 400, "jwks"}, {"POST", "/clients", `{"name":"x","jwks_url":"ftp://x"}`, 400, "jwks_url"},
			{"POST", "/clients", `{"name":"x","jwks_url":"https://x/","jwks":` + set + `}`, 400, "jwks_url"}, {"POST", "/clients/" + signer.ID + "/rotate", `{}`, 400, "jwks"},
			{"POST", "/clients/x/rotate", `{}`, 404, ""}, {"DELETE", "/clients/" + strings.Repeat("0", 32), ``, 404, ""},
		} {
			var p struct{ Field string }
			if s.send("boss", x.method, at+x.path, x.body, x.status, &p); p.Field != x.field {
				t.Errorf("%s %s %s: field %q, want %q", x.method, x.path, x.body, p.Field, x.field)
			}
		}
		for who, want := range map[string]int{"viewer": 403, "stranger": 404, "nobody": 401} {
			for _, x := range []struct{ method, path string }{{"GET", "/tokens"}, {"POST", "/tokens"}, {"POST", "/tokens/rotate"}, {"DELETE", "/tokens/" + tokens.Tokens[0].ID}, {"GET", "/clients"},
				{"POST", "/clients"}, {"POST", "/clients/" + signer.ID + "/rotate"}, {"DELETE", "/clients/" + signer.ID}} {
				body := `{"name":"x"}`
				if strings.HasSuffix(x.path, "/rotate") {
					body = "{}"
				}
				s.send(who, x.method, at+x.path, body, want, nil)
			}
		}
		s.must(200, "GET", "/Users", "")
	})
}

// Address and time hold for a client and for the tokens that it fetches.
func TestClientsWithBounds(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		var c Client
		var text string
		d.write(func(tx *store.Tx) (err error) {
			c, text, err = CreateClient(tx, d.directory.ID, NewClient{Name: "Held", Allow: "203.0.113.0/24", Expires: 90 * time.Minute})
			return err
		})
		from := func(address string) oauthReply {
			r := httptest.NewRequest("POST", endpoint, strings.NewReader(credentialsForm().Encode()))
			r.RemoteAddr = address
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth(string(c.ID), text)
			got := d.serve(r)
			var out oauthReply
			if err := json.Unmarshal([]byte(got.raw), &out); err != nil {
				t.Fatal(err)
			}
			out.reply = got
			return out
		}
		if got := from("192.0.2.1:1"); got.code != 401 || got.Error != "invalid_client" || !strings.Contains(got.About, "192.0.2.1") {
			t.Errorf("from elsewhere: %d %s", got.code, got.raw)
		}
		if row := d.last(); row.Status != 401 || row.TargetID != string(c.ID) || !strings.Contains(row.Reason, "allow-list") {
			t.Errorf("in the log: %+v", row)
		}
		good := from("203.0.113.7:1")
		if good.code != 200 || good.Life != 3600 {
			t.Fatalf("from its network: %d %s", good.code, good.raw)
		}
		held := d.with(good.Token)
		if got := held.from("203.0.113.8:1"); got.code != 200 {
			t.Errorf("its token from its network: %d %s", got.code, got.raw)
		}
		if got := held.from("192.0.2.1:1"); got.code != 403 {
			t.Errorf("its token from elsewhere: %d %s", got.code, got.raw)
		}
		clock.Pass(time.Hour)
		last := from("203.0.113.7:1")
		if last.code != 200 || last.Life != 1800 {
			t.Errorf("a token ends with its client: %d %s", last.code, last.raw)
		}
		clock.Pass(30 * time.Minute)
		if got := d.with(last.Token).from("203.0.113.7:1"); got.code != 401 {
			t.Errorf("after the client's end: %d %s", got.code, got.raw)
		}
		if got := from("203.0.113.7:1"); got.code != 401 || !strings.Contains(got.About, "end") {
			t.Errorf("the client after its end: %d %s", got.code, got.raw)
		}
	})
}

func TestClientsRotate(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		c, old := d.client("")
		works := func(text string, want int) {
			t.Helper()
			if got := d.ask(credentialsForm(), basic(string(c.ID), text)); got.code != want {
				t.Errorf("%d %s, want %d", got.code, got.raw, want)
			}
		}
		rotate := func(grace time.Duration) (text string) {
			t.Helper()
			d.write(func(tx *store.Tx) (err error) {
				_, text, err = RotateClient(tx, d.directory.ID, c.ID, grace, NewClient{})
				return err
			})
			return text
		}
		token := d.ask(credentialsForm(), basic(string(c.ID), old)).Token
		second := rotate(time.Hour)
		works(old, 200)
		works(second, 200)
		clock.Pass(time.Hour)
		works(old, 401)
		works(second, 200)
		third := rotate(0)
		works(second, 401)
		works(third, 200)
		works("", 401)
		d.write(func(tx *store.Tx) error { return RevokeClient(tx, d.directory.ID, c.ID) })
		works(third, 401)
		d.with(token).must(401, "GET", "/Users", "")
		if got := strings.Join(d.activities(string(d.directory.ID)), " "); got != "directory.client.revoke directory.client.rotate directory.client.rotate directory.client.create directory.create" {
			t.Errorf("activities: %s", got)
		}
	})
}

// Keys at an address are read when they are needed, again when the client has another
// one, and seldom when somebody tries.
func TestKeysAtAnAddress(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		var asked atomic.Int32
		var mu sync.Mutex
		keys, failing := jwksOf(t, public("rsa", "RS256")), error(nil)
		d := openDoor(t, db, NewDirectory{})
		quiet := slog.New(slog.DiscardHandler)
		m := web.NewMux(web.Options{PublicURL: testURL, Log: quiet})
		d.log = Mount(m, db, Options{PublicURL: testURL, Log: quiet, Fetch: func(_ context.Context, _ fault.Word, address string) ([]byte, error) {
			asked.Add(1)
			mu.Lock()
			defer mu.Unlock()
			if address != "https://client.example.com/keys" {
				return nil, errors.New("another address: " + address)
			}
			return []byte(keys), failing
		}})
		d.mux = m
		var c Client
		d.write(func(tx *store.Tx) (err error) {
			c, _, err = CreateClient(tx, d.directory.ID, NewClient{Name: "Signer", JWKSURL: "https://client.example.com/keys"})
			return err
		})
		n := 0
		sign := func(key string, alg jose.SignatureAlgorithm) url.Values {
			n++
			return assertionForm(signed(t, alg, testKeys()[key], map[string]any{"iss": string(c.ID), "sub": string(c.ID), "aud": BaseURL(testURL, d.directory.ID),
				"exp": clock.Now().Add(time.Minute).Unix(), "jti": itoa(n)}, nil))
		}
		works := func(what, key string, alg jose.SignatureAlgorithm, want int, questions int32) {
			t.Helper()
			if got := d.ask(sign(key, alg)); got.code != want || asked.Load() != questions {
				t.Errorf("%s: %d %s, %d questions; want %d, %d", what, got.code, got.raw, asked.Load(), want, questions)
			}
		}
		works("the first", "rsa", "RS256", 200, 1)
		works("known keys", "rsa", "RS256", 200, 1)
		works("somebody else's key, asked just now", "other", "RS256", 401, 1)
		clock.Pass(time.Minute)
		works("somebody else's key", "other", "RS256", 401, 2)
		works("and again", "other", "RS256", 401, 2)
		clock.Pass(time.Minute)
		mu.Lock()
		keys = jwksOf(t, public("ec", "ES256"))
		mu.Unlock()
		works("a new key", "ec", "ES256", 200, 3)
		works("the old one", "rsa", "RS256", 401, 3)
		clock.Pass(11 * time.Minute)
		mu.Lock()
		failing = fault.Unavailable.Say("The host does not answer.")
		mu.Unlock()
		works("the address does not answer", "ec", "ES256", 200, 4)
		clock.Pass(25 * time.Hour)
		works("for a day", "ec", "ES256", 401, 5)
		if row := d.last(); row.Refusal != refusedClient || !strings.Contains(row.Reason, "does not answer") {
			t.Errorf("in the log: %+v", row)
		}
		mu.Lock()
		failing, keys = nil, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`
		mu.Unlock()
		clock.Pass(time.Minute)
		works("secret keys", "ec", "ES256", 401, 6)
		mu.Lock()
		keys = jwksOf(t, public("ec", "ES256"))
		mu.Unlock()
		clock.Pass(time.Minute)
		var all sync.WaitGroup
		forms := []url.Values{sign("ec", "ES256"), sign("ec", "ES256"), sign("ec", "ES256")}
		for _, form := range forms {
			all.Go(func() {
				r := httptest.NewRequest("POST", endpoint, strings.NewReader(form.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				d.mux.ServeHTTP(w, r)
				if text, _ := io.ReadAll(w.Body); w.Code != 200 {
					t.Errorf("at once: %d %s", w.Code, text)
				}
			})
		}
		all.Wait()
		if asked.Load() != 7 {
			t.Errorf("%d questions, want one for three at once", asked.Load()-6)
		}
	})
}

func TestMetadataOfADirectory(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	got := d.serve(httptest.NewRequest("GET", MetadataURL(testURL, d.directory.ID), nil))
	var m struct {
		Issuer   string `json:"issuer"`
		Endpoint string `json:"token_endpoint"`
	}
	if err := json.Unmarshal([]byte(got.raw), &m); err != nil || got.code != 200 || m.Issuer != BaseURL(testURL, d.directory.ID) || m.Endpoint != endpoint {
		t.Errorf("%d %v %s", got.code, err, got.raw)
	}
	if got := d.serve(httptest.NewRequest("GET", testURL+"/.well-known/oauth-authorization-server/scim/v2/x", nil)); got.code != 404 {
		t.Errorf("no id: %d", got.code)
	}
}

// client_secret_basic is form-encoded inside (RFC 6749 §2.3.1): %2D is a hyphen, + a blank.
func TestBasicIsFormEncoded(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]credentials{
		"a%3Ab:c%2Bd%20e+f": {id: "a:b", secret: "c+d e f"}, "a:b:c": {id: "a", secret: "b:c"},
	} {
		r := httptest.NewRequest("POST", endpoint, nil)
		id, text, _ := strings.Cut(header, ":")
		r.SetBasicAuth(id, text)
		if got, err := credentialsOf(r, nil); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", header, got, err, want)
		}
	}
	r := httptest.NewRequest("POST", endpoint, nil)
	r.SetBasicAuth("a%zz", "b")
	if _, err := credentialsOf(r, nil); err == nil {
		t.Error("broken encoding is taken")
	}
}
