package emulator

// fixtureFile is the content of a fixtures file. fixtures.schema.json describes each field.
type fixtureFile struct {
	Schema        string                `json:"$schema"`
	Settings      Settings              `json:"settings"`
	RateLimit     string                `json:"rate_limit"`
	Faults        Faults                `json:"faults"`
	Permissions   []fixturePermission   `json:"permissions"`
	Roles         []fixtureRole         `json:"roles"`
	Users         []fixtureUser         `json:"users"`
	Organizations []fixtureOrganization `json:"organizations"`
	Invitations   []fixtureSignUp       `json:"invitations"`
	JWTTemplates  []fixtureTemplate     `json:"jwt_templates"`
	Machines      []fixtureMachine      `json:"machines"`
	APIKeys       []fixtureAPIKey       `json:"api_keys"`
	OAuth         fixtureOAuth          `json:"oauth_application_settings"`

	OAuthApplications []fixtureApplication `json:"oauth_applications"`
}

type fixturePermission struct {
	ID          string `json:"id"`
	Key         string `json:"key"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type fixtureRole struct {
	ID                string   `json:"id"`
	Key               string   `json:"key"`
	Name              string   `json:"name"`
	Description       string   `json:"description"`
	Permissions       []string `json:"permissions"`
	IsCreatorEligible *bool    `json:"is_creator_eligible"`
}

type fixtureUser struct {
	ID                        string         `json:"id"`
	EmailAddresses            []fixtureEmail `json:"email_addresses"`
	PhoneNumbers              []fixturePhone `json:"phone_numbers"`
	Username                  string         `json:"username"`
	Password                  string         `json:"password"`
	TOTPSecret                string         `json:"totp_secret"`
	BackupCodes               []string       `json:"backup_codes"`
	FirstName                 string         `json:"first_name"`
	LastName                  string         `json:"last_name"`
	ExternalID                string         `json:"external_id"`
	Locale                    string         `json:"locale"`
	Role                      string         `json:"role"`
	PublicMetadata            map[string]any `json:"public_metadata"`
	PrivateMetadata           map[string]any `json:"private_metadata"`
	UnsafeMetadata            map[string]any `json:"unsafe_metadata"`
	Banned                    bool           `json:"banned"`
	Locked                    bool           `json:"locked"`
	DeleteSelfEnabled         *bool          `json:"delete_self_enabled"`
	CreateOrganizationEnabled *bool          `json:"create_organization_enabled"`
	CreateOrganizationsLimit  *int           `json:"create_organizations_limit"`
	CreatedAt                 string         `json:"created_at"`
}

// fixtureEmail is an e-mail address, or an object that says more about it.
type fixtureEmail struct {
	EmailAddress string `json:"email_address"`
	Verified     *bool  `json:"verified"`
}

// SetText sets the address.
func (a *fixtureEmail) SetText(text string) { a.EmailAddress = text }

// fixturePhone is a phone number, or an object that says more about it.
type fixturePhone struct {
	PhoneNumber string `json:"phone_number"`
	Verified    *bool  `json:"verified"`
}

// SetText sets the number.
func (a *fixturePhone) SetText(text string) { a.PhoneNumber = text }

type fixtureOrganization struct {
	ID                    string              `json:"id"`
	Name                  string              `json:"name"`
	Slug                  string              `json:"slug"`
	CreatedBy             string              `json:"created_by"`
	MaxAllowedMemberships *int                `json:"max_allowed_memberships"`
	AdminDeleteEnabled    *bool               `json:"admin_delete_enabled"`
	PublicMetadata        map[string]any      `json:"public_metadata"`
	PrivateMetadata       map[string]any      `json:"private_metadata"`
	Members               []fixtureMember     `json:"members"`
	Invitations           []fixtureInvitation `json:"invitations"`
	Domains               []fixtureDomain     `json:"domains"`
	CreatedAt             string              `json:"created_at"`
}

// fixtureMember is a user by any of the names that the file has for it, or an object with a role.
type fixtureMember struct {
	User            string         `json:"user"`
	Role            string         `json:"role"`
	PublicMetadata  map[string]any `json:"public_metadata"`
	PrivateMetadata map[string]any `json:"private_metadata"`
}

// SetText sets the user.
func (m *fixtureMember) SetText(text string) { m.User = text }

// fixtureSignUp is an e-mail address that is invited to sign up, or an object that says more.
type fixtureSignUp struct {
	EmailAddress   string         `json:"email_address"`
	PublicMetadata map[string]any `json:"public_metadata"`
	ExpiresInDays  *int           `json:"expires_in_days"`
}

// SetText sets the address.
func (i *fixtureSignUp) SetText(text string) { i.EmailAddress = text }

// fixtureInvitation is an e-mail address that is invited into an organization, or an object that
// says more.
type fixtureInvitation struct {
	EmailAddress    string         `json:"email_address"`
	Role            string         `json:"role"`
	Inviter         string         `json:"inviter"`
	PublicMetadata  map[string]any `json:"public_metadata"`
	PrivateMetadata map[string]any `json:"private_metadata"`
	ExpiresInDays   *int           `json:"expires_in_days"`
}

// SetText sets the address.
func (i *fixtureInvitation) SetText(text string) { i.EmailAddress = text }

// fixtureDomain is a domain name, or an object that says more.
type fixtureDomain struct {
	Name           string `json:"name"`
	EnrollmentMode string `json:"enrollment_mode"`
	Verified       *bool  `json:"verified"`
}

// SetText sets the name.
func (d *fixtureDomain) SetText(text string) { d.Name = text }

type fixtureTemplate struct {
	Name             string         `json:"name"`
	Claims           map[string]any `json:"claims"`
	Lifetime         *int           `json:"lifetime"`
	AllowedClockSkew *int           `json:"allowed_clock_skew"`
	SigningKey       string         `json:"signing_key"`
}
