package row

import (
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// RolePrefix begins the keys of organization roles. Instances from before custom roles leave it
// out.
const RolePrefix = "org:"

// RoleKey returns the key of an organization role, spelled with exactly one prefix. It returns ""
// for "".
func RoleKey(key string) string {
	for strings.HasPrefix(key, RolePrefix) { // Clerk takes org:org:admin for org:admin
		key = key[len(RolePrefix):]
	}
	if key == "" {
		return ""
	}
	return RolePrefix + key
}

// SameRole reports whether two keys name one role, however each is spelled.
func SameRole(a, b string) bool { return RoleKey(a) == RoleKey(b) }

// KeyOfRole is a key that a version of a role had.
type KeyOfRole struct{ RoleID, Key string }

// UserRole is a user's role by a ladder. Rejected is what the metadata named instead, if the ladder
// lacks it.
type UserRole struct{ Role, Rejected string }

// RoleOf returns the role of a user by a ladder: the one that public_metadata names if the ladder
// has it, else the lowest.
func RoleOf(user clerk.Value, ladder []string) UserRole {
	return RoleIn(user.Get("public_metadata"), ladder)
}

// RoleNamed returns the role that metadata with this text as its role gives by a ladder.
func RoleNamed(role string, ladder []string) UserRole {
	return RoleIn(clerk.Object().With("role", clerk.Text(role)), ladder)
}

// RoleIn returns the role that a user's public metadata gives by a ladder. Absent and null name no
// role.
func RoleIn(metadata clerk.Value, ladder []string) UserRole {
	named := metadata.Get("role")
	switch {
	case !named.Exists() || named.IsNull():
		return UserRole{Role: ladder[0]}
	case slices.Contains(ladder, named.String()):
		return UserRole{Role: named.String()}
	case strings.TrimSpace(named.String()) == "":
		return UserRole{ladder[0], named.JSON()} // not a text, or blank
	}
	return UserRole{ladder[0], named.String()}
}
