package converge

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"github.com/clerksync/clerksync/clerk"
)

// ApplyRevision numbers the rules by which events become rows. A version of clerksync with a higher
// number replays what an older one could not read.
const ApplyRevision = 1

// projectionRevision numbers a kind's list of unstable fields. It is part of every version, so two
// rows that were projected by different lists are never a tie. The first walk under a higher number
// writes all rows of the kind.
func projectionRevision(kind clerk.Kind) int {
	if kind == clerk.KindUser {
		return 2 // the flag deprovisioned has an order of its own
	}
	return 1
}

// unstable lists, for each kind, the top-level fields that are not part of the stable projection:
// what is joined over time, what changes without an event, what other rows hold, legacy aliases,
// and what only some sources carry. They are stored with the body that wins. `object` is left out
// for every kind, because sources spell it differently.
var unstable = map[clerk.Kind][]string{
	clerk.KindUser: {
		"last_sign_in_at", "last_active_at", "lockout_expires_in_seconds", "verification_attempts_remaining",
		"organization_memberships", "profile_image_url", "scim", "deprovisioned",
	},
	clerk.KindSession: {"user", "last_active_at", "latest_activity", "last_active_organization_id", "abandon_at"},
	clerk.KindOrganization: {
		"members_count", "pending_invitations_count", "missing_member_with_elevated_permissions", "last_active_at", "logo_url",
	},
	clerk.KindMembership: {"organization", "public_user_data", "permissions", "role_name"},
	clerk.KindInvitation: {"public_inviter_data", "public_organization_data", "role_name", "user_id"},
	clerk.KindDomain: {
		"public_organization_data", "total_pending_invitations", "total_pending_suggestions", "verification",
	},
	clerk.KindSubscription:     {"payer", "items"},
	clerk.KindSubscriptionItem: {"payer"},
	clerk.KindPaymentAttempt:   {"payer", "subscription_items"},
}

// terminalStates are the states that an object never leaves.
var terminalStates = map[clerk.Kind][]string{
	clerk.KindSession:    {"ended", "expired", "removed", "replaced", "revoked", "abandoned"},
	clerk.KindInvitation: {"accepted", "revoked", "expired"},
}

func terminal(kind clerk.Kind, body clerk.Value) bool {
	return slices.Contains(terminalStates[kind], body.Get("status").String())
}

// stable reports whether a field is part of the projection.
func stable(kind clerk.Kind, field string) bool {
	return field != "object" && !slices.Contains(unstable[kind], field)
}

// appendProjection appends the stable projection: what two copies of an object must agree on.
func appendProjection(dst []byte, kind clerk.Kind, body clerk.Value) []byte {
	if kind == clerk.KindRole {
		// permissions have rows of their own, so the ids are enough
		var ids []clerk.Value
		for _, p := range body.Get("permissions").All() {
			ids = append(ids, clerk.Text(p.Get("id").String()))
		}
		slices.SortFunc(ids, func(a, b clerk.Value) int { return strings.Compare(a.String(), b.String()) })
		body = body.With("permissions", clerk.Array(ids...))
	}
	return body.AppendJSONWithout(dst, func(field string) bool { return !stable(kind, field) })
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// Digest returns the first 128 bits of the SHA-256 of the stable projection, in hexadecimal.
func Digest(kind clerk.Kind, body clerk.Value) string {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	*buffer = appendProjection((*buffer)[:0], kind, body)
	sum := sha256.Sum256(*buffer)
	return hex.EncodeToString(sum[:16])
}

// Parents returns whose object this is: a user's, an organization's, both or neither.
func Parents(kind clerk.Kind, body clerk.Value) (userID, organizationID string) {
	switch kind {
	case clerk.KindSession:
		return first(body.Get("user_id"), body.Get("user").Get("id")), ""
	case clerk.KindMembership:
		return first(body.Get("public_user_data").Get("user_id"), body.Get("user_id")),
			first(body.Get("organization").Get("id"), body.Get("organization_id"))
	case clerk.KindInvitation:
		return first(body.Get("user_id")), first(body.Get("organization_id"), body.Get("public_organization_data").Get("id"))
	case clerk.KindDomain:
		return "", first(body.Get("organization_id"), body.Get("public_organization_data").Get("id"))
	case clerk.KindSubscription, clerk.KindSubscriptionItem, clerk.KindPaymentAttempt:
		return first(body.Get("payer").Get("user_id")), first(body.Get("payer").Get("organization_id"))
	default:
		return "", ""
	}
}

func first(values ...clerk.Value) string {
	for _, v := range values {
		if s := v.String(); s != "" {
			return s
		}
	}
	return ""
}
