package main

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/muster-id/muster/config"
)

// newLog writes to w in the format and from the level that the settings say.
func newLog(w io.Writer, s config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.Level, ReplaceAttr: redact}
	if s.Format == "text" || (s.Format == "auto" && terminal(w)) {
		return slog.New(loopErrors{slog.NewTextHandler(w, options)})
	}
	return slog.New(loopErrors{slog.NewJSONHandler(w, options)})
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// secretWords are parts of attribute names whose values never reach the log.
var secretWords = []string{"token", "secret", "password", "assertion", "authorization", "cookie", "samlresponse", "credential"}

// redact is the last net: nobody should log a secret, and if it happens it does not show.
func redact(_ []string, a slog.Attr) slog.Attr {
	name := strings.ToLower(a.Key)
	for _, w := range secretWords {
		if strings.Contains(name, w) {
			return slog.String(a.Key, "(hidden)")
		}
	}
	return a
}
