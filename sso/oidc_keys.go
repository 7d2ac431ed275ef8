package sso

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How often an issuer's keys are asked for. go-oidc's own key set never forgets
// a key and refetches on every token that does not verify, so anybody could make
// us hammer the issuer; this one is bounded both ways.
const (
	keysMinAge   = 5 * time.Minute
	keysMaxAge   = 24 * time.Hour
	keysRetry    = 30 * time.Second // at most one unplanned fetch in this time
	keysMaxCount = 64
)

var errNoKey = errors.New("no key of the issuer verifies the token")

// oidcKeys is the key set of one issuer. It implements oidc.KeySet.
type oidcKeys struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex // guards what follows; held during a fetch, so that one is enough
	keys    []jose.JSONWebKey
	tried   time.Time // the last fetch, successful or not
	expires time.Time // keys are good until then
}

// VerifySignature gives the payload of a token that a current key of the issuer
// signed. An unknown or failing key leads to one fetch in keysRetry.
func (k *oidcKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, oidcAlgorithms)
	if err != nil {
		return nil, err
	}
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

// verifyWith tries the keys that the token's header allows. A token without a
// key id is tried against all of them: single-key issuers leave it out.
func verifyWith(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	if len(jws.Signatures) != 1 {
		return nil, false
	}
	head := jws.Signatures[0].Header
	for i := range keys {
		if head.KeyID != "" && keys[i].KeyID != head.KeyID {
			continue
		}
		if keys[i].Algorithm != "" && keys[i].Algorithm != head.Algorithm {
			continue
		}
		if payload, err := jws.Verify(&keys[i]); err == nil {
			return payload, true
		}
	}
	return nil, false
}

func (k *oidcKeys) current(ctx context.Context) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if len(k.keys) > 0 && now.Before(k.expires) {
		return k.keys, nil
	}
	return k.refresh(ctx, now)
}

func (k *oidcKeys) again(ctx context.Context) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.refresh(ctx, k.now())
}

// refresh fetches unless that was tried a moment ago. When the issuer does not
// answer, the last good keys stay in use; k.mu is held.
func (k *oidcKeys) refresh(ctx context.Context, now time.Time) ([]jose.JSONWebKey, error) {
	if !k.tried.IsZero() && now.Sub(k.tried) < keysRetry {
		if len(k.keys) == 0 {
			return nil, fmt.Errorf("keys of %s: asked less than %s ago without success", k.url, keysRetry)
		}
		return k.keys, nil
	}
	k.tried = now
	// The fetch serves everybody who waits, so one browser that goes away must not end it.
	keys, age, err := fetchKeys(context.WithoutCancel(ctx), k.client, k.url)
	switch {
	case err == nil:
		k.keys, k.expires = keys, now.Add(age)
	case len(k.keys) == 0:
		return nil, err
	}
	return k.keys, nil
}

func fetchKeys(ctx context.Context, client *http.Client, url string) ([]jose.JSONWebKey, time.Duration, error) {
	body, header, err := fetch(ctx, client, "key set", url)
	if err != nil {
		return nil, 0, err
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, 0, fmt.Errorf("key set of %s is not JSON: %w", url, err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// A key of a kind that we do not know must not hide the others.
		if err := key.UnmarshalJSON(raw); err != nil || !key.Valid() || !key.IsPublic() || key.Use == "enc" {
			continue
		}
		if keys = append(keys, key); len(keys) == keysMaxCount {
			break
		}
	}
	if len(keys) == 0 {
		return nil, 0, fmt.Errorf("key set of %s has no usable signing key", url)
	}
	return keys, keysLifetime(header.Get("Cache-Control")), nil
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
