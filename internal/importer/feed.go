package importer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/jobs"
	"github.com/muster-id/muster/internal/mail"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// FeedID names a feed.
type FeedID = store.ID[Feed]

// The kinds of feed.
const (
	Folder = "folder" // of this server, in the one that the operator allows
	SFTP   = "sftp"
)

// Feed is a place from which files with people are fetched on a schedule. What comes is
// read as an upload is; it is imported by itself only within the guards, else it waits
// for an admin.
type Feed struct {
	ID       FeedID
	Kind     string
	Name     string
	Settings FeedSettings
	HostKey  string // that is pinned, as authorized_keys has it
	SeenKey  string // that the host has shown
	Active   bool   // its host's key is pinned, if it has one
	Paused   bool
	LastAt   store.Time
	Last     web.Said // how it went
	Bad      bool
	NextAt   store.Time

	sealed []byte
	looked map[string]stamp
	lease  store.Time // somebody looks at it until then
}

// busy tells whether somebody looks at the feed, or will within moments.
func (f Feed) busy(now store.Time) bool {
	return f.lease > now || f.Active && !f.Paused && f.NextAt <= now
}

// FeedSettings say where the files are and what is done with them.
type FeedSettings struct {
	Path       string         `json:"path"`           // of the folder
	Pattern    string         `json:"pattern"`        // of file names: *.csv
	Host       string         `json:"host,omitempty"` // and port
	User       string         `json:"user,omitempty"`
	Every      int            `json:"every"`       // minutes
	Rename     bool           `json:"rename"`      // a file that was taken gets .done behind its name
	Key        string         `json:"key"`         // as Settings
	New        string         `json:"new"`         //
	Missing    string         `json:"missing"`     //
	MaxGone    int            `json:"max_gone"`    // percent
	MaxChanged int            `json:"max_changed"` // percent of the people who may be new or changed
	MailTo     []store.UserID `json:"mail_to"`     // who gets the report; all admins when empty
}

// stamp tells whether a file has changed between two looks.
type stamp struct {
	Size int64 `json:"size"`
	At   int64 `json:"at"` // of the last change, in seconds
}

// taking is what became of a file that was to be taken.
type taking int

const (
	notTaken taking = iota // somebody still writes it
	takenNow
	takenBefore
)

// entry is a file of a feed.
type entry struct {
	name string
	stamp
}

// place is where a feed's files are.
type drop interface {
	list() ([]entry, error)
	open(name string) (io.ReadCloser, error)
	stat(name string) (stamp, error)
	rename(from, to string) error
	io.Closer
}

const (
	feedLease         = 15 * time.Minute
	feedTime          = 10 * time.Minute // that one look may take
	defaultMaxChanged = 20               // percent
	filesTaken        = 5                // of a feed in one look
	settled           = 2 * time.Minute  // since the last change of a file that nobody is writing any more
)

// check fills in what was left out. Faults: Invalid on the setting.
func (f *Feed) check() error {
	s := &f.Settings
	f.Name, s.Path, s.Pattern, s.Host, s.User = strings.TrimSpace(f.Name), strings.TrimSpace(s.Path), strings.TrimSpace(s.Pattern), strings.TrimSpace(s.Host), strings.TrimSpace(s.User)
	if s.Pattern == "" {
		s.Pattern = "*.csv"
	}
	for field, text := range map[string]string{"name": f.Name, "path": s.Path, "pattern": s.Pattern, "host": s.Host, "user": s.User} {
		if len(text) > maxText || unclean(text) != nil {
			return fault.Invalid.On(field, "That is longer than %d bytes, or holds a character that cannot be read. Type it again.", maxText)
		}
	}
	if _, err := path.Match(s.Pattern, "x"); err != nil || strings.Contains(s.Pattern, "/") {
		return fault.Invalid.On("pattern", "%q is no pattern of file names. Write one like *.csv or people-*.csv.", s.Pattern)
	}
	switch {
	case f.Name == "":
		return fault.Invalid.On("name", "The feed needs a name.")
	case f.Kind != Folder && f.Kind != SFTP:
		return fault.Invalid.On("kind", "There is no kind of feed %.20q. Choose folder or sftp.", f.Kind)
	case slices.Contains(strings.Split(s.Path, "/"), ".."):
		return fault.Invalid.On("path", "%q leads out of its folder. Write the way down to the files.", s.Path)
	case f.Kind == SFTP && (s.Host == "" || s.User == ""):
		return fault.Invalid.On("host", "SFTP needs a host and a user.")
	}
	for _, n := range []struct {
		field      string
		value      *int
		or, lo, hi int
	}{{"every", &s.Every, 60, 5, 7 * 24 * 60}, {"max_gone", &s.MaxGone, defaultMaxGone, 1, 100}, {"max_changed", &s.MaxChanged, defaultMaxChanged, 1, 100}} {
		if *n.value == 0 {
			*n.value = n.or
		}
		if *n.value < n.lo || *n.value > n.hi {
			return fault.Invalid.On(n.field, "%d is not possible here. Write a number from %d to %d.", *n.value, n.lo, n.hi)
		}
	}
	set := Settings{Form: Form{Encodings[0], Delimiters[0]}, Columns: keys, Key: s.Key, New: s.New, Missing: s.Missing}
	if s.Key == "" {
		set.Key = fieldEmail
	}
	if err := set.check(keys, ownFields); err != nil {
		return err
	}
	s.New, s.Missing = set.New, set.Missing
	return nil
}

// Look fetches what is new at a feed now. What went wrong is kept with the feed and mailed.
func (d *Door) Look(ctx context.Context, org store.OrgID, id FeedID) error {
	server := ctx
	ctx, cancel := context.WithTimeout(ctx, feedTime)
	defer cancel()
	actor := access.Muster(string(org))
	var f Feed
	claimed := false
	err := d.opt.DB.Write(ctx, actor, func(tx *store.Tx) (err error) {
		if f, err = findFeed(tx, id); err == nil {
			claimed, err = claimFeed(tx, f, tx.Now().Add(feedLease))
		}
		return err
	})
	if err != nil || !claimed {
		return err
	}
	actor.Name = "Feed " + f.Name
	words, seen, err := d.lookAt(ctx, actor, f)
	end := d.opt.DB.Write(context.WithoutCancel(ctx), actor, func(tx *store.Tx) error {
		switch {
		case err == nil:
			return endLook(tx, f.ID, words, false, seen)
		case server.Err() != nil: // it stops, which is not the feed's fault
			return leaveFeed(tx, f.ID)
		}
		d.opt.Log.WarnContext(ctx, "import feed", "org", org, "feed", f.ID, "error", err)
		said := web.SaidBy(err)
		if said.IsZero() {
			said = web.Say("The files could not be fetched. It is in the server's log.")
		}
		if kept(said) != kept(f.Last) { // once for each new reason
			if err := d.report(tx, f, web.Say("Muster could not fetch people from %s", f.Name), []web.Said{said}, ""); err != nil {
				return err
			}
		}
		return endLook(tx, f.ID, said, true, seen)
	})
	return end
}

// lookAt takes the files that nobody is writing any more.
func (d *Door) lookAt(ctx context.Context, actor access.Actor, f Feed) (web.Said, map[string]stamp, error) {
	at, err := d.openFeed(ctx, actor, f)
	if err != nil {
		return web.Said{}, f.looked, err
	}
	defer at.Close()
	files, err := at.list()
	if err != nil {
		return web.Said{}, f.looked, err
	}
	slices.SortFunc(files, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	seen, taken, same, written := map[string]stamp{}, 0, 0, 0
	now := d.opt.DB.Now()
	apart := f.LastAt <= store.TimeOf(now.Add(-settled)) // else whoever writes may only have paused between two looks
	var wrong error
	for _, e := range files {
		if match, _ := path.Match(f.Settings.Pattern, e.name); !match || len(seen) == 1000 {
			continue
		}
		was, known := f.looked[e.name]
		seen[e.name] = e.stamp
		if !(known && was == e.stamp && apart) && now.Unix()-e.At < int64(settled.Seconds()) {
			written++
			continue
		}
		if taken == filesTaken {
			continue
		}
		what, err := d.fetch(ctx, actor, f, at, e)
		switch {
		case err != nil:
			if said := web.SaidBy(err); !said.IsZero() {
				err = fault.Invalid.Wrap(err, "%s: %s", readable(e.name), said)
			}
			wrong = errors.Join(wrong, err)
		case what == takenNow:
			taken++
		case what == takenBefore:
			same++
		default:
			written++
		}
	}
	words := web.SayN(len(seen), "%d file there, %d new, %d taken before.", "%d files there, %d new, %d taken before.", taken, same)
	if written > 0 {
		words = web.Say("%s %s", words, web.SayN(written, "One may still be written, and is taken once nothing happens to it for two minutes.", "%d may still be written, and are taken once nothing happens to them for two minutes."))
	}
	return words, seen, wrong
}

// fetch takes one file in, once.
func (d *Door) fetch(ctx context.Context, actor access.Actor, f Feed, at drop, e entry) (taking, error) {
	if e.Size > MaxFile {
		return notTaken, bad("The file is larger than %d MB. Split it into several.", MaxFile>>20)
	}
	file, err := at.open(e.name)
	if err != nil {
		return notTaken, err
	}
	defer file.Close()
	sum := sha256.New()
	run, err := d.upload(ctx, actor, Run{Name: e.name, Feed: f.ID}, io.TeeReader(file, sum))
	if err != nil {
		return notTaken, err
	}
	if now, err := at.stat(e.name); err != nil || now != e.stamp { // it changed while it was read: next time
		return notTaken, errors.Join(err, d.Forget(ctx, actor, run.ID))
	}
	name, fresh := readable(e.name), false
	err = d.opt.DB.Write(ctx, actor, func(tx *store.Tx) (err error) {
		if fresh, err = insertSeen(tx, f.ID, hex.EncodeToString(sum.Sum(nil)), name, run.ID); err == nil && !fresh {
			err = forgetRun(tx, run.ID)
		}
		return err
	})
	if err != nil || !fresh {
		return takenBefore, err
	}
	if f.Settings.Rename {
		if err := at.rename(e.name, e.name+".done"); err != nil {
			d.opt.Log.WarnContext(ctx, "rename a file of a feed", "feed", f.ID, "error", err)
		}
	}
	set, s := run.Settings, f.Settings
	set.Key, set.New, set.Missing, set.MaxGone = s.Key, s.New, s.Missing, s.MaxGone
	if run, err = d.Read(ctx, actor, run.ID, set); err != nil {
		return takenNow, err
	}
	return takenNow, d.goOn(ctx, actor, run)
}

// goOn imports a file that a feed brought and that was read, within the guards.
func (d *Door) goOn(ctx context.Context, actor access.Actor, run Run) error {
	return d.opt.DB.Write(ctx, actor, func(tx *store.Tx) error {
		f, err := findFeed(tx, run.Feed)
		if fault.Is(err, fault.NotFound) {
			return nil // the feed has ended meanwhile; the file waits
		}
		if err != nil {
			return err
		}
		s := f.Settings
		page, err := tx.People(store.PeopleQuery{Limit: 1})
		if err != nil {
			return err
		}
		why := guards(run, s, page.Total)
		if run.Good() == 0 && run.Bad() == 0 {
			return markTold(tx, run.ID)
		}
		if why.IsZero() && run.Good() > 0 {
			_, err := d.start(tx, run, 0)
			return err // the report comes when it has ended
		}
		if why.IsZero() {
			why = web.Say("No line of it can be imported.")
		}
		if err := markTold(tx, run.ID); err != nil {
			return err
		}
		return d.report(tx, f, web.Say("%s waits for you", run.Name), append([]web.Said{web.Say("The file %s came from %s and was not imported by itself. %s", run.Name, f.Name, why)}, counted(run)...), "/import/"+string(run.ID))
	})
}

// guards is why a file is not imported by itself; empty when it may be.
func guards(run Run, s FeedSettings, people int) web.Said {
	changed := run.Counts[Create] + run.Counts[Update]
	switch share := 100 * changed / max(people, 1); {
	case changed > 0 && share > s.MaxChanged:
		return web.SayN(changed, "It would create or change %d person beside %d that are there, which is more than %d %%.", "It would create or change %d people beside %d that are there, which is more than %d %%.", people, s.MaxChanged)
	case run.gone() > s.MaxGone:
		return web.Say("It would deactivate %d of %s, which is more than %d %%.", run.Counts[Deactivate], run.people(), s.MaxGone)
	case run.Bad() > 0 && run.Counts[Failed] > changed+run.Counts[Unchanged]:
		return web.Say("Most of its lines have errors.")
	}
	return web.Said{}
}

func counted(run Run) (lines []web.Said) {
	for _, a := range actions {
		if n := run.Counts[a.Action]; n > 0 {
			lines = append(lines, web.Say("%s: %d", web.Say(a.Label), n))
		}
	}
	return lines
}

// report mails the admins of a feed.
func (d *Door) report(tx *store.Tx, f Feed, subject web.Said, lines []web.Said, link string) error {
	org, err := d.opt.DB.OrgByID(tx.Context(), tx.Org())
	if err != nil {
		return err
	}
	to, err := tx.Admins()
	if err != nil {
		return err
	}
	if len(f.Settings.MailTo) > 0 {
		if to, err = tx.UsersBy(f.Settings.MailTo, nil, nil); err != nil {
			return err
		}
	}
	for _, u := range to {
		if u.Status != store.Active || mail.CheckAddress(u.Email) != nil {
			continue
		}
		reader, err := mail.ReaderOf(tx, u.ID)
		if err != nil {
			return err
		}
		letter := mail.Letter{Reader: reader, Subject: reader.Say(subject), Greeting: reader.T("Hello %s,", u.DisplayName),
			Small: []string{reader.T("You get this mail because you look after the people of %s.", org.Name)}}
		for _, line := range lines {
			letter.Lines = append(letter.Lines, reader.Say(line))
		}
		if link != "" {
			letter.Button, letter.Link = reader.T("Look at it"), strings.TrimSuffix(d.opt.PublicURL, "/")+"/console/"+org.Slug+link
		}
		if err := d.opt.Queue(tx, letter.To(u.Email)); err != nil {
			return err
		}
	}
	return nil
}

// Tend looks at the feeds that are due, and mails what became of their imports.
func (d *Door) Tend(ctx context.Context) error {
	var looks sync.WaitGroup
	err := d.tend(ctx, looks.Go)
	looks.Wait()
	return errors.Join(err, d.Tell(ctx))
}

// tend begins to look at the feeds that are due. Each organization is looked at by itself,
// so that a host that hangs holds up nobody else's feeds.
func (d *Door) tend(ctx context.Context, begin func(func())) error {
	due, err := d.dueFeeds(ctx)
	if err != nil {
		return err
	}
	feeds := map[store.OrgID][]FeedID{}
	for _, f := range due {
		feeds[f.Org] = append(feeds[f.Org], f.ID)
	}
	for org, ids := range feeds {
		select {
		case d.looking <- struct{}{}:
		default:
			return nil // as many as can be; the others the next time
		}
		begin(func() {
			defer func() { <-d.looking }()
			for _, id := range ids {
				if err := d.Look(ctx, org, id); err != nil && ctx.Err() == nil {
					d.opt.Log.ErrorContext(ctx, "look at an import feed", "org", org, "feed", id, "error", err)
				}
			}
		})
	}
	return nil
}

// Tell mails what became of the imports of feeds that have ended.
func (d *Door) Tell(ctx context.Context) error {
	ended, err := d.untold(ctx)
	if err != nil {
		return err
	}
	for _, r := range ended {
		err := d.opt.DB.Write(ctx, access.Muster(string(r.Org)), func(tx *store.Tx) error { return d.tell(tx, r.Run) })
		if err != nil {
			return err
		}
	}
	return nil
}

// tell mails what became of an import that a feed began, once its job has ended.
func (d *Door) tell(tx *store.Tx, id ID) error {
	run, err := findRun(tx, id)
	if err != nil {
		return err
	}
	job, err := d.opt.Jobs.Get(tx, run.Job)
	if err == nil && job.EndedAt == 0 {
		return nil
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if told, err := takeTold(tx, id); err != nil || !told {
		return err
	}
	f, err := findFeed(tx, run.Feed)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	lines := []web.Said{web.Say("The file %s from %s was imported: %d done, %d skipped, %d failed.", run.Name, f.Name, job.Counts.Done, job.Counts.Skipped, job.Counts.Failed)}
	lines = append(lines, howMany(job.Counts.Did)...)
	if run.Bad() > 0 {
		lines = append(lines, web.SayN(run.Bad(), "One line has errors and was left out; it can be downloaded.", "%d lines have errors and were left out; they can be downloaded."))
	}
	if job.State != jobs.Finished {
		lines = append(lines, web.Say("The import was stopped before its end."))
	}
	return d.report(tx, f, web.Say("People were imported from %s", f.Name), append(lines, web.Say("It can be undone for 24 hours.")), "/import/"+string(run.ID))
}
