package store

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // RFC 9562 defines version 5 by SHA-1; nothing secret depends on it
	"encoding/hex"

	"github.com/clerksync/clerksync/clerk"
)

// Key names one mirrored object.
type Key struct {
	Kind clerk.Kind
	ID   string
}

// Rank tells how much of an object a body holds.
type Rank int

// The ranks, in the order in which they win.
const (
	Mention  Rank = iota // no more than the id, as in a session's user_id
	Slice                // a few fields, as a membership carries of its user
	Embedded             // a whole object inside another one, possibly stale
	Full                 // the object itself
)

// Version orders the bodies of one object; see package ingest, which compares it.
type Version struct {
	Terminal   bool
	Rank       Rank
	UpdatedAt  clerk.Time
	ObservedAt clerk.Time
	Revision   int
	Digest     string
}

// Row is one mirrored object as it is stored.
type Row struct {
	Key
	Version
	Read bool // the body came from a read, not from an event

	Hard      bool       // deleted for ever
	DeletedAt clerk.Time // when, as far as it is known
	Erased    bool       // the person it is about was erased: it holds ids, version and status alone, and never more
	SeenAt    clerk.Time // the latest full object
	// ReadAfter is the head's write counter from before the latest read was sent that found the object at Clerk. Unlike
	// SeenAt it is no time: an event that comes late can't raise it.
	ReadAfter int64
	GoneAt    clerk.Time // the latest absence; hides while it is not older than SeenAt
	HintAt    clerk.Time // the greatest updated_at that an embedded copy claimed

	UserID         string // parents, kept when the body is gone
	OrganizationID string

	SignedInAt clerk.Time // users only: joined facts, never smaller again
	ActiveAt   clerk.Time
	BannedAt   clerk.Time
	Provision  Provision

	// VerifiedAt is when an authoritative read agreed, to be noted when the row is saved; 0 leaves what is noted. It is
	// not loaded, nor part of what merges compare.
	VerifiedAt clerk.Time
	Written    int64 // the head's write counter at the last write
	// Altered tells that something else than clerksync had written the row when it was loaded. Saving it does not hide that:
	// the row keeps a checksum that does not hold, until who has read the object from Clerk clears this.
	Altered bool
	// Unsealed reports that the row had no checksum when it was loaded: an earlier version has written it.
	Unsealed bool
	Raw      string // the canonical body; "" when only the id is known
	body     clerk.Value
}

// Provision is what the last version of a user that carries the flag says of their directory (SCIM): whether it took their
// access away. Not every source carries the flag, so that it has an order of its own.
type Provision struct {
	UpdatedAt  clerk.Time
	ObservedAt clerk.Time
	Out        bool // deprovisioned
}

// Compare orders two of them: what decides wins. Of two that tell no order the one that denies does.
func (p Provision) Compare(q Provision) int {
	return cmp.Or(cmp.Compare(p.UpdatedAt, q.UpdatedAt), cmp.Compare(p.ObservedAt, q.ObservedAt), cmp.Compare(flag(p.Out), flag(q.Out)))
}

// Hidden reports whether the object counts as deleted.
func (r *Row) Hidden() bool { return r.Hard || r.GoneAt > 0 && r.GoneAt >= r.SeenAt }

// Stub reports whether no full object has been seen yet.
func (r *Row) Stub() bool { return r.Rank < Full }

// Body is the parsed Raw.
func (r *Row) Body() clerk.Value {
	if !r.body.Exists() && r.Raw != "" {
		// what is stored was canonical when it was written; a row damaged since reads as empty
		r.body, _ = clerk.Parse([]byte(r.Raw))
	}
	return r.body
}

// SetBody replaces the body; raw is its canonical encoding.
func (r *Row) SetBody(v clerk.Value, raw string) {
	r.body, r.Raw = v, raw
}

// deletedAt is when the row became invisible, 0 while it is visible.
func (r *Row) deletedAt() clerk.Time {
	switch {
	case !r.Hidden():
		return 0
	case r.Hard:
		return max(r.DeletedAt, 1) // an event without a time: deleted, at a time nobody told
	default:
		return r.GoneAt
	}
}

// namespace is the constant under which user ids are derived (documented in docs/schema.md).
var namespace = [16]byte{0x0c, 0x1e, 0x4b, 0x5c, 0x7a, 0x8e, 0x4d, 0x02, 0x9d, 0x3b, 0x5a, 0x60, 0x7c, 0x1f, 0x2e, 0x94}

// UserID is the id of a user's row: the UUID version 5 (RFC 9562) of the Clerk id, so
// that a mirror built anew has the same ids.
func UserID(clerkUserID string) string {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write([]byte(clerkUserID))
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:8], u[0:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:36], u[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}
