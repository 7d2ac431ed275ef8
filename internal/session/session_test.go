package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/session"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func addUser(t *testing.T, db *store.DB, actor access.Actor, name string, status store.Status) store.UserID {
	t.Helper()
	var u store.User
	err := db.Write(context.Background(), actor, func(tx *store.Tx) (err error) {
		u, err = tx.CreateUser(store.NewUser{Doc: store.Profile{UserName: name, Email: name, DisplayName: "Ada"}.Doc(), Source: store.FromAPI, Status: status})
		return err
	})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return u.ID
}

func start(t *testing.T, db *store.DB, s *session.Store, actor access.Actor, user store.UserID, expires time.Time) (string, session.ID) {
	t.Helper()
	var token string
	var id session.ID
	err := db.Write(context.Background(), actor, func(tx *store.Tx) (err error) {
		token, id, err = s.Start(tx, session.In{User: user, Method: "password", Ends: expires})
		return err
	})
	if err != nil {
		t.Fatalf("start a session: %v", err)
	}
	return token, id
}

func with(token string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "muster", Value: token})
	return r
}

func live(t *testing.T, s *session.Store, token string) bool {
	t.Helper()
	_, _, err := s.Actor(with(token))
	if err != nil && !fault.Is(err, fault.SignIn) {
		t.Fatalf("look-up: %v", err)
	}
	return err == nil
}

func TestAnActorIsWhatTheDatabaseSaysNow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := session.New(session.Options{DB: db, PublicURL: "http://127.0.0.1:8080"})
		_, admin := storetest.Org(t, db, "acme")
		user := addUser(t, db, admin, "ada@acme.example", store.Active)
		token, id := start(t, db, s, admin, user, time.Time{})

		actor, got, err := s.Actor(with(token))
		if err != nil {
			t.Fatal(err)
		}
		if actor.Kind != access.Person || actor.Org != admin.Org || actor.ID != string(user) || actor.Name != "Ada" || actor.Operator || !slices.Equal(actor.Roles, []string{store.DefaultRole}) {
			t.Errorf("actor %+v", actor)
		}
		if got.ID != id || got.Method != "password" || got.UserID != user || got.ExpiresAt <= got.CreatedAt {
			t.Errorf("session %+v", got)
		}

		err = db.Write(ctx, admin, func(tx *store.Tx) error {
			for _, why := range []store.Reason{store.Manual, {Kind: "group", Ref: "x"}} {
				if err := tx.Grant(user, access.Admin, why); err != nil {
					return err
				}
			}
			if err := tx.Grant(user, access.Viewer, store.Manual); err != nil {
				return err
			}
			return s.MakeOperator(tx, user)
		})
		if err != nil {
			t.Fatal(err)
		}
		actor, _, err = s.Actor(with(token))
		if err != nil || !actor.Operator || !slices.Equal(actor.Roles, []string{access.Admin, access.Viewer}) {
			t.Errorf("after the grants: %+v, %v", actor, err)
		}
		if n, err := s.Operators(ctx); n != 1 || err != nil {
			t.Errorf("%d operators, %v", n, err)
		}
	})
}

// Promise 5: whoever is deactivated or deleted, by whatever door, is out at once.
func TestOutMeansOut(t *testing.T) {
	t.Parallel()
	ends := map[string]func(tx *store.Tx, u store.UserID) error{
		"deactivate": func(tx *store.Tx, u store.UserID) error { _, err := tx.Deactivate(u, "left"); return err },
		"delete":     func(tx *store.Tx, u store.UserID) error { _, err := tx.DeleteUser(u, "left"); return err },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				s := session.New(session.Options{DB: db})
				_, admin := storetest.Org(t, db, "acme")
				user := addUser(t, db, admin, "ada@acme.example", store.Active)
				token, _ := start(t, db, s, admin, user, time.Time{})
				if !live(t, s, token) {
					t.Fatal("no session to begin with")
				}
				if err := db.Write(context.Background(), admin, func(tx *store.Tx) error { return end(tx, user) }); err != nil {
					t.Fatal(err)
				}
				if live(t, s, token) {
					t.Error("the session survived")
				}
				err := db.Write(context.Background(), admin, func(tx *store.Tx) error {
					_, _, err := s.Start(tx, session.In{User: user, Method: "saml"})
					return err
				})
				if !fault.Is(err, fault.Denied) {
					t.Errorf("a new session: %v", err)
				}
				back(t, db, admin, user)
				if live(t, s, token) {
					t.Error("the old session came back with the person")
				}
				if again, _ := start(t, db, s, admin, user, time.Time{}); !live(t, s, again) {
					t.Error("no new session for a person who is back")
				}
			})
		})
	}
}

// back gives a person who was deactivated or deleted access again.
func back(t *testing.T, db *store.DB, admin access.Actor, user store.UserID) {
	t.Helper()
	err := db.Write(context.Background(), admin, func(tx *store.Tx) error {
		u, err := tx.AnyUser(user)
		if err == nil && u.Status == store.Deleted {
			_, err = tx.RestoreUser(user, "")
		}
		if err == nil {
			_, err = tx.Reactivate(user, "")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		ctx := context.Background()
		s := session.New(session.Options{DB: db, Idle: time.Hour, Absolute: 5 * time.Hour})
		_, admin := storetest.Org(t, db, "acme")
		user := addUser(t, db, admin, "ada@acme.example", store.Active)
		token, _ := start(t, db, s, admin, user, time.Time{})
		short, _ := start(t, db, s, admin, user, clock.Now().Add(30*time.Minute))
		idle, _ := start(t, db, s, admin, user, time.Time{})
		for range 5 { // in use all the time
			clock.Pass(45 * time.Minute)
			if !live(t, s, token) {
				t.Fatal("ended while in use")
			}
		}
		if live(t, s, short) {
			t.Error("outlived the end that the identity provider set")
		}
		if live(t, s, idle) {
			t.Error("outlived being idle")
		}
		clock.Pass(50 * time.Minute)
		live(t, s, token)
		clock.Pass(50 * time.Minute)
		if live(t, s, token) {
			t.Error("outlived its absolute end")
		}
		if err := s.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := db.Lookup(ctx, &left, "SELECT count(*) FROM sessions"); err != nil || left != 0 {
			t.Errorf("%d rows after the sweep, %v", left, err)
		}
	})
}

// The spans are the organization's policy, and act on sessions that run: on those of
// no other organization.
func TestThePolicyActsOnRunningSessions(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		ctx := context.Background()
		s := session.New(session.Options{DB: db, Idle: time.Hour, Absolute: 5 * time.Hour})
		_, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "globex")
		spans := func(idle, absolute time.Duration) {
			t.Helper()
			if err := db.Write(ctx, admin, func(tx *store.Tx) error {
				_, err := tx.Exec(`INSERT INTO policies (org_id, password, sso, domains, idle, absolute, fresh, version, updated_at) VALUES (?, 1 = 1, 'optional', '{}', ?, ?, 0, 1, 0)
					ON CONFLICT (org_id) DO UPDATE SET idle = excluded.idle, absolute = excluded.absolute`, tx.Org(), idle.Microseconds(), absolute.Microseconds())
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		user, stranger := addUser(t, db, admin, "ada@acme.example", store.Active), addUser(t, db, other, "eve@globex.example", store.Active)
		token, _ := start(t, db, s, admin, user, time.Time{})
		capped, _ := start(t, db, s, admin, user, clock.Now().Add(2*time.Hour))
		foreign, _ := start(t, db, s, other, stranger, time.Time{})
		both := func(when string, want, wantForeign bool) {
			t.Helper()
			if got := live(t, s, token); got != want {
				t.Errorf("%s: lives %v, want %v", when, got, want)
			}
			if got := live(t, s, foreign); got != wantForeign {
				t.Errorf("%s: that of another organization lives %v, want %v", when, got, wantForeign)
			}
		}
		clock.Pass(20 * time.Minute)
		spans(15*time.Minute, 0)
		both("idle for longer than a new policy allows", false, true)
		spans(3*time.Hour, 24*time.Hour)
		both("a policy that allows more again", true, true)
		clock.Pass(2 * time.Hour)
		both("longer than the server allows", true, false)
		if live(t, s, capped) {
			t.Error("outlived the end that the identity provider set, under a policy that allows more")
		}
		clock.Pass(2 * time.Hour)
		spans(3*time.Hour, 4*time.Hour)
		both("older than a new policy allows", false, false)
		spans(30*24*time.Hour, 90*24*time.Hour)
		if _, now, err := s.Actor(with(token)); err != nil || now.ExpiresAt.Time().Sub(now.CreatedAt.Time()) != 90*24*time.Hour {
			t.Errorf("%v to %v, %v", now.CreatedAt.Time(), now.ExpiresAt.Time(), err)
		}
		if err := s.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		both("swept", true, false)
		spans(15*time.Minute, time.Hour)
		clock.Pass(time.Hour)
		if err := s.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		spans(30*24*time.Hour, 90*24*time.Hour)
		both("swept when it was over", false, false)
	})
}

// A session that is in use is written at most once a minute, however short it may be idle.
func TestALookUpSeldomWrites(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := session.New(session.Options{DB: db, Idle: 5 * time.Minute, Absolute: 5 * time.Hour})
		_, admin := storetest.Org(t, db, "acme")
		token, _ := start(t, db, s, admin, addUser(t, db, admin, "ada@acme.example", store.Active), time.Time{})
		seen := map[store.Time]bool{}
		for range 30 {
			clock.Pass(10 * time.Second)
			if !live(t, s, token) {
				t.Fatal("ended while in use")
			}
			_, now, _ := s.Actor(with(token))
			seen[now.SeenAt] = true
		}
		if len(seen) > 6 {
			t.Errorf("written %d times in five minutes", len(seen))
		}
	})
}

// What a provider says about a sign-in is kept, as far as it can be.
func TestWhatASessionKnows(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		s := session.New(session.Options{DB: db})
		_, admin := storetest.Org(t, db, "acme")
		user := addUser(t, db, admin, "ada@acme.example", store.Active)
		know := func(in session.In) session.Session {
			t.Helper()
			var token string
			if err := db.Write(context.Background(), admin, func(tx *store.Tx) (err error) {
				token, _, err = s.Start(tx, in)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			_, now, err := s.Actor(with(token))
			if err != nil {
				t.Fatal(err)
			}
			return now
		}
		connection := string(store.NewID[struct{}]())
		old := clock.Now().Add(-time.Hour)
		got := know(session.In{User: user, Method: "oidc", Connection: connection, AuthAt: old, AMR: "mfa\x00 \xffotp", ACR: strings.Repeat("x", 500)})
		if got.AMR != "mfa otp" || len(got.ACR) != 300 || got.AuthAt != store.TimeOf(old) {
			t.Errorf("%+v", got)
		}
		if got := know(session.In{User: user, Method: "oidc", Connection: connection, AuthAt: clock.Now().Add(time.Hour)}); got.AuthAt != got.CreatedAt || got.AMR != "" {
			t.Errorf("signed in at a provider whose clock is ahead: %+v", got)
		}
		if got := know(session.In{User: user, Method: "password"}); got.AMR != "pwd" || got.AuthAt != got.CreatedAt {
			t.Errorf("%+v", got)
		}
	})
}

func TestEndingByHand(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		s := session.New(session.Options{DB: db})
		_, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "globex")
		user := addUser(t, db, admin, "ada@acme.example", store.Active)
		a, _ := start(t, db, s, admin, user, time.Time{})
		b, keep := start(t, db, s, admin, user, time.Time{})
		c, one := start(t, db, s, admin, user, time.Time{})
		in := func(actor access.Actor, fn func(tx *store.Tx) error) {
			t.Helper()
			if err := db.Write(ctx, actor, fn); err != nil {
				t.Fatal(err)
			}
		}
		in(other, func(tx *store.Tx) error { // promise 3
			if err := s.End(tx, one); err != nil {
				return err
			}
			return s.EndAllOf(tx, user)
		})
		if !live(t, s, a) || !live(t, s, b) || !live(t, s, c) {
			t.Error("another organization ended a session")
		}
		in(admin, func(tx *store.Tx) error {
			list, err := s.List(tx, user)
			if err == nil && (len(list) != 3 || list[0].ID != one) {
				t.Errorf("list: %+v", list)
			}
			return err
		})
		in(admin, func(tx *store.Tx) error { return s.End(tx, one) })
		if live(t, s, c) {
			t.Error("End did not end it")
		}
		in(admin, func(tx *store.Tx) error { return s.EndOthers(tx, user, keep) })
		if live(t, s, a) || !live(t, s, b) {
			t.Error("EndOthers ended the wrong ones")
		}
		if err := s.Forget(with(b)); err != nil || live(t, s, b) {
			t.Errorf("Forget: %v, live %v", err, live(t, s, b))
		}
		in(admin, func(tx *store.Tx) error { return s.EndAllOf(tx, user) })
	})
}

func TestForgedCookiesAreNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := session.New(session.Options{DB: db})
		_, admin := storetest.Org(t, db, "acme")
		_, other := storetest.Org(t, db, "globex")
		token, _ := start(t, db, s, admin, addUser(t, db, admin, "ada@acme.example", store.Active), time.Time{})
		for name, forged := range map[string]string{
			"empty":      "",
			"no dot":     strings.ReplaceAll(token, ".", ""),
			"other org":  other.Org + token[32:],
			"other case": strings.ToUpper(token),
			"changed":    token[:len(token)-1] + "_",
			"hyphened":   token[:8] + "-" + token[8:],
			"quote":      token[:33] + "' OR 1=1 --",
			"nul":        token[:40] + "\x00",
			"long":       strings.Repeat("a", 3000),
		} {
			if forged != token && live(t, s, forged) {
				t.Errorf("%s: %q is a session", name, forged)
			}
		}
		if _, _, err := s.Actor(httptest.NewRequest("GET", "/", nil)); !fault.Is(err, fault.SignIn) {
			t.Errorf("no cookie: %v", err)
		}
	})
}

func TestCookie(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]http.Cookie{
		"https://id.example.com": {Name: "__Host-muster", Secure: true},
		"http://127.0.0.1:8080":  {Name: "muster"},
	} {
		s := session.New(session.Options{PublicURL: public})
		w := httptest.NewRecorder()
		s.SetCookie(w, "x")
		s.ClearCookie(w)
		for i, c := range w.Result().Cookies() {
			if c.Name != want.Name || c.Secure != want.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || (c.MaxAge < 0) != (i == 1) {
				t.Errorf("%s: %v", public, c)
			}
		}
	}
}

func FuzzCookie(f *testing.F) {
	s := session.New(session.Options{DB: storetest.SQLite(f)})
	f.Add(strings.Repeat("0", 32) + "." + strings.Repeat("a", 43))
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", "muster="+value)
		if _, _, err := s.Actor(r); !fault.Is(err, fault.SignIn) {
			t.Fatalf("cookie %q: %v", value, err)
		}
	})
}

func TestTheLookUpKnowsTheReader(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, admin := storetest.Org(t, db, "acme")
		s := session.New(session.Options{DB: db, PublicURL: "http://127.0.0.1:8080"})
		user := addUser(t, db, admin, "ada@acme.example", store.Active)
		token, _ := start(t, db, s, admin, user, time.Time{})
		mux := web.NewMux(web.Options{PublicURL: "http://127.0.0.1:8080", Authenticate: s.Authenticate})
		var got web.Reader
		mux.Member("GET /", func(w http.ResponseWriter, r *http.Request) error {
			got = web.ReaderIn(r)
			return nil
		})
		read := func() string {
			r := with(token)
			r.Header.Set("Accept-Language", "ja")
			mux.ServeHTTP(httptest.NewRecorder(), r)
			return got.Code() + " " + got.When(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		}
		write := func(f func(tx *store.Tx) error) {
			t.Helper()
			if err := db.Write(t.Context(), admin, f); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := read(), "en 1 Jan 2026, 00:00 UTC"; got != want {
			t.Errorf("nothing chosen: %q, want %q", got, want)
		}
		write(func(tx *store.Tx) error {
			return tx.SetOrgSetting(store.LocaleSetting, store.Locale{Language: "de", TimeZone: "Europe/Berlin"}, 0)
		})
		if got, want := read(), "de 1. Jan. 2026, 01:00 CET"; got != want {
			t.Errorf("as the organization chose: %q, want %q", got, want)
		}
		write(func(tx *store.Tx) error {
			return tx.SetPreferences(user, func(p *store.Preferences) error { p.Language, p.TimeZone = "en", "America/New_York"; return nil })
		})
		if got, want := read(), "en 31 Dec 2025, 19:00 EST"; got != want {
			t.Errorf("as the person chose: %q, want %q", got, want)
		}
		write(func(tx *store.Tx) error {
			return tx.SetOrgSetting(store.LocaleSetting, map[string]any{"language": 7}, -1)
		})
		write(func(tx *store.Tx) error {
			return tx.SetPreferences(user, func(p *store.Preferences) error { p.TimeZone = ""; return nil })
		})
		if got, want := read(), "en 1 Jan 2026, 00:00 UTC"; got != want {
			t.Errorf("a broken setting: %q, want %q and nobody kept out", got, want)
		}
	})
}

// What a role allows, and a change of it, acts on sessions that run.
func TestAChangeOfARoleActsOnRunningSessions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := session.New(session.Options{DB: db, PublicURL: "http://127.0.0.1:8080"})
		_, admin := storetest.Org(t, db, "acme")
		user := addUser(t, db, admin, "ada@acme.example", store.Active)
		token, _ := start(t, db, s, admin, user, time.Time{})
		may := func(want string) {
			t.Helper()
			actor, _, err := s.Actor(with(token))
			if got := strings.Join(db.Allowed(actor), " "); err != nil || got != want {
				t.Errorf("the session may %q, want %q, %v", got, want, err)
			}
		}
		set := func(f func(tx *store.Tx) error) {
			t.Helper()
			if err := db.Write(context.Background(), admin, f); err != nil {
				t.Fatal(err)
			}
		}
		may("view_all_tickets manage_macros")
		set(func(tx *store.Tx) error {
			_, err := tx.UpdateRole(access.Agent, store.RoleChange{Permissions: &[]access.Permission{"export_data"}})
			return err
		})
		may("export_data")
		set(func(tx *store.Tx) error {
			if _, err := tx.CreateRole(store.RoleChange{Name: "lead", Permissions: &[]access.Permission{"delete_tickets", access.ViewUsers}}); err != nil {
				return err
			}
			return tx.SetRole(user, "lead")
		})
		may("users.view delete_tickets")
		set(func(tx *store.Tx) error {
			_, err := tx.UpdateRole("lead", store.RoleChange{Permissions: &[]access.Permission{}})
			return err
		})
		may("")
		set(func(tx *store.Tx) error { _, err := tx.DeleteRole("lead", store.WithoutRole, 0); return err })
		may("export_data")
	})
}
