package emulator

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// access has the roles and permissions of organizations.
type access struct {
	roles       []*Role
	permissions []*Permission
}

func (a *access) role(key string) *Role {
	for _, r := range a.roles {
		if r.Key == key {
			return r
		}
	}
	return nil
}

func (a *access) permission(idOrKey string) *Permission {
	for _, p := range a.permissions {
		if p.ID == idOrKey || p.Key == idOrKey {
			return p
		}
	}
	return nil
}

// systemPermissions returns the keys, without org:sys_, and the names of the permissions that each
// instance has.
func systemPermissions() [][2]string {
	return [][2]string{
		{"profile:manage", "Manage organization"},
		{"profile:delete", "Delete organization"},
		{"memberships:read", "Read members"},
		{"memberships:manage", "Manage members"},
		{"domains:read", "Read domains"},
		{"domains:manage", "Manage domains"},
		{"billing:read", "Read billing"},
		{"billing:manage", "Manage billing"},
		{"entconns:manage", "Manage enterprise connections"},
	}
}

// seedAccess makes the roles and permissions that each instance has from the start.
func (e *Emulator) seedAccess() {
	now := e.origin.at.UnixMilli()
	byKey := map[string]*Permission{}
	for _, s := range systemPermissions() {
		key, name := s[0], s[1]
		p := &Permission{
			Object: "permission", ID: e.random.id("perm"), Name: name, Key: "org:sys_" + key, Description: name, Type: "system", CreatedAt: now, UpdatedAt: now,
		}
		e.access.permissions = append(e.access.permissions, p)
		byKey[key] = p
	}
	e.access.roles = []*Role{
		{
			Object: "role", ID: e.random.id("role"), Name: "Admin", Key: "org:admin", Description: new("Role with all system permissions"),
			IsCreatorEligible: true, Permissions: slices.Clone(e.access.permissions), CreatedAt: now, UpdatedAt: now, seeded: true,
		},
		{
			Object: "role", ID: e.random.id("role"), Name: "Member", Key: "org:member", Description: new("Role with non-privileged permissions"),
			Permissions: []*Permission{byKey["memberships:read"], byKey["billing:read"]}, CreatedAt: now, UpdatedAt: now, seeded: true,
		},
	}
}

type accessParameters struct {
	Name              *string  `json:"name"`
	Key               *string  `json:"key"`
	Description       *string  `json:"description"`
	Permissions       []string `json:"permissions"`
	IncludeInInitial  *bool    `json:"include_in_initial_role_set"`
	IsCreatorEligible *bool    `json:"is_creator_eligible"`
}

func orgKey(key string) string { return "org:" + strings.TrimPrefix(key, "org:") }

func (e *Emulator) createRole(c *call) (any, error) {
	var p accessParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	return some(e.addRole(p))
}

// addRole makes a role and sends the event.
func (e *Emulator) addRole(p accessParameters) (*Role, error) {
	if or(p.Name) == "" {
		return nil, missing("name")
	}
	if or(p.Key) == "" {
		return nil, missing("key")
	}
	if e.access.role(orgKey(*p.Key)) != nil {
		return nil, exists("key")
	}
	permissions, err := e.permissionsOf(p.Permissions)
	if err != nil {
		return nil, err
	}
	now := e.after(0)
	r := &Role{
		Object: "role", ID: e.random.id("role"), Name: *p.Name, Key: orgKey(*p.Key), Description: p.Description,
		IsCreatorEligible: or(p.IsCreatorEligible), Permissions: permissions, CreatedAt: now, UpdatedAt: now,
	}
	e.access.roles = append(e.access.roles, r)
	e.emit("role.created", now, r)
	return r, nil
}

func (e *Emulator) permissionsOf(ids []string) ([]*Permission, error) {
	all := []*Permission{}
	for _, id := range ids {
		p := e.access.permission(id)
		if p == nil {
			return nil, notFound("permission", id)
		}
		all = append(all, p)
	}
	return all, nil
}

func (e *Emulator) roleByID(id string) (*Role, error) {
	for _, r := range e.access.roles {
		if r.ID == id {
			return r, nil
		}
	}
	return nil, notFound("role", id)
}

func (e *Emulator) getRole(c *call) (any, error) { return some(e.roleByID(c.id())) }

func (e *Emulator) updateRole(c *call) (any, error) {
	var p accessParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	return e.changeRole(c, func(r *Role) error { return e.describeRole(r, p) })
}

func (e *Emulator) describeRole(r *Role, p accessParameters) error {
	if p.Key != nil && orgKey(*p.Key) != r.Key {
		if e.access.role(orgKey(*p.Key)) != nil {
			return exists("key")
		}
		for _, m := range e.organizations.memberships {
			if m.Role == r.Key {
				m.Role = orgKey(*p.Key)
			}
		}
		for _, used := range []*string{&e.policies.Organizations.CreatorRole, &e.policies.Organizations.DomainsDefaultRole} {
			if *used == r.Key {
				*used = orgKey(*p.Key)
			}
		}
		r.Key = orgKey(*p.Key)
	}
	if p.Name != nil {
		r.Name = *p.Name
	}
	if p.Description != nil {
		r.Description = p.Description
	}
	if p.IsCreatorEligible != nil {
		r.IsCreatorEligible = *p.IsCreatorEligible
	}
	if p.Permissions != nil {
		permissions, err := e.permissionsOf(p.Permissions)
		if err != nil {
			return err
		}
		r.Permissions = permissions
	}
	return nil
}

func (e *Emulator) changeRole(c *call, change func(*Role) error) (any, error) {
	r, err := e.roleByID(c.id())
	if err != nil {
		return nil, err
	}
	if err := change(r); err != nil {
		return nil, err
	}
	r.UpdatedAt = e.after(r.UpdatedAt)
	e.emit("role.updated", r.UpdatedAt, r)
	return r, nil
}

func (e *Emulator) grant(c *call) (any, error) {
	return e.changeRole(c, func(r *Role) error {
		p := e.access.permission(c.r.PathValue("permission_id"))
		if p == nil {
			return notFound("permission", c.r.PathValue("permission_id"))
		}
		if !slices.Contains(r.Permissions, p) {
			r.Permissions = append(r.Permissions, p)
		}
		return nil
	})
}

func (e *Emulator) withdraw(c *call) (any, error) {
	return e.changeRole(c, func(r *Role) error {
		p := e.access.permission(c.r.PathValue("permission_id"))
		if p == nil || !slices.Contains(r.Permissions, p) {
			return notFound("permission", c.r.PathValue("permission_id"))
		}
		r.Permissions = slices.DeleteFunc(slices.Clone(r.Permissions), func(x *Permission) bool { return x == p })
		return nil
	})
}

func (e *Emulator) deleteRole(c *call) (any, error) {
	r, err := e.roleByID(c.id())
	if err != nil {
		return nil, err
	}
	if o := e.policies.Organizations; r.seeded || r.Key == o.CreatorRole || r.Key == o.DomainsDefaultRole {
		return nil, fail(http.StatusForbidden, "organization_role_used_as_creator_role", "role is in use",
			"The role is that of an organization's creator or of new members.")
	}
	if slices.ContainsFunc(e.organizations.memberships, func(m *Membership) bool { return m.Role == r.Key }) {
		return nil, fail(http.StatusBadRequest, "organization_role_assigned_to_members", "role is in use", "The role is assigned to members.")
	}
	e.access.roles = slices.DeleteFunc(e.access.roles, func(x *Role) bool { return x == r })
	gone := Deleted{Object: "role", ID: r.ID, Deleted: true}
	e.emit("role.deleted", e.after(r.UpdatedAt), gone)
	return gone, nil
}

func (e *Emulator) listRoles(c *call) (any, error) {
	return accessPage(c, e.access.roles, func(r *Role) (key, name string, at int64) { return r.Key, r.Name, r.CreatedAt })
}

func (e *Emulator) listPermissions(c *call) (any, error) {
	return accessPage(c, e.access.permissions, func(p *Permission) (key, name string, at int64) { return p.Key, p.Name, p.CreatedAt })
}

func accessPage[T any](c *call, all []*T, of func(*T) (key, name string, at int64)) (any, error) {
	query := strings.ToLower(c.query.Get("query"))
	matching := []*T{}
	for _, x := range all {
		if key, name, _ := of(x); strings.Contains(key, query) || strings.Contains(strings.ToLower(name), query) {
			matching = append(matching, x)
		}
	}
	if err := sorted(c, matching, "-created_at", map[string]func(a, b *T) int{
		"created_at": func(a, b *T) int { _, _, x := of(a); _, _, y := of(b); return cmp.Compare(x, y) },
		"name":       func(a, b *T) int { _, x, _ := of(a); _, y, _ := of(b); return cmp.Compare(x, y) },
		"key":        func(a, b *T) int { x, _, _ := of(a); y, _, _ := of(b); return cmp.Compare(x, y) },
	}); err != nil {
		return nil, err
	}
	return paged(c, matching, false)
}

func (e *Emulator) createPermission(c *call) (any, error) {
	var p accessParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	return some(e.addPermission(p))
}

// addPermission makes a permission and sends the event.
func (e *Emulator) addPermission(p accessParameters) (*Permission, error) {
	if or(p.Name) == "" {
		return nil, missing("name")
	}
	if or(p.Key) == "" {
		return nil, missing("key")
	}
	if strings.Count(orgKey(*p.Key), ":") != 2 {
		return nil, malformed("key", "key must be of the form org:<feature>:<action>.")
	}
	if e.access.permission(orgKey(*p.Key)) != nil {
		return nil, exists("key")
	}
	now := e.after(0)
	x := &Permission{
		Object: "permission", ID: e.random.id("perm"), Name: *p.Name, Key: orgKey(*p.Key), Description: or(p.Description),
		Type: "user", CreatedAt: now, UpdatedAt: now,
	}
	e.access.permissions = append(e.access.permissions, x)
	e.emit("permission.created", now, x)
	return x, nil
}

// userPermission returns a permission that may be changed: any but those of the system.
func (e *Emulator) userPermission(c *call) (*Permission, error) {
	p := e.access.permission(c.id())
	if p == nil {
		return nil, notFound("permission", c.id())
	}
	if p.Type == "system" && c.r.Method != http.MethodGet {
		return nil, fail(http.StatusForbidden, "authorization_invalid", "unauthorized", "System permissions can't be changed.")
	}
	return p, nil
}

func (e *Emulator) getPermission(c *call) (any, error) { return some(e.userPermission(c)) }

func (e *Emulator) updatePermission(c *call) (any, error) {
	x, err := e.userPermission(c)
	if err != nil {
		return nil, err
	}
	var p accessParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Name != nil {
		x.Name = *p.Name
	}
	if p.Key != nil {
		if other := e.access.permission(orgKey(*p.Key)); other != nil && other != x {
			return nil, exists("key")
		}
		x.Key = orgKey(*p.Key)
	}
	if p.Description != nil {
		x.Description = *p.Description
	}
	x.UpdatedAt = e.after(x.UpdatedAt)
	e.emit("permission.updated", x.UpdatedAt, x)
	return x, nil
}

func (e *Emulator) deletePermission(c *call) (any, error) {
	x, err := e.userPermission(c)
	if err != nil {
		return nil, err
	}
	is := func(p *Permission) bool { return p == x }
	e.access.permissions = slices.DeleteFunc(e.access.permissions, is)
	for _, r := range e.access.roles {
		r.Permissions = slices.DeleteFunc(slices.Clone(r.Permissions), is)
	}
	gone := Deleted{Object: "permission", ID: x.ID, Deleted: true}
	e.emit("permission.deleted", e.after(x.UpdatedAt), gone)
	return gone, nil
}
