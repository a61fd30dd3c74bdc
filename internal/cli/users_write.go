package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

// userFlags are what commands have that change a user.
type userFlags struct {
	sourceFlags
	User string `arg:"" help:"Id or e-mail address of the user."`
	JSON bool   `name:"json" help:"Print what the API returns, as a JSON object."`
}

// onUser does something to a user, and says what was done.
func onUser[T any](
	ctx context.Context, p *process, f userFlags,
	do func(client *apiclient.Client, id string) (apiclient.Answer[T], error), done func(who string, answer *T) string,
) error {
	return p.withClient(ctx, f, withKeys(newStoredMirror), func(client *apiclient.Client) error {
		id, err := userID(ctx, client, f.User)
		if err != nil {
			return err
		}
		answer, err := do(client, id)
		if err != nil {
			return userError(f.User, err)
		}
		return p.said(f.JSON, answer.JSON, done(nameWithID(f.User, id), &answer.Value))
	})
}

// nameWithID names a user by the words of the caller, with the id.
func nameWithID(who, id string) string {
	if who == id {
		return harmless(id)
	}
	return harmless(who) + " (" + harmless(id) + ")"
}

// userError says which user was not found.
func userError(who string, err error) error {
	if errors.Is(err, mirror.ErrNotFound) {
		return &notFoundError{what: "user", id: who, list: "clerksync users list"}
	}
	return err
}

// where says where a change was made.
func where(w mirror.Written) string {
	if w.Where == mirror.Here {
		return " here only: without CLERK_SECRET_KEY, Clerk does not know of it"
	}
	return " at Clerk"
}

type userRoleCommand struct {
	userFlags
	Role string `arg:"" help:"The new role: one of the ladder (CLERKSYNC_ROLES)."`
}

// Help returns the text below the description.
func (userRoleCommand) Help() string {
	return `Example:

    clerksync users role ada@example.com growth

The role is public_metadata.role at Clerk; other metadata stay as they are. The next request sees the new role. Without ` +
		`CLERK_SECRET_KEY the role is overridden here alone (clerksync overrides).`
}

// Run gives a user a role.
func (c userRoleCommand) Run(ctx context.Context, p *process) error {
	return onUser(ctx, p, c.userFlags, func(client *apiclient.Client, id string) (apiclient.Answer[mirror.Written], error) {
		answer, err := client.SetRole(ctx, id, c.Role)
		if errors.Is(err, mirror.ErrInvalidRole) {
			err = usageError(err.Error())
		}
		return answer, err
	}, func(who string, w *mirror.Written) string {
		return who + " has the role " + harmless(c.Role) + where(*w) + "."
	})
}

// changeUserCommand is the part of commands that do something to a user.
type changeUserCommand struct{ userFlags }

func (c changeUserCommand) run(ctx context.Context, p *process, action apiclient.UserAction, done string) error {
	return onUser(ctx, p, c.userFlags, func(client *apiclient.Client, id string) (apiclient.Answer[mirror.Written], error) {
		return client.ChangeUser(ctx, id, action)
	}, func(who string, w *mirror.Written) string { return who + " is " + done + where(*w) + "." })
}

type banUserCommand struct{ changeUserCommand }

// Help returns the text below the description.
func (banUserCommand) Help() string {
	return `Example:

    clerksync users ban ada@example.com

A banned user cannot sign in, and Clerk ends the sessions. clerksync users unban lifts the ban. Without CLERK_SECRET_KEY the user is ` +
		`banned here alone (clerksync overrides).`
}

// Run bans a user.
func (c banUserCommand) Run(ctx context.Context, p *process) error {
	return c.run(ctx, p, apiclient.Ban, "banned")
}

type unbanUserCommand struct{ changeUserCommand }

// Help returns the text below the description.
func (unbanUserCommand) Help() string {
	return `Example:

    clerksync users unban ada@example.com`
}

// Run lifts the ban of a user.
func (c unbanUserCommand) Run(ctx context.Context, p *process) error {
	return c.run(ctx, p, apiclient.Unban, "no longer banned")
}

type lockUserCommand struct{ changeUserCommand }

// Help returns the text below the description.
func (lockUserCommand) Help() string {
	return `Example:

    clerksync users lock ada@example.com

A locked user cannot sign in for as long as the settings of the Clerk instance say. Sessions go on. It needs CLERK_SECRET_KEY.`
}

// Run keeps a user from signing in.
func (c lockUserCommand) Run(ctx context.Context, p *process) error {
	return c.run(ctx, p, apiclient.Lock, "locked")
}

type unlockUserCommand struct{ changeUserCommand }

// Help returns the text below the description.
func (unlockUserCommand) Help() string {
	return `Example:

    clerksync users unlock ada@example.com

It ends a lockout by an operator, or by Clerk after failed attempts to sign in. It needs CLERK_SECRET_KEY.`
}

// Run lets a user sign in again.
func (c unlockUserCommand) Run(ctx context.Context, p *process) error {
	return c.run(ctx, p, apiclient.Unlock, "no longer locked")
}

type revokeUserCommand struct{ userFlags }

// Help returns the text below the description.
func (revokeUserCommand) Help() string {
	return `Example:

    clerksync users revoke ada@example.com

The user is signed out everywhere, and may sign in again. clerksync sessions revoke ends one session.`
}

// Run ends all sessions of a user.
func (c revokeUserCommand) Run(ctx context.Context, p *process) error {
	return onUser(ctx, p, c.userFlags, func(client *apiclient.Client, id string) (apiclient.Answer[apiclient.Revoked], error) {
		return client.RevokeSessions(ctx, id)
	}, func(who string, r *apiclient.Revoked) string {
		switch r.Count {
		case 0:
			return who + " has no session that could be revoked."
		case 1:
			return "Revoked 1 session of " + who + where(r.Written) + "."
		}
		return fmt.Sprintf("Revoked %s sessions of %s%s.", grouped(int64(r.Count)), who, where(r.Written))
	})
}

type eraseUserCommand struct {
	userFlags
	Yes bool `help:"Erase without asking."`
}

// Help returns the text below the description.
func (eraseUserCommand) Help() string {
	return `Example:

    clerksync users erase ada@example.com

The user is deleted at Clerk. Rows, deliveries and copies in other rows lose the user's personal data. An empty row with the ids stays, ` +
		`so that late events do not bring the user back. Neither can be undone. Without CLERK_SECRET_KEY the user is erased here alone.

Exit code 0: erased, 1: failed, or the user was not found.`
}

const deleteAtClerk = "If Clerk still has this user, delete the user there too: Clerk dashboard, Users."

// Run erases one user.
func (c eraseUserCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, withKeys(newStoredMirror), func(client *apiclient.Client) error {
		id, err := userID(ctx, client, c.User)
		if err != nil {
			return err
		}
		who := nameWithID(c.User, id)
		if !c.Yes {
			question := "Delete " + who + " at Clerk, and permanently erase all data of the user here? Type yes: "
			if err := p.confirm(question, "Nothing was erased."); err != nil {
				return err
			}
		}
		erased, err := client.EraseUser(ctx, id)
		if err != nil {
			return userError(c.User, err)
		}
		if erased.Value.Where == mirror.Here {
			fmt.Fprintln(p.stderr, deleteAtClerk)
			return p.said(c.JSON, erased.JSON, "Erased "+who+" here.")
		}
		return p.said(c.JSON, erased.JSON, "Deleted "+who+" at Clerk, and erased the user here.")
	})
}

type revokeSessionsCommand struct {
	sourceFlags
	Sessions []string `arg:"" name:"session" help:"Ids of sessions (sess_…)."`
	JSON     bool     `name:"json" help:"Print what the API returns for each session, as JSON objects."`
}

// Help returns the text below the description.
func (revokeSessionsCommand) Help() string {
	return `Example:

    clerksync sessions revoke sess_2x…

The session ends at once. clerksync users revoke ends all sessions of a user, and clerksync jobs plan revoke_sessions those of many.`
}

// Run ends sessions, until one cannot be ended.
func (c revokeSessionsCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, withKeys(newStoredMirror), func(client *apiclient.Client) error {
		for _, id := range c.Sessions {
			revoked, err := client.RevokeSession(ctx, id)
			if errors.Is(err, mirror.ErrNotFound) {
				return &notFoundError{what: "session", id: id, list: "clerksync sessions list"}
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

type overridesCommand struct {
	List   listOverridesCommand  `cmd:"" default:"withargs" help:"List what was set here because Clerk could not be asked."`
	Remove removeOverrideCommand `cmd:"" help:"Let what Clerk says hold again."`
}

type listOverridesCommand struct {
	listFlags
	sourceFlags
	User string `help:"Only overrides of this user: an id or an e-mail address." placeholder:"USER"`
}

// Help returns the text below the description.
func (listOverridesCommand) Help() string {
	return `Example:

    clerksync overrides list

Without CLERK_SECRET_KEY, a role, a ban and a revoked session are set here alone, and hold instead of what Clerk says.`
}

// Run lists overrides.
func (c listOverridesCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		id, err := userID(ctx, client, c.User)
		if err != nil {
			return err
		}
		none := "There are no overrides: everything is as Clerk says."
		if c.User != "" {
			none = "No override matches."
		}
		return printList(ctx, p, c.listFlags, listing[mirror.Override]{
			columns: []column{
				{name: "OBJECT"},
				{name: "FIELD"},
				{name: "HERE", shrink: true},
				{name: "AT CLERK", shrink: true},
				{name: "SET", drop: 1},
				{name: "BY", shrink: true, drop: 2},
				{name: "REASON", shrink: true, drop: 3},
			},
			row: func(l look, o *mirror.Override) []string {
				return []string{
					cell(o.ID), cell(string(o.Field)), cell(o.Value), cell(o.ClerkValue), l.when(o.CreatedAt), cell(o.CreatedBy), cell(o.Reason),
				}
			},
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.Override]], error) {
				return client.Overrides(ctx, mirror.OverrideFilter{ID: id, After: after, Limit: limit})
			},
			none: none,
		})
	})
}

type removeOverrideCommand struct {
	sourceFlags
	Object string `arg:"" help:"Id of a user or a session, or the e-mail address of a user."`
	Field  string `arg:"" enum:"role,banned,status" help:"The field: role, banned or status."`
	JSON   bool   `name:"json" help:"Print what the API returns, as a JSON object."`
}

// Help returns the text below the description.
func (removeOverrideCommand) Help() string {
	return `Example:

    clerksync overrides remove ada@example.com role`
}

// Run removes an override.
func (c removeOverrideCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newStoredMirror, func(client *apiclient.Client) error {
		id, err := userID(ctx, client, c.Object)
		if err != nil {
			return err
		}
		kind := clerk.KindUser
		if strings.HasPrefix(id, "sess_") {
			kind = clerk.KindSession
		}
		removed, err := client.RemoveOverride(ctx, kind, id, mirror.OverrideField(c.Field))
		if errors.Is(err, mirror.ErrNotFound) {
			return fmt.Errorf("%s of %s is not overridden\nSearch: clerksync overrides list", c.Field, harmless(c.Object))
		}
		if err != nil {
			return err
		}
		return p.said(c.JSON, removed.JSON, fmt.Sprintf("The %s of %s is what Clerk says again.", c.Field, nameWithID(c.Object, id)))
	})
}
