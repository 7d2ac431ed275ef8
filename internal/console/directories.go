package console

import (
	"cmp"
	"net/http"
	"time"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

type directoryRow struct {
	store.Directory
	Vendor, URL string
	Requests    Requests
	Ago         web.Said // of the last request, "2 minutes ago"
	Log         string   // page with its requests; empty when there is none
}

// directoriesPage lists the directories; right after making one it shows the token.
type directoriesPage struct {
	Org     web.Org
	Form    web.Form
	Rows    []directoryRow
	Vendors []web.Option
	Modes   []web.Option
	MayMake bool
	HasPage bool // each directory has a page of its own
	New     *store.Directory
	NewURL  string
	Token   string // shown this once
}

var modeOptions = []web.Option{{Value: "compat", Label: "Compatible: takes what directories really send"}, {Value: "strict", Label: "Strict: what the standard says, nothing else"}}

func (c *Console) directories(w http.ResponseWriter, r *http.Request) error {
	var f web.Form
	f.Set("mode", "compat")
	return c.showDirectories(w, r, http.StatusOK, directoriesPage{Form: f})
}

func (c *Console) showDirectories(w http.ResponseWriter, r *http.Request, status int, p directoriesPage) error {
	p.Org, p.Vendors, p.Modes, p.MayMake = web.OrgOf(r), c.opt.Vendors, modeOptions, c.opt.CreateDirectory != nil
	p.HasPage = c.opt.Tokens.List != nil
	err := c.opt.DB.Read(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		p.Rows, err = c.directoryRows(tx, base(r))
		return err
	})
	if err != nil {
		return err
	}
	return pages.Write(w, r, status, "directories", p)
}

// directoryRows are the directories, and of each when it was heard of last. Its own
// note of that is a minute late, and lives longer than the log.
func (c *Console) directoryRows(tx *store.Tx, console string) (rows []directoryRow, err error) {
	list, err := tx.Directories()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	vendors := map[string]string{}
	for _, v := range c.opt.Vendors {
		vendors[v.Value] = v.Label
	}
	ids := make([]store.DirectoryID, len(list))
	for i, d := range list {
		ids[i] = d.ID
	}
	of := map[store.DirectoryID]Requests{}
	if c.opt.Requests != nil {
		if of, err = c.opt.Requests(tx, ids); err != nil {
			return nil, err
		}
	}
	for _, d := range list {
		row := directoryRow{Directory: d, Vendor: cmp.Or(vendors[d.Vendor], d.Vendor), URL: c.url(d.ID), Requests: of[d.ID]}
		row.Requests.Last = max(row.Requests.Last, d.LastSeenAt)
		row.Ago = ago(tx.Now(), row.Requests.Last)
		if c.opt.Requests != nil {
			row.Log = console + "/directories/" + string(d.ID) + "/log"
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// ago is how long before now something was, in words; empty after a day or more,
// where the date says it better.
func ago(now, then store.Time) web.Said {
	d := now.Time().Sub(then.Time())
	switch {
	case d < time.Minute:
		return web.Say("less than a minute ago")
	case d < time.Hour:
		return web.SayN(int(d.Minutes()), "1 minute ago", "%d minutes ago")
	case d < 24*time.Hour:
		return web.SayN(int(d.Hours()), "1 hour ago", "%d hours ago")
	}
	return web.Said{}
}

func (c *Console) url(id store.DirectoryID) string {
	if c.opt.DirectoryURL == nil {
		return ""
	}
	return c.opt.DirectoryURL(id)
}

func (c *Console) createDirectory(w http.ResponseWriter, r *http.Request) error {
	if c.opt.CreateDirectory == nil {
		return fault.NotFound.Say("Directories cannot be made here.")
	}
	f, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	var d store.Directory
	var token string
	err = c.opt.DB.Write(r.Context(), web.Actor(r), func(tx *store.Tx) (err error) {
		if err := checkText("name", f.Get("name")); err != nil {
			return err
		}
		d, token, err = c.opt.CreateDirectory(tx, f.Get("name"), f.Get("vendor"), f.Get("mode"))
		return err
	})
	if f.Take(err) {
		return c.showDirectories(w, r, web.Status(err), directoriesPage{Form: f})
	}
	if err != nil {
		return err
	}
	// Not a redirect: the token is in no place from which a next page could show it.
	return c.showDirectories(w, r, http.StatusOK, directoriesPage{New: &d, NewURL: c.url(d.ID), Token: token})
}
