package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-id/muster/internal/porttest"
	"github.com/muster-id/muster/internal/secret"
	"github.com/muster-id/muster/store/storetest"
)

// sealedDoctor is what the doctor says of sealed values.
func (p *program) sealedDoctor() (status, said string) {
	p.t.Helper()
	var doctor struct {
		Checks []finding `json:"checks"`
	}
	out := p.run("doctor", "--data", "--json")
	if err := json.Unmarshal([]byte(out.stdout), &doctor); err != nil {
		p.t.Fatalf("doctor: %v\n%s%s", err, out.stdout, out.stderr)
	}
	for _, c := range doctor.Checks {
		if c.Name == "sealed values" {
			return c.Status, c.Detail
		}
	}
	p.t.Fatalf("the doctor says nothing of sealed values: %s", out.stdout)
	return "", ""
}

// sealed adds up what a command of muster secret-key tells.
func (p *program) sealed(what string) (newest, older int) {
	p.t.Helper()
	for _, row := range p.must("secret-key", what)["sealed"].([]any) {
		n := row.(map[string]any)
		newest, older = newest+int(n["newest"].(float64)), older+int(n["older"].(float64))
		if n["lost"].(float64) != 0 {
			p.t.Errorf("nobody can open it: %v", n)
		}
	}
	return newest, older
}

// The server's secret key is exchanged: people sign in before, meanwhile and after it, and
// nothing is sealed anew while a server runs that could not open it.
func TestTheSecretKeyIsExchanged(t *testing.T) {
	t.Parallel()
	eachDatabase(t, "secret-key", func(t *testing.T, env ...string) {
		a := newAcme(t, append(env, "MUSTER_HTTP_ADDR="+porttest.HeldAddr(t))...) // the key is the file in the data folder
		signIn := func(when string) {
			t.Helper()
			a.expectMe(a.samlLogin(newVisitor(t), "ann-id", "ann@example.com"), map[string]string{"method": "saml"})
			a.expectMe(a.oidcLogin(newVisitor(t), "bob-id", "bob@example.com"), map[string]string{"method": "oidc"})
		}
		signIn("before")
		old := filepath.Join(a.dir, "muster-data", "server.key")
		if _, err := os.Stat(old); err != nil {
			t.Fatal(err)
		}
		fresh := secret.NewKey()
		a.setenv("MUSTER_SECRET_KEY", fresh.String())
		a.setenv("MUSTER_SECRET_KEY_OLD_FILE", old)
		if r := a.run("secret-key", "reseal"); r.code != 1 || !strings.Contains(r.stderr, "does not know the new key") {
			t.Fatalf("sealed anew beside a server that has the old key alone: %d %s%s", r.code, r.stdout, r.stderr)
		}
		if newest, older := a.sealed("status"); newest != 0 || older < 4 {
			t.Errorf("%d with the new key, %d with the old one", newest, older)
		}
		if status, said := a.sealedDoctor(); status != "warn" || !strings.Contains(said, "seals with another key") {
			t.Errorf("the doctor beside a server with the old key: %s %s", status, said)
		}
		restart := func() {
			t.Helper()
			a.server.stop()
			a.server = a.serve()
		}
		restart()
		signIn("with both keys")
		if status, said := a.sealedDoctor(); status != "warn" || !strings.Contains(said, "muster secret-key reseal") {
			t.Errorf("the doctor: %s %s", status, said)
		}
		if _, older := a.sealed("reseal"); older < 4 {
			t.Errorf("%d were sealed anew", older)
		}
		if newest, older := a.sealed("status"); newest < 4 || older != 0 {
			t.Errorf("afterwards %d with the new key, %d with the old one", newest, older)
		}
		signIn("afterwards")
		if status, said := a.sealedDoctor(); status != "ok" || !strings.Contains(said, "MUSTER_SECRET_KEY_OLD") {
			t.Errorf("the doctor: %s %s", status, said)
		}
		a.setenv("MUSTER_SECRET_KEY_OLD_FILE", "")
		restart()
		signIn("with the new key alone")
		if status, said := a.sealedDoctor(); status != "ok" {
			t.Errorf("the doctor: %s %s", status, said)
		}
		a.setenv("MUSTER_SECRET_KEY", secret.NewKey().String())
		if status, said := a.sealedDoctor(); status != "fail" || !strings.Contains(said, "keys of SAML connections") {
			t.Errorf("the doctor with a wrong key: %s %s", status, said)
		}
	})
}

// unsealed are columns of bytes that are not sealed, or only for minutes.
var unsealed = map[string]string{
	"sso_certificates der": "public", "sp_keys certificate": "public", "oidc_keys certificate": "public", "passkeys credential": "public", "passkeys public_key": "public",
	"pictures image": "a picture", "import_pieces data": "a file",
	"sso_requests verifier": "minutes", "sso_logouts outgoing": "minutes", "step_ups form": "minutes", "sso_tests back": "minutes",
}

// A new column of bytes is sealed anew with all others, or named above.
func TestEverySealedColumnIsSealedAnew(t *testing.T) {
	t.Parallel()
	db := storetest.Postgres(t)
	var columns []string
	if err := db.LookupAll(t.Context(), &columns, "SELECT table_name || ' ' || column_name FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'bytea' ORDER BY 1"); err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, c := range columns {
		if unsealed[c] == "" {
			known++
			t.Log(c)
		}
	}
	if known != len(sealedValues()) {
		t.Errorf("%d columns may be sealed, %d kinds are sealed anew: add it there, or to the list", known, len(sealedValues()))
	}
}
