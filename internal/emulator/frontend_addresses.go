package emulator

import (
	"net/http"
	"slices"
	"strings"
)

// maxUnverified is how many unverified addresses, and numbers, a person may have.
const maxUnverified = 10

// mayAdd refuses one more unverified address if there are too many.
func mayAdd(verifications []*Verification) error {
	open := slices.DeleteFunc(verifications, func(v *Verification) bool { return v.status() == "verified" })
	if len(open) < maxUnverified {
		return nil
	}
	return fail(http.StatusBadRequest, "too_many_unverified_identifications", "too many unverified contacts",
		"There are too many unverified contacts for this user.")
}

func noIdentification() *APIError {
	return fail(http.StatusNotFound, "resource_not_found", "Resource not found", "Resource not found")
}

func alreadyVerified() *APIError {
	return fail(http.StatusBadRequest, "verification_already_verified", "already verified", "This verification has already been verified.")
}

// onlyStrategy refuses other ways of verification than the one that the emulator has, and addresses
// that are verified.
func onlyStrategy(c *frontCall, strategy string, v *Verification) error {
	switch asked := c.form.Get("strategy"); {
	case asked == "":
		return missing("strategy")
	case asked != strategy:
		return fail(http.StatusBadRequest, "form_param_value_disabled", "is disabled",
			asked+" is disabled. Please verify you're using the correct instance, or see our docs to learn how to enable this value.").about("strategy")
	case v.status() == "verified":
		return alreadyVerified()
	}
	return nil
}

// emailMine makes an endpoint about an e-mail address of the person, which the path names.
func emailMine(handle func(*Emulator, *frontCall, person, EmailAddress) (any, error)) func(*Emulator, *frontCall, person) (any, error) {
	return func(e *Emulator, c *frontCall, p person) (any, error) {
		a := p.email(c.id())
		if a == nil {
			return nil, noIdentification()
		}
		return handle(e, c, p, *a)
	}
}

func (e *Emulator) listMyEmails(_ *frontCall, p person) (any, error) {
	return bare{p.EmailAddresses}, nil
}

// addMyEmail adds an address that is unverified until its code comes back.
func (e *Emulator) addMyEmail(c *frontCall, p person) (any, error) {
	address := c.form.Get("email_address")
	if address == "" {
		return nil, missing("email_address")
	}
	if err := checkEmail("email_address", address); err != nil {
		return nil, err
	}
	var verifications []*Verification
	for _, a := range p.EmailAddresses {
		if verifications = append(verifications, a.Verification); strings.EqualFold(a.EmailAddress, address) {
			return nil, exists("email_address")
		}
	}
	if err := mayAdd(verifications); err != nil {
		return nil, err
	}
	id := e.random.id("idn")
	_, err := e.rewrite(p.userRecord, func(next *userRecord, now int64) {
		next.EmailAddresses = append(slices.Clone(next.EmailAddresses), EmailAddress{
			ID: id, Object: "email_address", EmailAddress: strings.ToLower(address), LinkedTo: []Link{}, CreatedAt: now, UpdatedAt: now,
		})
	})
	return p.email(id), err
}

func (e *Emulator) getMyEmail(_ *frontCall, _ person, a EmailAddress) (any, error) { return a, nil }

func (e *Emulator) prepareMyEmail(c *frontCall, p person, a EmailAddress) (any, error) {
	if err := onlyStrategy(c, "email_code", a.Verification); err != nil {
		return nil, err
	}
	return e.setMyEmail(p, a.ID, e.prepareAddress("email_code", a.EmailAddress, a.ID, p.ID))
}

func (e *Emulator) attemptMyEmail(c *frontCall, p person, a EmailAddress) (any, error) {
	if a.Verification.status() == "verified" {
		return nil, alreadyVerified()
	}
	v, err := e.attemptAddress("email_code", a.ID, c.form.Get("code"))
	if err != nil {
		return nil, err
	}
	shown, err := e.setMyEmail(p, a.ID, v)
	if err == nil {
		e.enroll(p.userRecord)
	}
	return shown, err
}

// setMyEmail gives an address a verification. The first verified address becomes the primary one.
func (e *Emulator) setMyEmail(p person, id string, v *Verification) (any, error) {
	if v.same(p.email(id).Verification) {
		return p.email(id), nil
	}
	_, err := e.rewrite(p.userRecord, func(next *userRecord, now int64) {
		next.EmailAddresses = slices.Clone(next.EmailAddresses)
		a := next.email(id)
		a.Verification, a.UpdatedAt = v, now
		if next.PrimaryEmailAddressID == nil && v.status() == "verified" {
			next.PrimaryEmailAddressID = &id
		}
	})
	return p.email(id), err
}

func (e *Emulator) deleteMyEmail(_ *frontCall, p person, a EmailAddress) (any, error) {
	if a.Verification.status() == "verified" {
		if err := e.mayLose(p.userRecord, "email_address", a.ID); err != nil {
			return nil, err
		}
	}
	if err := e.removeEmailAddress(p.userRecord, a.ID); err != nil {
		return nil, err
	}
	delete(e.checks, a.ID)
	return frontDeleted{Object: "email_address", ID: a.ID, Deleted: true}, nil
}

// same reports whether two verifications are one, which was not attempted in between.
func (v *Verification) same(other *Verification) bool {
	return other != nil && v.Status == other.Status && or(v.ExpireAt) == or(other.ExpireAt)
}

// mayLose refuses to remove the last thing by which a person can sign in, and the last one of a
// kind that the instance requires. kind is email_address, phone_number or username; id names which.
func (e *Emulator) mayLose(r *userRecord, kind, id string) error {
	ofKind, others := 0, len(r.Web3Wallets)
	count := func(of, itsID string, usable bool) {
		switch {
		case !usable || of == kind && itsID == id:
		case of == kind:
			ofKind++
		default:
			others++
		}
	}
	for _, a := range r.EmailAddresses {
		count("email_address", a.ID, a.Verification.status() == "verified")
	}
	for _, n := range r.PhoneNumbers {
		count("phone_number", n.ID, n.Verification.status() == "verified" && !n.ReservedForSecondFactor)
	}
	count("username", "", r.Username != nil)
	name := strings.ReplaceAll(kind, "_", " ")
	switch {
	case ofKind == 0 && e.options.Settings.attribute(kind) == "required":
		return fail(http.StatusBadRequest, "last_required_identification_deletion_failed", "Deleting your last "+name+" is prohibited",
			"You are required to maintain at least one "+name+" in your account at all times")
	case ofKind+others == 0:
		return fail(http.StatusBadRequest, "identification_deletion_failed", "Deletion failed", "You cannot delete your last identification.")
	}
	return nil
}
