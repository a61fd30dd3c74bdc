package row

import (
	"cmp"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// Key names one mirrored object.
type Key struct {
	Kind clerk.Kind
	ID   string
}

// Rank says how much of an object a body holds.
type Rank int

// The ranks, from the one that loses to the one that wins.
const (
	IDOnly   Rank = iota // the id alone, as in a session's user_id
	Partial              // a few fields, as a membership carries of its user
	Embedded             // a whole object inside another one, possibly stale
	Full                 // the object itself
)

// Version orders the states of one object. Package converge compares versions.
type Version struct {
	Terminal   bool
	Rank       Rank
	UpdatedAt  clerk.Time
	ObservedAt clerk.Time
	Revision   int    // of the projection
	Digest     string // of the projection
}

// Text returns "terminal.rank.updated.observed", for people and for consumers that compare versions
// for equality.
func (v Version) Text() string {
	b := strconv.AppendInt(nil, number(v.Terminal), 10)
	b = strconv.AppendInt(append(b, '.'), int64(v.Rank), 10)
	b = strconv.AppendInt(append(b, '.'), int64(v.UpdatedAt), 10)
	return string(strconv.AppendInt(append(b, '.'), int64(v.ObservedAt), 10))
}

// Row is one mirrored object as it is stored.
type Row struct {
	Key
	Version
	Read bool // the body came from a read, not from an event

	Tombstoned bool       // Clerk said that the object is deleted; this is permanent
	DeletedAt  clerk.Time // when Clerk deleted it, as far as that is known
	// Erased reports that the user it is about was erased. The row holds ids, version and status,
	// and never more.
	Erased bool
	SeenAt clerk.Time // the latest full object
	// ReadAfter is the head's write counter from before the latest read was sent that found the
	// object at Clerk. Unlike SeenAt it is no time, so a late event cannot raise it.
	ReadAfter int64
	// GoneAt is the latest read that did not find the object. It hides the row while it is not
	// older than SeenAt.
	GoneAt clerk.Time
	HintAt clerk.Time // the greatest updated_at that an embedded copy claimed

	UserID         string // parents, kept when the body is gone
	OrganizationID string

	SignedInAt clerk.Time // users only: joined facts, which never become smaller
	ActiveAt   clerk.Time
	BannedAt   clerk.Time
	Provision  Provision

	Overrides Overrides // what an operator set here instead of what Clerk says

	// VerifiedAt is when an authoritative read agreed, to be noted when the row is saved. 0 leaves
	// the stored value. It is neither loaded nor compared by merges.
	VerifiedAt clerk.Time
	Written    int64 // the head's write counter at the last write
	// Altered reports that something other than clerksync had written the row when it was loaded.
	// Saving the row does not hide that: the row keeps a wrong checksum until a read of the object
	// from Clerk clears this.
	Altered bool
	Raw     string // the canonical body; "" when only the id is known
	body    clerk.Value
}

// Provision is what the last version of a user that carries the flag says of the user's directory
// (SCIM). Not every source carries the flag, so it has an order of its own.
type Provision struct {
	UpdatedAt     clerk.Time
	ObservedAt    clerk.Time
	Deprovisioned bool // the directory took the user's access away
}

// Compare orders two provisions. Of two with equal times, the one that denies is greater.
func (p Provision) Compare(q Provision) int {
	return cmp.Or(
		cmp.Compare(p.UpdatedAt, q.UpdatedAt), cmp.Compare(p.ObservedAt, q.ObservedAt),
		cmp.Compare(number(p.Deprovisioned), number(q.Deprovisioned)),
	)
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Hidden reports whether the object counts as deleted.
func (r *Row) Hidden() bool { return r.Tombstoned || r.GoneAt > 0 && r.GoneAt >= r.SeenAt }

// Stub reports whether no full object has been seen yet.
func (r *Row) Stub() bool { return r.Rank < Full }

// Body returns the parsed Raw. A row that was damaged since it was written has an empty body.
func (r *Row) Body() clerk.Value {
	if !r.body.Exists() && r.Raw != "" {
		r.body, _ = clerk.Parse([]byte(r.Raw))
	}
	return r.body
}

// SetBody replaces the body. raw is its canonical encoding.
func (r *Row) SetBody(v clerk.Value, raw string) {
	r.body, r.Raw = v, raw
}

// HiddenAt returns when the row became hidden, 0 while it is visible.
func (r *Row) HiddenAt() clerk.Time {
	switch {
	case !r.Hidden():
		return 0
	case r.Tombstoned:
		return max(r.DeletedAt, 1) // 1 for an event without a time
	default:
		return r.GoneAt
	}
}
