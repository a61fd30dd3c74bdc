package emulator

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// credentials are what a user proves the own identity with. They are never shown.
type credentials struct {
	Password    passwordHash `json:"password,omitzero"`
	TOTPSecret  string       `json:"totp_secret,omitempty"`  // base32
	BackupCodes []string     `json:"backup_codes,omitempty"` // those that are not used yet
}

// passwordHash is a password of which only the hash is kept. The zero value is no password.
type passwordHash struct {
	Hasher string `json:"hasher"`
	Digest string `json:"digest"`
}

// Our own hashes have the form of Django's pbkdf2_sha256, which Clerk imports too. They are made
// with few rounds: passwords of an emulator are no secrets, and tests sign in thousands of times.
const (
	ownHasher   = "pbkdf2_sha256"
	ownRounds   = 1000
	mostRounds  = 2_000_000 // of an imported hash
	minPassword = 8
	maxPassword = 72
)

// hashPassword hashes a password with a new salt.
func hashPassword(password string) passwordHash {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	text := base64.RawStdEncoding.EncodeToString(salt[:])
	return passwordHash{ownHasher, djangoHash(password, text, ownRounds)}
}

func djangoHash(password, salt string, rounds int) string {
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), rounds, sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("emulator: hash a password: %v", err)) // only for lengths that are not used here
	}
	return fmt.Sprintf("pbkdf2_sha256$%d$%s$%s", rounds, salt, base64.StdEncoding.EncodeToString(key))
}

// matches reports whether a password is the hashed one. It fails for imported hashes of a kind that
// the emulator cannot compute.
func (h passwordHash) matches(password string) (bool, error) {
	if h == (passwordHash{}) {
		return false, nil
	}
	if h.Hasher == ownHasher || h.Hasher == "pbkdf2_sha256_django" {
		parts := strings.Split(h.Digest, "$")
		if len(parts) != 4 {
			return false, nil
		}
		rounds, _ := strconv.Atoi(parts[1]) // 0 for what is no number
		if rounds < 1 || rounds > mostRounds {
			return false, nil
		}
		return subtle.ConstantTimeCompare([]byte(djangoHash(password, parts[2], rounds)), []byte(h.Digest)) == 1, nil
	}
	return false, fail(http.StatusNotImplemented, "not_implemented", "not implemented by the emulator",
		"The emulator cannot verify passwords that were imported as "+h.Hasher+", only pbkdf2_sha256.")
}

// checkPassword refuses a new password that breaks the instance's rules: 8 to 72 characters, and at
// most 72 bytes. No list of passwords from breaches is asked.
func checkPassword(parameter, password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		return fail(http.StatusUnprocessableEntity, "form_password_length_too_short", "Passwords must be 8 characters or more.",
			"Passwords must be 8 characters or more.").about(parameter)
	case n > maxPassword:
		return fail(http.StatusUnprocessableEntity, "form_password_length_too_long", "Passwords must be less than 72 characters.",
			"Passwords must be less than 72 characters.").about(parameter)
	case len(password) > maxPassword:
		const text = "Your password is too long. Please use a shorter one."
		return fail(http.StatusUnprocessableEntity, "form_password_size_in_bytes_exceeded", text, text).about(parameter)
	}
	return nil
}

// setPassword replaces the password.
func (r *userRecord) setPassword(h passwordHash, now int64) {
	r.secret.Password, r.PasswordEnabled, r.PasswordLastUpdatedAt = h, true, &now
}

func wrongPassword(parameter string) *APIError {
	const text = "Password is incorrect. Try again, or use another method."
	return fail(http.StatusUnprocessableEntity, "form_password_incorrect", text, text).about(parameter)
}
