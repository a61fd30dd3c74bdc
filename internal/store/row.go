package store

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 defines version 5 by SHA-1; nothing secret depends on it
	"encoding/hex"

	"github.com/clerksync/clerksync/internal/row"
)

// The store saves and loads these values of package row.
type (
	Key        = row.Key
	Row        = row.Row
	Version    = row.Version
	Change     = row.Change
	ChangeRef  = row.ChangeRef
	VerifyItem = row.VerifyItem
	KeyOfRole  = row.KeyOfRole
)

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
