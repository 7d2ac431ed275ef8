package config

import (
	"fmt"
	"strings"
)

// Shown is one row of the printed configuration.
type Shown struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// Show lists every setting with its value and origin. Secrets are hidden.
func (c *Config) Show() []Shown {
	out := make([]Shown, 0, len(c.Values))
	for _, v := range c.Values {
		out = append(out, Shown{Key: v.Key, Value: hide(v), Origin: v.Origin})
	}
	return out
}

// Markdown is the reference page.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Settings\n\n" +
		"Made from `config/config.go` by `muster config reference`; a test fails when this page is stale.\n\n" +
		"A flag wins over the environment, the environment over the file given with `--config` (or `MUSTER_CONFIG`),\n" +
		"the file over the default. An unknown key or a bad value stops the start, and all of them are named at once.\n" +
		"Lists are separated by commas. A secret can also stand in a file of its own: add `_FILE` to the variable,\n" +
		"`_file` to the key, `-file` to the flag.\n\n" +
		"| Key | Environment | Flag | Default | Meaning |\n|---|---|---|---|---|\n")
	for _, d := range Catalog() {
		def, doc := d.Default, d.Doc
		if def != "" {
			def = "`" + def + "`"
		}
		if d.Secret != "" {
			doc += " Secret."
		}
		if d.min != "" {
			doc += " From " + d.min + " to " + d.max + "."
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | `--%s` | %s | %s Example: `%s` |\n", d.Key, d.Env, d.Flag, def, doc, d.Example)
	}
	return b.String()
}

// Sample is a configuration file with every setting, commented out: "# " before
// what explains, "#" before what can be used.
func Sample() string {
	var b strings.Builder
	b.WriteString("# Every setting of Muster, at its default or with an example. Use it with --config muster.yaml.\n")
	section := ""
	for _, d := range Catalog() {
		name, indent := d.Key, ""
		if s, leaf, nested := strings.Cut(d.Key, "."); nested {
			if s != section {
				fmt.Fprintf(&b, "\n# %s\n#%s:\n", d.Section, s)
			}
			section, name, indent = s, leaf, "  "
		} else {
			section = ""
			b.WriteString("\n")
		}
		value := d.Default
		if value == "" {
			value = d.Example
		}
		fmt.Fprintf(&b, "# %s%s\n#%s%s: %q\n", indent, d.Doc, indent, name, value)
	}
	return b.String()
}
