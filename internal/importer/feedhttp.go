package importer

import (
	"context"
	"net/http"
	"strconv"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountFeeds(m *web.Mux) {
	const at = "/console/{org}/import-feeds"
	m.Console(access.Configure, "GET "+at, d.showFeeds)
	m.ConsoleFresh(access.Configure, "POST "+at, d.postFeed)
	m.ConsoleFresh(access.Configure, "POST "+at+"/{feed}/pin", d.postPin)
	m.Console(access.Configure, "POST "+at+"/{feed}/look", d.postLook)
	m.ConsoleFresh(access.Configure, "POST "+at+"/{feed}/delete", d.postDeleteFeed)
	m.API(access.Configure, "GET /api/v1/import-feeds", d.apiFeeds)
	m.APIFresh(access.Configure, "POST /api/v1/import-feeds", d.apiCreateFeed)
	m.APIFresh(access.Configure, "POST /api/v1/import-feeds/{feed}/pin", d.apiPin)
	m.API(access.Configure, "POST /api/v1/import-feeds/{feed}/look", d.apiLook)
	m.APIFresh(access.Configure, "DELETE /api/v1/import-feeds/{feed}", d.apiDeleteFeed)
}

// NewFeed is what CreateFeed needs.
type NewFeed struct {
	Kind     string       `json:"kind"`
	Name     string       `json:"name"`
	Settings FeedSettings `json:"settings"`
	Password string       `json:"password"`
	Key      string       `json:"key"` // a private key, PEM
}

// CreateFeed keeps a feed. One by SFTP is looked at once somebody has confirmed the key
// that the host shows. Faults: Denied, Invalid on the setting, Unavailable (host).
func (d *Door) CreateFeed(ctx context.Context, actor access.Actor, in NewFeed) (Feed, error) {
	f := Feed{ID: store.NewID[Feed](), Kind: in.Kind, Name: in.Name, Settings: in.Settings, Active: in.Kind == Folder}
	if !actor.May(access.Configure) {
		return f, fault.Denied.Say("Only whoever may configure the organization can make a feed.")
	}
	if err := f.check(); err != nil {
		return f, err
	}
	var err error
	if f.Kind == SFTP {
		if in.Password == "" && in.Key == "" {
			return f, fault.Invalid.On("password", "SFTP needs a password or a private key.")
		}
		if f.sealed, err = d.seal(store.OrgID(actor.Org), f.ID, credentials{in.Password, in.Key}); err != nil {
			return f, err
		}
		if f.SeenKey, err = d.hostKey(ctx, f.Settings.Host); err != nil {
			return f, err
		}
	}
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		if err := insertFeed(tx, f); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "feed.create", TargetKind: "feed", TargetID: string(f.ID), TargetName: f.Name,
			Detail: map[string]any{"after": map[string]any{"kind": f.Kind, "host": f.Settings.Host, "user": f.Settings.User, "path": f.Settings.Path, "pattern": f.Settings.Pattern}}})
	})
	return f, err
}

// Pin confirms the key of a feed's host: what was looked at, and no other. Faults:
// NotFound, Denied, Conflict (it is another one).
func (d *Door) Pin(ctx context.Context, actor access.Actor, id FeedID, print string) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		f, err := findFeed(tx, id)
		if err != nil {
			return err
		}
		if fingerprint(f.SeenKey) != print || print == "" {
			return fault.Conflict.On("fingerprint", "The host's key is %s, and not the one that was confirmed. Load the page again and compare.", fingerprint(f.SeenKey))
		}
		if _, err := pinKey(tx, id, f.SeenKey); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "feed.pin", TargetKind: "feed", TargetID: string(id), TargetName: f.Name, Detail: map[string]any{"after": map[string]any{"key": print}}})
	})
}

// DeleteFeed ends a feed; what it brought stays. Faults: NotFound, Denied.
func (d *Door) DeleteFeed(ctx context.Context, actor access.Actor, id FeedID) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		f, err := findFeed(tx, id)
		if err != nil {
			return err
		}
		if _, err := deleteFeed(tx, id); err != nil {
			return err
		}
		return tx.Record(store.Activity{Action: "feed.delete", TargetKind: "feed", TargetID: string(id), TargetName: f.Name})
	})
}

// Feeds are those of the organization. Faults: Denied.
func (d *Door) Feeds(ctx context.Context, actor access.Actor) (list []Feed, err error) {
	err = d.opt.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		list, err = listFeeds(tx)
		return err
	})
	return list, err
}

// lookNow is Look by hand.
func (d *Door) lookNow(r *http.Request) error {
	id, err := d.feedID(r)
	if err != nil {
		return err
	}
	return d.Look(r.Context(), store.OrgID(web.Actor(r).Org), id)
}

func (d *Door) feedID(r *http.Request) (FeedID, error) {
	id, err := store.ParseID[Feed](r.PathValue("feed"))
	if err != nil {
		return id, err
	}
	return id, d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		_, err := findFeed(tx, id)
		return err
	})
}

// feedsPage lists feeds and makes new ones.
type feedsPage struct {
	Org                web.Org
	Form               web.Form
	Feeds              []feedView
	Folder             string
	Kinds, Keys, New   []web.Option
	Missing, YesOrKeep []web.Option
}

type feedView struct {
	Feed
	Print   string // of the key that the host has shown
	Pinned  bool
	Changed bool
}

func (d *Door) showFeeds(w http.ResponseWriter, r *http.Request) error {
	return d.feedsPage(w, r, http.StatusOK, web.Form{})
}

func (d *Door) feedsPage(w http.ResponseWriter, r *http.Request, status int, f web.Form) error {
	list, err := d.Feeds(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	p := feedsPage{Org: web.OrgOf(r)}
	if d.opt.Folder != "" {
		p.Kinds = append(p.Kinds, web.Option{Value: Folder, Label: web.T(r, "A folder of this server")})
		p.Folder = p.Org.Slug
	}
	p.Kinds = append(p.Kinds, web.Option{Value: SFTP, Label: "SFTP"})
	for _, feed := range list {
		p.Feeds = append(p.Feeds, feedView{Feed: feed, Print: fingerprint(feed.SeenKey), Pinned: feed.HostKey != ""})
	}
	p.Keys = []web.Option{{Value: fieldEmail, Label: web.T(r, "E-mail address")}, {Value: fieldUserName, Label: web.T(r, "User name")}, {Value: fieldNumber, Label: web.T(r, "Employee number")}}
	p.New = []web.Option{{Value: NewInvite, Label: web.T(r, "Invited, with a mail")}, {Value: NewSave, Label: web.T(r, "Saved as invited; the mails are sent by hand later")}, {Value: NewActive, Label: web.T(r, "Active at once, without a password: they sign in by your identity provider")}}
	p.Missing = []web.Option{{Value: MissingKeep, Label: web.T(r, "They stay as they are")}, {Value: MissingList, Label: web.T(r, "List them in the preview, and do nothing")}, {Value: MissingDeactivate, Label: web.T(r, "Deactivate them: the file has everybody")}}
	for name, value := range map[string]string{"every": "60", "pattern": "*.csv", "max_changed": "20", "max_gone": "10", "new": NewInvite, "missing": MissingKeep} {
		if f.Values[name] == nil {
			f.Set(name, value)
		}
	}
	p.Form = f
	return pages.Write(w, r, status, "feeds", p)
}

func (d *Door) postFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	number := func(name string) int {
		n, wrong := strconv.Atoi(f.Get(name))
		if wrong != nil && err == nil {
			err = fault.Invalid.On(name, "%.20q is no number.", f.Get(name))
		}
		return n
	}
	in := NewFeed{Kind: f.Get("kind"), Name: f.Get("name"), Password: f.Get("password"), Key: f.Get("key_password"), Settings: FeedSettings{Path: f.Get("path"), Pattern: f.Get("pattern"), Host: f.Get("host"),
		User: f.Get("user"), Every: number("every"), Rename: f.Get("rename") == "on", Key: f.Get("key"), New: f.Get("new"), Missing: f.Get("missing"), MaxGone: number("max_gone"), MaxChanged: number("max_changed")}}
	if err == nil {
		_, err = d.CreateFeed(r.Context(), web.Actor(r), in)
	}
	if fault.Is(err, fault.Unavailable) {
		f.Fail("host", web.Sentence(err))
		return d.feedsPage(w, r, http.StatusBadRequest, f)
	}
	if f.Take(err) {
		return d.feedsPage(w, r, web.Status(err), f)
	}
	if err != nil {
		return err
	}
	return d.backToFeeds(w, r, web.T(r, "The feed is kept. What comes waits for you when it changes more than you allow."))
}

func (d *Door) backToFeeds(w http.ResponseWriter, r *http.Request, words string) error {
	web.Flash(w, words)
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/import-feeds", http.StatusSeeOther)
	return nil
}

func (d *Door) postPin(w http.ResponseWriter, r *http.Request) error {
	id, err := d.feedID(r)
	if err != nil {
		return err
	}
	f, err := web.ReadForm(r)
	if err == nil {
		err = d.Pin(r.Context(), web.Actor(r), id, f.Get("fingerprint"))
	}
	if err != nil {
		return err
	}
	return d.backToFeeds(w, r, web.T(r, "The key is pinned. The feed is looked at within a minute."))
}

func (d *Door) postLook(w http.ResponseWriter, r *http.Request) error {
	if err := d.lookNow(r); err != nil {
		return err
	}
	return d.backToFeeds(w, r, web.T(r, "Looked. What came of it stands beside the feed."))
}

func (d *Door) postDeleteFeed(w http.ResponseWriter, r *http.Request) error {
	id, err := d.feedID(r)
	if err == nil {
		err = d.DeleteFeed(r.Context(), web.Actor(r), id)
	}
	if err != nil {
		return err
	}
	return d.backToFeeds(w, r, web.T(r, "The feed is gone. What it brought stays."))
}

// FeedView is a feed as programs see it. What it signs in with is never shown.
type FeedView struct {
	ID       FeedID       `json:"id"`
	Kind     string       `json:"kind"`
	Name     string       `json:"name"`
	Settings FeedSettings `json:"settings"`
	Active   bool         `json:"active"`
	Pinned   string       `json:"pinned_fingerprint,omitempty"`
	Shown    string       `json:"shown_fingerprint,omitempty"`
	Last     string       `json:"last"`
	Bad      bool         `json:"last_failed"`
	LastAt   string       `json:"last_at,omitempty"`
}

func viewFeed(f Feed) FeedView {
	v := FeedView{ID: f.ID, Kind: f.Kind, Name: f.Name, Settings: f.Settings, Active: f.Active, Pinned: fingerprint(f.HostKey), Shown: fingerprint(f.SeenKey), Last: f.Last, Bad: f.Bad}
	if f.LastAt != 0 {
		v.LastAt = f.LastAt.RFC3339()
	}
	return v
}

func (d *Door) apiFeeds(w http.ResponseWriter, r *http.Request) error {
	list, err := d.Feeds(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	out := struct {
		Feeds []FeedView `json:"feeds"`
	}{[]FeedView{}}
	for _, f := range list {
		out.Feeds = append(out.Feeds, viewFeed(f))
	}
	return web.JSON(w, http.StatusOK, out)
}

func (d *Door) apiCreateFeed(w http.ResponseWriter, r *http.Request) error {
	var in NewFeed
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	f, err := d.CreateFeed(r.Context(), web.Actor(r), in)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusCreated, viewFeed(f))
}

func (d *Door) apiPin(w http.ResponseWriter, r *http.Request) error {
	id, err := d.feedID(r)
	if err != nil {
		return err
	}
	var in struct {
		Fingerprint string `json:"fingerprint"`
	}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	if err := d.Pin(r.Context(), web.Actor(r), id, in.Fingerprint); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *Door) apiLook(w http.ResponseWriter, r *http.Request) error {
	if err := d.lookNow(r); err != nil {
		return err
	}
	return d.apiFeeds(w, r)
}

func (d *Door) apiDeleteFeed(w http.ResponseWriter, r *http.Request) error {
	id, err := d.feedID(r)
	if err == nil {
		err = d.DeleteFeed(r.Context(), web.Actor(r), id)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
