package main

import (
	"io"
	"os"

	"github.com/muster-id/muster/internal/mail"
)

type mailCmd struct {
	Bounce mailBounceCmd `cmd:"" help:"Take a delivery status notification, which a mail server pipes in."`
}

type mailBounceCmd struct {
	File string `arg:"" optional:"" default:"-" help:"The notification; - is standard input."`
}

func (c mailBounceCmd) Run(a *app) error {
	var in io.Reader = os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	b, err := mail.ReadBounce(in)
	if err != nil {
		return err
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	if err := s.mail.CameBack(a.ctx, b); err != nil {
		return err
	}
	return a.answer(map[string]any{"id": b.ID, "words": b.Words}, "Noted: "+b.Words)
}
