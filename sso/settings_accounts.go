package sso

// AccountsConfig is how a connection finds and makes accounts, beside the mapping.
type AccountsConfig struct {
	UserNamesFixed bool `json:"user_names_fixed,omitempty"`
	NoLinkByMail   bool `json:"no_link_by_mail,omitempty"`

	// Subject is what people are known by after a re-key, Rekey what a running one
	// changes it to; see rekey.go. Empty: the preset.
	Subject string `json:"subject,omitempty"`
	Rekey   string `json:"rekey,omitempty"`
}

var accountSettings = []Setting{
	{Key: "no_link_by_mail", Group: "Accounts", Label: "Never ask an address whether to link", Kind: KindSwitch,
		Help: "Where an address alone is not proof enough, its mailbox gets a one-time link. With this, the person is refused instead.",
		at:   func(c *Connection) any { return &c.Config.NoLinkByMail }},
	{Key: "user_names_fixed", Protocol: protocolOIDC, Group: "Accounts", Label: "User names never change", Kind: KindSwitch,
		Help: "Nobody can choose their own preferred_username at the provider, so it may find a person whom a directory sent.",
		at:   func(c *Connection) any { return &c.Config.UserNamesFixed }},
}
