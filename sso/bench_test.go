package sso

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/heap"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/sso/ssotest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// BenchmarkACS is a whole request to the assertion consumer service: the check of
// the answer, the pending request and the replay record used up, the account found,
// the session and its activity written. "cpu-µs/op" is this process and PostgreSQL's
// together, which is steadier than a rate, "own-µs/op" this process alone. Goal: 1.2 ms
// on PostgreSQL.
func BenchmarkACS(b *testing.B) {
	for _, size := range []struct {
		name   string
		groups int
	}{{"5KB", 0}, {"150-groups", 150}} {
		b.Run("postgres/"+size.name, func(b *testing.B) { benchmarkACS(b, storetest.DurablePostgresURL(b), size.groups) })
		b.Run("sqlite/"+size.name, func(b *testing.B) {
			benchmarkACS(b, "sqlite:"+b.TempDir()+"/muster.db", size.groups)
		})
	}
}

const (
	benchClients = 8
	benchPeople  = 200 // sign in in turns: one person at a time waits for nobody's rows
)

func benchmarkACS(b *testing.B, database string, groups int) {
	heap.Roomy()
	db, err := store.Open(b.Context(), store.Options{URL: database})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	handler, idp, login := benchDoor(b, db)
	for i := range benchPeople { // their accounts are made
		handler.ServeHTTP(httptest.NewRecorder(), benchAnswer(b, handler, idp, login, i, groups))
	}
	prepared := func(n int) []*http.Request {
		answers := make([]*http.Request, n)
		for i := range answers {
			answers[i] = benchAnswer(b, handler, idp, login, i%benchPeople, groups)
		}
		return answers
	}
	// Connections are opened, and PostgreSQL settles on its plans.
	benchRequests(b, handler, prepared(benchClients*20))
	answers := prepared(b.N)
	cpu := storetest.CPU(b, database)
	own := storetest.CPU(b, "sqlite:")
	before, ownBefore := cpu(), own()
	b.ReportAllocs()
	b.ResetTimer()
	benchRequests(b, handler, answers)
	b.StopTimer()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64((own()-ownBefore).Microseconds())/float64(b.N), "own-µs/op")
}

// benchRequests sends each request once, some at the same time.
func benchRequests(b *testing.B, handler http.Handler, list []*http.Request) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range benchClients {
		wait.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(list)); i = next.Add(1) - 1 {
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, list[i])
				if w.Code != http.StatusSeeOther {
					b.Errorf("status %d: %s", w.Code, w.Body)
				}
			}
		})
	}
	wait.Wait()
}

// benchDoor is the door with one connection.
func benchDoor(b testing.TB, db *store.DB) (http.Handler, *ssotest.IDP, string) {
	const public = "http://127.0.0.1:1"
	_, admin := storetest.Org(b, db, "acme")
	sessions := session.New(session.Options{DB: db, PublicURL: public})
	quiet := slog.New(slog.DiscardHandler)
	door := New(Options{DB: db, Sessions: sessions, Key: secret.NewKey(), PublicURL: public, Egress: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: quiet})
	door.starts = newQuota(db.Now, 1e9, 1e9)
	mux := web.NewMux(web.Options{PublicURL: public, Log: quiet, Authenticate: func(*http.Request) (access.Actor, error) { return access.Actor{}, nil }})
	door.Mount(mux)
	idp := ssotest.NewIDP()
	c, err := door.CreateConnection(context.Background(), admin, NewConnection{Protocol: "saml", Name: "IdP", Accounts: "jit", Activate: true, Metadata: idp.Metadata()})
	if err != nil {
		b.Fatal(err)
	}
	return mux, idp, strings.TrimPrefix(c.Login, public)
}

// benchAnswer begins a sign-in of a person and makes the request that would end it.
func benchAnswer(b testing.TB, handler http.Handler, idp *ssotest.IDP, login string, person, groups int) *http.Request {
	id := strconv.Itoa(person)
	values := map[string][]string{"email": {"ada" + id + "@acme.example"}, "firstName": {"Ada"}, "lastName": {"Example"}, "displayName": {"Ada Example " + id}}
	for i := range groups {
		values["groups"] = append(values["groups"], "group-"+strconv.Itoa(1000+i))
	}
	idp.Next(ssotest.Login{NameID: "ada-" + id, Attributes: values})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", login, nil))
	acs, form, err := idp.Follow(w.Header().Get("Location"))
	if err != nil {
		b.Fatalf("status %d: %v", w.Code, err)
	}
	to, err := url.Parse(acs)
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("POST", to.Path, strings.NewReader(form.Encode()))
	r.Host = to.Host
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range w.Result().Cookies() {
		r.AddCookie(cookie)
	}
	return r
}
