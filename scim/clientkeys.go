package scim

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

// A client's keys may stand at an address of its own, so that it can change them
// without anybody here. They are read there when an assertion needs them, and kept.

const (
	keysFresh   = 10 * time.Minute // taken as they were read
	keysStale   = 24 * time.Hour   // taken still, while the address does not answer
	keysAgain   = 30 * time.Second // not asked for again, whatever comes
	keysTimeout = 10 * time.Second
)

// keyReader asks addresses for keys, each at most once in keysAgain: anybody can name
// a client.
type keyReader struct {
	mu   sync.Mutex // guards asks
	asks map[string]*keyAsk
}

// keyAsk is one question and, once done is closed, its answer.
type keyAsk struct {
	at   store.Time
	done chan struct{}
	keys string
	err  error
}

// verified tries the client's keys. Those of an address are read first when they are
// old, and again when none of them fits: the client may have a new one.
func (h *handler) verified(ctx context.Context, actor access.Actor, jws *jose.JSONWebSignature, c Client) error {
	known := verify(jws, c.JWKS)
	if c.JWKSURL == "" {
		return known
	}
	age := time.Duration(store.TimeOf(h.db.Now())-c.JWKSAt) * time.Microsecond
	if known == nil && age < keysFresh {
		return nil
	}
	keys, err := h.readKeys(ctx, actor, c)
	switch {
	case err == nil:
		return verify(jws, keys)
	case known == nil && age < keysStale:
		return nil
	}
	return err
}

// readKeys reads a client's keys at their address and keeps them. Of many requests at
// once one asks, and all get its answer.
func (h *handler) readKeys(ctx context.Context, actor access.Actor, c Client) (string, error) {
	now := store.TimeOf(h.db.Now())
	name := string(c.ID) + " " + c.JWKSURL
	h.keys.mu.Lock()
	ask := h.keys.asks[name]
	mine := ask == nil || now > ask.at.Add(keysAgain)
	if mine {
		ask = &keyAsk{at: now, done: make(chan struct{}), err: errors.New("the question for a client's keys did not end")}
		put(h.keys.asks, name, ask)
	}
	h.keys.mu.Unlock()
	if mine {
		defer close(ask.done) // also when it panics: others wait for it
		ask.keys, ask.err = h.askKeys(context.WithoutCancel(ctx), actor, c, now)
		return ask.keys, ask.err
	}
	select {
	case <-ask.done:
		return ask.keys, ask.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (h *handler) askKeys(ctx context.Context, actor access.Actor, c Client, now store.Time) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	if h.opt.Fetch == nil {
		return "", unknownClient("this server reads no keys at addresses")
	}
	text, err := h.opt.Fetch(ctx, fault.Word("JWK set"), c.JWKSURL)
	var keys string
	if err == nil {
		keys, err = publicKeys(text)
	}
	if err != nil {
		return "", unknownClient("the keys at %s cannot be used: %s", c.JWKSURL, cmp.Or(fault.Public(err), err.Error()))
	}
	return keys, h.db.Write(ctx, actor, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE directory_clients SET jwks = ?, jwks_at = ? WHERE org_id = ? AND client_id = ? AND jwks_url = ?`, keys, now, tx.Org(), c.ID, c.JWKSURL)
		return err
	})
}
