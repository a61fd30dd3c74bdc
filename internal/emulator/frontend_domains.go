package emulator

import (
	"net/http"
	"slices"
	"strings"
)

// domainChange is what the Frontend API may change of a domain.
type domainChange struct {
	Name *string `json:"name"`
	Mode *string `json:"enrollment_mode"`
}

func (e *Emulator) listMyDomains(c *frontCall, _ person, o *Organization) (any, error) {
	page, err := e.ask(c, func(b *call) (any, error) { return e.domainPage(b, o.ID) }, "verified", "enrollment_mode")
	if err != nil {
		return nil, err
	}
	return listedAs(c, page, e.frontDomain, true), nil
}

func (e *Emulator) getMyDomain(c *frontCall, _ person, _ *Organization) (any, error) {
	d, err := e.domain(c.call)
	if err != nil {
		return nil, err
	}
	return e.frontDomain(d), nil
}

// frontDomain returns a domain with the number of offers that nobody has taken.
func (e *Emulator) frontDomain(d *OrganizationDomain) *OrganizationDomain {
	shown := *d
	for _, s := range e.organizations.suggestions {
		if s.DomainID == d.ID && s.Status == "pending" {
			shown.TotalPendingSuggestions++
		}
	}
	for _, i := range e.organizations.invitations {
		if offered(i, d) {
			shown.TotalPendingInvitations++
		}
	}
	return &shown
}

// commonDomains are providers of addresses, which belong to no organization.
func commonDomains() []string {
	return []string{
		"aol.com", "gmail.com", "gmx.com", "gmx.de", "googlemail.com", "hotmail.com", "icloud.com", "live.com", "mac.com", "mail.com", "me.com", "msn.com",
		"outlook.com", "proton.me", "protonmail.com", "web.de", "yahoo.com", "yandex.ru", "zoho.com",
	}
}

func (e *Emulator) createMyDomain(c *frontCall, _ person, o *Organization) (any, error) {
	var given domainChange
	if err := c.decode(&given); err != nil {
		return nil, err
	}
	name := strings.ToLower(strings.TrimSpace(or(given.Name)))
	if err := e.mayOwn(o, name); err != nil {
		return nil, err
	}
	parameters := c.given("enrollment_mode")
	parameters["name"] = name
	return e.backend(c, (*Emulator).createDomain, parameters)
}

// mayOwn refuses names of domains that an organization cannot have.
func (e *Emulator) mayOwn(o *Organization, name string) error {
	refuse := func(code, message, long string) error {
		return fail(http.StatusUnprocessableEntity, code, message, long).about("name")
	}
	switch {
	case name == "":
		return missing("name")
	case !strings.Contains(strings.Trim(name, "."), ".") || strings.ContainsAny(name, "@/ :"):
		return malformed("name", "name must be a valid domain name.")
	case slices.Contains(commonDomains(), name):
		return refuse("organization_domain_common", "common email domain", "This is a common email provider domain. Please use a different one.")
	}
	for _, d := range e.organizations.domains {
		switch {
		case !strings.EqualFold(d.Name, name):
		case d.OrganizationID == o.ID:
			return refuse("organization_domain_already_exists_same_organization", "organization domain already exists",
				"This domain is already used by your organization.")
		default:
			return refuse("organization_domain_already_exists", "organizaton domain already exists", "This domain is already used by another organization.")
		}
	}
	return nil
}

func (e *Emulator) deleteMyDomain(c *frontCall, _ person, _ *Organization) (any, error) {
	d, err := e.domain(c.call)
	if err != nil {
		return nil, err
	}
	if _, err := e.backend(c, (*Emulator).deleteDomain, nil); err != nil {
		return nil, err
	}
	return frontDeleted{Object: "organization_domain", ID: d.ID, Deleted: true}, nil
}

// setMyEnrollmentMode decides how people with an address of the domain join.
func (e *Emulator) setMyEnrollmentMode(c *frontCall, _ person, o *Organization) (any, error) {
	var given struct {
		Mode          *string `json:"enrollment_mode"`
		DeletePending *bool   `json:"delete_pending"`
	}
	if err := c.decode(&given); err != nil {
		return nil, err
	}
	if given.Mode == nil {
		return nil, missing("enrollment_mode")
	}
	d, err := e.domain(c.call)
	if err != nil {
		return nil, err
	}
	if most := o.MaxAllowedMemberships; most > 0 && *given.Mode != "manual_invitation" {
		return nil, fail(http.StatusForbidden, "organization_unlimited_membership_required", "organization has limited memberships",
			"This feature is not supported because organization membership is limited. You can remove the limit by enabling unlimited memberships.")
	}
	before := d.EnrollmentMode
	if _, err := e.backend(c, (*Emulator).updateDomain, values{"enrollment_mode": *given.Mode}); err != nil {
		return nil, err
	}
	if or(given.DeletePending) && before != d.EnrollmentMode {
		e.withdrawOffers(d)
	}
	e.enrollAll(d)
	return e.frontDomain(d), nil
}

func (e *Emulator) prepareMyDomain(c *frontCall, p person, _ *Organization) (any, error) {
	d, err := e.domain(c.call)
	if err != nil {
		return nil, err
	}
	address := c.form.Get("affiliation_email_address")
	if address == "" {
		return nil, missing("affiliation_email_address")
	}
	if err := checkEmail("affiliation_email_address", address); err != nil {
		return nil, err
	}
	if !belongsTo(address, d) {
		return nil, fail(http.StatusUnprocessableEntity, "organization_domain_mismatch", "Organization domain mismatch",
			"The provided email address doesn't match the organization domain name.").about("affiliation_email_address")
	}
	if d.verified() {
		return nil, fail(http.StatusBadRequest, "verification_already_verified", "already verified", "This verification has already been verified.")
	}
	d.AffiliationEmailAddress = &address
	return e.setMyDomain(d, e.prepareAddress("email_code", address, d.ID, p.ID)), nil
}

func (e *Emulator) attemptMyDomain(c *frontCall, _ person, _ *Organization) (any, error) {
	d, err := e.domain(c.call)
	if err != nil {
		return nil, err
	}
	v, err := e.attemptAddress("email_code", d.ID, c.form.Get("code"))
	if err != nil {
		return nil, err
	}
	e.setMyDomain(d, v)
	e.enrollAll(d)
	return e.frontDomain(d), nil
}

// setMyDomain gives a domain a verification, which Clerk shows under two names.
func (e *Emulator) setMyDomain(d *OrganizationDomain, v *Verification) *OrganizationDomain {
	now := e.after(d.UpdatedAt)
	shown := &DomainVerification{Status: v.Status, Strategy: "email_code", Attempts: v.Attempts, ExpireAt: v.ExpireAt}
	if v.status() == "verified" {
		shown.VerifiedAt = &now
	}
	d.AffiliationVerification, d.Verification, d.UpdatedAt = shown, shown, now
	e.emit("organizationDomain.updated", now, d)
	return d
}

func (d *OrganizationDomain) verified() bool {
	return d.Verification != nil && d.Verification.Status == "verified"
}

// belongsTo reports whether an e-mail address is one of a domain.
func belongsTo(address string, d *OrganizationDomain) bool {
	_, host, _ := strings.Cut(address, "@")
	return strings.EqualFold(host, d.Name)
}
