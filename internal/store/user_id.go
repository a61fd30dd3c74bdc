package store

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 defines version 5 by SHA-1; nothing secret depends on it
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// namespace is that of the ids of users whose Clerk id carries no time.
var namespace = [16]byte{0x0c, 0x1e, 0x4b, 0x5c, 0x7a, 0x8e, 0x4d, 0x02, 0x9d, 0x3b, 0x5a, 0x60, 0x7c, 0x1f, 0x2e, 0x94}

// UserID returns the id of a user's row, a UUID (RFC 9562) that follows from the Clerk id alone, so
// that a mirror that is built again has the same ids. docs/schema.md defines it for other
// implementations.
//
// A Clerk id that is "user_" and a KSUID carries the second in which it was made. Its UUID is of
// version 8 and sorts by that time: 48 bits of milliseconds as in version 7, then bits of the
// SHA-256 of the Clerk id. Any other id has a UUID of version 5.
func UserID(clerkUserID string) string {
	var u [16]byte
	var time [8]byte
	seconds, ok := ksuidSeconds(strings.TrimPrefix(clerkUserID, "user_"))
	if ok && strings.HasPrefix(clerkUserID, "user_") {
		sum := sha256.Sum256([]byte(clerkUserID))
		copy(u[6:], sum[:10])
		ms := seconds*1000 + int64(binary.BigEndian.Uint16(sum[10:])%1000) // no source has the millisecond
		binary.BigEndian.PutUint64(time[:], uint64(ms))                    //nolint:gosec // after 1970
		copy(u[:6], time[2:])
		return formatUUID(u, 8)
	}
	h := sha1.New() //nolint:gosec // see the import
	h.Write(namespace[:])
	h.Write([]byte(clerkUserID))
	copy(u[:], h.Sum(nil))
	return formatUUID(u, 5)
}

// formatUUID writes a UUID as text, with its version and the variant of RFC 9562.
func formatUUID(u [16]byte, version byte) string {
	u[6] = u[6]&0x0f | version<<4
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

// A KSUID is 20 bytes in 27 base62 digits. The first four bytes are seconds since ksuidEpoch,
// 2014-05-13T16:53:20Z.
const (
	ksuidDigits = 27
	ksuidEpoch  = 1_400_000_000
)

// ksuidSeconds returns the Unix time in seconds that a KSUID carries. ok is false for any text that
// is no KSUID.
func ksuidSeconds(text string) (seconds int64, ok bool) {
	if len(text) != ksuidDigits {
		return 0, false
	}
	var words [5]uint32
	for i := range ksuidDigits {
		digit, ok := base62(text[i])
		if !ok {
			return 0, false
		}
		carry := digit
		for w := len(words) - 1; w >= 0; w-- {
			carry += uint64(words[w]) * 62
			words[w] = uint32(carry) //nolint:gosec // its low half; the other is carried
			carry >>= 32
		}
		if carry != 0 { // more than 20 bytes
			return 0, false
		}
	}
	return ksuidEpoch + int64(words[0]), true
}

// base62 returns the value of a digit.
func base62(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'A' <= c && c <= 'Z':
		return uint64(c-'A') + 10, true
	case 'a' <= c && c <= 'z':
		return uint64(c-'a') + 36, true
	}
	return 0, false
}

// isUUID reports whether a text is a UUID in lower case.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if hyphen := i == 8 || i == 13 || i == 18 || i == 23; hyphen != (s[i] == '-') {
			return false
		} else if !hyphen && !(s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f') {
			return false
		}
	}
	return true
}
