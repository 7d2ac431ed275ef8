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
	if err != nil || got.String() != key.String() {
		t.Fatalf("ParseKey = %s, %v; want %s", got, err, key)
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
	if a.String() != key.Derive("a").String() || a.String() == b.String() || a.String() == key.String() || a.String() == secret.NewKey().Derive("a").String() {
		t.Fatalf("derived %s for a and %s for b", a, b)
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

// What an older key has sealed opens, and is sealed anew; the new key alone opens it then.
func TestAnOlderKeyOpensAndIsReplaced(t *testing.T) {
	t.Parallel()
	old, fresh := secret.NewKey(), secret.NewKey()
	both := fresh.Over(old)
	sealed, err := old.Seal("place", []byte("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := both.Open("place", sealed); err != nil || string(got) != "s3cret" {
		t.Fatalf("opened with an older key: %q, %v", got, err)
	}
	if _, err := fresh.Open("place", sealed); err == nil {
		t.Error("the new key opens what the old one has sealed")
	}
	again, err := both.Reseal("place", sealed)
	if err != nil || again == nil {
		t.Fatalf("sealed anew: %x, %v", again, err)
	}
	if got, err := fresh.Open("place", again); err != nil || string(got) != "s3cret" {
		t.Errorf("opened with the new key alone: %q, %v", got, err)
	}
	if twice, err := both.Reseal("place", again); err != nil || twice != nil {
		t.Errorf("sealed a second time: %x, %v", twice, err)
	}
	if _, err := both.Reseal("elsewhere", sealed); err == nil {
		t.Error("a value is sealed anew for another place")
	}
	if got, err := both.Derive("x").Open("y", must(old.Derive("x").Seal("y", []byte("z")))); err != nil || string(got) != "z" {
		t.Errorf("a derived key: %q, %v", got, err)
	}
	if p := both.Prints(); len(p) != 2 || p[0] != fresh.Prints()[0] || p[1] != old.Prints()[0] || p[0] == p[1] {
		t.Errorf("prints: %q", p)
	}
	list, err := secret.ParseKeys(old.String() + ", " + fresh.String() + "\n")
	if err != nil || len(list) != 2 || list[0].String() != old.String() || list[1].String() != fresh.String() {
		t.Errorf("ParseKeys = %v, %v", list, err)
	}
	if _, err := secret.ParseKeys(old.String() + ",abc"); err == nil {
		t.Error("ParseKeys took a key that is none")
	}
}

func must(sealed []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return sealed
}
