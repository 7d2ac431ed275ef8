package scim

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/store"
	"github.com/muster-id/muster/store/storetest"
)

// Both conditions hold for every method, in as many lines as there are
// (RFC 9110 §13.1, §5.3).
func TestConditions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		d := openDoor(t, db, NewDirectory{})
		jane := d.user("jane")
		group := d.must(201, "POST", "/Groups", groupBody("Staff")).str("id")
		for _, c := range []struct{ method, path, body string }{
			{"PATCH", "/Users/" + jane, patchBody(`{"op":"replace","path":"title","value":"x"}`)},
			{"PATCH", "/Users/" + jane, patchBody(`{"op":"replace","path":"active","value":false}`)},
			{"PUT", "/Users/" + jane, userBody("other")},
			{"DELETE", "/Users/" + jane, ""},
			{"PATCH", "/Groups/" + group, patchBody(`{"op":"add","path":"members","value":[{"value":"` + jane + `"}]}`)},
			{"PATCH", "/Groups/" + group, patchBody(`{"op":"replace","path":"displayName","value":"x"}`)},
			{"PUT", "/Groups/" + group, groupBody("Other")},
			{"DELETE", "/Groups/" + group, ""},
		} {
			before := d.must(200, "GET", c.path, "")
			for _, none := range []string{"*", before.header.Get("ETag"), `"x", ` + before.header.Get("ETag")} {
				d.refused(412, "", "If-None-Match", c.method, c.path, c.body, "If-None-Match: "+none)
			}
			if after := d.must(200, "GET", c.path, ""); after.raw != before.raw {
				t.Errorf("%s %s was refused and done: %s, was %s", c.method, c.path, after.raw, before.raw)
			}
		}
		for _, path := range []string{"/Users/" + jane, "/Groups/" + group} {
			tag := d.must(200, "GET", path, "").header.Get("ETag")
			d.refused(412, "", "has changed", "GET", path, "", `If-Match: "x"`)
			d.refused(412, "", "has changed", "GET", path, "", `If-Match: "x"`, "If-None-Match: "+tag)
			d.must(304, "GET", path, "", "If-Match: "+tag, "If-None-Match: "+tag)
		}
		d.must(200, "PUT", "/Users/"+jane, userBody("jane"), `If-None-Match: "x"`)

		r := httptest.NewRequest("PUT", BaseURL(testURL, d.directory.ID)+"/Users/"+jane, strings.NewReader(userBody("jane", `"title":"Two"`)))
		r.Header = http.Header{"Authorization": {"Bearer " + d.token}, "If-Match": {`"x"`, d.must(200, "GET", "/Users/"+jane, "").header.Get("ETag")}}
		if got := d.serve(r); got.code != 200 || got.str("title") != "Two" {
			t.Errorf("If-Match in two lines: %d %s", got.code, got.raw)
		}
	})
}

// Which of two tokens counts could be seen otherwise by who is in front of us.
func TestTwoTokens(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	r := httptest.NewRequest("GET", BaseURL(testURL, d.directory.ID)+"/Users", nil)
	r.Header["Authorization"] = []string{"Bearer " + d.token, "Bearer " + d.token}
	if got := d.serve(r); got.code != 400 || !strings.Contains(got.str("detail"), "more than once") {
		t.Errorf("two tokens: %d %s", got.code, got.raw)
	}
}

// A token that was looked at is named as what is wrong (RFC 6750 §3.1).
func TestChallenge(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	for header, want := range map[string]string{"": `Bearer realm="scim"`, "Basic YTpi": `Bearer realm="scim"`, "Bearer wrong": `Bearer realm="scim", error="invalid_token"`} {
		if got := d.must(401, "GET", "/Users", "", "Authorization: "+header).header.Get("WWW-Authenticate"); got != want {
			t.Errorf("%q is answered with %s, want %s", header, got, want)
		}
	}
}

// A base URL with a slash at its end gives paths with two.
func TestSlashes(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	id := d.user("jane")
	for _, path := range []string{"//Users/" + id, "//Users//" + id + "//", "///Users?filter=userName+eq+%22jane%22"} {
		if got := d.must(200, "GET", path, ""); !strings.Contains(got.raw, `"jane"`) {
			t.Errorf("GET %s: %s", path, got.raw)
		}
	}
	d.must(201, "POST", "//Users", userBody("joe"))
	d.refused(404, "", "EU//Sales", "GET", "//Entitlements/EU%2F%2FSales", "") // those are no slashes of the path
}

// A client that reads nothing before it has sent all gets the answer to what is
// refused before it is read.
func TestRefusalsOfLargeBodiesArrive(t *testing.T) {
	t.Parallel()
	d := openDoor(t, storetest.SQLite(t), NewDirectory{})
	server := httptest.NewServer(d.mux)
	t.Cleanup(server.Close)
	d.must(200, "GET", "/Users", "") // the token is known from now on
	for _, c := range []struct {
		name, token, path string
		size, want        int
	}{
		{"too large", d.token, "/Users", 40 << 20, 413},
		{"no such group", d.token, "/Groups/00000000000070008000000000000bad/x", 40 << 20, 404},
		{"wrong token", "wrong", "/Groups", 12 << 20, 401},
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		fmt.Fprintf(conn, "POST /scim/v2/%s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/scim+json\r\nContent-Length: %d\r\n\r\n", d.directory.ID, c.path, c.token, c.size)
		if _, err := conn.Write(make([]byte, c.size)); err != nil {
			t.Errorf("%s: the connection ended before the body did: %v", c.name, err)
		} else if got, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || got.StatusCode != c.want {
			t.Errorf("%s: %v %v, want %d", c.name, got, err, c.want)
		}
		conn.Close()
	}
}
