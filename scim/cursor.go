package scim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store"
)

// Paging by cursor (RFC 9865). A cursor is the place of the last resource of a
// page, so the next page is found by an index, however deep, and whatever was
// created or deleted meanwhile: who stays is met once. It is kept nowhere. The
// place is sealed with a key of the directory, for this one query and page size,
// until it expires; so it tells nothing (a place may be a name), it cannot be
// made up, and in another directory or query it is invalid.

// cursorTimeout is how long the client may take for a page.
const cursorTimeout = time.Hour

// maxCursor is more than the longest key needs.
const maxCursor = 8 << 10

// cursor is the walk that one page belongs to. A nil cursor pages by index.
type cursor struct {
	key   secret.Key
	query string // what the cursor is good for
	from  position
	last  position // of the last resource of this page
	taken int
	limit int
	more  bool
}

// position is a place in a list of several resource types.
type position struct {
	Part  int `json:",omitempty"`
	Until int64
	store.Place
}

// newCursor reads the parameters cursor and count. It is nil when the client does
// not ask for a cursor; an empty one asks for the first page.
func (h *handler) newCursor(d dirctx, params map[string]string, kinds []*Compiled) (*cursor, error) {
	text, ok := params["cursor"]
	if !ok {
		return nil, nil
	}
	if params["startindex"] != "" {
		return nil, invalidValue("startIndex and cursor exclude each other: send one of them.")
	}
	count, err := number(params, "count", defaultCount)
	if err != nil || count < 1 || count > maxCount {
		return nil, refuse("invalidCount", "count is %s: with a cursor it is a number from 1 to %d.", show(params["count"]), maxCount)
	}
	c := &cursor{key: h.opt.Key.Derive("scim cursor " + string(d.directory.ID)), limit: count}
	for _, k := range kinds {
		c.query += k.Name + " "
	}
	c.query += fmt.Sprintf("%d %q %q %q", count, params["filter"], strings.ToLower(params["sortby"]), strings.ToLower(params["sortorder"]))
	if text == "" {
		return c, nil
	}
	if c.from, ok = c.open(text); !ok {
		return nil, refuse("invalidCursor", "This is not a cursor of this query. Send the nextCursor of the page before with the same filter, sortBy, sortOrder and count, or begin again with an empty cursor.")
	}
	if c.from.Until <= h.db.Now().Unix() {
		return nil, refuse("expiredCursor", "The cursor has expired: it is good for %d seconds. Begin again with an empty cursor.", int(cursorTimeout.Seconds()))
	}
	return c, nil
}

func (c *cursor) open(text string) (p position, ok bool) {
	if len(text) > maxCursor {
		return p, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return p, false
	}
	plain, err := c.key.Open(c.query, sealed)
	return p, err == nil && json.Unmarshal(plain, &p) == nil
}

// next is the nextCursor of the page.
func (c *cursor) next(now time.Time) (string, error) {
	p := c.last
	p.Until = now.Add(cursorTimeout).Unix()
	plain, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	sealed, err := c.key.Seal(c.query, plain)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// first tells that the page is the first one.
func (c *cursor) first() bool { return c.from.ID == "" }

// narrow makes the query for one resource type begin behind the cursor and read
// one resource more than the page has, which tells whether there is a next page.
func (c *cursor) narrow(q store.Query, part int) store.Query {
	if c == nil {
		return q
	}
	q.Limit = c.limit - c.taken + 1
	if part < c.from.Part || c.more {
		q.Limit = 0
	}
	if part == c.from.Part {
		q.After = c.from.Place
	}
	return q
}

// take tells whether a resource belongs to the page.
func (c *cursor) take(part int, at store.Place) bool {
	switch {
	case c == nil:
		return true
	case c.taken == c.limit:
		c.more = true
		return false
	}
	c.taken++
	c.last = position{Part: part, Place: at}
	return true
}
