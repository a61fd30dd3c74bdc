package emulator

import (
	"net/http"
	"slices"
)

// phoneMine makes an endpoint about a phone number of the person, which the path names.
func phoneMine(handle func(*Emulator, *frontCall, person, PhoneNumber) (any, error)) func(*Emulator, *frontCall, person) (any, error) {
	return func(e *Emulator, c *frontCall, p person) (any, error) {
		n := p.phone(c.id())
		if n == nil {
			return nil, noIdentification()
		}
		return handle(e, c, p, *n)
	}
}

func (e *Emulator) listMyPhones(_ *frontCall, p person) (any, error) {
	return bare{p.PhoneNumbers}, nil
}

// addMyPhone adds a number that is unverified until its code comes back.
func (e *Emulator) addMyPhone(c *frontCall, p person) (any, error) {
	var given struct {
		Number   string `json:"phone_number"`
		Reserved *bool  `json:"reserved_for_second_factor"`
	}
	if err := c.decode(&given); err != nil {
		return nil, err
	}
	if given.Number == "" {
		return nil, missing("phone_number")
	}
	if err := checkPhone("phone_number", given.Number); err != nil {
		return nil, err
	}
	var verifications []*Verification
	for _, n := range p.PhoneNumbers {
		if verifications = append(verifications, n.Verification); n.PhoneNumber == given.Number {
			return nil, exists("phone_number")
		}
	}
	if err := mayAdd(verifications); err != nil {
		return nil, err
	}
	id := e.random.id("idn")
	_, err := e.rewrite(p.userRecord, func(next *userRecord, now int64) {
		next.PhoneNumbers = append(slices.Clone(next.PhoneNumbers), PhoneNumber{
			ID: id, Object: "phone_number", PhoneNumber: given.Number, ReservedForSecondFactor: or(given.Reserved), LinkedTo: []Link{},
			CreatedAt: now, UpdatedAt: now,
		})
	})
	return p.phone(id), err
}

func (e *Emulator) getMyPhone(_ *frontCall, _ person, n PhoneNumber) (any, error) { return n, nil }

func (e *Emulator) prepareMyPhone(c *frontCall, p person, n PhoneNumber) (any, error) {
	if err := onlyStrategy(c, "phone_code", n.Verification); err != nil {
		return nil, err
	}
	return e.setMyPhone(p, n.ID, e.prepareAddress("phone_code", n.PhoneNumber, n.ID, p.ID))
}

func (e *Emulator) attemptMyPhone(c *frontCall, p person, n PhoneNumber) (any, error) {
	if n.Verification.status() == "verified" {
		return nil, alreadyVerified()
	}
	v, err := e.attemptAddress("phone_code", n.ID, c.form.Get("code"))
	if err != nil {
		return nil, err
	}
	return e.setMyPhone(p, n.ID, v)
}

// setMyPhone gives a number a verification. The first verified number becomes the primary one,
// unless it is for the second factor only.
func (e *Emulator) setMyPhone(p person, id string, v *Verification) (any, error) {
	if v.same(p.phone(id).Verification) {
		return p.phone(id), nil
	}
	_, err := e.rewrite(p.userRecord, func(next *userRecord, now int64) {
		next.PhoneNumbers = slices.Clone(next.PhoneNumbers)
		n := next.phone(id)
		n.Verification, n.UpdatedAt = v, now
		if next.PrimaryPhoneNumberID == nil && v.status() == "verified" && !n.ReservedForSecondFactor {
			next.PrimaryPhoneNumberID = &id
		}
		next.countFactors(now)
	})
	return p.phone(id), err
}

// updateMyPhone makes a number a second factor, or no longer one. The first second factor comes
// with backup codes, which are shown once.
func (e *Emulator) updateMyPhone(c *frontCall, p person, n PhoneNumber) (any, error) {
	var given struct {
		Reserved *bool `json:"reserved_for_second_factor"`
		Default  *bool `json:"default_second_factor"`
	}
	if err := c.decode(&given); err != nil {
		return nil, err
	}
	switch {
	case n.Verification.status() != "verified":
		return nil, fail(http.StatusBadRequest, "identification_update_second_factor_unverified", "Update failed",
			"Cannot update second factor attributes for unverified identification")
	case given.Default != nil && !*given.Default:
		const text = "The default second factor method can only be changed by assigning another method as the default."
		return nil, fail(http.StatusUnprocessableEntity, "form_disable_default_second_factor_not_allowed", text, text).about("default_second_factor")
	case or(given.Default) && !n.ReservedForSecondFactor && !or(given.Reserved):
		return nil, invalid("default_second_factor", "Only a phone number that is reserved for the second factor can be the default one.")
	case or(given.Reserved) && !n.ReservedForSecondFactor && e.mayLose(p.userRecord, "phone_number", n.ID) != nil:
		return nil, fail(http.StatusBadRequest, "identification_update_failed", "Update failed",
			"You cannot set your last identification as second factor.")
	}
	var codes []string
	if or(given.Reserved) && !p.BackupCodeEnabled {
		codes = e.newBackupCodes()
	}
	if _, err := e.rewrite(p.userRecord, func(next *userRecord, now int64) {
		next.PhoneNumbers = slices.Clone(next.PhoneNumbers)
		if given.Reserved != nil {
			next.reserve(n.ID, *given.Reserved, now)
		}
		if or(given.Default) {
			for i := range next.PhoneNumbers {
				next.PhoneNumbers[i].DefaultSecondFactor = next.PhoneNumbers[i].ID == n.ID
			}
		}
		next.setBackupCodes(codes)
	}); err != nil {
		return nil, err
	}
	shown := *p.phone(n.ID)
	shown.BackupCodes = codes
	return shown, nil
}

func (e *Emulator) deleteMyPhone(_ *frontCall, p person, n PhoneNumber) (any, error) {
	if n.Verification.status() == "verified" && !n.ReservedForSecondFactor {
		if err := e.mayLose(p.userRecord, "phone_number", n.ID); err != nil {
			return nil, err
		}
	}
	if err := e.removePhoneNumber(p.userRecord, n.ID); err != nil {
		return nil, err
	}
	delete(e.checks, n.ID)
	return frontDeleted{Object: "phone_number", ID: n.ID, Deleted: true}, nil
}
