package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type sessionsCommand struct {
	List   listSessionsCommand   `cmd:"" default:"withargs" help:"List sessions, newest first."`
	Show   showSessionCommand    `cmd:"" help:"Show a session."`
	Revoke revokeSessionsCommand `cmd:"" help:"End sessions."`
}

type listSessionsCommand struct {
	listFlags
	sourceFlags
	User   string `help:"Only sessions of this user: an id or an e-mail address." placeholder:"USER"`
	Status string `help:"Only sessions with this status: active, pending, ended, expired, removed, replaced, revoked, abandoned." enum:",active,pending,ended,expired,removed,replaced,revoked,abandoned" default:"" placeholder:"STATUS"`
}

// Help returns the text below the description.
func (listSessionsCommand) Help() string {
	return `Examples:

    clerksync sessions list --user ada@example.com
    clerksync sessions list --status active --all --json | jq -r .clerk_session_id

Clerk sends no event when a session expires: EXPIRES says when that is.`
}

// Run lists sessions.
func (c listSessionsCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		user, err := userID(ctx, client, c.User)
		if err != nil {
			return err
		}
		none := "There are no sessions."
		if c.User != "" || c.Status != "" {
			none = "No session matches."
		}
		return printList(ctx, p, c.listFlags, listing[mirror.Session]{
			columns: sessionColumns(true), row: sessionRow(true),
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.Session]], error) {
				return client.Sessions(ctx, mirror.SessionFilter{ClerkUserID: user, Status: mirror.SessionStatus(c.Status), After: after, Limit: limit})
			},
			none: none,
		})
	})
}

type showSessionCommand struct {
	sourceFlags
	Session string `arg:"" help:"Id of the session (sess_…)."`
	Wide    bool   `help:"Show exact times."`
	JSON    bool   `name:"json" help:"Print the JSON object of GET /api/sessions/{id}."`
}

// Help returns the text below the description.
func (showSessionCommand) Help() string {
	return `Example:

    clerksync sessions show sess_2x…`
}

// Run shows a session.
func (c showSessionCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		detail, err := client.Session(ctx, c.Session)
		if errors.Is(err, mirror.ErrNotFound) {
			return &notFoundError{what: "session", id: c.Session, list: "clerksync sessions list"}
		}
		if err != nil {
			return err
		}
		if c.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", detail.JSON)
			return err
		}
		s, l, actor := &detail.Value.Session, p.look(c.Wide), ""
		if string(s.Actor) != "null" {
			actor = harmless(string(s.Actor))
		}
		return l.fields(p, []field{
			{"session", cell(s.ClerkSessionID)},
			{"user", cell(s.ClerkUserID)},
			{"status", l.sessionStatus(s)},
			{"client", cell(s.ClientID)},
			{"organization", cell(s.ClerkOrganizationID)},
			{"impersonated by", actor},
			{"last active", l.when(s.LastActiveAt)},
			{"expires", l.when(s.ExpireAt)},
			{"abandoned", l.when(s.AbandonAt)},
			{"created", l.when(s.CreatedAt)},
			{"updated", l.when(s.UpdatedAt)},
		})
	})
}

// sessionColumns returns the columns of sessions, with those of the user if they are of several.
func sessionColumns(users bool) []column {
	list := []column{{name: "SESSION"}}
	if users {
		list = append(list, column{name: "USER"})
	}
	return append(list, column{name: "STATUS"}, column{name: "LAST ACTIVE", drop: 2}, column{name: "EXPIRES", drop: 3}, column{name: "CREATED", drop: 4})
}

func sessionRow(users bool) func(look, *mirror.Session) []string {
	return func(l look, s *mirror.Session) []string {
		row := []string{cell(s.ClerkSessionID)}
		if users {
			row = append(row, cell(s.ClerkUserID))
		}
		return append(row, l.sessionStatus(s), l.when(s.LastActiveAt), l.when(s.ExpireAt), l.when(s.CreatedAt))
	}
}

// sessionStatus returns the status of a session; one that is past its end says so.
func (l look) sessionStatus(s *mirror.Session) string {
	switch {
	case s.Usable() && !s.ExpireAt.IsZero() && !l.now.Before(s.ExpireAt):
		return l.paint(faint, "expired")
	case s.Status == mirror.SessionActive:
		return l.paint(green, "active")
	case s.Status == mirror.SessionRevoked:
		return l.paint(red, "revoked")
	}
	return cell(string(s.Status))
}

// userID returns the id of a user who was named by an id or an e-mail address. It is empty for no
// name. An id is not looked up: what belongs to a deleted user can be listed.
func userID(ctx context.Context, client *apiclient.Client, who string) (string, error) {
	if !isEmail(who) {
		return who, nil
	}
	return userByEmail(ctx, client, who)
}
