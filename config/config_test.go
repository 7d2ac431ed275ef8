package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-id/muster/config"
)

func TestDefaultsNeedNothing(t *testing.T) {
	t.Parallel()
	c, err := config.Load(config.Input{})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Addr != "127.0.0.1:8080" || c.Invite.TTL != 168*time.Hour || c.DatabaseURL() != "sqlite:muster-data/muster.db" {
		t.Errorf("addr %q, invite.ttl %s, database %q", c.HTTP.Addr, c.Invite.TTL, c.DatabaseURL())
	}
	if got := c.BaseURL(c.HTTP.Addr); got != "http://127.0.0.1:8080" {
		t.Errorf("base URL %q", got)
	}
	for _, v := range c.Values {
		if v.Origin != "default" {
			t.Errorf("%s comes from %q", v.Key, v.Origin)
		}
	}
}

func TestWhoWins(t *testing.T) {
	t.Parallel()
	file := []config.Entry{{Key: "http.addr", Text: "127.0.0.1:1", Line: 2}, {Key: "invite.ttl", Text: "3h", Line: 4}, {Key: "log.level", Text: "warn", Line: 6}}
	c, err := config.Load(config.Input{
		Flags: map[string]string{"http-addr": "127.0.0.1:3"},
		Env:   []string{"MUSTER_HTTP_ADDR=127.0.0.1:2", "MUSTER_INVITE_TTL=2h", "MUSTER_LOG_FORMAT=", "HOME=/root"},
		File:  file, FileName: "muster.yaml",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]config.Shown{
		"http.addr":  {Value: "127.0.0.1:3", Origin: "flag --http-addr"},
		"invite.ttl": {Value: "2h", Origin: "environment MUSTER_INVITE_TTL"},
		"log.level":  {Value: "warn", Origin: "muster.yaml line 6"},
		"log.format": {Value: "auto", Origin: "default"},
	}
	for _, got := range c.Show() {
		if w, ok := want[got.Key]; ok && (got.Value != w.Value || got.Origin != w.Origin) {
			t.Errorf("%s = %q from %q, want %q from %q", got.Key, got.Value, got.Origin, w.Value, w.Origin)
		}
	}
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.Load(config.Input{
		Flags: map[string]string{"session-idle": "fast"},
		Env: []string{
			"MUSTER_HTTP_ADR=127.0.0.1:1", "MUSTER_PUBLIC_URL=http://muster.example.com", "MUSTER_SECRET_KEY=secret-but-short",
			"MUSTER_DATABASE_URL=mysql://root:hunter2@db/x", "MUSTER_EGRESS_ALLOW=10.0.0.1/8", "MUSTER_MAIL_URL_FILE=/nowhere",
			"MUSTER_SERVICE_HOST=10.0.0.1", "MUSTER_PORT=tcp://10.0.0.1:80", "MUSTER_TEST_PG_DSN=x",
		},
		File:     []config.Entry{{Key: "htpp.addr", Text: "x", Line: 1}, {Key: "invite.ttl", Text: "1s", Line: 2}, {Key: "invite.ttl", Text: "2h", Line: 3}},
		FileName: "muster.yaml",
		ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
		Checks:   map[string]func(string) error{"secret_key": func(string) error { return errors.New("is not 32 bytes") }},
	})
	var faults config.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("Load = %v, want Faults", err)
	}
	text := err.Error()
	for _, want := range []string{
		"MUSTER_HTTP_ADR (environment) is not a setting; MUSTER_HTTP_ADDR is meant perhaps",
		`public_url (environment MUSTER_PUBLIC_URL) "http://muster.example.com" is plain http`,
		`secret_key (environment MUSTER_SECRET_KEY) "(hidden)" is not 32 bytes`,
		"is neither sqlite:PATH nor postgres",
		"10.0.0.0/8 is meant perhaps",
		"mail.url (environment MUSTER_MAIL_URL_FILE) \"/nowhere\" cannot be read",
		"htpp.addr (muster.yaml line 1) is not a setting; http.addr is meant perhaps",
		`invite.ttl (muster.yaml line 2) "1s" is not between 1m and 2160h`,
		"invite.ttl (muster.yaml line 3) is there twice; the first is on line 2",
		`session.idle (flag --session-idle) "fast" is not a length of time`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if len(faults) != 10 {
		t.Errorf("%d faults, want 10:\n%s", len(faults), text)
	}
	for _, hidden := range []string{"secret-but-short", "hunter2"} {
		if strings.Contains(text, hidden) {
			t.Errorf("the secret %q is shown:\n%s", hidden, text)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env string
		ok  bool
	}{
		{"MUSTER_PUBLIC_URL=https://muster.example.com/", true},
		{"MUSTER_PUBLIC_URL=http://localhost:8080", true},
		{"MUSTER_PUBLIC_URL=http://[::1]:8080", true},
		{"MUSTER_PUBLIC_URL=http://127.0.0.1.example.com", false},
		{"MUSTER_PUBLIC_URL=http://localhost.example.com", false},
		{"MUSTER_PUBLIC_URL=https://example.com/muster", false},
		{"MUSTER_PUBLIC_URL=https://user@example.com", false},
		{"MUSTER_PUBLIC_URL=example.com", false},
		{"MUSTER_PUBLIC_URL=ftp://example.com", false},
		{"MUSTER_HTTP_ADDR=[::1]:8080", true},
		{"MUSTER_HTTP_ADDR=0.0.0.0:8080", false}, // no public URL
		{"MUSTER_HTTP_ADDR=127.0.0.1:65536", false},
		{"MUSTER_HTTP_ADDR=127.0.0.1", false},
		{"MUSTER_HTTP_ADDR=muster.example.com:80", false},
		{"MUSTER_DATABASE_URL=sqlite:/tmp/x y.db", true},
		{"MUSTER_DATABASE_URL=sqlite:", false},
		{"MUSTER_DATABASE_URL=postgresql:///muster?host=/run/postgresql", true},
		{"MUSTER_MAIL_URL=smtps://mail.example.com", true},
		{"MUSTER_MAIL_URL=mail.example.com:25", false},
		{"MUSTER_MAIL_FROM=Muster", false},
		{"MUSTER_EGRESS_ALLOW=127.0.0.0/8, ::1,10.2.3.4", true},
		{"MUSTER_EGRESS_ALLOW=everything", false},
		{"MUSTER_DATABASE_MAX_CONNS=-1", false},
		{"MUSTER_LOG_FORMAT=xml", false},
		{"MUSTER_LOG_LEVEL=loud", false},
		{"MUSTER_SESSION_IDLE=200h", false}, // longer than absolute
		{"MUSTER_METRICS_ADDR=127.0.0.1:8080", false},
	} {
		_, err := config.Load(config.Input{Env: []string{c.env}})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.env, err)
		}
	}
}

func TestSecretsComeFromFilesAndAreHidden(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/run/db": "postgres://muster:hunter2@db.example.com/muster?sslpassword=hunter3\n", "/run/token": "hunter4\n"}
	c, err := config.Load(config.Input{
		Env:   []string{"MUSTER_DATABASE_URL_FILE=/run/db"},
		Flags: map[string]string{"metrics-token-file": "/run/token"},
		ReadFile: func(name string) ([]byte, error) {
			return []byte(files[name]), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL() != strings.TrimSpace(files["/run/db"]) || c.Metrics.Token != "hunter4" {
		t.Errorf("database %q, token %q", c.DatabaseURL(), c.Metrics.Token)
	}
	if shown := fmt.Sprint(c.Show()); strings.Contains(shown, "hunter") || !strings.Contains(shown, "db.example.com") {
		t.Errorf("shown: %s", shown)
	}

	_, err = config.Load(config.Input{Env: []string{"MUSTER_METRICS_TOKEN=a", "MUSTER_METRICS_TOKEN_FILE=/run/token"}})
	if err == nil || !strings.Contains(err.Error(), "keep one of them") {
		t.Errorf("value and file together: %v", err)
	}
}

// Every setting must say what it is for and hold its own example.
func TestCatalogIsComplete(t *testing.T) {
	t.Parallel()
	var seen []string
	for _, d := range config.Catalog() {
		if d.Doc == "" || d.Example == "" {
			t.Errorf("%s has no doc or no example", d.Key)
		}
		if slices.Contains(seen, d.Flag) {
			t.Errorf("flag --%s stands for two settings", d.Flag)
		}
		seen = append(seen, d.Flag)
		if d.Secret == "all" {
			continue
		}
		env := []string{d.Env + "=" + d.Example, "MUSTER_PUBLIC_URL=https://muster.example.com"}
		if _, err := config.Load(config.Input{Env: env}); err != nil {
			t.Errorf("the example of %s does not load: %v", d.Key, err)
		}
	}
}

func TestGeneratedPagesAreFresh(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"../docs/settings.md": config.Markdown(), "../docs/muster.sample.yaml": config.Sample()} {
		got, err := os.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("%s is stale (%v); run: make generate", name, err)
		}
	}
}

// The sample with its settings switched on is a configuration that is read as it stands.
func TestSampleNamesRealSettings(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, d := range config.Catalog() {
		known[d.Key] = true
	}
	section, n := "", 0
	for line := range strings.Lines(config.Sample()) {
		setting, ok := strings.CutPrefix(line, "#")
		if !ok || strings.HasPrefix(setting, " ") && !strings.HasPrefix(setting, "  ") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(setting), ": ")
		switch {
		case !ok && strings.HasSuffix(name, ":"):
			section = strings.TrimSuffix(name, ":") + "."
			continue
		case !ok || strings.HasPrefix(name, "#") || !strings.HasPrefix(value, `"`):
			continue
		case !strings.HasPrefix(setting, " "):
			section = ""
		}
		if n++; !known[section+name] {
			t.Errorf("the sample has %q, which is no setting", section+name)
		}
	}
	if n != len(known) {
		t.Errorf("the sample has %d settings of %d", n, len(known))
	}
}
