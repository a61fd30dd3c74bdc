package emulator

import (
	"net/http"
	"slices"
)

// adminVerification is how an address is verified that a backend declares to be verified. Others
// have none.
func adminVerification(verified bool) *Verification {
	if !verified {
		return nil
	}
	return &Verification{Object: "verification_admin", Status: "verified", Strategy: "admin"}
}

// email returns the user's address with an id, or nil.
func (r *userRecord) email(id string) *EmailAddress {
	for i := range r.EmailAddresses {
		if r.EmailAddresses[i].ID == id {
			return &r.EmailAddresses[i]
		}
	}
	return nil
}

// phone returns the user's phone number with an id, or nil.
func (r *userRecord) phone(id string) *PhoneNumber {
	for i := range r.PhoneNumbers {
		if r.PhoneNumbers[i].ID == id {
			return &r.PhoneNumbers[i]
		}
	}
	return nil
}

// emailOwner returns the user who has the e-mail address that the path names.
func (e *Emulator) emailOwner(c *call) (*userRecord, error) {
	if r := e.users.byAddress["id:"+c.id()]; r != nil && r.email(c.id()) != nil {
		return r, nil
	}
	return nil, notFound("email address", c.id())
}

// phoneOwner returns the user who has the phone number that the path names.
func (e *Emulator) phoneOwner(c *call) (*userRecord, error) {
	if r := e.users.byAddress["id:"+c.id()]; r != nil && r.phone(c.id()) != nil {
		return r, nil
	}
	return nil, notFound("phone number", c.id())
}

// addEmailAddress gives a user one more address. The first one becomes the primary one.
func (e *Emulator) addEmailAddress(r *userRecord, address string, v *Verification, primary bool) (*EmailAddress, error) {
	if err := checkEmail("email_address", address); err != nil {
		return nil, err
	}
	var id string
	_, err := e.rewrite(r, func(next *userRecord, now int64) {
		next.addEmail(e.random, address, now, v)
		if id = next.EmailAddresses[len(next.EmailAddresses)-1].ID; primary {
			next.PrimaryEmailAddressID = &id
		}
	})
	return r.email(id), err
}

// addPhoneNumber gives a user one more number. The first one becomes the primary one.
func (e *Emulator) addPhoneNumber(r *userRecord, number string, v *Verification, primary bool) (*PhoneNumber, error) {
	if err := checkPhone("phone_number", number); err != nil {
		return nil, err
	}
	var id string
	_, err := e.rewrite(r, func(next *userRecord, now int64) {
		next.addPhone(e.random, number, now, v)
		if id = next.PhoneNumbers[len(next.PhoneNumbers)-1].ID; primary {
			next.PrimaryPhoneNumberID = &id
		}
	})
	return r.phone(id), err
}

// removeEmailAddress takes an address from a user. If it was the primary one, the next verified one
// is.
func (e *Emulator) removeEmailAddress(r *userRecord, id string) error {
	if len(r.email(id).LinkedTo) > 0 {
		return linkedAddress()
	}
	if err := r.mayLoseOne(); err != nil {
		return err
	}
	_, err := e.rewrite(r, func(next *userRecord, _ int64) {
		next.EmailAddresses = slices.DeleteFunc(next.EmailAddresses, func(a EmailAddress) bool { return a.ID == id })
		if or(next.PrimaryEmailAddressID) == id {
			next.PrimaryEmailAddressID = nil
			for _, a := range slices.Backward(next.EmailAddresses) {
				if a.Verification.status() == "verified" {
					next.PrimaryEmailAddressID = new(a.ID)
				}
			}
		}
	})
	return err
}

// removePhoneNumber takes a number from a user. If it was the primary one, the next verified one
// is.
func (e *Emulator) removePhoneNumber(r *userRecord, id string) error {
	if err := r.mayLoseOne(); err != nil {
		return err
	}
	_, err := e.rewrite(r, func(next *userRecord, _ int64) {
		next.PhoneNumbers = slices.DeleteFunc(next.PhoneNumbers, func(n PhoneNumber) bool { return n.ID == id })
		if or(next.PrimaryPhoneNumberID) == id {
			next.PrimaryPhoneNumberID = nil
			for _, n := range slices.Backward(next.PhoneNumbers) {
				if n.Verification.status() == "verified" {
					next.PrimaryPhoneNumberID = new(n.ID)
				}
			}
		}
	})
	return err
}

// mayLoseOne refuses to remove the last identification of a user.
func (r *userRecord) mayLoseOne() error {
	n := len(r.EmailAddresses) + len(r.PhoneNumbers) + len(r.Web3Wallets) + len(r.ExternalAccounts)
	if r.Username != nil {
		n++
	}
	if n > 1 {
		return nil
	}
	return fail(http.StatusBadRequest, "identification_deletion_failed", "Deletion failed", "You cannot delete your last identification.")
}

func unverifiedPrimary(parameter string) error {
	return fail(http.StatusUnprocessableEntity, "form_verification_needed", "is unverified",
		"This identification needs to be verified before you can perform this action.").about(parameter)
}

func (e *Emulator) createEmailAddress(c *call) (any, error) {
	var p struct {
		UserID   string `json:"user_id"`
		Address  string `json:"email_address"`
		Verified *bool  `json:"verified"`
		Primary  *bool  `json:"primary"`
		Notify   *bool  `json:"notify_primary_email_address_changed"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.UserID == "" {
		return nil, missing("user_id")
	}
	if p.Address == "" {
		return nil, missing("email_address")
	}
	r, err := e.user(p.UserID)
	if err != nil {
		return nil, err
	}
	if or(p.Primary) && !or(p.Verified) {
		return nil, unverifiedPrimary("primary")
	}
	before := r.primaryEmail()
	a, err := e.addEmailAddress(r, p.Address, adminVerification(or(p.Verified)), or(p.Primary))
	if err == nil {
		e.tellFormer(r, before, p.Notify)
	}
	return some(a, err)
}

func (e *Emulator) getEmailAddress(c *call) (any, error) {
	r, err := e.emailOwner(c)
	if err != nil {
		return nil, err
	}
	return r.email(c.id()), nil
}

func (e *Emulator) updateEmailAddress(c *call) (any, error) {
	r, err := e.emailOwner(c)
	if err != nil {
		return nil, err
	}
	var p struct {
		Verified *bool `json:"verified"`
		Primary  *bool `json:"primary"`
		Notify   *bool `json:"notify_primary_email_address_changed"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	before, verified := r.primaryEmail(), r.email(c.id()).Verification.status() == "verified"
	if or(p.Primary) && !verified && !or(p.Verified) {
		return nil, unverifiedPrimary("primary")
	}
	_, err = e.rewrite(r, func(next *userRecord, now int64) {
		a := next.email(c.id())
		if p.Verified != nil && *p.Verified != verified {
			a.Verification, a.Reserved, a.UpdatedAt = adminVerification(*p.Verified), false, now
		}
		if or(p.Primary) {
			next.PrimaryEmailAddressID = new(a.ID)
		}
	})
	if err == nil {
		e.tellFormer(r, before, p.Notify)
	}
	return r.email(c.id()), err
}

func (e *Emulator) deleteEmailAddress(c *call) (any, error) {
	r, err := e.emailOwner(c)
	if err != nil {
		return nil, err
	}
	return Deleted{Object: "email_address", ID: c.id(), Deleted: true}, e.removeEmailAddress(r, c.id())
}

func (e *Emulator) createPhoneNumber(c *call) (any, error) {
	var p struct {
		UserID       string `json:"user_id"`
		Number       string `json:"phone_number"`
		Verified     *bool  `json:"verified"`
		Primary      *bool  `json:"primary"`
		SecondFactor *bool  `json:"reserved_for_second_factor"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.UserID == "" {
		return nil, missing("user_id")
	}
	if p.Number == "" {
		return nil, missing("phone_number")
	}
	r, err := e.user(p.UserID)
	if err != nil {
		return nil, err
	}
	switch {
	case or(p.Primary) && !or(p.Verified):
		return nil, unverifiedPrimary("primary")
	case or(p.SecondFactor) && !or(p.Verified):
		return nil, fail(http.StatusBadRequest, "identification_create_second_factor_unverified", "Create failed",
			"Unverified identifications cannot be a second factor")
	}
	n, err := e.addPhoneNumber(r, p.Number, adminVerification(or(p.Verified)), or(p.Primary))
	if err != nil || !or(p.SecondFactor) {
		return some(n, err)
	}
	id := n.ID
	_, err = e.rewrite(r, func(next *userRecord, now int64) { next.reserve(id, true, now) })
	return r.phone(id), err
}

// reserve makes a number a second factor, or ends that. The first one is the default one.
func (r *userRecord) reserve(id string, second bool, now int64) {
	n := r.phone(id)
	n.ReservedForSecondFactor, n.UpdatedAt = second, now
	n.DefaultSecondFactor = second && !slices.ContainsFunc(r.PhoneNumbers, func(x PhoneNumber) bool { return x.DefaultSecondFactor && x.ID != id })
	r.countFactors(now)
}

// countFactors sets whether the user has a second factor.
func (r *userRecord) countFactors(now int64) {
	has := r.TOTPEnabled || slices.ContainsFunc(r.PhoneNumbers, func(n PhoneNumber) bool {
		return n.ReservedForSecondFactor && n.Verification.status() == "verified"
	})
	if has && !r.TwoFactorEnabled {
		r.MFAEnabledAt = &now
	}
	if !has && r.TwoFactorEnabled {
		r.MFADisabledAt, r.BackupCodeEnabled, r.secret.BackupCodes = &now, false, nil
	}
	r.TwoFactorEnabled = has
}

func (e *Emulator) getPhoneNumber(c *call) (any, error) {
	r, err := e.phoneOwner(c)
	if err != nil {
		return nil, err
	}
	return r.phone(c.id()), nil
}

func (e *Emulator) updatePhoneNumber(c *call) (any, error) {
	r, err := e.phoneOwner(c)
	if err != nil {
		return nil, err
	}
	var p struct {
		Verified     *bool `json:"verified"`
		Primary      *bool `json:"primary"`
		SecondFactor *bool `json:"reserved_for_second_factor"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	verified := r.phone(c.id()).Verification.status() == "verified"
	will := verified
	if p.Verified != nil {
		will = *p.Verified
	}
	switch {
	case or(p.Primary) && !will:
		return nil, unverifiedPrimary("primary")
	case or(p.SecondFactor) && !will:
		return nil, fail(http.StatusBadRequest, "identification_update_second_factor_unverified", "Update failed",
			"Cannot update second factor attributes for unverified identification")
	}
	_, err = e.rewrite(r, func(next *userRecord, now int64) {
		n := next.phone(c.id())
		if will != verified {
			n.Verification, n.Reserved, n.UpdatedAt = adminVerification(will), false, now
		}
		if or(p.Primary) {
			next.PrimaryPhoneNumberID = new(n.ID)
		}
		if p.SecondFactor != nil {
			next.reserve(n.ID, *p.SecondFactor, now)
		}
	})
	return r.phone(c.id()), err
}

func (e *Emulator) deletePhoneNumber(c *call) (any, error) {
	r, err := e.phoneOwner(c)
	if err != nil {
		return nil, err
	}
	return Deleted{Object: "phone_number", ID: c.id(), Deleted: true}, e.removePhoneNumber(r, c.id())
}
