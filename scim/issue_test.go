package scim

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

func (d *door) write(f func(tx *store.Tx) error) {
	d.t.Helper()
	if err := d.db.Write(context.Background(), d.admin, f); err != nil {
		d.t.Fatal(err)
	}
}

// newToken is another client of the same directory.
func (d *door) newToken(in NewToken) (*door, Token) {
	d.t.Helper()
	other, made := *d, Token{}
	d.write(func(tx *store.Tx) (err error) {
		other.token, made, err = CreateToken(tx, d.directory.ID, in)
		return err
	})
	return &other, made
}

func (d *door) tokens() (list []Token) {
	d.t.Helper()
	if err := d.db.Read(context.Background(), d.admin, func(tx *store.Tx) (err error) { list, err = Tokens(tx, d.directory.ID); return err }); err != nil {
		d.t.Fatal(err)
	}
	return list
}

// from asks from an address.
func (d *door) from(address string) reply {
	r := httptest.NewRequest("GET", BaseURL(testURL, d.directory.ID)+"/Users", nil)
	r.RemoteAddr = address
	r.Header.Set("Authorization", "Bearer "+d.token)
	return d.serve(r)
}

func TestSeveralTokens(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func(t *testing.T, db *store.DB, clock *storetest.Clock) {
		d := openDoor(t, db, NewDirectory{})
		clock.Pass(time.Second)
		second, made := d.newToken(NewToken{Name: " Okta production ", Expires: time.Hour})
		clock.Pass(time.Second)
		third, _ := d.newToken(NewToken{Name: "CI"})
		d.must(200, "GET", "/Users", "")
		if got := second.from("203.0.113.9:4711"); got.code != 200 {
			t.Fatalf("the second token: %d %s", got.code, got.raw)
		}
		list := d.tokens()
		if len(list) != 3 || list[0].Name != "CI" || list[0].LastUsedAt != 0 || list[1].ID != made.ID || list[1].Name != "Okta production" ||
			list[1].LastUsedIP != "203.0.113.9" || list[1].LastUsedAt != store.TimeOf(clock.Now()) || list[2].Name != "First token" {
			t.Fatalf("tokens: %+v", list)
		}
		for _, x := range list {
			if strings.Contains(d.token+second.token+third.token, x.ID) {
				t.Errorf("the id %s shows the token", x.ID)
			}
		}
		clock.Pass(time.Hour)
		second.refused(401, "", "expire", "GET", "/Users", "")
		third.must(200, "GET", "/Users", "")

		// Revoked is out from the next request on, also for a token that was just used.
		third.must(200, "GET", "/Users", "")
		d.write(func(tx *store.Tx) error { return RevokeToken(tx, d.directory.ID, list[0].ID) })
		third.refused(401, "", "revoked", "GET", "/Users", "")
		d.must(200, "GET", "/Users", "")
		acts := strings.Join(d.activities(string(d.directory.ID)), " ")
		if acts != "directory.token.revoke directory.token.create directory.token.create directory.create" {
			t.Errorf("activities: %s", acts)
		}
	})
}

func TestTokensFromCertainAddresses(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		held, made := d.newToken(NewToken{Name: "Office", Allow: "203.0.113.77/24, 198.51.100.7\n2001:db8::/32"})
		if made.Allow != "203.0.113.0/24,198.51.100.7/32,2001:db8::/32" {
			t.Errorf("the list is kept as %q", made.Allow)
		}
		for from, want := range map[string]int{
			"203.0.113.1:1": 200, "198.51.100.7:1": 200, "[2001:db8:1::1]:1": 200, "[::ffff:203.0.113.9]:1": 200,
			"198.51.100.8:1": 403, "192.0.2.1:1": 403, "[2001:db9::1]:1": 403, "unknown": 403,
		} {
			if got := held.from(from); got.code != want {
				t.Errorf("from %s: %d %s, want %d", from, got.code, got.raw, want)
			}
		}
		if got := d.from("192.0.2.1:1"); got.code != 200 {
			t.Errorf("the other token: %d", got.code)
		}
	})
}

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		other := d.another(NewDirectory{Name: "Other"})
		stranger, _ := storetest.Org(t, db, "globex")
		for field, in := range map[string]NewToken{
			"name": {}, "name ": {Name: "a\x00b"}, "name  ": {Name: strings.Repeat("x", 201)}, "expires": {Name: "x", Expires: -1},
			"expires ": {Name: "x", Expires: time.Second}, "expires  ": {Name: "x", Expires: maxLifetime + 1},
			"allow": {Name: "x", Allow: "everywhere"}, "allow ": {Name: "x", Allow: "::ffff:10.0.0.0/104"}, "allow  ": {Name: "x", Allow: strings.Repeat("10.0.0.1,", maxNetworks+1)},
		} {
			err := db.Write(context.Background(), d.admin, func(tx *store.Tx) error {
				_, _, err := CreateToken(tx, d.directory.ID, in)
				return err
			})
			if !fault.Is(err, fault.Invalid) || fault.Field(err) != strings.TrimSpace(field) {
				t.Errorf("CreateToken(%+v) = %v, want Invalid on %s", in, err, field)
			}
		}
		theirs := other.tokens()[0].ID
		for _, c := range []struct {
			who  access.Actor
			id   store.DirectoryID
			tok  string
			want fault.Kind
		}{
			{d.admin, d.directory.ID, theirs, fault.NotFound},
			{d.admin, d.directory.ID, "%", fault.NotFound},
			{d.admin, d.directory.ID, "", fault.NotFound},
			{access.Muster(string(stranger)), d.directory.ID, d.tokens()[0].ID, fault.NotFound},
			{access.Actor{Kind: access.Directory, Org: d.admin.Org, ID: string(d.directory.ID)}, d.directory.ID, d.tokens()[0].ID, fault.Denied},
		} {
			err := db.Write(context.Background(), c.who, func(tx *store.Tx) error { return RevokeToken(tx, c.id, c.tok) })
			if !fault.Is(err, c.want) {
				t.Errorf("RevokeToken(%s, %q) = %v, want %s", c.id, c.tok, err, c.want)
			}
		}
		for range maxTokens - 1 {
			d.newToken(NewToken{Name: "x"})
		}
		err := db.Write(context.Background(), d.admin, func(tx *store.Tx) error {
			_, _, err := CreateToken(tx, d.directory.ID, NewToken{Name: "x"})
			return err
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("one token more than there may be: %v", err)
		}
		d.must(200, "GET", "/Users", "")
		other.must(200, "GET", "/Users", "")
	})
}
