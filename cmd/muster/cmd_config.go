package main

import (
	"fmt"

	"github.com/muster-id/muster/config"
)

type configCmd struct {
	Print     configPrintCmd     `cmd:"" help:"Show every setting, its value and where it comes from. Secrets are hidden."`
	Reference configReferenceCmd `cmd:"" help:"Explain every setting (Markdown)."`
}

type configPrintCmd struct{}

func (configPrintCmd) Run(a *app) error {
	rows := a.cfg.Show()
	var lines []string
	for _, r := range rows {
		lines = append(lines, fmt.Sprintf("%-22s %-40s %s", r.Key, r.Value, r.Origin))
	}
	return a.answer(rows, lines...)
}

type configReferenceCmd struct {
	Sample bool `help:"Print a sample configuration file (YAML) instead."`
}

func (c configReferenceCmd) Run(a *app) error {
	text := config.Markdown()
	if c.Sample {
		text = config.Sample()
	}
	if a.json {
		type row struct {
			Key     string `json:"key"`
			Env     string `json:"env"`
			Flag    string `json:"flag"`
			Default string `json:"default"`
			Example string `json:"example"`
			Meaning string `json:"meaning"`
			Secret  bool   `json:"secret"`
		}
		rows := []row{}
		for _, d := range config.Catalog() {
			rows = append(rows, row{d.Key, d.Env, "--" + d.Flag, d.Default, d.Example, d.Doc, d.Secret != ""})
		}
		return a.answer(rows)
	}
	_, err := fmt.Fprint(a.out, text)
	return err
}
