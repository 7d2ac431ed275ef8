package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/muster-id/muster/config"
)

const maxConfigFile = 1 << 20

// readYAML flattens a configuration file into the entries that config.Load
// takes, with their lines. A file that is not YAML at all is one fault.
func readYAML(name string) ([]config.Entry, error) {
	broken := func(problem string) error {
		return config.Faults{{Key: "--config", Value: name, Problem: problem, Example: "docs/muster.sample.yaml"}}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, broken("cannot be read: " + err.Error())
	}
	defer f.Close()
	var doc yaml.Node
	err = yaml.NewDecoder(io.LimitReader(f, maxConfigFile)).Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, broken("is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var entries []config.Entry
	if err := flatten(doc.Content[0], "", &entries); err != nil {
		return nil, broken(err.Error())
	}
	return entries, nil
}

// flatten walks mappings down to scalars and lists. Aliases are refused: settings need
// none, and they can grow without bound.
func flatten(n *yaml.Node, key string, out *[]config.Entry) error {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if key != "" {
				name = key + "." + name
			}
			if err := flatten(n.Content[i+1], name, out); err != nil {
				return err
			}
		}
		return nil
	case yaml.SequenceNode:
		if len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode {
			return flattenObjects(n, key, out)
		}
		var items []string
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("has something else than plain values in the list %s on line %d", key, item.Line)
			}
			items = append(items, item.Value)
		}
		*out = append(*out, config.Entry{Key: key, Text: strings.Join(items, ","), Line: n.Line})
		return nil
	case yaml.ScalarNode:
		if key == "" && n.Tag != "!!null" {
			return fmt.Errorf("has no settings, only %q", n.Value)
		}
		if n.Tag != "!!null" {
			*out = append(*out, config.Entry{Key: key, Text: n.Value, Line: n.Line})
		}
		return nil
	default:
		return fmt.Errorf("uses an alias on line %d; write the value out", n.Line)
	}
}

// flattenObjects makes a list of mappings one value: the same list as JSON.
func flattenObjects(n *yaml.Node, key string, out *[]config.Entry) error {
	if line := aliasIn(n); line > 0 {
		return fmt.Errorf("uses an alias on line %d; write the value out", line)
	}
	var list []map[string]any
	if err := n.Decode(&list); err != nil {
		return fmt.Errorf("has something in the list %s on line %d that cannot be read: %s", key, n.Line, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	text, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("has something in the list %s on line %d that is no plain value", key, n.Line)
	}
	*out = append(*out, config.Entry{Key: key, Text: string(text), Line: n.Line})
	return nil
}

// aliasIn is the line of the first alias below a node, or 0.
func aliasIn(n *yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		return n.Line
	}
	for _, c := range n.Content {
		if line := aliasIn(c); line > 0 {
			return line
		}
	}
	return 0
}
