package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type keysCommand struct {
	List        listKeysCommand        `cmd:"" help:"List the API keys of a user or an organization, or the M2M tokens of a machine."`
	Revoke      revokeKeysCommand      `cmd:"" help:"Revoke API keys and tokens."`
	Revocations listRevocationsCommand `cmd:"" help:"List what was revoked here, the latest first."`
}

type listKeysCommand struct {
	sourceFlags
	Subject string `arg:"" help:"A user (an id, user_…, or an e-mail address), an organization (org_…) or a machine (mch_…)."`
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
		subject, err := userID(ctx, client, c.Subject)
		if err != nil {
			return err
		}
		read := func(ctx context.Context) (apiclient.Answer[apiclient.Page[mirror.Key]], error) {
			return client.Keys(ctx, subject)
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
	Subject string   `help:"All keys and tokens of a user (an id or an e-mail address), an organization (org_…) or a machine (mch_…) that were made until now." placeholder:"ID"`
	Expires expiry   `help:"When JWTs expire: their claim exp, or a time (RFC 3339). A day later the revocation is removed." placeholder:"TIME"`
	JSON    bool     `name:"json" help:"Print what the API returns for each key, as JSON objects."`
}

// Help returns the text below the description.
func (revokeKeysCommand) Help() string {
	return `Examples:

    clerksync keys revoke ak_2x…
    clerksync keys revoke --subject user_2x…
    clerksync keys revoke --expires 1767225600 9c1f…

All servers refuse the keys within a second. API keys and opaque M2M tokens are revoked at Clerk, too. That cannot be undone.`
}

// Run revokes keys, until one cannot be revoked.
func (c revokeKeysCommand) Run(ctx context.Context, p *process) error {
	if (len(c.Keys) == 0) == (c.Subject == "") {
		return usageError("name keys, or a subject with --subject")
	}
	if c.Subject != "" && !c.Expires.IsZero() {
		return usageError("--expires is about JWTs that are named, and not about a subject")
	}
	return p.withClient(ctx, c, withKeys(newStoredMirror), func(client *apiclient.Client) error {
		if c.Subject != "" {
			subject, err := userID(ctx, client, c.Subject)
			if err != nil {
				return err
			}
			revoked, err := client.RevokeKeys(ctx, subject)
			if err != nil {
				return err
			}
			return p.said(c.JSON, revoked.JSON, fmt.Sprintf("Revoked the keys and tokens of %s%s. Valid at Clerk were %d.",
				harmless(subject), revokedWhere(revoked.Value.Written), revoked.Value.Count))
		}
		for _, id := range c.Keys {
			revoked, err := client.RevokeKey(ctx, id, c.Expires.Time)
			if err == nil {
				err = p.said(c.JSON, revoked.JSON, "Revoked "+harmless(id)+revokedWhere(revoked.Value)+".")
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// revokedWhere returns a sentence about who knows of a revocation. Clerk cannot revoke what it does
// not store.
func revokedWhere(w mirror.Written) string {
	if w.Where == mirror.Here {
		return " here, and not at Clerk"
	}
	return " here and at Clerk"
}

// expiry is a time in a flag: RFC 3339, or seconds since 1970, as tokens have it.
type expiry struct{ time.Time }

// UnmarshalText reads a time.
func (e *expiry) UnmarshalText(text []byte) (err error) {
	if seconds, failed := strconv.ParseInt(string(text), 10, 64); failed == nil && seconds > 0 && seconds < maxExpiry {
		e.Time = time.Unix(seconds, 0)
		return nil
	}
	if e.Time, err = time.Parse(time.RFC3339, string(text)); err != nil || e.Unix() <= 0 {
		return errors.New("use the claim exp of the JWT, such as 1767225600, or a time such as 2026-01-01T00:00:00Z")
	}
	return nil
}

// maxExpiry is the end of the year 9999, in seconds since 1970. What is greater is no time in
// seconds.
const maxExpiry = 253_402_300_800

type listRevocationsCommand struct {
	listFlags
	sourceFlags
	ID string `help:"Only the revocation of this key, token or subject." placeholder:"ID"`
}

// Help returns the text below the description.
func (listRevocationsCommand) Help() string {
	return `Examples:

    clerksync keys revocations
    clerksync keys revocations --id user_2x…

ENDS is when a revocation is removed, because nothing would accept the key without it. "never" means that this is not known.`
}

// Run lists revocations.
func (c listRevocationsCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		none := "Nothing was revoked here."
		if c.ID != "" {
			none = harmless(c.ID) + " was not revoked here."
		}
		return printList(ctx, p, c.listFlags, listing[mirror.Revocation]{
			columns: []column{{name: "ID"}, {name: "WHAT"}, {name: "REVOKED"}, {name: "ENDS"}}, row: revocationRow, none: none,
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.Revocation]], error) {
				return client.Revocations(ctx, mirror.RevocationFilter{ID: c.ID, After: after, Limit: limit})
			},
		})
	})
}

func revocationRow(l look, r *mirror.Revocation) []string {
	what, ends := "key or token", "never"
	if r.IsSubject {
		what = "all until then"
	}
	if !r.EndsAt.IsZero() {
		ends = l.when(r.EndsAt)
	}
	return []string{cell(r.ID), what, l.when(r.RevokedAt), ends}
}
