package importer

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

func (d *Door) mountFeedAPI(m *web.Mux) {
	const at = "/api/v1/import-feeds"
	m.API(access.Configure, "GET "+at, d.apiFeeds)                        // List the feeds from which files are fetched
	m.APIFresh(access.Configure, "POST "+at, d.apiCreateFeed)             // Create a feed
	m.API(access.Configure, "GET "+at+"/{feed}", d.apiFeed)               // Get a feed
	m.APIFresh(access.Configure, "PATCH "+at+"/{feed}", d.apiUpdateFeed)  // Change a feed. What is left out stays
	m.APIFresh(access.Configure, "POST "+at+"/{feed}/pin", d.apiPin)      // Confirm the key that a feed's host has shown
	m.API(access.Configure, "POST "+at+"/{feed}/key", d.apiAskKey)        // Ask a feed's host for its key
	m.API(access.Configure, "POST "+at+"/{feed}/look", d.apiLook)         // Look at a feed as soon as possible
	m.APIFresh(access.Configure, "DELETE "+at+"/{feed}", d.apiDeleteFeed) // Delete a feed. What it brought stays
}

// FeedView is a feed as programs see it. What it signs in with is never shown.
type FeedView struct {
	ID       FeedID       `json:"id"`
	Kind     string       `json:"kind"`
	Name     string       `json:"name"`
	Settings FeedSettings `json:"settings"`
	Version  string       `json:"version"`
	Active   bool         `json:"active"`
	Paused   bool         `json:"paused"`
	Pinned   string       `json:"pinned_fingerprint,omitempty"`
	Shown    string       `json:"shown_fingerprint,omitempty"`
	Busy     bool         `json:"looking"`
	Last     string       `json:"last"`
	Bad      bool         `json:"last_failed"`
	LastAt   string       `json:"last_at,omitempty"`
}

// ViewOfFeed is a feed as programs see it.
func (d *Door) ViewOfFeed(f Feed) FeedView {
	f.Settings.MailTo = append([]store.UserID{}, f.Settings.MailTo...)
	return FeedView{ID: f.ID, Kind: f.Kind, Name: f.Name, Settings: f.Settings, Version: f.version(), Active: f.Active, Paused: f.Paused, Pinned: fingerprint(f.HostKey), Shown: fingerprint(f.SeenKey),
		Busy: f.busy(store.TimeOf(d.opt.DB.Now())), Last: f.Last.String(), Bad: f.Bad, LastAt: f.LastAt.OrEmpty()}
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
		out.Feeds = append(out.Feeds, d.ViewOfFeed(f))
	}
	return web.JSON(w, http.StatusOK, out)
}

// feedOf is the feed that the path names.
func (d *Door) feedOf(r *http.Request) (Feed, error) {
	id, err := store.ParseID[Feed](r.PathValue("feed"))
	if err != nil {
		return Feed{}, err
	}
	return d.Feed(r.Context(), web.Actor(r), id)
}

func (d *Door) answerFeed(w http.ResponseWriter, status int, f Feed, err error) error {
	if err != nil {
		return err
	}
	return web.JSON(w, status, d.ViewOfFeed(f))
}

func (d *Door) apiFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := d.feedOf(r)
	return d.answerFeed(w, http.StatusOK, f, err)
}

func (d *Door) apiCreateFeed(w http.ResponseWriter, r *http.Request) error {
	var in NewFeed
	if err := web.ReadJSON(r, &in, "kind", "name"); err != nil {
		return err
	}
	f, err := d.CreateFeed(r.Context(), web.Actor(r), in)
	return d.answerFeed(w, http.StatusCreated, f, err)
}

// apiUpdateFeed changes what is sent; the rest stays.
func (d *Door) apiUpdateFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := d.feedOf(r)
	if err != nil {
		return err
	}
	in := struct {
		NewFeed
		Paused *bool `json:"paused"`
	}{NewFeed: NewFeed{Kind: f.Kind, Name: f.Name, Settings: f.Settings}}
	if err := web.ReadJSON(r, &in); err != nil {
		return err
	}
	ctx, actor := r.Context(), web.Actor(r)
	if f, err = d.UpdateFeed(ctx, actor, f.ID, in.NewFeed); err != nil {
		return err
	}
	if in.Paused != nil && *in.Paused != f.Paused {
		if err := d.Pause(ctx, actor, f.ID, *in.Paused); err != nil {
			return err
		}
		f.Paused = *in.Paused
	}
	return d.answerFeed(w, http.StatusOK, f, nil)
}

func (d *Door) apiPin(w http.ResponseWriter, r *http.Request) error {
	f, err := d.feedOf(r)
	if err != nil {
		return err
	}
	var in struct {
		Fingerprint string `json:"fingerprint"`
	}
	if err := web.ReadJSON(r, &in, "fingerprint"); err != nil {
		return err
	}
	if err := d.Pin(r.Context(), web.Actor(r), f.ID, in.Fingerprint); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *Door) apiAskKey(w http.ResponseWriter, r *http.Request) error {
	f, err := d.feedOf(r)
	if err == nil {
		f, err = d.AskKey(r.Context(), web.Actor(r), f.ID)
	}
	return d.answerFeed(w, http.StatusOK, f, err)
}

// apiLook has the feed looked at; GET tells when that is over.
func (d *Door) apiLook(w http.ResponseWriter, r *http.Request) error {
	f, err := d.feedOf(r)
	if err == nil {
		err = d.Hurry(r.Context(), web.Actor(r), f.ID)
	}
	if err == nil {
		f, err = d.feedOf(r)
	}
	return d.answerFeed(w, http.StatusAccepted, f, err)
}

func (d *Door) apiDeleteFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := d.feedOf(r)
	if err == nil {
		err = d.DeleteFeed(r.Context(), web.Actor(r), f.ID)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
