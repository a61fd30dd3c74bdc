package clerksync_test

import (
	"fmt"
	"strings"
	"testing"
)

// A membership has the permissions of the role with its very key, else of the one that differs by
// the prefix "org:" alone, else its own.
func TestPermissionsAreThoseOfTheRoleWithTheNearestKey(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		send := func(typ, data string) {
			b.Helper()
			if status, answer := b.event(fmt.Sprintf(`{"type":%q,"object":"event","timestamp":1780000000000,"data":%s}`, typ, data)); status != 200 {
				b.Fatalf("%d %v", status, answer)
			}
		}
		for i, key := range []string{"admin", "org:admin", "org:member", "guest"} {
			send("role.created", fmt.Sprintf(
				`{"id":"role_%d","key":%q,"name":"R","permissions":[{"id":"perm_%d","key":"org:%s:do"}],"created_at":%d,"updated_at":1780000000000}`,
				i, key, i, strings.ReplaceAll(key, ":", "_"), 1780000000000+i))
		}
		for role, want := range map[string]string{
			"admin": "org:admin:do", "org:admin": "org:org_admin:do", "member": "org:org_member:do", "org:guest": "org:guest:do", "org:other": "org:own:do",
		} {
			name := strings.ReplaceAll(role, ":", "_")
			send("organizationMembership.created", fmt.Sprintf(
				`{"id":"orgmem_%s","role":%q,"permissions":["org:own:do"],"organization":{"id":"org_%s"},"public_user_data":{"user_id":"user_1"},"created_at":1780000000000,"updated_at":1780000000000}`,
				name, role, name))
			m, err := b.m.Memberships().Of(b.Context(), "user_1", "org_"+name)
			if err != nil || strings.Join(m.Permissions, " ") != want {
				b.Errorf("%s: %v, %v; want %s", role, m.Permissions, err, want)
			}
		}
	})
}
