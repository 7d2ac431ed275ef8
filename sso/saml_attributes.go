package sso

// attributeMap says under which names an assertion carries a profile. Lists
// are tried in order and the first name with a value wins.
type attributeMap struct {
	// Subject lists alternatives for the immutable key; several names in one
	// alternative are joined. When none is there the NameID is used.
	Subject     [][]string `json:"subject,omitempty"`
	UserName    []string   `json:"user_name,omitempty"`
	Email       []string   `json:"email,omitempty"`
	GivenName   []string   `json:"given_name,omitempty"`
	FamilyName  []string   `json:"family_name,omitempty"`
	DisplayName []string   `json:"display_name,omitempty"`
	Groups      []string   `json:"groups,omitempty"`
}
