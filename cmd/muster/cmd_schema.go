package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/store"
)

type schemaCmd struct {
	List   schemaListCmd   `cmd:"" help:"List the schemas that an organization has defined."`
	Show   schemaShowCmd   `cmd:"" help:"Print one schema, as put reads it."`
	Put    schemaPutCmd    `cmd:"" help:"Define a schema, or replace its definition."`
	Delete schemaDeleteCmd `cmd:"" help:"Delete a schema with its attributes and their values."`
}

type schemaListCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c schemaListCmd) Run(a *app) error {
	list, err := a.schemas(c.Org)
	if err != nil {
		return err
	}
	docs, lines := []store.SchemaDocument{}, []string{}
	for _, s := range list {
		doc := s.Document()
		docs = append(docs, doc)
		line := fmt.Sprintf("%-6s %3d  %s  %s", s.Resource, len(doc.Attributes), s.URN, s.Name)
		if s.Removing {
			line += " (is being removed)"
		}
		lines = append(lines, line)
	}
	return a.answer(docs, lines...)
}

func (a *app) schemas(org string) (list []store.Schema, err error) {
	actor, _, err := a.in(org)
	if err != nil {
		return nil, err
	}
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
		list, err = tx.DefinedSchemas()
		return err
	})
	return list, err
}

type schemaShowCmd struct {
	Org string `required:"" help:"Organization (short name)."`
	URN string `arg:"" help:"URN of the schema."`
}

func (c schemaShowCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var s store.Schema
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) (err error) {
		s, err = tx.DefinedSchema(c.URN)
		return err
	})
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(s.Document(), "", "  ")
	if err != nil {
		return err
	}
	return a.answer(s.Document(), string(text))
}

type schemaPutCmd struct {
	Org      string `required:"" help:"Organization (short name)."`
	Resource string `help:"User or Group, if neither the document nor the end of its URN says it."`
	Force    bool   `help:"Attributes that the document does not have may go with their values."`
	File     string `arg:"" optional:"" help:"The schema as JSON (RFC 7643 section 7); standard input without one, or with -."`
}

func (c schemaPutCmd) Run(a *app) error {
	var in io.Reader = os.Stdin
	if c.File != "" && c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return usage{err}
		}
		defer f.Close()
		in = f
	}
	doc, err := readSchema(in)
	if err != nil {
		return err
	}
	if c.Resource != "" {
		doc.Resource = c.Resource
	}
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var done store.SchemaChange
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		done, err = tx.PutSchema(doc.Schema, c.Force)
		return err
	})
	if err != nil {
		return err
	}
	return a.answerSchema(done, fmt.Sprintf("%s has %s.", done.Schema.URN, counted(len(done.Schema.Document().Attributes), "attribute", "attributes")))
}

// readSchema reads one JSON document of at most a megabyte.
func readSchema(in io.Reader) (doc store.SchemaDocument, err error) {
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return doc, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err = d.Decode(&doc); err == nil {
		if _, more := d.Token(); more == io.EOF {
			return doc, nil
		}
	}
	return doc, fault.Invalid.Wrap(err, "The schema cannot be read: want one JSON object as in RFC 7643 section 7, with id, name and attributes (%v).", err)
}

// answerSchema prints what was done, and warnings on standard error.
func (a *app) answerSchema(done store.SchemaChange, line string) error {
	for _, w := range done.Warnings {
		fmt.Fprintln(a.err, "Note:", w)
	}
	out := struct {
		store.SchemaDocument
		Warnings []string `json:"warnings"`
	}{done.Schema.Document(), append([]string{}, done.Warnings...)}
	return a.answer(out, line)
}

type schemaDeleteCmd struct {
	Org   string `required:"" help:"Organization (short name)."`
	Force bool   `help:"Also when there are values, which go with it."`
	URN   string `arg:"" help:"URN of the schema."`
}

func (c schemaDeleteCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		_, err := tx.DeleteSchema(c.URN, c.Force)
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(map[string]string{"id": c.URN, "status": "deleted"}, c.URN+" is deleted.")
}

type attributeCmd struct {
	Add    attributeAddCmd    `cmd:"" help:"Add an attribute to the users or groups of an organization."`
	List   attributeListCmd   `cmd:"" help:"List the attributes that an organization has added."`
	Delete attributeDeleteCmd `cmd:"" help:"Delete an attribute and its values."`
}

// attributeOf says whose attribute.
type attributeOf struct {
	Org      string `required:"" help:"Organization (short name)."`
	Resource string `default:"User" enum:"User,Group" help:"User or Group."`
	URN      string `name:"urn" help:"Schema of the attribute; the organization's own without it."`
}

type attributeAddCmd struct {
	attributeOf
	Name          string   `required:"" help:"Name, such as costCenterCode."`
	Type          string   `default:"string" help:"string, boolean, decimal, integer, dateTime, binary or reference; complex ones are defined with: muster schema put."`
	MultiValued   bool     `help:"It has several values."`
	Description   string   `help:"What it is."`
	Required      bool     `help:"Directories must send it."`
	CaseExact     bool     `help:"Capitals and small letters differ."`
	Indexed       bool     `help:"Filters find it without reading everybody."`
	Self          bool     `help:"People fill it in themselves; with --required they are asked for it after signing in."`
	Unique        bool     `help:"No two have the same value."`
	Canonical     []string `help:"Values that are suggested."`
	Mutability    string   `default:"readWrite" help:"readWrite, readOnly, immutable or writeOnly."`
	Returned      string   `help:"default, always, request or never."`
	ReferenceType []string `help:"What a reference leads to: external, uri, User or Group."`
}

func (c attributeAddCmd) Run(a *app) error {
	attr := store.Attribute{Name: c.Name, Type: c.Type, MultiValued: c.MultiValued, Description: c.Description, Required: c.Required, CaseExact: c.CaseExact,
		Indexed: c.Indexed, Self: c.Self, Canonical: c.Canonical, Mutability: c.Mutability, Returned: c.Returned, ReferenceTypes: c.ReferenceType}
	if c.Unique {
		attr.Uniqueness = "server"
	}
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var done store.SchemaChange
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		done, err = tx.PutAttribute(c.Resource, c.URN, attr, true)
		return err
	})
	if err != nil {
		return err
	}
	return a.answerSchema(done, fmt.Sprintf("Directories send it as %s:%s.", done.Schema.URN, strings.TrimSpace(c.Name)))
}

type attributeListCmd struct {
	Org string `required:"" help:"Organization (short name)."`
}

func (c attributeListCmd) Run(a *app) error {
	list, err := a.schemas(c.Org)
	if err != nil {
		return err
	}
	type row struct {
		Resource string `json:"resource"`
		URN      string `json:"urn"`
		store.Attribute
	}
	rows, lines := []row{}, []string{}
	for _, s := range list {
		for _, x := range s.Document().Attributes {
			rows = append(rows, row{s.Resource, s.URN, x})
			lines = append(lines, fmt.Sprintf("%-6s %-10s %-9s %s:%s", s.Resource, x.Type, x.State, s.URN, x.Name))
		}
	}
	return a.answer(rows, lines...)
}

type attributeDeleteCmd struct {
	attributeOf
	Force bool   `help:"Also when there are values, which go with it."`
	Name  string `required:"" help:"Name of the attribute."`
}

func (c attributeDeleteCmd) Run(a *app) error {
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	var done store.SchemaChange
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		done, err = tx.DeleteAttribute(c.Resource, c.URN, c.Name, c.Force)
		return err
	})
	if err != nil {
		return err
	}
	return a.answerSchema(done, c.Name+" is deleted.")
}
