package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type keysCommand struct {
	List   listKeysCommand   `cmd:"" help:"List the API keys of a user or an organization, or the M2M tokens of a machine."`
	Revoke revokeKeysCommand `cmd:"" help:"Revoke API keys and tokens."`
}

type listKeysCommand struct {
	sourceFlags
	Subject string `arg:"" help:"Id of a user (user_…), an organization (org_…) or a machine (mch_…)."`
	Wide    bool   `help:"Show all columns and exact times."`
	JSON    bool   `name:"json" help:"Print the JSON object of GET /api/keys."`
}

// Help returns the text below the description.
func (listKeysCommand) Help() string {
	return `Example:

    clerksync keys list user_2x…

It needs CLERK_SECRET_KEY: keys are listed by Clerk, which lists neither OAuth tokens nor JWTs. LAST USED is when Clerk verified a key last.`
}

// Run lists keys.
func (c listKeysCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, withSecretKey(newReader), func(client *apiclient.Client) error {
		read := func(ctx context.Context) (apiclient.Answer[apiclient.Page[mirror.Key]], error) {
			return client.Keys(ctx, c.Subject)
		}
		return printWhole(ctx, p, c.JSON, c.Wide, read, listing[mirror.Key]{
			columns: []column{
				{name: "KEY"},
				{name: "STATE"},
				{name: "NAME", shrink: true},
				{name: "SCOPES", shrink: true, drop: 1},
				{name: "EXPIRES", drop: 2},
				{name: "LAST USED", drop: 3},
				{name: "CREATED", drop: 4},
				{name: "BY", drop: 5},
			},
			row: keyRow, none: "Clerk lists no keys of " + harmless(c.Subject) + ".",
		})
	})
}

func keyRow(l look, k *mirror.Key) []string {
	state, expires, used := cell(string(k.State)), "never", "never"
	switch k.State {
	case mirror.KeyActive:
		state = l.paint(green, state)
	case mirror.KeyRevoked:
		state = l.paint(red, state)
	default:
	}
	if !k.ExpiresAt.IsZero() {
		expires = l.when(k.ExpiresAt)
	}
	if !k.LastUsedAt.IsZero() {
		used = l.when(k.LastUsedAt)
	}
	return []string{cell(k.ID), state, cell(k.Name), cell(strings.Join(k.Scopes, " ")), expires, used, l.when(k.CreatedAt), cell(k.CreatedBy)}
}

type revokeKeysCommand struct {
	sourceFlags
	Keys    []string `arg:"" optional:"" name:"key" help:"Ids of keys or tokens (ak_…, mt_…, oat_…), or the claims jti of JWTs."`
	Subject string   `help:"All keys and tokens of a user (user_…), an organization (org_…) or a machine (mch_…) that were made until now." placeholder:"ID"`
	JSON    bool     `name:"json" help:"Print what the API returns for each key, as JSON objects."`
}

// Help returns the text below the description.
func (revokeKeysCommand) Help() string {
	return `Examples:

    clerksync keys revoke ak_2x…
    clerksync keys revoke --subject user_2x…

All servers refuse the keys within a second. API keys and opaque M2M tokens are revoked at Clerk, too. That cannot be undone.`
}

// Run revokes keys, until one cannot be revoked.
func (c revokeKeysCommand) Run(ctx context.Context, p *process) error {
	if (len(c.Keys) == 0) == (c.Subject == "") {
		return usageError("name keys, or a subject with --subject")
	}
	return p.withClient(ctx, c, withKeys(newStoredMirror), func(client *apiclient.Client) error {
		if c.Subject != "" {
			revoked, err := client.RevokeKeys(ctx, c.Subject)
			if err != nil {
				return err
			}
			return p.said(c.JSON, revoked.JSON, fmt.Sprintf("Revoked the keys and tokens of %s%s. Valid at Clerk were %d.",
				harmless(c.Subject), where(revoked.Value.Written), revoked.Value.Count))
		}
		for _, id := range c.Keys {
			revoked, err := client.RevokeKey(ctx, id)
			if errors.Is(err, mirror.ErrNotFound) {
				return &notFoundError{what: "key", id: id, list: "clerksync keys list SUBJECT"}
			}
			if err == nil {
				err = p.said(c.JSON, revoked.JSON, "Revoked "+harmless(id)+where(revoked.Value)+".")
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
