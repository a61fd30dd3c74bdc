package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

type domainParameters struct {
	Name           *string `json:"name"`
	EnrollmentMode *string `json:"enrollment_mode"`
	Verified       *bool   `json:"verified"`
}

func enrollmentModes() []string {
	return []string{"manual_invitation", "automatic_invitation", "automatic_suggestion", "enterprise_sso"}
}

func (e *Emulator) domain(c *call) (*OrganizationDomain, error) {
	id := c.r.PathValue("domain_id")
	for _, d := range e.organizations.domains {
		if d.ID == id && d.OrganizationID == c.id() {
			return d, nil
		}
	}
	return nil, notFound("organization domain", id)
}

func (e *Emulator) createDomain(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	var p domainParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	return some(e.addDomain(o, p))
}

// addDomain makes a domain of an organization and sends the event.
func (e *Emulator) addDomain(o *Organization, p domainParameters) (*OrganizationDomain, error) {
	if or(p.Name) == "" {
		return nil, missing("name")
	}
	if err := e.mayHaveDomain(o, p); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(e.organizations.domains, func(d *OrganizationDomain) bool { return strings.EqualFold(d.Name, *p.Name) }) {
		return nil, exists("name")
	}
	now := e.after(0)
	d := &OrganizationDomain{
		Object: "organization_domain", ID: e.random.id("orgdmn"), OrganizationID: o.ID, Name: *p.Name, EnrollmentMode: "manual_invitation",
		PublicOrganizationData: publicData(o), CreatedAt: now, UpdatedAt: now,
	}
	if err := p.describe(d, now); err != nil {
		return nil, err
	}
	e.organizations.domains = append(e.organizations.domains, d)
	e.emit("organizationDomain.created", now, d)
	return d, nil
}

// mayHaveDomain refuses a domain that the settings of the instance do not allow.
func (e *Emulator) mayHaveDomain(o *Organization, p domainParameters) error {
	settings, have := e.policies.Organizations, 0
	for _, d := range e.organizations.domains {
		if d.OrganizationID == o.ID {
			have++
		}
	}
	switch {
	case !settings.DomainsEnabled:
		return fail(http.StatusForbidden, "organization_domains_not_enabled", "organization domains not enabled",
			"This instance does not have domains enabled for organizations.")
	case have >= settings.MaxAllowedDomains:
		return fail(http.StatusForbidden, "organization_domain_quota_exceeded", "organization domains quota exceeded",
			fmt.Sprintf("You have reached your limit of %d domains per organization.", settings.MaxAllowedDomains))
	}
	return e.mayEnroll(p)
}

// mayEnroll refuses an enrollment mode that the instance does not have.
func (e *Emulator) mayEnroll(p domainParameters) error {
	mode := or(p.EnrollmentMode)
	if !slices.Contains(enrollmentModes()[:3], mode) || slices.Contains(e.policies.Organizations.DomainsEnrollmentModes, mode) {
		return nil
	}
	return fail(http.StatusForbidden, "organization_domain_enrollment_mode_not_enabled", "organization enrollment mode not enabled",
		"Enrollment mode "+mode+" is not enabled for this instances's organizations.")
}

func (p domainParameters) describe(d *OrganizationDomain, now int64) error {
	if p.EnrollmentMode != nil {
		if !slices.Contains(enrollmentModes(), *p.EnrollmentMode) {
			return invalid("enrollment_mode", "enrollment_mode does not take "+*p.EnrollmentMode+".")
		}
		d.EnrollmentMode = *p.EnrollmentMode
	}
	if p.Verified != nil {
		v := &DomainVerification{Status: "unverified", Strategy: "admin"}
		if *p.Verified {
			v.Status, v.VerifiedAt = "verified", &now
		}
		d.AffiliationVerification, d.Verification = v, v
	}
	return nil
}

func (e *Emulator) updateDomain(c *call) (any, error) {
	d, err := e.domain(c)
	if err != nil {
		return nil, err
	}
	var p domainParameters
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if err := e.mayEnroll(p); err != nil {
		return nil, err
	}
	now := e.after(d.UpdatedAt)
	if err := p.describe(d, now); err != nil {
		return nil, err
	}
	d.UpdatedAt = now
	e.emit("organizationDomain.updated", now, d)
	return d, nil
}

func (e *Emulator) deleteDomain(c *call) (any, error) {
	d, err := e.domain(c)
	if err != nil {
		return nil, err
	}
	e.organizations.domains = slices.DeleteFunc(e.organizations.domains, func(x *OrganizationDomain) bool { return x == d })
	e.forgetSuggestions(d.ID)
	gone := Deleted{Object: "organization_domain", ID: d.ID, Deleted: true}
	e.emit("organizationDomain.deleted", e.after(d.UpdatedAt), gone)
	return gone, nil
}

func (e *Emulator) listDomains(c *call) (any, error) {
	o, err := e.organization(c.id())
	if err != nil {
		return nil, err
	}
	return e.domainPage(c, o.ID)
}

func (e *Emulator) listAllDomains(c *call) (any, error) { return e.domainPage(c, "") }

func (e *Emulator) domainPage(c *call, organization string) (any, error) {
	mode, err := c.filter("enrollment_mode")
	if err != nil {
		return nil, err
	}
	matching := []*OrganizationDomain{}
	for _, d := range slices.Backward(e.organizations.domains) {
		verified := d.Verification != nil && d.Verification.Status == "verified"
		wanted := c.query.Get("verified")
		if (organization == "" || d.OrganizationID == organization) && mode.match(d.EnrollmentMode) && (wanted == "" || verified == (wanted == "true")) {
			matching = append(matching, d)
		}
	}
	return paged(c, matching, false)
}
