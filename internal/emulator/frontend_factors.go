package emulator

import (
	"net/http"
	"slices"
	"strings"
)

// changeMyPassword sets a password. Who knows the present one needs no other verification.
func (e *Emulator) changeMyPassword(c *frontCall, p person) (any, error) {
	var given struct {
		Current *string `json:"current_password"`
		New     string  `json:"new_password"`
		SignOut *bool   `json:"sign_out_of_other_sessions"`
	}
	if err := c.decode(&given); err != nil {
		return nil, err
	}
	if given.New == "" {
		return nil, missing("new_password")
	}
	if err := e.knowsPassword(p, or(given.Current)); err != nil {
		return nil, err
	}
	if err := checkPassword("new_password", given.New); err != nil {
		return nil, err
	}
	if same, _ := p.secret.Password.matches(given.New); same {
		return nil, fail(http.StatusUnprocessableEntity, "form_new_password_matches_current", "is invalid",
			"New password cannot be the same as the current password.").about("new_password")
	}
	hash := hashPassword(given.New)
	if _, err := e.rewrite(p.userRecord, func(next *userRecord, now int64) { next.setPassword(hash, now) }); err != nil {
		return nil, err
	}
	if or(given.SignOut) {
		for _, s := range slices.Clone(e.sessions.byUser[p.ID]) {
			if s != p.session {
				e.end(e.aged(s), "revoked", true)
			}
		}
	}
	return e.frontUser(p.userRecord), nil
}

// knowsPassword refuses a wrong password. Without one, the session must be verified freshly.
func (e *Emulator) knowsPassword(p person, current string) error {
	if current == "" || !p.PasswordEnabled {
		return e.freshlyVerified(p)
	}
	right, err := p.secret.Password.matches(current)
	if err == nil && !right {
		err = wrongPassword("current_password")
	}
	return err
}

func (e *Emulator) removeMyPassword(c *frontCall, p person) (any, error) {
	if !p.PasswordEnabled {
		return nil, fail(http.StatusBadRequest, "no_password_set", "no password set", "This user does not have a password set for their account")
	}
	if e.options.Settings.attribute("password") == "required" {
		return nil, fail(http.StatusBadRequest, "password_required", "password required",
			"Settings for this instance require a password to be set. Cannot remove the user's password.")
	}
	if err := e.knowsPassword(p, c.form.Get("current_password")); err != nil {
		return nil, err
	}
	_, err := e.rewrite(p.userRecord, func(next *userRecord, _ int64) {
		next.secret.Password, next.PasswordEnabled, next.PasswordLastUpdatedAt = passwordHash{}, false, nil
	})
	return e.frontUser(p.userRecord), err
}

// newBackupCodes returns ten codes, each of which proves once who the person is.
func (e *Emulator) newBackupCodes() []string {
	codes := make([]string, 10)
	for i := range codes {
		codes[i] = strings.ToLower(e.random.text(8))
	}
	return codes
}

// setBackupCodes replaces the backup codes of a user with a second factor, if there are new ones.
func (r *userRecord) setBackupCodes(codes []string) {
	if r.TwoFactorEnabled && codes != nil {
		r.secret.BackupCodes, r.BackupCodeEnabled = codes, true
	}
}

func (e *Emulator) createMyBackupCodes(_ *frontCall, p person) (any, error) {
	if !p.TwoFactorEnabled {
		return nil, fail(http.StatusBadRequest, "backup_codes_not_available", "Backup codes not available",
			"In order to use backup codes, you have to enable any other Multi-factor method")
	}
	codes, id := e.newBackupCodes(), e.random.id("idn")
	_, err := e.rewrite(p.userRecord, func(next *userRecord, _ int64) { next.setBackupCodes(codes) })
	return values{"object": "backup_code", "id": id, "codes": codes, "created_at": p.UpdatedAt, "updated_at": p.UpdatedAt}, err
}

// frontTOTP is an authenticator app. Its secret is shown until it is verified.
type frontTOTP struct {
	Object      string   `json:"object"`
	ID          string   `json:"id"`
	Secret      *string  `json:"secret"`
	URI         *string  `json:"uri"`
	Verified    bool     `json:"verified"`
	BackupCodes []string `json:"backup_codes,omitempty"`
	CreatedAt   int64    `json:"created_at"`
	UpdatedAt   int64    `json:"updated_at"`
}

// totpCheck is the key of the check of a secret that no authenticator app has proved to know yet.
func totpCheck(user string) string { return "totp:" + user }

func (e *Emulator) createMyTOTP(_ *frontCall, p person) (any, error) {
	if p.TOTPEnabled {
		return nil, fail(http.StatusBadRequest, "totp_already_enabled", "TOTP already enabled", "TOTP is already enabled on your account")
	}
	now := e.clock.now().UnixMilli()
	k := &check{Strategy: "totp", Status: "unverified", Token: newTOTPSecret(), Address: e.random.id("totp"), SentAt: now}
	e.checks[totpCheck(p.ID)], e.changed = k, true
	return frontTOTP{
		Object: "totp", ID: k.Address, Secret: &k.Token, URI: new(totpURI(or(p.primary()), k.Token)), CreatedAt: now, UpdatedAt: now,
	}, nil
}

func (e *Emulator) attemptMyTOTP(c *frontCall, p person) (any, error) {
	k := e.checks[totpCheck(p.ID)]
	switch code := c.form.Get("code"); {
	case k == nil:
		return nil, fail(http.StatusBadRequest, "verification_missing", "is missing",
			"This strategy requires verification preparation before attempting to validate it.")
	case code == "":
		return nil, missing("code")
	case !validTOTP(k.Token, code):
		return nil, wrongCode()
	}
	var codes []string
	if !p.BackupCodeEnabled {
		codes = e.newBackupCodes()
	}
	if _, err := e.rewrite(p.userRecord, func(next *userRecord, now int64) {
		next.secret.TOTPSecret, next.TOTPEnabled = k.Token, true
		next.countFactors(now)
		next.setBackupCodes(codes)
	}); err != nil {
		return nil, err
	}
	delete(e.checks, totpCheck(p.ID))
	return frontTOTP{Object: "totp", ID: k.Address, Verified: true, BackupCodes: codes, CreatedAt: k.SentAt, UpdatedAt: p.UpdatedAt}, nil
}

func (e *Emulator) deleteMyTOTP(_ *frontCall, p person) (any, error) {
	if !p.TOTPEnabled {
		return nil, noIdentification()
	}
	_, err := e.rewrite(p.userRecord, func(next *userRecord, now int64) {
		next.secret.TOTPSecret, next.TOTPEnabled = "", false
		next.countFactors(now)
	})
	return frontDeleted{Object: "totp", ID: p.ID, Deleted: true}, err
}
