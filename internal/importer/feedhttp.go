package importer

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountFeeds(m *web.Mux) {
	const at = "/console/{org}/import-feeds"
	m.Console(access.Configure, "GET "+at, d.showFeeds)
	m.Console(access.Configure, "GET "+at+"/new", d.showNewFeed)
	m.ConsoleFresh(access.Configure, "POST "+at, d.postNewFeed)
	m.Console(access.Configure, "GET "+at+"/{feed}", d.showFeed)
	m.ConsoleFresh(access.Configure, "POST "+at+"/{feed}", d.postFeed)
	for action, do := range map[string]func(context.Context, access.Actor, *http.Request, Feed) (string, error){
		"pin": d.doPin, "key": d.doKey, "look": d.doLook, "pause": d.doPause, "resume": d.doResume, "delete": d.doDelete,
	} {
		m.ConsoleFresh(access.Configure, "POST "+at+"/{feed}/"+action, d.feedAction(do))
	}
	d.mountFeedAPI(m)
}

// feedsPage lists feeds.
type feedsPage struct {
	Org   web.Org
	Feeds []feedView
}

type feedView struct {
	Feed
	Print  string // of the key that the host has shown
	Pinned string // of the key that counts
	Busy   bool
}

func (d *Door) showFeeds(w http.ResponseWriter, r *http.Request) error {
	list, err := d.Feeds(r.Context(), web.Actor(r))
	if err != nil {
		return err
	}
	p := feedsPage{Org: web.OrgOf(r)}
	for _, feed := range list {
		v := feedView{feed, fingerprint(feed.SeenKey), fingerprint(feed.HostKey), feed.busy(store.TimeOf(d.opt.DB.Now()))}
		if v.Busy {
			w.Header().Set("Refresh", "3")
		}
		p.Feeds = append(p.Feeds, v)
	}
	return pages.Write(w, r, http.StatusOK, "feeds", p)
}

// feedPage is the form of a feed.
type feedPage struct {
	Org                       web.Org
	Form                      web.Form
	ID                        FeedID // empty: a new one
	Kind, Name                string
	Folder                    string
	Kinds, Keys, New, Missing []web.Option
}

func (d *Door) feedPage(w http.ResponseWriter, r *http.Request, status int, f web.Form, of Feed) error {
	p := feedPage{Org: web.OrgOf(r), ID: of.ID, Kind: of.Kind, Name: of.Name, New: newOptions(r), Missing: missingOptions(r)}
	if d.opt.Folder != "" {
		p.Kinds = append(p.Kinds, web.Option{Value: Folder, Label: web.T(r, "A folder of this server")})
		p.Folder = p.Org.Slug
	}
	p.Kinds = append(p.Kinds, web.Option{Value: SFTP, Label: "SFTP"})
	p.Keys = []web.Option{{Value: fieldEmail, Label: web.T(r, "E-mail address")}, {Value: fieldUserName, Label: web.T(r, "User name")}, {Value: fieldNumber, Label: web.T(r, "Employee number")}}
	s := of.Settings
	for name, value := range map[string]string{"name": of.Name, "path": s.Path, "pattern": s.Pattern, "host": s.Host, "user": s.User, "every": strconv.Itoa(s.Every), "key": s.Key,
		"new": s.New, "missing": s.Missing, "max_changed": strconv.Itoa(s.MaxChanged), "max_gone": strconv.Itoa(s.MaxGone)} {
		if f.Values[name] == nil && value != "" {
			f.Set(name, value)
		}
	}
	if len(f.Values["posted"]) == 0 { // a box without a tick is not sent
		if s.Rename {
			f.Set("rename", "on")
		}
		told, err := d.addresses(r, s.MailTo)
		if err != nil {
			return err
		}
		f.Set("mail_to", strings.Join(told, ", "))
	}
	if of.ID != "" {
		f.Default("version", of.version())
	}
	p.Form = f
	return pages.Write(w, r, status, "feed", p)
}

// addresses are where people who get the report are written to.
func (d *Door) addresses(r *http.Request, ids []store.UserID) (list []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = d.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) error {
		people, err := tx.UsersBy(ids, nil, nil)
		for _, u := range people {
			list = append(list, u.Email)
		}
		return err
	})
	return list, err
}

// typedFeed is what a form says. Faults: Invalid on the setting.
func (d *Door) typedFeed(r *http.Request, f web.Form) (in NewFeed, err error) {
	number := func(name string) int {
		n, wrong := strconv.Atoi(strings.TrimSpace(f.Get(name)))
		if wrong != nil && err == nil {
			err = fault.Invalid.On(name, "%.20q is no number.", f.Get(name))
		}
		return n
	}
	in = NewFeed{Version: f.Get("version"), Kind: f.Get("kind"), Name: f.Get("name"), Password: f.Get("password"), Key: f.Get("key_password"), Settings: FeedSettings{Path: f.Get("path"), Pattern: f.Get("pattern"), Host: f.Get("host"),
		User: f.Get("user"), Every: number("every"), Rename: f.Get("rename") == "on", Key: f.Get("key"), New: f.Get("new"), Missing: f.Get("missing"), MaxGone: number("max_gone"), MaxChanged: number("max_changed")}}
	var told []string
	for address := range strings.FieldsFuncSeq(f.Get("mail_to"), func(c rune) bool { return c == ',' || c == ';' || c == '\n' || c == ' ' || c == '\r' }) {
		told = append(told, address)
	}
	if err != nil || len(told) == 0 {
		return in, err
	}
	in.Settings.MailTo, err = d.PeopleAt(r.Context(), web.Actor(r), told)
	return in, err
}

func (d *Door) showNewFeed(w http.ResponseWriter, r *http.Request) error {
	return d.feedPage(w, r, http.StatusOK, web.Form{}, Feed{Settings: FeedSettings{Pattern: "*.csv", Every: 60, MaxChanged: defaultMaxChanged, MaxGone: defaultMaxGone, New: NewInvite, Missing: MissingKeep}})
}

func (d *Door) postNewFeed(w http.ResponseWriter, r *http.Request) error {
	return d.keepFeed(w, r, Feed{}, web.T(r, "The feed is kept. What comes waits for you when it changes more than you allow."))
}

func (d *Door) showFeed(w http.ResponseWriter, r *http.Request) error {
	feed, err := d.feedOf(r)
	if err != nil {
		return err
	}
	return d.feedPage(w, r, http.StatusOK, web.Form{}, feed)
}

func (d *Door) postFeed(w http.ResponseWriter, r *http.Request) error {
	feed, err := d.feedOf(r)
	if err != nil {
		return err
	}
	return d.keepFeed(w, r, feed, web.T(r, "The feed is changed."))
}

// keepFeed makes a feed, or changes the one that is there.
func (d *Door) keepFeed(w http.ResponseWriter, r *http.Request, was Feed, words string) error {
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	in, err := d.typedFeed(r, f)
	switch {
	case err != nil:
	case was.ID == "":
		_, err = d.CreateFeed(r.Context(), web.Actor(r), in)
	default:
		_, err = d.UpdateFeed(r.Context(), web.Actor(r), was.ID, in)
	}
	if fault.Is(err, fault.Unavailable) {
		f.FailWith("host", err)
		return d.feedPage(w, r, http.StatusBadRequest, f, was)
	}
	if f.Take(err) {
		return d.feedPage(w, r, web.Status(err), f, was)
	}
	if err != nil {
		return err
	}
	return backToFeeds(w, r, words)
}

func backToFeeds(w http.ResponseWriter, r *http.Request, words string) error {
	web.Flash(w, words)
	http.Redirect(w, r, "/console/"+web.OrgOf(r).Slug+"/import-feeds", http.StatusSeeOther)
	return nil
}

// feedAction is a button beside a feed; do gives what is said then.
func (d *Door) feedAction(do func(context.Context, access.Actor, *http.Request, Feed) (string, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		f, err := d.feedOf(r)
		if err != nil {
			return err
		}
		words, err := do(r.Context(), web.Actor(r), r, f)
		if err != nil {
			return err
		}
		return backToFeeds(w, r, words)
	}
}

func (d *Door) doPin(ctx context.Context, actor access.Actor, r *http.Request, f Feed) (string, error) {
	form, err := web.ReadForm(r)
	if err == nil {
		err = d.Pin(ctx, actor, f.ID, form.Get("fingerprint"))
	}
	return web.T(r, "The key is pinned. The feed is looked at within a minute."), err
}

func (d *Door) doKey(ctx context.Context, actor access.Actor, r *http.Request, f Feed) (string, error) {
	_, err := d.AskKey(ctx, actor, f.ID)
	return web.T(r, "The host was asked. Compare the key beside the feed with the one that its administrator tells you."), err
}

func (d *Door) doLook(ctx context.Context, actor access.Actor, r *http.Request, f Feed) (string, error) {
	return web.T(r, "The feed is being looked at. What comes of it stands beside it."), d.Hurry(ctx, actor, f.ID)
}

func (d *Door) doPause(ctx context.Context, actor access.Actor, r *http.Request, f Feed) (string, error) {
	return web.T(r, "The feed is paused. Nothing is fetched until you resume it."), d.Pause(ctx, actor, f.ID, true)
}

func (d *Door) doResume(ctx context.Context, actor access.Actor, r *http.Request, f Feed) (string, error) {
	return web.T(r, "The feed goes on."), d.Pause(ctx, actor, f.ID, false)
}

func (d *Door) doDelete(ctx context.Context, actor access.Actor, r *http.Request, f Feed) (string, error) {
	return web.T(r, "The feed is gone. What it brought stays."), d.DeleteFeed(ctx, actor, f.ID)
}
