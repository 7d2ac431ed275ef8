package oidc

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/ssotest"
)

// A group list is complete or it is not known: from wherever it comes, whatever it
// is called, and however a vendor says that it is cut.
func TestWhereGroupsComeFrom(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	names := func(n int) []string { return slices.Repeat([]string{"g"}, n) }
	for name, c := range map[string]struct {
		vendor, claim string
		id, info      m
		want          []string
		known         bool
	}{
		"a claim of another name":               {"auth0", "https://acme.example/roles", m{"https://acme.example/roles": []string{"a"}, "groups": []string{"x"}}, nil, []string{"a"}, true},
		"a path":                                {"keycloak", "realm_access.roles", m{"realm_access": m{"roles": []string{"a", "b"}}}, nil, []string{"a", "b"}, true},
		"a longer path":                         {"keycloak", "resource_access.my.client.roles", m{"resource_access": m{"my.client": m{"roles": []string{"a"}}}}, nil, []string{"a"}, true},
		"a path to nowhere":                     {"keycloak", "realm_access.groups", m{"realm_access": m{"roles": []string{"a"}}}, nil, nil, false},
		"a path through a list":                 {"keycloak", "realm_access.roles", m{"realm_access": []string{"roles"}}, nil, nil, false},
		"from userinfo":                         {"custom", "", m{}, m{"groups": []string{"a"}}, []string{"a"}, true},
		"the ID token comes first":              {"custom", "", m{"groups": []string{"a"}}, m{"groups": []string{"b"}}, []string{"a"}, true},
		"null":                                  {"custom", "", m{"groups": nil}, nil, nil, false},
		"an empty text":                         {"custom", "", m{"groups": ""}, nil, nil, true},
		"objects instead of names":              {"custom", "", m{"groups": []m{{"name": "a"}}}, nil, []string{}, false},
		"names and numbers":                     {"custom", "", m{"groups": []any{"a", 1}}, nil, []string{"a"}, false},
		"a null among names":                    {"custom", "", m{"groups": []any{"a", nil}}, nil, []string{"a"}, false},
		"an object":                             {"custom", "", m{"groups": m{"a": true}}, nil, nil, false},
		"99 at Okta":                            {"okta", "", m{"groups": names(99)}, nil, names(99), true},
		"100 at Okta":                           {"okta", "", m{"groups": names(100)}, nil, names(100), false},
		"200 at Entra":                          {"entra", "", m{"groups": names(200)}, nil, names(200), true},
		"more than anybody has":                 {"custom", "", m{"groups": names(groupsMax + 1)}, nil, names(groupsMax), false},
		"distributed":                           {"entra", "", m{"_claim_names": m{"groups": "src1"}, "_claim_sources": m{"src1": m{"endpoint": "https://evil.example"}}}, nil, nil, false},
		"distributed, with a list in userinfo":  {"entra", "", m{"_claim_names": m{"groups": "src1"}}, m{"groups": []string{"a"}}, nil, false},
		"distributed under the name of a path":  {"custom", "realm_access.roles", m{"_claim_names": m{"realm_access": "src1"}, "realm_access": m{"roles": []string{"a"}}}, nil, nil, false},
		"something else is distributed":         {"custom", "", m{"_claim_names": m{"address": "src1"}, "groups": []string{"a"}}, nil, []string{"a"}, true},
		"_claim_names of another form":          {"custom", "", m{"_claim_names": "groups", "groups": []string{"a"}}, nil, nil, false},
		"hasgroups as text":                     {"entra", "", m{"hasgroups": "true", "groups": []string{"a"}}, nil, nil, false},
		"hasgroups denied":                      {"entra", "", m{"hasgroups": false, "groups": []string{"a"}}, nil, []string{"a"}, true},
		"an escape in a name does not hide one": {"custom", "", m{"groups": []string{"a\\b", "ä", "\u2028"}}, nil, []string{"a\\b", "ä", "\u2028"}, true},
	} {
		got := PersonOf(Party{Vendor: c.vendor, Issuer: "https://a", GroupsClaim: c.claim}, claimsOf(t, c.id), claimsOf(t, c.info))
		if !slices.Equal(got.Groups, c.want) || got.GroupsKnown != c.known {
			t.Errorf("%s: %d groups %.80q, known %v; want %d, %v", name, len(got.Groups), got.Groups, got.GroupsKnown, len(c.want), c.known)
		}
	}
}

func TestAttributesOfAPerson(t *testing.T) {
	t.Parallel()
	got := PersonOf(Party{Issuer: "https://a"}, claimsOf(t, map[string]any{"sub": "s", "n": 1.5, "yes": true, "none": nil, "list": []string{"a", "b"}, "realm_access": map[string]any{"roles": []string{"r"}},
		"a": map[string]any{"b": map[string]any{"c": "deep", "d": map[string]any{"e": "too deep"}}}, "session_expiry": testNow.Unix(), "auth_time": testNow.Unix(), "sid": "x"}), nil)
	for name, want := range map[string]string{"n": "1.5", "yes": "true", "list": "a b", "realm_access.roles": "r", "a.b.c": "deep", "a.b.d.e": "", "none": ""} {
		if have := strings.Join(got.Attributes[name], " "); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	if !got.SessionNotOnOrAfter.Equal(testNow) || !got.AuthnInstant.Equal(testNow) || got.SessionIndex != "x" {
		t.Errorf("%+v", got)
	}
	// What userinfo says of the person that decides never counts.
	entra := "https://login.microsoftonline.com/t1/v2.0"
	who := PersonOf(Party{Issuer: entra}, claimsOf(t, map[string]any{"oid": "o", "tid": "t1", "sub": "s", "iss": entra}), claimsOf(t, map[string]any{"oid": "boss", "tid": "t2", "sub": "s", "xms_edov": true}))
	if who.Subject != "o@t1" || who.EmailSaid != answer.Unsaid || !slices.Equal(who.Keys, []string{"o"}) {
		t.Errorf("%+v", who)
	}
}

func TestWorkspacesAndTenants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		party  Party
		claims map[string]any
		stop   string
	}{
		"the Workspace that was chosen":      {Party{Issuer: GoogleIssuer, HostedDomain: "acme.example", Domains: []string{"other.example"}}, map[string]any{"hd": "acme.example"}, ""},
		"another verified one":               {Party{Issuer: GoogleIssuer, HostedDomain: "acme.example", Domains: []string{"other.example"}}, map[string]any{"hd": "other.example"}, "hd"},
		"no domain at all":                   {Party{Issuer: GoogleIssuer}, map[string]any{"hd": "acme.example"}, "hd"},
		"hd is a list":                       {Party{Issuer: GoogleIssuer, HostedDomain: "acme.example"}, map[string]any{"hd": []string{"acme.example"}}, "hd"},
		"preset custom, Google all the same": {Party{Vendor: "custom", Issuer: GoogleIssuer, HostedDomain: "acme.example"}, nil, "hd"},
		"the tenant in capitals":             {Party{Issuer: "https://login.microsoftonline.com/0F4D/v2.0"}, map[string]any{"tid": "0f4d", "oid": "o"}, ""},
		"the government's cloud":             {Party{Issuer: "https://login.microsoftonline.us/0f4d/v2.0"}, map[string]any{"tid": "other", "oid": "o"}, "tid"},
		"the host in capitals":               {Party{Issuer: "https://LOGIN.microsoftonline.com/0f4d/v2.0"}, map[string]any{"tid": "other", "oid": "o"}, "tid"},
	} {
		trace := answer.Trace(vendorChecks(c.party, claimsOf(t, c.claims)))
		if failed, _ := trace.Failed(); failed.Name != c.stop {
			t.Errorf("%s: stopped by %q, want %q", name, failed.Name, c.stop)
		}
	}
	// Where the vendor always sends at_hash, a token without it is of another place.
	for vendor, stop := range map[string]string{"okta": "at_hash", "keycloak": "at_hash", "google": "at_hash", "custom": "", "entra": ""} {
		c := atHashCheck(Party{Vendor: vendor}, Expect{AccessToken: "a"}, token{alg: "RS256", Claims: Claims{}})
		if c.OK != (stop == "") {
			t.Errorf("%s without at_hash: OK %v", vendor, c.OK)
		}
	}
}

// What userinfo says is taken when it speaks of the same person, plain or signed.
func TestUserInfo(t *testing.T) {
	t.Parallel()
	o := newTarget(t)
	sign := func(change func(h, c map[string]any)) string {
		h, c := map[string]any{}, map[string]any{"sub": "ada", "iss": o.URL, "aud": "us", "email": "ada@acme.example"}
		change(h, c)
		opts := &jose.SignerOptions{}
		for name, v := range h {
			opts = opts.WithHeader(jose.HeaderKey(name), v)
		}
		return ssotest.SignWith(jose.RS256, jose.JSONWebKey{Key: o.rsa, KeyID: "r1"}, opts, c)
	}
	plain := func(_, _ map[string]any) {}
	signed := "application/jwt; charset=utf-8"
	for name, c := range map[string]struct {
		kind, body string
		status     int
		email      string
		stop       string
	}{
		"plain":                       {"application/json", `{"sub":"ada","email":"ada@acme.example"}`, 200, "ada@acme.example", ""},
		"of somebody else":            {"application/json", `{"sub":"boss"}`, 200, "", "userinfo sub"},
		"without sub":                 {"application/json", `{"email":"boss@acme.example"}`, 200, "", "userinfo sub"},
		"sub in capitals":             {"application/json", `{"SUB":"ada"}`, 200, "", "userinfo sub"},
		"sub twice":                   {"application/json", `{"sub":"ada","sub":"boss"}`, 200, "", ""},
		"not JSON":                    {"text/html", `<html>`, 200, "", ""},
		"an error":                    {"application/json", `{"error":"x"}`, 403, "", ""},
		"signed":                      {signed, sign(plain), 200, "ada@acme.example", ""},
		"signed, says nothing more":   {signed, sign(func(_, c map[string]any) { delete(c, "iss"); delete(c, "aud") }), 200, "ada@acme.example", ""},
		"signed, of somebody else":    {signed, sign(func(_, c map[string]any) { c["sub"] = "boss" }), 200, "", "userinfo sub"},
		"signed for another client":   {signed, sign(func(_, c map[string]any) { c["aud"] = "them" }), 200, "", "userinfo aud"},
		"signed by another issuer":    {signed, sign(func(_, c map[string]any) { c["iss"] = "https://evil.example" }), 200, "", "userinfo iss"},
		"a logout token":              {signed, sign(func(h, _ map[string]any) { h["typ"] = "logout+jwt" }), 200, "", "userinfo typ"},
		"an access token":             {signed, sign(func(h, _ map[string]any) { h["typ"] = "at+jwt" }), 200, "", "userinfo typ"},
		"unsigned":                    {signed, ssotest.Unsigned(map[string]any{"sub": "ada"}), 200, "", "userinfo algorithm"},
		"signed with a shared secret": {signed, ssotest.SignWith(jose.HS256, []byte("0123456789abcdef0123456789abcdef"), nil, map[string]any{"sub": "ada"}), 200, "", "userinfo algorithm"},
		"encrypted":                   {signed, "a.b.c.d.e", 200, "", "userinfo encryption"},
	} {
		keys := o.Issuer.keys
		i := &Issuer{URL: o.URL, Algorithms: o.Algorithms, userinfo: o.URL + "/me", keys: keys, ask: func(r *http.Request, _ fault.Word) (Reply, error) {
			if r.Header.Get("Authorization") != "Bearer access" {
				t.Errorf("%s: Authorization %q", name, r.Header.Get("Authorization"))
			}
			return Reply{Status: c.status, Header: http.Header{"Content-Type": {c.kind}}, Body: []byte(c.body)}, nil
		}}
		var trace answer.Trace
		info, err := i.UserInfo(t.Context(), Party{Issuer: o.URL, ClientID: "us"}, IDToken{Claims: claimsOf(t, map[string]any{"sub": "ada"})}, "access", &trace)
		if failed, _ := trace.Failed(); failed.Name != c.stop || (err != nil) != (c.stop != "") || info.Text("email") != c.email {
			t.Errorf("%s: %v, stopped by %q (%v), want %q", name, info, failed.Name, err, c.stop)
		}
	}
}

func TestWhenUserInfoIsAsked(t *testing.T) {
	t.Parallel()
	type m = map[string]any
	full := func(extra m) m {
		out := m{"email": "a@x", "name": "A"}
		for k, v := range extra {
			out[k] = v
		}
		return out
	}
	for name, c := range map[string]struct {
		claim  string
		claims m
		done   bool
	}{
		"nothing lacks":                {"", full(nil), true},
		"no address":                   {"", m{"name": "A"}, false},
		"no name":                      {"", m{"email": "a@x"}, false},
		"the chosen group claim lacks": {"roles", full(nil), false},
		"it is there":                  {"roles", full(m{"roles": []string{}}), true},
		"it is elsewhere, for good":    {"roles", full(m{"_claim_names": m{"roles": "x"}}), true},
	} {
		if got := complete(Party{GroupsClaim: c.claim}, claimsOf(t, c.claims)); got != c.done {
			t.Errorf("%s: complete %v", name, got)
		}
	}
}

// How the client proves itself, by what the provider takes.
func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	key, err := NewClientKey("k", "us", testNow)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		takes  []string
		client Client
		want   string
	}{
		"nothing said":                       {nil, Client{Secret: "s"}, AuthBasic},
		"both":                               {[]string{AuthPost, AuthBasic}, Client{Secret: "s"}, AuthBasic},
		"post only":                          {[]string{AuthPost}, Client{Secret: "s"}, AuthPost},
		"both, a secret that needs encoding": {[]string{AuthPost, AuthBasic}, Client{Secret: "a%b"}, AuthPost},
		"basic, a secret that needs it":      {[]string{AuthBasic}, Client{Secret: "a%b"}, AuthBasic},
		"chosen":                             {[]string{AuthBasic}, Client{Secret: "s", Auth: AuthPost}, AuthPost},
		"no secret":                          {[]string{AuthBasic}, Client{}, AuthNone},
		"a key":                              {[]string{AuthPrivateKey}, Client{Key: &key, Auth: AuthPrivateKey}, AuthPrivateKey},
		"a secret, but keys only":            {[]string{AuthPrivateKey}, Client{Secret: "s"}, ""},
		"a key that is not there":            {[]string{AuthPrivateKey}, Client{Auth: AuthPrivateKey}, ""},
	} {
		i := &Issuer{token: "https://idp.example/token", authMethods: c.takes}
		c.client.ID = "us"
		form, header := url.Values{}, http.Header{}
		got, err := i.authenticate(c.client, form, header, testNow)
		if err != nil {
			got = ""
		}
		if got != c.want || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		if got == AuthBasic && c.client.Secret == "a%b" && header.Get("Authorization") != "Basic dXM6YSUyNWI=" { // us:a%25b
			t.Errorf("%s: %s", name, header.Get("Authorization"))
		}
		if (got == AuthBasic) == form.Has("client_secret") && got != AuthNone && got != AuthPrivateKey && got != "" {
			t.Errorf("%s: the secret is in the body: %v", name, form)
		}
	}
	for algs, want := range map[string]jose.SignatureAlgorithm{"": jose.RS256, "RS256 PS256": jose.RS256, "PS256 ES256": jose.PS256, "ES256": jose.RS256} {
		i := &Issuer{token: "https://idp.example/token", authAlgorithms: strings.Fields(algs)}
		text, err := i.assertion(Client{ID: "us", Key: &key}, testNow)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{want})
		if err != nil {
			t.Errorf("%q: %v", algs, err)
			continue
		}
		payload, err := jws.Verify(key.Key.Public())
		c, _ := parseClaims(payload)
		if err != nil || c.Text("iss") != "us" || c.Text("sub") != "us" || c.Text("aud") != "https://idp.example/token" || c.Text("jti") == "" || c.At("exp").Sub(testNow) != time.Minute ||
			jws.Signatures[0].Header.ExtraHeaders["x5t#S256"] == nil {
			t.Errorf("%q: %s, %v", algs, payload, err)
		}
	}
}

// Every sentence says what to change where, and the special ones win.
func TestRemedies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ vendor, code, text, want string }{
		{"entra", "access_denied", "AADSTS50105: The signed in user is not assigned to a role.", "assign the person"},
		{"entra", "access_denied", "AADSTS501051: Application is not assigned to role.", "application role"},
		{"entra", "invalid_client", "AADSTS7000215: Invalid client secret provided.", "the secret's value, not its ID"},
		{"custom", "invalid_client", "AADSTS7000222: The provided client secret keys are expired.", "has expired"},
		{"entra", "invalid_client", "AADSTS99999: something new", "client secret"},
		{"okta", "access_denied", "User is not assigned to the client application.", "(Assignments)"},
		{"okta", "access_denied", "", "sign-in policy"},
		{"google", "access_denied", "", "Admin console"},
		{"keycloak", "unauthorized_client", "Invalid client or Invalid client credentials", "Client Authenticator"},
		{"custom", "invalid_grant", "redirect_uri mismatch", "redirect URL"},
		{"custom", "invalid_grant", "", "took too long"},
		{"auth0", "unauthorized_client", "Grant type 'authorization_code' not allowed for the client.", "Grant Types"},
		{"custom", "", "", "Check the client ID"},
		{"custom", "never_heard_of", "", "Check the client ID"},
	} {
		if got := Remedy(c.vendor, c.code, c.text); !strings.Contains(got, c.want) {
			t.Errorf("%s %s %q: %q, want %q", c.vendor, c.code, c.text, got, c.want)
		}
	}
	for _, r := range remedies {
		if !strings.HasSuffix(r.do, ".") || r.says == "" {
			t.Errorf("%+v is no sentence", r)
		}
	}
}

// Whatever comes as a token or as claims, nothing panics, and nobody is let in
// whom go-oidc or the checks would not let in.
func FuzzTokens(f *testing.F) {
	o := newTarget(f)
	good := ssotest.SignWith(jose.RS256, jose.JSONWebKey{Key: o.rsa, KeyID: "r1"}, nil, o.claims())
	for _, seed := range []string{good, "", "a.b.c", good[:len(good)-3], "..", "e30.e30.e30", `{"a":1,"a":2}`, `{"a":{"b":[{"c":"\u0061\"","c":1}]}}`, `{"realm_access":{"roles":["a",null]}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := Party{Issuer: o.URL, ClientID: "us", GroupsClaim: "realm_access.roles"}
		id, _, err := o.CheckIDToken(t.Context(), p, s, Expect{Nonce: "n", Now: testNow})
		if err == nil && id.Text("sub") != "ada" {
			t.Errorf("%q signed in as %q", s, id.Text("sub"))
		}
		o.CheckLogoutToken(t.Context(), p, s, testNow)
		if c, err := parseClaims([]byte(s)); err == nil {
			PersonOf(p, c, nil)
			idTokenChecks(p, Expect{Now: testNow}, token{Claims: c})
			logoutChecks(p, token{Claims: c}, testNow)
		}
	})
}
