package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type listUsersCommand struct {
	listFlags
	sourceFlags
	Search       string `arg:"" optional:"" help:"An id, or the beginning of a name, a user name or an e-mail address."`
	Role         string `help:"Only users with this role." placeholder:"ROLE"`
	Organization string `help:"Only members of this organization (org_…)." placeholder:"ID"`
	Inactive     bool   `help:"Only users who are banned or deprovisioned." xor:"active"`
	Active       bool   `help:"Only users who are neither." xor:"active"`
}

// Help returns the text below the description.
func (listUsersCommand) Help() string {
	return `Examples:

    clerksync users list
    clerksync users list ada
    clerksync users list --role admin --json | jq -r '.data[].email'

Newest first; with a search, in the order of what was found.`
}

// Run lists users.
func (c listUsersCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	f := mirror.UserFilter{Search: c.Search, Role: c.Role, OrganizationID: c.Organization}
	if c.Active || c.Inactive {
		f.Active = &c.Active
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		return printList(ctx, p, c.listFlags, listing[mirror.User]{
			columns: userColumns(), row: userRow,
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.User]], error) {
				f := f
				f.After, f.Limit = after, limit
				return client.Users(ctx, f)
			},
			none: c.nothing(),
		})
	})
}

// nothing says that the list is empty, and what may be the reason.
func (c listUsersCommand) nothing() string {
	if c.Search != "" {
		return fmt.Sprintf("No user is found by %q. A search finds ids, and how names, words of names and e-mail addresses begin.", harmless(c.Search))
	}
	if c.Role != "" || c.Organization != "" || c.Active || c.Inactive {
		return "No user matches."
	}
	return "There are no users yet. clerksync status says whether the mirror has been filled."
}

func userColumns() []column {
	return []column{
		{name: "USER"},
		{name: "EMAIL", shrink: true},
		{name: "NAME", shrink: true, drop: 2},
		{name: "ROLE", shrink: true},
		{name: "STATE"},
		{name: "LAST ACTIVE", drop: 3},
		{name: "CREATED", wide: true},
	}
}

func userRow(l look, u *mirror.User) []string {
	return []string{
		cell(u.ClerkUserID), cell(u.Email), cell(nameOf(u)), cell(u.Role), l.userState(u), l.when(u.LastActiveAt), l.when(u.CreatedAt),
	}
}

func nameOf(u *mirror.User) string {
	if name := join(" ", u.FirstName, u.LastName); name != "" {
		return name
	}
	return u.Username
}

// userState returns the state of a user in a word.
func (l look) userState(u *mirror.User) string {
	switch {
	case u.Banned:
		return l.paint(red, "banned")
	case !u.IsActive:
		return l.paint(red, "inactive")
	case u.Locked:
		return l.paint(yellow, "locked")
	case u.Stub:
		return l.paint(faint, "stub")
	}
	return "active"
}

type showUserCommand struct {
	sourceFlags
	User string `arg:"" help:"Id or e-mail address of the user."`
	Wide bool   `help:"Show exact times and all columns."`
	JSON bool   `name:"json" help:"Print the JSON object of GET /api/users/{id}."`
}

// Help returns the text below the description.
func (showUserCommand) Help() string {
	return `Examples:

    clerksync users show ada@example.com
    clerksync users show user_2x… --json | jq .user

It shows the user with the latest sessions and memberships.`
}

// Run shows a user.
func (c showUserCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		detail, err := findUser(ctx, client, c.User)
		if err != nil {
			return err
		}
		if c.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", detail.JSON)
			return err
		}
		return p.look(c.Wide).user(p, &detail.Value)
	})
}

// findUser returns the user with an id or an e-mail address.
func findUser(ctx context.Context, client *apiclient.Client, who string) (detail apiclient.Answer[apiclient.UserDetail], err error) {
	id := who
	if isEmail(who) {
		if id, err = userByEmail(ctx, client, who); err != nil {
			return detail, err
		}
	}
	detail, err = client.User(ctx, id)
	if errors.Is(err, mirror.ErrNotFound) {
		err = &notFoundError{what: "user", id: who, list: "clerksync users list"}
	}
	return detail, err
}

// userByEmail returns the id of the user with a primary e-mail address.
func userByEmail(ctx context.Context, client *apiclient.Client, email string) (id string, err error) {
	var ids []string
	filter := mirror.UserFilter{Search: email, Limit: maxPage}
	for range 10 { // a page may be shorter although there are more
		page, err := client.Users(ctx, filter)
		if err != nil {
			return "", err
		}
		for i := range page.Value.Data {
			if u := &page.Value.Data[i]; strings.EqualFold(u.Email, email) {
				ids = append(ids, u.ClerkUserID)
			}
		}
		if filter.After = page.Value.Next; filter.After == "" || len(ids) > 0 {
			break
		}
	}
	switch len(ids) {
	case 0:
		return "", &notFoundError{what: "user", id: email, list: "clerksync users list"}
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%s is the address of %d users: %s\nName the one that you mean by its id", harmless(email), len(ids), strings.Join(ids, ", "))
}

// notFoundError means that there is no object with an id.
type notFoundError struct{ what, id, list string }

// Error says what was not found, and how to look for it.
func (e *notFoundError) Error() string {
	text := fmt.Sprintf("%s %q not found", e.what, harmless(e.id))
	if e.list != "" {
		text += "\nSearch: " + e.list
	}
	return text
}

// Is reports that nothing was found.
func (e *notFoundError) Is(target error) bool { return target == mirror.ErrNotFound }

// user prints a user with what belongs to it.
func (l look) user(p *process, d *apiclient.UserDetail) error {
	u := &d.User
	state := l.userState(u)
	if u.Locked && !u.LockedUntil.IsZero() {
		state += ", until " + l.when(u.LockedUntil)
	}
	metadata := string(u.PublicMetadata)
	if metadata == "{}" || metadata == "null" {
		metadata = ""
	}
	err := l.fields(p, []field{
		{"user", cell(u.ClerkUserID)},
		{"row id", u.ID},
		{"name", cell(join(" ", u.FirstName, u.LastName))},
		{"user name", cell(u.Username)},
		{"e-mail", cell(u.Email)},
		{"external id", cell(u.ExternalID)},
		{"role", cell(u.Role)},
		{"state", state},
		{"last active", l.when(u.LastActiveAt)},
		{"last sign-in", l.when(u.LastLoginAt)},
		{"created", l.when(u.CreatedAt)},
		{"updated", l.when(u.UpdatedAt)},
		{"metadata", harmless(metadata)},
	})
	if err != nil {
		return err
	}
	if err := sub(p, l, "Sessions", sessionColumns(false), d.Sessions.Data, d.Sessions.Next != "", sessionRow(false)); err != nil {
		return err
	}
	columns := []column{{name: "ORGANIZATION"}, {name: "NAME", shrink: true}, {name: "ROLE"}, {name: "SINCE"}, {name: "PERMISSIONS", shrink: true, drop: 1}}
	return sub(p, l, "Memberships", columns, d.Memberships.Data, d.Memberships.Next != "", func(l look, m *apiclient.Membership) []string {
		name := ""
		if m.Organization != nil {
			name = m.Organization.Name
		}
		return []string{
			cell(m.Membership.ClerkOrganizationID), cell(name), cell(m.Membership.Role), l.when(m.Membership.CreatedAt),
			cell(strings.Join(m.Membership.Permissions, ", ")),
		}
	})
}

// isEmail reports whether a text is an e-mail address and not an id.
func isEmail(text string) bool { return strings.Contains(text, "@") }
