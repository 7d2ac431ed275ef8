// Package secret makes random tokens, hashes them for storage, and seals what
// must be read back (private keys, client secrets) with the server key.
//
// Tokens have 256 random bits, so a plain SHA-256 is enough to store them and
// cheap enough for every request; passwords are another matter (package password).
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// NewToken is 43 URL-safe characters of 256 random bits. It does not begin with a
// hyphen, so that a command line never takes it for a flag.
func NewToken() string {
	for {
		var b [32]byte
		rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
		if text := base64.RawURLEncoding.EncodeToString(b[:]); text[0] != '-' {
			return text
		}
	}
}

// NewReference is what a person reads out so that somebody finds what happened: 50
// random bits in letters and digits that are hard to confuse.
func NewReference() string {
	s := rand.Text()
	return s[:5] + "-" + s[5:10]
}

// RecoveryCodes is how many recovery codes somebody gets at a time.
const RecoveryCodes = 10

// NewRecoveryCodes are codes that people write down and type once: 80 random bits in
// sixteen letters and digits.
func NewRecoveryCodes() []string {
	list := make([]string, RecoveryCodes)
	for i := range list {
		text := rand.Text()
		list[i] = text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:16]
	}
	return list
}

// RecoveryHash is what is stored of a recovery code: plain SHA-256, as 80 random bits
// need no slow hash. owner in it makes one guess good for one account only. Case, blanks
// and hyphens do not matter, and the digits that base32 lacks are read as the letters
// that they look like.
func RecoveryHash(owner, code string) string {
	code = strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B").Replace(strings.ToUpper(code))
	return Hash(owner + code)
}

// Hash is what is stored of a token: SHA-256 as 64 lower-case hex digits.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Key is the server key, 32 bytes. It seals stored secrets.
type Key []byte

// NewKey makes a random server key.
func NewKey() Key {
	k := make(Key, 32)
	rand.Read(k)
	return k
}

// ParseKey reads a key from its text form: 64 hex digits or base64 of 32 bytes.
func ParseKey(s string) (Key, error) {
	s = strings.TrimSpace(s)
	if b, err := hex.DecodeString(s); err == nil && len(b) == 32 {
		return b, nil
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(s); err == nil && len(b) == 32 {
			return b, nil
		}
	}
	return nil, errors.New("want 32 bytes as 64 hex digits or base64")
}

// String is the text form that ParseKey reads.
func (k Key) String() string { return hex.EncodeToString(k) }

// Derive is a key for one purpose; nothing can be learnt from it about k or about
// the key for another purpose.
func (k Key) Derive(purpose string) Key {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// Seal encrypts with AES-256-GCM under a random nonce. what names the place the
// value is stored in ("connection/ID/client-secret"); Open needs the same name,
// so a sealed value copied to another row does not open there.
func (k Key) Seal(what string, plain []byte) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(what)), nil
}

// Open reverses Seal.
func (k Key) Open(what string, sealed []byte) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, fmt.Errorf("open %s: too short to be sealed", what)
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(what))
	if err != nil {
		return nil, fmt.Errorf("open %s: another server key, another place, or damaged", what)
	}
	return plain, nil
}

func (k Key) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("server key: %w", err)
	}
	return cipher.NewGCM(block)
}
