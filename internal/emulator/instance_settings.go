package emulator

import (
	"net/http"
	"net/url"
	"slices"
)

// instanceSettings are settings of the instance that a backend changes, as far as they do something
// here.
type instanceSettings struct {
	AllowedOrigins    []string `json:"allowed_origins"`
	SupportEmail      string   `json:"support_email"`
	TestModeOff       bool     `json:"test_mode_off"` // codes of test addresses are no longer 424242
	PreferredStrategy string   `json:"preferred_strategy"`
}

// OrganizationSettings is what organizations may do. Roles are keys.
type OrganizationSettings struct {
	Object                 string   `json:"object"`
	Enabled                bool     `json:"enabled"`
	MaxAllowedMemberships  int      `json:"max_allowed_memberships"` // of new organizations; 0 is no limit
	MaxAllowedRoles        int      `json:"max_allowed_roles"`
	MaxAllowedDomains      int      `json:"max_allowed_domains"`
	MaxAllowedPermissions  int      `json:"max_allowed_permissions"`
	CreatorRole            string   `json:"creator_role"`
	AdminDeleteEnabled     bool     `json:"admin_delete_enabled"`
	DomainsEnabled         bool     `json:"domains_enabled"`
	SlugDisabled           bool     `json:"slug_disabled"`
	DomainsEnrollmentModes []string `json:"domains_enrollment_modes"`
	DomainsDefaultRole     string   `json:"domains_default_role"`
}

// noContent is an answer without a body: 204.
type noContent struct{}

func (e *Emulator) getInstance(*call) (any, error) {
	origins := e.policies.Instance.AllowedOrigins
	return map[string]any{
		"object": "instance", "id": e.ID, "environment_type": "development", "allowed_origins": append([]string{}, origins...), "workspace_id": nil,
	}, nil
}

// updateInstance takes all settings that Clerk takes. Those that the emulator has no use for change
// nothing: breached passwords, the version of clerk-js, cookies of other sites.
func (e *Emulator) updateInstance(c *call) (any, error) {
	var p struct {
		TestMode          *bool    `json:"test_mode"`
		HIBP              *bool    `json:"hibp"`
		SupportEmail      *string  `json:"support_email"`
		ClerkJSVersion    *string  `json:"clerk_js_version"`
		DevelopmentOrigin *string  `json:"development_origin"`
		AllowedOrigins    []string `json:"allowed_origins"`
		CookielessDev     *bool    `json:"cookieless_dev"`
		URLBasedSyncing   *bool    `json:"url_based_session_syncing"`
		Preferred         *string  `json:"preferred_sign_in_strategy_when_password_required"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if or(p.SupportEmail) != "" {
		if err := checkEmail("support_email", *p.SupportEmail); err != nil {
			return nil, err
		}
	}
	for _, origin := range p.AllowedOrigins {
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			return nil, fail(http.StatusUnprocessableEntity, "form_invalid_origin", "is invalid",
				"allowed_origins must be a valid origin such as my-app://localhost, or capacitor://localhost:3000").about("allowed_origins")
		}
	}
	if !slices.Contains([]string{"", "password", "otp"}, or(p.Preferred)) {
		return nil, invalid("preferred_sign_in_strategy_when_password_required", *p.Preferred+" does not match one of the allowed values")
	}
	s := &e.policies.Instance
	if p.TestMode != nil {
		s.TestModeOff = !*p.TestMode
	}
	if p.SupportEmail != nil {
		s.SupportEmail = *p.SupportEmail
	}
	if p.AllowedOrigins != nil {
		s.AllowedOrigins = p.AllowedOrigins
	}
	if p.Preferred != nil {
		s.PreferredStrategy = *p.Preferred
	}
	e.changed = true
	return noContent{}, nil
}

func (e *Emulator) getOrganizationSettings(*call) (any, error) {
	return &e.policies.Organizations, nil
}

func (e *Emulator) updateOrganizationSettings(c *call) (any, error) {
	var p struct {
		Enabled         *bool    `json:"enabled"`
		MaxMemberships  *int     `json:"max_allowed_memberships"`
		AdminDelete     *bool    `json:"admin_delete_enabled"`
		DomainsEnabled  *bool    `json:"domains_enabled"`
		SlugDisabled    *bool    `json:"slug_disabled"`
		EnrollmentModes []string `json:"domains_enrollment_modes"`
		CreatorRoleID   *string  `json:"creator_role_id"`
		DomainsRoleID   *string  `json:"domains_default_role_id"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	next := e.policies.Organizations
	for _, x := range []struct{ from, to *bool }{
		{p.Enabled, &next.Enabled},
		{p.AdminDelete, &next.AdminDeleteEnabled},
		{p.DomainsEnabled, &next.DomainsEnabled},
		{p.SlugDisabled, &next.SlugDisabled},
	} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	if p.MaxMemberships != nil {
		if next.MaxAllowedMemberships = *p.MaxMemberships; next.MaxAllowedMemberships < 0 {
			return nil, invalid("max_allowed_memberships", "max_allowed_memberships must be greater than or equal to 0.")
		}
	}
	if p.EnrollmentModes != nil {
		next.DomainsEnrollmentModes = []string{"manual_invitation"}
		for _, mode := range p.EnrollmentModes {
			if !slices.Contains(enrollmentModes()[:3], mode) {
				return nil, invalid("domains_enrollment_modes", mode+" does not match one of the allowed values for parameter domains_enrollment_modes")
			}
			if !slices.Contains(next.DomainsEnrollmentModes, mode) {
				next.DomainsEnrollmentModes = append(next.DomainsEnrollmentModes, mode)
			}
		}
	}
	for _, x := range []struct {
		id  *string
		key *string
	}{{p.CreatorRoleID, &next.CreatorRole}, {p.DomainsRoleID, &next.DomainsDefaultRole}} {
		if x.id == nil {
			continue
		}
		role, err := e.roleByID(*x.id)
		if err != nil {
			return nil, err
		}
		*x.key = role.Key
	}
	e.policies.Organizations, e.changed = next, true
	return &e.policies.Organizations, nil
}

// organizationsEnabled refuses calls about organizations while the instance has none.
func (e *Emulator) organizationsEnabled() error {
	if e.policies.Organizations.Enabled {
		return nil
	}
	return fail(http.StatusForbidden, "organization_not_enabled_in_instance", "organizations are not enabled",
		"The organizations feature is not enabled for this instance. You can enable it at https://dashboard.clerk.com.")
}

// RedirectURL is a URL to which native apps may be sent.
type RedirectURL struct {
	Object    string `json:"object"`
	ID        string `json:"id"`
	URL       string `json:"url"`
	CreatedAt int64  `json:"created_at"`
	UpdatedAt int64  `json:"updated_at"`
}

func (e *Emulator) createRedirectURL(c *call) (any, error) {
	var p struct {
		URL string `json:"url"`
	}
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	if p.URL == "" {
		return nil, missing("url")
	}
	if u, err := url.Parse(p.URL); err != nil || u.Scheme == "" {
		return nil, malformed("url", "url must be a valid url.")
	}
	if slices.ContainsFunc(e.policies.Redirects, func(r *RedirectURL) bool { return r.URL == p.URL }) {
		return nil, fail(http.StatusBadRequest, "duplicate_record", "duplicate redirect URL", "the redirect URL already exists")
	}
	now := e.after(0)
	r := &RedirectURL{Object: "redirect_url", ID: e.random.id("ru"), URL: p.URL, CreatedAt: now, UpdatedAt: now}
	e.policies.Redirects, e.changed = append(e.policies.Redirects, r), true
	return r, nil
}

func (e *Emulator) listRedirectURLs(c *call) (any, error) {
	return paged(c, newestFirst(e.policies.Redirects), true)
}

func (e *Emulator) redirectURL(c *call) (*RedirectURL, error) {
	for _, r := range e.policies.Redirects {
		if r.ID == c.id() {
			return r, nil
		}
	}
	return nil, notFound("redirect URL", c.id())
}

func (e *Emulator) getRedirectURL(c *call) (any, error) { return some(e.redirectURL(c)) }

func (e *Emulator) deleteRedirectURL(c *call) (any, error) {
	r, err := e.redirectURL(c)
	if err != nil {
		return nil, err
	}
	e.policies.Redirects = slices.DeleteFunc(e.policies.Redirects, func(x *RedirectURL) bool { return x == r })
	e.changed = true
	return Deleted{Object: "redirect_url", ID: r.ID, Deleted: true}, nil
}
