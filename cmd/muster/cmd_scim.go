package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/muster-id/muster/internal/conform"
	"github.com/muster-id/muster/internal/fault"
)

type scimCmd struct {
	Conform scimConformCmd `cmd:"" help:"Check a SCIM server, this one or any other, and report what directories would meet."`
	Log     scimLogCmd     `cmd:"" help:"Show the provisioning log of a directory: what it asked, what changed, why it was refused."`
}

type scimConformCmd struct {
	URL         string        `name:"url" placeholder:"BASE" help:"SCIM base URL, as it is entered at the directory."`
	Token       string        `placeholder:"T" help:"Bearer token; or --token-file, which other users of this machine cannot see."`
	TokenFile   string        `placeholder:"FILE" help:"File with the bearer token."`
	Vendor      string        `placeholder:"V" help:"Only what this directory sends, beside the standard: ${conform_vendors}."`
	Only        []string      `placeholder:"ID" help:"Only checks whose id begins so, for example filter or patch.User."`
	Markdown    bool          `help:"Print the report as Markdown."`
	Timeout     time.Duration `default:"5m" help:"Time for the whole run."`
	MaxRequests int           `default:"5000" help:"Requests for the whole run."`
}

func (c scimConformCmd) Run(a *app) error {
	if c.Markdown && a.json {
		return usage{errors.New("give --json or --markdown, not both")}
	}
	token := c.Token
	if c.TokenFile != "" {
		f, err := os.Open(c.TokenFile)
		if err != nil {
			return usage{fmt.Errorf("--token-file: %w", err)}
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, 1<<16))
		if err != nil {
			return usage{fmt.Errorf("--token-file: %w", err)}
		}
		token = strings.TrimSpace(string(text))
	}
	ctx, stop := signal.NotifyContext(a.ctx, os.Interrupt, syscall.SIGTERM) // stopped, it still deletes what it made
	defer stop()
	report, err := conform.Run(ctx, conform.Options{
		BaseURL: c.URL, Token: token, Vendor: c.Vendor, Only: c.Only, Timeout: c.Timeout, MaxRequests: c.MaxRequests,
	})
	switch {
	case errors.Is(err, conform.ErrOptions):
		return usage{err}
	case errors.Is(err, conform.ErrUnreachable):
		return fault.Unavailable.Say("%s", err)
	case err != nil:
		return err
	}
	text := report.Text()
	if c.Markdown {
		text = report.Markdown()
	}
	if err := a.answer(report, strings.TrimRight(text, "\n")); err != nil {
		return err
	}
	if n := report.Summary.Failed; n > 0 {
		return fmt.Errorf("%d of %s failed", n, counted(len(report.Checks), "check", "checks"))
	}
	if report.Stopped != "" {
		return fmt.Errorf("%d of %d checks were not made: %s", report.Summary.Skipped, len(report.Checks), report.Stopped)
	}
	return nil
}
