package guides

import (
	"fmt"
	"strings"
)

var protocolNames = map[string]string{"saml": "SAML 2.0", "oidc": "OpenID Connect"}

// Markdown is the page of a vendor in docs/sso: every protocol that there is a
// guide for, the recommended one first.
func Markdown(vendor string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", Label(vendor))
	b.WriteString(`The console shows the same steps with the real values to copy, under *Connections > New connection*; so does the link for
somebody without an account. Here HOST is this server and CONNECTION the id of the connection (a draft has one already).
`)
	protocols := Protocols(vendor)
	for _, protocol := range protocols {
		g, _ := For(vendor, protocol, Placeholders(protocol))
		fmt.Fprintf(&b, "\n## %s%s\n", protocolNames[protocol], recommended(g, len(protocols)))
		for i, step := range g.Steps {
			fmt.Fprintf(&b, "\n### %d. %s\n", i+1, step.Title)
			for _, p := range step.Parts {
				b.WriteString("\n" + p.markdown())
			}
		}
		b.WriteString("\n" + back(g))
		b.WriteString("\nSources: " + strings.Join(g.Sources, ", ") + "\n")
	}
	return b.String()
}

func recommended(g Guide, of int) string {
	if g.Recommended && of > 1 {
		return " (recommended)"
	}
	return ""
}

// back is the last step, which happens here.
func back(g Guide) string {
	n := len(g.Steps) + 1
	command := "muster connection create --org ORG --protocol saml --name NAME --vendor " + g.Vendor + " --metadata FILE_OR_URL"
	if g.Protocol == "oidc" {
		command = "muster connection create --org ORG --protocol oidc --name NAME --vendor " + g.Vendor + " --issuer " + g.Issuer + " --client-id ID --client-secret-file FILE"
	}
	return fmt.Sprintf("### %d. Enter it here, test, activate\n\nIn the console, or on the command line before step 1 is finished (the connection stays a draft without `--activate`):\n\n    %s\n", n, command)
}

func (p Part) markdown() string {
	var b strings.Builder
	if len(p.Fields) > 0 {
		b.WriteString("| Field | Value |\n|---|---|\n")
		cell := strings.NewReplacer("|", `\|`)
		for _, f := range p.Fields {
			value := cell.Replace(f.Value)
			if f.Copy {
				value = "`" + value + "`"
			}
			fmt.Fprintf(&b, "| %s | %s |\n", cell.Replace(f.Label), value)
		}
		return b.String()
	}
	if p.Warning {
		b.WriteString("> ")
	}
	for _, s := range p.Text {
		switch s.Kind {
		case "strong":
			b.WriteString("**" + s.Text + "**")
		case "code":
			b.WriteString("`" + s.Text + "`")
		default:
			b.WriteString(s.Text)
		}
	}
	b.WriteString("\n")
	return b.String()
}

// Index is docs/sso/README.md.
func Index() string {
	var b strings.Builder
	b.WriteString(`# Connecting an identity provider

A connection is one SAML or OpenID Connect provider of one organization. The console leads through it under *Connections >
New connection*: choose the vendor, do the numbered steps at the vendor, enter what it gives, look at the preview, test, activate.
Whoever runs the identity provider can do all but the last by a link, without an account (` + "`muster connection invite`" + `).

| Vendor | Protocols |
|---|---|
`)
	for _, v := range Vendors() {
		var names []string
		protocols := Protocols(v.Name)
		for _, p := range protocols {
			g, _ := For(v.Name, p, Placeholders(p))
			names = append(names, protocolNames[p]+recommended(g, len(protocols)))
		}
		fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", v.Label, v.Name, strings.Join(names, ", "))
	}
	b.WriteString("\nWhat a SAML connection sends and takes: [saml.md](saml.md). Every setting of a connection: [settings.md](settings.md).\n")
	b.WriteString(`
| Page | About |
|---|---|
| [testing.md](testing.md) | test sign-ins: what they show, what is kept, what they speak for |
| [links.md](links.md) | set-up by somebody without an account |
| [settings.md](settings.md) | every setting of a connection |
| [saml.md](saml.md), [oidc.md](oidc.md) | what is sent and what is checked |
| [metadata.md](metadata.md) | metadata, certificates and our keys in the course of time |
| [accounts.md](accounts.md) | which account a sign-in ends in, attributes, groups and roles |
| [domains.md](domains.md) | mail domains, and who is sent where |
| [policy.md](policy.md) | which ways of signing in are allowed, break-glass accounts |
| [logout.md](logout.md) | signing out here and there |
`)
	return b.String()
}
