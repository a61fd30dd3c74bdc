package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Facts is what a copy must have of one object, by name.
type Facts map[string]any

// Reader reads the live objects of a copy of the instance, by kind. The kinds are user, session,
// organization, membership, invitation, domain, role, permission and subscription.
type Reader map[string]func(ctx context.Context, each func(id string, f Facts)) error

// Differences compares a copy with the instance, object by object and fact by fact. It returns what
// is missing, what is not at Clerk, and what differs. Kinds that the reader lacks are not compared.
func (e *Emulator) Differences(ctx context.Context, copied Reader) ([]string, error) {
	var differences []string
	for _, kind := range []struct {
		name string
		have func() map[string]Facts
	}{
		{"user", e.userFacts},
		{"session", e.sessionFacts},
		{"organization", e.organizationFacts},
		{"membership", e.membershipFacts},
		{"invitation", e.invitationFacts},
		{"domain", e.domainFacts},
		{"role", e.roleFacts},
		{"permission", e.permissionFacts},
		{"subscription", e.subscriptionFacts},
	} {
		read, ok := copied[kind.name]
		if !ok {
			continue
		}
		e.mu.Lock()
		want := kind.have()
		e.mu.Unlock()
		if err := read(ctx, func(id string, got Facts) {
			differences = append(differences, differ(kind.name, id, want, got)...)
			delete(want, id)
		}); err != nil {
			return nil, fmt.Errorf("read every %s: %w", kind.name, err)
		}
		for _, id := range slices.Sorted(maps.Keys(want)) {
			differences = append(differences, fmt.Sprintf("%s %s is missing", kind.name, id))
		}
	}
	return differences, nil
}

func differ(kind, id string, want map[string]Facts, got Facts) []string {
	expected, ok := want[id]
	if !ok {
		return []string{fmt.Sprintf("%s %s is there, but not at Clerk", kind, id)}
	}
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		if x, y := canonical(expected[name]), canonical(got[name]); x != y {
			differences = append(differences, fmt.Sprintf("%s %s: %s is %s, at Clerk %s", kind, id, name, y, x))
		}
	}
	return differences
}

func canonical(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (e *Emulator) userFacts() map[string]Facts {
	all := map[string]Facts{}
	for id, r := range e.users.byID {
		e.json(r) // lets a lock end
		f := Facts{
			"username": or(r.Username), "first_name": or(r.FirstName), "last_name": or(r.LastName), "image_url": r.ImageURL,
			"external_id": or(r.ExternalID), "banned": r.Banned, "created_at": r.CreatedAt, "updated_at": r.UpdatedAt,
			"last_login_at": or(r.LastSignInAt), "public_metadata": r.PublicMetadata, "private_metadata": r.PrivateMetadata,
		}
		if len(r.EmailAddresses) > 0 {
			f["email"] = or(r.primary())
		}
		all[id] = f
	}
	return all
}

// sessionFacts returns no status if there is no event for it: for sessions that expired and,
// without child events, for those of a deleted or banned user.
func (e *Emulator) sessionFacts() map[string]Facts {
	all := map[string]Facts{}
	for id, s := range e.sessions.byID {
		f := Facts{"user_id": s.UserID, "created_at": s.CreatedAt}
		silent := e.options.NoChildEvents && s.Status == "revoked"
		if status := e.aged(s).Status; status != "expired" && status != "abandoned" && !silent {
			f["status"] = status
		}
		all[id] = f
	}
	return all
}

func (e *Emulator) organizationFacts() map[string]Facts {
	all := map[string]Facts{}
	for id, o := range e.organizations.byID {
		all[id] = Facts{
			"name": o.Name, "slug": o.Slug, "created_by": o.CreatedBy, "created_at": o.CreatedAt, "updated_at": o.UpdatedAt,
			"public_metadata": o.PublicMetadata, "private_metadata": o.PrivateMetadata,
		}
	}
	return all
}

func (e *Emulator) membershipFacts() map[string]Facts {
	all := map[string]Facts{}
	for _, m := range e.organizations.memberships {
		permissions := e.full(m).Permissions
		slices.Sort(permissions)
		all[m.ID] = Facts{
			"organization_id": m.organizationID, "user_id": m.userID, "role": m.Role, "permissions": permissions,
			"created_at": m.CreatedAt, "updated_at": m.UpdatedAt, "public_metadata": m.PublicMetadata,
		}
	}
	return all
}

func (e *Emulator) invitationFacts() map[string]Facts {
	all := map[string]Facts{}
	for _, i := range e.organizations.invitations {
		f := Facts{
			"organization_id": i.OrganizationID, "email": i.EmailAddress, "role": i.Role, "inviter_id": or(i.InviterID), "user_id": i.UserID,
			"created_at": i.CreatedAt, "public_metadata": i.PublicMetadata,
		}
		e.lapse(i)
		if i.Status != "expired" { // there is no event
			f["status"] = i.Status
		}
		all[i.ID] = f
	}
	return all
}

func (e *Emulator) domainFacts() map[string]Facts {
	all := map[string]Facts{}
	for _, d := range e.organizations.domains {
		all[d.ID] = Facts{"organization_id": d.OrganizationID, "name": d.Name, "enrollment_mode": d.EnrollmentMode, "updated_at": d.UpdatedAt}
	}
	return all
}

// roleFacts returns no roles that exist from the start and never changed: there is no event of
// them.
func (e *Emulator) roleFacts() map[string]Facts {
	all := map[string]Facts{}
	for _, r := range e.access.roles {
		if r.seeded && r.UpdatedAt == r.CreatedAt {
			continue
		}
		permissions := []string{}
		for _, p := range r.Permissions {
			permissions = append(permissions, p.Key)
		}
		slices.Sort(permissions)
		all[r.ID] = Facts{
			"key": r.Key, "name": r.Name, "description": or(r.Description), "permissions": permissions, "updated_at": r.UpdatedAt,
		}
	}
	return all
}

// permissionFacts returns no system permissions: there is no event of them.
func (e *Emulator) permissionFacts() map[string]Facts {
	all := map[string]Facts{}
	for _, p := range e.access.permissions {
		if p.Type != "system" {
			all[p.ID] = Facts{"key": p.Key, "name": p.Name, "description": p.Description, "type": p.Type, "updated_at": p.UpdatedAt}
		}
	}
	return all
}

func (e *Emulator) subscriptionFacts() map[string]Facts {
	all := map[string]Facts{}
	for _, s := range e.subscriptions {
		all[s.ID] = Facts{
			"payer_id": s.PayerID, "user_id": s.Payer.UserID, "organization_id": s.Payer.OrganizationID, "status": s.Status, "updated_at": s.UpdatedAt,
		}
	}
	return all
}
