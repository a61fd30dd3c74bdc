package store

import (
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

var userColumns = []column{
	{"id", uuidColumn, func(r *row.Row, _ []string) any { return UserID(r.ID) }},
	clerkID("clerk_user_id"),
	{"email", textColumn, func(r *row.Row, _ []string) any { return textOrNull(PrimaryEmail(r.Body())) }},
	{"phone", textColumn, func(r *row.Row, _ []string) any { return textOrNull(PrimaryPhone(r.Body())) }},
	textOf("username"), textOf("first_name"), textOf("last_name"),
	textOf("profile_image_url", "image_url", "profile_image_url"),
	textOf("external_id"),
	{"role", textColumn, func(r *row.Row, ladder []string) any { return r.UserRole(ladder).Role }},
	{"role_rejected", textColumn, func(r *row.Row, ladder []string) any { return textOrNull(r.UserRole(ladder).Rejected) }},
	{"is_active", intColumn, func(r *row.Row, _ []string) any {
		return flag(!r.Hidden() && !r.Banned() && !r.Provision.Deprovisioned)
	}},
	{"banned", intColumn, func(r *row.Row, _ []string) any { return flag(r.Banned()) }},
	flagOf("locked"),
	{"deprovisioned", intColumn, func(r *row.Row, _ []string) any { return flag(r.Provision.Deprovisioned) }},
	{"locked_until", intColumn, func(r *row.Row, _ []string) any { return orNull(lockedUntil(r)) }},
	{"last_login_at", intColumn, func(r *row.Row, _ []string) any { return orNull(r.SignedInAt) }},
	{"last_active_at", intColumn, func(r *row.Row, _ []string) any { return orNull(r.ActiveAt) }},
	jsonOf("public_metadata"), jsonOf("private_metadata"), timeOf("created_at"), timeOf("updated_at"), overridesColumn,
	{"sync_banned_at", intColumn, func(r *row.Row, _ []string) any { return int64(r.BannedAt) }},
	{"sync_provision_at", intColumn, func(r *row.Row, _ []string) any { return int64(r.Provision.UpdatedAt) }},
	{"sync_provision_seen_at", intColumn, func(r *row.Row, _ []string) any { return int64(r.Provision.ObservedAt) }},
}

// PrimaryEmail returns the address that the primary id refers to, "" if that id is null or refers
// to nothing. If Clerk's object has no primary id at all, as older and partial ones have none, it
// returns the first address, else a top-level email.
func PrimaryEmail(user clerk.Value) string {
	if user.Get("primary_email_address_id").Exists() || user.Get("email_addresses").Len() > 0 {
		return clerk.PrimaryAddress(user).Get("email_address").String()
	}
	return user.Get("email").String()
}

// PrimaryPhone returns the phone number that the primary id refers to, "" if that id is null or
// refers to nothing. If Clerk's object has no primary id at all, it returns the first number.
func PrimaryPhone(user clerk.Value) string {
	primary := user.Get("primary_phone_number_id")
	for _, p := range user.Get("phone_numbers").All() {
		if !primary.Exists() || primary.String() != "" && p.Get("id").String() == primary.String() {
			return p.Get("phone_number").String()
		}
	}
	return ""
}

// RoleOfUser returns the role of a stored user by a ladder, which need not be the one by which the
// row was written.
func RoleOfUser(u *mirror.User, ladder []string) row.UserRole {
	for _, o := range u.Overrides {
		if o.Field == mirror.OverrideRole {
			return row.RoleNamed(o.Value, ladder)
		}
	}
	metadata, err := clerk.Parse(u.PublicMetadata)
	if err != nil { // none is stored
		metadata = clerk.Null()
	}
	return row.RoleIn(metadata, ladder)
}

// lockedUntil makes the relative lockout absolute. It is 0 for who is not locked and for
// a lock without an end.
func lockedUntil(r *row.Row) clerk.Time {
	seconds, ok := r.Body().Get("lockout_expires_in_seconds").Int()
	if !ok || !r.Body().Get("locked").Bool() || r.ObservedAt == 0 || seconds < 0 || seconds > 100*365*24*3600 {
		return 0
	}
	return r.ObservedAt + clerk.Time(seconds*1000)
}
