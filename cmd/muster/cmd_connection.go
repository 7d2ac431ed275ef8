package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/muster-id/muster/sso"
)

type connectionCmd struct {
	Create   connectionCreateCmd   `cmd:"" help:"Make a SAML or OIDC connection."`
	List     connectionListCmd     `cmd:"" help:"List the connections of an organization."`
	Show     connectionShowCmd     `cmd:"" help:"Show a connection and its settings."`
	Invite   connectionInviteCmd   `cmd:"" help:"Make a link by which somebody without an account sets a connection up."`
	Set      connectionSetCmd      `cmd:"" help:"Change settings of a connection."`
	Activate connectionActivateCmd `cmd:"" help:"Open a connection for sign-ins."`
	Disable  connectionDisableCmd  `cmd:"" help:"End sign-ins over a connection."`
	Delete   connectionDeleteCmd   `cmd:"" help:"Delete a connection that is not open, with the identities of people on it."`

	Move    connectionMoveCmd    `cmd:"" help:"Move everybody to another connection; each is linked at the first sign-in there."`
	Rekey   connectionRekeyCmd   `cmd:"" help:"Know people by another attribute, without losing anybody."`
	Mapping connectionMappingCmd `cmd:"" help:"What a provider's attributes and groups fill and give."`

	Metadata  connectionMetadataCmd  `cmd:"" help:"The SAML provider's metadata, read again from its URL, and changes that wait for approval."`
	Keys      connectionKeysCmd      `cmd:"" help:"This server's keys towards a SAML provider."`
	ClientKey connectionClientKeyCmd `cmd:"" help:"This server's keys towards an OpenID provider (private_key_jwt)."`
}

type connectionCreateCmd struct {
	Org      string `required:"" help:"Organization (short name)."`
	Protocol string `required:"" enum:"saml,oidc" help:"saml or oidc."`
	Name     string `required:"" help:"Name, for example Okta."`
	Vendor   string `default:"custom" help:"Whose provider: ${vendors}."`
	Accounts string `default:"jit" enum:"jit,existing,scim" help:"jit creates people on first sign-in; existing: they must exist; scim: they must have come from the directory."`
	Activate bool   `help:"Open it for sign-ins; without this it is a draft."`

	Metadata string `placeholder:"FILE_OR_URL" help:"SAML: the provider's metadata."`
	Entity   string `placeholder:"ID" help:"SAML: which identity provider, when the metadata list many, by its entity ID."`

	Issuer           string   `placeholder:"URL" help:"OIDC: the provider's issuer."`
	ClientID         string   `name:"client-id" help:"OIDC: our client id there."`
	ClientSecretFile string   `placeholder:"FILE" help:"OIDC: file with the client secret."`
	Scope            []string `help:"OIDC: scopes to ask for (openid,profile,email)."`
}

// maxMetadata is far above what providers send.
const maxMetadata = 64 << 20

func (c connectionCreateCmd) Run(a *app) error {
	in := sso.NewConnection{Protocol: c.Protocol, Vendor: c.Vendor, Name: c.Name, Accounts: c.Accounts, Activate: c.Activate,
		Entity: c.Entity, Issuer: c.Issuer, ClientID: c.ClientID, Scopes: c.Scope}
	if err := c.files(&in); err != nil {
		return err
	}
	actor, _, err := a.in(c.Org)
	if err != nil {
		return err
	}
	made, err := a.opened.sso.CreateConnection(a.ctx, actor, in)
	if err != nil {
		return err
	}
	if made.Warning != "" {
		fmt.Fprintln(a.err, "muster: "+made.Warning)
	}
	if c.Protocol == "oidc" {
		return a.answer(struct {
			ID       sso.ConnectionID `json:"id"`
			Redirect string           `json:"redirect_url"`
			Login    string           `json:"login_url"`
			Status   string           `json:"status"`
		}{made.ID, made.Redirect, made.URLs.Login, made.Status},
			"Enter this at the identity provider:",
			"  Redirect URL  "+made.Redirect,
			"People sign in at "+made.URLs.Login)
	}
	return a.answer(struct {
		ID       sso.ConnectionID `json:"id"`
		ACS      string           `json:"acs_url"`
		EntityID string           `json:"entity_id"`
		Metadata string           `json:"metadata_url"`
		Login    string           `json:"login_url"`
		Status   string           `json:"status"`
	}{made.ID, made.ACS, made.EntityID, made.URLs.Metadata, made.URLs.Login, made.Status},
		"Enter these at the identity provider (or give it the metadata):",
		"  ACS URL    "+made.ACS,
		"  Entity ID  "+made.EntityID,
		"  Metadata   "+made.URLs.Metadata,
		"People sign in at "+made.URLs.Login)
}

// files reads what the flags name.
func (c connectionCreateCmd) files(in *sso.NewConnection) error {
	if c.Metadata != "" && c.Protocol == "oidc" || c.Protocol == "saml" && c.Issuer+c.ClientID+c.ClientSecretFile != "" {
		return usage{fmt.Errorf("--metadata belongs to --protocol saml; --issuer, --client-id and --client-secret-file to --protocol oidc")}
	}
	if strings.HasPrefix(c.Metadata, "https://") || strings.HasPrefix(c.Metadata, "http://") {
		in.MetadataURL = c.Metadata
	} else if c.Metadata != "" {
		text, err := readFile(c.Metadata, maxMetadata)
		if err != nil {
			return err
		}
		in.Metadata = text
	}
	if c.ClientSecretFile != "" {
		text, err := readFile(c.ClientSecretFile, 64<<10)
		if err != nil {
			return err
		}
		in.ClientSecret = strings.TrimRight(string(text), "\r\n")
	}
	return nil
}

// readFile reads a file that must not be larger than limit.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %s", name, reason(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %s", name, reason(err))
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is larger than %d kB", name, limit>>10)
	}
	return text, nil
}
