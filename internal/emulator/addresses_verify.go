package emulator

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// namedVerification is a verification that a backend began and refers to by its id.
type namedVerification struct {
	ID string `json:"id"`
	*Verification
	Channel *string `json:"channel"`
}

const (
	namedChecks   = "ver_"         // begins the ids of verifications that backends begin
	namedCheckFor = 24 * time.Hour // how long such a verification is known after its end
)

// prepareNamed sends a code to an address or a number, for a backend that verifies it by itself.
func (e *Emulator) prepareNamed(strategy, to, addressID, userID string) namedVerification {
	now := e.clock.now()
	maps.DeleteFunc(e.checks, func(id string, k *check) bool {
		return strings.HasPrefix(id, namedChecks) && now.UnixMilli() > k.ExpireAt+namedCheckFor.Milliseconds()
	})
	id := e.random.id("ver")
	e.checks[id] = e.sendCheck(strategy, to, addressID, userID)
	return e.namedVerification(id)
}

// attemptNamed tries a code. A wrong one is no error: the status says what became of it.
func (e *Emulator) attemptNamed(c *call, verified func(*Verification) error) (any, error) {
	var p struct {
		ID   string `json:"verification_id"`
		Code string `json:"code"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.ID == "" {
		return nil, missing("verification_id")
	}
	if p.Code == "" {
		return nil, missing("code")
	}
	k := e.checks[p.ID]
	if k == nil || k.Address != c.id() || !strings.HasPrefix(p.ID, namedChecks) {
		return nil, notFound("verification", p.ID)
	}
	done := k.aged(e.clock.now()).Status == "verified"
	err := e.try(k, k.Strategy, p.Code)
	switch {
	case done:
		return nil, err
	case err == nil:
		if err := verified(e.verification(k)); err != nil {
			return nil, err
		}
	}
	return e.namedVerification(p.ID), nil
}

func (e *Emulator) namedVerification(id string) namedVerification {
	k := e.checks[id]
	v := namedVerification{ID: id, Verification: e.verification(k)}
	if isPhone(k.To) {
		v.Channel = new("sms")
	}
	return v
}

func (e *Emulator) prepareEmailAddress(c *call) (any, error) {
	r, err := e.emailOwner(c)
	if err != nil {
		return nil, err
	}
	return e.prepareNamed("email_code", r.email(c.id()).EmailAddress, c.id(), r.ID), nil
}

func (e *Emulator) attemptEmailAddress(c *call) (any, error) {
	r, err := e.emailOwner(c)
	if err != nil {
		return nil, err
	}
	return e.attemptNamed(c, func(v *Verification) error {
		if r.email(c.id()).Verification.status() == "verified" {
			return nil
		}
		_, err := e.rewrite(r, func(next *userRecord, now int64) {
			a := next.email(c.id())
			a.Verification, a.Reserved, a.UpdatedAt = v, false, now
		})
		return err
	})
}

func (e *Emulator) preparePhoneNumber(c *call) (any, error) {
	r, err := e.phoneOwner(c)
	if err != nil {
		return nil, err
	}
	return e.prepareNamed("phone_code", r.phone(c.id()).PhoneNumber, c.id(), r.ID), nil
}

func (e *Emulator) attemptPhoneNumber(c *call) (any, error) {
	r, err := e.phoneOwner(c)
	if err != nil {
		return nil, err
	}
	return e.attemptNamed(c, func(v *Verification) error {
		if r.phone(c.id()).Verification.status() == "verified" {
			return nil
		}
		_, err := e.rewrite(r, func(next *userRecord, now int64) {
			n := next.phone(c.id())
			n.Verification, n.Reserved, n.UpdatedAt = v, false, now
		})
		return err
	})
}

// identificationStatus reads verified, reserved or unverified. Verified is the default.
func identificationStatus(given string) (v *Verification, reserved bool, err error) {
	switch given {
	case "", "verified":
		return adminVerification(true), false, nil
	case "reserved":
		return nil, true, nil
	case "unverified":
		return nil, false, nil
	}
	return nil, false, invalid("identification_status", given+" does not match one of the allowed values for parameter identification_status")
}

// replaceEmailAddress replaces all addresses of a user by one.
func (e *Emulator) replaceEmailAddress(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		Address string `json:"email_address"`
		Status  string `json:"identification_status"`
		Notify  *bool  `json:"notify_primary_email_address_changed"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Address == "" {
		return nil, missing("email_address")
	}
	v, reserved, err := identificationStatus(p.Status)
	if err != nil {
		return nil, err
	}
	if err := checkEmail("email_address", p.Address); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(r.EmailAddresses, func(a EmailAddress) bool { return len(a.LinkedTo) > 0 }) {
		return nil, linkedAddress()
	}
	before := r.primaryEmail()
	_, err = e.rewrite(r, func(next *userRecord, now int64) {
		next.EmailAddresses, next.PrimaryEmailAddressID = []EmailAddress{}, nil
		next.addEmail(e.random, p.Address, now, v)
		next.EmailAddresses[0].Reserved = reserved
	})
	if err != nil {
		return nil, err
	}
	e.tellFormer(r, before, p.Notify)
	return &r.EmailAddresses[0], nil
}

// replacePhoneNumber replaces all phone numbers of a user by one. It is no second factor.
func (e *Emulator) replacePhoneNumber(c *call) (any, error) {
	r, err := e.user(c.id())
	if err != nil {
		return nil, err
	}
	var p struct {
		Number string `json:"phone_number"`
		Status string `json:"identification_status"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.Number == "" {
		return nil, missing("phone_number")
	}
	v, reserved, err := identificationStatus(p.Status)
	if err != nil {
		return nil, err
	}
	if err := checkPhone("phone_number", p.Number); err != nil {
		return nil, err
	}
	_, err = e.rewrite(r, func(next *userRecord, now int64) {
		next.PhoneNumbers, next.PrimaryPhoneNumberID = []PhoneNumber{}, nil
		next.addPhone(e.random, p.Number, now, v)
		next.PhoneNumbers[0].Reserved = reserved
		next.countFactors(now)
	})
	if err != nil {
		return nil, err
	}
	return &r.PhoneNumbers[0], nil
}

func linkedAddress() error {
	return fail(http.StatusBadRequest, "delete_linked_identification_disallowed", "Deleting a linked email address is not allowed",
		"This email address is linked to one or more Connected Accounts. Remove the Connected Account before deleting this email address.")
}

// primaryEmail returns the primary e-mail address, or an empty text.
func (r *userRecord) primaryEmail() string {
	if a := r.email(or(r.PrimaryEmailAddressID)); a != nil {
		return a.EmailAddress
	}
	return ""
}

// tellFormer writes to the former primary address that it no longer is, if a backend asks for that.
func (e *Emulator) tellFormer(r *userRecord, before string, notify *bool) {
	if now := r.primaryEmail(); or(notify) && before != "" && before != now {
		const subject = "Your primary email address was changed"
		e.post(Mail{Kind: "email", To: before, UserID: r.ID, Slug: "primary_email_address_changed", Subject: subject, Body: subject + "."})
	}
}
