package emulator

import (
	"net/http"
	"net/url"
	"slices"
)

// inside makes an endpoint of one about an organization that the path names by its id. It serves
// members of that organization who have one of the permissions; without permissions, all members.
// Whether an organization exists is not told to others, as at Clerk.
func inside(handle func(*Emulator, *frontCall, person, *Organization) (any, error), permissions ...string) func(*Emulator, *frontCall) (any, error) {
	return mine(func(e *Emulator, c *frontCall, p person) (any, error) {
		if err := e.organizationsEnabled(); err != nil {
			return nil, err
		}
		o, found := e.organizations.byID[c.id()]
		if !found {
			return nil, noOrganization()
		}
		m, err := e.membership(o.ID, p.ID)
		if err != nil {
			return nil, noOrganization()
		}
		if len(permissions) > 0 && !slices.ContainsFunc(permissions, func(x string) bool { return e.has(m, x) }) {
			refused := fail(http.StatusForbidden, "missing_organization_permission", "missing permission",
				"Current user is missing an organization permission.")
			refused.Errors[0].Meta["permissions"] = permissions
			return nil, refused
		}
		return handle(e, c, p, o)
	})
}

func noOrganization() *APIError {
	return fail(http.StatusNotFound, "organization_not_found_or_unauthorized", "not found or unauthorized",
		"Given organization not found, or you don't have permission to access the organization")
}

// has reports whether the role of a member grants a permission.
func (e *Emulator) has(m *Membership, permission string) bool {
	role := e.access.role(m.Role)
	return role != nil && slices.ContainsFunc(role.Permissions, func(p *Permission) bool { return p.Key == permission })
}

const (
	readMembers       = "org:sys_memberships:read"
	manageMembers     = "org:sys_memberships:manage"
	readDomains       = "org:sys_domains:read"
	manageDomains     = "org:sys_domains:manage"
	manageProfile     = "org:sys_profile:manage"
	manageConnections = "org:sys_entconns:manage"
	deleteProfile     = "org:sys_profile:delete"
)

// createMyOrganization creates an organization, of which the person becomes the admin.
func (e *Emulator) createMyOrganization(c *frontCall, p person) (any, error) {
	if err := e.organizationsEnabled(); err != nil {
		return nil, err
	}
	if !p.CreateOrganizationEnabled {
		return nil, fail(http.StatusForbidden, "user_create_organization_not_enabled", "create organization not enabled",
			"Organization creation is not enabled for this user")
	}
	if most := or(p.CreateOrganizationsLimit); most > 0 {
		created := 0
		for _, o := range e.organizations.all {
			if o.CreatedBy == p.ID {
				created++
			}
		}
		if created >= most {
			return nil, fail(http.StatusForbidden, "org_creation_limit_exceeded", "Organization Creation Limit Exceeded",
				"You have exceeded the maximum number of organizations you can create.")
		}
	}
	parameters := c.given("name")
	if slug := c.form.Get("slug"); slug != "" {
		parameters["slug"] = slug
	}
	parameters["created_by"] = p.ID
	made, err := e.backend(c, (*Emulator).createOrganization, parameters)
	if err != nil {
		return nil, err
	}
	return e.frontOrganization(made.(*Organization)), nil //nolint:forcetypeassert // what the endpoint returns
}

func (e *Emulator) getMyOrganization(_ *frontCall, _ person, o *Organization) (any, error) {
	return e.frontOrganization(o), nil
}

func (e *Emulator) updateMyOrganization(c *frontCall, _ person, o *Organization) (any, error) {
	for _, name := range []string{"public_metadata", "private_metadata", "max_allowed_memberships", "admin_delete_enabled"} {
		if c.form.Has(name) {
			return nil, unknownParameter(name)
		}
	}
	if _, err := e.backend(c, (*Emulator).updateOrganization, c.given("name", "slug")); err != nil {
		return nil, err
	}
	return e.frontOrganization(o), nil
}

func (e *Emulator) deleteMyOrganization(c *frontCall, _ person, o *Organization) (any, error) {
	if !o.AdminDeleteEnabled {
		return nil, fail(http.StatusForbidden, "organization_admin_delete_not_enabled", "admin delete not enabled",
			"Deletion by admin is not enabled for this organization.")
	}
	if _, err := e.backend(c, (*Emulator).deleteOrganization, nil); err != nil {
		return nil, err
	}
	return frontDeleted{Object: "organization", ID: o.ID, Slug: o.Slug, Deleted: true}, nil
}

func (e *Emulator) setMyLogo(c *frontCall, _ person, o *Organization) (any, error) {
	i, err := c.upload()
	if err != nil {
		return nil, err
	}
	return e.frontOrganization(e.setLogo(o, c.r, i)), nil
}

func (e *Emulator) deleteMyLogo(c *frontCall, _ person, o *Organization) (any, error) {
	if !o.HasImage {
		return nil, fail(http.StatusNotFound, "image_not_found", "Image not found", "Image not found")
	}
	id := imageID(o.ImageURL)
	e.setLogo(o, c.r, nil)
	return frontDeleted{Object: "image", ID: id, Deleted: true}, nil
}

func (e *Emulator) noConnectionsInside(*frontCall, person, *Organization) (any, error) {
	return []struct{}{}, nil
}

// frontRole is a role as members see it.
type frontRole struct {
	*Role
	Description string `json:"description"` // never null here
}

func (e *Emulator) listMyRoles(c *frontCall, _ person, _ *Organization) (any, error) {
	limit, offset, err := c.window()
	if err != nil {
		return nil, err
	}
	all := []frontRole{}
	for _, r := range cut(e.access.roles, limit, offset) {
		all = append(all, frontRole{r, or(r.Description)})
	}
	return values{"data": all, "total_count": len(e.access.roles), "has_role_set_migration": false}, nil
}

// ask runs a list of the Backend API with the named parameters of the query and no others: its
// filters could tell members what they must not know of each other.
func (e *Emulator) ask(c *frontCall, list func(*call) (any, error), names ...string) (any, error) {
	query := url.Values{}
	for _, name := range append(names, "limit", "offset") {
		if given, ok := c.query[name]; ok {
			query[name] = given
		}
	}
	return list(&call{r: c.r, query: query, version: latestVersion, shifted: c.shifted})
}

// listedAs returns a page of the Backend API with its objects as the Frontend API shows them. Lists
// that Clerk had before it had pages are arrays unless the request asks for a page.
func listedAs[T, S any](c *frontCall, page any, show func(T) S, alwaysPage bool) any {
	from := page.(list)    //nolint:forcetypeassert // what lists return
	all := from.Data.([]T) //nolint:forcetypeassert // and their data
	shown := make([]S, 0, len(all))
	for _, x := range all {
		shown = append(shown, show(x))
	}
	if !alwaysPage && c.query.Get("paginated") != "true" {
		return shown
	}
	return list{shown, from.TotalCount}
}
