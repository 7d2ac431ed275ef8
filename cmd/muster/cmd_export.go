package main

import (
	"io"
	"strings"

	"github.com/muster-id/muster/internal/importer"
	"github.com/muster-id/muster/store"
)

type userExportCmd struct {
	Org     string   `required:"" help:"Organization (short name)."`
	File    string   `arg:"" optional:"" help:"File to write, which must not be there yet. Standard output when left out."`
	Format  string   `enum:"csv,jsonl" default:"csv" help:"csv or jsonl (one JSON object on each line)."`
	Columns []string `help:"Columns, with commas between them; all when left out."`
	Search  string   `help:"Only people with these words."`
	Status  []string `help:"Only these states: invited, active, deactivated, deleted."`
}

// Run writes people as a file that can be imported again.
func (c userExportCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	e := importer.Export{Format: c.Format, Columns: c.Columns, People: store.PeopleQuery{Search: c.Search}}
	for _, s := range c.Status {
		e.People.Status = append(e.People.Status, store.Status(strings.ToLower(s)))
	}
	return a.writeFile(c.File, func(w io.Writer) error { return a.opened.imports.Export(a.ctx, actor, e, w, func() {}) })
}
