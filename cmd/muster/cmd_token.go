package main

import (
	"fmt"
	"time"

	"github.com/muster-id/muster/scim"
	"github.com/muster-id/muster/store"
)

type directoryTokenCmd struct {
	Create directoryTokenCreateCmd `cmd:"" help:"Make one more token; the others go on."`
	List   directoryTokenListCmd   `cmd:"" help:"List the tokens of a directory."`
	Revoke directoryTokenRevokeCmd `cmd:"" help:"End one token at once."`
	Rotate directoryRotateCmd      `cmd:"" help:"Make a new token; the old ones work for the grace time."`
}

type directoryTokenCreateCmd struct {
	Directory string        `required:"" placeholder:"ID" help:"The directory's id."`
	Name      string        `default:"Command line" help:"Who uses it, shown in lists and in the activity log."`
	Expires   time.Duration `default:"0s" help:"How long it works, such as 2160h; 0s: until it is revoked."`
	Allow     string        `placeholder:"CIDR,..." help:"Only from these addresses or networks."`
}

// howUsed says of a token or client when it was used, when it ends, and from where it works.
func howUsed(at, from, ends, allow string) string {
	text := "never used"
	if at != "" {
		text = "used " + at + " from " + from
	}
	if ends != "" {
		text += ", ends " + ends
	}
	if allow != "" {
		text += ", only from " + allow
	}
	return text
}

func (c directoryTokenCreateCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	var out scim.TokenInfo
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error {
		token, t, err := scim.CreateToken(tx, d.ID, scim.NewToken{Name: c.Name, Expires: c.Expires, Allow: c.Allow})
		out = t.Info(token)
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(out, "Enter the token at the directory. It is shown this once.", "  Token  "+out.Token, "  Id     "+out.ID)
}

type directoryTokenListCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
}

func (c directoryTokenListCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	rows, lines := []scim.TokenInfo{}, []string{}
	err = a.opened.db.Read(a.ctx, actor, func(tx *store.Tx) error {
		list, err := scim.Tokens(tx, d.ID)
		for _, t := range list {
			row := t.Info("")
			rows = append(rows, row)
			lines = append(lines, fmt.Sprintf("%s  %-24s %s", row.ID, row.Name, howUsed(row.LastUsedAt, row.LastUsedFrom, row.ExpiresAt, row.Allow)))
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(rows, lines...)
}

type directoryTokenRevokeCmd struct {
	Directory string `required:"" placeholder:"ID" help:"The directory's id."`
	Token     string `arg:"" help:"The token's id, from muster directory token list."`
}

func (c directoryTokenRevokeCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	if err := a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) error { return scim.RevokeToken(tx, d.ID, c.Token) }); err != nil {
		return err
	}
	return a.answer(map[string]string{"id": c.Token}, "The token no longer works.")
}

type directoryRotateCmd struct {
	Directory string        `required:"" placeholder:"ID" help:"The directory's id."`
	Grace     time.Duration `default:"24h" help:"How long the old tokens go on."`
	Token     string        `arg:"" optional:"" help:"Replace this one alone (id from muster directory token list); the new one has its name, allow-list and lifetime."`
}

func (c directoryRotateCmd) Run(a *app) error {
	actor, d, err := a.directory(c.Directory)
	if err != nil {
		return err
	}
	var token string
	var ends store.Time
	err = a.opened.db.Write(a.ctx, actor, func(tx *store.Tx) (err error) {
		if c.Token != "" {
			token, ends, err = scim.RotateToken(tx, d.ID, c.Token, c.Grace)
		} else {
			token, ends, err = scim.Rotate(tx, d.ID, c.Grace)
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.answer(struct {
		Token             string `json:"token"`
		PreviousExpiresAt string `json:"previous_expires_at"`
	}{token, ends.RFC3339()},
		"Enter the new token at the directory. It is shown this once.",
		"  Token  "+token,
		fmt.Sprintf("The old one works until %s.", ends.RFC3339()))
}
