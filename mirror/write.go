package mirror

// By says who makes a change, and from where, for the audit. The zero value is a program that does
// not say who it is.
type By struct {
	// Actor is who makes the change: the name of an operator, "operator" for the operator with the
	// configured token, or the Clerk user id of an administrator.
	Actor string
	// Address is the IP address of the client, empty if there is none.
	Address string
	// Origin is what asked for the change: a method and a route, such as
	// "POST /api/users/{id}/ban", or "command".
	Origin string
	// RequestID is the id of the HTTP request, empty for none.
	RequestID string
}

// Entry returns an audit entry of an action, with who did it and from where.
func (b By) Entry(action AuditAction) AuditEntry {
	return AuditEntry{Action: action, Actor: b.Actor, Address: b.Address, Origin: b.Origin, RequestID: b.RequestID}
}

// Where says where a change was made.
type Where string

// The places where a change is made.
const (
	// AtClerk means that Clerk made the change, and that the mirror has Clerk's answer.
	AtClerk Where = "clerk"
	// Here means that the change is in this database alone, because there is no secret key with
	// which Clerk could be asked. Clerk does not know of it.
	Here Where = "local"
)

// Written says what became of a change.
type Written struct {
	// Where is where the change was made.
	Where Where `json:"where"`
	// Cursor is the place in the change feed after the change: a reader that has reached it sees
	// the change.
	Cursor FeedCursor `json:"cursor"`
}
