package main

import (
	"fmt"

	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

type scimLogCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
	Since     string `placeholder:"TIME" help:"Not older: 24h, 2026-11-30 or 2026-11-30T18:00:00Z."`
	Until     string `placeholder:"TIME" help:"Not newer; a day is included."`
	Operation string `placeholder:"OP" help:"Method and resource, such as \"PATCH Users\"."`
	Target    string `placeholder:"WHO" help:"Id, userName, externalId, or the start of a name."`
	Status    string `placeholder:"N" help:"Status of the answer, such as 409."`
	Refused   bool   `help:"Only what was refused."`
	Request   string `placeholder:"ID" help:"The request's id (X-Request-Id)."`
	Text      string `placeholder:"WORD" help:"Anywhere in it: reason, path, client."`
	After     string `placeholder:"ENTRY" help:"Older than this entry."`
	Limit     int    `default:"50" help:"How many, 500 at most."`
	Entry     string `arg:"" optional:"" help:"One entry, with what changed and what was sent."`
}

func (c scimLogCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	var page scim.LogPage
	var one scim.LogEntry
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
		if c.Entry != "" {
			one, err = a.opened.provisioning.Entry(tx, d.ID, c.Entry)
			return err
		}
		page, err = a.opened.provisioning.List(tx, d.ID, scim.LogFilter{Since: c.Since, Until: c.Until, Operation: c.Operation, Target: c.Target, Status: c.Status,
			Refused: c.Refused, Request: c.Request, Text: c.Text, Cursor: c.After, Limit: c.Limit})
		return err
	})
	if err != nil {
		return err
	}
	if c.Entry != "" {
		return a.answer(one, logText(one)...)
	}
	lines := []string{}
	for _, e := range page.Entries {
		lines = append(lines, fmt.Sprintf("%s  %d  %-24s %s", e.Time, e.Status, e.Operation, e.Target))
		if e.Reason != "" {
			lines = append(lines, "    "+e.Reason, "    Entry "+e.ID)
		}
	}
	if page.Next != "" {
		lines = append(lines, "There may be more: --after "+page.Next)
	}
	return a.answer(page.Entries, lines...)
}

// logText is an entry for people.
func logText(e scim.LogEntry) []string {
	lines := []string{fmt.Sprintf("%s  %d  %s  %s", e.Time, e.Status, e.Operation, e.Target), fmt.Sprintf("  Request     %s %s (%s)", e.Method, e.Path, e.RequestID),
		fmt.Sprintf("  From        %s %s", e.IP, e.Client)}
	if e.Reason != "" {
		lines = append(lines, "  Why         "+e.Reason)
	}
	if e.Remedy != "" {
		lines = append(lines, "  What to do  "+e.Remedy)
	}
	for _, c := range e.Changed {
		lines = append(lines, "  "+c.Action+" "+c.Target)
		for _, x := range c.Changes {
			lines = append(lines, fmt.Sprintf("    %s: %q -> %q", x.Name, x.Before, x.After))
		}
	}
	if e.Body != "" {
		lines = append(lines, "  Sent        "+e.Body)
	}
	return lines
}
