package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Facts are what a copy must have of one object, by name.
type Facts map[string]any

// Reader reads a copy of the instance: of each kind, everything that lives.
type Reader interface {
	Users(ctx context.Context, each func(id string, f Facts)) error
	Sessions(ctx context.Context, each func(id string, f Facts)) error
	Organizations(ctx context.Context, each func(id string, f Facts)) error
	Memberships(ctx context.Context, each func(id string, f Facts)) error
}

// Differences compares a copy with the instance, object by object and fact by fact, and says what
// is missing, what is too much, and what is otherwise.
func (e *Emulator) Differences(ctx context.Context, copied Reader) ([]string, error) {
	var differences []string
	for _, kind := range []struct {
		name string
		have func() map[string]Facts
		read func(context.Context, func(string, Facts)) error
	}{
		{"user", e.userFacts, copied.Users},
		{"session", e.sessionFacts, copied.Sessions},
		{"organization", e.organizationFacts, copied.Organizations},
		{"membership", e.membershipFacts, copied.Memberships},
	} {
		e.mu.Lock()
		want := kind.have()
		e.mu.Unlock()
		if err := kind.read(ctx, func(id string, got Facts) {
			expected, ok := want[id]
			if !ok {
				differences = append(differences, fmt.Sprintf("%s %s is there, but not at Clerk", kind.name, id))
				return
			}
			delete(want, id)
			for _, name := range slices.Sorted(maps.Keys(expected)) {
				if x, y := canonical(expected[name]), canonical(got[name]); x != y {
					differences = append(differences, fmt.Sprintf("%s %s: %s is %s, at Clerk %s", kind.name, id, name, y, x))
				}
			}
		}); err != nil {
			return nil, fmt.Errorf("read every %s: %w", kind.name, err)
		}
		for _, id := range slices.Sorted(maps.Keys(want)) {
			differences = append(differences, fmt.Sprintf("%s %s is missing", kind.name, id))
		}
	}
	return differences, nil
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

// sessionFacts leave out the status where no event tells of it: what ended by the clock, and
// without child events what went with its user.
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
