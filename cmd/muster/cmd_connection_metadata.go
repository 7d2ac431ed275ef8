package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/muster-id/muster/internal/access"
	"github.com/muster-id/muster/sso"
)

type connectionMetadataCmd struct {
	Show    connectionMetadataShowCmd    `cmd:"" help:"Show when the metadata was read, and which change waits."`
	Refresh connectionMetadataRefreshCmd `cmd:"" help:"Read it again now."`
	Approve connectionMetadataApproveCmd `cmd:"" help:"Take a waiting change over."`
	Reject  connectionMetadataRejectCmd  `cmd:"" help:"Turn a waiting change down."`
}

type metadataDo func(ctx context.Context, actor access.Actor, id sso.ConnectionID) (sso.MetadataState, error)

func (a *app) onMetadata(typed string, do func(h *system) metadataDo) error {
	actor, c, err := a.connection(typed)
	if err != nil {
		return err
	}
	s, err := do(a.opened)(a.ctx, actor, c.ID)
	if err != nil {
		return err
	}
	texts := []string{"Metadata URL  " + s.URL, "Last read     " + s.ReadAt}
	if s.Problem != "" {
		texts = append(texts, "Problem       "+s.Problem+" (since "+s.Since+")")
	}
	if p := s.Pending; p != nil {
		texts = append(texts, "A change waits since "+p.Since+", version "+p.Version+":")
		for _, r := range p.Reasons {
			texts = append(texts, "  "+r)
		}
		line := func(name, before, after string) {
			if before != after {
				texts = append(texts, fmt.Sprintf("  %-15s %s  ->  %s", name, before, after))
			}
		}
		line("entity ID", p.Before.EntityID, p.After.EntityID)
		line("SSO redirect", p.Before.SSORedirect, p.After.SSORedirect)
		line("SSO POST", p.Before.SSOPost, p.After.SSOPost)
		line("SLO redirect", p.Before.SLORedirect, p.After.SLORedirect)
		line("SLO POST", p.Before.SLOPost, p.After.SLOPost)
		line("certificates", strings.Join(p.Before.Certificates, " "), strings.Join(p.After.Certificates, " "))
	}
	return a.answer(s, texts...)
}

type connectionMetadataShowCmd connectionShowCmd

func (c connectionMetadataShowCmd) Run(a *app) error {
	return a.onMetadata(c.Connection, func(h *system) metadataDo { return h.sso.MetadataState })
}

type connectionMetadataRefreshCmd connectionShowCmd

func (c connectionMetadataRefreshCmd) Run(a *app) error {
	return a.onMetadata(c.Connection, func(h *system) metadataDo { return h.sso.Refresh })
}

type connectionMetadataApproveCmd struct {
	Connection string `required:"" placeholder:"ID" help:"The connection's id."`
	Version    string `required:"" placeholder:"VERSION" help:"The version that \"muster connection metadata show\" printed."`
}

func (c connectionMetadataApproveCmd) Run(a *app) error {
	return a.onMetadata(c.Connection, func(h *system) metadataDo {
		return func(ctx context.Context, actor access.Actor, id sso.ConnectionID) (sso.MetadataState, error) {
			return h.sso.ApproveMetadata(ctx, actor, id, c.Version)
		}
	})
}

type connectionMetadataRejectCmd connectionMetadataApproveCmd

func (c connectionMetadataRejectCmd) Run(a *app) error {
	return a.onMetadata(c.Connection, func(h *system) metadataDo {
		return func(ctx context.Context, actor access.Actor, id sso.ConnectionID) (sso.MetadataState, error) {
			return h.sso.RejectMetadata(ctx, actor, id, c.Version)
		}
	})
}
