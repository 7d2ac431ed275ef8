package main

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/conform"
	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/sso"
)

// cli is the grammar of the command line. Every setting is a flag as well: see settingFlags.
type cli struct {
	Config string `help:"Configuration file (YAML); also MUSTER_CONFIG." placeholder:"FILE"`
	JSON   bool   `name:"json" help:"Print one JSON value on standard output and nothing else."`
	kong.Plugins

	Serve      serveCmd      `cmd:"" default:"withargs" help:"Run the server (also what muster does without a command)."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the database to this version's tables."`
	Settings   configCmd     `cmd:"" name:"config" help:"Show settings."`
	Doctor     doctorCmd     `cmd:"" help:"Look for what keeps the server from working."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
	SetupLink  setupLinkCmd  `cmd:"" help:"Make a new one-time link for the first operator."`
	Org        orgCmd        `cmd:"" help:"Organizations."`
	Operator   operatorCmd   `cmd:"" help:"Who runs this server."`
	Directory  directoryCmd  `cmd:"" help:"SCIM clients of an organization."`
	SCIM       scimCmd       `cmd:"" name:"scim" help:"SCIM servers."`
	Connection connectionCmd `cmd:"" help:"SAML and OIDC identity providers of an organization."`
	Request    requestCmd    `cmd:"" help:"Requests for access: who signed in at a provider and has no account."`
	Domain     domainCmd     `cmd:"" help:"Mail domains of an organization."`
	SignIn     signInCmd     `cmd:"" name:"signin" help:"Sign-ins, and why one was refused."`
	Activity   activityCmd   `cmd:"" help:"What happened in an organization."`
	User       userCmd       `cmd:"" help:"People of an organization."`
	Mail       mailCmd       `cmd:"" help:"Mail that came back."`
	Invitation invitationCmd `cmd:"" help:"Invitations of an organization."`
	Role       roleCmd       `cmd:"" help:"Roles of an organization: what their people may do."`
	Feed       feedCmd       `cmd:"" help:"Employee files that are fetched on a schedule."`
	Team       teamCmd       `cmd:"" help:"Teams of an organization."`
	Review     reviewCmd     `cmd:"" help:"Reviews of who has what in an organization."`
	Schema     schemaCmd     `cmd:"" help:"What an organization adds to users and groups, as schemas."`
	Attribute  attributeCmd  `cmd:"" help:"The same, attribute by attribute."`
	Policy     policyCmd     `cmd:"" help:"How people of an organization sign in."`
	Breakglass breakglassCmd `cmd:"" help:"Accounts of an organization for the day when single sign-on fails."`
	Key        keyCmd        `cmd:"" help:"Keys for the REST API."`
	SecretKey  secretKeyCmd  `cmd:"" name:"secret-key" help:"The key that seals stored secrets, and its exchange."`
}

// settingFlags makes a struct with one hidden string flag per setting, so that
// the flags cannot differ from the settings.
func settingFlags() any {
	var fields []reflect.StructField
	add := func(name, help string) {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", len(fields)), Type: reflect.TypeFor[*string](),
			Tag: reflect.StructTag(fmt.Sprintf(`name:%q help:%q hidden:""`, name, strings.ReplaceAll(help, "$", "$$"))),
		})
	}
	for _, d := range config.Catalog() {
		add(d.Flag, d.Doc)
		if d.Secret != "" {
			add(d.Flag+"-file", d.Doc)
		}
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// given are the setting flags that stand on the command line, by name.
func given(flags any) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(flags).Elem()
	for i := range v.NumField() {
		if text, ok := v.Field(i).Interface().(*string); ok && text != nil {
			out[v.Type().Field(i).Tag.Get("name")] = *text
		}
	}
	return out
}

const about = `Muster keeps one list of people per customer organization, however they come in:
from a directory over SCIM, by single sign-on, or by invitation.

Every setting is also a flag: "muster config reference" lists them.`

// parser reads the command line into the grammar and the setting flags; helped is called when
// it has shown the help.
func parser(flags any, helped func(), stdout, stderr io.Writer) (*kong.Kong, *cli, error) {
	grammar := &cli{Plugins: kong.Plugins{flags}}
	p, err := kong.New(grammar, kong.Name("muster"), kong.Description(about), kong.Writers(stdout, stderr),
		kong.Vars{"vendors": strings.Join(sso.Vendors(), ", "), "conform_vendors": strings.Join(conform.Vendors(), ", "),
			"directory_vendors": strings.Join(scim.VendorNames(), ", "), "directory_switches": scim.SwitchNames()},
		kong.Exit(func(int) { helped() }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		return nil, nil, fmt.Errorf("command line: %w", err)
	}
	return p, grammar, nil
}

// command parses the arguments, loads the settings and runs one command.
func command(ctx context.Context, args, env []string, stdout, stderr io.Writer) error {
	flags := settingFlags()
	helped := false
	parser, grammar, err := parser(flags, func() { helped = true }, stdout, stderr)
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		return usage{fmt.Errorf("%w. Try: muster %s--help", err, typed(parser.Model.Node, args))}
	}
	a := &app{ctx: ctx, json: grammar.JSON, out: stdout, err: stderr}
	if err := a.load(grammar.Config, given(flags), env); err != nil {
		return err
	}
	defer a.close()
	return parsed.Run(a)
}

// typed is the commands among the arguments, for the hint after a mistake.
func typed(node *kong.Node, args []string) string {
	var words strings.Builder
	for _, a := range args {
		at := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == a })
		if at >= 0 {
			node = node.Children[at]
			words.WriteString(a + " ")
		}
	}
	return words.String()
}
