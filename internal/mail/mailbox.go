package mail

import (
	"embed"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

//go:embed templates/mailbox.html templates/message.html
var mailboxFiles embed.FS

var pages = web.MustPages(mailboxFiles, "templates/m*.html")

// Mount adds the built-in mailbox, but only where nobody else can reach it: no
// SMTP server is set, and the listener is on loopback.
func (o *Outbox) Mount(m *web.Mux) {
	if !o.Kept() || !o.opts.Loopback {
		return
	}
	m.Public("GET /dev/mailbox", o.local(o.showList))
	m.Public("GET /dev/mailbox/{id}", o.local(o.showOne))
	m.Public("GET /dev/mailbox/{id}/html", o.local(o.showHTML))
}

// local lets only this machine in, also when a proxy stands before us, and only by
// a loopback name: else a web page could point its own name at 127.0.0.1 and read.
func (o *Outbox) local(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if host != "localhost" && (err != nil || !ip.IsLoopback()) || !web.ClientIP(r).IsLoopback() || r.Header.Get("X-Forwarded-For") != "" {
			return fault.NotFound.Say("The mailbox can be opened on the machine itself only, at a loopback address.")
		}
		return h(w, r)
	}
}

// entry is a message as the pages and the JSON show it.
type entry struct {
	ID        ID         `json:"id"`
	To        string     `json:"to"`
	Subject   string     `json:"subject"`
	Text      string     `json:"text"`
	HTML      string     `json:"html"`
	Links     []string   `json:"links"`
	CreatedAt store.Time `json:"-"`
	Created   string     `json:"created_at"`
}

var link = regexp.MustCompile(`https?://[^\s<>"]+`)

func (r mailRow) entry() entry {
	links := []string{}
	for _, l := range link.FindAllString(r.Text, -1) {
		links = append(links, strings.TrimRight(l, ".,;:)"))
	}
	return entry{ID: r.ID, To: r.To, Subject: r.Subject, Text: r.Text, HTML: r.HTML, Links: links, CreatedAt: r.CreatedAt, Created: r.CreatedAt.RFC3339()}
}

func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

func (o *Outbox) showList(w http.ResponseWriter, r *http.Request) error {
	rows, err := o.kept(r.Context())
	if err != nil {
		return err
	}
	list := make([]entry, len(rows))
	for i, row := range rows {
		list[i] = row.entry()
	}
	if wantsJSON(r) {
		return web.JSON(w, http.StatusOK, list)
	}
	return pages.Write(w, r, http.StatusOK, "mailbox", struct{ Messages []entry }{list})
}

func (o *Outbox) find(r *http.Request) (mailRow, error) {
	id, err := store.ParseID[Message](r.PathValue("id"))
	if err != nil {
		return mailRow{}, err
	}
	return o.keptOne(r.Context(), id)
}

func (o *Outbox) showOne(w http.ResponseWriter, r *http.Request) error {
	row, err := o.find(r)
	if err != nil {
		return err
	}
	if wantsJSON(r) {
		return web.JSON(w, http.StatusOK, row.entry())
	}
	web.Policy(w, "frame-src", "'self'")
	return pages.Write(w, r, http.StatusOK, "message", row.entry())
}

// showHTML is the frame inside the message page: its own world, without scripts.
func (o *Outbox) showHTML(w http.ResponseWriter, r *http.Request) error {
	row, err := o.find(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation")
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// A click on the button leaves the frame.
	_, err = io.WriteString(w, strings.Replace(row.HTML, "<head>", `<head><base target="_top">`, 1))
	return err
}
