package scim

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// everything that the log and the activity rows behind it say, as one text.
func (d *door) everything() string {
	d.t.Helper()
	rows := d.logged(logQuery{})
	var lines []logLine
	err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) (err error) {
		lines, err = logLines(tx, rows, d.directory.Vendor, "/console/acme")
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	all, err := json.Marshal(lines)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(all)
}

// Each request that was ever recorded of a vendor, three times: as it was, with a
// secret put in wherever it can stand, and the same without a good token.
func TestNoSecretIsInTheLog(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	const planted = "Pl4nted-S3cret"
	for _, file := range files {
		rec := readRecording(t, file)
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".txtar"), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				d := openDoor(t, db, rec.directory)
				foreign := secret.NewToken()
				secrets := map[string]bool{planted: true, d.token: true, foreign: true}
				n := 0
				for _, s := range rec.sections {
					request, _, ok := strings.Cut("\n"+s.text, "\n==")
					if !ok {
						continue
					}
					head, body := cutHead(request[1:])
					method, path, _ := strings.Cut(head[0], " ")
					path = strings.NewReplacer(" ", "%20", `"`, "%22", "[", "%5B", "]", "%5D").Replace(path)
					var doc map[string]any
					if json.Unmarshal([]byte(body), &doc) == nil {
						collectSecrets(doc, "", secrets)
					}
					d.do(method, path, body, head[1:]...)
					d.do(method, path, body, "Authorization: Bearer "+foreign)
					for _, b := range plant(doc, planted) {
						d.do(method, path, b)
						if at, _, _ := strings.Cut(path, "?"); method != "GET" && doc != nil {
							d.do("POST", "/Bulk", bulkBody(`{"method":"`+method+`","path":"`+at+`","bulkId":"1","data":`+b+`}`))
						}
					}
					d.do(method, path+"?access_token="+planted, body)
					d.do("GET", `/Users?filter=password%20eq%20%22`+planted+`%22`, "")
					n++
				}
				all := d.everything()
				for _, s := range slices.Sorted(maps.Keys(secrets)) {
					if i := strings.Index(all, s); i >= 0 {
						t.Errorf("the secret %q stands in the log: %s", s, all[max(0, i-200):min(len(all), i+100)])
					}
				}
				if n == 0 || len(d.logged(logQuery{})) < n {
					t.Errorf("%d requests left %d rows", n, len(d.logged(logQuery{})))
				}
			})
		})
	}
}

// collectSecrets finds the passwords and tokens of a recorded body.
func collectSecrets(v any, under string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		path, _ := v["path"].(string)
		for k, e := range v {
			if strings.EqualFold(k, "value") && strings.Contains(strings.ToLower(path), "password") {
				k = "password"
			}
			collectSecrets(e, k, into)
		}
	case []any:
		for _, e := range v {
			collectSecrets(e, under, into)
		}
	case string:
		if strings.Contains(strings.ToLower(under), "password") && len(v) > 2 {
			into[v] = true
		}
	}
}

// plant puts a secret into a body in the ways in which it could be sent.
func plant(doc map[string]any, s string) []string {
	if doc == nil {
		return []string{`{"password":"` + s + `"`, `password=` + s}
	}
	with := func(k string, v any) string {
		out := maps.Clone(doc)
		out[k] = v
		b, _ := json.Marshal(out)
		return string(b)
	}
	op := func(path string, value any) string {
		b, _ := json.Marshal(map[string]any{"schemas": []string{patchURN}, "Operations": []any{map[string]any{"op": "replace", "path": path, "value": value},
			map[string]any{"op": "replace", "path": "nothing.like.it", "value": 1}}})
		return string(b)
	}
	bodies := []string{with("password", s), with("clientSecret", map[string]any{"a": []any{s}}), with("apiToken", s), with("active", map[string]any{"password": s}),
		with("title", `{"password": "`+s+`"}`), with("x-private_key", s), with("password", s) + "}",
		op("password", s), op("urn:ietf:params:scim:schemas:core:2.0:User:password", s), op("", map[string]any{"Password": s}),
		op(`passwords[value eq "`+s+`"]`, "x"), op("password", map[string]any{"value": s})}
	for _, b := range slices.Clone(bodies) {
		bodies = append(bodies, strings.Replace(b, `"userName"`, `"userNam"`, 1)) // refused for another reason
	}
	return bodies
}

func TestRedactText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"/Users/0197f1c2aabb7ccc8ddd0123456789ab?count=100", "/Users/0197f1c2aabb7ccc8ddd0123456789ab?count=100"},
		{`/Users?filter=userName eq "Jane.Doe@acme.example"`, `/Users?filter=userName eq "Jane.Doe@acme.example"`},
		{`filter=password eq "a b" and title eq "x"`, `filter=password eq [redacted] and title eq "x"`},
		{`?access_token=abc&count=1`, `?access_token=[redacted]&count=1`},
		{"Authorization: Bearer abcdefgh", "Authorization: Bearer [redacted]"},
		{"the token " + strings.Repeat("aB3", 15) + " here", "the token [redacted] here"},
		{"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "[redacted]"},
		{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"},
		{`[{"id":"1","password":"x y"}]`, `[{"id":"1","password":"[redacted]"}]`},
	} {
		if got := redactText(c.in); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestRefusedBodiesAreBounded(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	d.refused(400, "invalidValue", "", "POST", "/Users", userBody("x", `"active":7`, `"title":"`+strings.Repeat("é", 8000)+`"`))
	if body := d.last().Body; len(body) > maxShown+len("…") || len(body) < maxShown-1 || !strings.HasSuffix(body, "…") {
		t.Errorf("%d bytes of a body are kept, want %d", len(body), maxShown)
	}
	d.refused(400, "invalidValue", "", "POST", "/Users", userBody("x", `"active":7`, `"title":"`+strings.Repeat("x", maxRead)+`"`))
	if body := d.last().Body; !strings.HasPrefix(body, "(more than") {
		t.Errorf("a body of more than %d bytes is kept: %.100s", maxRead, body)
	}
	d.refused(400, "invalidSyntax", "", "POST", "/Users", `{"a":"b\u0000c","title":"x`)
	if body := d.last().Body; !strings.HasPrefix(body, "(") {
		t.Errorf("a broken body is kept: %s", body)
	}
}

// The quick look must never spare a text that the expressions would change.
func TestTheQuickLookMissesNoSecret(t *testing.T) {
	t.Parallel()
	pieces := []string{"passw", "PassWord", "secret", "Token", "credential", "authorization", "api_key", "apiKey", "private_key", "passphrase", "OTP", "code", "Bearer ", "basic ",
		"eyJhbGciOiJI", ".", "-----BEGIN ", "KEY-----", " eq ", `"`, ":", "=", "?", "&", "x", "A1b2C3d4", "ſ", "/Users/", " ", "\n", "0123456789abcdef", "ABCdef123", `\`}
	random := rand.New(rand.NewPCG(1, 2))
	changed := 0
	for range 50_000 {
		var text strings.Builder
		for range 1 + random.IntN(8) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		want := redactAll(text.String())
		if got := redactText(text.String()); got != want {
			t.Fatalf("%q became %q, want %q", text.String(), got, want)
		}
		if want != text.String() {
			changed++
		}
	}
	if changed < 1000 || mayHoldSecret("/Users/01a2007cc0ae7e969e2e23c525164c95") || mayHoldSecret("Okta SCIM Client 1.0.0") {
		t.Errorf("%d texts held a secret; ordinary ones are looked at: %v", changed, mayHoldSecret("Okta SCIM Client 1.0.0"))
	}
}
