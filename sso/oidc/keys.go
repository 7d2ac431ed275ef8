package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/fault"
)

// How often an issuer's keys are asked for. go-oidc's own key set never forgets
// a key and refetches on every token that does not verify, so anybody could make
// us hammer the issuer; this one is bounded both ways.
const (
	keysMinAge   = 5 * time.Minute
	keysMaxAge   = 24 * time.Hour
	keysRetry    = 30 * time.Second // at most one unplanned fetch in this time
	keysLast     = 24 * time.Hour   // how long the last good ones serve when the issuer does not answer
	keysMaxCount = 32
	keysMaxBytes = 256 << 10
	rsaMinBits   = 2048
	rsaMaxBits   = 8192
)

var errNoKey = errors.New("no key of the issuer verifies the token")

// keySet holds the public keys of one issuer. Safe for concurrent use; a fetch
// holds up only those who need it.
type keySet struct {
	url string
	ask Asker
	now func() time.Time

	fetching sync.Mutex // held during a fetch, so that one is enough

	mu      sync.Mutex // guards what follows
	keys    []jose.JSONWebKey
	tried   time.Time // the last fetch, successful or not
	expires time.Time // keys are good until then
}

func newKeySet(url string, ask Asker, now func() time.Time) *keySet {
	return &keySet{url: url, ask: ask, now: now}
}

// verify gives the payload of a token that a current key of the issuer signed. An
// unknown or failing key leads to one fetch in keysRetry. Faults: Unavailable (no
// keys); anything else: it is not signed by them.
func (k *keySet) verify(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	keys, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	if payload, ok := verifyWith(jws, keys); ok {
		return payload, nil
	}
	if keys, err = k.again(ctx); err != nil {
		return nil, err
	}
	if payload, ok := verifyWith(jws, keys); ok {
		return payload, nil
	}
	return nil, errNoKey
}

// verifyWith tries the keys that the token's header allows. The header chooses
// among our keys and never brings one: jwk, jku and x5u are not looked at. A token
// without a key id is tried against all of them: single-key issuers leave it out.
func verifyWith(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	head := jws.Signatures[0].Header
	for i := range keys {
		if head.KeyID != "" && keys[i].KeyID != head.KeyID {
			continue
		}
		if keys[i].Algorithm != "" && keys[i].Algorithm != head.Algorithm {
			continue
		}
		if payload, err := jws.Verify(keys[i].Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// state is what is known without a request.
func (k *keySet) state() (keys []jose.JSONWebKey, fresh, recent bool) {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	recent = !k.tried.IsZero() && now.Sub(k.tried) < keysRetry
	if now.Sub(k.expires) > keysLast {
		return nil, false, recent
	}
	return k.keys, now.Before(k.expires), recent
}

func (k *keySet) current(ctx context.Context) ([]jose.JSONWebKey, error) {
	keys, fresh, _ := k.state()
	if len(keys) > 0 && fresh {
		return keys, nil
	}
	if len(keys) == 0 {
		k.fetching.Lock()
	} else if !k.fetching.TryLock() {
		return keys, nil // somebody is asking; the last good ones serve meanwhile
	}
	defer k.fetching.Unlock()
	if keys, fresh, _ := k.state(); len(keys) > 0 && fresh {
		return keys, nil
	}
	return k.fetch(ctx)
}

func (k *keySet) again(ctx context.Context) ([]jose.JSONWebKey, error) {
	k.fetching.Lock()
	defer k.fetching.Unlock()
	return k.fetch(ctx)
}

// fetch asks the issuer, unless that was tried a moment ago; k.fetching is held.
// When the issuer does not answer, the last good keys stay in use for a while.
func (k *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	keys, _, recent := k.state()
	if recent {
		if len(keys) == 0 {
			return nil, fault.Unavailable.Say("The key set at %s was asked for less than %s ago without success.", hostOf(k.url), keysRetry)
		}
		return keys, nil
	}
	// The fetch serves everybody who waits, so one browser that goes away must not end it.
	found, age, err := fetchKeys(context.WithoutCancel(ctx), k.ask, k.url)
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried = now
	if err == nil {
		k.keys, k.expires = found, now.Add(age)
		return found, nil
	}
	if len(keys) > 0 {
		return keys, nil
	}
	return nil, err
}

func fetchKeys(ctx context.Context, ask Asker, url string) ([]jose.JSONWebKey, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, fault.Unavailable.Wrap(err, "The address of the key set is not a URL.")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	reply, err := ask(req, fault.Word("key set"))
	if err != nil {
		return nil, 0, err
	}
	if reply.Status != http.StatusOK || len(reply.Body) > keysMaxBytes {
		return nil, 0, fault.Unavailable.Say("The key set at %s answered with status %d and %d bytes.", hostOf(url), reply.Status, len(reply.Body))
	}
	keys, err := parseKeys(reply.Body)
	if err != nil {
		return nil, 0, fault.Unavailable.Wrap(err, "The key set at %s cannot be used.", hostOf(url))
	}
	return keys, keysLifetime(reply.Header.Get("Cache-Control")), nil
}

func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// A key of a kind that we do not know must not hide the others.
		if err := key.UnmarshalJSON(raw); err != nil || !signs(key, raw) {
			continue
		}
		if keys = append(keys, key); len(keys) == keysMaxCount {
			break
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no usable signing key")
	}
	return keys, nil
}

// signs tells whether a key may have signed a token: public, of a sane size, and
// not set aside for something else (RFC 7517 §4.2, §4.3).
func signs(key jose.JSONWebKey, raw json.RawMessage) bool {
	if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
		return false
	}
	if r, ok := key.Key.(*rsa.PublicKey); ok && (r.N.BitLen() < rsaMinBits || r.N.BitLen() > rsaMaxBits || r.E < 3) {
		return false
	}
	var also struct {
		Ops []string `json:"key_ops"`
	}
	return json.Unmarshal(raw, &also) == nil && (len(also.Ops) == 0 || slices.Contains(also.Ops, "verify"))
}

// keysLifetime reads max-age, held between keysMinAge and keysMaxAge.
func keysLifetime(cacheControl string) time.Duration {
	for part := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		if n, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil {
			return min(max(time.Duration(min(n, 1<<20))*time.Second, keysMinAge), keysMaxAge)
		}
	}
	return time.Hour
}
