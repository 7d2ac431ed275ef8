package invite_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/invite"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (s *stage) check(addresses string) (l invite.ManyList, err error) {
	err = s.write(s.admin, func(tx *store.Tx) (err error) {
		l, err = s.door.CheckMany(tx, invite.ManyIn{Addresses: addresses})
		return err
	})
	return l, err
}

// because is why a row is as it is, in English.
func because(r invite.ManyRow) string { return r.Why.In(fmt.Sprintf) }

func TestPastedAddressesAreTakenApart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		for text, want := range map[string]string{
			"a@example.com, b@example.com;c@example.com\nd@example.com\r\n\n ,;": "a@example.com|| b@example.com|| c@example.com|| d@example.com||",
			"Ada Lovelace <ada@example.com>":                                     "ada@example.com|Ada|Lovelace",
			`"Lovelace, Ada; Countess" <ada@example.com>,b@example.com`:          "ada@example.com|Ada; Countess|Lovelace b@example.com||",
			`"Ada \"the\" King" <ada@example.com>`:                               `ada@example.com|Ada "the"|King`,
			"Ada von und zu Lovelace <ada@Example.COM>":                          "ada@example.com|Ada von und zu|Lovelace",
			"<ada@example.com>":                                                  "ada@example.com||",
			"Ada <ada@example.com":                                               "bad",
			"Ada <ada@example.com> x":                                            "bad",
			"\"Ada <ada@example.com>\nbo@example.com":                            "bad bo@example.com||",
			"ada@":                                "bad",
			"Ada Lovelace ada@example.com":        "bad",
			"A\tB <ada@example.com>":              "ada@example.com|A|B",
			"<b>Ada</b> <ada@example.com>":        "ada@example.com|<b>Ada</b>|",
			"=cmd() <ada@example.com>":            "ada@example.com|=cmd()|",
			strings.Repeat("x", 10_000) + "@x.io": "bad",
		} {
			l, err := s.check(text)
			var got []string
			for _, r := range l.Rows {
				if r.Verdict == invite.VerdictBad {
					got = append(got, "bad")
					if r.Why.Format == "" {
						t.Errorf("%.60q: bad without a reason", text)
					}
				} else {
					got = append(got, r.Email+"|"+r.GivenName+"|"+r.FamilyName)
				}
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%.60q gives %q (%v), want %q", text, strings.Join(got, " "), err, want)
			}
		}
		for _, text := range []string{"", " \n,;", "a@example.com\x00", strings.Repeat("a@example.com\n", 5001)} {
			if _, err := s.check(text); !fault.Is(err, fault.Invalid) || fault.Field(err) != "addresses" {
				t.Errorf("%.40q: %v", text, err)
			}
		}
	})
}

func TestManyAreInvitedOnceEach(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.invite("pending@example.com")
		s.drain()
		gone := s.person("gone@example.com", access.Agent)
		s.must(func(tx *store.Tx) error { _, err := tx.Deactivate(store.UserID(gone.ID), ""); return err })
		text := "boss@acme.example, pending@example.com, gone@example.com, nonsense, new0@example.com, NEW0@example.com\n"
		for i := 1; i < 20; i++ {
			text += fmt.Sprintf("New Number%d <new%d@example.com>\n", i, i)
		}
		l, err := s.check(text)
		if err != nil {
			t.Fatal(err)
		}
		var verdicts []string
		for _, r := range l.Rows[:6] {
			verdicts = append(verdicts, string(r.Verdict))
		}
		if got := strings.Join(verdicts, " "); got != "exists pending exists bad fine duplicate" || l.Good() != 20 || s.drain() != 0 {
			t.Errorf("verdicts: %s, %d good", got, l.Good())
		}
		if !strings.Contains(because(l.Rows[0]), "Bea Boss") || !strings.Contains(because(l.Rows[5]), "entry 5") {
			t.Errorf("reasons: %q, %q", l.Rows[0].Why, l.Rows[5].Why)
		}
		// One of them comes by another door before the list is confirmed.
		s.invite("new3@example.com")
		s.drain()
		var wg sync.WaitGroup
		for range 4 { // pressed twice, by two admins, on two servers
			wg.Go(func() {
				if _, err := s.door.ConfirmMany(ctx, s.admin, l.ID); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if l, err = s.door.Many(ctx, s.admin, l.ID, invite.RowQuery{}); err != nil {
			t.Fatal(err)
		}
		if n := s.drain(); l.Done() != 19 || n != 19 || l.Good() != 0 {
			t.Errorf("%d invited, %d mails, %d wait", l.Done(), n, l.Good())
		}
		for _, r := range l.Rows {
			if r.Email == "new3@example.com" && (r.State != invite.RowFailed || !strings.Contains(because(r), "already has an account")) {
				t.Errorf("who came otherwise: %+v", r)
			}
			if r.State == invite.RowDone && (r.UserID == "" || s.state(r.UserID).State != invite.Pending) {
				t.Errorf("done: %+v", r)
			}
		}
		_, err = s.door.Many(ctx, access.Actor{Kind: access.Person, Org: string(s.org.ID), ID: "x", Roles: []string{access.Viewer}}, l.ID, invite.RowQuery{})
		wantFault(t, "a viewer", err, fault.Denied)
	})
}

func TestManyAskWhoMustUseSingleSignOnAndForSeats(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		s.onlySSO = map[string]bool{"sso.example": true}
		if err := s.write(access.Muster(string(s.org.ID)), func(tx *store.Tx) error { return tx.SetSeats(3) }); err != nil {
			t.Fatal(err)
		}
		l, err := s.check("a@sso.example, b@example.com, c@example.com")
		if err != nil || l.Rows[0].Verdict != invite.VerdictSSO || l.Rows[1].Verdict != invite.VerdictFine || l.Rows[2].Verdict != invite.VerdictSeats {
			t.Fatalf("%+v, %v", l.Rows, err)
		}
		s.invite("other@example.com") // takes one of the two
		if l, err = s.door.ConfirmMany(ctx, s.admin, l.ID); err != nil || l.Done() != 1 || l.Rows[1].State != invite.RowFailed || !strings.Contains(because(l.Rows[1]), "No seat") {
			t.Errorf("%+v, %v", l.Rows, err)
		}
	})
}

func TestManyInTheConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		const path = "/console/acme/invite/many"
		s.want(s.do("admin", "GET", path, nil), http.StatusOK)
		s.want(s.do("viewer", "GET", path, nil), http.StatusForbidden)
		body := s.want(s.do("admin", "POST", path, url.Values{"addresses": {" ; "}, "note": {"kept"}}), http.StatusBadRequest)
		if !strings.Contains(body, ">kept</textarea>") {
			t.Error("what was typed is lost")
		}
		w := s.do("admin", "POST", path, url.Values{"addresses": {"Ada <b>L</b> <ada@example.com>, x, viewer@acme.example"}, "role": {"viewer"}, "note": {"Hi"}})
		at := w.Header().Get("Location")
		body = s.want(s.do("admin", "GET", at, nil), http.StatusOK)
		for _, want := range []string{"Invite 1", "2 left out", "No address", "Here already", "&lt;b&gt;L&lt;/b&gt;"} {
			if !strings.Contains(body, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		s.want(s.do("stranger", "GET", at, nil), http.StatusNotFound)
		for range 2 {
			s.want(s.do("admin", "POST", at, url.Values{}), http.StatusSeeOther)
			if body = s.want(s.do("admin", "GET", at, nil), http.StatusOK); !strings.Contains(body, "1 invited") {
				t.Errorf("afterwards: %s", body)
			}
		}
		if body := s.want(s.do("admin", "GET", path+strings.Replace(at, path+"/", "?from=", 1), nil), http.StatusOK); strings.Contains(body, "&lt;b&gt;") || !strings.Contains(body, "viewer@acme.example") {
			t.Error("correcting does not begin with what is left")
		}
		made := s.api("admin", "POST", "/invitation-lists", `{"addresses":"eve@example.com, zoe@example.com, bad","roles":["agent"],"send":false}`, 201)
		id := made["id"].(string)
		if got := s.api("admin", "POST", "/invitation-lists/"+id+"/confirm", "{}", 200); got["invited"] != float64(2) || got["left"] != float64(1) || len(s.mails) != 1 {
			t.Errorf("by the API: %v, %d mails", got, len(s.mails))
		}
		s.api("stranger", "GET", "/invitation-lists/"+id, "", 404)
		s.api("admin", "POST", "/invitation-lists", `{"addresses":"a@example.com","roles":["king"]}`, 400)
	})
}

// What is wrong with an address is said in the reader's language, whichever package said it.
func TestReasonsOfAListAreInTheReadersLanguage(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		list := func(roles ...string) (l invite.ManyList) {
			s.must(func(tx *store.Tx) (err error) {
				l, err = s.door.CheckMany(tx, invite.ManyIn{Addresses: "ada@example.com", Roles: roles})
				return err
			})
			return l
		}
		s.must(func(tx *store.Tx) error {
			_, err := tx.CreateRole(store.RoleChange{Name: "lead", Permissions: &[]access.Permission{access.ViewUsers}})
			return err
		})
		gone, taken := list("lead"), list()
		s.must(func(tx *store.Tx) error { _, err := tx.DeleteRole("lead", store.WithoutRole, 0); return err })
		for _, c := range []struct {
			list            invite.ListID
			before          func()
			english, german string
		}{
			{gone.ID, func() {}, "There is no role &#34;lead&#34;. Choose one of", "Es gibt keine Rolle &#34;lead&#34;. Wählen Sie eine von"},
			{taken.ID, func() { s.invite("ada@example.com") }, "already has an account here: Ada Lovelace (invited). Send the invitation again", "hat hier schon ein Konto: Ada Lovelace (eingeladen). Senden Sie die Einladung"},
		} {
			c.before()
			at := "/console/acme/invite/many/" + string(c.list)
			s.want(s.do("admin", "POST", at, nil), 303)
			for language, want := range map[string]string{"en": c.english, "de": c.german} {
				r := httptest.NewRequest("GET", "http://127.0.0.1:8080"+at, nil)
				r.Header.Set("X-Who", "admin")
				r.Header.Set("Accept-Language", language)
				w := httptest.NewRecorder()
				if s.mux.ServeHTTP(w, r); !strings.Contains(w.Body.String(), want) {
					t.Errorf("%s: no %q in %s", language, want, w.Body)
				}
			}
		}
	})
}
