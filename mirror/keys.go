package mirror

import "time"

// Key is an API key of a user or an organization, or an opaque M2M token of a machine, as Clerk
// lists it. The key itself is not part of it.
type Key struct {
	// ID is Clerk's id: ak_… of an API key, mt_… of an M2M token.
	ID string `json:"id"`
	// Kind is api_key or m2m.
	Kind string `json:"kind"`
	// Subject is the user, the organization or the machine that the key stands for.
	Subject string `json:"subject"`
	// Name is what its creator called an API key, empty for M2M tokens.
	Name string `json:"name"`
	// Scopes are the scopes of an API key. Those of an M2M token are the machines that may receive
	// it.
	Scopes []string `json:"scopes"`
	// CreatedBy is the user who made an API key, empty if a backend did.
	CreatedBy string `json:"created_by"`
	// State says whether the key is valid.
	State KeyState `json:"state"`
	// CreatedAt is when it was made.
	CreatedAt time.Time `json:"created_at"`
	// ExpiresAt is when it ends, zero for never.
	ExpiresAt time.Time `json:"expires_at"`
	// LastUsedAt is when Clerk verified it last, zero for never. What clerksync remembers is not
	// verified by Clerk.
	LastUsedAt time.Time `json:"last_used_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (k Key) MarshalJSON() ([]byte, error) { return encode(k) }

// KeyState says whether a key is valid.
type KeyState string

// The states of keys.
const (
	KeyActive  KeyState = "active"
	KeyRevoked KeyState = "revoked" // at Clerk, or here
	KeyExpired KeyState = "expired"
)

// Revocation is the refusal of a key or a token here, or of all keys and tokens of a subject that
// were made until then.
type Revocation struct {
	// ID is the id of a key or an opaque token (ak_…, oat_…, mt_…), the claim jti of a JWT, or with
	// IsSubject the user, the organization or the machine.
	ID string `json:"id"`
	// IsSubject reports that all keys and tokens of ID are refused that were made until RevokedAt.
	IsSubject bool `json:"is_subject"`
	// RevokedAt is when it was revoked.
	RevokedAt time.Time `json:"revoked_at"`
	// EndsAt is when the revocation is removed, because nothing would accept the key without it.
	// It is zero while that is not known: then it is kept.
	EndsAt time.Time `json:"ends_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (r Revocation) MarshalJSON() ([]byte, error) { return encode(r) }

// RevocationFilter selects revocations. The zero value selects all.
type RevocationFilter struct {
	// ID selects those of one key, token or subject.
	ID string
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
