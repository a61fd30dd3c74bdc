package emulator

import "encoding/json"

// The objects of the Backend API and of webhooks, field by field as Clerk documents them.
// Times are milliseconds since 1970. Pointers may be null.

// Metadata is a JSON object. The empty one is written {}.
type Metadata map[string]any

// MarshalJSON writes {} for nil: Clerk's metadata is never null.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if len(m) == 0 {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]any(m))
}

// Deleted is what the API and webhooks return of a deleted object.
type Deleted struct {
	Object     string  `json:"object"`
	ID         string  `json:"id"`
	Slug       *string `json:"slug,omitempty"`
	Deleted    bool    `json:"deleted"`
	ExternalID *string `json:"external_id,omitempty"`
}

// JWTTemplate says which claims a token has that is made from the template.
type JWTTemplate struct {
	Object           string         `json:"object"`
	ID               string         `json:"id"`
	Name             string         `json:"name"`
	Claims           map[string]any `json:"claims"`
	Lifetime         int            `json:"lifetime"`           // seconds
	AllowedClockSkew int            `json:"allowed_clock_skew"` // seconds
	CustomSigningKey bool           `json:"custom_signing_key"`
	SigningAlgorithm string         `json:"signing_algorithm"`
	CreatedAt        int64          `json:"created_at"`
	UpdatedAt        int64          `json:"updated_at"`

	signingKey string
}

// ActorToken lets one user sign in as another.
type ActorToken struct {
	Object    string         `json:"object"`
	ID        string         `json:"id"`
	Status    string         `json:"status"`
	UserID    string         `json:"user_id"`
	Actor     map[string]any `json:"actor"`
	Token     string         `json:"token,omitempty"`
	URL       *string        `json:"url,omitempty"`
	CreatedAt int64          `json:"created_at"`
	UpdatedAt int64          `json:"updated_at"`
}
