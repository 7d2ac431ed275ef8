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
	"slices"
	"strings"
	"unicode"
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

// Key is the server key: 32 bytes that seal stored secrets, and the keys from before, which
// only open what they have sealed.
type Key struct {
	sealing []byte
	older   [][]byte
}

// NewKey makes a random server key.
func NewKey() Key {
	k := make([]byte, 32)
	rand.Read(k)
	return Key{sealing: k}
}

// IsZero tells that there is none.
func (k Key) IsZero() bool { return k.sealing == nil }

// Over is k with keys that it opens with, too.
func (k Key) Over(older ...Key) Key {
	k.older = slices.Clone(k.older)
	for _, o := range older {
		k.older = append(k.older, o.sealing)
	}
	return k
}

// Prints name the keys, the one that seals first, and give nothing of them away.
func (k Key) Prints() []string {
	var list []string
	for _, key := range k.all() {
		list = append(list, hex.EncodeToString(derive(key, "fingerprint")[:8]))
	}
	return list
}

func (k Key) all() [][]byte { return append([][]byte{k.sealing}, k.older...) }

// ParseKey reads a key from its text form: 64 hex digits or base64 of 32 bytes.
func ParseKey(s string) (Key, error) {
	s = strings.TrimSpace(s)
	if b, err := hex.DecodeString(s); err == nil && len(b) == 32 {
		return Key{sealing: b}, nil
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := enc.DecodeString(s); err == nil && len(b) == 32 {
			return Key{sealing: b}, nil
		}
	}
	return Key{}, errors.New("want 32 bytes as 64 hex digits or base64")
}

// ParseKeys reads several, separated by commas or white space.
func ParseKeys(s string) (list []Key, err error) {
	for _, text := range strings.FieldsFunc(s, func(c rune) bool { return c == ',' || unicode.IsSpace(c) }) {
		k, err := ParseKey(text)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

// String is the text form of the key that seals, which ParseKey reads.
func (k Key) String() string { return hex.EncodeToString(k.sealing) }

// Derive is a key for one purpose, of each of the keys; nothing can be learnt from it about k
// or about the key for another purpose.
func (k Key) Derive(purpose string) Key {
	d := Key{sealing: derive(k.sealing, purpose)}
	for _, o := range k.older {
		d.older = append(d.older, derive(o, purpose))
	}
	return d
}

func derive(key []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// Seal encrypts with AES-256-GCM under a random nonce. what names the place the
// value is stored in ("connection/ID/client-secret"); Open needs the same name,
// so a sealed value copied to another row does not open there.
func (k Key) Seal(what string, plain []byte) ([]byte, error) {
	aead, err := aeadOf(k.sealing)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, []byte(what)), nil
}

// Open reverses Seal, also of the keys from before.
func (k Key) Open(what string, sealed []byte) ([]byte, error) {
	plain, _, err := k.open(what, sealed)
	return plain, err
}

// Reseal seals with the newest key what an older one has sealed; nil: it is so already.
func (k Key) Reseal(what string, sealed []byte) ([]byte, error) {
	plain, by, err := k.open(what, sealed)
	if err != nil || by == 0 {
		return nil, err
	}
	return k.Seal(what, plain)
}

// open tells which of the keys it was, too: 0 is the newest.
func (k Key) open(what string, sealed []byte) (plain []byte, by int, err error) {
	for i, key := range k.all() {
		aead, err := aeadOf(key)
		if err != nil {
			return nil, i, err
		}
		if len(sealed) < aead.NonceSize() {
			return nil, i, fmt.Errorf("open %s: too short to be sealed", what)
		}
		if plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], []byte(what)); err == nil {
			return plain, i, nil
		}
	}
	return nil, 0, fmt.Errorf("open %s: another server key, another place, or damaged", what)
}

func aeadOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("server key: %w", err)
	}
	return cipher.NewGCM(block)
}
