package secret_test

import (
	"bytes"
	"testing"

	"github.com/muster-id/muster/internal/secret"
)

func TestSealedValuesOpenOnlyWhereTheyWereSealed(t *testing.T) {
	key := secret.NewKey()
	sealed, err := key.Seal("connection/1", []byte("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("s3cret")) {
		t.Fatal("the plain text is in the sealed value")
	}
	got, err := key.Open("connection/1", sealed)
	if err != nil || string(got) != "s3cret" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	damaged := bytes.Clone(sealed)
	damaged[len(damaged)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another place": func() ([]byte, error) { return key.Open("connection/2", sealed) },
		"another key":   func() ([]byte, error) { return secret.NewKey().Open("connection/1", sealed) },
		"damaged":       func() ([]byte, error) { return key.Open("connection/1", damaged) },
		"cut short":     func() ([]byte, error) { return key.Open("connection/1", sealed[:5]) },
	} {
		if got, err := open(); err == nil {
			t.Errorf("%s: opened as %q", name, got)
		}
	}
}

func TestKeysReadBack(t *testing.T) {
	key := secret.NewKey()
	got, err := secret.ParseKey(" " + key.String() + "\n")
	if err != nil || !bytes.Equal(got, key) {
		t.Fatalf("ParseKey = %x, %v; want %x", got, err, key)
	}
	for _, bad := range []string{"", "abc", key.String()[:62]} {
		if _, err := secret.ParseKey(bad); err == nil {
			t.Errorf("ParseKey(%q) took a key that is not 32 bytes", bad)
		}
	}
}

func TestTokensDiffer(t *testing.T) {
	a, b := secret.NewToken(), secret.NewToken()
	if a == b || len(a) != 43 || secret.Hash(a) == secret.Hash(b) || len(secret.Hash(a)) != 64 {
		t.Fatalf("tokens %q and %q", a, b)
	}
}

func TestDerivedKeysAreApart(t *testing.T) {
	key := secret.NewKey()
	a, b := key.Derive("a"), key.Derive("b")
	if !bytes.Equal(a, key.Derive("a")) || bytes.Equal(a, b) || bytes.Equal(a, key) || bytes.Equal(a, secret.NewKey().Derive("a")) {
		t.Fatalf("derived %x for a and %x for b", a, b)
	}
	sealed, err := a.Seal("x", []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open("x", sealed); err == nil {
		t.Error("the key for b opens what the key for a has sealed")
	}
}

func TestTokensAreNoFlags(t *testing.T) {
	t.Parallel()
	for range 2000 { // one of 64 would be
		if text := secret.NewToken(); text[0] == '-' || len(text) != 43 {
			t.Fatalf("a token is %q", text)
		}
	}
}
