package sso

import (
	"context"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/internal/fault"
	"github.com/muster-id/muster/sso/answer"
	"github.com/muster-id/muster/sso/saml"
	"github.com/muster-id/muster/store"
)

// PreviewAttributes is Preview for attributes that somebody has pasted, by name as
// the provider sends them. The NameID of an assertion goes by the name NameID.
// Faults: Denied, NotFound, Invalid on "attributes".
func (d *Door) PreviewAttributes(ctx context.Context, actor access.Actor, id ConnectionID, attributes map[string][]string) (out Outcome, err error) {
	var c Connection
	err = d.opts.DB.Read(ctx, actor, func(tx *store.Tx) (err error) {
		if err := tx.Require(access.Configure); err != nil {
			return err
		}
		c, err = connectionIn(tx, id)
		return err
	})
	if err != nil {
		return out, err
	}
	p := pasted(c, attributes)
	if p.Subject == "" {
		return out, fault.Invalid.On("attributes", "There is no %s among them, so nobody could be known by it.", subjectName(c))
	}
	return d.Preview(ctx, actor, id, p)
}

func subjectName(c Connection) string {
	if c.Protocol == protocolOIDC {
		return "sub"
	}
	return "NameID"
}

// pasted reads a person out of attributes as the protocol's own reader would.
func pasted(c Connection, attributes map[string][]string) answer.Profile {
	get := func(names ...string) string {
		for _, name := range names {
			for _, v := range attributes[name] {
				if v = strings.TrimSpace(v); v != "" {
					return v
				}
			}
		}
		return ""
	}
	p := answer.Profile{Attributes: attributes}
	lists := []string{groupList}
	if c.Protocol == protocolOIDC {
		p.Subject, p.SubjectKind, p.Email, p.UserName = get("sub"), "sub", get("email"), get("preferred_username")
		p.GivenName, p.FamilyName, p.DisplayName = get("given_name"), get("family_name"), get("name")
		p.Keys = nonEmpty(p.Subject)
		if oid, tid := get("oid"), get("tid"); c.Vendor == "entra" && oid != "" && tid != "" {
			p.Subject, p.SubjectKind, p.Keys = oid+"@"+tid, "oid+tid", []string{oid}
		}
		switch strings.ToLower(get("email_verified", "xms_edov")) {
		case "true", "1":
			p.EmailSaid = answer.SaidYes
		case "false", "0":
			p.EmailSaid = answer.SaidNo
		}
	} else {
		m := saml.AttributesFor(c.Vendor)
		lists = m.Groups
		p.Subject, p.SubjectKind = get("NameID"), saml.SubjectNameID
		p.NameID.Value = p.Subject
		for _, names := range m.Subject {
			var parts []string
			for _, name := range names {
				if v := get(name); v != "" {
					parts = append(parts, v)
				}
			}
			if len(parts) == len(names) {
				p.Subject, p.SubjectKind = strings.Join(parts, "/"), "attribute:"+strings.Join(names, "+")
				break
			}
		}
		p.Email, p.GivenName, p.FamilyName, p.DisplayName = get(m.Email...), get(m.GivenName...), get(m.FamilyName...), get(m.DisplayName...)
		p.UserName = orElse(get(m.UserName...), p.Email)
		p = samlArrival(p)
	}
	for _, name := range lists {
		if list, sent := attributes[name]; sent {
			p.Groups, p.GroupsKnown = list, true
			break
		}
	}
	return p
}
