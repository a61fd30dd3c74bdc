package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/mirror"
)

type organizationsCommand struct {
	List listOrganizationsCommand `cmd:"" default:"withargs" help:"List and search organizations."`
	Show showOrganizationCommand  `cmd:"" help:"Show an organization with its members."`
}

type listOrganizationsCommand struct {
	listFlags
	sourceFlags
	Search string `arg:"" optional:"" help:"An id, or the beginning of a name or a slug."`
}

// Help returns the text below the description.
func (listOrganizationsCommand) Help() string {
	return `Examples:

    clerksync organizations list
    clerksync organizations list acme --json | jq -r '.data[].clerk_organization_id'

Newest first; with a search, in the order of what was found.`
}

// Run lists organizations.
func (c listOrganizationsCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	none := "There are no organizations."
	if c.Search != "" {
		none = fmt.Sprintf("No organization is found by %q. A search finds ids, and how names and slugs begin.", harmless(c.Search))
	}
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		return printList(ctx, p, c.listFlags, listing[mirror.Organization]{
			columns: []column{{name: "ORGANIZATION"}, {name: "NAME", shrink: true}, {name: "SLUG", shrink: true, drop: 1}, {name: "CREATED", drop: 2}},
			row: func(l look, o *mirror.Organization) []string {
				return []string{cell(o.ClerkOrganizationID), cell(o.Name), cell(o.Slug), l.when(o.CreatedAt)}
			},
			page: func(ctx context.Context, after mirror.Cursor, limit int) (apiclient.Answer[apiclient.Page[mirror.Organization]], error) {
				return client.Organizations(ctx, mirror.OrganizationFilter{Search: c.Search, After: after, Limit: limit})
			},
			none: none,
		})
	})
}

type showOrganizationCommand struct {
	sourceFlags
	Organization string `arg:"" help:"Id or slug of the organization."`
	Wide         bool   `help:"Show exact times and all columns."`
	JSON         bool   `name:"json" help:"Print the JSON object of GET /api/organizations/{id}."`
}

// Help returns the text below the description.
func (showOrganizationCommand) Help() string {
	return `Example:

    clerksync organizations show acme

It shows the organization with its latest members and invitations.`
}

// Run shows an organization.
func (c showOrganizationCommand) Run(ctx context.Context, p *process) error {
	return p.withClient(ctx, c, newReader, func(client *apiclient.Client) error {
		detail, err := findOrganization(ctx, client, c.Organization)
		if err != nil {
			return err
		}
		if c.JSON {
			_, err = fmt.Fprintf(p.stdout, "%s\n", detail.JSON)
			return err
		}
		invitations, err := client.Invitations(ctx, detail.Value.Organization.ClerkOrganizationID, 20)
		if err != nil {
			return err
		}
		return p.look(c.Wide).organization(p, &detail.Value, invitations.Value)
	})
}

// findOrganization returns the organization with an id or a slug.
func findOrganization(
	ctx context.Context, client *apiclient.Client, which string,
) (detail apiclient.Answer[apiclient.OrganizationDetail], err error) {
	detail, err = client.Organization(ctx, which)
	if !errors.Is(err, mirror.ErrNotFound) {
		return detail, err
	}
	page, err := client.Organizations(ctx, mirror.OrganizationFilter{Search: which, Limit: maxPage})
	if err != nil {
		return detail, err
	}
	var ids []string
	for i := range page.Value.Data {
		if o := &page.Value.Data[i]; strings.EqualFold(o.Slug, which) {
			ids = append(ids, o.ClerkOrganizationID)
		}
	}
	switch len(ids) {
	case 0:
		return detail, &notFoundError{what: "organization", id: which, list: "clerksync organizations list"}
	case 1:
		return client.Organization(ctx, ids[0])
	}
	return detail, fmt.Errorf("%s is the slug of %d organizations: %s\nName the one that you mean by its id",
		harmless(which), len(ids), strings.Join(ids, ", "))
}

// organizationID returns the id of an organization that was named by an id or a slug. It is empty
// for no name. An id is not looked up.
func organizationID(ctx context.Context, client *apiclient.Client, which string) (string, error) {
	if which == "" || strings.HasPrefix(which, "org_") {
		return which, nil
	}
	detail, err := findOrganization(ctx, client, which)
	return detail.Value.Organization.ClerkOrganizationID, err
}

// organization prints an organization with its members.
func (l look) organization(p *process, d *apiclient.OrganizationDetail, invited apiclient.Page[mirror.Invitation]) error {
	o := &d.Organization
	metadata := string(o.PublicMetadata)
	if metadata == "{}" || metadata == "null" {
		metadata = ""
	}
	err := l.fields(p, []field{
		{"organization", cell(o.ClerkOrganizationID)},
		{"name", cell(o.Name)},
		{"slug", cell(o.Slug)},
		{"created by", cell(o.CreatedBy)},
		{"created", l.when(o.CreatedAt)},
		{"updated", l.when(o.UpdatedAt)},
		{"metadata", harmless(metadata)},
	})
	if err != nil {
		return err
	}
	columns := []column{{name: "USER"}, {name: "EMAIL", shrink: true}, {name: "NAME", shrink: true, drop: 1}, {name: "ROLE"}, {name: "SINCE"}}
	err = sub(p, l, "Members", columns, d.Members.Data, d.Members.Next != "", func(l look, m *apiclient.Member) []string {
		var email, name string
		if m.User != nil {
			email, name = m.User.Email, nameOf(m.User)
		}
		return []string{cell(m.Membership.ClerkUserID), cell(email), cell(name), cell(m.Membership.Role), l.when(m.Membership.CreatedAt)}
	})
	if err != nil || len(invited.Data) == 0 {
		return err
	}
	columns = []column{{name: "INVITATION"}, {name: "EMAIL", shrink: true}, {name: "ROLE"}, {name: "STATUS"}, {name: "SENT", drop: 1}}
	return sub(p, l, "Invitations", columns, invited.Data, invited.Next != "", func(l look, i *mirror.Invitation) []string {
		return []string{cell(i.ClerkInvitationID), cell(i.Email), cell(i.Role), cell(string(i.Status)), l.when(i.CreatedAt)}
	})
}
