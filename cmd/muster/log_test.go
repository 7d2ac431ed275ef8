package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/muster-id/muster/config"
)

func TestLogHidesSecrets(t *testing.T) {
	t.Parallel()
	for _, format := range []config.LogFormat{"json", "text", "auto"} {
		var out bytes.Buffer
		log := newLog(&out, config.Log{Format: format, Level: slog.LevelInfo})
		log.Info("hello", "token", "s3cret", "Authorization", "Bearer s3cret", "client_secret", "s3cret", "SAMLResponse", "s3cret",
			slog.Group("request", "cookie", "s3cret", "route", "/login"))
		log.Debug("too fine")
		if text := out.String(); strings.Contains(text, "s3cret") || !strings.Contains(text, "/login") || strings.Contains(text, "too fine") {
			t.Errorf("%s: %s", format, text)
		}
	}
}
