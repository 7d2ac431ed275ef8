package console

import (
	"net/http"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/web"
	"github.com/muster-id/muster/store"
)

// reasonWords say in the reader's language why a role or a membership is there.
type reasonWords struct {
	r           *http.Request
	directories map[store.DirectoryID]string
	connections map[string]string
}

func (c *Console) reasonWords(r *http.Request, tx *store.Tx) (w reasonWords, err error) {
	w.r, w.connections = r, map[string]string{}
	if w.directories, err = directoryNames(tx); err != nil {
		return w, err
	}
	if c.opt.ConnectionNames != nil {
		w.connections, err = c.opt.ConnectionNames(tx)
	}
	return w, err
}

// of is one reason as a part of a sentence; without since, when it began is not known.
func (w reasonWords) of(why store.Reason, by string, since store.Time) string {
	return w.dated(w.plain(why, by), since)
}

func (w reasonWords) dated(words string, since store.Time) string {
	if since == 0 {
		return words
	}
	return web.T(w.r, "%s, since %s", words, web.ReaderIn(w.r).Day(since.Time()))
}

func (w reasonWords) plain(why store.Reason, by string) string {
	switch why.Kind {
	case "default":
		if why.Ref == "" {
			return web.T(w.r, "the default, as no other role was given")
		}
		return web.T(w.r, "given as the default for %s", w.source(why.Ref))
	case store.FromDirectory:
		return web.T(w.r, "because %s sent %s", w.directory(why.Ref), why.Detail)
	case store.FromSignIn:
		return web.T(w.r, "by sign-in at %s, because of %s", w.connection(why.Ref), web.GivenFor(why.Detail))
	}
	switch by {
	case "":
		return web.T(w.r, "given by hand")
	case access.CommandLine:
		return web.T(w.r, "given on the command line")
	}
	return web.T(w.r, "given by %s", web.Who(by))
}

// put says that a directory keeps the members of its group.
func (w reasonWords) put(directory string) string { return web.T(w.r, "put in by %s", directory) }

func (w reasonWords) directory(id string) string {
	if n := w.directories[store.DirectoryID(id)]; n != "" {
		return n
	}
	return web.T(w.r, "a directory that is gone")
}

func (w reasonWords) connection(id string) string {
	if n := w.connections[id]; n != "" {
		return n
	}
	return web.T(w.r, "a connection that is gone")
}

// source is for whom a default holds: those of a directory or connection, or who came one way.
func (w reasonWords) source(ref string) string {
	if n := w.directories[store.DirectoryID(ref)]; n != "" {
		return n
	}
	if n := w.connections[ref]; n != "" {
		return n
	}
	switch store.Source(ref) {
	case store.FromInvite:
		return web.T(w.r, "who is invited")
	case store.FromCSV:
		return web.T(w.r, "who comes in a file")
	case store.FromJIT:
		return web.T(w.r, "who comes with a first sign-in")
	case store.FromSCIM:
		return web.T(w.r, "who comes from a directory")
	case store.FromAPI:
		return web.T(w.r, "who comes by the API")
	}
	return web.T(w.r, "everybody")
}
