package emulator

import (
	"net/http"
	"slices"
)

// verifyPassword checks a password for a backend that signs its users in by itself.
func (e *Emulator) verifyPassword(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		Password string `json:"password"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Password == "" {
		return nil, missing("password")
	}
	if !r.PasswordEnabled {
		return nil, fail(http.StatusBadRequest, "no_password_set", "no password set", "This user does not have a password set for their account")
	}
	right, err := r.secret.Password.matches(p.Password)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, fail(http.StatusUnprocessableEntity, "incorrect_password", "incorrect password", "The provided password is not the one the user has set")
	}
	return map[string]bool{"verified": true}, nil
}

// verifyTOTP checks a code of an authenticator app, or a backup code, which is used up by that.
func (e *Emulator) verifyTOTP(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		Code string `json:"code"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	switch {
	case p.Code == "":
		return nil, missing("code")
	case !r.TOTPEnabled:
		return nil, fail(http.StatusBadRequest, "totp_disabled", "TOTP is disabled", "This user does not have TOTP enabled in their account")
	case validTOTP(r.secret.TOTPSecret, p.Code):
		return map[string]any{"verified": true, "code_type": "totp"}, nil
	case e.useBackupCode(r, p.Code):
		return map[string]any{"verified": true, "code_type": "backup_code"}, nil
	}
	return nil, fail(http.StatusUnprocessableEntity, "totp_incorrect_code", "incorrect TOTP", "The provided TOTP code is incorrect")
}

// removePassword removes a password. A user without one is returned as it is.
func (e *Emulator) removePassword(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		SignOut bool `json:"sign_out_of_other_sessions"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.SignOut {
		e.revokeAll(r.ID)
	}
	if !r.PasswordEnabled {
		return e.json(r), nil
	}
	return e.rewrite(r, func(next *userRecord, _ int64) {
		next.secret.Password, next.PasswordEnabled = passwordHash{}, false
	})
}

// revokeAll ends the sessions of a user, each with its event.
func (e *Emulator) revokeAll(user string) {
	for _, s := range e.sessions.byUser[user] {
		e.end(e.aged(s), "revoked", true)
	}
}

// withoutFactors returns an endpoint that removes second factors.
func withoutFactors(totp, backup, phones bool) func(*Emulator, *call) (any, error) {
	return func(e *Emulator, c *call) (any, error) {
		r, err := e.user(c.id())
		if err != nil {
			return nil, err
		}
		_, err = e.rewrite(r, func(next *userRecord, now int64) {
			if totp {
				next.TOTPEnabled, next.secret.TOTPSecret = false, ""
			}
			if backup {
				next.BackupCodeEnabled, next.secret.BackupCodes = false, nil
			}
			for i := range next.PhoneNumbers {
				if n := &next.PhoneNumbers[i]; phones {
					n.ReservedForSecondFactor, n.DefaultSecondFactor = false, false
				}
			}
			next.countFactors(now)
		})
		return map[string]string{"user_id": r.ID}, err
	}
}

// deleteWallet takes a wallet from a user. If it was the primary one, the next one is.
func (e *Emulator) deleteWallet(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	id := c.r.PathValue("wallet_id")
	if !slices.ContainsFunc(r.Web3Wallets, func(w Web3Wallet) bool { return w.ID == id }) {
		return nil, notFound("web3 wallet", id)
	}
	if err := r.mayLoseOne(); err != nil {
		return nil, err
	}
	_, err = e.rewrite(r, func(next *userRecord, _ int64) {
		next.Web3Wallets = slices.DeleteFunc(slices.Clone(r.Web3Wallets), func(w Web3Wallet) bool { return w.ID == id })
		if or(next.PrimaryWeb3WalletID) == id {
			next.PrimaryWeb3WalletID = nil
			if len(next.Web3Wallets) > 0 {
				next.PrimaryWeb3WalletID = new(next.Web3Wallets[0].ID)
			}
		}
	})
	return Deleted{Object: "web3_wallet", ID: id, Deleted: true}, err
}

// upload reads the picture of a form with a file.
func (c *call) upload() (*image, error) {
	f := &frontCall{call: c}
	if err := f.readForm(); err != nil {
		return nil, err
	}
	i, err := readImage(f.files["file"], false)
	return &i, err
}

func (e *Emulator) uploadProfileImage(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	i, err := c.upload()
	if err != nil {
		return nil, err
	}
	return e.setPicture(r, c.r, i)
}

func (e *Emulator) deleteProfileImage(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	return e.setPicture(r, c.r, nil)
}

func (e *Emulator) uploadLogo(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	i, err := c.upload()
	if err != nil {
		return nil, err
	}
	return e.setLogo(o, c.r, i), nil
}

func (e *Emulator) deleteLogo(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	return e.setLogo(o, c.r, nil), nil
}
