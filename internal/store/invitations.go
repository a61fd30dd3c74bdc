package store

import (
	"context"
	"encoding/json"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

const selectInvitations = `SELECT clerk_invitation_id, clerk_organization_id, clerk_user_id, inviter_clerk_user_id, email, role, status,
	expires_at, created_at, updated_at, public_metadata, private_metadata, raw FROM clerk_invitations_live`

// scanInvitation returns a function that reads invitations as they are at a time: Clerk may not say
// that one has expired.
func scanInvitation(now clerk.Time) func(Row) (mirror.Invitation, error) {
	return func(r Row) (i mirror.Invitation, err error) {
		var status text
		var metadata, object document
		err = r.Scan(&i.ClerkInvitationID, (*text)(&i.ClerkOrganizationID), (*text)(&i.ClerkUserID), (*text)(&i.InviterClerkUserID),
			(*text)(&i.Email), (*text)(&i.Role), &status, (*instant)(&i.ExpiresAt), (*instant)(&i.CreatedAt), (*instant)(&i.UpdatedAt),
			(*document)(&i.PublicMetadata), &metadata, &object)
		i.Status = mirror.InvitationStatus(status)
		if i.Status == mirror.InvitationPending && !i.ExpiresAt.IsZero() && clerk.TimeOf(i.ExpiresAt) <= now {
			i.Status = mirror.InvitationExpired
		}
		i.SetPrivate(json.RawMessage(metadata), json.RawMessage(object))
		return i, err
	}
}

// Invitation returns the live invitation with the Clerk id.
func (db *DB) Invitation(ctx context.Context, id string) (mirror.Invitation, error) {
	rows, err := db.query(ctx, selectInvitations+" WHERE clerk_invitation_id = $1", id)
	list, err := scanAll(rows, err, scanInvitation(clerk.TimeOf(db.now())))
	return only(list, err, "invitation", id)
}

// Invitations returns a page of live invitations, newest first.
func (db *DB) Invitations(ctx context.Context, f mirror.InvitationFilter) (mirror.Page[mirror.Invitation], error) {
	l, now := newest(invitationsList, "clerk_invitations", "clerk_invitation_id"), clerk.TimeOf(db.now())
	if f.ClerkOrganizationID != "" {
		l.add("clerk_organization_id = "+anyOne, f.ClerkOrganizationID)
	}
	if f.Email != "" {
		l.add("lower(email) = ?", lowerASCII(f.Email))
	}
	switch f.Status {
	case "":
	case mirror.InvitationPending:
		l.filter("status = 'pending' AND (COALESCE(expires_at, 0) = 0 OR expires_at > ?)", int64(now))
	case mirror.InvitationExpired:
		l.filter("(status = 'expired' OR status = 'pending' AND expires_at > 0 AND expires_at <= ?)", int64(now))
	default:
		l.filter("status = ?", string(f.Status))
	}
	return readPage(ctx, db, l, f.After, f.Limit, selectInvitations, scanInvitation(now), func(i *mirror.Invitation) place {
		return place{clerk.TimeOf(i.CreatedAt), i.ClerkInvitationID}
	})
}
