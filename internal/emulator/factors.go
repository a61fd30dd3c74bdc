package emulator

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// factor is a way in which a person can prove who it is.
type factor struct {
	Strategy       string `json:"strategy"`
	SafeIdentifier string `json:"safe_identifier,omitempty"`
	EmailAddressID string `json:"email_address_id,omitempty"`
	PhoneNumberID  string `json:"phone_number_id,omitempty"`
	Primary        *bool  `json:"primary,omitempty"`
	Default        *bool  `json:"default,omitempty"`
}

func (f factor) addressID() string { return f.EmailAddressID + f.PhoneNumberID }

func isVerified(v *Verification) bool { return v != nil && v.Status == "verified" }

// findUser returns the user whom an identifier names: a verified or reserved e-mail address or
// phone number, or a user name; or nil.
func (e *Emulator) findUser(identifier string) *userRecord {
	lower := strings.ToLower(identifier)
	if r := e.users.byAddress["email_address:"+lower]; r != nil {
		for _, a := range r.EmailAddresses {
			if strings.EqualFold(a.EmailAddress, identifier) && (a.Reserved || isVerified(a.Verification)) {
				return r
			}
		}
	}
	if r := e.users.byAddress["phone_number:"+identifier]; r != nil {
		for _, p := range r.PhoneNumbers {
			if p.PhoneNumber == identifier && (p.Reserved || isVerified(p.Verification)) {
				return r
			}
		}
	}
	return e.users.byAddress["username:"+lower]
}

// firstFactors returns the ways in which a user can begin to sign in. With reset, that includes
// setting a new password.
func (r *userRecord) firstFactors(reset bool) []factor {
	all := []factor{}
	if r.PasswordEnabled {
		all = append(all, factor{Strategy: "password"})
	}
	reset = reset && r.PasswordEnabled
	for _, a := range r.EmailAddresses {
		if !a.Reserved && !isVerified(a.Verification) {
			continue
		}
		primary := r.PrimaryEmailAddressID != nil && a.ID == *r.PrimaryEmailAddressID
		all = append(all, factor{Strategy: "email_code", SafeIdentifier: a.EmailAddress, EmailAddressID: a.ID, Primary: &primary})
		if reset {
			all = append(all, factor{Strategy: "reset_password_email_code", SafeIdentifier: a.EmailAddress, EmailAddressID: a.ID, Primary: &primary})
		}
	}
	for _, p := range r.PhoneNumbers {
		if !p.Reserved && !isVerified(p.Verification) || p.ReservedForSecondFactor {
			continue
		}
		primary := r.PrimaryPhoneNumberID != nil && p.ID == *r.PrimaryPhoneNumberID
		all = append(all, factor{Strategy: "phone_code", SafeIdentifier: p.PhoneNumber, PhoneNumberID: p.ID, Primary: &primary})
		if reset {
			all = append(all, factor{Strategy: "reset_password_phone_code", SafeIdentifier: p.PhoneNumber, PhoneNumberID: p.ID, Primary: &primary})
		}
	}
	return all
}

// secondFactors returns the ways in which a user with two factors completes a sign-in. It is empty
// for all others: backup codes alone are none.
func (r *userRecord) secondFactors() []factor {
	all := []factor{}
	if r.TOTPEnabled {
		all = append(all, factor{Strategy: "totp"})
	}
	for _, p := range r.PhoneNumbers {
		if p.ReservedForSecondFactor && isVerified(p.Verification) {
			all = append(all, factor{
				Strategy: "phone_code", SafeIdentifier: p.PhoneNumber, PhoneNumberID: p.ID, Default: new(p.DefaultSecondFactor),
			})
		}
	}
	if len(all) > 0 && r.BackupCodeEnabled {
		all = append(all, factor{Strategy: "backup_code"})
	}
	return all
}

// chosen returns the factor with a strategy, and with an address if one is named. Otherwise it
// prefers the identifier of the sign-in, then the primary address.
func chosen(all []factor, strategy, addressID, identifier string) (factor, error) {
	of := slices.DeleteFunc(slices.Clone(all), func(f factor) bool { return f.Strategy != strategy })
	if addressID != "" {
		of = slices.DeleteFunc(of, func(f factor) bool { return f.addressID() != addressID })
	}
	if len(of) == 0 {
		return factor{}, fail(http.StatusBadRequest, "strategy_for_user_invalid", "Invalid verification strategy",
			"The verification strategy is not valid for this account")
	}
	slices.SortStableFunc(of, func(a, b factor) int { return rank(b, identifier) - rank(a, identifier) })
	return of[0], nil
}

func rank(f factor, identifier string) int {
	switch {
	case f.SafeIdentifier != "" && strings.EqualFold(f.SafeIdentifier, identifier):
		return 2
	case or(f.Primary) || or(f.Default):
		return 1
	}
	return 0
}

// resend is how long after a code was sent asking for it again sends none: pages ask twice, such as
// React's in its strict mode, and the person must not get a code that is already replaced. The
// SDKs' components offer to send again after as long.
const resend = 30 * time.Second

// prepared returns the verification of a factor, and sends its code unless that was just done.
func (e *Emulator) prepared(k *check, f factor, userID string) *check {
	now := e.clock.now()
	if k != nil && k.Strategy == f.Strategy && k.Address == f.addressID() && k.aged(now).Status == "unverified" &&
		now.UnixMilli() < k.SentAt+resend.Milliseconds() {
		return k
	}
	return e.sendCheck(f.Strategy, f.SafeIdentifier, f.addressID(), userID)
}

// mayIdentify refuses users who are banned or locked.
func (e *Emulator) mayIdentify(r *userRecord) error {
	e.json(r) // ends a lock whose time is over
	switch {
	case r.Banned:
		return fail(http.StatusForbidden, "user_banned", "Account banned", "This account has been banned. Contact support for more information.")
	case r.Locked:
		left := or(r.LockoutExpiresInSeconds)
		long := "Your account is locked. For more information, please contact support."
		if left > 0 {
			minutes := int(math.Ceil(float64(left) / 60))
			long = fmt.Sprintf("Your account is locked. You will be able to try again in %d minutes. For more information, please contact support.", minutes)
		}
		failure := fail(http.StatusForbidden, "user_locked", "Account locked", long)
		failure.Errors[0].Meta["lockout_expires_in_seconds"] = left
		return failure
	}
	return nil
}

// failedAttempt counts a wrong password or code. The last one that the instance allows locks the
// user, with user.updated; then it returns that error instead of the given one.
func (e *Emulator) failedAttempt(r *userRecord, failure error) error {
	if r == nil {
		return failure
	}
	left := lockAttempts
	if r.VerificationAttemptsRemaining != nil {
		left = *r.VerificationAttemptsRemaining
	}
	left--
	if left > 0 {
		r.VerificationAttemptsRemaining = &left
		e.users.changed(r)
		e.changed = true
		return failure
	}
	if _, err := e.rewrite(r, func(next *userRecord, _ int64) {
		next.Locked, next.locked = true, e.clock.now().Add(lockout)
		next.VerificationAttemptsRemaining = new(0)
	}); err != nil {
		return err
	}
	return e.mayIdentify(r)
}

// succeeded forgets failed attempts.
func (e *Emulator) succeeded(r *userRecord) {
	if or(r.VerificationAttemptsRemaining) != lockAttempts {
		r.VerificationAttemptsRemaining = new(lockAttempts)
		e.users.changed(r)
		e.changed = true
	}
}

// proven verifies what a person gave for a factor: a password, a code that was sent, a code of an
// authenticator app or a backup code. It returns the verification, and counts what is wrong.
func (e *Emulator) proven(r *userRecord, k *check, strategy, password, code string) (*check, error) {
	if err := e.mayIdentify(r); err != nil {
		return k, err
	}
	var ok bool
	wrong := error(wrongCode())
	switch strategy {
	case "password":
		if password == "" {
			return k, missing("password")
		}
		if !r.PasswordEnabled {
			_, err := chosen(nil, strategy, "", "")
			return k, err
		}
		var err error
		if ok, err = r.secret.Password.matches(password); err != nil {
			return k, err
		}
		wrong = wrongPassword("password")
	case "totp", "backup_code":
		if code == "" {
			return k, missing("code")
		}
		if strategy == "totp" {
			ok = r.TOTPEnabled && validTOTP(r.secret.TOTPSecret, code)
		} else {
			ok = e.useBackupCode(r, code)
		}
	default:
		before := k.tries()
		if err := e.try(k, strategy, code); err != nil {
			if k.tries() > before {
				err = e.failedAttempt(r, err)
			}
			return k, err
		}
		e.succeeded(r)
		return k, nil
	}
	if !ok {
		return k, e.failedAttempt(r, wrong)
	}
	e.succeeded(r)
	return &check{Strategy: strategy, Status: "verified"}, nil
}
