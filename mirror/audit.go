package mirror

import "time"

// AuditAction is what an audit entry is about.
type AuditAction string

// The actions that the audit records.
const (
	AuditContradiction AuditAction = "contradiction"      // a valid token was refused because of what is stored
	AuditImpersonated  AuditAction = "impersonated"       // an actor used the account of a user
	AuditRole          AuditAction = "role_changed"       // the role of a user
	AuditMembership    AuditAction = "member_changed"     // the role of a user in an organization
	AuditPolicy        AuditAction = "policy_changed"     // the route policy, by its version
	AuditReplayed      AuditAction = "delivery_replayed"  // an operator had a stored delivery applied again
	AuditDismissed     AuditAction = "delivery_dismissed" // an operator decided that a dead letter need not be applied
	AuditLadder        AuditAction = "ladder_changed"     // the role ladder from which stored roles are derived
	AuditRedaction     AuditAction = "redaction_changed"  // what is removed from stored objects
	AuditWebhook       AuditAction = "webhook_endpoint"   // an endpoint of outgoing webhooks: added, removed, disabled and so on
	AuditConsumer      AuditAction = "consumer"           // a consumer of the change feed: paused, moved, deleted and so on
	AuditOperator      AuditAction = "operator"           // a named operator was added or revoked
	AuditSignIn        AuditAction = "signed_in"          // an operator signed in to the console, or a link was made that signs one in
	AuditAccepted      AuditAction = "accepted"           // an operator had an object set to what Clerk has, against what was stored
	AuditBanned        AuditAction = "user_banned"        // a user was banned
	AuditUnbanned      AuditAction = "user_unbanned"      // the ban of a user was lifted
	AuditLocked        AuditAction = "user_locked"        // a user was locked out of signing in
	AuditUnlocked      AuditAction = "user_unlocked"      // the lock of a user was lifted
	AuditRevoked       AuditAction = "session_revoked"    // a session was revoked
	AuditDeleted       AuditAction = "user_deleted"       // a user was deleted at Clerk and erased here, or only erased
	AuditJob           AuditAction = "job"                // a job was planned, started or cancelled, or has ended
	AuditOverrideSet   AuditAction = "override_set"       // a value was set here that holds instead of what Clerk says
	AuditOverrideEnded AuditAction = "override_removed"   // an operator removed such a value
	AuditKeyRevoked    AuditAction = "key_revoked"        // an API key or a token, or all of the subject that Object names
	AuditInstance      AuditAction = "instance"           // which Clerk instance the database mirrors was changed: Object is "adopt" or "reset"
)

// AuditEntry is one line of the audit. It holds ids and names of roles, never other personal data.
type AuditEntry struct {
	// ID orders entries by time.
	ID string `json:"id"`
	// At is when it happened.
	At time.Time `json:"at"`
	// Action is what happened.
	Action AuditAction `json:"action"`
	// ClerkUserID is the user it is about, empty for none.
	ClerkUserID string `json:"clerk_user_id"`
	// ClerkSessionID is the session of the request, empty for none.
	ClerkSessionID string `json:"clerk_session_id"`
	// ClerkOrganizationID is the organization it is about, empty for none.
	ClerkOrganizationID string `json:"clerk_organization_id"`
	// Object is the id or name of what it is about, if that is neither a user, a session nor an
	// organization: of a delivery, an operator, or an endpoint. Of an override it is the field.
	Object string `json:"object"`
	// Actor is who did it: the name of an operator, "operator" for the operator with the configured
	// token, a Clerk user id for an administrator or an impersonation, else empty.
	Actor string `json:"actor"`
	// Address is the IP address from which an operator did it, empty for none.
	Address string `json:"address"`
	// Origin is what caused it: a message id, "read", "command", or a method and a route.
	Origin string `json:"origin"`
	// Was is the value before: for a contradiction, what the token said, empty if it said nothing
	// of that.
	Was string `json:"was"`
	// Became is the value after: for a contradiction, what is stored.
	Became string `json:"became"`
	// Failure is why an operator's action was not done, empty if it was done. It begins with
	// "outcome unknown" if Clerk may have done it.
	Failure string `json:"failure"`
	// RequestID is the id of the HTTP request, empty for none.
	RequestID string `json:"request_id"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (e AuditEntry) MarshalJSON() ([]byte, error) { return encode(e) }

// AuditFilter selects audit entries. The zero value selects all.
type AuditFilter struct {
	// ClerkUserID selects the entries about a user.
	ClerkUserID string
	// Action selects the entries with this action.
	Action AuditAction
	// Actor selects what an operator, an administrator or an impersonator did.
	Actor string
	// Since selects the entries of this time or later.
	Since time.Time
	// Until selects the entries before this time.
	Until time.Time
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
