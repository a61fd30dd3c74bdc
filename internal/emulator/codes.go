package emulator

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// check is a verification under way: what was asked of a person, until it is done, too old or tried
// too often. Times are milliseconds by the instance's clock. Sign-ins, sign-ups, step-ups and
// addresses each hold their own.
type check struct {
	Strategy string  `json:"strategy"` // such as email_code
	Status   string  `json:"status"`   // unverified, verified, failed or expired
	Code     string  `json:"code,omitempty"`
	Token    string  `json:"token,omitempty"` // of a link
	Address  string  `json:"address_id,omitempty"`
	To       string  `json:"to,omitempty"`
	Attempts int     `json:"attempts"`
	ExpireAt int64   `json:"expire_at,omitempty"` // 0 means never
	Redirect string  `json:"redirect,omitempty"`  // where a link leads
	SentAt   int64   `json:"sent_at,omitempty"`
	Session  *string `json:"session,omitempty"`
}

const (
	codeLife = 10 * time.Minute
	maxTries = 5 // wrong codes, after which a new one must be sent
	testCode = "424242"
)

// isTestAddress reports whether codes to an e-mail address or a phone number are always 424242, as
// at Clerk: addresses with +clerk_test, numbers +1 XXX 555 01XX.
func isTestAddress(to string) bool {
	if local, _, ok := strings.Cut(to, "@"); ok {
		return strings.HasSuffix(local, "+clerk_test")
	}
	return len(to) == 12 && strings.HasPrefix(to, "+1") && to[5:10] == "55501"
}

func isPhone(to string) bool { return !strings.Contains(to, "@") }

// newCode returns the code for an address: 424242 for test addresses, else one at random.
func (e *Emulator) newCode(to string) string {
	if isTestAddress(to) && !e.policies.Instance.TestModeOff {
		return testCode
	}
	return fmt.Sprintf("%06d", e.random.IntN(1_000_000))
}

// sendCheck begins a verification by a code, which it sends to an address or a number. Test
// addresses get their messages in the inbox too.
func (e *Emulator) sendCheck(strategy, to, addressID, userID string) *check {
	now := e.clock.now()
	k := &check{
		Strategy: strategy, Status: "unverified", Code: e.newCode(to), To: to, Address: addressID,
		ExpireAt: now.Add(codeLife).UnixMilli(), SentAt: now.UnixMilli(),
	}
	slug := "verification_code"
	if strings.HasPrefix(strategy, "reset_password") {
		slug = "reset_password_code"
	}
	e.sendCode(to, addressID, userID, slug, k.Code)
	e.changed = true
	return k
}

// aged expires a verification whose time is over, and returns it. It accepts nil.
func (k *check) aged(now time.Time) *check {
	if k != nil && k.Status == "unverified" && k.ExpireAt > 0 && now.UnixMilli() >= k.ExpireAt {
		k.Status = "expired"
	}
	return k
}

func (k *check) tries() int {
	if k == nil {
		return 0
	}
	return k.Attempts
}

// try verifies a code. Its errors are those of Clerk: there is nothing to verify, the verification
// expired, failed before or is done, or the code is wrong.
func (e *Emulator) try(k *check, strategy, code string) error {
	if k == nil || k.Strategy != strategy {
		return fail(http.StatusBadRequest, "verification_missing", "missing verification", "Prepare a verification before attempting it.")
	}
	if code == "" {
		return missing("code")
	}
	switch k.aged(e.clock.now()).Status {
	case "expired":
		return fail(http.StatusBadRequest, "verification_expired", "expired", "This verification has expired. You must create a new one.")
	case "failed":
		return failedCheck()
	case "verified":
		return fail(http.StatusBadRequest, "verification_already_verified", "already verified", "This verification has already been verified.")
	}
	e.changed = true
	k.Attempts++
	if k.Code != "" && subtle.ConstantTimeCompare([]byte(k.Code), []byte(code)) == 1 {
		k.Status = "verified"
		return nil
	}
	if k.Attempts >= maxTries {
		k.Status = "failed"
		return failedCheck()
	}
	return wrongCode()
}

func failedCheck() *APIError {
	return fail(http.StatusBadRequest, "verification_failed", "failed",
		"Too many failed attempts. You have to try again with the same or another method.")
}

func wrongCode() *APIError {
	return fail(http.StatusUnprocessableEntity, "form_code_incorrect", "is incorrect", "Incorrect code").about("code")
}

// verification returns a verification as objects show it, or nil.
func (e *Emulator) verification(k *check) *Verification {
	if k == nil {
		return nil
	}
	k.aged(e.clock.now())
	v := &Verification{Object: "verification_otp", Status: k.Status, Strategy: k.Strategy, Attempts: new(k.Attempts)}
	if k.ExpireAt > 0 {
		v.ExpireAt = new(k.ExpireAt)
	}
	switch k.Strategy {
	case "password", "ticket", "totp", "backup_code", "email_link":
		v.Object = "verification_" + k.Strategy
	}
	return v
}

// prepareAddress sends a code to an address or a number that is to be verified, unless that was
// just done. A later call sends a new code, which replaces the first.
func (e *Emulator) prepareAddress(strategy, to, addressID, userID string) *Verification {
	k := e.prepared(e.checks[addressID], factor{Strategy: strategy, SafeIdentifier: to, EmailAddressID: addressID}, userID)
	e.checks[addressID] = k
	return e.verification(k)
}

// attemptAddress verifies an address or a number with the code that was sent to it. The caller
// changes the user.
func (e *Emulator) attemptAddress(strategy, addressID, code string) (*Verification, error) {
	k := e.checks[addressID]
	if err := e.try(k, strategy, code); err != nil {
		return e.verification(k), err
	}
	delete(e.checks, addressID)
	return e.verification(k), nil
}
