package sso

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"sync"
)

// keyring keeps private keys that were opened once: opening and checking the two keys
// of a connection costs 0.4 ms of CPU, a third of a sign-in. A key is found by what is
// stored of it, which each sign-in reads anew, so one that was exchanged or taken back
// is not used again, on any server.
type keyring struct {
	mu   sync.Mutex // guards keys
	keys map[[sha256.Size]byte]*rsa.PrivateKey
}

// maxKeyring bounds the keys that are kept: those of 500 connections, 2 MiB.
const maxKeyring = 1000

// privateKey opens one of our own keys.
func (d *Door) privateKey(k keyRow, c ConnectionID) (*rsa.PrivateKey, error) {
	place := sha256.Sum256(append([]byte(k.sealedAs(c)+"\n"), k.Sealed...))
	if key := d.keys.get(place); key != nil {
		return key, nil
	}
	plain, err := d.opts.Key.Open(k.sealedAs(c), k.Sealed)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS1PrivateKey(plain)
	if err == nil {
		d.keys.put(place, key)
	}
	return key, err
}

func (r *keyring) get(place [sha256.Size]byte) *rsa.PrivateKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[place]
}

func (r *keyring) put(place [sha256.Size]byte, key *rsa.PrivateKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for old := range r.keys { // any one: it is opened again when it is needed
		if len(r.keys) < maxKeyring {
			break
		}
		delete(r.keys, old)
	}
	r.keys[place] = key
}
