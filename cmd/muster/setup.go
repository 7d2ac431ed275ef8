package main

import (
	"fmt"

	"github.com/muster-id/muster/internal/fault"
)

type setupLinkCmd struct{}

func (setupLinkCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	link, needed, err := h.account.EnsureSetupLink(a.ctx)
	if err != nil {
		return err
	}
	if !needed {
		return fault.Conflict.Say("This server has an operator already: sign in at %s/login, or ask that person.", h.url)
	}
	return a.answer(map[string]string{"url": link}, "The first operator signs in with this link, once, within 24 hours:", "  "+link)
}

// greeting is what a started server says on standard output, and nothing after it.
type greeting struct {
	URL       string       `json:"url"`
	SetupLink string       `json:"setup_link,omitempty"`
	Demo      *demoGreeter `json:"demo,omitempty"`
}

type demoGreeter struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	Console  string `json:"console_url"`
}

// greet tells where the server is and how the first person gets in. A set-up link
// is never in the log: whoever has it becomes the operator.
func (c serveCmd) greet(a *app, h *system) error {
	g := greeting{URL: h.url}
	lines := []string{"Muster is at " + h.url}
	if c.Demo {
		password, err := fillDemo(a.ctx, h)
		if err != nil {
			return err
		}
		g.Demo = &demoGreeter{Email: demoAdmin, Password: password, Console: h.url + "/console/acme/users"}
		lines = append(lines, "The demo's organization is acme. Sign in:", "  "+h.url+"/login?next=/console/acme/users",
			fmt.Sprintf("  %s  %s", demoAdmin, password))
	}
	link, needed, err := h.account.EnsureSetupLink(a.ctx)
	if err != nil {
		return err
	}
	if needed {
		g.SetupLink = link
		lines = append(lines, "The first operator signs in with this link, once, within 24 hours:", "  "+link)
	}
	switch loopback := a.cfg.HTTP.Addr.Loopback(); {
	case h.mail.Kept() && loopback:
		lines = append(lines, "Mail is kept on this machine: "+h.url+"/dev/mailbox")
	case h.mail.Kept():
		a.log.Warn("no mail server is set: mail is kept and reaches nobody; set MUSTER_MAIL_URL")
	}
	return a.answer(g, append(lines, "Stop with Ctrl-C.")...)
}
