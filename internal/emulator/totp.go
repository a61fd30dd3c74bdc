package emulator

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6238 as authenticator apps do it
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// totpStep is how long a code of an authenticator app is shown.
const totpStep = 30 * time.Second

// newTOTPSecret returns a new secret in base32, as authenticator apps take it.
func newTOTPSecret() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}

// totpURI returns what the QR code of a secret contains.
func totpURI(account, secret string) string {
	return fmt.Sprintf("otpauth://totp/%s:%s?algorithm=SHA1&digits=6&issuer=%s&period=30&secret=%s",
		url.PathEscape(applicationName), url.PathEscape(account), url.QueryEscape(applicationName), secret)
}

// totpCode returns the code of a secret (RFC 6238), or an empty text if the secret is not base32.
func totpCode(secret string, at time.Time) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(secret), "="))
	if err != nil || len(key) == 0 {
		return ""
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/int64(totpStep.Seconds()))) //nolint:gosec // not before 1970
	mac := hmac.New(sha1.New, key)
	_, _ = mac.Write(counter[:]) // never fails
	sum := mac.Sum(nil)
	start := sum[len(sum)-1] & 0x0f
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[start:])&0x7fffffff%1_000_000)
}

// validTOTP reports whether a code is that of now, of the step before or of the next one. Time is
// real, because that of authenticator apps is.
func validTOTP(secret, code string) bool {
	now := time.Now()
	for _, at := range []time.Time{now, now.Add(-totpStep), now.Add(totpStep)} {
		if want := totpCode(secret, at); want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return true
		}
	}
	return false
}

// useBackupCode reports whether a backup code is valid. Each works once.
func (e *Emulator) useBackupCode(r *userRecord, code string) bool {
	i := slices.Index(r.secret.BackupCodes, code)
	if i < 0 || code == "" {
		return false
	}
	r.secret.BackupCodes = slices.Delete(slices.Clone(r.secret.BackupCodes), i, i+1)
	e.changed = true
	return true
}
