package importer_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/internal/web/webtest"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// typed is what the fields of a page's forms hold.
func typed(t *testing.T, page string) url.Values {
	t.Helper()
	doc, out := webtest.Page(t, page), url.Values{}
	for _, in := range append(webtest.All(doc, "input"), webtest.All(doc, "textarea")...) {
		if kind := webtest.Attr(in, "type"); kind != "checkbox" {
			out.Set(webtest.Attr(in, "name"), webtest.Attr(in, "value"))
		}
	}
	for _, list := range webtest.All(doc, "select") {
		for _, o := range webtest.All(list, "option") {
			for _, a := range o.Attr {
				if a.Key == "selected" {
					out.Set(webtest.Attr(list, "name"), webtest.Attr(o, "value"))
				}
			}
		}
	}
	return out
}

// TestFeedsAreEdited: every setting by the page, with what was typed kept, pausing, looking
// now, and two admins at once.
func TestFeedsAreEdited(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newSite(t, db)
		own := filepath.Join(s.folder, "acme")
		settle(t, filepath.Join(own, "hr", "a.csv"), "email,first\nann@example.com,Ann\n")
		f := s.feed(importer.NewFeed{Kind: importer.Folder, Name: "HR", Settings: importer.FeedSettings{Path: "nowhere"}})
		at := "/console/acme/import-feeds/" + string(f.ID)
		page := s.want(s.do("admin", "GET", at, nil), http.StatusOK)
		form := typed(t, page)
		if form.Get("path") != "nowhere" || form.Get("pattern") != "*.csv" || form.Get("every") != "60" || form.Get("version") == "" {
			t.Fatalf("the form: %v", form)
		}
		stale := form.Get("version")
		form.Set("path", "hr")
		form.Set("name", "Personnel")
		form.Set("max_changed", "a lot")
		form.Set("mail_to", "boss@acme.example")
		kept := typed(t, s.want(s.do("admin", "POST", at, form), http.StatusBadRequest))
		if kept.Get("path") != "hr" || kept.Get("name") != "Personnel" || kept.Get("max_changed") != "a lot" || kept.Get("mail_to") != "boss@acme.example" {
			t.Errorf("what was typed: %v", kept)
		}
		kept.Set("max_changed", "100")
		kept.Set("new", "active")
		kept.Set("rename", "on")
		s.want(s.do("admin", "POST", at, kept), http.StatusSeeOther)
		got, err := s.door.Feed(ctx, s.admin, f.ID)
		if err != nil || got.Name != "Personnel" || got.Settings.Path != "hr" || got.Settings.MaxChanged != 100 || !got.Settings.Rename || len(got.Settings.MailTo) != 1 {
			t.Errorf("%+v %v", got, err)
		}
		kept.Set("version", stale)
		s.want(s.do("admin", "POST", at, kept), http.StatusConflict)
		s.want(s.do("viewer", "POST", at, kept), http.StatusForbidden)
		s.want(s.do("viewer", "POST", at+"/pause", nil), http.StatusForbidden)

		s.want(s.do("admin", "POST", at+"/pause", nil), http.StatusSeeOther)
		if err := s.door.Tend(ctx); err != nil {
			t.Fatal(err)
		}
		s.want(s.do("admin", "POST", at+"/look", nil), http.StatusConflict)
		if page := s.want(s.do("admin", "GET", "/console/acme/import-feeds", nil), http.StatusOK); !strings.Contains(page, "Paused") || s.people() != 2 {
			t.Errorf("paused: %d people", s.people())
		}
		s.want(s.do("admin", "POST", at+"/resume", nil), http.StatusSeeOther)
		s.want(s.do("admin", "POST", at+"/look", nil), http.StatusSeeOther)
		if page := s.want(s.do("admin", "GET", "/console/acme/import-feeds", nil), http.StatusOK); !strings.Contains(page, "It is being looked at") {
			t.Error("nobody is told that it is being looked at")
		}
		if err := s.door.Tend(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.jobs.Work(ctx); err != nil {
			t.Fatal(err)
		}
		if s.named("ann@example.com").Profile().GivenName != "Ann" {
			t.Error("nothing was fetched")
		}
		if err := s.door.Tend(ctx); err != nil {
			t.Fatal(err)
		}
		if got := s.letters(); strings.Join(got, ",") != "People were imported from Personnel" { // to the one who was chosen
			t.Errorf("mails: %q", got)
		}
		v := importer.FeedView{}
		s.json(s.send("admin", "PATCH", "/api/v1/import-feeds/"+string(f.ID), "application/json", strings.NewReader(`{"paused": true, "settings": {"every": 30}}`)), http.StatusOK, &v)
		if !v.Paused || v.Settings.Every != 30 || v.Settings.Path != "hr" {
			t.Errorf("by the API: %+v", v)
		}
		s.want(s.do("stranger", "GET", "/api/v1/import-feeds/"+string(f.ID), nil), http.StatusNotFound)
	})
}

// TestAFeedThatMoves: what was given for one host is not sent to another, and a host
// whose key was exchanged is trusted again only after somebody has looked at it.
func TestAFeedThatMoves(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := newStage(t, db)
		host, other := newHost(t), newHost(t)
		settle(t, filepath.Join(host.dir, "out", "a.csv"), "email,first\nann@example.com,Ann\n")
		in := importer.NewFeed{Kind: importer.SFTP, Name: "HR", Password: host.password,
			Settings: importer.FeedSettings{Host: host.listener.Addr().String(), User: "hr", Path: "out", New: importer.NewActive, MaxChanged: 100}}
		f := s.feed(in)
		pin := func() {
			t.Helper()
			if err := s.door.Pin(ctx, s.admin, f.ID, s.door.ViewOfFeed(f).Shown); err != nil {
				t.Fatal(err)
			}
		}
		pin()
		in.Password, in.Settings.Host = "", other.listener.Addr().String()
		if _, err := s.door.UpdateFeed(ctx, s.admin, f.ID, in); !fault.Is(err, fault.Invalid) || fault.Field(err) != "password" {
			t.Errorf("another host without the password: %v", err)
		}
		in.Password = other.password
		var err error
		if f, err = s.door.UpdateFeed(ctx, s.admin, f.ID, in); err != nil || f.Active || f.HostKey != "" {
			t.Fatalf("another host: %+v %v", f, err)
		}
		if other.tries+host.tries != 0 {
			t.Error("something was sent before the key was confirmed")
		}
		pin()
		in.Settings.Host, in.Password = host.listener.Addr().String(), host.password
		if f, err = s.door.UpdateFeed(ctx, s.admin, f.ID, in); err != nil {
			t.Fatal(err)
		}
		pin()
		in.Password, in.Settings.Every = "", 30 // the password stays
		if f, err = s.door.UpdateFeed(ctx, s.admin, f.ID, in); err != nil || !f.Active {
			t.Fatalf("%+v %v", f, err)
		}
		if f = s.look(f.ID); f.Bad || s.named("ann@example.com").Profile().GivenName != "Ann" {
			t.Errorf("%+v", f)
		}
		host.exchange()
		if f = s.look(f.ID); !f.Bad {
			t.Errorf("another key: %+v", f)
		}
		if f, err = s.door.AskKey(ctx, s.admin, f.ID); err != nil || !strings.Contains(f.SeenKey, ssh.KeyAlgoED25519) || f.SeenKey == f.HostKey {
			t.Fatalf("asked: %+v %v", f, err)
		}
		tries := host.tries
		if s.look(f.ID); host.tries != tries {
			t.Error("a password was sent to a key that nobody has confirmed")
		}
		pin()
		if f = s.look(f.ID); f.Bad {
			t.Errorf("confirmed: %+v", f)
		}
	})
}
