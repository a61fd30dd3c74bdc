package row

import "github.com/clerksync/clerksync/clerk"

// Operations of the change feed. Package mirror describes them.
const (
	OpCreated = "created"
	OpUpdated = "updated"
	OpDeleted = "deleted"
	OpErased  = "erased"
)

// Change is one entry of the change feed. It says that an object changed, never what it is now.
type Change struct {
	Seq            int64
	At             clerk.Time // of the transaction, by our clock
	Key            Key
	UserID         string // parents, if known; a user and an organization are their own
	OrganizationID string
	Operation      string   // one of the operations above
	Version        string   // Version.Text
	Fields         []string // names of what changed; none for a new object
	Tag            string   // random, so that a reader recognizes a database that was restored from a copy
	Origin         string   // what caused it: a message id, or a word that package mirror describes
}

// Change returns an entry of the change feed about the row, without a number.
func (r *Row) Change(operation string, fields []string) Change {
	ref := r.Ref()
	return Change{
		Key: r.Key, UserID: ref.UserID, OrganizationID: ref.OrganizationID, Operation: operation, Version: r.Version.Text(), Fields: fields,
	}
}

// ChangeRef is a change as a cache needs it: which object changed, and whose it is.
type ChangeRef struct {
	Seq            int64
	Key            Key
	UserID         string // parents, if known; a user and an organization are their own
	OrganizationID string
	Tag            string
}

// WithOwnID returns the reference with users and organizations as their own parents.
func (c ChangeRef) WithOwnID() ChangeRef {
	switch c.Key.Kind {
	case clerk.KindUser:
		c.UserID = c.Key.ID
	case clerk.KindOrganization:
		c.OrganizationID = c.Key.ID
	default:
	}
	return c
}

// Ref returns the reference of a change of the row, without a number.
func (r *Row) Ref() ChangeRef {
	return ChangeRef{Key: r.Key, UserID: r.UserID, OrganizationID: r.OrganizationID}.WithOwnID()
}

// VerifyItem is an entry of the verify queue: an object to be read again from Clerk, and why.
type VerifyItem struct {
	Key    Key
	Reason string
}

// ParentKinds lists the kinds whose deleted objects hide objects of a kind. A membership has two
// parents.
func ParentKinds(kind clerk.Kind) []clerk.Kind {
	switch kind {
	case clerk.KindMembership:
		return []clerk.Kind{clerk.KindUser, clerk.KindOrganization}
	case clerk.KindSession:
		return []clerk.Kind{clerk.KindUser}
	case clerk.KindInvitation, clerk.KindDomain:
		return []clerk.Kind{clerk.KindOrganization}
	default:
		return nil
	}
}

// HasParents reports whether another row can hide rows of a kind.
func HasParents(kind clerk.Kind) bool { return len(ParentKinds(kind)) > 0 }
